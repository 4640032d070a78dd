// SPDX-License-Identifier: Apache-2.0
//
// One object's way to the server, and what each class of answer leads to (spec kubernetes-api
// section 4).
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
// A CRD's new schema is loaded within half a second; longer means the object really does not fit.
#define PROOF_MS 8000
#define REDISCOVER_MS 1000
#define RETRY_TRIES 12

json_t *reply_doc(const struct kube_reply *reply)
{
    struct err err = {0};
    json_t *doc = NULL;
    if (!canon_read(reply->body, reply->body_len, &doc, &err))
        err_clear(&err);
    return doc;
}

const char *run_manager(const struct run *r)
{
    return r->opts.manager ? r->opts.manager : "regrow";
}

const char *run_records(const struct run *r)
{
    return r->opts.records ? r->opts.records : REGROW_NAMESPACE;
}

char *send_path(const struct run *r, const struct object *o)
{
    const struct kind_info *k = kinds_find(r->desired->kinds, o->id.group, o->version, o->id.kind);
    return k ? kind_path(k, o->id.namespace, o->id.name) : NULL;
}

struct call_ctx *call_new(struct run *r, unsigned node)
{
    struct call_ctx *c = mem_alloc(sizeof(*c));
    c->run = r;
    c->node = node;
    r->pending_calls++;
    return c;
}

void call_end(struct call_ctx *c)
{
    c->run->pending_calls--;
    free(c);
}

void call_begin(struct call_ctx *c)
{
    struct window *w = &c->run->window;
    const struct object *o = &c->run->desired->objects.v[c->node];
    c->is_crd = !strcmp(o->id.kind, "CustomResourceDefinition");
    if (c->is_crd)
        w->crds_in_flight++;
    else
        w->in_flight++;
    struct node_rt *x = &c->run->nodes[c->node];
    x->sent_ms = clock_mono_ms();
    json_decref(x->early);
    x->early = NULL;
    state_set(c->run, c->node, NODE_IN_FLIGHT);
}

void call_answered(struct call_ctx *c, const struct kube_reply *reply)
{
    struct window *w = &c->run->window;
    if (c->is_crd)
        w->crds_in_flight--;
    else
        w->in_flight--;
    window_reply(c->run, c, reply);
}

void try_again(struct run *r, unsigned node, int64_t retry_after_ms)
{
    struct node_rt *x = &r->nodes[node];
    x->tries++;
    x->backoff_ms = x->backoff_ms ? x->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (x->backoff_ms > BACKOFF_MAX_MS)
        x->backoff_ms = BACKOFF_MAX_MS;
    queue_later(r, node, retry_after_ms > x->backoff_ms ? retry_after_ms : x->backoff_ms);
}

// Who has which field, and what can be done: a controller is asked, a run is begun again.
static char *conflict_text(const struct run *r, unsigned node, const struct kube_reply *reply)
{
    const struct application *a = r->desired->apps.v[r->desired->objects.v[node].app];
    if (!r->opts.force_drifted)
        return str_printf("%s; take it out of Git, or run again with --force-conflicts",
                          reply->message);
    return str_printf("%s; take it out of Git, or have it taken over: once by regrow sync %s "
                      "--force-conflicts, for good by the sync option ServerSideApply=true",
                      reply->message, a->tracking_name);
}

void fail_with(struct run *r, unsigned node, const struct kube_reply *reply)
{
    struct err err = {0};
    const struct object *o = &r->desired->objects.v[node];
    CLEANUP(str_freep) char *what = object_name(&o->id);
    kube_reply_err(reply, &err, what);
    CLEANUP(str_freep) char *msg = NULL;
    if (reply->cls == KUBE_CONFLICT && reply->conflict_manager)
        msg = conflict_text(r, node, reply);
    else if (reply->cls == KUBE_IMMUTABLE)
        msg = str_printf("%s cannot be changed on a live object; delete it, or let it be made "
                         "anew with the sync option Force=true",
                         reply->field ? reply->field : "a field of it");
    const char *prefix = err.msg && str_starts(err.msg, what) ? err.msg + strlen(what) : err.msg;
    if (prefix && prefix != err.msg && str_starts(prefix, ": "))
        prefix += 2;
    state_fail(r, node, err.kind, msg ? msg : prefix ? prefix : kube_class_name(reply->cls));
    err_clear(&err);
}

static void watch_health(struct run *r, const struct object *o)
{
    if (health_has_check(r->health, o->id.group, o->id.kind))
        observe_kind(r, o->id.group, o->version, o->id.kind, true);
}

void set_action(struct run *r, unsigned node, enum action a)
{
    r->plan->items.v[r->nodes[node].item].action = a;
}

