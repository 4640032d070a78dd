# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a program wrote to a cluster, by the API server's audit log (LOG: default $AUDIT). After
# cluster.sh. A write is a non-dry-run create, update, patch or delete by "regrow/..." (another
# beginning of the user agent in AUDIT_AGENT) on anything but Leases, Events and reviews; the note of
# what was last healthy is no accepted one; it is
# rejected if the answer is 400 or more, except 429. Throttled writes, writes without an answer
# and failed probes (dry runs) are counted apart.
#
#   audit_sequence [LOG]     every write and probe in the order the server received them, a line
#                            each: VERB GROUP/RESOURCE[/SUBRESOURCE] NAMESPACE NAME CODE KIND
#                            with - for none and core for the group without a name; KIND is write
#                            or probe
#   audit_rejected [LOG]     number of rejected writes
#   audit_rejections [LOG]   these, with the server's message
#   audit_writes [LOG]       number of writes that were accepted
#   audit_throttled [LOG]    number of writes answered 429
#   audit_lost [LOG]         number of writes that ended without an answer
#   audit_probes [LOG] / audit_failed_probes [LOG]
#   audit_max [LOG] [EXCEPT] most accepted writes to one object and which: "2 apps/deployments web api";
#                            EXCEPT is a regex on "GROUP/RESOURCE NAMESPACE NAME" of objects not
#                            to look at, such as the inventory
#   audit_before FIRST THEN [LOG]   succeeds if every accepted write whose "GROUP/RESOURCE
#                            NAMESPACE NAME" matches the regex FIRST was answered before any that
#                            matches THEN was received, and there are such of both
#   audit_count REGEX [LOG]  accepted writes whose "VERB GROUP/RESOURCE NAMESPACE NAME" matches
#   audit_agents [LOG]       writes per user agent, to see that nobody else interferes

# shellcheck disable=SC2016 # jq's variables, here and below
audit_prelude='
  def none: if . == null or . == "" then "-" else . end;
  def group: .objectRef.apiGroup // "" | if . == "" then "core" else . end;
  # A Namespace patched has itself as its namespace there, one created has none.
  def space: if .objectRef.resource == "namespaces" then "-" else .objectRef.namespace | none end;
  def object: "\(group)/\(.objectRef.resource | none) \(space) \(.objectRef.name | none)";
  def what: "\(group)/\(.objectRef.resource | none)" +
    (if .objectRef.subresource then "/" + .objectRef.subresource else "" end);
  def is_probe: .requestURI | test("[?&]dryRun=All");
  # The client has gone before there was an answer, or before all of what it sent was there, or the server
  # took longer than it lets itself, which says nothing of what was written.
  def is_lost: (.responseStatus.message // "") as $m | .responseStatus.code as $c |
    ($c == 504 and ($m | test("context (canceled|deadline exceeded)$"))) or ($c == 500 and ($m | IN("unexpected EOF", "client disconnected")));
  def code: if is_lost then 0 else .responseStatus.code // 0 end;
  def ours: select(.stage == "ResponseComplete" or .stage == "Panic")
    | select(.userAgent // "" | startswith($agent))
    | select(.verb | IN("create", "update", "patch", "delete", "deletecollection"))
    | select(.objectRef.resource // "" | test("reviews$|^leases$|^events$") | not);
  def writes: [.[] | ours | select(is_probe | not)];
  def accepted: [writes[] | select(code >= 200 and code < 400 and object != "core/configmaps regrow-system healthy")];
  def rejected: [writes[] | select(code >= 400 and code != 429)];
'

audit_jq() { # LOG PROGRAM [JQ-OPTIONS...]
  local log=${1:-$AUDIT} program=$2
  shift 2
  # Lines of others are most of a log and grep is fast; the last line may be half written.
  { grep -F "\"userAgent\":\"${AUDIT_AGENT-regrow/}" "$log" || true; } | jq -c -R 'fromjson? // empty' |
    jq -s -r --arg agent "${AUDIT_AGENT-regrow/}" "$@" "$audit_prelude $program"
}

audit_sequence() {
  audit_jq "${1:-}" '[.[] | ours] | sort_by(.requestReceivedTimestamp)[]
    | "\(.verb) \(what) \(space) \(.objectRef.name | none) \(code) \(if is_probe then "probe" else "write" end)"'
}

audit_rejected() { audit_jq "${1:-}" 'rejected | length'; }

audit_rejections() {
  audit_jq "${1:-}" 'rejected | sort_by(.requestReceivedTimestamp)[]
    | "\(.verb) \(what) \(space) \(.objectRef.name | none) \(code) \(.responseStatus.message | none)"'
}

audit_writes() { audit_jq "${1:-}" 'accepted | length'; }
audit_throttled() { audit_jq "${1:-}" '[writes[] | select(code == 429)] | length'; }
audit_lost() { audit_jq "${1:-}" '[writes[] | select(code == 0)] | length'; }
audit_probes() { audit_jq "${1:-}" '[.[] | ours | select(is_probe)] | length'; }
audit_failed_probes() { audit_jq "${1:-}" '[.[] | ours | select(is_probe and code >= 400)] | length'; }

audit_max() {
  audit_jq "${1:-}" '[accepted[] | object | select($except == "" or (test($except) | not))]
    | group_by(.) | map({n: length, o: .[0]}) | max_by(.n) // {n: 0, o: ""} | "\(.n) \(.o)"' \
    --arg except "${2:-}"
}

audit_before() {
  local verdict
  verdict=$(audit_jq "${3:-}" '
    # The stamp of an answer is taken after its bytes have left: 18 ms late were seen on a busy
    # machine, by when the client had sent what waited for it.
    def seconds: (.[11:13] | tonumber) * 3600 + (.[14:16] | tonumber) * 60 + (.[17:-1] | tonumber);
    [accepted[] | select(object | test($first))] as $f
    | [$f[].stageTimestamp] as $a
    | [accepted[] | select(object | test($later)) | .requestReceivedTimestamp] as $b
    | if ($a | length) == 0 then "nothing matches \($first)"
      elif ($b | length) == 0 then "nothing matches \($later)"
      elif ([$f[].requestReceivedTimestamp] | max) < ($b | min) and
        ($a | max | seconds) - ($b | min | seconds) < 0.1 then "yes"
      else "\($later) was written at \($b | min), \($first) was answered at \($a | max)" end' \
    --arg first "$1" --arg later "$2")
  [[ $verdict == yes ]] || {
    echo "$verdict"
    return 1
  }
}

audit_count() {
  audit_jq "${2:-}" '[accepted[] | select("\(.verb) \(object)" | test($re))] | length' --arg re "$1"
}

audit_agents() {
  AUDIT_AGENT='' audit_jq "${1:-}" 'writes | group_by(.userAgent)[] | "\(length) \(.[0].userAgent)"'
}
