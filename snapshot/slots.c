// SPDX-License-Identifier: Apache-2.0
#include "snapshot/slots.h"

#include <stdlib.h>
#include <string.h>

#include "snapshot/trust_int.h"

static char *slot_file(const char *hex)
{
    return str_printf("keys/%s", hex);
}

void slot_row_clear(struct trust_slot *s)
{
    free(s->kind);
    free(s->label);
    *s = (struct trust_slot){0};
}

const char *slot_row_recipient(const struct trust_slot *s)
{
    const char *blank = strrchr(s->label, ' ');
    const char *word = blank ? blank + 1 : s->label;
    uint8_t ignored[KEY_BYTES];
    struct err err = {0};
    bool ok = str_eq(s->kind, "age") && age_recipient_parse(word, ignored, &err);
    err_clear(&err); // a label says what it likes
    return ok ? word : NULL;
}

// ---- making ----

static bool opens_again(const struct slot_way *w, const uint8_t file_key[AGE_FILE_KEY_BYTES],
                        const struct buf *file, const struct buf *text, struct err *err)
{
    struct buf back CLEANUP(buf_wipe) = {0};
    struct age_keys keys = {.passphrase = w->passphrase};
    bool ok = w->passphrase
                  ? age_open(&keys, file->p, file->len, SLOT_MAX_BYTES, &back, err)
                  : age_open_file_key(file_key, file->p, file->len, SLOT_MAX_BYTES, &back, err);
    return ok && (crypto_eq(back.p, text->p, text->len) ||
                  err_set(err, ERR_INTERNAL, "the new slot does not open to what was sealed"));
}

static bool seal(const struct slot_way *w, const struct buf *text, struct buf *file,
                 struct err *err)
{
    uint8_t file_key[AGE_FILE_KEY_BYTES] = {0};
    bool ok = w->passphrase
                  ? age_seal_passphrase(w->passphrase, SLOT_LOG_N, text->p, text->len, file, err)
                  : age_seal((const uint8_t(*)[KEY_BYTES])w->recipient, 1, text->p, text->len, file,
                             file_key, err);
    ok = ok && opens_again(w, file_key, file, text, err);
    crypto_wipe(file_key, sizeof(file_key));
    return ok;
}

bool slot_make(struct store *s, const struct slot_content *c, const struct slot_way *w,
               struct trust_slot *out, struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    struct buf file CLEANUP(buf_clear) = {0};
    slot_text(c, &text);
    if (!seal(w, &text, &file, err))
        return err_wrap(err, "slot %s", w->label);
    struct sha256 hash = sha256_of(file.p, file.len);
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, sizeof(hash.b));
    CLEANUP(str_freep) char *name = slot_file(hex);
    if (!create_same(s, name, &file, err))
        return false;
    *out = (struct trust_slot){.epoch = c->epoch,
                               .kind = str_dup(w->passphrase ? "passphrase" : "age"),
                               .label = str_dup(w->label)};
    memcpy(out->file, hex, sizeof(out->file));
    return true;
}

// ---- opening ----

const struct slot_content *unlocked_epoch(const struct unlocked *u, unsigned epoch)
{
    for (size_t i = 0; i < u->v.len; i++)
        if (u->v.v[i].epoch == epoch)
            return &u->v.v[i];
    return NULL;
}

void unlocked_clear(struct unlocked *u)
{
    for (size_t i = 0; i < u->v.len; i++)
        slot_content_wipe(&u->v.v[i]);
    vec_clear(&u->v);
    *u = (struct unlocked){0};
}

// What it says fits the repository it was found in, and the key it holds the epoch's recipient.
static bool belongs(const struct trust_chain *c, const struct slot_content *s, struct err *err)
{
    const struct trust *t = trust_now(c);
    const struct trust_epoch *e = trust_epoch(t, s->epoch);
    if (memcmp(s->repo, t->repo, sizeof(s->repo)) != 0 || !sha256_eq(&s->pin, &c->pin))
        return err_set(err, ERR_CORRUPT, "it opens another repository, not this one");
    if (!e || memcmp(e->recipient, s->identity.public, KEY_BYTES) != 0)
        return err_set(err, ERR_CORRUPT, "the key in it is not that of epoch %u", s->epoch);
    return true;
}

