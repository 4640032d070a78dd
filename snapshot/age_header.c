// SPDX-License-Identifier: Apache-2.0
//
// The text part of an age file: version, stanzas, MAC. Total, and without allocation: what is kept
// has its place in struct age_header, what is not needed is checked and passed over.
#include "snapshot/age_int.h"

#include <string.h>

#include "snapshot/codec.h"

#define VERSION "age-encryption.org/v1"
#define BODY_COLUMNS 64
#define MAX_ARGS 4 // of the kinds we know, and one to see that there are too many

struct span {
    const char *p;
    size_t len;
};
struct cursor {
    const char *start, *at, *end;
};
// A stanza as the grammar has it; the body's first bytes and its whole length.
struct raw_stanza {
    struct span args[MAX_ARGS];
    size_t n_args; // all of them
    uint8_t body[AGE_WRAPPED_BYTES];
    size_t body_len;
};

static bool corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "age header: %s", what);
}

static bool next_line(struct cursor *c, struct span *line, struct err *err)
{
    const char *nl = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (!nl && c->end - c->start == AGE_MAX_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "age header is longer than %d bytes",
                       AGE_MAX_HEADER_BYTES);
    if (!nl)
        return corrupt(err, "it ends early");
    *line = (struct span){c->at, (size_t)(nl - c->at)};
    c->at = nl + 1;
    return true;
}

static bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static bool span_starts(struct span s, const char *text)
{
    return s.len >= strlen(text) && !memcmp(s.p, text, strlen(text));
}

// "-> ARG ARG...": one blank between, printable ASCII, none empty.
static bool read_args(struct span line, struct raw_stanza *out)
{
    if (!span_starts(line, "-> "))
        return false;
    const char *start = line.p + 3;
    const char *end = line.p + line.len;
    for (const char *p = start;; p++) {
        if (p<end && * p> ' ' && *p < 127)
            continue;
        if ((p < end && *p != ' ') || p == start)
            return false;
        if (out->n_args < MAX_ARGS)
            out->args[out->n_args] = (struct span){start, (size_t)(p - start)};
        out->n_args++;
        if (p == end)
            return true;
        start = p + 1;
    }
}

// Lines of base64, all but the last one full; the last one is shorter, if need be empty.
static bool read_body(struct cursor *c, struct raw_stanza *out, struct err *err)
{
    for (struct span line = {0};;) {
        uint8_t bytes[base64_room(BODY_COLUMNS)];
        if (!next_line(c, &line, err))
            return false;
        long n = line.len > BODY_COLUMNS ? -1 : base64_strict(line.p, line.len, false, bytes);
        if (n < 0)
            return corrupt(err, "a stanza's body is not canonical base64");
        for (size_t i = 0; i < (size_t)n && out->body_len + i < sizeof(out->body); i++)
            out->body[out->body_len + i] = bytes[i];
        out->body_len += (size_t)n;
        if (line.len < BODY_COLUMNS)
            return true;
    }
}

// An argument that holds exactly n bytes.
static bool read_bytes(struct span arg, uint8_t *to, size_t n)
{
    uint8_t bytes[base64_room(44)];
    if (arg.len > 44 || base64_strict(arg.p, arg.len, false, bytes) != (long)n)
        return false;
    memcpy(to, bytes, n);
    return true;
}

// Decimal without sign or leading zero.
static bool read_log_n(struct span arg, unsigned *out)
{
    unsigned v = 0;
    if (!arg.len || arg.len > 2 || arg.p[0] == '0')
        return false;
    for (size_t i = 0; i < arg.len; i++) {
        if (arg.p[i] < '0' || arg.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(arg.p[i] - '0');
    }
    *out = v;
    return v <= AGE_MAX_LOG_N;
}

static bool understand(const struct raw_stanza *raw, struct age_stanza *out, struct err *err)
{
    bool fits = raw->body_len == AGE_WRAPPED_BYTES;
    *out = (struct age_stanza){.type = raw->args[0].p, .type_len = raw->args[0].len};
    memcpy(out->wrapped, raw->body, sizeof(out->wrapped));
    if (span_is(raw->args[0], "X25519")) {
        out->kind = AGE_STANZA_X25519;
        if (!fits || raw->n_args != 2 || !read_bytes(raw->args[1], out->share, KEY_BYTES))
            return corrupt(err, "malformed X25519 stanza");
    } else if (span_is(raw->args[0], "scrypt")) {
        out->kind = AGE_STANZA_SCRYPT;
        if (!fits || raw->n_args != 3 || !read_bytes(raw->args[1], out->salt, AGE_SALT_BYTES))
            return corrupt(err, "malformed scrypt stanza");
        if (!read_log_n(raw->args[2], &out->log_n))
            return corrupt(err, "scrypt work factor out of bounds");
    }
    return true;
}

// "--- MAC", the last line.
static bool read_mac(const struct cursor *c, struct span line, struct age_header *out)
{
    out->mac_len = (size_t)(line.p - c->start) + 3;
    out->len = (size_t)(c->at - c->start);
    return span_starts(line, "--- ") &&
           read_bytes((struct span){line.p + 4, line.len - 4}, out->mac, AGE_MAC_BYTES);
}

static bool check_stanzas(const struct age_header *h, struct err *err)
{
    if (!h->n)
        return corrupt(err, "no recipient");
    for (size_t i = 0; i < h->n; i++)
        if (h->stanzas[i].kind == AGE_STANZA_SCRYPT && h->n > 1)
            return corrupt(err, "a passphrase is not the only recipient");
    return true;
}

bool age_header_parse(const char *p, size_t len, struct age_header *out, struct err *err)
{
    struct cursor c = {p, p, p + (len < AGE_MAX_HEADER_BYTES ? len : AGE_MAX_HEADER_BYTES)};
    struct span line = {0};
    out->n = 0;
    if (len <= strlen(VERSION) || memcmp(p, VERSION "\n", strlen(VERSION) + 1) != 0)
        return err_set(err, ERR_CORRUPT, "not an age file of version 1");
    if (!next_line(&c, &line, err))
        return false;
    for (;;) {
        if (!next_line(&c, &line, err))
            return false;
        if (span_starts(line, "---"))
            break;
        struct raw_stanza raw = {0};
        if (out->n == AGE_MAX_STANZAS)
            return err_set(err, ERR_CORRUPT, "age header: more than %d recipients",
                           AGE_MAX_STANZAS);
        if (!read_args(line, &raw))
            return corrupt(err, "malformed stanza");
        if (!read_body(&c, &raw, err) || !understand(&raw, &out->stanzas[out->n++], err))
            return false;
    }
    if (!read_mac(&c, line, out))
        return corrupt(err, "malformed MAC");
    return check_stanzas(out, err);
}
