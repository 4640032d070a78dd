// SPDX-License-Identifier: Apache-2.0
#include "gitops/graph.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"
#include "gitops/quota.h"
#include "gitops/refs.h"

void index_push(json_t *index, const char *key, unsigned i)
{
    json_t *list = json_object_get(index, key);
    if (!list) {
        list = json_array();
        json_object_set_new(index, key, list);
    }
    json_array_append_new(list, json_integer(i));
}

void each_index(const json_t *index, const char *key, void (*fn)(void *ctx, unsigned i), void *ctx)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(index, key), i, v)
    {
        fn(ctx, (unsigned)json_integer_value(v));
    }
}

struct edge *edge_add(struct builder *b, unsigned from, unsigned to, enum need need,
                      enum edge_why why, bool is_hard, const char *detail)
{
    struct edge *e = vec_push(&b->g->edges);
    e->from = from;
    e->to = to;
    e->need = need;
    e->why = why;
    e->is_hard = is_hard;
    e->detail = str_dup_or_null(detail);
    return e;
}

unsigned node_add(struct builder *b, enum node_kind kind, unsigned app, char *label_take)
{
    struct node *n = vec_push(&b->g->nodes);
    n->kind = kind;
    n->app = app;
    n->label = label_take;
    n->config = -1;
    return (unsigned)b->g->nodes.len - 1;
}

bool exists_live(const struct builder *b, const struct object_id *id)
{
    return b->live && b->live->exists && b->live->exists(b->live->ctx, id);
}

unsigned external_node(struct builder *b, const struct object_id *id)
{
    CLEANUP(str_freep) char *key = object_key(id);
    const json_t *known = json_object_get(b->externals, key);
    if (known)
        return (unsigned)json_integer_value(known);
    unsigned n = node_add(b, NODE_EXTERNAL, 0, object_name(id));
    b->g->nodes.v[n].ext = object_id_dup(id);
    json_object_set_new(b->externals, key, json_integer(n));
    return n;
}

const json_t *namespace_labels(const struct builder *b, const char *ns)
{
    if (!ns)
        return NULL;
    const json_t *own = json_object_get(b->ns_labels, ns);
    if (own)
        return own;
    return b->live && b->live->namespace_labels ? b->live->namespace_labels(b->live->ctx, ns)
                                                : NULL;
}

static char *ns_key(const char *ns, const char *name)
{
    return str_printf("%s/%s", ns ? ns : "", name);
}

struct producer_ctx {
    struct builder *b;
    unsigned object;
};

static void add_producer(void *ctx, const char *name)
{
    const struct producer_ctx *p = ctx;
    CLEANUP(str_freep)
    char *key = ns_key(p->b->d->objects.v[p->object].id.namespace, name);
    index_push(p->b->producers, key, p->object);
}

static void index_binding(struct builder *b, unsigned object, const json_t *doc)
{
    const char *own = b->d->objects.v[object].id.namespace;
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(doc, "subjects"), i, s)
    {
        const char *kind = json_dot_str(s, "kind");
        const char *name = json_dot_str(s, "name");
        const char *ns = json_dot_str(s, "namespace");
        if (!str_eq(kind, "ServiceAccount") || !name)
            continue;
        CLEANUP(str_freep) char *key = ns_key(ns ? ns : own, name);
        index_push(b->bindings, key, object);
    }
}

static void index_crd(struct builder *b, unsigned object, const json_t *doc)
{
    const char *group = json_dot_str(doc, "spec.group");
    const char *kind = json_dot_str(doc, "spec.names.kind");
    if (!group || !kind)
        return;
    CLEANUP(str_freep) char *key = str_printf("%s/%s", group, kind);
    json_object_set_new(b->crds, key, json_integer(object));
}

static void index_apiservice(struct builder *b, unsigned object, const json_t *doc)
{
    const char *group = json_dot_str(doc, "spec.group");
    if (group && json_is_object(json_dot(doc, "spec.service")))
        json_object_set_new(b->apiservices, group, json_integer(object));
}

static void index_workload(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object *o = &b->d->objects.v[object];
    const json_t *tpl = pod_template_of(&o->id, doc);
    if (!tpl || !o->id.namespace)
        return;
    struct workload *w = vec_push(&b->workloads);
    w->object = object;
    w->ns = o->id.namespace;
    json_t *labels = json_dot(tpl, "metadata.labels");
    w->labels = labels ? json_deep_copy(labels) : json_object();
}

static void index_service(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object *o = &b->d->objects.v[object];
    json_t *selector = json_dot(doc, "spec.selector");
    json_t *labels = json_dot(doc, "metadata.labels");
    if (json_object_size(selector)) {
        CLEANUP(str_freep) char *key = ns_key(o->id.namespace, o->id.name);
        json_object_set_new(b->selectors, key, json_deep_copy(selector));
    }
    *vec_push(&b->services) =
        (struct service){object, o->id.namespace, labels ? json_deep_copy(labels) : json_object()};
}

