// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/zone.h"

static int64_t at(const char *text)
{
    return clock_parse_rfc3339_ms(text) / 1000;
}

static void known_zones(void **s)
{
    (void)s;
    static const struct {
        const char *zone, *when;
        int offset_s;
    } cases[] = {
        {"", "2026-07-01T00:00:00Z", 0},
        {"UTC", "2026-07-01T00:00:00Z", 0},
        {"Europe/Berlin", "2026-01-15T12:00:00Z", 3600},
        {"Europe/Berlin", "2026-07-15T12:00:00Z", 7200},
        // The clocks go forward on the last Sunday of March at 01:00 UTC, back in October.
        {"Europe/Berlin", "2026-03-29T00:59:59Z", 3600},
        {"Europe/Berlin", "2026-03-29T01:00:00Z", 7200},
        {"Europe/Berlin", "2026-10-25T00:59:59Z", 7200},
        {"Europe/Berlin", "2026-10-25T01:00:00Z", 3600},
        // Behind what any file lists: by the rule at its end.
        {"Europe/Berlin", "2077-07-15T12:00:00Z", 7200},
        {"America/New_York", "2026-01-15T12:00:00Z", -5 * 3600},
        {"America/New_York", "2088-07-15T12:00:00Z", -4 * 3600},
        {"Australia/Sydney", "2080-01-15T12:00:00Z", 11 * 3600}, // summer is in January
        {"Asia/Kolkata", "2026-07-15T12:00:00Z", 19800},
        {"Asia/Kathmandu", "2060-07-15T12:00:00Z", 20700},
        {"Pacific/Chatham", "2026-01-15T12:00:00Z", 13 * 3600 + 2700},
        {"Etc/GMT+5", "2026-01-15T12:00:00Z", -5 * 3600},
    };
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        int offset = -1;
        if (!zone_offset(cases[i].zone, at(cases[i].when), &offset, &err))
            fail_msg("%s: %s", cases[i].zone, err.msg);
        if (offset != cases[i].offset_s)
            fail_msg("%s at %s: %d", cases[i].zone, cases[i].when, offset);
    }
}

// The C library is asked the same, every eleven days of a century.
static void agrees_with_the_library(void **s)
{
    (void)s;
    static const char *const zones[] = {
        "Europe/London",     "Europe/Dublin",       "America/Sao_Paulo", "America/St_Johns",
        "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Tehran",       "America/Santiago",
        "Antarctica/Troll",  "Asia/Jerusalem"};
    if (access("/usr/share/zoneinfo/Europe/Dublin", R_OK))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        for (time_t t = 0; t < 100LL * 366 * 86400; t += 11 * 86400 + 3601) {
            struct err err = {0};
            struct tm tm;
            int offset = 0;
            localtime_r(&t, &tm);
            if (!zone_offset(zones[i], t, &offset, &err))
                fail_msg("%s: %s", zones[i], err.msg);
            if (offset != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d, not %ld", zones[i], (long long)t, offset, tm.tm_gmtoff);
        }
    }
    unsetenv("TZ");
    tzset();
}

static void no_zones(void **s)
{
    (void)s;
    static const char *const names[] = {"Europe/Nowhere",
                                        "../../etc/passwd",
                                        "/etc/passwd",
                                        "Europe",
                                        "a\nb",
                                        "Europe/Ber lin",
                                        "."};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = {0};
        int offset = 0;
        assert_false(zone_offset(names[i], 0, &offset, &err));
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        err_clear(&err);
    }
}

// Cut anywhere, or with any byte turned over: an answer or an error, nothing else.
static void damaged(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    int offset = 0;
    if (!file_read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20, &b, &err)) {
        err_clear(&err);
        skip();
    }
    for (size_t i = 0; i < b.len; i++) {
        uint8_t *cut = mem_dup(b.p, i);
        if (!zone_offset_in(cut, i, 1782000000, &offset, &err))
            err_clear(&err);
        free(cut);
        uint8_t *other = mem_dup(b.p, b.len);
        other[i] ^= 0xff;
        if (!zone_offset_in(other, b.len, 1782000000, &offset, &err))
            err_clear(&err);
        free(other);
    }
    assert_false(zone_offset_in((const uint8_t *)"", 0, 0, &offset, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_zones),
        cmocka_unit_test(agrees_with_the_library),
        cmocka_unit_test(no_zones),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
