// SPDX-License-Identifier: Apache-2.0
//
// Deletion of what is no longer desired: the graph of the live documents, backwards, each by its
// uid; and of hooks that asked to be deleted.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define GONE_POLL_MS 200
#define GONE_WAIT_MS 120000

// One object on its way out. Those it depends on wait until it is gone.
struct victim {
    struct run *run;
    unsigned item;
    unsigned waiters; // objects that depend on it and are not gone yet
    bool is_sent, is_gone, is_failed;
    int64_t ask_again_ms;
};

void prune_init(struct run *r)
{
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        if (it->object >= 0 || it->action != ACTION_PRUNE)
            continue;
        int app = desired_find_app(r->desired, r->records.v[it->record].app);
        if (app >= 0)
            r->apps[app].has_prunings = true;
    }
}

// Objects of an application that did not get healthy stay: what replaces them may be missing.
static bool may_prune(const struct run *r, const struct plan_item *it)
{
    int app = desired_find_app(r->desired, r->records.v[it->record].app);
    if (r->opts.n_only_apps && (app < 0 || !r->nodes[r->graph->app_end[app]].is_selected))
        return false;
    return app < 0 || r->nodes[r->graph->app_end[app]].is_ready;
}

static char *victim_path(const struct victim *v)
{
    const struct run *r = v->run;
    const struct record *rec = &r->records.v[r->plan->items.v[v->item].record];
    const struct kind_info *k =
        kinds_find(r->desired->kinds, rec->id.group, rec->version, rec->id.kind);
    if (!k)
        k = kinds_find(r->desired->kinds, rec->id.group, NULL, rec->id.kind);
    return k ? kind_path(k, rec->id.namespace, rec->id.name) : NULL;
}

static void gone(struct victim *v)
{
    struct run *r = v->run;
    const struct record *rec = &r->records.v[r->plan->items.v[v->item].record];
    v->is_gone = true;
    r->sum.pruned++;
    r->plan->items.v[v->item].action = ACTION_NONE;
    event_emit(r->opts.events, "object.pruned", "{s:s, s:s, s:s, s:s*, s:s}", "app", rec->app,
               "group", rec->id.group, "kind", rec->id.kind, "namespace", rec->id.namespace, "name",
               rec->id.name);
}

static void failed(struct victim *v, const struct kube_reply *reply)
{
    struct run *r = v->run;
    struct plan_item *it = &r->plan->items.v[v->item];
    struct err err = {0};
    CLEANUP(str_freep) char *what = object_name(&r->records.v[it->record].id);
    kube_reply_err(reply, &err, what);
    v->is_failed = true;
    it->action = ACTION_KEEP;
    str_set(&it->reason, err.msg);
    r->sum.kept++;
    event_emit(r->opts.events, "run.warning", "{s:s}", "message", err.msg);
    err_clear(&err);
}

static void on_deleted(void *ctx, const struct kube_reply *reply)
{
    struct victim *v = ctx;
    struct err err = {0};
    v->run->pending_calls--;
    if (reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_KIND ||
        reply->cls == KUBE_NO_NAMESPACE) {
        gone(v);
    } else if (reply->cls == KUBE_OK) {
        CLEANUP(json_freep) json_t *doc = NULL;
        // A Status says that it is gone; the object itself, that finalizers are at work.
        if (canon_read(reply->body, reply->body_len, &doc, &err) &&
            str_eq(json_dot_str(doc, "kind"), "Status"))
            gone(v);
        else
            v->ask_again_ms = clock_mono_ms() + GONE_POLL_MS;
        err_clear(&err);
    } else if (reply->cls == KUBE_LOST || reply->cls == KUBE_RETRY ||
               reply->cls == KUBE_THROTTLED) {
        v->is_sent = false;
        v->ask_again_ms = clock_mono_ms() + 500;
    } else {
        failed(v, reply);
    }
}

static void on_asked(void *ctx, const struct kube_reply *reply)
{
    struct victim *v = ctx;
    v->run->pending_calls--;
    if (reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_KIND || reply->cls == KUBE_NO_NAMESPACE)
        gone(v);
    else
        v->ask_again_ms = clock_mono_ms() + GONE_POLL_MS;
}

static void step(struct victim *v)
{
    struct run *r = v->run;
    if (v->is_gone || v->is_failed || v->waiters || (v->is_sent && !v->ask_again_ms) ||
        v->ask_again_ms > clock_mono_ms())
        return;
    CLEANUP(str_freep) char *path = victim_path(v);
    if (!path) {
        gone(v); // its kind is gone, and it with it
        return;
    }
    v->ask_again_ms = 0;
    r->pending_calls++;
    if (v->is_sent) {
        struct kube_call c = {.method = "GET", .path = path};
        kube_send(r->kube, &c, on_asked, v);
        return;
    }
    v->is_sent = true;
    const struct plan_item *it = &r->plan->items.v[v->item];
    kube_delete(r->kube, path, r->facts.v[it->live].uid, "Background", on_deleted, v);
}

