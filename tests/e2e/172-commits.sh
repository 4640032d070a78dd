#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# 300 seeded commits (COMMITS, SEED: others) (objects and applications added, changed, renamed,
# moved, removed) while the API server and the Git server go away and come back at random: in the end
# the cluster is what a fresh bootstrap of the last commit makes, and nothing was ever deleted that a
# commit of that time still wanted.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"
. "$LIB/commits.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
COMMITS=${COMMITS:-300}
SEED=${SEED:-1}

# In every sixty commits each of the servers is away once: when, and for how long, the seed says.
declare -A happens=()
away_at_random() { # AWAY BACK
  local from at
  for ((from = 0; from + 60 <= COMMITS; from += 60)); do
    at=$((from + 1 + RANDOM % 50))
    happens[$at]+=" $1"
    at=$((at + 1 + RANDOM % 9))
    happens[$at]+=" $2"
  done
}
# Commits go on while it starts. On a machine that is out of breath it was seen to end meanwhile.
api_away() {
  wait "${STARTING:-}" 2>/dev/null || true
  cluster_control kill-apiserver
}
api_back() {
  { cluster_control start-apiserver || cluster_control start-apiserver; } >/dev/null 2>&1 &
  STARTING=$!
}

commits() {
  local what
  reconcile_settled 60 "$COMMIT"
  ok 'a bare cluster comes up'
  RANDOM=$SEED
  away_at_random githttp_stop githttp_again
  away_at_random api_away api_back
  for ((i = 1; i <= COMMITS; i++)); do
    commits_next "$i"
    for what in ${happens[$i]:-}; do "$what"; done
    sleep "0.$((RANDOM % 4))"
  done
  wait "${STARTING:-}" 2>/dev/null || true
  cluster_wait 60 get --raw /readyz
  commits_all "$COMMIT"
}

githttp_start
cluster_up main
commits_start "$SEED" 8
reconcile_start --poll 500ms --allow-mass-prune "$COMMITS_ROOT" # it is a small world
commits # servers that a case starts would end with it
run_case 'kept' commits_kept
reconcile_stop
run_case 'fresh' commits_fresh
