// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "reconcile/app_status.h"

#define T0 1790000000 // 2026-09-21T14:13:20Z

static const struct object_id web = {(char *)"apps", (char *)"Deployment", (char *)"shop",
                                     (char *)"web"};
static const struct object_id job = {(char *)"batch", (char *)"Job", (char *)"shop",
                                     (char *)"migrate"};
static const struct object_id ns = {(char *)"", (char *)"Namespace", NULL, (char *)"shop"};

static struct application *app_of(const char *spec)
{
    CLEANUP(str_freep)
    char *text = str_printf(
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: shop, namespace: "
        "argocd}, spec: {project: default, destination: {server: 'https://k', namespace: shop}, "
        "%s}}",
        spec);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct origin where = {0};
    struct application *a = NULL;
    struct err err = {0};
    if (!application_parse(doc, &where, &a, &err))
        fail_msg("%s", err.msg);
    return a;
}

#define SOURCE "source: {repoURL: 'https://git.example.com/shop.git', path: deploy}"

struct fixture {
    struct application *app;
    struct strv revisions, types, images;
    struct report_resource resources[3];
    struct report_result results[1];
    struct report_condition conditions[2];
    struct app_report r;
};

static void fixture_init(struct fixture *f, const char *spec)
{
    *f = (struct fixture){.app = app_of(spec)};
    strv_push(&f->revisions, "3f9c2e1000000000000000000000000000000000");
    strv_push(&f->types, "Directory");
    strv_push(&f->images, "web:2");
    strv_push(&f->images, "web:1");
    strv_push(&f->images, "web:2");
    f->resources[0] = (struct report_resource){.id = &web,
                                               .version = "v1",
                                               .sync = SYNC_SYNCED,
                                               .health = HEALTH_PROGRESSING,
                                               .health_message = "1 of 2",
                                               .wave = 3};
    f->resources[1] = (struct report_resource){
        .id = &job, .version = "v1", .health = HEALTH_HEALTHY, .is_hook = true};
    f->resources[2] = (struct report_resource){
        .id = &ns, .version = "v1", .sync = SYNC_OUT_OF_SYNC, .requires_pruning = true};
    f->results[0] = (struct report_result){.id = &web,
                                           .version = "v1",
                                           .status = "Synced",
                                           .message = "configured",
                                           .sync_phase = PHASE_SYNC};
    f->r = (struct app_report){
        .app = f->app,
        .now_unix_s = T0,
        .sync = SYNC_OUT_OF_SYNC,
        .revisions = &f->revisions,
        .health = HEALTH_PROGRESSING,
        .resources = f->resources,
        .n_resources = 3,
        .source_types = &f->types,
        .images = &f->images,
        .controller_namespace = "regrow-system",
    };
}

static void fixture_clear(struct fixture *f)
{
    application_free(f->app);
    strv_clear(&f->revisions);
    strv_clear(&f->types);
    strv_clear(&f->images);
}

static void succeed(struct fixture *f, int64_t start)
{
    f->r.operation = (struct report_operation){.phase = OPERATION_SUCCEEDED,
                                               .message = "all done",
                                               .started_unix_s = start,
                                               .finished_unix_s = start + 5,
                                               .revisions = &f->revisions,
                                               .results = f->results,
                                               .n_results = 1};
    f->r.is_deployed = true;
}

static void expect(const json_t *v, const char *yaml)
{
    CLEANUP(json_freep) json_t *want = doc_of(yaml);
    CLEANUP(str_freep) char *a = canon_of(v);
    CLEANUP(str_freep) char *b = canon_of(want);
    assert_string_equal(a, b);
}

