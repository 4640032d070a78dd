// SPDX-License-Identifier: Apache-2.0
//
// What an opened age file holds when it is taken for a pack.
#include <stdint.h>
#include <stdlib.h>

#include "snapshot/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pack p = {0};
    struct err err = {0};
    if (pack_parse(data, size, &p, &err)) {
        size_t sum = 0;
        for (size_t i = 0; i < p.entries.len; i++)
            sum += p.entries.v[i].len;
        if (sum != p.content.len || sum > BLOB_MAX_BYTES)
            abort();
    } else if (err.kind != ERR_CORRUPT || p.content.p || p.entries.v) {
        abort();
    }
    pack_clear(&p);
    err_clear(&err);
    return 0;
}
