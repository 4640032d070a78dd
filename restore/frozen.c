// SPDX-License-Identifier: Apache-2.0
#include "restore/frozen.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "restore/frozen_int.h"

#define SHORT_COMMIT 7
#define IN_CLUSTER_SERVER "https://kubernetes.default.svc"
#define IN_CLUSTER_NAME "in-cluster"

struct object_id thaw_id_of(const json_t *row)
{
    const char *group = json_dot_str(row, "group");
    return (struct object_id){.group = (char *)(group ? group : ""),
                              .kind = (char *)json_dot_str(row, "kind"),
                              .namespace = (char *)json_dot_str(row, "namespace"),
                              .name = (char *)json_dot_str(row, "name")};
}

// ---- sources ----
static bool read_revisions(struct thaw *t, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_read_all(t->r, t->root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *source = NULL;
        CLEANUP(str_freep) char *key = list_source_key(row);
        if (json_object_get(t->revisions, key))
            continue;
        if (!list_open(t->r, row, &source, err))
            return err_wrap(err, "source %s", json_dot_text(row, "url"));
        json_t *revision = json_object_get(source, "revision");
        if (json_is_string(revision))
            json_object_set(t->revisions, key, revision);
    }
    return true;
}

const char *thaw_revision(const struct thaw *t, const json_t *source)
{
    CLEANUP(str_freep) char *key = list_source_key(source);
    return json_string_value(json_object_get(t->revisions, key));
}

// "https://git.example.com/platform.git" -> "platform".
static char *repository_name(const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    if (n > 4 && !strncmp(url + n - 4, ".git", 4))
        n -= 4;
    size_t at = n;
    while (at && url[at - 1] != '/' && url[at - 1] != ':')
        at--;
    return str_ndup(url + at, n - at);
}

void thaw_source_words(const struct thaw *t, const json_t *source, char **repo, char **revision)
{
    const char *kind = json_dot_text(source, "kind");
    const char *exact = thaw_revision(t, source);
    *revision = NULL;
    if (!strcmp(kind, "helm") || (!strcmp(kind, "oci") && *json_dot_text(source, "chart"))) {
        const char *chart = json_dot_text(source, "chart");
        bool is_version = exact && !str_starts(exact, "sha256:");
        *repo = str_printf("%s %s", *chart ? chart : "chart",
                           is_version ? exact : json_dot_text(source, "target"));
        return;
    }
    *repo = repository_name(json_dot_text(source, "url"));
    if (!strcmp(kind, "git") && exact)
        *revision = str_ndup(exact, SHORT_COMMIT);
}

// What people read of an application's sources, and exactly.
static void note_revisions(struct thaw *t, struct application *a, const json_t *list)
{
    struct buf b = {0};
    size_t i;
    json_t *source;
    json_array_foreach(json_object_get(list, "sources"), i, source)
    {
        const char *kind = json_dot_text(source, "kind");
        const char *exact = thaw_revision(t, source);
        bool is_git = !strcmp(kind, "git");
        strv_push(&a->revisions, exact ? exact : "");
        buf_str(&b, i ? ", " : "");
        if (!strcmp(kind, "folder"))
            buf_str(&b, kind);
        else
            buf_printf(&b, "%s%s%.*s", is_git ? "" : kind, is_git ? "" : " ",
                       is_git ? SHORT_COMMIT : 40, exact ? exact : json_dot_text(source, "target"));
    }
    a->revision_text = buf_take(&b);
}

// ---- the root ----
static const char *find_root(const struct thaw *t)
{
    const char *name;
    json_t *app;
    json_object_foreach(t->apps, name, app)
    {
        const json_t *list = json_object_get(app, "list");
        if (list && !json_object_get(list, "parent") && !json_object_get(list, "document"))
            return name;
    }
    return NULL;
}

