// SPDX-License-Identifier: Apache-2.0
//
// Credentials: one JSON line each. The JSON library keeps copies of what it reads that nobody can
// wipe, so the secrets are taken out of the text before it sees it.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/keys.h"
#include "snapshot/members.h"

#define TYPE "regrow credential v1"
#define SECRET_HEX (2 * KEY_BYTES)
#define MAX_SEQ INT64_C(9999999999)
#define MAX_EPOCH 999999

static const char *const kind_names[] = {
    [CREDENTIAL_JOB] = "job",
    [CREDENTIAL_ADMIN] = "admin",
    [CREDENTIAL_PRUNER] = "pruner",
    [CREDENTIAL_JUDGE] = "judge",
};

const char *credential_kind_name(enum credential_kind k)
{
    return kind_names[k];
}

void credential_clear(struct credential *c)
{
    free(c->chain);
    crypto_wipe(c, sizeof(*c));
}

// ---- writing ----

static void put_hex(struct buf *out, const char *before, const void *p, size_t len)
{
    char *hex = hex_encode(p, len);
    buf_str(out, before);
    buf_str(out, hex);
    crypto_wipe(hex, 2 * len);
    free(hex);
}

static void put_job(const struct credential *c, struct buf *out)
{
    CLEANUP(str_freep) char *recipient = age_recipient_text(c->recipient);
    assert(chain_name_is_valid(c->chain));
    buf_printf(out, "\",\"chain\":\"%s\",\"epoch\":%u,\"recipient\":\"%s", c->chain, c->epoch,
               recipient);
    put_hex(out, "\",\"K\":\"", c->k, KEY_BYTES);
    if (!c->head_seq) {
        buf_str(out, "\",\"head\":null}\n");
        return;
    }
    buf_printf(out, "\",\"head\":[%llu", (unsigned long long)c->head_seq);
    put_hex(out, ",\"", c->head.b, sizeof(c->head.b));
    buf_str(out, "\"]}\n");
}

void credential_write(const struct credential *c, struct buf *out)
{
    buf_reserve(out, 1024); // more than it needs: it must not grow
    buf_printf(out, "{\"type\":\"" TYPE "\",\"kind\":\"%s", kind_names[c->kind]);
    put_hex(out, "\",\"repo\":\"", c->repo, sizeof(c->repo));
    put_hex(out, "\",\"pin\":\"", c->pin.b, sizeof(c->pin.b));
    put_hex(out, "\",\"seed\":\"", c->signer.seed, KEY_BYTES);
    if (c->kind == CREDENTIAL_JOB)
        put_job(c, out);
    else
        buf_str(out, "\"}\n");
}

// ---- reading ----

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static bool is_lower_hex(const char *s, size_t len)
{
    return strspn(s, "0123456789abcdef") >= len;
}

// The digits of the member's value: "name" : "64 hex digits". Such a run of characters cannot stand
// inside a string, where its quotes would be escaped.
static char *find_secret(char *text, const char *name)
{
    CLEANUP(str_freep) char *quoted = str_printf("\"%s\"", name);
    for (char *p = text; (p = strstr(p, quoted)); p++) {
        const char *v = skip_blanks(p + strlen(quoted));
        if (*v != ':')
            continue;
        v = skip_blanks(v + 1);
        if (*v == '"' && is_lower_hex(v + 1, SECRET_HEX) && v[1 + SECRET_HEX] == '"')
            return (char *)v + 1;
    }
    return NULL;
}

// Takes a secret out of the text; zeros stay in its place.
static bool take_secret(char *text, const char *name, uint8_t out[KEY_BYTES])
{
    char hex[SECRET_HEX + 1] = {0};
    char *at = find_secret(text, name);
    if (!at)
        return false;
    memcpy(hex, at, SECRET_HEX);
    memset(at, '0', SECRET_HEX);
    bool ok = hex_decode(hex, out, KEY_BYTES);
    crypto_wipe(hex, sizeof(hex));
    return ok;
}

static bool is_zeros(const json_t *v)
{
    const char *s = json_string_value(v);
    return s && strlen(s) == SECRET_HEX && strspn(s, "0") == SECRET_HEX;
}

static bool get_hex(const json_t *o, const char *name, void *out, size_t len)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s && is_lower_hex(s, strlen(s)) && hex_decode(s, out, len);
}

