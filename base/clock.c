// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "base/str.h"

static int64_t now_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_boot_ms(void)
{
    return now_us(CLOCK_BOOTTIME) / 1000;
}

int64_t clock_unix_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_unix_us(void)
{
    return now_us(CLOCK_REALTIME);
}

static void split(int64_t unix_s, struct tm *tm)
{
    time_t t = (time_t)unix_s;
    gmtime_r(&t, tm);
}

char *clock_rfc3339(int64_t unix_s)
{
    struct tm tm;
    split(unix_s, &tm);
    return str_printf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void clock_pause_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (ms > 0 && nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

char *clock_rfc3339_us(int64_t unix_us)
{
    struct tm tm;
    split(unix_us / 1000000, &tm);
    return str_printf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(unix_us % 1000000));
}

// Whether s begins as the pattern says: '0' stands for a digit, 'T' for T, t or a blank.
static bool begins_like(const char *s, const char *pattern)
{
    for (; *pattern; s++, pattern++) {
        bool ok = *pattern == '0'   ? *s >= '0' && *s <= '9'
                  : *pattern == 'T' ? *s == 'T' || *s == 't' || *s == ' '
                                    : *s == *pattern;
        if (!ok)
            return false;
    }
    return true;
}

static int number(const char *digits, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++)
        v = v * 10 + (digits[i] - '0');
    return v;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

// Milliseconds of a fraction ".123456"; *s moves behind it. -1 for a point without digits.
static int64_t fraction_ms(const char **s)
{
    int64_t ms = 0;
    int64_t unit = 100;
    if (**s != '.')
        return 0;
    const char *digits = ++*s;
    for (; **s >= '0' && **s <= '9'; ++*s) {
        ms += (**s - '0') * unit;
        unit /= 10;
    }
    return *s > digits ? ms : -1;
}

// Seconds of "Z" or "+01:00", which must end the text; false when malformed.
static bool parse_offset(const char *s, int64_t *out_s)
{
    *out_s = 0;
    if (*s == 'Z' || *s == 'z')
        return !s[1];
    if ((*s != '+' && *s != '-') || !begins_like(s + 1, "00:00") || s[6])
        return false;
    int hours = number(s + 1, 2);
    int minutes = number(s + 4, 2);
    *out_s = (hours * 60 + minutes) * (*s == '-' ? -60 : 60);
    return hours < 24 && minutes < 60;
}

int64_t clock_parse_rfc3339_ms(const char *s)
{
    if (!s || !begins_like(s, "0000-00-00T00:00:00"))
        return -1;
    struct tm tm = {.tm_year = number(s, 4),
                    .tm_mon = number(s + 5, 2),
                    .tm_mday = number(s + 8, 2),
                    .tm_hour = number(s + 11, 2),
                    .tm_min = number(s + 14, 2),
                    .tm_sec = number(s + 17, 2)};
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > days_in(tm.tm_year, tm.tm_mon) || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -1;
    s += 19;
    int64_t ms = fraction_ms(&s);
    int64_t offset_s = 0;
    if (ms < 0 || !parse_offset(s, &offset_s))
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return ((int64_t)timegm(&tm) - offset_s) * 1000 + ms;
}

char *clock_duration_text(int64_t ms)
{
    if (ms < 0)
        ms = 0;
    if (ms < 9950)
        return str_printf("%.1f s", (double)ms / 1000);
    long long s = (ms + 500) / 1000;
    if (s < 60)
        return str_printf("%lld s", s);
    if (s < 3600)
        return str_printf("%lld:%02lld", s / 60, s % 60);
    return str_printf("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}
