// SPDX-License-Identifier: Apache-2.0
#include "source/chart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "source/chart_int.h"
#include "source/source.h"
#include "source/witness.h"

#define MAX_MEMO_BYTES 4096

// A file by URL.
struct url_need {
    struct wanted need;
    struct source_ctx *c;
    char *url, *written, *project;
    size_t max;
    struct exchange *http;
    struct buf body;
};

struct charts {
    VEC(struct chart_need *) charts;
    VEC(struct index *) indexes;
    VEC(struct index_tag *) tags;
    VEC(struct url_need *) urls;
};

void chart_clear(struct chart *c)
{
    str_freep(&c->file);
    str_freep(&c->dir);
    str_freep(&c->version);
    str_freep(&c->digest);
    str_freep(&c->manifest);
}

const char *local_file(const char *url)
{
    if (str_starts(url, "file://"))
        return url + 7;
    return strstr(url, "://") ? NULL : url;
}

// ---- the cache (pool) ----
static char *cached(const struct source_ctx *s, const char *digest)
{
    return str_printf("%s/charts/%s.tgz", s->o->cache_dir, digest);
}

static bool is_digest(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static bool in_cache(struct chart_need *n)
{
    struct chart *c = &n->chart;
    if (!c->digest || !is_digest(c->digest))
        return false;
    CLEANUP(str_freep) char *path = cached(n->c, c->digest);
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

// What was resolved last time, for --offline: "version digest helm manifest".
static void remember(struct chart_need *n)
{
    struct err err = {0};
    CLEANUP(str_freep)
    char *text = str_printf("%s %s %d %s\n", n->chart.version, n->chart.digest,
                            (int)n->chart.is_helm, n->chart.manifest ? n->chart.manifest : "-");
    if (!file_replace(n->memo, text, strlen(text), 0600, &err))
        err_clear(&err); // only --offline would have needed it
}

static bool recall_memo(struct chart_need *n)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv f = {0};
    if (!file_exists(n->memo) || !file_read(n->memo, MAX_MEMO_BYTES, &b, &err)) {
        err_clear(&err);
        return false;
    }
    strv_split(&f, b.p, ' ');
    bool ok = f.len == 4;
    if (ok) {
        str_set(&n->chart.version, f.v[0]);
        str_set(&n->chart.digest, f.v[1]);
        n->chart.is_helm = f.v[2][0] == '1';
        f.v[3][strcspn(f.v[3], "\n")] = 0;
        str_set(&n->chart.manifest, strcmp(f.v[3], "-") != 0 ? f.v[3] : NULL);
        ok = in_cache(n);
    }
    strv_clear(&f);
    if (!ok)
        chart_clear(&n->chart);
    return ok;
}

// An artifact that is no chart: its files are a tree of their own.
static bool unpack(struct chart_need *n)
{
    struct chart *c = &n->chart;
    return c->is_helm || (dir_make_temp("regrow-artifact", &c->dir, &n->err) &&
                          archive_unpack(c->file, c->dir, &n->err));
}

// Verified bytes under their digest.
static bool keep(struct chart_need *n)
{
    struct chart *c = &n->chart;
    struct sha256 sum = sha256_of(n->body.p ? n->body.p : "", n->body.len);
    CLEANUP(str_freep) char *have = hex_encode(sum.b, sizeof(sum.b));
    if (c->digest && strcasecmp(c->digest, have) != 0)
        return err_set(&n->err, ERR_CORRUPT, "its SHA-256 is %s, but %s was promised", have,
                       c->digest);
    CLEANUP(str_freep) char *dir = str_printf("%s/charts", n->c->o->cache_dir);
    str_set(&c->digest, have);
    c->file = cached(n->c, have);
    return dir_make(dir, 0700, &n->err) &&
           file_keep(c->file, n->body.p ? n->body.p : "", n->body.len, 0600, &n->err);
}

// ---- steps ----
void chart_settle(struct chart_need *n)
{
    buf_clear(&n->body);
    if (n->on_probe) {
        n->on_probe(n->probe_ctx, n, false);
        return;
    }
    if (err_is_set(&n->err)) {
        if (n->chart.version && n->name)
            err_wrap(&n->err, "chart %s %s", n->name, n->chart.version);
        if (n->chart.dir) {
            dir_temp_cleanup(&n->chart.dir);
            n->chart.dir = NULL;
        }
        chart_clear(&n->chart);
    }
    wanted_settle(&n->need, &n->err);
}

static void finished(void *ctx, bool cancelled)
{
    struct chart_need *n = ctx;
    if (cancelled)
        err_set(&n->err, ERR_CANCELLED, "interrupted");
    chart_settle(n);
}

static void store(void *ctx)
{
    struct chart_need *n = ctx;
    const char *file = local_file(n->from);
    bool ok = !file || file_read(file, MAX_CHART_BYTES, &n->body, &n->err);
    if (ok && keep(n) && unpack(n))
        remember(n);
}

static void on_archive(void *ctx, struct http_response *r, struct err *err)
{
    struct chart_need *n = ctx;
    n->http = NULL;
    if (err_is_set(err)) {
        err_move(&n->err, err);
        chart_settle(n);
        return;
    }
    n->body = r->body;
    r->body = (struct buf){0};
    pool_submit(n->c->pool, store, finished, n);
}

static void check(void *ctx)
{
    struct chart_need *n = ctx;
    if (in_cache(n) && unpack(n))
        remember(n);
}

// A folder may be read, also one that takes a repository's place.
static void refuse_network(struct chart_need *n, const char *url)
{
    if (!n->c->o->offline || local_file(url))
        return;
    err_set(&n->err, ERR_NOT_FOUND, "%s %s of %s is not in the cache, and --offline forbids to ask",
            n->name ? n->name : "it", n->target, n->shown);
    err_hint(&n->err, OFFLINE_HINT);
}

static void checked(void *ctx, bool cancelled)
{
    struct chart_need *n = ctx;
    if (cancelled)
        err_set(&n->err, ERR_CANCELLED, "interrupted");
    else if (!n->chart.file && !err_is_set(&n->err))
        refuse_network(n, n->from);
    if (n->chart.file || err_is_set(&n->err)) {
        chart_settle(n);
        return;
    }
    if (local_file(n->from)) {
        pool_submit(n->c->pool, store, finished, n);
        return;
    }
    if (n->oci) {
        oci_get_archive(n->oci, on_archive);
        return;
    }
    // The repository's credential is for its own host.
    struct http_request q = {
        .url = n->from,
        .cred_url = n->pass_credentials || url_same_host(n->from, n->url) ? n->url : NULL,
        .project = n->project,
        .max_bytes = MAX_CHART_BYTES};
    n->http = http_start(n->c->http, &q, on_archive, n);
}

void chart_found(struct chart_need *n)
{
    if (n->on_probe) {
        n->on_probe(n->probe_ctx, n, false);
        return;
    }
    pool_submit(n->c->pool, check, checked, n);
}

static void recall(void *ctx)
{
    struct chart_need *n = ctx;
    bool exact = semver_is_version(n->target);
    if ((n->c->o->offline || exact) && recall_memo(n))
        (void)unpack(n); // the error says it
}

// Argo CD takes a registry without its scheme when a repository Secret says that it is one.
static void refuse_nowhere(struct chart_need *n)
{
    const char *folder = local_file(n->url);
    if (!source_may_name(n->c, n->is_oci ? NULL : local_file(n->written), &n->err))
        return;
    if (n->is_oci || !folder || file_exists(folder))
        return;
    err_set(&n->err, ERR_NOT_FOUND, "\"%s\" is neither a URL nor a folder of this machine",
            n->shown);
    err_hint(&n->err,
             "An OCI registry is named oci://%s, or by a repository Secret with enableOCI.",
             n->shown);
}

static void recalled(void *ctx, bool cancelled)
{
    struct chart_need *n = ctx;
    if (cancelled)
        err_set(&n->err, ERR_CANCELLED, "interrupted");
    else if (!n->chart.file && !err_is_set(&n->err))
        refuse_nowhere(n);
    if (!n->chart.file && !err_is_set(&n->err))
        refuse_network(n, n->url);
    if (n->chart.file || err_is_set(&n->err))
        chart_settle(n);
    else if (n->is_oci)
        oci_begin(n);
    else
        helm_begin(n);
}

static void start(struct wanted *need)
{
    struct chart_need *n = (struct chart_need *)((char *)need - offsetof(struct chart_need, need));
    oci_free(n->oci); // of a try before
    n->oci = NULL;
    pool_submit(n->c->pool, recall, recalled, n);
}

// ---- asking ----
static char *memo_path(const char *cache_dir, const char *url, const char *name, const char *target)
{
    CLEANUP(str_freep) char *key = str_printf("%s\n%s\n%s", url, name ? name : "", target);
    struct sha256 h = sha256_of(key, strlen(key));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 16);
    return str_printf("%s/charts/%s.ref", cache_dir, hex);
}

