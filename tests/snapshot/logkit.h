// SPDX-License-Identifier: Apache-2.0
//
// A repository in memory with trust/0001 of trustkit.h and regrow.json, and entries in its chain
// "prod": through log_append as everybody makes them, or put there by hand.
#ifndef TESTS_SNAPSHOT_LOGKIT_H
#define TESTS_SNAPSHOT_LOGKIT_H

#include "snapshot/repo.h"
#include "tests/snapshot/memstore.h"
#include "tests/snapshot/trustkit.h"

#define PROD "prod"

// A store with an empty repository.
struct store *log_kit_store(bool atomic_create);
// Read flags, by the next trust.
void log_kit_allow(struct store *st, const char *const *flags, size_t n);
void log_kit_open(struct store *st_take, struct repo *r);
void log_kit_read(struct repo *r, struct log *l); // clears l before; fails the test
// trust n+1 revokes that signer in PROD after seq; r is opened again.
void log_kit_revoke(struct repo *r, const char *seed, uint64_t seq);
// What is wrong with the log, owned; NULL: nothing. Anything else than CORRUPT fails the test.
char *log_kit_problem(struct repo *r, const struct log_opts *o);

// Entries without chain, number and links; a snapshot of 10 applications, good or suspect.
struct entry kit_snapshot(bool is_good);
struct entry kit_verdict(const struct entry *of, enum verdict v);
struct entry kit_checkpoint(void);
void kit_keep(struct entry *checkpoint, const struct entry *e);
void kit_wait(struct entry *checkpoint, const struct entry *e, uint64_t since);

// Commits *e_take; fails the test when it cannot be. The entry in the log.
const struct entry *log_kit_append(struct repo *r, struct log *l, struct entry *e_take);
const struct entry *log_kit_snapshot(struct repo *r, struct log *l);
// Bytes of *e_take as they would stand at seq upon prev (NULL: none), by any signer.
void log_kit_bytes(const struct repo *r, struct entry *e_take, uint64_t seq,
                   const struct sha256 *prev, const char *seed, struct buf *out,
                   struct sha256 *hash);
// Puts them there.
struct sha256 log_kit_put(struct repo *r, struct entry *e_take, uint64_t seq,
                          const struct sha256 *prev, const char *seed);
void log_kit_drop(struct repo *r, uint64_t seq); // of a store with atomic create

#endif
