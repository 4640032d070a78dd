// SPDX-License-Identifier: Apache-2.0
//
// Private to gitops: what the manifests ask of a namespace, against the ResourceQuotas that the
// manifests set. An order does not help here (a quota is judged only once its controller has filled
// in its sums, spec order-corrections section 4): the sums themselves are compared.
#ifndef GITOPS_QUOTA_H
#define GITOPS_QUOTA_H

#include "gitops/desired.h"

// A line for each quota that will not do, and for each workload that does not say what a quota
// wants to know. What is in the namespace besides the manifests is not counted: a lower bound.
void quota_warnings(const struct desired *d, struct strv *out);

// A Kubernetes quantity ("250m", "1.5Gi", "2e3") as a number; false when it is none.
bool quantity_parse(const json_t *v, double *out);

#endif
