// SPDX-License-Identifier: Apache-2.0
//
// Which API versions a chart asks the cluster about (.Capabilities.APIVersions): what it renders
// depends on these alone, so that a new kind in the cluster renders no chart again that does not
// ask for it.
#ifndef SOURCE_ASKS_H
#define SOURCE_ASKS_H

#include "base/str.h"

struct asks {
    struct strv names; // "policy/v1", "apps/v1/Deployment": each once
    bool any;          // asked in a way that cannot be read: every version may matter
};
void asks_clear(struct asks *a);
// Adds what a template's text asks: `.APIVersions.Has "x"` and `has "x" .Capabilities.APIVersions`.
void asks_find(struct asks *a, const char *text, size_t len);

#endif
