#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# regrow restore --push-git. Two repositories with branches, annotated tags, merges, notes and pull
# requests are saved; the Git host is lost. They come back to an empty one over HTTP, HTTPS with a
# password, ssh, and to a folder: every ref, every object, whatever is killed. What is there is never
# overwritten, and when one ref is in the way, or the snapshot is damaged, nothing is pushed at all.
# With a cluster Git comes after it, is waited for, be it in that very cluster, and the bootstrap that
# is printed writes nothing.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"
. "$LIB/snapshots.sh"

LOST=$SCRATCH/lost
RESTORED='.git | map(.state) | unique | join(" ")'

restore() { "$REGROW" restore -i ann.id "$@"; }
back() { restore --git-only --yes "$@"; }
in_git() { git --git-dir="$GIT_ROOT/$1.git" "${@:2}"; }
g() { git -C "$1" "${@:2}"; }

app() { # NAME PATH
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {repoURL: "$HTTP_URL/git/tools.git", path: $1, targetRevision: main}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

make_repositories() {
  local i
  git config --global user.name t
  git config --global user.email t@example.org
  export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
  git init -q work && mkdir -p work/apps
  app tools tools >work/apps/tools.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-root, namespace: default}\n' >work/apps/cm.yaml
  g work add . && g work commit -qm 1
  g work checkout -q -b side && seq 2000 >work/long && g work add . && g work commit -qm side
  g work checkout -q main && echo x >work/x && g work add . && g work commit -qm 2
  g work merge -q --no-ff -m merge side && g work tag -a -m 'the first' v1 && g work tag light side
  g work tag -a -m 'of a tag' v1-signed v1 2>/dev/null
  g work notes add -m noted && g work update-ref refs/pull/7/head side
  git init -q tools && mkdir tools/tools
  cat >tools/tools/git.yaml <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: git}
spec:
  selector: {matchLabels: {a: git}}
  template:
    metadata: {labels: {a: git}}
    spec: {containers: [{name: git, image: git-server}]}
Y
  for i in 1 2 3; do
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tool-%s}\n' $i >tools/tools/cm-$i.yaml
    g tools add . && g tools commit -qm "$i" && g tools branch "release-$i"
  done
  g tools tag -a -m one one release-1
  unset GIT_AUTHOR_DATE GIT_COMMITTER_DATE
  git clone -q --mirror work "$GIT_ROOT/platform.git" 2>/dev/null
  git clone -q --mirror tools "$GIT_ROOT/tools.git" 2>/dev/null
  rm -rf work
  mv tools tools.work
}

empty_host() {
  local name
  rm -rf "$GIT_ROOT"
  mkdir -p "$GIT_ROOT"
  for name in platform tools; do
    git init -q --bare "$GIT_ROOT/$name.git"
    in_git $name config http.receivepack true
    in_git $name config receive.fsckObjects true
  done
}

same_as_lost() { # WHAT: what git itself says of both
  local name
  for name in platform tools; do
    check "$1: $name is whole" in_git $name fsck --full --strict --no-dangling
    is "$(in_git $name for-each-ref)" "$(git --git-dir="$LOST/$name.git" for-each-ref)" "$1: every ref of $name"
    is "$(in_git $name cat-file --batch-all-objects --batch-check | sha256sum)" \
      "$(git --git-dir="$LOST/$name.git" cat-file --batch-all-objects --batch-check | sha256sum)" "$1: every object of $name"
  done
}
nothing_there() { is "$(in_git platform for-each-ref)$(in_git tools for-each-ref)" '' "$1: nothing was pushed"; }

saved() {
  check 'the cluster grows from Git' "$REGROW" bootstrap "$HTTP_URL/git/platform.git//apps?ref=main" --timeout 2m
  kubectl create namespace argocd >/dev/null
  kubectl -n argocd create secret generic tools --from-literal=type=git --from-literal=url="$HTTPS_URL/auth/git/tools.git" \
    --from-literal=username="$HTTP_USER" --from-literal=password="$HTTP_PASSWORD" >/dev/null
  kubectl -n argocd label secret tools argocd.argoproj.io/secret-type=repository >/dev/null
  check 'and is saved' snap create --key job.key --use-cluster "$HTTP_URL/git/platform.git//apps?ref=main"
  in_git platform repack -qad && in_git tools repack -qad
  cp -r "$GIT_ROOT" "$LOST"
}

