// SPDX-License-Identifier: Apache-2.0
//
// Private to the YAML reader: what a scalar means (YAML 1.1 as the Go library reads it).
#ifndef GITOPS_YAML_SCALAR_H
#define GITOPS_YAML_SCALAR_H

#include <jansson.h>

#include "base/err.h"

struct scalar {
    const char *text;
    size_t len;
    const char *tag; // as libyaml resolves it, or NULL
    bool is_plain;
};

// The value of a scalar; NULL with err set (INVALID, no place) when tag and text do not fit.
// *is_big is set for an integer beyond int64, which comes as a real.
json_t *scalar_value(const struct scalar *s, bool *is_big, struct err *err);
// ".inf", "-.inf" or ".nan" when it means one of those: no JSON value, but a key to Go. Else NULL.
const char *scalar_nonfinite(const struct scalar *s);
// A value as a map key, owned; NULL with err set for what Go refuses.
char *scalar_key(const json_t *v, bool is_big, size_t *len, struct err *err);
// Is this the merge key "<<"?
bool scalar_is_merge(const struct scalar *s);

#endif
