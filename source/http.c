// SPDX-License-Identifier: Apache-2.0
#include "source/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/multi.h"

#define DEFAULT_MAX_BYTES (256U << 20)
#define MAX_REFUSAL_BYTES (64U << 10) // of the body of an error
#define TOTAL_MS 600000L
#define CONNECT_MS 10000L
#define SILENCE_MS 30000
#define MAX_TRIES 4
#define MAX_PAUSE_MS 30000
#define MAX_HEADER 4096

struct http {
    struct http_opts o;
    struct multi *multi;
    struct exchange *open;
};

struct exchange {
    struct http *h;
    struct exchange *prev, *next;
    // the question
    char *url, *cred_url, *project, *bearer;
    struct curl_slist *headers;
    struct buf body;
    int body_fd; // > 0: the body
    off_t body_size, sent;
    void (*on_sent)(void *ctx, uint64_t bytes);
    bool has_body, may_refuse, may_be_same, has_cred;
    size_t max;
    bool (*on_data)(void *ctx, const char *p, size_t len);
    void *data_ctx;
    http_done_fn done;
    void *ctx;
    // credentials
    const struct cred_list *list;
    size_t at;
    const struct source_cred *cred;
    struct question *question;
    bool has_asked;
    // the running try
    struct turn turn;
    CURL *easy;
    struct loop_timer *pause;
    unsigned tries;
    struct http_response r;
    size_t received;
    bool is_too_large, has_enough, has_data;
    struct err err; // decided before it ran
    char text[CURL_ERROR_SIZE];
};

static void response_clear(struct http_response *r)
{
    buf_clear(&r->body);
    free(r->url);
    free(r->content_type);
    free(r->auth_challenge);
    free(r->link);
    free(r->etag);
    free(r->modified);
    *r = (struct http_response){.retry_after_ms = -1};
}

// ---- what curl hands over ----
static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400) {
        if (x->r.body.len + len <= MAX_REFUSAL_BYTES)
            buf_append(&x->r.body, p, len);
        return len;
    }
    x->received += len;
    if (x->received > x->max) {
        x->is_too_large = true;
        return 0;
    }
    if (!x->on_data) {
        buf_append(&x->r.body, p, len);
        return len;
    }
    x->has_data = true; // what was handed on cannot be asked for again
    x->has_enough = !x->on_data(x->data_ctx, p, len);
    return x->has_enough ? 0 : len;
}

static void take_header(const char *p, size_t len, const char *name, char **slot)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(p, name, n) != 0)
        return;
    p += n;
    len -= n;
    while (len && (*p == ' ' || *p == '\t')) {
        p++;
        len--;
    }
    while (len && strchr("\r\n ", p[len - 1]))
        len--;
    free(*slot);
    *slot = str_ndup(p, len < MAX_HEADER ? len : MAX_HEADER);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    CLEANUP(str_freep) char *after = NULL;
    take_header(p, len, "content-type:", &x->r.content_type);
    take_header(p, len, "www-authenticate:", &x->r.auth_challenge);
    take_header(p, len, "link:", &x->r.link);
    take_header(p, len, "etag:", &x->r.etag);
    take_header(p, len, "last-modified:", &x->r.modified);
    take_header(p, len, "retry-after:", &after);
    long long s;
    if (after && str_to_int(after, 0, 3600, &s))
        x->r.retry_after_ms = s * 1000;
    return len;
}

// ---- a body that is a file ----
static off_t size_of(int fd)
{
    struct stat st;
    return fd > 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    size_t left = (size_t)(x->body_size - x->sent);
    ssize_t got = pread(x->body_fd, p, len < left ? len : left, x->sent);
    if (got < 0 || (!got && left))
        return CURL_READFUNC_ABORT;
    x->sent += got;
    if (x->on_sent)
        x->on_sent(x->data_ctx, (uint64_t)x->sent);
    return (size_t)got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *x = ctx;
    if (origin != SEEK_SET || offset < 0 || offset > x->body_size)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static void set_file(CURL *e, struct exchange *x)
{
    x->sent = 0;
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body_size);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, x);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, x);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, 0L); // it may be large; silence still ends it
}

