// SPDX-License-Identifier: Apache-2.0
//
// The chain of trust files in a store: each believed only because of the one before, the first one
// because of the pin.
#include <stdlib.h>

#include "snapshot/trust_int.h"

char *trust_name(unsigned n)
{
    return str_printf("trust/%04u", n);
}

void trust_chain_clear(struct trust_chain *c)
{
    for (size_t i = 0; i < c->v.len; i++)
        trust_clear(&c->v.v[i]);
    vec_clear(&c->v);
    *c = (struct trust_chain){0};
}

const struct trust *trust_now(const struct trust_chain *c)
{
    return c->v.len ? &c->v.v[c->v.len - 1] : NULL;
}

const struct trust *trust_at(const struct trust_chain *c, unsigned n)
{
    return n >= 1 && n <= c->v.len ? &c->v.v[n - 1] : NULL;
}

unsigned admins_behind(const struct trust *t, const struct signed_line *line)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->admins.len; i++)
        n += signed_by(line, t->admins.v[i].public);
    return n;
}

static bool enough_admins(const struct trust *t, const struct signed_line *line, const char *whose,
                          struct err *err)
{
    unsigned n = admins_behind(t, line);
    return n >= t->need ||
           err_set(err, ERR_CORRUPT, "signed by %u of its %s admins, not by %u", n, whose, t->need);
}

// Before: the trust it follows; NULL for the first, whose hash the caller has compared. Nothing is
// parsed before the admins of `before` stand behind it.
static bool verify(const void *p, size_t len, const struct trust *before, unsigned n,
                   struct trust *out, struct err *err)
{
    struct signed_line line;
    json_auto_t *body = NULL;
    *out = (struct trust){0};
    if (!signed_split(p, len, TRUST_MAX_BYTES, "trust", &line, err) ||
        (before && !enough_admins(before, &line, "predecessor's", err)) ||
        !signed_json(&line, &body, err) || !trust_parse(body, out, err))
        return false;
    out->hash = sha256_of(p, len);
    bool ok = enough_admins(out, &line, "own", err);
    if (ok && out->n != n)
        ok = err_set(err, ERR_CORRUPT, "it says that it is number %u", out->n);
    if (ok && before && memcmp(out->repo, before->repo, sizeof(out->repo)) != 0)
        ok = err_set(err, ERR_CORRUPT, "it is another repository's");
    if (ok && before && !sha256_eq(&out->prev, &before->hash))
        ok = err_set(err, ERR_CORRUPT, "it does not follow number %u", before->n);
    if (!ok)
        trust_clear(out);
    return ok;
}

static bool check_pin(const struct buf *file, const struct sha256 *pin, struct trust_chain *out,
                      struct err *err)
{
    out->pin = sha256_of(file->p, file->len);
    if (!pin || sha256_eq(pin, &out->pin))
        return true;
    CLEANUP(str_freep) char *is = hex_encode(out->pin.b, sizeof(out->pin.b));
    CLEANUP(str_freep) char *wanted = hex_encode(pin->b, sizeof(pin->b));
    return err_set(err, ERR_CORRUPT, "it is %s, and the pin is %s: another repository", is, wanted);
}

// *found false: there is no such file, the end of the chain.
static bool read_one(struct store *s, unsigned n, const struct sha256 *pin, struct trust_chain *out,
                     bool *found, struct err *err)
{
    CLEANUP(str_freep) char *name = trust_name(n);
    struct buf file CLEANUP(buf_clear) = {0};
    struct trust t;
    if (!store_get(s, name, TRUST_MAX_BYTES, &file, found, err))
        return false;
    if (!*found)
        return true;
    if ((n == 1 && !check_pin(&file, pin, out, err)) ||
        !verify(file.p, file.len, trust_now(out), n, &t, err))
        return err_wrap(err, "%s", name);
    *vec_push(&out->v) = t;
    return true;
}

