#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Where manifests come from: Helm repositories, OCI registries, kustomize and its options, several
# sources with value files of another, several repositories, the mirror map, the cache. No cluster.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo

# application NAME SPEC: the root with this one application
application() {
  rm -rf "$REPO/root"
  mkdir -p "$REPO/root"
  cat >"$REPO/root/app.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: web}
$2
Y
  git_publish "$REPO" repo >/dev/null
}

root() { echo "$HTTP_URL/git/repo.git//root?ref=main"; }
rendered() { "$REGROW" render "$@" "$(root)" 2>&1 || true; }

chart() { # FOLDER
  mkdir -p "$1/templates"
  printf 'apiVersion: v2\nname: web\nversion: 1.2.3\n' >"$1/Chart.yaml"
  printf 'color: red\nnested: {a: 1}\n' >"$1/values.yaml"
  cat >"$1/templates/cm.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  color: {{ .Values.color | quote }}
  a: {{ .Values.nested.a | quote }}
  file: {{ .Values.file | default "" | quote }}
  kube: {{ .Capabilities.KubeVersion.Minor | quote }}
Y
}

helm_values() {
  chart "$REPO/charts/web"
  printf 'color: fromfile\n' >"$REPO/charts/web/prod.yaml"
  printf 'text\n' >"$REPO/charts/web/note.txt"
  application w "  source:
    repoURL: $HTTP_URL/git/repo.git
    path: charts/web
    targetRevision: main
    helm:
      valueFiles: [prod.yaml, missing.yaml]
      ignoreMissingValueFiles: true
      valuesObject: {nested: {a: 2}}
      parameters: [{name: color, value: 'a,b'}]
      fileParameters: [{name: file, path: note.txt}]"
  like "$(rendered)" 'color: a,b' 'parameters win, commas are escaped'
  like "$(rendered)" 'a: "2"' 'valuesObject is merged'
  like "$(rendered)" 'file: |' 'fileParameters are read'
  like "$(rendered --kube-version 1.33.0)" 'kube: "33"' 'the version of the target is seen'
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/web, helm: {valueFiles: [missing.yaml]}}"
  like "$(rendered)" 'missing.yaml' 'a missing value file is an error'
}

# What a chart makes up stays what it was from one process to the next, and lies nowhere in the clear.
made_up() {
  local first value
  chart "$REPO/charts/made"
  cat >"$REPO/charts/made/templates/secret.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: made}
stringData: {password: "{{ randAlphaNum 24 }}"}
Y
  application made "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/made}"
  first=$(rendered)
  value=$(sed -n 's/^ *password: //p' <<<"$first")
  like "$value" '^[A-Za-z0-9]{32}$' 'a chart makes up a password'
  is "$(rendered)" "$first" 'the next process has the same one'
  refuse 'it is in no file of the cache' 1 grep -rqaF -e "$value" -e "$(base64 -d <<<"$value")" "$XDG_CACHE_HOME"
  is "$(stat -c %a "$HOME/.local/state/regrow/cache.key")" 600 'the key is for its owner alone'
  rm "$HOME/.local/state/regrow/cache.key"
  unlike "$(rendered)" "$value" 'and without it what was kept cannot be read'
}

# A folder of generators could inflate a chart from anywhere on the machine.
unseen_generators() {
  mkdir -p "$REPO/gen/more"
  printf 'generators: [one.yaml, more]\n' >"$REPO/gen/kustomization.yaml"
  printf 'apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: a}\nname: web\nchartHome: ../charts\n' >"$REPO/gen/one.yaml"
  printf 'resources: [two.yaml]\n' >"$REPO/gen/more/kustomization.yaml"
  printf 'apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: b}\nname: foreign\nchartHome: %s\n' \
    "$SCRATCH/foreign" >"$REPO/gen/more/two.yaml"
  chart "$SCRATCH/foreign/foreign"
  application gen "  source: {repoURL: $HTTP_URL/git/repo.git, path: gen}"
  like "$(rendered)" 'could inflate charts nobody has seen' 'generators in a folder, beside charts, are refused'
  printf 'generators: [one.yaml]\n' >"$REPO/gen/kustomization.yaml"
  printf -- '---\napiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: b}\nname: foreign\nchartHome: %s\n' \
    "$SCRATCH/foreign" >>"$REPO/gen/one.yaml"
  application gen "  source: {repoURL: $HTTP_URL/git/repo.git, path: gen}"
  like "$(rendered)" 'chart foreign of gen cannot be placed' 'and the second document of a file is looked at'
}

