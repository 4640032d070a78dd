// SPDX-License-Identifier: Apache-2.0
//
// The rows of docs/plan-cases.md.
#include "tests/test.h"

#include "reconcile/plan.h"

struct world {
    struct desired *d;
    struct live_fact fact;
    struct record record;
    json_t *notes; // of application "gone"
    struct plan_policy policy;
    bool has_fact, has_record;
};

static struct object_id id_of(const char *name)
{
    return (struct object_id){str_dup(""), str_dup("ConfigMap"), str_dup("n"), str_dup(name)};
}

static struct world new_world(bool desired)
{
    struct world w = {.d = desired_new(),
                      .policy = {.prune = true, .max_prune_percent = 34, .min_prune_count = 20}};
    kinds_add_builtin(w.d->kinds, 37);
    desired_add_app_take(w.d, application_new_root("app"));
    struct err err = {0};
    if (desired) {
        struct object o = {.id = id_of("c"), .version = str_dup("v1")};
        CLEANUP(json_freep)
        json_t *doc =
            doc_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: n}}");
        object_set_body(&o, doc);
        desired_add_object_take(w.d, &o);
    }
    assert_true(desired_finish(w.d, &err));
    w.fact = (struct live_fact){.id = id_of("c"),
                                .exists = true,
                                .uid = str_dup("u"),
                                .has_projection = true,
                                .tracking_app = str_dup("app")};
    w.record = (struct record){
        .id = id_of("c"), .version = str_dup("v1"), .app = str_dup("app"), .uid = str_dup("u")};
    w.notes = doc_of("{gone: {cascade: true, parent: {name: app}}}");
    if (desired)
        w.record.sent = w.d->objects.v[0].hash;
    w.has_fact = w.has_record = true;
    return w;
}

// What docs/plan-cases.md has for a row. D4 of an object with Replace=true is "D4r".
static const char *action_of_row(const char *row)
{
    static const char *const of[][2] = {
        {"V1", "read-only"}, {"H1", "hook-done"}, {"H2", "create"},    {"H3", "wait-for-deletion"},
        {"H4", "recreate"},  {"H5", "change"},    {"H6", "hook-done"}, {"H7", "unchanged"},
        {"C1", "create"},    {"D1", "change"},    {"D2", "change"},    {"C2", "wait-for-deletion"},
        {"D3", "replace"},   {"D4", "change"},    {"D4r", "replace"},  {"D5", "check"},
        {"N1", "unchanged"}, {"N2", "unchanged"}, {"N3", "unchanged"}, {"M1", "unchanged"},
        {"X1", "check"},     {"X2", "check"},     {"P8", "prune"},     {"P13", "unchanged"},
        {"P10", "left"},     {"P11", "left"},     {"P12", "left"},     {"X2h", "change"}};
    for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
        if (!strcmp(of[i][0], row))
            return of[i][1];
    return "keep";
}

// The row the one object falls into, and so what is done; "-" when there is no item at all.
static void row_is(struct world *w, const char *row)
{
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    if (!plan_make(w->d, &w->fact, w->has_fact, &w->record, w->has_record, w->notes, &w->policy, &p,
                   &err))
        fail_msg("%s", err.msg);
    const char *got = p->items.len ? p->items.v[0].row : "-";
    if (!str_starts(row, got))
        fail_msg("%s instead of %s", got, row);
    if (p->items.len)
        assert_string_equal(action_name(p->items.v[0].action), action_of_row(row));
    // What is not desired and needs nothing is not counted.
    size_t counted = 0;
    for (size_t i = 0; i < sizeof(p->counts) / sizeof(*p->counts); i++)
        counted += p->counts[i];
    bool is_silent =
        p->items.len && p->items.v[0].object < 0 && !strcmp(action_of_row(row), "unchanged");
    assert_int_equal(counted, p->items.len - is_silent);
}

static void end(struct world *w)
{
    desired_free(w->d);
    json_decref(w->notes);
    live_fact_clear(&w->fact);
    record_clear(&w->record);
}

