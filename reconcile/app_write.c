// SPDX-License-Identifier: Apache-2.0
#include "reconcile/app_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/event_series.h"

#define MAX_IN_FLIGHT 8
#define MAX_WAITING 64 // documents are large: what there is no room for is made when there is
#define BACKOFF_MS 1000
#define MAX_BACKOFF_MS 60000
#define MAX_EVENTS_WAITING 200

enum subresource { SUBRESOURCE_UNKNOWN, SUBRESOURCE_THERE, SUBRESOURCE_NONE };

struct entry {
    struct app_writer *w;
    char *ns, *name, *uid, *version;
    json_t *live;     // the status as the cluster has it; NULL while nothing is to be written
    json_t *want;     // NULL: nothing is waiting
    json_t *taken;    // merge patch of the rest, or NULL
    json_t *unkept;   // what of the last patch the definition did not keep
    json_t *observed; // of the status that events were told of last: what they are about
    json_t *sending, *sending_taken;
    // With a subresource: what is to be taken out, now that the status that answers it is written.
    // It goes before any newer status, or a busy application would never get to it.
    json_t *owed;
    bool is_paying;
    bool is_refused[2]; // it was told, of a status and of what is to be taken out; none went since
    struct kube_request *request;
    int64_t not_before_ms, backoff_ms;
    bool is_forgotten;
    struct event_series told;
};

struct event_call {
    struct app_writer *w;
    char *path, *method;
    json_t *body;
    struct kube_request *request;
};

struct app_writer {
    struct loop *loop;
    struct kube *kube;
    struct kind_info kind;
    char *manager, *component, *instance;
    void (*refused)(void *ctx, const struct app_refusal *r);
    void *ctx;
    VEC(struct entry *) entries;
    VEC(struct event_call *) events; // waiting or under way
    enum subresource subresource;
    bool is_probing;
    size_t in_flight;
    struct loop_timer *timer;
    struct app_writer_stats stats;
    bool is_freeing;
};

static void pump(struct app_writer *w);

static void on_timer(void *ctx)
{
    pump(ctx);
}

struct app_writer *app_writer_new(struct loop *l, struct kube *k, const struct app_writer_opts *o)
{
    struct app_writer *w = mem_alloc(sizeof(*w));
    w->loop = l;
    w->kube = k;
    w->kind = *o->kind;
    w->kind.group = str_dup(o->kind->group);
    w->kind.version = str_dup(o->kind->version);
    w->kind.kind = str_dup(o->kind->kind);
    w->kind.plural = str_dup(o->kind->plural);
    w->manager = str_dup(o->manager ? o->manager : "regrow");
    w->component = str_dup(o->component ? o->component : "regrow");
    w->instance = str_dup(o->instance ? o->instance : "");
    w->refused = o->refused;
    w->ctx = o->ctx;
    w->timer = loop_timer_new(l, on_timer, w);
    return w;
}

static void entry_free(struct entry *e)
{
    event_series_clear(&e->told);
    free(e->ns);
    free(e->name);
    free(e->uid);
    free(e->version);
    json_decref(e->live);
    json_decref(e->want);
    json_decref(e->taken);
    json_decref(e->unkept);
    json_decref(e->observed);
    json_decref(e->sending);
    json_decref(e->sending_taken);
    json_decref(e->owed);
    free(e);
}

static void event_free(struct event_call *x)
{
    free(x->path);
    free(x->method);
    json_decref(x->body);
    free(x);
}

void app_writer_free(struct app_writer *w)
{
    if (!w)
        return;
    w->is_freeing = true;
    for (size_t i = 0; i < w->entries.len; i++) {
        if (w->entries.v[i]->request)
            kube_cancel(w->entries.v[i]->request);
        entry_free(w->entries.v[i]);
    }
    for (size_t i = 0; i < w->events.len; i++) {
        if (w->events.v[i]->request)
            kube_cancel(w->events.v[i]->request);
        event_free(w->events.v[i]);
    }
    vec_clear(&w->entries);
    vec_clear(&w->events);
    loop_timer_free(w->timer);
    free(w->kind.group);
    free(w->kind.version);
    free(w->kind.kind);
    free(w->kind.plural);
    free(w->manager);
    free(w->component);
    free(w->instance);
    free(w);
}

