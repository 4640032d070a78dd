#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# A restore that is disturbed: killed at seeded moments, and the same command again; the API server
# killed, the network cut, the store gone half way. The cluster ends as an undisturbed one, with
# nothing orphaned or doubled.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/fleet.sh"
. "$LIB/snapshots.sh"
. "$LIB/s3.sh"
. "$LIB/apiproxy.sh"
. "$LIB/kills.sh"

KILLS=${KILLS:-50}
SEED=${SEED:-7}
TENANTS=${TENANTS:-3}
MOMENTS=${MOMENTS:-4} # of what is lost half way
fleet_kind=hooks

restore() { "$REGROW" restore -i ann.id --timeout 90s --yes "$@"; }

make_fleet() {
  local i
  mkdir -p fleet/root
  fleet_url=$HTTP_URL/git/fleet.git
  for ((i = 1; i <= TENANTS; i++)); do fleet_tenant fleet "$i"; done
  git_publish fleet fleet >/dev/null
}

# What only the cluster has: a key of sealed-secrets, a registration.
make_live() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl create namespace argocd
  kubectl -n argocd create secret generic prod --from-literal=server=https://x --from-literal=config=y
  kubectl -n argocd label secret prod argocd.argoproj.io/secret-type=cluster
}

# Tenants, what came first of all, and what the cluster remembers.
state() {
  fleet_state
  kubectl get secret,cm -A -o json | jq -S '.items[] | select(.metadata.name | IN("sealed-1", "prod", "restored-from"))
    | {ns: .metadata.namespace, name: .metadata.name, labels: .metadata.labels, data}'
  kubectl get cm -n regrow-system -o name | grep -c intent || true
}

saved() {
  check 'the fleet grows from Git' "$REGROW" bootstrap --timeout 2m "$HTTP_URL/git/fleet.git//root?ref=main"
  make_live >/dev/null
  fleet_state >grown
  check 'and is saved' snap create --key repo.job --use-cluster "$HTTP_URL/git/fleet.git//root?ref=main"
  githttp_stop
  cluster_control reset
  check 'undisturbed it comes back' restore
  kills_want state
  fleet_state >back
  check 'as it was' diff grown back
}

kills_renew() { cluster_control reset; }
kills_start() { exec "$REGROW" restore -i ann.id --timeout 60s --yes; }
kills_again() { restore; }

killed() {
  kills_state=state
  kills $((KILLS * 2)) "$SEED" 100 "$UNTIL" "$KILLS"
  is "$kills_bad" 0 "$KILLS kills (seed $SEED), each followed by the same command: the state of an undisturbed one"
  is "$kills_hit" "$KILLS" 'and all of these came while it ran'
}

# lost_half_way WHAT LOSE FIND HIT RESTORE...: LOSE at seeded moments while it runs, FIND a second later:
# it goes on by itself, or says so and does when the same command is run again. Until MOMENTS of them
# were noticed, says HIT; no write may be rejected.
lost_half_way() {
  local what=$1 lose=$2 find=$3 noticed=$4 i at pid bad=0 hit=0 rejected
  shift 4
  rejected=$(audit_rejected)
  RANDOM=$SEED
  for ((i = 1; i <= MOMENTS * 4 && hit < MOMENTS; i++)); do
    at=$((50 + RANDOM % UNTIL))
    cluster_control reset
    "$@" >lost.out 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))"
    lost_code=0
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" || { bad=$((bad + 1)); cat lost.out; }
      continue
    fi
    "$lose"
    lost_running=$(kill -0 "$pid" 2>/dev/null && echo yes || true)
    sleep 1
    "$find"
    wait "$pid" || lost_code=$?
    echo "# $what at $at ms: exit $lost_code"
    [[ $lost_code =~ ^(0|7|8)$ ]] || { bad=$((bad + 1)); cat lost.out; }
    ((lost_code == 0)) || "$@" >lost.out 2>&1 || { bad=$((bad + 1)); cat lost.out; }
    kills_same "$what at $at ms" || bad=$((bad + 1))
    ! "$noticed" || hit=$((hit + 1))
  done
  is "$bad" 0 "$what (seed $SEED): it ends in the same state"
  is "$hit" "$MOMENTS" "at $hit moments, which came while it ran"
  is "$(audit_rejected)" "$rejected" 'and no write was rejected'
  audit_rejections | tail -n +"$((rejected + 1))" | sed -n 1,5p
}

