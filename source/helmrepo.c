// SPDX-License-Identifier: Apache-2.0
//
// Helm repositories: an index.yaml that lists versions and says where their archives are.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/chart_int.h"

#define MAX_INDEX_BYTES (128U << 20)

struct index {
    struct wanted need;
    struct source_ctx *c;
    char *url, *project;
    char *at;    // of index.yaml
    char *shown; // the same, fit for printing
    struct exchange *http;
    struct buf text;
    json_t *doc;
    struct err err;
    bool is_probe, is_same;
};

void index_free(struct index *x)
{
    http_cancel(x->http);
    wanted_clear(&x->need);
    err_clear(&x->err);
    buf_clear(&x->text);
    json_decref(x->doc);
    free(x->url);
    free(x->project);
    free(x->at);
    free(x->shown);
    free(x);
}

struct wanted *index_need(struct index *x)
{
    return &x->need;
}

bool index_is_of(const struct index *x, const char *url, const char *project, bool is_probe)
{
    return !strcmp(x->url, url) && !strcmp(x->project, project) && x->is_probe == is_probe;
}

bool index_is_same(const struct index *x)
{
    return x->is_same;
}

const json_t *index_doc(const struct index *x)
{
    return x->doc;
}

// In the pool: the large ones take seconds to parse.
static void parse(void *ctx)
{
    struct index *x = ctx;
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = x->shown, .warn_only = true, .max_bytes = MAX_INDEX_BYTES};
    const char *file = local_file(x->at);
    if (file && !file_read(file, MAX_INDEX_BYTES, &x->text, &x->err))
        return;
    if (!yaml_read(x->text.p ? x->text.p : "", x->text.len, &o, &docs, &x->err))
        return;
    x->doc = docs.docs.len ? json_incref(docs.docs.v[0].value) : json_object();
    yaml_docs_clear(&docs);
}

static void parsed(void *ctx, bool cancelled)
{
    struct index *x = ctx;
    buf_clear(&x->text);
    if (cancelled)
        err_set(&x->err, ERR_CANCELLED, "interrupted");
    wanted_settle(&x->need, &x->err);
}

static void on_text(void *ctx, struct http_response *r, struct err *err)
{
    struct index *x = ctx;
    x->http = NULL;
    if (err_is_set(err)) {
        err_move(&x->err, err);
        wanted_settle(&x->need, &x->err);
        return;
    }
    x->is_same = r->status == 304;
    if (x->is_same) {
        wanted_settle(&x->need, &x->err);
        return;
    }
    if (!x->is_probe) { // what a poll finds is not what was read
        struct index_tag *tag = charts_tag(x->c, x->url, x->project);
        str_set(&tag->etag, r->etag);
        str_set(&tag->modified, r->modified);
    }
    x->text = r->body;
    r->body = (struct buf){0};
    pool_submit(x->c->pool, parse, parsed, x);
}

static void start(struct wanted *n)
{
    struct index *x = (struct index *)((char *)n - offsetof(struct index, need));
    if (local_file(x->at)) {
        pool_submit(x->c->pool, parse, parsed, x);
        return;
    }
    const struct index_tag *tag = charts_tag(x->c, x->url, x->project);
    CLEANUP(str_freep) char *match = NULL;
    CLEANUP(str_freep) char *since = NULL;
    if (x->is_probe && tag->etag)
        match = str_printf("If-None-Match: %s", tag->etag);
    if (x->is_probe && tag->modified)
        since = str_printf("If-Modified-Since: %s", tag->modified);
    const char *headers[] = {match ? match : since, match ? since : NULL, NULL};
    struct http_request q = {.url = x->at,
                             .headers = headers,
                             .cred_url = x->url,
                             .project = x->project,
                             .max_bytes = MAX_INDEX_BYTES,
                             .may_be_same = x->is_probe};
    x->http = http_start(x->c->http, &q, on_text, x);
}

static char *tell(const struct wanted *n)
{
    return str_dup(((const struct index *)((const char *)n - offsetof(struct index, need)))->shown);
}

struct index *index_new(struct source_ctx *c, const char *url, const char *project, bool is_probe)
{
    struct index *x = mem_alloc(sizeof(*x));
    x->c = c;
    x->url = str_dup(url);
    x->project = str_dup(project);
    x->at = str_printf("%s%sindex.yaml", url, str_ends(url, "/") ? "" : "/");
    x->shown = url_redacted(x->at);
    x->need.start = start;
    x->need.tell = tell;
    x->is_probe = is_probe;
    return x;
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

static bool find(struct chart_need *n, struct err *err)
{
    const json_t *entries =
        json_object_get(json_object_get(index_doc(n->index), "entries"), n->name);
    if (!entries)
        return err_set(err, ERR_NOT_FOUND, "chart \"%s\" is not in %s", n->name, n->shown);
    const json_t *e = pick(entries, n->target, err);
    if (!e)
        return err_wrap(err, "chart %s", n->name);
    const char *file = json_string_value(json_array_get(json_object_get(e, "urls"), 0));
    const char *digest = json_dot_str(e, "digest");
    if (!file)
        return err_set(err, ERR_INVALID, "%s: chart %s has no download URL", n->shown, n->name);
    str_set(&n->chart.version, json_dot_str(e, "version"));
    if (digest)
        str_set(&n->chart.digest, str_starts(digest, "sha256:") ? digest + 7 : digest);
    n->chart.is_helm = true;
    CLEANUP(str_freep)
    char *joined = strstr(file, "://")
                       ? str_dup(file)
                       : str_printf("%s%s%s", n->url, str_ends(n->url, "/") ? "" : "/", file);
    // An index from elsewhere names no files of this machine.
    if (local_file(joined) && !local_file(n->url))
        return err_set(err, ERR_INVALID, "%s: chart %s lies at a path of this machine", n->shown,
                       n->name);
    free(n->from);
    n->from = source_mirror_url(n->c->o, joined);
    return true;
}

static void on_index(void *ctx)
{
    struct chart_need *n = ctx;
    const struct wanted *x = index_need(n->index);
    if (err_is_set(&x->err))
        err_copy(&n->err, &x->err);
    if (!err_is_set(&n->err) && index_is_same(n->index)) {
        n->on_probe(n->probe_ctx, n, true);
        return;
    }
    if (err_is_set(&n->err) || !find(n, &n->err))
        chart_settle(n);
    else
        chart_found(n);
}

void helm_begin(struct chart_need *n)
{
    n->index = charts_index(n->c, n->url, n->project, n->on_probe != NULL);
    wanted_then(index_need(n->index), on_index, n);
}
