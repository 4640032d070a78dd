// SPDX-License-Identifier: Apache-2.0
//
// Applications that have no place in the order. Whoever brings up everything at once is refused
// (graph_build): nobody knows what would have come first. Whoever keeps a cluster leaves these as
// they are, and goes on with all others.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"

struct search {
    struct desired *d;
    json_t *why;
    bool any_unknown;
};

static const json_t *found(const struct search *s, unsigned app)
{
    return json_object_get(s->why, s->d->apps.v[app]->tracking_name);
}

static void note(void *ctx, unsigned app, const char *why)
{
    struct search *s = ctx;
    if (!found(s, app))
        json_object_set_new(s->why, s->d->apps.v[app]->tracking_name, json_string(why));
}

static char *said_of(const struct application *a, const char *name)
{
    CLEANUP(str_freep) char *where = origin_text(&a->origin);
    return str_printf("application %s%s%s%s: regrow.dev/depends-on names %s", a->name,
                      *where ? " (" : "", where, *where ? ")" : "", name);
}

static void note_unfound(struct search *s, unsigned app, const char *name)
{
    CLEANUP(str_freep) char *said = said_of(s->d->apps.v[app], name);
    bool is_registered = s->d->apps.v[0]->is_passing; // has those of this cluster alone
    CLEANUP(str_freep)
    char *text = str_printf("%s, which is no application of this root%s%s", said,
                            is_registered ? ", or goes to another cluster" : "",
                            s->any_unknown ? ", or is of one that cannot be read now" : "");
    note(s, app, text);
}

static void note_names(struct search *s)
{
    for (unsigned i = 0; i < s->d->apps.len; i++) {
        const struct application *a = s->d->apps.v[i];
        for (size_t k = 0; k < a->depends_on.len; k++)
            if (desired_find_app(s->d, a->depends_on.v[k]) < 0)
                note_unfound(s, i, a->depends_on.v[k]);
    }
}

// By the applications alone: none of what is declared between them hangs on an object.
static void note_cycles(struct search *s, const struct graph_opts *o)
{
    bool *none = mem_alloc(s->d->apps.len + 1);
    struct desired *outline CLEANUP(desired_freep) = desired_part(s->d, none, false);
    struct graph_opts opts = *o;
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct err err = {0};
    for (size_t i = 0; i < s->d->apps.len; i++)
        outline->taken[i] = true;
    opts.ignore_inferred = opts.break_declared = opts.skip_unfound = true;
    if (graph_build(outline, NULL, &opts, &g, &err))
        cycles_declared(outline, g, note, s);
    err_clear(&err); // then each turn finds out for itself
    free(none);
}

// Whoever depends on one of them, or is a child of one, comes after it.
static bool spread_to(struct search *s, unsigned app)
{
    const struct application *a = s->d->apps.v[app];
    if (a->parent >= 0 && found(s, (unsigned)a->parent)) {
        CLEANUP(str_freep)
        char *text = str_printf("application %s comes after %s, its parent: %s", a->name,
                                s->d->apps.v[a->parent]->name,
                                json_string_value(found(s, (unsigned)a->parent)));
        note(s, app, text);
        return true;
    }
    for (size_t i = 0; i < a->depends_on.len; i++) {
        int to = desired_find_app(s->d, a->depends_on.v[i]);
        if (to < 0 || !found(s, (unsigned)to))
            continue;
        CLEANUP(str_freep) char *said = said_of(a, a->depends_on.v[i]);
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s", said, json_string_value(found(s, (unsigned)to)));
        note(s, app, text);
        return true;
    }
    return false;
}

static void spread(struct search *s)
{
    bool any = json_object_size(s->why) > 0;
    for (size_t round = 0; any && round < s->d->apps.len; round++) {
        any = false;
        for (unsigned i = 0; i < s->d->apps.len; i++)
            any |= !found(s, i) && spread_to(s, i);
    }
}

json_t *graph_unordered(struct desired *d, const struct graph_opts *o)
{
    struct search s = {.d = d, .why = json_object()};
    bool any = false;
    for (size_t i = 0; i < d->apps.len; i++) {
        any |= d->apps.v[i]->depends_on.len > 0;
        s.any_unknown |= d->apps.v[i]->state == APP_UNKNOWN;
    }
    if (!any || o->ignore_declared)
        return s.why;
    note_names(&s);
    if (!o->break_declared)
        note_cycles(&s, o);
    spread(&s);
    return s.why;
}
