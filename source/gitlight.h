// SPDX-License-Identifier: Apache-2.0
//
// Private to source: a proof of packs that asks nothing of the library (gitscan.h). It holds when
// all that objects of the packs in use name is in these packs: then whatever is there is there with
// its whole history. When that does not hold it says so, and the library follows the refs: an
// object that nobody needs may lead to one that is gone.
#ifndef SOURCE_GITLIGHT_H
#define SOURCE_GITLIGHT_H

#include <git2.h>

#include "base/loop.h"

struct git_light;
struct git_light *git_light_new(const char *dir, const struct loop *stop);
void git_light_free(struct git_light *l);
// A pack in, as git_proof does it; *file is where it lies then, owned. *fine false: the library is
// to look at that file.
MUST_CHECK bool git_light_begin(struct git_light *l, struct err *err);
MUST_CHECK bool git_light_add(struct git_light *l, const void *p, size_t len, struct err *err);
MUST_CHECK bool git_light_end(struct git_light *l, char **file, bool *fine, struct err *err);
uint64_t git_light_objects(const struct git_light *l); // of all that were fine

// Use one more of these; use the first n only.
void git_light_use(struct git_light *l, const char *file);
void git_light_back(struct git_light *l, size_t n);
// Is it there with all that it leads to? False: not to be told so.
bool git_light_tip(struct git_light *l, const git_oid *id);

#endif
