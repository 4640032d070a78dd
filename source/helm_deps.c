// SPDX-License-Identifier: Apache-2.0
//
// Charts in a tree whose dependencies are not at hand: one that its condition switches off is left
// out, any other is fetched, in the version the chart's lock says.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/copy.h"
#include "source/helm_int.h"

// The files of a chart, and what it depends on: since apiVersion v2 in Chart.yaml, before in
// requirements.yaml.
struct chart_files {
    json_t *doc; // the file that lists dependencies
    const char *list_file, *lock_file;
    json_t *lock; // NULL: there is none
    struct strv files;
};

static void chart_files_clear(struct chart_files *c)
{
    json_decref(c->doc);
    json_decref(c->lock);
    strv_clear(&c->files);
}

// What is a file to us, since nobody enters a link, is a folder to helm.
static bool is_link_named(const char *file, const char *name)
{
    return str_starts(file, "charts/") && !strcmp(file + strlen("charts/"), name);
}

// Is it in charts/, as a folder, a link to one, or packed?
static bool is_at_hand(const struct strv *files, const char *chart, const char *alias)
{
    CLEANUP(str_freep) char *dir = str_printf("charts/%s/", alias);
    CLEANUP(str_freep) char *dir2 = str_printf("charts/%s/", chart);
    CLEANUP(str_freep) char *packed = str_printf("charts/%s-", chart);
    for (size_t i = 0; i < files->len; i++) {
        const char *f = files->v[i];
        if (str_starts(f, dir) || str_starts(f, dir2) || is_link_named(f, alias) ||
            is_link_named(f, chart))
            return true;
        if (!str_starts(f, packed) || !str_ends(f, ".tgz"))
            continue;
        const char *version = f + strlen(packed);
        CLEANUP(str_freep) char *v = str_ndup(version, strlen(version) - 4);
        if (semver_is_version(v))
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
    struct strv part = {.v = &clean, .len = 1};
    CLEANUP(str_freep) char *own = str_printf("%s/local-%s", j->work_dir, name);
    if (!tree_view(j->tree, &part, own, &root, err))
        return false;
    CLEANUP(str_freep) char *from = path_join(root, clean);
    CLEANUP(str_freep) char *to = str_printf("%s/charts/%s", chart_dir, name);
    return folder_copy(from, to, j->loop, err);
}

// The version that is wanted exactly: the lock's, which must be one the chart allows.
static bool locked_version(const struct chart_files *c, const json_t *dep, const char **out,
                           struct err *err)
{
    const char *name = json_dot_str(dep, "name");
    const char *wanted = json_dot_str(dep, "version");
    size_t i;
    json_t *d;
    *out = wanted ? wanted : "";
    if (!c->lock)
        return true;
    json_array_foreach(json_object_get(c->lock, "dependencies"), i, d)
    {
        const char *version = json_dot_str(d, "version");
        if (!str_eq(json_dot_str(d, "name"), name) || !version ||
            !str_eq_empty(json_dot_str(d, "repository"), json_dot_str(dep, "repository")))
            continue;
        if (!strcmp(version, *out) || !**out || semver_satisfies(version, *out)) {
            *out = version;
            return true;
        }
    }
    return err_set(err, ERR_INVALID,
                   "the lock file (%s) is out of sync with the dependencies file (%s): %s %s",
                   c->lock_file, c->list_file, name, *out);
}

static bool fetch_dependency(struct render_job *j, const struct chart_files *f,
                             const char *chart_dir, const json_t *dep, struct err *err)
{
    const char *name = json_dot_str(dep, "name");
    const char *repo = json_dot_str(dep, "repository");
    const char *version = NULL;
    if (strchr(name, '/'))
        return err_set(err, ERR_INVALID, "dependency %s: a name without slashes is wanted", name);
    if (str_is_empty(repo))
        return err_set(err, ERR_NOT_FOUND, "dependency %s is not in charts/", name);
    if (*repo == '@' || str_starts(repo, "alias:"))
        return err_set(err, ERR_INVALID,
                       "dependency %s: repositories by alias (%s) are not supported by regrow; "
                       "write its URL",
                       name, repo);
    if (str_starts(repo, "file://"))
        return copy_local(j, chart_dir, repo, name, err);
    struct chart c = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    bool ok = locked_version(f, dep, &version, err) &&
              chart_fetch(j->ctx, repo, name, version, &c, err) &&
              file_read(c.file, 64U << 20, &b, err);
    if (ok) {
        CLEANUP(str_freep)
        char *to = str_printf("%s/charts/%s-%s.tgz", chart_dir, name, c.version);
        CLEANUP(str_freep) char *dir = str_printf("%s/charts", chart_dir);
        ok = dir_make(dir, 0700, err) && file_put(to, b.p, b.len, 0600, err);
    }
    chart_clear(&c);
    return ok || err_wrap(err, "dependency %s", name);
}

// A YAML map of the chart; NULL when there is no such file.
static bool read_map(struct render_job *j, const char *name, json_t **out, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(j->path, name);
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = name, .warn_only = true};
    if (!tree_has(j->tree, path))
        return true;
    if (!tree_read(j->tree, path, MAX_VALUES_BYTES, &b, err) ||
        !yaml_read(b.p ? b.p : "", b.len, &o, &docs, err))
        return false;
    if (docs.docs.len)
        *out = json_incref(docs.docs.v[0].value);
    yaml_docs_clear(&docs);
    return true;
}

