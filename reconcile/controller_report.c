// SPDX-License-Identifier: Apache-2.0
//
// What the controller knows of its applications, told where people look: the `.status` of
// Application objects, where the cluster serves them, and documents for whoever asks.
#include <stdlib.h>
#include <string.h>

#include "reconcile/app_status.h"
#include "reconcile/app_write.h"
#include "reconcile/controller_int.h"
#include "reconcile/fleet_int.h"

#define WRITE_LATER_MS 200 // what changes together is written once

// ---- how an application is ----

struct look {
    struct controller *c;
    unsigned app;
    VEC(struct report_resource) resources;
    struct strv images;
    enum health health;
    const char *message;
    size_t differing, missing, ready;
};

static void add_images(struct look *l, const struct object *o)
{
    const char *at = object_pod_spec(&o->id);
    CLEANUP(json_freep) json_t *doc = at ? object_doc(o) : NULL;
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t k = 0; doc && k < ARRAY_LEN(lists); k++) {
        size_t i;
        json_t *x;
        json_array_foreach(json_object_get(json_dot(doc, at), lists[k]), i, x)
        {
            if (json_dot_str(x, "image"))
                strv_push(&l->images, json_dot_str(x, "image"));
        }
    }
}

// By what was sent last, and what is there now. Where some fields are left to others, what was
// found out when they changed tells.
static bool is_as_recorded(const struct controller *c, const struct object *o)
{
    const struct record *r = informers_record(c->informers, &o->id);
    const struct live_fact *f = informers_fact(c->informers, &o->id);
    if (o->is_bare)
        return informers_exists(c->informers, &o->id);
    struct sha256 left = plan_left_hash(&o->hash);
    bool is_sent = r && (sha256_eq(&r->sent, &o->hash) || sha256_eq(&r->sent, &left));
    if (!is_sent || !f || !f->exists || drift_is_open(c, &o->id))
        return false;
    return (o->options & SYNC_REPLACE) || ignored_any(c->desired->apps.v[o->app], &o->id) ||
           (f->has_projection && sha256_eq(&r->projection, &f->projection));
}

static void look_at(struct look *l, const struct object *o, bool is_synced)
{
    const struct live_fact *f = informers_fact(l->c->informers, &o->id);
    bool is_there = f && f->exists;
    // As a whole it came true with its last turn; otherwise each has to be looked at.
    bool is_same = is_synced ? is_there && !drift_is_open(l->c, &o->id) : is_as_recorded(l->c, o);
    struct report_resource *r = vec_push(&l->resources);
    *r = (struct report_resource){.id = &o->id,
                                  .version = o->version,
                                  .sync = is_same ? SYNC_SYNCED : SYNC_OUT_OF_SYNC,
                                  .health = is_there ? f->health.status : HEALTH_MISSING,
                                  .wave = o->wave,
                                  .is_hook = o->is_hook};
    if (is_there)
        r->health_message = f->health.message;
    l->differing += !is_same && !o->is_hook;
    l->missing += !is_there && !o->is_hook;
    l->ready += o->is_hook || r->health <= HEALTH_SUSPENDED; // a hook has had its time
    add_images(l, o);
    if (o->is_hook || r->health <= l->health)
        return;
    l->health = r->health;
    l->message = r->health_message;
}

static void look_all(struct look *l)
{
    const struct desired *d = l->c->desired;
    const struct tracked *t = tracked_find(l->c, d->apps.v[l->app]->tracking_name);
    bool is_synced = t->is_synced && !t->pins.len;
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, l->app, &of);
    for (size_t i = 0; i < n; i++)
        if (!d->objects.v[of[i]].is_virtual)
            look_at(l, &d->objects.v[of[i]], is_synced);
}

static void look_clear(struct look *l)
{
    vec_clear(&l->resources);
    strv_clear(&l->images);
}

// ---- the report ----

// Of one that no turn has been about: what was sent last is what Git says, and nobody changed it.
bool report_is_as_recorded(const struct controller *c, unsigned app)
{
    const struct desired *d = c->desired;
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, app, &of);
    for (size_t i = 0; i < n; i++) {
        const struct object *o = &d->objects.v[of[i]];
        if (!o->is_virtual && !o->is_hook && !is_as_recorded(c, o))
            return false;
    }
    return true;
}

