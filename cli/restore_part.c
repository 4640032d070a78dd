// SPDX-License-Identifier: Apache-2.0
//
// A restore of a part: which, and what is said of it.
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define SHOWN_NEEDED 12

void restoring_choose_part(struct restoring *x)
{
    struct options *o = &x->c->o;
    o->restore.is_part = o->apps.len || o->restore.namespaces.len;
    o->no_prune |= o->restore.is_part; // the rest is none of its business
}

// "application web", "applications web, shop".
static void add_names(struct buf *b, const char *what, const struct strv *names)
{
    if (!names->len)
        return;
    buf_printf(b, "%s%s%s ", b->len ? " in " : "", what, names->len == 1 ? "" : "s");
    for (size_t i = 0; i < names->len; i++)
        buf_printf(b, "%s%s", i ? ", " : "", names->v[i]);
}

static bool refuse_nothing(const struct restoring *x, struct err *err)
{
    const struct options *o = &x->c->o;
    struct buf b CLEANUP(buf_clear) = {0};
    if (x->part.chosen || !o->apps.len || !o->restore.namespaces.len)
        return true;
    add_names(&b, "application", &o->apps);
    add_names(&b, "namespace", &o->restore.namespaces);
    err_set(err, ERR_NOT_FOUND, "nothing is selected: the snapshot has no object of %s", b.p);
    return err_hint(err, "Nothing was written. Both together select only what is of one of the "
                         "applications and in one of the namespaces: leave one of them out.");
}

bool restoring_take_part(struct restoring *x, const struct run *r, struct err *err)
{
    struct api_changes *c = &x->apis;
    size_t kept = 0;
    if (!x->c->o.restore.is_part)
        return true;
    partial_of(r, &x->frozen, &x->part);
    for (size_t i = 0; i < c->v.len; i++) {
        if (partial_has(&x->part, c->v.v[i].object)) {
            c->v.v[kept++] = c->v.v[i];
        } else {
            api_change_clear(&c->v.v[i]);
        }
    }
    c->v.len = kept;
    return refuse_nothing(x, err);
}

size_t restoring_applications(const struct restoring *x)
{
    const struct desired *d = x->s->desired;
    size_t n = 0;
    if (!x->c->o.restore.is_part) {
        for (size_t i = 1; i < d->apps.len; i++)
            n += d->apps.v[i]->state != APP_OTHER_CLUSTER;
        return n;
    }
    bool *has = mem_alloc(d->apps.len * sizeof(*has));
    for (unsigned i = 0; i < d->objects.len; i++)
        has[d->objects.v[i].app] |= x->part.parts && x->part.parts[i] == PART_CHOSEN;
    for (size_t i = 1; i < d->apps.len; i++)
        n += has[i];
    free(has);
    return n;
}

static void print_needed(const struct restoring *x)
{
    const struct desired *d = x->s->desired;
    struct buf b CLEANUP(buf_clear) = {0};
    size_t n = x->part.absent.len;
    size_t shown = x->c->o.verbose || n <= SHOWN_NEEDED ? n : SHOWN_NEEDED;
    for (size_t i = 0; i < shown; i++) {
        CLEANUP(str_freep) char *name = object_name(&d->objects.v[x->part.absent.v[i]].id);
        buf_printf(&b, "%s%s", i ? ", " : "It needs, and the target has not; made as well: ", name);
    }
    if (shown < n)
        buf_printf(&b, " and %zu more (-v)", n - shown);
    if (b.len) {
        printf("  ");
        print_wrapped(stdout, b.p, 2, 4);
    }
}

void restoring_print_part(const struct restoring *x)
{
    const struct options *o = &x->c->o;
    struct buf b CLEANUP(buf_clear) = {0};
    if (!o->restore.is_part)
        return;
    add_names(&b, "application", &o->apps);
    add_names(&b, "namespace", &o->restore.namespaces);
    CLEANUP(str_freep)
    char *text = str_printf("Only %s: %zu object%s. Nothing is deleted; of what else is needed, "
                            "%zu object%s, what is there stays as it is.",
                            b.p, x->part.chosen, x->part.chosen == 1 ? "" : "s", x->part.needed,
                            x->part.needed == 1 ? "" : "s");
    printf("  ");
    print_wrapped(stdout, text, 2, 4);
    print_needed(x);
    for (size_t i = 0; i < x->part.awaited.len; i++) {
        CLEANUP(str_freep)
        char *line =
            str_printf("! it waits for %s, which nothing here makes", x->part.awaited.v[i]);
        printf("  ");
        print_wrapped(stdout, line, 2, 4);
    }
}

json_t *restoring_part_doc(const struct restoring *x)
{
    const struct options *o = &x->c->o;
    json_t *needed = json_array();
    for (size_t i = 0; i < x->part.absent.len; i++) {
        const struct object_id *id = &x->s->desired->objects.v[x->part.absent.v[i]].id;
        json_array_append_new(needed,
                              json_pack("{s:s, s:s, s:s*, s:s}", "group", id->group, "kind",
                                        id->kind, "namespace", id->namespace, "name", id->name));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o}", "applications", print_texts(&o->apps),
                     "namespaces", print_texts(&o->restore.namespaces), "chosen",
                     (json_int_t)x->part.chosen, "needed", (json_int_t)x->part.needed, "made",
                     needed, "awaited", print_texts(&x->part.awaited));
}
