// SPDX-License-Identifier: Apache-2.0
//
// The objects of a kind. Of most of them only the identity is kept; of what is recorded, carries a
// mark or is desired by a run also what a plan asks about. What is older than what is known is
// passed over, and what changed is told unless a run has done it itself.
#include <stdlib.h>
#include <string.h>

#include "reconcile/informers_int.h"
#include "reconcile/run_int.h"

static int cmp_name(const struct entry *e, const char *ns, const char *name)
{
    int c = str_cmp(e->ns, ns);
    return c ? c : strcmp(e->name, name);
}

// Where it is, or belongs. Lists come nearly in this order: most belong at the end.
static size_t place_of(const struct informer_kind *k, const char *ns, const char *name)
{
    size_t lo = 0;
    size_t hi = k->all.len;
    if (hi && cmp_name(k->all.v[hi - 1], ns, name) < 0)
        return hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (cmp_name(k->all.v[mid], ns, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct entry *kept_find(const struct informer_kind *k, const char *ns, const char *name)
{
    size_t at = place_of(k, ns, name);
    return at < k->all.len && !cmp_name(k->all.v[at], ns, name) ? k->all.v[at] : NULL;
}

struct entry *kept_get(struct informer_kind *k, const char *ns, const char *name)
{
    size_t at = place_of(k, ns, name);
    if (at < k->all.len && !cmp_name(k->all.v[at], ns, name))
        return k->all.v[at];
    struct entry *e = mem_alloc(sizeof(*e) + strlen(name) + 1);
    e->ns = (char *)inf_word(k->owner, ns);
    memcpy(e->name, name, strlen(name) + 1);
    vec_push(&k->all);
    memmove(&k->all.v[at + 1], &k->all.v[at], (k->all.len - 1 - at) * sizeof(e));
    k->all.v[at] = e;
    return e;
}

struct entry *inf_find(const struct informers *f, const struct object_id *id)
{
    const struct informer_kind *k = informers_kind(f, id->group, id->kind);
    return k ? kept_find(k, id->namespace, id->name) : NULL;
}

struct mine *kept_mine(struct informer_kind *k, struct entry *e)
{
    if (e->mine)
        return e->mine;
    struct mine *m = e->mine = mem_alloc(sizeof(*m));
    m->fact.id = m->record.id = (struct object_id){k->info.group, k->info.kind, e->ns, e->name};
    return m;
}

// Everything of the fact but its identity, which is borrowed.
static void clear_fact(struct mine *m)
{
    struct object_id id = m->fact.id;
    free(m->fact.uid);
    free(m->fact.hook_run);
    free(m->fact.health.message);
    m->fact = (struct live_fact){.id = id};
    m->has_fact = false;
}

static void free_mine(struct informers *f, struct mine *m)
{
    if (!m)
        return;
    for (size_t i = 0; m->is_touched && i < f->touched.len; i++)
        if (f->touched.v[i] == m)
            f->touched.v[i] = f->touched.v[--f->touched.len];
    clear_fact(m);
    free(m->record.uid);
    mine_drop_second(m);
    free(m->intent);
    free(m);
}

void kept_drop_if_empty(struct informer_kind *k, struct entry *e)
{
    struct mine *m = e->mine;
    if (e->exists || (m && (m->named || m->has_fact || m->is_touched)))
        return;
    size_t at = place_of(k, e->ns, e->name);
    free_mine(k->owner, m);
    free(e);
    k->all.len--;
    memmove(&k->all.v[at], &k->all.v[at + 1], (k->all.len - at) * sizeof(e));
}

void kept_free(struct informer_kind *k)
{
    for (size_t i = 0; i < k->all.len; i++) {
        free_mine(k->owner, k->all.v[i]->mine);
        free(k->all.v[i]);
    }
    vec_clear(&k->all);
}

static size_t text_bytes(const char *s)
{
    return s ? strlen(s) + 17 : 0;
}

size_t kept_bytes(const struct informer_kind *k)
{
    size_t n = k->all.cap * sizeof(*k->all.v);
    for (size_t i = 0; i < k->all.len; i++) {
        const struct mine *m = k->all.v[i]->mine;
        n += sizeof(struct entry) + text_bytes(k->all.v[i]->name);
        if (m)
            n += sizeof(*m) + (m->intent ? sizeof(*m->intent) + 16 : 0) +
                 (m->second ? sizeof(*m->second) + 16 : 0) + text_bytes(m->fact.uid) +
                 text_bytes(m->record.uid) + text_bytes(m->fact.health.message);
    }
    return n;
}

// ---- what a change amounts to ----
// Is what is there another than its record says? Hooks come and go as their application is synced.
static bool differs(const struct mine *m)
{
    return m->map && !m->record.is_hook && m->fact.exists &&
           (!str_eq(m->fact.uid, m->record.uid) ||
            !sha256_eq(&m->fact.projection, &m->record.projection));
}

static void touch(struct informers *f, struct mine *m)
{
    if (!m->is_touched)
        *vec_push(&f->touched) = m;
    m->is_touched = true;
}

static void tell_health(struct informers *f, struct mine *m)
{
    if (!m->has_fact || (m->told == m->fact.health.status && m->was_ready == m->fact.is_ready))
        return;
    m->told = m->fact.health.status;
    m->was_ready = m->fact.is_ready;
    if (m->map && m->fact.exists)
        informers_tell(f, m, m->record.app, INFORMER_HEALTH);
}

static void tell_state(struct informers *f, const struct mine *m)
{
    if (m->map && !m->record.is_hook && !m->fact.exists)
        informers_tell(f, m, m->record.app, INFORMER_GONE);
    else if (differs(m))
        informers_tell(f, m, m->record.app, INFORMER_DRIFT);
    else if (!m->map && !m->intent && m->fact.exists && m->fact.tracking_app)
        informers_tell(f, m, m->fact.tracking_app, INFORMER_UNRECORDED);
}

// Somebody has changed what we own of it, made it, or deleted it.
static void changed(struct informers *f, struct mine *m)
{
    const struct informers_listener *l = &f->listener;
    const struct sha256 *wrote = NULL;
    enum informer_claim claim = l->claim ? l->claim(l->ctx, &m->fact.id, &wrote) : CLAIM_NOT;
    if (claim == CLAIM_BUSY)
        touch(f, m);
    else if (claim == CLAIM_NOT)
        tell_state(f, m);
    else if (!m->fact.exists)
        informers_tell(f, m, m->map ? m->record.app : m->fact.tracking_app, INFORMER_GONE);
    else if (!sha256_eq(&m->fact.projection, wrote))
        informers_tell(f, m, m->map ? m->record.app : m->fact.tracking_app, INFORMER_DRIFT);
}

// What somebody has taken is not ours to see any more: it may be as it was, or another once more.
static void tell_still(struct informers *f, const struct mine *m)
{
    const struct informers_listener *l = &f->listener;
    const struct sha256 *wrote = NULL;
    if (differs(m) && (!l->claim || l->claim(l->ctx, &m->fact.id, &wrote) == CLAIM_NOT))
        informers_tell(f, m, m->record.app, INFORMER_STILL);
}

void kept_touched(struct informers *f)
{
    while (f->touched.len) {
        struct mine *m = f->touched.v[--f->touched.len];
        m->is_touched = false;
        tell_state(f, m);
        struct informer_kind *k = informers_kind(f, m->fact.id.group, m->fact.id.kind);
        struct entry *e = kept_find(k, m->fact.id.namespace, m->fact.id.name);
        kept_drop_if_empty(k, e);
    }
}

// ---- documents ----
static bool is_stale(const struct mine *m, enum kube_event ev, const json_t *doc,
                     unsigned long long version, int64_t list_ms)
{
    if (!m || !m->has_fact)
        return false;
    // A list says how things are, even where a server has come back with an older state; but not
    // of what was written since it was asked for.
    if (ev == KUBE_ITEM && m->written_ms < list_ms)
        return false;
    if (!m->fact.exists && str_eq(m->fact.uid, json_dot_str(doc, "metadata.uid")))
        return true; // its deletion is known, and the same one never comes back
    return m->version && version &&
           (ev == KUBE_ITEM ? version < m->version : version <= m->version);
}

static bool is_wanted(const struct informers *f, const struct entry *e, const struct object_id *id,
                      const json_t *doc)
{
    return e->mine || fact_is_marked(doc) ||
           (f->listener.wants && f->listener.wants(f->listener.ctx, id));
}

// Takes the document's fact; true: what we own of it, or whether it is there, has changed.
static bool take_fact(struct informer_kind *k, struct mine *m, const json_t *doc)
{
    struct informers *f = k->owner;
    struct live_fact old = m->fact;
    bool was_known = m->has_fact;
    struct live_fact now = {.id = old.id};
    fact_read(&now, doc, inf_manager(f));
    char *app = now.tracking_app;
    now.tracking_app = (char *)inf_word(f, app);
    free(app);
    str_freep(&now.resource_version); // a plan file's, which comes of no controller
    bool is_hook = now.hook_run || (m->map && m->record.is_hook);
    const struct judging by = {f->checks, f->opts.ready, f->opts.n_ready};
    fact_judge(&now, &by, doc, is_hook);
    if (str_is_empty(now.health.message))
        str_freep(&now.health.message);
    bool is_other = !was_known || !old.exists || !str_eq(old.uid, now.uid) ||
                    !sha256_eq(&old.projection, &now.projection);
    clear_fact(m);
    m->fact = now;
    m->has_fact = true;
    m->version = inf_version(doc);
    if (!was_known) {
        m->told = now.health.status;
        m->was_ready = now.is_ready;
    }
    return is_other;
}

void kept_item(struct informer_kind *k, const struct object_id *id, enum kube_event ev, json_t *doc,
               int64_t list_ms, bool *stale)
{
    struct informers *f = k->owner;
    struct entry *e = kept_get(k, id->namespace, id->name);
    if (ev == KUBE_ITEM)
        e->seen = k->list;
    *stale = is_stale(e->mine, ev, doc, inf_version(doc), list_ms);
    if (*stale) {
        f->stats.stale++;
        return;
    }
    e->exists = true;
    e->is_terminating = json_dot(doc, "metadata.deletionTimestamp") != NULL;
    if (!is_wanted(f, e, id, doc))
        return;
    struct mine *m = kept_mine(k, e);
    bool is_first = !k->is_read && ev == KUBE_ITEM;
    bool is_other = take_fact(k, m, doc);
    // What the first list of a kind holds is for the run that asked for it to judge.
    if (is_other && !(is_first && f->listener.claim))
        changed(f, m);
    else if (!is_other && !is_first)
        tell_still(f, m);
    tell_health(f, m);
}

void kept_gone(struct informer_kind *k, struct entry *e, bool is_ours)
{
    struct mine *m = e->mine;
    bool was_there = e->exists;
    e->exists = e->is_terminating = false;
    if (m) {
        m->fact.exists = false;
        m->fact.is_terminating = false;
    }
    if (m && was_there && !is_ours)
        changed(k->owner, m);
    if (is_ours)
        return; // its uid is kept until the stream says so, too
    if (m)
        clear_fact(m);
    kept_drop_if_empty(k, e);
}

// What a run has deleted: nothing older of it can come any more.
static void forget_gone(struct informer_kind *k, struct entry *e)
{
    if (e->mine)
        clear_fact(e->mine);
    kept_drop_if_empty(k, e);
}

void kept_deleted(struct informer_kind *k, const struct object_id *id, const json_t *doc,
                  bool *stale)
{
    struct entry *e = kept_find(k, id->namespace, id->name);
    unsigned long long version = inf_version(doc);
    const struct mine *m = e ? e->mine : NULL;
    *stale = m && e->exists && m->version && version && version <= m->version;
    if (*stale) {
        k->owner->stats.stale++;
    } else if (e && e->exists) {
        kept_gone(k, e, false);
    } else if (e) {
        forget_gone(k, e);
    }
}

void kept_sweep(struct informer_kind *k, int64_t list_ms, bool was_unknown)
{
    // From the end: dropping one moves only what has been looked at.
    for (size_t i = k->all.len; i > 0; i--) {
        struct entry *e = k->all.v[i - 1];
        if (e->seen == k->list || (e->mine && e->mine->written_ms >= list_ms && e->exists))
            continue;
        bool is_missed = was_unknown && !e->exists && e->mine && e->mine->map;
        if (e->exists)
            kept_gone(k, e, false);
        else if (is_missed)
            changed(k->owner, e->mine);
        else
            forget_gone(k, e);
    }
}
