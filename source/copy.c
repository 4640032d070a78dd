// SPDX-License-Identifier: Apache-2.0
#include "source/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/vec.h"
#include "source/links.h"

// Links may show the same files many times.
#define MAX_FILES 200000
#define MAX_DEPTH 64
#define MAX_BYTES (4ULL << 30)
#define COPY_CHUNK (1U << 20)

struct place {
    dev_t dev;
    ino_t ino;
};

struct seeing {
    bool follows;
    const struct loop *stop;
    const char *top;
    size_t files;
    uint64_t bytes;
    VEC(struct place) way; // the folders that lead here
    const char *to;
};

static bool make_parent(const char *file, struct err *err)
{
    CLEANUP(str_freep) char *dir = str_ndup(file, (size_t)(strrchr(file, '/') - file));
    return dir_make(dir, 0700, err);
}

static bool copy_file(const char *dir, const char *path, const char *full, bool is_executable,
                      struct err *err)
{
    CLEANUP(str_freep) char *to = path_join(dir, path);
    if (!make_parent(to, err))
        return false;
    int a CLEANUP(fd_closep) = open(full, O_RDONLY | O_CLOEXEC);
    int b CLEANUP(fd_closep) = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                                    is_executable ? 0700 : 0600);
    ssize_t n = -1;
    while (a >= 0 && b >= 0 && (n = sendfile(b, a, NULL, COPY_CHUNK)) > 0)
        ;
    int errnum = errno;
    return n == 0 || err_set_errno(err, errnum, "copy %s", path);
}

static bool copy_link(const char *dir, const char *path, const char *full, struct err *err)
{
    CLEANUP(str_freep) char *to = path_join(dir, path);
    char text[LINK_MAX_BYTES + 1];
    if (!make_parent(to, err))
        return false;
    ssize_t n = readlink(full, text, LINK_MAX_BYTES);
    text[n > 0 ? n : 0] = 0;
    if (n > 0 && symlink(text, to) == 0)
        return true;
    int errnum = errno;
    return err_set_errno(err, errnum, "copy link %s", path);
}

static bool see(struct seeing *s, const char *path, const struct stat *dir, struct err *err);

static bool see_file(struct seeing *s, const char *path, const char *full, const struct stat *st,
                     struct err *err)
{
    s->bytes += (uint64_t)st->st_size;
    if (++s->files > MAX_FILES || s->bytes > MAX_BYTES)
        return err_set(err, ERR_INVALID,
                       "with all that links lead to it is more than %d files or %llu GiB",
                       MAX_FILES, MAX_BYTES >> 30);
    return copy_file(s->to, path, full, st->st_mode & 0100, err);
}

static bool see_entry(struct seeing *s, const char *path, struct err *err)
{
    CLEANUP(str_freep) char *full = path_join(s->top, path);
    struct stat st;
    if (lstat(full, &st) != 0)
        return true;
    if (S_ISLNK(st.st_mode) && !s->follows)
        return copy_link(s->to, path, full, err);
    if (S_ISLNK(st.st_mode) && stat(full, &st) != 0)
        return true; // it leads nowhere
    if (S_ISDIR(st.st_mode))
        return see(s, path, &st, err);
    return !S_ISREG(st.st_mode) || see_file(s, path, full, &st, err);
}

static bool is_on_the_way(const struct seeing *s, const struct stat *dir)
{
    for (size_t i = 0; i < s->way.len; i++)
        if (s->way.v[i].dev == dir->st_dev && s->way.v[i].ino == dir->st_ino)
            return true;
    return false;
}

static bool see(struct seeing *s, const char *path, const struct stat *dir, struct err *err)
{
    CLEANUP(str_freep) char *full = path_join(s->top, path);
    struct dirent **names = NULL;
    if (is_on_the_way(s, dir))
        return true;
    if (s->way.len > MAX_DEPTH)
        return err_set(err, ERR_INVALID, "%s: folders nested too deep", path);
    if (loop_stopping(s->stop))
        return loop_stopped(s->stop, err, "copying a folder");
    int n = scandir(full, &names, NULL, alphasort);
    int errnum = errno;
    bool ok = n >= 0 || err_set_errno(err, errnum, "read folder %s", full);
    *vec_push(&s->way) = (struct place){dir->st_dev, dir->st_ino};
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        CLEANUP(str_freep) char *sub = path_join(path, name);
        if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            ok = see_entry(s, sub, err);
        free(names[i]);
    }
    free(names);
    s->way.len--;
    return ok;
}

static bool see_all(struct seeing *s, struct err *err)
{
    struct stat st;
    int errnum = stat(s->top, &st) == 0 ? 0 : errno;
    bool ok = errnum
                  ? err_set_errno(err, errnum, "read folder %s", s->top)
                  : S_ISDIR(st.st_mode) || err_set(err, ERR_INVALID, "%s is not a folder", s->top);
    ok = ok && see(s, "", &st, err);
    vec_clear(&s->way);
    return ok;
}

static bool copy(const char *from, const char *to, bool follows, const struct loop *stop,
                 struct err *err)
{
    struct seeing s = {.follows = follows, .stop = stop, .top = from, .to = to};
    return see_all(&s, err);
}

bool folder_copy(const char *from, const char *to, const struct loop *stop, struct err *err)
{
    return copy(from, to, true, stop, err);
}

bool folder_clone(const char *from, const char *to, const struct loop *stop, struct err *err)
{
    return copy(from, to, false, stop, err);
}
