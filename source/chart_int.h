// SPDX-License-Identifier: Apache-2.0
//
// Private to chart.c, helmrepo.c and oci.c: a chart on its way.
//
//   recall (pool: the cache's note of an exact version)
//     -> helm_begin: the index, a version, the archive's URL   or   oci_begin: tag, manifest, blob
//     -> chart_found: version and digest are known -> check (pool: is it in the cache?)
//     -> chart_get: download -> store (pool: verify, keep, unpack) -> settled
#ifndef SOURCE_CHART_INT_H
#define SOURCE_CHART_INT_H

#include "source/chart.h"

#define MAX_CHART_BYTES (64U << 20)

struct chart_need {
    struct wanted need;
    struct source_ctx *c;
    char *url;     // of the repository, after mirrors
    char *shown;   // url, fit for printing
    char *written; // before mirrors
    char *name, *target, *project;
    bool is_oci, pass_credentials;
    bool is_stale;  // a poll found another version
    bool is_unread; // a poll found nothing: need.err says why
    void (*on_probe)(void *ctx, struct chart_need *n, bool is_same); // a poll's: nothing is fetched
    void *probe_ctx;
    unsigned used_in; // the last load that asked for it
    struct chart chart;
    char *memo; // file that notes what was found
    char *from; // where the archive is: URL, or path of a file
    struct exchange *http;
    struct oci *oci;
    struct index *index;
    struct buf body; // the archive, on its way to the pool
    struct err err;
};

// A poll's question after the same chart: `done` is told when version and digest are known, or
// n->err is set, or (is_same) nothing has changed; then the need is free to be freed, but not
// within the call.
struct chart_need *chart_probe(struct source_ctx *s, const struct chart_need *of,
                               void (*done)(void *ctx, struct chart_need *n, bool is_same),
                               void *ctx);
void chart_probe_begin(struct chart_need *n);
void chart_need_free(struct chart_need *n);

void helm_begin(struct chart_need *n);
void oci_begin(struct chart_need *n);
void oci_get_archive(struct oci *o, http_done_fn done); // with the chart as its ctx
void oci_free(struct oci *o);                           // NULL is fine

// chart.version, chart.is_helm, from, and chart.digest if it is known, are set.
void chart_found(struct chart_need *n);
void chart_settle(struct chart_need *n); // with n->err

// What a repository said of its index, to ask whether it is still that.
struct index_tag {
    char *url, *project;
    char *etag, *modified;
};
struct index_tag *charts_tag(struct source_ctx *c, const char *url, const char *project);
struct index;
void index_free(struct index *x);
struct wanted *index_need(struct index *x);
// is_probe: it is enough to hear that it is the same, which index_is_same then tells.
bool index_is_of(const struct index *x, const char *url, const char *project, bool is_probe);
struct index *index_new(struct source_ctx *c, const char *url, const char *project, bool is_probe);
bool index_is_same(const struct index *x);
const json_t *index_doc(const struct index *x);

// What this run has asked for, in that order; NULL beyond the end.
const struct chart_need *charts_at(const struct charts *c, size_t i);
size_t charts_count(const struct charts *c);
const struct chart_need *charts_find(struct source_ctx *c, const char *written, const char *name,
                                     const char *target);
// A file by URL: as written, its bytes, or why they are not there.
const struct buf *urls_at(const struct charts *c, size_t i, const char **written, struct err *err);

// The index of a Helm repository, one for each run and project.
struct index *charts_index(struct source_ctx *c, const char *url, const char *project,
                           bool is_probe);
// fixed.c: the version that a target is to stand for (source_opts.fixed), or the target. Borrowed.
const char *fixed_chart(const struct source_ctx *c, const char *url, const char *name,
                        const char *target);
// The path of a URL that is no URL of a server, or NULL.
const char *local_file(const char *url);

#endif
