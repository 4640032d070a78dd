// SPDX-License-Identifier: Apache-2.0
//
// Content of one snapshot: packs are fetched when first needed, compared with their name, opened,
// compared with the index, and the last few are kept.
#include "snapshot/reader.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/idmap.h"

#define CACHED_PACKS 6 // opened, up to 8 MiB each

struct location {
    uint32_t pack; // position in packs
    uint32_t offset, len;
    char kind;
};
struct reader_pack {
    struct index_pack info;
    VEC(struct index_record) records; // in order, as the index says
    struct pack open;                 // entries.len 0: not open
    unsigned long long used;          // when it was last needed
};
struct git_pack_of { // its pieces lie in packs first .. first + n - 1
    char *name;
    size_t first, n;
};
struct reader {
    const struct reader_ops *ops; // NULL: packs of a repository
    void *ctx;
    struct repo *r;
    char *chain;
    struct blob_id root;
    struct age_identities ids; // a copy of the one identity
    struct blob_namer *namer;
    struct batches batches;
    VEC(struct reader_pack) packs;
    VEC(struct location) locations;
    struct idmap map; // id -> position in locations
    VEC(struct git_pack_of) git;
    unsigned long long clock;
    unsigned n_open;
};

// Packs of one number follow each other.
static void note_git(struct reader *r, const struct index_pack *p, bool is_first,
                     const struct sha256 *index)
{
    CLEANUP(str_freep) char *hex = hex_encode(index->b, sizeof(index->b));
    CLEANUP(str_freep) char *name = str_printf("%s/%d", hex, p->git);
    if (!is_first && str_eq(r->git.v[r->git.len - 1].name, name))
        r->git.v[r->git.len - 1].n++;
    else
        *vec_push(&r->git) = (struct git_pack_of){TAKE(name), r->packs.len, 1};
}

static void add_batch(struct reader *r, const struct index *x, const struct sha256 *name)
{
    size_t first = r->packs.len;
    for (size_t i = 0; i < x->packs.len; i++) {
        if (x->packs.v[i].git >= 0)
            note_git(r, &x->packs.v[i], i == 0, name);
        vec_push(&r->packs)->info = x->packs.v[i];
    }
    uint32_t offset = 0;
    uint16_t pack = INDEX_NO_PACK;
    for (size_t i = 0; i < x->records.len; i++) {
        const struct index_record *rec = &x->records.v[i];
        if (rec->pack == INDEX_NO_PACK)
            continue;
        offset = rec->pack == pack ? offset : 0;
        pack = rec->pack;
        idmap_set(&r->map, &rec->id, (uint32_t)r->locations.len);
        *vec_push(&r->locations) = (struct location){
            .pack = (uint32_t)(first + pack), .offset = offset, .len = rec->len, .kind = rec->kind};
        *vec_push(&r->packs.v[first + pack].records) = *rec;
        offset += rec->len;
    }
}

bool reader_open(struct repo *repo, const char *chain, const struct entry *snapshot,
                 const struct age_identity *identity, struct reader **out, struct err *err)
{
    struct reader *r CLEANUP(reader_freep) = mem_alloc(sizeof(*r));
    struct chain_keys keys;
    r->r = repo;
    r->chain = str_dup(chain);
    r->root = snapshot->snapshot.root;
    *vec_push(&r->ids.v) = *identity;
    chain_keys_derive(identity, repo->marker.repo, chain, &keys);
    r->namer = blob_namer_new(keys.id_key);
    bool ok = batches_read(repo, chain, snapshot, &keys, &r->batches, err);
    crypto_wipe(&keys, sizeof(keys));
    if (!ok)
        return false;
    for (size_t i = 0; i < r->batches.v.len; i++)
        add_batch(r, &r->batches.v.v[i], &r->batches.names.v[i]);
    *out = TAKE(r);
    return true;
}

struct reader *reader_over(const struct reader_ops *ops, void *ctx, const struct blob_id *root)
{
    struct reader *r = mem_alloc(sizeof(*r));
    r->ops = ops;
    r->ctx = ctx;
    r->root = *root;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->packs.len; i++) {
        vec_clear(&r->packs.v[i].records);
        pack_clear(&r->packs.v[i].open);
    }
    vec_clear(&r->packs);
    vec_clear(&r->locations);
    for (size_t i = 0; i < r->git.len; i++)
        free(r->git.v[i].name);
    vec_clear(&r->git);
    idmap_clear(&r->map);
    batches_clear(&r->batches);
    age_identities_clear(&r->ids);
    blob_namer_free(r->namer);
    free(r->chain);
    free(r);
}

