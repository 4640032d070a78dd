// SPDX-License-Identifier: Apache-2.0
//
// The reader of tar files that anybody may have made: files alone, each once, below one folder,
// within bounds; compressed or not.
#include "snapshot/import_tar.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "tests/snapshot/tarkit.h"
#include "tests/test.h"

// ---- reading from memory, a few bytes at a time ----

struct source {
    const struct buf *b;
    size_t at, step;
};

static bool pull(void *ctx, const void **p, size_t *len, struct err *err)
{
    struct source *s = ctx;
    (void)err;
    size_t left = s->b->len - s->at;
    *len = left < s->step ? left : s->step;
    *p = s->b->p + s->at;
    s->at += *len;
    return true;
}

// "name=content;" of every file.
static bool on_file(void *ctx, const char *name, uint64_t size, struct err *err)
{
    (void)size;
    (void)err;
    buf_printf(ctx, "%s=", name);
    return true;
}

static bool on_data(void *ctx, const void *p, size_t len, struct err *err)
{
    (void)err;
    buf_append(ctx, p, len);
    return true;
}

static bool on_done(void *ctx, struct err *err)
{
    (void)err;
    buf_char(ctx, ';');
    return true;
}

static bool read_bytes(const struct buf *b, const struct tar_bounds *bounds, struct buf *out,
                       struct err *err)
{
    struct source s = {.b = b, .step = 700};
    const struct tar_sink sink = {on_file, on_data, on_done, out};
    return import_tar_read(pull, &s, bounds, &sink, err);
}

static void assert_refused(const struct tar_kit *t, const struct tar_bounds *bounds,
                           enum err_kind kind, const char *says)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    tar_kit_write(t, &b);
    assert_false(read_bytes(&b, bounds, &out, &err));
    if (!strstr(err.msg, says) || err.kind != kind)
        fail_msg("%s: %s, not %s", err_kind_name(err.kind), err.msg, says);
    err_clear(&err);
}

static const struct tar_bounds all = {
    .bytes = 1 << 20, .files = 100, .names = 10000, .expands_anyway = 1 << 20, .expands_times = 10};

static void plain(void **state)
{
    (void)state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *deep = mem_alloc(402);
    memset(deep, 'd', 400);
    CLEANUP(str_freep) char *name = str_printf("top/%s/x", deep);
    tar_kit_add(&t, "top/a", "first");
    tar_kit_add(&t, "top", "")->type = AE_IFDIR; // packed again by somebody
    tar_kit_add(&t, "top/empty", "");
    tar_kit_add(&t, name, "long");
    tar_kit_write(&t, &b);
    if (!read_bytes(&b, &all, &out, &err))
        fail_msg("%s", err.msg);
    CLEANUP(str_freep) char *want = str_printf("a=first;empty=;%s/x=long;", deep);
    assert_string_equal(out.p, want);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = {"/etc/passwd", "top/../x", "../x",     "top/./x",
                                      "top//x",      "nofolder", "./top/x",  "other/x",
                                      "top/a\nb",    "top/a\\b", "top/\x7f", "top/.."};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tar_kit t CLEANUP(tar_kit_clear) = {0};
        tar_kit_add(&t, "top/a", "first");
        tar_kit_add(&t, bad[i], "x");
        assert_refused(&t, &all, ERR_CORRUPT, "leads elsewhere");
    }
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    tar_kit_add(&t, "top/a", "first");
    tar_kit_add(&t, "top/a", "second");
    assert_refused(&t, &all, ERR_CORRUPT, "twice");
}

static void no_files(void **state)
{
    (void)state;
    static const unsigned types[] = {AE_IFLNK, AE_IFCHR, AE_IFBLK, AE_IFIFO};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct tar_kit t CLEANUP(tar_kit_clear) = {0};
        struct tar_member *m = tar_kit_add(&t, "top/a", "");
        m->type = types[i];
        m->link = types[i] == AE_IFLNK ? "/etc/passwd" : NULL;
        assert_refused(&t, &all, ERR_CORRUPT, "a link, a device");
    }
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct tar_member *m = tar_kit_add(&t, "top/a", "");
    m->link = "top/b";
    m->is_hard = true;
    assert_refused(&t, &all, ERR_CORRUPT, "a link, a device");
}

