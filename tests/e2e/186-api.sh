#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# The API of a controller that runs, as docs/serving.md says it, over TLS and with tokens that the API
# server reviews: who may do what; a sync with and without deletions, a suspension and its end; what the
# documents tell of drift, suspension and operations; pushes, also one that comes while the one before is
# being read; certificate and secrets that come, and change, while it runs. The controller has the account
# of deploy/reconcile and is refused nothing; Kubernetes Events tell of what it does.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
cd "$SCRATCH"

# ---- the repository: shop is rendered by kustomize, which takes as long as the file `hold` is there ----
kustomize_real=$(readlink -f "$(command -v kustomize)")
mkdir bin
cat >bin/kustomize <<K
#!/bin/sh
while [ -e '$SCRATCH/hold' ]; do sleep 0.05; done
exec '$kustomize_real' "\$@"
K
chmod +x bin/kustomize
PATH=$SCRATCH/bin:${kustomize_real%/*}:$PATH

application() { # NAME SYNC-POLICY
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: "$HTTP_URL/git/platform.git", targetRevision: main, path: $1}
  destination: {server: "https://kubernetes.default.svc", namespace: $1}
  syncPolicy: {$2, syncOptions: [CreateNamespace=true]}
Y
}
map() { printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {v: "%s"}\n' "$1" "$2"; }
publish() { git_publish "$REPO" platform >"$SCRATCH/commit"; }
commit() { cat "$SCRATCH/commit"; }
set_shop() { # VALUE
  { map settings "$1" && { [[ -n ${NO_EXTRA:-} ]] || map extra 1; }; } >"$REPO/shop/all.yaml"
  publish
}
make_repo() {
  mkdir -p "$REPO/root" "$REPO/shop" "$REPO/blog"
  application shop 'automated: {}'
  application blog 'automated: {prune: true}'
  echo 'resources: [all.yaml]' >"$REPO/shop/kustomization.yaml"
  map page 1 >"$REPO/blog/all.yaml"
  set_shop 1
}
shop_is() { [[ $(kubectl get cm -n shop settings -o 'jsonpath={.data.v}') == "$1" ]]; }

# ---- who asks ----
accounts() {
  local who
  kubectl apply -f "$ROOT/deploy/reconcile/base/namespace.yaml" -f "$ROOT/deploy/reconcile/base/rbac.yaml" \
    -f "$ROOT/deploy/reconcile/access.yaml" -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
  kubectl config view --raw >own.config
  KUBECONFIG=own.config kubectl config set-credentials own --token="$(kubectl -n regrow-system create token regrow)" >/dev/null
  KUBECONFIG=own.config kubectl config set-context --current --user=own >/dev/null
  for who in viewer operator nobody; do
    kubectl -n default create serviceaccount "$who" >/dev/null
    [[ $who == nobody ]] || kubectl create clusterrolebinding "$who" --clusterrole="regrow-$who" --serviceaccount="default:$who" >/dev/null
    (umask 077 && kubectl -n default create token "$who" >"$who.token")
  done
  kubectl create clusterrolebinding scraper --clusterrole=regrow-metrics-reader --serviceaccount=default:viewer >/dev/null
}
as() { echo "Authorization: Bearer $(<"$1.token")"; }
# code WHO PATH ARGUMENTS...: the status alone; the answer is in the file body
code() { curl -s --cacert shown.crt -m 15 -o body -w '%{http_code}' ${1:+-H "$(as "$1")"} "${@:3}" "$URL$2" || true; }
post() { code "$1" "/api/v1/applications/$2" -X POST -H 'Content-Type: application/json' -d "${3:-{\}}"; }
app() { code viewer "/api/v1/applications/$1" >/dev/null && jq -c "$2" body; } # NAME JQ
app_is() { [[ $(app "$1" "$2") == "$3" ]]; }
metric() { code viewer /metrics >/dev/null && grep "^$1" body; }
queue_is_empty() { [[ $(metric regrow_queue_depth) == 'regrow_queue_depth 0' ]]; }
object() { kubectl get application -n argocd "$1" -o json | jq -c "$2"; }

certificate() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext 'subjectAltName=DNS:localhost' -days 3 \
    -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
# As kubelet does it: a link that is set anew.
put() { mkdir "data-$1" && cp "$1.crt" "data-$1/tls.crt" && cp "$1.key" "data-$1/tls.key" && ln -sfn "data-$1" new && mv -T new data; }

hmac() { openssl dgst -sha256 -hmac "$1" <"$2" | sed 's/.* //'; }
push() { # [SECRET]
  jq -nc --arg url "$HTTP_URL/git/platform.git" '{repository: $url, ref: "refs/heads/main"}' >push.json
  code '' /api/webhook -H 'Content-Type: application/json' -H "X-Hub-Signature-256: sha256=$(hmac "${1:-secret}" push.json)" --data-binary @push.json
}

access() {
  local path
  for path in /healthz /readyz; do is "$(code '' "$path")" 200 "$path is for everybody"; done
  for path in /metrics /api/v1/applications /api/v1/applications/shop /api/v1/fleet /api/v1/events; do
    is "$(code '' "$path")" 401 "$path: without a token"
    is "$(code nobody "$path")" 403 "$path: with one that may not"
  done
  for path in /api/v1/applications /api/v1/applications/shop /api/v1/fleet; do
    is "$(code viewer "$path")" 200 "$path: with one that may"
  done
  is "$(post '' shop/sync)" 401 'an act without a token'
  is "$(post nobody shop/sync)" 403 'with one that may not'
  is "$(post viewer shop/suspend)" 403 'who may look may not act'
  is "$(post operator nothing/sync)" 404 'nothing is asked of what is not there'
  is "$(post operator shop/sync '{"prnue":true}')" 400 'nor what nobody knows'
  like "$(jq -r .message body)" 'does not know "prnue"' 'and why'
  is "$(post operator shop/sync '{"prune":"yes"}')" 400 'nor what is neither yes nor no'
  is "$(post operator shop/resume '{"prune":true}')" 400 'nor what is of another act'
  is "$(code viewer /api/v1/applications && jq -c '[.applications[] | [.name, .sync, .health, .suspended]] | sort' body)" \
    '200[["blog","Synced","Healthy",false],["platform","Synced","Healthy",false],["shop","Synced","Healthy",false]]' 'all of them are told'
  is "$(app shop '[.namespace, .objects, .ready, .missing, .differing, .operation.phase]')" \
    "[\"argocd\",3,3,0,0,\"Succeeded\"]" 'and one'
}

its_status_says() { [[ $(object shop '[.operation, .status.operationState.phase, .status.operationState.operation.initiatedBy.username]') == "$1" ]]; }
syncs() {
  reconcile_mark
  is "$(post operator shop/sync)" 202 'a sync is accepted'
  reconcile_saw 60 '.type == "sync.asked" and .app == "shop" and .by == "system:serviceaccount:default:operator"'
  ok 'and done, for who asked'
  wait_for 60 'the event' grep -q '^event: sync.asked' followed
  ok 'who follows the events hears of it'
  wait_for 60 'the operation' app_is shop '.operation.phase' '"Succeeded"'
  wait_for 60 'its Application' its_status_says '[null,"Succeeded","system:serviceaccount:default:operator"]'
  ok 'its Application tells of it'
  is "$(post operator platform/sync)" 202 'of the root, too, which has no Application'
  reconcile_saw 60 '.type == "sync.asked" and .app == "platform" and .by == "system:serviceaccount:default:operator"'
  wait_for 60 'the answer' bash -c "kubectl -n regrow-system get cm control-answers -o json | jq -e '.data.platform | fromjson | .operationState.phase == \"Succeeded\"'"
  ok 'through the ConfigMap'
  reconcile_mark
  is "$(post operator shop/refresh '{"hard":true}')" 202 'and so is a look at its sources'
  wait_for 60 'the annotation to be taken out' bash -c "[[ \$(kubectl get application -n argocd shop -o json | jq '.metadata.annotations // {} | has(\"argocd.argoproj.io/refresh\")') == false ]]"
  reconcile_settled 60 "$(commit)"
}

prunes() {
  NO_EXTRA=1 set_shop 1
  is "$(push)" 202 'a push is accepted'
  reconcile_settled 60 "$(commit)"
  reconcile_mark
  is "$(post operator shop/sync)" 202 'a sync without deletions'
  reconcile_saw 60 '.type == "turn.finished" and (.apps | index("shop"))'
  wait_for 60 'its request to be taken out' bash -c "[[ \$(kubectl get application -n argocd shop -o json | jq .operation) == null ]]"
  is "$(kubectl get cm -n shop extra -o name)" configmap/extra 'deletes nothing'
  is "$(post operator shop/sync '{"prune":true}')" 202 'one with them'
  wait_for 60 'extra to be deleted' bash -c '! kubectl get cm -n shop extra -o name'
  ok 'deletes what Git has no more'
}

suspends() {
  is "$(post operator shop/suspend)" 202 'a suspension is accepted'
  wait_for 60 'shop to be suspended' app_is shop '.suspended' true
  is "$(object shop '.metadata.annotations["argocd.argoproj.io/skip-reconcile"]')" '"true"' 'it stands in its Application'
  like "$(metric regrow_app_info)" 'name="shop".*suspended="true"' 'metrics say it'
  NO_EXTRA=1 set_shop 2
  is "$(push)" 202 'a push'
  reconcile_settled 60 "$(commit)"
  check 'changes nothing of it' shop_is 1
  wait_for 60 'the queue to be empty' queue_is_empty
  ok 'and nothing is owed to it'
  is "$(post operator shop/resume)" 202 'its end is accepted'
  wait_for 60 'what Git says' shop_is 2
  ok 'and it is made as Git says'
  wait_for 60 'shop to be suspended no more' app_is shop '.suspended' false
  is "$(post operator platform/suspend)" 202 'the root'
  wait_for 60 'the root to be suspended' app_is platform '.suspended' true
  is "$(post operator platform/resume)" 202 'and back'
  wait_for 60 'the root to be suspended no more' app_is platform '.suspended' false
  ok 'likewise'
}

drift() {
  kubectl patch cm -n shop settings --field-manager=somebody --type=merge -p '{"data":{"v":"hand"}}' >/dev/null
  wait_for 60 'drift' app_is shop '.drift | length' 1
  is "$(app shop '.drift[0] | [.kind, .namespace, .name, .pointer, .manager, .healed]')" \
    '["ConfigMap","shop","settings","/data/v","somebody",false]' 'what another changed is told, field by field'
  like "$(app shop '.drift[0].at')" '^"20[0-9-]+T[0-9:]+Z"$' 'with its time'
  is "$(app shop .sync)" '"OutOfSync"' 'it stays'
  wait_for 60 'the queue to be empty' queue_is_empty
  ok 'and no turn is owed to it'
  is "$(post operator shop/sync)" 202 'until somebody asks'
  wait_for 60 'it to be healed' app_is shop '[.drift[].healed]' '[true]'
  check 'then it is put back' shop_is 2
  kubectl delete cm -n shop settings >/dev/null
  wait_for 60 'another' app_is shop '[.drift[] | [.name, .pointer, .healed]]' '[["settings",null,false]]'
  ok 'of what is gone no field is told'
  is "$(post operator shop/sync)" 202 'which comes back'
  wait_for 60 'it' shop_is 2
}

pushes() {
  is "$(push wrong)" 401 'one that is not signed'
  touch hold
  set_shop 3
  is "$(push)" 202 'a push'
  wait_for 60 'its load' pgrep -f "$SCRATCH/bin/kustomize"
  set_shop 4
  is "$(push)" 202 'another while the one before is read'
  rm hold
  wait_for 60 'the second' shop_is 4
  reconcile_settled 60 "$(commit)"
  ok 'both were seen, an hour before the next poll'
}

# Of what is told of shop: who tells it, of which object, in Argo CD's words; each once, or counted.
told() { kubectl get events -n argocd -o json | jq -c "[.items[] | select(.involvedObject.name == \"shop\")] | $1"; }
told_so() {
  is "$(told 'map(.source.component, .type, (.involvedObject | .apiVersion + " " + .kind + " " + .namespace + " " + .uid)) | unique | sort')" \
    "[\"Normal\",\"argoproj.io/v1alpha1 Application argocd $(kubectl get application -n argocd shop -o 'jsonpath={.metadata.uid}')\",\"regrow\"]" \
    'events are of its Application, by regrow'
  is "$(told 'map(.reason) | unique')" '["OperationCompleted","OperationStarted","ResourceUpdated"]' 'of what happens to it'
  is "$(told '[any(.[]; .message | test("^system:serviceaccount:default:operator: Initiated sync to .[0-9a-f]{40}")),
    any(.[]; .message | test("^Sync operation to [0-9a-f]{40} succeeded$")), any(.[]; .message == "Updated sync status: Synced -> OutOfSync")]')" \
    '[true,true,true]' 'who asked, how it ended, and that it differs'
  is "$(told '(map([.reason, .message]) | unique | length) == length and ([.[].count] | max > 1)')" true 'what is told again is counted'
  local v
  for v in hand foot nose; do # whose field it is by then does not matter
    kubectl patch cm -n shop settings --type=merge -p "{\"data\":{\"v\":\"$v\"}}" >/dev/null
    wait_for 60 'drift' app_is shop .sync '"OutOfSync"'
    kubectl patch cm -n shop settings --type=merge -p '{"data":{"v":"4"}}' >/dev/null
    wait_for 60 'none' app_is shop .sync '"Synced"'
  done
  ok 'what is put back by hand is in sync again, and its next change is seen'
}

shown() { openssl s_client -connect "127.0.0.1:$PORT" </dev/null 2>/dev/null | openssl x509 -noout -subject 2>/dev/null; }
# As in deploy/reconcile: two Secrets that need not be there, and come later.
comes_later() {
  is "$(curl -sk -o /dev/null -w '%{http_code}' "$URL/healthz")" 200 'without a certificate it serves with one of its own'
  like "$(shown)" 'regrow' 'which says so'
  is "$(code '' /api/webhook -k -X POST -d x)" 403 'and without a secret no push is taken'
  like "$(jq -r .message body)" 'no webhook secret is configured' 'and why'
  mkdir hooks
  printf 'secret\n' >hooks/generic
  is "$(code '' /api/webhook -k -X POST -d x)" 401 'a secret that comes counts'
  put one
  wait_for 60 'the certificate' bash -c "openssl s_client -connect 127.0.0.1:$PORT </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q one"
  is "$(code viewer /api/v1/fleet)" 200 'and so does a certificate'
}
reloads() {
  put two
  wait_for 60 'the new certificate' bash -c "openssl s_client -connect 127.0.0.1:$PORT </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q two"
  cp two.crt shown.crt
  is "$(code viewer /api/v1/fleet)" 200 'another certificate is taken while it runs'
}

githttp_start
cluster_up main
accounts
make_repo
certificate one
certificate two
cp one.crt shown.crt
PORT=$(free_port)
URL=https://localhost:$PORT
export REGROW_TLS_DIR=data REGROW_WEBHOOK_SECRET_DIR=hooks
reconcile_start --kubeconfig own.config --poll 1h --listen "0.0.0.0:$PORT" "$HTTP_URL/git/platform.git//root?ref=main"
reconcile_settled 60 "$(commit)"
run_case comes-later comes_later
spawn follower curl -sN -o followed --cacert one.crt -H "$(as viewer)" "$URL/api/v1/events"
run_case access access
run_case syncs syncs
run_case prunes prunes
run_case suspends suspends
run_case drift drift
run_case pushes pushes
run_case certificate reloads
run_case events told_so
for who in viewer operator; do
  is "$(cat "$EVENTS" reconcile.err follow* | grep -cF "$(<"$who.token")")" 0 "the token of $who is said nowhere"
done
reconcile_stop
is "$RECONCILE_CODE" 0 'it ends cleanly'
is "$(AUDIT_AGENT=regrow/ audit_jq '' '.[] | select(.user.username == "system:serviceaccount:regrow-system:regrow" and .responseStatus.code == 403)
  | "\(.verb) \(what) \(space) \(.objectRef.name | none)"' | head -c 600)" '' 'its account is refused nothing'
check 'which is the one that it had' test "$(AUDIT_AGENT=regrow/ audit_jq '' '[.[] | select(.user.username == "system:serviceaccount:regrow-system:regrow" and .responseStatus.code < 400)] | length')" -ge 50
