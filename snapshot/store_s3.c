// SPDX-License-Identifier: Apache-2.0
#include "snapshot/store_s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "snapshot/crypto.h"
#include "snapshot/s3_creds.h"
#include "snapshot/s3_xml.h"

#define TRIES 6
#define MAX_LIST_BYTES (4U << 20) // one page of 1,000 keys
#define MAX_LIST 2000000
#define BUCKET_HOST "{bucket}." // before an endpoint's host: the bucket goes there
#define RENEW_MS 300000         // keys are renewed so long before they expire

struct s3_store {
    struct store base;
    struct web *web;
    char *scheme, *host; // of the endpoint, with its port
    char *bucket, *prefix, *region, *credentials_file;
    bool path_style;
    bool no_condition; // the server does not know If-None-Match on PUT
    int64_t retain_ms; // object lock; 0: none
    int64_t skew_ms;   // the server's clock minus ours
    struct s3_keys keys;
};

// One operation: what is sent, and how its outcome is judged.
struct op {
    const char *method;
    const char *name; // of the file; NULL: the bucket itself
    struct s3_pairs query, headers;
    const void *body;
    size_t body_len, max_bytes;
};

static void op_clear(struct op *o)
{
    s3_pairs_clear(&o->query);
    s3_pairs_clear(&o->headers);
}

static bool need_keys(struct s3_store *s, struct err *err)
{
    if (s->keys.access &&
        (!s->keys.expires_ms || clock_unix_ms() + s->skew_ms < s->keys.expires_ms - RENEW_MS))
        return true;
    s3_keys_clear(&s->keys);
    return s3_keys_find(s->web, s->credentials_file, s->region, &s->keys, err);
}

static char *object_path(const struct s3_store *s, const char *name)
{
    struct buf b = {0};
    buf_char(&b, '/');
    if (s->path_style) {
        uri_encode(&b, s->bucket, false);
        buf_str(&b, name ? "/" : "");
    }
    if (name) {
        uri_encode(&b, s->prefix, true);
        uri_encode(&b, name, true);
    }
    return buf_take(&b);
}

static void hash_hex(const void *p, size_t len, char out[65])
{
    struct sha256 h = sha256_of(p ? p : "", len);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    memcpy(out, hex, 65);
}

// Signs and sends once.
static bool send_once(struct s3_store *s, const struct op *o, struct web_reply *r, struct err *err)
{
    if (!need_keys(s, err))
        return false;
    char hash[65];
    hash_hex(o->body, o->body_len, hash);
    CLEANUP(str_freep) char *path = object_path(s, o->name);
    CLEANUP(str_freep)
    char *host = s->path_style ? str_dup(s->host) : str_printf("%s.%s", s->bucket, s->host);
    struct s3_request q = {.method = o->method, .host = host, .path = path, .payload_sha256 = hash};
    for (size_t i = 0; i < o->query.len; i++)
        s3_pair_add(&q.query, o->query.v[i].name, o->query.v[i].value);
    for (size_t i = 0; i < o->headers.len; i++)
        s3_pair_add(&q.headers, o->headers.v[i].name, o->headers.v[i].value);
    struct strv headers = {0};
    s3_sign(&q, &s->keys, s->region, "s3", (clock_unix_ms() + s->skew_ms) / 1000, &headers);
    CLEANUP(str_freep) char *query = s3_query(&q.query);
    CLEANUP(str_freep)
    char *url = str_printf("%s://%s%s%s%s", s->scheme, host, path, *query ? "?" : "", query);
    struct web_request w = {.method = o->method,
                            .url = url,
                            .headers = &headers,
                            .body = o->body,
                            .body_len = o->body_len,
                            .max_bytes = o->max_bytes};
    bool ok = web_run(s->web, &w, r, err);
    strv_clear(&headers);
    s3_pairs_clear(&q.query);
    s3_pairs_clear(&q.headers);
    return ok;
}

static bool is_code(const struct web_reply *r, const char *code)
{
    CLEANUP(str_freep) char *c = xml_text(r->body.p, r->body.len, "Code");
    return str_eq(c, code);
}

static bool is_transient(const struct web_reply *r)
{
    return r->status >= 500 || r->status == 429 || r->status == 408 ||
           is_code(r, "RequestTimeTooSkewed") || is_code(r, "RequestTimeout") ||
           is_code(r, "SlowDown") || is_code(r, "ExpiredToken");
}

