#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A plan as a file is carried out exactly, also when Git has moved on, or refused with what changed:
# by somebody's hand in the cluster, in the file, or because it is another cluster. Killed in its
# middle it goes on; run again it writes nothing. No value of a Secret is in it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/slowhttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
PLAN=$SCRATCH/prod.plan

plan() { "$REGROW" plan --out "$PLAN" "$@" "$(tenants_root)"; }
apply() { "$REGROW" bootstrap --timeout 60s --plan "$PLAN" "$@"; }
writes() { audit_writes; }
planned() { sed 's/,$//' "$PLAN" | jq -cR 'fromjson? // empty' | jq -s "$1"; }

exact() {
  local before
  tenants_make 2
  sed -i 's/stringData: .*/stringData: {key: hunter2}/' "$REPO"/tenants/*/all.yaml
  tenants_publish
  check 'a plan is written' plan
  is "$(stat -c %a "$PLAN")" 600 'for its owner alone'
  is "$(planned '[.[] | select(.kind == "Secret")] | length > 0 and all(has("content") or has("fields") | not)')" \
    true 'of Secrets there is no hash'
  refuse 'nor a value, plain or encoded' 1 grep -E 'hunter2|aHVudGVyMg' "$PLAN"
  cp "$PLAN" "$SCRATCH/first.plan"
  plan >"$SCRATCH/out"
  check 'the same plan is the same file' cmp "$PLAN" "$SCRATCH/first.plan"
  like "$(<"$SCRATCH/out")" "next: regrow bootstrap --plan $PLAN" 'what comes next is said'
  is "$("$REGROW" plan -o json --out "$PLAN" "$(tenants_root)" | jq -r .planFile.sum)" \
    "$(tail -1 "$PLAN" | jq -rR '"{" + . | fromjson | .sum')" 'programs are told its sum'
  tenants_change 1 moved
  check 'it is carried out after Git has moved on' apply --yes
  is "$(tenants_value 1)" 1 'at the commit that was planned'
  before=$(writes)
  check 'once more it is fine' apply
  is "$(writes)" "$before" 'and writes nothing'
}

by_hand() {
  local before
  check 'the new commit is planned' plan
  kubectl patch cm -n tenant-2 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  before=$(writes)
  refuse 'what somebody has changed since is refused' 6 apply
  like "$OUT" 'ConfigMap tenant-2/settings' 'by its name'
  like "$OUT" '/data/tenant' 'and the field'
  unlike "$OUT" 'hand' 'never by a value'
  is "$(writes)" "$before" 'nothing was written'
  is "$(apply -o json 2>/dev/null | jq -r '.kind + " " + .changes[0].fields[0]')" 'plan-differs /data/tenant' 'programs read it'
  is "$(apply -o ndjson 2>/dev/null | jq -r 'select(.type == "plan.differs") | .name')" settings 'and as an event'
  check 'planned anew, with the option that takes it back' plan --force-conflicts
  check 'it is carried out' apply
  is "$(tenants_value 2) $(tenants_value 1)" '2 moved' 'as planned'
}

wrong_files() {
  sed 's/"action":"unchanged"/"action":"prune"/' "$SCRATCH/prod.plan" >"$SCRATCH/edited.plan"
  head -c 700 "$PLAN" >"$SCRATCH/cut.plan"
  echo '{"kind":"plan"}' >"$SCRATCH/other.plan"
  refuse 'an edited file is refused' 9 "$REGROW" bootstrap --plan "$SCRATCH/edited.plan"
  refuse 'a truncated one' 9 "$REGROW" bootstrap --plan "$SCRATCH/cut.plan"
  refuse 'what is none' 3 "$REGROW" bootstrap --plan "$SCRATCH/other.plan"
  refuse 'one that is not there' 4 "$REGROW" bootstrap --plan "$SCRATCH/none.plan"
  refuse 'ROOT beside it' 2 apply "$(tenants_root)"
  refuse 'an option that it has otherwise' 2 apply --no-prune
  mkdir -p "$SCRATCH/folder"
  kubectl create secret generic s --from-literal=a=b --dry-run=client -o yaml >"$SCRATCH/folder/s.yaml"
  refuse 'a Secret that no commit vouches for' 3 "$REGROW" plan --no-prune --out "$SCRATCH/none.plan" "$SCRATCH/folder"
  printf '\n  a: [1\n' >>"$REPO/tenants/tenant-1/all.yaml"
  tenants_publish
  refuse 'an application that cannot be read' 10 "$REGROW" plan --out "$SCRATCH/none.plan" "$(tenants_root)"
  check 'leave no file' test ! -e "$SCRATCH/none.plan"
}

elsewhere() {
  cluster_wipe
  refuse 'another cluster is refused' 6 apply
  like "$OUT" 'this is cluster' 'and said to be one'
  is "$(writes)" 0 'nothing was written to it'
}

begun() { (($(audit_writes) > 5)); }

killed() {
  tenants_make 3
  tenants_publish
  check 'a bare cluster is planned' plan
  "$REGROW" bootstrap --timeout 60s --plan "$PLAN" >"$SCRATCH/killed" 2>&1 &
  wait_for 20 'some writes' begun
  kill -KILL $!
  wait $! || true
  check 'killed in its middle it goes on' apply
  like "$(kubectl get deploy -A -o name | wc -l)" '^[3-9]$' 'all is there'
}

# Written, and killed before it was recorded; as it is then, by the same manager.
unrecorded() {
  local name=tenant-2
  tenants_change 2 late
  check 'a change is planned' plan
  "$REGROW" render -o json "$(tenants_root)" | jq '[.. | objects | select(.kind? == "ConfigMap" and .metadata?.name == "settings"
    and .metadata.namespace == "'$name'")][0]' >"$SCRATCH/settings.json"
  check 'it is written' kubectl apply --server-side --force-conflicts --field-manager=regrow -f "$SCRATCH/settings.json"
  is "$(tenants_value 2)" late 'by others or by us'
  check 'the same plan goes on' apply
}

# An application leaves, whose namespace was made for it.
left() {
  local before
  rm -rf "$REPO"/tenants/tenant-3 "$REPO"/root/*tenant-3*.yaml
  tenants_publish
  check 'that one leaves is planned' plan
  check 'and done' apply
  before=$(writes)
  check 'once more it is fine' apply
  is "$(writes)" "$before" 'and writes nothing'
}

# Who may not read a kind cannot tell whether it is as it was planned.
unread() {
  local before reader=$SCRATCH/reader
  kubectl create serviceaccount reader -n default >/dev/null
  kubectl create clusterrolebinding reader --clusterrole=view --serviceaccount=default:reader >/dev/null
  kubectl config view --raw --minify -o json | jq --arg t "$(kubectl create token reader -n default)" \
    '.users[0].user = {token: $t}' >"$reader"
  check 'a plan that changes nothing' plan
  before=$(writes)
  refuse 'is refused to who may not read its kinds' 5 apply --kubeconfig "$reader"
  like "$OUT" 'cannot list resource' 'for that reason'
  unlike "$OUT" 'Plan again|changed since' 'and no other'
  rm "$PLAN"
  refuse 'who may not read them plans nothing either' 5 plan --kubeconfig "$reader"
  like "$OUT" 'no plan file was written: .*cannot list resource' 'and is told why'
  refuse 'no file is there' 1 test -e "$PLAN"
  is "$(writes)" "$before" 'nothing was written'
}

githttp_start
cluster_up main
run_case exact exact
run_case by-hand by_hand
run_case wrong-files wrong_files
run_case elsewhere elsewhere
run_case killed killed
run_case unrecorded unrecorded
run_case left left
run_case unread unread