helm_files() { # value files by pattern, by variable, by URL; what is no option; locks
  mkdir -p "$REPO/charts/web/env/deep"
  printf 'color: a\n' >"$REPO/charts/web/env/a.yaml"
  printf 'color: b\nnested: {a: b}\n' >"$REPO/charts/web/env/b.yaml"
  printf 'nested: {a: deep}\n' >"$REPO/charts/web/env/deep/c.yaml"
  printf 'color: app\n' >"$REPO/charts/web/w.yaml"
  local source="repoURL: $HTTP_URL/git/repo.git, path: charts/web"
  application w "  source: {$source, helm: {valueFiles: ['env/*.yaml']}}"
  like "$(rendered)" 'color: b' 'a pattern takes files in the order of their names'
  like "$(rendered)" 'a: b' 'and stays in its folder'
  application w "  source: {$source, helm: {valueFiles: ['env/**/*.yaml', env/a.yaml]}}"
  like "$(rendered)" 'color: a' 'a file that is named by itself stands where it is named'
  like "$(rendered)" 'a: deep' 'two stars cross folders'
  application w "  source: {$source, helm: {valueFiles: ['none/*.yaml']}}"
  like "$(rendered)" 'values file glob "none/\*.yaml" matched no files' 'no match is an error'
  application w "  source: {$source, helm: {valueFiles: [\$ARGOCD_APP_NAME.yaml, /charts/web/env/b.yaml]}}"
  like "$(rendered)" 'color: b' 'variables and the root of the repository'
  application w "  source: {$source, helm: {fileParameters: [{name: file, path: \$ARGOCD_APP_NAME.yaml}]}}"
  like "$(rendered)" 'color: app' 'variables in the path of a file parameter'
  application w "  source: {$source, helm: {valueFiles: [w.yaml], valuesObject: {}, values: 'color: text'}}"
  like "$(rendered)" 'color: app' 'an empty object of values wins over text'
  application w "  source: {$source, helm: {valueFiles: ['s3://bucket/x.yaml']}}"
  like "$(rendered)" "the URL scheme 's3' is not allowed" 'another scheme is refused by name'
  application w "  source: {$source, helm: {valueFiles: ['$HTTP_URL/files/values.yaml']}}"
  printf 'color: url\n' >"$FILES_ROOT/values.yaml"
  like "$(rendered)" 'color: url' 'a value file by URL'
  application w "  source: {$source, helm: {releaseName: '--post-renderer=/bin/false'}}"
  like "$(rendered)" 'release name.*invalid|invalid release name' 'a release name is never an option of helm'
  application w "  source: {$source, helm: {fileParameters: [{name: 'x=/etc/hostname,file', path: note.txt}]}}"
  like "$(rendered)" 'is malformed' 'nor does a file parameter read this machine'
  application w "  source: {$source, helm: {parameters: [{name: color, value: first}, {name: color, value: '\$\$x-\${ARGOCD_APP_NAMESPACE}'}]}}"
  like "$(rendered)" 'color: \$x-web' 'the last of two parameters, filled'
  application w "  source: {$source, helm: {parameters: [{name: color, value: 3}]}}"
  like "$(rendered)" 'color: the value is not text' 'a parameter that is no text'
  application w "  sources: [{$source, helm: {valueFiles: [\$x/a.yaml]}}, {repoURL: $HTTP_URL/git/repo.git, ref: other}]"
  like "$(rendered)" '\$x/a.yaml: no source has that ref; application w has \$other' 'a ref that no source has'
  application w "  source: {$source, helm: {valueFiles: [\$values/gone.yaml]}}"
  like "$(rendered)" '\$values/gone.yaml: no source has that ref; application w has no source with a ref' 'nor the only source'
  application w "  source: {$source, helm: {valueFiles: [\$ARGOCD_APP_NAME/gone.yaml]}}"
  like "$(rendered)" 'value file \$ARGOCD_APP_NAME/gone.yaml' 'a variable is no ref'
}

