// SPDX-License-Identifier: Apache-2.0
//
// Which clusters there are: Argo CD's Secrets, watched.
#include "reconcile/fleet_int.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MEMBERS 1000 // each is a thread and a dozen descriptors

static struct member *find_secret(const struct fleet *f, const char *secret_name)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (!f->v.v[i]->is_going && str_eq(f->v.v[i]->secret_name, secret_name))
            return f->v.v[i];
    return NULL;
}

bool fleet_is_cluster(const json_t *doc)
{
    return str_eq(json_label(doc, ARGOCD_SECRET_TYPE), "cluster");
}

// It becomes part of paths and documents.
static bool is_label(const char *s)
{
    size_t n = strlen(s);
    return n && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && *s != '-' &&
           s[n - 1] != '-';
}

// Where regrow keeps its records there, when it is not where it always does.
static char *records_of(const json_t *doc)
{
    const json_t *all = json_object_get(json_object_get(doc, "metadata"), "annotations");
    const char *ns = json_string_value(json_object_get(all, FLEET_RECORDS));
    return ns && is_label(ns) ? str_dup(ns) : NULL;
}

static void leave(struct member *m)
{
    m->is_going = true;
    if (m->is_in_fleet && m->fleet->shards && !fleet_has_key(m->fleet, m->key, m))
        shards_drop(m->fleet->shards, m->key);
    m->is_in_fleet = false;
    m->fleet->has_news = true;
}

static void join(struct fleet *f, const json_t *doc, const char *secret_name, char *text)
{
    CLEANUP(str_freep) char *server = source_cluster_server(doc);
    CLEANUP(str_freep) char *name = source_cluster_text(doc, "name");
    if (f->v.len >= MAX_MEMBERS) {
        event_emit(f->c->o.events, "run.warning", "{s:s}", "message",
                   "there are more clusters than one controller keeps: the others are left alone");
        free(text);
        return;
    }
    struct member *m = mem_alloc(sizeof(*m));
    m->fleet = f;
    m->secret_name = str_dup(secret_name);
    m->secret = text;
    m->hash = sha256_of(text, strlen(text));
    m->server = TAKE(server);
    m->name = str_is_empty(name) ? str_dup(m->server) : TAKE(name);
    m->records = records_of(doc);
    m->key = m->records ? str_printf("%s#%s", m->server, m->records) : str_dup(m->server);
    m->src = (struct source_cluster){
        .name = str_dup(m->name), .server = str_dup(m->server), .keeps = true};
    m->apps = json_object();
    m->sent = json_object();
    m->docs = json_object();
    m->said = json_object();
    m->is_listed = true;
    *vec_push(&f->v) = m;
    f->has_news = true;
    member_say(m, "waiting", NULL);
}

// Only what decides what it is and how to log in: labels are the sources' business.
static char *text_of(const json_t *doc)
{
    CLEANUP(str_freep) char *records = records_of(doc);
    CLEANUP(json_freep)
    json_t *part =
        json_pack("{s:O*, s:s*}", "data", json_object_get(doc, "data"), "records", records);
    return json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS);
}

static void see_secret(struct fleet *f, const json_t *doc)
{
    const char *secret_name = json_dot_text(doc, "metadata.name");
    struct member *m = find_secret(f, secret_name);
    CLEANUP(str_freep) char *server = fleet_is_cluster(doc) ? source_cluster_server(doc) : NULL;
    char *text = !str_is_empty(server) && strcmp(server, FLEET_HUB) != 0 ? text_of(doc) : NULL;
    struct sha256 hash = sha256_of(text ? text : "", text ? strlen(text) : 0);
    f->has_news |= fleet_is_cluster(doc);
    if (m)
        m->is_listed = true;
    if (m && text && sha256_eq(&hash, &m->hash)) {
        free(text);
        return;
    }
    if (m)
        leave(m);
    if (text)
        join(f, doc, secret_name, text);
}

