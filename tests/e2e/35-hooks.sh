#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Hooks: once in each of their phases and never again for the same content, also when the run is
# killed; deletion policies at the end of the whole sync; generated names; what an application only
# had made for it stays when it is gone.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
mkdir -p "$REPO/.git" "$REPO/root"
printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"

# application NAME [SYNC-OPTIONS]: with what standard input says as its manifests
application() {
  mkdir -p "$REPO/apps/$1"
  cat >"$REPO/apps/$1/all.yaml"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

boot() { "$REGROW" bootstrap --timeout "${TIMEOUT:-60s}" "$REPO/root"; }

job() { # NAME HOOK [FURTHER-ANNOTATIONS]
  cat <<Y
---
apiVersion: batch/v1
kind: Job
metadata: {name: $1, annotations: {argocd.argoproj.io/hook: "$2"${3:+, $3}}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "registry.example.com/j:1"}]}}}
Y
}

settings() { # VALUE
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: "%s"}\n' "$1"
}

made() { audit_count "^patch batch/jobs $1 $2\$"; } # NAMESPACE NAME-REGEX

phases() {
  { job both 'PreSync,PostSync'; job before PreSync; settings 1; } | application phases
  check 'a hook of two phases' boot
  is "$(made phases both)" 2 'runs once in each'
  is "$(made phases before)" 1 'one of one phase once'
  local uid writes
  uid=$(kubectl get job -n phases both -o 'jsonpath={.metadata.uid}')
  writes=$(audit_writes)
  check 'a second run is fine' boot
  is "$(audit_writes)" "$writes" 'and writes nothing'
  { job both 'PreSync,PostSync'; job before PreSync; settings 2; } | application phases
  check 'a run with other content is fine' boot
  is "$(made phases both)" 4 'and runs it again, in both phases'
  isnt "$(kubectl get job -n phases both -o 'jsonpath={.metadata.uid}')" "$uid" 'as another Job'
  is "$(audit_rejected)" 0 'no write was rejected'
}

policies() {
  {
    job keep PreSync
    job gone PreSync 'argocd.argoproj.io/hook-delete-policy: HookSucceeded'
    job failed PreSync 'argocd.argoproj.io/hook-delete-policy: HookFailed'
    settings 1
  } | application policies
  check 'a sync that succeeds' boot
  refuse 'deletes what HookSucceeded says' 1 kubectl get job -n policies gone
  check 'keeps what HookFailed says' kubectl get job -n policies failed
  check 'and the default' kubectl get job -n policies keep
  local writes
  writes=$(audit_writes)
  check 'what was deleted does not run again' boot
  is "$(audit_writes)" "$writes" 'nothing is written'
  {
    job keep PreSync
    job gone PreSync 'argocd.argoproj.io/hook-delete-policy: HookSucceeded'
    job failed PreSync 'argocd.argoproj.io/hook-delete-policy: HookFailed'
    job rescue SyncFail
    settings 2
    printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndada: {a: b}\n'
  } | application policies
  refuse 'a sync that fails' 10 boot
  check 'keeps what HookSucceeded says' kubectl get job -n policies gone
  refuse 'deletes what HookFailed says, though that hook succeeded' 1 kubectl get job -n policies failed
  check 'and runs the SyncFail hook' kubectl get job -n policies rescue
  rm -r "$REPO/root/policies.yaml" "$REPO/apps/policies"
}

generated() {
  local first writes
  { job X PreSync | sed 's/name: X,/generateName: gen-,/'; settings 1; } | application generated
  check 'a hook with a generated name' boot
  first=$(kubectl get job -n generated -o name)
  like "$first" '^job.batch/gen-[0-9a-f]{7}-presync-[0-9]{10}$' 'is named after content and phase'
  writes=$(audit_writes)
  check 'a second run is fine' boot
  is "$(audit_writes)" "$writes" 'and writes nothing'
  { job X PreSync | sed 's/name: X,/generateName: gen-,/'; settings 2; } | application generated
  check 'other content is fine' boot
  isnt "$(kubectl get job -n generated -o name)" "$first" 'and gives another name, alone'
  is "$(made generated 'gen-.*')" 2 'each was made once'
}

killed() {
  local pid stuck='---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {no: such}, containers: [{name: c, image: x}]}}}'
  { job both 'PreSync,PostSync'; settings 1; echo "$stuck"; } | application killed
  boot >/dev/null 2>&1 &
  pid=$!
  cluster_wait 30 get deployment -n killed stuck >/dev/null
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  is "$(made killed both)" 1 'killed while it waits, after the first phase'
  local lease
  lease=$(kubectl get lease -n regrow-system -o name)
  kubectl delete -n regrow-system "$lease" >/dev/null
  TIMEOUT=5s refuse 'the next run waits in the same place' 8 boot
  is "$(made killed both)" 1 'and has not run the first phase again'
  kubectl patch deploy -n killed stuck --type=json -p '[{"op":"remove","path":"/spec/template/spec/nodeSelector"}]' >/dev/null
  sed -i 's/nodeSelector: {no: such}, //' "$REPO/apps/killed/all.yaml"
  check 'freed, with other content, all phases run' boot
  is "$(made killed both)" 3 'each once'
}

namespaces() {
  settings 1 | application shared
  check 'a Namespace is made' boot
  is "$(kubectl get ns shared -o 'jsonpath={.metadata.annotations}')" '' 'without a mark'
  kubectl create configmap -n shared precious --from-literal=a=b >/dev/null
  rm -r "$REPO/root/shared.yaml" "$REPO/apps/shared"
  check 'its application is gone' boot
  refuse 'with its objects' 1 kubectl get cm -n shared settings
  check 'but the Namespace stays' kubectl get cm -n shared precious
  local writes
  writes=$(audit_writes)
  check 'and is nobody'"'"'s' boot
  is "$(audit_writes)" "$writes" 'nothing is written'
}

cluster_up main
run_case phases phases
run_case policies policies
run_case 'generated names' generated
rm -rf "$REPO/root/policies.yaml" "$REPO/apps/policies"
run_case killed killed
run_case namespaces namespaces
