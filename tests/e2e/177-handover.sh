#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A cluster that regrow brings up for Argo CD or Flux, or brings back for them: their own code
# (tests/handover) finds nothing to change, and what a later commit takes out goes when they apply it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/handover.sh"
. "$LIB/snapshots.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
handover_place() { echo "$1 $REPO/apps/$1"; }

# manifests NAME: what an application has; later commits take things out of it
manifests() {
  mkdir -p "$REPO/apps/$1"
  cat >"$REPO/apps/$1/all.yaml" <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {stays: "<1> & 2", goes: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {stays: b25l, goes: dHdv}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1
        env: [{name: STAYS, value: "1"}, {name: GOES, value: "2"}]
        resources: {limits: {cpu: 1000m, memory: 1024Mi}}
      - {name: goes, image: "registry.example.com/side:1"}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: goes, port: 81}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: goes}
data: {a: b}
Y
  sed -i "s/^metadata: {name: [a-z]*/&, namespace: $1/" "$REPO/apps/$1/all.yaml"
}

# commit NAME: a field, elements of lists, and an object leave Git
commit() {
  python3 - "$REPO/apps/$1/all.yaml" "$1" <<'P'
import sys
path = sys.argv[1]
text = open(path).read()
for gone in [', goes: "2"', ', goes: dHdv', ', {name: GOES, value: "2"}',
             '      - {name: goes, image: "registry.example.com/side:1"}\n', ', {name: goes, port: 81}',
             '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: goes, namespace: ' + sys.argv[2] + '}\ndata: {a: b}\n']:
    assert gone in text, gone
    text = text.replace(gone, '')
open(path, 'w').write(text)
P
}

application() { # NAME [SYNC-OPTION]
  manifests "$1"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true${2:+, $2}]}
Y
}

fleet() {
  rm -rf "$REPO"
  mkdir -p "$REPO/.git" "$REPO/root"
  printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"
  application client
  application server ServerSideApply=true
}

boot() { "$REGROW" bootstrap --timeout 60s "$@" "$REPO/root"; }
writes_of() {
  local before
  before=$(audit_writes)
  "$@" >"$SCRATCH/out"
  echo $(($(audit_writes) - before))
}

left_of() { # NAMESPACE: how much is there of what is to go
  kubectl get cm,secret,deploy,svc -n "$1" -o json |
    jq -r '[.items[] | .. | objects | select(.name? == "goes" or .name? == "GOES" or has("goes")) ] | length'
}
versions() { kubectl get cm,secret,deploy,svc,role,netpol -n "$1" -o json |
  jq -r '.items[].metadata | select(.annotations | has("argocd.argoproj.io/tracking-id")?) | .name + " " + .resourceVersion'; }
managers() { kubectl get cm settings -n "$1" -o json --show-managed-fields | jq -r '[.metadata.managedFields[].manager] | join(" ")'; }

argocd_finds_nothing() {
  boot --then=argocd >"$SCRATCH/out"
  is "$(grep -c 'handed over to Argo CD' "$SCRATCH/out")" 1 'the outcome says who goes on'
  is "$(argocd_diff client)" '7 same' 'applied by the client: no difference'
  is "$(argocd_diff server --server-side)" '7 same' 'applied by the server: no difference'
  is "$(argocd_diff client --server-side-diff)" '7 same' 'nor by dry runs'
  is "$(argocd_diff server --server-side-diff)" '7 same' 'of either'
  is "$(kubectl get cm settings -n server -o json | jq '.metadata.annotations | has("kubectl.kubernetes.io/last-applied-configuration")')" \
    false 'where the server applies nothing has to be remembered'
}

again_writes_nothing() {
  is "$(writes_of boot --then=argocd)" 0 'the same command writes nothing'
  is "$(writes_of boot)" 0 'nor does it without --then: the cluster remembers'
  "$REGROW" status "$REPO/root" >"$SCRATCH/out"
  is "$(grep -c 'in sync with .*handed over to Argo CD' "$SCRATCH/out")" 1 'status says so'
  code=0
  "$REGROW" reconcile --once "$REPO/root" >"$SCRATCH/out" 2>&1 || code=$?
  is "$code" 6 'a controller refuses'
  is "$(grep -c 'then=regrow takes it back' "$SCRATCH/out")" 1 'and says how it is taken back'
}

argocd_sync_writes_nothing() {
  local before
  before=$(versions client)
  argocd_sync client
  is "$(versions client)" "$before" 'and a sync of it writes nothing'
  before=$(versions server)
  argocd_sync server --server-side
  is "$(versions server)" "$before" 'nor does that of the other'
}

