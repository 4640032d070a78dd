// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/diff_int.h"
#include "snapshot/lists.h"

// ---- objects ----
static char *key_of(const json_t *row)
{
    static const char *const members[] = {"group", "kind", "namespace", "name"};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *v = json_dot_str(row, members[i]);
        buf_printf(&b, "%s%s", i ? "\n" : "", v ? v : "");
    }
    return buf_take(&b);
}

static json_t *by_key(const json_t *rows)
{
    json_t *out = json_object();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(str_freep) char *key = key_of(row);
        json_object_set(out, key, row);
    }
    return out;
}

static bool document_of(const struct diff_side *s, const json_t *row, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(row, "blob");
    *out = NULL;
    if (!hex)
        return true;
    return (blob_id_parse(hex, &id) || err_set(err, ERR_CORRUPT, "a reference that is none")) &&
           reader_json(s->r, &id, 'o', out, err);
}

static json_t *object_of(const json_t *row, const char *change)
{
    static const char *const members[] = {"group", "version", "kind", "namespace", "name", "rule"};
    json_t *x = json_pack("{s:s}", "change", change);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(row, members[i]))
            json_object_set(x, members[i], json_object_get(row, members[i]));
    return x;
}

// Rows of a Secret name it only; what is in it is compared apart.
static bool compare_object(struct diffing *d, const json_t *row_a, const json_t *row_b, json_t *out,
                           struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    if (str_eq(json_dot_str(row_a, "blob"), json_dot_str(row_b, "blob")))
        return true;
    if (!document_of(&d->a, row_a, &a, err) || !document_of(&d->b, row_b, &b, err))
        return false;
    json_t *fields = json_array();
    diff_fields(a, b, fields);
    if (!json_array_size(fields)) { // another epoch's name for the same
        json_decref(fields);
        return true;
    }
    json_t *x = object_of(row_b, "changed");
    json_object_set_new(x, "fields", fields);
    json_array_append_new(out, x);
    return true;
}

static bool compare_rows(struct diffing *d, const json_t *rows_a, const json_t *rows_b, json_t *out,
                         struct err *err)
{
    CLEANUP(json_freep) json_t *a = by_key(rows_a);
    CLEANUP(json_freep) json_t *b = by_key(rows_b);
    const char *key;
    json_t *row;
    json_object_foreach(a, key, row)
    {
        const json_t *now = json_object_get(b, key);
        if (!now)
            json_array_append_new(out, object_of(row, "removed"));
        else if (!compare_object(d, row, now, out, err))
            return false;
    }
    json_object_foreach(b, key, row)
    {
        if (!json_object_get(a, key))
            json_array_append_new(out, object_of(row, "added"));
    }
    return true;
}

// ---- applications ----
static bool add_row(void *out, const json_t *row, struct err *err)
{
    const char *name = json_dot_str(row, "name");
    (void)err;
    if (name && !json_object_get(out, name))
        json_object_set(out, name, (json_t *)row);
    return true;
}

// name -> row; with those that are known from before alone
static bool applications_of(const struct diff_side *s, json_t **out, struct err *err)
{
    *out = json_object();
    return list_each_app_ever(s->r, s->root, add_row, *out, err);
}

// In the shards of another cluster stand also those that are only parents of what goes there.
static bool goes_there(const struct diffing *d, const json_t *list)
{
    return !d->is_other || json_array_size(json_object_get(list, "objects")) ||
           (json_object_get(list, "parent") && !json_is_true(json_object_get(list, "elsewhere")));
}

static bool list_of(const struct diffing *d, const struct diff_side *s, const json_t **row,
                    json_t **out, struct err *err)
{
    if (*row && !list_read(s->r, *row, "objects", out, err))
        return false;
    if (*out && !goes_there(d, *out))
        *row = NULL;
    return true;
}

static bool compare_application(struct diffing *d, const char *name, const json_t *row_a,
                                const json_t *row_b, json_t *out, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    if (!list_of(d, &d->a, &row_a, &a, err) || !list_of(d, &d->b, &row_b, &b, err))
        return false;
    if (!row_a && !row_b)
        return true;
    json_t *objects = json_array();
    CLEANUP(json_freep)
    json_t *x = json_pack("{s:s, s:s, s:o}", "name", name, "change",
                          !row_a   ? "added"
                          : !row_b ? "removed"
                                   : "changed",
                          "objects", objects);
    if (!compare_rows(d, json_object_get(a, "objects"), json_object_get(b, "objects"), objects,
                      err))
        return false;
    if (json_is_true(json_object_get(row_b, "stale")))
        json_object_set_new(x, "stale", json_true());
    if (!row_a || !row_b || json_array_size(objects))
        json_array_append(out, x);
    return true;
}

