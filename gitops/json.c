// SPDX-License-Identifier: Apache-2.0
#include "gitops/json.h"

#include <stdarg.h>
#include <string.h>

#include "base/str.h"

json_t *json_at(const json_t *v, ...)
{
    va_list ap;
    va_start(ap, v);
    const char *key;
    while (v && (key = va_arg(ap, const char *)))
        v = json_object_get(v, key);
    va_end(ap);
    return (json_t *)v;
}

json_t *json_dot(const json_t *v, const char *dotted)
{
    while (v && *dotted) {
        const char *dot = strchr(dotted, '.');
        size_t n = dot ? (size_t)(dot - dotted) : strlen(dotted);
        v = json_object_getn(v, dotted, n);
        dotted += n + (dot != NULL);
    }
    return (json_t *)v;
}

const char *json_dot_str(const json_t *v, const char *dotted)
{
    return json_string_value(json_dot(v, dotted));
}

const char *json_dot_text(const json_t *v, const char *dotted)
{
    const char *text = json_dot_str(v, dotted);
    return text ? text : "";
}

bool json_dot_bool(const json_t *v, const char *dotted, bool fallback)
{
    const json_t *x = json_dot(v, dotted);
    return json_is_boolean(x) ? json_is_true(x) : fallback;
}

long long json_dot_int(const json_t *v, const char *dotted, long long fallback)
{
    const json_t *x = json_dot(v, dotted);
    if (json_is_integer(x))
        return json_integer_value(x);
    double d = json_real_value(x); // 0 for what is none
    return json_is_real(x) && d >= -0x1p63 && d < 0x1p63 ? (long long)d : fallback;
}

const char *json_annotation(const json_t *obj, const char *key)
{
    return json_string_value(json_object_get(json_dot(obj, "metadata.annotations"), key));
}

const char *json_label(const json_t *obj, const char *key)
{
    return json_string_value(json_object_get(json_dot(obj, "metadata.labels"), key));
}

void json_set_annotation(json_t *obj, const char *key, const char *value)
{
    json_t *meta = json_object_get(obj, "metadata");
    if (!json_is_object(meta)) {
        meta = json_object();
        json_object_set_new(obj, "metadata", meta);
    }
    json_t *map = json_object_get(meta, "annotations");
    if (!json_is_object(map)) {
        map = json_object();
        json_object_set_new(meta, "annotations", map);
    }
    json_object_set_new(map, key, json_string(value));
}

void json_merge(json_t *base, const json_t *over)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)over, key, v)
    {
        json_t *have = json_object_get(base, key);
        if (json_is_object(v) && json_is_object(have))
            json_merge(have, v);
        else
            json_object_set_new(base, key, json_deep_copy(v));
    }
}

void json_merge_patch(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)patch, key, v)
    {
        json_t *have = json_object_get(into, key);
        if (json_is_null(v)) {
            json_object_del(into, key);
        } else if (json_is_object(v)) {
            if (!json_is_object(have)) {
                have = json_object();
                json_object_set_new(into, key, have);
            }
            json_merge_patch(have, v);
        } else {
            json_object_set_new(into, key, json_deep_copy(v));
        }
    }
}

static bool has_value(const json_t *list, const char *value)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (str_eq(json_string_value(v), value))
            return true;
    }
    return false;
}

static bool expression_matches(const json_t *e, const json_t *labels)
{
    const char *key = json_dot_str(e, "key");
    const char *op = json_dot_str(e, "operator");
    const json_t *values = json_object_get(e, "values");
    if (!key || !op)
        return false;
    const char *have = json_string_value(json_object_get(labels, key));
    if (!strcmp(op, "In"))
        return have && has_value(values, have);
    if (!strcmp(op, "NotIn"))
        return !have || !has_value(values, have);
    if (!strcmp(op, "Exists"))
        return have != NULL;
    if (!strcmp(op, "DoesNotExist"))
        return have == NULL;
    return false;
}

bool json_selector_matches(const json_t *selector, const json_t *labels)
{
    if (!selector || json_is_null(selector))
        return true;
    if (!json_is_object(selector))
        return false;
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(selector, "matchLabels"), key, v)
    {
        if (!json_is_string(v) ||
            !str_eq(json_string_value(json_object_get(labels, key)), json_string_value(v)))
            return false;
    }
    size_t i;
    json_array_foreach(json_object_get(selector, "matchExpressions"), i, v)
    {
        if (!expression_matches(v, labels))
            return false;
    }
    return true;
}

static bool expression_is_valid(const json_t *e)
{
    const char *op = json_dot_str(e, "operator");
    bool has_values = json_array_size(json_object_get(e, "values")) > 0;
    if (str_is_empty(json_dot_str(e, "key")) || !op)
        return false;
    if (!strcmp(op, "In") || !strcmp(op, "NotIn"))
        return has_values;
    return (!strcmp(op, "Exists") || !strcmp(op, "DoesNotExist")) && !has_values;
}

bool json_selector_is_valid(const json_t *selector)
{
    if (!selector || json_is_null(selector))
        return true;
    if (!json_is_object(selector))
        return false;
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(selector, "matchLabels"), key, v)
    {
        if (!json_is_string(v))
            return false;
    }
    size_t i;
    json_array_foreach(json_object_get(selector, "matchExpressions"), i, v)
    {
        if (!expression_is_valid(v))
            return false;
    }
    return true;
}

void json_pointer_add(struct buf *pointer, const char *key)
{
    buf_char(pointer, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            buf_str(pointer, *key == '~' ? "~0" : "~1");
        else
            buf_char(pointer, *key);
    }
}

char *json_pointer_under(const char *base, const char *key)
{
    struct buf b = {0};
    buf_str(&b, base);
    json_pointer_add(&b, key);
    return buf_take(&b);
}
