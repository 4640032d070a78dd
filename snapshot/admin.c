// SPDX-License-Identifier: Apache-2.0
//
// Slots and epochs.
#include "snapshot/admin_int.h"

#include <stdlib.h>
#include <string.h>

// ---- one change ----

static bool is_admin(const struct trust *t, const struct credential *c)
{
    for (size_t i = 0; i < t->admins.len; i++)
        if (!memcmp(t->admins.v[i].public, c->signer.public, KEY_BYTES))
            return true;
    return false;
}

bool change_begin(struct repo *r, const struct credential *admin, struct trust *next,
                  struct err *err)
{
    const struct trust *now = trust_now(&r->trust);
    *next = (struct trust){0};
    if (!trust_check_flags(now, true, true, err))
        return false;
    if (!is_admin(now, admin))
        return err_set(err, ERR_DENIED, "the key is not, or not any more, that of an admin");
    if (now->need > 1)
        return err_set(err, ERR_DENIED, "a change takes the keys of %u admins", now->need);
    trust_next(&r->trust, next);
    return true;
}

static bool write_change(struct repo *r, const struct credential *admin, const struct trust *next,
                         struct err *err)
{
    struct sha256 hash;
    struct trust_chain fresh = {0};
    if (!trust_write(r->store, &r->trust, next, &admin->signer, 1, &hash, err) ||
        !trust_read(r->store, &r->trust.pin, &fresh, err))
        return false;
    trust_chain_clear(&r->trust);
    r->trust = fresh;
    return true;
}

bool change_commit(struct repo *r, const struct credential *admin, struct trust *next,
                   struct err *err)
{
    bool ok = write_change(r, admin, next, err);
    trust_clear(next);
    return ok;
}

// ---- slots ----

static bool is_to(const struct trust_slot *s, const uint8_t recipient[KEY_BYTES])
{
    CLEANUP(str_freep) char *text = age_recipient_text(recipient);
    return str_eq(slot_row_recipient(s), text);
}

static bool opens_with(struct repo *r, const struct trust_slot *s, const char *passphrase)
{
    struct age_keys keys = {.passphrase = passphrase};
    struct buf file CLEANUP(buf_clear) = {0};
    struct slot_content content = {0};
    struct err ignored = {0};
    bool found = false;
    CLEANUP(str_freep) char *name = str_printf("keys/%s", s->file);
    found = store_get(r->store, name, SLOT_MAX_BYTES, &file, &found, &ignored) && found &&
            slot_open(&keys, file.p, file.len, &content, &ignored);
    slot_content_wipe(&content);
    err_clear(&ignored); // it does not open with this one: then it is another
    return found;
}

// A recipient is known by the label it was given, a passphrase by what it opens.
const struct trust_slot *admin_find_slot(struct repo *r, unsigned epoch, const struct slot_way *w)
{
    const struct trust *t = trust_now(&r->trust);
    for (size_t i = 0; i < t->slots.len; i++) {
        const struct trust_slot *s = &t->slots.v[i];
        bool is_pass = str_eq(s->kind, "passphrase");
        if (s->epoch != epoch || is_pass != (w->passphrase != NULL))
            continue;
        if (is_pass ? opens_with(r, s, w->passphrase) : is_to(s, w->recipient))
            return s;
    }
    return NULL;
}

static bool push_slot(struct repo *r, const struct slot_content *c, const struct slot_way *w,
                      struct trust *next, struct err *err)
{
    struct trust_slot row = {0};
    if (!slot_make(r->store, c, w, &row, err))
        return false;
    *vec_push(&next->slots) = row;
    return true;
}

bool admin_add_slot(struct repo *r, const struct credential *admin, const struct unlocked *u,
                    const struct slot_way *w, size_t *added, struct err *err)
{
    struct trust next = {0};
    bool ok = change_begin(r, admin, &next, err);
    *added = 0;
    for (size_t i = 0; ok && i < u->v.len; i++) {
        if (admin_find_slot(r, u->v.v[i].epoch, w))
            continue;
        ok = push_slot(r, &u->v.v[i], w, &next, err);
        *added += ok;
    }
    if (ok && *added)
        return change_commit(r, admin, &next, err);
    trust_clear(&next);
    return ok;
}

// ---- which epochs must stay open to somebody ----

struct epochs {
    VEC(unsigned) v;
};

static bool has_epoch(const struct epochs *e, unsigned n)
{
    for (size_t i = 0; i < e->v.len; i++)
        if (e->v.v[i] == n)
            return true;
    return false;
}

