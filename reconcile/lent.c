// SPDX-License-Identifier: Apache-2.0
//
// A run that is given informers: it takes what they know instead of listing, hears through them
// what happens meanwhile, and hands back what it writes. Of a part of the desired state it takes
// only what that part is about.
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// ---- what it hears ----
static bool is_victim(const struct run *r, const struct object_id *id)
{
    for (size_t i = r->plan->items.len; i > 0 && r->plan->items.v[i - 1].object < 0; i--) {
        const struct plan_item *it = &r->plan->items.v[i - 1];
        if (it->action == ACTION_PRUNE && object_id_eq(&r->records.v[it->record].id, id))
            return true;
    }
    return false;
}

static enum informer_claim on_claim(void *ctx, const struct object_id *id,
                                    const struct sha256 **projection)
{
    const struct run *r = ctx;
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = desired_find_all(r->desired, id, all);
    if (!r->nodes)
        return n ? CLAIM_BUSY : CLAIM_NOT;
    if (!n)
        return is_victim(r, id) ? CLAIM_BUSY : CLAIM_NOT;
    const struct node_rt *x = &r->nodes[all[0]];
    const struct object *o = &r->desired->objects.v[all[0]];
    *projection = &x->projection;
    if (o->is_hook)
        return CLAIM_BUSY;
    if (x->is_applied && x->has_projection)
        return CLAIM_WROTE;
    return o->is_virtual || x->is_applied || state_is_end(x->state) ? CLAIM_NOT : CLAIM_BUSY;
}

static bool on_wants(void *ctx, const struct object_id *id)
{
    const struct run *r = ctx;
    return desired_find(r->desired, id) != NULL;
}

static void on_event(void *ctx, const struct object_id *id, enum kube_event ev, json_t *doc)
{
    struct run *r = ctx;
    if (r->nodes)
        observe_event(r, id, ev, doc);
}

// ---- what it takes ----
static bool wait_read(struct run *r, const struct informer_kind *k, const char *what,
                      struct err *err)
{
    while (!k->is_read) {
        if (run_is_lost(r, err))
            return false;
        if (loop_stopping(r->loop))
            return loop_stopped(r->loop, err, "reading the cluster");
        loop_run_once(r->loop, 200);
    }
    if (!k->is_unknown)
        return true;
    if (err_is_set(&k->problem))
        err_copy(err, &k->problem);
    else
        err_set(err, ERR_UNAVAILABLE, "%s is not served", k->info.kind);
    return err_wrap(err, "%s", what);
}

static void on_record(void *ctx, const struct record *rec, const struct live_fact *fact,
                      bool is_unknown)
{
    struct run *r = ctx;
    (void)fact;
    (void)is_unknown;
    *vec_push(&r->records) = record_dup(rec);
}

static void take_part_records(struct run *r)
{
    const struct informers *f = r->opts.informers;
    const struct desired *d = r->desired;
    for (unsigned i = 0; i < d->apps.len; i++)
        if (d->taken[i])
            informers_each_record(f, d->apps.v[i]->tracking_name, on_record, r);
    maps_each_other(f, d->is_with_gone ? d : NULL, on_record, r);
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct record *rec = informers_record(f, &d->objects.v[i].id);
        if (rec)
            *vec_push(&r->records) = record_dup(rec);
    }
}

static void take_records(struct run *r)
{
    const struct informers *f = r->opts.informers;
    inventory_forget(r);
    if (r->desired->whole)
        take_part_records(r);
    else
        informers_each_record(f, NULL, on_record, r);
    inventory_sort(r);
    // Of one that is there, what is desired says it.
    for (size_t i = 0; i < r->records.len; i++) {
        const char *app = r->records.v[i].app;
        if (desired_tracked_app(r->desired, app) >= 0 || json_object_get(r->notes, app))
            continue;
        json_t *note = informers_note(f, app);
        if (note)
            json_object_set_new(r->notes, app, note);
    }
}

static void take_fact(struct run *r, const struct object_id *id)
{
    const struct entry *e = inf_find(r->opts.informers, id);
    const struct kind_watch *w = observe_find(r, id->group, id->kind);
    if (!e || !e->exists || !w || observe_is_unknown(w))
        return;
    struct live_fact *f = vec_push(&r->facts);
    if (e->mine && e->mine->has_fact)
        *f = fact_dup(&e->mine->fact);
    else
        *f = (struct live_fact){
            .id = object_id_dup(id), .exists = true, .is_terminating = e->is_terminating};
}

static void take_facts(struct run *r)
{
    for (size_t i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        if (desired_find(r->desired, &o->id) == o) // a hook's phases are one object
            take_fact(r, &o->id);
    }
    for (size_t i = 0; i < r->records.len; i++)
        if (!desired_find(r->desired, &r->records.v[i].id))
            take_fact(r, &r->records.v[i].id);
}

static void on_read(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    CLEANUP(json_freep) json_t *doc = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    if (doc)
        informers_read(c->run->opts.informers, doc);
    call_end(c);
}

