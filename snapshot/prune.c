// SPDX-License-Identifier: Apache-2.0
//
// Forgetting: a checkpoint says what stays, what waits and what may be deleted (section 10, P1-P3).
// Deletion itself is sweep.c.
#include "snapshot/prune.h"

#include <stdlib.h>

#include "base/clock.h"
#include "snapshot/prune_int.h"

#define MAX_SKEW_MS (24 * 3600 * 1000LL)
#define MAX_TRIES 20 // others keep committing meanwhile

void prune_result_clear(struct prune_result *r)
{
    vec_clear(&r->decisions.v);
    vec_clear(&r->dropped);
    vec_clear(&r->swept);
    vec_clear(&r->written_off);
    vec_clear(&r->lost);
    vec_clear(&r->doubted);
    *r = (struct prune_result){0};
}

static unsigned long long ull(uint64_t n)
{
    return n;
}

const struct checkpoint_entry *prune_newest(const struct log *l, uint64_t *seq)
{
    *seq = l->checkpoint < 0 ? 0 : l->v.v[l->checkpoint].seq;
    return l->checkpoint < 0 ? NULL : &l->v.v[l->checkpoint].checkpoint;
}

// ---- P1, P2 ----

// The index files of everything live must be there and whole: what is needed must be known before
// anything goes.
static bool check_live(struct pruning_run *p, struct err *err)
{
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        struct batches b CLEANUP(batches_clear) = {0};
        if (e->kind == ENTRY_SNAPSHOT && log_standing(&p->log, e) == STANDING_LIVE &&
            !prune_is_written_off(p, e->seq) && !batches_read(p->r, p->chain, e, NULL, &b, err))
            return err->kind == ERR_NOT_FOUND ? err_wrap(err, "nothing is forgotten") : false;
    }
    return true;
}

static bool check_clock(struct pruning_run *p, struct err *err)
{
    if (!store_now(p->r->store, &p->now_ms, err))
        return false;
    int64_t skew = p->now_ms - clock_unix_ms();
    if (skew < MAX_SKEW_MS && skew > -MAX_SKEW_MS)
        return true;
    return err_set(err, ERR_CONFLICT,
                   "the store's clock and this machine's differ by %lld hours; ages cannot be told",
                   (long long)((skew < 0 ? -skew : skew) / 3600000));
}

static struct keep_decision *decision_of(struct keep_decisions *d, uint64_t seq,
                                         const struct sha256 *hash)
{
    for (size_t i = 0; i < d->v.len; i++)
        if (d->v.v[i].seq == seq && (!hash || sha256_eq(&d->v.v[i].hash, hash)))
            return &d->v.v[i];
    return NULL;
}

// What a person names goes, unless it is one of those that always stay.
static bool drop_named(const struct prune_opts *o, struct keep_decisions *d, struct err *err)
{
    for (size_t i = 0; i < o->n_drop; i++) {
        struct keep_decision *k = decision_of(d, o->drop[i], NULL);
        if (!k)
            return err_set(err, ERR_NOT_FOUND, "snapshot %llu is not there", ull(o->drop[i]));
        if (k->keep && str_starts(k->why, "the "))
            return err_set(err, ERR_CONFLICT, "snapshot %llu has to stay (%s)", ull(o->drop[i]),
                           k->why);
        k->keep = false;
        k->why = "named";
    }
    return true;
}

static bool decide(struct pruning_run *p, struct err *err)
{
    const struct keep_rules defaults = keep_rules_default();
    const struct prune_opts *o = p->o;
    struct keep_decisions *d = &p->out->decisions;
    vec_clear(&d->v);
    keep_choose(&p->log, o->rules ? o->rules : &defaults, p->now_ms, d);
    if (!o->rules) {
        // Nothing is dropped by rule: only what a person names.
        for (size_t i = 0; i < d->v.len; i++) {
            d->v.v[i].why = d->v.v[i].keep ? d->v.v[i].why : "no rule was given";
            d->v.v[i].keep = true;
        }
    }
    return drop_named(o, d, err);
}

// ---- P3 ----

