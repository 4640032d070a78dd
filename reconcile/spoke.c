// SPDX-License-Identifier: Apache-2.0
#include "reconcile/spoke.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/controller.h"

#define STACK_BYTES ((size_t)2 << 20) // address space; what is not touched costs nothing
#define CONNECT_MS 15000
#define AGAIN_MS 2000 // after the first failure; then twice as long, up to
#define AGAIN_MAX_MS 120000
#define COUNTS_MS 5000
#define HUB_MAP "hub"  // the ConfigMap that says from which root a hub keeps it
#define MAX_NOTES 5000 // an owner that reads no more gets no more events

struct given_app {
    char *ns, *name;
    json_t *doc;
};

struct spoke {
    // Of the thread alone, after it was started:
    struct spoke_opts o;
    char *name, *secret, *records, *holder, *server, *hub_uid;
    const char *root, *old_root; // the hub's own, lent
    struct loop *loop;
    struct loop_timer *timer;
    struct kube *kube;
    struct kinds *kinds;
    struct controller *controller;
    struct controller_feed feed;
    struct event_sink events;
    json_t *apps; // Application objects, "namespace/name" -> document
    struct controller_counts told;
    char *version;
    // Shared:
    pthread_t thread;
    volatile sig_atomic_t stop;
    int wake_fd;
    pthread_mutex_t lock; // over all that follows
    struct desired *state;
    struct err problem;
    unsigned pins;
    VEC(struct given_app) given;
    VEC(struct spoke_note) notes;
    unsigned long lost_notes;
};

void spoke_note_clear(struct spoke_note *n)
{
    json_decref(n->doc);
    kinds_free(n->kinds);
    *n = (struct spoke_note){0};
}

static void ring(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));
    (void)n; // it only refuses when it is full, and then it is readable
}

// ---- what it says ----

// The document is taken, and must be nobody else's.
static void say(struct spoke *s, enum spoke_note_kind kind, json_t *doc, struct kinds *kinds,
                unsigned number)
{
    struct spoke_note n = {kind, doc, kinds, number};
    pthread_mutex_lock(&s->lock);
    bool is_lost = kind == SPOKE_EVENT && s->notes.len >= MAX_NOTES;
    s->lost_notes += is_lost;
    if (!is_lost)
        *vec_push(&s->notes) = n;
    pthread_mutex_unlock(&s->lock);
    if (is_lost)
        spoke_note_clear(&n);
    ring(s->o.out_fd);
}

static void say_state(struct spoke *s, const char *state, const char *message)
{
    json_t *doc =
        json_pack("{s:s, s:s*, s:s*, s:s*}", "state", state, "message", message, "version",
                  s->version, "uid", s->kube && s->version ? kube_cluster_uid(s->kube) : NULL);
    say(s, SPOKE_STATE, doc, NULL, 0);
}

// What it has come to stands in events that are told anyway.
static void on_event(void *ctx, const json_t *event)
{
    struct spoke *s = ctx;
    static const struct {
        const char *type, *state;
    } states[] = {{"kube.down", "unreachable"},
                  {"kube.up", "ok"},
                  {"lease.waiting", "standby"},
                  {"lease.acquired", "ok"}};
    const char *type = json_dot_text(event, "type");
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (!strcmp(type, states[i].type))
            say_state(s, states[i].state, json_dot_str(event, "message"));
    json_t *copy = json_deep_copy(event);
    json_object_set_new(copy, "cluster", json_string(s->name));
    say(s, SPOKE_EVENT, copy, NULL, 0);
}

static void say_counts(struct spoke *s)
{
    struct controller_counts n;
    struct kube_stats k = kube_stats(s->kube);
    controller_counts(s->controller, &n);
    json_t *doc = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I}",
                            "applications", (json_int_t)n.apps, "synced", (json_int_t)n.synced,
                            "healthy", (json_int_t)n.healthy, "writes", (json_int_t)k.writes,
                            "requests", (json_int_t)k.requests, "rejected", (json_int_t)k.rejected,
                            "drifts", (json_int_t)n.drifts, "heals", (json_int_t)n.heals, "pruned",
                            (json_int_t)n.pruned, "queue", (json_int_t)n.queue, "leading",
                            n.is_leading, "failedSyncs", (json_int_t)n.failed_syncs);
    const json_t *wrong = controller_left_wrong(s->controller);
    if (wrong)
        json_object_set_new(doc, "leftWrong", json_deep_copy(wrong));
    say(s, SPOKE_STATE, doc, NULL, 0);
}

