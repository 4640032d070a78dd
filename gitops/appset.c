// SPDX-License-Identifier: Apache-2.0
//
// Generators to parameter sets (spec argo-cd section 6.2). The template is in appset_template.c.
#include "gitops/appset.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/glob.h"
#include "gitops/json.h"
#include "gitops/yaml.h"

#define MAX_SETS 10000
#define MAX_FILE_BYTES (4U << 20)
#define MAX_NESTING 3

static const char *const generator_names[] = {"list", "clusters", "git", "matrix", "merge"};

static bool refuse(const struct set_reader *r, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "ApplicationSet %s: %s", r->name, what);
}

static bool push_set(const struct set_reader *r, json_t *sets, json_t *set, struct err *err)
{
    if (json_array_size(sets) >= MAX_SETS) {
        json_decref(set);
        return refuse(r, "more than 10000 parameter sets", err);
    }
    json_array_append_new(sets, set);
    return true;
}

// "values" of a generator, templated once with the set's own parameters.
static void add_values(json_t *set, const json_t *values)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)values, key, v)
    {
        if (!json_is_string(v))
            continue;
        CLEANUP(str_freep) char *name = str_printf("values.%s", key);
        CLEANUP(str_freep) char *text = params_fill(json_string_value(v), set);
        json_object_set_new(set, name, json_string(text));
    }
}

static bool add_element(const struct set_reader *r, const json_t *e, json_t *set, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)e, key, v)
    {
        if (!strcmp(key, "values") && json_is_object(v)) {
            add_values(set, v);
        } else if (json_is_string(v)) {
            json_object_set(set, key, v);
        } else {
            CLEANUP(str_freep) char *what = str_printf("list element: %s is not text", key);
            return refuse(r, what, err);
        }
    }
    return true;
}

static bool gen_list(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    if (!str_is_empty(json_dot_str(g, "elementsYaml")))
        return refuse(r, "elementsYaml is not supported by regrow", err);
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(g, "elements"), i, e)
    {
        json_t *set = json_object();
        if (!add_element(r, e, set, err)) {
            json_decref(set);
            return false;
        }
        if (!push_set(r, sets, set, err))
            return false;
    }
    return true;
}

static void add_prefixed(json_t *set, const char *prefix, const json_t *map)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        CLEANUP(str_freep) char *name = str_printf("%s%s", prefix, key);
        json_object_set(set, name, v);
    }
}

static bool gen_clusters(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    if (json_dot_bool(g, "flatList", false))
        return refuse(r, "flatList needs goTemplate, which is not supported by regrow", err);
    CLEANUP(json_freep) json_t *all = r->io->clusters ? r->io->clusters(r->io->ctx) : json_array();
    const json_t *selector = json_object_get(g, "selector");
    bool has_selector = json_object_size(selector) > 0;
    size_t i;
    json_t *c;
    json_array_foreach(all, i, c)
    {
        const json_t *labels = json_object_get(c, "labels");
        bool is_local = json_dot_bool(c, "isLocal", false);
        if (has_selector && (is_local || !json_selector_matches(selector, labels)))
            continue;
        const char *name = json_dot_str(c, "name");
        const char *project = json_dot_str(c, "project");
        CLEANUP(str_freep) char *normal = name_normalize(name ? name : "");
        json_t *set =
            json_pack("{s:s, s:s, s:s, s:s}", "name", name ? name : "", "nameNormalized", normal,
                      "server", json_dot_str(c, "server"), "project", project ? project : "");
        add_prefixed(set, "metadata.labels.", labels);
        add_prefixed(set, "metadata.annotations.", json_object_get(c, "annotations"));
        add_values(set, json_object_get(g, "values"));
        if (!push_set(r, sets, set, err))
            return false;
    }
    return true;
}

// path, path.basename, path[n] ... of a folder, under an optional prefix.
static void add_path(json_t *set, const char *prefix, const char *path)
{
    const char *dot = *prefix ? "." : "";
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    CLEANUP(str_freep) char *normal = name_normalize(base);
    CLEANUP(str_freep) char *k_path = str_printf("%s%spath", prefix, dot);
    CLEANUP(str_freep) char *k_base = str_printf("%s.basename", k_path);
    CLEANUP(str_freep) char *k_normal = str_printf("%s.basenameNormalized", k_path);
    json_object_set_new(set, k_path, json_string(path));
    json_object_set_new(set, k_base, json_string(base));
    json_object_set_new(set, k_normal, json_string(normal));
    struct strv parts = {0};
    strv_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len; i++) {
        CLEANUP(str_freep) char *k = str_printf("%s[%zu]", k_path, i);
        if (*parts.v[i])
            json_object_set_new(set, k, json_string(parts.v[i]));
    }
    strv_clear(&parts);
}

