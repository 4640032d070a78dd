// SPDX-License-Identifier: Apache-2.0
#include "snapshot/export_form.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/members.h"

#define MAX_HEAD 16 // "k 8388608\n" has 10

// ---- ids ----

static struct blob_id cut(struct sha256 h)
{
    struct blob_id id;
    memcpy(id.b, h.b, sizeof(id.b));
    return id;
}

struct blob_id form_id(char kind, const void *p, size_t len)
{
    struct sha256_ctx *c = sha256_begin();
    sha256_add(c, &kind, 1);
    sha256_add(c, p, len);
    return cut(sha256_end(c));
}

struct blob_id form_secret_id(size_t n)
{
    CLEANUP(str_freep) char *text = str_printf("%zu", n);
    return form_id('s', text, strlen(text));
}

bool form_name_is_plain(const char *name)
{
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F || *p == '\\')
            return false;
    return *name != '\0';
}

void form_pieces_add(struct form_pieces *f, const void *p, size_t len)
{
    for (const char *at = p; len;) {
        if (!f->hash) {
            f->hash = sha256_begin();
            f->left = BLOB_MAX_BYTES;
            sha256_add(f->hash, "f", 1);
        }
        size_t n = len < f->left ? len : f->left;
        sha256_add(f->hash, at, n);
        at += n;
        len -= n;
        f->left -= n;
        if (!f->left)
            form_pieces_end(f);
    }
}

void form_pieces_end(struct form_pieces *f)
{
    if (f->hash)
        *vec_push(&f->ids) = cut(sha256_end(f->hash));
    f->hash = NULL;
}

void form_pieces_clear(struct form_pieces *f)
{
    form_pieces_end(f);
    vec_clear(&f->ids);
}

// ---- Secrets ----

void form_secret_head(char kind, size_t len, struct buf *out)
{
    buf_printf(out, "%c %zu\n", kind, len);
}

bool form_secret_next(const char *p, size_t len, size_t *at, struct form_secret *out,
                      struct err *err)
{
    const char *head = p + *at;
    size_t left = len - *at;
    const char *end = memchr(head, '\n', left < MAX_HEAD ? left : MAX_HEAD);
    long long n = 0;
    *out = (struct form_secret){0};
    if (end && end - head > 2 && (*head == 'k' || *head == 's') && head[1] == ' ') {
        CLEANUP(str_freep) char *digits = str_ndup(head + 2, (size_t)(end - head) - 2);
        bool is_number = digits[0] >= '1' && digits[0] <= '9' &&
                         str_to_int(digits, 1, (long long)BLOB_MAX_BYTES, &n);
        size_t offset = (size_t)(end + 1 - p);
        if (is_number && (size_t)n <= len - offset) {
            *out = (struct form_secret){.kind = *head, .offset = offset, .len = (size_t)n};
            *at = offset + (size_t)n;
            return true;
        }
    }
    return err_set(err, ERR_CORRUPT, "not a blob of Secrets"); // nothing of it is quoted
}

// ---- who may sign ----

const char *form_signer(const struct trust *t, const uint8_t public[KEY_BYTES], const char *chain,
                        const char **label)
{
    for (size_t i = 0; i < t->admins.len; i++) {
        *label = t->admins.v[i].label;
        if (!memcmp(t->admins.v[i].public, public, KEY_BYTES))
            return "admin";
    }
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        bool is_of_it = !s->chains.len || strv_has(&s->chains, chain);
        *label = s->label;
        if (is_of_it && !s->until && s->role != ROLE_PRUNE && !memcmp(s->public, public, KEY_BYTES))
            return s->role == ROLE_WRITE ? "writer" : "judge";
    }
    *label = NULL;
    return NULL;
}

// ---- about ----

void form_about_write(const struct form_about *a, struct buf *out)
{
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:b, s:b}", "type", FORM_TYPE, "secrets", a->has_secrets, "bad",
                          a->is_bad);
    char *text = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS);
    buf_str(out, text);
    buf_char(out, '\n');
    free(text);
}

bool form_about_parse(const void *p, size_t len, struct form_about *out, struct err *err)
{
    CLEANUP(json_freep) json_t *v = NULL;
    *out = (struct form_about){0};
    if (!bounded_json(p, len, &v, err))
        return false;
    struct members m = members_of(v, err);
    const char *type = member_text(&m, "type", 256);
    if (!m.is_bad && strcmp(type, FORM_TYPE) != 0)
        return err_set(err, ERR_INVALID,
                       "it is of the form \"%.80s\", which this version does not "
                       "know",
                       type);
    out->has_secrets = member_bool(&m, "secrets");
    out->is_bad = member_bool(&m, "bad");
    return !m.is_bad;
}