static void shape(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    succeed(&f, T0 - 10);
    f.r.operation.prune = true;
    f.conditions[0] =
        (struct report_condition){CONDITION_SHARED_RESOURCE, "Deployment/web is shop's too"};
    f.r.conditions = f.conditions;
    f.r.n_conditions = 1;
    CLEANUP(json_freep) json_t *v = app_status_json(&f.r, NULL);
    expect(
        v,
        "conditions: [{type: SharedResourceWarning, message: Deployment/web is shop's too, "
        "lastTransitionTime: '2026-09-21T14:13:20Z'}]\n"
        "controllerNamespace: regrow-system\n"
        "health: {status: Progressing, lastTransitionTime: '2026-09-21T14:13:20Z'}\n"
        "history: [{id: 0, revision: 3f9c2e1000000000000000000000000000000000, source: {repoURL: "
        "'https://git.example.com/shop.git', path: deploy}, deployStartedAt: "
        "'2026-09-21T14:13:10Z', deployedAt: '2026-09-21T14:13:15Z', initiatedBy: {automated: "
        "true}}]\n"
        "operationState: {phase: Succeeded, message: all done, startedAt: '2026-09-21T14:13:10Z', "
        "finishedAt: '2026-09-21T14:13:15Z', operation: {initiatedBy: {automated: true}, sync: "
        "{prune: true, revision: 3f9c2e1000000000000000000000000000000000}}, syncResult: "
        "{revision: 3f9c2e1000000000000000000000000000000000, source: {repoURL: "
        "'https://git.example.com/shop.git', path: deploy}, resources: [{group: apps, version: v1, "
        "kind: Deployment, namespace: shop, name: web, status: Synced, message: configured, "
        "syncPhase: Sync}]}}\n"
        "reconciledAt: '2026-09-21T14:13:20Z'\n"
        "resources: [{version: v1, kind: Namespace, name: shop, status: OutOfSync, "
        "requiresPruning: true}, {group: apps, version: v1, kind: Deployment, namespace: shop, "
        "name: web, status: Synced, syncWave: 3, health: {status: Progressing, message: 1 of 2}}, "
        "{group: batch, version: v1, kind: Job, namespace: shop, name: migrate, hook: true, "
        "health: {status: Healthy}}]\n"
        "sourceType: Directory\n"
        "summary: {images: ['web:1', 'web:2']}\n"
        "sync: {status: OutOfSync, revision: 3f9c2e1000000000000000000000000000000000, comparedTo: "
        "{source: {repoURL: 'https://git.example.com/shop.git', path: deploy}, destination: "
        "{server: 'https://k', namespace: shop}}}\n");
    fixture_clear(&f);
}

static void several_sources(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, "sources: [{repoURL: 'https://git.example.com/a.git', path: a}, {repoURL: "
                     "'https://git.example.com/b.git', path: b}], ignoreDifferences: [{group: '*', "
                     "kind: '*', jsonPointers: [/spec]}]");
    strv_push(&f.revisions, "b");
    strv_push(&f.types, "Helm");
    CLEANUP(json_freep) json_t *v = app_status_json(&f.r, NULL);
    assert_null(json_dot(v, "sync.revision"));
    assert_null(json_dot(v, "sourceType"));
    expect(json_object_get(v, "sourceTypes"), "[Directory, Helm]");
    expect(json_dot(v, "sync.revisions"), "[3f9c2e1000000000000000000000000000000000, b]");
    assert_int_equal(json_array_size(json_dot(v, "sync.comparedTo.sources")), 2);
    assert_int_equal(json_array_size(json_dot(v, "sync.comparedTo.ignoreDifferences")), 1);
    fixture_clear(&f);
}

// Told again later, in another order: the same document, so that nothing is written.
static void nothing_changes(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    succeed(&f, T0 - 10);
    f.conditions[0] = (struct report_condition){CONDITION_SYNC_ERROR, "b"};
    f.conditions[1] = (struct report_condition){CONDITION_COMPARISON_ERROR, "a"};
    f.r.conditions = f.conditions;
    f.r.n_conditions = 2;
    CLEANUP(json_freep) json_t *first = app_status_json(&f.r, NULL);
    struct report_resource x = f.resources[0];
    struct report_condition c = f.conditions[0];
    f.resources[0] = f.resources[2];
    f.resources[2] = x;
    f.conditions[0] = f.conditions[1];
    f.conditions[1] = c;
    f.r.now_unix_s = T0 + 1000;
    CLEANUP(json_freep) json_t *again = app_status_json(&f.r, first);
    assert_true(json_equal(first, again));
    assert_null(app_status_patch(first, again));
    // What others keep in there stays.
    json_object_set_new(first, "sourceHydrator", json_pack("{s:s}", "x", "y"));
    CLEANUP(json_freep) json_t *third = app_status_json(&f.r, first);
    assert_true(json_equal(first, third));
    fixture_clear(&f);
}

