// SPDX-License-Identifier: Apache-2.0
#include "reconcile/health.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"

void health_result_clear(struct health_result *r)
{
    str_freep(&r->message);
}

const char *health_name(enum health h)
{
    static const char *const names[] = {"",        "Healthy",  "Suspended", "Progressing",
                                        "Missing", "Degraded", "Unknown"};
    return names[h];
}

PRINTF_LIKE(3, 4)
static void set(struct health_result *r, enum health h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(r->message);
    r->message = str_vprintf(fmt, ap);
    va_end(ap);
    r->status = h;
}

static const char *text(const char *s)
{
    return s ? s : "";
}

static const json_t *condition(const json_t *obj, const char *type)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(obj, "status.conditions"), i, c)
    {
        if (str_eq(json_dot_str(c, "type"), type))
            return c;
    }
    return NULL;
}

static bool is_true(const json_t *c)
{
    return str_eq(json_dot_str(c, "status"), "True");
}

static bool lags(const json_t *obj)
{
    return json_dot_int(obj, "metadata.generation", 0) >
           json_dot_int(obj, "status.observedGeneration", 0);
}

static const char *name_of(const json_t *obj)
{
    return text(json_dot_str(obj, "metadata.name"));
}

static void deployment(const json_t *o, struct health_result *r)
{
    long long replicas = json_dot_int(o, "spec.replicas", 1);
    long long updated = json_dot_int(o, "status.updatedReplicas", 0);
    long long all = json_dot_int(o, "status.replicas", 0);
    long long available = json_dot_int(o, "status.availableReplicas", 0);
    const json_t *progressing = condition(o, "Progressing");
    if (json_dot_bool(o, "spec.paused", false))
        set(r, HEALTH_SUSPENDED, "Deployment is paused");
    else if (lags(o))
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed deployment generation less than desired "
            "generation");
    else if (str_eq(json_dot_str(progressing, "reason"), "ProgressDeadlineExceeded"))
        set(r, HEALTH_DEGRADED, "Deployment \"%s\" exceeded its progress deadline", name_of(o));
    else if (updated < replicas)
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: %lld out of %lld new replicas have been updated...",
            updated, replicas);
    else if (all > updated)
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: %lld old replicas are pending termination...",
            all - updated);
    else if (available < updated)
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: %lld of %lld updated replicas are available...",
            available, updated);
    else
        set(r, HEALTH_HEALTHY, "%s", "");
}

static void stateful_set(const json_t *o, struct health_result *r)
{
    long long replicas = json_dot_int(o, "spec.replicas", 1);
    long long ready = json_dot_int(o, "status.readyReplicas", 0);
    long long updated = json_dot_int(o, "status.updatedReplicas", 0);
    const char *type = json_dot_str(o, "spec.updateStrategy.type");
    const json_t *rolling = json_dot(o, "spec.updateStrategy.rollingUpdate");
    const char *next = text(json_dot_str(o, "status.updateRevision"));
    const char *now = text(json_dot_str(o, "status.currentRevision"));
    if (json_dot_int(o, "status.observedGeneration", 0) == 0 || lags(o)) {
        set(r, HEALTH_PROGRESSING, "Waiting for statefulset spec update to be observed...");
    } else if (ready < replicas) {
        set(r, HEALTH_PROGRESSING, "Waiting for %lld pods to be ready...", replicas - ready);
    } else if (str_eq(type, "RollingUpdate") && json_is_object(rolling)) {
        long long part = json_dot_int(rolling, "partition", 0);
        if (json_object_get(rolling, "partition") && updated < replicas - part)
            set(r, HEALTH_PROGRESSING,
                "Waiting for partitioned roll out to finish: %lld out of %lld new pods have been "
                "updated...",
                updated, replicas - part);
        else
            set(r, HEALTH_HEALTHY,
                "partitioned roll out complete: %lld new pods have been updated...", updated);
    } else if (str_eq(type, "OnDelete")) {
        set(r, HEALTH_HEALTHY, "statefulset has %lld ready pods", ready);
    } else if (strcmp(next, now) != 0) {
        set(r, HEALTH_PROGRESSING,
            "waiting for statefulset rolling update to complete %lld pods at revision %s...",
            updated, next);
    } else {
        set(r, HEALTH_HEALTHY, "statefulset rolling update complete %lld pods at revision %s...",
            json_dot_int(o, "status.currentReplicas", 0), now);
    }
}

