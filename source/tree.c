// SPDX-License-Identifier: Apache-2.0
#include "source/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/witness.h"

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

static void hash_folder(void *ctx)
{
    struct tree *t = ctx;
    bool ok = folder_hash(t->disk, &t->hash_err);
    (void)ok;
}

static void folder_hashed(void *ctx, bool cancelled)
{
    struct tree *t = ctx;
    if (cancelled)
        err_set(&t->hash_err, ERR_CANCELLED, "interrupted");
    wanted_settle(&t->hashed, &t->hash_err);
}

static void start_hash(struct wanted *n)
{
    struct tree *t = (struct tree *)((char *)n - offsetof(struct tree, hashed));
    // Names are noted here, where others look at them as well.
    if (folder_walk(t->disk, &t->hash_err))
        pool_submit(t->ctx->pool, hash_folder, folder_hashed, t);
    else
        wanted_settle(n, &t->hash_err);
}

static char *tell_hashed(const struct wanted *n)
{
    const struct tree *t = (const struct tree *)((const char *)n - offsetof(struct tree, hashed));
    return str_printf("folder %s, which is being read", t->disk->dir);
}

static char *tell_folder(const struct wanted *n)
{
    const struct tree *t = (const struct tree *)((const char *)n - offsetof(struct tree, folder));
    return str_printf("the files of %s, which are being written", t->repo);
}

struct tree *tree_new(struct source_ctx *ctx, struct gitcommit *git, const char *dir)
{
    struct tree *t = mem_alloc(sizeof(*t));
    t->ctx = ctx;
    t->git = git;
    t->disk = dir ? folder_new(dir, ctx->loop) : NULL;
    t->folder.start = start_folder;
    t->hashed.start = start_hash;
    t->folder.tell = tell_folder;
    t->hashed.tell = tell_hashed;
    return t;
}

void tree_free(struct tree *t)
{
    if (!t)
        return;
    if (t->export_dir)
        dir_temp_cleanup(&t->export_dir);
    wanted_clear(&t->folder);
    wanted_clear(&t->hashed);
    err_clear(&t->err);
    err_clear(&t->hash_err);
    folder_free(t->disk);
    free(t->names);
    free(t->commit);
    free(t->repo);
    free(t->revision);
    free(t->root_id);
    free(t);
}

char *tree_locate(struct tree *t, const char *path)
{
    witness_path(t, path);
    char *at = NULL;
    struct err err = {0};
    if (!(t->git ? gitcommit_locate(t->git, path, &at, &err)
                 : folder_locate(t->disk, path, &at, &err)))
        err_clear(&err);
    return at;
}

bool tree_is_dir(struct tree *t, const char *path)
{
    if (!*path)
        return true;
    if (!t->git) {
        witness_path(t, path);
        return folder_is_dir(t->disk, path);
    }
    CLEANUP(str_freep) char *at = tree_locate(t, path);
    return at && (!*at || files_find_dir(&t->git->files, at));
}

bool tree_has(struct tree *t, const char *path)
{
    CLEANUP(str_freep) char *at = tree_locate(t, path);
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
    witness_path(t, path);
    return t->git ? list_commit(t, path, recurse, files, err)
                  : folder_list(t->disk, path, recurse, files, err) || err_wrap(err, "%s", t->repo);
}

bool tree_read(struct tree *t, const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    CLEANUP(str_freep) char *clean = NULL;
    if (!path_clean(path, &clean))
        return err_set(err, ERR_INVALID, "path \"%s\" leaves the repository", path);
    witness_path(t, clean);
    return t->git ? gitcommit_read(t->git, clean, max_bytes, out, err)
                  : folder_read(t->disk, clean, max_bytes, out, err);
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

static bool disk_id(struct tree *t, const char *path, char **out, struct err *err)
{
    return wanted_wait(&t->hashed, &t->ctx->waits, err) && folder_id(t->disk, path, out, err);
}

bool tree_id(struct tree *t, const char *path, char **out, struct err *err)
{
    if (!*path && t->root_id) {
        *out = str_dup(t->root_id);
        return true;
    }
    if (!(t->git ? commit_id(t, path, out, err) : disk_id(t, path, out, err)))
        return false;
    if (!*path)
        t->root_id = str_dup(*out);
    return true;
}

bool tree_view(struct tree *t, const struct strv *parts, const char *to, const char **dir,
               struct err *err)
{
    *dir = to;
    for (size_t i = 0; i < parts->len; i++)
        witness_below(t, parts->v[i]);
    if (t->disk)
        return wanted_wait(&t->hashed, &t->ctx->waits, err) &&
               folder_write(t->disk, parts, to, err);
    if (!wanted_wait(&t->folder, &t->ctx->waits, err))
        return false;
    *dir = t->export_dir;
    return true;
}
