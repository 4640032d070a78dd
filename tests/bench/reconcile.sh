# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The rows of make bench about a controller that is idle, and what it costs to react. Loaded by
# scripts/bench.
#
#   reconcile_rows        measures, with 1,500 and with 15,000 objects; BENCH_IDLE seconds (240) of rest
#   reconcile_page        the section of docs/performance.md
#
# Processor time is that of all threads of the process, as the scheduler counts it.

IDLE_S=${BENCH_IDLE:-240}
REACTIONS=${BENCH_REACTIONS:-15}
KEEPER=$SCRATCH/keeper

keeper_cpu_us() { awk '{ n += $1 } END { printf "%d", n / 1000 }' /proc/"$RECONCILE_PID"/task/*/schedstat; }
keeper_kb() { awk -v k="$1:" '$1 == k { print $2 }' "/proc/$RECONCILE_PID/status"; }
# Notes 100 when one core was busy all the time, so 0.5 is half a percent.
keeper_note() { echo "$2" >>"$KEEPER/$1-$KEEPER_APPS"; }

keeper_metric() { curl -sf "http://$LISTEN/metrics" | awk -v k="$1" '$1 == k { printf "%d\n", $2 }'; }
keeper_is_done() {
  [[ $(keeper_metric 'regrow_app_sync_total{phase="Succeeded"}') -gt $KEEPER_APPS && $(keeper_metric regrow_queue_depth) == 0 ]]
}

keeper_push() {
  local body
  body=$(printf '{"repository": "%s", "ref": "refs/heads/main"}' "$KEEPER_URL")
  curl -sf -o /dev/null -H 'Content-Type: application/json' --data-binary "$body" \
    -H "X-Hub-Signature-256: sha256=$(printf %s "$body" | openssl dgst -sha256 -hmac "$(<"$KEEPER/hook")" -r | cut -d' ' -f1)" \
    "http://$LISTEN/api/webhook" || die 'a push was refused'
}

keeper_publish() { git_publish "$KEEPER/repo" keeper >/dev/null; }

keeper_up() { # APPS
  KEEPER_APPS=$1 KEEPER_URL=$HTTP_URL/git/keeper.git PLAN_APPS=$1 PLAN_URL=$KEEPER_URL
  rm -rf "$KEEPER/repo" "$GIT_ROOT/keeper.git"
  plan_make "$KEEPER/repo"
  rm -rf "$KEEPER/repo/.git"
  sed -i 's/automated: {prune: true}/automated: {prune: true, selfHeal: true}/' "$KEEPER"/repo/root/*.yaml
  keeper_publish
  cluster_wipe >/dev/null
  kubectl apply --server-side -f deploy/reconcile/application-crd.yaml >/dev/null
  kubectl create namespace argocd >/dev/null # of the Application objects; it went with the wipe
  LISTEN=127.0.0.1:$(free_port)
  : >"$EVENTS"
  reconcile_start --listen "$LISTEN" --webhook-secret "$KEEPER/hook" "$KEEPER_URL//root?ref=main"
  wait_for 900 "$1 applications" keeper_is_done || die "$1 applications did not come up: $(tail -c 600 "$EVENTS")"
}

keeper_idle() {
  local before
  sleep 20 # until others have become quiet, too
  before=$(keeper_cpu_us)
  sleep "$IDLE_S"
  keeper_note idle "$(($(keeper_cpu_us) - before))"
  keeper_note kb "$(keeper_kb VmRSS)"
  keeper_note peak "$(keeper_kb VmHWM)"
}

# A value of one application's ConfigMap, through Git; and how long until the cluster has it.
keeper_commits() {
  local i n before wait_in wait_out seen asked
  coproc SEEN { exec python3 tests/lib/chaos.py until "$KUBECONFIG"; }
  for ((i = 0; i <= REACTIONS; i++)); do
    n=$((i % KEEPER_APPS + 1))
    sed -i "s/tenant: .*}/tenant: \"turn-$i\"}/" "$KEEPER/repo/tenants/tenant-$n/all.yaml"
    keeper_publish
    before=$(keeper_cpu_us)
    asked=${EPOCHREALTIME/./}
    keeper_push
    echo "/api/v1/namespaces/tenant-$n/configmaps/settings turn-$i" >&"${SEEN[1]}"
    read -r seen <&"${SEEN[0]}"
    sleep 1 # what follows a turn is of it, too
    ((i > 0)) || continue # the first warms up
    keeper_note commit-ms "$(((seen - asked) / 1000))"
    keeper_note commit-us "$(($(keeper_cpu_us) - before))"
  done
  exec {SEEN[1]}>&-
  wait "$SEEN_PID" || true
}

keeper_drifts() {
  local before
  before=$(keeper_cpu_us)
  python3 tests/lib/chaos.py drift "$KUBECONFIG" 7 "$REACTIONS" >"$KEEPER/drifts"
  sleep 1
  keeper_note drift-us "$((($(keeper_cpu_us) - before) / REACTIONS))"
  jq -s 'map(.ms) | sort | .[length / 2 | floor]' "$KEEPER/drifts" >"$KEEPER/drift-ms-$KEEPER_APPS"
}

reconcile_rows() {
  local apps
  KEEPER_LOAD=$(cut -d' ' -f1 /proc/loadavg)
  mkdir -p "$KEEPER"
  export XDG_CACHE_HOME=$KEEPER/cache
  openssl rand -hex 20 >"$KEEPER/hook"
  [[ -n ${HTTP_URL:-} ]] || githttp_start
  cluster_up main
  for apps in 100 1000; do
    keeper_up "$apps"
    keeper_idle
    keeper_commits
    keeper_drifts
    reconcile_stop
    [[ $RECONCILE_CODE == 0 ]] || die "the controller ended with $RECONCILE_CODE"
  done
  cluster_down main
}

keeper_of() { sort -n "$KEEPER/$1-$2" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
keeper_idle_text() { # APPS
  awk -v us="$(keeper_of idle "$1")" -v s="$IDLE_S" -v kb="$(keeper_of kb "$1")" \
    'BEGIN { printf "%.0f MB resident, %.2f %% of a core", kb / 1024, us / 1e4 / s }'
}
keeper_ms_text() { awk -v ms="$(keeper_of "$1-ms" "$2")" -v us="$(keeper_of "$1-us" "$2")" 'BEGIN { printf "%d ms, of the processor %.1f ms", ms, us / 1000 }'; }
keeper_ratio() { ratio "$(keeper_of "$1-us" 1000)" "$(keeper_of "$1-us" 100)"; }

reconcile_page() {
  cat <<T
## Reconcile

\`BENCH_ONLY=reconcile make bench\` on $(date -u +%F), load $KEEPER_LOAD when it began. One controller after the other over 100 applications
(1,500 objects) and 1,000 (15,000), Git over HTTP, with Application objects and their status; $REACTIONS commits and drifts each, medians.

| what | 1,000 applications | 100 | ratio | target |
|---|---|---|---|---|
| at rest, $IDLE_S s | $(keeper_idle_text 1000) | $(keeper_idle_text 100) | | < 100 MB, < 1 % |
| a commit that changes one object, from its push until the cluster has it | $(keeper_ms_text commit 1000) | $(keeper_ms_text commit 100) | $(keeper_ratio commit) of the processor | goes with the change, not with the fleet |
| a change by others, until it is put back | $(keeper_ms_text drift 1000) | $(keeper_ms_text drift 100) | $(keeper_ratio drift) of the processor | < 1 s |
T
  sed -n '/^## Reconcile/,$p' docs/performance.md | sed -n '/^\*\*What moves\*\*/,$p' | sed '1s/^/\n/'
}