// "root:apps/Deployment:web/api" says what the root's mark is; its name in lists has no blanks.
static void name_root(const struct thaw *t, struct application *a, const char *listed)
{
    str_set(&a->tracking_name, listed);
    for (size_t i = 0; i < t->d->objects.len; i++) {
        const struct object *o = &t->d->objects.v[i];
        if (o->app != 0 || o->is_virtual || o->is_made ||
            !strcmp(o->id.kind, "CustomResourceDefinition"))
            continue;
        CLEANUP(json_freep) json_t *doc = object_outline(o);
        const char *mark = json_annotation(doc, TRACKING_ANNOTATION);
        if (!mark || !strchr(mark, ':'))
            continue;
        free(a->tracking_name);
        a->tracking_name = str_ndup(mark, strcspn(mark, ":"));
        return;
    }
}

static void describe_root(struct thaw *t, const json_t *list)
{
    const json_t *source = json_array_get(json_object_get(list, "sources"), 0);
    const char *url = json_dot_text(source, "url");
    const char *path = json_dot_text(source, "path");
    const char *target = json_dot_text(source, "target");
    const char *exact = thaw_revision(t, source);
    if (!strcmp(json_dot_text(source, "kind"), "git")) {
        t->out->root =
            str_printf("%s%s%s%s%s", url, *path ? "//" : "", path, *target ? "?ref=" : "", target);
        str_set(&t->d->root_ref, *target ? target : NULL);
        str_set(&t->d->root_commit, exact);
        t->d->root_revision = exact ? str_ndup(exact, SHORT_COMMIT) : NULL;
        return;
    }
    str_set(&t->out->root_folder, url);
    str_set(&t->out->root_path, path);
    if (*url == '/') {
        t->out->root = *path ? path_join(url, path) : str_dup(url);
    } else { // a work tree, and its remote
        t->out->root = str_printf("%s%s%s", url, *path ? "//" : "", path);
    }
}

// ---- applications ----
static const struct object *argo_object(const struct thaw *t, const char *kind, const char *ns,
                                        const char *name)
{
    CLEANUP(str_freep) char *key = str_printf("%s %s/%s", kind, ns, name);
    const json_t *at = json_object_get(t->argo, key);
    return at ? &t->d->objects.v[json_integer_value(at)] : NULL;
}

// Where its Application, or the set that made it, stands; whose it is.
static const struct object *place_of(const struct thaw *t, const struct application *a)
{
    return a->set_name ? argo_object(t, "ApplicationSet", a->namespace, a->set_name)
                       : argo_object(t, "Application", a->namespace, a->name);
}

static void settle_place(const struct thaw *t, struct application *a)
{
    const struct object *o = place_of(t, a);
    if (!o)
        return;
    origin_clear(&a->origin);
    a->origin = origin_dup(&o->origin);
    if (a->set_name) {
        CLEANUP(json_freep) json_t *set = object_doc(o);
        a->is_preserved = appset_preserves(set);
    }
}

static bool make_app(struct thaw *t, const char *name, const json_t *list, struct application **out,
                     struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct origin nowhere = {0};
    if (!list_document(t->r, json_object_get(list, "document"), &doc, err))
        return false;
    if (!doc) {
        *out = application_new_unknown(name, NULL);
        return err_set(&(*out)->problem, ERR_INVALID, "its Application is not in the snapshot") ||
               true;
    }
    if (!application_parse(doc, &nowhere, out, err))
        return false;
    (*out)->set_name = str_dup_or_null(json_dot_str(list, "set"));
    settle_place(t, *out);
    return true;
}

static void note_stale(struct thaw *t, struct application *a)
{
    strv_push(&a->warnings,
              "it could not be read when the snapshot was made: it comes back as it was before");
    strv_push(&t->out->stale, a->name);
}

