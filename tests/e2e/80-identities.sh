#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Who regrow is and how it gets to the API server: credential plugins, token files, a Pod's own
# ServiceAccount, proxies, TLS. Each way brings the same cluster up; what is wrong is named with its
# exit code, and nothing secret is shown.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
if [[ ${1:-} != inside ]]; then
  status=0
  "$LIB/netns" bash "$0" inside || status=$?
  if ((status == 77)); then skip_all 'no network of its own for a server beyond loopback'; fi
  trap - EXIT
  exit "$status"
fi
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/apiproxy.sh"
. "$LIB/fleet.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
fleet_kind=''
IDS=$SCRATCH/ids # kubeconfigs, and what they name
PLUGIN=$IDS/plugin
HOST=10.96.0.1 # the cluster's own service address, which its certificate names

boot() { # CONFIG [OPTIONS...]
  "$REGROW" bootstrap --timeout 30s --wait-cluster 1s --kubeconfig "$IDS/$1.conf" "${@:2}" "$ROOT_URL"
}

# config NAME USER-JSON [CLUSTER-JSON]: a kubeconfig of the cluster's address and authority, but for
# what CLUSTER-JSON says; null takes out
config() {
  jq -n --argjson user "$2" --argjson more "${3:-{\}}" --arg server "$SERVER" --arg ca "$CA_DATA" '
    {apiVersion: "v1", kind: "Config", "current-context": "it",
     clusters: [{name: "it", cluster: ({server: $server, "certificate-authority-data": $ca} + $more
       | with_entries(select(.value != null)))}],
     users: [{name: "it", user: $user}],
     contexts: [{name: "it", context: {cluster: "it", user: "it"}}]}' >"$IDS/$1.conf"
}

exec_user() { # API-VERSION MODE
  jq -n --arg v "client.authentication.k8s.io/$1" --arg mode "$2" --arg plugin "$PLUGIN" '{exec:
    {apiVersion: $v, command: $plugin, args: [$mode], interactiveMode: "Never", provideClusterInfo: true,
     installHint: "Ask the platform team for it."}}'
}

plain_user() { jq -n --arg t "$(cat "$IDS/token")" '{token: $t}'; }

# The plugin speaks the version it is asked in, and notes each run.
write_plugin() {
  cat >"$PLUGIN" <<'P'
#!/bin/sh
# plugin MODE: a credential as the cluster's provider would print it
dir=$(dirname "$0")
echo "$1" >>"$dir/runs"
version=$(printf %s "$KUBERNETES_EXEC_INFO" | jq -r .apiVersion)
runs=$(grep -c "^$1\$" "$dir/runs")
token() { # TOKEN [SECONDS]
  printf '{"apiVersion": "%s", "kind": "ExecCredential", "status": {"token": "%s"' "$version" "$1"
  [ -z "$2" ] || printf ', "expirationTimestamp": "%s"' "$(date -u -d "+$2 seconds" +%FT%TZ)"
  echo '}}'
}
case $1 in
  token) token "$(cat "$dir/token")" ;;
  cert)
    jq -n --arg v "$version" --rawfile c "$dir/admin.crt" --rawfile k "$dir/admin.key" '{apiVersion: $v,
      kind: "ExecCredential", status: {clientCertificateData: $c, clientKeyData: $k}}' ;;
  short) token "$(cat "$dir/token")" 2 ;;
  then-fails)
    [ "$runs" = 1 ] || { echo 'the session has ended: run "cloud login"' >&2; exit 4; }
    token first ;;
  numbered) token "number-$runs" ;;
  says-cluster) printf %s "$KUBERNETES_EXEC_INFO" >"$dir/info"; token "$(cat "$dir/token")" ;;
  fails)
    echo hunter2-on-stdout
    printf 'no session: run \033[31m"cloud login"\033[0m\nhunter2-on-the-second-line\n' >&2
    exit 3 ;;
  rubbish) echo 'hunter2 is no JSON' ;;
  other-version) version=client.authentication.k8s.io/v1alpha1; token hunter2 ;;
  half) jq -n --arg v "$version" --rawfile k "$dir/admin.key" '{apiVersion: $v, kind: "ExecCredential",
    status: {clientKeyData: $k}}' ;;
  nothing) printf '{"apiVersion": "%s", "kind": "ExecCredential", "status": {}}' "$version" ;;
  torn) jq -n --arg v "$version" --rawfile c "$dir/admin.crt" '{apiVersion: $v, kind: "ExecCredential",
    status: {clientCertificateData: $c, clientKeyData: "hunter2"}}' ;;
  denied) token hunter2 ;;
  flood) yes hunter2 | head -c 3000000 ;;
  hangs) exec sleep 300 ;;
