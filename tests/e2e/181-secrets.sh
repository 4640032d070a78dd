#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 420
#
# Secrets stay secret: marked ones of every kind that the program handles are in no output, plan,
# argument, environment of a renderer, temporary file, cache, event, metric, answer over HTTP, core,
# nor in what a store of snapshots can read.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/s3.sh"
. "$LIB/snapshots.sh"

export TMPDIR=$SCRATCH/tmp
OUTS=$SCRATCH/outs
REPO=$SCRATCH/repo
MARKS=$SCRATCH/marks
mkdir -p "$TMPDIR" "$OUTS" "$SCRATCH/bin"
: >"$MARKS"

# mark NAME: a secret of its own, remembered under that name; mark_text NAME TEXT: one that is given
mark() {
  local m
  m=mark$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
  mark_text "$1" "$m"
  echo "$m"
}
mark_text() { printf '%s\t%s\n' "$1" "$2" >>"$MARKS"; }

cut_mark() { sed -n "s/^$1\t//p" "$MARKS"; }

# The middle line of a key in PEM.
key_line() { grep -v -- '-----' "$1" | sed -n 2p | tr -d '\n'; }

# found FOLDER...: which marks are in any of the files, also in what is encoded or compressed there
found() { "$LIB/marks.py" "$MARKS" "$@"; }

# What stands in Git is in a copy of it, packed by Git: of these files, only what is not.
beyond_git() {
  found "$REPO" "$SCRATCH/private" | sed 's/ in .*//' | sort -u >"$SCRATCH/in-git"
  awk -v names="$SCRATCH/in-git" 'BEGIN { while ((getline name < names) > 0) is_there[name] = 1 }
    { name = $0; sub(/ in .*/, "", name) }
    !(/\/git\/.*\.(pack|bundle)$/ && name in is_there)'
}

none_in() { # NAME FOLDER...
  is "$(found "${@:2}" | beyond_git | sed -n 1,10p)" '' "$1: none of them"
}

record() { # PROGRAM: what it is started with, from here on
  local real
  real=$(command -v "$1")
  cat >"$SCRATCH/bin/$1" <<B
#!/bin/bash
{ printf '%s\n' "\$@"; env; } >>"$SCRATCH/children/$1.\$\$"
exec "$real" "\$@"
B
  chmod +x "$SCRATCH/bin/$1"
}

application() { # NAME SOURCE
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {$2}
  destination: {server: https://kubernetes.default.svc, namespace: shop}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

plain_secrets() {
  mkdir -p "$REPO/apps/plain"
  cat >"$REPO/apps/plain/all.yaml" <<Y
apiVersion: v1
kind: Secret
metadata: {name: data}
data: {a: $(mark data | tr -d '\n' | base64 -w0)}
---
apiVersion: v1
kind: Secret
metadata: {name: text}
stringData: {a: $(mark stringData)}
---
apiVersion: v1
kind: Secret
metadata: {name: frozen}
immutable: true
stringData: {a: $(mark immutable)}
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
data: {tls.crt: $(base64 -w0 "$SCRATCH/tls/server.crt"), tls.key: $(base64 -w0 "$SCRATCH/tls/server.key")}
---
apiVersion: v1
kind: Secret
metadata: {name: pull}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"images.example.com": {"username": "pull", "password": "$(mark dockerconfigjson)"}}}'}
Y
  mark_text 'TLS key' "$(key_line "$SCRATCH/tls/server.key")"
}

rendered_secrets() {
  mkdir -p "$REPO/apps/chart/templates" "$REPO/apps/kust"
  printf 'apiVersion: v2\nname: c\nversion: 1.0.0\n' >"$REPO/apps/chart/Chart.yaml"
  cat >"$REPO/apps/chart/templates/all.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: chart}
stringData: {a: {{ .Values.password }}, b: {{ .Values.deep.token }}, c: {{ .Values.text }}, d: {{ .Values.filed }}}
Y
  printf 'filed: %s\n' "$(mark valueFiles)" >"$REPO/apps/chart/secret-values.yaml"
  printf 'secretGenerator: [{name: kust, literals: [a=%s]}]\n' "$(mark secretGenerator)" >"$REPO/apps/kust/kustomization.yaml"
}

