// SPDX-License-Identifier: Apache-2.0
//
// Who may sign, and what a job is given to write with.
#include <stdlib.h>
#include <string.h>

#include "snapshot/admin_int.h"

static bool is_key(const uint8_t a[KEY_BYTES], const uint8_t b[KEY_BYTES])
{
    return !memcmp(a, b, KEY_BYTES);
}

static bool has_admin(const struct trust *t, const uint8_t public[KEY_BYTES])
{
    for (size_t i = 0; i < t->admins.len; i++)
        if (is_key(t->admins.v[i].public, public))
            return true;
    return false;
}

static struct trust_signer *find_signer(struct trust *t, const struct signer_new_row *s)
{
    for (size_t i = 0; i < t->signers.len; i++)
        if (t->signers.v[i].role == s->role && is_key(t->signers.v[i].public, s->public))
            return &t->signers.v[i];
    return NULL;
}

// Chains that an old row has not; *news: there was one.
static void add_chains(struct trust_signer *old, const char *chain, bool *news)
{
    *news = old->chains.len && !(chain && strv_has(&old->chains, chain));
    if (*news && chain)
        strv_push(&old->chains, chain);
    else if (*news)
        strv_clear(&old->chains); // all
}

// *news false: it is in already. A key that was revoked stays so.
static bool add_row(struct trust *next, const struct signer_new_row *s, bool *news, struct err *err)
{
    struct trust_signer *old = s->is_admin ? NULL : find_signer(next, s);
    *news = s->is_admin ? !has_admin(next, s->public) : !old;
    if (old && old->until)
        return err_set(err, ERR_CONFLICT, "that key was revoked; make another");
    if (old)
        add_chains(old, s->chain, news);
    if (old || !*news)
        return true;
    if (s->is_admin) {
        struct trust_admin *a = vec_push(&next->admins);
        memcpy(a->public, s->public, KEY_BYTES);
        a->label = str_dup(s->label);
        return true;
    }
    struct trust_signer *x = vec_push(&next->signers);
    memcpy(x->public, s->public, KEY_BYTES);
    x->role = s->role;
    x->label = str_dup(s->label);
    if (s->chain)
        strv_push(&x->chains, s->chain);
    return true;
}

static bool add_signer(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    (void)r;
    return add_row(next, ctx, news, err);
}

bool admin_add_signer(struct repo *r, const struct credential *admin,
                      const struct signer_new_row *s, bool *made, struct err *err)
{
    struct signer_new_row row = *s;
    return repo_has_newest_trust(r, NULL, err) && change_run(r, admin, add_signer, &row, made, err);
}

// ---- revoking ----

static bool is_meant(const char *label, const uint8_t public[KEY_BYTES], const char *who)
{
    struct key_id id = key_id_of(public);
    return str_eq(label, who) || (strlen(who) >= 6 && str_starts(id.hex, who));
}

// How far a chain has come.
static bool head_of(struct repo *r, const char *chain, uint64_t *seq, struct err *err)
{
    struct log_opts lo = {.only_head = true};
    struct log l = {.checkpoint = -1};
    bool ok = log_read(r, chain, &lo, &l, err);
    *seq = l.head;
    log_clear(&l);
    return ok;
}

static bool add_until(struct repo *r, const struct trust_signer *s, const struct revocation *v,
                      json_t *until, struct err *err)
{
    struct strv chains = {0};
    bool ok = repo_chains(r, &chains, err);
    for (size_t i = 0; ok && i < chains.len; i++) {
        const json_t *given = json_object_get(v->last, chains.v[i]);
        uint64_t seq = (uint64_t)json_integer_value(given);
        if (s->chains.len && !strv_has(&s->chains, chains.v[i]))
            continue;
        if (!given && !v->last)
            ok = head_of(r, chains.v[i], &seq, err);
        if (ok && seq)
            json_object_set_new(until, chains.v[i], json_integer((json_int_t)seq));
    }
    strv_clear(&chains);
    return ok;
}

// One chain more may become untrusted, none trusted again.
static bool is_stricter(const json_t *old, const json_t *new)
{
    const char *chain;
    json_t *v;
    json_object_foreach((json_t *)new, chain, v)
    {
        if (json_integer_value(v) > json_integer_value(json_object_get(old, chain)))
            return false;
    }
    return true;
}

