// SPDX-License-Identifier: Apache-2.0
//
// Private to admin*.c: one change of trust, from a copy of the newest to the next.
#ifndef SNAPSHOT_ADMIN_INT_H
#define SNAPSHOT_ADMIN_INT_H

#include "snapshot/admin.h"

// A copy of the newest as a start; the credential may sign it.
MUST_CHECK bool change_begin(struct repo *r, const struct credential *admin, struct trust *next,
                             struct err *err);
// Writes it, and reads the repository's trust again. next is cleared, on failure too.
MUST_CHECK bool change_commit(struct repo *r, const struct credential *admin, struct trust *next,
                              struct err *err);

#endif
