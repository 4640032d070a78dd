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

// What is void once is void for ever: a slip of the pen must not make it so. How far a chain has
// come is not asked of one that cannot be read, which keeps nobody from revoking a key.
static bool last_is_there(struct repo *r, const struct trust_signer *s, const struct strv *chains,
                          const json_t *last, struct err *err)
{
    const char *chain;
    json_t *v;
    json_object_foreach((json_t *)last, chain, v)
    {
        struct err ignored = {0};
        uint64_t seq = (uint64_t)json_integer_value(v), head = 0;
        if (!strv_has(chains, chain) || (s->chains.len && !strv_has(&s->chains, chain))) {
            err_set(err, ERR_NOT_FOUND, "--last-trusted %s: %s", chain,
                    strv_has(chains, chain) ? "that key may sign nothing in this chain"
                                            : "there is no such chain");
            return err_hint(err,
                            "Nothing was changed by this. regrow snapshot list shows the chains.");
        }
        if (head_of(r, chain, &head, &ignored) && seq > head) {
            err_set(err, ERR_NOT_FOUND, "--last-trusted %s:%llu: the last entry there is %llu",
                    chain, (unsigned long long)seq, (unsigned long long)head);
            return err_hint(err, "Nothing was changed by this. regrow snapshot list shows them.");
        }
        err_clear(&ignored);
    }
    return true;
}

static bool add_until(struct repo *r, const struct trust_signer *s, const struct revocation *v,
                      json_t *until, struct err *err)
{
    struct strv chains = {0};
    bool ok = repo_chains(r, &chains, err) && last_is_there(r, s, &chains, v->last, err);
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

// Of several that are believed still, one called like the other, nobody knows which is meant. Of
// none it is the newest, which was revoked before. A signer, or the number of an admin.
static bool find_meant(struct trust *t, const char *who, struct trust_signer **signer,
                       size_t *admin, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < t->signers.len; i++) {
        struct trust_signer *s = &t->signers.v[i];
        if (!is_meant(s->label, s->public, who))
            continue;
        n += !s->until;
        if (!s->until || !*signer || (*signer)->until)
            *signer = s;
    }
    *admin = t->admins.len;
    for (size_t i = 0; i < t->admins.len; i++) {
        if (!is_meant(t->admins.v[i].label, t->admins.v[i].public, who))
            continue;
        n++;
        *admin = i;
        *signer = NULL;
    }
    if (n > 1) {
        err_set(err, ERR_CONFLICT, "%zu keys are called \"%.80s\"", n, who);
        return err_hint(err, "Nothing was changed by this. Name the one that is meant by its id: "
                             "regrow snapshot key list.");
    }
    return *signer || *admin < t->admins.len ||
           err_set(err, ERR_NOT_FOUND, "there is no key \"%.80s\"", who);
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
    *news = true;
    struct trust_signer *signer = NULL;
    struct key_id key = {0};
    size_t admin;
    if (!find_meant(next, x->v->who, &signer, &admin, err))
        return false;
    // What the key itself signed, of a trust that never was, keeps nobody from revoking it.
    if (signer)
        key = key_id_of(signer->public);
    if (!repo_has_newest_trust(r, signer ? &key : NULL, err))
        return false;
    return signer ? revoke_signer(r, signer, x->v, x->until, news, err)
                  : drop_admin(next, admin, err);
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
