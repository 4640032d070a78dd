// SPDX-License-Identifier: Apache-2.0
#include "snapshot/keys.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_CHAIN 63
#define SLOT_TEXT_BYTES 512 // of a slot as we write it
#define MAX_EPOCH 999999

// ---- chains ----

bool chain_name_is_valid(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == MAX_CHAIN || !((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') ||
                                (n && (s[n] == '.' || s[n] == '-'))))
            return false;
    return n > 0;
}

void chain_keys_derive(const struct age_identity *id, const uint8_t repo[REPO_ID_BYTES],
                       const char *chain, struct chain_keys *out)
{
    uint8_t k[KEY_BYTES];
    CLEANUP(str_freep) char *info = str_printf("regrow/1 chain %s", chain);
    assert(chain_name_is_valid(chain));
    hkdf_sha256(id->secret, KEY_BYTES, repo, REPO_ID_BYTES, info, k);
    chain_keys_from_k(k, out);
    crypto_wipe(k, sizeof(k));
}

void chain_keys_from_k(const uint8_t k[KEY_BYTES], struct chain_keys *out)
{
    memcpy(out->k, k, KEY_BYTES);
    hkdf_sha256(k, KEY_BYTES, NULL, 0, "regrow/1 id", out->id_key);
}

void chain_index_key(const struct chain_keys *k, const uint8_t *salt, size_t salt_len,
                     uint8_t out[KEY_BYTES])
{
    hkdf_sha256(k->k, KEY_BYTES, salt, salt_len, "regrow/1 index", out);
}

void chain_keys_wipe(struct chain_keys *k)
{
    crypto_wipe(k, sizeof(*k));
}

// ---- slots ----

void slot_text(const struct slot_content *c, struct buf *out)
{
    char secret[AGE_TEXT_CHARS + 1];
    CLEANUP(str_freep) char *repo = hex_encode(c->repo, sizeof(c->repo));
    CLEANUP(str_freep) char *pin = hex_encode(c->pin.b, sizeof(c->pin.b));
    char *raw = hex_encode(c->identity.secret, KEY_BYTES);
    age_identity_text(&c->identity, secret);
    buf_reserve(out, SLOT_TEXT_BYTES);
    buf_printf(out, "# regrow repository %s epoch %u\n# trust %s\n", repo, c->epoch, pin);
    buf_str(out, "# raw ");
    buf_str(out, raw);
    buf_char(out, '\n');
    buf_str(out, secret);
    buf_char(out, '\n');
    crypto_wipe(secret, sizeof(secret));
    crypto_wipe(raw, strlen(raw));
    free(raw);
}

// What the lines of a slot have said so far.
struct slot_lines {
    bool has_repo, has_pin, has_raw, has_identity;
    uint8_t raw[KEY_BYTES];
};

// "PREFIX" and what follows it, or NULL.
static const char *after(const char *line, const char *prefix)
{
    return str_starts(line, prefix) ? line + strlen(prefix) : NULL;
}

// Lower-case hex of len bytes, the whole of s.
static bool read_hex(const char *s, void *out, size_t len)
{
    return s[strcspn(s, "ABCDEF")] == '\0' && hex_decode(s, out, len);
}

static bool read_repo(const char *s, struct slot_content *out)
{
    char hex[2 * REPO_ID_BYTES + 1] = {0};
    long long epoch = 0;
    if (strlen(s) <= 2 * REPO_ID_BYTES)
        return false;
    memcpy(hex, s, 2 * REPO_ID_BYTES);
    const char *n = after(s + 2 * REPO_ID_BYTES, " epoch ");
    if (!n || *n < '1' || *n > '9' || !read_hex(hex, out->repo, REPO_ID_BYTES) ||
        !str_to_int(n, 1, MAX_EPOCH, &epoch))
        return false;
    out->epoch = (unsigned)epoch;
    return true;
}

// Each of the four lines at most once; other comments and empty lines are passed over.
static bool read_line(const char *line, struct slot_lines *l, struct slot_content *out)
{
    const char *rest;
    bool *has = NULL;
    bool ok = true;
    if ((rest = after(line, "# regrow repository "))) {
        has = &l->has_repo;
        ok = read_repo(rest, out);
    } else if ((rest = after(line, "# trust "))) {
        has = &l->has_pin;
        ok = read_hex(rest, out->pin.b, sizeof(out->pin.b));
    } else if ((rest = after(line, "# raw "))) {
        has = &l->has_raw;
        ok = read_hex(rest, l->raw, KEY_BYTES);
    } else if (*line && *line != '#') {
        struct err err = {0};
        has = &l->has_identity;
        ok = age_identity_parse(line, &out->identity, &err);
        err_clear(&err); // the caller says that the slot is malformed
    }
    if (!has)
        return true;
    ok = ok && !*has;
    *has = true;
    return ok;
}

// copy: the text with a NUL behind it; cut into lines in place.
static bool read_lines(char *copy, struct slot_lines *l, struct slot_content *out)
{
    for (char *line = copy; line;) {
        char *nl = strchr(line, '\n');
        if (nl)
            *nl = '\0';
        if (!read_line(line, l, out))
            return false;
        line = nl ? nl + 1 : NULL;
    }
    return l->has_repo && l->has_pin && l->has_raw && l->has_identity &&
           crypto_eq(l->raw, out->identity.secret, KEY_BYTES);
}

bool slot_parse(const char *text, size_t len, struct slot_content *out, struct err *err)
{
    struct slot_lines lines = {0};
    struct buf copy CLEANUP(buf_wipe) = {0};
    *out = (struct slot_content){0};
    bool ok = len <= SLOT_MAX_BYTES && !memchr(text, '\0', len);
    if (ok) {
        buf_append(&copy, text, len);
        ok = read_lines(copy.p, &lines, out);
    }
    crypto_wipe(&lines, sizeof(lines));
    if (ok)
        return true;
    slot_content_wipe(out);
    return err_set(err, ERR_CORRUPT, "what the slot holds is malformed");
}

bool slot_open(const struct age_keys *keys, const void *file, size_t len, struct slot_content *out,
               struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    bool is_passphrase = false;
    if (len > SLOT_MAX_BYTES)
        return err_set(err, ERR_CORRUPT, "slot: larger than %u bytes", SLOT_MAX_BYTES);
    if (!age_is_passphrase(file, len, &is_passphrase, err) ||
        !age_open(keys, file, len, SLOT_MAX_BYTES, &text, err) ||
        !slot_parse(text.p, text.len, out, err))
        return err->kind != ERR_DENIED && err_wrap(err, "slot"); // who asked knows of what
    out->is_passphrase = is_passphrase;
    return true;
}

void slot_content_wipe(struct slot_content *c)
{
    crypto_wipe(c, sizeof(*c));
}
