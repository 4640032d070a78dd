// SPDX-License-Identifier: Apache-2.0
//
// A request from its first line to its end. The handler is called with its head, then with each
// piece of its body, then once more: only at the first and the last call may an answer be given.
#include "web/web_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void *web_on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
    struct front *f = ctx;
    struct err err = {0};
    struct ask *a = mem_alloc(sizeof(*a));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    a->w = f->w;
    a->conn = info->socket_context;
    a->conn->ask = a;
    a->uri_ok = uri_parse(uri, &a->uri, &err);
    err_clear(&err);
    return a;
}

static void let_go_of_body(struct ask *a)
{
    a->w->bodies_bytes -= a->body.cap;
    buf_clear(&a->body);
}

void web_on_completed(void *ctx, struct MHD_Connection *mhd, void **con_ctx,
                      enum MHD_RequestTerminationCode how)
{
    struct ask *a = *con_ctx;
    (void)ctx;
    (void)mhd;
    (void)how;
    if (!a)
        return;
    *con_ctx = NULL;
    if (a->stream)
        streams_end(a->stream);
    a->conn->ask = NULL;
    a->conn->deadline = clock_mono_ms() + a->w->limits.idle_ms;
    let_go_of_body(a);
    uri_clear(&a->uri);
    free(a->user);
    free(a);
}

const char *web_header(const struct ask *a, const char *name)
{
    return MHD_lookup_connection_value(a->conn->mhd, MHD_HEADER_KIND, name);
}

// ---- the head ----

struct head {
    size_t bytes, lengths, encodings, hosts, auths;
    bool is_odd; // a transfer encoding that is not plainly "chunked"
};

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct head *h = ctx;
    (void)kind;
    h->bytes += strlen(key) + (value ? strlen(value) : 0) + 4;
    h->lengths += !strcasecmp(key, "Content-Length");
    h->hosts += !strcasecmp(key, "Host");
    h->auths += !strcasecmp(key, "Authorization");
    if (!strcasecmp(key, "Transfer-Encoding")) {
        h->encodings++;
        h->is_odd |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

// "localhost", "127.0.0.1" or "[::1]", with or without a port. A page of somebody's that had its
// name resolved to loopback comes with another name.
static bool is_local_name(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; host && i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (!strncasecmp(host, names[i], n) && (!host[n] || host[n] == ':'))
            return true;
    }
    return false;
}

// What a browser sends on behalf of another site is nobody's wish.
static bool is_cross_site(const struct ask *a)
{
    const char *site = web_header(a, "Sec-Fetch-Site");
    const char *origin = web_header(a, "Origin");
    const char *host = web_header(a, "Host");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return true;
    if (!origin)
        return false;
    const char *name = strstr(origin, "://");
    return !name || !host || strcasecmp(name + 3, host) != 0;
}

static bool is_well_formed(struct ask *a)
{
    struct head h = {0};
    MHD_get_connection_values(a->conn->mhd, MHD_HEADER_KIND, on_header, &h);
    if (h.bytes > HEADER_BYTES) {
        web_respond_error(a, 431, "invalid", "the request's head is too large", NULL, NULL);
        return false;
    }
    if (h.lengths > 1 || (h.lengths && h.encodings) || h.encodings > 1 || h.is_odd || h.hosts > 1 ||
        h.auths > 1 || !a->uri_ok) {
        web_respond_error(a, 400, "invalid",
                          a->uri_ok ? "headers contradict each other" : "malformed request target",
                          "Connection", "close");
        return false;
    }
    if (a->w->o.auth == WEB_AUTH_NONE && !is_local_name(web_header(a, "Host"))) {
        web_respond_error(a, 421, "denied", "this server answers to localhost only", NULL, NULL);
        return false;
    }
    return true;
}

static bool find_route(struct ask *a, const char *method)
{
    bool is_post = !strcmp(method, "POST");
    bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
    bool is_path = false;
    const char *allow = NULL;
    a->route = web_route(&a->uri, &allow, is_post, &is_path);
    if (!is_path)
        web_respond_error(a, 404, "not-found", "there is nothing at this path", NULL, NULL);
    else if (!a->route || !(is_post || is_get))
        web_respond_error(a, 405, "invalid", "this path does not take that method", "Allow", allow);
    else if (is_post && a->route->verb && is_cross_site(a))
        web_respond_error(a, 403, "denied", "a page of another site sent this", NULL, NULL);
    else
        return true;
    return false;
}

