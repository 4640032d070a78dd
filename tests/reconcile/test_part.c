// SPDX-License-Identifier: Apache-2.0
//
// A part of the desired state: what it holds, and what its plan leaves alone.
#include "tests/test.h"

#include "gitops/graph.h"
#include "reconcile/plan.h"

static struct object_id id_of(const char *name)
{
    return (struct object_id){str_dup(""), str_dup("ConfigMap"), str_dup("ns"), str_dup(name)};
}

static void add(struct desired *d, unsigned app, const char *yaml)
{
    CLEANUP(json_freep) json_t *doc = doc_of(yaml);
    struct err err = {0};
    struct object o = {.app = app, .is_namespaced = true};
    assert_true(object_id_of(doc, &o.id, &o.version, &err));
    o.phase = PHASE_SYNC;
    o.phases = 1U << PHASE_SYNC;
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

// a and b have a ConfigMap of their name each; the Pod of b needs the ServiceAccount of a.
static struct desired *two_apps(void)
{
    struct err err = {0};
    struct desired *d = desired_new();
    kinds_add_builtin(d->kinds, 37);
    desired_add_app_take(d, application_new_root("root"));
    for (int i = 0; i < 2; i++) {
        struct application *a = application_new_root(i ? "b" : "a");
        a->parent = 0;
        a->wave = i;
        a->prune = true;
        desired_add_app_take(d, a);
    }
    add(d, 1, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}}");
    add(d, 1, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: ns}}");
    add(d, 2, "{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: ns}}");
    add(d, 2,
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns}, spec: "
        "{serviceAccountName: "
        "sa}}");
    assert_true(desired_finish(d, &err));
    return d;
}

static struct desired *part_of(struct desired *d, bool a, bool b, bool gone)
{
    bool take[] = {false, a, b};
    return desired_part(d, take, gone);
}

static void holds(void **s)
{
    (void)s;
    struct desired *d CLEANUP(desired_freep) = two_apps();
    struct desired *p CLEANUP(desired_freep) = part_of(d, false, true, false);
    struct object_id a = id_of("a");
    struct object_id b = id_of("b");
    assert_int_equal(p->apps.len, 3);
    assert_int_equal(p->objects.len, 2);
    assert_null(desired_find(p, &a));
    assert_non_null(desired_find(p, &b));
    assert_non_null(desired_find(desired_whole(p), &a));
    assert_false(desired_takes(p, 1));
    assert_true(desired_takes(p, 2));
    assert_true(desired_takes(d, 1));
    // What a run finds out of an object is known of the whole, too.
    struct object *o = desired_find(p, &b);
    str_set(&o->id.name, "renamed");
    desired_changed(p, (unsigned)(o - p->objects.v));
    assert_null(desired_find(d, &b));
    str_set(&b.name, "renamed");
    assert_non_null(desired_find(d, &b));
    object_id_clear(&a);
    object_id_clear(&b);
}

static bool is_b(void *ctx, const struct object *o)
{
    return str_eq(ctx, o->id.name);
}

// Some objects of it only, for an operation; the whole is as it was.
static void kept(void **s)
{
    (void)s;
    struct desired *d CLEANUP(desired_freep) = two_apps();
    struct desired *p CLEANUP(desired_freep) = part_of(d, true, true, false);
    struct object_id a = id_of("a");
    struct object_id b = id_of("b");
    assert_int_equal(p->objects.len, 4);
    desired_part_keep(p, is_b, (void *)"b");
    assert_int_equal(p->objects.len, 1);
    assert_non_null(desired_find(p, &b));
    assert_null(desired_find(p, &a));
    assert_int_equal(d->objects.len, 4);
    struct object *o = desired_find(p, &b);
    str_set(&o->id.name, "renamed");
    desired_changed(p, 0);
    assert_null(desired_find(d, &b));
    object_id_clear(&a);
    object_id_clear(&b);
}

struct world {
    struct desired *whole, *part;
    struct live_fact fact;
    struct record record;
    json_t *notes;
    struct plan_policy policy;
};

static struct world new_world(const char *object, const char *app, bool a, bool b, bool gone)
{
    struct world w = {.whole = two_apps(),
                      .fact = {.id = id_of(object), .exists = true},
                      .record = {.id = id_of(object)},
                      .notes = doc_of("{gone: {cascade: true, parent: {name: root}}}"),
                      .policy = {.prune = true, .max_prune_percent = 34, .min_prune_count = 20}};
    w.whole->apps.v[0]->prune = true;
    w.part = part_of(w.whole, a, b, gone);
    w.fact.uid = str_dup("u");
    w.record.uid = str_dup("u");
    w.record.version = str_dup("v1");
    w.record.app = str_dup(app);
    w.fact.tracking_app = str_dup(app);
    return w;
}