bool trust_read(struct store *s, const struct sha256 *pin, struct trust_chain *out, struct err *err)
{
    *out = (struct trust_chain){0};
    bool ok = true;
    unsigned above = 1; // the highest that is known to be there
    for (int i = 0; ok && above > out->v.len && i < 3; i++) { // others may be writing
        bool found = true;
        while (ok && found && out->v.len < TRUST_MAX)
            ok = read_one(s, (unsigned)out->v.len + 1, pin, out, &found, err);
        ok = ok && trust_above(s, (unsigned)out->v.len, &above, err);
    }
    if (ok && above > out->v.len) {
        ok = err_set(err, ERR_CORRUPT, "trust/%04zu is missing, and trust/%04u is there",
                     out->v.len + 1, above);
        err_hint(err, "Put it back from another copy of the repository. Nothing is believed until "
                      "then.");
    }
    if (ok && !out->v.len)
        ok = err_set(err, ERR_NOT_FOUND, "there is no trust/0001: not a repository");
    if (!ok)
        trust_chain_clear(out);
    return ok;
}

// ---- writing ----

void trust_next(const struct trust_chain *c, struct trust *out)
{
    struct err err = {0};
    const struct trust *now = trust_now(c);
    json_auto_t *body = trust_json(now);
    if (!trust_parse(body, out, &err))
        abort(); // it was parsed before
    out->n = now->n + 1;
    out->prev = now->hash;
}

// A job's credential lies where many can reach it: it must open nothing else.
static bool writers_only_write(const struct trust *t, struct err *err)
{
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *w = &t->signers.v[i];
        if (w->role != ROLE_WRITE)
            continue;
        for (size_t j = 0; j < t->admins.len; j++)
            if (!memcmp(t->admins.v[j].public, w->public, KEY_BYTES))
                return err_set(err, ERR_INVALID, "writer %s is an admin as well", w->label);
        for (size_t j = 0; j < t->signers.len; j++)
            if (t->signers.v[j].role != ROLE_WRITE &&
                !memcmp(t->signers.v[j].public, w->public, KEY_BYTES))
                return err_set(err, ERR_INVALID, "writer %s has the role %s as well", w->label,
                               role_name(t->signers.v[j].role));
    }
    return true;
}

static bool one_open_epoch(const struct trust *t, struct err *err)
{
    unsigned open = 0;
    for (size_t i = 0; i < t->epochs.len; i++)
        open += !t->epochs.v[i].is_closed;
    return open <= 1 || err_set(err, ERR_INVALID, "%u epochs are open", open);
}

static bool epochs_stay(const struct trust *before, const struct trust *t, struct err *err)
{
    for (size_t i = 0; i < before->epochs.len; i++) {
        const struct trust_epoch *old = &before->epochs.v[i];
        const struct trust_epoch *new = trust_epoch(t, old->n);
        if (!new || memcmp(new->recipient, old->recipient, KEY_BYTES) != 0)
            return err_set(err, ERR_INVALID, "epoch %u is gone or changed", old->n);
        if (old->is_closed && !new->is_closed)
            return err_set(err, ERR_INVALID, "epoch %u is open again", old->n);
    }
    return true;
}

static bool keeps_chains(const struct trust_signer *old, const struct trust_signer *new)
{
    if (!new->chains.len)
        return true;
    for (size_t i = 0; i < old->chains.len; i++)
        if (!strv_has(&new->chains, old->chains.v[i]))
            return false;
    return old->chains.len > 0;
}

// What a key has signed stays signed: it is revoked, never removed.
static bool signers_stay(const struct trust *before, const struct trust *t, struct err *err)
{
    for (size_t i = 0; i < before->signers.len; i++) {
        const struct trust_signer *old = &before->signers.v[i];
        const struct trust_signer *new = NULL;
        for (size_t j = 0; j < t->signers.len && !new; j++)
            if (t->signers.v[j].role == old->role &&
                !memcmp(t->signers.v[j].public, old->public, KEY_BYTES))
                new = &t->signers.v[j];
        if (!new || !keeps_chains(old, new))
            return err_set(err, ERR_INVALID,
                           "signer %s is gone or lost a chain: its entries would not be trusted",
                           old->label);
    }
    return true;
}

