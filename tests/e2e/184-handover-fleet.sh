#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Real add-ons with live webhooks, custom resources and tenants, brought up for Argo CD: its own
# comparison finds nothing to change in any application, and what a commit takes out of a chart's
# values goes when it applies. Killed in the middle of a change of who reconciles, the same command
# goes on, and nothing is left of the one before.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared upstream
if [[ ${1:-} != inside ]]; then
  status=0
  "$LIB/netns" bash "$0" inside || status=$?
  if ((status == 77)); then skip_all 'no network of its own for webhooks on pods'; fi
  trap - EXIT
  exit "$status"
fi
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"
. "$LIB/handover.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
SEED=${SEED:-1}
REPO=$SCRATCH/fleet

boot() { "$REGROW" bootstrap --timeout 2m "$@" "$ROOT_URL"; }
publish() { git_publish "$REPO" fleet >/dev/null; }

# Helm itself renders no chart that names a dependency which is not in its folder, used or not; Argo
# CD would fetch it first.
vendored_only() {
  python3 - "$REPO"/charts/*/Chart.yaml <<'P'
import os, re, sys
for path in sys.argv[1:]:
    have = os.path.join(os.path.dirname(path), "charts")
    text = open(path).read()
    head, sep, deps = text.partition("\ndependencies:\n")
    keep = lambda m: m[0] if os.path.isdir(f"{have}/{m[2]}") else ""
    deps = re.sub(r"^( *)- name: ([\w-]+)\n(?:\1  .*\n)*", keep, deps, flags=re.M)
    open(path, "w").write(head + (sep + deps if deps.strip().startswith("- ") else "\n" + deps))
P
}

# Definitions that kubectl's annotation cannot hold are applied by the server, as everybody has it.
make_fleet() {
  fleet_make "$REPO" "$HTTP_URL/git/fleet.git" 2
  rm "$REPO/root/s-metrics-server.yaml" # its API is served by nobody here, and discovery tells of that
  vendored_only
  sed -i 's/CreateNamespace=true/&, ServerSideApply=true/' "$REPO"/root/*-crds.yaml
  sed -i 's|path: charts/sealed-secrets|&\n    helm: {valuesObject: {podLabels: {stays: a, goes: b}, args: [--stays, --goes]}}|' \
    "$REPO/root/t-sealed-secrets.yaml"
  publish
}
leaves_git() {
  sed -i 's/, goes: b//; s/, --goes//' "$REPO/root/t-sealed-secrets.yaml"
  sed -i '/^kind: Middleware/,/^---/d; /^apiVersion: traefik.io/d' "$REPO/platform/all.yaml"
  publish
}

# What Argo CD would render: with helm, for what the cluster serves; hooks are not compared.
applications() { ls "$REPO/root" | sed 's/^[a-z]-//; s/\.yaml$//'; }
file_of() { ls "$REPO"/root/*"$1.yaml" | grep -E "/([a-z]-)?$1\.yaml$"; }
namespace_of() { sed -n 's/.*namespace: \([a-z0-9-]*\)}$/\1/p' "$(file_of "$1")"; }
path_of() { sed -n 's/^    path: //p' "$(file_of "$1")"; }
served() {
  kubectl get --raw /openapi/v2 >/dev/null
  kubectl api-versions
  kubectl api-resources --no-headers | awk '{print $(NF - 2) "/" $NF}'
}
as_it_is() {
  KUBE_VERSION=$(kubectl version -o json | jq -r .serverVersion.gitVersion)
  API_VERSIONS=$(served | sort -u | paste -sd,)
}
handover_place() { # NAME
  local path ns out=$SCRATCH/rendered/$1
  path=$(path_of "$1") ns=$(namespace_of "$1")
  if [[ ! -f $REPO/$path/Chart.yaml ]]; then
    echo "$ns $REPO/$path"
    return
  fi
  mkdir -p "$out"
  sed -n 's/.*valuesObject: \(.*\)}$/\1/p' "$(file_of "$1")" >"$out.values"
  helm template "$REPO/$path" --name-template "$1" --namespace "$ns" --include-crds --no-hooks -f "$out.values" \
    --kube-version "$KUBE_VERSION" --api-versions "$API_VERSIONS" >"$out/all.yaml"
  echo "$ns $out"
}
server_side() { grep -q ServerSideApply "$(file_of "$1")" && echo --server-side || true; }

finds_nothing() {
  local app found all=0
  check 'the fleet comes up, for Argo CD' boot --then=argocd
  is "$(audit_rejected)" 0 'without a rejected write'
  as_it_is
  for app in $(applications); do
    found=$(argocd_diff "$app" $(server_side "$app"))
    # Of hooks that have run the tool tells as of extra objects; Argo CD passes them over.
    [[ $app != kyverno ]] || found=${found#1 extra }
    like "$found" '^[1-9][0-9]* same$' "it finds nothing to change in $app ($found)"
    all=$((all + ${found%% *}))
  done
  is "$(sed -n 's/^extra //p' "$SCRATCH/told" | grep -vc kyverno-migrate-resources || true)" 0 'nor anything to delete'
  echo "# $all objects compared"
  grep -Ev '^same|Endpoints is deprecated' "$SCRATCH/told" | cut -c 1-600 | sed 's/^/# /' || true
}

takes_out() {
  as_it_is
  leaves_git
  like "$(argocd_diff sealed-secrets)" '1 differs [0-9]+ same' 'it sees what a commit takes out of the values of a chart'
  is "$(argocd_diff platform)" '1 extra 8 same' 'and an object that is gone'
  argocd_sync sealed-secrets
  argocd_sync platform
  is "$(kubectl get deploy -n kube-system sealed-secrets -o json | jq -c '.spec.template | [.metadata.labels.stays, .metadata.labels.goes, ([.spec.containers[].args[] | select(. == "--stays" or . == "--goes")] | join(" "))]')" \
    '["a",null,"--stays"]' 'all of it goes when it applies, and nothing else'
  cluster_is 20 '' get middlewares.traefik.io -A -o name
  ok 'the object too'
}

# How many objects somebody applies, but for our own records.
applied_by() { # MANAGER
  kubectl get deploy,svc,sa,cm,secret,role,rolebinding,clusterrole,crd -A -o json --show-managed-fields |
    jq --arg m "$1" '[.items[] | select(.metadata.namespace != "regrow-system" and any(.metadata.managedFields[]?; .manager == $m and .operation == "Apply"))] | length'
}
given_back() { exec "$REGROW" bootstrap --timeout 2m --then=none "$ROOT_URL"; } # it is the process
killed_in_a_switch() {
  local i pid code hit=0 all
  boot --then=argocd >/dev/null # what the commit has changed
  all=$(applied_by argocd-controller)
  RANDOM=$SEED
  for ((i = 0; i < 3; i++)); do
    given_back >"$SCRATCH/killed" 2>&1 &
    pid=$!
    sleep "$((1 + i / 2)).$((RANDOM % 10))"
    kill -9 "$pid" 2>/dev/null || true
    code=0
    wait "$pid" 2>/dev/null || code=$?
    ((code == 0)) || hit=$((hit + 1))
    echo "# killed: of $all $(applied_by regrow) are given back"
  done
  isnt "$hit" 0 "it was running then ($hit)"
  check 'killed in the middle, the same command goes on' boot --then=none
  is "$(applied_by argocd-controller)" 0 'and nothing is the former manager'"'"'s'
  is "$(applied_by regrow)" "$all" 'all is as if it had not been killed'
  is "$(boot -o json | jq .objects.written)" 0 'nothing is left to write'
}

githttp_start
ROOT_URL=$HTTP_URL/git/fleet.git//root?ref=main
cluster_up main
spawn addons controlplane addonsim "$CLUSTER" --delay 1s
make_fleet
run_case 'Argo CD finds nothing' finds_nothing
run_case 'what leaves Git' takes_out
run_case 'killed' killed_in_a_switch
