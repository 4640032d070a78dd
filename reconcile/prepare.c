// SPDX-License-Identifier: Apache-2.0
//
// Everything before the first write: the right cluster, the lock, what is there, the graph, the
// plan; and dry runs for those who only want to know.
#include <stdlib.h>
#include <string.h>

#include "reconcile/drift.h"
#include "reconcile/run_int.h"

#define CONFLICT_TRIES 5 // each may name more fields that are left to their owners

static bool check_cluster(const struct run *r, struct err *err)
{
    const char *uid = kube_cluster_uid(r->kube);
    if (!r->opts.expect_cluster || str_eq(uid, r->opts.expect_cluster))
        return true;
    err_set(err, ERR_CONFLICT, "this is cluster %s, not %s", uid ? uid : "(unknown)",
            r->opts.expect_cluster);
    return err_hint(err, "Nothing was changed. Check --kubeconfig and --context.");
}

static bool wait_reply(struct run *r, const struct kube_call *c, struct kube_reply *reply,
                       struct buf *store)
{
    struct kube_call patient = *c;
    patient.patience_ms = run_patience(r);
    kube_send_wait(r->kube, &patient, reply, store);
    return reply->cls == KUBE_OK;
}

// What is declared in a circle is one whatever the cluster has: told before anything is written.
static bool check_declared(const struct run *r, struct err *err)
{
    CLEANUP(graph_freep) struct graph *g = NULL;
    struct graph_opts o = r->opts.graph;
    o.ignore_inferred = true;
    return graph_build(r->desired, NULL, &o, &g, err);
}

static bool read_cluster(struct run *r, struct err *err);

// What closes only with what was inferred may be none in this cluster, whose namespaces have labels
// of their own that webhooks look at. Nothing of ours is in it yet: it is read once more rather
// than written to for a circle.
static bool check_inferred(const struct run *r, struct err *err)
{
    CLEANUP(graph_freep) struct graph *g = NULL;
    struct run_opts o = r->opts;
    struct err closed = {0};
    if (o.first || graph_build(r->desired, NULL, &o.graph, &g, &closed))
        return true;
    err_clear(&closed); // it is built again, of what is there
    o.read_only = true;
    struct run *look CLEANUP(run_freep) = run_new(r->loop, r->kube, r->desired, &o);
    return read_cluster(look, err) && graph_of_live(look, &look->graph, err);
}

// The namespace the Lease and the inventory live in. If the desired state has it too, its own
// document is what is sent, so that it is written once.
static bool ensure_namespace(struct run *r, struct err *err)
{
    const char *name = run_records(r);
    CLEANUP(str_freep) char *path = str_printf("/api/v1/namespaces/%s", name);
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_call get = {.method = "GET", .path = path};
    if (wait_reply(r, &get, &reply, &store))
        return true;
    if (reply.cls != KUBE_ABSENT && reply.cls != KUBE_NO_NAMESPACE)
        return kube_reply_err(&reply, err, "the namespace of the inventory");
    if (!check_inferred(r, err))
        return false;
    struct object_id id = {(char *)"", (char *)"Namespace", NULL, (char *)name};
    const struct object *o = desired_find(r->desired, &id);
    CLEANUP(str_freep)
    char *plain =
        str_printf("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"labels\":"
                   "{\"app.kubernetes.io/managed-by\":\"regrow\"},\"name\":\"%s\"}}",
                   name);
    const char *body = o ? o->body : plain;
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=%s", path, run_manager(r));
    struct kube_call put = {.method = "PATCH",
                            .path = url,
                            .body = body,
                            .body_len = strlen(body),
                            .content_type = "application/apply-patch+yaml",
                            .is_idempotent = true};
    if (wait_reply(r, &put, &reply, &store))
        return true;
    return kube_reply_err(&reply, err, "make the namespace of the inventory");
}

static bool take_lease(struct run *r, struct err *err)
{
    struct lease_opts o = {
        .holder = r->opts.holder, .namespace = run_records(r), .events = r->opts.events};
    if (r->lease || r->opts.read_only)
        return true;
    if (!check_declared(r, err) || !ensure_namespace(r, err))
        return false;
    r->lease = r->own_lease = lease_keeper_new(r->loop, r->kube, &o);
    return lease_keeper_take(r->own_lease, r->opts.deadline_ms, err);
}

