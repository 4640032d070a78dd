// SPDX-License-Identifier: Apache-2.0
//
// A turn: one run about the applications that are due, and what has become of each.
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/fleet_int.h"
#include "reconcile/lease.h"
#include "reconcile/run_int.h"
#include "reconcile/windows.h"

#define UNDELETED_MS 30000
#define LONE_MS 2000
#define LONG_MS 20000      // so long what has ended waits for what has not
#define LOAD_LATER_MS 2000 // a turn is not broken off at once to look whether there is anything new
#define WINDOW_MS 60000    // a window that does not say when it changes is asked again

// ---- what it is about ----

static const json_t *project_of(const struct controller *c, const struct application *a)
{
    for (size_t i = 0; i < c->desired->projects.len; i++)
        if (str_eq(json_dot_str(c->desired->projects.v[i], "metadata.name"), a->project))
            return c->desired->projects.v[i];
    return NULL;
}

// Where a sync window forbids it, it is due when that one changes.
static bool is_permitted(const struct controller *c, const struct application *a, struct tracked *t)
{
    const json_t *project = project_of(c, a);
    struct window_verdict v = {0};
    if (!json_array_size(json_dot(project, "spec.syncWindows")))
        return true;
    int64_t now = clock_unix_ms() / 1000;
    bool is_running = t->triggers & (TRIGGER_UNFINISHED | TRIGGER_RETRY);
    windows_permit(project, a, now, t->triggers & TRIGGER_REQUEST, is_running, &v);
    if (v.warning && !str_eq(t->zone_warning, v.warning))
        event_emit(c->o.events, "run.warning", "{s:s}", "message", v.warning);
    str_set(&t->zone_warning, v.warning);
    bool ok = v.is_permitted;
    if (!ok && !str_eq(t->held, v.why))
        event_emit(c->o.events, "sync.held", "{s:s, s:s}", "app", t->name, "message", v.why);
    str_set(&t->held, ok ? NULL : v.why);
    if (!ok)
        t->due_ms = clock_mono_ms() +
                    (v.next_change_unix_s > now ? (v.next_change_unix_s - now) * 1000 : WINDOW_MS);
    window_verdict_clear(&v);
    return ok;
}

// Nothing is done of its own accord now, so nothing of what it had is deleted either; but when a
// person asks for it. One that is gone, and that another one says it needs, may have gone by
// mistake: its objects stay until Git says one thing of it. plan_policy.is_resting
static bool is_resting(const void *ctx, const char *app)
{
    const struct controller *c = ctx;
    const struct tracked *t = tracked_find(c, app);
    int at = desired_tracked_app(c->desired, app);
    if (at < 0)
        return order_needs(c, app);
    if (!t || (t->is_on && t->is_requested))
        return false;
    const json_t *project = project_of(c, c->desired->apps.v[at]);
    bool may = !t->is_suspended;
    if (may && json_array_size(json_dot(project, "spec.syncWindows"))) {
        struct window_verdict v = {0};
        windows_permit(project, c->desired->apps.v[at], clock_unix_ms() / 1000, false, false, &v);
        may = v.is_permitted;
        window_verdict_clear(&v);
    }
    return !may;
}

static bool is_its_turn(const struct controller *c, size_t app, int64_t now_ms)
{
    const struct application *a = c->desired->apps.v[app];
    struct tracked *t = tracked_of(c, app);
    if (!t || !tracked_is_due(t, now_ms) || !tracked_is_owed(t, a) || order_problem(c, t->name))
        return false;
    if ((t->triggers & TRIGGER_REQUEST) && t->is_pending)
        return false; // it still stands in its Application: another process would do it once more
    bool is_trial = (t->triggers & TRIGGER_REQUEST) && t->asked && !t->is_over && t->op.dry_run;
    return is_trial || is_permitted(c, a, t); // a trial writes nothing
}

// Asked all the time: most of the time nothing is, whatever the number of applications.
static bool any_is_due(const struct controller *c, int64_t now_ms)
{
    for (size_t i = 0; i < c->apps.len; i++)
        if (tracked_is_due(&c->apps.v[i], now_ms))
            return true;
    return false;
}