// What is there and was nobody's when it was listed: all but its identity is read now. One that
// cannot be read is compared by a dry run.
static bool read_partial(struct run *r, struct err *err)
{
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        const struct entry *e = inf_find(r->opts.informers, &o->id);
        if (!e || !e->exists || (e->mine && e->mine->has_fact) || o->is_virtual || o->is_bare)
            continue;
        CLEANUP(str_freep) char *path = send_path(r, o);
        struct kube_call get = {.method = "GET", .path = path, .patience_ms = run_patience(r)};
        if (path)
            run_owns(r, kube_send(r->kube, &get, on_read, call_new(r, i)));
    }
    while (r->pending_calls) {
        if (run_is_lost(r, err))
            return false;
        if (loop_stopping(r->loop))
            return loop_stopped(r->loop, err, "reading the cluster");
        loop_run_once(r->loop, 100);
    }
    return true;
}

static void take_webhooks(struct run *r)
{
    const char *key;
    json_t *doc;
    json_object_foreach(r->opts.informers->webhooks, key, doc)
    {
        *vec_push(&r->webhook_configs) = json_incref(doc);
    }
}

// Kinds that have come to be served since the desired state was read, or are served no more. Are
// there new ones?
static bool take_served(struct run *r)
{
    const struct kinds *served = r->opts.informers->served;
    bool any = false;
    for (size_t i = 0; i < kinds_count(served); i++) {
        const struct kind_info *k = kinds_get(served, i);
        const struct kind_info *known =
            kinds_find(r->desired->kinds, k->group, k->version, k->kind);
        if (!k->is_served)
            kinds_set_served(r->desired->kinds, k->group, k->kind, false);
        if (!k->is_served || (known && known->is_served))
            continue;
        any = true;
        kinds_add(r->desired->kinds, k->group, k->version, k->kind, k->plural, k->is_namespaced,
                  true);
    }
    return any;
}

bool lent_read_cluster(struct run *r, struct err *err)
{
    struct informers *f = r->opts.informers;
    const struct kind_info *maps = kinds_find(r->desired->kinds, "", "v1", "ConfigMap");
    const struct informers_listener l = {on_claim, on_wants, on_event, r};
    informers_listen(f, &l);
    r->is_listening = true;
    informers_want_inventory(f);
    if (!wait_read(r, &f->inventory, "read the inventory", err))
        return false;
    if (maps && !wait_read(r, informers_want(f, maps, false), "read the health checks", err))
        return false;
    if (!settings_take(r, f->settings, err))
        return false;
    take_records(r);
    if (!observe_desired_kinds(r, err))
        return false;
    if (take_served(r) && !observe_desired_kinds(r, err))
        return false;
    if (!read_partial(r, err))
        return false;
    // From here to the states of the nodes nothing comes in between.
    take_records(r);
    take_facts(r);
    take_webhooks(r);
    if (r->desired->whole)
        r->opts.policy.n_all_records = f->stats.records;
    return true;
}

void lent_end(struct run *r)
{
    if (r->is_listening)
        informers_listen(r->opts.informers, NULL);
    // A run of everything has copied everything.
    if (r->is_listening && !r->desired->whole)
        malloc_trim(0);
    r->is_listening = false;
}

bool lent_exists(const struct run *r, const struct object_id *id, bool *is_terminating)
{
    const struct entry *e = inf_find(r->opts.informers, id);
    *is_terminating = e && e->is_terminating;
    return e && e->exists;
}

void lent_slices(struct run *r)
{
    const char *key;
    json_t *service;
    json_object_foreach(r->opts.informers->slices, key, service)
    {
        json_object_set_new(r->slices, json_string_value(service), json_true());
    }
}

// ---- what it hands back ----
void lent_wrote(struct run *r, json_t *doc)
{
    if (r->opts.informers && doc)
        informers_wrote(r->opts.informers, doc);
}

void lent_deleted(struct run *r, const struct object_id *id, const char *uid)
{
    if (r->opts.informers)
        informers_deleted(r->opts.informers, id, uid);
}

void lent_map(struct run *r, const char *name, const struct kube_reply *reply)
{
    if (!r->opts.informers)
        return;
    CLEANUP(json_freep) json_t *doc = reply ? reply_doc(reply) : NULL;
    if (!reply)
        maps_deleted(r->opts.informers, name);
    else if (doc)
        maps_wrote(r->opts.informers, doc);
}

// ---- documents of what is to be deleted: their order is the graph of these ----
static void on_old(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    CLEANUP(json_freep) json_t *doc = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    CLEANUP(str_freep) char *key = object_key(&r->records.v[c->node].id);
    json_object_del(json_object_get(doc, "metadata"), "managedFields");
    if (doc)
        json_object_set(r->old_docs, key, doc);
    call_end(c);
}

void lent_old_docs(struct run *r, const unsigned *items, size_t n)
{
    for (size_t i = 0; r->opts.informers && i < n; i++) {
        unsigned at = (unsigned)r->plan->items.v[items[i]].record;
        const struct record *rec = &r->records.v[at];
        const struct kind_info *k =
            kinds_find(r->desired->kinds, rec->id.group, rec->version, rec->id.kind);
        k = k ? k : kinds_find(r->desired->kinds, rec->id.group, NULL, rec->id.kind);
        CLEANUP(str_freep) char *path = k ? kind_path(k, rec->id.namespace, rec->id.name) : NULL;
        struct kube_call get = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
        if (path)
            run_owns(r, kube_send(r->kube, &get, on_old, call_new(r, at)));
    }
    while (r->opts.informers && r->pending_calls && !run_is_cut_off(r) && !loop_stopping(r->loop))
        loop_run_once(r->loop, 100);
}
