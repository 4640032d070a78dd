// SPDX-License-Identifier: Apache-2.0
//
// What all stores share: names are checked on the way in and on the way out, and errors say which
// store and which file.
#include "snapshot/store.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_NAME 200 // the longest of the format has 142

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

// Letters of one case only: a store may not tell them apart. No part begins with a dot, so that
// stores can have temporaries of their own. A prefix may end with a slash.
static bool path_is_valid(const char *s, bool is_prefix)
{
    size_t n = strlen(s);
    if (!n || n > MAX_NAME)
        return is_prefix && !n;
    for (const char *part = s;;) {
        size_t len = 0;
        while (is_name_char(part[len]))
            len++;
        if (!len || part[0] == '.' || (part[len] && part[len] != '/'))
            return is_prefix && !len && !*part;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

bool name_is_valid(const char *name)
{
    return path_is_valid(name, false);
}

static bool wrap(const struct store *s, const char *what, const char *name, struct err *err)
{
    return err_wrap(err, "store %s: %s%s%s", s->url, what, *name ? " " : "", name);
}

static bool check_name(const struct store *s, const char *what, const char *name, struct err *err)
{
    if (name_is_valid(name))
        return true;
    err_set(err, ERR_INVALID, "not a name of the repository format");
    return wrap(s, what, name, err);
}

bool store_create(struct store *s, const char *name, const void *p, size_t len,
                  const struct strv *needs, bool *made, struct err *err)
{
    assert(len <= STORE_MAX_FILE_BYTES);
    return check_name(s, "create", name, err) &&
           (s->ops->create(s, name, p, len, needs, made, err) || wrap(s, "create", name, err));
}

// Out holds the whole file or what it held before.
bool store_get(struct store *s, const char *name, size_t max_bytes, struct buf *out, bool *found,
               struct err *err)
{
    size_t before = out->len;
    if (!check_name(s, "get", name, err))
        return false;
    *found = false;
    if (s->ops->get(s, name, max_bytes, out, found, err) && *found &&
        out->len - before <= max_bytes)
        return true;
    if (*found && !err_is_set(err))
        err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    out->len = before;
    if (out->p)
        out->p[before] = '\0';
    return !err_is_set(err) || wrap(s, "get", name, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

// A store's list is something said by others: what is no name of ours, or not asked for, is left
// out; what comes twice, once.
static void tidy(struct store_items *items, const char *prefix)
{
    size_t kept = 0;
    if (items->v.len)
        qsort(items->v.v, items->v.len, sizeof(*items->v.v), by_name);
    for (size_t i = 0; i < items->v.len; i++) {
        struct store_item *it = &items->v.v[i];
        if (name_is_valid(it->name) && str_starts(it->name, prefix) &&
            !(kept && !strcmp(items->v.v[kept - 1].name, it->name)))
            items->v.v[kept++] = *it;
        else
            free(it->name);
    }
    items->v.len = kept;
}

bool store_list(struct store *s, const char *prefix, struct store_items *out, struct err *err)
{
    assert(path_is_valid(prefix, true) && !out->v.len);
    if (!s->ops->list(s, prefix, out, err)) {
        store_items_clear(out);
        return wrap(s, "list", prefix, err);
    }
    tidy(out, prefix);
    return true;
}

bool store_stranger(struct store *s, char **name, struct err *err)
{
    *name = NULL;
    return !s->ops->stranger || s->ops->stranger(s, name, err) || wrap(s, "look at it", "", err);
}

bool store_remove(struct store *s, const char *name, struct err *err)
{
    return check_name(s, "delete", name, err) &&
           (s->ops->remove(s, name, err) || wrap(s, "delete", name, err));
}

bool store_now(struct store *s, int64_t *unix_ms, struct err *err)
{
    return s->ops->now(s, unix_ms, err) || wrap(s, "read its clock", "", err);
}

bool store_retain(struct store *s, const char *name, int64_t until_unix_ms, struct err *err)
{
    return check_name(s, "retain", name, err) &&
           (!s->ops->retain || s->ops->retain(s, name, until_unix_ms, err) ||
            wrap(s, "retain", name, err));
}

bool store_retained(struct store *s, const char *name, int64_t *until_unix_ms, struct err *err)
{
    *until_unix_ms = 0;
    return check_name(s, "look at the lock of", name, err) &&
           (!s->ops->retained || s->ops->retained(s, name, until_unix_ms, err) ||
            wrap(s, "look at the lock of", name, err));
}

void store_items_clear(struct store_items *i)
{
    for (size_t n = 0; n < i->v.len; n++)
        free(i->v.v[n].name);
    vec_clear(&i->v);
}

void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}
