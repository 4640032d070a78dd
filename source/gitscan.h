// SPDX-License-Identifier: Apache-2.0
//
// Private to source: one Git pack gone through once, without the library. Every entry is inflated,
// every delta put on its base, every object named by the SHA-1 of its bytes, and what trees,
// commits and tags name is noted: then no object need be read again to know whether a history is
// there.
//
// The SHA-1 is the processor's and does not look for collisions, as that of libgit2 does when a
// pack is fetched, which is three quarters of the time.
#ifndef SOURCE_GITSCAN_H
#define SOURCE_GITSCAN_H

#include <git2.h>

#include "base/loop.h"

struct git_scan;
// The pack in a file. *out NULL without an error: it is damaged, thin, or out of the bounds of what
// is held in memory here; the library is to look at it, and to say. Fails when it was interrupted.
MUST_CHECK bool git_scan_pack(const char *path, const struct loop *stop, struct git_scan **out,
                              struct err *err);
void git_scan_free(struct git_scan *s);

size_t git_scan_objects(const struct git_scan *s);
// INVALID: it is not in this pack.
git_object_t git_scan_type(const struct git_scan *s, const git_oid *id);

struct git_named {
    git_oid id;
    git_object_t type;
};
// What its objects lead to and it has not, each once; borrowed. What it has is of the type that is
// said of it.
size_t git_scan_outside(const struct git_scan *s, const struct git_named **out);

#endif
