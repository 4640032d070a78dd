// SPDX-License-Identifier: Apache-2.0
//
// Drift of one object: what others have changed of the fields that we declare, field by field and
// with who did it. It is the difference between the live document and what our apply would make of
// it (a dry run's answer), so a field that nobody declared is none: the answer has it too.
//
// What Git has changed since the last apply is a difference as well. Whoever wants drift alone asks
// only where the inventory's record says that what is desired is what was sent last.
#ifndef RECONCILE_DRIFT_H
#define RECONCILE_DRIFT_H

#include "gitops/gitops.h"

#define DRIFT_MAX 200 // differences of one object that are told one by one

struct drift_opts {
    const char *manager;   // ours
    const json_t *ignore;  // ignoreDifferences: rules of the application and of argocd-cm, one
                           // array; NULL: none
    struct jq_filters *jq; // runs jqPathExpressions; NULL: those are passed over
};

// An array, owned, of {path, op, from?, to?, manager?, operation?, time?, cut?}:
//   path     JSON pointer into the live document; of what was removed, into the other one. "": all
//   op       what was done to what we declare: "add", "remove", "replace"
//   from,to  what it should be, and what it is; absent for Secrets. A value of more than 1 KiB is
//            a text of its beginning, and cut is true
//   manager  the field manager that owns it, other than ours where there is such a one; of what
//            was removed the one that wrote last
//   time     when that manager wrote last, as the server says it
// live NULL: it was deleted. Empty when nothing differs. *total (may be NULL): how many there are,
// told or not.
json_t *drift_of(const struct object_id *id, const json_t *live, const json_t *would_be,
                 const struct drift_opts *o, size_t *total);

// "replace /spec/replicas: 3, is 5, by kubectl-edit": one line of it for people. Owned.
char *drift_text(const json_t *difference);

// The live document and what an apply would make of it, as far as the rules let them differ: what
// they ignore is taken out of both, in place. For other comparisons than drift_of.
void drift_leave_out(const struct object_id *id, json_t *live, json_t *would_be,
                     const struct drift_opts *o);
// RespectIgnoreDifferences: what is to be sent gets the live values at ignored places, where live
// has them, and loses what live lacks there. In place.
void drift_respect(const struct object_id *id, json_t *desired, const json_t *live,
                   const struct drift_opts *o);

#endif
