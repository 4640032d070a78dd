# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What snapshots cost for each object: the table of docs/scale.md. Loaded by scripts/bench after
# snapshot.sh, whose repositories it makes; the content is that of its plan of 1,000 applications.
#
#   scale_rows     measures, 1,500 and 15,000 objects, in a folder and in S3
#   scale_page     docs/scale.md with the table between its marks anew

SCALE_URL=https://git.example.com/platform.git

scale_stored() { bytes_of "$SCALE_AT" 2>/dev/null || echo 0; }

# scale_step WHAT COMMAND...: a row of the table
scale_step() {
  local what=$1 asked before
  shift
  asked=$(wc -l <"$SCRATCH/s3.log")
  before=$(scale_stored)
  clocked scale "$@"
  jq -r --arg objects "$SCALE_OBJECTS" --arg store "$SCALE_STORE" --arg what "$what" \
    --argjson requests "$(($(wc -l <"$SCRATCH/s3.log") - asked))" \
    --argjson added "$(($(scale_stored) - before))" --slurpfile out "$SNAP/scale.out" '
      def s: . / 10 | round / 100 | tostring + " s";
      [$objects, $store, $what, (.cpu_ms | s), "\(.cpu_ms * 1000 / ($objects | tonumber) | round) µs",
       "\(.peak_kb / 1024 | round) MB", (if $store == "S3" then $requests else "" end),
       (if $out[0].bytes.added then $added else "" end)] | "| " + (map(tostring) | join(" | ")) + " |"
    ' "$SNAP/scale.json" >>"$SNAP/scale"
}

scale_create() { # WHAT APPS
  scale_step "$1" "$REGROW" snapshot create --key "$SNAP/$SCALE_REPO.key" -o json \
    --mirror "$SCALE_URL=file://$SNAP/platform-$2.git" "$SCALE_URL//root?ref=main"
}

scale_store() { # STORE APPS
  SCALE_STORE=$1 SCALE_REPO=scale-$2-${1,,}
  SCALE_OBJECTS=$(jq .objects "$SNAP/platform-$2.json")
  if [[ $1 == S3 ]]; then
    s3_bucket "b$2"
    SCALE_AT=$SCRATCH/s3/data/b$2
    repo_make "$SCALE_REPO" "s3://b$2/repo"
  else
    SCALE_AT=$SNAP/$SCALE_REPO
    repo_make "$SCALE_REPO"
  fi
  scale_create 'create, the first' "$2"
  scale_create 'create, nothing changed' "$2"
  git -C "$SNAP/platform-$2.git" update-ref refs/heads/main later
  scale_create 'create, one object changed' "$2"
  git -C "$SNAP/platform-$2.git" update-ref refs/heads/main first
  scale_step verify "$REGROW" snapshot verify -i "$SNAP/id" -o json
  scale_step list "$REGROW" snapshot list -o json
}

scale_content() { # APPS
  local d=$SNAP/platform-$1 commit=(git -c user.name=bench -c user.email=bench@example.com commit -qam later)
  PLAN_APPS=$1
  plan_make "$d"
  "$REGROW" render -o json "$d/root" >"$SNAP/render.json"
  jq '{objects: (.items | length)}' "$SNAP/render.json" >"$SNAP/platform-$1.json"
  git -C "$d" tag first
  sed -i 's/level=info/level=debug/' "$d/tenants/tenant-7/all.yaml"
  (cd "$d" && "${commit[@]}" && git tag later && git update-ref refs/heads/main first)
  git clone -q --bare --no-local "$d" "$d.git"
}

scale_rows() {
  local apps
  mkdir -p "$SNAP"
  export XDG_CACHE_HOME=$SNAP/cache
  s3_start
  : >"$SNAP/scale"
  for apps in 100 1000; do
    scale_content "$apps"
    scale_store folder "$apps"
    scale_store S3 "$apps"
  done
}

scale_page() {
  sed '/^<!-- measured/,$d' docs/scale.md
  cat <<T
<!-- measured by BENCH_ONLY=scale make bench -->

On $(date -u +%F). Times are of the processor: they do not depend on what else a machine does. Requests are those that
the S3 server saw.

| objects | store | what | CPU | of that an object | memory | requests | bytes added |
|---|---|---|---|---|---|---|---|
T
  cat "$SNAP/scale"
  sed '1,/^<!-- measured/d' docs/scale.md | sed '1,/^<!-- end/{/^<!-- end/!d}'
}
