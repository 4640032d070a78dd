// SPDX-License-Identifier: Apache-2.0
//
// A load after which little is another: what it costs goes with what has changed. Every application
// is still asked whether all it was made of is as it was (memo.h), but what is as it was stays
// where it is. What is another is read, and takes the place of what was there if nobody else has a
// say in it: objects that are in the root as well, Namespaces, definitions, projects, applications
// and credentials are for a whole load.
#include <stdlib.h>
#include <string.h>

#include "source/memo.h"

#define MOST 4 // applications that change, and an eighth of all

// Which tree a source is in.
struct found {
    const struct app_source *src;
    const char *project;
    struct tree *tree; // NULL: it has not come
};

struct amending {
    struct loading l;
    struct desired *d;
    // The same applications, with kinds and a root's revision of its own. Those that are not simple
    // are copies while they are read: others look at the state meanwhile.
    struct desired now;
    size_t n;
    struct app_jobs *jobs;     // an application each
    const struct tree **trees; // of simple ones that are as they were: theirs
    VEC(struct found) found;
    VEC(struct yield *) news;
    struct err *problems; // of applications that are unknown
    json_t *added;        // keys of objects that were not there before -> whose they are
};

// ---- may it be tried? ----
static uint64_t sum_of_known(const struct source *s)
{
    CLEANUP(kinds_freep) struct kinds *k = kinds_new();
    source_add_known_kinds(s, k);
    return kinds_sum(k);
}

// Credentials and clusters that stand in Git are known again, as they were when it was read.
static bool note_creds(struct amending *x)
{
    struct source *s = x->l.s;
    size_t n;
    const unsigned *apps = memo_base_with_creds(s->memo, &n);
    for (size_t i = 0; i < n; i++) {
        const unsigned *of = NULL;
        size_t count = desired_objects_of(x->d, apps[i], &of);
        for (size_t k = 0; k < count; k++)
            if (settle_may_be_creds(&x->d->objects.v[of[k]].id))
                settle_creds(&x->l, &x->d->objects.v[of[k]]);
    }
    (void)clusters_settle(&s->clusters);
    return memo_base_same_clusters(s->memo, s->clusters.known);
}

// With pins the trees of simple applications are not those that their sources name.
static bool may_try(const struct source *s, const struct desired *d)
{
    bool any_hard = s->o.refresh || (s->now.hard && s->now.hard->len);
    return s->memo && d && !any_hard && !s->now.n_pins && memo_base_is(s->memo, d, sum_of_known(s));
}

// What its project does not permit it is as it was, for that is, too.
static bool may_read(struct loading *l, const struct application *a)
{
    struct err err = {0};
    bool may =
        a->state == APP_KNOWN || (a->state == APP_UNKNOWN && a->doc && judge_app(l, a, &err));
    err_clear(&err);
    return may;
}

static void begin(struct amending *x, struct source *s, struct desired *d)
{
    x->d = d;
    x->n = d->apps.len;
    x->now = *d;
    x->now.root_name = x->now.root_revision = x->now.root_commit = x->now.root_ref = NULL;
    memset(&x->now.apps, 0, sizeof(x->now.apps));
    for (size_t i = 0; i < x->n; i++)
        *vec_push(&x->now.apps) = d->apps.v[i];
    x->now.kinds = kinds_dup(d->kinds);
    x->l = (struct loading){.s = s,
                            .d = &x->now,
                            .virtual_projects = json_object(),
                            .global_projects = str_dup_or_null(s->global_projects),
                            .kinds = x->now.kinds,
                            .served = source_served_kinds(s)};
    strv_clear(&s->api_versions);
    kinds_api_versions(d->kinds, &s->api_versions);
    x->jobs = mem_alloc((x->n + 1) * sizeof(*x->jobs));
    x->trees = mem_alloc((x->n + 1) * sizeof(struct tree *));
    x->problems = mem_alloc((x->n + 1) * sizeof(*x->problems));
    x->added = json_object();
    for (unsigned i = 0; i < x->n; i++) {
        struct application *a = d->apps.v[i];
        x->jobs[i].app = i;
        x->jobs[i].stage = may_read(&x->l, a) ? APP_PREPARING : APP_READY;
        x->jobs[i].was_deferred = true; // all definitions are known
    }
}

// It is prepared anew.
static void set_aside(struct amending *x, size_t app)
{
    struct application *a = x->d->apps.v[app];
    if (x->jobs[app].stage != APP_PREPARING)
        return;
    struct application *copy = application_share(a);
    copy->state = a->state;
    copy->parent = a->parent;
    x->now.apps.v[app] = copy;
}

static bool is_aside(const struct amending *x, size_t app)
{
    return x->now.apps.v[app] != x->d->apps.v[app];
}

