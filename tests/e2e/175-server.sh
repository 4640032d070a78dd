#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# What the controller serves: the manifests of deploy/reconcile are taken by a real API server; who may
# ask is what RBAC says of real ServiceAccounts' tokens; pushes count when they are signed; a certificate
# is changed without a refused connection; slow, large and malformed requests cost nothing; events are
# followed; the page shows them.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"

DEPLOY=$ROOT/deploy/reconcile
TOOL=$BUILD/tests/web/tool_web
cd "$SCRATCH"

# serve NAME ARGUMENTS...: sets PORT; tell NAME LINE...; $SCRATCH/NAME.out has what it says
serve() {
  local name=$1
  shift
  rm -f "$name.in"
  mkfifo "$name.in"
  : >"$name.out"
  spawn "$name" bash -c 'exec "$@" <>"$0.in" >>"$0.out"' "$name" "$TOOL" "$@"
  wait_for 10 "$name serves" grep -q '^port ' "$name.out" || { cat "$name.log"; return 1; }
  PORT=$(sed -n 's/^port //p' "$name.out")
}
tell() { printf '%s\n' "${*:2}" >"$1.in"; }
# code PATH ARGUMENTS...: the status alone; the answer is in the file body
code() { curl -sk -m 15 -o body -w '%{http_code}' "${@:2}" "$URL$1" || true; }
as() { echo "Authorization: Bearer $(<"$1.token")"; }

manifests() {
  kustomize build "$DEPLOY" >all.yaml
  kustomize build "$DEPLOY/restricted" >restricted.yaml
  kubectl create namespace regrow-system >/dev/null # a dry run makes none
  kubectl create -f - >/dev/null <<<'{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blog"}}]}'
  check 'the API server takes them, strictly' kubectl apply --server-side --dry-run=server --validate=strict -f all.yaml
  check 'and those of a restricted one' kubectl apply --server-side --dry-run=server --validate=strict -f restricted.yaml
  check 'and applied' kubectl apply --server-side --validate=strict --force-conflicts -f restricted.yaml
  kubectl -n regrow-system get deployment regrow -o json |
    jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "probe", namespace: "regrow-system"}, spec: .spec.template.spec}' >pod.json
  check 'its Pod meets the restricted profile' kubectl create --dry-run=server -f pod.json
  is "$(jq -r '[.spec.volumes[] | keys[] | select(. != "name")] | sort | unique | join(" ")' pod.json)" 'emptyDir secret' 'and mounts nothing of a node'
  configured
  if [[ -d $REGROW_SHARED/upstream/kube-prometheus ]]; then
    kubectl apply --server-side -f "$REGROW_SHARED/upstream/kube-prometheus/manifests/setup/0prometheusruleCustomResourceDefinition.yaml" \
      -f "$REGROW_SHARED/upstream/kube-prometheus/manifests/setup/0servicemonitorCustomResourceDefinition.yaml" >/dev/null
    cluster_wait 20 wait --for=condition=Established crd/prometheusrules.monitoring.coreos.com crd/servicemonitors.monitoring.coreos.com
    check 'the operator of Prometheus takes its part' kubectl apply --server-side --dry-run=server --validate=strict -k "$DEPLOY/monitoring"
  else
    skip 'the operator of Prometheus takes its part' 'its definitions are not there'
  fi
}

# What the manifests say to regrow it knows, and what they mount is named to it.
configured() {
  local name
  kubectl -n regrow-system get configmap regrow -o json | jq -r '.data | to_entries[] | "\(.key)=\(.value)"' >configured
  "$REGROW" reconcile --help >help.txt
  while read -r name; do
    name=$(tr 'A-Z_' 'a-z-' <<<"${name#REGROW_}")
    check "there is an option $name" grep -qE -- "^ *(-., )?--$name( |\$)" help.txt
  done < <(cut -d= -f1 configured | grep -v '^REGROW_ROOT$')
  jq -r '.spec.containers[0].env[].value' pod.json >>configured
  while read -r name; do
    check "$name, which is mounted, is used" grep -qE "(=|^)$name(/|\$)" configured
  done < <(jq -r '.spec.containers[0].volumeMounts[].mountPath | select(startswith("/var/run/secrets/kubernetes.io/") | not)' pod.json)
}

