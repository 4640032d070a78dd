// SPDX-License-Identifier: Apache-2.0
//
// What a work tree's own rules leave out of its repository.
#ifndef SOURCE_GITIGNORE_H
#define SOURCE_GITIGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct gitignore;
// A folder that is no work tree ignores nothing. NULL is fine for the others then.
struct gitignore *gitignore_new(const char *dir);
void gitignore_free(struct gitignore *g);
CLEANUP_FN(struct gitignore, gitignore_free, gitignore_freep);
// Not what was added all the same.
bool gitignore_has(const struct gitignore *g, const char *path);

#endif
