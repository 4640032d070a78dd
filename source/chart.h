// SPDX-License-Identifier: Apache-2.0
//
// Charts and artifacts by version: from Helm repositories (index.yaml) and OCI registries.
// Downloaded once into the cache, by digest, and verified.
#ifndef SOURCE_CHART_H
#define SOURCE_CHART_H

#include "source/source.h"

struct source_ctx { // what fetching needs; borrowed for the call
    struct loop *loop;
    const struct source_opts *o;
    json_t *indexes; // URL -> parsed index, for this run
};

struct chart {
    char *file;    // the archive in the cache
    char *version; // exact
    char *digest;  // hex SHA-256 of the archive
    bool is_helm;  // a Helm chart; else an archive of manifests
};
void chart_clear(struct chart *c);

// repo_url as written; name NULL for "oci://…" URLs that name the artifact themselves.
MUST_CHECK bool chart_fetch(struct source_ctx *s, const char *repo_url, const char *name,
                            const char *target, struct chart *out, struct err *err);
// One file out of a chart archive, by its path inside the chart.
MUST_CHECK bool chart_read(const char *archive, const char *path, size_t max_bytes, struct buf *out,
                           struct err *err);
// Unpacks an archive into an empty folder; entries that leave it are refused.
MUST_CHECK bool archive_unpack(const char *archive, const char *dir, struct err *err);

#endif