argocd_takes_out() {
  local app
  for app in client server; do commit "$app"; done
  is "$(argocd_diff client)" '4 differs 1 extra 2 same' 'it sees what a commit has taken out'
  is "$(argocd_diff server --server-side)" '4 differs 1 extra 2 same' 'of both'
  argocd_sync client
  argocd_sync server --server-side
  is "$(left_of client)" 0 'and all of it is gone when the client has applied it'
  is "$(left_of server)" 0 'or the server'
  is "$(argocd_diff client), $(argocd_diff server --server-side)" '6 same, 6 same' 'after which it is in sync'
}

switches() {
  fleet
  boot --then=none >"$SCRATCH/out"
  is "$(grep -c 'nobody reconciles' "$SCRATCH/out")" 1 'taken back for nobody, which is said'
  is "$(managers client)" 'regrow' 'under our own manager'
  boot --then=flux >"$SCRATCH/out"
  is "$(managers client)" 'kustomize-controller' 'then given to Flux'
  is "$(flux_diff client)" '7 same' 'which finds nothing to change'
  is "$(flux_diff server)" '7 same' 'in either application'
  is "$(writes_of boot --then=flux)" 0 'the same command writes nothing'
  is "$(flux_apply client)" '7 unchanged' 'nor does Flux'
  commit client
  flux_apply client >"$SCRATCH/out"
  is "$(left_of client)" 0 'what a commit takes out goes with it'
  is "$(<"$SCRATCH/out")" '4 configured 1 deleted 2 unchanged' 'and nothing else is touched'
}

flux_from_the_start() {
  cluster_wipe
  fleet
  boot --then=flux >"$SCRATCH/out"
  is "$(managers server)" 'kustomize-controller' 'Flux is the manager from the first write on'
  is "$(flux_diff client)" '7 same' 'and finds nothing to change'
  is "$(flux_apply server)" '7 unchanged' 'nor has anything to write'
  commit server
  flux_apply server >"$SCRATCH/out"
  is "$(left_of server)" 0 'and takes out what leaves Git'
}

# ---- brought back for one of them ----
saved() {
  rm -rf "$REPO/.git"
  git -C "$REPO" init -q -b main
  git -C "$REPO" remote add origin https://h/repo
  git -C "$REPO" add -A
  git -C "$REPO" -c user.name=t -c user.email=t@example.com commit -qm fleet
  make_repo "$SCRATCH/store" store
  NAME=store
  admin key add --role writer --chain prod --out store.job >/dev/null
  snap create --key store.job "$REPO/root" >"$SCRATCH/out"
}
restore() { "$REGROW" restore -i ann.id --yes --timeout 60s "$@"; }

restored_for_argocd() {
  cluster_wipe
  restore --then=argocd >"$SCRATCH/out"
  is "$(grep -c 'handed over to Argo CD' "$SCRATCH/out")" 1 'the outcome says who goes on'
  is "$(argocd_diff client), $(argocd_diff server --server-side)" '7 same, 7 same' 'which finds nothing to change'
  is "$(writes_of restore --then=argocd)" 0 'the same command writes nothing'
  is "$(boot -o json | jq -c '[.then, .objects.written]')" '["argocd",0]' 'nor does a bootstrap from Git: the cluster remembers'
  commit client
  argocd_sync client
  is "$(left_of client)" 0 'and what leaves Git goes'
}

restored_for_flux() {
  fleet
  cluster_wipe
  restore --then=flux >"$SCRATCH/out"
  is "$(managers server)" 'kustomize-controller' 'Flux is the manager'
  is "$(flux_diff client), $(flux_diff server)" '7 same, 7 same' 'and finds nothing to change'
  rm -f "$SCRATCH/inventory-server"
  is "$(flux_apply server)" '7 unchanged' 'nor has anything to write'
  commit server
  flux_apply server >"$SCRATCH/out"
  is "$(left_of server)" 0 'and takes out what leaves Git'
}

cluster_up main
fleet
run_case 'Argo CD finds nothing to change' argocd_finds_nothing
run_case 'again, and what is refused' again_writes_nothing
run_case 'a sync of what is in sync' argocd_sync_writes_nothing
run_case 'what leaves Git goes when Argo CD applies' argocd_takes_out
run_case 'another successor' switches
run_case 'Flux from the first write on' flux_from_the_start
fleet
saved
run_case 'brought back for Argo CD' restored_for_argocd
run_case 'brought back for Flux' restored_for_flux
