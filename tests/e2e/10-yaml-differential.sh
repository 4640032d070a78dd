#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# YAML means what kubectl means: every file of the test data, the table of traps and thousands of
# changed copies of real files are read by our reader and by kubectl's own, number by number.
#
# YAML_MUTANTS (default 10000) and YAML_SEED (default 1) choose the changed copies.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

CASES=$ROOT/tests/gitops/cases/yaml
DUMP=$BUILD/tests/gitops/tool_yaml_dump
INPUTS=$ROOT/tests/gitops/yaml-inputs
DIFFERENTIAL=$ROOT/tests/gitops/yaml-differential

# agree NAME OURS THEIRS [EXCEPTIONS [ROOT]]: one check for every file compared.
agree() {
  local name=$1 out
  shift
  if out=$("$DIFFERENTIAL" "$@"); then
    ok "$name: $(tail -n 2 <<<"$out" | tr -d '#\n')"
  else
    fail "$name" "$out"
  fi
}

traps() {
  mkdir -p "$SCRATCH/traps"
  "$INPUTS" traps "$CASES/traps.txt" "$SCRATCH/traps" >"$SCRATCH/traps.list"
  "$INPUTS" wanted "$CASES/traps.txt" "$SCRATCH/traps" >"$SCRATCH/traps.table"
  controlplane yamloracle <"$SCRATCH/traps.list" >"$SCRATCH/traps.theirs"
  agree 'the table of traps says what kubectl reads' "$SCRATCH/traps.table" "$SCRATCH/traps.theirs"
}

aliases() {
  mkdir -p "$SCRATCH/aliases"
  "$INPUTS" aliases "$SCRATCH/aliases" >"$SCRATCH/aliases.list"
  "$DUMP" <"$SCRATCH/aliases.list" >"$SCRATCH/aliases.ours"
  controlplane yamloracle <"$SCRATCH/aliases.list" >"$SCRATCH/aliases.theirs"
  agree 'both sides of the limit for aliases' "$SCRATCH/aliases.ours" "$SCRATCH/aliases.theirs"
}

files() {
  find "$REGROW_SHARED" -type f | LC_ALL=C sort >"$SCRATCH/files.list"
  "$DUMP" <"$SCRATCH/files.list" >"$SCRATCH/files.ours"
  controlplane yamloracle <"$SCRATCH/files.list" >"$SCRATCH/files.theirs"
  agree 'every file of the test data' "$SCRATCH/files.ours" "$SCRATCH/files.theirs" \
    "$CASES/exceptions.txt" "$REGROW_SHARED"
}

mutants() {
  mkdir -p "$SCRATCH/mutants"
  grep -E '\.(ya?ml|json)$' "$SCRATCH/files.list" |
    "$INPUTS" mutants "${YAML_SEED:-1}" "${YAML_MUTANTS:-10000}" "$SCRATCH/mutants" >"$SCRATCH/mutants.list"
  "$DUMP" <"$SCRATCH/mutants.list" >"$SCRATCH/mutants.ours"
  controlplane yamloracle <"$SCRATCH/mutants.list" >"$SCRATCH/mutants.theirs"
  agree 'changed copies of real files' "$SCRATCH/mutants.ours" "$SCRATCH/mutants.theirs" \
    "$CASES/classes.txt" "$SCRATCH"
}

# A comparison that cannot fail proves nothing.
sees_differences() {
  printf '{"file":"x","docs":[{"a":1}]}\n' >"$SCRATCH/a"
  printf '{"file":"x","docs":[{"a":1.0}]}\n' >"$SCRATCH/b"
  printf '{"file":"x","docs":[],"error":"no"}\n' >"$SCRATCH/c"
  refuse 'a number written differently is seen' 1 "$DIFFERENTIAL" "$SCRATCH/a" "$SCRATCH/b"
  refuse 'a refusal of one side is seen' 1 "$DIFFERENTIAL" "$SCRATCH/a" "$SCRATCH/c"
  check 'equal is equal' "$DIFFERENTIAL" "$SCRATCH/a" "$SCRATCH/a"
}

[[ -x $DUMP ]] || make -s -C "$ROOT" BUILD="$BUILD" "$DUMP"
run_case 'comparison' sees_differences
run_case 'traps' traps
run_case 'aliases' aliases
need_shared
run_case 'files' files
run_case 'mutants' mutants
