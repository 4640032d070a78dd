// SPDX-License-Identifier: Apache-2.0
//
// What Kubernetes takes for a name: the API server refuses anything else, whoever sends it. Lengths
// are given, so that a NUL character does not end a text early.
#ifndef GITOPS_NAMES_H
#define GITOPS_NAMES_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

bool name_is_label(const char *s, size_t len);     // of DNS, RFC 1123: "web-1"
bool name_is_subdomain(const char *s, size_t len); // labels with dots between: "example.com"
// A key of labels or annotations: "app", "example.com/App_name.1".
bool name_is_key(const char *s, size_t len);
bool name_is_label_value(const char *s, size_t len);
// Does a document's metadata.name fit its kind? For kinds whose rule is known; INVALID, with what
// is wanted.
MUST_CHECK bool name_check(const json_t *doc, const char *group, const char *kind, struct err *err);
// Keys, and the values of labels, of a metadata map. They are texts.
MUST_CHECK bool name_check_metadata(const json_t *meta, struct err *err);

#endif
