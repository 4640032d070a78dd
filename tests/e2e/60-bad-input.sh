#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# What goes wrong: one clear error each, the documented exit code, nothing done that should not be,
# and success by the same command once the cause is gone. The cases are data: cases/README.md.
# SHOW=1 shows what each of them prints.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"
. "$LIB/charts.sh"
. "$LIB/slowhttp.sh"
. "$LIB/apiproxy.sh"
. "$LIB/fleet.sh"

CASES=$ROOT/tests/e2e/cases
export XDG_CACHE_HOME=$SCRATCH/cache
fleet_kind=''
REPO_DIR=$SCRATCH/repo

publish() { git_publish "$REPO_DIR" fleet >/dev/null; }

make_repo() {
  fleet_url=$HTTP_URL/git/fleet.git
  mkdir -p "$SCRATCH/pristine/root"
  fleet_tenant "$SCRATCH/pristine" 1
  fleet_tenant "$SCRATCH/pristine" 2
}

reset_repo() {
  rm -rf "$REPO_DIR"
  cp -R "$SCRATCH/pristine" "$REPO_DIR"
}

# A client certificate the cluster would have taken, had it not ended in 2021.
make_expired() {
  local dir=$SCRATCH/expired
  mkdir -p "$dir"
  (
    cd "$dir" || exit
    : >index
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key \
      -subj '/O=system:masters/CN=late' -out csr
    printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=.\ndatabase=index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\norganizationName=optional\ncommonName=supplied\n' >conf
    openssl ca -batch -config conf -cert "$CLUSTER/pki/ca.crt" -keyfile "$CLUSTER/pki/ca.key" \
      -startdate 20200101000000Z -enddate 20210101000000Z -in csr -out crt -notext
  ) >"$dir/log" 2>&1
}

start_servers() {
  githttp_start
  gitssh_start
  slow_start hanging --hang
  HANG=http://127.0.0.1:$SLOW_PORT
  oci_start
  charts_package "$ROOT/tests/fixtures/charts/traefik" bad >/dev/null
  CHARTS=$(charts_index bad)
  deny_port=$(free_port)
  spawn denyhook python3 "$LIB/denyhook.py" "$deny_port" "$SCRATCH/tls/server.pem"
  cluster_up main
  make_expired
  proxy_up answers
}

# What is declared in a circle is found before there is anything of ours in a cluster.
cycle_first() {
  local folder=$SCRATCH/cycle name
  mkdir -p "$folder"
  for name in one:two two:one; do
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default, annotations: {config.kubernetes.io/depends-on: /namespaces/default/ConfigMap/%s}}\n' \
      "${name%:*}" "${name#*:}" >"$folder/${name%:*}.yaml"
  done
  refuse 'a circle' 3 "$REGROW" bootstrap "$folder"
  like "$OUT" 'wait for each other' 'it says so'
  is "$(kubectl get ns regrow-system --ignore-not-found)" '' 'and the cluster is as it was'
}

# So is what is one only because an object needs its namespace.
cycle_inferred() {
  local folder=$SCRATCH/inferred
  mkdir -p "$folder"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: early, namespace: late}\n' >"$folder/early.yaml"
  printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: late, annotations: {config.kubernetes.io/depends-on: /namespaces/late/ConfigMap/early}}\n' >"$folder/late.yaml"
  refuse 'a circle through a namespace' 3 "$REGROW" bootstrap "$folder"
  like "$OUT" 'wait for each other' 'it says so'
  is "$(kubectl get ns regrow-system --ignore-not-found)" '' 'and the cluster is as it was'
  sed -i 's/annotations: {.*}}/labels: {a: b}}/' "$folder/late.yaml"
  check 'without it all is well' "$REGROW" bootstrap "$folder"
  kubectl delete namespace late regrow-system >/dev/null
}

# What @NAME@ stands for in the cases.
set_names() {
  printf -- '- {url: "%s", sshKeyFile: %s}\n' "$SSH_URL" "$SSH_KEY" >"$SCRATCH/ssh.yaml"
  URL=$HTTP_URL/git/fleet.git//root?ref=main
  OWN=$SCRATCH/case/own
  NAMES=("ROOT=$URL" "REPO=$HTTP_URL/git/fleet.git" "CASE=$OWN" "SCRATCH=$SCRATCH" "HTTP=$HTTP_URL"
    "HTTPS=$HTTPS_URL" "SSH=$SSH_URL" "HANG=$HANG" "OCI=$OCI_URL" "CHARTS=$CHARTS" "CA=$CA_CERT"
    "CA_DATA=$(base64 -w0 "$CA_CERT")" "USER=$HTTP_USER" "PASSWORD=$HTTP_PASSWORD"
    "SERVER=$(jq -r '.clusters[0].cluster.server' "$KUBECONFIG")" "DENY=https://localhost:$deny_port"
    "EXPIRED_CERT=$(base64 -w0 "$SCRATCH/expired/crt")" "EXPIRED_KEY=$(base64 -w0 "$SCRATCH/expired/key")"
    "SSH_CREDENTIALS=$SCRATCH/ssh.yaml" "SSH_HOSTS=$SSH_KNOWN_HOSTS" "SSH_WRONG_HOSTS=$SSH_WRONG_HOSTS")
}

