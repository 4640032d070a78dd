// SPDX-License-Identifier: Apache-2.0
//
// Kinds and their watches, and what a run hands back.
#include "reconcile/informers.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/informers_int.h"
#include "reconcile/run_int.h"

#define AGAIN_MIN_MS 1000
#define AGAIN_MAX_MS 60000

const char *inf_word(struct informers *f, const char *s)
{
    if (!s)
        return NULL;
    void *at = json_object_iter_at(f->words, s);
    if (!at) {
        json_object_set_new(f->words, s, json_true());
        at = json_object_iter_at(f->words, s);
    }
    return json_object_iter_key(at); // stays where it is as long as it is in there
}

const char *inf_manager(const struct informers *f)
{
    return f->opts.manager ? f->opts.manager : "regrow";
}

static const char *records(const struct informers *f)
{
    return f->opts.records ? f->opts.records : REGROW_NAMESPACE;
}

unsigned long long inf_version(const json_t *doc)
{
    const char *s = json_dot_str(doc, "metadata.resourceVersion");
    char *end = NULL;
    unsigned long long n = s && *s >= '0' && *s <= '9' ? strtoull(s, &end, 10) : 0;
    return end && !*end ? n : 0;
}

void informers_tell(struct informers *f, const struct mine *m, const char *app,
                    enum informer_change c)
{
    if (f->opts.changed)
        f->opts.changed(f->opts.ctx, &m->fact.id, app ? app : "", c);
}

struct informer_kind *informers_kind(const struct informers *f, const char *group, const char *kind)
{
    for (size_t i = 0; i < f->kinds.len; i++)
        if (!strcmp(f->kinds.v[i]->info.kind, kind) && !strcmp(f->kinds.v[i]->info.group, group))
            return f->kinds.v[i];
    return NULL;
}

static void begin(struct informer_kind *k, bool is_expected);

static void on_again(void *ctx)
{
    begin(ctx, false);
}

static void kind_init(struct informers *f, struct informer_kind *k, const struct kind_info *info)
{
    k->owner = f;
    k->info = *info;
    k->info.group = str_dup(info->group);
    k->info.version = str_dup(info->version);
    k->info.kind = str_dup(info->kind);
    k->info.plural = str_dup_or_null(info->plural);
    k->timer = loop_timer_new(f->loop, on_again, k);
    k->list = 1;
}

static void kind_clear(struct informer_kind *k)
{
    if (k->watch)
        kube_watch_stop(k->watch);
    loop_timer_free(k->timer);
    kept_free(k);
    err_clear(&k->problem);
    free(k->info.group);
    free(k->info.version);
    free(k->info.kind);
    free(k->info.plural);
}

struct informer_kind *informers_kind_new(struct informers *f, const struct kind_info *info)
{
    struct informer_kind *k = mem_alloc(sizeof(*k));
    kind_init(f, k, info);
    *vec_push(&f->kinds) = k;
    return k;
}

// ---- what other objects are judged by ----
static bool is_webhook_config(const char *kind)
{
    return !strcmp(kind, "ValidatingWebhookConfiguration") ||
           !strcmp(kind, "MutatingWebhookConfiguration");
}

static void note_labels(struct informers *f, const json_t *doc, bool is_gone)
{
    const char *name = json_dot_str(doc, "metadata.name");
    const json_t *labels = json_dot(doc, "metadata.labels");
    struct buf b CLEANUP(buf_clear) = {0};
    if (is_gone) {
        json_object_del(f->namespaces, name);
        return;
    }
    if (labels)
        canon_write(labels, &b);
    json_object_set_new(f->namespaces, name, json_string(b.p ? b.p : "{}"));
}

json_t *informers_namespace_labels(const struct informers *f, const char *name)
{
    const char *text = json_string_value(json_object_get(f->namespaces, name));
    return text ? json_loads(text, 0, NULL) : NULL;
}

// Whole, but for what nobody asks a configuration about.
static void note_webhooks(struct informers *f, const struct object_id *id, json_t *doc,
                          bool is_gone)
{
    CLEANUP(str_freep) char *key = object_key(id);
    json_object_del(json_object_get(doc, "metadata"), "managedFields");
    if (is_gone)
        json_object_del(f->webhooks, key);
    else
        json_object_set(f->webhooks, key, doc);
}

static bool has_ready_endpoint(const json_t *slice)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(slice, "endpoints"), i, e)
    {
        if (json_dot_bool(e, "conditions.ready", true))
            return true;
    }
    return false;
}

static void note_slice(struct informers *f, const struct object_id *id, const json_t *doc,
                       bool is_gone)
{
    const char *svc = json_label(doc, "kubernetes.io/service-name");
    CLEANUP(str_freep)
    char *key = str_printf("%s/%s", id->namespace ? id->namespace : "", id->name);
    if (svc && !is_gone && has_ready_endpoint(doc))
        json_object_set_new(f->slices, key, json_sprintf("%s/%s", id->namespace, svc));
    else
        json_object_del(f->slices, key);
}

