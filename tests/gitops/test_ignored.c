// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "gitops/ignored.h"

static const char deployment[] =
    "{metadata: {annotations: {example.com/a: x, example.com/a.b: y}}, "
    "spec: {replicas: 3, template: {spec: {containers: [{name: web, image: a, ports: "
    "[{containerPort: 80, protocol: TCP}]}, {name: 'side]car', image: b}]}}, list: [one, two]}}";

static void removed(void **s)
{
    (void)s;
    static const struct {
        const char *path,
            *gone; // a dotted path that is not there afterwards, or NULL: no such field
    } cases[] = {
        {".spec.replicas", "spec.replicas"},
        {".spec.template", "spec.template"},
        {".spec.nothing", NULL},
        {".spec.template.spec.containers[name=\"none\"].image", NULL},
        {".spec.replicas.x", NULL},
        {".spec.list[=\"three\"]", NULL},
        {".spec.list[9]", NULL},
        {"", NULL},
        {"[", NULL},
        {".", NULL},
        {".spec[name=\"x\"]", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(deployment);
        if (field_remove(doc, cases[i].path) != (cases[i].gone != NULL) ||
            (cases[i].gone && json_dot(doc, cases[i].gone)))
            fail_msg("%s", cases[i].path);
    }
}

static void removed_from_lists(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *doc = doc_of(deployment);
    json_t *containers = json_dot(doc, "spec.template.spec.containers");
    assert_true(field_remove(doc, ".spec.template.spec.containers[name=\"side]car\"].image"));
    assert_null(json_object_get(json_array_get(containers, 1), "image"));
    assert_true(field_remove(doc,
                             ".spec.template.spec.containers[name=\"web\"].ports[containerPort=80,"
                             "protocol=\"TCP\"].protocol"));
    assert_true(field_remove(doc, ".spec.template.spec.containers[name=\"web\"]"));
    assert_int_equal(json_array_size(containers), 1);
    assert_true(field_remove(doc, ".spec.list[=\"one\"]"));
    assert_true(field_remove(doc, ".spec.list[0]"));
    assert_int_equal(json_array_size(json_dot(doc, "spec.list")), 0);
    // A name with dots is the longest that is there.
    json_t *annotations = json_dot(doc, "metadata.annotations");
    assert_true(field_remove(doc, ".metadata.annotations.example.com/a.b"));
    assert_null(json_object_get(annotations, "example.com/a.b"));
    assert_non_null(json_object_get(annotations, "example.com/a"));
}

static bool is_ignored(struct jq_filters *jq, const char *rules, const char *path,
                       const char *manager)
{
    CLEANUP(json_freep) json_t *doc = doc_of(deployment);
    CLEANUP(json_freep) json_t *list = doc_of(rules);
    struct object_id id = {(char *)"apps", (char *)"Deployment", (char *)"n", (char *)"web"};
    CLEANUP(json_freep) json_t *marks = ignored_marks(list, &id, doc, NULL, jq);
    return ignored_covers(marks, doc, path) || ignored_manager(list, &id, manager);
}

static void ignored(void **s)
{
    (void)s;
    static const char web[] = ".spec.template.spec.containers[name=\"web\"].image";
    static const char car[] = ".spec.template.spec.containers[name=\"side]car\"].image";
    static const struct {
        const char *rules, *path, *manager;
        bool yes;
    } cases[] = {
        {"[{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]", ".spec.replicas",
         "hpa", true},
        {"[{group: '*', kind: '*', jsonPointers: [/spec/replicas]}]", ".spec.replicas", NULL, true},
        {"[{group: apps, kind: StatefulSet, jsonPointers: [/spec/replicas]}]", ".spec.replicas",
         NULL, false},
        {"[{kind: Deployment, jsonPointers: [/spec/replicas]}]", ".spec.replicas", NULL, false},
        {"[{group: apps, kind: Deployment, name: api, jsonPointers: [/spec/replicas]}]",
         ".spec.replicas", NULL, false},
        {"[{group: apps, kind: Deployment, namespace: n, name: web, jsonPointers: [/spec]}]",
         ".spec.replicas", NULL, true},
        {"[{group: apps, kind: Deployment, jsonPointers: [/spec/replica]}]", ".spec.replicas", NULL,
         false},
        {"[{group: apps, kind: Deployment, jsonPointers: [/spec/replicas/x]}]", ".spec.replicas",
         NULL, false},
        {"[{group: apps, kind: Deployment, jsonPointers: "
         "[/spec/template/spec/containers/0/image]}]",
         web, NULL, true},
        {"[{group: apps, kind: Deployment, jsonPointers: "
         "[/spec/template/spec/containers/0/image]}]",
         car, NULL, false},
        {"[{group: apps, kind: Deployment, jsonPointers: "
         "[/metadata/annotations/example.com~1a.b]}]",
         ".metadata.annotations.example.com/a.b", NULL, true},
        {"[{group: apps, kind: Deployment, managedFieldsManagers: [hpa]}]", ".spec.replicas", "hpa",
         true},
        {"[{group: apps, kind: Deployment, managedFieldsManagers: [hpa]}]", ".spec.replicas",
         "hand", false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: [.spec.replicas]}]", ".spec.replicas",
         NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: "
         "['.spec.template.spec.containers[].image']}]",
         car, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: "
         "['.spec.template.spec.containers[0].image']}]",
         car, NULL, false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[]? "
         "| select(.name == \"web\") | .image']}]",
         web, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[] "
         "| select(.name == \"web\") | .image']}]",
         car, NULL, false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: "
         "['.metadata.annotations[\"example.com/"
         "a.b\"]', '.spec.\"replicas\"']}]",
         ".spec.replicas", NULL, true},
        // What no path and no equality could say.
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[] | "
         "select(.name | startswith(\"we\")) | .image, .ports']}]",
         web, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[] | "
         "select(.name | startswith(\"we\"))']}]",
         car, NULL, false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[-1]'"
         "]}]",
         car, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[1:]'"
         "]}]",
         car, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[1:]'"
         "]}]",
         web, NULL, false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.. | .image?']}]", car, NULL, true},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.metadata.annotations | "
         "with_entries(select(.key == \"x\"))']}]",
         ".spec.replicas", NULL, false},
        // An error on the way, and nothing of the expression is ignored, as del() has it.
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.replicas, .nothing[].x']}]",
         ".spec.replicas", NULL, false},
        {"[{group: apps, kind: Deployment, jqPathExpressions: ['.spec.replicas, .nothing[]?.x']}]",
         ".spec.replicas", NULL, true},
    };
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (is_ignored(jq, cases[i].rules, cases[i].path, cases[i].manager) != cases[i].yes)
            fail_msg("%s of %s", cases[i].path, cases[i].rules);
}

