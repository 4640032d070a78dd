// SPDX-License-Identifier: Apache-2.0
//
// A trust file as JSON and back, and the questions it answers. Pure.
#include <assert.h>
#include <stdlib.h>

#include "snapshot/codec.h"
#include "snapshot/trust_int.h"

#define KEY_BASE64 44
#define MAX_LABEL 256
#define MAX_FLAG 64
#define FLAG_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define MAX_LIST 10000 // the file's own bound is lower

static const char *const slot_kinds[] = {"passphrase", "age"};
static const enum role roles[] = {ROLE_WRITE, ROLE_PRUNE, ROLE_JUDGE};
static const char *const role_names[] = {"write", "prune", "judge"};

const char *role_name(enum role r)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (roles[i] == r)
            return role_names[i];
    return "?";
}

void trust_clear(struct trust *t)
{
    strv_clear(&t->read_flags);
    strv_clear(&t->write_flags);
    strv_clear(&t->prune_flags);
    for (size_t i = 0; i < t->admins.len; i++)
        free(t->admins.v[i].label);
    for (size_t i = 0; i < t->slots.len; i++) {
        free(t->slots.v[i].kind);
        free(t->slots.v[i].label);
    }
    for (size_t i = 0; i < t->signers.len; i++) {
        strv_clear(&t->signers.v[i].chains);
        free(t->signers.v[i].label);
        json_decref(t->signers.v[i].until);
    }
    vec_clear(&t->admins);
    vec_clear(&t->epochs);
    vec_clear(&t->slots);
    vec_clear(&t->signers);
    *t = (struct trust){0};
}

// ---- writing ----

static json_t *hex_json(const void *p, size_t len)
{
    CLEANUP(str_freep) char *hex = hex_encode(p, len);
    return json_string(hex);
}

static json_t *key_json(const uint8_t public[KEY_BYTES])
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_base64(&b, public, KEY_BYTES);
    return json_string(b.p);
}

// Texts are UTF-8: those read from JSON are, and trust_write looks at all others.
static json_t *text_json(const char *s)
{
    json_t *v = json_string(s ? s : "");
    assert(v);
    return v;
}

static void set_label(json_t *o, const char *label)
{
    if (!str_is_empty(label))
        json_object_set_new(o, "label", text_json(label));
}

static json_t *strings_json(const struct strv *l)
{
    json_t *a = json_array();
    for (size_t i = 0; i < l->len; i++)
        json_array_append_new(a, text_json(l->v[i]));
    return a;
}

static json_t *admins_json(const struct trust *t)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < t->admins.len; i++) {
        json_t *o = json_pack("{s:o}", "key", key_json(t->admins.v[i].public));
        set_label(o, t->admins.v[i].label);
        json_array_append_new(keys, o);
    }
    return json_pack("{s:i, s:o}", "need", (int)t->need, "keys", keys);
}

static json_t *epochs_json(const struct trust *t)
{
    json_t *a = json_array();
    for (size_t i = 0; i < t->epochs.len; i++) {
        const struct trust_epoch *e = &t->epochs.v[i];
        CLEANUP(str_freep) char *recipient = age_recipient_text(e->recipient);
        json_array_append_new(a, json_pack("{s:i, s:s, s:b}", "n", (int)e->n, "recipient",
                                           recipient, "closed", e->is_closed));
    }
    return a;
}

