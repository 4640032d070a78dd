# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The rows of make bench about restores. Loaded by scripts/bench, after the fleet's and the plan's.
#
#   restore_save URL      a snapshot of the fleet, which must be there; then nothing but that is needed
#   restore_once          one restore of it to an empty cluster, timed
#   restore_big           one of 1,000 applications, for its memory
#   restore_rows          their rows of the table
#   restore_phases        a sentence: where the time goes

RESTORE_NOTHING=$SCRATCH/nothing # a PATH without helm, kustomize and git

restore_cmd() { # TIMED-FILE ARGUMENTS...
  local file=$1
  shift
  env PATH="$RESTORE_NOTHING" XDG_CACHE_HOME="$SCRATCH/restore-cache" \
    "$BIN/timed" "$file" "$REGROW" restore -i "$SNAP/id" --yes -o json "$@"
}

restore_save() {
  mkdir -p "$SNAP" "$RESTORE_NOTHING"
  repo_make fleet
  "$REGROW" snapshot create --key "$SNAP/fleet.key" -o json "$1" >/dev/null
  RESTORE_REPO=$REGROW_REPO RESTORE_TRUST=$REGROW_TRUST
  unset REGROW_REPO REGROW_TRUST
}

restore_once() {
  local out=$SCRATCH/restored.out
  fresh
  rm -rf "$SCRATCH/restore-cache"
  REGROW_REPO=$RESTORE_REPO REGROW_TRUST=$RESTORE_TRUST restore_cmd "$SCRATCH/timed.json" --timeout 5m >"$out" ||
    die "the restore failed: $(head -c 500 "$out")"
  jq -e "(.result.objects | .written + .unchanged == $OBJECTS and .unchanged <= 1) and .result.applications.healthy == $APPS" \
    "$out" >/dev/null || die "not all of it came back: $(jq -c '.result | [.objects, .applications]' "$out")"
  note restored "$(jq .ms "$SCRATCH/timed.json")"
  note rejected "$(audit_rejected)"
  echo "# restored: $(jq -c . "$SCRATCH/timed.json")"
}

restore_big() {
  cluster_wipe >/dev/null
  repo_make big
  "$REGROW" snapshot create --key "$SNAP/big.key" -o json --mirror "https://git.example.com/platform.git=file://$SCRATCH/big.git" \
    "https://git.example.com/platform.git//root?ref=main" >/dev/null
  restore_cmd "$SCRATCH/timed.json" --timeout 10m --ready Ingress.networking.k8s.io=applied \
    --ready HorizontalPodAutoscaler.autoscaling=applied >"$SCRATCH/big.out" || die "the large restore failed: $(head -c 500 "$SCRATCH/big.out")"
  unset REGROW_REPO REGROW_TRUST
  BIG_MS=$(jq .ms "$SCRATCH/timed.json")
  BIG_KB=$(jq .peak_kb "$SCRATCH/timed.json")
  ((BIG_KB < 150 * 1024)) || die "the large restore took $BIG_KB kB of memory at its peak, and 150 MB are its bound"
  BIG_WRITTEN=$(jq .result.objects.written "$SCRATCH/big.out")
  note rejected "$(audit_rejected)"
}

restore_rows() {
  local ordered restored
  ordered=$(median ordered) restored=$(median restored)
  cat <<T
| a restore of $APPS applications, $OBJECTS objects, from a folder of snapshots, verified first; helm, kustomize, Git and charts gone | $(ms "$restored") ($(spread restored)) | the bare writer that is told the order: $(ms "$ordered") | $(ratio "$restored" "$ordered") | ≤ 1.1, as from rendered YAML |
| the same, for scale | $(ms "$restored") | \`kubectl apply --server-side\` by hand-sorted kinds, accepted at try $TRIES: $(ms "$HAND_MS") | $(ratio "$restored" "$HAND_MS") | |
| a restore of $PLAN_APPS applications, $BIG_WRITTEN objects | $(ms "$BIG_MS"), $(mb "$BIG_KB") at its peak | | | < 150 MB |
T
}

restore_phases() {
  jq -r '[(.phases // [])[] | "\(.name) \(.ms / 1000 * 100 | round / 100) s"]
    | if length > 0 then "**A restore by phase**, the last of these runs: " + join(", ") + "." else empty end' "$SCRATCH/restored.out"
}
