#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# regrow drill. A fleet of real add-ons comes back into a control plane of the drill's own, which is
# gone afterwards, whatever ends the drill; the verdict is in the log, the report sealed and signed.
# What is planted is found and named: a kind that nobody defines, a SealedSecret of another key, a
# store without its credentials, a chart that was never saved, an object the API server refuses, one
# that came back otherwise; and what the live cluster has otherwise than the snapshot. A cluster
# that is in use is never touched.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared upstream
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/snapshots.sh"
. "$LIB/reports.sh"

UP=$REGROW_SHARED/upstream
export TMPDIR=$SCRATCH/tmp
mkdir -p "$TMPDIR"

root_url() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }
drill() { env -u KUBECONFIG "$REGROW" drill -i ann.id --timeout 2m "$@"; }
create() { snap create --key prod.job "$(root_url)" "$@"; }
last() { snap list -o json | jq -r ".chains[0].snapshots[0].$1"; }
found() { jq -r '.findings[] | "\(.kind) \(.object // .application)"' "${1:-out.json}" | sort; }

app() { # NAME NAMESPACE PATH [REST-OF-SOURCE]
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $2}
  source: {repoURL: "$HTTP_URL/git/fleet.git", targetRevision: main, path: $3${4:+, $4}}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

make_keys() {
  local i
  for i in sealing other; do
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$i" -days 9 -keyout $i.key -out $i.crt 2>/dev/null
  done
}

make_fleet() {
  mkdir -p fleet/root fleet/sealed fleet/web
  cp -r "$UP/sealed-secrets/helm/sealed-secrets" fleet/sealed-chart
  cp -r "$UP/cert-manager/deploy/charts/cert-manager" fleet/certs
  app sealed-chart kube-system sealed-chart >fleet/root/a.yaml
  app secrets web sealed >fleet/root/b.yaml
  app certs cert-manager certs 'helm: {valuesObject: {crds: {enabled: true}}}' >fleet/root/c.yaml
  app web web web >fleet/root/d.yaml
  "$LIB/seal.py" sealing.crt web db password=hunter2 user=app >fleet/sealed/db.yaml
  cat >fleet/web/web.yaml <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: "x:1", resources: {requests: {cpu: "0.5", memory: 1024Mi}}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, size: "3"}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {token: hunter2-of-web}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: tls}
spec: {secretName: tls, dnsNames: [a.example], issuerRef: {name: none}}
Y
  git_publish fleet fleet >/dev/null
}

grown() {
  kubectl create secret tls sealing -n kube-system --cert sealing.crt --key sealing.key >/dev/null
  kubectl label secret sealing -n kube-system sealedsecrets.bitnami.com/sealed-secrets-key=active >/dev/null
  kubectl create ns cert-manager >/dev/null
  # Nobody answers for the webhooks, nor reports on custom resources: what is looked at is enough.
  spawn grow "$REGROW" bootstrap --timeout 2m "$(root_url)"
  wait_for 90 'the fleet' kubectl -n web get cm/settings secret/token deploy/api sealedsecrets/db
  stop grow INT
  check 'saved' create --use-cluster
  is "$(last state)" good 'the snapshot is good'
}

clean() { # NAME: neither a process of a drill nor a folder is left
  local i
  for ((i = 0; i < 100; i++)); do
    if [[ -z $(ls "$TMPDIR") ]] && ! pgrep -f "$TMPDIR/regrow-drill" >/dev/null; then break; fi
    sleep 0.1
  done
  is "$(ls "$TMPDIR")" '' "$1: no folder is left"
  is "$(pgrep -fc "$TMPDIR/regrow-drill" || true)" 0 "$1: no process is left"
}

