// SPDX-License-Identifier: Apache-2.0
//
// Private to source: what the bytes of Git objects name, with the type that is said of it.
#ifndef SOURCE_GITLINKS_H
#define SOURCE_GITLINKS_H

#include "source/oidset.h"

struct git_links {
    struct oidset ids; // with a git_object_t
};
// False: they are not those of such an object, or one name is said to be of two types.
bool git_links_add(struct git_links *l, git_object_t type, const void *p, size_t len);
void git_links_clear(struct git_links *l);

#endif
