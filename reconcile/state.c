// SPDX-License-Identifier: Apache-2.0
//
// Node states. What an edge asks for, once given, is never taken back within a run, so every node
// merely counts the edges that do not hold yet; reaching zero releases it, and a failure blocks
// everything behind it.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

bool is_object(const struct run *r, unsigned node)
{
    return node < r->desired->objects.len;
}

enum action node_action(const struct run *r, unsigned node)
{
    int item = is_object(r, node) ? r->nodes[node].item : -1;
    return item < 0 ? ACTION_VIRTUAL : r->plan->items.v[item].action;
}

bool state_is_end(enum node_state s)
{
    return s == NODE_READY || s == NODE_FAILED || s == NODE_BLOCKED || s == NODE_SKIPPED;
}

bool edge_counts(const struct run *r, const struct edge *e)
{
    return !e->is_dropped && r->nodes[e->to].is_selected;
}

bool edge_holds(const struct run *r, const struct edge *e)
{
    const struct node_rt *to = &r->nodes[e->to];
    return e->need == NEED_APPLIED ? to->is_applied : to->is_ready;
}

// Gates and external things have no end of their own: they matter only to what waits for them.
static bool counts_as_open(const struct run *r, unsigned node)
{
    enum node_kind k = r->graph->nodes.v[node].kind;
    return k != NODE_WEBHOOK && k != NODE_EXTERNAL;
}

static bool is_gate(const struct run *r, unsigned node)
{
    return r->graph->nodes.v[node].kind == NODE_WEBHOOK;
}

static void count_app(struct run *r, unsigned node, enum node_state s, int by)
{
    if (!is_object(r, node) || r->desired->objects.v[node].is_virtual)
        return;
    struct app_rt *a = &r->apps[r->desired->objects.v[node].app];
    size_t *slot = s == NODE_READY     ? &a->ready
                   : s == NODE_FAILED  ? &a->failed
                   : s == NODE_BLOCKED ? &a->blocked
                   : s == NODE_APPLIED ? &a->applied
                                       : NULL;
    if (slot)
        *slot = by > 0 ? *slot + 1 : *slot - 1;
}

void state_set(struct run *r, unsigned node, enum node_state s)
{
    struct node_rt *x = &r->nodes[node];
    if (x->state == s)
        return;
    if (counts_as_open(r, node)) {
        if (state_is_end(s) && !state_is_end(x->state))
            r->open--;
        else if (!state_is_end(s) && state_is_end(x->state))
            r->open++;
    }
    count_app(r, node, x->state, -1);
    count_app(r, node, s, 1);
    x->state = s;
    x->since_ms = clock_mono_ms();
    if (s == NODE_IN_FLIGHT && is_object(r, node)) {
        struct app_rt *a = &r->apps[r->desired->objects.v[node].app];
        if (!a->started_ms)
            a->started_ms = x->since_ms;
    }
}

void state_message(struct run *r, unsigned node, const char *msg)
{
    str_set(&r->nodes[node].message, msg && *msg ? msg : NULL);
}

static void emit_app(struct run *r, unsigned app, const char *type)
{
    const struct application *a = r->desired->apps.v[app];
    struct app_rt *t = &r->apps[app];
    event_emit(r->opts.events, type, "{s:s, s:I, s:I}", "app", a->name, "objects",
               (json_int_t)t->total, "ms",
               (json_int_t)(t->started_ms ? clock_mono_ms() - t->started_ms : 0));
}

static void emit_object(struct run *r, unsigned node, const char *type)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct node_rt *x = &r->nodes[node];
    event_emit(r->opts.events, type, "{s:s, s:s, s:s, s:s*, s:s, s:s, s:s*}", "app",
               r->desired->apps.v[o->app]->name, "group", o->id.group, "kind", o->id.kind,
               "namespace", o->id.namespace, "name", o->id.name, "action",
               action_name(node_action(r, node)), "message", x->message);
}

// An object that nobody has to send: it is there already, or never goes to the server.
static void release_object(struct run *r, unsigned node)
{
    struct node_rt *x = &r->nodes[node];
    switch (node_action(r, node)) {
    case ACTION_VIRTUAL:
    case ACTION_HOOK_DONE:
        state_applied(r, node);
        state_ready(r, node);
        return;
    case ACTION_NONE:
        return; // judged by its live health, from the start
    default:
        if (x->state != NODE_WAITING || r->opts.read_only)
            return;
        state_set(r, node, NODE_QUEUED);
        queue_push(r, node);
    }
}

