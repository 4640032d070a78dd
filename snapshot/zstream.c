// SPDX-License-Identifier: Apache-2.0
#include "snapshot/zstream.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

#define FRAME_MAGIC 0xFD2FB528U
#define SKIP_MAGIC 0x184D2A50U // bytes 50 2A 4D 18
#define WINDOW_LOG_MAX 23      // no content is larger
#define WINDOW_MAX_BYTES (1U << WINDOW_LOG_MAX)
#define BLOCK_MAX_BYTES (128U << 10)
#define BLOCK_HEADER_BYTES 3
#define ROWS_SMALL_BYTES (1U << 20) // above it the best level takes seconds

struct zstream_writer {
    ZSTD_CCtx *ctx;
};

static uint64_t little_endian(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = bytes; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

// ---- writing ----

static void set(ZSTD_CCtx *ctx, ZSTD_cParameter p, int value)
{
    size_t r = ZSTD_CCtx_setParameter(ctx, p, value);
    assert(!ZSTD_isError(r));
    (void)r;
}

struct zstream_writer *zstream_writer_new(int level)
{
    struct zstream_writer *w = mem_alloc(sizeof(*w));
    w->ctx = ZSTD_createCCtx();
    if (!w->ctx)
        abort(); // no memory, as everywhere
    set(w->ctx, ZSTD_c_compressionLevel, level);
    set(w->ctx, ZSTD_c_contentSizeFlag, 1);
    set(w->ctx, ZSTD_c_checksumFlag, 0);
    set(w->ctx, ZSTD_c_dictIDFlag, 0);
    return w;
}

void zstream_writer_free(struct zstream_writer *w)
{
    if (!w)
        return;
    ZSTD_freeCCtx(w->ctx);
    free(w);
}

void zstream_frame(struct zstream_writer *w, const void *p, size_t len, struct buf *out)
{
    assert(len > 0);
    size_t bound = ZSTD_compressBound(len);
    buf_reserve(out, bound);
    size_t n = ZSTD_compress2(w->ctx, out->p + out->len, bound, p, len);
    assert(!ZSTD_isError(n)); // the room suffices; what is left is no memory
    out->len += n;
    out->p[out->len] = '\0';
}

void zstream_rows(const void *p, size_t len, struct buf *out)
{
    CLEANUP(zstream_writer_freep)
    struct zstream_writer *w = zstream_writer_new(len <= ROWS_SMALL_BYTES ? 19 : 9);
    for (size_t at = 0; at < len; at += WINDOW_MAX_BYTES)
        zstream_frame(w, (const char *)p + at,
                      len - at < WINDOW_MAX_BYTES ? len - at : WINDOW_MAX_BYTES, out);
}

void zstream_skip_header(size_t len, struct buf *out)
{
    assert(len <= UINT32_MAX);
    for (unsigned i = 0; i < 4; i++)
        buf_char(out, (char)(SKIP_MAGIC >> 8 * i));
    for (unsigned i = 0; i < 4; i++)
        buf_char(out, (char)(len >> 8 * i));
}

// ---- reading ----

struct frame {
    size_t stored, content; // bytes
};

// RFC 8878 section 3.1.1.1: the header of a frame; *header is its length.
static bool read_header(const uint8_t *p, size_t len, size_t *header, struct frame *f,
                        struct err *err)
{
    static const uint8_t size_bytes[4] = {0, 2, 4, 8};
    uint8_t flags = p[4];
    bool is_single = flags >> 5 & 1;
    unsigned n = flags >> 6 ? size_bytes[flags >> 6] : is_single;
    *header = 5U + !is_single + n;
    if (flags & 0x0B)
        return err_set(err, ERR_CORRUPT, "zstd frame with %s",
                       flags & 8 ? "a reserved bit" : "a dictionary");
    if (flags & 0x04)
        return err_set(err, ERR_CORRUPT, "zstd frame with a checksum");
    if (n == 0)
        return err_set(err, ERR_CORRUPT, "zstd frame without its content size");
    if (len < *header)
        return err_set(err, ERR_CORRUPT, "zstd frame cut off");
    uint64_t content = little_endian(p + *header - n, n) + (n == 2 ? 256 : 0);
    uint64_t window = content;
    if (!is_single) {
        uint64_t base = 1ULL << (10 + (p[5] >> 3));
        window = base + base / 8 * (p[5] & 7);
    }
    if (content == 0)
        return err_set(err, ERR_CORRUPT, "empty zstd frame");
    if (content > WINDOW_MAX_BYTES || window > WINDOW_MAX_BYTES)
        return err_set(err, ERR_CORRUPT, "zstd frame larger than %u bytes", WINDOW_MAX_BYTES);
    f->content = (size_t)content;
    return true;
}

// The stored length of a frame: its header and its blocks to the last one.
static bool read_frame(const uint8_t *p, size_t len, struct frame *f, struct err *err)
{
    size_t at;
    if (!read_header(p, len, &at, f, err))
        return false;
    for (bool is_last = false; !is_last;) {
        if (len - at < BLOCK_HEADER_BYTES)
            return err_set(err, ERR_CORRUPT, "zstd frame cut off");
        uint32_t block = (uint32_t)little_endian(p + at, BLOCK_HEADER_BYTES);
        uint32_t type = block >> 1 & 3;
        size_t size = type == 1 ? 1 : block >> 3; // a run stores one byte
        if (type == 3 || block >> 3 > BLOCK_MAX_BYTES)
            return err_set(err, ERR_CORRUPT, "damaged zstd frame");
        at += BLOCK_HEADER_BYTES;
        if (len - at < size)
            return err_set(err, ERR_CORRUPT, "zstd frame cut off");
        at += size;
        is_last = block & 1;
    }
    f->stored = at;
    return true;
}

// Walks all frames: *content and *frames_len are what they hold and how long they are.
static bool measure(const uint8_t *p, size_t len, size_t max_content, size_t *content,
                    size_t *frames_len, struct err *err)
{
    size_t at = 0;
    size_t sum = 0;
    while (len - at >= ZSTREAM_SKIP_HEADER_BYTES && little_endian(p + at, 4) == FRAME_MAGIC) {
        struct frame f;
        if (!read_frame(p + at, len - at, &f, err))
            return false;
        if (f.content > max_content - sum)
            return err_set(err, ERR_CORRUPT, "more than %zu bytes of content", max_content);
        sum += f.content;
        at += f.stored;
    }
    if (sum == 0)
        return err_set(err, ERR_CORRUPT, "not a zstd stream");
    *content = sum;
    *frames_len = at;
    return true;
}

static bool read_tail(const uint8_t *p, size_t len, struct zstream_tail *tail, struct err *err)
{
    if (len < ZSTREAM_SKIP_HEADER_BYTES || little_endian(p, 4) != SKIP_MAGIC)
        return err_set(err, ERR_CORRUPT, "no table behind the content");
    tail->p = p + ZSTREAM_SKIP_HEADER_BYTES;
    tail->len = len - ZSTREAM_SKIP_HEADER_BYTES;
    if (little_endian(p + 4, 4) != tail->len)
        return err_set(err, ERR_CORRUPT, "the table is not the rest of the pack");
    return true;
}

static bool decompress(const uint8_t *p, size_t frames_len, uint8_t *out, size_t content,
                       struct err *err)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (!ctx)
        abort();
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    bool ok = true;
    size_t done = 0;
    for (size_t at = 0; ok && at < frames_len;) {
        struct frame f;
        ok = read_frame(p + at, frames_len - at, &f, err);
        if (!ok)
            break;
        size_t n = ZSTD_decompressDCtx(ctx, out + done, f.content, p + at, f.stored);
        if (ZSTD_isError(n) || n != f.content)
            ok = err_set(err, ERR_CORRUPT, "damaged zstd frame");
        done += f.content;
        at += f.stored;
    }
    ZSTD_freeDCtx(ctx);
    assert(!ok || done == content);
    return ok;
}

bool zstream_frames(const void *p, size_t len, size_t max_content, struct buf *out, size_t *used,
                    struct err *err)
{
    size_t content = 0;
    if (!measure(p, len, max_content, &content, used, err))
        return false;
    buf_reserve(out, content);
    if (!decompress(p, *used, (uint8_t *)out->p + out->len, content, err))
        return false;
    out->len += content;
    out->p[out->len] = '\0';
    return true;
}

bool zstream_open(const void *p, size_t len, size_t max_content, struct buf *out,
                  struct zstream_tail *tail, struct err *err)
{
    size_t used = 0;
    size_t content = 0;
    // What is behind is looked at before anything is allocated.
    return measure(p, len, max_content, &content, &used, err) &&
           read_tail((const uint8_t *)p + used, len - used, tail, err) &&
           zstream_frames(p, used, max_content, out, &used, err);
}
