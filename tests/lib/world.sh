# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
#   world     every object of the cluster in use, a line of canonical JSON each, sorted, without
#             what servers and controllers make: two that are alike are the same to their users.
#             After cluster.sh.
#
# Left out, and why: kinds that servers and controllers fill by themselves (of APIServices those that
# Git does not have: one is made for each served version); in kube-* namespaces what no application
# has, which the control plane puts there; serving certificates that operators make anew for each
# cluster, and the CA of them wherever it was injected (caBundle).

world() {
  local kinds
  kinds=$(kubectl api-resources --verbs=list -o name | grep -vE \
    '^(events|leases|endpoints|endpointslices|pods|nodes|csinodes|componentstatuses|replicasets|controllerrevisions|flowschemas|prioritylevelconfigurations|ipaddresses|servicecidrs|clustertrustbundles)(\.|$)|metrics.k8s.io' |
    paste -sd,)
  kubectl get "$kinds" -A -o json | jq -cS '.items[]
    | select(.metadata.namespace != "regrow-system" and .metadata.name != "kube-root-ca.crt")
    | select((.metadata.namespace // "" | startswith("kube-")) and (.metadata.annotations["argocd.argoproj.io/tracking-id"] == null)
        and (.metadata.name != "sealed-1") | not)
    | select(.kind != "APIService" or .metadata.annotations["argocd.argoproj.io/tracking-id"])
    | select(.kind != "ServiceAccount" or .metadata.name != "default")
    | select(.kind != "Service" or .metadata.name != "kubernetes" or .metadata.namespace != "default")
    | select((.metadata.name | startswith("system:") or startswith("kubeadm:")) | not)
    | del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.generation, .metadata.managedFields,
        .metadata.selfLink, .status, .spec.clusterIP, .spec.clusterIPs, .spec.healthCheckNodePort)
    | del(.spec.ports[]?.nodePort) | del(.spec.selector?["batch.kubernetes.io/controller-uid"]?)
    | if .kind == "CustomResourceDefinition" then del(.spec.conversion.webhook.clientConfig.caBundle)
      else walk(if type == "object" then del(.caBundle, ."batch.kubernetes.io/controller-uid", ."controller-uid", .uid) else . end) end
    | if .kind == "Secret" and (.metadata.name | test("webhook-ca|external-secrets-webhook|kyverno.*tls")) then del(.data) else . end' | sort
}