static bool id_exists(void *ctx, const struct object_id *id)
{
    const struct run *r = ctx;
    if (!strcmp(id->kind, "CustomResourceDefinition") && strchr(id->name, '/')) {
        const char *slash = strrchr(id->name, '/');
        CLEANUP(str_freep) char *group = str_ndup(id->name, (size_t)(slash - id->name));
        const struct kind_info *k = kinds_find(r->desired->kinds, group, NULL, slash + 1);
        return k && k->is_served;
    }
    const struct live_fact *f = observe_fact(r, id);
    bool goes = f && f->is_terminating;
    bool exists = f || (r->opts.informers && lent_exists(r, id, &goes));
    // Nothing can be made in a namespace that is on its way out; it must be gone and made again.
    return exists && !(goes && !strcmp(id->kind, "Namespace"));
}

static bool is_stale_group(void *ctx, const char *group)
{
    const struct run *r = ctx;
    return strv_has(kube_stale_groups(r->kube), group);
}

static const json_t *labels_of_namespace(void *ctx, const char *name)
{
    return observe_labels(ctx, name);
}

bool graph_of_live(struct run *r, struct graph **out, struct err *err)
{
    struct graph_live live = {.webhook_configs = r->webhook_configs.v,
                              .n_webhook_configs = r->webhook_configs.len,
                              .exists = id_exists,
                              .namespace_labels = labels_of_namespace,
                              .is_stale_group = is_stale_group,
                              .ctx = r};
    return graph_build(r->desired, &live, &r->opts.graph, out, err);
}

// Records whose facts were read before the records themselves were known, and documents kept on
// suspicion that turned out to be nobody's.
static void drop_unrecorded(struct run *r)
{
    CLEANUP(json_freep) json_t *ours = json_object();
    for (size_t i = 0; i < r->records.len; i++) {
        CLEANUP(str_freep) char *key = object_key(&r->records.v[i].id);
        json_t *doc = json_object_get(r->old_docs, key);
        if (doc && !desired_find(r->desired, &r->records.v[i].id))
            json_object_set(ours, key, doc);
    }
    json_decref(r->old_docs);
    r->old_docs = json_incref(ours);
}

// What of this kind is there is not known: its list could not be had, or the server behind its
// group does not answer.
static bool is_unknown_kind(const struct run *r, const struct object_id *id)
{
    const struct kind_watch *w = observe_find(r, id->group, id->kind);
    if (w)
        return observe_is_unknown(w);
    const struct kind_info *k = kinds_find(r->desired->kinds, id->group, NULL, id->kind);
    return (!k || !k->is_served) && strv_has(kube_stale_groups(r->kube), id->group);
}

// Unknown is not empty: records and desired objects of such kinds are neither forgotten nor taken
// for absent.
static void add_unknown_facts(struct run *r)
{
    size_t known = r->facts.len;
    for (size_t i = 0; i < r->records.len; i++)
        if (is_unknown_kind(r, &r->records.v[i].id))
            vec_push(&r->facts)->id = object_id_dup(&r->records.v[i].id);
    for (size_t i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        if (!o->is_virtual && is_unknown_kind(r, &o->id) && !find_record(r, &o->id))
            vec_push(&r->facts)->id = object_id_dup(&o->id);
    }
    for (size_t i = known; i < r->facts.len; i++)
        r->facts.v[i].exists = r->facts.v[i].is_unknown = true;
}

// What a namespace on its way out holds goes with it, though nothing in the objects says so yet.
static void doom_contents(struct run *r)
{
    for (size_t i = 0; i < r->facts.len; i++) {
        struct live_fact *f = &r->facts.v[i];
        struct object_id id = {(char *)"", (char *)"Namespace", NULL, f->id.namespace};
        const struct live_fact *ns = f->id.namespace ? observe_fact(r, &id) : NULL;
        bool goes = ns && ns->is_terminating;
        if (f->id.namespace && !ns && r->opts.informers)
            lent_exists(r, &id, &goes);
        f->is_terminating |= goes;
    }
}

