// SPDX-License-Identifier: Apache-2.0
//
// A folder's names, sizes and times as one number: whether anything was written in it, told without
// reading a file. ".git" is left out.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "source/folder.h"

#define MAX_FILES 200000
#define MAX_DEPTH 64
#define FRESH_S 2 // the clock of a file system ticks slowly

struct stamping {
    struct sha256_ctx *hash;
    time_t now;
    bool is_fresh;
    size_t files;
};

static bool stamp_dir(struct stamping *s, int fd, unsigned depth, struct err *err);

static int is_wanted(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
           strcmp(e->d_name, ".git") != 0;
}

static bool stamp_entry(struct stamping *s, int dir, const char *name, unsigned depth,
                        struct err *err)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        memset(&st, 0, sizeof(st)); // gone meanwhile: so it will be another stamp next time
    if (++s->files > MAX_FILES)
        return err_set(err, ERR_INVALID, "the folder holds more than %d files", MAX_FILES);
    const int64_t facts[] = {st.st_mode,         st.st_size,         (int64_t)st.st_ino,
                             st.st_mtim.tv_sec,  st.st_mtim.tv_nsec, st.st_ctim.tv_sec,
                             st.st_ctim.tv_nsec, (int64_t)depth};
    bool is_dir = S_ISDIR(st.st_mode);
    sha256_add(s->hash, name, strlen(name) + 1);
    // A folder's own times move when something is made in it that is not looked at.
    sha256_add(s->hash, facts, is_dir ? sizeof(facts[0]) : sizeof(facts));
    s->is_fresh |= !is_dir && st.st_ctim.tv_sec + FRESH_S > s->now;
    if (!is_dir)
        return true;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || stamp_dir(s, fd, depth + 1, err);
}

// Takes the descriptor.
static bool stamp_dir(struct stamping *s, int fd, unsigned depth, struct err *err)
{
    struct dirent **names = NULL;
    int dir CLEANUP(fd_closep) = fd;
    int n = depth > MAX_DEPTH ? 0 : scandirat(dir, ".", &names, is_wanted, alphasort);
    bool ok = n >= 0 || err_set(err, ERR_UNAVAILABLE, "a folder cannot be read");
    for (int i = 0; i < n; i++) {
        ok = ok && stamp_entry(s, dir, names[i]->d_name, depth, err);
        free(names[i]);
    }
    free(names);
    sha256_add(s->hash, "", 1); // its end
    return ok;
}

bool folder_stamped(const char *dir, struct folder_stamp *out, struct err *err)
{
    struct stamping s = {.hash = sha256_begin(), .now = time(NULL)};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 ? stamp_dir(&s, fd, 0, err)
                      : err_set(err, ERR_UNAVAILABLE, "folder %s cannot be read", dir);
    out->sum = sha256_end(s.hash);
    out->is_fresh = s.is_fresh;
    return ok;
}
