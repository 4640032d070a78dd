#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# What becomes of the API server and of the disk under a run: GOAWAY, a server that is frozen, one
# that is killed and comes back, one that does not, 429 to everything, a full disk. The run goes on,
# or ends with the exit code that says so and the same command continues it; in the end the cluster
# is as after an undisturbed run, with no write rejected and nothing doubled.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/apiproxy.sh"
. "$LIB/fleet.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
fleet_kind=hooks
REPO=$SCRATCH/repo
# A Job is written twice when it is made anew, the hooks' ConfigMap when it is deleted; the inventory
# as often as its application changes.
OFTEN='tenant-[0-9]+ (migrate|done)$|regrow-system'

boot() { "$REGROW" bootstrap "$@" "$HTTP_URL/git/fleet.git//root?ref=main"; }
api_pid() { cat "$CLUSTER/kube-apiserver.pid"; }

# in_background OPTIONS: a run that something happens to; sets RUN
in_background() {
  boot "$@" >"$SCRATCH/out" 2>&1 &
  RUN=$!
}

# ended WANT NAME: the exit code of the run in the background
ended() {
  local status=0
  wait "$RUN" || status=$?
  OUT=$(cat "$SCRATCH/out")
  if [[ $status == "$1" ]]; then ok "$2"; else fail "$2" "exit code $status, wanted $1"$'\n'"$OUT"; fi
}

# The server is there again; the nodes end when they miss it while they start, and the controllers
# would be slow to look.
server_again() {
  cluster_wait 30 get --raw /readyz
  cluster_control stop-controllers
  cluster_control start-controllers
}

# Until so many objects are written, so that what happens happens in the middle.
amid() {
  wait_for 20 "$1 writes" bash -c "(( \$(grep -cE '\"verb\":\"patch\".*\"userAgent\":\"regrow/' '$AUDIT') >= $1 ))"
}

same() {
  fleet_state >"$SCRATCH/got"
  check 'to the same state' diff "$SCRATCH/want" "$SCRATCH/got"
  check 'with all of it in the inventory' fleet_recorded
  is "$(kubectl get pods -A -l job-name=migrate -o name | wc -l)" "$TENANTS" 'each Job has run once'
}

# refused_none [CODES]: apart from answers of a server that is coming or going, and of one that was
# frozen to requests whose connection was given up meanwhile
refused_none() {
  is "$(audit_rejections | awk -v codes="^(${1:-none})\$" '$5 !~ codes && !/client disconnected$/')" '' 'no write is rejected'
}

# The inventory is what it should be: nothing is written, and nothing has to be asked.
again_nothing() {
  local writes probes
  writes=$(audit_writes) probes=$(audit_probes)
  check 'a second run is fine' boot --timeout 30s
  is "$(audit_writes) $(audit_probes)" "$writes $probes" 'it writes nothing and tries nothing'
}

once_only() {
  local max
  max=$(audit_max "$AUDIT" "$OFTEN")
  is "${max%% *}" 1 "no object is written twice ($max)"
}

undisturbed() {
  check 'an undisturbed run' boot --timeout 60s
  fleet_state >"$SCRATCH/want"
}

# The API server itself asks one request in fifty to go elsewhere; then a balancer, every one.
goaway() {
  local args=() before
  mapfile -d '' -t args <"/proc/$(api_pid)/cmdline"
  cluster_wipe restarts
  cluster_control kill-apiserver
  (cd "$CLUSTER" && exec setsid "${args[@]}" --goaway-chance=0.02 >>logs/kube-apiserver.log 2>&1 </dev/null 9>&-) &
  echo $! >"$CLUSTER/kube-apiserver.pid"
  disown
  server_again
  check 'a server with --goaway-chance' boot --timeout 60s
  like "$(tr '\0' ' ' <"/proc/$(api_pid)/cmdline")" 'goaway-chance=0.02' 'which it was'
  same
  refused_none
  once_only
  cluster_wipe restarts
  before=$(proxy_seen api '^connection')
  proxy_rules api '[{"action": "forward", "headers": {"Connection": "close"}}]'
  check 'GOAWAY after every answer' boot --timeout 60s --kubeconfig "$PROXY_CONFIG"
  proxy_rules api '[]'
  (($(proxy_seen api '^connection') > before + 10)) && ok 'on many connections' || fail 'on many connections'
  same
  refused_none
  once_only
}

# Each kind of request is turned away a few times.
throttled() {
  local rule rules='' began
  while read -r rule; do
    rules+=${rules:+,}$(jq -c '. + {status: 429, headers: {"Retry-After": "1"}}' <<<"$rule")
  done <<'R'
{"method": "GET", "path": "^/version", "times": 1}
{"method": "GET", "path": "^/apis?$", "times": 2}
{"method": "GET", "path": "namespaces/kube-system$", "times": 1}
{"method": "GET", "path": "argocd", "times": 1}
{"method": "GET", "path": "configmaps/root", "times": 1}
{"method": "GET", "path": "/leases/regrow", "times": 1}
{"method": "POST", "path": "/leases", "times": 1}
{"method": "PUT", "path": "/leases/regrow", "times": 1}
{"method": "GET", "path": "/configmaps\\?limit=", "times": 2}
{"method": "GET", "path": "/(secrets|services|deployments|jobs|namespaces)\\?limit=", "times": 8}
{"method": "GET", "path": "watch=1", "times": 5}
{"method": "PATCH", "path": "namespaces/regrow-system\\?", "times": 1}
{"method": "PATCH", "path": "configmaps/intent", "times": 2}
{"method": "PATCH", "path": "configmaps/app-", "times": 7}
{"method": "PATCH", "path": "configmaps/root", "times": 2}
{"method": "PATCH", "path": "/tenant-[0-9]+/", "times": 25}
{"method": "DELETE", "path": "configmaps/done", "times": 3}
R
  cluster_wipe restarts
  proxy_rules api "[$rules]"
  began=$(proxy_seen api ' 429$')
  check '429 with Retry-After to every kind of request' boot --timeout 60s --kubeconfig "$PROXY_CONFIG"
  is "$(($(proxy_seen api ' 429$') - began))" "$(jq 'map(.times) | add' <<<"[$rules]")" 'as many as were meant'
  same
  refused_none
  once_only
  is "$(kubectl get cm -A --field-selector metadata.name=done -o name)" '' 'the hooks that succeeded are deleted'
  again_nothing
}

