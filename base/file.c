// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"

#define MAX_DEPTH 500 // of folders to remove; each level holds a descriptor

void fd_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool too_large(const char *name, size_t max_bytes, struct err *err)
{
    if (max_bytes < 1U << 20)
        return err_set(err, ERR_INVALID, "%s is larger than %zu bytes", name, max_bytes);
    return err_set(err, ERR_INVALID, "%s is larger than %zu MiB", name, max_bytes >> 20);
}

bool file_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out, struct err *err)
{
    char chunk[65536];
    size_t total = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        int errnum = errno;
        if (n < 0 && errnum == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, errnum, "read %s", name);
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > max_bytes)
            return too_large(name, max_bytes, err);
        buf_append(out, chunk, (size_t)n);
    }
    if (!out->p)
        buf_append(out, "", 0);
    return true;
}

bool file_read(const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    int errnum = errno;
    if (fd < 0)
        return err_set_errno(err, errnum, "open %s", path);
    return file_read_fd(fd, path, max_bytes, out, err);
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_write_fd(int fd, const char *name, const void *p, size_t len, struct err *err)
{
    bool ok = write_all(fd, p, len);
    int errnum = errno;
    return ok || err_set_errno(err, errnum, "write %s", name);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return str_dup(".");
    return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

static bool sync_folder(const char *path, struct err *err)
{
    CLEANUP(str_freep) char *dir = folder_of(path);
    int fd CLEANUP(fd_closep) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "sync %s", dir);
    }
    return true;
}

static bool has_bytes(const char *path, const void *p, size_t len)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err ignored = {0};
    bool same =
        file_read(path, len, &b, &ignored) && b.len == len && (!len || !memcmp(b.p, p, len));
    err_clear(&ignored); // not there, or longer
    return same;
}

// keep: of others that put the same bytes there meanwhile the first one stays. Where a file system
// knows no links the last one does.
static bool put_in_place(const char *tmp, const char *path, const void *p, size_t len, bool keep)
{
    if (keep && (link(tmp, path) == 0 || (errno == EEXIST && has_bytes(path, p, len))))
        return unlink(tmp) == 0;
    return rename(tmp, path) == 0;
}

static bool write_whole(const char *path, const void *p, size_t len, mode_t mode, bool keep,
                        struct err *err)
{
    CLEANUP(str_freep) char *tmp = str_printf("%s.XXXXXX", path);
    int fd CLEANUP(fd_closep) = mkostemp(tmp, O_CLOEXEC);
    int errnum = errno;
    if (fd < 0)
        return err_set_errno(err, errnum, "create %s", tmp);
    if (fchmod(fd, mode) != 0 || !write_all(fd, p, len) || fsync(fd) != 0 ||
        !put_in_place(tmp, path, p, len, keep)) {
        errnum = errno;
        unlink(tmp);
        return err_set_errno(err, errnum, "write %s", path);
    }
    return sync_folder(path, err);
}

bool file_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
    return write_whole(path, p, len, mode, false, err);
}

bool file_keep(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
    return has_bytes(path, p, len) || write_whole(path, p, len, mode, true, err);
}

bool file_put(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
    unlink(path); // it may be a link to what is not ours
    int fd CLEANUP(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int errnum = errno;
    if (fd < 0)
        return err_set_errno(err, errnum, "create %s", path);
    return file_write_fd(fd, path, p, len, err);
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool dir_make(const char *path, mode_t mode, struct err *err)
{
    if (!*path)
        return err_set(err, ERR_INVALID, "a folder without a name");
    CLEANUP(str_freep) char *p = str_dup(path);
    for (char *s = p + 1;; s++) {
        if (*s != '/' && *s)
            continue;
        char saved = *s;
        *s = 0;
        if (mkdir(p, mode) != 0 && errno != EEXIST) {
            int errnum = errno;
            return err_set_errno(err, errnum, "make folder %s", p);
        }
        *s = saved;
        if (!saved)
            break;
    }
    if (!file_is_dir(path))
        return err_set(err, ERR_INVALID, "%s is not a folder", path);
    return true;
}

static bool remove_at(int parent, const char *name, unsigned depth);

static bool remove_children(int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return false;
    }
    struct dirent *e;
    bool ok = true;
    while (ok && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ok = remove_at(dirfd(d), e->d_name, depth + 1);
    closedir(d);
    return ok;
}

static bool remove_at(int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if ((errno != EISDIR && errno != EPERM) || depth > MAX_DEPTH)
        return false;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    fchmod(fd, 0700); // of a tree that was unpacked read-only; if refused, the next call says why
    if (!remove_children(fd, depth))
        return false;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

bool dir_remove(const char *path, struct err *err)
{
    if (remove_at(AT_FDCWD, path, 0))
        return true;
    int errnum = errno;
    return err_set_errno(err, errnum, "remove %s", path);
}

char *path_join(const char *a, const char *b)
{
    if (str_is_empty(a) || *b == '/')
        return str_dup(b);
    if (str_is_empty(b))
        return str_dup(a);
    return str_printf("%s%s%s", a, str_ends(a, "/") ? "" : "/", b);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Takes the last part off a path of n bytes; how many are left.
static size_t without_last(const char *path, size_t n)
{
    while (n && path[n - 1] != '/')
        n--;
    return n ? n - 1 : 0;
}

bool path_clean(const char *path, char **out)
{
    CLEANUP(str_freep) char *clean = mem_alloc(strlen(path) + 1); // it never grows
    size_t n = 0;
    bool ok = *path != '/';
    while (ok && *path) {
        size_t len = strcspn(path, "/");
        bool is_up = len == 2 && !memcmp(path, "..", 2);
        ok = !is_up || n;
        if (is_up) {
            n = without_last(clean, n);
        } else if (len && !(len == 1 && *path == '.')) {
            if (n)
                clean[n++] = '/';
            memcpy(clean + n, path, len);
            n += len;
        }
        path += len + (path[len] == '/');
    }
    clean[n] = 0;
    if (ok)
        *out = TAKE(clean);
    return ok;
}
