// SPDX-License-Identifier: Apache-2.0
#include "source/gitcache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/gitrepo.h"

#define MAX_HAVE 8
#define MAX_HAVE_BYTES (1U << 20)
#define MAX_PACKS 50
#define LOCK_MS 60000

static char *path_of(const struct gitsrc *g, const char *name)
{
    return path_join(g->dir, name);
}

bool gitcache_lock(const struct gitsrc *g, int *fd, struct err *err)
{
    CLEANUP(str_freep) char *path = path_of(g, "lock");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int errnum = errno;
    if (*fd < 0)
        return err_set_errno(err, errnum, "open %s", path);
    for (int64_t end = clock_mono_ms() + LOCK_MS; flock(*fd, LOCK_EX | LOCK_NB) != 0;) {
        if (loop_stopping(g->c->loop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        if (clock_mono_ms() > end)
            return err_set(err, ERR_CONFLICT, "another process holds %s", path);
        usleep(10000);
    }
    return true;
}

bool gitcache_spool(const struct gitsrc *g, int *fd, struct err *err)
{
    CLEANUP(str_freep) char *path = path_of(g, "incoming-XXXXXX");
    if (!dir_make(g->dir, 0700, err))
        return false;
    *fd = mkostemp(path, O_CLOEXEC);
    int errnum = errno;
    if (*fd < 0)
        return err_set_errno(err, errnum, "make %s", path);
    unlink(path); // nothing stays behind, however this ends
    return true;
}

void gitcache_use(struct gitsrc *g)
{
    if (!g->dir || g->use_fd >= 0)
        return;
    CLEANUP(str_freep) char *path = path_of(g, "use");
    struct err err = {0};
    if (!dir_make(g->dir, 0700, &err)) {
        err_clear(&err); // whoever opens the repository says it
        return;
    }
    // Held exclusively for no longer than a folder takes to be renamed.
    g->use_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (g->use_fd >= 0 && flock(g->use_fd, LOCK_SH) != 0)
        fd_closep(&g->use_fd);
}

void gitcache_have(const struct gitsrc *g, git_repository *repo, struct strv *out)
{
    CLEANUP(str_freep) char *path = path_of(g, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv lines = {0};
    if (!file_exists(path) || !file_read(path, MAX_HAVE_BYTES, &b, &err)) {
        err_clear(&err);
        return;
    }
    strv_split(&lines, b.p ? b.p : "", '\n');
    for (size_t i = lines.len > MAX_HAVE + 1 ? lines.len - MAX_HAVE - 1 : 0; i < lines.len; i++)
        if (strlen(lines.v[i]) == 40 && gitrepo_has(repo, lines.v[i]))
            strv_push(out, lines.v[i]);
    strv_clear(&lines);
}

// Read again, since another commit may have been stored meanwhile.
void gitcache_note(const struct gitsrc *g, git_repository *repo, const char *id)
{
    CLEANUP(str_freep) char *path = path_of(g, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv have = {0};
    gitcache_have(g, repo, &have);
    for (size_t i = 0; i < have.len; i++)
        if (strcmp(have.v[i], id) != 0)
            buf_printf(&b, "%s\n", have.v[i]);
    buf_printf(&b, "%s\n", id);
    if (!file_replace(path, b.p, b.len, 0600, &err))
        err_clear(&err); // the next fetch is larger than need be
    strv_clear(&have);
}

// ---- made anew ----
void gitcache_mark_damaged(const struct gitsrc *g)
{
    CLEANUP(str_freep) char *mark = path_of(g, "damaged");
    struct err err = {0};
    if (!file_replace(mark, "", 0, 0600, &err))
        err_clear(&err); // then it is found again
}

bool gitcache_is_damaged(const struct gitsrc *g)
{
    CLEANUP(str_freep) char *mark = path_of(g, "damaged");
    return file_exists(mark);
}

bool gitcache_is_crowded(const struct gitsrc *g)
{
    CLEANUP(str_freep) char *dir = path_of(g, "tree/objects/pack");
    unsigned n = 0;
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        n += str_ends(e->d_name, ".pack");
    if (d)
        closedir(d);
    return n >= MAX_PACKS;
}

long long gitcache_generation(const struct gitsrc *g)
{
    CLEANUP(str_freep) char *path = path_of(g, "generation");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_exists(path) || !file_read(path, 64, &b, &err)) {
        err_clear(&err);
        return 0;
    }
    return strtoll(b.p ? b.p : "", NULL, 10);
}

static bool put_aside(const struct gitsrc *g, struct err *err)
{
    CLEANUP(str_freep) char *tree = path_of(g, "tree");
    CLEANUP(str_freep) char *old = path_of(g, "tree.old");
    CLEANUP(str_freep) char *mark = path_of(g, "damaged");
    CLEANUP(str_freep) char *path = path_of(g, "generation");
    CLEANUP(str_freep) char *next = str_printf("%lld\n", gitcache_generation(g) + 1);
    if (!dir_remove(old, err))
        return false;
    if (rename(tree, old) != 0 && errno != ENOENT) {
        int errnum = errno;
        return err_set_errno(err, errnum, "put %s aside", tree);
    }
    return file_replace(path, next, strlen(next), 0600, err) && dir_remove(old, err) &&
           dir_remove(mark, err);
}

bool gitcache_drop(struct gitsrc *g, long long generation, bool only_crowded, struct err *err)
{
    if (gitcache_generation(g) != generation)
        return true;
    // A damaged one is of no use to those who read it either.
    bool alone = g->use_fd >= 0 && flock(g->use_fd, LOCK_EX | LOCK_NB) == 0;
    bool ok = (only_crowded && !alone) || put_aside(g, err);
    if (g->use_fd >= 0 && flock(g->use_fd, LOCK_SH) != 0)
        fd_closep(&g->use_fd);
    return ok;
}