// Of everything that is live or waits, in every chain.
static bool used_epochs(struct repo *r, struct epochs *out, struct err *err)
{
    struct strv chains = {0};
    bool ok = repo_chains(r, &chains, err);
    for (size_t i = 0; ok && i < chains.len; i++) {
        struct log_opts lo = {0};
        struct log l = {.checkpoint = -1};
        ok = log_read(r, chains.v[i], &lo, &l, err);
        for (size_t k = 0; ok && k < l.v.len; k++) {
            const struct entry *e = &l.v.v[k];
            if (e->kind == ENTRY_SNAPSHOT && log_standing(&l, e) != STANDING_DEAD &&
                !has_epoch(out, e->snapshot.epoch))
                *vec_push(&out->v) = e->snapshot.epoch;
        }
        log_clear(&l);
    }
    strv_clear(&chains);
    return ok;
}

static bool is_meant(const struct trust_slot *s, const char *name)
{
    size_t n = strlen(name);
    return str_eq(s->label, name) || str_eq(slot_row_recipient(s), name) ||
           (n && str_starts(s->label, name) && s->label[n] == ' ') ||
           (n >= 6 && str_starts(s->file, name));
}

static bool stays_open(const struct trust *next, const struct epochs *used, struct err *err)
{
    for (size_t i = 0; i < next->epochs.len; i++) {
        const struct trust_epoch *e = &next->epochs.v[i];
        size_t n = 0;
        for (size_t k = 0; k < next->slots.len; k++)
            n += next->slots.v[k].epoch == e->n;
        if (n || (e->is_closed && !has_epoch(used, e->n)))
            continue;
        return err_set(err, ERR_CONFLICT,
                       "it is the last way to open epoch %u: nobody could read its snapshots",
                       e->n);
    }
    return true;
}

static size_t drop_slots(struct trust *next, const char *name)
{
    size_t kept = 0;
    size_t before = next->slots.len;
    for (size_t i = 0; i < before; i++) {
        if (is_meant(&next->slots.v[i], name))
            slot_row_clear(&next->slots.v[i]);
        else
            next->slots.v[kept++] = next->slots.v[i];
    }
    next->slots.len = kept;
    return before - kept;
}

bool admin_remove_slot(struct repo *r, const struct credential *admin, const char *name,
                       size_t *removed, struct err *err)
{
    struct trust next = {0};
    struct epochs used = {0};
    bool ok = change_begin(r, admin, &next, err) && used_epochs(r, &used, err);
    *removed = ok ? drop_slots(&next, name) : 0;
    if (ok && !*removed)
        ok = err_set(err, ERR_NOT_FOUND, "there is no slot \"%.80s\"", name);
    ok = ok && stays_open(&next, &used, err);
    vec_clear(&used.v);
    if (ok)
        return change_commit(r, admin, &next, err);
    trust_clear(&next);
    return false;
}

// ---- a new epoch ----

static bool new_epoch(struct repo *r, const struct slot_way *ways, size_t n_ways,
                      struct trust *next, struct err *err)
{
    struct slot_content content = {.pin = r->trust.pin};
    unsigned n = 0;
    for (size_t i = 0; i < next->epochs.len; i++) {
        next->epochs.v[i].is_closed = true;
        n = next->epochs.v[i].n > n ? next->epochs.v[i].n : n;
    }
    memcpy(content.repo, next->repo, sizeof(content.repo));
    content.epoch = n + 1;
    age_identity_new(&content.identity);
    struct trust_epoch *e = vec_push(&next->epochs);
    e->n = n + 1;
    memcpy(e->recipient, content.identity.public, KEY_BYTES);
    bool ok = true;
    for (size_t i = 0; ok && i < n_ways; i++)
        ok = push_slot(r, &content, &ways[i], next, err);
    slot_content_wipe(&content);
    return ok;
}

bool admin_rotate(struct repo *r, const struct credential *admin, const struct rotate_opts *o,
                  unsigned *n, bool *made, struct err *err)
{
    struct trust next = {0};
    struct epochs used = {0};
    *made = false;
    *n = 0;
    if (o->n_ways < (o->is_single ? 1 : INIT_MIN_SLOTS))
        return err_set(err, ERR_USAGE, "%zu ways to open the new epoch are too few", o->n_ways);
    bool ok = change_begin(r, admin, &next, err) && used_epochs(r, &used, err);
    const struct trust_epoch *open = ok ? trust_open_epoch(&next) : NULL;
    bool is_fresh = open && open->n > 1 && !has_epoch(&used, open->n);
    vec_clear(&used.v);
    if (open)
        *n = open->n;
    if (ok && is_fresh && !o->again) {
        trust_clear(&next);
        return true;
    }
    if (ok && new_epoch(r, o->ways, o->n_ways, &next, err)) {
        *n = next.epochs.v[next.epochs.len - 1].n;
        *made = change_commit(r, admin, &next, err);
        return *made;
    }
    trust_clear(&next);
    return false;
}