static void times_of_change(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    f.conditions[0] = (struct report_condition){CONDITION_SYNC_ERROR, "a"};
    f.r.conditions = f.conditions;
    f.r.n_conditions = 1;
    CLEANUP(json_freep) json_t *first = app_status_json(&f.r, NULL);
    f.r.now_unix_s = T0 + 60;
    f.r.sync = SYNC_SYNCED;
    f.conditions[1] = (struct report_condition){CONDITION_SYNC_ERROR, "b"};
    f.r.n_conditions = 2;
    CLEANUP(json_freep) json_t *second = app_status_json(&f.r, first);
    // The health is what it was, since when it was; one condition is new.
    assert_string_equal(json_dot_str(second, "health.lastTransitionTime"), "2026-09-21T14:13:20Z");
    assert_string_equal(json_dot_str(second, "reconciledAt"), "2026-09-21T14:14:20Z");
    expect(json_object_get(second, "conditions"),
           "[{type: SyncError, message: a, lastTransitionTime: '2026-09-21T14:13:20Z'}, {type: "
           "SyncError, message: b, lastTransitionTime: '2026-09-21T14:14:20Z'}]");
    f.r.health = HEALTH_HEALTHY;
    f.r.n_conditions = 0;
    CLEANUP(json_freep) json_t *third = app_status_json(&f.r, second);
    assert_string_equal(json_dot_str(third, "health.lastTransitionTime"), "2026-09-21T14:14:20Z");
    assert_null(json_object_get(third, "conditions"));
    CLEANUP(json_freep) json_t *patch = app_status_patch(second, third);
    expect(patch, "{conditions: null, health: {status: Healthy, lastTransitionTime: "
                  "'2026-09-21T14:14:20Z'}}");
    // A patch makes the one of the other.
    json_merge_patch(second, patch);
    assert_true(json_equal(second, third));
    fixture_clear(&f);
}

static void history_grows(void **s)
{
    (void)s;
    static const struct {
        const char *spec;
        int deployments, kept, first, last;
    } cases[] = {
        {SOURCE, 3, 3, 0, 2},
        {SOURCE, 25, 10, 15, 24},
        {SOURCE ", revisionHistoryLimit: 2", 5, 2, 3, 4},
        {SOURCE ", revisionHistoryLimit: 0", 5, 0, 0, 0},
        {SOURCE ", revisionHistoryLimit: -1", 12, 10, 2, 11},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, cases[i].spec);
        json_t *v = NULL;
        for (int k = 0; k < cases[i].deployments * 2; k++) { // each is told twice
            succeed(&f, T0 + k / 2 * 100);
            f.r.deployed_by = "anna";
            json_t *next = app_status_json(&f.r, v);
            json_decref(v);
            v = next;
        }
        const json_t *list = json_object_get(v, "history");
        assert_int_equal(json_array_size(list), cases[i].kept);
        if (cases[i].kept) {
            const json_t *last = json_array_get(list, json_array_size(list) - 1);
            assert_int_equal(json_dot_int(json_array_get(list, 0), "id", -1), cases[i].first);
            assert_int_equal(json_dot_int(last, "id", -1), cases[i].last);
            assert_string_equal(json_dot_str(last, "initiatedBy.username"), "anna");
        }
        json_decref(v);
        fixture_clear(&f);
    }
}

// A rollback within the second of the sync before it.
static void history_of_one_second(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    succeed(&f, T0);
    json_t *first = app_status_json(&f.r, NULL);
    succeed(&f, T0);
    str_set(&f.revisions.v[0], "9ab00d4000000000000000000000000000000000");
    json_t *second = app_status_json(&f.r, first);
    const json_t *list = json_object_get(second, "history");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_dot_str(json_array_get(list, 1), "revision"),
                        "9ab00d4000000000000000000000000000000000");
    json_decref(first);
    json_decref(second);
    fixture_clear(&f);
}

static void huge(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    size_t n = 20000;
    struct report_resource *all = mem_alloc(n * sizeof(*all));
    struct object_id *ids = mem_alloc(n * sizeof(*ids));
    CLEANUP(str_freep) char *long_text = mem_alloc(100001);
    memset(long_text, 'x', 100000);
    for (size_t i = 0; i < n; i++) {
        ids[i] =
            (struct object_id){(char *)"", (char *)"ConfigMap", (char *)"n", str_printf("c%zu", i)};
        all[i] = (struct report_resource){.id = &ids[i], .version = "v1", .sync = SYNC_SYNCED};
    }
    all[n - 1].sync = SYNC_OUT_OF_SYNC;
    f.r.resources = all;
    f.r.n_resources = n;
    f.r.health_message = long_text;
    CLEANUP(json_freep) json_t *v = app_status_json(&f.r, NULL);
    CLEANUP(str_freep) char *text = canon_of(v);
    assert_true(strlen(text) < 1000000);
    assert_int_equal(json_dot_int(v, "regrow.resourcesLeftOut", 0), 16000);
    assert_non_null(strstr(text, "\"c19999\"")); // what is wrong is among those told
    for (size_t i = 0; i < n; i++)
        free(ids[i].name);
    free(ids);
    free(all);
    fixture_clear(&f);
}

