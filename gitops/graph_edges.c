// SPDX-License-Identifier: Apache-2.0
//
// The edges of one object, from its identity and its fields.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"
#include "gitops/refs.h"

static int find(const struct builder *b, const char *group, const char *kind, const char *ns,
                const char *name)
{
    struct object_id id = {(char *)group, (char *)kind, (char *)ns, (char *)name};
    const struct object *o = desired_find(b->d, &id);
    return o && !o->is_virtual ? (int)(o - b->d->objects.v) : -1;
}

static bool is_given_namespace(const char *ns)
{
    return !strcmp(ns, "default") || !strcmp(ns, "kube-system") || !strcmp(ns, "kube-public") ||
           !strcmp(ns, "kube-node-lease");
}

// What may turn out to be of the cluster, and is in a namespace only because its application is.
static bool may_be_of_cluster(const struct builder *b, const struct object *o)
{
    const char *own = b->d->apps.v[o->app]->dest_namespace;
    return o->is_scope_guessed && str_eq(o->id.namespace, own ? own : "default");
}

static void namespace_edge(struct builder *b, unsigned object)
{
    const char *ns = b->d->objects.v[object].id.namespace;
    if (!ns || is_given_namespace(ns))
        return;
    int to = find(b, "", "Namespace", NULL, ns);
    struct object_id id = {(char *)"", (char *)"Namespace", NULL, (char *)ns};
    if (to >= 0)
        edge_add(b, object, (unsigned)to, NEED_APPLIED, WHY_NAMESPACE, true, NULL);
    else if (!exists_live(b, &id) && !may_be_of_cluster(b, &b->d->objects.v[object]))
        edge_add(b, object, external_node(b, &id), NEED_READY, WHY_NAMESPACE, true, NULL);
}

static void kind_edge(struct builder *b, unsigned object)
{
    const struct object *o = &b->d->objects.v[object];
    CLEANUP(str_freep) char *key = str_printf("%s/%s", o->id.group, o->id.kind);
    const json_t *crd = json_object_get(b->crds, key);
    if (crd) {
        edge_add(b, object, (unsigned)json_integer_value(crd), NEED_READY, WHY_CRD, true, NULL);
        return;
    }
    const json_t *service = json_object_get(b->apiservices, o->id.group);
    if (service && strcmp(o->id.kind, "APIService") != 0) {
        edge_add(b, object, (unsigned)json_integer_value(service), NEED_READY, WHY_APISERVICE, true,
                 NULL);
        return;
    }
    const struct kind_info *k = kinds_find(b->d->kinds, o->id.group, NULL, o->id.kind);
    if (k && (k->is_builtin || k->is_served))
        return;
    if (b->live && b->live->is_stale_group && b->live->is_stale_group(b->live->ctx, o->id.group)) {
        CLEANUP(str_freep) char *name = str_printf("%s.%s", o->version, o->id.group);
        struct object_id id = {(char *)"apiregistration.k8s.io", (char *)"APIService", NULL, name};
        edge_add(b, object, external_node(b, &id), NEED_READY, WHY_APISERVICE, true, NULL);
        return;
    }
    struct object_id id = {(char *)"apiextensions.k8s.io", (char *)"CustomResourceDefinition", NULL,
                           key};
    edge_add(b, object, external_node(b, &id), NEED_READY, WHY_CRD, true, NULL);
}

struct from_ctx {
    struct builder *b;
    unsigned object;
    enum need need;
    enum edge_why why;
    const char *detail;
};

static void add_soft(void *ctx, unsigned to)
{
    const struct from_ctx *c = ctx;
    edge_add(c->b, c->object, to, c->need, c->why, false, c->detail);
}

// What admission looks up and no manifest makes: the write is refused until it is there.
static void missing_edge(struct builder *b, unsigned object, const struct ref *r)
{
    struct object_id id = {(char *)r->group, (char *)r->kind, (char *)r->namespace,
                           (char *)r->name};
    if (b->live && !exists_live(b, &id))
        edge_add(b, object, external_node(b, &id), NEED_READY, r->why, true, r->path);
}

// Pods will wait for what they name and nobody makes. Whether the cluster has it is known only of
// the kinds that are always listed.
static void warn_missing(struct builder *b, unsigned object, const struct ref *r)
{
    static const char *const kinds[] = {"Secret", "ConfigMap", "ServiceAccount"};
    struct object_id id = {(char *)r->group, (char *)r->kind, (char *)r->namespace,
                           (char *)r->name};
    bool is_listed = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        is_listed |= !*r->group && !strcmp(r->kind, kinds[i]);
    bool is_given = !strcmp(r->name, "kube-root-ca.crt") || !strcmp(r->name, "default");
    // What a part does not have may be made by what is not of it.
    if (b->d->whole || !b->live || !r->is_pods || !is_listed || is_given || exists_live(b, &id))
        return;
    CLEANUP(str_freep) char *what = object_name(&id);
    CLEANUP(str_freep)
    char *text = str_printf("%s names %s, which nothing here makes and the cluster does not have: "
                            "its pods wait for it",
                            b->g->nodes.v[object].label, what);
    if (!strv_has(&b->g->warnings, text))
        strv_push(&b->g->warnings, text);
}