static void release(struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    if (state_is_end(r->nodes[node].state))
        return;
    switch (n->kind) {
    case NODE_OBJECT:
        release_object(r, node);
        return;
    case NODE_APP_START:
        emit_app(r, n->app, "app.started");
        break;
    case NODE_APP_END:
        emit_app(r, n->app, "app.ready");
        break;
    case NODE_BARRIER:
        break;
    case NODE_WEBHOOK:
        if (!r->opts.read_only) {
            gates_recheck(r);
            return;
        }
        break; // who only looks takes it for open when what stands behind it is there
    case NODE_EXTERNAL:
        return;
    }
    state_applied(r, node);
    state_ready(r, node);
    if (n->kind == NODE_APP_END && !r->apps[n->app].has_prunings)
        inventory_write_app(r, n->app);
}

// Tells everything that waited for this node to reach `need`.
static void satisfy(struct run *r, unsigned node, enum need need)
{
    const struct node *n = &r->graph->nodes.v[node];
    bool gate = is_gate(r, node);
    for (unsigned i = 0; i < n->n_in; i++) {
        const struct edge *e = &r->graph->edges.v[r->graph->in[n->first_in + i]];
        if (e->need != need || !edge_counts(r, e))
            continue;
        struct node_rt *from = &r->nodes[e->from];
        from->pending--;
        if (gate)
            from->pending_gates--;
        if (from->pending == 0 && from->is_selected)
            release(r, e->from);
        else if (from->pending_gates && from->pending == from->pending_gates)
            gates_recheck(r);
    }
}

void state_applied(struct run *r, unsigned node)
{
    struct node_rt *x = &r->nodes[node];
    if (x->is_applied)
        return;
    x->is_applied = true;
    x->applied_ms = clock_mono_ms();
    if (!state_is_end(x->state))
        state_set(r, node, NODE_APPLIED);
    satisfy(r, node, NEED_APPLIED);
}

void state_ready(struct run *r, unsigned node)
{
    struct node_rt *x = &r->nodes[node];
    if (x->is_ready)
        return;
    x->is_ready = true;
    x->ready_ms = clock_mono_ms();
    bool was_end = state_is_end(x->state);
    if (!was_end)
        state_set(r, node, NODE_READY);
    if (is_object(r, node) && !r->desired->objects.v[node].is_virtual && !was_end) {
        emit_object(r, node, "object.ready");
        state_message(r, node, NULL);
    }
    if (is_gate(r, node))
        event_emit(r->opts.events, "gate.open", "{s:s, s:i}", "webhook",
                   r->graph->nodes.v[node].label, "tries", (int)x->tries);
    satisfy(r, node, NEED_READY);
}

// Blocks what waits for `first`, and what waits for that.
static void block_dependents(struct run *r, unsigned first)
{
    VEC(unsigned) todo = {0};
    *vec_push(&todo) = first;
    while (todo.len) {
        unsigned node = todo.v[--todo.len];
        const struct node *n = &r->graph->nodes.v[node];
        for (unsigned i = 0; i < n->n_in; i++) {
            const struct edge *e = &r->graph->edges.v[r->graph->in[n->first_in + i]];
            struct node_rt *from = &r->nodes[e->from];
            if (!edge_counts(r, e) || edge_holds(r, e) || !from->is_selected ||
                state_is_end(from->state) || from->state == NODE_IN_FLIGHT)
                continue;
            // What is applied goes on to its own health; it only waits no more.
            if (from->is_applied && is_object(r, e->from))
                continue;
            state_set(r, e->from, NODE_BLOCKED);
            if (r->graph->nodes.v[e->from].kind == NODE_APP_END)
                emit_app(r, r->graph->nodes.v[e->from].app, "app.blocked");
            *vec_push(&todo) = e->from;
        }
    }
    vec_clear(&todo);
}

void state_fail(struct run *r, unsigned node, enum err_kind kind, const char *msg)
{
    struct node_rt *x = &r->nodes[node];
    if (state_is_end(x->state))
        return;
    x->error = kind;
    state_message(r, node, msg);
    state_set(r, node, NODE_FAILED);
    if (is_object(r, node))
        emit_object(r, node, "object.failed");
    else if (r->graph->nodes.v[node].kind == NODE_APP_END)
        event_emit(r->opts.events, "app.failed", "{s:s, s:s}", "app",
                   r->desired->apps.v[r->graph->nodes.v[node].app]->name, "message", msg);
    block_dependents(r, node);
}

static bool is_job(const struct object *o)
{
    return !strcmp(o->id.kind, "Job") && !strcmp(o->id.group, "batch");
}