server_gone() { cluster_control kill-apiserver; }
server_back() { cluster_control start-apiserver; }
# Nothing is done without the API server.
was_running() { [[ $lost_running || $lost_code != 0 ]]; }
server_lost() {
  kills_state=state
  MOMENTS=2 lost_half_way 'the API server killed' server_gone server_back was_running restore
}

# Every connection breaks, and none is made.
network_gone() { stop proxy-cut; }
network_back() { proxy_again cut; }
restore_by_proxy() { KUBECONFIG=$PROXY_CONFIG restore; }
network_lost() {
  kills_state=state
  proxy_up cut
  lost_half_way 'the network cut' network_gone network_back was_running restore_by_proxy
  stop proxy-cut
}

store_cut() { echo '1+ cut .' >s3proxy/rule.new && mv s3proxy/rule.new s3proxy/rule; }
store_back() {
  store_cuts=$(cat s3proxy/log 2>/dev/null | grep -c ' cut$' || true)
  echo '0 - .' >s3proxy/rule.new && mv s3proxy/rule.new s3proxy/rule
}
store_missed() { ((store_cuts > 0)); }
store_lost() {
  local port
  kills_state=state
  s3_start
  cp -r snapshots s3/data/snapshots
  mkdir -p s3proxy
  store_back
  port=$(free_port)
  spawn s3proxy python3 "$LIB/faultproxy.py" "$port" "${S3_ENDPOINT##*:}" "$SCRATCH/s3proxy"
  wait_for 10 'a proxy' port_open "$port"
  export AWS_ENDPOINT_URL_S3=http://127.0.0.1:$port
  UNTIL=400 lost_half_way 'the S3 store gone' store_cut store_back store_missed restore --repo s3://snapshots
}

# A disk that fails at one call of each run: nothing is written of what was not read whole.
disk_fails() {
  local n calls bad=0 code
  kills_state=state
  cc -shared -fPIC -O1 -D_GNU_SOURCE -o faultfs.so "$LIB/faultfs.c" -ldl
  disk() { # RULE
    rm -f disk.log
    FAULTFS_UNDER=$REGROW_REPO FAULTFS_RULE=$1 FAULTFS_LOG=$SCRATCH/disk.log LD_PRELOAD=$SCRATCH/faultfs.so restore
  }
  cluster_control reset
  disk '0 -' >/dev/null
  calls=$(wc -l <disk.log)
  cluster_control reset
  for ((n = 1; n <= calls; n += 1 + calls / 12)); do
    code=0
    disk "$n EIO" >disk.out 2>&1 || code=$?
    [[ $code == 7 || ($code == 0 && $(sed -n "${n}p" disk.log) == *' close '*) ]] || { bad=$((bad + 1)); echo "call $n: exit $code"; sed -n "${n}p" disk.log; cat disk.out; }
    ((code == 0)) || ! kubectl get ns tenant-1 >/dev/null 2>&1 || { bad=$((bad + 1)); echo "call $n: something was written"; }
    ((code != 0)) || cluster_control reset
  done
  is "$bad" 0 "EIO at every $((1 + calls / 12))th of $calls calls: exit 7, and nothing is written"
  check 'the same command again' restore
  check 'and it is as it should be' kills_same 'after EIO'
}

githttp_start
cluster_up main
cluster_control ready-delay 100ms
make_repo "$SCRATCH/snapshots" repo
NAME=repo
admin key add --role writer --chain prod --out repo.job >/dev/null
make_fleet
run_case saved saved
cluster_control reset
began=${EPOCHREALTIME/./}
restore >/dev/null
UNTIL=$(((${EPOCHREALTIME/./} - began) / 1000)) # ms: how long an undisturbed one takes
run_case killed killed
run_case 'server lost' server_lost
run_case 'network lost' network_lost
run_case 'store lost' store_lost
run_case 'disk fails' disk_fails
