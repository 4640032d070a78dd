#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# The stores of a snapshot repository against real servers: an S3 server, over TLS too, with the bucket
# in the path or in the host's name, with keys from everywhere, and an OCI registry meet the same
# contract as a folder; one that lets several writers win a name is found out; many writers and a pruner at once, for a minute, lose
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
  local disk
  disk=$(mktemp -d "$BUILD/store.XXXXXXXX")
  at_exit rm -rf "$disk"
  holds 'a folder meets the contract' contract "$disk/folder"
  holds 'and one where tests keep their files, in memory mostly' contract "$SCRATCH/folder"
}

s3() {
  s3_start
  s3_bucket one
  s3_bucket two
  holds 'an S3 bucket meets the contract' contract s3://one
  holds 'a prefix of it too' contract s3://one/some/prefix
  AWS_ENDPOINT_URL_S3=${S3_ENDPOINT/127.0.0.1/'{bucket}.localhost'} \
    holds "with the bucket in the host's name" contract s3://two/host
  is "$(find "$SCRATCH/s3/data/two/host" -type f | wc -l)" "$(find "$SCRATCH/s3/data/one/some/prefix" -type f | wc -l)" 'as many files are there'
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

# A token of a web identity is changed into keys that last an hour, or a minute; these are renewed.
identity() {
  local port opened
  s3_start
  s3_bucket one
  port=$(free_port)
  mkdir "$SCRATCH/sts"
  printf 'token/of+this=run\n' >"$SCRATCH/sts/token"
  spawn sts python3 "$LIB/sts.py" "$port" "$SCRATCH/sts"
  wait_for 10 'the STS' port_open "$port"
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  export AWS_ENDPOINT_URL_STS=http://127.0.0.1:$port/ AWS_ROLE_ARN=arn:aws:iam::1:role/backup
  export AWS_WEB_IDENTITY_TOKEN_FILE=$SCRATCH/sts/token
  count() { grep -c " $1\$" "$SCRATCH/sts/log"; }
  holds 'keys from a web identity' contract s3://one/identity
  is "$(sort -u "$SCRATCH/sts/log")" 'token/of+this=run arn:aws:iam::1:role/backup regrow 200' 'asked with the token and the role'
  opened=$(count 200) # a store each: the contract opens some, and races with 16
  echo 60 >"$SCRATCH/sts/seconds"
  holds 'keys that expire' contract s3://one/renewed
  at_most $((opened * 4)) "$(count 200)" 'are renewed, and others are not'
  echo '500 500' >"$SCRATCH/sts/answers"
  holds 'an STS that fails twice' contract s3://one/again
  is "$(count 500)" 2 'is asked again'
  echo 'another' >"$SCRATCH/sts/token"
  refuse 'a token it does not take' 2 "$STORE" contract s3://one/refused
  like "$OUT" 'web identity: STS answered 403 InvalidIdentityToken' 'is told'
  rm "$SCRATCH/sts/token"
  refuse 'a token that is not there' 2 "$STORE" contract s3://one/refused
  like "$OUT" 'web identity: .*token' 'too'
  unset AWS_ENDPOINT_URL_STS AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE
  s3_stop
}

# A server on which several writers win one name: told by init, and no place for one made elsewhere.
forks() {
  local port pin blind through
  s3_start
  s3_bucket good
  s3_bucket blind
  cd "$SCRATCH"
  age-keygen -o fork.id 2>/dev/null
  port=$(free_port) blind=http://127.0.0.1:$port
  mkdir blind
  echo '1+ blind ^PUT' >blind/rule
  spawn blind python3 "$LIB/faultproxy.py" "$port" "${S3_ENDPOINT##*:}" blind
  wait_for 10 'a proxy' port_open "$port"
  snap() { "$REGROW" snapshot "$@"; }
  init() { snap init --out "$1.admin" --recipient "$(age-keygen -y fork.id)" --single --repo "s3://$1"; }
  like "$(AWS_ENDPOINT_URL_S3=$blind init blind)" 'store +s3: writers may fork' 'init: writers may fork'
  is "$(AWS_ENDPOINT_URL_S3=$blind init blind 2>&1 | grep -c already)" 1 'a second init finds it'
  pin=$(init good | tee good.said | sed -n 's/^ *pin //p')
  like "$(<good.said)" 'store +s3: one writer wins a name' 'elsewhere one wins'
  export REGROW_REPO=s3://good REGROW_TRUST=$pin
  snap key add --key good.admin -i fork.id --role writer --chain prod --out good.job >/dev/null
  snap key add --key good.admin -i fork.id --role pruner --out good.pruner >/dev/null
  mkdir -p root
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n' >root/a.yaml
  snap create --key good.job root >/dev/null
  check 'it prunes' snap prune --key good.pruner
  through=(env AWS_ENDPOINT_URL_S3="$blind" "$REGROW")
  refuse 'until several win' 6 "${through[@]}" snapshot prune --key good.pruner
  like "$OUT" 'several writers win one name' 'prune says so'
  is "$("${through[@]}" doctor --repo s3://good -o json | jq -r '.checks[] | select(.check == "store") | "\(.state) \(.message)"')" \
    'fail s3://good let several writers win one name, which it did not when the repository was made' 'and doctor'
  unset REGROW_REPO REGROW_TRUST
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
run_case identity identity
run_case forks forks
run_case oci oci
run_case trust trust
run_case races races
