// SPDX-License-Identifier: Apache-2.0
#include "snapshot/age.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "snapshot/age_int.h"
#include "snapshot/codec.h"

#define MAX_IDENTITIES 100
#define SEALED_CHUNK (AGE_CHUNK_BYTES + TAG_BYTES)
#define SCRYPT_LABEL "age-encryption.org/v1/scrypt"
#define X25519_LABEL "age-encryption.org/v1/X25519"
#define MAX_NAMED_TYPES 3

static const uint8_t zero_nonce[NONCE_BYTES];

// ---- keys as text ----

void age_identity_from_raw(const uint8_t secret[KEY_BYTES], struct age_identity *out)
{
    memcpy(out->secret, secret, KEY_BYTES);
    x25519_public(secret, out->public);
}

void age_identity_new(struct age_identity *out)
{
    crypto_random(out->secret, KEY_BYTES);
    x25519_public(out->secret, out->public);
}

void age_identity_text(const struct age_identity *id, char text[AGE_TEXT_CHARS + 1])
{
    char lower[BECH32_MAX_CHARS + 1];
    bech32_encode("age-secret-key-", id->secret, lower);
    assert(strlen(lower) == AGE_TEXT_CHARS);
    for (size_t i = 0; i <= AGE_TEXT_CHARS; i++)
        text[i] = (char)toupper((unsigned char)lower[i]);
    crypto_wipe(lower, sizeof(lower));
}

char *age_recipient_text(const uint8_t public[KEY_BYTES])
{
    char text[BECH32_MAX_CHARS + 1];
    bech32_encode("age", public, text);
    return str_dup(text);
}

// The text itself is never in the message: it may be a secret with a slip in it.
static bool identity_parse(const char *text, size_t len, struct age_identity *out, struct err *err)
{
    uint8_t secret[KEY_BYTES];
    if (len > 11 && !memcmp(text, "AGE-PLUGIN-", 11))
        return err_set(err, ERR_INVALID, "identities of age plug-ins are not supported");
    if (len > 18 && !memcmp(text, "AGE-SECRET-KEY-PQ-", 18))
        return err_set(err, ERR_INVALID, "hybrid (post-quantum) age identities are not supported");
    if (!len || text[0] != 'A' || !bech32_decode(text, len, "age-secret-key-", secret))
        return err_set(err, ERR_INVALID, "malformed age identity (AGE-SECRET-KEY-1…)");
    age_identity_from_raw(secret, out);
    crypto_wipe(secret, sizeof(secret));
    return true;
}

bool age_identity_parse(const char *text, struct age_identity *out, struct err *err)
{
    return identity_parse(text, strlen(text), out, err);
}

static bool has_low_order(const uint8_t public[KEY_BYTES])
{
    static const uint8_t any_secret[KEY_BYTES] = {1};
    uint8_t shared[KEY_BYTES];
    return !x25519_shared(any_secret, public, shared);
}

bool age_recipient_parse(const char *text, uint8_t public[KEY_BYTES], struct err *err)
{
    if (str_starts(text, "age1pq1"))
        return err_set(err, ERR_INVALID, "hybrid (post-quantum) age recipients are not supported");
    if (str_starts(text, "ssh-"))
        return err_set(err, ERR_INVALID, "ssh keys as age recipients are not supported");
    if (text[0] != 'a' || !bech32_decode(text, strlen(text), "age", public))
        return err_set(err, ERR_INVALID, "malformed age recipient (age1…)");
    if (has_low_order(public))
        return err_set(err, ERR_INVALID, "age recipient of low order");
    return true;
}

bool age_identities_read(const char *text, size_t len, struct age_identities *out, struct err *err)
{
    const char *end = text + len;
    unsigned line = 0;
    while (text < end) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        const char *stop = nl ? nl : end;
        const char *start = text;
        text = nl ? nl + 1 : end;
        line++;
        while (stop > start && isspace((unsigned char)stop[-1]))
            stop--;
        if (start == stop || *start == '#')
            continue;
        if (out->v.len == MAX_IDENTITIES)
            return err_set(err, ERR_INVALID, "more than %d age identities", MAX_IDENTITIES);
        if (!out->v.v)
            vec_reserve(&out->v, MAX_IDENTITIES); // in one piece, so that no copy stays behind
        if (!identity_parse(start, (size_t)(stop - start), vec_push(&out->v), err)) {
            out->v.len--;
            return err_wrap(err, "line %u", line);
        }
    }
    return out->v.len || err_set(err, ERR_INVALID, "no age identity");
}

