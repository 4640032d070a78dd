// SPDX-License-Identifier: Apache-2.0
#include "restore/deprecated.h"

#include <stdbool.h>
#include <string.h>

#include "base/attr.h"

// As Kubernetes' own types say (the lifecycle methods of k8s.io/api of 1.37).
static const struct deprecated_api all[] = {
    {"", "v1", "Endpoints", "discovery.k8s.io/v1 EndpointSlice", 33, 0},
    {"admissionregistration.k8s.io", "v1alpha1",
     "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", "v1", 35, 38},
    {"admissionregistration.k8s.io", "v1beta1",
     "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", "v1", 37, 40},
    {"admissionregistration.k8s.io", "v1beta1",
     "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", "v1", 31, 34},
    {"admissionregistration.k8s.io", "v1beta1",
     "MutatingWebhookConfiguration ValidatingWebhookConfiguration", "v1", 16, 22},
    {"apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition", "v1", 16, 22},
    {"apps", "v1beta1", "Deployment StatefulSet", "v1", 8, 16},
    {"apps", "v1beta2", "DaemonSet Deployment ReplicaSet StatefulSet", "v1", 9, 16},
    {"autoscaling", "v2beta1", "HorizontalPodAutoscaler", "v2", 22, 25},
    {"autoscaling", "v2beta2", "HorizontalPodAutoscaler", "v2", 23, 26},
    {"batch", "v1beta1", "CronJob", "v1", 21, 25},
    {"certificates.k8s.io", "v1alpha1", "ClusterTrustBundle", "v1", 34, 37},
    {"certificates.k8s.io", "v1beta1", "ClusterTrustBundle PodCertificateRequest", "v1", 37, 40},
    {"extensions", "v1beta1", "DaemonSet", "apps/v1 DaemonSet", 8, 16},
    {"extensions", "v1beta1", "Deployment", "apps/v1 Deployment", 8, 16},
    {"extensions", "v1beta1", "ReplicaSet", "apps/v1 ReplicaSet", 8, 16},
    {"extensions", "v1beta1", "Ingress", "networking.k8s.io/v1 Ingress", 14, 22},
    {"extensions", "v1beta1", "NetworkPolicy", "networking.k8s.io/v1 NetworkPolicy", 9, 16},
    {"flowcontrol.apiserver.k8s.io", "v1beta3", "FlowSchema PriorityLevelConfiguration", "v1", 29,
     32},
    {"networking.k8s.io", "v1beta1", "Ingress", "v1", 19, 22},
    {"networking.k8s.io", "v1beta1", "IPAddress ServiceCIDR", "v1", 34, 37},
    {"node.k8s.io", "v1beta1", "RuntimeClass", "v1", 22, 25},
    {"policy", "v1beta1", "PodDisruptionBudget", "v1", 21, 25},
    {"resource.k8s.io", "v1beta1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
     "v1", 35, 38},
    {"resource.k8s.io", "v1beta2", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
     "v1", 36, 39},
    {"storage.k8s.io", "v1alpha1", "VolumeAttributesClass", "v1", 32, 35},
    {"storage.k8s.io", "v1beta1", "VolumeAttributesClass", "v1", 34, 37},
    {"storagemigration.k8s.io", "v1beta1", "StorageVersionMigration", "v1", 37, 40},
};

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; n && (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

const struct deprecated_api *deprecated_find(const char *group, const char *version,
                                             const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!strcmp(all[i].group, group) && !strcmp(all[i].version, version) &&
            has_word(all[i].kinds, kind))
            return &all[i];
    return NULL;
}
