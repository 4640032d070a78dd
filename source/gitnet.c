// SPDX-License-Identifier: Apache-2.0
#include "source/gitnet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/ssh.h"

#define MAX_LIST_BYTES (64U << 20)
#define MAX_PACK_BYTES (2ULL << 30)
#define V2 "Git-Protocol: version=2"

struct gitcall {
    struct gitremote *r;
    struct git_refs *refs; // a list
    struct exchange *http;
    struct ssh_call *ssh;
    const struct cred_list *keys; // ssh: what is tried
    size_t key;
    struct buf question; // ssh
    struct buf answer;   // ssh: a list; a fetch: the greeting before the answer
    bool is_fetch, is_past_greeting;
    struct fetch_reader reader;
    struct push_report *report; // a push
    void (*on_sent)(void *ctx, uint64_t bytes);
    int fd;         // a fetch: where the pack goes; a push: what is sent
    struct err err; // found while bytes came
    gitcall_fn done;
    void *ctx;
};

void gitremote_clear(struct gitremote *r)
{
    free(r->base);
}

static void call_free(struct gitcall *c)
{
    buf_clear(&c->question);
    buf_clear(&c->answer);
    buf_clear(&c->reader.pending);
    err_clear(&c->err);
    free(c);
}

void gitnet_cancel(struct gitcall *c)
{
    if (!c)
        return;
    http_cancel(c->http);
    ssh_cancel(c->ssh);
    call_free(c);
}

static void count(const struct gitcall *c, bool ok)
{
    struct source_counts *n = c->r->c->o->counts;
    if (!n || c->report)
        return;
    if (c->is_fetch)
        *(ok ? &n->fetches : &n->failed_fetches) += 1;
    else
        *(ok ? &n->lists : &n->failed_lists) += 1;
}

static void end(struct gitcall *c, struct err *err)
{
    count(c, !err_is_set(err));
    c->done(c->ctx, err);
    err_clear(err);
    call_free(c);
}

