// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "reconcile/health.h"

static void cases(void **s)
{
    (void)s;
    static const struct {
        const char *doc;
        enum health status;
        const char *message;
    } all[] = {
        {"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, "
         "status: {observedGeneration: 1}}",
         HEALTH_PROGRESSING,
         "Waiting for rollout to finish: observed deployment generation less than desired "
         "generation"},
        {"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 1}, spec: {replicas: 2}, "
         "status: {observedGeneration: 1, updatedReplicas: 1, replicas: 1}}",
         HEALTH_PROGRESSING,
         "Waiting for rollout to finish: 1 out of 2 new replicas have been updated..."},
        {"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 1}, spec: {replicas: 1}, "
         "status: {observedGeneration: 1, updatedReplicas: 1, replicas: 1, availableReplicas: 1}}",
         HEALTH_HEALTHY, ""},
        {"{apiVersion: apps/v1, kind: Deployment, spec: {paused: true}}", HEALTH_SUSPENDED,
         "Deployment is paused"},
        {"{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: 'True', "
         "message: oops}]}}",
         HEALTH_DEGRADED, "oops"},
        {"{apiVersion: batch/v1, kind: Job, status: {}}", HEALTH_PROGRESSING, ""},
        {"{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Complete, status: "
         "'True'}]}}",
         HEALTH_HEALTHY, ""},
        {"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", HEALTH_PROGRESSING, ""},
        {"{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Lost}}", HEALTH_DEGRADED,
         ""},
        {"{apiVersion: apiregistration.k8s.io/v1, kind: APIService}", HEALTH_PROGRESSING,
         "Waiting to be processed"},
        {"{apiVersion: cert-manager.io/v1, kind: Certificate, status: {conditions: [{type: Ready, "
         "status: 'False', message: bad}, {type: Issuing, status: 'True', message: soon}]}}",
         HEALTH_PROGRESSING, "soon"},
        {"{apiVersion: external-secrets.io/v1, kind: ClusterSecretStore, status: {conditions: "
         "[{type: Ready, status: 'False', message: denied}]}}",
         HEALTH_DEGRADED, "denied"},
        {"{apiVersion: v1, kind: ConfigMap}", HEALTH_NONE, ""},
        {"{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: x}}", HEALTH_PROGRESSING,
         "Pending deletion"},
        {"{apiVersion: v1, kind: Pod, spec: {restartPolicy: Never}, status: {phase: Failed, "
         "containerStatuses: [{name: c, state: {terminated: {exitCode: 3}}}]}}",
         HEALTH_DEGRADED, "container \"c\" failed with exit code 3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(all[i].doc);
        struct health_result h = {0};
        health_of(doc, &h);
        if (h.status != all[i].status || strcmp(h.message, all[i].message) != 0)
            fail_msg("%s: %s \"%s\"", all[i].doc, health_name(h.status), h.message);
        health_result_clear(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
