// SPDX-License-Identifier: Apache-2.0
//
// libmicrohttpd takes a certificate and its key as texts, and says of a wrong pair only that it
// does not start. So they are proved here first.
#include "web/web_int.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

#define MAX_PEM_BYTES (256U << 10) // a chain of many, with words between
#define OWN_DAYS 365

void web_pair_clear(struct web_pair *p)
{
    if (p->key)
        OPENSSL_cleanse(p->key, strlen(p->key));
    free(p->key);
    free(p->cert);
    *p = (struct web_pair){0};
}

static X509 *cert_of(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    return x;
}

// A key with a passphrase is not waited for.
static int no_passphrase(char *buf, int size, int is_writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)is_writing;
    (void)ctx;
    return -1;
}

static EVP_PKEY *key_of(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    BIO_free(in);
    return k;
}

static int64_t expiry_of(const X509 *x)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) ? (int64_t)timegm(&tm) : 0;
}

static bool prove(struct web_pair *p, const char *cert, const char *key, struct err *err)
{
    X509 *x = cert_of(p->cert);
    EVP_PKEY *k = key_of(p->key);
    bool ok = true;
    if (!x)
        ok = err_set(err, ERR_INVALID, "%s holds no certificate (PEM)", cert);
    else if (!k)
        ok = err_set(err, ERR_INVALID, "%s holds no private key (PEM, without passphrase)", key);
    else if (X509_check_private_key(x, k) != 1)
        ok = err_set(err, ERR_INVALID, "the key in %s is not that of the certificate in %s", key,
                     cert);
    else
        p->expires_s = expiry_of(x);
    X509_free(x);
    EVP_PKEY_free(k);
    return ok;
}

static bool load(const char *path, char **out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    bool ok = file_read(path, MAX_PEM_BYTES, &b, err);
    if (ok && b.len)
        *out = mem_dup(b.p, b.len);
    else if (ok)
        ok = err_set(err, ERR_INVALID, "%s is empty", path);
    if (b.p)
        OPENSSL_cleanse(b.p, b.len);
    return ok;
}

bool web_pair_load(const char *cert, const char *key, struct web_pair *out, struct err *err)
{
    *out = (struct web_pair){0};
    if (load(cert, &out->cert, err) && load(key, &out->key, err) && prove(out, cert, key, err))
        return true;
    web_pair_clear(out);
    return false;
}

static char *text_of(BIO *b)
{
    char *p = NULL;
    long len = BIO_get_mem_data(b, &p);
    return str_ndup(p, len > 0 ? (size_t)len : 0);
}

static bool extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *k)
{
    unsigned char serial[16];
    BIGNUM *n = RAND_bytes(serial, sizeof(serial)) == 1 ? BN_bin2bn(serial, 16, NULL) : NULL;
    X509_NAME *name = X509_get_subject_name(x);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) && X509_set_version(x, 2) &&
              X509_gmtime_adj(X509_getm_notBefore(x), -300) &&
              X509_gmtime_adj(X509_getm_notAfter(x), OWN_DAYS * 86400L) &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"regrow",
                                         -1, -1, 0) &&
              X509_set_issuer_name(x, name) && X509_set_pubkey(x, k) &&
              extend(x, NID_basic_constraints, "critical,CA:FALSE") &&
              extend(x, NID_ext_key_usage, "serverAuth") &&
              extend(x, NID_subject_alt_name,
                     "DNS:regrow,DNS:regrow.regrow-system.svc,DNS:localhost,IP:127.0.0.1") &&
              X509_sign(x, k, EVP_sha256()) > 0;
    BN_free(n);
    return ok;
}

// As the servers of Kubernetes do it: who asks cannot know whom, but nobody listens in.
bool web_pair_make(struct web_pair *out, struct err *err)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_secmem());
    bool ok = k && x && cert && key && fill(x, k) && PEM_write_bio_X509(cert, x) == 1 &&
              PEM_write_bio_PrivateKey(key, k, NULL, NULL, 0, NULL, NULL) == 1;
    *out = (struct web_pair){0};
    if (ok)
        *out = (struct web_pair){text_of(cert), text_of(key), expiry_of(x)};
    else
        err_set(err, ERR_INTERNAL, "no certificate could be made");
    BIO_free(cert);
    BIO_free(key);
    X509_free(x);
    EVP_PKEY_free(k);
    return ok;
}
