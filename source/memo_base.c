// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "source/memo_int.h"

void memo_base_begin(struct memo *m)
{
    m->base.state = 0;
    m->base.taken.len = m->base.with_creds.len = m->base.with_kinds.len = 0;
}

void memo_base_take(struct memo *m, unsigned app, struct yielded *y)
{
    while (m->base.taken.len <= app)
        vec_push(&m->base.taken);
    m->base.taken.v[app] = y;
}

void memo_base_creds(struct memo *m, unsigned app)
{
    *vec_push(&m->base.with_creds) = app;
}

void memo_base_kinds(struct memo *m, unsigned app)
{
    *vec_push(&m->base.with_kinds) = app;
}

struct yielded *memo_base_of(const struct memo *m, size_t app)
{
    return app < m->base.taken.len ? m->base.taken.v[app] : NULL;
}

const unsigned *memo_base_with_creds(const struct memo *m, size_t *n)
{
    *n = m->base.with_creds.len;
    return m->base.with_creds.v;
}

bool memo_is_plain(const struct yielded *y)
{
    return !y->children.len && !y->projects.len && !y->global_projects && !y->has_definitions &&
           !json_array_size(y->crds);
}

static bool same_place(const struct origin *a, const struct origin *b)
{
    return a->line == b->line && a->source == b->source && str_eq(a->file, b->file) &&
           str_eq(a->repo, b->repo);
}

static bool same_objects(const struct yielded *a, const struct yielded *b)
{
    bool same = a->objects.len == b->objects.len;
    for (size_t i = 0; same && i < a->objects.len; i++)
        same = source_same_object(&a->objects.v[i], &b->objects.v[i]) &&
               same_place(&a->objects.v[i].origin, &b->objects.v[i].origin);
    return same;
}

static bool same_children(const struct yielded *a, const struct yielded *b)
{
    bool same = a->children.len == b->children.len;
    for (size_t i = 0; same && i < a->children.len; i++) {
        const struct application *x = a->children.v[i];
        const struct application *y = b->children.v[i];
        same = json_equal(x->doc, y->doc) && str_eq(x->set_name, y->set_name) &&
               x->is_preserved == y->is_preserved && x->marks == y->marks &&
               same_place(&x->origin, &y->origin);
    }
    return same;
}

// What charts were told of definitions, and what others find known of kinds.
static bool same_kinds(const struct yielded *a, const struct yielded *b)
{
    bool same =
        a->kinds.len == b->kinds.len && a->has_tool == b->has_tool && json_equal(a->crds, b->crds);
    for (size_t i = 0; same && i < a->kinds.len; i++) {
        const json_t *x = a->kinds.v[i].crd;
        const json_t *y = b->kinds.v[i].crd;
        same = x == y || (x && y && json_equal((json_t *)x, (json_t *)y));
    }
    return same;
}

static bool same_projects(const struct yielded *a, const struct yielded *b)
{
    bool same =
        a->projects.len == b->projects.len && str_eq(a->global_projects, b->global_projects);
    for (size_t i = 0; same && i < a->projects.len; i++)
        same = json_equal(a->projects.v[i], b->projects.v[i]);
    return same;
}

bool memo_same_yield(const struct yielded *a, const struct yielded *b)
{
    return same_objects(a, b) && same_children(a, b) && same_kinds(a, b) && same_projects(a, b) &&
           strv_eq(&a->warnings, &b->warnings);
}

bool memo_has_definitions(const struct yielded *y)
{
    return y->has_definitions;
}

const struct strv *memo_warnings(const struct yielded *y)
{
    return &y->warnings;
}

// What an application yields and does not have may come back to it when another one lets go of it.
// Of these kinds none is let go of while a state is amended.
static bool may_be_lost(const struct object_id *id)
{
    return argo_is_own(id) || settle_is_namespace(id);
}

static bool has_all(const struct desired *d, unsigned app, const struct yielded *y)
{
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, app, &of);
    if (n && d->objects.v[of[n - 1]].is_made)
        n--;
    bool ok = true;
    for (size_t i = 0; ok && n != y->objects.len && i < y->objects.len; i++) {
        const struct object_id *id = &y->objects.v[i].id;
        const struct object *o = desired_find(d, id);
        ok = (o && o->app == app) || may_be_lost(id);
    }
    return ok;
}

static bool can_be_amended(const struct memo *m, const struct desired *d)
{
    bool ok = d->state != 0;
    for (unsigned i = 0; ok && i < d->apps.len; i++) {
        const struct yielded *y = memo_base_of(m, i);
        enum app_state state = d->apps.v[i]->state;
        ok = state != APP_KNOWN || (y && has_all(d, i, y));
    }
    // A definition counts that was read before its application turned out to be unknown.
    for (size_t i = 0; ok && i < m->base.with_kinds.len; i++)
        ok = d->apps.v[m->base.with_kinds.v[i]]->state == APP_KNOWN;
    return ok;
}

void memo_base_end(struct memo *m, const struct desired *d, uint64_t kinds, json_t *clusters)
{
    json_decref(m->base.clusters);
    m->base.clusters = json_deep_copy(clusters);
    m->base.kinds = kinds;
    m->base.state = can_be_amended(m, d) ? d->state : 0;
}

bool memo_base_is(const struct memo *m, const struct desired *d, uint64_t kinds)
{
    return m->base.state && m->base.state == d->state && m->base.kinds == kinds;
}

bool memo_base_same_clusters(const struct memo *m, const json_t *clusters)
{
    return json_equal(m->base.clusters, (json_t *)clusters);
}
