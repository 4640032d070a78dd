#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1500
#
# SIGKILL at seeded moments, then the same command again: the state of an undisturbed run, nothing
# orphaned, nothing doubled. The API server killed in the middle: the run goes on by itself.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/apiproxy.sh"
. "$LIB/fleet.sh"
. "$LIB/kills.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
KILLS=${KILLS:-50}
SEED=${SEED:-7}
fleet_kind=hooks

boot() { "$REGROW" bootstrap --timeout 90s "$HTTP_URL/git/fleet.git//root?ref=main"; }

make_repo() {
  mkdir -p "$SCRATCH/repo/root"
  fleet_url=$HTTP_URL/git/fleet.git
  for ((i = 1; i <= 6; i++)); do fleet_tenant "$SCRATCH/repo" "$i"; done
  git_publish "$SCRATCH/repo" fleet >/dev/null
}

kills_renew() { cluster_control reset; }
kills_start() { exec "$REGROW" bootstrap --timeout 60s "$HTTP_URL/git/fleet.git//root?ref=main"; }
kills_again() { boot; }

killed() {
  cluster_wipe
  boot >"$SCRATCH/first"
  kills_want fleet_state
  kills "$KILLS" "$SEED" 20 1620
  is "$kills_bad" 0 "$KILLS kills (seed $SEED), each followed by a run to the same state"
  at_most $((KILLS - kills_hit)) $((KILLS * 3 / 4)) "most came while it ran ($kills_hit)"
}

server_lost() {
  cluster_wipe
  "$REGROW" bootstrap --timeout 90s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/lost" 2>&1 &
  local pid=$! status=0
  sleep 0.7
  cluster_control kill-apiserver
  sleep 1
  cluster_control start-apiserver
  wait "$pid" || status=$?
  is "$status" 0 'the API server killed and started again: the run goes on by itself'
  ((status == 0)) || tail -20 "$SCRATCH/lost"
  fleet_state >"$SCRATCH/got"
  check 'to the same state' diff "$SCRATCH/want" "$SCRATCH/got"
}

# What happens between the lists of a run and its first write, or before a write is answered, is
# told by a watch once, and must not be lost.
unheard() {
  local timeout=(--timeout 30s)
  cluster_wipe
  proxy_up slow
  boot_via() { KUBECONFIG=$PROXY_CONFIG "$REGROW" bootstrap "${timeout[@]}" "$HTTP_URL/git/fleet.git//root?ref=main" 2>&1; }
  cluster_control ready-delay 3s
  "$REGROW" bootstrap --timeout 60s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/killed" 2>&1 &
  local pid=$!
  cluster_wait 20 get job -n tenant-6 migrate >/dev/null
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  proxy_rules slow '[{"method": "GET", "path": "/limitranges\\?limit", "delay": "6s", "action": "forward"}]'
  check 'Jobs that end while another kind is still being listed' boot_via
  cluster_control ready-delay 100ms
  cluster_wipe
  proxy_rules slow '[{"method": "PATCH", "path": "/(jobs|poddisruptionbudgets|deployments)/", "delay": "3s", "action": "late"}]'
  check 'what is ready before its write is answered' boot_via
  young_kind
  left_hooks
  stop proxy-slow
}

# Killed when it has made what it had not recorded yet; and the next one, which does not want it any
# more, does not come to its deletions.
meant() {
  local pid status=0 extra=$SCRATCH/repo/tenants/tenant-1/extra.yaml
  cluster_wipe
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n' >"$extra"
  git_publish "$SCRATCH/repo" fleet >/dev/null
  proxy_up meant
  proxy_rules meant '[{"method": "PATCH", "path": "/regrow-system/configmaps/app-", "delay": "60s", "action": "forward"}]'
  KUBECONFIG=$PROXY_CONFIG "$REGROW" bootstrap --timeout 60s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/meant" 2>&1 &
  pid=$!
  cluster_wait 40 get configmap -n tenant-1 extra >/dev/null
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  stop proxy-meant
  rm "$extra"
  sed -i 's|\(registry.example.com/api:\)1"|\1other"|' "$SCRATCH/repo/tenants/tenant-1/all.yaml"
  git_publish "$SCRATCH/repo" fleet >/dev/null
  cluster_control ready-delay 60s
  "$REGROW" bootstrap --timeout 6s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/meant" 2>&1 || status=$?
  cluster_control ready-delay 100ms
  is "$status $(kubectl get configmap -n tenant-1 extra -o name)" '8 configmap/extra' 'a run that ends early deletes nothing'
  check 'the next one ends well' boot
  is "$(kubectl get configmap -n tenant-1 -o name | grep -c extra)" 0 'and what was made and not recorded goes'
}

