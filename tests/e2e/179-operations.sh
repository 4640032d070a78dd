#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 360
#
# What a person may ask of the controller for one application beyond a plain sync: a trial, some of
# its objects, options, an end before its time, an approval; through the ConfigMap where there is no
# definition of Application, and through the object. And what argocd-cm says of all of them; and what
# becomes of what is asked for where its Application object cannot be written.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo

publish() { git_publish "$REPO" ops >"$SCRATCH/commit"; }
commit() { cat "$SCRATCH/commit"; }
ask() { "$REGROW" sync "$@" --wait --timeout 30s; }
app() { kubectl get application -n argocd "$1" -o json | jq -c "$2"; }
there() { kubectl get -n "$1" "$2" -o name 2>/dev/null; }

application() { # NAME SYNC-POLICY [MORE-SPEC]
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: "$HTTP_URL/git/ops.git", targetRevision: main, path: $1}
  destination: {server: "https://kubernetes.default.svc", namespace: $1}
  syncPolicy: {$2}
$(printf '%b' "${3:-}")
Y
  mkdir -p "$REPO/$1"
}

map() { # NAME [ANNOTATION]
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {%s}}\ndata: {v: "%s"}\n' \
    "$1" "${2:-}" "${3:-1}"
}

deployment() { # COLOUR: replicas are somebody else's
  cat <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {colour: "$1"}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
Y
}

make_repo() {
  mkdir -p "$REPO/root"
  application shop 'syncOptions: [CreateNamespace=true]'
  application hang 'syncOptions: [CreateNamespace=true]'
  application kept 'automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]'
  application scaled 'automated: {selfHeal: true}, syncOptions: [CreateNamespace=true, RespectIgnoreDifferences=true]'
  for i in a b c; do map "$i" >"$REPO/shop/$i.yaml"; done
  map first >"$REPO/hang/first.yaml"
  printf 'apiVersion: nobody.example.com/v1\nkind: Never\nmetadata: {name: never}\n' >"$REPO/hang/never.yaml"
  for i in one two; do map $i 'argocd.argoproj.io/sync-options: Prune=confirm' >"$REPO/kept/$i.yaml"; done
  map three >"$REPO/kept/three.yaml"
  deployment red >"$REPO/scaled/web.yaml"
  map stays >"$REPO/scaled/stays.yaml"
  cat >"$REPO/root/argocd.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: argocd}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
data:
  resource.customizations.ignoreDifferences.apps_Deployment: |
    jqPathExpressions: [.spec.replicas]
  resource.customizations.ignoreDifferences.all: |
    managedFieldsManagers: [kube-controller-manager]
Y
  publish
}

by_map() {
  reconcile_settled 60 "$(commit)"
  like "$(ask shop --dry-run)" 'dry run: [0-9]+ would be created' 'a trial says what it would do'
  is "$(there shop cm/a)$(kubectl get ns shop -o name 2>/dev/null)" '' 'and does nothing'
  check 'a part of it' ask shop --resource :ConfigMap:shop/a
  is "$(there shop cm/a) $(there shop cm/b)" 'configmap/a ' 'is all that is done'
  refuse 'what is none of it' 10 ask shop --resource ':Secret:*'
  refuse 'an option that is none' 10 ask shop --sync-option Nonsense=true
  like "$OUT" 'Nonsense' 'is refused by name'
  check 'all of it' ask shop
  is "$(there shop cm/b)" configmap/b 'is done'
  rm "$REPO/shop/b.yaml"
  publish
  reconcile_settled 20 "$(commit)"
  check 'a sync that does not prune' ask shop
  is "$(there shop cm/b)" configmap/b 'leaves what Git no longer has'
  like "$(ask shop --dry-run --prune)" '1 deleted' 'a trial tells what would go'
  is "$(there shop cm/b)" configmap/b 'and leaves it'
  check 'a sync that prunes' ask shop --prune
  is "$(there shop cm/b)" '' 'deletes it'
  ends
}

