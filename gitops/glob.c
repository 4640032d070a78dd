// SPDX-License-Identifier: Apache-2.0
#include "gitops/glob.h"

#include <string.h>

#include "base/str.h"

// Bounds the work of hostile patterns: each step is one comparison of pattern and text.
#define MAX_STEPS 200000

struct match {
    char sep;            // 0: * takes everything
    bool braces;         // {a,b}
    bool two_stars;      // ** crosses separators
    bool whole_segments; // "**/" also matches nothing
    unsigned steps;
};

static const char *class_end(const char *p)
{
    const char *e = p + 1;
    if (*e == '!' || *e == '^')
        e++;
    if (*e == ']')
        e++;
    while (*e && *e != ']')
        e += *e == '\\' && e[1] ? 2 : 1;
    return *e ? e : NULL;
}

static bool class_has(const char *p, const char *end, char c)
{
    bool negate = p[1] == '!' || p[1] == '^';
    bool found = false;
    for (p += 1 + negate; p < end; p++) {
        char lo = *p == '\\' && p + 1 < end ? *++p : *p;
        if (p + 2 < end && p[1] == '-') {
            found |= c >= lo && c <= p[2];
            p += 2;
        } else {
            found |= c == lo;
        }
    }
    return found != negate;
}

// The closing brace of an alternation, nested ones counted; NULL when there is none.
static const char *brace_end(const char *p)
{
    int depth = 0;
    for (; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '{')
            depth++;
        else if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

static bool match_here(struct match *m, const char *p, const char *s);

static bool match_braces(struct match *m, const char *p, const char *end, const char *s)
{
    const char *start = p + 1;
    int depth = 0;
    for (const char *q = p + 1; q <= end; q++) {
        if (*q == '{')
            depth++;
        if (*q == '}' && q < end)
            depth--;
        if (depth || (*q != ',' && q != end))
            continue;
        CLEANUP(str_freep) char *one = str_printf("%.*s%s", (int)(q - start), start, end + 1);
        if (match_here(m, one, s))
            return true;
        start = q + 1;
    }
    return false;
}

static bool match_star(struct match *m, const char *p, const char *s)
{
    bool crosses = !m->sep;
    while (*p == '*') {
        crosses |= m->two_stars && p[1] == '*';
        p++;
    }
    if (m->whole_segments && crosses && *p == '/' && match_here(m, p + 1, s))
        return true;
    for (;; s++) {
        if (match_here(m, p, s))
            return true;
        if (!*s || (!crosses && *s == m->sep))
            return false;
    }
}

static bool match_here(struct match *m, const char *p, const char *s)
{
    for (; *p; p++, s++) {
        if (++m->steps > MAX_STEPS)
            return false;
        const char *end = NULL;
        if (*p == '*')
            return match_star(m, p, s);
        if (m->braces && *p == '{' && (end = brace_end(p)))
            return match_braces(m, p, end, s);
        if (!*s)
            return false;
        if (*p == '?') {
            if (m->sep && *s == m->sep)
                return false;
        } else if (*p == '[' && (end = class_end(p))) {
            if (!class_has(p, end, *s))
                return false;
            p = end;
        } else {
            if (*p == '\\' && p[1])
                p++;
            if (*p != *s)
                return false;
        }
    }
    return !*s;
}

bool glob_match(enum glob_dialect d, const char *pattern, const char *text)
{
    struct match m = {0};
    if (d == GLOB_GOBWAS_SLASH || d == GLOB_URL || d == GLOB_PATH || d == GLOB_DOUBLESTAR)
        m.sep = '/';
    m.braces = d == GLOB_GOBWAS || d == GLOB_GOBWAS_SLASH || d == GLOB_DOUBLESTAR;
    m.two_stars = d == GLOB_GOBWAS_SLASH || d == GLOB_URL || d == GLOB_DOUBLESTAR;
    m.whole_segments = d == GLOB_DOUBLESTAR;
    return match_here(&m, pattern, text);
}
