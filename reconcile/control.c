// SPDX-License-Identifier: Apache-2.0
#include "reconcile/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_REVISIONS 100
#define MAX_RESOURCES 5000
#define ANSWER_RESULTS (16U << 10)
#define BRIEF_TEXT 1000

void app_control_clear(struct app_control *c)
{
    strv_clear(&c->revisions);
    *c = (struct app_control){0};
}

// ---- reading ----
static bool is_true_text(const char *s)
{
    return s && (!strcasecmp(s, "true") || !strcmp(s, "1"));
}

static bool wrong(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "operation: %s", what);
}

static bool list_of(const json_t *v, bool (*is_good)(const json_t *item), size_t max)
{
    size_t i;
    json_t *x;
    if (!v || json_is_null(v))
        return true;
    if (!json_is_array(v) || json_array_size(v) > max)
        return false;
    json_array_foreach(v, i, x)
    {
        if (!is_good(x))
            return false;
    }
    return true;
}

static bool is_text(const json_t *v)
{
    return json_is_string(v);
}

static bool is_map(const json_t *v)
{
    return json_is_object(v);
}

static bool is_resource(const json_t *v)
{
    return json_dot_str(v, "kind") && json_dot_str(v, "name") &&
           !json_is_object(json_object_get(v, "group"));
}

static const json_t *not_null(const json_t *v)
{
    return json_is_null(v) ? NULL : v;
}

static bool read_sync(const json_t *sync, struct app_control *c, struct err *err)
{
    size_t i;
    json_t *v;
    const json_t *revisions = json_object_get(sync, "revisions");
    const json_t *resources = json_object_get(sync, "resources");
    if (!list_of(revisions, is_text, MAX_REVISIONS))
        return wrong(err, "revisions is not a list of texts");
    if (!list_of(resources, is_resource, MAX_RESOURCES))
        return wrong(err, "resources is not a list of objects with group, kind and name");
    if (!list_of(json_object_get(sync, "syncOptions"), is_text, MAX_REVISIONS))
        return wrong(err, "syncOptions is not a list of texts");
    if (!list_of(json_object_get(sync, "sources"), is_map, MAX_REVISIONS))
        return wrong(err, "sources is not a list of sources");
    if (json_array_size(json_object_get(sync, "manifests")))
        return wrong(err, "manifests of one's own (sync --local) are not taken");
    json_array_foreach(revisions, i, v) strv_push(&c->revisions, json_string_value(v));
    if (!c->revisions.len && !str_is_empty(json_dot_str(sync, "revision")))
        strv_push(&c->revisions, json_dot_str(sync, "revision"));
    c->resources = json_array_size(resources) ? resources : NULL;
    c->options = not_null(json_object_get(sync, "syncOptions"));
    c->sources = not_null(json_object_get(sync, "sources"));
    c->sources = c->sources ? c->sources : not_null(json_object_get(sync, "source"));
    c->prune = json_dot_bool(sync, "prune", false);
    c->dry_run = json_dot_bool(sync, "dryRun", false);
    c->is_apply_only = json_is_object(json_dot(sync, "syncStrategy.apply"));
    c->is_forced = json_dot_bool(sync, "syncStrategy.apply.force", false) ||
                   json_dot_bool(sync, "syncStrategy.hook.force", false);
    return true;
}

bool control_read(const json_t *doc, struct app_control *out, struct err *err)
{
    const char *refresh = json_annotation(doc, CONTROL_REFRESH);
    const char *approved = json_annotation(doc, CONTROL_APPROVED);
    int64_t approved_ms = approved ? clock_parse_rfc3339_ms(approved) : -1;
    const json_t *operation = not_null(json_object_get(doc, "operation"));
    *out = (struct app_control){
        .is_suspended = is_true_text(json_annotation(doc, CONTROL_SKIP)),
        // As Argo CD: whatever is not "hard" is a normal one.
        .refresh = !refresh                   ? REFRESH_NONE
                   : !strcmp(refresh, "hard") ? REFRESH_HARD
                                              : REFRESH_NORMAL,
        .approved_at_unix_s = approved_ms > 0 ? approved_ms / 1000 : 0,
        .operation = operation,
        .username = "",
        .is_ended = str_eq(json_dot_str(doc, "status.operationState.phase"), "Terminating"),
        .began = json_dot_str(doc, "status.operationState.startedAt"),
    };
    return !operation || control_operation(operation, out, err);
}

bool control_operation(const json_t *operation, struct app_control *out, struct err *err)
{
    out->operation = operation;
    out->username = json_dot_text(operation, "initiatedBy.username");
    out->is_automated = json_dot_bool(operation, "initiatedBy.automated", false);
    out->retry = not_null(json_object_get(operation, "retry"));
    if (!json_is_object(operation))
        return wrong(err, "it is not a map");
    if (!json_is_object(json_object_get(operation, "sync")))
        return wrong(err, "it has no sync: nothing else can be asked for");
    return read_sync(json_object_get(operation, "sync"), out, err);
}

