// SPDX-License-Identifier: Apache-2.0
//
// A change of trust on its way from admin to admin: the next trust file, which cannot be written
// yet since signatures are missing. It is read with the same eyes as one that is in the store.
#include <stdlib.h>

#include "snapshot/trust_int.h"

bool trust_propose(const struct trust_chain *before, const struct trust *t,
                   const struct signer *admins, size_t n, struct buf *out, struct err *err)
{
    CLEANUP(str_freep) char *name = trust_name(t->n);
    struct trust again = {0};
    unsigned missing;
    if (!trust_check_rules(trust_now(before), t, err))
        return err_wrap(err, "%s", name);
    json_auto_t *body = trust_json(t);
    signed_write("trust", body, admins, n, out);
    bool ok = trust_proposal_read(before, out, &again, &missing, err);
    trust_clear(&again);
    if (ok)
        return true;
    err->kind = ERR_INVALID; // nobody's bytes yet
    return err_wrap(err, "%s", name);
}

static unsigned lacks(const struct trust *t, const struct signed_line *line)
{
    unsigned n = admins_behind(t, line);
    return n < t->need ? t->need - n : 0;
}

static bool follows(const struct trust *now, const struct trust *t, struct err *err)
{
    if (memcmp(t->repo, now->repo, sizeof(t->repo)) != 0)
        return err_set(err, ERR_CORRUPT, "it is another repository's");
    if (t->n == now->n + 1 && sha256_eq(&t->prev, &now->hash))
        return true;
    return err_set(err, ERR_CONFLICT,
                   "it was made upon trust %u, and others have changed it since: now is trust %u",
                   t->n - 1, now->n);
}

bool trust_proposal_read(const struct trust_chain *before, const struct buf *file,
                         struct trust *out, unsigned *missing, struct err *err)
{
    const struct trust *now = trust_now(before);
    struct signed_line line;
    json_auto_t *body = NULL;
    *out = (struct trust){0};
    if (!signed_split(file->p, file->len, TRUST_MAX_BYTES, "trust", &line, err))
        return false;
    if (!admins_behind(now, &line))
        return err_set(err, ERR_CORRUPT, "no admin of the repository has signed it");
    if (!signed_json(&line, &body, err) || !trust_parse(body, out, err))
        return false;
    unsigned own = lacks(out, &line);
    unsigned theirs = lacks(now, &line);
    *missing = own > theirs ? own : theirs;
    if (follows(now, out, err) && trust_check_rules(now, out, err))
        return true;
    trust_clear(out);
    return false;
}

static bool has_admin(const struct trust *t, const struct signer *s)
{
    for (size_t i = 0; i < t->admins.len; i++)
        if (!memcmp(t->admins.v[i].public, s->public, KEY_BYTES))
            return true;
    return false;
}

bool trust_cosign(const struct trust_chain *before, const struct signer *s, struct buf *file,
                  struct err *err)
{
    struct trust t = {0};
    unsigned missing;
    if (!trust_proposal_read(before, file, &t, &missing, err))
        return false;
    bool ok = has_admin(trust_now(before), s) || has_admin(&t, s);
    trust_clear(&t);
    if (!ok)
        return err_set(err, ERR_DENIED, "the key is not that of an admin");
    return signed_add("trust", TRUST_MAX_BYTES, s, file, err);
}

bool trust_write_proposal(struct store *s, const struct trust_chain *before, const struct buf *file,
                          struct err *err)
{
    struct trust t = {0};
    unsigned missing;
    if (!trust_proposal_read(before, file, &t, &missing, err))
        return false;
    CLEANUP(str_freep) char *name = trust_name(t.n);
    bool ok = trust_check_new(trust_now(before), &t, file, err);
    trust_clear(&t);
    return ok ? create_same(s, name, file, err) : err_wrap(err, "%s", name);
}

// ---- what differs ----

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

// The id by which people know a key.
static char *key_text(const json_t *row)
{
    const char *text = text_of(row, "key");
    struct buf key CLEANUP(buf_clear) = {0};
    if (!base64_decode(text, strlen(text), &key) || key.len != KEY_BYTES)
        return str_dup(text);
    return str_dup(key_id_of((const uint8_t *)key.p).hex);
}

// A row for people: what it is first, then all of it.
static char *row_text(const char *what, const json_t *row)
{
    struct buf b = {0};
    json_auto_t *rest = json_copy((json_t *)row);
    CLEANUP(str_freep) char *key = json_object_get(row, "key") ? key_text(row) : NULL;
    json_object_del(rest, "key");
    json_object_del(rest, "label");
    buf_printf(&b, "%s", what);
    if (*text_of(row, "label"))
        buf_printf(&b, " %s", text_of(row, "label"));
    if (key)
        buf_printf(&b, " (%s)", key);
    const char *name;
    json_t *v;
    const char *sep = b.len > strlen(what) ? "," : "";
    json_object_foreach(rest, name, v)
    {
        bool is_all = json_is_array(v) && !json_array_size(v); // no chains are all chains
        char *value = json_is_string(v) ? NULL
                      : is_all          ? str_dup("all")
                                        : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_printf(&b, "%s %s %s", sep, name, value ? value : json_string_value(v));
        sep = ",";
        free(value);
    }
    return buf_take(&b);
}

static bool has_row(const json_t *rows, const json_t *row)
{
    size_t i;
    const json_t *x;
    json_array_foreach(rows, i, x)
    {
        if (json_equal(x, row))
            return true;
    }
    return false;
}

static void add_rows(const char *sign, const char *what, const json_t *rows, const json_t *others,
                     struct strv *out)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (has_row(others, row))
            continue;
        CLEANUP(str_freep) char *text = row_text(what, row);
        strv_push_take(out, str_printf("%s %s", sign, text));
    }
}

static void compare_rows(const char *what, const json_t *from, const json_t *to, struct strv *out)
{
    add_rows("-", what, from, to, out);
    add_rows("+", what, to, from, out);
}

// Members that are no rows are few, and shown as they are written.
static void compare_value(const char *what, const json_t *from, const json_t *to, struct strv *out)
{
    if (json_equal(from, to))
        return;
    char *a = json_dumps(from, JSON_COMPACT | JSON_ENCODE_ANY);
    char *b = json_dumps(to, JSON_COMPACT | JSON_ENCODE_ANY);
    strv_push_take(out, str_printf("- %s %s", what, a ? a : "null"));
    strv_push_take(out, str_printf("+ %s %s", what, b ? b : "null"));
    free(a);
    free(b);
}

void trust_changes(const struct trust *from, const struct trust *to, struct strv *out)
{
    static const struct {
        const char *member, *what;
    } rows[] = {{"epochs", "epoch"}, {"slots", "slot"}, {"signers", "key"}};
    json_auto_t *a = trust_json(from);
    json_auto_t *b = trust_json(to);
    const json_t *admins_a = json_object_get(a, "admins");
    const json_t *admins_b = json_object_get(b, "admins");
    compare_value("admins whose signatures a change takes:", json_object_get(admins_a, "need"),
                  json_object_get(admins_b, "need"), out);
    compare_rows("admin", json_object_get(admins_a, "keys"), json_object_get(admins_b, "keys"),
                 out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        compare_rows(rows[i].what, json_object_get(a, rows[i].member),
                     json_object_get(b, rows[i].member), out);
    compare_value("features", json_object_get(a, "features"), json_object_get(b, "features"), out);
}
