// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/tarkit.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "tests/test.h"

void tar_kit_clear(struct tar_kit *t)
{
    for (size_t i = 0; i < t->v.len; i++) {
        free(t->v.v[i].name);
        buf_clear(&t->v.v[i].bytes);
    }
    vec_clear(&t->v);
}

struct tar_member *tar_kit_add(struct tar_kit *t, const char *name, const char *text)
{
    struct tar_member *m = vec_push(&t->v);
    m->name = str_dup(name);
    m->type = AE_IFREG;
    buf_str(&m->bytes, text);
    return m;
}

struct tar_member *tar_kit_find(struct tar_kit *t, const char *end)
{
    for (size_t i = 0; i < t->v.len; i++)
        if (str_ends(t->v.v[i].name, end))
            return &t->v.v[i];
    return NULL;
}

void tar_kit_drop(struct tar_kit *t, const char *end)
{
    struct tar_member *m = tar_kit_find(t, end);
    assert_non_null(m);
    free(m->name);
    buf_clear(&m->bytes);
    *m = t->v.v[--t->v.len];
}

void tar_kit_read(const char *file, struct tar_kit *out)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    char chunk[4096];
    la_ssize_t n;
    archive_read_support_format_tar(a);
    archive_read_support_filter_zstd(a);
    assert_int_equal(archive_read_open_filename(a, file, sizeof(chunk)), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        struct tar_member *m = tar_kit_add(out, archive_entry_pathname(e), "");
        while ((n = archive_read_data(a, chunk, sizeof(chunk))) > 0)
            buf_append(&m->bytes, chunk, (size_t)n);
    }
    archive_read_free(a);
    assert_true(out->v.len > 0);
}

static la_ssize_t put(struct archive *a, void *ctx, const void *p, size_t len)
{
    (void)a;
    buf_append(ctx, p, len);
    return (la_ssize_t)len;
}

void tar_kit_write(const struct tar_kit *t, struct buf *out)
{
    struct archive *a = archive_write_new();
    archive_write_set_format_gnutar(a);
    archive_write_set_bytes_per_block(a, 0);
    assert_int_equal(archive_write_open(a, out, NULL, put, NULL), ARCHIVE_OK);
    for (size_t i = 0; i < t->v.len; i++) {
        const struct tar_member *m = &t->v.v[i];
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, m->name);
        archive_entry_set_filetype(e, m->type);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)m->bytes.len);
        if (m->link && m->is_hard)
            archive_entry_set_hardlink(e, m->link);
        else if (m->link)
            archive_entry_set_symlink(e, m->link);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (m->bytes.len)
            archive_write_data(a, m->bytes.p, m->bytes.len);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

void tar_kit_save(const struct tar_kit *t, const char *file)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    tar_kit_write(t, &b);
    if (!file_replace(file, b.p, b.len, 0600, &err))
        fail_msg("%s", err.msg);
}

void tar_kit_sum(struct tar_kit *t)
{
    struct buf sums CLEANUP(buf_clear) = {0};
    if (tar_kit_find(t, "/SHA256SUMS.signed"))
        tar_kit_drop(t, "/SHA256SUMS.signed");
    for (size_t i = 0; i < t->v.len; i++) {
        const struct tar_member *m = &t->v.v[i];
        struct sha256 h = sha256_of(m->bytes.p ? m->bytes.p : "", m->bytes.len);
        CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
        if (!str_ends(m->name, "/SHA256SUMS"))
            buf_printf(&sums, "%s  %s\n", hex, strchr(m->name, '/') + 1);
    }
    struct tar_member *m = tar_kit_find(t, "/SHA256SUMS");
    assert_non_null(m);
    buf_reset(&m->bytes);
    buf_append(&m->bytes, sums.p, sums.len);
}
