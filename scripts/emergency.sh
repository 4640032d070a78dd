#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: emergency.sh REPOSITORY OUT -i IDENTITY [--trust PIN] [--chain NAME] [--snapshot SEQ]
#                     [--expect-last SEQ:HASH]
#
# Reads a snapshot out of a repository without regrow, with age, zstd, openssl, jq and git, as
# docs/repository-format.md describes it. REPOSITORY is a folder: of a bucket, a copy of its files.
# IDENTITY is an age key file that opens a slot, or what `age -d keys/SLOT` printed (of a passphrase).
# Without --snapshot the newest good one. Entries that the log lost, and files that nobody signed, are
# warned of, first and last: what is missing may be newer than what comes back. That the end of a log
# is missing only who remembers it can tell: --expect-last, as "snapshot list" prints it.
# OUT becomes a folder of mode 0700 with
#
#   objects/NNN-APP/NNNN.json   as they would be sent (000-live: what no application owned)
#   secrets.json                a line each, in clear
#   git/NAME.git                all refs and commits          sources/NNN/   charts, artifacts, folders
set -eu
umask 077

die() {
  printf 'emergency.sh: %s\n' "$*" >&2
  exit 1
}
say() { printf '%s\n' "$*" >&2; }

repo= out= identity= pin= chain= seq= last=
while [ $# -gt 0 ]; do
  case $1 in
  -i | --trust | --chain | --snapshot | --expect-last) [ $# -gt 1 ] || die "$1 wants a value" ;;
  esac
  case $1 in
  -i) identity=$2; shift ;;
  --trust) pin=$2; shift ;;
  --chain) chain=$2; shift ;;
  --snapshot) seq=$2; shift ;;
  --expect-last) last=$2; shift ;;
  -*) sed -n '4,18s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  *) if [ -z "$repo" ]; then repo=$1; else out=$1; fi ;;
  esac
  shift
done
case $last in
"" | [1-9]*:????????????????????????????????????????????????????????????????) ;;
*) die '--expect-last wants SEQ:HASH, as snapshot list -o json prints it' ;;
esac
[ -n "$repo" ] && [ -n "$out" ] && [ -n "$identity" ] || die 'REPOSITORY, OUT and -i IDENTITY are wanted'
for tool in age zstd openssl jq git sha256sum od; do
  command -v "$tool" >/dev/null || die "$tool is not on the PATH"
done
[ -f "$repo/trust/0001" ] || die "$repo is no repository of snapshots"
[ ! -e "$out" ] || die "$out is there already"
work=$out.work.$$
mkdir "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

hash_of() { sha256sum <"$1" | cut -d' ' -f1; }

# ---- who may be believed ----
holds() { # FILE LINE KEY: is that line a signature by that key (base64)?
  head -n1 "$1" >"$work/body"
  sed -n "${2}p" "$1" | cut -d' ' -f2 | base64 -d >"$work/sig" 2>/dev/null || return 1
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf %s "$3" | base64 -d; } >"$work/pub"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/pub" -rawin -in "$work/body" \
    -sigfile "$work/sig" >/dev/null 2>&1
}
signed_by() { # FILE NEED, keys on standard input: by so many of them?
  valid=0 lines=$(wc -l <"$1")
  while read -r key; do
    line=2
    while [ "$line" -le "$lines" ]; do
      if holds "$1" "$line" "$key"; then
        valid=$((valid + 1))
        break
      fi
      line=$((line + 1))
    done
  done
  [ "$valid" -ge "$2" ]
}
admins() { head -n1 "$1" | jq -r '.admins.keys[].key'; }
need() { head -n1 "$1" | jq -r .admins.need; }

is=$(hash_of "$repo/trust/0001")
[ -n "$pin" ] || die "nobody says that this is the right repository. Its pin is
  $is
If that is what init printed: --trust $is"
[ "$pin" = "$is" ] || die "the pin is $is: another repository"
before=$repo/trust/0001
admins "$before" | signed_by "$before" "$(need "$before")" || die 'trust/0001 is not signed by its admins'
for file in "$repo"/trust/[0-9][0-9][0-9][0-9]; do
  [ "$file" != "$before" ] || continue
  [ "$(head -n1 "$file" | jq -r .prev)" = "$(hash_of "$before")" ] || die "$file does not follow $before"
  admins "$before" | signed_by "$file" "$(need "$before")" || die "$file is not signed by the admins before"
  before=$file
