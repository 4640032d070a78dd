// SPDX-License-Identifier: Apache-2.0
#include "source/chart.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "source/http.h"

#define MAX_INDEX_BYTES (128U << 20)
#define MAX_CHART_BYTES (64U << 20)
#define MAX_UNPACKED_BYTES (512ULL << 20)
#define MAX_ENTRIES 50000
#define MANIFEST_TYPES                                                                             \
    "Accept: application/vnd.oci.image.manifest.v1+json, "                                         \
    "application/vnd.docker.distribution.manifest.v2+json"

void chart_clear(struct chart *c)
{
    str_freep(&c->file);
    str_freep(&c->version);
    str_freep(&c->digest);
}

static char *cached(const struct source_ctx *s, const char *digest)
{
    return str_printf("%s/charts/%s.tgz", s->o->cache_dir, digest);
}

// Stores verified bytes under their digest.
static bool store(struct source_ctx *s, const struct buf *b, struct chart *c, struct err *err)
{
    struct sha256 sum = sha256_of(b->p, b->len);
    CLEANUP(str_freep) char *have = hex_encode(sum.b, sizeof(sum.b));
    if (c->digest && strcasecmp(c->digest, have) != 0)
        return err_set(err, ERR_CORRUPT, "its SHA-256 is %s, but %s was promised", have, c->digest);
    CLEANUP(str_freep) char *dir = str_printf("%s/charts", s->o->cache_dir);
    str_set(&c->digest, have);
    c->file = cached(s, have);
    return dir_make(dir, 0700, err) && file_replace(c->file, b->p, b->len, 0600, err);
}

static bool in_cache(struct source_ctx *s, struct chart *c)
{
    if (!c->digest)
        return false;
    CLEANUP(str_freep) char *path = cached(s, c->digest);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_exists(path) || !file_read(path, MAX_CHART_BYTES, &b, &err)) {
        err_clear(&err);
        return false;
    }
    struct sha256 sum = sha256_of(b.p, b.len);
    CLEANUP(str_freep) char *have = hex_encode(sum.b, sizeof(sum.b));
    if (strcasecmp(have, c->digest) != 0)
        return false;
    c->file = TAKE(path);
    return true;
}

// What was resolved last time, for --offline: "url name target" -> "version digest".
static char *memo_path(const struct source_ctx *s, const char *url, const char *name,
                       const char *target)
{
    CLEANUP(str_freep) char *key = str_printf("%s\n%s\n%s", url, name ? name : "", target);
    struct sha256 h = sha256_of(key, strlen(key));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 16);
    return str_printf("%s/charts/%s.ref", s->o->cache_dir, hex);
}

static void remember(struct source_ctx *s, const char *memo, const struct chart *c)
{
    (void)s;
    struct err err = {0};
    CLEANUP(str_freep)
    char *text = str_printf("%s %s %d\n", c->version, c->digest, (int)c->is_helm);
    if (!file_replace(memo, text, strlen(text), 0600, &err))
        err_clear(&err); // only --offline would have needed it
}

static bool recall(struct source_ctx *s, const char *memo, struct chart *c)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv f = {0};
    if (!file_exists(memo) || !file_read(memo, 4096, &b, &err)) {
        err_clear(&err);
        return false;
    }
    strv_split(&f, b.p, ' ');
    bool ok = f.len == 3;
    if (ok) {
        str_set(&c->version, f.v[0]);
        str_set(&c->digest, f.v[1]);
        c->is_helm = f.v[2][0] == '1';
        ok = in_cache(s, c);
    }
    strv_clear(&f);
    return ok;
}

static bool get(struct source_ctx *s, const char *url, size_t max, const char *const *headers,
                struct buf *out, struct err *err)
{
    struct http_response r;
    if (!strstr(url, "://")) // a mirror that is a folder
        return file_read(url, max, out, err);
    if (str_starts(url, "file://"))
        return file_read(url + 7, max, out, err);
    struct http_request q = {.url = url,
                             .headers = headers,
                             .cred = source_cred_for(s->o, url),
                             .ca_file = s->o->ca_file,
                             .max_bytes = max,
                             .loop = s->loop};
    bool ok = http_get(&q, &r, err);
    if (ok) {
        *out = r.body;
        r.body = (struct buf){0};
        if (!out->p)
            buf_append(out, "", 0);
    }
    http_response_clear(&r);
    return ok;
}