static char *events_text(const json_t *before, const json_t *after)
{
    CLEANUP(json_freep) json_t *list = app_status_events(before, after);
    struct buf b = {0};
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        buf_printf(&b, "%s %s %s\n", json_dot_str(v, "type"), json_dot_str(v, "reason"),
                   json_dot_str(v, "message"));
    }
    return buf_take(&b);
}

static void events(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    f.r.operation = (struct report_operation){
        .phase = OPERATION_RUNNING, .started_unix_s = T0, .revisions = &f.revisions};
    CLEANUP(json_freep) json_t *running = app_status_json(&f.r, NULL);
    CLEANUP(str_freep) char *first = events_text(NULL, running);
    assert_string_equal(first, "Normal OperationStarted Initiated automated sync to "
                               "'3f9c2e1000000000000000000000000000000000'\n"
                               "Normal ResourceUpdated Updated sync status:  -> OutOfSync\n"
                               "Normal ResourceUpdated Updated health status:  -> Progressing\n");
    succeed(&f, T0);
    f.r.sync = SYNC_SYNCED;
    CLEANUP(json_freep) json_t *done = app_status_json(&f.r, running);
    CLEANUP(str_freep) char *second = events_text(running, done);
    assert_string_equal(second,
                        "Normal OperationCompleted Sync operation to "
                        "3f9c2e1000000000000000000000000000000000 succeeded\n"
                        "Normal ResourceUpdated Updated sync status: OutOfSync -> Synced\n");
    CLEANUP(str_freep) char *none = events_text(done, done);
    assert_string_equal(none, "");
    // One that began and failed between two looks.
    CLEANUP(json_freep)
    json_t *asked = doc_of("{sync: {revision: x}, initiatedBy: {username: anna}}");
    f.r.operation = (struct report_operation){.phase = OPERATION_FAILED,
                                              .message = "no quota",
                                              .asked = asked,
                                              .started_unix_s = T0 + 50,
                                              .finished_unix_s = T0 + 51,
                                              .revisions = &f.revisions};
    f.r.is_deployed = false;
    f.r.health = HEALTH_DEGRADED;
    CLEANUP(json_freep) json_t *failed = app_status_json(&f.r, done);
    CLEANUP(str_freep) char *third = events_text(done, failed);
    assert_string_equal(third,
                        "Normal OperationStarted anna: Initiated sync to "
                        "'3f9c2e1000000000000000000000000000000000'\n"
                        "Warning OperationCompleted Sync operation to "
                        "3f9c2e1000000000000000000000000000000000 failed: no quota\n"
                        "Warning ResourceUpdated Updated health status: Progressing -> Degraded\n");
    fixture_clear(&f);
}

static void own_part(void **s)
{
    (void)s;
    struct fixture f;
    fixture_init(&f, SOURCE);
    CLEANUP(json_freep)
    json_t *drift = doc_of("[{group: apps, kind: Deployment, namespace: shop, name: web, drift: "
                           "[{path: /spec/replicas, op: replace, from: 1, to: 2}]}]");
    f.r.drift = drift;
    f.r.is_suspended = true;
    CLEANUP(json_freep) json_t *v = app_status_json(&f.r, NULL);
    assert_true(json_dot_bool(v, "regrow.suspended", false));
    assert_true(json_equal(json_dot(v, "regrow.drift"), drift));
    f.r.drift = NULL;
    f.r.is_suspended = false;
    CLEANUP(json_freep) json_t *w = app_status_json(&f.r, v);
    assert_null(json_object_get(w, "regrow"));
    fixture_clear(&f);
}

