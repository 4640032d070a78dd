// SPDX-License-Identifier: Apache-2.0
//
// Applications to any depth, level by level: the sources of all applications of a level come side
// by side and are rendered side by side, each as soon as it is there; then they are collected in
// their own order, so that what came first changes nothing.
#include "source/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/memo.h"

#define MAX_LEVELS 32
#define MAX_CREDENTIAL_ROUNDS 3

void app_unknown(struct loading *l, unsigned app, struct err *err)
{
    struct application *a = l->d->apps.v[app];
    a->state = APP_UNKNOWN;
    if (!err_is_set(&a->problem))
        err_move(&a->problem, err);
    err_clear(err);
    event_emit(l->s->o.events, "app.unknown", "{s:s, s:s}", "app", a->name, "message",
               a->problem.msg ? a->problem.msg : "");
}

static unsigned job_limit(const struct source *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return s->o.jobs ? s->o.jobs : (unsigned)(cores > 0 ? cores : 1) + 1;
}

// Starts what may run; false when all jobs of the application are done.
static bool run_jobs(struct app_jobs *j, unsigned *running, unsigned limit)
{
    bool open = false;
    for (size_t k = 0; k < j->n; k++) {
        struct render_job *job = &j->jobs[k];
        if (job->is_done || !job->argv.len)
            continue;
        open = true;
        if (!job->child && *running < limit) {
            render_spawn(job);
            ++*running;
        }
    }
    return open;
}

static void take_error(struct app_jobs *j)
{
    for (size_t k = 0; k < j->n && !err_is_set(&j->err); k++)
        if (err_is_set(&j->jobs[k].err))
            err_move(&j->err, &j->jobs[k].err);
    j->stage = err_is_set(&j->err) ? APP_READY : APP_READING;
}

// Goes on with an application as far as it can go now.
static void step(struct loading *l, struct app_jobs *j, unsigned *running, unsigned limit)
{
    if (j->stage == APP_PREPARING && waits_over(&j->waits))
        app_jobs_prepare(l, j);
    if (j->stage == APP_RENDERING && !run_jobs(j, running, limit))
        take_error(j);
    if (j->stage == APP_READING && waits_over(&j->waits)) {
        l->s->ctx.project = l->d->apps.v[j->app]->project;
        collect_needs(l, j->jobs, j->n);
        if (!app_jobs_wait(l, j))
            j->stage = APP_READY;
    }
}

static unsigned count_running(const struct app_jobs *all, size_t n)
{
    unsigned running = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < all[i].n; k++)
            running += all[i].jobs[k].child != NULL;
    return running;
}

static void cancel_jobs(struct app_jobs *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < all[i].n; k++)
            if (all[i].jobs[k].child)
                proc_cancel(all[i].jobs[k].child);
}

static bool stopped(const struct loading *l, const struct app_jobs *all, size_t n, struct err *err)
{
    struct strv open = {0};
    for (size_t i = 0; i < n; i++) {
        waits_tell(&all[i].waits, &open);
        for (size_t k = 0; k < all[i].n; k++)
            if (all[i].jobs[k].child)
                strv_push_take(&open, str_printf("%s, which renders application %s",
                                                 all[i].jobs[k].tool, all[i].jobs[k].app->name));
    }
    source_stopped(l->s, &open, err);
    strv_clear(&open);
    return false;
}

bool load_run(struct loading *l, struct app_jobs *all, size_t n, struct err *err)
{
    unsigned limit = job_limit(l->s);
    struct loop *loop = l->s->loop;
    while (!loop_stopping(loop)) {
        unsigned running = count_running(all, n);
        size_t open = 0;
        size_t deferred = 0;
        for (size_t i = 0; i < n; i++) {
            step(l, &all[i], &running, limit);
            open += all[i].stage != APP_READY;
            deferred += all[i].stage == APP_PREPARING && waits_over(&all[i].waits);
        }
        if (!open)
            return true;
        loop_run_once(loop, deferred ? 0 : 200);
    }
    stopped(l, all, n, err);
    cancel_jobs(all, n);
    while (count_running(all, n))
        loop_run_once(loop, 100);
    return false;
}

