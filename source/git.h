// SPDX-License-Identifier: Apache-2.0
//
// One Git repository in one run: its refs (asked for once), and commits brought at depth 1 into a
// bare cache, with their submodules. Local repositories are read in place.
//
//   git.c        names to commits, reading
//   gitlist.c    refs
//   gitcommit.c  how a commit comes: look, fetch, store, walk
//   gitcache.c   the folder of a remote
//   submodule.c  what is mounted in it
//   gitnet.c     the network        gitrepo.c   libgit2        files.c   the tree of a commit
#ifndef SOURCE_GIT_H
#define SOURCE_GIT_H

#include <git2.h>

#include "source/files.h"
#include "source/gitnet.h"

struct gitsrc;

// A commit that is here, or is coming. Lives as long as its repository.
struct gitcommit {
    struct wanted need;
    struct gitsrc *g;
    char id[41];
    unsigned depth; // how many submodules it lies in
    struct git_files files;
    // while it comes:
    struct strv have;
    int spool; // the pack as it comes
    struct gitcall *call;
    struct gitcommit *like; // another that is there: what is the same in both is taken from it
    unsigned n_lent;        // to how many it is that; meanwhile it is not let go
    bool is_here, is_damaged, was_retried;
    long long generation; // of the cache, when it was looked at
    int64_t started_ms;
    struct err err;
    VEC(struct submodule *) subs;
    size_t coming;    // of them
    unsigned used_in; // the last load that asked for it
};

// A ref that is neither a branch nor a tag, asked for by its name.
struct gitref_one {
    struct wanted need;
    struct gitsrc *g;
    char *name;
    struct git_refs refs;
    struct gitcall *call;
};

// A name that was asked for, and what it stood for.
struct gitask {
    char *target, *prefix;
    char *id, *by;    // NULL: there was none
    bool is_current;  // nothing needs to be asked: found in this load, or by a poll for it
    unsigned used_in; // the last load that asked
};

struct gitsrc {
    struct source_ctx *c;
    char *url;     // as it is asked: after mirrors
    char *shown;   // fit for printing
    char *written; // as it was written: relative submodules start from it
    char *normal;  // the same, to compare
    char *project;
    char *dir; // the cache; NULL for a local repository
    struct gitremote remote;
    struct wanted listed;
    struct git_refs refs;
    struct gitcall *call; // that lists
    struct err err;       // of the list, from the pool
    VEC(struct gitref_one *) ones;
    VEC(struct gitask) asks;
    bool is_list_old;  // of a load before: good for nothing that was not asked then
    bool is_mounted;   // its files stand in a commit of another
    struct err unread; // a poll found so: this load does not wait for it once more
    struct buf kept;   // the list as it is written for --offline
    bool is_keeping, keep_again;
    VEC(struct gitcommit *) commits;
    int use_fd;                // held while the cache is read
    struct gitcommit *crowded; // the commit that makes it anew
    git_repository *repo;      // for reading on the loop's thread
};

// May what is loaded name this folder (NULL: it is none)? Not where the root comes from elsewhere:
// DENIED. What a person maps to a folder (--mirror) is not written there.
MUST_CHECK bool source_may_name(const struct source_ctx *c, const char *folder, struct err *err);
// The repository of a URL as written, one for each run (and one for each project that has a
// credential of its own for it).
struct gitsrc *gitsrc_of(struct source_ctx *c, const char *url, const char *project);
void gitsrc_free(struct gitsrc *g); // nothing of it is in the pool any more
// A branch, tag, constraint or commit to a commit that is here afterwards, or that is waited for.
// *name: what it came by.
MUST_CHECK bool gitsrc_resolve(struct gitsrc *g, const char *target, const char *tag_prefix,
                               struct gitcommit **commit, char **name, struct err *err);
// Before another load: what the last one did not use is let go. With keep_known names stand for
// what the last load or a poll found; else all is asked anew.
void gitsrc_renew(struct gitsrc *g, bool keep_known);
// What was denied may be asked again: there are more credentials now. True if there was any.
bool gitsrc_retry_denied(struct gitsrc *g);
const char *gitsrc_local_path(const char *url); // of a URL that is read in place, or NULL

struct gitcommit *gitcommit_at(struct gitsrc *g, const char *id, unsigned depth);
MUST_CHECK bool gitcommit_read(const struct gitcommit *c, const char *path, size_t max_bytes,
                               struct buf *out, struct err *err);
// Writes all of it to an empty folder. Links that leave it are INVALID. Runs in the pool.
MUST_CHECK bool gitcommit_export(const struct gitcommit *c, const char *dir, struct err *err);
// Resolves links on the way; "" stays "".
MUST_CHECK bool gitcommit_locate(const struct gitcommit *c, const char *path, char **out,
                                 struct err *err);

// fixed.c: what its names are to stand for (source_opts.fixed).
void fixed_git(struct gitsrc *g);

// ---- private to these files ----
void gitlist_start(struct wanted *n);
// Could the server have a ref of that name which it has not listed?
bool gitlist_has_more(const struct gitsrc *g, const char *name);
// Asks for it; if there is one it is among the refs afterwards.
MUST_CHECK bool gitlist_one(struct gitsrc *g, const char *name, struct err *err);
bool gitlist_retry_denied(struct gitsrc *g);
void gitlist_free(struct gitsrc *g);
void gitcommit_start(struct wanted *n);
void gitcommit_free(struct gitcommit *c);
void gitask_clear(struct gitask *a);
void gitlist_renew(struct gitsrc *g);         // the list is to be asked for anew
char *gitsrc_objects(const struct gitsrc *g); // the folder libgit2 opens, owned
MUST_CHECK bool gitsrc_open_repo(const struct gitsrc *g, git_repository **out, struct err *err);
// Brings what is mounted in the commit, then settles it.
void submodules_begin(struct gitcommit *c);
void submodules_free(struct gitcommit *c);

#endif
