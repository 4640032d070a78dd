// SPDX-License-Identifier: Apache-2.0
//
// The refs of a repository: asked of its server once per run, or read in place; and kept for
// --offline.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/git.h"
#include "source/gitrepo.h"

#define MAX_KEPT_LIST (64U << 20)

// The list of the last run, for --offline.
static char *list_path(const struct gitsrc *g)
{
    return path_join(g->dir, "refs");
}

static void write_list(void *ctx)
{
    const struct gitsrc *g = ctx;
    CLEANUP(str_freep) char *path = list_path(g);
    struct err err = {0};
    if (!dir_make(g->dir, 0700, &err) ||
        !file_keep(path, g->kept.p ? g->kept.p : "", g->kept.len, 0600, &err))
        err_clear(&err); // only --offline would have needed it
}

static void keep_list(struct gitsrc *g);

static void list_kept(void *ctx, bool cancelled)
{
    struct gitsrc *g = ctx;
    g->is_keeping = false;
    if (g->keep_again && !cancelled)
        keep_list(g);
}

// One writer at a time; the pool sees only the text, so that refs may be added meanwhile.
static void keep_list(struct gitsrc *g)
{
    g->keep_again = g->is_keeping;
    if (g->is_keeping)
        return;
    buf_reset(&g->kept);
    for (size_t i = 0; i < g->refs.refs.len; i++) {
        const struct git_ref *r = &g->refs.refs.v[i];
        buf_printf(&g->kept, "%s\t%s\t%s\n", r->id, r->name, r->symref ? r->symref : "");
    }
    g->is_keeping = true;
    pool_submit(g->c->pool, write_list, list_kept, g);
}

static bool offline_refs(struct gitsrc *g, struct err *err)
{
    CLEANUP(str_freep) char *path = list_path(g);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file_read(path, MAX_KEPT_LIST, &b, err)) {
        err_clear(err);
        err_set(err, ERR_NOT_FOUND, "%s is not in the cache, and --offline forbids to ask",
                g->shown);
        return err_hint(err, OFFLINE_HINT);
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
        keep_list(g);
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

// ---- refs that are neither branches nor tags ----
// Servers of protocol v2 are asked for these by name, each once; others have listed all they have.
static void on_one(void *ctx, struct err *err)
{
    struct gitref_one *x = ctx;
    struct gitsrc *g = x->g;
    struct err e = {0};
    x->call = NULL;
    err_move(&e, err);
    for (size_t i = 0; i < x->refs.refs.len; i++) {
        struct git_ref *r = &x->refs.refs.v[i];
        const char *end = r->name + strlen(r->name) - strlen(x->name);
        bool is_it = strlen(r->name) >= strlen(x->name) && !strcmp(end, x->name) &&
                     (end == r->name || !strncmp(r->name, "refs/", (size_t)(end - r->name)));
        if (err_is_set(&e) || !is_it)
            continue;
        *vec_push(&g->refs.refs) = *r;
        *r = (struct git_ref){0};
    }
    git_refs_clear(&x->refs);
    if (!err_is_set(&e))
        keep_list(g);
    wanted_settle(&x->need, &e);
}

static void start_one(struct wanted *n)
{
    struct gitref_one *x = (struct gitref_one *)((char *)n - offsetof(struct gitref_one, need));
    git_refs_clear(&x->refs);
    x->call = gitnet_list_one(&x->g->remote, x->name, &x->refs, on_one, x);
}

static char *tell_one(const struct wanted *n)
{
    const struct gitref_one *x =
        (const struct gitref_one *)((const char *)n - offsetof(struct gitref_one, need));
    return str_printf("ref %s of %s", x->name, x->g->shown);
}

static void one_free(struct gitref_one *x)
{
    gitnet_cancel(x->call);
    git_refs_clear(&x->refs);
    wanted_clear(&x->need);
    free(x->name);
    free(x);
}

bool gitlist_has_more(const struct gitsrc *g, const char *name)
{
    return g->dir && !g->c->o->offline && g->remote.greeting.is_v2 && g->remote.base &&
           revision_is_unlisted(name);
}

bool gitlist_one(struct gitsrc *g, const char *name, struct err *err)
{
    for (size_t i = 0; i < g->ones.len; i++)
        if (!strcmp(g->ones.v[i]->name, name))
            return wanted_wait(&g->ones.v[i]->need, &g->c->waits, err);
    struct gitref_one *x = mem_alloc(sizeof(*x));
    x->g = g;
    x->name = str_dup(name);
    x->need.start = start_one;
    x->need.tell = tell_one;
    *vec_push(&g->ones) = x;
    return wanted_wait(&x->need, &g->c->waits, err);
}

bool gitlist_retry_denied(struct gitsrc *g)
{
    bool any = false;
    for (size_t i = 0; i < g->ones.len; i++) {
        struct wanted *n = &g->ones.v[i]->need;
        if (!n->is_settled || n->err.kind != ERR_DENIED)
            continue;
        wanted_reset(n);
        any = true;
    }
    return any;
}

void gitlist_renew(struct gitsrc *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->ones.len; i++) {
        struct gitref_one *x = g->ones.v[i];
        if (x->need.is_started && !x->need.is_settled) {
            g->ones.v[kept++] = x;
            continue;
        }
        one_free(x);
    }
    g->ones.len = kept;
    if (g->listed.is_settled)
        wanted_reset(&g->listed);
    g->is_list_old = false;
}

void gitlist_free(struct gitsrc *g)
{
    gitnet_cancel(g->call);
    for (size_t i = 0; i < g->ones.len; i++)
        one_free(g->ones.v[i]);
    vec_clear(&g->ones);
    buf_clear(&g->kept);
    git_refs_clear(&g->refs);
}
