// SPDX-License-Identifier: Apache-2.0
//
// What a Git server may send: greetings, lists of refs, packs in bands, reports on a push.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/pushwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_pack(void *ctx, const char *p, size_t len, struct err *err)
{
    (void)p;
    (void)err;
    *(size_t *)ctx += len;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct git_greeting g;
    struct git_refs refs = {0};
    struct git_refs more = {0};
    struct err err = {0};
    size_t total = 0;
    if (size < 1)
        return 0;
    const char *p = (const char *)data + 1;
    size_t len = size - 1;
    if (!greeting_read(p, len, &g, &refs, &err))
        err_clear(&err);
    if (!ls_refs_read(p, len, &more, &err))
        err_clear(&err);
    git_refs_clear(&refs);
    git_refs_clear(&more);
    struct fetch_reader f = {.is_v2 = data[0] & 1, .on_pack = on_pack, .ctx = &total};
    size_t piece = (size_t)data[0] / 2 + 1;
    for (size_t at = 0; at < len; at += piece)
        if (!fetch_feed(&f, p + at, len - at < piece ? len - at : piece, &err))
            break;
    err_clear(&err);
    buf_clear(&f.pending);
    struct push_report r = {.has_bands = data[0] & 1};
    for (size_t at = 0; at < len; at += piece)
        if (!push_report_feed(&r, p + at, len - at < piece ? len - at : piece, &err))
            break;
    err_clear(&err);
    push_report_clear(&r);
    return 0;
}
