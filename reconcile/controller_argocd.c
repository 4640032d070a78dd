// SPDX-License-Identifier: Apache-2.0
//
// What Argo CD keeps beside its Applications and sources are read with: credentials of
// repositories, host keys, certificates. Watched, so that a password that was changed is the one of
// the next load, without a restart. Who may not read them goes on with what was read at the start,
// or without.
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/fleet_int.h"

#define SETTLE_MS 300 // what is changed together is read once
#define MARKED "argocd.argoproj.io%2Fsecret-type%20in%20%28repository%2Crepo-creds%2Ccluster%29"
#define MAX_DOCS 10000

static bool is_kept(const json_t *doc)
{
    const char *name = json_dot_str(doc, "metadata.name");
    return str_eq(json_dot_str(doc, "kind"), "Secret") || str_eq(name, ARGOCD_KNOWN_HOSTS) ||
           str_eq(name, ARGOCD_TLS_CERTS);
}

// All that is read of one: the rest of its metadata changes at every sneeze.
static json_t *essence(const json_t *doc)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:O*, s:O*}, s:O*}", "apiVersion", "v1", "kind",
                     json_dot_text(doc, "kind"), "metadata", "name",
                     json_dot_text(doc, "metadata.name"), "namespace", ARGOCD_NAMESPACE, "labels",
                     json_dot(doc, "metadata.labels"), "annotations",
                     json_dot(doc, "metadata.annotations"), "data", json_object_get(doc, "data"));
}

static void on_settled(void *ctx)
{
    struct controller *c = ctx;
    c->argocd_is_news = c->must_load = true;
    loop_timer_set(c->wake, 0);
}

static void changed(struct controller *c)
{
    if (!c->argocd_settle)
        c->argocd_settle = loop_timer_new(c->loop, on_settled, c);
    loop_timer_set(c->argocd_settle, SETTLE_MS);
}

void argocd_take(struct controller *c, enum kube_event ev, const json_t *doc)
{
    const char *name = json_dot_str(doc, "metadata.name");
    if (!name || !is_kept(doc))
        return;
    CLEANUP(str_freep) char *key = str_printf("%s/%s", json_dot_text(doc, "kind"), name);
    const json_t *was = json_object_get(c->argocd_docs, key);
    if (ev == KUBE_DELETED) {
        json_object_del(c->argocd_docs, key);
        if (was)
            changed(c);
        return;
    }
    if (!was && json_object_size(c->argocd_docs) >= MAX_DOCS)
        return;
    CLEANUP(json_freep) json_t *now = essence(doc);
    if (now && ev == KUBE_ITEM)
        json_object_set_new(c->argocd_listed, key, json_true());
    if (!now || (was && json_equal(was, now)))
        return;
    json_object_set(c->argocd_docs, key, now);
    changed(c);
}

static void forget_list(struct controller *c, const char *kind)
{
    const char *key;
    json_t *v;
    void *next;
    size_t n = strlen(kind);
    json_object_foreach_safe(c->argocd_listed, next, key, v)
    {
        if (!strncmp(key, kind, n) && key[n] == '/')
            json_object_del(c->argocd_listed, key);
    }
}

// What the list did not name is gone.
static void sweep(struct controller *c, const char *kind)
{
    const char *key;
    json_t *v;
    void *next;
    size_t n = strlen(kind);
    json_object_foreach_safe(c->argocd_docs, next, key, v)
    {
        if (strncmp(key, kind, n) != 0 || key[n] != '/' || json_object_get(c->argocd_listed, key))
            continue;
        json_object_del(c->argocd_docs, key);
        changed(c);
    }
    forget_list(c, kind);
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct argocd_kind *k = ctx;
    struct controller *c = k->c;
    if (ev == KUBE_GONE)
        k->watch = NULL;
    else if (ev == KUBE_SYNCED)
        sweep(c, k->kind);
    else if (ev == KUBE_RESTARTED)
        forget_list(c, k->kind);
    else if (doc)
        argocd_take(c, ev, doc);
    k->is_synced |= ev == KUBE_SYNCED;
}

// Begun again with the next load: rights may come.
static void on_none(void *ctx, const struct kube_reply *reply)
{
    struct argocd_kind *k = ctx;
    (void)reply;
    k->watch = NULL;
}

// What the sources were made with is no news.
static void take_first(struct controller *c)
{
    size_t i;
    json_t *doc;
    json_array_foreach((json_t *)c->o.sources->argocd, i, doc)
    {
        CLEANUP(str_freep)
        char *key =
            str_printf("%s/%s", json_dot_text(doc, "kind"), json_dot_text(doc, "metadata.name"));
        json_object_set_new(c->argocd_docs, key, essence(doc));
    }
}

void argocd_watch(struct controller *c)
{
    if (!c->argocd_has_first)
        take_first(c);
    c->argocd_has_first = true;
    static const char *const names[] = {"Secret", "ConfigMap"};
    static const char *const labels[] = {MARKED, NULL};
    for (size_t i = 0; i < ARRAY_LEN(c->argocd_kinds); i++) {
        struct argocd_kind *k = &c->argocd_kinds[i];
        *k = (struct argocd_kind){c, names[i], k->watch, k->is_synced};
        struct kube_watch_opts o = {.kind = kinds_find(c->o.kinds, "", "v1", k->kind),
                                    .namespace = ARGOCD_NAMESPACE,
                                    .labels = labels[i],
                                    .event = on_event,
                                    .failed = on_none,
                                    .ctx = k};
        if (o.kind && !k->watch)
            k->watch = kube_watch(c->kube, &o);
    }
}

// For the next load, when it is another than the last had. Lent until the next.
const json_t *argocd_now(struct controller *c, const json_t *of_fleet)
{
    const char *key;
    json_t *v;
    size_t i;
    if (!(c->argocd_is_news || of_fleet) || !c->argocd_kinds[0].is_synced ||
        !c->argocd_kinds[1].is_synced)
        return of_fleet;
    c->argocd_is_news = false;
    json_decref(c->argocd_before);
    c->argocd_before = c->argocd_list;
    c->argocd_list = json_array();
    json_object_foreach(c->argocd_docs, key, v)
    {
        if (!of_fleet || !fleet_is_cluster(v))
            json_array_append(c->argocd_list, v);
    }
    json_array_foreach((json_t *)of_fleet, i, v)
    {
        if (fleet_is_cluster(v))
            json_array_append(c->argocd_list, v);
    }
    return c->argocd_list;
}

void argocd_end(struct controller *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->argocd_kinds); i++) {
        if (c->argocd_kinds[i].watch)
            kube_watch_stop(c->argocd_kinds[i].watch);
        c->argocd_kinds[i].watch = NULL;
    }
    loop_timer_free(c->argocd_settle);
    c->argocd_settle = NULL;
}
