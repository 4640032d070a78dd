// SPDX-License-Identifier: Apache-2.0
//
// What a drill finds: before the plan in the snapshot alone, after the run in what the cluster says
// of each object, and object by object against the snapshot and the live cluster.
#include <stdlib.h>
#include <string.h>

#include "cli/drilling.h"

#define MAX_DIFFERENCES 2000 // told one by one; all are counted

void drill_settle(struct restoring *r)
{
    struct drilling *x = (struct drilling *)r;
    findings_of_apis(r->s->desired, &r->apis, &x->f);
    findings_of_secrets(&r->frozen, &x->f);
    if (!x->plane)
        return;
    simulated_settle(r->s->desired, &r->apis, &x->simulated);
    for (size_t i = 0; i < x->simulated.ready.len; i++)
        strv_push(&r->c->o.ready, x->simulated.ready.v[i]);
}

// ---- what the run says ----
static const struct object *object_of(const struct drilling *x, unsigned i)
{
    return &run_desired(x->run)->objects.v[i];
}

static const char *app_of(const struct drilling *x, unsigned i)
{
    return run_desired(x->run)->apps.v[object_of(x, i)->app]->name;
}

static void find_failed(struct drilling *x)
{
    for (unsigned i = 0; i < run_desired(x->run)->objects.len; i++) {
        const struct object *o = object_of(x, i);
        struct node_view v;
        run_node(x->run, i, &v);
        if (o->is_virtual || v.state != NODE_FAILED)
            continue;
        CLEANUP(str_freep) char *name = object_name(&o->id);
        if (!findings_has_object(&x->f, name))
            findings_add(&x->f, v.error == ERR_INVALID ? FINDING_INVALID : FINDING_REFUSED, name,
                         app_of(x, i), *v.message ? v.message : "it failed");
    }
}

static void find_unhealthy(struct drilling *x)
{
    const struct desired *d = run_desired(x->run);
    for (unsigned i = 0; i < d->apps.len; i++) {
        struct app_view v;
        run_app(x->run, i, &v);
        bool is_well = v.state == NODE_READY || v.state == NODE_SKIPPED ||
                       d->apps.v[i]->state == APP_OTHER_CLUSTER;
        bool is_root = i == 0 && v.ready == v.total; // its end waits for all others
        const char *text = *v.problem ? v.problem : *v.waits_for ? v.waits_for : "not healthy";
        CLEANUP(str_freep)
        char *waits = *v.problem || !*v.waits_for ? NULL : str_printf("waits for %s", text);
        if (!is_well && !is_root && !findings_has_app(&x->f, d->apps.v[i]->name))
            findings_add(&x->f, FINDING_UNHEALTHY, NULL, d->apps.v[i]->name, waits ? waits : text);
        app_view_clear(&v);
    }
}

static bool find_sources(struct drilling *x, struct err *err)
{
    CLEANUP(reader_freep) struct reader *r = NULL;
    return reader_open(&x->r.snap.repo, x->r.snap.chain, x->r.e, x->id, &r, err) &&
           findings_of_sources(r, &x->r.frozen, &x->f, err);
}

// ---- differences ----
static void add(struct drilling *x, const char *object, const char *against, const char *kind,
                json_t *changes_take)
{
    json_t *d = json_pack("{s:s, s:s, s:s, s:o}", "object", object, "against", against, "kind",
                          kind, "changes", changes_take ? changes_take : json_array());
    if (json_array_size(x->differences) < MAX_DIFFERENCES)
        json_array_append(x->differences, d);
    json_decref(d);
}

// Two spellings of one value are the same to the server: would an apply change anything?
static void ask_server(struct drilling *x, unsigned i, json_t *changes)
{
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *would = NULL;
    struct err err = {0};
    if (run_preview(x->run, i, &live, &would, &err) && live && would) {
        json_array_clear(changes);
        compare_objects(would, live, COMPARE_WHOLE, changes);
    }
    err_clear(&err); // then they differ, as far as anybody knows
}

