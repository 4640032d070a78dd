// SPDX-License-Identifier: Apache-2.0
//
// An entry as a signer who means harm may write it: the first byte says which kind, the rest is its
// JSON. What is taken is written again, and that is the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/entry.h"
#include "snapshot/members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct entry *e)
{
    struct signer signer;
    struct buf a = {0};
    struct buf b = {0};
    struct entry back = {0};
    struct signed_line line;
    enum entry_kind kind;
    struct sha256 hash;
    json_t *body = NULL;
    struct err err = {0};
    signer_from_seed((const uint8_t *)"0123456789abcdef0123456789abcdef", &signer);
    if (!entry_write(e, &signer, &a, &hash, &err) || !entry_split(a.p, a.len, &kind, &line, &err) ||
        kind != e->kind || !signed_by(&line, signer.public) || !signed_json(&line, &body, &err) ||
        !entry_parse(kind, body, &back, &err) || !entry_write(&back, &signer, &b, &hash, &err) ||
        a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
        abort();
    json_decref(body);
    entry_clear(&back);
    buf_clear(&a);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entry e = {0};
    struct err err = {0};
    json_t *body = NULL;
    if (size < 1 || size > ENTRY_MAX_BYTES / 4)
        return 0;
    if (bounded_json(data + 1, size - 1, &body, &err)) {
        if (entry_parse((enum entry_kind)(data[0] % 3), body, &e, &err))
            again(&e);
        else if (err.kind != ERR_CORRUPT || e.chain)
            abort();
    }
    json_decref(body);
    entry_clear(&e);
    err_clear(&err);
    return 0;
}