static void end(struct amending *x)
{
    for (size_t i = 0; i < x->n; i++) {
        app_jobs_clear(&x->jobs[i]);
        vec_clear(&x->jobs[i].waits.v);
        err_clear(&x->problems[i]);
    }
    for (size_t i = 0; i < x->news.len; i++) {
        yield_clear(x->news.v[i]);
        free(x->news.v[i]);
    }
    vec_clear(&x->news);
    for (size_t i = 0; i < x->n; i++)
        if (is_aside(x, i))
            application_free(x->now.apps.v[i]);
    vec_clear(&x->now.apps);
    free(x->jobs);
    vec_clear(&x->found);
    free(x->trees);
    free(x->problems);
    json_decref(x->added);
    free(x->now.root_name);
    free(x->now.root_revision);
    free(x->now.root_commit);
    free(x->now.root_ref);
    kinds_free(x->now.kinds);
    json_decref(x->l.virtual_projects);
    free(x->l.global_projects);
    strv_clear(&x->l.told.answers);
}

static const struct tree *tree_of(const struct app_jobs *j, unsigned source)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->jobs[i].source == source && j->jobs[i].tree)
            return j->jobs[i].tree;
    return NULL;
}

// ---- every application is asked ----
// Is it what the state was made of?
static bool is_as_it_was(const struct amending *x, const struct app_jobs *j)
{
    if (!is_aside(x, j->app))
        return true;
    return x->d->apps.v[j->app]->state == APP_KNOWN && j->known &&
           j->known == memo_base_of(x->l.s->memo, j->app);
}

// The tree of a source; many have the same one. NULL: it has to be waited for, or is none.
static struct tree *tree_for(struct amending *x, const struct application *a)
{
    struct source *s = x->l.s;
    const struct app_source *src = &a->sources.v[0];
    struct err err = {0};
    for (size_t i = 0; i < x->found.len; i++) {
        const struct found *f = &x->found.v[i];
        if (!strcmp(f->src->repo_url, src->repo_url) && str_eq(f->project, a->project) &&
            !strcmp(f->src->target_revision, src->target_revision) &&
            str_eq(f->src->tag_prefix, src->tag_prefix))
            return f->tree;
    }
    struct found *f = vec_push(&x->found);
    *f = (struct found){src, a->project, NULL};
    s->ctx.project = a->project;
    s->ctx.witness = NULL;
    if (!source_tree(s, src->repo_url, src->target_revision, src->tag_prefix, &f->tree, &err))
        f->tree = NULL;
    err_clear(&err);
    return f->tree;
}

static bool is_simple(const struct application *a)
{
    return a->doc && a->state == APP_KNOWN && a->sources.len == 1 &&
           a->sources.v[0].kind == APP_SOURCE_GIT && !a->sources.v[0].ref;
}

// Most are simple, and as they were: these are done with here.
static void ask_simple(struct amending *x)
{
    struct source *s = x->l.s;
    for (size_t i = 0; i < x->n; i++) {
        const struct application *a = x->d->apps.v[i];
        struct yielded *y = memo_base_of(s->memo, i);
        struct tree *t = y && !x->trees[i] && is_simple(a) ? tree_for(x, a) : NULL;
        if (!t || !memo_is_unchanged(&x->l, a, y, t))
            continue;
        x->trees[i] = t;
        x->jobs[i].stage = APP_READY;
    }
}

static bool ask_all(struct amending *x, struct err *err)
{
    struct source *s = x->l.s;
    ask_simple(x);
    while (s->ctx.waits.v.len) { // trees are coming
        if (!source_wait(s, err))
            return false;
        x->found.len = 0;
        ask_simple(x);
    }
    for (size_t i = 0; i < x->n; i++)
        set_aside(x, i);
    return load_run(&x->l, x->jobs, x->n, err);
}

// ---- what is another now ----
static bool has_a_say(const struct object_id *id)
{
    return argo_is_own(id) || settle_may_be_creds(id) || str_ends(id->group, ".toolkit.fluxcd.io");
}

// Does the root have something of that name? It may be the same document elsewhere.
static bool is_in_root(const struct desired *d, const struct object_id *id)
{
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, 0, &of);
    for (size_t i = 0; i < n; i++) {
        const struct object_id *x = &d->objects.v[of[i]].id;
        if (!strcmp(x->name, id->name) && !strcmp(x->kind, id->kind))
            return true;
    }
    return false;
}

static bool has_id(const struct object *objects, size_t n, const struct object_id *id)
{
    for (size_t i = 0; i < n; i++)
        if (object_id_eq(&objects[i].id, id))
            return true;
    return false;
}