// What has to change before the same request is signed again.
static void learn(struct s3_store *s, const struct web_reply *r)
{
    if (is_code(r, "RequestTimeTooSkewed") && r->date_ms)
        s->skew_ms = r->date_ms - clock_unix_ms();
    if (is_code(r, "ExpiredToken"))
        s3_keys_clear(&s->keys);
}

// For what may be repeated blindly: reads, lists, deletions.
static bool send_safe(struct s3_store *s, const struct op *o, struct web_reply *r, struct err *err)
{
    for (unsigned i = 1;; i++) {
        bool ok = send_once(s, o, r, err);
        if (ok && !is_transient(r))
            return true;
        bool again = ok || err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
        if (!again || i == TRIES || (ok && r->status == 501))
            return ok;
        learn(s, r);
        if (!web_pause(s->web, i, r->retry_after_ms))
            return ok;
        err_clear(err);
    }
}

// Of credentials that do not count any more, or never did: said with a 400.
static bool is_refused_token(const struct web_reply *r)
{
    return is_code(r, "ExpiredToken") || is_code(r, "InvalidToken");
}

// Always false: what a status means. The server's own words are short and hold no content.
static bool status_err(const struct web_reply *r, struct err *err)
{
    CLEANUP(str_freep) char *code = xml_text(r->body.p, r->body.len, "Code");
    CLEANUP(str_freep) char *message = xml_text(r->body.p, r->body.len, "Message");
    bool is_denied = r->status == 401 || r->status == 403 || is_refused_token(r);
    enum err_kind k = is_denied                              ? ERR_DENIED
                      : r->status == 404                     ? ERR_NOT_FOUND
                      : r->status == 409 || r->status == 412 ? ERR_CONFLICT
                      : r->status == 429 || r->status >= 500 ? ERR_UNAVAILABLE
                                                             : ERR_INVALID;
    return err_set(err, k, "the server answered %d%s%s%s%.200s", r->status, code ? " " : "",
                   code ? code : "", message ? ": " : "", message ? message : "");
}

static bool s3_get(struct store *base, const char *name, size_t max_bytes, struct buf *out,
                   bool *found, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    // What the server says instead of the file must fit too.
    struct op o = {.method = "GET", .name = name, .max_bytes = max_bytes + WEB_ERROR_BYTES};
    struct web_reply r = {0};
    bool ok = send_safe(s, &o, &r, err);
    *found = ok && r.status == 200;
    if (*found && r.body.len > max_bytes)
        ok = err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    else if (*found)
        buf_append(out, r.body.p, r.body.len);
    else if (ok && (r.status != 404 || is_code(&r, "NoSuchBucket")))
        ok = status_err(&r, err);
    web_reply_clear(&r);
    op_clear(&o);
    return ok;
}

static void put_headers(const struct s3_store *s, struct op *o)
{
    struct sha256 h = sha256_of(o->body, o->body_len);
    struct buf sum CLEANUP(buf_clear) = {0};
    buf_base64(&sum, h.b, sizeof(h.b));
    s3_pair_add(&o->headers, "x-amz-checksum-sha256", sum.p);
    s3_pair_add(&o->headers, "content-type", "application/octet-stream");
    if (!s->no_condition)
        s3_pair_add(&o->headers, "if-none-match", "*");
    // Nobody needs what a probe leaves, and the pruner takes it away.
    if (s->retain_ms && str_starts(o->name, "chains/")) {
        CLEANUP(str_freep)
        char *until = clock_rfc3339((clock_unix_ms() + s->skew_ms + s->retain_ms) / 1000);
        s3_pair_add(&o->headers, "x-amz-object-lock-mode", "GOVERNANCE");
        s3_pair_add(&o->headers, "x-amz-object-lock-retain-until-date", until);
    }
}

enum outcome { OUTCOME_MADE, OUTCOME_EXISTS, OUTCOME_UNCLEAR, OUTCOME_NEVER, OUTCOME_FAILED };

static enum outcome put_once(struct s3_store *s, struct op *o, struct web_reply *r, struct err *err)
{
    if (!send_once(s, o, r, err))
        return err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT ? OUTCOME_UNCLEAR
                                                                        : OUTCOME_FAILED;
    learn(s, r);
    if (r->status == 200 || r->status == 201 || r->status == 204)
        return OUTCOME_MADE;
    if (r->status == 412)
        return OUTCOME_EXISTS;
    if (r->status == 501 || (r->status == 400 && is_code(r, "NotImplemented")))
        return OUTCOME_NEVER; // the condition is not known here
    if (r->status == 409 || is_transient(r))
        return OUTCOME_UNCLEAR;
    status_err(r, err);
    return OUTCOME_FAILED;
}

