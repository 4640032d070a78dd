#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# scripts/emergency.sh with nothing on the PATH but age, zstd, openssl, jq, git and what every POSIX
# system has. Of a hub the same bytes come out that another reader finds (tests/lib/stranger.py), for
# each cluster, also of a suspect snapshot: what could not be read is as it was before, and warned of.
# Lists in pages, long ones too. Whatever goes wrong is one line that says what to do, with the exit
# code that regrow has for it, and leaves nothing behind.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
cd "$SCRATCH"
export XDG_CACHE_HOME=$SCRATCH/cache REGROW_REPO=$SCRATCH/repo

app() { # NAME PATH DESTINATION REPOSITORY
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: %s, namespace: argocd}\nspec:\n  project: default\n  source: {repoURL: "file://%s", path: %s, targetRevision: main}\n  destination: {%s, namespace: %s}\n' \
    "$1" "$SCRATCH/$4" "$2" "$3" "$1"
}
commit() { # REPOSITORY
  git -C "$1" add -A && git -C "$1" -c user.name=t -c user.email=t@example.com commit -qm more
}
here='server: https://kubernetes.default.svc'

# An application of the hub leads to one that stays and to two that go to a spoke.
make_hub() {
  local i
  mkdir -p apps/web apps/db apps/many more/teams more/t1 'root/with a blank'
  for i in web db; do
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {text: "Zürich \\\\ 100%%"}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {a: hunter-%s}\n' $i $i >apps/$i/a.yaml
  done
  for i in {1..60}; do
    printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%s}\ndata: {n: "%s"}\n' "$i" "$((i / 2))"
  done >apps/many/a.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\n' >more/t1/a.yaml
  app team-1 t1 'name: east' more >more/teams/1.yaml
  app team-2 t1 'name: east' more >more/teams/2.yaml
  app team-here t1 "$here" more >more/teams/3.yaml
  for i in apps more; do
    git init -q -b main $i
    commit $i
  done
  app web web 'name: east' apps >root/web.yaml
  app db db 'server: https://west.example.com' apps >root/db.yaml
  app db-here db "$here" apps >root/here.yaml
  app many many "$here" apps >root/many.yaml
  app teams teams "$here" more >root/teams.yaml
  printf 'not an object\n' >'root/with a blank/b\ck.txt'
  : >root/empty.txt
  printf '#!/bin/sh\n' >root/run.sh
  chmod 755 root/run.sh
}

bare_path() {
  local tool
  mkdir bare
  for tool in age zstd openssl jq git sh awk sed grep cat mkdir rm mv cp ls chmod sha256sum base64 head tail cut tr wc od dd sort join comm uniq paste id; do
    ln -s "$(command -v $tool)" bare/$tool
  done
}
rescue() { env -i PATH="$SCRATCH/bare" HOME="$SCRATCH/nobody" sh "$ROOT/scripts/emergency.sh" "$@"; }

saved() {
  make_hub
  bare_path
  for who in ann eve; do age-keygen -o $who.id 2>/dev/null; done
  "$REGROW" snapshot init --out admin.age --recipient "$(age-keygen -y ann.id)" --single >init.txt
  age -d -i ann.id admin.age >admin
  chmod 600 admin
  PIN=$(sed -n 's/^ *pin //p' init.txt)
  export REGROW_TRUST=$PIN
  "$REGROW" snapshot key add --key admin -i ann.id --role writer --chain prod --out job.key >/dev/null
  check 'a hub is saved' "$REGROW" snapshot create --key job.key root
  mv more away
  rm -r apps/db
  commit apps
  refuse 'with an application that cannot be read it is suspect' 10 "$REGROW" snapshot create --key job.key root
  mv away more
}

