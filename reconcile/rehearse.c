// SPDX-License-Identifier: Apache-2.0
//
// A dry run of everything that a plan would send, each object by a request of its own that the
// server answers and forgets. What cannot be asked about before something else is there (its
// namespace, its kind, a webhook) is no failure.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define AT_ONCE 32
#define TRIES 5 // for what may be another time

struct rehearsal {
    struct run *run;
    unsigned node, *open, tries;
};

static bool send(struct run *r, unsigned node, unsigned *open, unsigned tries);

static bool is_same(const struct run *r, const struct plan_item *it, const json_t *doc)
{
    const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
    struct sha256 would;
    return f && f->has_projection && projection_of(doc, run_manager(r), &would) &&
           sha256_eq(&would, &f->projection);
}

static void settle(struct run *r, unsigned node, enum action a)
{
    struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    r->plan->counts[it->action]--;
    it->action = a;
    r->plan->counts[a]++;
}

// True: it was sent again.
static bool answered(struct rehearsal *x, const struct kube_reply *reply)
{
    struct run *r = x->run;
    const struct object *o = &r->desired->objects.v[x->node];
    const struct plan_item *it = &r->plan->items.v[r->nodes[x->node].item];
    const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
    CLEANUP(json_freep) json_t *doc = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    bool may_retry = x->tries < TRIES;
    switch (reply->cls) {
    case KUBE_OK:
        if (it->action == ACTION_CHECK)
            settle(r, x->node, doc && is_same(r, it, doc) ? ACTION_NONE : ACTION_CHANGE);
        return false;
    case KUBE_CONFLICT:
        if (f && f->is_client_side) // it would be taken over first, and conflict no more
            return false;
        if (leave_to_others(r, x->node, reply) && may_retry)
            return send(r, x->node, x->open, x->tries + 1);
        break;
    case KUBE_INVALID:
        if (leave_to_others(r, x->node, reply) && may_retry)
            return send(r, x->node, x->open, x->tries + 1);
        break;
    case KUBE_IMMUTABLE:
        if (!(o->options & SYNC_FORCE))
            break;
        settle(r, x->node, ACTION_RECREATE);
        return false;
    case KUBE_LOST:
    case KUBE_RETRY:
    case KUBE_THROTTLED:
        if (may_retry)
            return send(r, x->node, x->open, x->tries + 1);
        break;
    case KUBE_NO_KIND:
    case KUBE_GATE:
    case KUBE_NO_NAMESPACE:
    case KUBE_MISSING_REF:
    case KUBE_ABSENT:
        state_message(r, x->node, reply->message);
        return false;
    case KUBE_CANCELLED:
        return false;
    case KUBE_DENIED:
    case KUBE_UNAUTHORIZED:
        break;
    }
    fail_with(r, x->node, reply);
    return false;
}

static void on_rehearsed(void *ctx, const struct kube_reply *reply)
{
    struct rehearsal *x = ctx;
    x->run->pending_calls--;
    x->run->sum.probes++;
    --*x->open;
    answered(x, reply);
    free(x);
}

static bool send(struct run *r, unsigned node, unsigned *open, unsigned tries)
{
    const struct object *o = &r->desired->objects.v[node];
    CLEANUP(str_freep) char *path = send_path(r, o);
    struct buf body CLEANUP(buf_clear) = {0};
    if (!path) {
        CLEANUP(str_freep) char *why = unserved_text(r, o);
        state_message(r, node, why);
        return false;
    }
    struct rehearsal *x = mem_alloc(sizeof(*x));
    *x = (struct rehearsal){r, node, open, tries};
    ++*open;
    r->pending_calls++;
    struct kube_apply_opts opts = {.dry_run = true,
                                   .force = may_force(r, node),
                                   .manager = run_manager(r),
                                   .patience_ms = run_patience(r)};
    send_body(r, node, &body);
    run_owns(r, kube_apply(r->kube, path, body.p, body.len, &opts, on_rehearsed, x));
    return true;
}

static bool is_sent(const struct plan_item *it)
{
    return it->object >= 0 && (it->action == ACTION_CREATE || it->action == ACTION_CHANGE ||
                               it->action == ACTION_CHECK || it->action == ACTION_REPLACE);
}

bool run_rehearse(struct run *r, struct err *err)
{
    unsigned open = 0;
    bool ok = true;
    size_t i = 0;
    while (ok && (i < r->plan->items.len || open)) {
        if (i < r->plan->items.len && open < AT_ONCE) {
            const struct plan_item *it = &r->plan->items.v[i++];
            if (is_sent(it) && r->nodes[it->object].is_selected)
                send(r, (unsigned)it->object, &open, 0);
            continue;
        }
        loop_run_once(r->loop, 100);
        ok = !run_is_lost(r, err) && !run_has_failed(r, err);
        if (ok && loop_stopping(r->loop))
            ok = loop_stopped(r->loop, err, "trying what would be sent");
        ok = ok && !run_is_ended(r);
    }
    // What is still under way points here.
    kube_cancel_owned(r->kube, r);
    while (open)
        loop_run_once(r->loop, 100);
    return ok || !err_is_set(err);
}
