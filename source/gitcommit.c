// SPDX-License-Identifier: Apache-2.0
//
// How a commit comes: looked for in the cache (pool); if it is not there fetched at depth 1 into a
// nameless file (loop), indexed into the cache (pool), walked. The pack waits in a file because a
// slow server must not hold one of two threads; the cache is locked only while it is written.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/git.h"
#include "source/gitcache.h"
#include "source/gitrepo.h"

static struct gitcommit *of(struct wanted *n)
{
    return (struct gitcommit *)((char *)n - offsetof(struct gitcommit, need));
}

void gitcommit_free(struct gitcommit *c)
{
    gitnet_cancel(c->call);
    submodules_free(c);
    files_clear(&c->files);
    strv_clear(&c->have);
    wanted_clear(&c->need);
    err_clear(&c->err);
    fd_closep(&c->spool);
    free(c);
}

static void settle(struct gitcommit *c)
{
    fd_closep(&c->spool);
    strv_clear(&c->have);
    wanted_settle(&c->need, &c->err);
}

// ---- another commit, to take from what did not change ----
// Only while the pool walks. What is damaged is looked at in full.
static void borrow(struct gitcommit *c)
{
    struct gitsrc *g = c->g;
    for (size_t i = g->commits.len; i > 0 && !c->like && !c->is_damaged; i--) {
        struct gitcommit *x = g->commits.v[i - 1];
        if (x != c && x->need.is_settled && !err_is_set(&x->need.err) && x->is_here &&
            !x->files.mounts.len)
            c->like = x;
    }
    if (c->like)
        c->like->n_lent++;
}

static void give_back(struct gitcommit *c)
{
    if (c->like)
        c->like->n_lent--;
    c->like = NULL;
}

static const struct git_files *files_like(const struct gitcommit *c)
{
    return c->like && !c->is_damaged ? &c->like->files : NULL;
}

// ---- look (pool) ----
static void look(void *ctx)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    git_repository *repo = NULL;
    if (g->dir) {
        c->is_damaged |= gitcache_is_damaged(g);
        c->generation = gitcache_generation(g);
    }
    bool ok = gitsrc_open_repo(g, &repo, &c->err);
    if (ok && gitrepo_has(repo, c->id) && !c->is_damaged) {
        c->is_here = gitrepo_walk(repo, c->id, g, files_like(c), g->c->loop, &c->files, &c->err);
        // A hole in the cache: all of it is fetched again, once.
        if (!c->is_here && c->err.kind == ERR_CORRUPT && g->dir && !g->c->o->offline) {
            err_clear(&c->err);
            files_clear(&c->files);
            c->is_damaged = true;
        }
    } else if (ok && g->dir && !c->is_damaged && g->crowded != c) {
        gitcache_have(g, repo, &c->have);
    }
    git_repository_free(repo);
}

static void fetch(void *ctx);

static void looked(void *ctx, bool cancelled)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    give_back(c);
    if (cancelled)
        err_set(&c->err, ERR_CANCELLED, "interrupted");
    if (err_is_set(&c->err))
        settle(c);
    else if (c->is_here)
        submodules_begin(c);
    else if (!g->dir || g->c->o->offline) {
        err_set(&c->err, ERR_NOT_FOUND, "commit %s of %s is not %s", c->id, g->shown,
                g->dir ? "in the cache" : "there");
        settle(c);
    } else {
        wanted_then(&g->listed, fetch, c); // it tells what the server can do
    }
}

static void begin(void *ctx)
{
    struct gitcommit *c = ctx;
    borrow(c);
    pool_submit(c->g->c->pool, look, looked, c);
}

