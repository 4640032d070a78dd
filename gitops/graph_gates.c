// SPDX-License-Identifier: Apache-2.0
//
// Webhooks as gates. Each webhook entry that can stop (or must not miss) a write is one node: it
// waits for what stands behind it, and everything it judges waits for it. What the backend itself
// needs is never held back by its own webhook (spec order-corrections section 4).
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"
#include "gitops/refs.h"

static void set_service(struct node *n, const json_t *client_config)
{
    const json_t *svc = json_object_get(client_config, "service");
    if (!json_is_object(svc))
        return;
    n->svc_namespace = str_dup_or_null(json_dot_str(svc, "namespace"));
    n->svc_name = str_dup_or_null(json_dot_str(svc, "name"));
    n->svc_port = (int)json_dot_int(svc, "port", 443);
}

static bool has_injector(const json_t *doc)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_dot(doc, "metadata.annotations"), key, v)
    {
        if (str_starts(key, "cert-manager.io/inject-"))
            return true;
    }
    return false;
}

static int find_object(const struct builder *b, const char *kind, const char *ns, const char *name)
{
    struct object_id id = {(char *)"", (char *)kind, (char *)ns, (char *)name};
    const struct object *o = name ? desired_find(b->d, &id) : NULL;
    return o ? (int)(o - b->d->objects.v) : -1;
}

// Edges from a gate to the Service, and the workloads that Service selects.
static void backend(struct builder *b, unsigned gate)
{
    const char *ns = b->g->nodes.v[gate].svc_namespace;
    const char *name = b->g->nodes.v[gate].svc_name;
    int svc = find_object(b, "Service", ns, name);
    if (svc < 0)
        return;
    edge_add(b, gate, (unsigned)svc, NEED_APPLIED, WHY_WEBHOOK_BACKEND, true,
             "clientConfig.service");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    json_t *labels = json_object_get(b->selectors, key);
    if (!labels)
        return;
    CLEANUP(json_freep) json_t *selector = json_pack("{s:O}", "matchLabels", labels);
    for (size_t i = 0; i < b->workloads.len; i++) {
        const struct workload *w = &b->workloads.v[i];
        if (!strcmp(w->ns, ns) && json_selector_matches(selector, w->labels))
            edge_add(b, gate, w->object, NEED_READY, WHY_WEBHOOK_BACKEND, true,
                     "the Service's selector");
    }
}

static unsigned add_gate(struct builder *b, const json_t *config, json_t *entry, int object,
                         bool is_mutating)
{
    const char *hook = json_dot_str(entry, "name");
    const char *name = json_dot_str(config, "metadata.name");
    unsigned app = object >= 0 ? b->d->objects.v[object].app : 0;
    unsigned n = node_add(b, NODE_WEBHOOK, app, str_printf("webhook %s", hook ? hook : name));
    struct node *x = &b->g->nodes.v[n];
    x->config = object;
    x->config_name = str_dup_or_null(name);
    x->hook_name = str_dup_or_null(hook);
    x->is_mutating = is_mutating;
    const json_t *cc = json_object_get(entry, "clientConfig");
    set_service(x, cc);
    x->needs_ca =
        x->svc_name && (str_is_empty(json_dot_str(cc, "caBundle")) || has_injector(config));
    if (object >= 0)
        edge_add(b, n, (unsigned)object, NEED_APPLIED, WHY_WEBHOOK_BACKEND, true, NULL);
    const char *policy = json_dot_str(entry, "failurePolicy");
    bool is_fail = !policy || !strcmp(policy, "Fail");
    *vec_push(&b->hooks) = (struct hook){.gate = n,
                                         .entry = json_deep_copy(entry),
                                         .need = NEED_READY,
                                         .why = is_fail ? WHY_WEBHOOK : WHY_MUTATING,
                                         .why_pods = is_fail ? WHY_POD_WEBHOOK : WHY_MUTATING,
                                         .is_hard = is_fail};
    return n;
}

static void collect_config(struct builder *b, const json_t *config, int object)
{
    bool is_mutating = str_eq(json_dot_str(config, "kind"), "MutatingWebhookConfiguration");
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(config, "webhooks"), i, w)
    {
        // A validating webhook that may be ignored stops nothing and changes nothing.
        if (!is_mutating && str_eq(json_dot_str(w, "failurePolicy"), "Ignore"))
            continue;
        add_gate(b, config, w, object, is_mutating);
    }
}

