// SPDX-License-Identifier: Apache-2.0
#include "source/memo_int.h"

#include <stdlib.h>
#include <string.h>

// ---- life ----
static void yielded_free(struct yielded *y)
{
    json_decref(y->doc);
    strv_clear(&y->commits);
    witness_clear(&y->seen);
    strv_clear(&y->answers);
    json_decref(y->crds);
    json_decref(y->clusters);
    for (size_t i = 0; i < y->kinds.len; i++)
        kind_seen_clear(&y->kinds.v[i]);
    vec_clear(&y->kinds);
    for (size_t i = 0; i < y->objects.len; i++)
        object_clear(&y->objects.v[i]);
    vec_clear(&y->objects);
    object_clear(&y->made);
    for (size_t i = 0; i < y->children.len; i++)
        application_free(y->children.v[i]);
    vec_clear(&y->children);
    for (size_t i = 0; i < y->projects.len; i++)
        json_decref(y->projects.v[i]);
    vec_clear(&y->projects);
    strv_clear(&y->warnings);
    free(y->global_projects);
    free(y);
}

static void variants_free(struct variants *x)
{
    for (size_t i = 0; i < x->v.len; i++)
        yielded_free(x->v.v[i]);
    vec_clear(&x->v);
    free(x->name);
    free(x);
}

struct memo *memo_new(void)
{
    struct memo *m = mem_alloc(sizeof(*m));
    m->index = json_object();
    return m;
}

void memo_free(struct memo *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->apps.len; i++)
        variants_free(m->apps.v[i]);
    vec_clear(&m->apps);
    json_decref(m->index);
    memo_base_begin(m);
    json_decref(m->base.clusters);
    vec_clear(&m->base.taken);
    vec_clear(&m->base.with_creds);
    vec_clear(&m->base.with_kinds);
    free(m->kube_version);
    free(m);
}

void memo_begin(struct memo *m, const char *kube_version)
{
    if (str_eq(m->kube_version, kube_version))
        return;
    for (size_t i = 0; i < m->apps.len; i++)
        variants_free(m->apps.v[i]);
    m->apps.len = 0;
    memo_base_begin(m);
    json_object_clear(m->index);
    str_set(&m->kube_version, kube_version);
}

// The root has no Application, and no name that one could have.
static const char *name_of(const struct application *a)
{
    return a->doc ? a->tracking_name : "/";
}

static struct variants *find(const struct memo *m, const struct application *a)
{
    const json_t *at = json_object_get(m->index, name_of(a));
    return at ? m->apps.v[json_integer_value(at)] : NULL;
}

size_t memo_count(const struct memo *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->apps.len; i++)
        n += m->apps.v[i]->v.len;
    return n;
}

// ---- the trees of an application's sources ----
static size_t count_sources(const struct application *a)
{
    return a->doc ? a->sources.len : 1;
}

static struct tree *tree_of(const struct app_jobs *j, const struct application *a, size_t source)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->jobs[i].source == source + 1 && j->jobs[i].tree)
            return j->jobs[i].tree;
    for (size_t i = 0; a->doc && i < j->n_refs; i++)
        if (j->refs[i].src == &a->sources.v[source])
            return j->refs[i].tree;
    return NULL;
}

static const char *commit_of(const struct app_jobs *j, const struct application *a, size_t source)
{
    const struct tree *t = tree_of(j, a, source);
    return t && t->commit ? t->commit : "";
}

// Sources that had one tree must have one again, and others none: what was read is noted once.
static bool same_pattern(const struct yielded *y, const struct app_jobs *j,
                         const struct application *a, bool *all_same)
{
    size_t n = count_sources(a);
    bool ok = n == y->commits.len;
    *all_same = ok;
    for (size_t i = 0; ok && i < n; i++) {
        const char *now = commit_of(j, a, i);
        *all_same &= !strcmp(now, y->commits.v[i]);
        for (size_t k = 0; ok && k < i; k++)
            ok = !strcmp(now, commit_of(j, a, k)) == !strcmp(y->commits.v[i], y->commits.v[k]);
    }
    return ok;
}