done
head -n1 "$before" >"$work/trust"
for file in "$repo"/trust/[0-9][0-9][0-9][0-9]; do head -n1 "$file"; done >"$work/trusts"

# ---- what the log says ----
[ -d "$repo/chains" ] || die "no snapshot was ever written to $repo"
if [ -z "$chain" ]; then
  chain=$(ls "$repo/chains")
  [ "$(printf '%s\n' "$chain" | wc -l)" = 1 ] || die "--chain is wanted, one of: $(echo $chain)"
fi
dir=$repo/chains/$chain
[ -d "$dir/log" ] || die "there is no chain $chain"
: >"$work/warnings"
warn() { printf '%s\n' "$*" >>"$work/warnings"; }
warnings() { sed 's/^/WARNING: /' "$work/warnings" >&2; }
keys_of() { # ROLE SEQ: who may sign such a number
  jq -r --arg r "$1" --arg c "$chain" --argjson s "$2" '.signers[] | select(.role == $r and
    (.chains | length == 0 or index($c)) and ((.until[$c] // $s) >= $s)) | .key' "$work/trust"
}
for role in write prune judge; do # who could at any time
  jq -rs --arg r "$role" --arg c "$chain" 'map(.signers[] | select(.role == $r and
    (.chains | length == 0 or index($c))) | .key) | unique[]' "$work/trusts" >"$work/ever-$role"
done
flag=$(jq -r '.features.read // [] | map(select(IN("pages", "salted-files", "zstd-index", "zstd-rows") | not)) | .[0] // empty' "$work/trust")
[ -z "$flag" ] || die "the repository needs \"$flag\" to be read, which this script does not know"
id=$(jq -r .repo "$work/trust")
# Nothing of an entry is looked at before a signature holds; the text it begins with says whose.
log_entry() { # FILE NUMBER: its line, with its place and whether it counts
  case $(head -c 24 "$1") in
  '{"type":"regrow snapshot'*) role=write ;;
  '{"type":"regrow checkpoi'*) role=prune ;;
  '{"type":"regrow verdict '*) role=judge ;;
  *) return 1 ;;
  esac
  signed_by "$1" 1 <"$work/ever-$role" || return 1
  counts=false
  keys_of "$role" "$2" | signed_by "$1" 1 && counts=true
  head -n1 "$1" | jq -ce --arg file "$1" --arg hash "$(hash_of "$1")" --arg chain "$chain" \
    --argjson n "$2" --argjson counts "$counts" --arg repo "$id" '
    select(.seq == $n and .chain == $chain and .repo == $repo) + {$file, $hash, $counts}'
}
: >"$work/log"
for file in "$dir"/log/*; do
  n=$(basename "$file")
  case $n in
  [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9] | \
    [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-*) ;;
  *) continue ;;
  esac
  n=$(printf %s "${n%%-*}" | sed 's/^0*//')
  log_entry "$file" "${n:-0}" >>"$work/log" || warn "$file is not signed by anybody who could: passed over"