bool controller_is_due(struct controller *c)
{
    int64_t now = clock_mono_ms();
    bool may_prune_gone = c->has_gone && !c->gone_is_held && c->desired && c->gone_due_ms <= now;
    if (!may_prune_gone && !any_is_due(c, now))
        return false;
    for (size_t i = 0; c->desired && !may_prune_gone && i < c->desired->apps.len; i++)
        if (is_its_turn(c, i, now))
            return true;
    return may_prune_gone;
}

// What is asked for with more than a revision is about that application alone, and has a turn of
// its own.
static int operating(const struct controller *c, int64_t now_ms)
{
    size_t n = c->desired->apps.len;
    for (size_t k = 0; k < n; k++) {
        size_t i = (c->next_alone + k) % n;
        const struct tracked *t = tracked_of(c, i);
        if (t && operation_is_alone(t) && is_its_turn(c, i, now_ms))
            return (int)i;
    }
    return -1;
}

static bool is_common(const struct controller *c, size_t app, int64_t now_ms)
{
    const struct tracked *t = tracked_of(c, app);
    return t && !operation_is_alone(t) && is_its_turn(c, app, now_ms);
}

static bool is_gone_due(const struct controller *c, int64_t now_ms)
{
    return c->has_gone && !c->gone_is_held && c->gone_due_ms <= now_ms;
}

// An operation that does not come to its end takes turns with everything else.
static void choose_alone(struct controller *c, int64_t now_ms)
{
    bool any_other = is_gone_due(c, now_ms);
    c->alone = operating(c, now_ms);
    for (size_t i = 0; c->alone >= 0 && c->was_alone && i < c->desired->apps.len; i++)
        any_other |= is_common(c, i, now_ms);
    if (c->was_alone && any_other)
        c->alone = -1;
    c->was_alone = c->alone >= 0;
    if (c->was_alone)
        c->next_alone = (size_t)c->alone + 1;
}

static size_t choose(struct controller *c, bool *take)
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    bool held = false;
    choose_alone(c, now);
    for (size_t i = 0; i < c->desired->apps.len; i++) {
        take[i] = c->alone < 0 ? is_common(c, i, now) : (int)i == c->alone;
        // What the breaker holds back goes by itself: nothing is deleted in that turn.
        bool is_one = take[i] && c->alone < 0 && tracked_of(c, i)->prune_is_held;
        if (take[i] && !n)
            held = is_one;
        take[i] &= is_one == held;
        n += take[i];
    }
    return n;
}

// The application of the operation that has this turn for itself, or NULL.
static struct tracked *lone(const struct controller *c)
{
    return c->alone < 0 ? NULL : tracked_of(c, (size_t)c->alone);
}

static bool is_consented(const struct controller *c)
{
    const struct tracked *t = lone(c);
    return t && t->op.prune && !t->op.dry_run;
}

static json_t *taken_names(const struct desired *d, const bool *take)
{
    json_t *names = json_array();
    for (size_t i = 0; i < d->apps.len; i++)
        if (take[i])
            json_array_append_new(names, json_string(d->apps.v[i]->tracking_name));
    return names;
}

// ---- when it makes way ----

bool turn_makes_way(void *ctx)
{
    struct controller *c = ctx;
    int64_t on_ms = clock_mono_ms() - c->turn_ms;
    bool must_load = c->must_load && on_ms > LOAD_LATER_MS;
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].next)
            return true;
    return must_load || (!c->o.once && on_ms > LONG_MS) || controller_is_due(c);
}

// ---- what has become of it ----

// What a person asked for stays asked for until it is done.
static unsigned request_of(const struct tracked *t)
{
    return t->is_requested ? TRIGGER_REQUEST : 0;
}

static void failed(struct controller *c, struct tracked *t, const struct application *a,
                   const char *problem)
{
    int64_t delay = t->asked && t->op.retry ? retry_delay_of(t->op.retry, ++t->tries)
                                            : retry_delay_ms(a, ++t->tries);
    waiting_over(t);
    c->sum.failed_syncs++;
    str_set(&t->problem, problem);
    t->is_synced = false;
    t->ended_unix_s = clock_unix_ms() / 1000;
    report_news(c, t->name);
    if (delay >= 0)
        tracked_trigger(t, TRIGGER_RETRY | request_of(t), clock_mono_ms() + delay);
    event_emit(c->o.events, "sync.failed", "{s:s, s:s, s:I, s:I}", "app", t->name, "message",
               problem, "tries", (json_int_t)t->tries, "retryInMs", (json_int_t)delay);
}

