# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A controller in the background, and what it says; and a repository of tenants for it to follow.
# After env.sh, cluster.sh and githttp.sh; for tenants fleet.sh too.
#
#   reconcile_start [OPTIONS] ROOT   regrow reconcile; its events go to $EVENTS. Not in a case: it
#                                    would end with it
#   reconcile_stop                   by SIGTERM; its exit code is in RECONCILE_CODE. Nor this
#   reconcile_saw SECONDS JQ         until an event since the last reconcile_mark makes the filter true
#   reconcile_mark                   events from here on count
#   reconcile_count JQ               how many do, since then
#   reconcile_settled SECONDS COMMIT until that commit was read and nothing has been done for a second
#
#   tenants_make N [URL]   so many tenants, anew, in $REPO; not published yet. Their repository is said
#                          to be at URL
#   tenants_heal           their applications have selfHeal, from the next commit on
#   tenants_publish        what is in $REPO, as the next commit; tenants_commit prints its id
#   tenants_root           prints what to give to regrow
#   tenants_change N TEXT  a value of a tenant's, published; tenants_value N prints the cluster's

EVENTS=$SCRATCH/events
RECONCILE_FROM=0
RECONCILE_BEGAN=0 # where the events of the one that runs begin
: >"$EVENTS"

reconcile_start() {
  RECONCILE_BEGAN=$(wc -l <"$EVENTS")
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

# events_after LINES: the last line may be half written.
events_after() { tail -n "+$(($1 + 1))" "$EVENTS" | jq -c -R 'fromjson? // empty'; }
reconcile_events() { events_after "$RECONCILE_FROM"; }

reconcile_count() { reconcile_events | jq -s "[.[] | select($1)] | length"; }

reconcile_has() { (($(reconcile_count "$1") > 0)); }

# What came instead is shown.
reconcile_saw() {
  wait_for "$1" "an event with $2" reconcile_has "$2" && return
  reconcile_events | tail -n 20 | cut -c 1-400 | sed 's/^/# /'
  return 1
}

# The one that runs has read the commit, all its turns that began have ended, and none began for a
# second.
reconcile_is_settled() {
  events_after "$RECONCILE_BEGAN" | jq -e -s --arg commit "$1" --argjson now "$(date +%s)" '
    ([.[] | select(.type == "source.changed") | .commit] | last) == $commit
    and ([.[] | select(.type == "turn.started")] | length) == ([.[] | select(.type == "turn.finished")] | length)
    and (([.[] | select(.type == "source.changed" or (.type | startswith("turn."))) | .at] | last) | .[:19] + "Z" | fromdate) < $now - 1' >/dev/null
}

reconcile_settled() { wait_for "$1" "commit $2 to be applied" reconcile_is_settled "$2"; }

# ---- a repository ----
REPO=$SCRATCH/repo

tenants_make() {
  local i
  fleet_kind='' fleet_url=${2:-$HTTP_URL/git/fleet.git}
  rm -rf "$REPO" "$GIT_ROOT/fleet.git"
  mkdir -p "$REPO/root"
  for ((i = 1; i <= $1; i++)); do fleet_tenant "$REPO" "$i"; done
}

tenants_heal() { sed -i 's/automated: {prune: true}/automated: {prune: true, selfHeal: true}/' "$REPO"/root/*.yaml; }

# In a file: it is asked for in other shells too.
tenants_publish() { git_publish "$REPO" fleet >"$SCRATCH/commit"; }

tenants_commit() { cat "$SCRATCH/commit"; }

tenants_root() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }

tenants_change() {
  sed -i "s/tenant: .*}/tenant: \"$2\"}/" "$REPO/tenants/tenant-$1/all.yaml"
  tenants_publish
}

tenants_value() { kubectl get cm -n "tenant-$1" settings -o 'jsonpath={.data.tenant}'; }