# An object goes from one application to another, which cannot record it; the next commit does not
# want it any more.
given() {
  local given=tenants/tenant-1/given.yaml status=0
  cluster_wipe
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: given, namespace: tenant-1}\n' >"$SCRATCH/repo/$given"
  git_publish "$SCRATCH/repo" fleet >/dev/null
  check 'it has an object' boot
  proxy_up given
  proxy_rules given '[{"method": "PATCH", "path": "/regrow-system/configmaps/app-[a-z-]*tenant-2-", "status": 403, "body": "{}"}]'
  mv "$SCRATCH/repo/$given" "$SCRATCH/repo/tenants/tenant-2/given.yaml"
  git_publish "$SCRATCH/repo" fleet >/dev/null
  KUBECONFIG=$PROXY_CONFIG boot >"$SCRATCH/given" 2>&1 || status=$?
  is "$(proxy_seen given 'PATCH .*tenant-2-.* 403' >"$SCRATCH/seen" && [[ $(<"$SCRATCH/seen") -gt 0 ]] && echo refused)" refused \
    "its record is refused (exit $status)"
  stop proxy-given
  rm "$SCRATCH/repo/tenants/tenant-2/given.yaml"
  git_publish "$SCRATCH/repo" fleet >/dev/null
  check 'a commit without it' boot
  is "$(kubectl get configmap -n tenant-1 -o name | grep -c given)" 0 'takes it away'
}

# Killed when all is recorded and only hooks are still to be deleted.
left_hooks() {
  local pid done=(kubectl get configmap -A --field-selector metadata.name=done -o name)
  cluster_wipe
  proxy_up held
  proxy_rules held '[{"method": "DELETE", "path": "/configmaps/done", "delay": "60s", "action": "forward"}]'
  KUBECONFIG=$PROXY_CONFIG "$REGROW" bootstrap --timeout 60s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/left" 2>&1 &
  pid=$!
  wait_for 60 'the deletion of hooks' grep -q 'DELETE .*/configmaps/done' "$PROXY_LOG"
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  is "$("${done[@]}" | wc -l)" 6 'hooks that a killed run should have deleted'
  check 'the next run' boot
  is "$("${done[@]}" | wc -l)" 0 'deletes them'
  stop proxy-held
}

# One of several API servers serves a kind, another does not know it yet.
young_kind() {
  local pid status=0
  cluster_wipe
  mkdir -p "$SCRATCH/young/root"
  cat >"$SCRATCH/young/root/all.yaml" <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificates.cert-manager.io}
spec:
  group: cert-manager.io
  names: {kind: Certificate, plural: certificates}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {status: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: default}
spec: {secretName: web}
Y
  git_publish "$SCRATCH/young" young >/dev/null
  proxy_rules slow '[{"method": "GET", "path": "/certificates\\?", "times": 4, "status": 404, "body": "404 page not found"}]'
  KUBECONFIG=$PROXY_CONFIG "$REGROW" bootstrap --timeout 40s "$HTTP_URL/git/young.git//root?ref=main" >"$SCRATCH/young.out" 2>&1 &
  pid=$!
  cluster_wait 20 get certificate web >/dev/null
  sleep 1
  kubectl patch certificate web --subresource status --type merge \
    -p '{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}' >/dev/null
  wait "$pid" || status=$?
  is "$status" 0 'a kind that one of several servers does not know yet'
  ((status == 0)) || tail "$SCRATCH/young.out"
}

# Somebody else has the lock: the run ends, and writes nothing more.
overtaken() {
  local pid status=0
  cluster_wipe
  cluster_control stop-controllers
  "$REGROW" bootstrap --timeout 60s "$HTTP_URL/git/fleet.git//root?ref=main" >"$SCRATCH/overtaken" 2>&1 &
  pid=$!
  cluster_wait 20 get job -n tenant-6 migrate >/dev/null
  sleep 1 # what was under way is answered and in the audit log
  kubectl patch lease -n regrow-system regrow --type merge -p '{"spec": {"holderIdentity": "elsewhere/1/x/1"}}' >/dev/null
  local before
  before=$(audit_writes)
  wait "$pid" || status=$?
  is "$status" 6 'a run that was overtaken ends, exit 6'
  like "$(cat "$SCRATCH/overtaken")" 'another regrow has taken this cluster over' 'and says so'
  is "$(audit_writes)" "$before" 'it has not written anything since'
  [[ $(audit_writes) == "$before" ]] || audit_sequence | tail -12
  is "$(kubectl get lease -n regrow-system regrow -o jsonpath='{.spec.holderIdentity}')" elsewhere/1/x/1 \
    'nor touched the lock of the other'
  check 'its intent tells the next run what was made' kubectl get configmap -n regrow-system intent
  cluster_control start-controllers
  kubectl delete lease -n regrow-system regrow >/dev/null
  check 'and the next one goes on' boot
}

githttp_start
cluster_up main
make_repo
run_case meant meant
run_case given given
run_case unheard unheard
run_case overtaken overtaken
run_case killed killed
run_case 'server lost' server_lost