static void wanted(void **s)
{
    (void)s;
    struct world w = new_world(true);
    row_is(&w, "N1");
    w.fact.projection.b[0] = 1;
    row_is(&w, "D2");
    w.record.sent.b[0] ^= 1;
    row_is(&w, "D1");
    str_set(&w.record.uid, "other");
    row_is(&w, "X1");
    w.has_record = false;
    row_is(&w, "X1");
    w.policy.force_all = true;
    row_is(&w, "D4");
    w.d->objects.v[0].options = SYNC_REPLACE;
    row_is(&w, "D4r");
    w.fact.is_terminating = true;
    row_is(&w, "C2");
    w.has_fact = false;
    row_is(&w, "C1");
    w.has_record = true;
    row_is(&w, "C1");
    w.d->objects.v[0].is_virtual = true;
    row_is(&w, "V1");
    end(&w);
}

// What the record must be, to prove that nothing is to be done.
static void proofs(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.fact.has_projection = false; // equal to nothing
    row_is(&w, "D2");
    w.fact.has_projection = true;
    w.record.is_intent = true; // it was to be made, and nobody knows what became of it
    row_is(&w, "X1");
    w.record.is_intent = false;
    w.record.is_hook = true; // it was a hook, and has run as one
    row_is(&w, "X1");
    w.record.is_hook = false;
    CLEANUP(json_freep) json_t *rules = doc_of("[{kind: ConfigMap, jsonPointers: [/data/a]}]");
    w.d->apps.v[0]->ignore_differences = rules;
    row_is(&w, "N1");
    w.fact.projection.b[0] = 1;
    row_is(&w, "D5");
    w.record.sent.b[0] ^= 1;
    row_is(&w, "D5");
    end(&w);
}

static void unwanted(void **s)
{
    (void)s;
    struct world w = new_world(false);
    row_is(&w, "P8");
    w.d->apps.v[0]->doc = json_object(); // an Application does not delete the last of it by itself
    w.d->apps.v[0]->has_automated = false; // a person syncs it
    row_is(&w, "P8");
    w.d->apps.v[0]->has_automated = true;
    row_is(&w, "P14");
    w.d->apps.v[0]->allow_empty = true;
    w.policy.prune = false;
    row_is(&w, "P7");
    w.d->apps.v[0]->prune_never = true;
    row_is(&w, "P6");
    w.fact.marks = DELETION_PRUNE_ASKED; // its own option goes before the application's
    row_is(&w, "P7");
    w.fact.marks |= DELETION_DELETE_OFF; // its application is still there
    row_is(&w, "P7");
    w.d->apps.v[0]->prune = false;
    row_is(&w, "P5");
    w.fact.marks = DELETION_PRUNE_OFF;
    row_is(&w, "P4");
    w.fact.marks = DELETION_KEEP;
    row_is(&w, "P4");
    str_set(&w.fact.uid, "other"); // made anew, and not recorded: it bears our mark
    row_is(&w, "P4");
    str_set(&w.fact.tracking_app, "other");
    row_is(&w, "P3");
    w.d->apps.v[0]->state = APP_UNKNOWN;
    row_is(&w, "P1");
    str_set(&w.record.app, "gone");
    row_is(&w, "P2");
    w.has_fact = false;
    row_is(&w, "-");
    w.record.is_hook = true; // it has run, and nothing asks for it any more
    row_is(&w, "-");
    end(&w);
}

static bool approves(const void *ctx, const char *app)
{
    return str_eq(ctx, app);
}

static bool approves_of(const void *ctx, const char *app, const struct object_id *id)
{
    return id->name && approves(ctx, app);
}

static void awaited(struct world *w, const char *whose)
{
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    row_is(w, whose ? "P16" : "P8");
    assert_true(plan_make(w->d, &w->fact, 1, &w->record, 1, w->notes, &w->policy, &p, &err));
    assert_true(str_eq(p->items.v[0].awaits, whose));
    assert_int_equal(p->items.v[0].action, whose ? ACTION_KEEP : ACTION_PRUNE);
}

