// SPDX-License-Identifier: Apache-2.0
//
// Verification looks at every list of every snapshot, and trees of values cost ten times what
// reading costs. So text of the form that we write ourselves is gone through as it stands: no
// blanks, keys ascending, ASCII without escapes, whole numbers. In this form there is nothing that
// two readers could take differently; whatever else there may be is parsed.
#include "snapshot/refs.h"

#include <stdlib.h>

#include "gitops/gitops.h"

#define MAX_DEPTH 32

void list_refs_clear(struct list_refs *r)
{
    for (size_t i = 0; i < r->files.len; i++)
        json_decref(r->files.v[i]);
    vec_clear(&r->files);
    vec_clear(&r->ids);
}

// ---- the plain form ----

struct scan {
    const char *p, *end;
    struct list_refs *out;
};

struct piece { // a string, without its quotes
    const char *p;
    size_t len;
};

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool scan_string(struct scan *s, struct piece *out)
{
    if (!take(s, '"'))
        return false;
    out->p = s->p;
    while (s->p < s->end && *s->p >= ' ' && *s->p < 0x7f && *s->p != '"' && *s->p != '\\')
        s->p++;
    out->len = (size_t)(s->p - out->p);
    return take(s, '"');
}

static bool is_word(const struct piece *s, const char *word)
{
    return s->len == strlen(word) && !memcmp(s->p, word, s->len);
}

static bool scan_number(struct scan *s)
{
    take(s, '-');
    const char *first = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    size_t digits = (size_t)(s->p - first);
    return digits == 1 || (digits > 1 && digits < 18 && *first != '0');
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool scan_ref(struct scan *s)
{
    struct piece x;
    char hex[33];
    struct blob_id id;
    if (!scan_string(s, &x) || x.len != sizeof(hex) - 1)
        return false;
    memcpy(hex, x.p, x.len);
    hex[x.len] = '\0';
    if (!blob_id_parse(hex, &id))
        return false;
    *vec_push(&s->out->ids) = id;
    return true;
}

static bool scan_refs(struct scan *s)
{
    if (!take(s, '['))
        return scan_ref(s);
    if (take(s, ']'))
        return true;
    do
        if (!scan_ref(s))
            return false;
    while (take(s, ','));
    return take(s, ']');
}

static bool scan_value(struct scan *s, int depth);

static bool scan_array(struct scan *s, int depth)
{
    if (take(s, ']'))
        return true;
    do
        if (!scan_value(s, depth))
            return false;
    while (take(s, ','));
    return take(s, ']');
}

// The text of one map in a list: what is told of a file is looked at as a value.
static bool add_file(struct scan *s, const char *from)
{
    struct err err = {0};
    json_t *v = NULL;
    bool ok = canon_read(from, (size_t)(s->p - from), &v, &err);
    if (ok)
        *vec_push(&s->out->files) = v;
    err_clear(&err);
    return ok;
}

static int compare(const struct piece *a, const struct piece *b)
{
    int c = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static bool scan_object(struct scan *s, int depth)
{
    const char *from = s->p - 1;
    struct piece last = {0};
    bool has_blobs = false;
    bool has_sum = false;
    if (take(s, '}'))
        return true;
    do {
        struct piece key;
        if (!scan_string(s, &key) || !take(s, ':') || (last.p && compare(&last, &key) >= 0))
            return false;
        last = key;
        bool is_list = s->p < s->end && *s->p == '[';
        bool is_text = s->p < s->end && *s->p == '"';
        bool is_blobs = is_word(&key, "blobs");
        has_blobs |= is_blobs && is_list;
        has_sum |= is_word(&key, "sha256") && is_text;
        if (!(is_blobs || is_word(&key, "blob") ? scan_refs(s) : scan_value(s, depth)))
            return false;
    } while (take(s, ','));
    return take(s, '}') && (!has_blobs || !has_sum || add_file(s, from));
}

static bool scan_value(struct scan *s, int depth)
{
    struct piece text;
    if (s->p == s->end || depth >= MAX_DEPTH)
        return false;
    switch (*s->p) {
    case '{':
        s->p++;
        return scan_object(s, depth + 1);
    case '[':
        s->p++;
        return scan_array(s, depth + 1);
    case '"':
        return scan_string(s, &text);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

bool list_refs_scan(const char *p, size_t len, struct list_refs *out)
{
    struct scan s = {p, p + len, out};
    if (!scan_value(&s, 0))
        return false;
    take(&s, '\n');
    return s.p == s.end;
}

// ---- any form ----

static bool find(const json_t *v, struct list_refs *out, struct err *err)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if (!find(x, out, err))
                return false;
        }
        return true;
    }
    if (!json_is_object(v))
        return true;
    const json_t *blobs = json_object_get(v, "blobs");
    if (json_is_string(json_object_get(v, "sha256")) && json_is_array(blobs))
        *vec_push(&out->files) = json_incref((json_t *)v);
    json_object_foreach((json_t *)v, key, x)
    {
        bool is_ref = !strcmp(key, "blob") || !strcmp(key, "blobs");
        size_t n = json_is_array(x) ? json_array_size(x) : 1;
        for (i = 0; is_ref && i < n; i++) {
            const json_t *one = json_is_array(x) ? json_array_get(x, i) : x;
            struct blob_id id;
            if (!json_is_string(one) || !blob_id_parse(json_string_value(one), &id))
                return err_set(err, ERR_CORRUPT, "a reference that is no blob's name");
            *vec_push(&out->ids) = id;
        }
        if (!is_ref && !find(x, out, err))
            return false;
    }
    return true;
}

bool list_refs_find(const char *p, size_t len, struct list_refs *out, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (list_refs_scan(p, len, out))
        return true;
    list_refs_clear(out);
    if (canon_read(p, len, &doc, err))
        return find(doc, out, err);
    err->kind = ERR_CORRUPT;
    return false;
}
