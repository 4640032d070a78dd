// SPDX-License-Identifier: Apache-2.0
//
// Private to gitops: which fields of which kinds name other objects. A data table (refs.c): adding
// a kind needs no other change.
#ifndef GITOPS_REFS_H
#define GITOPS_REFS_H

#include <jansson.h>

#include "gitops/graph.h"

// One reference found in a document. Strings are borrowed from the document or the table.
struct ref {
    const char *group, *kind, *namespace, *name; // namespace NULL: cluster-scoped
    enum need need;
    enum edge_why why;
    bool is_hard;
    const char *path; // the field, as it is written in the table
    bool is_pods;     // pods do not start without it
};

typedef void (*ref_fn)(void *ctx, const struct ref *r);

// Calls fn for every reference of an object of that identity.
void refs_each(const struct object_id *id, const json_t *doc, ref_fn fn, void *ctx);
bool has_pod_template(const struct object_id *id); // a workload, not a Pod itself
// The pod template (or the Pod itself) inside a workload; borrowed, NULL when the kind has none.
const json_t *pod_template_of(const struct object_id *id, const json_t *doc);
// Names of the Secrets a controller will make from this object, as "name"; fn per name.
void produced_secrets(const struct object_id *id, const json_t *doc,
                      void (*fn)(void *ctx, const char *name), void *ctx);

#endif
