// SPDX-License-Identifier: Apache-2.0
//
// The index files of a snapshot, and with them the list of everything it needs.
#include <stdlib.h>

#include "base/file.h"
#include "snapshot/idmap.h"
#include "snapshot/repo.h"

#define MEMO_MAX_BYTES (128U << 20) // of index files, for all snapshots of a chain

struct batch_reader {
    struct repo *r;
    const char *chain;
    const struct chain_keys *k;
    struct batches *out;
};

void batches_clear(struct batches *b)
{
    for (size_t i = 0; i < b->v.len; i++)
        index_clear(&b->v.v[i]);
    vec_clear(&b->v);
    vec_clear(&b->names);
}

static char *index_file(const char *chain, const struct sha256 *name)
{
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    return chain_file(chain, "index", hex);
}

static bool read_cached(const struct repo *r, const char *file, const struct sha256 *name,
                        struct buf *out)
{
    struct err err = {0};
    if (!r->index_cache)
        return false;
    CLEANUP(str_freep) char *path = path_join(r->index_cache, path_base(file));
    bool ok = file_read(path, INDEX_MAX_BYTES, out, &err);
    err_clear(&err); // absent or unreadable: the store has it
    struct sha256 hash = sha256_of(out->p, out->len);
    if (ok && sha256_eq(&hash, name))
        return true;
    buf_reset(out);
    return false;
}

static void write_cached(const struct repo *r, const char *file, const struct buf *b)
{
    struct err err = {0};
    if (!r->index_cache)
        return;
    CLEANUP(str_freep) char *path = path_join(r->index_cache, path_base(file));
    if (!file_replace(path, b->p, b->len, 0600, &err))
        err_clear(&err); // only slower next time
}

// ---- those that many snapshots stand on ----

struct index_memo {
    struct idmap at; // half of the name -> position
    struct batches b;
    uint64_t bytes;
};

struct index_memo *index_memo_new(void)
{
    return mem_alloc(sizeof(struct index_memo));
}

void index_memo_free(struct index_memo *m)
{
    if (!m)
        return;
    idmap_clear(&m->at);
    batches_clear(&m->b);
    free(m);
}

static struct index *recall(struct batch_reader *b, const struct sha256 *name)
{
    struct blob_id id;
    uint32_t at;
    memcpy(id.b, name->b, sizeof(id.b));
    if (!b->r->memo || !idmap_get(&b->r->memo->at, &id, &at))
        return NULL;
    struct index *x = &b->r->memo->b.v.v[at];
    return sha256_eq(&b->r->memo->b.names.v[at], name) && str_eq(x->chain, b->chain) ? x : NULL;
}

static void remember(struct batch_reader *b, const struct sha256 *name, const struct index *x)
{
    struct index_memo *m = b->r->memo;
    struct index *known = recall(b, name);
    struct blob_id id;
    memcpy(id.b, name->b, sizeof(id.b));
    if (!m || m->bytes + x->size > MEMO_MAX_BYTES || (!known && idmap_has(&m->at, &id)))
        return;
    m->bytes += x->size;
    if (known) { // without its records
        index_clear(known);
        index_copy(x, known);
        return;
    }
    idmap_set(&m->at, &id, (uint32_t)m->b.v.len);
    index_copy(x, vec_push(&m->b.v));
    *vec_push(&m->b.names) = *name;
}

static bool read_file(struct batch_reader *b, const struct sha256 *name, struct index *out,
                      struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *file = index_file(b->chain, name);
    const uint8_t *repo = b->r->marker.repo;
    if (!read_cached(b->r, file, name, &bytes)) {
        if (!repo_fetch(b->r, file, INDEX_MAX_BYTES, &bytes, err))
            return false;
        write_cached(b->r, file, &bytes);
    }
    bool ok = b->k ? index_read(bytes.p, bytes.len, repo, b->chain, b->k, out, err)
                   : index_read_clear(bytes.p, bytes.len, repo, b->chain, out, err);
    return ok || err_wrap(err, "%s", file);
}

static bool read_one(struct batch_reader *b, const struct sha256 *name, bool is_git,
                     struct index *out, struct err *err)
{
    const struct index *known = recall(b, name);
    if (known && (known->has_records || !b->k))
        index_copy(known, out);
    else if (!read_file(b, name, out, err))
        return false;
    else
        remember(b, name, out);
    if (out->is_git == is_git)
        return true;
    CLEANUP(str_freep) char *file = index_file(b->chain, name);
    return err_set(err, ERR_CORRUPT, "%s: an index of the other set", file);
}

static void push(struct batches *b, const struct index *x, const struct sha256 *name)
{
    *vec_push(&b->v) = *x;
    *vec_push(&b->names) = *name;
}

// An index file and what it stands on. `over` is complete: it is not followed further.
static bool read_set(struct batch_reader *b, const struct sha256 *name, bool is_git,
                     struct err *err)
{
    struct index own = {0};
    if (!read_one(b, name, is_git, &own, err)) {
        index_clear(&own);
        return false;
    }
    for (size_t i = 0; i < own.over.len; i++) {
        struct index x = {0};
        if (!read_one(b, &own.over.v[i], is_git, &x, err)) {
            index_clear(&x);
            index_clear(&own);
            return false;
        }
        push(b->out, &x, &own.over.v[i]);
    }
    push(b->out, &own, name);
    return true;
}

bool batches_read(struct repo *r, const char *chain, const struct entry *snapshot,
                  const struct chain_keys *k, struct batches *out, struct err *err)
{
    struct batch_reader b = {.r = r, .chain = chain, .k = k, .out = out};
    const struct snapshot_entry *s = &snapshot->snapshot;
    if (read_set(&b, &s->objects, false, err) && (!s->has_git || read_set(&b, &s->git, true, err)))
        return true;
    batches_clear(out);
    return err_wrap(err, "snapshot %llu", (unsigned long long)snapshot->seq);
}

static void push_pack(struct strv *out, const char *chain, const struct sha256 *id)
{
    CLEANUP(str_freep) char *hex = hex_encode(id->b, sizeof(id->b));
    strv_push_take(out, chain_file(chain, "packs", hex));
}

static void sort_unique(struct strv *l)
{
    size_t n = 0;
    strv_sort(l);
    for (size_t i = 0; i < l->len; i++) {
        if (n && str_eq(l->v[n - 1], l->v[i]))
            free(l->v[i]);
        else
            l->v[n++] = l->v[i];
    }
    l->len = n;
}

bool verdict_reports(const struct entry *e, const struct entry *snapshot)
{
    return e->kind == ENTRY_VERDICT && !e->is_void && e->verdict.has_report &&
           e->verdict.of.seq == snapshot->seq && sha256_eq(&e->verdict.of.hash, &snapshot->hash);
}

bool snapshot_needs(struct repo *r, const struct log *l, const struct entry *snapshot,
                    struct strv *out, struct err *err)
{
    struct batches b CLEANUP(batches_clear) = {0};
    if (!batches_read(r, l->chain, snapshot, NULL, &b, err))
        return false;
    for (size_t i = 0; i < b.v.len; i++) {
        strv_push_take(out, index_file(l->chain, &b.names.v[i]));
        for (size_t k = 0; k < b.v.v[i].packs.len; k++)
            push_pack(out, l->chain, &b.v.v[i].packs.v[k].id);
    }
    sort_unique(out);
    return true;
}

void snapshot_reports(const struct log *l, const struct entry *snapshot, struct strv *out)
{
    for (size_t i = 0; i < l->v.len; i++)
        if (verdict_reports(&l->v.v[i], snapshot))
            push_pack(out, l->chain, &l->v.v[i].verdict.report);
}
