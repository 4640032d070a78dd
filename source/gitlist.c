// SPDX-License-Identifier: Apache-2.0
//
// The refs of a repository: asked of its server once per run, or read in place; and kept for
// --offline.
#include <stdlib.h>

#include "base/file.h"
#include "source/git.h"
#include "source/gitrepo.h"

#define MAX_KEPT_LIST (64U << 20)

// The list of the last run, for --offline.
static char *list_path(const struct gitsrc *g)
{
    return path_join(g->dir, "refs");
}

static void keep_list(void *ctx)
{
    const struct gitsrc *g = ctx;
    CLEANUP(str_freep) char *path = list_path(g);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    for (size_t i = 0; i < g->refs.refs.len; i++) {
        const struct git_ref *r = &g->refs.refs.v[i];
        buf_printf(&b, "%s\t%s\t%s\n", r->id, r->name, r->symref ? r->symref : "");
    }
    if (!dir_make(g->dir, 0700, &err) || !file_replace(path, b.p ? b.p : "", b.len, 0600, &err))
        err_clear(&err); // only --offline would have needed it
}

static void list_kept(void *ctx, bool cancelled)
{
    (void)ctx;
    (void)cancelled;
}

static bool offline_refs(struct gitsrc *g, struct err *err)
{
    CLEANUP(str_freep) char *path = list_path(g);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file_read(path, MAX_KEPT_LIST, &b, err)) {
        err_clear(err);
        return err_set(err, ERR_NOT_FOUND, "%s is not in the cache, and --offline forbids to ask",
                       g->shown);
    }
    struct strv lines = {0};
    strv_split(&lines, b.p, '\n');
    for (size_t i = 0; i < lines.len; i++) {
        struct strv f = {0};
        strv_split(&f, lines.v[i], '\t');
        if (f.len == 3)
            *vec_push(&g->refs.refs) = (struct git_ref){str_dup(f.v[1]), str_dup(f.v[0]),
                                                        *f.v[2] ? str_dup(f.v[2]) : NULL};
        strv_clear(&f);
    }
    strv_clear(&lines);
    return true;
}

static bool local_refs(struct gitsrc *g, struct err *err)
{
    git_repository *repo = NULL;
    bool ok = gitsrc_open_repo(g, &repo, err) && gitrepo_refs(repo, &g->refs, err);
    git_repository_free(repo);
    return ok;
}

static void read_list(void *ctx)
{
    struct gitsrc *g = ctx;
    bool ok = g->dir ? offline_refs(g, &g->err) : local_refs(g, &g->err);
    (void)ok; // the error says it
}

static void list_read(void *ctx, bool cancelled)
{
    struct gitsrc *g = ctx;
    if (cancelled)
        err_set(&g->err, ERR_CANCELLED, "interrupted");
    wanted_settle(&g->listed, &g->err);
}

static void on_listed(void *ctx, struct err *err)
{
    struct gitsrc *g = ctx;
    struct err e = {0};
    g->call = NULL;
    if (err_is_set(err)) {
        err_move(&e, err);
    } else {
        pool_submit(g->c->pool, keep_list, list_kept, g);
    }
    wanted_settle(&g->listed, &e);
}

void gitlist_start(struct wanted *n)
{
    struct gitsrc *g = (struct gitsrc *)((char *)n - offsetof(struct gitsrc, listed));
    git_refs_clear(&g->refs);
    if (!g->dir || g->c->o->offline)
        pool_submit(g->c->pool, read_list, list_read, g);
    else
        g->call = gitnet_list(&g->remote, &g->refs, on_listed, g);
}
