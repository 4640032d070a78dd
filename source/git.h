// SPDX-License-Identifier: Apache-2.0
//
// One Git repository in one run: its refs (asked for once), commits brought at depth 1 into a bare
// cache, and reading of trees. Local repositories are read in place. Knows libgit2, alone.
#ifndef SOURCE_GIT_H
#define SOURCE_GIT_H

#include "base/loop.h"
#include "source/source.h"

struct gitsrc;

struct gitsrc_opts {
    struct loop *loop;
    const char *cache_dir;
    const char *url; // after mirrors: https, ssh, file, or a path
    const struct source_cred *cred;
    const char *known_hosts, *ca_file;
    bool offline;
    const struct event_sink *events;
};

struct git_entry {
    char *path; // inside the repository
    unsigned mode;
    char id[41];
};
struct git_entries {
    VEC(struct git_entry) v;
};
void git_entries_clear(struct git_entries *e);

MUST_CHECK bool gitsrc_open(const struct gitsrc_opts *o, struct gitsrc **out, struct err *err);
void gitsrc_free(struct gitsrc *g);
// A branch, tag, constraint or commit to a commit that is here afterwards. *name: what it came by.
MUST_CHECK bool gitsrc_resolve(struct gitsrc *g, const char *target, const char *tag_prefix,
                               char **commit, char **name, struct err *err);
// Files below path ("" is the root), in order; folders are not listed. NOT_FOUND for a missing
// path; a file names itself.
MUST_CHECK bool gitsrc_list(struct gitsrc *g, const char *commit, const char *path, bool recurse,
                            struct git_entries *out, struct err *err);
MUST_CHECK bool gitsrc_read(struct gitsrc *g, const char *commit, const char *path,
                            size_t max_bytes, struct buf *out, struct err *err);
// Writes a whole commit to an empty folder. Links that leave it are INVALID.
MUST_CHECK bool gitsrc_export(struct gitsrc *g, const char *commit, const char *dir,
                              struct err *err);
// The id of the tree (or file) at path: equal ids are equal content.
MUST_CHECK bool gitsrc_tree_id(struct gitsrc *g, const char *commit, const char *path, char out[41],
                               struct err *err);
int64_t gitsrc_commit_time(struct gitsrc *g, const char *commit);

#endif
