// SPDX-License-Identifier: Apache-2.0
#include "gitops/canon.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define MAX_DEPTH 512

// Characters that the server's YAML reader refuses or changes when they stand raw.
static bool needs_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           c == 0xfffe || c == 0xffff;
}

static unsigned utf8_len(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static uint32_t utf8_code(const unsigned char *s, unsigned n)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = s[0] & mask[n];
    for (unsigned i = 1; i < n; i++)
        c = c << 6 | (s[i] & 0x3f);
    return c;
}

static void write_escape(uint32_t c, struct buf *out)
{
    switch (c) {
    case '\n':
        buf_append(out, "\\n", 2);
        return;
    case '\t':
        buf_append(out, "\\t", 2);
        return;
    case '\r':
        buf_append(out, "\\r", 2);
        return;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

static void write_string(const char *s, size_t len, struct buf *out)
{
    buf_char(out, '"');
    size_t done = 0;
    for (size_t i = 0; i < len;) {
        unsigned char b = (unsigned char)s[i];
        if (b >= 0x20 && b < 0x7f && b != '"' && b != '\\') {
            i++;
            continue;
        }
        unsigned n = utf8_len(b);
        if (i + n > len)
            n = 1;
        uint32_t c = utf8_code((const unsigned char *)s + i, n);
        if (b == '"' || b == '\\' || needs_escape(c)) {
            buf_append(out, s + done, i - done);
            if (b == '"' || b == '\\') {
                char pair[2] = {'\\', (char)b};
                buf_append(out, pair, 2);
            } else {
                write_escape(c, out);
            }
            done = i + n;
        }
        i += n;
    }
    buf_append(out, s + done, len - done);
    buf_char(out, '"');
}

// The shortest decimal that reads back as the same double, in Go's layout.
static void write_real(double v, struct buf *out)
{
    char e[40];
    int prec = 0;
    do
        snprintf(e, sizeof(e), "%.*e", prec, v);
    while (strtod(e, NULL) != v && ++prec < 17);
    double a = fabs(v);
    if (a != 0 && (a < 1e-6 || a >= 1e21)) {
        // Go writes e-7, not e-07.
        char *x = strchr(e, 'e');
        buf_append(out, e, (size_t)(x - e) + 2);
        const char *digits = x + 2;
        while (*digits == '0' && digits[1])
            digits++;
        buf_str(out, digits);
        return;
    }
    int exp = atoi(strchr(e, 'e') + 1);
    int decimals = prec - exp;
    if (decimals >= 0) {
        buf_printf(out, "%.*f", decimals, v);
        return;
    }
    // More digits before the point than the double has: Go fills up with zeros.
    for (const char *d = e; *d != 'e'; d++)
        if (*d != '.')
            buf_char(out, *d);
    for (; decimals < 0; decimals++)
        buf_char(out, '0');
}

struct pair {
    const char *key;
    size_t len;
    const json_t *value;
};

static int cmp_pair(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->key, y->key, n);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static void write_object(const json_t *v, struct buf *out)
{
    struct pair few[32];
    size_t n = json_object_size(v);
    struct pair *pairs = n <= ARRAY_LEN(few) ? few : mem_realloc(NULL, n, sizeof(*pairs));
    size_t i = 0;
    // jansson's iterators want a mutable object although they change nothing.
    json_t *obj = (json_t *)v;
    for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it))
        pairs[i++] = (struct pair){json_object_iter_key(it), json_object_iter_key_len(it),
                                   json_object_iter_value(it)};
    qsort(pairs, n, sizeof(*pairs), cmp_pair);
    buf_char(out, '{');
    for (i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_string(pairs[i].key, pairs[i].len, out);
        buf_char(out, ':');
        canon_write(pairs[i].value, out);
    }
    buf_char(out, '}');
    if (pairs != few)
        free(pairs);
}

void canon_write(const json_t *v, struct buf *out)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        write_object(v, out);
        break;
    case JSON_ARRAY:
        buf_char(out, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (i)
                buf_char(out, ',');
            canon_write(json_array_get(v, i), out);
        }
        buf_char(out, ']');
        break;
    case JSON_STRING:
        write_string(json_string_value(v), json_string_length(v), out);
        break;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        write_real(json_real_value(v), out);
        break;
    case JSON_TRUE:
        buf_append(out, "true", 4);
        break;
    case JSON_FALSE:
        buf_append(out, "false", 5);
        break;
    case JSON_NULL:
        buf_append(out, "null", 4);
        break;
    }
}

static json_t *integral(const json_t *v)
{
    double d = json_real_value(v);
    if (d != floor(d) || d >= 9223372036854775808.0 || d <= -9223372036854775808.0)
        return NULL;
    return json_integer((json_int_t)d);
}

