#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What a controller does besides: a snapshot after each healthy revision, whatever becomes of the
# repository meanwhile; a configuration and credentials that change while it runs; what a long turn
# waits for; its end while servers do not answer.
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
root() { echo "$HTTP_URL/auth/git/fleet.git//root?ref=main"; }
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
newest() { snap show latest -i ann.id -o json | jq -c '[.state, ([.sources[].revision] | unique[])]'; }

noted() { kubectl -n regrow-system get cm healthy -o json | jq -r --arg app "$1" '.data[$app]'; }
last_healthy() { snap show latest -i ann.id -o json | jq -c '.healthy | [.commit, .current]'; }

snapshots() {
  reconcile_saw 40 '.type == "snapshot.taken" and .changed'
  ok 'the first healthy revision is in a snapshot'
  is "$(newest)" "[\"good\",\"$(commit)\"]" 'a good one, of that commit'
  is "$(noted fleet)" "$(commit)" 'the cluster has a note of what is healthy'
  is "$(last_healthy)" "[\"$(commit)\",true]" 'and so has the snapshot'
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
  change 1 fifth
  check 'another commit, and one run' "$REGROW" reconcile --once --timeout 60s "${SNAPSHOTS[@]}" "$(root)"
  is "$(noted fleet)" "$(commit)" 'is noted as healthy before it ends'
  is "$(noted tenant-1)" "$(commit)" 'each application, too'
  is "$(last_healthy)" "[\"$(commit)\",true]" 'and before the snapshot is taken'
  refuse 'and fails when there is none' 10 "$REGROW" reconcile --once --timeout 60s "${SNAPSHOTS[@]}" \
    --snapshot-to "$SCRATCH/nowhere" "$(root)"
}

# A file that is mounted is replaced by a link that is set anew.
config() { # YAML
  printf '%s\n' "$1" >"$SCRATCH/config.next"
  mv "$SCRATCH/config.next" "$SCRATCH/config.yaml"
}
reloads() {
  reconcile_settled 60 "$(commit)"
  reconcile_mark
  config $'poll: 2s\njobs: 3\nmirror: ["https://nowhere.example.com=/srv"]'
  reconcile_saw 10 '.type == "config.reloaded" and .changed == ["poll", "mirror"] and .needsRestart == ["jobs"]'
  ok 'a file that changed is read: what is taken, and what takes a restart'
  config $'poll: 1s\nmirror: "nothing"'
  reconcile_saw 10 '.type == "config.refused" and (.message | contains("FROM=TO"))'
  config 'pol: 1s'
  reconcile_saw 10 '.type == "config.refused" and (.message | contains("pol"))'
  ok 'what is wrong is told'
  reconcile_mark
  change 1 reloaded
  reconcile_settled 20 "$(commit)"
  is "$(tenant 1)" reloaded 'and changes nothing'
  config 'poll: 1s'
  reconcile_saw 10 '.type == "config.reloaded" and (.changed | contains(["poll", "mirror"]))'
  reconcile_mark
  kill -HUP "$RECONCILE_PID"
  reconcile_saw 10 '.type == "config.reloaded" and .changed == []'
  ok 'and so it is when it is asked for'
}

# The password of the Git host changes, and then the Secret that Argo CD would read.
credential() { # PASSWORD
  kubectl create namespace argocd --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  kubectl apply -f - >/dev/null <<Y
apiVersion: v1
kind: Secret
metadata: {name: git, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repo-creds}}
stringData: {url: "$HTTP_URL", username: "$HTTP_USER", password: "$1"}
Y
}
credentials() {
  reconcile_mark
  credential wrong
  reconcile_saw 20 '.type == "source.unreadable" or .type == "app.unknown"'
  change 1 hidden
  sleep 3
  is "$(tenant 1)" reloaded 'with a password that is wrong all stays as it is'
  reconcile_mark
  credential "$HTTP_PASSWORD"
  reconcile_settled 30 "$(commit)"
  is "$(tenant 1)" hidden 'with the right one it goes on, without a restart'
  unlike "$(cat "$EVENTS")" "$HTTP_PASSWORD" 'which nobody is told'
}

