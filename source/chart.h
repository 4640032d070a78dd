// SPDX-License-Identifier: Apache-2.0
//
// Charts and artifacts by version: from Helm repositories (index.yaml) and OCI registries.
// Downloaded once into the cache, by digest, and verified. Everything here is asked for and may
// have to be waited for (wanted.h): a call that returns false with ctx->waits not empty is
// repeated.
//
//   chart.c    what is asked for, the cache      helmrepo.c   indexes and their archives
//   oci.c      registries                        archive.c    reading what came
#ifndef SOURCE_CHART_H
#define SOURCE_CHART_H

#include "source/asks.h"
#include "source/context.h"

struct chart {
    char *file;     // the archive in the cache
    char *dir;      // an artifact that is no chart, unpacked; there as long as the run
    char *version;  // exact
    char *digest;   // hex SHA-256 of the archive
    char *manifest; // "sha256:…" of the manifest that named it; NULL outside registries
    bool is_helm;   // a Helm chart; else an archive of manifests
};
void chart_clear(struct chart *c);

struct charts *charts_new(void);
void charts_free(struct charts *c); // nothing of it is in the pool any more
// Before another load: versions that are asked for exactly stay, as those do that a poll has just
// found unchanged (keep_known). What the last load did not use is let go.
void charts_renew(struct source_ctx *c, bool keep_known);
void charts_drop_indexes(struct source_ctx *c);
bool charts_are_open(const struct charts *c); // is anything coming?
bool charts_retry_denied(struct charts *c);

// repo_url as written; name NULL for "oci://…" URLs that name the artifact themselves.
MUST_CHECK bool chart_fetch(struct source_ctx *s, const char *repo_url, const char *name,
                            const char *target, struct chart *out, struct err *err);
// A file from anywhere (a value file by URL), through the mirrors. Appended to out.
MUST_CHECK bool url_fetch(struct source_ctx *s, const char *url, size_t max_bytes, struct buf *out,
                          struct err *err);
// One file out of a chart archive, by its path inside the chart.
MUST_CHECK bool chart_read(const char *archive, const char *path, size_t max_bytes, struct buf *out,
                           struct err *err);
// What the templates and values of a chart archive ask about; packaged dependencies: anything.
MUST_CHECK bool chart_asks(const char *archive, struct asks *out, struct err *err);
// Unpacks an archive into an empty folder; entries that leave it are refused.
MUST_CHECK bool archive_unpack(const char *archive, const char *dir, struct err *err);

#endif
