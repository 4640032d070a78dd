// SPDX-License-Identifier: Apache-2.0
//
// What the names in use stand for, to be read again exactly so: a branch that has moved on since,
// and a range that has a newer version, mean what they meant. What is read at a commit is that by
// its name; whether an archive is still the same its digest tells.
#include <stdlib.h>
#include <string.h>

#include "source/chart_int.h"
#include "source/load.h"

void source_revisions_clear(struct source_revisions *r)
{
    for (size_t i = 0; i < r->v.len; i++) {
        struct source_revision *x = &r->v.v[i];
        free(x->url);
        free(x->chart);
        free(x->target);
        free(x->prefix);
        free(x->revision);
        free(x->by);
        free(x->digest);
        err_clear(&x->problem);
    }
    vec_clear(&r->v);
}

static struct source_revision *note(struct source_revisions *out, const char *kind, const char *url)
{
    struct source_revision *x = vec_push(&out->v);
    *x = (struct source_revision){.kind = kind, .url = url_redacted(url)};
    return x;
}

static char *key_of(const char *url)
{
    CLEANUP(str_freep) char *shown = url_redacted(url);
    return repo_url_normal(shown);
}

static bool same_place(const char *a, const char *b)
{
    CLEANUP(str_freep) char *x = key_of(a);
    CLEANUP(str_freep) char *y = key_of(b);
    return !strcmp(x, y);
}

// ---- reading at what was found before ----
void fixed_git(struct gitsrc *g)
{
    const struct source_revisions *f = g->c->o->fixed;
    for (size_t i = 0; f && i < f->v.len; i++) {
        const struct source_revision *x = &f->v.v[i];
        if (strcmp(x->kind, "git") != 0 || !same_place(x->url, g->written))
            continue;
        *vec_push(&g->asks) = (struct gitask){.target = str_dup(x->target),
                                              .prefix = str_dup(x->prefix ? x->prefix : ""),
                                              .id = str_dup(x->revision),
                                              .by = str_dup_or_null(x->by),
                                              .is_current = true};
    }
}

static bool is_chart_of(const struct source_revision *x, const char *url, const char *name)
{
    return strcmp(x->kind, "git") != 0 && str_eq(x->chart, name) && same_place(x->url, url);
}

const char *fixed_chart(const struct source_ctx *c, const char *url, const char *name,
                        const char *target)
{
    const struct source_revisions *f = c->o->fixed;
    for (size_t i = 0; f && i < f->v.len; i++)
        if (is_chart_of(&f->v.v[i], url, name) && !strcmp(f->v.v[i].target, target))
            return f->v.v[i].revision;
    return target;
}

// ---- what was found ----
static void add_git(const struct gitsrc *g, struct source_revisions *out)
{
    for (size_t i = 0; i < g->asks.len; i++) {
        const struct gitask *a = &g->asks.v[i];
        if (a->used_in != g->c->load)
            continue;
        struct source_revision *x = note(out, "git", g->written);
        x->target = str_dup(a->target);
        x->prefix = str_dup(a->prefix);
        x->revision = str_dup_or_null(a->is_current ? a->id : NULL);
        x->by = str_dup_or_null(a->is_current ? a->by : NULL);
        if (!x->revision && err_is_set(&g->listed.err))
            err_copy(&x->problem, &g->listed.err);
    }
}

static void add_chart_as(const struct chart_need *n, const char *target,
                         struct source_revisions *out)
{
    struct source_revision *x = note(out, n->is_oci ? "oci" : "helm", n->written);
    x->chart = str_dup_or_null(n->name);
    x->target = str_dup(target);
    if (n->need.is_settled && err_is_set(&n->need.err)) {
        err_copy(&x->problem, &n->need.err);
        return;
    }
    x->revision = str_dup_or_null(n->chart.version);
    x->digest = n->chart.digest ? str_printf("sha256:%s", n->chart.digest) : NULL;
}

// Under what it was asked for at first.
static void add_chart(const struct source_ctx *c, const struct chart_need *n,
                      struct source_revisions *out)
{
    const struct source_revisions *f = c->o->fixed;
    bool is_known = false;
    for (size_t i = 0; f && i < f->v.len; i++) {
        const struct source_revision *x = &f->v.v[i];
        if (!is_chart_of(x, n->written, n->name) || strcmp(x->revision, n->target) != 0)
            continue;
        is_known = true;
        add_chart_as(n, x->target, out);
    }
    if (!is_known)
        add_chart_as(n, n->target, out);
}

static int by_name(const void *a, const void *b)
{
    const struct source_revision *x = a;
    const struct source_revision *y = b;
    int c = strcmp(x->kind, y->kind);
    c = c ? c : strcmp(x->url, y->url);
    c = c ? c : str_cmp(x->chart, y->chart);
    c = c ? c : strcmp(x->target, y->target);
    return c ? c : str_cmp(x->prefix, y->prefix);
}

// The same chart may be asked for twice, with other credentials.
static void drop_repeated(struct source_revisions *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->v.len; i++) {
        if (kept && !by_name(&r->v.v[kept - 1], &r->v.v[i])) {
            struct source_revisions one = {0};
            *vec_push(&one.v) = r->v.v[i];
            source_revisions_clear(&one);
            continue;
        }
        r->v.v[kept++] = r->v.v[i];
    }
    r->v.len = kept;
}

void source_revisions_of(const struct source *s, struct source_revisions *out)
{
    const struct chart_need *n;
    for (size_t i = 0; i < s->ctx.repos.len; i++)
        add_git(s->ctx.repos.v[i], out);
    for (size_t i = 0; (n = charts_at(s->ctx.charts, i)); i++)
        add_chart(&s->ctx, n, out);
    if (s->root.dir)
        note(out, "folder", s->root.dir)->target = str_dup("");
    if (out->v.len)
        qsort(out->v.v, out->v.len, sizeof(*out->v.v), by_name);
    drop_repeated(out);
}
