// SPDX-License-Identifier: Apache-2.0
//
// What people and machines ask of a run: states, the chain of waiting, the critical path.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

void run_node(const struct run *r, unsigned node, struct node_view *out)
{
    const struct node_rt *x = &r->nodes[node];
    *out = (struct node_view){
        .state = x->state,
        .health = x->health,
        .message = x->message ? x->message : "",
        .error = x->error,
        .since_ms = x->since_ms,
        .applied_ms = x->applied_ms,
        .ready_ms = x->ready_ms,
        .tries = x->tries,
        .action = is_object(r, node) ? action_name(node_action(r, node)) : "",
    };
}

static bool blocks(const struct run *r, const struct edge *e)
{
    return edge_counts(r, e) && !edge_holds(r, e);
}

// Which of several things a node waits for tells most: what failed, then what is under way.
static int urgency(const struct run *r, unsigned node)
{
    switch (r->nodes[node].state) {
    case NODE_FAILED:
        return 4;
    case NODE_BLOCKED:
        return 3;
    case NODE_IN_FLIGHT:
    case NODE_QUEUED:
    case NODE_APPLIED:
        return 2;
    default:
        return 1;
    }
}

static const struct edge *next_link(const struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    const struct edge *best = NULL;
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (!blocks(r, e))
            continue;
        if (!best || urgency(r, e->to) > urgency(r, best->to) ||
            (urgency(r, e->to) == urgency(r, best->to) &&
             r->nodes[e->to].since_ms < r->nodes[best->to].since_ms))
            best = e;
    }
    return best;
}

size_t run_why(const struct run *r, unsigned node, struct chain_link **out)
{
    VEC(struct chain_link) chain = {0};
    *vec_push(&chain) = (struct chain_link){node, NULL};
    // The graph has no cycles; the bound only guards against a programming mistake.
    while (chain.len < 1000) {
        unsigned at = chain.v[chain.len - 1].node;
        enum node_state s = r->nodes[at].state;
        if (s == NODE_FAILED || s == NODE_READY || s == NODE_APPLIED || s == NODE_IN_FLIGHT)
            break;
        const struct edge *e = next_link(r, at);
        if (!e)
            break;
        *vec_push(&chain) = (struct chain_link){e->to, e};
    }
    *out = chain.v;
    return chain.len;
}

static char *waits_for(const struct run *r, unsigned app)
{
    struct chain_link *chain = NULL;
    size_t n = run_why(r, r->graph->app_end[app], &chain);
    unsigned last = chain[n - 1].node;
    free(chain);
    if (last == r->graph->app_end[app])
        return str_dup("");
    const struct node_rt *x = &r->nodes[last];
    return str_printf("%s%s%s", r->graph->nodes.v[last].label, x->message ? ": " : "",
                      x->message ? x->message : "");
}

static char *problem_of(const struct run *r, unsigned app)
{
    const struct node_rt *end = &r->nodes[r->graph->app_end[app]];
    if (end->state == NODE_FAILED)
        return str_dup(end->message ? end->message : "");
    for (unsigned i = 0; i < r->desired->objects.len; i++)
        if (r->desired->objects.v[i].app == app && r->nodes[i].state == NODE_FAILED)
            return str_printf("%s: %s", r->graph->nodes.v[i].label,
                              r->nodes[i].message ? r->nodes[i].message : "failed");
    return str_dup("");
}

static enum health app_health(const struct run *r, unsigned app)
{
    enum health worst = HEALTH_HEALTHY;
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        const struct node_rt *x = &r->nodes[i];
        if (o->app != app || o->is_virtual || o->is_hook)
            continue;
        enum health h = !x->is_applied && !x->is_live ? HEALTH_MISSING : x->health;
        worst = h > worst ? h : worst;
    }
    return worst;
}

