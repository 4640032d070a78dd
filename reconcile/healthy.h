// SPDX-License-Identifier: Apache-2.0
//
// For whoever brings a cluster to what Git says and is done: that all of it was healthy at these
// revisions, noted in the cluster (gitops/healthy.h). A controller does it by itself.
#ifndef RECONCILE_HEALTHY_H
#define RECONCILE_HEALTHY_H

#include "gitops/gitops.h"
#include "kube/kube.h"

// Nothing is written where it says so already, nor where what it says cannot be read.
MUST_CHECK bool healthy_write(struct kube *k, const struct desired *d, struct err *err);
// What is sent for it: data, or of a patch what of it changes. Owned.
json_t *healthy_document(bool is_new, const json_t *data);

#endif
