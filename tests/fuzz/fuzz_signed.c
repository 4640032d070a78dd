// SPDX-License-Identifier: Apache-2.0
//
// A signed line that is taken apart is, put together again, the same bytes. A body that parses can
// be signed, and is then believed.
#include <stdlib.h>
#include <string.h>

#include "snapshot/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES (1U << 20)
#define TYPE "trust"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void put_together(const struct signed_line *l, struct buf *out)
{
    buf_append(out, l->body, l->body_len);
    for (size_t i = 0; i < l->n_sigs; i++) {
        buf_printf(out, "%s ", l->sigs[i].key.hex);
        buf_base64(out, l->sigs[i].sig, SIG_BYTES);
        buf_char(out, '\n');
    }
}

static void sign_and_believe(const json_t *body)
{
    const uint8_t seed[KEY_BYTES] = {1};
    struct signer s;
    struct signed_line l;
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    json_auto_t *copy = json_deep_copy(body);
    json_auto_t *back = NULL;
    json_object_del(copy, "type");
    if (!json_object_size(copy))
        return;
    signer_from_seed(seed, &s);
    signed_write(TYPE, copy, &s, 1, &b);
    must(signed_split(b.p, b.len, b.len, TYPE, &l, &err) && signed_by(&l, s.public));
    if (signed_json(&l, &back, &err)) {
        json_object_del(back, "type");
        must(json_equal(copy, back));
    }
    err_clear(&err); // escapes may have made a string longer than its bound
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signed_line l;
    struct err err = {0};
    struct buf again CLEANUP(buf_clear) = {0};
    const uint8_t stranger[KEY_BYTES] = {2};
    if (signed_split(data, size, MAX_BYTES, TYPE, &l, &err)) {
        put_together(&l, &again);
        must(again.len == size && !memcmp(again.p, data, size));
        must(!signed_by(&l, stranger));
    } else {
        must(err.kind == ERR_CORRUPT);
        err_clear(&err);
        // The body alone, as if its signature had held.
        l = (struct signed_line){.body = (const char *)data, .body_len = size};
    }
    json_auto_t *body = NULL;
    if (signed_json(&l, &body, &err) && json_is_object(body))
        sign_and_believe(body);
    err_clear(&err);
    return 0;
}
