// SPDX-License-Identifier: Apache-2.0
//
// Whole repositories for snapshots: list (loop) -> look what is missing (pool) -> fetch (loop) ->
// store, write refs, choose packs (pool). The cache beside that of single commits is closed: what
// one of its refs names is there with all that leads to it. Local repositories are read in place.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/gitcache.h"
#include "source/gitrepo.h"
#include "source/load.h"

#define MAX_HAVE 256

struct shared {
    struct source *s;
    const struct source_repos_opts *o;
    pthread_mutex_t lock; // around is_known
    size_t open;          // repositories on their way
};

struct whole {
    struct shared *all;
    struct gitsrc *g;
    struct source_repo *out;
    struct gitremote remote;
    struct gitcall *call;
    struct strv want, have;
    int spool;
    char *increment;
    bool was_retried;
    int64_t started_ms;
    struct err err;
};

static void look(void *ctx);
static void looked(void *ctx, bool cancelled);

static void end(struct whole *w)
{
    fd_closep(&w->spool);
    if (err_is_set(&w->err))
        err_move(&w->out->problem, &w->err);
    w->all->open--;
}

// ---- pool ----
static bool is_known(void *ctx, const char *id)
{
    const struct whole *w = ctx;
    struct shared *all = w->all;
    pthread_mutex_lock(&all->lock);
    bool known = all->o->is_known && all->o->is_known(all->o->ctx, id);
    pthread_mutex_unlock(&all->lock);
    return known;
}

static char *full_path(const struct gitsrc *g)
{
    return path_join(g->dir, "full");
}

static bool choose_packs(struct whole *w, git_repository *repo)
{
    struct gitpack_opts o = {
        .is_known = is_known, .ctx = w, .increment = w->increment, .stop = w->all->s->loop};
    strv_clear(&w->out->packs);
    return gitrepo_packs(repo, &w->out->refs, &o, &w->out->packs, &w->err);
}

static int by_ref(const void *a, const void *b)
{
    return strcmp(((const struct git_ref *)a)->name, ((const struct git_ref *)b)->name);
}

// What a ref may be called so that a file of names can hold it.
static bool is_plain_name(const char *name)
{
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    return str_starts(name, "refs/");
}

// Sorted; HEAD is told apart; a name that JSON cannot hold is left out, and named.
static void settle_refs(struct source_repo *r)
{
    struct git_refs all = r->refs;
    r->refs = (struct git_refs){0};
    for (size_t i = 0; i < all.refs.len; i++) {
        struct git_ref *x = &all.refs.v[i];
        json_t *text = json_string(x->name);
        if (!strcmp(x->name, "HEAD")) {
            str_set(&r->head, x->symref);
        } else if (!text || !is_plain_name(x->name) || strlen(x->id) != 40) {
            strv_push_take(&r->unnamed, text ? str_dup(x->name) : str_dup("(not UTF-8)"));
        } else {
            *vec_push(&r->refs.refs) = *x;
            *x = (struct git_ref){0};
        }
        json_decref(text);
    }
    git_refs_clear(&all);
    if (r->refs.refs.len)
        qsort(r->refs.refs.v, r->refs.refs.len, sizeof(*r->refs.refs.v), by_ref);
}

static void read_local(struct whole *w)
{
    git_repository *repo = NULL;
    CLEANUP(str_freep) char *path = w->g->dir ? full_path(w->g) : NULL;
    bool ok =
        path ? gitrepo_open_cache(path, &repo, &w->err) : gitsrc_open_repo(w->g, &repo, &w->err);
    ok = ok && gitrepo_refs_whole(repo, &w->out->refs, &w->out->head, &w->err);
    if (ok && path && !w->out->refs.refs.len)
        ok = err_set(&w->err, ERR_NOT_FOUND,
                     "its history is not in the cache, and --offline forbids to ask") ||
             err_hint(&w->err, OFFLINE_HINT);
    if (ok) {
        CLEANUP(str_freep) char *head = TAKE(w->out->head); // settling looks for HEAD in the list
        settle_refs(w->out);
        w->out->head = TAKE(head);
        ok = choose_packs(w, repo);
    }
    git_repository_free(repo);
}

static void look(void *ctx)
{
    struct whole *w = ctx;
    git_repository *repo = NULL;
    if (!w->g->dir || w->all->s->o.offline) {
        read_local(w);
        return;
    }
    CLEANUP(str_freep) char *path = full_path(w->g);
    struct git_refs old = {0};
    CLEANUP(str_freep) char *head = NULL;
    bool ok =
        gitrepo_open_cache(path, &repo, &w->err) && gitrepo_refs_whole(repo, &old, &head, &w->err);
    if (ok) {
        struct strv holes = {0};
        gitrepo_missing(repo, &w->out->refs, &w->want);
        gitrepo_missing(repo, &old, &holes);
        // A cache with holes says that it has nothing.
        for (size_t i = 0; !holes.len && i < old.refs.len && w->have.len < MAX_HAVE; i++)
            if (!strv_has(&w->have, old.refs.v[i].id))
                strv_push(&w->have, old.refs.v[i].id);
        strv_clear(&holes);
    }
    git_refs_clear(&old);
    git_repository_free(repo);
}

