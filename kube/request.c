// SPDX-License-Identifier: Apache-2.0
//
// The client and its requests: sent once, repeated once after a broken connection if that cannot
// do harm, counted as spec kubernetes-api section 10 counts.
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define DEFAULT_TIMEOUT_MS 60000
#define MAX_REPLY_BYTES (64U << 20)

struct kube_request {
    struct transfer t;
    struct kube *k;
    char *method, *path, *content_type, *accept;
    struct buf body, reply;
    int64_t timeout_ms, started_ms;
    bool is_idempotent, is_write, is_dry_run, is_too_large;
    unsigned attempts;
    kube_done_fn done;
    void *ctx;
};

struct kube *kube_new(struct loop *l, const struct kubeconfig *c, const struct kube_opts *o)
{
    struct kube *k = mem_alloc(sizeof(*k));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    k->loop = l;
    k->config = c;
    k->opts = *o;
    k->user_agent = str_dup(o->user_agent ? o->user_agent : "regrow/" REGROW_VERSION);
    k->manager = str_dup(o->field_manager ? o->field_manager : "regrow");
    k->lists_done = json_object();
    struct err err = {0};
    transport_open(k, &err);
    if (c->token)
        k->auth_header = str_printf("Authorization: Bearer %s", c->token);
    return k;
}

static void request_free(struct kube_request *q)
{
    struct kube *k = q->k;
    for (size_t i = 0; i < k->requests.len; i++) {
        if (k->requests.v[i] == q) {
            k->requests.v[i] = k->requests.v[--k->requests.len];
            break;
        }
    }
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
    while (k->requests.len)
        request_free(k->requests.v[k->requests.len - 1]);
    vec_clear(&k->requests);
    transport_close(k);
    free(k->user_agent);
    free(k->manager);
    free(k->auth_header);
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

static bool is_counted(const struct kube_request *q)
{
    return q->is_write && !strstr(q->path, "/leases/") && !strstr(q->path, "reviews");
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

static void request_start(struct kube_request *q);

static void finish(struct kube_request *q, struct kube_reply *r)
{
    r->ms = clock_mono_ms() - q->started_ms;
    count(q, r);
    q->done(q->ctx, r);
    request_free(q);
}

static bool reauthenticated(struct kube_request *q)
{
    bool changed = false;
    struct err err = {0};
    struct kubeconfig *c = (struct kubeconfig *)q->k->config;
    if (q->attempts > 1 || !credentials_refresh(c, &changed, &err) || !changed) {
        err_clear(&err);
        return false;
    }
    free(q->k->auth_header);
    q->k->auth_header = c->token ? str_printf("Authorization: Bearer %s", c->token) : NULL;
    return true;
}

static void on_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_request *q = (struct kube_request *)t; // t is its first member
    struct kube *k = q->k;
    k->last_code = code;
    if (is_connection_error(code) && q->is_idempotent && q->attempts == 1) {
        transfer_clear(t);
        request_start(q);
        return;
    }
    struct kube_reply r = {.http = code == CURLE_OK ? (int)http : 0,
                           .retry_after_ms = t->retry_after_ms,
                           .reason = "",
                           .message = "",
                           .warning = t->warning};
    struct buf store CLEANUP(buf_clear) = {0};
    if (code != CURLE_OK) {
        r.cls = KUBE_LOST;
        buf_printf(&store, "%s",
                   q->is_too_large ? "the answer is too large"
                   : *t->error     ? t->error
                                   : curl_easy_strerror(code));
        r.message = store.p;
        kube_lost(k);
    } else {
        if (!q->reply.p)
            buf_append(&q->reply, "", 0);
        r.body = q->reply.p;
        r.body_len = q->reply.len;
        classify(&r, t->content_type, &store);
        if (r.cls == KUBE_UNAUTHORIZED && reauthenticated(q)) {
            transfer_clear(t);
            request_start(q);
            return;
        }
    }
    finish(q, &r);
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

static void request_start(struct kube_request *q)
{
    q->attempts++;
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
    q->t.on_data = on_data;
    q->t.on_end = on_end;
    transfer_start(&q->t, q->k->work);
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
    q->is_write = strcmp(c->method, "GET") != 0;
    q->is_idempotent = c->is_idempotent || !q->is_write;
    q->is_dry_run = strstr(c->path, "dryRun=All") != NULL;
    q->done = done;
    q->ctx = ctx;
    *vec_push(&k->requests) = q;
    request_start(q);
    return q;
}

void kube_cancel(struct kube_request *q)
{
    struct kube_reply r = {
        .cls = KUBE_CANCELLED, .retry_after_ms = -1, .reason = "", .message = ""};
    finish(q, &r);
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
        if (!w.is_done && loop_stopping(k->loop))
            kube_cancel(q);
    }
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
                          .is_idempotent = true};
    return kube_send(k, &c, done, ctx);
}

struct kube_request *kube_delete(struct kube *k, const char *path, const char *uid,
                                 const char *propagation, kube_done_fn done, void *ctx)
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
                          .is_idempotent = uid != NULL};
    struct kube_request *q = kube_send(k, &c, done, ctx);
    free(body);
    return q;
}
