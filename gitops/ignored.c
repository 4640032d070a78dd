// SPDX-License-Identifier: Apache-2.0
#include "gitops/ignored.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/glob.h"
#include "gitops/json.h"

#define MAX_STEPS 64
#define MAX_EXPRESSION 1000

// ---- paths as the server writes them ----
// A name may hold dots: it ends where the path does, or where the next element begins.
static bool ends_name(char c)
{
    return !c || c == '.' || c == '[';
}

// The length of "[...]", in which quoted text may hold anything; 0 when it is none.
static size_t bracket_len(const char *s)
{
    bool quoted = false;
    if (*s != '[')
        return 0;
    for (size_t i = 1; s[i]; i++) {
        if (s[i] == '\\' && quoted && s[i + 1])
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
        else if (s[i] == ']' && !quoted)
            return i + 1;
    }
    return 0;
}

// One literal of a list's key: quoted text, a number, true, false. *end: behind it.
static json_t *literal(const char *s, const char **end)
{
    size_t n = 0;
    if (*s == '"') {
        for (n = 1; s[n] && s[n] != '"'; n++)
            n += s[n] == '\\' && s[n + 1];
        n += s[n] == '"';
    } else {
        n = strcspn(s, ",] \t)");
    }
    *end = s + n;
    return json_loadb(s, n, JSON_DECODE_ANY, NULL);
}

// Has the item what "[name="a",port=80]", "[="v"]" or "[3]" asks for?
static bool is_item(const json_t *item, size_t index, const char *bracket)
{
    const char *s = bracket + 1;
    if (isdigit((unsigned char)*s))
        return index == strtoul(s, NULL, 10);
    for (;;) {
        size_t n = strcspn(s, "=]");
        CLEANUP(str_freep) char *key = str_ndup(s, n);
        if (s[n] != '=')
            return false;
        CLEANUP(json_freep) json_t *want = literal(s + n + 1, &s);
        const json_t *have = *key ? json_object_get(item, key) : item;
        if (!want || !json_equal(have, want))
            return false;
        if (*s != ',')
            return *s == ']';
        s++;
    }
}

// Where in a list the element is; its length when it is nowhere.
static size_t find_item(const json_t *list, const char *bracket)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (is_item(item, i, bracket))
            break;
    }
    return i;
}

// The key of a map that the path begins with after its dot: the longest one. NULL: none.
static const char *find_key(const json_t *map, const char *path)
{
    const char *best = NULL;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        if (str_starts(path, key) && ends_name(path[strlen(key)]) &&
            (!best || strlen(key) > strlen(best)))
            best = key;
    }
    return best;
}

bool field_remove(json_t *doc, const char *path)
{
    for (json_t *at = doc; at;) {
        size_t n = bracket_len(path);
        if (n) {
            size_t i = find_item(at, path);
            path += n;
            if (!*path)
                return json_array_remove(at, i) == 0;
            at = json_array_get(at, i);
            continue;
        }
        const char *key = *path == '.' ? find_key(at, path + 1) : NULL;
        if (!key)
            return false;
        path += 1 + strlen(key);
        if (!*path)
            return json_object_del(at, key) == 0;
        at = json_object_get(at, key);
    }
    return false;
}

// ---- what is ignored ----
struct step {
    enum { STEP_FIELD, STEP_INDEX, STEP_ANY, STEP_SELECT } kind;
    char *name;    // FIELD; SELECT: of the field that is compared
    json_t *value; // SELECT
    size_t index;
};

struct pattern {
    VEC(struct step) steps;
};

static void pattern_clear(struct pattern *p)
{
    for (size_t i = 0; i < p->steps.len; i++) {
        free(p->steps.v[i].name);
        json_decref(p->steps.v[i].value);
    }
    vec_clear(&p->steps);
}

