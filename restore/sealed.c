// SPDX-License-Identifier: Apache-2.0
#include "restore/sealed.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/snapshot.h"

#define SCOPE "sealedsecrets.bitnami.com/"
#define MAX_VALUE_BYTES (2U << 20) // a Secret has 1 MiB
#define MAX_KEYS 1000              // one a month is made
#define MAX_MODULUS 2048           // 16384 bits
#define TAG_BYTES 16
#define IV_BYTES 12

void sealed_keys_add(struct sealed_keys *k, const json_t *secret)
{
    struct buf pem = {0};
    const char *text =
        json_string_value(json_object_get(json_object_get(secret, "data"), "tls.key"));
    if (!text || k->v.len >= MAX_KEYS || !base64_decode(text, strlen(text), &pem) || !pem.len) {
        buf_wipe(&pem);
        return;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    BIO_free(bio);
    buf_wipe(&pem);
    ERR_clear_error(); // a Secret may hold anything
    if (key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_size(key) <= MAX_MODULUS)
        *vec_push(&k->v) = key;
    else
        EVP_PKEY_free(key);
}

void sealed_keys_clear(struct sealed_keys *k)
{
    for (size_t i = 0; i < k->v.len; i++)
        EVP_PKEY_free(k->v.v[i]);
    vec_clear(&k->v);
}

// What the value is bound to: its Secret, its namespace, or nothing.
static char *label_of(const json_t *sealed)
{
    const char *ns = json_dot_str(sealed, "metadata.namespace");
    const char *name = json_dot_str(sealed, "metadata.name");
    if (str_eq(json_annotation(sealed, SCOPE "cluster-wide"), "true"))
        return str_dup("");
    if (str_eq(json_annotation(sealed, SCOPE "namespace-wide"), "true"))
        return str_dup(ns ? ns : "");
    return str_printf("%s/%s", ns ? ns : "", name ? name : "");
}

static bool set_label(EVP_PKEY_CTX *c, const char *label)
{
    size_t n = strlen(label);
    void *copy = n ? OPENSSL_memdup(label, n) : NULL;
    if (!n)
        return true;
    if (copy && EVP_PKEY_CTX_set0_rsa_oaep_label(c, copy, (int)n) > 0)
        return true; // it has the copy now
    OPENSSL_free(copy);
    return false;
}

static bool session_key(EVP_PKEY *key, const char *label, const unsigned char *p, size_t len,
                        unsigned char out[MAX_MODULUS], size_t *out_len)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    *out_len = MAX_MODULUS;
    bool ok = c && EVP_PKEY_decrypt_init(c) > 0 &&
              EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) > 0 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) > 0 && set_label(c, label) &&
              EVP_PKEY_decrypt(c, out, out_len, p, len) > 0;
    EVP_PKEY_CTX_free(c);
    ERR_clear_error();
    return ok;
}

// Whether the whole holds: nothing of it is kept.
static bool is_whole(const unsigned char key[32], const unsigned char *p, size_t len)
{
    static const unsigned char iv[IV_BYTES];
    int n = 0;
    if (len < TAG_BYTES)
        return false;
    struct buf plain = {0};
    size_t body = len - TAG_BYTES;
    buf_reserve(&plain, body + 1);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) > 0 &&
              EVP_DecryptUpdate(c, (unsigned char *)plain.p, &n, p, (int)body) > 0 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, (void *)(p + body)) > 0 &&
              EVP_DecryptFinal_ex(c, (unsigned char *)plain.p + n, &n) > 0;
    EVP_CIPHER_CTX_free(c);
    plain.len = body;
    buf_wipe(&plain);
    ERR_clear_error();
    return ok;
}

static bool opens(EVP_PKEY *key, const char *label, const unsigned char *p, size_t len)
{
    unsigned char session[MAX_MODULUS];
    size_t n = 0;
    if (len < 2)
        return false;
    size_t rsa = (size_t)p[0] << 8 | p[1];
    if (!rsa || rsa > len - 2 || rsa > MAX_MODULUS)
        return false;
    bool ok = session_key(key, label, p + 2, rsa, session, &n) && n == 32 &&
              is_whole(session, p + 2 + rsa, len - 2 - rsa);
    crypto_wipe(session, sizeof(session));
    return ok;
}

static bool any_opens(const struct sealed_keys *k, const char *label, const char *text)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!text || strlen(text) > MAX_VALUE_BYTES || !base64_decode(text, strlen(text), &b) || !b.p)
        return false;
    for (size_t i = k->v.len; i-- > 0;)
        if (opens(k->v.v[i], label, (const unsigned char *)b.p, b.len))
            return true;
    return false;
}

void sealed_unopened(const struct sealed_keys *k, const json_t *sealed_secret, struct strv *out)
{
    CLEANUP(str_freep) char *label = label_of(sealed_secret);
    const char *name;
    json_t *v;
    json_object_foreach(json_dot(sealed_secret, "spec.encryptedData"), name, v)
    {
        if (!any_opens(k, label, json_string_value(v)))
            strv_push(out, name);
    }
    strv_sort(out);
}