# may ROWS: asks the API server about each "VERB GROUP RESOURCE[/SUB] [NAMESPACE]" of standard input, in one
# go, and prints the answers in their place.
may() {
  jq -Rn '{apiVersion: "v1", kind: "List", items: [inputs | split(" ") | {apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview",
    spec: {user: "system:serviceaccount:regrow-system:regrow", groups: ["system:serviceaccounts", "system:authenticated"],
      resourceAttributes: ({verb: .[0], group: (.[1] | sub("-"; "")), resource: (.[2] | split("/")[0]), subresource: (.[2] | split("/")[1] // "")}
        + if .[3] then {namespace: .[3]} else {} end)}}]}' | kubectl create -f - -o json |
    jq -r 'if .kind == "List" then .items[] else . end | .status.allowed // false'
}
expect_rights() { # WANT NAME: each row of standard input
  local rows
  rows=$(cat)
  is "$(paste -d' ' <(may <<<"$rows") - <<<"$rows" | grep -v "^$1 ")" '' "$2"
  is "$(may <<<"$rows" | wc -l)" "$(wc -l <<<"$rows")" "$2, all of them asked"
}
rights() {
  expect_rights true 'it may what it needs' <<'ROWS'
create authentication.k8s.io tokenreviews
create authorization.k8s.io subjectaccessreviews
update coordination.k8s.io leases regrow-system
patch - configmaps regrow-system
list - secrets argocd
create - events shop
list apps deployments
watch - configmaps
patch apps deployments shop
delete - secrets blog
ROWS
  expect_rights false 'and nothing else' <<'ROWS'
list - secrets
get - secrets regrow-system
patch - secrets argocd
patch apps deployments default
create - pods shop
create - pods/exec shop
create - serviceaccounts/token shop
create rbac.authorization.k8s.io clusterroles
escalate rbac.authorization.k8s.io clusterroles
impersonate - users
create apiextensions.k8s.io customresourcedefinitions
patch - namespaces
ROWS
  kubectl apply --server-side --force-conflicts -f "$DEPLOY/access.yaml" >/dev/null
  sleep 1 # authorisation follows by watch
  expect_rights true 'with all of it, what any repository holds' <<'ROWS'
create apiextensions.k8s.io customresourcedefinitions
escalate rbac.authorization.k8s.io clusterroles
bind rbac.authorization.k8s.io roles
delete apps deployments
patch example.com whatever
ROWS
  expect_rights false 'and even so not somebody else' <<'ROWS'
impersonate - users
impersonate - serviceaccounts
approve certificates.k8s.io signers
deletecollection - secrets
ROWS
  kubectl delete clusterrolebinding regrow-access >/dev/null
}

# The account of deploy/reconcile/restricted, and a root that holds what it may keep and what it may not.
restricted() {
  mkdir -p root
  cat >root/all.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {v: "1"}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: blog}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {v: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: shop}
stringData: {v: "1"}
Y
  refuse 'a restricted controller does not do all of it' 10 env KUBECONFIG=server.config "$REGROW" reconcile --once --timeout 60s root
  is "$(kubectl get cm -n shop settings -o 'jsonpath={.data.v}')" 1 'what it may it does'
  is "$(kubectl get svc -n blog web -o name)" service/web 'in both of its namespaces'
  is "$(kubectl get cm -n default settings --ignore-not-found -o name)" '' 'what it may not is not there'
  is "$(kubectl get secret -n shop key --ignore-not-found -o name)" '' 'nor what it cannot look at'
  like "$OUT" 'default/settings|settings.*default' 'and it says so'
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {v: "2"}\n' >root/all.yaml
  check 'what it may alone comes to its end' env KUBECONFIG=server.config "$REGROW" reconcile --once --timeout 60s root
  is "$(kubectl get cm -n shop settings -o 'jsonpath={.data.v}')" 2 'as Git says'
  is "$(kubectl get svc -n blog web --ignore-not-found -o name)" '' 'and what left is deleted'
}

