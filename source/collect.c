// SPDX-License-Identifier: Apache-2.0
//
// Rendered documents to objects: default namespaces, sync marks, normal form, tracking mark, the
// project's rules; Applications, ApplicationSets and AppProjects among them are read.
#include <stdlib.h>
#include <string.h>

#include "source/load.h"

#define MAX_APPS 10000
#define TRACKING "argocd.argoproj.io/tracking-id"

// What one application yields, kept apart until all of it is known to be good.
struct yield {
    struct loading *l;
    unsigned app;
    VEC(struct object) objects;
    VEC(struct application *) children;
    VEC(json_t *) projects;
    json_t *seen; // object key -> index
    struct strv warnings;
    char *global_projects; // of the ConfigMap argocd-cm, if it is here
};

static void yield_clear(struct yield *y)
{
    for (size_t i = 0; i < y->objects.len; i++)
        object_clear(&y->objects.v[i]);
    vec_clear(&y->objects);
    for (size_t i = 0; i < y->children.len; i++)
        application_free(y->children.v[i]);
    vec_clear(&y->children);
    for (size_t i = 0; i < y->projects.len; i++)
        json_decref(y->projects.v[i]);
    vec_clear(&y->projects);
    json_decref(y->seen);
    strv_clear(&y->warnings);
    free(y->global_projects);
}

static bool is_served(const struct loading *l, const char *group, const char *kind)
{
    const struct source_opts *o = &l->s->o;
    return o->kind_served && o->kind_served(o->ctx, group, kind);
}

static struct origin origin_of(const struct render_job *j, const struct rendered *r)
{
    struct origin o = {.source = j->source};
    if (j->chart.file) {
        o.repo = str_printf("%s %s", j->src->chart ? j->src->chart : "chart", j->chart.version);
        o.file = str_dup_or_null(r->file);
        return o;
    }
    o.repo = str_dup_or_null(j->tree->repo);
    o.revision = str_dup_or_null(j->tree->revision);
    o.file = str_dup(r->file ? r->file : j->path);
    o.line = r->file && !strcmp(j->tool, "directory") ? r->line : 0;
    return o;
}

// ---- namespaces ----
static const char *default_namespace(const struct application *a)
{
    return a->dest_namespace ? a->dest_namespace : "default";
}

static void settle_namespace(const struct application *a, const struct kind_info *k, json_t *doc,
                             struct object *o)
{
    json_t *meta = json_object_get(doc, "metadata");
    o->is_namespaced = k ? k->is_namespaced : o->id.namespace != NULL;
    if (!o->is_namespaced) {
        json_object_del(meta, "namespace");
        str_set(&o->id.namespace, NULL);
    } else if (!o->id.namespace) {
        o->id.namespace = str_dup(default_namespace(a));
        json_object_set_new(meta, "namespace", json_string(o->id.namespace));
    }
}

static void mark(const struct application *a, json_t *doc, const struct object *o)
{
    CLEANUP(str_freep)
    char *id = str_printf("%s:%s/%s:%s/%s", a->tracking_name, o->id.group, o->id.kind,
                          o->id.namespace ? o->id.namespace : default_namespace(a), o->id.name);
    json_set_annotation(doc, TRACKING, id);
}

// ---- one object ----
static bool name_hook(json_t *doc, const char *place, struct err *err)
{
    const char *prefix = json_dot_str(doc, "metadata.generateName");
    if (json_dot_str(doc, "metadata.name") || !prefix)
        return true;
    if (!json_annotation(doc, "argocd.argoproj.io/hook") && !json_annotation(doc, "helm.sh/hook"))
        return err_set(err, ERR_INVALID,
                       "%s: metadata.generateName makes a new object on every run; only hooks may "
                       "use it",
                       place);
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(doc, &b);
    struct sha256 h = sha256_of(b.p, b.len);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 4);
    CLEANUP(str_freep) char *name = str_printf("%s%.7s", prefix, hex);
    json_object_set_new(json_object_get(doc, "metadata"), "name", json_string(name));
    json_object_del(json_object_get(doc, "metadata"), "generateName");
    return true;
}

static void add_object(struct yield *y, struct object *o)
{
    CLEANUP(str_freep) char *key = object_key(&o->id);
    const json_t *known = json_object_get(y->seen, key);
    if (known) {
        // The last one wins, as in Argo CD.
        size_t at = (size_t)json_integer_value(known);
        CLEANUP(str_freep) char *name = object_name(&o->id);
        strv_push_take(&y->warnings, str_printf("%s is there twice; the last one counts", name));
        object_clear(&y->objects.v[at]);
        y->objects.v[at] = *o;
        return;
    }
    json_object_set_new(y->seen, key, json_integer((json_int_t)y->objects.len));
    *vec_push(&y->objects) = *o;
}

