// SPDX-License-Identifier: Apache-2.0
//
// Files of trust and keys that were there and are not: trust files above a gap, and those that
// entries of the logs name, without which a revocation would be undone, and what was signed since
// look forged; and slots, without which nobody opens anything.
#include <stdlib.h>
#include <string.h>

#include "snapshot/keys.h"
#include "snapshot/log_int.h"
#include "snapshot/trust_int.h"

#define LOOKED_AT 32 // entries of a chain, from its end: trust goes up with the numbers

bool trust_above(struct store *s, unsigned n, unsigned *out, struct err *err)
{
    struct store_items items CLEANUP(store_items_clear) = {0};
    *out = 0;
    if (!s->ops->list) // of an import: what it has is all there is
        return true;
    if (!store_list(s, "trust/", &items, err)) {
        if (err->kind != ERR_DENIED)
            return false;
        err_clear(err); // a job need not be allowed to list them
        return true;
    }
    for (size_t i = 0; i < items.v.len; i++) {
        const char *name = items.v.v[i].name + strlen("trust/");
        bool is_number = strlen(name) == 4 && strspn(name, "0123456789") == 4;
        unsigned long number = is_number ? strtoul(name, NULL, 10) : 0;
        if (number > n && number > *out)
            *out = (unsigned)number;
    }
    return true;
}

// Of those whose signature holds the newest trust that one names.
static bool newest_named(struct repo *r, const char *chain, const struct key_id *except,
                         unsigned *trust, uint64_t *by, struct err *err)
{
    CLEANUP(str_freep) char *prefix = chain_file(chain, "log", "");
    struct store_items items CLEANUP(store_items_clear) = {0};
    if (!store_list(r->store, prefix, &items, err))
        return false;
    for (size_t i = items.v.len; i-- > 0 && items.v.len - i <= LOOKED_AT;) {
        const char *name = items.v.v[i].name;
        struct buf bytes CLEANUP(buf_clear) = {0};
        struct entry e = {0};
        struct err why = {0};
        uint64_t seq = strtoull(name + strlen(prefix), NULL, 10);
        bool found = false;
        if (!store_get(r->store, name, ENTRY_MAX_BYTES, &bytes, &found, &why) &&
            why.kind != ERR_CORRUPT) {
            err_move(err, &why);
            return false;
        }
        // What names a trust that is not there is not believed: its number is read all the same.
        if (found && !log_entry_read(r, chain, seq, &bytes, &e, &why))
            err_clear(&why);
        bool counts = found && !e.is_void && !(except && !strcmp(e.signer.hex, except->hex));
        if (counts && e.trust > *trust) {
            *trust = e.trust;
            *by = seq;
        }
        entry_clear(&e);
        err_clear(&why);
    }
    return true;
}

bool repo_has_newest_trust(struct repo *r, const struct key_id *except, struct err *err)
{
    const struct trust *now = trust_now(&r->trust);
    struct strv chains CLEANUP(strv_clear) = {0};
    if (!repo_chains(r, &chains, err))
        return false;
    for (size_t i = 0; i < chains.len; i++) {
        unsigned trust = now->n;
        uint64_t by = 0;
        if (!newest_named(r, chains.v[i], except, &trust, &by, err))
            return false;
        if (trust == now->n)
            continue;
        err_set(err, ERR_CORRUPT, "trust/%04u is missing: entry %llu of %s names it", trust,
                (unsigned long long)by, chains.v[i]);
        return err_hint(err,
                        "Nothing was changed. Put it back from another copy of the repository: "
                        "what it revoked would be trusted again without it.");
    }
    return true;
}

static bool was_revoked(const struct trust *t, const struct trust_signer *s)
{
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *old = &t->signers.v[i];
        if (old->role == s->role && !memcmp(old->public, s->public, KEY_BYTES))
            return old->until && json_equal(old->until, s->until);
    }
    return false;
}

bool repo_may_change_to(struct repo *r, const struct trust *next, struct err *err)
{
    struct key_id key;
    bool revokes = false;
    for (size_t i = 0; i < next->signers.len && !revokes; i++) {
        const struct trust_signer *s = &next->signers.v[i];
        revokes = s->until && !was_revoked(trust_now(&r->trust), s);
        key = key_id_of(s->public);
    }
    return repo_has_newest_trust(r, revokes ? &key : NULL, err);
}

size_t repo_slots_whole(struct repo *r, unsigned epoch, size_t *out_of)
{
    const struct trust *t = trust_now(&r->trust);
    size_t whole = 0;
    *out_of = 0;
    for (size_t i = 0; i < t->slots.len; i++) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        struct err err = {0};
        CLEANUP(str_freep) char *name = str_printf("keys/%s", t->slots.v[i].file);
        if (t->slots.v[i].epoch != epoch)
            continue;
        ++*out_of;
        bool is_lost =
            !repo_fetch(r, name, SLOT_MAX_BYTES, &bytes, &err) && err.kind == ERR_CORRUPT;
        whole += !is_lost;
        err_clear(&err);
    }
    return whole;
}
