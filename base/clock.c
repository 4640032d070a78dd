// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
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

int64_t clock_unix_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
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

char *clock_rfc3339_us(int64_t unix_us)
{
    struct tm tm;
    split(unix_us / 1000000, &tm);
    return str_printf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(unix_us % 1000000));
}

// Milliseconds of a fraction ".123456"; *s moves behind it.
static int64_t fraction_ms(const char **s)
{
    int64_t ms = 0;
    int64_t unit = 100;
    if (**s != '.')
        return 0;
    for (++*s; **s >= '0' && **s <= '9'; ++*s) {
        ms += (**s - '0') * unit;
        unit /= 10;
    }
    return ms;
}

int64_t clock_parse_rfc3339_ms(const char *s)
{
    struct tm tm = {0};
    int n = 0;
    if (!s ||
        sscanf(s, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6 ||
        n < 19)
        return -1;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return -1;
    s += n;
    int64_t ms = fraction_ms(&s);
    int offset_h = 0;
    int offset_m = 0;
    if (*s == '+' || *s == '-') {
        int len = 0;
        if (sscanf(s + 1, "%2d:%2d%n", &offset_h, &offset_m, &len) != 2 || s[1 + len])
            return -1;
    } else if ((*s != 'Z' && *s != 'z') || s[1]) {
        return -1;
    }
    int64_t offset = (offset_h * 60 + offset_m) * (*s == '-' ? -60 : 60);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return ((int64_t)timegm(&tm) - offset) * 1000 + ms;
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
