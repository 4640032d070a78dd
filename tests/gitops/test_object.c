// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

static void identity(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *doc =
        doc_of("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: web}");
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    struct err err = {0};
    assert_true(object_id_of(doc, &id, &version, &err));
    assert_string_equal(version, "v1");
    CLEANUP(str_freep) char *name = object_name(&id);
    CLEANUP(str_freep) char *key = object_key(&id);
    assert_string_equal(name, "Deployment web/api");
    assert_string_equal(key, "apps/Deployment/web/api");
    struct object_id copy = object_id_dup(&id);
    assert_true(object_id_eq(&id, &copy));
    str_set(&copy.namespace, NULL);
    assert_true(object_id_cmp(&copy, &id) < 0);
    assert_true(object_id_cmp(&id, &copy) > 0);
    object_id_clear(&copy);
    object_id_clear(&id);
}

static void cluster_scoped(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *doc = doc_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: web, namespace: ''}");
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    struct err err = {0};
    assert_true(object_id_of(doc, &id, &version, &err));
    assert_null(id.namespace);
    CLEANUP(str_freep) char *name = object_name(&id);
    CLEANUP(str_freep) char *key = object_key(&id);
    assert_string_equal(name, "Namespace web");
    assert_string_equal(key, "/Namespace//web");
    object_id_clear(&id);
}

static void what_is_no_object(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"[1]", "not a Kubernetes object"},
        {"kind: X", "apiVersion is not set"},
        {"apiVersion: 1\nkind: X", "apiVersion is not set"},
        {"apiVersion: v1", "kind is not set"},
        {"apiVersion: v1\nkind: X", "X has no metadata.name"},
        {"apiVersion: v1\nkind: X\nmetadata: text", "X has no metadata.name"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: 7}",
         "X: metadata.name is not text; put it in quotes"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: y}",
         "X: metadata.name is not text; put it in quotes"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: ''}", "X has no metadata.name"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: ..}", "X has an impossible name: \"..\""},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a/b}", "X has an impossible name: \"a/b\""},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a%2e}", "X has an impossible name: \"a%2e\""},
        {"apiVersion: v1\nkind: X\nmetadata: {name: \"a\\n\"}",
         "X has an impossible name: \"a\n\""},
        {"apiVersion: v1\nkind: X\nmetadata: {name: \"a\\u0000b\"}",
         "X has an impossible name: \"a\" and a NUL character"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: \"b\\0\"}",
         "X a has an impossible namespace: \"b\" and a NUL character"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: B}",
         "X a has an impossible namespace: \"B\""},
        {"apiVersion: v1\nkind: 'X Y'\nmetadata: {name: a}", "\"X Y\" is no kind"},
        {"apiVersion: v1\nkind: \"X\\0\"\nmetadata: {name: a}", "\"X\" is no kind"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: 7}",
         "X a: metadata.namespace is not text; put it in quotes"},
        {"apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: b/c}",
         "X a has an impossible namespace: \"b/c\""},
        {"apiVersion: a/b/c\nkind: X\nmetadata: {name: a}",
         "X a: apiVersion \"a/b/c\" is malformed"},
        {"apiVersion: /v1\nkind: X\nmetadata: {name: a}", "X a: apiVersion \"/v1\" is malformed"},
        {"apiVersion: a/\nkind: X\nmetadata: {name: a}", "X a: apiVersion \"a/\" is malformed"},
        {"apiVersion: ../v1\nkind: X\nmetadata: {name: a}",
         "X a: apiVersion \"../v1\" is malformed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i][0]);
        struct object_id id = {0};
        char *version = NULL;
        struct err err = {0};
        assert_false(object_id_of(doc, &id, &version, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.msg, cases[i][1]);
        assert_null(version);
        err_clear(&err);
    }
}

