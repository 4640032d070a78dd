#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Real GitOps repositories, as they are, without a network: each is planned, what cannot be read is
# unknown with a reason this file knows, and every folder that kustomize or helm can render comes
# out of regrow as the same objects. What comes out is the table of docs/compatibility.md. Last, our
# own apps/ with the charts its vendors publish.
#
# WRITE=1 writes the table instead of comparing it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared repos
. "$LIB/layer.sh"
. "$LIB/repositories.sh"
. "$LIB/githttp.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
VERSION=1.34.0
DIFFERENTIAL=$ROOT/tests/source/objects-differential
TABLE=$ROOT/docs/compatibility.md
ROWS=$SCRATCH/rows
export KUBECTL=$SCRATCH/kubectl # what it makes of the same folders
mkdir -p "$ROWS" "$SCRATCH/plans" "$SCRATCH/same" "$KUBECTL"

# Why an application is unknown, in the words of the table. A reason that is not here fails.
REASONS=(
  'forbids to ask' 'its chart or repository is elsewhere, and nothing was fetched'
  'is neither a URL nor a folder' 'its registry is named without a scheme, and nothing says that it is one'
  'the scmProvider generator' 'the scmProvider generator'
  'the pullRequest generator' 'the pullRequest generator'
  'the clusterDecisionResource generator' 'the clusterDecisionResource generator'
  'project .* which does not exist' 'its AppProject is not in the repository'
  'path "\{\{path\}\}" does not exist' 'the repository names a parameter that nothing sets'
  'map has no entry for key' 'the repository names a parameter that nothing sets'
  'path "registry/[^"]*" does not exist' 'the repository names a folder that it does not hold'
  'is there twice' 'the repository holds two of the same name'
  'kubeVersion' 'the chart wants another Kubernetes'
)