comes_back() {
  local began=${EPOCHREALTIME/./} took
  check 'it comes back' drill --judge-key prod.judge --report report.json --html report.html --metrics drill.prom -o json
  took=$(((${EPOCHREALTIME/./} - began) / 1000))
  is "$(jq -r .verdict report.json)" drilled 'says the report'
  report_times "$(<report.json)" 'verify control-plane target plan secret-zero apply healthy'
  is "$(jq --argjson took "$took" '([.phases[].ms] | add) + .compareMs <= $took' report.json)" true 'no time but that which passed'
  is "$(jq -c '[.phases[] | select(.counted == false).name], [.applications[].state] | unique' report.json)" \
    $'["control-plane"]\n["healthy"]' 'making the cluster is no part of it'
  is "$(jq -c '[.missing, .awaited]' report.json)" '[[],[]]' 'nothing is missing'
  is "$(jq -c '[.findings, .differences]' report.json)" '[[],[]]' 'nothing was found, nothing differs'
  is "$(jq '.compared > 60' report.json)" true "$(jq .compared report.json) objects were compared"
  like "$(jq -r '.controlPlane.notShown[]' report.json)" 'webhook' 'what was not shown is said'
  unlike "$(cat report.json)" hunter2 'no value of a Secret'
  report_page report.html 'Drill of prod' 'The drill passed' 'Content-Security-Policy' '>critical path<' '>phases<' '>sealed-chart<' \
    '<dt>RTO</dt>' '<dt>RPO</dt>'
  clean 'afterwards'
  is "$(last state)" drilled 'the snapshot is drilled'
  like "$(snap list | tail -1)" 'Last drill: [0-9]' 'list says so'
  like "$("$REGROW" restore -i ann.id --dry-run | tr -s '\n ' ' ')" 'Snapshot 1 of prod, .*, drilled before;' 'and so does the plan of a restore'
  check 'documented' bash -c "'$SHAPE' drill 'verdict,compared,controlPlane.own,noted' <report.json"
  is "$(jq -r '"\(.rto_ms / 1000) \(.rpo_seconds)"' report.json)" \
    "$(sed -n 's/^regrow_drill_r[tp]o_seconds.* //p' drill.prom | paste -sd' ')" 'monitoring is told the same RTO and RPO'
  like "$(cat drill.prom)" 'regrow_drill_last_good_timestamp_seconds\{chain="prod"\} 1' 'monitoring is told'
}

