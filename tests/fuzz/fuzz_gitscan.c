// SPDX-License-Identifier: Apache-2.0
//
// A Git pack that somebody made, but for the sum at its end, which is made right here.
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "source/gitscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct git_scan *s)
{
    const struct git_named *v;
    size_t n = git_scan_outside(s, &v);
    for (size_t i = 0; i < n; i++)
        if (git_scan_type(s, &v[i].id) != GIT_OBJECT_INVALID || v[i].type < GIT_OBJECT_COMMIT ||
            v[i].type > GIT_OBJECT_TAG)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    char path[40];
    struct git_scan *s = NULL;
    struct err err = {0};
    int fd = memfd_create("pack", MFD_CLOEXEC);
    if (fd < 0 || EVP_Digest(data, size, sum, NULL, EVP_sha1(), NULL) != 1 ||
        write(fd, data, size) != (ssize_t)size || write(fd, sum, 20) != 20)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!git_scan_pack(path, NULL, &s, &err))
        abort();
    if (s)
        check(s);
    git_scan_free(s);
    close(fd);
    return 0;
}
