// SPDX-License-Identifier: Apache-2.0
#include "snapshot/contents.h"

#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/healthy.h"
#include "snapshot/lists.h"

#define MAX_ROWS 5000000 // of all lists: one may be named any number of times

struct listing {
    struct reader *r;
    json_t *out;
    json_t *secrets;
    size_t rows;         // so far
    const char *cluster; // of a hub the other one that is read; NULL: its own
};

static bool whole_list(struct listing *l, const json_t *ref, const char *rows, json_t **out,
                       struct err *err)
{
    if (!list_read(l->r, ref, rows, out, err))
        return false;
    l->rows += json_array_size(json_object_get(*out, rows));
    return l->rows <= MAX_ROWS || err_set(err, ERR_CORRUPT, "more than %d rows", MAX_ROWS);
}

static void copy_text(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);
    if (json_is_string(v))
        json_object_set(to, key, v);
}

static void set_stale(json_t *o, const json_t *ref)
{
    json_object_set_new(o, "stale", json_boolean(json_is_true(json_object_get(ref, "stale"))));
}

// ---- applications ----

static void add_secret(struct listing *l, const json_t *row, const char *application,
                       const char *rule)
{
    json_t *o = json_pack("{s:s*, s:s*, s:s*}", "application", application, "rule", rule, "cluster",
                          l->cluster);
    copy_text(o, row, "namespace");
    copy_text(o, row, "name");
    json_array_append_new(l->secrets, o);
}

static json_t *app_sources(const json_t *app)
{
    static const char *const keys[] = {"kind", "url", "path", "chart", "target", "ref"};
    json_t *out = json_array();
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(app, "sources"), i, v)
    {
        json_t *o = json_object();
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            copy_text(o, v, keys[k]);
        json_array_append_new(out, o);
    }
    return out;
}

static bool add_application(struct listing *l, const json_t *row, json_t *to, struct err *err)
{
    CLEANUP(json_freep) json_t *app = NULL;
    const char *name = json_dot_str(row, "name");
    size_t i;
    json_t *x;
    if (!whole_list(l, row, "objects", &app, err))
        return false;
    const json_t *objects = json_object_get(app, "objects");
    json_t *o = json_pack("{s:s*, s:b, s:I}", "name", name, "read", app != NULL, "objects",
                          (json_int_t)json_array_size(objects));
    copy_text(o, app, "namespace");
    copy_text(o, app, "project");
    copy_text(o, app, "parent");
    if (json_is_true(json_object_get(app, "elsewhere")))
        json_object_set_new(o, "elsewhere", json_true());
    set_stale(o, row);
    json_object_set_new(o, "sources", app_sources(app));
    json_array_append_new(to, o);
    json_array_foreach(objects, i, x)
    {
        if (json_is_true(json_object_get(x, "secret")))
            add_secret(l, x, name, NULL);
    }
    return true;
}

static bool add_shard(struct listing *l, const json_t *hex, json_t *to, struct err *err)
{
    CLEANUP(json_freep) json_t *ref = json_pack("{s:O}", "blob", hex);
    CLEANUP(json_freep) json_t *shard = NULL;
    size_t i;
    json_t *row;
    if (!whole_list(l, ref, "applications", &shard, err))
        return false;
    json_array_foreach(json_object_get(shard, "applications"), i, row)
    {
        if (!add_application(l, row, to, err))
            return false;
    }
    return true;
}

static bool add_applications(struct listing *l, const json_t *root, struct err *err)
{
    const json_t *shards = json_object_get(json_object_get(root, "shards"), "blobs");
    json_t *list = json_array();
    size_t i;
    json_t *hex;
    json_object_set_new(l->out, "applications", list);
    json_array_foreach(shards, i, hex)
    {
        if (!add_shard(l, hex, list, err))
            return false;
    }
    return true;
}

// ---- what they are made of ----

