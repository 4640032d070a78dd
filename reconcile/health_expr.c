// SPDX-License-Identifier: Apache-2.0
//
// The language of health_rules.inc (described in health_int.h), read as it is evaluated: a term
// takes well under a microsecond, so nothing is compiled or kept.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/health_int.h"

#define CONDITIONS ".status.conditions"

struct value {
    const json_t *json; // NULL: absent, or a number of its own
    bool is_number;
    double number;
    char text[32];
};

static const json_t *there(const json_t *v)
{
    return json_is_null(v) ? NULL : v;
}

size_t health_list_len(const json_t *list)
{
    return json_is_object(list) ? json_object_size(list) : json_array_size(list);
}

const json_t *health_list_at(const json_t *list, size_t i)
{
    if (!json_is_object(list))
        return json_array_get(list, i);
    void *it = json_object_iter((json_t *)list);
    while (it && i--)
        it = json_object_iter_next((json_t *)list, it);
    return it ? json_object_iter_value(it) : NULL;
}

// ---- paths ----

static const json_t *in_brackets(const json_t *v, const char *key, size_t n)
{
    if (!json_is_array(v))
        return json_object_getn(v, key, n);
    long i = strtol(key, NULL, 10);
    return json_array_get(v, i < 0 ? json_array_size(v) + (size_t)i : (size_t)i);
}

// Goes down from v along *p, which is left behind the path.
static const json_t *walk(const json_t *v, const char **p)
{
    const char *s = *p;
    for (;;) {
        if (*s == '[' && strchr(s, ']')) {
            size_t n = (size_t)(strchr(s, ']') - s - 1);
            v = there(in_brackets(v, s + 1, n));
            s += n + 2;
            continue;
        }
        s += *s == '.';
        size_t n = 0;
        while (isalnum((unsigned char)s[n]) || s[n] == '_')
            n++;
        if (!n)
            break;
        v = there(json_object_getn(v, s, n));
        s += n;
    }
    *p = s;
    return v;
}

const json_t *health_list(const json_t *obj, const char *path, size_t len)
{
    const char *p = len ? path : CONDITIONS;
    const json_t *v = walk(obj, &p);
    return json_is_array(v) || json_is_object(v) ? v : NULL;
}

bool health_list_is_wrong(const json_t *obj, const char *path, size_t len)
{
    const char *p = len ? path : CONDITIONS;
    const json_t *v = walk(obj, &p);
    return v && !json_is_array(v) && !json_is_object(v);
}

// ---- values ----

static void number_text(double d, char *out, size_t size)
{
    snprintf(out, size, "%.14g", d); // as Lua 5.1 prints every number
}

static const char *value_text(struct value *v)
{
    if (!v->json && !v->is_number)
        return NULL;
    if (json_is_string(v->json))
        return json_string_value(v->json);
    if (json_is_boolean(v->json))
        return json_is_true(v->json) ? "true" : "false";
    if (!v->is_number)
        return NULL;
    number_text(v->number, v->text, sizeof(v->text));
    return v->text;
}

static struct value value_of(const json_t *j)
{
    struct value v = {.json = j, .is_number = json_is_number(j)};
    if (v.is_number)
        v.number = json_number_value(j);
    return v;
}

static bool is_there(const struct value *v)
{
    return v->json || v->is_number;
}

// ".a.b", "@a", "#.a"
static struct value field(const struct health_scope *s, const char **p)
{
    bool size = **p == '#';
    *p += size;
    bool item = **p == '@';
    *p += item;
    const json_t *j = walk(item ? s->item : s->obj, p);
    if (size)
        return (struct value){.is_number = true, .number = (double)health_list_len(j)};
    return value_of(j);
}

// The same with "|7" for when it is absent.
static struct value operand(const struct health_scope *s, const char **p)
{
    struct value v = field(s, p);
    if (**p != '|')
        return v;
    char *end;
    double d = strtod(*p + 1, &end);
    *p = end;
    return is_there(&v) ? v : (struct value){.is_number = true, .number = d};
}

static bool begins_operand(const char *p)
{
    return *p == '.' || *p == '@' || *p == '#';
}

// An operand, or the difference of two.
static struct value right_side(const struct health_scope *s, const char **p)
{
    struct value a = operand(s, p);
    if (**p != '-')
        return a;
    ++*p;
    struct value b = operand(s, p);
    if (!a.is_number || !b.is_number)
        return (struct value){0};
    return (struct value){.is_number = true, .number = a.number - b.number};
}

// ---- comparing ----

static bool begins(const char *text, const char *word, size_t n)
{
    return !strncmp(text, word, n);
}

