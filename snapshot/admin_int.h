// SPDX-License-Identifier: Apache-2.0
//
// Private to admin*.c: one change of trust, from a copy of the newest to the next.
#ifndef SNAPSHOT_ADMIN_INT_H
#define SNAPSHOT_ADMIN_INT_H

#include "snapshot/admin.h"

// What to change in a copy of the newest trust; *news stays false when it is so already. Called
// again, on the newer one, when another change was first.
typedef bool (*change_fn)(struct repo *r, struct trust *next, void *ctx, bool *news,
                          struct err *err);
// Makes the change, if the credential may, and reads the repository's trust again. *made false:
// there was nothing to change. Others were first all the while: CONFLICT.
MUST_CHECK bool change_run(struct repo *r, const struct credential *admin, change_fn fn, void *ctx,
                           bool *made, struct err *err);

#endif
