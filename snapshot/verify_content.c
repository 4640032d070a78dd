// SPDX-License-Identifier: Apache-2.0
//
// The content of one snapshot, with its key: every pack opens and is what its index says, every id
// recomputes, every reference from the root resolves within the snapshot, files are put together.
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/verify_int.h"

#define MAX_REFS 4000000 // of one snapshot

static bool note_done(struct strv *done, const char *hex)
{
    if (strv_has(done, hex))
        return false;
    strv_push(done, hex);
    return true;
}

// ---- packs: each once, whoever needs it ----

struct pack_walk {
    struct verifying *v;
    uint64_t seq;
    const char *current; // the pack that was wanted last, borrowed from packs_done
    const struct reader_stats *stats;
    bool has_bad; // one of this snapshot's packs is damaged
};

static bool wants_pack(void *ctx, const struct sha256 *name)
{
    struct pack_walk *w = ctx;
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    bool is_new = note_done(&w->v->packs_done, hex);
    if (is_new) {
        event_emit(w->v->r->events, "verify.pack", "{s:s, s:I}", "pack", hex, "bytes",
                   (json_int_t)(w->v->out->content_bytes + w->stats->content));
        w->current = w->v->packs_done.v[w->v->packs_done.len - 1];
    } else if (strv_has(&w->v->packs_bad, hex) && !w->has_bad) {
        CLEANUP(str_freep) char *text = str_printf("pack %s is damaged", hex);
        verify_problem(w->v, w->seq, text);
        w->has_bad = true;
    }
    return is_new;
}

// Goes on behind a damaged pack, so that all of them are named.
static bool open_packs(struct verifying *v, const struct entry *e, struct reader *rd,
                       bool *all_good, struct err *err)
{
    struct reader_stats stats = {0};
    struct pack_walk w = {.v = v, .seq = e->seq, .stats = &stats};
    while (!reader_each_new(rd, wants_pack, NULL, &w, &stats, err)) {
        if (!verify_goes_on(v, e->seq, err))
            return false;
        strv_push(&v->packs_bad, w.current);
        w.has_bad = true; // it was told
    }
    v->out->packs += stats.packs;
    v->out->blobs += stats.blobs;
    v->out->content_bytes += stats.content;
    *all_good = !w.has_bad;
    return true;
}

// ---- references ----

// Members "blob" and "blobs" are references wherever they stand; a map with "sha256" beside them is
// a file.
static bool find_refs(const json_t *v, struct list_refs *out, struct err *err)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if (!find_refs(x, out, err))
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
        if (!is_ref && !find_refs(x, out, err))
            return false;
    }
    return true;
}

// The references of a list, read once.
static bool refs_of(struct verifying *v, struct reader *rd, const struct blob_id *id, char kind,
                    uint32_t *at, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct list_refs refs = {0};
    if (idmap_get(&v->lists, id, at))
        return true;
    if (!reader_json(rd, id, kind, &doc, err))
        return false;
    bool ok = find_refs(doc, &refs, err);
    *at = (uint32_t)v->refs.len;
    idmap_set(&v->lists, id, *at);
    *vec_push(&v->refs) = refs;
    return ok;
}

static bool check_file(struct verifying *v, struct reader *rd, const json_t *file, struct err *err)
{
    const char *hex = json_string_value(json_object_get(file, "sha256"));
    return !note_done(&v->files_done, hex) || reader_file(rd, file, NULL, NULL, err);
}

struct walk {
    struct idmap seen;
    VEC(struct blob_id) todo;
};

static void walk_clear(struct walk *w)
{
    idmap_clear(&w->seen);
    vec_clear(&w->todo);
}

static bool visit(struct verifying *v, struct reader *rd, struct walk *w, const struct blob_id *id,
                  bool is_root, struct err *err)
{
    char kind = reader_kind(rd, id);
    uint32_t at;
    char hex[33];
    blob_id_hex(id, hex);
    if (!kind)
        return err_set(err, ERR_CORRUPT, "blob %s is named and in no pack of this snapshot", hex);
    if (is_root != (kind == 'r'))
        return err_set(err, ERR_CORRUPT, "blob %s is of kind %c where it must not be", hex, kind);
    if (kind != 'r' && kind != 'l')
        return true;
    if (!refs_of(v, rd, id, kind, &at, err))
        return false;
    for (size_t i = 0; i < v->refs.v[at].ids.len; i++)
        if (idmap_set(&w->seen, &v->refs.v[at].ids.v[i], 0))
            *vec_push(&w->todo) = v->refs.v[at].ids.v[i];
    for (size_t i = 0; i < v->refs.v[at].files.len; i++)
        if (!check_file(v, rd, v->refs.v[at].files.v[i], err))
            return false;
    return w->seen.len <= MAX_REFS ||
           err_set(err, ERR_CORRUPT, "more than %d references", MAX_REFS);
}

static bool follow(struct verifying *v, struct reader *rd, const struct blob_id *root,
                   struct err *err)
{
    struct walk w CLEANUP(walk_clear) = {0};
    if (!visit(v, rd, &w, root, true, err))
        return false;
    while (w.todo.len) {
        struct blob_id id = w.todo.v[--w.todo.len];
        if (!visit(v, rd, &w, &id, false, err))
            return false;
    }
    return true;
}

bool verify_content(struct verifying *v, const struct entry *e, const struct age_identity *id,
                    struct err *err)
{
    CLEANUP(reader_freep) struct reader *rd = NULL;
    bool all_good = true;
    if (!reader_open(v->r, v->l->chain, e, id, &rd, err) || !open_packs(v, e, rd, &all_good, err))
        return false;
    return !all_good || (follow(v, rd, &e->snapshot.root, err) && verify_git(v, rd, err));
}

void verify_content_clear(struct verifying *v)
{
    for (size_t i = 0; i < v->refs.len; i++) {
        for (size_t k = 0; k < v->refs.v[i].files.len; k++)
            json_decref(v->refs.v[i].files.v[k]);
        vec_clear(&v->refs.v[i].files);
        vec_clear(&v->refs.v[i].ids);
    }
    vec_clear(&v->refs);
    idmap_clear(&v->lists);
    strv_clear(&v->packs_done);
    strv_clear(&v->packs_bad);
    strv_clear(&v->files_done);
    verify_git_clear(v);
}