over_http() {
  empty_host
  back --push-git "$HTTP_URL/git" --dry-run >out.txt
  like "$(<out.txt)" "platform.git: 2 branches, 3 tags, 2 other refs \(default branch main\), 7 to create" 'the plan says what will be there'
  nothing_there 'a dry run'
  shaped 'over HTTP' restore 'git[].to,git[].create,git[].objects,git[].refused,next' back --push-git "$HTTP_URL/git"
  is "$(jq -r "$RESTORED" out.json)" pushed 'both are pushed'
  is "$(jq -r .next out.json)" "regrow bootstrap '$HTTP_URL/git/platform.git//apps?ref=main'" 'and the switch back is said'
  same_as_lost 'over HTTP'
  is "$(back --push-git "$HTTP_URL/git" -o json | jq -r "$RESTORED")" unchanged 'once more: nothing to do'
  empty_host
  back --push-git "$HTTP_URL/git" -o ndjson >events.ndjson
  check 'events as documented' bash -c "'$SHAPE' events git.planned,git.started,git.pushed <events.ndjson"
}

with_password() {
  empty_host
  export REGROW_GIT_USERNAME=$HTTP_USER
  REGROW_GIT_PASSWORD=wrong-hunter2 refuse 'a wrong password' 5 back --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT"
  unlike "$OUT" hunter2 'is not told'
  like "$OUT" REGROW_GIT_PASSWORD 'but what to do'
  refuse 'no password' 5 env -u REGROW_GIT_USERNAME "$REGROW" restore -i ann.id --git-only --yes --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT"
  refuse 'an unknown authority' 5 back --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git"
  nothing_there 'refused'
  check 'what Argo CD logged in with is in the snapshot' env -u REGROW_GIT_USERNAME "$REGROW" restore -i ann.id --git-only --yes \
    --push-git "$HTTP_URL/git/tools.git=$HTTPS_URL/auth/git/tools.git" --ca-file "$CA_CERT"
  is "$(in_git tools rev-parse main)" "$(git --git-dir="$LOST/tools.git" rev-parse main)" 'and pushes that repository'
  empty_host
  export REGROW_GIT_PASSWORD=$HTTP_PASSWORD
  check 'HTTPS with a password' back --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT"
  same_as_lost HTTPS
}

over_ssh() {
  printf -- '- url: %s\n  sshKeyFile: %s\n' "$SSH_URL" "$SSH_KEY" >creds.yaml
  printf -- '- url: %s\n  sshKeyFile: %s\n' "$SSH_URL" "$SSH_STRANGER_KEY" >stranger.yaml
  empty_host
  refuse 'a changed host key' 5 back --push-git "$HTTP_URL/git=$SSH_URL" --known-hosts "$SSH_WRONG_HOSTS" --credentials creds.yaml
  refuse 'a key that the server does not know' 5 back --push-git "$HTTP_URL/git=$SSH_URL" --known-hosts "$SSH_KNOWN_HOSTS" --credentials stranger.yaml
  nothing_there 'refused'
  check 'over ssh' back --push-git "$HTTP_URL/git=$SSH_URL" --known-hosts "$SSH_KNOWN_HOSTS" --credentials creds.yaml
  same_as_lost ssh
}

to_a_folder() {
  empty_host
  check 'to a folder' back --push-git "$HTTP_URL/git=$GIT_ROOT"
  same_as_lost 'a folder'
  is "$(back --push-git "$HTTP_URL/git=$GIT_ROOT" -o json | jq -r "$RESTORED")" unchanged 'once more: nothing to do'
  refuse 'a work tree' 3 back --push-git "$HTTP_URL/git/tools=$SCRATCH/tools.work"
}

