// SPDX-License-Identifier: Apache-2.0
//
// Committing a snapshot (docs/repository-format.md section 9, steps 4 and 6 to 8). Packs, index
// files, entry, in this order: cut at any point there are only files too many.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "snapshot/writer_int.h"

#define MAX_TRIES 20
#define MAX_AGE_MS (24 * 3600 * 1000LL) // an older run may stand on what a pruner let go
#define REREAD_SHARE 16                 // one in so many reused files is read in each run

// ---- step 4 ----

static void count_needed(struct writer *w, struct batch_use *use, struct idmap *seen)
{
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; k < x->records.len; k++) {
            const struct index_record *rec = &x->records.v[k];
            if (rec->pack == INDEX_NO_PACK)
                continue;
            use[i].bytes += rec->len;
            if (idmap_has(&w->wanted, &rec->id) && idmap_set(seen, &rec->id, 0))
                use[i].needed += rec->len;
        }
        use[i].is_drop = w->states.v[i].is_bad;
    }
}

static void choose(struct writer *w, bool may_drop)
{
    size_t n = w->batches.v.len;
    struct batch_use *use = mem_alloc((n + 1) * sizeof(*use));
    struct idmap seen = {0};
    size_t objects = 0;
    count_needed(w, use, &seen);
    while (objects < n && !w->batches.v.v[objects].is_git)
        objects++;
    choose_batches(use, objects, false, may_drop);
    // Of how many Git batches there are the capture knew: which of them go was decided then, and
    // with a batch that another run has added meanwhile it would be decided otherwise.
    bool git_may_go = may_drop && !(w->head_moved && w->relied.len);
    choose_batches(use + objects, n - objects, true, git_may_go);
    for (size_t i = 0; i < n; i++)
        w->states.v[i].is_drop = use[i].is_drop;
    idmap_clear(&seen);
    free(use);
}

// ---- step 6: what is stood on is there, and whole as far as this run looks ----

struct stored {
    struct store_items packs, index;
};

static void stored_clear(struct stored *s)
{
    store_items_clear(&s->packs);
    store_items_clear(&s->index);
}

static bool list_stored(const struct writer *w, struct stored *out, struct err *err)
{
    CLEANUP(str_freep) char *packs = chain_file(w->o.job->chain, "packs", "");
    CLEANUP(str_freep) char *index = chain_file(w->o.job->chain, "index", "");
    return store_list(w->r->store, packs, &out->packs, err) &&
           store_list(w->r->store, index, &out->index, err);
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct store_item *)item)->name);
}

static bool is_stored(const struct store_items *items, const char *name, uint64_t size)
{
    const struct store_item *i =
        items->v.len ? bsearch(name, items->v.v, items->v.len, sizeof(*i), by_name) : NULL;
    return i && (!size || !i->size || i->size == size);
}

// One reused file. *good false: absent, of another size, or damaged.
static bool check_file(struct writer *w, const char *folder, const struct sha256 *name,
                       uint64_t size, const struct store_items *items, bool *good, struct err *err)
{
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    CLEANUP(str_freep) char *file = chain_file(w->o.job->chain, folder, hex);
    *good = is_stored(items, file, size);
    w->present += *good;
    if (*good && (name->b[0] + w->log.head + 1) % REREAD_SHARE == 0) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        *good = repo_fetch(w->r, file, STORE_MAX_FILE_BYTES, &bytes, err);
        w->reread += *good;
        if (!*good && err->kind != ERR_CORRUPT)
            return false;
        err_clear(err);
    }
    if (!*good)
        strv_push_take(&w->warnings,
                       str_printf("%s is damaged or missing: what it held is written again", file));
    return true;
}

static bool check_batch(struct writer *w, size_t i, const struct stored *s, bool *good,
                        struct err *err)
{
    const struct index *x = &w->batches.v.v[i];
    if (!check_file(w, "index", &w->batches.names.v[i], 0, &s->index, good, err))
        return false;
    for (size_t k = 0; *good && k < x->packs.len; k++)
        if (!check_file(w, "packs", &x->packs.v[k].id, x->packs.v[k].size, &s->packs, good, err))
            return false;
    return true;
}

static bool check_reused(struct writer *w, bool *all_good, struct err *err)
{
    struct stored s CLEANUP(stored_clear) = {0};
    *all_good = true;
    w->present = 0;
    if (!list_stored(w, &s, err))
        return false;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        bool good = true;
        if (w->states.v[i].is_bad || w->states.v[i].is_drop)
            continue;
        if (!check_batch(w, i, &s, &good, err))
            return false;
        w->states.v[i].is_bad = !good;
        *all_good &= good;
    }
    return true;
}

// ---- steps 5 to 8 ----

static uint64_t stored_bytes(const struct writer *w)
{
    uint64_t n = w->indexed;
    for (size_t i = 0; i < w->mine.len; i++)
        n += w->mine.v[i].info.size;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        if (w->states.v[i].is_bad || w->states.v[i].is_drop)
            continue;
        n += x->size;
        for (size_t k = 0; k < x->packs.len; k++)
            n += x->packs.v[k].size;
    }
    return n;
}

