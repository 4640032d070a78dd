#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1500
#
# Real add-ons with live webhooks, custom resources and tenants come up in one pass: every
# application healthy, no write rejected, no object written twice, and a second run writes nothing.
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
TENANTS=${TENANTS:-50}

bootstrap() { # OUTPUT
  "$REGROW" bootstrap --timeout 4m -o json "$HTTP_URL/git/fleet.git//root?ref=main" >"$1"
}

orders_hold() {
  audit_before 'customresourcedefinitions - certificates.cert-manager.io' 'cert-manager.io/certificates platform edge' \
    && ok 'a definition comes before its resources' || fail 'a definition comes before its resources'
  audit_before 'cert-manager.io/clusterissuers - le' 'cert-manager.io/certificates platform edge' \
    && ok 'an issuer comes before its certificate' || fail 'an issuer comes before its certificate'
  audit_before 'core/configmaps tenant-1 settings' 'apps/deployments tenant-1 api' \
    && ok 'a ConfigMap comes before its workload' || fail 'a ConfigMap comes before its workload'
  audit_before 'rbac.authorization.k8s.io/roles tenant-1 zz-api' 'rbac.authorization.k8s.io/rolebindings tenant-1 api' \
    && ok 'a Role comes before its binding' || fail 'a Role comes before its binding'
  audit_before 'core/namespaces - tenant-1' 'core/secrets tenant-1 keys' \
    && ok 'a Namespace comes first' || fail 'a Namespace comes first'
}

fleet() { # KIND
  local kind=$1 max
  rm -rf "$GIT_ROOT/fleet.git"
  fleet_make "$SCRATCH/fleet" "$HTTP_URL/git/fleet.git" "$TENANTS" "$kind"
  git_publish "$SCRATCH/fleet" fleet >/dev/null
  cluster_wipe
  spawn addons controlplane addonsim "$CLUSTER" --delay 2s
  check "$kind: every application becomes healthy" bootstrap "$SCRATCH/$kind.json"
  is "$(jq .applications.healthy "$SCRATCH/$kind.json")" $((TENANTS + 10)) "$kind: all of them"
  is "$(audit_rejected)" 0 "$kind: no write is rejected"
  audit_rejections | sed -n 1,5p
  max=$(audit_max "$AUDIT" 'migrate|startupapicheck|tenant-[0-9]+ done')
  is "${max%% *}" 1 "$kind: no object is written twice ($max)"
  orders_hold
  local writes
  writes=$(audit_writes)
  check "$kind: a second run is fine" bootstrap "$SCRATCH/again.json"
  is "$(audit_writes)" "$writes" "$kind: and writes nothing"
  is "$(jq .objects.written "$SCRATCH/again.json")" 0 "$kind: and says so"
  stop addons
}

githttp_start
cluster_up main
for kind in flat waves hooks; do run_case "fleet $kind" fleet "$kind"; TENANTS=12; done