static bool has_room(struct ask *a)
{
    const char *length = web_header(a, "Content-Length");
    long long n = 0;
    size_t most = a->route->body_bytes;
    if (length && (!str_to_int(length, 0, INT64_MAX, &n) || (size_t)n > most))
        web_respond_error(a, 413, "invalid", "the body is too large", "Connection", "close");
    else if (a->w->bodies_bytes > MAX_BODIES_BYTES)
        web_respond_error(a, 503, "unavailable", "too much is coming in at once", "Retry-After",
                          "5");
    else
        return true;
    return false;
}

// ---- who asks ----

static void refuse(struct ask *a)
{
    static const char challenge[] = "Bearer realm=\"regrow\"";
    if (a->standing == STAND_NO_TOKEN)
        web_respond_error(a, 401, "denied", "a bearer token is needed", "WWW-Authenticate",
                          challenge);
    else if (a->standing == STAND_BAD_TOKEN)
        web_respond_error(a, 401, "denied", "the cluster does not know this token",
                          "WWW-Authenticate", "Bearer realm=\"regrow\", error=\"invalid_token\"");
    else if (a->standing == STAND_NONE || a->standing == STAND_ASKED)
        web_respond_error(a, 503, "unavailable", "who may ask cannot be found out at the moment",
                          "Retry-After", "5");
    else {
        CLEANUP(str_freep)
        char *text =
            a->route->is_non_resource
                ? str_printf("%s may not %s %s", a->user, a->route->verb, a->route->path)
                : str_printf("%s may not %s applications.argoproj.io", a->user, a->route->verb);
        web_respond_error(a, 403, "denied", text, NULL, NULL);
    }
}

// ---- the body ----

static bool take_body(struct ask *a, const char *data, size_t len)
{
    size_t most = a->route->body_bytes;
    size_t before = a->body.cap;
    a->seen += len;
    // What is too large is told when it has come; what is much too large is not waited for.
    if (a->seen > 4 * most + (64U << 10))
        return false;
    a->is_too_large |= a->seen > most;
    if (a->is_too_large) {
        let_go_of_body(a);
        return true;
    }
    if (a->w->bodies_bytes + len > MAX_BODIES_BYTES)
        return false;
    buf_append(&a->body, data, len);
    a->w->bodies_bytes += a->body.cap - before;
    return true;
}

static void answer(struct ask *a)
{
    if (a->is_too_large)
        web_respond_error(a, 413, "invalid", "the body is too large", "Connection", "close");
    else if (a->standing != STAND_OK)
        refuse(a);
    else
        a->route->answer(a);
}

static void set_deadline(struct ask *a, int64_t ms)
{
    a->conn->deadline = a->is_suspended ? 0 : clock_mono_ms() + ms;
}

static bool has_body(const struct ask *a)
{
    const char *length = web_header(a, "Content-Length");
    return web_header(a, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

// What can be said without the body, and without asking anybody.
static bool check(struct ask *a, const char *method)
{
    const char *token;
    size_t len;
    a->is_checked = true;
    set_deadline(a, a->w->limits.body_ms);
    if (!is_well_formed(a) || !find_route(a, method) || !has_room(a))
        return false;
    if (!a->route->verb || a->w->o.auth == WEB_AUTH_NONE ||
        web_bearer(web_header(a, "Authorization"), &token, &len))
        return true;
    a->standing = STAND_NO_TOKEN;
    refuse(a);
    return false;
}

// The last call, which comes again when the request has waited to know who asks.
static enum MHD_Result finish(struct ask *a)
{
    if (!a->is_asked) {
        a->is_asked = true;
        a->standing = reviews_stand(a->w->reviews, a);
        if (a->standing == STAND_ASKED) {
            web_suspend(a);
            set_deadline(a, 0);
            return MHD_YES;
        }
    }
    set_deadline(a, a->w->limits.answer_ms);
    answer(a);
    return a->answered ? MHD_YES : MHD_NO;
}

// Answered at once, before its body, a connection cannot go on: so that is done only where there is
// a body that is not wanted. Nor is it suspended there: what comes of the body then differs between
// versions of libmicrohttpd.
enum MHD_Result web_on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *len, void **con_ctx)
{
    struct ask *a = *con_ctx;
    bool is_first = !a->begun;
    (void)ctx;
    (void)mhd;
    (void)url;
    (void)version;
    a->begun = true;
    if (a->w->is_ending)
        return MHD_NO;
    if (is_first && !has_body(a))
        return MHD_YES;
    if (!a->is_checked && (!check(a, method) || is_first))
        return MHD_YES;
    if (*len) {
        bool ok = take_body(a, data, *len);
        *len = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return a->answered ? MHD_YES : finish(a);
}
