// SPDX-License-Identifier: Apache-2.0
//
// Built-in kinds that need arithmetic or more than one list.
#include <stdlib.h>
#include <string.h>

#include "reconcile/health_int.h"

static bool lags(const json_t *obj)
{
    return json_dot_int(obj, "metadata.generation", 0) >
           json_dot_int(obj, "status.observedGeneration", 0);
}

static const char *name_of(const json_t *obj)
{
    return health_str(obj, "metadata.name");
}

void health_deployment(const json_t *o, struct health_result *r)
{
    long long replicas = health_count(o, "spec.replicas", 0);
    long long updated = health_count(o, "status.updatedReplicas", 0);
    long long all = health_count(o, "status.replicas", 0);
    long long available = health_count(o, "status.availableReplicas", 0);
    const json_t *progressing = health_condition(o, "Progressing");
    if (json_dot_bool(o, "spec.paused", false))
        health_set(r, HEALTH_SUSPENDED, "Deployment is paused");
    else if (lags(o))
        health_set(
            r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed deployment generation less than desired "
            "generation");
    else if (str_eq(json_dot_str(progressing, "reason"), "ProgressDeadlineExceeded"))
        health_set(r, HEALTH_DEGRADED, "Deployment \"%s\" exceeded its progress deadline",
                   name_of(o));
    else if (updated < replicas)
        health_set(
            r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: %lld out of %lld new replicas have been updated...",
            updated, replicas);
    else if (all > updated)
        health_set(r, HEALTH_PROGRESSING,
                   "Waiting for rollout to finish: %lld old replicas are pending termination...",
                   all - updated);
    else if (available < updated)
        health_set(r, HEALTH_PROGRESSING,
                   "Waiting for rollout to finish: %lld of %lld updated replicas are available...",
                   available, updated);
    else
        health_set(r, HEALTH_HEALTHY, "%s", "");
}

void health_stateful_set(const json_t *o, struct health_result *r)
{
    long long replicas = health_count(o, "spec.replicas", 0);
    long long ready = health_count(o, "status.readyReplicas", 0);
    long long updated = health_count(o, "status.updatedReplicas", 0);
    const char *type = json_dot_str(o, "spec.updateStrategy.type");
    const json_t *rolling = json_dot(o, "spec.updateStrategy.rollingUpdate");
    const char *next = health_str(o, "status.updateRevision");
    const char *now = health_str(o, "status.currentRevision");
    if (health_count(o, "status.observedGeneration", 0) == 0 || lags(o)) {
        health_set(r, HEALTH_PROGRESSING, "Waiting for statefulset spec update to be observed...");
    } else if (ready < replicas) {
        health_set(r, HEALTH_PROGRESSING, "Waiting for %lld pods to be ready...", replicas - ready);
    } else if (str_eq(type, "RollingUpdate") && json_is_object(rolling)) {
        long long part = health_count(rolling, "partition", 0);
        if (json_object_get(rolling, "partition") && updated < replicas - part)
            health_set(
                r, HEALTH_PROGRESSING,
                "Waiting for partitioned roll out to finish: %lld out of %lld new pods have been "
                "updated...",
                updated, replicas - part);
        else
            health_set(r, HEALTH_HEALTHY,
                       "partitioned roll out complete: %lld new pods have been updated...",
                       updated);
    } else if (str_eq(type, "OnDelete")) {
        health_set(r, HEALTH_HEALTHY, "statefulset has %lld ready pods", ready);
    } else if (strcmp(next, now) != 0) {
        health_set(r, HEALTH_PROGRESSING,
                   "waiting for statefulset rolling update to complete %lld pods at revision %s...",
                   updated, next);
    } else {
        health_set(r, HEALTH_HEALTHY,
                   "statefulset rolling update complete %lld pods at revision %s...",
                   health_count(o, "status.currentReplicas", 0), now);
    }
}

