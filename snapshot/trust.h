// SPDX-License-Identifier: Apache-2.0
//
// Regrow.json, the chain of trust/0001 … and what it says: admins, signers and
// their roles, epochs, slots, feature flags. trust n+1 is signed by `need` admins of n and of
// itself. The SHA-256 of trust/0001 (the pin) is never taken from the store.
//
// A trust file can never be taken back, and a bad one would lock everybody out: trust_write refuses
// whatever trust_read would refuse, and what would orphan entries that are signed already.
#ifndef SNAPSHOT_TRUST_H
#define SNAPSHOT_TRUST_H

#include "base/hash.h"
#include "snapshot/keys.h"
#include "snapshot/signed.h"
#include "snapshot/store.h"

enum role { ROLE_WRITE = 1, ROLE_PRUNE = 2, ROLE_JUDGE = 4 };
const char *role_name(enum role r);

struct trust_admin {
    uint8_t public[KEY_BYTES];
    char *label;
};
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
    // {chain: seq}: revoked; entries after seq are void, and all of a chain it does not name.
    json_t *until; // NULL: not revoked
};
struct trust {
    unsigned n;
    uint8_t repo[REPO_ID_BYTES];
    struct sha256 prev; // of trust n-1; zero for 1
    struct strv read_flags, write_flags, prune_flags;
    unsigned need;
    VEC(struct trust_admin) admins;
    VEC(struct trust_epoch) epochs;
    VEC(struct trust_slot) slots; // none in trust/0001: they hold its hash
    VEC(struct trust_signer) signers;
    struct sha256 hash; // of the file; set by trust_read
};
void trust_clear(struct trust *t);

#define TRUST_MAX_BYTES (256U << 10)
#define TRUST_MAX 9999
#define MARKER_MAX_BYTES (16U << 10)

// All trust files from the pin upward until absent, each verified against the one before.
struct trust_chain {
    VEC(struct trust) v; // v[0] is trust/0001
    struct sha256 pin;
};
// No trust/0001: NOT_FOUND. Another one than the pin says, or anything off: CORRUPT. pin NULL
// believes what is there, and out->pin says what that is: only to show it to a person.
MUST_CHECK bool trust_read(struct store *s, const struct sha256 *pin, struct trust_chain *out,
                           struct err *err);
void trust_chain_clear(struct trust_chain *c);
const struct trust *trust_now(const struct trust_chain *c);            // the newest
const struct trust *trust_at(const struct trust_chain *c, unsigned n); // NULL when there is none

// The signer with that key id whose role and chain allow it (as of trust t); NULL: not allowed. A
// revoked signer is found: trust_is_void says from where on it is not believed.
const struct trust_signer *trust_signer_for(const struct trust *t, const struct key_id *k,
                                            enum role role, const char *chain);
// Is an entry of this signer at seq void (revoked before it)?
bool trust_is_void(const struct trust_signer *s, const char *chain, uint64_t seq);
const struct trust_epoch *trust_epoch(const struct trust *t, unsigned n); // NULL: none
const struct trust_epoch *trust_open_epoch(const struct trust *t); // the newest open; NULL: none
// Read flags (docs/repository-format.md section 15): rows of tables and of index files may be
// compressed; index files may be compressed as a whole; lists may have pages; pieces of files may
// be salted (kind h).
#define TRUST_ZSTD_ROWS "zstd-rows"
#define TRUST_ZSTD_INDEX "zstd-index"
#define TRUST_PAGES "pages"
#define TRUST_SALTED_FILES "salted-files"
bool trust_has_flag(const struct trust *t, const char *read_flag);
unsigned trust_index_version(const struct trust *t); // in which index files are written
// Unknown flags: read -> INVALID for everything; write, prune -> INVALID for that.
MUST_CHECK bool trust_check_flags(const struct trust *t, bool writes, bool prunes, struct err *err);

// What line 1 says, without its type; owned.
json_t *trust_json(const struct trust *t);
// From a line whose signatures held. CORRUPT when a member is missing or out of bounds.
MUST_CHECK bool trust_parse(const json_t *body, struct trust *out, struct err *err);
// A copy of the newest as a start for the next: n + 1, prev set.
void trust_next(const struct trust_chain *c, struct trust *out);

// Writes trust t->n signed by 1..8 admins, and reads it back. before: the chain so far, NULL for
// trust/0001. Refused as above: INVALID. Another one has that number: CONFLICT; the very same:
// fine.
MUST_CHECK bool trust_write(struct store *s, const struct trust_chain *before,
                            const struct trust *t, const struct signer *admins, size_t n,
                            struct sha256 *hash, struct err *err);

// ---- a change that takes the keys of several admins ----
// The next trust file with the signatures there are, in *out. Refused as by trust_write, but for
// signatures that are missing.
MUST_CHECK bool trust_propose(const struct trust_chain *before, const struct trust *t,
                              const struct signer *admins, size_t n, struct buf *out,
                              struct err *err);
// What a proposal says. No admin of now stands behind it: CORRUPT. It does not follow the newest
// trust: CONFLICT. *missing: how many signatures more it takes at least.
MUST_CHECK bool trust_proposal_read(const struct trust_chain *before, const struct buf *file,
                                    struct trust *out, unsigned *missing, struct err *err);
// Adds the signature of an admin of now or of then; no such: DENIED.
MUST_CHECK bool trust_cosign(const struct trust_chain *before, const struct signer *s,
                             struct buf *file, struct err *err);
// Writes it when nothing is missing, as trust_write does.
MUST_CHECK bool trust_write_proposal(struct store *s, const struct trust_chain *before,
                                     const struct buf *file, struct err *err);
// What differs, a line each that begins with "+ " or "- ": all of it, for who is to sign it.
void trust_changes(const struct trust *from, const struct trust *to, struct strv *out);

// regrow.json
#define REPOSITORY_FORMAT 1
struct marker {
    uint8_t repo[REPO_ID_BYTES];
    bool atomic_create, list_after_create;
    char *store_kind;
};
// Written last by init. Another one is there: CONFLICT; the very same: fine.
MUST_CHECK bool marker_write(struct store *s, const struct marker *m, const struct signer *admin,
                             struct err *err);
// *found false: no repository here. Signed by an admin of trust/0001 or of the newest, else
// CORRUPT. Another format: INVALID.
MUST_CHECK bool marker_read(struct store *s, const struct trust_chain *c, struct marker *out,
                            bool *found, struct err *err);
void marker_clear(struct marker *m);
// From a line whose signature held.
MUST_CHECK bool marker_parse(const json_t *body, struct marker *out, struct err *err);

#endif
