// SPDX-License-Identifier: Apache-2.0
//
// The controller's life: the Lease, loading the sources, and waiting for what the next turn is
// about.
#include "reconcile/controller.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/fleet_int.h"
#include "reconcile/lease.h"

#define LEARN_MS 10000
#define DISCOVERY_MS 3000 // it may lag behind definitions by so much
#define STANDBY_MS 3000   // between two looks at who holds the Lease
#define POLL_MS 180000
#define RELOAD_MS 5000 // after a load that failed, at the latest
#define SETTLE_MS 10   // what comes together is mended together
#define TIDY_MS 10000  // after a load or a turn, which need twice as much as what they leave

static int64_t poll_ms(const struct controller *c)
{
    return c->o.poll_ms ? c->o.poll_ms : POLL_MS;
}

// A little early or late, so that many controllers do not ask one host at once.
static int64_t with_jitter(int64_t ms)
{
    return ms - ms / 10 + arc4random_uniform((uint32_t)(ms / 5) + 1);
}

// A load is worth it when something moved, cannot be read any more, or can be read again.
static void on_polled(void *ctx, const struct source_polled *p)
{
    struct controller *c = ctx;
    bool is_news = false;
    c->is_polling = false;
    for (size_t i = 0; i < c->apps.len; i++)
        is_news |= !c->apps.v[i].is_known;
    for (size_t i = 0; i < p->v.len; i++)
        is_news |= p->v.v[i].news != SOURCE_SAME;
    c->is_from_poll = is_news && !c->must_load;
    c->must_load |= is_news;
    if (c->is_full_poll)
        loop_timer_set(c->poll, with_jitter(poll_ms(c)));
    loop_timer_set(c->wake, 0);
}

static void poll_now(struct controller *c, const struct strv *only)
{
    if (c->is_polling || c->is_loading)
        return; // what it missed the next one sees
    c->is_full_poll = !only;
    bool may_poll = c->has_loaded && !err_is_set(&c->load_problem) && !c->must_load;
    c->is_polling = may_poll && source_poll(c->source, only, on_polled, c);
    c->must_load |= !c->is_polling;
}

// Whatever becomes of this one, there is a next.
static void on_poll(void *ctx)
{
    struct controller *c = ctx;
    loop_timer_set(c->poll, with_jitter(poll_ms(c)));
    poll_now(c, NULL);
}

// All is asked again, whatever a poll has found before.
void controller_read_again(struct controller *c)
{
    c->must_load = true;
    c->is_from_poll = false;
}

void controller_pushed(struct controller *c, const struct strv *repos)
{
    struct strv uses = {0};
    if (!c->source)
        return;
    for (size_t i = 0; i < repos->len; i++)
        source_uses(c->source, repos->v[i], &uses);
    if (uses.len && (c->is_polling || c->is_loading || c->must_load))
        controller_read_again(c); // what is on, or is to come, may have asked before the push
    else if (uses.len)
        poll_now(c, &uses);
    strv_clear(&uses);
}

// The heap keeps what was freed; of a large fleet that is more than what is used. It is
// everybody's: where another controller of this process has just seen to it, that was after what
// this one did, too.
static void on_tidy(void *ctx)
{
    static _Atomic int64_t last_ms;
    int64_t now = clock_mono_ms();
    const struct controller *c = ctx;
    kube_tidy(c->kube);
    if (last_ms && now - last_ms < TIDY_MS)
        return;
    last_ms = now;
    malloc_trim(0);
}

static void tidy_later(struct controller *c)
{
    if (!loop_timer_is_set(c->tidy))
        loop_timer_set(c->tidy, TIDY_MS);
}

static void on_wake(void *ctx)
{
    (void)ctx; // the loop comes round, that is all
}

// Application objects and their like are sent where they are served, and only read elsewhere.
static void on_served(void *ctx, const char *group, const char *kind, bool is_served)
{
    struct controller *c = ctx;
    if (strcmp(group, "argoproj.io") != 0 || !c->desired)
        return;
    const struct kind_info *k = kinds_find(c->desired->kinds, group, NULL, kind);
    if ((k && k->is_served) == is_served)
        return;
    c->has_new_kinds = c->must_load = true;
    loop_timer_set(c->wake, 0);
}

