// SPDX-License-Identifier: Apache-2.0
#include "snapshot/log_int.h"

#include <string.h>

static const enum role roles[] = {
    [ENTRY_SNAPSHOT] = ROLE_WRITE, [ENTRY_CHECKPOINT] = ROLE_PRUNE, [ENTRY_VERDICT] = ROLE_JUDGE};

const struct trust_signer *log_signer(const struct repo *r, enum entry_kind kind,
                                      const struct key_id *key, const char *chain)
{
    return trust_signer_for(trust_now(&r->trust), key, roles[kind], chain);
}

// The newest trust that lets this key sign such an entry.
static const struct trust *trust_of_key(const struct repo *r, enum entry_kind kind,
                                        const struct key_id *key, const char *chain,
                                        const struct trust_signer **signer)
{
    for (size_t i = r->trust.v.len; i > 0; i--) {
        const struct trust *t = &r->trust.v.v[i - 1];
        *signer = trust_signer_for(t, key, roles[kind], chain);
        if (*signer)
            return t;
    }
    return NULL;
}

static bool check_says(const struct repo *r, const char *chain, uint64_t seq, const struct entry *e,
                       struct err *err)
{
    const struct trust *now = trust_now(&r->trust);
    if (memcmp(e->repo, now->repo, sizeof(e->repo)))
        return err_set(err, ERR_CORRUPT, "it belongs to another repository");
    if (!str_eq(e->chain, chain))
        return err_set(err, ERR_CORRUPT, "it belongs to chain %s", e->chain);
    if (e->seq != seq)
        return err_set(err, ERR_CORRUPT, "it has number %llu in itself",
                       (unsigned long long)e->seq);
    if (e->trust > now->n)
        return err_set(err, ERR_CORRUPT, "it names trust %u, which is missing (the newest is %u)",
                       e->trust, now->n);
    return true;
}

bool log_entry_read(const struct repo *r, const char *chain, uint64_t seq, const struct buf *bytes,
                    struct entry *out, struct err *err)
{
    struct signed_line line;
    enum entry_kind kind;
    const struct trust_signer *signer;
    json_t *body = NULL;
    if (!entry_split(bytes->p, bytes->len, &kind, &line, err))
        return false;
    if (line.n_sigs != 1)
        return err_set(err, ERR_CORRUPT, "%zu signatures where one belongs", line.n_sigs);
    const struct key_id key = line.sigs[0].key;
    const struct trust *t = trust_of_key(r, kind, &key, chain, &signer);
    if (!t)
        return err_set(err, ERR_CORRUPT, "key %s may not sign a %s in chain %s", key.hex,
                       entry_kind_name(kind), chain);
    if (!signed_by(&line, signer->public))
        return err_set(err, ERR_CORRUPT, "the signature of key %s does not hold", key.hex);
    if (!signed_json(&line, &body, err))
        return false;
    bool ok = entry_parse(kind, body, out, err);
    json_decref(body);
    if (!ok)
        return false;
    out->hash = sha256_of(bytes->p, bytes->len);
    out->signer = key;
    // A key that is in no trust any more is revoked from its first entry on.
    out->is_void = t != trust_now(&r->trust) || trust_is_void(signer, chain, seq);
    return check_says(r, chain, seq, out, err);
}