static void on_ref(void *ctx, const struct ref *r)
{
    const struct from_ctx *c = ctx;
    int to = find(c->b, r->group, r->kind, r->namespace, r->name);
    if (to >= 0)
        edge_add(c->b, c->object, (unsigned)to, r->need, r->why, r->is_hard, r->path);
    else if (r->is_hard && r->why == WHY_REFERENCE)
        missing_edge(c->b, c->object, r);
    CLEANUP(str_freep)
    char *key = str_printf("%s/%s", r->namespace ? r->namespace : "", r->name);
    bool is_secret = !strcmp(r->kind, "Secret") && !*r->group;
    if (to < 0 && !(is_secret && json_object_get(c->b->producers, key)))
        warn_missing(c->b, c->object, r);
    if (!is_secret)
        return;
    struct from_ctx p = {c->b, c->object, NEED_READY, WHY_PRODUCED, r->path};
    each_index(c->b->producers, key, add_soft, &p);
}

static void workload_edges(struct builder *b, unsigned object, const json_t *tpl)
{
    const char *ns = b->d->objects.v[object].id.namespace;
    if (!ns)
        return;
    const char *sa = json_dot_str(tpl, "spec.serviceAccountName");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, sa ? sa : "default");
    struct from_ctx c = {b, object, NEED_APPLIED, WHY_RBAC, "spec.serviceAccountName"};
    each_index(b->bindings, key, add_soft, &c);
    struct from_ctx p = {b, object, NEED_APPLIED, WHY_NAMESPACE_POLICY, NULL};
    each_index(b->policies, ns, add_soft, &p);
}

// A bare Pod without an account takes the namespace's, which a controller makes.
static void default_account_edge(struct builder *b, unsigned object, const json_t *doc)
{
    const char *ns = b->d->objects.v[object].id.namespace;
    struct ref r = {"",   "ServiceAccount",          ns,  "default", NEED_APPLIED, WHY_REFERENCE,
                    true, "spec.serviceAccountName", true};
    if (ns && str_is_empty(json_dot_str(doc, "spec.serviceAccountName"))) {
        struct from_ctx c = {b, object, NEED_APPLIED, WHY_REFERENCE, NULL};
        on_ref(&c, &r);
    }
}

static void claim_edge(struct builder *b, unsigned object, const json_t *claim)
{
    if (b->default_class >= 0 && !json_dot(claim, "spec.storageClassName"))
        edge_add(b, object, (unsigned)b->default_class, NEED_APPLIED, WHY_REFERENCE, false,
                 "the default StorageClass");
}

static void claim_template_edges(struct builder *b, unsigned object, const json_t *doc)
{
    size_t i;
    json_t *t;
    json_array_foreach(json_dot(doc, "spec.volumeClaimTemplates"), i, t)
    {
        claim_edge(b, object, t);
    }
}

static void aggregate_edges(struct builder *b, unsigned object, const json_t *doc)
{
    size_t i;
    json_t *selector;
    json_array_foreach(json_dot(doc, "aggregationRule.clusterRoleSelectors"), i, selector)
    {
        const char *key;
        json_t *labels;
        json_object_foreach(b->roles, key, labels)
        {
            long long to;
            if (str_to_int(key, 0, UINT32_MAX, &to) && (unsigned)to != object &&
                json_selector_matches(selector, labels))
                edge_add(b, object, (unsigned)to, NEED_APPLIED, WHY_AGGREGATE, false,
                         "aggregationRule");
        }
    }
}

static void metrics_edge(struct builder *b, unsigned object, const char *group, const char *detail)
{
    const json_t *to = json_object_get(b->apiservices, group);
    if (to)
        edge_add(b, object, (unsigned)json_integer_value(to), NEED_READY, WHY_METRICS, false,
                 detail);
}

