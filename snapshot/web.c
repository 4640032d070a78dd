// SPDX-License-Identifier: Apache-2.0
#include "snapshot/web.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/multi.h"
#include "snapshot/crypto.h"

#define CONNECT_MS 10000L
#define SILENCE_S 30L // less than a byte a second for so long ends an exchange
#define TOTAL_MS 300000L
#define DEFAULT_MAX (1U << 20)
#define PAUSE_STEP_MS 50

struct web {
    CURL *curl;
    struct loop *loop;
    char *ca_file;
};

struct web *web_new(struct loop *l, const char *ca_file)
{
    struct web *w = mem_alloc(sizeof(*w));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    w->curl = curl_easy_init();
    if (!w->curl)
        abort();
    w->loop = l;
    w->ca_file = str_dup_or_null(ca_file);
    return w;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    curl_easy_cleanup(w->curl);
    free(w->ca_file);
    free(w);
}

void web_reply_clear(struct web_reply *r)
{
    buf_clear(&r->body);
    free(r->location);
    free(r->link);
    free(r->challenge);
    free(r->digest);
    free(r->content_type);
    *r = (struct web_reply){.retry_after_ms = -1};
}

struct exchange {
    struct web *web;
    struct web_reply *r;
    const struct web_request *q;
    size_t sent, max;
    bool is_too_large;
    bool is_head_whole; // the empty line after the headers came
    char text[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    if (x->r->body.len + size * n > x->max) {
        x->is_too_large = true;
        return 0;
    }
    buf_append(&x->r->body, p, size * n);
    return size * n;
}

static size_t on_send(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t left = x->q->body_len - x->sent;
    size_t len = size * n < left ? size * n : left;
    memcpy(p, (const char *)x->q->body + x->sent, len);
    x->sent += len;
    return len;
}

// curl asks for the body again when a kept connection turned out to be dead.
static int on_rewind(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *x = ctx;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > x->q->body_len)
        return CURL_SEEKFUNC_FAIL;
    x->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void take_header(char **slot, const char *line, size_t len, const char *name)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return;
    line += n + 1;
    len -= n + 1;
    while (len && (*line == ' ' || *line == '\t'))
        line++, len--;
    while (len && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
        len--;
    free(*slot);
    *slot = str_ndup(line, len);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    CLEANUP(str_freep) char *date = NULL;
    CLEANUP(str_freep) char *retry = NULL;
    long long seconds = 0;
    x->is_head_whole = len <= 2 && (*p == '\r' || *p == '\n');
    take_header(&date, p, len, "Date");
    take_header(&retry, p, len, "Retry-After");
    take_header(&x->r->location, p, len, "Location");
    take_header(&x->r->link, p, len, "Link");
    take_header(&x->r->challenge, p, len, "WWW-Authenticate");
    take_header(&x->r->digest, p, len, "Docker-Content-Digest");
    take_header(&x->r->content_type, p, len, "Content-Type");
    if (date) {
        time_t t = curl_getdate(date, NULL);
        x->r->date_ms = t > 0 ? (int64_t)t * 1000 : 0;
    }
    if (retry && str_to_int(retry, 0, 3600, &seconds))
        x->r->retry_after_ms = seconds * 1000;
    return len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct exchange *x = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return x->web->loop && loop_stopping(x->web->loop);
}

static struct curl_slist *header_list(const struct web_request *q)
{
    struct curl_slist *l = NULL;
    for (size_t i = 0; q->headers && i < q->headers->len; i++)
        l = curl_slist_append(l, q->headers->v[i]);
    l = curl_slist_append(l, "Expect:"); // no round trip before small bodies
    return l;
}

static void set_method(CURL *c, struct exchange *x)
{
    const struct web_request *q = x->q;
    if (!strcmp(q->method, "HEAD")) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (!strcmp(q->method, "PUT") || !strcmp(q->method, "POST") ||
               !strcmp(q->method, "PATCH")) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    } else {
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

static void set_options(struct web *w, struct exchange *x, struct curl_slist *headers)
{
    CURL *c = w->curl;
    curl_easy_reset(c); // the connection is kept
    curl_easy_setopt(c, CURLOPT_URL, x->q->url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, TOTAL_MS);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->text);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "regrow/" REGROW_VERSION);
    if (w->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, w->ca_file);
    set_method(c, x);
}

static bool failed(const struct exchange *x, CURLcode rc, struct err *err)
{
    if (x->is_too_large)
        return err_set(err, ERR_CORRUPT, "the answer is larger than %zu bytes", x->max);
    switch (rc) {
    case CURLE_ABORTED_BY_CALLBACK:
        return loop_stopped(x->web->loop, err, "waiting for the store");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_TIMEOUT, "no answer in time");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        err_set(err, ERR_DENIED, "%s", *x->text ? x->text : curl_easy_strerror(rc));
        (void)tls_clock_hint(x->text, err);
        return false;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, ERR_USAGE, "%s", curl_easy_strerror(rc));
    default: // a foreign enum of a hundred values: all the rest is the network
        return err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(rc));
    }
}

bool web_run(struct web *w, const struct web_request *q, struct web_reply *r, struct err *err)
{
    struct exchange x = {
        .web = w, .r = r, .q = q, .max = q->max_bytes ? q->max_bytes : DEFAULT_MAX};
    web_reply_clear(r);
    struct curl_slist *headers = header_list(q);
    set_options(w, &x, headers);
    CURLcode rc = curl_easy_perform(w->curl);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, NULL);
    long status = 0;
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (rc != CURLE_OK)
        return failed(&x, rc, err);
    // libcurl takes headers that end with the connection for all of them.
    if (!x.is_head_whole)
        return err_set(err, ERR_UNAVAILABLE, "the answer was cut");
    r->status = (int)status;
    return true;
}

bool web_pause(struct web *w, unsigned attempt, int64_t retry_after_ms)
{
    uint16_t random;
    crypto_random(&random, sizeof(random));
    int64_t ms = 200;
    for (unsigned i = 1; i < attempt && ms < 5000; i++)
        ms *= 2;
    ms = ms / 2 + ms * random / 65536;
    if (retry_after_ms > ms)
        ms = retry_after_ms < 30000 ? retry_after_ms : 30000;
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;) {
        if (w->loop && loop_stopping(w->loop))
            return false;
        clock_pause_ms(PAUSE_STEP_MS);
    }
    return true;
}

void uri_encode(struct buf *out, const char *s, bool keep_slash)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
        if (plain) {
            buf_char(out, *s);
        } else {
            buf_char(out, '%');
            buf_char(out, hex[c >> 4]);
            buf_char(out, hex[c & 15]);
        }
    }
}