// The user's own checks. Everything is judged by them from now on, and read for that once more.
static void note_checks(struct informers *f, const json_t *doc, bool is_gone)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct health_custom *checks = NULL;
    struct err err = {0};
    bool is_config = !is_gone && health_custom_is_config(doc);
    if (is_config)
        canon_write(json_object_get(doc, "data"), &b);
    json_decref(f->settings);
    f->settings = is_config ? json_pack("{s:O*}", "data", json_object_get(doc, "data")) : NULL;
    struct sha256 hash = sha256_of(b.p ? b.p : "", b.len);
    if (sha256_eq(&hash, &f->checks_hash))
        return;
    f->checks_hash = hash;
    if (is_config && !health_custom_new(doc, &checks, &err)) {
        event_emit(f->opts.events, "run.warning", "{s:s}", "message", err.msg);
        err_clear(&err);
        return;
    }
    if (checks)
        health_custom_skip_applications(checks);
    if (!checks && !f->checks)
        return;
    if (f->checks)
        *vec_push(&f->old_checks) = f->checks;
    f->checks = checks;
    informers_relist(f);
}

static bool is_established(const json_t *crd)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(crd, "status.conditions"), i, c)
    {
        if (str_eq(json_dot_str(c, "type"), "Established"))
            return str_eq(json_dot_str(c, "status"), "True");
    }
    return false;
}

// A desired state that is read later than the cluster's discovery learns by this what is served.
static void note_definition(struct informers *f, const json_t *doc, bool is_gone)
{
    const char *group = json_dot_str(doc, "spec.group");
    const char *kind = json_dot_str(doc, "spec.names.kind");
    bool is_served = !is_gone && is_established(doc);
    if (!group || !kind)
        return;
    if (is_served)
        kinds_add_crd(f->served, doc);
    kinds_set_served(f->served, group, kind, is_served);
    if (f->opts.served)
        f->opts.served(f->opts.ctx, group, kind, is_served);
}

static void note_special(struct informer_kind *k, const struct object_id *id, json_t *doc,
                         bool is_gone)
{
    struct informers *f = k->owner;
    if (is_webhook_config(k->info.kind))
        note_webhooks(f, id, doc, is_gone);
    else if (!strcmp(k->info.kind, "EndpointSlice"))
        note_slice(f, id, doc, is_gone);
    else if (!strcmp(k->info.kind, "CustomResourceDefinition"))
        note_definition(f, doc, is_gone);
    else if (!strcmp(k->info.kind, "Namespace") && !*k->info.group)
        note_labels(f, doc, is_gone);
    else if (!strcmp(k->info.kind, "ConfigMap") && str_eq(id->namespace, "argocd") &&
             !strcmp(id->name, "argocd-cm"))
        note_checks(f, doc, is_gone);
}

// ---- streams ----
static bool is_recorded(const struct informer_kind *k)
{
    for (size_t i = 0; i < k->all.len; i++)
        if (k->all.v[i]->mine && k->all.v[i]->mine->named)
            return true;
    return k == &k->owner->inventory;
}

static void try_later(struct informer_kind *k)
{
    k->watch = NULL;
    k->is_unknown = k->is_read = true;
    if (!is_recorded(k))
        return; // until a run asks for it
    k->backoff_ms = !k->backoff_ms                     ? AGAIN_MIN_MS
                    : k->backoff_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS
                                                       : k->backoff_ms * 2;
    loop_timer_set(k->timer, k->backoff_ms);
}

static void synced(struct informer_kind *k)
{
    bool was_unknown = k->is_unknown;
    int64_t list_ms = kube_watch_list_ms(k->watch);
    k->is_unknown = false;
    k->backoff_ms = 0;
    err_clear(&k->problem);
    if (k == &k->owner->inventory)
        maps_sweep(k->owner, list_ms);
    else
        kept_sweep(k, list_ms, was_unknown);
    k->is_read = true;
    k->list++;
}

static void take(struct informer_kind *k, enum kube_event ev, json_t *doc, int64_t list_ms)
{
    struct informers *f = k->owner;
    struct err err = {0};
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    bool is_stale = false;
    if (!object_id_of(doc, &id, &version, &err)) {
        err_clear(&err); // a live object without identity cannot be ours
        return;
    }
    bool is_map = !strcmp(id.kind, "ConfigMap") && str_eq(id.namespace, records(f)) &&
                  json_label(doc, INVENTORY_LABEL);
    if (!is_map && ev == KUBE_DELETED)
        kept_deleted(k, &id, doc, &is_stale);
    else if (!is_map)
        kept_item(k, &id, ev, doc, list_ms, &is_stale);
    if (!is_map && !is_stale) {
        note_special(k, &id, doc, ev == KUBE_DELETED);
        if (f->listener.event)
            f->listener.event(f->listener.ctx, &id, ev, doc);
    }
    object_id_clear(&id);
}

