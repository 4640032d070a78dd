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
  kubectl -n web create deployment web --image=registry.example.org/web:1.2
} >/dev/null

before=$(wc -l <"$AUDIT")
capture
is "$(q .state)" good 'a good snapshot'
is "$(q .added)" 0 'the second adds nothing'
is "$(q .counts.unknown)" 0 'nothing is unknown'
is "$(q '.live.objects[] | "\(.kind) \(.namespace)/\(.name): \(.rule)"' | sort)" \
  'ConfigMap argocd/argocd-ssh-known-hosts-cm: repository credentials
Secret argocd/prod: cluster registrations
Secret kube-system/sealed-1: sealed-secrets keys
Secret web/web-tls: TLS' 'what no application owns has a row with its rule'
is "$(q '.secrets[] | "\(.from) \(.object.metadata.namespace)/\(.object.metadata.name)"' | sort)" \
  'desired web/login
live argocd/prod
live kube-system/sealed-1
live web/login
live web/web-tls' 'the pool: as rendered, and as in the cluster'
is "$(q '[.secrets[].object.metadata | keys[]] | unique | join(" ")')" 'annotations labels name namespace' \
  'nothing of the cluster itself comes along'
is "$(q .counts.secrets)" 4 'each Secret counts once'
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