static void metrics_edges(struct builder *b, unsigned object, const json_t *doc)
{
    static const struct {
        const char *type, *group;
    } sources[] = {{"Resource", "metrics.k8s.io"},
                   {"ContainerResource", "metrics.k8s.io"},
                   {"Pods", "custom.metrics.k8s.io"},
                   {"Object", "custom.metrics.k8s.io"},
                   {"External", "external.metrics.k8s.io"}};
    size_t i;
    json_t *m;
    json_array_foreach(json_dot(doc, "spec.metrics"), i, m)
    {
        for (size_t j = 0; j < ARRAY_LEN(sources); j++)
            if (str_eq(json_dot_str(m, "type"), sources[j].type))
                metrics_edge(b, object, sources[j].group, "spec.metrics");
    }
    // Without any, and in the first version always, it is the processor's use.
    if (!json_array_size(json_dot(doc, "spec.metrics")))
        metrics_edge(b, object, "metrics.k8s.io", "its target of processor use");
}

static bool names_namespace(const json_t *monitor, const char *own, const char *ns)
{
    const json_t *selector = json_dot(monitor, "spec.namespaceSelector");
    size_t i;
    json_t *v;
    if (json_dot_bool(selector, "any", false))
        return true;
    json_array_foreach(json_object_get(selector, "matchNames"), i, v)
    {
        if (str_eq(json_string_value(v), ns))
            return true;
    }
    return !json_array_size(json_object_get(selector, "matchNames")) && str_eq(own, ns);
}

// A ServiceMonitor waits for the Services it selects, a PodMonitor for the workloads.
static void monitor_edges(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object_id *id = &b->d->objects.v[object].id;
    const json_t *selector = json_dot(doc, "spec.selector");
    bool pods = !strcmp(id->kind, "PodMonitor");
    for (size_t i = 0; selector && !pods && i < b->services.len; i++) {
        const struct service *s = &b->services.v[i];
        if (names_namespace(doc, id->namespace, s->ns) &&
            json_selector_matches(selector, s->labels))
            edge_add(b, object, s->object, NEED_APPLIED, WHY_TARGET, false, "spec.selector");
    }
    for (size_t i = 0; selector && pods && i < b->workloads.len; i++) {
        const struct workload *w = &b->workloads.v[i];
        if (names_namespace(doc, id->namespace, w->ns) &&
            json_selector_matches(selector, w->labels))
            edge_add(b, object, w->object, NEED_APPLIED, WHY_TARGET, false, "spec.selector");
    }
}

// The workloads behind a Service of the desired state.
static void backend_edges(struct builder *b, unsigned object, const char *ns, const char *name,
                          enum edge_why why)
{
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    json_t *selector = json_object_get(b->selectors, key);
    if (!selector)
        return;
    CLEANUP(json_freep) json_t *s = json_pack("{s:O}", "matchLabels", selector);
    for (size_t i = 0; i < b->workloads.len; i++) {
        const struct workload *w = &b->workloads.v[i];
        if (!strcmp(w->ns, ns) && json_selector_matches(s, w->labels))
            edge_add(b, object, w->object, NEED_READY, why, false, "the Service behind it");
    }
}

static void config_edges(struct builder *b, unsigned object, const json_t *doc)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(doc, "webhooks"), i, w)
    {
        const char *ns = json_dot_str(w, "clientConfig.service.namespace");
        const char *name = json_dot_str(w, "clientConfig.service.name");
        if (!ns || !name)
            continue;
        backend_edges(b, object, ns, name, WHY_CONFIG_BACKEND);
        int svc = find(b, "", "Service", ns, name);
        if (svc >= 0)
            edge_add(b, object, (unsigned)svc, NEED_APPLIED, WHY_CONFIG_BACKEND, false,
                     "clientConfig.service");
    }
}

static void policy_edges(struct builder *b, unsigned object, const json_t *doc)
{
    const char *av = json_dot_str(doc, "spec.paramKind.apiVersion");
    const char *kind = json_dot_str(doc, "spec.paramKind.kind");
    const char *slash = av ? strchr(av, '/') : NULL;
    if (!slash || !kind)
        return;
    CLEANUP(str_freep) char *key = str_printf("%.*s/%s", (int)(slash - av), av, kind);
    const json_t *crd = json_object_get(b->crds, key);
    if (crd)
        edge_add(b, object, (unsigned)json_integer_value(crd), NEED_READY, WHY_POLICY_PARAM, true,
                 "spec.paramKind");
}