static bool add_source(struct listing *l, const json_t *row, json_t *to, struct err *err)
{
    CLEANUP(json_freep) json_t *source = NULL;
    json_int_t bytes = 0;
    size_t i;
    json_t *f;
    if (!whole_list(l, row, "files", &source, err))
        return false;
    const json_t *files = json_object_get(source, "files");
    json_array_foreach(files, i, f)
    {
        bytes += json_integer_value(json_object_get(f, "size"));
    }
    json_t *o =
        json_pack("{s:I, s:I}", "files", (json_int_t)json_array_size(files), "bytes", bytes);
    static const char *const keys[] = {"kind", "url", "chart", "target"};
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        copy_text(o, row, keys[k]);
    copy_text(o, source, "revision");
    copy_text(o, source, "digest");
    set_stale(o, row);
    json_array_append_new(to, o);
    return true;
}

static bool add_repository(struct listing *l, const json_t *row, json_t *to, struct err *err)
{
    CLEANUP(json_freep) json_t *repo = NULL;
    if (!whole_list(l, row, "refs", &repo, err))
        return false;
    json_t *o =
        json_pack("{s:I}", "refs", (json_int_t)json_array_size(json_object_get(repo, "refs")));
    copy_text(o, row, "url");
    copy_text(o, repo, "head");
    copy_text(o, repo, "format");
    set_stale(o, row);
    json_array_append_new(to, o);
    return true;
}

static bool add_live(struct listing *l, const json_t *row, json_t *to, struct err *err)
{
    (void)err;
    bool is_secret = json_is_true(json_object_get(row, "secret"));
    json_t *o = json_object();
    static const char *const keys[] = {"kind", "namespace", "name", "rule"};
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        copy_text(o, row, keys[k]);
    json_array_append_new(to, o);
    if (is_secret)
        add_secret(l, row, NULL, json_dot_str(row, "rule"));
    return true;
}

static const struct part {
    const char *root, *rows, *as; // member of the root, of its list, of the document
    bool (*add)(struct listing *l, const json_t *row, json_t *to, struct err *err);
} parts[] = {
    {"sources", "sources", "sources", add_source},
    {"git", "repositories", "git", add_repository},
    {"live", "objects", "live", add_live},
};

static bool add_part(struct listing *l, const json_t *root, const struct part *p, struct err *err)
{
    CLEANUP(json_freep) json_t *list = NULL;
    json_t *to = json_array();
    size_t i;
    json_t *row;
    json_object_set_new(l->out, p->as, to);
    if (!whole_list(l, json_object_get(root, p->root), p->rows, &list, err))
        return false;
    json_array_foreach(json_object_get(list, p->rows), i, row)
    {
        if (!p->add(l, row, to, err))
            return false;
    }
    return true;
}

// ---- a hub's other clusters ----

static bool add_cluster(struct listing *l, const json_t *row, json_t *to, struct err *err)
{
    static const char *const keys[] = {"kubernetes", "of"};
    CLEANUP(json_freep) json_t *cluster = NULL;
    CLEANUP(json_freep) json_t *apps = json_array();
    json_t *o = json_object();
    json_int_t objects = 0;
    json_int_t n = 0;
    size_t i;
    json_t *x;
    json_array_append_new(to, o);
    copy_text(o, row, "name");
    copy_text(o, row, "server");
    set_stale(o, row);
    if (!list_open(l->r, row, &cluster, err))
        return false;
    l->cluster = json_dot_str(row, json_object_get(row, "name") ? "name" : "server");
    json_array_foreach(json_dot(cluster, "shards.blobs"), i, x)
    {
        if (!add_shard(l, x, apps, err))
            return false;
    }
    l->cluster = NULL;
    json_array_foreach(apps, i, x)
    {
        objects += json_integer_value(json_object_get(x, "objects"));
        n += json_object_get(x, "parent") && !json_is_true(json_object_get(x, "elsewhere"));
    }
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        copy_text(o, cluster, keys[k]);
    json_object_set_new(o, "read", json_boolean(cluster != NULL));
    json_object_set_new(o, "applications", json_integer(n));
    json_object_set_new(o, "objects", json_integer(objects));
    return true;
}

