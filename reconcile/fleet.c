// SPDX-License-Identifier: Apache-2.0
#include "reconcile/fleet_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "reconcile/app_write.h"
#include "reconcile/lease.h"

#define STEP_MS 500
#define AT_ONCE 8
#define SLOT_MS 2000 // for so long one that has said nothing counts as connecting
#define FAREWELL_MS 30000
#define MAX_FILES 65536
#define OWN_FILES 128 // of the hub itself: what it serves, programs, sources
#define SESSION_FILES 16

// ---- members ----

void member_free(struct member *m)
{
    spoke_free(m->spoke);
    free(m->secret_name);
    free(m->key);
    free(m->name);
    free(m->server);
    free(m->records);
    if (m->secret)
        explicit_bzero(m->secret, strlen(m->secret));
    free(m->secret);
    source_cluster_clear(&m->src);
    kinds_free(m->next_kinds);
    free(m->next_version);
    json_decref(m->pins);
    json_decref(m->apps);
    json_decref(m->sent);
    json_decref(m->docs);
    json_decref(m->said);
    free(m);
}

bool fleet_has_key(const struct fleet *f, const char *key, const struct member *but)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i] != but && !f->v.v[i]->is_going && str_eq(f->v.v[i]->key, key))
            return true;
    return false;
}

void member_say(struct member *m, const char *state, const char *message)
{
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s*}", "state", state, "message", message);
    if (!str_eq(json_dot_str(m->said, "state"), state))
        m->since_unix_s = clock_unix_ms() / 1000;
    json_object_del(m->said, "message");
    json_object_update(m->said, doc);
}

// ---- what sessions say ----

static void on_report(struct member *m, const struct spoke_note *n)
{
    struct controller *c = m->fleet->c;
    CLEANUP(str_freep)
    char *key =
        str_printf("%s/%s", json_dot_text(n->doc, "namespace"), json_dot_text(n->doc, "name"));
    json_t *status = json_object_get(n->doc, "status");
    CLEANUP(json_freep) json_t *live = report_kept(c, key);
    json_object_set(m->docs, json_dot_text(n->doc, "app"), json_object_get(n->doc, "doc"));
    if (status && live && c->writer)
        app_writer_set(c->writer, live, status, json_object_get(n->doc, "taken"));
}

static void on_kinds(struct member *m, struct spoke_note *n)
{
    kinds_free(m->next_kinds);
    m->next_kinds = TAKE(n->kinds);
    str_set(&m->next_version, json_string_value(n->doc));
    json_object_clear(m->sent); // it may know nothing of all that any more
    m->is_fed = false;
    m->is_dirty = true;
}

static void on_state(struct member *m, const struct spoke_note *n)
{
    const char *state = json_dot_str(n->doc, "state");
    if (state)
        member_say(m, state, json_dot_str(n->doc, "message"));
    json_object_update(m->said, n->doc);
    m->has_said |= state != NULL;
}

static void on_note(void *ctx, struct spoke_note *n)
{
    struct member *m = ctx;
    struct controller *c = m->fleet->c;
    switch (n->kind) {
    case SPOKE_EVENT:
        if (c->o.events && c->o.events->emit)
            c->o.events->emit(c->o.events->ctx, n->doc);
        return;
    case SPOKE_STATE:
        on_state(m, n);
        return;
    case SPOKE_KINDS:
        on_kinds(m, n);
        return;
    case SPOKE_REPORT:
        on_report(m, n);
        return;
    case SPOKE_REFRESH:
        m->is_hard |= json_is_true(n->doc);
        controller_refresh(c, false);
        return;
    case SPOKE_PINS:
        json_decref(m->pins);
        m->pins = TAKE(n->doc);
        m->pin_number = n->number;
        m->is_fed = false;
        controller_refresh(c, false);
        return;
    case SPOKE_OVER:
        m->is_over = true;
        return;
    }
}

static void drain(struct fleet *f)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i]->spoke)
            spoke_drain(f->v.v[i]->spoke, on_note, f->v.v[i]);
}

// ---- sessions come and go ----

