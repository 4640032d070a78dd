// SPDX-License-Identifier: Apache-2.0
//
// What a registry answers: challenges, tokens, tags and the names they stand for, errors.
#include "snapshot/oci_answer.h"

#include <string.h>

#include "base/file.h"
#include "snapshot/store_oci.h"
#include "tests/test.h"

static void challenges(void **s)
{
    (void)s;
    const char *text = "Bearer realm=\"https://a.example.com/t\",Service=\"r\",scope=\"x:pull";
    CLEANUP(str_freep) char *realm = oci_challenge_value(text, "realm");
    CLEANUP(str_freep) char *service = oci_challenge_value(text, "service");
    CLEANUP(str_freep) char *scope = oci_challenge_value(text, "scope"); // never closed
    assert_string_equal(realm, "https://a.example.com/t");
    assert_string_equal(service, "r");
    assert_string_equal(scope, "x:pull");
    assert_null(oci_challenge_value(text, "error"));
}

static void tokens(void **s)
{
    (void)s;
    static const struct {
        const char *body, *token;
    } all[] = {{"{\"token\":\"abc\"}", "abc"},
               {"{\"access_token\":\"def\"}", "def"},
               {"{\"token\":\"abc\",\"access_token\":\"def\"}", "abc"},
               {"{\"token\":\"a\\r\\nX-Other: b\"}", NULL}, // would be a header of its own
               {"{\"token\":\"\"}", NULL},
               {"{\"token\":7}", NULL},
               {"[]", NULL},
               {"", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        CLEANUP(str_freep) char *token = oci_token(all[i].body, strlen(all[i].body));
        if (!str_eq(token, all[i].token) && (token || all[i].token))
            fail_msg("%s: %s", all[i].body, token ? token : "none");
    }
}

static void tags(void **s)
{
    (void)s;
    static const char body[] = "{\"tags\":[\"b\",7,\"a\"]}";
    struct strv out = {0};
    struct err err = {0};
    assert_true(oci_read_tags(body, strlen(body), &out, &err));
    assert_int_equal(out.len, 2);
    assert_true(oci_read_tags("{\"tags\":null}", 13, &out, &err)); // none
    assert_int_equal(out.len, 2);
    assert_false(oci_read_tags("<html>", 6, &out, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    strv_clear(&out);
}

// A registry that never ends its list is not followed for ever.
static void too_many_tags(void **s)
{
    (void)s;
    struct buf body CLEANUP(buf_clear) = {0};
    struct strv out = {0};
    struct err err = {0};
    bool ok = true;
    buf_str(&body, "{\"tags\":[\"a\"");
    for (int i = 0; i < 99999; i++)
        buf_str(&body, ",\"a\"");
    buf_str(&body, "]}");
    for (int i = 0; ok && i < 100; i++)
        ok = oci_read_tags(body.p, body.len, &out, &err);
    assert_false(ok);
    assert_int_equal(out.len, OCI_MAX_TAGS);
    err_clear(&err);
    strv_clear(&out);
}

static void pages(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *next = oci_next_page("</v2/a/tags/list?n=2&last=b>; rel=\"next\"");
    assert_string_equal(next, "/v2/a/tags/list?n=2&last=b");
    assert_null(oci_next_page("</v2/a/tags/list>; rel=\"prev\""));
    assert_null(oci_next_page("next"));
    assert_null(oci_next_page(NULL));
}

static void errors(void **s)
{
    (void)s;
    static const char body[] = "{\"errors\":[{\"code\":\"DENIED\"},{\"code\":\"OTHER\"}]}";
    CLEANUP(str_freep) char *code = oci_error_code(body, strlen(body));
    assert_string_equal(code, "DENIED");
    assert_null(oci_error_code("{\"errors\":[]}", 13));
    assert_null(oci_error_code(NULL, 0));
}

static void names(void **s)
{
    (void)s;
    static const struct {
        const char *tag, *name;
    } all[] = {{"regrow", "regrow.json"},
               {"trust.0001.0123456789abcdef", "trust/0001"},
               {"a.b.0000000012.0123456789abcdef", "chains/a.b/log/0000000012-0123456789abcdef"},
               {"a.000000012.0123456789abcdef", NULL},
               {"a.0000000012.0123456789abcdeg", NULL},
               {".0123456789abcdef", NULL},
               {"", NULL},
               {"latest", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        CLEANUP(str_freep) char *name = store_oci_name(all[i].tag);
        if (!str_eq(name, all[i].name) && (name || all[i].name))
            fail_msg("%s: %s", all[i].tag, name ? name : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenges),    cmocka_unit_test(tokens), cmocka_unit_test(tags),
        cmocka_unit_test(too_many_tags), cmocka_unit_test(pages),  cmocka_unit_test(errors),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