done
# A number counts from the newest checkpoint on, and below it what that one keeps. From there on every
# number has to be there, and all that an entry names before it.
jq -rs --arg last "$last" --argjson trust "$(jq .n "$work/trust")" '
  (map(select(.type == "regrow checkpoint v1" and .counts)) | max_by(.seq)) as $c
  | ($c.seq // 1) as $from
  | (map({key: .hash, value: true}) | from_entries) as $hashes
  | (map({key: (.seq | tostring), value: true}) | from_entries) as $numbers
  | ($last | split(":")) as $want
  | ((map(.seq) | max // 0) as $head
    | (range($from; $head) | select($numbers[tostring] | not) | "entry \(.) of the log is missing"),
      (if $last == "" then empty
       elif ($want[0] | tonumber) > $head then "the log ends at \($head), and entry \($want[0]) is remembered: it was rolled back"
       elif ($want[0] | tonumber) >= $from and ($hashes[$want[1]] | not) then "entry \($want[0]) is not the one that is remembered"
       else empty end)),
    (.[] | select(.seq > $from) | .seq as $n | .prev[] | select($hashes[.] | not) | "what entry \($n) follows is missing, or was changed"),
    (.[] | select(.seq == 1 and (.prev | length) > 0) | "entry 1 follows another"),
    ($c | .keep[]?, .wait[]? | select($hashes[.[1]] | not) | "entry \(.[0]), which is to stay, is missing or was changed"),
    ((map(.trust) | max // 0) as $newest | select($newest > $trust) | "trust/\($newest) is missing: who was revoked since is not known")
  ' "$work/log" | awk '!seen[$0]++' >"$work/holes"
cat "$work/holes" >>"$work/warnings"
warnings

# ---- which snapshot ----
# Of good and bad what a judge said last counts; else what the writer said. What was called bad by an entry
# that is not there any more, as others remember, or may have been, is not good until a judge says so.
jq -rs --arg want "$seq" '
  map(select(.counts))
  | (map(select(.type == "regrow checkpoint v1")) | max_by(.seq)) as $c
  | ($c.seq // 1) as $from
  | ([$c | .keep[]?, .wait[]? | .[1]] | map({key: ., value: true}) | from_entries) as $stays
  | map(select(.seq >= $from or $stays[.hash]))
  | (map(select(.type == "regrow verdict v1" and (.verdict == "good" or .verdict == "bad"))) | sort_by(.seq)
    | map({key: .of[1], value: {verdict, seq}}) | from_entries) as $said
  | map(select(.type != "regrow checkpoint v1")) as $who
  | ([$c.lost // 0, ($who[] | .lost // 0 | select(. < $from))] | max) as $lost
  | ([$who[] | .bad[]? | select(.[2] < $from)] | sort_by(.[2]) | map({key: .[1], value: .[2]}) | from_entries) as $bad
  | map(select(.type == "regrow snapshot v1")) | sort_by(.seq) | reverse
  | map(. + {doubt: ([$lost, $bad[.hash] // 0] | max)})
  | map(select(if $want != "" then (.seq | tostring) == $want
      else ($said[.hash].verdict // .state) == "good" and (.doubt <= .seq or .doubt <= ($said[.hash].seq // 0)) end))
  | .[0].file // empty' "$work/log" >"$work/candidate"
[ -s "$work/candidate" ] || die "there is no such snapshot$(
  [ -n "$seq" ] || printf ': none is good. These are there, and --snapshot SEQ takes one of them:%s' \
    "$(jq -r 'select(.type == "regrow snapshot v1") | " \(.seq)"' "$work/log" | tr -d '\n')"
)"
entry=$(cat "$work/candidate")
head -n1 "$entry" >"$work/entry"
say "snapshot $(jq -r .seq "$work/entry") of $chain, $(jq -r '.time | todate? // .' "$work/entry"), $(jq -r .state "$work/entry")"

# ---- what opens it ----
epoch=$(jq -r .epoch "$work/entry")
if grep -q '^# raw ' "$identity"; then
  cp "$identity" "$work/key"
else
  for slot in "$repo"/keys/*; do
    age -d -i "$identity" -o "$work/key" "$slot" 2>/dev/null &&
      grep -q "^# regrow repository $id epoch $epoch\$" "$work/key" && break
    rm -f "$work/key"
  done
fi
[ -f "$work/key" ] || die "$identity opens no slot of epoch $epoch"
grep -q "^# trust $pin\$" "$work/key" || die 'the slot vouches for another repository'
raw=$(sed -n 's/^# raw //p' "$work/key")
kdf() { # KEY SALT INFO
  openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "hexkey:$1" -kdfopt "hexsalt:$2" \
    -kdfopt "info:$3" HKDF | tr -d ':\n' | tr A-F a-f
}
k=$(kdf "$raw" "$id" "regrow/1 chain $chain")

# ---- what it needs, whole, and what lies where ----
named() { # packs|index HASH
  [ -f "$dir/$1/$2" ] || die "$1/$2 is missing"
  [ "$(hash_of "$dir/$1/$2")" = "$2" ] || die "$1/$2 is damaged"
}
line() { # INDEX: its line 1, of version 3 a frame of its own, behind which zstd skips the rest
  case $(head -c 1 "$dir/index/$1") in
  '{') head -n1 "$dir/index/$1" ;;
  *) zstd -dcq <"$dir/index/$1" ;;
  esac
}
with_over() { line "$1" | jq -r '.over[]'; echo "$1"; }
# The box at the end: salt, records, tag. Its name was in what is signed, so that the tag need not be
# looked at; block 0 is that of the tag.
records() { # INDEX: "id kind length pack", in order
  line "$1" >"$work/line"
  box=$(jq '.box // empty' "$work/line")
  [ -n "$box" ] || box=$(($(wc -c <"$dir/index/$1") - $(wc -c <"$work/line")))
  [ "$box" -gt 32 ] || return 0 # no records
  salt=$(tail -c "$box" "$dir/index/$1" | head -c 16 | od -An -v -tx1 | tr -d ' \n')
  tail -c $((box - 16)) "$dir/index/$1" | head -c $((box - 32)) |
    openssl enc -d -chacha20 -K "$(kdf "$k" "$salt" 'regrow/1 index')" -iv 01000000000000000000000000000000 |
    case $(jq -r .type "$work/line") in *v1) cat ;; *) zstd -dcq ;; esac |
    od -An -v -tx1 -w24 | awk '
      function digit(c) { return index("0123456789abcdef", c) - 1 }
      function hex(s) { return 16 * digit(substr(s, 1, 1)) + digit(substr(s, 2, 1)) }
      { id = ""; for (i = 1; i <= 16; i++) id = id $i
        print id, sprintf("%c", hex($23)), hex($17) + 256 * (hex($18) + 256 * (hex($19) + 256 * hex($20))), hex($21) + 256 * hex($22) }'
}
objects=$(jq -r .objects "$work/entry") gits=$(jq -r '.git // ""' "$work/entry")
: >"$work/map"
named index "$objects"
for i in $(with_over "$objects"); do
  named index "$i"
  line "$i" | jq -r '.packs[].id' >"$work/packs"
  while read -r p; do named packs "$p"; done <"$work/packs"
  records "$i" | awk -v list="$work/packs" '
    BEGIN { last = -1; while ((getline p < list) > 0) name[n++] = p }
    $4 in name { if ($4 != last) { last = $4; offset = 0 } print $1, $2, name[$4], offset, $3; offset += $3 }' >>"$work/map"
done
[ -z "$gits" ] || { named index "$gits"; for i in $(with_over "$gits"); do
  named index "$i"
  for p in $(line "$i" | jq -r '.packs[].id'); do named packs "$p"; done
done; }
say 'every file it needs is there and whole'

blob() { # ID
  place=$(grep -m1 "^$1 " "$work/map") || die "$1 is in no pack"
  set -- $place
  if [ ! -f "$work/open-$3" ]; then
    age -d -i "$work/key" -o "$work/pack" "$dir/packs/$3" || die "packs/$3 does not open"
    zstd -dcq <"$work/pack" >"$work/open-$3" || die "packs/$3 does not open"
  fi
  # Of a salted piece of a file what stands behind the salt.
  case $2 in h) salt=32 ;; *) salt=0 ;; esac
  tail -c +$(($4 + salt + 1)) "$work/open-$3" | head -c $(($5 - salt))
}
# A list to $work/list and all its rows, one a line, to $work/rows: its own, those of its pages, and what it
# goes on in. Not in a pipe: its end would go unseen.
list() { # ID MEMBER FILTER
  blob "$1" >"$work/list"
  cp "$work/list" "$work/part"
  : >"$work/rows"
  while :; do
    jq -rc --arg m "$2" ".[\$m][]? | $3" "$work/part" >>"$work/rows"
    for page in $(jq -r '.pages.blobs[]?' "$work/part"); do
      blob "$page" >"$work/page"
      jq -rc --arg m "$2" ".[\$m][]? | $3" "$work/page" >>"$work/rows"
    done
    next=$(jq -r '.more.blob // ""' "$work/part")
    [ -n "$next" ] || break
    blob "$next" >"$work/part"
  done
}
short() { basename "$1" .git | tr -c 'A-Za-z0-9._\n-' '_' | sed 's/^[.-]/_/'; }

# ---- everything out ----
mkdir -p "$work/out/objects" "$work/out/git" "$work/out/sources"
blob "$(jq -r .root "$work/entry")" >"$work/root"
n=0
for shard in $(jq -r '.shards.blobs[]' "$work/root"); do
  list "$shard" applications 'select(.blob) | .blob'
  cat "$work/rows" >>"$work/apps"
done
while read -r app; do
  n=$((n + 1))
  list "$app" objects 'select(.blob) | .blob'
  to=$work/out/objects/$(printf '%03d' "$n")-$(short "$(jq -r .name "$work/list")")
  mkdir "$to"
  m=0
  while read -r object; do
    m=$((m + 1))
    blob "$object" >"$to/$(printf '%04d' "$m").json"
  done <"$work/rows"
done <"$work/apps"
say "$n applications"
live=$(jq -r '.live.blob // ""' "$work/root")
if [ -n "$live" ]; then
  list "$live" objects 'select(.blob) | .blob'
  mkdir "$work/out/objects/000-live"
  m=0
  while read -r object; do
    m=$((m + 1))
    blob "$object" >"$work/out/objects/000-live/$(printf '%04d' "$m").json"
  done <"$work/rows"
fi

: >"$work/out/secrets.json"
for ref in $(jq -r '.secrets[].blob' "$work/root"); do
  blob "$ref" >"$work/list"
  for pool in $(jq -r '.blobs[]' "$work/list"); do blob "$pool" >>"$work/out/secrets.json"; done
done
say "$(grep -c '' "$work/out/secrets.json" || true) Secrets"

list "$(jq -r .sources.blob "$work/root")" sources 'select(.blob) | .blob'
mv "$work/rows" "$work/sources"
n=0
while read -r source; do
  n=$((n + 1))
  list "$source" files .
  [ -s "$work/rows" ] || continue
  mv "$work/rows" "$work/files"
  to=$work/out/sources/$(printf '%03d' "$n")
  mkdir "$to"
  blob "$source" >"$work/list"
  jq 'del(.files)' "$work/list" >"$to.json"
  while read -r file; do
    path=$(printf '%s\n' "$file" | jq -r .path)
    case /$path/ in */../* | //*) die "a file whose path leads elsewhere: $path" ;; esac
    mkdir -p "$to/$(dirname "$path")"
    for piece in $(printf '%s\n' "$file" | jq -r '.blobs[]'); do blob "$piece"; done >"$to/$path"
    [ "$(hash_of "$to/$path")" = "$(printf '%s\n' "$file" | jq -r .sha256)" ] || die "$path is not what was stored"
  done <"$work/files"
done <"$work/sources"

if [ -n "$gits" ]; then
  git init -q --bare "$work/out/git/all.git"
  for i in $(with_over "$gits"); do
    for number in $(line "$i" | jq -r '[.packs[].git] | unique[]'); do
      for p in $(line "$i" | jq -r --argjson n "$number" '.packs[] | select(.git == $n).id'); do
        age -d -i "$work/key" "$dir/packs/$p" | zstd -dcq
      done | git --git-dir="$work/out/git/all.git" index-pack --stdin --fix-thin >/dev/null
    done
  done
  list "$(jq -r .git.blob "$work/root")" repositories 'select(.blob)'
  mv "$work/rows" "$work/repositories"
  while read -r row; do
    name=$(short "$(printf '%s\n' "$row" | jq -r .url)")
    [ ! -e "$work/out/git/$name.git" ] || name=$name-$(printf '%s\n' "$row" | jq -r .url | sha256sum | cut -c1-8)
    to=$work/out/git/$name.git
    git init -q --bare "$to"
    printf '%s\n' ../../all.git/objects >"$to/objects/info/alternates"
    repository=$(printf '%s\n' "$row" | jq -r .blob)
    list "$repository" refs '"create \(.name) \(.id)"'
    git --git-dir="$to" update-ref --stdin <"$work/rows"
    blob "$repository" >"$work/list"
    head=$(jq -r '.head // ""' "$work/list")
    [ -z "$head" ] || git --git-dir="$to" symbolic-ref HEAD "$head"
    git --git-dir="$to" fsck --connectivity-only >/dev/null 2>&1 || die "$name: its history is not whole"
    git --git-dir="$to" repack -qad
    rm "$to/objects/info/alternates"
    say "$name.git"
  done <"$work/repositories"
  rm -rf "$work/out/git/all.git"
fi
mv "$work/out" "$out"
say "all of it is in $out; its Secrets lie there in clear"
warnings
[ ! -s "$work/warnings" ] || say 'What is missing may have been newer. Compare with regrow snapshot list, a copy, or what was noted down.'
