#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# A cluster that is kept as written: 200 edits and deletions by others are put back, each told with
# its difference and its manager, by a server that is busy too; what nobody declared is left alone;
# what asks for no selfHeal stays.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/apiproxy.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
DRIFTS=${DRIFTS:-200}
TENANTS=24 # what is changed again and again is put back ever more slowly, and that is not asked here

comes_up() {
  reconcile_settled 60 "$(tenants_commit)"
  is "$(reconcile_count '.type == "sync.done"')" $((TENANTS + 1)) 'a bare cluster comes up'
  is "$(audit_rejected)" 0 'without a rejected write'
  fleet_state >"$SCRATCH/want"
}

drifts() {
  reconcile_mark
  python3 "$LIB/chaos.py" drift "$KUBECONFIG" 7 "$DRIFTS" >"$SCRATCH/drifts"
  is "$(wc -l <"$SCRATCH/drifts")" "$DRIFTS" 'so many are made'
  is "$(jq -s '[.[] | select(.ms < 0)] | length' "$SCRATCH/drifts")" 0 'and all are put back'
  local median
  median=$(jq -s 'map(.ms) | sort | .[length / 2 | floor]' "$SCRATCH/drifts")
  at_most "$median" 1000 "half of them within a second ($median ms)"
  is "$(reconcile_events | jq -s '[.[] | select(.type == "object.drifted")] | length')" "$DRIFTS" 'each is told once'
  reconcile_events | jq -s -c '.[] | select(.type == "object.drifted")' >"$SCRATCH/told"
  # One line each, in the order in which they were made.
  paste -d '\n' "$SCRATCH/drifts" "$SCRATCH/told" | jq -s -r '
    [range(0; length; 2) as $i | {made: .[$i], told: .[$i + 1]}]
    | .[] | select((.made.kind == .told.kind and .made.namespace == .told.namespace and
        (if .made.pointer == "gone" then .told.gone
         else .made as $m | any(.told.changes[]; (.path | startswith($m.pointer)) and .manager == $m.manager) end)) | not)
    | tostring' >"$SCRATCH/untold"
  is "$(head -c 600 "$SCRATCH/untold")" '' 'with its difference and its manager'
  fleet_state >"$SCRATCH/got"
  check 'in the end all is as it was' diff "$SCRATCH/want" "$SCRATCH/got"
}

undeclared() {
  reconcile_mark
  kubectl annotate deploy -n tenant-1 api example.com/note=mine >/dev/null
  kubectl patch cm -n tenant-1 settings --type=merge -p '{"data":{"other":"mine"}}' >/dev/null
  kubectl scale deploy -n tenant-1 api --replicas=2 >/dev/null
  sleep 2
  is "$(kubectl get deploy -n tenant-1 api -o 'jsonpath={.metadata.annotations.example\.com/note} {.spec.replicas}')" \
    'mine 2' 'fields that nobody declared stay'
  is "$(kubectl get cm -n tenant-1 settings -o 'jsonpath={.data.other}')" mine 'in maps as well'
  is "$(reconcile_count '.type == "object.drifted"')" 0 'and are no drift'
}

unhealed() {
  sed -i 's/, selfHeal: true//' "$REPO/root/tenant-2.yaml"
  tenants_publish
  reconcile_settled 30 "$(tenants_commit)"
  reconcile_mark
  kubectl patch cm -n tenant-2 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  reconcile_saw 10 '.type == "object.drifted" and .namespace == "tenant-2" and .heals == false'
  ok 'without selfHeal a change is told'
  sleep 1
  is "$(kubectl get cm -n tenant-2 settings -o 'jsonpath={.data.tenant}')" hand 'and stays'
}

# A server that is busy when it is asked what became of an object: an edit is no deletion.
busy() {
  reconcile_settled 60 "$(tenants_commit)"
  reconcile_mark
  proxy_rules api '[{"method": "GET", "path": "/tenant-3/configmaps/settings$", "times": 2, "status": 429, "headers": {"Retry-After": "1"}}]'
  kubectl patch cm -n tenant-3 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  reconcile_saw 20 '.type == "object.healed" and .namespace == "tenant-3"'
  is "$(reconcile_events | jq -c 'select(.type == "object.drifted") | [.gone, [.changes[] | [.path, .to]]]')" \
    '[false,[["/data/tenant","hand"]]]' 'with its difference, though the server was busy'
  is "$(proxy_seen api 'tenant-3/configmaps/settings .*429')" 2 'which it was'
}

ends() {
  is "$RECONCILE_CODE" 0 'it ends cleanly when it is told to'
  is "$(cat "$SCRATCH/reconcile.err")" '' 'without an error'
  is "$(kubectl get lease -n regrow-system regrow -o 'jsonpath={.spec.holderIdentity}')" '' 'and gives the Lease back'
}

githttp_start
cluster_up main
tenants_make "$TENANTS"
tenants_heal
tenants_publish
reconcile_start --poll 2s "$(tenants_root)"
run_case 'up' comes_up
run_case 'drift' drifts
run_case 'undeclared' undeclared
run_case 'unhealed' unhealed
reconcile_stop
run_case 'end' ends
proxy_up api
reconcile_start --poll 2s --kubeconfig "$PROXY_CONFIG" "$(tenants_root)"
run_case 'busy' busy
reconcile_stop