static void moved(const struct informer_kind *k)
{
    const struct informers *f = k->owner;
    if (f->opts.moved)
        f->opts.moved(f->opts.ctx, k == &f->inventory);
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct informer_kind *k = ctx;
    struct informers *f = k->owner;
    switch (ev) {
    case KUBE_RESTARTED:
        k->list++; // what it has named so far it will name again
        return;
    case KUBE_SYNCED:
        synced(k);
        moved(k);
        return;
    case KUBE_GONE:
        try_later(k);
        moved(k);
        return;
    case KUBE_ITEM:
    case KUBE_ADDED:
    case KUBE_MODIFIED:
    case KUBE_DELETED:
        break;
    }
    f->stats.events += ev != KUBE_ITEM;
    if (k == &f->inventory)
        maps_item(f, ev, doc, kube_watch_list_ms(k->watch));
    else
        take(k, ev, doc, kube_watch_list_ms(k->watch));
    if (ev != KUBE_ITEM)
        moved(k);
}

static void on_failed(void *ctx, const struct kube_reply *reply)
{
    struct informer_kind *k = ctx;
    // What is not served, or not converted, is a matter of time; anything else stops a run.
    bool is_late =
        reply->cls == KUBE_NO_KIND || reply->cls == KUBE_ABSENT || reply->cls == KUBE_GATE;
    CLEANUP(str_freep) char *what = str_printf("list %s", k->info.kind);
    err_clear(&k->problem);
    if (!is_late)
        kube_reply_err(reply, &k->problem, what);
    try_later(k);
    moved(k);
}

static void begin(struct informer_kind *k, bool is_expected)
{
    struct kube_watch_opts o = {
        .kind = &k->info,
        .namespace = k == &k->owner->inventory ? records(k->owner) : NULL,
        .with_managed_fields =
            k != &k->owner->inventory && strcmp(k->info.kind, "EndpointSlice") != 0,
        .is_expected = is_expected,
        .event = on_event,
        .failed = on_failed,
        .ctx = k,
    };
    loop_timer_stop(k->timer);
    k->list++;
    k->watch = kube_watch(k->owner->kube, &o);
}

struct informer_kind *informers_want(struct informers *f, const struct kind_info *info,
                                     bool is_expected)
{
    struct informer_kind *k = informers_kind(f, info->group, info->kind);
    if (!k)
        k = informers_kind_new(f, info);
    bool is_tired = loop_timer_is_set(k->timer);
    if (k->watch || (is_tired && !is_expected && !strcmp(k->info.version, info->version)))
        return k;
    str_set(&k->info.version, info->version);
    str_set(&k->info.plural, info->plural);
    k->info.is_namespaced = info->is_namespaced;
    k->is_read = false;
    begin(k, is_expected);
    return k;
}

void informers_want_inventory(struct informers *f)
{
    if (!f->inventory.watch && !loop_timer_is_set(f->inventory.timer))
        begin(&f->inventory, false);
}

void informers_relist(struct informers *f)
{
    for (size_t i = 0; i < f->kinds.len; i++) {
        struct informer_kind *k = f->kinds.v[i];
        if (!k->watch)
            continue;
        kube_watch_stop(k->watch);
        begin(k, false);
    }
}

// ---- runs ----
void informers_listen(struct informers *f, const struct informers_listener *l)
{
    memset(&f->listener, 0, sizeof(f->listener));
    if (l) {
        f->listener = *l;
        return;
    }
    for (size_t i = 0; i < f->old_checks.len; i++)
        health_custom_free(f->old_checks.v[i]);
    f->old_checks.len = 0;
    kept_touched(f);
}

static void take_reply(struct informers *f, json_t *doc, bool is_ours)
{
    struct err err = {0};
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (!object_id_of(doc, &id, &version, &err)) {
        err_clear(&err);
        return;
    }
    struct informer_kind *k = informers_kind(f, id.group, id.kind);
    bool is_stale = false;
    if (k) {
        struct mine *m = kept_mine(k, kept_get(k, id.namespace, id.name));
        if (is_ours)
            m->written_ms = clock_mono_ms();
        kept_item(k, &id, KUBE_MODIFIED, doc, 0, &is_stale);
        if (!is_stale)
            note_special(k, &id, doc, false);
    }
    object_id_clear(&id);
}

void informers_wrote(struct informers *f, json_t *doc)
{
    take_reply(f, doc, true);
}

void informers_read(struct informers *f, json_t *doc)
{
    take_reply(f, doc, false);
}

