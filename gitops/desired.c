// SPDX-License-Identifier: Apache-2.0
#include "gitops/desired.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/json.h"

struct desired *desired_new(void)
{
    struct desired *d = mem_alloc(sizeof(*d));
    d->kinds = kinds_new();
    return d;
}

// What is borrowed stays with the whole.
static void free_part(struct desired *d)
{
    vec_clear(&d->apps);
    vec_clear(&d->objects);
    vec_clear(&d->projects);
    strv_clear(&d->warnings);
    free(d->index);
    free(d->app_first);
    free(d->app_objects);
    free(d->by_name);
    free(d->taken);
    free(d->origin);
    free(d);
}

void desired_free(struct desired *d)
{
    if (d && d->whole) {
        free_part(d);
        return;
    }
    if (!d)
        return;
    for (size_t i = 0; i < d->apps.len; i++)
        application_free(d->apps.v[i]);
    vec_clear(&d->apps);
    for (size_t i = 0; i < d->objects.len; i++)
        object_clear(&d->objects.v[i]);
    vec_clear(&d->objects);
    for (size_t i = 0; i < d->projects.len; i++)
        json_decref(d->projects.v[i]);
    vec_clear(&d->projects);
    kinds_free(d->kinds);
    strv_clear(&d->warnings);
    json_decref(d->ignore);
    free(d->index);
    free(d->app_first);
    free(d->app_objects);
    free(d->by_name);
    free(d->root_name);
    free(d->root_revision);
    free(d->root_commit);
    free(d->root_ref);
    free(d);
}

unsigned desired_add_app_take(struct desired *d, struct application *a)
{
    *vec_push(&d->apps) = a;
    return (unsigned)d->apps.len - 1;
}

void desired_add_object_take(struct desired *d, struct object *o)
{
    *vec_push(&d->objects) = *o;
    *o = (struct object){0};
}

struct entry {
    const struct object_id *id;
    unsigned at;
    bool is_known; // it had its place in the last state, where it was the only one of its identity
};

static int cmp_entry(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int c = object_id_cmp(x->id, y->id);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static bool owned_twice(const struct desired *d, unsigned a, unsigned b, struct err *err)
{
    const struct object *x = &d->objects.v[a];
    const struct object *y = &d->objects.v[b];
    CLEANUP(str_freep) char *name = object_name(&x->id);
    CLEANUP(str_freep) char *where_x = origin_text(&x->origin);
    CLEANUP(str_freep) char *where_y = origin_text(&y->origin);
    err_set(err, ERR_INVALID,
            "%s is owned twice: by application %s (%s) and by application %s (%s)", name,
            d->apps.v[x->app]->name, where_x, d->apps.v[y->app]->name, where_y);
    return err_hint(err, "Let one application own it; the other may refer to it.");
}

// A hook that runs in several phases is one object for each.
static bool are_phases(const struct object *x, const struct object *y)
{
    return x->is_hook && y->is_hook && x->app == y->app && x->phase != y->phase;
}

static json_t *unmarked(const struct object *o)
{
    json_t *doc = object_doc(o);
    json_t *meta = json_object_get(doc, "metadata");
    json_t *annotations = json_object_get(meta, "annotations");
    json_object_del(annotations, TRACKING_ANNOTATION);
    json_object_del(annotations, OWNER_ANNOTATION);
    if (annotations && !json_object_size(annotations))
        json_object_del(meta, "annotations");
    return doc;
}

// Word for word the same: the first owns it, the second leaves it alone, and says so.
static bool leave_to(struct desired *d, unsigned first, unsigned second)
{
    const struct object *x = &d->objects.v[first];
    struct object *y = &d->objects.v[second];
    struct application *other = d->apps.v[y->app];
    if (!x->body || !y->body)
        return false;
    CLEANUP(json_freep) json_t *a = unmarked(x);
    CLEANUP(json_freep) json_t *b = unmarked(y);
    if (x->app == y->app || other->fail_on_shared || x->is_hook || y->is_hook || !json_equal(a, b))
        return false;
    CLEANUP(str_freep) char *name = object_name(&x->id);
    strv_push_take(&other->warnings, str_printf("%s is the same in application %s, which owns it",
                                                name, d->apps.v[x->app]->name));
    object_clear(y);
    return true;
}

static void drop_cleared(struct desired *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->objects.len; i++)
        if (d->objects.v[i].id.kind)
            d->objects.v[kept++] = d->objects.v[i];
    d->objects.len = kept;
}

