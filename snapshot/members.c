// SPDX-License-Identifier: Apache-2.0
#include "snapshot/members.h"

#include <string.h>

#define JSON_MAX_DEPTH 32
#define JSON_MAX_STRING (64U << 10) // as written: escapes count

struct members members_of(const json_t *o, struct err *err)
{
    return (struct members){.o = o, .err = err};
}

bool member_bad(struct members *m, const char *key, const char *what)
{
    if (!m->is_bad)
        err_set(m->err, ERR_CORRUPT, "%s is %s", key, what);
    m->is_bad = true;
    return false;
}

uint64_t member_uint(struct members *m, const char *key, uint64_t min, uint64_t max)
{
    const json_t *v = json_object_get(m->o, key);
    if (m->is_bad)
        return 0;
    uint64_t n = json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
                                                                  : UINT64_MAX;
    if (n < min || n > max) {
        member_bad(m, key, v ? "not a number in its bounds" : "missing");
        return 0;
    }
    return n;
}

bool member_bool(struct members *m, const char *key)
{
    const json_t *v = json_object_get(m->o, key);
    if (!json_is_boolean(v))
        return member_bad(m, key, v ? "not true or false" : "missing");
    return json_is_true(v);
}

// No control characters, C1 ones included: such texts reach terminals.
static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0))
            return false;
    }
    return true;
}

const char *member_text_or_null(struct members *m, const char *key, size_t max)
{
    const json_t *v = json_object_get(m->o, key);
    if (m->is_bad || !v || json_is_null(v))
        return NULL;
    size_t len = json_string_length(v);
    if (!json_is_string(v) || len == 0 || len > max || !is_plain(json_string_value(v), len)) {
        member_bad(m, key, "not a text in its bounds");
        return NULL;
    }
    return json_string_value(v);
}

const char *member_text(struct members *m, const char *key, size_t max)
{
    const char *s = member_text_or_null(m, key, max);
    if (!s)
        member_bad(m, key, "missing");
    return s ? s : "";
}

size_t member_choice(struct members *m, const char *key, const char *const *names, size_t n)
{
    const char *s = json_string_value(json_object_get(m->o, key));
    for (size_t i = 0; s && i < n; i++)
        if (!strcmp(s, names[i]))
            return i;
    member_bad(m, key, s ? "not one that is known" : "missing");
    return 0;
}

bool hex_is_lower(const char *s, size_t len)
{
    return strspn(s, "0123456789abcdef") == 2 * len && s[2 * len] == '\0';
}

bool hex_decode_lower(const char *s, void *out, size_t len)
{
    return s && hex_is_lower(s, len) && hex_decode(s, out, len);
}

bool member_hex_or_null(struct members *m, const char *key, void *out, size_t len)
{
    const json_t *v = json_object_get(m->o, key);
    memset(out, 0, len);
    if (m->is_bad || !v || json_is_null(v))
        return false;
    if (!hex_decode_lower(json_string_value(v), out, len))
        return member_bad(m, key, "not hex of its length");
    return true;
}

void member_hex(struct members *m, const char *key, void *out, size_t len)
{
    if (!member_hex_or_null(m, key, out, len))
        member_bad(m, key, "missing");
}

const json_t *member_array(struct members *m, const char *key, size_t max)
{
    const json_t *v = json_object_get(m->o, key);
    if (json_is_array(v) && json_array_size(v) <= max)
        return v;
    member_bad(m, key, !v ? "missing" : json_is_array(v) ? "too long" : "not a list");
    return NULL;
}

const json_t *member_object(struct members *m, const char *key)
{
    const json_t *v = json_object_get(m->o, key);
    if (json_is_object(v))
        return v;
    member_bad(m, key, v ? "not an object" : "missing");
    return NULL;
}

// What jansson does not bound: nesting, and the length of strings.
static bool is_bounded(const char *p, size_t len)
{
    unsigned depth = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '{' || p[i] == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return false;
        } else if ((p[i] == '}' || p[i] == ']') && depth) {
            depth--;
        } else if (p[i] == '"') {
            size_t from = ++i;
            while (i < len && p[i] != '"')
                i += p[i] == '\\' ? 2 : 1;
            if (i - from > JSON_MAX_STRING)
                return false;
        }
    }
    return true;
}

bool bounded_json(const void *p, size_t len, json_t **out, struct err *err)
{
    if (!is_bounded(p, len))
        return err_set(err, ERR_CORRUPT, "JSON deeper than %d or with a string above %u bytes",
                       JSON_MAX_DEPTH, JSON_MAX_STRING);
    json_t *v = json_loadb(p, len, JSON_REJECT_DUPLICATES, NULL);
    if (!v)
        return err_set(err, ERR_CORRUPT, "not JSON"); // jansson would quote what may be a secret
    *out = v;
    return true;
}
