// SPDX-License-Identifier: Apache-2.0
//
// Symbolic links inside a tree (a commit, a folder), followed as the kernel follows them: name by
// name, ".." from where the way has led so far. None may lead out of the tree (spec argo-cd section
// 1.3), since what renders would read there. Pure: who holds the tree says where links are.
#ifndef SOURCE_LINKS_H
#define SOURCE_LINKS_H

#include "base/err.h"
#include "base/str.h"

struct links {
    const char *whole; // "repository", "folder": for messages
    // Is there a link at this path, to which no link leads? Then its text is appended.
    bool (*read)(void *ctx, const char *path, bool *is_link, struct buf *text, struct err *err);
    void *ctx;
};

#define LINK_MAX_BYTES 4096

// The path without links, owned; whether there is anything is not asked. INVALID names the link
// that leaves the tree and where it leads, or says that there are too many.
MUST_CHECK bool links_resolve(const struct links *l, const char *path, char **out, struct err *err);
// False with the error when the link at this path, followed to its end, leaves the tree. One that
// leads nowhere, or in a circle, does not.
MUST_CHECK bool links_stay(const struct links *l, const char *path, struct err *err);

#endif
