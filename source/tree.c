// SPDX-License-Identifier: Apache-2.0
#include "source/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_FILES 200000
#define MAX_DEPTH 64
#define MAX_FILE_BYTES (64U << 20)
#define COPY_CHUNK (1U << 20)

static void make_folder(void *ctx)
{
    struct tree *t = ctx;
    bool ok = dir_make_temp("regrow-tree", &t->export_dir, &t->err) &&
              gitcommit_export(t->git, t->export_dir, &t->err);
    (void)ok; // the error says it
}

static void folder_made(void *ctx, bool cancelled)
{
    struct tree *t = ctx;
    if (cancelled)
        err_set(&t->err, ERR_CANCELLED, "interrupted");
    wanted_settle(&t->folder, &t->err);
}

static void start_folder(struct wanted *n)
{
    struct tree *t = (struct tree *)((char *)n - offsetof(struct tree, folder));
    pool_submit(t->ctx->pool, make_folder, folder_made, t);
}

struct tree *tree_new(struct source_ctx *ctx, struct gitcommit *git, const char *dir)
{
    struct tree *t = mem_alloc(sizeof(*t));
    t->ctx = ctx;
    t->git = git;
    t->dir = str_dup_or_null(dir);
    t->folder.start = start_folder;
    return t;
}

void tree_free(struct tree *t)
{
    if (!t)
        return;
    if (t->export_dir)
        dir_temp_cleanup(&t->export_dir);
    wanted_clear(&t->folder);
    err_clear(&t->err);
    free(t->commit);
    free(t->dir);
    free(t->repo);
    free(t->revision);
    free(t->root_id);
    free(t);
}

static bool scan(const char *root, const char *rel, bool recurse, unsigned depth,
                 struct strv *files, struct err *err)
{
    CLEANUP(str_freep) char *path = *rel ? path_join(root, rel) : str_dup(root);
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    int errnum = errno;
    bool ok = n >= 0 || err_set_errno(err, errnum, "read folder %s", path);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        bool skip = !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, ".git");
        CLEANUP(str_freep) char *sub = path_join(rel, name);
        CLEANUP(str_freep) char *full = path_join(root, sub);
        struct stat st;
        if (ok && !skip && lstat(full, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                if (recurse && depth >= MAX_DEPTH)
                    ok = err_set(err, ERR_INVALID, "%s: folders nested too deep", sub);
                else if (recurse)
                    ok = scan(root, sub, true, depth + 1, files, err);
            } else if (files->len >= MAX_FILES) {
                ok = err_set(err, ERR_INVALID, "%s holds more than %d files", root, MAX_FILES);
            } else {
                strv_push(files, sub);
            }
        }
        free(names[i]);
    }
    free(names);
    return ok;
}

// Where a path of a commit leads; NULL when nowhere.
static char *located(struct tree *t, const char *path)
{
    char *at = NULL;
    struct err err = {0};
    if (!gitcommit_locate(t->git, path, &at, &err))
        err_clear(&err);
    return at;
}

bool tree_is_dir(struct tree *t, const char *path)
{
    if (!*path)
        return true;
    if (!t->git) {
        CLEANUP(str_freep) char *full = path_join(t->dir, path);
        return file_is_dir(full);
    }
    CLEANUP(str_freep) char *at = located(t, path);
    return at && (!*at || files_find_dir(&t->git->files, at));
}

bool tree_has(struct tree *t, const char *path)
{
    if (!t->git) {
        CLEANUP(str_freep) char *full = path_join(t->dir, path);
        return file_exists(full);
    }
    CLEANUP(str_freep) char *at = located(t, path);
    return at != NULL;
}

// Files are named as they were asked for, even where a link leads elsewhere.
static bool list_commit(struct tree *t, const char *path, bool recurse, struct strv *out,
                        struct err *err)
{
    const struct git_files *f = &t->git->files;
    CLEANUP(str_freep) char *at = NULL;
    size_t first;
    size_t end;
    if (!gitcommit_locate(t->git, path, &at, err) ||
        (recurse && !files_are_known(f, at, true, err)))
        return false;
    if (*at && files_find(f, at)) {
        strv_push(out, path);
        return true;
    }
    size_t skip = strlen(at) + (*at != 0);
    files_range(f, at, &first, &end);
    for (size_t i = first; i < end; i++) {
        const char *rest = f->v.v[i].path + skip;
        if (recurse || !strchr(rest, '/'))
            strv_push_take(out, path_join(path, rest));
    }
    return true;
}

