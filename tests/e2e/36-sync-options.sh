#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Sync options, of applications and of objects, do what docs/sync-options.md says.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
mkdir -p "$REPO/.git" "$REPO/root"
printf '[remote "origin"]\n\turl = https://h/repo\n' >"$REPO/.git/config"

# application NAME OPTIONS [FURTHER-SPEC]: with what standard input says as its manifests
application() {
  mkdir -p "$REPO/apps/$1"
  cat >"$REPO/apps/$1/all.yaml"
  cat >"$REPO/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  source: {repoURL: https://h/repo, path: apps/$1}
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true${2:+, $2}]}
  ${3:-}
Y
}

forget() { rm -rf "$REPO/root/$1.yaml" "$REPO/apps/$1"; }
boot() { "$REGROW" bootstrap --timeout 60s "$@" "$REPO/root"; }

settings() { # NAME VALUE [SYNC-OPTIONS]
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {argocd.argoproj.io/sync-options: "%s"}}\ndata: {a: "%s"}\n' "$1" "${3:-}" "$2"
}

web() { # REPLICAS IMAGE
  cat <<Y
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: $1
  selector: {matchLabels: {a: web}}
  template: {metadata: {labels: {a: web}}, spec: {containers: [{name: c, image: "$2"}]}}
Y
}

replicas() { kubectl get deploy -n ignored web -o 'jsonpath={.spec.replicas}'; }

ignored() { # a field that something else keeps
  local rule='ignoreDifferences: [{group: apps, kind: Deployment, jqPathExpressions: [.spec.replicas]}]' writes rejected
  web 1 a:1 | application ignored RespectIgnoreDifferences=true "$rule"
  check 'a Deployment is made' boot
  kubectl scale deploy -n ignored web --replicas=2 >/dev/null
  kubectl rollout status deploy -n ignored web --timeout=20s >/dev/null
  writes=$(audit_writes) rejected=$(audit_rejected)
  check 'scaled by another it is no conflict' boot
  at_most "$(($(audit_writes) - writes))" 1 'nothing but the inventory is written'
  writes=$(audit_writes)
  check 'nor the next time' boot
  is "$(audit_writes)" "$writes" 'and nothing is written'
  web 1 a:2 | application ignored RespectIgnoreDifferences=true "$rule"
  check 'a change of the rest' boot
  is "$(replicas)" 2 'leaves the field as it is'
  is "$(kubectl get deploy -n ignored web -o 'jsonpath={.spec.template.spec.containers[0].image}')" a:2 'and is applied'
  web 3 a:3 | application ignored RespectIgnoreDifferences=true "$rule"
  check 'so it is with --force-conflicts' boot --force-conflicts
  is "$(replicas)" 2 'where it is to be respected'
  is "$(audit_rejected)" "$rejected" 'no write was rejected'
  check 'diff shows nothing of it' "$REGROW" diff "$REPO/root"
  web 3 a:3 | application ignored '' 'ignoreDifferences: []'
  refuse 'without the rule it is a conflict' 10 boot
  like "$OUT" 'owned by' 'of another manager'
  forget ignored
}

undeclared() { # Validate=false
  local bad='---
apiVersion: v1
kind: ConfigMap
metadata: {name: odd}
dada: {a: b}
data: {c: d}'
  echo "$bad" | application undeclared
  refuse 'a field that no schema has' 10 boot
  like "$OUT" 'dada' 'is named'
  echo "$bad" | application undeclared Validate=false
  check 'is left out where an application says so' boot
  is "$(kubectl get cm -n undeclared odd -o 'jsonpath={.data.c}')" d 'and the rest applied'
  web 1 a:1 | sed 's/  replicas:/  replicaz: 3\n  replicas:/; s/name: c,/name: c, imagez: x,/; s/name: web}/name: web, annotations: {argocd.argoproj.io\/sync-options: Validate=false}}/' | application undeclared
  check 'or an object, of several fields' boot
  is "$(kubectl get deploy -n undeclared web -o 'jsonpath={.spec.replicas}')" 1 'at any depth'
  forget undeclared
}