static void daemon_set(const json_t *o, struct health_result *r)
{
    long long desired = json_dot_int(o, "status.desiredNumberScheduled", 0);
    long long updated = json_dot_int(o, "status.updatedNumberScheduled", 0);
    long long available = json_dot_int(o, "status.numberAvailable", 0);
    if (lags(o))
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed daemon set generation less than desired "
            "generation");
    else if (str_eq(json_dot_str(o, "spec.updateStrategy.type"), "OnDelete"))
        set(r, HEALTH_HEALTHY, "daemon set %lld out of %lld new pods have been updated", updated,
            desired);
    else if (updated < desired)
        set(r, HEALTH_PROGRESSING,
            "Waiting for daemon set \"%s\" rollout to finish: %lld out of %lld new pods have been "
            "updated...",
            name_of(o), updated, desired);
    else if (available < desired)
        set(r, HEALTH_PROGRESSING,
            "Waiting for daemon set \"%s\" rollout to finish: %lld of %lld updated pods are "
            "available...",
            name_of(o), available, desired);
    else
        set(r, HEALTH_HEALTHY, "%s", "");
}

static void replica_set(const json_t *o, struct health_result *r)
{
    long long replicas = json_dot_int(o, "spec.replicas", 1);
    long long available = json_dot_int(o, "status.availableReplicas", 0);
    const json_t *failure = condition(o, "ReplicaFailure");
    if (lags(o))
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: observed replica set generation less than desired "
            "generation");
    else if (is_true(failure))
        set(r, HEALTH_DEGRADED, "%s", text(json_dot_str(failure, "message")));
    else if (available < replicas)
        set(r, HEALTH_PROGRESSING,
            "Waiting for rollout to finish: %lld out of %lld new replicas are available...",
            available, replicas);
    else
        set(r, HEALTH_HEALTHY, "%s", "");
}

// The status of Failed and Complete is not looked at, as in Argo CD.
static void job(const json_t *o, struct health_result *r)
{
    const json_t *failed = condition(o, "Failed");
    const json_t *complete = condition(o, "Complete");
    const json_t *suspended = condition(o, "Suspended");
    const char *message = text(json_dot_str(suspended ? suspended : complete, "message"));
    if (failed)
        set(r, HEALTH_DEGRADED, "%s", text(json_dot_str(failed, "message")));
    else if (!complete && !suspended)
        set(r, HEALTH_PROGRESSING, "%s", "");
    else if (is_true(suspended))
        set(r, HEALTH_SUSPENDED, "%s", "");
    else
        set(r, HEALTH_HEALTHY, "%s", message);
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
        buf_printf(&b, "%s%s", bad ? ", " : "", text(json_dot_str(c, "state.waiting.message")));
        bad = true;
    }
    if (bad)
        set(r, HEALTH_DEGRADED, "%s", b.p ? b.p : "");
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
        long long code = json_dot_int(t, "exitCode", 0);
        if (!str_is_empty(message))
            set(r, HEALTH_DEGRADED, "%s", message);
        else if (str_eq(json_dot_str(t, "reason"), "OOMKilled"))
            set(r, HEALTH_DEGRADED, "OOMKilled");
        else if (code)
            set(r, HEALTH_DEGRADED, "container \"%s\" failed with exit code %lld",
                text(json_dot_str(c, "name")), code);
        else
            continue;
        return true;
    }
    return false;
}

static void pod_running(const json_t *o, const char *message, bool always, struct health_result *r)
{
    if (!always) {
        set(r, HEALTH_PROGRESSING, "%s", message);
        return;
    }
    if (is_true(condition(o, "Ready"))) {
        set(r, HEALTH_HEALTHY, "%s", message);
        return;
    }
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.containerStatuses"), i, c)
    {
        if (json_dot(c, "lastState.terminated")) {
            set(r, HEALTH_DEGRADED, "%s", message);
            return;
        }
    }
    set(r, HEALTH_PROGRESSING, "%s", message);
}

