// SPDX-License-Identifier: Apache-2.0
#include "snapshot/members.h"

#include "tests/test.h"

static bool reads(const char *text)
{
    struct err err = {0};
    json_t *v = NULL;
    bool ok = bounded_json(text, strlen(text), &v, &err);
    if (!ok)
        assert_int_equal(err.kind, ERR_CORRUPT);
    json_decref(v);
    err_clear(&err);
    return ok;
}

static void json_is_bounded(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(reads("{\"a\":[1,\"[[[[\\\"{{{{\"]}"));
    assert_false(reads(""));
    assert_false(reads("7"));
    assert_false(reads("{} {}"));
    assert_false(reads("{\"a\":1,\"a\":1}"));
    assert_false(reads("{\"a\":\"\xff\"}"));
    assert_false(reads("{\"a\":\"\\u0000\"}"));
    assert_false(reads("{\"a\":99999999999999999999}"));
    assert_false(reads("{\"a\":\""));
    assert_false(reads("{\"a\":\"\\"));
    for (unsigned depth = 32; depth <= 33; depth++) {
        buf_reset(&b);
        for (unsigned i = 0; i < depth; i++)
            buf_char(&b, '[');
        for (unsigned i = 0; i < depth; i++)
            buf_char(&b, ']');
        assert_int_equal(reads(b.p), depth == 32);
    }
    for (size_t len = 65536; len <= 65537; len++) {
        buf_reset(&b);
        buf_str(&b, "[\"");
        for (size_t i = 0; i < len; i++)
            buf_char(&b, 'x');
        buf_str(&b, "\"]");
        assert_int_equal(reads(b.p), len == 65536);
    }
}

static void what_is_there(void **s)
{
    (void)s;
    json_t *o =
        json_loads("{\"n\":7,\"big\":9007199254740992,\"t\":\"text\",\"c\":\"two\",\"h\":\"00ff\","
                   "\"b\":true,\"l\":[1,2],\"o\":{},\"x\":null}",
                   0, NULL);
    struct err err = {0};
    struct members m = members_of(o, &err);
    const char *const names[] = {"one", "two"};
    uint8_t h[2];
    assert_int_equal(member_uint(&m, "n", 7, 7), 7);
    assert_true(member_uint(&m, "big", 0, MEMBER_MAX_UINT) == MEMBER_MAX_UINT);
    assert_string_equal(member_text(&m, "t", 4), "text");
    assert_null(member_text_or_null(&m, "x", 4));
    assert_null(member_text_or_null(&m, "absent", 4));
    assert_int_equal(member_choice(&m, "c", names, 2), 1);
    member_hex(&m, "h", h, 2);
    assert_int_equal(h[1], 0xff);
    assert_false(member_hex_or_null(&m, "x", h, 2));
    assert_int_equal(h[1], 0);
    assert_true(member_bool(&m, "b"));
    assert_int_equal(json_array_size(member_array(&m, "l", 2)), 2);
    assert_non_null(member_object(&m, "o"));
    assert_false(m.is_bad);
    json_decref(o);
}

// The first error is told, once; the rest gives nothing.
static void what_is_not(void **s)
{
    (void)s;
    json_t *o =
        json_loads("{\"n\":7,\"neg\":-1,\"r\":7.0,\"t\":\"text\",\"e\":\"\",\"esc\":\"a\\u001bb\","
                   "\"c1\":\"a\\u009bb\",\"del\":\"\\u007f\",\"h\":\"00FF\",\"h1\":\"00f\","
                   "\"l\":[1,2],\"x\":null}",
                   0, NULL);
    const char *const names[] = {"one", "two"};
    uint8_t h[2];
    for (unsigned i = 0; i < 22; i++) {
        struct err err = {0};
        struct members m = members_of(o, &err);
        switch (i) {
        case 0:
            member_uint(&m, "n", 8, 9);
            break;
        case 1:
            member_uint(&m, "n", 0, 6);
            break;
        case 2:
            member_uint(&m, "neg", 0, 6);
            break;
        case 3:
            member_uint(&m, "r", 0, 9);
            break;
        case 4:
            member_uint(&m, "absent", 0, 9);
            break;
        case 5:
            member_uint(&m, "x", 0, 9);
            break;
        case 6:
            member_text(&m, "t", 3);
            break;
        case 7:
            member_text(&m, "e", 3);
            break;
        case 8:
            member_text(&m, "esc", 9);
            break;
        case 9:
            member_text(&m, "c1", 9);
            break;
        case 10:
            member_text(&m, "del", 9);
            break;
        case 11:
            member_text(&m, "n", 9);
            break;
        case 12:
            member_text(&m, "x", 9);
            break;
        case 13:
            member_choice(&m, "t", names, 2);
            break;
        case 14:
            member_choice(&m, "absent", names, 2);
            break;
        case 15:
            member_hex(&m, "h", h, 2);
            break;
        case 16:
            member_hex(&m, "h1", h, 2);
            break;
        case 17:
            member_hex(&m, "x", h, 2);
            break;
        case 18:
            member_array(&m, "l", 1);
            break;
        case 19:
            member_array(&m, "n", 1);
            break;
        case 20:
            member_object(&m, "l");
            break;
        case 21:
            member_bool(&m, "n");
            break;
        }
        assert_true(m.is_bad);
        assert_int_equal(err.kind, ERR_CORRUPT);
        CLEANUP(str_freep) char *first = str_dup(err.msg);
        assert_int_equal(member_uint(&m, "n", 0, 9), 0);
        assert_string_equal(member_text(&m, "t", 9), "");
        member_uint(&m, "absent", 0, 9);
        assert_string_equal(err.msg, first);
        err_clear(&err);
    }
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_bounded),
        cmocka_unit_test(what_is_there),
        cmocka_unit_test(what_is_not),
    };
    return cmocka_run_group_tests_name("snapshot members", tests, NULL, NULL);
}