struct app_writer_stats app_writer_stats(const struct app_writer *w)
{
    return w->stats;
}

// ---- events ----
static void on_event(void *ctx, const struct kube_reply *r)
{
    struct event_call *x = ctx;
    struct app_writer *w = x->w;
    x->request = NULL;
    if (w->is_freeing)
        return;
    w->stats.events += r->cls == KUBE_OK;
    w->stats.events_dropped += r->cls != KUBE_OK;
    for (size_t i = 0; i < w->events.len; i++) {
        if (w->events.v[i] != x)
            continue;
        memmove(&w->events.v[i], &w->events.v[i + 1],
                (w->events.len - i - 1) * sizeof(*w->events.v));
        w->events.len--;
        break;
    }
    w->in_flight--;
    event_free(x);
    pump(w);
}

static void queue_event(struct app_writer *w, const char *method, char *path_take, json_t *body)
{
    struct event_call *x = mem_alloc(sizeof(*x));
    *x = (struct event_call){.w = w, .method = str_dup(method), .path = path_take, .body = body};
    if (w->events.len >= MAX_EVENTS_WAITING) {
        w->stats.events_dropped++;
        event_free(x);
        return;
    }
    *vec_push(&w->events) = x;
}

static json_t *event_body(const struct entry *e, const struct event_told *t, const json_t *event)
{
    const struct app_writer *w = e->w;
    CLEANUP(str_freep) char *first = clock_rfc3339(t->first_unix_s);
    CLEANUP(str_freep) char *last = clock_rfc3339(clock_unix_ms() / 1000);
    CLEANUP(str_freep)
    char *api = str_printf("%s/%s", w->kind.group, w->kind.version);
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:s}, "
                     "s:s, s:s, s:s, "
                     "s:s, s:s, s:I, s:{s:s, s:s}}",
                     "apiVersion", "v1", "kind", "Event", "metadata", "name", t->name, "namespace",
                     e->ns, "involvedObject", "apiVersion", api, "kind", w->kind.kind, "namespace",
                     e->ns, "name", e->name, "uid", e->uid, "resourceVersion", e->version, "reason",
                     json_dot_text(event, "reason"), "type", json_dot_text(event, "type"),
                     "message", json_dot_text(event, "message"), "firstTimestamp", first,
                     "lastTimestamp", last, "count", (json_int_t)t->count, "source", "component",
                     w->component, "host", w->instance);
}

// What has been told lately is counted there; anything else is an event more.
static void tell(struct entry *e, const json_t *event)
{
    struct app_writer *w = e->w;
    CLEANUP(str_freep)
    char *text =
        str_printf("%s %s", json_dot_text(event, "reason"), json_dot_text(event, "message"));
    const struct event_told *t = event_series_add(&e->told, e->name, text, clock_mono_ms());
    if (!t) {
        w->stats.events_dropped++;
        return;
    }
    bool is_new = t->count == 1;
    CLEANUP(str_freep) char *last = clock_rfc3339(clock_unix_ms() / 1000);
    json_t *body =
        is_new ? event_body(e, t, event)
               : json_pack("{s:I, s:s}", "count", (json_int_t)t->count, "lastTimestamp", last);
    char *path = is_new ? str_printf("/api/v1/namespaces/%s/events", e->ns)
                        : str_printf("/api/v1/namespaces/%s/events/%s", e->ns, t->name);
    if (body)
        queue_event(w, is_new ? "POST" : "PATCH", path, body);
    else
        free(path);
}

static void send_event(struct event_call *x)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(x->body, &b);
    bool is_patch = !strcmp(x->method, "PATCH");
    struct kube_call c = {.method = x->method,
                          .path = x->path,
                          .body = b.p,
                          .body_len = b.len,
                          .content_type = is_patch ? "application/merge-patch+json" : NULL};
    x->w->in_flight++;
    x->request = kube_send(x->w->kube, &c, on_event, x);
}

// ---- writing ----
static bool has_work(const struct entry *e)
{
    return e->want || e->taken || e->owed;
}

static void set_json(json_t **slot, json_t *take)
{
    json_decref(*slot);
    *slot = take;
}

