// SPDX-License-Identifier: Apache-2.0
//
// kubeconfig as kubectl reads it: a list of files of which the first that names something wins. The
// entries themselves are read by kubeentry.c.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kube/kube_int.h"

#define MAX_FILE_BYTES (8U << 20)
#define ANOTHER_HINT "Name a kubeconfig as kubectl has it: --kubeconfig FILE or KUBECONFIG."

// All files merged: maps of name -> entry (with "dir" beside the entry's content).
struct merged {
    json_t *clusters, *users, *contexts;
    char *current;
    char *names; // of the files, for messages
    char *empty; // of those that say nothing
    size_t files;
};

static void merged_clear(struct merged *m)
{
    json_decref(m->clusters);
    json_decref(m->users);
    json_decref(m->contexts);
    free(m->current);
    free(m->names);
    free(m->empty);
}

void kubeconfig_free(struct kubeconfig *c)
{
    if (!c)
        return;
    free(c->context);
    free(c->server);
    free(c->namespace);
    buf_clear(&c->ca);
    buf_clear(&c->cert);
    if (c->key.p)
        memset(c->key.p, 0, c->key.len);
    buf_clear(&c->key);
    free(c->token);
    free(c->token_file);
    free(c->username);
    free(c->password);
    free(c->proxy_url);
    free(c->tls_server_name);
    free(c->as_user);
    free(c->as_uid);
    json_decref(c->as_groups);
    json_decref(c->as_extra);
    json_decref(c->exec_config);
    exec_plugin_free(c->exec);
    free(c);
}

const char *kubeconfig_server(const struct kubeconfig *c)
{
    return c->server;
}

const char *kubeconfig_context(const struct kubeconfig *c)
{
    return c->context;
}

const char *kubeconfig_namespace(const struct kubeconfig *c)
{
    return c->namespace;
}

static void add_entries(json_t *into, const json_t *list, const char *field, const char *dir)
{
    size_t i;
    json_t *e;
    json_array_foreach(list, i, e)
    {
        const char *name = json_dot_str(e, "name");
        json_t *body = json_object_get(e, field);
        if (!name || !json_is_object(body) || json_object_get(into, name))
            continue;
        json_t *copy = json_deep_copy(body);
        json_object_set_new(copy, ENTRY_DIR, json_string(dir));
        json_object_set_new(into, name, copy);
    }
}

static void add_name(char **names, const char *path)
{
    char *more = *names ? str_printf("%s, %s", *names, path) : str_dup(path);
    free(*names);
    *names = more;
}

static bool no_kubeconfig(struct err *err)
{
    err_wrap(err, "kubeconfig");
    if (err->kind == ERR_DENIED)
        return err_hint(err,
                        "Let it be read, or name another one: --kubeconfig FILE or KUBECONFIG.");
    return err_hint(err, ANOTHER_HINT);
}

static bool add_file(struct merged *m, const char *path, bool may_miss, struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    if (may_miss && !file_exists(path))
        return true;
    if (file_is_dir(path)) {
        err_set(err, ERR_INVALID, "kubeconfig %s is a folder", path);
        return err_hint(err, ANOTHER_HINT);
    }
    if (!file_read(path, MAX_FILE_BYTES, &text, err))
        return no_kubeconfig(err);
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = path, .warn_only = true};
    if (!yaml_read(text.p, text.len, &o, &docs, err))
        return no_kubeconfig(err);
    const json_t *doc = docs.docs.len ? docs.docs.v[0].value : NULL;
    bool is_empty = !doc || json_is_null(doc);
    bool ok = is_empty || json_is_object(doc) ||
              err_set(err, ERR_INVALID, "kubeconfig %s is not a map", path) ||
              err_hint(err, ANOTHER_HINT);
    if (is_empty)
        add_name(&m->empty, path);
    if (ok && !is_empty) {
        const char *slash = strrchr(path, '/');
        CLEANUP(str_freep)
        char *dir = !slash          ? str_dup(".")
                    : slash == path ? str_dup("/")
                                    : str_ndup(path, (size_t)(slash - path));
        add_entries(m->clusters, json_object_get(doc, "clusters"), "cluster", dir);
        add_entries(m->users, json_object_get(doc, "users"), "user", dir);
        add_entries(m->contexts, json_object_get(doc, "contexts"), "context", dir);
        if (!m->current && !str_is_empty(json_dot_str(doc, "current-context")))
            m->current = str_dup(json_dot_str(doc, "current-context"));
        m->files++;
        add_name(&m->names, path);
    }
    yaml_docs_clear(&docs);
    return ok;
}

