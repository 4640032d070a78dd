// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "reconcile/control.h"

static const struct object_id web = {(char *)"apps", (char *)"Deployment", (char *)"shop",
                                     (char *)"web"};

static void reads(void **s)
{
    (void)s;
    struct app_control c;
    struct err err = {0};
    CLEANUP(json_freep)
    json_t *doc = doc_of(
        "{metadata: {annotations: {argocd.argoproj.io/refresh: hard, "
        "argocd.argoproj.io/skip-reconcile: 'true', argocd.argoproj.io/deletion-approved: "
        "'2026-01-01T00:00:10Z'}}, operation: {initiatedBy: {username: anna}, retry: {limit: 3}, "
        "sync: {revision: abc, prune: true, dryRun: true, syncOptions: [Replace=true], "
        "syncStrategy: {hook: {force: true}}, resources: [{group: apps, kind: Deployment, name: "
        "web}]}}}");
    assert_true(control_read(doc, &c, &err));
    assert_int_equal(c.refresh, REFRESH_HARD);
    assert_true(c.is_suspended && c.prune && c.dry_run && c.is_forced);
    assert_false(c.is_apply_only || c.is_automated);
    assert_string_equal(c.username, "anna");
    assert_int_equal(c.revisions.len, 1);
    assert_string_equal(c.revisions.v[0], "abc");
    assert_int_equal(json_array_size(c.options), 1);
    assert_non_null(c.retry);
    assert_true(control_approves(&c, 1767225610) && !control_approves(&c, 1767225611));
    // What is taken out is what was asked; suspension and approval stay.
    CLEANUP(json_freep) json_t *taken = control_taken(&c);
    json_merge_patch(doc, taken);
    CLEANUP(json_freep)
    json_t *rest = doc_of("{metadata: {annotations: {argocd.argoproj.io/skip-reconcile: 'true', "
                          "argocd.argoproj.io/deletion-approved: '2026-01-01T00:00:10Z'}}}");
    assert_true(json_equal(doc, rest));
    app_control_clear(&c);
    assert_true(control_read(doc, &c, &err));
    assert_null(control_taken(&c));
    assert_false(control_approves(&(struct app_control){0}, 0));
    app_control_clear(&c);
}

// As Argo CD ends an operation: in the status of the object; in an entry, in what stands for it.
static void ended(void **s)
{
    (void)s;
    struct app_control c;
    struct err err = {0};
    CLEANUP(json_freep) json_t *ask = control_ask_end();
    CLEANUP(json_freep)
    json_t *object = doc_of("{status: {operationState: {phase: Running, startedAt: "
                            "'2026-01-01T00:00:10Z'}}}");
    assert_true(control_read(object, &c, &err));
    assert_false(c.is_ended);
    app_control_clear(&c);
    json_merge_patch(object, ask);
    assert_true(control_read(object, &c, &err));
    assert_true(c.is_ended);
    assert_string_equal(c.began, "2026-01-01T00:00:10Z");
    assert_null(control_taken(&c));
    app_control_clear(&c);
    CLEANUP(json_freep) json_t *approve = control_ask_approval(1767225610);
    assert_true(control_read(approve, &c, &err));
    assert_true(control_approves(&c, 1767225610) && !c.is_ended);
    app_control_clear(&c);
}

// Results are told with an answer where they were asked for, and are not too many.
static void answers(void **s)
{
    (void)s;
    static const char *const asked[] = {"{}", "{dryRun: true}",
                                        "{resources: [{kind: A, name: b}]}"};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        CLEANUP(str_freep)
        char *text =
            str_printf("{sync: {}, resources: [], regrow: {drift: [], awaitsApproval: "
                       "{objects: 1}}, operationState: {operation: {sync: %s}, syncResult: "
                       "{resources: [{kind: A}]}}}",
                       asked[i]);
        CLEANUP(json_freep) json_t *status = doc_of(text);
        CLEANUP(json_freep) json_t *answer = control_answer(status);
        const json_t *list = json_dot(answer, "operationState.syncResult.resources");
        assert_int_equal(json_array_size(list), i > 0);
        assert_null(json_object_get(answer, "resources"));
        assert_null(json_dot(answer, "regrow.drift"));
        assert_int_equal(json_dot_int(answer, "regrow.awaitsApproval.objects", 0), 1);
    }
}

