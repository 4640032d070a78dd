// SPDX-License-Identifier: Apache-2.0
#include "snapshot/store_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "snapshot/crypto.h"

#define TEMP_PREFIX ".tmp-" // no name of the format begins with a dot
#define MAX_LIST 2000000    // names; a chain holds at most 100,000 entries and their packs

struct folder_store {
    struct store base;
    char *dir;
    const struct folder_fs *fs;
    struct strv ready; // folders that are there and durable
};

static char *full_path(const struct folder_store *f, const char *name)
{
    return path_join(f->dir, name);
}

static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? str_dup(".") : slash == path ? str_dup("/") : str_ndup(path, slash - path);
}

// Makes what is missing above the repository's own folder.
static int make_above(const struct folder_store *f, const char *dir)
{
    CLEANUP(str_freep) char *parent = dir_of(dir);
    int rc = f->fs->make_dir(f->fs->ctx, dir);
    if (rc == ENOENT && strcmp(parent, dir) != 0) {
        rc = make_above(f, parent);
        if (rc == 0)
            rc = f->fs->make_dir(f->fs->ctx, dir);
    }
    return rc == EEXIST ? 0 : rc;
}

// Makes a folder and sees to it, once in this store's life, that its name is durable, and that of
// each folder above it: a run that died may have made one and not synced its parent.
static int ready_dir(struct folder_store *f, const char *dir)
{
    if (strv_has(&f->ready, dir))
        return 0;
    bool is_root = !strcmp(dir, f->dir);
    CLEANUP(str_freep) char *parent = dir_of(dir);
    int rc = is_root ? make_above(f, parent) : ready_dir(f, parent);
    if (rc == 0)
        rc = f->fs->make_dir(f->fs->ctx, dir);
    if (rc != 0 && rc != EEXIST)
        return rc;
    bool was_there = rc == EEXIST;
    rc = f->fs->sync_dir(f->fs->ctx, parent);
    if (rc == EACCES && is_root && was_there)
        rc = 0; // a parent that is not ours to read
    if (rc == 0)
        strv_push(&f->ready, dir);
    return rc;
}

static char *temp_name(const char *dir)
{
    uint8_t r[12];
    crypto_random(r, sizeof(r));
    CLEANUP(str_freep) char *hex = hex_encode(r, sizeof(r));
    return str_printf("%s/" TEMP_PREFIX "%s", dir, hex);
}

// Was it our own bytes that an unclear link left there?
static bool is_same_content(const struct folder_store *f, const char *path, const void *p,
                            size_t len)
{
    struct buf b CLEANUP(buf_clear) = {0};
    return f->fs->read(f->fs->ctx, path, len, &b) == 0 && b.len == len && !memcmp(b.p, p, len);
}

static bool folder_create(struct store *s, const char *name, const void *p, size_t len,
                          const struct strv *needs, bool *made, struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    CLEANUP(str_freep) char *path = full_path(f, name);
    CLEANUP(str_freep) char *dir = dir_of(path);
    CLEANUP(str_freep) char *tmp = temp_name(dir);
    (void)needs;
    int rc = ready_dir(f, dir);
    if (rc == 0)
        rc = f->fs->write_new(f->fs->ctx, tmp, p, len);
    bool unclear = false;
    if (rc == 0) {
        rc = f->fs->publish(f->fs->ctx, tmp, path);
        // A network file system may have linked and lost the answer.
        unclear = rc != 0 && rc != EEXIST && is_same_content(f, path, p, len);
    }
    if (rc != 0)
        f->fs->unlink(f->fs->ctx, tmp); // best effort: the pruner takes what is left
    *made = rc == 0 || unclear;
    if (!*made && rc != EEXIST)
        return err_set_errno(err, rc, "write");
    // Of a name that was there already too: whoever made it may have died before this.
    rc = f->fs->sync_dir(f->fs->ctx, dir);
    return rc == 0 || err_set_errno(err, rc, "sync the folder");
}

static bool folder_get(struct store *s, const char *name, size_t max_bytes, struct buf *out,
                       bool *found, struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    CLEANUP(str_freep) char *path = full_path(f, name);
    int rc = f->fs->read(f->fs->ctx, path, max_bytes, out);
    *found = rc == 0;
    if (rc == 0 || rc == ENOENT)
        return true;
    if (rc == EFBIG)
        return err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    if (rc == EINVAL || rc == EISDIR) // a folder, a pipe: put there by somebody
        return err_set(err, ERR_CORRUPT, "%s is no file", name);
    return err_set_errno(err, rc, "read");
}

struct listing {
    struct strv dirs; // still to be listed; names below the root, "" first
    struct store_items *out;
    const char *dir; // of the folder being listed
};

