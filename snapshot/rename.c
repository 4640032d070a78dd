// SPDX-License-Identifier: Apache-2.0
//
// Without recursion, and with one list in memory at a time: how deep lists lie in each other is
// said by who made them.
#include "snapshot/rename.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/lists.h"

#define OPEN UINT32_MAX // what it names is not done yet

void renaming_clear(struct renaming *n)
{
    idmap_clear(&n->map);
    vec_clear(&n->ids);
    vec_clear(&n->todo);
}

bool renamed(const struct renaming *n, const struct blob_id *old, struct blob_id *out)
{
    uint32_t at;
    if (!idmap_get(&n->map, old, &at) || at == OPEN)
        return false;
    *out = n->ids.v[at];
    return true;
}

// ---- references of a list ----

// False from fn ends it. One that is no name: CORRUPT.
typedef bool (*ref_fn)(struct renaming *n, const struct blob_id *old, json_t **out,
                       struct err *err);

static bool one_ref(struct renaming *n, const json_t *hex, ref_fn fn, json_t **out, struct err *err)
{
    struct blob_id old;
    const char *s = json_string_value(hex);
    *out = NULL;
    return ((s && blob_id_parse(s, &old)) ||
            err_set(err, ERR_CORRUPT, "a reference that is no blob's name")) &&
           fn(n, &old, out, err);
}

// Members "blob" and "blobs" are references wherever they stand, and nothing else is. What fn gives
// takes the place of one.
static bool each_ref(struct renaming *n, json_t *v, ref_fn fn, struct err *err)
{
    const char *key;
    json_t *x;
    json_t *new;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if (!each_ref(n, x, fn, err))
                return false;
        }
        return true;
    }
    if (!json_is_object(v))
        return true;
    json_object_foreach(v, key, x)
    {
        if (!strcmp(key, "blob")) {
            if (!one_ref(n, x, fn, &new, err))
                return false;
            if (new)
                json_object_set_new(v, "blob", new); // of a key that is there: nothing moves
        } else if (!strcmp(key, "blobs")) {
            for (i = 0; i < json_array_size(x); i++) {
                if (!one_ref(n, json_array_get(x, i), fn, &new, err))
                    return false;
                if (new)
                    json_array_set_new(x, i, new);
            }
        } else if (!each_ref(n, x, fn, err)) {
            return false;
        }
    }
    return true;
}

static bool give_name(struct renaming *n, const struct blob_id *old, json_t **out, struct err *err)
{
    struct blob_id new;
    char text[33];
    if (!renamed(n, old, &new))
        return err_set(err, ERR_INTERNAL, "a list before what it names");
    blob_id_hex(&new, text);
    *out = json_string(text);
    return true;
}

static bool note_missing(struct renaming *n, const struct blob_id *old, json_t **out,
                         struct err *err)
{
    uint32_t at;
    (void)out;
    if (!idmap_get(&n->map, old, &at))
        *vec_push(&n->todo) = *old;
    else if (at == OPEN)
        return err_set(err, ERR_CORRUPT, "a list that is in itself");
    return true;
}

// ---- one after another ----

static void is_done(struct renaming *n, const struct blob_id *old, const struct blob_id *new)
{
    idmap_set(&n->map, old, (uint32_t)n->ids.len);
    *vec_push(&n->ids) = *new;
}

static bool put_doc(struct renaming *n, json_t *doc, char kind, struct blob_id *out,
                    struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!each_ref(n, doc, give_name, err))
        return false;
    canon_write(doc, &b);
    buf_char(&b, '\n');
    // One that was put together from pages may be more than it was.
    if (b.len > BLOB_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a list is longer than %u MiB without pages",
                       BLOB_MAX_BYTES >> 20);
    return n->put(n->ctx, kind, b.p, b.len, out, err);
}

// As in a snapshot that was made without them.
static void drop_secrets(const struct renaming *n, json_t *doc)
{
    if (n->drops_secrets && json_object_get(doc, "secrets"))
        json_object_set_new(doc, "secrets", json_array());
}

// The first time what it names is noted, to be done before; the second time it is its turn.
static bool visit_list(struct renaming *n, const struct blob_id *old, char kind, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct blob_id new;
    size_t before = n->todo.len;
    if (!reader_json(n->r, old, kind, &doc, err) ||
        (n->joins_pages && !list_join_pages(n->r, doc, "objects", err)))
        return false;
    drop_secrets(n, doc);
    if (!idmap_has(&n->map, old)) {
        idmap_set(&n->map, old, OPEN);
        *vec_push(&n->todo) = *old;
        if (!each_ref(n, doc, note_missing, err))
            return false;
        if (n->todo.len > before + 1)
            return true;
        n->todo.len = before;
    }
    if (!put_doc(n, doc, kind, &new, err))
        return false;
    is_done(n, old, &new);
    return true;
}

static bool visit(struct renaming *n, const struct blob_id *old, struct err *err)
{
    struct blob_id new;
    struct buf b CLEANUP(buf_wipe) = {0};
    char kind = reader_kind(n->r, old);
    if (renamed(n, old, &new))
        return true;
    if (!kind || kind == 'g')
        return err_set(err, ERR_CORRUPT, "a reference to what is not in the snapshot");
    if (n->loop && loop_stopping(n->loop))
        return loop_stopped(n->loop, err, "copying");
    if (kind == 'r' || kind == 'l')
        return visit_list(n, old, kind, err);
    if (!reader_blob(n->r, old, NULL, &b, err) || !n->put(n->ctx, kind, b.p, b.len, &new, err))
        return false;
    is_done(n, old, &new);
    return true;
}

// Whatever is open lies on the way to what is visited: named again, it is in itself.
static bool visit_all(struct renaming *n, struct err *err)
{
    while (n->todo.len) {
        struct blob_id next = n->todo.v[--n->todo.len];
        if (!visit(n, &next, err))
            return false;
    }
    return true;
}

bool rename_blob(struct renaming *n, const struct blob_id *old, struct blob_id *out,
                 struct err *err)
{
    *vec_push(&n->todo) = *old;
    return visit_all(n, err) && (renamed(n, old, out) || err_set(err, ERR_INTERNAL, "not renamed"));
}

bool rename_doc(struct renaming *n, json_t *doc, char kind, struct blob_id *out, struct err *err)
{
    drop_secrets(n, doc);
    return each_ref(n, doc, note_missing, err) && visit_all(n, err) &&
           put_doc(n, doc, kind, out, err);
}