replaced() { # Replace, Force
  settings one a | application replaced
  check 'an object is made' boot
  kubectl patch cm -n replaced one --type=merge -p '{"data":{"b":"hand"}}' >/dev/null
  settings one b | application replaced
  check 'applied' boot
  is "$(kubectl get cm -n replaced one -o 'jsonpath={.data.b}')" hand 'it keeps what others added'
  settings one c Replace=true | application replaced
  check 'replaced' boot
  is "$(kubectl get cm -n replaced one -o 'jsonpath={.data}')" '{"a":"c"}' 'it does not'
  is "$(audit_count '^update core/configmaps replaced one')" 1 'by one PUT'
  { settings one c Replace=true; settings two 'Replace=true'; } | application replaced
  check 'a text is no option' boot
  { settings one c Replace=true; settings two 'Replace=true, but not'; } | application replaced
  check 'of the object that holds it' boot
  is "$(audit_count '^update core/configmaps replaced two')" 0 'it is applied'
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {a: "1"}\n' | application replaced
  check 'an object that cannot change' boot
  local uid
  uid=$(kubectl get cm -n replaced fixed -o 'jsonpath={.metadata.uid}')
  sed -i 's/a: "1"/a: "2"/' "$REPO/apps/replaced/all.yaml"
  refuse 'is not changed' 10 boot
  like "$OUT" 'Force=true' 'and the option named'
  sed -i 's/name: fixed/name: fixed, annotations: {argocd.argoproj.io\/sync-options: Force=true}/' "$REPO/apps/replaced/all.yaml"
  check 'with Force=true it is made anew' boot
  isnt "$(kubectl get cm -n replaced fixed -o 'jsonpath={.metadata.uid}')" "$uid" 'as another one'
  uid=$(kubectl get cm -n replaced fixed -o 'jsonpath={.metadata.uid}')
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {a: "3"}\n' | application replaced 'Force=true, Replace=true'
  settings three a >>"$REPO/apps/replaced/all.yaml"
  check 'both of an application' boot
  isnt "$(kubectl get cm -n replaced fixed -o 'jsonpath={.metadata.uid}')" "$uid" 'are for all its objects'
  kubectl patch cm -n replaced three --type=merge -p '{"data":{"b":"hand"}}' >/dev/null
  sed -i 's/data: {a: "a"}/data: {a: "b"}/' "$REPO/apps/replaced/all.yaml"
  check 'changed again' boot
  is "$(kubectl get cm -n replaced three -o 'jsonpath={.data}')" '{"a":"b"}' 'it is replaced'
  forget replaced
}

pruned() { # Prune, Delete, PruneLast, PrunePropagationPolicy
  { settings stays 1 Prune=false; settings goes 1; settings last 1 PruneLast=true; settings asks 1 Prune=confirm; } | application pruned
  { settings all 1; settings own 1 Prune=true; } | application kept Prune=false
  check 'they are made' boot
  settings new 1 | application pruned
  settings new 1 | application kept Prune=false
  check 'taken out of Git' boot
  check 'Prune=false keeps an object' kubectl get cm -n pruned stays
  check 'so does Prune=confirm' kubectl get cm -n pruned asks
  refuse 'others go' 1 kubectl get cm -n pruned goes
  refuse 'PruneLast is no other' 1 kubectl get cm -n pruned last
  like "$(audit_sequence | grep ' pruned new \| pruned goes ' | tail -1)" '^delete .* goes' 'after all is applied'
  check 'Prune=false of an application keeps all' kubectl get cm -n kept all
  refuse 'but what says otherwise itself' 1 kubectl get cm -n kept own
  { settings mine 1 Delete=false; settings theirs 1; } | application deleted
  settings theirs 1 | application whole Delete=confirm
  check 'two more applications' boot
  forget deleted
  forget whole
  check 'taken out of Git as a whole' boot
  check 'Delete=false keeps an object' kubectl get cm -n deleted mine
  refuse 'the others go' 1 kubectl get cm -n deleted theirs
  check 'Delete=confirm of an application keeps all' kubectl get cm -n whole theirs
  forget pruned
  forget kept
  web 1 a:1 | application orphaned PrunePropagationPolicy=orphan
  check 'a Deployment is made' boot
  settings new 1 | application orphaned PrunePropagationPolicy=orphan
  check 'and taken out of Git' boot
  refuse 'it goes' 1 kubectl get deploy -n orphaned web
  is "$(kubectl get rs -n orphaned -o name | wc -l)" 1 'and orphans what it owns'
  forget orphaned
}

