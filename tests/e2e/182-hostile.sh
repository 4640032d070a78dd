#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Hostile charts, kustomizations and credential programs harm nothing: no file outside is read or
# written, no program of theirs is run, time, memory and output have an end, nothing stays behind;
# each is one clear error, and what is beside it is read.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"

export XDG_CACHE_HOME=$SCRATCH/cache TMPDIR=$SCRATCH/tmp
CANARY=canary-7f3a91
LOOP='{{- range until 100000 }}{{- range until 100000 }}{{- end }}{{- end }}'
PWNED=$SCRATCH/pwned
REPO=$SCRATCH/repo
mkdir -p "$TMPDIR" "$SCRATCH/bin"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n' "$CANARY" >"$SCRATCH/outside.yaml"
mkdir -p "$SCRATCH/outside"
cp "$SCRATCH/outside.yaml" "$SCRATCH/outside/all.yaml"
printf 'resources: [all.yaml]\n' >"$SCRATCH/outside/kustomization.yaml"

application() { # NAME [SOURCE-FIELDS]
  mkdir -p "$REPO/root" "$REPO/apps/$1"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://h/repo, path: apps/$1${2:+, $2}}
  destination: {server: https://kubernetes.default.svc, namespace: default}
Y
}

chart() { # NAME [SOURCE-FIELDS]: standard input is its template
  application "$1" "${2:-}"
  mkdir -p "$REPO/apps/$1/templates"
  printf 'apiVersion: v2\nname: %s\nversion: 1.0.0\n' "$1" >"$REPO/apps/$1/Chart.yaml"
  cat >"$REPO/apps/$1/templates/all.yaml"
}

kustomization() { # NAME: standard input is it
  application "$1"
  cat >"$REPO/apps/$1/kustomization.yaml"
}

executable() { # FILE: standard input is it
  mkdir -p "${1%/*}"
  cat >"$1"
  chmod +x "$1"
}

git_folder() {
  rm -rf "$REPO"
  mkdir -p "$REPO/.git"
  printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"
}

# says NAME REGEX: the application could not be read, for that reason; without a path of ours in it
says() {
  local got
  got=$(jq -r --arg n "$1" '.applications[] | select(.name == $n) | "\(.state): \(.problem // "-")"' "$SCRATCH/plan.json")
  like "$got" "^unknown: .*$2" "$1"
  unlike "$got" "$TMPDIR|regrow-(render|tree|artifact)" "$1: without our own folders"
  is "$(wc -l <<<"$got")" 1 "$1: in one line"
}

plan() { # [OPTIONS]
  local status=0
  "$REGROW" plan -o json -j 3 "$@" "$REPO/root" >"$SCRATCH/plan.json" 2>"$SCRATCH/err" || status=$?
  is "$status" 10 'the plan ends, and says that part of it failed'
  is "$(jq -r '.applications[] | select(.name == "good") | .state' "$SCRATCH/plan.json")" known 'what is beside them is read'
  refuse 'nothing from outside is in it' 1 grep -q "$CANARY" "$SCRATCH/plan.json" "$SCRATCH/err"
  check 'no program of theirs was run' test ! -e "$PWNED"
  is "$(ls -A "$TMPDIR")" '' 'no file stays behind'
  is "$(pgrep -f "$TMPDIR/" || true)" '' 'nor a process'
}

good() {
  application good
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n' >"$REPO/apps/good/all.yaml"
}

# ---- paths that lead out ----
escapes() {
  git_folder
  good
  chart files 'helm: {valueFiles: [../../../outside.yaml]}' <<<'{{ .Files.Get "../../../outside.yaml" }}'
  chart parameter 'helm: {fileParameters: [{name: "a=/etc/passwd,b", path: Chart.yaml}]}' <<<'{{ toYaml .Values }}'
  kustomization base <<<'resources: [../../../outside]'
  kustomization file <<<'resources: [../../../outside.yaml]'
  kustomization generated <<<'configMapGenerator: [{name: g, files: [../../../outside.yaml]}]'
  kustomization patched <<<'patches: [{path: ../../../outside.yaml}]'
  plan
  says files 'outside.yaml leaves the repository'
  says parameter 'the name "a=/etc/passwd,b" is malformed'
  says base 'names ../../../outside, which leaves the'
  says file 'outside.yaml'
  says generated 'outside.yaml'
  says patched 'outside.yaml'
}

# Whatever of a kustomization names a file; up, at an absolute path, and by a link that stands in the
# folder for it.
fields() {
  local way name field at
  git_folder
  good
  for way in up absolute; do
    at=$SCRATCH/outside.yaml
    [[ $way == absolute ]] || at=../../../outside.yaml
    while IFS=' ' read -r name field; do
      kustomization "$name-$way" <<<"{configMapGenerator: [{name: g, literals: [a=b]}], ${field//@/$at}}"
    done <<'F'
resources resources: [@]
components components: [@]
crds crds: [@]
strategic patchesStrategicMerge: [@]
json patchesJson6902: [{path: @, target: {version: v1, kind: ConfigMap, name: g}}]
envs secretGenerator: [{name: s, envs: [@]}]
secrets secretGenerator: [{name: s, files: [x=@]}]
openapi openapi: {path: @}
configurations configurations: [@]
replacements replacements: [{path: @}]
transformers transformers: [@]
validators validators: [@]
F
  done
  chart absolute-file 'helm: {valueFiles: [/etc/passwd]}' <<<'{{ toYaml .Values }}'
  chart absolute-parameter 'helm: {fileParameters: [{name: a, path: /etc/passwd}]}' <<<'{{ toYaml .Values }}'
  plan
  for name in resources components crds strategic json envs secrets openapi configurations replacements transformers validators; do
    for way in up absolute; do says "$name-$way" 'outside.yaml'; done
  done
  says absolute-file 'etc/passwd'
  says absolute-parameter 'etc/passwd'
}

# A base that has its user for a base.
circles() {
  git_folder
  good
  kustomization one <<<'resources: [../two]'
  kustomization two <<<'resources: [../one]'
  kustomization itself <<<'resources: [.]'
  kustomization parts <<<'components: [part]'
  mkdir "$REPO/apps/parts/part"
  printf 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncomponents: [../part]\n' >"$REPO/apps/parts/part/kustomization.yaml"
  ln -s . "$REPO/apps/good/ring"
  plan
  says one 'cycle'
  says two 'cycle'
  says itself 'cycle'
  says parts 'cycle'
}

# Folders in folders, each the base of the one above.
deep() {
  local i
  git_folder
  good
  kustomization deep <<<'resources: [d]'
  (
    cd "$REPO/apps/deep"
    for ((i = 0; i < 80; i++)); do
      mkdir d && cd d
      echo 'resources: [d]' >kustomization.yaml
    done
  )
  plan
  says deep 'folders nested too deep'
}

# The same, in the ways in which kustomize reads what looks otherwise. From the copy that it is given
# it is five folders up to ours.
spellings() {
  local up=../../../../.. home generator
  git_folder
  good
  home=$SCRATCH/foreign
  generator="{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: x}, name: app, releaseName: x, valuesFile: v.yaml"
  mkdir -p "$home/app/templates"
  cp "$SCRATCH/outside.yaml" "$home/app/templates/all.yaml"
  printf 'apiVersion: v2\nname: app\nversion: 1.0.0\n' | tee "$home/app/Chart.yaml" >"$home/Chart.yaml"
  kustomization capital <<<"Resources: [$up/outside]"
  kustomization longs <<<"re$(printf '\305\277')ources: [$up/outside]"
  kustomization repository <<<"resources: ['x.git//../$up/outside']"
  kustomization lines <<<"resources: [\"a\\n/../$up/outside\"]"
  kustomization zero <<<"resources: [\"a\\0/../$up/outside\"]"
  kustomization second < <(echo "resources: [$up/outside]")
  mv "$REPO/apps/second/kustomization.yaml" "$REPO/apps/second/Kustomization"
  mkdir "$REPO/apps/second/kustomization.yaml"
  touch "$REPO/apps/second/kustomization.yaml/x"
  kustomization large < <(head -c 4200000 /dev/zero | tr '\0' '#'; printf '\nresources: [%s/outside]\n' "$up")
  kustomization way <<<'resources: [link]' # ".." begins where the link leads
  mkdir "$REPO/top"
  ln -s ../../top "$REPO/apps/way/link"
  echo 'resources: [../../../../outside]' >"$REPO/top/kustomization.yaml"
  kustomization home <<<"{helmGlobals: {ChartHome: $home}, helmCharts: [{name: app, releaseName: x, valuesFile: v.yaml}]}"
  kustomization older <<<"{helmGlobals: {chartHome: $home}, helmChartInflationGenerator: [{chartName: app, releaseName: x, values: v.yaml}]}"
  kustomization list <<<'generators: [g.yaml]'
  echo "{apiVersion: v1, kind: FooList, metadata: {name: x}, items: [$generator, chartHome: $home}]}" >"$REPO/apps/list/g.yaml"
  kustomization inline <<<"generators: ['$generator, chartHome: $home}']"
  kustomization named <<<'generators: [g.yaml]'
  echo "${generator/name: app/chartName: app, name: ../foreign/app}}" >"$REPO/apps/named/g.yaml"
  for home in home older list inline named; do # an innocent chart has kustomize told to inflate charts at all
    mkdir -p "$REPO/apps/$home/charts"
    cp -R "$SCRATCH/foreign/app" "$REPO/apps/$home/charts/a"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' >"$REPO/apps/$home/charts/a/templates/all.yaml"
    touch "$REPO/apps/$home/v.yaml"
  done
  for home in list inline named; do echo 'helmCharts: [{name: a, releaseName: a, valuesFile: v.yaml}]' >>"$REPO/apps/$home/kustomization.yaml"; done
  plan
  says capital 'the field "Resources" is written "resources"'
  says longs 'is written "resources"'
  says repository 'outside, which leaves the'
  says lines 'names a…, which leaves the'
  says zero 'names a path with a zero byte'
  says second 'kustomization.yaml'
  says large 'apps.large.kustomization.yaml is larger than 4 MiB'
  says way 'the kustomization in "top" names ../../../../outside, which leaves the'
  says home 'the field "ChartHome" is written "chartHome"'
  says older 'chart app of apps/older cannot be placed'
  says list 'chart app of apps/list cannot be placed'
  says inline 'chart app of apps/inline cannot be placed'
  says named 'chart ../foreign/app of apps/named cannot be placed'
}

# A link that leads out spoils every tool's view of the repository, and says so.
links() { # TARGET
  git_folder
  good
  kustomization linked <<<'resources: [all.yaml]'
  ln -s "$1" "$REPO/apps/linked/all.yaml"
  chart beside <<<'a: b'
  chart link <<<''
  ln -sf "$1" "$REPO/apps/link/templates/all.yaml"
  plan
  says link '(templates|linked)/all.yaml is a link that leaves the folder: it leads to'
  says linked '(templates|linked)/all.yaml is a link that leaves the folder'
  says beside '(templates|linked)/all.yaml is a link that leaves the folder'
}

# What is no file: a pipe that nobody writes to, links to devices that never end.
special() {
  git_folder
  good
  kustomization pipe <<<'resources: [all.yaml]'
  mkfifo "$REPO/apps/pipe/all.yaml"
  application plain-pipe
  mkfifo "$REPO/apps/plain-pipe/all.yaml"
  chart chart-pipe <<<'a: b'
  mkfifo "$REPO/apps/chart-pipe/values.yaml" "$REPO/apps/chart-pipe/templates/pipe.yaml"
  plan
  says pipe 'all.yaml'
}

# What a chart asks for beyond its files, it does not get.
asks() {
  git_folder
  good
  chart asking <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: asking}
data:
  up: {{ .Files.Get "../../../outside.yaml" | quote }}
  absolute: {{ .Files.Get "$SCRATCH/outside.yaml" | quote }}
  all: {{ range \$path, \$_ := .Files.Glob "../**" }}{{ \$path }}{{ end }} ""
  cluster: {{ lookup "v1" "Secret" "kube-system" "" | toJson | quote }}
  host: {{ getHostByName "localhost" | quote }}
Y
  chart environment <<<'{{ env "HOME" }}'
  plan
  "$REGROW" render "$REPO/root" asking >"$SCRATCH/out"
  is "$(sed -n '/^data:/,/^[^ d]/p' "$SCRATCH/out" | grep -E '^ ' | tr -d ' \n')" 'absolute:""all:""cluster:"{}"host:""up:""' \
    'neither files of others, nor the cluster, nor names of hosts'
  says environment 'env'
}

