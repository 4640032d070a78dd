// SPDX-License-Identifier: Apache-2.0
//
// Known answers of the RFCs, and what must be refused.
#include "snapshot/crypto.h"

#include <openssl/err.h>

#include "tests/snapshot/bytes.h"
#include "tests/test.h"

// RFC 5869, A.1 and A.3: the first 32 bytes.
static void hkdf(void **s)
{
    (void)s;
    uint8_t ikm[22];
    uint8_t salt[13];
    uint8_t out[KEY_BYTES];
    memset(ikm, 0x0b, sizeof(ikm));
    for (unsigned i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)i;
    hkdf_sha256(ikm, sizeof(ikm), salt, sizeof(salt), "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9",
                out);
    assert_hex(out, sizeof(out),
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    hkdf_sha256(ikm, sizeof(ikm), NULL, 0, "", out);
    assert_hex(out, sizeof(out),
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    hkdf_sha256(ikm, sizeof(ikm), salt, 0, "", out);
    assert_hex(out, sizeof(out),
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

// RFC 4231, cases 2 and 1, with one context for all messages of a key.
static void hmac(void **s)
{
    (void)s;
    uint8_t out[KEY_BYTES];
    CLEANUP(hmac_freep) struct hmac *h = hmac_new((const uint8_t *)"Jefe", 4);
    for (unsigned round = 0; round < 3; round++) {
        hmac_begin(h);
        hmac_add(h, "what do ya want ", 16);
        hmac_add(h, "", 0);
        hmac_add(h, "for nothing?", 12);
        hmac_end(h, out);
        assert_hex(out, sizeof(out),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    uint8_t key[20];
    memset(key, 0x0b, sizeof(key));
    CLEANUP(hmac_freep) struct hmac *other = hmac_new(key, sizeof(key));
    hmac_begin(other);
    hmac_add(other, "left unfinished", 15);
    hmac_begin(other);
    hmac_add(other, "Hi There", 8);
    hmac_end(other, out);
    assert_hex(out, sizeof(out),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_free(NULL);
}

// RFC 7914, section 12: N 16384, r 8, p 1.
static void scrypt(void **s)
{
    (void)s;
    uint8_t out[KEY_BYTES];
    assert_true(scrypt_derive("pleaseletmein", 13, "SodiumChloride", 14, 14, out));
    assert_hex(out, sizeof(out),
               "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
    assert_true(scrypt_derive("", 0, "", 0, 1, out));
    assert_int_equal(scrypt_memory_bytes(14), 128 * 8 * (16384 + 3));
}

#define SUNSCREEN                                                                                  \
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " \
    "sunscreen would be it."

// RFC 8439, 2.8.2.
static void aead(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES];
    uint8_t nonce[NONCE_BYTES];
    uint8_t ad[12];
    for (unsigned i = 0; i < KEY_BYTES; i++)
        key[i] = (uint8_t)(0x80 + i);
    unhex("070000004041424344454647", nonce, sizeof(nonce));
    unhex("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
    struct buf sealed CLEANUP(buf_clear) = {0};
    buf_str(&sealed, "before");
    aead_seal(key, nonce, ad, sizeof(ad), SUNSCREEN, strlen(SUNSCREEN), &sealed);
    assert_int_equal(sealed.len, 6 + strlen(SUNSCREEN) + TAG_BYTES);
    assert_memory_equal(sealed.p, "before", 6);
    assert_hex(sealed.p + 6, 16, "d31a8d34648e60db7b86afbc53ef7ec2");
    assert_hex(sealed.p + sealed.len - 16, 16, "1ae10b594f09e26a7e902ecbd0600691");

    struct buf opened CLEANUP(buf_wipe) = {0};
    buf_str(&opened, "x");
    assert_true(aead_open(key, nonce, ad, sizeof(ad), sealed.p + 6, sealed.len - 6, &opened));
    assert_string_equal(opened.p, "x" SUNSCREEN);
    assert_int_equal(opened.len, strlen(SUNSCREEN) + 1);
}

static void aead_refuses(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES] = {1};
    uint8_t nonce[NONCE_BYTES] = {2};
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf opened CLEANUP(buf_clear) = {0};
    aead_seal(key, nonce, NULL, 0, "abc", 3, &sealed);
    buf_str(&opened, "kept");
    for (size_t i = 0; i < sealed.len; i++) { // each byte, and each shorter form
        sealed.p[i] ^= 1;
        assert_false(aead_open(key, nonce, NULL, 0, sealed.p, sealed.len, &opened));
        sealed.p[i] ^= 1;
        assert_false(aead_open(key, nonce, NULL, 0, sealed.p, i, &opened));
    }
    assert_false(aead_open(key, nonce, "ad", 2, sealed.p, sealed.len, &opened));
    assert_string_equal(opened.p, "kept");
    assert_true(aead_open(key, nonce, NULL, 0, sealed.p, sealed.len, &opened));
    assert_string_equal(opened.p, "keptabc");
    // Nothing of the failures is left for the TLS code to stumble over.
    assert_int_equal(ERR_peek_error(), 0);
}

static void aead_of_nothing(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES] = {1};
    uint8_t nonce[NONCE_BYTES] = {2};
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf opened CLEANUP(buf_clear) = {0};
    aead_seal(key, nonce, NULL, 0, NULL, 0, &sealed);
    assert_int_equal(sealed.len, TAG_BYTES);
    assert_true(aead_open(key, nonce, NULL, 0, sealed.p, sealed.len, &opened));
    assert_int_equal(opened.len, 0);
    assert_string_equal(opened.p, "");
}

// RFC 7748, 6.1.
static void x25519(void **s)
{
    (void)s;
    uint8_t bob[KEY_BYTES];
    uint8_t alice_public[KEY_BYTES];
    uint8_t public[KEY_BYTES];
    uint8_t shared[KEY_BYTES];
    unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", bob, KEY_BYTES);
    x25519_public(bob, public);
    assert_hex(public, KEY_BYTES,
               "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", alice_public,
          KEY_BYTES);
    assert_true(x25519_shared(bob, alice_public, shared));
    assert_hex(shared, KEY_BYTES,
               "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

static void x25519_low_order(void **s)
{
    (void)s;
    const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t secret[KEY_BYTES] = {7};
    uint8_t point[KEY_BYTES];
    uint8_t shared[KEY_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        unhex(points[i], point, KEY_BYTES);
        assert_false(x25519_shared(secret, point, shared));
    }
    assert_int_equal(ERR_peek_error(), 0);
}

// RFC 8032, 7.1, tests 1 and 2.
static void ed25519(void **s)
{
    (void)s;
    const char *const rows[][4] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "\x72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t seed[KEY_BYTES];
        uint8_t public[KEY_BYTES];
        uint8_t sig[SIG_BYTES];
        const char *msg = rows[i][2];
        unhex(rows[i][0], seed, sizeof(seed));
        ed25519_public(seed, public);
        assert_hex(public, sizeof(public), rows[i][1]);
        ed25519_sign(seed, msg, strlen(msg), sig);
        assert_hex(sig, sizeof(sig), rows[i][3]);
        assert_true(ed25519_verify(public, msg, strlen(msg), sig));
        assert_false(ed25519_verify(public, "other", 5, sig));
    }
}

// sig's second half as a number, plus the order L of the group: the same scalar again.
static void add_l(uint8_t sig[SIG_BYTES])
{
    uint8_t l[KEY_BYTES];
    unsigned carry = 0;
    unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", l, sizeof(l));
    for (unsigned i = 0; i < KEY_BYTES; i++) {
        carry += (unsigned)sig[32 + i] + l[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
}

static void ed25519_refuses(void **s)
{
    (void)s;
    uint8_t seed[KEY_BYTES] = {3};
    uint8_t public[KEY_BYTES];
    uint8_t sig[SIG_BYTES];
    ed25519_public(seed, public);
    ed25519_sign(seed, "m", 1, sig);
    for (unsigned bit = 0; bit < SIG_BYTES * 8; bit += 7) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(public, "m", 1, sig));
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(ed25519_verify(public, "m", 1, sig));
    add_l(sig); // otherwise a signed line would have two forms
    assert_false(ed25519_verify(public, "m", 1, sig));
    memset(public, 0xff, sizeof(public)); // not a point
    assert_false(ed25519_verify(public, "m", 1, sig));
    assert_int_equal(ERR_peek_error(), 0);
}

static void small_things(void **s)
{
    (void)s;
    uint8_t a[64] = {0};
    uint8_t b[64] = {0};
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    assert_false(crypto_eq(a, b, sizeof(a)));
    assert_true(crypto_eq(a, a, sizeof(a)));
    crypto_wipe(a, sizeof(a));
    memset(b, 0, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    struct buf secret = {0};
    buf_reserve(&secret, 100);
    const char *where = secret.p;
    buf_str(&secret, "secret");
    buf_append(&secret, b, sizeof(b));
    assert_ptr_equal(secret.p, where);
    buf_wipe(&secret);
    assert_null(secret.p);
    buf_wipe(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf),         cmocka_unit_test(hmac),
        cmocka_unit_test(scrypt),       cmocka_unit_test(aead),
        cmocka_unit_test(aead_refuses), cmocka_unit_test(aead_of_nothing),
        cmocka_unit_test(x25519),       cmocka_unit_test(x25519_low_order),
        cmocka_unit_test(ed25519),      cmocka_unit_test(ed25519_refuses),
        cmocka_unit_test(small_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
