# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A controller in the background, and what it says. After env.sh, cluster.sh and githttp.sh.
#
#   reconcile_start [OPTIONS] ROOT   regrow reconcile; its events go to $EVENTS. Not in a case: it
#                                    would end with it
#   reconcile_stop                   by SIGTERM; its exit code is in RECONCILE_CODE. Nor this
#   reconcile_saw SECONDS JQ         until an event since the last reconcile_mark makes the filter true
#   reconcile_mark                   events from here on count
#   reconcile_count JQ               how many do, since then
#   reconcile_settled SECONDS COMMIT until that commit was read and nothing has been done for a second

EVENTS=$SCRATCH/events
RECONCILE_FROM=0
: >"$EVENTS"

reconcile_start() {
  "$REGROW" reconcile -o ndjson "$@" >>"$EVENTS" 2>"$SCRATCH/reconcile.err" &
  RECONCILE_PID=$!
  at_exit reconcile_end
}

reconcile_end() { kill "$RECONCILE_PID" 2>/dev/null || true; }

reconcile_stop() {
  RECONCILE_CODE=0
  kill -TERM "$RECONCILE_PID" 2>/dev/null || true
  wait "$RECONCILE_PID" || RECONCILE_CODE=$?
}

reconcile_mark() { RECONCILE_FROM=$(wc -l <"$EVENTS"); }

# The last line may be half written.
reconcile_events() { tail -n "+$((RECONCILE_FROM + 1))" "$EVENTS" | jq -c -R 'fromjson? // empty'; }

reconcile_count() { reconcile_events | jq -s "[.[] | select($1)] | length"; }

reconcile_has() { (($(reconcile_count "$1") > 0)); }

reconcile_saw() { wait_for "$1" "an event with $2" reconcile_has "$2"; }

# The commit was read, all turns that began have ended, and none began for a second.
reconcile_is_settled() {
  jq -c -R 'fromjson? // empty' "$EVENTS" | jq -e -s --arg commit "$1" --argjson now "$(date +%s)" '
    ([.[] | select(.type == "source.changed") | .commit] | last) == $commit
    and ([.[] | select(.type == "turn.started")] | length) == ([.[] | select(.type == "turn.finished")] | length)
    and (([.[] | select(.type | startswith("turn.")) | .at] | last) | .[:19] + "Z" | fromdate) < $now - 1' >/dev/null
}

reconcile_settled() { wait_for "$1" "commit $2 to be applied" reconcile_is_settled "$2"; }
