// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/create.h"

#define PREFIX "run-"

// Under the parent's lock: between a folder and its lock nobody else looks.
static void sweep(const char *parent)
{
    DIR *d = opendir(parent);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        struct err err = {0};
        CLEANUP(str_freep) char *path = path_join(parent, e->d_name);
        int fd CLEANUP(fd_closep) =
            str_starts(e->d_name, PREFIX) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && !dir_remove(path, &err))
            err_clear(&err); // the next one tries again
    }
    if (d)
        closedir(d);
}

static bool failed(const char *what, const char *path, struct err *err)
{
    int errnum = errno;
    return err_set_errno(err, errnum, "%s %s", what, path);
}

bool workdir_make(const char *parent, struct workdir *out, struct err *err)
{
    *out = (struct workdir){.fd = -1};
    if (!dir_make(parent, 0700, err))
        return false;
    int lock CLEANUP(fd_closep) = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return failed("lock", parent, err);
    sweep(parent);
    CLEANUP(str_freep) char *path = path_join(parent, PREFIX "XXXXXX");
    if (!mkdtemp(path))
        return failed("make a folder in", parent, err);
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0 || flock(out->fd, LOCK_EX) != 0)
        return failed("lock", path, err);
    out->path = TAKE(path);
    return true;
}

void workdir_remove(struct workdir *w)
{
    struct err err = {0};
    if (w->path && !dir_remove(w->path, &err))
        err_clear(&err); // the next run sweeps
    free(w->path);
    if (w->path)
        fd_closep(&w->fd);
    *w = (struct workdir){.fd = -1};
}