// The conversion webhook of a CRD: needed by versions other than the stored one.
static void collect_conversion(struct builder *b, unsigned object, const json_t *crd)
{
    const json_t *cc = json_dot(crd, "spec.conversion.webhook.clientConfig");
    const char *name = json_dot_str(crd, "metadata.name");
    if (!str_eq(json_dot_str(crd, "spec.conversion.strategy"), "Webhook") || !cc || !name)
        return;
    const char *storage = NULL;
    size_t i;
    json_t *v;
    json_array_foreach(json_dot(crd, "spec.versions"), i, v)
    {
        if (json_dot_bool(v, "storage", false))
            storage = json_dot_str(v, "name");
    }
    const char *group = json_dot_str(crd, "spec.group");
    const char *kind = json_dot_str(crd, "spec.names.kind");
    int gate = -1;
    for (unsigned o = 0; storage && o < b->d->objects.len; o++) {
        const struct object *x = &b->d->objects.v[o];
        if (!str_eq(x->id.group, group) || !str_eq(x->id.kind, kind) ||
            !strcmp(x->version, storage))
            continue;
        if (gate < 0) {
            gate = (int)node_add(b, NODE_WEBHOOK, b->d->objects.v[object].app,
                                 str_printf("conversion webhook of %s", name));
            struct node *n = &b->g->nodes.v[gate];
            n->config = (int)object;
            n->config_name = str_dup(name);
            n->is_conversion = true;
            set_service(n, cc);
            n->needs_ca = str_is_empty(json_dot_str(cc, "caBundle")) || has_injector(crd);
            edge_add(b, (unsigned)gate, object, NEED_READY, WHY_WEBHOOK_BACKEND, true, NULL);
        }
        edge_add(b, o, (unsigned)gate, NEED_READY, WHY_CONVERSION, true,
                 "apiVersion is not the stored version");
    }
}

void gates_collect(struct builder *b, unsigned object, const json_t *doc)
{
    const char *kind = b->d->objects.v[object].id.kind;
    if (b->o->ignore_inferred || b->d->objects.v[object].is_virtual)
        return; // what is never sent judges nothing
    if (!strcmp(kind, "ValidatingWebhookConfiguration") ||
        !strcmp(kind, "MutatingWebhookConfiguration"))
        collect_config(b, doc, (int)object);
    else if (!strcmp(kind, "CustomResourceDefinition"))
        collect_conversion(b, object, doc);
}

void gates_collect_live(struct builder *b)
{
    for (size_t i = 0; b->live && !b->o->ignore_inferred && i < b->live->n_webhook_configs; i++) {
        const json_t *c = b->live->webhook_configs[i];
        const char *kind = json_dot_str(c, "kind");
        const char *name = json_dot_str(c, "metadata.name");
        struct object_id id = {(char *)"admissionregistration.k8s.io", (char *)kind, NULL,
                               (char *)name};
        if (kind && name && !desired_find(b->d, &id))
            collect_config(b, c, -1);
    }
}

// Marks everything this gate needs, directly or not.
static void mark_needed(const struct graph *g, unsigned gate, const unsigned *first,
                        const unsigned *next, char *needed)
{
    VEC(unsigned) todo = {0};
    *vec_push(&todo) = gate;
    needed[gate] = 1;
    while (todo.len) {
        unsigned n = todo.v[--todo.len];
        for (unsigned e = first[n]; e != UINT32_MAX; e = next[e]) {
            unsigned to = g->edges.v[e].to;
            if (needed[to])
                continue;
            needed[to] = 1;
            *vec_push(&todo) = to;
        }
    }
    vec_clear(&todo);
}

// Out-edges as linked lists that grow while gates are added one after another.
struct adjacency {
    unsigned *first;
    VEC(unsigned) next;
};

static void adjacency_add(struct adjacency *a, const struct graph *g, size_t from_edge)
{
    for (size_t i = from_edge; i < g->edges.len; i++) {
        *vec_push(&a->next) = a->first[g->edges.v[i].from];
        a->first[g->edges.v[i].from] = (unsigned)i;
    }
}

static const struct kind_info *pod_kind(const struct builder *b)
{
    return kinds_find(b->d->kinds, "", "v1", "Pod");
}

static bool judges(const struct hook *h, const struct kind_info *k, const json_t *doc,
                   const json_t *ns_labels, const char *operation)
{
    return webhook_judges(h->entry, k, doc, ns_labels, operation) &&
           (!h->narrower || webhook_judges(h->narrower, k, doc, ns_labels, operation));
}

// Does the webhook judge the pods this workload's controller makes?
static bool judges_pods(const struct builder *b, const struct hook *h, const struct object *o,
                        const json_t *doc)
{
    const json_t *tpl = pod_template_of(&o->id, doc);
    const struct kind_info *k = pod_kind(b);
    if (!tpl || tpl == doc || !k || !o->id.namespace)
        return false;
    json_t *meta = json_object_get(tpl, "metadata");
    CLEANUP(json_freep)
    json_t *pod = json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
                            meta ? json_copy(meta) : json_object());
    json_object_set_new(json_object_get(pod, "metadata"), "namespace",
                        json_string(o->id.namespace));
    return judges(h, k, pod, namespace_labels(b, o->id.namespace), "CREATE");
}

