// SPDX-License-Identifier: Apache-2.0
//
// The content of one snapshot, with its key: every pack opens and is what its index says, every id
// recomputes, every reference from the root resolves within the snapshot, files are put together.
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/verify_int.h"

#define MAX_REFS 4000000 // of one snapshot

// SHA-256 sums are told apart by half of them, as blobs are by theirs.
static struct blob_id half_of(const struct sha256 *sum)
{
    struct blob_id id;
    memcpy(id.b, sum->b, sizeof(id.b));
    return id;
}

// ---- packs: each once, whoever needs it ----

struct pack_walk {
    struct verifying *v;
    uint64_t seq;
    struct blob_id current; // the pack that was wanted last
    const struct reader_stats *stats;
    bool has_bad; // one of this snapshot's packs is damaged
};

static bool is_lost(const struct verifying *v, const char *hex)
{
    CLEANUP(str_freep) char *file = chain_file(v->l->chain, "packs", hex);
    uint64_t size = 0;
    return !verify_is_listed(v, file, &size);
}

static bool wants_pack(void *ctx, const struct sha256 *name)
{
    struct pack_walk *w = ctx;
    struct blob_id id = half_of(name);
    bool is_new = !idmap_has(&w->v->packs_done, &id);
    bool is_bad = !is_new && idmap_has(&w->v->packs_bad, &id);
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    if (is_lost(w->v, hex)) { // of whom that is was told with the files
        w->has_bad = true;
        return false;
    }
    if (!is_new && (!is_bad || w->has_bad))
        return false;
    if (is_new) {
        idmap_set(&w->v->packs_done, &id, 0);
        event_emit(w->v->r->events, "verify.pack", "{s:s, s:I}", "pack", hex, "bytes",
                   (json_int_t)(w->v->out->content_bytes + w->stats->content));
        w->current = id;
    } else {
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
        idmap_set(&v->packs_bad, &w.current, 0);
        w.has_bad = true; // it was told
    }
    v->out->packs += stats.packs;
    v->out->blobs += stats.blobs;
    v->out->content_bytes += stats.content;
    *all_good = !w.has_bad;
    return true;
}

// ---- references ----

// The references of a list, read once.
static bool refs_of(struct verifying *v, struct reader *rd, const struct blob_id *id, uint32_t *at,
                    struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    struct list_refs refs = {0};
    if (idmap_get(&v->lists, id, at))
        return true;
    if (!reader_blob(rd, id, NULL, &text, err))
        return false;
    if (list_refs_find(text.p, text.len, &refs, err)) {
        *at = (uint32_t)v->refs.len;
        idmap_set(&v->lists, id, *at);
        *vec_push(&v->refs) = refs;
        return true;
    }
    char hex[33];
    blob_id_hex(id, hex);
    list_refs_clear(&refs); // wrong for the next snapshot that has it too
    return err_wrap(err, "blob %s", hex);
}

static bool check_file(struct verifying *v, struct reader *rd, const json_t *file, struct err *err)
{
    struct sha256 sum;
    if (!hex_decode(json_string_value(json_object_get(file, "sha256")), sum.b, sizeof(sum.b)))
        return err_set(err, ERR_CORRUPT, "a file whose SHA-256 is none");
    struct blob_id id = half_of(&sum);
    if (idmap_has(&v->files_done, &id))
        return true;
    idmap_set(&v->files_done, &id, 0);
    return reader_file(rd, file, NULL, NULL, err);
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
    if (!refs_of(v, rd, id, &at, err))
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
    for (size_t i = 0; i < v->refs.len; i++)
        list_refs_clear(&v->refs.v[i]);
    vec_clear(&v->refs);
    idmap_clear(&v->lists);
    idmap_clear(&v->packs_done);
    idmap_clear(&v->packs_bad);
    idmap_clear(&v->files_done);
    verify_git_clear(v);
}
