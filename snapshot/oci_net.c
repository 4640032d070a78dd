// SPDX-License-Identifier: Apache-2.0
#include "snapshot/oci_net.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "snapshot/crypto.h"
#include "snapshot/oci_answer.h"

#define TRIES 5
#define MAX_MANIFEST (4U << 20)
#define MAX_TAGS_BYTES (16U << 20)
#define MAX_PAGES 1000

static char *full_url(const struct oci *o, const char *path)
{
    if (strstr(path, "://"))
        return str_dup(path);
    if (*path == '/')
        return str_printf("%s://%s%s", o->scheme, o->host, path);
    return str_printf("%s://%s/v2/%s/%s", o->scheme, o->host, o->repository, path);
}

// Credentials go to the registry's own host only: an upload may be sent elsewhere.
static bool is_own_host(const struct oci *o, const char *url)
{
    CLEANUP(str_freep) char *own = str_printf("%s://%s/", o->scheme, o->host);
    return str_starts(url, own);
}

static void add_authorization(const struct oci *o, struct strv *headers)
{
    if (o->token) {
        strv_push_take(headers, str_printf("Authorization: Bearer %s", o->token));
    } else if (o->user) {
        struct buf b CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *pair = str_printf("%s:%s", o->user, o->password);
        buf_base64(&b, pair, strlen(pair));
        strv_push_take(headers, str_printf("Authorization: Basic %s", b.p));
        crypto_wipe(pair, strlen(pair));
    }
}

// Asks the token server a challenge names. Only https, or plain where the registry is plain too.
static bool ask_token(struct oci *o, const char *challenge, struct err *err)
{
    CLEANUP(str_freep) char *realm = oci_challenge_value(challenge, "realm");
    CLEANUP(str_freep) char *service = oci_challenge_value(challenge, "service");
    CLEANUP(str_freep) char *scope = oci_challenge_value(challenge, "scope");
    if (!realm || (!str_starts(realm, "https://") && strcmp(o->scheme, "http") != 0))
        return err_set(err, ERR_DENIED, "the registry's challenge names no token server");
    struct buf url CLEANUP(buf_clear) = {0};
    buf_printf(&url, "%s%sservice=", realm, strchr(realm, '?') ? "&" : "?");
    uri_encode(&url, service ? service : "", false);
    buf_str(&url, "&scope=");
    if (scope)
        uri_encode(&url, scope, false);
    else
        buf_printf(&url, "repository:%s:pull,push,delete", o->repository);
    struct strv headers = {0};
    str_freep(&o->token);
    add_authorization(o, &headers);
    struct web_request q = {.method = "GET", .url = url.p, .headers = &headers};
    struct web_reply r = {0};
    bool ok = web_run(o->web, &q, &r, err);
    strv_clear(&headers);
    if (ok && r.status == 200)
        o->token = oci_token(r.body.p, r.body.len);
    if (ok && !o->token)
        ok = err_set(err, ERR_DENIED, "the token server answered %d%s", r.status,
                     r.status == 200 ? ", and gave no token" : "");
    web_reply_clear(&r);
    return ok;
}

static bool send_once(struct oci *o, const char *method, const char *url,
                      const struct strv *headers, const void *body, size_t len, size_t max_bytes,
                      struct web_reply *r, struct err *err)
{
    struct strv all = {0};
    for (size_t i = 0; headers && i < headers->len; i++)
        strv_push(&all, headers->v[i]);
    if (is_own_host(o, url))
        add_authorization(o, &all);
    struct web_request q = {.method = method,
                            .url = url,
                            .headers = &all,
                            .body = body,
                            .body_len = len,
                            .max_bytes = max_bytes};
    bool ok = web_run(o->web, &q, r, err);
    strv_clear(&all);
    if (ok && r->date_ms)
        o->date_ms = r->date_ms;
    return ok;
}