// "traefik-41.3.0.tgz" -> "41.3.0".
static char *version_of_file(const struct source_item *i, const char *file)
{
    const char *name = *i->chart ? i->chart : path_base(i->url);
    size_t n = strlen(name);
    size_t len = strlen(file);
    bool fits = len > n + 5 && !strncmp(file, name, n) && file[n] == '-' && str_ends(file, ".tgz");
    return fits ? str_ndup(file + n + 1, len - n - 5) : str_dup(i->target);
}

bool source_put_chart(const char *cache_dir, const struct source_item *i, struct err *err)
{
    const struct source_file *f = &i->files.v[0];
    const char *digest = i->digest && str_starts(i->digest, "sha256:") ? i->digest + 7 : "";
    bool is_manifest = i->revision && str_starts(i->revision, "sha256:");
    if (!is_digest(digest))
        return err_set(err, ERR_CORRUPT, "%s has no digest", i->url);
    CLEANUP(str_freep) char *version = version_of_file(i, f->path);
    CLEANUP(str_freep) char *dir = path_join(cache_dir, "charts");
    CLEANUP(str_freep) char *file = str_printf("%s/%s.tgz", dir, digest);
    CLEANUP(str_freep) char *memo = memo_path(cache_dir, i->url, i->chart, i->target);
    CLEANUP(str_freep)
    char *text = str_printf("%s %s %d %s\n", version, digest, strcmp(f->path, "layer.tar.gz") != 0,
                            is_manifest ? i->revision : "-");
    return dir_make(dir, 0700, err) && file_keep(file, f->bytes, f->len, 0600, err) &&
           file_replace(memo, text, strlen(text), 0600, err);
}

