// SPDX-License-Identifier: Apache-2.0
//
// Rendered documents to objects: default namespaces, sync marks, normal form, tracking mark;
// Applications, ApplicationSets and AppProjects among them are read.
#include <stdlib.h>
#include <string.h>

#include "source/gotemplate.h"
#include "source/memo.h"

void yield_clear(struct yield *y)
{
    for (size_t i = 0; i < y->objects.len; i++)
        object_clear(&y->objects.v[i]);
    vec_clear(&y->objects);
    for (size_t i = 0; i < y->children.len; i++)
        application_free(y->children.v[i]);
    vec_clear(&y->children);
    for (size_t i = 0; i < y->projects.len; i++)
        json_decref(y->projects.v[i]);
    vec_clear(&y->projects);
    json_decref(y->seen);
    json_decref(y->made);
    strv_clear(&y->warnings);
    free(y->global_projects);
    for (size_t i = 0; i < y->kinds.len; i++)
        kind_seen_clear(&y->kinds.v[i]);
    vec_clear(&y->kinds);
    witness_clear(&y->sets);
}

struct yielded *yield_kept(const struct yield *y)
{
    return y->kept ? y->kept : y->known;
}

bool yield_has_definitions(const struct yield *y)
{
    bool any = yield_kept(y) && memo_has_definitions(yield_kept(y));
    for (size_t i = 0; i < y->kinds.len; i++)
        any |= y->kinds.v[i].crd != NULL;
    return any;
}

static bool is_served(const struct loading *l, const char *group, const char *kind)
{
    const struct source_opts *o = &l->s->o;
    return o->kind_served && o->kind_served(o->ctx, group, kind);
}

static struct origin origin_of(struct render_job *j, const struct rendered *r)
{
    struct origin o = {.source = j->source};
    if (j->chart.file) {
        o.repo = str_printf("%s %s", j->src->chart ? j->src->chart : "chart", j->chart.version);
        o.file = str_dup_or_null(r->file);
        return o;
    }
    o.repo = str_dup_or_null(j->tree->repo);
    origin_share_revision(&o, render_shown(j));
    o.file = str_dup(r->file ? r->file : j->path);
    o.line = r->file && !strcmp(j->tool, "directory") ? r->line : 0;
    return o;
}

// ---- namespaces ----
static const char *default_namespace(const struct application *a)
{
    return a->dest_namespace ? a->dest_namespace : "default";
}

// A kind that nobody knows is taken for namespaced, as Argo CD does; its definition may come later.
static void settle_namespace(const struct application *a, const struct kind_info *k, json_t *doc,
                             struct object *o)
{
    json_t *meta = json_object_get(doc, "metadata");
    object_own(o);
    o->is_namespaced = !k || k->is_namespaced;
    o->is_scope_guessed = !k;
    if (!o->is_namespaced) {
        json_object_del(meta, "namespace");
        str_set(&o->id.namespace, NULL);
    } else if (!o->id.namespace) {
        o->id.namespace = str_dup(default_namespace(a));
        json_object_set_new(meta, "namespace", json_string(o->id.namespace));
    }
}

// ---- one object ----
// Of everything that the application renders.
static const struct sha256 *whole_of(struct yield *y)
{
    if (y->has_whole)
        return &y->whole;
    struct sha256_ctx *h = sha256_begin();
    for (size_t j = 0; j < y->n_jobs; j++) {
        for (size_t i = 0; i < y->jobs[j].docs.len; i++) {
            struct buf b CLEANUP(buf_clear) = {0};
            canon_write(y->jobs[j].docs.v[i].doc, &b);
            sha256_add(h, b.p, b.len);
        }
    }
    y->whole = sha256_end(h);
    y->has_whole = true;
    return &y->whole;
}

