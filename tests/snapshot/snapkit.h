// SPDX-License-Identifier: Apache-2.0
//
// Snapshots for tests: a small made-up state (applications with objects, a Secret pool, a file)
// written through the writer and read back through the reader.
#ifndef TESTS_SNAPSHOT_SNAPKIT_H
#define TESTS_SNAPSHOT_SNAPKIT_H

#include "snapshot/reader.h"
#include "snapshot/writer.h"
#include "tests/snapshot/logkit.h"

// The write-only credential of PROD in epoch 1, by that key.
struct credential snap_kit_job(const char *seed);

struct snap_state {
    unsigned apps, objects; // objects of each application
    unsigned version;       // application 0 changes with it
    bool unknown;           // one source could not be read
    bool has_secret;        // a pool of Secrets: its id costs 50 ms
    const char *cluster;    // NULL: none
    const char *file;       // a file whose pieces are stored, and read as a Git pack; NULL: none
};
// Writes it. False: err says why; otherwise *out is the entry (to be cleared).
MUST_CHECK bool snap_kit_write(struct repo *r, const struct credential *job,
                               const struct snap_state *s, const struct writer_opts *more,
                               struct entry *out, struct err *err);
// Reads all of a snapshot and compares it with the state it was made of. NULL: equal; else what is
// wrong, owned.
char *snap_kit_problem(struct repo *r, const struct entry *e, const struct snap_state *s);
// Verifies all of the repository with the first key, and fails the test at a problem; *v is to be
// cleared.
void snap_kit_verify(struct repo *r, struct verify_result *v);

#endif