void run_app(const struct run *r, unsigned app, struct app_view *out)
{
    const struct app_rt *a = &r->apps[app];
    const struct node_rt *end = &r->nodes[r->graph->app_end[app]];
    *out = (struct app_view){
        .state = end->state,
        .health = app_health(r, app),
        .total = a->total,
        .applied = a->applied + a->ready,
        .ready = a->ready,
        .failed = a->failed,
        .started_ms = a->started_ms,
        .ready_ms = end->ready_ms,
    };
    if (a->failed && out->state == NODE_BLOCKED)
        out->state = NODE_FAILED;
    else if (a->started_ms && out->state == NODE_WAITING)
        out->state = NODE_IN_FLIGHT;
    out->problem = problem_of(r, app);
    out->waits_for = end->is_ready || *out->problem ? str_dup("") : waits_for(r, app);
}

void app_view_clear(struct app_view *v)
{
    str_freep(&v->waits_for);
    str_freep(&v->problem);
}

// The root is no application of its own when everything it owns is only read.
static bool counts_as_app(const struct run *r, unsigned app)
{
    return r->nodes[r->graph->app_end[app]].is_selected &&
           r->desired->apps.v[app]->state != APP_OTHER_CLUSTER &&
           (app != 0 || r->apps[0].total > 0 || r->desired->apps.len == 1);
}

void run_summary(const struct run *r, struct run_summary *out)
{
    *out = r->sum;
    out->ms = (r->ended_ms ? r->ended_ms : clock_mono_ms()) - r->started_ms;
    for (unsigned i = 0; i < r->desired->objects.len; i++)
        out->unchanged += !r->desired->objects.v[i].is_virtual && node_action(r, i) == ACTION_NONE;
    for (unsigned i = 0; i < r->desired->apps.len; i++) {
        const struct node_rt *end = &r->nodes[r->graph->app_end[i]];
        if (!counts_as_app(r, i))
            continue;
        out->apps++;
        // The root counts by its own objects; its end waits for all the others.
        bool own = i == 0 && r->apps[0].ready == r->apps[0].total;
        if (r->desired->apps.v[i]->state == APP_UNKNOWN)
            out->apps_unknown++;
        else if (end->is_ready || own)
            out->apps_healthy++;
        else if (r->apps[i].failed || end->state == NODE_FAILED)
            out->apps_failed++;
        else if (end->state == NODE_BLOCKED)
            out->apps_blocked++;
        else
            out->apps_waiting++;
    }
}

// The edge that held last: what this node really waited for.
static int latest(const struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    int best = -1;
    int64_t at = 0;
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (e->is_dropped || !r->nodes[e->to].is_selected)
            continue;
        const struct node_rt *to = &r->nodes[e->to];
        int64_t t = e->need == NEED_APPLIED ? to->applied_ms : to->ready_ms;
        if (t > at) {
            at = t;
            best = (int)e->to;
        }
    }
    return best;
}

size_t run_critical_path(const struct run *r, struct path_step **out)
{
    VEC(struct path_step) back = {0};
    int at = -1;
    for (unsigned i = 0; i < r->desired->objects.len; i++)
        if (r->nodes[i].ready_ms && (at < 0 || r->nodes[i].ready_ms > r->nodes[at].ready_ms) &&
            !r->desired->objects.v[i].is_virtual)
            at = (int)i;
    while (at >= 0 && back.len < 1000) {
        int before = latest(r, (unsigned)at);
        int64_t start =
            before >= 0 && r->nodes[before].ready_ms ? r->nodes[before].ready_ms : r->started_ms;
        int64_t end = r->nodes[at].ready_ms ? r->nodes[at].ready_ms : r->nodes[at].applied_ms;
        enum node_kind k = r->graph->nodes.v[at].kind;
        bool sent = k == NODE_OBJECT && !r->desired->objects.v[at].is_virtual;
        if (sent || k == NODE_WEBHOOK || k == NODE_EXTERNAL)
            *vec_push(&back) = (struct path_step){(unsigned)at, end > start ? end - start : 0};
        at = before;
    }
    for (size_t i = 0; i < back.len / 2; i++) {
        struct path_step x = back.v[i];
        back.v[i] = back.v[back.len - 1 - i];
        back.v[back.len - 1 - i] = x;
    }
    *out = back.v;
    return back.len;
}