void age_identities_clear(struct age_identities *ids)
{
    if (ids->v.v)
        crypto_wipe(ids->v.v, ids->v.cap * sizeof(*ids->v.v));
    vec_clear(&ids->v);
}

// ---- the file key, wrapped ----

void age_x25519_wrap_key(const uint8_t shared[KEY_BYTES], const uint8_t share[KEY_BYTES],
                         const uint8_t public[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    uint8_t salt[2 * KEY_BYTES];
    memcpy(salt, share, KEY_BYTES);
    memcpy(salt + KEY_BYTES, public, KEY_BYTES);
    hkdf_sha256(shared, KEY_BYTES, salt, sizeof(salt), X25519_LABEL, out);
}

bool age_scrypt_wrap_key(const char *passphrase, const uint8_t salt[AGE_SALT_BYTES], unsigned log_n,
                         uint8_t out[KEY_BYTES], struct err *err)
{
    uint8_t labelled[sizeof(SCRYPT_LABEL) - 1 + AGE_SALT_BYTES];
    memcpy(labelled, SCRYPT_LABEL, sizeof(SCRYPT_LABEL) - 1);
    memcpy(labelled + sizeof(SCRYPT_LABEL) - 1, salt, AGE_SALT_BYTES);
    return scrypt_derive(passphrase, strlen(passphrase), labelled, sizeof(labelled), log_n, out) ||
           err_set(err, ERR_UNAVAILABLE, "scrypt needs %llu MiB of memory",
                   (unsigned long long)(scrypt_memory_bytes(log_n) >> 20));
}

static bool unwrap(const uint8_t wrap_key[KEY_BYTES], const struct age_stanza *s,
                   uint8_t file_key[AGE_FILE_KEY_BYTES])
{
    struct buf opened CLEANUP(buf_wipe) = {0};
    if (!aead_open(wrap_key, zero_nonce, NULL, 0, s->wrapped, sizeof(s->wrapped), &opened))
        return false;
    memcpy(file_key, opened.p, AGE_FILE_KEY_BYTES);
    return true;
}

// Sets *opened when this identity opens the stanza. A low-order share is damage: nobody made it.
static bool try_identity(const struct age_identity *id, const struct age_stanza *s, bool *opened,
                         uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    uint8_t shared[KEY_BYTES];
    uint8_t wrap_key[KEY_BYTES];
    if (!x25519_shared(id->secret, s->share, shared))
        return err_set(err, ERR_CORRUPT, "age header: share of low order");
    age_x25519_wrap_key(shared, s->share, id->public, wrap_key);
    *opened = unwrap(wrap_key, s, file_key);
    crypto_wipe(shared, sizeof(shared));
    crypto_wipe(wrap_key, sizeof(wrap_key));
    return true;
}

static bool open_x25519(const struct age_header *h, const struct age_identities *ids,
                        uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    bool opened = false;
    if (!ids || !ids->v.len)
        return err_set(err, ERR_DENIED,
                       "the age file is sealed to a key, and no identity is given");
    for (size_t i = 0; i < ids->v.len; i++)
        for (size_t j = 0; j < h->n && !opened; j++)
            if (h->stanzas[j].kind == AGE_STANZA_X25519 &&
                !try_identity(&ids->v.v[i], &h->stanzas[j], &opened, file_key, err))
                return false;
    return opened || err_set(err, ERR_DENIED, "the age file is sealed to another key");
}

static bool open_scrypt(const struct age_stanza *s, const struct age_keys *keys,
                        uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    unsigned max_log_n = keys->max_log_n ? keys->max_log_n : AGE_DEFAULT_MAX_LOG_N;
    uint8_t wrap_key[KEY_BYTES];
    if (!keys->passphrase)
        return err_set(err, ERR_DENIED, "the age file needs a passphrase, and none is given");
    if (s->log_n > max_log_n)
        return err_set(err, ERR_DENIED,
                       "the age file's scrypt work factor is 2^%u, at most 2^%u is"
                       " allowed",
                       s->log_n, max_log_n);
    if (!age_scrypt_wrap_key(keys->passphrase, s->salt, s->log_n, wrap_key, err))
        return false;
    bool opened = unwrap(wrap_key, s, file_key);
    crypto_wipe(wrap_key, sizeof(wrap_key));
    return opened || err_set(err, ERR_DENIED, "wrong passphrase");
}

static bool is_grease(const struct age_stanza *s)
{
    return s->type_len >= 7 && !memcmp(s->type + s->type_len - 7, "-grease", 7);
}

static bool unsupported(const struct age_header *h, struct err *err)
{
    struct buf types CLEANUP(buf_clear) = {0};
    unsigned named = 0;
    for (size_t i = 0; i < h->n && named < MAX_NAMED_TYPES; i++) {
        const struct age_stanza *s = &h->stanzas[i];
        if (is_grease(s))
            continue;
        int width = s->type_len > 32 ? 32 : (int)s->type_len;
        buf_printf(&types, "%s%.*s", named++ ? ", " : "", width, s->type);
    }
    return err_set(err, ERR_DENIED, "the age file is sealed to unsupported recipients only: %s",
                   named ? types.p : "none");
}

static bool find_file_key(const struct age_header *h, const struct age_keys *keys,
                          uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    for (size_t i = 0; i < h->n; i++) {
        if (h->stanzas[i].kind == AGE_STANZA_SCRYPT)
            return open_scrypt(&h->stanzas[i], keys, file_key, err);
        if (h->stanzas[i].kind == AGE_STANZA_X25519)
            return open_x25519(h, keys->identities, file_key, err);
    }
    return unsupported(h, err);
}

// ---- header MAC and payload ----

void age_header_mac(const uint8_t file_key[AGE_FILE_KEY_BYTES], const void *p, size_t len,
                    uint8_t mac[AGE_MAC_BYTES])
{
    uint8_t key[KEY_BYTES];
    hkdf_sha256(file_key, AGE_FILE_KEY_BYTES, NULL, 0, "header", key);
    CLEANUP(hmac_freep) struct hmac *h = hmac_new(key, sizeof(key));
    crypto_wipe(key, sizeof(key));
    hmac_begin(h);
    hmac_add(h, p, len);
    hmac_end(h, mac);
}

void age_stream_key(const uint8_t file_key[AGE_FILE_KEY_BYTES],
                    const uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES], uint8_t key[KEY_BYTES])
{
    hkdf_sha256(file_key, AGE_FILE_KEY_BYTES, nonce, AGE_PAYLOAD_NONCE_BYTES, "payload", key);
}

