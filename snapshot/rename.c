// SPDX-License-Identifier: Apache-2.0
#include "snapshot/rename.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"

#define MAX_DEPTH 1000 // of lists that name lists

void renaming_clear(struct renaming *n)
{
    idmap_clear(&n->map);
    vec_clear(&n->ids);
}

bool renamed(const struct renaming *n, const struct blob_id *old, struct blob_id *out)
{
    uint32_t at;
    if (!idmap_get(&n->map, old, &at))
        return false;
    *out = n->ids.v[at];
    return true;
}

static bool rename_one(struct renaming *n, const struct blob_id *old, struct blob_id *out,
                       unsigned depth, struct err *err);

static bool new_name(struct renaming *n, const json_t *hex, json_t **out, unsigned depth,
                     struct err *err)
{
    struct blob_id old;
    struct blob_id new;
    char text[33];
    const char *s = json_string_value(hex);
    if (!s || !blob_id_parse(s, &old))
        return err_set(err, ERR_CORRUPT, "a reference that is no blob's name");
    if (!rename_one(n, &old, &new, depth, err))
        return false;
    blob_id_hex(&new, text);
    *out = json_string(text);
    return true;
}

// Members "blob" and "blobs" are references wherever they stand, and nothing else is.
static bool rename_refs(struct renaming *n, json_t *v, unsigned depth, struct err *err)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if (!rename_refs(n, x, depth, err))
                return false;
        }
        return true;
    }
    if (!json_is_object(v))
        return true;
    json_object_foreach(v, key, x)
    {
        json_t *name = NULL;
        if (!strcmp(key, "blob")) {
            if (!new_name(n, x, &name, depth, err))
                return false;
            json_object_set_new(v, "blob", name); // of a key that is there: nothing moves
        } else if (!strcmp(key, "blobs")) {
            for (i = 0; i < json_array_size(x); i++) {
                if (!new_name(n, json_array_get(x, i), &name, depth, err))
                    return false;
                json_array_set_new(x, i, name);
            }
        } else if (!rename_refs(n, x, depth, err)) {
            return false;
        }
    }
    return true;
}

static bool put_doc(struct renaming *n, json_t *doc, char kind, struct blob_id *out, unsigned depth,
                    struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_CORRUPT, "lists that name lists, more than %d deep", MAX_DEPTH);
    if (!rename_refs(n, doc, depth + 1, err))
        return false;
    canon_write(doc, &b);
    buf_char(&b, '\n');
    return n->put(n->ctx, kind, b.p, b.len, out, err);
}

static bool put_list(struct renaming *n, const struct blob_id *old, char kind, struct blob_id *out,
                     unsigned depth, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    return reader_json(n->r, old, kind, &doc, err) && put_doc(n, doc, kind, out, depth, err);
}

static bool put_bytes(struct renaming *n, const struct blob_id *old, char kind, struct blob_id *out,
                      struct err *err)
{
    struct buf b CLEANUP(buf_wipe) = {0};
    return reader_blob(n->r, old, NULL, &b, err) && n->put(n->ctx, kind, b.p, b.len, out, err);
}

static bool rename_one(struct renaming *n, const struct blob_id *old, struct blob_id *out,
                       unsigned depth, struct err *err)
{
    char kind = reader_kind(n->r, old);
    if (renamed(n, old, out))
        return true;
    if (!kind || kind == 'g')
        return err_set(err, ERR_CORRUPT, "a reference to what is not in the snapshot");
    if (n->loop && loop_stopping(n->loop))
        return loop_stopped(n->loop, err, "copying");
    bool is_list = kind == 'r' || kind == 'l';
    if (!(is_list ? put_list(n, old, kind, out, depth, err) : put_bytes(n, old, kind, out, err)))
        return false;
    idmap_set(&n->map, old, (uint32_t)n->ids.len);
    *vec_push(&n->ids) = *out;
    return true;
}

bool rename_blob(struct renaming *n, const struct blob_id *old, struct blob_id *out,
                 struct err *err)
{
    return rename_one(n, old, out, 0, err);
}

bool rename_doc(struct renaming *n, json_t *doc, char kind, struct blob_id *out, struct err *err)
{
    return put_doc(n, doc, kind, out, 0, err);
}
