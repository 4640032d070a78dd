// SPDX-License-Identifier: Apache-2.0
#include "snapshot/lists.h"

#include <string.h>

#include "gitops/gitops.h"

#define MAX_PARTS 100000 // of one list that goes on in others

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

bool list_read(struct reader *r, const json_t *ref, const char *rows, json_t **out, struct err *err)
{
    if (!list_open(r, ref, out, err))
        return false;
    json_t *next = *out ? json_incref(json_object_get(*out, "more")) : NULL;
    bool ok = true;
    for (size_t i = 0; ok && next; i++) {
        CLEANUP(json_freep) json_t *part = NULL;
        CLEANUP(json_freep) json_t *at = TAKE(next);
        ok = i < MAX_PARTS || err_set(err, ERR_CORRUPT, "a list without end");
        ok = ok && list_open(r, at, &part, err);
        if (!ok || !part)
            break;
        json_array_extend(json_object_get(*out, rows), json_object_get(part, rows));
        next = json_incref(json_object_get(part, "more"));
    }
    json_decref(next);
    return ok;
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