// What is to be sent now: the difference of the status, unless that is what was
// not kept before.
static json_t *status_patch(const struct entry *e)
{
    json_t *patch = e->want ? app_status_patch(e->live, e->want) : NULL;
    if (patch && e->unkept && json_equal(patch, e->unkept))
        set_json(&patch, NULL);
    return patch;
}

static void put_off(struct entry *e, const struct kube_reply *r)
{
    e->backoff_ms = e->backoff_ms ? e->backoff_ms * 2 : BACKOFF_MS;
    e->backoff_ms = e->backoff_ms > MAX_BACKOFF_MS ? MAX_BACKOFF_MS : e->backoff_ms;
    int64_t pause = r->retry_after_ms > e->backoff_ms ? r->retry_after_ms : e->backoff_ms;
    e->not_before_ms = clock_mono_ms() + pause;
}

static bool is_gone(enum kube_class cls)
{
    return cls == KUBE_ABSENT || cls == KUBE_NO_KIND || cls == KUBE_NO_NAMESPACE;
}

// Tried again when there is something new to say. What was to be taken out with a status that is
// refused goes without it: who asked must not have it done once more by the next process.
static void refused(struct entry *e, const struct kube_reply *r)
{
    struct app_writer *w = e->w;
    CLEANUP(json_freep) json_t *taken = TAKE(e->sending_taken);
    CLEANUP(json_freep) json_t *owed = TAKE(e->owed);
    CLEANUP(json_freep)
    json_t *event = json_pack("{s:s, s:s, s:s+}", "reason", "StatusRefused", "type", "Warning",
                              "message", "regrow cannot write here: ", r->message);
    w->stats.failed++;
    set_json(&e->sending, NULL);
    if (is_gone(r->cls))
        return;
    e->owed = TAKE(taken);
    struct app_refusal x = {e->ns, e->name, r, owed, !e->is_refused[e->is_paying]};
    if (x.is_news && event)
        tell(e, event);
    e->is_refused[e->is_paying] = true;
    if (w->refused)
        w->refused(w->ctx, &x);
}

static void ended(struct entry *e, const struct kube_reply *r)
{
    switch (r->cls) {
    case KUBE_ABSENT:
    case KUBE_NO_KIND:
    case KUBE_NO_NAMESPACE:
    case KUBE_INVALID:
    case KUBE_IMMUTABLE:
    case KUBE_DENIED:
    case KUBE_UNAUTHORIZED:
        refused(e, r);
        return;
    case KUBE_OK:
    case KUBE_CONFLICT:
    case KUBE_GATE:
    case KUBE_MISSING_REF:
    case KUBE_THROTTLED:
    case KUBE_RETRY:
    case KUBE_LOST:
    case KUBE_CANCELLED:
        break;
    }
    put_off(e, r);
    // Unless something newer has been said meanwhile.
    if (!e->want)
        e->want = TAKE(e->sending);
    if (e->sending_taken && e->taken)
        json_merge_patch(e->sending_taken, e->taken);
    if (e->sending_taken)
        set_json(&e->taken, TAKE(e->sending_taken));
}

static void kept(struct entry *e, const struct kube_reply *r)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err err = {0};
    if (!canon_read(r->body, r->body_len, &doc, &err)) {
        err_clear(&err);
        return;
    }
    json_t *status = json_object_get(doc, "status");
    set_json(&e->live, status ? json_incref(status) : NULL);
    if (e->sending)
        set_json(&e->unkept, app_status_patch(e->live, e->sending));
}

static void entry_drop(struct app_writer *w, struct entry *e)
{
    for (size_t i = 0; i < w->entries.len; i++) {
        if (w->entries.v[i] != e)
            continue;
        w->entries.v[i] = w->entries.v[--w->entries.len];
        break;
    }
    entry_free(e);
}

