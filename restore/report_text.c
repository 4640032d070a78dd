// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/clock.h"
#include "restore/report_int.h"

// ---- text ----
// Length and value of the UTF-8 sequence at s; 0: it is none.
static size_t decode(const unsigned char *s, uint32_t *out)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (!n || s[0] > 0xf4)
        return 0;
    uint32_t c = s[0] & mask[n];
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) // (the NUL at the end is none either)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *out = c;
    return n;
}

// Controls, and what turns the direction of a line: shown they would deceive.
static bool is_shown(uint32_t c)
{
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x200e && c != 0x200f && c != 0x61c &&
           c != 0x2028 && c != 0x2029 && !(c >= 0x202a && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

static void put(struct buf *b, const unsigned char *s, size_t n, uint32_t c)
{
    switch (c) {
    case '&':
        buf_str(b, "&amp;");
        return;
    case '<':
        buf_str(b, "&lt;");
        return;
    case '>':
        buf_str(b, "&gt;");
        return;
    case '"':
        buf_str(b, "&quot;");
        return;
    case '\'':
        buf_str(b, "&#39;");
        return;
    default:
        buf_append(b, s, n);
        return;
    }
}

void report_text(struct buf *b, const char *text, size_t max)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t shown = 0;
    for (size_t n; *s; s += n ? n : 1) {
        uint32_t c = 0;
        n = decode(s, &c);
        if (shown++ == max) {
            buf_str(b, "…");
            return;
        }
        if (c == '\n' || c == '\t')
            buf_char(b, ' ');
        else if (!n || !is_shown(c))
            buf_str(b, "\xef\xbf\xbd");
        else
            put(b, s, n, c);
    }
}

size_t report_length(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

// ---- members ----
const char *report_str(const json_t *v, const char *dotted)
{
    const char *s = json_dot_str(v, dotted);
    return s ? s : "";
}

long long report_ms(const json_t *v, const char *dotted)
{
    const json_t *n = json_dot(v, dotted);
    if (!json_is_integer(n))
        return -1;
    long long ms = json_integer_value(n);
    return ms < 0 ? 0 : ms > REPORT_MAX_MS ? REPORT_MAX_MS : ms;
}

// ---- times ----
char *report_duration(long long ms)
{
    if (ms < 9950)
        return str_printf("%lld.%lld s", (ms + 50) / 1000, (ms + 50) / 100 % 10);
    long long s = (ms + 500) / 1000;
    if (s < 60)
        return str_printf("%lld s", s);
    if (s < 3600)
        return str_printf("%lld min %02lld s", s / 60, s % 60);
    return str_printf("%lld h %02lld min", s / 3600, s / 60 % 60);
}

char *report_age(long long s)
{
    if (s < 120)
        return str_printf("%lld s", s);
    if (s < 120 * 60)
        return str_printf("%lld min", s / 60);
    return s < 48 * 3600 ? str_printf("%lld h", s / 3600) : str_printf("%lld d", s / 86400);
}

void report_time(struct buf *b, const char *rfc3339)
{
    long long ms = clock_parse_rfc3339_ms(rfc3339);
    CLEANUP(str_freep) char *at = ms >= 0 ? clock_rfc3339(ms / 1000) : NULL;
    if (at)
        buf_printf(b, "%.10s %.5s UTC", at, at + 11);
    else
        report_text(b, rfc3339, 40);
}
