// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: reading the members of a JSON object whose shape is known. The first that is
// missing or out of its bounds is the error (CORRUPT); after that every read gives zero, so that a
// reader asks once, at its end. Unknown members are ignored (docs/repository-format.md section 15).
#ifndef SNAPSHOT_MEMBERS_H
#define SNAPSHOT_MEMBERS_H

#include <jansson.h>

#include "base/err.h"
#include "base/hash.h"

#define REPO_ID_BYTES 16
#define SHA256_HEX 64
#define MEMBER_MAX_UINT 9007199254740992U // 2^53: what every JSON reader keeps exactly

struct members {
    const json_t *o;
    struct err *err;
    bool is_bad;
};
struct members members_of(const json_t *o, struct err *err);
// What a member may be beyond its type. Sets the error once; always false.
bool member_bad(struct members *m, const char *key, const char *what);

uint64_t member_uint(struct members *m, const char *key, uint64_t min, uint64_t max);
bool member_bool(struct members *m, const char *key);
// A text of 1 to max bytes without control characters; borrowed, "" when bad.
const char *member_text(struct members *m, const char *key, size_t max);
// The same, NULL where the member is null or absent.
const char *member_text_or_null(struct members *m, const char *key, size_t max);
// One of the names; its position.
size_t member_choice(struct members *m, const char *key, const char *const *names, size_t n);
// Exactly 2 * len digits of lower-case hex.
void member_hex(struct members *m, const char *key, void *out, size_t len);
// The same; false and zeros where the member is null or absent.
bool member_hex_or_null(struct members *m, const char *key, void *out, size_t len);
// An array of at most max elements, an object; borrowed, NULL when bad.
const json_t *member_array(struct members *m, const char *key, size_t max);
const json_t *member_object(struct members *m, const char *key);

// Lower-case hex of exactly len bytes.
bool hex_is_lower(const char *s, size_t len);
bool hex_decode_lower(const char *s, void *out, size_t len);

// One JSON text. Not one, a member twice, deeper than 32, a string above 64 KiB: CORRUPT. Owned.
MUST_CHECK bool bounded_json(const void *p, size_t len, json_t **out, struct err *err);

#endif
