// SPDX-License-Identifier: Apache-2.0
#include "gitops/regex.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

#include "base/str.h"

#define MAX_PATTERN 512
#define MAX_REPEAT 100 // of {n,m}: the compiled form grows with it
#define MAX_REPEATS 3

// One escape of the Perl-like syntax in that of POSIX; false when it has no counterpart.
static bool add_escape(struct buf *out, char c, bool in_class)
{
    static const struct {
        char c;
        const char *plain, *in_class;
    } classes[] = {{'d', "[0-9]", "0-9"},
                   {'D', "[^0-9]", NULL},
                   {'w', "[A-Za-z0-9_]", "A-Za-z0-9_"},
                   {'W', "[^A-Za-z0-9_]", NULL},
                   {'s', "[[:space:]]", "[:space:]"},
                   {'S', "[^[:space:]]", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (classes[i].c != c)
            continue;
        const char *s = in_class ? classes[i].in_class : classes[i].plain;
        if (s)
            buf_str(out, s);
        return s != NULL;
    }
    if (isalnum((unsigned char)c) || in_class)
        return false; // \1, \b, \p{...}; in a class a backslash stands for itself
    buf_char(out, '\\');
    buf_char(out, c);
    return true;
}

static bool check_repeat(const char *p, unsigned *repeats)
{
    unsigned n = 0;
    for (p++; *p && *p != '}'; p++) {
        if (*p == ',')
            n = 0;
        else if (isdigit((unsigned char)*p))
            n = n * 10 + (unsigned)(*p - '0');
        else
            return false;
        if (n > MAX_REPEAT)
            return false;
    }
    return *p && ++*repeats <= MAX_REPEATS;
}

static bool translate(const char *pattern, struct buf *out)
{
    unsigned repeats = 0;
    bool in_class = false;
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\') {
            if (!*++p || !add_escape(out, *p, in_class))
                return false;
            continue;
        }
        if (!in_class && str_starts(p, "(?:")) {
            buf_char(out, '(');
            p += 2;
            continue;
        }
        if (!in_class && str_starts(p, "(?"))
            return false;
        if (!in_class && *p == '{' && !check_repeat(p, &repeats))
            return false;
        // Lazy and possessive forms match the same texts, but POSIX reads them otherwise.
        if (!in_class && strchr("*+?}", *p) && p[1] && strchr("+?", p[1]))
            return false;
        if (*p == '[' && !in_class) {
            in_class = true;
            buf_char(out, '[');
            if (p[1] == '^')
                buf_char(out, *++p);
            if (p[1] == ']')
                buf_char(out, *++p);
            continue;
        }
        if (*p == ']')
            in_class = false;
        buf_char(out, *p);
    }
    return !in_class;
}

bool regex_match(const char *pattern, const char *text)
{
    struct buf posix CLEANUP(buf_clear) = {0};
    regex_t r;
    buf_str(&posix, "");
    if (strlen(pattern) > MAX_PATTERN || !translate(pattern, &posix) ||
        regcomp(&r, posix.p ? posix.p : "", REG_EXTENDED | REG_NOSUB))
        return false;
    bool yes = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return yes;
}