// A part of it is as was asked for; the rest may be or not.
static void part_came_true(struct controller *c, struct tracked *t, unsigned app,
                           const struct operation_tally *n)
{
    t->tries = 0;
    str_set(&t->problem, NULL);
    t->is_synced = !t->prune_is_held && report_is_as_recorded(c, app);
    if (!n->matched)
        operation_settle(c, t, OPERATION_FAILED, OPERATION_NONE_MATCH);
    else
        operation_settle(c, t, OPERATION_SUCCEEDED, NULL);
}

static void came_true(struct controller *c, struct tracked *t, const struct app_view *v)
{
    bool was = t->is_synced;
    c->sum.syncs += !was;
    t->tries = 0;
    waiting_over(t);
    t->is_synced = !t->prune_is_held;
    t->is_requested = false;
    t->is_healthy = v->health <= HEALTH_SUSPENDED;
    str_set(&t->problem, NULL);
    t->ended_unix_s = clock_unix_ms() / 1000;
    t->is_deployed |= !was;
    report_news(c, t->name);
    if (!was)
        event_emit(c->o.events, "sync.done", "{s:s, s:s, s:I}", "app", t->name, "health",
                   health_name(v->health), "objects", (json_int_t)v->total);
}

// What made way goes on at once; what could not be deleted in its time is given some more.
static int64_t again_ms(const struct run_summary *s)
{
    return s->is_superseded ? 0 : clock_mono_ms() + UNDELETED_MS;
}

static void unfinished(struct controller *c, struct tracked *t, const struct app_view *v,
                       const struct run_summary *s)
{
    CLEANUP(str_freep)
    char *text = *v->waits_for ? str_printf("waiting for %s", v->waits_for) : NULL;
    str_set(&t->said, text);
    report_news(c, t->name);
    int64_t at = again_ms(s);
    // What has a turn of its own made way for others: they have theirs first.
    if (s->is_superseded && t == lone(c))
        at = clock_mono_ms() + LONE_MS;
    tracked_trigger(t, TRIGGER_UNFINISHED | request_of(t), at);
}

// All else of it is done. It goes on when somebody approves; until then nothing is tried.
static void waits_for_approval(struct controller *c, struct tracked *t, const struct app_view *v)
{
    CLEANUP(str_freep) char *text = approval_text(c, t->name);
    t->tries = 0;
    t->is_synced = false;
    t->is_healthy = v->health <= HEALTH_SUSPENDED;
    str_set(&t->problem, NULL);
    str_set(&t->said, text ? text : "waiting for pruning confirmation");
    report_news(c, t->name);
}

// What the breaker held back of an application; NULL: of those that are gone.
static size_t held_back(const struct run *r, const char *app)
{
    const struct plan *p = run_plan(r);
    size_t n = 0;
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object >= 0 || !str_eq(it->row, "P7"))
            continue;
        const char *whose = r->records.v[it->record].app;
        n += app ? str_eq(whose, app) : desired_tracked_app(r->desired, whose) < 0;
    }
    return n;
}

static void absorb_app(struct controller *c, const struct run *r, const struct run_summary *s,
                       unsigned app)
{
    const struct application *a = c->desired->apps.v[app];
    struct tracked *t = tracked_of(c, app);
    struct operation_tally n;
    struct app_view v;
    operation_note(t, r, app, &n);
    // A part of it says nothing of the rest.
    t->prune_is_held &= operation_is_partial(t) || held_back(r, t->name) > 0;
    if (operation_ended(c, t))
        return;
    run_app(r, app, &v);
    if (v.state == NODE_FAILED || v.state == NODE_BLOCKED)
        failed(c, t, a, *v.problem ? v.problem : v.waits_for);
    else if (v.applied < v.total || run_unpruned(r, a->tracking_name))
        unfinished(c, t, &v, s);
    else if (run_awaiting(r, t->name))
        waits_for_approval(c, t, &v);
    else if (operation_is_partial(t))
        part_came_true(c, t, app, &n);
    else
        came_true(c, t, &v);
    app_view_clear(&v);
}