static void end(struct world *w)
{
    desired_free(w->part);
    desired_free(w->whole);
    live_fact_clear(&w->fact);
    record_clear(&w->record);
    json_decref(w->notes);
}

// The row of the record, and whether it is counted and stays recorded.
static void row_is(struct world *w, const char *row, bool stays)
{
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    if (!plan_make(w->part, &w->fact, w->fact.exists, &w->record, 1, w->notes, &w->policy, &p,
                   &err))
        fail_msg("%s", err.msg);
    const struct plan_item *it = &p->items.v[p->items.len - 1];
    if (!strcmp(row, "-")) {
        assert_int_not_equal(it->object, -1);
        return;
    }
    assert_int_equal(it->object, -1);
    assert_string_equal(it->row, row);
    assert_int_equal(it->stays, stays);
    if (*row != 'A')
        return;
    assert_int_equal(it->action, ACTION_NONE);
    assert_int_equal(p->counts[ACTION_PRUNE] + p->counts[ACTION_KEEP] + p->counts[ACTION_LEFT], 0);
}

static void of_another(void **s)
{
    (void)s;
    struct world w = new_world("old", "a", false, true, true);
    row_is(&w, "A2", false);
    w.policy.prune = false;
    row_is(&w, "A2", false);
    w.fact.is_unknown = true;
    row_is(&w, "A2", false);
    end(&w);
    w = new_world("old", "a", true, false, false);
    row_is(&w, "P8", false);
    end(&w);
}

static void of_one_gone(void **s)
{
    (void)s;
    struct world w = new_world("old", "gone", true, false, false);
    row_is(&w, "A3", false);
    end(&w);
    w = new_world("old", "gone", true, false, true);
    row_is(&w, "P8", false);
    w.whole->apps.v[2]->state = APP_UNKNOWN; // not of the part, and unknown all the same
    row_is(&w, "P2", false);
    end(&w);
}

// It has moved to b, which is not of the part: whoever had it does not delete it.
static void moved(void **s)
{
    (void)s;
    struct world w = new_world("b", "a", true, false, false);
    row_is(&w, "A1", true);
    str_set(&w.fact.tracking_app, "b"); // which could not record it
    row_is(&w, "A1", true);
    str_set(&w.fact.tracking_app, NULL);
    w.fact.is_unknown = true;
    row_is(&w, "A1", true);
    end(&w);
    w = new_world("b", "gone", true, false, true);
    row_is(&w, "A1", true);
    end(&w);
}

// A hook that has run and was deleted then: its record proves that it has.
static void hook_gone(void **s)
{
    (void)s;
    struct world w = new_world("b", "a", true, false, false);
    w.fact.exists = false;
    row_is(&w, "-", false);
    w.record.is_hook = true;
    row_is(&w, "A4", true);
    end(&w);
    w = new_world("old", "a", true, false, false);
    w.fact.exists = false;
    w.record.is_hook = true;
    row_is(&w, "A4", false);
    end(&w);
}