void informers_deleted(struct informers *f, const struct object_id *id, const char *uid)
{
    struct informer_kind *k = informers_kind(f, id->group, id->kind);
    struct entry *e = k ? kept_find(k, id->namespace, id->name) : NULL;
    if (!e || !e->mine || (uid && e->mine->fact.uid && strcmp(uid, e->mine->fact.uid) != 0))
        return; // another one stands in its place
    e->mine->written_ms = clock_mono_ms();
    kept_gone(k, e, true);
}

// ---- life ----
struct informers *informers_new(struct loop *l, struct kube *k, const struct informers_opts *o)
{
    struct informers *f = mem_alloc(sizeof(*f));
    const struct kind_info maps = {
        (char *)"", (char *)"v1", (char *)"ConfigMap", (char *)"configmaps", true, true, true,
        true,       true};
    f->loop = l;
    f->kube = k;
    f->opts = *o;
    f->words = json_object();
    f->namespaces = json_object();
    f->webhooks = json_object();
    f->slices = json_object();
    f->served = kinds_new();
    f->checks_hash = sha256_of("", 0);
    kind_init(f, &f->inventory, &maps);
    return f;
}

void informers_free(struct informers *f)
{
    if (!f)
        return;
    vec_clear(&f->touched);
    for (size_t i = 0; i < f->kinds.len; i++) {
        kind_clear(f->kinds.v[i]);
        free(f->kinds.v[i]);
    }
    vec_clear(&f->kinds);
    kind_clear(&f->inventory);
    maps_free(f);
    for (size_t i = 0; i < f->old_checks.len; i++)
        health_custom_free(f->old_checks.v[i]);
    vec_clear(&f->old_checks);
    health_custom_free(f->checks);
    json_decref(f->settings);
    json_decref(f->words);
    json_decref(f->namespaces);
    json_decref(f->webhooks);
    json_decref(f->slices);
    kinds_free(f->served);
    free(f);
}

// ---- questions ----
static bool is_known(const struct informers *f, const struct object_id *id)
{
    const struct informer_kind *k = informers_kind(f, id->group, id->kind);
    return k && k->is_read && !k->is_unknown;
}

const struct live_fact *informers_fact(const struct informers *f, const struct object_id *id)
{
    const struct entry *e = inf_find(f, id);
    return e && e->exists && e->mine && e->mine->has_fact && is_known(f, id) ? &e->mine->fact
                                                                             : NULL;
}

const struct record *informers_record(const struct informers *f, const struct object_id *id)
{
    const struct entry *e = inf_find(f, id);
    return e && e->mine && e->mine->map ? &e->mine->record : NULL;
}

bool informers_exists(const struct informers *f, const struct object_id *id)
{
    const struct entry *e = inf_find(f, id);
    return e && e->exists;
}

bool informers_any_bad(const struct informers *f,
                       bool (*counts)(const void *ctx, const struct object_id *id), const void *ctx)
{
    for (size_t i = 0; i < f->kinds.len; i++) {
        const struct informer_kind *k = f->kinds.v[i];
        bool is_known = k->is_read && !k->is_unknown;
        for (size_t n = 0; n < k->all.len; n++) {
            const struct entry *e = k->all.v[n];
            bool is_good = is_known && e->exists && e->mine && e->mine->has_fact &&
                           e->mine->fact.health.status <= HEALTH_SUSPENDED;
            if (e->mine && !is_good && counts(ctx, &e->mine->fact.id))
                return true;
        }
    }
    return false;
}

json_t *informers_note(const struct informers *f, const char *app)
{
    const char *text = maps_intent_note(f, app);
    CLEANUP(str_freep) char *name = inventory_map_name(app, 0);
    const struct map *m = maps_find(f, name);
    json_t *note = m && m->note ? json_loads(m->note, JSON_REJECT_DUPLICATES, NULL)
                   : text       ? json_loads(text, JSON_REJECT_DUPLICATES, NULL)
                                : NULL;
    if (json_is_object(note))
        return note;
    json_decref(note);
    return NULL;
}

struct informers_stats informers_stats(const struct informers *f)
{
    struct informers_stats s = f->stats;
    s.bytes = f->maps.len * sizeof(struct map);
    for (size_t i = 0; i < f->maps.len; i++)
        s.bytes += f->maps.v[i]->entries.cap * sizeof(struct entry *);
    for (size_t i = 0; i < f->kinds.len; i++) {
        const struct informer_kind *k = f->kinds.v[i];
        s.kinds += k->watch != NULL;
        s.kinds_unknown += k->is_unknown;
        s.bytes += kept_bytes(k);
        for (size_t j = 0; j < k->all.len; j++) {
            s.objects += k->all.v[j]->exists;
            s.facts += k->all.v[j]->mine && k->all.v[j]->mine->has_fact;
        }
    }
    return s;
}
