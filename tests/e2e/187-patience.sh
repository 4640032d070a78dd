#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# When the controller does not do at once what is owed: sync windows that are closed and open again,
# also for what a person asks; a sync that fails is tried again, ever later, and no more often than its
# application says; what somebody changes again and again is put back ever later, and only where that is
# asked for.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo

publish() { git_publish "$REPO" patient >"$SCRATCH/commit"; }
commit() { cat "$SCRATCH/commit"; }
application() { # NAME SYNC-POLICY
  mkdir -p "$REPO/root" "$REPO/$1"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: timed
  source: {repoURL: "$HTTP_URL/git/patient.git", targetRevision: main, path: $1}
  destination: {server: "https://kubernetes.default.svc", namespace: $1}
  syncPolicy: {$2, syncOptions: [CreateNamespace=true]}
Y
}
map() { # APPLICATION VALUE [EXTRA]
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {v: "%s"}\n%s' "$2" "${3:-}" >"$REPO/$1/all.yaml"
}
windows() { # LIST
  cat >"$REPO/root/a-project.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: timed, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
  syncWindows: $1
Y
}
value() { kubectl get cm -n "$1" settings -o 'jsonpath={.data.v}'; }
is_value() { [[ $(value "$1") == "$2" ]]; }
hand() { kubectl patch cm -n "$1" settings --type=merge -p "{\"data\":{\"v\":\"$2\"}}" >/dev/null; }

# Always open and never open (but for a minute of a year): no test waits for a clock.
OPEN='schedule: "* * * * *", duration: 1h, applications: [windowed]'
SHUT='schedule: "0 0 29 2 *", duration: 1m, applications: [windowed]'

closed() {
  windows "[{kind: deny, $OPEN}]"
  publish
  reconcile_settled 60 "$(commit)"
  reconcile_mark
  map windowed 2
  publish
  reconcile_saw 60 '.type == "sync.held" and .app == "windowed"'
  reconcile_settled 60 "$(commit)"
  is "$(value windowed)" 1 'a deny window that is open lets no commit through'
  hand windowed hand
  reconcile_saw 60 '.type == "object.drifted" and .app == "windowed"'
  sleep 1
  is "$(value windowed)" hand 'nor is a change by others put back'
  hand beside hand
  wait_for 60 'the other to be put back' is_value beside 1
  ok 'of an application that no window is for it is'
  refuse 'what a person asks for waits' 8 "$REGROW" sync windowed --wait --timeout 3s
  is "$(value windowed)" hand 'as long'
  windows "[{kind: deny, manualSync: true, $OPEN}]"
  publish
  wait_for 60 'the sync that a person asked for' is_value windowed 2
  ok 'until the window lets a person through'
  map windowed 3
  publish
  reconcile_settled 60 "$(commit)"
  is "$(value windowed)" 2 'and that is for once'
  check 'one that asks has it done' "$REGROW" sync windowed --wait --timeout 30s
  is "$(value windowed)" 3 'and nobody else'
}

allowed() {
  windows "[{kind: allow, $SHUT}]"
  map windowed 4
  publish
  reconcile_settled 60 "$(commit)"
  is "$(value windowed)" 3 'outside of an allow window nothing is synced'
  windows "[{kind: allow, $SHUT}, {kind: allow, timeZone: Europe/Berlin, $OPEN}]"
  publish
  wait_for 60 'the commit' is_value windowed 4
  ok 'within one of two it is, at once'
  windows "[{kind: allow, schedule: nonsense, duration: 1h, applications: [windowed]}]"
  map windowed 5
  publish
  reconcile_settled 60 "$(commit)"
  is "$(value windowed)" 4 'a window that cannot be read blocks'
  windows '[]'
  publish
  wait_for 60 'the commit' is_value windowed 5
  ok 'and none lets everything through'
}

# Three tries in all, a second and then three between them, and no more.
retries() {
  reconcile_mark
  map failing 2 $'---\napiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n'
  publish
  reconcile_saw 60 '.type == "sync.failed" and .app == "failing" and .retryInMs == -1'
  sleep 4
  is "$(reconcile_events | jq -c -s '[.[] | select(.type == "sync.failed" and .app == "failing") | [.tries, .retryInMs]]')" \
    '[[1,1000],[2,3000],[3,-1]]' 'a sync that fails is tried as often as its application says'
  is "$(reconcile_events | jq -s '[.[] | select(.type == "sync.failed" and .app == "failing") | .at | sub("\\.[0-9]+Z$"; "Z") | fromdate] | (.[1] - .[0] >= 1) and (.[2] - .[1] >= 2)')" \
    true 'ever later'
  reconcile_mark
  map failing 3
  publish
  wait_for 60 'the next commit' is_value failing 3
  ok 'the next commit is tried at once'
  reconcile_saw 60 '.type == "sync.done" and .app == "failing"'
}

# Five within a minute at once; then after a second, two, four.
heals() {
  local i
  reconcile_mark
  for i in 1 2 3 4 5 6 7; do
    hand beside "hand$i"
    wait_for 60 "change $i to be put back" is_value beside 1
    wait_for 60 "that to be told" bash -c "[[ \$(tail -n +$((RECONCILE_FROM + 1)) '$EVENTS' | grep -c '\"object.healed\"') == $i ]]"
  done
  reconcile_events | jq -c -s '[.[] | select(.type == "object.healed") | .ms]' >"$SCRATCH/paused"
  echo "# put back after $(<"$SCRATCH/paused") ms"
  is "$(jq -c '[.[5] >= 1000, .[6] >= 2000]' "$SCRATCH/paused")" '[true,true]' 'what is changed again and again is put back ever later'
}

githttp_start
cluster_up main
application windowed 'automated: {prune: true, selfHeal: true}'
application beside 'automated: {prune: true, selfHeal: true}'
application failing 'automated: {prune: true}, retry: {limit: 2, backoff: {duration: 1s, factor: 3, maxDuration: 1m}}'
for name in windowed beside failing; do map "$name" 1; done
windows '[]'
publish
reconcile_start --poll 1s "$HTTP_URL/git/patient.git//root?ref=main"
reconcile_settled 60 "$(commit)"
run_case 'deny' closed
run_case 'allow' allowed
run_case 'retry' retries
run_case 'heal' heals
reconcile_stop
is "$RECONCILE_CODE" 0 'it ends cleanly'
