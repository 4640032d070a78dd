// SPDX-License-Identifier: Apache-2.0
//
// Regrow.json, the chain of trust/0001 … and what it says: admins, signers and
// their roles, epochs, slots, feature flags. trust n+1 is signed by `need` admins of n and of
// itself. The SHA-256 of trust/0001 (the pin) is never taken from the store.
#ifndef SNAPSHOT_TRUST_H
#define SNAPSHOT_TRUST_H

#include "base/hash.h"
#include "snapshot/signed.h"
#include "snapshot/store.h"

enum role { ROLE_WRITE = 1, ROLE_PRUNE = 2, ROLE_JUDGE = 4 };
const char *role_name(enum role r);
MUST_CHECK bool role_parse(const char *s, enum role *out);

struct trust_epoch {
    unsigned n;
    uint8_t recipient[KEY_BYTES];
    bool is_closed;
};
struct trust_slot {
    char file[65]; // keys/<file>
    unsigned epoch;
    char *kind; // "passphrase" or "age"
    char *label;
};
struct trust_signer {
    uint8_t public[KEY_BYTES];
    enum role role;
    struct strv chains; // empty: all
    char *label;
    json_t *until; // {chain: seq}: entries after seq are void; NULL: not revoked
};
struct trust {
    unsigned n;
    uint8_t repo[16];
    struct sha256 prev; // of trust n-1; zero for 1
    struct strv read_flags, write_flags, prune_flags;
    unsigned need;
    VEC(struct {
        uint8_t public[KEY_BYTES];
        char *label;
    })
    admins;
    VEC(struct trust_epoch) epochs;
    VEC(struct trust_slot) slots;
    VEC(struct trust_signer) signers;
};
void trust_clear(struct trust *t);

#define TRUST_MAX_BYTES (256U << 10)

// All trust files from the pin upward until absent, each verified against the one before.
struct trust_chain {
    VEC(struct trust) v; // v[0] is trust/0001
    struct sha256 pin;
};
// The pin must equal; a repository that shows another is CORRUPT.
MUST_CHECK bool trust_read(struct store *s, const struct sha256 *pin, struct trust_chain *out,
                           struct err *err);
void trust_chain_clear(struct trust_chain *c);
const struct trust *trust_now(const struct trust_chain *c);            // the newest
const struct trust *trust_at(const struct trust_chain *c, unsigned n); // NULL when there is none

// The signer with that key id whose role and chain allow it (as of trust t); NULL: not allowed.
const struct trust_signer *trust_signer_for(const struct trust *t, const struct key_id *k,
                                            enum role role, const char *chain);
// Is an entry of this signer at seq void (revoked after it)?
bool trust_is_void(const struct trust *t, const struct trust_signer *s, const char *chain,
                   uint64_t seq);
const struct trust_epoch *trust_open_epoch(const struct trust *t); // NULL: none
// Unknown flags: read -> INVALID for everything; write, prune -> INVALID for that.
MUST_CHECK bool trust_check_flags(const struct trust *t, bool writes, bool prunes, struct err *err);

json_t *trust_json(const struct trust *t);
// Writes trust t->n (create-if-absent) signed by the admins given.
MUST_CHECK bool trust_write(struct store *s, const struct trust *t, const struct signer *admins,
                            size_t n, struct sha256 *hash, struct err *err);

// regrow.json
struct marker {
    uint8_t repo[16];
    int format;
    bool atomic_create, list_after_create;
    char *store_kind;
};
MUST_CHECK bool marker_write(struct store *s, const struct marker *m, const struct signer *admin,
                             struct err *err);
// *found false: no repository here.
MUST_CHECK bool marker_read(struct store *s, const struct trust_chain *c, struct marker *out,
                            bool *found, struct err *err);
void marker_clear(struct marker *m);

#endif
