// SPDX-License-Identifier: Apache-2.0
//
// An application's sources, brought and made ready to be rendered. Whatever has not come is begun
// and stands in the waits; then all of it is done again, from the beginning, when it has.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/memo.h"

static bool is_waiting(const struct loading *l)
{
    return l->s->ctx.waits.v.len > 0;
}

// What an application's source names, or is to be read at this time.
static const char *target_of(const struct loading *l, const struct application *a,
                             const struct app_source *src)
{
    const struct source_now *now = &l->s->now;
    size_t at = (size_t)(src - a->sources.v);
    for (size_t i = 0; i < now->n_pins; i++) {
        const struct source_pin *p = &now->pins[i];
        if (str_eq(p->app, a->tracking_name) && at < p->revisions->len && *p->revisions->v[at])
            return p->revisions->v[at];
    }
    return src->target_revision;
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
        r->src = src;
        if (source_tree(l->s, src->repo_url, target_of(l, a, src), src->tag_prefix, &r->tree, err))
            continue;
        if (!is_waiting(l))
            return false;
        err_clear(err); // the others may begin to come as well
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

static void note_ref(struct application *a, const struct app_jobs *j, const struct app_source *src)
{
    const struct tree *t = NULL;
    for (size_t i = 0; i < j->n_refs; i++)
        if (j->refs[i].src == src)
            t = j->refs[i].tree;
    strv_push(&a->revisions, t && t->commit ? t->commit : "");
}

// An OCI artifact that is no chart: its files are a tree of their own.
static void take_artifact(struct loading *l, struct render_job *job)
{
    struct tree *t = source_folder(l->s, job->chart.dir, job->src->repo_url);
    t->is_artifact = true;
    str_set(&t->revision, job->chart.version);
    job->tree = t;
    chart_clear(&job->chart);
}

static bool prepare_source(struct loading *l, unsigned app, struct render_job *job, struct err *err)
{
    struct application *a = l->d->apps.v[app];
    const struct app_source *src = job->src;
    if (!path_clean(src->path, &job->path))
        return err_set(err, ERR_INVALID, "spec.source.path \"%s\" leaves the repository",
                       src->path);
    if (src->kind == APP_SOURCE_GIT) {
        if (!source_tree(l->s, src->repo_url, target_of(l, a, src), src->tag_prefix, &job->tree,
                         err))
            return false;
        job->revision = str_dup_or_null(job->tree->commit);
        note_revision(a, job->revision, job->tree->revision ? job->tree->revision : "folder");
        return true;
    }
    l->s->ctx.pass_credentials = json_dot_bool(src->helm, "passCredentials", false);
    if (!chart_fetch(&l->s->ctx, src->repo_url, src->chart, target_of(l, a, src), &job->chart, err))
        return false;
    job->revision = str_dup(job->chart.version);
    CLEANUP(str_freep)
    char *shown = str_printf("%s %s", job->chart.is_helm ? "helm" : "oci", job->chart.version);
    note_revision(a, job->chart.version, shown);
    if (!job->chart.is_helm)
        take_artifact(l, job);
    return true;
}

static void init_job(struct loading *l, struct app_jobs *j, struct render_job *job,
                     const struct app_source *src)
{
    job->ctx = &l->s->ctx;
    job->loop = l->s->loop;
    job->app = l->d->apps.v[j->app];
    job->is_hard = l->s->now.hard && strv_has(l->s->now.hard, job->app->tracking_name);
    job->src = src;
    job->source = src ? (unsigned)(src - job->app->sources.v) + 1 : 1;
    job->refs = j->refs;
    job->n_refs = j->n_refs;
    job->api_versions = &l->s->api_versions;
}

static void note_crds(struct loading *l, const struct render_job *job)
{
    size_t known = kinds_count(l->kinds);
    for (size_t i = 0; i < job->docs.len; i++)
        if (str_eq(json_dot_str(job->docs.v[i].doc, "kind"), "CustomResourceDefinition"))
            kinds_add_crd(l->kinds, job->docs.v[i].doc);
    l->has_new_kinds |= kinds_count(l->kinds) != known;
}

// Plain directories that are there go first: CRDs in them are what charts most often ask about, and
// a chart that is told of them at once need not be rendered again.
static bool must_defer(struct loading *l, struct app_jobs *j)
{
    if (!j->was_deferred)
        return j->was_deferred = true;
    if (l->has_new_kinds) {
        strv_clear(&l->s->api_versions);
        kinds_api_versions(l->kinds, &l->s->api_versions);
        l->has_new_kinds = false;
    }
    return false;
}

static bool has_tool(struct app_jobs *j)
{
    bool any = false;
    for (size_t k = 0; k < j->n; k++)
        any |= !render_is_directory(&j->jobs[k]);
    return any;
}

// What is read from here on is noted for it (NULL: for nobody).
static void begin_witness(struct loading *l, struct app_jobs *j)
{
    l->s->ctx.witness = l->s->memo && j ? &j->seen : NULL;
}

// True when its turn is not yet. Else j->known is set, or it is to be rendered.
static bool find_known(struct loading *l, struct app_jobs *j)
{
    bool tool = false;
    begin_witness(l, NULL);
    struct yielded *any = memo_find(l, j, &tool);
    if (is_waiting(l))
        return false;
    begin_witness(l, any ? NULL : j);
    if ((any ? tool : has_tool(j)) && must_defer(l, j))
        return true;
    if (any)
        j->known = memo_told(l, j, any);
    return false;
}

static void render_all(struct loading *l, struct app_jobs *j)
{
    bool any = false;
    begin_witness(l, j);
    for (size_t k = 0; k < j->n && !is_waiting(l); k++) {
        render_begin(&j->jobs[k]);
        any |= j->jobs[k].asks.any;
        if (!strcmp(j->jobs[k].tool, "directory"))
            note_crds(l, &j->jobs[k]);
    }
    if (any && l->s->memo)
        j->apis = list_hash(&l->s->api_versions);
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
    return true;
}

static bool prepare_all(struct loading *l, struct app_jobs *j, struct err *err)
{
    struct application *a = l->d->apps.v[j->app];
    if (!a->doc)
        return prepare_root(l, j, err);
    if (!find_refs(l, j, err))
        return false;
    j->jobs = mem_alloc((a->sources.len + 1) * sizeof(*j->jobs));
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *src = &a->sources.v[i];
        if (src->ref && !*src->path && !src->chart) { // only there to be referred to
            note_ref(a, j, src);
            continue;
        }
        struct render_job *job = &j->jobs[j->n++];
        init_job(l, j, job, src);
        bool ok = prepare_source(l, j->app, job, err);
        if (!ok && !is_waiting(l))
            return false;
        err_clear(err);
    }
    return true;
}