static bool read_files(struct merged *m, const char *path, struct err *err)
{
    const char *list = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    if (path)
        return add_file(m, path, false, err);
    if (list && *list) {
        struct strv paths = {0};
        strv_split(&paths, list, ':');
        bool ok = true;
        for (size_t i = 0; ok && i < paths.len; i++)
            if (*paths.v[i])
                ok = add_file(m, paths.v[i], true, err);
        strv_clear(&paths);
        return ok;
    }
    CLEANUP(str_freep) char *p = str_printf("%s/.kube/config", home ? home : "");
    return add_file(m, p, true, err);
}

static char *names_of(const json_t *map)
{
    struct strv names = {0};
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        strv_push(&names, key);
    }
    strv_sort(&names);
    struct buf b = {0};
    for (size_t i = 0; i < names.len && i < 10; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", names.v[i]);
    if (names.len > 10)
        buf_printf(&b, " and %zu more", names.len - 10);
    strv_clear(&names);
    return buf_take(&b);
}

// The context that is meant; NULL with the error when there is none to take.
static const json_t *find_context(const struct merged *m, const char *name, struct err *err)
{
    CLEANUP(str_freep) char *known = names_of(m->contexts);
    const json_t *found = str_is_empty(name) ? NULL : json_object_get(m->contexts, name);
    if (found)
        return found;
    if (!m->files && !m->empty) {
        const char *list = getenv("KUBECONFIG");
        bool named = !str_is_empty(list);
        err_set(err, ERR_NOT_FOUND, "no kubeconfig was found%s%.200s",
                named ? " at $KUBECONFIG, " : "", named ? list : "");
        err_hint(err, "Set KUBECONFIG or pass --kubeconfig FILE.");
    } else if (!m->files) {
        err_set(err, ERR_INVALID, "kubeconfig %s is empty", m->empty);
        err_hint(err, ANOTHER_HINT);
    } else if (!*known) {
        err_set(err, ERR_INVALID, "kubeconfig %s has no contexts", m->names);
        err_hint(err, "kubectl config set-context adds one; or name another kubeconfig: "
                      "--kubeconfig FILE or KUBECONFIG.");
    } else if (str_is_empty(name)) {
        err_set(err, ERR_INVALID, "kubeconfig %s has no current-context", m->names);
        err_hint(err, "Pass --context with one of: %s.", known);
    } else {
        err_set(err, ERR_NOT_FOUND, "context \"%.200s\" is not in kubeconfig %s", name, m->names);
        err_hint(err, "It has: %s.", known);
    }
    return NULL;
}

static bool choose(struct kubeconfig *c, const struct merged *m, const struct kubeconfig_opts *o,
                   struct err *err)
{
    const char *name = o->context ? o->context : m->current;
    const json_t *ctx = find_context(m, name, err);
    if (!ctx)
        return false;
    c->context = str_dup(name);
    const char *cluster = json_dot_str(ctx, "cluster");
    const char *user = json_dot_str(ctx, "user");
    const char *ns = o->namespace ? o->namespace : json_dot_str(ctx, "namespace");
    c->namespace = str_dup(str_is_empty(ns) ? "default" : ns);
    const json_t *cl = cluster ? json_object_get(m->clusters, cluster) : NULL;
    if (!cl)
        return err_set(err, ERR_INVALID, "kubeconfig %s: context %s names no known cluster",
                       m->names, name);
    const json_t *u = user ? json_object_get(m->users, user) : NULL;
    if (!str_is_empty(user) && !u)
        return err_set(err, ERR_INVALID, "kubeconfig %s: context %s names no known user", m->names,
                       name);
    return entry_read_cluster(c, cl, err) && entry_read_user(c, u, err);
}

bool kubeconfig_load(const struct kubeconfig_opts *o, struct kubeconfig **out, struct err *err)
{
    struct kubeconfig *c CLEANUP(kubeconfig_freep) = mem_alloc(sizeof(*c));
    struct merged m = {
        .clusters = json_object(), .users = json_object(), .contexts = json_object()};
    bool ok = read_files(&m, o->path, err);
    bool found = false;
    c->loop = o->loop;
    // A Pod without a kubeconfig of its own speaks with its ServiceAccount's voice.
    if (ok && !m.files && !o->path && !o->context)
        ok = entry_in_cluster(c, o->namespace, &found, err);
    if (ok && !found)
        ok = choose(c, &m, o, err);
    merged_clear(&m);
    c->loop = NULL;
    if (ok)
        *out = TAKE(c);
    return ok;
}
