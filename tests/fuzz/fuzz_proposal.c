// SPDX-License-Identifier: Apache-2.0
//
// A change of trust on its way from admin to admin: as bytes from anybody, and as a line that an
// admin has signed. What is taken follows the newest trust, shows all that it changes, and can be
// signed by the others until it would be read.
#include <stdlib.h>
#include <string.h>

#include "snapshot/trust_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADMINS 3
#define KEYS 5

static void must(bool ok)
{
    if (!ok)
        abort();
}

// The admins, then a writer and a judge; the same ones for ever, and made once.
static const struct signer *who(uint8_t n)
{
    static struct signer keys[KEYS];
    static bool is_made;
    for (uint8_t i = 0; !is_made && i < KEYS; i++) {
        const uint8_t seed[KEY_BYTES] = {i};
        signer_from_seed(seed, &keys[i]);
    }
    is_made = true;
    return &keys[n];
}

static void add_signer(struct trust *t, uint8_t n, enum role role, const char *chain)
{
    struct trust_signer *s = vec_push(&t->signers);
    memcpy(s->public, who(n)->public, KEY_BYTES);
    s->role = role;
    s->label = str_dup(role_name(role));
    if (chain)
        strv_push(&s->chains, chain);
}

// The trust it is made upon: three admins, two of whom are needed, an epoch, a writer and a judge.
static void begin(struct trust_chain *c)
{
    struct trust *t = vec_push(&c->v);
    *t = (struct trust){.n = 1, .need = 2};
    memset(t->repo, 0x22, sizeof(t->repo));
    memset(t->hash.b, 0x11, sizeof(t->hash.b));
    for (uint8_t i = 0; i < ADMINS; i++) {
        struct trust_admin *a = vec_push(&t->admins);
        memcpy(a->public, who(i)->public, KEY_BYTES);
        a->label = str_printf("admin %d", i);
    }
    struct trust_epoch *e = vec_push(&t->epochs);
    e->n = 1;
    memset(e->recipient, 0x33, sizeof(e->recipient));
    add_signer(t, 3, ROLE_WRITE, "prod");
    add_signer(t, 4, ROLE_JUDGE, NULL);
}

static void all_is_shown(const struct trust *now, const struct trust *next)
{
    struct strv lines CLEANUP(strv_clear) = {0};
    json_auto_t *a = trust_json(now);
    json_auto_t *b = trust_json(next);
    trust_changes(now, next, &lines);
    for (size_t i = 0; i < lines.len; i++)
        must(str_starts(lines.v[i], "+ ") || str_starts(lines.v[i], "- "));
    json_object_del(a, "n");
    json_object_del(b, "n");
    json_object_del(a, "prev");
    json_object_del(b, "prev");
    must(lines.len || json_equal(a, b));
}

// All admins of now sign: nothing of theirs is missing any more.
static void all_sign(const struct trust_chain *c, struct buf *file, unsigned missing)
{
    struct trust t;
    struct err err = {0};
    unsigned left = 0;
    for (uint8_t i = 0; i < ADMINS; i++) {
        if (!trust_cosign(c, who(i), file, &err)) {
            must(err.kind == ERR_INVALID); // no room
            err_clear(&err);
            return;
        }
    }
    must(trust_proposal_read(c, file, &t, &left, &err) && left <= missing);
    if (!left && !trust_check_new(trust_now(c), &t, file, &err))
        abort();
    trust_clear(&t);
}

static void try_file(const struct trust_chain *c, struct buf *file)
{
    struct trust t;
    struct err err = {0};
    unsigned missing = 0;
    if (!trust_proposal_read(c, file, &t, &missing, &err)) {
        must(err.kind == ERR_CORRUPT || err.kind == ERR_CONFLICT || err.kind == ERR_INVALID);
        err_clear(&err);
        return;
    }
    must(t.n == trust_now(c)->n + 1 && missing <= MAX_SIGNATURES);
    all_is_shown(trust_now(c), &t);
    trust_clear(&t);
    all_sign(c, file, missing);
}

// The first line, signed by one admin.
static void sign(const uint8_t *data, size_t size, struct buf *out)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    uint8_t sig[SIG_BYTES];
    buf_append(out, data, end ? (size_t)(end - data) : size);
    buf_char(out, '\n');
    ed25519_sign(who(0)->seed, out->p, out->len, sig);
    buf_printf(out, "%s ", key_id_of(who(0)->public).hex);
    buf_base64(out, sig, sizeof(sig));
    buf_char(out, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trust_chain c CLEANUP(trust_chain_clear) = {0};
    struct buf raw CLEANUP(buf_clear) = {0};
    struct buf file CLEANUP(buf_clear) = {0};
    begin(&c);
    buf_append(&raw, data, size);
    try_file(&c, &raw);
    sign(data, size, &file);
    try_file(&c, &file);
    return 0;
}
