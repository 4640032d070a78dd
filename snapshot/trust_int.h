// SPDX-License-Identifier: Apache-2.0
//
// Private to trust*.c and marker.c: the members that the JSON of both has.
#ifndef SNAPSHOT_TRUST_INT_H
#define SNAPSHOT_TRUST_INT_H

#include "snapshot/trust.h"

#define MAX_SEQ INT64_C(9999999999)
#define MAX_EPOCH 999999

// Lower-case hex of len bytes.
json_t *hex_json(const void *p, size_t len);
MUST_CHECK bool hex_member(const json_t *o, const char *name, void *out, size_t len);
MUST_CHECK bool uint_member(const json_t *o, const char *name, unsigned min, unsigned max,
                            unsigned *out);

// Does one of t's admins stand behind the line? How many of them?
unsigned admins_behind(const struct trust *t, const struct signed_line *line);
// Creates a file that is either made by this or has these very bytes already, and reads it back.
MUST_CHECK bool create_same(struct store *s, const char *name, const struct buf *bytes,
                            struct err *err);

#endif