struct controller *controller_new(struct loop *l, struct kube *k, const struct controller_opts *o)
{
    struct controller *c = mem_alloc(sizeof(*c));
    c->loop = l;
    c->kube = k;
    c->o = *o;
    c->run_opts = *o->run;
    if (!c->run_opts.manager)
        c->run_opts.manager = "regrow";
    c->run_opts.is_superseded = turn_makes_way;
    c->run_opts.superseded_ctx = c;
    c->run_opts.is_ended = operation_ends;
    c->alone = -1;
    c->run_opts.leaves_health = !o->once;
    c->run_opts.force_drifted = true;
    c->run_opts.drops_finalizers = true;
    c->run_opts.policy.is_left_wish = !o->once;
    c->app_docs = json_object();
    c->app_listed = json_object();
    c->answering = json_object();
    c->answer_sizes = json_object();
    c->left_answers = json_object();
    c->told = json_object();
    c->awaited = json_object();
    c->awaiting = json_object();
    c->approvals = json_object();
    c->argocd_docs = json_object();
    c->argocd_listed = json_object();
    c->source = o->feed ? NULL : source_new(l, o->sources);
    struct lease_opts lease = {
        .holder = c->run_opts.holder, .namespace = c->run_opts.records, .events = o->events};
    c->lease = lease_keeper_new(l, k, &lease);
    c->run_opts.lease = c->lease;
    c->informers = informers_new(l, k,
                                 &(struct informers_opts){.manager = c->run_opts.manager,
                                                          .records = c->run_opts.records,
                                                          .ready = c->run_opts.ready,
                                                          .n_ready = c->run_opts.n_ready,
                                                          .events = o->events,
                                                          .changed = drift_changed,
                                                          .served = on_served,
                                                          .ctx = c});
    c->run_opts.informers = c->informers;
    c->poll = loop_timer_new(l, on_poll, c);
    c->wake = loop_timer_new(l, on_wake, c);
    c->tidy = loop_timer_new(l, on_tidy, c);
    c->fleet = o->fleet && !o->once && !o->feed ? fleet_new(c, o->fleet) : NULL;
    return c;
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    fleet_free(c->fleet); // what its sessions say last is still written
    c->fleet = NULL;
    report_end(c);
    healthy_end(c);
    argocd_end(c);
    if (c->source)
        source_poll_cancel(c->source);
    kube_cancel_all(c->kube);
    for (int i = 0; c->pending && i < 600; i++)
        loop_run_once(c->loop, 100);
    informers_free(c->informers);
    lease_keeper_free(c->lease);
    loop_timer_stop(c->poll);
    source_free(c->source); // it may turn the loop, and others there may wake us
    c->source = NULL;
    loop_timer_free(c->poll);
    loop_timer_free(c->wake);
    loop_timer_free(c->waiting);
    loop_timer_free(c->tidy);
    json_decref(c->unordered);
    json_decref(c->left_wrong);
    json_decref(c->app_docs);
    json_decref(c->app_listed);
    json_decref(c->answering);
    json_decref(c->answer_sizes);
    json_decref(c->left_answers);
    json_decref(c->told);
    json_decref(c->awaited);
    json_decref(c->awaiting);
    json_decref(c->approvals);
    json_decref(c->told_pins);
    json_decref(c->argocd_docs);
    json_decref(c->argocd_listed);
    drift_clear(c);
    jq_filters_free(c->jq);
    tracked_clear(c);
    desired_free(c->desired);
    json_decref(c->argocd_list);
    json_decref(c->argocd_before);
    err_clear(&c->load_problem);
    free(c->breaker);
    free(c);
}

void controller_refresh(struct controller *c, bool hard)
{
    controller_read_again(c);
    c->is_refreshed = true;
    c->is_hard |= hard;
}

void controller_fed(struct controller *c)
{
    c->must_load = true;
    loop_timer_set(c->wake, 0);
}

void controller_set_poll(struct controller *c, int64_t ms)
{
    c->o.poll_ms = ms;
    if (loop_timer_is_set(c->poll))
        loop_timer_set(c->poll, with_jitter(poll_ms(c)));
}

void controller_renew_sources(struct controller *c)
{
    c->must_renew_source = c->must_load = true;
    loop_timer_set(c->wake, 0);
}

bool controller_is_renewed(const struct controller *c)
{
    return !c->must_renew_source;
}

// ---- sources ----

static void renew_source(struct controller *c)
{
    source_poll_cancel(c->source);
    source_free(c->source);
    c->source = source_new(c->loop, c->o.sources);
    c->is_polling = c->must_renew_source = false;
    c->argocd_is_news = true; // what it was made with is of the beginning
    fleet_forget_told(c->fleet);
}

