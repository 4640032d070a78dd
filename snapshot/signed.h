// SPDX-License-Identifier: Apache-2.0
//
// Signed lines (docs/repository-format.md section 6). Line 1 is one JSON
// object that begins {"type":"regrow <what> v1", then 1..8 lines "<key id> <signature>" in
// ascending order of key id. Reading never parses JSON before a signature held: size bound, fixed
// grammar, type prefix, key known, signature, only then the parser.
#ifndef SNAPSHOT_SIGNED_H
#define SNAPSHOT_SIGNED_H

#include <jansson.h>

#include "base/err.h"
#include "snapshot/crypto.h"

#define KEY_ID_HEX 16
#define MAX_SIGNATURES 8

struct key_id {
    char hex[KEY_ID_HEX + 1];
};
struct key_id key_id_of(const uint8_t public[KEY_BYTES]);

struct signed_sig {
    struct key_id key;
    uint8_t sig[SIG_BYTES];
};
// A signed line taken apart by its grammar alone; body points into the bytes it was read from.
struct signed_line {
    const char *body; // with its '\n'
    size_t body_len;
    struct signed_sig sigs[MAX_SIGNATURES];
    size_t n_sigs;
};
// type: "snapshot", "trust" … as in {"type":"regrow trust v1",. Anything off: CORRUPT. It says what
// the line is, and nothing yet about who wrote it.
MUST_CHECK bool signed_split(const void *p, size_t len, size_t max_bytes, const char *type,
                             struct signed_line *out, struct err *err);
// Does one of the signatures come from this key and hold?
bool signed_by(const struct signed_line *s, const uint8_t public[KEY_BYTES]);
// The body as JSON; only after signed_by. Depth 32, strings 64 KiB, no member twice. Owned.
MUST_CHECK bool signed_json(const struct signed_line *s, json_t **out, struct err *err);

struct signer {
    uint8_t seed[KEY_BYTES];
    uint8_t public[KEY_BYTES];
};
void signer_new(struct signer *s);
void signer_from_seed(const uint8_t seed[KEY_BYTES], struct signer *s);
void signer_wipe(struct signer *s);
// Writes body (keys sorted, without blanks, "type" first; it must not have one of its own) and one
// line for each of 1..8 different signers to out.
void signed_write(const char *type, const json_t *body, const struct signer *signers, size_t n,
                  struct buf *out);
// One signature more on a line that has 1 to 7 others. Of a key that signed already: nothing; one
// of that key which does not hold is replaced.
MUST_CHECK bool signed_add(const char *type, size_t max_bytes, const struct signer *s,
                           struct buf *file, struct err *err);

#endif
