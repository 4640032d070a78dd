// SPDX-License-Identifier: Apache-2.0
//
// Tar files for tests, taken apart and put together again, whole or wrong.
#ifndef TESTS_SNAPSHOT_TARKIT_H
#define TESTS_SNAPSHOT_TARKIT_H

#include "base/str.h"
#include "base/vec.h"

struct tar_member {
    char *name;
    unsigned type;    // AE_IFREG …
    const char *link; // of a link; lent
    bool is_hard;
    struct buf bytes;
};
struct tar_kit {
    VEC(struct tar_member) v;
};
void tar_kit_clear(struct tar_kit *t);
struct tar_member *tar_kit_add(struct tar_kit *t, const char *name, const char *text);
struct tar_member *tar_kit_find(struct tar_kit *t, const char *end); // by how its name ends
void tar_kit_drop(struct tar_kit *t, const char *end);
void tar_kit_read(const char *file, struct tar_kit *out);
void tar_kit_write(const struct tar_kit *t, struct buf *out);
void tar_kit_save(const struct tar_kit *t, const char *file);
// SHA256SUMS as of what is there now; what signed the old ones goes.
void tar_kit_sum(struct tar_kit *t);

#endif