private_charts() {
  mkdir -p "$SCRATCH/plain-chart/templates"
  printf 'apiVersion: v2\nname: plain-chart\nversion: 1.0.0\n' >"$SCRATCH/plain-chart/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-a-chart}\n' >"$SCRATCH/plain-chart/templates/cm.yaml"
  charts_package "$SCRATCH/plain-chart" private >/dev/null
  charts_index private >/dev/null
}

argo_secrets() {
  cat >"$REPO/root/repositories.yaml" <<Y
apiVersion: v1
kind: Namespace
metadata: {name: argocd}
---
apiVersion: v1
kind: Secret
metadata: {name: private, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "$HTTP_URL/auth/git/private.git", username: argo, password: $(mark repository)}
---
apiVersion: v1
kind: Secret
metadata: {name: ssh, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repo-creds}}
stringData:
  url: ssh://git@127.0.0.1:1
  tlsClientCertKey: $(mark tlsClientCertKey)
  githubAppPrivateKey: $(mark githubApp)
  bearerToken: $(mark bearer)
  sshPrivateKey: |
$(sed 's/^/    /' "$SCRATCH/id")
---
apiVersion: v1
kind: Secret
metadata: {name: charts, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {type: helm, name: charts, url: "$HTTP_URL/auth/files/charts/private", username: helm, password: $(mark 'Helm repository')}
---
apiVersion: v1
kind: Secret
metadata: {name: registry, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {type: helm, enableOCI: "true", url: "127.0.0.1:1/charts", username: oci, password: $(mark 'OCI registry')}
---
apiVersion: v1
kind: Secret
metadata: {name: behind, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "http://behind.example.com/x.git", proxy: "http://in-proxy:$(mark 'proxy of a repository')@127.0.0.1:1"}
Y
}

make_repository() {
  mkdir -p "$REPO/root" "$SCRATCH/private"
  plain_secrets
  rendered_secrets
  argo_secrets
  application plain "repoURL: $HTTP_URL/auth/git/fleet.git, path: apps/plain" >"$REPO/root/plain.yaml"
  application kust "repoURL: $HTTP_URL/auth/git/fleet.git, path: apps/kust" >"$REPO/root/kust.yaml"
  application chart "repoURL: $HTTP_URL/auth/git/fleet.git, path: apps/chart, helm: {valueFiles: [secret-values.yaml], parameters: [{name: password, value: $(mark parameter)}], valuesObject: {deep: {token: $(mark valuesObject)}}, values: 'text: $(mark values)'}" >"$REPO/root/chart.yaml"
  application private "repoURL: $HTTP_URL/auth/git/private.git, path: ." >"$REPO/root/private.yaml"
  application of-charts "repoURL: $HTTP_URL/auth/files/charts/private, chart: plain-chart, targetRevision: 1.0.0" >"$REPO/root/of-charts.yaml"
  application registry "repoURL: '127.0.0.1:1/charts', chart: x, targetRevision: 1.0.0" >"$REPO/root/registry.yaml"
  application behind "repoURL: 'http://behind.example.com/x.git', path: ." >"$REPO/root/behind.yaml"
  application user "repoURL: 'http://in-url:$(mark userinfo)@127.0.0.1:1/x.git', path: ." >"$REPO/root/user.yaml"
  application key "repoURL: 'ssh://git@127.0.0.1:1/x.git', path: ." >"$REPO/root/key.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: private}\n' >"$SCRATCH/private/cm.yaml"
  mkdir "$REPO/readable"
  cp "$REPO"/root/{plain,kust,chart}.yaml "$REPO/readable/"
  git_publish "$REPO" fleet >/dev/null
  git_publish "$SCRATCH/private" private >/dev/null
}

make_credentials() {
  local password
  password=$(mark 'credentials file')
  printf '%s:%s\n' deploy "$password" argo "$(cut_mark repository)" helm "$(cut_mark 'Helm repository')" >"$SCRATCH/http/users"
  cat >"$SCRATCH/credentials.yaml" <<Y
- {url: "$HTTP_URL/auth/git/fleet", username: deploy, password: "$password"}
- {url: "https://nobody.example.com", bearer: $(mark 'credentials bearer')}
Y
}

# A token out of a program (which has the environment of its user, as kubectl gives it, for that of a
# cloud is what it logs in with; none of ours), a hub's cluster, a sealed-secrets key.
make_cluster() {
  local token
  kubectl create serviceaccount -n default tester >/dev/null
  kubectl create clusterrolebinding tester --clusterrole=cluster-admin --serviceaccount=default:tester >/dev/null
  token=$(kubectl create token -n default tester)
  mark_text 'token of a program' "${token: -40}"
  printf '#!/bin/bash\nprintf "%%s\\n" "$@" >>%q\nenv | grep -v ^AWS_ >>%q\necho %q\n' "$SCRATCH/children/login.argv" "$SCRATCH/children/login.env" \
    "{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {\"token\": \"$token\"}}" >"$SCRATCH/bin/login"
  chmod +x "$SCRATCH/bin/login"
  mark_text 'client key' "$(jq -r '.users[0].user["client-key-data"]' "$KUBECONFIG" | base64 -d | grep -v -- ----- | sed -n 1p)"
  jq --arg login "$SCRATCH/bin/login" '.users[0].user = {exec: {apiVersion: "client.authentication.k8s.io/v1", command: $login, interactiveMode: "Never"}}' \
    "$KUBECONFIG" >"$SCRATCH/kubeconfig"
  token=$(kubectl create token -n default tester)
  mark_text 'token of a kubeconfig' "${token: -40}"
  jq --arg token "$token" '.users[0].user = {token: $token}' "$KUBECONFIG" >"$SCRATCH/static.kubeconfig"
  jq --arg token "$(mark 'wrong token')" '.users[0].user = {token: $token}' "$KUBECONFIG" >"$SCRATCH/wrong.kubeconfig"
  kubectl create namespace argocd >/dev/null
  kubectl create -f - >/dev/null <<Y
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Secret
    metadata: {name: spoke, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}
    stringData: {name: spoke, server: "https://127.0.0.1:1", config: '{"bearerToken": "$(mark 'cluster Secret')", "tlsClientConfig": {"insecure": true}}'}
  - apiVersion: v1
    kind: Secret
    metadata: {name: sealed-1, namespace: kube-system, labels: {sealedsecrets.bitnami.com/sealed-secrets-key: active}}
    type: kubernetes.io/tls
    stringData: {tls.crt: x, tls.key: $(mark 'sealed-secrets key')}
  - apiVersion: v1
    kind: Secret
    metadata: {name: sops-age, namespace: argocd}
    stringData: {keys.txt: $(mark 'SOPS age key')}
  - apiVersion: v1
    kind: Secret
    metadata: {name: acme-account, namespace: argocd}
    stringData: {tls.key: $(mark 'ACME account')}
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: issuers.cert-manager.io}
    spec:
      group: cert-manager.io
      names: {kind: Issuer, plural: issuers, singular: issuer, listKind: IssuerList}
      scope: Namespaced
      versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
Y
  kubectl wait --for=condition=Established --timeout=20s crd/issuers.cert-manager.io >/dev/null
  wait_for 20 'Issuers' kubectl get issuers.cert-manager.io -A
  kubectl create -f - >/dev/null <<Y
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: acme, namespace: argocd}
spec: {acme: {server: "https://acme.example.com", privateKeySecretRef: {name: acme-account}}}
Y
}

