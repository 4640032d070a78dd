// SPDX-License-Identifier: Apache-2.0
//
// Sums of what manifests ask against the quotas they set.
#include "tests/gitops/graph_case.h"

#include "gitops/quota.h"

static void quantities(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"250m", 0.25}, {"1.5Gi", 1610612736}, {"2e3", 2000}, {"1E", 1e18},
                {"2", 2},       {"100k", 1e5},         {".5", 0.5},   {"64Mi", 67108864}};
    static const char *const bad[] = {"", "x", "1X", "0x10", "inf", "nan", "1 Gi", "1e9999", "--1"};
    double got;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CLEANUP(json_freep) json_t *v = json_string(good[i].text);
        if (!quantity_parse(v, &got) || got != good[i].value)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(json_freep) json_t *v = json_string(bad[i]);
        if (quantity_parse(v, &got))
            fail_msg("%s", bad[i]);
    }
    CLEANUP(json_freep) json_t *n = json_integer(3);
    assert_true(quantity_parse(n, &got) && got == 3);
}

#define D "\n---\n"
#define QUOTA(hard)                                                                                \
    "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: nn}, spec: {hard: "      \
    "{" hard "}}}" D
#define DEPLOY(name, replicas, containers)                                                         \
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: " name                               \
    ", namespace: nn}, spec: {replicas: " replicas ", template: {spec: {" containers "}}}}" D
#define ONE(res) "containers: [{resources: {" res "}}]"
#define RANGE                                                                                      \
    "{apiVersion: v1, kind: LimitRange, metadata: {name: l, namespace: nn}, spec: {limits: "       \
    "[{type: "                                                                                     \
    "Container, default: {memory: 1Gi}, defaultRequest: {cpu: 100m}}]}}" D
#define CM(name) "{apiVersion: v1, kind: ConfigMap, metadata: {name: " name ", namespace: nn}}" D

static void sums(void **s)
{
    (void)s;
    static const struct {
        const char *text, *says; // NULL: nothing
    } cases[] = {
        {QUOTA("requests.cpu: '1'") DEPLOY("d", "2", ONE("requests: {cpu: 500m}")), NULL},
        {QUOTA("requests.cpu: '1'") DEPLOY("d", "3", ONE("requests: {cpu: 500m}")),
         "ResourceQuota nn/q allows 1 of requests.cpu, the manifests ask for 1.5: some of them "
         "will "
         "be refused"},
        // Another namespace's quota is none of its business.
        {"{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: other}, spec: "
         "{hard: "
         "{pods: 1}}}" D DEPLOY("d", "5", ""),
         NULL},
        // A request is its limit where it is not set; the namespace's default comes last.
        {QUOTA("cpu: '1'") DEPLOY("d", "3", ONE("limits: {cpu: 500m}")), "ask for 1.5"},
        {QUOTA("limits.memory: 1Gi") RANGE DEPLOY("d", "2", ONE("")), "ask for 2147483648"},
        {QUOTA("requests.memory: 1Gi") RANGE DEPLOY("d", "2", ONE("")), "ask for 2147483648"},
        {QUOTA("limits.cpu: '1'") DEPLOY("d", "1", ONE("requests: {cpu: 1}")),
         "ResourceQuota nn/q limits limits.cpu, which the pods of Deployment nn/d do not set: they "
         "will be refused"},
        // Those that go first count by the hungriest, sidecars together with the others.
        {QUOTA("cpu: '1'") DEPLOY("d", "1",
                                  "containers: [{resources: {requests: {cpu: 500m}}}], "
                                  "initContainers: [{resources: {requests: {cpu: 900m}}}, "
                                  "{resources: {requests: {cpu: 800m}}}]"),
         NULL},
        {QUOTA("cpu: '1'") DEPLOY("d", "1",
                                  "containers: [{resources: {requests: {cpu: 500m}}}], "
                                  "initContainers: [{restartPolicy: Always, resources: {requests: "
                                  "{cpu: 600m}}}]"),
         "ask for 1.1"},
        {QUOTA("pods: '3'") DEPLOY("d", "3", "") DEPLOY("e", "1", ""), "ask for 4"},
        {QUOTA("configmaps: '1'") CM("a") CM("b"), "ask for 2"},
        {QUOTA("count/deployments.apps: '1'") DEPLOY("d", "1", "") DEPLOY("e", "1", ""),
         "allows 1 of count/deployments.apps"},
        {QUOTA("services.loadbalancers: '0'") "{apiVersion: v1, kind: Service, metadata: {name: s, "
                                              "namespace: nn}, spec: {type: LoadBalancer}}",
         "ask for 1"},
        {QUOTA("requests.storage: 1Gi") "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: "
                                        "s, namespace: nn}, spec: {replicas: 3, "
                                        "volumeClaimTemplates: [{spec: {resources: {requests: "
                                        "{storage: 1Gi}}}}]}}",
         "ask for 3221225472"},
        {"{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: nn}, spec: {scopes: "
         "[BestEffort], hard: {pods: '1'}}}" D DEPLOY("d", "5", ""),
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct desired *d CLEANUP(desired_freep) = state_of(cases[i].text);
        struct strv out = {0};
        quota_warnings(d, &out);
        if (cases[i].says ? out.len != 1 || !strstr(out.v[0], cases[i].says) : out.len != 0)
            fail_msg("case %zu: %s", i, out.len ? out.v[0] : "(nothing)");
        strv_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quantities), cmocka_unit_test(sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
