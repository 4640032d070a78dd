// SPDX-License-Identifier: Apache-2.0
//
// Taking away: ways to open a repository, epochs, keys that sign.
#include <stdlib.h>
#include <string.h>

#include "cli/pass.h"
#include "cli/snapshot_keys.h"

// ---- remove ----

int cmd_snapshot_key_remove(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_NOTHING, .key = true, .kind = CREDENTIAL_ADMIN};
    size_t n = 0;
    if (!c->o.args.len) {
        err_set(err, ERR_USAGE, "which slot? Its file or its label is missing");
        err_hint(err, "regrow snapshot key list shows them.");
        return 0;
    }
    if (!snap_open(c, &c->o.snap, &want, &s, err))
        return 0;
    if (!admin_remove_slot(&s.repo, &s.key, c->o.args.v[0], &n, err)) {
        if (err->kind == ERR_CONFLICT)
            err_hint(err, "Add another with regrow snapshot key add first.");
        key_change_failed(err);
        return 0;
    }
    if (key_is_proposed(&s)) {
        key_tell_proposed(&s, err);
        return 0;
    }
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-remove", &s);
        json_object_set_new(doc, "slots", json_integer((json_int_t)n));
        print_doc(c, doc);
        return 0;
    }
    printf("%s %zu slot%s removed\n", state_symbol(c, NODE_READY), n, n == 1 ? "" : "s");
    print_wrapped(stdout,
                  "  Whoever opened the repository with it can still read what is there. If that "
                  "is not wanted: regrow snapshot key rotate, and change what the snapshots hold.",
                  2, 2);
    return 0;
}

// ---- rotate ----

// Those who open the open epoch now, without `given`; who is told by a label alone cannot be
// carried over.
static bool carry_over(const struct snap *s, const struct trust_slot *given, struct ways *w,
                       struct strv *left, struct err *err)
{
    const struct trust *t = trust_now(&s->repo.trust);
    const struct trust_epoch *open = trust_open_epoch(t);
    for (size_t i = 0; open && i < t->slots.len; i++) {
        const struct trust_slot *x = &t->slots.v[i];
        const char *to = slot_row_recipient(x);
        if (x->epoch != open->n || x == given)
            continue;
        size_t n = to ? (size_t)(to - x->label) : 0;
        CLEANUP(str_freep) char *label = n ? str_ndup(x->label, n - 1) : NULL;
        if (to && !ways_recipient(w, to, label, err))
            return false;
        if (!to)
            strv_push_take(left, str_printf("%.*s %s", KEY_ID_HEX, x->file, x->label));
    }
    return true;
}

// The passphrase that was given for this epoch, if a slot of it still opens with it (*slot): what
// opens the admin's key may have been taken away here.
static bool old_passphrase(struct snap *s, struct ways *w, const struct trust_slot **slot,
                           struct err *err)
{
    struct pass_source from = {.file = s->o->passphrase_file, .env = "REGROW_PASSPHRASE"};
    const struct trust_epoch *open = trust_open_epoch(trust_now(&s->repo.trust));
    bool found = s->passphrase.len > 0;
    if (found) {
        buf_reserve(&w->passphrase, s->passphrase.len);
        buf_append(&w->passphrase, s->passphrase.p, s->passphrase.len);
    } else if (!pass_get(&from, &w->passphrase, &found, err)) {
        return false;
    }
    struct slot_way way = {.passphrase = w->passphrase.p};
    *slot = found && open ? admin_find_slot(&s->repo, open->n, &way) : NULL;
    if (*slot)
        ways_passphrase(w, (*slot)->label);
    else
        buf_wipe(&w->passphrase);
    return true;
}

// The passphrase that is to open the new epoch: a new one, else the one that opens this one.
static bool next_passphrase(struct snap *s, struct ways *w, const struct trust_slot **slot,
                            struct err *err)
{
    struct pass_source from = {.file = s->o->new_passphrase_file, .env = "REGROW_NEW_PASSPHRASE"};
    bool found = false;
    *slot = NULL;
    if (!pass_get(&from, &w->passphrase, &found, err))
        return false;
    if (!found)
        return old_passphrase(s, w, slot, err);
    ways_passphrase(w, NULL);
    return true;
}

static bool rotate(struct snap *s, struct ways *w, struct strv *left, unsigned *n, bool *made,
                   struct err *err)
{
    const struct snapshot_options *o = s->o;
    const struct trust_slot *slot;
    if (!next_passphrase(s, w, &slot, err) ||
        !(o->recipients.len ? ways_recipients(w, o, err) : carry_over(s, slot, w, left, err)))
        return false;
    struct rotate_opts ro = {
        .ways = w->v, .n_ways = w->n, .is_single = o->single, .again = o->again};
    if (admin_rotate(&s->repo, &s->key, &ro, n, made, err))
        return true;
    return err->kind == ERR_USAGE
               ? err_hint(err, "Those of now count that are age keys, and the passphrase that "
                               "opens it now, if it was given. Else give --recipient, "
                               "--new-passphrase-file, or --single.")
               : key_change_failed(err);
}