ends() {
  check 'one that does not come to an end' "$REGROW" sync hang --no-wait
  wait_for 20 'it to run' bash -c "kubectl get cm -n regrow-system control-answers -o json | jq -e '.data.hang | fromjson | .operationState.phase == \"Running\"'"
  check 'is ended' ask hang --terminate
  is "$(kubectl get cm -n regrow-system control-answers -o json | jq -c '.data.hang | fromjson | .operationState | [.phase, .message]')" \
    '["Failed","Operation terminated"]' 'and says so'
  refuse 'there is nothing more to end' 4 ask hang --terminate
}

by_object() {
  cp "$ROOT/deploy/reconcile/application-crd.yaml" "$REPO/root/"
  publish
  reconcile_settled 60 "$(commit)"
  cluster_is 20 Synced get application -n argocd shop -o 'jsonpath={.status.sync.status}'
  sed -i 's/v: "1"/v: "2"/' "$REPO"/shop/*.yaml
  publish
  reconcile_settled 20 "$(commit)"
  cluster_is 20 OutOfSync get application -n argocd shop -o 'jsonpath={.status.sync.status}'
  is "$(app shop '[.status.resources[] | select(.kind == "ConfigMap") | .status] | unique')" '["OutOfSync"]' \
    'each object that Git has changed is told'
  kubectl patch application -n argocd shop --type=merge -p '{"operation":{"initiatedBy":{"username":"anna"},"sync":
    {"dryRun":true,"resources":[{"kind":"ConfigMap","name":"a","namespace":"shop"}]}}}' >/dev/null
  cluster_is 20 Succeeded get application -n argocd shop -o 'jsonpath={.status.operationState.phase}'
  is "$(app shop '.status.operationState | [.operation.initiatedBy.username, (.startedAt | length), (.finishedAt | length)]')" \
    '["anna",20,20]' "an operation has Argo CD's shape"
  is "$(app shop '[.status.operationState.syncResult.resources[] | [.kind, .name, .status, .message, .syncPhase]]')" \
    '[["ConfigMap","a","Synced","configmap/a configured (dry run)","Sync"]]' 'with what it would do'
  is "$(kubectl get cm -n shop a -o 'jsonpath={.data.v}') $(app shop '.status.history | length')" '1 0' \
    'and is no deployment'
  check 'a part by its object' ask shop --resource :ConfigMap:shop/a
  is "$(app shop '[.status.sync.status, (.status.history | length), ([.status.resources[] | select(.kind == "ConfigMap") | .status])]')" \
    '["OutOfSync",0,["Synced","OutOfSync"]]' 'is told as such'
  check 'all of it by its object' ask shop
  is "$(app shop '[.status.sync.status, (.status.history | length), .status.history[-1].initiatedBy.username != null]')" \
    '["Synced",1,true]' 'is a deployment, with who asked for it'
  local before
  before=$(git --git-dir="$GIT_ROOT/ops.git" rev-parse main~1)
  refuse 'a trial of another revision' 10 ask shop --revision "$before" --dry-run
  like "$OUT" 'a dry run of another revision is not supported' 'is refused by name'
  refuse 'a part of another revision' 10 ask shop --revision "$before" --resource :ConfigMap:shop/a
  is "$(app shop .status.sync.status) $(kubectl get cm -n shop a -o 'jsonpath={.data.v}')" '"Synced" 2' 'and leaves it where it was'
  check 'that of its own' ask shop --revision "$(git --git-dir="$GIT_ROOT/ops.git" rev-parse main)" --dry-run
}

ends_by_object() {
  check 'one that goes on and on' "$REGROW" sync hang --no-wait
  cluster_is 20 Running get application -n argocd hang -o 'jsonpath={.status.operationState.phase}'
  check 'is ended as Argo CD ends it' kubectl patch application -n argocd hang --type=merge \
    -p '{"status":{"operationState":{"phase":"Terminating"}}}'
  cluster_is 20 'Failed Operation terminated' get application -n argocd hang \
    -o 'jsonpath={.status.operationState.phase} {.status.operationState.message}'
  ok 'and says so'
}

confirm() {
  reconcile_mark
  kubectl annotate application -n argocd kept argocd.argoproj.io/deletion-approved=2026-01-01T00:00:00Z >/dev/null
  rm "$REPO"/kept/{one,two,three}.yaml
  map four 'argocd.argoproj.io/sync-options: Prune=confirm' >"$REPO/kept/four.yaml"
  publish
  reconcile_saw 20 '.type == "prune.awaited" and .app == "kept" and .objects == 2'
  cluster_is 20 Running get application -n argocd kept -o 'jsonpath={.status.operationState.phase}'
  is "$(there kept cm/one) $(there kept cm/three) $(there kept cm/four)" 'configmap/one  configmap/four' \
    'what asks for it waits for a confirmation, later than the last one'
  like "$(app kept .status.operationState.message)" 'waiting for pruning confirmation of ConfigMap kept/one and 1 more' 'the status tells'
  like "$("$REGROW" status "$HTTP_URL/git/ops.git//root?ref=main" || true)" 'kept --approve' 'and regrow status, with the way out'
  approve_only_told
  check 'it is approved of' ask kept --approve
  is "$(there kept cm/one)$(there kept cm/two)$(there kept cm/four)" '' 'then it goes'
  cluster_is 20 Succeeded get application -n argocd kept -o 'jsonpath={.status.operationState.phase}'
}

# What a controller that was killed had begun is not told to be under way for ever.
killed() {
  cluster_is 60 'Error the controller was restarted while it was under way: ask for it again' get application -n argocd hang \
    -o 'jsonpath={.status.operationState.phase} {.status.operationState.message}'
  ok 'what was under way is told to have ended'
  check 'and can be asked for again' "$REGROW" sync hang --no-wait
  cluster_is 20 Running get application -n argocd hang -o 'jsonpath={.status.operationState.phase}'
  check 'and ended' ask hang --terminate
  cluster_is 20 Failed get application -n argocd hang -o 'jsonpath={.status.operationState.phase}'
}

# In one turn: somebody has approved, and something else has left Git that was not told to him.
approve_only_told() {
  reconcile_mark
  rm "$REPO/kept/four.yaml"
  map five >"$REPO/kept/five.yaml"
  kubectl annotate --overwrite application -n argocd kept \
    "argocd.argoproj.io/deletion-approved=$(jq -r .since <<<"$(app kept .status.regrow.awaitsApproval)")" >/dev/null &
  publish
  wait $!
  reconcile_saw 20 '.type == "prune.awaited" and .app == "kept"'
  is "$(there kept cm/four)" 'configmap/four' 'what joined since was not approved of'
}

# Between two polls, too.
asked_now() {
  map a '' 9 >"$REPO/shop/a.yaml"
  publish
  ask shop >/dev/null
  is "$(kubectl get configmap -n shop a -o jsonpath='{.data.v}')" 9 'a sync is to what Git says when it is asked for'
}

# deny NUMBER EXPRESSION: an update that makes it false is refused, as by a definition with another
# schema. NUMBER tells this policy from the one before; that it is asked for must leave no label.
deny() {
  kubectl apply -f - >/dev/null <<Y
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: applications}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [argoproj.io], apiVersions: ["*"], operations: [UPDATE], resources: [applications]}]
  validations:
    - {expression: '$2', message: no such field}
    - {expression: '!has(object.metadata.labels) || !("probe$1" in object.metadata.labels)', message: in force}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: applications}
spec: {policyName: applications, validationActions: [Deny]}
Y
  wait_for 20 'the policy to be in force' bash -c "! kubectl label --dry-run=server application -n argocd hang probe$1=x"
}

value() { kubectl get configmap -n shop a -o jsonpath='{.data.v}'; }
is_value() { [[ $(value) == "$1" ]]; }
WARNED='.type == "run.warning" and (.message | contains("argocd/shop is refused: "))'

# The status is refused: what was asked for is taken out all the same, and done, once.
refused() {
  reconcile_mark
  deny 1 'has(object.status) == has(oldObject.status) && (!has(object.status) || object.status == oldObject.status)'
  map a '' 10 >"$REPO/shop/a.yaml"
  publish
  check 'asked for where no status is taken' "$REGROW" sync shop --no-wait
  wait_for 20 'it to be done' is_value 10
  wait_for 20 'it to be taken out' bash -c "[[ \$(kubectl get application -n argocd shop -o jsonpath='{.operation}') == '' ]]"
  reconcile_saw 20 "$WARNED"
  kubectl annotate application -n argocd shop argocd.argoproj.io/refresh=normal >/dev/null
  sleep 2
  is "$(reconcile_count "$WARNED") $(kubectl get events -n argocd -o json |
    jq '[.items[] | select(.reason == "StatusRefused" and .involvedObject.name == "shop") | .count] | add')" '1 1' \
    'that it cannot be told is told once'
  map a '' 11 >"$REPO/shop/a.yaml"
  publish
}

# Not even taken out: it is never done, for the next process would do it once more.
untaken() {
  is "$(value)" 10 'and not done again after a restart'
  deny 2 'has(object.operation) || !has(oldObject.operation)'
  reconcile_mark
  check 'asked for where nothing is taken out' "$REGROW" sync shop --no-wait
  reconcile_saw 20 '.type == "run.warning" and (.message | contains("what is asked for in Application argocd/shop"))'
  sleep 2
  is "$(value)" 10 'it is not done'
}

ignored() {
  reconcile_mark
  kubectl scale deployment -n scaled web --replicas=4 >/dev/null
  sleep 2
  is "$(reconcile_count '.type == "object.drifted" and .name == "web"')" 0 'what argocd-cm leaves to others is no drift'
  is "$("$REGROW" diff --app scaled "$HTTP_URL/git/ops.git//root?ref=main" -o json | jq '.differences | length')" 0 'nor a difference'
  deployment blue >"$REPO/scaled/web.yaml"
  publish
  reconcile_settled 20 "$(commit)"
  is "$(kubectl get deployment -n scaled web -o 'jsonpath={.metadata.labels.colour} {.spec.replicas}')" 'blue 4' \
    'and is sent as it is there'
  kubectl patch deployment -n scaled web --type=merge -p '{"metadata":{"labels":{"colour":"green"}},"spec":{"replicas":6}}' >/dev/null
  cluster_is 20 'blue 6' get deployment -n scaled web -o 'jsonpath={.metadata.labels.colour} {.spec.replicas}'
  ok 'what is put back leaves it, too'
}

# A field that another manager owns, and that Git now declares: never taken silently.
owned_map() { # SYNC-OPTIONS DATA
  map mine "argocd.argoproj.io/sync-options: \"$1\"" | sed "s/^data:.*/data: {$2}/" >"$REPO/owned/mine.yaml"
}
owner_has() { kubectl get cm -n owned mine -o 'jsonpath={.data.a} {.data.b} {.data.c}'; }
hand() { kubectl apply --server-side --field-manager=hand -f - >/dev/null; }

