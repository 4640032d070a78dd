// SPDX-License-Identifier: Apache-2.0
//
// Packs and index files of a new snapshot, each read back from the store before it is named
// (docs/repository-format.md section 9, steps 6 and 7).
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/loop.h"
#include "snapshot/writer_int.h"

#define SEALINGS 3         // a file that reads back wrong is sealed anew, under another name
#define OVER_SOFT_LIMIT 48 // above it index files are merged into one

static bool is_kept(const struct writer *w, size_t batch)
{
    return !w->states.v[batch].is_drop;
}

// ---- what is missing ----

static void kept_ids(const struct writer *w, struct idmap *ids, struct idmap *names)
{
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; k < x->records.len && is_kept(w, i); k++) {
            const struct index_record *rec = &x->records.v[k];
            if (rec->kind == 'n')
                idmap_set(names, &rec->id, (uint32_t)(i << 24 | (k & 0xFFFFFF)));
            else if (rec->kind != 't')
                idmap_set(ids, &rec->id, 0);
        }
    }
}

static const struct blob_id *kept_list(const struct writer *w, const struct idmap *names,
                                       const struct blob_id *name)
{
    uint32_t at;
    if (!idmap_get(names, name, &at))
        return NULL;
    return &w->batches.v.v[at >> 24].records.v[(at & 0xFFFFFF) + 1].id;
}

// A list whose name leads elsewhere (or nowhere) in what is kept is written again, so that its name
// can stand before it.
static void force_lists(struct writer *w, const struct idmap *names)
{
    for (size_t i = 0; i < w->notes.len; i++) {
        uint32_t at;
        const struct blob_id *known = kept_list(w, names, &w->notes.v[i].name);
        bool same = known && blob_id_eq(known, &w->notes.v[i].list);
        if (!same && idmap_get(&w->wanted, &w->notes.v[i].list, &at))
            w->blobs.v[at].is_missing = !w->blobs.v[at].is_mine;
    }
}

// The pieces of one Git pack lie together: it is read by putting them one after another.
static void force_git(struct writer *w)
{
    VEC(bool) forced = {0};
    for (size_t i = 0; i < w->blobs.len; i++) {
        const struct new_blob *b = &w->blobs.v[i];
        while (b->git >= 0 && (size_t)b->git >= forced.len)
            vec_push(&forced);
        if (b->git >= 0 && b->is_missing)
            forced.v[b->git] = true;
    }
    for (size_t i = 0; i < w->blobs.len; i++) {
        struct new_blob *b = &w->blobs.v[i];
        if (b->git >= 0 && forced.v[b->git])
            b->is_missing = !b->is_mine;
    }
    vec_clear(&forced);
}

static void mark_missing(struct writer *w)
{
    struct idmap ids = {0};
    struct idmap names = {0};
    kept_ids(w, &ids, &names);
    for (size_t i = 0; i < w->blobs.len; i++)
        w->blobs.v[i].is_missing = !w->blobs.v[i].is_mine && !idmap_has(&ids, &w->blobs.v[i].id);
    force_lists(w, &names);
    force_git(w);
    idmap_clear(&ids);
    idmap_clear(&names);
}

// ---- packs ----

static bool read_at(int fd, char *p, size_t len, uint64_t offset)
{
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static bool add_blob(struct writer *w, struct pack_builder *p, const struct new_blob *b,
                     struct err *err)
{
    if (b->bytes) {
        pack_add(p, b->kind, b->bytes, b->len);
        return true;
    }
    const char *path = w->files.v[b->file];
    CLEANUP(str_freep) char *bytes = mem_alloc(b->len);
    size_t front = b->is_salted ? BLOB_SALT_BYTES : 0;
    if (front)
        memcpy(bytes, w->salts.v[b->salt].b, front);
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !read_at(fd, bytes + front, b->len - front, b->offset))
        return err_set(err, ERR_UNAVAILABLE, "%s cannot be read any more", path);
    struct blob_id id = blob_name(w->namer, b->kind, bytes, b->len);
    if (!blob_id_eq(&id, &b->id))
        return err_set(err, ERR_CONFLICT, "%s changed while it was read", path);
    pack_add(p, b->kind, bytes, b->len);
    return true;
}

bool writer_store(struct writer *w, const char *folder, const struct sha256 *name,
                  const struct buf *bytes, bool *good, struct err *err)
{
    struct buf back CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    CLEANUP(str_freep) char *file = chain_file(w->o.job->chain, folder, hex);
    bool made = false;
    bool found = false;
    if (!store_create(w->r->store, file, bytes->p, bytes->len, NULL, &made, err) ||
        !store_get(w->r->store, file, bytes->len, &back, &found, err)) {
        if (err->kind != ERR_CORRUPT)
            return false;
        err_clear(err); // longer than what was written: not good
        found = false;
    }
    *good = found && back.len == bytes->len && !memcmp(back.p, bytes->p, back.len);
    if (!*good)
        return true;
    w->added += made ? bytes->len : 0;
    w->reread++;
    event_emit(w->r->events, "snapshot.stored", "{s:s, s:I}", "file", file, "bytes",
               (json_int_t)bytes->len);
    return true;
}

