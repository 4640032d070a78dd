// SPDX-License-Identifier: Apache-2.0
//
// Keys and trust for tests: signers from a seed, and a repository's trust by three admins (ann, ben
// and cem, two of whom are needed), with writer, pruner and judge. The same bytes every time.
#ifndef TESTS_SNAPSHOT_TRUSTKIT_H
#define TESTS_SNAPSHOT_TRUSTKIT_H

#include "snapshot/trust.h"

struct signer kit_signer(const char *seed); // "ann", "ben", "cem", "writer", "pruner", "judge" …
struct age_identity kit_identity(unsigned epoch);
void kit_repo(uint8_t repo[REPO_ID_BYTES]);

void kit_add_admin(struct trust *t, const char *seed, const char *label);
struct trust_signer *kit_add_signer(struct trust *t, const char *seed, enum role role);
void kit_add_epoch(struct trust *t, unsigned n);
void kit_add_slot(struct trust *t, const char *label); // of epoch 1, by passphrase

// trust/0001: epoch 1, no slots, "writer" for the chain "prod" only.
struct trust kit_first(void);
// Writes it, or what follows it, signed by two; fails the test when it is refused.
void kit_write(struct store *st, const struct trust_chain *before, const struct trust *t,
               const char *a, const char *b);
void kit_read(struct store *st, struct trust_chain *out); // whatever is there; clears out before
void kit_write_first(struct store *st, struct trust_chain *out);
struct sha256 kit_pin(const struct store *st);
// A store with trust/0001 to 0003. 2 brings a slot and "writer 2", and revokes "writer" at 17; 3
// replaces ann by dan, closes epoch 1 and opens 2.
struct store *kit_three(void);

#endif