static bool add_app(struct thaw *t, const char *name, int parent, struct err *err)
{
    const json_t *row = json_object_get(t->apps, name);
    const json_t *list = json_object_get(row, "list");
    struct application *a = NULL;
    if (parent < 0) {
        const char *shown = json_dot_str(t->root, "name");
        a = application_new_root(shown ? shown : name);
        describe_root(t, list);
        str_set(&t->d->root_name, a->name);
        str_set(&a->origin.repo, a->name);
    } else if (!make_app(t, name, list, &a, err)) {
        return err_wrap(err, "application %s", name);
    }
    a->parent = parent;
    if (json_is_true(json_object_get(list, "elsewhere")))
        a->state = APP_OTHER_CLUSTER; // there for the order of its children
    note_revisions(t, a, list);
    if (json_is_true(json_object_get(row, "stale")))
        note_stale(t, a);
    unsigned at = desired_add_app_take(t->d, a);
    json_object_set_new(t->at, name, json_integer(at));
    if (!thaw_objects(t, at, list, err))
        return err_wrap(err, "application %s", name);
    if (parent < 0)
        name_root(t, a, name);
    else if (!a->origin.repo)
        settle_place(t, a); // it manages itself
    return true;
}

// A child that nobody read: its Application is among the objects of another.
static void add_unread(struct thaw *t, const char *name)
{
    const struct object *o = NULL;
    struct application *a = NULL;
    struct err err = {0};
    for (size_t i = 0; !o && i < t->d->objects.len; i++) {
        const struct object *x = &t->d->objects.v[i];
        if (strcmp(x->id.kind, "Application") != 0 || strcmp(x->id.group, "argoproj.io") != 0)
            continue;
        CLEANUP(str_freep)
        char *other = str_printf("%s_%s", x->id.namespace ? x->id.namespace : "", x->id.name);
        if (!strcmp(x->id.name, name) || !strcmp(other, name))
            o = x;
    }
    if (o) {
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        if (!application_parse(doc, &o->origin, &a, &err))
            err_clear(&err);
    }
    a = a ? a : application_new_unknown(name, NULL);
    a->parent = o ? (int)o->app : 0;
    const char *server = a->dest_server;
    bool is_here = (!server && !a->dest_name) || str_eq(server, IN_CLUSTER_SERVER) ||
                   str_eq(a->dest_name, IN_CLUSTER_NAME) ||
                   (server && str_eq(server, t->o->server));
    a->state = is_here ? APP_UNKNOWN : APP_OTHER_CLUSTER;
    if (is_here) {
        err_set(&a->problem, ERR_INVALID, "it was never read: nothing of it is in the snapshot");
        strv_push_take(
            &t->out->missing,
            str_printf("application %s: it could not be read when the snapshot was made, "
                       "nor before",
                       a->name));
    }
    desired_add_app_take(t->d, a);
}

// Parents before children; these by name.
static bool add_level(struct thaw *t, const struct strv *names, struct err *err)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < names->len; i++) {
            const json_t *list = json_object_get(json_object_get(t->apps, names->v[i]), "list");
            const char *parent = json_dot_str(list, "parent");
            const json_t *at = parent ? json_object_get(t->at, parent) : NULL;
            if (!at || json_object_get(t->at, names->v[i]))
                continue;
            any = true;
            if (!add_app(t, names->v[i], (int)json_integer_value(at), err))
                return false;
        }
    }
    return true;
}

static bool add_apps(struct thaw *t, struct err *err)
{
    struct strv names = {0};
    const char *root = find_root(t);
    const char *name;
    json_t *app;
    if (!root)
        return err_set(err, ERR_CORRUPT, "there is no root among the applications");
    json_object_foreach(t->apps, name, app)
    {
        strv_push(&names, name);
    }
    strv_sort(&names);
    bool ok = add_app(t, root, -1, err) && add_level(t, &names, err);
    for (size_t i = 0; ok && i < names.len; i++) {
        const json_t *list = json_object_get(json_object_get(t->apps, names.v[i]), "list");
        if (json_object_get(t->at, names.v[i]))
            continue;
        if (list) // its parent is gone, or they are each other's: as if the root had it
            ok = add_app(t, names.v[i], 0, err);
        else
            add_unread(t, names.v[i]);
    }
    strv_clear(&names);
    return ok;
}

