#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
#
# scripts/dev-cluster: only up builds anything, and only the control plane; all else answers at once
# whether anything is built or not.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

built=$(dirname "$(dirname "$(command -v controlplane)")")
clusters=$HOME/.local/state/regrow/clusters
dev() { REGROW_CACHE=$CACHE "$ROOT/scripts/dev-cluster" "$@" 2>&1; }

# A Go that notes what it is to build, and builds nothing.
go_that_tells() {
  mkdir -p "$SCRATCH/go"
  cat >"$SCRATCH/go/go" <<'EOF'
#!/bin/sh
[ "$1" != env ] || { echo go1.26.6; exit; }
echo "$*" >>"$(dirname "$0")/asked"
exit 1
EOF
  chmod +x "$SCRATCH/go/go"
}

nothing_built() {
  local out status=0
  CACHE=$SCRATCH/empty
  go_that_tells
  PATH=$SCRATCH/go:$PATH
  is "$(dev list)" '' 'there are no clusters'
  like "$(dev down none || true)" 'there is no cluster none' 'nothing to put down'
  mkdir -p "$clusters/old"
  is "$(dev list)" $'old\tunknown' 'one that nobody can ask'
  is "$(dev kubeconfig old)" "$clusters/old/kubeconfig" 'its kubeconfig'
  like "$(dev down old || true)" 'scripts/setup controlplane builds it' 'down says what it lacks'
  check 'and forgets nothing' test -d "$clusters/old"
  check 'nothing was to be built' test ! -e "$SCRATCH/go/asked"
  out=$(dev up new) || status=$?
  is "$status" 1 'up, which cannot build'
  like "$out" 'setup: building controlplane' 'says what it builds'
  is "$(sed 's/ .*//' "$SCRATCH/go/asked")" build 'one thing'
  like "$(cat "$SCRATCH/go/asked")" '^build .*-o [^ ]*/controlplane ' 'the control plane'
  rmdir "$clusters/old"
}

all_built() {
  local out
  CACHE=$built
  at_exit controlplane down "$clusters/try"
  out=$(dev up try --nodes 1)
  like "$out" 'try is up' 'it starts'
  is "$(kubectl --kubeconfig "$(dev kubeconfig try)" get --raw /readyz)" ok 'and answers'
  is "$(dev list)" $'try\trunning' 'it is listed'
  like "$(dev up try)" 'try runs already' 'up again'
  dev down try >/dev/null
  is "$(dev list)" '' 'it is gone'
}

run_case 'nothing is built' nothing_built
run_case 'a cluster' all_built
