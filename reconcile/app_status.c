// SPDX-License-Identifier: Apache-2.0
#include "reconcile/app_status.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DEFAULT_HISTORY 10
#define MAX_HISTORY 1000
#define MAX_MESSAGE 1024
// An object of etcd holds 1.5 MB: as many resources as surely fit.
#define MAX_RESOURCES 4000
#define MAX_DRIFT_BYTES (64U << 10)

const char *sync_code_name(enum sync_code s)
{
    static const char *const names[] = {"Unknown", "Synced", "OutOfSync"};
    return names[s];
}

const char *operation_phase_name(enum operation_phase p)
{
    static const char *const names[] = {"",       "Running", "Terminating",
                                        "Failed", "Error",   "Succeeded"};
    return names[p];
}

static bool is_final(const char *phase)
{
    return str_eq(phase, "Failed") || str_eq(phase, "Error") || str_eq(phase, "Succeeded");
}

// ---- pieces ----
static void set_text(json_t *o, const char *key, const char *text)
{
    if (!str_is_empty(text))
        json_object_set_new(o, key, json_string(text));
}

static void set_true(json_t *o, const char *key, bool yes)
{
    if (yes)
        json_object_set_new(o, key, json_true());
}

static void set_time(json_t *o, const char *key, int64_t unix_s)
{
    CLEANUP(str_freep) char *text = unix_s ? clock_rfc3339(unix_s) : NULL;
    set_text(o, key, text);
}

// Argo CD's definition asks for it, be it empty: without it the whole status would be refused.
static void ensure_text(json_t *o, const char *key)
{
    if (!json_object_get(o, key))
        json_object_set_new(o, key, json_string(""));
}

// At most so long, and whole characters.
static void set_message(json_t *o, const char *key, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n > MAX_MESSAGE) {
        n = MAX_MESSAGE;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    if (n)
        json_object_set_new(o, key, json_stringn(text, n));
}

static bool is_multi(const struct application *a)
{
    return json_array_size(json_dot(a->doc, "spec.sources")) > 0;
}

static void set_revisions(json_t *o, const struct application *a, const struct strv *revisions)
{
    if (!revisions || !revisions->len)
        return;
    if (!is_multi(a)) {
        set_text(o, "revision", revisions->v[0]);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < revisions->len; i++)
        json_array_append_new(list, json_string(revisions->v[i]));
    json_object_set_new(o, "revisions", list);
}

static void set_sources(json_t *o, const struct application *a)
{
    const char *key = is_multi(a) ? "sources" : "source";
    json_t *spec = json_dot(a->doc, "spec");
    if (json_object_get(spec, key))
        json_object_set_new(o, key, json_deep_copy(json_object_get(spec, key)));
}

static json_t *sync_part(const struct app_report *r)
{
    json_t *v = json_pack("{s:s}", "status", sync_code_name(r->sync));
    json_t *to = json_object();
    json_t *destination = json_dot(r->app->doc, "spec.destination");
    set_sources(to, r->app);
    json_object_set_new(to, "destination",
                        destination ? json_deep_copy(destination) : json_object());
    const json_t *ignored = json_dot(r->app->doc, "spec.ignoreDifferences");
    if (json_array_size(ignored))
        json_object_set_new(to, "ignoreDifferences", json_deep_copy(ignored));
    json_object_set_new(v, "comparedTo", to);
    set_revisions(v, r->app, r->revisions);
    return v;
}

static json_t *health_part(const struct app_report *r, const json_t *before)
{
    const char *name = health_name(r->health);
    json_t *v = json_pack("{s:s}", "status", *name ? name : "Healthy");
    const char *since = json_dot_str(before, "health.lastTransitionTime");
    set_message(v, "message", r->health_message);
    if (since && str_eq(json_dot_str(before, "health.status"), json_dot_str(v, "status")))
        set_text(v, "lastTransitionTime", since);
    else
        set_time(v, "lastTransitionTime", r->now_unix_s);
    return v;
}

