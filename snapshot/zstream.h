// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: the zstd streams of packs (docs/repository-format.md section 4). Frames that
// tell their content size, and one skippable frame at the end, which every zstd ignores. The frames
// are walked here, not by the library, so that all sizes are known and bounded before anything is
// allocated.
#ifndef SNAPSHOT_ZSTREAM_H
#define SNAPSHOT_ZSTREAM_H

#include "base/err.h"
#include "base/str.h"

#define ZSTREAM_SKIP_HEADER_BYTES 8

// Compresses frames one after the other with one context.
struct zstream_writer;
struct zstream_writer *zstream_writer_new(int level);
void zstream_writer_free(struct zstream_writer *w);
CLEANUP_FN(struct zstream_writer, zstream_writer_free, zstream_writer_freep);
// Appends one frame: content size, no checksum, no dictionary. len is at least 1.
void zstream_frame(struct zstream_writer *w, const void *p, size_t len, struct buf *out);
// Rows of fixed length, compressed: as many frames as it takes. Nothing for no rows.
void zstream_rows(const void *p, size_t len, struct buf *out);
// Appends the header of the skippable frame; its `len` bytes follow, and nothing after them.
void zstream_skip_header(size_t len, struct buf *out);

// Opens the frames that p begins with: content is appended to out, *used is how long they are.
// Anything off, more than max_content bytes of content, a window above 8 MiB: CORRUPT, with nothing
// allocated for it.
MUST_CHECK bool zstream_frames(const void *p, size_t len, size_t max_content, struct buf *out,
                               size_t *used, struct err *err);

struct zstream_tail { // of the skippable frame, inside the stream
    const uint8_t *p;
    size_t len;
};
// Opens a stream: those frames, and behind them the skippable one.
MUST_CHECK bool zstream_open(const void *p, size_t len, size_t max_content, struct buf *out,
                             struct zstream_tail *tail, struct err *err);

#endif
