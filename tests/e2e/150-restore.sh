#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# regrow restore. All gone: a fleet of real add-ons with live webhooks is saved, then cluster, Git
# host, chart repository and registry go, and helm and kustomize too: it comes back healthy, without
# a rejected write, and object by object as it was; from Git again nothing is written. Killed
# anywhere it goes on. The wrong target, a suspect or damaged snapshot, a wrong key: nothing is
# written.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared upstream
if [[ ${1:-} != inside ]]; then
  status=0
  "$LIB/netns" bash "$0" inside || status=$?
  if ((status == 77)); then skip_all 'no network of its own for webhooks on pods'; fi
  trap - EXIT
  exit "$status"
fi
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/fleet.sh"
. "$LIB/world.sh"
. "$LIB/reports.sh"

SHAPE=$ROOT/tests/cli/shape
TENANTS=${TENANTS:-50}
KILLS=${KILLS:-3}
SEED=${SEED:-7}
UP=$REGROW_SHARED/upstream
export XDG_CACHE_HOME=$SCRATCH/cache
cd "$SCRATCH"

root_url() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }
snap() { "$REGROW" snapshot "$@"; }
last() { snap list -o json | jq -r ".chains[0].$1"; }
boot() { "$REGROW" bootstrap --timeout 4m -o json "$(root_url)" "$@"; }

# As on a rescue machine: no helm, no kustomize, no git on the PATH, and nothing cached.
bare() { env PATH="$SCRATCH/nothing" XDG_CACHE_HOME="$SCRATCH/bare-cache" "$@"; }
restore() { bare "$REGROW" restore -i ann.id --timeout 4m "$@"; }

make_repo() {
  age-keygen -o ann.id 2>/dev/null
  age-keygen -o eve.id 2>/dev/null
  snap init --repo repo --out repo.admin --recipient "$(age-keygen -y ann.id)" --single >init.txt
  export REGROW_REPO=$SCRATCH/repo
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init.txt)
  export REGROW_TRUST
  snap key add --key repo.admin -i ann.id --role writer --chain prod --out job.key >/dev/null
}

chart_app() { # NAME URL CHART VERSION NAMESPACE
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $5}
  source: {repoURL: "$2", chart: $3, targetRevision: "$4"}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

# Add-ons from Git, a Helm repository and a registry; a kustomization; waves and hooks.
make_fleet() {
  local version
  fleet_make "$SCRATCH/fleet" "$HTTP_URL/git/fleet.git" "$TENANTS" hooks
  rm -rf fleet/root/t-sealed-secrets.yaml fleet/charts/sealed-secrets \
    fleet/root/s-metrics-server.yaml fleet/charts/metrics-server
  charts_upstream up sealed-secrets metrics-server >/dev/null
  version=$(charts_field version "$UP/sealed-secrets/helm/sealed-secrets/Chart.yaml")
  chart_app sealed-secrets "$HTTP_URL/files/charts/up" sealed-secrets "$version" kube-system >fleet/root/sealed.yaml
  oci_push "$FILES_ROOT"/charts/up/metrics-server-*.tgz
  version=$(charts_field version "$UP/metrics-server/charts/metrics-server/Chart.yaml")
  chart_app metrics-server "$OCI_URL" metrics-server "$version" kube-system >fleet/root/metrics.yaml
  mkdir -p fleet/based
  printf 'resources: [cm.yaml]\nnamePrefix: a-\n' >fleet/based/kustomization.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-base}\n' >fleet/based/cm.yaml
  fleet_app based based based >fleet/root/based.yaml
  # A Secret that Git has in part.
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: argocd-secret, namespace: argocd}\ndata: {webhook: aG9vaw==}\n' \
    >>fleet/based/cm.yaml
  printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: argocd, labels: {team: platform}}\n' >>fleet/based/cm.yaml
  sed -i 's/^namePrefix.*//' fleet/based/kustomization.yaml
  git_publish fleet fleet >/dev/null
}

make_live() { # what only the cluster has
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl create namespace vault
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl -n vault create secret generic sops --from-literal=age.agekey=AGE-SECRET-KEY-hunter2
  kubectl -n argocd create secret generic prod --from-literal=server=https://x --from-literal=config=hunter2-of-prod
  kubectl -n argocd label secret prod argocd.argoproj.io/secret-type=cluster
  kubectl -n argocd patch secret argocd-secret --type merge -p '{"data":{"server.secretkey":"aHVudGVyMg=="}}'
}