char reader_kind(const struct reader *r, const struct blob_id *id)
{
    uint32_t at;
    if (r->ops)
        return r->ops->kind(r->ctx, id);
    return idmap_get(&r->map, id, &at) ? r->locations.v[at].kind : 0;
}

// ---- packs ----

static void close_oldest(struct reader *r)
{
    struct reader_pack *oldest = NULL;
    for (size_t i = 0; i < r->packs.len; i++)
        if (r->packs.v[i].open.entries.len && (!oldest || r->packs.v[i].used < oldest->used))
            oldest = &r->packs.v[i];
    if (!oldest)
        return;
    pack_clear(&oldest->open);
    oldest->open = (struct pack){0};
    r->n_open--;
}

// The table inside must be what the index says.
static bool table_agrees(const struct reader_pack *p)
{
    if (p->open.entries.len != p->records.len)
        return false;
    for (size_t i = 0; i < p->records.len; i++)
        if (p->open.entries.v[i].kind != p->records.v[i].kind ||
            p->open.entries.v[i].len != p->records.v[i].len)
            return false;
    return true;
}

static bool need_pack(struct reader *r, struct reader_pack *p, struct err *err)
{
    p->used = ++r->clock;
    if (p->open.entries.len)
        return true;
    CLEANUP(str_freep) char *hex = hex_encode(p->info.id.b, sizeof(p->info.id.b));
    CLEANUP(str_freep) char *name = chain_file(r->chain, "packs", hex);
    struct buf bytes CLEANUP(buf_clear) = {0};
    struct age_keys keys = {.identities = &r->ids};
    if (!repo_fetch(r->r, name, PACK_MAX_BYTES, &bytes, err))
        return false;
    if (bytes.len != p->info.size)
        return err_set(err, ERR_CORRUPT, "%s has another size than its index says", name);
    while (r->n_open >= CACHED_PACKS)
        close_oldest(r);
    if (!pack_open(&keys, bytes.p, bytes.len, &p->open, err)) {
        if (err->kind == ERR_DENIED)
            err->kind = ERR_CORRUPT; // the key of the epoch opens all that is of it
        return err_wrap(err, "%s", name);
    }
    buf_wipe(&p->open.stream); // it is not needed any more, and may be as large as the content
    r->n_open++;
    if (table_agrees(p))
        return true;
    pack_clear(&p->open);
    p->open = (struct pack){0};
    r->n_open--;
    return err_set(err, ERR_CORRUPT, "%s holds something else than its index says", name);
}

static bool check_id(struct reader *r, const struct blob_id *want, char kind, const void *p,
                     size_t len, struct err *err)
{
    struct blob_id got = blob_name(r->namer, kind, p, len);
    char hex[33];
    if (blob_id_eq(&got, want))
        return true;
    blob_id_hex(want, hex);
    return err_set(err, ERR_CORRUPT, "blob %s is not what its name says", hex);
}

// From whatever it is read over.
static bool blob_from(struct reader *r, const struct blob_id *id, char *kind, struct buf *out,
                      struct err *err)
{
    char is = r->ops->kind(r->ctx, id);
    char hex[33];
    blob_id_hex(id, hex);
    if (!is)
        return err_set(err, ERR_CORRUPT, "blob %s is not there", hex);
    if (kind)
        *kind = is;
    return r->ops->blob(r->ctx, id, out, err);
}

bool reader_blob(struct reader *r, const struct blob_id *id, char *kind, struct buf *out,
                 struct err *err)
{
    uint32_t at;
    char hex[33];
    if (r->ops)
        return blob_from(r, id, kind, out, err);
    blob_id_hex(id, hex);
    if (!idmap_get(&r->map, id, &at))
        return err_set(err, ERR_CORRUPT, "blob %s is in no pack of this snapshot", hex);
    const struct location *l = &r->locations.v[at];
    struct reader_pack *p = &r->packs.v[l->pack];
    if (!need_pack(r, p, err) ||
        !check_id(r, id, l->kind, p->open.content.p + l->offset, l->len, err))
        return false;
    if (kind)
        *kind = l->kind;
    buf_append(out, p->open.content.p + l->offset, l->len);
    return true;
}

bool reader_json(struct reader *r, const struct blob_id *id, char kind, json_t **out,
                 struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    char found;
    if (!reader_blob(r, id, &found, &b, err))
        return false;
    char hex[33];
    blob_id_hex(id, hex);
    if (found != kind)
        return err_set(err, ERR_CORRUPT, "blob %s is of kind %c, not %c", hex, found, kind);
    if (canon_read(b.p, b.len, out, err))
        return true;
    err->kind = ERR_CORRUPT;
    return err_wrap(err, "blob %s", hex);
}

