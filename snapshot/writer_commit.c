// SPDX-License-Identifier: Apache-2.0
//
// Committing a snapshot (docs/repository-format.md section 9, steps 5 and 7 to 9). Packs, index
// files, entry, in this order: cut at any point there are only files too many.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "snapshot/writer_int.h"

#define MAX_TRIES 20
#define MAX_AGE_MS (24 * 3600 * 1000LL) // an older run may stand on what a pruner let go
#define MAX_MERGED_PACKS (INDEX_MAX_PACKS / 2)
#define LOST "lost-content" // why a snapshot is suspect: see note_loss

// ---- step 5 ----

static void count_needed(struct writer *w, struct batch_use *use, struct idmap *seen)
{
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; k < x->records.len; k++) {
            const struct index_record *rec = &x->records.v[k];
            if (rec->pack == INDEX_NO_PACK)
                continue;
            if (idmap_has(&w->wanted, &rec->id) && idmap_set(seen, &rec->id, 0))
                use[i].needed += rec->len;
        }
        use[i].bytes = writer_batch_bytes(x);
    }
}

// What is left of a torn batch is taken over into the new index. Of Git only while something cannot
// be read: else all of it is captured again, and packed as one.
static bool is_useless(const struct writer *w, size_t i, bool may_drop)
{
    size_t packs = 0;
    if (!w->states.v[i].is_torn)
        return false;
    for (size_t k = 0; k < w->batches.v.len; k++)
        packs += w->batches.v.v[k].packs.len;
    const struct index *x = &w->batches.v.v[i];
    return x->packs.len == 0 || (may_drop && (x->is_git || packs > MAX_MERGED_PACKS));
}

static void choose(struct writer *w, bool may_drop)
{
    size_t n = w->batches.v.len;
    struct batch_use *use = mem_alloc((n + 1) * sizeof(*use));
    struct idmap seen = {0};
    size_t objects = 0;
    count_needed(w, use, &seen);
    for (size_t i = 0; i < n; i++)
        use[i].is_drop = is_useless(w, i, may_drop);
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

// ---- steps 6 to 9 ----

static uint64_t stored_bytes(const struct writer *w)
{
    uint64_t n = w->indexed;
    for (size_t i = 0; i < w->mine.len; i++)
        n += w->mine.v[i].info.size;
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        if (w->states.v[i].is_drop)
            continue;
        n += w->states.v[i].is_torn ? 0 : x->size;
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
        if (w->states.v[i].is_drop)
            continue;
        if (!w->states.v[i].is_torn)
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

// Files of earlier runs that are named, all of which a list has shown.
static uint64_t files_present(const struct writer *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->batches.v.len; i++)
        if (!w->states.v[i].is_drop)
            n += w->batches.v.v[i].packs.len + !w->states.v[i].is_torn;
    return n;
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
    s->check.present = files_present(w);
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

// What a source that cannot be read had is kept by name, unseen: some of it may be in what is lost,
// and stays so until the source is read again.
static void note_loss(const struct writer *w, struct snapshot_entry *s)
{
    const struct entry *before = writer_previous(w);
    bool is_lost = w->has_damage || (before && strv_has(&before->snapshot.why, LOST));
    if (!s->counts.unknown || !is_lost || strv_has(&s->why, LOST))
        return;
    strv_push(&s->why, LOST);
    s->is_good = false;
}

// Damage that was not there when this run began. What was captured may have leaned on it.
static bool lost_meanwhile(struct writer *w, bool has_unknown, struct err *err)
{
    w->needs_again = has_unknown || w->relied.len > 0;
    return !w->needs_again ||
           err_set(err, ERR_UNAVAILABLE, "%s loses files while it is written to", w->r->store->url);
}

static bool attempt(struct writer *w, struct snapshot_entry *s, struct entry *out, bool *again,
                    struct err *err)
{
    bool has_unknown = s->counts.unknown > 0;
    bool has_objects = false;
    bool all_good = true;
    *again = true;
    note_loss(w, s);
    choose(w, !has_unknown);
    w->indexed = 0;
    if (!relied_is_there(w, err) || !writer_write_packs(w, err) ||
        !writer_write_index(w, false, &s->objects, &has_objects, err) ||
        !writer_write_index(w, true, &s->git, &s->has_git, err) ||
        !writer_check_again(w, &all_good, err))
        return false;
    if (!all_good)
        return lost_meanwhile(w, has_unknown, err); // the same head, without what is damaged
    if (!append(w, s, out, again, err) || !*again)
        return !err_is_set(err);
    uint64_t before = w->prev_seq;
    w->head_moved = true;
    if (!writer_read_head(w, err))
        return false;
    w->needs_again = has_unknown && w->prev_seq != before;
    if (w->needs_again)
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
