// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/vectors.h"

#include "base/file.h"

#define FOLDER "tests/snapshot/vectors"
#define MAX_BYTES (1U << 20)

void vector_read(const char *name, struct buf *out)
{
    CLEANUP(str_freep) char *path = path_join(FOLDER, name);
    struct err err = {0};
    if (!file_read(path, MAX_BYTES, out, &err))
        fail_msg("%s", err.msg);
}

void assert_vector(const char *name, const void *p, size_t len)
{
    CLEANUP(str_freep) char *path = path_join(FOLDER, name);
    CLEANUP(str_freep) char *folder = str_ndup(path, (size_t)(path_base(path) - path));
    struct buf have CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (getenv("REGROW_WRITE_VECTORS") &&
        (!dir_make(folder, 0777, &err) || !file_replace(path, p, len, 0644, &err)))
        fail_msg("%s", err.msg);
    vector_read(name, &have);
    if (have.len != len || memcmp(have.p, p, len) != 0)
        fail_msg("%s is not what is written today: a format that others read has changed", path);
}
