// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: reading a tar that anybody may have made. Files only, each once, below one
// folder; nothing of it touches a disk here, and every size has a bound.
#ifndef SNAPSHOT_IMPORT_TAR_H
#define SNAPSHOT_IMPORT_TAR_H

#include "base/err.h"
#include "base/event.h"
#include "base/loop.h"
#include "base/str.h"

struct tar_bounds {
    uint64_t bytes; // of all files
    size_t files;
    size_t names; // bytes of them together
    // zstd alone: beyond so much, no more than so many times what was read.
    uint64_t expands_anyway, expands_times;
};
#define TAR_MAX_NAME 4096
#define TAR_BOUNDS                                                                                 \
    (struct tar_bounds)                                                                            \
    {                                                                                              \
        .bytes = 1ULL << 40, .files = 500000, .names = 64U << 20, .expands_anyway = 256U << 20,    \
        .expands_times = 1000                                                                      \
    }

// What becomes of a file: file, data as often as there is some, done. The name is the one below the
// folder, valid in the call. False ends all.
struct tar_sink {
    bool (*file)(void *ctx, const char *name, uint64_t size, struct err *err);
    bool (*data)(void *ctx, const void *p, size_t len, struct err *err);
    bool (*done)(void *ctx, struct err *err);
    void *ctx;
};
// Gives the next bytes, valid until it is called again; len 0 at the end.
typedef bool (*tar_pull_fn)(void *ctx, const void **p, size_t *len, struct err *err);

// No tar at all: INVALID. Cut, damaged, beyond a bound, a link, a name that leads elsewhere or
// stands twice: CORRUPT.
MUST_CHECK bool import_tar_read(tar_pull_fn pull, void *pull_ctx, const struct tar_bounds *b,
                                const struct tar_sink *sink, struct err *err);
// An open file from its beginning, compressed by zstd or not. Events: import.read, bytes of `of`.
struct tar_file {
    int fd;
    struct loop *loop; // or NULL
    const struct event_sink *events;
};
MUST_CHECK bool import_file_read(const struct tar_file *f, const struct tar_bounds *b,
                                 const struct tar_sink *sink, struct err *err);

#endif