static bool fetch_whole(struct run *r, const struct kube_call *c, const char *what, json_t **out,
                        struct err *err)
{
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    wait_reply(r, c, &reply, &store);
    bool absent =
        reply.cls == KUBE_ABSENT || reply.cls == KUBE_NO_KIND || reply.cls == KUBE_NO_NAMESPACE;
    if (absent)
        return true;
    if (reply.cls != KUBE_OK)
        return kube_reply_err(&reply, err, what);
    return canon_read(reply.body, reply.body_len, out, err);
}

static void drop_managers(json_t *doc)
{
    json_object_del(json_object_get(doc, "metadata"), "managedFields");
}

static bool fetch(struct run *r, const struct kube_call *c, const char *what, json_t **out,
                  struct err *err)
{
    bool ok = fetch_whole(r, c, what, out, err);
    if (ok)
        drop_managers(*out);
    return ok;
}

// Known before anything is listed.
static bool read_settings(struct run *r, struct err *err)
{
    struct kube_call get = {.method = "GET",
                            .path = "/api/v1/namespaces/argocd/configmaps/argocd-cm"};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!settings_desired(r) && !fetch(r, &get, "read the health checks in argocd-cm", &doc, err))
        return false;
    return settings_take(r, doc && health_custom_is_config(doc) ? doc : NULL, err);
}

static bool list_cluster(struct run *r, struct err *err)
{
    if (!read_settings(r, err))
        return false;
    r->is_listing = r->is_reading_records = true;
    bool watch = health_has_check(r->health, "", "ConfigMap");
    struct kind_watch *w = observe_kind(r, "", "v1", "ConfigMap", watch);
    if (!observe_wait(r, err))
        return false;
    if (w && err_is_set(&w->problem)) {
        // Without the inventory nothing can be pruned and everything would be checked anew: the
        // promise "what is ours is known" would be broken silently.
        err_copy(err, &w->problem);
        return err_wrap(err, "read the inventory");
    }
    inventory_sort(r);
    drop_unrecorded(r);
    r->is_reading_records = false;
    bool ok = observe_desired_kinds(r, err);
    r->is_listing = false;
    return ok;
}

static bool read_cluster(struct run *r, struct err *err)
{
    if (!(r->opts.informers ? lent_read_cluster(r, err) : list_cluster(r, err)))
        return false;
    add_unknown_facts(r);
    observe_sort(r);
    doom_contents(r);
    return true;
}

static bool check_apps(const struct run *r, struct err *err)
{
    for (size_t i = 0; i < r->opts.n_only_apps; i++) {
        if (desired_find_app(r->desired, r->opts.only_apps[i]) < 0)
            return err_set(err, ERR_NOT_FOUND, "there is no application %s", r->opts.only_apps[i]);
    }
    for (size_t i = 0; i < r->opts.n_only_namespaces; i++) {
        if (!desired_has_namespace(r->desired, r->opts.only_namespaces[i]))
            return err_set(err, ERR_NOT_FOUND, "there is nothing in namespace %s",
                           r->opts.only_namespaces[i]);
    }
    return true;
}

bool run_prepare(struct run *r, struct err *err)
{
    r->started_ms = clock_mono_ms();
    if (!check_cluster(r, err) || !check_apps(r, err))
        return false;
    if (!take_lease(r, err))
        return false;
    if (!r->opts.read_only && r->opts.first && !r->opts.first(r->opts.first_ctx, err))
        return false;
    if (!read_cluster(r, err))
        return false;
    if (!graph_of_live(r, &r->graph, err))
        return false;
    if (!plan_make(r->desired, r->facts.v, r->facts.len, r->records.v, r->records.len, r->notes,
                   &r->opts.policy, &r->plan, err) ||
        (!r->opts.keep_needed && !left_find(r, err)))
        return false;
    state_init(r);
    observe_follow(r);
    prune_init(r);
    observe_externals(r);
    if (r->opts.read_only) {
        for (int i = 0; r->pending_calls && i < 100; i++)
            loop_run_once(r->loop, 100);
        state_start(r);
    }
    return true;
}

struct check {
    struct run *run;
    unsigned item;
    unsigned *open;
};

static bool send_check(struct run *r, unsigned item, unsigned *open);