// The live documents as a desired state of their own, whose graph gives the order.
static bool order_victims(struct run *r, const unsigned *items, size_t n, struct graph **out)
{
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct err err = {0};
    kinds_add_builtin(d->kinds, kube_minor(r->kube));
    desired_add_app_take(d, application_new_root("prune"));
    for (size_t i = 0; i < n; i++) {
        const struct record *rec = &r->records.v[r->plan->items.v[items[i]].record];
        CLEANUP(str_freep) char *key = object_key(&rec->id);
        json_t *doc = json_object_get(r->old_docs, key);
        struct object o = {.id = object_id_dup(&rec->id), .version = str_dup(rec->version)};
        CLEANUP(json_freep) json_t *empty = json_object();
        if (doc && !strcmp(rec->id.kind, "CustomResourceDefinition"))
            kinds_add_crd(d->kinds, doc);
        object_set_body(&o, doc ? doc : empty);
        desired_add_object_take(d, &o);
    }
    struct graph_opts opts = {.break_declared = true};
    bool ok = desired_finish(d, &err) && graph_build(d, NULL, &opts, out, &err);
    err_clear(&err);
    return ok;
}

// Everything that depends on a victim and is not gone holds it back.
static void count_waiters(struct victim *v, size_t n, const struct graph *g)
{
    for (size_t i = 0; i < n; i++)
        v[i].waiters = 0;
    for (size_t i = 0; g && i < g->edges.len; i++) {
        const struct edge *e = &g->edges.v[i];
        if (e->from < n && e->to < n && !e->is_dropped && !v[e->from].is_gone)
            v[e->to].waiters++;
    }
}

static bool drive(struct run *r, struct victim *v, size_t n, const struct graph *g, struct err *err)
{
    int64_t end = clock_mono_ms() + GONE_WAIT_MS;
    for (;;) {
        size_t open = 0;
        count_waiters(v, n, g);
        for (size_t i = 0; i < n; i++) {
            if (!kube_is_down(r->kube))
                step(&v[i]);
            open += !v[i].is_gone && !v[i].is_failed;
        }
        bool stop = loop_stopping(r->loop);
        if (!open || stop || clock_mono_ms() > end)
            return !stop || err_set(err, ERR_CANCELLED, "interrupted");
        // One that failed holds what it needs for good; nothing left to send means the end.
        size_t movable = 0;
        for (size_t i = 0; i < n; i++)
            movable += !v[i].is_gone && !v[i].is_failed && !v[i].waiters;
        if (!movable)
            return true;
        loop_run_once(r->loop, 50);
    }
}

bool prune_execute(struct run *r, struct err *err)
{
    VEC(unsigned) items = {0};
    for (unsigned i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        if (it->object < 0 && it->action == ACTION_PRUNE && may_prune(r, it))
            *vec_push(&items) = i;
        else if (it->object < 0 && (it->action == ACTION_PRUNE || it->action == ACTION_KEEP))
            r->sum.kept++;
    }
    bool ok = true;
    if (items.len) {
        struct graph *g CLEANUP(graph_freep) = NULL;
        order_victims(r, items.v, items.len, &g);
        struct victim *v = mem_alloc(items.len * sizeof(*v));
        for (size_t i = 0; i < items.len; i++)
            v[i] = (struct victim){.run = r, .item = items.v[i]};
        ok = drive(r, v, items.len, g, err);
        for (int i = 0; r->pending_calls && i < 300; i++)
            loop_run_once(r->loop, 50);
        free(v);
    }
    vec_clear(&items);
    return ok;
}

static void on_hook_deleted(void *ctx, const struct kube_reply *reply)
{
    (void)reply; // a hook that stays is deleted before it runs again
    call_end(ctx);
}

void hooks_cleanup(struct run *r, unsigned app)
{
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        const struct node_rt *x = &r->nodes[i];
        if (o->app != app || !o->is_hook || !x->was_sent || !x->uid)
            continue;
        bool ok = x->is_ready && (o->hook_delete & HOOK_SUCCEEDED);
        bool bad = x->state == NODE_FAILED && (o->hook_delete & HOOK_FAILED);
        CLEANUP(str_freep) char *path = ok || bad ? send_path(r, o) : NULL;
        if (path)
            kube_delete(r->kube, path, x->uid, "Background", on_hook_deleted, call_new(r, i));
    }
}