// What a suspended application had and Git has no longer stays until it goes on.
static void resting(void **s)
{
    (void)s;
    struct world w = new_world(false);
    w.policy.is_resting = approves;
    w.policy.resting_ctx = "app";
    row_is(&w, "P8"); // its own: whoever suspends it does not make a turn about it
    str_set(&w.record.app, "gone");
    str_set(&w.fact.tracking_app, "gone");
    row_is(&w, "P17");
    w.policy.resting_ctx = "gone"; // another one says that it needs it
    row_is(&w, "P17");
    w.policy.resting_ctx = "app";
    json_object_set_new(w.notes, "gone",
                        doc_of("{cascade: true, parent: {name: between, cascade: true, "
                               "parent: {name: app}}}"));
    row_is(&w, "P17");
    w.policy.resting_ctx = "between"; // that is gone as well, and needed
    row_is(&w, "P17");
    w.policy.resting_ctx = "other";
    row_is(&w, "P8");
    end(&w);
}

// Prune=confirm and Delete=confirm, of an object and of its application.
static void confirmed(void **s)
{
    (void)s;
    struct world w = new_world(false);
    w.fact.marks = DELETION_PRUNE_CONFIRM;
    awaited(&w, "app");
    w.policy.is_approved = approves_of;
    w.policy.approved_ctx = "other";
    awaited(&w, "app");
    w.policy.approved_ctx = "app";
    awaited(&w, NULL);
    w.policy.is_approved = NULL;
    w.d->apps.v[0]->prune_never = true; // the object's own goes before
    awaited(&w, "app");
    w.fact.marks = 0;
    w.d->apps.v[0]->prune_never = false;
    w.d->apps.v[0]->prune_confirm = true;
    awaited(&w, "app");
    w.fact.marks = DELETION_PRUNE_ASKED;
    awaited(&w, NULL);
    w.fact.marks = DELETION_DELETE_CONFIRM; // that is about its application
    w.d->apps.v[0]->prune_confirm = false;
    awaited(&w, NULL);
    str_set(&w.record.app, "gone");
    str_set(&w.fact.tracking_app, "gone");
    awaited(&w, "gone");
    w.fact.marks = 0;
    awaited(&w, NULL);
    json_object_set_new(json_object_get(w.notes, "gone"), CASCADE_CONFIRM, json_true());
    awaited(&w, "gone");
    const char *asked[] = {"gone"};
    w.policy.prune_left = asked;
    w.policy.n_prune_left = 1;
    awaited(&w, NULL);
    w.policy.n_prune_left = 0;
    json_object_del(json_object_get(w.notes, "gone"), CASCADE_CONFIRM);
    w.d->apps.v[0]->prune_confirm = true; // its parent's
    awaited(&w, "app");
    end(&w);
}

static bool is_other(const void *ctx, const struct object_id *id)
{
    return !str_eq(ctx, id->name);
}

// An operation about some objects only.
static void selected(void **s)
{
    (void)s;
    struct world w = new_world(false);
    w.policy.is_selected = is_other;
    w.policy.selected_ctx = "c";
    row_is(&w, "P15");
    w.fact.marks = DELETION_PRUNE_CONFIRM;
    row_is(&w, "P15");
    w.policy.selected_ctx = "x";
    row_is(&w, "P16");
    w.fact.marks = 0;
    row_is(&w, "P8");
    end(&w);
}

