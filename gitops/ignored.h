// SPDX-License-Identifier: Apache-2.0
//
// Fields that an application leaves to others (spec argo-cd section 5, ignoreDifferences): by JSON
// pointers, by jq expressions (jqfilter.h), by the managers that own them. And fields as the API
// server names them in its refusals (".spec.containers[name="a"].image").
#ifndef GITOPS_IGNORED_H
#define GITOPS_IGNORED_H

#include "gitops/app.h"
#include "gitops/jqfilter.h"

// The places of a document that rules (an array, or NULL) leave to others: a tree of maps, by keys
// and by indices in decimal; true stands for all that is there. jq NULL: jq expressions are passed
// over. managed: the live object whose managed fields count for managedFieldsManagers; NULL: none.
// Owned.
json_t *ignored_marks(const json_t *rules, const struct object_id *id, const json_t *doc,
                      const json_t *managed, struct jq_filters *jq);
// Is the field among them? `path` as the server writes it of doc.
bool ignored_covers(const json_t *marks, const json_t *doc, const char *path);
// Are the fields of this manager left to it?
bool ignored_manager(const json_t *rules, const struct object_id *id, const char *manager);
// Is there any rule for objects of this name?
bool ignored_any(const struct application *a, const struct object_id *id);
bool ignored_has_jq(const json_t *rules); // is there any jq expression?
// A sentence for each JSON pointer that is not understood; and for each jq expression, which takes
// a process.
void ignored_faults(const json_t *ignore_differences, struct strv *out);
void ignored_jq_faults(const json_t *ignore_differences, struct jq_filters *jq, struct strv *out);

// Those of argocd-cm, for objects of all applications: resource.customizations.ignoreDifferences.*
// and the same in resource.customizations. What is wrong with them is in *faults (may be NULL) and
// passed over. Owned, an array; NULL: there are none.
json_t *ignored_system(const json_t *config_map, struct strv *faults);

// Takes out what a path names; false when it names nothing of the document.
bool field_remove(json_t *doc, const char *path);

#endif