// ---- resources ----
static void set_identity(json_t *v, const struct object_id *id, const char *version)
{
    set_text(v, "group", id->group);
    set_text(v, "version", version);
    set_text(v, "kind", id->kind);
    set_text(v, "namespace", id->namespace);
    set_text(v, "name", id->name);
}

static json_t *resource(const struct report_resource *x)
{
    json_t *v = json_object();
    set_identity(v, x->id, x->version);
    if (!x->is_hook)
        set_text(v, "status", sync_code_name(x->sync));
    if (*health_name(x->health)) {
        json_t *health = json_pack("{s:s}", "status", health_name(x->health));
        set_message(health, "message", x->health_message);
        json_object_set_new(v, "health", health);
    }
    set_true(v, "hook", x->is_hook);
    set_true(v, "requiresPruning", x->requires_pruning);
    set_true(v, "requiresDeletionConfirmation", x->requires_confirmation);
    if (x->wave)
        json_object_set_new(v, "syncWave", json_integer(x->wave));
    return v;
}

// What is not as it should be goes first where not all can be told.
static int is_trouble(const struct report_resource *x)
{
    return (!x->is_hook && x->sync != SYNC_SYNCED) || x->health > HEALTH_HEALTHY;
}

static int by_trouble(const void *a, const void *b)
{
    const struct report_resource *const *x = a;
    const struct report_resource *const *y = b;
    int d = is_trouble(*y) - is_trouble(*x);
    return d ? d : object_id_cmp((*x)->id, (*y)->id);
}

static int by_id(const void *a, const void *b)
{
    const struct report_resource *const *x = a;
    const struct report_resource *const *y = b;
    return object_id_cmp((*x)->id, (*y)->id);
}

// *left_out: how many did not fit.
static json_t *resources_part(const struct app_report *r, size_t *left_out)
{
    const struct report_resource **list =
        mem_realloc(NULL, r->n_resources ? r->n_resources : 1, sizeof(*list));
    size_t n = r->n_resources;
    for (size_t i = 0; i < n; i++)
        list[i] = &r->resources[i];
    *left_out = n > MAX_RESOURCES ? n - MAX_RESOURCES : 0;
    if (*left_out) {
        qsort(list, n, sizeof(*list), by_trouble);
        n = MAX_RESOURCES;
    }
    qsort(list, n, sizeof(*list), by_id);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, resource(list[i]));
    free(list);
    return out;
}

// ---- the operation ----
static json_t *operation_asked(const struct app_report *r)
{
    const struct report_operation *o = &r->operation;
    if (o->asked)
        return json_deep_copy(o->asked);
    json_t *sync = json_object();
    set_revisions(sync, r->app, o->revisions);
    set_true(sync, "prune", o->prune);
    return json_pack("{s:o, s:{s:b}}", "sync", sync, "initiatedBy", "automated", 1);
}

