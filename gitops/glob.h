// SPDX-License-Identifier: Apache-2.0
//
// The glob dialects that meet in GitOps repositories. All are bounded: cost is at most
// pattern length x text length.
#ifndef GITOPS_GLOB_H
#define GITOPS_GLOB_H

#include <stdbool.h>

enum glob_dialect {
    GLOB_GOBWAS,       // gobwas/glob without separators: * crosses /, ?, [a-z], [!a], {a,b}
    GLOB_GOBWAS_SLASH, // the same with separator '/': * stays in a segment, ** crosses
    GLOB_URL,          // the same without {a,b}
    GLOB_PATH,         // Go path.Match: *, ?, [^a-z], \ escapes; * never matches '/'
    GLOB_PATHSPEC,     // git pathspec: * crosses '/', ** too
    GLOB_DOUBLESTAR,   // bmatcuk/doublestar: ** as whole segment crosses, {a,b}
};

// A malformed pattern matches nothing.
bool glob_match(enum glob_dialect d, const char *pattern, const char *text);

#endif
