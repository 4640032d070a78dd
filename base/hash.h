// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 over OpenSSL, and hex.
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint8_t b[32];
};

struct sha256 sha256_of(const void *p, size_t len);
// Running hash: sha256_add any number of times, then sha256_end (which frees it).
struct sha256_ctx;
struct sha256_ctx *sha256_begin(void);
void sha256_add(struct sha256_ctx *c, const void *p, size_t len);
void sha256_add_str(struct sha256_ctx *c, const char *s); // with its NUL, NULL as ""
struct sha256 sha256_end(struct sha256_ctx *c);
bool sha256_eq(const struct sha256 *a, const struct sha256 *b);
// Lower-case hex of len bytes, owned.
char *hex_encode(const void *p, size_t len);
// Decodes exactly 2*len hex digits.
bool hex_decode(const char *s, void *out, size_t len);

#endif
