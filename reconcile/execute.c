// SPDX-License-Identifier: Apache-2.0
//
// Carrying the plan out: a queue by longest remaining path, a window of requests in flight that
// adapts to the server, and one loop to the end or the deadline.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// Measured on one API server: the best rate lies between 32 and 64 in flight; 429 begins near 350.
#define WINDOW_CAP 64.0
#define WINDOW_FLOOR 4.0
// The server compiles each CRD's schema; more than four at once only delay each other.
#define CRDS_IN_FLIGHT 4
// How long answers are waited for when the run is over, or has been told to be.
#define SETTLE_MS 10000
#define SETTLE_STOPPED_MS 3000
// Two renewals of the lease have had no answer.
#define SILENT_MS 10000
// Longer than a control plane takes that is being replaced.
#define LOST_MS 600000

static bool is_crd(const struct run *r, unsigned node)
{
    return !strcmp(r->desired->objects.v[node].id.kind, "CustomResourceDefinition");
}

static unsigned waiters(const struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    unsigned count = 0;
    for (unsigned i = 0; i < n->n_in; i++)
        count += is_object(r, r->graph->edges.v[r->graph->in[n->first_in + i]].from);
    return count;
}

// CRDs somebody waits for go first, the small ones before the large; everything else by the
// longest path behind it.
static bool goes_before(const struct run *r, unsigned a, unsigned b, bool crds)
{
    if (crds) {
        bool wa = waiters(r, a) > 0;
        bool wb = waiters(r, b) > 0;
        if (wa != wb)
            return wa;
        size_t la = r->desired->objects.v[a].body_len;
        size_t lb = r->desired->objects.v[b].body_len;
        if (la != lb)
            return la < lb;
    }
    double wa = r->graph->nodes.v[a].weight;
    double wb = r->graph->nodes.v[b].weight;
    return wa > wb || (wa == wb && a < b);
}

static void sift_up(const struct run *r, unsigned *v, size_t i, bool crds)
{
    while (i > 0 && goes_before(r, v[i], v[(i - 1) / 2], crds)) {
        unsigned t = v[i];
        v[i] = v[(i - 1) / 2];
        v[(i - 1) / 2] = t;
        i = (i - 1) / 2;
    }
}

static void sift_down(const struct run *r, unsigned *v, size_t len, bool crds)
{
    size_t i = 0;
    for (;;) {
        size_t best = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < len; c++)
            if (goes_before(r, v[c], v[best], crds))
                best = c;
        if (best == i)
            return;
        unsigned t = v[i];
        v[i] = v[best];
        v[best] = t;
        i = best;
    }
}

void queue_push(struct run *r, unsigned node)
{
    if (is_crd(r, node)) {
        *vec_push(&r->crd_queue) = node;
        sift_up(r, r->crd_queue.v, r->crd_queue.len - 1, true);
    } else {
        *vec_push(&r->queue) = node;
        sift_up(r, r->queue.v, r->queue.len - 1, false);
    }
}

static unsigned pop_crd(struct run *r)
{
    unsigned top = r->crd_queue.v[0];
    r->crd_queue.v[0] = r->crd_queue.v[--r->crd_queue.len];
    sift_down(r, r->crd_queue.v, r->crd_queue.len, true);
    return top;
}

static unsigned pop(struct run *r)
{
    unsigned top = r->queue.v[0];
    r->queue.v[0] = r->queue.v[--r->queue.len];
    sift_down(r, r->queue.v, r->queue.len, false);
    return top;
}

void queue_later(struct run *r, unsigned node, int64_t delay_ms)
{
    r->nodes[node].not_before_ms = clock_mono_ms() + delay_ms;
    if (r->nodes[node].state != NODE_QUEUED)
        state_set(r, node, NODE_QUEUED);
    *vec_push(&r->delayed) = node;
}

static void release_delayed(struct run *r)
{
    int64_t now = clock_mono_ms();
    size_t kept = 0;
    for (size_t i = 0; i < r->delayed.len; i++) {
        unsigned node = r->delayed.v[i];
        if (r->nodes[node].not_before_ms > now)
            r->delayed.v[kept++] = node;
        else if (r->nodes[node].state == NODE_QUEUED)
            queue_push(r, node);
    }
    r->delayed.len = kept;
}

