#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# What people and programs get: documents of the documented shape, no ROOT where the cluster knows
# it, plain lines in a pipe, a live view that fits a terminal of 80 by 24 and leaves nothing behind.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"

SHAPE=$ROOT/tests/cli/shape
export XDG_CACHE_HOME=$SCRATCH/cache
fleet_kind=''
REPO=$SCRATCH/repo

publish() { git_publish "$REPO" fleet >/dev/null; }
url() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }

make_repo() { # TENANTS
  rm -rf "$REPO"
  mkdir -p "$REPO/root"
  fleet_url=$HTTP_URL/git/fleet.git
  for ((i = 1; i <= $1; i++)); do fleet_tenant "$REPO" "$i"; done
  publish
}

# shaped NAME KIND FIELDS COMMAND...: its output, as JSON and as YAML, is a document of that kind in
# which FIELDS (separated by commas) are to be seen
shaped() {
  local name=$1 kind=$2 fields=$3
  shift 3
  "$REGROW" "$@" -o json >"$SCRATCH/out.json" 2>"$SCRATCH/err" || true
  check "$name: JSON as documented" bash -c "'$SHAPE' $kind '$fields' <'$SCRATCH/out.json'"
  "$REGROW" "$@" -o yaml >"$SCRATCH/out.yaml" 2>/dev/null || true
  controlplane yamloracle <<<"$SCRATCH/out.yaml" >"$SCRATCH/out.yaml.json"
  is "$(jq -S '.docs[0] | del(.ms, .criticalPath[]?.ms, .next)' "$SCRATCH/out.yaml.json")" \
    "$(jq -S 'del(.ms, .criticalPath[]?.ms, .next)' "$SCRATCH/out.json")" "$name: YAML says the same"
}

documents() {
  make_repo 2
  cluster_wipe
  shaped 'plan without a cluster' plan 'applications[].waitsFor,objects[].waitsFor[].why,root.commit' plan "$(url)"
  "$REGROW" bootstrap --timeout 60s --cache-dir "$SCRATCH/fresh" -o ndjson "$(url)" >"$SCRATCH/events"
  check 'events as documented' bash -c "'$SHAPE' events \
    source.fetched,source.level,lease.acquired,run.started,app.started,object.applied,object.ready,app.ready,run.finished <'$SCRATCH/events'"
  shaped 'bootstrap' bootstrap 'objects.unchanged,applications.healthy,cluster.uid' bootstrap "$(url)"
  shaped 'plan against the cluster' plan 'summary.unchanged,objects[].action' plan --use-cluster "$(url)"
  shaped 'status' status 'applications[].good,applications[].sync' status
  shaped 'why' why 'chain[].node' why tenant-1
  shaped 'version' version regrow version
  kubectl get deploy -n tenant-1 -o json >"$SCRATCH/deploy.json"
  shaped 'health' health 'objects[].status' health "$SCRATCH/deploy.json"
  is "$(kubectl get --raw /apis/apps/v1/namespaces/tenant-1/deployments | "$REGROW" health -)" 'Healthy      Deployment tenant-1/api' \
    'health of a list whose items do not say what they are'
  refuse 'health of what is none' 3 "$REGROW" health <(echo '{}')
  like "$OUT" ':1: this is no object of Kubernetes: kind is not set' 'says so, and where'
  like "$("$REGROW" render -o json "$(url)" | kubectl apply --dry-run=server --server-side --force-conflicts -f - | head -1)" \
    'serverside-applied' 'render: a List that kubectl takes'
}

