// SPDX-License-Identifier: Apache-2.0
//
// How a commit comes: looked for in the cache (pool); if it is not there fetched at depth 1 into a
// nameless file (loop), indexed into the cache (pool), walked. The pack waits in a file because a
// slow server must not hold one of two threads; the cache is locked only while it is written.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/git.h"
#include "source/gitrepo.h"

#define MAX_HAVE 8
#define MAX_HAVE_BYTES (1U << 20)
#define LOCK_MS 60000 // whoever holds it only computes

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

// ---- what is there at depth 1, the newest last ----
static void read_have(struct gitcommit *c, git_repository *repo)
{
    CLEANUP(str_freep) char *path = path_join(c->g->dir, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv lines = {0};
    if (!file_exists(path) || !file_read(path, MAX_HAVE_BYTES, &b, &err)) {
        err_clear(&err);
        return;
    }
    strv_split(&lines, b.p, '\n');
    for (size_t i = lines.len > MAX_HAVE + 1 ? lines.len - MAX_HAVE - 1 : 0; i < lines.len; i++)
        if (strlen(lines.v[i]) == 40 && gitrepo_has(repo, lines.v[i]))
            strv_push(&c->have, lines.v[i]);
    strv_clear(&lines);
}

// Read again, since another commit may have been stored meanwhile.
static void write_have(struct gitcommit *c, git_repository *repo)
{
    CLEANUP(str_freep) char *path = path_join(c->g->dir, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    strv_clear(&c->have);
    read_have(c, repo);
    for (size_t i = 0; i < c->have.len; i++)
        if (strcmp(c->have.v[i], c->id) != 0)
            buf_printf(&b, "%s\n", c->have.v[i]);
    buf_printf(&b, "%s\n", c->id);
    if (!file_replace(path, b.p, b.len, 0600, &err))
        err_clear(&err); // the next fetch is larger than need be
}

// ---- look (pool) ----
static char *damage_mark(const struct gitcommit *c)
{
    return path_join(c->g->dir, "damaged");
}

static void look(void *ctx)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    git_repository *repo = NULL;
    if (g->dir) {
        CLEANUP(str_freep) char *mark = damage_mark(c);
        c->is_damaged |= file_exists(mark);
    }
    bool ok = gitsrc_open_repo(g, &repo, &c->err);
    if (ok && gitrepo_has(repo, c->id) && !c->is_damaged) {
        c->is_here = gitrepo_walk(repo, c->id, g, g->c->loop, &c->files, &c->err);
        // A hole in the cache: all of it is fetched again, once.
        if (!c->is_here && c->err.kind == ERR_CORRUPT && g->dir && !g->c->o->offline) {
            err_clear(&c->err);
            files_clear(&c->files);
            c->is_damaged = true;
        }
    } else if (ok && g->dir && !c->is_damaged) {
        read_have(c, repo);
    }
    git_repository_free(repo);
}

static void fetch(void *ctx);

static void looked(void *ctx, bool cancelled)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
    if (cancelled)
        err_set(&c->err, ERR_CANCELLED, "interrupted");
    if (err_is_set(&c->err))
        settle(c);
    else if (c->is_here)
        submodules_begin(c);
    else if (!g->dir || g->c->o->offline) {
        err_set(&c->err, ERR_NOT_FOUND, "commit %s of %s is not %s", c->id, g->url,
                g->dir ? "in the cache" : "there");
        settle(c);
    } else {
        wanted_then(&g->listed, fetch, c); // it tells what the server can do
    }
}

void gitcommit_start(struct wanted *n)
{
    struct gitcommit *c = of(n);
    files_clear(&c->files);
    c->is_here = c->is_damaged = c->was_retried = false;
    c->started_ms = clock_mono_ms();
    pool_submit(c->g->c->pool, look, looked, c);
}