taken() { # ServerSideApply
  { settings one a; settings two a ServerSideApply=false; } | application taken ServerSideApply=true
  kubectl create ns taken >/dev/null
  { settings one hand; settings two hand; } | kubectl apply -n taken --server-side --field-manager=hand -f - >/dev/null
  refuse 'an object that says otherwise' 10 boot
  like "$OUT" 'two.*owned by "hand"' 'is a conflict'
  is "$(kubectl get cm -n taken one two -o 'jsonpath={.items[*].data.a}')" 'a hand' 'the others of its application are taken over'
  settings one a | application taken ServerSideApply=true 'ignoreDifferences: [{kind: ConfigMap, name: one, jsonPointers: [/data/a]}]'
  kubectl patch cm -n taken one --type=merge -p '{"data":{"a":"scaler"}}' --field-manager=scaler >/dev/null
  check 'with a rule for the field' boot
  is "$(kubectl get cm -n taken one -o 'jsonpath={.data.a}')" scaler 'it stays its owner'"'"'s'
  forget taken
}

shared() { # FailOnSharedResource
  kubectl create ns shared >/dev/null
  kubectl apply --server-side -f - >/dev/null <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: theirs, namespace: shared, annotations: {argocd.argoproj.io/tracking-id: "elsewhere:/ConfigMap:shared/theirs"}}
Y
  settings theirs 1 | application shared FailOnSharedResource=true
  refuse 'an object of an application elsewhere is not taken' 10 boot
  like "$OUT" 'elsewhere.*FailOnSharedResource=true' 'and its owner named'
  settings theirs 1 | application shared
  refuse 'without the option it can be' 0 boot --force-conflicts
  like "$OUT" 'elsewhere, which is not of this root' 'and that is said'
  refuse 'once' 0 boot
  unlike "$OUT" 'elsewhere' 'then it is ours'
  forget shared
}

migrated() { # ClientSideApplyMigration
  settings one mine | application migrated ClientSideApplyMigration=false
  kubectl create ns migrated >/dev/null
  settings one theirs | kubectl apply -n migrated -f - >/dev/null
  refuse 'fields of kubectl apply are a conflict where they must not be taken over' 10 boot
  like "$OUT" 'owned by "kubectl-client-side-apply"' 'and their owner is named'
  settings one mine | application migrated
  check 'else they become ours' boot
  is "$(kubectl get cm -n migrated one -o 'jsonpath={.data.a}')" mine 'as Git says'
  forget migrated
}

told() { # what is not known, or not heeded
  settings one 1 'Prun=false' | application told 'PruneLst=true' 'revisionHistoryLimt: 3'
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: open, namespace: argocd}\nspec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "*"}], syncWindows: [{kind: deny, schedule: "* * * * *", duration: 1h, applications: ["*"]}]}\n' >"$REPO/root/open.yaml"
  refuse 'what is misspelt stops nothing' 0 boot -o json
  like "$(jq -r '.warnings[]' <<<"$OUT")" 'told: the sync option PruneLst=true is not known' 'an option'
  like "$(jq -r '.warnings[]' <<<"$OUT")" 'told: the sync option Prun=false is not known' 'of an object'
  like "$(jq -r '.warnings[]' <<<"$OUT")" 'told: the field spec.revisionHistoryLimt is not known' 'a field'
  like "$(jq -r '.warnings[]' <<<"$OUT")" 'project open: its sync windows are not heeded' 'windows'
  like "$("$REGROW" plan "$REPO/root")" 'sync windows' 'plan says so too'
  like "$(boot)" '! 4 warnings' 'bootstrap in one line'
  rm "$REPO/root/open.yaml"
  forget told
}

cluster_up main
run_case ignored ignored
run_case undeclared undeclared
run_case replaced replaced
run_case pruned pruned
run_case taken taken
run_case shared shared
run_case migrated migrated
run_case told told
