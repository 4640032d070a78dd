// SPDX-License-Identifier: Apache-2.0
#include "restore/world.h"

#include <stdlib.h>
#include <string.h>

#include "snapshot/snapshot.h"

#define MAX_LISTS 4096 // kinds of one cluster

// One list on its way.
struct listing {
    struct world *w;
    const struct frozen *f;
    const struct kind_info *kind;
    struct kube_watch *watch; // NULL: it has ended
    bool marked, is_over;
};

// Is it an object marked as an application's, by a mark that names this very object? Copies of a
// mark, as controllers make them with all other annotations, are none.
static bool world_is_marked(const json_t *doc, const struct object_id *id)
{
    const char *mark = json_annotation(doc, TRACKING_ANNOTATION);
    const char *rest = mark ? strchr(mark, ':') : NULL;
    if (json_array_size(json_dot(doc, "metadata.ownerReferences")))
        return false;
    if (!strcmp(id->kind, "CustomResourceDefinition") && json_annotation(doc, OWNER_ANNOTATION))
        return true;
    CLEANUP(str_freep) char *kind = str_printf(":%s/%s:", id->group, id->kind);
    if (!rest || !str_starts(rest, kind))
        return false;
    rest += strlen(kind);
    const char *slash = strchr(rest, '/');
    if (!slash || strcmp(slash + 1, id->name) != 0)
        return false;
    // Of what has no namespace the mark has that of its application.
    CLEANUP(str_freep) char *ns = str_ndup(rest, (size_t)(slash - rest));
    return !id->namespace || !strcmp(ns, id->namespace);
}

static int by_zero_id(const void *a, const void *b)
{
    return object_id_cmp(a, &((const struct zero_object *)b)->id);
}

static bool is_wanted(const struct listing *x, const json_t *doc, const struct object_id *id)
{
    const struct frozen *f = x->f;
    return desired_find(f->desired, id) || (x->marked && world_is_marked(doc, id)) ||
           (f->zero.len &&
            bsearch(id, f->zero.v, f->zero.len, sizeof(*f->zero.v), by_zero_id) != NULL);
}

static void take(struct listing *x, const json_t *doc)
{
    struct object_id id = {0};
    char *version = NULL;
    struct err err = {0};
    struct buf b = {0};
    if (!object_id_of(doc, &id, &version, &err)) {
        err_clear(&err); // its message may quote
        return;
    }
    free(version);
    if (!is_wanted(x, doc, &id)) {
        object_id_clear(&id);
        return;
    }
    canon_write(doc, &b);
    size_t len = b.len;
    *vec_push(&x->w->v) = (struct world_object){.id = id, .len = len, .body = buf_take(&b)};
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct listing *x = ctx;
    switch (ev) {
    case KUBE_ITEM:
        take(x, doc);
        return;
    case KUBE_GONE:
        x->watch = NULL;
        x->is_over = true;
        return;
    case KUBE_SYNCED:
        x->is_over = true;
        return;
    case KUBE_RESTARTED: // what comes twice is one
    case KUBE_ADDED:
    case KUBE_MODIFIED:
    case KUBE_DELETED:
        return;
    }
}

static void on_failed(void *ctx, const struct kube_reply *r)
{
    struct listing *x = ctx;
    struct err err = {0};
    x->watch = NULL;
    x->is_over = true;
    if (r->cls == KUBE_NO_KIND || r->cls == KUBE_ABSENT)
        return;
    (void)kube_reply_err(r, &err, x->kind->kind);
    strv_push(&x->w->unread, err.msg);
    err_clear(&err);
}

// ---- which lists ----
typedef VEC(struct listing) listings;

// What controllers make of other objects, with their marks; and what is too much to read.
static bool is_never_declared(const struct kind_info *k)
{
    static const struct {
        const char *group, *kind; // kind NULL: any
    } kinds[] = {{"", "Event"},
                 {"events.k8s.io", NULL},
                 {"", "Pod"},
                 {"", "Node"},
                 {"", "Endpoints"},
                 {"discovery.k8s.io", NULL},
                 {"coordination.k8s.io", NULL},
                 {"metrics.k8s.io", NULL},
                 {"custom.metrics.k8s.io", NULL},
                 {"external.metrics.k8s.io", NULL},
                 {"apps", "ReplicaSet"},
                 {"apps", "ControllerRevision"}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].group, k->group) &&
            (!kinds[i].kind || !strcmp(kinds[i].kind, k->kind)))
            return true;
    return false;
}