static void say_missing(struct drilling *x, const char *name, const char *app)
{
    add(x, name, "snapshot", "missing", NULL);
    if (!findings_has_object(&x->f, name) && (!app || !findings_has_app(&x->f, app)))
        findings_add(&x->f, FINDING_DIFFERENT, name, app, "it did not come back");
}

static void say_changed(struct drilling *x, const char *name, const char *app, json_t *changes)
{
    const json_t *first = json_array_get(changes, 0);
    CLEANUP(str_freep)
    char *text = str_printf("it came back with another %s%s", json_dot_str(first, "pointer"),
                            json_array_size(changes) > 1 ? " and more" : "");
    add(x, name, "snapshot", "changed", json_incref(changes));
    if (!findings_has_object(&x->f, name))
        findings_add(&x->f, FINDING_DIFFERENT, name, app, text);
}

static void compare_one(struct drilling *x, unsigned i, const struct world *here)
{
    const struct object *o = object_of(x, i);
    const struct world_object *w = world_find(here, &o->id);
    CLEANUP(str_freep) char *name = object_name(&o->id);
    struct node_view v;
    run_node(x->run, i, &v);
    // A hook is run, and gone when it asks for that. Of several phases only one is there.
    if (o->is_virtual || v.state == NODE_SKIPPED || (o->is_hook && (!w || v.state == NODE_READY)))
        return;
    x->compared++;
    if (!w) {
        say_missing(x, name, app_of(x, i));
        return;
    }
    CLEANUP(json_freep) json_t *changes = json_array();
    CLEANUP(json_freep) json_t *want = object_doc(o);
    CLEANUP(json_freep) json_t *found = world_doc(w);
    compare_objects(want, found, COMPARE_WANTED, changes);
    if (json_array_size(changes))
        ask_server(x, i, changes);
    if (json_array_size(changes))
        say_changed(x, name, app_of(x, i), changes);
}

// Keys and credentials, which no application owns.
static void compare_zero(struct drilling *x, const struct zero_object *z, const struct world *here)
{
    const struct world_object *w = world_find(here, &z->id);
    CLEANUP(str_freep) char *name = object_name(&z->id);
    CLEANUP(json_freep) json_t *want = NULL;
    struct err err = {0};
    x->compared++;
    if (!w) {
        say_missing(x, name, NULL);
        return;
    }
    if (!canon_read(z->body, z->body_len, &want, &err)) {
        err_clear(&err); // we wrote it
        return;
    }
    CLEANUP(json_freep) json_t *changes = json_array();
    CLEANUP(json_freep) json_t *found = world_doc(w);
    compare_objects(want, found, COMPARE_WANTED, changes);
    if (json_array_size(changes))
        say_changed(x, name, NULL, changes);
}

// ---- against what is live ----
static void compare_live_one(struct drilling *x, const struct world_object *live,
                             const struct world *here)
{
    const struct object *o = desired_find(run_desired(x->run), &live->id);
    const struct world_object *w = world_find(here, &live->id);
    CLEANUP(str_freep) char *name = object_name(&live->id);
    CLEANUP(json_freep) json_t *changes = json_array();
    if (o && (o->is_virtual || o->is_hook))
        return;
    if (!o && !w) {
        add(x, name, "live", "missing", NULL);
        findings_add(&x->f, FINDING_LIVE_MISSING, name, NULL,
                     "the live cluster has it under management, the snapshot has not");
        return;
    }
    if (!o || !w)
        return; // it has been said what did not come back
    CLEANUP(json_freep) json_t *want = object_doc(o);
    CLEANUP(json_freep) json_t *a = world_doc(live);
    CLEANUP(json_freep) json_t *b = world_doc(w);
    compare_with_live(want, a, b, changes);
    if (!json_array_size(changes))
        return;
    CLEANUP(str_freep)
    char *text = str_printf("the live cluster has another %s%s",
                            json_dot_str(json_array_get(changes, 0), "pointer"),
                            json_array_size(changes) > 1 ? " and more" : "");
    add(x, name, "live", "changed", json_incref(changes));
    findings_add(&x->f, FINDING_LIVE_DIFFERENT, name, run_desired(x->run)->apps.v[o->app]->name,
                 text);
}

