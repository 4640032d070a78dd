// SPDX-License-Identifier: Apache-2.0
#include "tests/gitops/graph_case.h"

// Is there a chain of edges that are not dropped from one node to the other?
static bool reaches(const struct graph *g, unsigned from, unsigned to)
{
    if (from == to)
        return true;
    const struct node *n = &g->nodes.v[from];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &g->edges.v[n->first_out + i];
        if (!e->is_dropped && reaches(g, e->to, to))
            return true;
    }
    return false;
}

static void waits(const char *text, const char *from, const char *to, bool yes)
{
    struct desired *d CLEANUP(desired_freep) = state_of(text);
    struct graph *g CLEANUP(graph_freep) = graph_of(d, NULL);
    if (reaches(g, (unsigned)node(g, from), (unsigned)node(g, to)) != yes)
        fail_msg("%s %s %s", from, yes ? "does not wait for" : "waits for", to);
}

#define CRD                                                                                        \
    "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: "      \
    "things.x.io}, spec: {group: x.io, scope: Namespaced, names: {kind: Thing, plural: things}, "  \
    "versions: [{name: v1, served: true, storage: true}]}}\n---\n"
#define THING "{apiVersion: x.io/v1, kind: Thing, metadata: {name: t, namespace: nn}}\n---\n"
#define NS "{apiVersion: v1, kind: Namespace, metadata: {name: nn}}\n---\n"
#define BACKEND                                                                                    \
    "{apiVersion: v1, kind: Service, metadata: {name: hook, namespace: nn}, spec: {selector: {a: " \
    "hook}}}\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: hook, namespace: "     \
    "nn}, "                                                                                        \
    "spec: {template: {metadata: {labels: {a: hook}}, spec: {serviceAccountName: hook}}}}\n---\n"  \
    "{apiVersion: v1, kind: ServiceAccount, metadata: {name: hook, namespace: nn}}\n---\n"
#define HOOK(rules)                                                                                \
    "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, "         \
    "metadata: {name: c}, webhooks: [{name: w.x.io, clientConfig: {service: {namespace: nn, "      \
    "name: "                                                                                       \
    "hook}}, rules: [" rules "]}]}\n---\n"

static void identity(void **s)
{
    (void)s;
    waits(CRD THING NS, "Thing nn/t", "CustomResourceDefinition things.x.io", true);
    waits(CRD THING NS, "Thing nn/t", "Namespace nn", true);
    waits(THING NS, "Thing nn/t", "CustomResourceDefinition x.io/Thing", true); // external
    waits(CRD THING, "Thing nn/t", "Namespace nn", true);                       // external too
}

static void webhooks(void **s)
{
    (void)s;
    const char *own = CRD THING NS BACKEND HOOK(
        "{operations: [CREATE], apiGroups: [x.io], apiVersions: ['*'], resources: [things]}");
    waits(own, "Thing nn/t", "webhook w.x.io", true);
    waits(own, "webhook w.x.io", "Deployment nn/hook", true);
    waits(own, "webhook w.x.io", "Service nn/hook", true);
    // A catch-all webhook never holds back what stands behind itself.
    const char *all = CRD THING NS BACKEND HOOK(
        "{operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*']}");
    waits(all, "Deployment nn/hook", "webhook w.x.io", false);
    waits(all, "ServiceAccount nn/hook", "webhook w.x.io", false);
    waits(all, "Namespace nn", "webhook w.x.io", false);
    waits(all, "Thing nn/t", "webhook w.x.io", true);
    // Pods that a webhook judges hold back the workload that makes them.
    const char *pods =
        NS BACKEND HOOK("{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: "
                        "[pods]}") "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, "
                                   "namespace: nn}, spec: "
                                   "{template: {metadata: {labels: {a: web}}, spec: {}}}}\n";
    waits(pods, "Deployment nn/web", "webhook w.x.io", true);
}

static void references(void **s)
{
    (void)s;
    const char *text =
        NS "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: nn}, spec: "
           "{template: {metadata: {labels: {a: d}}, spec: {serviceAccountName: sa, containers: "
           "[{name: c, envFrom: [{secretRef: {name: made}}]}]}}}}\n---\n"
           "{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: nn}}\n---\n"
           "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, "
           "namespace: nn}, roleRef: {kind: Role, name: r, apiGroup: rbac.authorization.k8s.io}, "
           "subjects: [{kind: ServiceAccount, name: sa, namespace: nn}]}\n---\n"
           "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: "
           "nn}}\n---\n"
           "{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: made, "
           "namespace: nn}}\n";
    waits(text, "Deployment nn/d", "ServiceAccount nn/sa", true);
    waits(text, "Deployment nn/d", "RoleBinding nn/b", true);
    waits(text, "RoleBinding nn/b", "Role nn/r", true);
    waits(text, "Deployment nn/d", "SealedSecret nn/made", true);
}

#define CM(name, extra)                                                                            \
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: " name ", namespace: default, "            \
    "annotations: {" extra "}}}\n---\n"

