# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
#   world     every object of the cluster in use, a line of canonical JSON each, sorted, without
#             what servers and controllers make: two that are alike are the same to their users.
#             After cluster.sh.

# Everything there is, without what servers and controllers make.
world() {
  local kinds
  kinds=$(kubectl api-resources --verbs=list -o name | grep -vE \
    '^(events|leases|endpoints|endpointslices|pods|nodes|csinodes|componentstatuses|customresourcedefinitions|replicasets|controllerrevisions|apiservices|flowschemas|prioritylevelconfigurations|ipaddresses|servicecidrs|clustertrustbundles)(\.|$)|metrics.k8s.io' |
    paste -sd,)
  kubectl get "$kinds" -A -o json | jq -cS '.items[]
    | select(.metadata.namespace != "regrow-system" and .metadata.name != "kube-root-ca.crt")
    | select((.metadata.namespace // "" | startswith("kube-")) and (.metadata.annotations["argocd.argoproj.io/tracking-id"] == null)
        and (.metadata.name != "sealed-1") | not)
    | select(.kind != "ServiceAccount" or .metadata.name != "default")
    | select(.kind != "Service" or .metadata.name != "kubernetes" or .metadata.namespace != "default")
    | select((.metadata.name | startswith("system:") or startswith("kubeadm:")) | not)
    | del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.generation, .metadata.managedFields,
        .metadata.selfLink, .status, .spec.clusterIP, .spec.clusterIPs, .spec.healthCheckNodePort)
    | del(.spec.ports[]?.nodePort) | del(.spec.selector?["batch.kubernetes.io/controller-uid"]?)
    | walk(if type == "object" then del(.caBundle, ."batch.kubernetes.io/controller-uid", ."controller-uid", .uid) else . end)
    | if .kind == "Secret" and (.metadata.name | test("webhook-ca|external-secrets-webhook|kyverno.*tls")) then del(.data) else . end' | sort
}
