// SPDX-License-Identifier: Apache-2.0
#include "source/sealed.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define KEY_BYTES 32
#define NONCE_BYTES 12 // random: a cache has far fewer files than would matter
#define TAG_BYTES 16
static const char magic[] = "regrow sealed 1\n";
#define HEAD_BYTES (sizeof(magic) - 1)

static char *key_dir(void)
{
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (xdg && *xdg == '/')
        return str_printf("%s/regrow", xdg);
    return home && *home == '/' ? str_printf("%s/.local/state/regrow", home) : NULL;
}

static bool read_key(const char *path, unsigned char key[KEY_BYTES])
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    bool ok = file_exists(path) && file_read(path, KEY_BYTES, &b, &err) && b.len == KEY_BYTES;
    if (ok)
        memcpy(key, b.p, KEY_BYTES);
    err_clear(&err);
    return ok;
}

// Of several that make one at once all use the one that came to stay.
static bool find_key(unsigned char key[KEY_BYTES])
{
    CLEANUP(str_freep) char *dir = key_dir();
    CLEANUP(str_freep) char *path = dir ? path_join(dir, "cache.key") : NULL;
    struct err err = {0};
    if (!path)
        return false;
    if (read_key(path, key))
        return true;
    CLEANUP(str_freep) char *made = str_printf("%s.%d", path, (int)getpid());
    if (!dir_make(dir, 0700, &err) || RAND_bytes(key, KEY_BYTES) != 1 ||
        !file_replace(made, key, KEY_BYTES, 0600, &err))
        err_clear(&err);
    (void)!link(made, path);
    (void)!unlink(made);
    return read_key(path, key);
}

bool sealed_is(const void *p, size_t len)
{
    return len >= HEAD_BYTES && !memcmp(p, magic, HEAD_BYTES);
}

static bool crypt_all(EVP_CIPHER_CTX *c, const unsigned char *in, size_t len, unsigned char *out)
{
    int n;
    for (size_t at = 0; at < len;) {
        int part = len - at > (1U << 30) ? 1 << 30 : (int)(len - at);
        if (EVP_CipherUpdate(c, out + at, &n, in + at, part) != 1 || n != part)
            return false;
        at += (size_t)part;
    }
    return EVP_CipherFinal_ex(c, out + len, &n) == 1;
}

bool sealed_write(const void *p, size_t len, struct buf *out)
{
    unsigned char key[KEY_BYTES];
    unsigned char nonce[NONCE_BYTES];
    unsigned char tag[TAG_BYTES];
    if (!find_key(key))
        return false;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    unsigned char *text = mem_alloc(len + 1);
    bool ok = c && RAND_bytes(nonce, NONCE_BYTES) == 1 &&
              EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, 1) == 1 &&
              crypt_all(c, p, len, text) &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
    if (ok) {
        buf_append(out, magic, HEAD_BYTES);
        buf_append(out, nonce, NONCE_BYTES);
        buf_append(out, tag, TAG_BYTES);
        buf_append(out, text, len);
    }
    free(text);
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof(key));
    return ok;
}

bool sealed_read(const void *p, size_t len, struct buf *out)
{
    const unsigned char *at = (const unsigned char *)p + HEAD_BYTES;
    unsigned char key[KEY_BYTES];
    unsigned char tag[TAG_BYTES];
    if (!sealed_is(p, len) || len < HEAD_BYTES + NONCE_BYTES + TAG_BYTES || !find_key(key))
        return false;
    size_t n = len - HEAD_BYTES - NONCE_BYTES - TAG_BYTES;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    unsigned char *text = mem_alloc(n + 1);
    memcpy(tag, at + NONCE_BYTES, TAG_BYTES);
    bool ok = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, at, 0) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
              crypt_all(c, at + NONCE_BYTES + TAG_BYTES, n, text);
    if (ok)
        buf_append(out, text, n);
    OPENSSL_cleanse(text, n + 1);
    free(text);
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof(key));
    return ok;
}