// Everything the entry makes necessary; a registry keeps what an entry names.
static void collect_needs(const struct writer *w, const struct snapshot_entry *s, struct strv *out)
{
    const char *chain = w->o.job->chain;
    VEC(struct sha256) index = {0};
    VEC(struct sha256) packs = {0};
    *vec_push(&index) = s->objects;
    if (s->has_git)
        *vec_push(&index) = s->git;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        if (w->states.v[i].is_bad || w->states.v[i].is_drop)
            continue;
        *vec_push(&index) = w->batches.names.v[i];
        for (size_t k = 0; k < w->batches.v.v[i].packs.len; k++)
            *vec_push(&packs) = w->batches.v.v[i].packs.v[k].id;
    }
    for (size_t i = 0; i < w->mine.len; i++)
        *vec_push(&packs) = w->mine.v[i].info.id;
    for (size_t i = 0; i < index.len; i++) {
        CLEANUP(str_freep) char *hex = hex_encode(index.v[i].b, sizeof(index.v[i].b));
        CLEANUP(str_freep) char *name = chain_file(chain, "index", hex);
        if (!strv_has(out, name))
            strv_push(out, name);
    }
    for (size_t i = 0; i < packs.len; i++) {
        CLEANUP(str_freep) char *hex = hex_encode(packs.v[i].b, sizeof(packs.v[i].b));
        strv_push_take(out, chain_file(chain, "packs", hex));
    }
    vec_clear(&index);
    vec_clear(&packs);
}

static void fill(const struct writer *w, struct snapshot_entry *s)
{
    s->epoch = w->o.job->epoch;
    s->bytes.content = 0;
    for (size_t i = 0; i < w->blobs.len; i++)
        s->bytes.content += w->blobs.v[i].len;
    s->bytes.stored = stored_bytes(w);
    s->bytes.added = w->added;
    s->check.reread = w->reread;
    s->check.present = w->present;
}

// The entry, then a look at whether it counts. *again: somebody was first.
static bool append(struct writer *w, struct snapshot_entry *s, struct entry *out, bool *again,
                   struct err *err)
{
    struct strv needs = {0};
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    bool made = false;
    bool confirmed = false;
    if (clock_boot_ms() - w->began_ms > MAX_AGE_MS)
        return err_set(err, ERR_TIMEOUT, "this run is older than a day: start it again");
    fill(w, s);
    collect_needs(w, s, &needs);
    e.snapshot = *s; // lent
    bool ok = log_append(w->r, &w->log, &e, &w->o.job->signer, &needs, &made, err) &&
              (!made || log_confirm(w->r, &e, &confirmed, err));
    strv_clear(&needs);
    *again = ok && !(made && confirmed);
    if (ok && !*again) {
        *out = e;
        *s = (struct snapshot_entry){0};
        return true;
    }
    e.snapshot = (struct snapshot_entry){0};
    entry_clear(&e);
    return ok;
}

// The other run may have left out what this one stands on, and packed only what it needs of it.
static bool relied_is_there(struct writer *w, struct err *err)
{
    struct idmap tips = {0};
    size_t found = 0;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; !w->states.v[i].is_drop && k < x->records.len; k++)
            if (x->records.v[k].kind == 't' && idmap_has(&w->relied, &x->records.v[k].id))
                found += idmap_set(&tips, &x->records.v[k].id, 0);
    }
    idmap_clear(&tips);
    if (found == w->relied.len)
        return true;
    w->needs_again = true;
    return err_set(err, ERR_CONFLICT, "another run wrote to chain %s meanwhile; run it again",
                   w->o.job->chain);
}

// What an unreadable source keeps by name must not be lost with the batch that holds it.
static bool may_go_on(struct writer *w, bool has_unknown, struct err *err)
{
    for (size_t i = 0; i < w->states.len; i++) {
        bool is_git = w->batches.v.v[i].is_git;
        if (!w->states.v[i].is_bad || !(has_unknown || (is_git && w->relied.len)))
            continue;
        if (!has_unknown) {
            w->needs_full = true;
            err_set(err, ERR_CORRUPT, "%s: Git objects that this run took to be there are lost",
                    w->warnings.len ? w->warnings.v[w->warnings.len - 1] : "a batch");
            return err_hint(err, "Run it again with --full, which writes everything anew.");
        }
        return err_set(err, ERR_CORRUPT,
                       "a damaged batch may hold what a source that cannot be read now had: "
                       "%s",
                       w->warnings.len ? w->warnings.v[w->warnings.len - 1] : "");
    }
    return true;
}

static bool attempt(struct writer *w, struct snapshot_entry *s, struct entry *out, bool *again,
                    struct err *err)
{
    bool has_unknown = s->counts.unknown > 0;
    bool has_objects = false;
    bool all_good = true;
    *again = true;
    if (!may_go_on(w, has_unknown, err))
        return false;
    choose(w, !has_unknown);
    w->indexed = 0;
    if (!relied_is_there(w, err) || !writer_write_packs(w, err) ||
        !writer_write_index(w, false, &s->objects, &has_objects, err) ||
        !writer_write_index(w, true, &s->git, &s->has_git, err) || !check_reused(w, &all_good, err))
        return false;
    if (!all_good)
        return true; // the same head, without what is damaged
    if (!append(w, s, out, again, err) || !*again)
        return !err_is_set(err);
    uint64_t before = w->prev_seq;
    w->head_moved = true;
    if (!writer_read_head(w, err))
        return false;
    if (has_unknown && w->prev_seq != before)
        return err_set(err, ERR_CONFLICT, "another run wrote to chain %s meanwhile; run it again",
                       w->o.job->chain);
    return true;
}

bool writer_commit(struct writer *w, struct snapshot_entry *s, struct entry *out, struct err *err)
{
    bool again = true;
    for (int i = 0; again && i < MAX_TRIES; i++)
        if (!attempt(w, s, out, &again, err))
            return false;
    return !again ||
           err_set(err, ERR_CONFLICT, "others wrote to chain %s all the while", w->o.job->chain);
}
