// SPDX-License-Identifier: Apache-2.0
//
// helm template with every form of values (spec argo-cd section 1.5), and charts whose dependencies
// are not at hand: one that its condition switches off is left out, any other is fetched.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/render.h"

#define MAX_VALUES_BYTES (4U << 20)

struct values {
    struct render_job *j;
    struct sha256_ctx *key;
    json_t *merged; // what conditions are looked up in
    unsigned files;
};

static void merge(json_t *base, const json_t *over)
{
    const char *k;
    json_t *v;
    json_object_foreach((json_t *)over, k, v)
    {
        json_t *have = json_object_get(base, k);
        if (json_is_object(have) && json_is_object(v))
            merge(have, v);
        else
            json_object_set_new(base, k, json_deep_copy(v));
    }
}

static void merge_text(struct values *v, const char *text, size_t len)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "values", .warn_only = true};
    struct err err = {0};
    // What is wrong with it helm itself will say.
    if (yaml_read(text, len, &o, &docs, &err) && docs.docs.len)
        merge(v->merged, docs.docs.v[0].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
}

static bool add_values(struct values *v, const char *text, size_t len, struct err *err)
{
    CLEANUP(str_freep)
    char *path = str_printf("%s/values-%u.yaml", v->j->work_dir, v->files++);
    sha256_add_str(v->key, "values");
    sha256_add(v->key, text, len);
    asks_find(&v->j->asks, text, len); // values may hold templates
    merge_text(v, text, len);
    if (!file_replace(path, text, len, 0600, err))
        return false;
    strv_push(&v->j->argv, "--values");
    strv_push(&v->j->argv, path);
    return true;
}

// The tree and path a value file names: "$ref/x", "/x" from the repository's root, or beside the
// chart.
static bool locate(struct values *v, const char *name, struct tree **tree, char **path,
                   struct err *err)
{
    struct render_job *j = v->j;
    *tree = j->tree;
    const char *rest = name;
    CLEANUP(str_freep) char *joined = NULL;
    if (*name == '$') {
        size_t n = strcspn(name + 1, "/");
        *tree = NULL;
        for (size_t i = 0; i < j->n_refs; i++)
            if (strlen(j->refs[i].name) == n && !strncmp(j->refs[i].name, name + 1, n))
                *tree = j->refs[i].tree;
        if (!*tree)
            return err_set(err, ERR_INVALID, "value file %s: no source has that ref", name);
        rest = name[n + 1] ? name + n + 2 : "";
        joined = str_dup(rest);
    } else if (*name == '/') {
        joined = str_dup(name + 1);
    } else {
        joined = path_join(j->path, name);
    }
    return path_clean(joined, path) ||
           err_set(err, ERR_INVALID, "value file %s leaves the repository", name);
}

static bool add_glob(struct values *v, struct tree *tree, const char *pattern, bool may_miss,
                     struct err *err)
{
    struct strv files = {0};
    bool ok = tree_list(tree, "", true, &files, err);
    bool any = false;
    for (size_t i = 0; ok && i < files.len; i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        if (!glob_match(GLOB_DOUBLESTAR, pattern, files.v[i]))
            continue;
        any = true;
        ok = tree_read(tree, files.v[i], MAX_VALUES_BYTES, &b, err) &&
             add_values(v, b.p ? b.p : "", b.len, err);
    }
    strv_clear(&files);
    return ok &&
           (any || may_miss || err_set(err, ERR_NOT_FOUND, "no value file matches %s", pattern));
}

static bool add_value_file(struct values *v, const char *written, bool may_miss, struct err *err)
{
    struct render_job *j = v->j;
    struct tree *tree = NULL;
    CLEANUP(str_freep) char *path = NULL;
    CLEANUP(str_freep) char *name = *written == '$' ? str_dup(written) : build_env_fill(j, written);
    struct buf b CLEANUP(buf_clear) = {0};
    bool remote = str_starts(name, "https://") || str_starts(name, "http://");
    if (remote) {
        if (!url_fetch(j->ctx, name, MAX_VALUES_BYTES, &b, err))
            return err_wrap(err, "value file");
    } else {
        if (!locate(v, name, &tree, &path, err))
            return false;
        if (tree && strpbrk(path, "*?["))
            return add_glob(v, tree, path, may_miss, err);
        bool ok = tree ? tree_read(tree, path, MAX_VALUES_BYTES, &b, err)
                       : chart_read(j->chart.file, path, MAX_VALUES_BYTES, &b, err);
        if (!ok && err->kind == ERR_NOT_FOUND && may_miss) {
            err_clear(err);
            return true;
        }
        if (!ok)
            return err_wrap(err, "value file %s", name);
    }
    return add_values(v, b.p ? b.p : "", b.len, err);
}