// ---- Helm repositories ----
static json_t *index_of(struct source_ctx *s, const char *url, struct err *err)
{
    json_t *known = json_object_get(s->indexes, url);
    if (known)
        return known;
    CLEANUP(str_freep)
    char *at = str_printf("%s%sindex.yaml", url, str_ends(url, "/") ? "" : "/");
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = at, .warn_only = true, .max_bytes = MAX_INDEX_BYTES};
    if (!get(s, at, MAX_INDEX_BYTES, NULL, &b, err))
        return NULL;
    if (!yaml_read(b.p, b.len, &o, &docs, err))
        return NULL;
    json_t *index = docs.docs.len ? json_incref(docs.docs.v[0].value) : json_object();
    yaml_docs_clear(&docs);
    json_object_set_new(s->indexes, url, index);
    return index;
}

static const json_t *pick(const json_t *entries, const char *target, struct err *err)
{
    struct strv versions = {0};
    const char *best = NULL;
    const json_t *found = NULL;
    size_t i;
    json_t *e;
    json_array_foreach(entries, i, e)
    {
        const char *v = json_dot_str(e, "version");
        strv_push(&versions, v ? v : "");
    }
    if (revision_resolve_versions(target, &versions, &best, err))
        for (i = 0; i < versions.len && !found; i++)
            if (versions.v[i] == best)
                found = json_array_get(entries, i);
    strv_clear(&versions);
    return found;
}

static bool helm_repo(struct source_ctx *s, const char *url, const char *name, const char *target,
                      struct chart *c, struct err *err)
{
    const json_t *index = index_of(s, url, err);
    if (!index)
        return false;
    const json_t *entries = json_object_get(json_object_get(index, "entries"), name);
    if (!entries)
        return err_set(err, ERR_NOT_FOUND, "chart \"%s\" is not in %s", name, url);
    const json_t *e = pick(entries, target, err);
    if (!e)
        return err_wrap(err, "chart %s", name);
    const char *file = json_string_value(json_array_get(json_object_get(e, "urls"), 0));
    const char *digest = json_dot_str(e, "digest");
    if (!file)
        return err_set(err, ERR_INVALID, "%s: chart %s has no download URL", url, name);
    str_set(&c->version, json_dot_str(e, "version"));
    if (digest)
        c->digest = str_dup(str_starts(digest, "sha256:") ? digest + 7 : digest);
    c->is_helm = true;
    if (in_cache(s, c))
        return true;
    CLEANUP(str_freep)
    char *joined = strstr(file, "://")
                       ? str_dup(file)
                       : str_printf("%s%s%s", url, str_ends(url, "/") ? "" : "/", file);
    CLEANUP(str_freep) char *at = source_mirror_url(s->o, joined);
    struct buf b CLEANUP(buf_clear) = {0};
    return (get(s, at, MAX_CHART_BYTES, NULL, &b, err) && store(s, &b, c, err)) ||
           err_wrap(err, "chart %s %s", name, c->version);
}

// ---- OCI ----
struct oci {
    struct source_ctx *s;
    char *base; // https://host/v2/name
    char *host_name;
    const struct source_cred *cred;
    char *token;
};

static bool is_loopback(const char *host)
{
    return str_starts(host, "127.") || str_starts(host, "localhost") || str_starts(host, "[::1]");
}

static char *param(const char *challenge, const char *key)
{
    CLEANUP(str_freep) char *k = str_printf("%s=\"", key);
    const char *p = strstr(challenge, k);
    if (!p)
        return NULL;
    p += strlen(k);
    return str_ndup(p, strcspn(p, "\""));
}

// The registry's token service, as its challenge names it.
static bool get_token(struct oci *r, const char *challenge, struct err *err)
{
    CLEANUP(str_freep) char *realm = param(challenge, "realm");
    CLEANUP(str_freep) char *service = param(challenge, "service");
    CLEANUP(str_freep) char *scope = param(challenge, "scope");
    if (!realm)
        return err_set(err, ERR_DENIED, "%s: access denied", r->base);
    char *sv = curl_easy_escape(NULL, service ? service : "", 0);
    char *sc = curl_easy_escape(NULL, scope ? scope : "", 0);
    CLEANUP(str_freep) char *url = str_printf("%s?service=%s&scope=%s", realm, sv, sc);
    curl_free(sv);
    curl_free(sc);
    struct http_response resp;
    struct http_request q = {.url = url,
                             .cred = r->cred,
                             .ca_file = r->s->o->ca_file,
                             .max_bytes = 1U << 20,
                             .loop = r->s->loop};
    bool ok = http_get(&q, &resp, err);
    CLEANUP(json_freep) json_t *doc = NULL;
    ok = ok && resp.body.p && canon_read(resp.body.p, resp.body.len, &doc, err);
    http_response_clear(&resp);
    if (!ok)
        return err_is_set(err) ? false : err_set(err, ERR_DENIED, "%s: access denied", r->base);
    const char *t = json_dot_str(doc, "token");
    str_set(&r->token, t ? t : json_dot_str(doc, "access_token"));
    return r->token != NULL || err_set(err, ERR_DENIED, "%s: the registry gave no token", r->base);
}

