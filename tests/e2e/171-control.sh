#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 200
#
# What people ask of a controller arrives, is followed to its end, and is told: with a stand-in that
# takes and answers requests as the controller does, by the same code, and applies nothing. Once
# with our definition of Application and once with one that has a status subresource.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
TOOL=$BUILD/tests/reconcile/tool_status

application() { # NAME [SYNC-POLICY]
  kubectl apply --server-side -f - >/dev/null <<EOT
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: "https://git.example.com/shop.git", path: deploy}
  destination: {server: "https://kubernetes.default.svc", namespace: shop}
  syncPolicy: {${2:-}}
EOT
}

status_is() { # NAME JQ WANT WHAT
  is "$(kubectl get application "$1" -n argocd -o json | jq -c "$2")" "$3" "$4"
}

prepare() { # JQ-FILTER of the definition
  sed '/^#/d' "$ROOT/deploy/reconcile/application-crd.yaml" | kubectl create --dry-run=client -o json -f - |
    jq "$1" | kubectl apply --server-side -f - >/dev/null
  kubectl wait --for=condition=Established crd/applications.argoproj.io --timeout=20s >/dev/null
  kubectl create namespace argocd >/dev/null
}

requests() {
  application shop
  application kept 'automated: {}'
  spawn controller "$TOOL" 100
  cluster_is 10 Synced get application kept -n argocd -o 'jsonpath={.status.sync.status}'
  like "$(kubectl get applications -n argocd)" 'SYNC STATUS +HEALTH STATUS' "kubectl shows Argo CD's columns"
  like "$("$REGROW" sync shop --revision v1 --wait)" 'sync done in .* at v1' 'a sync is followed to its end'
  like "$("$REGROW" sync argocd/shop --revision slow --wait)" 'at slow' 'and one that takes a while'
  refuse 'one that fails says so' 10 "$REGROW" sync shop --revision bad --wait
  like "$OUT" 'one object was refused' 'with the reason'
  status_is shop '[.operation, .status.operationState.phase]' '[null,"Failed"]' 'it is taken out and told'
  is "$("$REGROW" refresh shop --hard --wait -o json | jq -r .state)" succeeded 'a refresh is followed'
  status_is shop '.metadata.annotations["argocd.argoproj.io/refresh"]' null 'and taken out'
  is "$("$REGROW" history shop -o json | jq -c '[.history[] | [.id, .revision]]')" '[[0,"v1"],[1,"slow"]]' \
    'history has what succeeded'
  check 'a rollback brings back what was there before' "$REGROW" rollback shop --wait
  is "$("$REGROW" history shop -o json | jq -r '.history[-1].revision')" v1 'which is deployed again'
  refuse 'no rollback to what is not there' 4 "$REGROW" rollback shop 99
  refuse 'nor while automated sync is on' 3 "$REGROW" rollback kept 0
  like "$OUT" '--suspend' 'the way out is named'
  check 'suspended' "$REGROW" suspend kept
  status_is kept '.metadata.annotations["argocd.argoproj.io/skip-reconcile"]' '"true"' 'it is marked'
  check 'resumed' "$REGROW" resume kept
  status_is kept '.metadata.annotations["argocd.argoproj.io/skip-reconcile"]' null 'and not any more'
  refuse 'a name that is none' 4 "$REGROW" sync nobody
  unlike "$(kubectl get application shop -n argocd -o json --show-managed-fields |
    jq -r '.metadata.managedFields[] | select(.fieldsV1["f:operation"]) | .manager')" '^regrow$' \
    'what is asked for is not the controller'"'"'s doing'
  kubectl create configmap end -n default >/dev/null
  wait_for 10 'the end' grep -q '^end:' "$SCRATCH/controller.log"
  like "$(tail -n 1 "$SCRATCH/controller.log")" 'all written, [0-9]+ writes, 0 failed' 'all of it was written'
  like "$(kubectl get events -n argocd -o json | jq -r '.items[].reason' | sort -u | tr '\n' ' ')" \
    'OperationCompleted OperationStarted ResourceUpdated' 'events tell it too'
  is "$(audit_rejected)" 0 'no write was refused'
}

# Nobody takes it: it is not waited for longer than was said, and stays.
unanswered() {
  refuse 'not answered in time' 8 "$REGROW" refresh shop --wait --timeout 2s
  is "$(kubectl get application shop -n argocd -o json | jq -r '.metadata.annotations["argocd.argoproj.io/refresh"]')" \
    normal 'what was asked for stays'
  check 'without waiting' "$REGROW" sync shop --no-wait
  refuse 'a second one is refused as long as the first was not taken' 6 "$REGROW" sync shop --no-wait
}

cluster_up main
prepare .
run_case requests requests
run_case unanswered unanswered
cluster_wipe
prepare '.spec.versions[0].subresources = {status: {}}'
run_case 'status subresource' requests