static bool ends(const char *text, const char *word, size_t n)
{
    size_t len = strlen(text);
    return len >= n && !strncmp(text + len - n, word, n);
}

static bool contains(const char *text, const char *word, size_t n)
{
    for (; *text; text++)
        if (!strncasecmp(text, word, n))
            return true;
    return false;
}

static bool is_same(const char *text, const char *word, size_t n)
{
    return !strncmp(text, word, n) && !text[n];
}

// Goes through the alternatives "A,'B c',D", leaving *p behind them.
static bool any_of(const char *text, const char **p, const char *stop,
                   bool (*fits)(const char *, const char *, size_t))
{
    bool found = false;
    const char *s = *p;
    for (;; s++) {
        bool quoted = *s == '\'';
        s += quoted;
        size_t n = quoted ? strcspn(s, "'") : strcspn(s, stop);
        found = found || (text && fits(text, s, n));
        s += n + (quoted && s[n]);
        if (*s != ',')
            break;
    }
    *p = s;
    return found;
}

static bool are_equal(struct value *a, struct value *b)
{
    if (!is_there(a) || !is_there(b))
        return is_there(a) == is_there(b);
    const char *x = value_text(a);
    const char *y = value_text(b);
    return x && y ? !strcmp(x, y) : json_equal(a->json, b->json);
}

static bool are_ordered(const struct health_scope *s, struct value *a, struct value *b, char op,
                        bool or_same)
{
    double d;
    if (a->is_number && b->is_number)
        d = a->number - b->number;
    else if (json_is_string(a->json) && json_is_string(b->json))
        d = strcmp(json_string_value(a->json), json_string_value(b->json));
    else {
        if (s->fault && is_there(a) && is_there(b))
            *s->fault = "a number is compared with something else";
        return false;
    }
    return op == '<' ? d < 0 || (or_same && d == 0) : d > 0 || (or_same && d == 0);
}

// What follows an operand: "", or an operator and its right side.
static bool compare(const struct health_scope *s, struct value *a, const char **p)
{
    char op = **p;
    bool has_equals = op && (*p)[1] == '=';
    if (op == '<' || op == '>') {
        *p += 1 + has_equals;
        const char *literal = *p;
        struct value b = {0};
        if (begins_operand(*p)) {
            b = right_side(s, p);
        } else {
            char *end;
            b = (struct value){.is_number = true, .number = strtod(literal, &end)};
            *p = end;
        }
        return are_ordered(s, a, &b, op, has_equals);
    }
    if (op != '=' && !has_equals)
        return is_there(a);
    *p += op == '=' ? 1 : 2;
    if (begins_operand(*p)) {
        struct value b = right_side(s, p);
        return are_equal(a, &b) == (op == '=');
    }
    bool found = any_of(value_text(a), p, ", ",
                        op == '^'   ? begins
                        : op == '$' ? ends
                        : op == '*' ? contains
                                    : is_same);
    return found == (op != '!');
}

// ---- terms ----

// "Type", "Type=A,B", "Type!=A", "Type=A:Reason" for one condition.
static bool is_condition(const json_t *c, const char *term, size_t type_len)
{
    const char *p = term + type_len;
    const char *type = json_string_value(json_object_get(c, "type"));
    if (!type || !is_same(type, term, type_len))
        return false;
    if (*p != '=' && *p != '!')
        return true;
    bool wanted = *p == '=';
    p += wanted ? 1 : 2;
    const char *status = json_string_value(json_object_get(c, "status"));
    if (*p == '*')
        p++;
    else if (any_of(status, &p, ", :", is_same) != wanted)
        return false;
    if (*p != ':')
        return true;
    p++;
    return any_of(json_string_value(json_object_get(c, "reason")), &p, ", ", is_same);
}

static const json_t *find_condition(const json_t *obj, const char *term, size_t type_len)
{
    const json_t *list = health_list(obj, NULL, 0);
    for (size_t i = 0; i < health_list_len(list); i++) {
        const json_t *c = health_list_at(list, i);
        if (is_condition(c, term, type_len))
            return c;
    }
    return NULL;
}

static bool lags(const struct health_scope *s)
{
    const json_t *now = there(json_dot(s->obj, "metadata.generation"));
    const json_t *seen = there(s->item ? json_object_get(s->item, "observedGeneration")
                                       : json_dot(s->obj, "status.observedGeneration"));
    struct value a = value_of(now);
    struct value b = value_of(seen);
    return now && seen && !are_equal(&a, &b);
}