static void start(struct member *m)
{
    struct fleet *f = m->fleet;
    CLEANUP(str_freep)
    char *holder = str_printf("%s/%s/%u", f->holder, m->secret_name, ++f->serial);
    struct spoke_opts o = {.name = m->name,
                           .secret = m->secret,
                           .records = m->records,
                           .holder = holder,
                           .server = m->server,
                           .hub_uid = kube_cluster_uid(f->c->kube),
                           .run = *f->c->o.run,
                           .out_fd = f->out_fd};
    m->spoke = spoke_start(&o);
    m->started_ms = clock_mono_ms();
    m->is_stopping = m->is_over = m->has_said = m->is_fed = m->must_restart = false;
    member_say(m, m->spoke ? "connecting" : "refused", m->spoke ? NULL : "no thread can be had");
}

static void reap(struct member *m)
{
    spoke_free(TAKE(m->spoke));
    json_object_clear(m->docs);
    json_object_clear(m->sent);
    json_decref(m->pins);
    m->pins = NULL;
    desired_free(m->src.desired); // nobody here has to do with it
    m->src.desired = NULL;
    member_say(m, "waiting", NULL);
}

static size_t count_connecting(const struct fleet *f)
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    for (size_t i = 0; i < f->v.len; i++) {
        const struct member *m = f->v.v[i];
        n += m->spoke && !m->has_said && now - m->started_ms < SLOT_MS;
    }
    return n;
}

// Does any session keep it, or wind down?
static bool is_busy(const struct fleet *f, const char *key)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i]->spoke && str_eq(f->v.v[i]->key, key))
            return true;
    return false;
}

// One whose Secret names another address now may be the same cluster still.
static bool is_followed(const struct fleet *f, const char *secret_name)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i]->spoke && str_eq(f->v.v[i]->secret_name, secret_name))
            return true;
    return false;
}

static size_t count_sessions(const struct fleet *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->v.len; i++)
        n += f->v.v[i]->spoke != NULL;
    return n;
}

static void step_member(struct fleet *f, struct member *m, size_t *connecting)
{
    enum shard_state st = shards_state(f->shards, m->key);
    bool may_run = st == SHARD_OURS && !m->is_going && m->is_in_fleet;
    if (m->spoke && !may_run && !m->is_stopping) {
        m->is_stopping = true;
        spoke_stop(m->spoke);
    }
    if (m->spoke && m->is_over && !f->is_loading)
        reap(m);
    // The same cluster by a Secret that was changed: the session before comes to its end first.
    if (m->spoke || is_busy(f, m->key))
        return;
    if (st == SHARD_LEAVING && (!m->is_going || !fleet_has_key(f, m->key, m)))
        shards_let_go(f->shards, m->key);
    if (!may_run || is_followed(f, m->secret_name))
        return;
    if (count_sessions(f) >= f->max_sessions) {
        member_say(m, "refused", "too few open files are allowed: raise the limit (ulimit -n)");
        return;
    }
    if (*connecting < (f->o.max_at_once ? f->o.max_at_once : AT_ONCE)) {
        start(m);
        ++*connecting;
    }
}

static bool is_done(const struct fleet *f, const struct member *m)
{
    bool is_held = f->shards && !fleet_has_key(f, m->key, m) &&
                   shards_state(f->shards, m->key) == SHARD_LEAVING;
    return m->is_going && !m->spoke && !is_held && !f->is_loading;
}

// All are asked before the first is freed: each looks at all others.
static void sweep(struct fleet *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->v.len; i++)
        f->v.v[i]->is_done = is_done(f, f->v.v[i]);
    for (size_t i = 0; i < f->v.len; i++) {
        struct member *m = f->v.v[i];
        if (m->is_done)
            member_free(m);
        else
            f->v.v[kept++] = m;
    }
    if (kept < f->v.len) { // their applications may be nobody's now
        f->c->has_stray_news = true;
        report_later(f->c);
    }
    f->v.len = kept;
}

static struct member *rival_of(const struct fleet *f, const struct member *m)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i] != m && f->v.v[i]->is_in_fleet && str_eq(f->v.v[i]->server, m->server))
            return f->v.v[i];
    return NULL;
}

static void refuse(struct member *m)
{
    member_say(m, "refused", "another Secret registers the same server");
}

