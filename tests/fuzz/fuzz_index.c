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

// Behind what out has, which it is bound to.
static void seal_box(const void *p, size_t len, struct buf *out)
{
    static const uint8_t zero[16];
    struct buf box = {0};
    uint8_t key[KEY_BYTES];
    hkdf_sha256(keys.k, KEY_BYTES, zero, sizeof(zero), "regrow/1 index", key);
    aead_seal(key, zero, out->p, out->len, p, len, &box);
    buf_append(out, zero, sizeof(zero));
    buf_append(out, box.p, box.len);
    buf_clear(&box);
}

// The line and the records behind it, in a box that opens. Of version 2 and 3 the records as they
// are, and compressed where they are whole; of version 3 the line in its frame, with the length of
// the box put in.
static void seal(const uint8_t *data, size_t line, size_t size, struct buf *out)
{
    static const char v3[] = "{\"type\":\"regrow index v3\",";
    struct buf packed = {0};
    struct buf full = {0};
    const uint8_t *box = data + line;
    size_t len = size - line;
    bool is_stream = line >= sizeof(v3) - 1 && !memcmp(data, v3, sizeof(v3) - 1);
    if (len && len % 24 == 0 && (is_stream || memmem(data, line, "index v2", 8))) {
        zstream_rows(box, len, &packed);
        box = (const uint8_t *)packed.p;
        len = packed.len;
    }
    if (is_stream) {
        buf_printf(&full, "%s\"box\":%zu,", v3, len + 32);
        buf_append(&full, data + sizeof(v3) - 1, line - (sizeof(v3) - 1));
        zstream_rows(full.p, full.len, out);
        zstream_skip_header(len + 32, out);
    } else {
        buf_append(out, data, line);
    }
    seal_box(box, len, out);
    buf_clear(&packed);
    buf_clear(&full);
}

static void again(const struct index *x)
{
    struct index y = {0};
    struct buf b = {0};
    struct sha256 name;
    struct err err = {0};
    struct index z = *x; // borrowed
    z.version = x->version == 3 ? 3 : 2;
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
