// SPDX-License-Identifier: Apache-2.0
//
// What an API server, or something in its place, may answer: LISTs in any pieces, and statuses.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "kube/kube_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool item(void *ctx, const char *p, size_t len)
{
    struct err err = {0};
    json_t *doc = NULL;
    *(size_t *)ctx += len;
    if (canon_read(p, len, &doc, &err)) {
        struct buf b = {0};
        canon_write(doc, &b);
        buf_clear(&b);
    }
    json_decref(doc);
    err_clear(&err);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int codes[] = {200, 400, 401, 403, 404, 409, 422, 429, 500, 503};
    if (size < 2)
        return 0;
    size_t total = 0;
    struct splitter s = {.item = item, .ctx = &total};
    size_t piece = (size_t)data[0] % 61 + 1;
    for (size_t at = 2; at < size; at += piece)
        if (!split_feed(&s, (const char *)data + at, size - at < piece ? size - at : piece))
            break;
    split_clear(&s);
    struct buf body = {0};
    struct buf store = {0};
    buf_append(&body, data + 2, size - 2);
    if (!body.p)
        buf_append(&body, "", 0);
    struct kube_reply r = {.http = codes[data[1] % ARRAY_LEN(codes)],
                           .retry_after_ms = -1,
                           .body = body.p,
                           .body_len = body.len,
                           .reason = "",
                           .message = ""};
    struct asked asked = {"PATCH", r.body, r.body_len};
    classify(&r, &asked, data[1] & 64 ? "application/json" : "text/plain", &store);
    struct err err = {0};
    if (r.cls != KUBE_OK)
        kube_reply_err(&r, &err, "fuzz");
    err_clear(&err);
    buf_clear(&body);
    buf_clear(&store);
    return 0;
}