static json_t *slots_json(const struct trust *t)
{
    json_t *a = json_array();
    for (size_t i = 0; i < t->slots.len; i++) {
        const struct trust_slot *s = &t->slots.v[i];
        json_t *o = json_pack("{s:o, s:i, s:o}", "file", text_json(s->file), "epoch", (int)s->epoch,
                              "kind", text_json(s->kind));
        set_label(o, s->label);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *signers_json(const struct trust *t)
{
    json_t *a = json_array();
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        json_t *o = json_pack("{s:o, s:s, s:o}", "key", key_json(s->public), "role",
                              role_name(s->role), "chains", strings_json(&s->chains));
        set_label(o, s->label);
        if (s->until)
            json_object_set(o, "until", s->until);
        json_array_append_new(a, o);
    }
    return a;
}

json_t *trust_json(const struct trust *t)
{
    json_t *o = json_pack(
        "{s:i, s:o, s:o}", "n", (int)t->n, "repo", hex_json(t->repo, sizeof(t->repo)), "features",
        json_pack("{s:o, s:o, s:o}", "read", strings_json(&t->read_flags), "write",
                  strings_json(&t->write_flags), "prune", strings_json(&t->prune_flags)));
    json_object_set_new(o, "prev", t->n > 1 ? hex_json(t->prev.b, sizeof(t->prev.b)) : json_null());
    json_object_set_new(o, "admins", admins_json(t));
    json_object_set_new(o, "epochs", epochs_json(t));
    json_object_set_new(o, "slots", slots_json(t));
    json_object_set_new(o, "signers", signers_json(t));
    return o;
}

// ---- reading ----

static void read_key(struct members *m, uint8_t out[KEY_BYTES])
{
    uint8_t bytes[base64_room(KEY_BASE64)];
    const char *s = member_text(m, "key", KEY_BASE64);
    if (strlen(s) == KEY_BASE64 && base64_strict(s, KEY_BASE64, true, bytes) == KEY_BYTES)
        memcpy(out, bytes, KEY_BYTES);
    else
        member_bad(m, "key", "not the base64 of a key");
}

static void read_label(struct members *m, char **out)
{
    const char *s = member_text_or_null(m, "label", MAX_LABEL);
    *out = str_dup(s ? s : "");
}

// A list of strings that pass the check; absent is empty.
static void read_strings(struct members *m, const char *key, bool (*is_valid)(const char *),
                         struct strv *out)
{
    const json_t *a = json_object_get(m->o, key) ? member_array(m, key, MAX_LIST) : NULL;
    size_t i;
    const json_t *v;
    json_array_foreach(a, i, v)
    {
        const char *s = json_string_value(v);
        if (s && is_valid(s))
            strv_push(out, s);
        else
            member_bad(m, key, "a list with something that cannot be in it");
    }
}

static bool flag_is_valid(const char *s)
{
    return *s && strlen(s) <= MAX_FLAG && strspn(s, FLAG_CHARS) == strlen(s);
}

static bool read_features(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    read_strings(&m, "read", flag_is_valid, &t->read_flags);
    read_strings(&m, "write", flag_is_valid, &t->write_flags);
    read_strings(&m, "prune", flag_is_valid, &t->prune_flags);
    return !m.is_bad || err_wrap(err, "features");
}

// Each key once: it must not count twice.
static bool read_admin(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    struct trust_admin *a = vec_push(&t->admins);
    read_key(&m, a->public);
    read_label(&m, &a->label);
    for (size_t i = 0; i + 1 < t->admins.len; i++)
        if (!memcmp(t->admins.v[i].public, a->public, KEY_BYTES))
            member_bad(&m, "key", "there twice");
    return !m.is_bad;
}

const struct trust_epoch *trust_epoch(const struct trust *t, unsigned n)
{
    for (size_t i = 0; i < t->epochs.len; i++)
        if (t->epochs.v[i].n == n)
            return &t->epochs.v[i];
    return NULL;
}

static bool read_epoch(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    struct trust_epoch e = {.n = (unsigned)member_uint(&m, "n", 1, MAX_EPOCH)};
    const char *recipient = member_text(&m, "recipient", AGE_TEXT_CHARS);
    e.is_closed = member_bool(&m, "closed");
    if (trust_epoch(t, e.n))
        member_bad(&m, "n", "there twice");
    if (m.is_bad || !age_recipient_parse(recipient, e.recipient, err))
        return false;
    *vec_push(&t->epochs) = e;
    return true;
}

static bool read_slot(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    struct trust_slot *s = vec_push(&t->slots);
    struct sha256 file;
    member_hex(&m, "file", file.b, sizeof(file.b));
    s->epoch = (unsigned)member_uint(&m, "epoch", 1, MAX_EPOCH);
    s->kind = str_dup(slot_kinds[member_choice(&m, "kind", slot_kinds, ARRAY_LEN(slot_kinds))]);
    read_label(&m, &s->label);
    if (!m.is_bad && !trust_epoch(t, s->epoch))
        member_bad(&m, "epoch", "not one of the epochs");
    if (!m.is_bad)
        memcpy(s->file, json_string_value(json_object_get(o, "file")), sizeof(s->file));
    return !m.is_bad;
}

static void read_until(struct members *m, json_t **out)
{
    const json_t *until = json_object_get(m->o, "until") ? member_object(m, "until") : NULL;
    const char *chain;
    json_t *v;
    json_object_foreach((json_t *)until, chain, v)
    {
        if (!chain_name_is_valid(chain) || !json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) > MAX_SEQ)
            member_bad(m, "until", "not of chains and numbers");
    }
    *out = json_deep_copy(until);
}

// One row for a key in a role, so that `until` cannot say two things.
static bool read_signer(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    struct trust_signer *s = vec_push(&t->signers);
    s->role = roles[member_choice(&m, "role", role_names, ARRAY_LEN(role_names))];
    read_key(&m, s->public);
    read_strings(&m, "chains", chain_name_is_valid, &s->chains);
    read_label(&m, &s->label);
    read_until(&m, &s->until);
    for (size_t i = 0; i + 1 < t->signers.len; i++)
        if (t->signers.v[i].role == s->role &&
            !memcmp(t->signers.v[i].public, s->public, KEY_BYTES))
            member_bad(&m, "key", "there twice in this role");
    return !m.is_bad;
}