// Commas separate pairs in --set: they are escaped, unless the value is a list in braces.
static char *escape_commas(const char *s)
{
    size_t n = strlen(s);
    if (n > 1 && s[0] == '{' && s[n - 1] == '}')
        return str_dup(s);
    struct buf b = {0};
    for (; *s; s++) {
        if (*s == ',' && (b.len == 0 || b.p[b.len - 1] != '\\'))
            buf_char(&b, '\\');
        buf_char(&b, *s);
    }
    return buf_take(&b);
}

static void note_condition(struct values *v, const char *name, const char *value)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return;
    struct strv p = {0};
    json_t *at = v->merged;
    strv_split(&p, name, '.');
    for (size_t i = 0; i + 1 < p.len; i++) {
        json_t *next = json_object_get(at, p.v[i]);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(at, p.v[i], next);
        }
        at = next;
    }
    json_object_set_new(at, p.v[p.len - 1], json_boolean(!strcmp(value, "true")));
    strv_clear(&p);
}

static bool add_parameters(struct values *v, const json_t *helm, struct err *err)
{
    struct render_job *j = v->j;
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(helm, "parameters"), i, p)
    {
        const char *name = json_dot_str(p, "name");
        const char *raw = json_dot_str(p, "value");
        if (str_is_empty(name))
            continue;
        CLEANUP(str_freep) char *filled = build_env_fill(j, raw ? raw : "");
        CLEANUP(str_freep) char *value = escape_commas(filled);
        CLEANUP(str_freep) char *pair = str_printf("%s=%s", name, value);
        bool text = json_dot_bool(p, "forceString", false);
        strv_push(&j->argv, text ? "--set-string" : "--set");
        strv_push(&j->argv, pair);
        sha256_add_str(v->key, text ? "set-string" : "set");
        sha256_add_str(v->key, pair);
        note_condition(v, name, filled);
    }
    json_array_foreach(json_object_get(helm, "fileParameters"), i, p)
    {
        const char *name = json_dot_str(p, "name");
        const char *file = json_dot_str(p, "path");
        struct tree *tree = NULL;
        CLEANUP(str_freep) char *path = NULL;
        struct buf b CLEANUP(buf_clear) = {0};
        if (!name || !file || !locate(v, file, &tree, &path, err))
            return err_is_set(err) ? false : err_set(err, ERR_INVALID, "fileParameters: malformed");
        if (!(tree ? tree_read(tree, path, MAX_VALUES_BYTES, &b, err)
                   : chart_read(j->chart.file, path, MAX_VALUES_BYTES, &b, err)))
            return err_wrap(err, "fileParameters %s", name);
        CLEANUP(str_freep) char *to = str_printf("%s/file-%zu", j->work_dir, i);
        CLEANUP(str_freep) char *pair = str_printf("%s=%s", name, to);
        sha256_add_str(v->key, name);
        sha256_add(v->key, b.p ? b.p : "", b.len);
        if (!file_replace(to, b.p ? b.p : "", b.len, 0600, err))
            return false;
        strv_push(&j->argv, "--set-file");
        strv_push(&j->argv, pair);
    }
    return true;
}

static bool add_all_values(struct values *v, const json_t *helm, struct err *err)
{
    bool may_miss = json_dot_bool(helm, "ignoreMissingValueFiles", false);
    const json_t *object = json_object_get(helm, "valuesObject");
    const char *text = json_dot_str(helm, "values");
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(helm, "valueFiles"), i, f)
    {
        const char *name = json_string_value(f);
        if (name && !add_value_file(v, name, may_miss, err))
            return false;
    }
    if (json_is_object(object) && json_object_size(object)) {
        struct buf b CLEANUP(buf_clear) = {0};
        canon_write(object, &b);
        if (!add_values(v, b.p, b.len, err))
            return false;
    } else if (!str_is_empty(text) && !add_values(v, text, strlen(text), err)) {
        return false;
    }
    return add_parameters(v, helm, err);
}

