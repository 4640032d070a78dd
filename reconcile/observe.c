// SPDX-License-Identifier: Apache-2.0
//
// What the cluster holds: every kind is listed once; kinds whose health somebody waits for are
// watched from then on. Documents are reduced to facts as they arrive and dropped.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// Kinds that objects refer to by name: listed even when nothing of them is desired, so that a
// reference to something that exists is not reported as missing.
static const struct {
    const char *group, *kind;
} referenced_kinds[] = {
    {"", "Namespace"},
    {"", "Secret"},
    {"", "ServiceAccount"},
    {"", "Service"},
    {"rbac.authorization.k8s.io", "Role"},
    {"rbac.authorization.k8s.io", "ClusterRole"},
    {"storage.k8s.io", "StorageClass"},
    {"scheduling.k8s.io", "PriorityClass"},
    {"networking.k8s.io", "IngressClass"},
    {"apiextensions.k8s.io", "CustomResourceDefinition"},
    {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"},
    {"admissionregistration.k8s.io", "MutatingWebhookConfiguration"},
};

static bool is_webhook_config(const char *kind)
{
    return !strcmp(kind, "ValidatingWebhookConfiguration") ||
           !strcmp(kind, "MutatingWebhookConfiguration");
}

struct kind_watch *observe_find(const struct run *r, const char *group, const char *kind)
{
    for (size_t i = 0; i < r->watches.len; i++)
        if (!strcmp(r->watches.v[i]->kind, kind) && !strcmp(r->watches.v[i]->group, group))
            return r->watches.v[i];
    return NULL;
}

static int cmp_fact(const void *a, const void *b)
{
    return object_id_cmp(&((const struct live_fact *)a)->id, &((const struct live_fact *)b)->id);
}

struct live_fact *observe_fact(const struct run *r, const struct object_id *id)
{
    struct live_fact key = {.id = *id};
    if (!r->facts.len)
        return NULL;
    return bsearch(&key, r->facts.v, r->facts.len, sizeof(key), cmp_fact);
}

void observe_sort(struct run *r)
{
    if (r->facts.len)
        qsort(r->facts.v, r->facts.len, sizeof(*r->facts.v), cmp_fact);
}

const struct record *find_record(const struct run *r, const struct object_id *id)
{
    size_t lo = 0;
    size_t hi = r->records.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = object_id_cmp(&r->records.v[mid].id, id);
        if (c == 0)
            return &r->records.v[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void add_fact(struct run *r, const struct object_id *id, json_t *doc)
{
    struct object *o = desired_find(r->desired, id);
    const struct record *rec = find_record(r, id);
    struct live_fact *f = vec_push(&r->facts);
    f->id = object_id_dup(id);
    f->exists = true;
    f->is_terminating = json_dot(doc, "metadata.deletionTimestamp") != NULL;
    // ConfigMaps are read before the records are known: what carries our mark may be one of ours.
    bool may_be_ours = r->is_reading_records && fact_is_marked(doc);
    if (!o && !rec && !may_be_ours)
        return; // only its existence matters
    fact_read(f, doc, run_manager(r));
    const struct judging by = run_judging(r);
    fact_judge(f, &by, doc, o && o->is_hook);
    // Most of what an object weighs, and read for the last time.
    json_object_del(json_object_get(doc, "metadata"), "managedFields");
    if (!o) {
        CLEANUP(str_freep) char *key = object_key(id);
        json_object_set(r->old_docs, key, doc);
    }
}

static void note_namespace(struct run *r, const json_t *doc)
{
    struct live_namespace *n = vec_push(&r->namespaces);
    n->name = str_dup_or_null(json_dot_str(doc, "metadata.name"));
    json_t *labels = json_dot(doc, "metadata.labels");
    n->labels = labels ? json_deep_copy(labels) : json_object();
}

static bool same_config(const json_t *a, const json_t *b)
{
    return str_eq(json_dot_str(a, "kind"), json_dot_str(b, "kind")) &&
           str_eq(json_dot_str(a, "metadata.name"), json_dot_str(b, "metadata.name"));
}

// Does a configuration hold a webhook that can stop writes?
static bool has_fail_policy(const json_t *config)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(config, "webhooks"), i, w)
    {
        const char *p = json_dot_str(w, "failurePolicy");
        if (!p || !strcmp(p, "Fail"))
            return true;
    }
    return false;
}

static void note_webhook_config(struct run *r, const struct object_id *id, json_t *doc,
                                bool is_gone)
{
    for (size_t i = 0; i < r->webhook_configs.len; i++) {
        if (!same_config(r->webhook_configs.v[i], doc))
            continue;
        json_decref(r->webhook_configs.v[i]);
        if (is_gone)
            r->webhook_configs.v[i] = r->webhook_configs.v[--r->webhook_configs.len];
        else
            r->webhook_configs.v[i] = json_incref(doc);
        gates_recheck(r);
        return;
    }
    if (is_gone)
        return;
    *vec_push(&r->webhook_configs) = json_incref(doc);
    // One that no manifest announced: what it judges must be held back from now on.
    if (!r->is_listing && !desired_find(r->desired, id) && has_fail_policy(doc))
        r->has_new_webhook = true;
    gates_recheck(r);
}

static void note_slice(struct run *r, const json_t *doc, bool is_gone)
{
    const char *svc = json_label(doc, "kubernetes.io/service-name");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    if (!svc || !ns)
        return;
    bool is_ready = false;
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "endpoints"), i, e)
    {
        is_ready |= json_dot_bool(e, "conditions.ready", true);
    }
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, svc);
    // A Service with several slices: one that is ready suffices, so only readiness is remembered
    // and an empty slice does not take it back.
    if (is_ready && !is_gone)
        json_object_set_new(r->slices, key, json_true());
    gates_recheck(r);
}

