// SPDX-License-Identifier: Apache-2.0
//
// One object against another: what is a difference, and what is only another spelling or made anew.
#include "restore/compare.h"

#include "tests/test.h"

static json_t *doc(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    return v;
}

// "POINTER expected found" of each change, a line each.
static char *said(const json_t *changes)
{
    struct buf b = {0};
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)changes, i, c)
    {
        char *a = json_dumps(json_object_get(c, "expected"), JSON_ENCODE_ANY | JSON_COMPACT);
        char *f = json_dumps(json_object_get(c, "found"), JSON_ENCODE_ANY | JSON_COMPACT);
        buf_printf(&b, "%s%s %s %s", i ? "\n" : "", json_dot_str(c, "pointer"), a, f);
        free(a);
        free(f);
    }
    return b.p ? buf_take(&b) : str_dup("");
}

static void expect(enum compare_how how, const char *expected, const char *found, const char *want)
{
    CLEANUP(json_freep) json_t *a = doc(expected);
    CLEANUP(json_freep) json_t *b = doc(found);
    CLEANUP(json_freep) json_t *out = json_array();
    compare_objects(a, b, how, out);
    CLEANUP(str_freep) char *text = said(out);
    assert_string_equal(text, want);
}

#define CM "\"kind\":\"ConfigMap\""

static void wanted(void **state)
{
    (void)state;
    expect(COMPARE_WANTED, "{" CM ",\"data\":{\"a\":\"1\"}}",
           "{" CM ",\"data\":{\"a\":\"1\",\"b\":\"2\"},\"metadata\":{\"uid\":\"x\"}}", "");
    expect(COMPARE_WANTED, "{" CM ",\"data\":{\"a\":\"1\",\"c/d\":\"3\"}}",
           "{" CM ",\"data\":{\"a\":\"2\"}}", "/data/a \"1\" \"2\"\n/data/c~1d \"3\" null");
    expect(COMPARE_WANTED, "{\"kind\":\"X\",\"spec\":{\"l\":[],\"o\":{},\"n\":0,\"s\":\"\"}}",
           "{\"kind\":\"X\",\"spec\":{}}", "");
    expect(COMPARE_WANTED, "{\"kind\":\"X\",\"spec\":{\"n\":0}}",
           "{\"kind\":\"X\",\"spec\":{\"n\":1}}", "/spec/n 0 1");
    // A server may say it otherwise: it is asked.
    expect(COMPARE_WANTED, "{\"kind\":\"X\",\"m\":\"1024Mi\"}", "{\"kind\":\"X\",\"m\":\"1Gi\"}",
           "/m \"1024Mi\" \"1Gi\"");
}

static void lists(void **state)
{
    (void)state;
    expect(COMPARE_WANTED,
           "{\"kind\":\"X\",\"c\":[{\"name\":\"a\",\"v\":1},{\"name\":\"b\",\"v\":2}]}",
           "{\"kind\":\"X\",\"c\":[{\"name\":\"b\",\"v\":2,\"more\":1},{\"name\":\"a\",\"v\":3}]}",
           "/c/0/v 1 3");
    expect(COMPARE_WANTED, "{\"kind\":\"X\",\"c\":[\"a\",\"b\"]}",
           "{\"kind\":\"X\",\"c\":[\"b\",\"a\",\"z\"]}", "");
    expect(COMPARE_WHOLE, "{\"kind\":\"X\",\"c\":[\"a\"]}", "{\"kind\":\"X\",\"c\":[\"a\",\"z\"]}",
           "/c [\"a\"] [\"a\",\"z\"]");
}

static void made_anew(void **state)
{
    (void)state;
    expect(COMPARE_WHOLE,
           "{\"kind\":\"Service\",\"metadata\":{\"uid\":\"a\",\"resourceVersion\":\"1\"},"
           "\"spec\":{\"clusterIP\":\"1\",\"ports\":[{\"port\":80,\"nodePort\":30000}]},"
           "\"status\":{\"x\":1}}",
           "{\"kind\":\"Service\",\"metadata\":{\"uid\":\"b\"},\"spec\":{\"clusterIP\":\"2\","
           "\"ports\":[{\"port\":80,\"nodePort\":30001}]}}",
           "");
    expect(COMPARE_WHOLE, "{\"kind\":\"X\",\"spec\":{\"clusterIP\":\"1\"}}",
           "{\"kind\":\"X\",\"spec\":{\"clusterIP\":\"2\"}}", "/spec/clusterIP \"1\" \"2\"");
    expect(COMPARE_WHOLE,
           "{\"kind\":\"MutatingWebhookConfiguration\",\"webhooks\":[{\"name\":\"a\","
           "\"clientConfig\":{\"caBundle\":\"x\"}}]}",
           "{\"kind\":\"MutatingWebhookConfiguration\",\"webhooks\":[{\"name\":\"a\","
           "\"clientConfig\":{\"caBundle\":\"y\"}}]}",
           "");
}

