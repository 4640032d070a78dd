// SPDX-License-Identifier: Apache-2.0
#include "snapshot/signed.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "snapshot/codec.h"
#include "snapshot/members.h"

#define SIG_BASE64 88                              // 64 bytes with their padding
#define SIG_LINE (KEY_ID_HEX + 1 + SIG_BASE64 + 1) // id, blank, signature, line end

struct key_id key_id_of(const uint8_t public[KEY_BYTES])
{
    struct key_id id;
    struct sha256 h = sha256_of(public, KEY_BYTES);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, KEY_ID_HEX / 2);
    memcpy(id.hex, hex, sizeof(id.hex));
    return id;
}

// ---- reading ----

static bool corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "signed line: %s", what);
}

static bool is_key_id(const char *p)
{
    for (unsigned i = 0; i < KEY_ID_HEX; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    return true;
}

static bool split_sig(const char *p, struct signed_sig *out)
{
    uint8_t sig[base64_room(SIG_BASE64)];
    if (!is_key_id(p) || p[KEY_ID_HEX] != ' ' || p[SIG_LINE - 1] != '\n' ||
        base64_strict(p + KEY_ID_HEX + 1, SIG_BASE64, true, sig) != SIG_BYTES)
        return false;
    memcpy(out->key.hex, p, KEY_ID_HEX);
    out->key.hex[KEY_ID_HEX] = '\0';
    memcpy(out->sig, sig, SIG_BYTES);
    return true;
}

// Signatures stand in one order and each key once, so that the same signers make the same bytes.
static bool split_sigs(const char *p, size_t len, struct signed_line *out, struct err *err)
{
    if (!len || len % SIG_LINE || len / SIG_LINE > MAX_SIGNATURES)
        return corrupt(err, "not 1 to 8 lines of signatures");
    for (; len; p += SIG_LINE, len -= SIG_LINE) {
        struct signed_sig *s = &out->sigs[out->n_sigs++];
        if (!split_sig(p, s))
            return corrupt(err, "malformed signature");
        if (out->n_sigs > 1 && strcmp(s[-1].key.hex, s->key.hex) >= 0)
            return corrupt(err, "signatures are not in the order of their keys");
    }
    return true;
}

bool signed_split(const void *p, size_t len, size_t max_bytes, const char *type,
                  struct signed_line *out, struct err *err)
{
    CLEANUP(str_freep) char *prefix = str_printf("{\"type\":\"regrow %s v1\",", type);
    *out = (struct signed_line){.body = p};
    if (len > max_bytes)
        return err_set(err, ERR_CORRUPT, "signed line: larger than %zu bytes", max_bytes);
    const char *nl = len ? memchr(p, '\n', len) : NULL;
    if (!nl)
        return corrupt(err, "no line end");
    out->body_len = (size_t)(nl + 1 - out->body);
    if (!split_sigs(nl + 1, len - out->body_len, out, err))
        return false;
    if (out->body_len < strlen(prefix) || memcmp(p, prefix, strlen(prefix)) != 0)
        return err_set(err, ERR_CORRUPT, "signed line: not of the type \"regrow %s v1\"", type);
    return true;
}

bool signed_by(const struct signed_line *s, const uint8_t public[KEY_BYTES])
{
    struct key_id id = key_id_of(public);
    for (size_t i = 0; i < s->n_sigs; i++)
        if (!strcmp(s->sigs[i].key.hex, id.hex))
            return ed25519_verify(public, s->body, s->body_len, s->sigs[i].sig);
    return false;
}

bool signed_json(const struct signed_line *s, json_t **out, struct err *err)
{
    return bounded_json(s->body, s->body_len, out, err) || err_wrap(err, "signed line");
}

// ---- writing ----

void signer_from_seed(const uint8_t seed[KEY_BYTES], struct signer *s)
{
    memcpy(s->seed, seed, KEY_BYTES);
    ed25519_public(seed, s->public);
}

void signer_new(struct signer *s)
{
    crypto_random(s->seed, KEY_BYTES);
    ed25519_public(s->seed, s->public);
}

void signer_wipe(struct signer *s)
{
    crypto_wipe(s, sizeof(*s));
}

static int append_bytes(const char *p, size_t len, void *ctx)
{
    buf_append(ctx, p, len);
    return 0;
}

static void put_body(const char *type, const json_t *body, struct buf *out)
{
    assert(json_is_object(body) && json_object_size(body) && !json_object_get(body, "type"));
    buf_printf(out, "{\"type\":\"regrow %s v1\",", type);
    size_t comma = out->len - 1;
    int failed = json_dump_callback(body, append_bytes, out, JSON_COMPACT | JSON_SORT_KEYS);
    assert(!failed && out->p[comma + 1] == '{');
    // The brace behind our comma goes; at the end there is room for a line end instead.
    memmove(out->p + comma + 1, out->p + comma + 2, out->len - comma - 2);
    out->p[out->len - 1] = '\n';
}

static void put_sig(const struct signer *s, const char *body, size_t len, char line[SIG_LINE])
{
    uint8_t sig[SIG_BYTES];
    struct buf text CLEANUP(buf_clear) = {0};
    ed25519_sign(s->seed, body, len, sig);
    buf_printf(&text, "%s ", key_id_of(s->public).hex);
    buf_base64(&text, sig, sizeof(sig));
    buf_char(&text, '\n');
    assert(text.len == SIG_LINE);
    memcpy(line, text.p, SIG_LINE);
}

static int by_key_id(const void *a, const void *b)
{
    return memcmp(a, b, KEY_ID_HEX);
}

void signed_write(const char *type, const json_t *body, const struct signer *signers, size_t n,
                  struct buf *out)
{
    char lines[MAX_SIGNATURES][SIG_LINE];
    size_t start = out->len;
    assert(n >= 1 && n <= MAX_SIGNATURES);
    put_body(type, body, out);
    for (size_t i = 0; i < n; i++)
        put_sig(&signers[i], out->p + start, out->len - start, lines[i]);
    qsort(lines, n, SIG_LINE, by_key_id);
    for (size_t i = 0; i < n; i++) {
        assert(!i || by_key_id(lines[i - 1], lines[i]) < 0);
        buf_append(out, lines[i], SIG_LINE);
    }
}

bool signed_add(const char *type, size_t max_bytes, const struct signer *s, struct buf *file,
                struct err *err)
{
    struct signed_line line;
    char lines[MAX_SIGNATURES][SIG_LINE];
    if (!signed_split(file->p, file->len, max_bytes, type, &line, err))
        return false;
    if (signed_by(&line, s->public))
        return true;
    struct key_id own = key_id_of(s->public);
    size_t n = 0;
    for (size_t i = 0; i < line.n_sigs; i++) // one of its own that does not hold gives way
        if (strcmp(line.sigs[i].key.hex, own.hex) != 0)
            memcpy(lines[n++], line.body + line.body_len + i * SIG_LINE, SIG_LINE);
    if (n == MAX_SIGNATURES || line.body_len + (n + 1) * SIG_LINE > max_bytes)
        return err_set(err, ERR_INVALID, "signed line: no room for another signature");
    put_sig(s, line.body, line.body_len, lines[n]);
    qsort(lines, n + 1, SIG_LINE, by_key_id);
    file->len = line.body_len;
    buf_append(file, lines, (n + 1) * SIG_LINE);
    return true;
}
