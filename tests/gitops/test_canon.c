// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

// JSON in, canonical JSON out, or "ERROR".
static char *through(const char *text, size_t len)
{
    json_t *v = NULL;
    struct err err = {0};
    if (!canon_read(text, len, &v, &err)) {
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(v);
        err_clear(&err);
        return str_dup("ERROR");
    }
    char *out = canon_of(v);
    json_decref(v);
    return out;
}

static void check(const char *text, const char *want)
{
    CLEANUP(str_freep) char *got = through(text, strlen(text));
    assert_string_equal(got, want);
}

static void keys_are_sorted(void **s)
{
    (void)s;
    check(" { \"b\" : [ 1 , 2 ] , \"a\" : { } , \"B\" : null , \"aa\" : true , \"\" : false } ",
          "{\"\":false,\"B\":null,\"a\":{},\"aa\":true,\"b\":[1,2]}");
    check("{\"\\u00e9\":1,\"z\":2}", "{\"z\":2,\"\xc3\xa9\":1}");
    struct buf b CLEANUP(buf_clear) = {0};
    buf_char(&b, '{');
    for (int i = 99; i >= 10; i--)
        buf_printf(&b, "\"k%d\":%d%s", i, i, i > 10 ? "," : "}");
    CLEANUP(str_freep) char *got = through(b.p, b.len);
    assert_true(str_starts(got, "{\"k10\":10,\"k11\":11,"));
    assert_true(str_ends(got, ",\"k99\":99}"));
}

// Go's encoding/json prints the same.
static void numbers(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.0", "0"},
        {"1.0", "1"},
        {"1e3", "1000"},
        {"0.1", "0.1"},
        {"3.14", "3.14"},
        {"100.25", "100.25"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"0.000001", "0.000001"},
        {"0.0000001", "1e-7"},
        {"1.5e-10", "1.5e-10"},
        {"1e20", "100000000000000000000"},
        {"1e21", "1e+21"},
        {"-1.25e22", "-1.25e+22"},
        {"9007199254740993", "9007199254740993"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "9223372036854776000"},
        {"-9223372036854775809", "-9223372036854776000"},
        {"18446744073709551615", "18446744073709552000"},
        {"123456789012345678901234567890", "1.2345678901234568e+29"},
        {"1e400", "ERROR"},
        {"01", "ERROR"},
        {"1.", "ERROR"},
        {"NaN", "ERROR"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i][0], cases[i][1]);
}

static void large_integers_anywhere(void **s)
{
    (void)s;
    check("{\"a\":[9223372036854775808,\"9223372036854775808\",1234567890123456789],"
          "\"b\\\"\":18446744073709551616,\"c\":1.5e3}",
          "{\"a\":[9223372036854776000,\"9223372036854775808\",1234567890123456789],"
          "\"b\\\"\":18446744073709552000,\"c\":1500}");
    // Many of them cost one more pass, not one pass each.
    struct buf b CLEANUP(buf_clear) = {0};
    buf_char(&b, '[');
    for (int i = 0; i < 200000; i++)
        buf_str(&b, "99999999999999999999,");
    buf_str(&b, "1]");
    CLEANUP(str_freep) char *got = through(b.p, b.len);
    assert_true(str_starts(got, "[100000000000000000000,"));
}

// What the API server's YAML reader refuses or changes when it stands raw.
static void strings(void **s)
{
    (void)s;
    check("\"\\u0000\\b\\f\\n\\r\\t\\u001f\"", "\"\\u0000\\u0008\\u000c\\n\\r\\t\\u001f\"");
    check("\"\\/\"", "\"/\"");
    check("\"\\\"\\\\\"", "\"\\\"\\\\\"");
    check("\"\x7f\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0\"", "\"\\u007f\\u0080\\u0085\\u009f\xc2\xa0\"");
    check("\"\\u2028\\u2029\\ufeff\\ufffe\\uffff\"", "\"\\u2028\\u2029\\ufeff\\ufffe\\uffff\"");
    check("\"\\u00e9\\ud83d\\ude00<&>\"", "\"\xc3\xa9\xf0\x9f\x98\x80<&>\"");
    check("\"\\ud83d\"", "ERROR");
    check("\"\xff\"", "ERROR");
    check("{\"\\u2028\":1}", "{\"\\u2028\":1}");
}

