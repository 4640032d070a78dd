// SPDX-License-Identifier: Apache-2.0
//
// Bytes in tests: hex, and randomness that is the same every time.
#ifndef TESTS_SNAPSHOT_BYTES_H
#define TESTS_SNAPSHOT_BYTES_H

#include "base/hash.h"
#include "snapshot/age_int.h"
#include "tests/test.h"

static inline void unhex(const char *hex, void *out, size_t len)
{
    if (!hex_decode(hex, out, len))
        fail_msg("not %zu bytes of hex: %s", len, hex);
}

static inline void assert_hex(const void *p, size_t len, const char *hex)
{
    CLEANUP(str_freep) char *got = hex_encode(p, len);
    assert_string_equal(got, hex);
}

// Byte i of the stream `seed`: SHA-256(seed ‖ counter), block after block.
struct fixed_random {
    const char *seed;
    uint32_t at;
};

static inline void fixed_random_fn(void *ctx, void *p, size_t len)
{
    struct fixed_random *r = ctx;
    uint8_t *out = p;
    for (size_t i = 0; i < len; i++, r->at++) {
        CLEANUP(str_freep) char *block = str_printf("%s %u", r->seed, r->at / 32);
        out[i] = sha256_of(block, strlen(block)).b[r->at % 32];
    }
}

static inline void fixed_key(const char *seed, uint8_t out[KEY_BYTES])
{
    struct fixed_random r = {.seed = seed};
    fixed_random_fn(&r, out, KEY_BYTES);
}

#endif
