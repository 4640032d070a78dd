// SPDX-License-Identifier: Apache-2.0
//
// A small repository with everything in it, made of the room's parts alone (no writer, no capture):
// two snapshots of a root application and one called "web", the second standing on the first, with
// Git, a chart's file, Secrets of both kinds, live objects, a drill's report, and a checkpoint. The
// content follows docs/repository-format.md section 7. Keys are those of trustkit.h.
#ifndef TESTS_SNAPSHOT_SMALLREPO_H
#define TESTS_SNAPSHOT_SMALLREPO_H

#include "tests/snapshot/logkit.h"

#define SMALL_SECRET "correct horse battery staple" // what must be nowhere in clear

// A store of its own; atomic_create as said.
struct store *small_repo(bool atomic_create);
// The same with these read flags, by trust/0002.
struct store *small_repo_flags(const char *const *flags, size_t n);

// Reads all that the pin, the chain's key and the identity open, as a restore would: trust, marker,
// log, index files, packs, every id, every reference from every root, a drill's report. *sum is
// over all of it. fast: pools are not named again, which takes 50 ms each.
MUST_CHECK bool small_repo_read(struct store *st_take, const struct sha256 *pin,
                                const struct age_identity *identity, bool fast, struct sha256 *sum,
                                struct err *err);

#endif