saved() {
  check 'the fleet grows from Git' boot
  make_live >/dev/null
  check 'and is saved with what only the cluster has' snap create --key job.key --use-cluster "$(root_url)"
  is "$(last 'snapshots[0].state')" good 'the snapshot is good'
  world >world.before
  at_most 200 "$(wc -l <world.before)" "a world of $(wc -l <world.before) objects"
}

all_gone() {
  stop addons
  githttp_stop
  oci_stop
  cluster_wipe
  spawn addons controlplane addonsim "$CLUSTER" --delay 2s
  mkdir -p nothing
  rm -rf cache
  # Not only stopped: what they served is gone, for whoever reads this machine's disk.
  mkdir away
  mv "$GIT_ROOT" "$FILES_ROOT" oci fleet away/
}

comes_back() {
  local max
  refuse 'helm is not there' 127 bare helm version
  refuse 'it comes back' 0 restore --yes -o json --report back.html
  timeline "$(sed -n '/^{/,$p' <<<"$OUT")"
  report_page back.html 'Restore of prod' 'Everything is back and healthy' 'Content-Security-Policy' '>cert-manager<' '>phases<' \
    'regrow bootstrap &#39;http'
  restore_out=$(restore --dry-run -o json)
  is "$(audit_rejected)" 0 'no write was rejected'
  audit_rejections | sed -n 1,5p
  max=$(audit_max "$AUDIT" 'configmaps regrow-system|migrate|startupapicheck|tenant-[0-9]+ done')
  like "${max%% *}" '^[12]$' "no object was written again and again ($max)"
  world >world.after
  check 'object by object as it was' diff world.before world.after
  is "$(jq -c '.plan | [.create, .change, .prune, .notComparable]' <<<"$restore_out")" '[0,0,0,0]' 'planned again: nothing to do'
  restore --yes -o ndjson >events.ndjson
  check 'events as documented' bash -c "'$SHAPE' events <events.ndjson"
  mkdir -p tiny
  if mount -t tmpfs -o nr_inodes=1 tmpfs tiny 2>/dev/null; then
    at_exit umount "$SCRATCH/tiny"
    refuse 'a report on a full disk' 7 restore --yes --report tiny/back.html
    like "$OUT" 'report tiny/back.html: .*No space left on device' 'is missed'
    like "$OUT" 'Only the report is missing: what was to be done is done' 'and nothing else is'
    unlike "$OUT" 'report: tiny/back.html' 'and not told of as if it was there'
  else
    skip 'a report on a full disk' 'nothing may be mounted'
  fi
  is "$(kubectl -n regrow-system get cm restored-from -o jsonpath='{.data.chain} {.data.snapshot}')" 'prod 1' 'the cluster knows what it was restored from'
  is "$(kubectl -n argocd get secret argocd-secret -o jsonpath='{.data.server\.secretkey}{.data.webhook}')" 'aHVudGVyMg==aG9vaw==' \
    'a Secret that Git has in part is whole'
  is "$(kubectl -n kube-system get secret sealed-1 -o jsonpath='{.data.tls\.key}' | base64 -d | sha256sum)" "$(sha256sum <tls.key)" \
    'the sealed-secrets key is the same'
  audit_before 'core/secrets kube-system sealed-1' 'apps/deployments kube-system sealed-secrets' &&
    ok 'keys come before what opens with them' || fail 'keys come before what opens with them'
}

# What the time went on, and that all of it is there.
timeline() { # DOCUMENT
  report_times "$1" 'verify target plan secret-zero apply healthy'
  is "$(jq -r '[.applications[].state] | unique | join(" ")' <<<"$1")" healthy 'every application is healthy'
  at_most "$(jq .rpo_seconds <<<"$1")" 600 'and the RPO'
  like "$(jq -r '.next_steps[-1].command' <<<"$1")" '^regrow bootstrap ' 'and what to do next'
}

