// SPDX-License-Identifier: Apache-2.0
//
// What a repository may say about its submodules.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/gitmodules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gitmodules m = {0};
    struct err err = {0};
    if (!gitmodules_read((const char *)data, size, &m, &err))
        err_clear(&err);
    for (size_t i = 0; i < m.v.len; i++) {
        static const char *const parents[] = {"https://h/a/b", "git@h:a", "/srv/r", "https://h"};
        const char *url = m.v.v[i].path ? gitmodules_url(&m, m.v.v[i].path) : NULL;
        for (size_t k = 0; url && k < ARRAY_LEN(parents); k++) {
            CLEANUP(str_freep) char *out = NULL;
            if (!gitmodules_resolve(parents[k], url, &out, &err))
                err_clear(&err);
        }
    }
    gitmodules_clear(&m);
    return 0;
}
