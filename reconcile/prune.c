// SPDX-License-Identifier: Apache-2.0
//
// Deletion of what is no longer desired: the graph of the live documents, backwards, each by its
// uid; and of hooks that asked to be deleted.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define GONE_POLL_MS 200
#define GONE_WAIT_MS 120000
#define AGAIN_MS 500

// One object on its way out. Those it depends on wait until it is gone.
struct victim {
    struct run *run;
    unsigned item;
    bool is_sent, is_asking, is_gone, is_failed;
    int64_t ask_again_ms;
    char *release; // a patch that takes its finalizer out; NULL: not its turn
    char *waits;   // why it is still there; NULL when nothing is known
};

// The victims, and the graph of their documents: nodes beyond the victims are starts, ends and
// waves, which are past as soon as what waits for them is.
struct pruning_run {
    struct run *run;
    struct victim *v;
    size_t n;
    struct graph *g;
    char *is_past; // per node of the graph
    int64_t end_ms;
};

void prune_init(struct run *r)
{
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        r->has_moves |= inventory_is_moved(r, it);
        if (it->object >= 0 || it->action != ACTION_PRUNE)
            continue;
        int app = desired_tracked_app(r->desired, r->records.v[it->record].app);
        if (app >= 0)
            r->apps[app].has_prunings = true;
    }
}