# A kubeconfig that has the controller's token and nothing else, and tokens of others.
accounts() {
  kubectl config view --raw >server.config
  KUBECONFIG=server.config kubectl config set-credentials job --token="$(kubectl -n regrow-system create token regrow)" >/dev/null
  KUBECONFIG=server.config kubectl config set-context --current --user=job >/dev/null
  local who
  {
    for who in scraper viewer tenant operator nobody; do
      printf -- '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: default}\n' "$who"
    done
    # Nobody serves applications here, which RBAC does not mind.
    cat <<'RBAC'
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: regrow-metrics-reader}
subjects: [{kind: ServiceAccount, name: scraper, namespace: default}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator, namespace: argocd}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: regrow-operator}
subjects: [{kind: ServiceAccount, name: operator, namespace: default}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant, namespace: argocd}
rules: [{apiGroups: [argoproj.io], resources: [applications], resourceNames: [app-1], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: argocd}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}
subjects: [{kind: ServiceAccount, name: tenant, namespace: default}]
RBAC
  } | kubectl create -f - >/dev/null
  viewer_may
  for who in scraper viewer tenant operator nobody; do
    (umask 077 && kubectl -n default create token "$who" >"$who.token")
  done
}
viewer_may() { kubectl create clusterrolebinding viewer --clusterrole=regrow-viewer --serviceaccount=default:viewer >/dev/null; }

access() {
  local row path want
  KUBECONFIG=$SCRATCH/server.config serve web 0.0.0.0:0 self-signed auth namespace=argocd allowed_ms=1500 denied_ms=1000
  URL=https://127.0.0.1:$PORT
  for path in / /healthz /readyz /status.js; do is "$(code "$path")" 200 "$path is for everybody"; done
  for path in /metrics /api/v1/applications /api/v1/applications/app-1 /api/v1/fleet /api/v1/events; do
    is "$(code "$path")" 401 "$path: without a token"
  done
  is "$(code /api/v1/applications/app-1/sync -X POST)" 401 'an act without a token'
  like "$(curl -skI "$URL/metrics")" 'WWW-Authenticate: Bearer' 'says what is needed'
  is "$(code /metrics -H 'Authorization: Bearer junk')" 401 'a made-up token'
  is "$(code /metrics -H 'Authorization: Basic YTpi')" 401 'a password'
  is "$(code /metrics -H "Authorization: Bearer $(head -c 14000 /dev/zero | tr '\0' a)")" 401 'a huge token'
  while read -r who path want; do
    is "$(code "$path" -H "$(as "$who")")" "$want" "$who: $path"
  done <<'ROWS'
scraper /metrics 200
scraper /api/v1/applications 403
viewer /metrics 403
viewer /api/v1/applications 200
viewer /api/v1/applications/app-1 200
viewer /api/v1/fleet 200
operator /api/v1/applications 200
tenant /api/v1/applications 403
tenant /api/v1/applications/app-1 200
tenant /api/v1/applications/app-2 403
nobody /metrics 403
nobody /api/v1/applications 403
nobody /api/v1/events 403
ROWS
  code /metrics -H "$(as nobody)" >/dev/null
  is "$(jq -r .message body)" 'system:serviceaccount:default:nobody may not get /metrics' 'and says who'
  is "$(code /api/v1/applications/app-1/sync -X POST -H "$(as viewer)")" 403 'who may look may not act'
  is "$(code /api/v1/applications/app-1/sync -X POST -H "$(as operator)" -H 'Content-Type: application/json' -d '{"prune":true}')" 202 'who may act'
  is "$(grep '^act' web.out)" 'act sync app-1 system:serviceaccount:default:operator {"prune":true}' 'acts, by name'
  for row in $(<operator.token) $(<viewer.token); do
    is "$(grep -cF "$row" web.out web.log body | grep -vc ':0')" 0 'no token is said anywhere'
  done
  cached
}

