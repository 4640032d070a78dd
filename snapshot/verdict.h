// SPDX-License-Identifier: Apache-2.0
//
// A judge's word about a snapshot (docs/repository-format.md section 12): an entry of the log.
#ifndef SNAPSHOT_VERDICT_H
#define SNAPSHOT_VERDICT_H

#include "snapshot/repo.h"

struct judgement {
    uint64_t seq; // of the snapshot
    enum verdict verdict;
    const char *why;      // may be NULL
    struct sha256 report; // a pack that is stored
    bool has_report;
};
// Says so, whatever was said before; *seq: the number of the verdict.
MUST_CHECK bool repo_judge_by(struct repo *r, const char *chain, const struct credential *judge,
                              const struct judgement *j, uint64_t *seq, struct err *err);
// The same without a report. *made false: of good and bad this one was said last already. Not
// there: NOT_FOUND.
MUST_CHECK bool repo_judge(struct repo *r, const char *chain, const struct credential *judge,
                           uint64_t seq, enum verdict v, const char *why, bool *made,
                           struct err *err);

#endif
