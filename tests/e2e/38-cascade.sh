#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# An application that leaves Git takes its objects along exactly when Argo CD would delete them:
# with its finalizer, and where its parent prunes. What stays is told once, remembered, and known
# again when its application comes back.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
FINALIZER='finalizers: [resources-finalizer.argocd.argoproj.io]'
mkdir -p "$REPO/.git" "$REPO/root" "$REPO/children"
printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"

# application NAME METADATA [SYNC-POLICY] [FOLDER]: with what standard input says as its manifests
application() {
  mkdir -p "$REPO/apps/$1"
  cat >"$REPO/apps/$1/all.yaml"
  cat >"$REPO/${4:-root}/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd${2:+, $2}}
spec:
  project: default
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  syncPolicy: {syncOptions: [CreateNamespace=true]${3:+, $3}}
Y
}

forget() { rm -f "$REPO/root/$1.yaml" "$REPO/children/$1.yaml"; }
boot() { "$REGROW" bootstrap --timeout 60s "$@" "$REPO/root"; }
there() { kubectl get cm -n "$1" -o name 2>&1 | grep -v kube-root | sed 's|.*/||' | tr '\n' ' '; }
inventory() { kubectl get cm -n regrow-system -l regrow.dev/inventory=app -o name | grep "/app-$1-" || true; }

settings() { # NAME [SYNC-OPTIONS]
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {argocd.argoproj.io/sync-options: "%s"}}\ndata: {a: b}\n' "$1" "${2:-}"
}

orphaned() {
  local writes uid
  { settings one; settings two; } | application plain '' 'automated: {prune: true}'
  settings one | application other "$FINALIZER"
  check 'two applications' boot
  uid=$(kubectl get cm -n plain one -o 'jsonpath={.metadata.uid}')
  forget plain
  like "$("$REGROW" plan --use-cluster "$REPO/root")" '0 to prune.*plain left Git, and 2 objects of it stay: .* had no resources-finalizer' \
    'plan says what will stay, and why'
  refuse 'one leaves Git without finalizer' 0 boot -o ndjson
  is "$(there plain)" 'one two ' 'its objects stay'
  is "$(jq -c 'select(.type == "app.left") | [.app, .objects]' <<<"$OUT")" '["plain",2]' 'which is told'
  writes=$(audit_writes)
  refuse 'the next run' 0 boot
  unlike "$OUT" 'left Git|kept' 'says nothing of it any more'
  is "$(audit_writes)" "$writes" 'and writes nothing'
  like "$("$REGROW" status "$REPO/root")" "plain left Git on 20.*2 objects of it stay.*--prune-left plain" 'status names it'
  like "$("$REGROW" why plain "$REPO/root")" '! plain left Git on 20.*2 objects of it stay: .*next: .*--prune-left plain' 'why knows it'
  "$REGROW" why plain "$REPO/root" -o json >"$SCRATCH/why.json"
  check 'documented' "$ROOT/tests/cli/shape" why 'left.application,left.since' <"$SCRATCH/why.json"
  is "$("$REGROW" status -o json "$REPO/root" | jq -c '[.good, .left[0].application, .left[0].objects]')" '[true,"plain",2]' \
    'also for programs, and finds all well'
  check 'diff has no difference' "$REGROW" diff "$REPO/root"
  { settings one; settings two; } | application plain '' 'automated: {prune: true}'
  check 'back in Git' boot
  is "$(kubectl get cm -n plain one -o 'jsonpath={.metadata.uid}')" "$uid" 'it has its objects again'
  at_most "$(($(audit_writes) - writes))" 1 'and only the inventory is written'
  unlike "$("$REGROW" status "$REPO/root")" 'left Git' 'status has nothing to tell'
}

asked_for() { # --prune-left
  refuse 'nobody has left that' 4 boot --prune-left nope
  like "$OUT" 'no application nope has left anything behind' 'and it is said'
  refuse 'one that is in Git' 6 boot --prune-left other
  refuse 'nor a controller that is to do it once' 4 timeout 30 "$REGROW" reconcile --once --prune-left nope "$REPO/root"
  like "$OUT" 'no application nope has left anything behind.*next: regrow status' 'and says why it ends'
  "$REGROW" reconcile -o ndjson --poll 1s --prune-left nope --prune-left other "$REPO/root" >"$SCRATCH/kept" 2>&1 &
  local pid=$! code=0
  at_exit bash -c "kill $pid 2>/dev/null || true"
  wait_for 30 'one that goes on to say it' grep -q 'no application nope has left anything behind' "$SCRATCH/kept"
  wait_for 30 'and what is in Git' grep -q 'application other is in Git' "$SCRATCH/kept"
  settings goes-on | application later '' 'automated: {prune: true}'
  wait_for 30 'it to follow Git all the same' kubectl get cm -n later goes-on
  kill -TERM "$pid"
  wait "$pid" || code=$?
  is "$code $(grep -c 'no application nope' "$SCRATCH/kept")" '0 1' 'it says so once, and goes on'
  forget later
  check 'that is taken away' boot --prune-left later
  forget plain
  refuse 'it leaves Git' 0 boot
  like "$OUT" 'plain left Git.*regrow bootstrap --prune-left plain deletes them' 'what can be done is told'
  kubectl annotate cm -n plain two argocd.argoproj.io/tracking-id- >/dev/null
  check 'on request' boot --prune-left plain
  is "$(there plain)" 'two ' 'what is still its own goes'
  is "$(inventory plain)" '' 'and nothing is remembered of it'
  unlike "$("$REGROW" status "$REPO/root")" 'left Git' 'or told'
  settings one | application plain ''
  check 'it comes back' boot
  forget plain
  check 'and leaves again' boot
  check 'a controller deletes it as well' timeout 60 "$REGROW" reconcile --once --prune-left plain "$REPO/root"
  is "$(inventory plain)" '' 'and is done with it'
}