// The application itself is no longer in Git; its parent is, and prunes.
static void left_behind(void **s)
{
    (void)s;
    struct world w = new_world(false);
    str_set(&w.record.app, "gone");
    str_set(&w.fact.tracking_app, "gone");
    row_is(&w, "P8");
    w.fact.marks = DELETION_PRUNE_OFF; // that speaks of pruning, and not of deletion
    row_is(&w, "P8");
    w.policy.prune = false;
    row_is(&w, "P7");
    w.policy.prune = true;
    w.fact.marks = DELETION_DELETE_OFF;
    row_is(&w, "P10");
    w.fact.marks = DELETION_KEEP;
    row_is(&w, "P10");
    w.fact.marks = 0;
    str_set(&w.record.id.kind, "CustomResourceDefinition");
    str_set(&w.fact.id.kind, "CustomResourceDefinition");
    row_is(&w, "P12");
    str_set(&w.record.id.kind, "ConfigMap");
    str_set(&w.fact.id.kind, "ConfigMap");
    w.d->apps.v[0]->prune = false; // the parent's
    row_is(&w, "P11");
    w.d->apps.v[0]->prune = true;
    json_object_set_new(json_object_get(w.notes, "gone"), "cascade", json_false());
    row_is(&w, "P11");
    json_object_clear(w.notes); // an older inventory
    row_is(&w, "P11");
    const char *asked[] = {"other", "gone"};
    w.policy.prune_left = asked;
    w.policy.n_prune_left = 1;
    row_is(&w, "P11");
    w.policy.n_prune_left = 2;
    row_is(&w, "P8");
    w.fact.marks = DELETION_DELETE_OFF;
    row_is(&w, "P10");
    w.policy.n_prune_left = 0;
    str_set(&w.fact.uid, "other");
    row_is(&w, "P11"); // made anew, and not recorded: it bears our mark
    str_set(&w.fact.tracking_app, "other");
    row_is(&w, "P13");
    w.d->apps.v[0]->state = APP_UNKNOWN;
    row_is(&w, "P2");
    end(&w);
}

// An application of the same name in another namespace is not the one that is gone.
static void namesake(void **s)
{
    (void)s;
    struct world w = new_world(false);
    struct application *a = application_new_root("gone");
    str_set(&a->tracking_name, "team_gone");
    a->prune = false;
    desired_add_app_take(w.d, a);
    str_set(&w.record.app, "gone");
    str_set(&w.fact.tracking_app, "gone");
    row_is(&w, "P8");
    json_object_set_new(json_object_get(w.notes, "gone"), "cascade", json_false());
    row_is(&w, "P11");
    str_set(&w.record.app, "team_gone");
    row_is(&w, "P5"); // its own would be, but for its policy
    end(&w);
}

// Once it has been told, what somebody else has taken is no longer remembered.
static void handed_over(void **s)
{
    (void)s;
    struct world w = new_world(false);
    str_set(&w.record.app, "gone");
    json_object_set_new(json_object_get(w.notes, "gone"), "cascade", json_false());
    row_is(&w, "P11"); // another's mark, but the object is the one that was made
    json_object_set_new(json_object_get(w.notes, "gone"), CASCADE_LEFT, json_string("2026"));
    row_is(&w, "P13");
    str_set(&w.fact.tracking_app, "gone");
    row_is(&w, "P11");
    json_object_set_new(json_object_get(w.notes, "gone"), "cascade", json_true());
    row_is(&w, "P8"); // its parent prunes by now
    w.record.is_intent = true;
    row_is(&w, "P8");
    str_set(&w.fact.tracking_app, "other");
    row_is(&w, "P13");
    end(&w);
}

// Replace=true is an option, of the object or of its application; not a text in a ConfigMap.
static void replaced(void **s)
{
    (void)s;
    struct world w = new_world(true);
    CLEANUP(json_freep)
    json_t *doc = doc_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: n}, "
                         "data: {how: Replace=true}}");
    object_set_body(&w.d->objects.v[0], doc);
    row_is(&w, "D1");
    w.d->objects.v[0].options = SYNC_REPLACE;
    row_is(&w, "D3");
    w.record.sent = w.d->objects.v[0].hash;
    row_is(&w, "N2");
    end(&w);
}