struct sortable {
    const struct new_blob *b;
    uint32_t at;
};

static int by_kind_and_bytes(const void *a, const void *b)
{
    const struct new_blob *x = ((const struct sortable *)a)->b;
    const struct new_blob *y = ((const struct sortable *)b)->b;
    if (x->kind != y->kind)
        return x->kind > y->kind ? -1 : 1;
    int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

// Members are sorted, so that what begins alike is of one kind of object or list: beside each other
// they take less room; and lists behind the objects that they name. Which pack a blob lies in stays
// as it came, so that what is read together lies together.
static void sort_pack(const struct writer *w, struct my_pack *p)
{
    VEC(struct sortable) v = {0};
    for (size_t i = 0; i < p->blobs.len; i++) {
        const struct new_blob *b = &w->blobs.v[p->blobs.v[i]];
        if (b->bytes)
            *vec_push(&v) = (struct sortable){b, p->blobs.v[i]};
    }
    if (p->info.class == 'o' && v.len == p->blobs.len) {
        qsort(v.v, v.len, sizeof(*v.v), by_kind_and_bytes);
        for (size_t i = 0; i < v.len; i++)
            p->blobs.v[i] = v.v[i].at;
    }
    vec_clear(&v);
}

static bool seal_pack(struct writer *w, const struct my_pack *p, struct buf *out,
                      struct sha256 *name, struct err *err)
{
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new(p->info.class);
    pack_zstd_rows(b, trust_has_flag(trust_now(&w->r->trust), TRUST_ZSTD_ROWS));
    for (size_t i = 0; i < p->blobs.len; i++)
        if (!add_blob(w, b, &w->blobs.v[p->blobs.v[i]], err))
            return false;
    return pack_seal(b, w->o.job->recipient, out, name, err);
}

// Seals and stores; sealed anew the bytes are others, and so is the name.
static bool finish_pack(struct writer *w, struct my_pack *p, struct err *err)
{
    sort_pack(w, p);
    for (int i = 0; i < SEALINGS; i++) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        bool good = false;
        if (!seal_pack(w, p, &bytes, &p->info.id, err) ||
            !writer_store(w, "packs", &p->info.id, &bytes, &good, err))
            return false;
        if (!good)
            continue;
        p->info.size = bytes.len;
        for (size_t k = 0; k < p->blobs.len; k++)
            w->blobs.v[p->blobs.v[k]].is_mine = true;
        *vec_push(&w->mine) = *p;
        *p = (struct my_pack){0};
        return true;
    }
    return err_set(err, ERR_UNAVAILABLE, "%s gives back other bytes than it was given",
                   w->r->store->url);
}

// Does the next blob go into the pack that is being filled?
static bool goes_on(const struct my_pack *p, const struct pack_builder *size,
                    const struct new_blob *b)
{
    return pack_fits(size, b->len) && p->info.git == b->git;
}

static bool write_class(struct writer *w, char class, struct err *err)
{
    struct my_pack p = {.info = {.class = class, .git = -1}};
    struct pack_builder *size = pack_builder_new(class); // keeps count; sealed is a copy
    bool ok = true;
    for (uint32_t i = 0; ok && i < w->blobs.len; i++) {
        const struct new_blob *b = &w->blobs.v[i];
        if (w->r->loop && loop_stopping(w->r->loop)) {
            ok = loop_stopped(w->r->loop, err, "writing");
            break;
        }
        if (!b->is_missing || blob_class(b->kind) != class)
            continue;
        if (p.blobs.len && !goes_on(&p, size, b)) {
            ok = finish_pack(w, &p, err);
            vec_clear(&p.blobs);
            p.info.class = class;
            pack_builder_free(size);
            size = pack_builder_new(class);
        }
        p.info.git = b->git;
        ok = ok && add_blob(w, size, b, err);
        *vec_push(&p.blobs) = i;
    }
    if (ok && p.blobs.len)
        ok = finish_pack(w, &p, err);
    vec_clear(&p.blobs);
    pack_builder_free(size);
    return ok;
}

bool writer_write_packs(struct writer *w, struct err *err)
{
    mark_missing(w);
    return write_class(w, 'o', err) && write_class(w, 'f', err) && write_class(w, 's', err) &&
           write_class(w, 'g', err);
}

// ---- index files ----

static void push_record(struct index *x, const struct blob_id *id, uint32_t len, uint16_t pack,
                        char kind)
{
    *vec_push(&x->records) =
        (struct index_record){.id = *id, .len = len, .pack = pack, .kind = kind};
}

static const struct note *note_of(const struct writer *w, const struct blob_id *list)
{
    for (size_t i = 0; i < w->notes.len; i++)
        if (blob_id_eq(&w->notes.v[i].list, list))
            return &w->notes.v[i];
    return NULL;
}

