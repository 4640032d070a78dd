// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

static NORETURN void out_of_memory(void)
{
    // The one place below cli that prints: nothing else can be done.
    fputs("regrow: out of memory\n", stderr);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_realloc(void *p, size_t n, size_t size)
{
    void *q = reallocarray(p, n ? n : 1, size);
    if (!q)
        out_of_memory();
    return q;
}

void *mem_dup(const void *p, size_t len)
{
    char *q = mem_realloc(NULL, len + 1, 1);
    if (len)
        memcpy(q, p, len);
    q[len] = '\0';
    return q;
}

char *str_dup(const char *s)
{
    return mem_dup(s, strlen(s));
}

char *str_dup_or_null(const char *s)
{
    return s ? str_dup(s) : NULL;
}

char *str_ndup(const char *s, size_t n)
{
    return mem_dup(s, strnlen(s, n));
}

char *str_vprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory();
    return s;
}

char *str_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = str_vprintf(fmt, ap);
    va_end(ap);
    return s;
}

void str_freep(char **p)
{
    free(*p);
    *p = NULL;
}

int str_cmp(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

bool str_eq(const char *a, const char *b)
{
    return str_cmp(a, b) == 0;
}

bool str_eq_empty(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_is_empty(const char *s)
{
    return !s || !*s;
}

void str_set(char **slot, const char *s)
{
    char *copy = str_dup_or_null(s);
    free(*slot);
    *slot = copy;
}

bool str_to_int(const char *s, long long min, long long max, long long *out)
{
    if (!s || !*s || isspace((unsigned char)*s))
        return false;
    char *end = NULL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end || v < min || v > max)
        return false;
    *out = v;
    return true;
}

struct duration_unit {
    const char *name;
    double ms;
};

static const struct duration_unit duration_units[] = {
    {"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3}, {"ms", 1},
    {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}, {"d", 8.64e7},
};

// Reads "1", "1.5" or ".5", whatever the locale; returns what follows, NULL when it is no number.
static const char *read_decimal(const char *s, double *out)
{
    const char *start = s;
    double v = 0;
    while (isdigit((unsigned char)*s))
        v = v * 10 + (*s++ - '0');
    size_t digits = (size_t)(s - start);
    if (*s == '.') {
        double unit = 0.1;
        for (s++; isdigit((unsigned char)*s); s++, digits++, unit /= 10)
            v += (*s - '0') * unit;
    }
    *out = v;
    return digits ? s : NULL;
}

bool str_to_duration_ms(const char *s, int64_t *out_ms)
{
    long long secs = 0;
    if (str_to_int(s, 0, INT64_MAX / 2000, &secs)) {
        *out_ms = secs * 1000;
        return true;
    }
    if (str_is_empty(s))
        return false;
    double total = 0;
    while (*s) {
        double v = 0;
        const char *end = read_decimal(s, &v);
        if (!end)
            return false;
        size_t n = 0;
        while (end[n] && !isdigit((unsigned char)end[n]) && end[n] != '.')
            n++;
        const struct duration_unit *unit = NULL;
        for (size_t i = 0; i < ARRAY_LEN(duration_units); i++)
            if (strlen(duration_units[i].name) == n && !memcmp(duration_units[i].name, end, n))
                unit = &duration_units[i];
        if (!unit)
            return false;
        total += v * unit->ms;
        s = end + n;
    }
    if (!(total >= 0 && total < 1e17))
        return false;
    *out_ms = (int64_t)(total + 1e-6); // 0.29 s is a little less than 290 ms in binary
    return true;
}

void strv_push_take(struct strv *l, char *s)
{
    *vec_push(l) = s;
}

void strv_push(struct strv *l, const char *s)
{
    strv_push_take(l, str_dup(s));
}

bool strv_has(const struct strv *l, const char *s)
{
    for (size_t i = 0; i < l->len; i++)
        if (!strcmp(l->v[i], s))
            return true;
    return false;
}

bool strv_eq(const struct strv *a, const struct strv *b)
{
    bool same = a->len == b->len;
    for (size_t i = 0; same && i < a->len; i++)
        same = !strcmp(a->v[i], b->v[i]);
    return same;
}

static int cmp_strp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *l)
{
    if (l->len)
        qsort(l->v, l->len, sizeof(*l->v), cmp_strp);
}

void strv_clear(struct strv *l)
{
    for (size_t i = 0; i < l->len; i++)
        free(l->v[i]);
    vec_clear(l);
}

void strv_split(struct strv *l, const char *s, char sep)
{
    for (;;) {
        const char *end = strchrnul(s, sep);
        strv_push_take(l, str_ndup(s, (size_t)(end - s)));
        if (!*end)
            return;
        s = end + 1;
    }
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need < more)
        out_of_memory();
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap * 2 : 64;
    b->cap = cap < need ? need : cap;
    b->p = mem_realloc(b->p, b->cap, 1);
    b->p[b->len] = '\0'; // even if nothing follows
}

void buf_append(struct buf *b, const void *p, size_t len)
{
    buf_reserve(b, len);
    if (len)
        memcpy(b->p + b->len, p, len);
    b->len += len;
    b->p[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *s = str_vprintf(fmt, ap);
    va_end(ap);
    buf_str(b, s);
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_base64(struct buf *b, const void *p, size_t len)
{
    const unsigned char *s = p;
    buf_reserve(b, (len + 2) / 3 * 4);
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned v = (unsigned)s[i] << 16;
        v |= left > 1 ? (unsigned)s[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned)s[i + 2] : 0;
        char out[4] = {base64_digits[v >> 18], base64_digits[(v >> 12) & 63],
                       left > 1 ? base64_digits[(v >> 6) & 63] : '=',
                       left > 2 ? base64_digits[v & 63] : '='};
        buf_append(b, out, 4);
    }
}

bool base64_decode(const char *s, size_t len, struct buf *out)
{
    unsigned v = 0;
    int bits = 0;
    size_t digits = 0;
    size_t pads = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (c == '=') {
            pads++;
            continue;
        }
        const char *d = c ? strchr(base64_digits, c) : NULL;
        if (!d || pads)
            return false;
        digits++;
        v = (v << 6) | (unsigned)(d - base64_digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_char(out, (char)(v >> bits));
        }
    }
    return digits % 4 != 1 && pads <= 2 && (pads == 0 || (digits + pads) % 4 == 0);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->p)
        b->p[0] = '\0';
}

void buf_clear(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

char *buf_take(struct buf *b)
{
    if (!b->p)
        return str_dup("");
    char *p = b->p;
    *b = (struct buf){0};
    return p;
}
