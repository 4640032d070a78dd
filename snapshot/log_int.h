// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one file of a chain's log.
//
//   log.c          reads what counts, from the head down; appends
//   log_entry.c    one file: signature, role, what it says of itself
//   log_links.c    numbers and links of all that was read
//   log_look.c     would the rest of it be readable?
//   log_view.c     what it means: standing, goodness, latest
//   log_doubt.c    what entries remember of verdicts that are not there any more
#ifndef SNAPSHOT_LOG_INT_H
#define SNAPSHOT_LOG_INT_H

#include "snapshot/repo.h"

#define LOG_DIGITS 10
#define LOG_MAX_FILES 100000

// The signer of an entry of that kind, in the newest trust; NULL: that key may not sign one.
const struct trust_signer *log_signer(const struct repo *r, enum entry_kind kind,
                                      const struct key_id *key, const char *chain);
// Proves the bytes found at a number of a chain, in the order of section 6: nothing is parsed
// before the signature held. Anything off is CORRUPT. Sets hash, signer and is_void too.
MUST_CHECK bool log_entry_read(const struct repo *r, const char *chain, uint64_t seq,
                               const struct buf *bytes, struct entry *out, struct err *err);
// Numbers and links of the sorted entries; sets heads. CORRUPT.
MUST_CHECK bool log_check_links(const struct repo *r, struct log *l, const struct log_opts *o,
                                struct err *err);
// The number of an entry that is gone and called this snapshot bad, or may have; 0: none. A verdict
// that is there may have that number, too.
uint64_t log_lost_seq(const struct log *l, const struct entry *snapshot);
// What a new entry, above all of the log, has to remember of it.
void log_remember(const struct log *l, struct remembered *out);

#endif
