// SPDX-License-Identifier: Apache-2.0
//
// Links of a log (docs/repository-format.md section 11). Where a name can be made only once, an
// entry stands on the one below it. Elsewhere two may take one number; the next names both, so that
// the log is a graph whose numbers still grow by one along its longest path.
#include "snapshot/log_int.h"

static bool wrong(const struct entry *e, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "log entry %llu: its prev is not the entry before it",
                   (unsigned long long)e->seq);
}

static bool check_chain(const struct log *l, struct err *err)
{
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->prev.len > 1)
            return wrong(e, err);
        const struct entry *below = i > 0 ? e - 1 : NULL;
        if (below && below->seq + 1 == e->seq && !sha256_eq(&e->prev.v[0], &below->hash))
            return wrong(e, err);
    }
    return true;
}

static const struct entry *find_below(const struct log *l, size_t i, const struct sha256 *hash)
{
    uint64_t seq = l->v.v[i].seq;
    while (i-- > 0)
        if (l->v.v[i].seq < seq && sha256_eq(&l->v.v[i].hash, hash))
            return &l->v.v[i];
    return NULL;
}

// From this number on all that is named must be there. Of a log read in part, what the lowest one
// stands on was not read; neither were the ends of shorter branches below it.
static uint64_t first_linked(const struct log *l, bool *is_partial)
{
    *is_partial = l->checkpoint < 0 && !l->is_whole;
    if (l->checkpoint >= 0)
        return l->v.v[l->checkpoint].seq + 1;
    return *is_partial && l->v.len ? l->v.v[0].seq + 1 : 1;
}

static bool check_forked(const struct log *l, const struct log_opts *o, struct err *err)
{
    bool is_partial;
    uint64_t first = first_linked(l, &is_partial);
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        uint64_t highest = 0;
        size_t missing = 0;
        for (size_t k = 0; k < e->prev.len; k++) {
            const struct entry *p = find_below(l, i, &e->prev.v[k]);
            missing += !p;
            if (p && p->seq > highest)
                highest = p->seq;
        }
        bool must_link = missing == 0 || (e->seq >= first && !o->n_lost);
        if (must_link && (highest + 1 != e->seq || (missing && !is_partial)))
            return wrong(e, err);
    }
    return true;
}

static bool is_named(const struct log *l, size_t i)
{
    for (size_t k = i + 1; k < l->v.len; k++)
        for (size_t p = 0; p < l->v.v[k].prev.len; p++)
            if (sha256_eq(&l->v.v[k].prev.v[p], &l->v.v[i].hash))
                return true;
    return false;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sha256));
}

// What nobody stands on, of what is not below the newest checkpoint.
static bool find_heads(struct log *l, struct err *err)
{
    uint64_t from = l->checkpoint < 0 ? 0 : l->v.v[l->checkpoint].seq;
    for (size_t i = l->v.len; i-- > 0 && l->v.v[i].seq >= from;)
        if (!is_named(l, i))
            *vec_push(&l->heads) = l->v.v[i].hash;
    if (l->heads.len > ENTRY_MAX_PREV)
        return err_set(err, ERR_CORRUPT, "%zu entries that nothing stands on", l->heads.len);
    if (l->heads.len)
        qsort(l->heads.v, l->heads.len, sizeof(*l->heads.v), by_hash);
    return true;
}

bool log_check_links(const struct repo *r, struct log *l, const struct log_opts *o, struct err *err)
{
    if (!(r->marker.atomic_create ? check_chain(l, err) : check_forked(l, o, err)))
        return false;
    if (!l->v.len)
        return true;
    l->head_hash = l->v.v[l->v.len - 1].hash;
    if (!r->marker.atomic_create)
        return find_heads(l, err);
    *vec_push(&l->heads) = l->head_hash;
    return true;
}