static void lists(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        bool is_list;
    } cases[] = {
        {"apiVersion: v1\nkind: List\nitems: []", true},
        {"apiVersion: v1\nkind: ConfigMapList\nitems: [{}]", true},
        {"apiVersion: v1\nkind: List", false},
        {"apiVersion: v1\nkind: List\nitems: {}", false},
        {"apiVersion: v1\nkind: ConfigMap\nitems: []", false},
        {"apiVersion: example.org/v1\nkind: AllowList\nspec: {items: []}", false},
        {"[1]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i].text);
        assert_int_equal(object_is_list(doc), cases[i].is_list);
    }
}

static void origins(void **s)
{
    (void)s;
    static const struct {
        const char *repo, *revision, *file;
        unsigned line;
        const char *text;
    } cases[] = {
        {"platform", "3f9c2e1", "store.yaml", 3, "store.yaml:3 in platform @ 3f9c2e1"},
        {"platform", NULL, "store.yaml", 0, "store.yaml in platform"},
        {"cert-manager v1.21.2", NULL, NULL, 0, "cert-manager v1.21.2"},
        {NULL, NULL, NULL, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct origin o = {(char *)cases[i].repo, (char *)cases[i].revision,
                                 (char *)cases[i].file, cases[i].line, 1};
        struct origin copy = origin_dup(&o);
        CLEANUP(str_freep) char *text = origin_text(&copy);
        assert_string_equal(text, cases[i].text);
        origin_clear(&copy);
        assert_null(copy.file);
    }
}

static void bodies(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *doc = doc_of("{kind: X, a: [1, {b: \"\\u0000\\u2028\"}], c: 1.5}");
    struct object o = {0};
    object_set_body(&o, doc);
    assert_int_equal(o.body_len, strlen(o.body));
    CLEANUP(json_freep) json_t *again = object_doc(&o);
    assert_true(json_equal(doc, again));
    struct sha256 first = o.hash;
    object_set_body(&o, again);
    assert_true(sha256_eq(&first, &o.hash));
    json_object_set_new(again, "a", json_null());
    object_set_body(&o, again);
    assert_false(sha256_eq(&first, &o.hash));
    object_clear(&o);
    CLEANUP(json_freep) json_t *none = object_doc(&o);
    assert_int_equal(json_object_size(none), 0);
}

// Whoever goes first, and whoever writes, leaves the other as it was.
static void shared(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *doc = doc_of("{kind: X, a: 1}");
    CLEANUP(json_freep) json_t *other = doc_of("{kind: X, a: 2}");
    struct object_id id = {(char *)"", (char *)"X", (char *)"web", (char *)"x"};
    for (int round = 0; round < 3; round++) {
        struct object a = {.id = object_id_dup(&id), .version = str_dup("v1")};
        a.origin = (struct origin){str_dup("r"), NULL, str_dup("f.yaml"), 1, 1};
        origin_set_revision(&a.origin, "1111111");
        object_set_body(&a, doc);
        struct object b = object_share(&a);
        struct object c = object_share(&b);
        assert_ptr_equal(a.body, c.body);
        assert_ptr_equal(a.origin.revision, c.origin.revision);
        if (round == 0)
            object_clear(&a);
        object_set_body(&b, other);
        str_set(&b.id.namespace, "other");
        origin_set_revision(&b.origin, "2222222");
        assert_string_equal(c.id.namespace, "web");
        assert_string_equal(c.origin.revision, "1111111");
        assert_string_equal(c.body, "{\"a\":1,\"kind\":\"X\"}");
        assert_string_equal(b.body, "{\"a\":2,\"kind\":\"X\"}");
        assert_string_equal(b.id.name, "x");
        if (round == 1)
            object_clear(&c);
        object_own(round == 2 ? &c : &b); // the last of a group is its own again
        object_clear(&b);
        object_clear(&c);
        object_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity),
        cmocka_unit_test(cluster_scoped),
        cmocka_unit_test(what_is_no_object),
        cmocka_unit_test(lists),
        cmocka_unit_test(origins),
        cmocka_unit_test(bodies),
        cmocka_unit_test(shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