// ---- is it as it was? ----
static bool same_mark(const struct tree_mark *a, const struct tree_mark *b)
{
    return a->what == b->what && !memcmp(a->id, b->id, sizeof(a->id));
}

static bool same_path(const struct seen_path *p, struct tree *t)
{
    struct tree_mark now;
    return t && tree_marked(t, p->path, &now) && same_mark(&now, &p->mark);
}

static bool same_paths(const struct yielded *y, const struct app_jobs *j,
                       const struct application *a)
{
    for (size_t i = 0; i < y->seen.paths.len; i++) {
        const struct seen_path *p = &y->seen.paths.v[i];
        if (!same_path(p, tree_of(j, a, p->source)))
            return false;
    }
    return true;
}

// May have to wait.
static bool same_charts(struct loading *l, const struct yielded *y)
{
    struct source_ctx *c = &l->s->ctx;
    for (size_t i = 0; i < y->seen.charts.len; i++) {
        const struct seen_chart *s = &y->seen.charts.v[i];
        struct chart now = {0};
        struct err err = {0};
        c->pass_credentials = s->pass_credentials;
        bool same = chart_fetch(c, s->url, s->name, s->target, &now, &err) &&
                    !strcmp(now.version, s->version) && !strcmp(now.digest, s->digest) &&
                    str_eq(now.manifest, s->manifest);
        chart_clear(&now);
        err_clear(&err);
        if (!same)
            return false;
    }
    return true;
}

// May have to wait.
static bool same_files(struct loading *l, const struct yielded *y)
{
    struct source_ctx *c = &l->s->ctx;
    const char *own = c->project;
    bool same = true;
    for (size_t i = 0; same && i < y->seen.files.len; i++) {
        const struct seen_file *f = &y->seen.files.v[i];
        struct tree *t = NULL;
        struct tree_mark now;
        struct err err = {0};
        c->project = f->project;
        same = source_tree(l->s, f->url, f->revision, NULL, &t, &err) &&
               (f->path ? tree_marked(t, f->path, &now) : tree_names_marked(t, &now)) &&
               same_mark(&now, &f->mark);
        err_clear(&err);
    }
    c->project = own;
    return same;
}

static bool same_sources(struct loading *l, const struct yielded *y, struct app_jobs *j)
{
    const struct application *a = l->d->apps.v[j->app];
    bool all_same = false;
    if (y->served != l->served || (y->clusters && !json_equal(y->clusters, l->s->clusters.known)))
        return false;
    if (y->doc != a->doc && !(y->doc && a->doc && json_equal(y->doc, a->doc)))
        return false;
    return same_pattern(y, j, a, &all_same) && (all_same || !y->seen.has_env) &&
           (all_same || same_paths(y, j, a)) && same_charts(l, y) && same_files(l, y);
}

struct sha256 list_hash(const struct strv *list)
{
    struct sha256_ctx *h = sha256_begin();
    for (size_t i = 0; i < list->len; i++)
        sha256_add(h, list->v[i], strlen(list->v[i]) + 1);
    return sha256_end(h);
}

static bool same_told(const struct loading *l, const struct yielded *y)
{
    const struct strv *now = &l->s->api_versions;
    bool same = true;
    for (size_t i = 0; same && i < y->answers.len; i++)
        same = strv_has(now, y->answers.v[i] + 1) == (*y->answers.v[i] == '1');
    if (!same || !y->is_told_all)
        return same;
    struct sha256 sum = list_hash(now);
    return sha256_eq(&sum, &y->apis);
}

static bool is_hard(const struct loading *l, const struct application *a)
{
    const struct strv *hard = l->s->now.hard;
    return l->s->o.refresh || (hard && strv_has(hard, a->tracking_name));
}

static struct yielded *search(struct loading *l, struct app_jobs *j, bool told)
{
    const struct application *a = l->d->apps.v[j->app];
    struct variants *x = l->s->memo ? find(l->s->memo, a) : NULL;
    if (!x || j->is_unlike || is_hard(l, a))
        return NULL;
    for (size_t i = x->v.len; i > 0; i--) {
        struct yielded *y = x->v.v[i - 1];
        if ((!told || same_told(l, y)) && same_sources(l, y, j)) {
            if (told)
                y->used_in = l->s->ctx.load;
            return y;
        }
    }
    return NULL;
}

