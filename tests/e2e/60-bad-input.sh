#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# What goes wrong: one clear error each, the documented exit code, nothing done that should not be,
# and success by the same command once the cause is gone.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"
. "$LIB/fleet.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
fleet_kind=''
REPO=$SCRATCH/repo

publish() { git_publish "$REPO" fleet >/dev/null; }
url() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }
boot() { "$REGROW" bootstrap --timeout 20s --wait-cluster 1s "$@"; }

make_repo() {
  mkdir -p "$REPO/root"
  fleet_url=$HTTP_URL/git/fleet.git
  fleet_tenant "$REPO" 1
  fleet_tenant "$REPO" 2
  publish
}

# in_git NAME CODE WORDS FILE: FILE (from standard input) added to the repository is refused with
# WORDS; without it all is well. The neighbour tenant-2 is healthy all the while.
in_git() {
  local name=$1 code=$2 words=$3 file=$REPO/$4
  mkdir -p "${file%/*}"
  cat >"$file"
  publish
  refuse "$name" "$code" boot "$(url)"
  like "$OUT" "$words" "$name: says why"
  rm -f "$file"
  publish
  check "$name: without it all is well" boot "$(url)"
}

in_tenant() { in_git "$1" "${4:-10}" "$2" "tenants/tenant-1/bad.yaml" <<<"$3"; }

documents() {
  local bomb='a0: &a0 [x,x,x,x,x,x,x,x,x,x]' i
  for ((i = 1; i < 9; i++)); do
    bomb+=$'\n'"a$i: &a$i [$(printf "*a$((i - 1)),%.0s" 1 2 3 4 5 6 7 8 9 10)]"
  done
  in_tenant 'an alias bomb' 'excessive aliasing' "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bomb}
$bomb"
  in_tenant 'a duplicate key' 'bad.yaml:6: key "a" is set twice' 'apiVersion: v1
kind: ConfigMap
metadata: {name: x}
data: {a: "1"}
a: 1
a: 2'
  in_tenant 'an object without a name' 'no metadata.name' 'apiVersion: v1
kind: ConfigMap
metadata: {labels: {a: b}}'
  in_tenant 'an unknown field' 'field not declared in schema|unknown' 'apiVersion: v1
kind: ConfigMap
metadata: {name: x}
dada: {a: b}'
  in_tenant 'env names twice' 'twice' 'apiVersion: v1
kind: Pod
metadata: {name: x}
spec: {containers: [{name: c, image: x, env: [{name: A, value: "1"}, {name: A, value: "2"}]}]}'
  in_tenant 'generateName' 'generateName' 'apiVersion: v1
kind: ConfigMap
metadata: {generateName: x-}'
}