refused() {
  local other
  empty_host
  for other in '--app shop' '--namespace shop' '--map host=a=b' '--cluster a' '--expect-cluster a' --adopt --rerender '--wait-for-cluster 1m'; do
    # shellcheck disable=SC2086 # an option and its value
    refuse "$other without a cluster" 2 back --push-git "$HTTP_URL/git" $other
    like "$OUT" "${other%% *} is about a cluster" 'it says so'
  done
  refuse 'a repository that is not there' 4 back --push-git "$HTTP_URL/git=$HTTP_URL/git/none"
  like "$OUT" 'Make an empty repository there' 'what to do'
  refuse 'nobody listens' 7 back --push-git "$HTTP_URL/git=http://127.0.0.1:$(free_port)"
  refuse 'two repositories, one place' 2 back --push-git "$HTTP_URL/elsewhere.git"
  like "$OUT" 'OLD=NEW.*platform.git, .*tools.git' 'what there is'
  refuse 'no such repository' 2 back --push-git https://nobody.example.com=https://x.example.com
  refuse 'both in one place' 2 back --push-git "$HTTP_URL/git/platform=$HTTP_URL/x" --push-git "$HTTP_URL/git/tools=$HTTP_URL/x"
  refuse 'nowhere' 2 back
  refuse 'nobody to ask' 2 restore --git-only --push-git "$HTTP_URL/git"
  like "$OUT" 'confirm that 127.0.0.1:[0-9]+ is the Git host that is meant.*--yes' 'it says whom'
  refuse 'nobody to ask, a folder by URL' 2 restore --git-only --push-git "$HTTP_URL/git=file://$GIT_ROOT"
  like "$OUT" "confirm that file://$GIT_ROOT[^ ]* is the Git host that is meant" 'it says which'
  refuse 'an empty answer confirms none' 2 python3 "$LIB/ptyrun.py" '' -- "$REGROW" restore -i ann.id --git-only --push-git "$HTTP_URL/git=file://$GIT_ROOT"
  nothing_there 'unasked'
  # Another history in the second: the first is not touched either.
  other=$(in_git tools commit-tree -m other "$(in_git tools hash-object -t tree -w /dev/null)" </dev/null)
  in_git tools update-ref refs/heads/main "$other"
  refuse 'another commit there' 6 back --push-git "$HTTP_URL/git"
  like "$OUT" "tools.git: refs/heads/main is at ${other:0:7}" 'which'
  like "$OUT" 'never overwritten' 'and why'
  is "$(in_git platform for-each-ref)$(in_git tools rev-parse main)" "$other" 'nothing was pushed'
  # The host is ahead: all of ours is there, and nothing is in the way.
  empty_host
  check 'all of it' back --push-git "$HTTP_URL/git"
  other=$(in_git tools commit-tree -p main -m later 'main^{tree}' </dev/null)
  in_git tools update-ref refs/heads/main "$other"
  is "$(back --push-git "$HTTP_URL/git" -o json | jq -c '.git[1] | [.state, .ahead]')" '["unchanged",1]' 'a host that is ahead is left alone'
  is "$(in_git tools rev-parse main)" "$other" 'as it is'
  in_git tools update-ref -d refs/heads/release-2
  is "$(back --push-git "$HTTP_URL/git" -o json | jq -c '.git[1] | [.state, .ahead, .create]')" '["pushed",1,1]' 'and gets what it lacks'
  is "$(in_git tools rev-parse main release-2)" "$other"$'\n'"$(git --git-dir="$LOST/tools.git" rev-parse release-2)" 'beside it'
  # A branch may go forward, a tag may not.
  empty_host
  git --git-dir="$LOST/tools.git" push -q "$GIT_ROOT/tools.git" refs/heads/release-1:refs/heads/main refs/heads/release-1:refs/heads/mine
  is "$(back --push-git "$HTTP_URL/git" -o json | jq -c '.git[1] | [.state, .forward, .besides]')" '["pushed",1,1]' 'a branch goes forward'
  is "$(in_git tools rev-parse main mine)" "$(git --git-dir="$LOST/tools.git" rev-parse main release-1)" 'and others stay'
  in_git tools update-ref refs/tags/one release-2
  refuse 'another tag there' 6 back --push-git "$HTTP_URL/git"
  like "$OUT" 'refs/tags/one' 'which'
}

hosts_of_their_own_mind() {
  empty_host
  in_git platform config receive.hideRefs refs/pull
  shaped 'refs that a host keeps' restore 'git[].refused[]' back --push-git "$HTTP_URL/git"
  is "$(jq -c '.git[0] | [.state, (.refused | length)]' out.json)" '["pushed",1]' 'do not make it fail, and are told'
  empty_host
  in_git platform symbolic-ref HEAD refs/heads/trunk
  like "$(back --push-git "$HTTP_URL/git")" 'set the default branch to main there' 'the default branch is to be set by hand'
  empty_host
  printf '#!/bin/sh\necho "no thanks" >&2\nexit 1\n' >"$GIT_ROOT/tools.git/hooks/pre-receive"
  chmod +x "$GIT_ROOT/tools.git/hooks/pre-receive"
  refuse 'a hook that refuses' 5 back --push-git "$HTTP_URL/git"
  like "$OUT" 'no thanks' 'its words are told'
  is "$(in_git tools for-each-ref)" '' 'nothing of it is there'
  rm "$GIT_ROOT/tools.git/hooks/pre-receive"
  check 'the same command goes on' back --push-git "$HTTP_URL/git"
  same_as_lost 'after the hook'
}