// The breaker knows how many records there are, however few are given.
static void breaker(void **s)
{
    (void)s;
    struct world w = new_world("old", "a", true, false, false);
    struct plan *p = NULL;
    struct err err = {0};
    w.policy.min_prune_count = 0;
    assert_false(plan_make(w.part, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_string_equal(err.msg, "this would delete 1 of 1 objects");
    err_clear(&err);
    w.policy.n_all_records = 3;
    row_is(&w, "P8", false);
    end(&w);
}

static bool nothing_exists(void *ctx, const struct object_id *id)
{
    return ctx && !strcmp(id->kind, ctx);
}

static size_t count_externals(struct desired *d, const char *live)
{
    struct graph_live l = {.exists = nothing_exists, .ctx = (void *)live};
    struct graph_opts o = {0};
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct err err = {0};
    if (!graph_build(d, &l, &o, &g, &err))
        fail_msg("%s", err.msg);
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.len; i++)
        n += g->nodes.v[i].kind == NODE_EXTERNAL &&
             !strcmp(g->nodes.v[i].ext.kind, "ServiceAccount");
    assert_int_equal(g->warnings.len, 0);
    return n;
}

// What is needed of an application that is not of the part is there, or waited for.
static void externals(void **s)
{
    (void)s;
    struct desired *d CLEANUP(desired_freep) = two_apps();
    struct desired *p CLEANUP(desired_freep) = part_of(d, false, true, false);
    assert_int_equal(count_externals(d, "Namespace"), 0);
    assert_int_equal(count_externals(p, "Namespace"), 1);
    assert_int_equal(count_externals(p, "ServiceAccount"), 0);
}

// ---- who has no place in the order ----

// root / a, b, c, d, and e below d.
static struct desired *five_apps(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct err err = {0};
    struct desired *d = desired_new();
    kinds_add_builtin(d->kinds, 37);
    desired_add_app_take(d, application_new_root("root"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct application *a = application_new_root(names[i]);
        a->parent = strcmp(names[i], "e") ? 0 : 4;
        desired_add_app_take(d, a);
    }
    assert_true(desired_finish(d, &err));
    return d;
}

static void depends(struct desired *d, const char *app, const char *on)
{
    strv_push(&d->apps.v[desired_find_app(d, app)]->depends_on, on);
}

// names: of those without a place, "a c"; what is said of the first of them.
static void unordered_are(struct desired *d, const struct graph_opts *o, const char *names,
                          const char *said)
{
    CLEANUP(json_freep) json_t *why = graph_unordered(d, o);
    struct buf got CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < d->apps.len; i++)
        if (json_object_get(why, d->apps.v[i]->tracking_name))
            buf_printf(&got, "%s%s", got.len ? " " : "", d->apps.v[i]->name);
    assert_string_equal(got.p ? got.p : "", names);
    if (said) {
        CLEANUP(str_freep) char *first = str_ndup(names, strcspn(names, " "));
        assert_non_null(strstr(json_string_value(json_object_get(why, first)), said));
    }
}

static void unordered(void **s)
{
    (void)s;
    struct graph_opts o = {0};
    struct desired *d CLEANUP(desired_freep) = five_apps();
    unordered_are(d, &o, "", NULL);
    depends(d, "a", "b");
    depends(d, "b", "c");
    unordered_are(d, &o, "", NULL);
    depends(d, "d", "nobody");
    unordered_are(d, &o, "d e", "names nobody, which is no application of this root");
    d->apps.v[3]->state = APP_UNKNOWN; // it may have been one of its
    unordered_are(d, &o, "d e", "or is of one that cannot be read now");
    d->apps.v[0]->is_passing = true;
    unordered_are(d, &o, "d e", "or goes to another cluster");
    depends(d, "c", "a");
    unordered_are(d, &o, "a b c d e", "these wait for each other");
    o.break_declared = true;
    unordered_are(d, &o, "d e", NULL);
    o.ignore_declared = true;
    unordered_are(d, &o, "", NULL);
}

// A cycle may go through waves and parents; whoever only waits for one that is in it comes after
// it.
static void unordered_waves(void **s)
{
    (void)s;
    struct graph_opts o = {0};
    struct desired *d CLEANUP(desired_freep) = five_apps();
    d->apps.v[2]->wave = 1;
    depends(d, "a", "b"); // which is of a later wave
    depends(d, "c", "a");
    unordered_are(d, &o, "a c", "an earlier wave");
    struct desired *own CLEANUP(desired_freep) = five_apps();
    depends(own, "e", "d"); // its own parent
    unordered_are(own, &o, "e", "these wait for each other");
}

// What one says of its order does not keep others from their turn.
static void of_taken_only(void **s)
{
    (void)s;
    struct graph_opts o = {0};
    struct desired *d CLEANUP(desired_freep) = two_apps();
    depends(d, "b", "nobody");
    struct desired *p CLEANUP(desired_freep) = part_of(d, true, false, false);
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct graph *none CLEANUP(graph_freep) = NULL;
    struct err err = {0};
    assert_false(graph_build(d, NULL, &o, &none, &err));
    err_clear(&err);
    if (!graph_build(p, NULL, &o, &g, &err))
        fail_msg("%s", err.msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unordered),     cmocka_unit_test(unordered_waves),
        cmocka_unit_test(of_taken_only), cmocka_unit_test(kept),
        cmocka_unit_test(holds),         cmocka_unit_test(of_another),
        cmocka_unit_test(of_one_gone),   cmocka_unit_test(moved),
        cmocka_unit_test(hook_gone),     cmocka_unit_test(breaker),
        cmocka_unit_test(externals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
