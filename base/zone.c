// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define DATABASE "/usr/share/zoneinfo"
#define MAX_FILE_BYTES (256U << 10) // the largest are 4 KiB
#define MAX_NAME 100
#define HEADER 44
#define DAY_S 86400
#define MAX_HOUR 167 // of a rule's time: RFC 8536 section 3.3.1

struct bytes {
    const uint8_t *p;
    size_t len;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

// ---- the rule behind the last transition: "CET-1CEST,M3.5.0,M10.5.0/3" ----
struct rule_date {
    char kind; // 'M', 'J' or '0': month.week.day, day of the year without and with 29 February
    int month, week, day;
    int at_s; // of local time
};

static bool read_number(const char **s, int max, int *out)
{
    int v = 0;
    if (!isdigit((unsigned char)**s))
        return false;
    for (; isdigit((unsigned char)**s); (*s)++) {
        v = v * 10 + (**s - '0');
        if (v > max)
            return false;
    }
    *out = v;
    return true;
}

// [+-]hh[:mm[:ss]]
static bool read_time(const char **s, int *out)
{
    int sign = **s == '-' ? -1 : 1;
    int h = 0;
    int m = 0;
    int sec = 0;
    *s += **s == '-' || **s == '+';
    if (!read_number(s, MAX_HOUR, &h))
        return false;
    if (**s == ':') {
        (*s)++;
        if (!read_number(s, 59, &m))
            return false;
    }
    if (**s == ':') {
        (*s)++;
        if (!read_number(s, 59, &sec))
            return false;
    }
    *out = sign * (h * 3600 + m * 60 + sec);
    return true;
}

static bool skip_name(const char **s)
{
    const char *start = *s;
    if (**s == '<') {
        *s += strcspn(*s, ">");
        if (!**s)
            return false;
        (*s)++;
        return true;
    }
    while (isalpha((unsigned char)**s))
        (*s)++;
    return *s > start;
}

static bool read_date(const char **s, struct rule_date *d)
{
    *d = (struct rule_date){.kind = '0', .at_s = 2 * 3600};
    if (**s == 'M') {
        d->kind = *(*s)++;
        if (!read_number(s, 12, &d->month) || !d->month || *(*s)++ != '.' ||
            !read_number(s, 5, &d->week) || !d->week || *(*s)++ != '.' ||
            !read_number(s, 6, &d->day))
            return false;
    } else {
        if (**s == 'J')
            d->kind = *(*s)++;
        if (!read_number(s, 365, &d->day) || (d->kind == 'J' && !d->day))
            return false;
    }
    if (**s != '/')
        return true;
    (*s)++;
    return read_time(s, &d->at_s);
}

// Days from 1970-01-01, by the civil calendar.
static int64_t days_of(int64_t y, int month, int day)
{
    y -= month <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t year_of(int64_t days)
{
    int64_t y = 1970 + floor_div(days, 366);
    while (days_of(y + 1, 1, 1) <= days)
        y++;
    return y;
}

static bool is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

// When it is in that year, in local seconds.
static int64_t date_in(const struct rule_date *d, int64_t year)
{
    int64_t day;
    if (d->kind == '0') {
        day = days_of(year, 1, 1) + d->day;
    } else if (d->kind == 'J') {
        day = days_of(year, 1, 1) + d->day - 1 + (is_leap(year) && d->day > 59);
    } else {
        int64_t first = days_of(year, d->month, 1);
        int64_t next = d->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, d->month + 1, 1);
        int64_t weekday = (first % 7 + 7 + 4) % 7; // 1970-01-01 was a Thursday
        day = first + (d->day - weekday + 7) % 7 + 7 * (int64_t)(d->week - 1);
        while (day >= next)
            day -= 7;
    }
    return day * DAY_S + d->at_s;
}

static bool rule_offset(const char *s, int64_t t, int *offset)
{
    int standard = 0;
    int summer = 0;
    struct rule_date from;
    struct rule_date to;
    if (!skip_name(&s) || !read_time(&s, &standard))
        return false;
    standard = -standard; // POSIX counts west of Greenwich
    *offset = standard;
    if (!*s)
        return true;
    if (!skip_name(&s))
        return false;
    summer = standard + 3600;
    if (*s && *s != ',') {
        if (!read_time(&s, &summer))
            return false;
        summer = -summer;
    }
    if (*s++ != ',' || !read_date(&s, &from) || *s++ != ',' || !read_date(&s, &to) || *s)
        return false;
    int64_t year = year_of(floor_div(t + standard, DAY_S));
    int64_t begins = date_in(&from, year) - standard;
    int64_t ends = date_in(&to, year) - summer;
    bool is_summer = begins < ends ? t >= begins && t < ends : t >= begins || t < ends;
    *offset = is_summer ? summer : standard;
    return true;
}

// ---- the file ----
struct counts {
    uint32_t isut, isstd, leap, time, type, chars;
    size_t body; // bytes of the block behind the header
};

static bool read_header(struct bytes b, unsigned width, struct counts *c)
{
    if (b.len < HEADER || memcmp(b.p, "TZif", 4) != 0)
        return false;
    uint32_t *const at[] = {&c->isut, &c->isstd, &c->leap, &c->time, &c->type, &c->chars};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        *at[i] = be32(b.p + 20 + 4 * i);
        if (*at[i] > MAX_FILE_BYTES)
            return false;
    }
    c->body = (size_t)c->time * (width + 1) + (size_t)c->type * 6 + c->chars +
              (size_t)c->leap * (width + 4) + c->isstd + c->isut;
    return c->type > 0 && c->body <= b.len - HEADER;
}

