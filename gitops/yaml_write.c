// SPDX-License-Identifier: Apache-2.0
//
// Block YAML: strings plain where they stay strings, several lines as literal blocks, everything
// else in double quotes with the escapes that every reader takes.
#include <stdlib.h>
#include <string.h>

#include "gitops/canon.h"
#include "gitops/yaml.h"
#include "gitops/yaml_scalar.h"

// YAML allows 1024 characters before the ":" of a simple key.
#define MAX_SIMPLE_KEY 1000

struct key {
    const char *text;
    size_t len;
    int rank;
};

static int rank_of(const char *k)
{
    return !strcmp(k, "apiVersion") ? 0 : !strcmp(k, "kind") ? 1 : !strcmp(k, "metadata") ? 2 : 3;
}

static int cmp_key(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;
    if (x->rank != y->rank)
        return x->rank - y->rank;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static void indent(unsigned depth, struct buf *out)
{
    for (unsigned i = 0; i < depth; i++)
        buf_append(out, "  ", 2);
}

// May it stand without quotes, and is it then read as the same string?
static bool is_plain_safe(const char *s, size_t len)
{
    if (!len || len > 200 || strchr("-?:,[]{}#&*!|>'\"%@`=<~ \t", s[0]) || s[len - 1] == ' ' ||
        s[len - 1] == ':' || str_starts(s, "..."))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c >= 0x7f || (c == '#' && s[i - 1] == ' ') || (c == ':' && s[i + 1] == ' '))
            return false;
    }
    struct scalar sc = {.text = s, .len = len, .is_plain = true};
    struct err err = {0};
    bool big;
    json_t *v = scalar_value(&sc, &big, &err);
    bool same = json_is_string(v);
    json_decref(v);
    err_clear(&err);
    return same;
}

// Several lines that a literal block gives back unchanged.
static bool is_block_safe(const char *s, size_t len)
{
    if (!memchr(s, '\n', len) || strchr(" \n\t", s[0]))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c >= 0x7f)
            return false;
        if ((c == ' ' || c == '\t') && (i + 1 == len || s[i + 1] == '\n'))
            return false;
    }
    return true;
}

static void write_block(const char *s, size_t len, unsigned depth, struct buf *out)
{
    bool ends = s[len - 1] == '\n';
    bool keeps = len > 1 && ends && s[len - 2] == '\n';
    buf_str(out, keeps ? "|+\n" : ends ? "|\n" : "|-\n");
    size_t stop = ends ? len - 1 : len;
    for (size_t at = 0; at <= stop;) {
        const char *nl = memchr(s + at, '\n', stop - at);
        size_t end = nl ? (size_t)(nl - s) : stop;
        if (end > at)
            indent(depth, out);
        buf_append(out, s + at, end - at);
        buf_char(out, '\n');
        at = end + 1;
    }
}

static void write_inline(const json_t *v, struct buf *out)
{
    if (json_is_string(v) && is_plain_safe(json_string_value(v), json_string_length(v)))
        buf_append(out, json_string_value(v), json_string_length(v));
    else
        canon_write(v, out);
}

static void write_key(const char *k, size_t len, unsigned depth, struct buf *out)
{
    struct buf b CLEANUP(buf_clear) = {0};
    json_t *s = json_stringn(k, len);
    write_inline(s, &b);
    json_decref(s);
    const bool is_long = b.len > MAX_SIMPLE_KEY;
    if (is_long)
        buf_str(out, "? ");
    buf_append(out, b.p, b.len);
    if (is_long) {
        buf_char(out, '\n');
        indent(depth, out);
    }
    buf_char(out, ':');
}

static void write_value(const json_t *v, unsigned depth, bool in_list, struct buf *out);

static void write_map(const json_t *v, unsigned depth, bool first_inline, struct buf *out)
{
    size_t n = json_object_size(v);
    struct key *keys = mem_realloc(NULL, n, sizeof(*keys));
    size_t i = 0;
    json_t *obj = (json_t *)v;
    for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
        const char *k = json_object_iter_key(it);
        keys[i++] = (struct key){k, json_object_iter_key_len(it), depth == 0 ? rank_of(k) : 0};
    }
    qsort(keys, n, sizeof(*keys), cmp_key);
    for (i = 0; i < n; i++) {
        if (i || !first_inline)
            indent(depth, out);
        write_key(keys[i].text, keys[i].len, depth, out);
        write_value(json_object_getn(v, keys[i].text, keys[i].len), depth, false, out);
    }
    free(keys);
}

// What follows "key:" or "-", with its line end.
static void write_value(const json_t *v, unsigned depth, bool in_list, struct buf *out)
{
    if (json_is_object(v) && json_object_size(v)) {
        buf_str(out, in_list ? " " : "\n");
        write_map(v, depth + 1, in_list, out);
    } else if (json_is_array(v) && json_array_size(v)) {
        buf_char(out, '\n');
        unsigned d = in_list ? depth + 1 : depth;
        for (size_t i = 0; i < json_array_size(v); i++) {
            indent(d, out);
            buf_char(out, '-');
            write_value(json_array_get(v, i), d, true, out);
        }
    } else if (json_is_string(v) && is_block_safe(json_string_value(v), json_string_length(v))) {
        buf_char(out, ' ');
        write_block(json_string_value(v), json_string_length(v), depth + 1, out);
    } else {
        buf_char(out, ' ');
        write_inline(v, out);
        buf_char(out, '\n');
    }
}

void yaml_write(const json_t *v, struct buf *out)
{
    if (json_is_object(v) && json_object_size(v)) {
        write_map(v, 0, false, out);
    } else if (json_is_array(v) && json_array_size(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            buf_char(out, '-');
            write_value(json_array_get(v, i), 0, true, out);
        }
    } else {
        write_inline(v, out);
        buf_char(out, '\n');
    }
}