void load_tell_rendered(struct loading *l, const struct app_jobs *j)
{
    for (size_t i = 0; i < j->n; i++) {
        const struct render_job *job = &j->jobs[i];
        if (job->ms)
            event_emit(l->s->o.events, "app.rendered", "{s:s, s:s, s:I, s:I}", "app",
                       job->app->name, "tool", job->tool, "objects", (json_int_t)job->docs.len,
                       "ms", (json_int_t)job->ms);
    }
}

static void finish_app(struct loading *l, struct app_jobs *j)
{
    j->is_collected = true;
    if (j->known)
        memo_tell(l, j->known);
    for (size_t i = 0; i < j->n; i++) {
        struct render_job *job = &j->jobs[i];
        for (size_t k = 0; k < job->answers.len; k++)
            if (!strv_has(&l->told.answers, job->answers.v[k]))
                strv_push(&l->told.answers, job->answers.v[k]);
        if (job->asks.any && !l->told.n_all)
            l->told.n_all = l->s->api_versions.len;
    }
    load_tell_rendered(l, j);
    l->s->ctx.project = l->d->apps.v[j->app]->project;
    if (err_is_set(&j->err))
        app_unknown(l, j->app, &j->err);
    else
        collect_app(l, j);
}

// What is known of it holds for other scopes of kinds than there are now: it is read after all.
static bool settle_known(struct loading *l, struct app_jobs *j, struct err *err)
{
    if (!j->known || memo_fits(l, j->known))
        return true;
    j->known = NULL;
    j->is_unlike = true;
    j->stage = APP_PREPARING;
    return load_run(l, j, 1, err);
}

// Collects what came. What was denied is left for another try if a credential for it may have
// been among the objects of its neighbours; true when there is such.
static bool finish_level(struct loading *l, struct app_jobs *all, size_t n, bool last_try,
                         struct err *err)
{
    unsigned before = creds_generation(l->s->ctx.creds);
    bool denied = false;
    for (size_t i = 0; i < n; i++) {
        bool wait = all[i].err.kind == ERR_DENIED && !last_try;
        denied |= wait && !all[i].is_collected;
        if (all[i].is_collected || wait)
            continue;
        l->is_stopped = !settle_known(l, &all[i], err);
        if (l->is_stopped)
            return false;
        finish_app(l, &all[i]);
    }
    if (!denied)
        return false;
    if (creds_generation(l->s->ctx.creds) == before || !source_retry_denied(l->s))
        return finish_level(l, all, n, true, err);
    for (size_t i = 0; i < n; i++)
        if (!all[i].is_collected)
            all[i].stage = APP_PREPARING;
    return true;
}

static bool load_level(struct loading *l, const unsigned *apps, size_t n, struct err *err)
{
    struct app_jobs *all = mem_alloc((n + 1) * sizeof(*all));
    for (size_t i = 0; i < n; i++) {
        all[i].app = apps[i];
        all[i].stage = APP_PREPARING;
        l->turns.v[apps[i]] = TURN_DONE; // unless it is put off
    }
    bool ok = load_run(l, all, n, err);
    size_t prepared = 0;
    for (size_t i = 0; i < n; i++)
        prepared += !err_is_set(&all[i].err);
    event_emit(l->s->o.events, "source.level", "{s:I, s:I}", "apps", (json_int_t)n, "prepared",
               (json_int_t)prepared);
    // A credential may lead to the next: a few tries.
    for (int round = 0; ok && finish_level(l, all, n, round == MAX_CREDENTIAL_ROUNDS, err); round++)
        ok = load_run(l, all, n, err);
    ok = ok && !l->is_stopped;
    for (size_t i = 0; i < n; i++) {
        app_jobs_clear(&all[i]);
        vec_clear(&all[i].waits.v);
    }
    free(all);
    return ok;
}