static void on_written(void *ctx, const struct kube_reply *r)
{
    struct entry *e = ctx;
    struct app_writer *w = e->w;
    e->request = NULL;
    if (w->is_freeing)
        return;
    w->in_flight--;
    if (e->is_forgotten) {
        entry_drop(w, e);
        pump(w);
        return;
    }
    if (r->cls == KUBE_OK) {
        w->stats.writes++;
        e->backoff_ms = 0;
        e->is_refused[e->is_paying] = false;
        kept(e, r);
        set_json(&e->sending, NULL);
        if (e->is_paying)
            set_json(&e->owed, NULL);
        else if (w->subresource == SUBRESOURCE_THERE)
            set_json(&e->owed, TAKE(e->sending_taken));
        set_json(&e->sending_taken, NULL);
    } else {
        ended(e, r);
    }
    pump(w);
}

static void send_patch(struct entry *e, const json_t *body, const char *part)
{
    struct app_writer *w = e->w;
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *path = kind_path(&w->kind, e->ns, e->name);
    CLEANUP(str_freep)
    char *url = str_printf("%s%s?fieldManager=%s", path, part, w->manager);
    canon_write(body, &b);
    struct kube_call c = {.method = "PATCH",
                          .path = url,
                          .body = b.p,
                          .body_len = b.len,
                          .content_type = "application/merge-patch+json",
                          .is_idempotent = true};
    w->in_flight++;
    e->request = kube_send(w->kube, &c, on_written, e);
}

static bool has_subresource(const struct app_writer *w, const struct kube_reply *r)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    CLEANUP(str_freep) char *name = str_printf("%s/status", w->kind.plural);
    struct err err = {0};
    size_t i;
    json_t *v;
    if (!canon_read(r->body, r->body_len, &doc, &err))
        err_clear(&err);
    json_array_foreach(json_object_get(doc, "resources"), i, v)
    {
        if (str_eq(json_dot_str(v, "name"), name))
            return true;
    }
    return false;
}

static void on_probed(void *ctx, const struct kube_reply *r)
{
    struct entry *e = ctx;
    struct app_writer *w = e->w;
    e->request = NULL;
    if (w->is_freeing)
        return;
    w->in_flight--;
    w->is_probing = false;
    if (r->cls == KUBE_OK)
        w->subresource = has_subresource(w, r) ? SUBRESOURCE_THERE : SUBRESOURCE_NONE;
    else
        put_off(e, r);
    if (e->is_forgotten)
        entry_drop(w, e);
    pump(w);
}

// Whether there is a subresource discovery says: a write to try it would be one
// that is refused.
static void probe(struct entry *e)
{
    struct app_writer *w = e->w;
    CLEANUP(str_freep)
    char *url = str_printf("/apis/%s/%s", w->kind.group, w->kind.version);
    struct kube_call c = {.method = "GET", .path = url};
    w->is_probing = true;
    w->in_flight++;
    e->request = kube_send(w->kube, &c, on_probed, e);
}

static void send_entry(struct entry *e)
{
    struct app_writer *w = e->w;
    if (w->subresource == SUBRESOURCE_UNKNOWN) {
        if (!w->is_probing)
            probe(e);
        return;
    }
    e->is_paying = e->owed != NULL;
    if (e->is_paying) {
        send_patch(e, e->owed, "");
        return;
    }
    CLEANUP(json_freep) json_t *patch = status_patch(e);
    bool has_own_way = patch && w->subresource == SUBRESOURCE_THERE;
    CLEANUP(json_freep) json_t *body = json_object();
    if (patch)
        json_object_set(body, "status", patch);
    if (e->taken && !has_own_way)
        json_object_update(body, e->taken);
    if (!json_object_size(body)) {
        set_json(&e->want, NULL);
        set_json(&e->taken, NULL);
        return;
    }
    set_json(&e->sending, TAKE(e->want));
    set_json(&e->sending_taken, TAKE(e->taken));
    // All of it goes now: it is what is owed.
    if (!patch && w->subresource == SUBRESOURCE_THERE) {
        set_json(&e->owed, TAKE(e->sending_taken));
        e->is_paying = true;
    }
    send_patch(e, body, has_own_way ? "/status" : "");
}

// With a thousand applications these are most of what a controller at rest would hold.
static void rest(struct entry *e)
{
    set_json(&e->live, NULL);
}