static void set_health(struct run *r, unsigned node, const struct health_result *h)
{
    const struct object *o = &r->desired->objects.v[node];
    struct node_rt *x = &r->nodes[node];
    if (x->state == NODE_FAILED)
        return;
    enum health_verdict verdict = health_verdict(h, o->is_hook, is_job(o));
    x->health = h->status;
    if (!x->is_ready)
        state_message(r, node, h->message);
    if (verdict == HEALTH_DONE)
        state_ready(r, node);
    else if (verdict == HEALTH_FAILED)
        state_fail(r, node, ERR_PARTIAL, *h->message ? h->message : "it failed");
}

struct judging run_judging(const struct run *r)
{
    return (struct judging){r->health, r->opts.ready, r->opts.n_ready};
}

void state_health(struct run *r, unsigned node, const json_t *doc)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct judging by = run_judging(r);
    struct live_fact f = {.id = o->id};
    fact_judge(&f, &by, doc, o->is_hook);
    set_health(r, node, &f.health);
    health_result_clear(&f.health);
}

static void count_pending(struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    struct node_rt *x = &r->nodes[node];
    x->pending = x->pending_gates = 0;
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (!edge_counts(r, e) || edge_holds(r, e))
            continue;
        x->pending++;
        x->pending_gates += is_gate(r, e->to);
    }
}

static bool is_crd_changed(const struct run *r, const struct object *o)
{
    const struct node *n = &r->graph->nodes.v[o - r->desired->objects.v];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (e->why != WHY_CRD || e->is_dropped || !is_object(r, e->to))
            continue;
        enum action a = node_action(r, e->to);
        return a == ACTION_CHANGE || a == ACTION_CHECK || a == ACTION_REPLACE;
    }
    return false;
}

static void init_object(struct run *r, unsigned node)
{
    const struct object *o = &r->desired->objects.v[node];
    struct node_rt *x = &r->nodes[node];
    enum action a = node_action(r, node);
    if (o->phase == PHASE_SYNCFAIL)
        x->is_selected = false; // released when its application has failed
    if (!o->is_virtual && o->phase != PHASE_SYNCFAIL && (x->is_selected || !r->opts.keep_needed))
        r->apps[o->app].total++;
    const struct plan_item *it = x->item < 0 ? NULL : &r->plan->items.v[x->item];
    const struct live_fact *f = !it || it->live < 0 ? NULL : &r->facts.v[it->live];
    if (f && !f->is_unknown) {
        x->is_live = true;
        x->health = f->health.status;
    }
    // Who only looks judges what is there as it is, even if it is to be changed.
    // A hook that has run and asked to be deleted then: a run that was killed before it came to
    // that has left it to this one.
    const struct record *rec = !it || it->record < 0 ? NULL : &r->records.v[it->record];
    if (a == ACTION_HOOK_DONE && f && rec && str_eq(f->uid, rec->uid))
        str_set(&x->uid, f->uid);
    bool stands = a == ACTION_NONE || (r->opts.read_only && f && !o->is_virtual);
    if (!stands) {
        x->needs_proof = is_crd_changed(r, o);
        return;
    }
    if (f && f->is_unknown) {
        state_message(r, node, "its kind could not be read");
        return;
    }
    x->is_applied = true;
    if (!f)
        return;
    x->generation = f->generation;
    if (o->is_hook)
        str_set(&x->uid, f->uid); // of an earlier run of the same content: it is this one's now
    x->is_ready = f->is_ready;
    if (!x->is_ready)
        state_message(r, node, f->health.message);
}

static void skip(struct run *r, unsigned node)
{
    r->nodes[node].is_applied = r->nodes[node].is_ready = true;
    state_set(r, node, NODE_SKIPPED);
}

// Applications of other clusters, and those that a part is not about, hold nobody up here.
static void skip_others(struct run *r)
{
    for (unsigned i = 0; i < r->desired->apps.len; i++) {
        bool is_taken = desired_takes(r->desired, i);
        if (!is_taken || r->desired->apps.v[i]->state == APP_OTHER_CLUSTER)
            skip(r, r->graph->app_end[i]);
        if (!is_taken)
            skip(r, r->graph->app_start[i]);
    }
}

// An application whose source could not be read fails as a whole, before anything is sent.
static void fail_unknown_apps(struct run *r)
{
    for (unsigned i = 0; i < r->desired->apps.len; i++) {
        const struct application *a = r->desired->apps.v[i];
        bool is_wanted = (r->nodes[r->graph->app_end[i]].is_selected || !r->opts.keep_needed) &&
                         desired_takes(r->desired, i);
        if (a->state == APP_UNKNOWN && is_wanted)
            state_fail(r, r->graph->app_end[i], a->problem.kind ? a->problem.kind : ERR_INVALID,
                       a->problem.msg ? a->problem.msg : "its source could not be read");
    }
}

