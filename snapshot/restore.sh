#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Brings back what lies beside this file, with sh, git, kubectl and age alone. RESTORE.md says how.
# Nothing secret is written anywhere but to the API server.
set -u
umask 077

usage() {
  cat <<'TEXT'
sh restore.sh check                     are all files as they were written?
sh restore.sh git DIR [--push URL]      repositories into DIR; pushed to URL/NAME.git
sh restore.sh clusters                  which other clusters a hub has: folder, server, name
sh restore.sh objects [OPTIONS]         objects into the cluster kubectl points at
    --cluster NAME      what goes to another cluster of a hub, not what goes to its own
    -i FILE             age identity that opens the Secrets; repeatable
    --no-secrets        leave the Secrets out
    --context NAME      of the kubeconfig
    --wait SECONDS      for each thing that is waited for (300)
    --force-conflicts   take fields that others manage
    --keep-going        do not stop where something does not come
    --yes               do not ask
TEXT
}

say() { printf '%s\n' "$*"; }
die() {
  printf 'restore.sh: %s\n' "$*" >&2
  exit 1
}
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is not on the PATH"; }

here=$(cd "$(dirname "$0")" && pwd) || exit 1
[ -f "$here/steps" ] || die "this is not the folder of an export"

# ---- check ----
check() {
  if command -v sha256sum >/dev/null 2>&1; then
    sum=sha256sum
  elif command -v shasum >/dev/null 2>&1; then
    sum='shasum -a 256'
  else
    say 'Not checked: there is neither sha256sum nor shasum.'
    return 0
  fi
  (cd "$here" && $sum -c SHA256SUMS >/dev/null) || die 'files are not as they were written'
  say 'All files are as they were written.'
}

# ---- git ----
git_back() {
  dir= push=
  while [ $# -gt 0 ]; do
    case $1 in
    --push) [ $# -gt 1 ] || die '--push wants a URL'; push=$2; shift ;;
    -*) die "there is no option $1" ;;
    *) dir=$1 ;;
    esac
    shift
  done
  [ -n "$dir" ] || die 'git wants a folder'
  need git
  mkdir -p "$dir" || exit 1
  while read -r bundle head url; do
    name=${bundle%.bundle}
    if [ ! -d "$dir/$name.git" ]; then
      rm -rf "$dir/$name.git.new"
      git clone -q --mirror "$here/git/$bundle" "$dir/$name.git.new" || die "$bundle"
      [ "$head" = - ] || git --git-dir="$dir/$name.git.new" symbolic-ref HEAD "$head" || die "$bundle"
      git --git-dir="$dir/$name.git.new" config --remove-section remote.origin
      mv "$dir/$name.git.new" "$dir/$name.git" || exit 1
    fi
    say "$dir/$name.git   was $url"
    [ -z "$push" ] || git --git-dir="$dir/$name.git" push -q --mirror "$push/$name.git" </dev/null ||
      die "$name was not pushed"
  done <"$here/git/index"
}

# ---- a hub's other clusters ----
clusters() {
  [ -f "$here/clusters/index" ] || { say 'There are none: this is not from a hub.'; return 0; }
  cat "$here/clusters/index"
}

# The folder of $1, which is a name, a server or that folder.
find_part() {
  part=
  [ ! -f "$here/clusters/index" ] || while read -r folder server name; do
    case $1 in "$folder" | "$server" | "$name") ;; *) continue ;; esac
    [ -z "$part" ] || die "$1 may be several: $part, $here/clusters/$folder"
    part=$here/clusters/$folder
  done <"$here/clusters/index"
  [ -n "$part" ] || die "there is no cluster $1: restore.sh clusters tells which there are"
}

# ---- objects ----
part=$here cluster=
ids= context= limit=300 force= keep_going= yes= secrets=yes
kube() {
  if [ -n "$context" ]; then kubectl --context "$context" "$@"; else kubectl "$@"; fi
}

options() {
  while [ $# -gt 0 ]; do
    case $1 in
    -i | --context | --wait | --cluster) [ $# -gt 1 ] || die "$1 wants a value" ;;
    esac
    case $1 in
    -i)
      [ -r "$2" ] || die "$2 cannot be read"
      case $2 in *[[:space:]]*) die "a path without blanks is wanted: $2" ;; esac
      ids="$ids -i $2"
      shift
      ;;
    --no-secrets) secrets= ;;
    --context) context=$2; shift ;;
    --cluster) # one that is empty by mistake is not the hub's own
      case $2 in '' | -) die '--cluster wants a name' ;; esac
      cluster=$2
      shift
      ;;
    --wait) limit=$2; shift ;;
    --force-conflicts) force=--force-conflicts ;;
    --keep-going) keep_going=yes ;;
    --yes) yes=yes ;;
    *) die "there is no option $1" ;;
    esac
    shift
  done
  case $limit in '' | *[!0-9]*) die '--wait wants seconds' ;; esac
  [ -z "$cluster" ] || find_part "$cluster"
}

