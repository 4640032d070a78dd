// SPDX-License-Identifier: Apache-2.0
//
// Copies of folders of our own, in which no link leads out (tree_view). Nothing of a copy is
// durable.
#ifndef SOURCE_COPY_H
#define SOURCE_COPY_H

#include "base/err.h"
#include "base/loop.h"

// All of it, links as links.
MUST_CHECK bool folder_clone(const char *from, const char *to, const struct loop *stop,
                             struct err *err);
// As a program sees it that follows links, which may lead out of this part of the folder: what they
// lead to is copied. A link to a folder it lies in itself is left out.
MUST_CHECK bool folder_copy(const char *from, const char *to, const struct loop *stop,
                            struct err *err);

#endif