// Integral reals become integers; false when deeper than MAX_DEPTH.
static bool normalize(json_t *v, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return false;
    if (json_is_object(v)) {
        for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
            json_t *x = json_object_iter_value(it);
            json_t *n = json_is_real(x) ? integral(x) : NULL;
            if (n)
                json_object_iter_set_new(v, it, n);
            else if (!normalize(x, depth + 1))
                return false;
        }
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            json_t *x = json_array_get(v, i);
            json_t *n = json_is_real(x) ? integral(x) : NULL;
            if (n)
                json_array_set_new(v, i, n);
            else if (!normalize(x, depth + 1))
                return false;
        }
    }
    return true;
}

// Is it an integer that does not fit int64?
static bool is_oversized(const char *number, size_t len)
{
    char t[24];
    if (len < 19)
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr(".eE", number[i]))
            return false;
    if (len >= sizeof(t))
        return true;
    memcpy(t, number, len);
    t[len] = 0;
    errno = 0;
    strtoll(t, NULL, 10);
    return errno == ERANGE;
}

// The end of the string that begins at `at`.
static size_t skip_string(const char *p, size_t len, size_t at)
{
    for (at++; at < len && p[at] != '"'; at++)
        at += p[at] == '\\';
    return at < len ? at + 1 : len;
}

// Copies the first value of a text with "e0" behind every integer outside int64, for which jansson
// would refuse the whole document. Returns how many were found.
static size_t copy_oversized_as_reals(const char *p, size_t len, struct buf *out)
{
    size_t found = 0;
    size_t depth = 0;
    size_t done = 0;
    for (size_t i = 0; i < len;) {
        bool ends = false;
        if (p[i] == '"') {
            i = skip_string(p, len, i);
            ends = true;
        } else if (p[i] == '-' || (p[i] >= '0' && p[i] <= '9')) {
            size_t start = i;
            while (i < len && p[i] && strchr("+-.eE0123456789", p[i]))
                i++;
            ends = true;
            if (is_oversized(p + start, i - start)) {
                buf_append(out, p + done, i - done);
                buf_append(out, "e0", 2);
                done = i;
                found++;
            }
        } else {
            ends = p[i] == '}' || p[i] == ']';
            depth += p[i] == '{' || p[i] == '[';
            depth -= ends && depth > 0;
            i++;
        }
        if (ends && depth == 0)
            len = i; // what follows is the next value's
    }
    buf_append(out, p + done, len - done);
    return found;
}

// jansson quotes what it stumbled over, and that may be a secret.
static bool not_json(const json_error_t *e, struct err *err)
{
    const char *near = strstr(e->text, " near '");
    int n = near ? (int)(near - e->text) : (int)strlen(e->text);
    return err_set(err, ERR_INVALID, "not JSON: line %d: %.*s", e->line, n, e->text);
}

// json_loadb that takes integers of any size; *used is set on success.
static json_t *load(const char *p, size_t len, size_t flags, size_t *used, json_error_t *e)
{
    json_t *v = json_loadb(p, len, flags, e);
    size_t inserted = 0;
    if (!v && json_error_code(e) == json_error_numeric_overflow) {
        struct buf fixed CLEANUP(buf_clear) = {0};
        inserted = 2 * copy_oversized_as_reals(p, len, &fixed);
        if (inserted)
            v = json_loadb(fixed.p, fixed.len, flags, e);
    }
    *used = v ? (size_t)e->position - inserted : 0;
    return v;
}

static bool read_value(const char *p, size_t len, size_t flags, size_t *used,
                       unsigned *duplicate_line, json_t **out, struct err *err)
{
    json_error_t e;
    flags |= JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *v = load(p, len, flags | (duplicate_line ? JSON_REJECT_DUPLICATES : 0), used, &e);
    if (!v && duplicate_line && json_error_code(&e) == json_error_duplicate_key) {
        *duplicate_line = (unsigned)e.line;
        v = load(p, len, flags, used, &e);
    }
    if (!v)
        return not_json(&e, err);
    json_t *n = json_is_real(v) ? integral(v) : NULL;
    if (n) {
        json_decref(v);
        v = n;
    }
    if (!normalize(v, 0)) {
        json_decref(v);
        return err_set(err, ERR_INVALID, "nested deeper than %d", MAX_DEPTH);
    }
    *out = v;
    return true;
}

bool canon_read_next(const char *p, size_t len, size_t *used, unsigned *duplicate_line,
                     json_t **out, struct err *err)
{
    *duplicate_line = 0;
    return read_value(p, len, JSON_DISABLE_EOF_CHECK, used, duplicate_line, out, err);
}

bool canon_read_some(const char *p, size_t len, size_t *used, json_t **out, struct err *err)
{
    return read_value(p, len, JSON_DISABLE_EOF_CHECK, used, NULL, out, err);
}

bool canon_read(const char *p, size_t len, json_t **out, struct err *err)
{
    size_t used;
    return read_value(p, len, 0, &used, NULL, out, err);
}