bool control_entry(const json_t *config_map, const char *app, json_t **out, struct err *err)
{
    const json_t *v = json_object_get(json_object_get(config_map, "data"), app);
    size_t len = json_string_length(v);
    if (!json_is_string(v) || !len)
        return true;
    if (len > CONTROL_MAX_BYTES)
        return err_set(err, ERR_INVALID, "ConfigMap %s, %s: more than %u bytes", CONTROL_MAP, app,
                       CONTROL_MAX_BYTES);
    if (!canon_read(json_string_value(v), len, out, err))
        return err_wrap(err, "ConfigMap %s, %s", CONTROL_MAP, app);
    return true;
}

json_t *control_taken(const struct app_control *c)
{
    CLEANUP(json_freep) json_t *v = json_object();
    if (c->operation)
        json_object_set_new(v, "operation", json_null());
    if (c->refresh != REFRESH_NONE)
        json_object_set_new(v, "metadata", json_pack("{s:{s:n}}", "annotations", CONTROL_REFRESH));
    return json_object_size(v) ? TAKE(v) : NULL;
}

// Each part may be a pattern, as in Argo CD's CLI, which works them out itself.
static bool is_named(const json_t *x, const struct object_id *id)
{
    const char *ns = json_dot_text(x, "namespace");
    return glob_match(GLOB_GOBWAS, json_dot_text(x, "group"), id->group) &&
           glob_match(GLOB_GOBWAS, json_dot_text(x, "kind"), id->kind) &&
           glob_match(GLOB_GOBWAS, json_dot_text(x, "name"), id->name) &&
           (!*ns || (id->namespace && glob_match(GLOB_GOBWAS, ns, id->namespace)));
}

bool control_selects(const struct app_control *c, const struct object_id *id)
{
    size_t i;
    json_t *x;
    bool any_wanted = false;
    bool is_wanted = false;
    json_array_foreach(c->resources, i, x)
    {
        bool leaves_out = json_dot_bool(x, "exclude", false);
        if (leaves_out && is_named(x, id))
            return false;
        any_wanted |= !leaves_out;
        is_wanted |= !leaves_out && is_named(x, id);
    }
    return is_wanted || !any_wanted;
}

bool control_approves(const struct app_control *c, int64_t began_unix_s)
{
    return c->approved_at_unix_s && c->approved_at_unix_s >= began_unix_s;
}

static bool is_too_long(const json_t *answer)
{
    struct buf text CLEANUP(buf_clear) = {0};
    canon_write(answer, &text);
    return text.len > CONTROL_ANSWER_MAX;
}

// Whole sources, again and again, are what makes an answer long. The newest of the history stay as
// long as they fit: a rollback goes to one of them.
static void shorten(json_t *answer)
{
    json_t *state = json_object_get(answer, "operationState");
    json_t *result = json_object_get(state, "syncResult");
    json_t *history = json_object_get(answer, "history");
    if (!is_too_long(answer))
        return;
    json_object_del(json_object_get(answer, "sync"), "comparedTo");
    json_object_del(state, "operation");
    json_object_del(result, "source");
    json_object_del(result, "sources");
    while (is_too_long(answer) && json_array_size(history)) {
        size_t older = (json_array_size(history) + 1) / 2;
        while (older--)
            json_array_remove(history, 0);
    }
}

json_t *control_answer(const json_t *status)
{
    static const char *const parts[] = {"sync",       "health",       "operationState",
                                        "conditions", "reconciledAt", "history"};
    json_t *v = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const json_t *x = json_object_get(status, parts[i]);
        if (x)
            json_object_set_new(v, parts[i], json_deep_copy(x));
    }
    const json_t *awaits = json_dot(status, "regrow.awaitsApproval");
    if (awaits)
        json_object_set_new(v, "regrow", json_pack("{s:O}", "awaitsApproval", awaits));
    // A line for each object would not fit for many applications: of a few, that were asked for.
    json_t *result = json_dot(v, "operationState.syncResult");
    const json_t *sync = json_dot(v, "operationState.operation.sync");
    bool is_wanted = json_dot_bool(sync, "dryRun", false) || json_object_get(sync, "resources");
    struct buf size CLEANUP(buf_clear) = {0};
    if (is_wanted && json_object_get(result, "resources"))
        canon_write(json_object_get(result, "resources"), &size);
    if (!is_wanted || size.len > ANSWER_RESULTS)
        json_object_del(result, "resources");
    shorten(v);
    if (is_too_long(v)) {
        json_decref(v);
        return control_answer_brief(status);
    }
    return v;
}

// ---- how much is answered ----
json_t *control_answer_brief(const json_t *status)
{
    static const char *const parts[] = {"phase", "message", "startedAt", "finishedAt"};
    json_t *state = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *text = json_dot_str(json_object_get(status, "operationState"), parts[i]);
        if (text && strlen(text) <= BRIEF_TEXT)
            json_object_set_new(state, parts[i], json_string(text));
    }
    return json_pack("{s:o}", "operationState", state);
}