// The object a policy binding takes its parameters from; its kind stands in the policy.
static void binding_edges(struct builder *b, unsigned object, const json_t *doc)
{
    const char *policy = json_dot_str(doc, "spec.policyName");
    const char *name = json_dot_str(doc, "spec.paramRef.name");
    const char *ns = json_dot_str(doc, "spec.paramRef.namespace");
    if (!policy || !name)
        return;
    bool mutates = str_starts(b->d->objects.v[object].id.kind, "Mutating");
    int at = find(b, "admissionregistration.k8s.io",
                  mutates ? "MutatingAdmissionPolicy" : "ValidatingAdmissionPolicy", NULL, policy);
    if (at < 0)
        return;
    CLEANUP(json_freep) json_t *p = object_doc(&b->d->objects.v[at]);
    const char *av = json_dot_str(p, "spec.paramKind.apiVersion");
    const char *kind = json_dot_str(p, "spec.paramKind.kind");
    if (!av || !kind)
        return;
    const char *slash = strchr(av, '/');
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    int to = find(b, group, kind, ns, name);
    if (to >= 0)
        edge_add(b, object, (unsigned)to, NEED_APPLIED, WHY_POLICY_PARAM, true, "spec.paramRef");
}

static void budget_edges(struct builder *b, unsigned object, const json_t *doc)
{
    const char *ns = b->d->objects.v[object].id.namespace;
    const json_t *selector = json_dot(doc, "spec.selector");
    for (size_t i = 0; ns && selector && i < b->workloads.len; i++) {
        const struct workload *w = &b->workloads.v[i];
        if (!strcmp(w->ns, ns) && json_selector_matches(selector, w->labels))
            edge_add(b, object, w->object, NEED_READY, WHY_TARGET, false, "spec.selector");
    }
}

static void apiservice_edges(struct builder *b, unsigned object, const json_t *doc)
{
    if (json_dot_str(doc, "spec.service.name"))
        backend_edges(b, object, json_dot_str(doc, "spec.service.namespace"),
                      json_dot_str(doc, "spec.service.name"), WHY_CONFIG_BACKEND);
}

static void kind_specific_edges(struct builder *b, unsigned object, const json_t *doc)
{
    static const struct {
        const char *kind;
        void (*add)(struct builder *b, unsigned object, const json_t *doc);
    } table[] = {{"PersistentVolumeClaim", claim_edge},
                 {"StatefulSet", claim_template_edges},
                 {"Pod", default_account_edge},
                 {"ClusterRole", aggregate_edges},
                 {"HorizontalPodAutoscaler", metrics_edges},
                 {"PodDisruptionBudget", budget_edges},
                 {"ServiceMonitor", monitor_edges},
                 {"PodMonitor", monitor_edges},
                 {"ValidatingWebhookConfiguration", config_edges},
                 {"MutatingWebhookConfiguration", config_edges},
                 {"ValidatingAdmissionPolicy", policy_edges},
                 {"MutatingAdmissionPolicy", policy_edges},
                 {"ValidatingAdmissionPolicyBinding", binding_edges},
                 {"MutatingAdmissionPolicyBinding", binding_edges},
                 {"APIService", apiservice_edges}};
    const char *kind = b->d->objects.v[object].id.kind;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].kind, kind))
            table[i].add(b, object, doc);
}

// "group/namespaces/ns/kind/name" or "group/kind/name", comma-separated; the group may be empty.
static void depends_on_edges(struct builder *b, unsigned object, const json_t *doc)
{
    const char *list = json_annotation(doc, "config.kubernetes.io/depends-on");
    if (!list || b->o->ignore_declared)
        return;
    struct strv items = {0};
    strv_split(&items, list, ',');
    for (size_t i = 0; i < items.len; i++) {
        struct strv p = {0};
        strv_split(&p, items.v[i] + strspn(items.v[i], " "), '/');
        bool in_ns = p.len == 5 && !strcmp(p.v[1], "namespaces");
        if (in_ns || p.len == 3) {
            struct object_id id = {p.v[0], p.v[p.len - 2], in_ns ? p.v[2] : NULL, p.v[p.len - 1]};
            const struct object *o = desired_find(b->d, &id);
            // One that is in the cluster already must be healthy all the same.
            unsigned to = o ? (unsigned)(o - b->d->objects.v) : external_node(b, &id);
            edge_add(b, object, to, NEED_READY, WHY_DEPENDS_ON, true,
                     "config.kubernetes.io/depends-on")
                ->is_declared = true;
        }
        strv_clear(&p);
    }
    strv_clear(&items);
}

void edges_of_object(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object_id *id = &b->d->objects.v[object].id;
    namespace_edge(b, object);
    kind_edge(b, object);
    depends_on_edges(b, object, doc);
    if (b->o->ignore_inferred)
        return;
    struct from_ctx c = {b, object, NEED_APPLIED, WHY_REFERENCE, NULL};
    refs_each(id, doc, on_ref, &c);
    const json_t *tpl = pod_template_of(id, doc);
    if (tpl)
        workload_edges(b, object, tpl);
    kind_specific_edges(b, object, doc);
}
