// SPDX-License-Identifier: Apache-2.0
//
// kustomize build. The kustomizations below the application are walked first (kustomize_walk.c):
// whether anything is on the network, and which charts are inflated, which are then fetched by us,
// through mirrors and cache, and laid where kustomize looks before it would ask helm to pull them.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/copy.h"
#include "source/kustomize_edit.h"
#include "source/kustomize_walk.h"

// All that kustomize may read: it reads files below a kustomization alone, and charts where it is
// told that they are.
static void note_parts(struct kustomize_walk *w)
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
    for (size_t i = 0; i < ARRAY_LEN(kustomization_names); i++) {
        char *p = path_join(dir, kustomization_names[i]);
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
    if (!file_read(file, KUSTOMIZE_MAX_FILE, &b, err) ||
        !yaml_read(b.p ? b.p : "", b.len, &yo, &docs, err))
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
    bool is_name = *c->name && *c->name != '.' && !strchr(c->name, '/');
    if (*c->home == '/' || !path_clean(joined, &clean) || !is_name || strchr(c->version, '/'))
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

static bool lay_charts(const struct kustomize_walk *w, const char *copy, struct sha256_ctx *key,
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

static bool make_copy(const struct kustomize_walk *w, const json_t *o, struct sha256_ctx *key,
                      char **dir, struct err *err)
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
    struct kustomize_walk w CLEANUP(kustomize_walk_clear) = {0};
    if (!tree_id(j->tree, "", &id, err) || !kustomize_walk(j, o, &w, err))
        return false;
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