// generateName: Argo CD appends revision, phase and start time, so that every sync makes another.
// Here seven digits and a number of all that the application renders stand for these: the same
// content gives the same name however often it is run, other content another.
static bool name_hook(struct yield *y, json_t *doc, const struct object *marks, enum phase phase,
                      struct err *err)
{
    static const char *const phases[] = {"presync", "sync", "postsync", "syncfail"};
    const char *prefix = json_dot_str(doc, "metadata.generateName");
    if (json_dot_str(doc, "metadata.name") || !prefix)
        return true;
    if (!marks->is_hook)
        return err_set(err, ERR_INVALID,
                       "metadata.generateName makes a new object on every run; only hooks may use "
                       "it");
    const struct sha256 *whole = whole_of(y);
    CLEANUP(str_freep) char *hex = hex_encode(whole->b, 4);
    unsigned long long number = 0;
    for (size_t i = 4; i < 12; i++)
        number = number << 8 | whole->b[i];
    CLEANUP(str_freep)
    char *name = str_printf("%s%.7s-%s-%llu", prefix, hex, phases[phase],
                            1000000000ULL + number % 9000000000ULL);
    json_object_set_new(json_object_get(doc, "metadata"), "name", json_string(name));
    json_object_del(json_object_get(doc, "metadata"), "generateName");
    return true;
}

static void warn_twice(struct yield *y, const char *name)
{
    CLEANUP(str_freep) char *text = str_printf("%s is there twice; the last one counts", name);
    if (!strv_has(&y->warnings, text))
        strv_push(&y->warnings, text);
}

static void add_object(struct yield *y, struct object *o)
{
    CLEANUP(str_freep) char *key = object_key(&o->id);
    if (!y->seen)
        y->seen = json_object();
    json_t *known = json_object_get(y->seen, key);
    if (known && json_dot_int(known, "doc", 0) != y->doc) {
        // The last one wins, as in Argo CD.
        CLEANUP(str_freep) char *name = object_name(&o->id);
        warn_twice(y, name);
        size_t i;
        json_t *at;
        json_array_foreach(json_object_get(known, "at"), i, at)
        {
            object_clear(&y->objects.v[json_integer_value(at)]);
        }
        known = NULL;
    }
    if (!known) {
        known = json_pack("{s:I, s:[]}", "doc", (json_int_t)y->doc, "at");
        json_object_set_new(y->seen, key, known);
    }
    json_array_append_new(json_object_get(known, "at"), json_integer((json_int_t)y->objects.len));
    *vec_push(&y->objects) = *o;
}

// Argo CD's own, and not one of that name somewhere else.
static bool is_settings(const struct object_id *id)
{
    return !*id->group && !strcmp(id->kind, "ConfigMap") && !strcmp(id->name, "argocd-cm") &&
           str_eq(id->namespace, ARGOCD_NAMESPACE);
}

static void note_definition(struct yield *y, json_t *crd)
{
    kinds_add_crd(y->l->d->kinds, crd);
    if (y->l->s->memo)
        vec_push(&y->kinds)->crd = json_incref(crd);
}

static const struct kind_info *find_kind(struct yield *y, const struct object_id *id)
{
    const struct kind_info *k = kinds_find(y->l->d->kinds, id->group, NULL, id->kind);
    if (!y->l->s->memo)
        return k;
    for (size_t i = y->kinds.len; i > 0; i--) {
        const struct kind_seen *x = &y->kinds.v[i - 1];
        if (x->crd)
            break; // it may be known otherwise since
        if (!strcmp(x->kind, id->kind) && !strcmp(x->group, id->group))
            return k;
    }
    struct kind_seen *x = vec_push(&y->kinds);
    x->group = str_dup(id->group);
    x->kind = str_dup(id->kind);
    x->is_known = k != NULL;
    x->is_namespaced = k && k->is_namespaced;
    return k;
}