// The sources know clusters by documents of the same shape (source_opts.argocd).
static void note_doc(struct fleet *f, const json_t *doc, bool is_gone)
{
    size_t i = 0;
    const char *name = json_dot_text(doc, "metadata.name");
    for (; i < json_array_size(f->argocd); i++) {
        const json_t *x = json_array_get(f->argocd, i);
        if (str_eq(json_dot_str(x, "kind"), "Secret") &&
            str_eq(json_dot_str(x, "metadata.name"), name))
            break;
    }
    bool is_known = i < json_array_size(f->argocd);
    if (is_gone) { // credentials of repositories are controller_argocd.c's business
        if (is_known && fleet_is_cluster(json_array_get(f->argocd, i)))
            f->has_news |= json_array_remove(f->argocd, i) == 0;
        return;
    }
    json_t *copy = json_object_get(doc, "kind") ? json_deep_copy(doc) : NULL;
    if (is_known)
        json_array_set(f->argocd, i, copy);
    else
        json_array_append(f->argocd, copy);
    json_decref(copy);
}

static void forget_secret(struct fleet *f, const json_t *doc)
{
    struct member *m = find_secret(f, json_dot_text(doc, "metadata.name"));
    f->has_news |= fleet_is_cluster(doc);
    if (m)
        leave(m);
}

static void came_to_be(struct fleet *f)
{
    struct controller *c = f->c;
    bool any = false;
    for (size_t i = 0; i < f->v.len; i++)
        any |= !f->v.v[i]->is_going;
    if (!f->has_news)
        return;
    f->has_news = false;
    c->must_load |= f->is_synced && (any || f->is_on) && c->has_loaded;
    f->is_on |= any;
    loop_timer_set(f->step, 0);
}

static void set_listed(struct fleet *f, bool listed)
{
    for (size_t i = 0; i < f->v.len; i++)
        f->v.v[i]->is_listed = listed;
}

// Clusters that the list did not name: they were taken out while nobody watched.
static void sweep_docs(struct fleet *f)
{
    for (size_t i = json_array_size(f->argocd); i > 0; i--) {
        const json_t *x = json_array_get(f->argocd, i - 1);
        if (fleet_is_cluster(x) && !json_object_get(f->listed, json_dot_text(x, "metadata.name")))
            json_array_remove(f->argocd, i - 1);
    }
    json_object_clear(f->listed);
}

static void on_secret(void *ctx, enum kube_event ev, json_t *doc)
{
    struct fleet *f = ctx;
    switch (ev) {
    case KUBE_ITEM:
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        if (ev == KUBE_ITEM && fleet_is_cluster(doc))
            json_object_set_new(f->listed, json_dot_text(doc, "metadata.name"), json_true());
        note_doc(f, doc, !fleet_is_cluster(doc)); // it may have been one before
        see_secret(f, doc);
        break;
    case KUBE_DELETED:
        note_doc(f, doc, true);
        forget_secret(f, doc);
        break;
    case KUBE_RESTARTED:
        json_object_clear(f->listed);
        set_listed(f, false);
        return;
    case KUBE_SYNCED:
        for (size_t i = 0; i < f->v.len; i++)
            if (!f->v.v[i]->is_listed && !f->v.v[i]->is_going)
                leave(f->v.v[i]);
        set_listed(f, false);
        sweep_docs(f);
        f->is_synced = f->has_news = true;
        break;
    case KUBE_GONE:
        f->watch = NULL;
        f->watch_due_ms = clock_mono_ms() + FLEET_WATCH_MS;
        return;
    }
    if (f->is_synced)
        came_to_be(f);
}

static void on_unwatched(void *ctx, const struct kube_reply *r)
{
    struct fleet *f = ctx;
    struct err err = {0};
    f->watch = NULL;
    f->watch_due_ms = clock_mono_ms() + FLEET_WATCH_MS;
    kube_reply_err(r, &err, "clusters of the fleet: Secrets of " ARGOCD_NAMESPACE);
    if (f->is_on && !f->is_told)
        event_emit(f->c->o.events, "run.warning", "{s:s}", "message", err.msg);
    f->is_told |= f->is_on;
    err_clear(&err);
}

void fleet_watch(struct fleet *f)
{
    const struct kind_info *k = kinds_find(f->c->o.kinds, "", "v1", "Secret");
    f->watch_due_ms = clock_mono_ms() + FLEET_WATCH_MS;
    if (!k)
        return;
    json_object_clear(f->listed);
    struct kube_watch_opts o = {.kind = k,
                                .namespace = ARGOCD_NAMESPACE,
                                .event = on_secret,
                                .failed = on_unwatched,
                                .ctx = f};
    f->watch = kube_watch(f->c->kube, &o);
}
