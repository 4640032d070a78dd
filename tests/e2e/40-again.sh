#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# What the commands do on a cluster that is up: a second run, a commit, a deletion, a broken
# application, drift, and what status, why, diff, plan and render say of it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/slowhttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache

boot() { "$REGROW" bootstrap --timeout 60s "$@" "$(tenants_root)"; }

again() {
  tenants_make 4
  tenants_publish
  check 'an empty cluster comes up' boot
  local before
  before=$(audit_writes)
  check 'a second run is fine' boot
  is "$(audit_writes)" "$before" 'and writes nothing'
  sed -i 's/tenant: "2"/tenant: two/' "$REPO/tenants/tenant-2/all.yaml"
  tenants_publish
  check 'a third run after a commit is fine' boot
  is "$(tenants_value 2)" two 'the commit is applied'
  is "$(audit_count 'patch core/configmaps tenant-2 settings')" 2 'its object is written'
  at_most "$(($(audit_writes) - before))" 2 'nothing else but the inventory is'
}

pruned() {
  sed -i '/^kind: Secret/,/^---/{/stringData/d;s/name: keys/name: other/}' "$REPO/tenants/tenant-3/all.yaml"
  tenants_publish
  check 'a run after a removal is fine' boot
  refuse 'the removed object is gone' 1 kubectl get secret -n tenant-3 keys
  check 'its neighbour is there' kubectl get secret -n tenant-4 keys
  rm -rf "$REPO/tenants/tenant-4" "$REPO/root/tenant-4.yaml"
  tenants_publish
  check 'a run after an application is removed is fine' boot
  refuse 'its objects are gone' 1 kubectl get deploy -n tenant-4 api
}

broken() {
  printf '\n  a: [1\n' >>"$REPO/tenants/tenant-1/all.yaml"
  tenants_publish
  refuse 'an application that cannot be read' 10 boot
  like "$OUT" 'tenant-1' 'is named'
  check 'and keeps its objects' kubectl get deploy -n tenant-1 api
  check 'while the others are fine' kubectl get deploy -n tenant-2 api
  sed -i '$d' "$REPO/tenants/tenant-1/all.yaml"
  tenants_publish
  check 'mended, it goes on' boot
}

drifted() {
  kubectl patch cm -n tenant-2 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  refuse 'diff sees a change by hand' 20 "$REGROW" diff "$(tenants_root)"
  like "$OUT" '/data/tenant' 'and names the field'
  refuse 'status says that it differs' 10 "$REGROW" status "$(tenants_root)"
  like "$OUT" 'OutOfSync' 'in a word'
  refuse 'a field of another manager is a conflict' 10 boot
  like "$OUT" 'owned by' 'and names the owner'
  check 'it can be taken back' boot --force-conflicts
  is "$(tenants_value 2)" two 'as Git says'
  check 'no differences are left' "$REGROW" diff "$(tenants_root)"
  check 'status agrees' "$REGROW" status "$(tenants_root)"
  check 'status speaks JSON' bash -c "'$REGROW' status -o json '$(tenants_root)' | jq -e '.applications|length==3'"
}

told() {
  check 'plan without a cluster' env -u KUBECONFIG "$REGROW" plan "$(tenants_root)"
  like "$("$REGROW" plan -o json "$(tenants_root)" | jq -r '.applications[].name' | tr '\n' ' ')" 'tenant-1 tenant-2' 'plan lists applications'
  like "$("$REGROW" plan -o dot "$(tenants_root)" | head -1)" digraph 'plan draws a graph'
  check 'plan against the cluster' "$REGROW" plan --use-cluster "$(tenants_root)"
  like "$("$REGROW" render "$(tenants_root)" tenant-1)" 'kind: Deployment' 'render prints manifests'
  check 'what render prints kubectl accepts' bash -c "'$REGROW' render '$(tenants_root)' tenant-1 | kubectl apply --dry-run=server --server-side --force-conflicts -f -"
  like "$("$REGROW" why tenant-1 "$(tenants_root)")" 'healthy' 'why of a healthy application'
  like "$(kubectl get deploy -n tenant-1 api -o yaml | "$REGROW" health -)" Healthy 'health of an object'
  refuse 'another cluster is refused' 6 boot --expect-cluster 00000000-0000-0000-0000-000000000000
  kubectl create deployment stuck -n tenant-1 --image=x --dry-run=client -o yaml >"$REPO/tenants/tenant-1/stuck.yaml"
  sed -i 's/^  template:/  progressDeadlineSeconds: 600\n  template:/; s/containers:/nodeSelector: {none: "x"}\n      containers:/' "$REPO/tenants/tenant-1/stuck.yaml"
  tenants_publish
  refuse 'what does not get ready in time' 8 "$REGROW" bootstrap --timeout 7s "$(tenants_root)"
  like "$("$REGROW" why tenant-1 "$(tenants_root)" || true)" 'stuck' 'is named by why'
  rm "$REPO/tenants/tenant-1/stuck.yaml"
  tenants_publish
  check 'without it all is well' boot
}

# The one deadline holds from the first moment: for servers of either kind that say nothing.
silent() {
  local pid before=$SECONDS
  slow_start mute --hang
  refuse 'a Git server that never answers' 8 "$REGROW" bootstrap --timeout 4s "http://127.0.0.1:$SLOW_PORT/x.git"
  like "$OUT" "timed out waiting for the refs of http://127.0.0.1:$SLOW_PORT/x.git" 'is named'
  slow_stop mute
  pid=$(cat "$CLUSTER/kube-apiserver.pid")
  kill -STOP "$pid"
  refuse 'an API server that never answers' 8 "$REGROW" status --timeout 4s "$(tenants_root)"
  kill -CONT "$pid"
  like "$OUT" 'timed out while waiting for the API server' 'is named'
  at_most $((SECONDS - before)) 60 'each in its time, and not after minutes'
}

one_writer() {
  kubectl apply -f - >/dev/null <<Y
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: regrow, namespace: regrow-system}
spec: {holderIdentity: otherhost/1/abc/1, leaseDurationSeconds: 60, acquireTime: "$(date -u +%FT%T.000000Z)", renewTime: "$(date -u +%FT%T.000000Z)"}
Y
  refuse 'a second writer is refused' 6 boot
  like "$OUT" 'otherhost' 'and says who holds it'
  kubectl delete lease -n regrow-system regrow >/dev/null
  check 'once it is free the run goes on' boot
  # A machine that is gone, whose clock was wrong by an hour.
  kubectl -n regrow-system patch lease regrow --type merge -p '{"spec":{"holderIdentity":"gone/1/abc/1","leaseDurationSeconds":3,"renewTime":"'"$(date -u -d '+1 hour' +%FT%T.000000Z)"'"}}' >/dev/null
  check 'a renewal that is to come is none, where nothing comes' boot
}

githttp_start
cluster_up main
run_case again again
run_case pruned pruned
run_case broken broken
run_case drifted drifted
run_case told told
run_case 'one writer' one_writer
run_case 'silent servers' silent