// The object of one phase.
static bool add_phase(struct yield *y, json_t *doc, const struct origin *where,
                      const struct object *marks, enum phase phase, struct doc_flags flags,
                      struct err *err)
{
    struct desired *d = y->l->d;
    const struct application *a = d->apps.v[y->app];
    struct object o = *marks;
    o.app = y->app;
    o.phase = phase;
    o.is_virtual = flags.is_virtual;
    o.is_made = flags.is_made;
    if (!name_hook(y, doc, marks, phase, err) || !object_id_of(doc, &o.id, &o.version, err) ||
        !object_normalize(doc, err)) {
        object_clear(&o);
        return false;
    }
    o.origin = origin_share(where);
    const json_t *meta = json_object_get(doc, "metadata");
    o.is_bare =
        o.is_made && !json_object_get(meta, "labels") && !json_object_get(meta, "annotations");
    if (!strcmp(o.id.kind, "CustomResourceDefinition"))
        note_definition(y, doc);
    settle_namespace(a, find_kind(y, &o.id), doc, &o);
    if (is_settings(&o.id)) {
        str_set(&y->global_projects, json_dot_str(doc, "data.globalProjects"));
        unheeded_settings(doc, &y->warnings);
    }
    if (!o.is_virtual && !o.is_made)
        application_mark(a, doc, &o);
    object_set_body(&o, doc);
    add_object(y, &o);
    return true;
}

static void warn_of_hook(struct yield *y, const json_t *doc)
{
    const char *type = object_helm_delete_hook(doc);
    const char *unknown = object_unknown_hook(doc);
    const char *kind = json_dot_str(doc, "kind");
    const char *name = json_dot_str(doc, "metadata.name");
    if (unknown)
        strv_push_take(&y->warnings,
                       str_printf("%s %s: its hook \"%.60s\" is none of PreSync, Sync, PostSync, "
                                  "SyncFail and Skip: it is never applied",
                                  kind ? kind : "object", name ? name : "", unknown));
    if (type)
        strv_push_take(&y->warnings,
                       str_printf("%s %s: %s hooks are not supported by regrow; it will not run "
                                  "when the application is deleted",
                                  kind ? kind : "object", name ? name : "", type));
}

bool yield_add_doc(struct yield *y, json_t *doc, struct origin *where, struct doc_flags flags,
                   struct err *err)
{
    struct object marks = {0};
    bool skip = false;
    bool ok = object_sync_marks(doc, &marks, &skip, err);
    warn_of_hook(y, doc);
    marks.options = object_sync_options(doc, y->l->d->apps.v[y->app]->options, &y->warnings);
    y->doc++;
    for (int p = PHASE_PRESYNC; ok && !skip && p <= PHASE_SYNCFAIL; p++) {
        if (!(marks.phases & 1U << p))
            continue;
        bool only = marks.phases == 1U << p;
        CLEANUP(json_freep) json_t *one = only ? json_incref(doc) : json_deep_copy(doc);
        ok = add_phase(y, one, where, &marks, (enum phase)p, flags, err);
    }
    if (ok)
        return true;
    CLEANUP(str_freep) char *place = origin_text(where);
    return strstr(err->msg, place) ? false : err_wrap(err, "%s", place);
}

// ---- Argo CD's own kinds ----
// A child that cannot be made sense of is unknown by itself; its parent and siblings are not.
// Takes the error.
static void add_unknown(struct yield *y, const json_t *doc, const struct origin *where,
                        struct err *err)
{
    struct application *child = application_new_unknown(json_dot_str(doc, "metadata.name"),
                                                        json_dot_str(doc, "metadata.namespace"));
    child->origin = origin_share(where);
    err_move(&child->problem, err);
    *vec_push(&y->children) = child;
}

static bool add_child(struct yield *y, json_t *doc, const struct origin *where, const char *set,
                      struct err *err)
{
    struct application *child = NULL;
    if (!application_parse(doc, where, &child, err))
        return false;
    if (set)
        child->set_name = str_dup(set);
    *vec_push(&y->children) = child;
    return true;
}

struct set_io {
    struct source *s;
    struct yield *y; // NULL: it only begins to come
};

// The project of what a set makes, where that is the same for all: whose credentials it may use.
static void set_project(struct source *s, const json_t *set)
{
    const char *project = json_dot_str(set, "spec.template.spec.project");
    s->ctx.project = project && !strstr(project, "{{") ? project : NULL;
}

static bool set_files(void *ctx, const char *url, const char *revision, struct strv *paths,
                      struct err *err)
{
    const struct set_io *io = ctx;
    struct tree *t = NULL;
    if (!source_tree(io->s, url, revision, NULL, &t, err) || !tree_list(t, "", true, paths, err))
        return false;
    if (io->y)
        witness_file(&io->y->sets, t, url, revision, io->s->ctx.project, NULL);
    return true;
}

