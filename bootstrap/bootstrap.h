// SPDX-License-Identifier: Apache-2.0
//
// From a bare cluster to a healthy root, in order: ties source, kube and reconcile together for
// the commands that work on a root (plan, bootstrap, diff, render, status, why). It knows no
// command line and no snapshots.
//
// Life: session_open (kubeconfig and connection, if wanted), perhaps session_recall (the root this
// cluster is grown from), session_load (sources, desired state), then a run over it, session_close.
// Who keeps looking: session_sources, then session_load_again, as often as it likes.
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

#include "reconcile/reconcile.h"
#include "source/source.h"

struct session_opts {
    struct kubeconfig_opts kube;
    bool use_cluster;        // false: plan and render without any cluster
    int64_t wait_cluster_ms; // how long an unreachable API server is waited for
    const struct event_sink *events;
};

struct session {
    struct kubeconfig *config; // NULL without a cluster
    struct kube *kube;         // NULL without a cluster
    char *root;                // as it is remembered and shown; NULL until it is known
    char *remembered;          // what the last run on this cluster was given; after session_recall
    enum hand_over then;       // who reconciles it, as the last run said or as this one does
    bool has_then;             // somebody has said so
    struct source *source;
    struct desired *desired;
    struct kinds *kinds;            // what the cluster serves; NULL without one
    struct source_opts source_opts; // after session_sources
    struct unread *unread;          // after unread_begin
    // Private to bootstrap.c:
    struct loop *loop;
    const struct event_sink *events;
    char *given; // the root as session_load had it
    char *version;
    json_t *argocd; // Secrets and ConfigMaps of its namespace
};

MUST_CHECK bool session_open(struct loop *l, const struct session_opts *o, struct session **out,
                             struct err *err);
// Reads s->remembered, which stays NULL when there was no run, and s->then.
MUST_CHECK bool session_recall(struct session *s, struct err *err);
// Is the root that was loaded another place than the remembered one? Another ref of it is not.
bool session_is_new_root(const struct session *s);
// How this cluster's sources are asked, without reading them: notes root in s->root, adds facts of
// the cluster to `o`. For who loads by himself.
void session_sources(struct session *s, const char *root, const struct source_opts *o);
// Reads root into s->desired, and notes it in s->root. Facts of the cluster are added to `o`.
MUST_CHECK bool session_load(struct session *s, const char *root, const struct source_opts *o,
                             struct err *err);
// The same for who looks again and again, after session_sources; s->desired is replaced. False: all
// is as it was. `polled`: what a poll of s->source has found is all that is asked for again.
MUST_CHECK bool session_load_again(struct session *s, const char *root, bool polled,
                                   struct err *err);
// After session_load, when an unread_await has said that it is worth it: what was read stays as it
// was read, and what was not is asked for again. s->desired is replaced.
MUST_CHECK bool session_load_more(struct session *s, struct err *err);
// After session_load: a hub's other clusters, with what goes to each of them. A cluster is asked
// what it serves with the credentials that Argo CD keeps for it, if there are any, for a few
// seconds; nothing but that is read of it. False only when the loop is to stop.
MUST_CHECK bool session_load_clusters(struct session *s, struct source_clusters *out,
                                      struct err *err);
// After session_load: gives what is desired the marks of s->then. Argo CD's settings are those of
// Git, else those of the cluster.
MUST_CHECK bool session_hand_over(struct session *s, struct err *err);
// What the root has to be called at the successor, or NULL (handover.h). Owned.
char *session_hand_over_root(const struct session *s);

// ---- sources that could not be read, and what answers for them is perhaps being grown ----
// Life: unread_begin after session_load, then for each run over s->desired: unread_has_come with
// s->unread as its run_opts.is_superseded, unread_follow before it is executed, unread_await
// afterwards. True: one of them can be read by now; then session_load_more, and a run over what
// came of it. Nothing is looked at where no application of the run is unknown.
struct unread;
void unread_begin(struct session *s); // ends with it
void unread_follow(struct unread *u, const struct run *r);
bool unread_has_come(void *ctx);
// Looks once more when this run has brought anything up, until deadline_ms (0: none) and for some
// seconds at most.
bool unread_await(struct unread *u, int64_t deadline_ms);
void unread_free(struct unread *u);

void session_close(struct session *s);
CLEANUP_FN(struct session, session_close, session_closep);

// A root as it is remembered and shown: an absolute folder, or a URL without credentials, with
// `revision` (may be NULL) in place of its ?ref=. Owned.
char *root_text(const char *root, const char *revision);

#endif