static bool is_of_one_tree(const struct yielded *y)
{
    return y->commits.len == 1 && !y->seen.charts.len && !y->seen.files.len && !y->answers.len &&
           !y->is_told_all && !y->clusters;
}

static bool same_marks(const struct yielded *y, struct tree *t)
{
    bool same = true;
    for (size_t i = 0; same && i < y->seen.paths.len; i++)
        same = same_path(&y->seen.paths.v[i], t);
    return same;
}

bool memo_is_unchanged(struct loading *l, const struct application *a, struct yielded *y,
                       struct tree *t)
{
    bool is_same_commit = t->commit && !strcmp(t->commit, y->commits.v[0]);
    if (!is_of_one_tree(y) || y->served != l->served || y->doc != a->doc || is_hard(l, a) ||
        (y->seen.has_env && !is_same_commit) || (!is_same_commit && !same_marks(y, t)))
        return false;
    y->used_in = l->s->ctx.load;
    return true;
}

struct yielded *memo_find(struct loading *l, struct app_jobs *j, bool *has_tool)
{
    struct yielded *y = search(l, j, false);
    *has_tool = y && y->has_tool;
    return y;
}

struct yielded *memo_told(struct loading *l, struct app_jobs *j, struct yielded *found)
{
    if (!same_told(l, found))
        return search(l, j, true);
    found->used_in = l->s->ctx.load;
    return found;
}

bool memo_fits(struct loading *l, struct yielded *y)
{
    uint64_t sum = kinds_sum(l->d->kinds);
    if (y->fits == sum && !y->has_definitions)
        return true;
    for (size_t i = 0; i < y->kinds.len; i++) {
        const struct kind_seen *k = &y->kinds.v[i];
        if (k->crd) {
            kinds_add_crd(l->d->kinds, k->crd);
            continue;
        }
        const struct kind_info *now = kinds_find(l->d->kinds, k->group, NULL, k->kind);
        if (k->is_known != (now != NULL) || (now && now->is_namespaced != k->is_namespaced))
            return false;
    }
    y->fits = sum;
    return true;
}

bool memo_is_settled(const struct yielded *y, uint64_t sum)
{
    return y->settled == sum;
}

void memo_settled(struct yielded *y, uint64_t sum, size_t n_seen)
{
    if (n_seen == y->objects.len) // else some have made way for others, which may go again
        y->settled = sum;
}

void memo_note_crds(struct loading *l, const struct yielded *y)
{
    size_t known = kinds_count(l->kinds);
    size_t i;
    json_t *crd;
    json_array_foreach(y->crds, i, crd)
    {
        kinds_add_crd(l->kinds, crd);
    }
    l->has_new_kinds |= kinds_count(l->kinds) != known;
}

void memo_tell(struct loading *l, const struct yielded *y)
{
    for (size_t i = 0; i < y->answers.len; i++)
        if (!strv_has(&l->told.answers, y->answers.v[i]))
            strv_push(&l->told.answers, y->answers.v[i]);
    if (y->is_told_all && !l->told.n_all)
        l->told.n_all = l->s->api_versions.len;
}

// ---- taken over ----
// The source that an object comes from says the same in another revision.
static void settle_revision(const struct yield *y, struct origin *o)
{
    for (size_t i = 0; i < y->n_jobs; i++)
        if (y->jobs[i].source == o->source && y->jobs[i].tree) {
            origin_share_revision(o, render_shown(&y->jobs[i]));
            return;
        }
    origin_set_revision(o, NULL);
}

void memo_yield(const struct yielded *known, struct yield *y)
{
    vec_reserve(&y->objects, known->objects.len + 1); // and a Namespace
    vec_reserve(&y->children, known->children.len);
    for (size_t i = 0; i < known->objects.len; i++) {
        struct object *o = vec_push(&y->objects);
        *o = object_share(&known->objects.v[i]);
        o->app = y->app;
        settle_revision(y, &o->origin);
    }
    for (size_t i = 0; i < known->children.len; i++) {
        struct application *child = application_share(known->children.v[i]);
        settle_revision(y, &child->origin);
        *vec_push(&y->children) = child;
    }
    for (size_t i = 0; i < known->projects.len; i++)
        *vec_push(&y->projects) = json_incref(known->projects.v[i]);
    for (size_t i = 0; i < known->warnings.len; i++)
        strv_push(&y->warnings, known->warnings.v[i]);
    str_set(&y->global_projects, known->global_projects);
}

