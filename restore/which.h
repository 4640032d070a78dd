// SPDX-License-Identifier: Apache-2.0
//
// Which snapshot of a chain is meant, when it is not named by its number.
#ifndef RESTORE_WHICH_H
#define RESTORE_WHICH_H

#include "snapshot/snapshot.h"

// The newest good one that was taken at that time or before (a copy: its original); NULL: none.
// Borrowed from the log.
const struct entry *which_at(const struct log *l, int64_t unix_s);
// The exact revision of the root: a commit, or of a folder the hash of its files; NULL when the
// snapshot does not say. Owned.
MUST_CHECK bool which_revision(struct reader *r, char **out, struct err *err);
// Besides, the commit at which all was last settled, as the snapshot knows it: NULL where it does
// not. Owned.
MUST_CHECK bool which_healthy(struct reader *r, char **revision, char **healthy, struct err *err);
// When a commit of its Git repositories was made; 0 when it is in none, or finding out would mean
// opening more than is worth it. The Git packs are indexed in a private folder for it.
MUST_CHECK bool which_commit_time(struct reader *r, const char *commit, int64_t *unix_s,
                                  struct err *err);

#endif