killed() {
  local pid i
  for i in platform tools; do
    empty_host
    printf '#!/bin/sh\ntouch %s/reached\nsleep 1\n' "$SCRATCH" >"$GIT_ROOT/$i.git/hooks/pre-receive"
    chmod +x "$GIT_ROOT/$i.git/hooks/pre-receive"
    rm -f reached
    "$REGROW" restore -i ann.id --git-only --yes --push-git "$HTTP_URL/git" >killed.txt 2>&1 &
    pid=$!
    wait_for 20 'the push of '$i test -f reached
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    rm "$GIT_ROOT/$i.git/hooks/pre-receive"
    sleep 1.5 # the server ends what it began, or does not
    check "killed at $i: the same command goes on" back --push-git "$HTTP_URL/git"
    same_as_lost "killed at $i"
  done
}

damaged() {
  local pack
  empty_host
  cp -r repo harmed
  for pack in harmed/chains/prod/packs/*; do
    python3 - "$pack" <<'P'
import sys
with open(sys.argv[1], "r+b") as f:
    data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    f.seek(0)
    f.write(data)
P
    break
  done
  refuse 'a damaged snapshot' 9 back --push-git "$HTTP_URL/git" --repo harmed
  nothing_there 'damaged'
}

# The host is away while the cluster is restored: it lives there, and comes when its Deployment is
# available, at another address.
with_cluster() {
  local writes next
  export REGROW_GIT_USERNAME=$HTTP_USER REGROW_GIT_PASSWORD=$HTTP_PASSWORD
  empty_host
  cluster_wipe
  githttp_stop
  refuse 'no Git host, and no patience' 7 restore --yes --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT" --wait-git 2s
  like "$OUT" 'when the cluster is up' 'it was said before'
  check 'the cluster is up' kubectl -n tools get cm tool-3
  cluster_wipe
  spawn lighttpd bash -c "until kubectl -n tools wait --for=condition=Available deployment/git --timeout=60s; do sleep 0.2; done
    exec lighttpd -D -f '$SCRATCH/http/lighttpd.conf'"
  check 'one that lives in the cluster: one command' restore --yes --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT" --wait-git 60s -o json
  is "$(audit_rejected)" 0 'no write was rejected'
  same_as_lost 'with a cluster'
  shaped 'with a cluster' restore 'git[].url,rto.gitMs,next,result.exitCode' restore --yes --push-git "$HTTP_URL/git=$HTTPS_URL/auth/git" --ca-file "$CA_CERT"
  next=$(jq -r .next out.json)
  like "$next" "--mirror $HTTP_URL/git=$HTTPS_URL/auth/git" 'the switch back knows the new address'
  writes=$(audit_writes)
  check 'the switch back' bash -c "PATH=$(dirname "$REGROW"):\$PATH; rm -rf cache; $next"
  is "$(audit_writes)" "$writes" 'writes nothing'
  in_git platform update-ref refs/heads/main refs/notes/commits
  refuse 'in the way: told before the cluster' 6 restore --yes --push-git "$HTTP_URL/git"
}

# What only waits, for an address that nobody gives, keeps Git from nobody.
while_something_waits() {
  local main
  export REGROW_GIT_USERNAME=$HTTP_USER REGROW_GIT_PASSWORD=$HTTP_PASSWORD
  rm -rf "$GIT_ROOT"
  cp -r "$LOST" "$GIT_ROOT"
  githttp_again
  main=$(in_git tools rev-parse main)
  mkdir waits
  app tools tools >waits/tools.yaml
  printf 'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: default}\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n' >waits/web.yaml
  refuse 'one that is smaller' 10 snap create --key job.key --adopt-chain "$SCRATCH/waits"
  empty_host
  cluster_wipe
  refuse 'an Ingress waits' 8 restore --yes --allow-suspect "$(snap list -o json | jq '.chains[0].snapshots[0].seq')" --timeout 15s \
    --push-git "$HTTP_URL/git" --report waits.json
  is "$(in_git tools rev-parse main)" "$main" 'Git was pushed all the same'
  like "$(jq -r '.next_steps[].command // empty' waits.json)" 'regrow restore [0-9]+ -i ann.id --allow-suspect --push-git' 'and the next command is the same one'
}

githttp_start
gitssh_start
cluster_up main
make_repositories
make_repo "$SCRATCH/repo" repo
NAME=repo
admin key add --role writer --chain prod --out job.key >/dev/null
run_case saved saved
run_case http over_http
run_case password with_password
run_case ssh over_ssh
run_case folder to_a_folder
run_case refused refused
run_case host hosts_of_their_own_mind
run_case killed killed
run_case damaged damaged
run_case cluster with_cluster
run_case waits while_something_waits