# Packed charts whose members lie elsewhere, or that break off: in a repository, for an application and for a kustomization
# that inflates them, and packed into another chart.
packed() {
  local name
  git_folder
  good
  chart inner <<<'a: b'
  mkdir -p "$SCRATCH/packed" "$REPO/apps/inner/charts"
  : >"$SCRATCH/packed/index"
  for name in up absolute cut link hard bomb; do
    SCRATCH_ROOT=$SCRATCH python3 - "$name" "$SCRATCH/packed/$name-1.0.0.tgz" <<'P'
import gzip, io, os, sys, tarfile  # what is cut off begins with a header, at a block of what unpacks it
name, to = sys.argv[1:]
canary = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: written}\n"
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as t:
    for path, data in [("Chart.yaml", f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n".encode()), ("values.yaml", b"{}"),
                       ("templates/a.yaml", (canary.replace(b"written", b"a") + b"#" + os.urandom(32000).hex().encode())[:62976]),
                       ({"up": "../../../../../../written", "absolute": os.environ["SCRATCH_ROOT"] + "/written"}.get(name, "templates/b.yaml"), canary)]:
        m = tarfile.TarInfo(path if path.startswith("/") else f"{name}/{path}")
        m.size = len(data)
        t.addfile(m, io.BytesIO(data))
    for path, kind, to_where in [("templates/c.yaml", tarfile.SYMTYPE if name == "link" else tarfile.LNKTYPE, "outside.yaml"),
                                 ("folder", tarfile.SYMTYPE, "outside")] if name in ("link", "hard") else []:
        m = tarfile.TarInfo(f"{name}/{path}")
        m.type, m.linkname = kind, os.environ["SCRATCH_ROOT"] + "/" + to_where
        t.addfile(m)
    for i in range(12) if name == "bomb" else []:  # 600 MB of zeros in 600 kB
        m = tarfile.TarInfo(f"{name}/files/{i}")
        m.size = 50 << 20
        t.addfile(m, io.BytesIO(bytes(m.size)))
packed = gzip.compress(tar.getvalue(), mtime=0)
open(to, "wb").write(packed[:-40] if name == "cut" else packed)
P
    printf '  %s: [{apiVersion: v2, name: %s, version: 1.0.0, urls: [%s-1.0.0.tgz]}]\n' "$name" "$name" "$name" >>"$SCRATCH/packed/index"
    kustomization "$name" <<<"helmCharts: [{name: $name, repo: https://charts.example, version: 1.0.0, releaseName: x}]"
    application "$name-itself"
    sed -i "s|source: .*|source: {repoURL: https://charts.example, chart: $name, targetRevision: 1.0.0}|" "$REPO/root/$name-itself.yaml"
  done
  { printf 'apiVersion: v1\nentries:\n'; cat "$SCRATCH/packed/index"; } >"$SCRATCH/packed/index.yaml"
  cp "$SCRATCH/packed/up-1.0.0.tgz" "$REPO/apps/inner/charts/"
  plan --mirror "https://charts.example=$SCRATCH/packed"
  says up 'chart up: the archive holds a path that leaves it'
  says absolute 'chart absolute: the archive holds a path that leaves it'
  says cut 'chart cut: the archive is damaged: truncated gzip input'
  says up-itself 'unable to load chart archive'
  says cut-itself 'the archive is damaged: truncated gzip input'
  says inner 'illegally'
  says bomb 'chart bomb: the archive unpacks to more than 512 MiB'
  says bomb-itself 'larger than|more than|exceed|maximum'
  says hard 'the archive holds a hard link'
  is "$(find "$SCRATCH" -name written)" '' 'nothing was written elsewhere'
  is "$("$REGROW" render --mirror "https://charts.example=$SCRATCH/packed" "$REPO/root" link 2>&1 | grep -c canary)" 0 'and no link is followed'
}

