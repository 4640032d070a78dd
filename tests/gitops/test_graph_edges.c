// SPDX-License-Identifier: Apache-2.0
//
// Every edge of the order, one case each: what waits, for what, until when, how strictly.
#include "tests/gitops/graph_case.h"

#define D "\n---\n"
#define OBJ(av, kind, meta, more)                                                                  \
    "{apiVersion: " av ", kind: " kind ", metadata: {name: " meta "}" more "}" D
#define NS OBJ("v1", "Namespace", "nn", "")
#define POD(spec) OBJ("v1", "Pod", "p, namespace: nn", ", spec: {" spec "}")
#define DEPLOY(name, spec)                                                                         \
    OBJ("apps/v1", "Deployment", name ", namespace: nn",                                           \
        ", spec: {template: {metadata: {labels: {a: " name "}}, spec: {" spec "}}}")
#define SVC(name, labels)                                                                          \
    OBJ("v1", "Service", name ", namespace: nn, labels: {" labels "}",                             \
        ", spec: {selector: {a: " name "}}")
#define SA(name) OBJ("v1", "ServiceAccount", name ", namespace: nn", "")
#define CM(name) OBJ("v1", "ConfigMap", name ", namespace: nn", "")
#define SECRET(name) OBJ("v1", "Secret", name ", namespace: nn", "")
#define RBAC "rbac.authorization.k8s.io/v1"
#define ADM "admissionregistration.k8s.io/v1"
#define CRD(kind, plural, more)                                                                    \
    OBJ("apiextensions.k8s.io/v1", "CustomResourceDefinition", plural ".x.io",                     \
        ", spec: {group: x.io, scope: Namespaced, names: {kind: " kind ", plural: " plural         \
        "}, versions: [{name: v1, served: true, storage: true}, {name: v2, served: true, "         \
        "storage: false}]" more "}")
#define THING(version) OBJ("x.io/" version, "Thing", "t, namespace: nn", "")
#define RULE(group, resource)                                                                      \
    "{operations: [CREATE], apiGroups: ['" group "'], apiVersions: ['*'], resources: [" resource   \
    "]}"
#define HOOK(kind, policy, rule)                                                                   \
    OBJ(ADM, kind "WebhookConfiguration", "cfg",                                                   \
        ", webhooks: [{name: w.x.io, failurePolicy: " policy                                       \
        ", clientConfig: {service: {namespace: nn, name: hook}}, rules: [" rule "]}]")
#define BACKEND SVC("hook", "") DEPLOY("hook", "serviceAccountName: hook")
#define APISERVICE(group)                                                                          \
    OBJ("apiregistration.k8s.io/v1", "APIService", "v1." group,                                    \
        ", spec: {group: " group ", version: v1, service: {namespace: nn, name: hook}}")
#define POLICY(kind, more)                                                                         \
    OBJ(ADM, kind "AdmissionPolicy", "pol",                                                        \
        ", spec: {matchConstraints: {resourceRules: [" RULE("", "configmaps") "]}" more "}")
#define BINDING(kind, more)                                                                        \
    OBJ(ADM, kind "AdmissionPolicyBinding", "bind", ", spec: {policyName: pol" more "}")
#define PARAMS ", paramKind: {apiVersion: x.io/v1, kind: Limit}"
#define LIMIT OBJ("x.io/v1", "Limit", "l, namespace: nn", "")

