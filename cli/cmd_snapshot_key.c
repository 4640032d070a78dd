// SPDX-License-Identifier: Apache-2.0
//
// Who may do what with a repository, and which one it is.
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_keys.h"

const char *key_role_word(enum role r)
{
    return r == ROLE_WRITE ? "writer" : r == ROLE_PRUNE ? "pruner" : "judge";
}

// ---- list ----

// A key as both forms show it.
struct key_row {
    struct key_id id;
    const char *role, *label;
    const struct trust_signer *signer; // NULL: an admin
};

static size_t n_keys(const struct trust *t)
{
    return t->admins.len + t->signers.len;
}

static struct key_row key_row(const struct trust *t, size_t i)
{
    if (i < t->admins.len)
        return (struct key_row){key_id_of(t->admins.v[i].public), "admin", t->admins.v[i].label,
                                NULL};
    const struct trust_signer *s = &t->signers.v[i - t->admins.len];
    return (struct key_row){key_id_of(s->public), key_role_word(s->role), s->label, s};
}

char *key_chains_text(const struct trust_signer *s)
{
    struct buf b = {0};
    for (size_t i = 0; s && i < s->chains.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", s->chains.v[i]);
    if (!b.len)
        buf_str(&b, s ? "all" : "");
    return buf_take(&b);
}

// "revoked after prod 12"
char *key_until_text(const json_t *until)
{
    struct buf b = {0};
    const char *chain;
    json_t *v;
    if (!until)
        return str_dup("");
    buf_str(&b, json_object_size(until) ? "revoked after" : "revoked from the start");
    const char *sep = " ";
    json_object_foreach((json_t *)until, chain, v)
    {
        buf_printf(&b, "%s%s %lld", sep, chain, (long long)json_integer_value(v));
        sep = ", ";
    }
    return buf_take(&b);
}

static void print_slots(const struct cli *c, const struct trust *t)
{
    struct table *tab CLEANUP(table_freep) = table_new(c, true, 2);
    table_column(tab, "SLOT", 0);
    table_column(tab, "EPOCH", TABLE_RIGHT);
    table_column(tab, "KIND", 0);
    table_column(tab, "LABEL", TABLE_WRAP);
    for (size_t i = 0; i < t->slots.len; i++) {
        const struct trust_slot *s = &t->slots.v[i];
        const struct trust_epoch *e = trust_epoch(t, s->epoch);
        CLEANUP(str_freep) char *file = str_ndup(s->file, KEY_ID_HEX);
        CLEANUP(str_freep)
        char *epoch = str_printf("%u%s", s->epoch, e && e->is_closed ? " (closed)" : "");
        size_t row = table_row(tab, -1);
        const char *const cells[] = {file, epoch, s->kind, s->label};
        for (size_t k = 0; k < ARRAY_LEN(cells); k++)
            table_cell(tab, row, k, NULL, cells[k]);
    }
    table_print(tab);
}

static void print_keys(const struct cli *c, const struct trust *t)
{
    struct table *tab CLEANUP(table_freep) = table_new(c, true, 2);
    table_column(tab, "KEY", 0);
    table_column(tab, "ROLE", 0);
    table_column(tab, "CHAINS", 0);
    table_column(tab, "LABEL", 0);
    table_column(tab, "", TABLE_WRAP);
    for (size_t i = 0; i < n_keys(t); i++) {
        struct key_row k = key_row(t, i);
        CLEANUP(str_freep) char *chains = key_chains_text(k.signer);
        CLEANUP(str_freep) char *until = key_until_text(k.signer ? k.signer->until : NULL);
        size_t row = table_row(tab, -1);
        const char *const cells[] = {k.id.hex, k.role, chains, k.label, until};
        for (size_t n = 0; n < ARRAY_LEN(cells); n++)
            table_cell(tab, row, n, *until ? "dim" : NULL, cells[n]);
    }
    table_print(tab);
}

static json_t *slots_doc(const struct trust *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < t->slots.len; i++)
        json_array_append_new(out, json_pack("{s:s, s:I, s:s, s:s}", "file", t->slots.v[i].file,
                                             "epoch", (json_int_t)t->slots.v[i].epoch, "kind",
                                             t->slots.v[i].kind, "label", t->slots.v[i].label));
    return out;
}

static json_t *keys_doc(const struct trust *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n_keys(t); i++) {
        struct key_row k = key_row(t, i);
        json_t *o = json_pack("{s:s, s:s, s:s}", "id", k.id.hex, "role", k.role, "label", k.label);
        json_t *chains = json_array();
        for (size_t n = 0; k.signer && n < k.signer->chains.len; n++)
            json_array_append_new(chains, json_string(k.signer->chains.v[n]));
        json_object_set_new(o, "chains", chains);
        if (k.signer && k.signer->until)
            json_object_set(o, "until", k.signer->until);
        json_array_append_new(out, o);
    }
    return out;
}

static json_t *epochs_doc(const struct trust *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < t->epochs.len; i++) {
        CLEANUP(str_freep) char *to = age_recipient_text(t->epochs.v[i].recipient);
        json_array_append_new(out,
                              json_pack("{s:I, s:b, s:s}", "epoch", (json_int_t)t->epochs.v[i].n,
                                        "closed", (int)t->epochs.v[i].is_closed, "recipient", to));
    }
    return out;
}

int cmd_snapshot_key_list(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_NOTHING};
    if (!snap_open(c, &c->o.snap, &want, &s, err))
        return 0;
    const struct trust *t = trust_now(&s.repo.trust);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-list", &s);
        json_object_set_new(doc, "trust", json_integer(t->n));
        json_object_set_new(doc, "need", json_integer(t->need));
        json_object_set_new(doc, "epochs", epochs_doc(t));
        json_object_set_new(doc, "slots", slots_doc(t));
        json_object_set_new(doc, "keys", keys_doc(t));
        print_doc(c, doc);
        return 0;
    }
    printf("%zu way%s to open %s, %zu key%s\n", t->slots.len, t->slots.len == 1 ? "" : "s",
           s.repo.store->url, n_keys(t), n_keys(t) == 1 ? "" : "s");
    if (t->need > 1)
        printf("  a change takes the signatures of %u admins\n", t->need);
    print_slots(c, t);
    printf("\n");
    print_keys(c, t);
    return 0;
}

// ---- trust ----

int cmd_snapshot_key_trust(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_IF_GIVEN, .unpinned = true};
    if (!snap_open(c, &c->o.snap, &want, &s, err))
        return 0;
    CLEANUP(str_freep) char *pin = snap_pin_text(&s.repo.trust.pin);
    const char *by = !str_is_empty(c->o.snap.trust) ? "--trust"
                     : s.has_key                    ? "the key"
                     : s.unlocked.by_passphrase     ? "what the passphrase opened"
                                                    : NULL;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-trust", &s);
        json_object_set_new(doc, "trust", json_integer(trust_now(&s.repo.trust)->n));
        json_object_set_new(doc, "checked", json_boolean(by != NULL));
        print_doc(c, doc);
        return 0;
    }
    if (by)
        printf("%s the pin of %s is that of %s\n", state_symbol(c, NODE_READY), s.repo.store->url,
               by);
    else
        print_wrapped(stdout,
                      "Only the repository itself says so: compare it with the pin that init "
                      "printed, and do not trust another.",
                      0, 0);
    printf("\n  %spin %s%s\n", paint(c, "bold"), pin, paint(c, ""));
    return 0;
}