// What was there stays as it is, in the cluster and here: unknown is not empty.
static void not_loaded(struct controller *c, struct err *err)
{
    bool is_news = !str_eq(c->load_problem.msg, err->msg);
    c->sum.load_failures++;
    if (is_news)
        event_emit(c->o.events, "source.unreadable", "{s:s, s:s}", "message", err->msg, "hint",
                   err->hint ? err->hint : "");
    err_clear(&c->load_problem);
    err_move(&c->load_problem, err);
    if (c->source && poll_ms(c) > RELOAD_MS)
        loop_timer_set(c->poll, with_jitter(RELOAD_MS));
}

// What was known before a load.
struct before {
    bool any;
    char *commit;
    json_t *ignore;
};

static struct before before_load(const struct controller *c)
{
    const struct desired *d = c->desired;
    if (!d)
        return (struct before){0};
    return (struct before){true, str_dup_or_null(d->root_commit), json_incref(d->ignore)};
}

static void before_clear(struct before *b)
{
    free(b->commit);
    json_decref(b->ignore);
}

// c->desired is what was loaded.
static void loaded(struct controller *c, const struct before *was,
                   const struct source_changes *changes)
{
    struct desired *now = c->desired;
    bool is_news = !was->any || !str_eq(was->commit, now->root_commit);
    if (is_news)
        event_emit(c->o.events, "source.changed", "{s:s, s:s*, s:s*, s:I}", "root",
                   now->root_name ? now->root_name : "", "commit", now->root_commit, "before",
                   was->commit, "apps", (json_int_t)now->apps.len);
    err_clear(&c->load_problem);
    if (tracked_update(c, changes) || is_news)
        tracked_release(c); // it may be that what is said now is not too much
    if (was->any)           // until the next turn has read them
        desired_ignore(now, was->ignore);
    order_note(c);
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].held)
            c->apps.v[i].due_ms = 0; // its project may say otherwise now
    c->has_loaded = true;
    report_hear(c);
    fleet_loaded(c->fleet);
    c->has_stray_news = true;
    report_later(c);
}

static void on_kinds(void *ctx, struct err *err)
{
    struct controller *c = ctx;
    err_clear(err); // what is known is what was known
    c->pending--;
    c->is_asking_kinds = false;
}

static bool are_kinds_due(const struct controller *c)
{
    return c->kinds_due_ms && c->kinds_due_ms <= clock_mono_ms();
}

// Charts are rendered for what the cluster serves now. Discovery may lag behind the definitions:
// after the last news it is asked once more, and news that comes while it is asked is not in its
// answer. False: there was nothing to ask.
static bool renew_kinds(struct controller *c)
{
    if (!c->has_new_kinds && !are_kinds_due(c))
        return false;
    c->kinds_due_ms = c->has_new_kinds ? clock_mono_ms() + DISCOVERY_MS : 0;
    c->has_new_kinds = false;
    c->is_asking_kinds = true;
    c->pending++;
    kube_rediscover(c->kube, c->o.kinds, on_kinds, c);
    while (c->is_asking_kinds && !loop_stopping(c->loop))
        loop_run_once(c->loop, 200);
    if (c->has_new_kinds)
        c->kinds_due_ms = clock_mono_ms() + DISCOVERY_MS;
    return true;
}

// Revisions that cannot be read are given up, and whoever asked for them is told.
static void pinned(struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++) {
        struct tracked *t = &c->apps.v[i];
        int at = t->pins.len ? desired_tracked_app(c->desired, t->name) : -1;
        t->is_pinned = at >= 0 && t->is_known;
        if (at < 0 || t->is_known)
            continue;
        str_set(&t->refusal, c->desired->apps.v[at]->problem.msg);
        operation_pin(c, t, NULL);
        operation_settle(c, t, OPERATION_ERROR, t->refusal);
    }
}

// What is read for it is read elsewhere.
static void tell_pins(struct controller *c)
{
    CLEANUP(json_freep) json_t *pins = json_object();
    for (size_t i = 0; i < c->apps.len; i++) {
        const struct tracked *t = &c->apps.v[i];
        json_t *list = t->pins.len ? json_array() : NULL;
        for (size_t k = 0; k < t->pins.len; k++)
            json_array_append_new(list, json_string(t->pins.v[k]));
        if (list)
            json_object_set_new(pins, t->name, list);
    }
    if (json_equal(pins, c->told_pins) || (!c->told_pins && !json_object_size(pins)))
        return;
    json_decref(c->told_pins);
    c->told_pins = json_incref(pins);
    c->o.feed->pin(c->o.feed->ctx, json_deep_copy(pins), ++c->pin_number);
}

