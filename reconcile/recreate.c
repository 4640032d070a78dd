// SPDX-License-Identifier: Apache-2.0
//
// The ways to the server that are more than one request: over an object that is being deleted, by
// deletion and creation, by a PUT over what is there.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// How often a deletion that is under way is looked at, at the least.
#define GONE_MAX_MS 1000

char *deletion_text(const json_t *doc)
{
    struct buf b = {0};
    size_t i;
    json_t *v;
    json_array_foreach(json_dot(doc, "metadata.finalizers"), i, v)
    {
        buf_printf(&b, "%s%.100s", i ? ", " : "finalizer ", json_string_value(v));
    }
    // A Namespace's finalizer says nothing; its conditions do.
    json_array_foreach(json_dot(doc, "status.conditions"), i, v)
    {
        const char *type = json_dot_str(v, "type");
        const char *m = json_dot_str(v, "message");
        if (type && m && str_starts(type, "Namespace") && str_eq(json_dot_str(v, "status"), "True"))
            buf_printf(&b, "%s%.200s", b.len ? "; " : "", m);
    }
    return b.len ? buf_take(&b) : NULL;
}

static void on_gone(void *ctx, const struct kube_reply *reply);

// Whatever became of it: it is looked at again.
static void on_let_go(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    call_answered(c, reply);
    try_again(c->run, c->node, 0);
    call_end(c);
}

// An Application that somebody deletes and that Git wants goes without what it had, and is made
// anew.
static bool let_go(struct run *r, unsigned node, const json_t *doc)
{
    const struct object *o = &r->desired->objects.v[node];
    CLEANUP(str_freep) char *release = finalizer_release(r, &o->id, doc);
    CLEANUP(str_freep) char *path = release ? send_path(r, o) : NULL;
    if (!path)
        return false;
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    finalizer_drop(r, path, release, on_let_go, c);
    return true;
}

void await_gone(struct run *r, unsigned node)
{
    CLEANUP(str_freep) char *path = send_path(r, &r->desired->objects.v[node]);
    if (!path) {
        try_again(r, node, 0);
        return;
    }
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    struct kube_call call = {.method = "GET", .path = path};
    run_owns(r, kube_send(r->kube, &call, on_gone, c));
}

static void on_gone(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    CLEANUP(json_freep) json_t *doc = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    call_answered(c, reply);
    call_end(c);
    bool is_gone = reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_NAMESPACE;
    if (is_gone)
        lent_deleted(r, &r->desired->objects.v[node].id, NULL);
    if (is_gone || (doc && !json_dot(doc, "metadata.deletionTimestamp"))) {
        // Gone, or somebody else has made another one in its place.
        set_action(r, node, is_gone ? ACTION_CREATE : ACTION_CHANGE);
        r->nodes[node].backoff_ms = 0;
        queue_later(r, node, 0);
        return;
    }
    if (doc && let_go(r, node, doc))
        return;
    CLEANUP(str_freep) char *why = doc ? deletion_text(doc) : NULL;
    CLEANUP(str_freep)
    char *msg = str_printf("waits until its predecessor is deleted%s%s%s", why ? " (" : "",
                           why ? why : "", why ? ")" : "");
    state_message(r, node, msg);
    if (r->nodes[node].backoff_ms > GONE_MAX_MS / 2)
        r->nodes[node].backoff_ms = GONE_MAX_MS / 2;
    try_again(r, node, 0);
}

static void on_old(void *ctx, const struct kube_reply *reply);

void replace_object(struct run *r, unsigned node, const char *path)
{
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    struct kube_call call = {.method = "GET", .path = path};
    run_owns(r, kube_send(r->kube, &call, on_old, c));
}

static void on_put(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    // Its status moved on between the two requests: the same again, over the newest.
    if (reply->cls == KUBE_CONFLICT && r->nodes[c->node].tries < REPLACE_TRIES) {
        call_answered(c, reply);
        try_again(r, c->node, 0);
        call_end(c);
        return;
    }
    on_sent(c, reply);
}

static void on_old(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    const struct object *o = &r->desired->objects.v[node];
    CLEANUP(str_freep) char *path = send_path(r, o);
    CLEANUP(json_freep) json_t *live = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    if (reply->cls == KUBE_ABSENT) {
        call_answered(c, reply);
        call_end(c);
        set_action(r, node, ACTION_CREATE);
        queue_later(r, node, 0);
        return;
    }
    if (!live || !path) {
        c->is_dry_run = true; // nothing was written that could have been rejected
        on_sent(c, reply);
        return;
    }
    call_answered(c, reply);
    call_begin(c);
    // A PUT leaves nothing to others: what is theirs is sent as it is there now.
    if (r->nodes[node].respected)
        respect_live(r, node, live);
    const char *respected = r->nodes[node].respected;
    CLEANUP(json_freep)
    json_t *doc = respected ? json_loads(respected, JSON_DECODE_ANY, NULL) : object_doc(o);
    json_t *meta = json_object_get(doc, "metadata");
    json_object_set(meta, "resourceVersion", json_dot(live, "metadata.resourceVersion"));
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=%s", path, run_manager(r));
    struct kube_call call = {.method = "PUT", .path = url, .body = body.p, .body_len = body.len};
    run_owns(r, kube_send(r->kube, &call, on_put, c));
}

static void on_deleted(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    call_answered(c, reply);
    call_end(c);
    // A conflict: the one that was meant is gone, and another stands in its place.
    if (reply->cls == KUBE_OK || reply->cls == KUBE_ABSENT || reply->cls == KUBE_CONFLICT) {
        set_action(r, node, ACTION_TERMINATING);
        await_gone(r, node);
    } else if (reply->cls == KUBE_LOST || reply->cls == KUBE_RETRY ||
               reply->cls == KUBE_THROTTLED || reply->cls == KUBE_GATE) {
        try_again(r, node, reply->retry_after_ms);
    } else {
        fail_with(r, node, reply);
    }
}

// What is there now: what an earlier phase of a hook has made, else what was there at the
// beginning.
static const char *live_uid(const struct run *r, unsigned node)
{
    const struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    const char *uid = it->live < 0 ? NULL : r->facts.v[it->live].uid;
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = desired_find_all(r->desired, &r->desired->objects.v[node].id, all);
    for (size_t i = 0; i < n && all[i] < node; i++)
        if (r->nodes[all[i]].uid)
            uid = r->nodes[all[i]].uid;
    return uid;
}

void recreate_object(struct run *r, unsigned node, const char *path)
{
    const char *uid = live_uid(r, node);
    if (!uid) {
        set_action(r, node, ACTION_CREATE);
        send_apply(r, node, path, false);
        return;
    }
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    run_owns(r, kube_delete(r->kube, path, uid, "Background", 0, on_deleted, c));
}
