// SPDX-License-Identifier: Apache-2.0
//
// An opened repository: its store, verified trust, and the verified log of one
// chain (docs/repository-format.md section 11).
//
// Life: repo_open (trust from the pin upward, marker), log_read, then a writer, reader or pruner.
#ifndef SNAPSHOT_REPO_H
#define SNAPSHOT_REPO_H

#include "snapshot/entry.h"
#include "snapshot/index.h"
#include "snapshot/trust.h"

struct repo {
    struct store *store; // owned
    struct trust_chain trust;
    struct marker marker;
    struct loop *loop;
    const struct event_sink *events;
};
// pin NULL is allowed only for commands that show it (key trust); then trust/0001 is believed as it
// is and repo->trust.pin says what it was.
MUST_CHECK bool repo_open(const struct store_opts *o, const struct sha256 *pin, struct repo *out,
                          struct err *err);
void repo_close(struct repo *r);

char *chain_file(const char *chain, const char *folder, const char *name); // owned
char *log_name(const struct repo *r, const char *chain, uint64_t seq, const struct sha256 *hash);
MUST_CHECK bool repo_chains(struct repo *r, struct strv *out, struct err *err); // sorted

// Every entry that counts, ascending by seq. Signatures, links, numbers, holes, roles and trust
// numbers are checked; anything off is CORRUPT (exit 9).
struct log {
    char *chain;
    VEC(struct entry) v;
    uint64_t head; // highest seq present; 0: empty
    struct sha256 head_hash;
    VEC(struct sha256) heads; // several after a fork: what the next entry names in prev
    int checkpoint;           // position of the newest checkpoint in v; -1: none
};
struct log_opts {
    // The last entry someone remembers: must be there, or in or below a checkpoint. seq 0: none.
    struct seq_hash expect_last;
    bool only_head; // writer: back to the newest snapshot not void is enough
};
MUST_CHECK bool log_read(struct repo *r, const char *chain, const struct log_opts *o,
                         struct log *out, struct err *err);
void log_clear(struct log *l);
const struct entry *log_find(const struct log *l, uint64_t seq);

// Live: in the newest checkpoint's keep, or newer than it. waiting: in its wait.
enum standing { STANDING_LIVE, STANDING_WAITING, STANDING_DEAD };
enum standing log_standing(const struct log *l, const struct entry *e);
// The writer's word outweighed by the newest verdict.
enum goodness { SNAP_SUSPECT, SNAP_BAD, SNAP_GOOD, SNAP_VERIFIED, SNAP_DRILLED };
enum goodness log_goodness(const struct log *l, const struct entry *snapshot);
const char *goodness_name(enum goodness g);
const struct entry *log_latest_good(const struct log *l);     // what "latest" means; NULL: none
const struct entry *log_newest_snapshot(const struct log *l); // not void; NULL: none
// The verdict of that kind that counts for a snapshot, newest first; NULL: none.
const struct entry *log_verdict(const struct log *l, const struct entry *snapshot, enum verdict v);

// Commits e at head+1 (fills repo, chain, seq, prev, trust, tool, time). *made false: another was
// first, read the log again. needs: every file the entry makes necessary (all full names).
MUST_CHECK bool log_append(struct repo *r, struct log *l, struct entry *e, const struct signer *s,
                           const struct strv *needs, bool *made, struct err *err);

// The index files of a snapshot and everything they stand on; verified by name. Reading them clear
// needs no key (k NULL).
struct batches {
    VEC(struct index) v; // objects set first, oldest first, the snapshot's own last; then git set
    VEC(struct sha256) names;
};
MUST_CHECK bool batches_read(struct repo *r, const char *chain, const struct entry *snapshot,
                             const struct chain_keys *k, struct batches *out, struct err *err);
void batches_clear(struct batches *b);
// Full names of all files a snapshot needs: index files, packs, and report packs of its verdicts.
MUST_CHECK bool snapshot_needs(struct repo *r, const struct log *l, const struct entry *snapshot,
                               struct strv *out, struct err *err);

#endif
