// SPDX-License-Identifier: Apache-2.0
//
// Drills in the log: a verdict with the report of the drill, sealed to the epoch of the snapshot
// (docs/repository-format.md section 12). Who holds a judge's key writes it, and cannot read it
// back; who opens the repository reads all of them.
#ifndef SNAPSHOT_DRILL_LOG_H
#define SNAPSHOT_DRILL_LOG_H

#include "snapshot/reader.h"

#define REPORT_MAX_BYTES (4U << 20) // one blob; what is longer is cut by whoever makes it

// Seals the report, stores it, and says v of that snapshot with it. Every drill is an entry, though
// the same was said before. *seq: the number of the entry.
MUST_CHECK bool drill_note(struct repo *r, const char *chain, const struct credential *judge,
                           const struct entry *snapshot, enum verdict v, const char *why,
                           const json_t *report, uint64_t *seq, struct err *err);
// The report of a verdict that has one. Another than its name says, or none: CORRUPT.
MUST_CHECK bool drill_report(struct repo *r, const char *chain, const struct entry *verdict,
                             const struct age_identity *id, json_t **out, struct err *err);

#endif
