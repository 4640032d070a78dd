// SPDX-License-Identifier: Apache-2.0
//
// What a run has fetched, as a snapshot keeps it: of each application source what was asked for,
// what came, and where it lies; and what came besides.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/chart_int.h"
#include "source/load.h"
#include "source/remotes.h"

void source_item_clear(struct source_item *i)
{
    free(i->url);
    free(i->chart);
    free(i->target);
    free(i->revision);
    free(i->digest);
    err_clear(&i->problem);
    for (size_t k = 0; k < i->files.len; k++) {
        free(i->files.v[k].path);
        free(i->files.v[k].from);
        free(i->files.v[k].sha256);
    }
    vec_clear(&i->files);
    *i = (struct source_item){0};
}

const char *source_root_path(const struct source *s)
{
    return s->root.path ? s->root.path : "";
}

static void name(struct source_item *i, const char *kind, const char *url, const char *chart,
                 const char *target)
{
    i->kind = kind;
    i->url = url_redacted(url);
    i->chart = str_dup(chart ? chart : "");
    i->target = str_dup(target ? target : "");
}

// ---- a folder ----
struct taking {
    const struct tree *t;
    struct source_item *out;
};

static void take_file(void *ctx, const char *path, const struct folder_file *file)
{
    const struct taking *x = ctx;
    struct source_file *f = vec_push(&x->out->files);
    f->path = str_dup(path);
    f->from = path_join(x->t->disk->dir, file->path);
    f->sha256 = hex_encode(file->sum.b, sizeof(file->sum.b));
    f->is_executable = file->is_executable;
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const struct source_file *)a)->path, ((const struct source_file *)b)->path);
}

static void take_folder(struct source *s, struct tree *t, struct source_item *out)
{
    struct taking x = {t, out};
    CLEANUP(str_freep) char *id = NULL;
    name(out, "folder", s->root.origin ? s->root.origin : t->disk->dir, NULL, NULL);
    while (!tree_id(t, "", &id, &out->problem)) {
        if (!s->ctx.waits.v.len)
            return;
        err_clear(&out->problem);
        if (!source_wait(s, &out->problem))
            return;
    }
    if (folder_each(t->disk, take_file, &x, &out->problem) && out->files.len)
        qsort(out->files.v, out->files.len, sizeof(*out->files.v), by_file);
}

// ---- charts and artifacts ----
static void take_chart(const struct chart_need *n, struct source_item *out)
{
    const struct chart *c = &n->chart;
    name(out, n->is_oci ? "oci" : "helm", n->written, n->name, n->target);
    if (err_is_set(&n->need.err)) {
        err_copy(&out->problem, &n->need.err);
        return;
    }
    if (!c->file) {
        err_set(&out->problem, ERR_NOT_FOUND, "it was not fetched");
        return;
    }
    out->revision = str_dup(c->manifest ? c->manifest : c->version);
    out->digest = str_printf("sha256:%s", c->digest);
    struct source_file *f = vec_push(&out->files);
    f->path = c->is_helm
                  ? str_printf("%s-%s.tgz", n->name ? n->name : path_base(out->url), c->version)
                  : str_dup("layer.tar.gz");
    f->from = str_dup(c->file);
}

static void take_git(struct source *s, const struct app_source *src, struct source_item *out)
{
    struct tree *t = NULL;
    if (source_tree(s, src->repo_url, src->target_revision, src->tag_prefix, &t, &out->problem)) {
        if (t->git) {
            name(out, "git", src->repo_url, NULL, src->target_revision);
            out->revision = str_dup(t->commit);
        } else {
            take_folder(s, t, out);
        }
        return;
    }
    // Nothing is waited for any more: what has not come by now will not.
    if (s->ctx.waits.v.len) {
        vec_clear(&s->ctx.waits.v);
        err_clear(&out->problem);
        err_set(&out->problem, ERR_UNAVAILABLE, "it was not read");
    }
    name(out, "git", src->repo_url, NULL, src->target_revision);
}

static void take_root(struct source *s, const struct desired *d, struct source_item *out)
{
    if (s->root.dir) {
        take_folder(s, source_folder(s, s->root.dir, path_base(s->root.dir)), out);
        return;
    }
    name(out, "git", s->root.url, NULL, d->root_ref);
    out->revision = str_dup_or_null(d->root_commit);
}

void source_item_of(struct source *s, const struct desired *d, const struct application *a,
                    const struct app_source *src, struct source_item *out)
{
    s->ctx.project = a->doc ? a->project : NULL;
    if (!src) {
        take_root(s, d, out);
        return;
    }
    if (src->kind == APP_SOURCE_GIT) {
        take_git(s, src, out);
        return;
    }
    const struct chart_need *n =
        charts_find(&s->ctx, src->repo_url, src->chart, src->target_revision);
    if (n) {
        take_chart(n, out);
        return;
    }
    name(out, src->kind == APP_SOURCE_OCI ? "oci" : "helm", src->repo_url, src->chart,
         src->target_revision);
    err_set(&out->problem, ERR_UNAVAILABLE, "it was not fetched");
}

static void take_url(const struct buf *b, const char *url, struct source_item *out)
{
    name(out, "url", url, NULL, NULL);
    if (err_is_set(&out->problem))
        return;
    struct sha256 sum = sha256_of(b->p ? b->p : "", b->len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    out->digest = str_printf("sha256:%s", hex);
    struct source_file *f = vec_push(&out->files);
    f->path = str_dup("file");
    f->bytes = b->p ? b->p : "";
    f->len = b->len;
}

// Files among them are there by their URLs.
static bool take_remote(struct source *s, const char *text, struct source_item *out)
{
    struct remote r;
    remote_parse(text, &r);
    bool is_git = !r.is_file;
    if (is_git) {
        name(out, "git", r.url, NULL, r.ref);
        if (!remote_revision(s, &r, &out->revision, &out->problem) && !err_is_set(&out->problem))
            err_set(&out->problem, ERR_UNAVAILABLE, "it was not fetched");
    }
    remote_clear(&r);
    return is_git;
}

bool source_item_next(struct source *s, size_t *at, struct source_item *out)
{
    size_t charts = charts_count(s->ctx.charts);
    while (*at < s->ctx.remotes.len)
        if (take_remote(s, s->ctx.remotes.v[(*at)++], out))
            return true;
    size_t i = (*at)++ - s->ctx.remotes.len;
    const char *url = NULL;
    if (i < charts) {
        take_chart(charts_at(s->ctx.charts, i), out);
        return true;
    }
    const struct buf *b = urls_at(s->ctx.charts, i - charts, &url, &out->problem);
    if (b)
        take_url(b, url, out);
    return b != NULL;
}