static json_t *result(const struct report_result *x)
{
    static const char *const phases[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    static const char *const asked_for[] = {"group", "version", "kind", "namespace", "name"};
    json_t *v = json_object();
    set_identity(v, x->id, x->version);
    for (size_t i = 0; i < ARRAY_LEN(asked_for); i++)
        ensure_text(v, asked_for[i]);
    set_text(v, "status", x->status);
    set_message(v, "message", x->message);
    set_text(v, "hookType", x->hook_type);
    set_text(v, "hookPhase", x->hook_phase);
    set_text(v, "syncPhase", phases[x->sync_phase]);
    return v;
}

static json_t *operation_part(const struct app_report *r)
{
    const struct report_operation *o = &r->operation;
    json_t *v = json_pack("{s:o, s:s}", "operation", operation_asked(r), "phase",
                          operation_phase_name(o->phase));
    set_message(v, "message", o->message);
    set_time(v, "startedAt", o->started_unix_s);
    set_time(v, "finishedAt", o->finished_unix_s);
    if (o->retry_count)
        json_object_set_new(v, "retryCount", json_integer(o->retry_count));
    json_t *done = json_object();
    set_revisions(done, r->app, o->revisions);
    ensure_text(done, "revision");
    set_sources(done, r->app);
    if (o->n_results) {
        json_t *list = json_array();
        for (size_t i = 0; i < o->n_results && i < MAX_RESOURCES; i++)
            json_array_append_new(list, result(&o->results[i]));
        json_object_set_new(done, "resources", list);
    }
    json_object_set_new(v, "syncResult", done);
    return v;
}

// ---- history ----
static size_t history_limit(const struct application *a)
{
    long long n = json_dot_int(a->doc, "spec.revisionHistoryLimit", DEFAULT_HISTORY);
    return n < 0 ? DEFAULT_HISTORY : n > MAX_HISTORY ? MAX_HISTORY : (size_t)n;
}

static json_t *deployment(const struct app_report *r, long long id)
{
    json_t *v = json_pack("{s:I}", "id", (json_int_t)id);
    set_revisions(v, r->app, r->operation.revisions ? r->operation.revisions : r->revisions);
    set_sources(v, r->app);
    set_time(v, "deployStartedAt", r->operation.started_unix_s);
    int64_t end = r->operation.finished_unix_s; // 0: it is told of the next one already
    set_time(v, "deployedAt", end ? end : r->now_unix_s);
    json_t *by = r->deployed_by ? json_pack("{s:s}", "username", r->deployed_by)
                                : json_pack("{s:b}", "automated", 1);
    json_object_set_new(v, "initiatedBy", by);
    return v;
}

// Times are of whole seconds, in one of which there may be two of different revisions.
static bool is_same_deployment(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"deployStartedAt", "deployedAt", "revision", "revisions"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *x = json_object_get(a, keys[i]);
        const json_t *y = json_object_get(b, keys[i]);
        if (x != y && !json_equal(x, y))
            return false;
    }
    return true;
}

static json_t *history_part(const struct app_report *r, const json_t *before)
{
    json_t *list = json_deep_copy(json_object_get(before, "history"));
    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    long long id = json_dot_int(last, "id", -1) + 1;
    CLEANUP(json_freep) json_t *next = deployment(r, id);
    if (r->is_deployed && !is_same_deployment(last, next)) // the same one told again is no other
        json_array_append(list, next);
    while (json_array_size(list) > history_limit(r->app))
        json_array_remove(list, 0);
    return list;
}

// ---- conditions ----
static const json_t *find_condition(const json_t *list, const char *type, const char *message)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (str_eq(json_dot_str(v, "type"), type) && str_eq(json_dot_str(v, "message"), message))
            return v;
    }
    return NULL;
}

static int by_type(const void *a, const void *b)
{
    const struct report_condition *const *x = a;
    const struct report_condition *const *y = b;
    int d = strcmp((*x)->type, (*y)->type);
    return d ? d : str_cmp((*x)->message, (*y)->message);
}

static json_t *conditions_part(const struct app_report *r, const json_t *before)
{
    const json_t *old = json_object_get(before, "conditions");
    const struct report_condition **list =
        mem_realloc(NULL, r->n_conditions ? r->n_conditions : 1, sizeof(*list));
    json_t *out = json_array();
    for (size_t i = 0; i < r->n_conditions; i++)
        list[i] = &r->conditions[i];
    qsort(list, r->n_conditions, sizeof(*list), by_type);
    for (size_t i = 0; i < r->n_conditions; i++) {
        json_t *v = json_pack("{s:s, s:s}", "type", list[i]->type, "message", "");
        set_message(v, "message", list[i]->message);
        const char *message = json_dot_str(v, "message");
        const char *since =
            json_dot_str(find_condition(old, list[i]->type, message), "lastTransitionTime");
        if (since)
            set_text(v, "lastTransitionTime", since);
        else
            set_time(v, "lastTransitionTime", r->now_unix_s);
        if (find_condition(out, list[i]->type, message))
            json_decref(v);
        else
            json_array_append_new(out, v);
    }
    free(list);
    return out;
}

