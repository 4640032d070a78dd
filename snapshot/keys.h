// SPDX-License-Identifier: Apache-2.0
//
// Who can do what (docs/repository-format.md sections 3 and 13): slots that
// hold the repository identity, the keys of a chain derived from it, job credentials that can write
// and not read, signing keys of admins, pruners and judges.
#ifndef SNAPSHOT_KEYS_H
#define SNAPSHOT_KEYS_H

#include "base/hash.h"
#include "snapshot/age.h"
#include "snapshot/members.h"
#include "snapshot/signed.h"

// ---- keys of one chain in one epoch ----
struct chain_keys {
    uint8_t k[KEY_BYTES];
    uint8_t id_key[KEY_BYTES];
};
void chain_keys_derive(const struct age_identity *id, const uint8_t repo[REPO_ID_BYTES],
                       const char *chain, struct chain_keys *out);
void chain_keys_from_k(const uint8_t k[KEY_BYTES], struct chain_keys *out);
// Of one index file, by the salt in it.
void chain_index_key(const struct chain_keys *k, const uint8_t *salt, size_t salt_len,
                     uint8_t out[KEY_BYTES]);
void chain_keys_wipe(struct chain_keys *k);
bool chain_name_is_valid(const char *s); // [a-z0-9][a-z0-9.-]{0,62}

// ---- slots ----
#define SLOT_MAX_BYTES (64U << 10)
#define SLOT_LOG_N 18

struct slot_content {
    uint8_t repo[REPO_ID_BYTES];
    unsigned epoch;
    struct sha256 pin;
    struct age_identity identity;
    // Set by slot_open: it opened by a passphrase. Only then the pin in it can be believed: to a
    // public key anyone can seal a foreign repository's identity.
    bool is_passphrase;
};
// The text inside a slot: usable with `age -i`.
void slot_text(const struct slot_content *c, struct buf *out);
// Anything missing or not fitting together: CORRUPT.
MUST_CHECK bool slot_parse(const char *text, size_t len, struct slot_content *out, struct err *err);
// The file of a slot: opened as age_open does, then parsed.
MUST_CHECK bool slot_open(const struct age_keys *keys, const void *file, size_t len,
                          struct slot_content *out, struct err *err);
void slot_content_wipe(struct slot_content *c);

// ---- what a person or job holds ----
#define CREDENTIAL_MAX_BYTES (16U << 10)

enum credential_kind {
    CREDENTIAL_JOB, // writes snapshots
    CREDENTIAL_ADMIN,
    CREDENTIAL_PRUNER,
    CREDENTIAL_JUDGE,
};
const char *credential_kind_name(enum credential_kind k); // "job", "admin" …

// One JSON line, mode 0600.
struct credential {
    enum credential_kind kind;
    uint8_t repo[REPO_ID_BYTES];
    struct sha256 pin;
    struct signer signer;
    // job only:
    char *chain;
    unsigned epoch;
    uint8_t recipient[KEY_BYTES];
    uint8_t k[KEY_BYTES];
    uint64_t head_seq; // a store that shows less is refused; 0: none yet
    struct sha256 head;
};
// Out holds secrets: buf_wipe.
void credential_write(const struct credential *c, struct buf *out);
// INVALID when malformed; no byte of the text is ever in a message.
MUST_CHECK bool credential_parse(const char *text, size_t len, struct credential *out,
                                 struct err *err);
// Reads a file, or "env:NAME". Others may read or change the file: DENIED. (A group may read it:
// that is how a cluster's Secret volumes come to a user that is not root.)
MUST_CHECK bool credential_load(const char *where, struct credential *out, struct err *err);
void credential_clear(struct credential *c); // wiped

#endif
