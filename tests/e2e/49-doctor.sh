#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Doctor finds what is in the way, each thing by itself: a missing tool, a wrong password, a server
# that is not there, a role without rights, a store that lets nobody write, a missing pin, a key
# that opens nothing. And nothing where nothing is.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/slowhttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPOSITORY=$SCRATCH/backup
printf 'a long passphrase' >"$SCRATCH/pass"
printf 'another passphrase' >"$SCRATCH/wrong"

doctor() { "$REGROW" doctor --timeout 20s "$@"; }
# found CODE CHECK STATE NAME COMMAND...: it ends so, and that check is in that state.
found() {
  local want=$1 check=$2 state=$3 name=$4 code=0
  shift 4
  "$@" -o json >"$SCRATCH/doctor.json" 2>"$SCRATCH/doctor.err" || code=$?
  is "$code $(jq -r --arg c "$check" '[.checks[] | select(.check == $c) | .state] | last' "$SCRATCH/doctor.json")" \
    "$want $state" "$name"
}
message() { jq -r --arg c "$1" '[.checks[] | select(.check == $c) | .message + " " + (.next // "")] | last' "$SCRATCH/doctor.json"; }

well() {
  tenants_make 1
  tenants_publish
  PIN=$("$REGROW" snapshot init --repo "$REPOSITORY" --out "$SCRATCH/admin.age" --single \
    --passphrase-file "$SCRATCH/pass" | tail -1 | grep -oE '[0-9a-f]{64}')
  echo "$PIN" >"$SCRATCH/pin"
  local before
  before=$(find "$REPOSITORY" -type f | sort | sha256sum)
  found 0 permissions ok 'nothing is in the way' doctor --repo "$REPOSITORY" --trust "$PIN" \
    --passphrase-file "$SCRATCH/pass" "$(tenants_root)"
  is "$(jq -r '[.checks[] | select(.state == "fail") | .check + ": " + .message] | join("; ")' "$SCRATCH/doctor.json")" '' 'of all that is looked at'
  is "$(jq -r '[.checks[] | select(.check == "source" or .check == "cluster" or .check == "clock" or .check == "store" or .check == "key" or .check == "cache") | .state] | unique | join(" ")' \
    "$SCRATCH/doctor.json")" ok 'which is a lot'
  is "$(audit_writes)" 0 'and nothing was written to the cluster'
  is "$(find "$REPOSITORY" -type f | sort | sha256sum)" "$before" 'nor left in the store'
  like "$(doctor "$(tenants_root)")" 'nothing is in the way' 'people are told in a line'
}

machine() {
  mkdir -p "$SCRATCH/bin"
  ln -sf "$(command -v git)" "$SCRATCH/bin/"
  found 0 helm warn 'a tool that is missing' env PATH="$SCRATCH/bin" "$REGROW" doctor "$(tenants_root)"
  mkdir -p "$REPO/chart/templates"
  printf 'apiVersion: v2\nname: c\nversion: 0.1.0\n' >"$REPO/chart/Chart.yaml"
  fleet_kind='' fleet_url=$HTTP_URL/git/fleet.git
  fleet_app chart tenant-1 chart >"$REPO/root/chart.yaml"
  tenants_publish
  found 10 application fail 'and that an application needs' env PATH="$SCRATCH/bin" "$REGROW" doctor "$(tenants_root)"
  like "$(message application)" 'chart: .*helm' 'is told of both'
  rm -r "$REPO/chart" "$REPO/root/chart.yaml"
  tenants_publish
  found 10 cache fail 'a cache that is no folder' doctor --cache-dir "$SCRATCH/pass" "$(tenants_root)"
}

sources() {
  found 10 sources fail 'a wrong password' env REGROW_GIT_USERNAME=deploy REGROW_GIT_PASSWORD=secretword \
    "$REGROW" doctor "$HTTP_URL/auth/git/fleet.git//root?ref=main"
  unlike "$(cat "$SCRATCH/doctor.json" "$SCRATCH/doctor.err")" secretword 'which is not shown'
  is "$(message permissions | grep -c 'without its sources')" 1 'what was not looked at for it says so'
  found 0 sources skipped 'no root at all' doctor
}

