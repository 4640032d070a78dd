#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The commands on snapshots, end to end, in a program that watches its own memory (ASan, UBSan, and
# leaks): capture from Git, files and a cluster, create, list, show, diff, copy, export, import, verify,
# forget, prune, keys, in a folder and on an S3 server; also where they are refused or find damage.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
REGROW=$ROOT/build-san/regrow
[[ -x $REGROW ]] || skip_all 'no build-san/regrow: make SAN=1 BUILD=build-san all'
. "$LIB/cluster.sh"
. "$LIB/fleet.sh"
. "$LIB/s3.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
export ASAN_OPTIONS=log_path=$SCRATCH/said/asan LSAN_OPTIONS=log_path=$SCRATCH/said/lsan
export UBSAN_OPTIONS=print_stacktrace=1:log_path=$SCRATCH/said/ubsan
cd "$SCRATCH"
mkdir said

# clean CODE COMMAND...: it ends so, and the sanitizers say nothing
clean() {
  local code=$1 got=0
  shift
  OUT=$("$REGROW" "$@" 2>&1) || got=$?
  if [[ $got == "$code" && -z $(ls said) ]]; then
    ok "regrow ${*:1:3}"
  else
    fail "regrow ${*:1:3}" "exit code $got, wanted $code"$'\n'"$OUT"$'\n'"$(cat said/* 2>/dev/null)"
    rm -f said/*
  fi
}
snap() { clean "$1" snapshot "${@:2}"; }

make_root() {
  local i
  mkdir -p root apps/root
  git init -q -b main apps
  for i in 1 2 3; do fleet_url=file://$SCRATCH/apps fleet_kind='' fleet_tenant apps "$i"; done
  mv apps/root/*.yaml root/
  rmdir apps/root
  commit one
}
commit() {
  git -C apps add -A
  git -C apps -c user.name=t -c user.email=t@example.com commit -qm "$1"
}
make_live() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl create namespace argocd
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl -n argocd create secret generic prod --from-literal=server=https://x --from-literal=config=x
  kubectl -n argocd label secret prod argocd.argoproj.io/secret-type=cluster
}

use() { # NAME: that repository
  export REGROW_REPO=$SCRATCH/$1
  REGROW_TRUST=$(sha256sum <"$1/trust/0001" | cut -d' ' -f1)
  export REGROW_TRUST
}
make_repo() { # NAME
  snap 0 init --repo "$1" --out "$1.admin" --recipient "$(age-keygen -y ann.id)" --single
  use "$1"
  snap 0 key add --key "$1.admin" -i ann.id --role writer --chain prod --out "$1.job"
  snap 0 key add --key "$1.admin" -i ann.id --role pruner --out "$1.pruner"
  snap 0 key add --key "$1.admin" -i ann.id --role judge --out "$1.judge"
}

written() {
  snap 0 create --key one.job --use-cluster root
  snap 0 create --key one.job --use-cluster root
  sed -i 's/tenant: .*/tenant: "x"}/' apps/tenants/tenant-1/all.yaml
  rm apps/tenants/tenant-3/all.yaml
  commit two
  snap 10 create --key one.job --use-cluster root
  snap 0 judge 3 good 'meant so' --key one.judge
  mv apps away
  snap 10 create --key one.job --use-cluster root
  mv away apps
}
looked_at() {
  snap 0 list
  snap 0 show latest -i ann.id -v
  snap 20 diff 1 3 -i ann.id
  snap 20 diff 1 3 -i ann.id -o json
  snap 0 verify -i ann.id --key one.judge
  snap 0 verify --key one.job
  snap 0 export latest one.tar.zst -i ann.id --recipient "$(age-keygen -y ann.id)"
  snap 3 show latest -i one.judge
}
copied() {
  make_repo two
  use one
  snap 0 copy -i ann.id --to two --to-key two.job
  use two
  snap 0 verify -i ann.id
}
# On a server, and out of the export.
imported() {
  s3_start
  s3_bucket three
  snap 0 init --repo s3://three --out three.admin --recipient "$(age-keygen -y ann.id)" --single
  local pin to=(--repo s3://three)
  pin=$(sed -n 's/^ *pin //p' <<<"$OUT")
  to+=(--trust "$pin")
  snap 0 key add "${to[@]}" --key three.admin -i ann.id --role writer --chain prod --out three.job
  snap 10 import one.tar.zst "${to[@]}" --key three.job -i ann.id # as suspect: it is not signed
  snap 0 verify "${to[@]}" -i ann.id
  snap 0 list "${to[@]}"
  s3_stop
}
let_go() {
  sleep 1.1
  snap 0 forget --keep-last 1 --keep-within 1ms --keep-suspect 1ms --min-good 1 --key one.pruner
  snap 0 forget --undo 1 --key one.pruner
  sleep 1.1
  snap 0 prune --grace 1ms --key one.pruner
  snap 0 key rotate --key one.admin -i ann.id --single
  snap 5 create --key one.job root
}
damaged() {
  local pack
  pack=$(find one/chains/prod/packs -type f | head -1)
  printf '!xyz' | dd of="$pack" bs=1 seek=100 conv=notrunc 2>/dev/null
  snap 9 verify -i ann.id
  truncate -s 10 "$(find one/chains/prod/log -type f | tail -1)"
  snap 9 list
}

age-keygen -o ann.id 2>/dev/null
cluster_up main
make_root
make_live >/dev/null
run_case made make_repo one
use one
run_case written written
run_case 'looked at' looked_at
run_case copied copied
run_case imported imported
run_case 'let go' let_go
run_case damaged damaged