enum judged { JUDGED_NOT, JUDGED_ITSELF, JUDGED_PODS };

static enum judged judge(const struct builder *b, const struct hook *h, unsigned object,
                         const json_t *doc)
{
    const struct object *o = &b->d->objects.v[object];
    const struct kind_info *k = kinds_find(b->d->kinds, o->id.group, o->version, o->id.kind);
    const json_t *labels = namespace_labels(b, o->id.namespace);
    if (k && (judges(h, k, doc, labels, "CREATE") || judges(h, k, doc, labels, "UPDATE")))
        return JUDGED_ITSELF;
    return judges_pods(b, h, o, doc) ? JUDGED_PODS : JUDGED_NOT;
}

// What is judged waits for the gate. What the gate itself needs is never held back by it: it comes
// before the configuration, as long as nothing else is in the way.
static void judged_edge(struct builder *b, const struct hook *h, unsigned object,
                        enum judged judged, bool is_needed)
{
    int config = b->g->nodes.v[h->gate].config;
    bool pods = judged == JUDGED_PODS;
    if (!is_needed)
        edge_add(b, object, h->gate, h->need, pods ? h->why_pods : h->why, h->is_hard,
                 pods ? "its pods" : NULL);
    else if (h->is_hard && h->gate >= b->d->objects.len && config >= 0 &&
             (unsigned)config != object)
        edge_add(b, (unsigned)config, object, pods ? NEED_READY : NEED_APPLIED, WHY_UNJUDGED, false,
                 pods ? "its pods" : NULL);
}

// By its kind alone: could the webhook judge this object, or its pods?
static bool may_judge(const struct builder *b, const struct hook *h, const struct object *o)
{
    const struct kind_info *k = kinds_find(b->d->kinds, o->id.group, o->version, o->id.kind);
    const struct kind_info *pod = pod_kind(b);
    return (k && (webhook_may_judge(h->entry, k, "CREATE") ||
                  webhook_may_judge(h->entry, k, "UPDATE"))) ||
           (pod && has_pod_template(&o->id) && webhook_may_judge(h->entry, pod, "CREATE"));
}

// Of a document that is kept, only what a webhook can select by.
static json_t *selected_part(const struct object *o)
{
    json_t *doc = object_outline(o);
    json_object_del(json_object_get(doc, "metadata"), "annotations");
    if (has_pod_template(&o->id))
        return doc;
    json_t *meta = json_pack("{s:O*}", "metadata", json_object_get(doc, "metadata"));
    json_decref(doc);
    return meta;
}

void gate_edges(struct builder *b)
{
    struct graph *g = b->g;
    if (!b->hooks.len)
        return;
    for (size_t i = (size_t)b->d->objects.len; i < g->nodes.len; i++)
        if (g->nodes.v[i].kind == NODE_WEBHOOK)
            backend(b, (unsigned)i);
    struct adjacency adj = {.first = mem_realloc(NULL, g->nodes.len, sizeof(unsigned))};
    memset(adj.first, 0xff, g->nodes.len * sizeof(unsigned));
    adjacency_add(&adj, g, 0);
    // Documents are parsed once; what each hook needs is found anew after the edges of the hooks
    // before it, so that two webhooks which judge each other's backends are put in an order.
    json_t **docs = mem_alloc((b->d->objects.len + 1) * sizeof(json_t *));
    char *needed = mem_alloc(g->nodes.len);
    for (size_t h = 0; h < b->hooks.len; h++) {
        memset(needed, 0, g->nodes.len);
        mark_needed(g, b->hooks.v[h].gate, adj.first, adj.next.v, needed);
        size_t before = g->edges.len;
        for (unsigned i = 0; i < b->d->objects.len; i++) {
            const struct object *o = &b->d->objects.v[i];
            if (o->is_virtual || !may_judge(b, &b->hooks.v[h], o))
                continue;
            if (!docs[i])
                docs[i] = selected_part(o);
            enum judged judged = judge(b, &b->hooks.v[h], i, docs[i]);
            if (judged)
                judged_edge(b, &b->hooks.v[h], i, judged, needed[i]);
        }
        adjacency_add(&adj, g, before);
    }
    for (size_t i = 0; i < b->d->objects.len; i++)
        json_decref(docs[i]);
    free(docs);
    free(needed);
    free(adj.first);
    vec_clear(&adj.next);
}
