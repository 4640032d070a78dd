// SPDX-License-Identifier: Apache-2.0
//
// Cycles: soft edges yield first, declared ones if asked, hard ones are an error that shows the
// whole cycle. Then depth and weight over the acyclic rest.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"

#define NONE UINT32_MAX
#define MAX_DROPS 100000

// What gives way first: the least is lost by dropping a late target or policy.
static int yield_rank(const struct edge *e)
{
    switch (e->why) {
    case WHY_NAMESPACE_POLICY:
    case WHY_PROJECT:
        return 0;
    case WHY_TARGET:
    case WHY_METRICS:
        return 1;
    case WHY_CONFIG_BACKEND:
    case WHY_UNJUDGED:
    case WHY_AGGREGATE:
        return 2;
    case WHY_RBAC:
    case WHY_ROLE:
        return 3;
    case WHY_ISSUER:
    case WHY_STORE:
        return 4;
    case WHY_PRODUCED:
        return 5;
    case WHY_MUTATING:
        return 6;
    case WHY_REFERENCE:
        return 7;
    default:
        return 8;
    }
}

// Tarjan's algorithm without recursion: fills component numbers of nodes, -1 for those alone.
struct frame {
    unsigned node, next;
};

struct tarjan {
    const struct graph *g;
    unsigned *index, *low, *component;
    char *on_stack;
    unsigned counter, components;
    VEC(unsigned) stack;
    VEC(struct frame) frames;
};

static void close_component(struct tarjan *t, unsigned root)
{
    unsigned size = 0;
    unsigned id = ++t->components;
    unsigned n;
    do {
        n = t->stack.v[--t->stack.len];
        t->on_stack[n] = 0;
        t->component[n] = id;
        size++;
    } while (n != root);
    if (size == 1)
        t->component[root] = 0;
}

static void enter(struct tarjan *t, unsigned n)
{
    t->index[n] = t->low[n] = ++t->counter;
    *vec_push(&t->stack) = n;
    t->on_stack[n] = 1;
    vec_push(&t->frames)->node = n;
}

static void visit(struct tarjan *t, unsigned start)
{
    enter(t, start);
    while (t->frames.len) {
        struct frame *f = &t->frames.v[t->frames.len - 1];
        const struct node *n = &t->g->nodes.v[f->node];
        if (f->next < n->n_out) {
            const struct edge *e = &t->g->edges.v[n->first_out + f->next++];
            if (e->is_dropped)
                continue;
            if (!t->index[e->to])
                enter(t, e->to);
            else if (t->on_stack[e->to] && t->index[e->to] < t->low[f->node])
                t->low[f->node] = t->index[e->to];
            continue;
        }
        unsigned done = f->node;
        t->frames.len--;
        if (t->low[done] == t->index[done])
            close_component(t, done);
        if (t->frames.len) {
            unsigned parent = t->frames.v[t->frames.len - 1].node;
            if (t->low[done] < t->low[parent])
                t->low[parent] = t->low[done];
        }
    }
}

// Component numbers (0: in no cycle); owned. *any: is there a cycle at all?
static unsigned *components(const struct graph *g, bool *any)
{
    size_t n = g->nodes.len;
    struct tarjan t = {.g = g};
    t.index = mem_alloc((n + 1) * sizeof(unsigned));
    t.low = mem_alloc((n + 1) * sizeof(unsigned));
    t.component = mem_alloc((n + 1) * sizeof(unsigned));
    t.on_stack = mem_alloc(n + 1);
    for (unsigned i = 0; i < n; i++)
        if (!t.index[i])
            visit(&t, i);
    *any = false;
    for (unsigned i = 0; i < n; i++)
        *any |= t.component[i] != 0;
    free(t.index);
    free(t.low);
    free(t.on_stack);
    vec_clear(&t.stack);
    vec_clear(&t.frames);
    return t.component;
}

struct path {
    VEC(unsigned) edges; // from the first node round to itself
};

