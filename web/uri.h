// SPDX-License-Identifier: Apache-2.0
//
// The target of a request, taken apart: segments and query decoded once, strictly. Nothing gets
// through that two readers could take for two things: dot segments, empty ones, text that is not
// UTF-8, control characters.
#ifndef WEB_URI_H
#define WEB_URI_H

#include "base/err.h"
#include "base/str.h"

#define URI_MAX_BYTES 4096
#define URI_MAX_SEGMENTS 8
#define URI_MAX_PARAMS 16

struct uri {
    char *seg[URI_MAX_SEGMENTS];
    size_t n; // 0: "/"
    struct {
        char *key, *value;
    } param[URI_MAX_PARAMS];
    size_t params;
};
// On failure (INVALID) nothing is left in out.
MUST_CHECK bool uri_parse(const char *raw, struct uri *out, struct err *err);
void uri_clear(struct uri *u);
// Decodes %XX, and + for a blank where asked. NULL: malformed, not UTF-8, or with control
// characters other than a line end where those are asked for. Owned.
char *uri_decode(const char *s, size_t len, bool has_plus, bool has_lines);

#endif
