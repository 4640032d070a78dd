#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Every example that any --help prints works as it is printed: in a folder that is a clone of a platform's
# repository, with the keys that the examples name, against a real S3 server, Git server, cluster and
# controller. Only what is in `places` is replaced. A help without an example, an example that is not run
# here, and a command here that no help prints are failures.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/s3.sh"
. "$LIB/examples.sh"

PLATFORM=$SCRATCH/platform

app() { # NAME NAMESPACE PATH [SYNC-POLICY [MORE]]
  cat >"$PLATFORM/apps/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $2}
  source: {repoURL: https://git.example.com/platform.git, targetRevision: main, path: $3}
  syncPolicy: {syncOptions: [CreateNamespace=true]${4:+, $4}}
Y
  mkdir -p "$PLATFORM/$3"
}

map() { # NAME COLOUR [ANNOTATIONS]
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {%s}}\ndata: {colour: %s}\n' "$1" "${3:-}" "$2"
}

deployment() { # NAME
  cat <<Y
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec: {containers: [{name: $1, image: "registry.example.com/$1:1"}]}
Y
}

volumes() {
  cat <<'Y'
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: files}
spec:
  serviceName: files
  replicas: 0
  selector: {matchLabels: {app: files}}
  template:
    metadata: {labels: {app: files}}
    spec: {containers: [{name: files, image: "registry.example.com/files:1"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {storageClassName: gp2, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
Y
}

shop() { # COLOUR [MORE]
  { deployment web; volumes; map settings "$1"; printf '%s' "${2:-}"; } >"$PLATFORM/shop/all.yaml"
}

# What is pushed, and in the clone as well.
publish() {
  git_publish "$PLATFORM" platform >"$SCRATCH/commit"
  if [[ -d $PLACE/.git ]]; then
    git -C "$PLACE" fetch -q "$GIT_ROOT/platform.git" main
    git -C "$PLACE" reset -q --hard FETCH_HEAD
  fi
}

make_world() {
  mkdir -p "$PLATFORM/apps"
  app cert-manager cert-manager cert-manager 'automated: {prune: true}'
  app team-checkout checkout checkout 'automated: {prune: true}'
  app shop shop shop 'automated: {prune: true}'
  deployment cert-manager >"$PLATFORM/cert-manager/all.yaml"
  { deployment api; map settings red; } >"$PLATFORM/checkout/all.yaml"
  shop blue "$(map old red 'argocd.argoproj.io/sync-options: Prune=confirm')"
  cp "$ROOT/deploy/reconcile/application-crd.yaml" "$PLATFORM/apps/"
  printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n' >"$PLATFORM/apps/argocd.yaml"
  publish
  git clone -q "$GIT_ROOT/platform.git" "$PLACE"
  git -C "$PLACE" remote set-url origin https://git.example.com/platform.git
  export REGROW_MIRROR=https://git.example.com=$HTTP_URL/git REGROW_IDENTITY=$PLACE/alice.key
  mkdir -p "$SCRATCH"/{srv,mnt/usb,etc/bash_completion.d}
  echo 'correct horse battery' >"$PLACE/pass"
  age-keygen -o "$PLACE/alice.key" 2>/dev/null
  for name in key.txt my-age-key.txt my.key; do cp "$PLACE/alice.key" "$PLACE/$name"; done
  AGE=$(age-keygen -y "$PLACE/alice.key")
  place AGE "$AGE"
  BEN=$(age-keygen 2>/dev/null | age-keygen -y)
  place age1... "$BEN"
  place /srv/ "$SCRATCH/srv/"
  place /mnt/ "$SCRATCH/mnt/"
  place /etc/ "$SCRATCH/etc/"
  place https://git2.example.com "$HTTP_URL/git/second" # nobody reads from there: no mirror counts
}

# ---- without a cluster ----

offline() {
  example 'regrow version -o json'
  example 'regrow completion bash >/etc/bash_completion.d/regrow'
  check 'completion is there' bash -n "$SCRATCH/etc/bash_completion.d/regrow"
  shows 'regrow snapshot list' example 'regrow man snapshot list | man -l -'
  shows 'team-checkout' example 'regrow plan apps/'
  shows 'team-checkout' example "regrow plan 'https://git.example.com/platform.git//apps?ref=main'"
  example 'regrow plan -o dot apps/ | dot -Tsvg >order.svg'
  check 'a picture is there' grep -q '<svg' "$PLACE/order.svg"
  example 'regrow render apps/ >all.yaml'
  shows 'kind: Deployment' example 'regrow render apps/ cert-manager'
  cp "$PLACE/all.yaml" "$PLACE/objects.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {}\n' >"$PLACE/argocd-cm.yaml"
  example 'regrow health -o json objects.yaml'
  example 'regrow health --customizations argocd-cm.yaml objects.yaml'
}

pin_of() { sed -n 's/^ *pin //p' <<<"$OUT"; }
key() { "$REGROW" snapshot key "$@" >/dev/null; }

# Repositories in folders, each with its admin's key in a folder of its own.
folders() {
  REGROW_RECIPIENT=$AGE at one example 'regrow snapshot init --repo /srv/snapshots --out admin.age --single'
  like "$OUT" "--key admin.age --repo $SCRATCH/srv/snapshots --trust PIN" 'what comes next says where'
  export REGROW_REPO=$SCRATCH/srv/snapshots REGROW_TRUST
  REGROW_TRUST=$(pin_of)
  place PIN "$REGROW_TRUST"
  printf '%s\n' "$REGROW_TRUST" >"$PLACE/pin"
  example 'regrow snapshot list --repo /srv/snapshots --trust PIN'
  example 'regrow snapshot key list --repo /srv/snapshots --trust PIN'
  example 'regrow snapshot key trust --repo /srv/snapshots --trust @pin'
  key add --key "$PLACE/one/admin.age" --role writer --chain prod --out "$PLACE/one/job" --label ci-job
  at one example 'regrow snapshot key revoke --key admin.age ci-job'
  REGROW_TRUST='' REGROW_PASSPHRASE=$(<"$PLACE/pass") at two example 'regrow snapshot init --repo /srv/backup --out admin.age --recipient AGE'
  REGROW_REPO=$SCRATCH/srv/backup REGROW_TRUST=$(pin_of)
  REGROW_PASSPHRASE=$(<"$PLACE/pass") key add --key "$PLACE/two/admin.age" --role writer --chain prod --out "$PLACE/two/job.key"
  cp -r "$PLACE/apps" "$PLACE/two/"
  at two example 'regrow snapshot create --repo /srv/backup --key job.key apps/'
  like "$("$REGROW" snapshot show latest)" 'of https://git.example.com/platform\.git' 'its root is named as the clone names it'
  cp "$PLACE/pass" "$PLACE/two/"
  at two example 'regrow snapshot key rotate --key admin.age --passphrase-file pass'
}

# Two admins, and a change that takes both: their keys at once, or one after the other.
admins() {
  local folder
  for folder in three four; do
    mkdir -p "$PLACE/$folder"
    REGROW_REPO=$SCRATCH/srv/$folder
    OUT=$(REGROW_TRUST='' "$REGROW" snapshot init --out "$PLACE/$folder/ann.admin" --recipient "$AGE" --single)
    REGROW_TRUST=$(pin_of)
    key add --key "$PLACE/$folder/ann.admin" --role admin --out "$PLACE/$folder/ben.admin"
    if [[ $folder == three ]]; then
      at three example 'regrow snapshot key quorum 2 --key ann.admin --also-key ben.admin'
    else
      place PIN "$REGROW_TRUST"
      at four example 'regrow snapshot key quorum 2 --key ann.admin --propose two.change'
      at four example 'regrow snapshot key sign --show --trust PIN two.change'
      at four example 'regrow snapshot key sign --key ben.admin two.change'
    fi
  done
}

# The repository that all the others are about.
bucket() {
  s3_bucket backup
  s3_bucket other
  REGROW_TRUST='' REGROW_REPO='' REGROW_RECIPIENT=$AGE example 'regrow snapshot init --repo s3://backup/prod --out admin.age --single'
  export REGROW_REPO=s3://backup/prod REGROW_TRUST
  REGROW_TRUST=$(pin_of)
  place PIN "$REGROW_TRUST"
  example 'regrow snapshot key add --key admin.age --recipient age1...'
  example 'regrow snapshot key add --key admin.age --role writer --chain prod --out job.key'
  key add --key "$PLACE/admin.age" --role judge --out "$PLACE/judge.key"
  example 'regrow snapshot key init --trust PIN --role pruner --out pruner.key'
  place KEY "$(sed -n 's/.*--public //p' <<<"$OUT")"
  example 'regrow snapshot key add --key admin.age --role pruner --public KEY'
  example 'regrow snapshot key trust --repo s3://backup/prod --key job.key'
  key add --key "$PLACE/admin.age" --new-passphrase-file "$PLACE/pass"
  place 3f9c2e1ab04d "$("$REGROW" snapshot key list -o json | jq -r --arg ben "$BEN" '.slots[] | select(.label as $x | $ben | startswith($x[:12])).file[:12]')"
  example 'regrow snapshot key remove --key admin.age 3f9c2e1ab04d'
}

ROOT_URL='https://git.example.com/platform.git//apps?ref=main'
save() { "$REGROW" snapshot create --key "$PLACE/job.key" "$ROOT_URL" >/dev/null; }

# Four snapshots, of which the second is suspect: they stand for those of another history.
snapshots() {
  save
  mv "$PLATFORM/apps/shop.yaml" "$SCRATCH/"
  publish
  save || true
  mv "$SCRATCH/shop.yaml" "$PLATFORM/apps/"
  shop green "$(map old red 'argocd.argoproj.io/sync-options: Prune=confirm')"
  publish
  save
  shop red "$(map old red 'argocd.argoproj.io/sync-options: Prune=confirm')"
  publish
  save
  place ' 118' ' 4'
  place ' 117' ' 3'
  place :117 :3
  place ' 116' ' 2'
  place ' 103' ' 2'
  example 'regrow snapshot list --repo s3://backup/prod'
  example "regrow snapshot list -o json | jq '.chains[].snapshots[0]'"
  REGROW_IDENTITY='' example 'regrow snapshot show --passphrase-file pass'
  shows team-checkout example "regrow snapshot show 117 -i key.txt -o json | jq '.applications[].name'"
  REGROW_IDENTITY='' example 'regrow snapshot verify --passphrase-file pass'
  example 'regrow snapshot verify latest -i key.txt --key judge.key'
  example 'regrow snapshot verify --quick --trust PIN'
  ends 20 example 'regrow snapshot diff 117 118 -i my-age-key.txt'
  shows shop example "regrow snapshot diff 117 -o json | jq '.applications[].name'"
}

another() { # URL NAME: a repository, whose job's key is NAME.key
  local REGROW_REPO=$1 REGROW_TRUST=
  OUT=$("$REGROW" snapshot init --out "$PLACE/$2.admin" --recipient "$AGE" --single)
  REGROW_TRUST=$(pin_of)
  key add --key "$PLACE/$2.admin" --role writer --chain prod --out "$PLACE/$2.key"
}

travels() {
  example 'regrow snapshot export latest x.tar.zst -i key.txt --recipient age1...'
  example 'regrow snapshot export 117 prod.tar -i key.txt --no-secrets'
  # Signed, and into a chain of its own.
  mkdir -p "$PLACE/five"
  key add --key "$PLACE/admin.age" --role writer --chain imported --out "$PLACE/five/job.key"
  cp "$PLACE/key.txt" "$PLACE/five/"
  "$REGROW" snapshot export latest "$PLACE/five/prod.tar.zst" --key "$PLACE/job.key" --recipient "$AGE" >/dev/null
  at five example 'regrow snapshot import prod.tar.zst --key job.key -i key.txt --dry-run'
  at five example 'regrow snapshot import prod.tar.zst --key job.key -i key.txt --from-trust PIN'
  export REGROW_CHAIN=prod # there are two now
  another s3://other/prod other
  example 'regrow snapshot copy -i my.key --to s3://other/prod --to-key other.key'
  another "$SCRATCH/mnt/usb" usb
  example 'regrow snapshot copy 118 -i my.key --to /mnt/usb --to-key usb.key'
}

forgotten() {
  example 'regrow snapshot forget --keep-daily 14 --keep-weekly 8 --dry-run'
  example 'regrow snapshot forget --keep-daily 14 --keep-weekly 8 --key pruner.key'
  "$REGROW" snapshot forget 2 --key "$PLACE/pruner.key" >/dev/null
  example 'regrow snapshot forget --undo 103 --key pruner.key'
  example "regrow snapshot judge 116 good 'cut down on purpose' --key judge.key"
  example 'regrow snapshot prune --dry-run --trust PIN'
  example 'regrow snapshot prune --key pruner.key'
}

# ---- with one ----

# The kubeconfig where kubectl looks for it: the cluster is "new", and a hub; another address of it
# stands for another cluster.
cluster_here() {
  local port
  cluster_up main
  mkdir -p "$HOME/.kube"
  port=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
  port=${port##*:}
  kubectl config view --raw -o json | jq --arg port "$port" '
    .contexts[0].context as $at | .clusters[0].cluster as $c
    | .clusters += [{name: "eu-1", cluster: ($c + {server: "https://eu-1.localhost:\($port)", "tls-server-name": "localhost"})}]
    | .contexts = [{name: "new", context: $at}, {name: "hub", context: $at}, {name: "admin@eu-1", context: ($at + {cluster: "eu-1"})}]
    | .["current-context"] = "new"' >"$HOME/.kube/config"
  kubectl --kubeconfig "$HOME/.kube/config" config view --raw --context admin@eu-1 --minify >"$PLACE/eu-1.yaml"
  unset KUBECONFIG
  place UID "$(kubectl get ns kube-system -o 'jsonpath={.metadata.uid}')"
}

grown() {
  # With the definition of Application among the objects, the second one brings the Applications.
  example 'regrow bootstrap -o ndjson apps/ >events.ndjson'
  check 'events are there' grep -q '"type":"run.finished"' "$PLACE/events.ndjson"
  example 'regrow bootstrap --timeout 10m --expect-cluster UID apps/'
  map settings yellow >>"$PLATFORM/cert-manager/all.yaml"
  publish
  example 'regrow plan --out prod.plan apps/'
  example 'regrow bootstrap --plan prod.plan --timeout 10m'
  is "$(kubectl get cm -n cert-manager settings -o 'jsonpath={.data.colour}')" yellow 'what was planned is there'
  example "regrow bootstrap 'https://git.example.com/platform.git//apps?ref=main'"
  example 'regrow plan --use-cluster -v apps/'
  shows 'team-checkout.*ealthy' example 'regrow status'
  example "regrow status -o json | jq '.applications[] | select(.good == false)'"
  unlike "$OUT" '"good"' 'all are good'
  example 'regrow why team-checkout'
  example 'regrow why deploy/checkout/api'
  example 'regrow diff'
  example 'regrow diff --app cert-manager apps/'
  example 'kubectl get deploy -A -o json | regrow health -'
  example 'regrow snapshot create --repo s3://backup/prod --key job.key --use-cluster'
}

looked_at() {
  example 'regrow doctor'
  example "regrow doctor 'https://git.example.com/platform.git//apps?ref=main'"
  example 'regrow doctor --repo s3://backup/prod --trust PIN -i alice.key apps/'
  example "regrow doctor -o json | jq -r '.checks[] | select(.state == \"fail\")'"
  unlike "$OUT" '"state"' 'nothing fails'
  until_saw 'team-checkout' example 'regrow status --watch'
  until_saw 'team-checkout' example 'regrow status --watch -o ndjson --timeout 10m >changes.ndjson'
}

kept() {
  place 127.0.0.1:8080 "127.0.0.1:$(free_port)"
  example 'regrow reconcile --once --timeout 10m'
  until_saw '4 applications' example 'regrow reconcile'
  until_saw '4 applications' example "regrow reconcile 'https://git.example.com/platform.git//apps?ref=main'"
  until_saw '"type":"source.changed"' example 'regrow reconcile --poll 30s -o ndjson apps/'
  until_saw '4 applications' example 'regrow reconcile --listen 127.0.0.1:8080'
  until_saw 'snapshot [0-9]+' example 'regrow reconcile --snapshot-to s3://backup/prod --key job.key'
}

shop_is() { kubectl get application -n argocd shop -o json | jq -e "$1"; }

# A controller is there, and every request is followed. What is rolled back is not synced by itself.
asked() {
  app shop shop shop
  publish
  "$REGROW" bootstrap "$ROOT_URL" >/dev/null 2>&1
  export REGROW_WAIT=true
  spawn controller "$REGROW" reconcile --poll 2s "$ROOT_URL"
  example 'regrow refresh shop'
  example 'regrow refresh shop --hard --wait'
  example 'regrow sync shop'
  example 'regrow sync argocd/shop --resource apps:Deployment:web --dry-run'
  shop green "$(map old red 'argocd.argoproj.io/sync-options: Prune=confirm')"
  publish
  git_tag platform v1.2.3
  example 'regrow sync shop --revision v1.2.3 --prune --wait --timeout 5m'
  is "$(kubectl get cm -n shop settings -o 'jsonpath={.data.colour}')" green 'that revision is there'
  example 'regrow rollback shop'
  example 'regrow history shop'
  shows '^[0-9a-f]{40}$' example "regrow history shop -o json | jq -r '.history[-1].revision'"
  place ' 12 ' " $("$REGROW" history shop -o json | jq '.history[0].id') "
  example 'regrow rollback shop 12 --suspend --wait'
  example 'regrow suspend shop'
  example 'regrow resume shop'
  shop blue
  publish
  "$REGROW" refresh shop >/dev/null
  REGROW_WAIT=false "$REGROW" sync shop --prune >/dev/null
  wait_for 60 'a deletion to be confirmed' shop_is '.status.regrow.awaitsApproval'
  example 'regrow sync shop --approve'
  check 'it is deleted' cluster_is 20 '' get cm -n shop old --ignore-not-found
  printf 'apiVersion: nobody.example.com/v1\nkind: Never\nmetadata: {name: never}\n' >"$PLATFORM/shop/never.yaml"
  publish
  "$REGROW" refresh shop >/dev/null
  REGROW_WAIT=false "$REGROW" sync shop >/dev/null
  wait_for 60 'the sync to run' shop_is '.status.operationState.phase == "Running"'
  example 'regrow sync shop --terminate'
  rm "$PLATFORM/shop/never.yaml"
  publish
  stop controller
  unset REGROW_WAIT
}

hub() {
  example 'regrow cluster list'
  example 'regrow cluster add eu-1 --from-context admin@eu-1'
  shows 'eu-1' example "regrow cluster list -o json | jq -r '.clusters[].name'"
  example 'regrow cluster check eu-1'
  example 'regrow cluster remove eu-1 --yes'
  example 'regrow cluster add eu-1 --from-kubeconfig eu-1.yaml --context hub'
}

lost() {
  cluster_wipe
  place '2026-11-23 02:00' "$(date -u -d '1 minute' '+%F %H:%M')" # what was saved in this minute counts too
  example "regrow restore --at '2026-11-23 02:00' --dry-run"
  answers new example 'regrow restore --namespace shop --map storageClass=gp2=gp3'
  is "$(kubectl get sts -n shop files -o 'jsonpath={..storageClassName}')" gp3 'under another name'
  cluster_wipe
  answers new example 'regrow restore --repo s3://backup/prod -i alice.key --context new'
  is "$(kubectl get deploy -n checkout api -o 'jsonpath={.status.readyReplicas}')" 1 'the cluster is back'
  example 'regrow restore --yes --report restore.html'
  check 'the report is there' grep -q '<svg' "$PLACE/restore.html"
  example 'regrow restore 117 --yes -o json --timeout 30m'
  git init -q --bare "$GIT_ROOT/second/platform.git"
  git --git-dir="$GIT_ROOT/second/platform.git" config http.receivepack true
  answers "${HTTP_URL#http://}" example 'regrow restore -i key.txt --git-only --push-git https://git.example.com=https://git2.example.com'
  check 'Git is back' git --git-dir="$GIT_ROOT/second/platform.git" rev-parse -q --verify main
}

drilled() {
  example 'regrow drill --repo s3://backup/prod -i alice.key'
  example 'regrow drill latest --judge-key judge.key --report drill.json'
  check 'the report is there' jq -e .verdict "$PLACE/drill.json"
  (cd "$PLACE" && "$REGROW" restore --yes >/dev/null)
  example 'regrow drill --live-kubeconfig ~/.kube/config -o json'
  example 'regrow drill --history'
}

over() {
  example 'regrow bootstrap --then=argocd apps/'
  key add --key "$PLACE/admin.age" --role writer --chain prod --out "$PLACE/ci.key" --label ci-job
  example 'regrow snapshot key revoke --key admin.age --last-trusted prod:117 ci-job'
}

githttp_start
s3_start
make_world
part offline
part folders
part admins
part bucket
part snapshots
part travels
part forgotten
part cluster_here
for name in grown looked_at kept asked hub lost drilled over; do part "$name"; done
examples_end
