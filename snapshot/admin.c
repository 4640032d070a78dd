// SPDX-License-Identifier: Apache-2.0
//
// Slots and epochs.
#include "snapshot/admin_int.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TRIES 20 // others keep changing it meanwhile

// ---- one change ----

static bool is_admin(const struct trust *t, const struct credential *c)
{
    for (size_t i = 0; i < t->admins.len; i++)
        if (!memcmp(t->admins.v[i].public, c->signer.public, KEY_BYTES))
            return true;
    return false;
}

static bool begin(struct repo *r, const struct credential *admin, struct trust *next,
                  struct err *err)
{
    const struct trust *now = trust_now(&r->trust);
    *next = (struct trust){0};
    if (!trust_check_flags(now, true, true, err))
        return false;
    if (!is_admin(now, admin))
        return err_set(err, ERR_DENIED, "the key is not, or not any more, that of an admin");
    trust_next(&r->trust, next);
    return true;
}

static bool read_again(struct repo *r, struct err *err)
{
    struct trust_chain fresh = {0};
    if (!trust_read(r->store, &r->trust.pin, &fresh, err))
        return false;
    trust_chain_clear(&r->trust);
    r->trust = fresh;
    return true;
}

// Signed by all who are here: written, or, while others are missing, left to them.
static bool sign_change(struct repo *r, const struct credential *admin, const struct trust *next,
                        bool *written, struct err *err)
{
    const struct cosigning *c = r->cosigning;
    struct buf file CLEANUP(buf_clear) = {0};
    struct trust read = {0};
    unsigned missing = 0;
    bool ok = trust_propose(&r->trust, next, &admin->signer, 1, &file, err);
    for (size_t i = 0; ok && c && i < c->n; i++)
        ok = trust_cosign(&r->trust, &c->others[i], &file, err);
    ok = ok && trust_proposal_read(&r->trust, &file, &read, &missing, err);
    trust_clear(&read);
    *written = ok && !missing;
    if (*written)
        return trust_write_proposal(r->store, &r->trust, &file, err);
    if (!ok)
        return false;
    if (!c || !c->proposal)
        return err_set(err, ERR_DENIED, "the signature%s of %u more admin%s %s missing",
                       missing == 1 ? "" : "s", missing, missing == 1 ? "" : "s",
                       missing == 1 ? "is" : "are");
    buf_clear(c->proposal);
    *c->proposal = file;
    file = (struct buf){0};
    return true;
}

// *made false, without an error: it is so already, or (*again) another change took the number.
static bool change_once(struct repo *r, const struct credential *admin, change_fn fn, void *ctx,
                        bool *made, bool *again, struct err *err)
{
    struct trust next = {0};
    bool news = false;
    bool written = false;
    bool ok = begin(r, admin, &next, err) && fn(r, &next, ctx, &news, err);
    *again = false;
    if (ok && news) {
        ok = sign_change(r, admin, &next, &written, err);
        *again = !ok && written && err->kind == ERR_CONFLICT;
        *made = ok;
        if (*again)
            err_clear(err); // decided anew on what is there now
        if ((ok && written) || *again)
            ok = read_again(r, err);
    }
    trust_clear(&next);
    return ok;
}

bool change_run(struct repo *r, const struct credential *admin, change_fn fn, void *ctx, bool *made,
                struct err *err)
{
    bool again = true;
    bool ok = true;
    *made = false;
    for (int i = 0; ok && again; i++) {
        if (i == MAX_TRIES)
            return err_set(err, ERR_CONFLICT, "others changed the keys all the while");
        ok = change_once(r, admin, fn, ctx, made, &again, err);
    }
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

struct adding {
    const struct unlocked *u;
    const struct slot_way *w;
    size_t added;
};

static bool add_slots(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    struct adding *a = ctx;
    a->added = 0;
    for (size_t i = 0; i < a->u->v.len; i++) {
        if (admin_find_slot(r, a->u->v.v[i].epoch, a->w))
            continue;
        if (!push_slot(r, &a->u->v.v[i], a->w, next, err))
            return false;
        a->added++;
    }
    *news = a->added > 0;
    return true;
}

bool admin_add_slot(struct repo *r, const struct credential *admin, const struct unlocked *u,
                    const struct slot_way *w, size_t *added, struct err *err)
{
    struct adding a = {.u = u, .w = w};
    bool made;
    bool ok =
        repo_has_newest_trust(r, NULL, err) && change_run(r, admin, add_slots, &a, &made, err);
    *added = ok ? a.added : 0;
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

struct removing {
    const char *name;
    size_t removed;
};

static bool remove_slots(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    struct removing *m = ctx;
    struct epochs used = {0};
    m->removed = drop_slots(next, m->name);
    if (!m->removed)
        return err_set(err, ERR_NOT_FOUND, "there is no slot \"%.80s\"", m->name);
    *news = used_epochs(r, &used, err) && stays_open(next, &used, err);
    vec_clear(&used.v);
    return *news;
}

bool admin_remove_slot(struct repo *r, const struct credential *admin, const char *name,
                       size_t *removed, struct err *err)
{
    struct removing m = {.name = name};
    bool made;
    bool ok =
        repo_has_newest_trust(r, NULL, err) && change_run(r, admin, remove_slots, &m, &made, err);
    *removed = ok ? m.removed : 0;
    return ok;
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

struct rotating {
    const struct rotate_opts *o;
    unsigned n;
};

static bool rotate_once(struct repo *r, struct trust *next, void *ctx, bool *news, struct err *err)
{
    struct rotating *x = ctx;
    struct epochs used = {0};
    const struct trust_epoch *open = trust_open_epoch(next);
    bool ok = used_epochs(r, &used, err);
    bool is_fresh = open && open->n > 1 && !has_epoch(&used, open->n);
    vec_clear(&used.v);
    x->n = open ? open->n : 0;
    if (!ok || (is_fresh && !x->o->again))
        return ok;
    *news = new_epoch(r, x->o->ways, x->o->n_ways, next, err);
    if (*news)
        x->n = next->epochs.v[next->epochs.len - 1].n;
    return *news;
}

bool admin_rotate(struct repo *r, const struct credential *admin, const struct rotate_opts *o,
                  unsigned *n, bool *made, struct err *err)
{
    struct rotating x = {.o = o};
    *made = false;
    *n = 0;
    if (o->n_ways < (o->is_single ? 1 : INIT_MIN_SLOTS))
        return err_set(err, ERR_USAGE, "%zu way%s to open the new epoch %s too few", o->n_ways,
                       o->n_ways == 1 ? "" : "s", o->n_ways == 1 ? "is" : "are");
    bool ok =
        repo_has_newest_trust(r, NULL, err) && change_run(r, admin, rotate_once, &x, made, err);
    *n = x.n;
    return ok;
}