static void add_mine(const struct writer *w, const struct my_pack *p, int git_base, struct index *x)
{
    uint16_t number = (uint16_t)x->packs.len;
    struct index_pack *info = vec_push(&x->packs);
    *info = p->info;
    info->git += p->info.git >= 0 ? git_base : 0;
    for (size_t i = 0; i < p->blobs.len; i++) {
        const struct new_blob *b = &w->blobs.v[p->blobs.v[i]];
        const struct note *n = b->kind == 'l' ? note_of(w, &b->id) : NULL;
        if (n)
            push_record(x, &n->name, n->count, INDEX_NO_PACK, 'n');
        push_record(x, &b->id, b->len, number, b->kind);
    }
}

// Takes over all that a kept index file says, so that it need not be named: content stays where it
// is. Needed when many runs in a row could drop nothing.
static void merge(const struct index *from, int git_base, struct index *x)
{
    uint16_t first = (uint16_t)x->packs.len;
    for (size_t i = 0; i < from->packs.len; i++) {
        struct index_pack *p = vec_push(&x->packs);
        *p = from->packs.v[i];
        p->git += p->git >= 0 ? git_base : 0;
    }
    for (size_t i = 0; i < from->records.len; i++) {
        struct index_record *rec = vec_push(&x->records);
        *rec = from->records.v[i];
        if (rec->pack != INDEX_NO_PACK)
            rec->pack = (uint16_t)(rec->pack + first);
    }
}

static int next_git(const struct index *x)
{
    return x->packs.len ? x->packs.v[x->packs.len - 1].git + 1 : 0;
}

struct set_view { // one of the two sets, for this attempt
    size_t kept;
    bool takes_over;             // from a batch that is torn: its file names what is not whole
    const struct sha256 *newest; // the index file of the newest snapshot, if all of it is kept
};

static struct set_view look_at(const struct writer *w, bool is_git)
{
    struct set_view v = {0};
    bool is_whole = true;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        bool is_torn = w->states.v[i].is_torn;
        if (w->batches.v.v[i].is_git != is_git)
            continue;
        is_whole &= is_kept(w, i) && !is_torn;
        v.newest = is_whole ? &w->batches.names.v[i] : NULL;
        v.kept += is_kept(w, i);
        v.takes_over |= is_kept(w, i) && is_torn;
    }
    return v;
}

static void stand_on(const struct writer *w, bool is_git, bool merges, struct index *x)
{
    for (size_t i = 0; i < w->batches.v.len; i++) {
        if (w->batches.v.v[i].is_git != is_git || !is_kept(w, i))
            continue;
        if (merges)
            merge(&w->batches.v.v[i], is_git ? next_git(x) : 0, x);
        else
            *vec_push(&x->over) = w->batches.names.v[i];
    }
}

static bool tip_is_kept(const struct writer *w, const struct blob_id *id)
{
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; x->is_git && is_kept(w, i) && k < x->records.len; k++)
            if (x->records.v[k].kind == 't' && blob_id_eq(&x->records.v[k].id, id))
                return true;
    }
    return false;
}

// What this run adds to a set. Tips come first: they lie in no pack.
static bool add_new(const struct writer *w, bool is_git, struct index *x)
{
    size_t records = x->records.len;
    size_t packs = x->packs.len;
    for (size_t i = 0; is_git && i < w->new_tips.len; i++)
        if (!tip_is_kept(w, &w->new_tips.v[i]))
            push_record(x, &w->new_tips.v[i], 0, INDEX_NO_PACK, 't');
    int base = is_git ? next_git(x) : 0;
    for (size_t i = 0; i < w->mine.len; i++)
        if ((w->mine.v[i].info.class == 'g') == is_git)
            add_mine(w, &w->mine.v[i], base, x);
    return x->records.len > records || x->packs.len > packs;
}

static bool store_index(struct writer *w, const struct index *x, struct sha256 *name,
                        struct err *err)
{
    for (int i = 0; i < SEALINGS; i++) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        bool good = false;
        if (!index_write(x, &w->keys, &bytes, name, err) ||
            !writer_store(w, "index", name, &bytes, &good, err))
            return false;
        if (!good)
            continue;
        w->indexed += bytes.len;
        return true;
    }
    return err_set(err, ERR_UNAVAILABLE, "%s gives back other bytes than it was given",
                   w->r->store->url);
}

bool writer_write_index(struct writer *w, bool is_git, struct sha256 *name, bool *has,
                        struct err *err)
{
    struct index x = {.is_git = is_git,
                      .has_records = true,
                      .version = trust_index_version(trust_now(&w->r->trust))};
    struct set_view v = look_at(w, is_git);
    memcpy(x.repo, w->o.job->repo, sizeof(x.repo));
    x.chain = str_dup(w->o.job->chain);
    stand_on(w, is_git, v.takes_over || v.kept > OVER_SOFT_LIMIT, &x);
    bool is_new = add_new(w, is_git, &x);
    bool ok = true;
    *has = v.kept || is_new;
    if (!is_new && v.newest)
        *name = *v.newest;
    else if (*has)
        ok = store_index(w, &x, name, err);
    index_clear(&x);
    return ok;
}
