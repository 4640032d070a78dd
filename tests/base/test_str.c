// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include "base/vec.h"
#include "tests/test.h"

static void compares(void **s)
{
    (void)s;
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq(NULL, ""));
    assert_true(str_eq_empty(NULL, ""));
    assert_false(str_eq_empty("a", NULL));
    assert_true(str_cmp(NULL, "") < 0);
    assert_true(str_cmp("a", NULL) > 0);
    assert_true(str_cmp("a", "b") < 0);
    assert_true(str_starts("abc", "ab") && !str_starts("a", "ab"));
    assert_true(str_ends("abc", "bc") && !str_ends("c", "bc"));
    assert_true(str_is_empty(NULL) && str_is_empty("") && !str_is_empty(" "));
}

static void sets_from_itself(void **s)
{
    (void)s;
    char *slot = str_dup("abcdef");
    str_set(&slot, slot + 3);
    assert_string_equal(slot, "def");
    str_set(&slot, NULL);
    assert_null(slot);
    CLEANUP(str_freep) char *part = str_ndup("abc", 99);
    assert_string_equal(part, "abc");
}

static void numbers(void **s)
{
    (void)s;
    long long v = 0;
    assert_true(str_to_int("-5", -5, 5, &v));
    assert_int_equal(v, -5);
    assert_false(str_to_int("6", -5, 5, &v));
    assert_false(str_to_int("5x", -5, 5, &v));
    assert_false(str_to_int(" 5", -5, 5, &v));
    assert_false(str_to_int("", -5, 5, &v));
    assert_false(str_to_int(NULL, -5, 5, &v));
    assert_false(str_to_int("99999999999999999999", INT64_MIN, INT64_MAX, &v));
    assert_int_equal(v, -5);
}

static void durations(void **s)
{
    (void)s;
    const struct {
        const char *text;
        int64_t ms; // -1: refused
    } rows[] = {
        {"1h30m", 5400000}, {"500ms", 500}, {"10", 10000},
        {"0", 0},           {"1.5s", 1500}, {"0.29s", 290},
        {".5s", 500},       {"250us", 0},   {"1d", 86400000},
        {"2µs", 0},         {"soon", -1},   {"", -1},
        {"-1s", -1},        {"1x", -1},     {"1e3s", -1},
        {"0x10s", -1},      {"1m3", -1},    {".s", -1},
        {" 1s", -1},        {"infs", -1},   {"99999999999999999999999h", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -1;
        bool ok = str_to_duration_ms(rows[i].text, &ms);
        if (ok != (rows[i].ms >= 0) || ms != rows[i].ms)
            fail_msg("%s gives %lld", rows[i].text, (long long)ms);
    }
    int64_t ms = -1;
    assert_false(str_to_duration_ms(NULL, &ms));
}

static void lists(void **s)
{
    (void)s;
    struct strv l = {0};
    strv_split(&l, "c,,a,b", ',');
    assert_int_equal(l.len, 4);
    assert_string_equal(l.v[1], "");
    strv_sort(&l);
    assert_string_equal(l.v[0], "");
    assert_string_equal(l.v[3], "c");
    assert_true(strv_has(&l, "b"));
    assert_false(strv_has(&l, "d"));
    strv_clear(&l);
    assert_int_equal(l.len, 0);
    strv_split(&l, "", ',');
    assert_int_equal(l.len, 1);
    strv_clear(&l);
    strv_sort(&l);
}

static void buffers(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.len, 2000);
    buf_append(&b, "\0x", 2);
    assert_int_equal(b.len, 2002);
    assert_int_equal(b.p[2001], 'x');
    assert_int_equal(b.p[2002], '\0');
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    buf_char(&b, 'a');
    buf_str(&b, "bc");
    CLEANUP(str_freep) char *t = buf_take(&b);
    assert_string_equal(t, "abc");
    assert_null(b.p);
    CLEANUP(str_freep) char *nothing = buf_take(&b);
    assert_string_equal(nothing, "");
}

// RFC 4648, section 10.
static void base64_vectors(void **s)
{
    (void)s;
    const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf e CLEANUP(buf_clear) = {0};
        struct buf d CLEANUP(buf_clear) = {0};
        buf_base64(&e, rows[i][0], strlen(rows[i][0]));
        buf_str(&e, "");
        assert_string_equal(e.p, rows[i][1]);
        assert_true(base64_decode(e.p, e.len, &d));
        assert_int_equal(d.len, strlen(rows[i][0]));
        assert_memory_equal(d.len ? d.p : "", rows[i][0], d.len);
    }
}

static void base64_bytes_and_refusals(void **s)
{
    (void)s;
    unsigned char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    struct buf e CLEANUP(buf_clear) = {0};
    struct buf d CLEANUP(buf_clear) = {0};
    buf_base64(&e, all, sizeof(all));
    assert_true(base64_decode(e.p, e.len, &d));
    assert_int_equal(d.len, sizeof(all));
    assert_memory_equal(d.p, all, sizeof(all));
    buf_reset(&d);
    assert_true(base64_decode("Zm\n9v\r\n", 7, &d));
    assert_string_equal(d.p, "foo");
    const char *const bad[] = {"Z", "Zg=x", "Zg===", "Z!==", "Zm9vY", "Zg=", "=Zg="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (base64_decode(bad[i], strlen(bad[i]), &d))
            fail_msg("%s is taken", bad[i]);
    assert_false(base64_decode("Zm\0v", 4, &d));
}

static void vectors(void **s)
{
    (void)s;
    VEC(int) v = {0};
    for (int i = 0; i < 100; i++)
        *vec_push(&v) += i; // a new element is zero
    assert_int_equal(v.len, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(v.v[i], i);
    vec_clear(&v);
    assert_null(v.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),       cmocka_unit_test(sets_from_itself),
        cmocka_unit_test(numbers),        cmocka_unit_test(durations),
        cmocka_unit_test(lists),          cmocka_unit_test(buffers),
        cmocka_unit_test(base64_vectors), cmocka_unit_test(base64_bytes_and_refusals),
        cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