void age_chunk_nonce(uint64_t i, bool is_last, uint8_t out[NONCE_BYTES])
{
    memset(out, 0, NONCE_BYTES);
    for (unsigned b = 0; b < 8; b++)
        out[10 - b] = (uint8_t)(i >> 8 * b);
    out[11] = is_last;
}

// Sizes of the payload behind its nonce; false when no file has them.
static bool payload_sizes(size_t sealed, uint64_t *chunks, size_t *opened)
{
    size_t last = sealed % SEALED_CHUNK;
    *chunks = sealed / SEALED_CHUNK + (last > 0);
    if (!*chunks || (last && last < TAG_BYTES) || (last == TAG_BYTES && *chunks > 1))
        return false; // an empty chunk stands only for an empty file
    *opened = sealed - *chunks * TAG_BYTES;
    return true;
}

static bool open_chunks(const uint8_t key[KEY_BYTES], const uint8_t *p, size_t len, uint64_t chunks,
                        struct buf *out)
{
    for (uint64_t i = 0; i < chunks; i++) {
        uint8_t nonce[NONCE_BYTES];
        bool is_last = i + 1 == chunks;
        size_t n = is_last ? len : SEALED_CHUNK;
        age_chunk_nonce(i, is_last, nonce);
        if (!aead_open(key, nonce, NULL, 0, p, n, out))
            return false;
        p += n;
        len -= n;
    }
    return true;
}

