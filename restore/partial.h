// SPDX-License-Identifier: Apache-2.0
//
// A part of a snapshot: what was asked for by application and namespace, what that needs and the
// target has not, and which keys and credentials go with it. What is needed and there stays as it
// is. Known once a run over the desired state has been prepared.
#ifndef RESTORE_PARTIAL_H
#define RESTORE_PARTIAL_H

#include "reconcile/reconcile.h"
#include "restore/frozen.h"

struct partial {
    unsigned char *parts;  // enum run_part of each object; NULL: everything is wanted
    size_t chosen, needed; // objects that are sent: asked for; needed, there or not
    VEC(unsigned) absent;  // needed and not there: they are made too
    struct strv awaited;   // needed, not there, and made by nothing that is selected
};

// Fills *out from a prepared run over f, and takes out of f->zero what the part does not need.
void partial_of(const struct run *r, struct frozen *f, struct partial *out);
bool partial_has(const struct partial *p, unsigned object);
void partial_clear(struct partial *p);

#endif