static void on_checked(void *ctx, const struct kube_reply *reply)
{
    struct check *c = ctx;
    struct run *r = c->run;
    struct plan_item *it = &r->plan->items.v[c->item];
    const struct live_fact *f = &r->facts.v[it->live];
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    struct sha256 would;
    if (reply->cls == KUBE_OK && canon_read(reply->body, reply->body_len, &doc, &err)) {
        bool same = f->has_projection && projection_of(doc, run_manager(r), &would) &&
                    sha256_eq(&would, &f->projection);
        r->plan->counts[ACTION_CHECK]--;
        it->action = same ? ACTION_NONE : ACTION_CHANGE;
        r->plan->counts[it->action]++;
    } else if (reply->cls == KUBE_CONFLICT && f->is_client_side) {
        r->plan->counts[ACTION_CHECK]--;
        it->action = ACTION_CHANGE; // it is taken over first, and conflicts no more
        r->plan->counts[ACTION_CHANGE]++;
    } else if (!leave_to_others(r, (unsigned)it->object, reply) ||
               !send_check(r, c->item, c->open)) {
        str_set(&it->reason, reply->message);
    }
    err_clear(&err);
    r->pending_calls--;
    --*c->open;
    free(c);
}

static bool send_check(struct run *r, unsigned item, unsigned *open)
{
    const struct object *o = &r->desired->objects.v[r->plan->items.v[item].object];
    CLEANUP(str_freep) char *path = send_path(r, o);
    if (!path)
        return false;
    struct check *c = mem_alloc(sizeof(*c));
    *c = (struct check){r, item, open};
    ++*open;
    r->pending_calls++;
    unsigned node = (unsigned)r->plan->items.v[item].object;
    struct buf body CLEANUP(buf_clear) = {0};
    struct kube_apply_opts opts = {.dry_run = true,
                                   .force = may_force(r, node),
                                   .manager = run_manager(r),
                                   .patience_ms = run_patience(r)};
    send_body(r, node, &body);
    run_owns(r, kube_apply(r->kube, path, body.p, body.len, &opts, on_checked, c));
    return true;
}

// A gate that was taken for open is not: what it judges waits for it. Whoever asks changes nothing,
// so that nothing has gone through it meanwhile.
static bool close_gate(struct run *r, unsigned object, const struct kube_reply *reply)
{
    const struct node *n = &r->graph->nodes.v[object];
    for (unsigned i = 0; i < n->n_out; i++) {
        unsigned to = r->graph->edges.v[n->first_out + i].to;
        const struct node *gate = &r->graph->nodes.v[to];
        struct node_rt *x = &r->nodes[to];
        if (gate->kind != NODE_WEBHOOK || !str_eq(gate->hook_name, reply->webhook))
            continue;
        x->is_applied = x->is_ready = false;
        x->state = NODE_WAITING;
        state_message(r, to, reply->message);
        return true;
    }
    return false;
}

// Asks the server about an object that is not there and that nothing holds up: what it refuses has
// failed; a gate that is closed after all is what it waits for.
static void try_create(struct run *r, unsigned object)
{
    const struct object *o = &r->desired->objects.v[object];
    CLEANUP(str_freep) char *path = send_path(r, o);
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!path) {
        CLEANUP(str_freep) char *why = unserved_text(r, o);
        state_fail(r, object, ERR_INVALID, why);
        return;
    }
    CLEANUP(str_freep)
    char *url = str_printf("%s?fieldManager=%s&dryRun=All", path, run_manager(r));
    struct kube_call put = {.method = "PATCH",
                            .path = url,
                            .body = o->body,
                            .body_len = o->body_len,
                            .content_type = "application/apply-patch+yaml",
                            .is_idempotent = true};
    wait_reply(r, &put, &reply, &store);
    if (reply.cls == KUBE_GATE && !close_gate(r, object, &reply)) {
        CLEANUP(str_freep)
        char *msg =
            str_printf("webhook %s: %s", reply.webhook ? reply.webhook : "?", reply.message);
        state_message(r, object, msg);
        state_set(r, object, NODE_QUEUED);
    } else if (reply.cls == KUBE_INVALID || reply.cls == KUBE_DENIED ||
               reply.cls == KUBE_CONFLICT) {
        kube_reply_err(&reply, &err, "dry run");
        state_fail(r, object, err.kind, err.msg);
        err_clear(&err);
    }
}

