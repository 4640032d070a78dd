// SPDX-License-Identifier: Apache-2.0
//
// What a log means (docs/repository-format.md section 12). Entries may be in any order: the log is
// asked while it is being read, too.
#include <stdlib.h>

#include "snapshot/log_int.h"

const struct entry *log_find(const struct log *l, uint64_t seq)
{
    for (size_t i = 0; i < l->v.len; i++)
        if (l->v.v[i].seq == seq)
            return &l->v.v[i];
    return NULL;
}

const struct entry *log_find_hash(const struct log *l, uint64_t seq, const struct sha256 *hash)
{
    for (size_t i = 0; i < l->v.len; i++)
        if (l->v.v[i].seq == seq && sha256_eq(&l->v.v[i].hash, hash))
            return &l->v.v[i];
    return NULL;
}

int64_t log_stored_at_ms(const struct log *l, uint64_t seq)
{
    int64_t at = 0;
    for (size_t i = 0; i < l->numbers.len; i++)
        if (l->numbers.v[i].seq == seq)
            at = l->numbers.v[i].stored_at_ms;
    return at;
}

static bool is_in(const struct seq_hash *v, size_t n, const struct entry *e)
{
    struct seq_hash key = {.seq = e->seq, .hash = e->hash};
    return n && bsearch(&key, v, n, sizeof(*v), seq_hash_order);
}

enum standing log_standing(const struct log *l, const struct entry *e)
{
    if (e->is_void)
        return STANDING_DEAD;
    if (l->checkpoint < 0 || e->seq >= l->v.v[l->checkpoint].seq)
        return STANDING_LIVE;
    const struct checkpoint_entry *c = &l->v.v[l->checkpoint].checkpoint;
    if (is_in(c->keep.v, c->keep.len, e))
        return STANDING_LIVE;
    return is_in(c->wait.v, c->wait.len, e) ? STANDING_WAITING : STANDING_DEAD;
}

const struct entry *log_verdict(const struct log *l, const struct entry *snapshot, enum verdict v)
{
    const struct entry *newest = NULL;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_VERDICT && !e->is_void && e->verdict.verdict == v &&
            e->verdict.of.seq == snapshot->seq && sha256_eq(&e->verdict.of.hash, &snapshot->hash) &&
            (!newest || e->seq > newest->seq))
            newest = e;
    }
    return newest;
}

static uint64_t verdict_seq(const struct log *l, const struct entry *snapshot, enum verdict v)
{
    const struct entry *e = log_verdict(l, snapshot, v);
    return e ? e->seq : 0;
}

bool log_is_in_doubt(const struct log *l, const struct entry *snapshot)
{
    uint64_t lost = log_lost_seq(l, snapshot);
    return lost > verdict_seq(l, snapshot, VERDICT_GOOD) &&
           lost > verdict_seq(l, snapshot, VERDICT_BAD);
}

// Without what may have been lost.
static enum goodness last_word(const struct log *l, const struct entry *snapshot)
{
    uint64_t good = verdict_seq(l, snapshot, VERDICT_GOOD);
    if (verdict_seq(l, snapshot, VERDICT_BAD) > good)
        return SNAP_BAD;
    return good || snapshot->snapshot.is_good ? SNAP_GOOD : SNAP_SUSPECT;
}

enum goodness log_goodness(const struct log *l, const struct entry *snapshot)
{
    enum goodness g = last_word(l, snapshot);
    uint64_t bad = verdict_seq(l, snapshot, VERDICT_BAD);
    uint64_t lost = log_lost_seq(l, snapshot);
    if (g != SNAP_GOOD)
        return g;
    if (log_is_in_doubt(l, snapshot))
        return SNAP_SUSPECT;
    if (lost > bad)
        bad = lost;
    if (verdict_seq(l, snapshot, VERDICT_DRILLED) > bad)
        return SNAP_DRILLED;
    return verdict_seq(l, snapshot, VERDICT_VERIFIED) > bad ? SNAP_VERIFIED : SNAP_GOOD;
}

const char *goodness_name(enum goodness g)
{
    static const char *const names[] = {"suspect", "bad", "good", "verified", "drilled"};
    return names[g];
}

static bool is_any(const struct log *l, const struct entry *e)
{
    (void)l;
    (void)e;
    return true;
}

static bool is_known(const struct log *l, const struct entry *e)
{
    (void)l;
    return e->snapshot.counts.unknown == 0;
}

static bool is_good(const struct log *l, const struct entry *e)
{
    return log_goodness(l, e) >= SNAP_GOOD;
}

static bool was_good(const struct log *l, const struct entry *e)
{
    return last_word(l, e) == SNAP_GOOD;
}

static const struct entry *newest(const struct log *l,
                                  bool (*is_meant)(const struct log *, const struct entry *))
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && (!found || e->seq > found->seq) &&
            log_standing(l, e) == STANDING_LIVE && is_meant(l, e))
            found = e;
    }
    return found;
}

const struct entry *log_newest_snapshot(const struct log *l)
{
    return newest(l, is_any);
}

const struct entry *log_newest_known(const struct log *l)
{
    return newest(l, is_known);
}

const struct entry *log_latest_good(const struct log *l)
{
    return newest(l, is_good);
}

const struct entry *log_yardstick(const struct log *l)
{
    return newest(l, was_good);
}
