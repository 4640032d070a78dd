// SPDX-License-Identifier: Apache-2.0
//
// The inventory as it is in the cluster: which ConfigMap says what of which object. A record of
// the application whose mark an object carries goes before that of another, which it has left.
#include <stdlib.h>
#include <string.h>

#include "reconcile/informers_int.h"
#include "reconcile/run_int.h"

#define MAX_ENTRIES 100000 // of one ConfigMap, which holds a megabyte at most
#define DEAD_MS 60000      // nothing old comes of one that is gone for so long

static size_t place_of(const struct informers *f, const char *name)
{
    size_t lo = 0;
    size_t hi = f->maps.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(f->maps.v[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct map *find(const struct informers *f, const char *name)
{
    size_t at = place_of(f, name);
    return at < f->maps.len && !strcmp(f->maps.v[at]->name, name) ? f->maps.v[at] : NULL;
}

const struct map *maps_find(const struct informers *f, const char *name)
{
    const struct map *m = find(f, name);
    return m && m->exists ? m : NULL;
}

static void map_free(struct map *m)
{
    free(m->name);
    free(m->note);
    json_decref(m->notes);
    vec_clear(&m->entries);
    free(m);
}

// Of applications that came and went.
static void drop_dead(struct informers *f)
{
    size_t kept = 0;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < f->maps.len; i++) {
        struct map *m = f->maps.v[i];
        if (m->exists || m->entries.len || now - m->written_ms < DEAD_MS)
            f->maps.v[kept++] = m;
        else
            map_free(m);
    }
    f->maps.len = kept;
}

static struct map *get(struct informers *f, const char *name)
{
    size_t at = place_of(f, name);
    if (at < f->maps.len && !strcmp(f->maps.v[at]->name, name))
        return f->maps.v[at];
    drop_dead(f);
    at = place_of(f, name);
    struct map *m = mem_alloc(sizeof(*m));
    m->name = str_dup(name);
    m->app = inf_word(f, "");
    vec_push(&f->maps);
    memmove(&f->maps.v[at + 1], &f->maps.v[at], (f->maps.len - 1 - at) * sizeof(m));
    f->maps.v[at] = m;
    return m;
}

void maps_free(struct informers *f)
{
    for (size_t i = 0; i < f->maps.len; i++)
        map_free(f->maps.v[i]);
    vec_clear(&f->maps);
}

// ---- records ----
static struct informer_kind *kind_of(struct informers *f, const struct record *r)
{
    struct informer_kind *k = informers_kind(f, r->id.group, r->id.kind);
    if (k)
        return k;
    // Not watched yet: its records wait for that.
    struct kind_info info = {.group = r->id.group, .version = r->version, .kind = r->id.kind};
    return informers_kind_new(f, &info);
}

static bool goes_before(const struct mine *m, const struct map *other, const struct record *r)
{
    if (!m->map || m->map == other || !m->has_fact || !m->fact.tracking_app)
        return true;
    return !strcmp(m->fact.tracking_app, r->app) ||
           strcmp(m->fact.tracking_app, m->record.app) != 0;
}

// An intent stands for its object as long as that has no record: to be taken out of the count
// before either changes, and counted again after it.
static void count_intent(const struct mine *m, int by)
{
    if (m->intent && !m->map)
        m->intent->map->open += (size_t)by;
}

static void put_record(struct informers *f, struct map *map, struct record *to,
                       const struct record *r)
{
    struct object_id id = to->id;
    char *uid = str_dup_or_null(r->uid);
    free(to->uid);
    *to = *r;
    to->id = id;
    to->uid = uid;
    to->version = (char *)inf_word(f, r->version);
    to->app = (char *)map->app;
}

void mine_drop_second(struct mine *m)
{
    if (m->second)
        free(m->second->record.uid);
    free(TAKE(m->second));
}

static void put_second(struct informers *f, struct mine *m, struct map *map, const struct record *r)
{
    if (!m->second)
        m->second = mem_alloc(sizeof(*m->second));
    m->second->map = map;
    m->second->record.id = m->record.id;
    put_record(f, map, &m->second->record, r);
}

static void take_record(struct informers *f, struct map *map, struct mine *m,
                        const struct record *r)
{
    count_intent(m, -1);
    f->stats.records += !m->map;
    if (m->map && m->map != map)
        put_second(f, m, m->map, &m->record);
    put_record(f, map, &m->record, r);
    m->map = map;
}

// The ConfigMap that the record was in names the object no more.
static void take_second(struct informers *f, struct mine *m)
{
    m->map = m->second ? m->second->map : NULL;
    f->stats.records -= !m->map;
    if (m->second)
        put_record(f, m->map, &m->record, &m->second->record);
    mine_drop_second(m);
}

static void take_intent(struct informers *f, struct map *map, struct mine *m,
                        const struct record *r)
{
    count_intent(m, -1);
    if (!m->intent)
        m->intent = mem_alloc(sizeof(*m->intent));
    *m->intent =
        (struct intent){map, inf_word(f, r->version), inf_word(f, r->app), r->is_hook, r->is_made};
    count_intent(m, 1);
}

struct reading {
    struct informers *f;
    struct map *map;
};

static void on_record(void *ctx, const struct record *r)
{
    const struct reading *x = ctx;
    if (x->map->entries.len >= MAX_ENTRIES)
        return;
    struct informer_kind *k = kind_of(x->f, r);
    struct entry *e = kept_get(k, r->id.namespace, r->id.name);
    struct mine *m = kept_mine(k, e);
    if (x->map->is_intent)
        take_intent(x->f, x->map, m, r);
    else if (goes_before(m, x->map, r))
        take_record(x->f, x->map, m, r);
    else
        put_second(x->f, m, x->map, r);
    m->named++;
    *vec_push(&x->map->entries) = e;
}

static void on_note(void *ctx, const char *app, const char *text, bool is_intent)
{
    const struct reading *x = ctx;
    if (!is_intent)
        str_set(&x->map->note, text);
    else if (x->map->notes || (x->map->notes = json_object()))
        json_object_set_new(x->map->notes, app, json_string(text));
}

static int cmp_entry(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a;
    const struct entry *y = *(struct entry *const *)b;
    return (x > y) - (x < y);
}

// An entry that the map names no more.
static void forget(struct informers *f, const struct map *map, struct entry *e)
{
    struct mine *m = e->mine;
    count_intent(m, -1);
    if (m->second && m->second->map == map)
        mine_drop_second(m);
    if (m->map == map)
        take_second(f, m);
    if (m->intent && m->intent->map == map) {
        free(m->intent);
        m->intent = NULL;
    }
    count_intent(m, 1);
}

// What an earlier text named: this one names it anew, or not.
static void forget_old(struct informers *f, struct map *map, struct entry **old, size_t n)
{
    if (map->entries.len)
        qsort(map->entries.v, map->entries.len, sizeof(*map->entries.v), cmp_entry);
    for (size_t i = 0; i < n; i++) {
        struct mine *m = old[i]->mine;
        bool is_kept = map->entries.len && bsearch(&old[i], map->entries.v, map->entries.len,
                                                   sizeof(*map->entries.v), cmp_entry);
        m->named--;
        if (is_kept)
            continue;
        forget(f, map, old[i]);
        kept_drop_if_empty(informers_kind(f, m->record.id.group, m->record.id.kind), old[i]);
    }
}

// Takes what the ConfigMap says; NULL: nothing any more.
static void set(struct informers *f, struct map *map, const json_t *doc)
{
    const char *text = doc ? json_dot_str(doc, "data.records") : NULL;
    struct sha256 hash = sha256_of(text ? text : "", text ? strlen(text) : 0);
    map->version = doc ? inf_version(doc) : map->version;
    if (map->exists && doc && sha256_eq(&hash, &map->hash))
        return;
    VEC(struct entry *) old = {0};
    old.v = map->entries.v;
    old.len = map->entries.len;
    memset(&map->entries, 0, sizeof(map->entries));
    map->exists = doc != NULL;
    map->hash = hash;
    map->is_intent = doc && str_eq(json_label(doc, INVENTORY_LABEL), "intent");
    str_set(&map->note, NULL);
    json_decref(TAKE(map->notes));
    struct reading x = {f, map};
    struct inventory_reader rd = {on_record, on_note, &x};
    CLEANUP(str_freep) char *app = doc && !map->is_intent ? inventory_root(doc) : NULL;
    map->app = inf_word(f, app ? app : "");
    if (doc)
        inventory_read(doc, &rd);
    forget_old(f, map, old.v, old.len);
    vec_clear(&old);
}

static bool is_stale(const struct map *m, enum kube_event ev, unsigned long long version,
                     int64_t list_ms)
{
    if (ev == KUBE_ITEM && m->written_ms < list_ms)
        return false;
    return m->version && version &&
           (ev == KUBE_ITEM ? version < m->version : version <= m->version);
}

// Deleted by hand: what it said is known no more, and whoever is ours says so itself.
static void lose(struct informers *f, struct map *map)
{
    VEC(struct object_id) was = {0};
    for (size_t i = 0; i < map->entries.len; i++) {
        const struct mine *m = map->entries.v[i]->mine;
        if (m->map == map && m->fact.exists)
            *vec_push(&was) = object_id_dup(&m->record.id);
    }
    set(f, map, NULL);
    for (size_t i = 0; i < was.len; i++) {
        const struct entry *e = inf_find(f, &was.v[i]);
        if (e && e->mine && e->mine->fact.tracking_app)
            informers_tell(f, e->mine, e->mine->fact.tracking_app, INFORMER_UNRECORDED);
        object_id_clear(&was.v[i]);
    }
    vec_clear(&was);
}

void maps_item(struct informers *f, enum kube_event ev, const json_t *doc, int64_t list_ms)
{
    const char *name = json_dot_str(doc, "metadata.name");
    if (!name || !json_label(doc, INVENTORY_LABEL))
        return;
    struct map *m = get(f, name);
    if (ev == KUBE_ITEM)
        m->seen = f->inventory.list;
    if (is_stale(m, ev, inf_version(doc), list_ms)) {
        f->stats.stale++;
        return;
    }
    if (ev == KUBE_DELETED && m->exists)
        lose(f, m);
    else if (ev != KUBE_DELETED)
        set(f, m, doc);
}

void maps_wrote(struct informers *f, const json_t *doc)
{
    const char *name = json_dot_str(doc, "metadata.name");
    if (!name)
        return;
    struct map *m = get(f, name);
    m->written_ms = clock_mono_ms();
    set(f, m, doc);
}

void maps_deleted(struct informers *f, const char *name)
{
    struct map *m = find(f, name);
    if (!m)
        return;
    m->written_ms = clock_mono_ms();
    set(f, m, NULL);
}

void maps_sweep(struct informers *f, int64_t list_ms)
{
    for (size_t i = 0; i < f->maps.len; i++) {
        struct map *m = f->maps.v[i];
        if (m->seen != f->inventory.list && m->exists && m->written_ms < list_ms)
            lose(f, m);
    }
}

// ---- what is asked of it ----
const char *maps_intent_note(const struct informers *f, const char *app)
{
    const char *text = NULL;
    size_t i = place_of(f, INTENT_MAP); // the first of its parts
    for (; i < f->maps.len && str_starts(f->maps.v[i]->name, INTENT_MAP) && !text; i++)
        text = json_string_value(json_object_get(f->maps.v[i]->notes, app));
    return text;
}

static struct record intent_record(const struct mine *m)
{
    return (struct record){.id = m->record.id,
                           .version = (char *)m->intent->version,
                           .app = (char *)m->intent->app,
                           .is_hook = m->intent->is_hook,
                           .is_made = m->intent->is_made,
                           .is_intent = true};
}

static void each_of(const struct informers *f, const struct map *map, const char *app,
                    void (*fn)(void *ctx, const struct record *r, const struct live_fact *fact,
                               bool is_unknown),
                    void *ctx)
{
    for (size_t i = 0; i < map->entries.len; i++) {
        const struct entry *e = map->entries.v[i];
        const struct mine *m = e->mine;
        bool is_intent = map->is_intent && m->intent && m->intent->map == map && !m->map;
        if (!is_intent && m->map != map)
            continue;
        struct record r = is_intent ? intent_record(m) : m->record;
        if (app && strcmp(r.app, app) != 0)
            continue;
        const struct informer_kind *k = informers_kind(f, r.id.group, r.id.kind);
        bool is_unknown = !k || !k->is_read || k->is_unknown;
        bool is_there = e->exists && m->has_fact && !is_unknown;
        fn(ctx, &r, is_there ? &m->fact : NULL, is_unknown);
    }
}

void informers_each_record(const struct informers *f, const char *app,
                           void (*fn)(void *ctx, const struct record *r,
                                      const struct live_fact *fact, bool is_unknown),
                           void *ctx)
{
    for (unsigned part = 0; app; part++) {
        CLEANUP(str_freep) char *name = inventory_map_name(app, part);
        const struct map *map = maps_find(f, name);
        if (!map)
            break;
        each_of(f, map, app, fn, ctx);
    }
    for (size_t i = 0; i < f->maps.len; i++)
        if (!app || f->maps.v[i]->open)
            each_of(f, f->maps.v[i], app, fn, ctx);
}

void maps_each_other(const struct informers *f, const struct desired *known,
                     void (*fn)(void *ctx, const struct record *r, const struct live_fact *fact,
                                bool is_unknown),
                     void *ctx)
{
    for (size_t i = 0; i < f->maps.len; i++) {
        const struct map *map = f->maps.v[i];
        if (map->open || (known && *map->app && desired_tracked_app(known, map->app) < 0))
            each_of(f, map, NULL, fn, ctx);
    }
}