# What did not come: the end, or a line to be told again last.
lost() {
  [ -n "$keep_going" ] || die "$1
Mend it, then run the same command again: it continues."
  troubles="$troubles
  $1"
}

# The manifests in $text, which come from $1. What is refused at first, since a webhook or a definition is on its
# way, is sent again; what others own is not.
apply() {
  tries=0
  until out=$(printf '%s\n' "$text" |
    kube apply --server-side --field-manager=regrow --validate=ignore $force -f - 2>&1); do
    case $out in
    *conflict*'--force-conflicts'*)
      printf '%s\n' "$out" >&2
      lost "$1: fields belong to others; --force-conflicts takes them"
      return
      ;;
    esac
    [ "$tries" != 0 ] || say "      not taken yet: $(printf '%s\n' "$out" | grep -v -e ' serverside-applied$' | tail -n 1)"
    tries=$((tries + 1))
    if [ $((tries * 2)) -gt "$limit" ]; then
      printf '%s\n' "$out" | grep -v -e ' serverside-applied$' >&2
      lost "$1 was not taken within $limit s"
      return
    fi
    sleep 2
  done
}

open_secrets() {
  [ -n "$secrets" ] || return 0
  text=$(age -d $ids "$part/$1") || die "$1 does not open with what was given by -i"
  apply "$1"
  text=
}

wait_for() { # must|may HOW NAMESPACE TARGET
  ns=
  [ "$3" = - ] || ns="-n $3"
  case $2 in
  rollout) set -- "$1" "$4" rollout status "$4" ;;
  *) set -- "$1" "$4" wait --for="condition=$2" "$4" ;;
  esac
  must=$1 target=$2
  shift 2
  out=$(kube "$@" $ns --timeout="${limit}s" 2>&1) && return 0
  if [ "$must" = must ]; then
    printf '%s\n' "$out" >&2
    lost "$target ${ns#-n } did not become ready within $limit s"
  else
    troubles="$troubles
  $target ${ns#-n } is not ready: $(printf '%s' "$out" | tail -n 1)"
  fi
}

confirm() {
  uid=$(kube get namespace kube-system -o 'jsonpath={.metadata.uid}') || die 'the cluster does not answer'
  name=${context:-$(kubectl config current-context)}
  say "Target: $name (uid $uid)"
  if [ -n "$cluster" ]; then
    say "It gets what goes to cluster $cluster."
  elif [ -f "$here/clusters/index" ]; then
    say "It gets what goes to the hub's own cluster; --cluster NAME is for another."
  fi
  [ -z "$yes" ] || return 0
  printf 'Type its name to go on: '
  read -r answer </dev/tty || die 'nobody to ask: --yes goes on without'
  [ "$answer" = "$name" ] || die 'nothing was done'
}

objects() {
  options "$@"
  need kubectl
  troubles=
  if [ -n "$secrets" ] && grep -q '^secrets ' "$part/steps"; then
    need age
    [ -n "$ids" ] || die '-i FILE is wanted, which opens the Secrets (or --no-secrets)'
  fi
  check
  confirm
  steps=$(grep -c '' "$part/steps")
  n=0
  while read -r what a b c d <&3; do
    n=$((n + 1))
    [ "$what" = wait ] || say "[$n/$steps] $what $a"
    case $what in
    apply)
      text=$(cat "$part/$a") || die "$a cannot be read"
      apply "$a"
      ;;
    secrets) open_secrets "$a" ;;
    wait) wait_for "$a" "$b" "$c" "$d" ;;
    delete)
      ns=
      [ "$a" = - ] || ns="-n $a"
      kube delete --ignore-not-found $ns "$b" >/dev/null || lost "$b stays"
      ;;
    *) die "a step that is none: $what" ;;
    esac
  done 3<"$part/steps"
  [ -z "$troubles" ] || { say "All was sent. Not as it should be:$troubles"; exit 10; }
  say 'Everything is there.'
}

case ${1:-} in
check) check ;;
git) shift; check; git_back "$@" ;;
objects) shift; objects "$@" ;;
clusters) clusters ;;
*) usage; exit 2 ;;
esac