troubled() {
  kubectl patch cm -n tenant-1 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  kubectl patch secret -n tenant-1 keys --type=merge -p '{"stringData":{"key":"by-hand-7"}}' >/dev/null
  rm "$REPO/root/tenant-2.yaml"
  cat >"$REPO/tenants/tenant-1/bad.yaml" <<'Y'
{apiVersion: v1, kind: ConfigMap, metadata: {name: bad}, dada: {}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: needs}, spec: {selector: {matchLabels: {a: b}},
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x, envFrom: [{configMapRef: {name: bad}}]}]}}}}
Y
  publish
  shaped 'diff' diff 'differences[].fields[].path,differences[].fields[].live' diff
  unlike "$(cat "$SCRATCH/out.json")" "by-hand-7|$(printf by-hand-7 | base64)|$(printf tenant-1 | base64)" 'diff: no secret in it'
  like "$(jq -r '.differences[].action' "$SCRATCH/out.json" | sort -u | tr '\n' ' ')" 'change .*create .*prune' 'diff: what is changed, made and deleted'
  shaped 'plan of what Git has no more' plan 'removed[].action,removed[].kind' plan --use-cluster
  like "$("$REGROW" plan --use-cluster)" 'to prune: [A-Z][A-Za-z]+ tenant-2/' 'plan: is named'
  shaped 'why of what Git has no more' why 'removed[].action,removed[].application' why tenant-2
  shaped 'why of an object of it' why 'removed[].action,removed[].name' why deployment/tenant-2/api
  is "$(jq -r '.removed[] | "\(.application) \(.kind) \(.name) \(.action)"' "$SCRATCH/out.json")" 'tenant-2 Deployment api prune' 'why of an object of it: whose it was, and what becomes of it'
  like "$("$REGROW" why deploy/tenant-2/api | tr '\n' ' ')" '^! Deployment tenant-2/api is no longer in Git\. It was of tenant-2, .*is deleted by the next bootstrap\. +next: regrow bootstrap deletes it; put back' 'and in words'
  refuse 'what was never there' 4 "$REGROW" why deployment/tenant-2/nothing
  shaped 'why of a refusal' why 'chain[].origin,chain[].why' why tenant-1
  is "$(jq -r '.chain[-1] | "\(.node) \(.failed) \(.message)"' "$SCRATCH/out.json")" \
    'ConfigMap tenant-1/bad true dry run: .dada: field not declared in schema' 'why of a refusal: what the server says'
  shaped 'status' status 'applications[].waitsFor' status
  is "$(jq .good "$SCRATCH/out.json")" false 'status: not good'
  "$REGROW" bootstrap --timeout 20s --force-conflicts >/dev/null 2>&1 || true
  shaped 'bootstrap' bootstrap 'problems[].state' bootstrap --timeout 20s --force-conflicts
}

# An error is one line on standard error, whatever the format.
lost() { # what was printed and did not arrive
  mkdir -p "$SCRATCH/unread"
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {source: {repoURL: "http://127.0.0.1:1/a.git", path: .}, destination: {name: in-cluster}}\n' >"$SCRATCH/unread/a.yaml"
  refuse 'an answer that a full disk took' 7 bash -c '"$1" health -o json "$2" >/dev/full' _ "$REGROW" "$SCRATCH/unread/a.yaml"
  like "$OUT" 'could not be written whole' 'and it says so'
  refuse 'and one that says what failed' 7 bash -c '"$1" plan "$2" >/dev/full' _ "$REGROW" "$SCRATCH/unread"
  is "$("$REGROW" plan "$SCRATCH/unread" >/dev/null 2>&1; echo $?)" 10 'which is something else where it arrives'
  refuse 'and help' 7 bash -c '"$1" --help >/dev/full' _ "$REGROW"
  refuse 'of a group too' 7 bash -c '"$1" snapshot --help >/dev/full' _ "$REGROW"
  refuse 'what is limited by ulimit' 7 bash -c 'ulimit -f 0; "$1" health -o json "$2" >"$3"' _ "$REGROW" "$SCRATCH/unread/a.yaml" "$SCRATCH/short"
  like "$OUT" 'could not be written whole' 'is no silent end'
  is "$("$REGROW" --help | head -n 1 | wc -l) ${PIPESTATUS[0]}" '1 0' 'a reader that had enough is no failure'
}

errors() {
  local out
  out=$("$REGROW" plan -o json "$SCRATCH/nope" 2>&1 >/dev/null || true)
  check 'an error as documented' "$SHAPE" error 'message,hint,exitCode' <<<"$out"
  is "$(jq -r '"\(.kind) \(.exitCode)"' <<<"$out")" 'not_found 4' 'an error: its kind and its exit code'
  local line
  for line in 'plan --frobnicate -o json' 'plan -o ndjson' 'plan --order=up -o json' 'frobnicate -o json' 'snapshot -o json' '-o json plan'; do
    # shellcheck disable=SC2086 # words
    out=$("$REGROW" $line 2>&1 >/dev/null || true)
    check "an error of usage: $line" "$SHAPE" error 'message,hint,exitCode' <<<"$out"
    is "$(jq -r '"\(.kind) \(.exitCode)"' <<<"$out")" 'usage 2' "its kind: $line"
  done
  refuse 'a group with an option it has not' 2 "$REGROW" snapshot --frobnicate
  rm "$REPO/tenants/tenant-1/bad.yaml"
  publish
}

