// SPDX-License-Identifier: Apache-2.0
//
// Deletion (docs/repository-format.md section 10, P4-P6). It works from the log as it is committed:
// what the newest checkpoint neither keeps nor lets wait is dead. Cut at any point, it is run
// again.
#include <stdlib.h>

#include "snapshot/log_int.h"
#include "snapshot/prune_int.h"

#define LEFTOVER_MS (7 * 24 * 3600 * 1000LL) // no run lives nearly so long

bool prune_number_present(const struct pruning_run *p, uint64_t seq)
{
    for (size_t i = 0; i < p->log.numbers.len; i++)
        if (p->log.numbers.v[i].seq == seq)
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct strv *sorted, const char *name)
{
    return sorted->len && bsearch(&name, sorted->v, sorted->len, sizeof(char *), by_text);
}

// What goes with a snapshot, and no sooner.
static bool belongings(struct pruning_run *p, const struct entry *snapshot, struct strv *out,
                       struct err *err)
{
    snapshot_reports(&p->log, snapshot, out);
    return snapshot_needs(p->r, &p->log, snapshot, out, err);
}

// Everything that live and waiting snapshots need, and their reports, sorted.
static bool needed_by_all(struct pruning_run *p, struct strv *out, struct err *err)
{
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && log_standing(&p->log, e) != STANDING_DEAD &&
            !belongings(p, e, out, err))
            return false;
    }
    strv_sort(out);
    return true;
}

static bool remove_file(struct pruning_run *p, const char *name, uint64_t size, struct err *err)
{
    if (!store_remove(p->r->store, name, err))
        return false;
    p->out->deleted_files++;
    p->out->deleted_bytes += size;
    return true;
}

static uint64_t size_of(const struct store_items *items, const char *name)
{
    for (size_t i = 0; i < items->v.len; i++)
        if (!strcmp(items->v.v[i].name, name))
            return items->v.v[i].size;
    return 0;
}

// What a swept number needed and nobody else does. An entry that is gone already, or whose index
// files are, leaves nothing to do here: what is left of it is found as a leftover.
static bool swept_needs(struct pruning_run *p, const char *file, uint64_t seq, struct strv *out,
                        struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    struct entry e = {0};
    bool found = false;
    struct err unreadable = {0};
    if (!store_get(p->r->store, file, ENTRY_MAX_BYTES, &bytes, &found, err))
        return false;
    bool ok = !found || (log_entry_read(p->r, p->chain, seq, &bytes, &e, &unreadable) &&
                         (e.kind != ENTRY_SNAPSHOT || belongings(p, &e, out, &unreadable)));
    entry_clear(&e);
    if (ok || unreadable.kind == ERR_CORRUPT) {
        err_clear(&unreadable);
        return true;
    }
    err_move(err, &unreadable); // the store does not answer: nothing is concluded from that
    return false;
}

// Is this file of the log one that counts? Checkpoints that a waiting entry dates itself by stay.
static bool counts(const struct pruning_run *p, uint64_t seq, const char *name)
{
    uint64_t newest;
    const struct checkpoint_entry *c = prune_newest(&p->log, &newest);
    if (!c || seq >= newest)
        return true;
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        CLEANUP(str_freep) char *own = log_name(p->r, p->chain, e->seq, &e->hash);
        if (e->seq == seq && !strcmp(own, name))
            return log_standing(&p->log, e) != STANDING_DEAD;
    }
    for (size_t i = 0; i < c->wait.len; i++)
        if (c->wait.v[i].since == seq)
            return true;
    return false;
}

struct dead_file {
    char *name;
    uint64_t seq;
};
struct dead_files {
    VEC(struct dead_file) v;
};

static void dead_clear(struct dead_files *d)
{
    for (size_t i = 0; i < d->v.len; i++)
        free(d->v.v[i].name);
    vec_clear(&d->v);
}

static bool dead_entries(struct pruning_run *p, struct dead_files *out, struct err *err)
{
    CLEANUP(str_freep) char *prefix = chain_file(p->chain, "log", "");
    struct store_items items CLEANUP(store_items_clear) = {0};
    if (!store_list(p->r->store, prefix, &items, err))
        return false;
    for (size_t i = 0; i < items.v.len; i++) {
        const char *name = items.v.v[i].name;
        uint64_t seq = strtoull(name + strlen(prefix), NULL, 10);
        if (seq && !counts(p, seq, name))
            *vec_push(&out->v) = (struct dead_file){str_dup(name), seq};
    }
    return true;
}

static bool is_swept(const struct pruning_run *p, uint64_t seq)
{
    uint64_t newest;
    const struct checkpoint_entry *c = prune_newest(&p->log, &newest);
    for (size_t i = 0; c && i < c->sweep.len; i++)
        if (c->sweep.v[i] == seq)
            return true;
    return false;
}

