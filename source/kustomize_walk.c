// SPDX-License-Identifier: Apache-2.0
#include "source/kustomize_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/kustomize_read.h"
#include "source/witness.h"

#define MAX_KUSTOMIZATIONS 5000

const char *const kustomization_names[3] = {"kustomization.yaml", "kustomization.yml",
                                            "Kustomization"};

void kustomize_walk_clear(struct kustomize_walk *w)
{
    for (size_t i = 0; i < w->charts.len; i++) {
        free(w->charts.v[i].dir);
        free(w->charts.v[i].home);
        free(w->charts.v[i].name);
        free(w->charts.v[i].repo);
        free(w->charts.v[i].version);
    }
    vec_clear(&w->charts);
    free(w->remote);
    free(w->unseen);
    err_clear(&w->err);
    strv_clear(&w->todo);
    json_decref(w->seen);
    json_decref(w->walked);
}

static bool is_remote(const char *s)
{
    return strstr(s, "://") || str_starts(s, "github.com/") || str_starts(s, "git@") ||
           strstr(s, "?ref=") || strstr(s, ".git//");
}

static bool is_in_place(const char *s)
{
    return s[strspn(s, " \t")] == '{' || strchr(s, '\n');
}

static bool read_file(struct kustomize_walk *w, const char *path, struct buf *out)
{
    if (!tree_read(w->j->tree, path, KUSTOMIZE_MAX_FILE, out, &w->err))
        return false;
    if (!out->p)
        buf_str(out, "");
    return true;
}

static char *find_file(struct kustomize_walk *w, const char *dir)
{
    for (size_t i = 0; i < ARRAY_LEN(kustomization_names); i++) {
        char *p = path_join(dir, kustomization_names[i]);
        if (tree_has(w->j->tree, p))
            return p;
        free(p);
    }
    return NULL;
}

static void add_chart(struct kustomize_walk *w, const char *dir, const char *home, const char *name,
                      const char *repo, const char *version)
{
    struct inflation *c = vec_push(&w->charts);
    c->dir = str_dup(dir);
    c->home = str_dup(str_is_empty(home) ? "charts" : home);
    c->name = str_dup(name ? name : "");
    c->repo = str_dup(repo ? repo : "");
    c->version = str_dup(version ? version : "");
    w->helm = true;
}

static bool note_generators(struct kustomize_walk *w, const char *dir, const struct buf *text,
                            const char *name)
{
    CLEANUP(json_freep) json_t *found = NULL;
    size_t i;
    json_t *g;
    if (!generators_read(text->p, text->len, name, &found, &w->err))
        return false;
    json_array_foreach(found, i, g)
    {
        add_chart(w, dir, json_dot_str(g, "chartHome"), json_dot_str(g, "name"),
                  json_dot_str(g, "repo"), json_dot_str(g, "version"));
    }
    return true;
}

static void note_charts(struct kustomize_walk *w, const char *dir, const json_t *k)
{
    const char *home = kustomization_chart_home(k);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(k, "helmCharts"), i, c)
    {
        add_chart(w, dir, home, json_dot_str(c, "name"), json_dot_str(c, "repo"),
                  json_dot_str(c, "version"));
    }
    json_array_foreach(json_object_get(k, "helmChartInflationGenerator"), i, c)
    {
        add_chart(w, dir, home, json_dot_str(c, "chartName"), json_dot_str(c, "chartRepoUrl"),
                  json_dot_str(c, "chartVersion"));
    }
}

static void note_remote(struct kustomize_walk *w, const char *what, bool is_plugin)
{
    if (is_plugin && !w->unseen)
        w->unseen = str_dup(what);
    if (!w->remote)
        w->remote = str_dup(what);
    witness_fleeting(w->j->ctx);
    if (!strv_has(&w->j->ctx->remotes, what))
        strv_push(&w->j->ctx->remotes, what);
}

// A folder anywhere on this machine is a base like any other to kustomize.
static bool leaves(struct kustomize_walk *w, const char *dir, const char *what)
{
    bool is_git = w->j->tree->git;
    size_t line = strcspn(what, "\n");
    err_set(&w->err, ERR_INVALID, "the kustomization in \"%s\" names %.*s%s, which leaves the %s",
            *dir ? dir : ".", (int)(line < 200 ? line : 200), what, what[line] ? "…" : "",
            is_git ? "repository" : "folder");
    if (!is_git)
        err_hint(&w->err, "A folder is read as far as its Git work tree, and by itself where "
                          "there is none: git init in the folder that holds both, then run "
                          "it again.");
    return false;
}

