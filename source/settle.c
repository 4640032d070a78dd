// SPDX-License-Identifier: Apache-2.0
//
// What an application yields becomes part of the desired state, beside what others have yielded:
// Namespaces that somebody writes and others only want, Applications that are found again, a root
// that an Application of Git manages as well.
#include <stdlib.h>
#include <string.h>

#include "source/memo.h"

#define MAX_APPS 10000

bool settle_is_namespace(const struct object_id *id)
{
    return !*id->group && !strcmp(id->kind, "Namespace");
}

static void drop_object(struct desired *d, size_t at)
{
    object_clear(&d->objects.v[at]);
    memmove(&d->objects.v[at], &d->objects.v[at + 1],
            (d->objects.len - at - 1) * sizeof(*d->objects.v));
    d->objects.len--;
}

// ---- namespaces an application wants made ----
bool yield_add_namespace(struct yield *y, struct err *err)
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
    struct object made;
    if (memo_made(y->known, &a->origin, &made)) {
        made.app = y->app;
        *vec_push(&y->objects) = made;
        return true;
    }
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
    struct origin where = origin_share(&a->origin);
    where.source = 0; // it stands in the parent's
    bool ok = yield_add_doc(y, doc, &where, (struct doc_flags){.is_made = true}, err);
    origin_clear(&where);
    if (ok && y->objects.len)
        memo_keep_made(yield_kept(y), &y->objects.v[y->objects.len - 1]);
    return ok;
}

// A Namespace that an application only had made for it gives way to one that is written in Git.
static void yield_to_written(struct loading *l, const struct yield *y)
{
    for (size_t i = 0; i < y->objects.len; i++) {
        const struct object *o = &y->objects.v[i];
        if (!settle_is_namespace(&o->id) || o->is_made ||
            !json_object_get(l->namespaces, o->id.name))
            continue;
        for (size_t k = l->d->objects.len; k > 0; k--)
            if (l->d->objects.v[k - 1].is_made && object_id_eq(&l->d->objects.v[k - 1].id, &o->id))
                drop_object(l->d, k - 1);
    }
}

// ---- applications that are found again ----
static bool is_below(const struct desired *d, unsigned app, unsigned top)
{
    for (int i = (int)app; i >= 0; i = d->apps.v[i]->parent)
        if (i == (int)top)
            return true;
    return false;
}

// The same document in two places. If the first is only the root, which stands in no document, the
// second is its real parent.
static bool found_again(struct yield *y, unsigned known, const struct application *again,
                        struct err *err)
{
    struct desired *d = y->l->d;
    struct application *first = d->apps.v[known];
    CLEANUP(str_freep) char *here = origin_text(&again->origin);
    CLEANUP(str_freep) char *there = origin_text(&first->origin);
    bool same = first->doc && again->doc ? json_equal(first->doc, again->doc)
                                         : !first->doc && !again->doc && !strcmp(there, here);
    if (!same)
        return err_set(err, ERR_INVALID, "application %s is there twice: %s, and %s", again->name,
                       there, here);
    if (first->parent == 0 && y->app != 0 && !is_below(d, y->app, known)) {
        first->parent = (int)y->app;
        return true;
    }
    strv_push_take(&y->warnings,
                   str_printf("application %s is there twice, word for word: %s, and %s; the first "
                              "counts",
                              again->name, there, here));
    return true;
}

