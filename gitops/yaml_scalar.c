// SPDX-License-Identifier: Apache-2.0
#include "gitops/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define TAG "tag:yaml.org,2002:"

static bool is_tag(const struct scalar *s, const char *name)
{
    return s->tag && str_starts(s->tag, TAG) && !strcmp(s->tag + strlen(TAG), name);
}

// "!": text, whatever it looks like, but still a merge key.
static bool is_nonspecific(const struct scalar *s)
{
    return s->tag && !strcmp(s->tag, "!");
}

// Does the tag ask for one of the types that Go resolves?
static bool is_typed(const struct scalar *s)
{
    return is_tag(s, "bool") || is_tag(s, "int") || is_tag(s, "float") || is_tag(s, "null") ||
           is_tag(s, "timestamp");
}

bool scalar_is_merge(const struct scalar *s)
{
    return s->len == 2 && !memcmp(s->text, "<<", 2) &&
           ((s->is_plain && !s->tag) || is_nonspecific(s) || is_tag(s, "merge"));
}

static bool is_one_of(const char *t, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(t, *list))
            return true;
    return false;
}

static const char *nonfinite_word(const char *t)
{
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const inf[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
    static const char *const minus[] = {"-.inf", "-.Inf", "-.INF", NULL};
    return is_one_of(t, nan)     ? ".nan"
           : is_one_of(t, inf)   ? ".inf"
           : is_one_of(t, minus) ? "-.inf"
                                 : NULL;
}

const char *scalar_nonfinite(const struct scalar *s)
{
    const bool resolves = (s->is_plain && !s->tag) || is_tag(s, "float");
    return resolves && strlen(s->text) == s->len ? nonfinite_word(s->text) : NULL;
}

static json_t *word_value(const char *t, struct err *err)
{
    static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                      "True", "TRUE", "on",  "On",  "ON",  NULL};
    static const char *const no[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                     "False", "FALSE", "off", "Off", "OFF", NULL};
    static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
    if (is_one_of(t, yes))
        return json_true();
    if (is_one_of(t, no))
        return json_false();
    if (is_one_of(t, null))
        return json_null();
    if (nonfinite_word(t))
        err_set(err, ERR_INVALID, "%s is not a JSON number", t);
    return NULL;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

static bool parse_digits(const char *t, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    if (!*t)
        return false;
    for (; *t; t++) {
        unsigned d = (unsigned)digit_of(*t);
        if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    *out = v;
    return true;
}

// Go's ParseInt with base 0, then ParseUint.
static json_t *int_value(const char *t, bool *is_big)
{
    bool has_sign = *t == '-' || *t == '+';
    bool negative = *t == '-';
    const char *d = t + has_sign;
    unsigned base = 10;
    if (d[0] == '0' && d[1]) {
        char c = d[1];
        base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
        d += base == 8 && c != 'o' && c != 'O' ? 1 : 2;
    }
    uint64_t u;
    if (!parse_digits(d, base, &u))
        return NULL;
    if (negative && u <= (uint64_t)INT64_MAX + 1)
        return json_integer((json_int_t)(0 - u));
    if (!negative && u <= INT64_MAX)
        return json_integer((json_int_t)u);
    if (has_sign)
        return NULL; // falls through to float
    *is_big = true;
    return json_real((double)u);
}

static const char *skip_digits(const char *t)
{
    while (*t >= '0' && *t <= '9')
        t++;
    return t;
}

// [-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?
static bool looks_like_float(const char *t)
{
    if (*t == '-' || *t == '+')
        t++;
    const char *e = skip_digits(t);
    if (e == t) {
        if (*e != '.' || skip_digits(e + 1) == e + 1)
            return false;
        e = skip_digits(e + 1);
    } else if (*e == '.') {
        e = skip_digits(e + 1);
    }
    if (*e == 'e' || *e == 'E') {
        e++;
        if (*e == '-' || *e == '+')
            e++;
        const char *x = skip_digits(e);
        if (x == e)
            return false;
        e = x;
    }
    return !*e;
}

static json_t *float_value(const char *t)
{
    if (!looks_like_float(t))
        return NULL;
    double v = strtod(t, NULL);
    if (isinf(v))
        return NULL; // out of range is text
    return json_real(v);
}

// Underscores may stand between digits only (Go's rule for what begins with a dot).
static bool underscores_ok(const char *t)
{
    for (const char *s = t; *s; s++)
        if (*s == '_' && (s == t || digit_of(s[-1]) > 9 || digit_of(s[1]) > 9))
            return false;
    return true;
}

static json_t *number_value(const char *t, bool *is_big)
{
    if (*t == '.' && !underscores_ok(t))
        return NULL;
    char few[64];
    size_t len = strlen(t);
    CLEANUP(str_freep) char *many = len < sizeof(few) ? NULL : mem_alloc(len + 1);
    char *plain = many ? many : few;
    char *p = plain;
    for (const char *s = t; *s; s++)
        if (*s != '_')
            *p++ = *s;
    *p = 0;
    json_t *v = *t == '.' ? NULL : int_value(plain, is_big);
    return v ? v : float_value(plain);
}

static json_t *resolve(const char *t, bool *is_big, struct err *err)
{
    json_t *v = word_value(t, err);
    if (v || err_is_set(err))
        return v;
    if ((*t >= '0' && *t <= '9') || *t == '-' || *t == '+' || *t == '.')
        return number_value(t, is_big);
    return NULL;
}

static json_t *binary_value(const struct scalar *s, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    json_t *v = NULL;
    size_t digits = 0;
    bool blanks = false;
    for (size_t i = 0; i < s->len; i++) {
        digits += s->text[i] != '\n' && s->text[i] != '\r';
        blanks |= s->text[i] == ' ' || s->text[i] == '\t';
    }
    if (!blanks && digits % 4 == 0 && base64_decode(s->text, s->len, &b))
        v = json_stringn(b.p ? b.p : "", b.len);
    if (!v)
        err_set(err, ERR_INVALID, "!!binary is not base64 of UTF-8 text");
    return v;
}

static unsigned digits_at(const char **t, unsigned most)
{
    unsigned v = 0;
    const char *end = *t + most;
    while (*t < end && **t >= '0' && **t <= '9')
        v = v * 10 + (unsigned)(*(*t)++ - '0');
    return v;
}

// "2006-1-2", then nothing, or a time of day as Go's yaml takes it. Only !!timestamp asks.
static bool is_timestamp(const char *t)
{
    const char *s = t;
    unsigned year = digits_at(&s, 4);
    if (s != t + 4 || *s++ != '-')
        return false;
    unsigned month = digits_at(&s, 2);
    if (!month || month > 12 || *s++ != '-')
        return false;
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    unsigned day = digits_at(&s, 2);
    if (!day || day > days[month - 1] + (leap && month == 2 ? 1U : 0U))
        return false;
    if (!*s)
        return true;
    const bool has_zone = *s == 'T' || *s == 't';
    if (!has_zone && *s != ' ')
        return false;
    s++;
    static const unsigned limits[] = {24, 60, 60};
    for (int i = 0; i < 3; i++) {
        const char *start = s;
        if ((i && *s++ != ':') || digits_at(&s, 2) >= limits[i] || s == start + (i > 0))
            return false;
    }
    if ((*s == '.' || *s == ',') && s[1] >= '0' && s[1] <= '9')
        s = skip_digits(s + 1);
    if (!has_zone)
        return !*s;
    if (*s == 'Z')
        return !s[1];
    const char *zone = s++;
    return (*zone == '+' || *zone == '-') && digits_at(&s, 2) < 25 && s == zone + 3 &&
           *s++ == ':' && digits_at(&s, 2) < 61 && s == zone + 6 && !*s;
}

static bool fits_tag(const struct scalar *s, json_t **v, bool is_big)
{
    if (is_tag(s, "int"))
        return json_is_integer(*v) || is_big;
    if (is_tag(s, "bool"))
        return json_is_boolean(*v);
    if (is_tag(s, "null"))
        return json_is_null(*v);
    if (is_tag(s, "timestamp"))
        return json_is_string(*v) && is_timestamp(json_string_value(*v));
    if (json_is_integer(*v)) {
        json_t *r = json_real((double)json_integer_value(*v));
        json_decref(*v);
        *v = r;
    }
    return json_is_real(*v) && !is_big;
}

json_t *scalar_value(const struct scalar *s, bool *is_big, struct err *err)
{
    *is_big = false;
    const bool typed = is_typed(s);
    const bool has_nul = memchr(s->text, 0, s->len) != NULL;
    if (is_tag(s, "binary"))
        return binary_value(s, err);
    json_t *v = NULL;
    if (!has_nul && ((s->is_plain && !s->tag) || typed)) {
        v = resolve(s->text, is_big, err);
        if (err_is_set(err))
            return NULL;
    }
    if (!v)
        v = json_stringn(s->text, s->len);
    if (!v) {
        err_set(err, ERR_INVALID, "text is not UTF-8");
        return NULL;
    }
    if (typed && !fits_tag(s, &v, *is_big)) {
        json_decref(v);
        err_set(err, ERR_INVALID, "a value is not of its type, !!%s", s->tag + strlen(TAG));
        return NULL;
    }
    return v;
}

// Go's %g of a 32-bit float.
static char *float_key(double v)
{
    if (isinf((float)v))
        return str_dup(v < 0 ? "-.inf" : ".inf");
    char e[32];
    int prec = 0;
    do
        snprintf(e, sizeof(e), "%.*e", prec, (double)(float)v);
    while (strtof(e, NULL) != (float)v && ++prec < 9);
    int exp = atoi(strchr(e, 'e') + 1);
    if (exp < -4 || exp >= 6)
        return str_dup(e);
    return str_printf("%.*f", prec - exp > 0 ? prec - exp : 0, (double)(float)v);
}

char *scalar_key(const json_t *v, bool is_big, size_t *len, struct err *err)
{
    char *k = NULL;
    if (json_is_string(v)) {
        *len = json_string_length(v);
        return mem_dup(json_string_value(v), *len);
    }
    if (json_is_boolean(v))
        k = str_dup(json_is_true(v) ? "true" : "false");
    else if (json_is_integer(v))
        k = str_printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v) && !is_big)
        k = float_key(json_real_value(v));
    else
        err_set(err, ERR_INVALID, "a map key must be a string, a number or a boolean");
    *len = k ? strlen(k) : 0;
    return k;
}