static bool add_clusters(struct listing *l, const json_t *root, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_clusters(l->r, root, &rows, err))
        return false;
    if (!json_array_size(rows))
        return true;
    json_t *to = json_array();
    json_object_set_new(l->out, "clusters", to);
    json_array_foreach(rows, i, row)
    {
        if (!add_cluster(l, row, to, err))
            return false;
    }
    return true;
}

// ---- what was healthy ----

// The root has a name and nothing else; where an application has that name it is called otherwise.
static const json_t *root_of(const json_t *doc)
{
    const char *name = json_dot_str(doc, "name");
    CLEANUP(str_freep) char *plain = str_dup(name ? name : "");
    CLEANUP(str_freep) char *other = NULL;
    const json_t *found = NULL;
    size_t i;
    json_t *app;
    for (char *p = plain; *p; p++)
        if (*p == ' ')
            *p = '-';
    other = str_printf("root_%s", plain);
    json_array_foreach(json_object_get(doc, "applications"), i, app)
    {
        const char *is = json_dot_str(app, "name");
        if (!json_object_get(app, "parent") && !json_object_get(app, "namespace") &&
            (str_eq(is, plain) || str_eq(is, other)))
            found = app;
    }
    return found;
}

static const char *revision_of(const json_t *doc, const json_t *asked)
{
    CLEANUP(str_freep) char *key = asked ? list_source_key(asked) : NULL;
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(doc, "sources"), i, s)
    {
        CLEANUP(str_freep) char *is = list_source_key(s);
        if (str_eq(is, key))
            return json_dot_str(s, "revision");
    }
    return NULL;
}

static bool add_healthy(struct listing *l, const json_t *root, struct err *err)
{
    CLEANUP(json_freep) json_t *healthy = NULL;
    size_t i;
    json_t *app;
    if (!snapshot_healthy(l->r, root, &healthy, err))
        return false;
    if (!healthy)
        return true; // nobody knew
    json_array_foreach(json_object_get(l->out, "applications"), i, app)
    {
        json_t *revision = json_object_get(healthy, json_dot_text(app, "name"));
        if (revision)
            json_object_set(app, "healthy", revision);
    }
    const json_t *top = root_of(l->out);
    const char *commit = json_dot_str(top, "healthy");
    const json_t *source = json_array_get(json_object_get(top, "sources"), 0);
    bool is_current = commit && str_eq(commit, revision_of(l->out, source));
    json_object_set_new(l->out, "healthy",
                        json_pack("{s:s*, s:b}", "commit", commit, "current", is_current));
    return true;
}

static bool add_versions(struct listing *l, const json_t *root, struct err *err)
{
    static const char *const keys[] = {"tool", "helm", "kustomize", "kubernetes"};
    CLEANUP(json_freep) json_t *v = NULL;
    json_t *o = json_object();
    json_object_set_new(l->out, "versions", o);
    if (!list_open(l->r, json_object_get(root, "versions"), &v, err))
        return false;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        copy_text(o, v, keys[k]);
    const json_t *cluster = json_object_get(v, "cluster");
    copy_text(o, cluster, "uid");
    copy_text(o, cluster, "server");
    return true;
}

bool contents_read(struct reader *r, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *doc = json_object();
    struct listing l = {.r = r, .out = doc, .secrets = json_array()};
    *out = NULL;
    json_object_set_new(doc, "secrets", l.secrets);
    if (!reader_root(r, &root, err))
        return false;
    if (!str_eq(json_dot_str(root, "type"), "regrow root v1"))
        return err_set(err, ERR_CORRUPT, "what should be the root is none");
    if (!add_applications(&l, root, err))
        return false;
    copy_text(doc, root, "name");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!add_part(&l, root, &parts[i], err))
            return false;
    if (!add_versions(&l, root, err) || !add_clusters(&l, root, err) || !add_healthy(&l, root, err))
        return false;
    *out = TAKE(doc);
    return true;
}