// As Git itself keeps them, so that the cache is a repository like any other.
static bool write_refs(const char *path, const struct source_repo *r, struct err *err)
{
    CLEANUP(str_freep) char *packed = path_join(path, "packed-refs");
    CLEANUP(str_freep) char *head = path_join(path, "HEAD");
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep)
    char *text = str_printf("ref: %s\n", r->head ? r->head : "refs/heads/main");
    buf_str(&b, "# pack-refs with: sorted \n");
    for (size_t i = 0; i < r->refs.refs.len; i++)
        buf_printf(&b, "%s %s\n", r->refs.refs.v[i].id, r->refs.refs.v[i].name);
    return file_keep(packed, b.p, b.len, 0600, err) &&
           file_keep(head, text, strlen(text), 0600, err);
}

static bool store_locked(struct whole *w, const char *path)
{
    git_repository *repo = NULL;
    struct strv left = {0};
    gitrepo_sweep(path);
    bool ok = gitrepo_open_cache(path, &repo, &w->err) &&
              (!w->want.len || gitrepo_store(repo, w->spool, w->all->s->loop, &w->err));
    if (ok)
        gitrepo_missing(repo, &w->out->refs, &left);
    if (ok && left.len)
        ok = err_set(&w->err, ERR_CORRUPT, "object %s is not in what the server sent", left.v[0]);
    ok = ok && write_refs(path, w->out, &w->err) && choose_packs(w, repo);
    strv_clear(&left);
    git_repository_free(repo);
    return ok;
}

static void store(void *ctx)
{
    struct whole *w = ctx;
    int lock CLEANUP(fd_closep) = -1;
    CLEANUP(str_freep) char *path = full_path(w->g);
    if (!gitcache_lock(w->g, &lock, &w->err) || store_locked(w, path) ||
        w->err.kind != ERR_CORRUPT || w->was_retried)
        return;
    // A hole in the cache: all of it is fetched again, once.
    struct err bad = {0};
    if (!dir_remove(path, &bad))
        err_clear(&bad);
}

// ---- loop ----
static void stored(void *ctx, bool cancelled)
{
    struct whole *w = ctx;
    if (cancelled && !err_is_set(&w->err))
        err_set(&w->err, ERR_CANCELLED, "interrupted");
    if (w->err.kind == ERR_CORRUPT && !w->was_retried) {
        w->was_retried = true;
        err_clear(&w->err);
        strv_clear(&w->want);
        strv_clear(&w->have);
        fd_closep(&w->spool);
        pool_submit(w->all->s->ctx.pool, look, looked, w);
        return;
    }
    if (!err_is_set(&w->err))
        event_emit(w->all->s->o.events, "source.history", "{s:s, s:I, s:I, s:I}", "repo",
                   w->g->shown, "refs", (json_int_t)w->out->refs.refs.len, "fetched",
                   (json_int_t)w->want.len, "ms", (json_int_t)(clock_mono_ms() - w->started_ms));
    end(w);
}

static void on_fetched(void *ctx, struct err *err)
{
    struct whole *w = ctx;
    w->call = NULL;
    if (err_is_set(err)) {
        err_move(&w->err, err);
        end(w);
        return;
    }
    pool_submit(w->all->s->ctx.pool, store, stored, w);
}

static void looked(void *ctx, bool cancelled)
{
    struct whole *w = ctx;
    if (cancelled && !err_is_set(&w->err))
        err_set(&w->err, ERR_CANCELLED, "interrupted");
    bool is_over = err_is_set(&w->err) || !w->g->dir || w->all->s->o.offline;
    if (!is_over && w->want.len && !gitcache_spool(w->g, &w->spool, &w->err))
        is_over = true;
    if (is_over)
        end(w);
    else if (w->want.len)
        w->call = gitnet_fetch_whole(&w->remote, &w->want, &w->have, w->spool, on_fetched, w);
    else
        pool_submit(w->all->s->ctx.pool, store, stored, w);
}

static void on_listed(void *ctx, struct err *err)
{
    struct whole *w = ctx;
    w->call = NULL;
    if (err_is_set(err)) {
        err_move(&w->err, err);
        end(w);
        return;
    }
    settle_refs(w->out);
    pool_submit(w->all->s->ctx.pool, look, looked, w);
}

