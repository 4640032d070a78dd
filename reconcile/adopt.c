// SPDX-License-Identifier: Apache-2.0
//
// Objects that were made without server-side apply: `kubectl apply`, Argo CD's own client side, or
// before there were managed fields. To them a field that is taken out of Git would belong for
// ever, and one that is changed would be a conflict. Before our first apply their entry in the
// managed fields becomes ours (spec kubernetes-api section 3.3), in one JSON patch that the
// resourceVersion guards. The same becomes of what was applied under another manager of ours: who
// goes on afterwards has changed (docs/hand-over.md).
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define LAST_APPLIED "f:kubectl.kubernetes.io/last-applied-configuration"

// What declares by sending whole manifests, as we do; others' updates are somebody's will.
static const char *const declaring[] = {"kubectl-client-side-apply", "before-first-apply",
                                        "argocd-controller"};

static bool is_declaring(const json_t *entry)
{
    const char *manager = json_dot_str(entry, "manager");
    if (!str_eq(json_dot_str(entry, "operation"), "Update") ||
        !str_is_empty(json_dot_str(entry, "subresource")))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(declaring); i++)
        if (str_eq(manager, declaring[i]))
            return true;
    return false;
}

static bool is_former(const json_t *entry, const char *manager)
{
    return str_eq(json_dot_str(entry, "operation"), "Apply") &&
           str_is_empty(json_dot_str(entry, "subresource")) &&
           hand_over_was(json_dot_str(entry, "manager"), manager);
}

bool is_handed(const json_t *live, const char *manager)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (is_former(m, manager))
            return true;
    }
    return false;
}

bool is_client_side(const json_t *live)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (is_declaring(m))
            return true;
    }
    return false;
}

// Adds the paths of one set of fields to another.
static void unite(json_t *into, const json_t *from)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)from, key, v)
    {
        json_t *have = json_object_get(into, key);
        if (have)
            unite(have, v);
        else
            json_object_set_new(into, key, json_deep_copy(v));
    }
}

// kubectl's own memory is nobody's field: it is left where it is, without an owner.
static void drop_last_applied(json_t *fields)
{
    json_t *meta = json_object_get(fields, "f:metadata");
    json_t *ann = json_object_get(meta, "f:annotations");
    json_object_del(ann, LAST_APPLIED);
    if (ann && json_object_size(ann) == 0)
        json_object_del(meta, "f:annotations");
    if (meta && json_object_size(meta) == 0)
        json_object_del(fields, "f:metadata");
}

static json_t *own_entry(json_t *entries, const char *manager)
{
    size_t i;
    json_t *m;
    json_array_foreach(entries, i, m)
    {
        if (str_eq(json_dot_str(m, "manager"), manager) &&
            str_eq(json_dot_str(m, "operation"), "Apply") &&
            str_is_empty(json_dot_str(m, "subresource")))
            return m;
    }
    return NULL;
}

// An entry that is to become ours.
static bool is_taken(const json_t *entry, const char *manager, bool handed)
{
    return is_declaring(entry) || (handed && is_former(entry, manager));
}

json_t *adopted_fields(const json_t *live, const char *manager, bool handed)
{
    json_t *out = json_array();
    size_t i;
    json_t *m;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (!is_taken(m, manager, handed))
            json_array_append_new(out, json_deep_copy(m));
    }
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (!is_taken(m, manager, handed))
            continue;
        json_t *own = own_entry(out, manager);
        if (!own) {
            own = json_deep_copy(m);
            json_object_set_new(own, "manager", json_string(manager));
            json_object_set_new(own, "operation", json_string("Apply"));
            json_array_append_new(out, own);
        } else if (str_eq(json_dot_str(own, "apiVersion"), json_dot_str(m, "apiVersion"))) {
            unite(json_object_get(own, "fieldsV1"), json_object_get(m, "fieldsV1"));
        }
        // Paths of another version mean nothing in ours; those fields are given up.
        if (!handed) // else it is ours, to be kept up or taken out
            drop_last_applied(json_object_get(own, "fieldsV1"));
    }
    return out;
}

static void on_patched(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    call_answered(c, reply);
    switch (reply->cls) {
    case KUBE_OK:
        r->nodes[node].is_adopted = true;
        r->nodes[node].backoff_ms = 0;
        queue_later(r, node, 0);
        break;
    case KUBE_ABSENT:
        r->nodes[node].is_adopted = true; // gone meanwhile: there is nothing to take over
        queue_later(r, node, 0);
        break;
    case KUBE_DENIED:
    case KUBE_INVALID:
    case KUBE_IMMUTABLE:
    case KUBE_UNAUTHORIZED:
        fail_with(r, node, reply);
        break;
    default:
        try_again(r, node, reply->retry_after_ms); // a changed version too: read it again
    }
    call_end(c);
}

// Only what is known to be ours, and when somebody has said who goes on: else the manager of Argo
// CD or Flux is Argo CD or Flux.
static bool takes_handed(const struct run *r, unsigned node)
{
    const struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    return r->opts.then && it->record >= 0;
}

static void on_read(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned node = c->node;
    CLEANUP(json_freep) json_t *live = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    CLEANUP(str_freep) char *path = send_path(r, &r->desired->objects.v[node]);
    const char *version = json_dot_str(live, "metadata.resourceVersion");
    bool handed = takes_handed(r, node);
    if (!path || !version ||
        (!is_client_side(live) && !(handed && is_handed(live, run_manager(r))))) {
        struct kube_reply done = *reply;
        if (live)
            done.cls = KUBE_ABSENT; // somebody else has done it
        on_patched(c, &done);
        return;
    }
    CLEANUP(json_freep)
    json_t *patch =
        json_pack("[{s:s, s:s, s:o}, {s:s, s:s, s:s}]", "op", "replace", "path",
                  "/metadata/managedFields", "value", adopted_fields(live, run_manager(r), handed),
                  "op", "replace", "path", "/metadata/resourceVersion", "value", version);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(patch, &body);
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=%s", path, run_manager(r));
    struct kube_call call = {.method = "PATCH",
                             .path = url,
                             .body = body.p,
                             .body_len = body.len,
                             .content_type = "application/json-patch+json"};
    call_answered(c, reply);
    call_begin(c);
    run_owns(r, kube_send(r->kube, &call, on_patched, c));
}

bool adopt_first(struct run *r, unsigned node, const char *path)
{
    const struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
    const struct object *o = &r->desired->objects.v[node];
    if (!f || r->nodes[node].is_adopted)
        return false;
    bool migrates = f->is_client_side && !r->desired->apps.v[o->app]->no_migration;
    if ((!migrates && !(f->is_handed && takes_handed(r, node))) ||
        (it->action != ACTION_CHECK && it->action != ACTION_CHANGE))
        return false;
    struct call_ctx *c = call_new(r, node);
    call_begin(c);
    struct kube_call call = {.method = "GET", .path = path};
    run_owns(r, kube_send(r->kube, &call, on_read, c));
    return true;
}