// Takes the origin. The document is changed.
static bool add_doc(struct yield *y, json_t *doc, struct origin *where, bool is_virtual,
                    struct err *err)
{
    struct desired *d = y->l->d;
    const struct application *a = d->apps.v[y->app];
    CLEANUP(str_freep) char *place = origin_text(where);
    struct object o = {.app = y->app, .is_virtual = is_virtual};
    bool skip = false;
    bool ok = name_hook(doc, place, err);
    if (ok && !object_id_of(doc, &o.id, &o.version, err))
        ok = err_wrap(err, "%s", place);
    ok = ok && object_sync_marks(doc, &o, &skip, err);
    ok = ok && (skip || object_normalize(doc, err));
    if (!ok || skip) {
        if (!ok && !strstr(err->msg, place))
            err_wrap(err, "%s", place);
        origin_clear(where);
        object_clear(&o);
        return ok;
    }
    o.origin = *where;
    *where = (struct origin){0};
    if (!strcmp(o.id.kind, "CustomResourceDefinition"))
        kinds_add_crd(d->kinds, doc);
    if (!strcmp(o.id.kind, "ConfigMap") && !strcmp(o.id.name, "argocd-cm"))
        str_set(&y->global_projects, json_dot_str(doc, "data.globalProjects"));
    const struct kind_info *k = kinds_find(d->kinds, o.id.group, NULL, o.id.kind);
    settle_namespace(a, k, doc, &o);
    if (!is_virtual)
        mark(a, doc, &o);
    object_set_body(&o, doc);
    add_object(y, &o);
    return true;
}

// ---- Argo CD's own kinds ----
// A child that cannot be made sense of is unknown by itself; its parent and siblings are not.
// Takes the error.
static void add_unknown(struct yield *y, const json_t *doc, const struct origin *where,
                        struct err *err)
{
    struct application *child = application_new_unknown(json_dot_str(doc, "metadata.name"),
                                                        json_dot_str(doc, "metadata.namespace"));
    child->origin = origin_dup(where);
    err_move(&child->problem, err);
    *vec_push(&y->children) = child;
}

static bool add_child(struct yield *y, json_t *doc, const struct origin *where, const char *set,
                      struct err *err)
{
    struct application *child = NULL;
    if (!application_parse(doc, where, &child, err))
        return false;
    if (set)
        child->set_name = str_dup(set);
    *vec_push(&y->children) = child;
    return true;
}

struct set_io {
    struct source *s;
};

// The project of what a set makes, where that is the same for all: whose credentials it may use.
static void set_project(struct source *s, const json_t *set)
{
    const char *project = json_dot_str(set, "spec.template.spec.project");
    s->ctx.project = project && !strstr(project, "{{") ? project : NULL;
}

static bool set_files(void *ctx, const char *url, const char *revision, struct strv *paths,
                      struct err *err)
{
    const struct set_io *io = ctx;
    struct tree *t = NULL;
    return source_tree(io->s, url, revision, NULL, &t, err) && tree_list(t, "", true, paths, err);
}

static bool set_read(void *ctx, const char *url, const char *revision, const char *path,
                     struct buf *out, struct err *err)
{
    const struct set_io *io = ctx;
    struct tree *t = NULL;
    return source_tree(io->s, url, revision, NULL, &t, err) &&
           tree_read(t, path, 4U << 20, out, err);
}

static json_t *set_clusters(void *ctx)
{
    const struct set_io *io = ctx;
    return io->s->o.clusters ? json_deep_copy((json_t *)io->s->o.clusters) : json_array();
}

static bool add_set(struct yield *y, const json_t *doc, const struct origin *where, struct err *err)
{
    struct set_io io = {y->l->s};
    struct appset_io fns = {set_files, set_read, set_clusters, &io};
    struct appset_result r = {0};
    const char *name = json_dot_str(doc, "metadata.name");
    set_project(y->l->s, doc);
    bool ok = appset_expand(doc, &fns, &r, err);
    for (size_t i = 0; ok && i < r.apps.len; i++) {
        struct err bad = {0};
        const struct appset_app *a = &r.apps.v[i];
        if (a->problem ? !err_set(&bad, ERR_INVALID, "%s", a->problem)
                       : !add_child(y, a->doc, where, name, &bad))
            add_unknown(y, a->doc, where, &bad);
        y->children.v[y->children.len - 1]->is_preserved = r.is_preserved;
    }
    for (size_t i = 0; i < r.warnings.len; i++)
        strv_push(&y->warnings, r.warnings.v[i]);
    appset_result_clear(&r);
    if (!ok) {
        CLEANUP(str_freep) char *place = origin_text(where);
        return err_wrap(err, "%s", place);
    }
    return true;
}

