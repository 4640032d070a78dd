// SPDX-License-Identifier: Apache-2.0
//
// One source for many loads: between two of them everything that a run holds for known is asked
// anew or, after a poll, only what that found changed; and what nobody uses any more is let go, so
// that nothing grows. What is still coming is left alone.
#include <stdlib.h>

#include "base/file.h"
#include "source/gitcache.h"
#include "source/gotemplate.h"
#include "source/load.h"

// ---- a repository ----
static bool is_open(const struct gitsrc *g)
{
    bool open = wanted_is_open(&g->listed) || g->is_keeping;
    for (size_t i = 0; i < g->commits.len; i++)
        open |= wanted_is_open(&g->commits.v[i]->need);
    for (size_t i = 0; i < g->ones.len; i++)
        open |= wanted_is_open(&g->ones.v[i]->need);
    return open;
}

static void drop_commits(struct gitsrc *g, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->commits.len; i++) {
        struct gitcommit *c = g->commits.v[i];
        bool is_here = c->need.is_settled && !err_is_set(&c->need.err);
        bool used = c->used_in >= g->c->good;
        if (!wanted_is_open(&c->need) && !c->n_lent && (all || !is_here || !used)) {
            gitcommit_free(c);
            continue;
        }
        if (is_here)
            submodules_free(c); // their files are among its own by now
        g->commits.v[kept++] = c;
    }
    g->commits.len = kept;
}

static void drop_asks(struct gitsrc *g, bool keep_known)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->asks.len; i++) {
        struct gitask *a = &g->asks.v[i];
        if (a->used_in < g->c->good) {
            gitask_clear(a);
            continue;
        }
        a->is_current &= keep_known;
        g->asks.v[kept++] = *a;
    }
    g->asks.len = kept;
}

static void close_cache(struct gitsrc *g)
{
    git_repository_free(g->repo);
    g->repo = NULL;
    fd_closep(&g->use_fd);
}

void gitsrc_renew(struct gitsrc *g, bool keep_known)
{
    bool open = is_open(g);
    // Packs have gathered: the next commit that is fetched makes the cache anew, and what was found
    // in it is found again.
    bool is_crowded = g->dir && !open && !g->c->o->offline && gitcache_is_crowded(g);
    drop_asks(g, keep_known);
    drop_commits(g, is_crowded);
    if (!open)
        g->crowded = NULL;
    if (is_crowded)
        close_cache(g);
    if (!keep_known)
        err_clear(&g->unread);
    if (!keep_known || err_is_set(&g->listed.err))
        gitlist_renew(g);
    g->is_list_old = keep_known;
    if (open || g->commits.len || g->asks.len || g->is_mounted)
        return;
    close_cache(g); // nobody uses it any more
    gitlist_renew(g);
    git_refs_clear(&g->refs);
}

// ---- all of it ----
static bool is_tree_open(const struct tree *t)
{
    return wanted_is_open(&t->folder) || wanted_is_open(&t->hashed);
}

static void drop_trees(struct source *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->trees.len; i++) {
        if (is_tree_open(s->trees.v[i]))
            s->trees.v[kept++] = s->trees.v[i];
        else
            tree_free(s->trees.v[i]);
    }
    s->trees.len = kept;
}

static void take_now(struct source *s, const struct source_now *now)
{
    if (now->kube_version)
        s->o.kube_version = now->kube_version;
    if (now->known_kinds)
        s->o.known_kinds = now->known_kinds;
    if (now->argocd)
        s->o.argocd = now->argocd;
    if (now->clusters)
        s->given_clusters = now->clusters;
    s->now = *now;
}

static void begin_clusters(struct source *s)
{
    clusters_clear(&s->clusters);
    clusters_init(&s->clusters, s->given_clusters, s->o.argocd);
    s->o.clusters = s->clusters.known;
}

void source_renew(struct source *s, const struct source_now *now)
{
    static const struct source_now none;
    struct source_ctx *c = &s->ctx;
    if (!now)
        now = &none;
    take_now(s, now);
    s->has_polled &= !now->ask_all;
    c->load++;
    vec_clear(&c->waits.v);
    strv_clear(&c->remotes);
    drop_trees(s); // before the commits they are of
    hosts_renew(c->hosts);
    bool may_free = !charts_are_open(c->charts);
    for (size_t i = 0; i < c->repos.len; i++)
        may_free &= !is_open(c->repos.v[i]);
    bool gone = creds_renew(c->creds, now->argocd, may_free);
    for (size_t i = 0; i < c->repos.len; i++) {
        struct gitsrc *g = c->repos.v[i];
        // What its server was greeted with may be gone: it is greeted anew.
        gitsrc_renew(g, s->has_polled && !gone);
        if (gone)
            g->remote.cred = NULL;
    }
    charts_renew(c, s->has_polled);
    gotemplates_renew(c->templates);
    begin_clusters(s);
    s->has_polled = false;
}

void source_forget_desired(struct source *s)
{
    (void)creds_renew(s->ctx.creds, NULL, false);
    begin_clusters(s);
}