reason_of() { # MESSAGE
  local i
  for ((i = 0; i < ${#REASONS[@]}; i += 2)); do
    if [[ $1 =~ ${REASONS[i]} ]]; then
      echo "${REASONS[i + 1]}"
      return
    fi
  done
  echo "?: $1"
}

# ---- plans ----
run_plan() { # FILE ARGS...: the answer as JSON; a crash, a hang or half an answer fails
  local file=$1 code=0
  shift
  timeout 60 "$REGROW" plan -o json --offline --kube-version "$VERSION" "$@" >"$file" 2>"$file.err" || code=$?
  [[ $code != 0 && $code != 10 ]] || jq -e .applications "$file" >/dev/null || code=99
  echo "$code"
}

# plan REPOSITORY LABEL ROOT...: a row of the table
plan() {
  local name=$1 label=$2 file i=0 code codes=() files=() message
  shift 2
  for root in "$@"; do
    file=$SCRATCH/plans/$name.$((i += 1)).json
    code=$(run_plan "$file" "$root")
    codes+=("$code")
    if [[ $code == 0 || $code == 10 ]]; then
      files+=("$file")
    elif [[ $code == 3 && $(cat "$file.err") == *'wait for each other'* ]]; then
      echo '{"applications":[{"name":"root"}],"objects":[],"steps":0,"refused":true}' >"$file"
      files+=("$file")
    else
      fail "$name: ${root#"$SCRATCH/"} ends with $code" "$(cat "$file.err")"
    fi
  done
  unlike "${codes[*]}" '124|13[0-9]|99|(^| )1( |$)' "$name: no crash, no hang, whole answers"
  unlike "$(cat "$SCRATCH/plans/$name".*.err)" 'runtime error|Sanitizer|assert' "$name: nothing is wrong inside"
  while IFS= read -r message; do reason_of "$message"; done \
    < <(jq -r '.applications[1:][] | select(.state == "unknown") | .problem' "${files[@]}") |
    sort | uniq -c | sed -E "s|^ *([0-9]+) (.*)|$label\t\1\t\2|" >"$ROWS/why.$name"
  unlike "$(cat "$ROWS/why.$name")" $'\t\\?: ' "$name: every reason is known"
  jq -rs --arg title "$label" --argjson roots $# '
    [.[].applications[1:][]] as $a | def n(s): [$a[] | select(.state == s)] | length;
    [$title, $roots, ($a | length), n("known"), n("unknown"), n("other-cluster"),
     ([.[].objects | length] | add), ([.[].steps] | max),
     ([.[] | select(.refused)] | length)] | map(tostring) | "| " + join(" | ") + " |"' \
    "${files[@]}" >"$ROWS/plan.$name"
}

application_layer() {
  local d=$SCRATCH/layer code=0
  layer_make "$d"
  "$BUILD/tests/bench/timed" "$SCRATCH/layer.json" "$REGROW" plan -o json --offline --kube-version "$VERSION" "$d" \
    >"$SCRATCH/plans/layer.json" 2>"$SCRATCH/layer.err" || code=$?
  is "$code" 10 'the Application layer of 1,190 is planned: nothing of the sources is there'
  is "$(jq -c '[.applications[1:][] | select(.name | test("^a[0-9]+-"))] | length' "$SCRATCH/plans/layer.json")" 1190 'with every Application'
  is "$(jq '[.applications[1:][] | select(.state == "unknown" and .problem == null)] | length' "$SCRATCH/plans/layer.json")" 0 'and a reason for each that is unknown'
  is "$(jq '.peak_kb < 150 * 1024' "$SCRATCH/layer.json")" true 'in less than 150 MB'
}

plans() {
  local d name platforms=() files=()
  while IFS= read -r name; do files+=("$name"); done < <(cd "$SCRATCH/argo-cd-applicationset-examples" &&
    grep -rlE '^kind: ApplicationSet$' . | sort | sed "s|^\.|$PWD|")
  plan argo-cd-applicationset-examples "Argo CD's ApplicationSet examples" "${files[@]}"
  d=$SCRATCH/theepicsaxguy-homelab/roots
  plan theepicsaxguy-homelab 'theepicsaxguy/homelab' "$d/infrastructure" "$d/applications"
  plan gitops-bridge-control-plane 'gitops-bridge control plane' "$SCRATCH/gitops-bridge-control-plane/root"
  for d in "$SCRATCH"/kubefirst-*/registry/{clusters/,}mgmt; do [[ ! -d $d ]] || platforms+=("$d"); done
  plan kubefirst-gitops-template 'kubefirst, 17 platforms' "${platforms[@]}"
  plan flux2-kustomize-helm-example 'flux2-kustomize-helm-example' \
    "$SCRATCH"/flux2-kustomize-helm-example/clusters/{staging,production}
  plan onedr0p-home-ops 'onedr0p/home-ops' "$SCRATCH/onedr0p-home-ops/kubernetes/flux/cluster"
}

# ---- the same objects as kustomize and helm ----
export REGROW VERSION
# Renders one folder twice into DIR: ours, theirs.yaml, and "result" where there is nothing to compare.
both() { # DIR FOLDER
  local ours=0 theirs=0 what
  mkdir "$1"
  timeout 60 "$REGROW" render -o json --offline --kube-version "$VERSION" "$2" "$(basename "$2")" >"$1/ours" 2>"$1/err" || ours=$?
  if [[ -f $2/Chart.yaml ]]; then
    helm template "$(basename "$2")" "$2" --include-crds --kube-version "$VERSION" -n default >"$1/theirs.yaml" 2>"$1/err2" || theirs=$?
  else
    kustomize build "$2" >"$1/theirs.yaml" 2>"$1/err2" || theirs=$?
  fi
  what="$(head -c 300 "$1/err" | tr '\n\t' '  ')"
  [[ $what != *Sanitizer* && $what != *'runtime error'* ]] || ours=99
  if [[ $ours.$theirs == 0.0 ]]; then
    [[ -f $2/Chart.yaml ]] || with_kubectl "$1" "$2"
    return 0
  fi
  case $ours.$theirs in
    0.*) echo 'ours alone' ;;
    3.0) if [[ $what == *'is no name for it'* ]] && grep -qE '^ *name: (\$\{|_$)' "$1/theirs.yaml"; then
      echo 'a template' # of Flux: what it would put in is no part of the folder
    else
      echo "theirs alone: $what"
    fi ;;
    [34].0) echo "theirs alone: $what" ;;
    [34].*) echo neither ;;
    *) echo "ends with $ours: $what" ;;
  esac >"$1/result"
}
export -f both

