// SPDX-License-Identifier: Apache-2.0
//
// From a bare cluster to a healthy root, in order: ties source, kube and reconcile together for
// the commands that work on a root (plan, bootstrap, diff, render, status, why). It knows no
// command line and no snapshots.
//
// Life: session_open (kubeconfig, connection unless offline, credentials from cluster and
// environment, desired state), then a run over it, session_close.
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

#include "reconcile/reconcile.h"
#include "source/source.h"

enum hand_over { THEN_REGROW, THEN_ARGOCD, THEN_FLUX, THEN_NONE };

struct session_opts {
    const char *root;
    struct kubeconfig_opts kube;
    bool use_cluster;          // false: plan and render without any cluster
    int64_t wait_cluster_ms;   // how long an unreachable API server is waited for
    struct source_opts source; // cluster facts in it are filled by session_open
    enum hand_over then;
    const char *manager; // field manager; NULL: "regrow"
    const struct event_sink *events;
};

struct session {
    struct kubeconfig *config; // NULL without a cluster
    struct kube *kube;         // NULL without a cluster
    struct source *source;
    struct desired *desired;
    // Private to bootstrap.c:
    struct kinds *kinds;
    char *version;
    json_t *argocd; // Secrets and ConfigMaps of its namespace
    struct source_opts source_opts;
};

MUST_CHECK bool session_open(struct loop *l, const struct session_opts *o, struct session **out,
                             struct err *err);
void session_close(struct session *s);
CLEANUP_FN(struct session, session_close, session_closep);

#endif