# ---- programs in the repository ----
programs() {
  git_folder
  good
  # A helm that finds a plugin for the scheme of a chart's repository runs it.
  kustomization plugin <<<'generators: [more]'
  mkdir -p "$REPO/apps/plugin/more"
  printf 'resources: [chart.yaml]\n' >"$REPO/apps/plugin/more/kustomization.yaml"
  cat >"$REPO/apps/plugin/more/chart.yaml" <<'Y'
apiVersion: builtin
kind: HelmChartInflationGenerator
metadata: {name: x}
name: x
repo: evil://x
releaseName: x
configHome: CONFIG
Y
  sed -i "s|CONFIG|$REPO/apps/plugin/home|" "$REPO/apps/plugin/more/chart.yaml"
  mkdir -p "$REPO/apps/plugin/home/.data/plugins/evil" "$REPO/apps/plugin/innocent/charts/a/templates"
  printf 'name: evil\nversion: 1.0.0\ndownloaders: [{command: run.sh, protocols: [evil]}]\n' >"$REPO/apps/plugin/home/.data/plugins/evil/plugin.yaml"
  executable "$REPO/apps/plugin/home/.data/plugins/evil/run.sh" <<<"#!/bin/sh
touch $PWNED"
  # An innocent chart beside it has kustomize told to inflate charts at all.
  printf 'helmCharts: [{name: a, releaseName: a}]\nresources: []\n' >"$REPO/apps/plugin/innocent/kustomization.yaml"
  printf 'apiVersion: v2\nname: a\nversion: 1.0.0\n' >"$REPO/apps/plugin/innocent/charts/a/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' >"$REPO/apps/plugin/innocent/charts/a/templates/a.yaml"
  echo '{}' >"$REPO/apps/plugin/innocent/charts/a/values.yaml"
  printf 'resources: [innocent]\n' >>"$REPO/apps/plugin/kustomization.yaml"
  kustomization function <<<'generators: [gen.yaml]'
  executable "$REPO/apps/function/run.sh" <<<"#!/bin/sh
touch $PWNED"
  cat >"$REPO/apps/function/gen.yaml" <<'Y'
apiVersion: x.io/v1
kind: Generator
metadata: {name: g, annotations: {config.kubernetes.io/function: "exec: {path: ./run.sh}"}}
Y
  # A repository of this machine is no remote base.
  git init -q "$SCRATCH/private"
  cp -R "$SCRATCH/outside/." "$SCRATCH/private/"
  git -C "$SCRATCH/private" add -A
  git -C "$SCRATCH/private" -c user.name=x -c user.email=x@x commit -qm x
  kustomization clone <<<"resources: ['file://$SCRATCH/private//.?ref=main']"
  plan
  says plugin 'the generators in more could inflate charts nobody has seen'
  says function 'external plugins disabled'
  says clone '(not allowed|file)'
}

