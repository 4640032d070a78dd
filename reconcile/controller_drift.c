// SPDX-License-Identifier: Apache-2.0
//
// What others change of what is ours: looked at once (the object as it is, and what a dry run would
// make of it), told field by field with who did it, and mended by the next turn, where that is
// asked for. An object that somebody changes again and again is mended ever more rarely.
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/drift.h"

// So often within so long it is mended at once; then after 1, 2, 4, ... seconds.
#define HEALS_AT_ONCE 5
#define HEALS_WITHIN_MS 60000
#define HEAL_LONGEST_MS 180000
#define MAX_NOTES 20000
#define UNRECORDED_MS 5000

static int cmp_key(const void *key, const void *element)
{
    return strcmp(key, (*(struct drift_note *const *)element)->key);
}

static int cmp_note(const void *a, const void *b)
{
    return strcmp((*(struct drift_note *const *)a)->key, (*(struct drift_note *const *)b)->key);
}

static struct drift_note *note_of(struct controller *c, const struct object_id *id)
{
    CLEANUP(str_freep) char *key = object_key(id);
    struct drift_note **found = NULL;
    if (c->drifts.len)
        found = bsearch(key, c->drifts.v, c->drifts.len, sizeof(*c->drifts.v), cmp_key);
    if (found)
        return *found;
    struct drift_note *n = mem_alloc(sizeof(*n));
    n->controller = c;
    n->key = TAKE(key);
    n->id = object_id_dup(id);
    *vec_push(&c->drifts) = n;
    qsort(c->drifts.v, c->drifts.len, sizeof(*c->drifts.v), cmp_note);
    return n;
}

static void note_free(struct drift_note *n)
{
    free(n->key);
    free(n->app);
    object_id_clear(&n->id);
    json_decref(n->live);
    json_decref(n->changes);
    free(n);
}

void drift_clear(struct controller *c)
{
    for (size_t i = 0; i < c->drifts.len; i++)
        note_free(c->drifts.v[i]);
    vec_clear(&c->drifts);
}

static int64_t patience_ms(const struct drift_note *n)
{
    if (n->heals < HEALS_AT_ONCE)
        return 0;
    unsigned power = n->heals - HEALS_AT_ONCE;
    int64_t ms = power > 8 ? HEAL_LONGEST_MS : 1000LL << power;
    return ms < HEAL_LONGEST_MS ? ms : HEAL_LONGEST_MS;
}

// What was mended long ago is no history worth keeping.
static void forget_old(struct controller *c)
{
    int64_t now = clock_mono_ms();
    size_t kept = 0;
    for (size_t i = 0; i < c->drifts.len; i++) {
        struct drift_note *n = c->drifts.v[i];
        bool is_wanted = c->desired && desired_find(c->desired, &n->id);
        n->is_open &= is_wanted;
        if (n->is_open || n->is_looking || now - n->healed_ms < HEALS_WITHIN_MS + patience_ms(n))
            c->drifts.v[kept++] = n;
        else
            note_free(n);
    }
    c->drifts.len = kept;
}

bool drift_is_open(const struct controller *c, const struct object_id *id)
{
    CLEANUP(str_freep) char *key = c->drifts.len ? object_key(id) : NULL;
    struct drift_note **n =
        key ? bsearch(key, c->drifts.v, c->drifts.len, sizeof(*c->drifts.v), cmp_key) : NULL;
    return n && (*n)->is_open;
}

static size_t drift_open(const struct controller *c, const char *app)
{
    size_t n = 0;
    for (size_t i = 0; i < c->drifts.len; i++)
        n += c->drifts.v[i]->is_open && str_eq(c->drifts.v[i]->app, app);
    return n;
}

json_t *drift_doc(const struct controller *c, const char *app)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->drifts.len; i++) {
        const struct drift_note *n = c->drifts.v[i];
        if (n->is_open && n->changes && str_eq(n->app, app))
            json_array_append_new(all, json_pack("{s:s, s:s, s:s*, s:s, s:O}", "group", n->id.group,
                                                 "kind", n->id.kind, "namespace", n->id.namespace,
                                                 "name", n->id.name, "drift", n->changes));
    }
    return all;
}

// Of one that is gone there is no field to tell of.
static void add_item(json_t *all, const struct drift_note *n, const json_t *change)
{
    json_array_append_new(
        all, json_pack("{s:s, s:s, s:s*, s:s, s:s*, s:s*, s:s*, s:b}", "group", n->id.group, "kind",
                       n->id.kind, "namespace", n->id.namespace, "name", n->id.name, "pointer",
                       json_dot_str(change, "path"), "manager", json_dot_str(change, "manager"),
                       "at", json_dot_str(change, "time"), "healed", !n->is_open));
}