static bool add_children(struct yield *y, struct err *err)
{
    struct desired *d = y->l->d;
    for (size_t i = 0; i < y->children.len; i++) {
        struct application *c = y->children.v[i];
        if (!c)
            continue;
        const json_t *known = json_object_get(y->l->names, c->tracking_name);
        if (known) {
            if (!found_again(y, (unsigned)json_integer_value(known), c, err))
                return false;
            continue;
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

// ---- the root gives way ----
// The root is no application of Git: what one of these has as well is that one's. The same document
// is the same thing even if another default namespace gives it another identity.
static char *place_key(const struct object *o)
{
    if (!o->origin.file || !o->origin.line || o->is_made)
        return NULL;
    return str_printf("@%s\n%s\n%s\n%u", o->origin.repo ? o->origin.repo : "",
                      o->origin.revision ? o->origin.revision : "", o->origin.file, o->origin.line);
}

static unsigned letter_of(const struct object *o)
{
    return 1U << ((unsigned char)*o->id.kind & 31);
}

static void note_root_object(struct loading *l, const struct object *o)
{
    l->root_letters |= letter_of(o);
    if (!json_object_get(l->root_kinds, o->id.kind))
        json_object_set_new(l->root_kinds, o->id.kind, json_true());
}

// Of what the root still has. Mostly nobody asks.
static void note_root_keys(struct loading *l)
{
    l->root_keys = json_object();
    for (size_t i = 0; i < l->d->objects.len; i++) {
        const struct object *o = &l->d->objects.v[i];
        if (o->app != 0)
            continue;
        CLEANUP(str_freep) char *key = object_key(&o->id);
        CLEANUP(str_freep) char *place = place_key(o);
        json_object_set_new(l->root_keys, key, json_true());
        if (place)
            json_object_set_new(l->root_keys, place, json_true());
    }
}

static bool is_same_thing(const struct object *a, const struct object *b)
{
    if (object_id_eq(&a->id, &b->id))
        return true;
    // One file may hold a List: then the names tell. They also tell most apart, which is cheaper.
    if (!str_eq(a->id.kind, b->id.kind) || !str_eq(a->id.name, b->id.name))
        return false;
    CLEANUP(str_freep) char *pa = place_key(a);
    CLEANUP(str_freep) char *pb = place_key(b);
    return pa && str_eq(pa, pb);
}

static void take_from_root(struct loading *l, const struct object *o)
{
    // Most are of kinds that it has none of.
    if (!(l->root_letters & letter_of(o)) || !json_object_get(l->root_kinds, o->id.kind))
        return;
    if (!l->root_keys)
        note_root_keys(l);
    CLEANUP(str_freep) char *key = object_key(&o->id);
    CLEANUP(str_freep) char *place = place_key(o);
    if (!json_object_get(l->root_keys, key) && !(place && json_object_get(l->root_keys, place)))
        return;
    for (size_t k = l->d->objects.len; k > 0; k--)
        if (l->d->objects.v[k - 1].app == 0 && is_same_thing(&l->d->objects.v[k - 1], o))
            drop_object(l->d, k - 1);
}

static void root_gives_way(struct yield *y)
{
    struct desired *d = y->l->d;
    for (size_t k = d->objects.len; y->is_root_twin && k > 0; k--)
        if (d->objects.v[k - 1].app == 0)
            drop_object(d, k - 1);
    for (size_t i = 0; !y->is_root_twin && i < y->objects.len; i++)
        take_from_root(y->l, &y->objects.v[i]);
}

// An application that manages itself holds its own document; its parent lets go of it.
static void take_own_document(struct yield *y)
{
    struct desired *d = y->l->d;
    const struct application *a = d->apps.v[y->app];
    struct object_id id = {(char *)"argoproj.io", (char *)"Application", a->namespace, a->name};
    for (size_t i = 0; i < y->objects.len; i++) {
        if (!object_id_eq(&y->objects.v[i].id, &id))
            continue;
        for (size_t k = d->objects.len; k > 0; k--)
            if (object_id_eq(&d->objects.v[k - 1].id, &id))
                drop_object(d, k - 1);
    }
}

// The root's mark must not be that of an application: its name is the folder's.
static void rename_root(struct loading *l)
{
    struct application *root = l->d->apps.v[0];
    if (!json_object_get(l->names, root->tracking_name) || strchr(root->tracking_name, '_'))
        return;
    CLEANUP(str_freep) char *other = str_printf("root_%s", root->name);
    str_set(&root->tracking_name, other);
}

// ---- credentials for the applications below, and clusters ----
bool settle_may_be_creds(const struct object_id *id)
{
    return !*id->group && str_eq(id->namespace, ARGOCD_NAMESPACE) &&
           (!strcmp(id->kind, "Secret") || !strcmp(id->kind, "ConfigMap"));
}

void settle_creds(struct loading *l, const struct object *o)
{
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    creds_add_doc(l->s->ctx.creds, doc, CRED_DESIRED);
    clusters_note(&l->s->clusters, doc);
}

static void take_creds(struct loading *l, const struct yield *y)
{
    bool any = false;
    for (size_t i = 0; i < y->objects.len; i++) {
        if (!settle_may_be_creds(&y->objects.v[i].id))
            continue;
        settle_creds(l, &y->objects.v[i]);
        any = true;
    }
    if (any && l->s->memo)
        memo_base_creds(l->s->memo, y->app);
}

// They are moved as they lie.
static void take_objects(struct yield *y)
{
    struct desired *d = y->l->d;
    size_t n = y->objects.len;
    for (size_t i = 0; i < n; i++) {
        const struct object *o = &y->objects.v[i];
        if (y->app == 0)
            note_root_object(y->l, o);
        if (settle_is_namespace(&o->id))
            json_object_set_new(y->l->namespaces, o->id.name, json_true());
    }
    vec_reserve(&d->objects, d->objects.len + n);
    if (n)
        memcpy(&d->objects.v[d->objects.len], y->objects.v, n * sizeof(*y->objects.v));
    d->objects.len += n;
    y->objects.len = 0;
}

bool yield_settle(struct yield *y, struct err *err)
{
    struct loading *l = y->l;
    struct desired *d = l->d;
    if (!add_children(y, err))
        return false;
    yield_to_written(l, y);
    for (size_t i = 0; i < y->projects.len; i++) {
        *vec_push(&d->projects) = json_incref(y->projects.v[i]);
        unheeded_project(y->projects.v[i], &d->warnings);
    }
    if (y->projects.len || y->global_projects)
        projects_changed(l);
    if (y->global_projects)
        str_set(&l->global_projects, y->global_projects);
    if (y->app != 0) {
        root_gives_way(y);
        take_own_document(y);
    }
    take_creds(l, y);
    if (is_for_target(l, d->apps.v[y->app]))
        take_objects(y);
    for (size_t i = 0; i < y->warnings.len; i++)
        strv_push(&d->apps.v[y->app]->warnings, y->warnings.v[i]);
    rename_root(l);
    return true;
}