// After an unclear answer only a look at the bytes tells: never a blind repetition.
static bool look(struct s3_store *s, const struct op *o, bool *found, bool *is_mine,
                 struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!s3_get(&s->base, o->name, STORE_MAX_FILE_BYTES, &b, found, err))
        return false;
    *is_mine = *found && b.len == o->body_len && !memcmp(b.p, o->body, b.len);
    return true;
}

static bool put(struct s3_store *s, struct op *o, bool *made, struct err *err)
{
    struct web_reply r = {0};
    bool ok = false;
    bool was_unclear = false;
    for (unsigned i = 1; i <= TRIES; i++) {
        err_clear(err);
        enum outcome out = put_once(s, o, &r, err);
        if (out == OUTCOME_NEVER && !s->no_condition) {
            s->no_condition = true;
            s3_pairs_clear(&o->headers);
            put_headers(s, o);
            continue;
        }
        if (out == OUTCOME_FAILED || out == OUTCOME_NEVER) {
            if (out == OUTCOME_NEVER)
                status_err(&r, err);
            break;
        }
        *made = out == OUTCOME_MADE;
        ok = out == OUTCOME_MADE || out == OUTCOME_EXISTS;
        if (out == OUTCOME_UNCLEAR || (out == OUTCOME_EXISTS && was_unclear)) {
            bool found = false;
            err_clear(err);
            if (!look(s, o, &found, made, err))
                break;
            ok = found;
            was_unclear = true;
        }
        if (ok)
            break;
        if (!web_pause(s->web, i, r.retry_after_ms)) {
            err_set(err, ERR_CANCELLED, "interrupted");
            break;
        }
        if (i == TRIES)
            err_set(err, ERR_UNAVAILABLE, "the server does not take it (status %d)", r.status);
    }
    web_reply_clear(&r);
    return ok;
}

static bool s3_create(struct store *base, const char *name, const void *p, size_t len,
                      const struct strv *needs, bool *made, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    struct op o = {.method = "PUT", .name = name, .body = p, .body_len = len};
    (void)needs;
    put_headers(s, &o);
    bool ok = put(s, &o, made, err);
    op_clear(&o);
    return ok;
}

// A list without its end is not all there is.
static bool is_whole_list(const struct web_reply *r)
{
    static const char end[] = "</ListBucketResult>";
    return r->body.p && memmem(r->body.p, r->body.len, end, strlen(end));
}

