// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a tar file, opened by zstd where it is compressed. Programs are never asked, the
// window has a bound, and so has what comes out of what goes in.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "snapshot/import_tar.h"

#define IN_BYTES (256U << 10)
#define OUT_BYTES (1U << 20)
#define WINDOW_LOG_MAX 27 // what zstd itself takes without being told: 128 MiB
#define EVENT_EVERY (8U << 20)

struct source {
    const struct tar_file *f;
    const struct tar_bounds *b;
    ZSTD_DStream *z; // NULL: it is not compressed
    char *in, *out;
    ZSTD_inBuffer from;
    bool is_between; // frames: the end is allowed here
    uint64_t size, read, given, told;
};

static bool fill(struct source *s, struct err *err)
{
    ssize_t n;
    do
        n = read(s->f->fd, s->in, IN_BYTES);
    while (n < 0 && errno == EINTR);
    int errnum = errno;
    if (n < 0)
        return err_set_errno(err, errnum, "read");
    if (s->f->loop && loop_stopping(s->f->loop))
        return err_set(err, ERR_CANCELLED, "interrupted while reading");
    s->from = (ZSTD_inBuffer){.src = s->in, .size = (size_t)n};
    s->read += (uint64_t)n;
    if (s->read - s->told >= EVENT_EVERY || !n) {
        s->told = s->read;
        event_emit(s->f->events, "import.read", "{s:I, s:I}", "bytes", (json_int_t)s->read, "of",
                   (json_int_t)s->size);
    }
    return true;
}

static bool check_expansion(const struct source *s, struct err *err)
{
    if (s->given <= s->b->expands_anyway || s->given / s->b->expands_times <= s->read)
        return true;
    return err_set(err, ERR_CORRUPT,
                   "it expands to more than %llu times its size: no export is like that",
                   (unsigned long long)s->b->expands_times);
}

static bool pull_plain(void *ctx, const void **p, size_t *len, struct err *err)
{
    struct source *s = ctx;
    if (!fill(s, err))
        return false;
    *p = s->in;
    *len = s->from.size;
    return true;
}

static bool pull_zstd(void *ctx, const void **p, size_t *len, struct err *err)
{
    struct source *s = ctx;
    ZSTD_outBuffer to = {.dst = s->out, .size = OUT_BYTES};
    while (!to.pos) {
        if (s->from.pos == s->from.size && !fill(s, err))
            return false;
        if (!s->from.size && s->is_between)
            break;
        size_t rc = ZSTD_decompressStream(s->z, &to, &s->from);
        if (ZSTD_isError(rc))
            return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(rc));
        s->is_between = rc == 0;
        if (!s->from.size && !to.pos && !s->is_between)
            return err_set(err, ERR_CORRUPT, "it is cut off after %llu bytes",
                           (unsigned long long)s->read);
    }
    *p = s->out;
    *len = to.pos;
    s->given += to.pos;
    return check_expansion(s, err);
}

static bool is_zstd(int fd)
{
    static const uint8_t magic[] = {0x28, 0xB5, 0x2F, 0xFD};
    uint8_t b[sizeof(magic)];
    return pread(fd, b, sizeof(b), 0) == (ssize_t)sizeof(b) && !memcmp(b, magic, sizeof(b));
}

static bool begin(struct source *s, struct err *err)
{
    struct stat st;
    if (fstat(s->f->fd, &st) != 0 || lseek(s->f->fd, 0, SEEK_SET) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "read");
    }
    s->size = (uint64_t)st.st_size;
    s->in = mem_alloc(IN_BYTES);
    if (!is_zstd(s->f->fd))
        return true;
    s->out = mem_alloc(OUT_BYTES);
    s->z = ZSTD_createDStream();
    if (!s->z || ZSTD_isError(ZSTD_DCtx_setParameter(s->z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return err_set(err, ERR_INTERNAL, "zstd does not work here");
    return true;
}

bool import_file_read(const struct tar_file *f, const struct tar_bounds *b,
                      const struct tar_sink *sink, struct err *err)
{
    struct source s = {.f = f, .b = b};
    bool ok = begin(&s, err) && import_tar_read(s.z ? pull_zstd : pull_plain, &s, b, sink, err);
    ZSTD_freeDStream(s.z);
    free(s.in);
    free(s.out);
    return ok;
}
