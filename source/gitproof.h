// SPDX-License-Identifier: Apache-2.0
//
// What the proof of packs (source.h) does for those who hold a repository.
#ifndef SOURCE_GITPROOF_H
#define SOURCE_GITPROOF_H

#include <git2.h>

#include "source/source.h"

// Was the library not asked yet?
bool git_proof_is_light(const struct git_proof *p);
// Ids that need not be in the packs, with all they lead to. May be called very often.
void git_proof_knows(struct git_proof *p, bool (*is_known)(void *ctx, const char *id), void *ctx);
// The files of a known commit of r, which what comes after it shares.
MUST_CHECK bool git_proof_known_files(struct git_proof *p, git_repository *r, const git_oid *commit,
                                      struct err *err);
// A pack that was indexed when it came, with its index beside it: both are still what they were
// then, by the sums in them.
MUST_CHECK bool git_proof_indexed(struct git_proof *p, const char *pack, struct err *err);
// A pack that was just made: it is indexed.
MUST_CHECK bool git_proof_file(struct git_proof *p, const char *pack, struct err *err);
// All that `tips` lead to and `less` does not: for gitcompose.c. Of `less` what is not in the packs
// is passed over. *out: owned.
MUST_CHECK bool git_proof_between(struct git_proof *p, const struct strv *tips,
                                  const struct strv *less, git_oid **out, size_t *n,
                                  struct err *err);
const struct strv *git_proof_used(const struct git_proof *p); // index files
const struct loop *git_proof_stop(const struct git_proof *p);
// The packs that are used, as a repository of objects alone; borrowed.
MUST_CHECK bool git_proof_repository(struct git_proof *p, git_repository **out, struct err *err);

#endif
