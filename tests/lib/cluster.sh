# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Clusters of tests/controlplane. After env.sh.
#
#   cluster_up NAME [FLAGS]   a fresh cluster; sets and exports KUBECONFIG, sets CLUSTER (its
#                             folder) and AUDIT (its audit log); ends with the test
#   cluster_up NAME --minor 1.36 [FLAGS]   one of another Kubernetes version (scripts/setup says
#                             which there are)
#   cluster_use NAME          point the three at another cluster of this file
#   cluster_wipe [NAME]       back to a just-started one: another uid, an empty audit log
#   cluster_down [NAME]       end it before the test ends
#   cluster_control VERB [ARGS]  kill-apiserver, start-apiserver, stop-controllers,
#                             start-controllers, ready-delay TIME, status, of the one in use
#   cluster_wait SECONDS KUBECTL-ARGUMENTS...   until kubectl succeeds with them
#   cluster_is SECONDS WANT KUBECTL-ARGUMENTS...   until kubectl prints WANT
#   kubectl                   the linked one, on PATH
#
# FLAGS are those of "controlplane up": --ready-delay 2s, --kube-version 1.35, --nodes N,
# --runtime-config API=true.
#
# REGROW_TEST_CLUSTERS, a folder, lets test files share running clusters: "cluster_up main" without
# flags wipes and takes one of 0, 1 and 2 in it that no other file is using, starts it if it is not
# there, and leaves it running; who made the folder (scripts/test_folder.py) ends them. In another
# network, or without one that is free, cluster_up starts one as if the variable were not set.

# A cluster of another Kubernetes version has a program of its own, named in its folder.
controlplane() { # VERB DIR [MORE]
  local program=controlplane
  [[ ! -f ${2:-}/program ]] || program=$(<"$2/program")
  command "$program" "$@" 9>&-
}

cluster_dir() {
  if [[ -f $SCRATCH/run/cluster-$1 ]]; then
    cat "$SCRATCH/run/cluster-$1"
  else
    echo "no cluster $1" >&2
    return 1
  fi
}

cluster_use() {
  CLUSTER=$(cluster_dir "$1")
  KUBECONFIG=$CLUSTER/kubeconfig
  AUDIT=$CLUSTER/audit.log
  export KUBECONFIG
}

# cluster_borrow takes a shared cluster; fd 9 holds its lock until the test file ends.
cluster_borrow() {
  local dir here
  here=$(readlink /proc/self/ns/net)
  for dir in "$REGROW_TEST_CLUSTERS"/{0,1,2}; do
    mkdir -p "$dir"
    exec 9>"$dir/lock"
    if flock -n 9 && [[ ! -f $dir/netns || $(<"$dir/netns") == "$here" ]]; then
      echo "$here" >"$dir/netns"
      echo "$dir" >"$SCRATCH/run/cluster-main"
      if [[ $(controlplane status "$dir" 2>/dev/null) =~ kube-apiserver\ +running ]]; then
        controlplane ready-delay "$dir" 500ms && cluster_wipe
      else
        controlplane up "$dir"
      fi
      return
    fi
    exec 9>&-
  done
  return 1
}

cluster_up() {
  local name=$1 dir=$SCRATCH/cluster-$1
  shift
  if [[ $name != main || $# != 0 || -z ${REGROW_TEST_CLUSTERS:-} ]] || ! cluster_borrow; then
    at_exit cluster_down "$name"
    echo "$dir" >"$SCRATCH/run/cluster-$name"
    if [[ ${1:-} == --minor ]]; then
      mkdir -p "$dir"
      echo "controlplane-$2" >"$dir/program"
      shift 2
    fi
    controlplane up "$dir" "$@"
  fi
  cluster_use "$name"
}

# On a machine that is out of breath an API server was seen to end while it started: once more then.
cluster_wipe() {
  local dir
  dir=$(cluster_dir "${1:-main}")
  controlplane wipe "$dir" || controlplane wipe "$dir"
}

# A borrowed cluster stays.
cluster_down() {
  local dir
  dir=$(cluster_dir "${1:-main}" 2>/dev/null) || return 0
  [[ -n ${REGROW_TEST_CLUSTERS:-} && $dir == "$REGROW_TEST_CLUSTERS"/* ]] || controlplane down "$dir"
  rm -f "$SCRATCH/run/cluster-${1:-main}"
}

cluster_control() {
  local verb=$1
  shift
  controlplane "$verb" "$CLUSTER" "$@"
}

cluster_wait() {
  local limit=$1
  shift
  wait_for "$limit" "kubectl $*" kubectl "$@"
}

cluster_prints() { [[ $(kubectl "${@:2}" 2>/dev/null) == "$1" ]]; }

cluster_is() {
  local limit=$1
  shift
  wait_for "$limit" "kubectl ${*:2} prints $1" cluster_prints "$@"
}
