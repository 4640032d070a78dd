#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every row of the case table broken once, and every part of its condition: the unit tests notice it.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/env.sh

all_pass() { # MUTANT
  local t
  for t in test_plan test_part; do
    MUTANT=$1 timeout 60 "$BUILD/mutants/$t" >/dev/null 2>&1 || return 1
  done
}

none() {
  if all_pass 0; then ok 'without a mistake all is well'; else fail 'without a mistake all is well'; fi
  tests/reconcile/mutants.py reconcile/plan.c --list >"$SCRATCH/mutants"
  is "$(sed -n '/^| row/,/^$/s/^| \([A-Z][0-9]*\) .*/\1/p' docs/plan-cases.md | sort |
    comm -23 - <(cut -f3 "$SCRATCH/mutants" | tr / '\n' | sort -u))" '' 'every row of docs/plan-cases.md is among them'
}

each() {
  local n line row what
  while IFS=$'\t' read -r n line row what; do
    if all_pass "$n"; then
      fail "$row, line $line: $what"
    else
      ok "$row, line $line: $what"
    fi
  done <"$SCRATCH/mutants"
}

run_case none none
run_case each each
