// SPDX-License-Identifier: Apache-2.0
#include "snapshot/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define AEAD_MAX_BYTES (1U << 30) // OpenSSL counts in int

CLEANUP_FN(EVP_PKEY, EVP_PKEY_free, pkey_freep);
CLEANUP_FN(EVP_PKEY_CTX, EVP_PKEY_CTX_free, pkey_ctx_freep);
CLEANUP_FN(EVP_MD_CTX, EVP_MD_CTX_free, md_ctx_freep);
CLEANUP_FN(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free, cipher_ctx_freep);
CLEANUP_FN(EVP_KDF, EVP_KDF_free, kdf_freep);
CLEANUP_FN(EVP_KDF_CTX, EVP_KDF_CTX_free, kdf_ctx_freep);

// The library refused an algorithm of its own with arguments of ours.
static void must(bool ok)
{
    if (!ok)
        abort();
}

void crypto_random(void *p, size_t len)
{
    must(len <= INT32_MAX && RAND_bytes(p, (int)len) == 1);
}

void crypto_wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

bool crypto_eq(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        crypto_wipe(b->p, b->cap);
    buf_clear(b);
}

static EVP_KDF_CTX *kdf_new(const char *name)
{
    CLEANUP(kdf_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
    must(c);
    return c;
}

// An octet parameter that OpenSSL reads and never writes. An empty one must not be NULL.
static OSSL_PARAM octets(const char *name, const void *p, size_t len)
{
    return OSSL_PARAM_construct_octet_string(name, len ? (void *)p : (void *)"", len);
}

void hkdf_sha256(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
                 const char *info, uint8_t out[KEY_BYTES])
{
    static const uint8_t no_salt[KEY_BYTES];
    if (!salt) {
        salt = no_salt;
        salt_len = sizeof(no_salt);
    }
    CLEANUP(kdf_ctx_freep) EVP_KDF_CTX *c = kdf_new("HKDF");
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        octets(OSSL_KDF_PARAM_KEY, ikm, ikm_len),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_len),
        octets(OSSL_KDF_PARAM_INFO, info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    must(EVP_KDF_derive(c, out, KEY_BYTES, params) == 1);
}

uint64_t scrypt_memory_bytes(unsigned log_n)
{
    return 128 * 8 * ((UINT64_C(1) << log_n) + 1 + 2);
}

bool scrypt_derive(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   unsigned log_n, uint8_t out[KEY_BYTES])
{
    assert(log_n >= 1 && log_n <= SCRYPT_MAX_LOG_N);
    uint64_t n = UINT64_C(1) << log_n;
    uint64_t max_memory = scrypt_memory_bytes(log_n);
    uint32_t r = 8;
    uint32_t p = 1;
    CLEANUP(kdf_ctx_freep) EVP_KDF_CTX *c = kdf_new("SCRYPT");
    const OSSL_PARAM params[] = {
        octets(OSSL_KDF_PARAM_PASSWORD, pass, pass_len),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_len),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max_memory),
        OSSL_PARAM_construct_end(),
    };
    ERR_set_mark();
    bool ok = EVP_KDF_derive(c, out, KEY_BYTES, params) == 1;
    ERR_pop_to_mark();
    return ok;
}

// ---- HMAC ----

struct hmac {
    EVP_MAC_CTX *c;
};

struct hmac *hmac_new(const uint8_t *key, size_t key_len)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    struct hmac *h = mem_alloc(sizeof(*h));
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    h->c = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    must(h->c && EVP_MAC_init(h->c, key, key_len, params) == 1);
    return h;
}

void hmac_free(struct hmac *h)
{
    if (!h)
        return;
    EVP_MAC_CTX_free(h->c); // which wipes the key
    free(h);
}

void hmac_begin(struct hmac *h)
{
    must(EVP_MAC_init(h->c, NULL, 0, NULL) == 1);
}

void hmac_add(struct hmac *h, const void *p, size_t len)
{
    must(!len || EVP_MAC_update(h->c, p, len) == 1);
}

void hmac_end(struct hmac *h, uint8_t out[KEY_BYTES])
{
    size_t n = 0;
    must(EVP_MAC_final(h->c, out, &n, KEY_BYTES) == 1 && n == KEY_BYTES);
}

// ---- ChaCha20-Poly1305 ----

