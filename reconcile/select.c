// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a run is about: all of them, or a part (--app, --namespace) and what it needs.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

bool select_is_part(const struct run *r)
{
    return r->opts.n_only_apps || r->opts.n_only_namespaces;
}

static bool has(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], word))
            return true;
    return false;
}

static bool is_named(const struct run *r, unsigned app)
{
    const struct application *a = r->desired->apps.v[app];
    return has(r->opts.only_apps, r->opts.n_only_apps, a->name) ||
           has(r->opts.only_apps, r->opts.n_only_apps, a->tracking_name);
}

// An application of applications is its children.
static bool is_wanted_app(const struct run *r, unsigned app)
{
    for (int i = (int)app; r->opts.n_only_apps && i >= 0; i = r->desired->apps.v[i]->parent)
        if (is_named(r, (unsigned)i))
            return true;
    return r->opts.n_only_apps == 0;
}

static bool is_wanted_place(const struct run *r, const struct object *o)
{
    const char *const *list = r->opts.only_namespaces;
    size_t n = r->opts.n_only_namespaces;
    bool is_space = !*o->id.group && !strcmp(o->id.kind, "Namespace");
    return !n || has(list, n, is_space ? o->id.name : o->id.namespace);
}

// What is asked for by its name or its place.
static bool is_wanted(const struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    switch (n->kind) {
    case NODE_OBJECT:
        return is_wanted_app(r, n->app) && is_wanted_place(r, &r->desired->objects.v[node]);
    case NODE_APP_START:
    case NODE_APP_END:
        return is_wanted_app(r, n->app) && !r->opts.n_only_namespaces;
    case NODE_BARRIER:
    case NODE_WEBHOOK:
    case NODE_EXTERNAL:
        return !select_is_part(r);
    }
    return false;
}

// Does whoever is selected need what this edge leads to? Where what is needed is only made if it is
// absent, a wave or a phase says when, not what for.
static bool is_need(const struct run *r, const struct edge *e)
{
    if (e->is_dropped)
        return false;
    return !r->opts.keep_needed ||
           (e->why != WHY_WAVE && e->why != WHY_PHASE && e->why != WHY_PARENT);
}

static void select_needed(struct run *r)
{
    VEC(unsigned) todo = {0};
    for (unsigned i = 0; i < r->graph->nodes.len; i++)
        if (r->nodes[i].is_selected)
            *vec_push(&todo) = i;
    while (todo.len) {
        const struct node *n = &r->graph->nodes.v[todo.v[--todo.len]];
        for (unsigned i = 0; i < n->n_out; i++) {
            const struct edge *e = &r->graph->edges.v[n->first_out + i];
            if (!is_need(r, e) || r->nodes[e->to].is_selected)
                continue;
            r->nodes[e->to].is_selected = true;
            *vec_push(&todo) = e->to;
        }
    }
    vec_clear(&todo);
}

// Barriers stand between waves of what is selected, ends behind all of it: they hold nothing up
// that they have no selected member for.
static void select_frame(struct run *r)
{
    for (unsigned i = 0; i < r->graph->nodes.len; i++)
        if (r->graph->nodes.v[i].kind == NODE_BARRIER)
            r->nodes[i].is_selected = true;
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        unsigned app = r->desired->objects.v[i].app;
        if (!r->nodes[i].is_selected)
            continue;
        r->nodes[r->graph->app_start[app]].is_selected = true;
        r->nodes[r->graph->app_end[app]].is_selected = true;
    }
}

void select_nodes(struct run *r)
{
    for (unsigned i = 0; i < r->graph->nodes.len; i++)
        r->nodes[i].is_selected = r->nodes[i].is_chosen = is_wanted(r, i);
    if (!select_is_part(r))
        return;
    select_needed(r);
    if (r->opts.keep_needed)
        select_frame(r);
}

bool select_is_chosen_app(const struct run *r, unsigned app)
{
    if (!r->opts.keep_needed || !select_is_part(r) || r->nodes[r->graph->app_end[app]].is_chosen)
        return true;
    for (unsigned k = r->app_first[app]; k < r->app_first[app + 1]; k++)
        if (r->nodes[r->app_objects[k]].is_chosen)
            return true;
    return false;
}

// ---- the plan of a part ----
static void settle_object(const struct run *r, struct plan_item *it)
{
    const struct node_rt *x = &r->nodes[it->object];
    bool is_there = it->live >= 0 && it->action != ACTION_TERMINATING;
    if (!x->is_selected)
        it->action = ACTION_VIRTUAL;
    else if (!x->is_chosen && is_there && it->action != ACTION_VIRTUAL &&
             it->action != ACTION_HOOK_DONE)
        it->action = ACTION_NONE;
}

void select_settle(struct run *r)
{
    if (!r->opts.keep_needed || !select_is_part(r))
        return;
    memset(r->plan->counts, 0, sizeof(r->plan->counts));
    for (size_t i = 0; i < r->plan->items.len; i++) {
        struct plan_item *it = &r->plan->items.v[i];
        if (it->object >= 0) {
            settle_object(r, it);
        } else if (it->action == ACTION_PRUNE || it->action == ACTION_LEFT) {
            it->action = ACTION_KEEP;
            str_set(&it->reason, "this run is about a part of it");
        }
        r->plan->counts[it->action]++;
    }
}
