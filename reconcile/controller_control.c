// SPDX-License-Identifier: Apache-2.0
//
// What people ask for (docs/control.md): taken out of Application objects, or of the ConfigMap
// `control` where there are none, and handed to the turns.
#include <stdlib.h>
#include <string.h>

#include "reconcile/app_status.h"
#include "reconcile/control.h"
#include "reconcile/controller_int.h"

#define MAP_PATH "/api/v1/namespaces/" REGROW_NAMESPACE "/configmaps"

// What of an operation is not built is refused by name, never passed over.
static const char *unbuilt(const struct app_control *k)
{
    if (k->revisions.len || k->sources)
        return "an operation that names a revision or a source is not built yet";
    if (k->resources)
        return "an operation about some of the resources is not built yet";
    if (k->dry_run || k->is_apply_only || k->options)
        return "dryRun, syncStrategy.apply and syncOptions of an operation are not built yet";
    return NULL;
}

static void take_operation(struct controller *c, struct tracked *t, const struct app_control *k)
{
    if (json_equal(t->asked, k->operation))
        return; // it is being taken out
    json_decref(t->asked);
    t->asked = json_deep_copy(k->operation);
    const char *why = unbuilt(k);
    t->began_unix_s = clock_unix_ms() / 1000;
    t->ended_unix_s = why ? t->began_unix_s : 0;
    str_set(&t->refusal, why);
    if (!why)
        tracked_trigger(t, TRIGGER_REQUEST, 0);
    event_emit(c->o.events, "sync.asked", "{s:s, s:s, s:s}", "app", t->name, "by", k->username,
               "refused", why ? why : "");
}

// The patch that takes out what was taken, or NULL; owned.
static json_t *take(struct controller *c, struct tracked *t, const json_t *doc)
{
    struct app_control k = {0};
    struct err err = {0};
    if (!control_read(doc, &k, &err)) {
        str_set(&t->refusal, err.msg);
        t->began_unix_s = t->ended_unix_s = clock_unix_ms() / 1000;
        err_clear(&err);
    } else if (k.operation) {
        take_operation(c, t, &k);
    }
    if (k.refresh != REFRESH_NONE && !t->is_refreshing)
        controller_refresh(c, k.refresh == REFRESH_HARD);
    t->is_refreshing = k.refresh != REFRESH_NONE;
    bool is_news = t->is_suspended != k.is_suspended || k.operation || t->is_refreshing;
    if (t->is_suspended && !k.is_suspended && t->triggers)
        t->due_ms = 0;
    t->is_suspended = k.is_suspended;
    json_t *patch = control_taken(&k);
    app_control_clear(&k);
    if (is_news)
        report_news(c, t->name);
    return patch;
}

json_t *control_take(struct controller *c, const char *app, const json_t *doc)
{
    struct tracked *t = tracked_find(c, app);
    return t ? take(c, t, doc) : NULL;
}

// ---- the ConfigMap ----

static void on_patched(void *ctx, const struct kube_reply *reply)
{
    struct controller *c = ctx;
    (void)reply; // what was not taken out comes again with the next change
    c->pending--;
}

static void patch_map(struct controller *c, const char *name, const char *app, json_t *value)
{
    CLEANUP(json_freep) json_t *doc = json_pack("{s:{s:o}}", "data", app, value);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    CLEANUP(str_freep)
    char *path = str_printf("%s/%s?fieldManager=%s", MAP_PATH, name, "regrow-status");
    struct kube_call call = {.method = "PATCH",
                             .path = path,
                             .body = body.p,
                             .body_len = body.len,
                             .content_type = "application/merge-patch+json",
                             .is_idempotent = true};
    c->pending++;
    kube_send(c->kube, &call, on_patched, c);
}

static void make_answers(struct controller *c)
{
    static const char body[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
                               "\"name\":\"" CONTROL_ANSWERS "\"}}";
    struct kube_apply_opts o = {.manager = "regrow-status"};
    if (c->has_answers)
        return;
    c->has_answers = true;
    c->pending++;
    kube_apply(c->kube, MAP_PATH "/" CONTROL_ANSWERS, body, sizeof(body) - 1, &o, on_patched, c);
}

// A request that was taken out leaves what stays of it: a suspension, an approval.
static void take_entry(struct controller *c, const json_t *map, const char *app)
{
    CLEANUP(json_freep) json_t *entry = NULL;
    struct err err = {0};
    if (!control_entry(map, app, &entry, &err) || !entry) {
        err_clear(&err);
        return;
    }
    CLEANUP(json_freep) json_t *patch = control_take(c, app, entry);
    if (!patch)
        return;
    make_answers(c);
    json_merge_patch(entry, patch);
    json_object_set_new(c->answering, app, json_true());
    char *text = json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS);
    patch_map(c, CONTROL_MAP, app, text ? json_string(text) : json_null());
    free(text);
}

static void on_map(void *ctx, enum kube_event ev, json_t *doc)
{
    struct controller *c = ctx;
    const char *app;
    json_t *v;
    if (ev == KUBE_GONE)
        c->map_watch = NULL;
    if (!doc || ev == KUBE_DELETED || !str_eq(json_dot_str(doc, "metadata.name"), CONTROL_MAP))
        return;
    json_object_foreach(json_object_get(doc, "data"), app, v) take_entry(c, doc, app);
}

static void on_map_failed(void *ctx, const struct kube_reply *reply)
{
    struct controller *c = ctx;
    (void)reply; // begun again after the next load
    c->map_watch = NULL;
}

void control_watch(struct controller *c)
{
    const struct kind_info *k = kinds_find(c->o.kinds, "", "v1", "ConfigMap");
    if (c->map_watch || !k)
        return;
    struct kube_watch_opts o = {.kind = k,
                                .namespace = REGROW_NAMESPACE,
                                .event = on_map,
                                .failed = on_map_failed,
                                .ctx = c};
    c->map_watch = kube_watch(c->kube, &o);
}

void control_tell(struct controller *c, const char *app, const json_t *status)
{
    if (!json_object_get(c->answering, app))
        return;
    CLEANUP(json_freep) json_t *answer = control_answer(status);
    char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
    if (text)
        patch_map(c, CONTROL_ANSWERS, app, json_string(text));
    free(text);
}

void control_end(struct controller *c)
{
    if (c->map_watch)
        kube_watch_stop(c->map_watch);
    json_decref(c->answering);
}
