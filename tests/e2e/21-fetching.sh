#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What comes from elsewhere comes side by side, each thing once; a host that is slow, silent or
# gone delays nobody but its own applications; Ctrl-C works at once; submodules are part of a
# checkout. No cluster.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/slowhttp.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
mkdir -p "$REPO/root"

application() { # NAME SOURCE
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {$2}
Y
}

repository() { # NAME: one ConfigMap
  rm -rf "$SCRATCH/one"
  mkdir -p "$SCRATCH/one"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n' "$1" >"$SCRATCH/one/cm.yaml"
  git_publish "$SCRATCH/one" "$1" >/dev/null
}

chart() { # NAME
  mkdir -p "$SCRATCH/charts/$1/templates"
  printf 'apiVersion: v2\nname: %s\nversion: 1.0.0\n' "$1" >"$SCRATCH/charts/$1/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n' "$1" \
    >"$SCRATCH/charts/$1/templates/cm.yaml"
  charts_package "$SCRATCH/charts/$1" many >/dev/null
}

root() { echo "$HTTP_URL/git/repo.git//root?ref=main"; }
names() { sed -n 's/^  name: //p' <<<"$1" | sort | tr '\n' ' '; }

fleet() {
  local i base=http://127.0.0.1:$SLOW_PORT
  rm -f "$REPO"/root/*
  for i in 01 02 03 04 05 06 07 08 09 10 11 12; do
    application "r$i" "repoURL: $base/git/r$i.git, path: ., targetRevision: main" >"$REPO/root/r$i.yaml"
  done
  # Two applications of one repository ask for its refs once.
  application r12b "repoURL: $base/git/r12.git, path: ., targetRevision: HEAD" >"$REPO/root/r12b.yaml"
  for i in 1 2 3 4 5 6; do
    chart "c$i"
    application "c$i" "repoURL: $base/files/charts/many, chart: c$i, targetRevision: 1.x" >"$REPO/root/c$i.yaml"
  done
  charts_index many >/dev/null
  git_publish "$REPO" repo >/dev/null
}

side_by_side() {
  local out i
  slow_start slow --latency 300
  fleet
  out=$("$REGROW" render "$(root)")
  is "$(names "$out")" 'c1 c2 c3 c4 c5 c6 r01 r02 r03 r04 r05 r06 r07 r08 r09 r10 r11 r12 r12 ' \
    'all of it is read'
  is "$(slow_count slow 'GET .*/info/refs')" 12 'one list of refs for each repository'
  is "$(slow_count slow 'POST .*/r12.git/git-upload-pack')" 2 'whose answer costs one more question, its commit another'
  is "$(slow_count slow 'index.yaml')" 1 'one index'
  is "$(slow_count slow '.tgz')" 6 'each chart once'
  check 'all lists at once' test "$(slow_peak slow 'info/refs')" -ge 12
  check 'commits side by side' test "$(slow_peak slow 'POST')" -ge 6
  check 'charts side by side' test "$(slow_peak slow 'tgz')" -ge 4
  : >"$SCRATCH/slow.requests"
  "$REGROW" render "$(root)" >/dev/null
  is "$(slow_count slow 'POST')" 12 'a second run only asks what the refs are'
  is "$(slow_count slow 'tgz')" 0 'and fetches no chart'
  slow_stop slow
}

# last NAME WORD / first NAME WORD: when
first() { awk -v w="$2" '$0 ~ w { print $1; exit }' "$SCRATCH/$1.requests"; }
last() { awk -v w="$2" '$0 ~ w { t = $1 } END { print t }' "$SCRATCH/$1.requests"; }

