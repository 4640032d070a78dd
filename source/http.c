// SPDX-License-Identifier: Apache-2.0
#include "source/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define DEFAULT_MAX_BYTES (256U << 20)
#define DEFAULT_TIMEOUT_MS 600000L
#define CONNECT_MS 10000L
#define SILENCE_S 30L
#define MAX_TRIES 4

struct exchange {
    const struct http_request *q;
    struct http_response *r;
    size_t received, max;
    bool is_too_large;
};

void http_response_clear(struct http_response *r)
{
    buf_clear(&r->body);
    str_freep(&r->content_type);
    str_freep(&r->auth_challenge);
    str_freep(&r->digest);
}

static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    x->received += len;
    if (x->received > x->max) {
        x->is_too_large = true;
        return 0;
    }
    if (x->q->on_data)
        return x->q->on_data(x->q->ctx, p, len) ? len : 0;
    buf_append(&x->r->body, p, len);
    return len;
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
    *slot = str_ndup(p, len < 4096 ? len : 4096);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * n;
    CLEANUP(str_freep) char *after = NULL;
    take_header(p, len, "content-type:", &x->r->content_type);
    take_header(p, len, "www-authenticate:", &x->r->auth_challenge);
    take_header(p, len, "docker-content-digest:", &x->r->digest);
    take_header(p, len, "retry-after:", &after);
    long long s;
    if (after && str_to_int(after, 0, 3600, &s))
        x->r->retry_after_ms = s * 1000;
    return len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    const struct exchange *x = ctx;
    return x->q->loop && loop_stopping(x->q->loop);
}

static void set_blob(CURL *e, CURLoption opt, const char *pem)
{
    if (!pem)
        return;
    struct curl_blob b = {.data = (char *)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};
    curl_easy_setopt(e, opt, &b);
}

static void set_cred(CURL *e, const struct http_request *q)
{
    const struct source_cred *c = q->cred;
    if (q->bearer || (c && c->bearer)) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, q->bearer ? q->bearer : c->bearer);
    } else if (c && (c->username || c->password)) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(e, CURLOPT_USERNAME, c->username ? c->username : "git");
        curl_easy_setopt(e, CURLOPT_PASSWORD, c->password ? c->password : "");
    }
    if (!c)
        return;
    set_blob(e, CURLOPT_SSLCERT_BLOB, c->cert_pem);
    set_blob(e, CURLOPT_SSLKEY_BLOB, c->key_pem);
    if (c->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_options(CURL *e, const struct http_request *q, struct exchange *x)
{
    const char *ca = q->cred && q->cred->ca_file ? q->cred->ca_file : q->ca_file;
    curl_easy_setopt(e, CURLOPT_URL, q->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(e, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
                     q->timeout_ms ? (long)q->timeout_ms : DEFAULT_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "regrow/" REGROW_VERSION);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, x);
    if (ca)
        curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    if (q->body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
    }
    if (q->method)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
    set_cred(e, q);
}

static bool transport_err(CURLcode c, const struct exchange *x, const char *text, struct err *err)
{
    CLEANUP(str_freep) char *url = url_redacted(x->q->url);
    const char *why = *text ? text : curl_easy_strerror(c);
    if (x->is_too_large)
        return err_set(err, ERR_INVALID, "%s: the answer is larger than %zu MiB", url,
                       x->max >> 20);
    switch (c) {
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, ERR_CANCELLED, "interrupted");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_TIMEOUT, "%s: %s", url, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        err_set(err, ERR_DENIED, "%s: %s", url, why);
        return err_hint(err, "If the server has a private CA, pass --ca-file.");
    default:
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", url, why);
    }
}

bool http_run(const struct http_request *q, struct http_response *r, struct err *err)
{
    *r = (struct http_response){.retry_after_ms = -1};
    struct exchange x = {.q = q, .r = r, .max = q->max_bytes ? q->max_bytes : DEFAULT_MAX_BYTES};
    char text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURL *e = curl_easy_init();
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        headers = curl_slist_append(headers, q->headers[i]);
    headers = curl_slist_append(headers, "Expect:");
    set_options(e, q, &x);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, text);
    CURLcode c = curl_easy_perform(e);
    long status = 0;
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(e);
    curl_slist_free_all(headers);
    r->status = (int)status;
    // A callback that wanted no more is not an error of the exchange.
    if (c == CURLE_WRITE_ERROR && !x.is_too_large && q->on_data)
        return true;
    return c == CURLE_OK || transport_err(c, &x, text, err);
}

bool http_status_err(int status, const char *url, struct err *err)
{
    CLEANUP(str_freep) char *u = url_redacted(url);
    switch (status) {
    case 401:
    case 403:
        err_set(err, ERR_DENIED, "%s: access denied (HTTP %d)", u, status);
        return err_hint(err, "Give credentials with REGROW_GIT_USERNAME and REGROW_GIT_PASSWORD, "
                             "or --credentials FILE.");
    case 404:
    case 410:
        err_set(err, ERR_NOT_FOUND, "%s: not found (HTTP %d)", u, status);
        return err_hint(err, "Private repositories answer the same when credentials are missing.");
    default:
        return err_set(err, status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID,
                       "%s: HTTP %d", u, status);
    }
}

bool http_get(const struct http_request *q, struct http_response *r, struct err *err)
{
    for (int i = 0;; i++) {
        if (!http_run(q, r, err))
            return false;
        if (r->status < 400)
            return true;
        bool again = (r->status == 429 || r->status >= 500) && i + 1 < MAX_TRIES;
        int64_t pause = r->retry_after_ms >= 0 ? r->retry_after_ms : 250LL << i;
        int status = r->status;
        if (!again || pause > 30000)
            return http_status_err(status, q->url, err);
        http_response_clear(r);
        int64_t end = clock_mono_ms() + pause;
        while (q->loop && clock_mono_ms() < end && !loop_stopping(q->loop))
            loop_run_once(q->loop, end - clock_mono_ms());
    }
}

char *url_redacted(const char *url)
{
    const char *sep = strstr(url, "://");
    const char *host = sep ? sep + 3 : url;
    size_t n = strcspn(host, "/?#");
    const char *at = NULL;
    for (size_t i = 0; i < n; i++)
        if (host[i] == '@')
            at = host + i;
    if (!sep || !at || !memchr(host, ':', (size_t)(at - host)))
        return str_dup(url);
    return str_printf("%.*s%s", (int)(host - url), url, at + 1);
}

static bool covers(const char *prefix, const char *url)
{
    size_t n = strlen(prefix);
    if (strncmp(prefix, url, n) != 0)
        return false;
    return !url[n] || url[n] == '/' || url[n] == '.' || (n && prefix[n - 1] == '/');
}

char *source_mirror_url(const struct source_opts *o, const char *url)
{
    const struct source_mirror *best = NULL;
    for (size_t i = 0; i < o->n_mirrors; i++)
        if (covers(o->mirrors[i].from, url) &&
            (!best || strlen(o->mirrors[i].from) > strlen(best->from)))
            best = &o->mirrors[i];
    return best ? str_printf("%s%s", best->to, url + strlen(best->from)) : str_dup(url);
}

const struct source_cred *source_cred_for(const struct source_opts *o, const char *url)
{
    const struct source_cred *best = NULL;
    for (size_t i = 0; i < o->n_creds; i++) {
        const char *u = o->creds[i].url ? o->creds[i].url : "";
        if (str_starts(url, u) && (!best || strlen(u) > strlen(best->url ? best->url : "")))
            best = &o->creds[i];
    }
    return best;
}
