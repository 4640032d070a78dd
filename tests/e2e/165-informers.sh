#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# A cluster that is watched all the time: what others change is told, a run about one application
# lists nothing, writes only that, and lets alone what is of others, moved to them, or was left.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/fleet.sh"

TOOL=$BUILD/tests/bootstrap/tool_informers
TOLD=$SCRATCH/told
DIR=$SCRATCH/fleet
fleet_url=https://git.example.com/fleet.git fleet_kind=''

say() { echo "$*" >&5; }
lines() { grep -cE -- "$1" "$TOLD" || true; }
# Asks for something, and waits for its line, which is left in GOT.
ask() { # WORDS...
  local n
  n=$(lines "^($1|error)")
  say "$@"
  wait_for 60 "an answer to $*" more_than "$n" "^($1|error)"
  GOT=$(grep -E "^($1|error)" "$TOLD" | tail -1)
}
more_than() { (($(lines "$2") > $1)); }
is_told() { more_than 0 "^$*\$"; }
# What happens is taken in only while the tool lets it: a little at a time.
told() { # SECONDS WHAT
  local i
  for ((i = 0; i < $1 * 5; i++)); do
    is_told "$2" && break
    say wait 200
    sleep 0.2
  done
  check "it is told: $2" is_told "$2"
}
figure() { sed -E "s/.* $1 ([0-9]+).*/\\1/" <<<"$GOT"; }
uid_of() { kubectl -n tenant-2 get cm files -o 'jsonpath={.metadata.uid}'; }

files_doc() {
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: files, namespace: tenant-2}\ndata: {a: "1"}\n'
}

# It is the last of the documents.
drop_files() { # TENANT
  local doc
  doc=$(files_doc)
  head -n "-$(wc -l <<<"$doc")" "$DIR/tenants/$1/all.yaml" >"$SCRATCH/all.yaml"
  cp "$SCRATCH/all.yaml" "$DIR/tenants/$1/all.yaml"
}

make_root() {
  local i
  mkdir -p "$DIR/root"
  for i in 1 2 3; do fleet_tenant "$DIR" "$i"; done
  files_doc >>"$DIR/tenants/tenant-2/all.yaml"
  git -C "$DIR" init -q
  git -C "$DIR" remote add origin "$fleet_url"
}

grown() {
  ask whole
  like "$GOT" 'whole: done .* failed 0 waiting 0 ' 'a run of everything grows it'
  ask whole
  is "$(figure written) $(figure lists) $(figure requests)" '0 0 0' 'a second one asks the server nothing'
  say wait 500
  is "$(lines '^(drift|gone|unrecorded)')" 0 'nothing is told of what the runs did'
}

healed() {
  kubectl -n tenant-1 patch cm settings --type merge -p '{"data":{"tenant":"other"}}' >/dev/null
  kubectl -n tenant-2 delete service api >/dev/null
  kubectl -n tenant-3 label cm settings mine=1 >/dev/null
  told 10 'drift tenant-1 ConfigMap tenant-1/settings'
  told 10 'gone tenant-2 Service tenant-2/api'
  ask 'part' tenant-1 tenant-2
  is "$(figure written) $(figure lists) $(figure pruned)" '2 0 0' 'they are healed, and nothing is listed'
  is "$(kubectl -n tenant-1 get cm settings -o 'jsonpath={.data.tenant}')" 1 'the value is what it was'
  is "$(kubectl -n tenant-3 get cm settings -o 'jsonpath={.metadata.labels.mine}')" 1 'what nobody declared stays'
  is "$(lines '^drift tenant-3')" 0 'and is no drift'
  ask whole
  is "$(figure written)" 0 'all is recorded'
}

moved() {
  local uid
  uid=$(uid_of)
  drop_files tenant-2
  files_doc >>"$DIR/tenants/tenant-3/all.yaml"
  say load
  ask part tenant-2
  is "$(figure pruned) $(uid_of)" "0 $uid" 'who had it lets it alone: another wants it'
  ask part tenant-3
  is "$(figure pruned) $(uid_of)" "0 $uid" 'who wants it has it'
  drop_files tenant-3
  say load
  ask part tenant-2
  is "$(figure pruned) $(uid_of)" "0 $uid" 'it is no business of the first any more'
  ask part tenant-3
  is "$(figure pruned)" 1 'the second deletes what it no longer wants'
  refuse 'and it is gone' 1 kubectl -n tenant-2 get cm files
}

left() {
  rm "$DIR/root/tenant-1.yaml"
  say load
  ask part tenant-3
  is "$(figure pruned)" 0 'a part says nothing of an application that is gone'
  check 'whose objects are there' kubectl -n tenant-1 get deploy api
  ask part +gone
  isnt "$(figure pruned)" 0 'one that is about those does'
  refuse 'and they go' 1 kubectl -n tenant-1 get deploy api
  check 'those of others do not' kubectl -n tenant-3 get deploy api
}

# Nobody lost anything while nobody could be asked.
restarted() {
  cluster_control kill-apiserver >/dev/null
  say wait 1000
  cluster_control start-apiserver >/dev/null
  kubectl -n tenant-3 delete cm settings >/dev/null
  told 30 'gone tenant-3 ConfigMap tenant-3/settings'
  is "$(lines '^gone')" 2 'nothing else was taken for gone'
  ask part tenant-3
  is "$(figure written)" 1 'it is made again'
}

cluster_up main
make_root
mkfifo "$SCRATCH/in"
spawn informers bash -c 'exec "$0" "$1" <"$2" >"$3"' "$TOOL" "$DIR/root" "$SCRATCH/in" "$TOLD"
exec 5>"$SCRATCH/in"
run_case grown grown
run_case healed healed
run_case moved moved
run_case left left
run_case restarted restarted
exec 5>&-