# The bytes are those that another reader finds, in whatever order.
same_as_stranger() { # SEQ WHAT
  local where
  "$LIB/stranger.py" repo prod "$1" ann.id "strange$1"
  for where in . clusters/east clusters/west.example.com; do
    is "$(sort "strange$1/$where/objects.jsonl" | sha256sum)" "$(cat "out$1/$where"/objects/*/*.json | sort | sha256sum)" "$2 of $where"
    is "$(sort "strange$1/$where/secrets.jsonl" | sha256sum)" "$(sort "out$1/$where/secrets.json" | sha256sum)" 'and its Secrets'
  done
  is "$(cd "strange$1/files/0" && find . -type f -exec sha256sum {} + | sort)" \
    "$(cd "out$1/sources/001" && find . -type f -exec sha256sum {} + | sort)" 'and the files of the folder, by their names'
}

good() {
  OUT=$(rescue repo out1 -i ann.id --trust "$PIN" 2>&1)
  like "$OUT" 'of [0-9]+ applications, [0-9]+ objects' 'tells how far it is'
  unlike "$OUT" WARNING 'nothing to warn of'
  like "$OUT" 'all of it is in out1' 'all of it'
  same_as_stranger 1 'every object'
  is "$(ls out1/clusters)" $'east\nwest.example.com' 'a folder for each cluster'
  is "$(jq -c '[.server, .of]' out1/clusters/west.example.com/cluster.json)" '["https://west.example.com","hub"]' 'that says which it is'
  is "$(cat out1/clusters/west.example.com/secrets.json | jq -r '.object.data.a // .object.stringData.a' | base64 -d)" hunter-db 'with its own Secrets'
  is "$(find out1/objects/*-many -name '*.json' | wc -l)" 60 'a list in pages'
  is "$(cd out1/sources/001 && find . -type f -perm -100)" ./run.sh 'what can be run can be run'
  is "$(find out1 -perm /077 | head -3)" '' 'for its owner alone'
  is "$(git --git-dir=out1/git/apps.git rev-parse main)" "$(git -C apps rev-parse main~1)" 'and Git'
}

suspect() {
  echo "$PIN" >pin
  OUT=$(rescue repo out2 -i ann.id --trust @pin --snapshot 2 2>&1)
  unlike "$OUT" 'all of it is in' 'does not call itself all'
  same_as_stranger 2 'every object'
  is "$(cd out2 && ls -d objects/*-team-here clusters/east/objects/*-team-* | wc -l)" 3 'also what was found in it before'
  like "$OUT" 'WARNING: application teams could not be read when this snapshot was made: as it was before' 'which is told'
  like "$OUT" 'WARNING: application team-here could not be read' 'of what is below it'
  like "$OUT" 'WARNING: application team-1 of cluster east could not be read' 'on a spoke too'
  is "$(git --git-dir=out2/git/more.git rev-parse main)" "$(git -C more rev-parse main)" 'its Git is there'
}

wrong() { # WHAT CODE WORDS ARGUMENT...
  local what=$1 code=$2 words=$3
  shift 3
  refuse "$what" "$code" rescue "$@"
  like "$(tail -n 1 <<<"$OUT")" "^emergency.sh: .*$words" 'says what it is'
  is "$(grep -v -e '^looking at' -e '^checking' -e '^snapshot' -e '^every file' <<<"$OUT" | wc -l)" 1 'in one line'
  is "$(ls -d none* 2>/dev/null)" '' 'nothing is left'
}

