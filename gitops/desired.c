// SPDX-License-Identifier: Apache-2.0
#include "gitops/desired.h"

#include <stdlib.h>
#include <string.h>

struct desired *desired_new(void)
{
    struct desired *d = mem_alloc(sizeof(*d));
    d->kinds = kinds_new();
    return d;
}

void desired_free(struct desired *d)
{
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
    free(d->index);
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

bool desired_finish(struct desired *d, struct err *err)
{
    size_t n = d->objects.len;
    struct entry *e = mem_realloc(NULL, n + 1, sizeof(*e));
    for (unsigned i = 0; i < n; i++)
        e[i] = (struct entry){&d->objects.v[i].id, i};
    qsort(e, n, sizeof(*e), cmp_entry);
    bool ok = true;
    for (size_t i = 1; ok && i < n; i++)
        if (object_id_eq(e[i - 1].id, e[i].id))
            ok = owned_twice(d, e[i - 1].at, e[i].at, err);
    free(d->index);
    d->index = mem_realloc(NULL, n + 1, sizeof(*d->index));
    d->index_len = n;
    for (size_t i = 0; i < n; i++)
        d->index[i] = e[i].at;
    free(e);
    return ok;
}

struct object *desired_find(const struct desired *d, const struct object_id *id)
{
    size_t lo = 0;
    size_t hi = d->index_len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct object *o = &d->objects.v[d->index[mid]];
        int c = object_id_cmp(&o->id, id);
        if (c == 0)
            return o;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

int desired_find_app(const struct desired *d, const char *name)
{
    for (size_t i = 0; i < d->apps.len; i++)
        if (str_eq(d->apps.v[i]->name, name) || str_eq(d->apps.v[i]->tracking_name, name))
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
