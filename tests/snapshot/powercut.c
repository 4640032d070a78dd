// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/powercut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

struct file { // content, shared by the names that lead to it
    char *bytes;
    size_t len, synced; // synced: so many bytes are on the disk
    int64_t mtime_ms;
};
struct name {
    char *path;
    struct file *file; // NULL: a folder
    bool is_synced;    // the folder that holds it was synced since
    bool is_gone;      // removed, and that was not synced yet
};
struct powercut {
    struct folder_fs fs;
    VEC(struct name) names;
    VEC(struct file *) files;
    uint64_t random;
    unsigned steps, cut_at, fail_at;
    int fail_errno;
    int64_t clock_ms;
    bool is_off;
};

static uint64_t random_of(struct powercut *p)
{
    p->random = p->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return p->random >> 33;
}

// Every step of every call: 0 to go on, or an errno.
static int step(struct powercut *p)
{
    if (p->is_off)
        return EIO;
    p->steps++;
    if (p->steps == p->cut_at) {
        p->is_off = true;
        return EIO;
    }
    return p->steps == p->fail_at ? p->fail_errno : 0;
}

static struct name *find(struct powercut *p, const char *path)
{
    for (size_t i = 0; i < p->names.len; i++)
        if (!p->names.v[i].is_gone && !strcmp(p->names.v[i].path, path))
            return &p->names.v[i];
    return NULL;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash != path ? str_ndup(path, (size_t)(slash - path)) : str_dup("/");
}

static bool has_parent(struct powercut *p, const char *path)
{
    char *parent = parent_of(path);
    bool ok = !strcmp(parent, "/") || find(p, parent);
    free(parent);
    return ok;
}

static struct name *add_name(struct powercut *p, const char *path, struct file *f)
{
    struct name *n = vec_push(&p->names);
    n->path = str_dup(path);
    n->file = f;
    return n;
}

static int write_new(void *ctx, const char *path, const void *bytes, size_t len)
{
    struct powercut *p = ctx;
    int rc = step(p);
    if (rc)
        return rc;
    if (!has_parent(p, path))
        return ENOENT;
    if (find(p, path))
        return EEXIST;
    struct file *f = mem_alloc(sizeof(*f));
    *vec_push(&p->files) = f;
    add_name(p, path, f);
    f->mtime_ms = p->clock_ms;
    f->bytes = mem_dup(len ? bytes : "", len);
    f->len = len / 2; // written in two pieces
    rc = step(p);
    if (rc)
        return rc;
    f->len = len;
    rc = step(p); // the sync
    if (rc)
        return rc;
    f->synced = len;
    return 0;
}

static int publish(void *ctx, const char *from, const char *to)
{
    struct powercut *p = ctx;
    int rc = step(p);
    struct name *n = rc ? NULL : find(p, from);
    if (rc || !n)
        return rc ? rc : ENOENT;
    if (find(p, to))
        return EEXIST;
    struct file *f = n->file;
    n->is_gone = true;
    add_name(p, to, f);
    return 0;
}

static int sync_dir(void *ctx, const char *dir)
{
    struct powercut *p = ctx;
    int rc = step(p);
    if (rc)
        return rc;
    for (size_t i = 0; i < p->names.len; i++) {
        char *parent = parent_of(p->names.v[i].path);
        if (!strcmp(parent, dir))
            p->names.v[i].is_synced = true;
        free(parent);
    }
    return 0;
}

static int make_dir(void *ctx, const char *dir)
{
    struct powercut *p = ctx;
    int rc = step(p);
    if (rc)
        return rc;
    if (find(p, dir))
        return EEXIST;
    if (!has_parent(p, dir))
        return ENOENT;
    add_name(p, dir, NULL);
    return 0;
}

static int read_file(void *ctx, const char *path, size_t max, struct buf *out)
{
    struct powercut *p = ctx;
    int rc = step(p);
    struct name *n = rc ? NULL : find(p, path);
    if (rc || !n)
        return rc ? rc : ENOENT;
    if (!n->file)
        return EISDIR;
    if (n->file->len > max)
        return EFBIG;
    buf_append(out, n->file->bytes, n->file->len);
    return 0;
}

