// SPDX-License-Identifier: Apache-2.0
#include <assert.h>

#include "snapshot/age_int.h"

// Header lines are shorter than this for each recipient (X25519 needs 100, scrypt 88).
#define STANZA_ROOM 112
#define FRAME_ROOM 128 // version, MAC, payload nonce

static const uint8_t zero_nonce[NONCE_BYTES];

static void os_random(void *ctx, void *p, size_t len)
{
    (void)ctx;
    crypto_random(p, len);
}

static void put_base64(struct buf *out, const void *p, size_t len)
{
    buf_base64(out, p, len);
    while (out->p[out->len - 1] == '=')
        out->p[--out->len] = '\0';
}

static void put_wrapped(struct buf *out, const uint8_t wrap_key[KEY_BYTES],
                        const uint8_t file_key[AGE_FILE_KEY_BYTES])
{
    struct buf wrapped CLEANUP(buf_clear) = {0};
    aead_seal(wrap_key, zero_nonce, NULL, 0, file_key, AGE_FILE_KEY_BYTES, &wrapped);
    buf_char(out, '\n');
    put_base64(out, wrapped.p, wrapped.len); // 43 columns: a last line
    buf_char(out, '\n');
}

static bool put_x25519(struct buf *out, const struct age_random *random,
                       const uint8_t public[KEY_BYTES], const uint8_t file_key[AGE_FILE_KEY_BYTES])
{
    struct age_identity ephemeral;
    uint8_t shared[KEY_BYTES];
    uint8_t wrap_key[KEY_BYTES];
    random->fn(random->ctx, wrap_key, KEY_BYTES);
    age_identity_from_raw(wrap_key, &ephemeral);
    bool ok = x25519_shared(ephemeral.secret, public, shared);
    if (ok) {
        age_x25519_wrap_key(shared, ephemeral.public, public, wrap_key);
        buf_str(out, "-> X25519 ");
        put_base64(out, ephemeral.public, KEY_BYTES);
        put_wrapped(out, wrap_key, file_key);
    }
    crypto_wipe(&ephemeral, sizeof(ephemeral));
    crypto_wipe(shared, sizeof(shared));
    crypto_wipe(wrap_key, sizeof(wrap_key));
    return ok;
}

static bool put_scrypt(struct buf *out, const struct age_random *random, const char *passphrase,
                       unsigned log_n, const uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    uint8_t salt[AGE_SALT_BYTES];
    uint8_t wrap_key[KEY_BYTES];
    random->fn(random->ctx, salt, sizeof(salt));
    if (!age_scrypt_wrap_key(passphrase, salt, log_n, wrap_key, err))
        return false;
    buf_str(out, "-> scrypt ");
    put_base64(out, salt, sizeof(salt));
    buf_printf(out, " %u", log_n);
    put_wrapped(out, wrap_key, file_key);
    crypto_wipe(wrap_key, sizeof(wrap_key));
    return true;
}

static void put_payload(struct buf *out, const struct age_random *random,
                        const uint8_t file_key[AGE_FILE_KEY_BYTES], const uint8_t *p, size_t len)
{
    uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
    uint8_t key[KEY_BYTES];
    random->fn(random->ctx, nonce, sizeof(nonce));
    buf_append(out, nonce, sizeof(nonce));
    age_stream_key(file_key, nonce, key);
    for (uint64_t i = 0;; i++) { // an empty file has one empty chunk
        uint8_t chunk[NONCE_BYTES];
        bool is_last = len <= AGE_CHUNK_BYTES;
        size_t n = is_last ? len : AGE_CHUNK_BYTES;
        age_chunk_nonce(i, is_last, chunk);
        aead_seal(key, chunk, NULL, 0, p, n, out);
        if (is_last)
            break;
        p += n;
        len -= n;
    }
    crypto_wipe(key, sizeof(key));
}

static void begin(struct buf *out, size_t recipients, size_t len)
{
    buf_reserve(out, FRAME_ROOM + recipients * STANZA_ROOM + len +
                         (len / AGE_CHUNK_BYTES + 1) * TAG_BYTES);
    buf_str(out, "age-encryption.org/v1\n");
}

// MAC and payload behind a header that starts at `start`.
static void finish(struct buf *out, size_t start, const struct age_random *random,
                   const uint8_t file_key[AGE_FILE_KEY_BYTES], const void *in, size_t len)
{
    uint8_t mac[AGE_MAC_BYTES];
    buf_str(out, "---");
    age_header_mac(file_key, out->p + start, out->len - start, mac);
    buf_char(out, ' ');
    put_base64(out, mac, sizeof(mac));
    buf_char(out, '\n');
    put_payload(out, random, file_key, in, len);
}

// A file that could not be sealed leaves nothing behind.
static void roll_back(struct buf *out, size_t start)
{
    out->len = start;
    out->p[start] = '\0';
}

bool age_seal_with(const struct age_random *random, const uint8_t (*recipients)[KEY_BYTES],
                   size_t n, const void *in, size_t len, struct buf *out,
                   uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    uint8_t own_key[AGE_FILE_KEY_BYTES];
    size_t start = out->len;
    bool ok = true;
    assert(n >= 1 && n <= AGE_MAX_STANZAS);
    random->fn(random->ctx, own_key, sizeof(own_key));
    begin(out, n, len);
    for (size_t i = 0; i < n && ok; i++)
        ok = put_x25519(out, random, recipients[i], own_key) ||
             err_set(err, ERR_INVALID, "age recipient of low order");
    if (ok)
        finish(out, start, random, own_key, in, len);
    else
        roll_back(out, start);
    if (ok && file_key)
        memcpy(file_key, own_key, sizeof(own_key));
    crypto_wipe(own_key, sizeof(own_key));
    return ok;
}

bool age_seal_passphrase_with(const struct age_random *random, const char *passphrase,
                              unsigned log_n, const void *in, size_t len, struct buf *out,
                              struct err *err)
{
    uint8_t file_key[AGE_FILE_KEY_BYTES];
    size_t start = out->len;
    random->fn(random->ctx, file_key, sizeof(file_key));
    begin(out, 1, len);
    bool ok = put_scrypt(out, random, passphrase, log_n, file_key, err);
    if (ok)
        finish(out, start, random, file_key, in, len);
    else
        roll_back(out, start);
    crypto_wipe(file_key, sizeof(file_key));
    return ok;
}

bool age_seal(const uint8_t (*recipients)[KEY_BYTES], size_t n, const void *in, size_t len,
              struct buf *out, uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    const struct age_random random = {.fn = os_random};
    return age_seal_with(&random, recipients, n, in, len, out, file_key, err);
}

bool age_seal_passphrase(const char *passphrase, unsigned log_n, const void *in, size_t len,
                         struct buf *out, struct err *err)
{
    const struct age_random random = {.fn = os_random};
    return age_seal_passphrase_with(&random, passphrase, log_n, in, len, out, err);
}
