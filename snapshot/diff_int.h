// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one comparison.
//
//   diff.c         applications and their objects, sources, versions
//   diff_fields.c  two documents to JSON pointers (pure)
//   diff_git.c     refs, and the commits between     diff_pool.c   Secrets, by hash alone
//   diff_clusters.c   what goes to a hub's other clusters, by the functions for its own
#ifndef SNAPSHOT_DIFF_INT_H
#define SNAPSHOT_DIFF_INT_H

#include "snapshot/diff.h"

struct diff_side {
    struct reader *r;
    json_t *root; // or the list of a cluster, which has the same members; NULL: there is none
};
struct diffing {
    struct diff_side a, b;
    const struct diff_opts *o;
    bool is_other; // of a hub another cluster than its own
    json_t *out;
};

// Appends {"path", "from", "to"} for each place where they differ; absent is left out. Either may
// be NULL.
void diff_fields(const json_t *a, const json_t *b, json_t *out);
MUST_CHECK bool diff_applications(struct diffing *d, struct err *err);
MUST_CHECK bool diff_clusters(struct diffing *d, struct err *err);
MUST_CHECK bool diff_git(struct diffing *d, struct err *err);
MUST_CHECK bool diff_pool(struct diffing *d, struct err *err);

#endif