static void pod(const json_t *o, struct health_result *r)
{
    const char *policy = json_dot_str(o, "spec.restartPolicy");
    bool always = !policy || !strcmp(policy, "Always");
    const char *phase = text(json_dot_str(o, "status.phase"));
    const char *message = text(json_dot_str(o, "status.message"));
    bool ignore = str_eq(json_annotation(o, "argocd.argoproj.io/ignore-restart-policy"), "true");
    if ((always || ignore) && pod_is_crashing(o, r))
        return;
    if (!strcmp(phase, "Pending"))
        set(r, HEALTH_PROGRESSING, "%s", message);
    else if (!strcmp(phase, "Succeeded"))
        set(r, HEALTH_HEALTHY, "%s", message);
    else if (!strcmp(phase, "Running"))
        pod_running(o, message, always, r);
    else if (strcmp(phase, "Failed") != 0)
        set(r, HEALTH_UNKNOWN, "%s", message);
    else if (*message || (!container_failure(json_dot(o, "status.initContainerStatuses"), r) &&
                          !container_failure(json_dot(o, "status.containerStatuses"), r)))
        set(r, HEALTH_DEGRADED, "%s", message);
}

static void service(const json_t *o, struct health_result *r)
{
    bool waits = str_eq(json_dot_str(o, "spec.type"), "LoadBalancer") &&
                 !json_array_size(json_dot(o, "status.loadBalancer.ingress"));
    set(r, waits ? HEALTH_PROGRESSING : HEALTH_HEALTHY, "%s", "");
}

static void ingress(const json_t *o, struct health_result *r)
{
    bool has = json_array_size(json_dot(o, "status.loadBalancer.ingress")) > 0;
    set(r, has ? HEALTH_HEALTHY : HEALTH_PROGRESSING, "%s", "");
}

