// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into a program, lets one of its calls on files below a folder go wrong; for tests of
// stores in folders (tests/lib/faults.sh builds it).
//
//   FAULTFS_UNDER=FOLDER   whose files count, but for those below its folder "probe": which of the
//                          racers there comes first is not always the same
//   FAULTFS_RULE="N KIND"  the Nth call:
//                            EIO ENOSPC EACCES EROFS EDQUOT   fails so, and nothing is done
//                            lost    is done, and fails with EIO all the same
//                            short   of a write half is done and told; the next one finds the disk
//                            full stale   the newest file of the folder that is opened is not
//                            listed kill    SIGKILL before it; killed: after it
//   FAULTFS_LOG=FILE       gets a line for each call that counts: number, call, path, fault or "-"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FD 1024
#define REAL(name) ((__typeof__(name) *)real(#name))

enum { FINE = 0, LOST = -1, SHORT = -2, STALE = -3, KILL_AFTER = -4 }; // > 0: an errno

static atomic_uint calls;
static atomic_bool is_full; // after a short write
static char *under[MAX_FD]; // paths of the descriptors that count
static bool writes[MAX_FD]; // nobody asks how the end of reading went
static DIR *stale_dir;
static char stale_name[NAME_MAX + 1];

static void *real(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f)
        abort();
    return f;
}

static bool is_under(const char *path)
{
    const char *folder = getenv("FAULTFS_UNDER");
    size_t n = folder ? strlen(folder) : 0;
    return n && !strncmp(path, folder, n) && (!path[n] || path[n] == '/') &&
           (getenv("FAULTFS_PROBES") || strncmp(path + n, "/probe", strlen("/probe")) != 0);
}

static void note(unsigned n, const char *call, const char *path, const char *fault)
{
    const char *file = getenv("FAULTFS_LOG");
    char line[PATH_MAX + 64];
    int len = snprintf(line, sizeof(line), "%u %s %s %s\n", n, call, path, fault);
    int fd = file ? REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    ssize_t written = REAL(write)(fd, line, (size_t)len);
    (void)written;
    REAL(close)(fd);
}

static int fault_named(const char *kind)
{
    static const struct {
        const char *name;
        int fault;
    } kinds[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EACCES", EACCES},
                 {"EROFS", EROFS}, {"EDQUOT", EDQUOT}, {"lost", LOST},
                 {"short", SHORT}, {"stale", STALE},   {"killed", KILL_AFTER}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strcmp(kinds[i].name, kind))
            return kinds[i].fault;
    return FINE;
}

// How this call goes.
static int judge(const char *call, const char *path)
{
    const char *rule = getenv("FAULTFS_RULE");
    char kind[16] = "";
    unsigned at = 0;
    if (!path || !is_under(path))
        return FINE;
    unsigned n = atomic_fetch_add(&calls, 1) + 1;
    bool hit = rule && sscanf(rule, "%u %15s", &at, kind) == 2 && at == n;
    note(n, call, path, hit ? kind : "-");
    if (hit && !strcmp(kind, "kill"))
        kill(getpid(), SIGKILL);
    return hit ? fault_named(kind) : FINE;
}

// What is told of a call that was done.
static int told(int rc, int fault)
{
    if (fault == KILL_AFTER)
        kill(getpid(), SIGKILL);
    if (rc < 0 || fault != LOST)
        return rc;
    errno = EIO;
    return -1;
}

// True: it fails, and is not done.
static bool fails(int fault)
{
    if (fault > 0)
        errno = fault;
    return fault > 0;
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < MAX_FD ? under[fd] : NULL;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;
    va_end(ap);
    int fault = judge(flags & O_CREAT ? "create" : "open", path);
    if (fails(fault))
        return -1;
    int fd = REAL(open)(path, flags, mode);
    if (fd >= 0 && fd < MAX_FD && is_under(path)) {
        under[fd] = strdup(path);
        writes[fd] = flags & O_CREAT;
    }
    return told(fd, fault);
}

int close(int fd)
{
    int fault = path_of(fd) && writes[fd] ? judge("close", path_of(fd)) : FINE;
    if (fd >= 0 && fd < MAX_FD) {
        free(under[fd]);
        under[fd] = NULL;
    }
    int rc = REAL(close)(fd); // whatever is told, it is closed
    return fails(fault) ? -1 : told(rc, fault);
}

ssize_t read(int fd, void *p, size_t n)
{
    int fault = judge("read", path_of(fd));
    if (fails(fault))
        return -1;
    return REAL(read)(fd, p, fault == SHORT && n > 1 ? n / 2 : n);
}

ssize_t write(int fd, const void *p, size_t n)
{
    int fault = judge("write", path_of(fd));
    if (path_of(fd) && atomic_load(&is_full))
        fault = ENOSPC;
    if (fails(fault))
        return -1;
    if (fault == SHORT)
        atomic_store(&is_full, true);
    ssize_t done = REAL(write)(fd, p, fault == SHORT ? n / 2 : n);
    return told(done < 0 ? -1 : 0, fault) < 0 ? -1 : done;
}

int fsync(int fd)
{
    int fault = judge("fsync", path_of(fd));
    return fails(fault) ? -1 : told(REAL(fsync)(fd), fault);
}

int mkdir(const char *path, mode_t mode)
{
    int fault = judge("mkdir", path);
    return fails(fault) ? -1 : told(REAL(mkdir)(path, mode), fault);
}

int unlink(const char *path)
{
    int fault = judge("unlink", path);
    return fails(fault) ? -1 : told(REAL(unlink)(path), fault);
}

int link(const char *from, const char *to)
{
    int fault = judge("link", to);
    return fails(fault) ? -1 : told(REAL(link)(from, to), fault);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int fault = judge("rename", to);
    return fails(fault) ? -1 : told(REAL(renameat2)(from_dir, from, to_dir, to, flags), fault);
}

// Remembers which file is the newest, of those with a name of ours.
static void find_newest(DIR *d)
{
    struct timespec newest = {0};
    for (struct dirent *e; (e = REAL(readdir)(d));) {
        struct stat st;
        if (*e->d_name == '.' || fstatat(dirfd(d), e->d_name, &st, 0) || !S_ISREG(st.st_mode))
            continue;
        if (st.st_mtim.tv_sec > newest.tv_sec ||
            (st.st_mtim.tv_sec == newest.tv_sec && st.st_mtim.tv_nsec >= newest.tv_nsec)) {
            newest = st.st_mtim;
            snprintf(stale_name, sizeof(stale_name), "%s", e->d_name);
        }
    }
    rewinddir(d);
    stale_dir = d;
}

DIR *opendir(const char *path)
{
    int fault = judge("list", path);
    if (fails(fault))
        return NULL;
    DIR *d = REAL(opendir)(path);
    if (d && fault == STALE)
        find_newest(d);
    if (told(0, fault) == 0)
        return d;
    if (d)
        closedir(d);
    errno = EIO;
    return NULL;
}

struct dirent *readdir(DIR *d)
{
    struct dirent *e = REAL(readdir)(d);
    if (e && d == stale_dir && !strcmp(e->d_name, stale_name))
        e = REAL(readdir)(d);
    return e;
}