static bool open_payload(const uint8_t file_key[AGE_FILE_KEY_BYTES], const uint8_t *p, size_t len,
                         size_t max_out, struct buf *out, struct err *err)
{
    uint64_t chunks = 0;
    size_t opened = 0;
    if (len < AGE_PAYLOAD_NONCE_BYTES ||
        !payload_sizes(len - AGE_PAYLOAD_NONCE_BYTES, &chunks, &opened))
        return err_set(err, ERR_CORRUPT, "the age file is truncated");
    if (opened > max_out)
        return err_set(err, ERR_CORRUPT, "the age file opens to more than %zu bytes", max_out);
    size_t before = out->len;
    uint8_t key[KEY_BYTES];
    age_stream_key(file_key, p, key);
    buf_reserve(out, opened);
    bool ok =
        open_chunks(key, p + AGE_PAYLOAD_NONCE_BYTES, len - AGE_PAYLOAD_NONCE_BYTES, chunks, out);
    crypto_wipe(key, sizeof(key));
    if (ok)
        return true;
    crypto_wipe(out->p + before, out->len - before);
    out->len = before;
    return err_set(err, ERR_CORRUPT, "the age file is damaged or truncated");
}

static bool open_with_key(const struct age_header *h, const uint8_t file_key[AGE_FILE_KEY_BYTES],
                          const char *p, size_t len, size_t max_out, struct buf *out,
                          struct err *err)
{
    uint8_t mac[AGE_MAC_BYTES];
    age_header_mac(file_key, p, h->mac_len, mac);
    if (!crypto_eq(mac, h->mac, sizeof(mac)))
        return err_set(err, ERR_CORRUPT, "the age file's header was changed");
    return open_payload(file_key, (const uint8_t *)p + h->len, len - h->len, max_out, out, err);
}

// The binary form of a file: itself, or decoded into room.
static bool binary_form(const void **in, size_t *len, struct buf *room, struct err *err)
{
    if (!age_is_armored(*in, *len))
        return true;
    if (!age_unarmor(*in, *len, room, err))
        return false;
    *in = room->p;
    *len = room->len;
    return true;
}

bool age_open(const struct age_keys *keys, const void *in, size_t len, size_t max_out,
              struct buf *out, struct err *err)
{
    struct buf room CLEANUP(buf_clear) = {0};
    struct age_header h;
    uint8_t file_key[AGE_FILE_KEY_BYTES];
    if (!binary_form(&in, &len, &room, err) || !age_header_parse(in, len, &h, err))
        return false;
    bool ok = find_file_key(&h, keys, file_key, err) &&
              open_with_key(&h, file_key, in, len, max_out, out, err);
    crypto_wipe(file_key, sizeof(file_key));
    return ok;
}

bool age_open_file_key(const uint8_t file_key[AGE_FILE_KEY_BYTES], const void *in, size_t len,
                       size_t max_out, struct buf *out, struct err *err)
{
    struct buf room CLEANUP(buf_clear) = {0};
    struct age_header h;
    return binary_form(&in, &len, &room, err) && age_header_parse(in, len, &h, err) &&
           open_with_key(&h, file_key, in, len, max_out, out, err);
}

bool age_is_file(const void *p, size_t len)
{
    static const char magic[] = "age-encryption.org/v1\n";
    return age_is_armored(p, len) || (len >= strlen(magic) && !memcmp(p, magic, strlen(magic)));
}

bool age_is_passphrase(const void *in, size_t len, bool *out, struct err *err)
{
    struct buf room CLEANUP(buf_clear) = {0};
    struct age_header h;
    if (!binary_form(&in, &len, &room, err) || !age_header_parse(in, len, &h, err))
        return false;
    *out = h.stanzas[0].kind == AGE_STANZA_SCRYPT; // which stands alone
    return true;
}

bool age_check_single(const void *in, size_t len, struct err *err)
{
    struct age_header h;
    return age_header_parse(in, len, &h, err) &&
           ((h.n == 1 && h.stanzas[0].kind == AGE_STANZA_X25519) ||
            err_set(err, ERR_CORRUPT, "the age file is not sealed to one key alone"));
}