static void left_by_another(const char *phase, bool is_abandoned, const char *want)
{
    struct fixture f;
    fixture_init(&f, SOURCE);
    f.r.is_abandoned = is_abandoned;
    CLEANUP(str_freep)
    char *text = str_printf("{operationState: {phase: %s, message: m, startedAt: "
                            "'2026-09-21T14:00:00Z', operation: {sync: {prune: true}}}}",
                            phase);
    CLEANUP(json_freep) json_t *before = doc_of(text);
    CLEANUP(json_freep) json_t *v = app_status_json(&f.r, before);
    expect(json_object_get(v, "operationState"), want);
    fixture_clear(&f);
}

// What a controller that is gone had begun is not under way for ever.
static void nobody_goes_on_with_it(void **s)
{
    (void)s;
#define REST "startedAt: '2026-09-21T14:00:00Z', operation: {sync: {prune: true}}"
#define NOW ", finishedAt: '2026-09-21T14:13:20Z', "
    left_by_another("Running", true,
                    "{phase: Error, message: 'the controller was restarted while it was under way: "
                    "ask for it again'" NOW REST "}");
    left_by_another("Terminating", true,
                    "{phase: Failed, message: Operation terminated" NOW REST "}");
    left_by_another("Running", false, "{phase: Running, message: m, " REST "}");
    left_by_another("Succeeded", true, "{phase: Succeeded, message: m, " REST "}");
}

// ---- what Argo CD's definition of Application asks for ----

// Everything at a dotted path, where "*" stands for each item of a list.
static void each_at(const json_t *v, const char *path, void (*fn)(const json_t *v, const char *key),
                    const char *key)
{
    size_t len = strcspn(path, ".");
    CLEANUP(str_freep) char *step = str_ndup(path, len);
    const char *rest = path[len] ? path + len + 1 : "";
    size_t i;
    json_t *x;
    if (!len)
        fn(v, key);
    else if (strcmp(step, "*") != 0 && json_object_get(v, step))
        each_at(json_object_get(v, step), rest, fn, key);
    json_array_foreach(strcmp(step, "*") ? NULL : v, i, x) each_at(x, rest, fn, key);
}

static size_t n_asked;

static void has(const json_t *v, const char *key)
{
    CLEANUP(str_freep) char *text = canon_of(v);
    n_asked++;
    if (!json_object_get(v, key))
        fail_msg("no %s in %s", key, text);
}

// One field that is missing, and the API server refuses the whole status.
static void has_all(const json_t *status)
{
    static const struct {
        const char *path, *fields[6];
    } rows[] = {
        {"conditions.*", {"message", "type"}},
        {"history.*", {"deployedAt", "id"}},
        {"operationState", {"operation", "phase", "startedAt"}},
        {"operationState.syncResult", {"revision"}},
        {"operationState.syncResult.resources.*",
         {"group", "kind", "name", "namespace", "version"}},
        {"sync", {"status"}},
        {"sync.comparedTo", {"destination"}},
    };
    n_asked = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; rows[i].fields[k]; k++)
            each_at(status, rows[i].path, has, rows[i].fields[k]);
    assert_true(n_asked >= 15); // all of it was there to be looked at
}

// Objects of the core group, objects without a namespace, several sources; an operation that is
// told of as the next one already.
static void is_taken(void **s)
{
    (void)s;
    static const char *const specs[] = {
        SOURCE, "sources: [{repoURL: 'https://git.example.com/a.git', path: a}, {repoURL: "
                "'https://git.example.com/b.git', path: b}]"};
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct fixture f;
        fixture_init(&f, specs[i]);
        succeed(&f, T0 - 10);
        f.results[0].id = &ns;
        f.results[0].version = NULL;
        f.conditions[0] = (struct report_condition){CONDITION_SYNC_ERROR, NULL};
        f.r.conditions = f.conditions;
        f.r.n_conditions = 1;
        CLEANUP(json_freep) json_t *v = app_status_json(&f.r, NULL);
        has_all(v);
        f.r.operation.finished_unix_s = 0;
        json_object_del(json_object_get(f.app->doc, "spec"), "destination");
        CLEANUP(json_freep) json_t *w = app_status_json(&f.r, NULL);
        has_all(w);
        fixture_clear(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_taken),
        cmocka_unit_test(shape),
        cmocka_unit_test(several_sources),
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(times_of_change),
        cmocka_unit_test(history_grows),
        cmocka_unit_test(history_of_one_second),
        cmocka_unit_test(huge),
        cmocka_unit_test(events),
        cmocka_unit_test(own_part),
        cmocka_unit_test(nobody_goes_on_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
