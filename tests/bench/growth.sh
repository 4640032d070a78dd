# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What an object costs when there are ten times as many: plan, bootstrap, the same again, status,
# snapshot and restore of 100 applications (1,500 objects) and of 1,000 (15,000). Loaded by
# scripts/bench, after the plan's and the restore's.
#
#   growth_rows     measures
#   growth_page     the section of docs/performance.md
#
# Requests are counted in the API server's audit log, which writes reads down for these rows.

GROW=$SCRATCH/grow
GROW_URL=https://git.example.com/platform.git
# Nobody here keeps them.
GROW_READY=(--ready Ingress.networking.k8s.io=applied --ready HorizontalPodAutoscaler.autoscaling=applied)

growth_requests() {
  jq -r 'select(.userAgent | startswith("regrow/")) | .auditID' "$AUDIT" | sort -u | wc -l
}

# growth_step NAME COMMAND...: one row of one size
growth_step() {
  local name=$1
  shift
  : >"$AUDIT"
  "$BIN/timed" "$SCRATCH/timed.json" "$@" >"$GROW/$name.out" || die "$name failed: $(head -c 500 "$GROW/$name.out")"
  sleep 1 # the log is written with a delay
  jq -c --arg name "$name" --argjson apps "$PLAN_APPS" --argjson requests "$(growth_requests)" \
    '. + {name: $name, apps: $apps, requests: $requests}' "$SCRATCH/timed.json" | tee -a "$GROW/rows"
}

growth_of() { # APPS
  local at=(--mirror "$GROW_URL=file://$GROW/platform-$1.git" "$GROW_URL//root?ref=main")
  PLAN_APPS=$1
  plan_make "$GROW/platform-$1"
  git clone -q --bare "$GROW/platform-$1" "$GROW/platform-$1.git"
  cluster_wipe >/dev/null
  growth_step plan "$REGROW" plan -o json "${at[@]}"
  growth_step bootstrap "$REGROW" bootstrap --timeout 15m -o json "${GROW_READY[@]}" "${at[@]}"
  growth_step again "$REGROW" bootstrap --timeout 5m -o json "${GROW_READY[@]}" "${at[@]}"
  [[ $(jq .objects.written "$GROW/again.out") == 0 ]] || die 'the converged cluster was written to'
  growth_step status "$REGROW" status -o json "${GROW_READY[@]}" "${at[@]}"
  repo_make "grow-$1"
  growth_step snapshot "$REGROW" snapshot create --key "$SNAP/grow-$1.key" --use-cluster -o json "${at[@]}"
  growth_step unchanged "$REGROW" snapshot create --key "$SNAP/grow-$1.key" --use-cluster -o json "${at[@]}"
  cluster_wipe >/dev/null
  growth_step restore "$REGROW" restore -i "$SNAP/id" --yes --timeout 15m -o json "${GROW_READY[@]}"
  jq '.result.objects | .written + .unchanged' "$GROW/restore.out" >"$GROW/objects-$1"
  unset REGROW_REPO REGROW_TRUST
}

growth_rows() {
  local apps
  mkdir -p "$GROW" "$SNAP" "$RESTORE_NOTHING"
  export XDG_CACHE_HOME=$GROW/cache
  GROW_LOAD=$(cut -d' ' -f1 /proc/loadavg)
  : >"$GROW/rows"
  cluster_up main
  audit_policy '/verbs: .get, list, watch./,+1d' # see audit-policy.yaml
  for apps in 100 1000; do growth_of "$apps"; done
  cluster_down main
}

growth_table() {
  jq -r -s --argjson few "$(<"$GROW/objects-100")" --argjson many "$(<"$GROW/objects-1000")" '
    def s: if . < 9950 then . / 10 | round / 100 | "\(.) s" else . / 100 | round / 10 | "\(.) s" end;
    def each($n): . * 1000 / $n | round;
    {plan: "plan, the cluster empty", bootstrap: "bootstrap", again: "the same again: 0 writes", status: "status",
     snapshot: "snapshot, the first, the cluster read", unchanged: "snapshot, nothing changed, the cluster read",
     restore: "restore, to an empty cluster"} as $title
    | group_by(.name) | map({(.[0].name): {few: (map(select(.apps == 100))[0]), many: (map(select(.apps == 1000))[0])}}) | add as $of
    | ($title | keys_unsorted)[] | . as $name | $of[$name]
    | "| \($title[$name]) | \(.few.ms | s) (\(.few.cpu_ms | s)) | \(.many.ms | s) (\(.many.cpu_ms | s)) | "
      + "\(.few.cpu_ms | each($few)) µs | \(.many.cpu_ms | each($many)) µs | \((.many.ms / $many) / (.few.ms / $few) * 100 | round / 100) | "
      + "\(.few.peak_kb / 1024 | round) MB, \(.many.peak_kb / 1024 | round) MB | \(.few.requests), \(.many.requests) |"' "$GROW/rows"
}

growth_page() {
  cat <<T
## From 1,500 to 15,000 objects

\`BENCH_ONLY=growth make bench\` on $(date -u +%F), load $GROW_LOAD when it began: 100 applications ($(<"$GROW/objects-100") objects)
and 1,000 ($(<"$GROW/objects-1000")), each a folder of a local Git repository, on the control plane of the tests, once. In brackets the
processor's time of regrow, without that of the API server, which has the same two cores.

| what | 100 applications | 1,000 | processor, an object | of 1,000 | time an object, 1,000 to 100 | memory at its peak | requests |
|---|---|---|---|---|---|---|---|
$(growth_table)

Requests are all that the API server was asked, reads and watches too. A ratio near 1 says that an object costs the same however
many there are; below 1, that what a run costs at all is shared by more.
T
}