json_t *control_answer_room(json_t *sizes, const char *app, size_t len)
{
    json_t *dropped = json_object();
    const char *key;
    json_t *v;
    void *next;
    size_t sum = len;
    json_object_del(sizes, app); // goes behind the others
    json_object_foreach(sizes, key, v) sum += (size_t)json_integer_value(v);
    json_object_foreach_safe(sizes, next, key, v)
    {
        if (sum <= CONTROL_ANSWERS_MAX)
            break;
        sum -= (size_t)json_integer_value(v);
        json_object_set_new(dropped, key, json_null());
        json_object_del(sizes, key);
    }
    json_object_set_new(sizes, app, json_integer((json_int_t)len));
    return dropped;
}

// ---- asking ----
static json_t *annotation(const char *key, const char *value)
{
    return json_pack("{s:{s:{s:s?}}}", "metadata", "annotations", key, value);
}

json_t *control_ask_refresh(enum control_refresh how)
{
    return annotation(CONTROL_REFRESH, how == REFRESH_HARD ? "hard" : "normal");
}

json_t *control_ask_sync(bool prune, const char *username)
{
    json_t *sync = json_pack("{s:{s:{}}}", "syncStrategy", "hook");
    if (prune)
        json_object_set_new(sync, "prune", json_true());
    return json_pack("{s:{s:o, s:{s:s}}}", "operation", "sync", sync, "initiatedBy", "username",
                     username);
}

json_t *control_ask_suspend(bool yes)
{
    return annotation(CONTROL_SKIP, yes ? "true" : NULL);
}

json_t *control_ask_approval(int64_t at_unix_s)
{
    CLEANUP(str_freep) char *at = clock_rfc3339(at_unix_s);
    return annotation(CONTROL_APPROVED, at);
}

json_t *control_ask_end(void)
{
    return json_pack("{s:{s:{s:s}}}", "status", "operationState", "phase", "Terminating");
}

bool control_resource(const char *text, json_t **out, struct err *err)
{
    bool leaves_out = *text == '!';
    struct strv parts = {0};
    strv_split(&parts, text + leaves_out, ':');
    bool ok = parts.len == 3 && *parts.v[1] && *parts.v[2];
    if (ok) {
        char *slash = strchr(parts.v[2], '/');
        if (slash)
            *slash = '\0';
        const char *name = slash ? slash + 1 : parts.v[2];
        *out = json_pack("{s:s, s:s, s:s}", "group", parts.v[0], "kind", parts.v[1], "name", name);
        ok = *out && *name;
        if (ok && slash)
            json_object_set_new(*out, "namespace", json_string(parts.v[2]));
        if (ok && leaves_out)
            json_object_set_new(*out, "exclude", json_true());
    }
    strv_clear(&parts);
    return ok ||
           err_set(err, ERR_USAGE, "--resource %s: it must be GROUP:KIND:[NAMESPACE/]NAME", text);
}

static bool is_automated(const json_t *application)
{
    const json_t *automated = json_dot(application, "spec.syncPolicy.automated");
    return json_is_object(automated) && json_dot_bool(automated, "enabled", true);
}

static const json_t *find_entry(const json_t *history, const char *id)
{
    long long want;
    size_t i;
    json_t *v;
    size_t n = json_array_size(history);
    if (!id)
        return n >= 2 ? json_array_get(history, n - 2) : NULL;
    if (!str_to_int(id, 0, INT64_MAX, &want))
        return NULL;
    json_array_foreach(history, i, v)
    {
        if (json_dot_int(v, "id", -1) == want)
            return v;
    }
    return NULL;
}

bool control_rollback(const json_t *application, const char *id, bool is_suspended, json_t **out,
                      struct err *err)
{
    static const char *const parts[] = {"revision", "revisions", "source", "sources"};
    const json_t *history = json_dot(application, "status.history");
    const json_t *entry = find_entry(history, id);
    if (is_automated(application) && !is_suspended)
        return err_set(err, ERR_INVALID,
                       "automated sync is on: it would bring back at once what is rolled back");
    if (!entry && !id)
        return err_set(err, ERR_NOT_FOUND, "its history has %zu entries: there is none before",
                       json_array_size(history));
    if (!entry)
        return err_set(err, ERR_NOT_FOUND, "its history has no entry %s", id);
    json_t *sync = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        json_t *v = json_object_get(entry, parts[i]);
        if (v && !(json_is_string(v) && !json_string_length(v)))
            json_object_set_new(sync, parts[i], json_deep_copy(v));
    }
    *out = json_pack("{s:o}", "sync", sync);
    return true;
}

// ---- how far it is ----
enum control_progress control_operation_progress(const json_t *doc, const json_t *status)
{
    const char *phase = json_dot_text(status, "operationState.phase");
    if (not_null(json_object_get(doc, "operation")) || !*phase)
        return CONTROL_WAITING;
    if (!strcmp(phase, "Succeeded"))
        return CONTROL_SUCCEEDED;
    return !strcmp(phase, "Failed") || !strcmp(phase, "Error") ? CONTROL_FAILED : CONTROL_UNDER_WAY;
}

bool control_is_refreshed(const json_t *doc)
{
    return !json_annotation(doc, CONTROL_REFRESH);
}
