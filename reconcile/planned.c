// SPDX-License-Identifier: Apache-2.0
//
// The objects of a plan file, out of a run that has been prepared; and which fields of an object
// are not what they were.
#include <string.h>

#include "reconcile/plan_file.h"
#include "reconcile/run_int.h"

#define MAX_TOLD 20 // fields of one object

static bool is_secret(const struct object_id *id)
{
    return !*id->group && !strcmp(id->kind, "Secret");
}

// What is there, as far as it matters to what was decided: what we own of it; of what we own
// nothing of, and of a Secret, of which no hash may be told, how often it was written.
static json_t *live_of(const struct live_fact *f)
{
    CLEANUP(str_freep) char *state = NULL;
    if (f->is_unknown || !f->exists)
        return NULL;
    if (f->has_projection && !is_secret(&f->id)) {
        CLEANUP(str_freep) char *hex = hex_encode(f->projection.b, sizeof(f->projection.b));
        state = str_printf("sha256:%s", hex);
    } else if (f->generation > 0 && !is_secret(&f->id)) {
        state = str_printf("generation:%lld", f->generation);
    } else if (f->resource_version) {
        state = str_printf("resourceVersion:%s", f->resource_version);
    }
    return json_pack("{s:s*, s:s*, s:s*}", "uid", f->uid, "state", state, "application",
                     f->tracking_app);
}

static const char *phase_name(const struct object *o)
{
    static const char *const names[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    return o->is_hook ? names[o->phase] : NULL;
}

static void add_content(json_t *out, const struct object *o)
{
    if (is_secret(&o->id))
        return;
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    CLEANUP(str_freep) char *hex = hex_encode(o->hash.b, sizeof(o->hash.b));
    CLEANUP(str_freep) char *fields = plan_file_fields(doc);
    json_object_set_new(out, "content", json_string(hex));
    if (fields)
        json_object_set_new(out, "fields", json_string(fields));
}

static json_t *item_doc(const struct run *r, const struct plan_item *it)
{
    const struct object *o = it->object < 0 ? NULL : &r->desired->objects.v[it->object];
    const struct object_id *id = o ? &o->id : &r->records.v[it->record].id;
    const char *app = o ? r->desired->apps.v[o->app]->tracking_name : r->records.v[it->record].app;
    const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
    json_t *out = json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s*, s:s, s:o*}", "application", app,
                            "group", id->group, "kind", id->kind, "namespace", id->namespace,
                            "name", id->name, "phase", o ? phase_name(o) : NULL, "action",
                            action_name(it->action), "live", f ? live_of(f) : NULL);
    if (o)
        add_content(out, o);
    return out;
}

// What is nobody's any more is only remembered; what is not of this run is left alone.
static bool is_out(const struct run *r, const struct plan_item *it)
{
    return it->object >= 0 ? !r->nodes[it->object].is_selected
                           : it->action == ACTION_LEFT || it->action == ACTION_NONE;
}

json_t *run_planned(const struct run *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        if (!is_out(r, it))
            json_array_append_new(out, item_doc(r, it));
    }
    return out;
}

bool run_planned_is_seen(const struct run *r, struct err *err)
{
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        const struct live_fact *f = it->live < 0 ? NULL : &r->facts.v[it->live];
        const struct kind_watch *w =
            f && f->is_unknown ? observe_find(r, f->id.group, f->id.kind) : NULL;
        if (w && err_is_set(observe_problem(w)) && !is_out(r, it)) {
            err_copy(err, observe_problem(w));
            return false;
        }
    }
    return true;
}

// Is all of it read at exact revisions?
static bool is_exact(const struct desired *d, unsigned app)
{
    const struct application *a = d->apps.v[app];
    if (!a->revisions.len)
        return a->parent >= 0 || d->root_commit;
    return !strv_has(&a->revisions, "");
}

const struct object *run_planned_secret(const struct run *r)
{
    for (size_t i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        if (!is_secret(&o->id) || o->is_virtual || !r->nodes[i].is_selected ||
            is_exact(r->desired, o->app))
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        if (json_object_size(json_object_get(doc, "data")))
            return o;
    }
    return NULL;
}

// Those in which it differs now from what it should be; NULL: that cannot be told.
static json_t *drifted(struct run *r, unsigned object)
{
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *would_be = NULL;
    struct err err = {0};
    struct drift_opts o = {.manager = run_manager(r)};
    size_t i;
    json_t *x;
    if (!run_preview(r, object, &live, &would_be, &err))
        err_clear(&err); // that it has changed is told all the same
    if (!live || !would_be)
        return NULL;
    json_t *out = json_array();
    CLEANUP(json_freep)
    json_t *all = drift_of(&r->desired->objects.v[object].id, live, would_be, &o, NULL);
    json_array_foreach(all, i, x)
    {
        if (i < MAX_TOLD)
            json_array_append_new(out, json_string(json_dot_text(x, "path")));
    }
    return out;
}

// What a change is about; NULL: it is not desired.
static const struct object *changed_object(const struct run *r, const json_t *change)
{
    const struct object_id id = {
        (char *)json_dot_text(change, "group"), (char *)json_dot_text(change, "kind"),
        (char *)json_dot_str(change, "namespace"), (char *)json_dot_text(change, "name")};
    return desired_find(r->desired, &id);
}

bool run_is_carried_out(struct run *r, const json_t *change)
{
    if (strcmp(json_dot_text(change, "what"), "live") != 0)
        return false;
    const struct object *o = changed_object(r, change);
    CLEANUP(json_freep)
    json_t *paths = o ? drifted(r, (unsigned)(o - r->desired->objects.v)) : NULL;
    return paths && !json_array_size(paths);
}

json_t *run_changed_fields(struct run *r, const json_t *change, const char *fields)
{
    const struct object *o = changed_object(r, change);
    const char *what = json_dot_text(change, "what");
    if (!o)
        return json_array();
    if (strcmp(what, "content") != 0) {
        json_t *paths = drifted(r, (unsigned)(o - r->desired->objects.v));
        return paths ? paths : json_array();
    }
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    json_t *out = plan_file_other_fields(doc, fields);
    while (json_array_size(out) > MAX_TOLD)
        json_array_remove(out, json_array_size(out) - 1);
    return out;
}
