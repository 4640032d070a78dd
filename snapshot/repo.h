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

// Why the last reading of a log failed, when it was for one entry.
struct log_fault {
    uint64_t seq;        // 0: for something else
    bool is_there;       // a file that nobody signed, or that is damaged; else there is none
    bool is_last;        // nothing stands above it
    unsigned lost_trust; // it is signed, and names this trust, which is missing; 0: not so
};

// Changes of trust that take several admins.
struct cosigning {
    const struct signer *others; // further admins whose keys are here
    size_t n;
    struct buf *proposal; // takes a change whose signatures do not suffice; NULL: it is refused
};

struct repo {
    struct store *store; // owned
    struct trust_chain trust;
    struct marker marker;
    struct index_memo *memo;
    struct loop *loop;
    const struct event_sink *events;
    const char *index_cache;           // folder of index files by name, lent; NULL: none
    const struct cosigning *cosigning; // lent; NULL: one admin alone
    struct log_fault fault;
};
// pin NULL is allowed only for commands that show it (key trust); then trust/0001 is believed as it
// is and repo->trust.pin says what it was. No repository there: NOT_FOUND.
MUST_CHECK bool repo_open(const struct store_opts *o, const struct sha256 *pin, struct repo *out,
                          struct err *err);
// The same in a store that is open; it is taken, also on failure.
MUST_CHECK bool repo_open_store_take(struct store *s, const struct sha256 *pin, struct repo *out,
                                     struct err *err);
void repo_close(struct repo *r);

char *chain_file(const char *chain, const char *folder, const char *name); // owned
// hash is looked at only where the store has no atomic create. Owned.
char *log_name(const struct repo *r, const char *chain, uint64_t seq, const struct sha256 *hash);
// Does no entry at the end of a log name a later trust? CORRUPT: one was lost, and with it what it
// revoked. For whoever changes trust, or gives up what looks unsigned. What a key that is revoked
// has signed, or `except`, says nothing.
MUST_CHECK bool repo_has_newest_trust(struct repo *r, const struct key_id *except, struct err *err);
// The same before another admin signs a change: what the key that it revokes has signed says
// nothing.
MUST_CHECK bool repo_may_change_to(struct repo *r, const struct trust *next, struct err *err);
// Of the ways to open that epoch how many are whole; one that may not be read, or does not answer,
// counts as whole. *out_of: how many there should be.
size_t repo_slots_whole(struct repo *r, unsigned epoch, size_t *out_of);
MUST_CHECK bool repo_chains(struct repo *r, struct strv *out, struct err *err); // sorted
// A file named by the SHA-256 of its bytes ("chains/prod/packs/<hash>"), appended to out. Other
// bytes under the name: CORRUPT. Absent: CORRUPT too, since something verified named it.
MUST_CHECK bool repo_fetch(struct repo *r, const char *name, size_t max_bytes, struct buf *out,
                           struct err *err);

// Every entry that counts, ascending by seq (and hash, after a fork). Signatures, links, numbers,
// holes, roles and trust numbers are checked; anything off is CORRUPT (exit 9) and names the
// number. Void entries are among them, for their links alone.
struct log {
    char *chain;
    VEC(struct entry) v;
    uint64_t head;            // highest seq present; 0: empty
    struct sha256 head_hash;  // of the last of v
    VEC(struct sha256) heads; // several after a fork: what the next entry names in prev
    int checkpoint;           // position of the newest checkpoint in v; -1: none, or not read
    bool is_whole;            // all that counts was read
    VEC(struct log_number {
        uint64_t seq;
        int64_t stored_at_ms;
    })
    numbers; // all the store listed, counting or not, ascending: what `since` of a wait means
};
struct log_opts {
    // The last entry someone remembers: must be there, or in or below a checkpoint. seq 0: none.
    struct seq_hash expect_last;
    // Writer: back to the newest snapshot, the newest good one and the newest one without unknown
    // sources is enough.
    bool only_head;
    // Numbers a person gave up for lost: no hole where nothing is there. For the checkpoint that
    // writes them off.
    const uint64_t *lost;
    size_t n_lost;
};
MUST_CHECK bool log_read(struct repo *r, const char *chain, const struct log_opts *o,
                         struct log *out, struct err *err);
