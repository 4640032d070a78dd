// SPDX-License-Identifier: Apache-2.0
//
// Applications: their rows, where each object came from, and the shards that name them. One that
// could not be read keeps the list of the newest snapshot.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"

#define APPS_PER_SHARD 12
#define WHOLE_ROWS 32 // with more its rows stand in pages …
#define PAGE_ROWS 16  // … of so many on average: a change costs the page and the list of pages
#define MIN_EMPTIED 3 // an application that had as many objects and has none is a question

struct rows {
    const struct desired *d;
    unsigned *v; // object indices, by application and identity
    size_t *first;
};

static int by_row(const void *a, const void *b, void *ctx)
{
    const struct desired *d = ctx;
    const struct object *x = &d->objects.v[*(const unsigned *)a];
    const struct object *y = &d->objects.v[*(const unsigned *)b];
    if (x->app != y->app)
        return x->app < y->app ? -1 : 1;
    return object_id_cmp(&x->id, &y->id);
}

static void rows_init(struct capture *c, struct rows *r)
{
    const struct desired *d = c->d;
    size_t n = d->objects.len;
    r->d = d;
    r->v = mem_alloc((n + 1) * sizeof(*r->v));
    r->first = mem_alloc((d->apps.len + 2) * sizeof(*r->first));
    for (unsigned i = 0; i < n; i++) {
        r->v[i] = i;
        r->first[d->objects.v[i].app + 1]++;
    }
    for (size_t i = 0; i < d->apps.len; i++)
        r->first[i + 1] += r->first[i];
    qsort_r(r->v, n, sizeof(*r->v), by_row, (void *)d);
    c->position = mem_alloc((n + 1) * sizeof(*c->position));
    for (size_t i = 0; i < n; i++)
        c->position[r->v[i]] = (unsigned)(i - r->first[d->objects.v[r->v[i]].app]);
}

// ---- a row ----
static void add_identity(json_t *row, const struct object *o)
{
    capture_set(row, "group", o->id.group);
    capture_set(row, "version", o->version);
    capture_set(row, "kind", o->id.kind);
    capture_set(row, "namespace", o->id.namespace);
    capture_set(row, "name", o->id.name);
}

static void add_sync_marks(json_t *row, const struct object *o)
{
    static const struct {
        unsigned bit;
        const char *name;
    } deletes[] = {{HOOK_BEFORE_CREATION, "BeforeHookCreation"},
                   {HOOK_SUCCEEDED, "HookSucceeded"},
                   {HOOK_FAILED, "HookFailed"}};
    static const char *const phases[] = {
        [PHASE_PRESYNC] = "PreSync", [PHASE_POSTSYNC] = "PostSync", [PHASE_SYNCFAIL] = "SyncFail"};
    if (o->phase != PHASE_SYNC)
        capture_set(row, "phase", phases[o->phase]);
    if (o->wave)
        json_object_set_new(row, "wave", json_integer(o->wave));
    if (o->is_hook)
        json_object_set_new(row, "hook", json_true());
    if (!o->hook_delete)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(deletes); i++)
        if (o->hook_delete & deletes[i].bit)
            json_array_append_new(list, json_string(deletes[i].name));
    json_object_set_new(row, "delete", list);
}

static void add_origin(json_t *row, const struct origin *o)
{
    if (!o->source)
        return;
    json_t *v = json_pack("{s:i}", "source", (int)o->source - 1);
    capture_set(v, "file", o->file);
    if (o->line)
        json_object_set_new(v, "line", json_integer(o->line));
    json_object_set_new(row, "origin", v);
}

static bool is_secret(const struct object *o)
{
    return !*o->id.group && !strcmp(o->id.kind, "Secret");
}

static bool add_row(struct capture *c, const struct object *o, json_t *rows, struct err *err)
{
    json_t *row = json_object();
    json_array_append_new(rows, row);
    add_identity(row, o);
    add_sync_marks(row, o);
    add_origin(row, &o->origin);
    if (is_secret(o)) {
        // Named only: what a Secret holds never enters the pool of other objects.
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        json_object_set_new(row, "secret", json_true());
        if (!c->o->without_secrets)
            capture_secret(c, "desired", doc);
        return true;
    }
    if (o->body_len + 1 > BLOB_MAX_BYTES)
        return err_set(err, ERR_INVALID, "an object is larger than %u MiB", BLOB_MAX_BYTES >> 20);
    CLEANUP(str_freep) char *line = str_printf("%s\n", o->body);
    struct blob_id id = writer_add(c->w, 'o', line, o->body_len + 1);
    json_object_set_new(row, "blob", capture_id(&id));
    return true;
}