// What became held back after it was queued (a webhook nobody announced) waits again.
static bool may_go(struct run *r, unsigned node)
{
    struct node_rt *x = &r->nodes[node];
    if (x->state != NODE_QUEUED)
        return false;
    if (x->pending == 0)
        return true;
    state_set(r, node, NODE_WAITING);
    return false;
}

static void pump(struct run *r)
{
    struct window *w = &r->window;
    if (kube_is_down(r->kube) || !lease_is_good(r))
        return;
    while (r->crd_queue.len && w->crds_in_flight < CRDS_IN_FLIGHT) {
        unsigned node = pop_crd(r);
        if (may_go(r, node))
            send_object(r, node);
    }
    while (r->queue.len && w->in_flight < (unsigned)w->size) {
        unsigned node = pop(r);
        if (may_go(r, node))
            send_object(r, node);
    }
    w->has_been_full = r->queue.len > 0;
}

void window_reply(struct run *r, const struct call_ctx *c, const struct kube_reply *reply)
{
    struct window *w = &r->window;
    if (reply->cls == KUBE_THROTTLED) {
        r->sum.throttled++;
        if (clock_mono_ms() - w->halved_ms > 1000) {
            w->size = w->size / 2 < WINDOW_FLOOR ? WINDOW_FLOOR : w->size / 2;
            w->halved_ms = clock_mono_ms();
        }
        return;
    }
    if (reply->cls != KUBE_OK || c->is_crd || reply->ms <= 0)
        return;
    double ms = (double)reply->ms;
    w->recent_ms = w->recent_ms > 0 ? w->recent_ms * 0.9 + ms * 0.1 : ms;
    w->best_ms = w->best_ms > 0 && w->best_ms < w->recent_ms ? w->best_ms * 0.999 + ms * 0.001
                                                             : w->recent_ms;
    // A window nobody fills tells nothing; one that is full grows while latency grows slower.
    bool calm = w->recent_ms < 25 || w->recent_ms < 4 * w->best_ms;
    if (w->has_been_full && calm && w->size < WINDOW_CAP)
        w->size += w->halved_ms ? 1.0 / w->size : 0.5;
    else if (!calm && w->size > 8)
        w->size -= 1.0 / w->size;
}

// Anything that may still happen without a new event from the cluster?
static bool has_work(const struct run *r)
{
    return r->queue.len || r->crd_queue.len || r->delayed.len || r->window.in_flight ||
           r->window.crds_in_flight;
}

static void rebuild_graph(struct run *r)
{
    r->has_new_webhook = false;
    struct graph *g = NULL;
    struct err err = {0};
    if (!graph_of_live(r, &g, &err)) {
        // The webhook closes a cycle that the manifests alone do not have: go on as before; the
        // server's own refusals are retried.
        event_emit(r->opts.events, "run.warning", "{s:s}", "message", err.msg);
        err_clear(&err);
        return;
    }
    state_rebuild(r, g);
    observe_externals(r);
}

static bool is_over(struct run *r)
{
    if (r->open == 0 && !has_work(r))
        return state_release_sync_fail(r) == 0;
    return false;
}

bool lease_is_good(const struct run *r)
{
    return !r->lease || lease_keeper_is_good(r->lease);
}

bool run_has_failed(const struct run *r, struct err *err)
{
    if (err_is_set(&r->fatal)) {
        err_copy(err, &r->fatal);
        return true;
    }
    return r->lease && lease_keeper_is_lost(r->lease) &&
           !err_set(err, ERR_CONFLICT,
                    "another regrow has taken this cluster over while this one was cut off");
}

// Nothing is on its way: whoever has something newer need not wait for what this run waits for.
bool run_is_superseded(struct run *r)
{
    const struct window *w = &r->window;
    if (r->queue.len || r->crd_queue.len || w->in_flight || w->crds_in_flight)
        return false;
    bool is_newer = r->opts.is_superseded && r->opts.is_superseded(r->opts.superseded_ctx);
    r->sum.is_superseded |= is_newer;
    return is_newer || (r->opts.leaves_health && !run_owes(r));
}

bool run_is_ended(struct run *r)
{
    bool yes = r->opts.is_ended && r->opts.is_ended(r->opts.superseded_ctx);
    r->sum.is_superseded |= yes;
    return yes;
}

bool run_owes(const struct run *r)
{
    for (unsigned i = 0; i < r->desired->objects.len; i++)
        if (r->nodes[i].is_selected &&
            (r->nodes[i].state == NODE_WAITING || r->nodes[i].state == NODE_QUEUED))
            return true;
    return run_unpruned(r, NULL) > 0;
}

