// SPDX-License-Identifier: Apache-2.0
//
// Writing one snapshot (docs/repository-format.md section 9). The order of
// writing is the crash order: packs, index, read-back, entry. No locks.
//
// Life: writer_begin (trust, head, index files of what it may stand on; a cluster that is not the
// chain's is refused before anything is written), writer_add… for every blob of the snapshot,
// writer_commit, writer_free. Content stays where it is (memory for blobs, files for pieces) until
// commit: a batch that is not stood on is written again from it.
#ifndef SNAPSHOT_WRITER_H
#define SNAPSHOT_WRITER_H

#include "snapshot/repo.h"

struct writer_opts {
    const struct credential *job; // recipient, K, writer key, chain
    const char *cluster;          // kube-system uid, or NULL
    bool adopt_chain;             // another cluster's uid is accepted
    uint64_t restored_head;       // this cluster was restored from the chain, of which that was the
                                  // newest snapshot then: it goes on behind it. 0: it was not
    bool full;                    // stand on nothing
    const char *index_cache;      // folder of index files by name, or NULL
};
struct writer;
MUST_CHECK bool writer_begin(struct repo *r, const struct writer_opts *o, struct writer **out,
                             struct err *err);
void writer_free(struct writer *w);
CLEANUP_FN(struct writer, writer_free, writer_freep);

// The newest snapshot not void this one follows; NULL: the first. Borrowed.
const struct entry *writer_previous(const struct writer *w);
const struct log *writer_log(const struct writer *w); // its head, borrowed
const struct entry *writer_last_good(const struct writer *w);
// What a new one is measured by: the newest good one, or one in doubt. NULL: none.
const struct entry *writer_yardstick(const struct writer *w);
// The newest one of which every source was known; NULL: none.
const struct entry *writer_last_known(const struct writer *w);
// May lists have pages? As the repository's read flags say.
bool writer_may_page(const struct writer *w);
bool writer_may_salt(const struct writer *w); // salted pieces (kind h)
// What the store had lost or damaged, one line each. Borrowed.
const struct strv *writer_warnings(const struct writer *w);
// The list that had that name in the newest snapshot (its n record: "repository URL", an
// application's name …), and the count noted with it.
bool writer_known_list(const struct writer *w, const char *name, struct blob_id *list,
                       uint32_t *count);
// Is this Git tip, with all that leads to it, in a batch that will be stood on (t record)? Once the
// answer was yes such a batch cannot be written again: one that is lost meanwhile fails the commit
// (writer_needs_again).
bool writer_known_tip(struct writer *w, const char *hex);

// A blob of kinds r l o k s; bytes are copied. The same blob twice is one.
struct blob_id writer_add(struct writer *w, char kind, const void *p, size_t len);
// What a file must be salted with whose bytes might be guessed one by one: slow to make, and to be
// made only by who knows all that is given. False: this repository has no such pieces.
struct file_salt {
    uint8_t b[BLOB_SALT_BYTES];
};
bool writer_salt(struct writer *w, const void *of, size_t len, struct file_salt *out);
// A file as pieces of kind 'f' or (with git >= 0, number of the Git pack) 'g', read again at
// commit: it must stay as it is until then. With a salt, of kind 'h'. *out:
// {"size","sha256","blobs":[…]}, owned.
MUST_CHECK bool writer_add_file(struct writer *w, const char *path, int git,
                                const struct file_salt *salt, json_t **out, struct err *err);
// A blob of which a copy lies in a file, from that offset on, as that file must stay until commit:
// nothing of it is kept in memory.
struct blob_id writer_add_lying(struct writer *w, char kind, const void *p, size_t len,
                                const char *path, uint64_t offset);
// As writer_add_file, from memory (copied).
json_t *writer_add_bytes(struct writer *w, const void *p, size_t len, const struct file_salt *salt);
// Names a list of this snapshot, so that the next run finds it without being able to read it.
void writer_note_list(struct writer *w, const char *name, const struct blob_id *list,
                      uint32_t count);
void writer_note_tip(struct writer *w, const char *hex);

// What the snapshot is, except for what the writer fills: epoch, objects, git, bytes, check.
// Commits and reads back. Afterwards *out is the entry as stored.
MUST_CHECK bool writer_commit(struct writer *w, struct snapshot_entry *s, struct entry *out,
                              struct err *err);
// Why the commit failed: what was captured leans on what is not there any more, since another run
// dropped it or the store lost it. A new capture mends that.
bool writer_needs_again(const struct writer *w);
// Was something lost or damaged that the newest snapshot needs? So far: at the beginning.
bool writer_found_damage(const struct writer *w);

// ---- which batches to stand on (pure; section 9 step 5) ----
struct batch_use { // of one set, oldest first
    uint64_t bytes, needed;
    bool is_drop; // decided
};
void choose_batches(struct batch_use *b, size_t n, bool is_git, bool may_drop);

#endif