static bool is_oci(struct source_ctx *s, const char *url)
{
    if (str_starts(url, "oci://"))
        return true;
    const struct cred_list *l = creds_for(s->creds, url, s->project);
    bool enabled = false;
    for (size_t i = 0; i < l->v.len; i++)
        enabled |= l->v.v[i]->enable_oci;
    return enabled && !strstr(url, "://") && *url != '/';
}

static struct chart_need *find_need(const struct source_ctx *s, const char *url, const char *name,
                                    const char *target, const char *project)
{
    for (size_t i = 0; i < s->charts->charts.len; i++) {
        struct chart_need *n = s->charts->charts.v[i];
        if (!strcmp(n->url, url) && str_eq(n->name, name) && !strcmp(n->target, target) &&
            !strcmp(n->project, project) && n->pass_credentials == s->pass_credentials)
            return n;
    }
    return NULL;
}

static char *tell(const struct wanted *w)
{
    const struct chart_need *n =
        (const struct chart_need *)((const char *)w - offsetof(struct chart_need, need));
    return n->name ? str_printf("chart %s of %s", n->name, n->shown) : str_dup(n->shown);
}

static struct chart_need *need_of(struct source_ctx *s, const char *written, const char *url,
                                  const char *name, const char *target)
{
    const char *project = creds_scope(s->creds, url, s->project);
    struct chart_need *known = find_need(s, url, name, target, project);
    if (known)
        return known;
    struct chart_need *n = mem_alloc(sizeof(*n));
    n->c = s;
    n->url = str_dup(url);
    n->shown = url_redacted(url);
    n->written = str_dup(written);
    n->name = str_dup_or_null(name);
    n->target = str_dup(target);
    n->project = str_dup(project);
    n->is_oci = is_oci(s, url);
    n->pass_credentials = s->pass_credentials;
    n->memo = memo_path(s->o->cache_dir, url, name, target);
    n->need.start = start;
    n->need.tell = tell;
    *vec_push(&s->charts->charts) = n;
    return n;
}

bool chart_fetch(struct source_ctx *s, const char *repo_url, const char *name, const char *target,
                 struct chart *out, struct err *err)
{
    CLEANUP(str_freep) char *url = source_mirror_url(s->o, repo_url);
    const char *exact = fixed_chart(s, repo_url, name, target);
    struct chart_need *n = need_of(s, repo_url, url, name, exact);
    n->used_in = s->load;
    *out = (struct chart){0};
    if (!wanted_wait(&n->need, &s->waits, err))
        return false;
    *out = (struct chart){.file = str_dup(n->chart.file),
                          .dir = str_dup_or_null(n->chart.dir),
                          .version = str_dup(n->chart.version),
                          .digest = str_dup(n->chart.digest),
                          .manifest = str_dup_or_null(n->chart.manifest),
                          .is_helm = n->chart.is_helm};
    witness_chart(s, repo_url, name, target, out);
    return true;
}