// ---- dependencies ----
static bool is_at_hand(const struct strv *files, const char *chart, const char *name)
{
    CLEANUP(str_freep) char *dir = str_printf("charts/%s/", name);
    CLEANUP(str_freep) char *dir2 = str_printf("charts/%s/", chart);
    CLEANUP(str_freep) char *tgz = str_printf("charts/%s-", chart);
    for (size_t i = 0; i < files->len; i++) {
        const char *f = files->v[i];
        if (str_starts(f, dir) || str_starts(f, dir2) ||
            (str_starts(f, tgz) && str_ends(f, ".tgz")))
            return true;
    }
    return false;
}

// Is the dependency switched off by its condition? The first path that is a boolean decides.
static bool is_off(const json_t *values, const json_t *dep)
{
    const char *condition = json_dot_str(dep, "condition");
    struct strv paths = {0};
    bool off = false;
    if (condition)
        strv_split(&paths, condition, ',');
    for (size_t i = 0; i < paths.len; i++) {
        const json_t *x = json_dot(values, paths.v[i] + strspn(paths.v[i], " "));
        if (json_is_boolean(x)) {
            off = !json_is_true(x);
            break;
        }
    }
    strv_clear(&paths);
    return off;
}

static bool copy_local(struct render_job *j, const char *chart_dir, const char *repo,
                       const char *name, struct err *err)
{
    CLEANUP(str_freep) char *joined = path_join(j->path, repo + strlen("file://"));
    CLEANUP(str_freep) char *clean = NULL;
    const char *root = NULL;
    if (!path_clean(joined, &clean))
        return err_set(err, ERR_INVALID, "dependency %s leaves the repository", name);
    if (!tree_folder(j->tree, &root, err))
        return false;
    CLEANUP(str_freep) char *from = path_join(root, clean);
    CLEANUP(str_freep) char *to = str_printf("%s/charts/%s", chart_dir, name);
    return folder_copy(from, to, err);
}

static bool fetch_dependency(struct render_job *j, const char *chart_dir, const json_t *dep,
                             struct err *err)
{
    const char *name = json_dot_str(dep, "name");
    const char *repo = json_dot_str(dep, "repository");
    const char *version = json_dot_str(dep, "version");
    if (str_is_empty(repo))
        return err_set(err, ERR_NOT_FOUND, "dependency %s is not in charts/", name);
    if (str_starts(repo, "file://"))
        return copy_local(j, chart_dir, repo, name, err);
    struct chart c = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    bool ok = chart_fetch(j->ctx, repo, name, version ? version : "", &c, err) &&
              file_read(c.file, 64U << 20, &b, err);
    if (ok) {
        CLEANUP(str_freep)
        char *to = str_printf("%s/charts/%s-%s.tgz", chart_dir, name, c.version);
        CLEANUP(str_freep) char *dir = str_printf("%s/charts", chart_dir);
        ok = dir_make(dir, 0700, err) && file_replace(to, b.p, b.len, 0600, err);
    }
    chart_clear(&c);
    return ok || err_wrap(err, "dependency %s", name);
}

struct chart_files {
    json_t *doc; // Chart.yaml
    struct strv files;
};

