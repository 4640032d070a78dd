// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters: for each the applications that go there with their rendered objects, and
// its own pool of Secrets, in lists of the same shape as the root's. Names in them are its own.
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"
#include "snapshot/lists.h"

static void name_cluster(const struct source_cluster *x, json_t *v)
{
    capture_set(v, "server", x->server);
    capture_set(v, "name", x->name);
}

static const char *shown(const struct source_cluster *x)
{
    return x->name ? x->name : x->server;
}

// ---- what people are told ----
static uint64_t apps_there(const struct desired *d)
{
    uint64_t n = 0;
    for (size_t i = 1; d && i < d->apps.len; i++)
        n += d->apps.v[i]->state != APP_OTHER_CLUSTER;
    return n;
}

static void report(struct capture *c, const struct source_cluster *x,
                   const struct snapshot_entry *e)
{
    json_t *v = json_pack("{s:s, s:I, s:I, s:I}", "of", x->not_asked ? "hub" : "cluster",
                          "applications", (json_int_t)apps_there(x->desired), "objects",
                          (json_int_t)e->counts.objects, "unknown", (json_int_t)e->counts.unknown);
    name_cluster(x, v);
    capture_set(v, "kubernetes", x->rendered_for);
    capture_set(v, "why", x->not_asked);
    if (!c->report->clusters)
        c->report->clusters = json_array();
    json_array_append_new(c->report->clusters, v);
    if (x->not_asked)
        capture_warn(c,
                     "cluster %s was not asked what it serves: %s. What goes there is rendered for "
                     "Kubernetes %s, as the hub's is",
                     shown(x), x->not_asked, x->rendered_for ? x->rendered_for : "unknown");
}

// ---- one of them ----
static bool capture_one(struct capture *s, const struct source_cluster *x, struct blob_id *id,
                        struct err *err)
{
    capture_order(s);
    json_object_set_new(s->root, "type", json_string("regrow cluster v1"));
    name_cluster(x, s->root);
    capture_set(s->root, "kubernetes", x->rendered_for);
    capture_set(s->root, "of", x->not_asked ? "hub" : "cluster");
    return capture_apps(s, err) && capture_pool(s, err) && capture_add(s, 'l', s->root, id, err);
}

static void take_counts(struct capture *c, const struct capture *s)
{
    c->e->counts.objects += s->e->counts.objects;
    c->e->counts.unknown += s->e->counts.unknown;
    c->clusters_secrets += s->e->counts.secrets;
    for (size_t i = 0; i < s->e->why.len; i++)
        if (!strv_has(&c->e->why, s->e->why.v[i]))
            strv_push(&c->e->why, s->e->why.v[i]);
    for (size_t i = 0; i < s->emptied.len; i++)
        strv_push(&c->emptied, s->emptied.v[i]);
}

// One of which nothing can be said stays what it was.
static json_t *keep(struct capture *c, const struct source_cluster *x, const char *scope,
                    const char *why)
{
    uint32_t objects = 0;
    json_t *row = capture_kept(c, scope, &objects);
    capture_unknown(c, "cluster %s is unknown: %s", shown(x), why);
    c->e->counts.objects += objects;
    return row ? row : json_object();
}

static json_t *add_cluster(struct capture *c, const struct source_cluster *x)
{
    CLEANUP(str_freep) char *scope = list_cluster_scope(x->server, x->name);
    struct snapshot_entry e = {0};
    struct err err = {0};
    struct blob_id id;
    json_t *row = NULL;
    struct capture s = {.w = c->w,
                        .o = c->o,
                        .d = x->desired,
                        .hub = c->d,
                        .scope = scope,
                        .e = &e,
                        .report = c->report,
                        .apps_unknown = c->apps_unknown,
                        .secrets_unknown = c->apps_unknown,
                        .source_of = json_object(),
                        .secret_ids = json_object(),
                        .root = json_object()};
    if (!x->desired) {
        row = keep(c, x, scope, x->problem.msg ? x->problem.msg : "it could not be read");
    } else if (!capture_one(&s, x, &id, &err)) {
        row = keep(c, x, scope, err.msg);
    } else {
        row = capture_ref(&id);
        capture_note(c, scope, &id, (uint32_t)e.counts.objects);
        take_counts(c, &s);
        capture_take_sources(c, &s);
    }
    report(c, x, &e);
    err_clear(&err);
    strv_clear(&e.why);
    capture_clear(&s);
    name_cluster(x, row);
    return row;
}

bool capture_clusters(struct capture *c, struct err *err)
{
    const struct source_clusters *all = c->o->clusters;
    size_t n = all ? all->v.len : 0;
    json_t *rows = json_array();
    struct blob_id id;
    uint32_t before = 0;
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow clusters v1", "clusters", rows);
    if (!n && !capture_known(c, "all clusters", &id, &before))
        return true; // no hub, and it never was one
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, add_cluster(c, &all->v.v[i]));
    if (!capture_add(c, 'l', v, &id, err))
        return false;
    json_object_set_new(c->root, "clusters", capture_ref(&id));
    (void)capture_whole(c, "all clusters", "clustersBefore", &id, n);
    return true;
}