// A definition that serves its kind from now on.
static void note_definition(struct run *r, const struct object_id *id, const json_t *doc)
{
    if (!desired_find(r->desired, id))
        kinds_add_crd(r->desired->kinds, doc);
    kinds_set_served(r->desired->kinds, json_dot_str(doc, "spec.group"),
                     json_dot_str(doc, "spec.names.kind"), true);
}

// The name under which the graph waits for this object: definitions go by what they define.
static char *external_name(const struct object_id *id, const json_t *doc)
{
    return strcmp(id->kind, "CustomResourceDefinition") != 0
               ? str_dup(id->name)
               : str_printf("%s/%s", json_dot_str(doc, "spec.group"),
                            json_dot_str(doc, "spec.names.kind"));
}

static bool is_waited_external(const struct run *r, unsigned node, const struct object_id *id,
                               const char *name)
{
    const struct node *x = &r->graph->nodes.v[node];
    struct object_id other = *id;
    other.name = (char *)name;
    return x->kind == NODE_EXTERNAL && !r->nodes[node].is_ready &&
           (object_id_eq(&x->ext, id) || object_id_eq(&x->ext, &other));
}

// An external thing that is waited for has appeared, and is what is waited for once it is ready.
static void note_external(struct run *r, const struct object_id *id, const json_t *doc)
{
    struct health_result h = {0};
    health_of(r->health, doc, &h);
    bool ready = health_verdict(&h, false, false) == HEALTH_DONE;
    if (ready && !strcmp(id->kind, "CustomResourceDefinition"))
        note_definition(r, id, doc);
    CLEANUP(str_freep) char *name = external_name(id, doc);
    CLEANUP(str_freep) char *why = deletion_text(doc);
    for (size_t n = r->desired->objects.len; r->graph && r->nodes && n < r->graph->nodes.len; n++) {
        if (!is_waited_external(r, (unsigned)n, id, name))
            continue;
        if (ready) {
            state_applied(r, (unsigned)n);
            state_ready(r, (unsigned)n);
        } else {
            bool goes = json_dot(doc, "metadata.deletionTimestamp") != NULL;
            state_message(r, (unsigned)n, goes && why ? why : h.message);
        }
    }
    health_result_clear(&h);
}

void observe_node(struct run *r, unsigned n, enum kube_event ev, json_t *doc)
{
    struct node_rt *x = &r->nodes[n];
    // The stream may be faster than the answer to the write it tells of, and tells it once.
    if (x->state == NODE_IN_FLIGHT && ev != KUBE_DELETED) {
        json_decref(x->early);
        x->early = json_incref(doc);
        return;
    }
    // Of the object that was deleted to make this one, or that another phase of the hook made.
    if (x->uid && !str_eq(x->uid, json_dot_str(doc, "metadata.uid")))
        return;
    if (ev == KUBE_DELETED) {
        // Somebody else deleted it while this run is on: say so; the next run puts it back.
        // A Job that is deleted as soon as it is done says so with its last state.
        if (x->is_applied && !x->is_ready)
            state_health(r, n, doc);
        if (x->is_applied && !x->is_ready)
            state_message(r, n, "deleted by somebody else");
        return;
    }
    if (!x->is_applied || x->state == NODE_FAILED)
        return;
    if (json_dot_int(doc, "metadata.generation", 0) < x->generation)
        return; // from before our write
    state_health(r, n, doc);
}

static void note_live(struct run *r, const struct object_id *id, enum kube_event ev, json_t *doc)
{
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = r->nodes ? desired_find_all(r->desired, id, all) : 0;
    for (size_t i = 0; i < n; i++)
        observe_node(r, all[i], ev, doc);
}

