// SPDX-License-Identifier: Apache-2.0
//
// An index file: the clear line as anyone may write it, the records as a hostile writer may who has
// the chain's key. What is taken is written again and read again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/index.h"
#include "snapshot/zstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t repo[16] = "0123456789abcde";
static const struct chain_keys keys = {.k = "key"};

static void check(bool ok, struct err *err)
{
    if (!ok && err->kind != ERR_CORRUPT)
        abort();
    err_clear(err);
}

// The line and the records behind it, in a box that opens; of version 2 as they are, and compressed
// where they are whole.
static void seal(const uint8_t *data, size_t line, size_t size, struct buf *out)
{
    struct buf packed = {0};
    static const uint8_t zero[16];
    uint8_t key[KEY_BYTES];
    hkdf_sha256(keys.k, KEY_BYTES, zero, sizeof(zero), "regrow/1 index", key);
    buf_append(out, data, line);
    buf_append(out, zero, sizeof(zero));
    const uint8_t *box = data + line;
    size_t len = size - line;
    if (len && len % 24 == 0 && memmem(data, line, "index v2", 8)) {
        zstream_rows(box, len, &packed);
        box = (const uint8_t *)packed.p;
        len = packed.len;
    }
    aead_seal(key, zero, data, line, box, len, out);
    buf_clear(&packed);
}

static void again(const struct index *x)
{
    struct index y = {0};
    struct buf b = {0};
    struct sha256 name;
    struct err err = {0};
    struct index z = *x; // borrowed
    z.may_zstd_rows = true;
    if (!index_write(&z, &keys, &b, &name, &err) ||
        !index_read(b.p, b.len, repo, "c", &keys, &y, &err) || y.records.len != x->records.len ||
        y.packs.len != x->packs.len)
        abort();
    index_clear(&y);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct index x = {0};
    struct err err = {0};
    struct buf sealed = {0};
    check(index_read_clear(data, size, repo, "c", &x, &err), &err);
    index_clear(&x);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    if (!end)
        return 0;
    seal(data, (size_t)(end + 1 - data), size, &sealed);
    bool ok = index_read(sealed.p, sealed.len, repo, "c", &keys, &x, &err);
    if (ok)
        again(&x);
    check(ok, &err);
    index_clear(&x);
    buf_clear(&sealed);
    return 0;
}