static void not_understood(void **s)
{
    (void)s;
    static const char *const bad[] = {".a |",
                                      ".a[\"b\"",
                                      "nofunction(.a)",
                                      "\"",
                                      "",
                                      "import \"x\" as $x; .a",
                                      "include \"x\"; .a"};
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(json_freep) json_t *list = json_pack("[{s:[s]}]", "jqPathExpressions", bad[i]);
        struct strv faults = {0};
        ignored_jq_faults(list, jq, &faults);
        if (faults.len != 1 || !strstr(faults.v[0], bad[i]) || strchr(faults.v[0], '\n'))
            fail_msg("%s is understood", bad[i]);
        strv_clear(&faults);
    }
    CLEANUP(json_freep)
    json_t *list = doc_of("[{jsonPointers: [spec/replicas, /spec/replicas, 3]}]");
    struct strv faults = {0};
    ignored_faults(list, &faults);
    assert_int_equal(faults.len, 2);
    strv_clear(&faults);
    CLEANUP(json_freep)
    json_t *good = doc_of("[{jqPathExpressions: ['.a[] | select(.b | test(\"^x\"))', .a]}]");
    assert_true(ignored_has_jq(good));
    ignored_jq_faults(good, jq, &faults);
    assert_int_equal(faults.len, 0);
}

