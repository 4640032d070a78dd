// SPDX-License-Identifier: Apache-2.0
#include "gitops/refs.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/json.h"

enum {
    SAME_NS = 0,
    CLUSTER = 1,     // the target is cluster-scoped
    SIBLING_NS = 2,  // a "namespace" beside the name, else the same
    SIBLING_KIND = 4 // "kind" and "group"/"apiGroup"/"apiVersion" beside the name
};

struct rule {
    const char *group, *kind; // of the object that refers; group "*": any
    const char *path;         // to the name: "a.b[].name"
    const char *to_group, *to_kind;
    unsigned flags;
    enum need need;
    enum edge_why why;
    bool is_hard;
};

#define CERT "cert-manager.io"
#define ESO "external-secrets.io"
#define GW "gateway.networking.k8s.io"
#define RBAC "rbac.authorization.k8s.io"
#define PROM "monitoring.coreos.com"
#define TRAEFIK "traefik.io"

static const struct rule rules[] = {
    {RBAC, "RoleBinding", "roleRef.name", RBAC, "Role", SIBLING_KIND, NEED_APPLIED, WHY_ROLE, true},
    {RBAC, "ClusterRoleBinding", "roleRef.name", RBAC, "ClusterRole", CLUSTER, NEED_APPLIED,
     WHY_ROLE, true},
    {"", "Secret", "metadata.annotations.kubernetes~io/service-account~name", "", "ServiceAccount",
     SAME_NS, NEED_APPLIED, WHY_REFERENCE, true},
    {"", "PersistentVolumeClaim", "spec.storageClassName", "storage.k8s.io", "StorageClass",
     CLUSTER, NEED_APPLIED, WHY_REFERENCE, false},
    {"", "PersistentVolumeClaim", "spec.volumeName", "", "PersistentVolume", CLUSTER, NEED_APPLIED,
     WHY_REFERENCE, false},
    {"", "PersistentVolume", "spec.storageClassName", "storage.k8s.io", "StorageClass", CLUSTER,
     NEED_APPLIED, WHY_REFERENCE, false},
    {"", "ServiceAccount", "imagePullSecrets[].name", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {"apps", "StatefulSet", "spec.serviceName", "", "Service", SAME_NS, NEED_APPLIED, WHY_TARGET,
     false},
    {"apps", "StatefulSet", "spec.volumeClaimTemplates[].spec.storageClassName", "storage.k8s.io",
     "StorageClass", CLUSTER, NEED_APPLIED, WHY_REFERENCE, false},
    {"autoscaling", "HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "apps", "Deployment",
     SIBLING_KIND, NEED_READY, WHY_TARGET, false},
    {"autoscaling.k8s.io", "VerticalPodAutoscaler", "spec.targetRef.name", "apps", "Deployment",
     SIBLING_KIND, NEED_APPLIED, WHY_TARGET, false},
    {"keda.sh", "ScaledObject", "spec.scaleTargetRef.name", "apps", "Deployment", SIBLING_KIND,
     NEED_APPLIED, WHY_TARGET, false},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", "spec.priorityLevelConfiguration.name",
     "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", CLUSTER, NEED_APPLIED,
     WHY_REFERENCE, false},
    {"networking.k8s.io", "Ingress", "spec.ingressClassName", "networking.k8s.io", "IngressClass",
     CLUSTER, NEED_APPLIED, WHY_REFERENCE, false},
    {"networking.k8s.io", "Ingress", "spec.rules[].http.paths[].backend.service.name", "",
     "Service", SAME_NS, NEED_APPLIED, WHY_TARGET, false},
    {"networking.k8s.io", "Ingress", "spec.defaultBackend.service.name", "", "Service", SAME_NS,
     NEED_APPLIED, WHY_TARGET, false},
    {"networking.k8s.io", "Ingress", "spec.tls[].secretName", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {"networking.k8s.io", "Ingress", "metadata.annotations.cert-manager~io/cluster-issuer", CERT,
     "ClusterIssuer", CLUSTER, NEED_READY, WHY_ISSUER, false},
    {"networking.k8s.io", "Ingress", "metadata.annotations.cert-manager~io/issuer", CERT, "Issuer",
     SAME_NS, NEED_READY, WHY_ISSUER, false},
    {"apiregistration.k8s.io", "APIService", "spec.service.name", "", "Service", SIBLING_NS,
     NEED_APPLIED, WHY_TARGET, false},
    {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", "spec.policyName",
     "admissionregistration.k8s.io", "ValidatingAdmissionPolicy", CLUSTER, NEED_APPLIED,
     WHY_REFERENCE, false},
    {"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", "spec.policyName",
     "admissionregistration.k8s.io", "MutatingAdmissionPolicy", CLUSTER, NEED_APPLIED,
     WHY_REFERENCE, false},
    {PROM, "Prometheus", "spec.serviceAccountName", "", "ServiceAccount", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {PROM, "Alertmanager", "spec.serviceAccountName", "", "ServiceAccount", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {PROM, "Alertmanager", "spec.configSecret", "", "Secret", SAME_NS, NEED_APPLIED, WHY_REFERENCE,
     false},
    {CERT, "Certificate", "spec.issuerRef.name", CERT, "Issuer", SIBLING_KIND, NEED_READY,
     WHY_ISSUER, false},
    {CERT, "ClusterIssuer", "metadata.annotations.cert-manager~io/cluster-issuer", CERT,
     "ClusterIssuer", CLUSTER, NEED_READY, WHY_ISSUER, false},
    {CERT, "Issuer", "spec.ca.secretName", "", "Secret", SAME_NS, NEED_APPLIED, WHY_REFERENCE,
     false},
    {CERT, "Issuer", "spec.acme.solvers[].dns01.cloudflare.apiTokenSecretRef.name", "", "Secret",
     SAME_NS, NEED_APPLIED, WHY_REFERENCE, false},
    {ESO, "ExternalSecret", "spec.secretStoreRef.name", ESO, "SecretStore", SIBLING_KIND,
     NEED_READY, WHY_STORE, false},
    {ESO, "ExternalSecret", "spec.data[].sourceRef.storeRef.name", ESO, "SecretStore", SIBLING_KIND,
     NEED_READY, WHY_STORE, false},
    {ESO, "ExternalSecret", "spec.dataFrom[].sourceRef.storeRef.name", ESO, "SecretStore",
     SIBLING_KIND, NEED_READY, WHY_STORE, false},
    {ESO, "ClusterExternalSecret", "spec.externalSecretSpec.secretStoreRef.name", ESO,
     "SecretStore", SIBLING_KIND, NEED_READY, WHY_STORE, false},
    {ESO, "PushSecret", "spec.secretStoreRefs[].name", ESO, "SecretStore", SIBLING_KIND, NEED_READY,
     WHY_STORE, false},
    {ESO, "PushSecret", "spec.selector.secret.name", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {GW, "Gateway", "spec.gatewayClassName", GW, "GatewayClass", CLUSTER, NEED_APPLIED,
     WHY_REFERENCE, false},
    {GW, "Gateway", "spec.listeners[].tls.certificateRefs[].name", "", "Secret",
     SIBLING_KIND | SIBLING_NS, NEED_APPLIED, WHY_REFERENCE, false},
    {GW, "*Route", "spec.parentRefs[].name", GW, "Gateway", SIBLING_KIND | SIBLING_NS, NEED_APPLIED,
     WHY_TARGET, false},
    {GW, "*Route", "spec.rules[].backendRefs[].name", "", "Service", SIBLING_KIND | SIBLING_NS,
     NEED_APPLIED, WHY_TARGET, false},
    {GW, "*Route", "spec.rules[].filters[].extensionRef.name", "", "", SIBLING_KIND, NEED_APPLIED,
     WHY_REFERENCE, false},
    {TRAEFIK, "IngressRoute", "spec.routes[].services[].name", "", "Service",
     SIBLING_KIND | SIBLING_NS, NEED_APPLIED, WHY_TARGET, false},
    {TRAEFIK, "IngressRoute", "spec.routes[].middlewares[].name", TRAEFIK, "Middleware", SIBLING_NS,
     NEED_APPLIED, WHY_REFERENCE, false},
    {TRAEFIK, "IngressRoute", "spec.tls.secretName", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {TRAEFIK, "Middleware", "spec.basicAuth.secret", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
    {TRAEFIK, "TLSOption", "spec.clientAuth.secretNames[]", "", "Secret", SAME_NS, NEED_APPLIED,
     WHY_REFERENCE, false},
};

// Inside a pod spec; `hard` holds for bare Pods only, whose admission looks these up.
static const struct pod_rule {
    const char *path, *to_group, *to_kind;
    bool is_cluster, hard_for_pods;
} pod_rules[] = {
    {"serviceAccountName", "", "ServiceAccount", false, true},
    {"priorityClassName", "scheduling.k8s.io", "PriorityClass", true, true},
    {"runtimeClassName", "node.k8s.io", "RuntimeClass", true, true},
    {"imagePullSecrets[].name", "", "Secret", false, false},
    {"volumes[].configMap.name", "", "ConfigMap", false, false},
    {"volumes[].secret.secretName", "", "Secret", false, false},
    {"volumes[].persistentVolumeClaim.claimName", "", "PersistentVolumeClaim", false, false},
    {"volumes[].projected.sources[].configMap.name", "", "ConfigMap", false, false},
    {"volumes[].projected.sources[].secret.name", "", "Secret", false, false},
    {"volumes[].csi.nodePublishSecretRef.name", "", "Secret", false, false},
    {"volumes[].azureFile.secretName", "", "Secret", false, false},
    {"volumes[].ephemeral.volumeClaimTemplate.spec.storageClassName", "storage.k8s.io",
     "StorageClass", true, false},
    {"resourceClaims[].resourceClaimName", "resource.k8s.io", "ResourceClaim", false, false},
    {"resourceClaims[].resourceClaimTemplateName", "resource.k8s.io", "ResourceClaimTemplate",
     false, false},
    {"containers[].envFrom[].configMapRef.name", "", "ConfigMap", false, false},
    {"containers[].envFrom[].secretRef.name", "", "Secret", false, false},
    {"containers[].env[].valueFrom.configMapKeyRef.name", "", "ConfigMap", false, false},
    {"containers[].env[].valueFrom.secretKeyRef.name", "", "Secret", false, false},
    {"initContainers[].envFrom[].configMapRef.name", "", "ConfigMap", false, false},
    {"initContainers[].envFrom[].secretRef.name", "", "Secret", false, false},
    {"initContainers[].env[].valueFrom.configMapKeyRef.name", "", "ConfigMap", false, false},
    {"initContainers[].env[].valueFrom.secretKeyRef.name", "", "Secret", false, false},
};

typedef void (*leaf_fn)(void *ctx, const json_t *parent, const char *value);

// Follows a path; '~' in a key stands for '.'. fn gets each text at its end and the map it is in.
static void walk(const json_t *v, const json_t *parent, const char *path, leaf_fn fn, void *ctx)
{
    if (!v)
        return;
    if (!*path) {
        const char *s = json_string_value(v);
        if (s && *s)
            fn(ctx, parent, s);
        return;
    }
    size_t n = strcspn(path, ".[");
    char key[128];
    if (n >= sizeof(key))
        return;
    memcpy(key, path, n);
    key[n] = 0;
    for (char *p = key; *p; p++)
        if (*p == '~')
            *p = '.';
    const json_t *next = json_object_get(v, key);
    const char *rest = path + n;
    if (*rest != '[') {
        walk(next, v, *rest == '.' ? rest + 1 : rest, fn, ctx);
        return;
    }
    rest += 2;
    size_t i;
    json_t *item;
    json_array_foreach(next, i, item)
    {
        walk(item, v, *rest == '.' ? rest + 1 : rest, fn, ctx);
    }
}

struct walking {
    const struct object_id *id;
    const struct rule *rule;
    ref_fn fn;
    void *ctx;
    bool is_pods;
};

static bool is_cluster_kind(const char *kind)
{
    return str_starts(kind, "Cluster") || !strcmp(kind, "GatewayClass");
}

static void on_leaf(void *ctx, const json_t *parent, const char *value)
{
    const struct walking *w = ctx;
    const struct rule *r = w->rule;
    struct ref ref = {
        r->to_group, r->to_kind, w->id->namespace,
        value,       r->need,    r->why,
        r->is_hard,  r->path,    w->is_pods && !json_dot_bool(parent, "optional", false)};
    char group[254];
    if (r->flags & SIBLING_KIND) {
        const char *kind = json_dot_str(parent, "kind");
        const char *g = json_dot_str(parent, "group");
        const char *av = json_dot_str(parent, "apiVersion");
        if (!g)
            g = json_dot_str(parent, "apiGroup");
        if (!g && av) {
            const char *slash = strchr(av, '/');
            size_t n = slash ? (size_t)(slash - av) : 0;
            if (n >= sizeof(group))
                return;
            memcpy(group, av, n);
            group[n] = 0;
            g = group;
        }
        if (kind && *kind)
            ref.kind = kind;
        if (g)
            ref.group = g;
        if (!*ref.kind)
            return;
        if (is_cluster_kind(ref.kind))
            ref.namespace = NULL;
    }
    if (r->flags & SIBLING_NS) {
        const char *ns = json_dot_str(parent, "namespace");
        if (ns && *ns)
            ref.namespace = ns;
    }
    if (r->flags & CLUSTER)
        ref.namespace = NULL;
    w->fn(w->ctx, &ref);
}

static bool kind_matches(const char *pattern, const char *kind)
{
    return *pattern == '*' ? str_ends(kind, pattern + 1) : !strcmp(pattern, kind);
}

static const struct workload_kind {
    const char *group, *kind, *path, *pods; // of its pod template, and of the spec in it
} workload_kinds[] = {
#define TEMPLATE "spec.template", "spec.template.spec"
    {"", "ReplicationController", TEMPLATE},
    {"apps", "Deployment", TEMPLATE},
    {"apps", "StatefulSet", TEMPLATE},
    {"apps", "DaemonSet", TEMPLATE},
    {"apps", "ReplicaSet", TEMPLATE},
    {"batch", "Job", TEMPLATE},
    {"batch", "CronJob", "spec.jobTemplate.spec.template", "spec.jobTemplate.spec.template.spec"},
    {"argoproj.io", "Rollout", TEMPLATE},
    {"serving.knative.dev", "Service", TEMPLATE},
#undef TEMPLATE
};

static const struct workload_kind *workload_kind(const struct object_id *id)
{
    for (size_t i = 0; i < ARRAY_LEN(workload_kinds); i++)
        if (!strcmp(workload_kinds[i].kind, id->kind) &&
            !strcmp(workload_kinds[i].group, id->group))
            return &workload_kinds[i];
    return NULL;
}

bool has_pod_template(const struct object_id *id)
{
    return workload_kind(id) != NULL;
}

const json_t *pod_template_of(const struct object_id *id, const json_t *doc)
{
    const struct workload_kind *k = workload_kind(id);
    if (!strcmp(id->kind, "Pod") && !*id->group)
        return doc;
    return k ? json_dot(doc, k->path) : NULL;
}

const char *object_pod_spec(const struct object_id *id)
{
    const struct workload_kind *k = workload_kind(id);
    if (!strcmp(id->kind, "Pod") && !*id->group)
        return "spec";
    return k ? k->pods : NULL;
}

static void pod_refs(const struct object_id *id, const json_t *spec, ref_fn fn, void *ctx)
{
    bool is_pod = !strcmp(id->kind, "Pod");
    for (size_t i = 0; i < ARRAY_LEN(pod_rules); i++) {
        const struct pod_rule *p = &pod_rules[i];
        struct rule rule = {.path = p->path,
                            .to_group = p->to_group,
                            .to_kind = p->to_kind,
                            .flags = p->is_cluster ? CLUSTER : SAME_NS,
                            .need = NEED_APPLIED,
                            .why = WHY_REFERENCE,
                            .is_hard = is_pod && p->hard_for_pods};
        struct walking w = {id, &rule, fn, ctx, true};
        walk(spec, NULL, p->path, on_leaf, &w);
    }
}

void refs_each(const struct object_id *id, const json_t *doc, ref_fn fn, void *ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (strcmp(r->group, id->group) != 0 || !kind_matches(r->kind, id->kind))
            continue;
        struct walking w = {id, r, fn, ctx, false};
        walk(doc, NULL, r->path, on_leaf, &w);
    }
    const json_t *tpl = pod_template_of(id, doc);
    if (tpl)
        pod_refs(id, json_object_get(tpl, "spec"), fn, ctx);
}

void produced_secrets(const struct object_id *id, const json_t *doc,
                      void (*fn)(void *ctx, const char *name), void *ctx)
{
    const char *name = NULL;
    if (!strcmp(id->group, CERT) && !strcmp(id->kind, "Certificate")) {
        name = json_dot_str(doc, "spec.secretName");
    } else if (!strcmp(id->group, ESO) && !strcmp(id->kind, "ExternalSecret")) {
        name = json_dot_str(doc, "spec.target.name");
        if (str_is_empty(name))
            name = id->name;
    } else if (!strcmp(id->group, "bitnami.com") && !strcmp(id->kind, "SealedSecret")) {
        name = json_dot_str(doc, "spec.template.metadata.name");
        if (str_is_empty(name))
            name = id->name;
    } else if (!strcmp(id->group, "secrets.hashicorp.com")) {
        name = json_dot_str(doc, "spec.destination.name");
    }
    if (!str_is_empty(name))
        fn(ctx, name);
}
