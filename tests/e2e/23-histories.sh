#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
#
# A repository is fetched whole: every ref and every object, over HTTP and ssh; what is new comes
# alone, and what a chain knows is not packed again. No cluster.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"

TOOL=$BUILD/tests/source/tool_histories
mkdir -p "$SCRATCH/work" "$SCRATCH/content"

commit() { # TEXT
  echo "$1" >"$SCRATCH/content/file-$(printf %.20s "$1")"
  git_publish "$SCRATCH/content" whole >/dev/null
}

make_repository() {
  local repo=$GIT_ROOT/whole.git i
  for i in one two three; do commit "$i"; done
  git --git-dir="$repo" symbolic-ref HEAD refs/heads/main
  git_tag whole signed
  git --git-dir="$repo" tag light main~1
  git --git-dir="$repo" tag of-a-file main:file-one
  git --git-dir="$repo" update-ref refs/pull/7/head main~1
  git_quiet "$repo" notes add -m note main
}

histories() { # CACHE URL [KNOWN...]
  local cache=$1 url=$2
  shift 2
  "$TOOL" "$SCRATCH/cache-$cache" "$SCRATCH/work" "$url" "$@"
}

# rebuild OUTPUT...: a repository out of the packs, with the refs of the last output
rebuild() {
  local out=$SCRATCH/rebuilt one pack id name
  rm -rf "$out"
  git init -q --bare -b main "$out"
  for one in "$@"; do
    while read -r _ pack; do
      git -C "$out" index-pack --stdin <"$pack" >/dev/null
    done < <(grep '^pack ' <<<"$one")
  done
  while read -r _ id name; do
    git -C "$out" update-ref "$name" "$id"
  done < <(grep '^ref ' <<<"$one")
  git -C "$out" fsck --full --strict 2>&1
}

objects() { git --git-dir="$1" rev-list --all --objects | sort; }
refs() { git --git-dir="$1" for-each-ref --format='ref %(objectname) %(refname)'; }

same_as_served() { # WHAT OUTPUT...
  local what=$1
  shift
  rebuild "$@" >"$SCRATCH/fsck" || fail "$what: $(cat "$SCRATCH/fsck")"
  is "$(grep '^ref ' <<<"${*: -1}")" "$(refs "$GIT_ROOT/whole.git")" "$what: the refs"
  is "$(objects "$SCRATCH/rebuilt")" "$(objects "$GIT_ROOT/whole.git")" "$what: the objects"
}

packs() { grep -c '^pack ' <<<"$1" || true; }

githttp_start
gitssh_start
make_repository
http=$HTTP_URL/git/whole.git?ref=main
export KNOWN_HOSTS=$SSH_KNOWN_HOSTS SSH_KEY SSH_URL

first=$(histories http "$http")
is "$(grep '^head' <<<"$first")" 'head refs/heads/main' 'the branch HEAD names'
same_as_served 'over HTTP' "$first"
over_ssh=$(histories ssh "$SSH_URL/whole.git?ref=main")
unlike "$over_ssh" '^problem' 'ssh lets us in'
same_as_served 'over ssh' "$over_ssh"
is "$(packs "$first")" 1 'one pack as it was received'

before=$(stat -c %s "$SCRATCH/cache-http/git"/*/full/objects/pack/*.pack)
again=$(histories http "$http")
is "$(stat -c %s "$SCRATCH/cache-http/git"/*/full/objects/pack/*.pack)" "$before" \
  'nothing new, nothing fetched'
is "$again" "$first" 'and the same answer'

known=$(git --git-dir="$GIT_ROOT/whole.git" for-each-ref --format='%(objectname)')
# shellcheck disable=SC2086
is "$(packs "$(histories http "$http" $known)")" 0 'nothing to keep when all is known'
commit four
git_tag whole later
# shellcheck disable=SC2086
more=$(histories http "$http" $known)
is "$(packs "$more")" 1 'one pack of what is new'
like "$(grep '^pack' <<<"$more")" 'new-0.pack' 'made by us'
cp "$SCRATCH/work/new-0.pack" "$SCRATCH/warm.pack"
same_as_served 'old and new' "$first" "$more"
# shellcheck disable=SC2086
cold=$(histories cold "$http" $known)
same_as_served 'without the cache' "$first" "$cold"
check 'the same bytes whoever makes them' cmp "$SCRATCH/work/new-0.pack" "$SCRATCH/warm.pack"

rm -f "$SCRATCH/cache-http/git"/*/full/objects/pack/*
same_as_served 'a cache with holes' "$(histories http "$http")"

# What kustomize fetches by itself is fetched again, to be kept.
mkdir -p "$SCRATCH/base" "$SCRATCH/kroot"
printf 'resources: [cm.yaml]\n' >"$SCRATCH/base/kustomization.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-base, namespace: x}\n' >"$SCRATCH/base/cm.yaml"
base=$(git_publish "$SCRATCH/base" base)
mkdir -p "$FILES_ROOT"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-url, namespace: x}\n' >"$FILES_ROOT/one.yaml"
printf 'resources: ["%s/git/base.git//.?ref=main", "%s/files/one.yaml"]\n' "$HTTP_URL" "$HTTP_URL" \
  >"$SCRATCH/kroot/kustomization.yaml"
remote=$(LOAD=1 histories remote "$SCRATCH/kroot")
unlike "$remote" 'problem' 'remote bases come'
is "$(grep '^item git' <<<"$remote")" "item git $HTTP_URL/git/base.git main $base" 'the commit of a base'
is "$(grep '^item url' <<<"$remote")" \
  "item url $HTTP_URL/files/one.yaml  sha256:$(sha256sum "$FILES_ROOT/one.yaml" | cut -d' ' -f1)" 'the digest of a file'
is "$(packs "$remote")" 1 'and the whole history of the base'

githttp_stop
like "$(histories http "$http" 2>&1)" '^problem ' 'a host that is gone is a problem'