static void on_timer(void *ctx)
{
    struct spoke *s = ctx;
    if (s->controller)
        say_counts(s);
    loop_timer_set(s->timer, COUNTS_MS);
}

// ---- what its controller asks ----

static void feed_take(void *ctx, struct desired **out, unsigned *pins, struct err *err)
{
    struct spoke *s = ctx;
    pthread_mutex_lock(&s->lock);
    *out = TAKE(s->state);
    *pins = s->pins;
    if (err_is_set(&s->problem))
        err_move(err, &s->problem);
    pthread_mutex_unlock(&s->lock);
}

static void feed_refresh(void *ctx, bool hard)
{
    say(ctx, SPOKE_REFRESH, json_boolean(hard), NULL, 0);
}

static void feed_pin(void *ctx, json_t *pins, unsigned number)
{
    say(ctx, SPOKE_PINS, pins, NULL, number);
}

static void feed_kinds(void *ctx, struct kinds *kinds)
{
    struct spoke *s = ctx;
    const char *v = kube_version(s->kube);
    say(s, SPOKE_KINDS, json_string(*v == 'v' ? v + 1 : v), kinds, 0);
}

static void feed_report(void *ctx, const struct application *a, json_t *status, json_t *taken_out,
                        json_t *doc)
{
    struct spoke *s = ctx;
    json_object_set_new(doc, "cluster", json_string(s->name));
    CLEANUP(json_freep)
    json_t *note =
        json_pack("{s:s, s:s, s:s, s:o*, s:o*, s:o}", "namespace", a->namespace, "name", a->name,
                  "app", a->tracking_name, "status", status, "taken", taken_out, "doc", doc);
    say(s, SPOKE_REPORT, json_deep_copy(note), NULL, 0); // documents in it may be the controller's
}

// ---- what it is given ----

static void give_apps(struct spoke *s)
{
    const char *key;
    json_t *doc;
    json_object_foreach(s->apps, key, doc)
    {
        controller_asked(s->controller, json_dot_text(doc, "metadata.namespace"),
                         json_dot_text(doc, "metadata.name"), doc);
    }
}

static void take_app(struct spoke *s, struct given_app *g)
{
    CLEANUP(str_freep) char *key = str_printf("%s/%s", g->ns, g->name);
    if (g->doc)
        json_object_set(s->apps, key, g->doc);
    else
        json_object_del(s->apps, key);
    if (s->controller)
        controller_asked(s->controller, g->ns, g->name, g->doc);
    json_decref(g->doc);
    free(g->ns);
    free(g->name);
}

static void on_wake(void *ctx, uint32_t events)
{
    struct spoke *s = ctx;
    uint64_t n;
    (void)events;
    if (read(s->wake_fd, &n, sizeof(n)) < 0)
        return;
    VEC(struct given_app) given = {0};
    pthread_mutex_lock(&s->lock);
    bool is_fed = s->state || err_is_set(&s->problem);
    memcpy(&given, &s->given, sizeof(given));
    memset(&s->given, 0, sizeof(s->given));
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < given.len; i++)
        take_app(s, &given.v[i]);
    vec_clear(&given);
    if (is_fed && s->controller)
        controller_fed(s->controller);
}

// ---- its life ----

static void rest(struct spoke *s, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end && !loop_stopping(s->loop))
        loop_run_once(s->loop, end - clock_mono_ms());
}

// Half as long again or half of it less: those that were lost together do not come back together.
static int64_t pause_ms(unsigned failures)
{
    int64_t ms = AGAIN_MS;
    for (unsigned i = 1; i < failures && ms < AGAIN_MAX_MS; i++)
        ms *= 2;
    ms = ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
    return ms / 2 + arc4random_uniform((uint32_t)ms);
}

