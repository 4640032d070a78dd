#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# The stores of a snapshot repository against real servers: an S3 server, over TLS too, and an OCI
# registry meet the same contract as a folder; many writers and a pruner at once lose nothing.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/s3.sh"

STORE=$BUILD/tests/snapshot/tool_store

holds() { # WHAT KIND URL [WRITERS]
  local what=$1
  shift
  if "$STORE" "$@" >"$SCRATCH/out" 2>&1; then
    ok "$what"
    grep -E ' snapshots by ' "$SCRATCH/out" || true
  else
    fail "$what"
    grep -E 'ERROR|LINE' "$SCRATCH/out" | head -10
  fi
}

folder() {
  holds 'a folder meets the contract' contract "$SCRATCH/folder"
  holds 'a folder: 8 writers and a pruner' race "$SCRATCH/folder-race" 8
}

s3() {
  s3_start
  s3_bucket one
  s3_bucket two
  holds 'an S3 bucket meets the contract' contract s3://one
  holds 'a prefix of it too' contract s3://one/some/prefix
  holds 'S3: 8 writers and a pruner' race s3://two/race 8
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
  holds 'a registry: 8 writers' race "oci://$OCI_HOST/snapshots/two" 8
  oci_stop
}

run_case folder folder
run_case s3 s3
run_case oci oci