static bool is_definition(const struct object_id *id)
{
    return !strcmp(id->kind, "CustomResourceDefinition") || !strcmp(id->kind, "APIService");
}

static void gone_again(struct controller *c, int64_t due_ms)
{
    if (!c->has_gone || due_ms < c->gone_due_ms)
        c->gone_due_ms = due_ms;
    c->has_gone = true;
}

// Of an application that is gone: not deleted yet, or not until what is unknown is known.
static void absorb_gone(struct controller *c, const struct run_summary *s,
                        const struct plan_item *it)
{
    bool rests = it->row && !strcmp(it->row, "P17");
    if (rests)
        gone_again(c, clock_mono_ms() + WINDOW_MS);
    else if (it->action == ACTION_PRUNE || it->is_leftover)
        gone_again(c, again_ms(s));
    c->gone_rests |= rests;
    c->gone_waits |= it->row && (!strcmp(it->row, "P2") || !strcmp(it->row, "P9"));
}

// What a turn does to more than its applications.
static void absorb_plan(struct controller *c, const struct run *r, const struct run_summary *s)
{
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object >= 0)
            c->has_new_kinds |= it->action != ACTION_NONE && it->action != ACTION_VIRTUAL &&
                                is_definition(&r->desired->objects.v[it->object].id);
        else if (desired_tracked_app(r->desired, r->records.v[it->record].app) < 0)
            absorb_gone(c, s, it);
    }
    c->must_load |= c->has_new_kinds;
}

// It is closed again when nothing is held back any more.
static void close_breaker(struct controller *c)
{
    bool any = c->gone_is_held;
    for (size_t i = 0; i < c->apps.len; i++)
        any |= c->apps.v[i].prune_is_held;
    if (c->breaker && !any) {
        event_emit(c->o.events, "breaker.closed", "{}");
        str_set(&c->breaker, NULL);
    }
}

static void absorb(struct controller *c, const struct run *r, const bool *take)
{
    struct run_summary s;
    run_summary(r, &s);
    c->gone_was_seen |= r->desired->is_with_gone;
    approval_absorb(c, r, take);
    absorb_plan(c, r, &s);
    c->sum.writes += s.written;
    c->sum.pruned += s.pruned;
    for (unsigned i = 0; i < c->desired->apps.len; i++)
        if (take[i])
            absorb_app(c, r, &s, i);
    if (r->desired->is_with_gone)
        c->gone_is_held &= held_back(r, NULL) > 0;
    close_breaker(c);
    drift_healed(c, r);
}

// The run as a whole came to nothing: every one of its applications has its reason.
static void refused(struct controller *c, const bool *take, const struct err *why)
{
    for (unsigned i = 0; i < c->desired->apps.len; i++)
        if (take[i])
            failed(c, tracked_of(c, i), c->desired->apps.v[i], why->msg);
}

// ---- the run ----

static bool carry_out(struct controller *c, struct run *r, struct err *err)
{
    waiting_begin(c);
    bool ok = run_execute(r, err);
    waiting_end(c);
    return ok;
}

const json_t *controller_left_wrong(const struct controller *c)
{
    return c->left_wrong;
}

void left_warn(const struct controller *c, const json_t *wrong)
{
    const char *app;
    json_t *why;
    json_object_foreach((json_t *)wrong, app, why)
    {
        CLEANUP(str_freep)
        char *text = str_printf("%s: its --prune-left has nothing to do, and can be left out",
                                json_string_value(why));
        event_emit(c->o.events, "run.warning", "{s:s}", "message", text);
    }
}

// A fleet is told when all have looked, for what is not here may be there.
static void left_looked(struct controller *c, json_t *wrong)
{
    json_decref(c->left_wrong);
    c->left_wrong = json_incref(wrong);
    if (!c->o.feed && !fleet_is_on(c->fleet))
        left_warn(c, wrong);
}

