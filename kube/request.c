// SPDX-License-Identifier: Apache-2.0
//
// The client and its requests: so many at a time, sent once, repeated once after a broken
// connection if that cannot do harm, held back while the server's answers say nothing, counted as
// spec kubernetes-api section 10 counts.
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define DEFAULT_TIMEOUT_MS 60000
#define MAX_REPLY_BYTES (64U << 20)
// Beside these run lists, pings and the Lease; all of them fit one connection's streams.
#define MAX_IN_FLIGHT 74
#define MAX_IN_FLIGHT_HTTP1 32
// A server that does not become ready in this time has lost what was asked of it.
#define HELD_MS 60000
// Between one try and the next of a call with patience.
#define AGAIN_MIN_MS 100
#define AGAIN_MAX_MS 2000

struct kube_request {
    struct transfer t; // first: the transfer's callbacks find the request by it
    struct kube *k;
    char *method, *path, *content_type, *accept;
    struct buf body, reply;
    int64_t timeout_ms, started_ms, held_ms;
    int64_t patience_ms, again_ms; // again_ms: the pause before the last try
    struct loop_timer *again;      // set while it waits for its next try; NULL: never had to
    bool is_idempotent, is_urgent, is_write, is_dry_run, is_too_large, is_in_flight, was_resent;
    unsigned auth_tries;
    unsigned long serial;
    const void *owner;
    kube_done_fn done;
    void *ctx;
    struct kube_request *prev, *next;             // all
    struct kube_request *queue_prev, *queue_next; // waiting to be sent
    bool is_queued;
};

struct kube *kube_new(struct loop *l, struct kubeconfig *c, const struct kube_opts *o)
{
    struct kube *k = mem_alloc(sizeof(*k));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    k->loop = l;
    k->config = c;
    k->opts = *o;
    k->user_agent = str_dup(o->user_agent ? o->user_agent : "regrow/" REGROW_VERSION);
    k->manager = str_dup(o->field_manager ? o->field_manager : "regrow");
    k->lists_done = json_object();
    transport_open(k);
    alive_open(k);
    auth_open(k);
    return k;
}

static void unqueue(struct kube_request *q)
{
    struct kube *k = q->k;
    if (!q->is_queued)
        return;
    q->is_queued = false;
    *(q->queue_prev ? &q->queue_prev->queue_next : &k->queue) = q->queue_next;
    *(q->queue_next ? &q->queue_next->queue_prev : &k->queue_end) = q->queue_prev;
    q->queue_prev = q->queue_next = NULL;
}

static void request_free(struct kube_request *q)
{
    struct kube *k = q->k;
    unqueue(q);
    *(q->prev ? &q->prev->next : &k->requests) = q->next;
    if (q->next)
        q->next->prev = q->prev;
    k->in_flight -= q->is_in_flight;
    loop_timer_free(q->again);
    transfer_clear(&q->t);
    free(q->method);
    free(q->path);
    free(q->content_type);
    free(q->accept);
    buf_clear(&q->body);
    buf_clear(&q->reply);
    free(q);
}

void kube_free(struct kube *k)
{
    if (!k)
        return;
    k->is_freeing = true;
    while (k->watches.len)
        kube_watch_stop(k->watches.v[k->watches.len - 1]);
    vec_clear(&k->watches);
    while (k->requests)
        request_free(k->requests);
    auth_close(k);
    alive_close(k);
    transport_close(k);
    free(k->user_agent);
    free(k->manager);
    free(k->version);
    free(k->cluster_uid);
    strv_clear(&k->stale_groups);
    json_decref(k->lists_done);
    free(k);
}

struct kube_stats kube_stats(const struct kube *k)
{
    return k->stats;
}

// The resource a path is about: "leases" of ".../namespaces/n/leases/x?y"; "" when there is none.
static void resource_of(const char *path, char *out, size_t size)
{
    struct strv p = {0};
    CLEANUP(str_freep) char *plain = str_ndup(path, strcspn(path, "?"));
    strv_split(&p, plain, '/');
    // "", "api", V or "", "apis", G, V come before it.
    size_t at = p.len > 1 && !strcmp(p.v[1], "api") ? 3 : 4;
    if (p.len > at + 2 && !strcmp(p.v[at], "namespaces"))
        at += 2;
    snprintf(out, size, "%s", p.len > at ? p.v[at] : "");
    strv_clear(&p);
}

static bool is_counted(const struct kube_request *q)
{
    char resource[128];
    if (!q->is_write)
        return false;
    resource_of(q->path, resource, sizeof(resource));
    return strcmp(resource, "leases") != 0 && strcmp(resource, "events") != 0 &&
           !str_ends(resource, "reviews");
}

