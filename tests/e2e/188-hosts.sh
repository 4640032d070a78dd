#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Replicas on two hosts, where the end of a process is seen by its Lease alone: what the one that was
# killed kept is the other's when that has run out, and not before; one that hung and comes back
# writes nothing more to what is another's by then. Each writes as a user of its own, so that the
# audit log tells which.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
CLUSTERS='s1 s2 s3'
LEASE_S=15   # of one whose holder is on another host
LIMIT_S=90   # 15 and up to 9 more, on a machine that may be slow

commit() { # VALUE
  local n
  mkdir -p "$REPO/root"
  for n in hub $CLUSTERS; do
    mkdir -p "$REPO/apps/$n"
    local to="name: $n"
    [[ $n != hub ]] || to='server: "https://kubernetes.default.svc"'
    cat >"$REPO/root/$n.yaml" <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: app-$n, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$REPO", path: apps/$n, targetRevision: main}
  destination: {$to, namespace: ns-$n}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
YAML
    cat >"$REPO/apps/$n/all.yaml" <<YAML
{apiVersion: v1, kind: Namespace, metadata: {name: ns-$n}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: ns-$n, labels: {fleet: member}}, data: {x: "$1"}}
YAML
  done
  [[ -d $REPO/.git ]] || git -C "$REPO" init -q -b main
  git -C "$REPO" add -A
  git -C "$REPO" -c user.name=t -c user.email=t@example.com commit -qm "$1"
}

# account NAME: a user of its own that may do all, with a kubeconfig for the hub
account() {
  kubectl create serviceaccount -n argocd "$1" >/dev/null
  kubectl create clusterrolebinding "$1" --clusterrole=cluster-admin --serviceaccount="argocd:$1" >/dev/null
  kubectl create token -n argocd "$1" --duration=1h >"$1.token"
  kubectl config view --raw -o json | jq --rawfile token "$1.token" '.users[0].user = {token: ($token | rtrimstr("\n"))}' >"$1.kubeconfig"
}

# The clusters of a fleet that shares one API server: each has its own address and records. The
# sessions of both replicas are one user there; the records tell them apart.
secrets() {
  local port
  port=$(kubectl config view --raw -o 'jsonpath={.clusters[0].cluster.server}')
  kubectl config view --raw -o json | jq --arg port "${port##*:}" --arg names "$CLUSTERS" '
    .clusters[0].cluster["certificate-authority-data"] as $ca | .users[0].user as $u
    | {apiVersion: "v1", kind: "List", items: [$names | split(" ")[] as $n
      | {apiVersion: "v1", kind: "Secret", metadata: {name: "cluster-\($n)", namespace: "argocd",
          labels: {"argocd.argoproj.io/secret-type": "cluster"}, annotations: {"regrow.dev/records-namespace": "records-\($n)"}},
        stringData: {name: $n, server: "https://\($n).localhost:\($port)",
          config: ({tlsClientConfig: {serverName: "localhost", caData: $ca, certData: $u["client-certificate-data"], keyData: $u["client-key-data"]}} | tojson)}}]}' |
    kubectl apply -f - >/dev/null
}

replica() { # NAME: on a host of that name
  local port
  port=$(free_port)
  echo "$port" >"$1.port"
  # shellcheck disable=SC2016
  unshare --uts bash -c 'hostname "$1"; shift; exec "$@"' - "host-$1" env KUBECONFIG="$PWD/$1.kubeconfig" \
    "$REGROW" reconcile -o ndjson --poll 1s --listen "127.0.0.1:$port" "file://$REPO//root?ref=main" >"$1.events" 2>"$1.err" &
  echo $! >"$1.pid"
  at_exit end_replica "$1"
}
end_replica() { kill -KILL "$(<"$1.pid")" 2>/dev/null || true; }

