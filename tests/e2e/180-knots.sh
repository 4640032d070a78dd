#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Knots of real repositories: each comes up without a rejected write, or is an error before any
# write; and while it is tied, why says what is the matter, in text and in JSON.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
if [[ ${1:-} != inside ]]; then
  status=0
  "$LIB/netns" bash "$0" inside || status=$?
  if ((status == 77)); then skip_all 'no network of its own for webhooks on pods'; fi
  trap - EXIT
  exit "$status"
fi
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/knots.sh"

export XDG_CACHE_HOME=$SCRATCH/cache

config_map() { printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {%s}}\n' "$1" "${2:-}"; }

# A selector that no node has.
NOWHERE='nodeSelector: {no: such}'

# The Git server lives in the cluster it bootstraps: it answers only when its pods are ready.
git_server_files() {
  deployment forge | application forge
  config_map inside | application inside
  git_publish "$REPO/apps/inside" inside >/dev/null
  sed -i "s|repoURL: .*|repoURL: $HTTP_URL/git/inside.git, path: .}|" "$REPO/root/inside.yaml"
}

# The server of githttp_start, as long as its pods are there.
forge_serves() {
  spawn forge bash -c "until kubectl wait -n forge --for=condition=Available --timeout=1s deploy/forge; do sleep 0.2; done 2>/dev/null
    exec lighttpd -D -f '$SCRATCH/http/lighttpd.conf'"
}

git_server() {
  githttp_stop
  git_server_files
  forge_serves
  ends 0 'where its Git server comes up one run goes through'
  check 'with what comes from there' kubectl get cm -n inside inside
  check 'behind what it comes from' audit_before 'apps/deployments forge forge' 'core/configmaps inside inside'
  like "$(cat "$SCRATCH/out")" "$HTTP_URL/git/inside.git can be read now" 'which is said'
  like "$(cat "$SCRATCH/out")" '2 applications healthy in .* 4 written, 0 rejected, 0 unchanged' 'what both turns did counts once'
  ends 0 'there is nothing left to do'
  like "$(cat "$SCRATCH/out")" ' 0 written' 'nothing at all'
  stop forge
}

# Its pods are ready, and it does not answer all the same.
git_server_silent() {
  githttp_stop
  git_server_files
  config_map beside | application beside
  ends 10 'a run whose Git server does not come up ends'
  check 'what needs it not is there' kubectl get cm -n beside beside
  like "$(cat "$SCRATCH/out")" "$HTTP_URL/git/inside.git: asked again for up to" 'it says that it asked again'
  why_says inside "inside .*could not be read.* 127\.0\.0\.1.*next: " \
    '.chain[-1] | .failed and (.node | test("inside")) and (.message | test("127.0.0.1"))' 'its Git server does not answer'
  githttp_again
  ends 0 'with the server up the same command ends well'
  check 'with what comes from there' kubectl get cm -n inside inside
  githttp_stop
  deployment more | application more
  ends 10 'it goes away, and something comes up'
  check 'what is unknown stays' kubectl get cm -n inside inside
}

# What is wanted of the server is there while something else is still coming up, and that waits for it.
git_server_meanwhile() {
  githttp_stop
  git_server_files
  custom Thing things x.io Namespaced >"$REPO/apps/inside/all.yaml"
  git_publish "$REPO/apps/inside" inside >/dev/null
  printf 'apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\n' | application user
  forge_serves
  ends 0 'what waits for something in there does not keep it from being read'
  check 'all of it' kubectl get thing -n user t
  stop forge
}

# The same of a chart, by an exact version.
chart_server() {
  local chart=$SCRATCH/chart/packed url
  githttp_stop
  mkdir -p "$chart/templates"
  printf 'apiVersion: v2\nname: packed\nversion: 1.2.3\n' >"$chart/Chart.yaml"
  config_map packed >"$chart/templates/all.yaml"
  charts_package "$chart" repo >/dev/null
  url=$(charts_index repo)
  deployment forge | application forge
  config_map unused | application user
  sed -i "s|repoURL: .*|repoURL: $url, chart: packed, targetRevision: 1.2.3}|" "$REPO/root/user.yaml"
  forge_serves
  ends 0 'so does a run whose charts come from the cluster'
  check 'with what is in there' kubectl get cm -n user packed
  stop forge
}

# An URL that is simply wrong beside something that comes up.
dead_url() {
  deployment up | application up
  config_map gone | application gone
  sed -i 's|repoURL: .*|repoURL: http://127.0.0.1:1/gone.git, path: .}|' "$REPO/root/gone.yaml"
  ends 10 'a wrong URL ends a run as ever'
  like "$(tr -s ' \n' ' ' <"$SCRATCH/out")" '1 of 2 healthy, 1 failed.*exit.*10.* gone http://127\.0\.0\.1:1/gone\.git: Failed to connect' 'with its reason'
  is "$("$REGROW" bootstrap -o json "$REPO/root" 2>/dev/null | jq -c '[.exitCode, .timedOut, .objects.written]')" \
    '[10,false,0]' 'and a run that has nothing to bring up does not wait for it'
}