static enum sync_code sync_of(const struct controller *c, unsigned app, const struct tracked *t)
{
    if (c->desired->apps.v[app]->state != APP_KNOWN)
        return SYNC_UNKNOWN;
    if (t->pins.len)
        return SYNC_OUT_OF_SYNC; // it is held at another revision than it names
    bool is_same =
        t->is_synced || (!t->is_automated && !t->problem && report_is_as_recorded(c, app));
    return is_same ? SYNC_SYNCED : SYNC_OUT_OF_SYNC;
}

bool report_is_synced(const struct controller *c, unsigned app)
{
    const struct tracked *t = tracked_of(c, app);
    return t && sync_of(c, app, t) == SYNC_SYNCED;
}

static void source_types(const struct application *a, struct strv *out)
{
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *s = &a->sources.v[i];
        strv_push(out, s->helm || s->chart ? "Helm" : s->kustomize ? "Kustomize" : "Directory");
    }
}

static void phase_of(const struct tracked *t, struct report_operation *o)
{
    const struct {
        bool is;
        enum operation_phase phase;
        const char *message;
    } rows[] = {
        {t->refusal, OPERATION_ERROR, t->refusal},
        {t->outcome == OPERATION_FAILED, OPERATION_FAILED, t->said},
        {t->is_ending, OPERATION_TERMINATING, "operation is terminating"},
        {!t->ended_unix_s, OPERATION_RUNNING,
         t->waits        ? t->waits
         : t->said       ? t->said
         : t->is_pending ? "waiting until it is taken out of its Application"
                         : "one or more tasks are running"},
        {t->problem && t->outcome == OPERATION_NONE, OPERATION_FAILED, t->problem},
        {true, OPERATION_SUCCEEDED, t->said},
    };
    size_t i = 0;
    while (!rows[i].is)
        i++;
    o->phase = rows[i].phase;
    o->message = rows[i].message;
    if (o->phase == OPERATION_SUCCEEDED && !o->message)
        o->message = o->n_results ? "successfully synced (all tasks run)"
                                  : "successfully synced (no more tasks)";
}

static struct report_operation standing_of(const struct tracked *t)
{
    struct report_operation o = {.phase = OPERATION_NONE, .n_results = t->results.len};
    if (!t->began_unix_s)
        return o;
    phase_of(t, &o);
    if (t->next) { // what is told from now on is about that one
        o.phase = OPERATION_RUNNING;
        o.message = "waiting for what is under way";
        o.n_results = 0;
    }
    return o;
}

static struct report_operation operation_of(const struct tracked *t, const struct application *a,
                                            struct report_result *results)
{
    struct report_operation o = standing_of(t);
    o.prune = a->prune;
    if (o.phase == OPERATION_NONE)
        return o;
    for (size_t i = 0; i < t->results.len; i++) {
        const struct operation_result *x = &t->results.v[i];
        results[i] = (struct report_result){.id = &x->id,
                                            .version = x->version,
                                            .status = x->status,
                                            .message = x->message,
                                            .sync_phase = x->phase,
                                            .hook_phase = x->hook_phase,
                                            .hook_type = x->hook_type};
    }
    o.results = results;
    o.asked = t->next ? t->next : t->asked;
    o.started_unix_s = t->began_unix_s;
    o.finished_unix_s = t->next ? 0 : t->ended_unix_s;
    o.revisions = &a->revisions;
    o.retry_count = t->tries;
    return o;
}

// Told of by a controller that is gone. What is synced of our own accord has an operation of ours
// soon.
static bool is_abandoned(const struct controller *c, const struct tracked *t)
{
    bool begins = t->is_automated && !t->is_suspended && t->is_known && !t->held && t->triggers &&
                  !order_problem(c, t->name);
    return !t->began_unix_s && !begins;
}