static void on_entry(void *to, const char *name, bool is_dir, uint64_t size, int64_t mtime_ms)
{
    struct listing *l = to;
    if (*name == '.')
        return; // a temporary, or nothing of ours
    CLEANUP(str_freep) char *full = path_join(l->dir, name);
    if (is_dir) {
        strv_push(&l->dirs, full);
    } else if (l->out->v.len < MAX_LIST) {
        struct store_item *i = vec_push(&l->out->v);
        *i = (struct store_item){.name = TAKE(full), .size = size, .stored_at_ms = mtime_ms};
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static bool folder_list(struct store *s, const char *prefix, struct store_items *out,
                        struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    struct listing l = {.out = out};
    const char *slash = strrchr(prefix, '/');
    strv_push_take(&l.dirs, slash ? str_ndup(prefix, (size_t)(slash - prefix)) : str_dup(""));
    int rc = 0;
    while (l.dirs.len && rc == 0) {
        CLEANUP(str_freep) char *dir = l.dirs.v[--l.dirs.len];
        CLEANUP(str_freep) char *path = path_join(f->dir, dir);
        l.dir = dir;
        rc = f->fs->list(f->fs->ctx, path, on_entry, &l);
        if (rc == ENOENT || rc == ENOTDIR)
            rc = 0; // nothing below it (yet, or any more)
    }
    strv_clear(&l.dirs);
    if (rc != 0)
        return err_set_errno(err, rc, "list");
    if (out->v.len >= MAX_LIST)
        return err_set(err, ERR_INVALID, "more than %d files", MAX_LIST);
    size_t kept = 0;
    for (size_t i = 0; i < out->v.len; i++) {
        if (str_starts(out->v.v[i].name, prefix))
            out->v.v[kept++] = out->v.v[i];
        else
            free(out->v.v[i].name);
    }
    out->v.len = kept;
    if (kept)
        qsort(out->v.v, kept, sizeof(*out->v.v), by_name);
    return true;
}

// The first file below a folder, with the folders that are still to be looked into.
struct looking {
    struct strv dirs; // paths below the root, "" first
    const char *dir;
    char *found;
};

static void on_stranger(void *to, const char *name, bool is_dir, uint64_t size, int64_t mtime_ms)
{
    struct looking *l = to;
    CLEANUP(str_freep) char *full = path_join(l->dir, name);
    (void)size;
    (void)mtime_ms;
    if (str_starts(name, TEMP_PREFIX) || (!*l->dir && !strcmp(name, "probe")))
        return; // what a run that was cut has left
    if (is_dir)
        strv_push(&l->dirs, full);
    else if (!l->found)
        l->found = TAKE(full);
}

// Folders alone are nobody's files: a new disk has one for what is lost and found.
static bool folder_stranger(struct store *s, char **name, struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    struct looking l = {0};
    int rc = 0;
    strv_push(&l.dirs, "");
    while (l.dirs.len && rc == 0 && !l.found) {
        CLEANUP(str_freep) char *dir = l.dirs.v[--l.dirs.len];
        CLEANUP(str_freep) char *path = path_join(f->dir, dir);
        l.dir = dir;
        rc = f->fs->list(f->fs->ctx, path, on_stranger, &l);
        if (rc == ENOENT || (*dir && (rc == EACCES || rc == EPERM)))
            rc = 0;
    }
    strv_clear(&l.dirs);
    *name = l.found;
    return rc == 0 || err_set_errno(err, rc, "list");
}

static bool folder_remove(struct store *s, const char *name, struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    CLEANUP(str_freep) char *path = full_path(f, name);
    int rc = f->fs->unlink(f->fs->ctx, path);
    return rc == 0 || rc == ENOENT || err_set_errno(err, rc, "delete");
}

struct clock_entry {
    const char *name;
    int64_t at_ms;
};

static void on_clock_entry(void *to, const char *name, bool is_dir, uint64_t size, int64_t mtime_ms)
{
    struct clock_entry *c = to;
    (void)size;
    if (!is_dir && !strcmp(name, c->name))
        c->at_ms = mtime_ms;
}

// The time a file made just now gets: on a network file system the server's clock.
static bool folder_now(struct store *s, int64_t *unix_ms, struct err *err)
{
    struct folder_store *f = (struct folder_store *)s;
    CLEANUP(str_freep) char *tmp = temp_name(f->dir);
    struct clock_entry c = {path_base(tmp), 0};
    int rc = f->fs->write_new(f->fs->ctx, tmp, "", 0);
    if (rc == 0)
        rc = f->fs->list(f->fs->ctx, f->dir, on_clock_entry, &c);
    f->fs->unlink(f->fs->ctx, tmp);
    if (rc == EACCES || rc == EROFS || rc == EPERM || rc == ENOENT) {
        *unix_ms = clock_unix_ms(); // read-only, or not there yet: only ages are shown by it
        return true;
    }
    if (rc != 0)
        return err_set_errno(err, rc, "read the clock");
    *unix_ms = c.at_ms ? c.at_ms : clock_unix_ms();
    return true;
}

static void folder_free(struct store *s)
{
    struct folder_store *f = (struct folder_store *)s;
    free(f->base.url);
    free(f->dir);
    strv_clear(&f->ready);
    free(f);
}

static const struct store_ops ops = {
    .traits = {.kind = "folder", .may_create_atomic = true},
    .create = folder_create,
    .get = folder_get,
    .list = folder_list,
    .stranger = folder_stranger,
    .remove = folder_remove,
    .now = folder_now,
    .free = folder_free,
};

struct store *store_folder_new(const char *dir, const struct folder_fs *fs)
{
    struct folder_store *f = mem_alloc(sizeof(*f));
    f->base.ops = &ops;
    f->base.url = str_dup(dir);
    f->dir = str_dup(dir);
    size_t n = strlen(f->dir);
    while (n > 1 && f->dir[n - 1] == '/')
        f->dir[--n] = 0;
    f->fs = fs;
    return &f->base;
}
