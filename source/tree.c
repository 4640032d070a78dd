// SPDX-License-Identifier: Apache-2.0
#include "source/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_FILES 200000
#define MAX_DEPTH 64
#define MAX_FILE_BYTES (64U << 20)

void tree_free(struct tree *t)
{
    if (!t)
        return;
    if (t->export_dir)
        dir_temp_cleanup(&t->export_dir);
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

bool tree_is_dir(struct tree *t, const char *path)
{
    if (!*path)
        return true;
    if (!t->git) {
        CLEANUP(str_freep) char *full = path_join(t->dir, path);
        return file_is_dir(full);
    }
    struct git_entries e = {0};
    struct err err = {0};
    bool ok = gitsrc_list(t->git, t->commit, path, false, &e, &err);
    bool is_file = ok && e.v.len == 1 && !strcmp(e.v.v[0].path, path);
    git_entries_clear(&e);
    err_clear(&err);
    return ok && !is_file;
}

bool tree_has(struct tree *t, const char *path)
{
    char id[41];
    struct err err = {0};
    if (!t->git) {
        CLEANUP(str_freep) char *full = path_join(t->dir, path);
        return file_exists(full);
    }
    bool ok = gitsrc_tree_id(t->git, t->commit, path, id, &err);
    err_clear(&err);
    return ok;
}

bool tree_list(struct tree *t, const char *path, bool recurse, struct strv *files, struct err *err)
{
    if (t->git) {
        struct git_entries e = {0};
        bool ok = gitsrc_list(t->git, t->commit, path, recurse, &e, err);
        for (size_t i = 0; ok && i < e.v.len; i++)
            if (e.v.v[i].mode != 0160000)
                strv_push(files, e.v.v[i].path);
        git_entries_clear(&e);
        return ok;
    }
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
        return gitsrc_read(t->git, t->commit, clean, max_bytes, out, err);
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

bool tree_id(struct tree *t, const char *path, char **out, struct err *err)
{
    if (!*path && t->root_id) {
        *out = str_dup(t->root_id);
        return true;
    }
    if (t->git) {
        char id[41];
        if (!gitsrc_tree_id(t->git, t->commit, path, id, err))
            return false;
        *out = str_dup(id);
    } else if (!hash_folder(t, path, out, err)) {
        return false;
    }
    if (!*path)
        t->root_id = str_dup(*out);
    return true;
}

bool tree_folder(struct tree *t, const char **dir, struct err *err)
{
    if (!t->git) {
        *dir = t->dir;
        return true;
    }
    if (!t->export_dir && (!dir_make_temp("regrow-tree", &t->export_dir, err) ||
                           !gitsrc_export(t->git, t->commit, t->export_dir, err)))
        return false;
    *dir = t->export_dir;
    return true;
}

bool folder_copy(const char *from, const char *to, struct err *err)
{
    struct strv files = {0};
    bool ok = scan(from, "", true, 0, &files, err);
    for (size_t i = 0; ok && i < files.len; i++) {
        CLEANUP(str_freep) char *a = path_join(from, files.v[i]);
        CLEANUP(str_freep) char *b = path_join(to, files.v[i]);
        CLEANUP(str_freep) char *dir = str_ndup(b, (size_t)(strrchr(b, '/') - b));
        struct buf text CLEANUP(buf_clear) = {0};
        struct stat st;
        if (stat(a, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        ok = dir_make(dir, 0700, err) && file_read(a, MAX_FILE_BYTES, &text, err) &&
             file_replace(b, text.p ? text.p : "", text.len, 0600, err);
    }
    strv_clear(&files);
    return ok;
}

bool tree_copy(struct tree *t, char **dir, struct err *err)
{
    if (!dir_make_temp("regrow-copy", dir, err))
        return false;
    return t->git ? gitsrc_export(t->git, t->commit, *dir, err) : folder_copy(t->dir, *dir, err);
}
