#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# A failure stays local: one broken chart, one forbidden kind, one webhook that never answers. All
# that does not depend on them is healthy, the exit code is 10, and why names each.
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

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo

local_failures() {
  local root="$HTTP_URL/git/fleet.git//root?ref=main" status=0
  fleet_make "$REPO" "$HTTP_URL/git/fleet.git" 3
  rm "$REPO"/root/{r-kyverno,s-metrics-server,t-sealed-secrets,u-traefik,v-prometheus-crds,w-gateway-api}.yaml
  # of the platform only what cert-manager and external-secrets bring
  sed -i '/^apiVersion: traefik/,$d' "$REPO/platform/all.yaml"
  mkdir -p "$REPO/charts/broken/templates"
  printf 'apiVersion: v2\nname: broken\nversion: 1.0.0\n' >"$REPO/charts/broken/Chart.yaml"
  echo '{{ fail "this chart is broken" }}' >"$REPO/charts/broken/templates/x.yaml"
  fleet_app broken broken charts/broken >"$REPO/root/broken.yaml"
  mkdir -p "$REPO/forbidden"
  printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n' >"$REPO/forbidden/x.yaml"
  { fleet_app forbidden forbidden forbidden | sed 's/project: default/project: strict/'
    printf -- '---\napiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: strict, namespace: argocd}\nspec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "*"}], clusterResourceWhitelist: [{group: "", kind: Namespace}], namespaceResourceBlacklist: [{group: "", kind: Secret}]}\n'
  } >"$REPO/root/forbidden.yaml"
  git_publish "$REPO" fleet >/dev/null
  spawn addons controlplane addonsim "$CLUSTER" --delay 1s --never external-secrets-webhook
  "$REGROW" bootstrap --timeout 30s "$root" >"$SCRATCH/out" 2>&1 || status=$?
  is "$status" 10 'the run ends with exit code 10'
  ((status == 10)) || tail -20 "$SCRATCH/out"
  like "$(cat "$SCRATCH/out")" 'broken.*this chart is broken' 'the broken chart is named'
  like "$(cat "$SCRATCH/out")" 'forbidden.*not permitted in project strict' 'the forbidden kind is named'
  like "$(cat "$SCRATCH/out")" 'webhook validate' 'the silent webhook is named'
  is "$(audit_rejected)" 0 'no write is rejected'
  for app in cert-manager tenant-1 tenant-2 tenant-3 eso-crds; do
    like "$("$REGROW" why "$app" "$root")" 'healthy' "$app does not depend on them and is healthy"
  done
  is "$(kubectl get certificate -n platform edge -o 'jsonpath={.status.conditions[0].status}')" True \
    'what waits beside the silent webhook is healthy'
  like "$("$REGROW" why broken "$root")" 'this chart is broken' 'why names the chart'
  like "$("$REGROW" why platform "$root")" 'ClusterSecretStore|ExternalSecret' 'why leads to what is held back'
  stop addons
  spawn addons2 controlplane addonsim "$CLUSTER" --delay 0s
  rm "$REPO/root/broken.yaml" "$REPO/root/forbidden.yaml"
  git_publish "$REPO" fleet >/dev/null
  check 'with the causes gone the same command ends well' "$REGROW" bootstrap --timeout 60s "$root"
}

githttp_start
cluster_up main
run_case 'local failures' local_failures
