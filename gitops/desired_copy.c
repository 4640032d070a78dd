// SPDX-License-Identifier: Apache-2.0
//
// A copy that shares nothing, for another thread: not a text, not a document, not a count.
#include <stdlib.h>
#include <string.h>

#include "gitops/desired.h"
#include "gitops/json.h"

static void copy_list(struct strv *to, const struct strv *from)
{
    strv_clear(to);
    for (size_t i = 0; i < from->len; i++)
        strv_push(to, from->v[i]);
}

// What its document says is read again, so that what is borrowed from it is borrowed from the copy.
static struct application *copy_app(const struct application *a)
{
    struct application *x = NULL;
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = a->doc ? json_deep_copy(a->doc) : NULL;
    if (!doc && a->parent < 0)
        x = application_new_root(a->name);
    else if (!doc || !application_parse(doc, &a->origin, &x, &err))
        x = application_new_unknown(a->name, a->namespace);
    err_clear(&err); // it is unknown in the original as well, with its reason
    origin_clear(&x->origin);
    x->origin = origin_dup(&a->origin);
    x->parent = a->parent;
    x->wave = a->wave;
    free(x->set_name);
    x->set_name = str_dup_or_null(a->set_name);
    x->is_preserved = a->is_preserved;
    x->marks = a->marks;
    x->is_passing = a->is_passing;
    x->state = a->state;
    err_copy(&x->problem, &a->problem);
    x->revision_text = str_dup_or_null(a->revision_text);
    copy_list(&x->revisions, &a->revisions);
    copy_list(&x->warnings, &a->warnings);
    return x;
}

static struct object copy_object(const struct object *o)
{
    struct object x = *o;
    x.id = object_id_dup(&o->id);
    x.version = str_dup_or_null(o->version);
    x.origin = origin_dup(&o->origin);
    x.body = o->body ? mem_dup(o->body, o->body_len) : NULL;
    x.shares = NULL;
    return x;
}

struct desired *desired_dup(const struct desired *d)
{
    struct desired *x = mem_alloc(sizeof(*x));
    struct err err = {0};
    x->root_name = str_dup_or_null(d->root_name);
    x->root_revision = str_dup_or_null(d->root_revision);
    x->root_commit = str_dup_or_null(d->root_commit);
    x->root_ref = str_dup_or_null(d->root_ref);
    x->root_time_unix_s = d->root_time_unix_s;
    x->kinds = kinds_dup(d->kinds);
    for (size_t i = 0; i < d->apps.len; i++)
        desired_add_app_take(x, copy_app(d->apps.v[i]));
    vec_reserve(&x->objects, d->objects.len);
    for (size_t i = 0; i < d->objects.len; i++) {
        struct object o = copy_object(&d->objects.v[i]);
        desired_add_object_take(x, &o);
    }
    for (size_t i = 0; i < d->projects.len; i++)
        *vec_push(&x->projects) = json_deep_copy(d->projects.v[i]);
    copy_list(&x->warnings, &d->warnings);
    if (desired_finish(x, &err))
        return x;
    err_clear(&err); // the original would have been refused as well
    desired_free(x);
    return NULL;
}
