// SPDX-License-Identifier: Apache-2.0
//
// A trust file as JSON and back, and the questions it answers. Pure.
#include <assert.h>
#include <stdlib.h>

#include "snapshot/codec.h"
#include "snapshot/trust_int.h"

#define KEY_BASE64 44
#define MAX_LABEL 256

static const char *const slot_kinds[] = {"passphrase", "age"};

static const struct {
    enum role role;
    const char *name;
} roles[] = {{ROLE_WRITE, "write"}, {ROLE_PRUNE, "prune"}, {ROLE_JUDGE, "judge"}};

const char *role_name(enum role r)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (roles[i].role == r)
            return roles[i].name;
    return "?";
}

bool role_parse(const char *s, enum role *out)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (!strcmp(roles[i].name, s)) {
            *out = roles[i].role;
            return true;
        }
    return false;
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

json_t *hex_json(const void *p, size_t len)
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
    for (size_t i = 0; i < t->admins.len; i++)
        json_array_append_new(keys, json_pack("{s:o, s:o}", "key", key_json(t->admins.v[i].public),
                                              "label", text_json(t->admins.v[i].label)));
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
        json_array_append_new(a, json_pack("{s:o, s:i, s:o, s:o}", "file", text_json(s->file),
                                           "epoch", (int)s->epoch, "kind", text_json(s->kind),
                                           "label", text_json(s->label)));
    }
    return a;
}

static json_t *signers_json(const struct trust *t)
{
    json_t *a = json_array();
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        json_t *o = json_pack("{s:o, s:s, s:o, s:o}", "key", key_json(s->public), "role",
                              role_name(s->role), "chains", strings_json(&s->chains), "label",
                              text_json(s->label));
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

static bool malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "malformed %s", what);
}

bool hex_member(const json_t *o, const char *name, void *out, size_t len)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s && strspn(s, "0123456789abcdef") == strlen(s) && hex_decode(s, out, len);
}

bool uint_member(const json_t *o, const char *name, unsigned min, unsigned max, unsigned *out)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return false;
    *out = (unsigned)json_integer_value(v);
    return true;
}

static bool key_member(const json_t *o, uint8_t out[KEY_BYTES])
{
    uint8_t bytes[base64_room(KEY_BASE64)];
    const char *s = json_string_value(json_object_get(o, "key"));
    if (!s || strlen(s) != KEY_BASE64 || base64_strict(s, KEY_BASE64, true, bytes) != KEY_BYTES)
        return false;
    memcpy(out, bytes, KEY_BYTES);
    return true;
}

// Absent is empty.
static bool label_member(const json_t *o, char **out)
{
    const json_t *v = json_object_get(o, "label");
    if ((v && !json_is_string(v)) || json_string_length(v) > MAX_LABEL)
        return false;
    *out = str_dup(v ? json_string_value(v) : "");
    return true;
}

// An array of strings that pass the check; absent is empty.
static bool strings_member(const json_t *o, const char *name, bool (*is_valid)(const char *),
                           struct strv *out)
{
    const json_t *a = json_object_get(o, name);
    size_t i;
    const json_t *v;
    if (a && !json_is_array(a))
        return false;
    json_array_foreach(a, i, v)
    {
        const char *s = json_string_value(v);
        if (!s || !is_valid(s))
            return false;
        strv_push(out, s);
    }
    return true;
}

static bool flag_is_valid(const char *s)
{
    return *s && strlen(s) <= 64;
}

static bool parse_features(const json_t *body, struct trust *t, struct err *err)
{
    const json_t *f = json_object_get(body, "features");
    return (json_is_object(f) && strings_member(f, "read", flag_is_valid, &t->read_flags) &&
            strings_member(f, "write", flag_is_valid, &t->write_flags) &&
            strings_member(f, "prune", flag_is_valid, &t->prune_flags)) ||
           malformed(err, "features");
}

static bool is_admin(const struct trust *t, const uint8_t public[KEY_BYTES], size_t before)
{
    for (size_t i = 0; i < before; i++)
        if (!memcmp(t->admins.v[i].public, public, KEY_BYTES))
            return true;
    return false;
}

// Each key once: it must not count twice.
static bool parse_admins(const json_t *body, struct trust *t, struct err *err)
{
    const json_t *o = json_object_get(body, "admins");
    const json_t *keys = json_object_get(o, "keys");
    size_t i;
    const json_t *v;
    json_array_foreach(keys, i, v)
    {
        struct trust_admin *a = vec_push(&t->admins);
        if (!key_member(v, a->public) || !label_member(v, &a->label) || is_admin(t, a->public, i))
            return malformed(err, "admin");
    }
    unsigned most = t->admins.len < MAX_SIGNATURES ? (unsigned)t->admins.len : MAX_SIGNATURES;
    return uint_member(o, "need", 1, most, &t->need) || malformed(err, "admins");
}

const struct trust_epoch *trust_epoch(const struct trust *t, unsigned n)
{
    for (size_t i = 0; i < t->epochs.len; i++)
        if (t->epochs.v[i].n == n)
            return &t->epochs.v[i];
    return NULL;
}

