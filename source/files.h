// SPDX-License-Identifier: Apache-2.0
//
// The files of one commit, walked once: paths in order, modes, ids, and the repository each lives
// in (those of a submodule in another). Names are checked as they come: what no checkout would
// write is an error here as well (spec libgit2 section 8). Pure but for the ids.
#ifndef SOURCE_FILES_H
#define SOURCE_FILES_H

#include "base/vec.h"
#include "gitops/gitops.h"

struct gitsrc;

struct git_file {
    char *path;
    unsigned mode;
    uint8_t id[20];
    struct gitsrc *home; // whose object it is; borrowed
};
struct git_dir {
    char *path;
    uint8_t id[20];
};

// A submodule: where, at which commit; once mounted its files stand among the others.
struct git_mount {
    char *path;
    char commit[41];
    struct err err;   // why it is not there: whoever reads below it gets this
    bool is_left_out; // there is no .gitmodules: a checkout has an empty folder
};

struct git_files {
    VEC(struct git_file) v; // ordered by path
    VEC(struct git_dir) dirs;
    VEC(struct git_mount) mounts;
    uint8_t root_id[20];
    bool has_links;
    int64_t time_unix_s;
    struct buf modules; // .gitmodules
};
void files_clear(struct git_files *f);

#define FILES_MODE_LINK 0120000u
#define FILES_MAX 500000u // entries of one tree; memory is what limits
#define FILES_MAX_DEPTH 64
#define FILES_MAX_PATH 4096

// Is this a name that may stand in a tree?
MUST_CHECK bool files_check_name(const char *dir, const char *name, size_t len, struct err *err);
// Orders what was collected; refuses what is there twice.
MUST_CHECK bool files_finish(struct git_files *f, struct err *err);
// Adds what another has below a folder, whose content is the same in both; it has no submodules.
// How many entries that were.
size_t files_take_below(struct git_files *f, const struct git_files *from, const char *dir,
                        struct gitsrc *home);
// Puts the files of a submodule (copied, with `home`) below its mount.
void files_mount(struct git_files *f, const char *at, const struct git_files *sub);

// Follows links along the way, inside the tree. *out is owned; NOT_FOUND when there is nothing.
// `read_link` gives the text of a link.
typedef bool (*files_link_fn)(void *ctx, const struct git_file *link, struct buf *out,
                              struct err *err);
MUST_CHECK bool files_resolve(const struct git_files *f, const char *path, files_link_fn read_link,
                              void *ctx, char **out, struct err *err);
// False when the link at this path, followed to its end, leaves the tree.
MUST_CHECK bool files_check_link(const struct git_files *f, const char *path,
                                 files_link_fn read_link, void *ctx, struct err *err);
const struct git_file *files_find(const struct git_files *f, const char *path);
const struct git_dir *files_find_dir(const struct git_files *f, const char *path); // not the root
// The range of files below a folder ("" for the root).
void files_range(const struct git_files *f, const char *dir, size_t *first, size_t *end);
// False with the mount's error when `path` lies below a submodule that is not there, or, with
// below, such a one lies below it.
MUST_CHECK bool files_are_known(const struct git_files *f, const char *path, bool below,
                                struct err *err);

#endif