cluster() {
  local text code
  kubectl config view --raw --minify -o json |
    jq --arg s "https://127.0.0.1:$(free_port)" '.clusters[0].cluster.server = $s' >"$SCRATCH/nowhere"
  found 10 cluster fail 'an API server that is not there' doctor --kubeconfig "$SCRATCH/nowhere" "$(tenants_root)"
  is "$(jq -r '[.checks[] | select(.check == "applications") | .state] | last' "$SCRATCH/doctor.json")" ok \
    'sources are looked at all the same'
  kubectl create serviceaccount reader -n default >/dev/null
  kubectl create clusterrolebinding reader --clusterrole=view --serviceaccount=default:reader >/dev/null
  kubectl config view --raw --minify -o json | jq --arg t "$(kubectl create token reader -n default)" \
    '.users[0].user = {token: $t}' >"$SCRATCH/reader"
  found 10 permissions fail 'a role without rights' doctor --kubeconfig "$SCRATCH/reader" "$(tenants_root)"
  found 10 permissions fail 'in full' doctor -v --kubeconfig "$SCRATCH/reader" "$(tenants_root)"
  like "$(message permissions)" 'create .*in namespace tenant-1' 'by verb, kind and namespace'
  like "$(message permissions)" 'create namespaces, patch namespaces, .*update leases.coordination.k8s.io in namespace regrow-system' 'and what regrow needs for itself'
  code=0
  text=$(doctor --kubeconfig "$SCRATCH/reader" "$(tenants_root)") || code=$?
  is "$code $(grep -nE '^  . permissions' <<<"$text" | cut -d: -f1) $(sed -n 3,9p <<<"$text" | grep -c 'next: Bind')" '10 2 1' 'what fails leads, and what to do stands below it'
  kubectl create clusterrole writer --verb=get,list,watch,create,patch,update,delete --resource='*.*' >/dev/null
  kubectl create serviceaccount writer -n default >/dev/null
  kubectl create clusterrolebinding writer --clusterrole=writer --serviceaccount=default:writer >/dev/null
  kubectl config view --raw --minify -o json | jq --arg t "$(kubectl create token writer -n default)" \
    '.users[0].user = {token: $t}' >"$SCRATCH/writer"
  found 0 roles warn 'one that may write all, and grant nothing' doctor --kubeconfig "$SCRATCH/writer" "$(tenants_root)"
  like "$(message roles)" 'bind roles.*escalate roles' 'of roles and bindings'
}

# So far off that no certificate is valid yet.
off() {
  cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$SCRATCH/past.so" "$LIB/past.c"
  found 10 cluster fail 'a clock that is off' env LD_PRELOAD="$SCRATCH/past.so" CLOCK_SHIFT_S=-5184000 \
    "$REGROW" doctor --timeout 20s --ca-file "$CA_CERT" "$HTTPS_URL/git/fleet.git//root?ref=main"
  like "$(message cluster)" 'not yet valid The clock of this machine says 20[0-9-]+T' 'is named where the API server is not believed'
  like "$(message sources)" 'not yet valid The clock of this machine says 20[0-9-]+T' 'and where a Git server is not'
}

repository() {
  local pin
  pin=$(<"$SCRATCH/pin")
  found 10 pin fail 'a pin that is missing' doctor --repo "$REPOSITORY"
  found 10 repository fail 'another one' doctor --repo "$REPOSITORY" --trust "$(printf %064d 0)"
  found 10 key fail 'a key that opens nothing' doctor --repo "$REPOSITORY" --trust "$pin" --passphrase-file "$SCRATCH/wrong"
  found 10 repository fail 'no repository' doctor --repo "$SCRATCH/none" --trust "$pin"
  mkdir -p "$SCRATCH/ro"
  mount --bind "$REPOSITORY" "$SCRATCH/ro" 2>/dev/null && mount -o remount,bind,ro "$SCRATCH/ro" || {
    skip 'a store that nobody can write to' 'no mounts here'
    return 0
  }
  at_exit umount "$SCRATCH/ro"
  found 10 store fail 'a store that nobody can write to' doctor --repo "$SCRATCH/ro" --trust "$pin"
}

kinds() {
  printf 'apiVersion: %s\nkind: %s\nmetadata: {name: x}\n' v1 secret >"$REPO/root/misspelt.yaml"
  tenants_publish
  found 0 kind warn 'a kind that nobody knows' doctor "$(tenants_root)"
  like "$(message kind)" '^secret .*nothing serves it.*how its kind and apiVersion are spelt' 'is named'
  rm "$REPO/root/misspelt.yaml"
  tenants_publish
  doctor -o json "$(tenants_root)" >"$SCRATCH/doctor.json"
  is "$(jq '[.checks[] | select(.check == "kind")] | length' "$SCRATCH/doctor.json")" 0 'and nothing where all are known'
}

githttp_start
cluster_up main
run_case well well
run_case kinds kinds
run_case machine machine
run_case sources sources
run_case cluster cluster
run_case off off
run_case repository repository