// What the watch has said meanwhile is told now that there is an answer to hold it against.
static void catch_up(struct run *r, unsigned node)
{
    CLEANUP(json_freep) json_t *early = TAKE(r->nodes[node].early);
    if (early)
        observe_node(r, node, KUBE_MODIFIED, early);
}

static void accepted(struct run *r, unsigned node, const json_t *doc)
{
    struct node_rt *x = &r->nodes[node];
    const struct object *o = &r->desired->objects.v[node];
    str_set(&x->uid, json_dot_str(doc, "metadata.uid"));
    x->generation = json_dot_int(doc, "metadata.generation", 0);
    x->has_projection = projection_of(doc, run_manager(r), &x->projection);
    x->backoff_ms = 0;
    state_message(r, node, NULL);
    if (!strcmp(o->id.kind, "CustomResourceDefinition"))
        kinds_add_crd(r->desired->kinds, doc);
    state_applied(r, node);
    watch_health(r, o);
    state_health(r, node, doc);
    catch_up(r, node);
}

static void written(struct run *r, unsigned node, json_t *doc, int64_t ms)
{
    const struct object *o = &r->desired->objects.v[node];
    r->nodes[node].was_sent = true;
    r->sum.written++;
    event_emit(r->opts.events, "object.applied", "{s:s, s:s, s:s, s:s*, s:s, s:s, s:I}", "app",
               r->desired->apps.v[o->app]->name, "group", o->id.group, "kind", o->id.kind,
               "namespace", o->id.namespace, "name", o->id.name, "action",
               action_name(node_action(r, node)), "ms", (json_int_t)ms);
    accepted(r, node, doc);
    lent_wrote(r, doc);
}

// A dry run stood in for a missing record: the same projection means there is nothing to write.
static void checked(struct run *r, unsigned node, const json_t *doc)
{
    const struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
    struct sha256 would;
    bool same = f && f->has_projection && projection_of(doc, run_manager(r), &would) &&
                sha256_eq(&would, &f->projection);
    r->sum.probes++;
    if (!same) {
        set_action(r, node, ACTION_CHANGE);
        queue_later(r, node, 0);
        return;
    }
    set_action(r, node, ACTION_NONE);
    accepted(r, node, doc);
}

// One object has passed a changed CRD's new schema: so will the others of its kind.
static void proven(struct run *r, unsigned node)
{
    const struct object *o = &r->desired->objects.v[node];
    r->sum.probes++;
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object_id *id = &r->desired->objects.v[i].id;
        if (!strcmp(id->kind, o->id.kind) && !strcmp(id->group, o->id.group))
            r->nodes[i].needs_proof = false;
    }
    queue_later(r, node, 0);
}

static void on_ok(struct call_ctx *c, const struct kube_reply *reply)
{
    struct run *r = c->run;
    unsigned node = c->node;
    CLEANUP(json_freep) json_t *doc = reply_doc(reply);
    if (!doc) {
        try_again(r, node, 0);
    } else if (json_dot(doc, "metadata.deletionTimestamp")) {
        set_action(r, node, ACTION_TERMINATING);
        await_gone(r, node);
    } else if (c->is_dry_run && r->nodes[node].needs_proof) {
        proven(r, node);
    } else if (c->is_dry_run) {
        checked(r, node, doc);
    } else {
        written(r, node, doc, reply->ms);
    }
}

static void on_invalid(struct call_ctx *c, const struct kube_reply *reply)
{
    struct run *r = c->run;
    struct node_rt *x = &r->nodes[c->node];
    if (leave_to_others(r, c->node, reply)) {
        queue_later(r, c->node, 0);
        return;
    }
    if (c->is_dry_run && x->needs_proof && clock_mono_ms() - x->since_ms < PROOF_MS &&
        x->tries < 40) {
        r->sum.probes++;
        state_message(r, c->node, "waits for the changed definition to be served");
        try_again(r, c->node, 0);
        return;
    }
    fail_with(r, c->node, reply);
}