static void count(struct kube_request *q, const struct kube_reply *r)
{
    struct kube_stats *s = &q->k->stats;
    s->requests++;
    if (r->cls == KUBE_THROTTLED)
        s->throttled++;
    if (r->cls == KUBE_LOST)
        s->lost++;
    if (!is_counted(q))
        return;
    if (q->is_dry_run) {
        s->probes++;
        return;
    }
    s->writes++;
    s->rejected += r->http >= 400 && r->http != 429;
}

static void out_of_flight(struct kube_request *q)
{
    q->k->in_flight -= q->is_in_flight;
    q->is_in_flight = false;
}

static void enqueue(struct kube_request *q, bool first);

static int64_t patience_left(const struct kube_request *q)
{
    return q->started_ms + q->patience_ms - clock_mono_ms();
}

static void on_again(void *ctx)
{
    struct kube_request *q = ctx;
    // A server that is away is looked for by the probe; this one need not try too.
    if (kube_is_down(q->k) && patience_left(q) > 0) {
        loop_timer_set(q->again, AGAIN_MIN_MS);
        return;
    }
    enqueue(q, true);
    requests_pump(q->k);
}

// An answer that may be another one in a while, to a call that can wait for it.
static bool asks_again(struct kube_request *q, const struct kube_reply *r)
{
    bool may_pass = r->cls == KUBE_THROTTLED || r->cls == KUBE_RETRY || r->cls == KUBE_LOST;
    int64_t pause = q->again_ms ? q->again_ms * 2 : AGAIN_MIN_MS;
    if (pause > AGAIN_MAX_MS)
        pause = AGAIN_MAX_MS;
    q->again_ms = pause;
    if (r->retry_after_ms > pause)
        pause = r->retry_after_ms;
    if (!may_pass || q->is_too_large || patience_left(q) < pause)
        return false;
    transfer_clear(&q->t);
    out_of_flight(q);
    q->held_ms = 0; // or the server's return would send it beside its timer
    if (!q->again)
        q->again = loop_timer_new(q->k->loop, on_again, q);
    loop_timer_set(q->again, pause);
    return true;
}

static void finish(struct kube_request *q, struct kube_reply *r)
{
    struct kube *k = q->k;
    r->ms = clock_mono_ms() - q->started_ms;
    count(q, r);
    if (asks_again(q, r)) {
        requests_pump(k);
        return;
    }
    // Its place is free before the caller looks for something else to send.
    out_of_flight(q);
    q->done(q->ctx, r);
    request_free(q);
    requests_pump(k);
}

// ---- the queue ----
static void enqueue(struct kube_request *q, bool first)
{
    struct kube *k = q->k;
    out_of_flight(q);
    q->is_queued = true;
    if (first) {
        q->queue_next = k->queue;
        *(k->queue ? &k->queue->queue_prev : &k->queue_end) = q;
        k->queue = q;
    } else {
        q->queue_prev = k->queue_end;
        *(k->queue_end ? &k->queue_end->queue_next : &k->queue) = q;
        k->queue_end = q;
    }
}

static size_t on_data(struct transfer *t, const char *p, size_t len)
{
    struct kube_request *q = (struct kube_request *)t;
    if (q->reply.len + len > MAX_REPLY_BYTES) {
        q->is_too_large = true;
        return 0;
    }
    buf_append(&q->reply, p, len);
    return len;
}

static void on_end(struct transfer *t, CURLcode code, long http);

static void request_start(struct kube_request *q)
{
    q->is_in_flight = true;
    q->k->in_flight++;
    buf_reset(&q->reply);
    transfer_init(&q->t, q->k, q->method, q->path, q->accept, q->body.len ? q->content_type : NULL);
    CURL *e = q->t.easy;
    if (q->body.len) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body.p);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L); // there may be a client in each of many threads
    q->t.on_data = on_data;
    q->t.on_end = on_end;
    transfer_start(&q->t, q->k->work);
}

void requests_pump(struct kube *k)
{
    unsigned limit = k->is_http1 ? MAX_IN_FLIGHT_HTTP1 : MAX_IN_FLIGHT;
    struct kube_request *next;
    if (k->is_freeing || !k->queue || !auth_is_ready(k))
        return;
    for (struct kube_request *q = k->queue; q; q = next) {
        next = q->queue_next;
        if (k->in_flight >= limit && !q->is_urgent)
            continue;
        unqueue(q);
        request_start(q);
    }
}

static bool is_held(const struct kube_request *q)
{
    return q->held_ms && !q->is_queued && !q->is_in_flight;
}