// A list broke off in the middle and begins anew: what it has said so far is forgotten.
static void forget_listed(struct run *r, const struct kind_watch *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->facts.len; i++) {
        struct live_fact *f = &r->facts.v[i];
        if (!strcmp(f->id.kind, w->kind) && !strcmp(f->id.group, w->group))
            live_fact_clear(f);
        else
            r->facts.v[kept++] = *f;
    }
    r->facts.len = kept;
    if (!strcmp(w->kind, "ConfigMap"))
        inventory_forget(r);
    for (size_t i = 0; !strcmp(w->kind, "Namespace") && i < r->namespaces.len; i++) {
        free(r->namespaces.v[i].name);
        json_decref(r->namespaces.v[i].labels);
    }
    if (!strcmp(w->kind, "Namespace"))
        r->namespaces.len = 0;
}

void observe_event(struct run *r, const struct object_id *id, enum kube_event ev, json_t *doc)
{
    bool is_gone = ev == KUBE_DELETED;
    if (is_webhook_config(id->kind))
        note_webhook_config(r, id, doc, is_gone);
    else if (!strcmp(id->kind, "EndpointSlice"))
        note_slice(r, doc, is_gone);
    if (!is_gone)
        note_external(r, id, doc);
    if (!r->is_listing)
        note_live(r, id, ev, doc);
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct kind_watch *w = ctx;
    struct run *r = w->run;
    if (ev == KUBE_RESTARTED) {
        if (r->is_listing)
            forget_listed(r, w);
        return;
    }
    if (ev == KUBE_SYNCED || ev == KUBE_GONE) {
        w->is_synced = true;
        w->is_gone = ev == KUBE_GONE;
        if (w->is_gone)
            w->watch = NULL;
        return;
    }
    struct err err = {0};
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (!object_id_of(doc, &id, &version, &err)) {
        err_clear(&err); // a live object without identity cannot be ours
        return;
    }
    if (r->is_listing && ev == KUBE_ITEM) {
        if (!strcmp(w->kind, "ConfigMap") && str_eq(id.namespace, run_records(r)) &&
            json_label(doc, INVENTORY_LABEL))
            inventory_note(r, doc);
        else
            add_fact(r, &id, doc);
        if (!strcmp(w->kind, "Namespace"))
            note_namespace(r, doc);
    }
    observe_event(r, &id, ev, doc);
    object_id_clear(&id);
}

static void on_failed(void *ctx, const struct kube_reply *reply)
{
    struct kind_watch *w = ctx;
    w->is_synced = true;
    w->watch = NULL;
    if (reply->cls == KUBE_NO_KIND || reply->cls == KUBE_ABSENT) {
        w->is_gone = true;
        return;
    }
    if (reply->cls == KUBE_GATE) {
        // A conversion webhook or an aggregated API that this very run may bring up.
        w->is_unknown = true;
        return;
    }
    CLEANUP(str_freep) char *what = str_printf("list %s", w->kind);
    kube_reply_err(reply, &w->problem, what);
}

// An event is about a node: none is taken from the stream before there are nodes, and then all that
// came since the list. What is watched before the plan stands would lose what happens meanwhile.
static void follow(struct kind_watch *w)
{
    if (w->watch && w->run->nodes)
        kube_watch_follow(w->watch);
}

void observe_follow(struct run *r)
{
    for (size_t i = 0; i < r->watches.len; i++)
        if (r->watches.v[i]->is_watching)
            follow(r->watches.v[i]);
}

struct kind_watch *observe_kind(struct run *r, const char *group, const char *version,
                                const char *kind, bool watch)
{
    struct kind_watch *w = observe_find(r, group, kind);
    watch = watch && !r->opts.read_only;
    // One that could not be read is tried once more, now that somebody has got through to it.
    bool is_unknown = w && (w->source ? w->source->is_unknown : w->is_unknown);
    if (w && !(is_unknown && watch && !r->is_listing)) {
        bool begins = watch && !w->is_watching;
        w->is_watching |= watch;
        if (begins)
            follow(w);
        return w;
    }
    const struct kind_info *k = kinds_find(r->desired->kinds, group, version, kind);
    if (!k || !k->can_list)
        return NULL;
    if (!w) {
        w = mem_alloc(sizeof(*w));
        w->run = r;
        w->group = str_dup(group);
        w->version = str_dup(k->version);
        w->kind = str_dup(kind);
        *vec_push(&r->watches) = w;
    }
    w->is_unknown = w->is_synced = false;
    w->is_watching = watch;
    if (r->opts.informers) {
        w->source = informers_want(r->opts.informers, k, r->nodes != NULL);
        return w;
    }
    struct kube_watch_opts o = {
        .kind = k,
        .with_managed_fields = true,
        .light_changes = true,
        .list_only = !watch || !r->nodes,
        .is_expected = r->nodes != NULL,
        .event = on_event,
        .failed = on_failed,
        .ctx = w,
    };
    w->watch = kube_watch(r->kube, &o);
    return w;
}

