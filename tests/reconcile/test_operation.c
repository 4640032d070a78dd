// SPDX-License-Identifier: Apache-2.0
//
// Operations that people ask for: which of them have a turn of their own, what is refused, how they
// end; and approvals.
#include <stdlib.h>

#include "reconcile/controller_int.h"
#include "tests/test.h"

static struct controller *one_app(const char *policy)
{
    struct controller *c = mem_alloc(sizeof(*c));
    struct err err = {0};
    struct application *a = NULL;
    struct origin where = {0};
    CLEANUP(str_freep)
    char *text = str_printf(
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: "
        "web, namespace: argocd}, spec: {project: default, destination: "
        "{namespace: web}, source: {repoURL: u, path: p, targetRevision: main}, syncPolicy: {%s}}}",
        policy);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    assert_true(application_parse(doc, &where, &a, &err));
    a->state = APP_KNOWN;
    c->is_ending = true; // nothing is reported
    c->alone = -1;
    c->awaited = json_object();
    c->awaiting = json_object();
    c->approvals = json_object();
    c->desired = desired_new();
    desired_add_app_take(c->desired, application_new_root("root"));
    desired_add_app_take(c->desired, a);
    assert_true(desired_finish(c->desired, &err));
    struct source_changes changes CLEANUP(source_changes_clear) = {0};
    source_compare(NULL, c->desired, &changes);
    tracked_update(c, &changes);
    struct tracked *t = tracked_find(c, "web");
    t->triggers = 0;
    return c;
}

static void end(struct controller *c)
{
    tracked_clear(c);
    desired_free(c->desired);
    json_decref(c->awaited);
    json_decref(c->awaiting);
    json_decref(c->approvals);
    free(c);
}

static struct tracked *asked(struct controller *c, const char *sync)
{
    CLEANUP(str_freep)
    char *text = str_printf("{operation: {initiatedBy: {username: anna}, sync: %s}}", sync);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    CLEANUP(json_freep) json_t *taken = control_take(c, "web", doc);
    assert_non_null(taken);
    CLEANUP(json_freep) json_t *none = json_object();
    assert_null(control_take(c, "web", none)); // it has been taken out
    return tracked_find(c, "web");
}

