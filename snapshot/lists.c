// SPDX-License-Identifier: Apache-2.0
#include "snapshot/lists.h"

#include <string.h>

#include "gitops/gitops.h"

#define MAX_LIST_PAGES 65536 // of one list; a writer makes one for 16 rows or so
#define MAX_PARTS 100000     // of one list that goes on in others
#define MAX_PARENTS 256
#define MAX_APPS 20000
#define MAX_ROWS 1000000 // of all applications: one list may be named any number of times

bool list_open(struct reader *r, const json_t *ref, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(ref, "blob");
    *out = NULL;
    if (!hex)
        return true;
    return (blob_id_parse(hex, &id) || err_set(err, ERR_CORRUPT, "a reference that is none")) &&
           reader_json(r, &id, 'l', out, err);
}

// One list may name another any number of times: what comes of it is bounded, not only what is
// there.
static bool add_rows(json_t *to, const json_t *part, const char *rows, struct err *err)
{
    const json_t *from = json_object_get(part, rows);
    if (json_array_size(to) + json_array_size(from) > MAX_ROWS)
        return err_set(err, ERR_CORRUPT, "a list of more than %d rows", MAX_ROWS);
    json_array_extend(to, (json_t *)from);
    return true;
}

// The names of its pages, each once: what is named again would be opened again. Borrowed; *ids
// NULL: it has none.
static bool page_names(const json_t *list, const json_t **ids, struct err *err)
{
    const json_t *pages = json_object_get(list, "pages");
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *hex;
    *ids = json_object_get(pages, "blobs");
    if (!pages)
        return true;
    if (!json_is_array(*ids) || json_array_size(*ids) > MAX_LIST_PAGES)
        return err_set(err, ERR_CORRUPT, "pages of a list that are no list");
    json_array_foreach(*ids, i, hex)
    {
        if (!json_is_string(hex) || json_object_get(seen, json_string_value(hex)))
            return err_set(err, ERR_CORRUPT, "a page of a list that is none, or is named twice");
        json_object_set(seen, json_string_value(hex), hex);
    }
    return true;
}

bool list_join_pages(struct reader *r, json_t *list, const char *rows, struct err *err)
{
    const json_t *ids;
    size_t i;
    json_t *hex;
    if (!page_names(list, &ids, err))
        return false;
    if (json_array_size(ids) && !json_object_get(list, rows))
        json_object_set_new(list, rows, json_array()); // all of them are in pages
    json_array_foreach(ids, i, hex)
    {
        CLEANUP(json_freep) json_t *ref = json_pack("{s:O}", "blob", hex);
        CLEANUP(json_freep) json_t *page = NULL;
        if (!list_open(r, ref, &page, err) ||
            !add_rows(json_object_get(list, rows), page, rows, err))
            return false;
    }
    json_object_del(list, "pages");
    return true;
}

static bool read_more(struct reader *r, const char *rows, json_t *list, struct err *err)
{
    json_t *next = json_incref(json_object_get(list, "more"));
    bool ok = true;
    for (size_t i = 0; ok && next; i++) {
        CLEANUP(json_freep) json_t *part = NULL;
        CLEANUP(json_freep) json_t *at = TAKE(next);
        ok = i < MAX_PARTS || err_set(err, ERR_CORRUPT, "a list without end");
        ok = ok && list_open(r, at, &part, err);
        if (ok && json_object_get(part, "pages"))
            ok = err_set(err, ERR_CORRUPT, "pages in what a list goes on in");
        if (!ok || !part)
            break;
        ok = add_rows(json_object_get(list, rows), part, rows, err);
        next = json_incref(json_object_get(part, "more"));
    }
    json_decref(next);
    json_object_del(list, "more");
    return ok;
}

bool list_read(struct reader *r, const json_t *ref, const char *rows, json_t **out, struct err *err)
{
    return list_open(r, ref, out, err) &&
           (!*out || (list_join_pages(r, *out, rows, err) && read_more(r, rows, *out, err)));
}

bool list_read_all(struct reader *r, const json_t *root, const char *member, const char *rows,
                   json_t **out, struct err *err)
{
    CLEANUP(str_freep) char *before = str_printf("%sBefore", member);
    const char *const members[] = {member, before};
    *out = json_array();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        CLEANUP(json_freep) json_t *list = NULL;
        if (!list_read(r, json_object_get(root, members[i]), rows, &list, err))
            return false;
        json_array_extend(*out, json_object_get(list, rows));
    }
    return true;
}

bool list_each_app(struct reader *r, const json_t *shards, list_row_fn fn, void *ctx,
                   struct err *err)
{
    size_t i;
    size_t k;
    json_t *hex;
    json_t *row;
    json_array_foreach(shards, i, hex)
    {
        CLEANUP(json_freep) json_t *ref = json_pack("{s:O}", "blob", hex);
        CLEANUP(json_freep) json_t *shard = NULL;
        if (!list_read(r, ref, "applications", &shard, err))
            return false;
        json_array_foreach(json_object_get(shard, "applications"), k, row)
        {
            if (!fn(ctx, row, err))
                return false;
        }
    }
    return true;
}

bool list_each_app_ever(struct reader *r, const json_t *root, list_row_fn fn, void *ctx,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *before = NULL;
    return list_each_app(r, json_dot(root, "shards.blobs"), fn, ctx, err) &&
           list_read(r, json_object_get(root, "before"), "blobs", &before, err) &&
           list_each_app(r, json_object_get(before, "blobs"), fn, ctx, err);
}

// ---- applications: those there are, and those that one which could not be read had ----

struct adding {
    struct reader *r;
    json_t *to;
    size_t rows;
};

