// SPDX-License-Identifier: Apache-2.0
//
// From edges to steps: everything of one step can be sent at once, in any order. Pure.
#include <stdlib.h>

#include "snapshot/export_int.h"

void export_order_clear(struct export_order *o)
{
    vec_clear(&o->nodes);
    vec_clear(&o->edges);
}

// Edges by one of their ends: those of node i are v[first[i]] .. v[first[i + 1] - 1].
struct by_end {
    unsigned *v, *first;
};

static void by_end_init(const struct export_order *o, bool by_to, struct by_end *b)
{
    size_t n = o->nodes.len;
    b->v = mem_alloc((o->edges.len + 1) * sizeof(*b->v));
    b->first = mem_alloc((n + 2) * sizeof(*b->first));
    unsigned *at = mem_alloc((n + 1) * sizeof(*at));
    for (size_t i = 0; i < o->edges.len; i++)
        b->first[(by_to ? o->edges.v[i].to : o->edges.v[i].from) + 1]++;
    for (size_t i = 0; i < n; i++) {
        b->first[i + 1] += b->first[i];
        at[i] = b->first[i];
    }
    for (unsigned i = 0; i < o->edges.len; i++)
        b->v[at[by_to ? o->edges.v[i].to : o->edges.v[i].from]++] = i;
    free(at);
}

static void by_end_clear(struct by_end *b)
{
    free(b->v);
    free(b->first);
}

// Nodes so that each comes after all it waits for; how many could be placed so.
static size_t sort_nodes(struct export_order *o, const struct by_end *in, unsigned *sorted)
{
    size_t n = o->nodes.len;
    size_t done = 0;
    size_t placed = 0;
    unsigned *missing = mem_alloc((n + 1) * sizeof(*missing));
    for (size_t i = 0; i < o->edges.len; i++)
        missing[o->edges.v[i].from]++;
    for (unsigned i = 0; i < n; i++)
        if (!missing[i])
            sorted[placed++] = i;
    while (done < placed) {
        unsigned at = sorted[done++];
        const struct export_node *to = &o->nodes.v[at];
        for (unsigned k = in->first[at]; k < in->first[at + 1]; k++) {
            unsigned from = o->edges.v[in->v[k]].from;
            unsigned level = to->level + (to->is_step ? 1 : 0);
            if (o->nodes.v[from].level < level)
                o->nodes.v[from].level = level;
            if (!--missing[from])
                sorted[placed++] = from;
        }
    }
    free(missing);
    return placed;
}

static void count_levels(struct export_order *o, const unsigned *sorted, size_t placed)
{
    bool *is_placed = mem_alloc(o->nodes.len + 1);
    o->levels = 0;
    for (size_t i = 0; i < placed; i++) {
        const struct export_node *x = &o->nodes.v[sorted[i]];
        is_placed[sorted[i]] = true;
        if (x->is_step && x->level >= o->levels)
            o->levels = x->level + 1;
    }
    unsigned last = o->levels;
    for (size_t i = 0; i < o->nodes.len; i++) {
        if (is_placed[i])
            continue;
        o->nodes.v[i].level = last;
        o->levels = last + 1;
    }
    free(is_placed);
}

// Who is waited for until it is ready, and from which step on: what stands between others passes on
// what is asked of it. Users come before what they use.
static void find_waits(struct export_order *o, const struct by_end *in, const unsigned *sorted,
                       size_t placed)
{
    for (size_t i = placed; i-- > 0;) {
        struct export_node *x = &o->nodes.v[sorted[i]];
        for (unsigned k = in->first[sorted[i]]; k < in->first[sorted[i] + 1]; k++) {
            const struct export_edge *e = &o->edges.v[in->v[k]];
            const struct export_node *user = &o->nodes.v[e->from];
            unsigned wait = user->is_step ? user->level : user->wait;
            if (!e->ready || wait == EXPORT_NO_WAIT)
                continue;
            if (wait < x->wait)
                x->wait = wait;
            x->is_hard |= e->hard && (user->is_step || user->is_hard);
        }
    }
}

void export_order_find(struct export_order *o)
{
    struct by_end in;
    unsigned *sorted = mem_alloc((o->nodes.len + 1) * sizeof(*sorted));
    for (size_t i = 0; i < o->nodes.len; i++) {
        o->nodes.v[i].level = 0;
        o->nodes.v[i].wait = EXPORT_NO_WAIT;
        o->nodes.v[i].is_hard = false;
    }
    by_end_init(o, true, &in);
    size_t placed = sort_nodes(o, &in, sorted);
    count_levels(o, sorted, placed);
    find_waits(o, &in, sorted, placed);
    by_end_clear(&in);
    free(sorted);
}
