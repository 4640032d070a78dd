// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds, as a document: all of it, and of Secrets only names.
#include "snapshot/contents.h"

#include "gitops/gitops.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

static json_t *contents(uint64_t seq)
{
    struct repo r = {0};
    struct log l = {0};
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    struct reader *rd = NULL;
    json_t *doc = NULL;
    log_kit_open(small_repo(true), &r);
    log_kit_read(&r, &l);
    if (!reader_open(&r, PROD, log_find(&l, seq), &id, &rd, &err) || !contents_read(rd, &doc, &err))
        fail_msg("%s", err.msg);
    reader_free(rd);
    log_clear(&l);
    repo_close(&r);
    return doc;
}

static const json_t *at(const json_t *doc, const char *list, size_t i)
{
    return json_array_get(json_object_get(doc, list), i);
}

static void expect(const json_t *o, const char *key, const char *want)
{
    const char *have = json_dot_str(o, key);
    if (!str_eq(have, want))
        fail_msg("%s is %s, not %s", key, have ? have : "absent", want);
}

static void everything(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *doc = contents(2);
    expect(doc, "name", "root");
    assert_int_equal(json_array_size(json_object_get(doc, "applications")), 2);
    const json_t *web = at(doc, "applications", 1);
    expect(web, "name", "web");
    expect(web, "parent", "root");
    assert_int_equal(json_integer_value(json_object_get(web, "objects")), 3);
    assert_true(json_is_true(json_object_get(web, "read")));
    assert_true(json_is_false(json_object_get(web, "stale")));
    expect(at(web, "sources", 0), "path", "clusters");
    expect(at(doc, "sources", 1), "revision", "6.9.0");
    assert_int_equal(json_integer_value(json_object_get(at(doc, "sources", 1), "files")), 1);
    assert_int_equal(json_integer_value(json_object_get(at(doc, "sources", 1), "bytes")), 11);
    expect(at(doc, "git", 0), "url", "https://git.example.com/platform");
    assert_int_equal(json_integer_value(json_object_get(at(doc, "git", 0), "refs")), 1);
    expect(json_object_get(doc, "versions"), "kubernetes", "v1.37.2");
}

static void secrets_by_name_alone(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *doc = contents(2);
    assert_int_equal(json_array_size(json_object_get(doc, "secrets")), 2);
    expect(at(doc, "secrets", 0), "name", "login");
    expect(at(doc, "secrets", 0), "application", "web");
    expect(at(doc, "secrets", 1), "name", "tls");
    expect(at(doc, "secrets", 1), "rule", "TLS certificates");
    char *text = json_dumps(doc, 0);
    assert_null(strstr(text, SMALL_SECRET));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything),
                                       cmocka_unit_test(secrets_by_name_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