static bool is_default_class(const json_t *doc)
{
    return str_eq(json_annotation(doc, "storageclass.kubernetes.io/is-default-class"), "true");
}

// Labels and selectors by which others find this object.
static void index_labels(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object *o = &b->d->objects.v[object];
    json_t *labels = json_dot(doc, "metadata.labels");
    if (!strcmp(o->id.kind, "Namespace")) {
        json_object_set_new(b->ns_labels, o->id.name,
                            labels ? json_deep_copy(labels) : json_object());
    } else if (!strcmp(o->id.kind, "Service") && !*o->id.group && o->id.namespace) {
        index_service(b, object, doc);
    } else if (!strcmp(o->id.kind, "ClusterRole") && labels) {
        CLEANUP(str_freep) char *key = str_printf("%u", object);
        json_object_set_new(b->roles, key, json_deep_copy(labels));
    } else if (!strcmp(o->id.kind, "StorageClass") && is_default_class(doc)) {
        b->default_class = (int)object;
    }
}

// What other objects' edges need to know about this one.
static void index_object(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object *o = &b->d->objects.v[object];
    const char *kind = o->id.kind;
    struct producer_ctx p = {b, object};
    produced_secrets(&o->id, doc, add_producer, &p);
    index_workload(b, object, doc);
    if (!strcmp(kind, "CustomResourceDefinition"))
        index_crd(b, object, doc);
    else if (!strcmp(kind, "APIService"))
        index_apiservice(b, object, doc);
    else if (!strcmp(kind, "RoleBinding") || !strcmp(kind, "ClusterRoleBinding"))
        index_binding(b, object, doc);
    else if (!strcmp(kind, "ResourceQuota") || !strcmp(kind, "LimitRange") ||
             !strcmp(kind, "NetworkPolicy"))
        index_push(b->policies, o->id.namespace ? o->id.namespace : "", object);
    index_labels(b, object, doc);
    knots_collect(b, object, doc);
}

// A hook of several phases is told apart by them.
static char *object_label(const struct object *o)
{
    char *name = object_name(&o->id);
    if (!(o->phases & (o->phases - 1)))
        return name;
    char *label = str_printf("%s (%s)", name, phase_name(o->phase));
    free(name);
    return label;
}

#define LABEL_START "start of "
#define LABEL_END "application "

// A part of a fleet has all of its applications: their labels are made in one piece.
static void label_apps(struct builder *b)
{
    struct graph *g = b->g;
    size_t size = 1;
    for (size_t i = 0; i < b->d->apps.len; i++)
        size += 2 * strlen(b->d->apps.v[i]->name) + sizeof(LABEL_START LABEL_END) + 1;
    char *to = g->app_labels = mem_alloc(size);
    for (size_t i = 0; i < b->d->apps.len; i++) {
        const char *name = b->d->apps.v[i]->name;
        g->nodes.v[g->app_start[i]].label = to;
        to = stpcpy(stpcpy(to, LABEL_START), name) + 1;
        g->nodes.v[g->app_end[i]].label = to;
        to = stpcpy(stpcpy(to, LABEL_END), name) + 1;
    }
}

static void add_nodes(struct builder *b)
{
    struct graph *g = b->g;
    for (unsigned i = 0; i < b->d->objects.len; i++) {
        const struct object *o = &b->d->objects.v[i];
        unsigned n = node_add(b, NODE_OBJECT, o->app, object_label(o));
        g->nodes.v[n].object = i;
    }
    size_t n_apps = b->d->apps.len;
    g->app_start = mem_alloc((n_apps + 1) * sizeof(*g->app_start));
    g->app_end = mem_alloc((n_apps + 1) * sizeof(*g->app_end));
    for (unsigned i = 0; i < n_apps; i++) {
        g->app_start[i] = node_add(b, NODE_APP_START, i, NULL);
        g->app_end[i] = node_add(b, NODE_APP_END, i, NULL);
    }
    label_apps(b);
}

static int cmp_edge(const void *a, const void *b)
{
    const struct edge *x = a;
    const struct edge *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->is_hard != y->is_hard)
        return x->is_hard ? -1 : 1;
    if (x->need != y->need)
        return x->need > y->need ? -1 : 1;
    return (int)x->why - (int)y->why;
}

// One edge says no more than a stronger one between the same nodes.
static bool is_implied(const struct edge *strong, const struct edge *e)
{
    return strong->from == e->from && strong->to == e->to && strong->need >= e->need &&
           strong->is_hard >= e->is_hard && !strong->is_declared >= !e->is_declared;
}

static void sort_edges(struct graph *g)
{
    if (g->edges.len)
        qsort(g->edges.v, g->edges.len, sizeof(*g->edges.v), cmp_edge);
    size_t kept = 0;
    for (size_t i = 0; i < g->edges.len; i++) {
        struct edge *e = &g->edges.v[i];
        bool drop = e->from == e->to;
        for (size_t j = kept; !drop && j > 0; j--) {
            const struct edge *k = &g->edges.v[j - 1];
            if (k->from != e->from || k->to != e->to)
                break;
            drop = is_implied(k, e);
        }
        if (drop)
            free(e->detail);
        else
            g->edges.v[kept++] = *e;
    }
    g->edges.len = kept;
}