static bool add_any(struct yield *y, json_t *doc, struct origin *where, struct err *err)
{
    size_t i;
    json_t *item;
    if (object_is_list(doc)) {
        bool ok = true;
        json_array_foreach(json_object_get(doc, "items"), i, item)
        {
            struct origin o = origin_dup(where);
            ok = ok && add_any(y, item, &o, err);
            origin_clear(&o);
        }
        return ok;
    }
    const char *kind = json_dot_str(doc, "kind");
    bool argo =
        argo_is(doc, "Application") || argo_is(doc, "ApplicationSet") || argo_is(doc, "AppProject");
    if (!argo)
        return add_doc(y, doc, where, false, err);
    bool ok = true;
    if (!strcmp(kind, "Application"))
        ok = add_child(y, doc, where, NULL, err);
    else if (!strcmp(kind, "ApplicationSet"))
        ok = add_set(y, doc, where, err);
    else
        *vec_push(&y->projects) = json_deep_copy(doc);
    if (!ok) {
        add_unknown(y, doc, where, err);
        return true;
    }
    // The child holds the document: what is sent, or shown, is a copy.
    CLEANUP(json_freep) json_t *copy = json_deep_copy(doc);
    const char *ns = json_dot_str(copy, "metadata.namespace");
    json_t *meta = json_object_get(copy, "metadata");
    if (!ns && json_is_object(meta))
        json_object_set_new(meta, "namespace", json_string("argocd"));
    return add_doc(y, copy, where, !is_served(y->l, "argoproj.io", kind), err);
}

static void need_doc(struct loading *l, const json_t *doc)
{
    size_t i;
    json_t *item;
    if (object_is_list(doc)) {
        json_array_foreach(json_object_get(doc, "items"), i, item)
        {
            need_doc(l, item);
        }
        return;
    }
    if (!argo_is(doc, "ApplicationSet"))
        return;
    struct set_io io = {l->s};
    struct appset_io fns = {set_files, set_read, set_clusters, &io};
    struct appset_result r = {0};
    struct err err = {0};
    set_project(l->s, doc);
    // Only what it asks for counts here; what is wrong with it is said when it is read.
    if (!appset_expand(doc, &fns, &r, &err))
        err_clear(&err);
    appset_result_clear(&r);
}

void collect_needs(struct loading *l, const struct render_job *jobs, size_t n_jobs)
{
    for (size_t j = 0; j < n_jobs; j++)
        for (size_t i = 0; i < jobs[j].docs.len; i++)
            need_doc(l, jobs[j].docs.v[i].doc);
}

// ---- credentials for the applications below ----
static void take_creds(struct loading *l, const struct yield *y)
{
    for (size_t i = 0; i < y->objects.len; i++) {
        const struct object_id *id = &y->objects.v[i].id;
        if (*id->group || !str_eq(id->namespace, ARGOCD_NAMESPACE) ||
            (strcmp(id->kind, "Secret") != 0 && strcmp(id->kind, "ConfigMap") != 0))
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(&y->objects.v[i]);
        creds_add_doc(l->s->ctx.creds, doc, CRED_DESIRED);
    }
}

// ---- namespaces an application wants made ----
static bool is_namespace(const struct object *o)
{
    return !*o->id.group && !strcmp(o->id.kind, "Namespace");
}

static bool add_namespace(struct yield *y, struct err *err)
{
    const struct application *a = y->l->d->apps.v[y->app];
    const char *ns = a->dest_namespace;
    if (!a->create_namespace || str_is_empty(ns))
        return true;
    struct object_id id = {(char *)"", (char *)"Namespace", NULL, (char *)ns};
    for (size_t i = 0; i < y->objects.len; i++)
        if (object_id_eq(&y->objects.v[i].id, &id))
            return true;
    // Another application may have it, or want it too: the first one makes it.
    if (json_object_get(y->l->namespaces, ns))
        return true;
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace",
                            "metadata", "name", ns);
    json_t *meta = json_object_get(doc, "metadata");
    const json_t *labels = json_object_get(a->managed_namespace_metadata, "labels");
    const json_t *annotations = json_object_get(a->managed_namespace_metadata, "annotations");
    if (labels)
        json_object_set_new(meta, "labels", json_deep_copy((json_t *)labels));
    if (annotations)
        json_object_set_new(meta, "annotations", json_deep_copy((json_t *)annotations));
    struct origin where = origin_dup(&a->origin);
    where.source = 0; // it stands in the parent's
    bool ok = add_doc(y, doc, &where, false, err);
    origin_clear(&where);
    return ok;
}