static bool connect_it(struct spoke *s, struct kubeconfig *config, struct err *err)
{
    struct kube_opts o = {.user_agent = "regrow/" REGROW_VERSION " (linux)",
                          .field_manager = s->o.run.manager,
                          .events = &s->events};
    s->kube = kube_new(s->loop, config, &o);
    s->kinds = kinds_new();
    loop_set_deadline(s->loop, clock_mono_ms() + CONNECT_MS);
    bool ok = kube_connect(s->kube, 0, s->kinds, err);
    loop_set_deadline(s->loop, 0);
    if (ok)
        s->version = str_dup(kube_version(s->kube));
    return ok;
}

// ---- whose it is ----

static const char *records_of(const struct spoke *s)
{
    return s->records ? s->records : REGROW_NAMESPACE;
}

static bool is_root(const char *a, const char *b)
{
    const char *query = b ? strstr(b, "?ref=") : NULL;
    size_t n = b ? query ? (size_t)(query - b) : strlen(b) : 0;
    return b && strcspn(a, "?") >= n && !strncmp(a, b, n) && (!a[n] || str_starts(a + n, "?ref="));
}

// What a ConfigMap of the records names as the root; NULL in *out: there is none.
static bool read_owner(struct spoke *s, const char *map, char **out, struct err *err)
{
    CLEANUP(str_freep)
    char *path = str_printf("/api/v1/namespaces/%s/configmaps/%s", records_of(s), map);
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!kube_read(s->kube, path, CONNECT_MS, "read whose this cluster is", &doc, NULL, err))
        return false;
    if (!doc)
        return true;
    *out = inventory_root(doc);
    return *out || err_set(err, ERR_INVALID, "ConfigMap %s of %s says nothing that is known", map,
                           records_of(s));
}

static bool send_owner(struct spoke *s, const char *method, const char *path, json_t *doc_take,
                       enum kube_class *cls, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = doc_take;
    struct buf body CLEANUP(buf_clear) = {0};
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply reply;
    canon_write(doc, &body);
    struct kube_call call = {.method = method,
                             .path = path,
                             .body = body.p,
                             .body_len = body.len,
                             .content_type =
                                 !strcmp(method, "PATCH") ? "application/apply-patch+yaml" : NULL};
    kube_send_wait(s->kube, &call, &reply, &store);
    *cls = reply.cls;
    return reply.cls == KUBE_OK || reply.cls == KUBE_CONFLICT ||
           kube_reply_err(&reply, err, "note whose this cluster is");
}

// Of two that find none the server takes one: it is made, never overwritten.
static bool write_owner(struct spoke *s, bool is_new, enum kube_class *cls, struct err *err)
{
    const char *ns = records_of(s);
    CLEANUP(str_freep)
    char *home = str_printf("/api/v1/namespaces/%s?fieldManager=regrow", ns);
    CLEANUP(str_freep)
    char *maps = str_printf("/api/v1/namespaces/%s/configmaps%s?fieldManager=regrow", ns,
                            is_new ? "" : "/" HUB_MAP);
    CLEANUP(str_freep) char *text = str_printf("#regrow-inventory/1\t%s\n", s->root);
    json_t *space =
        json_pack("{s:s, s:s, s:{s:s, s:{s:s}}}", "apiVersion", "v1", "kind", "Namespace",
                  "metadata", "name", ns, "labels", "app.kubernetes.io/managed-by", "regrow");
    json_t *map =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "apiVersion", "v1", "kind",
                  "ConfigMap", "metadata", "name", HUB_MAP, "namespace", ns, "labels",
                  "app.kubernetes.io/managed-by", "regrow", "data", "records", text);
    if (is_new && !send_owner(s, "PATCH", home, space, cls, err)) {
        json_decref(map);
        return false;
    }
    if (!is_new)
        json_decref(space);
    return send_owner(s, is_new ? "POST" : "PUT", maps, map, cls, err);
}

