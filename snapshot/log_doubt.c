// SPDX-License-Identifier: Apache-2.0
//
// What is remembered of verdicts (docs/repository-format.md section 12). A pruner decides which
// entries stay, and must not decide by that which snapshots are good: so every snapshot and every
// verdict names what was bad when it was written, under a key the pruner does not have. Left out by
// a checkpoint, a "bad" still leaves a doubt that only a judge can end.
#include <stdlib.h>

#include "snapshot/log_int.h"

static bool is_same(const struct seq_hash *a, const struct seq_hash *b)
{
    return a->seq == b->seq && sha256_eq(&a->hash, &b->hash);
}

// Speaks of snapshots, and is believed: signed by a writer or a judge.
static bool remembers(const struct entry *e)
{
    return e->kind != ENTRY_CHECKPOINT && !e->is_void;
}

// From this number on everything is there, and was read.
static uint64_t all_there_from(const struct log *l)
{
    uint64_t lowest = ENTRY_MAX_SEQ;
    if (l->checkpoint >= 0)
        return l->v.v[l->checkpoint].seq;
    for (size_t i = 0; i < l->v.len && !l->is_whole; i++)
        if (l->v.v[i].seq < lowest)
            lowest = l->v.v[i].seq;
    return l->is_whole ? 1 : lowest;
}

// May it be true? Where everything is there the verdict must be, too; void or not: somebody had
// that key.
static bool is_credible(const struct log *l, uint64_t from, const struct seq_hash *bad)
{
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->seq == bad->since && e->kind == ENTRY_VERDICT && e->verdict.verdict == VERDICT_BAD &&
            is_same(&e->verdict.of, bad))
            return true;
    }
    return bad->since < from;
}

static void at_least(uint64_t *to, uint64_t n)
{
    if (n > *to)
        *to = n;
}

// Given up for lost, by the checkpoint or by what was written since.
static uint64_t given_up(const struct log *l, uint64_t from)
{
    uint64_t lost = l->checkpoint < 0 ? 0 : l->v.v[l->checkpoint].checkpoint.lost;
    for (size_t i = 0; i < l->v.len; i++)
        if (remembers(&l->v.v[i]) && l->v.v[i].remembered.lost < from)
            at_least(&lost, l->v.v[i].remembered.lost);
    return lost;
}

uint64_t log_lost_seq(const struct log *l, const struct entry *snapshot)
{
    const struct seq_hash of = {.seq = snapshot->seq, .hash = snapshot->hash};
    uint64_t from = all_there_from(l);
    uint64_t lost = given_up(l, from);
    for (size_t i = 0; i < l->v.len; i++) {
        const struct seq_hashes *bad = &l->v.v[i].remembered.bad;
        for (size_t k = 0; remembers(&l->v.v[i]) && k < bad->len; k++)
            if (is_same(&bad->v[k], &of) && is_credible(l, from, &bad->v[k]))
                at_least(&lost, bad->v[k].since);
    }
    return lost > snapshot->seq ? lost : 0;
}

uint64_t log_left_out(const struct log *l, const struct entry *snapshot)
{
    uint64_t lost = log_lost_seq(l, snapshot);
    bool is_known = lost <= given_up(l, all_there_from(l));
    return log_is_in_doubt(l, snapshot) && !is_known ? lost : 0;
}

// ---- for the next one ----

static void add(struct seq_hashes *rows, const struct seq_hash *of, uint64_t at)
{
    for (size_t i = 0; i < rows->len; i++) {
        if (is_same(&rows->v[i], of)) {
            at_least(&rows->v[i].since, at);
            return;
        }
    }
    *vec_push(rows) = (struct seq_hash){.seq = of->seq, .hash = of->hash, .since = at};
}

static bool is_judged_good_after(const struct log *l, const struct seq_hash *bad)
{
    const struct entry snapshot = {.seq = bad->seq, .hash = bad->hash};
    const struct entry *good = log_verdict(l, &snapshot, VERDICT_GOOD);
    return good && good->seq > bad->since;
}

static bool has(const struct seq_hashes *rows, const struct seq_hash *of)
{
    for (size_t i = 0; i < rows->len; i++)
        if (is_same(&rows->v[i], of))
            return true;
    return false;
}

// Nobody asks any more what is forgotten.
static bool is_gone(const struct log *l, const struct seq_hash *of)
{
    if (l->checkpoint < 0 || of->seq >= l->v.v[l->checkpoint].seq)
        return false;
    const struct checkpoint_entry *c = &l->v.v[l->checkpoint].checkpoint;
    return !has(&c->keep, of) && !has(&c->wait, of);
}

static void collect(const struct log *l, struct seq_hashes *rows)
{
    uint64_t from = all_there_from(l);
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (!remembers(e))
            continue;
        if (e->kind == ENTRY_VERDICT && e->verdict.verdict == VERDICT_BAD)
            add(rows, &e->verdict.of, e->seq);
        for (size_t k = 0; k < e->remembered.bad.len; k++)
            if (is_credible(l, from, &e->remembered.bad.v[k]))
                add(rows, &e->remembered.bad.v[k], e->remembered.bad.v[k].since);
    }
}

static bool has_below(const struct log *l, uint64_t seq)
{
    if (l->checkpoint < 0)
        return true;
    const struct checkpoint_entry *c = &l->v.v[l->checkpoint].checkpoint;
    return (c->keep.len && c->keep.v[0].seq < seq) || (c->wait.len && c->wait.v[0].seq < seq);
}

// Of a log that was read for its head alone the newest snapshot remembers what is below.
void log_remember(const struct log *l, struct remembered *out)
{
    size_t n = 0;
    collect(l, &out->bad);
    for (size_t i = 0; i < out->bad.len; i++)
        if (!is_judged_good_after(l, &out->bad.v[i]) && !is_gone(l, &out->bad.v[i]))
            out->bad.v[n++] = out->bad.v[i];
    out->bad.len = n;
    if (n)
        qsort(out->bad.v, n, sizeof(*out->bad.v), seq_hash_order);
    if (n > ENTRY_MAX_BAD) {
        memmove(out->bad.v, &out->bad.v[n - ENTRY_MAX_BAD], ENTRY_MAX_BAD * sizeof(*out->bad.v));
        out->bad.len = ENTRY_MAX_BAD;
    }
    out->has_bad = true;
    out->lost = given_up(l, all_there_from(l));
    if (out->lost && !has_below(l, out->lost))
        out->lost = 0;
}