bool oci_send(struct oci *o, const char *method, const char *path, const struct strv *headers,
              const void *body, size_t len, size_t max_bytes, bool safe, struct web_reply *r,
              struct err *err)
{
    CLEANUP(str_freep) char *url = full_url(o, path);
    bool asked = false;
    for (unsigned i = 1;; i++) {
        bool ok = send_once(o, method, url, headers, body, len, max_bytes, r, err);
        if (ok && r->status == 401 && r->challenge && !asked &&
            !strncasecmp(r->challenge, "Bearer", 6)) {
            asked = true;
            CLEANUP(str_freep) char *challenge = str_dup(r->challenge);
            if (!ask_token(o, challenge, err))
                return false;
            continue;
        }
        bool again = ok ? r->status >= 500 || r->status == 429 || r->status == 408
                        : err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
        if (!again || !safe || i >= TRIES || !web_pause(o->web, i, r->retry_after_ms))
            return ok;
        err_clear(err);
    }
}

bool oci_status_err(const struct web_reply *r, struct err *err)
{
    CLEANUP(str_freep) char *code = oci_error_code(r->body.p, r->body.len);
    enum err_kind k = r->status == 401 || r->status == 403   ? ERR_DENIED
                      : r->status == 404                     ? ERR_NOT_FOUND
                      : r->status == 409 || r->status == 412 ? ERR_CONFLICT
                      : r->status == 429 || r->status >= 500 ? ERR_UNAVAILABLE
                                                             : ERR_INVALID;
    err_set(err, k, "the registry answered %d%s%.60s", r->status, code ? " " : "",
            code ? code : "");
    return false;
}

bool oci_has_blob(struct oci *o, const char *hex, bool *found, struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("blobs/sha256:%s", hex);
    struct web_reply r = {0};
    bool ok = oci_send(o, "HEAD", path, NULL, NULL, 0, 0, true, &r, err);
    *found = ok && r.status == 200;
    if (ok && !*found && r.status != 404)
        ok = oci_status_err(&r, err);
    web_reply_clear(&r);
    return ok;
}

// Registries may send a reader elsewhere; without our credentials.
static bool follow(struct oci *o, size_t max_bytes, struct web_reply *r, struct err *err)
{
    if (r->status != 301 && r->status != 302 && r->status != 303 && r->status != 307 &&
        r->status != 308)
        return true;
    if (!r->location)
        return err_set(err, ERR_UNAVAILABLE, "the registry sends us nowhere");
    CLEANUP(str_freep) char *to = str_dup(r->location);
    return oci_send(o, "GET", to, NULL, NULL, 0, max_bytes, true, r, err);
}

bool oci_get_blob(struct oci *o, const char *hex, size_t max_bytes, struct buf *out, bool *found,
                  struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("blobs/sha256:%s", hex);
    struct web_reply r = {0};
    bool ok = oci_send(o, "GET", path, NULL, NULL, 0, max_bytes + WEB_ERROR_BYTES, true, &r, err) &&
              follow(o, max_bytes + WEB_ERROR_BYTES, &r, err);
    *found = ok && r.status == 200;
    if (*found && r.body.len > max_bytes)
        ok = err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    else if (*found)
        buf_append(out, r.body.p ? r.body.p : "", r.body.len);
    else if (ok && r.status != 404)
        ok = oci_status_err(&r, err);
    web_reply_clear(&r);
    return ok;
}

static bool put_once(struct oci *o, const char *hex, const void *p, size_t len, struct web_reply *r,
                     struct err *err)
{
    struct strv headers = {0};
    bool ok = oci_send(o, "POST", "blobs/uploads/", NULL, "", 0, 0, true, r, err);
    if (ok && r->status == 202 && r->location) {
        CLEANUP(str_freep)
        char *to = str_printf("%s%sdigest=sha256:%s", r->location,
                              strchr(r->location, '?') ? "&" : "?", hex);
        strv_push(&headers, "Content-Type: application/octet-stream");
        ok = oci_send(o, "PUT", to, &headers, p, len, 0, false, r, err);
    }
    strv_clear(&headers);
    return ok;
}

