// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: which files of a store this machine has read, and when, so that a large
// repository need not be read whole in every run. A note is worth its file only as long as the
// store shows it with the same size and time: a file that was put there anew is another one.
//
// They lie in the cache. Whoever can write there has the job's credential as well; without them
// everything is read.
#ifndef SNAPSHOT_PROOFS_H
#define SNAPSHOT_PROOFS_H

#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"

struct proof {
    struct sha256 name; // of the file, and so of the bytes that were read
    uint64_t size;
    int64_t stored_at_ms; // as the store lists it
    int64_t read_s;       // Unix
};
struct proofs {
    VEC(struct proof) v; // sorted by name
};
void proofs_clear(struct proofs *p);
// When that very file was read; 0: not known, or said to be later than now.
int64_t proofs_find(const struct proofs *p, const struct sha256 *name, uint64_t size,
                    int64_t stored_at_ms, int64_t now_s);
void proofs_sort(struct proofs *p); // after pushing to v

// As a file of lines. What is no note is passed over: then its file is read.
void proofs_parse(const char *text, size_t len, struct proofs *out);
void proofs_write(const struct proofs *p, struct buf *out);
// Of a repository's chain in one store, in the folder of index files. Both may fail: only slower.
void proofs_load(const char *dir, const char *store_url, const char *chain, struct proofs *out);
void proofs_save(const char *dir, const char *store_url, const char *chain, const struct proofs *p);

#endif