one_hangs() {
  local a b c i out
  slow_start a
  a=$SLOW_PORT
  slow_start b
  b=$SLOW_PORT
  slow_start c --hang
  c=$SLOW_PORT
  rm -f "$REPO"/root/*
  for i in 01 02 03 04 05 06; do
    application "a$i" "repoURL: http://127.0.0.1:$a/git/r$i.git, path: ." >"$REPO/root/a$i.yaml"
    application "b$i" "repoURL: http://127.0.0.1:$b/git/r$i.git, path: ." >"$REPO/root/b$i.yaml"
  done
  for ((i = 10; i < 40; i++)); do
    application "c$i" "repoURL: http://127.0.0.1:$c/git/r$i.git, path: ." >"$REPO/root/c$i.yaml"
  done
  git_publish "$REPO" repo >/dev/null
  out=$("$REGROW" plan -o json --source-timeout 3s "$(root)" || true)
  is "$(jq -r '[.applications[] | select(.name | test("^[ab]")) | select(.state == "unknown")] | length' <<<"$out")" 0 \
    'applications of the other hosts are all read'
  is "$(jq -r '[.applications[] | select(.name | test("^c")) | select(.state == "unknown")] | length' <<<"$out")" 30 \
    'those of the silent one are unknown'
  like "$(jq -r '.applications[] | select(.name == "c39") | .problem' <<<"$out")" "127.0.0.1:$c.*(no answer|silent)" \
    'and say why'
  at_most "$(grep -c open "$SCRATCH/c.requests")" 16 'it is not asked for each of them'
  check 'the others were done before it was given up' test "$(last a GET)" -lt "$(first c closed)"
  check 'both of them' test "$(last b POST)" -lt "$(first c closed)"
  slow_stop a
  slow_stop b
}

gone() {
  local port out i
  port=$(free_port)
  rm -f "$REPO"/root/*
  application here "repoURL: $HTTP_URL/git/r01.git, path: ." >"$REPO/root/here.yaml"
  for i in 1 2 3; do
    application "gone$i" "repoURL: http://127.0.0.1:$port/git/r$i.git, path: ." >"$REPO/root/gone$i.yaml"
  done
  git_publish "$REPO" repo >/dev/null
  out=$("$REGROW" plan -o json "$(root)" || true)
  is "$(jq -r '[.applications[] | select(.state == "unknown") | .name] | sort | join(" ")' <<<"$out")" \
    'gone1 gone2 gone3' 'a host that is gone'
}

interrupted() {
  local c status=0 i
  slow_start quiet --hang
  c=$SLOW_PORT
  rm -f "$REPO"/root/*
  application c "repoURL: http://127.0.0.1:$c/git/r01.git, path: ." >"$REPO/root/c.yaml"
  git_publish "$REPO" repo >/dev/null
  "$REGROW" plan "$(root)" >"$SCRATCH/out" 2>&1 &
  i=$!
  wait_for 10 'the question' grep -q open "$SCRATCH/quiet.requests"
  kill -INT "$i"
  wait_for 3 'its end' eval "! kill -0 $i"
  wait "$i" || status=$?
  is "$status" 130 'interrupted while a host is silent'
  slow_stop quiet
}

# within FIRST LAST COMMAND...: how it ends, in STATUS, and what it says, in OUT, between so many
# seconds
within() {
  local began=$SECONDS first=$1 last=$2 took
  shift 2
  STATUS=0
  OUT=$("$@" 2>&1) || STATUS=$?
  took=$((SECONDS - began))
  check "in time ($took s)" test "$took" -ge "$first" -a "$took" -le "$last"
}

# --timeout counts from the first moment, whatever is waited for.
deadline() {
  local port
  slow_start mute --hang
  port=$SLOW_PORT
  rm -f "$REPO"/root/*
  application c "repoURL: http://127.0.0.1:$port/git/r01.git, path: ." >"$REPO/root/c.yaml"
  git_publish "$REPO" repo >/dev/null
  within 2 6 "$REGROW" plan --timeout 2s "$(root)"
  is "$STATUS" 8 'a Git server that never answers'
  like "$OUT" "timed out waiting for the refs of http://127.0.0.1:$port/git/r01.git" 'is named'
  like "$OUT" 'timeout gave it 2.0 s' 'with what can be done'
  within 2 6 "$REGROW" render --timeout 2s "http://127.0.0.1:$port/git/r01.git"
  is "$STATUS" 8 'as the root'
  application c "repoURL: http://127.0.0.1:$port/charts, chart: web, targetRevision: 1.x" >"$REPO/root/c.yaml"
  application d "repoURL: oci://127.0.0.1:$port/charts/web, path: ., targetRevision: 1.2.3" >"$REPO/root/d.yaml"
  git_publish "$REPO" repo >/dev/null
  within 2 6 "$REGROW" render --timeout 2s "$(root)"
  is "$STATUS" 8 'a chart repository and a registry that never answer'
  like "$OUT" "timed out waiting for .*127.0.0.1:$port/charts.*and for 1 more" 'are named'
  within 3 9 "$REGROW" plan --timeout 60s --source-timeout 3s "$(root)"
  is "$STATUS" 10 'a server that is given up before is no timeout'
  slow_stop mute
}

# A helm that hangs, with a child of its own that does.
slow_helm() {
  mkdir -p "$SCRATCH/slow-bin"
  printf '#!/bin/sh\nsleep 7654.%d &\nwait\n' $$ >"$SCRATCH/slow-bin/helm"
  printf '#!/bin/sh\nexec helm template x\n' >"$SCRATCH/slow-bin/kustomize"
  chmod +x "$SCRATCH/slow-bin/helm" "$SCRATCH/slow-bin/kustomize"
  PATH=$SCRATCH/slow-bin:$PATH
}
is_slow() { pgrep -f "^sleep 7654\.$$\$" >/dev/null; }
none_left() { ! is_slow && ! pgrep -f "$SCRATCH/slow-bin/helm" >/dev/null; }

slow_renderer() {
  local tool i status
  slow_helm
  for tool in helm kustomize; do
    rm -f "$REPO"/root/*
    mkdir -p "$REPO/$tool"
    printf 'apiVersion: v2\nname: x\nversion: 1.0.0\n' >"$REPO/helm/Chart.yaml"
    echo 'resources: []' >"$REPO/$tool/kustomization.yaml"
    [[ $tool == kustomize ]] || rm "$REPO/helm/kustomization.yaml"
    application slow "repoURL: $HTTP_URL/git/repo.git, path: $tool" >"$REPO/root/a.yaml"
    git_publish "$REPO" repo >/dev/null
    within 3 8 "$REGROW" plan --timeout 3s "$(root)"
    is "$STATUS" 8 "a $tool that hangs"
    like "$OUT" "timed out waiting for $tool, which renders application slow" 'is named'
    wait_for 3 'nothing of it is left' none_left
    check 'nothing of it is left' none_left
    status=0
    "$REGROW" plan "$(root)" >"$SCRATCH/out" 2>&1 &
    i=$!
    wait_for 20 'its start' is_slow
    kill -INT "$i"
    wait_for 3 'its end' eval "! kill -0 $i"
    wait "$i" || status=$?
    is "$status" 130 "Ctrl-C while $tool hangs"
    wait_for 3 'nothing of it is left' none_left
    check 'nothing of it is left either' none_left
  done
  rm -rf "$REPO/helm" "$REPO/kustomize"
}

broken() {
  local port
  slow_start cut --cut 300
  port=$SLOW_PORT
  rm -f "$REPO"/root/*
  application one "repoURL: http://127.0.0.1:$port/git/r01.git, path: ." >"$REPO/root/one.yaml"
  git_publish "$REPO" repo >/dev/null
  like "$("$REGROW" render "$(root)" 2>&1)" 'name: r01' 'a connection that breaks in the middle of a pack'
  is "$(slow_count cut POST)" 3 'is made once more'
  slow_stop cut
}

damaged() {
  local pack
  rm -f "$REPO"/root/*
  application one "repoURL: $HTTP_URL/git/r02.git, path: ." >"$REPO/root/one.yaml"
  git_publish "$REPO" repo >/dev/null
  XDG_CACHE_HOME=$SCRATCH/damaged "$REGROW" render "$(root)" >/dev/null
  for pack in "$SCRATCH"/damaged/regrow/git/*/tree/objects/pack/*.pack; do
    chmod u+w "$pack"
    printf '\377\377\377\377\377\377\377\377' | dd of="$pack" bs=1 seek=20 conv=notrunc status=none
  done
  XDG_CACHE_HOME=$SCRATCH/damaged "$REGROW" render "$(root)" >/dev/null 2>&1 || true
  like "$(XDG_CACHE_HOME=$SCRATCH/damaged "$REGROW" render "$(root)" 2>&1)" 'name: r02' \
    'a damaged cache is fetched again'
}

# Packs are kept as they came; when there are many, the next commit starts a new cache.
crowded() {
  local cache=$SCRATCH/crowded packs i one two
  packs() { find "$cache" -name '*.pack' | wc -l; }
  rm -f "$REPO"/root/*
  mkdir -p "$SCRATCH/two"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\n' >"$SCRATCH/two/a.yaml"
  one=$(git_publish "$SCRATCH/two" two)
  application one "repoURL: $HTTP_URL/git/two.git, path: ., targetRevision: $one" >"$REPO/root/one.yaml"
  git_publish "$REPO" repo >/dev/null
  XDG_CACHE_HOME=$cache "$REGROW" render "$(root)" >/dev/null
  for packs in "$cache"/regrow/git/*/tree/objects/pack; do
    for ((i = 0; i < 50; i++)); do : >"$packs/pack-$i.pack"; done
  done
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second}\n' >"$SCRATCH/two/a.yaml"
  two=$(git_publish "$SCRATCH/two" two)
  application one "repoURL: $HTTP_URL/git/two.git, path: ., targetRevision: $two" >"$REPO/root/one.yaml"
  application also "repoURL: $HTTP_URL/git/two.git, path: ., targetRevision: $one" | sed 's/first/also/' >"$REPO/root/also.yaml"
  git_publish "$REPO" repo >/dev/null
  # Not while somebody reads it.
  for packs in "$cache"/regrow/git/*/use; do
    spawn "use-${packs//\//-}" flock -s "$packs" sleep 60
    wait_for 5 'a reader' eval "! flock -n -x '$packs' true"
  done
  is "$(names "$(XDG_CACHE_HOME=$cache "$REGROW" render "$(root)" 2>&1)")" 'first second ' 'both revisions are read'
  check 'no cache goes away under a reader' test "$(packs)" -gt 100
  for packs in "$cache"/regrow/git/*/use; do
    stop "use-${packs//\//-}"
  done
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: third}\n' >"$SCRATCH/two/a.yaml"
  two=$(git_publish "$SCRATCH/two" two)
  application one "repoURL: $HTTP_URL/git/two.git, path: ., targetRevision: $two" >"$REPO/root/a-first.yaml"
  rm "$REPO/root/one.yaml"
  git_publish "$REPO" repo >/dev/null
  is "$(names "$(XDG_CACHE_HOME=$cache "$REGROW" render "$(root)" 2>&1)")" 'first third ' 'all that is wanted is fetched again'
  at_most "$(packs)" 3 'into a new cache'
}