// A shortest cycle through `start` inside its component.
static void shortest_cycle(const struct graph *g, const unsigned *comp, unsigned start,
                           struct path *out)
{
    size_t n = g->nodes.len;
    unsigned *via = mem_realloc(NULL, n, sizeof(unsigned));
    memset(via, 0xff, n * sizeof(unsigned));
    VEC(unsigned) todo = {0};
    *vec_push(&todo) = start;
    unsigned last = NONE;
    for (size_t at = 0; at < todo.len && last == NONE; at++) {
        const struct node *x = &g->nodes.v[todo.v[at]];
        for (unsigned i = 0; i < x->n_out && last == NONE; i++) {
            unsigned e = x->first_out + i;
            unsigned to = g->edges.v[e].to;
            if (g->edges.v[e].is_dropped || comp[to] != comp[start])
                continue;
            if (to == start) {
                last = e;
            } else if (via[to] == NONE) {
                via[to] = e;
                *vec_push(&todo) = to;
            }
        }
    }
    for (unsigned e = last; e != NONE; e = via[g->edges.v[e].from]) {
        *vec_push(&out->edges) = e;
        if (g->edges.v[e].from == start)
            break;
    }
    for (size_t i = 0; i < out->edges.len / 2; i++) {
        unsigned x = out->edges.v[i];
        out->edges.v[i] = out->edges.v[out->edges.len - 1 - i];
        out->edges.v[out->edges.len - 1 - i] = x;
    }
    free(via);
    vec_clear(&todo);
}

static char *place(const struct builder *b, unsigned node)
{
    const struct node *n = &b->g->nodes.v[node];
    if (n->kind == NODE_OBJECT) {
        CLEANUP(str_freep) char *where = origin_text(&b->d->objects.v[node].origin);
        return str_printf("%s (%s)", n->label, where);
    }
    if (n->kind == NODE_APP_START || n->kind == NODE_APP_END) {
        CLEANUP(str_freep) char *where = origin_text(&b->d->apps.v[n->app]->origin);
        return str_printf("%s%s%s%s", n->label, *where ? " (" : "", where, *where ? ")" : "");
    }
    return str_dup(n->label);
}

static bool cycle_error(const struct builder *b, const struct path *p, struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    bool declared = false;
    for (size_t i = 0; i < p->edges.len; i++) {
        const struct edge *e = &b->g->edges.v[p->edges.v[i]];
        CLEANUP(str_freep) char *from = place(b, e->from);
        CLEANUP(str_freep) char *why = edge_text(b->g, e);
        CLEANUP(str_freep) char *to = place(b, e->to);
        buf_printf(&text, "\n  %s %s; needed: %s", from, why, to);
        declared |= e->is_declared;
    }
    err_set(err, ERR_INVALID, "these wait for each other, so none of them can ever start:%s",
            text.p ? text.p : "");
    return err_hint(err, "%s",
                    declared ? "Change one of these lines in Git, or run with --break-declared to "
                               "let waves and depends-on give way."
                             : "Change one of these lines in Git.");
}

static void drop(struct builder *b, struct edge *e)
{
    e->is_dropped = true;
    const struct node *from = &b->g->nodes.v[e->from];
    CLEANUP(str_freep) char *why = edge_text(b->g, e);
    strv_push_take(
        &b->g->warnings,
        str_printf("%s %s, but that closes a cycle: this edge gives way", from->label, why));
}

// The edge of the cycle that is dropped; NULL when all of them are hard.
static struct edge *weakest(struct builder *b, const struct path *p)
{
    struct edge *best = NULL;
    for (size_t i = 0; i < p->edges.len; i++) {
        struct edge *e = &b->g->edges.v[p->edges.v[i]];
        if (!e->is_hard && (!best || yield_rank(e) < yield_rank(best)))
            best = e;
    }
    for (size_t i = 0; !best && b->o->break_declared && i < p->edges.len; i++) {
        struct edge *e = &b->g->edges.v[p->edges.v[i]];
        // Dropping a barrier's member would leave the barrier meaningless; what waits yields.
        if (e->is_declared && e->why != WHY_MEMBER)
            best = e;
    }
    return best;
}

bool cycles_resolve(struct builder *b, struct err *err)
{
    for (unsigned round = 0; round < MAX_DROPS; round++) {
        bool any;
        unsigned *comp = components(b->g, &any);
        unsigned done = 0; // highest component already handled in this round
        bool ok = true;
        for (unsigned n = 0; ok && any && n < b->g->nodes.len; n++) {
            if (comp[n] <= done)
                continue;
            done = comp[n];
            struct path p = {0};
            shortest_cycle(b->g, comp, n, &p);
            struct edge *e = weakest(b, &p);
            if (e)
                drop(b, e);
            else
                ok = cycle_error(b, &p, err);
            vec_clear(&p.edges);
        }
        free(comp);
        if (!ok)
            return false;
        if (!any)
            return true;
    }
    return err_set(err, ERR_INVALID, "the dependencies hold too many cycles");
}

