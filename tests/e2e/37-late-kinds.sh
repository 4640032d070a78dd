#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Kinds that no manifest defines and that appear only while a run waits for them: of a namespace, of
# the cluster, of the cluster where the project does not permit it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
mkdir -p "$REPO/.git" "$REPO/root" "$REPO/apps/late" "$REPO/apps/closed"
printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"

# application NAME PROJECT NAMESPACE
application() {
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: $2
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $3}
  # The collector learns of a new kind every 30 s: until then nothing of it goes in the foreground.
  syncPolicy: {automated: {prune: true}, syncOptions: [PrunePropagationPolicy=background]}
Y
}

crd() { # KIND PLURAL SCOPE
  cat <<Y
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $2.late.io}
spec:
  group: late.io
  scope: $3
  names: {kind: $1, plural: $2, singular: ${1,,}, listKind: $1List}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
Y
}

boot() { "$REGROW" bootstrap --timeout 40s "$REPO/root" >"$SCRATCH/out" 2>&1; }

late() {
  local pid status=0 writes
  application late default nowhere
  application closed team default
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd}\nspec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "*"}]}\n' >"$REPO/root/team.yaml"
  printf 'apiVersion: late.io/v1\nkind: Wide\nmetadata: {name: w}\n---\napiVersion: late.io/v1\nkind: Narrow\nmetadata: {name: near, namespace: default}\n' >"$REPO/apps/late/all.yaml"
  printf 'apiVersion: late.io/v1\nkind: Wide\nmetadata: {name: forbidden}\n' >"$REPO/apps/closed/all.yaml"
  boot &
  pid=$!
  wait_for 20 'a run that waits' grep -q 'applications\?, ' "$SCRATCH/out"
  { crd Wide wides Cluster; echo ---; crd Narrow narrows Namespaced; } | kubectl apply --server-side -f - >/dev/null
  wait "$pid" || status=$?
  is "$status" 10 'a run that meets new kinds ends'
  check 'one of the cluster is applied' kubectl get wides.late.io w
  check 'one of a namespace too' kubectl get narrows.late.io -n default near
  like "$(cat "$SCRATCH/out")" 'Wide is a kind of the cluster, which project team does not permit' 'a project is asked again'
  refuse 'and obeyed' 1 kubectl get wides.late.io forbidden
  is "$(audit_rejected)" 0 'no write was rejected'
  rm "$REPO/root/closed.yaml"
  check 'the next run knows them' boot
  writes=$(audit_writes)
  check 'and the one after' boot
  is "$(audit_writes)" "$writes" 'writes nothing'
  printf 'apiVersion: late.io/v1\nkind: Narrow\nmetadata: {name: near, namespace: default}\n' >"$REPO/apps/late/all.yaml"
  check 'taken out of Git' boot
  refuse 'it is deleted' 1 kubectl get wides.late.io w
}

cluster_up main
run_case late late
