// SPDX-License-Identifier: Apache-2.0
//
// kustomize build. The kustomizations below the application are walked first: whether anything is
// on the network, and which charts are inflated, which are then fetched by us, through mirrors and
// cache, and laid where kustomize looks before it would ask helm to pull them.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/copy.h"
#include "source/kustomize_edit.h"
#include "source/render.h"
#include "source/witness.h"

#define MAX_FILE (4U << 20)
#define MAX_KUSTOMIZATIONS 5000

static const char *const names[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};

// A chart that a kustomization inflates.
struct inflation {
    char *dir; // of the kustomization, in the tree
    char *home, *name, *repo, *version;
};

struct walk {
    struct render_job *j;
    json_t *seen;
    struct strv todo;
    VEC(struct inflation) charts;
    bool helm;
    char *remote;   // the first that is on the network
    char *unseen;   // generators of which it is not known what they are: a folder, or remote
    struct err err; // one names what is outside of the tree
};

static void walk_clear(struct walk *w)
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

// ---- the walk; what cannot be read kustomize itself will complain of ----
static bool is_remote(const char *s)
{
    return strstr(s, "://") || str_starts(s, "github.com/") || str_starts(s, "git@") ||
           strstr(s, "?ref=") || strstr(s, ".git//");
}

static json_t *first_doc(struct walk *w, const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = path, .warn_only = true};
    struct err err = {0};
    json_t *v = NULL;
    if (tree_read(w->j->tree, path, MAX_FILE, &b, &err) && b.len &&
        yaml_read(b.p, b.len, &o, &docs, &err) && docs.docs.len)
        v = json_incref(docs.docs.v[0].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
    return v;
}

static char *find_file(struct walk *w, const char *dir)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *p = path_join(dir, names[i]);
        if (tree_has(w->j->tree, p))
            return p;
        free(p);
    }
    return NULL;
}

static void add_chart(struct walk *w, const char *dir, const char *home, const char *name,
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

static void note_generator(struct walk *w, const char *dir, const json_t *g)
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

static void note_generators(struct walk *w, const char *dir, const char *text, size_t len)
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

static void read_generators(struct walk *w, const char *dir, const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (tree_read(w->j->tree, path, MAX_FILE, &b, &err) && b.len)
        note_generators(w, dir, b.p, b.len);
    err_clear(&err);
}

static void note_charts(struct walk *w, const char *dir, const json_t *k)
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

static void follow(struct walk *w, const char *dir, const char *what, bool is_plugin)
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

static void visit(struct walk *w, const char *dir)
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

static void walk(struct walk *w, const json_t *options)
{
    size_t i;
    json_t *x;
    w->seen = json_pack("{s:b}", w->j->path, 1);
    strv_push(&w->todo, w->j->path);
    json_array_foreach(json_object_get(options, "components"), i, x)
    {
        if (json_is_string(x))
            follow(w, w->j->path, json_string_value(x), false);
    }
    while (w->todo.len) {
        CLEANUP(str_freep) char *dir = w->todo.v[--w->todo.len];
        visit(w, dir);
    }
}

// All that kustomize may read: it reads files below a kustomization alone, and charts where it is
// told that they are.
static void note_parts(struct walk *w)
{
    const char *dir;
    json_t *seen;
    json_object_foreach(w->seen, dir, seen)
    {
        strv_push(&w->j->parts, dir);
    }
    for (size_t i = 0; i < w->charts.len; i++) {
        CLEANUP(str_freep) char *joined = path_join(w->charts.v[i].dir, w->charts.v[i].home);
        char *home = NULL;
        if (path_clean(joined, &home))
            strv_push_take(&w->j->parts, home);
    }
}

// ---- a private copy ----
struct edit_ctx {
    struct render_job *j;
    const char *copy, *dir;
};

static char *fill(void *ctx, const char *text)
{
    return build_env_fill(((struct edit_ctx *)ctx)->j, text);
}

static bool has_component(void *ctx, const char *path)
{
    const struct edit_ctx *c = ctx;
    CLEANUP(str_freep) char *joined = path_join(c->j->path, path);
    CLEANUP(str_freep) char *clean = NULL;
    if (*path == '/' || !path_clean(joined, &clean))
        return false;
    CLEANUP(str_freep) char *full = path_join(c->copy, clean);
    return file_exists(full);
}

static char *find_copied(const char *dir)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *p = path_join(dir, names[i]);
        if (file_exists(p))
            return p;
        free(p);
    }
    return NULL;
}

static bool edit_file(struct edit_ctx *c, const json_t *o, struct err *err)
{
    CLEANUP(str_freep) char *file = find_copied(c->dir);
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts yo = {.name = "kustomization.yaml", .warn_only = true};
    struct kustomize_edit e = {fill, has_component, c};
    if (!file)
        return err_set(err, ERR_NOT_FOUND, "there is no kustomization file in \"%s\"", c->j->path);
    if (!file_read(file, MAX_FILE, &b, err) || !yaml_read(b.p ? b.p : "", b.len, &yo, &docs, err))
        return false;
    CLEANUP(json_freep)
    json_t *k = docs.docs.len ? json_incref(docs.docs.v[0].value) : json_object();
    yaml_docs_clear(&docs);
    if (!json_is_object(k))
        return err_set(err, ERR_INVALID, "%s is not a map", path_base(file));
    if (!kustomize_edit(k, o, &e, err))
        return false;
    yaml_write(k, &out);
    return file_put(file, out.p ? out.p : "", out.len, 0600, err);
}