// Kustomize goes on from where links lead: that is where its ".." begins.
static bool add_folder(struct kustomize_walk *w, const char *path)
{
    CLEANUP(str_freep) char *at = tree_locate(w->j->tree, path);
    const char *real = at ? at : path;
    json_object_set_new(w->seen, path, json_true());
    json_object_set_new(w->seen, real, json_true());
    if (json_object_get(w->walked, real))
        return true;
    if (json_object_size(w->walked) == MAX_KUSTOMIZATIONS)
        return err_set(&w->err, ERR_INVALID, "it is made of more than %d kustomizations",
                       MAX_KUSTOMIZATIONS);
    json_object_set_new(w->walked, real, json_true());
    strv_push(&w->todo, real);
    return true;
}

// What looks remote is a folder where kustomize cannot make out a repository in it, and so is an
// object written out in place that it does not take for one.
static bool follow(struct kustomize_walk *w, const char *dir, const char *what, bool is_plugin)
{
    CLEANUP(str_freep) char *joined = path_join(dir, what);
    CLEANUP(str_freep) char *path = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    if (!is_in_place(what) && is_remote(what))
        note_remote(w, what, is_plugin);
    if (*what == '/')
        return true; // kustomize refuses it
    if (!path_clean(joined, &path))
        return leaves(w, dir, what);
    if (tree_is_dir(w->j->tree, path)) {
        if (is_plugin && !w->unseen)
            w->unseen = str_dup(what);
        return add_folder(w, path);
    }
    return !is_plugin || !tree_has(w->j->tree, path) ||
           (read_file(w, path, &b) && note_generators(w, dir, &b, path));
}

static bool take_entry(struct kustomize_walk *w, const char *dir, const json_t *x, bool is_plugin)
{
    const char *what = json_string_value(x);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!what)
        return true; // kustomize refuses it
    if (strlen(what) != json_string_length(x))
        return err_set(&w->err, ERR_INVALID,
                       "the kustomization in \"%s\" names a path with a zero byte",
                       *dir ? dir : ".");
    buf_str(&b, what);
    if (is_plugin && strpbrk(what, ":\n") && !note_generators(w, dir, &b, "a generator"))
        return err_wrap(&w->err, "the kustomization in \"%s\"", *dir ? dir : ".");
    return follow(w, dir, what, is_plugin);
}

static bool take_list(struct kustomize_walk *w, const char *dir, const json_t *list, bool is_plugin)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        if (!take_entry(w, dir, x, is_plugin))
            return false;
    }
    return true;
}

static bool visit(struct kustomize_walk *w, const char *dir)
{
    static const char *const lists[] = {"resources",  "bases",         "components",
                                        "crds",       "generators",    "transformers",
                                        "validators", "configurations"};
    CLEANUP(str_freep) char *file = find_file(w, dir);
    CLEANUP(json_freep) json_t *k = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file)
        return true; // kustomize will say so
    if (!read_file(w, file, &b) || !kustomization_read(b.p, b.len, file, &k, &w->err))
        return false;
    note_charts(w, dir, k);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        if (!take_list(w, dir, json_object_get(k, lists[l]), str_eq(lists[l], "generators")))
            return false;
    return true;
}

static bool walk(struct kustomize_walk *w, const json_t *options)
{
    if (!add_folder(w, w->j->path) ||
        !take_list(w, w->j->path, json_object_get(options, "components"), false))
        return false;
    while (w->todo.len) {
        CLEANUP(str_freep) char *dir = w->todo.v[--w->todo.len];
        if (!visit(w, dir))
            return false;
    }
    return true;
}

bool kustomize_walk(struct render_job *j, const json_t *options, struct kustomize_walk *w,
                    struct err *err)
{
    w->j = j;
    w->seen = json_object();
    w->walked = json_object();
    if (walk(w, options))
        return true;
    err_move(err, &w->err);
    return false;
}