// A restart of the controller, or a drift, is no deployment.
static bool is_last_deployed(const json_t *before, const struct strv *revisions)
{
    const json_t *history = json_object_get(before, "history");
    const json_t *last = json_array_get(history, json_array_size(history) - 1);
    const char *was = json_dot_str(last, "revision");
    if (!was)
        was = json_string_value(json_array_get(json_object_get(last, "revisions"), 0));
    return revisions->len && str_eq(was, revisions->v[0]);
}

static json_t *status_of(struct controller *c, unsigned app, const json_t *before)
{
    const struct application *a = c->desired->apps.v[app];
    struct tracked *t = tracked_of(c, app);
    struct look l = {.c = c, .app = app, .health = HEALTH_HEALTHY};
    struct strv types = {0};
    struct report_condition conditions[6];
    struct report_result *results = mem_realloc(NULL, t->results.len + 1, sizeof(*results));
    size_t n = 0;
    look_all(&l);
    source_types(a, &types);
    if (a->state == APP_UNKNOWN)
        conditions[n++] = (struct report_condition){CONDITION_COMPARISON_ERROR, a->problem.msg};
    if (t->problem)
        conditions[n++] = (struct report_condition){CONDITION_SYNC_ERROR, t->problem};
    if (t->held)
        conditions[n++] = (struct report_condition){CONDITION_SYNC_ERROR, t->held};
    if (order_problem(c, t->name))
        conditions[n++] =
            (struct report_condition){CONDITION_SYNC_ERROR, order_problem(c, t->name)};
    if (t->zone_warning)
        conditions[n++] = (struct report_condition){CONDITION_WINDOW, t->zone_warning};
    if (t->prune_is_held && c->breaker)
        conditions[n++] = (struct report_condition){CONDITION_SYNC_ERROR, c->breaker};
    CLEANUP(json_freep) json_t *drift = drift_doc(c, a->tracking_name);
    struct app_report r = {.app = a,
                           .now_unix_s = clock_unix_ms() / 1000,
                           .sync = sync_of(c, app, t),
                           .revisions = &a->revisions,
                           .health = a->state == APP_UNKNOWN ? HEALTH_UNKNOWN : l.health,
                           .health_message = l.message,
                           .resources = l.resources.v,
                           .n_resources = l.resources.len,
                           .operation = operation_of(t, a, results),
                           .is_abandoned = is_abandoned(c, t),
                           .is_deployed = t->is_deployed,
                           .deployed_by = t->asked && *t->op.username ? t->op.username : NULL,
                           .conditions = conditions,
                           .n_conditions = n,
                           .source_types = &types,
                           .images = &l.images,
                           .controller_namespace = REGROW_NAMESPACE,
                           .is_suspended = t->is_suspended,
                           .awaits = json_object_get(c->awaited, t->name),
                           .drift = json_array_size(drift) ? drift : NULL};
    r.is_deployed &= !is_last_deployed(before, &a->revisions);
    json_t *status = app_status_json(&r, before);
    t->is_deployed = false;
    t->is_healthy = r.health <= HEALTH_SUSPENDED;
    strv_clear(&types);
    look_clear(&l);
    free(results);
    return status;
}

json_t *report_status(struct controller *c, const char *app, const json_t *before)
{
    int at = c->desired ? desired_tracked_app(c->desired, app) : -1;
    return at < 0 || !tracked_find(c, app) ? NULL : status_of(c, (unsigned)at, before);
}

// ---- Application objects ----

// Of the Application of that name; NULL: Git knows none. Borrowed.
static const char *tracked_name(const struct controller *c, const char *ns, const char *name)
{
    for (size_t i = 0; c->desired && i < c->desired->apps.len; i++) {
        const struct application *a = c->desired->apps.v[i];
        if (a->doc && !strcmp(a->name, name) && str_eq(a->namespace ? a->namespace : "argocd", ns))
            return a->tracking_name;
    }
    return NULL;
}

