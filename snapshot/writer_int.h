// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: the state of one writer.
//
//   writer.c         begin; what the snapshot shall hold
//   writer_check.c   what may be stood on is there, and whole
//   writer_packs.c   what is missing: packs, index files, each read back
//   writer_commit.c  what to stand on; the entry; doing it again when somebody was first
//   choose.c         which batches to stand on (pure)
#ifndef SNAPSHOT_WRITER_INT_H
#define SNAPSHOT_WRITER_INT_H

#include "snapshot/idmap.h"
#include "snapshot/proofs.h"
#include "snapshot/writer.h"

struct new_blob {
    struct blob_id id;
    char kind;
    uint32_t len;
    void *bytes;     // owned; NULL: a piece of a file
    uint32_t file;   // position in files
    uint64_t offset; // in it
    int git;         // number of the Git pack; -1
    bool is_salted;  // of the file is what is behind the salt
    uint32_t salt;   // position in salts
    bool is_missing; // decided for this attempt: in nothing we stand on
    bool is_mine;    // in a pack this run has written
};
struct note {
    struct blob_id name, list;
    uint32_t count;
};
// A pack this run wrote: it stays even when the entry has to be tried again.
struct my_pack {
    struct index_pack info;
    VEC(uint32_t) blobs; // in order
};
struct batch_state {
    // A file of it is damaged or missing, and so taken out of the batch in memory. Its index file
    // is never named again; what is left may be taken over into another.
    bool is_torn;
    bool is_drop; // for this attempt
};

struct writer {
    struct repo *r;
    struct writer_opts o;
    struct chain_keys keys;
    struct blob_namer *namer;
    struct log log;
    uint64_t prev_seq; // of the newest snapshot not void; 0: none
    struct batches batches;
    VEC(struct batch_state) states; // one a batch
    VEC(struct new_blob) blobs;
    struct strv files;
    VEC(struct file_salt) salts;
    char *piece;         // room to read one of a file, once any was read
    struct idmap wanted; // id -> position in blobs
    struct idmap lists;  // name -> position in known_lists: n records of the batches
    struct idmap tips;   // t records of the batches that stay if any may go
    // Tips of which somebody was told that they are there, and captured less for it: what leads to
    // them must be in what the entry stands on, also when the head has moved meanwhile.
    struct idmap relied;
    bool head_moved;  // since the capture
    bool needs_again; // the commit failed, and another run from the beginning would do
    VEC(struct note) known_lists;
    VEC(struct note) notes; // of this snapshot
    VEC(struct blob_id) new_tips;
    VEC(struct my_pack) mine;
    struct strv warnings;
    int64_t began_ms; // CLOCK_BOOTTIME: sleep counts
    uint64_t added;   // bytes of new files
    uint64_t indexed; // of these, of index files of this attempt
    uint64_t reread;
    struct proofs proofs;
    int64_t listed_ms; // CLOCK_BOOTTIME, when the store was last listed; 0: not yet
    bool has_damage;   // something that was to be there is not, or not whole
};

// Log and index files anew: what may be stood on. Used again after another writer was first.
MUST_CHECK bool writer_read_head(struct writer *w, struct err *err);
// What was read of the newest snapshot's batches is there, and whole as far as section 9 step 4
// asks; what is not is taken out of them, and told.
MUST_CHECK bool writer_check_stored(struct writer *w, struct err *err);
// Still, when some time has passed? *all_good false: less is left now.
MUST_CHECK bool writer_check_again(struct writer *w, bool *all_good, struct err *err);
// Content of its packs, opened.
uint64_t writer_batch_bytes(const struct index *x);
const struct entry *writer_newest(const struct writer *w, bool must_be_good);

// Marks what is in no batch that is kept; seals, stores and reads back packs for it.
MUST_CHECK bool writer_write_packs(struct writer *w, struct err *err);
// The index file of one set; *name is that of the newest snapshot's when nothing is new and it
// still stands on the same.
MUST_CHECK bool writer_write_index(struct writer *w, bool is_git, struct sha256 *name, bool *has,
                                   struct err *err);
// Stores a file named by its hash and reads it back. *good false: the store gave other bytes.
MUST_CHECK bool writer_store(struct writer *w, const char *folder, const struct sha256 *name,
                             const struct buf *bytes, bool *good, struct err *err);

#endif