static size_t term_len(const char *p)
{
    const char *s = p;
    for (bool quoted = false; *s && (quoted || *s != ' '); s++)
        quoted ^= *s == '\'';
    return (size_t)(s - p);
}

// One term without its "!". A condition found for the object becomes the item in *found.
static bool holds(const struct health_scope *s, bool over_list, const char *p, const json_t **found)
{
    if (*p == '%')
        return lags(s);
    if (begins_operand(p)) {
        struct value v = operand(s, &p);
        return compare(s, &v, &p);
    }
    size_t type_len = strcspn(p, "=! ");
    if (over_list)
        return is_condition(s->item, p, type_len);
    const json_t *c = find_condition(s->obj, p, type_len);
    if (c && !*found)
        *found = c;
    return c != NULL;
}

bool health_when(struct health_scope *s, const char *when)
{
    bool over_list = s->item != NULL;
    const json_t *found = NULL;
    while (*when) {
        bool wanted = *when != '!';
        const json_t *c = NULL;
        if (holds(s, over_list, when + !wanted, &c) != wanted)
            return false;
        if (c && !found)
            found = c;
        when += term_len(when);
        when += strspn(when, " ");
    }
    if (!over_list)
        s->item = found;
    return true;
}

// ---- messages ----

static struct value reference(const struct health_scope *s, const char **p)
{
    if (!strncmp(*p, "#}", 2)) {
        ++*p;
        return (struct value){.is_number = true, .number = (double)s->number};
    }
    if (begins_operand(*p))
        return field(s, p);
    size_t n = strcspn(*p, ":|}");
    const json_t *from = s->item;
    if ((*p)[n] == ':') {
        from = find_condition(s->obj, *p, n);
        *p += n + 1;
    }
    return value_of(walk(from, p));
}

// The inside of {...}: the first of its alternatives that is there. False: absent, empty or 0.
static bool put_reference(const struct health_scope *s, const char *p, struct buf *out)
{
    while (*p != '}') {
        if (*p == '\'') {
            buf_append(out, p + 1, strcspn(p + 1, "'"));
            return true;
        }
        struct value v = reference(s, &p);
        const char *text = value_text(&v);
        bool skips_empty = !strncmp(p, "||", 2);
        if (text && (*text || !skips_empty)) {
            buf_str(out, text);
            return *text && strcmp(text, "0") != 0;
        }
        p += strspn(p, "|");
    }
    return false;
}

static bool put(const struct health_scope *s, const char *p, const char *end, struct buf *out);

// The inside of <sep|list|when|text>; *end is left where it ends. False: no item fitted.
static bool put_list(const struct health_scope *s, const char *p, const char **end, struct buf *out)
{
    const char *part[3];
    size_t len[3];
    for (int i = 0; i < 3; i++) {
        part[i] = p;
        len[i] = strcspn(p, "|");
        p += len[i] + 1;
    }
    *end = strchr(p, '>');
    const json_t *list = health_list(s->obj, part[1], len[1]);
    CLEANUP(str_freep) char *when = str_ndup(part[2], len[2]);
    bool any = false;
    for (size_t i = 0; i < health_list_len(list); i++) {
        struct health_scope one = {s->obj, there(health_list_at(list, i)), i + 1, NULL};
        if (!one.item || !health_when(&one, when))
            continue;
        if (any)
            buf_append(out, part[0], len[0]);
        any = true;
        put(&one, p, *end, out);
    }
    ++*end;
    return any;
}

// Where the optional part that begins at p ends; others may stand in it.
static const char *closing(const char *p)
{
    for (int open = 1; *p; p++) {
        open += (*p == '[') - (*p == ']');
        if (!open)
            break;
    }
    return p;
}

static void put_optional(const struct health_scope *s, const char *p, const char *end,
                         struct buf *out)
{
    struct buf part CLEANUP(buf_clear) = {0};
    if (put(s, p, end, &part))
        buf_append(out, part.p, part.len);
}

// Text up to `end`. False: some value in it was absent, empty or 0.
static bool put(const struct health_scope *s, const char *p, const char *end, struct buf *out)
{
    bool full = true;
    while (p < end) {
        const char *begin = p + 1;
        if (*p == '{') {
            full &= put_reference(s, begin, out);
            p = strchr(begin, '}') + 1;
        } else if (*p == '[') {
            const char *close = closing(begin);
            put_optional(s, begin, close, out);
            p = close + 1;
        } else if (*p == '<') {
            full &= put_list(s, begin, &p, out);
        } else {
            buf_char(out, *p++);
        }
    }
    return full;
}

void health_text(const struct health_scope *s, const char *text, struct buf *out)
{
    put(s, text, text + strlen(text), out);
}
