// SPDX-License-Identifier: Apache-2.0
#include "source/folder_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitignore.h"
#include "source/links.h"

#define MAX_FILES 200000
#define MAX_DEPTH 64

struct folder *folder_new(const char *dir, const struct loop *stop)
{
    struct folder *f = mem_alloc(sizeof(*f));
    f->dir = str_dup(dir);
    f->stop = stop;
    return f;
}

static void file_clear(struct folder_file *x)
{
    free(x->path);
    free(x->link);
}

void folder_free(struct folder *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->files.len; i++)
        file_clear(&f->files.v[i]);
    vec_clear(&f->files);
    err_clear(&f->leaves);
    free(f->dir);
    free(f);
}

// ---- where a path leads ----
static bool read_live(void *ctx, const char *path, bool *is_link, struct buf *text, struct err *err)
{
    const struct folder *f = ctx;
    char target[LINK_MAX_BYTES];
    CLEANUP(str_freep) char *full = path_join(f->dir, path);
    ssize_t n = readlink(full, target, sizeof(target));
    (void)err; // what is no link, or not there, is told by whoever opens it
    *is_link = n >= 0;
    if (n > 0)
        buf_append(text, target, (size_t)n);
    return true;
}

bool folder_locate(const struct folder *f, const char *path, char **out, struct err *err)
{
    const struct links l = {"folder", read_live, (void *)f};
    CLEANUP(str_freep) char *at = NULL;
    if (!links_resolve(&l, path, &at, err))
        return false;
    CLEANUP(str_freep) char *full = path_join(f->dir, at);
    struct stat st;
    if (lstat(full, &st) != 0) {
        int errnum = errno;
        if (errnum == ENOENT || errnum == ENOTDIR)
            return err_set(err, ERR_NOT_FOUND, "path \"%s\" does not exist", path);
        return err_set_errno(err, errnum, "look at %s", full);
    }
    *out = TAKE(at);
    return true;
}

bool folder_changed(const char *path, struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, "%s was changed while it was read", path);
    return err_hint(err, "Run the same command again when nobody writes there.");
}

// Opens what was located: where there was no link there must be none now. -1 sets errno.
int folder_open(const struct folder *f, const char *path, int flags)
{
    int at = open(f->dir, *path ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags | O_CLOEXEC);
    for (const char *p = path; at >= 0 && *p;) {
        size_t n = strcspn(p, "/");
        CLEANUP(str_freep) char *name = str_ndup(p, n);
        int how = p[n] ? O_PATH | O_DIRECTORY : flags;
        int next = openat(at, name, how | O_NOFOLLOW | O_CLOEXEC);
        int errnum = errno;
        close(at);
        errno = errnum;
        at = next;
        p += n + (p[n] != 0);
    }
    return at;
}

bool folder_is_dir(const struct folder *f, const char *path)
{
    struct err err = {0};
    CLEANUP(str_freep) char *at = NULL;
    if (!folder_locate(f, path, &at, &err)) {
        err_clear(&err);
        return false;
    }
    int fd CLEANUP(fd_closep) = folder_open(f, at, O_PATH | O_DIRECTORY);
    return fd >= 0;
}

bool folder_cannot_open(const char *path, struct err *err)
{
    int errnum = errno;
    if (errnum == ELOOP || errnum == ENOTDIR || errnum == ENOENT)
        return folder_changed(path, err);
    return err_set_errno(err, errnum, "open %s", path);
}

bool folder_is_file(int fd, bool *is_executable)
{
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    *is_executable = ok && (st.st_mode & 0100);
    return ok;
}