static bool set_read(void *ctx, const char *url, const char *revision, const char *path,
                     struct buf *out, struct err *err)
{
    const struct set_io *io = ctx;
    struct tree *t = NULL;
    if (!source_tree(io->s, url, revision, NULL, &t, err) ||
        !tree_read(t, path, 4U << 20, out, err))
        return false;
    if (io->y)
        witness_file(&io->y->sets, t, url, revision, io->s->ctx.project, path);
    return true;
}

static json_t *set_clusters(void *ctx)
{
    const struct set_io *io = ctx;
    if (io->y)
        io->y->saw_clusters = true;
    return io->s->o.clusters ? json_deep_copy((json_t *)io->s->o.clusters) : json_array();
}

static bool set_render(void *ctx, const struct go_batch *b, json_t **out, size_t *bad,
                       struct err *err)
{
    const struct set_io *io = ctx;
    return gotemplates_render(io->s->ctx.templates, b, out, bad, err);
}

static bool set_is_waiting(void *ctx)
{
    const struct set_io *io = ctx;
    return io->s->ctx.waits.v.len > 0;
}

// ctx is the caller's struct set_io.
static const struct appset_io set_fns = {set_files,  set_read,       set_clusters,
                                         set_render, set_is_waiting, NULL};

static bool add_set(struct yield *y, const json_t *doc, const struct origin *where, struct err *err)
{
    struct set_io io = {y->l->s, y};
    struct appset_io fns = set_fns;
    struct appset_result r = {0};
    const char *name = json_dot_str(doc, "metadata.name");
    fns.ctx = &io;
    set_project(y->l->s, doc);
    bool ok = appset_expand(doc, &fns, &r, err);
    for (size_t i = 0; ok && i < r.apps.len; i++) {
        struct err bad = {0};
        const struct appset_app *a = &r.apps.v[i];
        if (a->problem ? !err_set(&bad, ERR_INVALID, "%s", a->problem)
                       : !add_child(y, a->doc, where, name, &bad))
            add_unknown(y, a->doc, where, &bad);
        struct application *made = y->children.v[y->children.len - 1];
        made->is_preserved = r.is_preserved;
        made->marks = object_deletion_marks(doc);
    }
    for (size_t i = 0; i < r.warnings.len; i++)
        strv_push(&y->warnings, r.warnings.v[i]);
    appset_result_clear(&r);
    if (!ok) {
        CLEANUP(str_freep) char *place = origin_text(where);
        return err_wrap(err, "%s", place);
    }
    return true;
}

// An application that manages itself finds its own document in its source: no child.
static bool is_own_document(const struct yield *y, const json_t *doc)
{
    const struct application *a = y->l->d->apps.v[y->app];
    const char *ns = json_dot_str(doc, "metadata.namespace");
    return a->doc && argo_is(doc, "Application") &&
           str_eq(json_dot_str(doc, "metadata.name"), a->name) &&
           !strcmp(str_is_empty(ns) ? ARGOCD_NAMESPACE : ns, a->namespace);
}

static void warn_if_differs(struct yield *y, const json_t *doc, const struct origin *where)
{
    const struct application *a = y->l->d->apps.v[y->app];
    CLEANUP(str_freep) char *here = origin_text(where);
    CLEANUP(str_freep) char *there = origin_text(&a->origin);
    bool differs = !json_equal(json_object_get(a->doc, "spec"), json_object_get(doc, "spec"));
    y->is_fleeting |= differs; // the words name a revision
    if (differs)
        strv_push_take(&y->warnings,
                       str_printf("application %s manages itself, but %s says otherwise than %s, "
                                  "which this run follows",
                                  a->name, here, there));
}

// The last of several documents of one name counts, as for all objects: what an earlier one brought
// goes.
static void begin_argo(struct yield *y, const char *name)
{
    if (!y->made)
        y->made = json_object();
    const json_t *range = json_object_get(y->made, name);
    json_int_t end = json_integer_value(json_array_get(range, 1));
    for (json_int_t i = json_integer_value(json_array_get(range, 0)); range && i < end; i++) {
        application_free(y->children.v[i]);
        y->children.v[i] = NULL;
    }
    if (range)
        warn_twice(y, name);
}