// What left fields to others is looked at anew, and what others change of the rest is drift.
static void left_to_others(void **s)
{
    (void)s;
    struct world w = new_world(true);
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    w.record.sent = plan_left_hash(&w.d->objects.v[0].hash);
    row_is(&w, "D1");
    assert_true(plan_make(w.d, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_true(p->items.v[0].has_left && p->items.v[0].is_drift);
    end(&w);
}

static void drift_is(struct world *w, const char *row, bool is_drift, bool has_left)
{
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    row_is(w, row);
    assert_true(plan_make(w->d, &w->fact, 1, &w->record, 1, w->notes, &w->policy, &p, &err));
    assert_int_equal(p->items.v[0].is_drift, is_drift);
    assert_int_equal(p->items.v[0].has_left, has_left);
}

// What others have changed is taken back, also when Git says something else since; what nobody has
// changed, and what is not ours, is taken from nobody.
static void drifted(void **s)
{
    (void)s;
    struct world w = new_world(true);
    const struct sha256 sent = w.record.sent;
    drift_is(&w, "N1", false, false);
    w.fact.projection.b[0] = 1;
    drift_is(&w, "D2", true, false);
    w.record.sent = sha256_of("before", 6);
    drift_is(&w, "D1", true, true);
    w.fact.has_projection = false;
    w.fact.projection.b[0] = 0;
    drift_is(&w, "D1", true, true);
    w.fact.has_projection = true;
    drift_is(&w, "D1", false, false);
    w.record.sent = sent;
    w.d->objects.v[0].options = SYNC_REPLACE;
    drift_is(&w, "N2", false, false);
    end(&w);
}

// What a run has made without coming to record it is ours: by the intent, our mark and our fields.
static void unrecorded(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.record.is_intent = true;
    drift_is(&w, "X1", true, true);
    w.fact.has_projection = false;
    drift_is(&w, "X1", false, false);
    w.fact.has_projection = true;
    str_set(&w.fact.tracking_app, "other");
    drift_is(&w, "X1", false, false);
    str_set(&w.fact.tracking_app, NULL);
    drift_is(&w, "X1", false, false);
    str_set(&w.fact.tracking_app, "app");
    w.record.is_hook = true;
    drift_is(&w, "X1", false, false);
    w.record.is_hook = w.record.is_intent = false;
    str_set(&w.record.uid, "before"); // it was made anew
    drift_is(&w, "X1", true, true);
    w.policy.force_all = true;
    drift_is(&w, "D4", true, true);
    end(&w);
}

// What could not be read is neither created blindly nor forgotten.
static void unknown(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.fact.is_unknown = true;
    row_is(&w, "X2");
    w.d->objects.v[0].is_hook = true;
    row_is(&w, "X2h");
    end(&w);
    w = new_world(false);
    str_set(&w.fact.uid, NULL);
    w.fact.is_unknown = true;
    row_is(&w, "P9");
    str_set(&w.record.app, "gone");
    row_is(&w, "P9");
    end(&w);
}

static void set_run(struct world *w, unsigned object)
{
    CLEANUP(str_freep) char *run = plan_hook_run(w->d, object);
    str_set(&w->fact.hook_run, run);
}

static void hooks(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.d->objects.v[0].is_hook = true;
    w.d->objects.v[0].hook_delete = HOOK_BEFORE_CREATION;
    row_is(&w, "H4");
    w.record.sent = plan_hook_token(w.d, 0);
    row_is(&w, "H4"); // that is no record of a hook
    w.record.is_hook = true;
    row_is(&w, "H1");
    w.record.is_intent = true; // noted before it was sent: no proof that it has run
    row_is(&w, "H4");
    set_run(&w, 0); // but its own mark is
    row_is(&w, "H7");
    w.fact.health.status = HEALTH_PROGRESSING;
    row_is(&w, "H7");
    w.fact.health.status = HEALTH_DEGRADED; // a failed one runs again
    row_is(&w, "H4");
    w.fact.is_terminating = true;
    row_is(&w, "H3");
    w.has_fact = false;
    row_is(&w, "H2");
    end(&w);
    w = new_world(true);
    w.d->objects.v[0].is_hook = true;
    w.d->objects.v[0].hook_delete = HOOK_SUCCEEDED;
    str_set(&w.fact.hook_run, "another content");
    row_is(&w, "H5");
    end(&w);
}

// Rows of both phases of one hook, "H4 H2".
static void rows_are(struct world *w, const char *rows)
{
    struct plan *p CLEANUP(plan_freep) = NULL;
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (!plan_make(w->d, &w->fact, w->has_fact, &w->record, w->has_record, w->notes, &w->policy, &p,
                   &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        buf_printf(&b, "%s%s", i ? " " : "", it->row);
        assert_string_equal(action_name(it->action), action_of_row(it->row));
    }
    assert_string_equal(b.p, rows);
}

static void phases(void **s)
{
    (void)s;
    struct world w = new_world(true);
    struct err err = {0};
    struct object second = {.id = id_of("c"), .version = str_dup("v1")};
    CLEANUP(json_freep)
    json_t *doc = doc_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: n}}");
    object_set_body(&second, doc);
    desired_add_object_take(w.d, &second);
    for (size_t i = 0; i < 2; i++) {
        struct object *o = &w.d->objects.v[i];
        o->is_hook = true;
        o->hook_delete = HOOK_BEFORE_CREATION;
        o->phase = i ? PHASE_POSTSYNC : PHASE_PRESYNC;
        o->phases = 1U << PHASE_PRESYNC | 1U << PHASE_POSTSYNC;
    }
    assert_true(desired_finish(w.d, &err));
    w.has_fact = w.has_record = false;
    rows_are(&w, "H2 H4"); // the second finds what the first has made
    w.has_fact = true;
    rows_are(&w, "H4 H4");
    set_run(&w, 0); // killed after the first
    rows_are(&w, "H7 H4");
    set_run(&w, 1); // after the second: the first has run before it
    rows_are(&w, "H6 H7");
    str_set(&w.fact.hook_run, NULL);
    w.has_record = w.record.is_hook = true;
    w.record.sent = plan_hook_token(w.d, 0);
    rows_are(&w, "H1 H4");
    w.record.sent = plan_hook_token(w.d, 1);
    rows_are(&w, "H1 H1");
    w.d->objects.v[0].hook_delete = w.d->objects.v[1].hook_delete = HOOK_FAILED;
    w.has_record = w.has_fact = false;
    rows_are(&w, "H2 H5");
    end(&w);
}

// What is left of an application is no reason to keep what it has no more.
static void one_of_two(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.d->apps.v[0]->doc = json_object();
    str_set(&w.record.id.name, "old");
    str_set(&w.fact.id.name, "old");
    rows_are(&w, "C1 P8");
    end(&w);
}

static void made_namespaces(void **s)
{
    (void)s;
    struct world w = new_world(true);
    w.d->objects.v[0].is_made = w.d->objects.v[0].is_bare = true;
    w.has_record = false;
    row_is(&w, "N3");
    w.has_fact = false;
    row_is(&w, "C1");
    w.has_fact = w.fact.is_terminating = true;
    row_is(&w, "C2");
    end(&w);
    w = new_world(false);
    w.record.is_made = true;
    row_is(&w, "M1");
    end(&w);
}

static void breaker(void **s)
{
    (void)s;
    struct world w = new_world(false);
    struct plan *p = NULL;
    struct err err = {0};
    w.policy.min_prune_count = 0;
    assert_false(plan_make(w.d, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    w.policy.is_read = true; // only looked at: it is decided, and noted
    assert_true(plan_make(w.d, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_int_equal(p->counts[ACTION_PRUNE], 1);
    assert_int_equal(p->breaker.kind, ERR_CONFLICT);
    plan_free(p);
    w.policy.is_read = false;
    w.policy.allow_mass_prune = true;
    row_is(&w, "P8");
    end(&w);
}

// One object is enough when another root takes the place of the one that was there.
static void another_root(void **s)
{
    (void)s;
    struct world w = new_world(false);
    struct plan *p = NULL;
    struct err err = {0};
    w.policy.min_prune_count = 20;
    w.policy.replaced_root = "https://git.example.com/old.git";
    assert_false(plan_make(w.d, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.hint, "old.git"));
    assert_string_equal(err.msg, "this would delete 1 of 1 objects");
    err_clear(&err);
    // An application without finalizer would be left behind, by what may be a mistake.
    str_set(&w.record.app, "gone");
    str_set(&w.fact.tracking_app, "gone");
    json_t *note = json_object_get(w.notes, "gone");
    json_object_set_new(note, "cascade", json_false());
    assert_false(plan_make(w.d, &w.fact, 1, &w.record, 1, w.notes, &w.policy, &p, &err));
    assert_string_equal(err.msg, "this would leave 1 of 1 objects behind");
    err_clear(&err);
    json_object_set_new(note, CASCADE_LEFT, json_string("2026")); // as it was before
    row_is(&w, "P11");
    json_object_clear(w.notes);
    w.policy.prune = false;
    row_is(&w, "P11");
    str_set(&w.record.app, "app");
    row_is(&w, "P7");
    end(&w);
}

// What goes and what is left behind are told together.
static void gone_and_left(void **s)
{
    (void)s;
    struct world w = new_world(false);
    struct world left = new_world(false);
    struct plan *p = NULL;
    struct err err = {0};
    str_set(&left.record.id.name, "b");
    str_set(&left.fact.id.name, "b");
    str_set(&left.record.app, "gone");
    str_set(&left.fact.tracking_app, "gone");
    json_object_set_new(json_object_get(w.notes, "gone"), "cascade", json_false());
    struct live_fact facts[] = {left.fact, w.fact};
    struct record records[] = {left.record, w.record};
    w.policy.replaced_root = "https://git.example.com/old.git";
    assert_false(plan_make(w.d, facts, 2, records, 2, w.notes, &w.policy, &p, &err));
    assert_string_equal(err.msg, "this would delete 1 of 2 objects, and leave 1 behind");
    err_clear(&err);
    end(&w);
    end(&left);
}

static void projections(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *live = doc_of(
        "{metadata: {name: a, managedFields: [{manager: regrow, operation: Apply, fieldsV1: "
        "{'f:spec': {'f:list': {'k:{\"name\":\"x\"}': {'.': {}, 'f:v': {}}}, 'f:m': {}}}}]}, spec: "
        "{m: 1, other: 2, list: [{name: z, v: 0}, {name: x, v: 7, w: 8}]}}");
    CLEANUP(json_freep) json_t *p = project_fields(live, managed_fields_of(live, "regrow"));
    CLEANUP(str_freep) char *text = canon_of(p);
    assert_string_equal(text,
                        "{\"f:spec\":{\"f:list\":{\"k:{\\\"name\\\":\\\"x\\\"}\":{\"f:v\":7}},"
                        "\"f:m\":1}}");
    struct sha256 a;
    struct sha256 b;
    assert_true(projection_of(live, "regrow", &a));
    json_object_set_new(json_object_get(live, "spec"), "other", json_integer(3));
    assert_true(projection_of(live, "regrow", &b) && sha256_eq(&a, &b));
    json_object_set_new(json_object_get(live, "spec"), "m", json_integer(3));
    assert_true(projection_of(live, "regrow", &b) && !sha256_eq(&a, &b));
    assert_false(projection_of(live, "nobody", &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanted),          cmocka_unit_test(unwanted),
        cmocka_unit_test(proofs),          cmocka_unit_test(gone_and_left),
        cmocka_unit_test(confirmed),       cmocka_unit_test(resting),
        cmocka_unit_test(left_to_others),  cmocka_unit_test(drifted),
        cmocka_unit_test(unrecorded),      cmocka_unit_test(selected),
        cmocka_unit_test(left_behind),     cmocka_unit_test(namesake),
        cmocka_unit_test(handed_over),     cmocka_unit_test(replaced),
        cmocka_unit_test(unknown),         cmocka_unit_test(hooks),
        cmocka_unit_test(phases),          cmocka_unit_test(one_of_two),
        cmocka_unit_test(made_namespaces), cmocka_unit_test(breaker),
        cmocka_unit_test(another_root),    cmocka_unit_test(projections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
