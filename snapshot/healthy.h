// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot knows of health: which revision of each application was last healthy when it was
// taken (docs/repository-format.md section 7).
#ifndef SNAPSHOT_HEALTHY_H
#define SNAPSHOT_HEALTHY_H

#include "snapshot/reader.h"

// {name: revision}, by names of applications in lists, owned. NULL: it knows nothing. What is no
// revision is left out.
MUST_CHECK bool snapshot_healthy(struct reader *r, const json_t *root, json_t **out,
                                 struct err *err);

#endif