locked() { # the lock of a chart decides which version of a dependency comes
  local url d=$REPO/charts/dep
  mkdir -p "$SCRATCH/old"
  chart "$SCRATCH/old/web"
  sed -i 's/version: 1.2.3/version: 1.2.0/' "$SCRATCH/old/web/Chart.yaml"
  sed -i 's/color: red/color: old/' "$SCRATCH/old/web/values.yaml"
  charts_package "$SCRATCH/old/web" repo >/dev/null
  url=$(charts_index repo)
  mkdir -p "$d"
  printf 'apiVersion: v2\nname: dep\nversion: 1.0.0\ndependencies:\n- {name: web, version: "^1.2.0", repository: "%s"}\n' "$url" >"$d/Chart.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/dep}"
  like "$(rendered)" 'color: red' 'without a lock the highest version comes'
  printf 'dependencies:\n- {name: web, repository: "%s", version: 1.2.0}\n' "$url" >"$d/Chart.lock"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/dep}"
  like "$(rendered)" 'color: old' 'with one the version it says'
  printf 'dependencies:\n- {name: web, repository: "%s", version: 0.9.0}\n' "$url" >"$d/Chart.lock"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/dep}"
  like "$(rendered)" 'Chart.lock. is out of sync' 'one that contradicts the chart is an error'
  rm "$d/Chart.lock"
  printf 'apiVersion: v1\nname: dep\nversion: 1.0.0\n' >"$d/Chart.yaml"
  printf 'dependencies:\n- {name: web, version: 1.2.0, repository: "%s"}\n' "$url" >"$d/requirements.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/dep}"
  like "$(rendered)" 'color: old' 'an old chart lists its dependencies in requirements.yaml'
  printf 'dependencies:\n- {name: web, version: 1.2.0, repository: "@stable"}\n' >"$d/requirements.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/dep}"
  like "$(rendered)" 'repositories by alias' 'a repository by alias is refused by name'
}

repositories() {
  charts_package "$REPO/charts/web" repo >/dev/null
  local url
  url=$(charts_index repo)
  application w "  source: {repoURL: $url, chart: web, targetRevision: '>=1.0.0 <2'}"
  like "$(rendered)" 'color: red' 'a chart of a Helm repository, by constraint'
  like "$("$REGROW" plan "$(root)")" 'helm 1.2.3' 'plan says which version'
  application w "  source: {repoURL: $url, chart: web, targetRevision: 9.9.9}"
  like "$(rendered)" 'no version satisfies' 'a version that does not exist'
  application w "  source: {repoURL: https://charts.example.com, chart: web, targetRevision: 1.2.3}"
  like "$(rendered --mirror "https://charts.example.com=$url")" 'color: red' 'a mirror takes the place of a repository'
  like "$(rendered --mirror "https://charts.example.com=$FILES_ROOT/charts/repo")" 'color: red' 'a folder too'
}

registries() {
  oci_start
  oci_push "$(charts_package "$REPO/charts/web" oci)"
  application w "  source: {repoURL: $OCI_URL/web, path: ., targetRevision: 1.2.3}"
  like "$(rendered)" 'color: red' 'a chart of an OCI registry'
  application w "  source: {repoURL: $OCI_URL/web, path: ., targetRevision: '^1'}"
  like "$(rendered)" 'color: red' 'by constraint'
  oci_stop
}

several_sources() {
  rm -rf "$SCRATCH/values"
  mkdir -p "$SCRATCH/values/env"
  printf 'color: fromref\n' >"$SCRATCH/values/env/prod.yaml"
  git_publish "$SCRATCH/values" values >/dev/null
  mkdir -p "$REPO/plain/sub"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n' >"$REPO/plain/a.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep}\n' >"$REPO/plain/sub/b.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: left-out}\n' >"$REPO/plain/sub/c.yaml"
  application w "  sources:
  - {repoURL: $HTTP_URL/git/repo.git, path: charts/web, helm: {valueFiles: [\$v/env/prod.yaml]}}
  - {repoURL: $HTTP_URL/git/values.git, ref: v, targetRevision: main}
  - {repoURL: $HTTP_URL/git/repo.git, path: plain, directory: {recurse: true, exclude: '*c.yaml'}}"
  local out
  out=$(rendered)
  like "$out" 'color: fromref' 'value files of another repository'
  like "$out" 'name: plain' 'a directory beside the chart'
  like "$out" 'name: deep' 'recursed into'
  unlike "$out" 'left-out' 'but for what is excluded'
}

