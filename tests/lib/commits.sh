# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A repository that goes through seeded commits (chaos.py), and what has become of them in the
# namespace "world". After env.sh, cluster.sh, audit.sh, githttp.sh and reconcile.sh.
#
#   commits_start SEED APPS   makes and publishes it, in $REPO; sets COMMITS_ROOT (what to give to regrow).
#                             Not in a case: it would end with it
#   commits_next NUMBER       changes and publishes it; either sets COMMIT
#   commits_all COMMIT        until it is applied; succeeds when the cluster has what it wants, and no more
#   commits_state             the world, without what differs from run to run
#   commits_kept [N]          checks that nothing was deleted that the commit of that time wanted, that
#                             more than N (20) things were, and that no write was rejected but those
#                             that match TOLERATED
#   commits_fresh             checks that a bare cluster becomes the same by a bootstrap; the controller
#                             has ended

# One process for all commits: their number is what a run is for, not that of programs that start.
commits_start() {
  mkdir -p "$SCRATCH/wanted"
  export CHAOS_URL=$HTTP_URL/git/world.git
  COMMITS_ROOT="$CHAOS_URL//root?ref=main"
  coproc CHAOS { exec python3 "$LIB/chaos.py" commits "$REPO" "$GIT_ROOT/world.git" "$SCRATCH/wanted" "$1" "$2"; }
  at_exit commits_end
  read -r COMMIT <&"${CHAOS[0]}"
}
commits_end() { [[ -z ${CHAOS_PID:-} ]] || { exec {CHAOS[1]}>&- && wait "$CHAOS_PID"; } || true; }

commits_next() {
  echo "$1" >&"${CHAOS[1]}"
  read -r COMMIT <&"${CHAOS[0]}"
}

commits_state() {
  kubectl get cm,secret,svc,sa,role,deploy -n world -o json | jq -S '
    [.items[] | select(.metadata.name | test("^kube-root|^default$") | not)
     | del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.generation,
           .metadata.managedFields, .metadata.annotations["deployment.kubernetes.io/revision"], .status,
           .spec.clusterIP?, .spec.clusterIPs?)] | sort_by(.kind, .metadata.name)'
}

commits_all() {
  reconcile_settled 120 "$1"
  ok 'the last commit is applied'
  commits_state >"$SCRATCH/got"
  is "$(jq -r '.[] | "\(.kind) world \(.metadata.name)"' "$SCRATCH/got" | sort | diff - "$SCRATCH/wanted/$1" | head -c 600)" '' \
    'every object is there, and no other'
}

# Between two loads whatever is deleted is deleted by what the first of them read.
commits_kept() {
  jq -c -R 'fromjson? | select(.type == "source.changed") | [.at, .commit]' "$EVENTS" >"$SCRATCH/loads"
  audit_jq "$AUDIT" 'accepted[] | select(.verb == "delete" and .objectRef.namespace == "world")
    | [.requestReceivedTimestamp, .objectRef.resource, .objectRef.name]' | jq -c 'fromjson? // .' >"$SCRATCH/deletes" || true
  python3 - "$SCRATCH" >"$SCRATCH/wrong" <<'P'
import bisect, json, sys
scratch = sys.argv[1]
kinds = {"configmaps": "ConfigMap", "secrets": "Secret", "services": "Service", "serviceaccounts": "ServiceAccount",
         "roles": "Role", "deployments": "Deployment"}
loads = [json.loads(l) for l in open(scratch + "/loads")]
deletes = [json.loads(l) for l in open(scratch + "/deletes")]
wanted = {}
times = [at for at, commit in loads]
print(f"# {len(deletes)} deletions, {len(loads)} loads", file=sys.stderr)
for at, resource, name in deletes:
    n = bisect.bisect_right(times, at)
    commit = loads[n - 1][1] if n else None
    if commit not in wanted:
        wanted[commit] = set(open(f"{scratch}/wanted/{commit}").read().split("\n")) if commit else set()
    if f"{kinds[resource]} world {name}" in wanted[commit]:
        print(f"{at}: {resource}/{name} was deleted, and commit {commit} wants it")
P
  is "$(head -c 600 "$SCRATCH/wrong")" '' 'nothing was deleted that its commit wanted'
  is "$([[ $(wc -l <"$SCRATCH/deletes") -gt ${1:-20} ]] && echo many)" many 'and there was much to delete'
  is "$(audit_rejections | { grep -Ev "${TOLERATED:-^$}" || true; } | head -c 600)" '' 'no write was rejected'
}

commits_fresh() {
  is "$RECONCILE_CODE" 0 'it ends cleanly'
  cluster_wipe
  check 'a fresh bootstrap of the last commit' "$REGROW" bootstrap --timeout 120s "$COMMITS_ROOT"
  commits_state >"$SCRATCH/fresh"
  check 'makes the same, object by object' diff "$SCRATCH/fresh" "$SCRATCH/got"
}