bool tree_list(struct tree *t, const char *path, bool recurse, struct strv *files, struct err *err)
{
    if (t->git)
        return list_commit(t, path, recurse, files, err);
    CLEANUP(str_freep) char *full = *path ? path_join(t->dir, path) : str_dup(t->dir);
    if (!file_exists(full))
        return err_set(err, ERR_NOT_FOUND, "path \"%s\" does not exist in %s", path, t->repo);
    if (!file_is_dir(full)) {
        strv_push(files, path);
        return true;
    }
    return scan(t->dir, path, recurse, 0, files, err);
}

// A folder's file may be a link, but not one that leads out of the folder.
static bool stays_inside(const struct tree *t, const char *full, struct err *err)
{
    CLEANUP(str_freep) char *real = realpath(full, NULL);
    CLEANUP(str_freep) char *root = realpath(t->dir, NULL);
    size_t n = root ? strlen(root) : 0;
    if (!real || !root)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", full);
    if (!strncmp(real, root, n) && (!real[n] || real[n] == '/'))
        return true;
    return err_set(err, ERR_INVALID, "%s is a link that leaves the folder", full);
}

bool tree_read(struct tree *t, const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    CLEANUP(str_freep) char *clean = NULL;
    if (!path_clean(path, &clean))
        return err_set(err, ERR_INVALID, "path \"%s\" leaves the repository", path);
    if (t->git)
        return gitcommit_read(t->git, clean, max_bytes, out, err);
    CLEANUP(str_freep) char *full = path_join(t->dir, clean);
    return stays_inside(t, full, err) && file_read(full, max_bytes, out, err);
}

static bool hash_folder(struct tree *t, const char *path, char **out, struct err *err)
{
    struct strv files = {0};
    bool ok = tree_list(t, path, true, &files, err);
    struct sha256_ctx *h = sha256_begin();
    for (size_t i = 0; ok && i < files.len; i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *full = path_join(t->dir, files.v[i]);
        struct stat st;
        if (stat(full, &st) != 0 || !S_ISREG(st.st_mode))
            continue; // a broken link, a socket: nothing that could be rendered
        ok = file_read(full, MAX_FILE_BYTES, &b, err);
        sha256_add_str(h, files.v[i]);
        sha256_add(h, b.p ? b.p : "", b.len);
    }
    struct sha256 sum = sha256_end(h);
    strv_clear(&files);
    if (ok)
        *out = hex_encode(sum.b, sizeof(sum.b));
    return ok;
}

static bool commit_id(struct tree *t, const char *path, char **out, struct err *err)
{
    const struct git_files *f = &t->git->files;
    CLEANUP(str_freep) char *at = NULL;
    if (!gitcommit_locate(t->git, path, &at, err))
        return false;
    const struct git_file *file = files_find(f, at);
    const struct git_dir *d = files_find_dir(f, at);
    *out = hex_encode(file ? file->id : d ? d->id : f->root_id, 20);
    return true;
}

bool tree_id(struct tree *t, const char *path, char **out, struct err *err)
{
    if (!*path && t->root_id) {
        *out = str_dup(t->root_id);
        return true;
    }
    if (!(t->git ? commit_id(t, path, out, err) : hash_folder(t, path, out, err)))
        return false;
    if (!*path)
        t->root_id = str_dup(*out);
    return true;
}

bool tree_folder(struct tree *t, const char **dir, struct err *err)
{
    if (t->git && !wanted_wait(&t->folder, &t->ctx->waits, err))
        return false;
    *dir = t->git ? t->export_dir : t->dir;
    return true;
}

static bool copy_file(const char *from, const char *to, struct err *err)
{
    int a CLEANUP(fd_closep) = open(from, O_RDONLY | O_CLOEXEC);
    int b CLEANUP(fd_closep) =
        open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n = -1;
    while (a >= 0 && b >= 0 && (n = sendfile(b, a, NULL, COPY_CHUNK)) > 0)
        ;
    int errnum = errno;
    return n == 0 || err_set_errno(err, errnum, "copy %s", from);
}

bool folder_copy(const char *from, const char *to, struct err *err)
{
    struct strv files = {0};
    bool ok = scan(from, "", true, 0, &files, err);
    for (size_t i = 0; ok && i < files.len; i++) {
        CLEANUP(str_freep) char *a = path_join(from, files.v[i]);
        CLEANUP(str_freep) char *b = path_join(to, files.v[i]);
        CLEANUP(str_freep) char *dir = str_ndup(b, (size_t)(strrchr(b, '/') - b));
        struct stat st;
        if (stat(a, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        ok = dir_make(dir, 0700, err) && copy_file(a, b, err);
    }
    strv_clear(&files);
    return ok;
}
