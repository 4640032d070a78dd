# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A repository of small applications, and stand-ins for what acts in a cluster from outside. After
# env.sh, cluster.sh and audit.sh.
#
#   knots_begin               an empty repository, $REPO/root is its root; a just-started cluster
#   application NAME [WAVE] [PROJECT]    an Application; standard input is its manifests. It goes to
#                             the namespace of its name, which is made
#   deployment NAME [FIELDS]  prints one that becomes ready; with FIELDS in its pods' spec
#   custom KIND PLURAL GROUP SCOPE [ANNOTATIONS]   prints a definition that permits everything
#   boot [OPTIONS]            regrow bootstrap; its output is in $SCRATCH/out
#   ends CODE NAME [OPTIONS]  it ends with that exit code, and no write was rejected
#   why_says WHAT REGEX JQ NAME   what regrow why says of it as text, and as JSON
#   stand_in NAME COMMAND...  a shell command, bash -c, again and again until it succeeds, behind us

REPO=$SCRATCH/repo

knots_begin() {
  rm -rf "$REPO"
  mkdir -p "$REPO/.git" "$REPO/root"
  printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"
  cluster_wipe
}

application() {
  mkdir -p "$REPO/apps/$1"
  cat >"$REPO/apps/$1/all.yaml"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: "${2:-0}"}}
spec:
  project: ${3:-default}
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

deployment() {
  cat <<Y
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec: {${2:+$2, }containers: [{name: c, image: "registry.example.com/$1:1", ports: [{containerPort: 8443}]}]}
Y
}

custom() {
  cat <<Y
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $2.$3, annotations: {${5:-}}}
spec:
  group: $3
  scope: $4
  names: {kind: $1, plural: $2, singular: ${1,,}, listKind: $1List}
  versions:
    - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
Y
}

boot() { "$REGROW" bootstrap "$@" "$REPO/root" >"$SCRATCH/out" 2>&1; }

ends() {
  local code=$1 name=$2 got=0
  shift 2
  boot --timeout 30s "$@" || got=$?
  if [[ $got == "$code" ]]; then ok "$name"; else fail "$name" "exit code $got, wanted $code"$'\n'"$(cat "$SCRATCH/out")"; fi
  is "$(audit_rejected)" 0 "$name: no write was rejected"
}

why_says() {
  local text doc
  text=$("$REGROW" why "$1" "$REPO/root" 2>&1) || true
  # Lines are broken where they are for the eye.
  like "$(tr -s ' \n' ' ' <<<"${text//$'\u00a0'/ }")" "$2" "why: $4"
  doc=$("$REGROW" why -o json "$1" "$REPO/root" 2>&1) || true
  if jq -e "$3" >/dev/null 2>&1 <<<"$doc"; then ok "why -o json: $4"; else fail "why -o json: $4" "$3"$'\n'"$doc"; fi
}

stand_in() {
  local name=$1
  shift
  spawn "$name" bash -c 'until bash -c "$0"; do sleep 0.2; done' "$*"
}