void requests_resume(struct kube *k)
{
    struct kube_request *next;
    for (struct kube_request *q = k->requests; q; q = next) {
        next = q->next;
        if (is_held(q))
            enqueue(q, true);
    }
    requests_pump(k);
}

// ---- answers ----
static void send_again(struct kube_request *q)
{
    struct kube *k = q->k;
    transfer_clear(&q->t);
    enqueue(q, true);
    requests_pump(k);
}

// The answer may be one of a server that is only starting: it is asked again once it is ready.
static bool hold(struct kube_request *q, long http)
{
    struct kube *k = q->k;
    int64_t now = clock_mono_ms();
    if (!kube_disbelieves(k, http) || (q->held_ms && now - q->held_ms > HELD_MS))
        return false;
    if (!q->held_ms)
        q->held_ms = now;
    transfer_clear(&q->t);
    out_of_flight(q);
    requests_pump(k);
    return true;
}

static void lost(struct kube_request *q, CURLcode code)
{
    struct kube_reply r = {
        .cls = KUBE_LOST, .retry_after_ms = -1, .reason = "", .message = q->t.error};
    // "Failed to connect to x port 443 after 0 ms: Couldn't connect to server"
    char *noise = code == CURLE_COULDNT_CONNECT ? strstr(q->t.error, " after ") : NULL;
    if (noise)
        *noise = 0;
    if (q->is_too_large)
        r.message = "the answer is too large";
    else if (!*q->t.error)
        r.message = curl_easy_strerror(code);
    finish(q, &r);
}

static void answered(struct kube_request *q, long http)
{
    struct kube *k = q->k;
    struct kube_reply r = {.http = (int)http,
                           .retry_after_ms = q->t.retry_after_ms,
                           .reason = "",
                           .message = "",
                           .warning = q->t.warning};
    struct buf store CLEANUP(buf_clear) = {0};
    const struct asked asked = {q->method, q->body.p, q->body.len};
    if (!q->reply.p)
        buf_append(&q->reply, "", 0);
    r.body = q->reply.p;
    r.body_len = q->reply.len;
    classify(&r, &asked, q->t.content_type, &store);
    if (r.cls == KUBE_UNAUTHORIZED) {
        if (q->auth_tries < 2 && auth_refused(k, q->t.generation)) {
            q->auth_tries++;
            send_again(q);
            return;
        }
        if (k->auth.problem)
            r.message = k->auth.problem;
    } else {
        auth_accepted(k, q->t.generation);
    }
    finish(q, &r);
}

static void on_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_request *q = (struct kube_request *)t;
    q->k->last_code = code;
    if (q->is_too_large) {
        lost(q, code);
        return;
    }
    kube_failed(q->k, code);
    if (is_connection_error(code) && q->is_idempotent && !q->was_resent) {
        q->was_resent = true;
        send_again(q);
    } else if (code != CURLE_OK) {
        lost(q, code);
    } else if (!hold(q, http)) {
        answered(q, http);
    }
}

struct kube_request *kube_send(struct kube *k, const struct kube_call *c, kube_done_fn done,
                               void *ctx)
{
    struct kube_request *q = mem_alloc(sizeof(*q));
    q->k = k;
    q->method = str_dup(c->method);
    q->path = str_dup(c->path);
    q->content_type = str_dup(c->content_type ? c->content_type : "application/json");
    q->accept = str_dup_or_null(c->accept);
    if (c->body_len)
        buf_append(&q->body, c->body, c->body_len);
    q->timeout_ms = c->timeout_ms ? c->timeout_ms : DEFAULT_TIMEOUT_MS;
    q->started_ms = clock_mono_ms();
    q->patience_ms = c->patience_ms;
    q->is_write = strcmp(c->method, "GET") != 0;
    q->is_idempotent = c->is_idempotent || !q->is_write;
    q->is_urgent = c->is_urgent;
    q->is_dry_run = strstr(c->path, "dryRun=All") != NULL;
    q->done = done;
    q->ctx = ctx;
    q->serial = ++k->serial;
    q->next = k->requests;
    if (k->requests)
        k->requests->prev = q;
    k->requests = q;
    enqueue(q, false);
    requests_pump(k);
    return q;
}

void kube_cancel(struct kube_request *q)
{
    struct kube_reply r = {
        .cls = KUBE_CANCELLED, .retry_after_ms = -1, .reason = "", .message = ""};
    finish(q, &r);
}