static int list(void *ctx, const char *dir,
                void (*entry)(void *to, const char *name, bool is_dir, uint64_t size,
                              int64_t mtime_ms),
                void *to)
{
    struct powercut *p = ctx;
    int rc = step(p);
    if (rc)
        return rc;
    if (!find(p, dir))
        return ENOENT;
    for (size_t i = 0; i < p->names.len; i++) {
        const struct name *n = &p->names.v[i];
        char *parent = parent_of(n->path);
        if (!n->is_gone && !strcmp(parent, dir))
            entry(to, strrchr(n->path, '/') + 1, !n->file, n->file ? n->file->len : 0,
                  n->file ? n->file->mtime_ms : p->clock_ms);
        free(parent);
    }
    return 0;
}

static int unlink_file(void *ctx, const char *path)
{
    struct powercut *p = ctx;
    int rc = step(p);
    struct name *n = rc ? NULL : find(p, path);
    if (rc || !n)
        return rc ? rc : ENOENT;
    n->is_gone = true;
    n->is_synced = false;
    return 0;
}

struct powercut *powercut_new(uint64_t seed)
{
    struct powercut *p = mem_alloc(sizeof(*p));
    p->random = seed * 2654435761u + 1;
    p->clock_ms = 1767225600000;
    p->fs = (struct folder_fs){.ctx = p,
                               .write_new = write_new,
                               .publish = publish,
                               .sync_dir = sync_dir,
                               .make_dir = make_dir,
                               .read = read_file,
                               .list = list,
                               .unlink = unlink_file};
    return p;
}

void powercut_free(struct powercut *p)
{
    for (size_t i = 0; i < p->names.len; i++)
        free(p->names.v[i].path);
    for (size_t i = 0; i < p->files.len; i++) {
        free(p->files.v[i]->bytes);
        free(p->files.v[i]);
    }
    vec_clear(&p->names);
    vec_clear(&p->files);
    free(p);
}

const struct folder_fs *powercut_fs(struct powercut *p)
{
    return &p->fs;
}

void powercut_set_clock(struct powercut *p, int64_t unix_ms)
{
    p->clock_ms = unix_ms;
}

void powercut_at(struct powercut *p, unsigned n)
{
    p->steps = p->fail_at = 0;
    p->cut_at = n;
}

void powercut_fail(struct powercut *p, unsigned n, int errnum)
{
    p->steps = p->cut_at = 0;
    p->fail_at = n;
    p->fail_errno = errnum;
}

unsigned powercut_steps(const struct powercut *p)
{
    return p->steps;
}

bool powercut_is_off(const struct powercut *p)
{
    return p->is_off;
}

// A name that was never synced may be lost, and a removal that was not may be undone. Of content
// that was not synced any beginning may be there, or the right number of zeros.
void powercut_reboot(struct powercut *p)
{
    for (size_t i = 0; i < p->files.len; i++) {
        struct file *f = p->files.v[i];
        if (f->synced >= f->len)
            continue;
        size_t keep = f->synced + random_of(p) % (f->len - f->synced + 1);
        if (random_of(p) % 2)
            memset(f->bytes + keep, 0, f->len - keep);
        else
            f->len = keep;
        f->synced = f->len;
    }
    for (size_t i = 0; i < p->names.len; i++) {
        struct name *n = &p->names.v[i];
        if (n->is_synced)
            continue;
        if (random_of(p) % 2)
            n->is_gone = !n->is_gone;
    }
    // Two names for one path cannot be: the later one counts; and what lost its folder is lost.
    for (size_t i = 0; i < p->names.len; i++)
        for (size_t k = i + 1; k < p->names.len; k++)
            if (!p->names.v[i].is_gone && !p->names.v[k].is_gone &&
                !strcmp(p->names.v[i].path, p->names.v[k].path))
                p->names.v[i].is_gone = true;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < p->names.len; i++)
            if (!p->names.v[i].is_gone && !has_parent(p, p->names.v[i].path))
                p->names.v[i].is_gone = again = true;
    }
    for (size_t i = 0; i < p->names.len; i++)
        p->names.v[i].is_synced = true;
    p->is_off = false;
    p->steps = p->cut_at = p->fail_at = 0;
}