struct index_tag *charts_tag(struct source_ctx *c, const char *url, const char *project)
{
    struct charts *all = c->charts;
    for (size_t i = 0; i < all->tags.len; i++)
        if (!strcmp(all->tags.v[i]->url, url) && !strcmp(all->tags.v[i]->project, project))
            return all->tags.v[i];
    struct index_tag *t = mem_alloc(sizeof(*t));
    t->url = str_dup(url);
    t->project = str_dup(project);
    return *vec_push(&all->tags) = t;
}

struct index *charts_index(struct source_ctx *c, const char *url, const char *project,
                           bool is_probe)
{
    struct charts *all = c->charts;
    for (size_t i = 0; i < all->indexes.len; i++)
        if (index_is_of(all->indexes.v[i], url, project, is_probe))
            return all->indexes.v[i];
    return *vec_push(&all->indexes) = index_new(c, url, project, is_probe);
}

static void on_url(void *ctx, struct http_response *r, struct err *err)
{
    struct url_need *n = ctx;
    n->http = NULL;
    if (!err_is_set(err)) {
        n->body = r->body;
        r->body = (struct buf){0};
    }
    wanted_settle(&n->need, err);
}

static void start_url(struct wanted *need)
{
    struct url_need *n = (struct url_need *)((char *)need - offsetof(struct url_need, need));
    struct http_request q = {.url = n->url, .project = n->project, .max_bytes = n->max};
    n->http = http_start(n->c->http, &q, on_url, n);
}

static char *tell_url(const struct wanted *n)
{
    return url_redacted(
        ((const struct url_need *)((const char *)n - offsetof(struct url_need, need)))->url);
}

bool url_fetch(struct source_ctx *s, const char *url, size_t max_bytes, struct buf *out,
               struct err *err)
{
    CLEANUP(str_freep) char *at = source_mirror_url(s->o, url);
    const char *project = creds_scope(s->creds, at, s->project);
    const char *file = local_file(at);
    struct url_need *n = NULL;
    witness_fleeting(s);
    if (file)
        return file_read(file, max_bytes, out, err);
    CLEANUP(str_freep) char *shown = url_redacted(at);
    if (s->o->offline)
        return err_set(err, ERR_NOT_FOUND, "%s: --offline forbids to ask", shown) ||
               err_hint(err, OFFLINE_HINT);
    for (size_t i = 0; !n && i < s->charts->urls.len; i++)
        if (!strcmp(s->charts->urls.v[i]->url, at) &&
            !strcmp(s->charts->urls.v[i]->project, project))
            n = s->charts->urls.v[i];
    if (!n) {
        n = mem_alloc(sizeof(*n));
        n->c = s;
        n->url = str_dup(at);
        n->written = str_dup(url);
        n->project = str_dup(project);
        n->max = max_bytes;
        n->need.start = start_url;
        n->need.tell = tell_url;
        *vec_push(&s->charts->urls) = n;
    }
    if (!wanted_wait(&n->need, &s->waits, err))
        return false;
    buf_append(out, n->body.p ? n->body.p : "", n->body.len);
    return true;
}

// ---- what was asked for ----
const struct chart_need *charts_at(const struct charts *c, size_t i)
{
    return i < c->charts.len ? c->charts.v[i] : NULL;
}

size_t charts_count(const struct charts *c)
{
    return c->charts.len;
}

const struct chart_need *charts_find(struct source_ctx *c, const char *written, const char *name,
                                     const char *target)
{
    CLEANUP(str_freep) char *url = source_mirror_url(c->o, written);
    return find_need(c, url, name, target, creds_scope(c->creds, url, c->project));
}

const struct buf *urls_at(const struct charts *c, size_t i, const char **written, struct err *err)
{
    if (i >= c->urls.len)
        return NULL;
    const struct url_need *n = c->urls.v[i];
    *written = n->written;
    if (err_is_set(&n->need.err))
        err_copy(err, &n->need.err);
    return &n->body;
}

// ---- life ----
struct charts *charts_new(void)
{
    return mem_alloc(sizeof(struct charts));
}

void chart_need_free(struct chart_need *n)
{
    http_cancel(n->http);
    oci_free(n->oci);
    if (n->chart.dir)
        dir_temp_cleanup(&n->chart.dir);
    chart_clear(&n->chart);
    wanted_clear(&n->need);
    err_clear(&n->err);
    buf_clear(&n->body);
    free(n->url);
    free(n->shown);
    free(n->written);
    free(n->name);
    free(n->target);
    free(n->project);
    free(n->memo);
    free(n->from);
    free(n);
}

static void url_need_free(struct url_need *n)
{
    http_cancel(n->http);
    wanted_clear(&n->need);
    buf_clear(&n->body);
    free(n->url);
    free(n->written);
    free(n->project);
    free(n);
}

