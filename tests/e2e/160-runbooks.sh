#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# The pages of docs/runbooks hold: for each the disaster is made, every block of the page is run in its
# order with the variables that the page names and no others, what it shows is what comes, and the
# outcome it promises is there. A page, or a block, that is not run here is a failure.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/runbooks.sh"

cd "$SCRATCH"
git config --global user.name test
git config --global user.email test@example.org
TARGET=
APPS=$SCRATCH/apps

app() { # NAME REPOSITORY
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {repoURL: "$HTTP_URL/git/$2.git", targetRevision: main, path: $1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

workload() { # NAME [LABEL [ANNOTATION]]
  cat <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {selector: {app: ${2:-$1}}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, annotations: {${3:-}}}
spec:
  replicas: 2
  selector: {matchLabels: {app: ${2:-$1}}}
  template:
    metadata: {labels: {app: ${2:-$1}}}
    spec: {containers: [{name: c, image: "registry.example.com/$1:1", envFrom: [{configMapRef: {name: settings}}]}]}
Y
}

publish() {
  git_publish platform platform "$@" >/dev/null
  git_publish team team "$@" >/dev/null
}

git_server() { # below GIT_ROOT: empty repositories to which can be pushed
  local name
  for name in platform team; do
    rm -rf "$GIT_ROOT$1/$name.git"
    git init -q --bare "$GIT_ROOT$1/$name.git"
    git --git-dir="$GIT_ROOT$1/$name.git" config http.receivepack true
    git --git-dir="$GIT_ROOT$1/$name.git" config uploadpack.allowAnySHA1InWant true
  done
}

new_repo() { # NAME: of snapshots, which ann and the safe open
  rm -rf "$1" "$1".*
  regrow snapshot init --repo "$1" --out "$1.admin" --recipient "$(age-keygen -y ann.id)" --recipient "$(age-keygen -y safe.id)" >"$1.init"
  REGROW_REPO=$SCRATCH/$1
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$1.init")
  ADMIN_KEY=$SCRATCH/$1.admin
  JOB_KEY=$SCRATCH/$1.job
  JUDGE_KEY=$SCRATCH/$1.judge
  snap key add --key "$ADMIN_KEY" --role writer --chain prod --out "$JOB_KEY" --label ci >/dev/null
  snap key add --key "$ADMIN_KEY" --role judge --out "$JUDGE_KEY" >/dev/null
}

regrow() { "$REGROW" "$@"; }
# As the job, or somebody in the morning, would: not as the page says.
snap() { "$REGROW" snapshot "$@" --repo "$REGROW_REPO" --trust "$REGROW_TRUST" -i "$SCRATCH/ann.id"; }
boot() { "$REGROW" bootstrap --timeout 60s "$REGROW_ROOT"; }
save() { snap create --use-cluster --key "$JOB_KEY" "$REGROW_ROOT" >/dev/null; }
commit() { git --git-dir="$GIT_ROOT/$1.git" rev-parse "${2:-main}"; }
healthy() { check "$1" "$REGROW" status "$REGROW_ROOT"; }
# The page has left the cluster as Git says: the next one need not begin with an empty one.
well() {
  healthy "${1:-the cluster is healthy, and as Git says}"
  touch "$SCRATCH/well"
}
colour() { kubectl -n web get cm settings -o jsonpath='{.data.colour}'; }

# A platform of two repositories, grown, and saved with a key that only the cluster has.
world() {
  port_open "${HTTP_URL##*:}" || githttp_again # a case that stopped it had it until its end
  [[ -f well ]] || cluster_wipe
  rm -rf well platform team "$GIT_ROOT/moved"
  git_server ''
  mkdir -p platform/apps platform/web platform/api team/shop
  app web platform >platform/apps/web.yaml
  app api platform >platform/apps/api.yaml
  app shop team >platform/apps/shop.yaml
  workload web >platform/web/all.yaml
  workload api >platform/api/all.yaml
  workload shop >team/shop/all.yaml
  publish
  REGROW_ROOT="$HTTP_URL/git/platform.git//apps?ref=main"
  new_repo repo
  boot >/dev/null
  if ! kubectl -n kube-system get secret sealed-1 >/dev/null 2>&1; then
    kubectl -n kube-system create secret tls sealed-1 --cert=tls/server.crt --key=tls/server.key >/dev/null
    kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active >/dev/null
  fi
  save
  TARGET=$(kubectl config current-context)
}

came_back() {
  is "$(kubectl -n kube-system get secret sealed-1 -o jsonpath='{.type}')" kubernetes.io/tls 'the key that only the cluster had is back'
  is "$(kubectl -n web get deploy web -o jsonpath='{.status.readyReplicas}')" 2 'workloads are ready'
}

# A new cluster takes the place of the old one; the old one's kubeconfig leads nowhere.
new_cluster() {
  cp "$KUBECONFIG" old.kubeconfig
  kubectl --kubeconfig old.kubeconfig config set-cluster "$TARGET" --server="https://127.0.0.1:$(free_port)" >/dev/null
  NEW_KUBECONFIG=$KUBECONFIG
  cluster_wipe
}

cluster_lost() {
  world
  new_cluster
  KUBECONFIG=$SCRATCH/old.kubeconfig
  page cluster-lost
  block '/readyz'
  block 'snapshot list'
  block 'restore --dry-run'
  block 'regrow restore' "$TARGET"
  KUBECONFIG=$NEW_KUBECONFIG
  is "$(audit_rejected)" 0 'no write was rejected'
  block 'regrow bootstrap'
  block 'snapshot create'
  block 'regrow status'
  kubectl create namespace of-others >/dev/null
  block 'restore --adopt' "$TARGET"
  is "$(kubectl get namespace of-others -o name)" namespace/of-others 'what others have there stays'
  kubectl delete namespace of-others --wait=false >/dev/null
  page_ends
  came_back
  well
}

git_lost() {
  local before
  world
  githttp_stop
  page git-lost
  block 'regrow status'
  block 'snapshot list'
  block 'restore --dry-run'
  like "$OUT" ' 0 objects to create, 12 as they should be' 'the cluster is as the snapshot'
  before="$(commit platform) $(commit team)"
  git_server ''
  githttp_again
  OLD_GIT=$HTTP_URL/git
  NEW_GIT=$HTTP_URL/git
  block '--git-only --push-git'
  is "$(commit platform) $(commit team)" "$before" 'the same commits are there'
  block 'regrow bootstrap'
  block 'regrow diff'
  git_server ''
  block 'snapshot export'
  is "$(commit platform) $(commit team)" "$before" 'and from an export too'
  page_ends
  well
}

both_lost() {
  local before
  world
  before="$(commit platform) $(commit team)"
  EXPORT=$SCRATCH/both.tar
  EMERGENCY=$ROOT/scripts/emergency.sh
  snap export latest "$EXPORT" --recipient "$(age-keygen -y ann.id)" >/dev/null
  OLD_GIT=$HTTP_URL/git
  NEW_GIT=$HTTP_URL/git/moved
  ROOT_REPO=platform
  ROOT_PATH='apps?ref=main'
  rm -rf "$GIT_ROOT"/*
  rm -rf "$HOME/.cache"
  githttp_stop
  cluster_wipe
  page both-lost
  block 'ls-remote'
  block 'restore --dry-run'
  githttp_again
  git_server /moved
  block 'restore --push-git' "$TARGET"
  came_back
  is "$(commit moved/platform) $(commit moved/team)" "$before" 'the same commits are there'
  block 'bootstrap --mirror'
  block 'git grep'
  REGROW_ROOT="$NEW_GIT/platform.git//apps?ref=main"
  healthy 'grown from the new place'
  block 'snapshot create'
  block 'restore.sh'
  block 'EMERGENCY'
  like "$OUT" 'platform.git' 'the repositories are there'
  page_ends
}

bad_commit() {
  world
  local good
  good=$(commit platform)
  sed -i 's/colour: blue/colour: red/; s/ports:/porst:/' platform/web/all.yaml
  rm platform/apps/api.yaml
  publish 'Make it better'
  boot >/dev/null || true
  save || true # after the push: it knows what was healthy before
  ROOT_GIT=$HTTP_URL/git/platform.git
  ROOT_FOLDER=apps
  APP=web
  page bad-commit
  block 'regrow status'
  like "$OUT" 'refused.*field not declared in schema.*web/all.yaml:[0-9]+ in platform' 'why names the line'
  block 'snapshot show'
  like "$OUT" "healthy +all at ${good:0:7}" 'the page leads to the last healthy commit'
  block 'regrow restore' "$TARGET"
  is "$(colour)" blue 'what it changed is changed back'
  is "$(kubectl -n api get deploy api -o jsonpath='{.status.readyReplicas}')" 2 'what it deleted is back'
  block 'git revert'
  block 'git push'
  SEQ=1
  block 'restore "$SEQ"' "$TARGET"
  page_ends
  well 'Git and the cluster agree'
}

# History is gone, one commit of noise in its place, in both repositories.
poison() {
  local name commit
  for name in platform team; do
    git --git-dir="$GIT_ROOT/$name.git" update-ref -d refs/heads/main
    rm -rf "poisoned-$name"
    mkdir "poisoned-$name"
    cp -r "$name"/* "poisoned-$name/"
  done
  sed -i 's/colour: [a-z]*/colour: cGF5IHVz/' poisoned-platform/*/all.yaml poisoned-team/*/all.yaml
  echo 'pay us' >poisoned-platform/apps.txt
  git_publish poisoned-platform platform 'all your base' >/dev/null
  git_publish poisoned-team team 'all your base' >/dev/null
}

rewritten() {
  local before
  world
  before="$(commit platform) $(commit team)"
  kubectl apply --server-side -f "$ROOT/deploy/snapshot/cronjob.yaml" >/dev/null
  poison
  boot >/dev/null
  save
  is "$(colour)" cGF5IHVz 'the cluster has it too'
  page ransomware-in-git
  block 'patch cronjob'
  block 'snapshot list'
  GOOD=1
  BAD=2
  block 'snapshot diff'
  like "$OUT" 'pay us|cGF5IHVz' 'the damage shows'
  block 'snapshot verify'
  block 'snapshot judge'
  like "$OUT" 'Last good: 1' 'latest is the one from before'
  block 'regrow restore' "$TARGET"
  is "$(colour)" blue 'the cluster is as before'
  OLD_GIT=$HTTP_URL/git
  NEW_GIT=$HTTP_URL/git
  git_server ''
  block '--git-only --push-git'
  is "$(commit platform) $(commit team)" "$before" 'Git is as before, to the commit'
  block 'regrow bootstrap'
  block 'snapshot show'
  like "$OUT" 'sealed-1' 'what to change is named'
  WRITER=ci
  block 'key revoke'
  refuse 'the old key writes nothing that counts' 5 snap create --key "$JOB_KEY" --use-cluster "$REGROW_ROOT"
  block 'snapshot create'
  like "$OUT" 'Last good: 4' 'snapshots go on' # 3 is the judgement
  page_ends
  well
}

# Needs no cluster: the snapshots are of Git alone.
key_lost() {
  world_of_git
  age-keygen -o new.id 2>/dev/null
  NEW_RECIPIENT=$(age-keygen -y new.id)
  echo 'correct horse battery staple' >pass.txt
  PASS_FILE=$SCRATCH/pass.txt
  LOST=$(age-keygen -y ann.id)
  REGROW_IDENTITY=$SCRATCH/safe.id
  page key-lost
  block 'key list'
  block 'key remove'
  refuse 'the lost key opens nothing' 5 env REGROW_REPO="$REGROW_REPO" REGROW_TRUST="$REGROW_TRUST" "$REGROW" snapshot show 1 -i ann.id
  CHAIN=prod
  block 'key rotate'
  check 'the new credential writes' "$REGROW" snapshot create --repo "$REGROW_REPO" --trust "$REGROW_TRUST" \
    --key "$SCRATCH/runbooks/key-lost/work/job-rotated.key" "$ROOT_FOLDER"
  WRITER=ci
  LAST_TRUSTED=1
  block 'key revoke "$WRITER"'
  snap key add --key "$ADMIN_KEY" -i safe.id --role admin --label ben --out repo.ben >/dev/null
  SECOND_ADMIN=$SCRATCH/repo.ben
  ADMIN=admin
  block 'key revoke "$ADMIN"'
  like "$OUT" 'admin-new' 'another admin is there'
  refuse 'the lost one changes nothing' 5 "$REGROW" snapshot key add --repo "$REGROW_REPO" --trust "$REGROW_TRUST" --key "$ADMIN_KEY" \
    -i safe.id --role judge --out no.key
  NEW_REPO=$SCRATCH/there
  block 'snapshot copy'
  REGROW_ROOT=$ROOT_FOLDER
  block 'snapshot init'
  block 'key trust'
  page_ends
}

world_of_git() {
  mkdir -p simple
  workload web >simple/all.yaml
  ROOT_FOLDER=$SCRATCH/simple
  new_repo repo
  snap create --key "$JOB_KEY" "$ROOT_FOLDER" >/dev/null
}

sync_failure() {
  world
  sed -i 's/ports:/porst:/' platform/web/all.yaml
  publish
  boot >/dev/null || true
  kubectl -n web scale deploy web --replicas 1 >/dev/null
  kubectl -n web delete service web >/dev/null
  APP=web
  NAMESPACE=web
  page sync-failure
  block 'regrow status'
  block 'regrow why'
  like "$OUT" 'web/all.yaml:[0-9]+ in platform' 'why names the line'
  block 'regrow diff'
  block 'regrow health'
  block 'regrow plan'
  sed -i 's/porst:/ports:/' platform/web/all.yaml
  publish 'Mend it'
  kubectl -n web scale deploy web --replicas 2 >/dev/null
  block 'regrow bootstrap'
  block 'ndjson'
  page_ends
  well
}

refresh() {
  world
  kubectl -n web scale deploy web --replicas 1 >/dev/null
  kubectl -n web patch cm settings --type merge -p '{"data":{"colour":"by-hand"}}' >/dev/null
  workload api | awk 'BEGIN { RS = ORS = "---\n" } !/kind: Service/' >platform/api/all.yaml
  publish
  refuse 'status tells what is to be pruned' 10 "$REGROW" status "$REGROW_ROOT"
  like "$OUT" 'api .*OutOfSync: 1 to prune' 'by application'
  page force-refresh
  block 'regrow diff'
  block 'regrow bootstrap'
  like "$OUT" '[Cc]onflict|another manager|owns' 'the owner is named'
  block '--refresh'
  block '--force-conflicts'
  is "$(colour)" blue 'what was changed by hand is as Git says'
  is "$(kubectl -n web get deploy web -o jsonpath='{.spec.replicas}')" 2 'and so is the number of replicas'
  block '--force'
  block 'plan -v'
  page_ends
  well
}

stuck() {
  world
  APP=web
  KIND=deployment
  NAME=shop
  NAMESPACE=shop
  # Held by a machine that is gone, and was to hold it for long.
  kubectl -n regrow-system patch lease regrow --type merge -p '{"spec":{"holderIdentity":"gone/4242/x","leaseDurationSeconds":600,"renewTime":"'"$(date -u +%FT%T.000000Z)"'"}}' >/dev/null
  page stuck-application
  block 'regrow bootstrap'
  like "$OUT" 'another regrow .*gone.* has been at work' 'A: it says who'
  block 'get lease'
  block 'delete lease'
  kubectl -n shop patch deployment shop --type merge -p '{"metadata":{"finalizers":["example.com/gone"]}}' >/dev/null
  rm platform/apps/shop.yaml
  publish
  OUT=$("$REGROW" bootstrap --timeout 8s "$REGROW_ROOT" 2>&1 || true)
  like "$OUT" 'finalizer example.com/gone' 'B: it says which finalizer'
  refuse 'B: status is not content' 10 "$REGROW" status "$REGROW_ROOT"
  like "$OUT" 'left Git, still there and to be deleted: (Deployment|ConfigMap) shop/' 'B: and says what is still there'
  block 'get "$KIND"'
  block 'patch "$KIND"'
  is "$(kubectl -n shop get deploy -o name)" '' 'B: it is gone'
  dead_webhook
  sed -i 's/blue/green/' platform/web/all.yaml
  publish
  OUT=$("$REGROW" bootstrap --timeout 5s "$REGROW_ROOT" 2>&1 || true)
  like "$OUT" 'webhook policy.example.com: no endpoint is ready' 'C: it says which webhook'
  like "$("$REGROW" why web "$REGROW_ROOT")" 'refused.*service "policy" not found' 'C: and so does why, although what is there is healthy'
  WEBHOOK=old-policy
  block 'get validatingwebhook'
  like "$OUT" 'old-policy' 'C: it is listed'
  block 'delete validatingwebhook'
  is "$(colour)" green 'C: what it held back is there'
  immutable web2 'argocd.argoproj.io/sync-options: Force=true'
  block 'regrow bootstrap'
  immutable web3
  OUT=$("$REGROW" bootstrap --timeout 20s "$REGROW_ROOT" 2>&1 || true)
  like "$OUT" 'cannot be changed on a live object' 'D: it says so'
  like "$("$REGROW" why web "$REGROW_ROOT")" 'refused.*Deployment web/web.*immutable.*web/all.yaml' 'D: and so does why'
  NAME=web
  NAMESPACE=web
  block 'delete "$KIND"'
  is "$(kubectl -n web get deploy web -o jsonpath='{.spec.selector.matchLabels.app}')" web3 'D: it is made anew'
  page_ends
}

dead_webhook() {
  kubectl apply -f - >/dev/null <<'Y'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: old-policy}
webhooks:
- name: policy.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  clientConfig: {service: {name: policy, namespace: policy, path: /}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps], scope: Namespaced}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: web}}
Y
}

