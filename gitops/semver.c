// SPDX-License-Identifier: Apache-2.0
//
// Semantic versions and constraints in the syntax of the Go library Masterminds/semver v3, which
// Helm and Argo CD use: "^1.2", "~1.2.3", ">=1 <2 || 3.x", "1.2 - 1.4", wildcards. A pre-release
// satisfies a constraint only when the constraint names a pre-release.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/revision.h"

struct semver {
    uint64_t part[3];
    unsigned n_parts; // how many were written
    bool has_wildcard;
    char pre[128];
};

enum op { OP_EQ, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_TILDE, OP_CARET };

static bool is_ident(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.';
}

static const char *parse_part(const char *s, uint64_t *out)
{
    if (!isdigit((unsigned char)*s))
        return NULL;
    char *end;
    *out = strtoull(s, &end, 10);
    return end - s > 18 ? NULL : end;
}

static const char *parse_suffix(const char *s, struct semver *v)
{
    if (*s == '-') {
        size_t n = 0;
        for (s++; is_ident(*s); s++)
            if (n + 1 < sizeof(v->pre))
                v->pre[n++] = *s;
        if (!n)
            return NULL;
    }
    if (*s == '+') {
        s++;
        if (!is_ident(*s))
            return NULL;
        while (is_ident(*s))
            s++;
    }
    return s;
}

// Parses a version at s, wildcards allowed when `wild`; returns what follows, or NULL.
static const char *parse(const char *s, struct semver *v, bool wild)
{
    *v = (struct semver){0};
    if (*s == 'v')
        s++;
    for (unsigned i = 0; i < 3; i++) {
        if (wild && (*s == 'x' || *s == 'X' || *s == '*')) {
            v->has_wildcard = true;
            s++;
        } else if (v->has_wildcard) {
            return NULL;
        } else {
            s = parse_part(s, &v->part[i]);
            if (!s)
                return NULL;
            v->n_parts = i + 1;
        }
        if (i < 2 && *s == '.')
            s++;
        else
            break;
    }
    return parse_suffix(s, v);
}

bool semver_is_version(const char *s)
{
    struct semver v;
    const char *end = s ? parse(s, &v, false) : NULL;
    return end && !*end;
}

// Compares one dot-separated identifier list (section 11 of semver.org).
static int cmp_pre(const char *a, const char *b)
{
    if (!*a || !*b)
        return (*a == 0) - (*b == 0);
    for (;;) {
        size_t na = strcspn(a, ".");
        size_t nb = strcspn(b, ".");
        bool da = strspn(a, "0123456789") == na;
        bool db = strspn(b, "0123456789") == nb;
        int c;
        if (da && db)
            c = na != nb ? (na > nb) - (na < nb) : strncmp(a, b, na);
        else if (da != db)
            c = da ? -1 : 1;
        else
            c = strncmp(a, b, na < nb ? na : nb) ? strncmp(a, b, na < nb ? na : nb)
                                                 : (na > nb) - (na < nb);
        if (c)
            return c;
        if (!a[na] || !b[nb])
            return (a[na] != 0) - (b[nb] != 0);
        a += na + 1;
        b += nb + 1;
    }
}

static int cmp(const struct semver *a, const struct semver *b)
{
    for (int i = 0; i < 3; i++)
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    return cmp_pre(a->pre, b->pre);
}

int semver_cmp(const char *a, const char *b)
{
    struct semver x;
    struct semver y;
    const char *ea = parse(a, &x, false);
    const char *eb = parse(b, &y, false);
    if (!ea || !eb)
        return ea ? 1 : eb ? -1 : strcmp(a, b);
    return cmp(&x, &y);
}

static const char *parse_op(const char *s, enum op *op)
{
    static const struct {
        const char *text;
        enum op op;
    } ops[] = {{"!=", OP_NE}, {">=", OP_GE},    {"=>", OP_GE},  {"<=", OP_LE},
               {"=<", OP_LE}, {"~>", OP_TILDE}, {"=", OP_EQ},   {">", OP_GT},
               {"<", OP_LT},  {"~", OP_TILDE},  {"^", OP_CARET}};
    *op = OP_EQ;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (str_starts(s, ops[i].text)) {
            *op = ops[i].op;
            return s + strlen(ops[i].text);
        }
    }
    return s;
}