static const struct row {
    const char *text, *from, *to;
    enum edge_why why;
    enum need need;
    bool is_hard;
} rows[] = {
    // ---- design section 4 ----
    {NS CM("c"), "ConfigMap nn/c", "Namespace nn", WHY_NAMESPACE, NEED_APPLIED, true},
    {CRD("Thing", "things", "") THING("v1"), "Thing nn/t", "CustomResourceDefinition things.x.io",
     WHY_CRD, NEED_READY, true},
    {APISERVICE("agg.io") OBJ("agg.io/v1", "Odd", "o, namespace: nn", ""), "Odd nn/o",
     "APIService v1.agg.io", WHY_APISERVICE, NEED_READY, true},
    {CRD("Thing", "things", "") THING("v1")
         BACKEND HOOK("Validating", "Fail", RULE("x.io", "things")),
     "Thing nn/t", "webhook w.x.io", WHY_WEBHOOK, NEED_READY, true},
    {OBJ("v1", "ConfigMap",
         "c, namespace: nn, annotations: {config.kubernetes.io/depends-on: "
         "apps/namespaces/nn/Deployment/d}",
         "") DEPLOY("d", ""),
     "ConfigMap nn/c", "Deployment nn/d", WHY_DEPENDS_ON, NEED_READY, true},
    {DEPLOY("d", "serviceAccountName: sa") SA("sa"), "Deployment nn/d", "ServiceAccount nn/sa",
     WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "volumes: [{configMap: {name: c}}]") CM("c"), "Deployment nn/d", "ConfigMap nn/c",
     WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "containers: [{env: [{valueFrom: {secretKeyRef: {name: s}}}]}]") SECRET("s"),
     "Deployment nn/d", "Secret nn/s", WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "volumes: [{persistentVolumeClaim: {claimName: v}}]")
         OBJ("v1", "PersistentVolumeClaim", "v, namespace: nn", ""),
     "Deployment nn/d", "PersistentVolumeClaim nn/v", WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "priorityClassName: high")
         OBJ("scheduling.k8s.io/v1", "PriorityClass", "high", ""),
     "Deployment nn/d", "PriorityClass high", WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "runtimeClassName: rc") OBJ("node.k8s.io/v1", "RuntimeClass", "rc", ""),
     "Deployment nn/d", "RuntimeClass rc", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ("v1", "PersistentVolumeClaim", "v, namespace: nn", ", spec: {storageClassName: fast}")
         OBJ("storage.k8s.io/v1", "StorageClass", "fast", ""),
     "PersistentVolumeClaim nn/v", "StorageClass fast", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ("networking.k8s.io/v1", "Ingress", "i, namespace: nn", ", spec: {ingressClassName: ic}")
         OBJ("networking.k8s.io/v1", "IngressClass", "ic", ""),
     "Ingress nn/i", "IngressClass ic", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ("gateway.networking.k8s.io/v1", "Gateway", "g, namespace: nn",
         ", spec: {gatewayClassName: gc}")
         OBJ("gateway.networking.k8s.io/v1", "GatewayClass", "gc", ""),
     "Gateway nn/g", "GatewayClass gc", WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "serviceAccountName: sa")
         OBJ(RBAC, "RoleBinding", "b, namespace: nn",
             ", roleRef: {kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: sa}]"),
     "Deployment nn/d", "RoleBinding nn/b", WHY_RBAC, NEED_APPLIED, false},
    {DEPLOY("d", "") OBJ("v1", "ResourceQuota", "q, namespace: nn", ""), "Deployment nn/d",
     "ResourceQuota nn/q", WHY_NAMESPACE_POLICY, NEED_APPLIED, false},
    {DEPLOY("d", "") OBJ("networking.k8s.io/v1", "NetworkPolicy", "np, namespace: nn", ""),
     "Deployment nn/d", "NetworkPolicy nn/np", WHY_NAMESPACE_POLICY, NEED_APPLIED, false},
    {OBJ("cert-manager.io/v1", "Certificate", "c, namespace: nn",
         ", spec: {issuerRef: {kind: ClusterIssuer, name: le}}")
         OBJ("cert-manager.io/v1", "ClusterIssuer", "le", ""),
     "Certificate nn/c", "ClusterIssuer le", WHY_ISSUER, NEED_READY, false},
    {OBJ("external-secrets.io/v1", "ExternalSecret", "e, namespace: nn",
         ", spec: {secretStoreRef: {name: st}}")
         OBJ("external-secrets.io/v1", "SecretStore", "st, namespace: nn", ""),
     "ExternalSecret nn/e", "SecretStore nn/st", WHY_STORE, NEED_READY, false},
    {DEPLOY("d", "containers: [{envFrom: [{secretRef: {name: made}}]}]")
         OBJ("external-secrets.io/v1", "ExternalSecret", "made, namespace: nn", ", spec: {}"),
     "Deployment nn/d", "ExternalSecret nn/made", WHY_PRODUCED, NEED_READY, false},
    // ---- order-corrections section 4 ----
    {POD("serviceAccountName: sa") SA("sa"), "Pod nn/p", "ServiceAccount nn/sa", WHY_REFERENCE,
     NEED_APPLIED, true},
    {POD("") SA("default"), "Pod nn/p", "ServiceAccount nn/default", WHY_REFERENCE, NEED_APPLIED,
     true},
    {POD("priorityClassName: high") OBJ("scheduling.k8s.io/v1", "PriorityClass", "high", ""),
     "Pod nn/p", "PriorityClass high", WHY_REFERENCE, NEED_APPLIED, true},
    {POD("runtimeClassName: rc") OBJ("node.k8s.io/v1", "RuntimeClass", "rc", ""), "Pod nn/p",
     "RuntimeClass rc", WHY_REFERENCE, NEED_APPLIED, true},
    {POD("volumes: [{configMap: {name: c}}]") CM("c"), "Pod nn/p", "ConfigMap nn/c", WHY_REFERENCE,
     NEED_APPLIED, false},
    {OBJ("v1", "Secret",
         "tok, namespace: nn, annotations: {kubernetes.io/service-account.name: sa}",
         ", type: kubernetes.io/service-account-token") SA("sa"),
     "Secret nn/tok", "ServiceAccount nn/sa", WHY_REFERENCE, NEED_APPLIED, true},
    {OBJ(RBAC, "RoleBinding", "b, namespace: nn",
         ", roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}")
         OBJ(RBAC, "Role", "r, namespace: nn", ""),
     "RoleBinding nn/b", "Role nn/r", WHY_ROLE, NEED_APPLIED, true},
    {OBJ(RBAC, "RoleBinding", "b, namespace: nn",
         ", roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}")
         OBJ(RBAC, "ClusterRole", "r", ""),
     "RoleBinding nn/b", "ClusterRole r", WHY_ROLE, NEED_APPLIED, true},
    {OBJ(RBAC, "ClusterRoleBinding", "b", ", roleRef: {kind: ClusterRole, name: r}")
         OBJ(RBAC, "ClusterRole", "r", ""),
     "ClusterRoleBinding b", "ClusterRole r", WHY_ROLE, NEED_APPLIED, true},
    {DEPLOY("d", "") BACKEND HOOK("Validating", "Fail", RULE("", "pods")), "Deployment nn/d",
     "webhook w.x.io", WHY_POD_WEBHOOK, NEED_READY, true},
    {OBJ("batch/v1", "CronJob", "cj, namespace: nn",
         ", spec: {jobTemplate: {spec: {template: {spec: {}}}}}")
         BACKEND HOOK("Mutating", "Fail", RULE("", "pods")),
     "CronJob nn/cj", "webhook w.x.io", WHY_POD_WEBHOOK, NEED_READY, true},
    {CM("c") BACKEND HOOK("Mutating", "Ignore", RULE("", "configmaps")), "ConfigMap nn/c",
     "webhook w.x.io", WHY_MUTATING, NEED_READY, false},
    {DEPLOY("d", "") BACKEND HOOK("Mutating", "Ignore", RULE("", "pods")), "Deployment nn/d",
     "webhook w.x.io", WHY_MUTATING, NEED_READY, false},
    {CM("c") POLICY("Mutating", "") BINDING("Mutating", ""), "ConfigMap nn/c",
     "MutatingAdmissionPolicyBinding bind", WHY_MUTATING, NEED_APPLIED, false},
    {POLICY("Mutating", "") BINDING("Mutating", ""), "MutatingAdmissionPolicyBinding bind",
     "MutatingAdmissionPolicy pol", WHY_REFERENCE, NEED_APPLIED, false},
    {BACKEND HOOK("Validating", "Fail", RULE("", "configmaps")),
     "ValidatingWebhookConfiguration cfg", "Deployment nn/hook", WHY_CONFIG_BACKEND, NEED_READY,
     false},
    {BACKEND HOOK("Validating", "Fail", RULE("", "configmaps")), "webhook w.x.io",
     "Deployment nn/hook", WHY_WEBHOOK_BACKEND, NEED_READY, true},
    {CRD("Thing", "things",
         ", conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: nn, "
         "name: hook}}}}") THING("v2") BACKEND,
     "Thing nn/t", "conversion webhook of things.x.io", WHY_CONVERSION, NEED_READY, true},
    {POLICY("Validating", PARAMS) CRD("Limit", "limits", ""), "ValidatingAdmissionPolicy pol",
     "CustomResourceDefinition limits.x.io", WHY_POLICY_PARAM, NEED_READY, true},
    {POLICY("Validating", PARAMS) BINDING("Validating", ", paramRef: {name: l, namespace: nn}")
         CRD("Limit", "limits", "") LIMIT,
     "ValidatingAdmissionPolicyBinding bind", "Limit nn/l", WHY_POLICY_PARAM, NEED_APPLIED, true},
    {CM("c") POLICY("Validating", PARAMS) BINDING(
         "Validating", ", paramRef: {name: l, namespace: nn}") CRD("Limit", "limits", "") LIMIT,
     "ConfigMap nn/c", "Limit nn/l", WHY_POLICY_PARAM, NEED_APPLIED, true},
    {CM("c") POLICY("Validating", PARAMS) BINDING("Validating", ", paramRef: {selector: {}}")
         CRD("Limit", "limits", ""),
     "ConfigMap nn/c", "CustomResourceDefinition limits.x.io", WHY_POLICY_PARAM, NEED_READY, true},
    {OBJ("autoscaling/v2", "HorizontalPodAutoscaler", "h, namespace: nn",
         ", spec: {metrics: [{type: Resource}], scaleTargetRef: {apiVersion: apps/v1, kind: "
         "Deployment, name: d}}") DEPLOY("d", "") APISERVICE("metrics.k8s.io"),
     "HorizontalPodAutoscaler nn/h", "APIService v1.metrics.k8s.io", WHY_METRICS, NEED_READY,
     false},
    {OBJ("autoscaling/v1", "HorizontalPodAutoscaler", "h, namespace: nn",
         ", spec: {scaleTargetRef: {kind: Deployment, name: d}}") APISERVICE("metrics.k8s.io"),
     "HorizontalPodAutoscaler nn/h", "APIService v1.metrics.k8s.io", WHY_METRICS, NEED_READY,
     false},
    {OBJ("autoscaling/v2", "HorizontalPodAutoscaler", "h, namespace: nn",
         ", spec: {metrics: [{type: External}]}") APISERVICE("external.metrics.k8s.io"),
     "HorizontalPodAutoscaler nn/h", "APIService v1.external.metrics.k8s.io", WHY_METRICS,
     NEED_READY, false},
    {OBJ("autoscaling/v2", "HorizontalPodAutoscaler", "h, namespace: nn",
         ", spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}")
         DEPLOY("d", ""),
     "HorizontalPodAutoscaler nn/h", "Deployment nn/d", WHY_TARGET, NEED_READY, false},
    {OBJ("policy/v1", "PodDisruptionBudget", "b, namespace: nn",
         ", spec: {selector: {matchLabels: {a: d}}}") DEPLOY("d", ""),
     "PodDisruptionBudget nn/b", "Deployment nn/d", WHY_TARGET, NEED_READY, false},
    {OBJ("apps/v1", "StatefulSet", "s, namespace: nn", ", spec: {serviceName: svc}") SVC("svc", ""),
     "StatefulSet nn/s", "Service nn/svc", WHY_TARGET, NEED_APPLIED, false},
    {OBJ("networking.k8s.io/v1", "Ingress", "i, namespace: nn",
         ", spec: {rules: [{http: {paths: [{backend: {service: {name: svc}}}]}}]}") SVC("svc", ""),
     "Ingress nn/i", "Service nn/svc", WHY_TARGET, NEED_APPLIED, false},
    {OBJ("gateway.networking.k8s.io/v1", "HTTPRoute", "r, namespace: nn",
         ", spec: {rules: [{backendRefs: [{name: svc}]}]}") SVC("svc", ""),
     "HTTPRoute nn/r", "Service nn/svc", WHY_TARGET, NEED_APPLIED, false},
    {OBJ("monitoring.coreos.com/v1", "ServiceMonitor", "m, namespace: nn",
         ", spec: {selector: {matchLabels: {l: x}}}") SVC("svc", "l: x"),
     "ServiceMonitor nn/m", "Service nn/svc", WHY_TARGET, NEED_APPLIED, false},
    {OBJ("monitoring.coreos.com/v1", "ServiceMonitor", "m, namespace: other",
         ", spec: {selector: {matchLabels: {l: x}}, namespaceSelector: {any: true}}")
         SVC("svc", "l: x"),
     "ServiceMonitor other/m", "Service nn/svc", WHY_TARGET, NEED_APPLIED, false},
    {OBJ("monitoring.coreos.com/v1", "PodMonitor", "m, namespace: nn",
         ", spec: {selector: {matchLabels: {a: d}}}") DEPLOY("d", ""),
     "PodMonitor nn/m", "Deployment nn/d", WHY_TARGET, NEED_APPLIED, false},
    {DEPLOY("d", "") OBJ("v1", "LimitRange", "l, namespace: nn", ""), "Deployment nn/d",
     "LimitRange nn/l", WHY_NAMESPACE_POLICY, NEED_APPLIED, false},
    {OBJ("v1", "PersistentVolumeClaim", "v, namespace: nn", ", spec: {}")
         OBJ("storage.k8s.io/v1", "StorageClass",
             "std, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}", ""),
     "PersistentVolumeClaim nn/v", "StorageClass std", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ("apps/v1", "StatefulSet", "s, namespace: nn",
         ", spec: {volumeClaimTemplates: [{spec: {}}]}")
         OBJ("storage.k8s.io/v1", "StorageClass",
             "std, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}", ""),
     "StatefulSet nn/s", "StorageClass std", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ(RBAC, "ClusterRole", "all",
         ", aggregationRule: {clusterRoleSelectors: [{matchLabels: {agg: yy}}]}")
         OBJ(RBAC, "ClusterRole", "part, labels: {agg: yy}", ""),
     "ClusterRole all", "ClusterRole part", WHY_AGGREGATE, NEED_APPLIED, false},
    // ---- further fields ----
    {OBJ("argoproj.io/v1alpha1", "Rollout", "ro, namespace: nn",
         ", spec: {template: {spec: {serviceAccountName: sa}}}") SA("sa"),
     "Rollout nn/ro", "ServiceAccount nn/sa", WHY_REFERENCE, NEED_APPLIED, false},
    {DEPLOY("d", "resourceClaims: [{resourceClaimTemplateName: gpu}]")
         OBJ("resource.k8s.io/v1", "ResourceClaimTemplate", "gpu, namespace: nn", ""),
     "Deployment nn/d", "ResourceClaimTemplate nn/gpu", WHY_REFERENCE, NEED_APPLIED, false},
    {OBJ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "fs",
         ", spec: {priorityLevelConfiguration: {name: pl}}")
         OBJ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", "pl", ""),
     "FlowSchema fs", "PriorityLevelConfiguration pl", WHY_REFERENCE, NEED_APPLIED, false},
};