bool folder_read(const struct folder *f, const char *path, size_t max_bytes, struct buf *out,
                 struct err *err)
{
    CLEANUP(str_freep) char *at = NULL;
    bool is_executable;
    if (!folder_locate(f, path, &at, err))
        return false;
    CLEANUP(str_freep) char *full = path_join(f->dir, path);
    // Without O_NONBLOCK a pipe would be waited for.
    int fd CLEANUP(fd_closep) = folder_open(f, at, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return folder_cannot_open(full, err);
    if (!folder_is_file(fd, &is_executable))
        return err_set(err, ERR_INVALID, "%s is not a file", full);
    return file_read_fd(fd, full, max_bytes, out, err);
}

// ---- names ----
// As a walk from folder to folder meets them: what is below "a" comes before "a-b".
static int cmp_path(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    unsigned x = !*a ? 0 : *a == '/' ? 1 : (unsigned char)*a + 1U;
    unsigned y = !*b ? 0 : *b == '/' ? 1 : (unsigned char)*b + 1U;
    return (x > y) - (x < y);
}

static int by_path(const void *a, const void *b)
{
    return cmp_path(((const struct folder_file *)a)->path, ((const struct folder_file *)b)->path);
}

struct scan {
    struct folder *f;
    bool recurse;
    VEC(struct folder_file) found;
};

static void scan_clear(struct scan *s)
{
    for (size_t i = 0; i < s->found.len; i++)
        file_clear(&s->found.v[i]);
    vec_clear(&s->found);
}

static bool scan_dir(struct scan *s, int fd, const char *rel, unsigned depth, struct err *err);

static bool scan_below(struct scan *s, int parent, const char *name, const char *path,
                       unsigned depth, struct err *err)
{
    if (depth >= MAX_DEPTH)
        return err_set(err, ERR_INVALID, "%s: folders nested too deep", path);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? scan_dir(s, fd, path, depth + 1, err) : folder_cannot_open(path, err);
}

static bool scan_entry(struct scan *s, int parent, const struct dirent *e, const char *rel,
                       unsigned depth, struct err *err)
{
    const char *name = e->d_name;
    unsigned type = e->d_type;
    struct stat st;
    if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, ".git"))
        return true;
    if (type == DT_UNKNOWN && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = IFTODT(st.st_mode);
    CLEANUP(str_freep) char *path = path_join(rel, name);
    if (type == DT_DIR)
        return !s->recurse || scan_below(s, parent, name, path, depth, err);
    if (type != DT_REG && type != DT_LNK)
        return true;
    if (s->found.len >= MAX_FILES)
        return err_set(err, ERR_INVALID, "%s holds more than %d files", s->f->dir, MAX_FILES);
    char target[LINK_MAX_BYTES];
    ssize_t n = type == DT_LNK ? readlinkat(parent, name, target, sizeof(target)) : -1;
    if (type == DT_LNK && n < 0)
        return folder_changed(path, err);
    struct folder_file *x = vec_push(&s->found);
    x->path = TAKE(path);
    x->link = n >= 0 ? str_ndup(target, (size_t)n) : NULL;
    return true;
}

// Takes the descriptor.
static bool scan_dir(struct scan *s, int fd, const char *rel, unsigned depth, struct err *err)
{
    DIR *d = fdopendir(fd);
    const struct dirent *e = NULL;
    bool ok = !loop_stopping(s->f->stop) || loop_stopped(s->f->stop, err, "reading a folder");
    if (!d)
        close(fd);
    if (ok && !d)
        ok = err_set(err, ERR_INTERNAL, "cannot read folder %s", rel);
    errno = 0;
    while (ok && (e = readdir(d)))
        ok = scan_entry(s, dirfd(d), e, rel, depth, err);
    int errnum = errno;
    if (ok && !e && errnum)
        ok = err_set_errno(err, errnum, "read folder %s", rel);
    if (d)
        closedir(d);
    return ok;
}

