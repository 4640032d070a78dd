// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "reconcile/drift.h"

static const struct object_id deployment = {(char *)"apps", (char *)"Deployment", (char *)"n",
                                            (char *)"web"};

// What Git says, and would make of anything below.
static const char base[] =
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: n, generation: 4, "
    "resourceVersion: '9', labels: {app: web}, annotations: {theirs: x}}, spec: {replicas: 3, "
    "paused: false, template: {spec: {containers: [{name: a, image: 'a:1', args: [u, v]}, "
    "{name: b, image: 'b:1', env: [{name: E, value: '1'}]}]}}}, status: {replicas: 3}}";

static const char fields[] =
    "[{manager: regrow, operation: Apply, time: '2026-01-01T00:00:00Z', fieldsV1: {'f:metadata': "
    "{'f:labels': {'f:app': {}}}, 'f:spec': {'f:template': {'f:spec': {'f:containers': "
    "{'k:{\"name\":\"a\"}': {'.': {}, 'f:name': {}, 'f:args': {}}, 'k:{\"name\":\"b\"}': {'.': {}, "
    "'f:name': {}, 'f:image': {}}}}}}}}, "
    "{manager: kubectl-scale, operation: Update, subresource: scale, time: '2026-02-01T00:00:00Z', "
    "fieldsV1: {'f:spec': {'f:replicas': {}}}}, "
    "{manager: kubectl-edit, operation: Update, time: '2026-03-01T00:00:00Z', fieldsV1: {'f:spec': "
    "{'f:template': {'f:spec': {'f:containers': {'k:{\"name\":\"a\"}': {'f:image': {}}}}}}}}, "
    "{manager: kubelet, operation: Update, subresource: status, time: '2026-09-01T00:00:00Z', "
    "fieldsV1: {'f:status': {}}}]";

// The live document: `base` with a merge patch.
static json_t *live_of(const char *patch)
{
    json_t *doc = doc_of(base);
    CLEANUP(json_freep) json_t *p = doc_of(patch);
    json_merge_patch(doc, p);
    json_object_set_new(json_object_get(doc, "metadata"), "managedFields", doc_of(fields));
    return doc;
}

static char *drift_with(const char *patch, const char *rules)
{
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    CLEANUP(json_freep) json_t *ignore = rules ? doc_of(rules) : NULL;
    CLEANUP(json_freep) json_t *live = live_of(patch);
    CLEANUP(json_freep) json_t *want = doc_of(base);
    // As the server answers: what it makes, and what others have.
    json_object_set_new(json_object_get(want, "metadata"), "resourceVersion", json_string("12"));
    json_object_set_new(json_object_get(want, "metadata"), "generation", json_integer(5));
    struct drift_opts o = {.manager = "regrow", .ignore = ignore, .jq = jq};
    CLEANUP(json_freep) json_t *d = drift_of(&deployment, live, want, &o, NULL);
    struct buf out = {0};
    size_t i;
    json_t *x;
    json_array_foreach(d, i, x)
    {
        CLEANUP(str_freep) char *line = drift_text(x);
        buf_printf(&out, "%s%s", i ? "; " : "", line);
    }
    return buf_take(&out);
}

#define CONTAINERS(a, b) "{spec: {template: {spec: {containers: [" a ", " b "]}}}}"
#define A "{name: a, image: 'a:1', args: [u, v]}"
#define B "{name: b, image: 'b:1', env: [{name: E, value: '1'}]}"

