#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Which revision was last healthy: noted in the cluster by who reconciles, or told by the status of
# Argo CD's Applications; kept by snapshots, also of a bad commit; what stands there is not believed
# blindly, and what cannot be read is unknown. restore --revision healthy goes by it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/snapshots.sh"

root_url() { echo "$HTTP_URL/git/platform.git//apps?ref=main"; }
commit() { git --git-dir="$GIT_ROOT/platform.git" rev-parse main; }
boot() { "$REGROW" bootstrap --timeout 60s "$(root_url)"; }
create() { snap create --use-cluster --key store.job -o json "$(root_url)" "$@"; }
noted() { kubectl -n regrow-system get cm healthy -o json | jq -r --arg app "$1" '.data[$app]'; }
note() { kubectl -n regrow-system patch cm healthy --type=merge -p "$1" >/dev/null; }
note_writes() { grep -F '"name":"healthy"' "$AUDIT" | jq -c 'select(.verb | IN("create", "update", "patch", "delete"))' | wc -l; }
shown() { snap show "$@" -i ann.id -o json; }
app_at() { jq -r --arg app "$2" '.applications[] | select(.name == $app).healthy' <<<"$1"; }
restore() { "$REGROW" restore -i ann.id --chain prod "$@"; }

app() { # NAME
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {repoURL: "$HTTP_URL/git/platform.git", targetRevision: main, path: $1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

change() { # COLOUR FIELD
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n%s: {colour: %s}\n' "$2" "$1" >platform/web/all.yaml
  git_publish platform platform "$1" >/dev/null
}

world() {
  NAME=store
  make_repo "$SCRATCH/store" store
  admin key add --role writer --chain prod --out store.job >/dev/null
  mkdir -p platform/apps platform/web platform/api
  app web >platform/apps/web.yaml
  app api >platform/apps/api.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: api}\n' >platform/api/all.yaml
  change blue data
  kubectl create namespace argocd >/dev/null
}

# ---- regrow's own note ----

of_bootstrap() {
  local doc good writes
  good=$(commit)
  boot >/dev/null
  is "$(noted platform) $(noted web) $(noted api)" "$good $good $good" 'a bootstrap that ends well notes it'
  create >/dev/null
  doc=$(shown latest)
  is "$(jq -c .healthy <<<"$doc")" "{\"commit\":\"$good\",\"current\":true}" 'the snapshot has it'
  is "$(app_at "$doc" web)" "$good" 'of each application'
  like "$(snap show -i ann.id)" "healthy +all at ${good:0:7}[^,]" 'and says so'
  shaped 'show' snapshot-show applications[].healthy,healthy.commit snap show -i ann.id

  writes=$(note_writes)
  boot >/dev/null
  is "$(note_writes)" "$writes" 'the same again writes nothing'

  change red daat
  refuse 'a bad commit' 10 boot
  is "$(noted platform) $(noted web)" "$good $good" 'leaves the note as it was'
  create >/dev/null
  doc=$(shown latest)
  is "$(jq -c '[.seq, .healthy.commit, .healthy.current]' <<<"$doc")" "[2,\"$good\",false]" 'a snapshot of it says the good one'
  like "$(snap show -i ann.id)" "all at ${good:0:7}, which is not what it has" 'for people, too'
  like "$(snap show -i ann.id)" "web .*last[[:space:]]+healthy[[:space:]]+at[[:space:]]+${good:0:7}" 'and which application it is of'
  is "$(restore --revision healthy --dry-run -o json | jq .snapshot.seq)" 1 'restore --revision healthy: the good one'
  TARGET=$(kubectl get ns kube-system -o jsonpath='{.metadata.uid}')
  check 'is restored' restore --revision healthy --yes --expect-cluster "$TARGET" --timeout 60s
  is "$(kubectl -n web get cm settings -o jsonpath='{.data.colour}')" blue 'and what it had is back'
  refuse 'not with a number' 2 restore 1 --revision healthy --dry-run
  is "$(restore --revision healthy --at "$(date -u +%F\ %T)" --dry-run -o json | jq .snapshot.seq)" 1 'with a time: of then or before'
  refuse 'a time before all of it' 4 restore --revision healthy --at 2001-01-01 --dry-run
}

# ---- what is not believed, and what cannot be read ----

odd() {
  local doc good out
  good=$(noted platform)
  note '{"data":{"platform":"main; rm -rf /","web":"\u001b[31mred","nobody":"1.0"}}'
  out=$(create)
  is "$(jq -r .state <<<"$out")" good 'what is no revision spoils no snapshot'
  like "$(jq -r '.warnings[]' <<<"$out")" 'healthy: what stands at platform is no revision' 'it is told'
  unlike "$out" 'rm -rf|31m' 'and not repeated'
  doc=$(shown latest)
  is "$(jq -r .healthy.commit <<<"$doc")" null 'what is no revision is unknown'
  is "$(app_at "$doc" web) $(app_at "$doc" api)" "null $good" 'of each application by itself'
  is "$(restore --revision healthy --dry-run -o json | jq .snapshot.seq)" 1 'older snapshots know'
  git --git-dir="$GIT_ROOT/platform.git" update-ref refs/heads/main "$good"
  boot >/dev/null
  is "$(kubectl -n regrow-system get cm healthy -o json | jq -c '.data | keys')" '["api","platform","web"]' 'a good run puts it right'

  kubectl create clusterrole reader --verb=get,list,watch --resource=pods,secrets,namespaces,deployments.apps,statefulsets.apps,daemonsets.apps,cronjobs.batch >/dev/null
  kubectl -n web create serviceaccount job >/dev/null
  kubectl create clusterrolebinding job --clusterrole=reader --serviceaccount=web:job >/dev/null
  kubectl -n argocd create role reader --verb=get,list --resource=configmaps >/dev/null
  kubectl -n argocd create rolebinding reader --role=reader --serviceaccount=web:job >/dev/null
  kubectl config view --raw >limited
  KUBECONFIG=limited kubectl config set-credentials job --token="$(kubectl -n web create token job)" >/dev/null
  KUBECONFIG=limited kubectl config set-context --current --user=job >/dev/null
  out=$(KUBECONFIG=$SCRATCH/limited create)
  is "$(jq -r .state <<<"$out")" good 'who may not read the note has a good snapshot'
  like "$(jq -r '.warnings[]' <<<"$out")" 'read which revisions are healthy: .*: it is unknown' 'and is told'
  doc=$(shown latest)
  is "$(jq -c .healthy <<<"$doc")" null 'unknown is not empty'
  like "$(snap show -i ann.id)" 'healthy +unknown' 'and is shown as such'
}

# ---- Argo CD ----

status() { # APP SYNC HEALTH COMMIT
  kubectl -n argocd patch application "$1" --type=merge -p \
    "{\"status\":{\"controllerNamespace\":\"argocd\",\"sync\":{\"status\":\"$2\",\"revision\":\"$4\"},\"health\":{\"status\":\"$3\"}}}" >/dev/null
}

of_argocd() {
  local good doc
  kubectl apply -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
  kubectl wait --for=condition=Established crd/applications.argoproj.io --timeout=30s >/dev/null
  kubectl apply -f platform/apps >/dev/null
  change green data
  good=$(commit)
  status web Synced Healthy "$good"
  status api Synced Healthy "$good"
  create >/dev/null
  doc=$(shown latest)
  is "$(jq -c '[.healthy.commit, .healthy.current]' <<<"$doc")" "[\"$good\",true]" 'Applications that are Synced and Healthy: the commit is'
  isnt "$(noted platform)" "$good" 'not by the note, which is of before they took over'
  change black daat
  status web OutOfSync Degraded "$(commit)"
  status api Synced Healthy "$(commit)"
  create >/dev/null
  doc=$(shown latest)
  is "$(jq -c '[.healthy.commit, .healthy.current]' <<<"$doc")" '[null,false]' 'after a bad commit nobody says which was well before'
  is "$(app_at "$doc" web) $(app_at "$doc" api)" "null $(commit)" 'each application by itself'
  is "$(restore --revision healthy --dry-run -o json | jq .snapshot.seq)" "$(($(jq .seq <<<"$doc") - 1))" 'the snapshot before knows, and is what is restored'
}

githttp_start
cluster_up main
world
of_bootstrap
odd
of_argocd