static void push_kept(struct checkpoint_entry *c, bool keep, const struct entry *e, uint64_t since)
{
    struct seq_hash x = {.seq = e->seq, .hash = e->hash, .since = since};
    if (keep)
        *vec_push(&c->keep) = x;
    else
        *vec_push(&c->wait) = x;
}

static const struct seq_hash *find_in(const struct seq_hash *v, size_t n, const struct entry *e)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].seq == e->seq && sha256_eq(&v[i].hash, &e->hash))
            return &v[i];
    return NULL;
}

// When the checkpoint that dropped it was stored. One whose age cannot be told any more counts as
// old as the newest one. 0: there is none.
static int64_t dropped_at_ms(const struct log *l, uint64_t since)
{
    int64_t at = log_stored_at_ms(l, since);
    const struct entry *c = at ? NULL : log_find(l, since);
    if (!at && !c && l->checkpoint >= 0)
        c = &l->v.v[l->checkpoint];
    return at ? at : !c ? 0 : c->stored_at_ms ? c->stored_at_ms : c->time_unix_s * 1000;
}

int64_t prune_waits_since_ms(const struct log *l, const struct entry *e)
{
    uint64_t at;
    const struct checkpoint_entry *now = prune_newest(l, &at);
    const struct seq_hash *w = now ? find_in(now->wait.v, now->wait.len, e) : NULL;
    return w ? dropped_at_ms(l, w->since) : 0;
}

// Has it waited for the grace, by the store's clock?
static bool has_waited(const struct pruning_run *p, uint64_t since)
{
    int64_t at = dropped_at_ms(&p->log, since);
    int64_t due = (at ? at : p->now_ms) + (p->o->grace_ms ? p->o->grace_ms : PRUNE_GRACE_MS);
    if (due > p->now_ms && (!p->out->next_sweep_unix_ms || due < p->out->next_sweep_unix_ms))
        p->out->next_sweep_unix_ms = due;
    return due <= p->now_ms;
}

static void push_sweep(struct checkpoint_entry *c, uint64_t seq)
{
    for (size_t i = 0; i < c->sweep.len; i++)
        if (c->sweep.v[i] == seq)
            return;
    *vec_push(&c->sweep) = seq;
}

// A number is swept as a whole: after a fork two entries share one.
static bool shares_number(const struct checkpoint_entry *c, uint64_t seq)
{
    for (size_t i = 0; i < c->keep.len; i++)
        if (c->keep.v[i].seq == seq)
            return true;
    for (size_t i = 0; i < c->wait.len; i++)
        if (c->wait.v[i].seq == seq)
            return true;
    return false;
}

static void place_snapshot(struct pruning_run *p, const struct entry *e, struct checkpoint_entry *c)
{
    uint64_t newest_seq;
    const struct checkpoint_entry *now = prune_newest(&p->log, &newest_seq);
    enum standing standing = log_standing(&p->log, e);
    if (standing == STANDING_LIVE) {
        const struct keep_decision *d = decision_of(&p->out->decisions, e->seq, &e->hash);
        bool stays = !d || d->keep;
        push_kept(c, stays, e, p->log.head + 1);
        if (!stays)
            *vec_push(&p->out->dropped) = e->seq;
    } else if (standing == STANDING_WAITING) {
        const struct seq_hash *w = find_in(now->wait.v, now->wait.len, e);
        if (p->o->sweep && has_waited(p, w->since))
            *vec_push(&p->out->swept) = e->seq;
        else
            push_kept(c, false, e, w->since);
    }
}

