// SPDX-License-Identifier: Apache-2.0
#include "snapshot/repo.h"

#include <stdlib.h>

static bool read_marker(struct repo *r, struct err *err)
{
    struct strv chains CLEANUP(strv_clear) = {0};
    struct err unknown = {0};
    bool found;
    if (!marker_read(r->store, &r->trust, &r->marker, &found, err))
        return false;
    if (found)
        return true;
    // One that was begun has no snapshots; one that has them has lost it.
    bool is_lost = repo_chains(r, &chains, &unknown) && chains.len;
    err_clear(&unknown);
    if (!is_lost)
        return err_set(err, ERR_NOT_FOUND, "no repository in %s", r->store->url);
    err_set(err, ERR_CORRUPT, "regrow.json is missing, and %s has snapshots", r->store->url);
    return err_hint(err, "Put it back from another copy of the repository.");
}

bool repo_open_store_take(struct store *s, const struct sha256 *pin, struct repo *out,
                          struct err *err)
{
    *out = (struct repo){.store = s};
    if (trust_read(s, pin, &out->trust, err) &&
        trust_check_flags(trust_now(&out->trust), false, false, err) && read_marker(out, err))
        return true;
    repo_close(out);
    return false;
}

void repo_close(struct repo *r)
{
    marker_clear(&r->marker);
    trust_chain_clear(&r->trust);
    store_free(r->store);
    *r = (struct repo){0};
}

char *chain_file(const char *chain, const char *folder, const char *name)
{
    return str_printf("chains/%s/%s/%s", chain, folder, name);
}

char *log_name(const struct repo *r, const char *chain, uint64_t seq, const struct sha256 *hash)
{
    CLEANUP(str_freep) char *base = str_printf("%010llu", (unsigned long long)seq);
    if (r->marker.atomic_create)
        return chain_file(chain, "log", base);
    CLEANUP(str_freep) char *hex = hex_encode(hash->b, 8);
    CLEANUP(str_freep) char *name = str_printf("%s-%s", base, hex);
    return chain_file(chain, "log", name);
}

bool repo_chains(struct repo *r, struct strv *out, struct err *err)
{
    static const char folder[] = "chains/";
    struct store_items items CLEANUP(store_items_clear) = {0};
    if (!store_list(r->store, folder, &items, err))
        return false;
    for (size_t i = 0; i < items.v.len; i++) {
        const char *name = items.v.v[i].name + strlen(folder);
        CLEANUP(str_freep) char *chain = str_ndup(name, strcspn(name, "/"));
        bool is_last = out->len && str_eq(out->v[out->len - 1], chain);
        if (!is_last && chain_name_is_valid(chain) && !strv_has(out, chain))
            strv_push(out, chain);
    }
    strv_sort(out);
    return true;
}

bool repo_fetch(struct repo *r, const char *name, size_t max_bytes, struct buf *out,
                struct err *err)
{
    size_t from = out->len;
    bool found;
    if (!store_get(r->store, name, max_bytes, out, &found, err))
        return false;
    if (!found)
        return err_set(err, ERR_CORRUPT, "%s is missing", name);
    struct sha256 hash = sha256_of(out->p + from, out->len - from);
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, sizeof(hash.b));
    if (str_ends(name, hex))
        return true;
    out->len = from;
    return err_set(err, ERR_CORRUPT, "%s does not hold the bytes of its name", name);
}
