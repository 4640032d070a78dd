#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
#
# ROOT as a folder of this machine means what the same tree means in Git: links inside it are
# followed by all who read, one that leads out is refused by name before helm or kustomize is
# started, and is never in what is rendered or kept. No cluster.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

export XDG_CACHE_HOME=$SCRATCH/cache TMPDIR=$SCRATCH/tmp
mkdir "$TMPDIR"
T=$SCRATCH/tree
URL=https://git.example.com/repo

application() { # NAME SOURCE
  mkdir -p "$T/root"
  cat >"$T/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: web}
  source: {repoURL: $URL, targetRevision: main, $2}
Y
}

# What it says must never be seen: a file outside of the tree.
fresh() {
  rm -rf "$T" "$SCRATCH/outside"
  mkdir -p "$T/root" "$SCRATCH/outside/base"
  git -C "$T" init -q
  git -C "$T" remote add origin "$URL"
  echo TOP-SECRET >"$SCRATCH/outside/secret"
  printf 'resources: [cm.yaml]\n' >"$SCRATCH/outside/base/kustomization.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: TOP-SECRET}\n' >"$SCRATCH/outside/base/cm.yaml"
}

chart() { # FOLDER: it shows files/note
  mkdir -p "$T/$1/templates" "$T/$1/files"
  printf 'apiVersion: v2\nname: web\nversion: 1.0.0\n' >"$T/$1/Chart.yaml"
  cat >"$T/$1/templates/cm.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {note: {{ .Files.Get "files/note" | quote }}}
Y
}

in_git() {
  git -C "$T" -c user.name=t -c user.email=t@example.com add -A
  git -C "$T" -c user.name=t -c user.email=t@example.com commit -qm x --allow-empty
}
both() { # WHAT FUNCTION: of OUT, by either way
  local mirror
  OUT=$("$REGROW" render "$T/root" 2>&1 || true)
  "$2" "$1, in a folder"
  in_git
  rm -rf "$SCRATCH/bare"
  git clone -q --bare "$T" "$SCRATCH/bare"
  OUT=$("$REGROW" render --mirror "$URL=$SCRATCH/bare" "$URL//root?ref=main" 2>&1 || true)
  "$2" "$1, in Git"
}

# A helm and a kustomize that say so when they are started.
witnesses() {
  local tool
  mkdir -p "$SCRATCH/witness"
  for tool in helm kustomize; do
    printf '#!/bin/sh\ntouch "%s"\nexec %s "$@"\n' "$SCRATCH/started" "$(command -v "$tool")" \
      >"$SCRATCH/witness/$tool"
    chmod +x "$SCRATCH/witness/$tool"
  done
  PATH=$SCRATCH/witness:$PATH
  rm -f "$SCRATCH/started"
}

says_link() { # NAME; LINK and TARGET are set
  like "$OUT" "$LINK is a link that leaves the (folder|repository): it leads to \"$TARGET\"" "$1: it is named"
  unlike "$OUT" TOP-SECRET "$1: nothing of it is seen"
  check "$1: nothing was started" test ! -e "$SCRATCH/started"
}

links_out() {
  witnesses
  TARGET=$SCRATCH/outside/secret
  fresh
  chart chart
  application a 'path: chart'
  ln -s "$TARGET" "$T/chart/files/note"
  LINK=chart/files/note both 'a file of a chart' says_link
  fresh
  chart chart
  application a 'path: chart, helm: {valueFiles: [prod.yaml]}'
  ln -s "$TARGET" "$T/chart/prod.yaml"
  LINK=chart/prod.yaml both 'a value file' says_link
  fresh
  chart chart
  application a 'path: chart'
  ln -s "$SCRATCH/outside" "$T/chart/charts"
  LINK=chart/charts TARGET=$SCRATCH/outside both 'sub-charts' says_link
  fresh
  mkdir "$T/app"
  application a 'path: app'
  printf 'resources: [base]\n' >"$T/app/kustomization.yaml"
  ln -s ../../outside/base "$T/app/base"
  LINK=app/base TARGET=../../outside/base both 'a base of kustomize' says_link
  application a 'path: app, kustomize: {namePrefix: x-}'
  LINK=app/base TARGET=../../outside/base both 'with options' says_link
  fresh
  application a 'path: app'
  mkdir "$T/app"
  ln -s ../../outside/base/cm.yaml "$T/app/cm.yaml"
  LINK=app/cm.yaml TARGET=../../outside/base/cm.yaml both 'a manifest' says_link
  fresh
  application a 'path: app'
  ln -s ../outside/base "$T/app"
  LINK=app TARGET=../outside/base both 'the path itself' says_link
}

names_base() {
  like "$OUT" 'kustomization in "app" names ../../outside/base, which leaves the' "$1: it is named"
  unlike "$OUT" 'name: TOP-SECRET' "$1: and not read"
}

bases_out() {
  fresh
  mkdir "$T/app"
  application a 'path: app'
  printf 'resources: [../../outside/base]\n' >"$T/app/kustomization.yaml"
  both 'a base by its path' names_base
}

shows_note() { like "$OUT" 'note: .*inside' "$1"; }
shows_lib() { like "$OUT" 'name: from-lib' "$1"; }
ends() { like "$OUT" 'too many levels of symbolic links' "$1"; }
shows_base() { like "$OUT" 'name: (x-)?based' "$1"; }