signed() { # as docs/drill.md has it
  local pub
  pub=$(for f in repo/trust/*; do head -n1 "$f"; done | jq -rs '[.[].signers[] | select(.role == "judge").key][0]')
  head -n1 report.json.signed >body
  sed -n 2p report.json.signed | cut -d' ' -f2 | base64 -d >sig
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf %s "$pub" | base64 -d; } |
    openssl pkey -pubin -inform DER -out pub.pem
  check 'the signature holds' openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in body -sigfile sig
  is "$(jq -r .report body)" "$(sha256sum <report.json | cut -d' ' -f1)" 'of this very report'
}

history() {
  drill --history -o json >out.json
  is "$(jq -c '[.history[] | [.verdict, .noted, .snapshot, .findings]]' out.json)" '[["drilled","drilled",1,0]]' 'the history has it'
  is "$(jq '.history[0].rto_ms > 0 and .trend.good == 1' out.json)" true 'with its time, out of the sealed report'
  check 'documented' bash -c "'$SHAPE' drill-history 'history[].rto_ms,trend.rto_ms_median' <out.json"
  "$REGROW" drill --history --identity ben.id >out.txt
  like "$(cat out.txt)" '1 of 1 drills of prod good' 'as text'
  "$REGROW" drill --history -o json >out.json
  is "$(jq -c '[.history[] | [.verdict, .rto_ms]]' out.json)" '[["drilled",null]]' 'without a key the verdict alone'
  check 'the report is whole' snap verify -i ann.id
}

# A report changed, cut or lost is told, and stands in nobody's way.
report_lost() {
  local code name file how
  name=$(head -qn1 repo/chains/prod/log/* | jq -r 'select(.type == "regrow verdict v1" and .report) | .report' | head -n1)
  file=repo/chains/prod/packs/$name
  cp "$file" report.pack
  for how in changed cut gone; do
    case $how in
    changed) printf '!xyz' | dd of="$file" bs=1 seek=500 conv=notrunc status=none ;;
    cut) truncate -s 400 "$file" ;;
    gone) rm "$file" ;;
    esac
    code=0
    snap verify -i ann.id -o json >said.json || code=$?
    is "$code $(jq -c '[(.problems | length), .damaged]' said.json | tr '\n' ' ')" '9 [1,[]] ' "$how: verify tells, and no snapshot is harmed"
    like "$(jq -r '.problems[0]' said.json)" "report of a drill of snapshot 1 .*$name" "$how: and names the report"
    check "$how: the plan of a restore" "$REGROW" restore -i ann.id --dry-run
    drill --history >said.txt
    like "$(cat said.txt)" '1 of 1 drills of prod good' "$how: the verdict is signed, and stays"
  done
  code=0
  snap verify -i ann.id >said.txt || code=$?
  like "$(tr -s ' \n' ' ' <said.txt)" '1 snapshot of prod whole, but 1 other file damaged.*can be restored without' 'as text'
  cp report.pack "$file"
  check 'put back, all is whole' snap verify -i ann.id
}

killed() { # SIGNAL CODE
  local pid i code=0
  env -u KUBECONFIG "$REGROW" drill -i ann.id >killed.txt 2>&1 &
  pid=$!
  for ((i = 0; i < 300; i++)); do
    compgen -G "$TMPDIR/regrow-drill*/cluster/kubeconfig" >/dev/null && break
    sleep 0.1
  done
  wait_for 30 'the restore has begun' bash -c "kubectl --kubeconfig $TMPDIR/regrow-drill*/cluster/kubeconfig get ns regrow-system"
  kill "-$1" "$pid"
  wait "$pid" 2>/dev/null || code=$?
  is "$code" "$2" "ended by $1"
  clean "$1"
}

in_use() {
  local writes
  writes=$(audit_writes)
  refuse 'a cluster that is in use' 6 "$REGROW" drill -i ann.id --kubeconfig "$KUBECONFIG"
  like "$OUT" 'the very one that the snapshot is of' 'and why'
  refuse 'to adopt' 2 "$REGROW" drill -i ann.id --kubeconfig "$KUBECONFIG" --adopt
  refuse 'the key of a job as a judge' 5 drill --judge-key prod.job
  refuse 'a cluster of its own, and one that is given' 2 drill --control-plane controlplane --kubeconfig "$KUBECONFIG"
  like "$OUT" '--control-plane starts a cluster, --kubeconfig names one' 'and why'
  refuse 'one of a hub' 2 drill --cluster east
  refuse 'no program' 4 drill --control-plane /nonexistent
  like "$OUT" 'next: Drill in an empty cluster of yours.*--control-plane' 'and what to do'
  refuse 'a program that makes nothing' 7 drill --control-plane /bin/false
  is "$(audit_writes)" "$writes" 'nothing was written'
}

live() {
  kubectl -n web patch deploy api --type merge -p '{"spec":{"replicas":5}}' >/dev/null
  kubectl -n web patch cm settings --type merge -p '{"data":{"hand":"made"}}' >/dev/null
  kubectl -n web patch secret token --type merge -p '{"stringData":{"token":"hunter3"}}' >/dev/null
  kubectl -n web create cm late >/dev/null
  kubectl -n web annotate cm late argocd.argoproj.io/tracking-id=web:/ConfigMap:web/late >/dev/null
  refuse 'found' 10 drill --live-kubeconfig "$KUBECONFIG" -o json
  printf '%s\n' "$OUT" | sed -n '/^{/,$p' >out.json
  is "$(found | paste -sd, -)" 'differs-from-live ConfigMap web/settings,differs-from-live Deployment web/api,differs-from-live Secret web/token,not-in-snapshot ConfigMap web/late' 'and nothing else'
  is "$(jq -c '[.differences[] | select(.object == "Deployment web/api").changes[] | [.pointer, .expected, .found]]' out.json)" '[["/spec/replicas",5,2]]' 'field by field'
  unlike "$(cat out.json)" 'hunter|aHVudGVy' 'no value of a Secret'
  is "$(jq -r .verdict out.json)" drilled 'the snapshot is none the worse for it'
  is "$(jq -c '[.phases[] | select(.counted == false).name]' out.json)" '["live","control-plane"]' 'asking the live one is no part of the RTO'
}

planted() {
  mkdir -p fleet/crds
  app stray web stray >fleet/root/e.yaml
  mkdir -p fleet/stray fleet/wrong
  printf 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n' >fleet/stray/w.yaml
  "$LIB/seal.py" other.crt web lost password=hunter2 >fleet/sealed/lost.yaml
  app wrong web wrong >fleet/root/f.yaml
  printf 'apiVersion: v1\nkind: Service\nmetadata: {name: far}\nspec: {ports: [{port: 99999}]}\n' >fleet/wrong/far.yaml
  cat >fleet/root/g.yaml <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: charted, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: web}
  source: {repoURL: "$HTTP_URL/files/charts/none", chart: gone, targetRevision: 1.2.3}
Y
  cat >fleet/sealed/store.yaml <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: secretstores.external-secrets.io}
spec:
  group: external-secrets.io
  scope: Namespaced
  names: {kind: SecretStore, plural: secretstores}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault}
