// SPDX-License-Identifier: Apache-2.0
#include "cli/planning.h"

#include <stdlib.h>
#include <string.h>

static bool is_virtual(const struct planning *p, unsigned node)
{
    return p->g->nodes.v[node].kind == NODE_OBJECT && p->d->objects.v[node].is_virtual;
}

// Objects that are sent, gates and external things: what a person counts as a step.
static bool is_step(const struct planning *p, unsigned node)
{
    enum node_kind k = p->g->nodes.v[node].kind;
    return (k == NODE_OBJECT && !is_virtual(p, node)) || k == NODE_WEBHOOK || k == NODE_EXTERNAL;
}

static bool is_named(const struct planning *p, unsigned app)
{
    const struct application *a = p->d->apps.v[app];
    const struct strv *names = &p->c->o.apps;
    return !names->len || strv_has(names, a->name) || strv_has(names, a->tracking_name);
}

static void choose_nodes(struct planning *p)
{
    VEC(unsigned) todo = {0};
    p->chosen = mem_alloc((p->g->nodes.len + 1) * sizeof(*p->chosen));
    for (unsigned i = 0; i < p->g->nodes.len; i++) {
        const struct node *n = &p->g->nodes.v[i];
        bool own = n->kind == NODE_OBJECT || n->kind == NODE_APP_END || n->kind == NODE_APP_START;
        p->chosen[i] = !p->c->o.apps.len || (own && is_named(p, n->app));
        if (p->chosen[i])
            *vec_push(&todo) = i;
    }
    while (p->c->o.apps.len && todo.len) {
        const struct node *n = &p->g->nodes.v[todo.v[--todo.len]];
        for (unsigned k = 0; k < n->n_out; k++) {
            const struct edge *e = &p->g->edges.v[n->first_out + k];
            if (e->is_dropped || p->chosen[e->to])
                continue;
            p->chosen[e->to] = true;
            *vec_push(&todo) = e->to;
        }
    }
    vec_clear(&todo);
}

bool planning_shows(const struct planning *p, unsigned app)
{
    return app == 0 || p->objects[app] || p->chosen[p->g->app_end[app]];
}

static void count_objects(struct planning *p)
{
    p->objects = mem_alloc((p->d->apps.len + 1) * sizeof(*p->objects));
    p->crds = mem_alloc((p->d->apps.len + 1) * sizeof(*p->crds));
    for (size_t i = 0; i < p->d->objects.len; i++) {
        const struct object *o = &p->d->objects.v[i];
        if (o->is_virtual || !p->chosen[i])
            continue;
        p->objects[o->app]++;
        p->crds[o->app] += !strcmp(o->id.kind, "CustomResourceDefinition");
    }
}

// Applications, gates and external things that something of this application waits for; NULL when
// the edge says nothing to a person.
static char *wait_of(const struct planning *p, const struct edge *e)
{
    const struct node *from = &p->g->nodes.v[e->from];
    const struct node *to = &p->g->nodes.v[e->to];
    if (e->is_dropped || from->kind == NODE_WEBHOOK || from->kind == NODE_EXTERNAL ||
        from->kind == NODE_APP_END || is_virtual(p, e->from) || is_virtual(p, e->to))
        return NULL;
    if (to->kind == NODE_WEBHOOK || to->kind == NODE_EXTERNAL)
        return node_words(p->g, p->d, e->to);
    if (to->kind == NODE_BARRIER && from->kind == NODE_APP_START)
        return str_dup(to->label);
    if (to->app == from->app || e->why == WHY_NAMESPACE)
        return NULL;
    if (to->kind == NODE_APP_END && e->why == WHY_DEPENDS_ON)
        return str_dup(p->d->apps.v[to->app]->name);
    if (to->kind != NODE_OBJECT)
        return NULL;
    CLEANUP(str_freep) char *name = node_words(p->g, p->d, e->to);
    return str_printf("%s (%s)", name, p->d->apps.v[to->app]->name);
}