# run NAME COMMAND...: what regrow prints as NAME, with all that may be on
run() {
  local name=$1
  shift
  "$REGROW" "$@" >"$OUTS/$name.out" 2>"$OUTS/$name.err" || echo "exit $?" >>"$OUTS/$name.err"
}

says() { # NAME REGEX: so that no run is silent because it did not run
  like "$(cat "$OUTS/$1.out" "$OUTS/$1.err")" "$2" "$1 was run"
}

everything_that_reads() { # PREFIX
  local f
  run "$1-plan" plan --use-cluster -v "$ROOT_URL"
  run "$1-diff" diff "$ROOT_URL"
  for f in json yaml; do
    run "$1-plan-$f" plan --use-cluster -o $f "$ROOT_URL"
    run "$1-diff-$f" diff -o $f "$ROOT_URL"
    run "$1-status-$f" status -o $f "$ROOT_URL"
  done
  run "$1-dot" plan -o dot "$ROOT_URL"
  run "$1-why" why plain "$ROOT_URL"
  run "$1-why-secret" why -o json secret/shop/frozen "$ROOT_URL"
  run "$1-why-key" why -o json key "$ROOT_URL"
  run "$1-why-user" why user "$ROOT_URL"
}

bootstrapped() {
  run plan-file plan --use-cluster --out "$OUTS/readable.plan" "${ROOT_URL/root/readable}"
  check 'a plan is written down' grep -q '"kind": *"regrow-plan"' "$OUTS/readable.plan"
  everything_that_reads before
  run boot bootstrap -v -o ndjson --timeout 30s "$ROOT_URL"
  says boot '"type":"object.applied".*'
  says before-why-user '127.0.0.1:1'
  run static status --kubeconfig "$SCRATCH/static.kubeconfig" "$ROOT_URL"
  says static 'of-charts'
  run wrong-token status --kubeconfig "$SCRATCH/wrong.kubeconfig" "$ROOT_URL"
  says wrong-token 'exit 5'
  run behind why behind "$ROOT_URL"
  says behind '127.0.0.1 port 1'
  https_proxy=http://in-proxy:$(mark 'proxy of the environment')@127.0.0.1:1 run proxied plan https://nobody.example.com/x.git
  says proxied 'exit 7'
  check 'a chart of a private repository is there' kubectl get cm -n shop of-a-chart
  is "$(kubectl get secret -n shop chart -o 'jsonpath={.data.d}' | base64 -d)" "$(cut_mark valueFiles)" 'and its file of values'
  is "$(kubectl get secret -n shop chart -o 'jsonpath={.data.a}' | base64 -d)" "$(cut_mark parameter)" 'a chart gets its parameter'
  check 'an application of a private repository is there' kubectl get cm -n shop private
  # Changed by somebody, to other secrets; and what cannot be changed.
  kubectl patch secret -n shop text --type=merge -p "{\"stringData\": {\"a\": \"$(mark 'changed by hand')\", \"more\": \"$(mark 'added by hand')\"}}" >/dev/null
  kubectl delete secret -n shop frozen >/dev/null
  kubectl create secret generic -n shop frozen --from-literal=a="$(mark 'of another')" >/dev/null
  kubectl patch secret -n shop frozen --type=merge -p '{"immutable": true}' >/dev/null
  everything_that_reads drifted
  says drifted-diff 'Secret'
  run conflict bootstrap -v --timeout 10s "$ROOT_URL"
  run conflict-json bootstrap -o json --timeout 10s "$ROOT_URL"
  says conflict 'Secret shop/(frozen|text)'
  none_in 'what bootstrap and its like print' "$OUTS"
}