// ---- kept ----
// Of a definition what says which kinds it brings.
static json_t *outline_of(const json_t *crd)
{
    const json_t *spec = json_object_get(crd, "spec");
    json_t *versions = json_array();
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(spec, "versions"), i, v)
    {
        json_array_append_new(versions,
                              json_pack("{s:O*, s:O*}", "name", json_object_get(v, "name"),
                                        "served", json_object_get(v, "served")));
    }
    return json_pack("{s:{s:O*, s:O*, s:O*, s:o}}", "spec", "group", json_object_get(spec, "group"),
                     "names", json_object_get(spec, "names"), "scope",
                     json_object_get(spec, "scope"), "versions", versions);
}

void kind_seen_clear(struct kind_seen *k)
{
    json_decref(k->crd);
    free(k->group);
    free(k->kind);
}

static void keep_result(struct yielded *k, struct yield *y)
{
    for (size_t i = 0; i < y->objects.len; i++)
        *vec_push(&k->objects) = object_share(&y->objects.v[i]);
    for (size_t i = 0; i < y->children.len; i++)
        if (y->children.v[i])
            *vec_push(&k->children) = application_share(y->children.v[i]);
    for (size_t i = 0; i < y->projects.len; i++)
        *vec_push(&k->projects) = json_incref(y->projects.v[i]);
    for (size_t i = 0; i < y->warnings.len; i++)
        strv_push(&k->warnings, y->warnings.v[i]);
    k->global_projects = str_dup_or_null(y->global_projects);
    k->kinds.v = y->kinds.v;
    k->kinds.len = y->kinds.len;
    k->kinds.cap = y->kinds.cap;
    y->kinds.v = NULL;
    y->kinds.len = y->kinds.cap = 0;
    for (size_t i = 0; i < k->kinds.len; i++) {
        json_t *crd = k->kinds.v[i].crd;
        if (!crd)
            continue;
        k->has_definitions = true;
        k->kinds.v[i].crd = outline_of(crd);
        json_decref(crd);
    }
}

static void keep_told(struct yielded *k, const struct app_jobs *j)
{
    k->crds = json_array();
    for (size_t i = 0; i < j->n; i++) {
        const struct render_job *job = &j->jobs[i];
        bool is_plain = !strcmp(job->tool, "directory");
        k->has_tool |= !is_plain;
        k->is_told_all |= job->asks.any;
        for (size_t n = 0; n < job->answers.len; n++)
            strv_push(&k->answers, job->answers.v[n]);
        for (size_t n = 0; is_plain && n < job->docs.len; n++)
            if (str_eq(json_dot_str(job->docs.v[n].doc, "kind"), "CustomResourceDefinition"))
                json_array_append_new(k->crds, outline_of(job->docs.v[n].doc));
    }
    k->apis = j->apis;
}

// Which source each path was of; false when it is of none.
static bool settle_paths(struct yielded *k, const struct app_jobs *j, const struct application *a)
{
    for (size_t i = 0; i < k->seen.paths.len; i++) {
        struct seen_path *p = &k->seen.paths.v[i];
        size_t n = count_sources(a);
        p->source = 0;
        while (p->source < n && tree_of(j, a, p->source) != p->tree)
            p->source++;
        p->tree = NULL;
        if (p->source == n)
            return false;
    }
    return true;
}

static bool may_keep(const struct yield *y, const struct app_jobs *j)
{
    bool ok = y->l->s->memo && !j->seen.is_fleeting && !y->sets.is_fleeting && !y->is_fleeting;
    for (size_t i = 0; ok && i < y->children.len; i++)
        ok = !y->children.v[i] || y->children.v[i]->state == APP_KNOWN;
    return ok;
}

static struct variants *variants_of(struct memo *m, const struct application *a)
{
    struct variants *x = find(m, a);
    if (x)
        return x;
    x = mem_alloc(sizeof(*x));
    x->name = str_dup(name_of(a));
    json_object_set_new(m->index, x->name, json_integer((json_int_t)m->apps.len));
    return *vec_push(&m->apps) = x;
}