static bool is_kept(const struct source_ctx *c, const struct chart_need *n, bool keep_known)
{
    if (keep_known && n->is_unread && n->need.is_settled)
        return true;
    bool is_here = n->need.is_settled && !err_is_set(&n->need.err);
    return is_here && n->used_in >= c->good && !n->is_stale &&
           (keep_known || semver_is_version(n->target));
}

bool charts_are_open(const struct charts *c)
{
    bool open = false;
    for (size_t i = 0; i < c->charts.len; i++)
        open |= wanted_is_open(&c->charts.v[i]->need);
    for (size_t i = 0; i < c->indexes.len; i++)
        open |= wanted_is_open(index_need(c->indexes.v[i]));
    for (size_t i = 0; i < c->urls.len; i++)
        open |= wanted_is_open(&c->urls.v[i]->need);
    return open;
}

// A parsed index may be large; who needs it again asks again.
void charts_drop_indexes(struct source_ctx *s)
{
    struct charts *c = s->charts;
    size_t kept = 0;
    for (size_t i = 0; i < c->charts.len; i++)
        if (!wanted_is_open(&c->charts.v[i]->need))
            c->charts.v[i]->index = NULL;
    for (size_t i = 0; i < c->indexes.len; i++) {
        if (wanted_is_open(index_need(c->indexes.v[i])))
            c->indexes.v[kept++] = c->indexes.v[i];
        else
            index_free(c->indexes.v[i]);
    }
    c->indexes.len = kept;
}

struct chart_need *chart_probe(struct source_ctx *s, const struct chart_need *of,
                               void (*done)(void *ctx, struct chart_need *n, bool is_same),
                               void *ctx)
{
    struct chart_need *n = mem_alloc(sizeof(*n));
    n->c = s;
    n->url = str_dup(of->url);
    n->shown = str_dup(of->shown);
    n->written = str_dup(of->written);
    n->name = str_dup_or_null(of->name);
    n->target = str_dup(of->target);
    n->project = str_dup(of->project);
    n->is_oci = of->is_oci;
    n->pass_credentials = of->pass_credentials;
    n->on_probe = done;
    n->probe_ctx = ctx;
    return n;
}

void chart_probe_begin(struct chart_need *n)
{
    if (n->is_oci)
        oci_begin(n);
    else
        helm_begin(n);
}

void charts_renew(struct source_ctx *s, bool keep_known)
{
    struct charts *c = s->charts;
    size_t kept = 0;
    for (size_t i = 0; i < c->charts.len; i++) {
        struct chart_need *n = c->charts.v[i];
        bool open = wanted_is_open(&n->need);
        if (!open && !is_kept(s, n, keep_known)) {
            chart_need_free(n);
            continue;
        }
        if (!open)
            n->index = NULL;
        c->charts.v[kept++] = n;
    }
    c->charts.len = kept;
    charts_drop_indexes(s);
    kept = 0;
    for (size_t i = 0; i < c->urls.len; i++) {
        if (wanted_is_open(&c->urls.v[i]->need))
            c->urls.v[kept++] = c->urls.v[i];
        else
            url_need_free(c->urls.v[i]);
    }
    c->urls.len = kept;
}

void charts_free(struct charts *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->charts.len; i++)
        chart_need_free(c->charts.v[i]);
    for (size_t i = 0; i < c->indexes.len; i++)
        index_free(c->indexes.v[i]);
    for (size_t i = 0; i < c->urls.len; i++)
        url_need_free(c->urls.v[i]);
    for (size_t i = 0; i < c->tags.len; i++) {
        free(c->tags.v[i]->url);
        free(c->tags.v[i]->project);
        free(c->tags.v[i]->etag);
        free(c->tags.v[i]->modified);
        free(c->tags.v[i]);
    }
    vec_clear(&c->tags);
    vec_clear(&c->charts);
    vec_clear(&c->indexes);
    vec_clear(&c->urls);
    free(c);
}

static bool reset_denied(struct wanted *n)
{
    if (!n->is_settled || n->err.kind != ERR_DENIED)
        return false;
    wanted_reset(n);
    return true;
}

bool charts_retry_denied(struct charts *c)
{
    bool any = false;
    for (size_t i = 0; i < c->indexes.len; i++)
        any |= reset_denied(index_need(c->indexes.v[i]));
    for (size_t i = 0; i < c->charts.len; i++)
        any |= reset_denied(&c->charts.v[i]->need);
    for (size_t i = 0; i < c->urls.len; i++)
        any |= reset_denied(&c->urls.v[i]->need);
    return any;
}