snapshots() {
  local f second pin
  export REGROW_REPO=s3://backup/prod REGROW_PASSPHRASE
  REGROW_PASSPHRASE=$(mark passphrase)
  s3_bucket backup
  run init snapshot init --out "$SCRATCH/admin" --recipient "$ANN"
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$OUTS/init.out")
  export REGROW_TRUST
  run key-add snapshot key add --key "$SCRATCH/admin" --role writer --chain prod --out "$SCRATCH/job"
  # The admin that init makes is sealed; one that is not:
  run key-init snapshot key init --role admin --out "$SCRATCH/admin2"
  run key-admin snapshot key add --key "$SCRATCH/admin" --role admin --public "$(sed -n 's/.*--public //p' "$OUTS/key-init.out")"
  run key-judge snapshot key add --key "$SCRATCH/admin2" --role judge --out "$SCRATCH/judge"
  run key-pruner snapshot key add --key "$SCRATCH/admin2" --role pruner --out "$SCRATCH/pruner"
  for f in admin2 judge pruner; do mark_text "seed of $f" "$(jq -r .seed "$SCRATCH/$f")"; done
  mark_text 'age identity' "$(sed -n 's/^AGE-SECRET-KEY-//p' "$SCRATCH/ann.id")"
  mark_text 'seed of a job' "$(jq -r .seed "$SCRATCH/job")"
  mark_text 'key of a chain' "$(jq -r .K "$SCRATCH/job")"
  run create snapshot create --key "$SCRATCH/job" --use-cluster -o ndjson "$ROOT_URL"
  says create '"type":"'
  for f in text json; do
    run "list-$f" snapshot list -o $f
    run "show-$f" snapshot show 1 --secrets -o $f
    run "verify-$f" snapshot verify -o $f
    run "dry-$f" restore --adopt --allow-suspect 1 --dry-run -o $f
  done
  says show-text 'sealed-1'
  says show-text 'acme-account'
  run judge snapshot judge 1 good looked --key "$SCRATCH/judge"
  run forget snapshot forget --keep-last 1 --key "$SCRATCH/pruner" --dry-run
  run prune snapshot prune --key "$SCRATCH/pruner"
  says judge 'snapshot 1|good'
  says prune 'are deleted'
  AWS_SESSION_TOKEN=$(mark 'S3 session token') run session snapshot list
  says session 'InvalidToken.*exit 5'
  second=$SCRATCH/second
  run second snapshot init --repo "$second" --out "$SCRATCH/second.admin" --recipient "$ANN" --single
  pin=$(sed -n 's/^ *pin //p' "$OUTS/second.out")
  run second-job snapshot key add --repo "$second" --trust "$pin" --key "$SCRATCH/second.admin" -i "$SCRATCH/ann.id" --role writer --chain prod --out "$SCRATCH/second.job"
  run copy snapshot copy 1 --to "$second" --to-key "$SCRATCH/second.job" -i "$SCRATCH/ann.id"
  says copy '1 '
  check 'a copy is there' test "$(find "$second/chains/prod/packs" -type f | wc -l)" -gt 0
  run wrong snapshot show latest -i "$SCRATCH/ben.id" --passphrase-file /dev/null
  run export snapshot export 1 "$SCRATCH/export.tar" --recipient "$ANN"
  check 'an export is there' test -s "$SCRATCH/export.tar"
  mkdir "$SCRATCH/export"
  tar -xf "$SCRATCH/export.tar" -C "$SCRATCH/export"
  none_in 'what the commands on snapshots print' "$OUTS"
  check 'the store holds something' test "$(find "$SCRATCH/s3/data" -type f | wc -l)" -gt 5
  none_in 'what a store can read' "$SCRATCH/s3/data" "$second"
  unset REGROW_PASSPHRASE
}

