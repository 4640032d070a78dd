// SPDX-License-Identifier: Apache-2.0
//
// The real file system under a folder store.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/store_folder.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

// Whoever may enter the folder may read; what is in the files is sealed.
#define FILE_MODE 0640
#define DIR_MODE 0750

static int write_new(void *ctx, const char *path, const void *p, size_t len)
{
    (void)ctx;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return errno;
    const char *s = p;
    int rc = 0;
    while (len && rc == 0) {
        ssize_t n = write(fd, s, len);
        if (n < 0 && errno != EINTR)
            rc = errno;
        if (n > 0) {
            s += n;
            len -= (size_t)n;
        }
    }
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    return rc;
}

static int publish(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return errno;
    // A file system that cannot rename without replacing can still link.
    if (link(from, to) != 0)
        return errno;
    unlink(from);
    return 0;
}

static int sync_dir(void *ctx, const char *dir)
{
    (void)ctx;
    int fd CLEANUP(fd_closep) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    return fsync(fd) == 0 ? 0 : errno;
}

static int make_dir(void *ctx, const char *dir)
{
    (void)ctx;
    return mkdir(dir, DIR_MODE) == 0 ? 0 : errno;
}

static int read_file(void *ctx, const char *path, size_t max, struct buf *out)
{
    (void)ctx;
    struct stat st;
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe would wait
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_size > (off_t)max)
        return EFBIG;
    char chunk[65536];
    size_t total = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : 0;
        total += (size_t)n;
        if (total > max)
            return EFBIG;
        buf_append(out, chunk, (size_t)n);
    }
}

static int list(void *ctx, const char *dir,
                void (*entry)(void *to, const char *name, bool is_dir, uint64_t size,
                              int64_t mtime_ms),
                void *to)
{
    (void)ctx;
    DIR *d = opendir(dir);
    if (!d)
        return errno;
    int rc = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) {
            rc = errno;
            break;
        }
        struct stat st;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue; // deleted meanwhile
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            continue;
        entry(to, e->d_name, S_ISDIR(st.st_mode), (uint64_t)st.st_size,
              (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    }
    closedir(d);
    return rc;
}

static int remove_file(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) == 0 ? 0 : errno;
}

const struct folder_fs *folder_fs_real(void)
{
    static const struct folder_fs fs = {.write_new = write_new,
                                        .publish = publish,
                                        .sync_dir = sync_dir,
                                        .make_dir = make_dir,
                                        .read = read_file,
                                        .list = list,
                                        .unlink = remove_file};
    return &fs;
}
