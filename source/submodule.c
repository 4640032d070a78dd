// SPDX-License-Identifier: Apache-2.0
//
// Submodules, as a checkout would bring them: each is a commit of another repository, fetched like
// any other and mounted where it belongs. One that cannot be had is an error for whoever reads
// below it, and for nobody else.
#include <stdlib.h>
#include <string.h>

#include "source/git.h"
#include "source/gitmodules.h"

#define MAX_DEPTH 4
#define MAX_MOUNTS 200

struct submodule {
    struct gitcommit *parent;
    struct gitcommit *sub;
    size_t mount;
};

void submodules_free(struct gitcommit *c)
{
    for (size_t i = 0; i < c->subs.len; i++)
        free(c->subs.v[i]);
    vec_clear(&c->subs);
}

static void finish(struct gitcommit *c)
{
    for (size_t i = 0; i < c->subs.len; i++) {
        const struct submodule *s = c->subs.v[i];
        struct git_mount *m = &c->files.mounts.v[s->mount];
        if (err_is_set(&s->sub->need.err)) {
            err_copy(&m->err, &s->sub->need.err);
            continue;
        }
        CLEANUP(str_freep) char *at = str_dup(m->path); // the list of mounts grows
        if (c->files.v.len + s->sub->files.v.len > FILES_MAX)
            err_set(&m->err, ERR_INVALID, "with it there are more than %u files", FILES_MAX);
        else
            files_mount(&c->files, at, &s->sub->files);
    }
    wanted_settle(&c->need, &c->err);
}

static void on_sub(void *ctx)
{
    struct gitcommit *c = ctx;
    if (--c->coming == 0)
        finish(c);
}

static bool find_module(struct gitcommit *c, const struct gitmodules *m, size_t mount,
                        struct gitcommit **out, struct err *err)
{
    const struct git_mount *at = &c->files.mounts.v[mount];
    const char *url = gitmodules_url(m, at->path);
    CLEANUP(str_freep) char *whole = NULL;
    if (!url)
        return err_set(err, ERR_INVALID, ".gitmodules does not say where it comes from");
    if (c->depth >= MAX_DEPTH)
        return err_set(err, ERR_INVALID, "submodules are nested deeper than %d", MAX_DEPTH);
    if (mount >= MAX_MOUNTS)
        return err_set(err, ERR_INVALID, "there are more than %d submodules", MAX_MOUNTS);
    if (!gitmodules_resolve(c->g->written, url, &whole, err) ||
        !source_may_name(c->g->c, gitsrc_local_path(whole), err))
        return false;
    *out = gitcommit_at(gitsrc_of(c->g->c, whole, c->g->project), at->commit, c->depth + 1);
    return true;
}

void submodules_begin(struct gitcommit *c)
{
    struct gitmodules m = {0};
    struct err err = {0};
    size_t n = c->files.mounts.len;
    submodules_free(c);
    if (!n || !c->files.modules.len) {
        for (size_t i = 0; i < n; i++) {
            c->files.mounts.v[i].is_left_out = true;
            err_set(&c->files.mounts.v[i].err, ERR_NOT_FOUND, "there is no .gitmodules");
        }
        wanted_settle(&c->need, &c->err);
        return;
    }
    bool ok = gitmodules_read(c->files.modules.p, c->files.modules.len, &m, &err);
    for (size_t i = 0; i < n; i++) {
        struct gitcommit *sub = NULL;
        if (!ok)
            err_copy(&c->files.mounts.v[i].err, &err);
        else if (find_module(c, &m, i, &sub, &c->files.mounts.v[i].err)) {
            struct submodule *s = mem_alloc(sizeof(*s));
            *s = (struct submodule){c, sub, i};
            *vec_push(&c->subs) = s;
        }
    }
    err_clear(&err);
    gitmodules_clear(&m);
    c->coming = c->subs.len + 1;
    for (size_t i = 0; i < c->subs.len; i++)
        wanted_then(&c->subs.v[i]->sub->need, on_sub, c);
    on_sub(c);
}
