// SPDX-License-Identifier: Apache-2.0
#include "source/witness.h"

#include <stdlib.h>
#include <string.h>

void witness_clear(struct witness *w)
{
    for (size_t i = 0; i < w->paths.len; i++)
        free(w->paths.v[i].path);
    vec_clear(&w->paths);
    for (size_t i = 0; i < w->charts.len; i++) {
        struct seen_chart *c = &w->charts.v[i];
        free(c->url);
        free(c->name);
        free(c->target);
        free(c->version);
        free(c->digest);
        free(c->manifest);
    }
    vec_clear(&w->charts);
    for (size_t i = 0; i < w->files.len; i++) {
        free(w->files.v[i].url);
        free(w->files.v[i].revision);
        free(w->files.v[i].project);
        free(w->files.v[i].path);
    }
    vec_clear(&w->files);
    w->has_env = w->is_fleeting = false;
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !n || (!strncmp(path, dir, n) && path[n] == '/');
}

// The id of a folder stands for all that lies below it, but not for what a link in it leads to.
static bool is_covered(const struct witness *w, const struct tree *t, const char *path)
{
    for (size_t i = 0; i < w->paths.len; i++) {
        const struct seen_path *p = &w->paths.v[i];
        if (p->tree != t)
            continue;
        if (!strcmp(p->path, path))
            return true;
        if (p->mark.what == TREE_FOLDER && is_below(path, p->path) && tree_is_plain(t, path))
            return true;
    }
    return false;
}

void witness_path(struct tree *t, const char *path)
{
    struct witness *w = t->ctx->witness;
    if (!w || w->is_fleeting || is_covered(w, t, path))
        return;
    struct seen_path p = {.tree = t};
    if (!tree_marked(t, path, &p.mark)) {
        w->is_fleeting = true;
        return;
    }
    p.path = str_dup(path);
    *vec_push(&w->paths) = p;
}

void witness_below(struct tree *t, const char *path)
{
    // What a link in it leads to may lie anywhere: then all of the tree counts.
    witness_path(t, !t->ctx->witness || tree_has_links(t, path) ? "" : path);
}

void witness_chart(struct source_ctx *c, const char *url, const char *name, const char *target,
                   const struct chart *chart)
{
    if (!c->witness)
        return;
    struct seen_chart *s = vec_push(&c->witness->charts);
    s->url = str_dup(url);
    s->name = str_dup_or_null(name);
    s->target = str_dup(target);
    s->pass_credentials = c->pass_credentials;
    s->version = str_dup(chart->version);
    s->digest = str_dup(chart->digest);
    s->manifest = str_dup_or_null(chart->manifest);
}

void witness_file(struct witness *w, struct tree *t, const char *url, const char *revision,
                  const char *project, const char *path)
{
    struct seen_file f = {0};
    if (!w || !(path ? tree_marked(t, path, &f.mark) : tree_names_marked(t, &f.mark))) {
        if (w)
            w->is_fleeting = true;
        return;
    }
    f.url = str_dup(url);
    f.revision = str_dup(revision ? revision : "");
    f.project = str_dup_or_null(project);
    f.path = str_dup_or_null(path);
    *vec_push(&w->files) = f;
}

void witness_env(struct source_ctx *c)
{
    if (c && c->witness)
        c->witness->has_env = true;
}

void witness_fleeting(struct source_ctx *c)
{
    if (c->witness)
        c->witness->is_fleeting = true;
}