// Nobody has it yet.
static bool may_add(struct amending *x, const struct object *o)
{
    CLEANUP(str_freep) char *key = object_key(&o->id);
    const json_t *known = json_object_get(x->added, key);
    // Hooks of several phases are several objects of one identity.
    bool is_phase = known && o->is_hook && (unsigned)json_integer_value(known) == o->app;
    if (settle_is_namespace(&o->id) || is_in_root(x->d, &o->id) || (known && !is_phase))
        return false;
    return !json_object_set_new(x->added, key, json_integer(o->app));
}

static bool may_replace(struct amending *x, const struct yield *y, const struct object *had,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct object_id *id = &had[i].id;
        bool may_go = had[i].is_made || !settle_is_namespace(id);
        if (has_a_say(id) || (!may_go && !has_id(y->objects.v, y->objects.len, id)))
            return false;
    }
    for (size_t i = 0; i < y->objects.len; i++) {
        const struct object *o = &y->objects.v[i];
        const struct object *there = desired_find(x->d, &o->id);
        bool stays = there && there->app == y->app;
        if (has_a_say(&o->id) || (!stays && (there || !may_add(x, o))))
            return false;
    }
    return true;
}

// The end of what it warned of is what it yielded.
static bool same_warnings(const struct application *a, const struct yielded *had)
{
    const struct strv *w = memo_warnings(had);
    bool same = a->warnings.len >= w->len;
    for (size_t i = 0; same && i < w->len; i++)
        same = !strcmp(a->warnings.v[a->warnings.len - w->len + i], w->v[i]);
    return same;
}

// What is put in the place of what was there, of the yield that was read. False: it cannot be.
static bool replaces(struct amending *x, struct yield *y, struct yielded *kept)
{
    const struct application *a = x->d->apps.v[y->app];
    const struct yielded *had = memo_base_of(x->l.s->memo, y->app);
    const unsigned *of = NULL;
    size_t n = desired_objects_of(x->d, y->app, &of);
    struct err err = {0};
    if (!y->app || !n || y->is_root_twin || !memo_is_plain(had) || !memo_is_plain(kept) ||
        !same_warnings(a, had))
        return false;
    struct object *first = &x->d->objects.v[of[0]];
    struct object *made = first[n - 1].is_made ? &first[n - 1] : NULL;
    bool ok = may_replace(x, y, first, n);
    if (ok && made)
        *vec_push(&y->objects) = object_share(made);
    ok = ok && y->objects.len && judge_objects(&x->l, a, y->objects.v, y->objects.len, &err);
    err_clear(&err);
    return ok;
}

// Reads one that was made of something else. False: a whole load has to.
static bool read_other(struct amending *x, struct app_jobs *j)
{
    struct loading *l = &x->l;
    struct yielded *had = memo_base_of(l->s->memo, j->app);
    struct err err = {0};
    if (!had)
        return false;
    struct yield *y = *vec_push(&x->news) = mem_alloc(sizeof(*y));
    *y = (struct yield){.l = l, .app = j->app, .jobs = j->jobs, .n_jobs = j->n};
    l->s->ctx.project = x->d->apps.v[j->app]->project;
    bool ok = yield_read(y, j, &err);
    err_clear(&err);
    struct yielded *kept = ok ? yield_kept(y) : NULL;
    if (!kept)
        return false;
    memo_keep_made_of(kept, had);
    return memo_same_yield(had, kept) || replaces(x, y, kept);
}

// One that was unknown: it is so still, maybe for another reason.
static bool is_still_unknown(struct amending *x, struct app_jobs *j)
{
    struct err *problem = &x->problems[j->app];
    struct yield y = {.l = &x->l, .app = j->app, .jobs = j->jobs, .n_jobs = j->n};
    const struct application *a = x->d->apps.v[j->app];
    x->l.s->ctx.project = a->project;
    if (err_is_set(&j->err))
        err_move(problem, &j->err);
    else if (yield_read(&y, j, problem) &&
             judge_objects(&x->l, a, y.objects.v, y.objects.len, problem))
        err_clear(problem);
    bool has_kinds = yield_has_definitions(&y); // these count all the same
    yield_clear(&y);
    return err_is_set(problem) && !has_kinds;
}

static bool read_others(struct amending *x)
{
    bool ok = true;
    x->l.root_tree = x->trees[0] ? x->trees[0] : tree_of(&x->jobs[0], 1);
    for (size_t i = 0; ok && i < x->n; i++) {
        struct app_jobs *j = &x->jobs[i];
        if (is_as_it_was(x, j))
            continue;
        if (x->d->apps.v[i]->state == APP_UNKNOWN)
            ok = is_still_unknown(x, j);
        else
            ok = !err_is_set(&j->err) && x->news.len < MOST + x->n / 8 && read_other(x, j);
    }
    return ok;
}

