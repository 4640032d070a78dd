// SPDX-License-Identifier: Apache-2.0
//
// ApplicationSet expansion: list, clusters, git (directories and files), matrix and merge
// generators, selectors, generator templates and {{param}} templates (spec argo-cd section 6).
// Go templates, SCM, pull-request, plugin and decision generators, templatePatch and RollingSync
// are refused by name (INVALID). What a generator reads comes from the caller.
#ifndef GITOPS_APPSET_H
#define GITOPS_APPSET_H

#include "gitops/app.h"

// What generators may ask for. Lists are filled by the callee; a failure makes the whole set fail:
// a generator error must never look like an empty list.
struct appset_io {
    // Paths of all files of a repository at a revision, relative, sorted; *commit is optional.
    bool (*git_files)(void *ctx, const char *repo_url, const char *revision, struct strv *paths,
                      struct err *err);
    bool (*git_read)(void *ctx, const char *repo_url, const char *revision, const char *path,
                     struct buf *out, struct err *err);
    // Clusters known to the fleet: objects {name, server, project, labels, annotations}; owned.
    json_t *(*clusters)(void *ctx);
    void *ctx;
};

struct appset_result {
    VEC(json_t *) apps; // Application documents, owned; sorted by name
    struct strv warnings;
};
void appset_result_clear(struct appset_result *r);

MUST_CHECK bool appset_expand(const json_t *doc, const struct appset_io *io,
                              struct appset_result *out, struct err *err);

#endif
