// SPDX-License-Identifier: Apache-2.0
//
// Blobs: kinds and ids.
#include <stdlib.h>
#include <string.h>

#include "snapshot/members.h"
#include "snapshot/pack.h"

#define GUESS_COST_LOG_N 14 // of an id of kind s: about 50 ms

bool blob_id_eq(const struct blob_id *a, const struct blob_id *b)
{
    return !memcmp(a->b, b->b, sizeof(a->b));
}

void blob_id_hex(const struct blob_id *id, char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(id->b); i++) {
        out[2 * i] = digits[id->b[i] >> 4];
        out[2 * i + 1] = digits[id->b[i] & 15];
    }
    out[32] = '\0';
}

bool blob_id_parse(const char *hex, struct blob_id *out)
{
    return hex_decode_lower(hex, out->b, sizeof(out->b));
}

char blob_class(char kind)
{
    static const struct {
        char kind, class;
    } rows[] = {{'r', 'o'}, {'l', 'o'}, {'o', 'o'}, {'f', 'f'},
                {'h', 'f'}, {'g', 'g'}, {'k', 's'}, {'s', 's'}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].kind == kind)
            return rows[i].class;
    return 0;
}

bool blob_kind_is_valid(char kind)
{
    return blob_class(kind) != 0;
}

struct blob_namer {
    struct hmac *hmac;
    uint8_t id_key[KEY_BYTES];
};

struct blob_namer *blob_namer_new(const uint8_t id_key[KEY_BYTES])
{
    struct blob_namer *n = mem_alloc(sizeof(*n));
    n->hmac = hmac_new(id_key, KEY_BYTES);
    memcpy(n->id_key, id_key, KEY_BYTES);
    return n;
}

void blob_namer_free(struct blob_namer *n)
{
    if (!n)
        return;
    hmac_free(n->hmac);
    crypto_wipe(n->id_key, sizeof(n->id_key));
    free(n);
}

void blob_salt(const struct blob_namer *n, const void *p, size_t len, uint8_t out[BLOB_SALT_BYTES])
{
    struct sha256 h = sha256_of(p, len);
    if (!scrypt_derive(h.b, sizeof(h.b), n->id_key, KEY_BYTES, GUESS_COST_LOG_N, out))
        abort(); // no 16 MiB left: no memory, as everywhere
}

const char *blob_of_file(char kind, const char *p, size_t *len)
{
    if (kind == 'f' || kind == 'g')
        return p;
    if (kind != 'h' || *len <= BLOB_SALT_BYTES)
        return NULL;
    *len -= BLOB_SALT_BYTES;
    return p + BLOB_SALT_BYTES;
}

struct blob_id blob_name(struct blob_namer *n, char kind, const void *p, size_t len)
{
    uint8_t slow[BLOB_SALT_BYTES];
    uint8_t mac[KEY_BYTES];
    struct blob_id id;
    if (kind == 's') {
        blob_salt(n, p, len, slow);
        p = slow;
        len = sizeof(slow);
    }
    hmac_begin(n->hmac);
    hmac_add(n->hmac, &kind, 1);
    hmac_add(n->hmac, p, len);
    hmac_end(n->hmac, mac);
    memcpy(id.b, mac, sizeof(id.b));
    return id;
}
