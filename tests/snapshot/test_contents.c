// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds, as a document: all of it, and of Secrets only names.
#include "snapshot/contents.h"

#include "gitops/gitops.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/snapshot/snapkit.h"
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
    expect(web, "healthy", json_dot_str(at(doc, "sources", 0), "revision"));
    expect(at(doc, "applications", 0), "healthy", NULL);
    const json_t *healthy = json_object_get(doc, "healthy");
    expect(healthy, "commit", NULL); // of the root nobody has said so
    assert_true(json_is_false(json_object_get(healthy, "current")));
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

// ---- what a writer's key in the wrong hands could leave ----

// A snapshot of one list and the root that names it; %s of root stands for the list's id.
static json_t *hostile(const char *list, const char *root, struct err *err)
{
    struct repo r = {0};
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry out = {0};
    struct credential job = snap_kit_job("writer");
    struct age_identity id = kit_identity(1);
    struct writer *w = NULL;
    struct reader *rd = NULL;
    json_t *doc = NULL;
    char hex[33];
    struct writer_opts wo = {.job = &job};
    log_kit_open(log_kit_store(true), &r);
    if (!writer_begin(&r, &wo, &w, err))
        fail_msg("%s", err->msg);
    struct blob_id l = writer_add(w, 'l', list, strlen(list));
    blob_id_hex(&l, hex);
    struct buf text CLEANUP(buf_clear) = {0};
    if (*root == '{') {
        buf_printf(&text, "{\"type\":\"regrow root v1\"%s", root[1] == '}' ? "" : ",");
        root++;
    }
    const char *at = strstr(root, "%s");
    buf_append(&text, root, at ? (size_t)(at - root) : strlen(root));
    if (at)
        buf_printf(&text, "%s%s", hex, at + 2);
    e.snapshot.root = writer_add(w, 'r', text.p, text.len);
    e.snapshot.is_good = true;
    if (!writer_commit(w, &e.snapshot, &out, err) || !reader_open(&r, PROD, &out, &id, &rd, err))
        fail_msg("%s", err->msg);
    if (!contents_read(rd, &doc, err))
        assert_null(doc);
    reader_free(rd);
    writer_free(w);
    entry_clear(&e);
    entry_clear(&out);
    credential_clear(&job);
    repo_close(&r);
    return doc;
}

static void nothing_is_believed(void **state)
{
    static const struct {
        const char *list, *root;
        bool ok;
    } cases[] = {
        {"{}\n", "{}\n", true},
        {"{}\n", "[]\n", false},
        {"{}\n", "{\"shards\":5,\"git\":[],\"live\":\"x\",\"sources\":null}\n", true},
        {"{}\n", "{\"shards\":{\"blobs\":[5,{},null]}}\n", true},
        {"{}\n", "{\"shards\":{\"blobs\":[\"no id\"]}}\n", false},
        {"{}\n", "{\"shards\":{\"blobs\":[\"00000000000000000000000000000000\"]}}\n", false},
        {"{}\n", "{\"shards\":{\"blobs\":[\"%s\"]}}\n", true},
        {"{\"applications\":7}\n", "{\"shards\":{\"blobs\":[\"%s\"]}}\n", true},
        {"{\"applications\":[1,\"a\",[],{\"name\":[]},{\"name\":\"x\",\"blob\":3}]}\n",
         "{\"shards\":{\"blobs\":[\"%s\"]}}\n", true},
        {"{\"applications\":[{\"name\":\"x\",\"blob\":\"zz\"}]}\n",
         "{\"shards\":{\"blobs\":[\"%s\"]}}\n", false},
        {"{\"more\":{\"blob\":\"00000000000000000000000000000000\"}}\n",
         "{\"git\":{\"blob\":\"%s\"}}\n", false},
        {"{\"pages\":{\"blobs\":[\"00000000000000000000000000000000\"]}}\n",
         "{\"live\":{\"blob\":\"%s\"}}\n", false},
        {"{\"pages\":{\"blobs\":[5,null]}}\n", "{\"live\":{\"blob\":\"%s\"}}\n", false},
        {"{\"objects\":[{\"secret\":true,\"name\":{},\"rule\":[]}]}\n",
         "{\"live\":{\"blob\":\"%s\"}}\n", true},
        {"{\"sources\":[{\"blob\":\"\"}]}\n", "{\"sources\":{\"blob\":\"%s\"}}\n", false},
        {"{\"cluster\":5,\"tool\":7}\n", "{\"versions\":{\"blob\":\"%s\"}}\n", true},
        {"not json\n", "{\"versions\":{\"blob\":\"%s\"}}\n", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        CLEANUP(json_freep) json_t *doc = hostile(cases[i].list, cases[i].root, &err);
        if (doc ? !cases[i].ok : err.kind != ERR_CORRUPT || cases[i].ok)
            fail_msg("case %d: %s", (int)i, doc ? "it was read" : err.msg);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything),
                                       cmocka_unit_test(secrets_by_name_alone),
                                       cmocka_unit_test(nothing_is_believed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