# A cycle across waves that a steady state never shows: there the definition is there already.
cycle() {
  printf 'apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\n' | application user
  custom Thing things x.io Namespaced | application operator 1
  ends 3 'a wave before its definition is refused'
  is "$(audit_sequence | grep write | grep -v ' core/namespaces - regrow-system ' || true)" '' 'before any write'
  why_says user 'Thing user/t \(apps/user/all.yaml:1 .*\) waits for CustomResourceDefinition things.x.io .*root/operator.yaml.*--break-declared' \
    '.type == "error" and .exitCode == 3 and (.message | test("things.x.io"))' 'the cycle, with file and line'
  custom Thing things x.io Namespaced | kubectl apply --server-side -f - >/dev/null
  kubectl wait --for=condition=Established crd/things.x.io >/dev/null
  ends 3 'where the definition is there it is refused all the same'
  kubectl delete crd things.x.io >/dev/null
  ends 0 'it comes up when its waves may give way' --break-declared
  check 'all of it' kubectl get thing -n user t
}

project() { # SOURCE-REPOS
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: "3"}}\nspec: {sourceRepos: ["%s"], destinations: [{server: "*", namespace: "*"}], clusterResourceWhitelist: [{group: "*", kind: "*"}]}\n' "$1" >"$REPO/root/team.yaml"
}

# A project that is applied after its user judges it all the same.
late_project() {
  config_map c | application user 0 team
  project 'https://elsewhere/*'
  ends 10 'a project that comes later is obeyed'
  why_says user 'user could not be read.* not permitted in project .?team.*next: Let the AppProject permit it' '.chain[-1] | .failed and (.message | test("project .?team"))' 'its project forbids it'
  refuse 'nothing of it is there' 1 kubectl get cm -n user c
  project '*'
  ends 0 'and nobody waits for it'
  like "$(cat "$SCRATCH/out")" 'AppProject argocd/team .*closes a cycle' 'which is said'
  why_says user 'user is healthy' '.chain == [.chain[0]] and .chain[0].ready' 'nothing holds it up'
}

# A wave on an ApplicationSet's template orders nothing; that of the set does.
template_wave() {
  config_map one | application one
  rm "$REPO/root/one.yaml"
  cat >"$REPO/root/set.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: tenants, namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: "2"}}
spec:
  generators: [{list: {elements: [{name: one}]}}]
  template:
    metadata: {name: '{{name}}', annotations: {argocd.argoproj.io/sync-wave: "-5"}}
    spec:
      project: default
      source: {repoURL: https://h/repo, path: 'apps/{{name}}'}
      destination: {server: https://kubernetes.default.svc, namespace: '{{name}}'}
      syncPolicy: {automated: {}, syncOptions: [CreateNamespace=true]}
Y
  deployment slow "$NOWHERE" | application platform 1
  ends 8 'what the set has made waits for the wave before it' --timeout 8s
  like "$(cat "$SCRATCH/out")" 'the sync-wave on its template orders nothing' 'the wave of its template is told'
  refuse 'nothing of it is there' 1 kubectl get cm -n one one
  why_says one 'one waits for Deployment platform/slow' \
    '[.chain[].why] as $w | (.chain[-1].node == "Deployment platform/slow") and ($w | index("wave") or index("parent"))' 'the wave before'
  deployment slow | application platform 1
  ends 0 'it comes up behind it'
  check 'in that order' audit_before 'apps/deployments platform slow' 'core/configmaps one one'
}

operator() { # GROUP-OF-THE-WEBHOOKS'-KIND PLURAL [CA]
  deployment hook
  cat <<Y
---
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
  - name: judge.x.io
    admissionReviewVersions: [v1]
    sideEffects: None
    timeoutSeconds: 2
    namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, regrow-system]}]}
    clientConfig: {service: {namespace: operator, name: hook}${3:+, caBundle: $3}}
    rules: [{operations: [CREATE, UPDATE], apiGroups: ["$1"], apiVersions: [v1], resources: [$2]}]
Y
}

# An operator and its own resources in one application, the resources first.
own_resources() {
  {
    printf 'apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: le}\nspec: {selfSigned: {}}\n'
    operator cert-manager.io clusterissuers
    custom ClusterIssuer clusterissuers cert-manager.io Cluster
  } | application operator
  ends 8 'without anybody behind the webhook it waits' --timeout 8s
  why_says ClusterIssuer/le 'waits for webhook judge.x.io, which does not answer yet.*refused.*kubectl get endpointslices -n operator' \
    '.chain[-1] | .node == "webhook judge.x.io" and (.message | test("refused")) and .why == "webhook"' 'nobody is behind the webhook'
  spawn addons controlplane addonsim "$CLUSTER" --delay 600ms
  ends 0 'with its operator it comes up'
  check 'behind its definition' audit_before 'customresourcedefinitions - clusterissuers' 'cert-manager.io/clusterissuers - le'
  check 'and its webhook' audit_before 'apps/deployments operator hook' 'cert-manager.io/clusterissuers - le'
  stop addons
}