// ---- fetch (loop) ----
static bool open_spool(struct gitcommit *c, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(c->g->dir, "incoming-XXXXXX");
    if (!dir_make(c->g->dir, 0700, err))
        return false;
    c->spool = mkostemp(path, O_CLOEXEC);
    int errnum = errno;
    if (c->spool < 0)
        return err_set_errno(err, errnum, "make %s", path);
    unlink(path); // nothing stays behind, however this ends
    return true;
}

static void store(void *ctx);
static void stored(void *ctx, bool cancelled);

static void on_fetched(void *ctx, struct err *err)
{
    struct gitcommit *c = ctx;
    c->call = NULL;
    if (!err_is_set(err)) {
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
    } else if (!open_spool(c, &c->err)) {
        settle(c);
    } else {
        c->call = gitnet_fetch(&g->remote, c->id, &c->have, c->spool, on_fetched, c);
    }
}

// ---- store (pool) ----
static bool lock_cache(struct gitcommit *c, int *fd, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(c->g->dir, "lock");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int errnum = errno;
    if (*fd < 0)
        return err_set_errno(err, errnum, "open %s", path);
    for (int64_t end = clock_mono_ms() + LOCK_MS; flock(*fd, LOCK_EX | LOCK_NB) != 0;) {
        if (loop_stopping(c->g->c->loop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        if (clock_mono_ms() > end)
            return err_set(err, ERR_CONFLICT, "another process holds %s", path);
        usleep(10000);
    }
    return true;
}

// A damaged cache makes room for a new one. Who still reads the old one keeps what it has open.
static bool drop_cache(struct gitcommit *c, const char *path, struct err *err)
{
    CLEANUP(str_freep) char *mark = damage_mark(c);
    CLEANUP(str_freep) char *old = str_printf("%s.damaged", path);
    if (!dir_remove(old, err))
        return false;
    if (rename(path, old) != 0 && errno != ENOENT) {
        int errnum = errno;
        return err_set_errno(err, errnum, "put %s aside", path);
    }
    return dir_remove(old, err) && dir_remove(mark, err);
}

static bool store_locked(struct gitcommit *c, struct err *err)
{
    struct gitsrc *g = c->g;
    git_repository *repo = NULL;
    CLEANUP(str_freep) char *path = gitsrc_objects(g);
    if (c->is_damaged && !drop_cache(c, path, err))
        return false;
    gitrepo_sweep(path);
    bool ok = gitrepo_open_cache(path, &repo, err);
    // Another process may have brought it meanwhile.
    ok = ok && (gitrepo_has(repo, c->id) || gitrepo_store(repo, c->spool, g->c->loop, err));
    // A pack of the same name that is damaged hides the one that came: that counts as damage.
    if (ok && !gitrepo_has(repo, c->id))
        ok = err_set(err, c->is_damaged ? ERR_NOT_FOUND : ERR_CORRUPT,
                     "%s: commit %s is not in what the server sent", g->url, c->id);
    ok = ok && gitrepo_walk(repo, c->id, g, g->c->loop, &c->files, err);
    if (ok)
        write_have(c, repo);
    git_repository_free(repo);
    return ok;
}

static void store(void *ctx)
{
    struct gitcommit *c = ctx;
    int lock CLEANUP(fd_closep) = -1;
    c->is_here = lock_cache(c, &lock, &c->err) && store_locked(c, &c->err);
}

static void stored(void *ctx, bool cancelled)
{
    struct gitcommit *c = ctx;
    struct gitsrc *g = c->g;
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
    if (c->is_damaged) { // it was opened before it was put aside
        git_repository_free(g->repo);
        g->repo = NULL;
    }
    CLEANUP(str_freep) char *shown = url_redacted(g->url);
    event_emit(g->c->o->events, "source.fetched", "{s:s, s:s, s:I}", "repo", shown, "commit", c->id,
               "ms", (json_int_t)(clock_mono_ms() - c->started_ms));
    submodules_begin(c);
}
