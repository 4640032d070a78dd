// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

static struct kinds *builtin(int minor)
{
    struct kinds *k = kinds_new();
    kinds_add_builtin(k, minor);
    return k;
}

static void table_by_minor(void **s)
{
    (void)s;
    static const struct {
        const char *group, *version, *kind;
        int from, to;
    } cases[] = {
        {"", "v1", "Pod", 31, 37},
        {"apps", "v1", "Deployment", 31, 37},
        {"apiregistration.k8s.io", "v1", "APIService", 31, 37},
        {"admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", 36, 37},
        {"admissionregistration.k8s.io", "v1alpha1", "ValidatingAdmissionPolicy", 31, 31},
        {"resource.k8s.io", "v1", "DeviceClass", 34, 37},
        {"extensions", "v1beta1", "Ingress", 99, 99},
        {"policy", "v1beta1", "PodSecurityPolicy", 99, 99},
    };
    for (int minor = 31; minor <= 37; minor++) {
        CLEANUP(kinds_freep) struct kinds *k = builtin(minor);
        assert_true(kinds_count(k) > 60);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            const bool is_there =
                kinds_find(k, cases[i].group, cases[i].version, cases[i].kind) != NULL;
            if (is_there != (minor >= cases[i].from && minor <= cases[i].to))
                fail_msg("%s %s in 1.%d", cases[i].version, cases[i].kind, minor);
        }
    }
    // Other minors are taken for the nearest known one.
    CLEANUP(kinds_freep) struct kinds *old = builtin(20);
    CLEANUP(kinds_freep) struct kinds *oldest = builtin(31);
    CLEANUP(kinds_freep) struct kinds *future = builtin(99);
    CLEANUP(kinds_freep) struct kinds *newest = builtin(37);
    assert_int_equal(kinds_count(old), kinds_count(oldest));
    assert_int_equal(kinds_count(future), kinds_count(newest));
}

static void what_a_kind_is(void **s)
{
    (void)s;
    CLEANUP(kinds_freep) struct kinds *k = builtin(37);
    const struct kind_info *d = kinds_find(k, "apps", "v1", "Deployment");
    assert_string_equal(d->plural, "deployments");
    assert_true(d->is_namespaced && d->is_builtin && d->can_patch && d->can_list && !d->is_served);
    const struct kind_info *ns = kinds_find(k, "", NULL, "Namespace");
    assert_false(ns->is_namespaced);
    const struct kind_info *review = kinds_find(k, "authentication.k8s.io", NULL, "TokenReview");
    assert_false(review->can_patch || review->can_list);
    assert_null(kinds_find(k, "apps", "v1", "Pod"));
    assert_null(kinds_find(k, "", NULL, "Deployment"));
    assert_null(kinds_find(k, "apps", "v2", "Deployment"));
    for (size_t i = 0; i < kinds_count(k); i++) {
        const struct kind_info *x = kinds_get(k, i);
        assert_ptr_equal(kinds_find(k, x->group, x->version, x->kind), x);
    }
}

static void newest_served_version(void **s)
{
    (void)s;
    CLEANUP(kinds_freep) struct kinds *k = kinds_new();
    static const char *const versions[] = {"v1alpha1", "v1beta2", "v1beta1", "v1", "v2alpha1"};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        kinds_add(k, "g", versions[i], "X", "xs", true, false);
    assert_string_equal(kinds_find(k, "g", NULL, "X")->version, "v1");
    kinds_add(k, "g", "v10", "X", "xs", true, false);
    assert_string_equal(kinds_find(k, "g", NULL, "X")->version, "v10");
    kinds_add(k, "g", "v1beta1", "X", "xs", true, true);
    assert_string_equal(kinds_find(k, "g", NULL, "X")->version, "v1beta1");
    kinds_set_served(k, "g", "X", true);
    assert_string_equal(kinds_find(k, "g", NULL, "X")->version, "v10");
    kinds_set_served(k, "g", "X", false);
    assert_false(kinds_find(k, "g", "v1", "X")->is_served);
    kinds_set_served(k, "other", "X", true);
    kinds_set_served(k, NULL, NULL, true);
    kinds_set_verbs(k, "g", "v1", "X", false, true);
    assert_false(kinds_find(k, "g", "v1", "X")->can_patch);
    assert_true(kinds_find(k, "g", "v1", "X")->can_list);
}

static void names_people_type(void **s)
{
    (void)s;
    static const char *const cases[][3] = {
        {"po", "", "Pod"},
        {"pod", "", "Pod"},
        {"Pods", "", "Pod"},
        {"deploy", "apps", "Deployment"},
        {"deployment", "apps", "Deployment"},
        {"deployments.apps", "apps", "Deployment"},
        {"svc", "", "Service"},
        {"ns", "", "Namespace"},
        {"cm", "", "ConfigMap"},
        {"sts", "apps", "StatefulSet"},
        {"ds", "apps", "DaemonSet"},
        {"crd", "apiextensions.k8s.io", "CustomResourceDefinition"},
        {"crds", "apiextensions.k8s.io", "CustomResourceDefinition"},
        {"ing", "networking.k8s.io", "Ingress"},
        {"netpol", "networking.k8s.io", "NetworkPolicy"},
        {"sa", "", "ServiceAccount"},
        {"pvc", "", "PersistentVolumeClaim"},
        {"hpa", "autoscaling", "HorizontalPodAutoscaler"},
        {"cj", "batch", "CronJob"},
        {"certificate", "cert-manager.io", "Certificate"},
        {"certificates.cert-manager.io", "cert-manager.io", "Certificate"},
        {"services.serving.example.org", "serving.example.org", "Service"},
    };
    CLEANUP(kinds_freep) struct kinds *k = builtin(37);
    kinds_add(k, "serving.example.org", "v1", "Service", "services", true, true);
    kinds_add(k, "cert-manager.io", "v1", "Certificate", "certificates", true, false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct kind_info *x = kinds_find_name(k, cases[i][0]);
        if (!x || strcmp(x->group, cases[i][1]) != 0 || strcmp(x->kind, cases[i][2]) != 0)
            fail_msg("%s", cases[i][0]);
    }
    // The built-in kind is meant, whether the cluster serves another of its name or not.
    assert_string_equal(kinds_find_name(k, "service")->group, "");
    static const char *const none[] = {"", ",", "nothing", "pods.apps", "po,", "deployments."};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (kinds_find_name(k, none[i]))
            fail_msg("\"%s\" is a kind", none[i]);
}