// ---- a try ----
static void set_blob(CURL *e, CURLoption opt, const char *pem)
{
    if (!pem)
        return;
    struct curl_blob b = {.data = (char *)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};
    curl_easy_setopt(e, opt, &b);
}

static void set_cred(CURL *e, const struct exchange *x)
{
    const struct source_cred *c = x->cred;
    const char *bearer = x->bearer ? x->bearer : c ? c->bearer : NULL;
    if (bearer) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, bearer);
    } else if (c && (c->username || c->password)) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(e, CURLOPT_USERNAME, c->username ? c->username : "git");
        curl_easy_setopt(e, CURLOPT_PASSWORD, c->password ? c->password : "");
    } else if (x->h->o.helper) {
        curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    }
    if (!c)
        return;
    set_blob(e, CURLOPT_SSLCERT_BLOB, c->cert_pem);
    set_blob(e, CURLOPT_SSLKEY_BLOB, c->key_pem);
    if (c->proxy)
        curl_easy_setopt(e, CURLOPT_PROXY, c->proxy);
    if (c->no_proxy)
        curl_easy_setopt(e, CURLOPT_NOPROXY, c->no_proxy);
    if (c->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_trust(CURL *e, const struct exchange *x)
{
    const char *roots = creds_tls_roots(x->h->o.creds, x->url);
    const char *ca = x->cred && x->cred->ca_file ? x->cred->ca_file : x->h->o.ca_file;
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca)
        curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    else
        set_blob(e, CURLOPT_CAINFO_BLOB, roots);
}

static void set_limits(CURL *e, const struct exchange *x)
{
    int64_t silence = x->h->o.silence_ms;
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     silence < CONNECT_MS ? (long)silence : CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, TOTAL_MS);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)((silence + 999) / 1000));
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
}

static void set_request(CURL *e, struct exchange *x)
{
    // What began with TLS does not go on without it.
    bool tls = !strncasecmp(x->url, "https:", 6);
    curl_easy_setopt(e, CURLOPT_URL, x->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, x->has_body ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "regrow/" REGROW_VERSION);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(e, CURLOPT_PRIVATE, x);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->text);
    if (x->has_body && x->body_fd <= 0) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->body.p);
    }
}

static void begin_try(struct exchange *x)
{
    response_clear(&x->r);
    x->received = 0;
    x->text[0] = 0;
    x->easy = curl_easy_init();
    set_request(x->easy, x);
    set_limits(x->easy, x);
    if (x->body_fd > 0)
        set_file(x->easy, x);
    set_trust(x->easy, x);
    set_cred(x->easy, x);
    multi_add(x->h->multi, x->easy);
}

static void end_try(struct exchange *x)
{
    if (!x->easy)
        return;
    multi_remove(x->h->multi, x->easy);
    curl_easy_cleanup(x->easy);
    x->easy = NULL;
}