large() {
  head -c 200000000 /dev/zero | tr '\0' 'x' >"$SCRATCH/large"
  mkdir -p "$SCRATCH/folder"
  { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {a: "'; cat "$SCRATCH/large"; echo '"}'; } >"$SCRATCH/folder/big.yaml"
  refuse 'a document of 200 MB' 3 "$REGROW" plan "$SCRATCH/folder"
  like "$OUT" 'larger than' 'a document of 200 MB: says so'
  rm -rf "$SCRATCH/large" "$SCRATCH/folder"
}

order() {
  in_tenant 'a cycle' 'wait for each other' 'apiVersion: v1
kind: ConfigMap
metadata: {name: one, annotations: {config.kubernetes.io/depends-on: "/namespaces/tenant-1/ConfigMap/two"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, annotations: {config.kubernetes.io/depends-on: "/namespaces/tenant-1/ConfigMap/one"}}' 3
  cat >"$REPO/tenants/tenant-1/bad.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: one, annotations: {config.kubernetes.io/depends-on: "/namespaces/tenant-1/ConfigMap/two"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, annotations: {config.kubernetes.io/depends-on: "/namespaces/tenant-1/ConfigMap/one"}}
Y
  publish
  refuse 'the cycle' 3 boot "$(url)"
  like "$OUT" 'bad.yaml:1 .*bad.yaml:5|bad.yaml:5.*bad.yaml:1' 'the cycle shows file and line'
  check 'which --break-declared resolves' boot --break-declared "$(url)"
  rm "$REPO/tenants/tenant-1/bad.yaml"
  publish
  in_tenant 'an object owned twice' 'owned twice' 'apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: tenant-2}' 3
  in_tenant 'a kind that nothing brings' 'Nothing' 'apiVersion: nothing.example.com/v1
kind: Nothing
metadata: {name: x}' 8
}

applications() {
  in_git 'a wrong revision' 10 'nope.*does not exist' root/bad.yaml <<Y
$(fleet_app bad bad tenants/tenant-1 | sed 's/targetRevision: main/targetRevision: nope/')
Y
  in_git 'a missing path' 10 'does not exist' root/bad.yaml <<Y
$(fleet_app bad bad no/such/path)
Y
  in_git 'a project that does not exist' 10 'which does not exist' root/bad.yaml <<Y
$(fleet_app bad bad tenants/tenant-1 | sed 's/project: default/project: nope/')
Y
  in_git 'a project that forbids it' 10 'not permitted' root/bad.yaml <<Y
{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: small}, spec: {sourceRepos: ['https://other/*'], destinations: [{server: '*', namespace: '*'}]}}
---
$(fleet_app bad bad tenants/tenant-1 | sed 's/project: default/project: small/')
Y
  in_git 'server and name' 10 'both name and server' root/bad.yaml <<Y
$(fleet_app bad bad tenants/tenant-1 | sed 's/destination: {server/destination: {name: x, server/')
Y
  in_git 'Go templates' 10 'goTemplate is not supported' root/bad.yaml <<Y
{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {name: set}, spec: {goTemplate: true, generators: [{list: {}}], template: {}}}
Y
  mkdir -p "$REPO/charts/rubbish/templates"
  printf 'apiVersion: v2\nname: rubbish\nversion: 1.0.0\n' >"$REPO/charts/rubbish/Chart.yaml"
  echo 'kind: [not, closed' >"$REPO/charts/rubbish/templates/x.yaml"
  in_git 'a chart that renders rubbish' 10 'helm' root/bad.yaml <<Y
$(fleet_app bad bad charts/rubbish)
Y
  echo '{{ fail "no such luck" }}' >"$REPO/charts/rubbish/templates/x.yaml"
  in_git 'a chart that fails' 10 'no such luck' root/bad.yaml <<Y
$(fleet_app bad bad charts/rubbish)
Y
}

roots() {
  refuse 'a root revision that does not exist' 4 boot "$HTTP_URL/git/fleet.git//root?ref=nope"
  refuse 'a root path that does not exist' 4 boot "$HTTP_URL/git/fleet.git//nope?ref=main"
  refuse 'a repository that does not exist' 4 boot "$HTTP_URL/git/nope.git//root"
  refuse 'a folder that does not exist' 4 boot "$SCRATCH/nope"
  refuse 'no credentials' 5 boot "$HTTP_URL/auth/git/fleet.git//root?ref=main"
  refuse 'a wrong password' 5 env REGROW_GIT_PASSWORD=wrong "$REGROW" plan "$HTTP_URL/auth/git/fleet.git//root?ref=main"
  unlike "$OUT" wrong 'a wrong password is not printed'
  check 'the right password' env "REGROW_GIT_USERNAME=$HTTP_USER" "REGROW_GIT_PASSWORD=$HTTP_PASSWORD" "$REGROW" plan "$HTTP_URL/auth/git/fleet.git//root?ref=main"
  refuse 'an unknown CA' 5 "$REGROW" plan "$HTTPS_URL/git/fleet.git//root?ref=main"
  check 'a known CA' "$REGROW" plan --ca-file "$CA_CERT" "$HTTPS_URL/git/fleet.git//root?ref=main"
  refuse 'a host that is not there' 7 "$REGROW" plan "http://127.0.0.1:1/x.git"
  printf -- '- {url: "%s", sshKeyFile: %s}\n' "$SSH_URL" "$SSH_KEY" >"$SCRATCH/creds.yaml"
  check 'ssh with a known host' "$REGROW" plan --credentials "$SCRATCH/creds.yaml" --known-hosts "$SSH_KNOWN_HOSTS" "$SSH_URL/fleet.git//root?ref=main"
  printf -- '- {url: "https://", password: x}\n' >"$SCRATCH/all.yaml"
  refuse 'a credential for every host' 3 "$REGROW" plan --credentials "$SCRATCH/all.yaml" "$HTTP_URL/git/fleet.git"
  refuse 'ssh with a changed host key' 5 "$REGROW" plan --credentials "$SCRATCH/creds.yaml" --known-hosts "$SSH_WRONG_HOSTS" "$SSH_URL/fleet.git//root?ref=main"
  refuse 'no such command' 2 "$REGROW" frobnicate
  refuse 'no such option' 2 "$REGROW" plan --frobnicate
  refuse 'no root' 2 "$REGROW" plan
}

clusters() {
  printf 'a: [\n' >"$SCRATCH/bad.kubeconfig"
  refuse 'an unreadable kubeconfig' 3 boot --kubeconfig "$SCRATCH/bad.kubeconfig" "$(url)"
  refuse 'a missing kubeconfig' 4 boot --kubeconfig "$SCRATCH/none" "$(url)"
  refuse 'an unknown context' 4 boot --context nope "$(url)"
  like "$OUT" 'regrow' 'an unknown context: says which there are'
  sed 's|https://127.0.0.1:[0-9]*|https://127.0.0.1:1|' "$KUBECONFIG" >"$SCRATCH/dead.kubeconfig"
  refuse 'an unreachable server' 7 boot --kubeconfig "$SCRATCH/dead.kubeconfig" "$(url)"
  jq '.users[0].user = {token: "wrong-token"}' "$KUBECONFIG" >"$SCRATCH/token.kubeconfig"
  refuse 'a wrong token' 5 boot --kubeconfig "$SCRATCH/token.kubeconfig" "$(url)"
  unlike "$OUT" wrong-token 'a wrong token is not printed'
  refuse 'another cluster' 6 boot --expect-cluster 11111111-2222-3333-4444-555555555555 "$(url)"
}

refusals() {
  kubectl create secret generic fixed -n tenant-1 --type=a/b --from-literal=a=1 >/dev/null
  kubectl label secret fixed -n tenant-1 x=y >/dev/null
  cat >"$REPO/tenants/tenant-1/bad.yaml" <<'Y'
{apiVersion: v1, kind: Secret, metadata: {name: fixed}, type: c/d, data: {b: MQ==}}
Y
  publish
  refuse 'an immutable field' 10 boot --force-conflicts "$(url)"
  like "$OUT" 'cannot be changed' 'an immutable field: says so'
  sed -i 's/name: fixed}/name: fixed, annotations: {argocd.argoproj.io\/sync-options: Force=true}}/' "$REPO/tenants/tenant-1/bad.yaml"
  publish
  check 'with Force=true it is made anew' boot --force-conflicts "$(url)"
  rm "$REPO/tenants/tenant-1/bad.yaml"
  publish
  check 'and without it all is well' boot "$(url)"
  kubectl create quota none -n tenant-1 --hard=configmaps=2 >/dev/null
  wait_for 10 'the quota' bash -c '[[ $(kubectl get quota -n tenant-1 none -o jsonpath={.status.hard.configmaps}) == 2 ]]'
  cat >"$REPO/tenants/tenant-1/bad.yaml" <<'Y'
{apiVersion: v1, kind: ConfigMap, metadata: {name: one-too-many}}
Y
  publish
  refuse 'a quota' 10 boot "$(url)"
  like "$OUT" 'exceeded quota' 'a quota: says so'
  kubectl delete quota none -n tenant-1 >/dev/null
  check 'without the quota it goes on' boot "$(url)"
  rm "$REPO/tenants/tenant-1/bad.yaml"
  publish
  check 'and back' boot "$(url)"
}

githttp_start
gitssh_start
cluster_up main
make_repo
run_case documents documents
run_case large large
run_case order order
run_case applications applications
run_case roots roots
run_case clusters clusters
run_case refusals refusals
