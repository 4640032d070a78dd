// SPDX-License-Identifier: Apache-2.0
//
// The few primitives of the repository format (docs/repository-format.md
// section 3), all from OpenSSL. Nothing here can fail for reasons a caller could mend except where
// a bool is returned; a library that refuses its own algorithms aborts.
//
// Secrets live in plain arrays and buffers and are wiped by whoever holds them. A buffer that is
// to hold a secret is given its room first (buf_reserve): growing would leave a copy behind.
#ifndef SNAPSHOT_CRYPTO_H
#define SNAPSHOT_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SIG_BYTES 64

void crypto_random(void *p, size_t len);
void crypto_wipe(void *p, size_t len);                    // not optimised away
bool crypto_eq(const void *a, const void *b, size_t len); // constant time
// Wiped and freed; the CLEANUP helper of buffers that hold a secret.
void buf_wipe(struct buf *b);

// HKDF-SHA-256 with 32 bytes out. salt NULL: none (32 zero bytes, RFC 5869).
void hkdf_sha256(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
                 const char *info, uint8_t out[KEY_BYTES]);

// A keyed HMAC-SHA-256 context, reused: hmac_begin, hmac_add any number of times, hmac_end.
struct hmac;
struct hmac *hmac_new(const uint8_t *key, size_t key_len);
void hmac_free(struct hmac *h);
CLEANUP_FN(struct hmac, hmac_free, hmac_freep);
void hmac_begin(struct hmac *h);
void hmac_add(struct hmac *h, const void *p, size_t len);
void hmac_end(struct hmac *h, uint8_t out[KEY_BYTES]);

// scrypt with r = 8, p = 1; takes scrypt_memory_bytes(log_n), and may take no more. log_n is at
// most SCRYPT_MAX_LOG_N, and the caller has refused a larger one before. False: there is not so
// much memory.
#define SCRYPT_MAX_LOG_N 22
uint64_t scrypt_memory_bytes(unsigned log_n);
MUST_CHECK bool scrypt_derive(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                              unsigned log_n, uint8_t out[KEY_BYTES]);

// ChaCha20-Poly1305 of up to 1 GiB. Seal appends len + 16 bytes. Open demands the whole tag and
// appends nothing unless it held.
void aead_seal(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES], const void *ad,
               size_t ad_len, const void *in, size_t len, struct buf *out);
MUST_CHECK bool aead_open(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                          const void *ad, size_t ad_len, const void *in, size_t len,
                          struct buf *out);

void x25519_public(const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES]);
// False on a low-order share.
MUST_CHECK bool x25519_shared(const uint8_t secret[KEY_BYTES], const uint8_t peer[KEY_BYTES],
                              uint8_t out[KEY_BYTES]);

void ed25519_public(const uint8_t seed[KEY_BYTES], uint8_t out[KEY_BYTES]);
void ed25519_sign(const uint8_t seed[KEY_BYTES], const void *msg, size_t len,
                  uint8_t sig[SIG_BYTES]);
// Anything may be given for a public key, but only one that is trusted proves anything: keys of low
// order verify every message.
MUST_CHECK bool ed25519_verify(const uint8_t public[KEY_BYTES], const void *msg, size_t len,
                               const uint8_t sig[SIG_BYTES]);

#endif
