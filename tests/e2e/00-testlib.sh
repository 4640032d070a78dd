#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The tests' own library against the real things: cluster, Git servers, chart servers, audit log.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"
. "$LIB/charts.sh"
. "$LIB/audit.sh"

workloads() {
  cat <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: none}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: none}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: none}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: never}
spec:
  selector: {matchLabels: {app: never}}
  template:
    metadata:
      labels: {app: never}
      annotations: {pod-ready.stage.kwok.x-k8s.io/never: "true"}
    spec: {containers: [{name: c, image: none}]}
EOF
}

simulated() {
  workloads | kubectl apply -f - >/dev/null
  check 'a Deployment becomes ready' cluster_is 20 2 get deploy web -o 'jsonpath={.status.readyReplicas}'
  check 'a StatefulSet with a claim becomes ready' cluster_is 20 1 get sts db -o 'jsonpath={.status.readyReplicas}'
  check 'a Job completes' cluster_is 20 1 get job once -o 'jsonpath={.status.succeeded}'
  check 'a load balancer gets an address' cluster_is 20 10.250.0.1 get svc web \
    -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'
  check 'an EndpointSlice lists the pods' cluster_is 20 2 get endpointslices -l kubernetes.io/service-name=web \
    -o 'go-template={{range .items}}{{len .endpoints}}{{end}}'
  is "$(kubectl get deploy never -o 'jsonpath={.status.readyReplicas}')" '' 'a pod told so is never ready'
}

restarted() {
  local before
  before=$(kubectl get ns kube-system -o 'jsonpath={.metadata.uid}')
  cluster_control kill-apiserver
  refuse 'the killed API server is gone' 1 kubectl get ns
  cluster_control start-apiserver
  is "$(kubectl get ns kube-system -o 'jsonpath={.metadata.uid}')" "$before" 'it comes back as the same cluster'
  cluster_control stop-controllers
  kubectl create deployment later --image none >/dev/null
  sleep 1
  is "$(kubectl get pods -l app=later -o name)" '' 'without controllers nothing happens'
  cluster_control start-controllers
  check 'with them it does' cluster_is 30 1 get deploy later -o 'jsonpath={.status.readyReplicas}'
}

wiped() {
  local before
  before=$(kubectl get ns kube-system -o 'jsonpath={.metadata.uid}')
  kubectl apply -f "$ROOT/deploy/reconcile/application-crd.yaml" >/dev/null
  kubectl label ns default made=later >/dev/null
  kubectl delete clusterrole view >/dev/null
  cluster_wipe
  is "$(kubectl get ns default -o 'jsonpath={.metadata.labels.made}')" '' 'what was changed is as it was'
  check 'what was deleted is back' kubectl get clusterrole view
  check 'what was defined is gone' bash -c '! kubectl get applications.argoproj.io 2>/dev/null'
  isnt "$(kubectl get ns kube-system -o 'jsonpath={.metadata.uid}')" "$before" 'a wiped cluster is another one'
  is "$(kubectl get deploy -A -o name)" '' 'and empty'
  is "$(audit_count . "$AUDIT")" 0 'and has written nothing'
}

# kubectl plays regrow here; its user agent begins with its program's name.
audited() {
  export AUDIT_AGENT=kubectl
  kubectl create ns team >/dev/null
  kubectl -n team create configmap one >/dev/null
  kubectl -n team label configmap one a=b >/dev/null
  kubectl -n team create configmap two --dry-run=server >/dev/null
  is "$(audit_rejected)" 0 'no rejected write so far'
  is "$(audit_writes)" 3 'three accepted writes, the probe apart'
  is "$(audit_probes) $(audit_failed_probes)" '1 0' 'one probe'
  is "$(audit_max)" '2 core/configmaps team one' 'two writes to one object are seen'
  is "$(audit_max '' ' one$')" '1 core/namespaces - team' 'exceptions are left out'
  check 'the namespace came first' audit_before '^core/namespaces - team$' '^core/configmaps team '
  refuse 'and not last' 1 audit_before '^core/configmaps' '^core/namespaces'
  kubectl -n missing create configmap x >/dev/null 2>&1 || true
  is "$(audit_rejected)" 1 'a rejected write is counted'
  like "$(audit_rejections)" 'create core/configmaps missing x 404' 'and shown'
  is "$(audit_sequence | sed -n 2p)" 'create core/configmaps team one 201 write' 'the sequence is told'
}

side_by_side() {
  cluster_up other --kube-version 1.35 --nodes 1
  is "$(kubectl get nodes -o name | wc -l)" 1 'another cluster with one node'
  like "$(kubectl get --raw /version)" '"emulationMinor": "35"' 'which behaves like 1.35'
  cluster_use main
  is "$(kubectl get nodes -o name | wc -l)" 2 'beside the first'
  cluster_down other
}