void run_try(struct run *r, unsigned app, size_t max)
{
    const unsigned *objects;
    size_t n = run_app_objects(r, app, &objects);
    for (size_t i = 0; i < n && max; i++) {
        const struct node_rt *x = &r->nodes[objects[i]];
        if (x->state != NODE_WAITING || x->pending || r->desired->objects.v[objects[i]].is_virtual)
            continue;
        max--;
        try_create(r, objects[i]);
    }
}

bool run_resolve_checks(struct run *r, struct err *err)
{
    unsigned open = 0;
    for (unsigned i = 0; i < r->plan->items.len || open;) {
        if (i < r->plan->items.len && open < 32) {
            const struct plan_item *it = &r->plan->items.v[i];
            if (it->action == ACTION_CHECK && it->object >= 0 && it->live >= 0)
                send_check(r, i, &open);
            i++;
            continue;
        }
        loop_run_once(r->loop, 100);
        if (loop_stopping(r->loop) && !open)
            return loop_stopped(r->loop, err, "comparing with the cluster");
    }
    return true;
}

bool run_live(struct run *r, unsigned object, json_t **live, struct err *err)
{
    CLEANUP(str_freep) char *path = send_path(r, &r->desired->objects.v[object]);
    *live = NULL;
    struct kube_call get = {.method = "GET", .path = path};
    return !path || fetch(r, &get, "read it", live, err);
}

// What is left to others is no difference.
static void leave_ignored(struct run *r, const struct object *o, json_t *live, json_t *would_be)
{
    const struct application *a = r->desired->apps.v[o->app];
    struct drift_opts d = {.manager = run_manager(r), .ignore = a->ignore_differences};
    if (!live || !would_be || !ignored_any(a, &o->id))
        return;
    if (!r->jq && ignored_has_jq(d.ignore))
        r->jq = jq_filters_new();
    d.jq = r->jq;
    drift_leave_out(&o->id, live, would_be, &d);
}

// Borrows both.
static struct kube_call apply_call(const char *url, const struct buf *body)
{
    return (struct kube_call){.method = "PATCH",
                              .path = url,
                              .body = body->p,
                              .body_len = body->len,
                              .content_type = "application/apply-patch+yaml",
                              .is_idempotent = true};
}

bool run_preview(struct run *r, unsigned object, json_t **live, json_t **would_be, struct err *err)
{
    const struct object *o = &r->desired->objects.v[object];
    CLEANUP(str_freep) char *path = send_path(r, o);
    struct kube_call get = {.method = "GET", .path = path};
    *live = *would_be = NULL;
    if (!path)
        return true;
    if (!fetch_whole(r, &get, "read it", live, err))
        return false;
    // Forced, because fields that somebody else took over are what a person wants to see.
    CLEANUP(str_freep)
    char *url = str_printf("%s?fieldManager=%s&dryRun=All&force=true", path, run_manager(r));
    struct buf body CLEANUP(buf_clear) = {0};
    send_body(r, object, &body);
    struct kube_call put = apply_call(url, &body);
    bool ok = fetch_whole(r, &put, "dry run", would_be, err);
    if (ok)
        leave_ignored(r, o, *live, *would_be);
    drop_managers(*live);
    drop_managers(*would_be);
    return ok;
}

char *run_conflict(struct run *r, unsigned object)
{
    CLEANUP(str_freep) char *path = send_path(r, &r->desired->objects.v[object]);
    const struct live_fact *f = observe_fact(r, &r->desired->objects.v[object].id);
    for (int i = 0; path && i < CONFLICT_TRIES; i++) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        struct buf body CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep)
        char *url = str_printf("%s?fieldManager=%s&dryRun=All%s", path, run_manager(r),
                               may_force(r, object) ? "&force=true" : "");
        send_body(r, object, &body);
        struct kube_call put = apply_call(url, &body);
        wait_reply(r, &put, &reply, &store);
        bool is_one = reply.cls == KUBE_CONFLICT && reply.conflict_manager;
        if (!is_one || (f && f->is_client_side)) // such fields are taken over first
            break;
        if (!leave_to_others(r, object, &reply))
            return str_dup(reply.message);
    }
    return str_dup("");
}
