#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# The stores of a snapshot repository against real servers: an S3 server, over TLS too, and an OCI
# registry meet the same contract as a folder; many writers and a pruner at once, for a minute, lose
# nothing.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/s3.sh"

STORE=$BUILD/tests/snapshot/tool_store
SECONDS_OF_RACE=${SECONDS_OF_RACE:-60}

holds() { # WHAT KIND URL [WRITERS]
  local what=$1
  shift
  if "$STORE" "$@" >"$SCRATCH/out" 2>&1; then
    ok "$what"
  else
    fail "$what"
    grep -E 'ERROR|LINE' "$SCRATCH/out" | head -10
  fi
}

folder() {
  holds 'a folder meets the contract' contract "$SCRATCH/folder"
}

s3() {
  s3_start
  s3_bucket one
  s3_bucket two
  holds 'an S3 bucket meets the contract' contract s3://one
  holds 'a prefix of it too' contract s3://one/some/prefix
  AWS_SECRET_ACCESS_KEY=wrong refuse 'a wrong key' 2 "$STORE" contract s3://one/x
  like "$OUT" 'answered 403' 'a wrong key is told'
  unlike "$OUT" "test-secret" 'and no secret with it'
  unset AWS_ACCESS_KEY_ID
  printf '[default]\naws_access_key_id = test-access\naws_secret_access_key = %s\n' \
    "$AWS_SECRET_ACCESS_KEY" >"$SCRATCH/aws"
  unset AWS_SECRET_ACCESS_KEY
  AWS_SHARED_CREDENTIALS_FILE=$SCRATCH/aws holds 'keys from a file' contract s3://two/file
  s3_stop
  s3_start --tls
  s3_bucket tls
  REGROW_CA_FILE=$CA_CERT holds 'over TLS with a CA of its own' contract s3://tls
  refuse 'an unknown CA' 2 "$STORE" contract s3://tls/unknown
  s3_stop
}

oci() {
  REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
  holds 'an OCI registry meets the contract' contract "oci://$OCI_HOST/snapshots/one"
  oci_stop
}

# Admins who change trust in the same moment: each change is there, none stands beside another.
trust() {
  local i pids=() bad=0
  REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
  cd "$SCRATCH"
  age-keygen -o id 2>/dev/null
  export REGROW_REPO=oci://$OCI_HOST/snapshots/trust
  "$REGROW" snapshot init --out admin --recipient "$(age-keygen -y id)" --single >init
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init)
  export REGROW_TRUST
  for i in 1 2; do
    mkdir "d$i"
    "$REGROW" snapshot key add --key admin -i id --role judge --label "j$i" --out "d$i/key" >"add-$i" 2>&1 &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || bad=$((bad + 1)); done
  is "$bad" 0 'two admins at once, each has its way'
  [[ $bad == 0 ]] || tail -n 3 add-* | sed 's/^/# /'
  is "$("$REGROW" snapshot key list -o json | jq -r '[.. | .label? // empty | select(test("^j[0-9]$"))] | sort | join(" ")')" \
    'j1 j2' 'and all of it is there'
  unset REGROW_REPO REGROW_TRUST
  oci_stop
}

# All three at once: most of the time a writer waits.
races() {
  local what pid pids=() status
  s3_start
  s3_bucket race
  REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
  for what in "folder $SCRATCH/race" "s3 s3://race/prefix" "registry oci://$OCI_HOST/snapshots/race"; do
    "$STORE" race "${what#* }" 8 "$SECONDS_OF_RACE" >"$SCRATCH/race-${what%% *}" 2>&1 &
    pids+=("$!:${what%% *}")
  done
  for pid in "${pids[@]}"; do
    what=${pid#*:} status=0
    wait "${pid%%:*}" || status=$?
    is "$status" 0 "$what: 8 writers$([[ $what == registry ]] || echo ' and a pruner') for $SECONDS_OF_RACE s, nothing is lost"
    grep -E ' snapshots by |ERROR|LINE' "$SCRATCH/race-$what" | sed 's/^/# /'
  done
  s3_stop
  oci_stop
}

run_case folder folder
run_case s3 s3
run_case oci oci
run_case trust trust
run_case races races