// Neither of the two, nor of what kubectl keeps beside it.
static void secrets(void **state)
{
    (void)state;
    expect(COMPARE_WHOLE,
           "{\"kind\":\"Secret\",\"type\":\"a\",\"data\":{\"x\":\"aHVudGVy\"},\"metadata\":{"
           "\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":\"hunter\"}}}",
           "{\"kind\":\"Secret\",\"type\":\"b\",\"data\":{\"x\":\"aHVudGVz\",\"y\":\"aHVudGVy\"},"
           "\"metadata\":{}}",
           "/type \"a\" \"b\"\n/data/x \"(secret)\" \"(secret)\"\n/data/y null \"(secret)\"");
    expect(COMPARE_WANTED, "{\"kind\":\"Secret\",\"data\":{\"x\":\"aHVudGVy\"}}",
           "{\"kind\":\"Secret\"}", "/data/x \"(secret)\" null");
    expect(COMPARE_WANTED, "{\"kind\":\"Secret\",\"data\":{\"x\":\"aHVudGVy\"}}", "\"hunter\"",
           "/ \"(secret)\" \"(secret)\"");
}

static void expect_live(const char *desired, const char *live, const char *drilled,
                        const char *want)
{
    CLEANUP(json_freep) json_t *d = doc(desired);
    CLEANUP(json_freep) json_t *a = doc(live);
    CLEANUP(json_freep) json_t *b = doc(drilled);
    CLEANUP(json_freep) json_t *out = json_array();
    compare_with_live(d, a, b, out);
    CLEANUP(str_freep) char *text = said(out);
    assert_string_equal(text, want);
}

static void live(void **state)
{
    (void)state;
    // What an operator added is no matter, what a person changed is.
    expect_live("{\"kind\":\"Deployment\",\"spec\":{\"replicas\":2}}",
                "{\"kind\":\"Deployment\",\"spec\":{\"replicas\":5,\"added\":1}}",
                "{\"kind\":\"Deployment\",\"spec\":{\"replicas\":2}}", "/spec/replicas 5 2");
    // Whoever writes into these is a person.
    expect_live("{" CM ",\"data\":{\"a\":\"1\"}}", "{" CM ",\"data\":{\"a\":\"1\",\"b\":\"2\"}}",
                "{" CM ",\"data\":{\"a\":\"1\"}}", "/data/b \"2\" null");
    // Both have it as the server says it.
    expect_live("{\"kind\":\"X\",\"m\":\"1024Mi\"}", "{\"kind\":\"X\",\"m\":\"1Gi\"}",
                "{\"kind\":\"X\",\"m\":\"1Gi\"}", "");
    // A longer name is another field.
    expect_live("{\"kind\":\"X\",\"spec\":{\"a\":1}}",
                "{\"kind\":\"X\",\"spec\":{\"a\":2,\"ab\":1}}",
                "{\"kind\":\"X\",\"spec\":{\"a\":1,\"ab\":2}}", "/spec/a 2 1");
}

static void bounded(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *a = json_pack("{s:s, s:{}}", "kind", "ConfigMap", "data");
    CLEANUP(json_freep)
    json_t *b = json_pack("{s:s, s:{s:s}}", "kind", "ConfigMap", "data", "x", "y");
    CLEANUP(json_freep) json_t *out = json_array();
    struct buf longer CLEANUP(buf_clear) = {0};
    for (int i = 0; i < 500; i++) {
        CLEANUP(str_freep) char *key = str_printf("k%d", i);
        buf_str(&longer, "0123456789");
        json_object_set_new(json_object_get(a, "data"), key, json_string(longer.p));
    }
    compare_objects(a, b, COMPARE_WANTED, out);
    assert_int_equal(json_array_size(out), 100);
    const char *last = json_dot_str(json_array_get(out, 99), "expected");
    assert_true(strlen(last) < 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanted),  cmocka_unit_test(lists), cmocka_unit_test(made_anew),
        cmocka_unit_test(secrets), cmocka_unit_test(live),  cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
