#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The golden repository read with age, zstd, openssl, jq and git alone, by the recipes of
# docs/repository-format.md, section 16: nothing of ours is needed to get everything back.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

golden=$ROOT/tests/snapshot/golden/1
chain=$golden/chains/prod
cd "$SCRATCH"

# The identity of the tests; a slot would hold it.
RAW=$(printf 'epoch 1 0' | sha256sum | cut -d' ' -f1)
REPO=$(jq -r .repo <(head -n1 "$golden/regrow.json"))
PIN=$(sha256sum <"$golden/trust/0001" | cut -d' ' -f1)
"$BUILD/tests/snapshot/tool_age" slot "$RAW" "$REPO" "$PIN" >repo.key

verify() { # FILE PUBLIC_KEY
  head -n1 "$1" >body
  sed -n 2p "$1" | cut -d' ' -f2 | base64 -d >sig
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf %s "$2" | base64 -d; } |
    openssl pkey -pubin -inform DER -out pub.pem
  openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in body -sigfile sig
}

signer() { head -n1 "$golden/trust/0001" | jq -r --arg r "$1" '.signers[]|select(.role==$r).key'; }

# INDEX: that file and what it stands on, oldest first
with_over() { head -n1 "$chain/index/$1" | jq -r '.over[]'; echo "$1"; }

# INDEX: "class id" of every pack
packs() { local i; for i in $(with_over "$1"); do head -n1 "$chain/index/$i" | jq -r '.packs[]|.class+" "+.id'; done; }

kdf() { # SALT_OPTION IKM INFO
  openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "hexkey:$2" $1 -kdfopt "info:$3" HKDF |
    tr -d ':\n' | tr A-F a-f
}

blob_id() { # KIND, content on standard input
  { printf %s "$1"; cat; } | openssl mac -digest SHA256 -macopt "hexkey:$IDKEY" HMAC |
    tr A-F a-f | cut -c1-32
}

log() {
  check "openssl verifies the newest snapshot" verify "$chain/log/0000000002" "$(signer write)"
  check "and the checkpoint" verify "$chain/log/0000000004" "$(signer prune)"
  check "and the verdict" verify "$chain/log/0000000003" "$(signer judge)"
  local n
  for n in 2 3 4; do
    is "$(head -n1 "$chain/log/000000000$n" | jq -r '.prev[0]')" \
      "$(sha256sum <"$chain/log/000000000$((n - 1))" | cut -d' ' -f1)" "prev of $n"
  done
}

names() {
  local f
  for f in "$chain"/packs/* "$chain"/index/*; do
    is "$(sha256sum <"$f" | cut -d' ' -f1)" "${f##*/}" "sha256sum of ${f##*/}"
  done
}

# Every line of the packs of class o, by its id.
lines() {
  local class id kind line
  mkdir -p blobs
  while read -r class id; do
    [[ $class == o ]] || continue
    while IFS= read -r line; do
      for kind in r l o; do
        printf '%s\n' "$line" >"blobs/$(printf '%s\n' "$line" | blob_id $kind)"
      done
    done < <(age -d -i repo.key "$chain/packs/$id" | zstd -dc)
  done
}

walk() {
  local objects root shard app
  objects=$(head -n1 "$chain/log/0000000002" | jq -r .objects)
  root=$(head -n1 "$chain/log/0000000002" | jq -r .root)
  K=$(kdf "-kdfopt hexsalt:$REPO" "$RAW" "regrow/1 chain prod")
  IDKEY=$(kdf "-kdfopt hexsalt:$(printf '0%.0s' {1..64})" "$K" "regrow/1 id")
  packs "$objects" | lines
  is "$(jq -r .type "blobs/$root")" "regrow root v1" "the root has the id its entry says"
  shard=$(jq -r '.shards.blobs[0]' "blobs/$root")
  app=$(jq -r '.applications[]|select(.name=="web").blob' "blobs/$shard")
  is "$(jq -r .name "blobs/$app")" web "from root to shard to application"
  for id in $(jq -r '.objects[].blob//empty' "blobs/$app"); do cat "blobs/$id"; done >objects.json
  is "$(jq -rs 'map(.metadata.name+" "+.data.greeting)|join(", ")' objects.json)" \
    "a good morning, b the same" "to its objects, as the second snapshot has them"
  is "$(jq -r '.objects[]|select(.secret).name' "blobs/$app")" login "Secrets are named only"
}

secrets() {
  local objects id class
  objects=$(head -n1 "$chain/log/0000000002" | jq -r .objects)
  packs "$objects" | while read -r class id; do
    [[ $class != s ]] || age -d -i repo.key "$chain/packs/$id" | zstd -dc
  done >secrets.json
  is "$(jq -r 'select(.object.metadata.name=="login" and .from=="desired").object.stringData.password' \
    secrets.json | sort -u)" "correct horse battery staple" "and lie in the pools"
}

