// SPDX-License-Identifier: Apache-2.0
//
// Is what a snapshot would stand on really there, and whole? Looked at before anything is captured
// (docs/repository-format.md section 9, step 4): what is damaged counts as absent then, so it is
// captured and written like anything else that is new.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/loop.h"
#include "snapshot/writer_int.h"

// A file that nobody has read for so long is read. Below a day, so that a nightly run reads all.
#define PROOF_S (20 * 3600LL)
// So much is read in every run, what was read longest ago first: a small repository always whole.
#define ALWAYS_BYTES (32ULL << 20)
// What was listed so long ago is listed again before it is named.
#define LIST_MS 60000

struct file { // one that the newest snapshot needs
    struct sha256 name;
    size_t batch;
    int pack; // position in the batch; -1: the index file
    uint64_t size;
    int64_t stored_at_ms, read_s; // read_s 0: nobody knows that it was read
    bool is_due, is_bad;
};
struct checking {
    struct writer *w;
    struct store_items packs, index;
    VEC(struct file) files;
    int64_t now_s;
};

static void checking_clear(struct checking *c)
{
    store_items_clear(&c->packs);
    store_items_clear(&c->index);
    vec_clear(&c->files);
}

// ---- what there is ----

static bool list_stored(struct checking *c, struct err *err)
{
    const char *chain = c->w->o.job->chain;
    CLEANUP(str_freep) char *packs = chain_file(chain, "packs", "");
    CLEANUP(str_freep) char *index = chain_file(chain, "index", "");
    c->w->listed_ms = clock_boot_ms();
    return store_list(c->w->r->store, packs, &c->packs, err) &&
           store_list(c->w->r->store, index, &c->index, err);
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct store_item *)item)->name);
}

static char *name_of(const struct checking *c, const struct file *f)
{
    CLEANUP(str_freep) char *hex = hex_encode(f->name.b, sizeof(f->name.b));
    return chain_file(c->w->o.job->chain, f->pack < 0 ? "index" : "packs", hex);
}

// The size must be what the index says, where the store tells one.
static void look_up(struct checking *c, struct file *f)
{
    const struct store_items *items = f->pack < 0 ? &c->index : &c->packs;
    CLEANUP(str_freep) char *name = name_of(c, f);
    const struct store_item *i =
        items->v.len ? bsearch(name, items->v.v, items->v.len, sizeof(*i), by_name) : NULL;
    f->is_bad = !i || (i->size && f->size && i->size != f->size);
    if (f->is_bad)
        return;
    f->stored_at_ms = i->stored_at_ms;
    f->read_s = proofs_find(&c->w->proofs, &f->name, f->size, f->stored_at_ms, c->now_s);
}

static void add_file(struct checking *c, const struct sha256 *name, uint64_t size, size_t batch,
                     int pack)
{
    struct file *f = vec_push(&c->files);
    *f = (struct file){.name = *name, .size = size, .batch = batch, .pack = pack};
    look_up(c, f);
}

static void add_batch(struct checking *c, size_t i)
{
    const struct index *x = &c->w->batches.v.v[i];
    if (!c->w->states.v[i].is_torn)
        add_file(c, &c->w->batches.names.v[i], x->size, i, -1);
    for (size_t k = 0; k < x->packs.len; k++)
        add_file(c, &x->packs.v[k].id, x->packs.v[k].size, i, (int)k);
}

// ---- which are read ----

static int by_last_reading(const void *a, const void *b)
{
    const struct file *x = a;
    const struct file *y = b;
    if (x->read_s != y->read_s)
        return x->read_s < y->read_s ? -1 : 1;
    return memcmp(x->name.b, y->name.b, sizeof(x->name.b));
}

// `always`: what is due only because little of all has been read in this run.
static void choose(struct checking *c, uint64_t always)
{
    uint64_t bytes = 0;
    if (c->files.len)
        qsort(c->files.v, c->files.len, sizeof(*c->files.v), by_last_reading);
    for (size_t i = 0; i < c->files.len; i++) {
        struct file *f = &c->files.v[i];
        f->is_due = !f->is_bad && (f->read_s <= c->now_s - PROOF_S || bytes + f->size <= always);
        bytes += f->is_due ? f->size : 0;
    }
}

static bool read_due(struct checking *c, struct file *f, struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *name = name_of(c, f);
    if (c->w->r->loop && loop_stopping(c->w->r->loop))
        return loop_stopped(c->w->r->loop, err, "reading what is stored");
    f->is_bad = !repo_fetch(c->w->r, name, STORE_MAX_FILE_BYTES, &bytes, err);
    if (f->is_bad && err->kind != ERR_CORRUPT)
        return false;
    err_clear(err);
    f->is_bad |= f->size && bytes.len != f->size;
    f->read_s = f->is_bad ? 0 : c->now_s;
    c->w->reread += !f->is_bad;
    event_emit(c->w->r->events, "snapshot.reread", "{s:s, s:I}", "file", name, "bytes",
               (json_int_t)bytes.len);
    return true;
}