static void pump(struct app_writer *w)
{
    int64_t now = clock_mono_ms();
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < w->entries.len && w->in_flight < MAX_IN_FLIGHT; i++) {
        struct entry *e = w->entries.v[i];
        if (!e->request && !has_work(e))
            rest(e);
        if (e->request || !has_work(e))
            continue;
        if (e->not_before_ms > now)
            next = e->not_before_ms < next ? e->not_before_ms : next;
        else
            send_entry(e);
    }
    for (size_t i = 0; i < w->events.len && w->in_flight < MAX_IN_FLIGHT; i++)
        if (!w->events.v[i]->request)
            send_event(w->events.v[i]);
    if (next != INT64_MAX)
        loop_timer_set(w->timer, next - now);
}

static struct entry *find_entry(const struct app_writer *w, const char *ns, const char *name)
{
    for (size_t i = 0; i < w->entries.len; i++)
        if (!w->entries.v[i]->is_forgotten && !strcmp(w->entries.v[i]->name, name) &&
            !strcmp(w->entries.v[i]->ns, ns))
            return w->entries.v[i];
    return NULL;
}

static void copy_text(json_t *to, const json_t *from, const char *part, const char *key)
{
    json_t *value = json_object_get(json_object_get(from, part), key);
    if (!value)
        return;
    if (!json_object_get(to, part))
        json_object_set_new(to, part, json_object());
    json_object_set(json_object_get(to, part), key, value);
}

// What app_status_events looks at of the status before, and no more: there is one for each
// application, all the time. Owned.
static json_t *observed_of(const json_t *status)
{
    json_t *part = json_object();
    copy_text(part, status, "sync", "status");
    copy_text(part, status, "health", "status");
    copy_text(part, status, "operationState", "phase");
    copy_text(part, status, "operationState", "startedAt");
    return part;
}

// What is put off keeps nobody out: it may be refused for hours.
size_t app_writer_room(const struct app_writer *w)
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    for (size_t i = 0; i < w->entries.len && n < MAX_WAITING; i++) {
        const struct entry *e = w->entries.v[i];
        n += e->request || (has_work(e) && e->not_before_ms <= now);
    }
    return MAX_WAITING - n;
}

void app_writer_set(struct app_writer *w, const json_t *live, json_t *status, const json_t *taken)
{
    const char *ns = json_dot_text(live, "metadata.namespace");
    const char *name = json_dot_text(live, "metadata.name");
    json_t *is = json_object_get(live, "status");
    struct entry *e = find_entry(w, ns, name);
    size_t i;
    json_t *event;
    if (!e) {
        e = mem_alloc(sizeof(*e));
        *e = (struct entry){.w = w, .ns = str_dup(ns), .name = str_dup(name)};
        *vec_push(&w->entries) = e;
    }
    str_set(&e->uid, json_dot_text(live, "metadata.uid"));
    str_set(&e->version, json_dot_text(live, "metadata.resourceVersion"));
    w->stats.superseded += e->want != NULL;
    set_json(&e->live, is ? json_incref(is) : NULL);
    set_json(&e->want, json_incref(status));
    if (taken && e->taken)
        json_merge_patch(e->taken, taken);
    else if (taken)
        e->taken = json_deep_copy(taken);
    CLEANUP(json_freep)
    json_t *events = app_status_events(e->observed ? e->observed : is, status);
    json_array_foreach(events, i, event) tell(e, event);
    set_json(&e->observed, observed_of(status));
    if (!e->taken && !e->request) {
        CLEANUP(json_freep) json_t *patch = status_patch(e);
        if (!patch)
            set_json(&e->want, NULL);
    }
    pump(w);
}

void app_writer_forget(struct app_writer *w, const char *ns, const char *name)
{
    struct entry *e = find_entry(w, ns, name);
    if (!e)
        return;
    if (e->request)
        e->is_forgotten = true;
    else
        entry_drop(w, e);
}

bool app_writer_is_idle(const struct app_writer *w)
{
    for (size_t i = 0; i < w->entries.len; i++)
        if (has_work(w->entries.v[i]) || w->entries.v[i]->request)
            return false;
    return w->events.len == 0;
}

bool app_writer_drain(struct app_writer *w, int64_t max_ms)
{
    int64_t end = clock_mono_ms() + max_ms;
    while (!app_writer_is_idle(w) && clock_mono_ms() < end)
        loop_run_once(w->loop, end - clock_mono_ms());
    return app_writer_is_idle(w);
}
