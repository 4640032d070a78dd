// SPDX-License-Identifier: Apache-2.0
//
// Private to source: the loader's state.
//
//   source.c   the room's face: options, the root, repositories
//   load.c     applications to any depth, level by level
//   collect.c  rendered documents to objects of the desired state
#ifndef SOURCE_LOAD_H
#define SOURCE_LOAD_H

#include "source/render.h"

struct repo {
    char *url; // as written
    struct gitsrc *git;
    struct err problem; // it could not be opened or listed
};

struct root {
    char *url;  // NULL for a folder
    char *dir;  // work tree of a folder
    char *path; // inside it
    char *ref;
    char *origin; // normalised URL of the folder's remote "origin", or NULL
    char *name;
};

struct source {
    struct loop *loop;
    struct source_opts o;
    struct source_ctx ctx;
    VEC(struct repo *) repos;
    VEC(struct tree *) trees;
    struct root root;
    struct strv api_versions;
    char *cache_dir;
};

struct repo *source_repo(struct source *s, const char *url);
// The tree a repository has at a revision; kept for the run. *name: "main", may be NULL.
MUST_CHECK bool source_tree(struct source *s, const char *url, const char *target,
                            const char *tag_prefix, struct tree **out, struct err *err);
MUST_CHECK bool source_root_tree(struct source *s, struct desired *d, struct tree **out,
                                 struct err *err);

struct loading {
    struct source *s;
    struct desired *d;
    json_t *names;      // application names seen -> index
    json_t *namespaces; // names of the Namespaces collected so far -> true
    bool uses_apis;     // some chart asked which APIs are served
    unsigned first_new; // applications of the current level begin here
};

// One pass over everything, into the empty desired state at *out.
MUST_CHECK bool source_load_once(struct source *s, struct desired **out, bool *uses_apis,
                                 struct err *err);

// Turns what an application's jobs rendered into objects, projects and child applications. On
// failure the application becomes unknown.
void collect_app(struct loading *l, unsigned app, struct render_job *jobs, size_t n_jobs);
// Objects whose kind was not known when they were read: its CRD may have come later.
void collect_finish(struct loading *l);
void app_unknown(struct loading *l, unsigned app, struct err *err);

#endif
