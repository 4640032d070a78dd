// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/logkit.h"

#include "tests/test.h"

static const char *const seeds[] = {
    [ENTRY_SNAPSHOT] = "writer", [ENTRY_CHECKPOINT] = "pruner", [ENTRY_VERDICT] = "judge"};

struct store *log_kit_store(bool atomic_create)
{
    struct store *st = memstore_new();
    struct trust_chain c = {0};
    struct marker m = {.atomic_create = atomic_create, .list_after_create = true};
    struct signer ann = kit_signer("ann");
    struct err err = {0};
    memstore_be(st, atomic_create, true, false);
    kit_write_first(st, &c);
    kit_repo(m.repo);
    m.store_kind = str_dup("mem");
    if (!marker_write(st, &m, &ann, &err))
        fail_msg("%s", err.msg);
    marker_clear(&m);
    trust_chain_clear(&c);
    return st;
}

void log_kit_allow(struct store *st, const char *const *flags, size_t n)
{
    struct trust_chain c = {0};
    struct trust t = {0};
    kit_read(st, &c);
    trust_next(&c, &t);
    for (size_t i = 0; i < n; i++)
        strv_push(&t.read_flags, flags[i]);
    kit_write(st, &c, &t, "ann", "ben");
    trust_clear(&t);
    trust_chain_clear(&c);
}

void log_kit_open(struct store *st_take, struct repo *r)
{
    struct sha256 pin = kit_pin(st_take);
    struct err err = {0};
    if (!repo_open_store_take(st_take, &pin, r, &err))
        fail_msg("%s", err.msg);
}

void log_kit_read(struct repo *r, struct log *l)
{
    struct log_opts o = {0};
    struct err err = {0};
    log_clear(l);
    if (!log_read(r, PROD, &o, l, &err))
        fail_msg("%s", err.msg);
}

void log_kit_revoke(struct repo *r, const char *seed, uint64_t seq)
{
    struct trust t;
    struct signer s = kit_signer(seed);
    struct store *st = r->store;
    trust_next(&r->trust, &t);
    for (size_t i = 0; i < t.signers.len; i++)
        if (!memcmp(t.signers.v[i].public, s.public, KEY_BYTES))
            t.signers.v[i].until = json_pack("{s:I}", PROD, (json_int_t)seq);
    kit_write(st, &r->trust, &t, "ann", "ben");
    trust_clear(&t);
    r->store = NULL;
    repo_close(r);
    log_kit_open(st, r);
}

char *log_kit_problem(struct repo *r, const struct log_opts *o)
{
    struct log l CLEANUP(log_clear) = {0};
    const struct log_opts none = {0};
    struct err err = {0};
    if (log_read(r, PROD, o ? o : &none, &l, &err))
        return NULL;
    if (err.kind != ERR_CORRUPT)
        fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
    char *msg = str_dup(err.msg);
    err_clear(&err);
    return msg;
}

struct entry kit_snapshot(bool is_good)
{
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    e.snapshot.epoch = 1;
    e.snapshot.is_good = is_good;
    if (!is_good)
        strv_push(&e.snapshot.why, "shrunk-objects");
    e.snapshot.counts.apps = 10;
    return e;
}

struct entry kit_verdict(const struct entry *of, enum verdict v)
{
    struct entry e = {.kind = ENTRY_VERDICT};
    e.verdict.of = (struct seq_hash){.seq = of->seq, .hash = of->hash};
    e.verdict.verdict = v;
    return e;
}

struct entry kit_checkpoint(void)
{
    struct entry e = {.kind = ENTRY_CHECKPOINT};
    e.checkpoint.rule = str_dup("by hand");
    return e;
}

void kit_keep(struct entry *checkpoint, const struct entry *e)
{
    *vec_push(&checkpoint->checkpoint.keep) = (struct seq_hash){.seq = e->seq, .hash = e->hash};
}

void kit_wait(struct entry *checkpoint, const struct entry *e, uint64_t since)
{
    *vec_push(&checkpoint->checkpoint.wait) =
        (struct seq_hash){.seq = e->seq, .hash = e->hash, .since = since};
}

const struct entry *log_kit_append(struct repo *r, struct log *l, struct entry *e_take)
{
    struct signer s = kit_signer(seeds[e_take->kind]);
    struct err err = {0};
    bool made;
    if (!log_append(r, l, e_take, &s, NULL, &made, &err))
        fail_msg("%s", err.msg);
    assert_true(made);
    entry_clear(e_take);
    return &l->v.v[l->v.len - 1];
}

const struct entry *log_kit_snapshot(struct repo *r, struct log *l)
{
    struct entry e = kit_snapshot(true);
    return log_kit_append(r, l, &e);
}

void log_kit_bytes(const struct repo *r, struct entry *e_take, uint64_t seq,
                   const struct sha256 *prev, const char *seed, struct buf *out,
                   struct sha256 *hash)
{
    struct signer s = kit_signer(seed);
    struct err err = {0};
    const struct trust *t = trust_now(&r->trust);
    memcpy(e_take->repo, t->repo, sizeof(e_take->repo));
    if (!e_take->chain)
        e_take->chain = str_dup(PROD);
    if (!e_take->trust)
        e_take->trust = t->n;
    e_take->seq = seq;
    e_take->tool = str_dup("by hand");
    if (prev)
        *vec_push(&e_take->prev) = *prev;
    if (!entry_write(e_take, &s, out, hash, &err))
        fail_msg("%s", err.msg);
    entry_clear(e_take);
}

struct sha256 log_kit_put(struct repo *r, struct entry *e_take, uint64_t seq,
                          const struct sha256 *prev, const char *seed)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    log_kit_bytes(r, e_take, seq, prev, seed, &b, &hash);
    CLEANUP(str_freep) char *name = log_name(r, PROD, seq, &hash);
    memstore_put(r->store, name, b.p, b.len);
    return hash;
}

void log_kit_drop(struct repo *r, uint64_t seq)
{
    CLEANUP(str_freep) char *name = log_name(r, PROD, seq, NULL);
    memstore_drop(r->store, name);
}
