// SPDX-License-Identifier: Apache-2.0
//
// Index files (docs/repository-format.md section 5): what a batch holds. The
// clear line lets anyone list the packs a snapshot needs; the box needs the chain key.
#ifndef SNAPSHOT_INDEX_H
#define SNAPSHOT_INDEX_H

#include "snapshot/keys.h"
#include "snapshot/pack.h"

#define INDEX_MAX_BYTES (16U << 20)
#define INDEX_MAX_OVER 64
#define INDEX_MAX_PACKS 4096
#define INDEX_NO_PACK 0xFFFF

struct index_pack {
    struct sha256 id;
    uint64_t size; // stored
    char class;
    int git; // number of the Git pack its pieces belong to, ascending; -1: none (class not 'g')
};
struct index_record {
    struct blob_id id;
    uint32_t len;  // of an 'n' record: how many objects the application has
    uint16_t pack; // position in packs, or INDEX_NO_PACK
    char kind;     // of a blob, or: 'n' name of a list, whose record follows; 't' Git tip
};
struct index {
    uint8_t repo[16];
    char *chain;
    bool is_git; // set "git", else "objects"
    VEC(struct sha256) over;
    VEC(struct index_pack) packs;
    VEC(struct index_record) records; // in pack order; empty when opened without a key
    bool has_records;
    // How it is written, as the read flags allow (trust_index_version): 1 (or 0) plain, 2 records
    // compressed where that is shorter, 3 all of it. Set by the readers too.
    unsigned version;
    uint64_t size; // of the file; set by the readers
};
void index_clear(struct index *i);
void index_copy(const struct index *from, struct index *to); // to is empty
// Serialises with a fresh salt; name is the SHA-256 of out. INVALID when it could not be read
// again: more packs, batches or records than fit, records out of order.
MUST_CHECK bool index_write(const struct index *i, const struct chain_keys *k, struct buf *out,
                            struct sha256 *name, struct err *err);
// The clear line only (no key): packs and over. CORRUPT when off, or of another repository or
// chain. The caller has compared the name before.
MUST_CHECK bool index_read_clear(const void *p, size_t len, const uint8_t repo[16],
                                 const char *chain, struct index *out, struct err *err);
// The whole.
MUST_CHECK bool index_read(const void *p, size_t len, const uint8_t repo[16], const char *chain,
                           const struct chain_keys *k, struct index *out, struct err *err);

#endif