# Names that are neither branches nor tags, which a server of protocol v2 lists only when asked; tags
# with a prefix.
revisions() {
  local pull repo=$GIT_ROOT/refs.git out
  mkdir -p "$SCRATCH/refs"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pulled}\n' >"$SCRATCH/refs/cm.yaml"
  pull=$(git_publish "$SCRATCH/refs" refs)
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tagged}\n' >"$SCRATCH/refs/cm.yaml"
  git_publish "$SCRATCH/refs" refs >/dev/null
  git_tag refs app-1.2.0
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: head}\n' >"$SCRATCH/refs/cm.yaml"
  git_publish "$SCRATCH/refs" refs >/dev/null
  git_tag refs 1.3.0
  git --git-dir="$repo" update-ref refs/pull/1/head "$pull"
  slow_start refs
  local source="repoURL: http://127.0.0.1:$SLOW_PORT/git/refs.git, path: ."
  rm -f "$REPO"/root/*
  application short "$source, targetRevision: pull/1/head" >"$REPO/root/a.yaml"
  application full "$source, targetRevision: refs/pull/1/head" >"$REPO/root/b.yaml"
  application again "$source, targetRevision: pull/1/head" >"$REPO/root/c.yaml"
  git_publish "$REPO" repo >/dev/null
  is "$(names "$("$REGROW" render "$(root)" 2>&1)")" 'pulled pulled pulled ' 'a pull request, by its short and its full name'
  is "$(slow_count refs 'GET .*/info/refs')" 1 'the list is asked for once'
  is "$(slow_count refs 'POST .*/git-upload-pack')" 4 'each name it lacks once, and the commit'
  is "$(names "$("$REGROW" render --offline "$(root)" 2>&1)")" 'pulled pulled pulled ' 'offline it is known'
  slow_stop refs
  source="repoURL: $HTTP_URL/git/refs.git, path: ., tagPrefix: app-"
  rm -f "$REPO"/root/*
  application pin "$source, targetRevision: 1.2.0" >"$REPO/root/a.yaml"
  application range "$source, targetRevision: ^1" >"$REPO/root/b.yaml"
  git_publish "$REPO" repo >/dev/null
  is "$(names "$("$REGROW" render "$(root)" 2>&1)")" 'tagged tagged ' 'tags with a prefix'
  application bare "$source, targetRevision: 1.3.0" >"$REPO/root/c.yaml"
  application gone "repoURL: $HTTP_URL/git/refs.git, path: ., targetRevision: pull/2/head" >"$REPO/root/d.yaml"
  git_publish "$REPO" repo >/dev/null
  out=$("$REGROW" plan -o json "$(root)" || true)
  like "$(jq -r '.applications[] | select(.name == "bare") | .problem' <<<"$out")" 'no "app-1.3.0"' 'never the bare tag'
  like "$(jq -r '.applications[] | select(.name == "gone") | .problem' <<<"$out")" '"pull/2/head" does not exist' 'a pull request that is gone'
}

submodules() {
  local core id out repo=$GIT_ROOT/super.git
  mkdir -p "$SCRATCH/core/base" "$SCRATCH/super/overlay"
  printf 'resources: [cm.yaml]\n' >"$SCRATCH/core/base/kustomization.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n' >"$SCRATCH/core/base/cm.yaml"
  core=$(git_publish "$SCRATCH/core" core)
  printf 'resources: [../lib/base]\nnamePrefix: my-\n' >"$SCRATCH/super/overlay/kustomization.yaml"
  printf '[submodule "lib"]\n\tpath = lib\n\turl = ../core.git\n' >"$SCRATCH/super/.gitmodules"
  git_publish "$SCRATCH/super" super >/dev/null
  export GIT_INDEX_FILE=$SCRATCH/run/super-index
  git --git-dir="$repo" read-tree main
  git --git-dir="$repo" update-index --add --cacheinfo "160000,$core,lib"
  id=$(git_quiet "$repo" commit-tree "$(git --git-dir="$repo" write-tree)" -p main -m lib)
  unset GIT_INDEX_FILE
  git --git-dir="$repo" update-ref refs/heads/main "$id"
  rm -f "$REPO"/root/*
  application built "repoURL: $HTTP_URL/git/super.git, path: overlay" >"$REPO/root/built.yaml"
  application inside "repoURL: $HTTP_URL/git/super.git, path: lib/base, directory: {exclude: kustom*}" >"$REPO/root/inside.yaml"
  git_publish "$REPO" repo >/dev/null
  out=$("$REGROW" render "$(root)" 2>&1)
  like "$out" 'name: my-shared' 'kustomize builds on a submodule'
  like "$out" 'name: shared' 'an application lies in one'
  rm -rf "$GIT_ROOT/core.git" "$XDG_CACHE_HOME"
  out=$("$REGROW" render "$(root)" 2>&1 || true)
  like "$out" 'submodule lib: .*not found' 'one that is gone is named'
}

githttp_start
for number in 01 02 03 04 05 06 07 08 09 10 11 12; do
  repository "r$number"
done
run_case 'side by side' side_by_side
run_case 'one host hangs' one_hangs
run_case 'one host is gone' gone
run_case 'Ctrl-C' interrupted
run_case 'a deadline' deadline
run_case 'a slow renderer' slow_renderer
run_case 'a broken connection' broken
run_case 'a damaged cache' damaged
run_case 'a crowded cache' crowded
run_case revisions revisions
run_case submodules submodules
