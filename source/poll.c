// SPDX-License-Identifier: Apache-2.0
//
// Has anything changed? Each source that the last load used is asked as little as tells it: a
// repository for the refs in use, a Helm repository whether its index is still the one that was
// read, a registry for the manifest of a tag that may move, a folder for sizes and times. All side
// by side, in the loop. What cannot be read, or is empty where something was, is unread: never
// changed to nothing.
#include <stdlib.h>
#include <string.h>

#include "source/chart_int.h"
#include "source/folder.h"
#include "source/gitrepo.h"
#include "source/load.h"
#include "source/ssh.h"

struct poll;
struct probe {
    struct poll *poll; // NULL: nobody waits for it any more
    struct source *s;
    struct gitsrc *g;
    struct git_refs refs;
    struct gitcall *call;
    bool is_whole; // all refs were asked for
    const struct chart_need *need;
    struct chart_need *asked;
    struct folder_stamp stamp;
    bool is_folder;
    bool is_pooled, is_over;
    struct err err;
};

struct poll {
    struct source *s;
    source_polled_fn fn;
    void *ctx;
    VEC(struct probe *) probes;
    size_t open;
    struct loop_timer *end;
    struct source_polled found;
};

void source_polled_clear(struct source_polled *p)
{
    for (size_t i = 0; i < p->v.len; i++) {
        free(p->v.v[i].url);
        free(p->v.v[i].chart);
        free(p->v.v[i].target);
        free(p->v.v[i].from);
        free(p->v.v[i].to);
        err_clear(&p->v.v[i].problem);
    }
    vec_clear(&p->v);
}

static void probe_free(struct probe *x)
{
    gitnet_cancel(x->call);
    if (x->asked)
        chart_need_free(x->asked);
    git_refs_clear(&x->refs);
    err_clear(&x->err);
    free(x);
}

// ---- what was found ----
static struct source_seen *note(struct probe *x, const char *kind, const char *url,
                                const char *target, const char *from)
{
    struct source_seen *s = vec_push(&x->poll->found.v);
    s->kind = kind;
    s->url = url_redacted(url);
    s->target = str_dup(target);
    s->from = str_dup_or_null(from);
    return s;
}

static void settle_news(struct source_seen *s, const char *to, const struct err *problem)
{
    s->news = SOURCE_UNREAD;
    if (err_is_set(problem)) {
        err_copy(&s->problem, problem);
        return;
    }
    s->to = str_dup(to);
    s->news = str_eq(s->from, to) ? SOURCE_SAME : SOURCE_NEWS;
}

static void over(struct probe *x)
{
    x->is_over = true;
    if (--x->poll->open == 0)
        loop_timer_set(x->poll->end, 0);
}

static void poll_free(struct poll *p)
{
    for (size_t i = 0; i < p->probes.len; i++)
        if (p->probes.v[i])
            probe_free(p->probes.v[i]);
    vec_clear(&p->probes);
    loop_timer_free(p->end);
    source_polled_clear(&p->found);
    free(p);
}

static void on_end(void *ctx)
{
    struct poll *p = ctx;
    struct source *s = p->s;
    s->poll = NULL;
    s->has_polled = true;
    charts_drop_indexes(&s->ctx);
    p->fn(p->ctx, &p->found); // which may begin another
    poll_free(p);
}

// ---- Git ----
static void add_prefixes(struct strv *out, const struct gitask *a)
{
    const char *t = a->target;
    bool is_short_id = strlen(t) >= 7 && strspn(t, "0123456789abcdefABCDEF") == strlen(t);
    if (!*t || !strcmp(t, "HEAD")) {
        strv_push(out, "HEAD");
        return;
    }
    if (is_short_id) { // found where any ref points
        strv_push(out, "HEAD");
        strv_push(out, "refs/heads/");
    }
    if (is_short_id || *a->prefix || semver_is_constraint(t))
        strv_push(out, "refs/tags/");
    strv_push_take(out, str_printf("refs/heads/%s", t));
    strv_push_take(out, str_printf("refs/tags/%s", t));
    if (strchr(t, '/'))
        strv_push_take(out, str_printf("%s%s", str_starts(t, "refs/") ? "" : "refs/", t));
}

static void take_refs(struct probe *x)
{
    struct gitsrc *g = x->g;
    if (!err_is_set(&x->err) && !x->refs.refs.len)
        err_set(&x->err, ERR_UNAVAILABLE, "%s shows no refs at all", g->shown);
    err_clear(&g->unread);
    if (err_is_set(&x->err))
        err_copy(&g->unread, &x->err);
    for (size_t i = 0; i < g->asks.len; i++) {
        struct gitask *a = &g->asks.v[i];
        struct err problem = {0};
        CLEANUP(str_freep) char *id = NULL;
        CLEANUP(str_freep) char *by = NULL;
        struct source_seen *seen = note(x, "git", g->written, a->target, a->id);
        if (err_is_set(&x->err))
            err_copy(&problem, &x->err);
        else if (!revision_resolve_git(a->target, *a->prefix ? a->prefix : NULL, &x->refs, &id, &by,
                                       &problem))
            err_wrap(&problem, "%s", g->shown);
        settle_news(seen, id, &problem);
        a->is_current = seen->news != SOURCE_UNREAD;
        if (a->is_current) {
            str_set(&a->id, id);
            str_set(&a->by, by);
        }
        err_clear(&problem);
    }
    over(x);
}

