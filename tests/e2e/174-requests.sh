#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What people ask of the controller, and where they look: without a definition of Application through
# ConfigMaps, with Argo CD's own through Application objects; sync, refresh, suspend, rollback, history, the
# breaker's reset; the status that kubectl shows; metrics and the API; a second controller that stands
# by and takes over; one that begins while nobody tells what was asked.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/apiproxy.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache

app() { kubectl get application -n argocd "$1" -o json | jq -c "$2"; }
ask() { "$REGROW" "$1" --wait --timeout 30s "${@:2}"; }
by_map() {
  reconcile_settled 60 "$(tenants_commit)"
  refuse 'what is not automated is left alone' 1 kubectl get cm -n tenant-2 settings
  check 'until somebody asks' ask sync tenant-2
  is "$(tenants_value 2)" 2 'then it is there'
  is "$(kubectl get cm -n regrow-system control -o json | jq -c '.data | to_entries | map(.value | fromjson | .operation)')" \
    '[null]' 'and the request is taken out'
  tenants_change 2 later
  check 'a sync of a commit' ask sync tenant-2
  is "$("$REGROW" history tenant-2 -o json | jq -c '[.history[].id]')" '[0,1]' 'the history has both'
  check 'a rollback' ask rollback tenant-2
  is "$(tenants_value 2) $("$REGROW" history tenant-2 -o json | jq -c '[.history[].id]')" '2 [0,1,2]' 'brings back what was, and is told'
}

# By another process than the one that was asked before.
by_map_again() {
  check 'another process is asked' ask sync tenant-2
  is "$(tenants_value 2) $("$REGROW" history tenant-2 -o json | jq -c '[.history[].id]')" 'later [0,1,2,3]' 'the history goes on'
  refuse 'one that is none is refused' 10 ask sync nobody
  check 'suspended' "$REGROW" suspend tenant-1
  reconcile_mark
  kubectl patch cm -n tenant-1 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  reconcile_saw 10 '.type == "object.drifted" and .namespace == "tenant-1"'
  sleep 1
  is "$(tenants_value 1)" hand 'nothing is put back'
  check 'resumed' "$REGROW" resume tenant-1
  wait_for 10 'tenant-1 to be put back' bash -c "[[ \$(kubectl get cm -n tenant-1 settings -o 'jsonpath={.data.tenant}') == 1 ]]"
  ok 'it is put back'
}

by_object() {
  cp "$REGROW_SHARED/upstream/argo-cd/manifests/crds/application-crd.yaml" "$REPO/root/"
  printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n' >"$REPO/root/argocd.yaml"
  tenants_publish
  reconcile_settled 60 "$(tenants_commit)"
  cluster_is 20 Synced get application -n argocd tenant-1 -o 'jsonpath={.status.sync.status}'
  ok 'Application objects have a status'
  like "$(kubectl get applications -n argocd)" 'tenant-1 +Synced +Healthy' "kubectl shows it in Argo CD's columns"
  is "$(app tenant-1 '[.status.resources[] | .kind] | unique | length')" 11 'with its objects'
  tenants_change 2 second
  cluster_is 20 OutOfSync get application -n argocd tenant-2 -o 'jsonpath={.status.sync.status}'
  ok 'what waits for a person is OutOfSync'
  check 'a sync by its object' ask sync tenant-2
  is "$(tenants_value 2) $(app tenant-2 '[.operation, .status.operationState.phase]')" 'second [null,"Succeeded"]' 'is done and told'
  tenants_change 2 third
  check 'a refresh' ask refresh tenant-2
  check 'another sync' ask sync tenant-2
  is "$(tenants_value 2)" third 'of the newest'
  is "$("$REGROW" history tenant-2 -o json | jq '.history | length')" 2 'the history grows'
  check 'a rollback' ask rollback tenant-2
  is "$(tenants_value 2) $(app tenant-2 .status.sync.status)" 'second "OutOfSync"' 'brings back what was, and says so'
  check 'a sync goes on' ask sync tenant-2
  is "$(tenants_value 2)" third 'to what Git says'
  refuse 'what is not in Git is refused' 10 ask sync tenant-2 --sync-option Nonsense=true
  like "$OUT" 'not known' 'by name'
}