static bool oci_get(struct oci *r, const char *what, const char *accept, size_t max,
                    struct buf *out, struct err *err)
{
    CLEANUP(str_freep) char *url = str_printf("%s/%s", r->base, what);
    const char *headers[] = {accept, NULL};
    for (int i = 0; i < 2; i++) {
        struct http_response resp;
        struct http_request q = {.url = url,
                                 .headers = headers,
                                 .cred = r->token ? NULL : r->cred,
                                 .bearer = r->token,
                                 .ca_file = r->s->o->ca_file,
                                 .max_bytes = max,
                                 .loop = r->s->loop};
        if (!http_run(&q, &resp, err)) {
            http_response_clear(&resp);
            return false;
        }
        bool ask = resp.status == 401 && resp.auth_challenge && !r->token &&
                   str_starts(resp.auth_challenge, "Bearer");
        bool ok = resp.status < 400;
        if (ok) {
            *out = resp.body;
            resp.body = (struct buf){0};
        } else if (ask ? !get_token(r, resp.auth_challenge, err)
                       : !http_status_err(resp.status, url, err)) {
            http_response_clear(&resp);
            return false;
        }
        http_response_clear(&resp);
        if (ok)
            return out->p || err_set(err, ERR_CORRUPT, "%s: empty answer", url);
    }
    return err_set(err, ERR_DENIED, "%s: access denied", url);
}

static bool oci_version(struct oci *r, const char *target, char **tag, struct err *err)
{
    if (!str_is_empty(target) && !semver_is_constraint(target)) {
        *tag = str_dup(target);
        return true;
    }
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!oci_get(r, "tags/list", NULL, 16U << 20, &b, err) || !canon_read(b.p, b.len, &doc, err))
        return false;
    struct strv tags = {0};
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(doc, "tags"), i, t)
    {
        // A tag cannot hold '+': Helm writes '_' there.
        if (json_string_value(t) && semver_is_version(json_string_value(t)))
            strv_push(&tags, json_string_value(t));
    }
    const char *best = NULL;
    bool ok = revision_resolve_versions(target, &tags, &best, err);
    if (ok)
        *tag = str_dup(best);
    strv_clear(&tags);
    return ok;
}

static bool oci_pull(struct oci *r, const char *target, struct chart *c, struct err *err)
{
    CLEANUP(str_freep) char *tag = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf blob CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *m = NULL;
    if (!oci_version(r, target, &tag, err))
        return false;
    CLEANUP(str_freep) char *what = str_printf("manifests/%s", tag);
    if (!oci_get(r, what, MANIFEST_TYPES, 4U << 20, &b, err) || !canon_read(b.p, b.len, &m, err))
        return false;
    const json_t *layer = NULL;
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(m, "layers"), i, l)
    {
        const char *type = json_dot_str(l, "mediaType");
        bool helm = type && strstr(type, "helm.chart.content");
        if (helm || (type && str_ends(type, "tar+gzip") && !layer)) {
            layer = l;
            c->is_helm = helm;
        }
    }
    const char *digest = json_dot_str(layer, "digest");
    if (!digest || !str_starts(digest, "sha256:"))
        return err_set(err, ERR_INVALID, "%s:%s holds neither a chart nor a tar+gzip layer",
                       r->host_name, tag);
    c->version = str_dup(tag);
    c->digest = str_dup(digest + 7);
    if (in_cache(r->s, c))
        return true;
    CLEANUP(str_freep) char *path = str_printf("blobs/%s", digest);
    return oci_get(r, path, NULL, MAX_CHART_BYTES, &blob, err) && store(r->s, &blob, c, err);
}

static bool from_oci(struct source_ctx *s, const char *url, const char *target, struct chart *c,
                     struct err *err)
{
    const char *rest = str_starts(url, "oci://") ? url + 6 : url;
    const char *slash = strchr(rest, '/');
    if (!slash || !slash[1])
        return err_set(err, ERR_INVALID, "%s names no artifact", url);
    struct oci r = {.s = s, .cred = source_cred_for(s->o, url)};
    CLEANUP(str_freep) char *host = str_ndup(rest, (size_t)(slash - rest));
    bool plain = is_loopback(host) && !(r.cred && r.cred->ca_file) && !s->o->ca_file;
    r.base = str_printf("%s://%s/v2%s", plain ? "http" : "https", host, slash);
    r.host_name = str_dup(rest);
    bool ok = oci_pull(&r, target, c, err) || err_wrap(err, "%s", url);
    free(r.base);
    free(r.host_name);
    free(r.token);
    return ok;
}