static void begin(struct whole *w)
{
    const struct gitsrc *g = w->g;
    w->started_ms = clock_mono_ms();
    w->remote = (struct gitremote){
        .c = g->c, .url = g->url, .shown = g->shown, .project = g->project, .is_whole = true};
    w->all->open++;
    if (err_is_set(&g->listed.err)) {
        err_copy(&w->err, &g->listed.err); // it has been asked, and asked again
        end(w);
    } else if (!g->dir || w->all->s->o.offline) {
        pool_submit(w->all->s->ctx.pool, look, looked, w);
    } else {
        w->call = gitnet_list(&w->remote, &w->out->refs, on_listed, w);
    }
}

// ---- all of them ----
static bool is_among(const struct source_repos *out, const char *normal)
{
    for (size_t i = 0; i < out->v.len; i++) {
        CLEANUP(str_freep) char *other = repo_url_normal(out->v.v[i].url);
        if (!strcmp(other, normal))
            return true;
    }
    return false;
}

static int by_url(const void *a, const void *b)
{
    return strcmp(((const struct source_repo *)a)->url, ((const struct source_repo *)b)->url);
}

// One entry for each repository, whatever projects asked for it: whoever could read it.
static void choose(struct source *s, struct source_repos *out, struct gitsrc **who)
{
    for (int denied = 0; denied < 2; denied++) {
        for (size_t i = 0; i < s->ctx.repos.len; i++) {
            struct gitsrc *g = s->ctx.repos.v[i];
            CLEANUP(str_freep) char *url = url_redacted(g->written);
            CLEANUP(str_freep) char *normal = repo_url_normal(url);
            if (err_is_set(&g->listed.err) != (denied != 0) || is_among(out, normal))
                continue;
            who[out->v.len] = g;
            vec_push(&out->v)->url = TAKE(url);
        }
    }
}

static void repo_clear(struct source_repo *x)
{
    free(x->url);
    free(x->head);
    git_refs_clear(&x->refs);
    strv_clear(&x->packs);
    strv_clear(&x->unnamed);
    err_clear(&x->problem);
}

bool source_history(struct source *s, const char *url, const struct source_repos_opts *o,
                    struct source_repos *out, struct err *err)
{
    (void)gitsrc_of(&s->ctx, url, NULL); // it is asked for: so it is one of all of them
    if (!source_repos(s, o, out, err))
        return false;
    CLEANUP(str_freep) char *shown = url_redacted(url);
    CLEANUP(str_freep) char *normal = repo_url_normal(shown);
    size_t kept = 0;
    for (size_t i = 0; i < out->v.len; i++) {
        struct source_repo *r = &out->v.v[i];
        CLEANUP(str_freep) char *other = repo_url_normal(r->url);
        if (!strcmp(other, normal)) {
            struct source_repo moved = *r;
            *r = out->v.v[kept];
            out->v.v[kept++] = moved;
        }
    }
    for (size_t i = kept; i < out->v.len; i++)
        repo_clear(&out->v.v[i]);
    out->v.len = kept;
    return true;
}

static void whole_clear(struct whole *w)
{
    gitnet_cancel(w->call);
    gitremote_clear(&w->remote);
    strv_clear(&w->want);
    strv_clear(&w->have);
    fd_closep(&w->spool);
    free(w->increment);
    err_clear(&w->err);
}

bool source_repos(struct source *s, const struct source_repos_opts *o, struct source_repos *out,
                  struct err *err)
{
    struct shared all = {.s = s, .o = o};
    size_t n = s->ctx.repos.len;
    struct gitsrc **who = mem_alloc((n + 1) * sizeof(struct gitsrc *));
    struct whole *w = mem_alloc((n + 1) * sizeof(*w));
    pthread_mutex_init(&all.lock, NULL);
    choose(s, out, who);
    n = out->v.len;
    for (size_t i = 0; i < n; i++) {
        w[i] = (struct whole){.all = &all, .g = who[i], .out = &out->v.v[i], .spool = -1};
        w[i].increment = str_printf("%s/new-%zu.pack", o->dir, i);
        begin(&w[i]);
    }
    while (all.open && !loop_stopping(s->loop))
        loop_run_once(s->loop, 200);
    bool ok = !loop_stopping(s->loop) || loop_stopped(s->loop, err, "reading repositories");
    // What is on the network is dropped; what computes is waited for, since it writes to us.
    for (size_t i = 0; i < n && all.open; i++) {
        if (!w[i].call)
            continue;
        gitnet_cancel(w[i].call);
        w[i].call = NULL;
        all.open--;
    }
    while (all.open)
        loop_run_once(s->loop, 50);
    for (size_t i = 0; i < n; i++)
        whole_clear(&w[i]);
    pthread_mutex_destroy(&all.lock);
    free(w);
    free(who);
    if (n)
        qsort(out->v.v, n, sizeof(*out->v.v), by_url);
    return ok;
}

void source_repos_clear(struct source_repos *r)
{
    for (size_t i = 0; i < r->v.len; i++)
        repo_clear(&r->v.v[i]);
    vec_clear(&r->v);
}