owned() {
  local root
  root="$HTTP_URL/git/ops.git//root?ref=main"
  application owned 'automated: {selfHeal: true}, syncOptions: [CreateNamespace=true]'
  owned_map '' 'a: git'
  publish
  reconcile_settled 30 "$(commit)"
  map mine | sed 's/name: mine,.*/name: mine, namespace: owned}/; s/^data:.*/data: {b: hand, c: hand}/' | hand
  reconcile_mark
  owned_map '' 'a: git2, b: git'
  publish
  reconcile_saw 20 '.type == "sync.failed" and .app == "owned" and (.message | contains(".data.b owned by \"hand\""))'
  like "$(reconcile_events | jq -r 'select(.type == "sync.failed") | .message' | head -1)" \
    'regrow sync owned --force-conflicts, for good by the sync option ServerSideApply=true' 'what can be done is said'
  is "$(owner_has)" 'git hand hand' 'nothing of the object is written'
  cluster_is 20 OutOfSync get application -n argocd owned -o 'jsonpath={.status.sync.status}'
  like "$(app owned '.status.conditions')" 'data.b owned by .*hand' 'the Application has it as a condition'
  like "$(app owned '[.status.operationState.syncResult.resources[] | select(.name == "mine") | [.status, .message]]')" \
    'SyncFailed.*data.b owned by .*hand' 'and with its object'
  like "$("$REGROW" why owned "$root")" 'is refused.*data.b owned by "hand".*next: .*--force-conflicts' 'why names field, manager, and the way out'
  is "$("$REGROW" why owned -o json "$root" | jq -c '[.differs[] | [.refused, .conflict]]')" '[[true,true]]' 'in JSON as well'
  check 'it is asked for once' ask owned --force-conflicts
  is "$(owner_has)" 'git2 git hand' 'and taken, with no more than Git declares'
  is "$(kubectl get cm -n owned mine -o json --show-managed-fields |
    jq -c '[.metadata.managedFields[] | select(.fieldsV1["f:data"]["f:b"]) | .manager]')" '["regrow"]' 'its manager has it no more'
  cluster_is 20 Synced get application -n argocd owned -o 'jsonpath={.status.sync.status}'
  like "$("$REGROW" why owned "$root")" 'healthy' 'why agrees'
  reconcile_mark
  owned_map 'ServerSideApply=true' 'a: git2, b: git, c: git'
  publish
  reconcile_settled 30 "$(commit)"
  is "$(owner_has)" 'git2 git git' 'ServerSideApply=true says it for good'
  is "$(reconcile_count '.type == "sync.failed"')" 0 'and nothing fails'
}