// An expression that does not end costs its second three times, and no other one anything.
static void endless(void **s)
{
    (void)s;
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    CLEANUP(json_freep) json_t *doc = doc_of(deployment);
    static const struct {
        const char *expr;
        enum err_kind kind;
    } cases[] = {
        {"def f: f; f", ERR_TIMEOUT},
        {"def f: f; f", ERR_TIMEOUT},
        {"def f: f; f", ERR_TIMEOUT},
        {"def f: f; f", ERR_TIMEOUT},
        {".spec | limit(50000; repeat(.))", ERR_INVALID}, // too many places
        {"[range(1e9)]", ERR_NONE},                       // whatever comes first: no harm
        {".spec.replicas", ERR_NONE},
        {"input", ERR_NOT_FOUND},
        {"error(\"x\")", ERR_NOT_FOUND},
        {"halt", ERR_NONE},
        {"3", ERR_NOT_FOUND}, // a value, no place
        // Nothing of this process is in there, and no file can be read.
        {".spec | select($ENV.HOME or $ENV.PATH)", ERR_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *paths = NULL;
        struct err err = {0};
        bool ok = jq_filter_paths(jq, cases[i].expr, doc, &paths, &err);
        if (!strcmp(cases[i].expr, "[range(1e9)]"))
            ok = !ok;
        else if (err.kind != cases[i].kind)
            fail_msg("%s: %s", cases[i].expr, err.msg ? err.msg : "it is fine");
        if (strstr(cases[i].expr, "$ENV"))
            assert_int_equal(json_array_size(paths), 0);
        err_clear(&err);
    }
    CLEANUP(json_freep) json_t *paths = NULL;
    struct err err = {0};
    assert_true(jq_filter_paths(jq, ".spec.list[]", doc, &paths, &err));
    assert_int_equal(json_array_size(paths), 2);
}

// argocd-cm: a key for each kind, one for all, and the map of the older form.
static void of_the_system(void **s)
{
    (void)s;
    static const struct {
        const char *data, *rules;
        size_t faults;
    } cases[] = {
        {"{}", NULL, 0},
        {"{resource.customizations.ignoreDifferences.apps_Deployment: 'jsonPointers: "
         "[/spec/replicas]'}",
         "[{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]", 0},
        {"{resource.customizations.ignoreDifferences.ConfigMap: 'jqPathExpressions: [.data.x]'}",
         "[{group: '', kind: ConfigMap, jqPathExpressions: [.data.x]}]", 0},
        {"{resource.customizations.ignoreDifferences.all: 'managedFieldsManagers: [x]'}",
         "[{group: '*', kind: '*', managedFieldsManagers: [x]}]", 0},
        {"{resource.customizations: \"'*/Role':\\n  ignoreDifferences: |\\n    jsonPointers: "
         "[/rules]\\napps/X: {health.lua: return}\"}",
         "[{group: '*', kind: Role, jsonPointers: [/rules]}]", 0},
        {"{resource.customizations.ignoreDifferences.apps_X: 'a: [', "
         "resource.customizations.ignoreDifferences.apps_Y: text, "
         "resource.customizations.ignoreDifferences.apps_: 'jsonPointers: [/a]', "
         "resource.customizations.ignoreDifferences.a_b_c: 'jsonPointers: [/a]', "
         "resource.customizations.ignoreDifferences.apps_Z: 'jsonPointers: a'}",
         NULL, 5},
        {"{resource.customizations.ignoreDifferences.apps_X: 'jsonPointers: [a]'}",
         "[{group: apps, kind: X, jsonPointers: [a]}]", 1},
        {"{resource.customizations.ignoreDifferences.apps_X: 'jsonPointers: []', "
         "resource.customizations.ignoreResourceUpdates.apps_X: 'jsonPointers: [/a]'}",
         "[{group: apps, kind: X, jsonPointers: []}]", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *text = str_printf("{data: %s}", cases[i].data);
        CLEANUP(json_freep) json_t *doc = doc_of(text);
        CLEANUP(json_freep) json_t *want = cases[i].rules ? doc_of(cases[i].rules) : NULL;
        struct strv faults = {0};
        CLEANUP(json_freep) json_t *rules = ignored_system(doc, &faults);
        if (!(rules == want || json_equal(rules, want)) || faults.len != cases[i].faults)
            fail_msg("%zu: %s: %zu faults, %s", i, text, faults.len, faults.len ? faults.v[0] : "");
        strv_clear(&faults);
    }
}

// They count besides an application's own, and are gone when they are taken back.
static void of_all_applications(void **s)
{
    (void)s;
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct application *a = NULL;
    struct err err = {0};
    struct origin where = {0};
    struct object_id id = {(char *)"apps", (char *)"Deployment", (char *)"n", (char *)"x"};
    CLEANUP(json_freep)
    json_t *doc =
        doc_of("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a}, "
               "spec: {source: {repoURL: u, path: p}, destination: {namespace: ns}, "
               "ignoreDifferences: [{kind: Own, jsonPointers: [/a]}]}}");
    CLEANUP(json_freep) json_t *rules = doc_of("[{group: apps, kind: Deployment}]");
    if (!application_parse(doc, &where, &a, &err))
        fail_msg("%s", err.msg);
    desired_add_app_take(d, application_new_root("root"));
    desired_add_app_take(d, a);
    desired_ignore(d, rules);
    assert_int_equal(json_array_size(a->ignore_differences), 2);
    assert_true(ignored_any(a, &id) && ignored_any(d->apps.v[0], &id));
    desired_ignore(d, NULL);
    assert_int_equal(json_array_size(a->ignore_differences), 1);
    assert_false(ignored_any(a, &id) || ignored_any(d->apps.v[0], &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(removed),
                                       cmocka_unit_test(removed_from_lists),
                                       cmocka_unit_test(ignored),
                                       cmocka_unit_test(not_understood),
                                       cmocka_unit_test(endless),
                                       cmocka_unit_test(of_the_system),
                                       cmocka_unit_test(of_all_applications)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