remembered() {
  make_repo 2
  check 'bootstrap without ROOT' "$REGROW" bootstrap --timeout 60s --force-conflicts
  like "$("$REGROW" status 2>&1)" "root: $HTTP_URL/git/fleet.git//root\?ref=main" 'which root was taken is said'
  is "$("$REGROW" status -q 2>&1 >/dev/null)" '' 'but not with -q'
  check 'diff without ROOT' "$REGROW" diff
  check 'plan --use-cluster without ROOT' "$REGROW" plan --use-cluster
  check 'REGROW_ROOT comes first' env "REGROW_ROOT=$REPO/root" "$REGROW" render "$REPO/root"
  like "$(REGROW_ROOT=$SCRATCH/nope "$REGROW" status 2>&1 || true)" 'folder .*/nope does not exist' 'REGROW_ROOT comes before what the cluster knows'
  check 'credentials in the URL' "$REGROW" bootstrap --timeout 60s "http://me:hunter2@${HTTP_URL#http://}/git/fleet.git//root?ref=main"
  unlike "$(kubectl get cm -n regrow-system -o yaml)" hunter2 'are not remembered'
  check 'and not needed' "$REGROW" status
  mkdir -p "$REPO/other"
  cp "$REPO/root/tenant-1.yaml" "$REPO/other/"
  publish
  refuse 'another root that would delete' 6 "$REGROW" bootstrap "$HTTP_URL/git/fleet.git//other?ref=main"
  like "$OUT" "this would delete [0-9]+ of.*grown from $HTTP_URL/git/fleet.git//root.*--allow-mass-prune" 'says what the cluster was grown from'
  check 'nothing is deleted' kubectl get deploy -n tenant-2 api
  # Who only looks is shown all of it, and told what bootstrap would say.
  local other="$HTTP_URL/git/fleet.git//other?ref=main" words
  for words in "status $other" "diff $other" "why tenant-1 $other" "why tenant-2 $other"; do
    # shellcheck disable=SC2086 # words
    "$REGROW" $words >"$SCRATCH/out" 2>"$SCRATCH/said" || true
    like "$(tr -s ' \n' ' ' <"$SCRATCH/said")" 'bootstrap would refuse to go on: this would delete [0-9]+ of' "${words%% *} warns"
    unlike "$(<"$SCRATCH/said")" 'error' "${words%% *} does not refuse"
    like "$(<"$SCRATCH/out")" "tenant-[12]" "${words%% *} shows"
    [[ $words == why* ]] ||
      like "$(tr '\n' ' ' <"$SCRATCH/out")" "next:.* regrow bootstrap '${other/\?/\\?}' --allow-mass-prune " "${words%% *} names the command that goes on"
  done
  refuse 'doctor says so' 10 "$REGROW" doctor --timeout 20s "$other"
  like "$OUT" '[1-9][0-9]* to prune; bootstrap would refuse to go on: this would delete.*next: This cluster was grown from .*--allow-mass-prune' 'and what then'
  refuse 'plan shows it, and refuses' 6 "$REGROW" plan --use-cluster "$other"
  like "$OUT" '[1-9][0-9]* to prune.*this would delete' 'with what it would do'
  refuse 'it is saved in no file' 6 "$REGROW" plan --out "$SCRATCH/refused.plan" "$other"
  check 'as it would be refused' test ! -e "$SCRATCH/refused.plan"
  check 'allowed, it is no refusal' "$REGROW" plan --use-cluster --allow-mass-prune "$other"
  check 'unless that is wanted' "$REGROW" bootstrap --allow-mass-prune "$HTTP_URL/git/fleet.git//other?ref=main"
  refuse 'then it is' 1 kubectl get deploy -n tenant-2 api
  check 'another ref of it is no other root' "$REGROW" bootstrap "$HTTP_URL/git/fleet.git//other?ref=HEAD"
  cluster_wipe
  refuse 'a cluster that knows no root' 2 "$REGROW" status
  like "$OUT" 'does not remember any.*next: Name it' 'says what to do'
}