git_http() {
  local folder=$SCRATCH/tree first second
  mkdir -p "$folder/apps"
  echo one >"$folder/apps/a.yaml"
  first=$(git_publish "$folder" fleet)
  is "$first" 484f76dbc140991aa4da16e79353cdcbee2dc08b 'the same content has the same commit id'
  echo two >"$folder/apps/a.yaml"
  second=$(git_publish "$folder" fleet)
  git_tag fleet v1.0.0 "$first"
  git clone -q "$HTTP_URL/git/fleet.git" "$SCRATCH/clone"
  is "$(git -C "$SCRATCH/clone" rev-parse HEAD)" "$second" 'clone over HTTP'
  is "$(git -C "$SCRATCH/clone" rev-parse 'v1.0.0^{}')" "$first" 'with its tag'
  check 'over HTTPS' git -c "http.sslCAInfo=$CA_CERT" ls-remote -q "$HTTPS_URL/git/fleet.git" main
  refuse 'not without the authority' 128 git ls-remote "$HTTPS_URL/git/fleet.git"
  refuse 'not without the password' 128 git ls-remote "$HTTP_URL/auth/git/fleet.git"
  check 'with the password' git -c "http.extraHeader=Authorization: Basic $(printf %s "$HTTP_USER:$HTTP_PASSWORD" | base64)" \
    ls-remote -q "$HTTP_URL/auth/git/fleet.git"
  like "$(githttp_log)" 'GET /git/fleet.git/info/refs\?service=git-upload-pack HTTP/1.1 200' 'the log tells of it'
}

git_ssh() {
  local tip
  tip=$(git --git-dir="$GIT_ROOT/fleet.git" rev-parse main)
  GIT_SSH_COMMAND=$SSH_COMMAND git clone -q "$SSH_URL/fleet.git" "$SCRATCH/clone-ssh"
  is "$(git -C "$SCRATCH/clone-ssh" rev-parse HEAD)" "$tip" 'clone over ssh'
  refuse 'a stranger is turned away' 128 env GIT_SSH_COMMAND="${SSH_COMMAND//"$SSH_KEY"/"$SSH_STRANGER_KEY"}" \
    git ls-remote "$SSH_URL/fleet.git"
  refuse 'another host key is noticed' 128 env \
    GIT_SSH_COMMAND="${SSH_COMMAND//"$SSH_KNOWN_HOSTS"/"$SSH_WRONG_HOSTS"}" git ls-remote "$SSH_URL/fleet.git"
}

chart() {
  mkdir -p "$SCRATCH/small/templates"
  printf 'apiVersion: v2\nname: small\nversion: 1.0.0\n' >"$SCRATCH/small/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n' >"$SCRATCH/small/templates/c.yaml"
}

chart_repository() {
  local url
  chart
  charts_package "$SCRATCH/small" stable >/dev/null
  charts_package "$SCRATCH/small" stable 1.2.0 >/dev/null
  url=$(charts_index stable)
  like "$(helm show chart small --repo "$url")" 'version: 1.2.0' 'helm finds the newest version'
  like "$(helm template x small --repo "$url" --version 1.0.0)" 'name: x' 'and renders another'
  check 'with a password over HTTPS' helm show chart small --repo "$HTTPS_URL/auth/files/charts/stable" \
    --ca-file "$CA_CERT" --username "$HTTP_USER" --password "$HTTP_PASSWORD"
}

chart_registry() {
  chart
  oci_start "$@"
  oci_push "$(charts_package "$SCRATCH/small" pushed 2.0.0)" >/dev/null
  like "$(helm show chart "${OCI_PLAIN[@]}" "$OCI_URL/small" --version 2.0.0 2>&1)" 'version: 2.0.0' "helm pulls from it"
  oci_stop
}

upstream_charts() {
  local url
  url=$(charts_upstream upstream cert-manager metallb)
  like "$(helm search repo nothing 2>&1; curl -sf "$url/index.yaml")" 'cert-manager-v0.0.0.tgz' 'upstream charts are indexed'
  check 'also with absent sub-charts' test -f "$FILES_ROOT/charts/upstream/metallb-0.0.0.tgz"
}

# made JQ: samples of an hour, of which the filter makes one from its number n (0 to 719)
made() { jq -n -c "range(720) | . as \$n | {t: (1000 + 5 * \$n), rss_kb: 20000, threads: 3, queue: 0, cpu_s: 0, turns: (3 * \$n)} + ($1)" >"$SCRATCH/samples"; }
judged() { python3 "$LIB/soak.py" judge "$SCRATCH/samples" 600 | jq -c 'map_values(.ok)'; }