typedef bool (*row_fn)(const json_t *o, struct trust *t, struct err *err);

static bool read_rows(const json_t *o, const char *key, row_fn read, struct trust *t,
                      struct err *err)
{
    struct members m = members_of(o, err);
    const json_t *a = member_array(&m, key, MAX_LIST);
    size_t i;
    const json_t *v;
    json_array_foreach(a, i, v)
    {
        if (!read(v, t, err))
            return err_wrap(err, "%s[%zu]", key, i);
    }
    return !m.is_bad;
}

static bool read_admins(const json_t *o, struct trust *t, struct err *err)
{
    struct members m = members_of(o, err);
    if (!read_rows(o, "keys", read_admin, t, err))
        return err_wrap(err, "admins");
    uint64_t most = t->admins.len < MAX_SIGNATURES ? t->admins.len : MAX_SIGNATURES;
    t->need = (unsigned)member_uint(&m, "need", 1, most);
    return !m.is_bad || err_wrap(err, "admins");
}

static bool read_members(const json_t *body, struct trust *t, struct err *err)
{
    struct members m = members_of(body, err);
    t->n = (unsigned)member_uint(&m, "n", 1, TRUST_MAX);
    member_hex(&m, "repo", t->repo, sizeof(t->repo));
    if (t->n > 1)
        member_hex(&m, "prev", t->prev.b, sizeof(t->prev.b));
    else if (!json_is_null(json_object_get(body, "prev")))
        member_bad(&m, "prev", "not null");
    const json_t *features = member_object(&m, "features");
    const json_t *admins = member_object(&m, "admins");
    return !m.is_bad && read_features(features, t, err) && read_admins(admins, t, err) &&
           read_rows(body, "epochs", read_epoch, t, err) &&
           read_rows(body, "slots", read_slot, t, err) &&
           read_rows(body, "signers", read_signer, t, err);
}

bool trust_parse(const json_t *body, struct trust *out, struct err *err)
{
    *out = (struct trust){0};
    if (read_members(body, out, err))
        return true;
    err->kind = ERR_CORRUPT; // a malformed recipient is INVALID where people give one
    trust_clear(out);
    return false;
}

// ---- questions ----

static bool allows_chain(const struct trust_signer *s, const char *chain)
{
    return !s->chains.len || strv_has(&s->chains, chain);
}

const struct trust_signer *trust_signer_for(const struct trust *t, const struct key_id *k,
                                            enum role role, const char *chain)
{
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        if (s->role == role && allows_chain(s, chain) && !strcmp(key_id_of(s->public).hex, k->hex))
            return s;
    }
    return NULL;
}

bool trust_is_void(const struct trust_signer *s, const char *chain, uint64_t seq)
{
    json_int_t last = json_integer_value(json_object_get(s->until, chain)); // absent: 0
    return s->until && seq > (uint64_t)last;
}

const struct trust_epoch *trust_open_epoch(const struct trust *t)
{
    const struct trust_epoch *best = NULL;
    for (size_t i = 0; i < t->epochs.len; i++) {
        const struct trust_epoch *e = &t->epochs.v[i];
        if (!e->is_closed && (!best || e->n > best->n))
            best = e;
    }
    return best;
}

bool trust_has_flag(const struct trust *t, const char *read_flag)
{
    return strv_has(&t->read_flags, read_flag);
}

unsigned trust_index_version(const struct trust *t)
{
    if (trust_has_flag(t, TRUST_ZSTD_INDEX))
        return 3;
    return trust_has_flag(t, TRUST_ZSTD_ROWS) ? 2 : 1;
}

static bool is_one_of(const char *flag, const char *const *known)
{
    while (*known && strcmp(*known, flag) != 0)
        known++;
    return *known;
}

// Whatever else is there was brought by a later program.
static bool refuse_flags(const struct strv *flags, const char *const *known, const char *what,
                         struct err *err)
{
    for (size_t i = 0; i < flags->len; i++)
        if (!is_one_of(flags->v[i], known))
            return err_set(err, ERR_INVALID,
                           "the repository needs \"%s\" to be %s, which "
                           "this program does not know",
                           flags->v[i], what);
    return true;
}

bool trust_check_flags(const struct trust *t, bool writes, bool prunes, struct err *err)
{
    static const char *const reads[] = {TRUST_PAGES, TRUST_SALTED_FILES, TRUST_ZSTD_INDEX,
                                        TRUST_ZSTD_ROWS, NULL};
    static const char *const none[] = {NULL};
    return refuse_flags(&t->read_flags, reads, "read", err) &&
           (!writes || refuse_flags(&t->write_flags, none, "written", err)) &&
           (!prunes || refuse_flags(&t->prune_flags, none, "pruned", err));
}