links_inside() {
  fresh
  chart chart
  mkdir -p "$T/shared" "$T/lib/templates"
  echo inside >"$T/shared/note"
  rmdir "$T/chart/files"
  ln -s ../shared "$T/chart/files"
  application a 'path: chart'
  both 'a folder of a chart is a link' shows_note
  ln -s .. "$T/shared/circle"
  both 'a circle, in which helm gives up' ends
  rm "$T/shared/circle"
  printf 'apiVersion: v2\nname: lib\nversion: 1.0.0\n' >"$T/lib/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-lib}\n' >"$T/lib/templates/l.yaml"
  printf 'apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: lib, version: 1.0.0, repository: ""}]\n' >"$T/chart/Chart.yaml"
  mkdir "$T/chart/charts"
  ln -s ../../lib "$T/chart/charts/lib"
  both 'a sub-chart is a link' shows_lib
  # One that has to be fetched, or left out, makes a copy of the chart.
  printf 'apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: lib, version: 1.0.0, repository: ""}, {name: gone, version: 1.0.0, repository: "https://nowhere.example.com", condition: gone.enabled}]\n' >"$T/chart/Chart.yaml"
  printf 'gone: {enabled: false}\n' >"$T/chart/values.yaml"
  both 'in a copy' shows_lib
  fresh
  mkdir -p "$T/app" "$T/bases/one"
  printf 'resources: [cm.yaml]\n' >"$T/bases/one/kustomization.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: based}\n' >"$T/bases/one/cm.yaml"
  printf 'resources: [base]\n' >"$T/app/kustomization.yaml"
  ln -s ../bases/one "$T/app/base"
  application a 'path: app'
  both 'a base is a link' shows_base
  application a 'path: app, kustomize: {namePrefix: x-}'
  both 'with options' shows_base
}

ignored() {
  fresh
  chart chart
  echo inside >"$T/chart/files/note"
  application a 'path: chart'
  mkdir "$T/.venv"
  echo .venv >"$T/.gitignore"
  ln -s /usr/bin/env "$T/.venv/python"
  OUT=$("$REGROW" render "$T/root" 2>&1 || true)
  shows_note 'what Git ignores is not in the tree'
}

# Edits are seen at once, and nothing that was rendered before stands for them.
edited() {
  fresh
  chart chart
  mkdir "$T/one" "$T/two"
  rmdir "$T/chart/files"
  echo first >"$T/one/note"
  echo second >"$T/two/note"
  ln -s ../one "$T/chart/files"
  application a 'path: chart'
  like "$("$REGROW" render "$T/root" 2>&1)" 'note: .*first' 'a link to a folder'
  ln -sfn ../two "$T/chart/files"
  like "$("$REGROW" render "$T/root" 2>&1)" 'note: .*second' 'that leads elsewhere now'
  ln -sfn ../one "$T/chart/files"
  like "$("$REGROW" render "$T/root" 2>&1)" 'note: .*first' 'and back'
  is "$(ls "$TMPDIR")" '' 'no copy stays behind'
}

# A snapshot of a folder.
kept() {
  local out status=0
  fresh
  chart chart
  echo inside >"$T/shared-note"
  ln -s ../../shared-note "$T/chart/files/note"
  mkdir "$T/more"
  echo deep >"$T/more/deep"
  ln -s ../more "$T/chart/more"
  application a 'path: chart'
  age-keygen -o "$SCRATCH/ann.id" 2>/dev/null
  export REGROW_REPO=$SCRATCH/snapshots
  REGROW_TRUST=$("$REGROW" snapshot init --out "$SCRATCH/admin" --single \
    --recipient "$(age-keygen -y "$SCRATCH/ann.id")" | sed -n 's/^ *pin //p')
  export REGROW_TRUST
  "$REGROW" snapshot key add --key "$SCRATCH/admin" -i "$SCRATCH/ann.id" --role writer --chain main \
    --out "$SCRATCH/job" >/dev/null
  out=$("$REGROW" snapshot create --key "$SCRATCH/job" "$T/root" 2>&1) || status=$?
  is "$status" 0 'a snapshot of a folder with links'
  "$REGROW" snapshot export -i "$SCRATCH/ann.id" --no-secrets latest "$SCRATCH/one.tar.zst" >/dev/null
  mkdir "$SCRATCH/exported"
  tar -C "$SCRATCH/exported" -xf "$SCRATCH/one.tar.zst"
  is "$(cat "$(find "$SCRATCH/exported" -path '*chart/files/note')")" inside 'a file by a link'
  is "$(cat "$(find "$SCRATCH/exported" -path '*chart/more/deep')")" deep 'what lies behind a link to a folder'
  ln -s "$SCRATCH/outside/secret" "$T/chart/files/leak"
  status=0
  out=$("$REGROW" snapshot create --key "$SCRATCH/job" "$T/root" 2>&1) || status=$?
  is "$status" 10 'with a link that leads out it is suspect'
  like "$out" 'chart/files/leak is a link that leaves the folder' 'and says why'
}

run_case 'links that lead out' links_out
run_case 'bases that are outside' bases_out
run_case 'links inside' links_inside
run_case 'ignored by Git' ignored
run_case edits edited
run_case snapshots kept