static void kinds(void **s)
{
    (void)s;
    static const struct {
        const char *sync;
        bool is_alone, is_partial;
        const char *refused;
    } cases[] = {
        {"{}", false, false, NULL},
        {"{revision: abc}", false, false, NULL},
        {"{prune: true}", true, false, NULL},
        {"{dryRun: true}", true, true, NULL},
        {"{resources: [{kind: A, name: b}]}", true, true, NULL},
        {"{resources: []}", false, false, NULL},
        {"{syncOptions: [Replace=true]}", true, false, NULL},
        {"{syncOptions: [CreateNamespace=true]}", true, false, NULL},
        {"{syncStrategy: {apply: {}}}", true, false, NULL},
        {"{syncStrategy: {hook: {force: true}}}", true, false, NULL},
        {"{syncStrategy: {hook: {}}}", false, false, NULL},
        {"{source: {repoURL: u, path: p, targetRevision: main}}", false, false, NULL},
        {"{source: {repoURL: u, path: other}}", false, false, "not other sources"},
        {"{sources: [{repoURL: u, path: p}]}", false, false, "not other sources"},
        {"{syncOptions: [CreateNamespace=false]}", false, false, "CreateNamespace"},
        {"{syncOptions: [Prune=perhaps]}", false, false, "no such value"},
        {"{manifests: [x]}", false, false, "manifests"},
        {"{dryRun: true, revision: abc}", false, true, "a dry run of another revision"},
        {"{dryRun: true, revision: main}", true, true, NULL}, // where it is
        {"{dryRun: true, revisions: [main, main]}", false, true, "a dry run of another revision"},
        {"{resources: [{kind: A, name: b}], revision: abc}", false, true, "a sync of some"},
        {"{resources: what}", false, false, "resources"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controller *c = one_app("syncOptions: [CreateNamespace=true]");
        struct tracked *t = asked(c, cases[i].sync);
        if (operation_is_alone(t) != cases[i].is_alone ||
            (!t->refusal && operation_is_partial(t) != cases[i].is_partial))
            fail_msg("%s", cases[i].sync);
        if (cases[i].refused && (!t->refusal || !strstr(t->refusal, cases[i].refused)))
            fail_msg("%s: %s", cases[i].sync, t->refusal ? t->refusal : "is not refused");
        if (!cases[i].refused && t->refusal)
            fail_msg("%s: %s", cases[i].sync, t->refusal);
        assert_int_equal(t->triggers, cases[i].refused ? 0 : TRIGGER_REQUEST);
        assert_int_equal(operation_is_on(t), !cases[i].refused);
        assert_string_equal(json_dot_text(t->asked, "initiatedBy.username"), "anna");
        end(c);
    }
}

// What was owed before is owed still, after a trial, a refusal, and one that was ended.
static void what_is_owed(void **s)
{
    (void)s;
    struct controller *c = one_app("automated: {}");
    struct tracked *t = tracked_find(c, "web");
    tracked_trigger(t, TRIGGER_RETRY, 0);
    t = asked(c, "{source: {path: x}}");
    assert_int_equal(t->triggers, TRIGGER_COMMIT);
    assert_int_equal(t->outcome, OPERATION_ERROR);
    assert_false(c->must_load);
    t = asked(c, "{dryRun: true}");
    assert_true(c->must_load); // it is to what Git says now
    assert_int_equal(t->triggers, TRIGGER_COMMIT | TRIGGER_REQUEST);
    operation_settle(c, t, OPERATION_SUCCEEDED, "done");
    assert_int_equal(t->triggers, TRIGGER_COMMIT);
    assert_int_equal(t->pins.len, 0);
    end(c);
}

// Where it is read stays as it is, whatever is tried.
static void held_where_it_is(void **s)
{
    (void)s;
    struct controller *c = one_app("");
    struct tracked *t = asked(c, "{revision: abc}");
    assert_int_equal(t->pins.len, 1);
    static const char *const others[] = {"{dryRun: true}", "{dryRun: true, revision: main}",
                                         "{resources: [{kind: A, name: b}]}"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        t = asked(c, others[i]);
        assert_non_null(t->refusal);
        assert_int_equal(t->pins.len, 1);
    }
    t = asked(c, "{dryRun: true, revision: abc}");
    assert_null(t->refusal);
    operation_settle(c, t, OPERATION_SUCCEEDED, "done");
    assert_string_equal(t->pins.v[0], "abc");
    t = asked(c, "{}");
    assert_int_equal(t->pins.len, 0);
    end(c);
}

// An approval after a trial that is over is none of the trial: the turn is about all of it.
static void over(void **s)
{
    (void)s;
    struct controller *c = one_app("automated: {prune: true}");
    struct tracked *t = asked(c, "{dryRun: true}");
    turn_begin(c, t);
    t->is_on = false;
    operation_settle(c, t, OPERATION_SUCCEEDED, "done");
    assert_true(t->asked && !operation_is_partial(t)); // it is told still
    CLEANUP(json_freep) json_t *doc = json_object();
    json_set_annotation(doc, CONTROL_APPROVED, "2026-01-01T00:00:10Z");
    json_object_set_new(c->awaited, "web",
                        json_pack("{s:s, s:i}", "since", "2026-01-01T00:00:10Z", "objects", 1));
    approval_take(c, "web", doc);
    assert_int_equal(t->triggers, TRIGGER_UNFINISHED);
    turn_begin(c, t);
    assert_true(!t->asked && !t->is_over && t->is_on && !operation_is_partial(t));
    end(c);
}

static void ended(void **s)
{
    (void)s;
    struct controller *c = one_app("");
    struct tracked *t = asked(c, "{prune: true}");
    operation_end(c, t, "2001-01-01T00:00:00Z"); // another one
    assert_true(operation_is_on(t));
    CLEANUP(str_freep) char *began = clock_rfc3339(t->began_unix_s);
    operation_end(c, t, began);
    assert_false(operation_is_on(t));
    assert_int_equal(t->outcome, OPERATION_FAILED);
    assert_string_equal(t->said, OPERATION_ENDED);
    assert_int_equal(t->triggers, 0);
    // In the middle of a turn it is the turn that ends it, and what comes meanwhile waits.
    t = asked(c, "{}");
    t->is_on = true;
    assert_false(operation_ends(c));
    operation_end(c, t, NULL);
    assert_true(t->is_ending && operation_ends(c) && operation_is_on(t));
    t = asked(c, "{dryRun: true}"); // after it was said
    assert_true(t->next && !t->op.dry_run);
    t->is_on = false;
    assert_true(operation_ended(c, t));
    control_begin_next(c, t);
    assert_true(!t->next && t->op.dry_run && operation_is_on(t) && !t->is_ending);
    end(c);
}

static void approved(void **s)
{
    (void)s;
    static const struct {
        const char *since, *approved;
        bool is;
    } cases[] = {
        {NULL, "2026-01-01T00:00:00Z", false}, // nothing waits
        {"2026-01-01T00:00:10Z", NULL, false},
        {"2026-01-01T00:00:10Z", "2026-01-01T00:00:09Z", false},
        {"2026-01-01T00:00:10Z", "2026-01-01T00:00:10Z", true},
        {"2026-01-01T00:00:10Z", "2026-01-01T02:00:10+02:00", true},
        {"2026-01-01T00:00:10Z", "yes", false},
        {"2026-01-01T00:00:10Z", "9999-01-01T00:00:00Z", false}, // and all that is to come
    };
    const struct object_id told = {(char *)"", (char *)"ConfigMap", (char *)"web", (char *)"a"};
    const struct object_id joined = {(char *)"", (char *)"ConfigMap", (char *)"web", (char *)"b"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controller *c = one_app("");
        CLEANUP(json_freep) json_t *doc = json_object();
        if (cases[i].approved)
            json_set_annotation(doc, CONTROL_APPROVED, cases[i].approved);
        // As the controller before this one has told it.
        if (cases[i].since)
            json_object_set_new(doc, "status",
                                json_pack("{s:{s:{s:s, s:i}}}", "regrow", "awaitsApproval", "since",
                                          cases[i].since, "objects", 1));
        approval_take(c, "web", doc);
        assert_int_equal(tracked_find(c, "web")->triggers != 0, cases[i].is);
        // Nobody knows yet what it was that was told then.
        assert_false(approval_covers(c, "web", &told));
        CLEANUP(str_freep) char *key = object_key(&told);
        json_object_set_new(c->awaiting, "web", json_pack("{s:b}", key, true));
        if (approval_covers(c, "web", &told) != cases[i].is)
            fail_msg("%zu", i);
        assert_false(approval_covers(c, "web", &joined));
        assert_false(approval_covers(c, "other", &told));
        end(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds), cmocka_unit_test(what_is_owed), cmocka_unit_test(held_where_it_is),
        cmocka_unit_test(over),  cmocka_unit_test(ended),        cmocka_unit_test(approved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
