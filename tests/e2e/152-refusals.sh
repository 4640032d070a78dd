#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What a restore refuses besides 150-restore.sh: a snapshot that is not to be believed, a target that
# does not let it in, and two clusters on one chain. Each time a clear error, its exit code, and, by the
# audit log, nothing written to the cluster. And what is no reason to refuse: a cluster that comes up
# late, a copy in a registry.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/snapshots.sh"

restore() { "$REGROW" restore --timeout 60s --yes "$@"; }
ann() { restore -i ann.id "$@"; }

writes_nothing() { # NAME CODE COMMAND...
  local before
  before=$(audit_writes)
  refuse "$@"
  is "$(audit_writes) $(audit_rejected)" "$before 0" "$1: nothing was written, nor tried"
}

make_root() { # NAME TEXT
  mkdir -p "$1"
  cat >"$1/all.yaml" <<Y
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: web}
data: {text: "$2"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: web}
stringData: {key: "k-$2"}
Y
}

flip() { # FILE: a bit in its middle
  python3 - "$1" <<'P'
import sys
with open(sys.argv[1], "r+b") as f:
    data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    f.seek(0)
    f.write(data)
P
}

create() { snap create --key repo.job --use-cluster "$SCRATCH/root" "$@"; }
newest() { snap list -o json | jq -r '.chains[0].snapshots[0] | "\(.seq) \(.cluster)"'; }
uid() { kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'; }

# ---- whom to believe ----

believed() {
  cluster_use second
  REGROW_TRUST='' writes_nothing 'no pin' 9 ann
  like "$OUT" '--trust' 'and how it is given'
  REGROW_TRUST=nonsense writes_nothing 'no pin at all' 2 ann
  REGROW_TRUST=$(printf '%064d' 7) writes_nothing 'the pin of another repository' 9 ann
  writes_nothing 'a key of nobody here' 5 restore -i eve.id
  like "$OUT" 'ways? to open the repository .*(does not fit|fits) what was given' 'and why'
  like "$OUT" 'key list shows who can open it' 'and what to do'
  REGROW_PASSPHRASE='wrong horse' writes_nothing 'a wrong passphrase' 5 restore
  like "$OUT" 'wrong passphrase' 'and why'
  unlike "$OUT" 'wrong horse' 'which is not repeated'
  REGROW_PASSPHRASE='right horse' writes_nothing 'the right one' 0 restore --dry-run
}

# Of each kind of file the newest: changed, and gone.
damaged() {
  local kind changed gone file
  cluster_use second
  while read -r kind changed gone; do
    rm -rf harmed
    cp -r "$REGROW_REPO" harmed
    file=$(find "harmed/$kind" -type f | sort | tail -1)
    flip "$file"
    writes_nothing "$kind changed" "$changed" ann --repo harmed
    rm "$file"
    writes_nothing "$kind gone" "$gone" ann --repo harmed
    [[ $kind != */packs ]] || like "$OUT" "snapshot 1 is damaged: ${file#harmed/} is missing" 'which'
    [[ $kind != */packs ]] || like "$OUT" 'another copy of the repository' 'and what to do'
  done <<'T'
regrow.json 9 9
trust/0001 9 9
trust/0002 9 9
chains/prod/log 9 4
chains/prod/index 9 9
chains/prod/packs 9 9
T
  rm -rf harmed
  cp -r "$REGROW_REPO" harmed
  # What others open it with is none of the snapshot's.
  local n=0 opens=0
  for file in harmed/keys/*; do
    mv "$file" slot
    n=$((n + 1))
    ! ann --repo harmed --dry-run >out 2>&1 || opens=$((opens + 1))
    mv slot "$file"
  done
  is "$opens" $((n - 1)) "without any slot but ann's ($n)"
}

# A writer that was taken over: what it signed counts no more.
revoked() {
  cluster_use second
  rm -rf revoked-repo
  cp -r "$REGROW_REPO" revoked-repo
  export REGROW_REPO=$SCRATCH/revoked-repo
  admin key revoke ci >/dev/null
  writes_nothing 'its writer was revoked: still believed is what it signed before' 0 ann --dry-run
  rm -rf revoked-repo
  cp -r "$SCRATCH/snapshots" revoked-repo
  admin key revoke ci --last-trusted prod:0 >/dev/null
  writes_nothing 'revoked from the start: latest' 5 ann
  like "$OUT" 'snapshot 1 of prod is not believed: the key that signed it, .*, was revoked' 'and that is why'
  writes_nothing 'revoked from the start: by number' 5 ann 1
  like "$OUT" 'was revoked' 'and that is why'
}

suspect() {
  cluster_use second
  cp -r root broken
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: gone, namespace: argocd}\nspec: {project: default, destination: {server: https://kubernetes.default.svc, namespace: gone}, source: {repoURL: "%s/nowhere.git", path: x}}\n' "$SCRATCH" >broken/app.yaml
  rm -rf suspect-repo
  cp -r "$REGROW_REPO" suspect-repo
  export REGROW_REPO=$SCRATCH/suspect-repo
  cluster_use first
  snap create --key repo.job --use-cluster "$SCRATCH/broken" >out 2>&1 || true
  cluster_use second
  local seq
  seq=$(newest)
  seq=${seq%% *}
  is "$(snap list -o json | jq -r '.chains[0].snapshots[0].state')" suspect 'one of which a source was unknown'
  writes_nothing 'suspect, by number' 5 ann "$seq"
  like "$OUT" 'suspect.*--allow-suspect' 'and what may be said'
  is "$(ann --dry-run -o json | jq .snapshot.seq)" "$((seq - 1))" 'latest is the good one before'
}

# ---- whom the target lets in ----

as_token() { # TOKEN: a kubeconfig with it
  kubectl config view --raw -o json | jq --arg t "$1" '.users[0].user = {token: $t}' >token.kubeconfig
  echo token.kubeconfig
}

# A token as the API server signs them, of yesterday.
expired_token() {
  python3 - "$CLUSTER/pki/service-account.key" <<'P'
import base64, json, subprocess, sys, time
def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=")
def number(der, at):
    n = der[at + 1]
    return der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0"), at + 2 + n
now = int(time.time())
claims = {"iss": "https://kubernetes.default.svc", "aud": ["https://kubernetes.default.svc"],
          "sub": "system:serviceaccount:default:admin", "iat": now - 90000, "nbf": now - 90000, "exp": now - 3600,
          "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "admin", "uid": sys.argv[1][:8]}}}
text = b64(json.dumps({"alg": "ES256", "typ": "JWT"}).encode()) + b"." + b64(json.dumps(claims).encode())
der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", sys.argv[1]], input=text, stdout=subprocess.PIPE, check=True).stdout
r, at = number(der, 2)
s, _ = number(der, at)
print((text + b"." + b64(r + s)).decode())
P
}

let_in() {
  local admin_config=$KUBECONFIG
  cluster_use second
  KUBECONFIG=$(as_token "$(expired_token)") writes_nothing 'an expired token' 5 ann
  like "$OUT" '401|expired|Unauthorized|credentials' 'and why'
  # All but one right.
  kubectl create serviceaccount almost -n default >/dev/null
  kubectl create clusterrole almost --verb=get,list,watch,create,patch,update,delete --resource=namespaces,configmaps,leases.coordination.k8s.io >/dev/null
  kubectl create clusterrolebinding almost --clusterrole=almost --serviceaccount=default:almost >/dev/null
  kubectl create clusterrolebinding almost-view --clusterrole=view --serviceaccount=default:almost >/dev/null
  KUBECONFIG=$(as_token "$(kubectl -n default create token almost)") writes_nothing 'all rights but one' 5 ann
  like "$OUT" 'not permitted to .*secrets' 'and which'
  # Somebody else is at it.
  kubectl create namespace regrow-system >/dev/null
  kubectl create -f - >/dev/null <<Y
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: regrow, namespace: regrow-system}
spec: {holderIdentity: elsewhere/1/x/1, leaseDurationSeconds: 600, acquireTime: "$(date -u +%FT%T.000000Z)", renewTime: "$(date -u +%FT%T.000000Z)"}
Y
  writes_nothing 'another run holds the cluster' 6 ann --timeout 10s
  kubectl delete namespace regrow-system --wait >/dev/null
  kubectl delete clusterrolebinding almost almost-view >/dev/null
  KUBECONFIG=$admin_config
}

# Before it answers nothing is there to draw: what a restore hangs on is said all the same.
a_dead_server() {
  sed 's#127.0.0.1:[0-9]*#127.0.0.1:1#' "$KUBECONFIG" >dead.yaml
  refuse 'a server that is not there' 7 "$REGROW" restore -i ann.id --kubeconfig dead.yaml --wait-for-cluster 3s --yes
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'waiting for cluster [^ ]+, up to 3.0 s, 1.[0-9] s so far: https://127.0.0.1:1: ' 'after a second it says for what, and how long'
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'snapshot [0-9]+ is whole, and read: 0 applications, 3 objects.* now the cluster.*waiting for cluster' 'the snapshot is read while it comes up'
  refuse 'what is not in it is told before' 4 "$REGROW" restore -i ann.id --kubeconfig dead.yaml --wait-for-cluster 1h --yes --namespace nowhere
  cp -r "$REGROW_REPO" cut
  rm "$(find cut/chains/prod/packs -type f | head -1)"
  refuse 'and what is damaged' 9 "$REGROW" restore -i ann.id --repo cut --kubeconfig dead.yaml --wait-for-cluster 1h --yes
  rm -r cut
  refuse 'and in events' 7 "$REGROW" restore -i ann.id --kubeconfig dead.yaml --wait-cluster 3s --yes -o ndjson
  is "$(grep kube.awaited <<<"$OUT" | jq -r '"\(.server) \(.wait_ms) \(.ms < 2000)"')" 'https://127.0.0.1:1 3000 true' 'it is one of them'
}

# It comes up while the snapshot is fetched and verified, and then it is restored.
a_late_server() {
  local pid code=0
  cluster_use second
  cluster_control reset
  cluster_control kill-apiserver
  ann --wait-for-cluster 60s >late.txt 2>&1 &
  pid=$!
  wait_for 30 'it waits' grep -q 'waiting for cluster' late.txt
  cluster_control start-apiserver
  wait "$pid" || code=$?
  is "$code" 0 'a cluster that comes up later is waited for'
  ((code == 0)) || cat late.txt
  is "$(kubectl -n web get configmap settings -o jsonpath='{.data.text}')" one 'and restored'
  cluster_control reset
}

a_registry() {
  local to pin
  cluster_use second
  REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
  to=oci://$OCI_HOST/backup/prod
  pin=$(snap init --repo "$to" --out copy.admin --recipient "$ANN" --single | sed -n 's/^ *pin //p')
  snap key add --repo "$to" --trust "$pin" --key copy.admin -i ann.id --role writer --chain prod --out copy.job >/dev/null
  check 'a copy in a registry' snap copy -i ann.id --to "$to" --to-key copy.job
  writes_nothing 'with the pin of the first one' 9 ann --repo "$to"
  writes_nothing 'it is planned from there' 0 ann --repo "$to" --trust "$pin" --dry-run
  check 'and restored' ann --repo "$to" --trust "$pin"
  is "$(kubectl -n web get configmap settings -o jsonpath='{.data.text}') $(audit_rejected)" 'one 0' 'as it was, without a rejected write'
  writes_nothing 'a chain of the same name in another repository' 6 ann
  like "$OUT" 'was restored from snapshot [0-9]+ of prod in another repository' 'and why'
  writes_nothing 'a drill there' 6 "$REGROW" drill -i ann.id --kubeconfig "$KUBECONFIG"
  like "$OUT" 'is not empty: it was restored from a snapshot of prod' 'and why'
  cluster_control reset
  oci_stop
}

# ---- somebody else's cluster, adopted ----

# Without what the control plane puts into each namespace when it gets to it.
theirs() { kubectl -n theirs get configmap,secret -o name | grep -v /kube-root-ca.crt | sort; }
adopted() {
  local all
  cluster_use second
  mkdir -p others
  cat >others/all.yaml <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: theirs}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: theirs}
---
apiVersion: v1
kind: Secret
metadata: {name: two, namespace: theirs}
Y
  kubectl create namespace foreign >/dev/null
  writes_nothing 'a drill in a cluster of others' 6 "$REGROW" drill -i ann.id --kubeconfig "$KUBECONFIG"
  like "$OUT" 'is not empty: it has 1 namespace or workloads, such as Namespace foreign' 'and why'
  check 'it is grown from another root' "$REGROW" bootstrap "$SCRATCH/others"
  all=$(theirs)
  writes_nothing 'and not to be written to' 6 ann
  check 'but for who says so' ann --adopt
  is "$(theirs)" "$all" 'what it had besides is there'
  is "$(kubectl -n web get configmap settings -o jsonpath='{.data.text}')" one 'and what was restored'
  check 'the same again' ann --adopt
  check 'and without the word: it is known now' ann
  check 'as after a kill right at the beginning' kubectl -n regrow-system patch configmap restored-from --type merge -p '{"data":{"adopting":"true"}}'
  check 'it goes on' ann
  is "$(kubectl -n regrow-system get configmap restored-from -o jsonpath='{.data.adopting}')" false 'to its end'
  check 'and from Git' "$REGROW" bootstrap "$SCRATCH/root"
  is "$(theirs)" "$all" 'what it had besides is there still'
  is "$(kubectl get namespace foreign theirs -o name | wc -l)" 2 'with its namespaces'
  rm -r others
  cluster_control reset
}

# ---- two clusters, one chain ----

two_clusters() {
  local first second
  cluster_use first
  first=$(uid)
  cluster_use second
  second=$(uid)
  # One that was grown from the same root, with the same job's key.
  check 'a second cluster grows from the same root' "$REGROW" bootstrap "$SCRATCH/root"
  refuse 'and may not write its chain' 6 create
  like "$OUT" "belongs to the cluster with uid $first.*chain of its own.*--adopt-chain" 'and what to do'
  is "$(newest)" "1 $first" 'nothing was written to it'
  writes_nothing 'nor is it taken for the lost one' 6 ann
  like "$OUT" 'was grown from .*/root too, and no snapshot of prod is of this cluster.*--adopt' 'and why'
  writes_nothing 'nor used for a drill' 6 "$REGROW" drill -i ann.id --kubeconfig "$KUBECONFIG"
  like "$OUT" 'is not empty: it was grown from' 'and why'
  cluster_control reset
  # It takes the place of the lost one.
  check 'restored, it goes on' ann
  check 'without a word of anybody' create
  is "$(newest)" "2 $second" 'with the chain of the lost one'
  check 'and again' create --full
  # The lost one comes back.
  cluster_use first
  refuse 'the old one comes back, and may not' 6 create
  like "$OUT" "belongs to the cluster with uid $second" 'as the other has its place'
  is "$(newest)" "3 $second" 'nothing was written'
  writes_nothing 'nor may it be grown on' 6 "$REGROW" bootstrap "$SCRATCH/root"
  like "$OUT" "another cluster has taken the place of .*: snapshot 3 of prod, .* is of the cluster with uid $second.*--adopt-chain" 'and what to do'
  writes_nothing 'nor kept' 6 "$REGROW" reconcile --once --timeout 60s --snapshot-to "$REGROW_REPO" --key repo.job "$SCRATCH/root"
  like "$OUT" "another cluster has taken the place of .*snapshot 3 of prod" 'and why'
  check 'where nobody has told it of the repository' env -u REGROW_REPO "$REGROW" bootstrap "$SCRATCH/root"
  mv "$REGROW_REPO" away
  check 'and where that cannot be read it goes on' eval '"$REGROW" bootstrap "$SCRATCH/root" >lost.txt'
  like "$(tr -s ' \n' ' ' <lost.txt)" '! whether another cluster has taken the place of this one is not known' 'and says so'
  mv away "$REGROW_REPO"
  like "$(ann --dry-run)" "this cluster has been replaced: the newest snapshot, 3, is of the one with uid $second" 'restore says so in its plan'
  is "$(ann --dry-run -o json | jq -r '.target.replacedBy | "\(.seq) \(.uid)"')" "3 $second" 'and for programs'
  cluster_use second
  check 'the one that took its place is grown on' "$REGROW" bootstrap "$SCRATCH/root"
  cluster_use first
  # It comes back before the other has written: whoever comes second notices.
  create --adopt-chain >/dev/null
  cluster_use second
  cluster_control reset
  ann >/dev/null
  cluster_use first
  check 'the old one lives on and writes' create --full
  cluster_use second
  refuse 'the restored one notices before it writes' 6 create
  like "$OUT" "since this cluster was restored, the one with uid $first has written snapshot 5 of chain prod: two clusters are alive.*has come back.*--adopt-chain" \
    'which of them, and what to do'
  is "$(newest)" "5 $first" 'nothing was written'
  like "$(ann --dry-run)" "the one with uid $first has written snapshot 5: two clusters are alive" 'restore says so too'
  ann >/dev/null
  refuse 'restoring again does not make it forget' 6 create
  check 'until a person has decided' create --adopt-chain
  cluster_use first
  refuse 'and then the other may not' 6 create
  cluster_use second
  check 'and the one that stays is kept' "$REGROW" reconcile --once --timeout 60s --snapshot-to "$REGROW_REPO" --key repo.job "$SCRATCH/root"
}

# Of another chain, and grown from something else.
another_chain() {
  cluster_use second
  admin key add --role writer --chain test --out test.job >/dev/null
  make_root other two
  snap create --key test.job --use-cluster "$SCRATCH/other" >/dev/null
  refuse 'two chains, and none is named' 2 ann
  writes_nothing 'a snapshot of another chain' 6 ann --chain test
  like "$OUT" 'was grown from .*/root, the snapshot is of .*/other' 'and why'
  # What it was restored from is left, and nothing else of it.
  kubectl -n regrow-system get configmap -o name | grep -v /restored-from | xargs kubectl -n regrow-system delete >/dev/null
  writes_nothing 'restored from another chain' 6 ann --chain test
  like "$OUT" 'was restored from snapshot [0-9]+ of prod, this one is of test' 'and why'
}

(cluster_up first; trap - EXIT) >first.log 2>&1 &
cluster_up second
wait
at_exit cluster_down first
age-keygen -o eve.id 2>/dev/null
NAME=repo
make_repo "$SCRATCH/snapshots" repo
REGROW_NEW_PASSPHRASE='right horse' admin key add >/dev/null
admin key add --role writer --chain prod --label ci --out repo.job >/dev/null
make_root root one
cluster_use first
"$REGROW" bootstrap "$SCRATCH/root" >/dev/null
create >/dev/null
run_case believed believed
run_case damaged damaged
run_case revoked revoked
run_case suspect suspect
run_case 'let in' let_in
run_case 'a dead server' a_dead_server
run_case 'a late server' a_late_server
run_case 'a registry' a_registry
run_case adopted adopted
run_case 'two clusters' two_clusters
run_case 'another chain' another_chain
