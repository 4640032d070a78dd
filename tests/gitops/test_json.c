// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

static void paths(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *v = doc_of("a: {b: {c: text, num: 7, f: 1.5, t: true}, d: [1]}\nmetadata:\n"
                       "  annotations: {x/y: one, num: 1}\n  labels: {app: web}\n");
    assert_string_equal(json_dot_str(v, "a.b.c"), "text");
    assert_string_equal(json_string_value(json_at(v, "a", "b", "c", NULL)), "text");
    assert_ptr_equal(json_dot(v, ""), v);
    assert_null(json_dot(v, "a.x.c"));
    assert_null(json_dot(v, "a.d.c"));
    assert_null(json_dot(NULL, "a"));
    assert_null(json_dot_str(v, "a.b"));
    assert_null(json_at(NULL, "a", NULL));
    assert_int_equal(json_dot_int(v, "a.b.num", -1), 7);
    assert_int_equal(json_dot_int(v, "a.b.f", -1), 1);
    json_object_set_new(json_object_get(json_object_get(v, "a"), "b"), "huge", json_real(8.9e47));
    assert_int_equal(json_dot_int(v, "a.b.huge", -1), -1);
    assert_int_equal(json_dot_int(v, "a.b.c", -1), -1);
    assert_true(json_dot_bool(v, "a.b.t", false));
    assert_true(json_dot_bool(v, "a.b.c", true));
    assert_string_equal(json_annotation(v, "x/y"), "one");
    assert_null(json_annotation(v, "num"));
    assert_null(json_annotation(v, "none"));
    assert_string_equal(json_label(v, "app"), "web");
}

static void annotations_are_made(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *v = json_object();
    json_set_annotation(v, "a", "1");
    json_set_annotation(v, "b", "2");
    json_set_annotation(v, "a", "3");
    CLEANUP(str_freep) char *text = canon_of(v);
    assert_string_equal(text, "{\"metadata\":{\"annotations\":{\"a\":\"3\",\"b\":\"2\"}}}");
}

static void selectors(void **s)
{
    (void)s;
    static const struct {
        const char *selector;
        bool matches;
    } cases[] = {
        {"{}", true},
        {"just text", false},
        {"matchLabels: {app: web}", true},
        {"matchLabels: {app: db}", false},
        {"matchLabels: {app: web, tier: x}", false},
        {"matchLabels: {tier: ''}", false},
        {"matchLabels: {num: 1}", false},
        {"matchExpressions: [{key: app, operator: In, values: [db, web]}]", true},
        {"matchExpressions: [{key: app, operator: In, values: []}]", false},
        {"matchExpressions: [{key: app, operator: NotIn, values: [db]}]", true},
        {"matchExpressions: [{key: app, operator: NotIn, values: [web]}]", false},
        {"matchExpressions: [{key: tier, operator: NotIn, values: [web]}]", true},
        {"matchExpressions: [{key: app, operator: Exists}]", true},
        {"matchExpressions: [{key: tier, operator: Exists}]", false},
        {"matchExpressions: [{key: tier, operator: DoesNotExist}]", true},
        {"matchExpressions: [{key: app, operator: DoesNotExist}]", false},
        {"matchExpressions: [{key: app, operator: Like, values: [web]}]", false},
        {"matchExpressions: [{operator: Exists}]", false},
        {"matchExpressions: [7]", false},
        {"{matchLabels: {app: web}, matchExpressions: [{key: env, operator: Exists}]}", true},
        {"{matchLabels: {app: db}, matchExpressions: [{key: env, operator: Exists}]}", false},
    };
    CLEANUP(json_freep) json_t *labels = doc_of("{app: web, env: prod}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *selector = doc_of(cases[i].selector);
        if (json_selector_matches(selector, labels) != cases[i].matches)
            fail_msg("%s", cases[i].selector);
    }
    assert_true(json_selector_matches(NULL, labels));
    assert_true(json_selector_matches(json_null(), NULL));
    CLEANUP(json_freep) json_t *some = doc_of("matchLabels: {app: web}");
    assert_false(json_selector_matches(some, NULL));
}

// The examples of RFC 7386, as far as both sides are maps.
static void merge_patches(void **s)
{
    (void)s;
    static const struct {
        const char *into, *patch, *out;
    } cases[] = {
        {"{a: b}", "{a: c}", "{\"a\":\"c\"}"},
        {"{a: b}", "{b: c}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{a: b}", "{a: null}", "{}"},
        {"{a: b, b: c}", "{a: null}", "{\"b\":\"c\"}"},
        {"{a: [b]}", "{a: c}", "{\"a\":\"c\"}"},
        {"{a: c}", "{a: [b]}", "{\"a\":[\"b\"]}"},
        {"{a: {b: c}}", "{a: {b: d, c: null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{a: [{b: c}]}", "{a: [1]}", "{\"a\":[1]}"},
        {"{e: null}", "{a: 1}", "{\"a\":1,\"e\":null}"},
        {"{}", "{a: {bb: {ccc: null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *into = doc_of(cases[i].into);
        CLEANUP(json_freep) json_t *patch = doc_of(cases[i].patch);
        json_merge_patch(into, patch);
        CLEANUP(str_freep) char *text = canon_of(into);
        assert_string_equal(text, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(annotations_are_made),
        cmocka_unit_test(selectors),
        cmocka_unit_test(merge_patches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