// As text, without who has which field: a tree takes ten times as much.
static void keep_app(struct controller *c, const char *key, const json_t *doc)
{
    CLEANUP(json_freep) json_t *part = json_copy((json_t *)doc);
    CLEANUP(json_freep) json_t *meta = json_copy(json_object_get(doc, "metadata"));
    json_object_del(meta, "managedFields");
    json_object_set(part, "metadata", meta);
    struct buf text CLEANUP(buf_clear) = {0};
    canon_write(part, &text);
    json_object_set_new(c->app_docs, key, json_stringn(text.p, text.len));
}

char *report_key(const struct application *a)
{
    return str_printf("%s/%s", a->namespace ? a->namespace : "argocd", a->name);
}

json_t *report_kept(const struct controller *c, const char *key)
{
    const json_t *text = json_object_get(c->app_docs, key);
    struct err err = {0};
    json_t *doc = NULL;
    if (text && !canon_read(json_string_value(text), json_string_length(text), &doc, &err))
        err_clear(&err); // what was written here can be read
    return doc;
}

static json_t *app_doc(struct controller *c, unsigned app);

// Where people look: its Application object, or whoever feeds this controller. `live` NULL: it has
// none.
static void publish(struct controller *c, unsigned app, const json_t *live, json_t *status,
                    json_t *taken)
{
    const struct controller_feed *f = c->o.feed;
    const struct application *a = c->desired->apps.v[app];
    if (!f) {
        app_writer_set(c->writer, live, status, taken);
        return;
    }
    json_t *doc = app_doc(c, app);
    json_object_set_new(doc, "drift", drift_items(c, a->tracking_name));
    f->report(f->ctx, a, live ? json_incref(status) : NULL, taken ? json_incref(taken) : NULL, doc);
}

static void hear(struct controller *c, const char *app, const json_t *doc)
{
    struct tracked *t = app ? tracked_find(c, app) : NULL;
    const json_t *operation = json_object_get(doc, "operation");
    if (t)
        t->is_pending = operation && !json_is_null(operation);
    CLEANUP(json_freep) json_t *taken = app ? control_take(c, app, doc) : NULL;
    CLEANUP(json_freep)
    json_t *status = taken ? report_status(c, app, json_object_get(doc, "status")) : NULL;
    if (status) // with what is taken out goes the status that answers it
        publish(c, (unsigned)desired_tracked_app(c->desired, app), doc, status, taken);
    if (t)
        t->is_heard = true;
}

void report_hear(struct controller *c)
{
    if (!c->desired || !controller_leads(c) || !c->app_is_read || !(c->o.feed || c->app_watch))
        return; // what is kept may be long out of date
    for (size_t i = 0; i < c->desired->apps.len; i++) {
        const struct application *a = c->desired->apps.v[i];
        struct tracked *t = a->doc ? tracked_of(c, i) : NULL;
        if (!t || t->is_heard)
            continue;
        CLEANUP(str_freep) char *key = report_key(a);
        CLEANUP(json_freep) json_t *doc = report_kept(c, key);
        if (doc)
            hear(c, a->tracking_name, doc);
    }
}

// Somebody deletes one that Git wants. Its finalizer holds it until the application that makes it
// has its turn.
static void note_deletion(struct controller *c, const char *app)
{
    int at = desired_tracked_app(c->desired, app);
    int parent = at < 0 ? -1 : c->desired->apps.v[at]->parent;
    struct tracked *t = parent < 0 ? NULL : tracked_of(c, (size_t)parent);
    if (t)
        tracked_trigger(t, TRIGGER_DRIFT, clock_mono_ms());
}

static void note_application(struct controller *c, const char *ns, const char *name, json_t *doc)
{
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    const char *app = controller_leads(c) ? tracked_name(c, ns, name) : NULL;
    if (!doc) {
        struct tracked *t = tracked_find(c, app);
        if (t)
            t->is_pending = t->is_taking = false; // with it went what was asked for in it
        json_object_del(c->app_docs, key);
        return;
    }
    bool is_new = !json_object_get(c->app_docs, key);
    keep_app(c, key, doc);
    hear(c, app, doc);
    if (app && json_dot(doc, "metadata.deletionTimestamp"))
        note_deletion(c, app);
    if (!app && controller_leads(c)) { // one that is going may wait for an approval
        CLEANUP(str_freep) char *gone = application_tracking_name(ns, name);
        approval_take(c, gone, doc);
    }
    if (is_new && app) {
        c->has_stray_news = true;
        report_news(c, app);
    }
}

