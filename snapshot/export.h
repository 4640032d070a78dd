// SPDX-License-Identifier: Apache-2.0
//
// The portable form of a snapshot (docs/export.md): one tar file with Git histories as bundles,
// charts and artifacts as they were fetched, manifests in the order in which they can be applied,
// Secrets as age files, checksums, and a script that needs sh, git, kubectl and age alone. The same
// snapshot makes the same bytes, apart from what is encrypted.
#ifndef SNAPSHOT_EXPORT_H
#define SNAPSHOT_EXPORT_H

#include "snapshot/reader.h"

struct export_opts {
    const struct log *log;
    const struct entry *entry;
    const uint8_t (*recipients)[KEY_BYTES]; // who may open the Secrets …
    size_t n_recipients;
    bool without_secrets;        // … or they are left out
    const struct signer *signer; // signs the checksums (who may not: DENIED); NULL: nobody does
    const char *work;            // folder in which a private one is made
    bool replace;                // a file that is there
};
struct export_result {
    uint64_t apps, objects, secrets, repositories, sources, files, steps;
    uint64_t clusters;    // of a hub, besides its own
    uint64_t bytes;       // of the file
    struct sha256 sums;   // of SHA256SUMS
    struct strv warnings; // one line each: what is not in it
};
void export_result_clear(struct export_result *r);
// Writes it under no name until it is whole and durable, mode 0600. file ends in ".tar" or
// ".tar.zst", else USAGE. It is there and may not be replaced: CONFLICT.
MUST_CHECK bool snapshot_export(struct repo *r, struct reader *rd, const struct export_opts *o,
                                const char *file, struct export_result *out, struct err *err);

#endif