static bool parse_epoch(const json_t *o, struct trust_epoch *out)
{
    struct err err = {0};
    const char *recipient = json_string_value(json_object_get(o, "recipient"));
    const json_t *closed = json_object_get(o, "closed");
    bool ok = recipient && json_is_boolean(closed) && uint_member(o, "n", 1, MAX_EPOCH, &out->n) &&
              age_recipient_parse(recipient, out->recipient, &err);
    err_clear(&err); // the caller says what is malformed
    out->is_closed = json_is_true(closed);
    return ok;
}

static bool parse_epochs(const json_t *body, struct trust *t, struct err *err)
{
    const json_t *a = json_object_get(body, "epochs");
    size_t i;
    const json_t *v;
    json_array_foreach(a, i, v)
    {
        struct trust_epoch e = {0};
        if (!parse_epoch(v, &e) || trust_epoch(t, e.n))
            return malformed(err, "epoch");
        *vec_push(&t->epochs) = e;
    }
    return json_is_array(a) || malformed(err, "epochs");
}

static bool slot_kind_is_valid(const char *s)
{
    for (size_t i = 0; i < ARRAY_LEN(slot_kinds); i++)
        if (str_eq(s, slot_kinds[i]))
            return true;
    return false;
}

static bool parse_slots(const json_t *body, struct trust *t, struct err *err)
{
    const json_t *a = json_object_get(body, "slots");
    size_t i;
    const json_t *v;
    json_array_foreach(a, i, v)
    {
        struct trust_slot *s = vec_push(&t->slots);
        struct sha256 h;
        const char *kind = json_string_value(json_object_get(v, "kind"));
        if (!hex_member(v, "file", h.b, sizeof(h.b)) || !slot_kind_is_valid(kind) ||
            !uint_member(v, "epoch", 1, MAX_EPOCH, &s->epoch) || !trust_epoch(t, s->epoch) ||
            !label_member(v, &s->label))
            return malformed(err, "slot");
        memcpy(s->file, json_string_value(json_object_get(v, "file")), sizeof(s->file));
        s->kind = str_dup(kind);
    }
    return json_is_array(a) || malformed(err, "slots");
}

static bool parse_until(const json_t *o, struct trust_signer *s)
{
    const json_t *until = json_object_get(o, "until");
    const char *chain;
    const json_t *v;
    if (!until)
        return true;
    json_object_foreach((json_t *)until, chain, v)
    {
        if (!chain_name_is_valid(chain) || !json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) > MAX_SEQ)
            return false;
    }
    s->until = json_deep_copy(until);
    return json_is_object(until);
}

static const struct trust_signer *signer_row(const struct trust *t, const uint8_t *public,
                                             enum role role)
{
    for (size_t i = 0; i < t->signers.len; i++)
        if (t->signers.v[i].role == role && !memcmp(t->signers.v[i].public, public, KEY_BYTES))
            return &t->signers.v[i];
    return NULL;
}

// One row for a key in a role, so that `until` cannot say two things.
static bool parse_signers(const json_t *body, struct trust *t, struct err *err)
{
    const json_t *a = json_object_get(body, "signers");
    size_t i;
    const json_t *v;
    json_array_foreach(a, i, v)
    {
        struct trust_signer *s = vec_push(&t->signers);
        const char *role = json_string_value(json_object_get(v, "role"));
        if (!role || !role_parse(role, &s->role) || !key_member(v, s->public) ||
            !strings_member(v, "chains", chain_name_is_valid, &s->chains) ||
            !label_member(v, &s->label) || !parse_until(v, s) ||
            signer_row(t, s->public, s->role) != s)
            return malformed(err, "signer");
    }
    return json_is_array(a) || malformed(err, "signers");
}

static bool parse_members(const json_t *body, struct trust *t, struct err *err)
{
    if (!uint_member(body, "n", 1, TRUST_MAX, &t->n))
        return malformed(err, "n");
    if (!hex_member(body, "repo", t->repo, sizeof(t->repo)))
        return malformed(err, "repo");
    if (t->n > 1 ? !hex_member(body, "prev", t->prev.b, sizeof(t->prev.b))
                 : !json_is_null(json_object_get(body, "prev")))
        return malformed(err, "prev");
    return parse_features(body, t, err) && parse_admins(body, t, err) &&
           parse_epochs(body, t, err) && parse_slots(body, t, err) && parse_signers(body, t, err);
}

bool trust_parse(const json_t *body, struct trust *out, struct err *err)
{
    *out = (struct trust){0};
    if (parse_members(body, out, err))
        return true;
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

// Format 1 has no flags yet: whatever is there was brought by a later program.
static bool refuse_flags(const struct strv *flags, const char *what, struct err *err)
{
    return !flags->len || err_set(err, ERR_INVALID,
                                  "the repository needs \"%s\" to be %s, which "
                                  "this program does not know",
                                  flags->v[0], what);
}

bool trust_check_flags(const struct trust *t, bool writes, bool prunes, struct err *err)
{
    return refuse_flags(&t->read_flags, "read", err) &&
           (!writes || refuse_flags(&t->write_flags, "written", err)) &&
           (!prunes || refuse_flags(&t->prune_flags, "pruned", err));
}