void controller_asked(struct controller *c, const char *ns, const char *name, json_t *doc)
{
    note_application(c, ns, name, doc);
}

static void forget_application(struct controller *c, const char *ns, const char *name)
{
    if (c->writer)
        app_writer_forget(c->writer, ns, name);
    note_application(c, ns, name, NULL);
    fleet_application(c->fleet, ns, name, NULL);
}

// What a list did not name was deleted while nobody was told.
static void sweep_applications(struct controller *c)
{
    const char *key;
    json_t *doc;
    void *next;
    json_object_foreach_safe(c->app_docs, next, key, doc)
    {
        CLEANUP(str_freep) char *ns = str_ndup(key, strcspn(key, "/"));
        CLEANUP(str_freep) char *name = str_dup(key + strlen(ns) + 1);
        if (!json_object_get(c->app_listed, key))
            forget_application(c, ns, name);
    }
    json_object_clear(c->app_listed);
}

void report_application(void *ctx, enum kube_event ev, json_t *doc)
{
    struct controller *c = ctx;
    const char *name = doc ? json_dot_str(doc, "metadata.name") : NULL;
    const char *ns = doc ? json_dot_str(doc, "metadata.namespace") : NULL;
    if (ev == KUBE_GONE)
        c->app_watch = NULL;
    if (ev == KUBE_RESTARTED || ev == KUBE_GONE)
        json_object_clear(c->app_listed);
    if (ev == KUBE_SYNCED || ev == KUBE_GONE)
        sweep_applications(c);
    c->app_is_read |= ev == KUBE_SYNCED || ev == KUBE_GONE;
    if (!name || !ns)
        return;
    if (ev == KUBE_DELETED) {
        forget_application(c, ns, name);
        return;
    }
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    if (ev == KUBE_ITEM)
        json_object_set_new(c->app_listed, key, json_true());
    note_application(c, ns, name, doc);
    fleet_application(c->fleet, ns, name, doc);
}

static void on_unwatched(void *ctx, const struct kube_reply *reply)
{
    struct controller *c = ctx;
    json_object_clear(c->app_listed);
    c->app_watch = NULL; // it is begun again with the next report
    c->app_is_read |= !kube_may_answer_later(reply->cls);
}

static bool has_no_right(const struct kube_reply *r)
{
    return r->cls == KUBE_UNAUTHORIZED ||
           (r->cls == KUBE_DENIED && strstr(r->message, " cannot patch resource"));
}

// Told once: of one whose status is not taken, and of all where we may not write them.
static void tell_refusal(struct controller *c, const struct app_refusal *r)
{
    bool is_denied = has_no_right(r->reply);
    unsigned long at = app_writer_stats(c->writer).writes + 1;
    if (!r->is_news || (is_denied && !r->taken && c->denied_at == at))
        return;
    c->denied_at = is_denied ? at : c->denied_at;
    CLEANUP(str_freep)
    char *text = str_printf(
        "%s Application %s/%s is refused: %s. %s",
        r->taken ? "what is asked for in" : "the status of", r->ns, r->name, r->reply->message,
        is_denied ? "Give this account the right to patch applications.argoproj.io and "
                    "applications/status: until then nobody sees there how they are"
                  : "Whatever refuses it (the definition applications.argoproj.io, a "
                    "policy, a webhook) must take a status of Argo CD's shape");
    event_emit(c->o.events, "run.warning", "{s:s}", "message", text);
}

static void on_refused(void *ctx, const struct app_refusal *r)
{
    struct controller *c = ctx;
    struct tracked *t = tracked_find(c, tracked_name(c, r->ns, r->name));
    tell_refusal(c, r);
    if (t && t->is_pending && json_object_get(r->taken, "operation"))
        operation_untaken(c, t, r->reply->message);
}

