#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Unknown is not empty: a Git server that answers 500, nothing, or half a pack; a repository that is
# gone, or an empty one in its place; a chart that does not render any more; what depends on it by
# name. Nothing is deleted, the state is told, and when it is mended everything goes on. And too much
# at once is not deleted either.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/slowhttp.sh"
. "$LIB/fleet.sh"
. "$LIB/reconcile.sh"

export XDG_CACHE_HOME=$SCRATCH/cache

bare() { echo "$GIT_ROOT/fleet.git"; }

chart() {
  mkdir -p "$REPO/charts/web/templates"
  printf 'apiVersion: v2\nname: web\nversion: 1.0.0\n' >"$REPO/charts/web/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: "1"}\n' >"$REPO/charts/web/templates/a.yaml"
  fleet_app web web charts/web >"$REPO/root/web.yaml"
}

# Whatever is ours, by name and uid: none of it may have been made anew.
ours() {
  kubectl get deploy,cm,secret,svc,sa,role -A -o json | jq -r '.items[]
    | select(.metadata.annotations["argocd.argoproj.io/tracking-id"]) | "\(.kind) \(.metadata.namespace)/\(.metadata.name) \(.metadata.uid)"' | sort
}

# unread NAME EVENT: for three polls it stays so, and everything stays
unread() {
  reconcile_saw 20 "$2"
  ok "$1 is told"
  sleep 2
  ours >"$SCRATCH/got"
  is "$(diff "$SCRATCH/want" "$SCRATCH/got" | head -5)" '' "$1: everything stays"
}

# mended NAME: the next commit is applied
mended() {
  tenants_change 1 "$1"
  reconcile_settled 30 "$(tenants_commit)"
  is "$(tenants_value 1)" "$1" "$1: it goes on when it is mended"
  reconcile_mark
}

FAILED='.type == "source.unreadable"'

answers() {
  reconcile_mark
  for code in 500 200 404; do
    echo "$code" >"$SCRATCH/mood"
    unread "answer $code" "$FAILED"
    echo pass >"$SCRATCH/mood"
    mended "after-$code"
  done
  echo cut >"$SCRATCH/mood"
  tenants_change 1 cut
  unread 'half a pack' "$FAILED"
  echo pass >"$SCRATCH/mood"
  mended after-cut
}

gone() {
  reconcile_mark
  mv "$(bare)" "$(bare).away"
  unread 'a repository that is gone' "$FAILED"
  git init -q --bare "$(bare)"
  reconcile_mark
  unread 'an empty one in its place' "$FAILED"
  rm -rf "$(bare)"
  mv "$(bare).away" "$(bare)"
  mended after-gone
}

unrendered() {
  reconcile_mark
  echo '{{ fail "no" }}' >"$REPO/charts/web/templates/b.yaml"
  tenants_publish
  unread 'a chart that does not render' '.type == "app.unknown" and .app == "web"'
  rm "$REPO/charts/web/templates/b.yaml"
  mended after-chart
}

depend() { sed -i "s|annotations: {.*}|annotations: {regrow.dev/depends-on: \"$2\"}|" "$REPO/root/tenant-$1.yaml"; }
values() { for i in 1 2 3 4 5; do tenants_value "$i"; echo; done | paste -sd ' '; }
all_change() { sed -i "s/tenant: .*}/tenant: \"$1\"}/" "$REPO"/tenants/tenant-[1-5]/all.yaml; }

# Who depends on what cannot be found, or waits for it in turn, stays as it is, and so does what one of
# them needs that has left Git; all others go on.
depends() {
  all_change before
  tenants_publish
  reconcile_settled 30 "$(tenants_commit)"
  reconcile_mark
  depend 2 nobody
  depend 3 tenant-4
  depend 4 tenant-3
  depend 5 tenant-6
  mv "$REPO/root/tenant-6.yaml" "$SCRATCH/"
  all_change after
  tenants_publish
  reconcile_settled 30 "$(tenants_commit)"
  is "$(values)" 'after before before before before' 'one that depends on nobody is alone in staying as it is'
  is "$(reconcile_events | jq -r 'select(.type == "sync.failed") | .app' | sort -u | paste -sd ' ')" \
    'tenant-2 tenant-3 tenant-4 tenant-5' 'each is told'
  like "$(reconcile_events | jq -r 'select(.type == "sync.failed" and .app == "tenant-2") | .message')" \
    'depends-on names nobody, which is no application of this root' 'by name'
  unread 'what is depended on and gone' '.type == "sync.failed" and .app == "tenant-5" and (.message | contains("tenant-6"))'
  depend 3 tenant-1
  tenants_change 1 again
  reconcile_settled 30 "$(tenants_commit)"
  is "$(values)" 'again before after after before' 'a cycle that is opened lets both go on'
  refuse 'what is asked of one that stays is answered' 10 "$REGROW" sync tenant-2 --wait --timeout 20s
  like "$OUT" 'names nobody' 'with the reason'
  mv "$SCRATCH/tenant-6.yaml" "$REPO/root/"
  depend 2 tenant-1
  mended after-depends
  is "$(values)" 'after-depends after after after after' 'and the others, too'
}

# All of it but one application: more than a third.
breaker() {
  reconcile_mark
  mkdir "$SCRATCH/aside"
  (cd "$REPO/root" && mv tenant-[2-9].yaml "$SCRATCH/aside/")
  tenants_publish
  unread 'the breaker' '.type == "breaker.tripped"'
  mv "$SCRATCH"/aside/*.yaml "$REPO/root/"
  mended after-breaker
  ours >"$SCRATCH/got"
  is "$(diff "$SCRATCH/want" "$SCRATCH/got" | head -5)" '' 'and nothing was made anew'
}

githttp_start
slow_start front --mood "$SCRATCH/mood"
cluster_up main
tenants_make 6 "http://127.0.0.1:$SLOW_PORT/git/fleet.git"
chart
tenants_publish
reconcile_start --poll 500ms "$fleet_url//root?ref=main"
reconcile_settled 60 "$(tenants_commit)"
ours >"$SCRATCH/want"
is "$(wc -l <"$SCRATCH/want")" 37 'a bare cluster comes up'
run_case 'answers' answers
run_case 'gone' gone
run_case 'unrendered' unrendered
run_case 'depends' depends
run_case 'breaker' breaker
reconcile_stop
is "$(audit_rejections | head -c 600)" '' 'no write was rejected'