// A cluster under two names, or an application that names neither, would have two masters. Which
// of two Secrets counts must not hang on which one a replica saw first.
static void admit(struct fleet *f)
{
    for (size_t i = 0; i < f->v.len; i++) {
        struct member *m = f->v.v[i];
        if (m->is_in_fleet || m->is_going)
            continue;
        struct member *rival = rival_of(f, m);
        if (rival && strcmp(rival->secret_name, m->secret_name) <= 0) {
            if (!m->spoke)
                refuse(m);
            continue;
        }
        if (rival) {
            rival->is_in_fleet = false;
            if (!str_eq(rival->key, m->key))
                shards_drop(f->shards, rival->key);
            refuse(rival);
        }
        m->is_in_fleet = true;
        member_say(m, "waiting", NULL);
        shards_add(f->shards, m->key, m->name, m->server);
    }
}

static void note_all(struct fleet *f)
{
    CLEANUP(str_freep) char *own = str_printf("%zu", f->c->apps.len);
    shards_note(f->shards, FLEET_HUB,
                json_pack("{s:s, s:s, s:s}", "state", controller_leads(f->c) ? "ok" : "standby",
                          "version", kube_version(f->c->kube), "applications", own));
    for (size_t i = 0; i < f->v.len; i++) {
        struct member *m = f->v.v[i];
        if (shards_state(f->shards, m->key) != SHARD_OURS || !m->is_in_fleet)
            continue;
        CLEANUP(str_freep) char *apps = str_printf("%zu", json_object_size(m->apps));
        shards_note(f->shards, m->key,
                    json_pack("{s:s*, s:s*, s:s*, s:s}", "state", json_dot_str(m->said, "state"),
                              "message", json_dot_str(m->said, "message"), "version",
                              json_dot_str(m->said, "version"), "applications", apps));
    }
}

// `both`: what is wrong by both; NULL: nobody has looked yet.
static json_t *wrong_as_well(json_t *both_take, const json_t *wrong)
{
    const char *app;
    void *next;
    json_t *why;
    if (!both_take)
        return json_deep_copy(wrong);
    json_object_foreach_safe(both_take, next, app, why)
    {
        if (!json_object_get(wrong, app))
            json_object_del(both_take, app);
    }
    return both_take;
}

// A name of --prune-left may be of any cluster: what is wrong is told when all that are kept here
// have looked. One that cannot be reached may have it.
static void tell_left(struct fleet *f)
{
    bool is_hub_ours = shards_state(f->shards, FLEET_HUB) == SHARD_OURS;
    bool all = !is_hub_ours || f->c->left_wrong;
    CLEANUP(json_freep) json_t *wrong = NULL;
    if (f->is_left_told || !f->is_synced || !f->c->run_opts.policy.n_prune_left || !all)
        return;
    if (is_hub_ours)
        wrong = wrong_as_well(wrong, f->c->left_wrong);
    for (size_t i = 0; i < f->v.len && all; i++) {
        const struct member *m = f->v.v[i];
        const json_t *own = json_object_get(m->said, "leftWrong");
        if (m->is_going || !m->is_in_fleet || shards_state(f->shards, m->key) != SHARD_OURS)
            continue;
        all = own != NULL;
        wrong = all ? wrong_as_well(TAKE(wrong), own) : TAKE(wrong);
    }
    f->is_left_told = all && wrong;
    if (f->is_left_told)
        left_warn(f->c, wrong);
}

static void step(struct fleet *f)
{
    drain(f);
    if (!f->shards)
        return;
    size_t connecting = count_connecting(f);
    admit(f);
    for (size_t i = 0; i < f->v.len; i++)
        step_member(f, f->v.v[i], &connecting);
    sweep(f);
    note_all(f);
    tell_left(f);
}

static void on_changed(void *ctx)
{
    struct fleet *f = ctx;
    if (!f->is_ending)
        loop_timer_set(f->step, 0);
}

static void begin(struct fleet *f)
{
    const struct kind_info *k = kinds_find(f->c->o.kinds, "coordination.k8s.io", "v1", "Lease");
    if (!k)
        return;
    struct shards_opts o = {.kind = k,
                            .holder = f->holder,
                            .duration_s = f->o.lease_s,
                            .changed = on_changed,
                            .ctx = f};
    f->shards = shards_new(f->c->loop, f->c->kube, &o);
    shards_add(f->shards, FLEET_HUB, "in-cluster", FLEET_HUB);
}