static bool on_pack(void *ctx, const char *p, size_t len, struct err *err)
{
    const struct gitcall *c = ctx;
    while (len) {
        ssize_t n = write(c->fd, p, len);
        int errnum = errno;
        if (n < 0 && errnum == EINTR)
            continue;
        if (n <= 0)
            return err_set_errno(err, errnum, "keep the pack");
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static struct gitcall *call_new(struct gitremote *r, gitcall_fn done, void *ctx)
{
    struct gitcall *c = mem_alloc(sizeof(*c));
    c->r = r;
    c->done = done;
    c->ctx = ctx;
    c->reader.on_pack = on_pack;
    c->reader.ctx = c;
    return c;
}

// What a fetch that came to its end has brought.
static void end_fetch(struct gitcall *c, struct err *err)
{
    if (!err_is_set(err) && !c->reader.saw_pack) {
        err_set(err, ERR_UNAVAILABLE, "%s: the server sent no pack", c->r->shown);
    }
    end(c, err);
}

static const char *service_of(const struct gitremote *r)
{
    return r->is_push ? "git-receive-pack" : "git-upload-pack";
}

// After the greeting: the pack of a fetch, or the report on a push.
static bool on_fetch_bytes(void *ctx, const char *p, size_t len)
{
    struct gitcall *c = ctx;
    if (c->report)
        return push_report_feed(c->report, p, len, &c->err);
    return fetch_feed(&c->reader, p, len, &c->err);
}

// ---- HTTP ----
static bool has_type(const struct gitcall *c, const struct http_response *r, const char *what,
                     struct err *err)
{
    CLEANUP(str_freep) char *want = str_printf("application/x-%s-%s", service_of(c->r), what);
    if (r->content_type && str_starts(r->content_type, want))
        return true;
    CLEANUP(str_freep) char *url = url_redacted(r->url ? r->url : "");
    return err_set(err, ERR_INVALID, "%s: this is no Git repository over HTTP (it answers with %s)",
                   url, r->content_type ? r->content_type : "no content type");
}

static void on_ls_refs(void *ctx, struct http_response *r, struct err *err)
{
    struct gitcall *c = ctx;
    struct err e = {0};
    c->http = NULL;
    if (err_is_set(err))
        err_move(&e, err);
    else if (has_type(c, r, "result", &e) && !ls_refs_read(r->body.p, r->body.len, c->refs, &e))
        err_wrap(&e, "%s", c->r->shown);
    end(c, &e);
}

static void on_sent(void *ctx, uint64_t bytes)
{
    const struct gitcall *c = ctx;
    c->on_sent(c->ctx, bytes);
}

// A further question to a server that has answered one: with the credential that it took.
static void post(struct gitcall *c, const struct buf *body, http_done_fn done)
{
    const struct gitremote *r = c->r;
    CLEANUP(str_freep)
    char *type = str_printf("Content-Type: application/x-%s-request", service_of(r));
    const char *headers[] = {type, r->greeting.is_v2 ? V2 : NULL, NULL};
    CLEANUP(str_freep) char *url = str_printf("%s/%s", r->base, service_of(r));
    bool same = url_same_host(r->base, r->url);
    struct http_request q = {.url = url,
                             .headers = headers,
                             .body = body->p,
                             .body_len = body->len,
                             .cred_url = same ? r->url : NULL,
                             .project = r->project,
                             .cred = r->cred,
                             .has_cred = same,
                             .max_bytes = c->is_fetch ? MAX_PACK_BYTES : MAX_LIST_BYTES};
    if (c->is_fetch || c->report) {
        q.on_data = on_fetch_bytes;
        q.data_ctx = c;
    }
    if (c->report) {
        q.body_fd = c->fd;
        q.on_sent = c->on_sent ? on_sent : NULL;
    }
    c->http = http_start(r->c->http, &q, done, c);
}

static bool read_greeting(struct gitremote *r, const char *p, size_t len, struct git_refs *refs,
                          struct err *err)
{
    return r->is_whole ? greeting_read_whole(p, len, &r->greeting, refs, err)
                       : greeting_read(p, len, &r->greeting, refs, err);
}

static void on_greeting(void *ctx, struct http_response *r, struct err *err)
{
    struct gitcall *c = ctx;
    CLEANUP(str_freep) char *suffix = str_printf("/info/refs?service=%s", service_of(c->r));
    struct err e = {0};
    c->http = NULL;
    if (err_is_set(err)) {
        err_move(&e, err);
        end(c, &e);
        return;
    }
    if (!has_type(c, r, "advertisement", &e) ||
        !read_greeting(c->r, r->body.p, r->body.len, c->refs, &e)) {
        end(c, &e);
        return;
    }
    free(c->r->base);
    c->r->base = str_ends(r->url, suffix) ? str_ndup(r->url, strlen(r->url) - strlen(suffix))
                                          : str_dup(c->r->url);
    c->r->cred = r->cred;
    if (!c->r->greeting.is_v2) {
        end(c, &e);
        return;
    }
    struct buf body CLEANUP(buf_clear) = {0};
    if (c->r->is_whole)
        ls_refs_request_whole(&body);
    else
        ls_refs_request(&body);
    post(c, &body, on_ls_refs);
}

static void http_list(struct gitcall *c)
{
    static const char *const headers[] = {V2, NULL};
    CLEANUP(str_freep)
    char *url = str_printf("%s/info/refs?service=%s", c->r->url, service_of(c->r));
    struct http_request q = {.url = url,
                             .headers = c->r->is_push ? NULL : headers,
                             .cred_url = c->r->url,
                             .project = c->r->project,
                             .max_bytes = MAX_LIST_BYTES};
    c->http = http_start(c->r->c->http, &q, on_greeting, c);
}

static void on_fetched(void *ctx, struct http_response *r, struct err *err)
{
    struct gitcall *c = ctx;
    struct err e = {0};
    (void)r;
    c->http = NULL;
    err_move(&e, err_is_set(&c->err) ? &c->err : err);
    end_fetch(c, &e);
}

// ---- ssh ----
static bool on_list_bytes(void *ctx, const char *p, size_t len)
{
    struct gitcall *c = ctx;
    buf_append(&c->answer, p, len);
    return true;
}

// Before the answer to a fetch over ssh comes the list once more, up to its flush.
static bool on_stream_bytes(void *ctx, const char *p, size_t len)
{
    struct gitcall *c = ctx;
    if (c->is_past_greeting)
        return on_fetch_bytes(c, p, len);
    buf_append(&c->answer, p, len);
    size_t at = 0;
    while (!c->is_past_greeting) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(c->answer.p + at, c->answer.len - at, &data, &n, &used);
        if (k == PKT_BAD)
            return err_set(&c->err, ERR_INVALID, "%s does not speak Git's protocol", c->r->shown);
        if (k == PKT_MORE)
            break;
        c->is_past_greeting = k == PKT_FLUSH;
        at += used;
    }
    memmove(c->answer.p, c->answer.p + at, c->answer.len - at);
    c->answer.len -= at;
    return !c->is_past_greeting || !c->answer.len || on_fetch_bytes(c, c->answer.p, c->answer.len);
}

static void ssh_begin(struct gitcall *c);

static void on_ssh_done(void *ctx, struct err *err)
{
    struct gitcall *c = ctx;
    struct err e = {0};
    c->ssh = NULL;
    err_move(&e, err_is_set(&c->err) ? &c->err : err);
    bool next = e.kind == ERR_DENIED && !c->is_fetch && !c->report && c->key + 1 < c->keys->v.len;
    if (next) { // another key
        err_clear(&e);
        buf_reset(&c->answer);
        c->key++;
        ssh_begin(c);
        return;
    }
    if (c->is_fetch) {
        end_fetch(c, &e);
        return;
    }
    if (c->report) {
        end(c, &e);
        return;
    }
    c->r->cred = c->key < c->keys->v.len ? c->keys->v.v[c->key] : NULL;
    const char *text = c->answer.p ? c->answer.p : "";
    if (!err_is_set(&e) && !read_greeting(c->r, text, c->answer.len, c->refs, &e))
        err_wrap(&e, "%s", c->r->shown);
    end(c, &e);
}

static void ssh_begin(struct gitcall *c)
{
    struct source_ctx *x = c->r->c;
    const struct source_cred *cred = c->r->cred;
    bool is_list = !c->is_fetch && !c->report;
    if (is_list)
        cred = c->key < c->keys->v.len ? c->keys->v.v[c->key] : NULL;
    struct ssh_request q = {.url = c->r->url,
                            .service = service_of(c->r),
                            .cred = cred,
                            .known_hosts_file = x->o->known_hosts,
                            .known_hosts = creds_known_hosts(x->creds),
                            .in = c->question.p,
                            .in_len = c->question.len,
                            .max_bytes = c->is_fetch ? MAX_PACK_BYTES : MAX_LIST_BYTES,
                            .silence_ms = x->o->silence_ms,
                            .on_data = is_list ? on_list_bytes : on_stream_bytes,
                            .data_ctx = c};
    if (c->report)
        q.in_fd = c->fd;
    c->ssh = ssh_start(x->loop, x->hosts, &q, on_ssh_done, c);
}

// ---- both ----
struct gitcall *gitnet_list(struct gitremote *r, struct git_refs *refs, gitcall_fn done, void *ctx)
{
    struct gitcall *c = call_new(r, done, ctx);
    c->refs = refs;
    if (!ssh_is_url(r->url)) {
        http_list(c);
        return c;
    }
    c->keys = creds_for(r->c->creds, r->url, r->project);
    buf_str(&c->question, "0000"); // a client that wants nothing
    ssh_begin(c);
    return c;
}

struct gitcall *gitnet_list_one(struct gitremote *r, const char *name, struct git_refs *refs,
                                gitcall_fn done, void *ctx)
{
    struct gitcall *c = call_new(r, done, ctx);
    struct buf body CLEANUP(buf_clear) = {0};
    assert(r->greeting.is_v2 && r->base);
    c->refs = refs;
    ls_refs_request_one(&body, name);
    post(c, &body, on_ls_refs);
    return c;
}

struct gitcall *gitnet_list_some(struct gitremote *r, const struct strv *prefixes,
                                 struct git_refs *refs, gitcall_fn done, void *ctx)
{
    struct gitcall *c = call_new(r, done, ctx);
    struct buf body CLEANUP(buf_clear) = {0};
    assert(r->greeting.is_v2 && r->base);
    c->refs = refs;
    ls_refs_request_some(&body, prefixes);
    post(c, &body, on_ls_refs);
    return c;
}

static struct gitcall *fetch_new(struct gitremote *r, int fd, gitcall_fn done, void *ctx)
{
    struct gitcall *c = call_new(r, done, ctx);
    c->is_fetch = true;
    c->fd = fd;
    c->reader.is_v2 = r->greeting.is_v2;
    return c;
}

static struct gitcall *fetch_begin(struct gitcall *c)
{
    if (ssh_is_url(c->r->url))
        ssh_begin(c);
    else
        post(c, &c->question, on_fetched);
    return c;
}

struct gitcall *gitnet_fetch(struct gitremote *r, const char *want, const struct strv *have, int fd,
                             gitcall_fn done, void *ctx)
{
    struct gitcall *c = fetch_new(r, fd, done, ctx);
    fetch_request(&c->question, &r->greeting, want, have);
    return fetch_begin(c);
}

struct gitcall *gitnet_fetch_whole(struct gitremote *r, const struct strv *want,
                                   const struct strv *have, int fd, gitcall_fn done, void *ctx)
{
    struct gitcall *c = fetch_new(r, fd, done, ctx);
    fetch_request_whole(&c->question, &r->greeting, want, have);
    return fetch_begin(c);
}

static void on_pushed(void *ctx, struct http_response *r, struct err *err)
{
    struct gitcall *c = ctx;
    struct err e = {0};
    c->http = NULL;
    err_move(&e, err_is_set(&c->err) ? &c->err : err);
    if (!err_is_set(&e) && !has_type(c, r, "result", &e))
        err_wrap(&e, "the answer to the push");
    end(c, &e);
}

struct gitcall *gitnet_push(struct gitremote *r, int fd, struct push_report *report,
                            void (*on_sent_fn)(void *ctx, uint64_t bytes), gitcall_fn done,
                            void *ctx)
{
    struct gitcall *c = call_new(r, done, ctx);
    c->report = report;
    c->on_sent = on_sent_fn;
    c->fd = fd;
    report->has_bands = r->greeting.has_bands;
    if (ssh_is_url(r->url)) {
        lseek(fd, 0, SEEK_SET);
        ssh_begin(c);
    } else {
        post(c, &c->question, on_pushed);
    }
    return c;
}
