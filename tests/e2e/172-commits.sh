#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# 150 seeded commits (COMMITS=300: more) (objects and applications added, changed, renamed, moved, removed) while the API
# server and the Git server are restarted: in the end the cluster is what a fresh bootstrap of the
# last commit makes, and nothing was ever deleted that a commit of that time still wanted.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"
. "$LIB/commits.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
COMMITS=${COMMITS:-150}
SEED=${SEED:-1}

disturb() { # NUMBER
  case $(($1 % 60)) in
    19) githttp_stop ;;
    23) githttp_again ;;
    39) cluster_control kill-apiserver ;;
    49) cluster_control start-apiserver ;;
  esac
}

commits() {
  reconcile_settled 60 "$COMMIT"
  ok 'a bare cluster comes up'
  for ((i = 1; i <= COMMITS; i++)); do
    commits_next "$i"
    disturb "$i"
    sleep "0.$((RANDOM % 3))"
  done
  [[ -f $SCRATCH/run/lighttpd.pid ]] || githttp_again
  cluster_control start-apiserver >/dev/null 2>&1 || true
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
