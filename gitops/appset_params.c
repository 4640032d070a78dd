// SPDX-License-Identifier: Apache-2.0
//
// Parameters as text, the way Argo CD's Go program prints and replaces them (spec argo-cd sections
// 6.2, 6.3): generated names and values must come out letter by letter.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/json.h"

#define MAX_NAME 253
#define MAX_PRINT_DEPTH 64

char *name_normalize(const char *s)
{
    struct buf b = {0};
    for (; *s && b.len < MAX_NAME; s++) {
        if (((unsigned char)*s & 0xC0) == 0x80)
            continue; // the rest of a letter that has its '-'
        char c = (char)tolower((unsigned char)*s);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        buf_char(&b, ok ? c : '-');
    }
    char *all = buf_take(&b);
    size_t n = strlen(all);
    while (n && strchr("-.", all[n - 1]))
        all[--n] = 0;
    char *out = str_dup(all + strspn(all, "-."));
    free(all);
    return out;
}

// The fewest digits that read back, with an exponent below 0.0001 and from 1e+06 on.
static void print_float(double x, struct buf *b)
{
    char text[40];
    int digits = 0;
    do
        snprintf(text, sizeof(text), "%.*e", digits, x);
    while (strtod(text, NULL) != x && ++digits < 17);
    char *e = strchr(text, 'e');
    int exp = e ? atoi(e + 1) : 0;
    if (!e || (exp >= -4 && exp < 6))
        buf_printf(b, "%.*f", digits > exp ? digits - exp : 0, x);
    else
        buf_printf(b, "%.*se%c%02d", (int)(e - text), text, exp < 0 ? '-' : '+', abs(exp));
}

static void print_value(const json_t *v, struct buf *b, unsigned depth);

static void print_map(const json_t *v, struct buf *b, unsigned depth)
{
    struct strv keys = {0};
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)v, key, x)
    {
        strv_push(&keys, key);
    }
    strv_sort(&keys);
    buf_str(b, "map[");
    for (size_t i = 0; i < keys.len; i++) {
        buf_printf(b, "%s%s:", i ? " " : "", keys.v[i]);
        print_value(json_object_get(v, keys.v[i]), b, depth + 1);
    }
    buf_char(b, ']');
    strv_clear(&keys);
}

static void print_value(const json_t *v, struct buf *b, unsigned depth)
{
    if (depth > MAX_PRINT_DEPTH)
        return;
    switch (json_typeof(v)) {
    case JSON_STRING:
        buf_append(b, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER: // numbers have gone through JSON: all of them are floats there
        print_float((double)json_integer_value(v), b);
        break;
    case JSON_REAL:
        print_float(json_real_value(v), b);
        break;
    case JSON_TRUE:
        buf_str(b, "true");
        break;
    case JSON_FALSE:
        buf_str(b, "false");
        break;
    case JSON_NULL:
        buf_str(b, "<nil>");
        break;
    case JSON_OBJECT:
        print_map(v, b, depth);
        break;
    case JSON_ARRAY:
        buf_char(b, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (i)
                buf_char(b, ' ');
            print_value(json_array_get(v, i), b, depth + 1);
        }
        buf_char(b, ']');
        break;
    }
}

char *value_text(const json_t *v)
{
    struct buf b = {0};
    if (v)
        print_value(v, &b, 0);
    return buf_take(&b);
}

void flatten_into(json_t *set, const char *prefix, const json_t *v)
{
    const char *key;
    json_t *x;
    size_t i;
    const char *dot = *prefix ? "." : "";
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, x)
        {
            CLEANUP(str_freep) char *name = str_printf("%s%s%s", prefix, dot, key);
            flatten_into(set, name, x);
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            CLEANUP(str_freep) char *name = str_printf("%s%s%zu", prefix, dot, i);
            flatten_into(set, name, x);
        }
    } else {
        CLEANUP(str_freep) char *text = value_text(v);
        json_object_set_new(set, prefix, json_string(text));
    }
}

void add_values(json_t *set, const json_t *values)
{
    CLEANUP(json_freep) json_t *filled = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)values, key, v)
    {
        if (!json_is_string(v))
            continue;
        CLEANUP(str_freep) char *name = str_printf("values.%s", key);
        CLEANUP(str_freep) char *text = params_fill(json_string_value(v), set);
        json_object_set_new(filled, name, json_string(text));
    }
    json_object_update(set, filled);
}

char *params_fill(const char *text, const json_t *set)
{
    struct buf b = {0};
    for (;;) {
        const char *open = strstr(text, "{{");
        const char *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            buf_str(&b, text);
            return buf_take(&b);
        }
        const char *s = open + 2;
        const char *e = close;
        while (s < e && isspace((unsigned char)*s))
            s++;
        while (e > s && isspace((unsigned char)e[-1]))
            e--;
        CLEANUP(str_freep) char *key = str_ndup(s, (size_t)(e - s));
        const char *value = json_string_value(json_object_get(set, key));
        buf_append(&b, text, (size_t)(open - text));
        if (value && *key)
            buf_str(&b, value);
        else
            buf_append(&b, open, (size_t)(close + 2 - open));
        text = close + 2;
    }
}

json_t *template_fill(const json_t *tpl, const json_t *set)
{
    if (json_is_string(tpl)) {
        CLEANUP(str_freep) char *s = params_fill(json_string_value(tpl), set);
        return json_string(s);
    }
    if (json_is_array(tpl)) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(tpl); i++)
            json_array_append_new(list, template_fill(json_array_get(tpl, i), set));
        return list;
    }
    if (json_is_object(tpl)) {
        json_t *map = json_object();
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)tpl, key, v)
        {
            CLEANUP(str_freep) char *k = params_fill(key, set);
            json_object_set_new(map, k, template_fill(v, set));
        }
        return map;
    }
    return json_deep_copy((json_t *)tpl);
}