static const struct edge *edge_between(const struct graph *g, int from, int to, enum edge_why why)
{
    const struct node *n = &g->nodes.v[from];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &g->edges.v[n->first_out + i];
        if ((int)e->to == to && e->why == why)
            return e;
    }
    return NULL;
}

static void edges(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct desired *d CLEANUP(desired_freep) = state_of(r->text);
        struct graph *g CLEANUP(graph_freep) = graph_of(d, NULL);
        const struct edge *e = edge_between(g, node(g, r->from), node(g, r->to), r->why);
        if (!e)
            fail_msg("row %zu: no edge from %s to %s", i, r->from, r->to);
        else if (e->need != r->need || e->is_hard != r->is_hard || e->is_dropped)
            fail_msg("row %zu: %s to %s is %s, needs %d", i, r->from, r->to,
                     e->is_hard ? "hard" : "soft", (int)e->need);
    }
}

// Where there must be none.
static const struct row none[] = {
    // What a webhook's backend needs is not held back by it, nor by a policy its parameters.
    {BACKEND SA("hook") HOOK("Validating", "Fail", RULE("*", "'*'")), "ServiceAccount nn/hook",
     "webhook w.x.io", WHY_WEBHOOK, 0, false},
    {BACKEND HOOK("Validating", "Fail", RULE("*", "'*'")), "Deployment nn/hook", "webhook w.x.io",
     WHY_WEBHOOK, 0, false},
    {POLICY("Validating", ", paramKind: {apiVersion: v1, kind: ConfigMap}")
         BINDING("Validating", ", paramRef: {name: c, namespace: nn}") NS CM("c"),
     "Namespace nn", "ConfigMap nn/c", WHY_POLICY_PARAM, 0, false},
    // A validating webhook that may be ignored stops nothing; an aggregated one refuses nothing.
    {CM("c") POLICY("Validating", PARAMS ", failurePolicy: Ignore") BINDING(
         "Validating", ", paramRef: {name: l, namespace: nn}") CRD("Limit", "limits", "") LIMIT,
     "ConfigMap nn/c", "Limit nn/l", WHY_POLICY_PARAM, 0, false},
    {CM("c") POLICY("Validating", PARAMS) BINDING(
         "Validating", ", paramRef: {name: l, namespace: nn, parameterNotFoundAction: Allow}")
         CRD("Limit", "limits", "") LIMIT,
     "ConfigMap nn/c", "Limit nn/l", WHY_POLICY_PARAM, 0, false},
    // The binding narrows what the policy matches.
    {CM("c") NS POLICY("Mutating", "")
         BINDING("Mutating", ", matchResources: {namespaceSelector: {matchLabels: {x: yy}}}"),
     "ConfigMap nn/c", "MutatingAdmissionPolicyBinding bind", WHY_MUTATING, 0, false},
    {SECRET("s") POLICY("Mutating", "") BINDING("Mutating", ""), "Secret nn/s",
     "MutatingAdmissionPolicyBinding bind", WHY_MUTATING, 0, false},
    // Monitors look into their own namespace unless told otherwise.
    {OBJ("monitoring.coreos.com/v1", "ServiceMonitor", "m, namespace: other",
         ", spec: {selector: {matchLabels: {l: x}}}") SVC("svc", "l: x"),
     "ServiceMonitor other/m", "Service nn/svc", WHY_TARGET, 0, false},
    // The stored version needs no conversion.
    {CRD("Thing", "things",
         ", conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: nn, "
         "name: hook}}}}") THING("v1") OBJ("x.io/v2", "Thing", "u, namespace: nn", "") BACKEND,
     "Thing nn/t", "conversion webhook of things.x.io", WHY_CONVERSION, 0, false},
    {OBJ("v1", "PersistentVolumeClaim", "v, namespace: nn", ", spec: {storageClassName: ''}")
         OBJ("storage.k8s.io/v1", "StorageClass",
             "std, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}", ""),
     "PersistentVolumeClaim nn/v", "StorageClass std", WHY_REFERENCE, 0, false},
};