// The place it had among the objects of the last state, from 1; 0: it was not among them.
static unsigned rank_of(const struct desired *d, const struct object *o)
{
    bool is_known = o->shares && d->last_state && o->shares->state == d->last_state;
    return is_known ? o->shares->rank : 0;
}

static size_t highest_rank(const struct desired *d)
{
    size_t highest = 0;
    for (size_t i = 0; i < d->objects.len; i++) {
        unsigned rank = rank_of(d, &d->objects.v[i]);
        highest = rank > highest ? rank : highest;
    }
    return highest;
}

static void merge(const struct entry *a, size_t n, const struct entry *b, size_t m,
                  struct entry *out)
{
    size_t i = 0;
    size_t k = 0;
    while (i < n || k < m) {
        bool first = k == m || (i < n && cmp_entry(&a[i], &b[k]) <= 0);
        out[i + k] = first ? a[i] : b[k];
        if (first)
            i++;
        else
            k++;
    }
}

// By identity. What was sorted in the last state only has to be put where it was: comparing names
// is most of what a load costs that changes little.
static struct entry *sorted(const struct desired *d)
{
    size_t n = d->objects.len;
    size_t places = highest_rank(d);
    struct entry *known = mem_alloc((places + 1) * sizeof(*known));
    struct entry *news = mem_realloc(NULL, n + 1, sizeof(*news));
    struct entry *e = mem_realloc(NULL, n + 1, sizeof(*e));
    size_t n_known = 0;
    size_t n_news = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned rank = rank_of(d, &d->objects.v[i]);
        struct entry x = {&d->objects.v[i].id, i, false};
        if (rank && !known[rank - 1].id) {
            x.is_known = !d->objects.v[i].is_hook;
            known[rank - 1] = x;
        } else {
            news[n_news++] = x;
        }
    }
    for (size_t i = 0; i < places; i++)
        if (known[i].id)
            known[n_known++] = known[i];
    qsort(news, n_news, sizeof(*news), cmp_entry);
    merge(known, n_known, news, n_news, e);
    free(known);
    free(news);
    return e;
}

// What two applications have: given to the first if they agree.
static bool settle_shared(struct desired *d, const struct entry *e, bool *any, struct err *err)
{
    size_t first = 0;
    bool ok = true;
    for (size_t i = 1; ok && i < d->objects.len; i++) {
        bool are_known = e[first].is_known && e[i].is_known;
        if (are_known || !object_id_eq(e[first].id, e[i].id)) {
            first = i;
        } else if (are_phases(&d->objects.v[e[first].at], &d->objects.v[e[i].at])) {
            continue;
        } else if (leave_to(d, e[first].at, e[i].at)) {
            *any = true;
        } else {
            ok = owned_twice(d, e[first].at, e[i].at, err);
        }
    }
    return ok;
}

// A counting sort: app_first[a + 1] runs from the beginning of a's range to its end.
static void index_apps(struct desired *d)
{
    free(d->app_first);
    free(d->app_objects);
    d->n_by_app = d->apps.len;
    d->app_first = mem_alloc((d->n_by_app + 2) * sizeof(*d->app_first));
    d->app_objects = mem_alloc((d->objects.len + 1) * sizeof(*d->app_objects));
    for (size_t i = 0; i < d->objects.len; i++)
        d->app_first[d->objects.v[i].app + 2]++;
    for (size_t i = 2; i <= d->n_by_app; i++)
        d->app_first[i] += d->app_first[i - 1];
    for (unsigned i = 0; i < d->objects.len; i++)
        d->app_objects[d->app_first[d->objects.v[i].app + 1]++] = i;
}

static int cmp_name(const void *a, const void *b, void *ctx)
{
    const struct desired *d = ctx;
    unsigned x = *(const unsigned *)a;
    unsigned y = *(const unsigned *)b;
    int c = strcmp(d->apps.v[x]->tracking_name, d->apps.v[y]->tracking_name);
    return c ? c : (x > y) - (x < y);
}

static void index_names(struct desired *d)
{
    free(d->by_name);
    d->n_by_name = d->apps.len;
    d->by_name = mem_alloc((d->n_by_name + 1) * sizeof(*d->by_name));
    for (unsigned i = 0; i < d->n_by_name; i++)
        d->by_name[i] = i;
    qsort_r(d->by_name, d->n_by_name, sizeof(*d->by_name), cmp_name, d);
}

