// SPDX-License-Identifier: Apache-2.0
//
// The index files of a snapshot, and with them the list of everything it needs.
#include <stdlib.h>

#include "base/file.h"
#include "snapshot/repo.h"

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

static bool read_one(struct batch_reader *b, const struct sha256 *name, bool is_git,
                     struct index *out, struct err *err)
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
    if (ok && out->is_git != is_git)
        ok = err_set(err, ERR_CORRUPT, "an index of the other set");
    return ok || err_wrap(err, "%s", file);
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
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_VERDICT && !e->is_void && e->verdict.has_report &&
            e->verdict.of.seq == snapshot->seq && sha256_eq(&e->verdict.of.hash, &snapshot->hash))
            push_pack(out, l->chain, &e->verdict.report);
    }
    sort_unique(out);
    return true;
}