by_hand() { # nothing is left of what was left
  settings one | application byhand ''
  check 'another one' boot
  forget byhand
  check 'leaves Git' boot
  kubectl delete cm -n byhand one >/dev/null
  check 'without its objects' boot
  is "$(inventory byhand)" '' 'it is forgotten'
}

cascaded() {
  {
    settings goes
    settings unpruned Prune=false
    settings stays Delete=false
    cat <<'Y'
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: thing}
Y
  } | application full "$FINALIZER"
  check 'an application with finalizer' boot
  forget full
  refuse 'leaves Git' 0 boot
  like "$OUT" '! full left Git, and 2 objects of it stay' 'that is told'
  unlike "$OUT" '--prune-left' 'and no option offered that would not delete them'
  is "$(there full)" 'stays ' 'what does not ask to stay goes, Prune=false or not'
  refuse 'so do its custom resources' 1 kubectl get thing -n full thing
  check 'but no definition' kubectl get crd things.example.com
}

below() { # a parent that does not prune
  mkdir -p "$REPO/apps/parent"
  application parent "$FINALIZER" 'automated: {prune: false}' </dev/null
  sed -i 's|path: apps/parent|path: children|' "$REPO/root/parent.yaml"
  settings one | application child "$FINALIZER" 'automated: {prune: true}' children
  settings one | application plainchild '' '' children
  check 'applications below another' boot
  forget child
  refuse 'one leaves Git' 0 boot
  like "$OUT" 'child left Git.*parent, which had its Application, does not prune' 'its parent does not prune'
  is "$(there child)" 'one ' 'it stays'
  sed -i 's/prune: false/prune: true/' "$REPO/root/parent.yaml"
  check 'once the parent prunes' boot
  is "$(there child)" '' 'it goes'
  settings one | application child "$FINALIZER" '' children
  check 'it is back' boot
  forget parent
  refuse 'the parent leaves Git, with its finalizer' 0 boot
  is "$(there child)" '' 'the one below it goes'
  is "$(there plainchild)" 'one ' 'but not that without a finalizer'
}

generated() { # by a set
  cat >"$REPO/root/set.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: set, namespace: argocd}
spec:
  generators: [{list: {elements: [{app: made}, {app: unmade}]}}]
  template:
    metadata: {name: '{{app}}'}
    spec:
      project: default
      source: {repoURL: https://h/repo, path: 'apps/{{app}}'}
      destination: {server: https://kubernetes.default.svc, namespace: '{{app}}'}
      syncPolicy: {syncOptions: [CreateNamespace=true]}
Y
  mkdir -p "$REPO/apps/made" "$REPO/apps/unmade"
  settings one | tee "$REPO/apps/made/all.yaml" >"$REPO/apps/unmade/all.yaml"
  check 'a set' boot
  sed -i 's/, {app: unmade}//' "$REPO/root/set.yaml"
  check 'that no longer generates one' boot
  is "$(there unmade)" '' 'deletes its objects'
  is "$(there made)" 'one ' 'and no others'
  sed -i 's/^  template:/  syncPolicy: {preserveResourcesOnDeletion: true}\n  template:/' "$REPO/root/set.yaml"
  check 'it is to preserve them' boot
  rm "$REPO/root/set.yaml"
  refuse 'and leaves Git' 0 boot
  is "$(there made)" 'one ' 'they stay'
}

# What an older regrow, or one that was killed, has written.
remembered() {
  local map
  settings one | application old "$FINALIZER"
  check 'an application' boot
  map=$(inventory old)
  kubectl get -n regrow-system "$map" -o json | jq '.data.records |= sub("\tprune\t[^\n]*"; "\tprune")' | kubectl replace -f - >/dev/null
  kubectl delete -n regrow-system cm intent >/dev/null
  forget old
  refuse 'of which an older inventory tells' 0 boot
  is "$(there old)" 'one ' 'keeps its objects'
  like "$OUT" 'old left Git.*an older regrow did not note' 'and says why'
  settings one | application killed "$FINALIZER"
  settings one | application killedtoo ''
  check 'two more' boot
  kubectl delete -n regrow-system "$(inventory killed)" "$(inventory killedtoo)" >/dev/null
  forget killed
  forget killedtoo
  refuse 'of which only an intent tells' 0 boot
  is "$(there killed)" '' 'goes with its finalizer'
  is "$(there killedtoo)" 'one ' 'and stays without'
  like "$OUT" 'killedtoo left Git' 'as the run says'
  refuse 'once' 0 boot
  unlike "$OUT" 'left Git' 'and not again'
}

cluster_up main
run_case orphaned orphaned
run_case 'asked for' asked_for
run_case 'by hand' by_hand
run_case cascaded cascaded
run_case below below
run_case generated generated
run_case remembered remembered
