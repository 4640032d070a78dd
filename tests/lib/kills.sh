# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# SIGKILL at seeded moments, then the same command again: it has to end in the state of an
# undisturbed run. After cluster.sh and fleet.sh.
#
#   kills_want STATE           STATE, a function, prints what the undisturbed run left; kept
#   kills TIMES SEED FROM UNTIL [HITS]   TIMES times, or until HITS came while it ran: kills_renew (back to the beginning), kills_start in the
#                              background (it ends with exec, so that it is the process), SIGKILL between
#                              FROM and UNTIL ms later, kills_again, and the state. Prints what is wrong; sets
#                              kills_bad and kills_hit (how many came while it ran)
#   kills_same WHAT            is the state that of the undisturbed run, and nothing orphaned?

kills_want() {
  kills_state=$1
  "$1" >"$SCRATCH/want"
}

# What the cluster itself says of those that a failed run waited for.
kills_as_it_is() {
  kubectl get job,pod,pdb -A -o wide
  kubectl get job,pdb -A -o json | jq -c '.items[] | {kind, ns: .metadata.namespace, at: .metadata.creationTimestamp, status}'
  cluster_control status
  tail -n 5 "$CLUSTER/logs/kube-controller-manager.log" "$CLUSTER/logs/kwok.log"
}

kills_same() {
  "$kills_state" >"$SCRATCH/got"
  diff "$SCRATCH/want" "$SCRATCH/got" >"$SCRATCH/diff" || { echo "$1: another state"; head -20 "$SCRATCH/diff"; return 1; }
  fleet_recorded || { echo "$1: orphans"; return 1; }
}

kills_after() { # MS: one; sets kills_code
  local pid
  kills_start >"$SCRATCH/killed" 2>&1 &
  pid=$!
  sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
  kill -9 "$pid" 2>/dev/null || true
  kills_code=0
  wait "$pid" 2>/dev/null || kills_code=$?
}

kills() {
  local times=$1 from=$3 until=$4 i at
  kills_bad=0 kills_hit=0
  RANDOM=$2
  for ((i = 1; i <= times && kills_hit < ${5:-times}; i++)); do
    at=$((from + RANDOM % (until - from)))
    kills_renew >/dev/null
    kills_after "$at"
    ((kills_code != 137)) || kills_hit=$((kills_hit + 1))
    if ! kills_again >"$SCRATCH/rerun" 2>&1; then
      kills_bad=$((kills_bad + 1))
      echo "kill $i at $at ms: the rerun failed"
      tail -5 "$SCRATCH/rerun"
      kills_as_it_is
    elif ! kills_same "kill $i at $at ms"; then
      kills_bad=$((kills_bad + 1))
    fi
  done
}