throttled_deletion() {
  rm -rf "$REPO/tenants/tenant-$TENANTS" "$REPO/root/tenant-$TENANTS.yaml"
  git_publish "$REPO" fleet >/dev/null
  proxy_rules api '[{"method": "DELETE", "times": 4, "status": 429, "headers": {"Retry-After": "1"}}]'
  check '429 to deletions' boot --timeout 60s --allow-mass-prune --kubeconfig "$PROXY_CONFIG"
  is "$(kubectl get deploy,sa,secret -n "tenant-$TENANTS" -o name | grep -v /default)" '' 'they are deleted all the same'
  proxy_rules api '[]'
  again_nothing
  fleet_tenant "$REPO" "$TENANTS"
  git_publish "$REPO" fleet >/dev/null
}

frozen() {
  cluster_wipe restarts
  in_background --timeout 90s
  amid 15
  kill -STOP "$(api_pid)"
  sleep 20
  kill -CONT "$(api_pid)"
  ended 0 'a server that is frozen for 20 s: the run goes on'
  same
  refused_none 504
  again_nothing
}

killed() {
  cluster_wipe restarts
  in_background --timeout 90s
  amid 15
  cluster_control kill-apiserver
  sleep 4
  cluster_control start-apiserver
  server_again
  ended 0 'a server that is killed and back after 4 s: the run goes on'
  same
  refused_none '5..'
  again_nothing
}

# lost NAME: the run has ended as one that lost its server
lost() {
  ended 7 "$1: exit code 7"
  like "$OUT" 'lost the API server \(no answer for [0-9:.]+( s)?\) after .*applications healthy, [0-9]+ objects written' "$1: says how far it came"
  like "$OUT" 'Run the same command again' "$1: and what to do"
  unlike "$OUT" 'Usage|fault of regrow' "$1: no more"
}

gone() {
  local began
  cluster_wipe restarts
  in_background --wait-for-cluster 4s
  amid 15
  began=$SECONDS
  cluster_control kill-apiserver
  lost 'killed for good'
  at_most $((SECONDS - began)) 60 'after the time that --wait-for-cluster names'
  cluster_control start-apiserver
  server_again
  check 'the same command continues' boot --timeout 60s
  same
  refused_none '5..'
  cluster_wipe restarts
  in_background --timeout 16s
  amid 15
  kill -STOP "$(api_pid)"
  lost 'frozen for good'
  kill -CONT "$(api_pid)"
  check 'the same command continues, its own lock notwithstanding' boot --timeout 60s
  same
  refused_none 504
}

# in_small BYTES COMMAND...: with $SMALL, a file system of that size
SMALL=$SCRATCH/small
in_small() {
  local own=() size=$1
  shift
  [[ $(id -u) == 0 ]] || own=(-r)
  # shellcheck disable=SC2016 # for the inner shell
  unshare "${own[@]}" -m bash -c 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && "$@"' small "$size" "$SMALL" "$@"
}

# filled_then_freed: the cache of a run that could not write is no worse than none
filled_then_freed() {
  local out status=0
  boot --timeout 30s --cache-dir "$SMALL/cache" || status=$?
  echo "first $status"
  mount -o remount,size=64m "$SMALL"
  status=0
  out=$(boot --timeout 30s --cache-dir "$SMALL/cache" 2>&1) || status=$?
  echo "second $status"
  ((status == 0)) || echo "$out"
}

full_disk() {
  local size out full=0
  mkdir -p "$SMALL"
  export -f boot filled_then_freed
  export REGROW HTTP_URL SMALL
  in_small 64k true 2>/dev/null || {
    skip 'a full disk' 'this user cannot mount'
    return 0
  }
  # Different places run out of space.
  for size in 4k 12k 20k 28k 40k 64k; do
    out=$(in_small "$size" bash -c filled_then_freed 2>&1)
    if [[ $out != *"first 0"* ]]; then
      full=$((full + 1))
      like "$out" 'No space left on device' "a disk of $size: says that it is full"
      like "$out" '--cache-dir' "a disk of $size: and what to do"
      like "$out" 'first (7|10)' "a disk of $size: exit code"
    fi
    like "$out" 'second 0' "a disk of $size: with space again, all is well"
  done
  ((full >= 3)) && ok "$full of them were too small" || fail "$full of them were too small"
}

githttp_start
cluster_up restarts
proxy_up api
TENANTS=5
mkdir -p "$REPO/root"
fleet_url=$HTTP_URL/git/fleet.git
for ((i = 1; i <= TENANTS; i++)); do fleet_tenant "$REPO" "$i"; done
git_publish "$REPO" fleet >/dev/null
run_case undisturbed undisturbed
run_case goaway goaway
run_case throttled throttled
run_case 'throttled deletion' throttled_deletion
run_case frozen frozen
run_case killed killed
run_case gone gone
run_case 'full disk' full_disk
