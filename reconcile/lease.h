// SPDX-License-Identifier: Apache-2.0
//
// One writer per cluster: the Lease in regrow-system. Who holds it may write there; it is renewed
// on the loop until it is given up.
//
// Life: lease_keeper_new, lease_keeper_take, any number of runs (run_opts.lease), then
// lease_keeper_free, which gives it up if it is held and the server answers. A run that is given
// none takes one of its own.
#ifndef RECONCILE_LEASE_H
#define RECONCILE_LEASE_H

#include "base/loop.h"
#include "kube/kube.h"

struct lease_keeper;
struct lease_opts {
    const char *holder;    // NULL: lease_own_name
    const char *namespace; // NULL: REGROW_NAMESPACE
    const struct event_sink *events;
};
// "host/pid/boot/start", by which one that died on this machine is known; owned. More may follow
// behind another slash.
char *lease_own_name(void);
struct lease_keeper *lease_keeper_new(struct loop *l, struct kube *k, const struct lease_opts *o);
void lease_keeper_free(struct lease_keeper *k);
CLEANUP_FN(struct lease_keeper, lease_keeper_free, lease_keeper_freep);

// Waits on the loop for answers, and for as long as it takes to know that a holder is no more, but
// not for one that lives: that is CONFLICT, and says who it is. Makes the namespace where it is
// missing. deadline_ms: monotonic; 0: none. May be called again after it was lost or given up.
MUST_CHECK bool lease_keeper_take(struct lease_keeper *k, int64_t deadline_ms, struct err *err);
// Nothing to do when it is not held; what is under way is waited for, for a moment.
void lease_keeper_give_up(struct lease_keeper *k);
// May its holder write? Not while so long without a renewal that another may have taken over.
bool lease_keeper_is_good(const struct lease_keeper *k);
// Somebody else has it: not one write more.
bool lease_keeper_is_lost(const struct lease_keeper *k);

#endif