void memo_keep(struct yield *y, struct app_jobs *j)
{
    const struct application *a = y->l->d->apps.v[y->app];
    if (!may_keep(y, j))
        return;
    struct yielded *k = mem_alloc(sizeof(*k));
    k->used_in = y->l->s->ctx.load;
    k->doc = json_incref(a->doc);
    for (size_t i = 0; i < count_sources(a); i++)
        strv_push(&k->commits, commit_of(j, a, i));
    k->seen = j->seen;
    j->seen = (struct witness){0};
    k->seen.files.v = y->sets.files.v;
    k->seen.files.len = y->sets.files.len;
    k->seen.files.cap = y->sets.files.cap;
    y->sets = (struct witness){0};
    k->served = y->l->served;
    k->clusters = y->saw_clusters ? json_deep_copy(y->l->s->clusters.known) : NULL;
    keep_told(k, j);
    keep_result(k, y);
    if (settle_paths(k, j, a))
        y->kept = *vec_push(&variants_of(y->l->s->memo, a)->v) = k;
    else
        yielded_free(k);
}

void memo_keep_made(struct yielded *kept, struct object *o)
{
    if (!kept)
        return;
    object_clear(&kept->made);
    kept->made = object_share(o);
}

void memo_keep_made_of(struct yielded *kept, struct yielded *had)
{
    if (had->made.id.kind && kept != had)
        memo_keep_made(kept, &had->made);
}

bool memo_made(const struct yielded *known, const struct origin *where, struct object *out)
{
    const struct origin *o = known ? &known->made.origin : NULL;
    if (!o || !known->made.id.kind || !str_eq(o->repo, where->repo) ||
        !str_eq(o->file, where->file) || o->line != where->line)
        return false;
    *out = object_share((struct object *)&known->made);
    origin_share_revision(&out->origin, where);
    return true;
}

// ---- let go ----
static bool is_any_unknown(const struct desired *d)
{
    bool any = false;
    for (size_t i = 0; i < d->apps.len; i++)
        any |= d->apps.v[i]->state == APP_UNKNOWN;
    return any;
}

// Of one that is not read now it is not known what it would yield.
static bool may_return(const struct desired *d, const char *name, bool any_unknown)
{
    if (!strcmp(name, "/"))
        return false;
    int at = any_unknown ? desired_tracked_app(d, name) : -1;
    return any_unknown && (at < 0 || d->apps.v[at]->state == APP_UNKNOWN);
}

// What of it is kept goes to the front; how many are. Until a load goes well, what the last one
// that did used is kept too.
static size_t sweep_one(struct variants *x, bool all, unsigned good, unsigned load)
{
    size_t n = 0;
    for (size_t k = 0; k < x->v.len; k++) {
        struct yielded *y = x->v.v[k];
        if (all || y->used_in == load || y->used_in == good)
            x->v.v[n++] = y;
        else
            yielded_free(y);
    }
    return x->v.len = n;
}

static bool is_all_old(const struct variants *x, unsigned load)
{
    bool all_old = true;
    for (size_t k = 0; k < x->v.len; k++)
        all_old &= x->v.v[k]->used_in != load;
    return all_old;
}

static void index_again(struct memo *m)
{
    json_object_clear(m->index);
    for (size_t i = 0; i < m->apps.len; i++)
        json_object_set_new(m->index, m->apps.v[i]->name, json_integer((json_int_t)i));
}

void memo_sweep(struct memo *m, const struct desired *d, unsigned good, unsigned load)
{
    bool any_unknown = d && is_any_unknown(d);
    size_t kept = 0;
    for (size_t i = 0; i < m->apps.len; i++) {
        struct variants *x = m->apps.v[i];
        bool all = any_unknown && is_all_old(x, load) && may_return(d, x->name, any_unknown);
        if (sweep_one(x, all, good, load))
            m->apps.v[kept++] = x;
        else
            variants_free(x);
    }
    if (kept == m->apps.len)
        return;
    m->apps.len = kept;
    index_again(m);
}