# What a base on the network names nobody has walked: a home of charts of this machine.
bases() {
  local base=$SCRATCH/base
  githttp_start
  git_folder
  good
  mkdir -p "$SCRATCH/charts/out/templates" "$base/charts/in/templates"
  cp "$SCRATCH/outside.yaml" "$SCRATCH/charts/out/templates/all.yaml"
  printf 'apiVersion: v2\nname: out\nversion: 1.0.0\n' >"$SCRATCH/charts/out/Chart.yaml"
  echo '{}' | tee "$SCRATCH/charts/out/values.yaml" >"$base/charts/in/values.yaml"
  printf 'apiVersion: v2\nname: in\nversion: 1.0.0\n' >"$base/charts/in/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in}\n' >"$base/charts/in/templates/all.yaml"
  printf 'helmCharts: [{name: in, releaseName: x}]\n' >"$base/kustomization.yaml"
  git_publish "$base" harmless >/dev/null
  printf 'helmGlobals: {chartHome: %s}\nhelmCharts: [{name: out, releaseName: x, valuesFile: v.yaml}]\n' "$SCRATCH/charts" >"$base/kustomization.yaml"
  echo '{}' >"$base/v.yaml"
  git_publish "$base" hostile >/dev/null
  for base in harmless hostile; do
    kustomization "$base" <<<"{helmCharts: [{name: a, releaseName: a}], resources: ['$HTTP_URL/git/$base.git?ref=main']}"
    mkdir -p "$REPO/apps/$base/charts/a/templates"
    cp "$SCRATCH/base/charts/in/values.yaml" "$REPO/apps/$base/charts/a/"
    printf 'apiVersion: v2\nname: a\nversion: 1.0.0\n' >"$REPO/apps/$base/charts/a/Chart.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' >"$REPO/apps/$base/charts/a/templates/all.yaml"
  done
  if "$REGROW" doctor -o json "$REPO/root" | jq -e '.checks[] | select(.check == "confinement" and .state == "warn")' >/dev/null; then
    skip 'a home of charts outside' 'this kernel has no Landlock'
    return
  fi
  plan
  is "$(jq -r '.applications[] | select(.name == "harmless") | .problem // .state' "$SCRATCH/plan.json")" known 'one that inflates its own is read'
  says hostile 'permission denied'
}

