// SPDX-License-Identifier: Apache-2.0
//
// Small readers over jansson trees. All take NULL for "not there" and return borrowed values that
// live as long as the tree.
#ifndef GITOPS_JSON_H
#define GITOPS_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

static inline void json_freep(json_t **p)
{
    json_decref(*p);
    *p = NULL;
}

// The value at a path of object keys ("metadata", "name", NULL-terminated), or NULL.
json_t *json_at(const json_t *v, ...) __attribute__((sentinel));
// The same by a dotted path ("spec.template.metadata"); keys must not contain dots.
json_t *json_dot(const json_t *v, const char *dotted);
// The string at a dotted path, or NULL when absent or not a string.
const char *json_dot_str(const json_t *v, const char *dotted);
bool json_dot_bool(const json_t *v, const char *dotted, bool fallback);
long long json_dot_int(const json_t *v, const char *dotted, long long fallback);
// … and "" for those. Borrowed.
const char *json_dot_text(const json_t *v, const char *dotted);
// metadata.annotations[key] / metadata.labels[key] when a string, else NULL.
const char *json_annotation(const json_t *obj, const char *key);
const char *json_label(const json_t *obj, const char *key);
// Sets metadata.annotations[key], making the maps as needed.
void json_set_annotation(json_t *obj, const char *key, const char *value);
// RFC 7386: what the patch has takes the place of what is there, maps are merged, null deletes.
// Both are maps.
void json_merge_patch(json_t *into, const json_t *patch);
// Maps are merged at every depth, all else of `over` takes the place of what is there, null too.
// Nothing is shared afterwards.
void json_merge(json_t *base, const json_t *over);
// Appends "/KEY" to a JSON pointer, as RFC 6901 writes a key; and base with that behind it, owned.
void json_pointer_add(struct buf *pointer, const char *key);
char *json_pointer_under(const char *base, const char *key);
// Does a label map satisfy a Kubernetes LabelSelector ({} or NULL selects all)? Unknown operators
// and malformed selectors select nothing.
bool json_selector_matches(const json_t *selector, const json_t *labels);
// Has every expression a key, a known operator, and values where that wants them?
bool json_selector_is_valid(const json_t *selector);

#endif