// Those of an owner, or all that are not urgent.
static void cancel_many(struct kube *k, const void *owner)
{
    // Callbacks may end other requests and send new ones, which are left alone.
    unsigned long last = k->serial;
    for (struct kube_request *q = k->requests; q;) {
        bool is_meant = owner ? q->owner == owner : !q->is_urgent;
        if (!is_meant || q->serial > last) {
            q = q->next;
        } else {
            kube_cancel(q);
            q = k->requests;
        }
    }
}

void kube_cancel_all(struct kube *k)
{
    cancel_many(k, NULL);
}

void kube_own(struct kube_request *q, const void *owner)
{
    q->owner = owner;
}

void kube_cancel_owned(struct kube *k, const void *owner)
{
    cancel_many(k, owner);
}

struct waiting {
    struct kube_reply *reply;
    struct buf *store;
    bool is_done;
};

static size_t put(struct buf *b, const char *s)
{
    size_t at = b->len;
    buf_append(b, s ? s : "", s ? strlen(s) + 1 : 1);
    return at;
}

static void on_waited(void *ctx, const struct kube_reply *r)
{
    struct waiting *w = ctx;
    struct buf *b = w->store;
    buf_reset(b);
    buf_append(b, r->body ? r->body : "", r->body_len);
    buf_char(b, 0);
    size_t reason = put(b, r->reason);
    size_t message = put(b, r->message);
    size_t webhook = put(b, r->webhook);
    size_t manager = put(b, r->conflict_manager);
    size_t field = put(b, r->field);
    size_t warning = put(b, r->warning);
    *w->reply = *r;
    w->reply->body = b->p;
    w->reply->reason = b->p + reason;
    w->reply->message = b->p + message;
    w->reply->webhook = r->webhook ? b->p + webhook : NULL;
    w->reply->conflict_manager = r->conflict_manager ? b->p + manager : NULL;
    w->reply->field = r->field ? b->p + field : NULL;
    w->reply->warning = r->warning ? b->p + warning : NULL;
    w->is_done = true;
}

void kube_send_wait(struct kube *k, const struct kube_call *c, struct kube_reply *reply,
                    struct buf *store)
{
    struct waiting w = {.reply = reply, .store = store};
    struct kube_request *q = kube_send(k, c, on_waited, &w);
    while (!w.is_done) {
        loop_run_once(k->loop, 200);
        if (!w.is_done && loop_stopping(k->loop) && !c->ignores_stop)
            kube_cancel(q);
    }
}

bool kube_read(struct kube *k, const char *path, int64_t patience_ms, const char *what,
               json_t **out, enum kube_class *cls, struct err *err)
{
    struct kube_call get = {.method = "GET", .path = path, .patience_ms = patience_ms};
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply reply;
    *out = NULL;
    kube_send_wait(k, &get, &reply, &store);
    if (cls)
        *cls = reply.cls;
    if (reply.cls == KUBE_ABSENT || reply.cls == KUBE_NO_NAMESPACE)
        return true;
    if (reply.cls != KUBE_OK)
        return kube_reply_err(&reply, err, what);
    return canon_read(reply.body, reply.body_len, out, err) || err_wrap(err, "%s", what);
}

struct kube_request *kube_apply(struct kube *k, const char *path, const char *body, size_t len,
                                const struct kube_apply_opts *o, kube_done_fn done, void *ctx)
{
    CLEANUP(str_freep)
    char *url = str_printf("%s?fieldManager=%s%s%s", path, o->manager ? o->manager : k->manager,
                           o->force ? "&force=true" : "", o->dry_run ? "&dryRun=All" : "");
    struct kube_call c = {.method = "PATCH",
                          .path = url,
                          .body = body,
                          .body_len = len,
                          .content_type = "application/apply-patch+yaml",
                          .patience_ms = o->patience_ms,
                          .is_idempotent = true};
    return kube_send(k, &c, done, ctx);
}

struct kube_request *kube_delete(struct kube *k, const char *path, const char *uid,
                                 const char *propagation, int64_t patience_ms, kube_done_fn done,
                                 void *ctx)
{
    CLEANUP(json_freep)
    json_t *o = json_pack("{s:s, s:s, s:s}", "kind", "DeleteOptions", "apiVersion", "v1",
                          "propagationPolicy", propagation);
    if (uid)
        json_object_set_new(o, "preconditions", json_pack("{s:s}", "uid", uid));
    char *body = json_dumps(o, JSON_COMPACT);
    struct kube_call c = {.method = "DELETE",
                          .path = path,
                          .body = body,
                          .body_len = strlen(body),
                          .patience_ms = patience_ms,
                          .is_idempotent = uid != NULL};
    struct kube_request *q = kube_send(k, &c, done, ctx);
    free(body);
    return q;
}