// ---- an application ----
static void add_source_row(struct capture *c, const struct application *a,
                           const struct app_source *src, const char *root_path, json_t *list)
{
    size_t at = capture_source_of(c, a, src);
    const struct source_item *i = &c->sources.v[at].item;
    json_t *v = json_object();
    capture_set(v, "kind", i->kind);
    capture_set(v, "url", i->url);
    capture_set(v, "path", src ? src->path : root_path);
    capture_set(v, "chart", i->chart);
    capture_set(v, "target", i->target);
    capture_set(v, "ref", src ? src->ref : NULL);
    json_array_append_new(list, v);
}

static bool add_document(struct capture *c, const struct application *a, json_t *v, struct err *err)
{
    struct blob_id id;
    if (!a->doc)
        return true;
    if (!capture_add(c, 'o', a->doc, &id, err))
        return false;
    json_object_set_new(v, "document", capture_ref(&id));
    return true;
}

static json_t *describe(struct capture *c, const struct application *a)
{
    CLEANUP(str_freep) char *name = capture_app_name(a);
    json_t *v = json_pack("{s:s, s:s}", "type", "regrow application v1", "name", name);
    json_t *sources = json_array();
    if (a->doc) {
        capture_set(v, "namespace", a->namespace);
        capture_set(v, "project", a->project);
    }
    if (a->parent >= 0) {
        CLEANUP(str_freep) char *parent = capture_app_name(c->d->apps.v[a->parent]);
        capture_set(v, "parent", parent);
    }
    capture_set(v, "set", a->set_name);
    if (a->state == APP_OTHER_CLUSTER)
        json_object_set_new(v, "elsewhere", json_true());
    if (a->depends_on.len) {
        json_t *names = json_array();
        for (size_t i = 0; i < a->depends_on.len; i++)
            json_array_append_new(names, json_string(a->depends_on.v[i]));
        json_object_set_new(v, "dependsOn", names);
    }
    for (size_t i = 0; i < a->sources.len; i++)
        add_source_row(c, a, &a->sources.v[i], NULL, sources);
    if (!a->doc)
        add_source_row(c, a, NULL, source_root_path(c->o->source), sources);
    json_object_set_new(v, "sources", sources);
    return v;
}

// ---- its rows ----
// Where pages end goes by the rows themselves, so that one more or less changes one page or two.
static bool is_page_end(const struct object *o)
{
    CLEANUP(str_freep) char *key = object_key(&o->id);
    struct sha256 sum = sha256_of(key, strlen(key));
    return sum.b[0] < 256 / PAGE_ROWS;
}

static bool add_page(struct capture *c, json_t *rows, json_t *pages, struct err *err)
{
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:O}", "type", "regrow rows v1", "objects", rows);
    struct blob_id id;
    if (!capture_add(c, 'l', v, &id, err))
        return false;
    json_array_append_new(pages, capture_id(&id));
    return true;
}

static bool add_rows(struct capture *c, const struct rows *r, unsigned app, json_t *v,
                     struct err *err)
{
    size_t end = r->first[app + 1];
    bool in_pages = writer_may_page(c->w) && end - r->first[app] > WHOLE_ROWS;
    CLEANUP(json_freep) json_t *rows = json_array();
    CLEANUP(json_freep) json_t *pages = json_array();
    for (size_t i = r->first[app]; i < end; i++) {
        const struct object *o = &c->d->objects.v[r->v[i]];
        if (!add_row(c, o, rows, err))
            return false;
        if (in_pages && (i + 1 == end || is_page_end(o))) {
            if (!add_page(c, rows, pages, err))
                return false;
            json_array_clear(rows);
        }
    }
    json_object_set(v, "objects", rows);
    if (in_pages)
        json_object_set_new(v, "pages", json_pack("{s:O}", "blobs", pages));
    return true;
}

static bool add_list(struct capture *c, const struct rows *r, unsigned app, struct blob_id *id,
                     struct err *err)
{
    const struct application *a = c->d->apps.v[app];
    CLEANUP(json_freep) json_t *v = describe(c, a);
    struct blob_id graph;
    if (!add_rows(c, r, app, v, err))
        return false;
    if (!add_document(c, a, v, err) || !capture_graph(c, app, &graph, err))
        return false;
    json_object_set_new(v, "graph", capture_ref(&graph));
    return capture_add(c, 'l', v, id, err);
}

// {"name", "blob", "stale"} of one that could not be read: what it was stays.
static json_t *keep_app(struct capture *c, const char *name, const char *why)
{
    uint32_t objects = 0;
    json_t *row = capture_kept(c, name, &objects);
    capture_unknown(c, "%s is unknown: %s", name, why);
    c->apps_unknown = true;
    c->secrets_unknown = true; // those it renders
    c->e->counts.objects += objects;
    return row ? row : json_object();
}