from_git_again() {
  local writes
  # (Charts are brought back by who keeps copies of them.)
  mv away/files away/oci away/fleet .
  mv away/git/fleet.git fleet.lost
  mkdir git
  githttp_again
  spawn registry docker-registry serve "$SCRATCH/oci/config.yml"
  wait_for 10 'the registry again' port_open "${OCI_HOST##*:}"
  git init -q --bare "$GIT_ROOT/fleet.git"
  git --git-dir="$GIT_ROOT/fleet.git" config http.receivepack true
  check 'Git comes back to an empty host' restore --yes --push-git "$HTTP_URL/git/fleet.git"
  is "$(git --git-dir="$GIT_ROOT/fleet.git" for-each-ref)" "$(git --git-dir=fleet.lost for-each-ref)" 'every ref is there'
  writes=$(audit_writes)
  check 'the switch back: the controller, once' "$REGROW" reconcile --once --timeout 4m "$(root_url)"
  is "$(audit_writes)" "$writes" 'it writes nothing'
  writes=$(audit_writes)
  check 'or bootstrap' boot
  is "$(audit_writes)" "$writes" 'it writes nothing'
  audit_sequence | tail -n +"$((writes + 1))" | grep ' write$' | tail -5 || true
  world >world.git
  check 'and all is as it was' diff world.before world.git
}

killed() {
  local i at pid bad=0
  githttp_stop
  oci_stop
  RANDOM=$SEED
  stop addons
  cluster_wipe
  spawn addons controlplane addonsim "$CLUSTER" --delay 2s
  for ((i = 1; i <= KILLS; i++)); do
    at=$((RANDOM % 4000 + 200))
    # (env becomes it: the process is the one to kill.)
    env PATH="$SCRATCH/nothing" XDG_CACHE_HOME="$SCRATCH/bare-cache" "$REGROW" restore -i ann.id --yes >killed.txt 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  restore --yes -o json >after-kills.json 2>err.txt || { bad=1; cat err.txt; }
  is "$bad" 0 "$KILLS kills (seed $SEED), and the same command goes on"
  # (What a killed client had under way the server may end with an error.)
  is "$(jq .result.objects.rejected after-kills.json)" 0 'of which no write is rejected'
  audit_rejections | sed -n 1,5p
  world >world.killed
  check 'to the same state' diff world.before world.killed
  check 'documented' bash -c "'$SHAPE' restore 'snapshot.seq,plan.create,first[].rule,result.objects.written,rto.applyMs,rpoSeconds,rpo_seconds,rto_ms,phases[].from_ms,applications[].state,next_steps[].command' <after-kills.json"
}