static void index_take(struct desired *d, struct entry *e)
{
    index_apps(d);
    if (!d->whole)
        index_names(d);
    free(d->index);
    d->index_len = d->objects.len;
    d->index = mem_realloc(NULL, d->index_len + 1, sizeof(*d->index));
    for (size_t i = 0; i < d->index_len; i++) {
        struct object_shares *s = d->objects.v[e[i].at].shares;
        d->index[i] = e[i].at;
        if (s && d->state) {
            s->state = d->state;
            s->rank = (unsigned)i + 1;
        }
    }
    free(e);
}

static void reindex(struct desired *d)
{
    index_take(d, sorted(d));
}

bool desired_finish(struct desired *d, struct err *err)
{
    bool any = false;
    struct entry *e = sorted(d);
    bool ok = settle_shared(d, e, &any, err);
    if (any) {
        free(e);
        drop_cleared(d);
        e = sorted(d);
    }
    if (!ok)
        d->state = 0; // it is no state that another could begin with
    index_take(d, e);
    return ok;
}

void desired_changed(struct desired *d, unsigned object)
{
    reindex(d);
    if (!d->whole)
        return;
    d->whole->objects.v[d->origin[object]] = d->objects.v[object];
    reindex(d->whole);
}

static bool same_ids(const struct object *a, const struct object *b, size_t n)
{
    bool same = true;
    for (size_t i = 0; same && i < n; i++)
        same = object_id_eq(&a[i].id, &b[i].id) && a[i].is_hook == b[i].is_hook;
    return same;
}

void desired_replace_take(struct desired *d, unsigned app, struct object *objects, size_t n)
{
    const unsigned *of = NULL;
    size_t had = desired_objects_of(d, app, &of);
    size_t first = of[0];
    assert(!d->whole && had && of[had - 1] - first + 1 == had);
    bool same = had == n && same_ids(&d->objects.v[first], objects, n);
    for (size_t i = 0; i < had; i++)
        object_clear(&d->objects.v[first + i]);
    vec_reserve(&d->objects, d->objects.len + n);
    memmove(&d->objects.v[first + n], &d->objects.v[first + had],
            (d->objects.len - first - had) * sizeof(*d->objects.v));
    d->objects.len = d->objects.len - had + n;
    for (size_t i = 0; i < n; i++) {
        d->objects.v[first + i] = objects[i];
        d->objects.v[first + i].app = app;
        objects[i] = (struct object){0};
    }
    if (same)
        return;
    d->last_state = d->state; // what else there is has its place
    reindex(d);
}

static int cmp_place(const void *a, const void *b)
{
    const unsigned *x = a;
    const unsigned *y = b;
    return (*x > *y) - (*x < *y);
}

// In their order; a part that is small is made without going through the whole.
static void take_objects(struct desired *d, const bool *take)
{
    VEC(unsigned) origin = {0};
    for (unsigned i = 0; i < d->whole->apps.len; i++) {
        const unsigned *of = NULL;
        size_t n = take[i] ? desired_objects_of(d->whole, i, &of) : 0;
        for (size_t k = 0; k < n; k++)
            *vec_push(&origin) = of[k];
    }
    if (origin.len)
        qsort(origin.v, origin.len, sizeof(*origin.v), cmp_place);
    for (size_t i = 0; i < origin.len; i++)
        *vec_push(&d->objects) = d->whole->objects.v[origin.v[i]];
    d->origin = origin.v;
}

struct desired *desired_part(struct desired *whole, const bool *take, bool is_with_gone)
{
    struct desired *d = mem_alloc(sizeof(*d));
    size_t n_apps = whole->apps.len;
    assert(!whole->whole);
    d->whole = whole;
    d->is_with_gone = is_with_gone;
    d->root_name = whole->root_name;
    d->root_revision = whole->root_revision;
    d->root_commit = whole->root_commit;
    d->root_time_unix_s = whole->root_time_unix_s;
    d->root_ref = whole->root_ref;
    d->kinds = whole->kinds;
    d->taken = mem_alloc(n_apps + 1);
    memcpy(d->taken, take, n_apps * sizeof(*take));
    for (size_t i = 0; i < n_apps; i++)
        *vec_push(&d->apps) = whole->apps.v[i];
    for (size_t i = 0; i < whole->projects.len; i++)
        *vec_push(&d->projects) = whole->projects.v[i];
    take_objects(d, take);
    reindex(d);
    return d;
}

void desired_part_keep(struct desired *part, bool (*wants)(void *ctx, const struct object *o),
                       void *ctx)
{
    size_t kept = 0;
    assert(part->whole);
    for (size_t i = 0; i < part->objects.len; i++) {
        if (!wants(ctx, &part->objects.v[i]))
            continue;
        part->objects.v[kept] = part->objects.v[i];
        part->origin[kept++] = part->origin[i];
    }
    part->objects.len = kept;
    reindex(part);
}