static void malformed(void **s)
{
    (void)s;
    static const char *const cases[] = {"",
                                        " ",
                                        "{",
                                        "[1,]",
                                        "{} {}",
                                        "{\"a\"}",
                                        "\xef\xbb\xbf{}",
                                        "nul",
                                        "'a'",
                                        "{\"\\u0000\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i], "ERROR");
    // What it stumbled over is not repeated: it may be a secret.
    json_t *v = NULL;
    struct err err = {0};
    assert_false(canon_read("{\"password\": hunter2}", 21, &v, &err));
    assert_null(strstr(err.msg, "hunter2"));
    err_clear(&err);
}

static void depth(void **s)
{
    (void)s;
    for (size_t n = 500; n <= 3000; n += 2500) {
        struct buf b CLEANUP(buf_clear) = {0};
        for (size_t i = 0; i < n; i++)
            buf_char(&b, '[');
        for (size_t i = 0; i < n; i++)
            buf_char(&b, ']');
        CLEANUP(str_freep) char *got = through(b.p, b.len);
        assert_true((strcmp(got, "ERROR") != 0) == (n == 500));
    }
}

static void one_after_another(void **s)
{
    (void)s;
    const char *text = "{\"a\":1,\n\"a\":2}\n {\"b\":9223372036854775808} 7 x";
    struct err err = {0};
    size_t at = 0;
    size_t used = 0;
    unsigned line = 9;
    json_t *v = NULL;
    assert_true(canon_read_next(text, strlen(text), &used, &line, &v, &err));
    assert_int_equal(used, 14);
    assert_int_equal(line, 2);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 2);
    json_decref(v);
    at += used;
    assert_true(canon_read_next(text + at, strlen(text) - at, &used, &line, &v, &err));
    assert_int_equal(line, 0);
    assert_true(str_starts(text + at + used, " 7 x"));
    json_decref(v);
    at += used;
    assert_true(canon_read_some(text + at, strlen(text) - at, &used, &v, &err));
    assert_int_equal(json_integer_value(v), 7);
    json_decref(v);
    at += used;
    assert_false(canon_read_some(text + at, strlen(text) - at, &used, &v, &err));
    err_clear(&err);
}

// Integers beyond int64 one after another: each value uses its own bytes only.
static void big_ones_one_after_another(void **s)
{
    (void)s;
    const char *text = "99999999999999999999 -99999999999999999999 [99999999999999999999]";
    static const size_t ends[] = {20, 42, 65};
    struct err err = {0};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        size_t used = 0;
        json_t *v = NULL;
        assert_true(canon_read_some(text + at, strlen(text) - at, &used, &v, &err));
        at += used;
        assert_int_equal(at, ends[i]);
        json_decref(v);
    }
    assert_int_equal(at, strlen(text));
}

static char *without(const char *text, size_t len)
{
    static const struct canon_skip skip[] = {{"big", 0}, {"deep", 2}, {NULL, 0}};
    struct buf b = {0};
    // Without a byte behind it, so that reading on would be seen.
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    canon_without(copy, len, skip, &b);
    free(copy);
    buf_char(&b, 0);
    return b.p;
}

static void members_are_left_out(void **s)
{
    (void)s;
    const char *const cases[][2] = {
        {"{\"big\":{\"a\":[1,\"}\"]},\"c\":1}", "{\"big\":null,\"c\":1}"},
        {"{\"x\":[{\"big\" : [1,[2]] , \"y\":2}]}", "{\"x\":[{\"big\" : null , \"y\":2}]}"},
        {"{\"big\":\"text stays\",\"a\":\"big\"}", "{\"big\":\"text stays\",\"a\":\"big\"}"},
        {"{\"deep\":{\"deep\":{\"deep\":{}}}}", "{\"deep\":{\"deep\":null}}"},
        {"{\"a\\\"big\":{},\"b\":\"\\\\\",\"big\":{\"q\":\"\\\"{\"}}",
         "{\"a\\\"big\":{},\"b\":\"\\\\\",\"big\":null}"},
        {"[\"big\",{\"\":{}}]", "[\"big\",{\"\":{}}]"},
        {"", ""},
        {"}}}{\"big\":[", "}}}{\"big\":null"},
        {"{\"big", "{\"big"},
        {"\"a\\", "\"a\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *got = without(cases[i][0], strlen(cases[i][0]));
        assert_string_equal(got, cases[i][1]);
        for (size_t n = 0; n < strlen(cases[i][0]); n++) {
            CLEANUP(str_freep) char *cut = without(cases[i][0], n);
            assert_true(strlen(cut) <= n + 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_left_out),
        cmocka_unit_test(keys_are_sorted),
        cmocka_unit_test(numbers),
        cmocka_unit_test(large_integers_anywhere),
        cmocka_unit_test(strings),
        cmocka_unit_test(malformed),
        cmocka_unit_test(depth),
        cmocka_unit_test(one_after_another),
        cmocka_unit_test(big_ones_one_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