static void on_step(void *ctx)
{
    struct fleet *f = ctx;
    struct controller *c = f->c;
    if (!f->watch && f->watch_due_ms <= clock_mono_ms() && !loop_stopping(c->loop))
        fleet_watch(f);
    if (f->is_on && !f->shards)
        begin(f);
    step(f);
    if (f->is_on && c->desired && c->app_is_read && !loop_stopping(c->loop))
        report_watch(c); // whoever keeps the hub's own cluster, its Application objects are ours
    loop_timer_set(f->step, STEP_MS);
}

static void on_said(void *ctx, uint32_t events)
{
    struct fleet *f = ctx;
    uint64_t n;
    (void)events;
    if (read(f->out_fd, &n, sizeof(n)) > 0)
        step(f);
}

// Each session has a dozen files open.
static size_t allow_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return SIZE_MAX;
    if (r.rlim_cur < MAX_FILES) {
        r.rlim_cur = r.rlim_max < MAX_FILES ? r.rlim_max : MAX_FILES;
        (void)setrlimit(RLIMIT_NOFILE, &r);
        if (getrlimit(RLIMIT_NOFILE, &r) != 0)
            return SIZE_MAX;
    }
    return r.rlim_cur > OWN_FILES ? (r.rlim_cur - OWN_FILES) / SESSION_FILES : 0;
}

struct fleet *fleet_new(struct controller *c, const struct fleet_opts *o)
{
    struct fleet *f = mem_alloc(sizeof(*f));
    size_t i;
    json_t *doc;
    f->c = c;
    f->o = *o;
    f->holder = lease_own_name();
    f->argocd = json_array();
    f->listed = json_object();
    json_array_foreach((json_t *)(c->o.sources ? c->o.sources->argocd : NULL), i, doc)
    {
        if (!fleet_is_cluster(doc))
            json_array_append(f->argocd, doc);
    }
    f->out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(f->out_fd >= 0);
    loop_fd_set(c->loop, f->out_fd, EPOLLIN, on_said, f);
    f->step = loop_timer_new(c->loop, on_step, f);
    loop_timer_set(f->step, 0);
    f->max_sessions = allow_files();
    return f;
}

// All at once; each gives its Lease back and ends.
static void stop_all(struct fleet *f)
{
    int64_t end = clock_mono_ms() + FAREWELL_MS;
    bool any = true;
    for (size_t i = 0; i < f->v.len; i++)
        if (f->v.v[i]->spoke)
            spoke_stop(f->v.v[i]->spoke);
    while (any && clock_mono_ms() < end) {
        any = false;
        drain(f);
        for (size_t i = 0; i < f->v.len; i++)
            any |= f->v.v[i]->spoke && !f->v.v[i]->is_over;
        if (any)
            loop_run_once(f->c->loop, 100);
    }
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    f->is_ending = true;
    loop_timer_stop(f->step);
    if (f->shards)
        shards_end(f->shards);
    if (f->watch)
        kube_watch_stop(f->watch);
    loop_fd_del(f->c->loop, f->out_fd);
    stop_all(f);
    shards_free(f->shards);
    loop_timer_free(f->step);
    for (size_t i = 0; i < f->v.len; i++)
        member_free(f->v.v[i]);
    vec_clear(&f->v);
    close(f->out_fd);
    json_decref(f->argocd);
    json_decref(f->argocd_old);
    json_decref(f->listed);
    free(f->holder);
    free(f);
}

// ---- who keeps what ----

bool fleet_is_on(const struct fleet *f)
{
    return f && f->is_on && f->shards;
}

bool fleet_registers(const struct fleet *f, const struct application *a)
{
    if (!f || !f->is_synced)
        return true;
    for (size_t i = 0; i < f->v.len; i++) {
        const struct member *m = f->v.v[i];
        if ((a->dest_name && !strcmp(a->dest_name, m->name)) ||
            (a->dest_server && !strcmp(a->dest_server, m->server)))
            return true;
    }
    return false;
}

bool fleet_has_hub(const struct fleet *f)
{
    return fleet_is_on(f) && shards_state(f->shards, FLEET_HUB) == SHARD_OURS;
}

void fleet_let_hub_go(struct fleet *f)
{
    if (fleet_is_on(f))
        shards_let_go(f->shards, FLEET_HUB);
}
