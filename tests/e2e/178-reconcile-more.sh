#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# What a controller does besides: a snapshot after each healthy revision, whatever becomes of the
# repository meanwhile.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"
. "$LIB/snapshots.sh"

fleet_kind=''
REPO=$SCRATCH/repo

publish() { git_publish "$REPO" fleet >"$SCRATCH/commit"; }
commit() { cat "$SCRATCH/commit"; }
root() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }
tenant() { kubectl get cm -n "tenant-$1" settings -o 'jsonpath={.data.tenant}'; }
change() { # TENANT VALUE
  sed -i "s/tenant: .*}/tenant: \"$2\"}/" "$REPO/tenants/tenant-$1/all.yaml"
  publish
}
make_fleet() {
  mkdir -p "$REPO/root"
  fleet_url=$HTTP_URL/git/fleet.git
  for ((i = 1; i <= 2; i++)); do fleet_tenant "$REPO" "$i"; done
  sed -i 's/automated: {prune: true}/automated: {prune: true, selfHeal: true}/' "$REPO"/root/*.yaml
  publish
}
make_snapshots() {
  NAME=store
  make_repo "$SCRATCH/store" store
  admin key add --role writer --chain prod --out store.job >/dev/null
}
newest() { snap show latest -i ann.id -o json | jq -c '[.state, ([.applications[].sources[].revision] | unique[])]'; }

snapshots() {
  reconcile_saw 40 '.type == "snapshot.taken" and .changed'
  ok 'the first healthy revision is in a snapshot'
  is "$(newest)" "[\"good\",\"$(commit)\"]" 'a good one, of that commit'
  reconcile_mark
  change 1 second
  change 1 third
  reconcile_saw 30 ".type == \"snapshot.taken\" and .commit == \"$(commit)\""
  is "$(newest)" "[\"good\",\"$(commit)\"]" 'of several commits at once the last has one'
  is "$(curl -fsS "http://127.0.0.1:$PORT/metrics" | grep -c '^regrow_snapshots_last_good_timestamp_seconds [1-9]')" 1 \
    'metrics say when'
  is "$(curl -fsS "http://127.0.0.1:$PORT/api/v1/fleet" | jq -c '.snapshots | [.running, has("problem")]')" \
    '[false,false]' 'and the API'
  mv "$SCRATCH/store" "$SCRATCH/store.away"
  reconcile_mark
  change 1 fourth
  reconcile_saw 30 '.type == "snapshot.failed"'
  ok 'a repository that is gone is told'
  reconcile_mark
  kubectl patch cm -n tenant-2 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  reconcile_saw 10 '.type == "object.healed" and .namespace == "tenant-2"'
  ok 'and keeps nothing from being mended'
  like "$(curl -fsS "http://127.0.0.1:$PORT/metrics")" 'regrow_snapshots_total\{result="failed"\} [1-9]' 'it is counted'
  mv "$SCRATCH/store.away" "$SCRATCH/store"
  reconcile_saw 40 ".type == \"snapshot.taken\" and .commit == \"$(commit)\""
  ok 'it is tried again'
}

# Another process knows nothing of what was taken, and finds that it still holds.
once() {
  local out
  out=$("$REGROW" reconcile --once --timeout 60s "${SNAPSHOTS[@]}" "$(root)")
  like "$out" 'snapshot [0-9]+ says it all' 'the cron form takes one too, or finds that there is one'
  refuse 'and fails when there is none' 10 "$REGROW" reconcile --once --timeout 60s "${SNAPSHOTS[@]}" \
    --snapshot-to "$SCRATCH/nowhere" "$(root)"
}

githttp_start
cluster_up main
make_fleet
make_snapshots
PORT=$(free_port)
SNAPSHOTS=(--snapshot-to "$REGROW_REPO" --key "$SCRATCH/store.job" --snapshot-interval 1s)
reconcile_start --poll 1s --listen "127.0.0.1:$PORT" "${SNAPSHOTS[@]}" "$(root)"
run_case 'snapshots' snapshots
reconcile_stop
is "$RECONCILE_CODE" 0 'it ends cleanly'
run_case 'once' once
