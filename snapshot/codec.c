// SPDX-License-Identifier: Apache-2.0
#include "snapshot/codec.h"

#include <assert.h>
#include <string.h>

#define CHECKSUM_DIGITS 6
#define KEY_DIGITS 52 // 256 bits and 4 zero bits in groups of 5

static const char bech32_digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t checksum_add(uint32_t sum, unsigned digit)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ digit;
    for (unsigned i = 0; i < 5; i++)
        if (top >> i & 1)
            sum ^= generator[i];
    return sum;
}

static uint32_t checksum_of_prefix(const char *prefix)
{
    uint32_t sum = 1;
    for (const char *p = prefix; *p; p++)
        sum = checksum_add(sum, (unsigned char)*p >> 5);
    sum = checksum_add(sum, 0);
    for (const char *p = prefix; *p; p++)
        sum = checksum_add(sum, (unsigned char)*p & 31);
    return sum;
}

// Digit i of the key's bits, most significant first.
static unsigned key_digit(const uint8_t key[KEY_BYTES], unsigned i)
{
    unsigned bit = i * 5;
    unsigned two = (unsigned)key[bit / 8] << 8;
    if (bit / 8 + 1 < KEY_BYTES)
        two |= key[bit / 8 + 1];
    return two >> (11 - bit % 8) & 31;
}

void bech32_encode(const char *prefix, const uint8_t key[KEY_BYTES], char out[BECH32_MAX_CHARS + 1])
{
    size_t n = strlen(prefix);
    assert(n + 1 + KEY_DIGITS + CHECKSUM_DIGITS <= BECH32_MAX_CHARS);
    memcpy(out, prefix, n);
    out[n++] = '1';
    uint32_t sum = checksum_of_prefix(prefix);
    for (unsigned i = 0; i < KEY_DIGITS; i++) {
        unsigned d = key_digit(key, i);
        sum = checksum_add(sum, d);
        out[n++] = bech32_digits[d];
    }
    for (unsigned i = 0; i < CHECKSUM_DIGITS; i++)
        sum = checksum_add(sum, 0);
    sum ^= 1;
    for (unsigned i = 0; i < CHECKSUM_DIGITS; i++)
        out[n++] = bech32_digits[sum >> (25 - 5 * i) & 31];
    out[n] = '\0';
}

// Lower case of a text that is all in one case, no longer than a key may be.
static bool one_case(const char *text, size_t len, char lower[BECH32_MAX_CHARS])
{
    bool has_lower = false;
    bool has_upper = false;
    if (len > BECH32_MAX_CHARS)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool is_upper = text[i] >= 'A' && text[i] <= 'Z';
        has_upper |= is_upper;
        has_lower |= text[i] >= 'a' && text[i] <= 'z';
        lower[i] = is_upper ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    return !(has_lower && has_upper);
}

static bool decode_digits(const char *s, uint32_t sum, uint8_t key[KEY_BYTES])
{
    unsigned bits = 0;
    unsigned v = 0;
    size_t n = 0;
    for (unsigned i = 0; i < KEY_DIGITS + CHECKSUM_DIGITS; i++) {
        const char *at = s[i] ? strchr(bech32_digits, s[i]) : NULL;
        if (!at)
            return false;
        unsigned d = (unsigned)(at - bech32_digits);
        sum = checksum_add(sum, d);
        if (i >= KEY_DIGITS)
            continue;
        v = (v << 5 | d) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            key[n++] = (uint8_t)(v >> bits);
        }
    }
    // What is left of the last digit is padding; the last one before the checksum has four bits.
    return sum == 1 && n == KEY_BYTES && (v & 15) == 0;
}

bool bech32_decode(const char *text, size_t len, const char *prefix, uint8_t key[KEY_BYTES])
{
    char lower[BECH32_MAX_CHARS];
    size_t n = strlen(prefix);
    bool ok = len == n + 1 + KEY_DIGITS + CHECKSUM_DIGITS && one_case(text, len, lower) &&
              !memcmp(lower, prefix, n) && lower[n] == '1' &&
              decode_digits(lower + n + 1, checksum_of_prefix(prefix), key);
    crypto_wipe(lower, sizeof(lower));
    if (!ok)
        crypto_wipe(key, KEY_BYTES);
    return ok;
}

// ---- base64 ----

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long base64_strict(const char *s, size_t len, bool is_padded, uint8_t *out)
{
    if (is_padded && len % 4)
        return -1;
    for (unsigned pads = 0; is_padded && pads < 2 && len && s[len - 1] == '='; pads++)
        len--;
    if (len % 4 == 1)
        return -1;
    unsigned v = 0;
    unsigned bits = 0;
    long n = 0;
    for (size_t i = 0; i < len; i++) {
        int d = base64_digit(s[i]);
        if (d < 0)
            return -1;
        v = (v << 6 | (unsigned)d) & 0xfff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
        }
    }
    return v & ((1U << bits) - 1) ? -1 : n; // bits behind the last byte are zero
}