void gitcommit_start(struct wanted *n)
{
    struct gitcommit *c = of(n);
    struct gitsrc *g = c->g;
    bool is_first = g->use_fd < 0;
    files_clear(&c->files);
    c->is_here = c->is_damaged = c->was_retried = false;
    c->started_ms = clock_mono_ms();
    gitcache_use(g);
    // A crowded cache is made anew by the first commit, if that has to be fetched; what others
    // find in it must not go away under them, so they come after it.
    if (is_first && g->dir && !g->c->o->offline && gitcache_is_crowded(g))
        g->crowded = c;
    // (One mounted in it comes after it anyway, and must not wait for what waits for it.)
    if (g->crowded && g->crowded != c && !c->depth)
        wanted_then(&g->crowded->need, begin, c);
    else
        begin(c);
}

// ---- fetch (loop) ----
static void store(void *ctx);
static void stored(void *ctx, bool cancelled);

static void on_fetched(void *ctx, struct err *err)
{
    struct gitcommit *c = ctx;
    c->call = NULL;
    if (!err_is_set(err)) {
        borrow(c);
        pool_submit(c->g->c->pool, store, stored, c);
        return;
    }
    if (err->kind == ERR_UNAVAILABLE && !c->was_retried) { // the connection broke: once more
        c->was_retried = true;
        fd_closep(&c->spool);
        fetch(c);
        return;
    }
    err_move(&c->err, err);
    err_wrap(&c->err, "fetch");
    settle(c);
}

static void fetch(void *ctx)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    if (err_is_set(&g->listed.err)) {
        err_copy(&c->err, &g->listed.err);
        settle(c);
    } else if (!gitcache_spool(g, &c->spool, &c->err)) {
        settle(c);
    } else {
        c->call = gitnet_fetch(&g->remote, c->id, &c->have, c->spool, on_fetched, c);
    }
}

// ---- store (pool) ----
static bool store_locked(struct gitcommit *c, struct err *err)
{
    struct gitsrc *g = c->g;
    git_repository *repo = NULL;
    CLEANUP(str_freep) char *path = gitsrc_objects(g);
    bool only_crowded = g->crowded == c && !c->is_damaged;
    if ((c->is_damaged || only_crowded) && !gitcache_drop(g, c->generation, only_crowded, err))
        return false;
    gitrepo_sweep(path);
    bool ok = gitrepo_open_cache(path, &repo, err);
    // Another process may have brought it meanwhile.
    ok = ok && (gitrepo_has(repo, c->id) || gitrepo_store(repo, c->spool, g->c->loop, err));
    // A pack of the same name that is damaged hides the one that came: that counts as damage.
    if (ok && !gitrepo_has(repo, c->id))
        ok = err_set(err, c->is_damaged ? ERR_NOT_FOUND : ERR_CORRUPT,
                     "%s: commit %s is not in what the server sent", g->shown, c->id);
    ok = ok && gitrepo_walk(repo, c->id, g, files_like(c), g->c->loop, &c->files, err);
    if (ok)
        gitcache_note(g, repo, c->id);
    git_repository_free(repo);
    return ok;
}

static void store(void *ctx)
{
    struct gitcommit *c = ctx;
    int lock CLEANUP(fd_closep) = -1;
    c->is_here = gitcache_lock(c->g, &lock, &c->err) && store_locked(c, &c->err);
}

static void stored(void *ctx, bool cancelled)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    give_back(c);
    if (cancelled)
        err_set(&c->err, ERR_CANCELLED, "interrupted");
    // Deltas against what is not there after all, or bytes lost on the way: all of it, once.
    if (c->err.kind == ERR_CORRUPT && !c->was_retried) {
        err_clear(&c->err);
        files_clear(&c->files);
        strv_clear(&c->have);
        fd_closep(&c->spool);
        c->was_retried = c->is_damaged = true;
        fetch(c);
        return;
    }
    if (!c->is_here || err_is_set(&c->err)) {
        settle(c);
        return;
    }
    if (c->is_damaged || g->crowded == c) { // it was opened before it was put aside
        git_repository_free(g->repo);
        g->repo = NULL;
    }
    event_emit(g->c->o->events, "source.fetched", "{s:s, s:s, s:I}", "repo", g->shown, "commit",
               c->id, "ms", (json_int_t)(clock_mono_ms() - c->started_ms));
    submodules_begin(c);
}