static void custom_resources(void **s)
{
    (void)s;
    CLEANUP(kinds_freep) struct kinds *k = kinds_new();
    CLEANUP(json_freep)
    json_t *crd =
        doc_of("spec: {group: g.io, scope: Namespaced, names: {kind: Foo, plural: foos},\n"
               " versions: [{name: v1, served: true}, {name: v1alpha1, served: false},"
               " {name: v2}, {}, 7]}");
    kinds_add_crd(k, crd);
    assert_int_equal(kinds_count(k), 2);
    assert_true(kinds_find(k, "g.io", "v1", "Foo")->is_namespaced);
    assert_false(kinds_find(k, "g.io", "v1", "Foo")->is_served);
    assert_non_null(kinds_find(k, "g.io", "v2", "Foo"));
    assert_null(kinds_find(k, "g.io", "v1alpha1", "Foo"));
    kinds_add_crd(k, crd);
    assert_int_equal(kinds_count(k), 2);
    static const char *const malformed[] = {"[]", "spec: 7", "spec: {group: g}",
                                            "spec: {group: g, names: {kind: F, plural: ''}}"};
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(malformed[i]);
        kinds_add_crd(k, doc);
    }
    assert_int_equal(kinds_count(k), 2);
}

static void check_path(const struct kinds *k, const char *kind, const char *ns, const char *name,
                       const char *want)
{
    CLEANUP(str_freep) char *path = kind_path(kinds_find_name(k, kind), ns, name);
    assert_string_equal(path, want);
}

static void paths(void **s)
{
    (void)s;
    CLEANUP(kinds_freep) struct kinds *k = builtin(37);
    check_path(k, "deploy", "web", "api", "/apis/apps/v1/namespaces/web/deployments/api");
    check_path(k, "deploy", "web", NULL, "/apis/apps/v1/namespaces/web/deployments");
    check_path(k, "deploy", NULL, NULL, "/apis/apps/v1/deployments");
    check_path(k, "po", "a b", "x?y#z", "/api/v1/namespaces/a%20b/pods/x%3Fy%23z");
    check_path(k, "ns", "ignored", "web", "/api/v1/namespaces/web");
    check_path(k, "clusterrole", NULL, "system:a",
               "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a");
}

static void versions_for_helm(void **s)
{
    (void)s;
    CLEANUP(kinds_freep) struct kinds *k = kinds_new();
    kinds_add(k, "", "v1", "Pod", "pods", true, true);
    kinds_add(k, "", "v1", "Secret", "secrets", true, true);
    kinds_add(k, "apps", "v1", "Deployment", "deployments", true, true);
    struct strv v = {0};
    kinds_api_versions(k, &v);
    static const char *const want[] = {"apps/v1", "apps/v1/Deployment", "v1", "v1/Pod",
                                       "v1/Secret"};
    assert_int_equal(v.len, ARRAY_LEN(want));
    for (size_t i = 0; i < v.len; i++)
        assert_string_equal(v.v[i], want[i]);
    strv_clear(&v);
}

// Whatever may make another kind of it makes another sum; the same again makes the same.
static void sums(void **s)
{
    (void)s;
    enum { WAYS = 9 };
    uint64_t sum[2][WAYS];
    for (int round = 0; round < 2; round++) {
        for (int way = 0; way < WAYS; way++) {
            CLEANUP(kinds_freep) struct kinds *k = kinds_new();
            kinds_add_builtin(k, way == 1 ? 34 : 37);
            kinds_add(k, "a.example.com", way == 2 ? "v2" : "v1", way == 3 ? "Y" : "X",
                      way == 4 ? "ys" : "xs", way != 5, way != 6);
            if (way == 7)
                kinds_set_served(k, "a.example.com", "X", false);
            if (way == 8)
                kinds_set_verbs(k, "a.example.com", "v1", "X", false, true);
            CLEANUP(kinds_freep) struct kinds *copy = kinds_dup(k);
            assert_true(kinds_sum(copy) == kinds_sum(k));
            sum[round][way] = kinds_sum(k);
            assert_true(sum[round][way] != 0);
        }
    }
    for (int a = 0; a < WAYS; a++)
        for (int b = 0; b < WAYS; b++)
            assert_true((sum[0][a] == sum[1][b]) == (a == b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_by_minor),        cmocka_unit_test(what_a_kind_is),
        cmocka_unit_test(newest_served_version), cmocka_unit_test(names_people_type),
        cmocka_unit_test(custom_resources),      cmocka_unit_test(paths),
        cmocka_unit_test(versions_for_helm),     cmocka_unit_test(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
