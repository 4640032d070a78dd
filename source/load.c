// SPDX-License-Identifier: Apache-2.0
//
// Applications to any depth, level by level: the sources of all applications of a level are
// rendered side by side, then read for the next level.
#include "source/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define MAX_LEVELS 32

// The jobs of one application.
struct app_jobs {
    unsigned app;
    struct render_job *jobs;
    size_t n;
    struct ref_tree *refs;
    size_t n_refs;
    struct err err;
};

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

static bool find_refs(struct loading *l, struct app_jobs *j, struct err *err)
{
    struct application *a = l->d->apps.v[j->app];
    j->refs = mem_alloc((a->sources.len + 1) * sizeof(*j->refs));
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *src = &a->sources.v[i];
        if (!src->ref)
            continue;
        struct ref_tree *r = &j->refs[j->n_refs++];
        r->name = src->ref;
        if (!source_tree(l->s, src->repo_url, src->target_revision, src->tag_prefix, &r->tree, err))
            return false;
    }
    return true;
}

static void note_revision(struct application *a, const char *revision, const char *shown)
{
    strv_push(&a->revisions, revision ? revision : "");
    char *text = a->revision_text ? str_printf("%s, %s", a->revision_text, shown) : str_dup(shown);
    free(a->revision_text);
    a->revision_text = text;
}

// An OCI artifact that is no chart: its files are a tree of their own.
static bool unpack_artifact(struct loading *l, struct render_job *job, struct err *err)
{
    struct tree *t = mem_alloc(sizeof(*t));
    *vec_push(&l->s->trees) = t;
    t->repo = str_dup(job->src->repo_url);
    t->revision = str_dup(job->chart.version);
    if (!dir_make_temp("regrow-artifact", &t->dir, err) ||
        !archive_unpack(job->chart.file, t->dir, err))
        return false;
    t->export_dir = str_dup(t->dir); // removed with the tree
    job->tree = t;
    chart_clear(&job->chart);
    return true;
}

static bool prepare_source(struct loading *l, unsigned app, struct render_job *job, struct err *err)
{
    struct application *a = l->d->apps.v[app];
    const struct app_source *src = job->src;
    if (!path_clean(src->path, &job->path))
        return err_set(err, ERR_INVALID, "spec.source.path \"%s\" leaves the repository",
                       src->path);
    if (src->kind == APP_SOURCE_GIT) {
        if (!source_tree(l->s, src->repo_url, src->target_revision, src->tag_prefix, &job->tree,
                         err))
            return false;
        job->revision = str_dup_or_null(job->tree->commit);
        note_revision(a, job->revision, job->tree->revision ? job->tree->revision : "folder");
        return true;
    }
    if (!chart_fetch(&l->s->ctx, src->repo_url, src->chart, src->target_revision, &job->chart, err))
        return false;
    job->revision = str_dup(job->chart.version);
    CLEANUP(str_freep)
    char *shown = str_printf("%s %s", job->chart.is_helm ? "helm" : "oci", job->chart.version);
    note_revision(a, job->chart.version, shown);
    return job->chart.is_helm || unpack_artifact(l, job, err);
}

static void init_job(struct loading *l, struct app_jobs *j, struct render_job *job,
                     const struct app_source *src)
{
    job->ctx = &l->s->ctx;
    job->loop = l->s->loop;
    job->app = l->d->apps.v[j->app];
    job->src = src;
    job->refs = j->refs;
    job->n_refs = j->n_refs;
    job->api_versions = &l->s->api_versions;
}

// The root has no Application document: its one source is the root itself.
static bool prepare_root(struct loading *l, struct app_jobs *j, struct err *err)
{
    j->jobs = mem_alloc(sizeof(*j->jobs));
    j->n = 1;
    init_job(l, j, &j->jobs[0], NULL);
    j->jobs[0].path = str_dup(l->s->root.path);
    if (!source_root_tree(l->s, l->d, &j->jobs[0].tree, err))
        return false;
    j->jobs[0].revision = str_dup_or_null(j->jobs[0].tree->commit);
    note_revision(l->d->apps.v[0], j->jobs[0].revision,
                  j->jobs[0].tree->revision ? j->jobs[0].tree->revision : "folder");
    render_begin(&j->jobs[0]);
    return true;
}

