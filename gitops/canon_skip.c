// SPDX-License-Identifier: Apache-2.0
//
// What nobody will look at need not be parsed: a definition's schemas and managedFields are most of
// its bytes.
#include <string.h>

#include "gitops/canon.h"

struct scan {
    const char *p;
    size_t len;
};

// Behind the string that begins at `at`; len when it does not end.
static size_t string_end(const struct scan *s, size_t at)
{
    for (size_t i = at + 1; i < s->len; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"')
            return i + 1;
    }
    return s->len;
}

static size_t blanks_end(const struct scan *s, size_t at)
{
    while (at < s->len &&
           (s->p[at] == ' ' || s->p[at] == '\t' || s->p[at] == '\n' || s->p[at] == '\r'))
        at++;
    return at;
}

// Behind the object or list that begins at `at`.
static size_t nested_end(const struct scan *s, size_t at)
{
    size_t depth = 0;
    for (size_t i = at; i < s->len; i++) {
        char c = s->p[i];
        if (c == '"')
            i = string_end(s, i) - 1;
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return s->len;
}

static bool is_skipped(const struct canon_skip *skip, const char *key, size_t len, unsigned depth)
{
    for (; skip->name; skip++)
        if ((!skip->depth || skip->depth == depth) && strlen(skip->name) == len &&
            !memcmp(skip->name, key, len))
            return true;
    return false;
}

void canon_without(const char *p, size_t len, const struct canon_skip *skip, struct buf *out)
{
    struct scan s = {p, len};
    unsigned depth = 0;
    size_t done = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '{')
            depth++;
        else if (p[i] == '}')
            depth--;
        if (p[i] != '"')
            continue;
        size_t end = string_end(&s, i);
        size_t colon = blanks_end(&s, end);
        size_t value = colon < len && p[colon] == ':' ? blanks_end(&s, colon + 1) : len;
        bool is_nested = value < len && (p[value] == '{' || p[value] == '[');
        if (is_nested && end > i + 1 && is_skipped(skip, p + i + 1, end - i - 2, depth)) {
            buf_append(out, p + done, value - done);
            buf_append(out, "null", 4);
            done = end = nested_end(&s, value);
        }
        i = end - 1;
    }
    buf_append(out, p + done, len - done);
}
