#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The health scripts of argocd-cm hold waves back: those of the desired state, else those of the
# cluster. One that is desired and cannot be read ends the run; one in the cluster does not.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo

# A ConfigMap called gate is healthy when it says so.
config() {
  cat <<'EOC'
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels: {app.kubernetes.io/part-of: argocd}
data:
  resource.customizations.health.ConfigMap: |
    if obj.metadata.name ~= "gate" or obj.data.ready == "yes" then
      return {status = "Healthy"}
    end
    return {status = "Progressing", message = "the gate is closed"}
EOC
}

objects() { # READY
  cat <<EOC
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gate, namespace: demo, annotations: {argocd.argoproj.io/sync-wave: "1"}}
data: {ready: "$1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after, namespace: demo, annotations: {argocd.argoproj.io/sync-wave: "2"}}
EOC
}

# Each is a root of its own in the same cluster.
boot() { "$REGROW" bootstrap --allow-mass-prune --timeout 7s "$REPO" >"$SCRATCH/out" 2>&1; }

desired() {
  mkdir -p "$REPO"
  printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n' >"$REPO/argocd.yaml"
  config >"$REPO/config.yaml"
  objects no >"$REPO/objects.yaml"
  refuse 'a closed gate is waited for' 8 boot
  like "$(cat "$SCRATCH/out")" 'the gate is closed' 'what the script says is shown'
  refuse 'the wave behind it is not there' 1 kubectl get cm -n demo after
  refuse 'nor after another run' 8 boot
  refuse 'still not there' 1 kubectl get cm -n demo after
  objects yes >"$REPO/objects.yaml"
  check 'an open gate lets the run end' boot
  check 'the wave behind it is there' kubectl get cm -n demo after
}

# An Ingress that nobody gives an address.
ignored() {
  cat >"$REPO/ingress.yaml" <<'EOC'
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: demo}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
EOC
  refuse 'an Ingress without an address is waited for' 8 boot
  refuse 'and looked at it is not healthy' 10 "$REGROW" status "$REPO"
  check 'with --ready it is healthy once it is applied' "$REGROW" bootstrap --ready Ingress=applied --timeout 7s "$REPO"
  check 'to a look with --ready, too' "$REGROW" status --ready Ingress.networking.k8s.io=applied "$REPO"
  check 'and to a controller' "$REGROW" reconcile --once --ready Ingress=applied --timeout 20s "$REPO"
  refuse 'which without it says that it is not' 8 "$REGROW" reconcile --once --timeout 5s "$REPO"
  sed -i 's/namespace: demo}/namespace: demo, annotations: {argocd.argoproj.io\/ignore-healthcheck: "true"}}/' \
    "$REPO/ingress.yaml"
  check 'but not when it asks to be left out' boot
  check 'nor when it is there already' boot
  rm "$REPO/ingress.yaml"
}

unreadable() {
  sed -i 's/health.ConfigMap/health.a_b_c/' "$REPO/config.yaml"
  refuse 'a desired key that means nothing' 3 boot
  like "$(cat "$SCRATCH/out")" 'config.yaml' 'is named with its file'
}

live() {
  cluster_wipe
  rm "$REPO/argocd.yaml" "$REPO/config.yaml"
  objects no >"$REPO/objects.yaml"
  kubectl create namespace argocd >/dev/null
  config | kubectl apply -f - >/dev/null
  refuse 'the scripts of the cluster hold back as well' 8 boot
  like "$(cat "$SCRATCH/out")" 'the gate is closed' 'in their own words'
  kubectl patch cm -n argocd argocd-cm --type merge \
    -p '{"data":{"resource.customizations.health.a_b_c":"return {}"}}' >/dev/null
  check 'scripts of the cluster that cannot be read hold up nobody' boot
  check 'the wave is there by the built-in rules' kubectl get cm -n demo after
}

