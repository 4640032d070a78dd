// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: what an export carries for `snapshot import` beyond what people need
// (docs/export.md), as the one that writes it and the one that reads it know it.
//
// Lists of the snapshot stand in it as they are, but their references are ids without a key: of a
// root, list, object or piece of a file the hash of what it is; of Secrets the place where they
// stand, so that nothing tells whether a guess is right.
#ifndef SNAPSHOT_EXPORT_FORM_H
#define SNAPSHOT_EXPORT_FORM_H

#include "snapshot/pack.h"
#include "snapshot/trust.h"

#define FORM_DIR "import/"
#define FORM_ABOUT FORM_DIR "about.json" // one JSON text, see struct form_about
#define FORM_ENTRY FORM_DIR "entry"      // the entry of the log, signed, as it is stored
#define FORM_ROOT FORM_DIR "root"        // a line
#define FORM_LISTS FORM_DIR "lists"      // a line each, what is named before what names it
#define FORM_OBJECTS FORM_DIR "objects"  // a line each
#define FORM_SECRETS FORM_DIR "secrets/" // NNNN.age: sealed_blob after sealed_blob
#define FORM_FILES FORM_DIR "files/"     // pieces that are in no other file
#define FORM_GIT FORM_DIR "git/"         // bundles of refs that are in no other bundle
#define FORM_SUMS "SHA256SUMS"
#define FORM_SIGNED "SHA256SUMS.signed"
#define FORM_TYPE "regrow import v1"

#define FORM_SEALED_BYTES BLOB_MAX_BYTES // a file of Secrets is closed when it holds so much …
#define FORM_SEALED_MAX (2 * FORM_SEALED_BYTES + 64) // … and has one more blob at most

struct blob_id form_id(char kind, const void *p, size_t len);
// Of the n-th blob of Secrets, from 0.
struct blob_id form_secret_id(size_t n);
// Can it stand in a line of SHA256SUMS, and in a tar that anybody unpacks?
bool form_name_is_plain(const char *name);

// What stands in a file of Secrets before each blob: "k 1234\n".
void form_secret_head(char kind, size_t len, struct buf *out);
// Reads one head and the blob behind it: *at moves behind both. CORRUPT when it is none.
struct form_secret {
    char kind;
    size_t offset, len; // of the blob in p
};
MUST_CHECK bool form_secret_next(const char *p, size_t len, size_t *at, struct form_secret *out,
                                 struct err *err);

// What a key that may vouch for an export of that chain is: "admin", or a "writer" or "judge" of it
// that is not revoked; its label. NULL: it may not. Borrowed.
const char *form_signer(const struct trust *t, const uint8_t public[KEY_BYTES], const char *chain,
                        const char **label);

struct form_about {
    bool has_secrets; // else they were left out
    bool is_bad;      // a judge had said so
};
void form_about_write(const struct form_about *a, struct buf *out);
// CORRUPT when it is none; of another version: INVALID.
MUST_CHECK bool form_about_parse(const void *p, size_t len, struct form_about *out,
                                 struct err *err);

// Ids of the pieces of a file that comes by and by: cut as writer_add_file cuts.
struct form_pieces {
    struct sha256_ctx *hash; // of the piece at hand; NULL: none begun
    size_t left;             // of it
    VEC(struct blob_id) ids;
};
void form_pieces_add(struct form_pieces *f, const void *p, size_t len);
void form_pieces_end(struct form_pieces *f);
void form_pieces_clear(struct form_pieces *f);

#endif