static void no_edges(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct desired *d CLEANUP(desired_freep) = state_of(none[i].text);
        struct graph *g CLEANUP(graph_freep) = graph_of(d, NULL);
        if (edge_between(g, node(g, none[i].from), node(g, none[i].to), none[i].why))
            fail_msg("row %zu: an edge from %s to %s", i, none[i].from, none[i].to);
    }
}

// ---- what the cluster adds ----
static bool only_high(void *ctx, const struct object_id *id)
{
    (void)ctx;
    return !strcmp(id->name, "high") || !strcmp(id->kind, "Namespace");
}

static bool stale(void *ctx, const char *group)
{
    (void)ctx;
    return !strcmp(group, "agg.io");
}

static void live(void **s)
{
    (void)s;
    struct graph_live cluster = {.exists = only_high, .is_stale_group = stale};
    // A bare Pod's account that nobody makes is waited for; a class that is there is not.
    struct desired *d CLEANUP(desired_freep) =
        state_of(POD("serviceAccountName: sa, priorityClassName: high"));
    struct graph *g CLEANUP(graph_freep) = graph_of(d, &cluster);
    const struct edge *e =
        edge_between(g, node(g, "Pod nn/p"), node(g, "ServiceAccount nn/sa"), WHY_REFERENCE);
    assert_true(e && e->is_hard && e->need == NEED_READY);
    assert_int_equal(g->nodes.v[e->to].kind, NODE_EXTERNAL);
    for (size_t i = 0; i < g->nodes.len; i++)
        assert_string_not_equal(g->nodes.v[i].label, "PriorityClass high");
    // What a server serves that does not answer is waited for by that server's name.
    struct desired *d2 CLEANUP(desired_freep) =
        state_of(OBJ("agg.io/v1", "Odd", "o, namespace: nn", ""));
    struct graph *g2 CLEANUP(graph_freep) = graph_of(d2, &cluster);
    e = edge_between(g2, node(g2, "Odd nn/o"), node(g2, "APIService v1.agg.io"), WHY_APISERVICE);
    assert_true(e && e->is_hard);
    // Even what is there must be healthy when it is depended on.
    struct desired *d3 CLEANUP(desired_freep) =
        state_of(OBJ("v1", "ConfigMap",
                     "c, namespace: nn, annotations: {config.kubernetes.io/depends-on: "
                     "scheduling.k8s.io/PriorityClass/high}",
                     ""));
    struct graph *g3 CLEANUP(graph_freep) = graph_of(d3, &cluster);
    e = edge_between(g3, node(g3, "ConfigMap nn/c"), node(g3, "PriorityClass high"),
                     WHY_DEPENDS_ON);
    assert_true(e && e->need == NEED_READY);
}

// Said of what pods need, once, and not of what is optional, made by another object, or there.
static void missing(void **s)
{
    (void)s;
    struct graph_live cluster = {.exists = only_high};
    struct desired *d CLEANUP(desired_freep) = state_of(
        DEPLOY("d",
               "serviceAccountName: default, containers: [{envFrom: [{secretRef: {name: none}}, "
               "{secretRef: {name: none}}, {secretRef: {name: may, optional: true}}, {secretRef: "
               "{name: made}}, {configMapRef: {name: high}}]}]")
            OBJ("external-secrets.io/v1", "ExternalSecret", "made, namespace: nn", ", spec: {}"));
    struct graph *g CLEANUP(graph_freep) = graph_of(d, &cluster);
    assert_int_equal(g->warnings.len, 1);
    assert_string_equal(g->warnings.v[0],
                        "Deployment nn/d names Secret nn/none, which nothing here makes and the "
                        "cluster does not have: its pods wait for it");
    struct graph *alone CLEANUP(graph_freep) = graph_of(d, NULL);
    assert_int_equal(alone->warnings.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(edges), cmocka_unit_test(no_edges),
                                       cmocka_unit_test(live), cmocka_unit_test(missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