// ---- it is done ----
static void renew_origin(const struct amending *x, size_t app, struct origin *o)
{
    const struct tree *t = x->trees[app] ? x->trees[app] : tree_of(&x->jobs[app], o->source);
    if (t && o->source)
        origin_renew_revision(o, t->revision);
}

// As prepared applications have them.
static void renew_app(struct application *a, const struct tree *t)
{
    const char *commit = t->commit ? t->commit : "";
    if (a->revisions.len == 1 && !strcmp(a->revisions.v[0], commit))
        return;
    strv_clear(&a->revisions);
    strv_push(&a->revisions, commit);
    str_set(&a->revision_text, t->revision ? t->revision : "folder");
}

static void take_revisions(struct application *a, struct application *copy)
{
    strv_clear(&a->revisions);
    free(a->revision_text);
    a->revisions = copy->revisions;
    a->revision_text = TAKE(copy->revision_text);
    copy->revisions = (struct strv){0};
}

// What says the same says it at another commit. Of what comes of one source all share its text.
static void renew_revisions(struct amending *x)
{
    for (unsigned i = 0; i < x->n; i++) {
        struct application *a = x->d->apps.v[i];
        if (x->trees[i])
            renew_app(a, x->trees[i]);
        else if (is_aside(x, i))
            take_revisions(a, x->now.apps.v[i]);
        const unsigned *of = NULL;
        size_t n = desired_objects_of(x->d, i, &of);
        if (a->parent >= 0)
            renew_origin(x, (size_t)a->parent, &a->origin);
        for (size_t k = 0; k < n && (k == 0 || !x->trees[i]); k++)
            renew_origin(x, i, &x->d->objects.v[of[k]].origin);
    }
}

static void take_root(struct amending *x)
{
    struct desired *d = x->d;
    free(d->root_name);
    free(d->root_revision);
    free(d->root_commit);
    free(d->root_ref);
    d->root_name = TAKE(x->now.root_name);
    d->root_revision = TAKE(x->now.root_revision);
    d->root_commit = TAKE(x->now.root_commit);
    d->root_ref = TAKE(x->now.root_ref);
    d->root_time_unix_s = x->now.root_time_unix_s;
}

static bool is_another(const struct desired *d, const struct yield *y)
{
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, y->app, &of);
    bool same = n == y->objects.len;
    for (size_t i = 0; same && i < n; i++)
        same = source_same_object(&d->objects.v[of[i]], &y->objects.v[i]);
    return !same;
}

static void take_other(struct amending *x, struct yield *y, struct source_changes *changes)
{
    struct application *a = x->d->apps.v[y->app];
    struct memo *m = x->l.s->memo;
    struct yielded *kept = yield_kept(y);
    struct yielded *had = memo_base_of(m, y->app);
    memo_base_take(m, y->app, kept);
    load_tell_rendered(&x->l, &x->jobs[y->app]);
    if (memo_same_yield(had, kept))
        return;
    size_t was = memo_warnings(had)->len;
    while (was--)
        free(a->warnings.v[--a->warnings.len]);
    for (size_t i = 0; i < y->warnings.len; i++)
        strv_push(&a->warnings, y->warnings.v[i]);
    if (is_another(x->d, y))
        source_note_change(changes, a, SOURCE_APP_CONTENT);
    desired_replace_take(x->d, y->app, y->objects.v, y->objects.len);
}

static void take_problem(struct amending *x, unsigned app, struct source_changes *changes)
{
    struct application *a = x->d->apps.v[app];
    struct err *now = &x->problems[app];
    if (err_is_set(now)) {
        if (a->problem.kind != now->kind || !str_eq(a->problem.msg, now->msg))
            source_note_change(changes, a, SOURCE_APP_STATE);
        err_clear(&a->problem);
    }
    app_unknown(&x->l, app, now);
}

static void take_all(struct amending *x, struct source_changes *changes)
{
    changes->is_amended = true;
    x->l.d = x->d;
    for (unsigned i = 0; i < x->n; i++)
        if (x->d->apps.v[i]->state == APP_UNKNOWN)
            take_problem(x, i, changes);
    renew_revisions(x);
    for (size_t i = 0; i < x->news.len; i++)
        take_other(x, x->news.v[i], changes);
    take_root(x);
}

bool source_amend(struct source *s, struct desired *d, struct source_changes *changes,
                  bool *is_amended, struct err *err)
{
    struct amending x = {0};
    *is_amended = false;
    if (!may_try(s, d))
        return true;
    begin(&x, s, d);
    bool may = note_creds(&x);
    bool ok = !may || ask_all(&x, err);
    *is_amended = ok && may && read_others(&x);
    if (*is_amended)
        take_all(&x, changes);
    else
        source_forget_desired(s);
    end(&x);
    return ok;
}
