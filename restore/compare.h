// SPDX-License-Identifier: Apache-2.0
//
// One object against another, field by field as JSON pointers (pure). Values of Secrets are never
// in what is said of them.
#ifndef RESTORE_COMPARE_H
#define RESTORE_COMPARE_H

#include <jansson.h>

#include "gitops/gitops.h"

enum compare_how {
    COMPARE_WANTED, // what `expected` says must be in `found`; what that has besides is its own
    COMPARE_WHOLE,  // both ways, without what servers and controllers make
};
// Adds {"pointer", "expected", "found"} to out, an array; null: it is not there. Nothing, an
// empty list and the empty value of a type are no difference; "500m" and "0.5" are: whether a
// server takes them for the same only the server knows.
void compare_objects(const json_t *expected, const json_t *found, enum compare_how how,
                     json_t *out);
// The live object as expected, the drilled one as found: those fields in which they differ that the
// snapshot asks for, or that only people write. Operators write into other fields of most kinds.
void compare_with_live(const json_t *desired, const json_t *live, const json_t *drilled,
                       json_t *out);

#endif