// An answer stays small whatever was asked for, and the newest of the history goes last.
static void short_answers(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *big = mem_alloc(6001);
    memset(big, 'v', 6000);
    big[6000] = '\0';
    CLEANUP(json_freep)
    json_t *status =
        json_pack("{s:{s:s, s:{s:{s:s}}, s:{s:s}}, s:[]}", "operationState", "phase", "Failed",
                  "operation", "sync", "values", big, "syncResult", "source", big, "history");
    for (int i = 0; i < 20; i++)
        json_array_append_new(json_object_get(status, "history"),
                              json_pack("{s:i, s:s}", "id", i, "source", big));
    CLEANUP(json_freep) json_t *answer = control_answer(status);
    CLEANUP(str_freep) char *text = canon_of(answer);
    assert_true(strlen(text) <= CONTROL_ANSWER_MAX);
    const json_t *history = json_object_get(answer, "history");
    size_t n = json_array_size(history);
    assert_true(n >= 2);
    assert_int_equal(json_dot_int(json_array_get(history, n - 1), "id", -1), 19);
    for (int i = 0; i < 8; i++) {
        CLEANUP(str_freep) char *key = str_printf("k%d", i);
        json_object_set_new(json_object_get(status, "operationState"), "message", json_string("m"));
        json_t *health = json_object_get(status, "health");
        if (!health)
            json_object_set_new(status, "health", health = json_object());
        json_object_set_new(health, key, json_string(big));
    }
    CLEANUP(json_freep) json_t *brief = control_answer(status);
    CLEANUP(str_freep) char *least = canon_of(brief);
    assert_string_equal(least, "{\"operationState\":{\"message\":\"m\",\"phase\":\"Failed\"}}");
}

// All of them together stay small too: the oldest go.
static void room(void **s)
{
    (void)s;
    static const char *const names[] = {"a", "b", "a", "c"};
    static const size_t lens[] = {300U << 10, 300U << 10, 320U << 10, 200U << 10};
    CLEANUP(json_freep) json_t *sizes = json_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(json_freep) json_t *gone = control_answer_room(sizes, names[i], lens[i]);
        // "a" was told anew: "b" is the oldest by then.
        assert_int_equal(json_object_size(gone), i == 3);
        assert_true(i < 3 || json_is_null(json_object_get(gone, "b")));
    }
    assert_int_equal(json_object_size(sizes), 2);
}

static void small_readings(void **s)
{
    (void)s;
    static const struct {
        const char *doc;
        enum control_refresh refresh;
        bool is_suspended;
        size_t revisions;
    } cases[] = {
        {"{}", REFRESH_NONE, false, 0},
        {"{metadata: {annotations: {argocd.argoproj.io/refresh: normal}}}", REFRESH_NORMAL, false,
         0},
        {"{metadata: {annotations: {argocd.argoproj.io/refresh: ''}}}", REFRESH_NORMAL, false, 0},
        {"{metadata: {annotations: {argocd.argoproj.io/skip-reconcile: 'false'}}}", REFRESH_NONE,
         false, 0},
        {"{metadata: {annotations: {argocd.argoproj.io/skip-reconcile: 'True'}}}", REFRESH_NONE,
         true, 0},
        {"{operation: null}", REFRESH_NONE, false, 0},
        {"{operation: {sync: {revisions: [a, b], revision: c}}}", REFRESH_NONE, false, 2},
        {"{operation: {sync: {revision: ''}}}", REFRESH_NONE, false, 0},
        {"{metadata: 3}", REFRESH_NONE, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct app_control c;
        struct err err = {0};
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i].doc);
        if (!control_read(doc, &c, &err))
            fail_msg("%s: %s", cases[i].doc, err.msg);
        if (c.refresh != cases[i].refresh || c.is_suspended != cases[i].is_suspended ||
            c.revisions.len != cases[i].revisions)
            fail_msg("%s", cases[i].doc);
        app_control_clear(&c);
    }
}