static bool offset_of_type(const uint8_t *types, const struct counts *c, unsigned type, int *out)
{
    if (type >= c->type)
        return false;
    int64_t v = (int32_t)be32(types + (size_t)type * 6);
    *out = (int)v;
    return v > -2 * DAY_S && v < 2 * DAY_S;
}

// The text between two line ends behind the block.
static bool in_footer(struct bytes b, int64_t t, int *offset)
{
    const char *s = (const char *)b.p;
    const char *end = b.len > 1 && *s == '\n' ? memchr(s + 1, '\n', b.len - 1) : NULL;
    if (!end || end - s > MAX_NAME)
        return false;
    CLEANUP(str_freep) char *rule = str_ndup(s + 1, (size_t)(end - s - 1));
    return *rule && rule_offset(rule, t, offset);
}

static bool in_block(struct bytes b, const struct counts *c, unsigned width, int64_t t, int *offset)
{
    const uint8_t *times = b.p + HEADER;
    const uint8_t *which = times + (size_t)c->time * width;
    const uint8_t *types = which + c->time;
    size_t low = 0;
    for (size_t high = c->time; low < high;) {
        size_t mid = low + (high - low) / 2;
        const uint8_t *p = times + mid * width;
        int64_t at = width == 8 ? be64(p) : (int32_t)be32(p);
        if (at <= t)
            low = mid + 1;
        else
            high = mid;
    }
    struct bytes rest = {b.p + HEADER + c->body, b.len - HEADER - c->body};
    if (low == c->time && width == 8 && in_footer(rest, t, offset))
        return true;
    return offset_of_type(types, c, low ? which[low - 1] : 0, offset);
}

bool zone_offset_in(const uint8_t *p, size_t len, int64_t unix_s, int *offset_s, struct err *err)
{
    struct bytes b = {p, len};
    struct counts c = {0};
    unsigned width = 4;
    // Far enough for any schedule, and no arithmetic on it overflows.
    bool ok = unix_s > -(1LL << 40) && unix_s < 1LL << 40 && read_header(b, width, &c);
    if (ok && p[4] >= '2') { // behind the old block the same in 64 bits
        b = (struct bytes){b.p + HEADER + c.body, b.len - HEADER - c.body};
        width = 8;
        ok = read_header(b, width, &c);
    }
    if (!ok || !in_block(b, &c, width, unix_s, offset_s))
        return err_set(err, ERR_INVALID, "not a time zone file");
    return true;
}

// No path out of the database.
static bool is_name(const char *s)
{
    if (strlen(s) > MAX_NAME || !isalpha((unsigned char)*s) || strstr(s, ".."))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("/_+-.", *s))
            return false;
    return true;
}

bool zone_offset(const char *name, int64_t unix_s, int *offset_s, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    *offset_s = 0;
    if (!*name || !strcmp(name, "UTC"))
        return true;
    if (!is_name(name))
        return err_set(err, ERR_NOT_FOUND, "%.100s is no time zone", name);
    CLEANUP(str_freep) char *path = path_join(DATABASE, name);
    if (!file_exists(path) || file_is_dir(path))
        return err_set(err, ERR_NOT_FOUND, "this machine knows no time zone %s", name);
    if (!file_read(path, MAX_FILE_BYTES, &b, err) ||
        !zone_offset_in((const uint8_t *)b.p, b.len, unix_s, offset_s, err))
        return err_wrap(err, "time zone %s", name);
    return true;
}