static bool run_part_of(struct controller *c, const bool *take, bool with_gone, bool prune,
                        struct err *err)
{
    CLEANUP(application_vary_freep) struct application *variant = NULL;
    struct desired *part CLEANUP(desired_freep) = desired_part(c->desired, take, with_gone);
    struct tracked *t = lone(c);
    struct run_opts o = c->run_opts;
    o.policy.prune = prune && o.policy.prune;
    o.policy.is_approved = approval_covers;
    o.policy.approved_ctx = c;
    o.policy.is_resting = is_resting;
    o.policy.resting_ctx = c;
    if (t)
        operation_shape(t, (unsigned)c->alone, part, &o, &variant);
    struct run *r CLEANUP(run_freep) = c->run = run_new(c->loop, c->kube, part, &o);
    bool ok = run_prepare(r, err);
    c->is_left_wrong = r->is_left_wrong;
    if (ok && r->left_wrong)
        left_looked(c, r->left_wrong);
    c->run_opts.policy.is_left_known |= ok && with_gone; // they go, and are no mistake then
    if (ok && o.read_only)
        ok = run_rehearse(r, err);
    else if (ok)
        ok = carry_out(c, r, err);
    if (ok && !o.read_only)
        absorb(c, r, take);
    else if (ok && !operation_ended(c, t))
        operation_rehearsed(c, t, r, (unsigned)c->alone);
    c->run = NULL;
    return ok;
}

// What ends the controller, and not only this turn.
static bool is_fatal(const struct controller *c, const struct err *err)
{
    return err->kind == ERR_CANCELLED || err->kind == ERR_INTERNAL || loop_stopping(c->loop) ||
           lease_keeper_is_lost(c->lease) || c->is_left_wrong;
}

static void tripped(struct controller *c, const char *why)
{
    str_set(&c->breaker, why);
    event_emit(c->o.events, "breaker.tripped", "{s:s, s:s}", "message", why, "hint",
               "Nothing is deleted. If that is what Git says: regrow sync APP --prune, of the "
               "application, or of the root for what applications left that are gone.");
}

// Too much would be deleted. All else of it is done, and the deletion waits for a person: that turn
// finds out of which of them anything is to be deleted at all.
static bool trip(struct controller *c, const bool *take, bool with_gone, struct err *err)
{
    c->gone_is_held |= with_gone;
    for (size_t i = 0; i < c->desired->apps.len; i++)
        if (take[i])
            tracked_of(c, i)->prune_is_held = true;
    tripped(c, err->msg);
    err_clear(err);
    return run_part_of(c, take, with_gone, false, err);
}

// A cycle, or whatever else a whole turn breaks on, is that of one application or of two: each by
// itself.
static bool one_by_one(struct controller *c, const bool *take, struct err *err)
{
    bool *one = mem_alloc(c->desired->apps.len + 1);
    bool ok = true;
    bool any = false;
    for (size_t i = 0; ok && i < c->desired->apps.len; i++) {
        if (!take[i])
            continue;
        // Each would be judged alone: what is to be deleted waits until they go together.
        struct tracked *t = tracked_of(c, i);
        one[i] = t->prune_is_held = true;
        if (run_part_of(c, one, false, false, err)) {
            any |= t->prune_is_held;
        } else if (is_fatal(c, err)) {
            ok = false;
        } else {
            refused(c, one, err);
            err_clear(err);
            any = true; // held until it goes well
        }
        one[i] = false;
    }
    if (any && !c->breaker)
        tripped(c, "what is to be deleted waits: its applications cannot go together now");
    free(one);
    return ok;
}

// Choosing has seen to it that all of a turn are held, or none.
static bool is_held(const struct controller *c, const bool *take)
{
    for (size_t i = 0; i < c->desired->apps.len && !is_consented(c); i++)
        if (take[i] && tracked_of(c, i)->prune_is_held)
            return true;
    return false;
}