static bool add_any(struct yield *y, json_t *doc, struct origin *where, struct err *err)
{
    size_t i;
    json_t *item;
    if (object_is_list(doc)) {
        bool ok = true;
        json_array_foreach(json_object_get(doc, "items"), i, item)
        {
            struct origin o = origin_share(where);
            ok = ok && add_any(y, item, &o, err);
            origin_clear(&o);
        }
        return ok;
    }
    const char *kind = json_dot_str(doc, "kind");
    bool argo =
        argo_is(doc, "Application") || argo_is(doc, "ApplicationSet") || argo_is(doc, "AppProject");
    if (!argo)
        return yield_add_doc(y, doc, where, (struct doc_flags){0}, err);
    const char *ns = json_dot_str(doc, "metadata.namespace");
    const char *own = json_dot_str(doc, "metadata.name");
    CLEANUP(str_freep)
    char *name =
        str_printf("%s %s/%s", kind, str_is_empty(ns) ? ARGOCD_NAMESPACE : ns, own ? own : "?");
    bool ok = true;
    begin_argo(y, name);
    size_t first = y->children.len;
    if (is_own_document(y, doc))
        warn_if_differs(y, doc, where);
    else if (!strcmp(kind, "Application"))
        ok = add_child(y, doc, where, NULL, err);
    else if (!strcmp(kind, "ApplicationSet"))
        ok = add_set(y, doc, where, err);
    else
        *vec_push(&y->projects) = json_deep_copy(doc);
    if (!ok)
        add_unknown(y, doc, where, err);
    json_object_set_new(y->made, name,
                        json_pack("[I, I]", (json_int_t)first, (json_int_t)y->children.len));
    if (!ok)
        return true;
    // The child holds the document: what is sent, or shown, is a copy.
    CLEANUP(json_freep) json_t *copy = json_deep_copy(doc);
    json_t *meta = json_object_get(copy, "metadata");
    if (!ns && json_is_object(meta))
        json_object_set_new(meta, "namespace", json_string(ARGOCD_NAMESPACE));
    struct doc_flags flags = {.is_virtual = !is_served(y->l, "argoproj.io", kind)};
    return yield_add_doc(y, copy, where, flags, err);
}

static void need_doc(struct loading *l, const json_t *doc)
{
    size_t i;
    json_t *item;
    if (object_is_list(doc)) {
        json_array_foreach(json_object_get(doc, "items"), i, item)
        {
            need_doc(l, item);
        }
        return;
    }
    if (!argo_is(doc, "ApplicationSet"))
        return;
    struct set_io io = {l->s, NULL};
    struct appset_io fns = set_fns;
    struct appset_result r = {0};
    struct err err = {0};
    fns.ctx = &io;
    set_project(l->s, doc);
    // Only what it asks for counts here; what is wrong with it is said when it is read.
    if (!appset_expand(doc, &fns, &r, &err))
        err_clear(&err);
    appset_result_clear(&r);
}

void collect_needs(struct loading *l, const struct render_job *jobs, size_t n_jobs)
{
    for (size_t j = 0; j < n_jobs; j++)
        for (size_t i = 0; i < jobs[j].docs.len; i++)
            need_doc(l, jobs[j].docs.v[i].doc);
}

// Not permitted as things are: its project may still gain by a global one that comes later.
static void put_off(struct loading *l, unsigned app)
{
    l->turns.v[app] = TURN_PUT_OFF;
}

static void drop_cleared(struct yield *y)
{
    size_t kept = 0;
    for (size_t i = 0; i < y->objects.len; i++)
        if (y->objects.v[i].id.kind)
            y->objects.v[kept++] = y->objects.v[i];
    y->objects.len = kept;
}