static void load_fed(struct controller *c)
{
    const struct controller_feed *f = c->o.feed;
    struct desired *next = NULL;
    struct err err = {0};
    unsigned pins = 0;
    if (renew_kinds(c))
        f->kinds(f->ctx, kinds_dup(c->o.kinds));
    tell_pins(c);
    if (c->is_refreshed)
        f->refresh(f->ctx, c->is_hard);
    c->must_load = c->is_hard = c->is_refreshed = false;
    f->take(f->ctx, &next, &pins, &err);
    if (err_is_set(&err))
        not_loaded(c, &err);
    if (!next)
        return;
    struct before was CLEANUP(before_clear) = before_load(c);
    struct source_changes changes CLEANUP(source_changes_clear) = {0};
    c->sum.loads++;
    c->app_is_read = c->map_is_read = true; // what people ask for comes with it
    source_compare(c->desired, next, &changes);
    desired_free(c->desired);
    c->desired = next;
    loaded(c, &was, &changes);
    if (pins == c->pin_number)
        pinned(c);
}

static bool load(struct controller *c, struct err *err)
{
    if (c->o.feed) {
        load_fed(c);
        return true;
    }
    (void)renew_kinds(c);
    if (c->must_renew_source)
        renew_source(c);
    argocd_watch(c);
    struct before was CLEANUP(before_clear) = before_load(c);
    struct source_changes changes CLEANUP(source_changes_clear) = {0};
    struct strv hard = {0};
    for (size_t i = 0; c->is_hard && i < c->apps.len; i++)
        strv_push(&hard, c->apps.v[i].name);
    struct source_now now = {.hard = &hard};
    VEC(struct source_pin) pins = {0};
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].pins.len)
            *vec_push(&pins) = (struct source_pin){c->apps.v[i].name, &c->apps.v[i].pins};
    now.pins = pins.v;
    now.n_pins = pins.len;
    now.ask_all = !c->is_from_poll;
    fleet_renew(c->fleet, &now);
    now.argocd = argocd_now(c, now.argocd);
    c->must_load = c->is_hard = c->is_polling = c->is_from_poll = false; // a load ends a poll
    c->sum.loads++;
    if (now.ask_all || !loop_timer_is_set(c->poll))
        loop_timer_set(c->poll, with_jitter(poll_ms(c)));
    c->is_loading = true;
    int64_t began = clock_mono_ms();
    bool ok = source_load_again(c->source, c->o.root, &c->desired, &now, &changes, err);
    c->is_loading = false;
    tidy_later(c);
    prom_observe(&c->sum.load_s, (double)(clock_mono_ms() - began) / 1000);
    strv_clear(&hard);
    vec_clear(&pins);
    if (ok) {
        loaded(c, &was, &changes);
        pinned(c);
        return true;
    }
    if (loop_stopping(c->loop) || c->o.once)
        return false;
    not_loaded(c, err);
    return true;
}

// ---- who leads ----

static void rest(struct controller *c, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end && !loop_stopping(c->loop))
        loop_run_once(c->loop, end - clock_mono_ms());
}

// Two that put back what the other has changed would never end: a replica that stood by while the
// cluster was handed over does not lead. *unread: nobody knows.
static bool is_still_ours(struct controller *c, bool *unread, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    enum hand_over then;
    enum kube_class cls;
    bool ok = kube_read(c->kube, REGROW_ROOT_PATH, KUBE_PATIENCE_MS,
                        "read who reconciles this cluster", &doc, &cls, err);
    *unread = !ok && cls != KUBE_OK;
    if (!ok)
        return false;
    CLEANUP(str_freep) char *name = inventory_then(doc);
    if (!name || (hand_over_parse(name, &then) && !hand_over_is_away(then)))
        return true;
    err_set(err, ERR_CONFLICT, "this cluster was handed over to %.40s, which reconciles it",
            hand_over_parse(name, &then) ? hand_over_title(then) : name);
    return err_hint(err, "When that is stopped, regrow bootstrap --then=regrow takes it back.");
}