json_t *drift_items(const struct controller *c, const char *app)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->drifts.len; i++) {
        const struct drift_note *n = c->drifts.v[i];
        bool is_told = n->changes && (n->is_open || n->healed_ms >= n->found_ms);
        if (!is_told || !str_eq(n->app, app))
            continue;
        for (size_t k = 0; k < json_array_size(n->changes); k++)
            add_item(all, n, json_array_get(n->changes, k));
        if (!json_array_size(n->changes))
            add_item(all, n, NULL);
    }
    return all;
}

static void look(struct drift_note *n);

static bool app_heals(const struct controller *c, const struct tracked *t)
{
    int at = c->desired ? desired_tracked_app(c->desired, t->name) : -1;
    return at >= 0 && heals_itself(c->desired->apps.v[at]);
}

// Whatever came while it was looked at is looked at now.
static void looked(struct drift_note *n)
{
    bool again = n->look_again;
    n->is_looking = n->look_again = false;
    if (again)
        look(n);
}

static void tell(struct drift_note *n, const json_t *changes)
{
    struct controller *c = n->controller;
    struct tracked *t = tracked_find(c, n->app);
    int at = c->desired ? desired_tracked_app(c->desired, n->app) : -1;
    if (!t || at < 0) {
        looked(n);
        return;
    }
    if (n->is_open && !n->is_gone && n->changes && json_equal(n->changes, changes)) {
        looked(n); // something else of it was changed
        return;
    }
    bool heals = heals_itself(c->desired->apps.v[at]);
    event_emit(c->o.events, "object.drifted", "{s:s, s:s, s:s, s:s*, s:s, s:b, s:O, s:b}", "app",
               n->app, "group", n->id.group, "kind", n->id.kind, "namespace", n->id.namespace,
               "name", n->id.name, "gone", (int)n->is_gone, "changes", changes, "heals", heals);
    n->is_open = true;
    t->is_synced = false;
    json_decref(n->changes);
    n->changes = json_deep_copy(changes);
    report_news(c, n->app);
    tracked_trigger(t, TRIGGER_DRIFT, clock_mono_ms() + patience_ms(n));
    looked(n);
}

static const struct object *desired_of(const struct drift_note *n)
{
    struct controller *c = n->controller;
    return c->desired ? desired_find(c->desired, &n->id) : NULL;
}

static char *path_of(const struct drift_note *n, const struct object *o)
{
    struct controller *c = n->controller;
    const struct kind_info *k = kinds_find(c->desired->kinds, n->id.group, o->version, n->id.kind);
    return k && k->is_served ? kind_path(k, n->id.namespace, n->id.name) : NULL;
}

static json_t *changes_of(const struct drift_note *n, const json_t *would_be)
{
    struct controller *c = n->controller;
    int at = desired_tracked_app(c->desired, n->app);
    struct drift_opts o = {.manager = c->run_opts.manager};
    if (at >= 0)
        o.ignore = c->desired->apps.v[at]->ignore_differences;
    if (!c->jq && ignored_has_jq(o.ignore))
        c->jq = jq_filters_new();
    o.jq = c->jq;
    return drift_of(&n->id, n->live, would_be, &o, NULL);
}

// Fields that nobody declared, or that somebody put back. Who put one back has it still: where
// things are healed it is made ours again, or his next change would not be seen.
static void as_it_was(struct drift_note *n)
{
    struct controller *c = n->controller;
    struct tracked *t = tracked_find(c, n->app);
    bool was = n->is_open;
    n->is_open = false;
    if (was && t && t->triggers == TRIGGER_DRIFT && !drift_open(c, n->app) && !app_heals(c, t))
        t->triggers = 0;
    if (was && t && !t->triggers && !t->problem && !t->prune_is_held && !drift_open(c, n->app))
        t->is_synced = true;
    if (was)
        report_news(c, n->app);
    looked(n);
}

// What the dry run answers is what it would be again; what cannot be told is mended all the same.
static void on_would_be(void *ctx, const struct kube_reply *reply)
{
    struct drift_note *n = ctx;
    struct controller *c = n->controller;
    struct err err = {0};
    CLEANUP(json_freep) json_t *would_be = NULL;
    CLEANUP(json_freep) json_t *changes = NULL;
    c->pending--;
    if (reply->cls == KUBE_CANCELLED) {
        n->is_looking = false;
        return;
    }
    if (reply->cls == KUBE_OK && canon_read(reply->body, reply->body_len, &would_be, &err))
        changes = changes_of(n, would_be);
    err_clear(&err);
    if (!changes)
        changes = json_array();
    if (json_array_size(changes) || reply->cls != KUBE_OK) {
        tell(n, changes);
        return;
    }
    as_it_was(n);
}

