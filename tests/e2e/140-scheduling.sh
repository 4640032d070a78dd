#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Snapshots on a schedule: the manifests of deploy/ are taken by a real API server; the job's account
# may read what it needs and write nothing; with it, and with nothing else, the very command of the
# CronJob makes a good snapshot; what monitoring is told is true, also when runs fail; alert rules and
# systemd units are what their readers take. The same of drills.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"

DEPLOY=$ROOT/deploy
export XDG_CACHE_HOME=$SCRATCH/cache
cd "$SCRATCH"
AS=system:serviceaccount:regrow-system:regrow-snapshot
snap() { "$REGROW" snapshot "$@"; }
metric() { sed -n "s/^regrow_snapshot_$1{chain=\"prod\"} //p" "${2:-out.prom}"; }

manifests() {
  kustomize build "$DEPLOY/snapshot" >all.yaml
  kubectl create namespace regrow-system >/dev/null # a dry run makes none
  kubectl create namespace argocd >/dev/null
  check 'the API server takes them, strictly' kubectl apply --server-side --dry-run=server --validate=strict -f all.yaml
  check 'and applied' kubectl apply --server-side --validate=strict --force-conflicts -f all.yaml
  kubectl -n regrow-system get cronjob regrow-snapshot -o json >cronjob.json
  # What the namespace enforces is asked of a Pod made of the template.
  jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "probe", namespace: "regrow-system"},
    spec: .spec.jobTemplate.spec.template.spec}' cronjob.json >pod.json
  check 'its Pod meets the restricted profile' kubectl create --dry-run=server -f pod.json
}

can() { kubectl auth can-i "$@" --as="$AS" 2>/dev/null || true; }
rights() {
  local what
  for what in 'list secrets -A' 'get namespaces/kube-system' 'list pods -A' 'list deployments.apps -A' \
    'list configmaps -n argocd' 'get configmaps -n regrow-system'; do
    is "$(can $what)" yes "may $what"
  done
  # Asked of the server itself: kubectl knows no kind that is not served.
  is "$(jq -n --arg user "$AS" '{apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec: {user: $user,
      resourceAttributes: {group: "argoproj.io", resource: "applications", verb: "list"}}}' |
    kubectl create -f - -o jsonpath='{.status.allowed}')" true 'may list applications.argoproj.io'
  for what in 'get secrets -A' 'watch secrets -A' 'get secrets/regrow-snapshot -n regrow-system' 'list configmaps -A' \
    'get namespaces/default' 'create pods -n regrow-system' 'create pods/exec -A' 'impersonate users' 'escalate clusterroles' \
    'create configmaps -n regrow-system' 'patch cronjobs -n regrow-system' 'create serviceaccounts/token -n regrow-system'; do
    is "$(can $what)" no "may not $what"
  done
  is "$(kubectl get clusterrole,role -A -o json | jq -r '.items[] | select(.metadata.name | startswith("regrow-snapshot")) | .rules[].verbs[]' | sort -u | paste -sd' ')" \
    'get list' 'no rule lets it write'
}

# A kubeconfig that has the account's token and nothing else.
as_job() {
  kubectl config view --raw >job.config
  KUBECONFIG=job.config kubectl config set-credentials job --token="$(kubectl -n regrow-system create token regrow-snapshot)" >/dev/null
  KUBECONFIG=job.config kubectl config set-context --current --user=job >/dev/null
}

make_root() {
  mkdir -p root
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n' >root/a.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: default}\n' >root/b.yaml
  age-keygen -o ann.id 2>/dev/null
  snap init --repo repo --out admin.age --recipient "$(age-keygen -y ann.id)" --single >init.txt
  snap key add --repo repo --trust "$(sed -n 's/^ *pin //p' init.txt)" --key admin.age -i ann.id --role writer --chain prod \
    --out job.key >/dev/null
}

# The words of the CronJob, with the places of this test for those of its Pod.
job() { # MORE
  local args
  mapfile -t args < <(jq -r '.spec.jobTemplate.spec.template.spec.containers[0].args[]' cronjob.json |
    sed "s|^/credentials/|$SCRATCH/|")
  env KUBECONFIG="$SCRATCH/job.config" REGROW_REPO="$SCRATCH/repo" REGROW_ROOT="$SCRATCH/root" \
    "$REGROW" "${args[@]}" "$@" >events 2>said
}