// Is it the root once more? And what is the root read from?
static void note_trees(struct yield *y)
{
    for (size_t j = 0; j < y->n_jobs; j++) {
        const struct render_job *job = &y->jobs[j];
        y->is_root_twin |= y->app != 0 && y->n_jobs == 1 && job->tree &&
                           job->tree == y->l->root_tree && str_eq(job->path, y->l->s->root.path);
        if (y->app == 0)
            y->l->root_tree = job->tree;
    }
}

static bool read_docs(struct yield *y, struct err *err)
{
    for (size_t j = 0; j < y->n_jobs; j++) {
        struct render_job *job = &y->jobs[j];
        for (size_t i = 0; i < job->docs.len; i++) {
            struct origin where = origin_of(job, &job->docs.v[i]);
            bool ok = add_any(y, job->docs.v[i].doc, &where, err);
            origin_clear(&where);
            if (!ok)
                return false;
        }
        for (size_t i = 0; i < job->warnings.len; i++)
            strv_push(&y->warnings, job->warnings.v[i]);
    }
    drop_cleared(y);
    return true;
}

bool yield_read(struct yield *y, struct app_jobs *j, struct err *err)
{
    note_trees(y);
    y->known = j->known;
    if (j->known) {
        memo_yield(j->known, y);
        return true;
    }
    if (!read_docs(y, err))
        return false;
    memo_keep(y, j);
    return true;
}

void collect_app(struct loading *l, struct app_jobs *j)
{
    struct desired *d = l->d;
    struct yield y = {.l = l, .app = j->app, .jobs = j->jobs, .n_jobs = j->n};
    struct err err = {0};
    while (l->known.len <= j->app)
        vec_push(&l->known);
    l->known.v[j->app] = j->known;
    bool ok = yield_read(&y, j, &err) && yield_add_namespace(&y, &err);
    if (l->s->memo && yield_has_definitions(&y))
        memo_base_kinds(l->s->memo, j->app);
    if (l->s->memo)
        memo_base_take(l->s->memo, j->app, yield_kept(&y));
    if (ok && !judge_objects(l, d->apps.v[j->app], y.objects.v, y.objects.len, &err)) {
        ok = err.kind == ERR_DENIED && !l->is_last_call;
        if (ok) {
            put_off(l, j->app);
            err_clear(&err);
        }
    } else {
        ok = ok && yield_settle(&y, &err);
    }
    if (!ok)
        app_unknown(l, j->app, &err);
    yield_clear(&y);
}

// True when anything of it is otherwise now.
static bool finish_object(struct desired *d, struct object *o)
{
    const struct kind_info *k = kinds_find(d->kinds, o->id.group, NULL, o->id.kind);
    bool was_guessed = o->is_scope_guessed;
    o->is_scope_guessed &= k == NULL;
    if (!k || k->is_namespaced == o->is_namespaced || o->is_virtual)
        return was_guessed != o->is_scope_guessed;
    const struct application *a = d->apps.v[o->app];
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    settle_namespace(a, k, doc, o);
    application_mark(a, doc, o);
    object_set_body(o, doc);
    return true;
}

// Kinds whose CRD came with a later application: their objects may have been taken for
// cluster-scoped, or the reverse. Where that was looked at for the same kinds, it is not again.
void collect_finish(struct loading *l)
{
    struct desired *d = l->d;
    uint64_t sum = kinds_sum(d->kinds);
    bool *is_settled = mem_alloc(d->apps.len + 1);
    bool *is_other = mem_alloc(d->apps.len + 1);
    size_t *n_seen = mem_alloc((d->apps.len + 1) * sizeof(*n_seen));
    for (size_t i = 0; i < l->known.len; i++)
        is_settled[i] = l->known.v[i] && memo_is_settled(l->known.v[i], sum);
    for (size_t i = 0; i < d->objects.len; i++) {
        struct object *o = &d->objects.v[i];
        if (is_settled[o->app])
            continue;
        is_other[o->app] |= finish_object(d, o);
        n_seen[o->app] += !o->is_made;
    }
    for (size_t i = 0; i < l->known.len; i++)
        if (l->known.v[i] && !is_settled[i] && !is_other[i])
            memo_settled(l->known.v[i], sum, n_seen[i]);
    free(n_seen);
    free(is_settled);
    free(is_other);
}