errors() {
  local first
  wrong 'nothing' 2 'are wanted'
  wrong 'an option that there is not' 2 'is no option' repo none -i ann.id --all
  wrong 'an address' 2 'copy its files into one first' s3://bucket/x none -i ann.id
  wrong 'no file with the pin' 4 'there is no nopin to read the pin from' repo none -i ann.id --trust @nopin
  wrong 'no such repository' 4 'there is no nowhere' nowhere none -i ann.id --trust "$PIN"
  wrong 'a file' 4 'is no folder' ann.id none -i ann.id --trust "$PIN"
  wrong 'another folder' 4 'is no repository of snapshots' apps none -i ann.id --trust "$PIN"
  wrong 'no such identity' 4 'there is no lost.id' repo none -i lost.id --trust "$PIN"
  wrong 'what is no identity' 5 'is no age key file' repo none -i init.txt --trust "$PIN"
  wrong 'one of somebody else' 5 'opens no slot of epoch 1' repo none -i eve.id --trust "$PIN"
  wrong 'OUT is there' 6 'is there already' repo apps -i ann.id --trust "$PIN"
  wrong 'no place for OUT' 4 'there is no folder nowhere/' repo nowhere/none -i ann.id --trust "$PIN"
  wrong 'no such chain' 4 'there is no chain test, but: prod' repo none -i ann.id --trust "$PIN" --chain test
  wrong 'no such snapshot' 4 'These are there: 1 2' repo none -i ann.id --trust "$PIN" --snapshot 7
  cp -r repo harmed
  first=$(zstd -dcq "harmed/chains/prod/index/$(head -n1 repo/chains/prod/log/0000000001 | jq -r .objects)" | jq -r '.packs[0].id')
  rm "harmed/chains/prod/packs/$first"
  wrong 'a pack is missing' 9 "packs/$first: missing" harmed none -i ann.id --trust "$PIN"
  head -c 400 "repo/chains/prod/packs/$first" >"harmed/chains/prod/packs/$first"
  wrong 'half of one' 9 "packs/$first is damaged" harmed none -i ann.id --trust "$PIN"
  cp -r repo closed
  rm closed/keys/*
  wrong 'the slots are missing' 9 'opens no slot that is there, and keys/[0-9a-f]+ is missing' closed none -i ann.id --trust "$PIN"
  first=index/$(head -n1 repo/chains/prod/log/0000000001 | jq -r .objects)
  cp -r repo unlisted
  rm "unlisted/chains/prod/$first"
  wrong 'an index file is missing' 9 "$first: missing" unlisted none -i ann.id --trust "$PIN" --snapshot 1
  head -c 100 "repo/chains/prod/$first" >"unlisted/chains/prod/$first"
  wrong 'half of one' 9 "$first is damaged" unlisted none -i ann.id --trust "$PIN" --snapshot 1
  rm bare/jq
  wrong 'a tool is missing' 1 'not on the PATH: jq' repo none -i ann.id --trust "$PIN"
  ln -s "$(command -v jq)" bare/jq
}

# As somebody who may not read it, in a place that is not his, and where there is no space.
denied() {
  local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  if ! "${as[@]}" true 2>/dev/null; then
    skip 'what may not be read' 'not root'
    return
  fi
  rescue() { "${as[@]}" env -i PATH="$SCRATCH/bare" sh "$ROOT/scripts/emergency.sh" "$@"; }
  chmod 755 . && mkdir -m 777 everybody
  cp -r repo open
  cp ann.id open.id
  chmod -R a+rX open open.id
  wrong 'OUT in the place of somebody else' 5 'may not be written to by' open none -i open.id --trust "$PIN"
  wrong 'the identity of somebody else' 5 'ann.id may not be read by' open everybody/none -i ann.id --trust "$PIN"
  chmod 600 open/chains/prod/packs/*
  wrong 'packs that may not be read' 5 'may not be read by .*: run it as the owner of open' open everybody/none -i open.id --trust "$PIN"
  chmod 700 open
  wrong 'a repository that may not' 5 'open may not be read by' open everybody/none -i open.id --trust "$PIN"
  is "$(ls everybody)" '' 'nothing is left there'
}
full() {
  rescue() { (ulimit -f 8 && env -i PATH="$SCRATCH/bare" sh "$ROOT/scripts/emergency.sh" "$@"); }
  wrong 'no file may be long' 7 'there is no space left in' repo none -i ann.id --trust "$PIN"
  if ! unshare -rm true 2>/dev/null; then
    skip 'a full disk' 'no mounts of its own'
    return
  fi
  mkdir small
  rescue() {
    unshare -rm sh -c 'mount -t tmpfs -o size=300k small small && shift && PATH=$1 && shift && exec sh "$@"' sh x \
      "$SCRATCH/bare" "$ROOT/scripts/emergency.sh" "$@"
  }
  wrong 'a full disk' 7 'there is no space left in' repo small/none -i ann.id --trust "$PIN"
}

run_case saved saved
PIN=$(sed -n 's/^ *pin //p' init.txt)
run_case good good
run_case suspect suspect
run_case errors errors
run_case denied denied
run_case full full