void health_daemon_set(const json_t *o, struct health_result *r)
{
    long long desired = health_count(o, "status.desiredNumberScheduled", 0);
    long long updated = health_count(o, "status.updatedNumberScheduled", 0);
    long long available = health_count(o, "status.numberAvailable", 0);
    if (lags(o))
        health_set(
            r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed daemon set generation less than desired "
            "generation");
    else if (str_eq(json_dot_str(o, "spec.updateStrategy.type"), "OnDelete"))
        health_set(r, HEALTH_HEALTHY, "daemon set %lld out of %lld new pods have been updated",
                   updated, desired);
    else if (updated < desired)
        health_set(
            r, HEALTH_PROGRESSING,
            "Waiting for daemon set \"%s\" rollout to finish: %lld out of %lld new pods have been "
            "updated...",
            name_of(o), updated, desired);
    else if (available < desired)
        health_set(r, HEALTH_PROGRESSING,
                   "Waiting for daemon set \"%s\" rollout to finish: %lld of %lld updated pods are "
                   "available...",
                   name_of(o), available, desired);
    else
        health_set(r, HEALTH_HEALTHY, "%s", "");
}

void health_replica_set(const json_t *o, struct health_result *r)
{
    long long replicas = health_count(o, "spec.replicas", 0);
    long long available = health_count(o, "status.availableReplicas", 0);
    const json_t *failure = health_condition(o, "ReplicaFailure");
    if (lags(o))
        health_set(
            r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed replica set generation less than desired "
            "generation");
    else if (health_is_true(failure))
        health_set(r, HEALTH_DEGRADED, "%s", health_str(failure, "message"));
    else if (available < replicas)
        health_set(r, HEALTH_PROGRESSING,
                   "Waiting for rollout to finish: %lld out of %lld new replicas are available...",
                   available, replicas);
    else
        health_set(r, HEALTH_HEALTHY, "%s", "");
}

// The status of Failed and Complete is not looked at, as in Argo CD; of Complete and Suspended the
// later one speaks.
void health_job(const json_t *o, struct health_result *r)
{
    const json_t *failed = NULL;
    const json_t *other = NULL;
    bool is_suspended = false;
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        const char *type = health_str(c, "type");
        bool suspended = !strcmp(type, "Suspended");
        if (!strcmp(type, "Failed"))
            failed = c;
        else if (suspended || !strcmp(type, "Complete"))
            other = c;
        is_suspended |= suspended && health_is_true(c);
    }
    enum health h = failed         ? HEALTH_DEGRADED
                    : !other       ? HEALTH_PROGRESSING
                    : is_suspended ? HEALTH_SUSPENDED
                                   : HEALTH_HEALTHY;
    health_set(r, h, "%s", health_str(failed ? failed : other, "message"));
}

static bool is_bad_reason(const char *s)
{
    return str_starts(s, "Err") || str_ends(s, "Error") || str_ends(s, "BackOff");
}

static bool pod_is_crashing(const json_t *o, struct health_result *r)
{
    struct buf b CLEANUP(buf_clear) = {0};
    bool bad = false;
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.containerStatuses"), i, c)
    {
        const char *reason = json_dot_str(c, "state.waiting.reason");
        if (!reason || !is_bad_reason(reason))
            continue;
        buf_printf(&b, "%s%s", bad ? ", " : "", health_str(c, "state.waiting.message"));
        bad = true;
    }
    if (bad)
        health_set(r, HEALTH_DEGRADED, "%s", b.p ? b.p : "");
    return bad;
}

static bool container_failure(const json_t *list, struct health_result *r)
{
    size_t i;
    json_t *c;
    json_array_foreach(list, i, c)
    {
        const json_t *t = json_dot(c, "state.terminated");
        const char *message = json_dot_str(t, "message");
        long long code = health_count(t, "exitCode", 0);
        if (!str_is_empty(message))
            health_set(r, HEALTH_DEGRADED, "%s", message);
        else if (str_eq(json_dot_str(t, "reason"), "OOMKilled"))
            health_set(r, HEALTH_DEGRADED, "OOMKilled");
        else if (code)
            health_set(r, HEALTH_DEGRADED, "container \"%s\" failed with exit code %lld",
                       health_str(c, "name"), code);
        else
            continue;
        return true;
    }
    return false;
}

static bool was_terminated(const json_t *o)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.containerStatuses"), i, c)
    {
        if (health_has(c, "lastState.terminated"))
            return true;
    }
    return false;
}

