// SPDX-License-Identifier: Apache-2.0
//
// Git objects through libgit2, which nothing else knows. Everything here blocks and may run on a
// pool thread: each piece of work opens a git_repository of its own (cheap; what lies behind it
// is shared and locked by the library).
#ifndef SOURCE_GITREPO_H
#define SOURCE_GITREPO_H

#include <git2.h>

#include "base/loop.h"
#include "source/files.h"

void gitrepo_init(void); // once, before the first thread

// A local repository in place, or (bare) the cache's own, made if there is none.
MUST_CHECK bool gitrepo_open_local(const char *path, git_repository **out, struct err *err);
MUST_CHECK bool gitrepo_open_cache(const char *path, git_repository **out, struct err *err);
// The refs of a local repository, HEAD first.
MUST_CHECK bool gitrepo_refs(git_repository *r, struct git_refs *out, struct err *err);
bool gitrepo_has(git_repository *r, const char *commit); // with its root tree
// Walks a commit. Objects that are missing are CORRUPT: a commit that is there is there whole.
// `like` (or NULL): another commit of it, walked before and without submodules; folders that are
// the same in both are taken from it.
MUST_CHECK bool gitrepo_walk(git_repository *r, const char *commit, struct gitsrc *home,
                             const struct git_files *like, const struct loop *stop,
                             struct git_files *out, struct err *err);
// Indexes the pack in fd, from its beginning. Stops when the loop does.
MUST_CHECK bool gitrepo_store(git_repository *r, int fd, const struct loop *stop, struct err *err);
MUST_CHECK bool gitrepo_read(git_repository *r, const struct git_file *f, size_t max_bytes,
                             struct buf *out, struct err *err);
// What libgit2 says about its last failure, always false.
bool gitrepo_err(int rc, struct err *err, const char *what);

// ---- whole histories (gitpack.c) ----
// Every ref with the id it has, HEAD apart: *head is what it names, NULL when it is detached.
MUST_CHECK bool gitrepo_refs_whole(git_repository *r, struct git_refs *out, char **head,
                                   struct err *err);
// The ids among refs that are not there, each once.
void gitrepo_missing(git_repository *r, const struct git_refs *refs, struct strv *out);
// What to keep of a repository so that all refs can be had again, as files: packs as they were
// received; or when `is_known` says of commits that they are kept already, one pack at `increment`
// of what came since; nothing when all is known. is_known may be called very often.
struct gitpack_opts {
    bool (*is_known)(void *ctx, const char *id);
    void *ctx;
    const char *increment;
    const struct loop *stop;
};
MUST_CHECK bool gitrepo_packs(git_repository *r, const struct git_refs *refs,
                              const struct gitpack_opts *o, struct strv *files, struct err *err);

// One pack of all that refs lead to, to fd: the same bytes whoever makes it.
MUST_CHECK bool gitrepo_pack_whole(git_repository *r, const struct git_refs *refs, int fd,
                                   struct err *err);

// Removes what a killed process left behind. Only under the cache's lock.
void gitrepo_sweep(const char *path);

#endif