static void add_list(listings *all, const struct kind_info *kind, bool marked)
{
    if (!kind || !kind->is_served || !kind->can_list || all->len >= MAX_LISTS)
        return;
    for (size_t i = 0; i < all->len; i++)
        if (!strcmp(all->v[i].kind->kind, kind->kind) &&
            !strcmp(all->v[i].kind->group, kind->group))
            return;
    *vec_push(all) = (struct listing){.kind = kind, .marked = marked};
}

static void add_version(listings *all, const struct world_opts *o, const struct object_id *id,
                        const char *version)
{
    const struct kind_info *k = kinds_find(o->served, id->group, version, id->kind);
    if (!k || !k->is_served)
        k = kinds_find(o->served, id->group, NULL, id->kind);
    add_list(all, k, o->marked);
}

static void choose(listings *all, const struct world_opts *o)
{
    const struct desired *d = o->f->desired;
    for (size_t i = 0; i < d->objects.len; i++)
        if (!d->objects.v[i].is_virtual)
            add_version(all, o, &d->objects.v[i].id, d->objects.v[i].version);
    for (size_t i = 0; i < o->f->zero.len; i++)
        add_version(all, o, &o->f->zero.v[i].id, o->f->zero.v[i].version);
    for (size_t i = 0; o->marked && i < kinds_count(o->served); i++)
        if (!is_never_declared(kinds_get(o->served, i)))
            add_list(all, kinds_get(o->served, i), true);
}

// ---- the whole ----
static int by_id(const void *a, const void *b)
{
    return object_id_cmp(&((const struct world_object *)a)->id,
                         &((const struct world_object *)b)->id);
}

static void clear_object(struct world_object *o)
{
    object_id_clear(&o->id);
    if (o->body)
        crypto_wipe(o->body, o->len);
    free(o->body);
}

static void sort_unique(struct world *w)
{
    size_t n = 0;
    if (w->v.len)
        qsort(w->v.v, w->v.len, sizeof(*w->v.v), by_id);
    for (size_t i = 0; i < w->v.len; i++) {
        if (n && !by_id(&w->v.v[n - 1], &w->v.v[i]))
            clear_object(&w->v.v[i]);
        else
            w->v.v[n++] = w->v.v[i];
    }
    w->v.len = n;
}

static void start(struct listing *x, struct kube *k)
{
    struct kube_watch_opts o = {
        .kind = x->kind, .list_only = true, .event = on_event, .failed = on_failed, .ctx = x};
    x->watch = kube_watch(k, &o);
}

bool world_read(struct kube *k, struct loop *l, const struct world_opts *o, struct world *out,
                struct err *err)
{
    listings all = {0};
    bool ok = true;
    *out = (struct world){0};
    choose(&all, o);
    for (size_t i = 0; i < all.len; i++) { // from here on they stay where they are
        all.v[i].w = out;
        all.v[i].f = o->f;
        start(&all.v[i], k);
    }
    for (size_t i = 0; ok && i < all.len;) {
        if (loop_stopping(l))
            ok = loop_stopped(l, err, "comparing");
        else if (all.v[i].is_over)
            i++;
        else
            loop_run_once(l, 200);
    }
    for (size_t i = 0; i < all.len; i++)
        if (all.v[i].watch)
            kube_watch_stop(all.v[i].watch);
    vec_clear(&all);
    sort_unique(out);
    if (!ok)
        world_clear(out);
    return ok;
}

const struct world_object *world_find(const struct world *w, const struct object_id *id)
{
    struct world_object key = {.id = *id};
    return w->v.len ? bsearch(&key, w->v.v, w->v.len, sizeof(key), by_id) : NULL;
}

json_t *world_doc(const struct world_object *o)
{
    json_t *doc = NULL;
    struct err err = {0};
    if (!canon_read(o->body, o->len, &doc, &err))
        err_clear(&err); // we wrote it
    return doc;
}

void world_clear(struct world *w)
{
    for (size_t i = 0; i < w->v.len; i++)
        clear_object(&w->v.v[i]);
    vec_clear(&w->v);
    strv_clear(&w->unread);
    *w = (struct world){0};
}
