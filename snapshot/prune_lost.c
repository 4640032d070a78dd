// SPDX-License-Identifier: Apache-2.0
//
// Entries that a person gave up for lost (docs/repository-format.md sections 10 to 12). What such
// an entry was cannot be told any more, so the worst is assumed: a verdict that called a snapshot
// bad.
#include "snapshot/prune_int.h"

static unsigned long long ull(uint64_t n)
{
    return n;
}

bool prune_is_written_off(const struct pruning_run *p, uint64_t seq)
{
    for (size_t i = 0; i < p->o->n_write_off; i++)
        if (p->o->write_off[i] == seq)
            return true;
    return false;
}

// Is it whole after all? Then it is not lost, and can be forgotten like any other.
static bool is_lost(struct pruning_run *p, const struct entry *e, struct err *err)
{
    struct batches b CLEANUP(batches_clear) = {0};
    if (e->kind != ENTRY_SNAPSHOT)
        return err_set(err, ERR_CONFLICT, "entry %llu is there, and is no snapshot", ull(e->seq));
    if (batches_read(p->r, p->chain, e, NULL, &b, err))
        return err_set(err, ERR_CONFLICT, "snapshot %llu is there, with its index files",
                       ull(e->seq));
    if (err->kind != ERR_CORRUPT)
        return false;
    err_clear(err);
    return true;
}

// Must an entry of that number be there?
static bool must_be_there(const struct log *l, uint64_t seq)
{
    uint64_t checkpoint;
    const struct checkpoint_entry *c = prune_newest(l, &checkpoint);
    bool must = seq > checkpoint;
    for (size_t i = 0; c && i < c->keep.len; i++)
        must |= c->keep.v[i].seq == seq;
    for (size_t i = 0; c && i < c->wait.len; i++)
        must |= c->wait.v[i].seq == seq;
    return must;
}

static bool is_noted(const struct pruning_run *p, uint64_t seq)
{
    for (size_t i = 0; i < p->out->written_off.len; i++)
        if (p->out->written_off.v[i] == seq)
            return true;
    return false;
}

// What of it counts still; a second time there is nothing left to do.
bool lost_check(struct pruning_run *p, struct err *err)
{
    p->out->written_off.len = p->out->lost.len = 0;
    for (size_t i = 0; i < p->o->n_write_off; i++) {
        uint64_t seq = p->o->write_off[i];
        const struct entry *e = log_find(&p->log, seq);
        if (is_noted(p, seq))
            continue;
        if (e && log_standing(&p->log, e) == STANDING_DEAD)
            continue;
        if (e && !is_lost(p, e, err))
            return false;
        if (!e && seq > p->log.head)
            return err_set(err, ERR_NOT_FOUND, "there was no entry %llu", ull(seq));
        if (e || must_be_there(&p->log, seq))
            *vec_push(&p->out->written_off) = seq;
        if (!e && must_be_there(&p->log, seq))
            *vec_push(&p->out->lost) = seq;
    }
    return true;
}

// Could somebody judge there at all?
static bool may_be_verdict(const struct pruning_run *p, uint64_t seq)
{
    const struct trust *t = trust_now(&p->r->trust);
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        if (s->role == ROLE_JUDGE && (!s->chains.len || strv_has(&s->chains, p->chain)) &&
            !trust_is_void(s, p->chain, seq))
            return true;
    }
    return false;
}

static bool has_below(const struct checkpoint_entry *c, uint64_t seq)
{
    return (c->keep.len && c->keep.v[0].seq < seq) || (c->wait.len && c->wait.v[0].seq < seq);
}

static bool is_judged_after(const struct log *l, const struct entry *e, uint64_t seq)
{
    const struct entry *good = log_verdict(l, e, VERDICT_GOOD);
    return good && good->seq > seq;
}

static void find_doubted(struct pruning_run *p, uint64_t lost)
{
    p->out->doubted.len = 0;
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && e->seq < lost && !prune_is_written_off(p, e->seq) &&
            log_standing(&p->log, e) != STANDING_DEAD && log_goodness(&p->log, e) >= SNAP_GOOD &&
            !is_judged_after(&p->log, e, lost))
            *vec_push(&p->out->doubted) = e->seq;
    }
}

// A verdict speaks of a snapshot before it. Of which one, nobody can tell when it is lost: that
// stays with all of them, from checkpoint to checkpoint.
void lost_note(struct pruning_run *p, struct checkpoint_entry *c)
{
    uint64_t at;
    const struct checkpoint_entry *now = prune_newest(&p->log, &at);
    c->lost = now ? now->lost : 0;
    for (size_t i = 0; i < p->out->lost.len; i++)
        if (p->out->lost.v[i] > c->lost && may_be_verdict(p, p->out->lost.v[i]))
            c->lost = p->out->lost.v[i];
    if (c->lost && !has_below(c, c->lost))
        c->lost = 0;
    find_doubted(p, c->lost);
}
