// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "web/web_int.h"

// What a target is taken for: segments between bars, parameters behind a question mark; NULL:
// refused.
static const struct {
    const char *raw, *want;
} cases[] = {
    {"/", ""},
    {"/a", "a|"},
    {"/a/b%20c", "a|b c|"},
    {"/a%2Fb", "a/b|"},
    {"/%E2%82%AC", "\xe2\x82\xac|"},
    {"/a?", "a|"},
    {"/a?x=1&y=a+b%2B", "a|?x=1?y=a b+"},
    {"/a?x", "a|?x="},
    {"/a?x=1=2", "a|?x=1=2"},
    {"/a?&&x=1&", "a|?x=1"},
    {"/?x=1", "?x=1"},
    {"http://host/a/b", "a|b|"},
    {"https://host:80/a", "a|"},
    {"http://host", NULL},
    {"http://host?x", NULL},
    {"", NULL},
    {"*", NULL},
    {"a", NULL},
    {"//", NULL},
    {"//a", NULL},
    {"/a/", NULL},
    {"/a//b", NULL},
    {"/.", NULL},
    {"/a/../b", NULL},
    {"/a/%2e%2e", NULL},
    {"/a/%2E", NULL},
    {"/a%00", NULL},
    {"/a%0a", NULL},
    {"/a%7f", NULL},
    {"/a%", NULL},
    {"/a%4", NULL},
    {"/a%zz", NULL},
    {"/%ff", NULL},
    {"/%C0%AF", NULL},
    {"/%ED%A0%80", NULL},
    {"/a?x=%ff", NULL},
    {"/a?x=%0d%0aSet-Cookie", NULL},
    {"/a#b", NULL},
    {"/1/2/3/4/5/6/7/8", "1|2|3|4|5|6|7|8|"},
    {"/1/2/3/4/5/6/7/8/9", NULL},
    {"/a?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17", NULL},
};

static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uri u;
        struct err err = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        bool ok = uri_parse(cases[i].raw, &u, &err);
        if (ok != !!cases[i].want)
            fail_msg("%s is %s", cases[i].raw, ok ? "taken" : "refused");
        assert_int_equal(err.kind, ok ? ERR_NONE : ERR_INVALID);
        err_clear(&err);
        for (size_t k = 0; k < u.n; k++)
            buf_printf(&b, "%s|", u.seg[k]);
        for (size_t k = 0; k < u.params; k++)
            buf_printf(&b, "?%s=%s", u.param[k].key, u.param[k].value);
        if (ok)
            assert_string_equal(b.p ? b.p : "", cases[i].want);
        uri_clear(&u);
    }
}

static void test_a_long_one(void **state)
{
    struct uri u;
    struct err err = {0};
    char raw[URI_MAX_BYTES + 2];
    (void)state;
    memset(raw, 'a', sizeof(raw));
    raw[0] = '/';
    raw[URI_MAX_BYTES] = 0;
    assert_true(uri_parse(raw, &u, &err));
    uri_clear(&u);
    raw[URI_MAX_BYTES] = 'a';
    raw[URI_MAX_BYTES + 1] = 0;
    assert_false(uri_parse(raw, &u, &err));
    err_clear(&err);
}

static void test_bearer(void **state)
{
    static const struct {
        const char *header, *token;
    } rows[] = {
        {"Bearer abc", "abc"},
        {"bearer  a.b-c_d~e+f/g=", "a.b-c_d~e+f/g="},
        {"Bearer abc  ", "abc"},
        {NULL, NULL},
        {"", NULL},
        {"Bearer", NULL},
        {"Bearer ", NULL},
        {"Basic abc", NULL},
        {"Bearer a b", NULL},
        {"Bearer a,b", NULL},
        {"Bearer a\"b", NULL},
        {"Bearer \xc3\xa9", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *token = NULL;
        size_t len = 0;
        bool ok = web_bearer(rows[i].header, &token, &len);
        assert_int_equal(ok, rows[i].token != NULL);
        if (ok)
            assert_true(len == strlen(rows[i].token) && !memcmp(token, rows[i].token, len));
    }
    CLEANUP(str_freep) char *huge = mem_alloc(20000);
    memset(huge, 'a', 19999);
    memcpy(huge, "Bearer ", 7);
    const char *token;
    size_t len;
    assert_false(web_bearer(huge, &token, &len));
}

static void test_event_ids(void **state)
{
    static const struct {
        const char *header;
        bool ok;
        uint64_t seq;
    } rows[] = {
        {"0123456789abcdef-7", true, 7},
        {"0123456789abcdef-0", true, 0},
        {"0123456789abcdee-7", false, 0},
        {"0123456789abcdef7", false, 0},
        {"0123456789abcdef--7", false, 0},
        {"0123456789abcdef-", false, 0},
        {"0123456789abcdef-99999999999999999999", false, 0},
        {"7", false, 0},
        {"", false, 0},
        {NULL, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t seq = 0;
        bool ok = web_event_id(rows[i].header, "0123456789abcdef", &seq);
        assert_int_equal(ok, rows[i].ok);
        if (ok)
            assert_int_equal(seq, rows[i].seq);
    }
}

static void test_routes(void **state)
{
    static const struct {
        const char *target;
        bool is_post, is_path;
        const char *path; // NULL: none that takes it
    } rows[] = {
        {"/", false, true, "/"},
        {"/metrics", false, true, "/metrics"},
        {"/metrics", true, true, NULL},
        {"/metric", false, false, NULL},
        {"/metrics/x", false, false, NULL},
        {"/api/v1/applications", false, true, "/api/v1/applications"},
        {"/api/v1/applications/x", false, true, "/api/v1/applications/*"},
        {"/api/v1/applications/x/sync", true, true, "/api/v1/applications/*/sync"},
        {"/api/v1/applications/x/sync", false, true, NULL},
        {"/api/v1/applications/x/delete", true, false, NULL},
        {"/api/v1", false, false, NULL},
        {"/api/webhook", true, true, "/api/webhook"},
        {"/*", false, false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri u;
        struct err err = {0};
        const char *allow = NULL;
        bool is_path;
        assert_true(uri_parse(rows[i].target, &u, &err));
        const struct route *r = web_route(&u, &allow, rows[i].is_post, &is_path);
        assert_int_equal(is_path, rows[i].is_path);
        assert_int_equal(!r, !rows[i].path);
        if (r)
            assert_string_equal(r->path, rows[i].path);
        else if (is_path)
            assert_string_equal(allow, rows[i].is_post ? "GET, HEAD" : "POST");
        uri_clear(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets), cmocka_unit_test(test_a_long_one),
        cmocka_unit_test(test_bearer),  cmocka_unit_test(test_event_ids),
        cmocka_unit_test(test_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
