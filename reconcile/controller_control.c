// SPDX-License-Identifier: Apache-2.0
//
// What people ask for (docs/control.md): taken out of Application objects, or of the ConfigMap
// `control` where there are none, and handed to the turns.
#include <stdlib.h>
#include <string.h>

#include "reconcile/app_status.h"
#include "reconcile/control.h"
#include "reconcile/controller_int.h"

// From now on it is read at these revisions, until a sync that names none, or its own sync is on
// again.
void operation_pin(struct controller *c, struct tracked *t, const struct strv *revisions)
{
    size_t n = revisions ? revisions->len : 0;
    c->must_load |= t->pins.len || n;
    t->is_pinned = false; // not yet
    strv_clear(&t->pins);
    for (size_t i = 0; i < n; i++)
        strv_push(&t->pins, revisions->v[i]);
}

static void begin_operation(struct controller *c, struct tracked *t, json_t *operation_take)
{
    const unsigned unfinished = TRIGGER_UNFINISHED | TRIGGER_RETRY;
    struct err err = {0};
    operation_clear(t);
    if (t->triggers & unfinished) // of what was on before, which is owed still
        t->triggers = (t->triggers & ~unfinished) | TRIGGER_COMMIT;
    t->asked = operation_take;
    t->began_unix_s = clock_unix_ms() / 1000;
    t->ended_unix_s = 0;
    t->tries = 0;
    bool ok = control_operation(t->asked, &t->op, &err);
    t->refusal = ok ? operation_refusal(c, t) : str_dup(err.msg);
    event_emit(c->o.events, "sync.asked", "{s:s, s:s, s:s}", "app", t->name, "by", t->op.username,
               "refused", t->refusal ? t->refusal : "");
    err_clear(&err);
    if (t->refusal) {
        operation_settle(c, t, OPERATION_ERROR, t->refusal);
        return;
    }
    if (!operation_is_partial(t)) // a part, or a trial, says nothing about where it is to stay
        operation_pin(c, t, &t->op.revisions);
    controller_read_again(c); // it is to what Git says now, not at the last poll
    tracked_trigger(t, TRIGGER_REQUEST, 0);
    if (c->gone_rests) // what it had that is gone goes with it
        c->gone_due_ms = 0;
}

void control_begin_next(struct controller *c, struct tracked *t)
{
    json_t *next = TAKE(t->next);
    if (next)
        begin_operation(c, t, next);
}

static void take_operation(struct controller *c, struct tracked *t, const struct app_control *k)
{
    if (t->is_taking && json_equal(t->next ? t->next : t->asked, k->operation))
        return; // it is being taken out
    t->is_taking = true;
    json_decref(t->next);
    t->next = json_deep_copy(k->operation);
    if (!t->is_on) // else when the turn has ended
        control_begin_next(c, t);
}

// The patch that takes out what was taken, or NULL; owned.
static json_t *take(struct controller *c, struct tracked *t, const json_t *doc)
{
    struct app_control k = {0};
    struct err err = {0};
    if (!control_read(doc, &k, &err))
        err_clear(&err); // the operation, which is refused when it is taken
    if (k.operation)
        take_operation(c, t, &k);
    else
        t->is_taking = false;
    if (k.is_ended)
        operation_end(c, t, k.began);
    if (k.refresh != REFRESH_NONE && !t->is_refreshing)
        controller_refresh(c, k.refresh == REFRESH_HARD);
    t->is_refreshing = k.refresh != REFRESH_NONE;
    bool is_news = t->is_suspended != k.is_suspended || k.operation || t->is_refreshing;
    if (t->is_suspended && !k.is_suspended && t->triggers)
        t->due_ms = 0;
    if (t->is_suspended && !k.is_suspended && c->gone_rests)
        c->gone_due_ms = 0;
    if (t->is_suspended && !k.is_suspended && t->is_automated && t->pins.len)
        operation_pin(c, t, NULL);
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
    approval_take(c, app, doc);
    return t ? take(c, t, doc) : NULL;
}

// ---- the ConfigMap ----

struct map_call {
    struct controller *c;
    char *app;
    json_t *then;   // what becomes of the request, once it is answered; NULL: nothing
    json_t *brief;  // what is answered instead when the answers have grown too large; NULL: nothing
    json_t *answer; // what is said once more when there is no ConfigMap of answers; NULL: nothing
};

static void patch_request(struct controller *c, const char *app, json_t *value_take);
static void answer_afresh(struct map_call *m);
static void make_answers(struct map_call *m);