// They may come to be served at any time, by what is applied.
static void watch_applications(struct controller *c)
{
    const struct kind_info *k = kinds_find(c->desired->kinds, "argoproj.io", NULL, "Application");
    c->app_is_read |= !k || !k->is_served;
    if (c->app_watch || !k || !k->is_served)
        return;
    struct app_writer_opts w = {
        .kind = k, .manager = "regrow-status", .refused = on_refused, .ctx = c};
    if (!c->writer)
        c->writer = app_writer_new(c->loop, c->kube, &w);
    struct kube_watch_opts o = {.kind = k,
                                .event = report_application,
                                .failed = on_unwatched,
                                .ctx = c,
                                .is_expected = true};
    c->app_watch = kube_watch(c->kube, &o);
}

static void report_app(struct controller *c, unsigned app)
{
    const struct application *a = c->desired->apps.v[app];
    CLEANUP(str_freep) char *key = report_key(a);
    CLEANUP(json_freep) json_t *live = a->doc ? report_kept(c, key) : NULL;
    if (!live && !c->o.feed && !json_object_get(c->answering, a->tracking_name))
        return;
    CLEANUP(json_freep) json_t *told = live ? NULL : control_before(c, a->tracking_name);
    const json_t *left = json_object_get(c->left_answers, a->tracking_name);
    const json_t *before = live ? json_object_get(live, "status") : left ? left : told;
    CLEANUP(json_freep) json_t *status = status_of(c, app, before);
    json_object_del(c->left_answers, a->tracking_name);
    if (live || c->o.feed)
        publish(c, app, live, status, NULL);
    else
        control_tell(c, a->tracking_name, status);
}

// Those of which there is something to tell, each in its turn, so many at most.
static void report_some(struct controller *c, size_t most)
{
    size_t n = c->desired->apps.len;
    for (size_t k = 0; k < n; k++) {
        unsigned i = (unsigned)((c->next_report + k) % n);
        struct tracked *t = tracked_of(c, i);
        if (!t || !t->is_news)
            continue;
        if (!most--) {
            c->next_report = i;
            report_later(c);
            return;
        }
        report_app(c, i);
        healthy_note_app(c, i);
        t->is_news = false;
    }
}

// What goes to a cluster that nobody registers any more is told by no session: as Argo CD does, its
// own Application says so.
static void report_stray(struct controller *c, const struct application *a)
{
    CLEANUP(str_freep) char *key = report_key(a);
    CLEANUP(json_freep) json_t *live = report_kept(c, key);
    struct strv types = {0};
    struct strv none = {0};
    if (!live)
        return;
    CLEANUP(str_freep)
    char *text = str_printf("no cluster is registered as %s: what it has there is left as it is",
                            a->dest_name ? a->dest_name : a->dest_server);
    const struct report_condition wrong = {CONDITION_INVALID_SPEC, text};
    source_types(a, &types);
    struct app_report r = {.app = a,
                           .now_unix_s = clock_unix_ms() / 1000,
                           .sync = SYNC_UNKNOWN,
                           .revisions = &a->revisions,
                           .health = HEALTH_UNKNOWN,
                           .conditions = &wrong,
                           .n_conditions = 1,
                           .source_types = &types,
                           .images = &none,
                           .controller_namespace = REGROW_NAMESPACE};
    app_writer_set(c->writer, live, app_status_json(&r, json_object_get(live, "status")), NULL);
    strv_clear(&types);
}

static void report_strays(struct controller *c)
{
    if (!c->has_stray_news || !c->writer || !c->fleet)
        return;
    c->has_stray_news = false;
    for (size_t i = 0; i < c->desired->apps.len; i++) {
        const struct application *a = c->desired->apps.v[i];
        if (a->state == APP_OTHER_CLUSTER && a->doc && !fleet_registers(c->fleet, a))
            report_stray(c, a);
    }
}

static void report_all(struct controller *c, bool is_last)
{
    if (!c->desired || !controller_leads(c))
        return;
    if (!c->o.feed)
        report_watch(c);
    // With thousands of applications at once the statuses that wait would be most of the memory.
    bool is_bounded = c->writer && !is_last && !c->o.feed;
    report_some(c, is_bounded ? app_writer_room(c->writer) : SIZE_MAX);
    report_strays(c);
    healthy_later(c);
}