immutable() { # LABEL [ANNOTATION]: another selector, in Git
  workload web "$@" >platform/web/all.yaml
  publish
}

# A command in the running text is one that a block has too, and so was run.
inline_commands() {
  local text blocks=$SCRATCH/blocks
  sed -n '/^```sh/,/^```$/p' "$RUNBOOKS"/*.md >"$blocks"
  while IFS= read -r text; do
    check "\`$text\` stands in a block" grep -qE -- "^$(sed 's/[][\.*^$+?(){}|/]/\\&/g' <<<"$text")( |\$)" "$blocks"
  done < <(sed '/^```/,/^```/d' "$RUNBOOKS"/*.md | grep -oE '`(regrow|kubectl|git|age|age-keygen|sh|scripts/[a-z-]+) [^`]*`' |
    tr -d '`' | sort -u)
  ok 'commands in the text were looked at'
}

githttp_start
tls_make
for who in ann safe; do age-keygen -o $who.id 2>/dev/null; done
REGROW_IDENTITY=$SCRATCH/ann.id
cluster_up main
run_case 'cluster lost' cluster_lost
run_case 'Git host lost' git_lost
run_case 'bad commit' bad_commit
run_case 'Git rewritten' rewritten
run_case 'key lost' key_lost
run_case 'sync failure' sync_failure
run_case refresh refresh
run_case stuck stuck
run_case 'both lost' both_lost
run_case 'commands in the text' inline_commands
[[ -n ${CASE:-} ]] || pages_end
