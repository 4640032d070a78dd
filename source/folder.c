// SPDX-License-Identifier: Apache-2.0
#include "source/folder.h"

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
#define MAX_BYTES (4ULL << 30) // of all files: what is copied to a disk of ours
#define CHUNK (1U << 16)

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

static bool has_changed(const char *path, struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, "%s was changed while it was read", path);
    return err_hint(err, "Run the same command again when nobody writes there.");
}

// Opens what was located: where there was no link there must be none now. -1 sets errno.
static int open_inside(const struct folder *f, const char *path, int flags)
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
    int fd CLEANUP(fd_closep) = open_inside(f, at, O_PATH | O_DIRECTORY);
    return fd >= 0;
}

static bool cannot_open(const char *path, struct err *err)
{
    int errnum = errno;
    if (errnum == ELOOP || errnum == ENOTDIR || errnum == ENOENT)
        return has_changed(path, err);
    return err_set_errno(err, errnum, "open %s", path);
}

static bool is_file(int fd, bool *is_executable)
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
    // Without O_NONBLOCK a pipe would be waited for.
    int fd CLEANUP(fd_closep) = open_inside(f, at, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return cannot_open(path, err);
    if (!is_file(fd, &is_executable))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    return file_read_fd(fd, path, max_bytes, out, err);
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
    return fd >= 0 ? scan_dir(s, fd, path, depth + 1, err) : cannot_open(path, err);
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
        return has_changed(path, err);
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
    int fd = open_inside(s->f, at, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return cannot_open(*at ? at : s->f->dir, err);
    bool ok = scan_dir(s, fd, at, 0, err);
    if (ok && s->found.len)
        qsort(s->found.v, s->found.len, sizeof(*s->found.v), by_path);
    return ok;
}

// The range of what lies below a folder.
static void range_of(const struct folder *f, const char *dir, size_t *first, size_t *end)
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
    int fd CLEANUP(fd_closep) = open_inside(f, at, O_PATH | O_DIRECTORY);
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
        range_of(f, at, &first, &end);
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
static struct folder_file *find(const struct folder *f, const char *path)
{
    struct folder_file key = {.path = (char *)path};
    return f->files.len ? bsearch(&key, f->files.v, f->files.len, sizeof(*f->files.v), by_path)
                        : NULL;
}

static bool read_noted(void *ctx, const char *path, bool *is_link, struct buf *text,
                       struct err *err)
{
    const struct folder_file *x = find(ctx, path);
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
    const struct links l = {"folder", read_noted, f};
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

// The folder that was looked into last stays open: files come in order.
struct cursor {
    const struct folder *f;
    char *dir;
    int fd;
    uint64_t total;
    char *chunk;
};

static void cursor_clear(struct cursor *c)
{
    fd_closep(&c->fd);
    free(c->dir);
    free(c->chunk);
}

static int cursor_open(struct cursor *c, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep) char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup("");
    if (!c->dir || strcmp(c->dir, dir) != 0) {
        fd_closep(&c->fd);
        c->fd = open_inside(c->f, dir, O_PATH | O_DIRECTORY);
        free(c->dir);
        c->dir = c->fd >= 0 ? TAKE(dir) : NULL;
    }
    if (c->fd < 0)
        return -1;
    return openat(c->fd, slash ? slash + 1 : path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (fd >= 0 && len) {
        ssize_t n = write(fd, p, len);
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

// Reads a file to its end, and writes it to `to` (-1: nowhere).
static bool read_file(struct cursor *c, const struct folder_file *x, int to, bool *is_executable,
                      struct sha256 *sum, struct err *err)
{
    int fd CLEANUP(fd_closep) = cursor_open(c, x->path);
    if (fd < 0)
        return cannot_open(x->path, err);
    if (!is_file(fd, is_executable))
        return has_changed(x->path, err);
    struct sha256_ctx *h = sha256_begin();
    bool ok = true;
    ssize_t n = 0;
    while (ok && (n = read(fd, c->chunk, CHUNK)) > 0) {
        c->total += (uint64_t)n;
        sha256_add(h, c->chunk, (size_t)n);
        if (loop_stopping(c->f->stop))
            ok = loop_stopped(c->f->stop, err, "reading a folder");
        else if (c->total > MAX_BYTES)
            ok = err_set(err, ERR_INVALID, "%s is larger than 4 GiB", c->f->dir);
        else if (!write_all(to, c->chunk, (size_t)n))
            ok = err_set_errno(err, errno, "copy %s", x->path);
    }
    int errnum = errno;
    *sum = sha256_end(h);
    return ok && (n == 0 || err_set_errno(err, errnum, "read %s", x->path));
}

bool folder_hash(struct folder *f, struct err *err)
{
    struct cursor c CLEANUP(cursor_clear) = {.f = f, .fd = -1, .chunk = mem_alloc(CHUNK)};
    bool ok = true;
    if (err_is_set(&f->leaves)) {
        err_copy(err, &f->leaves);
        return false;
    }
    for (size_t i = 0; ok && !f->is_hashed && i < f->files.len; i++) {
        struct folder_file *x = &f->files.v[i];
        ok = x->link || read_file(&c, x, -1, &x->is_executable, &x->sum, err);
    }
    f->is_hashed |= ok;
    return ok;
}

static bool write_one(struct cursor *c, const struct folder_file *x, const char *to,
                      struct err *err)
{
    struct sha256 sum;
    bool is_executable = false;
    if (x->link && symlink(x->link, to) == 0)
        return true;
    int fd CLEANUP(fd_closep) =
        x->link ? -1
                : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, x->is_executable ? 0700 : 0600);
    int errnum = errno;
    if (fd < 0)
        return err_set_errno(err, errnum, "write %s", to);
    if (!read_file(c, x, fd, &is_executable, &sum, err))
        return false;
    return sha256_eq(&sum, &x->sum) || has_changed(x->path, err);
}

bool folder_write(struct folder *f, const char *to, struct err *err)
{
    struct cursor c CLEANUP(cursor_clear) = {.f = f, .fd = -1, .chunk = mem_alloc(CHUNK)};
    CLEANUP(str_freep) char *made = NULL;
    bool ok = folder_hash(f, err);
    for (size_t i = 0; ok && i < f->files.len; i++) {
        const struct folder_file *x = &f->files.v[i];
        CLEANUP(str_freep) char *path = path_join(to, x->path);
        CLEANUP(str_freep) char *dir = str_ndup(path, (size_t)(strrchr(path, '/') - path));
        if (!made || strcmp(made, dir) != 0) {
            ok = dir_make(dir, 0700, err);
            str_set(&made, dir);
        }
        ok = ok && write_one(&c, x, path, err);
    }
    return ok;
}

bool folder_id(const struct folder *f, const char *path, char **out, struct err *err)
{
    CLEANUP(str_freep) char *at = NULL;
    const struct folder_file *one;
    size_t first;
    size_t end;
    if (!folder_locate(f, path, &at, err))
        return false;
    range_of(f, at, &first, &end);
    one = *at ? find(f, at) : NULL;
    if (one) {
        first = (size_t)(one - f->files.v);
        end = first + 1;
    }
    struct sha256_ctx *h = sha256_begin();
    for (size_t i = first; i < end; i++) {
        const struct folder_file *x = &f->files.v[i];
        sha256_add_str(h, x->path + (one ? 0 : strlen(at) + (*at != 0)));
        sha256_add_str(h, x->link ? "link" : x->is_executable ? "program" : "file");
        if (x->link)
            sha256_add_str(h, x->link);
        else
            sha256_add(h, x->sum.b, sizeof(x->sum.b));
    }
    struct sha256 sum = sha256_end(h);
    *out = hex_encode(sum.b, sizeof(sum.b));
    return true;
}
