// SPDX-License-Identifier: Apache-2.0
//
// A judge's word about a snapshot (docs/repository-format.md section 12): an entry of the log.
#ifndef SNAPSHOT_VERDICT_H
#define SNAPSHOT_VERDICT_H

#include "snapshot/repo.h"

// *made false: of good and bad this one was said last already. Not there: NOT_FOUND.
MUST_CHECK bool repo_judge(struct repo *r, const char *chain, const struct credential *judge,
                           uint64_t seq, enum verdict v, const char *why, bool *made,
                           struct err *err);

#endif
