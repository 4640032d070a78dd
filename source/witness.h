// SPDX-License-Identifier: Apache-2.0
//
// What an application was read from: which paths of which trees were looked at and what lay there,
// which charts came, which trees its ApplicationSets asked. Whoever finds all of it unchanged needs
// not read again (source/memo.h). Private to source.
//
// Life: part of the object it belongs to; while ctx->witness points at it everything that is read
// is noted; witness_clear. What cannot be noted (a value file by URL, a base on the network) makes
// it fleeting: then nothing is ever known to be unchanged.
#ifndef SOURCE_WITNESS_H
#define SOURCE_WITNESS_H

#include "source/chart.h"
#include "source/tree.h"

struct seen_path {
    const struct tree *tree; // until it is kept; then
    unsigned source;         // which of the application's sources the tree is of, from 0
    char *path;
    struct tree_mark mark;
};

struct seen_chart {
    char *url, *name, *target;
    bool pass_credentials;
    char *version, *digest, *manifest;
};

// What a generator of an ApplicationSet asked: the names of a tree's files (path NULL), or a file.
struct seen_file {
    char *url, *revision, *project;
    char *path;
    struct tree_mark mark;
};

struct witness {
    VEC(struct seen_path) paths;
    VEC(struct seen_chart) charts;
    VEC(struct seen_file) files;
    bool has_env;     // the exact revision itself went in
    bool is_fleeting; // something was read that cannot be found again
};
void witness_clear(struct witness *w);

// Nothing is noted while ctx->witness is NULL. witness_below: a program of its own reads all that
// lies there.
void witness_path(struct tree *t, const char *path);
void witness_below(struct tree *t, const char *path);
void witness_chart(struct source_ctx *c, const char *url, const char *name, const char *target,
                   const struct chart *chart);
void witness_file(struct witness *w, struct tree *t, const char *url, const char *revision,
                  const char *project, const char *path);
void witness_env(struct source_ctx *c);
void witness_fleeting(struct source_ctx *c);

#endif
