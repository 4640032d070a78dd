// SPDX-License-Identifier: Apache-2.0
//
// The whole of a folder: hashed once, and what is made of that.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/folder_int.h"
#include "source/links.h"

#define MAX_BYTES (4ULL << 30) // of all files
#define MAX_SEEN 200000        // links may show the same files many times
#define MAX_LINKED 16
#define CHUNK (1U << 16)

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
        c->fd = folder_open(c->f, dir, O_PATH | O_DIRECTORY);
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
        return folder_cannot_open(x->path, err);
    if (!folder_is_file(fd, is_executable))
        return folder_changed(x->path, err);
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
    return sha256_eq(&sum, &x->sum) || folder_changed(x->path, err);
}

// ---- parts ----
// What has to be there for some paths to be read as they are: files, and all that links lead to.
struct marks {
    const struct folder *f;
    bool *on;
    VEC(size_t) todo; // links that were marked and are not followed yet
};

static void mark(struct marks *m, size_t i)
{
    if (m->on[i])
        return;
    m->on[i] = true;
    if (m->f->files.v[i].link)
        *vec_push(&m->todo) = i;
}

// Links on the way are part of it.
static bool read_and_mark(void *ctx, const char *path, bool *is_link, struct buf *text,
                          struct err *err)
{
    struct marks *m = ctx;
    const struct folder_file *x = folder_find(m->f, path);
    if (x && x->link)
        mark(m, (size_t)(x - m->f->files.v));
    return folder_read_noted((void *)m->f, path, is_link, text, err);
}

static void mark_path(struct marks *m, const char *path)
{
    const struct links l = {"folder", read_and_mark, m};
    CLEANUP(str_freep) char *at = NULL;
    struct err err = {0};
    size_t first;
    size_t end;
    if (!links_resolve(&l, path, &at, &err)) {
        err_clear(&err); // in a circle: whoever reads there finds out
        return;
    }
    const struct folder_file *x = *at ? folder_find(m->f, at) : NULL;
    if (x)
        mark(m, (size_t)(x - m->f->files.v));
    folder_range(m->f, at, &first, &end);
    for (size_t i = first; i < end; i++)
        mark(m, i);
}

static bool *mark_parts(const struct folder *f, const struct strv *parts)
{
    struct marks m = {.f = f, .on = mem_alloc(f->files.len + 1)};
    for (size_t i = 0; i < parts->len; i++)
        mark_path(&m, parts->v[i]);
    while (m.todo.len)
        mark_path(&m, f->files.v[m.todo.v[--m.todo.len]].path);
    vec_clear(&m.todo);
    return m.on;
}

static bool write_marked(const struct folder *f, const bool *on, const char *to, struct err *err)
{
    struct cursor c CLEANUP(cursor_clear) = {.f = f, .fd = -1, .chunk = mem_alloc(CHUNK)};
    CLEANUP(str_freep) char *made = NULL;
    bool ok = dir_make(to, 0700, err);
    for (size_t i = 0; ok && i < f->files.len; i++) {
        const struct folder_file *x = &f->files.v[i];
        if (!on[i])
            continue;
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

bool folder_write(const struct folder *f, const struct strv *parts, const char *to, struct err *err)
{
    bool *on = mark_parts(f, parts);
    bool ok = write_marked(f, on, to, err);
    free(on);
    return ok;
}

// ---- as a program sees it that follows links ----
struct seeing {
    const struct folder *f;
    folder_seen_fn fn;
    void *ctx;
    size_t seen;
    struct strv way; // the folders that lead here, by their own paths
};

static bool see(struct seeing *s, const char *shown, const char *dir, struct err *err);

static bool see_file(struct seeing *s, const char *shown, const struct folder_file *x,
                     struct err *err)
{
    if (++s->seen > MAX_SEEN)
        return err_set(err, ERR_INVALID, "%s: links show more than %d files", s->f->dir, MAX_SEEN);
    s->fn(s->ctx, shown, x);
    return true;
}

static bool see_link(struct seeing *s, const char *shown, const struct folder_file *x,
                     struct err *err)
{
    const struct links l = {"folder", folder_read_noted, (void *)s->f};
    CLEANUP(str_freep) char *at = NULL;
    struct err none = {0};
    if (!links_resolve(&l, x->path, &at, &none)) {
        err_clear(&none); // a circle leads nowhere
        return true;
    }
    const struct folder_file *target = *at ? folder_find(s->f, at) : NULL;
    return target ? see_file(s, shown, target, err) : see(s, shown, at, err);
}

// Is one of the folders on the way the same, or within it? Its files are being shown already.
static bool is_on_the_way(const struct seeing *s, const char *dir)
{
    size_t n = strlen(dir);
    for (size_t i = 0; i < s->way.len; i++)
        if (!n || (!strncmp(s->way.v[i], dir, n) && (!s->way.v[i][n] || s->way.v[i][n] == '/')))
            return true;
    return false;
}

static bool see(struct seeing *s, const char *shown, const char *dir, struct err *err)
{
    size_t skip = strlen(dir) + (*dir != 0);
    bool ok = true;
    size_t first;
    size_t end;
    if (s->way.len && is_on_the_way(s, dir))
        return true;
    if (s->way.len > MAX_LINKED)
        return err_set(err, ERR_INVALID, "%s: links to folders nested too deep", shown);
    folder_range(s->f, dir, &first, &end);
    for (size_t i = first; ok && i < end; i++) {
        const struct folder_file *x = &s->f->files.v[i];
        CLEANUP(str_freep) char *path = path_join(shown, x->path + skip);
        const char *slash = strrchr(x->path, '/');
        if (!x->link) {
            ok = see_file(s, path, x, err);
            continue;
        }
        strv_push_take(&s->way, str_ndup(x->path, slash ? (size_t)(slash - x->path) : 0));
        ok = see_link(s, path, x, err);
        free(s->way.v[--s->way.len]);
    }
    return ok;
}

bool folder_each(const struct folder *f, folder_seen_fn fn, void *ctx, struct err *err)
{
    struct seeing s = {.f = f, .fn = fn, .ctx = ctx};
    bool ok = see(&s, "", "", err);
    strv_clear(&s.way);
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
    folder_range(f, at, &first, &end);
    one = *at ? folder_find(f, at) : NULL;
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