static EVP_CIPHER_CTX *aead_begin(const uint8_t *key, const uint8_t *nonce, const void *ad,
                                  size_t ad_len, int sealing)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;
    assert(ad_len <= AEAD_MAX_BYTES);
    must(c && EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, key, nonce, sealing) == 1);
    must(!ad_len || EVP_CipherUpdate(c, NULL, &n, ad, (int)ad_len) == 1);
    return c;
}

void aead_seal(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES], const void *ad,
               size_t ad_len, const void *in, size_t len, struct buf *out)
{
    assert(len <= AEAD_MAX_BYTES);
    CLEANUP(cipher_ctx_freep) EVP_CIPHER_CTX *c = aead_begin(key, nonce, ad, ad_len, 1);
    buf_reserve(out, len + TAG_BYTES);
    uint8_t *to = (uint8_t *)out->p + out->len;
    int n = 0;
    must(!len || (EVP_CipherUpdate(c, to, &n, in, (int)len) == 1 && (size_t)n == len));
    must(EVP_CipherFinal_ex(c, to + len, &n) == 1 && n == 0);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + len) == 1);
    out->len += len + TAG_BYTES;
    out->p[out->len] = '\0';
}

bool aead_open(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES], const void *ad,
               size_t ad_len, const void *in, size_t len, struct buf *out)
{
    if (len < TAG_BYTES || len - TAG_BYTES > AEAD_MAX_BYTES)
        return false;
    len -= TAG_BYTES;
    CLEANUP(cipher_ctx_freep) EVP_CIPHER_CTX *c = aead_begin(key, nonce, ad, ad_len, 0);
    uint8_t tag[TAG_BYTES];
    memcpy(tag, (const uint8_t *)in + len, TAG_BYTES);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1);
    buf_reserve(out, len);
    uint8_t *to = (uint8_t *)out->p + out->len;
    int n = 0;
    must(!len || (EVP_CipherUpdate(c, to, &n, in, (int)len) == 1 && (size_t)n == len));
    ERR_set_mark();
    bool ok = EVP_CipherFinal_ex(c, to + len, &n) == 1;
    ERR_pop_to_mark();
    if (ok)
        out->len += len;
    else
        crypto_wipe(to, len);
    out->p[out->len] = '\0';
    return ok;
}

// ---- curves ----

static void raw_public(EVP_PKEY *key, uint8_t out[KEY_BYTES])
{
    size_t n = KEY_BYTES;
    must(key && EVP_PKEY_get_raw_public_key(key, out, &n) == 1 && n == KEY_BYTES);
}

void x25519_public(const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    CLEANUP(pkey_freep)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, KEY_BYTES);
    raw_public(key, out);
}

bool x25519_shared(const uint8_t secret[KEY_BYTES], const uint8_t peer[KEY_BYTES],
                   uint8_t out[KEY_BYTES])
{
    CLEANUP(pkey_freep)
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, KEY_BYTES);
    CLEANUP(pkey_freep)
    EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, KEY_BYTES);
    CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
    must(other && c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, other) == 1);
    size_t n = KEY_BYTES;
    ERR_set_mark();
    bool ok = EVP_PKEY_derive(c, out, &n) == 1 && n == KEY_BYTES;
    ERR_pop_to_mark();
    return ok;
}

void ed25519_public(const uint8_t seed[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    CLEANUP(pkey_freep)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_BYTES);
    raw_public(key, out);
}

void ed25519_sign(const uint8_t seed[KEY_BYTES], const void *msg, size_t len,
                  uint8_t sig[SIG_BYTES])
{
    CLEANUP(pkey_freep)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_BYTES);
    CLEANUP(md_ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = SIG_BYTES;
    must(key && c && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1);
    must(EVP_DigestSign(c, sig, &n, msg, len) == 1 && n == SIG_BYTES);
}

bool ed25519_verify(const uint8_t public[KEY_BYTES], const void *msg, size_t len,
                    const uint8_t sig[SIG_BYTES])
{
    ERR_set_mark();
    CLEANUP(pkey_freep)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, KEY_BYTES);
    CLEANUP(md_ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = key && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestVerify(c, sig, SIG_BYTES, msg, len) == 1;
    ERR_pop_to_mark();
    return ok;
}
