// SPDX-License-Identifier: Apache-2.0
//
// What Kubernetes takes for a name, by its own rules.
#include "tests/test.h"

#include "gitops/names.h"
#include "gitops/object.h"

#define SIXTY_THREE "a23456789-123456789-123456789-123456789-123456789-123456789-123"

static bool fits(bool (*rule)(const char *, size_t), const char *s)
{
    return rule(s, strlen(s));
}

static void labels(void **s)
{
    (void)s;
    static const char *const good[] = {"a", "7", "a-b", "a--b", "0a", SIXTY_THREE};
    static const char *const bad[] = {"",    "-a",  "a-",       "A",   "a.b",          "a_b",
                                      "a b", "a/b", "\xc3\xa4", "a\n", SIXTY_THREE "4"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!fits(name_is_label, good[i]))
            fail_msg("\"%s\"", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (fits(name_is_label, bad[i]))
            fail_msg("\"%s\"", bad[i]);
    assert_false(name_is_label("a\0b", 3));
}

static void subdomains(void **s)
{
    (void)s;
    static const char *const good[] = {"a", "a.b", "0.1", "a-b.c-d", SIXTY_THREE "4.x"};
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "A.b", "a_b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!fits(name_is_subdomain, good[i]))
            fail_msg("\"%s\"", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (fits(name_is_subdomain, bad[i]))
            fail_msg("\"%s\"", bad[i]);
    char longest[256];
    memset(longest, 'a', sizeof(longest));
    assert_true(name_is_subdomain(longest, 253));
    assert_false(name_is_subdomain(longest, 254));
    assert_false(name_is_subdomain("a\0b", 3));
}

static void keys(void **s)
{
    (void)s;
    static const char *const good[] = {"a", "A_b.c-D", "x.y/Z", "example.com/a_b", SIXTY_THREE};
    static const char *const bad[] = {"",   "/a", "a/",  "a/b/c", "A.b/c",
                                      "_a", "a_", "a b", "a:b",   "x/" SIXTY_THREE "4"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!fits(name_is_key, good[i]))
            fail_msg("\"%s\"", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (fits(name_is_key, bad[i]))
            fail_msg("\"%s\"", bad[i]);
    assert_true(fits(name_is_label_value, "") && fits(name_is_label_value, "v1.2_x"));
    assert_false(fits(name_is_label_value, "a b") || fits(name_is_label_value, "-") ||
                 fits(name_is_label_value, SIXTY_THREE "4"));
}

// What is said of a document; "" when nothing is wrong.
static void says(const char *text, const char *words)
{
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct err err = {0};
    bool ok = object_normalize(doc, &err);
    if (ok != !*words || (!ok && !strstr(err.msg, words)))
        fail_msg("%s: \"%s\", wanted \"%s\"", text, ok ? "" : err.msg, words);
    err_clear(&err);
}

static void documents(void **s)
{
    (void)s;
#define CM "{apiVersion: v1, kind: ConfigMap, metadata: {name: "
    says(CM "a.b-c}}", "");
    says(CM "A}}", "ConfigMap: \"A\" is no name for it: lower-case letters");
    says("{apiVersion: v1, kind: Namespace, metadata: {name: a.b}}", "Namespace: \"a.b\" is no");
    says("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a_b}}", "\"a_b\" is no name");
    says("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: 'system:A'}}",
         "");
    says("{apiVersion: example.com/v1, kind: Deployment, metadata: {name: A_b}}", "");
    says(CM "a, labels: {'a b': x}}}", "metadata.labels: \"a b\" is no key");
    says(CM "a, labels: {a: 'x y'}}}", "metadata.labels.a: \"x y\" is no value");
    says(CM "a, labels: {a: \"x\\0\"}}}", "metadata.labels.a: \"x\" is no value");
    says(CM "a, labels: {a: ''}}}", "");
    says(CM "a, labels: {X.y/a: b}}}", "is no key");
    says(CM "a, annotations: {X.y/a: 'whatever it says'}}}", "");
    says(CM "a, annotations: {'x/y/z': b}}}", "metadata.annotations: \"x/y/z\" is no key");
    says("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {metadata: "
         "{labels: {'a b': c}}}}}",
         "metadata.labels: \"a b\" is no key");
}

static void large_annotations(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *doc = doc_of(CM "a, annotations: {a: b}}}");
    struct err err = {0};
    for (int i = 0; i < 256 * 1024; i++)
        buf_char(&b, 'x');
    json_t *map = json_object_get(json_object_get(doc, "metadata"), "annotations");
    json_object_set_new(map, "a", json_stringn(b.p, b.len - 1));
    assert_true(object_normalize(doc, &err));
    json_object_set_new(map, "a", json_stringn(b.p, b.len));
    assert_false(object_normalize(doc, &err));
    assert_non_null(strstr(err.msg, "metadata.annotations have 262145 bytes"));
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(labels), cmocka_unit_test(subdomains),
                                       cmocka_unit_test(keys), cmocka_unit_test(documents),
                                       cmocka_unit_test(large_annotations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
