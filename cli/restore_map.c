// SPDX-License-Identifier: Apache-2.0
//
// Restoring onto other names (--map): what it changes is shown before, and afterwards what that
// means for Git, which still has the old ones.
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define SHOWN_PLACES 3

bool restoring_read_maps(struct restoring *x, struct err *err)
{
    return mappings_parse(&x->c->o.restore.maps, &x->maps, err);
}

bool restoring_map(struct restoring *x, struct err *err)
{
    mappings_apply(&x->maps, &x->frozen);
    const struct mapping *m = mappings_unused(&x->maps);
    if (!m)
        return true;
    err_set(err, ERR_NOT_FOUND, "--map %s: nothing in the snapshot has that name", m->text);
    return err_hint(err, "Nothing was written. Only whole values of certain fields count; "
                         "docs/restore.md lists them.");
}

// Of a part only its own.
static bool is_shown(const struct restoring *x, const struct mapping_hit *h)
{
    return h->object == MAPPING_LIVE || partial_has(&x->part, (unsigned)h->object);
}

static void print_place(const struct mapping_hit *h)
{
    CLEANUP(str_freep) char *name = object_name(&h->id);
    CLEANUP(str_freep)
    char *line = str_printf("%s %s: %s -> %s", name, h->pointer, h->from, h->to);
    printf("    ");
    print_wrapped(stdout, line, 4, 6);
}

static void print_map(const struct restoring *x, unsigned which)
{
    const struct mapping *m = &x->maps.v.v[which];
    size_t shown = 0;
    size_t rest = 0;
    CLEANUP(str_freep)
    char *head = str_printf("Mapped %s: %zu place%s in %zu object%s", m->text, m->places,
                            m->places == 1 ? "" : "s", m->objects, m->objects == 1 ? "" : "s");
    printf("  ");
    print_wrapped(stdout, head, 2, 4);
    for (size_t i = 0; i < x->maps.hits.len; i++) {
        const struct mapping_hit *h = &x->maps.hits.v[i];
        if (h->mapping != which || !is_shown(x, h))
            continue;
        if (shown < SHOWN_PLACES || x->c->o.verbose) {
            print_place(h);
            shown++;
        } else {
            rest++;
        }
    }
    if (rest)
        printf("    and %zu more (-v)\n", rest);
}

void restoring_print_maps(const struct restoring *x)
{
    for (unsigned i = 0; i < x->maps.v.len; i++)
        print_map(x, i);
}

// Objects that Git says otherwise; each counted once, however often it was mapped.
static size_t mapped_objects(const struct restoring *x)
{
    size_t n = 0;
    int last = MAPPING_LIVE;
    for (size_t i = 0; i < x->maps.hits.len; i++) {
        const struct mapping_hit *h = &x->maps.hits.v[i];
        // Applications that nobody here serves are not in the cluster.
        n += h->object != MAPPING_LIVE && h->object != last && is_shown(x, h) &&
             !x->s->desired->objects.v[h->object].is_virtual;
        last = h->object;
    }
    return n;
}

char *restoring_mapped_text(const struct restoring *x)
{
    size_t n = mapped_objects(x);
    if (!n)
        return NULL;
    return str_printf("Git still has the old names: bootstrap or Argo CD from Git would change %zu "
                      "object%s back. Write the new names into Git first; until then repeat --map "
                      "with every restore",
                      n, n == 1 ? "" : "s");
}

static json_t *places_of(const struct restoring *x, unsigned which)
{
    json_t *out = json_array();
    for (size_t i = 0; i < x->maps.hits.len; i++) {
        const struct mapping_hit *h = &x->maps.hits.v[i];
        if (h->mapping != which || !is_shown(x, h))
            continue;
        json_array_append_new(out, json_pack("{s:s, s:s, s:s*, s:s, s:s, s:s, s:s}", "group",
                                             h->id.group, "kind", h->id.kind, "namespace",
                                             h->id.namespace, "name", h->id.name, "pointer",
                                             h->pointer, "from", h->from, "to", h->to));
    }
    return out;
}

json_t *restoring_maps_doc(const struct restoring *x)
{
    json_t *out = json_array();
    for (unsigned i = 0; i < x->maps.v.len; i++) {
        const struct mapping *m = &x->maps.v.v[i];
        json_array_append_new(out, json_pack("{s:s, s:I, s:o}", "map", m->text, "objects",
                                             (json_int_t)m->objects, "places", places_of(x, i)));
    }
    return out;
}
