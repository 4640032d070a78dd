// SPDX-License-Identifier: Apache-2.0
//
// What a cluster really has, read by lists: of the objects that a desired state names, and on
// request of all that carry an application's mark. Each is kept as canonical bytes.
#ifndef RESTORE_WORLD_H
#define RESTORE_WORLD_H

#include "kube/kube.h"
#include "restore/frozen.h"

struct world_object {
    struct object_id id;
    char *body; // may be a Secret's: wiped
    size_t len;
};
struct world {
    VEC(struct world_object) v; // sorted by identity
    struct strv unread;         // kinds that could not be listed, and why, a line each
};
struct world_opts {
    const struct kinds *served;
    const struct frozen *f; // whose desired state and keys are looked for, in its versions
    bool marked; // and all else that applications of whoever reconciles marked as their own
};
MUST_CHECK bool world_read(struct kube *k, struct loop *l, const struct world_opts *o,
                           struct world *out, struct err *err);
// Borrowed; NULL: it is not there.
const struct world_object *world_find(const struct world *w, const struct object_id *id);
json_t *world_doc(const struct world_object *o); // owned
void world_clear(struct world *w);

#endif
