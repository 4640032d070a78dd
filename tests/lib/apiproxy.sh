# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A proxy between a client and the cluster in use (tests/apiproxy). After cluster.sh.
#
#   proxy_up NAME [--http1] [--plain-discovery]   over TLS; sets PROXY_CONFIG, a kubeconfig that
#                         goes through it, PROXY_LOG, a line per request and connection, and PROXY_RULES
#   proxy_again NAME      after "stop proxy-NAME", which breaks all connections: at the same port
#   proxy_rules NAME JSON what it answers itself from now on; see "apiproxy" for the form
#   proxy_seen NAME REGEX number of lines of its log that match
#   proxy_tunnel NAME connect|socks [--to ADDRESS] [--user NAME:PASSWORD]   a proxy for proxy-url;
#                         sets TUNNEL (host:port)

proxy_up() {
  local name=$1 port dir=$SCRATCH/proxy-$1 server
  shift
  port=$(free_port)
  mkdir -p "$dir"
  tls_make
  echo '[]' >"$dir/rules"
  printf '%q ' "proxy-$name" apiproxy serve --listen "127.0.0.1:$port" --kubeconfig "$CLUSTER/kubeconfig" \
    --tls-cert "$SCRATCH/tls/server.crt" --tls-key "$SCRATCH/tls/server.key" \
    --rules "$dir/rules" --log "$dir/log" "$@" >"$dir/words"
  proxy_again "$name"
  server=https://localhost:$port
  kubeconfig_of "$server" >"$dir/kubeconfig"
  PROXY_CONFIG=$dir/kubeconfig PROXY_LOG=$dir/log PROXY_RULES=$dir/rules
  wait_for 10 "proxy $name" port_open "$port"
}

proxy_again() { eval "spawn $(<"$SCRATCH/proxy-$1/words")"; }

# kubeconfig_of SERVER: one without a user; the proxy speaks as its own
kubeconfig_of() {
  jq -n --arg server "$1" --arg ca "$(base64 -w0 "$CA_CERT")" '{apiVersion: "v1", kind: "Config",
    "current-context": "proxy",
    clusters: [{name: "proxy", cluster: {server: $server, "certificate-authority-data": $ca}}],
    users: [], contexts: [{name: "proxy", context: {cluster: "proxy", user: ""}}]}'
}

# A moment passes, so that the file's time tells it from the one before.
proxy_rules() {
  sleep 0.02
  printf '%s' "$2" >"$SCRATCH/proxy-$1/rules.new"
  mv "$SCRATCH/proxy-$1/rules.new" "$SCRATCH/proxy-$1/rules"
}

proxy_seen() { grep -cE "$2" "$SCRATCH/proxy-$1/log" || true; }

proxy_tunnel() {
  local name=$1 mode=$2 port
  shift 2
  port=$(free_port)
  TUNNEL=127.0.0.1:$port
  mkdir -p "$SCRATCH/proxy-$name"
  spawn "proxy-$name" apiproxy "$mode" --listen "$TUNNEL" --log "$SCRATCH/proxy-$name/log" "$@"
  wait_for 10 "proxy $name" port_open "$port"
}
