#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# A hub with 50 registered clusters, of which five hang and five refuse: the others converge
# undisturbed, and follow a commit; two replicas share them; one is killed, and the other has its
# share within the time of the Lease. A Secret that goes deletes nothing. The commands on clusters.
#
# What stands for a cluster: 40 sessions are real ones against a real API server, each with an address,
# a connection, watches, a Lease and an inventory of its own (regrow.dev/records-namespace), as fleets
# that share a cluster have them. It is one API server, because forty of them are more than a machine
# of tests holds: what it does not show is forty servers' worth of answers. Those that hang are a port
# that accepts and says nothing; those that refuse are a closed port, a token that is none, and a
# certificate of nobody.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
GOOD=$(seq -f 's%02g' 1 40)
HANG=$(seq -f 's%02g' 41 45)
REFUSE=$(seq -f 's%02g' 46 50)
cd "$SCRATCH"

commit() { # VALUE
  local n
  mkdir -p "$REPO/root"
  for n in $GOOD $HANG $REFUSE; do
    mkdir -p "$REPO/apps/$n"
    cat >"$REPO/root/$n.yaml" <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: app-$n, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$REPO", path: apps/$n, targetRevision: main}
  destination: {name: $n, namespace: ns-$n}
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

# secrets: a Secret for each cluster
secrets() {
  local port
  port=$(kubectl config view --raw -o 'jsonpath={.clusters[0].cluster.server}')
  port=${port##*:}
  kubectl config view --raw -o json | jq --arg port "$port" --arg dead "$(free_port)" --arg hang "$HANG_PORT" '
    .clusters[0].cluster["certificate-authority-data"] as $ca | .users[0].user as $u
    | {serverName: "localhost", caData: $ca} as $tls
    | {apiVersion: "v1", kind: "List", items: [range(1; 51) | ("s" + ("0" + tostring)[-2:]) as $n | . as $i
      | {apiVersion: "v1", kind: "Secret", metadata: {name: ("cluster-" + $n), namespace: "argocd",
          labels: {"argocd.argoproj.io/secret-type": "cluster"}, annotations: {"regrow.dev/records-namespace": ("records-" + $n)}},
        stringData: {name: $n,
          server: "https://\($n).localhost:\(if $i <= 40 then $port elif $i <= 45 then $hang elif $i <= 47 then $dead else $port end)",
          config: ({tlsClientConfig: (if $i <= 47 then $tls + {certData: $u["client-certificate-data"], keyData: $u["client-key-data"]}
              elif $i <= 49 then $tls else {serverName: "localhost", certData: $u["client-certificate-data"], keyData: $u["client-key-data"]} end)}
            + (if $i == 48 or $i == 49 then {bearerToken: "nobody"} else {} end) | tojson)}}]}' | kubectl apply -f - >/dev/null
}

hang_up() {
  HANG_PORT=$(free_port)
  spawn hang python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(200)
time.sleep(600)' "$HANG_PORT"
}

replica() { # NAME
  local port
  port=$(free_port)
  echo "$port" >"$1.port"
  "$REGROW" reconcile -o ndjson --poll 2s --listen "127.0.0.1:$port" "file://$REPO//root?ref=main" >"$1.events" 2>"$1.err" &
  echo $! >"$1.pid"
  at_exit kill_replica "$1"
}
kill_replica() { kill "$(<"$1.pid")" 2>/dev/null || true; }

fleet() { curl -sf -m 10 "http://127.0.0.1:$(<"$1.port")/api/v1/fleet" | jq -r "$2"; }
kept() { fleet "$1" '[.clusters[] | select(.leader)] | length'; }
has_value() { [[ $(kubectl get cm -A -l fleet=member -o json | jq --arg x "$1" '[.items[] | select(.data.x == $x)] | length') -ge $2 ]]; }
shared() {
  local a b
  a=$(kept a) b=$(kept b)
  ((a + b == 51 && a >= 25 && b >= 25 && a <= 26 && b <= 26))
}
ill_are_known() {
  [[ $({ fleet a '.clusters[] | select(.leader)'; fleet b '.clusters[] | select(.leader)'; } 2>/dev/null |
    jq -s -c '[.[].state] | group_by(.) | map({(.[0]): length}) | add') == '{"ok":41,"refused":3,"unreachable":7}' ]]
}

cluster_up main
kubectl create namespace argocd >/dev/null
kubectl apply --server-side -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
commit 1
hang_up
secrets
replica a
replica b
began=$SECONDS
wait_for 60 'all that are well to converge' has_value 1 40
echo "# 40 clusters had converged after $((SECONDS - began)) s"
ok 'the others converge, whatever five that hang and five that refuse do'
wait_for 30 'both replicas to have their half' shared
ok 'two replicas share them'
wait_for 40 'the ill ones to be known as such' ill_are_known
ok 'and it is known what is wrong with the ill ones'
is "$(kubectl get ns -o name | grep -c -E 'ns-s(4[1-9]|50)' || true)" 0 'nothing of theirs is anywhere'
is "$(kubectl get applications -n argocd -o json | jq '[.items[] | select(.status.sync.status == "Synced" and .status.health.status == "Healthy")] | length')" \
  40 'their Application objects on the hub say so'

commit 2
began=$SECONDS
wait_for 30 'a commit to be everywhere' has_value 2 40
echo "# a commit was everywhere after $((SECONDS - began)) s"
ok 'a commit reaches all of them'

is "$("$REGROW" cluster list -o json | jq '[.clusters[] | select(.state == "ok" and .leader)] | length')" 41 'cluster list says who keeps what'
check 'cluster check connects, and asks what may be done' "$REGROW" cluster check s01
refuse 'of one whose token is none it says so' 5 "$REGROW" cluster check s48
refuse 'nobody is there to confirm a removal' 2 "$REGROW" cluster remove s40
check 'a cluster is removed' "$REGROW" cluster remove s40 --yes
wait_for 20 'its session to end' bash -c "! curl -sf http://127.0.0.1:$(<a.port)/api/v1/fleet | grep -q '\"s40\"'"
sleep 1
is "$(kubectl get cm -n ns-s40 settings -o 'jsonpath={.data.x}')" 2 'what is on it stays'
check 'and is added again, of a context' "$REGROW" cluster add s51 --from-kubeconfig "$KUBECONFIG"
is "$(kubectl get secret -n argocd cluster-s51 -o json | jq -r '.data.config | @base64d | fromjson.tlsClientConfig | .insecure, (.certData | length > 0)' | xargs)" \
  'false true' 'as Argo CD would read it'
is "$(grep -c 'PRIVATE KEY\|BEGIN CERT' a.events b.events a.err b.err | grep -v ':0$' || true)" '' 'no credential is in any output'

victim=$(fleet a '[.clusters[] | select(.leader and .state == "ok" and .name != "in-cluster" and .name != "s51")][0].name')
began=$(date +%s%N)
kill -9 "$(<a.pid)"
has_share() { [[ $(fleet b '.holder as $own | [.clusters[] | select(.holder == $own)] | length') == 51 ]]; }
keeps_it() { [[ $(fleet b "[.clusters[] | select(.leader and .state == \"ok\" and .name == \"$victim\")] | length") == 1 ]]; }
wait_for 40 'the other to have its share' has_share
took=$((($(date +%s%N) - began) / 1000000))
echo "# the share of the one that was killed was the other's after $took ms"
check 'the other has it within the 15 s of the Lease, and five for what a busy machine takes' test "$took" -le 20000
wait_for 40 'the sessions to begin' keeps_it
kubectl patch cm -n "ns-$victim" settings --type=merge -p '{"data":{"x":"hand"}}' >/dev/null
wait_for 40 'a drift there to be healed' bash -c "[[ \$(kubectl get cm -n ns-$victim settings -o 'jsonpath={.data.x}') == 2 ]]"
ok 'and heals what is changed there'
echo "# one replica with 51 clusters: $(awk '/VmRSS|Threads/ {printf "%s %s ", $1, $2}' "/proc/$(<b.pid)/status") $(ls "/proc/$(<b.pid)/fd" | wc -l) descriptors"

code=0
kill -TERM "$(<b.pid)"
wait "$(<b.pid)" || code=$?
is "$code" 0 'told to stop it ends'
is "$(kubectl get lease -n regrow-system -l regrow.dev/fleet=cluster -o json | jq '[.items[] | select(.spec.holderIdentity != "")] | length')" 0 \
  'and has given everything back'