// What another one has done meanwhile is looked at as if nothing were known.
static void begin_to_lead(struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++) {
        struct tracked *t = &c->apps.v[i];
        if (t->is_known)
            tracked_trigger(t, TRIGGER_START | (t->is_requested ? TRIGGER_REQUEST : 0), 0);
    }
    c->has_gone = true;
    c->is_leading = true;
    c->is_lead_told = false;
    for (size_t i = 0; i < c->apps.len; i++)
        c->apps.v[i].is_heard = false; // while another led nobody looked
    report_hear(c);
}

// False with err set: there is no use in another try.
static bool try_to_lead(struct controller *c, struct err *err)
{
    bool may_wait;
    if (lease_keeper_take(c->lease, c->o.deadline_ms, err)) {
        if (is_still_ours(c, &may_wait, err)) {
            begin_to_lead(c);
            return true;
        }
        lease_keeper_give_up(c->lease);
    } else {
        may_wait =
            err->kind == ERR_CONFLICT || err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
    }
    if (!may_wait || c->o.once || loop_stopping(c->loop))
        return false;
    if (!c->is_lead_told)
        event_emit(c->o.events, "lease.waiting", "{s:s}", "message", err->msg);
    c->is_lead_told = true;
    err_clear(err);
    return true;
}

// One of several replicas leads; the others stand by until the Lease is free.
static bool lead_alone(struct controller *c, struct err *err)
{
    if (controller_leads(c))
        return true;
    c->is_leading = false;
    report_unwatch(c);
    while (try_to_lead(c, err)) {
        if (c->is_leading || fleet_is_on(c->fleet))
            return true;
        rest(c, STANDBY_MS);
        if (loop_stopping(c->loop))
            return false;
    }
    return false;
}

// In a fleet this cluster is one of many, kept by the replica that has its share of them.
static bool lead_in_fleet(struct controller *c, struct err *err)
{
    bool may = fleet_has_hub(c->fleet);
    if (c->is_leading && (!may || !controller_leads(c))) {
        lease_keeper_give_up(c->lease);
        c->is_leading = false;
    }
    if (!may)
        fleet_let_hub_go(c->fleet);
    if (c->is_leading || !may || clock_mono_ms() < c->lead_due_ms)
        return true;
    c->lead_due_ms = clock_mono_ms() + STANDBY_MS;
    return try_to_lead(c, err);
}

bool controller_leads(const struct controller *c)
{
    return c->is_leading && !lease_keeper_is_lost(c->lease);
}

static bool is_read(const struct controller *c)
{
    return c->app_is_read && c->map_is_read;
}

// Nothing is done before it is known what people have asked for: an application that somebody has
// suspended must not be synced because the controller was restarted.
static void learn(struct controller *c)
{
    int64_t end = clock_mono_ms() + LEARN_MS;
    report_watch(c);
    while (!is_read(c) && clock_mono_ms() < end && !loop_stopping(c->loop))
        loop_run_once(c->loop, 200);
    bool is_told = c->is_unread_told;
    c->is_unread_told = !is_read(c);
    if (c->is_unread_told && !is_told && !loop_stopping(c->loop))
        event_emit(c->o.events, "run.warning", "{s:s}", "message",
                   "the API server does not say what people have asked for (Applications, the "
                   "ConfigMap control): nothing is synced before it does");
}

// ---- what it waits for ----

static int64_t next_due_ms(const struct controller *c)
{
    int64_t now = clock_mono_ms();
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < c->apps.len; i++) {
        const struct tracked *t = &c->apps.v[i];
        if (t->triggers && t->due_ms > now && t->due_ms - now < least)
            least = t->due_ms - now;
    }
    if (c->kinds_due_ms && c->kinds_due_ms - now < least)
        least = c->kinds_due_ms > now ? c->kinds_due_ms - now : 0;
    if (c->has_gone && !c->gone_is_held && c->gone_due_ms > now && c->gone_due_ms - now < least)
        least = c->gone_due_ms - now;
    return least;
}

static void wait_for_work(struct controller *c)
{
    int64_t due = next_due_ms(c);
    if (due < INT64_MAX)
        loop_timer_set(c->wake, due);
    loop_run_once(c->loop, -1);
    loop_timer_stop(c->wake);
    if (controller_is_due(c))
        loop_run_once(c->loop, SETTLE_MS);
}

static bool is_all_good(const struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].is_automated && (!c->apps.v[i].is_synced || !c->apps.v[i].is_healthy))
            return false;
    return true;
}