static bool is_hook(const json_t *o)
{
    const char *argo = json_annotation(o, "argocd.argoproj.io/hook");
    const char *helm = json_annotation(o, "helm.sh/hook");
    return argo ? strcmp(argo, "Skip") != 0 : helm && strcmp(helm, "crd-install") != 0;
}

// A pod that ends by itself is at work while it runs: an operator's own, which never end, can be
// marked to be judged like any other; a hook cannot, its end is what is waited for.
static enum health running_health(const json_t *o, bool always)
{
    const char *policy = health_str(o, "spec.restartPolicy");
    if (!always)
        return !strcmp(policy, "OnFailure") || !strcmp(policy, "Never") ? HEALTH_PROGRESSING
                                                                        : HEALTH_UNKNOWN;
    if (health_is_true(health_condition(o, "Ready")))
        return HEALTH_HEALTHY;
    return was_terminated(o) ? HEALTH_DEGRADED : HEALTH_PROGRESSING;
}

void health_pod(const json_t *o, struct health_result *r)
{
    const char *phase = health_str(o, "status.phase");
    const char *message = health_str(o, "status.message");
    const char *mark = json_annotation(o, "argocd.argoproj.io/ignore-restart-policy");
    bool always = !strcmp(health_str(o, "spec.restartPolicy"), "Always") ||
                  (str_eq(mark, "true") && !is_hook(o));
    enum health h = HEALTH_UNKNOWN;
    if (always && pod_is_crashing(o, r))
        return;
    if (!strcmp(phase, "Pending"))
        h = HEALTH_PROGRESSING;
    else if (!strcmp(phase, "Succeeded"))
        h = HEALTH_HEALTHY;
    else if (!strcmp(phase, "Running"))
        h = running_health(o, always);
    else if (!strcmp(phase, "Failed"))
        h = HEALTH_DEGRADED;
    if (h == HEALTH_DEGRADED && !*message && !strcmp(phase, "Failed") &&
        (container_failure(json_dot(o, "status.initContainerStatuses"), r) ||
         container_failure(json_dot(o, "status.containerStatuses"), r)))
        return;
    health_set(r, h, "%s", message);
}

static bool is_scaling_failure(const char *type, const char *reason)
{
    static const char *const active[] = {"FailedGetResourceMetric",      "FailedGetObjectMetric",
                                         "FailedGetPodsMetric",          "FailedGetExternalMetric",
                                         "FailedComputeMetricsReplicas", "InvalidSelector"};
    if (str_eq(type, "AbleToScale"))
        return str_eq(reason, "FailedGetScale") || str_eq(reason, "FailedUpdateScale");
    for (size_t i = 0; str_eq(type, "ScalingActive") && i < ARRAY_LEN(active); i++)
        if (str_eq(reason, active[i]))
            return true;
    return false;
}

void health_autoscaler(const json_t *o, struct health_result *r)
{
    size_t i;
    json_t *c;
    CLEANUP(json_freep) json_t *parsed = NULL;
    const json_t *list = json_dot(o, "status.conditions");
    const char *ann = json_annotation(o, "autoscaling.alpha.kubernetes.io/conditions");
    if (str_eq(json_dot_str(o, "apiVersion"), "autoscaling/v1")) {
        json_error_t e;
        list = parsed = ann ? json_loads(ann, 0, &e) : NULL;
        if (ann && !parsed) {
            health_error(r, "failed to convert conditions annotation to typed: %s", e.text);
            return;
        }
    }
    json_array_foreach(list, i, c)
    {
        if (is_scaling_failure(json_dot_str(c, "type"), json_dot_str(c, "reason"))) {
            health_set(r, HEALTH_DEGRADED, "%s", health_str(c, "message"));
            return;
        }
    }
    json_array_foreach(list, i, c)
    {
        const char *type = health_str(c, "type");
        if (health_is_true(c) &&
            (!strcmp(type, "AbleToScale") || !strcmp(type, "ScalingLimited"))) {
            health_set(r, HEALTH_HEALTHY, "%s", health_str(c, "message"));
            return;
        }
    }
    health_set(r, HEALTH_PROGRESSING, "Waiting to Autoscale");
}
