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

static bool is_ignored(const char *rules, const char *path, const char *manager)
{
    CLEANUP(json_freep) json_t *doc = doc_of(deployment);
    CLEANUP(json_freep) json_t *list = doc_of(rules);
    struct application a = {.ignore_differences = list};
    struct object_id id = {(char *)"apps", (char *)"Deployment", (char *)"n", (char *)"web"};
    return ignored_field(&a, &id, doc, path, manager);
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
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (is_ignored(cases[i].rules, cases[i].path, cases[i].manager) != cases[i].yes)
            fail_msg("%s of %s", cases[i].path, cases[i].rules);
}

static void not_understood(void **s)
{
    (void)s;
    static const char *const bad[] = {"del(.a)",
                                      ".a | map(.b)",
                                      ".a[] | select(.b | startswith(\"x\"))",
                                      "select(.a == 1)",
                                      ".",
                                      ".a[-1]",
                                      ".a[\"b\"",
                                      "..",
                                      ".a[] | select(.b == \"x\" or .c == 1)"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(json_freep) json_t *list = json_pack("[{s:[s]}]", "jqPathExpressions", bad[i]);
        struct strv faults = {0};
        ignored_faults(list, &faults);
        if (faults.len != 1 || !strstr(faults.v[0], bad[i]))
            fail_msg("%s is understood", bad[i]);
        strv_clear(&faults);
    }
    CLEANUP(json_freep)
    json_t *list = doc_of("[{jsonPointers: [spec/replicas, /spec/replicas, 3]}]");
    struct strv faults = {0};
    ignored_faults(list, &faults);
    assert_int_equal(faults.len, 2);
    strv_clear(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(removed),
                                       cmocka_unit_test(removed_from_lists),
                                       cmocka_unit_test(ignored), cmocka_unit_test(not_understood)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
