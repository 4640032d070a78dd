// SPDX-License-Identifier: Apache-2.0
//
// Rendering one source of one application to documents: plain directories here, kustomize and
// helm as child processes. A job is begun, may run in the background, and ends with documents or
// an error.
//
//   render.c     which tool; the cache of rendered output
//   override.c   .argocd-source.yaml
//   env.c        the build environment
//   directory.c  plain directories
//   helm.c       helm template; helm_values.c: its values, helm_deps.c: its dependencies
//   kustomize.c  charts to inflate, kustomize build; kustomize_walk.c: what it will read,
//                kustomize_edit.c: its options
#ifndef SOURCE_RENDER_H
#define SOURCE_RENDER_H

#include "base/proc.h"
#include "source/asks.h"
#include "source/chart.h"
#include "source/tree.h"

struct rendered {
    json_t *doc;
    char *file;
    unsigned line;
};

// The advice where a program is missing; NAME is a literal.
#define TOOL_HINT(name)                                                                            \
    "Put " name " on the PATH; scripts/setup tools, in regrow's source tree, builds it."

// A tree that value files may name as "$ref/...".
struct ref_tree {
    const char *name;
    const struct app_source *src;
    struct tree *tree;
    bool is_used;
};

struct render_job {
    struct source_ctx *ctx;
    const struct application *app;
    const struct app_source *src;
    unsigned source;    // its number among the application's, from 1
    struct tree *tree;  // NULL for charts of a repository
    struct chart chart; // file NULL for sources in a tree
    char *path;         // inside the tree, clean
    struct ref_tree *refs;
    size_t n_refs;
    const struct strv *api_versions;
    char *revision; // exact
    bool is_hard;   // rendered, whatever the cache holds
    struct origin
        shown; // the tree's revision, whose text all has that comes of this (render_shown)
    // result
    VEC(struct rendered) docs;
    struct strv warnings;
    struct err err;
    bool is_done;
    struct asks asks;    // which served APIs a chart asks about
    struct strv answers; // to each of these: "1" or "0" and what was asked
    const char *tool;
    int64_t ms;
    // while running
    char *work_dir, *cache_key;
    struct strv argv;
    struct strv parts; // of the tree, which the tool reads
    struct proc *child;
    struct loop *loop;
    struct {
        char *list_file, *list, *lock_file; // the file that names them, what it is to hold
    } own_chart;                            // a copy without some of its dependencies
    bool network;
    char *remote;                 // on the network, where --offline forbids to go; or NULL
    json_t *merged;               // its source with overrides of the tree, or NULL
    struct app_source merged_src; // then src points here
};

// Chooses the tool; a plain directory can be rendered before anything is known of the others.
bool render_is_directory(struct render_job *j);
// The copy that RENDER_OWN_CHART stands for (helm_deps.c); owned.
MUST_CHECK bool helm_copy_chart(struct render_job *j, char **dir, struct err *err);
// Prepares the job: afterwards it is done (directory, cache, error), or argv waits to be run.
void render_begin(struct render_job *j);
void render_spawn(struct render_job *j); // starts argv; is_done is set later, from the loop
void render_clear(struct render_job *j);
const struct origin *render_shown(struct render_job *j);
// What a tool sees of the environment, NULL at the end; it may write to `home` alone.
void render_env(const char *home, struct strv *out);
// What to tell of a child that failed, out of its standard error (may be NULL). Owned, one line.
char *render_error_text(const char *said);

// The build environment as NAME=value.
void build_env(const struct render_job *j, struct strv *out);
// Its variables ($ARGOCD_APP_NAME …) replaced in a text. Owned.
char *build_env_fill(const struct render_job *j, const char *text);
char *env_expand(const struct strv *env, const char *text);

// Takes the documents of a file (NULL when there is none) over into the job.
void render_take(struct render_job *j, struct yaml_docs *docs, const char *file);
MUST_CHECK bool override_source(struct render_job *j, struct err *err);
MUST_CHECK bool directory_render(struct render_job *j, struct err *err);
// UTF-16 with a byte order mark becomes UTF-8; other text stays.
void text_from_utf16(struct buf *b);

// Stands in argv for the source's folder until the cache has been asked: writing a whole commit to
// disk is worth it only when something must be rendered.
#define RENDER_IN_TREE "@tree"
#define RENDER_OWN_CHART "@chart"
#define RENDER_TREE "tree" // a copy of the tree, or of a part of it, in the job's folder

bool helm_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err);
bool kustomize_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err);

// ---- the cache ----
char *cache_path(const struct source_ctx *c, const char *key, const char *suffix);
// Documents stored under the key; false when there are none (or they are damaged).
bool cache_load(struct render_job *j, const char *key);
void cache_store(const struct render_job *j, const char *key);

#endif
