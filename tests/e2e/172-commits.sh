#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# 150 seeded commits (COMMITS=300: more) (objects and applications added, changed, renamed, moved, removed) while the API
# server and the Git server are restarted: in the end the cluster is what a fresh bootstrap of the
# last commit makes, and nothing was ever deleted that a commit of that time still wanted.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
COMMITS=${COMMITS:-150}
SEED=${SEED:-1}

publish() { # and what this commit wants
  COMMIT=$(git_publish "$REPO" world)
  python3 "$LIB/chaos.py" wanted "$REPO" >"$SCRATCH/wanted/$COMMIT"
  printf '%s %s\n' "$(date +%s.%N)" "$COMMIT" >>"$SCRATCH/published"
}
published() { tail -n 1 "$SCRATCH/published" | cut -d' ' -f2; }
root() { echo "$HTTP_URL/git/world.git//root?ref=main"; }

# All of the world, without what differs from run to run.
world() {
  kubectl get cm,secret,svc,sa,role,deploy -n world -o json | jq -S '
    [.items[] | select(.metadata.name | test("^kube-root|^default$") | not)
     | del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.generation,
           .metadata.managedFields, .metadata.annotations["deployment.kubernetes.io/revision"], .status,
           .spec.clusterIP?, .spec.clusterIPs?)] | sort_by(.kind, .metadata.name)'
}

disturb() { # NUMBER
  case $(($1 % 60)) in
    19) githttp_stop ;;
    23) githttp_again ;;
    39) cluster_control kill-apiserver ;;
    49) cluster_control start-apiserver ;;
  esac
}

commits() {
  reconcile_settled 60 "$COMMIT"
  ok 'a bare cluster comes up'
  for ((i = 1; i <= COMMITS; i++)); do
    python3 "$LIB/chaos.py" step "$REPO" "$i"
    publish
    disturb "$i"
    sleep "0.$((RANDOM % 3))"
  done
  [[ -f $SCRATCH/run/lighttpd.pid ]] || githttp_again
  cluster_control start-apiserver >/dev/null 2>&1 || true
  cluster_wait 60 get --raw /readyz
  reconcile_settled 120 "$COMMIT"
  ok 'the last commit is applied'
  world >"$SCRATCH/got"
  is "$(jq -r '.[] | "\(.kind) world \(.metadata.name)"' "$SCRATCH/got" | sort | diff - "$SCRATCH/wanted/$COMMIT")" '' \
    'every object is there, and no other'
}

# Between two loads whatever is deleted is deleted by what the first of them read.
kept() {
  jq -c 'select(.type == "source.changed") | [.at, .commit]' "$EVENTS" >"$SCRATCH/loads"
  audit_jq "$AUDIT" 'accepted[] | select(.verb == "delete" and .objectRef.namespace == "world")
    | [.requestReceivedTimestamp, .objectRef.resource, .objectRef.name]' | jq -c 'fromjson? // .' >"$SCRATCH/deletes" || true
  python3 - "$SCRATCH" >"$SCRATCH/wrong" <<'P'
import json, sys
scratch = sys.argv[1]
kinds = {"configmaps": "ConfigMap", "secrets": "Secret", "services": "Service", "serviceaccounts": "ServiceAccount",
         "roles": "Role", "deployments": "Deployment"}
loads = [json.loads(l) for l in open(scratch + "/loads")]
deletes = [json.loads(l) for l in open(scratch + "/deletes")]
wanted = {}
print(f"{len(deletes)} deletions, {len(loads)} loads", file=sys.stderr)
for at, resource, name in deletes:
    read = [commit for when, commit in loads if when <= at]
    commit = read[-1] if read else None
    if commit not in wanted:
        wanted[commit] = set(open(f"{scratch}/wanted/{commit}").read().split("\n")) if commit else set()
    if f"{kinds[resource]} world {name}" in wanted[commit]:
        print(f"{at}: {resource}/{name} was deleted, and commit {commit} wants it")
P
  is "$(head -c 600 "$SCRATCH/wrong")" '' 'nothing was deleted that its commit wanted'
  is "$([[ $(wc -l <"$SCRATCH/deletes") -gt 20 ]] && echo many)" many 'and there was much to delete'
  is "$(audit_rejections | head -c 600)" '' 'no write was rejected'
}

fresh() {
  is "$RECONCILE_CODE" 0 'it ends cleanly'
  cluster_wipe
  check 'a fresh bootstrap of the last commit' "$REGROW" bootstrap --timeout 120s "$(root)"
  world >"$SCRATCH/fresh"
  check 'makes the same, object by object' diff "$SCRATCH/fresh" "$SCRATCH/got"
}

githttp_start
cluster_up main
mkdir -p "$SCRATCH/wanted"
export CHAOS_URL=$HTTP_URL/git/world.git
python3 "$LIB/chaos.py" start "$REPO" "$SEED" 8
publish
reconcile_start --poll 500ms --allow-mass-prune "$(root)" # it is a small world
commits # servers that a case starts would end with it
run_case 'kept' kept
reconcile_stop
run_case 'fresh' fresh
