#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
#
# Stores that fail. Of init, create, forget, prune, copy, import and key add, which write to a repository of
# snapshots, and of verify, each call of the store goes wrong in turn: in a folder, on an S3 server, in a registry. The command ends
# well or says what is wrong; what was called good stays whole; run again it completes.
# FAULTS=all tries every fault at every call.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/s3.sh"
. "$LIB/past.sh"
. "$LIB/faults.sh"

cd "$SCRATCH"

commands() { # STORE
  local command
  faults_begin "$1"
  for command in ${COMMANDS:-init create forget prune verify copy import key-add}; do faults_of "$command"; done
  [[ -n ${COMMANDS:-} ]] || faults_kinds
  faults_end
}

run_case folder commands folder
run_case s3 commands s3
run_case oci commands oci