static bool is_synced(const struct kind_watch *w)
{
    return w->source ? w->source->is_read : w->is_synced;
}

const struct err *observe_problem(const struct kind_watch *w)
{
    return w->source ? &w->source->problem : &w->problem;
}

bool observe_is_unknown(const struct kind_watch *w)
{
    return err_is_set(observe_problem(w)) || (w->source ? w->source->is_unknown : w->is_unknown);
}

const json_t *observe_labels(struct run *r, const char *ns)
{
    for (size_t i = 0; i < r->namespaces.len; i++)
        if (str_eq(r->namespaces.v[i].name, ns))
            return r->namespaces.v[i].labels;
    json_t *labels =
        r->opts.informers && ns ? informers_namespace_labels(r->opts.informers, ns) : NULL;
    if (!labels)
        return NULL;
    *vec_push(&r->namespaces) = (struct live_namespace){str_dup(ns), labels};
    return labels;
}

bool observe_wait(struct run *r, struct err *err)
{
    for (;;) {
        bool all = true;
        for (size_t i = 0; i < r->watches.len; i++)
            all &= is_synced(r->watches.v[i]);
        if (all)
            return true;
        // At the deadline a server that is silent is the reason.
        bool is_lost = (!loop_stopping(r->loop) || loop_is_late(r->loop)) && run_is_lost(r, err);
        if (is_lost)
            return false;
        if (loop_stopping(r->loop))
            return loop_stopped(r->loop, err, "reading the cluster");
        loop_run_once(r->loop, 200);
    }
}

// Is the health of this kind, or its coming and going, something a run waits for?
static bool is_waited_for(const struct run *r, const char *group, const char *kind)
{
    return health_has_check(r->health, group, kind) || is_webhook_config(kind) ||
           !strcmp(kind, "CustomResourceDefinition") || !strcmp(kind, "Namespace");
}

static void observe_id(struct run *r, const struct object_id *id, const char *version)
{
    const struct kind_info *k = kinds_find(r->desired->kinds, id->group, version, id->kind);
    if (!k)
        k = kinds_find(r->desired->kinds, id->group, NULL, id->kind);
    if (k && k->is_served)
        observe_kind(r, id->group, k->version, id->kind, is_waited_for(r, id->group, id->kind));
}

bool observe_desired_kinds(struct run *r, struct err *err)
{
    for (size_t i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        if (!o->is_virtual)
            observe_id(r, &o->id, o->version);
    }
    for (size_t i = 0; i < r->records.len; i++)
        observe_id(r, &r->records.v[i].id, r->records.v[i].version);
    for (size_t i = 0; i < ARRAY_LEN(referenced_kinds); i++) {
        struct object_id id = {(char *)referenced_kinds[i].group, (char *)referenced_kinds[i].kind,
                               NULL, NULL};
        observe_id(r, &id, NULL);
    }
    return observe_wait(r, err);
}

void observe_slices(struct run *r)
{
    if (r->is_watching_slices)
        return;
    r->is_watching_slices = true;
    observe_kind(r, "discovery.k8s.io", "v1", "EndpointSlice", true);
    if (r->opts.informers)
        lent_slices(r);
}

static void on_external(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (reply->cls == KUBE_OK && canon_read(reply->body, reply->body_len, &doc, &err) &&
        object_id_of(doc, &id, &version, &err))
        note_external(r, &id, doc);
    object_id_clear(&id);
    err_clear(&err);
    call_end(c);
}

void observe_externals(struct run *r)
{
    for (size_t n = r->desired->objects.len; n < r->graph->nodes.len; n++) {
        const struct object_id *id = &r->graph->nodes.v[n].ext;
        if (r->graph->nodes.v[n].kind != NODE_EXTERNAL || r->nodes[n].is_ready)
            continue;
        const struct kind_info *k = kinds_find(r->desired->kinds, id->group, NULL, id->kind);
        if (!k || !k->is_served)
            continue;
        observe_kind(r, id->group, k->version, id->kind, true);
        if (strchr(id->name, '/'))
            continue; // a definition by its kind: it is not there, or it would be served
        // It may have been there when its kind was listed; nobody looked at it then.
        CLEANUP(str_freep) char *path = kind_path(k, id->namespace, id->name);
        struct kube_call call = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
        run_owns(r, kube_send(r->kube, &call, on_external, call_new(r, 0)));
    }
}

void observe_free(struct run *r)
{
    for (size_t i = 0; i < r->watches.len; i++) {
        struct kind_watch *w = r->watches.v[i];
        if (w->watch)
            kube_watch_stop(w->watch);
        free(w->group);
        free(w->version);
        free(w->kind);
        err_clear(&w->problem);
        free(w);
    }
    vec_clear(&r->watches);
}