runs() {
  local before
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout k -out c 2>/dev/null
  kubectl -n kube-system create secret tls sealed-1 --cert c --key k >/dev/null
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active >/dev/null
  before=$(wc -l <"$AUDIT")
  check 'as that account, the command of the CronJob makes a good snapshot' job --metrics "$SCRATCH/out.prom"
  cat said
  is "$(jq -r 'select(.type == "snapshot.finished") | .good' events)" true 'and says so'
  sleep 1
  tail -n "+$((before + 1))" "$AUDIT" | jq -c 'select(.userAgent | startswith("regrow"))' >audit.new
  is "$(jq -r 'select(.responseStatus.code == 403) | .requestURI' audit.new | sort -u)" '' 'nothing was denied'
  is "$(jq -r 'select(.verb | test("get|list|watch") | not) | .verb' audit.new)" '' 'nothing was written'
  is "$(snap show --repo repo --trust "$(sed -n 's/^ *pin //p' init.txt)" -i ann.id -o json |
    jq -r '.secrets[].name')" sealed-1 'it has what only the cluster had'
}

told() {
  local now good
  now=$(date +%s)
  is "$(stat -c %a out.prom)" 644 'metrics are for everybody'
  is "$(metric last_run_exit_code) $(metric suspect) $(metric seq) $(metric last_good_seq) $(metric objects)" '0 0 1 1 2' 'a good one'
  at_most $((now - $(metric last_success_timestamp_seconds))) 30 'just now'
  at_most "$(metric stored_bytes)" "$(du -sb repo | cut -f1)" 'bytes'
  is "$(grep -c '^# TYPE' out.prom)" "$(grep -c '^regrow_snapshot_' out.prom)" 'every one has a type'
  good=$(metric last_success_timestamp_seconds)
  rm root/b.yaml # half of it is gone
  sleep 1
  refuse 'a suspect one' 10 job --metrics "$SCRATCH/out.prom"
  is "$(metric last_run_exit_code) $(metric suspect) $(metric seq) $(metric last_good_seq)" '10 1 2 1' 'is told as such'
  is "$(metric last_success_timestamp_seconds)" "$good" 'the last success stays'
  mv repo repo.gone
  refuse 'a run that fails' 4 job --metrics "$SCRATCH/out.prom"
  is "$(metric last_run_exit_code) $(metric suspect) $(metric last_good_seq)" '4  1' 'tells that it failed'
  is "$(metric last_success_timestamp_seconds)" "$good" 'and leaves the last success'
  mv repo.gone repo
  refuse 'a folder that is not there' 10 job --metrics "$SCRATCH/none/out.prom"
  like "$(jq -r 'select(.type == "run.warning").message' events)" 'metrics were not written: .*none/out.prom' 'is told, and does not change the outcome'
  is "$(ls out.prom*)" out.prom 'nothing lies beside the file'
}

pushed() {
  local port
  port=$(free_port)
  cat >gateway.py <<'P'
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open("pushed", "ab").write(self.path.encode() + b"\n" + body)
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
P
  spawn gateway python3 gateway.py "$port"
  wait_for 10 'the gateway listens' port_open "$port"
  job --push-metrics "http://127.0.0.1:$port/" || true
  is "$(head -n1 pushed)" /metrics/job/regrow_snapshot/chain/prod 'pushed under its chain'
  is "$(metric last_run_exit_code pushed)" 10 'with how it ended'
  is "$(metric last_success_timestamp_seconds pushed)" '' 'and nothing that would overwrite the last success'
  stop gateway
  refuse 'a gateway that is gone changes nothing' 10 job --push-metrics "http://127.0.0.1:$port"
}