# A Deployment is gone, and so is its image.
in_part() {
  local pod i
  cluster_control ready-delay 1h
  kubectl -n kube-system delete deployment metrics-server --wait >/dev/null
  kubectl -n kube-system wait --for=delete pod -l app.kubernetes.io/name=metrics-server --timeout 30s >/dev/null
  for ((i = 0; i < 100; i++)); do
    pod=$(kubectl -n kube-system get pods -l app.kubernetes.io/name=metrics-server -o name)
    [[ $pod ]] && kubectl -n kube-system patch "$pod" --subresource=status --type=merge -p '{"status": {"phase": "Pending",
      "containerStatuses": [{"name": "metrics-server", "image": "registry.example.com/gone:1", "imageID": "", "ready": false,
      "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}' >/dev/null && break
    sleep 0.3
  done &
  refuse 'not all of it within the time' 8 restore --yes --timeout 20s --report part.html
  wait $!
  like "$OUT" 'metrics-server +waits for Deployment kube-system/metrics-server' 'it says what waits'
  like "$OUT" 'the image of Deployment kube-system/metrics-server cannot be pulled: registry.example.com/gone:1' 'and why'
  like "$OUT" 'not all of it is back after' 'and that there is no RTO yet'
  report_page part.html 'Part of it is not as it was' 'registry.example.com/gone:1: ImagePullBackOff' 'bring the images back'
  refuse 'a second one tells programs' 8 restore --yes --timeout 15s -o json --report part.json
  check 'documented' bash -c "'$SHAPE' restore 'missing[].object,applications[].waits_for,commit_age_seconds' <part.json"
  is "$(jq -r '[.applications[] | select(.state != "healthy") | .name] | join(" ")' part.json)" metrics-server 'the one that waits'
  cluster_control ready-delay 500ms
}

writes_nothing() { # NAME CODE COMMAND...
  local before after
  before=$(audit_writes)
  refuse "$@"
  after=$(audit_writes)
  is "$after" "$before" "$1: nothing was written"
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

refused() {
  local pack
  cluster_wipe
  writes_nothing 'nobody to confirm' 2 restore
  like "$OUT" '--yes' 'the hint'
  writes_nothing 'another name typed' 2 bare /usr/bin/python3 "$LIB/ptyrun.py" nonsense -- "$REGROW" restore -i ann.id
  like "$OUT" 'Nothing was written' 'told'
  like "$OUT" 'First of all: .*sealed-secrets keys' 'the plan was shown'
  unlike "$OUT" 'hunter2' 'and no value of a Secret'
  writes_nothing 'another cluster expected' 6 restore --yes --expect-cluster 00000000-0000-0000-0000-000000000000
  writes_nothing 'no such snapshot' 4 restore 99
  writes_nothing 'none so old' 4 restore --at 2001-01-01
  writes_nothing 'two ways to say which' 2 restore 1 --at 2026-01-01
  writes_nothing 'no such revision' 4 restore --revision 0123456789
  writes_nothing 'a revision' 0 restore --dry-run --revision "$(git --git-dir="$GIT_ROOT/fleet.git" rev-parse --short=9 main)"
  writes_nothing 'a time' 0 restore --dry-run --at "$(date -u +%FT%TZ)"
  writes_nothing 'a key that opens nothing' 5 bare "$REGROW" restore -i eve.id --yes
  writes_nothing 'another pin' 9 restore --yes --trust "$(printf '%064d' 7)"
  cp -r repo harmed
  pack=$(find harmed/chains/prod/packs -type f | sort | head -1)
  flip "$pack"
  writes_nothing 'a flipped bit' 9 restore --yes --repo harmed --report broken.html
  report_page broken.html 'The restore broke off' 'is damaged'
  writes_nothing 'a report of no kind we know' 2 restore --yes --report report.txt
  rm "$pack"
  writes_nothing 'a missing pack' 9 restore --yes --repo harmed
  flip "$(find harmed/chains/prod/log -type f | head -1)"
  writes_nothing 'a forged entry' 9 restore --yes --repo harmed
  snap key add --key repo.admin -i ann.id --role judge --out judge.key >/dev/null
  snap judge 1 bad 'for the test' --key judge.key >/dev/null
  writes_nothing 'judged bad: latest' 4 restore --yes
  writes_nothing 'judged bad: by number' 5 restore 1 --yes
  writes_nothing 'judged bad, and wanted all the same' 0 restore 1 --dry-run --allow-suspect
  like "$OUT" 'BAD' 'said loudly'
  snap judge 1 good --key judge.key >/dev/null
  kubectl create namespace of-others >/dev/null
  writes_nothing 'a cluster of others' 6 restore --yes
  like "$OUT" 'of-others' 'and why'
  writes_nothing 'wanted all the same' 0 restore --adopt --dry-run
  kubectl delete namespace of-others --wait >/dev/null
  mkdir -p small
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n' >small/x.yaml
  "$REGROW" bootstrap small >/dev/null
  writes_nothing 'a cluster grown from another root' 6 restore --yes
  like "$OUT" 'grown from' 'and why'
  kubectl create serviceaccount weak -n default >/dev/null
  kubectl create clusterrolebinding weak --clusterrole=view --serviceaccount=default:weak >/dev/null
  kubectl config set-credentials weak --token="$(kubectl -n default create token weak)" >/dev/null
  kubectl config set-context weak --cluster="$(kubectl config view --minify -o jsonpath='{.clusters[0].name}')" --user=weak >/dev/null
  writes_nothing 'not permitted' 5 restore --yes --adopt --context weak
  kubectl config delete-context weak >/dev/null
}

githttp_start
oci_start
cluster_up main
spawn addons controlplane addonsim "$CLUSTER" --delay 2s
make_repo
make_fleet
run_case saved saved
all_gone
run_case 'all gone' comes_back
run_case 'from Git again' from_git_again
run_case killed killed
run_case 'in part' in_part
run_case refused refused