cached() {
  local before i
  sleep 2.5
  before=$(curl -sk -H "$(as scraper)" "$URL/metrics" | sed -n 's/^regrow_reviews_total{kind="token",result="allowed"} //p')
  curl -sk -m 20 -o /dev/null -Z --parallel-max 16 -H "$(as viewer)" "$URL/api/v1/applications/app-[1-40]" || true
  at_most $(($(curl -sk -H "$(as scraper)" "$URL/metrics" | sed -n 's/^regrow_reviews_total{kind="token",result="allowed"} //p') - before)) 3 'forty requests at once ask once who it is'
  kubectl delete clusterrolebinding viewer >/dev/null
  wait_for 6 'a right that was taken away is gone' bash -c "[[ \$(curl -sk -o /dev/null -w '%{http_code}' -H '$(as viewer)' $URL/api/v1/applications) == 403 ]]"
  is "$(code /api/v1/applications -H "$(as viewer)")" 403 'a right that was taken away is gone within its time'
  viewer_may
  cluster_control kill-apiserver
  sleep 2
  is "$(code /api/v1/applications -H "$(as viewer)")" 503 'nobody is let in while the API server cannot be asked'
  is "$(code /healthz)" 200 'and it lives'
  cluster_control start-apiserver
  wait_for 10 'and goes on when it can' bash -c "[[ \$(curl -sk -o /dev/null -w '%{http_code}' -H '$(as viewer)' $URL/api/v1/applications) == 200 ]]"
  like "$(grep '^event web.unable' web.out | wc -l)" '^[01]$' 'told at most once'
  stop web
}

refused() {
  refuse 'outside without anything' 2 "$TOOL" 0.0.0.0:0
  like "$OUT" 'without TLS and authentication it may not be' 'and why'
  refuse 'outside without authentication' 2 "$TOOL" :0 self-signed
  refuse 'outside without TLS' 2 env KUBECONFIG=server.config "$TOOL" :0 auth
  : >empty
  refuse 'an empty secret' 3 "$TOOL" 127.0.0.1:0 secret=empty
}

certificate() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext 'subjectAltName=DNS:localhost' -days 3 -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
shown() { openssl s_client -connect "127.0.0.1:$PORT" </dev/null 2>/dev/null | openssl x509 -noout -subject 2>/dev/null; }
# As kubelet does it: a link that is set anew.
put() { mkdir "data-$1" && cp "$2.crt" "data-$1/tls.crt" && cp "$3.key" "data-$1/tls.key" && ln -sfn "data-$1" new && mv -T new data; }

reload() {
  certificate one
  certificate two
  put 1 one one
  serve tls 127.0.0.1:0 tls=data/tls.crt,data/tls.key reload_ms=300
  URL=https://localhost:$PORT
  is "$(curl -s --cacert one.crt "$URL/healthz")" ok 'TLS, proved'
  curl -sN --cacert one.crt "$URL/api/v1/events" >followed &
  local follower=$!
  cat >ask.py <<'P'
import ssl, socket, sys, time
port, end, n = int(sys.argv[1]), time.time() + 3, 0
ctx = ssl._create_unverified_context()
while time.time() < end:
    with ctx.wrap_socket(socket.create_connection(("127.0.0.1", port), 5)) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    n += 1
    time.sleep(0.005)
print(n)
P
  python3 ask.py "$PORT" >asked 2>&1 &
  local asker=$!
  sleep 0.5
  put 2 two one # half of it
  wait_for 5 'told' grep -q 'event web.certificate the key in' tls.out
  like "$(shown)" 'one' 'a pair that does not belong together is not used'
  put 3 two two
  wait_for 5 'the new certificate is shown' bash -c "openssl s_client -connect 127.0.0.1:$PORT </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q two"
  like "$(shown)" 'two' 'the new certificate is in use'
  if wait "$asker"; then ok 'no connection was refused meanwhile'; else fail 'no connection was refused meanwhile' "$(<asked)"; fi
  like "$(<asked)" '^[1-9][0-9]+$' 'of many'
  is "$(grep -c 'event web.certificate the key' tls.out)" 1 'and it was told once'
  kill "$follower" 2>/dev/null || true
  is "$(curl -s -o /dev/null -w '%{http_code}' --cacert two.crt --tls-max 1.2 "$URL/healthz")" 200 'TLS 1.2'
  refuse 'TLS 1.1 is not spoken' 35 curl -s --cacert two.crt --tls-max 1.1 --ciphers 'DEFAULT:@SECLEVEL=0' "$URL/healthz"
  isnt "$(curl -s -o /dev/null -w '%{http_code}' "http://localhost:$PORT/healthz")" 200 'nor HTTP without it'
  like "$(curl -sI --cacert two.crt "$URL/healthz")" 'Strict-Transport-Security' 'and a browser is told to stay with it'
  stop tls
}