static void on_listed(void *ctx, struct err *err);

static void list_all(struct probe *x)
{
    git_refs_clear(&x->refs);
    err_clear(&x->err);
    x->is_whole = true;
    x->call = gitnet_list(&x->g->remote, &x->refs, on_listed, x);
}

// Is everything that was asked for there? A branch may be gone, or the whole repository.
static bool has_all(const struct probe *x)
{
    bool all = x->refs.refs.len > 0;
    for (size_t i = 0; all && i < x->g->asks.len; i++) {
        const struct gitask *a = &x->g->asks.v[i];
        struct err err = {0};
        CLEANUP(str_freep) char *id = NULL;
        CLEANUP(str_freep) char *by = NULL;
        all = revision_resolve_git(a->target, *a->prefix ? a->prefix : NULL, &x->refs, &id, &by,
                                   &err);
        err_clear(&err);
    }
    return all;
}

static void on_listed(void *ctx, struct err *err)
{
    struct probe *x = ctx;
    x->call = NULL;
    if (err_is_set(err))
        err_move(&x->err, err);
    // What was learned of the server may be old; and what is not there may have another name.
    bool is_refused = x->err.kind != ERR_UNAVAILABLE && x->err.kind != ERR_TIMEOUT;
    if (!x->is_whole && (err_is_set(&x->err) ? is_refused : !has_all(x)))
        list_all(x);
    else
        take_refs(x);
}

static void read_local(void *ctx)
{
    struct probe *x = ctx;
    git_repository *repo = NULL;
    bool ok = gitsrc_open_repo(x->g, &repo, &x->err) && gitrepo_refs(repo, &x->refs, &x->err);
    git_repository_free(repo);
    (void)ok; // the error says it
}

static void local_read(void *ctx, bool cancelled)
{
    struct probe *x = ctx;
    x->is_pooled = false;
    if (!x->poll) {
        probe_free(x);
        return;
    }
    if (cancelled)
        err_set(&x->err, ERR_CANCELLED, "interrupted");
    take_refs(x);
}

static void ask_repository(struct probe *x)
{
    struct gitsrc *g = x->g;
    struct strv prefixes = {0};
    if (!g->dir) {
        x->is_pooled = true;
        pool_submit(x->s->ctx.pool, read_local, local_read, x);
        return;
    }
    for (size_t i = 0; i < g->asks.len; i++)
        add_prefixes(&prefixes, &g->asks.v[i]);
    if (g->remote.greeting.is_v2 && g->remote.base && !ssh_is_url(g->url))
        x->call = gitnet_list_some(&g->remote, &prefixes, &x->refs, on_listed, x);
    else
        list_all(x);
    strv_clear(&prefixes);
}

// ---- charts and artifacts ----
static void on_chart(void *ctx, struct chart_need *n, bool is_same)
{
    struct probe *x = ctx;
    if (!x->poll) {
        x->is_over = true; // freed with the source's next poll, not within the call
        return;
    }
    struct chart_need *own = (struct chart_need *)x->need;
    const char *from = own->chart.manifest ? own->chart.manifest : own->chart.version;
    struct source_seen *s = note(x, n->is_oci ? "oci" : "helm", own->written, own->target, from);
    const char *to = n->chart.manifest ? n->chart.manifest : n->chart.version;
    s->chart = str_dup_or_null(own->name);
    settle_news(s, is_same ? from : to, &n->err);
    bool other = !is_same && n->chart.digest && !str_eq(n->chart.digest, own->chart.digest);
    if (s->news == SOURCE_SAME && other) // the same version, written over
        s->news = SOURCE_NEWS;
    own->is_stale = s->news == SOURCE_NEWS || (own->is_unread && s->news == SOURCE_SAME);
    own->is_unread = s->news == SOURCE_UNREAD;
    if (own->is_unread) {
        err_clear(&own->need.err);
        err_copy(&own->need.err, &n->err);
    }
    over(x);
}

// ---- a folder ----
static void stamp(void *ctx)
{
    struct probe *x = ctx;
    bool ok = folder_stamped(x->s->root.dir, &x->stamp, &x->err);
    (void)ok; // the error says it
}

static void stamped(void *ctx, bool cancelled)
{
    struct probe *x = ctx;
    x->is_pooled = false;
    if (!x->poll) {
        probe_free(x);
        return;
    }
    if (cancelled)
        err_set(&x->err, ERR_CANCELLED, "interrupted");
    CLEANUP(str_freep) char *from = hex_encode(x->s->stamp.sum.b, 20);
    CLEANUP(str_freep) char *to = hex_encode(x->stamp.sum.b, 20);
    struct source_seen *s = note(x, "folder", x->s->root.dir, "", from);
    settle_news(s, to, &x->err);
    if (s->news == SOURCE_SAME && x->stamp.is_fresh)
        s->news = SOURCE_NEWS; // it may have been written after it was read, within one tick
    over(x);
}

