// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters, kept by the hub's controller (docs/fleet.md). Which there are Argo CD's
// cluster Secrets say, as long as it runs; each is a session of its own (spoke.h), and the replicas
// share them (shards.h). Sources are read once, by the controller, for all of them.
//
// Without such a Secret all is as if there were none of this. Private but for the options and the
// documents: controller_opts.fleet.
#ifndef RECONCILE_FLEET_H
#define RECONCILE_FLEET_H

#include "reconcile/controller.h"

// An annotation of a cluster's Secret: the namespace of Lease and inventory there, where several
// fleets share a cluster.
#define FLEET_RECORDS "regrow.dev/records-namespace"

struct fleet_opts {
    int lease_s;        // how long a replica is waited for; 0: 15
    size_t max_at_once; // sessions that connect at once; 0: 8
};

// {"clusters": [...], "replicas": N, "holder": NAME} of docs/serving.md; owned. NULL: no fleet.
json_t *controller_fleet(const struct controller *c);

#endif