// What is asked for is about to be taken out, and done then.
static bool is_any_pending(const struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].is_pending && (c->apps.v[i].triggers & TRIGGER_REQUEST))
            return true;
    return false;
}

// The cron form has no sessions: who counts on it is told what it did not look at.
static void tell_elsewhere(const struct controller *c)
{
    size_t n = 0;
    for (size_t i = 0; c->desired && i < c->desired->apps.len; i++)
        n += c->desired->apps.v[i]->state == APP_OTHER_CLUSTER;
    if (!n)
        return;
    CLEANUP(str_freep)
    char *text = str_printf("%zu application%s to other clusters, which --once leaves alone; a "
                            "controller that stays keeps those that are registered",
                            n, n == 1 ? " goes" : "s go");
    event_emit(c->o.events, "run.warning", "{s:s}", "message", text);
}

// The cron form is over when nothing is owed but what only time can bring.
static bool once_is_over(struct controller *c, struct err *err)
{
    struct controller_counts n;
    if (!c->o.once || c->must_load || controller_is_due(c) || is_any_pending(c))
        return false;
    controller_counts(c, &n);
    tell_elsewhere(c);
    if (!is_all_good(c) || c->breaker || json_object_size(c->unordered))
        err_set(err, ERR_PARTIAL, "%zu of %zu applications are healthy and in sync",
                n.healthy < n.synced ? n.healthy : n.synced, n.apps);
    return true;
}

static bool is_out_of_time(const struct controller *c, struct err *err)
{
    if (!c->o.once || !c->o.deadline_ms || clock_mono_ms() < c->o.deadline_ms)
        return false;
    return !err_set(err, ERR_TIMEOUT, "timed out before all applications were healthy and in sync");
}

// A Lease that was lost is waited for like any other.
static bool may_go_on(const struct controller *c, struct err *err)
{
    if (!lease_keeper_is_lost(c->lease) || c->o.once || loop_stopping(c->loop))
        return false;
    err_clear(err);
    return true;
}

bool controller_run(struct controller *c, struct err *err)
{
    c->must_load = true;
    while (!loop_stopping(c->loop)) {
        if (fleet_is_on(c->fleet) ? !lead_in_fleet(c, err) : !lead_alone(c, err))
            break;
        c->must_load |= are_kinds_due(c);
        if (c->must_load && !load(c, err))
            break;
        if (c->desired && !is_read(c))
            learn(c);
        if (fleet_owes(c->fleet) && !fleet_load(c->fleet, err))
            break;
        if (is_out_of_time(c, err))
            return false;
        if (c->desired && !is_read(c))
            continue;
        order_refuse(c);
        if (c->desired && c->is_leading && controller_is_due(c)) {
            bool is_good = controller_turn(c, err);
            tidy_later(c);
            if (!is_good && !may_go_on(c, err))
                break;
        } else if (once_is_over(c, err)) {
            healthy_finish(c);
            return !err_is_set(err);
        } else if (!c->must_load) {
            wait_for_work(c);
        }
    }
    if (!loop_stopping(c->loop))
        return false;
    err_clear(err); // to be told to stop is no failure
    return true;
}

// What a person has to see to, or a sync window holds up, is nothing that hangs.
static bool is_waiting_for_a_turn(const struct controller *c, const struct tracked *t)
{
    int at = c->desired ? desired_tracked_app(c->desired, t->name) : -1;
    return at >= 0 && !t->held && !order_problem(c, t->name) &&
           tracked_is_owed(t, c->desired->apps.v[at]);
}

void controller_counts(const struct controller *c, struct controller_counts *out)
{
    *out = c->sum;
    out->is_leading = controller_leads(c);
    out->is_breaker_open = c->breaker != NULL;
    out->queue = 0;
    out->apps = c->apps.len;
    out->synced = out->healthy = out->out_of_sync = out->unknown = out->failed = 0;
    for (size_t i = 0; i < c->apps.len; i++) {
        const struct tracked *t = &c->apps.v[i];
        out->unknown += !t->is_known;
        out->synced += t->is_known && t->is_synced;
        out->out_of_sync += t->is_known && !t->is_synced;
        out->healthy += t->is_healthy;
        out->failed += t->tries > 0;
        out->queue += is_waiting_for_a_turn(c, t);
    }
}

bool controller_is_ready(const struct controller *c, char **why)
{
    bool leads = c->is_leading;
    if (leads && !c->has_loaded)
        *why = str_dup("nothing has been read from the sources yet");
    return !leads || c->has_loaded;
}