static void on_report(void *ctx)
{
    report_all(ctx, false);
}

void report_later(struct controller *c)
{
    if (c->is_ending)
        return;
    if (!c->report)
        c->report = loop_timer_new(c->loop, on_report, c);
    if (!loop_timer_is_set(c->report))
        loop_timer_set(c->report, WRITE_LATER_MS);
}

void report_news(struct controller *c, const char *app)
{
    struct tracked *t = tracked_find(c, app);
    if (!t)
        return;
    t->is_news = true;
    report_later(c);
}

void report_watch(struct controller *c)
{
    control_watch(c);
    watch_applications(c);
}

void report_unwatch(struct controller *c)
{
    control_unwatch(c);
    if (c->app_watch)
        kube_watch_stop(c->app_watch);
    c->app_watch = NULL;
    json_object_clear(c->app_listed);
    // Of a session the hub tells what people ask for: nothing is watched for it.
    c->app_is_read = c->map_is_read = c->o.feed != NULL;
}

// What came last is written before it ends, unless it has been told to hurry.
void report_end(struct controller *c)
{
    if (!loop_stopping(c->loop))
        report_all(c, true);
    c->is_ending = true;
    report_unwatch(c);
    loop_timer_free(c->report);
    c->report = NULL;
    if (c->writer && !loop_stopping(c->loop))
        app_writer_drain(c->writer, 5000);
    app_writer_free(c->writer);
    c->writer = NULL;
}

// ---- for whoever asks ----

static json_t *app_doc(struct controller *c, unsigned app)
{
    const struct application *a = c->desired->apps.v[app];
    struct tracked *t = tracked_of(c, app);
    struct look l = {.c = c, .app = app, .health = HEALTH_HEALTHY};
    look_all(&l);
    enum sync_code sync = sync_of(c, app, t);
    bool known = a->state == APP_KNOWN;
    json_t *doc = json_pack(
        "{s:s, s:s*, s:s*, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:s*, s:b}", "name", a->name,
        "namespace", a->namespace, "project", a->project, "health",
        known ? health_name(l.health) : "Unknown", "sync", sync_code_name(sync), "good",
        sync == SYNC_SYNCED && l.health <= HEALTH_SUSPENDED, "objects", (int)l.resources.len,
        "ready", (int)l.ready, "missing", (int)l.missing, "differing", (int)l.differing, "revision",
        a->revision_text, "suspended", (int)t->is_suspended);
    const char *unordered = order_problem(c, t->name);
    const char *problem = !known       ? a->problem.msg
                          : unordered  ? unordered
                          : t->problem ? t->problem
                                       : t->held;
    if (problem)
        json_object_set_new(doc, "problem", json_string(problem));
    if (t->waits)
        json_object_set_new(doc, "waitsFor", json_string(t->waits));
    struct report_operation o = standing_of(t);
    if (o.phase != OPERATION_NONE)
        json_object_set_new(
            doc, "operation",
            json_pack("{s:s, s:s*}", "phase", operation_phase_name(o.phase), "message", o.message));
    look_clear(&l);
    return doc;
}

json_t *controller_applications(struct controller *c)
{
    if (!c->desired || (!c->is_leading && !fleet_is_on(c->fleet)))
        return NULL;
    json_t *list = json_array();
    for (unsigned i = 0; c->is_leading && i < c->desired->apps.len; i++)
        if (tracked_of(c, i))
            json_array_append_new(list, app_doc(c, i));
    fleet_applications(c->fleet, list);
    return json_pack("{s:o}", "applications", list);
}

json_t *controller_application(struct controller *c, const char *name)
{
    int at = c->desired && c->is_leading ? desired_find_app(c->desired, name) : -1;
    if (at < 0 || !tracked_of(c, at))
        return fleet_app(c->fleet, name);
    json_t *doc = app_doc(c, (unsigned)at);
    json_object_set_new(doc, "drift", drift_items(c, c->desired->apps.v[at]->tracking_name));
    return doc;
}