// Included by one pattern and excluded by none.
static bool is_picked(const json_t *patterns, const char *path, enum glob_dialect d)
{
    bool in = false;
    size_t i;
    json_t *p;
    json_array_foreach(patterns, i, p)
    {
        const char *pattern = json_dot_str(p, "path");
        if (!pattern || !glob_match(d, pattern, path))
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

static bool gen_git_directories(struct set_reader *r, const json_t *g, const struct strv *files,
                                json_t *sets, struct err *err)
{
    const char *prefix = json_dot_str(g, "pathParamPrefix");
    struct strv dirs = {0};
    folders_of(files, &dirs);
    bool ok = true;
    for (size_t i = 0; ok && i < dirs.len; i++) {
        if (has_hidden_part(dirs.v[i]) ||
            !is_picked(json_object_get(g, "directories"), dirs.v[i], GLOB_PATH))
            continue;
        json_t *set = json_object();
        add_path(set, prefix ? prefix : "", dirs.v[i]);
        add_values(set, json_object_get(g, "values"));
        ok = push_set(r, sets, set, err);
    }
    strv_clear(&dirs);
    return ok;
}

static void flatten(json_t *set, const char *prefix, const json_t *v)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, x)
        {
            CLEANUP(str_freep)
            char *name = *prefix ? str_printf("%s.%s", prefix, key) : str_dup(key);
            flatten(set, name, x);
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            CLEANUP(str_freep) char *name = str_printf("%s.%zu", prefix, i);
            flatten(set, name, x);
        }
    } else if (*prefix) {
        char *text =
            json_is_string(v) ? str_dup(json_string_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
        json_object_set_new(set, prefix, json_string(text ? text : ""));
        free(text);
    }
}

static bool add_file_set(struct set_reader *r, const json_t *g, const char *path, const json_t *v,
                         json_t *sets, struct err *err)
{
    const char *prefix = json_dot_str(g, "pathParamPrefix");
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep) char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup(".");
    const char *file = slash ? slash + 1 : path;
    CLEANUP(str_freep) char *normal = name_normalize(file);
    json_t *set = json_object();
    flatten(set, "", v);
    add_path(set, prefix ? prefix : "", dir);
    CLEANUP(str_freep)
    char *k = str_printf("%s%spath.filename", prefix ? prefix : "", prefix && *prefix ? "." : "");
    CLEANUP(str_freep) char *kn = str_printf("%sNormalized", k);
    json_object_set_new(set, k, json_string(file));
    json_object_set_new(set, kn, json_string(normal));
    add_values(set, json_object_get(g, "values"));
    return push_set(r, sets, set, err);
}

static bool read_params_file(struct set_reader *r, const json_t *g, const char *path, json_t *sets,
                             struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    const char *rev = json_dot_str(g, "revision");
    if (!r->io->git_read(r->io->ctx, json_dot_str(g, "repoURL"), rev ? rev : "", path, &text, err))
        return false;
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = path, .max_bytes = MAX_FILE_BYTES};
    if (!yaml_read(text.p ? text.p : "", text.len, &o, &docs, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < docs.docs.len; i++) {
        const json_t *v = docs.docs.v[i].value;
        size_t j;
        json_t *item;
        if (json_is_object(v)) {
            ok = add_file_set(r, g, path, v, sets, err);
        } else if (json_is_array(v)) {
            json_array_foreach(v, j, item)
            {
                ok = ok && add_file_set(r, g, path, item, sets, err);
            }
        } else {
            ok = err_set(err, ERR_INVALID, "%s: neither a map nor a list of maps", path);
        }
    }
    yaml_docs_clear(&docs);
    return ok;
}

static bool gen_git(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    const char *url = json_dot_str(g, "repoURL");
    const char *rev = json_dot_str(g, "revision");
    bool dirs = json_array_size(json_object_get(g, "directories")) > 0;
    bool files = json_array_size(json_object_get(g, "files")) > 0;
    if (str_is_empty(url))
        return refuse(r, "git generator: repoURL is required", err);
    if (dirs == files)
        return refuse(r, "git generator: either directories or files is required", err);
    struct strv paths = {0};
    bool ok = r->io->git_files && r->io->git_files(r->io->ctx, url, rev ? rev : "", &paths, err);
    if (!ok && !err_is_set(err))
        refuse(r, "git generator: no repositories can be read here", err);
    if (ok && dirs)
        ok = gen_git_directories(r, g, &paths, sets, err);
    for (size_t i = 0; ok && files && i < paths.len; i++)
        if (is_picked(json_object_get(g, "files"), paths.v[i], GLOB_PATHSPEC))
            ok = read_params_file(r, g, paths.v[i], sets, err);
    strv_clear(&paths);
    return ok;
}