void on_sent(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    call_answered(c, reply);
    bool refused = !c->is_dry_run && reply->http >= 400 && reply->http != 429;
    r->sum.rejected += refused;
    switch (reply->cls) {
    case KUBE_OK:
        on_ok(c, reply);
        break;
    case KUBE_LOST:
        r->sum.lost++;
        try_again(r, node, 0);
        break;
    case KUBE_RETRY:
        // An internal error that stays, or a race that is never won, is a failure after all.
        if ((reply->http == 500 || reply->http == 409) && r->nodes[node].tries >= RETRY_TRIES) {
            fail_with(r, node, reply);
            break;
        }
        state_message(r, node, reply->message);
        try_again(r, node, reply->retry_after_ms);
        break;
    case KUBE_THROTTLED:
        state_message(r, node, "the API server asks to wait (429)");
        try_again(r, node, reply->retry_after_ms);
        break;
    case KUBE_NO_KIND:
    case KUBE_GATE:
    case KUBE_NO_NAMESPACE:
    case KUBE_MISSING_REF:
    case KUBE_ABSENT:
        state_message(r, node, reply->message);
        try_again(r, node, reply->retry_after_ms);
        break;
    case KUBE_IMMUTABLE:
        if (r->desired->objects.v[node].options & SYNC_FORCE) {
            set_action(r, node, ACTION_RECREATE);
            queue_later(r, node, 0);
        } else {
            fail_with(r, node, reply);
        }
        break;
    case KUBE_CANCELLED:
        break;
    case KUBE_INVALID:
        on_invalid(c, reply);
        break;
    case KUBE_CONFLICT:
        if (leave_to_others(r, node, reply))
            queue_later(r, node, 0);
        else
            fail_with(r, node, reply);
        break;
    case KUBE_DENIED:
    case KUBE_UNAUTHORIZED:
        fail_with(r, node, reply);
        break;
    }
    call_end(c);
}

// A hook carries what it was made of.
void send_body(const struct run *r, unsigned node, struct buf *out)
{
    const struct object *o = &r->desired->objects.v[node];
    const char *respected = r->nodes[node].respected;
    if (!o->is_hook && !r->nodes[node].left_out) {
        buf_append(out, respected ? respected : o->body,
                   respected ? strlen(respected) : o->body_len);
        return;
    }
    CLEANUP(json_freep)
    json_t *doc = respected ? json_loads(respected, JSON_DECODE_ANY, NULL) : object_doc(o);
    CLEANUP(str_freep) char *run = o->is_hook ? plan_hook_run(r->desired, node) : NULL;
    if (run)
        json_set_annotation(doc, HOOK_RUN_ANNOTATION, run);
    left_out_body(r, node, doc);
    canon_write(doc, out);
}

void send_apply(struct run *r, unsigned node, const char *path, bool dry_run)
{
    struct buf body CLEANUP(buf_clear) = {0};
    struct kube_apply_opts opts = {
        .dry_run = dry_run, .force = may_force(r, node), .manager = run_manager(r)};
    struct call_ctx *c = call_new(r, node);
    send_body(r, node, &body);
    c->is_dry_run = dry_run;
    call_begin(c);
    run_owns(r, kube_apply(r->kube, path, body.p, body.len, &opts, on_sent, c));
}

static void on_rediscovered(void *ctx, struct err *err)
{
    struct call_ctx *c = ctx;
    if (err_is_set(err))
        event_emit(c->run->opts.events, "run.warning", "{s:s}", "message", err->msg);
    c->run->is_rediscovering = false;
    call_end(c);
}

// An aggregated API that has come up, or a definition made by an operator, brings kinds whose paths
// no manifest tells.
void rediscover(struct run *r)
{
    int64_t now = clock_mono_ms();
    if (r->is_rediscovering || now - r->rediscovered_ms < REDISCOVER_MS)
        return;
    r->is_rediscovering = true;
    r->rediscovered_ms = now;
    run_owns(r, kube_rediscover(r->kube, r->desired->kinds, on_rediscovered, call_new(r, 0)));
}

char *unserved_text(const struct run *r, const struct object *o)
{
    const struct kind_info *k = kinds_find(r->desired->kinds, o->id.group, NULL, o->id.kind);
    const char *slash = *o->id.group ? "/" : "";
    if (k)
        return str_printf("apiVersion %s%s%s is not served, %s%s%s is", o->id.group, slash,
                          o->version, k->group, slash, k->version);
    return str_printf("apiVersion %s%s%s has no kind %s", o->id.group, slash, o->version,
                      o->id.kind);
}

void send_object(struct run *r, unsigned node)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct kind_watch *w = observe_find(r, o->id.group, o->id.kind);
    const struct err *problem = w ? observe_problem(w) : NULL;
    if (problem && err_is_set(problem)) {
        state_fail(r, node, problem->kind, problem->msg);
        return;
    }
    if (!scope_settle(r, node))
        return;
    CLEANUP(str_freep) char *path = send_path(r, o);
    if (!path) {
        CLEANUP(str_freep) char *why = unserved_text(r, o);
        state_message(r, node, why);
        rediscover(r);
        try_again(r, node, 0);
        return;
    }
    if (adopt_first(r, node, path) || respect_first(r, node, path))
        return;
    switch (node_action(r, node)) {
    case ACTION_TERMINATING:
        await_gone(r, node);
        return;
    case ACTION_RECREATE:
        recreate_object(r, node, path);
        return;
    case ACTION_REPLACE:
        replace_object(r, node, path);
        return;
    case ACTION_CHECK:
        send_apply(r, node, path, true);
        return;
    default:
        send_apply(r, node, path, r->nodes[node].needs_proof);
    }
}