static json_t *add_app(struct capture *c, const struct rows *r, unsigned app, const char *name)
{
    const struct application *a = c->d->apps.v[app];
    struct err err = {0};
    struct blob_id id;
    struct blob_id old;
    uint32_t before = 0;
    size_t objects = r->first[app + 1] - r->first[app];
    if (a->state == APP_OTHER_CLUSTER && !c->scope)
        return json_object(); // see capture_clusters
    if (a->state == APP_UNKNOWN) {
        for (size_t i = 0; i < a->sources.len; i++)
            (void)capture_source_of(c, a, &a->sources.v[i]); // some of them may be known
        return keep_app(c, name, a->problem.msg ? a->problem.msg : "it could not be read");
    }
    if (!add_list(c, r, app, &id, &err)) {
        json_t *row = keep_app(c, name, err.msg);
        err_clear(&err);
        return row;
    }
    if (!objects && capture_known(c, name, &old, &before) && before >= MIN_EMPTIED) {
        capture_warn(c, "%s had %u objects and has none now", name, before);
        strv_push(&c->emptied, name);
    }
    capture_note(c, name, &id, (uint32_t)objects);
    c->e->counts.objects += objects;
    return capture_ref(&id);
}

// ---- shards ----
static unsigned shard_bits(size_t apps)
{
    unsigned bits = 0;
    while (((size_t)APPS_PER_SHARD << bits) < apps)
        bits++;
    return bits;
}

static size_t shard_of(const char *name, unsigned bits)
{
    struct sha256 h = sha256_of(name, strlen(name));
    uint32_t first =
        (uint32_t)h.b[0] << 24 | (uint32_t)h.b[1] << 16 | (uint32_t)h.b[2] << 8 | (uint32_t)h.b[3];
    return bits ? first >> (32 - bits) : 0;
}

struct named {
    char *name;
    unsigned app; // or LEADS_HERE
};
#define LEADS_HERE UINT_MAX

// An application of the hub that cannot be read now, and had something to do with this cluster:
// what was below it is found by that.
static void add_leading(struct capture *c, struct named *names, size_t *n)
{
    for (size_t i = 1; c->hub && i < c->hub->apps.len; i++) {
        const struct application *a = c->hub->apps.v[i];
        struct blob_id id;
        uint32_t count = 0;
        if (a->state != APP_UNKNOWN)
            continue;
        CLEANUP(str_freep) char *name = capture_app_name(a);
        if (capture_known(c, name, &id, &count) && desired_tracked_app(c->d, a->tracking_name) < 0)
            names[(*n)++] = (struct named){TAKE(name), LEADS_HERE};
    }
}

static json_t *row_of(struct capture *c, const struct rows *r, const struct named *n)
{
    uint32_t objects = 0;
    if (n->app != LEADS_HERE)
        return add_app(c, r, n->app, n->name);
    json_t *row = capture_kept(c, n->name, &objects);
    c->e->counts.objects += objects;
    return row;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

// The shards under one name too: while an application is unknown nobody knows its children, and
// this leads to what they were.
static bool add_shards(struct capture *c, json_t *const *shards, size_t n, struct err *err)
{
    json_t *blobs = json_array();
    struct blob_id id;
    CLEANUP(json_freep)
    json_t *all = json_pack("{s:s, s:O}", "type", "regrow applications v1", "blobs", blobs);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(json_freep)
        json_t *v = json_pack("{s:s, s:O}", "type", "regrow shard v1", "applications", shards[i]);
        if (!capture_add(c, 'l', v, &id, err)) {
            json_decref(blobs);
            return false;
        }
        json_array_append_new(blobs, capture_id(&id));
    }
    json_object_set_new(c->root, "shards", json_pack("{s:o}", "blobs", blobs));
    if (!c->apps_unknown && !capture_add(c, 'l', all, &id, err))
        return false;
    c->e->counts.apps = capture_whole(c, "all applications", "before", &id, c->d->apps.len);
    return true;
}

bool capture_apps(struct capture *c, struct err *err)
{
    size_t n = c->d->apps.len;
    unsigned bits = shard_bits(n);
    size_t n_shards = (size_t)1 << bits;
    struct rows r;
    struct named *names = mem_alloc((n + (c->hub ? c->hub->apps.len : 0) + 1) * sizeof(*names));
    json_t **shards = mem_alloc(n_shards * sizeof(json_t *));
    for (size_t i = 0; i < n_shards; i++)
        shards[i] = json_array();
    rows_init(c, &r);
    for (unsigned i = 0; i < n; i++)
        names[i] = (struct named){capture_app_name(c->d->apps.v[i]), i};
    add_leading(c, names, &n);
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++) {
        json_t *row = row_of(c, &r, &names[i]);
        json_object_set_new(row, "name", json_string(names[i].name));
        json_array_append_new(shards[shard_of(names[i].name, bits)], row);
        free(names[i].name);
    }
    bool ok = add_shards(c, shards, n_shards, err);
    for (size_t i = 0; i < n_shards; i++)
        json_decref(shards[i]);
    free(names);
    free(shards);
    free(r.v);
    free(r.first);
    return ok;
}