// ---- the rest ----
static void set_source_types(json_t *status, const struct app_report *r)
{
    json_object_del(status, "sourceType");
    json_object_del(status, "sourceTypes");
    if (!r->source_types || !r->source_types->len)
        return;
    if (is_multi(r->app))
        json_object_set_new(status, "sourceTypes", json_array());
    else
        set_text(status, "sourceType", r->source_types->v[0]);
    for (size_t i = 0; i < r->source_types->len && is_multi(r->app); i++)
        json_array_append_new(json_object_get(status, "sourceTypes"),
                              json_string(r->source_types->v[i]));
}

static json_t *summary_part(const struct app_report *r, const json_t *before)
{
    const json_t *old = json_object_get(before, "summary");
    json_t *v = json_is_object(old) ? json_deep_copy(old) : json_object();
    struct strv images = {0};
    for (size_t i = 0; r->images && i < r->images->len; i++)
        if (!strv_has(&images, r->images->v[i]))
            strv_push(&images, r->images->v[i]);
    strv_sort(&images);
    json_object_del(v, "images");
    if (images.len)
        json_object_set_new(v, "images", json_array());
    for (size_t i = 0; i < images.len; i++)
        json_array_append_new(json_object_get(v, "images"), json_string(images.v[i]));
    strv_clear(&images);
    return v;
}

// What Argo CD has no place for; its definition drops it.
static void set_own(json_t *status, const struct app_report *r, size_t left_out)
{
    json_t *own = json_object();
    struct buf size CLEANUP(buf_clear) = {0};
    set_true(own, "suspended", r->is_suspended);
    if (r->awaits)
        json_object_set_new(own, "awaitsApproval", json_deep_copy(r->awaits));
    if (left_out)
        json_object_set_new(own, "resourcesLeftOut", json_integer((json_int_t)left_out));
    if (json_array_size(r->drift)) {
        canon_write(r->drift, &size);
        if (size.len <= MAX_DRIFT_BYTES)
            json_object_set_new(own, "drift", json_deep_copy(r->drift));
        else
            json_object_set_new(own, "driftedObjects",
                                json_integer((json_int_t)json_array_size(r->drift)));
    }
    json_object_del(status, "regrow");
    if (json_object_size(own))
        json_object_set(status, "regrow", own);
    json_decref(own);
}

static void set_list(json_t *status, const char *key, json_t *list)
{
    if (json_array_size(list))
        json_object_set(status, key, list);
    else
        json_object_del(status, key);
    json_decref(list);
}

// Nobody goes on with it, and nobody should wait for it for ever.
static void abandon(json_t *status, const struct app_report *r)
{
    json_t *o = json_object_get(status, "operationState");
    const char *phase = json_dot_text(o, "phase");
    bool is_ending = !strcmp(phase, "Terminating");
    if (!is_ending && strcmp(phase, "Running") != 0)
        return;
    set_text(o, "phase", is_ending ? "Failed" : "Error");
    set_text(o, "message",
             is_ending ? "Operation terminated"
                       : "the controller was restarted while it was under way: ask for it again");
    set_time(o, "finishedAt", r->now_unix_s);
}

json_t *app_status_json(const struct app_report *r, const json_t *before)
{
    size_t left_out = 0;
    const char *looked = json_dot_str(before, "reconciledAt");
    json_t *v = json_is_object(before) ? json_deep_copy(before) : json_object();
    json_object_set_new(v, "sync", sync_part(r));
    json_object_set_new(v, "health", health_part(r, before));
    set_list(v, "resources", resources_part(r, &left_out));
    if (r->operation.phase != OPERATION_NONE)
        json_object_set_new(v, "operationState", operation_part(r));
    else if (r->is_abandoned)
        abandon(v, r);
    set_list(v, "history", history_part(r, before));
    set_list(v, "conditions", conditions_part(r, before));
    set_source_types(v, r);
    json_object_set_new(v, "summary", summary_part(r, before));
    set_text(v, "controllerNamespace", r->controller_namespace);
    set_own(v, r, left_out);
    // That it was looked at once more is no news.
    if (!looked || !json_equal(v, before))
        set_time(v, "reconciledAt", r->now_unix_s);
    return v;
}

