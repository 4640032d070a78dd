// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/trustkit.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/memstore.h"
#include "tests/test.h"

struct signer kit_signer(const char *seed)
{
    struct signer s;
    uint8_t raw[KEY_BYTES];
    fixed_key(seed, raw);
    signer_from_seed(raw, &s);
    return s;
}

struct age_identity kit_identity(unsigned epoch)
{
    struct age_identity id;
    uint8_t raw[KEY_BYTES];
    CLEANUP(str_freep) char *seed = str_printf("epoch %u", epoch);
    fixed_key(seed, raw);
    age_identity_from_raw(raw, &id);
    return id;
}

void kit_repo(uint8_t repo[REPO_ID_BYTES])
{
    uint8_t raw[KEY_BYTES];
    fixed_key("repo", raw);
    memcpy(repo, raw, REPO_ID_BYTES);
}

void kit_add_admin(struct trust *t, const char *seed, const char *label)
{
    struct trust_admin *a = vec_push(&t->admins);
    memcpy(a->public, kit_signer(seed).public, KEY_BYTES);
    a->label = str_dup(label);
}

struct trust_signer *kit_add_signer(struct trust *t, const char *seed, enum role role)
{
    struct trust_signer *s = vec_push(&t->signers);
    memcpy(s->public, kit_signer(seed).public, KEY_BYTES);
    s->role = role;
    s->label = str_dup(seed);
    return s;
}

void kit_add_epoch(struct trust *t, unsigned n)
{
    struct trust_epoch *e = vec_push(&t->epochs);
    e->n = n;
    memcpy(e->recipient, kit_identity(n).public, KEY_BYTES);
}

void kit_add_slot(struct trust *t, const char *label)
{
    struct trust_slot *s = vec_push(&t->slots);
    struct sha256 h = sha256_of(label, strlen(label));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    memcpy(s->file, hex, sizeof(s->file));
    s->epoch = 1;
    s->kind = str_dup("passphrase");
    s->label = str_dup(label);
}

struct trust kit_first(void)
{
    struct trust t = {.n = 1, .need = 2};
    kit_repo(t.repo);
    kit_add_admin(&t, "ann", "ann");
    kit_add_admin(&t, "ben", "ben");
    kit_add_admin(&t, "cem", "Cem Ö.");
    kit_add_epoch(&t, 1);
    strv_push(&kit_add_signer(&t, "writer", ROLE_WRITE)->chains, "prod");
    kit_add_signer(&t, "pruner", ROLE_PRUNE);
    kit_add_signer(&t, "judge", ROLE_JUDGE);
    return t;
}

void kit_write(struct store *st, const struct trust_chain *before, const struct trust *t,
               const char *a, const char *b)
{
    struct signer by[2] = {kit_signer(a), kit_signer(b)};
    struct sha256 hash;
    struct err err = {0};
    if (!trust_write(st, before, t, by, 2, &hash, &err))
        fail_msg("%s", err.msg);
}

void kit_read(struct store *st, struct trust_chain *out)
{
    struct err err = {0};
    trust_chain_clear(out);
    if (!trust_read(st, NULL, out, &err))
        fail_msg("%s", err.msg);
}

void kit_write_first(struct store *st, struct trust_chain *out)
{
    struct trust t = kit_first();
    kit_write(st, NULL, &t, "ann", "ben");
    trust_clear(&t);
    kit_read(st, out);
}

struct sha256 kit_pin(const struct store *st)
{
    const struct buf *b = memstore_file(st, "trust/0001");
    return sha256_of(b->p, b->len);
}

struct store *kit_three(void)
{
    struct store *st = memstore_new();
    struct trust_chain c = {0};
    struct trust t;
    kit_write_first(st, &c);

    trust_next(&c, &t);
    kit_add_slot(&t, "safe");
    t.signers.v[0].until = json_pack("{s:i}", "prod", 17);
    strv_push(&t.read_flags, "later");
    strv_push(&kit_add_signer(&t, "writer 2", ROLE_WRITE)->chains, "prod");
    kit_write(st, &c, &t, "ben", "cem");
    trust_clear(&t);
    kit_read(st, &c);

    trust_next(&c, &t);
    strv_clear(&t.read_flags);
    memcpy(t.admins.v[0].public, kit_signer("dan").public, KEY_BYTES);
    str_set(&t.admins.v[0].label, "dan");
    t.epochs.v[0].is_closed = true;
    kit_add_epoch(&t, 2);
    kit_write(st, &c, &t, "ben", "cem");
    trust_clear(&t);
    trust_chain_clear(&c);
    return st;
}
