// SPDX-License-Identifier: Apache-2.0
//
// Secret-zero: what no application owns and everything needs (keys of sealed-secrets and SOPS,
// certificates, credentials), written before all else. In no inventory, under a manager of its own,
// so that a later run from Git neither prunes nor fights it. What is there already stays as it is,
// unless an earlier restore made it and nobody has touched it since.
#ifndef RESTORE_ZERO_H
#define RESTORE_ZERO_H

#include "kube/kube.h"
#include "restore/frozen.h"

#define ZERO_MANAGER "regrow-restore"

struct zero_result {
    size_t written, unchanged; // objects; their namespaces apart
    size_t namespaces;         // made for them
    struct strv kept;          // names of those that are there, made by others
};

// All of it, namespaces first (as d has them, where it does). False at the first that cannot be
// written: nothing can be without it, and the same run again goes on.
MUST_CHECK bool zero_write(struct kube *k, struct loop *l, const struct kinds *served,
                           const struct desired *d, const struct frozen *f, struct zero_result *out,
                           struct err *err);
void zero_result_clear(struct zero_result *r);

#endif