static void waves(void **s)
{
    (void)s;
    const char *text = CM("a", "argocd.argoproj.io/sync-wave: '2'")
        CM("b", "argocd.argoproj.io/sync-wave: '-1'") CM("c", "argocd.argoproj.io/hook: PostSync")
            CM("d", "argocd.argoproj.io/hook: PreSync");
    waits(text, "ConfigMap default/a", "ConfigMap default/b", true);
    waits(text, "ConfigMap default/b", "ConfigMap default/d", true);
    waits(text, "ConfigMap default/c", "ConfigMap default/a", true);
    waits(text, "ConfigMap default/b", "ConfigMap default/a", false);
    // A definition later than its first resource comes forward.
    waits(NS "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
             "{name: things.x.io, annotations: {argocd.argoproj.io/sync-wave: '5'}}, spec: {group: "
             "x.io, scope: Namespaced, names: {kind: Thing, plural: things}, versions: [{name: v1, "
             "served: true, storage: true}]}}\n---\n" THING,
          "Thing nn/t", "CustomResourceDefinition things.x.io", true);
}

#define DEPENDS(on) "config.kubernetes.io/depends-on: /namespaces/default/ConfigMap/" on

static void cycles(void **s)
{
    (void)s;
    struct desired *d CLEANUP(desired_freep) =
        state_of(CM("a", DEPENDS("b")) CM("b", DEPENDS("a")));
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct graph_opts o = {0};
    struct err err = {0};
    assert_false(graph_build(d, NULL, &o, &g, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.msg, "f.yaml:1"));
    assert_non_null(strstr(err.msg, "f.yaml:3"));
    assert_non_null(strstr(err.hint, "--break-declared"));
    err_clear(&err);
    o.break_declared = true;
    assert_true(graph_build(d, NULL, &o, &g, &err));
    assert_int_equal(g->warnings.len, 1);
}

// The Application `name` below the root, in a wave.
static unsigned add_child(struct desired *d, const char *name, const char *wave)
{
    struct err err = {0};
    struct origin at = {.repo = (char *)"r", .file = (char *)"root.yaml", .line = 1};
    CLEANUP(str_freep)
    char *text =
        str_printf("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: "
                   "%s, annotations: {argocd.argoproj.io/sync-wave: '%s'}}, spec: "
                   "{source: {repoURL: https://h/r, path: x}, destination: {name: "
                   "in-cluster, namespace: nn}}}",
                   name, wave);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct application *a = NULL;
    if (!application_parse(doc, &at, &a, &err))
        fail_msg("%s", err.msg);
    a->parent = 0;
    return desired_add_app_take(d, a);
}

static void add_to(struct desired *d, unsigned app, const char *text, bool is_made)
{
    struct object o = {.app = app, .is_made = is_made, .origin = {.file = str_dup("f.yaml")}};
    struct err err = {0};
    bool skip;
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    if (!object_id_of(doc, &o.id, &o.version, &err) || !object_sync_marks(doc, &o, &skip, &err))
        fail_msg("%s", err.msg);
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

// Two applications of one namespace: the one that makes it may be the later one.
static void shared_namespace(void **s)
{
    (void)s;
    for (int made = 0; made <= 1; made++) {
        struct desired *d CLEANUP(desired_freep) = desired_new();
        struct graph *g CLEANUP(graph_freep) = NULL;
        struct graph_opts o = {0};
        struct err err = {0};
        kinds_add_builtin(d->kinds, 37);
        desired_add_app_take(d, application_new_root("app"));
        unsigned early = add_child(d, "early", "1");
        unsigned late = add_child(d, "late", "2");
        add_to(d, early,
               "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: nn}}", false);
        add_to(d, late, "{apiVersion: v1, kind: Namespace, metadata: {name: nn}}", made);
        assert_true(desired_finish(d, &err));
        bool ok = graph_build(d, NULL, &o, &g, &err);
        assert_int_equal(ok, made); // one that is written in the later one is a mistake in Git
        err_clear(&err);
        if (!ok)
            continue;
        assert_true(reaches(g, (unsigned)node(g, "ServiceAccount nn/a"),
                            (unsigned)node(g, "Namespace nn")));
        assert_true(reaches(g, (unsigned)node(g, "start of late"),
                            (unsigned)node(g, "ServiceAccount nn/a")));
        assert_int_equal(g->warnings.len, 1);
    }
}

static void judged(void **s)
{
    (void)s;
    struct kinds *k CLEANUP(kinds_freep) = kinds_new();
    kinds_add_builtin(k, 37);
    CLEANUP(json_freep)
    json_t *w = doc_of("{rules: [{operations: [CREATE], apiGroups: [apps], apiVersions: [v1], "
                       "resources: [deployments]}], namespaceSelector: {matchExpressions: [{key: "
                       "kubernetes.io/metadata.name, operator: NotIn, values: [kube-system]}]}}");
    CLEANUP(json_freep) json_t *doc = doc_of("{metadata: {name: a, namespace: web}}");
    const struct kind_info *deploy = kinds_find(k, "apps", "v1", "Deployment");
    assert_true(webhook_judges(w, deploy, doc, NULL, "CREATE"));
    assert_false(webhook_judges(w, deploy, doc, NULL, "DELETE"));
    assert_false(webhook_judges(w, kinds_find(k, "", "v1", "Pod"), doc, NULL, "CREATE"));
    json_object_set_new(json_object_get(doc, "metadata"), "namespace", json_string("kube-system"));
    assert_false(webhook_judges(w, deploy, doc, NULL, "CREATE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity), cmocka_unit_test(webhooks), cmocka_unit_test(references),
        cmocka_unit_test(waves),    cmocka_unit_test(cycles),   cmocka_unit_test(shared_namespace),
        cmocka_unit_test(judged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
