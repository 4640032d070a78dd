// SPDX-License-Identifier: Apache-2.0
//
// What has changed from one state to the next, application by application.
#include <stdlib.h>
#include <string.h>

#include "source/memo.h"

void source_changes_clear(struct source_changes *c)
{
    for (size_t i = 0; i < c->v.len; i++)
        free(c->v.v[i].app);
    vec_clear(&c->v);
    c->is_amended = false;
}

void source_note_change(struct source_changes *c, const struct application *a,
                        enum source_change_kind kind)
{
    struct source_change *x = vec_push(&c->v);
    x->app = str_dup(a->tracking_name);
    x->kind = kind;
}

// The objects of each application, one behind the other, in their order.
struct owned {
    const struct desired *d;
    size_t *first; // per application, and the end
    const struct object **objects;
};

static void owned_clear(struct owned *o)
{
    free(o->first);
    free(o->objects);
}

static void owned_of(const struct desired *d, struct owned *o)
{
    o->d = d;
    o->first = mem_alloc((d->apps.len + 2) * sizeof(*o->first));
    o->objects = mem_alloc((d->objects.len + 1) * sizeof(*o->objects));
    for (size_t i = 0; i < d->objects.len; i++)
        o->first[d->objects.v[i].app + 2]++;
    for (size_t i = 2; i < d->apps.len + 2; i++)
        o->first[i] += o->first[i - 1];
    for (size_t i = 0; i < d->objects.len; i++)
        o->objects[o->first[d->objects.v[i].app + 1]++] = &d->objects.v[i];
}

bool source_same_object(const struct object *a, const struct object *b)
{
    bool same = a->phase == b->phase && a->phases == b->phases && a->is_hook == b->is_hook &&
                a->hook_delete == b->hook_delete && a->wave == b->wave &&
                a->options == b->options && a->is_made == b->is_made && a->is_bare == b->is_bare &&
                a->is_virtual == b->is_virtual && a->is_namespaced == b->is_namespaced;
    return same &&
           (a->body == b->body || (sha256_eq(&a->hash, &b->hash) && object_id_eq(&a->id, &b->id)));
}

static bool same_objects(const struct owned *x, size_t a, const struct owned *y, size_t b)
{
    size_t n = x->first[a + 1] - x->first[a];
    bool same = n == y->first[b + 1] - y->first[b];
    for (size_t i = 0; same && i < n; i++)
        same = source_same_object(x->objects[x->first[a] + i], y->objects[y->first[b] + i]);
    return same;
}

static bool same_document(const struct application *a, const struct application *b)
{
    return (a->doc == b->doc || (a->doc && b->doc && json_equal(a->doc, b->doc))) &&
           str_eq(a->set_name, b->set_name) && a->is_preserved == b->is_preserved &&
           a->marks == b->marks;
}

static bool same_state(const struct application *a, const struct application *b)
{
    return a->state == b->state && a->problem.kind == b->problem.kind &&
           str_eq(a->problem.msg, b->problem.msg);
}

static void compare_app(const struct owned *was, size_t a, const struct owned *is, size_t b,
                        struct source_changes *out)
{
    const struct application *x = was->d->apps.v[a];
    const struct application *y = is->d->apps.v[b];
    if (!same_objects(was, a, is, b))
        source_note_change(out, y, SOURCE_APP_CONTENT);
    else if (!same_document(x, y))
        source_note_change(out, y, SOURCE_APP_DOCUMENT);
    else if (!same_state(x, y))
        source_note_change(out, y, SOURCE_APP_STATE);
}

static json_t *index_apps(const struct desired *d)
{
    json_t *index = json_object();
    for (size_t i = 0; d && i < d->apps.len; i++)
        json_object_set_new(index, d->apps.v[i]->tracking_name, json_integer((json_int_t)i));
    return index;
}

void source_compare(const struct desired *previous, const struct desired *d,
                    struct source_changes *out)
{
    CLEANUP(json_freep) json_t *before = index_apps(previous);
    CLEANUP(json_freep) json_t *now = index_apps(d);
    struct owned was CLEANUP(owned_clear) = {0};
    struct owned is CLEANUP(owned_clear) = {0};
    if (previous) {
        owned_of(previous, &was);
        owned_of(d, &is);
    }
    for (size_t i = 0; i < d->apps.len; i++) {
        const json_t *at = json_object_get(before, d->apps.v[i]->tracking_name);
        if (at)
            compare_app(&was, (size_t)json_integer_value(at), &is, i, out);
        else
            source_note_change(out, d->apps.v[i], SOURCE_APP_ADDED);
    }
    for (size_t i = 0; previous && i < previous->apps.len; i++)
        if (!json_object_get(now, previous->apps.v[i]->tracking_name))
            source_note_change(out, previous->apps.v[i], SOURCE_APP_REMOVED);
}