# Three quarters of it all leave Git, and one that stays is changed.
breaker() {
  mkdir "$SCRATCH/aside"
  (cd "$REPO/root" && mv tenant-[12].yaml "$SCRATCH/aside/")
  reconcile_mark
  tenants_change 3 beside
  reconcile_saw 20 '.type == "breaker.tripped"'
  is "$(tenants_value 1)" 1 'a mass deletion is held back'
  cluster_is 20 Synced get application -n argocd tenant-3 -o 'jsonpath={.status.sync.status}'
  is "$(tenants_value 3) $(app tenant-3 .status.conditions)" 'beside null' 'and nothing else is'
  check 'until a person says that it is meant' ask sync fleet --prune --timeout 90s
  wait_for 60 'tenant-1 to be deleted' bash -c "! kubectl get cm -n tenant-1 settings"
  ok 'then it is done'
  reconcile_saw 20 '.type == "breaker.closed"'
  like "$(curl -fsS "http://127.0.0.1:$PORT/metrics")" 'regrow_breaker_open 0' 'and the breaker is closed again'
  is "$(app tenant-3 .status.sync.status)" '"Synced"' 'with all of them in sync'
}

serves() {
  local url=http://127.0.0.1:$PORT
  is "$(curl -fsS "$url/healthz") $(curl -fsS "$url/readyz")" 'ok ok' 'it is there, and ready'
  is "$(curl -fsS "$url/api/v1/applications" | jq -c '[.applications[] | select(.name == "tenant-3") | .sync, .health]')" \
    '["Synced","Healthy"]' 'the API tells of applications'
  curl -fsS "$url/metrics" >"$SCRATCH/metrics"
  check 'metrics are what Prometheus takes' promtool check metrics <"$SCRATCH/metrics"
  like "$(cat "$SCRATCH/metrics")" 'regrow_leader 1' 'and say who leads'
  like "$(cat "$SCRATCH/metrics")" 'regrow_drift_healed_total [1-9]' 'and what was healed'
}

stands_by() {
  spawn second "$REGROW" reconcile -o ndjson --poll 1s "$(tenants_root)"
  wait_for 20 'the second one to stand by' grep -q '"lease.waiting"' "$SCRATCH/second.log"
  refuse 'nor does a bootstrap get between' 6 "$REGROW" bootstrap --timeout 20s "$(tenants_root)"
  kill -KILL "$RECONCILE_PID"
  wait_for 40 'the second one to lead' grep -q '"turn.started"' "$SCRATCH/second.log"
  kubectl patch cm -n tenant-3 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  wait_for 10 'tenant-3 to be put back' bash -c "[[ \$(kubectl get cm -n tenant-3 settings -o 'jsonpath={.data.tenant}') == beside ]]"
  ok 'it takes over when the first one dies'
  stop second
}

# One that begins while the API server does not say what people have asked for.
learns() {
  local was
  was=$(tenants_value 3)
  check 'suspended' "$REGROW" suspend tenant-3
  kubectl patch cm -n tenant-3 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  proxy_up busy
  proxy_rules busy '[{"method": "GET", "path": "/apis/argoproj.io/v1alpha1/applications", "status": 429, "headers": {"Content-Type": "application/json", "Retry-After": "1"}, "body": "{\"kind\": \"Status\", \"reason\": \"TooManyRequests\"}"}]'
  KUBECONFIG=$PROXY_CONFIG spawn third "$REGROW" reconcile -o ndjson --poll 1s "$(tenants_root)"
  wait_for 40 'the third one to say what it waits for' grep -q 'does not say what people have asked for' "$SCRATCH/third.log"
  is "$(grep -c '"turn.started"' "$SCRATCH/third.log" || true) $(tenants_value 3)" '0 hand' 'nothing is synced before it is known who is suspended'
  proxy_rules busy '[]'
  wait_for 90 'the third one to go on' grep -q '"turn.finished"' "$SCRATCH/third.log"
  is "$(tenants_value 3)" hand 'then what is suspended stays'
  check 'resumed' "$REGROW" resume tenant-3
  wait_for 20 'tenant-3 to be put back' bash -c "[[ \$(kubectl get cm -n tenant-3 settings -o 'jsonpath={.data.tenant}') == '$was' ]]"
  ok 'and is put back when it is resumed'
  stop third
}

githttp_start
cluster_up main
tenants_make 3
tenants_heal
sed -i 's/automated: {prune: true, selfHeal: true}, //' "$REPO/root/tenant-2.yaml" # that one is synced by hand
tenants_publish
PORT=$(free_port)
reconcile_start --poll 1s --listen "127.0.0.1:$PORT" "$(tenants_root)"
run_case 'map' by_map
reconcile_stop
reconcile_start --poll 1s --listen "127.0.0.1:$PORT" "$(tenants_root)"
run_case 'again' by_map_again
run_case 'object' by_object
run_case 'served' serves
run_case 'breaker' breaker
run_case 'two' stands_by
run_case 'busy' learns
is "$(audit_rejections | head -c 600)" '' 'no write was rejected'
