// SPDX-License-Identifier: Apache-2.0
//
// The sources of a snapshot as the source room reads sources without a network: Git repositories in
// folders that take their URLs' places, charts and artifacts in a cache of their own, the root's
// folder if it was one. For rendering again. Nothing here is a secret-zero, but Git may hold
// anything: the folder is private, and goes with frozen_sources_clear.
#ifndef RESTORE_SOURCES_H
#define RESTORE_SOURCES_H

#include "restore/frozen.h"
#include "source/source.h"

struct frozen_sources {
    char *dir; // of it all
    char *cache_dir;
    char *root;                          // as source_load takes it
    VEC(struct source_mirror) mirrors;   // owned
    json_t *clusters;                    // Secrets of registered clusters, as they were
    size_t repositories, charts, others; // that were laid out
};

MUST_CHECK bool frozen_sources_make(struct reader *r, const struct frozen *f, const struct loop *l,
                                    struct frozen_sources *out, struct err *err);
void frozen_sources_clear(struct frozen_sources *s);

// What came out otherwise than it was frozen. Object names, sorted as they stand.
struct rendered_anew {
    struct strv changed, added, removed;
    struct strv kept; // Secrets and trust that charts make up anew: they stay as they were frozen
};
// Compares, and gives `now` what must stay. Neither is taken.
void rendered_anew_of(const struct desired *frozen, struct desired *now, struct rendered_anew *out);
void rendered_anew_clear(struct rendered_anew *a);

#endif