# ---- time, memory, output ----
bounds() {
  git_folder
  good
  chart recursion <<<'{{- define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'
  chart memory <<<'{{- $s := repeat 400000000 "xxxxxxxx" }}'
  chart output <<<'# {{ repeat 70000000 "x" }}
a: b'
  kustomization generated < <(printf 'generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator:\n'
    for i in 1 2 3 4 5 6; do echo "- {name: m$i, files: [bytes]}"; done) # 69 MB of base64
  head -c 8600000 /dev/zero | tr '\0' '\377' >"$REPO/apps/generated/bytes"
  kustomization aliases <<<'resources: [all.yaml]'
  {
    printf 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
    for i in 1 2 3 4 5 6 7 8 9; do printf 'a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n' $i $i $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)) $((i-1)); done
  } >"$REPO/apps/aliases/all.yaml"
  chart values 'helm: {valueFiles: [huge.yaml]}' <<<'a: b'
  { printf 'a: "'; head -c 70000000 /dev/zero | tr '\0' x; echo '"'; } >"$REPO/apps/values/huge.yaml"
  application manifest
  cp "$REPO/apps/values/huge.yaml" "$REPO/apps/manifest/all.yaml"
  application nested
  { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: '; head -c 2000000 /dev/zero | tr '\0' '['; echo; } >"$REPO/apps/nested/all.yaml"
  application billion
  { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n'; cat "$REPO/apps/aliases/all.yaml"; } >"$REPO/apps/billion/all.yaml"
  plan
  says values 'huge.yaml.*larger than'
  says manifest 'all.yaml.*larger than'
  says nested 'all.yaml.*(nest|deep|depth)'
  says billion 'all.yaml.*alias'
  says recursion '(nested|recurs|depth|unable to execute)'
  says memory 'it wants more than 2 GiB of memory'
  says output 'its output is larger than 67108864 bytes'
  says generated 'its output is larger than 67108864 bytes'
  says aliases '.'
}

# Kustomize writes the values of a chart that it inflates into a file, which is no longer there when it was killed.
endless() {
  local value=value-of-${SCRATCH##*.}
  git_folder
  good
  chart endless <<<"$LOOP"
  kustomization inflated <<<"helmCharts: [{name: a, releaseName: a, valuesInline: {password: $value}}]"
  mkdir -p "$REPO/apps/inflated/charts"
  cp -R "$REPO/apps/endless" "$REPO/apps/inflated/charts/a"
  echo '{}' >"$REPO/apps/inflated/charts/a/values.yaml"
  plan --render-timeout 2s
  says endless 'it did not end within 2.0 s'
  says inflated 'it did not end within 2.0 s'
  is "$(grep -ls "$value" /tmp/kustomize-helm-*/* || true)" '' 'no value stays behind elsewhere'
}

# ---- what is killed, and with whom ----
children() { # PID: all below it
  local c
  for c in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    echo "$c"
    children "$c"
  done
}
all_gone() { local p; for p in "$@"; do [[ ! -d /proc/$p ]] || return 1; done; }

# Values lie in files for as long as helm runs; after SIGKILL until the next run.
killed() {
  local signal pid below
  git_folder
  chart endless 'helm: {values: "password: open-sesame"}' <<<"$LOOP"
  for signal in TERM KILL; do
    "$REGROW" plan "$REPO/root" >/dev/null 2>&1 &
    pid=$!
    wait_for 10 'helm to run' bash -c "grep -qs . /proc/$pid/task/$pid/children"
    below=$(children "$pid")
    kill -$signal "$pid"
    wait "$pid" || true
    # shellcheck disable=SC2086 # several
    check "with $signal what it started goes too" wait_for 5 'its end' all_gone $below
    [[ $signal == KILL ]] || is "$(ls -A "$TMPDIR")" '' "with $signal no file stays behind"
  done
  check 'with KILL a value does' grep -rqs open-sesame "$TMPDIR"
  git_folder
  good
  check 'the next run' "$REGROW" plan "$REPO/root"
  is "$(ls -A "$TMPDIR")" '' 'takes it away'
}

# What a renderer sees is what it needs.
environment() {
  local real name
  git_folder
  chart good 'helm: {parameters: [{name: password, value: open-sesame}, {name: number, value: "7"}]}' <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: good}
data: {password: {{ .Values.password | quote }}, kind: {{ kindOf .Values.number | quote }}}
Y
  real=$(readlink -f "$(command -v helm)")
  # It may write nowhere but where it is run: what it was given it prints.
  executable "$SCRATCH/bin/helm" <<<"#!/bin/bash
$real \"\$@\"
printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: given}\ndata: {argv: %s, environ: %s}\n' \"\$(printf '%s\n' \"\$@\" | base64 -w0)\" \"\$(env | base64 -w0)\""
  PATH="$SCRATCH/bin:${real%/*}:$PATH" REGROW_PASSPHRASE=open-sesame AWS_SECRET_ACCESS_KEY=open-sesame \
    "$REGROW" render -o json "$REPO/root" good >"$SCRATCH/out"
  for name in argv environ; do
    jq -r --arg n "$name" '.. | objects | select(.metadata.name? == "given") | .data[$n]' "$SCRATCH/out" | base64 -d >"$SCRATCH/$name"
  done
  check 'a chart is rendered, of which helm is told' grep -qx good "$SCRATCH/argv"
  rm "$SCRATCH/bin/helm"
  is "$(cut -d= -f1 "$SCRATCH/environ" | sort -u | tr '\n' ' ')" \
    'GIT_ALLOW_PROTOCOL GIT_TERMINAL_PROMPT GOMEMLIMIT HELM_CACHE_HOME HELM_CONFIG_HOME HELM_DATA_HOME HELM_PLUGINS HELM_REGISTRY_CONFIG HELM_REPOSITORY_CACHE HELM_REPOSITORY_CONFIG HOME LC_ALL PATH PWD SHLVL TMPDIR _ ' \
    'in an environment that is made for it'
  unlike "$(cat "$SCRATCH/argv" "$SCRATCH/environ")" 'open-sesame' 'and no value of a parameter is an argument'
  "$REGROW" render "$REPO/root" good >"$SCRATCH/out"
  like "$(cat "$SCRATCH/out")" 'kind: (float64|int64)' 'numbers stay numbers'
  like "$(cat "$SCRATCH/out")" 'password: open-sesame' 'and text is what it was'
}

# ---- credential programs ----
kubeconfig() { # COMMAND [ARGUMENTS-JSON]
  jq -n --arg command "$1" --argjson args "${2:-[]}" '{apiVersion: "v1", kind: "Config", "current-context": "c",
    clusters: [{name: "c", cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: "c", context: {cluster: "c", user: "u"}}],
    users: [{name: "u", user: {exec: {apiVersion: "client.authentication.k8s.io/v1", command: $command, args: $args, interactiveMode: "Never"}}}]}' >"$SCRATCH/kubeconfig"
}

