# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every test file starts with:
#
#   #!/usr/bin/env bash
#   set -euo pipefail
#   . "$(dirname "$0")/../lib/env.sh"
#
# Sets
#   ROOT           the checkout               BUILD   the build folder (default $ROOT/build)
#   REGROW         the program under test     LIB     this folder
#   REGROW_SHARED  test data (default $ROOT/../shared)
#   SCRATCH        a folder of this run's own, removed at the end (KEEP=1 keeps it)
#   PATH           with the programs of scripts/setup in front
# and an environment without proxies, foreign certificates, Git or Helm settings of the user.
#
#   at_exit WORDS...         run them when the test ends, last one first, whatever happens
#   spawn NAME COMMAND...    a process in the background, ended with the test; $SCRATCH/NAME.log
#   stop NAME [SIGNAL]       end it now and wait for it
#   pid_of NAME              its process id
#   free_port                a TCP port of 127.0.0.1 nobody listens on
#   wait_for SECONDS WHAT COMMAND...   until COMMAND succeeds; says WHAT and fails after SECONDS
#   need_shared [PATH]       ends the file as skipped where the test data is not there
#
# It also loads tap.sh.

LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$LIB/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD
REGROW=${REGROW:-$BUILD/regrow}
REGROW_SHARED=${REGROW_SHARED:-$ROOT/../shared}
# Its real place: find does not enter a folder that is a link.
[[ ! -d $REGROW_SHARED ]] || REGROW_SHARED=$(cd "$REGROW_SHARED" && pwd -P)
PATH=$("$ROOT/scripts/setup" --print-path):$PATH:/usr/sbin:/sbin
export PATH REGROW_SHARED

unset KUBECONFIG HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE GIT_SSL_CAINFO SSH_AUTH_SOCK
unset "${!GIT_@}" "${!HELM_@}" "${!XDG_@}" 2>/dev/null || true

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/regrow-test.XXXXXXXX")
mkdir -p "$SCRATCH/run" "$SCRATCH/home"
printf '[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n' >"$SCRATCH/home/.gitconfig"
export HOME=$SCRATCH/home GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C.UTF-8 TZ=UTC

env_shell=$BASHPID
env_exit_words=()

# In a case's subshell the words run when the case ends.
at_exit() {
  if [[ $BASHPID != "$env_shell" ]]; then
    env_shell=$BASHPID
    env_exit_words=()
    trap env_run_exit_words EXIT
  fi
  env_exit_words+=("$(printf '%q ' "$@")")
}

env_run_exit_words() {
  local i
  set +e
  for ((i = ${#env_exit_words[@]} - 1; i >= 0; i--)); do
    eval "${env_exit_words[i]}"
  done
}

env_finish() {
  local status=$?
  trap - EXIT
  env_run_exit_words
  tap_count
  if [[ ${KEEP:-} == 1 ]]; then
    printf '# kept: %s\n' "$SCRATCH"
  else
    rm -rf "$SCRATCH"
  fi
  tap_finish "$status"
}
trap env_finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The pid lives in a file, so that a case in a subshell can stop what the file started.
spawn() {
  local name=$1
  shift
  setsid "$@" >>"$SCRATCH/$name.log" 2>&1 </dev/null &
  echo $! >"$SCRATCH/run/$name.pid"
  at_exit stop "$name"
}

pid_of() { cat "$SCRATCH/run/$1.pid"; }

stop() {
  local pid i
  [[ -f $SCRATCH/run/$1.pid ]] || return 0
  pid=$(pid_of "$1")
  rm -f "$SCRATCH/run/$1.pid"
  kill "-${2:-TERM}" -- "-$pid" 2>/dev/null || kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 100; i++)); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.05
  done
  kill -KILL -- "-$pid" 2>/dev/null || true
}

# Below the range of outgoing connections, so that it stays free until it is used.
free_port() {
  local port i
  for ((i = 0; i < 200; i++)); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 9900))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  echo "no free port" >&2
  return 1
}

wait_for() {
  local limit=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      printf '# %s: not after %s s\n' "$what" "$limit"
      return 1
    fi
    sleep 0.1
  done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

need_shared() {
  [[ -e $REGROW_SHARED/${1:-} ]] || skip_all "no ${1:-test data} under REGROW_SHARED"
}

# shellcheck source=tests/lib/tap.sh
. "$LIB/tap.sh"