// A Namespace that an application only had made for it gives way to one that is written in Git.
static void yield_to_written(struct loading *l, const struct yield *y)
{
    struct desired *d = l->d;
    for (size_t i = 0; i < y->objects.len; i++) {
        const struct object *o = &y->objects.v[i];
        if (!is_namespace(o) || !json_object_get(l->namespaces, o->id.name))
            continue;
        for (size_t k = d->objects.len; k > 0; k--) {
            struct object *x = &d->objects.v[k - 1];
            const struct application *owner = d->apps.v[x->app];
            if (!object_id_eq(&x->id, &o->id) || !owner->create_namespace ||
                !str_eq(owner->dest_namespace, x->id.name) ||
                !str_eq(x->origin.file, owner->origin.file))
                continue;
            object_clear(x);
            memmove(x, x + 1, (d->objects.len - k) * sizeof(*x));
            d->objects.len--;
        }
    }
}

static bool add_children(struct yield *y, struct err *err)
{
    struct desired *d = y->l->d;
    for (size_t i = 0; i < y->children.len; i++) {
        struct application *c = y->children.v[i];
        const json_t *known = json_object_get(y->l->names, c->tracking_name);
        CLEANUP(str_freep) char *here = origin_text(&c->origin);
        if (known) {
            const struct application *other = d->apps.v[json_integer_value(known)];
            CLEANUP(str_freep) char *there = origin_text(&other->origin);
            if (!strcmp(there, here))
                return err_set(err, ERR_INVALID,
                               "application %s is found again in what it names itself, or in what "
                               "its parents name: %s",
                               c->name, here);
            return err_set(err, ERR_INVALID, "application %s is there twice: %s, and %s", c->name,
                           there, here);
        }
        if (d->apps.len >= MAX_APPS)
            return err_set(err, ERR_INVALID, "more than %d applications", MAX_APPS);
        json_object_set_new(y->l->names, c->tracking_name, json_integer((json_int_t)d->apps.len));
        c->parent = (int)y->app;
        desired_add_app_take(d, c);
        y->children.v[i] = NULL;
    }
    return true;
}

// Not permitted as things are: its project may still gain by a global one that comes later.
static void put_off(struct loading *l, unsigned app)
{
    l->turns.v[app] = TURN_PUT_OFF;
}

// Takes everything over into the desired state.
static bool settle(struct yield *y, struct err *err)
{
    struct loading *l = y->l;
    struct desired *d = l->d;
    yield_to_written(l, y);
    for (size_t i = 0; i < y->projects.len; i++)
        *vec_push(&d->projects) = json_incref(y->projects.v[i]);
    if (y->projects.len || y->global_projects)
        projects_changed(l);
    if (y->global_projects)
        str_set(&l->global_projects, y->global_projects);
    if (!add_children(y, err))
        return false;
    take_creds(l, y);
    for (size_t i = 0; i < y->objects.len; i++) {
        if (is_namespace(&y->objects.v[i]))
            json_object_set_new(l->namespaces, y->objects.v[i].id.name, json_true());
        desired_add_object_take(d, &y->objects.v[i]);
    }
    for (size_t i = 0; i < y->warnings.len; i++)
        strv_push(&d->apps.v[y->app]->warnings, y->warnings.v[i]);
    return true;
}

void collect_app(struct loading *l, unsigned app, struct render_job *jobs, size_t n_jobs)
{
    struct desired *d = l->d;
    struct yield y = {.l = l, .app = app, .seen = json_object()};
    struct err err = {0};
    bool ok = true;
    for (size_t j = 0; ok && j < n_jobs; j++) {
        for (size_t i = 0; ok && i < jobs[j].docs.len; i++) {
            struct origin where = origin_of(&jobs[j], &jobs[j].docs.v[i]);
            ok = add_any(&y, jobs[j].docs.v[i].doc, &where, &err);
            origin_clear(&where);
        }
        for (size_t i = 0; i < jobs[j].warnings.len; i++)
            strv_push(&y.warnings, jobs[j].warnings.v[i]);
    }
    ok = ok && add_namespace(&y, &err);
    if (ok && !judge_objects(l, d->apps.v[app], y.objects.v, y.objects.len, &err)) {
        ok = err.kind == ERR_DENIED && !l->is_last_call;
        if (ok) {
            put_off(l, app);
            err_clear(&err);
        }
    } else {
        ok = ok && settle(&y, &err);
    }
    if (!ok)
        app_unknown(l, app, &err);
    yield_clear(&y);
}

// Kinds whose CRD came with a later application: their objects may have been taken for
// cluster-scoped, or the reverse.
void collect_finish(struct loading *l)
{
    struct desired *d = l->d;
    for (size_t i = 0; i < d->objects.len; i++) {
        struct object *o = &d->objects.v[i];
        const struct kind_info *k = kinds_find(d->kinds, o->id.group, NULL, o->id.kind);
        if (!k || k->is_namespaced == o->is_namespaced || o->is_virtual)
            continue;
        const struct application *a = d->apps.v[o->app];
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        settle_namespace(a, k, doc, o);
        mark(a, doc, o);
        object_set_body(o, doc);
    }
}
