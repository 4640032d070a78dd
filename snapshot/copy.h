// SPDX-License-Identifier: Apache-2.0
//
// Copying snapshots into another repository: opened, every id recomputed, and sealed again under
// the other one's keys, by a job of it (docs/repository-format.md section 13). The copy's entry
// notes its origin. What it says of itself is the writer's word: what a judge called bad becomes
// suspect, and what a judge promoted stays suspect until one of the other repository says so.
#ifndef SNAPSHOT_COPY_H
#define SNAPSHOT_COPY_H

#include "snapshot/create.h"
#include "snapshot/reader.h"

struct copy_opts {
    const struct credential *job; // of the other repository
    const char *index_cache;
    const char *work; // as create_opts
    // Codes of why it is no good one beyond what its writer said ("judged-bad"); NULL: none.
    const struct strv *doubts;
    const struct sha256 *export; // it comes out of one with these checksums; NULL: it does not
};
// May this snapshot be copied on top of that log? *is_there: it has been already. A log with
// snapshots of its own, or with later ones of the same chain: CONFLICT, since a copy on top would
// be what `latest` means.
MUST_CHECK bool copy_check(const struct log *to, const struct entry *snapshot, bool *is_there,
                           struct err *err);
// The reader is one of the snapshot. *out: the entry as it is stored there.
MUST_CHECK bool snapshot_copy(struct reader *r, const struct entry *snapshot, struct repo *to,
                              const struct copy_opts *o, struct entry *out, struct err *err);

// ---- the same in two steps: all is read and named, and then written ----
struct copy;
MUST_CHECK bool copy_begin(struct reader *r, const struct entry *snapshot, struct repo *to,
                           const struct copy_opts *o, struct copy **out, struct err *err);
void copy_free(struct copy *c);
CLEANUP_FN(struct copy, copy_free, copy_freep);
// What is known of it before: root, counts, state, why, origin. Borrowed.
const struct snapshot_entry *copy_result(const struct copy *c);
MUST_CHECK bool copy_commit(struct copy *c, struct entry *out, struct err *err);

#endif
