// SPDX-License-Identifier: Apache-2.0
//
// A plan file as somebody who means harm may write it. Nearly nothing that is tried would have the
// right sum, so that it is set right first; what is taken is written again, and is the same plan.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/plan_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const json_t *doc)
{
    struct buf b = {0};
    struct err err = {0};
    json_t *back = NULL;
    CLEANUP(json_freep) json_t *changes = plan_file_changes(doc, doc);
    plan_file_write(doc, &b);
    if (!plan_file_read(b.p, b.len, &back, &err) || json_array_size(changes))
        abort();
    json_t *more = json_deep_copy(doc);
    json_array_clear(json_object_get(more, "objects"));
    CLEANUP(json_freep) json_t *gone = plan_file_changes(doc, more);
    CLEANUP(json_freep) json_t *new = plan_file_changes(more, doc);
    if (json_array_size(new) < json_array_size(gone))
        abort();
    json_decref(more);
    json_decref(back);
    buf_clear(&b);
}

static void try_bytes(const char *p, size_t len)
{
    json_t *doc = NULL;
    struct err err = {0};
    if (plan_file_read(p, len, &doc, &err))
        again(doc);
    else if (doc || (err.kind != ERR_INVALID && err.kind != ERR_CORRUPT))
        abort();
    json_decref(doc);
    err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char mark[] = "\"sum\":\"sha256:";
    struct buf b = {0};
    if (size > 1U << 20)
        return 0;
    buf_append(&b, data, size);
    try_bytes(b.p ? b.p : "", b.len);
    char *line = size ? memmem(b.p, b.len, mark, sizeof(mark) - 1) : NULL;
    if (line) {
        struct sha256 sum = sha256_of(b.p, (size_t)(line - b.p));
        CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
        b.len = (size_t)(line - b.p);
        buf_printf(&b, "%s%s\"}\n", mark, hex);
        try_bytes(b.p, b.len);
    }
    buf_clear(&b);
    return 0;
}