static void on_live(void *ctx, const struct kube_reply *reply)
{
    struct drift_note *n = ctx;
    struct controller *c = n->controller;
    struct err err = {0};
    const struct object *o = desired_of(n);
    CLEANUP(str_freep) char *path = o ? path_of(n, o) : NULL;
    CLEANUP(json_freep) json_t *none = json_array();
    json_decref(n->live);
    n->live = NULL;
    n->is_gone = reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_NAMESPACE;
    c->pending--;
    if (reply->cls == KUBE_CANCELLED || !o || !path) {
        n->is_looking = false;
    } else if (reply->cls == KUBE_OK && canon_read(reply->body, reply->body_len, &n->live, &err)) {
        struct kube_apply_opts a = {.dry_run = true,
                                    .force = true,
                                    .manager = c->run_opts.manager,
                                    .patience_ms = KUBE_PATIENCE_MS};
        c->pending++;
        kube_apply(c->kube, path, o->body, o->body_len, &a, on_would_be, n);
    } else {
        tell(n, none); // what cannot be read is mended all the same
    }
    err_clear(&err);
}

static void look(struct drift_note *n)
{
    struct controller *c = n->controller;
    const struct object *o = desired_of(n);
    CLEANUP(str_freep) char *path = o ? path_of(n, o) : NULL;
    n->look_again |= path && n->is_looking;
    if (!path || n->is_looking)
        return;
    n->is_looking = true;
    n->found_ms = clock_mono_ms();
    c->pending++;
    struct kube_call get = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
    kube_send(c->kube, &get, on_live, n);
}

// One that nobody is about to mend may have been put back, or changed once more.
static void changed_again(struct controller *c, const struct object_id *id, struct tracked *t)
{
    int at = t && c->desired ? desired_tracked_app(c->desired, t->name) : -1;
    if (at < 0 || !t->is_known || c->drifts.len >= MAX_NOTES)
        return;
    const struct application *a = c->desired->apps.v[at];
    bool is_left = t->held || !tracked_is_owed(t, a);
    if (!is_left || (!drift_is_open(c, id) && heals_itself(a)))
        return;
    struct drift_note *n = note_of(c, id);
    str_set(&n->app, t->name);
    look(n);
}

void drift_changed(void *ctx, const struct object_id *id, const char *app,
                   enum informer_change change)
{
    struct controller *c = ctx;
    struct tracked *t = tracked_find(c, app);
    if (t && change == INFORMER_HEALTH)
        report_news(c, app);
    if (change == INFORMER_STILL)
        changed_again(c, id, t);
    if (change == INFORMER_HEALTH && !strcmp(id->kind, "CustomResourceDefinition"))
        c->has_new_kinds = c->must_load = true;
    // Its record is gone: it is recorded again.
    if (t && t->is_known && change == INFORMER_UNRECORDED && desired_find(c->desired, id))
        tracked_trigger(t, TRIGGER_UNFINISHED, clock_mono_ms() + UNRECORDED_MS);
    if (!t || !t->is_known || (change != INFORMER_DRIFT && change != INFORMER_GONE))
        return;
    if (c->drifts.len >= MAX_NOTES)
        return tracked_trigger(t, TRIGGER_DRIFT, 0);
    struct drift_note *n = note_of(c, id);
    str_set(&n->app, app);
    c->sum.drifts++;
    look(n);
}

void drift_healed(struct controller *c, const struct run *r)
{
    const struct desired *d = run_desired(r);
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < c->drifts.len; i++) {
        struct drift_note *n = c->drifts.v[i];
        // One that came after this turn had begun is for the next.
        bool is_its = n->is_open && n->found_ms <= c->turn_ms;
        const struct object *o = is_its ? desired_find(d, &n->id) : NULL;
        struct node_view v;
        if (!o)
            continue;
        run_node(r, (unsigned)(o - d->objects.v), &v);
        if (v.state != NODE_APPLIED && v.state != NODE_READY)
            continue;
        n->heals = now - n->healed_ms < HEALS_WITHIN_MS + patience_ms(n) ? n->heals + 1 : 1;
        n->is_open = false;
        n->healed_ms = now;
        report_news(c, n->app);
        c->sum.heals++;
        prom_observe(&c->sum.heal_s, (double)(now - n->found_ms) / 1000);
        event_emit(c->o.events, "object.healed", "{s:s, s:s, s:s, s:s*, s:s, s:I}", "app", n->app,
                   "group", n->id.group, "kind", n->id.kind, "namespace", n->id.namespace, "name",
                   n->id.name, "ms", (json_int_t)(now - n->found_ms));
    }
    forget_old(c);
}
