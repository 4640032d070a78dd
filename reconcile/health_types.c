// SPDX-License-Identifier: Apache-2.0
//
// Kinds that Argo CD reads into the types of Kubernetes before it judges them: what does not fit
// there is an error, and the object's health Unknown, instead of a field that is taken for absent.
// Looked at are the fields that the checks read.
#include <string.h>

#include "reconcile/health_int.h"

#define META "metadata.generation:n status.observedGeneration:n "
#define CONDITIONS                                                                                 \
    "status.conditions:l status.conditions[]:m "                                                   \
    "status.conditions[].type:t status.conditions[].status:t status.conditions[].reason:t "        \
    "status.conditions[].message:t "
#define CONTAINERS(list)                                                                           \
    list ":l " list "[]:m " list "[].name:t " list "[].state:m " list "[].lastState:m " list       \
         "[].state.waiting.reason:t " list "[].state.waiting.message:t " list                      \
         "[].state.terminated.exitCode:n " list "[].state.terminated.reason:t " list               \
         "[].state.terminated.message:t "

// PATH:TYPE, with [] for every item of a list; n a whole number, b a truth value, t text, m a map,
// l a list.
static const struct typed_kind {
    const char *group, *kind, *fields;
} kinds[] = {
    {"apps", "Deployment",
     META CONDITIONS "spec.replicas:n spec.paused:b status.replicas:n status.updatedReplicas:n "
                     "status.availableReplicas:n "},
    {"apps", "StatefulSet",
     META "spec.replicas:n spec.updateStrategy.type:t spec.updateStrategy.rollingUpdate:m "
          "spec.updateStrategy.rollingUpdate.partition:n status.readyReplicas:n "
          "status.updatedReplicas:n status.currentReplicas:n status.updateRevision:t "
          "status.currentRevision:t "},
    {"apps", "DaemonSet",
     META "spec.updateStrategy.type:t status.desiredNumberScheduled:n "
          "status.updatedNumberScheduled:n status.numberAvailable:n "},
    {"apps", "ReplicaSet", META CONDITIONS "spec.replicas:n status.availableReplicas:n "},
    {"batch", "Job", CONDITIONS},
    {"", "Pod",
     CONDITIONS CONTAINERS("status.containerStatuses") CONTAINERS(
         "status.initContainerStatuses") "spec.restartPolicy:t status.phase:t status.message:t "},
    {"", "Service",
     "spec.type:t status.loadBalancer:m status.loadBalancer.ingress:l "
     "status.loadBalancer.ingress[]:m "},
    {"", "PersistentVolumeClaim", "status.phase:t "},
    {"autoscaling", "HorizontalPodAutoscaler", CONDITIONS},
    {"apiregistration.k8s.io", "APIService", CONDITIONS},
};

static const char *wanted(char type)
{
    return type == 'n'   ? "a whole number"
           : type == 'b' ? "true or false"
           : type == 't' ? "text"
           : type == 'm' ? "a map"
                         : "a list";
}

static bool has_type(const json_t *v, char type)
{
    return !v || json_is_null(v) || (type == 'n' && json_is_integer(v)) ||
           (type == 'b' && json_is_boolean(v)) || (type == 't' && json_is_string(v)) ||
           (type == 'm' && json_is_object(v)) || (type == 'l' && json_is_array(v));
}

// Goes along `path` (of `len` bytes) from v; `whole` is the path from the object, for what is said.
static bool fits(const json_t *v, const char *path, size_t len, char type, const char *whole,
                 struct health_result *r)
{
    size_t at = (size_t)(path - whole);
    size_t n = 0;
    while (n < len && path[n] != '.' && path[n] != '[')
        n++;
    if (!has_type(v, 'm')) {
        health_error(r, "%.*s is not a map", at ? (int)at - 1 : 0, whole);
        return false;
    }
    const json_t *x = json_object_getn(v, path, n);
    if (n == len && !has_type(x, type)) {
        health_error(r, "%.*s is not %s", (int)(at + n), whole, wanted(type));
        return false;
    }
    if (n == len || !x)
        return true;
    if (path[n] == '.')
        return fits(x, path + n + 1, len - n - 1, type, whole, r);
    for (size_t i = 0; i < json_array_size(x); i++) {
        const json_t *item = json_array_get(x, i);
        bool is_last = n + 2 == len;
        if (is_last && !has_type(item, type)) {
            health_error(r, "%.*s holds what is not %s", (int)(at + n), whole, wanted(type));
            return false;
        }
        if (!is_last && !fits(item, path + n + 3, len - n - 3, type, whole, r))
            return false;
    }
    return true;
}

bool health_types_fit(const char *group, const char *kind, const json_t *obj,
                      struct health_result *r)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].group, group) != 0 || strcmp(kinds[i].kind, kind) != 0)
            continue;
        for (const char *p = kinds[i].fields; *p;) {
            size_t len = strcspn(p, ":");
            if (!fits(obj, p, len, p[len + 1], p, r))
                return false;
            p += len + 3;
        }
    }
    return true;
}
