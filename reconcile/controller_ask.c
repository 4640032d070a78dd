// SPDX-License-Identifier: Apache-2.0
//
// What is asked for over HTTP is asked for as a person does it: in the Application object, or in
// the ConfigMap `control` where there is none. So it outlives this process, and whoever keeps the
// application takes it from there.
#include <stdlib.h>

#include "reconcile/controller_int.h"
#include "reconcile/fleet_int.h"

// Never the controller's: what a person asks for must not look like its own doing.
#define MANAGER "?fieldManager=regrow-api"
#define MAX_TRIES 5 // others write to the ConfigMap as well

struct request {
    struct controller *c;
    char *app;
    json_t *patch;
    unsigned tries;
};

static void request_end(struct request *r)
{
    json_decref(r->patch);
    free(r->app);
    free(r);
}

// It was accepted, so nobody waits for an answer.
static void fail(struct request *r, struct err *err)
{
    event_emit(r->c->o.events, "request.failed", "{s:s, s:s}", "app", r->app, "message", err->msg);
    err_clear(err);
    request_end(r);
}

static void refused(struct request *r, const struct kube_reply *reply)
{
    struct err err = {0};
    if (reply->cls == KUBE_CANCELLED) {
        request_end(r);
        return;
    }
    (void)kube_reply_err(reply, &err, "ask for it");
    fail(r, &err);
}

static void send(struct request *r, const char *method, const char *path, const json_t *doc,
                 kube_done_fn done)
{
    struct buf body CLEANUP(buf_clear) = {0};
    struct kube_call call = {
        .method = method, .path = path, .is_idempotent = true, .patience_ms = KUBE_PATIENCE_MS};
    if (doc) {
        canon_write(doc, &body);
        call.body = body.p;
        call.body_len = body.len;
        call.content_type = !strcmp(method, "PATCH") ? "application/merge-patch+json" : NULL;
    }
    r->c->pending++;
    kube_send(r->c->kube, &call, done, r);
}

// ---- the ConfigMap ----

static void read_map(struct request *r);

static void on_map_written(void *ctx, const struct kube_reply *reply)
{
    struct request *r = ctx;
    r->c->pending--;
    if (reply->cls == KUBE_CONFLICT && r->tries < MAX_TRIES)
        read_map(r);
    else if (reply->cls == KUBE_OK)
        request_end(r);
    else
        refused(r, reply);
}

static bool is_asked(const json_t *doc)
{
    return json_is_object(json_object_get(doc, "operation"));
}

// Another who writes at the same time must not be overwritten.
static void write_map(struct request *r, const json_t *map, json_t *entry)
{
    struct buf text CLEANUP(buf_clear) = {0};
    json_merge_patch(entry, r->patch);
    canon_write(entry, &text);
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s*}, s:{s:s}}", "apiVersion", "v1", "kind",
                            "ConfigMap", "metadata", "name", CONTROL_MAP, "resourceVersion",
                            json_dot_str(map, "metadata.resourceVersion"), "data", r->app, text.p);
    send(r, map ? "PATCH" : "POST",
         map ? CONTROL_MAPS_PATH "/" CONTROL_MAP MANAGER : CONTROL_MAPS_PATH MANAGER, doc,
         on_map_written);
}

static void on_map_read(void *ctx, const struct kube_reply *reply)
{
    struct request *r = ctx;
    struct err err = {0};
    CLEANUP(json_freep) json_t *map = NULL;
    CLEANUP(json_freep) json_t *entry = NULL;
    r->c->pending--;
    if (reply->cls != KUBE_OK && reply->cls != KUBE_ABSENT) {
        refused(r, reply);
        return;
    }
    bool ok = (reply->cls == KUBE_ABSENT || canon_read(reply->body, reply->body_len, &map, &err)) &&
              control_entry(map, r->app, &entry, &err);
    if (ok && is_asked(entry) && is_asked(r->patch))
        ok = err_set(&err, ERR_CONFLICT, "it is asked for another sync, which was not taken yet");
    if (!ok) {
        fail(r, &err);
        return;
    }
    if (!entry)
        entry = json_object();
    write_map(r, map, entry);
}

static void read_map(struct request *r)
{
    r->tries++;
    send(r, "GET", CONTROL_MAPS_PATH "/" CONTROL_MAP, NULL, on_map_read);
}

// ---- the Application ----

static void on_app_written(void *ctx, const struct kube_reply *reply)
{
    struct request *r = ctx;
    r->c->pending--;
    if (reply->cls == KUBE_OK)
        request_end(r);
    else
        refused(r, reply);
}

static struct request *request_new(struct controller *c, const char *app, const json_t *patch)
{
    struct request *r = mem_alloc(sizeof(*r));
    *r = (struct request){.c = c, .app = str_dup(app), .patch = json_deep_copy(patch)};
    return r;
}

static bool ask_object(struct controller *c, const char *ns, const char *name, const json_t *patch,
                       struct err *err)
{
    const struct kind_info *k = kinds_find(c->o.kinds, "argoproj.io", NULL, "Application");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    CLEANUP(json_freep) json_t *doc = report_kept(c, key);
    if (!doc || !k || !k->is_served)
        return err_set(err, ERR_NOT_FOUND, "there is no application %s", name);
    if (is_asked(doc) && is_asked(patch))
        return err_set(err, ERR_CONFLICT, "%s is asked for another sync, which was not taken yet",
                       name);
    CLEANUP(str_freep) char *path = kind_path(k, ns, name);
    CLEANUP(str_freep) char *url = str_printf("%s%s", path, MANAGER);
    send(request_new(c, name, patch), "PATCH", url, patch, on_app_written);
    return true;
}

static bool has_object(const struct controller *c, const struct application *a)
{
    CLEANUP(str_freep) char *key = report_key(a);
    return a->doc && json_object_get(c->app_docs, key);
}

bool controller_ask(struct controller *c, const char *app, const json_t *patch, struct err *err)
{
    int at = c->desired ? desired_find_app(c->desired, app) : -1;
    const struct application *a = at < 0 ? NULL : c->desired->apps.v[at];
    if (!c->is_leading && !fleet_is_on(c->fleet))
        return err_set(err, ERR_UNAVAILABLE, "this replica stands by; another one leads");
    if (!c->desired)
        return err_set(err, ERR_UNAVAILABLE, "nothing has been read from the sources yet");
    if (a && has_object(c, a))
        return ask_object(c, a->namespace ? a->namespace : "argocd", a->name, patch, err);
    if (a && tracked_find(c, a->tracking_name)) {
        read_map(request_new(c, a->tracking_name, patch));
        return true;
    }
    CLEANUP(json_freep) json_t *doc = fleet_app(c->fleet, app);
    return ask_object(c, json_dot_text(doc, "namespace"), doc ? json_dot_text(doc, "name") : app,
                      patch, err);
}