// ---- the exchange ----
static void unlink_exchange(struct exchange *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        x->h->open = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

static void exchange_free(struct exchange *x)
{
    unlink_exchange(x);
    response_clear(&x->r);
    curl_slist_free_all(x->headers);
    loop_timer_free(x->pause);
    buf_clear(&x->body);
    err_clear(&x->err);
    free(x->url);
    free(x->cred_url);
    free(x->project);
    if (x->bearer)
        explicit_bzero(x->bearer, strlen(x->bearer));
    free(x->bearer);
    free(x);
}

void http_cancel(struct exchange *x)
{
    if (!x)
        return;
    if (x->question)
        helper_cancel(x->question);
    end_try(x);
    turn_end(&x->turn, NULL);
    exchange_free(x);
}

static void finish(struct exchange *x, struct err *err)
{
    x->r.cred = x->cred;
    x->done(x->ctx, &x->r, err);
    err_clear(err);
    exchange_free(x);
}

// Another try, after a while or as soon as it is this exchange's turn.
static void try_again(struct exchange *x, int64_t pause_ms)
{
    x->tries++;
    loop_timer_set(x->pause, pause_ms);
}

static void on_pause_over(void *ctx)
{
    struct exchange *x = ctx;
    turn_ask(x->h->o.hosts, x->url, HOSTS_HTTP_AT_ONCE, &x->turn);
}

static void on_turn(void *ctx, const struct err *dead)
{
    struct exchange *x = ctx;
    if (!dead) {
        begin_try(x);
        return;
    }
    struct err err = {0};
    err_copy(&err, dead);
    finish(x, &err);
}

static void on_helper(void *ctx, const struct source_cred *cred)
{
    struct exchange *x = ctx;
    x->question = NULL;
    if (cred) {
        x->cred = cred;
        try_again(x, 0);
        return;
    }
    struct err err = {0};
    if (!x->may_refuse)
        http_status_err(x->r.status, x->url, &err);
    finish(x, &err);
}

// After 401 and 403: is there another credential to try?
static bool use_next_cred(struct exchange *x)
{
    if (x->has_cred || x->bearer || (x->r.status != 401 && x->r.status != 403))
        return false;
    // A registry that wants a token says so: that is for the caller to get.
    if (x->may_refuse && x->r.auth_challenge && !strncasecmp(x->r.auth_challenge, "bearer", 6))
        return false;
    if (x->at + 1 < x->list->v.len) {
        x->cred = x->list->v.v[++x->at];
        try_again(x, 0);
        return true;
    }
    if (!x->h->o.helper || x->has_asked || x->r.status != 401)
        return false;
    x->has_asked = true;
    x->question = helper_ask(x->h->o.helper, x->cred_url, on_helper, x);
    return true;
}

static void on_status(struct exchange *x)
{
    struct err err = {0};
    int status = x->r.status;
    bool is_busy = status == 429 || status >= 500;
    int64_t pause = x->r.retry_after_ms >= 0 ? x->r.retry_after_ms : 250LL << x->tries;
    if (is_busy && x->tries + 1 < MAX_TRIES && pause <= MAX_PAUSE_MS) {
        try_again(x, pause);
        return;
    }
    if (use_next_cred(x))
        return;
    if (status == 304 && x->may_be_same)
        ; // an answer
    else if (status >= 300 && status < 400)
        err_set(&err, ERR_INVALID, "the server sends a question elsewhere (HTTP %d)", status);
    else if (status >= 400 && !x->may_refuse)
        http_status_err(status, x->url, &err);
    if (!x->r.body.p)
        buf_append(&x->r.body, "", 0);
    finish(x, &err);
}

static bool is_broken(CURLcode c)
{
    return c == CURLE_HTTP2 || c == CURLE_PARTIAL_FILE || c == CURLE_GOT_NOTHING ||
           c == CURLE_SEND_ERROR || c == CURLE_RECV_ERROR || c == CURLE_HTTP2_STREAM;
}

static void transport_err(CURLcode c, const struct exchange *x, struct err *err)
{
    CLEANUP(str_freep) char *url = url_shown(x->url);
    CLEANUP(str_freep) char *text = str_dup(x->text);
    char *noise = strstr(text, " after "); // "... after 0 ms: Couldn't connect to server"
    if (noise && c == CURLE_COULDNT_CONNECT)
        *noise = 0;
    const char *why = *text ? text : curl_easy_strerror(c);
    if (x->is_too_large) {
        err_set(err, ERR_INVALID, "%s: the answer is larger than %zu MiB", url, x->max >> 20);
        return;
    }
    switch ((int)c) {
    case CURLE_OPERATION_TIMEDOUT:
        if (strstr(why, "too slow"))
            err_set(err, ERR_TIMEOUT, "%s: no answer for %lld s", url,
                    (long long)((x->h->o.silence_ms + 999) / 1000));
        else
            err_set(err, ERR_TIMEOUT, "%s: %s", url, why);
        err_hint(err, "Check that the host is up; --source-timeout waits longer.");
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        err_set(err, ERR_DENIED, "%s: %s", url, why);
        if (!tls_clock_hint(why, err))
            err_hint(err, "If the server has a private CA, pass --ca-file.");
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        err_set(err, ERR_INVALID, "%s: %s", url, why);
        break;
    default:
        err_set(err, ERR_UNAVAILABLE, "%s: %s", url, why);
    }
}

static void on_curl_done(void *private_ptr, CURLcode c)
{
    struct exchange *x = private_ptr;
    struct err err = {0};
    long status = 0;
    const char *url = NULL;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
    x->r.status = (int)status;
    x->r.url = str_dup(url ? url : x->url);
    curl_easy_cleanup(x->easy);
    x->easy = NULL;
    if (c == CURLE_WRITE_ERROR && x->has_enough)
        c = CURLE_OK;
    bool again = is_broken(c) && !x->is_too_large && !x->has_data && !x->tries;
    if (c != CURLE_OK && !again)
        transport_err(c, x, &err);
    bool is_hosts = err.kind == ERR_UNAVAILABLE || err.kind == ERR_TIMEOUT;
    turn_end(&x->turn, is_hosts ? &err : NULL);
    if (again)
        try_again(x, 0);
    else if (c == CURLE_OK)
        on_status(x);
    else
        finish(x, &err);
}

struct http *http_new(const struct http_opts *o)
{
    struct http *h = mem_alloc(sizeof(*h));
    h->o = *o;
    if (!h->o.silence_ms)
        h->o.silence_ms = SILENCE_MS;
    h->multi = multi_new(o->loop, on_curl_done);
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    while (h->open)
        http_cancel(h->open);
    multi_free(h->multi);
    free(h);
}

struct exchange *http_start(struct http *h, const struct http_request *q, http_done_fn done,
                            void *ctx)
{
    struct exchange *x = mem_alloc(sizeof(*x));
    x->h = h;
    x->next = h->open;
    if (x->next)
        x->next->prev = x;
    h->open = x;
    x->url = str_dup(q->url);
    x->cred_url = str_dup(q->cred_url ? q->cred_url : q->url);
    x->project = str_dup_or_null(q->project);
    x->bearer = str_dup_or_null(q->bearer);
    x->has_cred = q->has_cred;
    x->may_refuse = q->may_refuse;
    x->may_be_same = q->may_be_same;
    x->max = q->max_bytes ? q->max_bytes : DEFAULT_MAX_BYTES;
    x->on_data = q->on_data;
    x->data_ctx = q->data_ctx;
    x->done = done;
    x->ctx = ctx;
    x->r.retry_after_ms = -1;
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        x->headers = curl_slist_append(x->headers, q->headers[i]);
    x->headers = curl_slist_append(x->headers, "Expect:");
    x->body_fd = q->body_fd;
    x->on_sent = q->on_sent;
    x->body_size = size_of(x->body_fd);
    x->has_body = q->body || x->body_fd > 0;
    if (q->body)
        buf_append(&x->body, q->body, q->body_len);
    x->list = creds_for(h->o.creds, x->cred_url, x->project);
    x->cred = q->has_cred ? q->cred : x->list->v.len ? x->list->v.v[0] : NULL;
    x->pause = loop_timer_new(h->o.loop, on_pause_over, x);
    x->turn.go = on_turn;
    x->turn.ctx = x;
    turn_ask(h->o.hosts, x->url, HOSTS_HTTP_AT_ONCE, &x->turn);
    return x;
}

bool http_status_err(int status, const char *url, struct err *err)
{
    CLEANUP(str_freep) char *u = url_shown(url);
    switch (status) {
    case 401:
    case 403:
        err_set(err, ERR_DENIED, "%s: access denied (HTTP %d)", u, status);
        return err_hint(err, "Give credentials with REGROW_GIT_USERNAME and REGROW_GIT_PASSWORD, "
                             "--credentials FILE, --git-credentials, or a repository Secret.");
    case 404:
    case 410:
        err_set(err, ERR_NOT_FOUND, "%s: not found (HTTP %d)", u, status);
        return err_hint(err, "Private repositories answer the same when credentials are missing.");
    default:
        return err_set(err, status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID,
                       "%s: HTTP %d", u, status);
    }
}