static void find_waits(struct planning *p)
{
    p->waits = mem_alloc((p->d->apps.len + 1) * sizeof(*p->waits));
    for (size_t i = 0; i < p->g->edges.len; i++) {
        const struct edge *e = &p->g->edges.v[i];
        CLEANUP(str_freep) char *text = p->chosen[e->from] ? wait_of(p, e) : NULL;
        struct strv *list = &p->waits[p->g->nodes.v[e->from].app];
        if (text && !strv_has(list, text))
            strv_push(list, text);
    }
}

// Kinds that are there as soon as they are sent: they lengthen a chain, but never a wait.
static bool is_plumbing(const struct planning *p, unsigned node)
{
    static const char *const kinds[] = {"Namespace",
                                        "ServiceAccount",
                                        "Role",
                                        "RoleBinding",
                                        "ClusterRole",
                                        "ClusterRoleBinding",
                                        "ConfigMap",
                                        "Secret",
                                        "Service",
                                        "ValidatingWebhookConfiguration",
                                        "MutatingWebhookConfiguration"};
    const struct node *n = &p->g->nodes.v[node];
    for (size_t i = 0; n->kind == NODE_OBJECT && i < ARRAY_LEN(kinds); i++)
        if (!strcmp(p->d->objects.v[node].id.kind, kinds[i]))
            return true;
    return false;
}

static void find_chain(struct planning *p)
{
    unsigned *path = NULL;
    size_t n = p->c->o.apps.len ? 0 : graph_longest(p->g, &path);
    for (size_t i = 0; i < n; i++)
        if (is_step(p, path[i]) && (p->c->o.verbose || wants_doc(p->c) || !is_plumbing(p, path[i])))
            strv_push_take(&p->chain, node_words(p->g, p->d, path[i]));
    free(path);
}

struct ranked {
    unsigned node, depth;
};

static int cmp_ranked(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return x->depth != y->depth ? (x->depth < y->depth ? -1 : 1)
                                : (x->node > y->node) - (x->node < y->node);
}

// The most steps on one path: node by node, from those that wait for nothing.
static void count_steps(struct planning *p)
{
    size_t n = p->g->nodes.len;
    struct ranked *order = mem_alloc((n + 1) * sizeof(*order));
    unsigned *steps = mem_alloc((n + 1) * sizeof(*steps));
    for (unsigned i = 0; i < n; i++)
        order[i] = (struct ranked){i, p->g->nodes.v[i].depth};
    qsort(order, n, sizeof(*order), cmp_ranked);
    for (size_t k = 0; k < n; k++) {
        unsigned at = order[k].node;
        const struct node *x = &p->g->nodes.v[at];
        for (unsigned i = 0; i < x->n_out; i++) {
            const struct edge *e = &p->g->edges.v[x->first_out + i];
            if (!e->is_dropped && steps[e->to] > steps[at])
                steps[at] = steps[e->to];
        }
        steps[at] += is_step(p, at);
        p->steps = p->chosen[at] && steps[at] > p->steps ? steps[at] : p->steps;
    }
    free(order);
    free(steps);
}

void planning_fill(struct planning *p)
{
    choose_nodes(p);
    count_objects(p);
    find_waits(p);
    find_chain(p);
    count_steps(p);
    find_warnings(p->d, p->g, &p->warnings);
}

void planning_clear(struct planning *p)
{
    for (size_t i = 0; p->waits && i < p->d->apps.len; i++)
        strv_clear(&p->waits[i]);
    free(p->waits);
    free(p->chosen);
    free(p->objects);
    free(p->crds);
    strv_clear(&p->chain);
    strv_clear(&p->warnings);
}

bool planning_has_changes(const struct planning *p)
{
    const size_t *n = run_plan(p->run)->counts;
    return n[ACTION_CREATE] + n[ACTION_CHANGE] + n[ACTION_PRUNE] + n[ACTION_REPLACE] +
               n[ACTION_RECREATE] + n[ACTION_CHECK] + n[ACTION_TERMINATING] >
           0;
}
