#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# What a snapshot takes from a cluster: the secret-zero set by its rules, cluster registrations,
# images in use, versions; nothing is written there; and who may not list Secrets has a suspect
# snapshot, not a smaller one.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"

TOOL=$BUILD/tests/snapshot/tool_capture
OUT=$SCRATCH/out.json
mkdir -p "$SCRATCH/work" "$SCRATCH/root"
cat >"$SCRATCH/root/app.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: web}
stringData: {password: hunter2}
Y

capture() { "$TOOL" "$SCRATCH/cache" "$SCRATCH/work" "$SCRATCH/root" "$OUT" >"$SCRATCH/said" 2>&1 || cat "$SCRATCH/said"; }
q() { jq -r "$1" "$OUT"; }

crd() { # GROUP KIND PLURAL SCOPE
  cat <<Y
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $3.$1}
spec:
  group: $1
  scope: $4
  names: {kind: $2, plural: $3}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
Y
}
# Secrets that only what refers to them makes known.
referred() {
  crd cert-manager.io Issuer issuers Namespaced
  crd cert-manager.io ClusterIssuer clusterissuers Cluster
  crd external-secrets.io SecretStore secretstores Namespaced
}
referring() {
  cat <<Y
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: web, namespace: web}
spec: {acme: {privateKeySecretRef: {name: acme-web}}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: all}
spec: {acme: {privateKeySecretRef: {name: acme-all}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault, namespace: web}
spec: {provider: {vault: {auth: {tokenSecretRef: {name: vault-token, key: token}}}}}
Y
}

cluster_up main
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout "$SCRATCH/k" -out "$SCRATCH/c" 2>/dev/null
{
  kubectl create namespace web
  kubectl create namespace argocd
  kubectl create namespace regrow-system
  kubectl -n web create secret tls web-tls --cert "$SCRATCH/c" --key "$SCRATCH/k"
  kubectl -n kube-system create secret tls sealed-1 --cert "$SCRATCH/c" --key "$SCRATCH/k"
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl -n web create secret generic left-alone --from-literal=password=x
  kubectl -n web create secret generic login --from-literal=password=live
  kubectl -n web label secret login regrow.dev/snapshot=true
  kubectl -n regrow-system create secret generic job --from-literal=seed=x
  kubectl -n argocd create secret generic prod --from-literal=server=https://x
  kubectl -n argocd label secret prod argocd.argoproj.io/secret-type=cluster
  kubectl -n argocd create configmap argocd-ssh-known-hosts-cm --from-literal=ssh_known_hosts=x
  kubectl create namespace flux-system
  kubectl create namespace cert-manager
  kubectl -n flux-system create secret generic sops --from-literal=age.agekey=x
  kubectl -n argocd create secret generic github --from-literal=url=https://git.example.org --from-literal=password=x
  kubectl -n argocd label secret github argocd.argoproj.io/secret-type=repo-creds
  kubectl -n web create secret generic acme-web --from-literal=tls.key=x
  kubectl -n cert-manager create secret generic acme-all --from-literal=tls.key=x
  kubectl -n cert-manager create secret generic not-referred-to --from-literal=tls.key=x
  kubectl -n web create secret generic vault-token --from-literal=token=x
  referred | kubectl apply -f -
  kubectl wait --for=condition=Established crd --all --timeout=30s
  referring | kubectl apply -f -
  kubectl -n web create deployment web --image=registry.example.org/web:1.2
} >/dev/null

before=$(wc -l <"$AUDIT")
capture
is "$(q .state)" good 'a good snapshot'
is "$(q .added)" 0 'the second adds nothing'
is "$(q .counts.unknown)" 0 'nothing is unknown'
is "$(q '.live.objects[] | "\(.kind) \(.namespace)/\(.name): \(.rule)"' | sort)" \
  'ConfigMap argocd/argocd-ssh-known-hosts-cm: repository credentials
Secret argocd/github: repository credentials
Secret argocd/prod: cluster registrations
Secret cert-manager/acme-all: issuers of cert-manager
Secret flux-system/sops: SOPS keys
Secret kube-system/sealed-1: sealed-secrets keys
Secret web/acme-web: issuers of cert-manager
Secret web/vault-token: roots of external-secrets
Secret web/web-tls: TLS' 'what no application owns has a row with its rule'
is "$(q '.secrets[] | "\(.from) \(.object.metadata.namespace)/\(.object.metadata.name)"' | sort)" \
  'desired web/login
live argocd/github
live argocd/prod
live cert-manager/acme-all
live flux-system/sops
live kube-system/sealed-1
live web/acme-web
live web/login
live web/vault-token
live web/web-tls' 'the pool: as rendered, and as in the cluster'
is "$(q '[.secrets[].object.metadata | keys[]] | unique | join(" ")')" 'annotations labels name namespace' \
  'nothing of the cluster itself comes along'
is "$(q .counts.secrets)" 9 'each Secret counts once'
like "$(q '.images.images[].image')" 'registry.example.org/web:1.2' 'images in use'
like "$(q .versions.kubernetes)" '^v1\.' 'the version of Kubernetes'
is "$(q '.versions.apis[] | select(.kind == "Deployment") | "\(.group)/\(.version) \(.plural)"')" \
  'apps/v1 deployments' 'served APIs'
is "$(q .versions.cluster.uid)" "$(kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')" 'which cluster'
sleep 1
is "$(tail -n "+$((before + 1))" "$AUDIT" | jq -r 'select((.userAgent | startswith("regrow")) and (.verb | test("get|list|watch") | not)) | .verb')" '' \
  'it only reads'

# Somebody who may list everything but Secrets.
kubectl create clusterrole reader --verb=get,list,watch --resource=pods,configmaps,namespaces,deployments.apps,statefulsets.apps,daemonsets.apps,cronjobs.batch >/dev/null
kubectl -n web create serviceaccount job >/dev/null
kubectl create clusterrolebinding job --clusterrole=reader --serviceaccount=web:job >/dev/null
kubectl config view --raw >"$SCRATCH/limited"
KUBECONFIG=$SCRATCH/limited kubectl config set-credentials job --token="$(kubectl -n web create token job)" >/dev/null
KUBECONFIG=$SCRATCH/limited kubectl config set-context --current --user=job >/dev/null
export KUBECONFIG=$SCRATCH/limited
capture
is "$(q .state)" suspect 'who may not list Secrets has a suspect one'
is "$(q '.why | join(" ")')" unknown-source 'for that reason'
like "$(q '.warnings | join(" ")')" 'list Secret' 'and is told'
