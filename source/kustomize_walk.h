// SPDX-License-Identifier: Apache-2.0
//
// Private to kustomize.c: the kustomizations below an application, walked before kustomize is:
// whether anything is on the network, and which charts are inflated.
#ifndef SOURCE_KUSTOMIZE_WALK_H
#define SOURCE_KUSTOMIZE_WALK_H

#include "source/render.h"

#define KUSTOMIZE_MAX_FILE (4U << 20)

extern const char *const kustomization_names[3];

// A chart that a kustomization inflates.
struct inflation {
    char *dir; // of the kustomization, in the tree
    char *home, *name, *repo, *version;
};

struct kustomize_walk {
    struct render_job *j;
    json_t *seen;   // folders, by the names that were given for them as well
    json_t *walked; // and where links lead from there
    struct strv todo;
    VEC(struct inflation) charts;
    bool helm;
    char *remote;   // the first that is on the network
    char *unseen;   // generators of which it is not known what they are: a folder, or remote
    struct err err; // while it is under way
};

// From the job's path, with the components of its options (may be NULL). False when one leaves the
// tree, or cannot be read: kustomize, which may read it all the same, must not see more than we do.
MUST_CHECK bool kustomize_walk(struct render_job *j, const json_t *options,
                               struct kustomize_walk *out, struct err *err);
void kustomize_walk_clear(struct kustomize_walk *w);

#endif