# The same folder a third time, by kubectl, whose kustomize is another build; it inflates no charts.
with_kubectl() { # DIR FOLDER
  local third=$KUBECTL/${1##*/}
  mkdir "$third"
  ln "$1/ours" "$third/ours"
  if kubectl kustomize "$2" >"$third/theirs.yaml" 2>"$third/err"; then
    return 0
  elif grep -q 'enable-helm' "$third/err"; then
    rm -r "$third"
  else
    tr '\n\t' '  ' <"$third/err" >"$third/result"
  fi
}
export -f with_kubectl

# The folders of the list, and the add-ons' own charts and kustomizations: "LABEL<TAB>FOLDER"
folders() {
  awk -F'\t' -v at="$SCRATCH" 'NR > 1 && $1 != "kubefirst-gitops-template" {
    sub("^\\./", "", $2); print $1 "\t" at "/" $1 "/" $2 }' "$REPOS/RENDER.tsv"
  find "$SCRATCH/add-ons" \( -name Chart.yaml -o -name kustomization.yaml \) -printf '%h\n' |
    grep -v '/charts/.*/charts/' | sort -u | sed 's/^/add-ons, from their own repositories\t/'
}

# "NUMBER<TAB>OBJECTS<TAB>RESULT", by number of the folder
results() { # FOLDER
  local file
  find "$1" -name theirs.yaml | while IFS= read -r file; do
    [[ -f ${file%/*}/result ]] || echo "$file"
  done | controlplane yamloracle | "$DIFFERENTIAL" || true
  for file in "$1"/*/result; do
    [[ -f $file ]] || continue
    file=${file%/result}
    printf '%s\t0\t%s\n' "${file##*/}" "$(cat "$file/result")"
  done
}

same() {
  # What a kustomization names beside its folder must be in one work tree with it.
  cp -R "$REGROW_SHARED/upstream" "$SCRATCH/add-ons"
  chmod -R u+w "$SCRATCH/add-ons"
  git init -q "$SCRATCH/add-ons"
  folders >"$SCRATCH/folders"
  awk -F'\t' -v at="$SCRATCH/same/" '{ print at NR; print $2 }' "$SCRATCH/folders" |
    xargs -d '\n' -P "$(nproc)" -n 2 bash -c 'both "$@"' -
  awk -F'\t' 'NR == FNR { n[$1] = $2; what[$1] = $3; next }
    { print $1 "\t" n[FNR] "\t" what[FNR] "\t" $2 }' <(results "$SCRATCH/same") "$SCRATCH/folders" >"$SCRATCH/compared"
  is "$(grep -vE $'\t(same|neither|ours alone|a template)\t' "$SCRATCH/compared" || true)" '' \
    'every folder that kustomize or helm can render is the same in regrow'
  at_most 250 "$(grep -c $'\tsame\t' "$SCRATCH/compared")" 'that is many folders'
  results "$KUBECTL" >"$SCRATCH/kubectl.compared"
  is "$(grep -v $'\tsame$' "$SCRATCH/kubectl.compared" || true)" '' 'and the same in kubectl, where no charts are named'
  at_most 150 "$(wc -l <"$SCRATCH/kubectl.compared")" 'these are many, too'
  awk -F'\t' '{ n[$1]++; same[$1] += $3 == "same"; objects[$1] += $2; other[$1] += $3 != "same" }
    END { for (k in n) printf "| %s | %d | %d | %d | %d |\n", k, n[k], same[k], objects[k], other[k] }' \
    "$SCRATCH/compared" | LC_ALL=C sort >"$ROWS/same"
}

# A comparison that cannot fail proves nothing.
sees_differences() {
  local d=$SCRATCH/differ
  mkdir -p "$d"
  printf '{"items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1"}}]}' >"$d/ours"
  printf '{"file":"%s/x","docs":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"%d"}}]}\n' \
    "$d" 1 "$d" 2 >"$d/theirs"
  printf '{"file":"%s/x","docs":[]}\n' "$d" >>"$d/theirs"
  refuse 'a difference is told' 1 "$DIFFERENTIAL" <"$d/theirs"
  like "$OUT" $'^differ\t1\tsame\n' 'equal is equal'
  like "$OUT" '/data/k: ours "1", theirs "2"' 'another value is seen'
  like "$OUT" 'ConfigMap a is ours alone' 'an object too many is seen'
}

# ---- the first command of somebody new: the repository's top ----
first_contact() {
  git_publish "$SCRATCH/gitops-bridge-control-plane" bridge >/dev/null
  refuse 'the top of a repository that holds Applications below' 3 "$REGROW" plan "$HTTP_URL/git/bridge.git?ref=main"
  like "$OUT" "ROOT may be meant to be $HTTP_URL/git/bridge.git//root\?ref=main, " 'says where these are'
  refuse 'a top that holds other files' 3 "$REGROW" plan "$SCRATCH/onedr0p-home-ops"
  refuse 'and Applications further down' 3 "$REGROW" plan "$SCRATCH/theepicsaxguy-homelab"
  like "$OUT" 'next: .*a folder that holds Applications: .*k8s/applications' 'says where these are, too'
  like "$("$REGROW" plan --offline "$SCRATCH/gitops-bridge-control-plane/root" || true)" 'and [0-9]+ more; -v shows them' \
    'of many problems the first ones'
  like "$("$REGROW" plan "$SCRATCH/flux2-kustomize-helm-example/clusters/staging")" \
    'objects for Flux .*does not read' 'what Flux would read is not passed over in silence'
}

# ---- our own: apps/ with the real charts, without a cluster ----
real_chart() { # FOLDER VERSION: as its project publishes it; what is off by default stays away
  local d=$SCRATCH/charts/${1##*/}
  mkdir -p "$SCRATCH/charts" "$SCRATCH/published"
  cp -R "$REGROW_SHARED/upstream/$1" "$d"
  chmod -R u+w "$d"
  rm -f "$d/Chart.lock"
  sed -i '/^dependencies:/,/^[a-z]/{/^dependencies:/d;/^[ -]/d}' "$d/Chart.yaml"
  helm package --version "$2" "$d" -d "$SCRATCH/published" >/dev/null
}

platform() {
  local mirrors d=$SCRATCH/platform out
  clone platform https://git.example.com/platform.git none
  cp -R "$ROOT/apps" "$d/"
  real_chart cert-manager/deploy/charts/cert-manager "$(version_in cert-manager)"
  real_chart external-secrets/deploy/charts/external-secrets "$(version_in external-secrets)"
  real_chart traefik/traefik "$(version_in traefik)"
  helm repo index "$SCRATCH/published"
  cp -R "$REGROW_SHARED/upstream/gateway-api" "$SCRATCH/gateway-api"
  git_publish "$SCRATCH/gateway-api" gateway-api >/dev/null
  git_tag gateway-api "$(version_in gateway-api)"
  mirrors=(--mirror "https://charts.jetstack.io=$SCRATCH/published"
    --mirror "https://charts.external-secrets.io=$SCRATCH/published"
    --mirror "https://traefik.github.io/charts=$SCRATCH/published"
    --mirror "https://github.com/kubernetes-sigs/gateway-api=$HTTP_URL/git/gateway-api.git")
  check 'apps/ can be planned, all of it' "$REGROW" plan "${mirrors[@]}" "$d/apps"
  out=$("$REGROW" plan -o json "${mirrors[@]}" "$d/apps")
  is "$(jq -r '[.applications[] | select(.state != "known" or (.name != "apps" and .objects == 0)) | .name] | join(" ")' <<<"$out")" '' \
    'every application is read, and holds something'
  is "$(jq -r '.warnings | length' <<<"$out")" 0 'without a warning'
  like "$(jq -r '.applications[] | select(.name == "issuers") | .waitsFor[]' <<<"$out")" 'webhook.cert-manager.io' \
    'issuers wait for the webhook that judges them'
  like "$(jq -r '.longestChain | join(" ")' <<<"$out")" 'cert-manager-webhook .*ClusterIssuer platform .*Gateway traefik/edge .*HTTPRoute' \
    'the longest chain leads from the webhook to the routes'
  is "$("$REGROW" plan -o json "${mirrors[@]}" --app issuers "$d/apps" | jq -r '[.applications[].name] | join(" ")')" \
    'apps cert-manager issuers' '--app: one application and what it depends on'
  refuse 'an application that is not there' 4 "$REGROW" plan "${mirrors[@]}" --app issuer "$d/apps"
  refuse 'a version that is none' 2 "$REGROW" plan --kube-version newest "$d/apps"
  # What a forker reads: every chart pinned to one version, every workload with requests.
  is "$(grep -rhE 'targetRevision: .*[*^~<>x]|targetRevision: (HEAD|latest)' "$ROOT/apps" || true)" '' 'every chart is pinned'
  is "$("$REGROW" render -o json "${mirrors[@]}" "$d/apps" | jq -r '.items[] | select(.kind == "Deployment") |
    .spec.template.spec.containers[] | select(.resources.requests == null) | .name')" '' 'every container requests what it needs'
}

# A long name, on a terminal of 60 columns: cut, never broken over lines.
narrow() {
  local d=$SCRATCH/narrow name=payments-reconciliation-of-the-european-settlement-platform
  local screen=(tmux -L "regrow-$$")
  clone narrow https://git.example.com/narrow.git none
  mkdir -p "$d/root" "$d/app"
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: %s}\nspec:\n  project: default\n  destination: {name: in-cluster, namespace: web}\n  source: {repoURL: https://git.example.com/narrow.git, path: app}\n' "$name" >"$d/root/app.yaml"
  printf 'apiVersion: example.com/v1\nkind: Settlement\nmetadata: {name: x}\n' >"$d/app/x.yaml"
  at_exit "${screen[@]}" kill-server
  "${screen[@]}" -f /dev/null new-session -d -x 60 -y 24 \
    "TERM=xterm-256color '$REGROW' plan '$d/root'; sleep 60"
  wait_for 20 'a plan on the screen' bash -c "tmux -L 'regrow-$$' capture-pane -p | grep -q waits"
  like "$("${screen[@]}" capture-pane -p)" $'\n  └─ payments-[a-z-]*…  1  waits for ' 'a long name leaves room beside it'
  like "$("$REGROW" plan "$d/root")" "─ $name  1  waits for Settlement CRD" 'a pipe gets it whole'
}

version_in() { sed -n 's/^ *targetRevision: //p' "$ROOT/apps/$1.yaml" | head -1; }

# ---- the table ----
table() {
  sed '/^<!-- made/,$d' "$TABLE"
  echo '<!-- made by tests/e2e/90-repositories.sh: WRITE=1 writes what follows -->'
  printf '\n## Plans\n\n| repository | roots | applications | read | unknown | for other clusters | objects | steps | refused roots |\n|---|---|---|---|---|---|---|---|---|\n'
  cat "$ROWS"/plan.*
  printf '\n| repository | unknown | because |\n|---|---|---|\n'
  sed -E 's/(.*)\t(.*)\t(.*)/| \1 | \2 | \3 |/' "$ROWS"/why.*
  printf '\n## Folders\n\n| repository | folders | the same | objects in them | not to be rendered offline, or templates for Flux |\n|---|---|---|---|---|\n'
  cat "$ROWS/same"
}

clone argo-cd-applicationset-examples https://github.com/argoproj/argo-cd.git
clone flux2-kustomize-helm-example https://github.com/fluxcd/flux2-kustomize-helm-example
clone onedr0p-home-ops https://github.com/onedr0p/home-ops
make_homelab
make_bridge
for platform in "$REPOS"/kubefirst-gitops-template/tree/*/; do make_kubefirst "$(basename "$platform")"; done
githttp_start
run_case 'comparison' sees_differences
run_case 'plans' plans
run_case 'layer' application_layer
run_case 'folders' same
run_case 'first contact' first_contact
run_case 'platform' platform
run_case 'narrow' narrow
[[ -z ${CASE:-} ]] || exit 0
table >"$SCRATCH/compatibility.md"
if [[ ${WRITE:-} == 1 ]]; then cp "$SCRATCH/compatibility.md" "$TABLE"; fi
check 'docs/compatibility.md tells it as it is' diff "$TABLE" "$SCRATCH/compatibility.md"