static bool get_head(const json_t *o, struct credential *out)
{
    const json_t *head = json_object_get(o, "head");
    if (json_is_null(head))
        return true;
    const json_t *seq = json_array_get(head, 0);
    const char *hash = json_string_value(json_array_get(head, 1));
    if (json_array_size(head) != 2 || json_integer_value(seq) < 1 ||
        json_integer_value(seq) > MAX_SEQ || !hash || !is_lower_hex(hash, strlen(hash)))
        return false;
    out->head_seq = (uint64_t)json_integer_value(seq);
    return hex_decode(hash, out->head.b, sizeof(out->head.b));
}

static bool get_job(const json_t *o, struct credential *out)
{
    struct err err = {0};
    const char *chain = json_string_value(json_object_get(o, "chain"));
    const char *recipient = json_string_value(json_object_get(o, "recipient"));
    json_int_t epoch = json_integer_value(json_object_get(o, "epoch"));
    if (!chain || !chain_name_is_valid(chain) || !recipient || epoch < 1 || epoch > MAX_EPOCH ||
        !is_zeros(json_object_get(o, "K")) || !get_head(o, out))
        return false;
    out->chain = str_dup(chain);
    out->epoch = (unsigned)epoch;
    bool ok = age_recipient_parse(recipient, out->recipient, &err);
    err_clear(&err); // the caller says that the credential is malformed
    return ok;
}

static bool get_kind(const json_t *o, enum credential_kind *out)
{
    const char *kind = json_string_value(json_object_get(o, "kind"));
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
        if (str_eq(kind, kind_names[i])) {
            *out = (enum credential_kind)i;
            return true;
        }
    return false;
}

// text: without NUL bytes, and with a NUL behind it; changed.
static bool read_text(char *text, struct credential *out)
{
    struct err err = {0};
    json_auto_t *o = NULL;
    uint8_t seed[KEY_BYTES];
    bool ok = take_secret(text, "seed", seed);
    if (ok)
        signer_from_seed(seed, &out->signer);
    crypto_wipe(seed, sizeof(seed));
    bool has_k = take_secret(text, "K", out->k);
    ok = ok && bounded_json(text, strlen(text), &o, &err);
    err_clear(&err); // it may quote the text
    return ok && str_eq(json_string_value(json_object_get(o, "type")), TYPE) &&
           get_kind(o, &out->kind) && is_zeros(json_object_get(o, "seed")) &&
           get_hex(o, "repo", out->repo, sizeof(out->repo)) &&
           get_hex(o, "pin", out->pin.b, sizeof(out->pin.b)) &&
           (out->kind == CREDENTIAL_JOB ? has_k && get_job(o, out) : !has_k);
}

bool credential_parse(const char *text, size_t len, struct credential *out, struct err *err)
{
    struct buf copy CLEANUP(buf_wipe) = {0};
    *out = (struct credential){0};
    if (len > CREDENTIAL_MAX_BYTES)
        return err_set(err, ERR_INVALID, "larger than %u bytes", CREDENTIAL_MAX_BYTES);
    buf_append(&copy, text, len);
    if (!memchr(text, '\0', len) && read_text(copy.p, out))
        return true;
    credential_clear(out);
    return err_set(err, ERR_INVALID, "malformed credential");
}

static bool check_mode(int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "look at it");
    }
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "not a regular file");
    if (st.st_mode & (S_IRWXO | S_IWGRP))
        return err_set(err, ERR_DENIED, "others may read or change it (mode %04o)",
                       (unsigned)st.st_mode & 07777);
    return true;
}

// Into room of its full size, so that no copy stays behind.
static bool read_private(int fd, char *room, size_t size, size_t *len, struct err *err)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, room + *len, size - *len);
        int errnum = errno;
        if (n < 0 && errnum == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, errnum, "read it");
        if (!n)
            break;
        *len += (size_t)n;
    }
    return true;
}

static bool load_file(const char *path, struct credential *out, struct err *err)
{
    char room[CREDENTIAL_MAX_BYTES + 1];
    size_t len = 0;
    // Not a device or a fifo that would make us wait.
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int errnum = errno;
    if (fd < 0)
        return err_set_errno(err, errnum, "open it");
    bool ok = check_mode(fd, err) && read_private(fd, room, sizeof(room), &len, err) &&
              credential_parse(room, len, out, err);
    crypto_wipe(room, sizeof(room));
    return ok;
}

bool credential_load(const char *where, struct credential *out, struct err *err)
{
    bool ok;
    *out = (struct credential){0};
    if (str_starts(where, "env:")) {
        const char *text = getenv(where + strlen("env:"));
        ok = text ? credential_parse(text, strlen(text), out, err)
                  : err_set(err, ERR_NOT_FOUND, "not in the environment");
    } else {
        ok = load_file(where, out, err);
    }
    return ok || err_wrap(err, "credential %s", where);
}