soaked() {
  local steady='{anon_kb: (8000 + 700 * (($n * 37) % 50) / 50 | floor), fds: (24 + $n % 50)}'
  made "$steady"
  is "$(judged)" '{"memory":true,"descriptors":true,"threads":true,"turns":true}' 'what goes up and down is flat'
  made "$steady + {anon_kb: (8000 + 700 * (\$n % 50) / 50 + 2 * \$n | floor)}"
  is "$(judged | jq .memory)" false 'two thirds of a kilobyte a turn are found'
  made "$steady + {fds: (24 + \$n % 50 + \$n / 36 | floor)}"
  is "$(judged | jq .descriptors)" false 'twenty descriptors an hour are found'
  made "$steady + {threads: (3 + \$n / 500 | floor)}"
  is "$(judged | jq .threads)" false 'and a thread'
  made "$steady + {turns: ([3 * \$n, 1500] | min)}"
  is "$(judged | jq .turns)" false 'and one that has ceased to do anything'
  made "$steady + {turns: (\$n / 10 | floor)}"
  is "$(judged)" '{"turns":null}' 'too few turns are not judged'
}

oracle() {
  printf 'a: 0x10\nb: yes\n---\n# nothing\n---\n{"z": 1, "a": "<&>"}\n' >"$SCRATCH/y.yaml"
  printf 'a: [\n' >"$SCRATCH/bad.yaml"
  OUT=$(printf '%s\n' "$SCRATCH/y.yaml" "$SCRATCH/bad.yaml" | controlplane yamloracle)
  is "$(jq -c .docs <<<"$OUT" | head -1)" '[{"a":16,"b":true},{"a":"<&>","z":1}]' 'documents as kubectl reads them'
  isnt "$(jq -r '.error // ""' <<<"$OUT" | tail -1)" '' 'and its errors'
}

# A webhook that listens on the address of its simulated pod, and denies what is labelled so.
webhook_program() {
  cat <<'EOF'
import http.server, json, ssl, sys

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        labels = request["object"]["metadata"].get("labels", {})
        review["response"] = {"uid": request["uid"], "allowed": labels.get("bad") != "yes",
                              "status": {"message": "the webhook on a pod says no"}}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer((sys.argv[1], 8443), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
EOF
}

webhook_on_pod() {
  local address
  cluster_up hooked
  tls_make DNS:hook.default.svc
  kubectl create deployment hook --image none >/dev/null
  kubectl expose deployment hook --port 443 --target-port 8443 >/dev/null
  cluster_is 20 1 get deploy hook -o 'jsonpath={.status.readyReplicas}'
  address=$(kubectl get pods -l app=hook -o 'jsonpath={.items[0].status.podIP}')
  like "$address" '^10\.200\.' 'a pod has an address of the pod range'
  kubectl apply -f - >/dev/null <<EOF
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: hook.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 2
  clientConfig:
    service: {namespace: default, name: hook}
    caBundle: $(base64 -w0 <"$CA_CERT")
  rules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}]
EOF
  sleep 1
  refuse 'nobody answers yet' 1 kubectl create configmap early
  like "$OUT" "connection refused|no endpoints" 'and the server says so'
  webhook_program >"$SCRATCH/hook.py"
  spawn hook python3 "$SCRATCH/hook.py" "$address" "$SCRATCH/tls/server.pem"
  check 'then it lets pass' cluster_wait 20 create configmap good
  refuse 'and denies' 1 kubectl create -f - <<<'{apiVersion: v1, kind: ConfigMap, metadata: {name: bad, labels: {bad: "yes"}}}'
  like "$OUT" 'the webhook on a pod says no' 'with its own words'
}

if [[ ${1:-} == inside ]]; then
  run_case 'webhook' webhook_on_pod
  exit
fi

in_network() {
  local status=0
  OUT=$("$LIB/netns" bash "$0" inside 2>&1) || status=$?
  if ((status == 77)); then
    skip 'a webhook on the address of a pod' "${OUT##*$'\n'}"
  else
    is "$status" 0 'a webhook on the address of a pod works'
    ((status == 0)) || tap_detail "$OUT"
  fi
}

run_case 'YAML oracle' oracle
run_case 'flat or not' soaked
run_case 'own network' in_network
githttp_start
gitssh_start
run_case 'Git over HTTP' git_http
run_case 'Git over ssh' git_ssh
run_case 'Helm repository' chart_repository
run_case 'OCI registry' chart_registry
run_case 'OCI registry with TLS and password' chart_registry --tls --auth
if [[ -d $REGROW_SHARED/upstream ]]; then
  run_case 'upstream charts' upstream_charts
else
  skip 'upstream charts' 'no test data under REGROW_SHARED'
fi
cluster_up main
run_case 'simulated workloads' simulated
run_case 'restarts' restarted
run_case 'wipe' wiped
run_case 'audit log' audited
run_case 'side by side' side_by_side