// P4 of one folder: packs go before index files, so that a cut run still knows what is left.
static bool delete_swept(struct pruning_run *p, const struct strv *swept, const struct strv *needed,
                         const char *folder, struct err *err)
{
    CLEANUP(str_freep) char *prefix = chain_file(p->chain, folder, "");
    struct store_items items CLEANUP(store_items_clear) = {0};
    if (!store_list(p->r->store, prefix, &items, err))
        return false;
    for (size_t i = 0; i < swept->len; i++)
        if (str_starts(swept->v[i], prefix) && !has(needed, swept->v[i]) &&
            !(i && !strcmp(swept->v[i], swept->v[i - 1])) &&
            !remove_file(p, swept->v[i], size_of(&items, swept->v[i]), err))
            return false;
    return true;
}

// P6: what cut runs left. Only what the store itself calls old; where it tells no time, the store
// collects by itself what nothing names.
static bool delete_leftovers(struct pruning_run *p, const struct strv *needed, const char *prefix,
                             struct err *err)
{
    struct store_items items CLEANUP(store_items_clear) = {0};
    if (!store_list(p->r->store, prefix, &items, err))
        return false;
    for (size_t i = 0; i < items.v.len; i++) {
        const struct store_item *it = &items.v.v[i];
        bool is_old = it->stored_at_ms && it->stored_at_ms < p->now_ms - LEFTOVER_MS;
        if (is_old && !has(needed, it->name) && !remove_file(p, it->name, it->size, err))
            return false;
    }
    return true;
}

static bool extend_locks(struct pruning_run *p, const struct strv *needed, struct err *err)
{
    if (!p->o->retain_ms || !p->r->store->ops->traits.has_retention)
        return true;
    for (size_t i = 0; i < needed->len; i++)
        if (!(i && !strcmp(needed->v[i], needed->v[i - 1])) &&
            !store_retain(p->r->store, needed->v[i], p->now_ms + p->o->retain_ms, err))
            return false;
    // And the entries, without which nobody knows what is needed.
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        CLEANUP(str_freep) char *name = log_name(p->r, p->chain, e->seq, &e->hash);
        if (log_standing(&p->log, e) != STANDING_DEAD &&
            !store_retain(p->r->store, name, p->now_ms + p->o->retain_ms, err))
            return false;
    }
    return true;
}

static bool sweep_files(struct pruning_run *p, const struct dead_files *dead,
                        const struct strv *needed, struct err *err)
{
    struct strv swept = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < dead->v.len; i++)
        if (is_swept(p, dead->v.v[i].seq))
            ok = swept_needs(p, dead->v.v[i].name, dead->v.v[i].seq, &swept, err);
    strv_sort(&swept);
    ok = ok && delete_swept(p, &swept, needed, "packs", err) &&
         delete_swept(p, &swept, needed, "index", err);
    strv_clear(&swept);
    return ok;
}

bool sweep_run(struct pruning_run *p, struct err *err)
{
    struct strv needed = {0};
    struct dead_files dead CLEANUP(dead_clear) = {0};
    CLEANUP(str_freep) char *packs = chain_file(p->chain, "packs", "");
    CLEANUP(str_freep) char *index = chain_file(p->chain, "index", "");
    bool ok = needed_by_all(p, &needed, err) && dead_entries(p, &dead, err) &&
              sweep_files(p, &dead, &needed, err);
    for (size_t i = 0; ok && i < dead.v.len; i++)
        ok = remove_file(p, dead.v.v[i].name, 0, err);
    ok = ok && delete_leftovers(p, &needed, packs, err) &&
         delete_leftovers(p, &needed, index, err) && delete_leftovers(p, &needed, "probe/", err) &&
         extend_locks(p, &needed, err);
    strv_clear(&needed);
    return ok;
}

bool repo_remove_untrusted(struct repo *r, const char *chain, uint64_t seq, struct err *err)
{
    CLEANUP(str_freep) char *prefix = chain_file(chain, "log", "");
    struct store_items items CLEANUP(store_items_clear) = {0};
    bool removed = false;
    if (!repo_has_newest_trust(r, NULL, err) || !store_list(r->store, prefix, &items, err))
        return false;
    for (size_t i = 0; i < items.v.len; i++) {
        const char *name = items.v.v[i].name;
        struct buf bytes CLEANUP(buf_clear) = {0};
        struct entry e = {0};
        struct err why = {0};
        bool found = false;
        if (strtoull(name + strlen(prefix), NULL, 10) != seq)
            continue;
        if (!store_get(r->store, name, ENTRY_MAX_BYTES, &bytes, &found, err)) {
            if (err->kind != ERR_CORRUPT)
                return false;
            err_clear(err); // longer than any entry
            found = true;
            buf_reset(&bytes);
        }
        bool is_trusted = found && log_entry_read(r, chain, seq, &bytes, &e, &why);
        entry_clear(&e);
        err_clear(&why);
        if (!found || is_trusted)
            continue;
        if (!store_remove(r->store, name, err))
            return false;
        removed = true;
    }
    return removed || err_set(err, ERR_NOT_FOUND,
                              "number %llu of chain %s has no untrusted file: nothing was deleted",
                              (unsigned long long)seq, chain);
}
