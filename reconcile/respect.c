// SPDX-License-Identifier: Apache-2.0
//
// RespectIgnoreDifferences: what ignoreDifferences names is sent as it is there. Left out it would
// be given up, and go where nobody else owns it.
#include <stdlib.h>
#include <string.h>

#include "reconcile/drift.h"
#include "reconcile/run_int.h"

void respect_live(struct run *r, unsigned node, const json_t *live)
{
    const struct object *o = &r->desired->objects.v[node];
    struct drift_opts d = {.manager = run_manager(r),
                           .ignore = r->desired->apps.v[o->app]->ignore_differences};
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!r->jq && ignored_has_jq(d.ignore))
        r->jq = jq_filters_new();
    d.jq = r->jq;
    drift_respect(&o->id, doc, live, &d);
    canon_write(doc, &b);
    free(r->nodes[node].respected);
    r->nodes[node].respected = buf_take(&b);
}

static void on_live(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    struct node_rt *x = &r->nodes[c->node];
    CLEANUP(json_freep) json_t *live = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    call_answered(c, reply);
    if (live)
        respect_live(r, c->node, live);
    x->is_respected = live || reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_NAMESPACE;
    if (x->is_respected)
        queue_later(r, c->node, 0);
    else if (reply->cls == KUBE_DENIED || reply->cls == KUBE_UNAUTHORIZED)
        fail_with(r, c->node, reply);
    else if (reply->cls != KUBE_CANCELLED)
        try_again(r, c->node, reply->retry_after_ms);
    call_end(c);
}

bool respect_first(struct run *r, unsigned node, const char *path)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct application *a = r->desired->apps.v[o->app];
    const struct node_rt *x = &r->nodes[node];
    // A dry run that only looks whether there is anything to write finds out by itself what others
    // own.
    if (!a->respect_ignore_differences || x->is_respected || !x->is_live || o->is_hook ||
        node_action(r, node) == ACTION_CHECK || !ignored_any(a, &o->id))
        return false;
    struct kube_call get = {.method = "GET", .path = path};
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    run_owns(r, kube_send(r->kube, &get, on_live, c));
    return true;
}