static bool run_turn(struct controller *c, const bool *take, size_t n, bool with_gone,
                     struct err *err)
{
    if (run_part_of(c, take, with_gone, !is_held(c, take), err)) {
        c->run_opts.policy.replaced_root = NULL; // from now on this is the root
        return true;
    }
    // Another root than before: whoever began this must say that it is meant.
    if (is_fatal(c, err) || (err->kind == ERR_CONFLICT && c->run_opts.policy.replaced_root))
        return false;
    if (lone(c) && lone(c)->op.dry_run) {
        operation_settle(c, lone(c), OPERATION_FAILED, err->msg);
        err_clear(err);
        return true;
    }
    if (err->kind == ERR_CONFLICT && trip(c, take, with_gone, err))
        return true;
    if (is_fatal(c, err))
        return false;
    if (err->kind == ERR_INVALID && n > 1) {
        err_clear(err);
        return one_by_one(c, take, err);
    }
    refused(c, take, err);
    err_clear(err);
    return true;
}

void turn_begin(struct controller *c, struct tracked *t)
{
    bool is_asked = t->asked && !t->is_over && (t->triggers & TRIGGER_REQUEST);
    bool is_unfinished = !t->is_over && (t->triggers & (TRIGGER_RETRY | TRIGGER_UNFINISHED));
    bool goes_on = is_asked || is_unfinished;
    // What is done of our own accord was asked for by nobody.
    if (!goes_on) {
        operation_clear(t);
        t->began_unix_s = clock_unix_ms() / 1000;
    }
    t->is_on = true;
    if (!(t->triggers & TRIGGER_UNFINISHED))
        waiting_over(t);
    t->is_requested |= (t->triggers & TRIGGER_REQUEST) != 0;
    t->triggers =
        is_asked && operation_is_partial(t)
            ? t->triggers & ~(unsigned)(TRIGGER_REQUEST | TRIGGER_RETRY | TRIGGER_UNFINISHED)
            : 0;
    t->ended_unix_s = 0;
    str_set(&t->said, NULL);
    report_news(c, t->name);
}

// What was asked for meanwhile is taken up, and what was to end and did not come to it has ended.
static void turn_ended(struct controller *c, const bool *take)
{
    for (size_t i = 0; i < c->desired->apps.len; i++) {
        struct tracked *t = take[i] ? tracked_of(c, i) : NULL;
        if (!t)
            continue;
        t->is_on = false;
        (void)operation_ended(c, t);
        control_begin_next(c, t);
    }
}

// What applications left that are gone is the root's.
static bool is_about_gone(const struct controller *c, const bool *take)
{
    if (c->alone >= 0)
        return c->alone == 0 && !operation_is_partial(lone(c)) && (c->has_gone || c->gone_is_held);
    return c->has_gone && !c->gone_is_held && !is_held(c, take) &&
           c->gone_due_ms <= clock_mono_ms();
}

bool controller_turn(struct controller *c, struct err *err)
{
    bool *take = mem_alloc(c->desired->apps.len + 1);
    size_t n = choose(c, take);
    bool with_gone = is_about_gone(c, take);
    int64_t began = clock_mono_ms();
    json_t *names = taken_names(c->desired, take);
    event_emit(c->o.events, "turn.started", "{s:O}", "apps", names);
    c->has_gone &= !with_gone;
    c->gone_rests &= !with_gone;
    c->gone_was_seen = false;
    c->turn_ms = began;
    for (size_t i = 0; i < c->desired->apps.len; i++)
        if (take[i])
            turn_begin(c, tracked_of(c, i));
    bool ok = run_turn(c, take, n, with_gone, err);
    turn_ended(c, take);
    c->alone = -1;
    if (with_gone && !c->gone_was_seen && !c->gone_is_held) {
        c->has_gone = true;
        c->gone_due_ms = clock_mono_ms() + UNDELETED_MS;
    }
    healthy_later(c);
    c->sum.turns++;
    c->sum.last_turn_unix_s = clock_unix_ms() / 1000;
    prom_observe(&c->sum.turn_s, (double)(clock_mono_ms() - began) / 1000);
    event_emit(c->o.events, "turn.finished", "{s:O, s:I}", "apps", names, "ms",
               (json_int_t)(clock_mono_ms() - began));
    json_decref(names);
    free(take);
    return ok;
}