static bool compare_live(struct drilling *x, const struct world *here, struct err *err)
{
    struct world there = {0};
    struct world_opts o = {.f = &x->r.frozen, .marked = true};
    const struct desired *d = run_desired(x->run);
    if (!x->live)
        return true;
    o.served = x->live->kinds;
    if (!world_read(x->live->kube, x->r.c->loop, &o, &there, err))
        return err_wrap(err, "the live cluster");
    for (size_t i = 0; i < there.v.len; i++)
        compare_live_one(x, &there.v.v[i], here);
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o2 = &d->objects.v[i];
        CLEANUP(str_freep) char *name = object_name(&o2->id);
        if (!o2->is_virtual && !o2->is_hook && !world_find(&there, &o2->id))
            add(x, name, "live", "extra", NULL);
    }
    for (size_t i = 0; i < there.unread.len; i++)
        strv_push_take(&x->warnings, str_printf("the live cluster was not compared in full: %s",
                                                there.unread.v[i]));
    world_clear(&there);
    return true;
}

// ---- the whole ----
struct fresh {
    bool is_over;
    struct err err;
};

static void on_kinds(void *ctx, struct err *err)
{
    struct fresh *f = ctx;
    f->is_over = true;
    if (err_is_set(err))
        err_copy(&f->err, err);
}

// What the restore itself defined is served now.
static bool learn_kinds(struct drilling *x, struct err *err)
{
    struct fresh f = {0};
    struct loop *l = x->r.c->loop;
    kube_rediscover(x->r.s->kube, x->r.s->kinds, on_kinds, &f);
    while (!f.is_over) {
        if (loop_stopping(l))
            kube_cancel_all(x->r.s->kube); // the callback points into this frame
        loop_run_once(l, 200);
    }
    if (loop_stopping(l)) {
        err_clear(&f.err);
        return loop_stopped(l, err, "comparing");
    }
    if (!err_is_set(&f.err))
        return true;
    err_move(err, &f.err);
    return err_wrap(err, "compare");
}

bool drill_find(struct drilling *x, struct err *err)
{
    struct world here = {0};
    struct world_opts o = {.f = &x->r.frozen};
    if (!find_sources(x, err))
        return false;
    find_failed(x);
    find_unhealthy(x);
    if (!learn_kinds(x, err))
        return false;
    o.served = x->r.s->kinds;
    if (!world_read(x->r.s->kube, x->r.c->loop, &o, &here, err))
        return false;
    for (unsigned i = 0; i < run_desired(x->run)->objects.len; i++)
        compare_one(x, i, &here);
    for (size_t i = 0; i < x->r.frozen.zero.len; i++)
        compare_zero(x, &x->r.frozen.zero.v[i], &here);
    bool ok = compare_live(x, &here, err);
    world_clear(&here);
    return ok;
}

enum drill_verdict drill_verdict(const struct findings *f)
{
    enum drill_verdict v = DRILL_GOOD;
    for (size_t i = 0; i < f->v.len; i++) {
        enum finding_kind k = f->v.v[i].kind;
        if (finding_blames_snapshot(k))
            return DRILL_BAD;
        if (k != FINDING_LIVE_MISSING && k != FINDING_LIVE_DIFFERENT)
            v = DRILL_UNPROVEN;
    }
    return v;
}

const char *drill_verdict_name(enum drill_verdict v)
{
    static const char *const names[] = {"drilled", "unproven", "bad"};
    return names[v];
}