void state_init(struct run *r)
{
    size_t n = r->graph->nodes.len;
    int64_t now = clock_mono_ms();
    r->nodes = mem_alloc((n + 1) * sizeof(*r->nodes));
    for (size_t i = 0; i < n; i++) {
        r->nodes[i].item = -1;
        r->nodes[i].since_ms = now;
    }
    for (size_t i = 0; i < r->plan->items.len; i++)
        if (r->plan->items.v[i].object >= 0)
            r->nodes[r->plan->items.v[i].object].item = (int)i;
    select_nodes(r);
    select_settle(r);
    for (unsigned i = 0; i < r->desired->objects.len; i++)
        init_object(r, i);
    for (unsigned i = 0; i < n; i++)
        r->open += counts_as_open(r, i);
    for (unsigned i = 0; i < n; i++) {
        if (!r->nodes[i].is_selected)
            state_set(r, i, NODE_SKIPPED);
        else if (r->nodes[i].is_ready)
            state_set(r, i, NODE_READY);
        else if (r->nodes[i].is_applied)
            state_set(r, i, NODE_APPLIED);
    }
    skip_others(r);
    for (unsigned i = 0; i < n; i++)
        count_pending(r, i);
    gates_init(r);
    fail_unknown_apps(r);
    shared_check(r);
}

void state_start(struct run *r)
{
    for (unsigned i = 0; i < r->graph->nodes.len; i++)
        if (r->nodes[i].is_selected && r->nodes[i].pending == 0)
            release(r, i);
}

// What the new graph calls a gate, barrier or application end is the old one's if it means the
// same; barriers and ends are simply counted again.
static void keep_gate(const struct graph *old, const struct node_rt *old_rt, size_t first,
                      const struct node *n, struct node_rt *x)
{
    for (size_t i = first; i < old->nodes.len; i++) {
        const struct node *o = &old->nodes.v[i];
        bool same = n->kind == NODE_WEBHOOK
                        ? str_eq(o->config_name, n->config_name) &&
                              str_eq(o->hook_name, n->hook_name) && o->is_mutating == n->is_mutating
                        : object_id_eq(&o->ext, &n->ext);
        if (o->kind != n->kind || !same)
            continue;
        x->is_applied = old_rt[i].is_applied;
        x->is_ready = old_rt[i].is_ready;
        x->tries = old_rt[i].tries;
        x->message = str_dup_or_null(old_rt[i].message);
        return;
    }
}

void state_rebuild(struct run *r, struct graph *next)
{
    struct graph *old = r->graph;
    struct node_rt *old_rt = r->nodes;
    size_t n_objects = r->desired->objects.len;
    r->graph = next;
    r->nodes = mem_alloc((next->nodes.len + 1) * sizeof(*r->nodes));
    memcpy(r->nodes, old_rt, n_objects * sizeof(*r->nodes));
    for (size_t i = n_objects; i < next->nodes.len; i++) {
        const struct node *n = &next->nodes.v[i];
        struct node_rt *x = &r->nodes[i];
        x->item = -1;
        x->since_ms = clock_mono_ms();
        if (n->kind == NODE_WEBHOOK || n->kind == NODE_EXTERNAL)
            keep_gate(old, old_rt, n_objects, n, x);
    }
    for (size_t i = n_objects; i < old->nodes.len; i++)
        free(old_rt[i].message);
    free(old_rt);
    graph_free(old);
    select_nodes(r);
    for (unsigned i = 0; i < n_objects; i++)
        if (r->nodes[i].state == NODE_SKIPPED)
            r->nodes[i].is_selected = false;
    r->open = 0;
    for (unsigned i = 0; i < next->nodes.len; i++)
        r->open += counts_as_open(r, i) && !state_is_end(r->nodes[i].state);
    for (unsigned i = (unsigned)n_objects; i < next->nodes.len; i++)
        if (!r->nodes[i].is_selected)
            state_set(r, i, NODE_SKIPPED);
    skip_others(r);
    for (unsigned i = 0; i < next->nodes.len; i++)
        count_pending(r, i);
    gates_init(r);
    fail_unknown_apps(r);
    for (unsigned i = 0; i < n_objects; i++)
        if (r->nodes[i].state == NODE_FAILED || r->nodes[i].state == NODE_BLOCKED)
            block_dependents(r, i);
    state_start(r);
}

size_t state_release_sync_fail(struct run *r)
{
    size_t n = 0;
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        if (o->phase != PHASE_SYNCFAIL || r->nodes[i].state != NODE_SKIPPED ||
            r->nodes[i].is_selected || !r->apps[o->app].failed)
            continue;
        r->nodes[i].is_selected = true;
        r->apps[o->app].total++; // only now it is one to count on
        state_set(r, i, NODE_QUEUED);
        queue_push(r, i);
        n++;
    }
    return n;
}
