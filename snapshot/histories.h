// SPDX-License-Identifier: Apache-2.0
//
// Git in a snapshot: its repositories with their refs, and the packs that hold what these lead to,
// one store for all of them. For those who bring it back: as bundles, or to a Git host.
#ifndef SNAPSHOT_HISTORIES_H
#define SNAPSHOT_HISTORIES_H

#include "snapshot/reader.h"
#include "source/source.h"

struct history {
    char *url;            // as it was written in Git, without credentials
    char *head;           // "refs/heads/main"; NULL: detached
    struct git_refs refs; // sorted by name
    bool is_stale;        // as it was before: it could not be read when the snapshot was made
    bool is_read;         // false: it was never read, nothing is known of it
    bool is_bundle;       // of another hash than SHA-1: kept as a file
};
struct histories {
    VEC(struct history) v; // by url; each once, as the newest list has it
};
MUST_CHECK bool histories_read(struct reader *rd, const json_t *root, struct histories *out,
                               struct err *err);
void histories_clear(struct histories *h);
// The refs of a list "regrow repository v1"; added to out. What is no name or id is CORRUPT where
// it is used.
void history_refs(const json_t *repository, struct git_refs *out);
// All Git packs in force, indexed in the proof's folder and used.
MUST_CHECK bool histories_packs(struct reader *rd, struct git_proof *p, struct err *err);

#endif