waits() {
  reconcile_mark
  sed -i 's|^metadata: {name: settings}|metadata: {name: settings, annotations: {config.kubernetes.io/depends-on: "/namespaces/default/ConfigMap/key"}}|' \
    "$REPO/tenants/tenant-1/all.yaml"
  change 1 waited
  reconcile_saw 40 '.type == "turn.waiting" and .app == "tenant-1" and (.message | contains("key")) and .ms >= 5000'
  ok 'a turn that waits long says for what'
  like "$(curl -fsS "http://127.0.0.1:$PORT/api/v1/applications/tenant-1" | jq -r .waitsFor)" 'key' 'the API too'
  sleep 6
  at_most "$(reconcile_count '.type == "turn.waiting"')" 3 'not all the time'
  kubectl create configmap key -n default >/dev/null
  reconcile_settled 40 "$(commit)"
  is "$(tenant 1)" waited 'and goes on when it is there'
}

# Somebody else makes Applications a kind of this cluster.
late() {
  has_status() { [[ $(kubectl get application -n argocd tenant-1 -o 'jsonpath={.status.sync.status}') == Synced ]]; }
  kubectl apply --server-side -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
  wait_for 30 'the Application objects' has_status
  ok 'a definition of Application that comes later is taken up, and the objects are made'
  check 'and a sync goes through them' "$REGROW" sync tenant-1 --wait --timeout 30s
  local had is
  had=$(kubectl get application -n argocd tenant-1 -o 'jsonpath={.metadata.uid} {.metadata.finalizers}')
  is=$(kubectl get cm -n tenant-1 settings -o 'jsonpath={.metadata.uid}')
  like "$had" 'resources-finalizer' 'one that would take along what it has'
  check 'goes when somebody deletes it' kubectl delete application -n argocd tenant-1 --timeout=30s
  wait_for 30 'it to be made anew' has_status
  unlike "$(kubectl get application -n argocd tenant-1 -o 'jsonpath={.metadata.uid}')" "${had%% *}" 'and is made anew'
  is "$(kubectl get cm -n tenant-1 settings -o 'jsonpath={.metadata.uid}')" "$is" 'what it has stays, for Git wants it'
  change 1 late
  reconcile_settled 30 "$(commit)"
  is "$(tenant 1)" late 'and the next commit'
}

is_json() { [[ -z $(jq -R 'fromjson? // "no"' "$1" | grep '^"no"') ]]; }

ends_in() { # SECONDS WHAT
  local began
  began=$(date +%s%N)
  reconcile_stop
  is "$RECONCILE_CODE" 0 "$2: it ends cleanly"
  at_most $((($(date +%s%N) - began) / 1000000)) $(($1 * 1000)) "$2: in time"
}

githttp_start
cluster_up main
credential "$HTTP_PASSWORD"
make_fleet
make_snapshots
PORT=$(free_port)
SNAPSHOTS=(--snapshot-to "$REGROW_REPO" --key "$SCRATCH/store.job" --snapshot-interval 1s)
reconcile_start --poll 1s --listen "127.0.0.1:$PORT" "${SNAPSHOTS[@]}" "$(root)"
run_case 'snapshots' snapshots
reconcile_stop
is "$RECONCILE_CODE" 0 'it ends cleanly'
run_case 'once' once
config 'poll: 1s'
reconcile_start --config "$SCRATCH/config.yaml" --log-format json --source-timeout 20s --listen "127.0.0.1:$PORT" \
  "$(root)"
run_case 'configuration' reloads
run_case 'credentials' credentials
run_case 'waiting' waits
run_case 'late definition' late
kill -STOP "$(pid_of lighttpd)"
curl -fsS -X POST "http://127.0.0.1:$PORT/api/v1/applications/tenant-1/refresh" >/dev/null
sleep 2
ends_in 10 'a Git host that does not answer'
kill -CONT "$(pid_of lighttpd)"
reconcile_mark
reconcile_start --log-format json "$(root)"
reconcile_saw 60 '.type == "turn.finished"'
API=$(<"$CLUSTER/kube-apiserver.pid")
kill -STOP "$API"
sleep 1
ends_in 15 'an API server that does not answer'
kill -CONT "$API"
check 'every line is JSON' is_json "$EVENTS"
check 'of errors too' is_json "$SCRATCH/reconcile.err"
