// SPDX-License-Identifier: Apache-2.0
//
// What lies between two snapshots, as one document (docs/output.md, snapshot-diff): refs with the
// commits between, sources, and object by object what changed, as JSON pointers. Of a Secret only
// that it changed, never a value.
#ifndef SNAPSHOT_DIFF_H
#define SNAPSHOT_DIFF_H

#include "snapshot/reader.h"

struct diff_opts {
    size_t max_commits; // of a ref
    const struct loop *stop;
};
// From a to b, which need not be of one epoch. *out: owned; its members are empty arrays where
// nothing changed.
MUST_CHECK bool snapshot_diff(struct reader *a, struct reader *b, const struct diff_opts *o,
                              json_t **out, struct err *err);
bool snapshot_diff_is_empty(const json_t *diff);

#endif