static bool add_field(struct pattern *p, const char *name, size_t n)
{
    if (p->steps.len >= MAX_STEPS)
        return false;
    *vec_push(&p->steps) = (struct step){.kind = STEP_FIELD, .name = str_ndup(name, n)};
    return true;
}

static bool read_pointer(const char *s, struct pattern *out)
{
    while (*s == '/') {
        struct buf b CLEANUP(buf_clear) = {0};
        for (s++; *s && *s != '/'; s++) {
            bool escaped = *s == '~' && (s[1] == '0' || s[1] == '1');
            buf_char(&b, !escaped ? *s : s[1] == '0' ? '~' : '/');
            s += escaped;
        }
        if (!add_field(out, b.p ? b.p : "", b.len))
            return false;
    }
    return !*s && out->steps.len;
}

static const char *skip(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

// "name" or "\"name\"" of a path; NULL when there is none.
static const char *read_name(const char *s, char **name)
{
    const char *end = s;
    if (*s == '"') {
        CLEANUP(json_freep) json_t *text = literal(s, &end);
        *name = str_dup_or_null(json_string_value(text));
    } else {
        while (is_word(*end))
            end++;
        *name = end > s && !isdigit((unsigned char)*s) ? str_ndup(s, (size_t)(end - s)) : NULL;
    }
    return *name ? end : NULL;
}

// select(.name == "x")
static const char *read_select(const char *s, struct pattern *out)
{
    CLEANUP(str_freep) char *name = NULL;
    s = skip(s + strlen("select"));
    if (*s != '(')
        return NULL;
    s = skip(s + 1);
    s = *s == '.' ? read_name(s + 1, &name) : NULL;
    s = s ? skip(s) : NULL;
    if (!s || strncmp(s, "==", 2) != 0)
        return NULL;
    CLEANUP(json_freep) json_t *value = literal(skip(s + 2), &s);
    s = skip(s);
    if (!value || *s != ')' || !out->steps.len || out->steps.v[out->steps.len - 1].kind != STEP_ANY)
        return NULL;
    // It narrows the "[]" before it.
    out->steps.v[out->steps.len - 1] =
        (struct step){.kind = STEP_SELECT, .name = TAKE(name), .value = TAKE(value)};
    return s + 1;
}

static const char *read_bracket(const char *s, struct pattern *out)
{
    const char *end = s;
    s = skip(s + 1);
    if (*s == ']') {
        *vec_push(&out->steps) = (struct step){.kind = STEP_ANY};
        return s + 1;
    }
    CLEANUP(json_freep) json_t *v = literal(s, &end);
    end = skip(end);
    if (*end != ']')
        return NULL;
    if (json_is_string(v))
        return add_field(out, json_string_value(v), json_string_length(v)) ? end + 1 : NULL;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return NULL;
    *vec_push(&out->steps) =
        (struct step){.kind = STEP_INDEX, .index = (size_t)json_integer_value(v)};
    return end + 1;
}

static bool read_jq(const char *s, struct pattern *out)
{
    if (strlen(s) > MAX_EXPRESSION)
        return false;
    for (s = skip(s); s && *s; s = s ? skip(s) : NULL) {
        CLEANUP(str_freep) char *name = NULL;
        if (out->steps.len >= MAX_STEPS)
            return false;
        if (*s == '|' || *s == '?') {
            s++;
        } else if (str_starts(s, "select")) {
            s = read_select(s, out);
        } else if (*s == '[') {
            s = read_bracket(s, out);
        } else if (*s == '.' && s[1] == '[') {
            s++;
        } else if (*s == '.') {
            s = read_name(s + 1, &name);
            if (s && !add_field(out, name, strlen(name)))
                return false;
        } else {
            return false;
        }
    }
    return s && out->steps.len;
}

// Does the path lie at or below what the pattern names? The document knows which item is which.
static bool covers(const struct pattern *p, const json_t *at, const char *path)
{
    for (size_t i = 0; i < p->steps.len; i++) {
        const struct step *x = &p->steps.v[i];
        size_t n = bracket_len(path);
        size_t item = n ? find_item(at, path) : 0;
        long long number;
        if (n) {
            at = json_array_get(at, item);
            path += n;
        }
        switch (x->kind) {
        case STEP_FIELD:
            if (n) { // a pointer tells no index from a name
                if (!str_to_int(x->name, 0, UINT32_MAX, &number) || (size_t)number != item)
                    return false;
                break;
            }
            if (*path != '.' || !str_starts(path + 1, x->name) ||
                !ends_name(path[1 + strlen(x->name)]))
                return false;
            path += 1 + strlen(x->name);
            at = json_object_get(at, x->name);
            break;
        case STEP_INDEX:
            if (!n || item != x->index)
                return false;
            break;
        case STEP_ANY:
            if (!n)
                return false;
            break;
        case STEP_SELECT:
            if (!n || !json_equal(json_object_get(at, x->name), x->value))
                return false;
            break;
        }
    }
    return true;
}

static const char *text_of(const json_t *rule, const char *key)
{
    const char *s = json_dot_str(rule, key);
    return s ? s : "";
}

// Group and kind are patterns, name and namespace are names.
static bool is_for(const json_t *rule, const struct object_id *id)
{
    const char *name = text_of(rule, "name");
    const char *ns = text_of(rule, "namespace");
    return glob_match(GLOB_GOBWAS, text_of(rule, "group"), id->group) &&
           glob_match(GLOB_GOBWAS, text_of(rule, "kind"), id->kind) &&
           (!*name || !strcmp(name, id->name)) && (!*ns || str_eq(ns, id->namespace));
}

static bool any_covers(const json_t *list, bool (*read)(const char *s, struct pattern *out),
                       const json_t *doc, const char *path)
{
    size_t i;
    json_t *v;
    bool yes = false;
    json_array_foreach(list, i, v)
    {
        struct pattern p = {0};
        yes |= json_is_string(v) && read(json_string_value(v), &p) && covers(&p, doc, path);
        pattern_clear(&p);
    }
    return yes;
}

bool ignored_field(const struct application *a, const struct object_id *id, const json_t *doc,
                   const char *path, const char *manager)
{
    size_t i;
    size_t k;
    json_t *rule;
    json_t *v;
    json_array_foreach(a->ignore_differences, i, rule)
    {
        if (!is_for(rule, id))
            continue;
        json_array_foreach(json_object_get(rule, "managedFieldsManagers"), k, v)
        {
            if (manager && str_eq(json_string_value(v), manager))
                return true;
        }
        if (any_covers(json_object_get(rule, "jsonPointers"), read_pointer, doc, path) ||
            any_covers(json_object_get(rule, "jqPathExpressions"), read_jq, doc, path))
            return true;
    }
    return false;
}

bool ignored_any(const struct application *a, const struct object_id *id)
{
    size_t i;
    json_t *rule;
    json_array_foreach(a->ignore_differences, i, rule)
    {
        if (is_for(rule, id))
            return true;
    }
    return false;
}

static void note_faults(const json_t *list, const char *what,
                        bool (*read)(const char *s, struct pattern *out), struct strv *out)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        struct pattern p = {0};
        const char *s = json_string_value(v);
        if (!s || !read(s, &p))
            strv_push_take(out, str_printf("ignoreDifferences: the %s %.120s is not understood "
                                           "and was passed over",
                                           what, s ? s : "that is no text"));
        pattern_clear(&p);
    }
}

void ignored_faults(const json_t *ignore_differences, struct strv *out)
{
    size_t i;
    json_t *rule;
    json_array_foreach(ignore_differences, i, rule)
    {
        note_faults(json_object_get(rule, "jsonPointers"), "JSON pointer", read_pointer, out);
        note_faults(json_object_get(rule, "jqPathExpressions"), "jq expression", read_jq, out);
    }
}