static void bounds(void **state)
{
    (void)state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    tar_kit_add(&t, "top/a", "first");
    tar_kit_add(&t, "top/b", "again");
    struct tar_bounds few = all;
    few.bytes = 9;
    assert_refused(&t, &few, ERR_CORRUPT, "more than may be");
    few = all;
    few.files = 1;
    assert_refused(&t, &few, ERR_CORRUPT, "more than 1 files");
    few = all;
    few.names = 9;
    assert_refused(&t, &few, ERR_CORRUPT, "names longer");
    // Exactly as much as may be.
    few = all;
    few.bytes = 10;
    few.files = 2;
    few.names = 10;
    tar_kit_write(&t, &b);
    assert_true(read_bytes(&b, &few, &out, &err));
    assert_string_equal(out.p, "a=first;b=again;");
}

// Cut anywhere it fails, or is what it was: in what fills up the last block.
static void cut(void **state)
{
    (void)state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    tar_kit_add(&t, "top/a", "first");
    tar_kit_add(&t, "top/b", "again");
    tar_kit_write(&t, &b);
    for (size_t n = 0; n < b.len; n += 37) {
        struct buf part = {.p = b.p, .len = n};
        struct buf out CLEANUP(buf_clear) = {0};
        struct err err = {0};
        bool ok = read_bytes(&part, &all, &out, &err);
        // At the end of a file it looks whole: SHA256SUMS tells.
        if (ok && strcmp(out.p, "a=first;") != 0 && strcmp(out.p, "a=first;b=again;") != 0)
            fail_msg("cut at %zu: %s", n, out.p);
        if (!ok)
            assert_true(err.kind == ERR_CORRUPT || (err.kind == ERR_INVALID && n < 512));
        err_clear(&err);
    }
}

static void no_tar(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "PK\003\004 a zip file", "#!/bin/sh\necho no tar\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct buf out CLEANUP(buf_clear) = {0};
        struct err err = {0};
        buf_str(&b, texts[i]);
        assert_false(read_bytes(&b, &all, &out, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
    }
}

// ---- files, compressed ----

static bool read_compressed(const struct buf *b, const struct tar_bounds *bounds, struct buf *out,
                            struct err *err)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    const struct tar_sink sink = {on_file, on_data, on_done, out};
    assert_true(dir_make_temp("test-import", &dir, err));
    CLEANUP(str_freep) char *path = path_join(dir, "x");
    assert_true(file_replace(path, b->p, b->len, 0600, err));
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    const struct tar_file f = {.fd = fd};
    return import_file_read(&f, bounds, &sink, err);
}

static void compress(const struct buf *in, int window_log, struct buf *out)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(z, ZSTD_c_enableLongDistanceMatching, window_log > 27);
    buf_reserve(out, ZSTD_compressBound(in->len));
    ZSTD_inBuffer from = {in->p, in->len, 0};
    ZSTD_outBuffer to = {out->p, out->cap, 0};
    size_t left;
    do // without its size known the window is as large as it was asked for
        left =
            ZSTD_compressStream2(z, &to, &from, from.pos < from.size ? ZSTD_e_flush : ZSTD_e_end);
    while (left || from.pos < from.size);
    ZSTD_compressStream2(z, &to, &from, ZSTD_e_end);
    out->len = to.pos;
    ZSTD_freeCCtx(z);
}

static void compressed(void **state)
{
    (void)state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf z CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    tar_kit_add(&t, "top/a", "first");
    tar_kit_write(&t, &b);
    compress(&b, 0, &z);
    if (!read_compressed(&z, &all, &out, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(out.p, "a=first;");
    for (size_t n = 5; n < 40; n++) { // of the frame's beginning, where its content is
        struct buf part = {.p = z.p, .len = n};
        buf_reset(&out);
        assert_false(read_compressed(&part, &all, &out, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
    }
}

static void expanding(void **state)
{
    (void)state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf z CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct tar_bounds large = all;
    large.bytes = 1 << 24;
    struct tar_member *m = tar_kit_add(&t, "top/zeros", "");
    buf_reserve(&m->bytes, 3 << 20);
    memset(m->bytes.p, 0, 3 << 20);
    m->bytes.len = 3 << 20;
    tar_kit_write(&t, &b);
    compress(&b, 0, &z);
    assert_false(read_compressed(&z, &large, &out, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "expands"));
    err_clear(&err);
    large.expands_times = 1 << 20;
    assert_true(read_compressed(&z, &large, &out, &err));
    // A window of 256 MiB would be allocated before anything is looked at.
    buf_clear(&z);
    compress(&b, 28, &z);
    assert_false(read_compressed(&z, &large, &out, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain),      cmocka_unit_test(names),
                                       cmocka_unit_test(no_files),   cmocka_unit_test(bounds),
                                       cmocka_unit_test(cut),        cmocka_unit_test(no_tar),
                                       cmocka_unit_test(compressed), cmocka_unit_test(expanding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
