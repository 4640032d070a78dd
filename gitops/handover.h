// SPDX-License-Identifier: Apache-2.0
//
// Who reconciles a cluster after a bootstrap or a restore (docs/hand-over.md). Whoever that is
// finds nothing to change, and can take out a field that leaves Git later, only if it looks from
// the first write on as if it had written everything itself: under its field manager, with its
// marks, and, where it applies on the client's side, with the annotation that remembers what was
// applied.
#ifndef GITOPS_HANDOVER_H
#define GITOPS_HANDOVER_H

#include "gitops/desired.h"

enum hand_over { THEN_REGROW, THEN_ARGOCD, THEN_FLUX, THEN_NONE };

// How kubectl and who applies as it does remember what they sent.
#define LAST_APPLIED_ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"

// "argocd", and what people read: "Argo CD". False: it is none of them.
bool hand_over_parse(const char *name, enum hand_over *out);
const char *hand_over_name(enum hand_over then);
const char *hand_over_title(enum hand_over then);
// The field manager of what it writes.
const char *hand_over_manager(enum hand_over then);
// Is there another who writes?
bool hand_over_is_away(enum hand_over then);
// Does this manager stand for one of them, but not for `now`?
bool hand_over_was(const char *manager, const char *now);

struct hand_over_opts {
    enum hand_over then;
    const json_t *settings; // Argo CD: data of its argocd-cm; NULL: its defaults
    const char *root;       // Flux: the root as it is remembered, whose path names a Kustomization
};

// Gives every object of `d` the marks of whoever comes next, in place of ours; nothing for regrow
// and for nobody. What cannot be marked as it should be is a warning of `d`.
void desired_hand_over(struct desired *d, const struct hand_over_opts *o);
// data of argocd-cm among what is desired, or NULL. Owned.
json_t *hand_over_settings(const struct desired *d);
// What the root has to be called at the successor: "Application apps"; NULL when nothing of it is
// marked, or when the root brings that object itself. Owned.
char *hand_over_root(const struct desired *d, const struct hand_over_opts *o);

#endif