static void told(void **s)
{
    (void)s;
    static const struct {
        const char *patch, *drift;
    } cases[] = {
        {"{}", ""},
        {"{status: {replicas: 1}, metadata: {uid: u, creationTimestamp: x}}", ""},
        {"{spec: {replicas: 5}}", "replace /spec/replicas: 3, is 5, by kubectl-scale"},
        // What is gone has no owner: who wrote last.
        {"{spec: {paused: null}}", "remove /spec/paused: false, by kubectl-edit"},
        {"{metadata: {labels: {app: other}}}",
         "replace /metadata/labels/app: \"web\", is \"other\", by regrow"},
        {"{metadata: {labels: null}}",
         "remove /metadata/labels: {\"app\":\"web\"}, by kubectl-edit"},
        {CONTAINERS("{name: a, image: 'a:2', args: [u, v]}", B),
         "replace /spec/template/spec/containers/0/image: \"a:1\", is \"a:2\", by kubectl-edit"},
        {CONTAINERS(A, "{name: b, image: 'b:2', env: [{name: E, value: '1'}]}"),
         "replace /spec/template/spec/containers/1/image: \"b:1\", is \"b:2\", by regrow"},
        // Items are the same by their keys, wherever they stand.
        {CONTAINERS(B, A), ""},
        {CONTAINERS("{name: b, image: 'b:9', env: [{name: E, value: '1'}]}", A),
         "replace /spec/template/spec/containers/0/image: \"b:1\", is \"b:9\", by regrow"},
        {"{spec: {template: {spec: {containers: [" B "]}}}}",
         "remove /spec/template/spec/containers/0: "
         "{\"args\":[\"u\",\"v\"],\"image\":\"a:1\",\"name\":\"a\"}, by kubectl-edit"},
        // A list that is owned whole.
        {CONTAINERS("{name: a, image: 'a:1', args: [t, u, v]}", B),
         "add /spec/template/spec/containers/0/args/0: \"t\", by regrow"},
        {CONTAINERS("{name: a, image: 'a:1', args: [v]}", B),
         "remove /spec/template/spec/containers/0/args/0: \"u\", by kubectl-edit"},
        {CONTAINERS("{name: a, image: 'a:1', args: none}", B),
         "replace /spec/template/spec/containers/0/args: [\"u\",\"v\"], is \"none\", by regrow"},
        {"{spec: {replicas: 5, paused: true}}",
         "replace /spec/replicas: 3, is 5, by kubectl-scale; replace /spec/paused: false, is true, "
         "by kubectl-edit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *got = drift_with(cases[i].patch, NULL);
        if (strcmp(got, cases[i].drift) != 0)
            fail_msg("%s:\n%s", cases[i].patch, got);
    }
}

#define RULE(what) "[{group: apps, kind: Deployment, " what "}]"

static void ignored(void **s)
{
    (void)s;
    static const char many[] =
        "{spec: {replicas: 5, template: {spec: {containers: [{name: side, image: s}, {name: a, "
        "image: 'a:2', args: [u, v]}, " B "]}}}}";
    static const struct {
        const char *rules, *drift;
    } cases[] = {
        {RULE("jsonPointers: [/spec]"), ""},
        {RULE("jsonPointers: [/spec/replicas]"),
         "replace /spec/template/spec/containers/1/image: \"a:1\", is \"a:2\", by kubectl-edit; "
         "add /spec/template/spec/containers/0: {\"image\":\"s\",\"name\":\"side\"}, by "
         "kubectl-edit"},
        {RULE("jsonPointers: [/spec/template, /nothing]"),
         "replace /spec/replicas: 3, is 5, by kubectl-scale"},
        {RULE("managedFieldsManagers: [kubectl-scale, kubectl-edit], jqPathExpressions: "
              "['.spec.template.spec.containers[] | select(.name == \"side\")']"),
         ""},
        {RULE("managedFieldsManagers: [kubectl-scale, other], jqPathExpressions: "
              "['.spec.template.spec.containers[] | select(.name | test(\"^s\")), .image']"),
         ""},
        {RULE("jsonPointers: [/spec/replicas], jqPathExpressions: "
              "['.spec.template.spec.containers[] | select(.name == \"side\")']"),
         "replace /spec/template/spec/containers/1/image: \"a:1\", is \"a:2\", by kubectl-edit"},
        {"[{group: apps, kind: StatefulSet, jsonPointers: [/spec]}, {group: apps, kind: '*', "
         "jsonPointers: [/spec/template]}]",
         "replace /spec/replicas: 3, is 5, by kubectl-scale"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *got = drift_with(many, cases[i].rules);
        if (strcmp(got, cases[i].drift) != 0)
            fail_msg("%s:\n%s", cases[i].rules, got);
    }
}

static void secrets_are_not_told(void **s)
{
    (void)s;
    struct object_id id = {(char *)"", (char *)"Secret", (char *)"n", (char *)"db"};
    CLEANUP(json_freep)
    json_t *live = doc_of("{data: {password: aHVudGVyMg==, more: bW9yZQ==}, metadata: "
                          "{annotations: {last: 'hunter2'}}}");
    CLEANUP(json_freep)
    json_t *want = doc_of("{data: {password: c2VjcmV0}, metadata: {annotations: {last: secret}}}");
    struct drift_opts o = {.manager = "regrow"};
    size_t total = 0;
    CLEANUP(json_freep) json_t *d = drift_of(&id, live, want, &o, &total);
    CLEANUP(str_freep) char *text = canon_of(d);
    assert_int_equal(total, 3);
    assert_non_null(strstr(text, "/data/password"));
    static const char *const words[] = {"hunter2", "aHVudGVyMg", "c2VjcmV0", "secret", "bW9y"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_null(strstr(text, words[i]));
}

static void bounded(void **s)
{
    (void)s;
    struct drift_opts o = {.manager = "regrow"};
    CLEANUP(json_freep) json_t *live = json_pack("{s:{}}", "data");
    CLEANUP(json_freep) json_t *want = json_pack("{s:{}}", "data");
    CLEANUP(str_freep) char *big = mem_alloc(5001);
    memset(big, 'x', 5000);
    for (int i = 0; i < 1000; i++) {
        CLEANUP(str_freep) char *key = str_printf("k%d", i);
        json_object_set_new(json_object_get(live, "data"), key, json_string(i ? "a" : big));
        json_object_set_new(json_object_get(want, "data"), key, json_string("b"));
    }
    size_t total = 0;
    struct object_id id = {(char *)"", (char *)"ConfigMap", (char *)"n", (char *)"c"};
    CLEANUP(json_freep) json_t *d = drift_of(&id, live, want, &o, &total);
    assert_int_equal(total, 1000);
    assert_int_equal(json_array_size(d), DRIFT_MAX);
    const json_t *first = json_array_get(d, 0);
    assert_true(json_is_true(json_object_get(first, "cut")));
    assert_int_equal(strlen(json_dot_str(first, "to")), 1024);
    CLEANUP(json_freep) json_t *gone = drift_of(&id, NULL, want, &o, &total);
    CLEANUP(str_freep) char *text = canon_of(gone);
    assert_string_equal(text, "[{\"op\":\"remove\",\"path\":\"\"}]");
}

static void respected(void **s)
{
    (void)s;
    static const struct {
        const char *rules, *live, *sent;
    } cases[] = {
        {RULE("jsonPointers: [/spec/replicas]"), "{spec: {replicas: 7}}", "{spec: {replicas: 7}}"},
        {RULE("jsonPointers: [/spec/paused]"), "{spec: {paused: null}}", "{spec: {paused: null}}"},
        // A list's item is found by its name.
        {RULE("jqPathExpressions: ['.spec.template.spec.containers[].image']"),
         CONTAINERS("{name: b, image: 'b:7'}", "{name: a, image: 'a:7', args: [z]}"),
         CONTAINERS("{name: a, image: 'a:7', args: [u, v]}",
                    "{name: b, image: 'b:7', env: [{name: E, value: '1'}]}")},
        {RULE("managedFieldsManagers: [kubectl-scale]"), "{spec: {replicas: 7, paused: true}}",
         "{spec: {replicas: 7}}"},
        {"[{kind: X, jsonPointers: [/spec]}]", "{spec: {replicas: 7}}", "{}"},
    };
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *ignore = doc_of(cases[i].rules);
        CLEANUP(json_freep) json_t *live = live_of(cases[i].live);
        CLEANUP(json_freep) json_t *desired = doc_of(base);
        CLEANUP(json_freep) json_t *want = doc_of(base);
        CLEANUP(json_freep) json_t *patch = doc_of(cases[i].sent);
        json_merge_patch(want, patch);
        struct drift_opts o = {.manager = "regrow", .ignore = ignore, .jq = jq};
        drift_respect(&deployment, desired, live, &o);
        CLEANUP(str_freep) char *got = canon_of(desired);
        CLEANUP(str_freep) char *expected = canon_of(want);
        assert_string_equal(got, expected);
    }
}

// A name that a list has twice tells nothing: the other keys do, or Git's item stays.
static void respected_twice(void **s)
{
    (void)s;
    static const struct {
        const char *rules, *live, *desired, *sent;
    } cases[] = {
        {"[{kind: X, jqPathExpressions: ['.subjects[] | select(.kind == \"ServiceAccount\")']}]",
         "{subjects: [{kind: User, name: a}, {kind: ServiceAccount, name: a, namespace: x}, "
         "{kind: ServiceAccount, name: a, namespace: y}]}",
         "{subjects: [{kind: ServiceAccount, name: a, namespace: y}, {kind: User, name: a}]}",
         "{subjects: [{kind: ServiceAccount, name: a, namespace: y}, {kind: User, name: a}]}"},
        {"[{kind: X, jqPathExpressions: ['.mounts[].readOnly']}]",
         "{mounts: [{name: v, mountPath: /b, readOnly: true}, {name: v, mountPath: /a, readOnly: "
         "0}]}",
         "{mounts: [{name: v, mountPath: /a, readOnly: 1}, {name: v, mountPath: /b, readOnly: 1}]}",
         "{mounts: [{name: v, mountPath: /a, readOnly: 0}, {name: v, mountPath: /b, readOnly: "
         "true}]}"},
        // Not there, or there twice.
        {"[{kind: X, jqPathExpressions: ['.mounts[].name']}]", "{mounts: [{name: v}, {name: v}]}",
         "{mounts: [{name: v}, {name: w}]}", "{mounts: [{name: v}, {name: w}]}"},
    };
    static char kind[] = "X";
    static char name[] = "x";
    static char group[] = "";
    const struct object_id id = {.group = group, .kind = kind, .name = name};
    CLEANUP(jq_filters_freep) struct jq_filters *jq = jq_filters_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *ignore = doc_of(cases[i].rules);
        CLEANUP(json_freep) json_t *live = doc_of(cases[i].live);
        CLEANUP(json_freep) json_t *desired = doc_of(cases[i].desired);
        CLEANUP(json_freep) json_t *want = doc_of(cases[i].sent);
        struct drift_opts o = {.manager = "regrow", .ignore = ignore, .jq = jq};
        drift_respect(&id, desired, live, &o);
        CLEANUP(str_freep) char *got = canon_of(desired);
        CLEANUP(str_freep) char *expected = canon_of(want);
        assert_string_equal(got, expected);
    }
}

static void left_out(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *ignore =
        doc_of(RULE("jsonPointers: [/spec/replicas, /spec/template/spec/containers/0]"));
    CLEANUP(json_freep) json_t *live = live_of("{spec: {replicas: 7}}");
    CLEANUP(json_freep) json_t *want = doc_of(base);
    struct drift_opts o = {.manager = "regrow", .ignore = ignore};
    drift_leave_out(&deployment, live, want, &o);
    assert_null(json_dot(live, "spec.replicas"));
    assert_null(json_dot(want, "spec.replicas"));
    assert_int_equal(json_array_size(json_dot(live, "spec.template.spec.containers")), 1);
    assert_true(json_equal(json_object_get(live, "spec"), json_object_get(want, "spec")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told),
        cmocka_unit_test(ignored),
        cmocka_unit_test(secrets_are_not_told),
        cmocka_unit_test(bounded),
        cmocka_unit_test(respected),
        cmocka_unit_test(respected_twice),
        cmocka_unit_test(left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