static bool is_anothers(const struct spoke *s, const char *map, const char *owner, struct err *err)
{
    err_set(err, ERR_INVALID, "it is kept from another root, %s, as ConfigMap %s of %s there says",
            owner, map, records_of(s));
    return err_hint(err, "If this hub is to take it over, and to delete what it does not name, "
                         "delete that ConfigMap. To share the cluster annotate its Secret with "
                         "regrow.dev/records-namespace.");
}

// An inventory that another root has made would be taken for ours, and all of it for gone.
static bool claim(struct spoke *s, struct err *err)
{
    const char *uid = kube_cluster_uid(s->kube);
    enum kube_class cls = KUBE_OK;
    CLEANUP(str_freep) char *alone = NULL;
    if (uid && str_eq(uid, s->hub_uid) && !strcmp(records_of(s), REGROW_NAMESPACE))
        return err_set(err, ERR_INVALID, "it is the cluster of the hub itself, by another address");
    if (!read_owner(s, REGROW_ROOT_MAP, &alone, err))
        return false;
    if (alone)
        return is_anothers(s, REGROW_ROOT_MAP, alone, err);
    for (int i = 0; s->root && i < 3; i++) {
        CLEANUP(str_freep) char *hub = NULL;
        if (!read_owner(s, HUB_MAP, &hub, err))
            return false;
        if (hub && is_root(hub, s->root))
            return true;
        if (hub && !is_root(hub, s->old_root))
            return is_anothers(s, HUB_MAP, hub, err);
        if (!write_owner(s, !hub, &cls, err))
            return false;
        if (cls == KUBE_OK)
            return true;
    }
    return !s->root || err_set(err, ERR_UNAVAILABLE, "whose it is changes all the time");
}

static bool keep(struct spoke *s, struct err *err)
{
    struct controller_opts o = {
        .kinds = s->kinds, .run = &s->o.run, .events = &s->events, .feed = &s->feed};
    struct controller *c = s->controller = controller_new(s->loop, s->kube, &o);
    give_apps(s);
    feed_kinds(s, kinds_dup(s->kinds)); // the answer is what it should hold
    say_state(s, "ok", NULL);
    bool ok = controller_run(c, err);
    say_counts(s);
    s->controller = NULL;
    controller_free(c);
    return ok;
}

// One connection, for as long as it is good for anything.
static bool try_once(struct spoke *s, bool *was_there, struct err *err)
{
    struct kubeconfig *config CLEANUP(kubeconfig_freep) = NULL;
    json_error_t e;
    CLEANUP(json_freep)
    json_t *secret = json_loads(s->secret, 0, &e);
    if (!secret || !kubeconfig_of_argocd(secret, &config, err))
        return err_is_set(err) ? false : err_set(err, ERR_INVALID, "its Secret cannot be read");
    bool ok = connect_it(s, config, err) && claim(s, err);
    *was_there = ok;
    ok = ok && keep(s, err);
    kube_free(s->kube);
    s->kube = NULL;
    kinds_free(s->kinds);
    s->kinds = NULL;
    free(s->version);
    s->version = NULL;
    return ok;
}

static const char *state_of(const struct err *err)
{
    return err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT ? "unreachable"
           : err->kind == ERR_CONFLICT                              ? "standby"
                                                                    : "refused";
}

static void *run_spoke(void *arg)
{
    struct spoke *s = arg;
    unsigned failures = 0;
    s->loop = loop_new(&s->stop);
    s->timer = loop_timer_new(s->loop, on_timer, s);
    s->apps = json_object();
    loop_fd_set(s->loop, s->wake_fd, EPOLLIN, on_wake, s);
    loop_timer_set(s->timer, COUNTS_MS);
    rest(s, s->o.first_delay_ms);
    while (!loop_stopping(s->loop)) {
        struct err err = {0};
        bool was_there = false;
        if (try_once(s, &was_there, &err) || loop_stopping(s->loop)) {
            err_clear(&err);
            break;
        }
        failures = was_there ? 1 : failures + 1;
        say_state(s, state_of(&err), err.msg);
        err_clear(&err);
        rest(s, pause_ms(failures));
    }
    loop_timer_free(s->timer);
    loop_fd_del(s->loop, s->wake_fd);
    loop_free(s->loop);
    json_decref(s->apps);
    say(s, SPOKE_OVER, NULL, NULL, 0);
    return NULL;
}