esac
P
  chmod +x "$PLUGIN"
}

runs_of() { grep -c "^$1\$" "$IDS/runs" || true; }

# Something to write for the next run.
away() { kubectl delete namespace tenant-1 --ignore-not-found --wait >/dev/null; }

# silent NAME: the last output shows no secret, nor what would turn a terminal's head
silent() {
  unlike "$OUT" "hunter2|$(cut -c1-40 "$IDS/token")|PRIVATE KEY"$'|\033' "$1: nothing secret is shown"
}

# says NAME CODE REGEX CONFIG [OPTIONS]: refused with the code, in words that match
says() {
  refuse "$1: exit code $2" "$2" boot "${@:4}"
  like "$OUT" "$3" "$1: says why"
  silent "$1"
}

# The first bring-up outlasts several credentials.
expiring() {
  local before runs
  cluster_control ready-delay 4s
  config short "$(exec_user v1 short)"
  check 'a cluster comes up with tokens of two seconds' boot short
  runs=$(runs_of short)
  ((runs >= 2)) && ok "the plugin is asked again ($runs runs)" || fail 'the plugin is asked again' 'one run'
  at_most "$runs" 6 'and not for every request'
  is "$(audit_rejected)" 0 'no write is rejected'
  cluster_control ready-delay 500ms
  before=$(audit_writes)
  check 'and is as it should be' boot short
  is "$(audit_writes)" "$before" 'so that nothing is written'
}

plugins() {
  local v
  for v in v1 v1beta1; do
    config plugin "$(exec_user $v token)"
    check "$v: a token" boot plugin
    config plugin "$(exec_user $v cert)"
    check "$v: a client certificate" boot plugin
  done
  config plugin "$(exec_user v1 says-cluster)"
  check 'a plugin that wants to know the cluster' boot plugin
  is "$(jq -r .spec.cluster.server "$IDS/info")" "$SERVER" 'is told'
  config plugin "$(jq '.exec.command = "./plugin"' <<<"$(exec_user v1 token)")"
  check 'a plugin beside the kubeconfig' boot plugin
}

# The server takes a credential back in the middle of a run; the plugin has another one.
taken_back() {
  proxy_up taken
  for what in '"method": "PATCH", "path": "deployments/api", ' ''; do
    rm -f "$IDS/runs"
    config taken "$(exec_user v1 numbered)" "$(jq '.clusters[0].cluster' "$PROXY_CONFIG")"
    proxy_rules taken "[{$what\"auth\": \"number-1\$\", \"status\": 401}]"
    away
    check "a credential is refused${what:+ in the middle} and replaced" boot taken
    is "$(runs_of numbered)" 2 'by one more run of the plugin'
  done
  proxy_rules taken '[{"auth": "number-", "status": 401}]'
  rm -f "$IDS/runs"
  says 'every credential is refused' 5 'does not accept the credentials' taken
  at_most "$(runs_of numbered)" 3 'the plugin is not asked without end'
  rm -f "$IDS/runs"
  config taken "$(exec_user v1 then-fails)" "$(jq '.clusters[0].cluster' "$PROXY_CONFIG")"
  proxy_rules taken '[{"method": "PATCH", "path": "deployments/api", "auth": "first", "status": 401}]'
  away
  says 'refused in the middle, and the plugin fails' 10 'exit 4\): the session has ended' taken
  proxy_rules taken '[]'
  rm -f "$IDS/runs"
  check 'once it works the same command goes on' boot taken
}

bad_plugins() {
  local mode code text
  while read -r mode code text; do
    config plugin "$(exec_user v1 "$mode")"
    says "plugin: $mode" "$code" "$text" plugin
  done <<'T'
fails 5 plugin failed \(exit 3\): no session: run "cloud login"
rubbish 5 plugin did not print an ExecCredential
other-version 5 did not print an ExecCredential of client.authentication.k8s.io/v1
half 5 plugin gave half a key pair
nothing 5 gave neither token nor certificate
torn 5 client certificate cannot be used.*Check what credential plugin
denied 5 does not accept the credentials
flood 5 plugin: its output is larger
T
  config plugin "$(jq '.exec.command = "no-such-plugin"' <<<"$(exec_user v1 token)")"
  says 'a plugin that is not there' 4 'no-such-plugin.*Ask the platform team' plugin
}