# plugin NAME CODE REGEX [ARGUMENTS-JSON]: standard input is the program
plugin() {
  executable "$SCRATCH/bin/login" 
  kubeconfig "$SCRATCH/bin/login" "${4:-[]}"
  refuse "$1" "$2" env REGROW_PASSPHRASE=open-sesame REGROW_WAIT_CLUSTER=100ms "$REGROW" status --kubeconfig "$SCRATCH/kubeconfig" --timeout "${PLUGIN_TIME:-30s}" "$REPO/root"
  like "$OUT" "$3" "$1: says so"
  is "$(grep -c '^✗ ' <<<"$OUT" || true)" 1 "$1: once"
  check "$1: nothing of it was run by a shell" test ! -e "$PWNED"
}

CREDENTIAL='{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}'
plugins() {
  git_folder
  good
  plugin 'a credential program that writes without end' 5 'credential plugin .*/login: its output is larger than 1048576 bytes' <<<'#!/bin/sh
exec yes'
  PLUGIN_TIME=2s plugin 'one that does not end' 8 'credential plugin .*/login' <<<'#!/bin/sh
exec sleep 1000'
  plugin 'one that takes all memory' 5 'credential plugin .*/login failed' <<<'#!/usr/bin/python3
a = []
while True: a.append(bytearray(1 << 26))'
  plugin 'one that leaves others behind' 7 '127.0.0.1:1' '["$(touch '"$PWNED"')", "; touch '"$PWNED"'"]' <<<"#!/bin/sh
sleep 987 &
echo \$! >$SCRATCH/left
env >$SCRATCH/env
echo '$CREDENTIAL'"
  check 'which go with it' wait_for 5 'its end' all_gone "$(<"$SCRATCH/left")"
  unlike "$(cat "$SCRATCH/env")" 'open-sesame|REGROW_' 'and nothing of ours is in its environment'
}

# A credential helper of Git's, the same.
helpers() {
  githttp_start
  git_folder
  good
  git_publish "$REPO" private >/dev/null
  executable "$SCRATCH/bin/flood" <<<"#!/bin/sh
sleep 986 &
echo \$! >$SCRATCH/left
exec yes"
  git config --global credential.helper "$SCRATCH/bin/flood"
  refuse 'a credential helper that writes without end' 5 "$REGROW" plan --git-credentials "$HTTP_URL/auth/git/private.git//root"
  like "$OUT" 'access denied' 'has no credential'
  check 'and goes with what it left' wait_for 5 'its end' all_gone "$(<"$SCRATCH/left")"
}

run_case escapes escapes
run_case fields fields
run_case circles circles
run_case deep deep
run_case spellings spellings
run_case special special
run_case asks asks
run_case 'a link out' links "$SCRATCH/outside.yaml"
run_case 'a link up' links ../../../../outside.yaml
run_case 'a link to a device' links /dev/zero
run_case packed packed
run_case programs programs
run_case bases bases
run_case bounds bounds
run_case endless endless
run_case killed killed
run_case environment environment
run_case plugins plugins
run_case helpers helpers