// Same leading parts, as many as were written.
static bool same_prefix(const struct semver *v, const struct semver *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (v->part[i] != c->part[i])
            return false;
    return true;
}

static bool caret_holds(const struct semver *v, const struct semver *c)
{
    if (cmp(v, c) < 0)
        return false;
    // Up to the next change of the leftmost part that is not zero.
    unsigned keep = c->part[0] || c->n_parts <= 1 ? 1 : c->part[1] || c->n_parts <= 2 ? 2 : 3;
    return same_prefix(v, c, c->n_parts ? keep : 0);
}

static bool holds(enum op op, const struct semver *v, const struct semver *c)
{
    bool loose = c->n_parts < 3;
    if (*v->pre && !*c->pre)
        return false;
    if (c->n_parts == 0) // "*", ">=*", ...
        return op != OP_NE && op != OP_GT && op != OP_LT;
    int d = cmp(v, c);
    switch (op) {
    case OP_EQ:
        return loose ? same_prefix(v, c, c->n_parts) : d == 0;
    case OP_NE:
        return loose ? !same_prefix(v, c, c->n_parts) : d != 0;
    case OP_GT:
        return loose ? d > 0 && !same_prefix(v, c, c->n_parts) : d > 0;
    case OP_GE:
        return d >= 0;
    case OP_LT:
        return d < 0;
    case OP_LE:
        return loose ? d <= 0 || same_prefix(v, c, c->n_parts) : d <= 0;
    case OP_TILDE:
        return d >= 0 && same_prefix(v, c, c->n_parts > 1 ? 2 : 1);
    case OP_CARET:
        return caret_holds(v, c);
    }
    return false;
}

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

// "1.2 - 1.4": the upper bound at *s if one follows.
static bool parse_upper(const char **s, struct semver *upper)
{
    const char *p = skip_blanks(*s);
    if (p == *s || *p != '-' || (p[1] != ' ' && p[1] != '\t'))
        return false;
    const char *end = parse(skip_blanks(p + 1), upper, true);
    if (!end)
        return false;
    *s = end;
    return true;
}

// One alternative: constraints joined by comma or blanks. v NULL: only check the syntax.
static bool eval_all(const char **text, const struct semver *v, bool *ok)
{
    const char *s = skip_blanks(*text);
    bool all = true;
    bool any = false;
    while (*s && *s != '|') {
        enum op op;
        struct semver c;
        struct semver upper;
        s = skip_blanks(parse_op(s, &op));
        const char *end = parse(s, &c, true);
        if (!end)
            return *ok = false;
        s = end;
        any = true;
        if (op == OP_EQ && parse_upper(&s, &upper)) {
            if (v)
                all &= holds(OP_GE, v, &c) && holds(OP_LE, v, &upper);
        } else if (v) {
            all &= holds(op, v, &c);
        }
        const char *next = skip_blanks(s);
        if (*next == ',')
            next = skip_blanks(next + 1);
        else if (*next && *next != '|' && next == s)
            return *ok = false;
        s = next;
    }
    *text = s;
    if (!any)
        *ok = false;
    return all;
}

static bool eval(const char *constraint, const struct semver *v, bool *ok)
{
    bool some = false;
    *ok = true;
    for (const char *s = constraint;;) {
        some |= eval_all(&s, v, ok);
        if (!*ok || !*s)
            return some && *ok;
        if (s[0] != '|' || s[1] != '|')
            return *ok = false;
        s += 2;
    }
}

bool semver_is_constraint(const char *s)
{
    bool ok;
    if (!s || semver_is_version(s) || strlen(s) > 256)
        return false;
    eval(s, NULL, &ok);
    return ok;
}

bool semver_satisfies(const char *version, const char *constraint)
{
    struct semver v;
    bool ok;
    const char *end = parse(version, &v, false);
    if (!end || *end)
        return false;
    bool yes = eval(constraint, &v, &ok);
    return ok && yes;
}
