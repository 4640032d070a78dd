// SPDX-License-Identifier: Apache-2.0
//
// .gitmodules, pure: which submodule comes from where. A reader of our own, since Git's
// configuration language could include other files (spec libgit2 section 8).
#ifndef SOURCE_GITMODULES_H
#define SOURCE_GITMODULES_H

#include "base/err.h"
#include "base/vec.h"

struct gitmodule {
    char *name, *path, *url; // path and url may be NULL
};
struct gitmodules {
    VEC(struct gitmodule) v;
};
void gitmodules_clear(struct gitmodules *m);
MUST_CHECK bool gitmodules_read(const char *text, size_t len, struct gitmodules *out,
                                struct err *err);
// The URL of the submodule at a path, borrowed; NULL when there is none.
const char *gitmodules_url(const struct gitmodules *m, const char *path);
// Its absolute form: "./x" and "../x" start from the URL of the repository it is part of and stay
// on its host; anything else must be https, http or ssh. Owned.
MUST_CHECK bool gitmodules_resolve(const char *parent, const char *url, char **out,
                                   struct err *err);

#endif
