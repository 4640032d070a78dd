// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <unistd.h>

#include "tests/test.h"

static void moves_forward(void **s)
{
    (void)s;
    int64_t us = clock_mono_us();
    int64_t ms = clock_mono_ms();
    usleep(2000);
    assert_true(clock_mono_us() - us >= 2000);
    assert_true(clock_mono_ms() - ms >= 1);
    int64_t unix_ms = clock_unix_ms();
    assert_true(unix_ms > 1600000000000);
    assert_in_range(clock_unix_us() / 1000 - unix_ms, 0, 5000);
}

static void writes(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *a = clock_rfc3339(1795510800);
    assert_string_equal(a, "2026-11-24T09:00:00Z");
    CLEANUP(str_freep) char *b = clock_rfc3339_us(1795510800123456);
    assert_string_equal(b, "2026-11-24T09:00:00.123456Z");
    CLEANUP(str_freep) char *c = clock_rfc3339(0);
    assert_string_equal(c, "1970-01-01T00:00:00Z");
}

static void reads(void **s)
{
    (void)s;
    const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:01.500Z", 1500},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T18:30:00-05:30", 0},
        {"2026-11-24T09:00:00.123456789z", 1795510800123},
        {"2026-11-24t09:00:00Z", 1795510800000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2023-02-29T00:00:00Z", -1},
        {"2026-04-31T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-01-00T00:00:00Z", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01T00:60:00Z", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T00:00:00.Z", -1},
        {"2026-01-01T00:00:00Zx", -1},
        {"2026-01-01T00:00:00+1:00", -1},
        {"2026-01-01T00:00:00+01:00x", -1},
        {"2026-01-01T00:00:00+24:00", -1},
        {" 026-01-01T00:00:00Z", -1},
        {"2026-1-01T00:00:00Z", -1},
        {"1970-01-01", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = clock_parse_rfc3339_ms(rows[i].text);
        if (got != rows[i].ms)
            fail_msg("%s gives %lld", rows[i].text, (long long)got);
    }
    assert_int_equal(clock_parse_rfc3339_ms(NULL), -1);
}

static void reads_what_it_writes(void **s)
{
    (void)s;
    for (int64_t t = 0; t < 4000000000; t += 86399 * 17 + 1) {
        CLEANUP(str_freep) char *text = clock_rfc3339(t);
        assert_int_equal(clock_parse_rfc3339_ms(text), t * 1000);
    }
}

static void durations(void **s)
{
    (void)s;
    const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {-5, "0.0 s"},        {0, "0.0 s"},     {420, "0.4 s"},     {9300, "9.3 s"},
        {9949, "9.9 s"},      {9950, "10 s"},   {12000, "12 s"},    {59499, "59 s"},
        {59500, "1:00"},      {300000, "5:00"}, {3599499, "59:59"}, {3599500, "1:00:00"},
        {3723000, "1:02:03"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *t = clock_duration_text(rows[i].ms);
        assert_string_equal(t, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_forward), cmocka_unit_test(writes),
        cmocka_unit_test(reads),         cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
