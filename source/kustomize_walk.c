// SPDX-License-Identifier: Apache-2.0
#include "source/kustomize_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
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
}

static bool is_remote(const char *s)
{
    return strstr(s, "://") || str_starts(s, "github.com/") || str_starts(s, "git@") ||
           strstr(s, "?ref=") || strstr(s, ".git//");
}

static json_t *first_doc(struct kustomize_walk *w, const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = path, .warn_only = true};
    struct err err = {0};
    json_t *v = NULL;
    if (tree_read(w->j->tree, path, KUSTOMIZE_MAX_FILE, &b, &err) && b.len &&
        yaml_read(b.p, b.len, &o, &docs, &err) && docs.docs.len)
        v = json_incref(docs.docs.v[0].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
    return v;
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

static void note_generator(struct kustomize_walk *w, const char *dir, const json_t *g)
{
    const char *home = json_dot_str(g, "chartHome");
    const char *name = json_dot_str(g, "name");
    if (!str_eq(json_dot_str(g, "kind"), "HelmChartInflationGenerator"))
        return;
    if (json_dot_str(g, "chartName")) // the older spelling
        add_chart(w, dir, home, json_dot_str(g, "chartName"), json_dot_str(g, "chartRepo"),
                  json_dot_str(g, "chartVersion"));
    else
        add_chart(w, dir, home, name, json_dot_str(g, "repo"), json_dot_str(g, "version"));
}

static void note_generators(struct kustomize_walk *w, const char *dir, const char *text, size_t len)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "generator", .warn_only = true};
    struct err err = {0};
    bool ok = yaml_read(text, len, &o, &docs, &err);
    for (size_t i = 0; ok && i < docs.docs.len; i++)
        note_generator(w, dir, docs.docs.v[i].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
}

static void read_generators(struct kustomize_walk *w, const char *dir, const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (tree_read(w->j->tree, path, KUSTOMIZE_MAX_FILE, &b, &err) && b.len)
        note_generators(w, dir, b.p, b.len);
    err_clear(&err);
}

static void note_charts(struct kustomize_walk *w, const char *dir, const json_t *k)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(k, "helmCharts"), i, c)
    {
        add_chart(w, dir, json_dot_str(k, "helmGlobals.chartHome"), json_dot_str(c, "name"),
                  json_dot_str(c, "repo"), json_dot_str(c, "version"));
    }
    json_array_foreach(json_object_get(k, "helmChartInflationGenerator"), i, c)
    {
        add_chart(w, dir, json_dot_str(c, "chartHome"), json_dot_str(c, "chartName"),
                  json_dot_str(c, "chartRepoUrl"), json_dot_str(c, "chartVersion"));
    }
}

static void follow(struct kustomize_walk *w, const char *dir, const char *what, bool is_plugin)
{
    CLEANUP(str_freep) char *joined = path_join(dir, what);
    CLEANUP(str_freep) char *path = NULL;
    if (strchr(what, '\n')) { // an object written out in place
        if (is_plugin)
            note_generators(w, dir, what, strlen(what));
    } else if (is_remote(what)) {
        if (is_plugin && !w->unseen)
            w->unseen = str_dup(what);
        if (!w->remote)
            w->remote = str_dup(what);
        witness_fleeting(w->j->ctx);
        if (!strv_has(&w->j->ctx->remotes, what))
            strv_push(&w->j->ctx->remotes, what);
    } else if (*what == '/') {
        return; // kustomize refuses it
    } else if (!path_clean(joined, &path)) {
        // A folder anywhere on this machine is a base like any other to kustomize.
        if (err_is_set(&w->err))
            return;
        err_set(&w->err, ERR_INVALID,
                "the kustomization in \"%s\" names %.200s, which leaves the %s", *dir ? dir : ".",
                what, w->j->tree->git ? "repository" : "folder");
        if (!w->j->tree->git)
            err_hint(&w->err, "A folder is read as far as its Git work tree, and by itself where "
                              "there is none: git init in the folder that holds both, then run "
                              "it again.");
    } else if (tree_is_dir(w->j->tree, path)) {
        if (is_plugin && !w->unseen)
            w->unseen = str_dup(what);
        if (!json_object_get(w->seen, path) && json_object_size(w->seen) < MAX_KUSTOMIZATIONS) {
            json_object_set_new(w->seen, path, json_true());
            strv_push(&w->todo, path);
        }
    } else if (is_plugin) {
        read_generators(w, dir, path);
    }
}

static void visit(struct kustomize_walk *w, const char *dir)
{
    static const char *const lists[] = {"resources",  "bases",         "components",
                                        "crds",       "generators",    "transformers",
                                        "validators", "configurations"};
    CLEANUP(str_freep) char *file = find_file(w, dir);
    CLEANUP(json_freep) json_t *k = file ? first_doc(w, file) : NULL;
    note_charts(w, dir, k);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        bool is_plugin = str_eq(lists[l], "generators");
        size_t i;
        json_t *x;
        json_array_foreach(json_object_get(k, lists[l]), i, x)
        {
            if (json_is_string(x))
                follow(w, dir, json_string_value(x), is_plugin);
        }
    }
}

bool kustomize_walk(struct render_job *j, const json_t *options, struct kustomize_walk *w,
                    struct err *err)
{
    size_t i;
    json_t *x;
    w->j = j;
    w->seen = json_pack("{s:b}", j->path, 1);
    strv_push(&w->todo, j->path);
    json_array_foreach(json_object_get(options, "components"), i, x)
    {
        if (json_is_string(x))
            follow(w, j->path, json_string_value(x), false);
    }
    while (w->todo.len) {
        CLEANUP(str_freep) char *dir = w->todo.v[--w->todo.len];
        visit(w, dir);
    }
    if (err_is_set(&w->err))
        err_copy(err, &w->err);
    return !err_is_set(&w->err);
}