static void on_patched(void *ctx, const struct kube_reply *reply)
{
    struct map_call *m = ctx;
    if (reply->cls == KUBE_ABSENT && m->answer) {
        make_answers(m);
        return;
    }
    m->c->pending--;
    // What was not taken out comes again with the next change.
    if (m->then && reply->cls == KUBE_OK)
        patch_request(m->c, m->app, json_incref(m->then));
    if (m->brief && reply->cls == KUBE_INVALID)
        answer_afresh(m);
    json_decref(m->then);
    json_decref(m->brief);
    json_decref(m->answer);
    free(m->app);
    free(m);
}

static struct map_call *map_call(struct controller *c, const char *app, json_t *then)
{
    struct map_call *m = mem_alloc(sizeof(*m));
    *m = (struct map_call){.c = c, .app = str_dup_or_null(app), .then = then};
    c->pending++;
    return m;
}

static void patch_map(struct controller *c, const char *name, const json_t *doc, struct map_call *m)
{
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    CLEANUP(str_freep)
    char *path = str_printf("%s/%s?fieldManager=regrow-status", CONTROL_MAPS_PATH, name);
    struct kube_call call = {.method = "PATCH",
                             .path = path,
                             .body = body.p,
                             .body_len = body.len,
                             .content_type = json_is_array(doc) ? "application/json-patch+json"
                                                                : "application/merge-patch+json",
                             .is_idempotent = true};
    kube_send(c->kube, &call, on_patched, m);
}

static void patch_request(struct controller *c, const char *app, json_t *value_take)
{
    CLEANUP(json_freep) json_t *doc = json_pack("{s:{s:o}}", "data", app, value_take);
    patch_map(c, CONTROL_MAP, doc, map_call(c, app, NULL));
}

// The answers of earlier processes, whose sizes nobody has counted, leave no room: this one alone.
static void answer_afresh(struct map_call *m)
{
    CLEANUP(json_freep) json_t *text = TAKE(m->brief);
    CLEANUP(json_freep)
    json_t *doc =
        json_pack("[{s:s, s:s, s:{s:O}}]", "op", "add", "path", "/data", "value", m->app, text);
    json_object_clear(m->c->answer_sizes);
    json_decref(control_answer_room(m->c->answer_sizes, m->app, json_string_length(text)));
    patch_map(m->c, CONTROL_ANSWERS, doc, map_call(m->c, m->app, TAKE(m->then)));
}

static void on_made(void *ctx, const struct kube_reply *reply)
{
    struct map_call *m = ctx;
    CLEANUP(json_freep) json_t *answer = TAKE(m->answer);
    m->c->has_answers |= reply->cls == KUBE_OK;
    if (reply->cls == KUBE_OK)
        patch_map(m->c, CONTROL_ANSWERS, answer, m);
    else
        on_patched(m, reply);
}

