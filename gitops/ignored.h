// SPDX-License-Identifier: Apache-2.0
//
// Fields that an application leaves to others (spec argo-cd section 5, ignoreDifferences), and
// fields as the API server names them in its refusals (".spec.containers[name="a"].image"). Pure.
//
// JSON pointers and field managers are taken whole. Of jq, paths: fields, indices, "[]", "?" and
// select() by the equality of one field; anything else is not understood, and said so.
#ifndef GITOPS_IGNORED_H
#define GITOPS_IGNORED_H

#include "gitops/app.h"

// Does the application leave this field of the object to others? `path` as the server writes it,
// `manager` who owns it; doc is the object as desired.
bool ignored_field(const struct application *a, const struct object_id *id, const json_t *doc,
                   const char *path, const char *manager);
// Is there any rule for objects of this name?
bool ignored_any(const struct application *a, const struct object_id *id);
// A sentence for each rule that is not understood.
void ignored_faults(const json_t *ignore_differences, struct strv *out);

// Takes out what a path names; false when it names nothing of the document.
bool field_remove(json_t *doc, const char *path);

#endif