static void claim(const json_t *o, struct health_result *r)
{
    const char *phase = text(json_dot_str(o, "status.phase"));
    enum health h = !strcmp(phase, "Lost")      ? HEALTH_DEGRADED
                    : !strcmp(phase, "Pending") ? HEALTH_PROGRESSING
                    : !strcmp(phase, "Bound")   ? HEALTH_HEALTHY
                                                : HEALTH_UNKNOWN;
    set(r, h, "%s", "");
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

static void autoscaler(const json_t *o, struct health_result *r)
{
    size_t i;
    json_t *c;
    CLEANUP(json_freep) json_t *parsed = NULL;
    const json_t *list = json_dot(o, "status.conditions");
    const char *ann = json_annotation(o, "autoscaling.alpha.kubernetes.io/conditions");
    if (str_eq(json_dot_str(o, "apiVersion"), "autoscaling/v1")) {
        parsed = ann ? json_loads(ann, 0, NULL) : NULL;
        list = parsed;
    }
    json_array_foreach(list, i, c)
    {
        if (is_scaling_failure(json_dot_str(c, "type"), json_dot_str(c, "reason"))) {
            set(r, HEALTH_DEGRADED, "%s", text(json_dot_str(c, "message")));
            return;
        }
    }
    json_array_foreach(list, i, c)
    {
        const char *type = text(json_dot_str(c, "type"));
        if (is_true(c) && (!strcmp(type, "AbleToScale") || !strcmp(type, "ScalingLimited"))) {
            set(r, HEALTH_HEALTHY, "%s", text(json_dot_str(c, "message")));
            return;
        }
    }
    set(r, HEALTH_PROGRESSING, "Waiting to Autoscale");
}

static void api_service(const json_t *o, struct health_result *r)
{
    const json_t *c = condition(o, "Available");
    if (!c)
        set(r, HEALTH_PROGRESSING, "Waiting to be processed");
    else
        set(r, is_true(c) ? HEALTH_HEALTHY : HEALTH_PROGRESSING, "%s: %s",
            text(json_dot_str(c, "reason")), text(json_dot_str(c, "message")));
}

static void definition(const json_t *o, struct health_result *r)
{
    const json_t *names = condition(o, "NamesAccepted");
    const json_t *established = condition(o, "Established");
    const json_t *schema = condition(o, "NonStructuralSchema");
    if (!json_array_size(json_dot(o, "status.conditions")))
        set(r, HEALTH_PROGRESSING, "Status conditions not found");
    else if (is_true(condition(o, "Terminating")))
        set(r, HEALTH_PROGRESSING, "CRD is terminating");
    else if (names && !is_true(names))
        set(r, HEALTH_DEGRADED, "CRD names have not been accepted: %s",
            text(json_dot_str(names, "message")));
    else if (is_true(schema))
        set(r, HEALTH_DEGRADED, "Schema violations found: %s",
            text(json_dot_str(schema, "message")));
    else if (!is_true(established))
        set(r, HEALTH_DEGRADED, "CRD is not established");
    else
        set(r, HEALTH_HEALTHY, "CRD is healthy");
}

static void cron_job(const json_t *o, struct health_result *r)
{
    const char *scheduled = json_dot_str(o, "status.lastScheduleTime");
    const char *succeeded = json_dot_str(o, "status.lastSuccessfulTime");
    if (json_dot_bool(o, "spec.suspend", false))
        set(r, HEALTH_HEALTHY, "CronJob is Suspended");
    else if (!json_object_get(o, "status"))
        set(r, HEALTH_PROGRESSING, "CronJob has not been reconciled yet");
    else if (!scheduled)
        set(r, HEALTH_HEALTHY, "CronJob has not been scheduled yet");
    else if (json_array_size(json_dot(o, "status.active")))
        set(r, HEALTH_HEALTHY, "The job is running. Its last execution was successful.");
    else if (!succeeded)
        set(r, HEALTH_HEALTHY, "CronJob has not completed successfully yet");
    else if (strcmp(succeeded, scheduled) < 0)
        set(r, HEALTH_DEGRADED, "CronJob has not completed its last execution successfully");
    else
        set(r, HEALTH_HEALTHY, "CronJob has completed its last execution successfully");
}

static void certificate(const json_t *o, struct health_result *r)
{
    const json_t *issuing = condition(o, "Issuing");
    const json_t *ready = condition(o, "Ready");
    if (is_true(issuing))
        set(r, HEALTH_PROGRESSING, "%s", text(json_dot_str(issuing, "message")));
    else if (ready && !str_eq(json_dot_str(ready, "status"), "Unknown"))
        set(r, is_true(ready) ? HEALTH_HEALTHY : HEALTH_DEGRADED, "%s",
            text(json_dot_str(ready, "message")));
    else
        set(r, HEALTH_PROGRESSING, "Waiting for certificate");
}

// Kinds judged by one condition: True is Healthy, False is `bad`, nothing yet is Progressing.
static const struct by_condition {
    const char *group, *kind, *type;
    enum health bad;
    const char *waiting;
} by_condition[] = {
    {"cert-manager.io", "Issuer", "Ready", HEALTH_DEGRADED, "Initializing Issuer"},
    {"cert-manager.io", "ClusterIssuer", "Ready", HEALTH_DEGRADED, "Initializing ClusterIssuer"},
    {"external-secrets.io", "ExternalSecret", "Ready", HEALTH_DEGRADED,
     "Waiting for ExternalSecret"},
    {"external-secrets.io", "ClusterExternalSecret", "Ready", HEALTH_DEGRADED,
     "Waiting for ClusterExternalSecret"},
    {"external-secrets.io", "PushSecret", "Ready", HEALTH_DEGRADED, "Waiting for PushSecret"},
    {"external-secrets.io", "SecretStore", "Ready", HEALTH_DEGRADED, "Initializing SecretStore"},
    {"external-secrets.io", "ClusterSecretStore", "Ready", HEALTH_DEGRADED,
     "Initializing ClusterSecretStore"},
    {"gateway.networking.k8s.io", "GatewayClass", "Accepted", HEALTH_DEGRADED,
     "Waiting for GatewayClass"},
    {"gateway.networking.k8s.io", "Gateway", "Programmed", HEALTH_PROGRESSING,
     "Waiting for Gateway"},
};

static const struct by_condition *find_by_condition(const char *group, const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(by_condition); i++)
        if (!strcmp(by_condition[i].group, group) && !strcmp(by_condition[i].kind, kind))
            return &by_condition[i];
    return NULL;
}

