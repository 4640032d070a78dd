// SPDX-License-Identifier: Apache-2.0
//
// The git generator: a parameter set for each folder, or for each object in each file, that the
// patterns pick (spec argo-cd section 6.2).
#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/glob.h"
#include "gitops/json.h"
#include "gitops/yaml.h"

#define MAX_FILE_BYTES (4U << 20)

static char *path_key(const json_t *g)
{
    const char *prefix = json_dot_str(g, "pathParamPrefix");
    return str_is_empty(prefix) ? str_dup("path") : str_printf("%s.path", prefix);
}

static void set_param(json_t *set, const char *base, const char *suffix, const char *value)
{
    CLEANUP(str_freep) char *key = str_printf("%s%s", base, suffix);
    json_object_set_new(set, key, json_string(value));
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// A name, and the same fit for one of Kubernetes.
static void add_base(json_t *map, const char *key, const char *name)
{
    CLEANUP(str_freep) char *normal = name_normalize(name);
    json_object_set_new(map, key, json_string(name));
    set_param(map, key, "Normalized", normal);
}

// path, path.basename, path[n] ... of a folder.
static void add_path(json_t *set, const char *key, const char *path)
{
    CLEANUP(str_freep) char *normal = name_normalize(base_of(path));
    set_param(set, key, "", path);
    set_param(set, key, ".basename", base_of(path));
    set_param(set, key, ".basenameNormalized", normal);
    struct strv parts = {0};
    strv_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len; i++) {
        CLEANUP(str_freep) char *n = str_printf("[%zu]", i);
        if (*parts.v[i])
            set_param(set, key, n, parts.v[i]);
    }
    strv_clear(&parts);
}

// The same as a map, with that of a file (NULL: none).
static void add_path_map(json_t *set, const json_t *g, const char *path, const char *file)
{
    const char *prefix = json_dot_str(g, "pathParamPrefix");
    struct strv parts = {0};
    json_t *map = json_object();
    json_t *segments = json_array();
    add_base(map, "basename", base_of(path));
    json_object_set_new(map, "path", json_string(path));
    if (file)
        add_base(map, "filename", base_of(file));
    strv_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len; i++)
        json_array_append_new(segments, json_string(parts.v[i]));
    strv_clear(&parts);
    json_object_set_new(map, "segments", segments);
    if (str_is_empty(prefix))
        json_object_set_new(set, "path", map);
    else
        json_object_set_new(set, prefix, json_pack("{s:o}", "path", map));
}

static bool picks_folder(const char *pattern, const char *path)
{
    return glob_match(GLOB_PATH, pattern, path);
}

// As "git ls-files -- PATTERN": a folder's name picks all that is below it.
static bool picks_file(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    while (n && pattern[n - 1] == '/')
        n--;
    if (n && !strncmp(pattern, path, n) && (path[n] == '/' || (!path[n] && !pattern[n])))
        return true;
    return glob_match(GLOB_PATHSPEC, pattern, path);
}

// Included by one pattern and excluded by none.
static bool is_picked(const json_t *patterns, const char *path,
                      bool (*picks)(const char *pattern, const char *path))
{
    bool in = false;
    size_t i;
    json_t *p;
    json_array_foreach(patterns, i, p)
    {
        const char *pattern = json_dot_str(p, "path");
        if (!pattern || !picks(pattern, path))
            continue;
        if (json_dot_bool(p, "exclude", false))
            return false;
        in = true;
    }
    return in;
}

static bool has_hidden_part(const char *path)
{
    return *path == '.' || strstr(path, "/.") != NULL;
}

// Every folder that holds a file, at any depth, each once, in order.
static void folders_of(const struct strv *files, struct strv *out)
{
    for (size_t i = 0; i < files->len; i++) {
        const char *f = files->v[i];
        for (const char *s = strchr(f, '/'); s; s = strchr(s + 1, '/'))
            strv_push_take(out, str_ndup(f, (size_t)(s - f)));
    }
    strv_sort(out);
    size_t kept = 0;
    for (size_t i = 0; i < out->len; i++) {
        if (kept && !strcmp(out->v[kept - 1], out->v[i]))
            free(out->v[i]);
        else
            out->v[kept++] = out->v[i];
    }
    out->len = kept;
}

static bool gen_folders(struct set_reader *r, const json_t *g, const struct strv *files,
                        json_t *sets, struct err *err)
{
    CLEANUP(str_freep) char *key = path_key(g);
    struct strv dirs = {0};
    folders_of(files, &dirs);
    bool ok = true;
    for (size_t i = 0; ok && i < dirs.len; i++) {
        if (has_hidden_part(dirs.v[i]) ||
            !is_picked(json_object_get(g, "directories"), dirs.v[i], picks_folder))
            continue;
        json_t *set = json_object();
        if (r->is_go) {
            add_path_map(set, g, dirs.v[i], NULL);
        } else {
            add_path(set, key, dirs.v[i]);
            add_values(set, json_object_get(g, "values"));
        }
        ok = sets_push(r, sets, set, err);
    }
    strv_clear(&dirs);
    return ok;
}