void graph_index(struct graph *g)
{
    for (size_t i = 0; i < g->nodes.len; i++)
        g->nodes.v[i].first_out = g->nodes.v[i].n_out = g->nodes.v[i].n_in = 0;
    for (unsigned i = 0; i < g->edges.len; i++) {
        struct node *from = &g->nodes.v[g->edges.v[i].from];
        if (!from->n_out++)
            from->first_out = i;
        g->nodes.v[g->edges.v[i].to].n_in++;
    }
    free(g->in);
    g->in = mem_realloc(NULL, g->edges.len + 1, sizeof(*g->in));
    unsigned at = 0;
    for (size_t i = 0; i < g->nodes.len; i++) {
        g->nodes.v[i].first_in = at;
        at += g->nodes.v[i].n_in;
        g->nodes.v[i].n_in = 0;
    }
    for (unsigned i = 0; i < g->edges.len; i++) {
        struct node *to = &g->nodes.v[g->edges.v[i].to];
        g->in[to->first_in + to->n_in++] = i;
    }
}

// Kinds whose document other objects' edges depend on, besides workloads and producers.
static void read_objects(struct builder *b)
{
    for (unsigned i = 0; i < b->d->objects.len; i++) {
        CLEANUP(json_freep) json_t *doc = object_outline(&b->d->objects.v[i]);
        index_object(b, i, doc);
        if (b->d->objects.v[i].is_virtual)
            continue;
        gates_collect(b, i, doc);
        policies_collect(b, i, doc);
    }
    gates_collect_live(b);
    policies_to_hooks(b);
    for (unsigned i = 0; i < b->d->objects.len; i++) {
        CLEANUP(json_freep) json_t *doc = object_outline(&b->d->objects.v[i]);
        if (!b->d->objects.v[i].is_virtual)
            edges_of_object(b, i, doc);
    }
}

static void builder_clear(struct builder *b)
{
    for (size_t i = 0; i < b->workloads.len; i++)
        json_decref(b->workloads.v[i].labels);
    vec_clear(&b->workloads);
    for (size_t i = 0; i < b->hooks.len; i++) {
        json_decref(b->hooks.v[i].entry);
        json_decref(b->hooks.v[i].narrower);
    }
    vec_clear(&b->hooks);
    for (size_t i = 0; i < b->services.len; i++)
        json_decref(b->services.v[i].labels);
    vec_clear(&b->services);
    vec_clear(&b->classes);
    vec_clear(&b->open_ended);
    json_t *all[] = {b->crds,      b->apiservices, b->producers,      b->bindings,
                     b->policies,  b->selectors,   b->ns_labels,      b->roles,
                     b->externals, b->admission,   b->policy_bindings};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        json_decref(all[i]);
    free(b->wave);
    free(b->phase);
}

bool graph_build(const struct desired *d, const struct graph_live *live, const struct graph_opts *o,
                 struct graph **out, struct err *err)
{
    struct graph *g CLEANUP(graph_freep) = mem_alloc(sizeof(*g));
    struct builder b = {.d = d, .live = live, .o = o, .g = g, .default_class = -1};
    json_t **maps[] = {&b.crds,      &b.apiservices, &b.producers, &b.bindings,  &b.policies,
                       &b.selectors, &b.ns_labels,   &b.roles,     &b.externals, &b.admission};
    b.policy_bindings = json_array();
    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        *maps[i] = json_object();
    b.wave = mem_alloc((d->objects.len + 1) * sizeof(*b.wave));
    b.phase = mem_alloc((d->objects.len + 1) * sizeof(*b.phase));
    add_nodes(&b);
    read_objects(&b);
    bool ok = order_edges(&b, err);
    if (ok) {
        sort_edges(g);
        graph_index(g);
        gate_edges(&b);
        sort_edges(g);
        graph_index(g);
        if (knots_untie(&b)) {
            sort_edges(g);
            graph_index(g);
        }
        ok = cycles_resolve(&b, err);
    }
    if (ok) {
        graph_weigh(g, d);
        quota_warnings(d, &g->warnings);
    }
    builder_clear(&b);
    if (ok)
        *out = TAKE(g);
    return ok;
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->nodes.len; i++) {
        struct node *n = &g->nodes.v[i];
        if (n->kind == NODE_APP_START || n->kind == NODE_APP_END)
            continue;
        free(n->label);
        object_id_clear(&n->ext);
        free(n->config_name);
        free(n->hook_name);
        free(n->svc_namespace);
        free(n->svc_name);
    }
    vec_clear(&g->nodes);
    for (size_t i = 0; i < g->edges.len; i++)
        free(g->edges.v[i].detail);
    vec_clear(&g->edges);
    free(g->in);
    free(g->app_labels);
    free(g->app_start);
    free(g->app_end);
    strv_clear(&g->warnings);
    free(g);
}