fleet() { curl -sf -m 10 "http://127.0.0.1:$(<"$1.port")/api/v1/fleet" | jq -r "$2"; }
kept() { fleet "$1" '[.clusters[] | select(.leader and .state == "ok") | .name] | sort | join(" ")'; }
keeps() { [[ $(kept "$1") == "$2" ]]; }
are_shared() { [[ $(kept a | wc -w) == 2 && $(kept b | wc -w) == 2 ]]; }
value() { kubectl get cm -n "ns-$1" settings -o 'jsonpath={.data.x}'; }
all_have() {
  local n
  for n in hub $CLUSTERS; do [[ $(value "$n") == "$1" ]] || return; done
}
ns_of() { [[ $1 == in-cluster ]] && echo hub || echo "$1"; }
holder_of() { # of the Lease by which a cluster is written to: its host
  local ns=records-$1
  [[ $1 != in-cluster ]] || ns=regrow-system
  kubectl get lease -n "$ns" regrow -o 'jsonpath={.spec.holderIdentity}' | cut -d/ -f1
}
renewed() { # when, by whom it was held: seconds
  local ns=records-$1
  [[ $1 != in-cluster ]] || ns=regrow-system
  kubectl get lease -n "$ns" regrow -o json | jq '.spec.renewTime | .[:19] + "Z" | fromdate'
}
first_write() { # CLUSTER SINCE: of its object, in seconds
  audit_jq '' '[accepted[] | select(object == "core/configmaps ns-'"$(ns_of "$1")"' settings")
    | .requestReceivedTimestamp | .[:19] + "Z" | fromdate | select(. >= '"$2"')] | min // 0'
}

come_up() {
  wait_for 90 'both to keep a share' are_shared
  wait_for 60 'all to be there' all_have 1
  is "$(for n in $(kept a) $(kept b); do holder_of "$n"; done | sort | uniq -c | xargs)" '2 host-a 2 host-b' \
    'two replicas on two hosts share a hub and three clusters'
}

killed() {
  local n lost at since
  lost=$(kept a)
  kill -KILL "$(<a.pid)"
  since=$(date +%s)
  for n in $lost; do renewed "$n" >"renewed-$n"; done
  commit 2
  wait_for "$LIMIT_S" 'the other to keep all' keeps b 'in-cluster s1 s2 s3'
  ok 'of one that was killed on another host the other has the share when its Lease is over'
  wait_for 60 'the commit to be everywhere' all_have 2
  for n in $lost; do
    is "$(holder_of "$n")" host-b "$n is the other's"
    at=$(first_write "$n" "$since")
    check "and was not written to before that Lease was over ($((at - $(<"renewed-$n"))) s)" \
      test "$at" -ge "$(($(<"renewed-$n") + LEASE_S - 1))"
  done
}

hung() {
  local n lost
  wait_for 90 'both to keep a share again' are_shared
  lost=$(kept b)
  kill -STOP "$(<b.pid)"
  wait_for "$LIMIT_S" 'the other to keep all' keeps a 'in-cluster s1 s2 s3'
  commit 3
  wait_for 60 'the commit to be everywhere' all_have 3
  kubectl get --raw /metrics >/dev/null # what was asked for before is in the log
  AUDIT_FROM=$(wc -l <"$AUDIT")
  kill -CONT "$(<b.pid)"
  for n in $lost; do kubectl patch cm -n "ns-$(ns_of "$n")" settings --type=merge -p '{"data":{"x":"hand"}}' >/dev/null; done
  wait_for 60 'it to be put back' all_have 3
  wait_for 60 'the one that came back to have its share, or to stand by' bash -c "curl -sf -m 5 http://127.0.0.1:$(<b.port)/api/v1/fleet >/dev/null"
  tail -n "+$((AUDIT_FROM + 1))" "$AUDIT" >after.log
  for n in $lost; do
    is "$(audit_jq after.log '[accepted[] | select(object == "core/configmaps ns-'"$(ns_of "$n")"' settings")] | length')" 1 \
      "$n was put back once, by one"
  done
  is "$(audit_rejections after.log | head -c 300)" '' 'and nothing was refused'
}

cd "$SCRATCH"
cluster_up main
kubectl create namespace argocd >/dev/null
kubectl apply --server-side -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
account a
account b
commit 1
secrets
replica a
replica b
run_case 'up' come_up
run_case 'killed' killed
wait "$(<a.pid)" 2>/dev/null || true
replica a
run_case 'hung' hung