static void print_rotated(const struct snap *s, const struct ways *w, const struct strv *left,
                          unsigned n, bool made)
{
    const struct cli *c = s->c;
    const struct trust *t = trust_now(&s->repo.trust);
    if (!made) {
        printf("%s epoch %u was begun already and nothing is written in it: left as it is "
               "(--again)\n",
               state_symbol(c, NODE_READY), n);
        return;
    }
    printf("%s epoch %u is open, the one before is closed\n", state_symbol(c, NODE_READY), n);
    for (size_t i = 0; i < w->n; i++)
        printf("  %-9s %s\n", i ? "" : "opens by", w->v[i].label);
    for (size_t i = 0; i < left->len; i++)
        printf("  not carried over, add it again: %s\n", left->v[i]);
    for (size_t i = 0; i < t->signers.len; i++)
        if (t->signers.v[i].role == ROLE_WRITE && !t->signers.v[i].until)
            printf("  needs a new credential: writer %s\n", t->signers.v[i].label);
    printf("  next: regrow snapshot key add --role writer … for each; their next run writes all\n"
           "        anew. Older snapshots stay readable with what opened them before.\n");
}

int cmd_snapshot_key_rotate(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct ways w CLEANUP(ways_clear) = {0};
    struct strv left CLEANUP(strv_clear) = {0};
    struct snap_want want = {.read = READ_NOTHING, .key = true, .kind = CREDENTIAL_ADMIN};
    unsigned n = 0;
    bool made = false;
    if (!snap_open(c, &c->o.snap, &want, &s, err) || !rotate(&s, &w, &left, &n, &made, err))
        return 0;
    if (key_is_proposed(&s)) {
        key_tell_proposed(&s, err);
        return 0;
    }
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-rotate", &s);
        json_object_set_new(doc, "epoch", json_integer(n));
        json_object_set_new(doc, "made", json_boolean(made));
        json_object_set_new(doc, "slots", json_integer(made ? (json_int_t)w.n : 0));
        print_doc(c, doc);
        return 0;
    }
    print_rotated(&s, &w, &left, n, made);
    return 0;
}

// ---- revoke ----

// "prod:12" of each --last-trusted.
static bool parse_last(const struct cli *c, json_t **out, struct err *err)
{
    const struct strv *given = &c->o.snap.last_trusted;
    *out = given->len ? json_object() : NULL;
    for (size_t i = 0; i < given->len; i++) {
        size_t n = strcspn(given->v[i], ":");
        CLEANUP(str_freep) char *chain = str_ndup(given->v[i], n);
        long long seq = 0;
        if (!given->v[i][n] || !chain_name_is_valid(chain) ||
            !str_to_int(given->v[i] + n + 1, 0, ENTRY_MAX_SEQ, &seq))
            return err_set(err, ERR_USAGE, "--last-trusted \"%.80s\": CHAIN:SEQ is wanted",
                           given->v[i]);
        json_object_set_new(*out, chain, json_integer(seq));
    }
    return true;
}

static void print_revoked(const struct snap *s, const char *who, const json_t *until)
{
    const struct cli *c = s->c;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-revoke", s);
        json_object_set_new(doc, "key", json_string(who));
        if (until)
            json_object_set(doc, "until", (json_t *)until);
        print_doc(c, doc);
        return;
    }
    CLEANUP(str_freep) char *text = until ? key_until_text(until) : str_dup("no admin any more");
    printf("%s %s: %s\n", state_symbol(c, NODE_READY), who, text);
    if (until)
        print_wrapped(stdout,
                      "  What it signs after that counts for nothing; the next snapshot stands on "
                      "nothing of it.",
                      2, 2);
}

int cmd_snapshot_key_revoke(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    CLEANUP(json_freep) json_t *last = NULL;
    CLEANUP(json_freep) json_t *until = NULL;
    struct snap_want want = {.read = READ_NOTHING, .key = true, .kind = CREDENTIAL_ADMIN};
    if (!c->o.args.len) {
        err_set(err, ERR_USAGE, "which key? Its id or its label is missing");
        err_hint(err, "regrow snapshot key list shows them.");
        return 0;
    }
    struct revocation v = {.who = c->o.args.v[0]};
    if (!parse_last(c, &last, err) || !snap_open(c, &c->o.snap, &want, &s, err))
        return 0;
    v.last = last;
    if (!admin_revoke(&s.repo, &s.key, &v, &until, err))
        key_change_failed(err);
    else if (key_is_proposed(&s))
        key_tell_proposed(&s, err);
    else
        print_revoked(&s, v.who, until);
    return 0;
}