# The drill's: its account may do nothing at all, and its command, with what its Pod has and no more,
# restores into a control plane of its own.
drill() {
  local args what as=system:serviceaccount:regrow-drill:regrow-drill
  kustomize build "$DEPLOY/drill" >drill.yaml
  kubectl create namespace regrow-drill >/dev/null
  check 'the API server takes them, strictly' kubectl apply --server-side --validate=strict --force-conflicts -f drill.yaml
  kubectl -n regrow-drill get cronjob regrow-drill -o json >drill.json
  jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "probe", namespace: "regrow-drill"},
    spec: .spec.jobTemplate.spec.template.spec}' drill.json >pod.json
  check 'its Pod meets the restricted profile' kubectl create --dry-run=server -f pod.json
  is "$(jq .spec.automountServiceAccountToken pod.json)" false 'it has no token'
  for what in 'get secrets -n regrow-drill' 'list configmaps -A' 'create pods -n regrow-drill' 'get namespaces/kube-system'; do
    is "$(kubectl auth can-i $what --as=$as 2>/dev/null || true)" no "may not $what"
  done
  snap key add --repo repo --trust "$PIN" --key admin.age -i ann.id --role judge --out judge.key >/dev/null
  cp ann.id drill.id
  mkdir -p pod programs
  ln -s "$(type -P controlplane)" programs/
  mapfile -t args < <(jq -r '.spec.jobTemplate.spec.template.spec.containers[0].args[]' drill.json | sed "s|^/credentials/|$SCRATCH/|")
  check 'its command finds that the snapshot is good' env -i PATH="$SCRATCH/programs" HOME="$SCRATCH/pod" XDG_CACHE_HOME="$SCRATCH/pod/cache" \
    TMPDIR="$SCRATCH/pod" REGROW_REPO="$SCRATCH/repo" REGROW_METRICS="$SCRATCH/drill.prom" "$REGROW" "${args[@]}"
  is "$(snap list --repo repo --trust "$PIN" -o json | jq -r '.chains[0].snapshots[] | select(.seq == 1) | .state')" drilled 'and has noted it'
}

alerts() {
  local file load='import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))'
  is "$(python3 -c "$load" "$DEPLOY/prometheus/prometheusrule.yaml" | jq -cS .spec)" \
    "$(python3 -c "$load" "$DEPLOY/prometheus/rules.yaml" | jq -cS .)" 'the PrometheusRule and the rules file say the same'
  for file in $(grep -ohE 'regrow_(snapshot|drill)_[a-z_]*' "$DEPLOY/prometheus/rules.yaml" | sort -u); do
    check "$file is told" grep -q "^$file{" metrics.seen drill.prom
  done
  cp "$ROOT/tests/e2e/cases/alerts/rules-test.yaml" "$DEPLOY/prometheus/rules.yaml" .
  check 'Prometheus takes the rules' promtool check rules rules.yaml
  check 'they fire when they should, and not before' promtool test rules rules-test.yaml
  if [[ -d $REGROW_SHARED/upstream/kube-prometheus ]]; then
    kubectl apply --server-side -f "$REGROW_SHARED/upstream/kube-prometheus/manifests/setup/0prometheusruleCustomResourceDefinition.yaml" >/dev/null
    cluster_wait 20 wait --for=condition=Established crd/prometheusrules.monitoring.coreos.com
    check 'the operator takes the rules' kubectl -n default apply --server-side --dry-run=server --validate=strict -f "$DEPLOY/prometheus/prometheusrule.yaml"
  else
    skip 'the operator takes the rules' 'its definition is not there'
  fi
}

units() {
  if ! command -v systemd-analyze >/dev/null; then
    skip 'systemd takes the units' 'no systemd-analyze'
    return 0
  fi
  mkdir units
  sed "s|/usr/local/bin/regrow|$REGROW|" "$DEPLOY/systemd/regrow-snapshot.service" >units/regrow-snapshot.service
  sed "s|/usr/local/bin/regrow|$REGROW|" "$DEPLOY/systemd/regrow-drill.service" >units/regrow-drill.service
  cp "$DEPLOY/systemd/"*.timer units/
  is "$(systemd-analyze verify --man=no units/*.service units/*.timer 2>&1 | grep regrow)" '' 'systemd takes the units'
}

cluster_up main
make_root
run_case manifests manifests
run_case rights rights
as_job
run_case runs runs
cp out.prom metrics.seen 2>/dev/null || true
PIN=$(sed -n 's/^ *pin //p' init.txt)
run_case told told
run_case pushed pushed
run_case drill drill
run_case alerts alerts
run_case units units