# A controller, whatever it is asked.
served() {
  local port pid path
  port=$(free_port)
  mark 'webhook secret' >"$SCRATCH/hook"
  chmod 600 "$SCRATCH/hook"
  mark_text 'key of the listener' "$(key_line "$SCRATCH/tls/ca.key")"
  openssl req -x509 -key "$SCRATCH/tls/ca.key" -subj /CN=localhost -days 3 -out "$SCRATCH/listener.crt" 2>/dev/null
  spawn controller "$REGROW" reconcile -v -o ndjson --listen "127.0.0.1:$port" --webhook-secret "$SCRATCH/hook" \
    --tls-cert "$SCRATCH/listener.crt" --tls-key "$SCRATCH/tls/ca.key" "$ROOT_URL"
  pid=$(pid_of controller)
  wait_for 20 'a turn' grep -q turn.finished "$SCRATCH/controller.log"
  for path in metrics healthz readyz api/v1/applications api/v1/applications/plain api/v1/applications/key api/v1/fleet 'api/v1/events?limit=1' ''; do
    curl -sk -m "$([[ $path == *events* ]] && echo 1 || echo 15)" "https://127.0.0.1:$port/$path" >"$OUTS/http-${path//[^a-z]/-}" || true
  done
  curl -sk -m 3 -d '{}' -H 'X-Hub-Signature-256: sha256=00' "https://127.0.0.1:$port/api/webhook" >"$OUTS/http-push" || true
  like "$(cat "$OUTS/http-metrics")" 'regrow_' 'its metrics are there'
  like "$(cat "$OUTS/http-api-v--applications")" '"applications"' 'and what its API says'
  tr '\0' '\n' <"/proc/$pid/cmdline" >"$OUTS/cmdline"
  kubectl get events -A -o json >"$OUTS/events.json"
  cp "$SCRATCH/controller.log" "$OUTS/"
  core "$pid"
  none_in 'what a controller says, serves and is started with' "$OUTS"
}