token_files() {
  printf 'secret-one\n' >"$IDS/own-token"
  proxy_up files
  config file '{"tokenFile": "own-token"}' "$(jq '.clusters[0].cluster' "$PROXY_CONFIG")"
  away
  proxy_rules files '[{"method": "PATCH", "path": "configmaps/settings", "auth": "secret-one", "action": "forward", "delay": "1500ms"}]'
  boot file >"$IDS/out" 2>&1 &
  local pid=$! status=0
  wait_for 20 'the run is on its way' grep -q 'PATCH .*/configmaps/settings' "$PROXY_LOG"
  printf 'secret-two\n' >"$IDS/own-token"
  proxy_rules files '[{"auth": "secret-one", "status": 401}]'
  wait "$pid" || status=$?
  is "$status" 0 'a token file that changes under a run is read again'
  ((status == 0)) || sed 's/^/# /' "$IDS/out"
  cp "$IDS/token" "$IDS/own-token"
  config file '{"tokenFile": "own-token"}'
  check 'the token of a file, to the server itself' boot file
  : >"$IDS/own-token"
  says 'an empty token file' 3 'own-token holds no token' file
  rm "$IDS/own-token"
  says 'no token file' 4 'tokenFile: .*own-token' file
}

# A Pod's mounts, made of what the cluster itself gives a ServiceAccount.
in_pod() {
  local own=()
  [[ $(id -u) == 0 ]] || own=(-r)
  # shellcheck disable=SC2016 # for the inner shell
  env -u KUBECONFIG KUBERNETES_SERVICE_HOST="$HOST" KUBERNETES_SERVICE_PORT="${SERVER##*:}" \
    unshare "${own[@]}" -m bash -c 'mount -t tmpfs tmpfs /run && d=/run/secrets/kubernetes.io/serviceaccount &&
      mkdir -p $d && cp "$1/token" $d/token && cp "$1/ca.crt" $d/ca.crt && printf argocd >$d/namespace &&
      shift && exec "$@"' pod "$IDS" "$REGROW" bootstrap --timeout 30s --wait-cluster 1s "$@"
}

in_cluster() {
  kubectl get configmap -n default kube-root-ca.crt -o 'jsonpath={.data.ca\.crt}' >"$IDS/ca.crt"
  check 'a Pod speaks with its ServiceAccount' in_pod "$ROOT_URL"
  like "$(in_pod "$ROOT_URL" 2>&1)" 'healthy' 'and says how it went'
  refuse 'without a ServiceAccount there is no cluster' 4 env -u KUBECONFIG "$REGROW" bootstrap "$ROOT_URL"
  like "$OUT" 'no kubeconfig was found' 'which is said'
}

proxies() {
  local kind outside
  outside='{"server": "https://api.example.invalid:6443", "tls-server-name": "kubernetes.default"'
  for kind in http:http socks:socks5; do
    TUNNEL=127.0.0.1:$(port_of "${kind%:*}")
    config proxied "$(plain_user)" "$outside, \"proxy-url\": \"${kind#*:}://$TUNNEL\"}"
    check "proxy-url ${kind#*:}, which alone knows the server's name" boot proxied
    like "$(cat "$SCRATCH/proxy-${kind%:*}/log")" 'connect api.example.invalid:6443' 'is what is asked'
  done
  proxy_tunnel locked connect --to "$HOST:${SERVER##*:}" --user 'deploy:hunter2!'
  config proxied "$(plain_user)" "$outside, \"proxy-url\": \"http://deploy:hunter2%21@$TUNNEL\"}"
  check 'a proxy with a password' boot proxied
  config proxied "$(plain_user)" "$outside, \"proxy-url\": \"http://deploy:hunter2x@$TUNNEL\"}"
  says 'a proxy that refuses' 7 '407' proxied
  stop proxy-locked
  says 'a proxy that is down' 7 "[Pp]roxy|127.0.0.1" proxied
}

port_of() { tr '\0' '\n' <"/proc/$(pid_of "proxy-$1")/cmdline" | sed -n 's/^127.0.0.1://p' | head -1; }
connects() { grep -c '^connect' "$SCRATCH/proxy-http/log"; }

environment_proxies() {
  local before
  local -x HTTPS_PROXY
  HTTPS_PROXY=http://127.0.0.1:$(port_of http)
  config plain "$(plain_user)"
  before=$(connects)
  check 'HTTPS_PROXY' boot plain
  ((before < $(connects))) && ok 'is asked' || fail 'is asked'
  for NO_PROXY in "$HOST" 10.96.0.0/16 'example.org, 10.96.0.1' '*'; do
    before=$(connects)
    check "NO_PROXY=$NO_PROXY" env NO_PROXY="$NO_PROXY" "$REGROW" bootstrap --timeout 30s --wait-cluster 1s \
      --kubeconfig "$IDS/plain.conf" "$ROOT_URL"
    is "$(connects)" "$before" 'goes past the proxy'
  done
  config plain "$(plain_user)" "{\"proxy-url\": \"socks5://127.0.0.1:$(port_of socks)\"}"
  before=$(connects)
  check 'proxy-url and HTTPS_PROXY' boot plain
  is "$(connects)" "$before" 'the kubeconfig is what counts'
}

