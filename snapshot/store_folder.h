// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: a repository in a local folder. Every step on the file system goes through
// struct folder_fs, so that tests can lose what was not synced, or fail any call.
#ifndef SNAPSHOT_STORE_FOLDER_H
#define SNAPSHOT_STORE_FOLDER_H

#include "snapshot/store.h"

// All calls return 0 or an errno. Paths are whole paths.
struct folder_fs {
    void *ctx;
    // Makes a file that must not exist, writes all of it, syncs and closes it. After a failure the
    // file may be there in part; it is never published.
    int (*write_new)(void *ctx, const char *path, const void *p, size_t len);
    // Gives `from` the name `to` unless that is taken (EEXIST); never replaces.
    int (*publish)(void *ctx, const char *from, const char *to);
    int (*sync_dir)(void *ctx, const char *dir);
    int (*make_dir)(void *ctx, const char *dir); // EEXIST when it is there
    // ENOENT when absent, EFBIG when larger than max.
    int (*read)(void *ctx, const char *path, size_t max, struct buf *out);
    // Every entry of one folder; ENOENT when absent.
    int (*list)(void *ctx, const char *dir,
                void (*entry)(void *to, const char *name, bool is_dir, uint64_t size,
                              int64_t mtime_ms),
                void *to);
    int (*unlink)(void *ctx, const char *path);
};
const struct folder_fs *folder_fs_real(void);

// fs is lent for the store's life.
struct store *store_folder_new(const char *dir, const struct folder_fs *fs);

#endif