# Killed so that others leave a core.
core() { # PID
  local pid status=0
  stop controller
  (
    ulimit -c unlimited
    cd "$SCRATCH"
    exec python3 - "$REGROW" "$ROOT_URL" <<'P'
import os, signal, subprocess, sys, time
for program in (["sleep", "100"], [sys.argv[1], "reconcile", sys.argv[2]]):
    child = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    os.kill(child.pid, signal.SIGABRT)
    _, status = os.waitpid(child.pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT
    print(os.path.basename(program[0]), "core" if os.WCOREDUMP(status) else "none" if killed else "ended")
P
  ) >"$SCRATCH/cores" || status=$?
  is "$status" 0 'two were killed'
  like "$(cat "$SCRATCH/cores")" 'regrow none' 'regrow leaves no core'
  if ! grep -q 'sleep core' "$SCRATCH/cores"; then
    skip 'where another program leaves one' 'this machine writes no cores'
  else
    ok 'where another program leaves one'
  fi
  rm -f "$SCRATCH"/core*
}

# All of it comes back, into a control plane that is thrown away and into the cluster, which is empty.
restored() {
  export REGROW_REPO=s3://backup/prod REGROW_TRUST
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$OUTS/init.out")
  (unset REGROW_KUBECONFIG && run drill drill 1 --allow-suspect -i "$SCRATCH/ann.id" --timeout 90s --report "$OUTS/drill.html")
  says drill 'drill|RTO|✓|✗'
  cluster_wipe
  run restore restore 1 --yes -v --allow-suspect -i "$SCRATCH/ann.id" --kubeconfig "$KUBECONFIG" --timeout 60s --report "$OUTS/restore.html"
  run restore-again restore 1 --yes --allow-suspect -i "$SCRATCH/ann.id" --kubeconfig "$KUBECONFIG" --timeout 60s -o ndjson
  says restore-again '"type":"'
  is "$(kubectl get secret -n shop text -o 'jsonpath={.data.a}' | base64 -d)" "$(cut_mark stringData)" 'a Secret is back'
  is "$(kubectl get secret -n argocd acme-account -o 'jsonpath={.data.tls\.key}' | base64 -d)" "$(cut_mark 'ACME account')" 'so is a key'
  none_in 'what a drill and a restore say and report' "$OUTS"
}

# With the search itself: what is planted is found.
searching() {
  local n
  n=$(wc -l <"$MARKS")
  mkdir "$SCRATCH/planted"
  while read -r line; do printf 'x%s\n' "${line##*$'\t'}" | base64 -w0; echo; done <"$MARKS" >"$SCRATCH/planted/f"
  is "$(found "$SCRATCH/planted" | wc -l)" "$n" "$n marks are found where they are"
  gzip <"$SCRATCH/planted/f" >"$SCRATCH/planted/gzip"
  { head -c 999 /dev/urandom; zstd <"$SCRATCH/planted/f"; echo; } >"$SCRATCH/planted/zstd"
  python3 -c 'import sys, zlib; sys.stdout.buffer.write(b"x" * 999 + zlib.compress(sys.stdin.buffer.read()))' <"$SCRATCH/planted/f" >"$SCRATCH/planted/zlib"
  tar -c -C "$SCRATCH/planted" zlib | gzip >"$SCRATCH/planted/tgz"
  is "$(found "$SCRATCH/planted" | wc -l)" $((5 * n)) 'and in what is compressed'
  none_in 'arguments and environment of children' "$SCRATCH/children"
  check 'helm and kustomize were such' bash -c "ls '$SCRATCH/children' | grep -q helm && ls '$SCRATCH/children' | grep -q kustomize"
  none_in 'temporary files and caches' "$TMPDIR" "$XDG_CACHE_HOME" "$HOME"
  is "$(stat -c %a "$XDG_CACHE_HOME/regrow")" 700 'nobody else reads the cache'
  is "$(ls -A "$TMPDIR")" '' 'nothing temporary stays'
  rm -f "$SCRATCH/export"/*/secrets/*.age
  # Values that stand in an Application are no Secret: manifests have them, as Git has.
  is "$(found "$SCRATCH/export" | beyond_git | grep -vE '^(parameter|userinfo|values|valuesObject) in ' || true)" '' 'what an export says: none of them'
}

githttp_start
s3_start
mark_text 'S3 secret' "$AWS_SECRET_ACCESS_KEY"
cluster_up main
mkdir "$SCRATCH/children"
private_charts
for program in helm kustomize; do record $program; done
PATH=$SCRATCH/bin:$PATH
ssh-keygen -q -t ed25519 -N '' -f "$SCRATCH/id"
mark_text 'ssh key' "$(key_line "$SCRATCH/id")"
make_repository
make_credentials
REGROW_GIT_TOKEN=$(mark 'token for Git')
export REGROW_GIT_TOKEN
make_cluster
ROOT_URL=$HTTP_URL/auth/git/fleet.git//root?ref=main
export REGROW_CREDENTIALS=$SCRATCH/credentials.yaml REGROW_KUBECONFIG=$SCRATCH/kubeconfig
run_case bootstrapped bootstrapped
run_case snapshots snapshots
run_case served served
run_case restored restored
run_case searching searching