// Objects of an application that did not get healthy stay: what replaces them may be missing.
static bool may_prune(const struct run *r, const struct plan_item *it)
{
    int app = desired_tracked_app(r->desired, r->records.v[it->record].app);
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

static const char *live_uid(const struct victim *v)
{
    return v->run->facts.v[v->run->plan->items.v[v->item].live].uid;
}

static void gone(struct victim *v, bool is_ours)
{
    struct run *r = v->run;
    const struct record *rec = &r->records.v[r->plan->items.v[v->item].record];
    v->is_gone = true;
    r->plan->items.v[v->item].action = ACTION_NONE;
    r->plan->items.v[v->item].is_pruned = is_ours;
    lent_deleted(r, &rec->id, live_uid(v));
    if (!is_ours)
        return; // somebody was faster, and another one stands in its place
    r->sum.pruned++;
    event_emit(r->opts.events, "object.pruned", "{s:s, s:s, s:s, s:s*, s:s}", "app", rec->app,
               "group", rec->id.group, "kind", rec->id.kind, "namespace", rec->id.namespace, "name",
               rec->id.name);
}

// It stays, and stays recorded; the run says so at its end.
static void leave(struct victim *v, const char *why)
{
    struct run *r = v->run;
    struct plan_item *it = &r->plan->items.v[v->item];
    CLEANUP(str_freep) char *what = object_name(&r->records.v[it->record].id);
    CLEANUP(str_freep) char *text = str_printf("%s was not deleted: %s", what, why);
    v->is_failed = true;
    it->action = ACTION_KEEP;
    it->is_leftover = true;
    str_set(&it->reason, why);
    strv_push(&r->leftovers, text);
    event_emit(r->opts.events, "run.warning", "{s:s}", "message", text);
}

static bool is_absent(const struct kube_reply *reply)
{
    return reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_KIND ||
           reply->cls == KUBE_NO_NAMESPACE;
}

char *finalizer_release(const struct run *r, const struct object_id *id, const json_t *doc)
{
    if (!r->opts.drops_finalizers || strcmp(id->kind, "Application") != 0 ||
        strcmp(id->group, "argoproj.io") != 0)
        return NULL;
    CLEANUP(json_freep) json_t *left = json_array();
    const json_t *all = json_dot(doc, "metadata.finalizers");
    size_t i;
    json_t *f;
    json_array_foreach(all, i, f)
    {
        if (!str_starts(json_string_value(f), RESOURCES_FINALIZER))
            json_array_append(left, f);
    }
    if (json_array_size(left) == json_array_size(all))
        return NULL;
    CLEANUP(json_freep)
    json_t *patch = json_pack("{s:{s:O, s:O}}", "metadata", "finalizers", left, "resourceVersion",
                              json_dot(doc, "metadata.resourceVersion"));
    return json_dumps(patch, JSON_COMPACT);
}

// Owned; NULL: it is not held by that, or not yet to go.
static char *release_of(const struct victim *v, const json_t *doc)
{
    const struct run *r = v->run;
    const struct object_id *id = &r->records.v[r->plan->items.v[v->item].record].id;
    CLEANUP(str_freep) char *app = application_tracking_name(id->namespace, id->name);
    return run_unpruned(r, app) || run_awaiting(r, app) ? NULL : finalizer_release(r, id, doc);
}

// A document instead of a Status: finalizers are at work.
static void still_there(struct victim *v, const json_t *doc)
{
    CLEANUP(str_freep) char *why = deletion_text(doc);
    str_set(&v->waits, why);
    v->ask_again_ms = clock_mono_ms() + GONE_POLL_MS;
    free(v->release);
    v->release = release_of(v, doc);
}

static void on_released(void *ctx, const struct kube_reply *reply)
{
    struct victim *v = ctx;
    v->run->pending_calls--;
    v->is_asking = false;
    str_freep(&v->release);
    v->ask_again_ms = is_absent(reply) || reply->cls == KUBE_OK ? 0 : clock_mono_ms() + AGAIN_MS;
}

void finalizer_drop(struct run *r, const char *path, const char *release, kube_done_fn done,
                    void *ctx)
{
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=%s", path, run_manager(r));
    struct kube_call c = {.method = "PATCH",
                          .path = url,
                          .body = release,
                          .body_len = strlen(release),
                          .content_type = "application/merge-patch+json"};
    run_owns(r, kube_send(r->kube, &c, done, ctx));
}

static void release(struct victim *v, const char *path)
{
    struct run *r = v->run;
    finalizer_drop(r, path, v->release, on_released, v);
}

static void on_deleted(void *ctx, const struct kube_reply *reply)
{
    struct victim *v = ctx;
    v->run->pending_calls--;
    v->is_asking = false;
    if (is_absent(reply)) {
        gone(v, true);
        return;
    }
    switch (reply->cls) {
    case KUBE_OK: {
        CLEANUP(json_freep) json_t *doc = reply_doc(reply);
        if (str_eq(json_dot_str(doc, "kind"), "Status"))
            gone(v, true);
        else
            still_there(v, doc);
        break;
    }
    case KUBE_CONFLICT: // of the uid
        gone(v, false);
        break;
    case KUBE_LOST:
    case KUBE_RETRY:
    case KUBE_THROTTLED:
    case KUBE_GATE:
    case KUBE_CANCELLED:
        str_set(&v->waits, reply->message);
        v->is_sent = false;
        v->ask_again_ms =
            clock_mono_ms() + (reply->retry_after_ms > AGAIN_MS ? reply->retry_after_ms : AGAIN_MS);
        break;
    default:
        leave(v, reply->message);
    }
}

static void on_asked(void *ctx, const struct kube_reply *reply)
{
    struct victim *v = ctx;
    CLEANUP(json_freep) json_t *doc = reply->cls == KUBE_OK ? reply_doc(reply) : NULL;
    v->run->pending_calls--;
    v->is_asking = false;
    if (is_absent(reply) || (doc && !str_eq(json_dot_str(doc, "metadata.uid"), live_uid(v))))
        gone(v, true);
    else if (doc)
        still_there(v, doc);
    else
        v->ask_again_ms = clock_mono_ms() + AGAIN_MS;
}

// A group whose server does not answer keeps every Namespace from going: it would hang half
// deleted (spec kubernetes-api section 9).
static bool is_held_by_stale_group(struct victim *v)
{
    struct run *r = v->run;
    const struct record *rec = &r->records.v[r->plan->items.v[v->item].record];
    const struct strv *stale = kube_stale_groups(r->kube);
    if (strcmp(rec->id.kind, "Namespace") != 0 || *rec->id.group || !stale->len)
        return false;
    CLEANUP(str_freep)
    char *why = str_printf("the API server of group %s does not answer, and nobody knows what the "
                           "namespace holds of it",
                           stale->v[0]);
    str_set(&v->waits, why);
    v->ask_again_ms = clock_mono_ms() + AGAIN_MS;
    rediscover(r);
    return true;
}

// Foreground, background or orphan, as the application asks, and one that is gone by its finalizer;
// Argo CD's default is the first.
static const char *propagation(const struct victim *v)
{
    const struct run *r = v->run;
    const char *name = r->records.v[r->plan->items.v[v->item].record].app;
    int app = desired_tracked_app(r->desired, name);
    if (app < 0)
        return json_dot_bool(json_object_get(r->notes, name), "background", false) ? "Background"
                                                                                   : "Foreground";
    const char *how = sync_option(r->desired->apps.v[app]->sync_options, "PrunePropagationPolicy");
    return str_eq(how, "background") ? "Background"
           : str_eq(how, "orphan")   ? "Orphan"
                                     : "Foreground";
}

static void step(struct victim *v)
{
    struct run *r = v->run;
    if (v->is_gone || v->is_failed || v->is_asking || v->ask_again_ms > clock_mono_ms())
        return;
    CLEANUP(str_freep) char *path = victim_path(v);
    if (!path) {
        gone(v, true); // its kind is gone, and it with it
        return;
    }
    if (!v->is_sent && is_held_by_stale_group(v))
        return;
    v->is_asking = true;
    r->pending_calls++;
    if (v->release) {
        release(v, path);
        return;
    }
    if (v->is_sent) {
        struct kube_call c = {.method = "GET", .path = path};
        run_owns(r, kube_send(r->kube, &c, on_asked, v));
        return;
    }
    v->is_sent = true;
    run_owns(r, kube_delete(r->kube, path, live_uid(v), propagation(v), 0, on_deleted, v));
}

// ---- order ----
static void add_victim(struct run *r, struct desired *d, const struct record *rec)
{
    CLEANUP(str_freep) char *key = object_key(&rec->id);
    CLEANUP(json_freep) json_t *empty = json_object();
    json_t *doc = json_object_get(r->old_docs, key);
    struct object o = {.id = object_id_dup(&rec->id), .version = str_dup(rec->version)};
    struct err err = {0};
    bool skip;
    if (doc && !strcmp(rec->id.kind, "CustomResourceDefinition"))
        kinds_add_crd(d->kinds, doc);
    if (doc && !object_sync_marks(doc, &o, &skip, &err))
        err_clear(&err); // what its marks ask for is of no use any more
    o.is_hook = false;
    o.phase = PHASE_SYNC;
    object_set_body(&o, doc ? doc : empty);
    desired_add_object_take(d, &o);
}

// The live documents as a desired state of their own, whose graph gives the order. NULL when they
// have none; then all go at once.
static struct graph *order_victims(struct run *r, const struct victim *v, size_t n)
{
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct graph *g = NULL;
    struct err err = {0};
    kinds_add_builtin(d->kinds, kube_minor(r->kube));
    desired_add_app_take(d, application_new_root("prune"));
    for (size_t i = 0; i < n; i++)
        add_victim(r, d, &r->records.v[r->plan->items.v[v[i].item].record]);
    struct graph_opts opts = {.break_declared = true};
    if (!desired_finish(d, &err) || !graph_build(d, NULL, &opts, &g, &err)) {
        event_emit(r->opts.events, "run.warning", "{s:s}", "message", err.msg);
        err_clear(&err);
    }
    return g;
}

// A victim is past when it is gone; anything else when all that waits for it is.
static void mark_past(struct pruning_run *p)
{
    if (!p->g)
        return;
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < p->g->nodes.len; i++) {
            const struct node *x = &p->g->nodes.v[i];
            bool past = i >= p->n || p->v[i].is_gone;
            for (unsigned e = 0; past && i >= p->n && e < x->n_in; e++) {
                const struct edge *in = &p->g->edges.v[p->g->in[x->first_in + e]];
                past = in->is_dropped || p->is_past[in->from];
            }
            again |= past && !p->is_past[i];
            p->is_past[i] |= past;
        }
    }
}