tls() {
  config tls "$(plain_user)" '{"tls-server-name": "kubernetes.default.svc"}'
  check 'tls-server-name' boot tls
  config tls "$(plain_user)" '{"tls-server-name": "elsewhere.example.org"}'
  says 'a certificate of another name' 5 'elsewhere.example.org' tls
  config tls "$(plain_user)" '{"certificate-authority-data": null, "insecure-skip-tls-verify": true}'
  check 'insecure-skip-tls-verify' boot tls
  config tls "$(plain_user)" '{"certificate-authority-data": null}'
  says 'no authority' 5 'certificate' tls
  config tls "$(plain_user)" "{\"certificate-authority-data\": \"$(base64 -w0 "$CA_CERT")\"}"
  says 'the authority of another cluster' 5 'certificate.*certificate-authority' tls
  config tls "$(plain_user)" "{\"certificate-authority-data\": \"$(base64 -w0 <<<'hunter2 is no PEM')\"}"
  says 'an authority that is none' 3 'certificate-authority' tls
  config tls "$(plain_user)" '{"certificate-authority-data": null, "certificate-authority": "nowhere.pem"}'
  says 'no file of the authority' 4 'nowhere.pem' tls
  config tls "$(jq -n --arg c "$(base64 -w0 "$IDS/admin.crt")" --arg k "$(base64 -w0 "$SCRATCH/tls/server.key")" \
    '{"client-certificate-data": $c, "client-key-data": $k}')"
  says 'a key that is not of its certificate' 3 'client certificate cannot be used.*client-key' tls
  config tls '{}'
  says 'nobody' 5 'credentials|anonymous' tls
}

# A plugin that never answers: given up after a minute, during which the other cases run; a person
# need not wait so long.
hanging() {
  config hangs "$(exec_user v1 hangs)"
  (boot hangs --timeout 5m >"$IDS/hangs.out" 2>&1 || echo $? >"$IDS/hangs.code") &
}

interrupted() {
  local pid status=0
  "$REGROW" bootstrap --kubeconfig "$IDS/hangs.conf" "$ROOT_URL" >"$IDS/int.out" 2>&1 &
  pid=$!
  sleep 0.5
  kill -INT "$pid"
  wait_for 5 'one Ctrl-C is enough' bash -c "! kill -0 $pid" || kill -KILL "$pid"
  wait "$pid" || status=$?
  is "$status" 130 'Ctrl-C while a plugin hangs ends the run'
}

hung() {
  wait_for 70 'the hanging plugin is given up' test -s "$IDS/hangs.code" || true
  is "$(cat "$IDS/hangs.code")" 8 'a plugin that hangs: exit code 8'
  OUT=$(cat "$IDS/hangs.out")
  like "$OUT" 'plugin.*did not end within 60 s' 'says so'
  silent 'a plugin that hangs'
  is "$(pgrep -f "^sleep 300$" | wc -l)" 0 'and none is left behind'
}

githttp_start
cluster_up main --bind "$HOST"
SERVER=$(jq -r '.clusters[0].cluster.server' "$KUBECONFIG")
CA_DATA=$(jq -r '.clusters[0].cluster["certificate-authority-data"]' "$KUBECONFIG")
ROOT_URL="$HTTP_URL/git/fleet.git//root?ref=main"
mkdir "$IDS"
cp "$CLUSTER/pki/admin.crt" "$CLUSTER/pki/admin.key" "$IDS"
kubectl create serviceaccount regrow -n default >/dev/null
kubectl create clusterrolebinding regrow --clusterrole=cluster-admin --serviceaccount=default:regrow >/dev/null
kubectl create token regrow -n default --duration 1h >"$IDS/token"
mkdir -p "$SCRATCH/repo/root"
fleet_url=$HTTP_URL/git/fleet.git
fleet_tenant "$SCRATCH/repo" 1
git_publish "$SCRATCH/repo" fleet >/dev/null
write_plugin
proxy_tunnel http connect --to "$HOST:${SERVER##*:}"
proxy_tunnel socks socks --to "$HOST:${SERVER##*:}"
hanging
run_case expiring expiring
run_case plugins plugins
run_case 'taken back' taken_back
run_case 'bad plugins' bad_plugins
run_case 'token files' token_files
run_case 'in cluster' in_cluster
run_case proxies proxies
run_case 'proxies of the environment' environment_proxies
run_case tls tls
run_case interrupted interrupted
run_case hung hung