static bool add_app(void *ctx, const json_t *row, struct err *err)
{
    struct adding *a = ctx;
    CLEANUP(json_freep) json_t *list = NULL;
    const char *name = json_dot_str(row, "name");
    if (!name || !list_read(a->r, row, "objects", &list, err))
        return name ? false : err_set(err, ERR_CORRUPT, "an application without a name");
    a->rows += json_array_size(json_object_get(list, "objects"));
    if (a->rows > MAX_ROWS || json_object_size(a->to) >= MAX_APPS)
        return err_set(err, ERR_CORRUPT, "more than %d applications, or %d objects", MAX_APPS,
                       MAX_ROWS);
    json_t *app = json_pack("{s:b}", "stale", json_is_true(json_object_get(row, "stale")));
    if (list)
        json_object_set(app, "list", list);
    json_object_set_new(a->to, name, app);
    return true;
}

// Does its parent, or the parent of that, stand for what it had before?
static bool is_below_stale(const json_t *apps, const json_t *before, const char *name)
{
    for (unsigned i = 0; name && i < MAX_PARENTS; i++) {
        const json_t *now = json_object_get(apps, name);
        if (now)
            return json_is_true(json_object_get(now, "stale"));
        name = json_dot_str(json_object_get(json_object_get(before, name), "list"), "parent");
    }
    return false;
}

static bool add_before(struct reader *r, const json_t *root, json_t *apps, struct err *err)
{
    CLEANUP(json_freep) json_t *list = NULL;
    CLEANUP(json_freep) json_t *before = json_object();
    CLEANUP(json_freep) json_t *kept = json_object();
    struct adding a = {r, before, 0};
    const char *name;
    json_t *app;
    if (!list_read(r, json_object_get(root, "before"), "blobs", &list, err) ||
        !list_each_app(r, json_object_get(list, "blobs"), add_app, &a, err))
        return false;
    json_object_foreach(before, name, app)
    {
        if (!json_object_get(apps, name) && is_below_stale(apps, before, name))
            json_object_set(kept, name, app);
    }
    json_object_update(apps, kept);
    return true;
}

bool list_apps(struct reader *r, const json_t *root, json_t **out, struct err *err)
{
    const json_t *shards = json_object_get(json_object_get(root, "shards"), "blobs");
    CLEANUP(json_freep) json_t *apps = json_object();
    struct adding a = {r, apps, 0};
    *out = NULL;
    if (!list_each_app(r, shards, add_app, &a, err) || !add_before(r, root, apps, err))
        return false;
    *out = TAKE(apps);
    return true;
}

bool list_document(struct reader *r, const json_t *ref, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(ref, "blob");
    *out = NULL;
    if (!hex)
        return true;
    return (blob_id_parse(hex, &id) || err_set(err, ERR_CORRUPT, "a reference that is none")) &&
           reader_json(r, &id, 'o', out, err);
}

// ---- a hub's other clusters ----

char *list_cluster_scope(const char *server, const char *name)
{
    return str_printf("cluster %s %s", server ? server : "", name ? name : "");
}

static bool is_same_cluster(const json_t *a, const json_t *b)
{
    return str_eq(json_dot_text(a, "server"), json_dot_text(b, "server")) &&
           str_eq(json_dot_text(a, "name"), json_dot_text(b, "name"));
}

bool list_clusters(struct reader *r, const json_t *root, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *once = json_array();
    size_t i;
    json_t *row;
    *out = NULL;
    if (!list_read_all(r, root, "clusters", "clusters", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        size_t k = 0;
        while (k < json_array_size(once) && !is_same_cluster(json_array_get(once, k), row))
            k++;
        if (k == json_array_size(once))
            json_array_append(once, row);
    }
    *out = TAKE(once);
    return true;
}

// ---- Secrets ----

static bool read_line(const char *text, size_t len, list_secret_fn fn, void *ctx, struct err *err)
{
    CLEANUP(json_freep) json_t *line = NULL;
    if (!canon_read(text, len, &line, err)) {
        err_clear(err); // its message may quote
        return err_set(err, ERR_CORRUPT, "a line in the pool of Secrets is no document");
    }
    return fn(ctx, line, text, len, err);
}

static bool read_pool(struct reader *r, const json_t *hex, list_secret_fn fn, void *ctx,
                      struct err *err)
{
    struct blob_id id;
    struct buf b CLEANUP(buf_wipe) = {0};
    const char *text = json_string_value(hex);
    if (!text || !blob_id_parse(text, &id))
        return err_set(err, ERR_CORRUPT, "a reference that is none");
    if (!reader_blob(r, &id, NULL, &b, err))
        return false;
    for (size_t at = 0; at < b.len;) {
        const char *end = memchr(b.p + at, '\n', b.len - at);
        size_t len = end ? (size_t)(end - (b.p + at)) : b.len - at;
        if (!read_line(b.p + at, len, fn, ctx, err))
            return false;
        at += len + 1;
    }
    return true;
}

bool list_each_secret(struct reader *r, const json_t *root, list_secret_fn fn, void *ctx,
                      struct err *err)
{
    size_t i;
    size_t k;
    json_t *ref;
    json_t *hex;
    json_array_foreach(json_object_get(root, "secrets"), i, ref)
    {
        CLEANUP(json_freep) json_t *list = NULL;
        if (!list_read(r, ref, "blobs", &list, err))
            return false;
        json_array_foreach(json_object_get(list, "blobs"), k, hex)
        {
            if (!read_pool(r, hex, fn, ctx, err))
                return false;
        }
    }
    return true;
}

char *list_source_key(const json_t *source)
{
    return str_printf("%s %s %s %s", json_dot_text(source, "kind"), json_dot_text(source, "url"),
                      json_dot_text(source, "chart"), json_dot_text(source, "target"));
}