void log_clear(struct log *l);
// The same log was read for its head alone: would all of it be readable? Looks at those entries a
// run can afford to look at, others in the next runs. False, CORRUPT: what log_read says, and
// everybody else is told.
MUST_CHECK bool log_look(struct repo *r, const struct log *head, struct err *err);
const struct entry *log_find(const struct log *l, uint64_t seq); // the first of that number
const struct entry *log_find_hash(const struct log *l, uint64_t seq, const struct sha256 *hash);
// When the store says the file of a number was stored (the last of several); 0: unknown.
int64_t log_stored_at_ms(const struct log *l, uint64_t seq);

// Live: in the newest checkpoint's keep, or not below it. Waiting: in its wait. Void ones are dead.
enum standing { STANDING_LIVE, STANDING_WAITING, STANDING_DEAD };
enum standing log_standing(const struct log *l, const struct entry *e);
// The writer's word, outweighed by the newest verdict "good" or "bad"; of what is good then, what
// was attested after the newest "bad". An entry that was given up for lost may have been a "bad" on
// every snapshot before it, and what was written after a "bad" remembers it: what has no verdict
// above it is in doubt, and suspect.
enum goodness { SNAP_SUSPECT, SNAP_BAD, SNAP_GOOD, SNAP_VERIFIED, SNAP_DRILLED };
enum goodness log_goodness(const struct log *l, const struct entry *snapshot);
const char *goodness_name(enum goodness g);
bool log_is_in_doubt(const struct log *l, const struct entry *snapshot);
// In doubt because the newest checkpoint leaves out a verdict that others remember: its number. 0:
// not so.
uint64_t log_left_out(const struct log *l, const struct entry *snapshot);
// Of live ones that are not void; NULL: none.
const struct entry *log_newest_snapshot(const struct log *l);
const struct entry *log_newest_known(const struct log *l); // every source of it was known
const struct entry *log_latest_good(const struct log *l);  // what "latest" means
const struct entry *log_yardstick(const struct log *l);    // the newest good one, or in doubt
// The newest verdict of that kind about a snapshot; NULL: none.
const struct entry *log_verdict(const struct log *l, const struct entry *snapshot, enum verdict v);

// Commits e at head+1: fills repo, chain, seq, prev and trust; tool and time where they are empty;
// hash and signer. *made false: another was first, read the log again. Made, a copy of e is the
// last of the log. needs: every file the entry makes necessary (all full names). A key that may not
// sign such an entry: DENIED, with nothing written.
MUST_CHECK bool log_append(struct repo *r, struct log *l, struct entry *e, const struct signer *s,
                           const struct strv *needs, bool *made, struct err *err);
// The last step of whoever appended: is e in the log as it is read now? *counts false: a stale list
// led into a number that a checkpoint above had freed; read the log again.
MUST_CHECK bool log_confirm(struct repo *r, const struct entry *e, bool *counts, struct err *err);

// The index files of a snapshot and everything they stand on; verified by name. Reading them clear
// needs no key (k NULL).
struct batches {
    VEC(struct index) v; // objects set first, oldest first, the snapshot's own last; then git set
    VEC(struct sha256) names;
};
// Set in the repository for whoever looks at many snapshots of a chain, with its key or without: an
// index file that many of them stand on is read once.
struct index_memo *index_memo_new(void);
void index_memo_free(struct index_memo *m);
MUST_CHECK bool batches_read(struct repo *r, const char *chain, const struct entry *snapshot,
                             const struct chain_keys *k, struct batches *out, struct err *err);
void batches_clear(struct batches *b);
// Full names of all files a snapshot is read from, sorted, none twice: index files and packs.
MUST_CHECK bool snapshot_needs(struct repo *r, const struct log *l, const struct entry *snapshot,
                               struct strv *out, struct err *err);
// Those of the reports of its verdicts, appended: they live as long as it does, and none is needed
// to read it.
void snapshot_reports(const struct log *l, const struct entry *snapshot, struct strv *out);
// Is this entry a verdict on that snapshot, one that counts and has a report?
bool verdict_reports(const struct entry *e, const struct entry *snapshot);

#endif