command_line() {
  objects no >"$SCRATCH/gate.yaml"
  config >"$SCRATCH/cm.yaml"
  like "$("$REGROW" health --customizations "$SCRATCH/cm.yaml" "$SCRATCH/gate.yaml")" \
    'Progressing +ConfigMap demo/gate: the gate is closed' 'the command takes scripts, too'
  like "$("$REGROW" health "$SCRATCH/gate.yaml")" '- +ConfigMap demo/gate' 'and does without them'
}

# An Ingress of an early wave cannot be healthy before its controller, which is in a later one; a
# claim not before its consumer. The applications are healthy when these are.
untied() {
  local repo=$SCRATCH/untied pid status=0 app
  mkdir -p "$repo/.git" "$repo/root" "$repo/apps/web" "$repo/apps/controller"
  printf '[remote "origin"]\n\turl = https://h/untied\n' >"$repo/.git/config"
  for app in web controller; do
    cat >"$repo/root/$app.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $app, namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: "$([[ $app == web ]] && echo 0 || echo 1)"}}
spec:
  project: default
  source: {repoURL: https://h/untied, path: apps/$app}
  destination: {server: https://kubernetes.default.svc, namespace: untied}
  syncPolicy: {syncOptions: [CreateNamespace=true]}
Y
  done
  cat >"$repo/apps/web/all.yaml" <<'Y'
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {ingressClassName: nginx, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
Y
  cat >"$repo/apps/controller/all.yaml" <<'Y'
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: example.com/nginx}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  selector: {matchLabels: {a: nginx}}
  template: {metadata: {labels: {a: nginx}}, spec: {containers: [{name: c, image: "registry.example.com/nginx:1"}]}}
Y
  "$REGROW" bootstrap --timeout 40s "$repo/root" >"$SCRATCH/out" 2>&1 &
  pid=$!
  wait_for 20 'the controller, though the Ingress is not healthy' kubectl rollout status deploy -n untied nginx --timeout=20s
  check 'the run waits for the Ingress all the same' kill -0 "$pid"
  kubectl patch ingress -n untied web --subresource=status --type=merge \
    -p '{"status":{"loadBalancer":{"ingress":[{"ip":"10.1.2.3"}]}}}' >/dev/null
  wait "$pid" || status=$?
  is "$status" 0 'and ends when its controller has served it'
  like "$(cat "$SCRATCH/out")" 'Ingress untied/web cannot become healthy yet; it needs Deployment untied/nginx' 'and that is said'
}

# status --watch tells what others do as it happens, follows Git when somebody has applied it, goes on
# when the API server has been away, writes nothing, and ends with the code of its last look.
told() { jq -c -R 'fromjson? // empty' "$SCRATCH/watched" | jq -e -s "[.[] | select($1)] | length > 0" >/dev/null; }
watched() {
  local repo=$SCRATCH/untied pid status=0
  "$REGROW" status --watch -o ndjson "$repo/root" >>"$SCRATCH/watched" &
  pid=$!
  wait_for 10 'the first look' told '.type == "status.summary" and .good'
  kubectl label ingressclass nginx a=b >/dev/null
  kubectl patch deploy -n untied nginx --type=json \
    -p '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other"}]' >/dev/null
  wait_for 10 'a drift' told '.app == "controller" and .sync == "OutOfSync" and .differing == 1'
  sed -i 's/nginx:1/nginx:2/' "$repo/apps/controller/all.yaml"
  check 'somebody applies another revision' "$REGROW" bootstrap --force-conflicts --timeout 20s "$repo/root"
  : >"$SCRATCH/watched"
  kubectl delete deploy -n untied nginx >/dev/null
  wait_for 10 'by what Git says now' told '.app == "controller" and .missing == 1 and .differing == 0'
  is "$(kubectl get deploy -n untied -o name)" '' 'nothing is put back'
  kill -TERM "$pid"
  wait "$pid" || status=$?
  is "$status" 10 'it ends with the code of the last look'
}

cluster_up main
run_case untied untied
run_case watched watched
run_case desired desired
run_case ignored ignored
run_case unreadable unreadable
run_case live live
run_case 'command line' command_line