static bool revoke_signer(struct repo *r, struct trust_signer *s, const struct revocation *v,
                          json_t **until, bool *news, struct err *err)
{
    *until = json_object();
    if (s->until && !v->last) { // it was done
        json_object_update(*until, s->until);
        *news = false;
        return true;
    }
    if (!add_until(r, s, v, *until, err))
        return false;
    if (s->until && !is_stricter(s->until, *until))
        return err_set(err, ERR_CONFLICT, "what is void already cannot be believed again");
    *news = !s->until || !json_equal(s->until, *until);
    json_decref(s->until);
    s->until = json_deep_copy(*until);
    return true;
}

static bool drop_admin(struct trust *next, size_t i, struct err *err)
{
    if (next->admins.len == 1)
        return err_set(err, ERR_CONFLICT, "the last admin cannot be revoked: add another before");
    if (next->need == next->admins.len)
        return err_set(err, ERR_CONFLICT,
                       "a change takes the signatures of %u admins, and fewer would be left: add "
                       "another before, or lower that",
                       next->need);
    free(next->admins.v[i].label);
    memmove(&next->admins.v[i], &next->admins.v[i + 1],
            (next->admins.len - i - 1) * sizeof(*next->admins.v));
    next->admins.len--;
    return true;
}

static bool revoke_one(struct repo *r, struct trust *next, const struct revocation *v,
                       json_t **until, bool *news, struct err *err)
{
    *news = true;
    for (size_t i = next->signers.len; i-- > 0;)
        if (is_meant(next->signers.v[i].label, next->signers.v[i].public, v->who))
            return revoke_signer(r, &next->signers.v[i], v, until, news, err);
    for (size_t i = next->admins.len; i-- > 0;)
        if (is_meant(next->admins.v[i].label, next->admins.v[i].public, v->who))
            return drop_admin(next, i, err);
    return err_set(err, ERR_NOT_FOUND, "there is no key \"%.80s\"", v->who);
}

struct revoking {
    const struct revocation *v;
    json_t **until;
};

static bool revoke_once(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    struct revoking *x = ctx;
    json_decref(*x->until);
    *x->until = NULL;
    // What the key itself signed, of a trust that never was, keeps nobody from revoking it.
    const struct trust_signer *of = NULL;
    for (size_t i = 0; i < next->signers.len && !of; i++)
        if (is_meant(next->signers.v[i].label, next->signers.v[i].public, x->v->who))
            of = &next->signers.v[i];
    struct key_id key = {0};
    if (of)
        key = key_id_of(of->public);
    if (!repo_has_newest_trust(r, of ? &key : NULL, err))
        return false;
    return revoke_one(r, next, x->v, x->until, news, err);
}

bool admin_revoke(struct repo *r, const struct credential *admin, const struct revocation *v,
                  json_t **until, struct err *err)
{
    struct revoking x = {.v = v, .until = until};
    bool made;
    *until = NULL;
    return change_run(r, admin, revoke_once, &x, &made, err);
}

// ---- how many it takes ----

static bool set_need(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    unsigned need = *(unsigned *)ctx;
    (void)r;
    if (need > next->admins.len || need > MAX_SIGNATURES)
        return err_set(err, ERR_INVALID, "there are %zu admins, and at most %d can be needed",
                       next->admins.len, MAX_SIGNATURES);
    *news = next->need != need;
    next->need = need;
    return true;
}

bool admin_quorum(struct repo *r, const struct credential *admin, unsigned need, bool *made,
                  struct err *err)
{
    return repo_has_newest_trust(r, NULL, err) && change_run(r, admin, set_need, &need, made, err);
}

// ---- credentials of jobs ----

bool admin_issue_job(struct repo *r, const struct unlocked *u, const char *chain,
                     struct credential *job, struct err *err)
{
    const struct trust_epoch *open = trust_open_epoch(trust_now(&r->trust));
    const struct slot_content *c = open ? unlocked_epoch(u, open->n) : NULL;
    struct log_opts lo = {.only_head = true};
    struct log l = {.checkpoint = -1};
    struct chain_keys k;
    if (!open)
        return err_set(err, ERR_INVALID, "no epoch is open: rotate the keys");
    if (!c)
        return err_set(err, ERR_DENIED, "nothing given opens a slot of epoch %u", open->n);
    bool ok = log_read(r, chain, &lo, &l, err);
    if (ok) {
        chain_keys_derive(&c->identity, c->repo, chain, &k);
        memcpy(job->k, k.k, sizeof(job->k));
        chain_keys_wipe(&k);
        memcpy(job->recipient, open->recipient, sizeof(job->recipient));
        job->epoch = open->n;
        job->chain = str_dup(chain);
        job->head_seq = l.head;
        job->head = l.head_hash;
    }
    log_clear(&l);
    return ok;
}
