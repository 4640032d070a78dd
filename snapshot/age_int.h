// SPDX-License-Identifier: Apache-2.0
//
// Private to age*.c and their tests: the header of an age file taken apart, armor, and sealing with
// randomness from outside, so that vectors are the same bytes every time.
#ifndef SNAPSHOT_AGE_INT_H
#define SNAPSHOT_AGE_INT_H

#include "snapshot/age.h"

#define AGE_WRAPPED_BYTES (AGE_FILE_KEY_BYTES + TAG_BYTES)
#define AGE_SALT_BYTES 16
#define AGE_MAC_BYTES 32

enum age_stanza_kind { AGE_STANZA_OTHER, AGE_STANZA_X25519, AGE_STANZA_SCRYPT };
struct age_stanza {
    enum age_stanza_kind kind;
    const char *type; // first argument, in the bytes of the file
    size_t type_len;
    // Of the kinds we know:
    uint8_t share[KEY_BYTES];     // X25519
    uint8_t salt[AGE_SALT_BYTES]; // scrypt
    unsigned log_n;               // scrypt, 1..AGE_MAX_LOG_N
    uint8_t wrapped[AGE_WRAPPED_BYTES];
};
struct age_header {
    struct age_stanza stanzas[AGE_MAX_STANZAS];
    size_t n;
    size_t mac_len; // what the MAC covers, from the start of the file
    uint8_t mac[AGE_MAC_BYTES];
    size_t len; // the payload follows
};
// Grammar and the arguments of the kinds we know; anything off is CORRUPT. Nothing is allocated.
MUST_CHECK bool age_header_parse(const char *p, size_t len, struct age_header *out,
                                 struct err *err);

bool age_is_armored(const char *p, size_t len);
MUST_CHECK bool age_unarmor(const char *p, size_t len, struct buf *out, struct err *err);

// What sealing and opening share (age.c).
#define AGE_CHUNK_BYTES 65536
#define AGE_PAYLOAD_NONCE_BYTES 16
void age_x25519_wrap_key(const uint8_t shared[KEY_BYTES], const uint8_t share[KEY_BYTES],
                         const uint8_t public[KEY_BYTES], uint8_t out[KEY_BYTES]);
MUST_CHECK bool age_scrypt_wrap_key(const char *passphrase, const uint8_t salt[AGE_SALT_BYTES],
                                    unsigned log_n, uint8_t out[KEY_BYTES], struct err *err);
void age_header_mac(const uint8_t file_key[AGE_FILE_KEY_BYTES], const void *p, size_t len,
                    uint8_t mac[AGE_MAC_BYTES]);
void age_stream_key(const uint8_t file_key[AGE_FILE_KEY_BYTES],
                    const uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES], uint8_t key[KEY_BYTES]);
void age_chunk_nonce(uint64_t i, bool is_last, uint8_t out[NONCE_BYTES]);

typedef void (*age_random_fn)(void *ctx, void *p, size_t len);
struct age_random { // file key, then what each recipient needs, then the payload's nonce
    age_random_fn fn;
    void *ctx;
};
MUST_CHECK bool age_seal_with(const struct age_random *random,
                              const uint8_t (*recipients)[KEY_BYTES], size_t n, const void *in,
                              size_t len, struct buf *out, uint8_t file_key[AGE_FILE_KEY_BYTES],
                              struct err *err);
MUST_CHECK bool age_seal_passphrase_with(const struct age_random *random, const char *passphrase,
                                         unsigned log_n, const void *in, size_t len,
                                         struct buf *out, struct err *err);

#endif