# A webhook whose pods are ready, but which the API server cannot reach.
unreachable() {
  local pod
  operator '' configmaps "$(base64 -w0 "$SCRATCH/tls/ca.crt")" | application operator
  config_map judged | application user
  config_map beside | sed 's/ConfigMap/ServiceAccount/' | application beside
  ends 10 'a webhook that is not reached is waited for' --timeout 12s
  check 'though its pods are ready' kubectl wait -n operator --for=condition=Available --timeout=0 deploy/hook
  check 'what it does not judge is there' kubectl get sa -n beside beside
  why_says cm/user/judged 'webhook judge.x.io, which does not answer yet.*(connection refused|failed calling webhook).*kubectl get endpointslices -n operator' \
    '.chain[-1] | .node == "webhook judge.x.io" and (.message | test("refused|calling"))' 'what the API server said'
  pod=$(kubectl get pod -n operator -o 'jsonpath={.items[0].status.podIP}')
  spawn hook python3 "$LIB/denyhook.py" 8443 "$SCRATCH/tls/server.pem" "$pod"
  ends 0 'once it is reached the same command ends well'
  stop hook
}

# An object that cannot be healthy before a later wave.
not_before() {
  printf 'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {ingressClassName: nginx, defaultBackend: {service: {name: web, port: {number: 80}}}}\n' |
    application web
  { deployment nginx; printf -- '---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\nspec: {controller: x.io/nginx}\n'; } |
    application controller 1
  ends 8 'an Ingress without an address' --timeout 8s
  check 'does not hold back the controller that gives it one' kubectl wait -n controller --for=condition=Available --timeout=0 deploy/nginx
  like "$(cat "$SCRATCH/out")" 'Ingress web/web cannot become healthy yet; it needs Deployment controller/nginx' 'which is said'
  why_says web 'web waits for Ingress web/web, which is not ready' \
    '.chain[-1] | .node == "Ingress web/web" and .health == "Progressing"' 'it has no address yet'
  stand_in nginx "kubectl patch ingress -n web web --subresource=status --type=merge -p '{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.1\"}]}}}'"
  ends 0 'with one it is healthy'
}

# Definitions that appear only at run time, made by an operator.
run_time() {
  deployment operator | application operator
  printf 'apiVersion: made.io/v1\nkind: Made\nmetadata: {name: m}\n' | application user
  ends 8 'a kind that nobody has made is waited for' --timeout 8s
  why_says user 'waits for Made CRD, which does not exist.*nothing in the repository makes it' \
    '(.chain[-1].node | test("made.io")) and .chain[-1].why == "crd" and (.next | test("nothing in the repository"))' 'its definition'
  custom Made mades made.io Namespaced >"$SCRATCH/made.yaml"
  stand_in maker "kubectl wait -n operator --for=condition=Available --timeout=1s deploy/operator && sleep 1 && kubectl apply --server-side -f $SCRATCH/made.yaml"
  ends 0 'the operator makes it, and the run that waits goes on'
  check 'with what needs it' kubectl get made -n user m
}

# An act from outside in the middle: somebody unseals.
outside() {
  local pid status=0
  deployment vault | application vault
  config_map c 'config.kubernetes.io/depends-on: /namespaces/vault/Secret/unsealed' | application user 1
  boot --timeout 40s &
  pid=$!
  cluster_wait 20 wait -n vault --for=condition=Available --timeout=0 deploy/vault
  wait_for 10 'why to lead there' bash -c "'$REGROW' why user '$REPO/root' | grep -q unsealed"
  why_says user 'waits for Secret vault/unsealed, which does not exist.*nothing in the repository makes it' \
    '.chain[-1] | .node == "Secret vault/unsealed" and .why == "depends-on"' 'the act that is waited for'
  kubectl create secret generic -n vault unsealed >/dev/null
  wait "$pid" || status=$?
  is "$status" 0 'the run that waits goes on by itself'
  is "$(audit_rejected)" 0 'no write was rejected'
  check 'in that order' audit_before 'apps/deployments vault vault' 'core/configmaps user c'
}

tls_make DNS:hook.operator.svc
githttp_start
cluster_up main
for knot in 'Git server:git_server' 'silent Git server:git_server_silent' 'Git server meanwhile:git_server_meanwhile' 'chart server:chart_server' 'wrong URL:dead_url' 'cycle:cycle' 'late project:late_project' 'wave of a template:template_wave' \
  'own resources:own_resources' 'unreachable webhook:unreachable' 'not before a later wave:not_before' \
  'definitions at run time:run_time' 'act from outside:outside'; do
  knots_begin
  run_case "${knot%:*}" "${knot#*:}"
done
