// SPDX-License-Identifier: Apache-2.0
//
// What people and machines ask of a run: states, the chain of waiting, the critical path.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// The graph has no cycles; the bound only guards against a programming mistake.
#define MAX_CHAIN 1000

void view_index(struct run *r)
{
    size_t n_apps = r->desired->apps.len;
    size_t n = r->desired->objects.len;
    r->app_first = mem_alloc((n_apps + 2) * sizeof(*r->app_first));
    r->app_objects = mem_alloc((n + 1) * sizeof(*r->app_objects));
    for (size_t i = 0; i < n; i++)
        r->app_first[r->desired->objects.v[i].app + 2]++;
    for (size_t i = 2; i <= n_apps; i++)
        r->app_first[i] += r->app_first[i - 1];
    // Counting sort: app_first[a + 1] runs from the beginning of a's range to its end.
    for (unsigned i = 0; i < n; i++)
        r->app_objects[r->app_first[r->desired->objects.v[i].app + 1]++] = i;
}

void run_node(const struct run *r, unsigned node, struct node_view *out)
{
    const struct node_rt *x = &r->nodes[node];
    *out = (struct node_view){
        .state = x->state,
        .health = x->health,
        .message = x->message ? x->message : "",
        .error = x->error,
        .since_ms = x->since_ms,
        .sent_ms = x->sent_ms,
        .applied_ms = x->applied_ms,
        .ready_ms = x->ready_ms,
        .tries = x->tries,
        .action = is_object(r, node) ? action_name(node_action(r, node)) : "",
    };
}

enum run_part run_part(const struct run *r, unsigned node)
{
    const struct node_rt *x = &r->nodes[node];
    return x->is_chosen ? PART_CHOSEN : x->is_selected ? PART_NEEDED : PART_NONE;
}

static bool blocks(const struct run *r, const struct edge *e)
{
    return edge_counts(r, e) && !edge_holds(r, e);
}

// Which of several things a node waits for tells most: what failed, then what does not come by
// itself (a missing thing, a gate that says what it lacks, a degraded object), then what is under
// way.
static int urgency(const struct run *r, unsigned node)
{
    const struct node_rt *x = &r->nodes[node];
    switch (x->state) {
    case NODE_FAILED:
        return 5;
    case NODE_BLOCKED:
        return 4;
    case NODE_IN_FLIGHT:
    case NODE_QUEUED:
    case NODE_APPLIED:
        return x->health == HEALTH_DEGRADED ? 3 : 2;
    default:
        break;
    }
    enum node_kind k = r->graph->nodes.v[node].kind;
    return k == NODE_EXTERNAL || (k == NODE_WEBHOOK && x->message) ? 3 : 1;
}

// What is applied but not ready may wait for something itself: an ExternalSecret for its store.
static bool is_link(const struct run *r, unsigned node)
{
    enum node_state s = r->nodes[node].state;
    return s != NODE_FAILED && s != NODE_READY && s != NODE_IN_FLIGHT;
}

static const struct edge *next_link(const struct run *r, unsigned node, bool deep);

static unsigned end_of(const struct run *r, unsigned node)
{
    for (int i = 0; i < MAX_CHAIN && is_link(r, node); i++) {
        const struct edge *e = next_link(r, node, false);
        if (!e)
            break;
        node = e->to;
    }
    return node;
}

// deep: each candidate is judged by what it leads to, not by itself. Only the first link of a chain
// is chosen so, where an application waits for all of its objects: with barriers between, doing so
// at every link would visit every path there is.
static const struct edge *next_link(const struct run *r, unsigned node, bool deep)
{
    const struct node *n = &r->graph->nodes.v[node];
    const struct edge *best = NULL;
    unsigned best_end = 0;
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (!blocks(r, e))
            continue;
        unsigned end = deep ? end_of(r, e->to) : e->to;
        if (!best || urgency(r, end) > urgency(r, best_end) ||
            (urgency(r, end) == urgency(r, best_end) &&
             r->nodes[end].since_ms < r->nodes[best_end].since_ms)) {
            best = e;
            best_end = end;
        }
    }
    return best;
}

size_t run_why(const struct run *r, unsigned node, struct chain_link **out)
{
    VEC(struct chain_link) chain = {0};
    *vec_push(&chain) = (struct chain_link){node, NULL};
    while (chain.len < MAX_CHAIN && is_link(r, chain.v[chain.len - 1].node)) {
        const struct edge *e = next_link(r, chain.v[chain.len - 1].node, chain.len == 1);
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
    for (unsigned k = r->app_first[app]; k < r->app_first[app + 1]; k++) {
        unsigned i = r->app_objects[k];
        if (r->nodes[i].state == NODE_FAILED)
            return str_printf("%s: %s", r->graph->nodes.v[i].label,
                              r->nodes[i].message ? r->nodes[i].message : "failed");
    }
    return str_dup("");
}

static enum health app_health(const struct run *r, unsigned app)
{
    enum health worst = HEALTH_HEALTHY;
    for (unsigned k = r->app_first[app]; k < r->app_first[app + 1]; k++) {
        unsigned i = r->app_objects[k];
        const struct object *o = &r->desired->objects.v[i];
        const struct node_rt *x = &r->nodes[i];
        if (o->is_virtual || o->is_hook)
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

const struct object_id *run_item_id(const struct run *r, size_t item, const char **app)
{
    const struct plan_item *it = &r->plan->items.v[item];
    if (it->object < 0) {
        *app = r->records.v[it->record].app;
        return &r->records.v[it->record].id;
    }
    *app = r->desired->apps.v[r->desired->objects.v[it->object].app]->name;
    return &r->desired->objects.v[it->object].id;
}

size_t run_app_objects(const struct run *r, unsigned app, const unsigned **objects)
{
    *objects = r->app_objects + r->app_first[app];
    return r->app_first[app + 1] - r->app_first[app];
}

void app_view_clear(struct app_view *v)
{
    str_freep(&v->waits_for);
    str_freep(&v->problem);
}

// The root is no application of its own when everything it owns is only read.
static bool counts_as_app(const struct run *r, unsigned app)
{
    return r->nodes[r->graph->app_end[app]].is_selected && select_is_chosen_app(r, app) &&
           desired_takes(r->desired, app) && r->desired->apps.v[app]->state != APP_OTHER_CLUSTER &&
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

// Back from the object that was ready last, until it is something of others.
int run_app_waited(const struct run *r, unsigned app, int64_t *until_ms)
{
    int at = -1;
    for (unsigned k = r->app_first[app]; k < r->app_first[app + 1]; k++) {
        unsigned i = r->app_objects[k];
        if (r->nodes[i].ready_ms && (at < 0 || r->nodes[i].ready_ms > r->nodes[at].ready_ms))
            at = (int)i;
    }
    for (int i = 0; i < MAX_CHAIN && at >= 0; i++) {
        const struct node *n = &r->graph->nodes.v[at];
        enum node_kind k = n->kind;
        if (k == NODE_WEBHOOK || k == NODE_EXTERNAL || n->app != app) {
            const struct node_rt *x = &r->nodes[at];
            *until_ms = x->ready_ms ? x->ready_ms : x->applied_ms;
            return at;
        }
        at = latest(r, (unsigned)at);
    }
    return -1;
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