# An object that somebody changes and puts back again and again: the status says each, and the events of
# its application are counted and bounded (reconcile/event_series.h).
flaps() {
  local i began=$SECONDS
  application flap 'syncOptions: [CreateNamespace=true]'
  map one >"$REPO/flap/one.yaml"
  publish
  reconcile_settled 30 "$(commit)"
  check 'an application' ask flap
  for ((i = 0; i < 15; i++)); do
    kubectl patch cm -n flap one --type=merge -p '{"data":{"v":"hand"}}' >/dev/null
    cluster_is 30 OutOfSync get application -n argocd flap -o 'jsonpath={.status.sync.status}'
    kubectl patch cm -n flap one --type=merge -p '{"data":{"v":"1"}}' >/dev/null
    cluster_is 30 Synced get application -n argocd flap -o 'jsonpath={.status.sync.status}'
  done
  sleep 2
  kubectl get events -n argocd -o json | jq '[.items[] | select(.involvedObject.name == "flap")]' >"$SCRATCH/flaps"
  at_most "$(jq '[.[].count] | add' "$SCRATCH/flaps")" $((26 + (SECONDS - began) / 300)) 'of one that turns 30 times no more are written than the bound'
  check 'and as many' test "$(jq '[.[].count] | add' "$SCRATCH/flaps")" -ge 25
  at_most "$(jq 'length' "$SCRATCH/flaps")" 12 'the same ones are counted'
  check 'again and again' jq -e 'map(.count) | max >= 5' "$SCRATCH/flaps"
}

githttp_start
cluster_up main
make_repo
reconcile_start --poll 1s "$HTTP_URL/git/ops.git//root?ref=main"
run_case 'map' by_map
run_case 'object' by_object
run_case 'end' ends_by_object
run_case 'confirm' confirm
"$REGROW" sync hang --no-wait >/dev/null
cluster_is 20 Running get application -n argocd hang -o 'jsonpath={.status.operationState.phase}' || true
kill -KILL "$RECONCILE_PID"
wait "$RECONCILE_PID" 2>/dev/null || true
reconcile_start --poll 1s "$HTTP_URL/git/ops.git//root?ref=main"
run_case 'killed' killed
run_case 'ignored' ignored
is "$(audit_rejections | head -c 600)" '' 'no write was rejected'
run_case 'owned' owned
run_case 'flaps' flaps
again() {
  reconcile_stop
  reconcile_start --poll 1h "$HTTP_URL/git/ops.git//root?ref=main"
  reconcile_settled 60 "$(commit)"
}
again
run_case 'now' asked_now
run_case 'refused' refused
again
run_case 'untaken' untaken
again
is "$(value)" 10 'nor by the next process'
