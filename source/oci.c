// SPDX-License-Identifier: Apache-2.0
//
// OCI registries: tag, manifest, blob; with a token from the registry's own service where it asks
// for one.
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/chart_int.h"

#define MANIFEST_TYPES                                                                             \
    "Accept: application/vnd.oci.image.manifest.v1+json, "                                         \
    "application/vnd.docker.distribution.manifest.v2+json"
#define MAX_MANIFEST_BYTES (4U << 20)
#define MAX_TAGS_BYTES (16U << 20)
#define MAX_TOKEN_BYTES (1U << 20)
#define MAX_PAGES 50

typedef void (*oci_fn)(struct oci *o, struct http_response *r);

struct oci {
    struct chart_need *n;
    char *base; // https://host/v2/name
    char *name; // host/name, for people
    char *url;  // what the credentials are for
    bool is_plain;
    char *token;
    struct exchange *http;
    // the question that is open
    char *at;
    const char *accept;
    size_t max;
    oci_fn next;
    http_done_fn archive; // set: the answer is for the chart
    // what was found
    struct strv tags;
    unsigned pages;
    char *tag;
};

void oci_free(struct oci *o)
{
    if (!o)
        return;
    http_cancel(o->http);
    if (o->token)
        explicit_bzero(o->token, strlen(o->token));
    free(o->base);
    free(o->name);
    free(o->url);
    free(o->token);
    free(o->at);
    strv_clear(&o->tags);
    free(o->tag);
    free(o);
}

static void fail(struct oci *o, struct err *err)
{
    struct chart_need *n = o->n;
    err_move(&n->err, err);
    err_wrap(&n->err, "oci://%s", o->name);
    if (o->archive) {
        struct http_response none = {0};
        struct err e = {0};
        err_move(&e, &n->err);
        o->archive(n, &none, &e);
        err_clear(&e);
        return;
    }
    chart_settle(n);
}

static void ask(struct oci *o);

// ---- tokens ----
static char *param(const char *challenge, const char *key)
{
    CLEANUP(str_freep) char *k = str_printf("%s=\"", key);
    const char *p = strcasestr(challenge, k);
    if (!p)
        return NULL;
    p += strlen(k);
    return str_ndup(p, strcspn(p, "\""));
}

static void on_token(void *ctx, struct http_response *r, struct err *err)
{
    struct oci *o = ctx;
    struct err e = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    o->http = NULL;
    if (err_is_set(err)) {
        err_move(&e, err);
    } else if (canon_read(r->body.p, r->body.len, &doc, &e)) {
        const char *t = json_dot_str(doc, "token");
        str_set(&o->token, t ? t : json_dot_str(doc, "access_token"));
        if (str_is_empty(o->token))
            err_set(&e, ERR_DENIED, "the registry gave no token");
    }
    if (err_is_set(&e))
        fail(o, &e);
    else
        ask(o);
}

// The registry's token service, as its challenge names it.
static bool get_token(struct oci *o, const char *challenge, struct err *err)
{
    CLEANUP(str_freep) char *realm = param(challenge, "realm");
    CLEANUP(str_freep) char *service = param(challenge, "service");
    CLEANUP(str_freep) char *scope = param(challenge, "scope");
    if (!realm)
        return err_set(err, ERR_DENIED, "access denied");
    if (!o->is_plain && !str_starts(realm, "https://"))
        return err_set(err, ERR_DENIED, "its token service is not reached by https");
    char *sv = curl_easy_escape(NULL, service ? service : "", 0);
    char *sc = curl_easy_escape(NULL, scope ? scope : "", 0);
    CLEANUP(str_freep)
    char *url =
        str_printf("%s%cservice=%s&scope=%s", realm, strchr(realm, '?') ? '&' : '?', sv, sc);
    curl_free(sv);
    curl_free(sc);
    struct http_request q = {
        .url = url, .cred_url = o->url, .project = o->n->project, .max_bytes = MAX_TOKEN_BYTES};
    o->http = http_start(o->n->c->http, &q, on_token, o);
    return true;
}

// ---- a question ----
static void on_answer(void *ctx, struct http_response *r, struct err *err)
{
    struct oci *o = ctx;
    struct err e = {0};
    o->http = NULL;
    if (err_is_set(err)) {
        err_move(&e, err);
        fail(o, &e);
    } else if (r->status < 400) {
        if (o->archive)
            o->archive(o->n, r, err);
        else
            o->next(o, r);
    } else if (r->status == 401 && !o->token && r->auth_challenge &&
               !strncasecmp(r->auth_challenge, "bearer", 6)) {
        if (!get_token(o, r->auth_challenge, &e))
            fail(o, &e);
    } else {
        http_status_err(r->status, o->at, &e);
        fail(o, &e);
    }
}

static void ask(struct oci *o)
{
    const char *headers[] = {o->accept, NULL};
    struct http_request q = {.url = o->at,
                             .headers = headers,
                             .cred_url = o->url,
                             .project = o->n->project,
                             .bearer = o->token,
                             .max_bytes = o->max,
                             .may_refuse = true};
    o->http = http_start(o->n->c->http, &q, on_answer, o);
}

static void ask_for(struct oci *o, char *url_take, const char *accept, size_t max, oci_fn next)
{
    free(o->at);
    o->at = url_take;
    o->accept = accept;
    o->max = max;
    o->next = next;
    ask(o);
}

// ---- tag, manifest, blob ----
static const json_t *pick_layer(const json_t *manifest, bool *is_helm)
{
    const json_t *layer = NULL;
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(manifest, "layers"), i, l)
    {
        const char *type = json_dot_str(l, "mediaType");
        bool helm = type && strstr(type, "helm.chart.content");
        if (helm || (type && str_ends(type, "tar+gzip") && !layer)) {
            layer = l;
            *is_helm = helm;
        }
    }
    return layer;
}