static bool prepare_app(struct loading *l, struct app_jobs *j, struct err *err)
{
    const struct application *a = l->d->apps.v[j->app];
    if (!a->doc)
        return prepare_root(l, j, err);
    if (!find_refs(l, j, err))
        return false;
    j->jobs = mem_alloc((a->sources.len + 1) * sizeof(*j->jobs));
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *src = &a->sources.v[i];
        if (src->ref && !*src->path && !src->chart)
            continue; // only there to be referred to
        struct render_job *job = &j->jobs[j->n++];
        init_job(l, j, job, src);
        if (!prepare_source(l, j->app, job, err))
            return false;
        render_begin(job);
    }
    return true;
}

static unsigned job_limit(const struct source *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return s->o.jobs ? s->o.jobs : (unsigned)(cores > 0 ? cores : 1) + 1;
}

// Runs what has to be rendered by children, a few at a time.
static bool run_jobs(struct loading *l, struct app_jobs *all, size_t n, struct err *err)
{
    unsigned limit = job_limit(l->s);
    for (;;) {
        unsigned running = 0;
        bool open = false;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < all[i].n; k++)
                running += all[i].jobs[k].child != NULL;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < all[i].n; k++) {
                struct render_job *job = &all[i].jobs[k];
                if (job->is_done || !job->argv.len)
                    continue;
                open = true;
                if (!job->child && running < limit && !loop_stopping(l->s->loop)) {
                    render_spawn(job);
                    running++;
                }
            }
        }
        if (!open)
            return true;
        if (loop_stopping(l->s->loop)) {
            for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i].n; k++)
                    if (all[i].jobs[k].child)
                        proc_cancel(all[i].jobs[k].child);
            if (!running)
                return err_set(err, ERR_CANCELLED, "interrupted while rendering");
        }
        loop_run_once(l->s->loop, 200);
    }
}

static void finish_app(struct loading *l, struct app_jobs *j)
{
    for (size_t i = 0; i < j->n; i++) {
        struct render_job *job = &j->jobs[i];
        l->uses_apis |= job->uses_apis;
        if (err_is_set(&job->err) && !err_is_set(&j->err))
            err_move(&j->err, &job->err);
        if (job->ms)
            event_emit(l->s->o.events, "app.rendered", "{s:s, s:s, s:I, s:I}", "app",
                       job->app->name, "tool", job->tool, "objects", (json_int_t)job->docs.len,
                       "ms", (json_int_t)job->ms);
    }
    if (err_is_set(&j->err))
        app_unknown(l, j->app, &j->err);
    else
        collect_app(l, j->app, j->jobs, j->n);
}

static void jobs_clear(struct app_jobs *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < all[i].n; k++)
            render_clear(&all[i].jobs[k]);
        free(all[i].jobs);
        free(all[i].refs);
        err_clear(&all[i].err);
    }
    free(all);
}

static bool load_level(struct loading *l, unsigned first, unsigned last, struct err *err)
{
    size_t n = last - first;
    size_t prepared = 0;
    struct app_jobs *all = mem_alloc((n + 1) * sizeof(*all));
    for (unsigned i = 0; i < n; i++) {
        all[i].app = first + i;
        if (l->d->apps.v[first + i]->state == APP_KNOWN)
            prepared += prepare_app(l, &all[i], &all[i].err); // finish_app looks at the error
    }
    event_emit(l->s->o.events, "source.level", "{s:I, s:I}", "apps", (json_int_t)n, "prepared",
               (json_int_t)prepared);
    bool ok = run_jobs(l, all, n, err);
    for (size_t i = 0; ok && i < n; i++)
        if (l->d->apps.v[all[i].app]->state == APP_KNOWN)
            finish_app(l, &all[i]);
    jobs_clear(all, n);
    return ok;
}

bool source_load_once(struct source *s, struct desired **out, bool *uses_apis, struct err *err)
{
    struct desired *d = *out;
    struct loading l = {.s = s, .d = d, .names = json_object(), .namespaces = json_object()};
    desired_add_app_take(d, application_new_root(s->root.name));
    d->apps.v[0]->origin.repo = str_dup(s->root.name);
    bool ok = true;
    unsigned first = 0;
    for (int level = 0; ok && first < d->apps.len; level++) {
        unsigned last = (unsigned)d->apps.len;
        ok = level < MAX_LEVELS ||
             err_set(err, ERR_INVALID, "applications are nested deeper than %d", MAX_LEVELS);
        ok = ok && load_level(&l, first, last, err);
        first = last;
        if (ok && level == 0 && d->apps.v[0]->state == APP_UNKNOWN) {
            err_copy(err, &d->apps.v[0]->problem); // nothing at all is known
            ok = false;
        }
    }
    if (ok)
        collect_finish(&l);
    json_decref(l.names);
    json_decref(l.namespaces);
    *uses_apis = l.uses_apis;
    return ok && desired_finish(d, err);
}