static bool read_chart(struct render_job *j, struct values *v, struct chart_files *c,
                       struct err *err)
{
    size_t n = strlen(j->path);
    struct strv all = {0};
    bool ok = tree_list(j->tree, j->path, true, &all, err);
    for (size_t i = 0; ok && i < all.len; i++) {
        const char *rel = n ? all.v[i] + n + 1 : all.v[i];
        bool text = str_ends(rel, ".yaml") || str_ends(rel, ".tpl") || str_ends(rel, ".yml");
        strv_push(&c->files, rel);
        // A packaged dependency is not looked into.
        j->asks.any |= str_starts(rel, "charts/") && str_ends(rel, ".tgz");
        if (!text || !strstr(rel, "templates/"))
            continue;
        struct buf b CLEANUP(buf_clear) = {0};
        ok = tree_read(j->tree, all.v[i], MAX_VALUES_BYTES, &b, err);
        if (ok && b.len)
            asks_find(&j->asks, b.p, b.len);
    }
    strv_clear(&all);
    CLEANUP(str_freep) char *chart_yaml = path_join(j->path, "Chart.yaml");
    CLEANUP(str_freep) char *values_yaml = path_join(j->path, "values.yaml");
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf d CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "Chart.yaml", .warn_only = true};
    ok = ok && tree_read(j->tree, chart_yaml, MAX_VALUES_BYTES, &b, err) &&
         yaml_read(b.p, b.len, &o, &docs, err);
    if (ok && docs.docs.len)
        c->doc = json_incref(docs.docs.v[0].value);
    yaml_docs_clear(&docs);
    if (ok && tree_has(j->tree, values_yaml)) {
        ok = tree_read(j->tree, values_yaml, MAX_VALUES_BYTES, &d, err);
        if (ok && d.len) {
            asks_find(&j->asks, d.p, d.len);
            merge_text(v, d.p, d.len);
        }
    }
    return ok;
}

// Which declared dependencies are not in charts/ (and of those, which are wanted).
static void missing_dependencies(const struct chart_files *c, const json_t *values, json_t *wanted,
                                 json_t *kept, size_t *absent)
{
    size_t i;
    json_t *d;
    json_array_foreach(json_object_get(c->doc, "dependencies"), i, d)
    {
        const char *name = json_dot_str(d, "name");
        const char *alias = json_dot_str(d, "alias");
        if (!name)
            continue;
        if (is_at_hand(&c->files, name, alias ? alias : name)) {
            json_array_append(kept, d);
            continue;
        }
        ++*absent;
        if (is_off(values, d))
            continue;
        json_array_append(kept, d);
        json_array_append(wanted, d);
    }
}

// A private copy of the chart with its dependencies in place, or without the absent ones.
static bool complete_chart(struct render_job *j, struct chart_files *c, const json_t *wanted,
                           json_t *kept, char **dir, struct err *err)
{
    const char *root = NULL;
    CLEANUP(str_freep) char *to = path_join(j->work_dir, "chart");
    struct buf b CLEANUP(buf_clear) = {0};
    if (!tree_folder(j->tree, &root, err))
        return false;
    CLEANUP(str_freep) char *from = path_join(root, j->path);
    CLEANUP(str_freep) char *chart_yaml = path_join(to, "Chart.yaml");
    if (!folder_copy(from, to, err))
        return false;
    json_object_set(c->doc, "dependencies", kept);
    yaml_write(c->doc, &b);
    if (!file_replace(chart_yaml, b.p, b.len, 0600, err))
        return false;
    CLEANUP(str_freep) char *lock = path_join(to, "Chart.lock");
    struct err ignored = {0};
    if (!dir_remove(lock, &ignored))
        err_clear(&ignored);
    size_t i;
    json_t *d;
    json_array_foreach(wanted, i, d)
    {
        if (fetch_dependency(j, to, d, err))
            continue;
        if (!j->ctx->waits.v.len)
            return false;
        err_clear(err); // the others may begin to come as well
    }
    *dir = TAKE(to);
    return true;
}

static bool chart_folder(struct render_job *j, struct values *v, char **dir, struct err *err)
{
    struct chart_files c = {0};
    CLEANUP(json_freep) json_t *wanted = json_array();
    CLEANUP(json_freep) json_t *kept = json_array();
    CLEANUP(json_freep) json_t *given = v->merged;
    size_t absent = 0;
    // The chart's own values come first, what the application gives goes over them.
    v->merged = json_object();
    bool ok = read_chart(j, v, &c, err);
    merge(v->merged, given);
    if (ok) {
        missing_dependencies(&c, v->merged, wanted, kept, &absent);
        j->asks.any |= json_array_size(wanted) > 0;
        if (absent) {
            struct buf names CLEANUP(buf_clear) = {0};
            canon_write(kept, &names);
            sha256_add(v->key, names.p, names.len);
            ok = complete_chart(j, &c, wanted, kept, dir, err);
        } else {
            *dir = str_dup(RENDER_IN_TREE);
        }
    }
    json_decref(c.doc);
    strv_clear(&c.files);
    return ok;
}