bool oci_put_blob(struct oci *o, const char *hex, const void *p, size_t len, struct err *err)
{
    struct web_reply r = {0};
    bool ok = false;
    for (unsigned i = 1; i <= TRIES; i++) {
        bool found = false;
        err_clear(err);
        ok = put_once(o, hex, p, len, &r, err);
        if (ok && r.status == 201)
            break;
        bool again = ok ? r.status >= 500 || r.status == 429 || r.status == 404
                        : err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
        if (ok)
            ok = oci_status_err(&r, err);
        if (!again || i == TRIES || !web_pause(o->web, i, r.retry_after_ms))
            break;
        // It may have arrived although the answer did not.
        err_clear(err);
        ok = oci_has_blob(o, hex, &found, err);
        if (ok && found)
            break;
    }
    web_reply_clear(&r);
    return ok;
}

bool oci_put_manifest(struct oci *o, const char *ref, const char *json, size_t len, bool *missing,
                      struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("manifests/%s", ref);
    struct strv headers = {0};
    struct web_reply r = {0};
    strv_push(&headers, "Content-Type: " OCI_MANIFEST_TYPE);
    // The same bytes under the same tag: repeating changes nothing.
    bool ok = oci_send(o, "PUT", path, &headers, json, len, 0, true, &r, err);
    strv_clear(&headers);
    *missing = ok && (r.status == 404 ||
                      (r.status == 400 && r.body.p && strstr(r.body.p, "MANIFEST_BLOB_UNKNOWN")));
    if (ok && r.status != 201)
        ok = oci_status_err(&r, err);
    web_reply_clear(&r);
    return ok;
}

bool oci_get_manifest(struct oci *o, const char *ref, struct buf *out, char **digest, bool *found,
                      struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("manifests/%s", ref);
    struct strv headers = {0};
    struct web_reply r = {0};
    strv_push(&headers, "Accept: " OCI_MANIFEST_TYPE);
    bool ok = oci_send(o, "GET", path, &headers, NULL, 0, MAX_MANIFEST, true, &r, err);
    strv_clear(&headers);
    *found = ok && r.status == 200;
    o->is_there |= *found;
    if (*found) {
        struct sha256 h = sha256_of(r.body.p ? r.body.p : "", r.body.len);
        CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
        buf_append(out, r.body.p ? r.body.p : "", r.body.len);
        if (digest)
            *digest = str_printf("sha256:%s", hex);
    } else if (ok && r.status != 404) {
        ok = oci_status_err(&r, err);
    }
    web_reply_clear(&r);
    return ok;
}

bool oci_delete_manifest(struct oci *o, const char *digest, struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("manifests/%s", digest);
    struct web_reply r = {0};
    bool ok = oci_send(o, "DELETE", path, NULL, NULL, 0, 0, true, &r, err);
    if (ok && r.status >= 300 && r.status != 404)
        ok = oci_status_err(&r, err);
    web_reply_clear(&r);
    return ok;
}

bool oci_tags(struct oci *o, struct strv *out, struct err *err)
{
    CLEANUP(str_freep) char *path = str_dup("tags/list?n=10000");
    struct web_reply r = {0};
    bool ok = true;
    for (unsigned page = 0; path && ok && page < MAX_PAGES; page++) {
        ok = oci_send(o, "GET", path, NULL, NULL, 0, MAX_TAGS_BYTES, true, &r, err);
        str_freep(&path);
        if (ok && r.status == 404 && !o->is_there)
            break;
        if (ok && r.status == 404)
            ok = err_set(err, ERR_UNAVAILABLE, "the registry shows no tags any more");
        else if (ok && r.status != 200)
            ok = oci_status_err(&r, err);
        o->is_there |= ok;
        ok = ok && oci_read_tags(r.body.p, r.body.len, out, err);
        path = ok ? oci_next_page(r.link) : NULL;
    }
    web_reply_clear(&r);
    strv_sort(out);
    return ok;
}
