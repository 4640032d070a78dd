// SPDX-License-Identifier: Apache-2.0
//
// Temporary folders. Each is locked by the process that made it, so that after a kill, which leaves
// them with all that is in them, whoever comes next knows that nobody needs them.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/vec.h"

#define MAX_TRIES 10
#define MADE_LETTERS 6 // of mkdtemp
#define MADE_MODE 0700

struct held {
    char *path;
    int fd;
};

// The locks of this process: they end with it, not with whoever happens to hold a folder.
static struct {
    pthread_mutex_t mutex;
    VEC(struct held) v;
} locks = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *temp_folder(void)
{
    const char *base = getenv("TMPDIR");
    return str_is_empty(base) ? "/tmp" : base;
}

static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void hold(const char *path, int fd)
{
    pthread_mutex_lock(&locks.mutex);
    *vec_push(&locks.v) = (struct held){str_dup(path), fd};
    pthread_mutex_unlock(&locks.mutex);
}

static void let_go(const char *path)
{
    pthread_mutex_lock(&locks.mutex);
    for (size_t i = 0; i < locks.v.len; i++) {
        struct held *h = &locks.v.v[i];
        if (strcmp(h->path, path) != 0)
            continue;
        close(h->fd);
        free(h->path);
        *h = locks.v.v[--locks.v.len];
        break;
    }
    if (!locks.v.len)
        vec_clear(&locks.v);
    pthread_mutex_unlock(&locks.mutex);
}

// False when somebody who sweeps was faster. Where there are no locks nobody sweeps either.
static bool lock_new(const char *path)
{
    int fd = open_folder(path);
    struct stat st;
    if (fd < 0)
        return errno != ENOENT;
    if ((flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) || stat(path, &st) != 0) {
        close(fd);
        return false;
    }
    hold(path, fd);
    return true;
}

bool dir_make_temp(const char *prefix, char **out, struct err *err)
{
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        CLEANUP(str_freep) char *p = str_printf("%s/%s.XXXXXX", temp_folder(), prefix);
        if (!mkdtemp(p)) {
            int errnum = errno;
            return err_set_errno(err, errnum, "make folder %s", p);
        }
        if (!lock_new(p))
            continue;
        *out = TAKE(p);
        return true;
    }
    return err_set(err, ERR_CONFLICT, "make a folder in %s: each is removed at once",
                   temp_folder());
}

void dir_temp_cleanup(char **path)
{
    struct err err = {0};
    if (!*path)
        return;
    if (!dir_remove(*path, &err))
        err_clear(&err); // left behind under the temporary folder; the next run sweeps
    let_go(*path);
    str_freep(path);
}

static void sweep_one(const char *path)
{
    int fd CLEANUP(fd_closep) = open_folder(path);
    struct err err = {0};
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid() ||
        (st.st_mode & 07777) != MADE_MODE)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && !dir_remove(path, &err))
        err_clear(&err); // the next one tries again
}

// As mkdtemp names them: what a person has called so is no business of ours.
static bool is_ours(const char *name, const char *const *prefixes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (; *prefixes; prefixes++) {
        size_t n = strlen(*prefixes);
        if (!strncmp(name, *prefixes, n) && name[n] == '.' &&
            strspn(name + n + 1, letters) == MADE_LETTERS && !name[n + 1 + MADE_LETTERS])
            return true;
    }
    return false;
}

void dir_temp_sweep(const char *const *prefixes)
{
    DIR *d = opendir(temp_folder());
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        CLEANUP(str_freep) char *path = path_join(temp_folder(), e->d_name);
        if (is_ours(e->d_name, prefixes))
            sweep_one(path);
    }
    if (d)
        closedir(d);
}