bool diff_applications(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    const char *name;
    json_t *row;
    json_object_set_new(d->out, "applications", out);
    if (!applications_of(&d->a, &a, err) || !applications_of(&d->b, &b, err))
        return false;
    json_object_foreach(a, name, row)
    {
        const json_t *now = json_object_get(b, name);
        bool same = now && str_eq(json_dot_str(row, "blob"), json_dot_str(now, "blob"));
        if (!same && !compare_application(d, name, row, now, out, err))
            return false;
    }
    json_object_foreach(b, name, row)
    {
        if (!json_object_get(a, name) && !compare_application(d, name, NULL, row, out, err))
            return false;
    }
    return true;
}

// What no application owns.
static bool diff_live(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    json_object_set_new(d->out, "live", out);
    return list_read(d->a.r, json_object_get(d->a.root, "live"), "objects", &a, err) &&
           list_read(d->b.r, json_object_get(d->b.root, "live"), "objects", &b, err) &&
           compare_rows(d, json_object_get(a, "objects"), json_object_get(b, "objects"), out, err);
}

// ---- sources ----
static char *source_name(const json_t *row)
{
    static const char *const members[] = {"kind", "url", "chart", "target"};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *v = json_dot_str(row, members[i]);
        buf_printf(&b, "%s%s", i ? "\n" : "", v ? v : "");
    }
    return buf_take(&b);
}

// name -> its list (null: never read)
static bool sources_of(const struct diff_side *s, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    *out = json_object();
    if (!list_read_all(s->r, s->root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        json_t *list = NULL;
        CLEANUP(str_freep) char *name = source_name(row);
        if (json_object_get(*out, name))
            continue;
        if (!list_open(s->r, row, &list, err))
            return false;
        json_object_set_new(*out, name, list ? list : json_null());
    }
    return true;
}

static void add_source(json_t *out, const char *name, const json_t *a, const json_t *b)
{
    struct strv parts = {0};
    const char *from = json_dot_str(a, "revision");
    const char *to = json_dot_str(b, "revision");
    const char *was = json_dot_str(a, "digest");
    const char *is = json_dot_str(b, "digest");
    strv_split(&parts, name, '\n');
    json_t *x = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*}", "kind", parts.v[0], "url",
                          parts.v[1], "chart", parts.v[2], "target", parts.v[3], "change",
                          !a   ? "added"
                          : !b ? "removed"
                               : "changed",
                          "from", from ? from : was, "to", to ? to : is);
    if (from && to && !strcmp(from, to)) // the same version, of other bytes
        json_object_set_new(x, "rewritten", json_true());
    json_array_append_new(out, x);
    strv_clear(&parts);
}

static bool diff_sources(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    const char *name;
    json_t *v;
    json_object_set_new(d->out, "sources", out);
    if (!sources_of(&d->a, &a, err) || !sources_of(&d->b, &b, err))
        return false;
    json_object_foreach(a, name, v)
    {
        const json_t *now = json_object_get(b, name);
        if (!now || !str_eq(json_dot_str(v, "revision"), json_dot_str(now, "revision")) ||
            !str_eq(json_dot_str(v, "digest"), json_dot_str(now, "digest")))
            add_source(out, name, v, now);
    }
    json_object_foreach(b, name, v)
    {
        if (!json_object_get(a, name))
            add_source(out, name, NULL, v);
    }
    return true;
}

// ---- versions ----
static bool diff_versions(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    json_object_set_new(d->out, "versions", out);
    if (!list_open(d->a.r, json_object_get(d->a.root, "versions"), &a, err) ||
        !list_open(d->b.r, json_object_get(d->b.root, "versions"), &b, err))
        return false;
    json_object_del(a, "apis"); // long, and told by the version of Kubernetes and by the CRDs
    json_object_del(b, "apis");
    diff_fields(a, b, out);
    return true;
}

bool snapshot_diff(struct reader *a, struct reader *b, const struct diff_opts *o, json_t **out,
                   struct err *err)
{
    struct diffing d = {.a.r = a, .b.r = b, .o = o, .out = json_object()};
    bool ok = reader_root(a, &d.a.root, err) && reader_root(b, &d.b.root, err) &&
              diff_git(&d, err) && diff_sources(&d, err) && diff_applications(&d, err) &&
              diff_live(&d, err) && diff_pool(&d, err) && diff_versions(&d, err) &&
              diff_clusters(&d, err);
    json_decref(d.a.root);
    json_decref(d.b.root);
    *out = d.out;
    return ok;
}

bool snapshot_diff_is_empty(const json_t *diff)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)diff, key, v)
    {
        if (json_array_size(v))
            return false;
    }
    return true;
}
