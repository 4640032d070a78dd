// SPDX-License-Identifier: Apache-2.0
//
// kustomize build, after the application's options have been written into the kustomization as
// "kustomize edit" would write them (spec argo-cd section 1.4).
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/render.h"

#define MAX_FILE (4U << 20)

static const char *const names[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};

static char *find_file(const char *dir)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *p = path_join(dir, names[i]);
        if (file_exists(p))
            return p;
        free(p);
    }
    return NULL;
}

static json_t *list_of(json_t *k, const char *key)
{
    json_t *l = json_object_get(k, key);
    if (!json_is_array(l)) {
        l = json_array();
        json_object_set_new(k, key, l);
    }
    return l;
}

static json_t *map_of(json_t *k, const char *key)
{
    json_t *m = json_object_get(k, key);
    if (!json_is_object(m)) {
        m = json_object();
        json_object_set_new(k, key, m);
    }
    return m;
}

// "name=new:tag", "name:tag", "name@digest" into an image entry.
static json_t *parse_image(const char *text)
{
    json_t *image = json_object();
    const char *eq = strchr(text, '=');
    const char *rest = eq ? eq + 1 : text;
    const char *at = strchr(rest, '@');
    const char *slash = strrchr(rest, '/');
    const char *colon = strrchr(slash ? slash : rest, ':');
    size_t n = at ? (size_t)(at - rest) : colon ? (size_t)(colon - rest) : strlen(rest);
    CLEANUP(str_freep) char *base = str_ndup(rest, n);
    CLEANUP(str_freep) char *name = eq ? str_ndup(text, (size_t)(eq - text)) : str_dup(base);
    json_object_set_new(image, "name", json_string(name));
    if (eq)
        json_object_set_new(image, "newName", json_string(base));
    if (at)
        json_object_set_new(image, "digest", json_string(at + 1));
    else if (colon)
        json_object_set_new(image, "newTag", json_string(colon + 1));
    return image;
}

static void set_by_name(json_t *list, json_t *entry)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        if (str_eq(json_dot_str(x, "name"), json_dot_str(entry, "name"))) {
            json_array_set_new(list, i, entry);
            return;
        }
    }
    json_array_append_new(list, entry);
}

static void merge_map(struct render_job *j, json_t *into, const json_t *from, bool fill)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)from, key, v)
    {
        const char *s = json_string_value(v);
        CLEANUP(str_freep) char *text = fill && s ? build_env_fill(j, s) : str_dup(s ? s : "");
        json_object_set_new(into, key, json_string(text));
    }
}

static void edit_labels(struct render_job *j, json_t *k, const json_t *o)
{
    const json_t *labels = json_object_get(o, "commonLabels");
    if (!json_object_size(labels))
        return;
    if (!json_dot_bool(o, "labelWithoutSelector", false)) {
        merge_map(j, map_of(k, "commonLabels"), labels, true);
        return;
    }
    json_t *entry = json_object();
    merge_map(j, map_of(entry, "pairs"), labels, true);
    if (json_dot_bool(o, "labelIncludeTemplates", false))
        json_object_set_new(entry, "includeTemplates", json_true());
    json_array_append_new(list_of(k, "labels"), entry);
}

static void edit(struct render_job *j, json_t *k, const json_t *o)
{
    static const char *const plain[] = {"namePrefix", "nameSuffix", "namespace"};
    size_t i;
    json_t *x;
    for (i = 0; i < ARRAY_LEN(plain); i++)
        if (!str_is_empty(json_dot_str(o, plain[i])))
            json_object_set(k, plain[i], json_object_get(o, plain[i]));
    json_array_foreach(json_object_get(o, "images"), i, x)
    {
        CLEANUP(str_freep)
        char *text = build_env_fill(j, json_string_value(x) ? json_string_value(x) : "");
        set_by_name(list_of(k, "images"), parse_image(text));
    }
    json_array_foreach(json_object_get(o, "replicas"), i, x)
    {
        set_by_name(list_of(k, "replicas"), json_deep_copy(x));
    }
    edit_labels(j, k, o);
    if (json_object_size(json_object_get(o, "commonAnnotations")))
        merge_map(j, map_of(k, "commonAnnotations"), json_object_get(o, "commonAnnotations"),
                  json_dot_bool(o, "commonAnnotationsEnvsubst", false));
    json_array_foreach(json_object_get(o, "patches"), i, x)
    {
        json_array_append_new(list_of(k, "patches"), json_deep_copy(x));
    }
    json_array_foreach(json_object_get(o, "components"), i, x)
    {
        json_array_append_new(list_of(k, "components"), json_deep_copy(x));
    }
}

static bool edit_file(struct render_job *j, const char *dir, const json_t *o, struct err *err)
{
    CLEANUP(str_freep) char *file = find_file(dir);
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts yo = {.name = "kustomization.yaml", .warn_only = true};
    if (!file)
        return err_set(err, ERR_NOT_FOUND, "there is no kustomization file in \"%s\"", j->path);
    if (!file_read(file, MAX_FILE, &b, err) || !yaml_read(b.p, b.len, &yo, &docs, err))
        return false;
    CLEANUP(json_freep)
    json_t *k = docs.docs.len ? json_incref(docs.docs.v[0].value) : json_object();
    yaml_docs_clear(&docs);
    edit(j, k, o);
    yaml_write(k, &out);
    return file_replace(file, out.p ? out.p : "", out.len, 0600, err);
}

// Does any kustomization of the tree name something on the network?
static bool needs_network(struct render_job *j)
{
    struct strv files = {0};
    struct err err = {0};
    bool found = false;
    bool ok = tree_list(j->tree, "", true, &files, &err);
    for (size_t i = 0; ok && !found && i < files.len; i++) {
        bool is_k = false;
        for (size_t n = 0; n < ARRAY_LEN(names); n++)
            is_k |= !strcmp(path_base(files.v[i]), names[n]);
        struct buf b CLEANUP(buf_clear) = {0};
        if (is_k && tree_read(j->tree, files.v[i], MAX_FILE, &b, &err))
            found =
                b.len && (strstr(b.p, "://") || strstr(b.p, "github.com/") || strstr(b.p, "git@"));
        err_clear(&err);
    }
    err_clear(&err);
    strv_clear(&files);
    return found;
}

bool kustomize_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err)
{
    const json_t *o = j->src ? j->src->kustomize : NULL;
    CLEANUP(str_freep) char *id = NULL;
    CLEANUP(str_freep) char *dir = NULL;
    struct buf options CLEANUP(buf_clear) = {0};
    const char *root = NULL;
    if (!tree_id(j->tree, "", &id, err))
        return false;
    sha256_add_str(key, id);
    if (o) {
        canon_write(o, &options);
        sha256_add_str(key, options.p);
        CLEANUP(str_freep) char *copy = path_join(j->work_dir, "tree");
        CLEANUP(str_freep) char *filled = build_env_fill(j, options.p);
        sha256_add_str(key, filled); // what build variables stand for counts as well
        if (!tree_folder(j->tree, &root, err) || !folder_copy(root, copy, err))
            return false;
        dir = path_join(copy, j->path);
        if (!edit_file(j, dir, o, err))
            return false;
    } else {
        dir = str_dup(RENDER_IN_TREE);
    }
    j->network = !j->ctx->o->offline && needs_network(j);
    strv_push(&j->argv, "kustomize");
    strv_push(&j->argv, "build");
    strv_push(&j->argv, dir);
    return true;
}