int64_t run_time_left(const struct run *r)
{
    int64_t left = r->opts.deadline_ms - clock_mono_ms();
    return !r->opts.deadline_ms ? INT64_MAX : left > 0 ? left : 0;
}

int64_t run_patience(const struct run *r)
{
    int64_t left = run_time_left(r);
    return left < KUBE_PATIENCE_MS ? left : KUBE_PATIENCE_MS;
}

bool run_is_cut_off(const struct run *r)
{
    return kube_is_down(r->kube) || kube_unanswered_ms(r->kube) > SILENT_MS;
}

static bool lost(const struct run *r, struct err *err)
{
    CLEANUP(str_freep) char *silence = clock_duration_text(kube_unanswered_ms(r->kube));
    err_set(err, ERR_UNAVAILABLE, "lost the API server (no answer for %s)", silence);
    return err_hint(err, "What was written so far stands. Run the same command again when the "
                         "server is back: it continues where it is.");
}

bool run_is_lost(const struct run *r, struct err *err)
{
    int64_t longest = r->opts.lost_ms ? r->opts.lost_ms : LOST_MS;
    bool is_lost =
        kube_unanswered_ms(r->kube) > longest || (run_time_left(r) == 0 && run_is_cut_off(r));
    if (is_lost)
        lost(r, err);
    return is_lost;
}

static bool drive(struct run *r, struct err *err)
{
    for (;;) {
        if (r->has_new_webhook)
            rebuild_graph(r);
        release_delayed(r);
        if (run_is_ended(r))
            return true;
        pump(r);
        gates_step(r);
        if (run_has_failed(r, err))
            return false;
        if (is_over(r) || run_is_superseded(r))
            return true;
        if (loop_stopping(r->loop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        r->sum.is_timed_out = run_time_left(r) == 0;
        if (run_is_lost(r, err))
            return false;
        if (r->sum.is_timed_out)
            return true;
        loop_run_once(r->loop, r->delayed.len ? 50 : 200);
    }
}

// Answers still under way decide what the inventory may say; a bounded while is given to them, and
// none where nobody answers.
static void settle(struct run *r, int64_t max_ms)
{
    int64_t end = clock_mono_ms() + max_ms;
    while (r->pending_calls && clock_mono_ms() < end && !run_is_cut_off(r))
        loop_run_once(r->loop, 50);
    kube_cancel_owned(r->kube, r);
}

// The records of what has been done are worth waiting for, as long as nobody waits for the run.
static int64_t records_ms(const struct run *r)
{
    int64_t ms = loop_stopping(r->loop) ? 0 : run_patience(r);
    return ms < SETTLE_MS ? SETTLE_MS : ms;
}

bool run_execute(struct run *r, struct err *err)
{
    if (!r->started_ms)
        r->started_ms = clock_mono_ms();
    event_emit(r->opts.events, "run.started", "{s:I, s:I}", "apps",
               (json_int_t)r->desired->apps.len, "objects", (json_int_t)r->desired->objects.len);
    if (!inventory_write_intent(r, err))
        return false;
    state_start(r);
    bool ok = drive(r, err);
    settle(r, ok ? SETTLE_MS : SETTLE_STOPPED_MS);
    if (ok && !r->sum.is_timed_out && !r->sum.is_superseded)
        ok = prune_execute(r, err);
    if (ok)
        left_tell(r);
    // Who has lost the lease leaves its intent behind: whoever has it finds what was made.
    if (!run_is_cut_off(r) && lease_is_good(r)) {
        inventory_write_rest(r);
        settle(r, records_ms(r));
        inventory_let_go(r);
        hooks_cleanup(r);
        settle(r, SETTLE_MS);
    }
    if (r->own_lease)
        lease_keeper_give_up(r->own_lease);
    r->ended_ms = clock_mono_ms();
    // What could not be read back, or recorded, is not known to be done.
    if (ok && run_is_cut_off(r))
        ok = lost(r, err);
    struct run_summary s;
    run_summary(r, &s);
    event_emit(r->opts.events, "run.finished", "{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "ms",
               (json_int_t)s.ms, "applications", (json_int_t)s.apps, "healthy",
               (json_int_t)s.apps_healthy, "written", (json_int_t)s.written, "pruned",
               (json_int_t)s.pruned, "rejected", (json_int_t)s.rejected, "timedOut",
               s.is_timed_out);
    return ok;
}
