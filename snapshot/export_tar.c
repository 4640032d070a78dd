// SPDX-License-Identifier: Apache-2.0
//
// A tar file that is the same bytes for the same content (fixed times and owners, one thread), and
// that has no name before it is whole: killed anywhere it leaves nothing.
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/export_int.h"

#define FILE_MODE 0600
#define ZSTD_LEVEL "9"
#define CHUNK (256U << 10)

struct export_tar {
    char *file, *top;
    char *temporary; // where files without a name cannot be made
    bool replace;
    int fd;
    int64_t mtime_unix_s;
    struct archive *a;
    struct sha256_ctx *hash; // of the file that is being written
    char *name;
    uint64_t left;
    struct buf sums;
};

static bool failed(struct export_tar *t, struct err *err)
{
    int errnum = archive_errno(t->a);
    const char *text = archive_error_string(t->a);
    return errnum > 0 ? err_set_errno(err, errnum, "write %s", t->file)
                      : err_set(err, ERR_INTERNAL, "write %s: %s", t->file, text ? text : "?");
}

static bool failed_errno(struct export_tar *t, int errnum, struct err *err)
{
    if (errnum == EEXIST)
        return err_set(err, ERR_CONFLICT, "%s is there already", t->file);
    return err_set_errno(err, errnum, "write %s", t->file);
}

static char *folder_of(const char *file)
{
    const char *base = path_base(file);
    return base == file ? str_dup(".") : str_ndup(file, (size_t)(base - file));
}

// ---- the file below ----

static bool open_file(struct export_tar *t, struct err *err)
{
    CLEANUP(str_freep) char *dir = folder_of(t->file);
    struct stat st;
    if (!t->replace && lstat(t->file, &st) == 0)
        return failed_errno(t, EEXIST, err);
    t->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    int errnum = errno;
    if (t->fd < 0 && (errnum == EOPNOTSUPP || errnum == EISDIR || errnum == EINVAL)) {
        t->temporary = str_printf("%s.XXXXXX", t->file);
        t->fd = mkostemp(t->temporary, O_CLOEXEC);
        errnum = errno;
        if (t->fd < 0)
            *t->temporary = 0;
    }
    return t->fd >= 0 || failed_errno(t, errnum, err);
}

static int sync_folder(const char *file)
{
    CLEANUP(str_freep) char *dir = folder_of(file);
    int fd CLEANUP(fd_closep) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : errno;
}

static bool give_name(struct export_tar *t, const char *name)
{
    CLEANUP(str_freep) char *self = str_printf("/proc/self/fd/%d", t->fd);
    if (!t->temporary)
        return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
    return link(t->temporary, name) == 0;
}

static bool publish(struct export_tar *t, struct err *err)
{
    bool ok = fsync(t->fd) == 0 && give_name(t, t->file);
    int errnum = errno;
    if (!ok && errnum == EEXIST && t->replace) {
        CLEANUP(str_freep) char *between = str_printf("%s.%ld.new", t->file, (long)getpid());
        (void)unlink(between); // of a run that was killed just here
        ok = give_name(t, between) && rename(between, t->file) == 0;
        errnum = errno;
    }
    if (!ok)
        return failed_errno(t, errnum, err);
    errnum = sync_folder(t->file);
    return errnum == 0 || failed_errno(t, errnum, err);
}

// ---- the archive ----

static bool open_archive(struct export_tar *t, bool zstd, struct err *err)
{
    t->a = archive_write_new();
    // Names are bytes in it, whatever the locale; every tar reads it.
    bool ok = archive_write_set_format_gnutar(t->a) == ARCHIVE_OK;
    if (ok && zstd)
        ok = archive_write_add_filter_zstd(t->a) == ARCHIVE_OK &&
             archive_write_set_filter_option(t->a, "zstd", "compression-level", ZSTD_LEVEL) ==
                 ARCHIVE_OK;
    ok = ok && archive_write_set_bytes_in_last_block(t->a, 1) == ARCHIVE_OK &&
         archive_write_open_fd(t->a, t->fd) == ARCHIVE_OK;
    return ok || failed(t, err);
}

