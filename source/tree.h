// SPDX-License-Identifier: Apache-2.0
//
// A tree of files, wherever it comes from: a Git commit, or a folder (a work tree, an unpacked
// artifact). Rendering sees only this.
#ifndef SOURCE_TREE_H
#define SOURCE_TREE_H

#include "source/folder.h"
#include "source/git.h"

// What lies at a path: two trees have the same mark there when they have the same content there.
struct tree_mark {
    enum { TREE_NOTHING, TREE_FILE, TREE_FOLDER, TREE_NAMES } what;
    uint8_t id[32];
};

struct tree {
    struct source_ctx *ctx;
    struct gitcommit *git; // borrowed; NULL for a folder
    struct folder *disk;   // NULL for a commit
    char *commit;
    char *repo; // display: "platform"
    char *revision;
    char *root_id;
    bool is_artifact;     // a folder of ours, unpacked from what has a digest
    struct wanted hashed; // of a folder: all its files, in the pool
    struct err hash_err;
    struct tree_mark *names; // once it was asked for
    // The whole of a commit as a folder of our own, made at first need in the pool; removed with
    // the tree.
    struct wanted folder;
    char *export_dir;
    struct err err;
};

struct tree *tree_new(struct source_ctx *ctx, struct gitcommit *git, const char *dir);
void tree_free(struct tree *t);
MUST_CHECK bool tree_list(struct tree *t, const char *path, bool recurse, struct strv *files,
                          struct err *err);
MUST_CHECK bool tree_read(struct tree *t, const char *path, size_t max_bytes, struct buf *out,
                          struct err *err);
// Where a path leads, links followed, owned; NULL when nowhere.
char *tree_locate(struct tree *t, const char *path);
bool tree_has(struct tree *t, const char *path);
bool tree_is_dir(struct tree *t, const char *path);
// What identifies the content below path, owned. Of a folder all is hashed, once: it may have to be
// waited for, and a link that leads out of it is an error.
MUST_CHECK bool tree_id(struct tree *t, const char *path, char **out, struct err *err);
// A folder that children may read, in which no link leads out: at least what lies at `parts`, with
// what links in it lead to, is where it is in the tree. A copy of what tree_id stands for: of a
// commit all of it, made once; of a folder those parts, at `to`, which is the caller's. *dir is
// borrowed of either. May have to be waited for.
MUST_CHECK bool tree_view(struct tree *t, const struct strv *parts, const char *to,
                          const char **dir, struct err *err);

// ---- has it changed? ----
// False when that cannot be told: part of it could not be had.
bool tree_marked(struct tree *t, const char *path, struct tree_mark *out);
bool tree_names_marked(struct tree *t, struct tree_mark *out); // of all its files
bool tree_has_links(struct tree *t, const char *dir);          // is there one below?
bool tree_is_plain(const struct tree *t, const char *path);    // does no link lie on the way?

#endif
