#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# The bench of snapshots beside restic and borg, as small as it goes: it runs to its end, and every
# row has its figures. How long anything takes is nobody's concern here.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared repos
need_shared upstream
command -v restic >/dev/null && command -v borg >/dev/null ||
  skip_all 'no restic and borg: scripts/setup bench'

row() { sed -n "s/^| $1 |//p" "$SCRATCH/part" | head -1 | tr -d ' '; }

bench() { # WORDS: scripts/bench, of its page nothing is kept
  env BENCH_DRAFT=1 "$@" "$ROOT/scripts/bench" inside >"$SCRATCH/page" 2>"$SCRATCH/said" ||
    { tail -n 5 "$SCRATCH/page" "$SCRATCH/said"; return 1; }
}

snapshots() {
  local name before figure='[0-9.]*[1-9][0-9.]*(B|kB|MB|s)[^|]*'
  before=$(sha256sum <"$ROOT/docs/performance.md")
  check 'the bench runs' bench BENCH_ONLY=snapshot BENCH_ROUNDS=1 BENCH_HISTORY=8 BENCH_COMMITS=2
  is "$(sha256sum <"$ROOT/docs/performance.md")" "$before" 'and leaves the page as it is'
  is "$(grep '^## ' "$SCRATCH/page")" "$(grep '^## ' "$ROOT/docs/performance.md")" 'which has all its parts'
  sed -n '/^## Snapshots/,/^## Reconcile/p' "$SCRATCH/page" >"$SCRATCH/part"
  for name in 'objects, stored' 'Git, stored; given as one pack' 'both, stored' 'create, the first' \
    'create, nothing changed' 'bytes that this adds' 'verify, every byte' 'all of it out again' 'time a snapshot'; do
    like "$(row "$name")" "^$figure\|$figure\|$figure\|[0-9]+\.[0-9]+\|" "$name: of all three, and a ratio"
  done
  like "$(row 'verify, all of them')" '[1-9][0-9]*packs,[1-9][0-9]*Gitobjects' 'all snapshots are verified'
  name=$(row 'bytes that this adds')
  at_most "${name%%B*}" 2000 'a snapshot of what has not changed adds 2 kB at most'
}

run_case snapshots snapshots