bool export_tar_new(const char *file, const char *top, int64_t mtime_unix_s, bool replace,
                    struct export_tar **out, struct err *err)
{
    bool zstd = str_ends(file, ".tar.zst");
    if (!zstd && !str_ends(file, ".tar"))
        return err_set(err, ERR_USAGE, "%s: a name that ends in .tar or .tar.zst is wanted", file);
    struct export_tar *t CLEANUP(export_tar_freep) = mem_alloc(sizeof(*t));
    t->fd = -1;
    t->file = str_dup(file);
    t->top = str_dup(top);
    t->mtime_unix_s = mtime_unix_s;
    t->replace = replace;
    if (!open_file(t, err) || !open_archive(t, zstd, err))
        return false;
    *out = TAKE(t);
    return true;
}

void export_tar_free(struct export_tar *t)
{
    if (!t)
        return;
    if (t->a)
        archive_write_free(t->a);
    if (t->temporary && *t->temporary)
        (void)unlink(t->temporary);
    fd_closep(&t->fd);
    if (t->hash)
        (void)sha256_end(t->hash);
    buf_clear(&t->sums);
    free(t->temporary);
    free(t->name);
    free(t->file);
    free(t->top);
    free(t);
}

bool export_tar_begin(struct export_tar *t, const char *name, uint64_t size, bool executable,
                      struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(t->top, name);
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, executable ? 0755 : 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_mtime(e, (time_t)t->mtime_unix_s, 0);
    archive_entry_set_uid(e, 0);
    archive_entry_set_gid(e, 0);
    bool ok = archive_write_header(t->a, e) == ARCHIVE_OK;
    archive_entry_free(e);
    if (!ok)
        return failed(t, err) || err_wrap(err, "%s", name);
    str_set(&t->name, name);
    t->left = size;
    t->hash = sha256_begin();
    return true;
}

bool export_tar_data(struct export_tar *t, const void *p, size_t len, struct err *err)
{
    if (len > t->left)
        return err_set(err, ERR_CORRUPT, "%s is longer than was said", t->name);
    sha256_add(t->hash, p, len);
    t->left -= len;
    for (const char *at = p; len;) {
        la_ssize_t n = archive_write_data(t->a, at, len);
        if (n <= 0)
            return failed(t, err);
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool export_tar_done(struct export_tar *t, struct err *err)
{
    struct sha256 h = sha256_end(t->hash);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    t->hash = NULL;
    if (t->left)
        return err_set(err, ERR_CORRUPT, "%s is shorter than was said", t->name);
    buf_printf(&t->sums, "%s  %s\n", hex, t->name);
    return archive_write_finish_entry(t->a) == ARCHIVE_OK || failed(t, err);
}

bool export_tar_add(struct export_tar *t, const char *name, const void *p, size_t len,
                    struct err *err)
{
    return export_tar_begin(t, name, len, false, err) && export_tar_data(t, p, len, err) &&
           export_tar_done(t, err);
}

bool export_tar_file(struct export_tar *t, int fd, const char *name, struct err *err)
{
    struct stat st;
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    ssize_t n = -1;
    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "read back %s", name);
    }
    if (!export_tar_begin(t, name, (uint64_t)st.st_size, false, err))
        return false;
    while ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && !export_tar_data(t, chunk, (size_t)n, err))
            return false;
    int errnum = errno;
    return n < 0 ? err_set_errno(err, errnum, "read back %s", name) : export_tar_done(t, err);
}

const struct buf *export_tar_sums(const struct export_tar *t)
{
    return &t->sums;
}

bool export_tar_end(struct export_tar *t, uint64_t *bytes, struct err *err)
{
    struct stat st;
    if (archive_write_close(t->a) != ARCHIVE_OK)
        return failed(t, err);
    if (!publish(t, err))
        return false;
    *bytes = fstat(t->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return true;
}