static bool may_go(const struct pruning_run *p, unsigned i)
{
    if (!p->g)
        return true;
    const struct node *x = &p->g->nodes.v[i];
    for (unsigned e = 0; e < x->n_in; e++) {
        const struct edge *in = &p->g->edges.v[p->g->in[x->first_in + e]];
        if (!in->is_dropped && !p->is_past[in->from])
            return false;
    }
    return true;
}

size_t run_unpruned(const struct run *r, const char *app)
{
    size_t n = 0;
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        n += it->object < 0 && (it->action == ACTION_PRUNE || it->is_leftover) &&
             (!app || str_eq(r->records.v[it->record].app, app));
    }
    return n;
}

size_t run_awaiting(const struct run *r, const char *app)
{
    size_t n = 0;
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        n += it->awaits && (!app || str_eq(r->records.v[it->record].app, app));
    }
    return n;
}

// Nothing but finalizers to wait for, and something newer to do.
static bool is_only_waiting(const struct pruning_run *p)
{
    for (unsigned i = 0; i < p->n; i++)
        if (!p->v[i].is_sent && !p->v[i].is_gone && !p->v[i].is_failed && may_go(p, i))
            return false;
    return run_is_superseded(p->run);
}

static bool prune_drive(struct pruning_run *p, struct err *err)
{
    struct run *r = p->run;
    for (;;) {
        size_t movable = 0;
        if (run_is_ended(r))
            return true;
        mark_past(p);
        for (unsigned i = 0; i < p->n; i++) {
            struct victim *v = &p->v[i];
            if (v->is_gone || v->is_failed || !may_go(p, i))
                continue;
            if (!kube_is_down(r->kube) && lease_is_good(r))
                step(v);
            // One that failed holds what it needs for good; nothing left to move means the end.
            movable += !v->is_failed;
        }
        if (run_has_failed(r, err))
            return false;
        if (loop_stopping(r->loop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        if (run_is_lost(r, err))
            return false;
        if (!movable || clock_mono_ms() > p->end_ms || is_only_waiting(p))
            return true;
        loop_run_once(r->loop, 50);
    }
}

static void leave_rest(struct pruning_run *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct victim *v = &p->v[i];
        if (v->is_gone || v->is_failed)
            continue;
        CLEANUP(str_freep)
        char *why = !v->is_sent && !v->waits ? str_dup("what depends on it is still there")
                    : v->is_sent ? str_printf("its deletion is under way%s%s", v->waits ? ": " : "",
                                              v->waits ? v->waits : "")
                                 : str_dup(v->waits);
        leave(v, why);
    }
}

// Its deletion was asked for before, and is under way.
static bool is_going(const struct run *r, unsigned item)
{
    return r->facts.v[r->plan->items.v[item].live].is_terminating;
}

static bool prune_all(struct run *r, const unsigned *items, size_t n, struct err *err)
{
    int64_t left = run_time_left(r);
    struct pruning_run p = {.run = r,
                            .v = mem_alloc(n * sizeof(*p.v)),
                            .n = n,
                            .end_ms =
                                clock_mono_ms() + (left < GONE_WAIT_MS ? left : GONE_WAIT_MS)};
    for (size_t i = 0; i < n; i++)
        p.v[i] = (struct victim){.run = r, .item = items[i], .is_sent = is_going(r, items[i])};
    lent_old_docs(r, items, n);
    p.g = order_victims(r, p.v, n);
    p.is_past = mem_alloc(p.g ? p.g->nodes.len + 1 : 1);
    bool ok = prune_drive(&p, err);
    for (int i = 0; r->pending_calls && i < 100; i++)
        loop_run_once(r->loop, 50);
    kube_cancel_owned(r->kube, r); // their answers come to the victims
    if (ok && !r->sum.is_superseded)
        leave_rest(&p);
    for (size_t i = 0; i < n; i++) {
        free(p.v[i].waits);
        free(p.v[i].release);
    }
    free(p.v);
    free(p.is_past);
    graph_free(p.g);
    return ok;
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
    bool ok = !items.len || prune_all(r, items.v, items.len, err);
    vec_clear(&items);
    return ok;
}

static void on_hook_deleted(void *ctx, const struct kube_reply *reply)
{
    (void)reply; // a hook that stays is deleted before it runs again
    call_end(ctx);
}

// Is this what is there of a hook, and not what a later phase has replaced?
static bool is_last_made(const struct run *r, unsigned object)
{
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = desired_find_all(r->desired, &r->desired->objects.v[object].id, all);
    for (size_t i = 0; i < n; i++)
        if (all[i] > object && r->nodes[all[i]].uid)
            return false;
    return r->nodes[object].uid != NULL;
}

// The end of the whole sync decides, not that of the hook. The inventory has been written by now:
// what is deleted here is known to have run.
void hooks_cleanup(struct run *r)
{
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        const struct node_rt *x = &r->nodes[i];
        if (!o->is_hook || !is_last_made(r, i))
            continue;
        bool has_ended = x->is_ready || x->state == NODE_FAILED;
        bool ok = r->nodes[r->graph->app_end[o->app]].is_ready;
        bool bad = !ok && r->apps[o->app].failed > 0;
        bool wanted = has_ended && ((ok && (o->hook_delete & HOOK_SUCCEEDED)) ||
                                    (bad && (o->hook_delete & HOOK_FAILED)));
        CLEANUP(str_freep) char *path = wanted ? send_path(r, o) : NULL;
        if (path)
            run_owns(r, kube_delete(r->kube, path, x->uid, "Background", KUBE_PATIENCE_MS,
                                    on_hook_deleted, call_new(r, i)));
    }
}