static json_t *difference(const json_t *before, const json_t *after)
{
    json_t *patch = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)before, key, v)
    {
        if (!json_object_get(after, key))
            json_object_set_new(patch, key, json_null());
    }
    json_object_foreach((json_t *)after, key, v)
    {
        const json_t *old = json_object_get(before, key);
        if (json_equal(old, v))
            continue;
        json_object_set_new(patch, key,
                            json_is_object(old) && json_is_object(v) ? difference(old, v)
                                                                     : json_deep_copy(v));
    }
    return patch;
}

json_t *app_status_patch(const json_t *before, const json_t *after)
{
    CLEANUP(json_freep) json_t *patch = difference(before, after);
    return json_object_size(patch) ? TAKE(patch) : NULL;
}

// ---- events ----
static void add_event(json_t *out, const char *reason, bool is_bad, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void add_event(json_t *out, const char *reason, bool is_bad, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *text = str_vprintf(fmt, ap);
    va_end(ap);
    json_t *v = json_pack("{s:s, s:s}", "reason", reason, "type", is_bad ? "Warning" : "Normal");
    set_message(v, "message", text);
    json_array_append_new(out, v);
}

static void changed(json_t *out, const json_t *before, const json_t *after, const char *path,
                    const char *what, const char *bad)
{
    const char *was = json_dot_text(before, path);
    const char *is = json_dot_text(after, path);
    if (strcmp(was, is) != 0)
        add_event(out, "ResourceUpdated", bad && !strcmp(is, bad), "Updated %s status: %s -> %s",
                  what, was, is);
}

// "3f9c2e1", or several of them.
static char *revision_text(const json_t *operation)
{
    struct buf b = {0};
    size_t i;
    json_t *v;
    buf_str(&b, json_dot_text(operation, "syncResult.revision"));
    json_array_foreach(json_dot(operation, "syncResult.revisions"), i, v)
    {
        buf_printf(&b, "%s%s", i ? "," : "", json_string_value(v) ? json_string_value(v) : "");
    }
    return buf_take(&b);
}

static void operation_events(json_t *out, const json_t *before, const json_t *after)
{
    const json_t *is = json_object_get(after, "operationState");
    const json_t *was = json_object_get(before, "operationState");
    const char *phase = json_dot_text(is, "phase");
    CLEANUP(str_freep) char *revision = revision_text(is);
    bool is_new = is && !str_eq(json_dot_str(was, "startedAt"), json_dot_str(is, "startedAt"));
    bool was_over = !is_new && is_final(json_dot_str(was, "phase"));
    const char *by = json_dot_str(is, "operation.initiatedBy.username");
    if (is_new)
        add_event(out, "OperationStarted", false, "%s%sInitiated %ssync to '%s'", by ? by : "",
                  by ? ": " : "", by ? "" : "automated ", revision);
    if (!is_final(phase) || was_over)
        return;
    if (!strcmp(phase, "Succeeded"))
        add_event(out, "OperationCompleted", false, "Sync operation to %s succeeded", revision);
    else
        add_event(out, "OperationCompleted", true, "Sync operation to %s failed: %s", revision,
                  json_dot_text(is, "message"));
}

json_t *app_status_events(const json_t *before, const json_t *after)
{
    json_t *out = json_array();
    operation_events(out, before, after);
    changed(out, before, after, "sync.status", "sync", NULL);
    changed(out, before, after, "health.status", "health", "Degraded");
    return out;
}