static void add_items(const struct s3_store *s, const struct web_reply *r, struct store_items *out)
{
    size_t at = 0;
    const char *p;
    size_t n;
    while (xml_next(r->body.p, r->body.len, &at, "Contents", &p, &n)) {
        CLEANUP(str_freep) char *key = xml_text(p, n, "Key");
        CLEANUP(str_freep) char *size = xml_text(p, n, "Size");
        CLEANUP(str_freep) char *when = xml_text(p, n, "LastModified");
        long long bytes = 0;
        if (!key || !str_starts(key, s->prefix) || !name_is_valid(key + strlen(s->prefix)))
            continue; // not of this repository
        if (!size || !str_to_int(size, 0, INT64_MAX, &bytes))
            continue;
        struct store_item *i = vec_push(&out->v);
        i->name = str_dup(key + strlen(s->prefix));
        i->size = (uint64_t)bytes;
        i->stored_at_ms = when ? clock_parse_rfc3339_ms(when) : 0;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

// One page of a list, as it came; *token: where the next one begins, NULL: there is none.
static bool ask_page(struct s3_store *s, const char *prefix, char **token, struct web_reply *r,
                     struct err *err)
{
    struct op o = {.method = "GET", .max_bytes = MAX_LIST_BYTES};
    CLEANUP(str_freep) char *full = str_printf("%s%s", s->prefix, prefix);
    s3_pair_add(&o.query, "list-type", "2");
    s3_pair_add(&o.query, "prefix", full);
    if (*token)
        s3_pair_add(&o.query, "continuation-token", *token);
    bool ok = send_safe(s, &o, r, err);
    if (ok && r->status != 200)
        ok = status_err(r, err);
    else if (ok && !is_whole_list(r))
        ok = err_set(err, ERR_UNAVAILABLE, "the list was cut");
    str_freep(token);
    if (ok) {
        CLEANUP(str_freep) char *more = xml_text(r->body.p, r->body.len, "IsTruncated");
        if (str_eq(more, "true"))
            *token = xml_text(r->body.p, r->body.len, "NextContinuationToken");
        if (str_eq(more, "true") && !*token)
            ok = err_set(err, ERR_UNAVAILABLE, "a list that is cut names no way to go on");
    }
    op_clear(&o);
    return ok;
}

static bool list_page(struct s3_store *s, const char *prefix, char **token, struct store_items *out,
                      struct err *err)
{
    struct web_reply r = {0};
    bool ok = ask_page(s, prefix, token, &r, err);
    if (ok)
        add_items(s, &r, out);
    web_reply_clear(&r);
    return ok;
}

// The prefix itself is what consoles make for a folder.
static char *first_stranger(const struct s3_store *s, const struct web_reply *r)
{
    size_t at = 0;
    const char *p;
    size_t n;
    while (xml_next(r->body.p, r->body.len, &at, "Contents", &p, &n)) {
        CLEANUP(str_freep) char *key = xml_text(p, n, "Key");
        const char *name = key && str_starts(key, s->prefix) ? key + strlen(s->prefix) : "";
        if (*name && !str_starts(name, STORE_PROBE))
            return TAKE(key);
    }
    return NULL;
}

static bool s3_stranger(struct store *base, char **name, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    CLEANUP(str_freep) char *token = NULL;
    bool ok;
    do {
        struct web_reply r = {0};
        ok = ask_page(s, "", &token, &r, err);
        if (ok)
            *name = first_stranger(s, &r);
        web_reply_clear(&r);
    } while (ok && token && !*name);
    return ok;
}

static bool s3_list(struct store *base, const char *prefix, struct store_items *out,
                    struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    CLEANUP(str_freep) char *token = NULL;
    do {
        if (!list_page(s, prefix, &token, out, err))
            return false;
        if (out->v.len > MAX_LIST)
            return err_set(err, ERR_INVALID, "more than %d files", MAX_LIST);
    } while (token);
    if (out->v.len)
        qsort(out->v.v, out->v.len, sizeof(*out->v.v), by_name);
    return true;
}

static bool s3_remove(struct store *base, const char *name, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    struct op o = {.method = "DELETE", .name = name};
    struct web_reply r = {0};
    bool ok = send_safe(s, &o, &r, err);
    if (ok && r.status >= 300 && r.status != 404)
        ok = status_err(&r, err);
    web_reply_clear(&r);
    op_clear(&o);
    return ok;
}

static bool s3_now(struct store *base, int64_t *unix_ms, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    struct op o = {.method = "GET"};
    struct web_reply r = {0};
    CLEANUP(str_freep) char *full = str_printf("%sregrow.json", s->prefix);
    s3_pair_add(&o.query, "list-type", "2");
    s3_pair_add(&o.query, "max-keys", "1");
    s3_pair_add(&o.query, "prefix", full);
    bool ok = send_safe(s, &o, &r, err);
    if (ok && r.status != 200)
        ok = status_err(&r, err);
    if (ok && !r.date_ms)
        ok = err_set(err, ERR_UNAVAILABLE, "the server tells no time");
    *unix_ms = r.date_ms;
    web_reply_clear(&r);
    op_clear(&o);
    return ok;
}

static bool s3_retain(struct store *base, const char *name, int64_t until_unix_ms, struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    CLEANUP(str_freep) char *until = clock_rfc3339(until_unix_ms / 1000);
    CLEANUP(str_freep)
    char *body = str_printf("<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>"
                            "GOVERNANCE</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
                            until);
    struct op o = {.method = "PUT", .name = name, .body = body, .body_len = strlen(body)};
    struct sha256 h = sha256_of(body, o.body_len);
    struct buf sum CLEANUP(buf_clear) = {0};
    buf_base64(&sum, h.b, sizeof(h.b));
    s3_pair_add(&o.query, "retention", "");
    s3_pair_add(&o.headers, "x-amz-checksum-sha256", sum.p);
    struct web_reply r = {0};
    bool ok = send_safe(s, &o, &r, err);
    if (ok && r.status >= 300)
        ok = status_err(&r, err);
    web_reply_clear(&r);
    op_clear(&o);
    return ok;
}

static bool s3_retained(struct store *base, const char *name, int64_t *until_unix_ms,
                        struct err *err)
{
    struct s3_store *s = (struct s3_store *)base;
    struct op o = {.method = "GET", .name = name};
    struct web_reply r = {0};
    s3_pair_add(&o.query, "retention", "");
    bool ok = send_safe(s, &o, &r, err);
    // "No such configuration" and "no lock in this bucket" are answers too.
    if (ok && r.status >= 400 && r.status != 400 && r.status != 404)
        ok = status_err(&r, err);
    CLEANUP(str_freep)
    char *until = ok && r.status == 200 ? xml_text(r.body.p, r.body.len, "RetainUntilDate") : NULL;
    int64_t at = until ? clock_parse_rfc3339_ms(until) : 0;
    *until_unix_ms = at > 0 ? at : 0;
    web_reply_clear(&r);
    op_clear(&o);
    return ok;
}

static void s3_free(struct store *base)
{
    struct s3_store *s = (struct s3_store *)base;
    web_free(s->web);
    s3_keys_clear(&s->keys);
    free(s->scheme);
    free(s->host);
    free(s->bucket);
    free(s->prefix);
    free(s->region);
    free(s->credentials_file);
    free(s->base.url);
    free(s);
}

static const struct store_ops ops = {
    .traits = {.kind = "s3", .may_create_atomic = true, .has_retention = true},
    .create = s3_create,
    .get = s3_get,
    .list = s3_list,
    .stranger = s3_stranger,
    .remove = s3_remove,
    .now = s3_now,
    .retain = s3_retain,
    .retained = s3_retained,
    .free = s3_free,
};

// The first of: the option, one of two variables, a default.
static const char *pick(const char *given, const char *var, const char *var2, const char *fallback)
{
    const char *v = str_is_empty(given) ? getenv(var) : given;
    if (str_is_empty(v))
        v = getenv(var2);
    return str_is_empty(v) ? fallback : v;
}

static bool bucket_is_valid(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    return n >= 3 && n <= 255 && !s[n];
}

static bool bad_url(const char *url, struct err *err)
{
    err_set(err, ERR_USAGE, "%s is not of the form s3://bucket[/prefix]", url);
    return err_hint(err, "A bucket's name has at least 3 letters, digits, dots and dashes.");
}

bool store_s3_open(const struct store_opts *o, struct store **out, struct err *err)
{
    struct s3_store *s = mem_alloc(sizeof(*s));
    struct store *base CLEANUP(store_freep) = &s->base;
    const char *rest = o->url + strlen("s3://");
    size_t n = strcspn(rest, "/");
    s->base.ops = &ops;
    s->base.url = str_dup(o->url);
    s->bucket = str_ndup(rest, n);
    const char *prefix = rest + n + (rest[n] == '/');
    s->prefix = !*prefix || str_ends(prefix, "/") ? str_dup(prefix) : str_printf("%s/", prefix);
    if (!bucket_is_valid(s->bucket) || strstr(s->prefix, "//") || strstr(s->prefix, ".."))
        return bad_url(o->url, err);
    s->region = str_dup(pick(o->s3_region, "AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1"));
    const char *endpoint = pick(o->s3_endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL);
    CLEANUP(str_freep)
    char *url = endpoint ? str_dup(endpoint) : str_printf("https://s3.%s.amazonaws.com", s->region);
    const char *sep = strstr(url, "://");
    if (!sep || (!str_starts(url, "https://") && !str_starts(url, "http://")))
        return err_set(err, ERR_USAGE, "%s is not the URL of an S3 endpoint", url);
    s->scheme = str_ndup(url, (size_t)(sep - url));
    const char *host = sep + 3;
    bool in_host = str_starts(host, BUCKET_HOST);
    host += in_host ? strlen(BUCKET_HOST) : 0;
    s->host = str_ndup(host, strcspn(host, "/"));
    s->path_style =
        o->s3_path_style || (endpoint && !in_host && !str_ends(s->host, ".amazonaws.com"));
    s->retain_ms = o->s3_retain_ms;
    s->credentials_file = str_dup_or_null(o->credentials_file);
    s->web = web_new(o->loop, o->ca_file);
    *out = TAKE(base);
    return true;
}