void cycles_declared(const struct desired *d, struct graph *g,
                     void (*tell)(void *ctx, unsigned app, const char *why), void *ctx)
{
    const struct builder b = {.d = d, .g = g};
    bool any;
    for (size_t i = 0; i < g->edges.len; i++)
        g->edges.v[i].is_dropped = false;
    unsigned *comp = components(g, &any);
    for (size_t i = 0; any && i < g->edges.len; i++) {
        const struct edge *e = &g->edges.v[i];
        struct path p = {0};
        struct err err = {0};
        if (e->why != WHY_DEPENDS_ON || !comp[e->from] || comp[e->from] != comp[e->to])
            continue;
        shortest_cycle(g, comp, e->from, &p);
        cycle_error(&b, &p, &err);
        tell(ctx, g->nodes.v[e->from].app, err.msg);
        err_clear(&err);
        vec_clear(&p.edges);
    }
    free(comp);
}

// Rough seconds an object takes to become what others wait for.
static double cost(const struct graph *g, const struct desired *d, unsigned node)
{
    static const struct {
        const char *kind;
        double seconds;
    } costs[] = {{"CustomResourceDefinition", 0.3},
                 {"Deployment", 2},
                 {"StatefulSet", 3},
                 {"DaemonSet", 2},
                 {"Job", 3},
                 {"Pod", 2},
                 {"Certificate", 2},
                 {"Namespace", 0.02}};
    const struct node *n = &g->nodes.v[node];
    if (n->kind == NODE_WEBHOOK)
        return 3;
    if (n->kind == NODE_EXTERNAL)
        return 5;
    if (n->kind != NODE_OBJECT)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(costs); i++)
        if (!strcmp(costs[i].kind, d->objects.v[node].id.kind))
            return costs[i].seconds;
    return 0.01;
}

void graph_weigh(struct graph *g, const struct desired *d)
{
    size_t n = g->nodes.len;
    unsigned *left = mem_alloc((n + 1) * sizeof(unsigned));
    unsigned *order = mem_realloc(NULL, n + 1, sizeof(unsigned));
    size_t head = 0;
    size_t tail = 0;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < g->nodes.v[i].n_out; j++)
            left[i] += !g->edges.v[g->nodes.v[i].first_out + j].is_dropped;
        if (!left[i])
            order[tail++] = i;
    }
    while (head < tail) {
        struct node *x = &g->nodes.v[order[head++]];
        for (unsigned j = 0; j < x->n_in; j++) {
            const struct edge *e = &g->edges.v[g->in[x->first_in + j]];
            if (e->is_dropped)
                continue;
            struct node *from = &g->nodes.v[e->from];
            if (from->depth < x->depth + 1)
                from->depth = x->depth + 1;
            if (--left[e->from] == 0)
                order[tail++] = e->from;
        }
    }
    for (size_t i = tail; i > 0; i--) {
        unsigned at = order[i - 1];
        struct node *x = &g->nodes.v[at];
        double longest = 0;
        for (unsigned j = 0; j < x->n_in; j++) {
            const struct edge *e = &g->edges.v[g->in[x->first_in + j]];
            if (!e->is_dropped && g->nodes.v[e->from].weight > longest)
                longest = g->nodes.v[e->from].weight;
        }
        x->weight = longest + cost(g, d, at);
    }
    free(left);
    free(order);
}

size_t graph_longest(const struct graph *g, unsigned **out)
{
    VEC(unsigned) path = {0};
    unsigned at = 0;
    for (unsigned i = 1; i < g->nodes.len; i++)
        if (g->nodes.v[i].weight > g->nodes.v[at].weight)
            at = i;
    for (size_t guard = 0; g->nodes.len && guard <= g->nodes.len; guard++) {
        *vec_push(&path) = at;
        const struct node *x = &g->nodes.v[at];
        unsigned next = at;
        double best = -1;
        for (unsigned j = 0; j < x->n_in; j++) {
            const struct edge *e = &g->edges.v[g->in[x->first_in + j]];
            if (!e->is_dropped && g->nodes.v[e->from].weight > best) {
                best = g->nodes.v[e->from].weight;
                next = e->from;
            }
        }
        if (next == at)
            break;
        at = next;
    }
    *out = path.v;
    return path.len;
}
