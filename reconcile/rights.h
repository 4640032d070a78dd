// SPDX-License-Identifier: Apache-2.0
//
// May we do what the plan needs? Asked of the API server (SelfSubjectAccessReview) before the first
// write: one question when all is allowed, else one for each kind, and only then one for each verb.
#ifndef RECONCILE_RIGHTS_H
#define RECONCILE_RIGHTS_H

#include "gitops/gitops.h"
#include "kube/kube.h"
#include "reconcile/run.h"

struct rights_more {
    const struct object_id *v;
    size_t n;
};
// *out: a line for each right that is missing, "create deployments.apps"; empty when all are there.
// *grants, unless NULL: the same of what lets one grant more than one holds (escalate, bind), where
// objects are roles and bindings: without it some of them may be refused, which shows when they are
// sent.
// r: a run that was prepared, for what it would delete; NULL: nothing is.
// more: what is made besides; NULL: nothing.
MUST_CHECK bool rights_check(struct kube *k, struct loop *l, const struct desired *d,
                             const struct run *r, const struct rights_more *more, struct strv *out,
                             struct strv *grants, struct err *err);

#endif