hmac() { openssl dgst -sha256 -hmac "$1" <"$2" | sed 's/.* //'; }
pushes() {
  local o=1111111111111111111111111111111111111111 n=2222222222222222222222222222222222222222 i
  printf 'first\n' >s1
  printf 'second' >s2
  serve hook 127.0.0.1:0 secret=s1 secret=s2
  URL=http://127.0.0.1:$PORT
  jq -nc --arg o $o --arg n $n '{ref: "refs/heads/main", before: $o, after: $n, repository: {clone_url: "https://git.example.com/o/r.git", default_branch: "main"},
    commits: [{added: ["a"], modified: [], removed: ["b"]}], total_commits: 1}' >push.json
  jq -nc --arg o $o --arg n $n '{object_kind: "push", ref: "refs/heads/x", before: $o, after: $n, project: {git_http_url: "https://git.example.com/o/l.git"}, commits: [], total_commits_count: 0}' >lab.json
  local json=(-H 'Content-Type: application/json')
  deliver() { code /api/webhook "${json[@]}" "${@:2}" --data-binary "@$1"; }
  is "$(deliver push.json -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac first push.json)")" 202 'GitHub'
  is "$(deliver lab.json -H 'X-Gitlab-Event: Push Hook' -H 'X-Gitlab-Token: second')" 202 'GitLab'
  is "$(deliver push.json -H 'X-Gitea-Event: push' -H 'X-GitHub-Event: push' -H "X-Gitea-Signature: $(hmac second push.json)")" 202 'Gitea'
  printf 'payload=%s' "$(jq -sRr @uri push.json)" >form
  is "$(code /api/webhook -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac first form)" --data-binary @form)" 202 'as a form'
  is "$(cut -d' ' -f1-5 <<<"$(grep '^push' hook.out)" | cut -c1-30)" "$(printf 'push %s\n' 'github refs/heads/main 111' 'gitlab refs/heads/x 111111' 'gitea refs/heads/main 1111' 'github refs/heads/main 111' | cut -c1-30)" 'each is told'
  like "$(grep '^push github' hook.out | head -n1)" 'default=1 paths=a,b https://git.example.com/o/r.git' 'with what was changed'
  is "$(deliver push.json -H 'X-GitHub-Event: ping' -H "X-Hub-Signature-256: sha256=$(hmac first push.json)")" 200 'another event is taken'
  for i in 'X-Hub-Signature-256: sha256='"$(hmac third push.json)" 'X-Gitlab-Token: third' 'X-Gitlab-Token;' 'X-Gitea-Signature: 00' 'X: y'; do
    is "$(deliver push.json -H 'X-GitHub-Event: push' -H "$i")" 401 "refused: ${i%%:*}"
  done
  is "$(deliver lab.json -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac first push.json)")" 401 'refused: of another body'
  is "$(grep -c '^push' hook.out)" 4 'and nothing came of those'
  is "$(deliver push.json -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac first push.json)")" 202 'one that comes again is the same'
  printf 'other' >s1
  is "$(deliver push.json -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac first push.json)")" 401 'a secret that was replaced'
  head -c 1200000 /dev/zero | tr '\0' x >large
  is "$(deliver large -H 'X-GitHub-Event: push')" 413 'too large'
  is "$(deliver large -H 'X-GitHub-Event: push' -H 'Transfer-Encoding: chunked')" 413 'too large, piece by piece'
  printf '[[[' >bad
  is "$(deliver bad -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac other bad)")" 400 'signed and malformed'
  head -c 900000 /dev/zero | tr '\0' '[' >deep
  is "$(deliver deep -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$(hmac other deep)")" 400 'signed and bottomless'
  stop hook
}