static bool read_lists(struct render_job *j, struct chart_files *c, struct err *err)
{
    CLEANUP(json_freep) json_t *chart = NULL;
    if (!read_map(j, "Chart.yaml", &chart, err))
        return false;
    if (!json_is_object(chart))
        return err_set(err, chart ? ERR_INVALID : ERR_NOT_FOUND, "there is no Chart.yaml in \"%s\"",
                       j->path);
    bool old = !json_object_get(chart, "dependencies") &&
               str_eq_empty(json_dot_str(chart, "apiVersion"), "v1");
    c->list_file = old ? "requirements.yaml" : "Chart.yaml";
    c->lock_file = old ? "requirements.lock" : "Chart.lock";
    if (!old)
        c->doc = TAKE(chart);
    return (!old || read_map(j, c->list_file, &c->doc, err)) &&
           read_map(j, c->lock_file, &c->lock, err);
}

static bool read_chart(struct values *v, struct chart_files *c, struct err *err)
{
    struct render_job *j = v->j;
    size_t n = strlen(j->path);
    struct strv all = {0};
    bool ok = read_lists(j, c, err) && tree_list(j->tree, j->path, true, &all, err);
    for (size_t i = 0; ok && i < all.len; i++) {
        const char *rel = n ? all.v[i] + n + 1 : all.v[i];
        bool text = str_ends(rel, ".yaml") || str_ends(rel, ".tpl") || str_ends(rel, ".yml");
        strv_push(&c->files, rel);
        // A packaged dependency is not looked into, nor a folder that a link leads to.
        j->asks.any |= (str_starts(rel, "charts/") && str_ends(rel, ".tgz")) ||
                       (!text && tree_is_dir(j->tree, all.v[i]));
        if (!text || !strstr(rel, "templates/"))
            continue;
        struct buf b CLEANUP(buf_clear) = {0};
        ok = tree_read(j->tree, all.v[i], MAX_VALUES_BYTES, &b, err);
        if (ok && b.len)
            asks_find(&j->asks, b.p, b.len);
    }
    strv_clear(&all);
    CLEANUP(str_freep) char *values_yaml = path_join(j->path, "values.yaml");
    struct buf d CLEANUP(buf_clear) = {0};
    if (ok && tree_has(j->tree, values_yaml)) {
        ok = tree_read(j->tree, values_yaml, MAX_VALUES_BYTES, &d, err);
        if (ok && d.len) {
            asks_find(&j->asks, d.p, d.len);
            values_merge_text(v, d.p, d.len);
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

// A private copy of the chart without the dependencies that are not there.
bool helm_copy_chart(struct render_job *j, char **dir, struct err *err)
{
    const char *root = NULL;
    CLEANUP(str_freep) char *to = path_join(j->work_dir, "chart");
    CLEANUP(str_freep) char *own = path_join(j->work_dir, RENDER_TREE);
    if (!tree_view(j->tree, &j->parts, own, &root, err))
        return false;
    CLEANUP(str_freep) char *from = path_join(root, j->path);
    CLEANUP(str_freep) char *list = path_join(to, j->own_chart.list_file);
    CLEANUP(str_freep) char *lock = path_join(to, j->own_chart.lock_file);
    if (!folder_copy(from, to, j->loop, err) ||
        !file_put(list, j->own_chart.list, strlen(j->own_chart.list), 0600, err))
        return false;
    struct err ignored = {0};
    if (!dir_remove(lock, &ignored))
        err_clear(&ignored);
    *dir = TAKE(to);
    return true;
}

static void note_list(struct render_job *j, struct chart_files *c, json_t *kept)
{
    struct buf b CLEANUP(buf_clear) = {0};
    json_object_set(c->doc, "dependencies", kept);
    yaml_write(c->doc, &b);
    str_set(&j->own_chart.list_file, c->list_file);
    str_set(&j->own_chart.lock_file, c->lock_file);
    str_set(&j->own_chart.list, b.p ? b.p : "");
}

// With those in place that are wanted.
static bool complete_chart(struct render_job *j, const struct chart_files *c, const json_t *wanted,
                           char **dir, struct err *err)
{
    CLEANUP(str_freep) char *to = NULL;
    if (!helm_copy_chart(j, &to, err))
        return false;
    size_t i;
    json_t *d;
    json_array_foreach(wanted, i, d)
    {
        if (fetch_dependency(j, c, to, d, err))
            continue;
        if (!j->ctx->waits.v.len)
            return false;
        err_clear(err); // the others may begin to come as well
    }
    *dir = TAKE(to);
    return true;
}

bool helm_chart_folder(struct values *v, char **dir, struct err *err)
{
    struct render_job *j = v->j;
    struct chart_files c CLEANUP(chart_files_clear) = {0};
    CLEANUP(json_freep) json_t *wanted = json_array();
    CLEANUP(json_freep) json_t *kept = json_array();
    CLEANUP(json_freep) json_t *given = v->merged;
    size_t absent = 0;
    // The chart's own values come first, what the application gives goes over them.
    v->merged = json_object();
    strv_push(&j->parts, j->path);
    if (!read_chart(v, &c, err))
        return false;
    json_merge(v->merged, given);
    missing_dependencies(&c, v->merged, wanted, kept, &absent);
    j->asks.any |= json_array_size(wanted) > 0;
    if (!absent) {
        *dir = str_dup(RENDER_IN_TREE);
        return true;
    }
    struct buf names CLEANUP(buf_clear) = {0};
    canon_write(kept, &names);
    sha256_add(v->key, names.p, names.len);
    note_list(j, &c, kept);
    if (json_array_size(wanted))
        return complete_chart(j, &c, wanted, dir, err);
    *dir = str_dup(RENDER_OWN_CHART); // when it is not in the cache
    return true;
}