// With the first answer, and when somebody has deleted it: who is asked nothing writes nothing.
static void make_answers(struct map_call *m)
{
    static const char body[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
                               "\"name\":\"" CONTROL_ANSWERS "\"}}";
    struct kube_apply_opts o = {.manager = "regrow-status"};
    kube_apply(m->c->kube, CONTROL_MAPS_PATH "/" CONTROL_ANSWERS, body, sizeof(body) - 1, &o,
               on_made, m);
}

static json_t *as_text(json_t *answer_take)
{
    char *text = json_dumps(answer_take, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *v = text ? json_string(text) : NULL;
    free(text);
    json_decref(answer_take);
    return v;
}

// Where no Application keeps what was deployed of it, the answers do.
json_t *control_before(const struct controller *c, const char *app)
{
    const json_t *history = json_object_get(c->told, app);
    return history ? json_pack("{s:O}", "history", history) : NULL;
}

static void tell(struct controller *c, const char *app, const json_t *status, json_t *then)
{
    json_t *history = json_object_get(status, "history");
    if (json_is_array(history))
        json_object_set(c->told, app, history);
    json_t *text = as_text(control_answer(status));
    if (!text) {
        json_decref(then);
        return;
    }
    CLEANUP(json_freep)
    json_t *data = control_answer_room(c->answer_sizes, app, json_string_length(text));
    CLEANUP(json_freep) json_t *doc = json_pack("{s:O}", "data", data);
    json_object_set_new(data, app, text);
    struct map_call *m = map_call(c, app, then);
    m->brief = as_text(control_answer_brief(status));
    m->answer = json_incref(doc);
    if (c->has_answers)
        patch_map(c, CONTROL_ANSWERS, doc, m);
    else
        make_answers(m);
}

// Answered, and taken out: nothing can become of it.
static void refuse_entry(struct controller *c, const char *app, const char *why)
{
    CLEANUP(json_freep)
    json_t *status =
        json_pack("{s:{s:s, s:s}}", "operationState", "phase", "Error", "message", why);
    tell(c, app, status, json_null());
}

// A request that was taken out leaves what stays of it: a suspension, an approval. It is answered
// first: who asked looks at the answer when the request is gone.
static void take_entry(struct controller *c, const json_t *map, const char *app)
{
    CLEANUP(json_freep) json_t *entry = NULL;
    struct err err = {0};
    if (!control_entry(map, app, &entry, &err)) {
        refuse_entry(c, app, err.msg);
        err_clear(&err);
        return;
    }
    if (!entry)
        return;
    CLEANUP(json_freep) json_t *patch = control_take(c, app, entry);
    if (json_object_get(entry, "status")) { // with which an operation is ended
        patch = patch ? patch : json_object();
        json_object_set_new(patch, "status", json_null());
    }
    CLEANUP(json_freep) json_t *before = control_before(c, app);
    CLEANUP(json_freep) json_t *status = patch ? report_status(c, app, before) : NULL;
    if (c->desired && !tracked_find(c, app) && !json_object_get(c->awaited, app))
        refuse_entry(c, app, "there is no application of that name");
    if (!status)
        return;
    json_merge_patch(entry, patch);
    json_object_set_new(c->answering, app, json_true());
    char *text = json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *rest = text ? json_string(text) : NULL;
    tell(c, app, status, rest ? rest : json_null());
    free(text);
}

// Of a controller before: what was deployed is known, also of what was asked just now; an operation
// that was under way is not any more, and that is told.
static void take_left(struct controller *c, const json_t *map)
{
    const char *app;
    json_t *v;
    json_object_foreach(json_object_get(map, "data"), app, v)
    {
        const char *text = json_string_value(v);
        struct tracked *t = tracked_find(c, app);
        if (!t || !text)
            continue;
        CLEANUP(json_freep)
        json_t *answer = json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, NULL);
        json_t *history = json_object_get(answer, "history");
        if (json_is_array(history) && !json_object_get(c->told, app))
            json_object_set(c->told, app, history);
        if (json_object_get(c->answering, app))
            continue; // what was asked of this one it has answered itself
        const char *phase = json_dot_text(answer, "operationState.phase");
        if (strcmp(phase, "Running") != 0 && strcmp(phase, "Terminating") != 0)
            continue;
        json_object_set(c->left_answers, app, answer);
        json_object_set_new(c->answering, app, json_true());
        report_news(c, app);
    }
}

static void on_map(void *ctx, enum kube_event ev, json_t *doc)
{
    struct controller *c = ctx;
    const char *app;
    json_t *v;
    if (ev == KUBE_GONE)
        c->map_watch = NULL;
    c->map_is_read |= ev == KUBE_SYNCED || ev == KUBE_GONE;
    healthy_seen(c, ev, doc);
    if (str_eq(json_dot_str(doc, "metadata.name"), CONTROL_ANSWERS))
        c->has_answers = ev != KUBE_DELETED;
    if (ev == KUBE_ITEM && controller_leads(c) &&
        str_eq(json_dot_str(doc, "metadata.name"), CONTROL_ANSWERS))
        take_left(c, doc);
    if (!doc || !controller_leads(c) || ev == KUBE_DELETED ||
        !str_eq(json_dot_str(doc, "metadata.name"), CONTROL_MAP))
        return;
    json_object_foreach(json_object_get(doc, "data"), app, v) take_entry(c, doc, app);
}

static void on_map_failed(void *ctx, const struct kube_reply *reply)
{
    struct controller *c = ctx;
    c->map_watch = NULL; // begun again after the next load
    healthy_forget(c);
    c->map_is_read |= !kube_may_answer_later(reply->cls);
}

void control_watch(struct controller *c)
{
    const struct kind_info *k = kinds_find(c->o.kinds, "", "v1", "ConfigMap");
    c->map_is_read |= !k;
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
    if (json_object_get(c->answering, app))
        tell(c, app, status, NULL);
}

void control_unwatch(struct controller *c)
{
    if (c->map_watch)
        kube_watch_stop(c->map_watch);
    c->map_watch = NULL;
    healthy_forget(c);
}