static bool check_version(const json_t *helm, struct err *err)
{
    const char *v = json_dot_str(helm, "version");
    if (str_is_empty(v) || !strcmp(v, "v3") || !strcmp(v, "v4"))
        return true;
    return err_set(err, ERR_INVALID, "helm version \"%.40s\" is not known", v);
}

// The APIs a chart is told of, and its cache key: those it asks about, or all when that is unknown.
static void add_apis(struct render_job *j, const json_t *helm, struct sha256_ctx *key)
{
    const json_t *own = json_object_get(helm, "apiVersions");
    struct strv named = {0};
    struct strv told = {0};
    size_t i;
    json_t *x;
    json_array_foreach(own, i, x)
    {
        if (json_is_string(x))
            strv_push(&named, json_string_value(x));
    }
    const struct strv *served = named.len ? &named : j->api_versions;
    for (i = 0; served && j->asks.any && i < served->len; i++)
        strv_push(&told, served->v[i]);
    for (i = 0; !j->asks.any && i < j->asks.names.len; i++) {
        const char *name = j->asks.names.v[i];
        bool is_served = served && strv_has(served, name);
        if (is_served)
            strv_push(&told, name);
        if (!named.len)
            strv_push_take(&j->answers, str_printf("%d%s", (int)is_served, name));
    }
    struct buf b CLEANUP(buf_clear) = {0};
    for (i = 0; i < told.len; i++)
        buf_printf(&b, "%s%s", b.len ? "," : "", told.v[i]);
    if (b.len) {
        strv_push(&j->argv, "--api-versions");
        strv_push(&j->argv, b.p);
        sha256_add_str(key, b.p);
    }
    j->asks.any &= !named.len; // what the application itself names does not change
    strv_clear(&named);
    strv_clear(&told);
}

bool helm_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err)
{
    const json_t *helm = j->src ? j->src->helm : NULL;
    struct values v = {.j = j, .key = key, .merged = json_object()};
    const char *release = json_dot_str(helm, "releaseName");
    const char *ns = json_dot_str(helm, "namespace");
    const char *kube = json_dot_str(helm, "kubeVersion");
    CLEANUP(str_freep) char *chart = NULL;
    CLEANUP(str_freep) char *id = NULL;
    if (str_is_empty(release))
        release = j->app->name;
    if (str_is_empty(ns))
        ns = j->app->dest_namespace ? j->app->dest_namespace : "default";
    if (str_is_empty(kube))
        kube = j->ctx->o->kube_version;
    strv_push(&j->argv, "helm");
    strv_push(&j->argv, "template");
    strv_push(&j->argv, release);
    strv_push(&j->argv, "CHART"); // filled in below
    bool ok = check_version(helm, err) && add_all_values(&v, helm, err);
    if (ok && j->chart.file) {
        chart = str_dup(j->chart.file);
        id = str_dup(j->chart.digest);
        ok = chart_asks(j->chart.file, &j->asks, err);
    } else if (ok) {
        ok = chart_folder(j, &v, &chart, err) && tree_id(j->tree, "", &id, err);
    }
    json_decref(v.merged);
    if (!ok)
        return false;
    free(j->argv.v[3]);
    j->argv.v[3] = str_dup(chart);
    const struct {
        const char *flag, *value;
    } flags[] = {{"--namespace", ns}, {"--kube-version", kube}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (str_is_empty(flags[i].value))
            continue;
        strv_push(&j->argv, flags[i].flag);
        strv_push(&j->argv, flags[i].value);
        sha256_add_str(key, flags[i].value);
    }
    if (!json_dot_bool(helm, "skipCrds", false))
        strv_push(&j->argv, "--include-crds");
    if (json_dot_bool(helm, "skipTests", false))
        strv_push(&j->argv, "--skip-tests");
    if (json_dot_bool(helm, "skipSchemaValidation", false))
        strv_push(&j->argv, "--skip-schema-validation");
    sha256_add_str(key, id);
    sha256_add_str(key, release);
    for (size_t i = 4; i < j->argv.len; i++)
        if (str_starts(j->argv.v[i], "--i") || str_starts(j->argv.v[i], "--sk"))
            sha256_add_str(key, j->argv.v[i]);
    add_apis(j, helm, key);
    return true;
}