static bool check_digest(const struct oci *o, const struct buf *b, struct err *err)
{
    struct sha256 sum = sha256_of(b->p, b->len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    return !str_starts(o->tag, "sha256:") || !strcasecmp(o->tag + 7, hex) ||
           err_set(err, ERR_CORRUPT, "the manifest's SHA-256 is %s", hex);
}

static void on_manifest(struct oci *o, struct http_response *r)
{
    struct chart_need *n = o->n;
    struct err err = {0};
    CLEANUP(json_freep) json_t *m = NULL;
    struct sha256 sum = sha256_of(r->body.p ? r->body.p : "", r->body.len);
    CLEANUP(str_freep) char *manifest = hex_encode(sum.b, sizeof(sum.b));
    bool is_helm = false;
    bool ok = check_digest(o, &r->body, &err) && canon_read(r->body.p, r->body.len, &m, &err);
    const char *digest = ok ? json_dot_str(pick_layer(m, &is_helm), "digest") : NULL;
    if (ok && (!digest || !str_starts(digest, "sha256:")))
        ok = err_set(&err, ERR_INVALID, "%s holds neither a chart nor a tar+gzip layer", o->tag);
    if (!ok) {
        fail(o, &err);
        return;
    }
    str_set(&n->chart.version, o->tag);
    str_set(&n->chart.digest, digest + 7);
    n->chart.is_helm = is_helm;
    free(n->chart.manifest);
    n->chart.manifest = str_printf("sha256:%s", manifest);
    free(n->from);
    n->from = str_printf("%s/blobs/%s", o->base, digest);
    chart_found(n);
}

void oci_get_archive(struct oci *o, http_done_fn done)
{
    o->archive = done;
    ask_for(o, str_dup(o->n->from), NULL, MAX_CHART_BYTES, NULL);
}

static void get_manifest(struct oci *o)
{
    ask_for(o, str_printf("%s/manifests/%s", o->base, o->tag), MANIFEST_TYPES, MAX_MANIFEST_BYTES,
            on_manifest);
}

// "</v2/name/tags/list?n=1000&last=x>; rel="next"": on this registry, or it is not followed.
static char *next_page(const struct oci *o, const char *link)
{
    if (!link || *link != '<' || !strstr(link, "rel=\"next\""))
        return NULL;
    CLEANUP(str_freep) char *to = str_ndup(link + 1, strcspn(link + 1, ">"));
    if (*to == '/') {
        const char *path = strstr(strstr(o->base, "://") + 3, "/");
        return str_printf("%.*s%s", (int)(path - o->base), o->base, to);
    }
    return url_same_host(to, o->base) ? TAKE(to) : NULL;
}

static void on_tags(struct oci *o, struct http_response *r)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    const char *best = NULL;
    size_t i;
    json_t *t;
    if (!canon_read(r->body.p, r->body.len, &doc, &err)) {
        fail(o, &err);
        return;
    }
    json_array_foreach(json_object_get(doc, "tags"), i, t)
    {
        if (json_string_value(t) && semver_is_version(json_string_value(t)))
            strv_push(&o->tags, json_string_value(t));
    }
    char *next = ++o->pages < MAX_PAGES ? next_page(o, r->link) : NULL;
    if (next) {
        ask_for(o, next, NULL, MAX_TAGS_BYTES, on_tags);
        return;
    }
    if (!revision_resolve_versions(o->n->target, &o->tags, &best, &err)) {
        fail(o, &err);
        return;
    }
    o->tag = str_dup(best);
    get_manifest(o);
}

static bool is_loopback(const char *host)
{
    return str_starts(host, "127.") || str_starts(host, "localhost") || str_starts(host, "[::1]");
}

static bool prefers_plain(struct chart_need *n, const char *host)
{
    const struct cred_list *l = creds_for(n->c->creds, n->url, n->project);
    bool plain = is_loopback(host) && !n->c->o->ca_file && !creds_tls_roots(n->c->creds, n->url);
    for (size_t i = 0; i < l->v.len; i++) {
        plain &= !l->v.v[i]->ca_file && !l->v.v[i]->cert_pem;
        if (l->v.v[i]->plain_http)
            return true;
    }
    return plain;
}

void oci_begin(struct chart_need *n)
{
    const char *rest = str_starts(n->url, "oci://") ? n->url + 6 : n->url;
    bool has_name = !n->name || str_ends(rest, n->name);
    struct oci *o = n->oci = mem_alloc(sizeof(*o));
    struct err err = {0};
    o->n = n;
    o->url = str_dup(n->url);
    o->name = has_name ? str_dup(rest) : str_printf("%s/%s", rest, n->name);
    const char *slash = strchr(o->name, '/');
    if (!slash || !slash[1]) {
        err_set(&err, ERR_INVALID, "it names no artifact");
        fail(o, &err);
        return;
    }
    CLEANUP(str_freep) char *host = str_ndup(o->name, (size_t)(slash - o->name));
    o->is_plain = prefers_plain(n, host);
    o->base = str_printf("%s://%s/v2%s", o->is_plain ? "http" : "https", host, slash);
    if (str_is_empty(n->target) || semver_is_constraint(n->target)) {
        ask_for(o, str_printf("%s/tags/list?n=1000", o->base), NULL, MAX_TAGS_BYTES, on_tags);
        return;
    }
    // A tag cannot hold '+': Helm writes '_' there.
    o->tag = str_dup(n->target);
    for (char *p = o->tag; *p; p++)
        if (*p == '+')
            *p = '_';
    get_manifest(o);
}