// A verdict shares the lot of the snapshot it is on.
static void place_verdict(const struct entry *e, struct checkpoint_entry *c)
{
    const struct seq_hash *of = &e->verdict.of;
    for (size_t i = 0; i < c->keep.len; i++) {
        if (c->keep.v[i].seq == of->seq && sha256_eq(&c->keep.v[i].hash, &of->hash)) {
            push_kept(c, true, e, 0);
            return;
        }
    }
    for (size_t i = 0; i < c->wait.len; i++) {
        if (c->wait.v[i].seq == of->seq && sha256_eq(&c->wait.v[i].hash, &of->hash)) {
            push_kept(c, false, e, c->wait.v[i].since);
            return;
        }
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void prune_sort(struct checkpoint_entry *c)
{
    if (c->keep.len)
        qsort(c->keep.v, c->keep.len, sizeof(*c->keep.v), seq_hash_order);
    if (c->wait.len)
        qsort(c->wait.v, c->wait.len, sizeof(*c->wait.v), seq_hash_order);
    if (c->sweep.len)
        qsort(c->sweep.v, c->sweep.len, sizeof(*c->sweep.v), by_number);
}

// What a sweep that was cut left behind goes on being swept.
static void carry_sweep(const struct pruning_run *p, struct checkpoint_entry *c)
{
    uint64_t seq;
    const struct checkpoint_entry *now = prune_newest(&p->log, &seq);
    for (size_t i = 0; now && i < now->sweep.len; i++)
        if (prune_number_present(p, now->sweep.v[i]) && !shares_number(c, now->sweep.v[i]))
            push_sweep(c, now->sweep.v[i]);
}

static void plan_checkpoint(struct pruning_run *p, struct checkpoint_entry *c)
{
    p->out->dropped.len = p->out->swept.len = 0;
    p->out->next_sweep_unix_ms = 0;
    for (size_t i = 0; i < p->log.v.len; i++)
        if (p->log.v.v[i].kind == ENTRY_SNAPSHOT && !prune_is_written_off(p, p->log.v.v[i].seq))
            place_snapshot(p, &p->log.v.v[i], c);
    for (size_t i = 0; i < p->log.v.len; i++) {
        const struct entry *e = &p->log.v.v[i];
        if (e->kind == ENTRY_VERDICT && log_standing(&p->log, e) != STANDING_DEAD)
            place_verdict(e, c);
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->out->swept.len; i++) {
        if (shares_number(c, p->out->swept.v[i]))
            continue; // its twin of a fork stays; it is dead all the same
        push_sweep(c, p->out->swept.v[i]);
        p->out->swept.v[kept++] = p->out->swept.v[i];
    }
    p->out->swept.len = kept;
    carry_sweep(p, c);
    prune_sort(c);
    lost_note(p, c);
    p->out->waiting = 0;
    for (size_t i = 0; i < c->wait.len; i++) {
        const struct entry *e = log_find_hash(&p->log, c->wait.v[i].seq, &c->wait.v[i].hash);
        p->out->waiting += e && e->kind == ENTRY_SNAPSHOT;
    }
}

// Commits the checkpoint. *again: somebody was first; all of it is decided anew.
static bool commit(struct pruning_run *p, struct checkpoint_entry *c, bool *again, struct err *err)
{
    struct entry e = {.kind = ENTRY_CHECKPOINT};
    bool made = false;
    e.checkpoint = *c;
    *c = (struct checkpoint_entry){0};
    bool ok = log_append(p->r, &p->log, &e, &p->o->pruner->signer, NULL, &made, err);
    entry_clear(&e);
    *again = ok && !made;
    return ok;
}

static bool read_all(struct pruning_run *p, struct err *err)
{
    struct log_opts lo = {.lost = p->o->write_off, .n_lost = p->o->n_write_off};
    log_clear(&p->log);
    return log_read(p->r, p->chain, &lo, &p->log, err) && lost_check(p, err) && check_live(p, err);
}

static bool may_prune(const struct pruning_run *p, struct err *err)
{
    if (!trust_check_flags(trust_now(&p->r->trust), false, true, err))
        return false;
    if (p->o->sweep && !p->r->marker.atomic_create && !p->o->exclusive && !p->o->dry_run_only)
        return err_set(err, ERR_USAGE,
                       "this store cannot keep two writers apart: state with --exclusive that no "
                       "snapshot is being written now");
    // Whoever writes all the same does not see the checkpoint: what he stands on has to stay.
    if (p->o->sweep && !p->r->marker.atomic_create && p->o->grace_ms &&
        p->o->grace_ms < PRUNE_GRACE_MS)
        return err_set(err, ERR_USAGE,
                       "this store cannot keep two writers apart: what was forgotten waits the "
                       "full grace of %lld hours there",
                       (long long)(PRUNE_GRACE_MS / 3600000));
    return true;
}

static void checkpoint_clear(struct checkpoint_entry *c)
{
    vec_clear(&c->keep);
    vec_clear(&c->wait);
    vec_clear(&c->sweep);
    str_freep(&c->rule);
}

// One round: decide, and commit when there is something to say.
static bool round_once(struct pruning_run *p, bool *again, struct err *err)
{
    struct checkpoint_entry c CLEANUP(checkpoint_clear) = {0};
    *again = false;
    if (!read_all(p, err) || !check_clock(p, err) || !decide(p, err))
        return false;
    plan_checkpoint(p, &c);
    // A sweep that was cut is committed already: it only goes on.
    bool is_news = p->out->dropped.len || p->out->swept.len || p->out->written_off.len;
    if (!is_news || p->o->dry_run_only)
        return true;
    c.rule = str_dup(p->o->n_write_off ? "lost" : p->o->rules ? "rules" : "named");
    return commit(p, &c, again, err);
}

bool repo_probe_again(struct repo *r, const struct store_opts *o, struct err *err)
{
    struct store_guarantees g = {0};
    if (!store_probe(r->store, o, &g, err))
        return err_wrap(err, "probe");
    if (g.atomic_create || !r->marker.atomic_create)
        return true;
    return err_set(err, ERR_CONFLICT,
                   "%s let several writers win one name, which it did not when the repository was "
                   "made",
                   r->store->url);
}

bool repo_prune(struct repo *r, const char *chain, const struct prune_opts *o,
                struct prune_result *out, struct err *err)
{
    struct pruning_run p = {.r = r, .chain = chain, .o = o, .out = out};
    const char *cache = r->index_cache;
    p.log.checkpoint = -1;
    r->index_cache = NULL; // what the store lost is lost, whatever this machine remembers
    bool again = true;
    bool ok = may_prune(&p, err);
    for (int i = 0; ok && again; i++) {
        if (i == MAX_TRIES)
            ok = err_set(err, ERR_CONFLICT, "others wrote to chain %s all the while", chain);
        else
            ok = round_once(&p, &again, err);
    }
    if (ok && o->sweep && !o->dry_run_only) {
        struct log_opts lo = {0};
        log_clear(&p.log);
        ok = log_read(r, chain, &lo, &p.log, err) && sweep_run(&p, err);
    }
    r->index_cache = cache;
    log_clear(&p.log);
    return ok;
}

// ---- undo ----

static bool move_back(const struct log *l, uint64_t seq, struct checkpoint_entry *c,
                      struct err *err)
{
    uint64_t at;
    const struct checkpoint_entry *now = prune_newest(l, &at);
    bool found = false;
    for (size_t i = 0; now && i < now->wait.len; i++)
        found |= now->wait.v[i].seq == seq;
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "snapshot %llu is not waiting to be deleted", ull(seq));
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        enum standing s = log_standing(l, e);
        uint64_t of = e->kind == ENTRY_VERDICT ? e->verdict.of.seq : e->seq;
        if (e->kind == ENTRY_CHECKPOINT || s == STANDING_DEAD)
            continue;
        const struct seq_hash *w = find_in(now->wait.v, now->wait.len, e);
        push_kept(c, s == STANDING_LIVE || of == seq, e, w ? w->since : 0);
    }
    return true;
}

bool repo_forget_undo(struct repo *r, const char *chain, const struct credential *pruner,
                      uint64_t seq, struct err *err)
{
    struct prune_opts o = {.pruner = pruner};
    struct prune_result ignored = {0};
    struct pruning_run p = {.r = r, .chain = chain, .o = &o, .out = &ignored};
    p.log.checkpoint = -1;
    bool again = true;
    bool ok = may_prune(&p, err);
    for (int i = 0; ok && again; i++) {
        struct checkpoint_entry c CLEANUP(checkpoint_clear) = {0};
        if (i == MAX_TRIES)
            ok = err_set(err, ERR_CONFLICT, "others wrote to chain %s all the while", chain);
        ok = ok && read_all(&p, err) && move_back(&p.log, seq, &c, err);
        if (!ok)
            break;
        carry_sweep(&p, &c);
        prune_sort(&c);
        lost_note(&p, &c);
        c.rule = str_dup("undo");
        ok = commit(&p, &c, &again, err);
    }
    log_clear(&p.log);
    return ok;
}