bool reader_root(struct reader *r, json_t **out, struct err *err)
{
    return reader_json(r, &r->root, 'r', out, err) || err_wrap(err, "root");
}

// ---- files ----

static bool pass_piece(struct reader *r, const json_t *hex, struct sha256_ctx *hash, uint64_t *size,
                       reader_sink_fn sink, void *ctx, struct err *err)
{
    struct blob_id id;
    struct buf b CLEANUP(buf_clear) = {0};
    char kind;
    if (!json_is_string(hex) || !blob_id_parse(json_string_value(hex), &id))
        return err_set(err, ERR_CORRUPT, "a file's piece has no name");
    if (!reader_blob(r, &id, &kind, &b, err))
        return false;
    size_t len = b.len;
    const char *p = blob_of_file(kind, b.p, &len);
    if (!p)
        return err_set(err, ERR_CORRUPT, "a file's piece is of kind %c", kind);
    sha256_add(hash, p, len);
    *size += len;
    return !sink || sink(ctx, p, len, err);
}

bool reader_file(struct reader *r, const json_t *file, reader_sink_fn sink, void *ctx,
                 struct err *err)
{
    const char *want = json_string_value(json_object_get(file, "sha256"));
    const json_t *blobs = json_object_get(file, "blobs");
    json_int_t size = json_integer_value(json_object_get(file, "size"));
    struct sha256_ctx *hash = sha256_begin();
    uint64_t got = 0;
    bool ok = true;
    size_t i;
    json_t *hex;
    json_array_foreach(blobs, i, hex)
    {
        ok = pass_piece(r, hex, hash, &got, sink, ctx, err);
        if (!ok)
            break;
    }
    struct sha256 h = sha256_end(hash);
    CLEANUP(str_freep) char *is = hex_encode(h.b, sizeof(h.b));
    if (ok && (!want || size < 0 || got != (uint64_t)size || strcmp(want, is) != 0))
        ok = err_set(err, ERR_CORRUPT, "a file read back is not the one that was stored");
    return ok;
}

size_t reader_git_count(const struct reader *r)
{
    return r->ops ? r->ops->git_count(r->ctx) : r->git.len;
}

const char *reader_git_name(const struct reader *r, size_t i)
{
    return r->git.v[i].name;
}

bool reader_git_pack(struct reader *r, size_t i, reader_sink_fn sink, void *ctx, struct err *err)
{
    if (r->ops)
        return r->ops->git_pack(r->ctx, i, sink, ctx, err);
    const struct git_pack_of *g = &r->git.v[i];
    for (size_t k = g->first; k < g->first + g->n; k++) {
        struct reader_pack *p = &r->packs.v[k];
        if (!need_pack(r, p, err) || !sink(ctx, p->open.content.p, p->open.content.len, err))
            return false;
    }
    return true;
}

// ---- all of it ----

static bool each_of_pack(struct reader *r, struct reader_pack *p, reader_blob_fn blob, void *ctx,
                         struct reader_stats *stats, struct err *err)
{
    size_t offset = 0;
    if (!need_pack(r, p, err))
        return false;
    for (size_t i = 0; i < p->records.len; i++) {
        const struct index_record *rec = &p->records.v[i];
        const char *bytes = p->open.content.p + offset;
        if (!check_id(r, &rec->id, rec->kind, bytes, rec->len, err) ||
            (blob && !blob(ctx, &rec->id, rec->kind, bytes, rec->len, err)))
            return false;
        offset += rec->len;
        stats->blobs++;
        stats->content += rec->len;
    }
    stats->packs++;
    stats->stored += p->info.size;
    return true;
}

bool reader_each_new(struct reader *r, bool (*wants)(void *ctx, const struct sha256 *pack),
                     reader_blob_fn blob, void *ctx, struct reader_stats *stats, struct err *err)
{
    for (size_t i = 0; i < r->packs.len; i++)
        if ((!wants || wants(ctx, &r->packs.v[i].info.id)) &&
            !each_of_pack(r, &r->packs.v[i], blob, ctx, stats, err))
            return false;
    return true;
}

bool reader_each(struct reader *r, reader_blob_fn blob, void *ctx, struct reader_stats *stats,
                 struct err *err)
{
    return reader_each_new(r, NULL, blob, ctx, stats, err);
}
