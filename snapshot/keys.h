// SPDX-License-Identifier: Apache-2.0
//
// Who can do what (docs/repository-format.md sections 3 and 13): slots that
// hold the repository identity, the keys of a chain derived from it, job credentials that can write
// and not read, signing keys of admins, pruners and judges.
#ifndef SNAPSHOT_KEYS_H
#define SNAPSHOT_KEYS_H

#include "snapshot/age.h"
#include "snapshot/trust.h"

// ---- keys of one chain in one epoch ----
struct chain_keys {
    uint8_t k[KEY_BYTES];
    uint8_t id_key[KEY_BYTES];
};
void chain_keys_derive(const struct age_identity *id, const uint8_t repo[16], const char *chain,
                       struct chain_keys *out);
void chain_keys_from_k(const uint8_t k[KEY_BYTES], struct chain_keys *out);
bool chain_name_is_valid(const char *s); // [a-z0-9][a-z0-9.-]{0,62}

// ---- slots ----
struct slot_content {
    uint8_t repo[16];
    unsigned epoch;
    struct sha256 pin;
    bool has_pin;
    struct age_identity identity;
};
// The text inside a slot: usable with `age -i`.
void slot_text(const struct slot_content *c, struct buf *out);
MUST_CHECK bool slot_parse(const char *text, size_t len, struct slot_content *out, struct err *err);
void slot_content_wipe(struct slot_content *c);

// ---- what a person or job holds ----
// One JSON line, mode 0600, kind "job", "admin", "pruner" or "judge".
struct credential {
    char *kind;
    uint8_t repo[16];
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
void credential_write(const struct credential *c, struct buf *out);
MUST_CHECK bool credential_parse(const char *text, size_t len, struct credential *out,
                                 struct err *err);
// Reads a file (refused when others may read it), or "env:NAME".
MUST_CHECK bool credential_load(const char *where, struct credential *out, struct err *err);
void credential_clear(struct credential *c); // wiped

#endif