static bool scan(struct scan *s, const char *at, struct err *err)
{
    int fd = folder_open(s->f, at, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return folder_cannot_open(*at ? at : s->f->dir, err);
    bool ok = scan_dir(s, fd, at, 0, err);
    if (ok && s->found.len)
        qsort(s->found.v, s->found.len, sizeof(*s->found.v), by_path);
    return ok;
}

// The range of what lies below a folder.
void folder_range(const struct folder *f, const char *dir, size_t *first, size_t *end)
{
    *first = 0;
    *end = f->files.len;
    if (!*dir)
        return;
    CLEANUP(str_freep) char *prefix = str_printf("%s/", dir);
    size_t low = 0;
    for (size_t high = f->files.len; low < high;) {
        size_t mid = low + (high - low) / 2;
        if (cmp_path(f->files.v[mid].path, prefix) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *first = *end = low;
    while (*end < f->files.len && str_starts(f->files.v[*end].path, prefix))
        ++*end;
}

static void push(struct strv *out, const char *asked, const char *at, const char *path)
{
    strv_push_take(out, path_join(asked, path + strlen(at) + (*at != 0)));
}

bool folder_list(struct folder *f, const char *path, bool recurse, struct strv *out,
                 struct err *err)
{
    CLEANUP(str_freep) char *at = NULL;
    struct scan s CLEANUP(scan_clear) = {.f = f, .recurse = recurse};
    if (!folder_locate(f, path, &at, err))
        return false;
    int fd CLEANUP(fd_closep) = folder_open(f, at, O_PATH | O_DIRECTORY);
    if (fd < 0) {
        strv_push(out, path);
        return true;
    }
    bool is_whole = recurse && !*at; // then others will want it too
    if (is_whole && !folder_walk(f, err))
        return false;
    if (recurse && f->is_walked) {
        size_t first;
        size_t end;
        folder_range(f, at, &first, &end);
        for (size_t i = first; i < end; i++)
            push(out, path, at, f->files.v[i].path);
        return true;
    }
    if (!scan(&s, at, err))
        return false;
    for (size_t i = 0; i < s.found.len; i++)
        push(out, path, at, s.found.v[i].path);
    return true;
}

// ---- the whole ----
struct folder_file *folder_find(const struct folder *f, const char *path)
{
    struct folder_file key = {.path = (char *)path};
    return f->files.len ? bsearch(&key, f->files.v, f->files.len, sizeof(*f->files.v), by_path)
                        : NULL;
}

bool folder_read_noted(void *ctx, const char *path, bool *is_link, struct buf *text,
                       struct err *err)
{
    const struct folder_file *x = folder_find(ctx, path);
    (void)err;
    *is_link = x && x->link;
    if (*is_link)
        buf_str(text, x->link);
    return true;
}

// Links that lead out: what Git ignores is not in the tree, any other spoils it for whoever needs
// all of it.
static void check_links(struct folder *f)
{
    const struct links l = {"folder", folder_read_noted, f};
    struct gitignore *rules CLEANUP(gitignore_freep) = NULL;
    size_t kept = 0;
    bool *out = mem_alloc(f->files.len + 1);
    for (size_t i = 0; i < f->files.len; i++) {
        const struct folder_file *x = &f->files.v[i];
        struct err err = {0};
        if (!x->link || links_stay(&l, x->path, &err))
            continue;
        rules = rules ? rules : gitignore_new(f->dir);
        out[i] = gitignore_has(rules, x->path);
        if (!out[i] && !err_is_set(&f->leaves))
            err_move(&f->leaves, &err);
        err_clear(&err);
    }
    for (size_t i = 0; i < f->files.len; i++) {
        if (out[i])
            file_clear(&f->files.v[i]);
        else
            f->files.v[kept++] = f->files.v[i];
    }
    f->files.len = kept;
    free(out);
}

bool folder_walk(struct folder *f, struct err *err)
{
    struct scan s CLEANUP(scan_clear) = {.f = f, .recurse = true};
    if (f->is_walked)
        return true;
    if (!scan(&s, "", err))
        return false;
    f->files.v = s.found.v;
    f->files.len = s.found.len;
    f->files.cap = s.found.cap;
    s.found.v = NULL;
    s.found.len = s.found.cap = 0;
    check_links(f);
    f->is_walked = true;
    return true;
}