// Kustomize looks for HOME/NAME-VERSION/NAME, or HOME/NAME when no version is asked for.
static bool lay_chart(struct render_job *j, const struct inflation *c, const char *copy,
                      struct sha256_ctx *key, struct err *err)
{
    CLEANUP(str_freep) char *joined = path_join(c->dir, c->home);
    CLEANUP(str_freep) char *clean = NULL;
    if (*c->home == '/' || !path_clean(joined, &clean) || !*c->name || strchr(c->name, '/') ||
        strchr(c->version, '/'))
        return err_set(err, ERR_INVALID, "chart %s of %s cannot be placed", c->name, c->dir);
    CLEANUP(str_freep)
    char *home = *c->version && *c->repo
                     ? str_printf("%s/%s/%s-%s", copy, clean, c->name, c->version)
                     : str_printf("%s/%s", copy, clean);
    CLEANUP(str_freep) char *at = path_join(home, c->name);
    if (file_is_dir(at) || !*c->repo)
        return true; // it is in Git, or kustomize will say that it is not
    struct chart chart = {0};
    bool ok = chart_fetch(j->ctx, c->repo, c->name, c->version, &chart, err) &&
              archive_unpack(chart.file, home, err);
    if (ok)
        sha256_add_str(key, chart.digest);
    chart_clear(&chart);
    return ok || err_wrap(err, "chart %s", c->name);
}

static bool lay_charts(const struct walk *w, const char *copy, struct sha256_ctx *key,
                       struct err *err)
{
    for (size_t i = 0; i < w->charts.len; i++) {
        if (lay_chart(w->j, &w->charts.v[i], copy, key, err))
            continue;
        if (!w->j->ctx->waits.v.len)
            return false;
        err_clear(err); // the others may begin to come as well
    }
    return true;
}

static bool make_copy(const struct walk *w, const json_t *o, struct sha256_ctx *key, char **dir,
                      struct err *err)
{
    struct render_job *j = w->j;
    CLEANUP(str_freep) char *copy = path_join(j->work_dir, RENDER_TREE);
    const char *root = NULL;
    if (!tree_view(j->tree, &j->parts, copy, &root, err) ||
        (root != copy && !folder_clone(root, copy, j->loop, err)) || !lay_charts(w, copy, key, err))
        return false;
    *dir = path_join(copy, j->path);
    struct edit_ctx c = {j, copy, *dir};
    return !o || edit_file(&c, o, err);
}

// ---- the command ----
static void add_helm(struct render_job *j, const json_t *o, struct sha256_ctx *key)
{
    const char *kube = json_dot_str(o, "kubeVersion");
    const json_t *own = json_object_get(o, "apiVersions");
    size_t i;
    json_t *x;
    strv_push(&j->argv, "--enable-helm");
    if (str_is_empty(kube))
        kube = j->ctx->o->kube_version;
    if (!str_is_empty(kube)) {
        strv_push(&j->argv, "--helm-kube-version");
        strv_push(&j->argv, kube);
    }
    json_array_foreach(own, i, x)
    {
        if (!json_is_string(x))
            continue;
        strv_push(&j->argv, "--helm-api-versions");
        strv_push(&j->argv, json_string_value(x));
    }
    j->asks.any = !json_array_size(own);
    for (i = 0; j->asks.any && j->api_versions && i < j->api_versions->len; i++) {
        strv_push(&j->argv, "--helm-api-versions");
        strv_push(&j->argv, j->api_versions->v[i]);
    }
    for (i = 0; i < j->argv.len; i++)
        sha256_add_str(key, j->argv.v[i]);
}

// The options, and all that their variables may stand for.
static void add_options_key(const struct render_job *j, const json_t *o, struct sha256_ctx *key)
{
    struct buf options CLEANUP(buf_clear) = {0};
    struct strv env = {0};
    canon_write(o, &options);
    sha256_add_str(key, options.p);
    // The revision is one of them: without need every commit would have it built again.
    if (strchr(options.p, '$'))
        build_env(j, &env);
    for (size_t i = 0; i < env.len; i++)
        sha256_add_str(key, env.v[i]);
    strv_clear(&env);
}

bool kustomize_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err)
{
    const json_t *o = j->src ? j->src->kustomize : NULL;
    CLEANUP(str_freep) char *id = NULL;
    CLEANUP(str_freep) char *dir = NULL;
    struct walk w CLEANUP(walk_clear) = {.j = j};
    if (!tree_id(j->tree, "", &id, err))
        return false;
    walk(&w, o);
    if (err_is_set(&w.err)) {
        err_copy(err, &w.err);
        return false;
    }
    // A chart that is not known of could be one from anywhere on this machine.
    if (w.helm && w.unseen) {
        err_set(err, ERR_INVALID, "the generators in %.200s could inflate charts nobody has seen",
                w.unseen);
        return err_hint(err, "Where charts are inflated, generators are files of this repository.");
    }
    note_parts(&w);
    sha256_add_str(key, id);
    if (o)
        add_options_key(j, o, key);
    strv_push(&j->argv, "kustomize");
    strv_push(&j->argv, "build");
    if (w.helm)
        add_helm(j, o, key);
    if ((o || w.helm) && !make_copy(&w, o, key, &dir, err))
        return false;
    j->network = !j->ctx->o->offline && w.remote;
    if (j->ctx->o->offline)
        str_set(&j->remote, w.remote);
    strv_push(&j->argv, dir ? dir : RENDER_IN_TREE);
    return true;
}
