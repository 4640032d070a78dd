// SPDX-License-Identifier: Apache-2.0
//
// From desired state and live cluster to a healthy cluster: what differs (plan, pure), carrying it
// out in graph order (run), health of objects (pure), the inventory of what is ours, the one-writer
// Lease, pruning, and the explanation of everything that waits.
//
// `struct run` is the one executor: bootstrap, restore and the controller all use it. Life:
// run_new(desired, kube, options), run_prepare (Lease, LIST, inventory, graph, plan), optionally
// print the plan, run_execute (drives the loop to the end or the deadline), read run_state, then
// run_free. It emits events for every step and never prints. Who goes on afterwards gives its runs
// an informers and a lease_keeper, which outlive them.
#ifndef RECONCILE_RECONCILE_H
#define RECONCILE_RECONCILE_H

#include "gitops/gitops.h"
#include "kube/kube.h"
#include "reconcile/app_status.h"
#include "reconcile/app_write.h"
#include "reconcile/control.h"
#include "reconcile/controller.h"
#include "reconcile/drift.h"
#include "reconcile/fleet.h"
#include "reconcile/health.h"
#include "reconcile/healthy.h"
#include "reconcile/informers.h"
#include "reconcile/lease.h"
#include "reconcile/plan.h"
#include "reconcile/plan_file.h"
#include "reconcile/rights.h"
#include "reconcile/run.h"
#include "reconcile/windows.h"

#endif
