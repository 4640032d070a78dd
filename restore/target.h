// SPDX-License-Identifier: Apache-2.0
//
// The cluster that a snapshot is to be restored to: is it empty, ours, or somebody else's? Only
// lists are read. And the note that a restore leaves in it before anything else.
#ifndef RESTORE_TARGET_H
#define RESTORE_TARGET_H

#include "gitops/gitops.h"
#include "kube/kube.h"

struct target {
    size_t foreign;          // namespaces and workloads that a fresh cluster has not, nor we made
    struct strv examples;    // a few of them: "Namespace web"
    char *chain;             // what was restored to it before; NULL: nothing
    unsigned long long seq;  // … which snapshot
    char *repository, *root; // … of which repository (its id in hex), from which root; or NULL
    unsigned long long head; // … and the newest snapshot of the chain then; 0: not noted
    char *cluster;           // … as which of a hub's clusters; NULL: the snapshot's own
    bool is_adopting;        // what it had is not forgotten yet
};

MUST_CHECK bool target_look(struct kube *k, struct loop *l, const struct kinds *served,
                            struct target *out, struct err *err);
// Only what was restored to it.
MUST_CHECK bool target_remember(struct kube *k, struct target *out, struct err *err);
void target_clear(struct target *t);

// What the cluster is restored from: a ConfigMap in regrow's namespace, which must be there.
// Written first, so that a run that is killed is known again by the next.
struct target_note {
    const char *chain;
    unsigned long long seq, head;
    const char *repository; // its id, in hex
    const char *root;       // what it was grown from, or NULL
    const char *cluster;    // of a hub; NULL: the snapshot's own
    bool is_adopting;
};
#define TARGET_NOTE_MAP "restored-from"
// Nothing is written where `seen` says the same.
MUST_CHECK bool target_note(struct kube *k, const struct target *seen, const struct target_note *n,
                            struct err *err);

#endif
