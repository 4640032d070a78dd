// SPDX-License-Identifier: Apache-2.0
//
// Private to trust*.c and marker.c: what both need of signatures and the store.
#ifndef SNAPSHOT_TRUST_INT_H
#define SNAPSHOT_TRUST_INT_H

#include "snapshot/members.h"
#include "snapshot/trust.h"

#define MAX_SEQ INT64_C(9999999999)
#define MAX_EPOCH 999999

// How many of t's admins stand behind the line?
unsigned admins_behind(const struct trust *t, const struct signed_line *line);
// The file of trust number n.
char *trust_name(unsigned n); // owned
// What no trust file may break, whoever signed it: INVALID.
MUST_CHECK bool trust_check_rules(const struct trust *before, const struct trust *t,
                                  struct err *err);
// As the reader will see it, and by those rules.
MUST_CHECK bool trust_check_new(const struct trust *before, const struct trust *t,
                                const struct buf *file, struct err *err);
// Creates a file that is either made by this or has these very bytes already, and reads it back.
MUST_CHECK bool create_same(struct store *s, const char *name, const struct buf *bytes,
                            struct err *err);

// The highest number of a trust file above n; 0: none is listed, or they may not be listed.
MUST_CHECK bool trust_above(struct store *s, unsigned n, unsigned *out, struct err *err);

#endif
