// SPDX-License-Identifier: Apache-2.0
//
// A throw-away control plane: a program that makes a cluster in a folder (`PROGRAM up DIR`, which
// leaves DIR/kubeconfig), and a warden that ends it. The warden is a process of its own, to which
// all that the program starts belongs; it sees when we are gone, however that happened, kills the
// lot and removes the folder. Nothing it holds is secret: it is forked before anything is read.
//
// Life: plane_new first of all, while the process has one thread; plane_start; plane_free, which
// returns when nothing of it is left.
#ifndef RESTORE_PLANE_H
#define RESTORE_PLANE_H

#include "base/loop.h"

#define PLANE_READY_MS 180000 // a slow machine takes a minute

struct plane;
MUST_CHECK bool plane_new(const char *program, struct plane **out, struct err *err);
// Starts it and waits until a workload would run in it: PLANE_READY_MS at most.
MUST_CHECK bool plane_start(struct plane *p, struct loop *l, struct err *err);
const char *plane_kubeconfig(const struct plane *p); // borrowed
void plane_free(struct plane *p);
CLEANUP_FN(struct plane, plane_free, plane_freep);

#endif
