// SPDX-License-Identifier: Apache-2.0
//
// The cache of a remote, a folder: `tree` (a bare repository of commits at depth 1),
// `full` (one of whole histories, for snapshots), `refs` (the
// last list), `have` (commits that are there), `lock` (held to write), `use` (held shared by every
// process that reads), `generation` (how often the repository was made anew). Private to source.
#ifndef SOURCE_GITCACHE_H
#define SOURCE_GITCACHE_H

#include "source/git.h"

// Held to write; waits a while for another process, which only computes while it holds it.
MUST_CHECK bool gitcache_lock(const struct gitsrc *g, int *fd, struct err *err);
// A nameless file beside it, for what comes.
MUST_CHECK bool gitcache_spool(const struct gitsrc *g, int *fd, struct err *err);
// Says that this process reads it, until g is freed. On the loop's thread.
void gitcache_use(struct gitsrc *g);

// What is there at depth 1, the newest last.
void gitcache_have(const struct gitsrc *g, git_repository *repo, struct strv *out);
void gitcache_note(const struct gitsrc *g, git_repository *repo, const char *id);

void gitcache_mark_damaged(const struct gitsrc *g); // the next run makes it anew
bool gitcache_is_damaged(const struct gitsrc *g);
// So many packs that reading suffers. Packs are never repacked: the next commit that is fetched is
// fetched whole, into a new repository.
bool gitcache_is_crowded(const struct gitsrc *g);
long long gitcache_generation(const struct gitsrc *g);
// Makes room for a new repository, unless that has happened since `generation`, or (if it is only
// crowded) another process is reading. Under the lock.
MUST_CHECK bool gitcache_drop(struct gitsrc *g, long long generation, bool only_crowded,
                              struct err *err);

#endif