git_packs() {
  local index i n p
  index=$(head -n1 "$chain/log/0000000002" | jq -r .git)
  git init -q --bare restored.git
  for i in $(with_over "$index"); do
    for n in $(head -n1 "$chain/index/$i" | jq -r '[.packs[].git]|unique[]'); do
      for p in $(head -n1 "$chain/index/$i" | jq -r --argjson n "$n" '.packs[]|select(.git==$n).id'); do
        age -d -i repo.key "$chain/packs/$p" | zstd -dc
      done | git -C restored.git index-pack --stdin --fix-thin >/dev/null
    done
  done
  is "$(git -C restored.git show 8e5e43065c6a16fd00958c4de3f4f6fad8085c6c:clusters/a.yaml | tail -n1)" \
    "  greeting: good morning" "commits come back by their own names"
  check "and are whole" git -C restored.git fsck --strict 8e5e43065c6a16fd00958c4de3f4f6fad8085c6c
}

# The same by the script that is there for that day.
emergency() {
  local script=$ROOT/scripts/emergency.sh f
  refuse 'no pin' 9 sh "$script" "$golden" out -i repo.key
  like "$OUT" "$PIN" 'is shown'
  refuse 'a wrong pin' 9 sh "$script" "$golden" out -i repo.key --trust "${PIN//[0-7]/8}"
  check 'emergency.sh' sh "$script" "$golden" out -i repo.key --trust "$PIN" --chain prod
  is "$(stat -c %a out)" 700 'for its owner alone'
  is "$(cat out/objects/*-web/*.json | jq -rs 'map(.metadata.name+" "+.data.greeting)|join(", ")')" \
    'a good morning, b the same' 'objects'
  is "$(jq -r 'select(.object.metadata.name=="login" and .from=="desired").object.stringData.password' out/secrets.json | sort -u)" \
    'correct horse battery staple' 'Secrets'
  is "$(git --git-dir=out/git/platform.git show HEAD:clusters/a.yaml | tail -n1)" '  greeting: good morning' 'Git, by its refs'
  is "$(find out/sources -type f ! -name '*.json' -size 11c | wc -l)" 1 'a chart'
  check 'an older one' sh "$script" "$golden" older -i repo.key --trust "$PIN" --snapshot 1
  isnt "$(cat older/objects/*-web/*.json | sha256sum)" "$(cat out/objects/*-web/*.json | sha256sum)" 'is another'
  refuse 'one that is not there' 4 sh "$script" "$golden" none -i repo.key --trust "$PIN" --snapshot 77
  cp -r "$golden" bad
  chmod -R u+w bad
  f=bad/chains/prod/packs/$(head -n1 "$chain/index/$(head -n1 "$chain/log/0000000001" | jq -r .objects)" | jq -r '.packs[0].id')
  printf '!xyz' | dd of="$f" bs=1 seek=300 conv=notrunc 2>/dev/null
  refuse 'a damaged pack' 9 sh "$script" bad none -i repo.key --trust "$PIN" --snapshot 1
  like "$OUT" damaged 'is told'
  rm -rf bad
  cp -r "$golden" bad
  chmod -R u+w bad
  sed -i 's/"state":"good"/"state":"goof"/' bad/chains/prod/log/0000000002
  refuse 'an entry that was changed' 4 sh "$script" bad none -i repo.key --trust "$PIN" --snapshot 2
  like "$OUT" 'log/0000000002 is not signed' 'is told'
  mkdir -p empty/trust
  cp "$golden"/trust/* empty/trust/
  refuse 'a repository that nobody has written to' 4 sh "$script" empty none -i repo.key --trust "$PIN"
  like "$OUT" 'no snapshot was ever written to empty' 'is told'
  is "$(ls -d none* 2>/dev/null)" '' 'nothing half is left'
}

# A checkpoint leaves out that a judge called the good one bad: whoever wrote since remembers it.
left_out() {
  local script=$ROOT/scripts/emergency.sh left=$ROOT/tests/snapshot/golden/1-left-out
  refuse 'none that is good' 4 sh "$script" "$left" none -i repo.key --trust "$PIN"
  like "$OUT" 'there is no such snapshot: none is good.*: [0-9 ]*2' 'is left, and those that are there are named'
  check 'by its number' sh "$script" "$left" by-number -i repo.key --trust "$PIN" --snapshot 2
}

# Index files and tables whose rows are compressed: the same comes back. A flag of tomorrow is not
# read over.
zstd_rows() {
  local script=$ROOT/scripts/emergency.sh golden=$ROOT/tests/snapshot/golden/1-zstd-rows
  like "$(head -qc 26 "$golden"/chains/prod/index/*)" 'regrow index v2' 'index files of version 2'
  check 'emergency.sh' sh "$script" "$golden" zstd -i repo.key --trust "$PIN" --chain prod
  [[ -d out ]] || check 'and without' sh "$script" "$ROOT/tests/snapshot/golden/1" out -i repo.key --trust "$PIN" --chain prod
  check 'the same comes back' diff -r -x hooks -x pack -x info out zstd
  cp -r "$golden" tomorrow
  chmod -R u+w tomorrow
  rm tomorrow/trust/0002
  sed 's/"zstd-rows"/"tomorrow"/' "$golden/trust/0002" >tomorrow/trust/0002
  refuse 'a forged flag' 9 sh "$script" tomorrow none -i repo.key --trust "$PIN"
  like "$OUT" 'not signed by the admins' 'is not looked at'
}

# Index files that are one zstd stream, and a list in pages: the same comes back.
pages() {
  local script=$ROOT/scripts/emergency.sh golden=$ROOT/tests/snapshot/golden/1-pages index
  for index in "$golden"/chains/prod/index/*; do
    like "$(zstd -dcq "$index")" '^.{9}regrow index v3' 'zstd shows the line of an index file of version 3'
  done
  check 'emergency.sh' sh "$script" "$golden" paged -i repo.key --trust "$PIN" --chain prod
  [[ -d out ]] || check 'and without' sh "$script" "$ROOT/tests/snapshot/golden/1" out -i repo.key --trust "$PIN" --chain prod
  check 'the same comes back' diff -r -x hooks -x pack -x info out paged
  is "$(find paged/objects -path '*-web/*' | wc -l)" 2 'with the objects of both pages'
}

# A copier that does not keep times makes it look new, and what is signed tells: both are shown.
looks_new() {
  export REGROW_REPO=$PWD/new REGROW_TRUST=$PIN
  cp -r "$golden" new
  like "$("$REGROW" snapshot list)" 'signed 2026-01-01 00:00 UTC.*RPO now [0-9]+ s since it was stored here, and [0-9]+ d since what it holds was signed' 'list'
  like "$("$REGROW" snapshot show 2)" 'taken +2026-01-01 00:00 UTC, by what is signed' 'show'
  is "$("$REGROW" snapshot list -o json | jq -c '.chains[0] | [.rpoSeconds < 600, .rpoSignedSeconds > 86400]')" '[true,true]' 'and JSON'
  find new/chains/prod/log -type f -exec touch -d 2026-01-01T00:05:00Z {} +
  unlike "$("$REGROW" snapshot list; "$REGROW" snapshot show 2)" 'signed 2026|taken ' 'a little apart they are one'
}

# What a log has lost is said aloud, and what is there comes back all the same.
copy_log() { # a copy of the golden repository to do harm to
  rm -rf bad rescued
  cp -r "$golden" bad
  chmod -R u+w bad
  log=bad/chains/prod/log
}
rescue() { OUT=$(sh "$ROOT/scripts/emergency.sh" bad rescued -i repo.key --trust "$PIN" "$@" 2>&1); }
holes() {
  local last log
  copy_log
  last=4:$(sha256sum <"$log/0000000004" | cut -d' ' -f1)
  rescue --expect-last "$last"
  unlike "$OUT" WARNING 'a whole log: nothing to warn of'
  rm "$log/0000000001"
  rm -rf rescued
  rescue
  like "$OUT" 'WARNING: entry 1, which is to stay, is missing.*in clear
WARNING: entry 1, ' 'an entry that a checkpoint keeps is missing: warned of, first and last'
  copy_log
  rm "$log/0000000004"
  rescue
  unlike "$OUT" WARNING 'the end is missing: the log cannot tell'
  rm -rf rescued
  rescue --expect-last "$last"
  like "$OUT" 'WARNING: the log ends at 3, and entry 4 is remembered' 'who remembers it can'
  rm "$log/0000000002"
  rm -rf rescued
  rescue
  like "$OUT" 'WARNING: entry 2 of the log is missing' 'a hole'
  like "$OUT" 'WARNING: what entry 3 follows is missing' 'and what hung on it'
  like "$OUT" 'snapshot 1 of prod' 'the newest that is left comes back'
  check 'with what it has' test -s rescued/secrets.json
  copy_log
  sed 's/"seq":3/"seq":5/' "$log/0000000003" >"$log/0000000005"
  rescue
  like "$OUT" 'WARNING: .*/0000000005 is not signed by anybody who could: passed over' 'a forged entry'
  copy_log
  cp "$log/0000000003" "$log/0000000005"
  rescue
  like "$OUT" 'WARNING: .*/0000000005 is not signed' 'an entry under another number'
  copy_log
  # A verdict that nobody signed would choose what comes back.
  sed '1s/"verdict":"[a-z]*"/"verdict":"bad"/' "$log/0000000003" >"$log/0000000005"
  sed -i '1s/"seq":3/"seq":5/' "$log/0000000005"
  rescue
  like "$OUT" 'snapshot 2 of prod' 'a forged verdict chooses nothing'
}

run_case log log
run_case names names
run_case walk walk
run_case secrets secrets
run_case git git_packs
run_case emergency emergency
run_case left-out left_out
run_case zstd-rows zstd_rows
run_case pages pages
run_case 'looks new' looks_new
run_case holes holes
