// SPDX-License-Identifier: Apache-2.0
#include "source/asks.h"

#include <string.h>

#define WORD "APIVersions"
#define WORD_LEN (sizeof(WORD) - 1)

void asks_clear(struct asks *a)
{
    strv_clear(&a->names);
    a->any = false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_path(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$';
}

// The text of the last "{{" before `at` that is not closed there, or NULL: `at` is plain text.
static const char *action_of(const char *text, const char *at)
{
    for (const char *p = at; p - text >= 2; p--) {
        if (p[-1] == '}' && p[-2] == '}')
            return NULL;
        if (p[-1] == '{' && p[-2] == '{')
            return p;
    }
    return NULL;
}

static bool is_comment(const char *action, const char *end)
{
    if (action < end && *action == '-')
        action++;
    while (action < end && is_space(*action))
        action++;
    return end - action >= 2 && action[0] == '/' && action[1] == '*';
}

// `.Has "x"` behind the word.
static char *asked_by_method(const char *p, const char *end)
{
    if (end - p < 4 || strncmp(p, ".Has", 4) != 0)
        return NULL;
    for (p += 4; p < end && is_space(*p); p++)
        ;
    if (p == end || *p != '"')
        return NULL;
    const char *close = memchr(p + 1, '"', (size_t)(end - p - 1));
    return close ? str_ndup(p + 1, (size_t)(close - p - 1)) : NULL;
}

// `has "x" ` before the path that ends in the word.
static char *asked_by_function(const char *action, const char *word)
{
    const char *p = word;
    while (p > action && is_path(p[-1]))
        p--;
    while (p > action && is_space(p[-1]))
        p--;
    if (p == action || p[-1] != '"')
        return NULL;
    const char *close = --p;
    while (p > action && p[-1] != '"')
        p--;
    const char *open = p;
    if (open == action)
        return NULL;
    for (p--; p > action && is_space(p[-1]); p--)
        ;
    bool has = p - action >= 3 && !strncmp(p - 3, "has", 3) &&
               (p - action == 3 || !is_path(p[-4])) && p < open - 1;
    return has ? str_ndup(open, (size_t)(close - open)) : NULL;
}

void asks_find(struct asks *a, const char *text, size_t len)
{
    const char *end = text + len;
    for (const char *p = text; (p = memmem(p, (size_t)(end - p), WORD, WORD_LEN)); p += WORD_LEN) {
        const char *action = action_of(text, p);
        if (!action || is_comment(action, p))
            continue;
        CLEANUP(str_freep) char *name = asked_by_method(p + WORD_LEN, end);
        // A path that goes on behind the word is some other use of it.
        if (!name && (p + WORD_LEN == end || !is_path(p[WORD_LEN])))
            name = asked_by_function(action, p);
        if (!name)
            a->any = true;
        else if (!strv_has(&a->names, name))
            strv_push(&a->names, name);
    }
}