# head_of KEY: its values, a line each
head_of() { sed -n "s/^$1 //p" "$SCRATCH/case/head"; }

# regrow_with ENV-LINES COMMAND-LINE [MORE-WORDS]
regrow_with() {
  local words more env=() line
  read -r -a words <<<"$2 ${3:-}"
  [[ ${words[0]} != bootstrap ]] || words+=(--timeout "$timeout" --wait-cluster 1s)
  while IFS= read -r line; do [[ -z $line ]] || env+=("$line"); done <<<"$1"
  env "${env[@]}" "$REGROW" "${words[@]}"
}

# What the neighbour is: another uid would be another object, another generation a change.
neighbour() {
  kubectl get ns/tenant-2 -o 'jsonpath={.metadata.uid}'
  kubectl get deploy,svc,sa,role,rolebinding,cm,secret,netpol,pdb,limits -n tenant-2 \
    -o 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}'
}

prepare_cluster() {
  local line
  if [[ -f $SCRATCH/case/cluster.yaml ]]; then
    kubectl apply --server-side --field-manager=hand --force-conflicts -f "$SCRATCH/case/cluster.yaml" >/dev/null
  fi
  while read -r line; do
    [[ -z $line ]] || wait_for 20 "$line" bash -c "[[ \$(kubectl ${line#* }) == '${line%% *}' ]]"
  done < <(head_of until)
  line=$(head_of refuses)
  [[ -z $line ]] || wait_for 20 "$line" bash -c "! kubectl $line"
}

clean_cluster() {
  [[ ! -f $SCRATCH/case/cluster.yaml ]] ||
    kubectl delete --ignore-not-found --timeout=30s -f "$SCRATCH/case/cluster.yaml" >/dev/null
}

change_kubeconfig() {
  local filter
  filter=$(head_of kubeconfig)
  [[ -z $filter ]] || jq "$filter" "$KUBECONFIG" >"$SCRATCH/case/kubeconfig"
  if [[ -n $(head_of proxy) ]]; then
    proxy_rules answers "$(head_of proxy)"
    cp "$PROXY_CONFIG" "$SCRATCH/case/kubeconfig"
  fi
  [[ ! -f $SCRATCH/case/kubeconfig ]] || echo "KUBECONFIG=$SCRATCH/case/kubeconfig"
}

judge() { # WHAT LINES-OF-ENV COMMAND
  local what=$1 line
  refuse "$what" "$(head_of exit)" regrow_with "$2" "$3"
  [[ -z ${SHOW:-} ]] || tap_detail "$OUT"
  while IFS= read -r line; do like "$OUT" "$line" "$what: says so"; done < <(head_of says)
  while IFS= read -r line; do
    [[ -z $line ]] || unlike "$OUT" "$line" "$what: does not print $line"
  done < <(head_of not)
  unlike "$OUT" "$HTTP_PASSWORD|AddressSanitizer|assert" "$what: holds no password and no crash"
  [[ $(head_of exit) != 0 ]] || return 0
  like "$OUT" 'next: [^ ]' "$what: says what to do"
  is "$(grep -c '^✗ ' <<<"$OUT")" 1 "$what: one error"
}

one_case() { # FILE
  local what run then env before deleted timeout mended
  rm -rf "$SCRATCH/case"
  mkdir -p "$OWN"
  env "${NAMES[@]}" "$CASES/split" "$1" "$SCRATCH/case"
  what=$(head_of what) run=$(head_of run) then=$(head_of 'then') timeout=$(head_of timeout)
  timeout=${timeout:-20s}
  [[ -n $run ]] || run="bootstrap $URL"
  [[ $run != bootstrap* || -n $then ]] || then="bootstrap $URL"
  if [[ -d $SCRATCH/case/repo ]]; then
    cp -R "$SCRATCH/case/repo/." "$REPO_DIR/"
    publish
  fi
  prepare_cluster
  env=$(change_kubeconfig; head_of env)
  before=$(neighbour) deleted=$(audit_count '^delete ')
  judge "$what" "$env" "$run"
  is "$(neighbour)" "$before" "$what: the neighbour is what it was"
  is "$(audit_count '^delete ')" "$deleted" "$what: nothing is deleted"
  mended=$(head_of mended)
  [[ -z $mended ]] || check "$what: with $mended all is well" regrow_with "$env" "$run" "$mended"
  clean_cluster
  reset_repo
  publish
  [[ -z $then ]] || check "$what: without the cause all is well" regrow_with "$(head_of then-env)" "$then"
}

start_servers
make_repo
reset_repo
publish
set_names
run_case 'cycle first' cycle_first
run_case 'cycle inferred' cycle_inferred
timeout=60s check 'to begin with all is well' regrow_with '' "bootstrap $URL"
for file in "$CASES"/bad-input/*.case; do
  run_case "$(basename "$file" .case)" one_case "$file"
done