static bool gen_matrix(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                       struct err *err)
{
    const json_t *kids = json_object_get(g, "generators");
    if (json_array_size(kids) != 2)
        return refuse(r, "matrix needs exactly two generators", err);
    CLEANUP(json_freep) json_t *first = json_array();
    if (!generate(r, json_array_get(kids, 0), first, depth + 1, err))
        return false;
    size_t i;
    size_t j;
    json_t *a;
    json_t *b;
    json_array_foreach(first, i, a)
    {
        // The second generator may use the parameters of the first.
        CLEANUP(json_freep) json_t *filled = template_fill(json_array_get(kids, 1), a);
        CLEANUP(json_freep) json_t *second = json_array();
        if (!generate(r, filled, second, depth + 1, err))
            return false;
        json_array_foreach(second, j, b)
        {
            const char *key;
            json_t *v;
            json_object_foreach(b, key, v)
            {
                const json_t *other = json_object_get(a, key);
                if (strcmp(key, TEMPLATE_KEY) != 0 && other && !json_equal((json_t *)other, v)) {
                    CLEANUP(str_freep)
                    char *what = str_printf("matrix: both generators set \"%.80s\"", key);
                    return refuse(r, what, err);
                }
            }
            json_t *set = json_deep_copy(a);
            json_object_update(set, b);
            if (!push_set(r, sets, set, err))
                return false;
        }
    }
    return true;
}

static char *merge_key(const struct set_reader *r, const json_t *keys, const json_t *set)
{
    (void)r;
    struct buf b = {0};
    size_t i;
    json_t *k;
    json_array_foreach(keys, i, k)
    {
        const char *v = json_string_value(json_object_get(set, json_string_value(k)));
        if (!v) {
            buf_clear(&b);
            return NULL;
        }
        buf_printf(&b, "%zu:%s;", strlen(v), v);
    }
    return buf_take(&b);
}

static bool merge_one(struct set_reader *r, const json_t *keys, const json_t *kid, json_t *base,
                      bool is_base, unsigned depth, struct err *err)
{
    CLEANUP(json_freep) json_t *sets = json_array();
    CLEANUP(json_freep) json_t *seen = json_object();
    if (!generate(r, kid, sets, depth + 1, err))
        return false;
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        CLEANUP(str_freep) char *key = merge_key(r, keys, set);
        if (!key)
            continue;
        if (json_object_get(seen, key))
            return refuse(r, "merge: two parameter sets of one generator have equal keys", err);
        json_object_set_new(seen, key, json_true());
        json_t *known = json_object_get(base, key);
        if (is_base)
            json_object_set(base, key, set);
        else if (known)
            json_object_update(known, set);
    }
    return true;
}

static bool gen_merge(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                      struct err *err)
{
    const json_t *kids = json_object_get(g, "generators");
    const json_t *keys = json_object_get(g, "mergeKeys");
    if (json_array_size(kids) < 2)
        return refuse(r, "merge needs at least two generators", err);
    if (!json_array_size(keys))
        return refuse(r, "merge needs mergeKeys", err);
    CLEANUP(json_freep) json_t *base = json_object();
    size_t i;
    json_t *kid;
    json_array_foreach(kids, i, kid)
    {
        if (!merge_one(r, keys, kid, base, i == 0, depth, err))
            return false;
    }
    const char *key;
    json_t *set;
    json_object_foreach(base, key, set)
    {
        if (!push_set(r, sets, json_incref(set), err))
            return false;
    }
    return true;
}

// The post-filter every generator may carry: a label selector over the flattened parameters.
static void filter(json_t *sets, const json_t *selector)
{
    for (size_t i = json_array_size(sets); i > 0; i--)
        if (!json_selector_matches(selector, json_array_get(sets, i - 1)))
            json_array_remove(sets, i - 1);
}

static bool refuse_unknown(struct set_reader *r, const json_t *g, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)g, key, v)
    {
        bool known = !strcmp(key, "selector");
        for (size_t i = 0; i < ARRAY_LEN(generator_names); i++)
            known |= !strcmp(key, generator_names[i]);
        if (!known) {
            CLEANUP(str_freep)
            char *what = str_printf("the %.60s generator is not supported by regrow", key);
            return refuse(r, what, err);
        }
    }
    return true;
}

bool generate(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth, struct err *err)
{
    if (depth > MAX_NESTING)
        return refuse(r, "generators are nested too deep", err);
    if (!json_is_object(g) || !refuse_unknown(r, g, err))
        return err_is_set(err) ? false : refuse(r, "a generator is not a map", err);
    CLEANUP(json_freep) json_t *own = json_array();
    const json_t *x = NULL;
    const json_t *tpl = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(generator_names); i++) {
        x = json_object_get(g, generator_names[i]);
        if (!x || json_is_null(x))
            continue;
        tpl = json_object_get(x, "template");
        ok = i == 0   ? gen_list(r, x, own, err)
             : i == 1 ? gen_clusters(r, x, own, err)
             : i == 2 ? gen_git(r, x, own, err)
             : i == 3 ? gen_matrix(r, x, own, depth, err)
                      : gen_merge(r, x, own, depth, err);
    }
    if (!ok)
        return false;
    if (json_object_get(g, "selector"))
        filter(own, json_object_get(g, "selector"));
    size_t i;
    json_t *set;
    json_array_foreach(own, i, set)
    {
        if (json_object_size(tpl))
            json_object_set(set, TEMPLATE_KEY, (json_t *)tpl);
        if (!push_set(r, sets, json_incref(set), err))
            return false;
    }
    return true;
}
