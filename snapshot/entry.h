// SPDX-License-Identifier: Apache-2.0
//
// Entries of a chain's log (docs/repository-format.md section 6): snapshot
// (the manifest), checkpoint, verdict. Parsed only after their signature held.
#ifndef SNAPSHOT_ENTRY_H
#define SNAPSHOT_ENTRY_H

#include "base/vec.h"
#include "snapshot/pack.h"
#include "snapshot/signed.h"

#define ENTRY_MAX_BYTES (1U << 20)
#define ENTRY_MAX_SEQ 9999999999U
#define ENTRY_MAX_PREV 64
#define ENTRY_MAX_BAD 256 // the newest: a chain with more of them has other troubles
#define EPOCH_MAX 9999

enum entry_kind { ENTRY_SNAPSHOT, ENTRY_CHECKPOINT, ENTRY_VERDICT };
enum verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_VERIFIED, VERDICT_DRILLED };
const char *entry_kind_name(enum entry_kind k); // and the type of its signed line
const char *verdict_name(enum verdict v);

struct seq_hash {
    uint64_t seq;
    struct sha256 hash;
    uint64_t since; // wait: seq of the checkpoint that first dropped it; bad: of the verdict
};
struct seq_hashes { // as VEC makes them
    struct seq_hash *v;
    size_t len, cap;
};

// By seq, then hash: for qsort and bsearch.
int seq_hash_order(const void *a, const void *b);

struct snapshot_entry {
    unsigned epoch;
    char *cluster;   // kube-system uid, or NULL
    bool is_good;    // state
    struct strv why; // codes: "unknown-source", "shrunk-objects" …
    struct {
        uint64_t apps, objects, sources, unknown, secrets, refs;
    } counts;
    struct {
        uint64_t content, stored, added;
    } bytes;
    struct blob_id root;
    struct sha256 objects, git; // index files
    bool has_git;
    struct {
        uint64_t reread, present;
    } check;
    char *origin;         // copied from another repository: "<repo> <chain> <seq>", or NULL
    struct sha256 export; // … out of an export with these checksums
    bool has_export;
    int64_t taken_unix_s; // of a copy: what its original's signer said; 0: as the entry's own time
};
struct checkpoint_entry {
    struct seq_hashes keep, wait; // ascending by seq and hash, each below the checkpoint
    VEC(uint64_t) sweep;          // ascending: all of that number that are not in keep or wait
    uint64_t lost;                // highest number given up that may have held a verdict; 0: none
    char *rule;                   // how keep was chosen, for people
};
struct verdict_entry {
    struct seq_hash of;
    enum verdict verdict;
    char *why;
    struct sha256 report; // pack name
    bool has_report;
};

// What a snapshot or a verdict remembers of those before it, so that no checkpoint can leave it
// out.
struct remembered {
    struct seq_hashes bad; // called bad by a verdict, of the number `since`; as in wait
    bool has_bad;          // says it at all: entries of earlier versions do not
    uint64_t lost;         // as that of a checkpoint; 0: none
};

struct entry {
    enum entry_kind kind;
    uint8_t repo[16];
    char *chain;
    uint64_t seq;
    VEC(struct sha256) prev;
    unsigned trust;
    int64_t time_unix_s; // the signer's claim
    char *tool;
    struct snapshot_entry snapshot;
    struct checkpoint_entry checkpoint;
    struct verdict_entry verdict;
    struct remembered remembered; // of a snapshot or a verdict
    // Set by the reader of the log:
    struct sha256 hash; // of the whole file
    struct key_id signer;
    int64_t stored_at_ms; // by the store's clock; 0 unknown
    bool is_void;         // signed by a key revoked before it
};
void entry_clear(struct entry *e);
// When what it holds was written, as whoever signed it said; of a copy, of the original.
int64_t entry_taken_s(const struct entry *e);
// The file: signed line with one signature. INVALID when it could not be read again, above
// ENTRY_MAX_BYTES say.
MUST_CHECK bool entry_write(const struct entry *e, const struct signer *s, struct buf *out,
                            struct sha256 *hash, struct err *err);
// Takes an entry apart by its grammar alone (signed_split), and says what it claims to be.
MUST_CHECK bool entry_split(const void *p, size_t len, enum entry_kind *kind,
                            struct signed_line *out, struct err *err);
// From a verified line's JSON. CORRUPT when a member is missing or out of bounds.
MUST_CHECK bool entry_parse(enum entry_kind kind, const json_t *body, struct entry *out,
                            struct err *err);

#endif
