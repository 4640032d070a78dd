// SPDX-License-Identifier: Apache-2.0
//
// Reading the content of one snapshot. Packs are fetched when first needed,
// checked against their name, opened, and a few are kept in memory.
#ifndef SNAPSHOT_READER_H
#define SNAPSHOT_READER_H

#include "snapshot/repo.h"

struct reader;
// The identity of the snapshot's epoch opens it. identity and repo are lent for the reader's life.
MUST_CHECK bool reader_open(struct repo *r, const char *chain, const struct entry *snapshot,
                            const struct age_identity *identity, struct reader **out,
                            struct err *err);
void reader_free(struct reader *r);
CLEANUP_FN(struct reader, reader_free, reader_freep);

// Content that lies elsewhere than in a repository, read by the same functions: but for
// reader_each, which is about packs. It recomputes ids by itself.
typedef bool (*reader_sink_fn)(void *ctx, const void *p, size_t len, struct err *err);
struct reader_ops {
    char (*kind)(void *ctx, const struct blob_id *id); // 0: it is not there
    bool (*blob)(void *ctx, const struct blob_id *id, struct buf *out, struct err *err);
    size_t (*git_count)(void *ctx);
    bool (*git_pack)(void *ctx, size_t i, reader_sink_fn sink, void *sink_ctx, struct err *err);
};
struct reader *reader_over(const struct reader_ops *ops, void *ctx, const struct blob_id *root);

char reader_kind(const struct reader *r, const struct blob_id *id); // 0: it is not there
// The bytes of one blob, its id recomputed. Not in the index: CORRUPT.
MUST_CHECK bool reader_blob(struct reader *r, const struct blob_id *id, char *kind, struct buf *out,
                            struct err *err);
MUST_CHECK bool reader_json(struct reader *r, const struct blob_id *id, char kind, json_t **out,
                            struct err *err);
MUST_CHECK bool reader_root(struct reader *r, json_t **out, struct err *err);
// A file description {"size":n,"sha256":hex,"blobs":[…]}: pieces in order to sink, then size and
// hash are checked.
MUST_CHECK bool reader_file(struct reader *r, const json_t *file, reader_sink_fn sink, void *ctx,
                            struct err *err);
// Git packs in force (docs/repository-format.md section 5), oldest first: how many; what one is
// called in every snapshot that has it ("index file/number", borrowed); its bytes in order to sink.
size_t reader_git_count(const struct reader *r);
const char *reader_git_name(const struct reader *r, size_t i);
MUST_CHECK bool reader_git_pack(struct reader *r, size_t i, reader_sink_fn sink, void *ctx,
                                struct err *err);
// Every blob of every pack in turn (verify, copy). progress in content bytes.
struct reader_stats {
    uint64_t packs, blobs, content, stored;
};
typedef bool (*reader_blob_fn)(void *ctx, const struct blob_id *id, char kind, const void *p,
                               size_t len, struct err *err);
MUST_CHECK bool reader_each(struct reader *r, reader_blob_fn blob, void *ctx,
                            struct reader_stats *stats, struct err *err);
// The same for packs that are wanted.
MUST_CHECK bool reader_each_new(struct reader *r,
                                bool (*wants)(void *ctx, const struct sha256 *pack),
                                reader_blob_fn blob, void *ctx, struct reader_stats *stats,
                                struct err *err);

// ---- verify (section 12) ----
enum verify_level { VERIFY_NAMES, VERIFY_CHAIN, VERIFY_INDEX, VERIFY_CONTENT }; // V0..V3
struct verify_result {
    uint64_t snapshots, files, packs, blobs, git_objects;
    uint64_t content_bytes, stored_bytes;
    int64_t ms;
    enum verify_level level;  // what was proved
    struct strv problems;     // one line each, naming file and the snapshots it harms; slots and
                              // reports of drills harm none
    VEC(uint64_t) harmed;     // seqs of live snapshots that cannot be restored whole
    size_t slots, slots_lost; // ways to open the newest epoch, and how many of them are not whole
    VEC(uint64_t) unopened;   // of an epoch that no identity opens: their bytes were compared
};
void verify_result_clear(struct verify_result *v);
struct verify_opts {
    const struct age_identities *identities; // NULL: V1 (or V2 with k)
    const struct chain_keys *k;
    uint64_t only_seq; // 0: all live snapshots
    bool quick;        // presence and size of packs only, no bytes read
    bool is_restore;   // only what it is read from: neither slots nor reports of drills
};
// Goes on after a bad file, so that the result names everything. False only when the log itself
// cannot be trusted or the store does not answer.
MUST_CHECK bool repo_verify(struct repo *r, const struct log *l, const struct verify_opts *o,
                            struct verify_result *out, struct err *err);

#endif