static void ignore_too(struct application *a, json_t *rules)
{
    const json_t *own = json_dot(a->doc, "spec.ignoreDifferences");
    json_decref(a->rules);
    a->rules = NULL;
    if (json_array_size(rules)) {
        a->rules = json_is_array(own) ? json_copy((json_t *)own) : json_array();
        json_array_extend(a->rules, rules);
    }
    a->ignore_differences = a->rules ? a->rules : json_array_size(own) ? own : NULL;
}

void desired_ignore(struct desired *d, json_t *rules)
{
    struct desired *all = d->whole ? d->whole : d;
    bool is_same = all->ignore == rules || json_equal(all->ignore, rules);
    for (size_t i = 0; i < all->apps.len && !is_same; i++)
        ignore_too(all->apps.v[i], rules);
    if (!is_same) {
        json_decref(all->ignore);
        all->ignore = json_incref(rules);
    }
    // A variant of an application (application_vary) borrows them.
    for (size_t i = 0; i < d->apps.len && d != all; i++)
        d->apps.v[i]->ignore_differences = all->apps.v[i]->ignore_differences;
}

bool desired_takes(const struct desired *d, unsigned app)
{
    return !d->whole || d->taken[app];
}

const struct desired *desired_whole(const struct desired *d)
{
    return d->whole ? d->whole : d;
}

struct object *desired_find(const struct desired *d, const struct object_id *id)
{
    size_t lo = 0;
    size_t hi = d->index_len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct object *o = &d->objects.v[d->index[mid]];
        int c = object_id_cmp(&o->id, id);
        if (c == 0) {
            while (mid > 0 && object_id_eq(&d->objects.v[d->index[mid - 1]].id, id))
                mid--; // the first of a hook's phases
            return &d->objects.v[d->index[mid]];
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

size_t desired_find_all(const struct desired *d, const struct object_id *id,
                        unsigned out[DESIRED_MAX_PHASES])
{
    const struct object *first = desired_find(d, id);
    size_t n = 0;
    size_t at = 0;
    if (!first)
        return 0;
    if (!first->is_hook) { // by far the most
        out[0] = (unsigned)(first - d->objects.v);
        return 1;
    }
    for (at = 0; at < d->objects.len && n < DESIRED_MAX_PHASES; at++)
        if (d->objects.v[at].is_hook && object_id_eq(&d->objects.v[at].id, id))
            out[n++] = (unsigned)at;
    return n;
}

int desired_find_app(const struct desired *d, const char *name)
{
    for (size_t i = 0; i < d->apps.len; i++)
        if (str_eq(d->apps.v[i]->name, name) || str_eq(d->apps.v[i]->tracking_name, name))
            return (int)i;
    return -1;
}

static int find_name(const struct desired *d, const char *name)
{
    size_t lo = 0;
    size_t hi = d->n_by_name;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(d->apps.v[d->by_name[mid]]->tracking_name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool is_it = lo < d->n_by_name && !strcmp(d->apps.v[d->by_name[lo]]->tracking_name, name);
    return is_it ? (int)d->by_name[lo] : -1;
}

int desired_tracked_app(const struct desired *d, const char *tracking_name)
{
    const struct desired *of = d->whole ? d->whole : d;
    if (tracking_name && of->n_by_name && of->n_by_name == of->apps.len)
        return find_name(of, tracking_name);
    for (size_t i = 0; i < d->apps.len; i++)
        if (str_eq(d->apps.v[i]->tracking_name, tracking_name))
            return (int)i;
    return -1;
}

size_t desired_app_objects(const struct desired *d, unsigned app)
{
    size_t n = 0;
    for (size_t i = 0; i < d->objects.len; i++)
        n += d->objects.v[i].app == app;
    return n;
}

size_t desired_objects_of(const struct desired *d, unsigned app, const unsigned **objects)
{
    if (app >= d->n_by_app)
        return 0;
    *objects = d->app_objects + d->app_first[app];
    return d->app_first[app + 1] - d->app_first[app];
}

bool desired_has_namespace(const struct desired *d, const char *name)
{
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object_id *id = &d->objects.v[i].id;
        bool is_itself = !*id->group && !strcmp(id->kind, "Namespace") && !strcmp(id->name, name);
        if (is_itself || str_eq(id->namespace, name))
            return true;
    }
    return false;
}