void app_jobs_clear(struct app_jobs *j)
{
    for (size_t k = 0; k < j->n; k++)
        render_clear(&j->jobs[k]);
    free(j->jobs);
    free(j->refs);
    j->jobs = NULL;
    j->refs = NULL;
    j->n = j->n_refs = 0;
    witness_clear(&j->seen);
    j->known = NULL;
    err_clear(&j->err);
}

bool app_jobs_wait(struct loading *l, struct app_jobs *j)
{
    vec_clear(&j->waits.v);
    j->waits = l->s->ctx.waits;
    l->s->ctx.waits = (struct waits){0};
    return j->waits.v.len > 0;
}

void app_jobs_prepare(struct loading *l, struct app_jobs *j)
{
    struct application *a = l->d->apps.v[j->app];
    struct err err = {0};
    app_jobs_clear(j);
    strv_clear(&a->revisions);
    str_freep(&a->revision_text);
    l->s->ctx.project = a->doc ? a->project : NULL;
    begin_witness(l, j);
    bool ok = prepare_all(l, j, &err);
    bool deferred = ok && !is_waiting(l) && find_known(l, j);
    if (ok && !deferred && !is_waiting(l) && !j->known)
        render_all(l, j);
    begin_witness(l, NULL);
    if (app_jobs_wait(l, j) || deferred) {
        err_clear(&err);
        app_jobs_clear(j);
        return;
    }
    if (!ok)
        err_move(&j->err, &err);
    if (j->known)
        memo_note_crds(l, j->known);
    j->stage = ok && !j->known ? APP_RENDERING : APP_READY;
}