// ---- the whole ----
static void know_kinds(struct thaw *t)
{
    const struct kinds *served = t->o->served;
    kinds_add_builtin(t->d->kinds, t->o->minor);
    for (size_t i = 0; served && i < kinds_count(served); i++) {
        const struct kind_info *k = kinds_get(served, i);
        kinds_add(t->d->kinds, k->group, k->version, k->kind, k->plural, k->is_namespaced,
                  k->is_served);
        kinds_set_verbs(t->d->kinds, k->group, k->version, k->kind, k->can_patch, k->can_list);
    }
}

bool frozen_cluster(struct reader *r, const char *name, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    *out = NULL;
    if (!reader_root(r, &root, err) || !list_clusters(r, root, &rows, err))
        return err_wrap(err, "clusters");
    json_array_foreach(rows, i, row)
    {
        if (str_eq(json_dot_str(row, "name"), name) || str_eq(json_dot_str(row, "server"), name))
            return list_open(r, row, out, err) || err_wrap(err, "cluster %s", name);
    }
    return true;
}

// What went to another cluster of a hub stands in lists of its own; sources are the hub's.
static void take_cluster(struct thaw *t)
{
    static const char *const own[] = {"shards", "secrets", "before"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        json_t *v = json_object_get(t->o->cluster, own[i]);
        if (v)
            json_object_set(t->root, own[i], v);
        else
            json_object_del(t->root, own[i]);
    }
    json_object_del(t->root, "live");
}

static bool read_versions(struct thaw *t, struct err *err)
{
    if (t->o->cluster) { // whose uid nobody asked
        t->out->kubernetes = str_dup_or_null(json_dot_str(t->o->cluster, "kubernetes"));
        return true;
    }

    CLEANUP(json_freep) json_t *v = NULL;
    if (!list_open(t->r, json_object_get(t->root, "versions"), &v, err))
        return err_wrap(err, "versions");
    t->out->kubernetes = str_dup_or_null(json_dot_str(v, "kubernetes"));
    t->out->cluster = str_dup_or_null(json_dot_str(v, "cluster.uid"));
    return true;
}

static bool read_all(struct thaw *t, struct err *err)
{
    if (!reader_root(t->r, &t->root, err))
        return false;
    if (!str_eq(json_dot_str(t->root, "type"), "regrow root v1"))
        return err_set(err, ERR_CORRUPT, "what should be the root is none");
    if (t->o->cluster)
        take_cluster(t);
    know_kinds(t);
    if (!read_versions(t, err) || !read_revisions(t, err) || !thaw_secrets(t, err) ||
        !list_apps(t->r, t->root, &t->apps, err) || !add_apps(t, err))
        return false;
    thaw_scopes(t);
    return desired_finish(t->d, err) && thaw_zero(t, err);
}

bool frozen_read(struct reader *r, const struct frozen_opts *o, struct frozen *out, struct err *err)
{
    *out = (struct frozen){.desired = desired_new()};
    struct thaw t = {.r = r,
                     .o = o,
                     .out = out,
                     .d = out->desired,
                     .at = json_object(),
                     .argo = json_object(),
                     .revisions = json_object(),
                     .secrets = json_object()};
    bool ok = read_all(&t, err);
    thaw_secrets_wipe(&t);
    json_decref(t.secrets);
    json_decref(t.root);
    json_decref(t.apps);
    json_decref(t.at);
    json_decref(t.argo);
    json_decref(t.revisions);
    if (!ok)
        frozen_clear(out);
    return ok || err_wrap(err, "read the snapshot");
}

void zero_object_clear(struct zero_object *z)
{
    object_id_clear(&z->id);
    free(z->version);
    free(z->rule);
    crypto_wipe(z->body, z->body_len);
    free(z->body);
    *z = (struct zero_object){0};
}

void frozen_clear(struct frozen *f)
{
    desired_free(f->desired);
    for (size_t i = 0; i < f->zero.len; i++)
        zero_object_clear(&f->zero.v[i]);
    vec_clear(&f->zero);
    free(f->root);
    free(f->root_folder);
    free(f->root_path);
    free(f->kubernetes);
    free(f->cluster);
    strv_clear(&f->stale);
    strv_clear(&f->missing);
    *f = (struct frozen){0};
}
