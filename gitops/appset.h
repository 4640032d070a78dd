// SPDX-License-Identifier: Apache-2.0
//
// ApplicationSet expansion: list, clusters, git (directories and files), matrix and merge
// generators, selectors, generator templates, {{param}} templates and templatePatch (spec argo-cd
// section 6), or with goTemplate Go templates, which a program renders. SCM, pull-request, plugin
// and decision generators and RollingSync are refused by name (INVALID).
#ifndef GITOPS_APPSET_H
#define GITOPS_APPSET_H

#include "gitops/app.h"

// Go templates to be rendered: a text with a set of parameters, each pair. Two templates stand for
// Argo CD's functions of these names; the second one's "." is a list, of slugify's arguments.
#define GO_NORMALIZE "regrow.normalize"
#define GO_SLUGIFY "regrow.slugify"

struct go_pair {
    unsigned text, set;
};

struct go_batch {
    struct strv texts; // as gotext_bind gives them
    json_t *sets;      // maps
    VEC(struct go_pair) pairs;
};

// What generators may ask for. What a generator reads comes from the caller; lists are filled by
// the callee. A failure makes the whole set fail: a generator error must never look like an empty
// list.
struct appset_io {
    // Paths of all files of a repository at a revision, relative, sorted.
    bool (*git_files)(void *ctx, const char *repo_url, const char *revision, struct strv *paths,
                      struct err *err);
    bool (*git_read)(void *ctx, const char *repo_url, const char *revision, const char *path,
                     struct buf *out, struct err *err);
    // Clusters that are registered: objects {name, server, project, labels, annotations}; owned.
    // The cluster itself need not be among them. NULL: none are.
    json_t *(*clusters)(void *ctx);
    // Renders a batch: *out is a list with a string for each pair, owned. On failure *bad is the
    // pair that it is about, where that is known. NULL: there are no Go templates.
    bool (*go_render)(void *ctx, const struct go_batch *b, json_t **out, size_t *bad,
                      struct err *err);
    // Has what was asked for only not come yet? Then the set is expanded once more when it has, and
    // goes on asking meanwhile. NULL: everything is there at once.
    bool (*is_waiting)(void *ctx);
    void *ctx;
};

struct appset_app {
    json_t *doc;   // the Application, owned
    char *problem; // why it cannot be used, or NULL; the others of its set are not concerned
};

struct appset_result {
    VEC(struct appset_app)
    apps; // sorted by name; of several with one name one is kept, with a
          // problem
    struct strv warnings;
    bool is_preserved; // what the set no longer generates stays in the cluster
};
void appset_result_clear(struct appset_result *r);

// Does what a set no longer generates stay in the cluster?
bool appset_preserves(const json_t *set);
MUST_CHECK bool appset_expand(const json_t *doc, const struct appset_io *io,
                              struct appset_result *out, struct err *err);

#endif