// ---- the whole ----
static struct probe *probe_new(struct poll *p)
{
    struct probe *x = mem_alloc(sizeof(*x));
    x->poll = p;
    x->s = p->s;
    p->open++;
    return *vec_push(&p->probes) = x;
}

// Host and path: neither how it is reached nor who asks.
char *source_url_key(const char *url)
{
    CLEANUP(str_freep) char *n = repo_url_normal(url);
    const char *sep = strstr(n, "://");
    const char *host = sep ? sep + 3 : n;
    const char *at = memchr(host, '@', strcspn(host, "/"));
    host = at ? at + 1 : host;
    size_t len = strcspn(host, sep ? "/" : "/:");
    const char *path = host + len;
    const char *bracket = memchr(host, ']', len);
    const char *port = sep ? memchr(bracket ? bracket : host, ':',
                                    len - (size_t)((bracket ? bracket : host) - host))
                           : NULL;
    path += strspn(path, ":/");
    return str_printf("%.*s/%s", (int)(port ? (size_t)(port - host) : len), host, path);
}

static bool is_named(const struct strv *only, const char *url)
{
    CLEANUP(str_freep) char *key = source_url_key(url);
    for (size_t i = 0; only && i < only->len; i++) {
        CLEANUP(str_freep) char *other = source_url_key(only->v[i]);
        if (!strcmp(key, other))
            return true;
    }
    return !only;
}

static bool is_used(const struct source *s, const struct gitsrc *g)
{
    bool used = false;
    for (size_t i = 0; i < g->asks.len; i++)
        used |= g->asks.v[i].used_in >= s->ctx.good;
    return used;
}

void source_uses(const struct source *s, const char *pushed_url, struct strv *out)
{
    struct strv only = {.v = (char *[]){(char *)pushed_url}, .len = 1};
    for (size_t i = 0; i < s->ctx.repos.len; i++) {
        const struct gitsrc *g = s->ctx.repos.v[i];
        if (is_used(s, g) && is_named(&only, g->written) && !strv_has(out, g->written))
            strv_push(out, g->written);
    }
}

// What names one thing for good may still come to be readable.
static bool may_move(const struct source *s, const struct chart_need *n)
{
    bool is_fixed = semver_is_version(n->target) || (n->is_oci && str_starts(n->target, "sha256:"));
    return n->need.is_settled && n->used_in >= s->ctx.good &&
           (!is_fixed || err_is_set(&n->need.err));
}

static void begin_all(struct poll *p, const struct strv *only)
{
    struct source *s = p->s;
    const struct chart_need *n;
    for (size_t i = 0; i < s->ctx.repos.len; i++)
        if (is_used(s, s->ctx.repos.v[i]) && is_named(only, s->ctx.repos.v[i]->written))
            probe_new(p)->g = s->ctx.repos.v[i];
    for (size_t i = 0; (n = charts_at(s->ctx.charts, i)); i++)
        if (may_move(s, n) && is_named(only, n->written))
            probe_new(p)->need = n;
    if (s->root.dir && !only)
        probe_new(p)->is_folder = true;
    // Now that all are counted: some end at once.
    for (size_t i = 0; i < p->probes.len; i++) {
        struct probe *x = p->probes.v[i];
        if (x->g) {
            ask_repository(x);
        } else if (x->need) {
            x->asked = chart_probe(&s->ctx, x->need, on_chart, x);
            chart_probe_begin(x->asked);
        } else {
            x->is_pooled = true;
            pool_submit(s->ctx.pool, stamp, stamped, x);
        }
    }
}

bool source_poll(struct source *s, const struct strv *only, source_polled_fn fn, void *ctx)
{
    if (s->poll || s->o.offline)
        return false;
    struct poll *p = mem_alloc(sizeof(*p));
    p->s = s;
    p->fn = fn;
    p->ctx = ctx;
    p->end = loop_timer_new(s->loop, on_end, p);
    s->poll = p;
    hosts_renew(s->ctx.hosts);
    probes_sweep(s, false);
    begin_all(p, only);
    if (!p->open)
        loop_timer_set(p->end, 0);
    return true;
}

// What others hold is left to end by itself.
void source_poll_cancel(struct source *s)
{
    struct poll *p = s->poll;
    if (!p)
        return;
    s->poll = NULL;
    for (size_t i = 0; i < p->probes.len; i++) {
        struct probe *x = p->probes.v[i];
        bool is_held = x->is_pooled || (x->asked && !x->is_over);
        if (!is_held)
            continue;
        x->poll = NULL;
        if (!x->is_pooled)
            *vec_push(&s->left) = x;
        p->probes.v[i] = NULL;
    }
    poll_free(p);
}

void probes_sweep(struct source *s, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->left.len; i++) {
        if (all || s->left.v[i]->is_over)
            probe_free(s->left.v[i]);
        else
            s->left.v[kept++] = s->left.v[i];
    }
    s->left.len = kept;
    if (all)
        vec_clear(&s->left);
}