// Refused, and still taken out, as it would be there for ever.
static void malformed(void **s)
{
    (void)s;
    static const char *const cases[] = {
        "{operation: 3}",
        "{operation: {}}",
        "{operation: {sync: all}}",
        "{operation: {sync: {revisions: a}}}",
        "{operation: {sync: {revisions: [1]}}}",
        "{operation: {sync: {resources: [web]}}}",
        "{operation: {sync: {resources: [{kind: X}]}}}",
        "{operation: {sync: {syncOptions: {a: b}}}}",
        "{operation: {sync: {sources: [a]}}}",
        "{operation: {sync: {manifests: ['{}']}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct app_control c;
        struct err err = {0};
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i]);
        if (control_read(doc, &c, &err))
            fail_msg("%s", cases[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        CLEANUP(json_freep) json_t *taken = control_taken(&c);
        assert_true(json_is_null(json_object_get(taken, "operation")));
        err_clear(&err);
        app_control_clear(&c);
    }
}

static void selections(void **s)
{
    (void)s;
    static const struct {
        const char *resources; // as on the command line, with blanks between
        bool yes;
    } cases[] = {
        {"", true},
        {"apps:Deployment:web", true},
        {"apps:Deployment:shop/web", true},
        {"apps:Deployment:other/web", false},
        {":Deployment:web", false},
        {"*:Deployment:*", true},
        {"apps:Deployment:other", false},
        {"!apps:Deployment:web", false},
        {"!:ConfigMap:x", true},
        {"!:ConfigMap:x apps:Deployment:other", false},
        {"apps:Deployment:web !*:*:web", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct strv words = {0};
        CLEANUP(json_freep) json_t *list = json_array();
        struct err err = {0};
        strv_split(&words, cases[i].resources, ' ');
        for (size_t k = 0; k < words.len && *cases[i].resources; k++) {
            json_t *one = NULL;
            if (!control_resource(words.v[k], &one, &err))
                fail_msg("%s", err.msg);
            json_array_append_new(list, one);
        }
        struct app_control c = {.resources = json_array_size(list) ? list : NULL};
        if (control_selects(&c, &web) != cases[i].yes)
            fail_msg("%s", cases[i].resources);
        strv_clear(&words);
    }
    static const char *const bad[] = {"",
                                      "web",
                                      "apps:Deployment",
                                      "apps::web",
                                      "apps:Deployment:",
                                      "a:b:c:d",
                                      "apps:Deployment:shop/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(json_freep) json_t *one = NULL;
        struct err err = {0};
        if (control_resource(bad[i], &one, &err))
            fail_msg("%s", bad[i]);
        assert_int_equal(err.kind, ERR_USAGE);
        err_clear(&err);
    }
}

#define HISTORY                                                                                    \
    "status: {history: [{id: 3, revision: a, source: {repoURL: r}}, {id: 4, revision: b}, {id: "   \
    "5, "                                                                                          \
    "revisions: [c, d], sources: [{repoURL: r}]}]}"

static void rollbacks(void **s)
{
    (void)s;
    static const struct {
        const char *app, *id;
        bool is_suspended;
        enum err_kind kind;
        const char *operation;
    } cases[] = {
        {"{" HISTORY "}", NULL, false, ERR_NONE, "{sync: {revision: b}}"},
        {"{" HISTORY "}", "3", false, ERR_NONE, "{sync: {revision: a, source: {repoURL: r}}}"},
        {"{" HISTORY "}", "5", false, ERR_NONE,
         "{sync: {revisions: [c, d], sources: [{repoURL: r}]}}"},
        {"{" HISTORY "}", "6", false, ERR_NOT_FOUND, NULL},
        {"{" HISTORY "}", "x", false, ERR_NOT_FOUND, NULL},
        {"{status: {history: [{id: 1, revision: a}]}}", NULL, false, ERR_NOT_FOUND, NULL},
        {"{}", NULL, false, ERR_NOT_FOUND, NULL},
        {"{spec: {syncPolicy: {automated: {}}}, " HISTORY "}", "3", false, ERR_INVALID, NULL},
        {"{spec: {syncPolicy: {automated: {}}}, " HISTORY "}", "4", true, ERR_NONE,
         "{sync: {revision: b}}"},
        {"{spec: {syncPolicy: {automated: {enabled: false}}}, " HISTORY "}", "4", false, ERR_NONE,
         "{sync: {revision: b}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *app = doc_of(cases[i].app);
        CLEANUP(json_freep) json_t *out = NULL;
        CLEANUP(json_freep)
        json_t *want = cases[i].operation ? doc_of(cases[i].operation) : NULL;
        struct err err = {0};
        bool ok = control_rollback(app, cases[i].id, cases[i].is_suspended, &out, &err);
        if (ok != (cases[i].kind == ERR_NONE) || err.kind != cases[i].kind)
            fail_msg("%zu: %s", i, err.msg ? err.msg : "");
        if (ok && !json_equal(out, want))
            fail_msg("%zu", i);
        err_clear(&err);
    }
}

static void progress(void **s)
{
    (void)s;
    static const struct {
        const char *doc, *status;
        enum control_progress is;
    } cases[] = {
        {"{operation: {sync: {}}}", "{}", CONTROL_WAITING},
        {"{}", "{}", CONTROL_WAITING},
        {"{}", "{operationState: {phase: Running}}", CONTROL_UNDER_WAY},
        {"{}", "{operationState: {phase: Terminating}}", CONTROL_UNDER_WAY},
        // Of the one before.
        {"{operation: {sync: {}}}", "{operationState: {phase: Succeeded}}", CONTROL_WAITING},
        {"{}", "{operationState: {phase: Succeeded}}", CONTROL_SUCCEEDED},
        {"{}", "{operationState: {phase: Failed}}", CONTROL_FAILED},
        {"{operation: null}", "{operationState: {phase: Error}}", CONTROL_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i].doc);
        CLEANUP(json_freep) json_t *status = doc_of(cases[i].status);
        if (control_operation_progress(doc, status) != cases[i].is)
            fail_msg("%zu", i);
    }
}

static void entries(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *map = doc_of("{data: {shop: '{\"operation\":{\"sync\":{}}}', bad: '{', empty: ''}}");
    struct err err = {0};
    CLEANUP(json_freep) json_t *shop = NULL;
    json_t *none = NULL;
    assert_true(control_entry(map, "shop", &shop, &err));
    assert_non_null(json_dot(shop, "operation.sync"));
    assert_true(control_entry(map, "empty", &none, &err) && !none);
    assert_true(control_entry(NULL, "shop", &none, &err) && !none);
    assert_false(control_entry(map, "bad", &none, &err));
    err_clear(&err);
    CLEANUP(str_freep) char *big = mem_alloc(70001);
    memset(big, ' ', 70000);
    json_object_set_new(json_object_get(map, "data"), "big", json_string(big));
    assert_false(control_entry(map, "big", &none, &err));
    err_clear(&err);
    CLEANUP(json_freep) json_t *on = control_ask_suspend(true);
    CLEANUP(json_freep) json_t *off = control_ask_suspend(false);
    CLEANUP(json_freep) json_t *doc = json_object();
    struct app_control c;
    json_merge_patch(doc, on);
    assert_true(control_read(doc, &c, &err) && c.is_suspended);
    json_merge_patch(doc, off);
    assert_true(control_read(doc, &c, &err) && !c.is_suspended);
    CLEANUP(json_freep)
    json_t *status =
        doc_of("{sync: {status: Synced}, resources: [{kind: X}], operationState: "
               "{phase: Succeeded, syncResult: {revision: a, resources: [{kind: X}]}}}");
    CLEANUP(json_freep) json_t *answer = control_answer(status);
    CLEANUP(str_freep) char *text = canon_of(answer);
    assert_string_equal(text, "{\"operationState\":{\"phase\":\"Succeeded\",\"syncResult\":"
                              "{\"revision\":\"a\"}},\"sync\":{\"status\":\"Synced\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),     cmocka_unit_test(small_readings),
        cmocka_unit_test(malformed), cmocka_unit_test(selections),
        cmocka_unit_test(rollbacks), cmocka_unit_test(progress),
        cmocka_unit_test(entries),   cmocka_unit_test(ended),
        cmocka_unit_test(answers),   cmocka_unit_test(short_answers),
        cmocka_unit_test(room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