bool chart_fetch(struct source_ctx *s, const char *repo_url, const char *name, const char *target,
                 struct chart *out, struct err *err)
{
    CLEANUP(str_freep) char *mirrored = source_mirror_url(s->o, repo_url);
    CLEANUP(str_freep) char *memo = memo_path(s, mirrored, name, target);
    const struct source_cred *cred = source_cred_for(s->o, repo_url);
    bool oci = str_starts(mirrored, "oci://") ||
               (!strstr(mirrored, "://") && *mirrored != '/' && cred && cred->enable_oci);
    *out = (struct chart){0};
    bool exact = semver_is_version(target);
    if ((s->o->offline || exact) && recall(s, memo, out))
        return true;
    chart_clear(out);
    if (s->o->offline)
        return err_set(err, ERR_NOT_FOUND, "%s %s of %s is not in the cache", name ? name : "it",
                       target, repo_url);
    CLEANUP(str_freep)
    char *full = oci && name && !str_ends(mirrored, name) ? str_printf("%s/%s", mirrored, name)
                                                          : str_dup(mirrored);
    bool ok =
        oci ? from_oci(s, full, target, out, err) : helm_repo(s, mirrored, name, target, out, err);
    if (ok)
        remember(s, memo, out);
    else
        chart_clear(out);
    return ok;
}

static struct archive *open_archive(const char *path, struct err *err)
{
    struct archive *a = archive_read_new();
    archive_read_support_filter_gzip(a);
    archive_read_support_format_tar(a);
    if (archive_read_open_filename(a, path, 65536) == ARCHIVE_OK)
        return a;
    err_set(err, ERR_CORRUPT, "%s: %s", path_base(path), archive_error_string(a));
    archive_read_free(a);
    return NULL;
}

static bool read_entry(struct archive *a, size_t max_bytes, struct buf *out, struct err *err)
{
    char chunk[65536];
    la_ssize_t n;
    while ((n = archive_read_data(a, chunk, sizeof(chunk))) > 0) {
        if (out->len + (size_t)n > max_bytes)
            return err_set(err, ERR_INVALID, "a file in the archive is larger than %zu bytes",
                           max_bytes);
        buf_append(out, chunk, (size_t)n);
    }
    if (n < 0)
        return err_set(err, ERR_CORRUPT, "%s", archive_error_string(a));
    if (!out->p)
        buf_append(out, "", 0);
    return true;
}

bool chart_read(const char *archive, const char *path, size_t max_bytes, struct buf *out,
                struct err *err)
{
    struct archive *a = open_archive(archive, err);
    struct archive_entry *e;
    bool found = false;
    bool ok = a != NULL;
    while (ok && !found && archive_read_next_header(a, &e) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(e);
        const char *slash = name ? strchr(name, '/') : NULL; // the chart's own folder
        found = slash && !strcmp(slash + 1, path);
        if (found)
            ok = read_entry(a, max_bytes, out, err);
    }
    if (a)
        archive_read_free(a);
    return ok && (found || err_set(err, ERR_NOT_FOUND, "%s is not in the chart", path));
}

bool archive_unpack(const char *archive, const char *dir, struct err *err)
{
    struct archive *a = open_archive(archive, err);
    struct archive_entry *e;
    uint64_t total = 0;
    unsigned entries = 0;
    bool ok = a != NULL;
    while (ok && archive_read_next_header(a, &e) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(e);
        CLEANUP(str_freep) char *clean = NULL;
        struct buf b CLEANUP(buf_clear) = {0};
        if (archive_entry_filetype(e) != AE_IFREG)
            continue;
        if (!name || !path_clean(name, &clean) || ++entries > MAX_ENTRIES) {
            ok = err_set(err, ERR_INVALID, "the archive holds a path that leaves it, or too many");
            break;
        }
        CLEANUP(str_freep) char *to = path_join(dir, clean);
        CLEANUP(str_freep) char *folder = str_ndup(to, (size_t)(strrchr(to, '/') - to));
        ok = read_entry(a, MAX_CHART_BYTES, &b, err) && dir_make(folder, 0700, err) &&
             file_replace(to, b.p, b.len, 0600, err);
        total += b.len;
        if (ok && total > MAX_UNPACKED_BYTES)
            ok = err_set(err, ERR_INVALID, "the archive unpacks to more than 512 MiB");
    }
    if (a)
        archive_read_free(a);
    return ok;
}
