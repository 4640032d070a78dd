// SPDX-License-Identifier: Apache-2.0
//
// From targetRevision to something exact (spec argo-cd 1.7), and semantic versions with
// Masterminds' constraint syntax. Pure: the list of refs or versions is given.
#ifndef GITOPS_REVISION_H
#define GITOPS_REVISION_H

#include "base/err.h"
#include "base/vec.h"

struct git_ref {
    char *name;   // "refs/heads/main", "HEAD"
    char *id;     // 40 hex; for annotated tags the peeled commit
    char *symref; // target of a symbolic ref, or NULL
};
struct git_refs {
    VEC(struct git_ref) refs; // in the server's order
};
void git_refs_clear(struct git_refs *r);

// Exact commit id in *id (owned) and the short name it came by in *name ("main", "v1.2.3"; NULL
// for a bare id). Unknown: NOT_FOUND.
MUST_CHECK bool revision_resolve_git(const char *target, const char *tag_prefix,
                                     const struct git_refs *refs, char **id, char **name,
                                     struct err *err);
bool revision_is_id(const char *target); // a whole commit id: no list is needed
// May it be a ref that is neither a branch nor a tag ("pull/1/head", "refs/changes/01/1/1")?
// Servers list these only when asked by name.
bool revision_is_unlisted(const char *target);
// The highest of `versions` that satisfies `target` (exact, or a constraint); *out is borrowed
// from the list. NOT_FOUND names the nearest.
MUST_CHECK bool revision_resolve_versions(const char *target, const struct strv *versions,
                                          const char **out, struct err *err);

bool semver_is_version(const char *s);    // loose form too: "1.0", "v2"
bool semver_is_constraint(const char *s); // and not a plain version
bool semver_satisfies(const char *version, const char *constraint);
int semver_cmp(const char *a, const char *b);

#endif