static bool add_file_set(struct set_reader *r, const json_t *g, const char *path, const json_t *v,
                         json_t *sets, struct err *err)
{
    if (v && !json_is_object(v))
        return err_set(err, ERR_INVALID, "ApplicationSet %s: %s: neither a map nor a list of maps",
                       r->name, path);
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep) char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup(".");
    CLEANUP(str_freep) char *normal = name_normalize(base_of(path));
    CLEANUP(str_freep) char *key = path_key(g);
    json_t *set = json_object();
    if (r->is_go) {
        json_object_update(set, (json_t *)v);
        add_path_map(set, g, dir, path);
        return sets_push(r, sets, set, err);
    }
    if (v)
        flatten_into(set, "", v);
    add_path(set, key, dir);
    set_param(set, key, ".filename", base_of(path));
    set_param(set, key, ".filenameNormalized", normal);
    add_values(set, json_object_get(g, "values"));
    return sets_push(r, sets, set, err);
}

// A file is one map, or a list of maps; an empty one is a map without keys. Of several documents
// Argo CD reads the first.
static bool add_sets_of(struct set_reader *r, const json_t *g, const char *path,
                        const struct yaml_docs *docs, json_t *sets, struct err *err)
{
    const json_t *v = docs->docs.len ? docs->docs.v[0].value : NULL;
    if (docs->docs.len > 1)
        strv_push_take(r->warnings,
                       str_printf("ApplicationSet %s: %s holds %zu documents; the first one counts",
                                  r->name, path, docs->docs.len));
    if (!json_is_array(v))
        return add_file_set(r, g, path, v, sets, err);
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item)
    {
        if (!add_file_set(r, g, path, item, sets, err))
            return false;
    }
    return true;
}

static bool read_params_file(struct set_reader *r, const json_t *g, const char *path, json_t *sets,
                             struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    const char *rev = json_dot_str(g, "revision");
    if (!r->io->git_read(r->io->ctx, json_dot_str(g, "repoURL"), rev ? rev : "", path, &text, err))
        return err_wrap(err, "ApplicationSet %s", r->name);
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = path, .max_bytes = MAX_FILE_BYTES};
    if (!yaml_read(text.p ? text.p : "", text.len, &o, &docs, err))
        return err_wrap(err, "ApplicationSet %s", r->name);
    bool ok = add_sets_of(r, g, path, &docs, sets, err);
    yaml_docs_clear(&docs);
    return ok;
}

static bool check(const struct set_reader *r, const json_t *g, struct err *err)
{
    const json_t *files = json_object_get(g, "files");
    bool has_dirs = json_array_size(json_object_get(g, "directories")) > 0;
    if (str_is_empty(json_dot_str(g, "repoURL")))
        return appset_refuse(r, "git generator: repoURL is required", err);
    if (has_dirs == (json_array_size(files) > 0))
        return appset_refuse(r, "git generator: either directories or files is required", err);
    size_t i;
    json_t *f;
    json_array_foreach(files, i, f)
    {
        const char *path = json_dot_str(f, "path");
        if (path && *path == ':')
            return appset_refuse(r, "git generator: pathspec magic is not supported by regrow",
                                 err);
    }
    return r->io->git_files ||
           appset_refuse(r, "git generator: no repositories can be read here", err);
}

static bool add_all(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    const char *rev = json_dot_str(g, "revision");
    const json_t *files = json_object_get(g, "files");
    struct strv paths = {0};
    bool ok = r->io->git_files(r->io->ctx, json_dot_str(g, "repoURL"), rev ? rev : "", &paths, err);
    if (!ok)
        err_wrap(err, "ApplicationSet %s", r->name);
    else if (!json_array_size(files))
        ok = gen_folders(r, g, &paths, sets, err);
    for (size_t i = 0; ok && json_array_size(files) && i < paths.len; i++)
        if (is_picked(files, paths.v[i], picks_file))
            ok = read_params_file(r, g, paths.v[i], sets, err);
    strv_clear(&paths);
    return ok;
}

bool gen_git(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    size_t first = json_array_size(sets);
    if (!check(r, g, err) || !add_all(r, g, sets, err))
        return false;
    return !r->is_go || go_values(r, "git", json_object_get(g, "values"), sets, first, err);
}