spec: {provider: {vault: {auth: {tokenSecretRef: {name: vault-token, key: token}}}}}
Y
  git_publish fleet fleet >/dev/null
  refuse 'saved, as suspect' 10 create --use-cluster
  refuse 'found' 10 drill "$(last seq)" --allow-suspect --judge-key prod.judge -o json
  printf '%s\n' "$OUT" | sed -n '/^{/,$p' >out.json
  is "$(jq -r .verdict out.json)" bad 'and the snapshot is to blame'
  found >found.txt
  like "$(cat found.txt)" 'missing-crd Widget web/w' 'a kind that nobody defines'
  like "$(cat found.txt)" 'secret-not-decryptable SealedSecret web/lost' 'a SealedSecret of another key'
  unlike "$(cat found.txt)" 'SealedSecret web/db' 'one that opens is no finding'
  like "$(cat found.txt)" 'secret-not-decryptable SecretStore web/vault' 'a store without its credentials'
  like "$(cat found.txt)" 'missing-chart charted' 'a chart that was not saved'
  is "$(jq -c '[.missing[] | [.kind, .object, .application]] | sort' out.json) $(jq -r '.missing[0].message' out.json)" \
    '[["api","Widget web/w","stray"],["snapshot",null,null]] application charted: it could not be read when the snapshot was made, nor before' \
    'what is missing, says the report'
  is "$(jq -c '[.applications[] | select(.state != "healthy").name] | sort' out.json)" '["charted","wrong"]' 'and what did not come back'
  is "$(jq -c '.rto_ms as $all | [.applications[] | select(has("from_ms")) | select(.from_ms + .ms > $all)], [.applications[] | select(.name == "charted") | has("ms")]' out.json)" \
    $'[]\n[false]' 'with no time for what never began'
  like "$(cat found.txt)" 'invalid-object Service web/far' 'an object that the API server refuses'
  is "$(last state)" bad 'list calls it bad'
  drill --history -o json >out.json
  is "$(jq -c '[.history[] | .verdict] + [.trend.good]' out.json)" '["bad","drilled",1]' 'the history knows both'
  clean 'with findings'
}

# Another API server, which was empty and has what came back afterwards.
given() {
  local second
  mkdir -p small
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small, namespace: default}\ndata: {a: b}\n' >small/small.yaml
  admin key add --role writer --chain small --out small.job >/dev/null
  check 'a snapshot of a folder' snap create --chain small --key small.job small
  cluster_up second
  second=$KUBECONFIG
  refuse 'a cluster that was given' 0 drill --chain small --kubeconfig "$second" --report given.json --html given.html
  like "$OUT" 'report: given.json, given.html' 'and where the reports are is said'
  is "$(jq -c '[.verdict, .controlPlane.own, .controlPlane.notShown, .findings]' given.json)" '["drilled",false,[],[]]' 'it came back there'
  report_times "$(<given.json)" 'verify target plan secret-zero apply healthy'
  report_page given.html 'Drill of small' '>phases<'
  is "$(kubectl --kubeconfig "$second" get cm small -o jsonpath='{.data.a}')" b 'and is there'
  refuse 'once only' 6 drill --chain small --kubeconfig "$second"
}

changed() { # in a cluster that was given, where somebody meddles
  cluster_wipe
  (for _ in {1..600}; do
    kubectl -n web patch cm settings --type merge -p '{"data":{"color":"red"}}' >/dev/null 2>&1 && break
    sleep 0.02
  done) &
  refuse 'found' 10 drill 1 --kubeconfig "$KUBECONFIG" --ready Certificate.cert-manager.io=applied --timeout 15s -o json
  wait
  printf '%s\n' "$OUT" | sed -n '/^{/,$p' >out.json
  like "$(found)" 'different ConfigMap web/settings' 'what came back otherwise'
  is "$(jq -c '[.differences[] | select(.object == "ConfigMap web/settings") | .against, .changes]' out.json)" '["snapshot",[{"pointer":"/data/color","expected":"blue","found":"red"}]]' 'and how'
}

githttp_start
cluster_up main
make_keys
make_repo "$SCRATCH/repo" prod
NAME=prod
admin key add --role judge --out prod.judge >/dev/null
admin key add --role writer --chain prod --out prod.job >/dev/null
make_fleet
run_case grown grown
run_case 'it comes back' comes_back
run_case signed signed
run_case history history
run_case 'report lost' report_lost
run_case 'killed at once' killed KILL 137
run_case interrupted killed INT 130
run_case 'in use' in_use
run_case live live
run_case planted planted
run_case changed changed
run_case given given