kustomized() {
  mkdir -p "$REPO/base" "$REPO/overlay"
  printf 'resources: [cm.yaml, deploy.yaml]\n' >"$REPO/base/kustomization.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: b}\n' >"$REPO/base/cm.yaml"
  cat >"$REPO/base/deploy.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  selector: {matchLabels: {a: d}}
  template: {metadata: {labels: {a: d}}, spec: {containers: [{name: c, image: "web:1"}]}}
Y
  printf 'resources: [../base]\nnamePrefix: old-\n' >"$REPO/overlay/kustomization.yaml"
  application w "  source:
    repoURL: $HTTP_URL/git/repo.git
    path: overlay
    kustomize:
      namePrefix: new-
      images: ['web=other/web:2']
      replicas: [{name: d, count: 3}]
      commonLabels: {team: '\$ARGOCD_APP_NAME'}
      commonAnnotations: {note: hello}
      patches: [{target: {kind: ConfigMap}, patch: \"- op: add\\n  path: /data/c\\n  value: d\"}]"
  local out
  out=$(rendered)
  like "$out" 'name: new-cm' 'namePrefix replaces the one that is there'
  like "$out" 'image: other/web:2' 'images'
  like "$out" 'replicas: 3' 'replicas'
  like "$out" 'team: w' 'labels, with build variables'
  like "$out" 'note: hello' 'annotations'
  like "$out" 'c: d' 'patches'
}

inflated() { # charts within kustomizations: fetched as any other, through mirrors and cache
  local url
  url=$(charts_index repo)
  mkdir -p "$REPO/inflated"
  cat >"$REPO/inflated/kustomization.yaml" <<'Y'
namePrefix: k-
helmCharts:
- {name: web, repo: https://charts.example.com, version: 1.2.3, releaseName: r, valuesInline: {color: inline}}
Y
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: inflated}"
  local out
  out=$(rendered --mirror "https://charts.example.com=$url")
  like "$out" 'color: inline' 'a chart that a kustomization inflates'
  like "$out" 'name: k-r' 'and changes'
  like "$(rendered --offline --mirror "https://charts.example.com=$url")" 'color: inline' 'from the cache'
  like "$(rendered)" 'chart web' 'one that cannot be had is named'
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: overlay, kustomize: {version: v4.5.7}}"
  like "$(rendered)" 'kustomize version v4.5.7 is not registered' 'another version is refused by name'
}

optional_subcharts() {
  chart "$REPO/charts/opt"
  printf 'apiVersion: v2\nname: opt\nversion: 1.0.0\ndependencies:\n- {name: gone, version: 1.0.0, repository: "https://nowhere.example.com", condition: gone.enabled}\n' >"$REPO/charts/opt/Chart.yaml"
  printf 'color: red\nnested: {a: 1}\ngone: {enabled: false}\n' >"$REPO/charts/opt/values.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/opt}"
  like "$(rendered)" 'color: red' 'a chart whose optional sub-chart is off and absent'
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: charts/opt, helm: {parameters: [{name: gone.enabled, value: 'true'}]}}"
  like "$(rendered)" 'dependency gone' 'switched on, what is missing is named'
}

offline() {
  local url
  url=$(charts_index repo)
  application w "  source: {repoURL: https://charts.example.com, chart: web, targetRevision: 1.2.3}"
  like "$(rendered --mirror "https://charts.example.com=$url")" 'color: red' 'once it was read'
  githttp_stop
  like "$(rendered --offline --mirror "https://charts.example.com=$url")" 'color: red' 'offline everything comes from the cache'
  like "$(rendered)" 'Could|refused|connect' 'without --offline the lost host is named'
}

githttp_start
# What is large is parsed once; whatever its output depends on is in the key.
large_folders() {
  local kept=$XDG_CACHE_HOME/regrow/render before after i
  mkdir -p "$REPO/large" "$REPO/shared"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked}\ndata: {a: one}\n' >"$REPO/shared/linked.yaml"
  ln -sf ../shared/linked.yaml "$REPO/large/linked.yaml"
  for ((i = 0; i < 1000; i++)); do
    printf -- '---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: c-%d}\nspec: {z: "%040d", a: 1.50, b: 0x1F, c: 1e3}\n' $i $i
  done >"$REPO/large/all.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: large}"
  before=$(find "$kept" -type f | wc -l)
  after=$(rendered)
  like "$after" 'a: one' 'rendered'
  is "$(find "$kept" -type f | wc -l)" $((before + 1)) 'and kept'
  check 'the same from the cache' test "$(rendered)" == "$after"
  check 'and anew' test "$(rendered --refresh)" == "$after"
  sed -i 's/a: one/a: two/' "$REPO/shared/linked.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: large}"
  like "$(rendered)" 'a: two' 'where a link leads counts'
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: large, directory: {exclude: 'linked*'}}"
  unlike "$(rendered)" 'name: linked' 'what is left out too'
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice, name: thrice}\n' >>"$REPO/large/all.yaml"
  application w "  source: {repoURL: $HTTP_URL/git/repo.git, path: large}"
  like "$(rendered --allow-duplicate-keys)" 'name: thrice' 'a lenient reading'
  like "$(rendered)" 'duplicate' 'is no strict one'
}

run_case helm helm_values
run_case 'made up' made_up
run_case 'unseen generators' unseen_generators
run_case 'value files' helm_files
run_case repositories repositories
run_case locks locked
run_case registries registries
run_case 'several sources' several_sources
run_case kustomize kustomized
run_case 'inflated charts' inflated
run_case 'optional sub-charts' optional_subcharts
run_case 'large folders' large_folders
run_case offline offline