static unsigned depth_of(const struct desired *d, unsigned app)
{
    unsigned depth = 0;
    for (int i = (int)app; i > 0 && depth <= MAX_LEVELS; i = d->apps.v[i]->parent)
        depth++;
    return depth;
}

// May it be read now? One that may not stays as it is, or on the last call becomes unknown.
static bool is_next(struct loading *l, unsigned app)
{
    struct application *a = l->d->apps.v[app];
    struct err err = {0};
    if (l->turns.v[app] == TURN_DONE || (l->turns.v[app] == TURN_PUT_OFF && !l->is_last_call))
        return false;
    if (a->state == APP_UNKNOWN || is_other_cluster(l, a)) {
        l->turns.v[app] = TURN_DONE;
        if (a->state == APP_UNKNOWN)
            app_unknown(l, app, &err);
        else
            a->state = APP_OTHER_CLUSTER;
        return false;
    }
    if (judge_app(l, a, &err))
        return true;
    if (l->is_last_call) {
        l->turns.v[app] = TURN_DONE;
        app_unknown(l, app, &err);
    }
    err_clear(&err);
    return false;
}

// Reads what can be read now; *any tells whether there was anything.
static bool load_next(struct loading *l, bool *any, struct err *err)
{
    VEC(unsigned) apps = {0};
    bool ok = true;
    while (l->turns.len < l->d->apps.len)
        *vec_push(&l->turns) = TURN_WAITING;
    for (unsigned i = 0; ok && i < l->d->apps.len; i++) {
        if (!is_next(l, i))
            continue;
        ok = depth_of(l->d, i) < MAX_LEVELS ||
             err_set(err, ERR_INVALID, "applications are nested deeper than %d", MAX_LEVELS);
        *vec_push(&apps) = i;
    }
    *any = apps.len > 0;
    ok = ok && (!*any || load_level(l, apps.v, apps.len, err));
    vec_clear(&apps);
    return ok;
}

static bool load_all(struct loading *l, struct err *err)
{
    for (;;) {
        bool any = false;
        if (!load_next(l, &any, err))
            return false;
        if (l->d->apps.v[0]->state == APP_UNKNOWN) {
            err_copy(err, &l->d->apps.v[0]->problem); // nothing at all is known
            return false;
        }
        if (!any && l->is_last_call)
            return true;
        l->is_last_call = !any;
    }
}

unsigned source_served_kinds(const struct source *s)
{
    static const char *const kinds[] = {"Application", "ApplicationSet", "AppProject"};
    unsigned served = 0;
    for (unsigned i = 0; s->o.kind_served && i < ARRAY_LEN(kinds); i++)
        served |= (unsigned)s->o.kind_served(s->o.ctx, "argoproj.io", kinds[i]) << i;
    return served;
}

bool source_load_once(struct source *s, const struct desired *hub, struct desired **out,
                      struct told_apis *told, struct err *err)
{
    struct desired *d = *out;
    struct loading l = {.s = s,
                        .d = d,
                        .names = json_object(),
                        .namespaces = json_object(),
                        .virtual_projects = json_object(),
                        .root_kinds = json_object(),
                        .kinds = kinds_new()};
    source_add_known_kinds(s, l.kinds);
    l.served = source_served_kinds(s);
    if (s->memo)
        memo_base_begin(s->memo);
    desired_add_app_take(d, application_new_root(s->root.name));
    d->apps.v[0]->origin.repo = str_dup(s->root.name);
    if (hub)
        load_seed(&l, hub);
    bool ok = load_all(&l, err);
    if (ok)
        collect_finish(&l);
    if (hub)
        load_settle(&l);
    json_decref(l.names);
    json_decref(l.namespaces);
    json_decref(l.virtual_projects);
    json_decref(l.root_keys);
    json_decref(l.root_kinds);
    vec_clear(&l.turns);
    vec_clear(&l.known);
    if (!hub)
        str_set(&s->global_projects, l.global_projects);
    free(l.global_projects);
    kinds_free(l.kinds);
    *told = l.told;
    return ok && desired_finish(d, err);
}
