// SPDX-License-Identifier: Apache-2.0
#include "gitops/ignored.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/fields.h"
#include "gitops/glob.h"
#include "gitops/json.h"

#define MAX_STEPS 64
#define MAX_WALK 1000000

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
// Group and kind are patterns, name and namespace are names.
static bool is_for(const json_t *rule, const struct object_id *id)
{
    const char *name = json_dot_text(rule, "name");
    const char *ns = json_dot_text(rule, "namespace");
    return glob_match(GLOB_GOBWAS, json_dot_text(rule, "group"), id->group) &&
           glob_match(GLOB_GOBWAS, json_dot_text(rule, "kind"), id->kind) &&
           (!*name || !strcmp(name, id->name)) && (!*ns || str_eq(ns, id->namespace));
}

// Marks what `steps` lead to; NULL ends them.
static void mark(json_t *marks, const struct strv *steps)
{
    for (size_t i = 0; i < steps->len; i++) {
        json_t *next = json_object_get(marks, steps->v[i]);
        if (json_is_true(next))
            return;
        if (i + 1 == steps->len) {
            json_object_set_new(marks, steps->v[i], json_true());
        } else if (!next) {
            next = json_object();
            json_object_set_new(marks, steps->v[i], next);
        }
        marks = next;
    }
}

// RFC 6901; "" names all there is and is no field.
static bool read_pointer(const char *s, struct strv *out)
{
    while (*s == '/') {
        struct buf b CLEANUP(buf_clear) = {0};
        for (s++; *s && *s != '/'; s++) {
            bool escaped = *s == '~' && (s[1] == '0' || s[1] == '1');
            buf_char(&b, !escaped ? *s : s[1] == '0' ? '~' : '/');
            s += escaped;
        }
        if (out->len >= MAX_STEPS)
            return false;
        strv_push_take(out, buf_take(&b));
    }
    return !*s && out->len;
}

static size_t index_of(const json_t *list, const json_t *number, size_t fallback)
{
    json_int_t n = (json_int_t)json_number_value(number);
    json_int_t len = (json_int_t)json_array_size(list);
    if (!json_is_number(number))
        return fallback;
    n = n < 0 ? n + len : n;
    return n < 0 ? 0 : n > len ? (size_t)len : (size_t)n;
}

// Paths of jq on their way into the marks.
struct marking {
    json_t *marks;
    const json_t *path;
    struct strv steps; // where it is by now
    size_t budget;     // of steps, for all paths of an expression: slices make many of one
};

static void mark_path(struct marking *m, const json_t *doc, size_t at);

static void mark_step(struct marking *m, const json_t *below, size_t at, char *step)
{
    strv_push_take(&m->steps, step);
    mark_path(m, below, at + 1);
    free(m->steps.v[--m->steps.len]);
}

// From its step `at` on: keys, indices and slices.
static void mark_path(struct marking *m, const json_t *doc, size_t at)
{
    const json_t *step = json_array_get(m->path, at);
    size_t from = 0;
    size_t to = 0;
    if (!m->budget)
        return;
    m->budget--;
    if (!step) {
        mark(m->marks, &m->steps);
    } else if (json_is_string(step)) {
        const char *key = json_string_value(step);
        mark_step(m, json_object_get(doc, key), at, str_dup(key));
    } else if (json_is_number(step)) {
        from = index_of(doc, step, 0);
        to = json_number_value(step) < -(double)json_array_size(doc) ? from : from + 1;
    } else {
        from = index_of(doc, json_object_get(step, "start"), 0);
        to = index_of(doc, json_object_get(step, "end"), json_array_size(doc));
    }
    for (; from < to && from < json_array_size(doc); from++)
        mark_step(m, json_array_get(doc, from), at, str_printf("%zu", from));
}

static void mark_jq(json_t *marks, const char *expr, const json_t *doc, struct jq_filters *jq)
{
    CLEANUP(json_freep) json_t *paths = NULL;
    struct err err = {0};
    struct marking m = {.marks = marks, .budget = MAX_WALK};
    size_t i;
    json_t *path;
    // What cannot be followed here ignores nothing; what cannot be read was told of.
    if (!jq_filter_paths(jq, expr, doc, &paths, &err))
        err_clear(&err);
    json_array_foreach(paths, i, path)
    {
        m.path = path;
        if (json_array_size(path) && json_array_size(path) <= MAX_STEPS)
            mark_path(&m, doc, 0);
    }
    strv_clear(&m.steps);
}

static void mark_pointer(json_t *marks, const char *pointer)
{
    struct strv steps = {0};
    if (read_pointer(pointer, &steps))
        mark(marks, &steps);
    strv_clear(&steps);
}

// What a set of managed fields has of the document.
static void mark_owned(json_t *marks, const json_t *doc, const json_t *fields, struct strv *steps)
{
    const char *key;
    json_t *sub;
    json_object_foreach((json_t *)fields, key, sub)
    {
        if (!strcmp(key, ".") || steps->len >= MAX_STEPS)
            continue;
        bool is_field = str_starts(key, "f:");
        long item = is_field ? 0 : fields_item(doc, key);
        if (item < 0)
            continue;
        const json_t *below = is_field ? json_object_get(doc, key + 2) : json_array_get(doc, item);
        strv_push_take(steps, is_field ? str_dup(key + 2) : str_printf("%ld", item));
        if (fields_is_leaf(sub))
            mark(marks, steps);
        else
            mark_owned(marks, below, sub, steps);
        free(steps->v[--steps->len]);
    }
}

