// SPDX-License-Identifier: Apache-2.0
//
// Blobs and packs (docs/repository-format.md section 4). A pack is
// age( zstd frames ‖ skippable frame with the table ): `age -d | zstd -dc` prints its content.
#ifndef SNAPSHOT_PACK_H
#define SNAPSHOT_PACK_H

#include "base/hash.h"
#include "snapshot/age.h"

#define BLOB_MAX_BYTES (8U << 20)  // one blob, and one opened pack
#define PACK_MAX_BYTES (10U << 20) // stored
#define PACK_MAX_BLOBS 262144U

struct blob_id {
    uint8_t b[16];
};
bool blob_id_eq(const struct blob_id *a, const struct blob_id *b);
void blob_id_hex(const struct blob_id *id, char out[33]);
MUST_CHECK bool blob_id_parse(const char *hex, struct blob_id *out);

// Kinds: 'r' root, 'l' list, 'o' object, 'f' file piece, 'h' the same behind its salt, 'g' Git pack
// piece, 'k' unguessable Secret, 's' pooled Secrets. Index only: 'n' application name, 't' Git tip.
bool blob_kind_is_valid(char kind); // one that has content
char blob_class(char kind);         // 'o', 'f', 'g', 's'; 0: no kind that has content

// Computes ids under one chain's id key, of all kinds; holds a reused HMAC context. An id of kind s
// costs about 50 ms and 16 MiB.
struct blob_namer;
struct blob_namer *blob_namer_new(const uint8_t id_key[KEY_BYTES]);
void blob_namer_free(struct blob_namer *n);
CLEANUP_FN(struct blob_namer, blob_namer_free, blob_namer_freep);
struct blob_id blob_name(struct blob_namer *n, char kind, const void *p, size_t len);
// The same every time, costs as much as an id of kind s, and takes all of those bytes.
#define BLOB_SALT_BYTES 32
void blob_salt(const struct blob_namer *n, const void *p, size_t len, uint8_t out[BLOB_SALT_BYTES]);
// What a blob of a kind that files consist of holds of one; *len is made to fit. NULL: it is none.
const char *blob_of_file(char kind, const char *p, size_t *len);

struct pack_entry {
    char kind;
    uint32_t len;
};

// Builds one pack of one class.
struct pack_builder;
struct pack_builder *pack_builder_new(char class);
void pack_builder_free(struct pack_builder *b);
CLEANUP_FN(struct pack_builder, pack_builder_free, pack_builder_freep);
// The table may be compressed, where the repository's read flags say so (TRUST_ZSTD_ROWS).
void pack_zstd_rows(struct pack_builder *b, bool may);
// Would these bytes still fit? What fits stays below the stored bound too, but for class s: Secrets
// of a few bytes each, a frame for every one, would not (pack_seal says so).
bool pack_fits(const struct pack_builder *b, size_t len);
// Copies. A blob has at least one byte and fits; its kind is of the pack's class.
void pack_add(struct pack_builder *b, char kind, const void *p, size_t len);
size_t pack_content_bytes(const struct pack_builder *b);
// Seals to the recipient, opens the result again from memory with its file key and compares every
// blob, then names it; appended to out. Not for an empty builder; it is empty afterwards, whatever
// the result. A mismatch is INTERNAL, a pack above PACK_MAX_BYTES INVALID.
MUST_CHECK bool pack_seal(struct pack_builder *b, const uint8_t recipient[KEY_BYTES],
                          struct buf *out, struct sha256 *name, struct err *err);

// An opened pack: content and table. One that was opened before may be given again: its memory is
// used again, which saves a third of the time. pack_clear wipes.
struct pack {
    struct buf content;
    struct buf stream;              // private: what age gave
    VEC(struct pack_entry) entries; // offsets are sums of earlier lengths
};
// Bounds first; anything off is CORRUPT, a second recipient too; no identity that fits DENIED. The
// caller has compared the name before.
MUST_CHECK bool pack_open(const struct age_keys *keys, const void *p, size_t len, struct pack *out,
                          struct err *err);
// The zstd part alone (after age): for the builder's own check and for fuzzing.
MUST_CHECK bool pack_parse(const void *p, size_t len, struct pack *out, struct err *err);
void pack_clear(struct pack *p);

#endif
