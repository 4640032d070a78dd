// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct sha256_ctx {
    EVP_MD_CTX *md;
};

struct sha256_ctx *sha256_begin(void)
{
    struct sha256_ctx *c = mem_alloc(sizeof(*c));
    c->md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c->md, EVP_sha256(), NULL);
    return c;
}

void sha256_add(struct sha256_ctx *c, const void *p, size_t len)
{
    EVP_DigestUpdate(c->md, p, len);
}

void sha256_add_str(struct sha256_ctx *c, const char *s)
{
    sha256_add(c, s ? s : "", s ? strlen(s) + 1 : 1);
}

struct sha256 sha256_end(struct sha256_ctx *c)
{
    struct sha256 h;
    EVP_DigestFinal_ex(c->md, h.b, NULL);
    EVP_MD_CTX_free(c->md);
    free(c);
    return h;
}

struct sha256 sha256_of(const void *p, size_t len)
{
    struct sha256 h;
    EVP_Digest(p, len, h.b, NULL, EVP_sha256(), NULL);
    return h;
}

bool sha256_eq(const struct sha256 *a, const struct sha256 *b)
{
    return !memcmp(a->b, b->b, sizeof(a->b));
}

char *hex_encode(const void *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    char *s = mem_alloc(2 * len + 1);
    for (size_t i = 0; i < len; i++) {
        s[2 * i] = digits[b[i] >> 4];
        s[2 * i + 1] = digits[b[i] & 15];
    }
    return s;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *s, void *out, size_t len)
{
    uint8_t *b = out;
    if (!s || strlen(s) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int hi = digit(s[2 * i]);
        int lo = digit(s[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