static void mark_manager(json_t *marks, const json_t *doc, const json_t *managed,
                         const char *manager)
{
    size_t i;
    json_t *entry;
    struct strv steps = {0};
    json_array_foreach(json_dot(managed, "metadata.managedFields"), i, entry)
    {
        if (str_eq(json_dot_str(entry, "manager"), manager))
            mark_owned(marks, doc, json_object_get(entry, "fieldsV1"), &steps);
    }
    strv_clear(&steps);
}

json_t *ignored_marks(const json_t *rules, const struct object_id *id, const json_t *doc,
                      const json_t *managed, struct jq_filters *jq)
{
    json_t *marks = json_object();
    size_t i;
    size_t k;
    json_t *rule;
    json_t *v;
    json_array_foreach(rules, i, rule)
    {
        if (!is_for(rule, id))
            continue;
        json_array_foreach(json_object_get(rule, "jsonPointers"), k, v)
        {
            if (json_is_string(v))
                mark_pointer(marks, json_string_value(v));
        }
        json_array_foreach(json_object_get(rule, "jqPathExpressions"), k, v)
        {
            if (jq && json_is_string(v))
                mark_jq(marks, json_string_value(v), doc, jq);
        }
        json_array_foreach(json_object_get(rule, "managedFieldsManagers"), k, v)
        {
            if (managed && json_is_string(v))
                mark_manager(marks, doc, managed, json_string_value(v));
        }
    }
    return marks;
}

bool ignored_covers(const json_t *marks, const json_t *doc, const char *path)
{
    while (*path) {
        size_t n = bracket_len(path);
        CLEANUP(str_freep) char *step = NULL;
        if (n) {
            size_t item = find_item(doc, path);
            step = str_printf("%zu", item);
            doc = json_array_get(doc, item);
        } else {
            const char *key = *path == '.' ? find_key(doc, path + 1) : NULL;
            key = key || *path != '.' ? key : find_key(marks, path + 1);
            if (!key)
                return false;
            n = 1 + strlen(key);
            step = str_dup(key);
            doc = json_object_get(doc, key);
        }
        path += n;
        marks = json_object_get(marks, step);
        if (json_is_true(marks))
            return true;
        if (!marks)
            return false;
    }
    return false;
}

bool ignored_manager(const json_t *rules, const struct object_id *id, const char *manager)
{
    size_t i;
    size_t k;
    json_t *rule;
    json_t *v;
    json_array_foreach(rules, i, rule)
    {
        json_array_foreach(json_object_get(rule, "managedFieldsManagers"), k, v)
        {
            if (is_for(rule, id) && manager && str_eq(json_string_value(v), manager))
                return true;
        }
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

bool ignored_has_jq(const json_t *rules)
{
    size_t i;
    json_t *rule;
    json_array_foreach(rules, i, rule)
    {
        if (json_array_size(json_object_get(rule, "jqPathExpressions")))
            return true;
    }
    return false;
}

// What is wrong with one of a list, owned; NULL: nothing.
static char *fault_of_pointer(const char *s, struct jq_filters *jq)
{
    (void)jq;
    struct strv steps = {0};
    bool ok = read_pointer(s, &steps);
    strv_clear(&steps);
    return ok ? NULL : str_dup("it must begin with / and name a field");
}

static char *fault_of_jq(const char *s, struct jq_filters *jq)
{
    struct err err = {0};
    char *fault = NULL;
    if (!jq_filter_check(jq, s, &err) && err.kind == ERR_INVALID)
        fault = TAKE(err.msg);
    err_clear(&err);
    return fault;
}

static void note_faults(const json_t *list, const char *what,
                        char *(*fault_of)(const char *s, struct jq_filters *jq),
                        struct jq_filters *jq, struct strv *out)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v);
        CLEANUP(str_freep) char *fault = s ? fault_of(s, jq) : str_dup("it is no text");
        if (fault)
            strv_push_take(out, str_printf("ignoreDifferences: the %s %.120s is not understood "
                                           "and was passed over: %s",
                                           what, s ? s : "", fault));
    }
}

void ignored_faults(const json_t *ignore_differences, struct strv *out)
{
    size_t i;
    json_t *rule;
    json_array_foreach(ignore_differences, i, rule)
    {
        note_faults(json_object_get(rule, "jsonPointers"), "JSON pointer", fault_of_pointer, NULL,
                    out);
    }
}

void ignored_jq_faults(const json_t *ignore_differences, struct jq_filters *jq, struct strv *out)
{
    size_t i;
    json_t *rule;
    json_array_foreach(ignore_differences, i, rule)
    {
        note_faults(json_object_get(rule, "jqPathExpressions"), "jq expression", fault_of_jq, jq,
                    out);
    }
}