hostile() {
  serve host 127.0.0.1:0 header_ms=1500 body_ms=1500 idle_ms=1500 per_address=2000 connections=300
  URL=http://127.0.0.1:$PORT
  local pid rss
  pid=$(pid_of host)
  cat >hostile.py <<'P'
import random, socket, sys, threading, time
port = int(sys.argv[1])
def dial():
    s = socket.create_connection(("127.0.0.1", port), 5); s.settimeout(5); return s
# Two hundred that say a byte now and then, half of them in a body.
slow = [dial() for _ in range(200)]
for i, s in enumerate(slow):
    s.sendall(b"GET / HTTP/1.1\r\nX: " if i % 2 else b"POST /api/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
begin, worst = time.time(), 0
while slow and time.time() - begin < 8:
    time.sleep(0.2)
    left = []
    for s in slow:
        try:
            s.sendall(b"a"); s.setblocking(False)
            try: s.recv(100); continue
            except BlockingIOError: s.setblocking(True); left.append(s)
        except OSError: pass
    slow = left
    t = time.time()
    with dial() as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200"), "not answered"
    worst = max(worst, time.time() - t)
print("slow", len(slow), "after", round(time.time() - begin, 1), "worst", round(worst, 2))
# Whatever bytes; and good requests with a few of them changed.
good = b"POST /api/v1/applications/a%20b/sync?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nLast-Event-ID: 1-2\r\nAuthorization: Bearer a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
def garbage(seed):
    r = random.Random(seed)
    for i in range(100):
        if i % 3:
            b = bytearray(good)
            for _ in range(r.randrange(1, 6)):
                at = r.randrange(len(b)); b[at:at + r.randrange(3)] = r.randbytes(r.randrange(3))
        else: b = r.randbytes(r.randrange(1, 3000))
        with dial() as s:
            try: s.sendall(b); s.shutdown(socket.SHUT_WR); s.recv(4096)
            except OSError: pass
threads = [threading.Thread(target=garbage, args=(i,)) for i in range(15)]
for t in threads: t.start()
for t in threads: t.join()
print("garbage", 1500)
P
  rss=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
  check 'slow ones, and garbage' bash -c "python3 hostile.py $PORT >hostile.txt 2>&1"
  cat hostile.txt
  like "$(<hostile.txt)" 'slow 0 after [0-3]' 'all of the slow ones were cut in time'
  wait_for 5 'all are gone' bash -c "[[ \$(ls /proc/$pid/fd | wc -l) -lt 20 ]]" || true
  at_most "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" 20 'no descriptor stays'
  at_most $(($(awk '/VmHWM/ {print $2}' "/proc/$pid/status") - rss)) 40000 'no more than 40 MB were ever needed'
  is "$(curl -s "$URL/healthz")" ok 'it lives'
  is "$(code "/$(head -c 5000 /dev/zero | tr '\0' a)")" 400 'a target of 5,000 bytes'
  like "$(code "/$(head -c 60000 /dev/zero | tr '\0' a)")" '^(414|431|000)$' 'a huge one'
  like "$(code /healthz -H "X: $(head -c 60000 /dev/zero | tr '\0' a)")" '^(431|413|000)$' 'a huge header'
  stop host
}

events() {
  serve sse 127.0.0.1:0 heartbeat_ms=500 apps=3
  URL=http://127.0.0.1:$PORT
  curl -sN "$URL/api/v1/events" >one & local a=$!
  wait_for 5 'it follows' grep -q retry one
  tell sse emit app.ready first
  wait_for 5 'the event' grep -q '"text":"first"' one
  like "$(<one)" $'event: app.ready\ndata: \{"type":"app.ready"' 'an event comes at once'
  kill $a
  wait $a 2>/dev/null || true
  tell sse emit app.ready second
  tell sse emit app.ready third
  local id
  id=$(sed -n 's/^id: //p' one | tail -n1)
  timeout 1 curl -sN -H "Last-Event-ID: $id" "$URL/api/v1/events" >two || true
  is "$(grep -o '"text":"[a-z]*"' two | paste -sd' ')" '"text":"second" "text":"third"' 'what was missed comes, once and in order'
  like "$(<two)" $'\n:\n' 'with a sign of life'
  stop sse
  serve sse 127.0.0.1:0 apps=3
  URL=http://127.0.0.1:$PORT
  timeout 1 curl -sN -H "Last-Event-ID: $id" "$URL/api/v1/events" >three || true
  like "$(<three)" 'event: reset' 'another process says that everything must be read anew'
  # One that reads nothing while 20 MB go by.
  cat >slow.py <<'P'
import os, socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); s.settimeout(20)
s.connect(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
n = len(s.recv(4096))
open("follows", "w")
while not os.path.exists("dropped"): time.sleep(0.05)
while True:
    d = s.recv(65536)
    if not d: break
    n += len(d)
print(n)
P
  python3 slow.py "$PORT" >slow 2>&1 & local b=$!
  wait_for 10 'it follows' test -e follows
  tell sse flood 20000
  wait_for 10 'it is dropped' bash -c "curl -s $URL/metrics | grep -q '^regrow_event_streams 0'" || true
  touch dropped
  if wait $b; then ok 'who does not read is let go'; else fail 'who does not read is let go' "$(<slow)"; fi
  at_most "$(<slow)" 8000000 'and got what was on its way only'
  at_most "$(awk '/VmHWM/ {print $2}' "/proc/$(pid_of sse)/status")" 60000 'and costs no memory'
  curl -s "$URL/metrics" >metrics.txt
  check 'Prometheus takes the metrics' promtool check metrics <metrics.txt
  stop sse
}

page() {
  local browser
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { skip 'the page in a browser' 'there is none'; return 0; }
  serve page 127.0.0.1:0 apps=6
  timeout 40 "$browser" --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$SCRATCH/browser" --enable-logging=stderr --v=0 \
    --virtual-time-budget=4000 --dump-dom "http://127.0.0.1:$PORT/" >dom.html 2>console.txt || true
  is "$(grep -o '<button type="button" aria-expanded="false">app-[0-9]' dom.html | sed 's/.*>//' | paste -sd' ')" 'app-0 app-1 app-2 app-3 app-4 app-5' 'the page shows the applications'
  like "$(<dom.html)" '2 of 6 applications are healthy and in sync' 'and the verdict first'
  like "$(<dom.html)" 'waits for Secret shop/db' 'and what is waited for'
  is "$(grep -E 'CONSOLE' console.txt)" '' 'and its console says nothing'
  is "$(grep -cE '(src|href)="https?:' dom.html)" 0 'nothing comes from another host'
  stop page
}

alerts() {
  local load='import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))'
  is "$(python3 -c "$load" "$DEPLOY/monitoring/prometheusrule.yaml" | jq -cS .spec)" "$(python3 -c "$load" "$DEPLOY/monitoring/rules.yaml" | jq -cS .)" 'the PrometheusRule and the rules file say the same'
  cp "$DEPLOY/monitoring/rules.yaml" reconcile-rules.yaml
  cp "$ROOT/tests/e2e/cases/alerts/reconcile-test.yaml" .
  check 'Prometheus takes the rules' promtool check rules reconcile-rules.yaml
  check 'they fire when they should, and not before' promtool test rules reconcile-test.yaml
}

cluster_up main
run_case manifests manifests
run_case rights rights
[[ -n ${CASE:-} && ! access =~ $CASE && ! restricted =~ $CASE ]] || accounts
run_case restricted restricted
run_case access access
run_case refused refused
run_case reload reload
run_case pushes pushes
run_case hostile hostile
run_case events events
run_case page page
run_case alerts alerts