static void release(struct spoke *s)
{
    for (size_t i = 0; i < s->given.len; i++) {
        json_decref(s->given.v[i].doc);
        free(s->given.v[i].ns);
        free(s->given.v[i].name);
    }
    vec_clear(&s->given);
    for (size_t i = 0; i < s->notes.len; i++)
        spoke_note_clear(&s->notes.v[i]);
    vec_clear(&s->notes);
    desired_free(s->state);
    err_clear(&s->problem);
    pthread_mutex_destroy(&s->lock);
    close(s->wake_fd);
    if (s->secret)
        explicit_bzero(s->secret, strlen(s->secret));
    free(s->secret);
    free(s->name);
    free(s->records);
    free(s->holder);
    free(s->server);
    free(s->hub_uid);
    free(s);
}

static void set_opts(struct spoke *s, const struct spoke_opts *o)
{
    s->o = *o;
    s->name = str_dup(o->name);
    s->secret = str_dup(o->secret);
    s->records = str_dup_or_null(o->records);
    s->holder = str_dup(o->holder);
    s->server = str_dup(o->server);
    s->hub_uid = str_dup_or_null(o->hub_uid);
    s->root = o->run.root;
    s->old_root = o->run.policy.replaced_root;
    s->o.run.records = s->records;
    s->o.run.holder = s->holder;
    s->o.run.root = NULL;           // it is the hub that is grown from it
    s->o.run.expect_cluster = NULL; // the hub, too
    s->o.run.events = &s->events;
    s->o.run.policy.replaced_root = NULL;
    if (!s->o.run.manager)
        s->o.run.manager = "regrow";
    s->events = (struct event_sink){on_event, s};
    s->feed =
        (struct controller_feed){feed_take, feed_refresh, feed_pin, feed_kinds, feed_report, s};
}

struct spoke *spoke_start(const struct spoke_opts *o)
{
    struct spoke *s = mem_alloc(sizeof(*s));
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    set_opts(s, o);
    pthread_mutex_init(&s->lock, NULL);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    // Signals are for the owner's thread, which they wake.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = s->wake_fd >= 0 && pthread_create(&s->thread, &attr, run_spoke, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (ok)
        return s;
    release(s);
    return NULL;
}

void spoke_stop(struct spoke *s)
{
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    ring(s->wake_fd);
}

void spoke_free(struct spoke *s)
{
    if (!s)
        return;
    spoke_stop(s);
    pthread_join(s->thread, NULL);
    release(s);
}

void spoke_give_state(struct spoke *s, struct desired *d, unsigned pins, struct err *problem)
{
    struct desired *old;
    pthread_mutex_lock(&s->lock);
    old = s->state;
    s->state = d ? d : TAKE(old);
    s->pins = d ? pins : s->pins;
    err_clear(&s->problem);
    if (!d && err_is_set(problem))
        err_move(&s->problem, problem);
    pthread_mutex_unlock(&s->lock);
    desired_free(old);
    err_clear(problem);
    ring(s->wake_fd);
}

void spoke_give_application(struct spoke *s, const char *ns, const char *name, json_t *doc)
{
    pthread_mutex_lock(&s->lock);
    *vec_push(&s->given) = (struct given_app){str_dup(ns), str_dup(name), doc};
    pthread_mutex_unlock(&s->lock);
    ring(s->wake_fd);
}

void spoke_drain(struct spoke *s, void (*fn)(void *ctx, struct spoke_note *n), void *ctx)
{
    VEC(struct spoke_note) notes = {0};
    pthread_mutex_lock(&s->lock);
    memcpy(&notes, &s->notes, sizeof(notes));
    memset(&s->notes, 0, sizeof(s->notes));
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < notes.len; i++) {
        fn(ctx, &notes.v[i]);
        spoke_note_clear(&notes.v[i]);
    }
    vec_clear(&notes);
}