// Keeps the later reason, but for damage: the way that is damaged may be the one that was meant.
static void explain(struct err *why, struct err *later)
{
    if (why->kind == ERR_CORRUPT && later->kind != ERR_CORRUPT)
        return;
    err_clear(why);
    err_move(why, later);
}

// *opened false: it does not open with that, or is not there as it was; why says so.
static bool try_slot(struct store *s, const struct trust_chain *c, const struct trust_slot *row,
                     const struct age_keys *keys, struct slot_content *out, bool *opened,
                     struct err *why, struct err *err)
{
    struct buf file CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *name = slot_file(row->file);
    bool found = false;
    *opened = false;
    if (!store_get(s, name, SLOT_MAX_BYTES, &file, &found, err))
        return false;
    // A lost or damaged way must not stand before another that opens.
    struct sha256 hash = sha256_of(file.p, file.len);
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, sizeof(hash.b));
    if (!found || !str_eq(hex, row->file)) {
        struct err damage = {0};
        err_set(&damage, ERR_CORRUPT, "%s is %s", name, found ? "damaged" : "missing");
        explain(why, &damage);
        return true;
    }
    *opened = slot_open(keys, file.p, file.len, out, err);
    if (!*opened && err->kind == ERR_DENIED) {
        // Another one may open. A passphrase is wrong, or is too much work; that a key does not fit
        // is no news.
        if (str_eq(row->kind, "passphrase"))
            explain(why, err);
        err_clear(err);
        return true;
    }
    if (*opened && belongs(c, out, err))
        return true;
    slot_content_wipe(out);
    return err_wrap(err, "%s", name);
}

static bool may_open(const struct trust_slot *row, const struct age_keys *keys)
{
    return str_eq(row->kind, "passphrase") ? keys->passphrase != NULL : keys->identities != NULL;
}

// The ways to open it, or those that take what was given: each has a slot in every epoch since it
// was added, so those of the epoch that has most of them.
static size_t count_ways(const struct trust *t, const struct age_keys *given)
{
    size_t most = 0;
    for (size_t i = 0; i < t->epochs.len; i++) {
        size_t n = 0;
        for (size_t k = 0; k < t->slots.len; k++)
            n += t->slots.v[k].epoch == t->epochs.v[i].n &&
                 (!given || may_open(&t->slots.v[k], given));
        most = n > most ? n : most;
    }
    return most;
}

static bool none_opens(const struct trust *t, const struct age_keys *keys, const struct err *why,
                       struct err *err)
{
    size_t n = count_ways(t, keys);
    const char *s = n == 1 ? "s" : "";
    const char *kind = keys->identities ? "an identity" : "a passphrase";
    CLEANUP(str_freep)
    char *which = n < count_ways(t, NULL) ? str_printf(" that take%s %s", s, kind) : str_dup("");
    CLEANUP(str_freep)
    char *what =
        !n ? str_dup("no way to open the repository takes what was given")
        : n == 1
            ? str_printf("the one way to open the repository%s does not fit what was given", which)
            : str_printf("none of the %zu ways to open the repository%s fits what was given", n,
                         which);
    return err_set(err, why->kind == ERR_CORRUPT ? ERR_CORRUPT : ERR_DENIED, "%s%s%s", what,
                   err_is_set(why) ? ": " : "", err_is_set(why) ? why->msg : "");
}

bool repo_unlock(struct store *s, const struct trust_chain *c, const struct age_keys *keys,
                 struct unlocked *out, struct err *err)
{
    const struct trust *t = trust_now(c);
    struct err why = {0};
    bool ok = true;
    *out = (struct unlocked){0};
    vec_reserve(&out->v, t->epochs.len + 1); // growing would leave copies of secrets behind
    for (size_t i = 0; ok && i < t->slots.len; i++) {
        const struct trust_slot *row = &t->slots.v[i];
        struct slot_content content = {0};
        bool opened = false;
        if (!may_open(row, keys) || unlocked_epoch(out, row->epoch))
            continue;
        ok = try_slot(s, c, row, keys, &content, &opened, &why, err);
        if (!ok || !opened)
            continue;
        *vec_push(&out->v) = content;
        out->by_passphrase |= content.is_passphrase;
        slot_content_wipe(&content);
    }
    if (ok && !out->v.len)
        ok = none_opens(t, keys, &why, err);
    err_clear(&why);
    if (!ok)
        unlocked_clear(out);
    return ok;
}
