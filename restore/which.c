// SPDX-License-Identifier: Apache-2.0
#include "restore/which.h"

#include <string.h>

#include "gitops/gitops.h"

const struct entry *which_at(const struct log *l, int64_t unix_s)
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && e->time_unix_s <= unix_s &&
            log_standing(l, e) == STANDING_LIVE && log_goodness(l, e) >= SNAP_GOOD &&
            (!found || e->seq > found->seq))
            found = e;
    }
    return found;
}

// The root's own list, opened alone: lists of others need not be read for it.
struct finding {
    struct reader *r;
    char *name;    // of the root, as lists have it
    json_t *found; // its list
};

static bool take_root(void *ctx, const json_t *row, struct err *err)
{
    struct finding *f = ctx;
    CLEANUP(json_freep) json_t *list = NULL;
    const char *name = json_dot_str(row, "name");
    bool may_be = str_eq(name, f->name) ||
                  (name && str_starts(name, "root_") && str_eq(name + strlen("root_"), f->name));
    if (f->found || !may_be)
        return true;
    if (!list_open(f->r, row, &list, err))
        return false;
    if (list && !json_object_get(list, "parent") && !json_object_get(list, "document"))
        f->found = TAKE(list);
    return true;
}

static bool same(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"kind", "url", "chart", "target"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!str_eq(json_dot_str(a, keys[i]), json_dot_str(b, keys[i])))
            return false;
    return true;
}

static bool revision_of(struct reader *r, const json_t *root, const json_t *source, char **out,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_read_all(r, root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *v = NULL;
        if (!same(row, source))
            continue;
        if (!list_open(r, row, &v, err))
            return false;
        *out = str_dup_or_null(json_dot_str(v, "revision"));
        return true;
    }
    return true;
}

bool which_revision(struct reader *r, char **out, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    *out = NULL;
    if (!reader_root(r, &root, err))
        return false;
    const char *name = json_dot_str(root, "name");
    struct finding f = {.r = r, .name = str_dup(name ? name : "")};
    for (char *p = f.name; *p; p++)
        if (*p == ' ')
            *p = '-';
    bool ok = list_each_app(r, json_dot(root, "shards.blobs"), take_root, &f, err);
    if (ok && f.found)
        ok = revision_of(r, root, json_array_get(json_object_get(f.found, "sources"), 0), out, err);
    json_decref(f.found);
    str_freep(&f.name);
    return ok;
}