static void one_condition(const struct by_condition *b, const json_t *o, struct health_result *r)
{
    const json_t *c = condition(o, b->type);
    long long seen = json_dot_int(c, "observedGeneration", -1);
    const char *status = text(json_dot_str(c, "status"));
    const char *message = text(json_dot_str(c, "message"));
    if (seen >= 0 && seen < json_dot_int(o, "metadata.generation", 0))
        set(r, HEALTH_PROGRESSING, "%s", b->waiting);
    else if (!strcmp(status, "True"))
        set(r, HEALTH_HEALTHY, "%s", message);
    else if (!strcmp(status, "False"))
        set(r, b->bad, "%s", message);
    else
        set(r, HEALTH_PROGRESSING, "%s", b->waiting);
}

// A route is healthy when every parent has accepted it and resolved its references.
static void route(const json_t *o, struct health_result *r)
{
    size_t i;
    size_t j;
    json_t *p;
    json_t *c;
    const json_t *parents = json_dot(o, "status.parents");
    json_array_foreach(parents, i, p)
    {
        json_array_foreach(json_object_get(p, "conditions"), j, c)
        {
            const char *type = text(json_dot_str(c, "type"));
            if ((!strcmp(type, "Accepted") || !strcmp(type, "ResolvedRefs")) && !is_true(c)) {
                set(r, HEALTH_DEGRADED, "Parent %s: %s", text(json_dot_str(p, "parentRef.name")),
                    text(json_dot_str(c, "message")));
                return;
            }
        }
    }
    if (json_array_size(parents))
        set(r, HEALTH_HEALTHY, "HTTPRoute is healthy");
    else
        set(r, HEALTH_PROGRESSING, "Waiting for HTTPRoute status");
}

static const struct check {
    const char *group, *kind;
    void (*fn)(const json_t *o, struct health_result *r);
} checks[] = {
    {"apps", "Deployment", deployment},
    {"apps", "StatefulSet", stateful_set},
    {"apps", "DaemonSet", daemon_set},
    {"apps", "ReplicaSet", replica_set},
    {"batch", "Job", job},
    {"batch", "CronJob", cron_job},
    {"", "Pod", pod},
    {"", "Service", service},
    {"", "PersistentVolumeClaim", claim},
    {"networking.k8s.io", "Ingress", ingress},
    {"extensions", "Ingress", ingress},
    {"autoscaling", "HorizontalPodAutoscaler", autoscaler},
    {"apiregistration.k8s.io", "APIService", api_service},
    {"apiextensions.k8s.io", "CustomResourceDefinition", definition},
    {"cert-manager.io", "Certificate", certificate},
    {"gateway.networking.k8s.io", "HTTPRoute", route},
};

static const struct check *find_check(const char *group, const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (!strcmp(checks[i].group, group) && !strcmp(checks[i].kind, kind))
            return &checks[i];
    return NULL;
}

bool health_has_check(const char *group, const char *kind)
{
    return find_check(group, kind) || find_by_condition(group, kind);
}

void health_of(const json_t *obj, struct health_result *out)
{
    const char *av = text(json_dot_str(obj, "apiVersion"));
    const char *kind = text(json_dot_str(obj, "kind"));
    const char *slash = strchr(av, '/');
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    const struct check *c = find_check(group, kind);
    const struct by_condition *b = find_by_condition(group, kind);
    if (json_dot(obj, "metadata.deletionTimestamp"))
        set(out, HEALTH_PROGRESSING, "Pending deletion");
    else if (c)
        c->fn(obj, out);
    else if (b)
        one_condition(b, obj, out);
    else
        set(out, HEALTH_NONE, "%s", "");
}

bool health_is_ready(const json_t *obj, const struct health_result *r)
{
    (void)obj;
    return r->status == HEALTH_HEALTHY || r->status == HEALTH_NONE || r->status == HEALTH_SUSPENDED;
}