settings() {
  check 'a root again' "$REGROW" bootstrap --timeout 60s "$(url)"
  is "$(REGROW_OUTPUT=json "$REGROW" status 2>/dev/null | jq .good)" true 'REGROW_OUTPUT'
  mkdir -p "$SCRATCH/config/regrow"
  printf 'output: json\nquiet: true\n' >"$SCRATCH/config/regrow/config.yaml"
  is "$(XDG_CONFIG_HOME=$SCRATCH/config "$REGROW" status 2>&1 | jq .good)" true 'the configuration file'
  refuse 'a format the command does not have' 2 env REGROW_OUTPUT=dot "$REGROW" status
  like "$OUT" 'REGROW_OUTPUT "dot": text\|json\|ndjson\|yaml of status is wanted' 'says where it came from'
  unlike "$("$REGROW" bootstrap 2>&1; "$REGROW" status; "$REGROW" plan "$(url)")" $'\033' 'nothing but text in a pipe'
}

# screen COMMAND [COLUMNS [ROWS]]: runs it in a terminal of 80 by 24, in place of the one before
screen() {
  terminal=$((${terminal:-0} + 1))
  at_exit tmux -L "regrow-$$-$terminal" kill-server
  tmux -L "regrow-$$-$terminal" -f /dev/null new-session -d -x "${2:-80}" -y "${3:-24}" \
    "$1; echo \"exit code \$?\"; while sleep 1; do :; done"
}
seen() { tmux -L "regrow-$$-$terminal" capture-pane -p "$@"; }
shows() { seen | grep -qE "$1"; }

live() {
  local page
  make_repo 30
  cluster_wipe
  cluster_control ready-delay 4s
  screen "$REGROW bootstrap --timeout 90s '$(url)'"
  wait_for 30 'the live view' shows '▕.*▏ +[0-9]+/330 +[0-9]+ of 30 healthy'
  wait_for 30 'applications at work' shows '⠋|⠙|⠹|⠸|⠼|⠴|⠦|⠧|⠇|⠏'
  page=$(seen)
  is "$(grep -c '▕' <<<"$page")" 1 'one line with the sum'
  like "$(head -1 <<<"$page")" '▕' 'which is the first'
  like "$page" 'and [0-9]+ more: [0-9]+ healthy, [0-9]+ at work, [0-9]+ waiting' 'what does not fit is counted'
  is "$(awk 'length > 80' <<<"$page")" '' 'nothing is wider than the terminal'
  tmux -L "regrow-$$-$terminal" send-keys C-c
  wait_for 20 'the end' shows 'exit code'
  page=$(seen)
  like "$page" '^✗ interrupted after .*: [0-9]+ of 30 applications healthy, [0-9]+ objects' 'Ctrl-C: how far it came'
  like "$page" 'next: Nothing is lost' 'Ctrl-C: what to do'
  like "$page" 'exit code 130' 'Ctrl-C: its exit code'
  unlike "$page" '▕' 'Ctrl-C: the view is gone'
  cluster_control ready-delay 500ms
  screen "$REGROW bootstrap --timeout 90s"
  wait_for 60 'the end' shows 'exit code'
  page=$(seen)
  like "$page" '✓ 30 applications healthy in ' 'the same command continues'
  like "$page" 'exit code 0' 'to the end'
  unlike "$page" '▕|⠋|⠙|⠹' 'the view is gone'
  like "$(seen -e)" $'\033\\[32m✓' 'a terminal gets colours'
  screen "NO_COLOR=1 $REGROW status"
  wait_for 20 'the end' shows 'exit code'
  unlike "$(seen -e)" $'\033\\[3[0-9]m' 'NO_COLOR is heeded'
}

# Nothing is left to the terminal to break, which does so within words; commands to be copied are.
narrow() {
  local line
  make_repo 2
  cluster_wipe
  check 'a fleet' "$REGROW" bootstrap --timeout 60s "$(url)"
  kubectl create deployment a-name-that-is-long-enough -n tenant-1 --image=x --dry-run=client -o yaml >"$REPO/tenants/tenant-1/long.yaml"
  kubectl patch cm -n tenant-1 settings --type=merge -p '{"data":{"tenant":"hand"}}' >/dev/null
  publish
  for line in '--help' 'plan --help' 'snapshot --help' "plan $(url)" "plan --use-cluster $(url)" status diff 'why tenant-1' 'plan /nowhere'; do
    screen "$REGROW $line" 40 150
    wait_for 20 'the end' shows 'exit code'
    is "$(seen -J | sed 's/ *$//' | grep -vE '^  regrow ' | LC_ALL=C.UTF-8 grep -E '.{41,}' || true)" '' "40 columns suffice: ${line%% http*}"
  done
}

githttp_start
cluster_up main
run_case narrow narrow
run_case documents documents
run_case troubled troubled
run_case lost lost
run_case errors errors
run_case remembered remembered
run_case settings settings
run_case live live
