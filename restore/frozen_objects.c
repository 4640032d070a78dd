// SPDX-License-Identifier: Apache-2.0
//
// Objects of an application, from their rows: what the row says, what the document says again
// (hooks, options), and what only the target can say (is the kind served, of which scope).
#include <stdlib.h>
#include <string.h>

#include "restore/frozen_int.h"

static bool is_secret(const struct object_id *id)
{
    return !*id->group && !strcmp(id->kind, "Secret");
}

// The document of a row; *doc stays NULL when it is a Secret that the snapshot lacks.
static bool document_of(struct thaw *t, const struct object_id *id, const json_t *row, json_t **doc,
                        struct err *err)
{
    *doc = NULL;
    if (!is_secret(id)) {
        if (!list_document(t->r, row, doc, err))
            return false;
        return *doc || err_set(err, ERR_CORRUPT, "it has no content");
    }
    CLEANUP(str_freep) char *key = object_key(id);
    const json_t *text = json_object_get(json_object_get(t->secrets, key), "desired");
    if (text)
        return canon_read(json_string_value(text), json_string_length(text), doc, err);
    CLEANUP(str_freep) char *name = object_name(id);
    strv_push_take(
        &t->out->missing,
        str_printf("%s: the snapshot was made without Secrets; bring it from elsewhere", name));
    return true;
}

// ---- what the row says ----
static struct origin origin_of(struct thaw *t, const struct application *a, const json_t *list,
                               const json_t *row)
{
    const json_t *at = json_object_get(row, "origin");
    const json_t *number = json_object_get(at, "source");
    struct origin o = {0};
    if (!json_is_integer(number)) { // made for the application
        o = origin_dup(&a->origin);
        o.source = 0;
        return o;
    }
    json_int_t i = json_integer_value(number);
    const json_t *source = json_array_get(json_object_get(list, "sources"), i < 0 ? 0 : (size_t)i);
    CLEANUP(str_freep) char *revision = NULL;
    thaw_source_words(t, source, &o.repo, &revision);
    origin_set_revision(&o, revision);
    o.file = str_dup_or_null(json_dot_str(at, "file"));
    long long line = json_dot_int(at, "line", 0);
    o.line = line > 0 && line < 1 << 30 ? (unsigned)line : 0;
    o.source = (unsigned)(i < 0 || i > 1000 ? 0 : i + 1);
    return o;
}

static enum phase phase_of(const json_t *row)
{
    static const char *const names[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    const char *text = json_dot_str(row, "phase");
    for (int p = PHASE_PRESYNC; text && p <= PHASE_SYNCFAIL; p++)
        if (!strcmp(text, names[p]))
            return (enum phase)p;
    return PHASE_SYNC;
}

// ---- what the target says ----
static bool is_served(const struct thaw *t, const struct object_id *id)
{
    const struct kind_info *k =
        t->o->served ? kinds_find(t->o->served, id->group, NULL, id->kind) : NULL;
    return k && k->is_served;
}

static void note_argo(struct thaw *t, const struct object *o, const json_t *doc)
{
    CLEANUP(str_freep)
    char *key = str_printf("%s %s/%s", o->id.kind, o->id.namespace ? o->id.namespace : "argocd",
                           o->id.name);
    if (!strcmp(o->id.kind, "AppProject"))
        *vec_push(&t->d->projects) = json_deep_copy(doc);
    else
        json_object_set_new(t->argo, key, json_integer((json_int_t)t->d->objects.len));
}

// ---- an object ----
static bool fill(struct thaw *t, unsigned app, json_t *doc, struct object *o, struct err *err)
{
    const struct application *a = t->d->apps.v[app];
    const json_t *meta = json_object_get(doc, "metadata");
    bool skip = false;
    enum phase phase = o->phase;
    if (!object_sync_marks(doc, o, &skip, err) || !object_normalize(doc, err))
        return false;
    o->app = app;
    o->phase = phase;
    o->phases |= 1U << phase;
    o->options = object_sync_options(doc, a->options, NULL);
    o->is_namespaced = o->id.namespace != NULL;
    o->is_made = !o->origin.source && !*o->id.group && !strcmp(o->id.kind, "Namespace");
    o->is_bare =
        o->is_made && !json_object_get(meta, "labels") && !json_object_get(meta, "annotations");
    if (argo_is_own(&o->id)) {
        o->is_virtual = !is_served(t, &o->id);
        note_argo(t, o, doc);
        if (!o->is_virtual)
            application_mark(a, doc, o);
    }
    if (!strcmp(o->id.kind, "CustomResourceDefinition"))
        kinds_add_crd(t->d->kinds, doc);
    object_set_body(o, doc);
    return true;
}

// The phases of a hook are rows of one identity, in any order; they run in that of the phases.
static void settle_phases(struct desired *d)
{
    for (size_t i = d->objects.len - 1; i > 0; i--) {
        struct object *a = &d->objects.v[i - 1];
        struct object *b = &d->objects.v[i];
        if (a->app != b->app || a->phase <= b->phase || !object_id_eq(&a->id, &b->id))
            return;
        struct object swapped = *a;
        *a = *b;
        *b = swapped;
    }
}

static bool add_row(struct thaw *t, unsigned app, const json_t *list, const json_t *row,
                    struct err *err)
{
    struct object_id id = thaw_id_of(row);
    CLEANUP(json_freep) json_t *doc = NULL;
    struct object o = {.phase = phase_of(row)};
    if (!id.kind || !id.name)
        return err_set(err, ERR_CORRUPT, "it has an object without a name");
    CLEANUP(str_freep) char *name = object_name(&id);
    if (!document_of(t, &id, row, &doc, err))
        return err_wrap(err, "%s", name);
    if (!doc)
        return true;
    o.origin = origin_of(t, t->d->apps.v[app], list, row);
    bool ok = object_id_of(doc, &o.id, &o.version, err);
    if (ok && !object_id_eq(&o.id, &id))
        ok = err_set(err, ERR_CORRUPT, "its content is that of another object");
    if (!ok || !fill(t, app, doc, &o, err)) {
        object_clear(&o);
        return err_wrap(err, "%s", name);
    }
    desired_add_object_take(t->d, &o);
    settle_phases(t->d);
    return true;
}

bool thaw_objects(struct thaw *t, unsigned app, const json_t *list, struct err *err)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(list, "objects"), i, row)
    {
        if (!add_row(t, app, list, row, err))
            return false;
    }
    return true;
}

// Of a kind that nobody here knows, or that the target has in another scope than the snapshot, the
// scope is settled when it is sent.
void thaw_scopes(struct thaw *t)
{
    for (size_t i = 0; i < t->d->objects.len; i++) {
        struct object *o = &t->d->objects.v[i];
        const struct kind_info *k = kinds_find(t->d->kinds, o->id.group, NULL, o->id.kind);
        o->is_scope_guessed = o->is_namespaced && (!k || !k->is_namespaced);
    }
}