// The same eyes as the reader's, but it is the caller who is wrong.
static bool would_be_read(const struct buf *file, const struct trust *before, unsigned n,
                          struct err *err)
{
    struct err why = {0};
    struct trust t;
    if (verify(file->p, file->len, before, n, &t, &why)) {
        trust_clear(&t);
        return true;
    }
    err_set(err, ERR_INVALID, "%s", why.msg);
    err_clear(&why);
    return false;
}

static bool are_different(const struct signer *admins, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (!memcmp(admins[i].public, admins[j].public, KEY_BYTES))
                return false;
    return n >= 1 && n <= MAX_SIGNATURES;
}

bool create_same(struct store *s, const char *name, const struct buf *bytes, struct err *err)
{
    struct buf back CLEANUP(buf_clear) = {0};
    bool made = false;
    bool found = false;
    if (!store_create(s, name, bytes->p, bytes->len, NULL, &made, err) ||
        !store_get(s, name, STORE_MAX_FILE_BYTES, &back, &found, err))
        return false;
    if (found && back.len == bytes->len && !memcmp(back.p, bytes->p, back.len))
        return true;
    if (made)
        return err_set(err, ERR_CORRUPT, "%s is not what was written", name);
    return err_set(err, ERR_CONFLICT, "there is another %s already", name);
}

static bool is_text(const char *s)
{
    json_auto_t *v = json_string(s ? s : "");
    return v != NULL;
}

static bool are_texts(const struct strv *l)
{
    for (size_t i = 0; i < l->len; i++)
        if (!is_text(l->v[i]))
            return false;
    return true;
}

// What people type goes into JSON, which has no room for anything but UTF-8.
static bool texts_are_utf8(const struct trust *t, struct err *err)
{
    bool ok = are_texts(&t->read_flags) && are_texts(&t->write_flags) && are_texts(&t->prune_flags);
    for (size_t i = 0; i < t->admins.len; i++)
        ok = ok && is_text(t->admins.v[i].label);
    for (size_t i = 0; i < t->slots.len; i++)
        ok = ok && is_text(t->slots.v[i].file) && is_text(t->slots.v[i].kind) &&
             is_text(t->slots.v[i].label);
    for (size_t i = 0; i < t->signers.len; i++)
        ok = ok && are_texts(&t->signers.v[i].chains) && is_text(t->signers.v[i].label);
    return ok || err_set(err, ERR_INVALID, "a name or label is not UTF-8");
}

bool trust_check_rules(const struct trust *before, const struct trust *t, struct err *err)
{
    return texts_are_utf8(t, err) && writers_only_write(t, err) && one_open_epoch(t, err) &&
           (!before || (epochs_stay(before, t, err) && signers_stay(before, t, err)));
}

bool trust_check_new(const struct trust *before, const struct trust *t, const struct buf *file,
                     struct err *err)
{
    return would_be_read(file, before, before ? before->n + 1 : 1, err) &&
           trust_check_rules(before, t, err);
}

bool trust_write(struct store *s, const struct trust_chain *before, const struct trust *t,
                 const struct signer *admins, size_t n, struct sha256 *hash, struct err *err)
{
    CLEANUP(str_freep) char *name = trust_name(t->n);
    struct buf file CLEANUP(buf_clear) = {0};
    if (!are_different(admins, n))
        return err_set(err, ERR_INVALID, "%s needs 1 to 8 different admins", name);
    if (!texts_are_utf8(t, err))
        return err_wrap(err, "%s", name);
    json_auto_t *body = trust_json(t);
    signed_write("trust", body, admins, n, &file);
    if (!trust_check_new(before ? trust_now(before) : NULL, t, &file, err))
        return err_wrap(err, "%s", name);
    *hash = sha256_of(file.p, file.len);
    return create_same(s, name, &file, err);
}