static bool read_all_due(struct checking *c, struct err *err)
{
    uint64_t bytes = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->files.len; i++) {
        struct file *f = &c->files.v[i];
        bytes += f->size;
        if (f->is_due && !read_due(c, f, err))
            return false;
        n += f->is_due;
    }
    proofs_clear(&c->w->proofs);
    for (size_t i = 0; i < c->files.len; i++) {
        const struct file *f = &c->files.v[i];
        if (f->read_s)
            *vec_push(&c->w->proofs.v) = (struct proof){.name = f->name,
                                                        .size = f->size,
                                                        .stored_at_ms = f->stored_at_ms,
                                                        .read_s = f->read_s};
    }
    proofs_sort(&c->w->proofs);
    if (n && bytes > ALWAYS_BYTES)
        proofs_save(c->w->o.index_cache, c->w->r->store->url, c->w->o.job->chain, &c->w->proofs);
    return true;
}

// ---- what is not whole ----

// Of a Git pack all pieces or none: it is read by putting them one after another.
static void spread_over_git(const struct index *x, bool *bad)
{
    for (size_t i = 0; x->is_git && i < x->packs.len; i++)
        for (size_t k = 0; bad[i] && k < x->packs.len; k++)
            bad[k] |= x->packs.v[k].git == x->packs.v[i].git;
}

static void drop_records(struct index *x, const bool *bad, const uint16_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->records.len; i++) {
        struct index_record r = x->records.v[i];
        const struct index_record *in = r.kind == 'n' ? &x->records.v[i + 1] : &r; // its list
        if (r.kind == 't' || bad[in->pack])
            continue;
        if (r.pack != INDEX_NO_PACK)
            r.pack = moved[r.pack];
        x->records.v[kept++] = r;
    }
    x->records.len = kept;
}

// Takes out what is not whole: blobs of bad packs, names whose list was in one, and the tips: what
// leads to them may have been there.
static void tear(struct index *x, bool *bad)
{
    uint16_t *moved = mem_alloc((x->packs.len + 1) * sizeof(*moved));
    size_t kept = 0;
    spread_over_git(x, bad);
    for (size_t i = 0; i < x->packs.len; i++) {
        if (bad[i])
            continue;
        moved[i] = (uint16_t)kept;
        x->packs.v[kept++] = x->packs.v[i];
    }
    drop_records(x, bad, moved);
    x->packs.len = kept;
    free(moved);
}

// Is any file of that batch bad? bad: of each of its packs.
static bool bad_packs(const struct checking *c, size_t batch, bool *bad)
{
    bool any = false;
    for (size_t i = 0; i < c->files.len; i++) {
        const struct file *f = &c->files.v[i];
        if (f->batch != batch || !f->is_bad)
            continue;
        any = true;
        if (f->pack >= 0)
            bad[f->pack] = true;
    }
    return any;
}

static void tell(const struct checking *c)
{
    for (size_t i = 0; i < c->files.len; i++) {
        const struct file *f = &c->files.v[i];
        CLEANUP(str_freep) char *name = f->is_bad ? name_of(c, f) : NULL;
        if (name)
            strv_push_take(
                &c->w->warnings,
                str_printf("%s is damaged or missing: what it held is written anew", name));
    }
}

// Git batches stand on those before them: behind one that is torn no tip is known to be whole.
static void tear_batches(struct checking *c, bool *all_good)
{
    struct writer *w = c->w;
    bool git_is_torn = false;
    *all_good = true;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        struct index *x = &w->batches.v.v[i];
        bool *bad = mem_alloc((x->packs.len + 1) * sizeof(*bad));
        bool is_bad = bad_packs(c, i, bad);
        if (is_bad || (x->is_git && git_is_torn)) {
            tear(x, bad);
            w->states.v[i].is_torn = true;
            git_is_torn |= x->is_git;
        }
        *all_good &= !is_bad;
        free(bad);
    }
    w->has_damage |= !*all_good;
    tell(c);
}

static bool check(struct writer *w, uint64_t always, bool *all_good, struct err *err)
{
    struct checking c CLEANUP(checking_clear) = {.w = w, .now_s = clock_unix_ms() / 1000};
    if (!w->batches.v.len) {
        *all_good = true;
        w->listed_ms = clock_boot_ms();
        return true;
    }
    if (!list_stored(&c, err))
        return false;
    for (size_t i = 0; i < w->batches.v.len; i++)
        add_batch(&c, i);
    choose(&c, always);
    if (!read_all_due(&c, err))
        return false;
    tear_batches(&c, all_good);
    return true;
}

bool writer_check_stored(struct writer *w, struct err *err)
{
    bool all_good;
    bool is_first = !w->listed_ms;
    if (is_first)
        proofs_load(w->o.index_cache, w->r->store->url, w->o.job->chain, &w->proofs);
    return check(w, is_first ? ALWAYS_BYTES : 0, &all_good, err);
}

bool writer_check_again(struct writer *w, bool *all_good, struct err *err)
{
    *all_good = true;
    return clock_boot_ms() - w->listed_ms < LIST_MS || check(w, 0, all_good, err);
}
