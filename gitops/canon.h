// SPDX-License-Identifier: Apache-2.0
//
// Canonical JSON: keys sorted bytewise, no blanks, numbers as Go prints them, and the escapes that
// the API server's YAML reader of apply bodies accepts (spec c-libraries 1.9): raw UTF-8, \uXXXX
// for < 0x20, 0x7F-0x9F, U+2028/2029, U+FEFF, U+FFFE/FFFF; never surrogates, never "\/".
#ifndef GITOPS_CANON_H
#define GITOPS_CANON_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

void canon_write(const json_t *v, struct buf *out);
// Reads one JSON value. Integers outside int64 become reals instead of failing; NUL is allowed;
// integral reals below 2^63 become integers; depth at most 512. Malformed: INVALID.
MUST_CHECK bool canon_read(const char *p, size_t len, json_t **out, struct err *err);
// The same for a value that more may follow: *used bytes of it were read.
MUST_CHECK bool canon_read_some(const char *p, size_t len, size_t *used, json_t **out,
                                struct err *err);
// The same, and *duplicate_line is the 1-based line of the first key set twice in one map (the last
// one counts), or 0.
MUST_CHECK bool canon_read_next(const char *p, size_t len, size_t *used, unsigned *duplicate_line,
                                json_t **out, struct err *err);

// Members that canon_without sets to null where their value is an object or a list: by name, at a
// depth of so many open objects (0: at any). The array ends with a NULL name.
struct canon_skip {
    const char *name;
    unsigned depth;
};
// Copies JSON without those members; what is malformed is copied malformed.
void canon_without(const char *p, size_t len, const struct canon_skip *skip, struct buf *out);

#endif
