#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: emergency.sh REPOSITORY OUT -i IDENTITY [--trust PIN|@FILE] [--chain NAME] [--snapshot SEQ]
#                     [--expect-last SEQ:HASH]
#
# Reads a snapshot out of a repository without regrow, with age, zstd, openssl, jq and git, as
# docs/repository-format.md describes it. REPOSITORY is a folder: of a bucket or a registry, a copy of its
# files (docs/snapshots.md).
# IDENTITY is an age key file that opens a slot, or what `age -d keys/SLOT` printed (of a passphrase).
# Without --snapshot the newest good one. Entries that the log lost, and files that nobody signed, are
# warned of, first and last: what is missing may be newer than what comes back. That the end of a log
# is missing only who remembers it can tell: --expect-last, as "snapshot list" prints it. What could
# not be read when a suspect snapshot was made comes back as it was before, and is warned of too.
# OUT becomes a folder of mode 0700 with
#
#   objects/NNN-APP/NNNN.json   as they would be sent (000-live: what no application owned)
#   secrets.json                a line each, in clear
#   git/NAME.git                all refs and commits          sources/NNN/   charts, artifacts, folders
#   clusters/NAME/              of a hub: objects and secrets.json of each other cluster
#
# Exit codes, as those of regrow: 0 done, also with warnings; 2 wrong use; 4 not there: REPOSITORY,
# IDENTITY, chain or snapshot; 5 not permitted, or nothing opens; 6 OUT is there already; 7 no space;
# 9 damaged, or nobody vouches for it; 130 interrupted; 1 anything else, as a tool that is missing.
# Whatever fails leaves nothing behind.
set -eu
umask 077
unset CDPATH GIT_DIR GIT_WORK_TREE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export LC_ALL=C
exec 3>&2

work='' told='' lost_none=''
say() { printf '%s\n' "$*" >&3; }
lack_room() { # of a pack or a blob, which have 10 MiB at most
  [ -n "$work" ] || return 1
  grep -qi 'no space left\|quota exceeded\|file too large' "$work/noise" 2>/dev/null && return 0
  ! head -c 10485760 /dev/zero 2>/dev/null >"$work/room"
}
die() { # CODE MESSAGE
  code=$1 told=1
  shift
  if lack_room; then
    code=7
    set -- "there is no space left in ${work%/*}: free some, or give an OUT elsewhere"
  fi
  say "emergency.sh: $*"
  exit "$code"
}
usage() { sed -n '4,$ { /^#/ !q; s/^# \{0,1\}//p; }' "$0"; }
finish() {
  code=$?
  trap - EXIT
  if [ "$code" != 0 ] && [ "$code" != 130 ] && [ -z "$told" ]; then
    (die 1 "it stopped at something that was not foreseen: $(tail -n 1 "$work/noise" 2>/dev/null)") || code=$?
  fi
  [ -z "$work" ] || rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# ---- what is wanted, and with what ----
repo='' out='' identity='' pin='' chain='' seq='' last=''
while [ $# -gt 0 ]; do
  case $1 in
  -i | --trust | --chain | --snapshot | --expect-last) [ $# -gt 1 ] || die 2 "$1 wants a value" ;;
  esac
  case $1 in
  -i) identity=$2; shift ;;
  --trust) pin=$2; shift ;;
  --chain) chain=$2; shift ;;
  --snapshot) seq=$2; shift ;;
  --expect-last) last=$2; shift ;;
  -h | --help) usage; exit 0 ;;
  -*) die 2 "$1 is no option of it; --help tells which there are" ;;
  *)
    if [ -z "$repo" ]; then repo=$1; elif [ -z "$out" ]; then out=$1; else die 2 "REPOSITORY and OUT, and then what is $1?"; fi
    ;;
  esac
  shift
done
case $pin in
@*)
  [ -e "${pin#@}" ] || die 4 "there is no ${pin#@} to read the pin from"
  [ -r "${pin#@}" ] || die 5 "${pin#@} may not be read by $(id -un)"
  pin=$(head -c 200 "${pin#@}" | sed -n '1s/[[:space:]].*//; 1p')
  ;;
esac
case $last in
"" | [1-9]*:????????????????????????????????????????????????????????????????) ;;
*) die 2 '--expect-last wants SEQ:HASH, as snapshot list -o json prints it' ;;
esac
case $seq in *[!0-9]*) die 2 "--snapshot wants a number, not $seq" ;; esac
[ -n "$repo" ] && [ -n "$out" ] && [ -n "$identity" ] || die 2 'REPOSITORY, OUT and -i IDENTITY are wanted; --help tells more'
missing=
for tool in age zstd openssl jq git sha256sum base64 od dd join sort awk sed; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -z "$missing" ] || die 1 "not on the PATH:$missing. Install what is missing, and run it again"
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:00 HKDF >/dev/null 2>&1 ||
  die 1 "openssl of version 3.0 or newer is wanted, and this is $(openssl version)"

while [ "${out%/}" != "$out" ]; do out=${out%/}; done
[ -n "$out" ] || die 6 '/ is there already'
case $repo in
*://*) die 2 "$repo is no folder: copy its files into one first. Of a bucket any program that copies it does; of a registry docs/snapshots.md says how" ;;
esac
[ -e "$repo" ] || die 4 "there is no $repo"
[ -d "$repo" ] || die 4 "$repo is no folder: what is wanted is the folder that has trust, keys and chains in it"
[ -r "$repo" ] && [ -x "$repo" ] || die 5 "$repo may not be read by $(id -un): run it as its owner"
[ -e "$repo/trust" ] || die 4 "$repo is no repository of snapshots: it has no folder trust"
for file in trust keys chains; do
  [ ! -e "$repo/$file" ] || { [ -r "$repo/$file" ] && [ -x "$repo/$file" ]; } ||
    die 5 "$repo/$file may not be read by $(id -un): run it as its owner"
done
[ -f "$repo/trust/0001" ] || die 4 "$repo is no repository of snapshots, or not all of it: it has no trust/0001"
[ -e "$identity" ] || die 4 "there is no $identity"
[ -f "$identity" ] || die 4 "$identity is no file: an age key file is wanted"
[ -r "$identity" ] || die 5 "$identity may not be read by $(id -un)"
grep -q 'AGE-SECRET-KEY-1\|AGE-PLUGIN-\|PRIVATE KEY-----\|^age-encryption.org/\|BEGIN AGE ENCRYPTED' "$identity" ||
  die 5 "$identity is no age key file: a line of it begins with AGE-SECRET-KEY-1. With a passphrase: age -d $repo/keys/SLOT >FILE, and then -i FILE"
[ ! -e "$out" ] || die 6 "$out is there already: name one that is not, or move it away"
case $out in */*) parent=${out%/*}/ ;; *) parent=./ ;; esac
[ -e "$parent" ] || die 4 "there is no folder $parent: make it first, or give an OUT elsewhere"
[ -d "$parent" ] || die 4 "$parent is no folder: give an OUT elsewhere"
[ -w "$parent" ] && [ -x "$parent" ] || die 5 "$parent may not be written to by $(id -un), or is read-only: give an OUT elsewhere"
parent=$(cd "$parent" && pwd)
mkdir "$parent/${out##*/}.work.$$" 2>/dev/null || die 7 "nothing can be written in $parent: is it full, or read-only? Give an OUT elsewhere"
work=$parent/${out##*/}.work.$$
# What tools have to say is for whoever looks for the reason of what was not foreseen.
exec 2>"$work/noise"
mkdir "$work/pub" "$work/body" "$work/open" "$work/f" "$work/s" "$work/refs"
: >"$work/warnings" >"$work/told"
warn() { printf '%s\n' "$*" >>"$work/warnings"; }
warnings() { sed 's/^/WARNING: /' "$work/warnings" >&3; }
hash_of() { sha256sum <"$1" | cut -d' ' -f1; }
readable() { [ -r "$1" ] || die 5 "$1 may not be read by $(id -un): run it as the owner of $repo"; }

# ---- who may be believed ----
public_key() { # KEY (base64): its file, by the id of the key, in $name
  printf %s "$1" | base64 -d >"$work/raw"
  name=$(hash_of "$work/raw" | cut -c1-16)
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; cat "$work/raw"; } >"$work/pub/$name"
}
holds() { # BODY SIGNATURE KEY_ID: a signature (base64) over that file by that key?
  printf %s "$2" | base64 -d >"$work/sig" 2>/dev/null || return 1
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/pub/$3" -rawin -in "$1" \
    -sigfile "$work/sig" >/dev/null 2>&1
}
admins=''
signed_by_admins() { # FILE: by as many of $admins as are needed?
  valid=0
  head -n 1 "$1" >"$work/line"
  sed -n '2,9p' "$1" >"$work/sigs"
  for key in $admins; do
    public_key "$key"
    while read -r id sig; do
      if [ "$id" = "$name" ] && holds "$work/line" "$sig" "$id"; then
        valid=$((valid + 1))
        break
      fi
    done <"$work/sigs"
  done
  [ "$valid" -ge "$need" ]
}
learn_admins() { # of the file that was believed last
  head -n 1 "$1" >"$work/trust"
  need=$(jq -r .admins.need "$work/trust")
  admins=$(jq -r '.admins.keys[].key' "$work/trust")
  cat "$work/trust" >>"$work/trusts"
}

before=$repo/trust/0001
readable "$before"
is=$(hash_of "$before")
[ -n "$pin" ] || die 9 "nobody says that this is the right repository. Its pin is
  $is
If that is what init printed: --trust $is"
[ "$pin" = "$is" ] || die 9 "the pin of $repo is
  $is
which is another repository than that of --trust"
learn_admins "$before"
signed_by_admins "$before" || die 9 'trust/0001 is not signed by its admins'
for file in "$repo"/trust/[0-9][0-9][0-9][0-9]; do
  [ "$file" != "$before" ] || continue
  readable "$file"
  signed_by_admins "$file" || die 9 "$file is not signed by the admins before: put it back from another copy of the repository"
  [ "$(head -n 1 "$file" | jq -r .prev)" = "$(hash_of "$before")" ] || die 9 "$file does not follow $before"
  learn_admins "$file"
  before=$file
done
flag=$(jq -r '.features.read // [] | map(select(IN("pages", "salted-files", "zstd-index", "zstd-rows") | not)) | .[0] // empty' "$work/trust")
[ -z "$flag" ] || die 1 "the repository needs \"$flag\" to be read, which this script does not know: take that of a newer regrow"

# ---- which chain ----
chains='' n=0
for file in "$repo"/chains/*/log; do
  [ -d "$file" ] || continue
  file=${file%/log}
  chains="$chains ${file##*/}" n=$((n + 1))
done
[ "$n" -gt 0 ] || die 4 "no snapshot was ever written to $repo"
if [ -z "$chain" ]; then
  [ "$n" = 1 ] || die 2 "--chain is wanted, one of:$chains"
  chain=${chains# }
fi
case " $chains " in *" $chain "*) ;; *) die 4 "there is no chain $chain, but:$chains" ;; esac
dir=$repo/chains/$chain
for file in log index packs; do
  [ -d "$dir/$file" ] || die 9 "$dir/$file is missing: put it back from another copy of the repository"
  [ -r "$dir/$file" ] && [ -x "$dir/$file" ] || die 5 "$dir/$file may not be read by $(id -un): run it as its owner"
done

# ---- what the log says ----
# Who could sign at any time, as "ROLE KEY_ID KEY".
jq -rs --arg c "$chain" '[.[].signers[] | select(.chains | length == 0 or index($c))
  | select(.role | IN("write", "prune", "judge")) | "\(.role) \(.key)"] | unique[]' "$work/trusts" >"$work/roles"
while read -r role key; do
  public_key "$key"
  printf '%s %s %s\n' "$role" "$name" "$key"
done <"$work/roles" >"$work/signers"
for file in "$dir"/log/*; do
  name=${file##*/}
  case $name in
  [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9] | \
    [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-*)
    readable "$file"
    printf '%s\n' "$name"
    ;;
  esac
done >"$work/names"
(
  cd "$dir/log"
  set --
  while read -r name; do
    set -- "$@" "$name"
    [ $# -lt 500 ] || { sha256sum "$@"; set --; }
  done <"$work/names"
  [ $# = 0 ] || sha256sum "$@"
) >"$work/hashes"
# Nothing of an entry is looked at before a signature holds; the text it begins with says whose. What is
# verified is the same file that is read then.
export work
(cd "$dir/log" && awk '
  BEGIN {
    work = ENVIRON["work"]
    while ((getline < (work "/signers")) > 0) key[$1 " " $2] = $3
    role["snapshot v1\","] = "write"; role["checkpoint v1\","] = "prune"; role["verdict v1\","] = "judge"
  }
  { hash = substr($0, 1, 64); file = substr($0, 67); body = ""; sig = ""; more = ""
    getline body < file; getline sig < file; rest = (getline more < file); close(file)
    split(substr(body, 1, 60), word, " ")
    type = word[2] " " substr(word[3], 1, 4)
    split(sig, s, " ")
    by = role[type] " " s[1]
    ok = substr(body, 1, 16) == "{\"type\":\"regrow " && rest == 0 && sig ~ /^[0-9a-f]+ [A-Za-z0-9+\/=]+$/ && by in key
    if (!ok) { print file, "-"; next }
    print body > (work "/body/" file); close(work "/body/" file)
    print file, hash, role[type], s[1], s[2], key[by] }' "$work/hashes") >"$work/claims"
say "looking at the log, number of entries: $(($(wc -l <"$work/claims")))"
while read -r file hash role id sig key; do
  if [ "$hash" != - ] && holds "$work/body/$file" "$sig" "$id"; then
    printf '%s %s %s %s\n' "$file" "$hash" "$role" "$key"
  else
    warn "$dir/log/$file is not signed by anybody who could: passed over"
  fi
done <"$work/claims" >"$work/signed"
# With its place and whether it is valid: by a key that the newest trust lets sign such a number.
awk '{ print $1, $2, $3, $4; body = ENVIRON["work"] "/body/" $1; getline line < body; close(body); print line }' "$work/signed" |
  jq -cRn --arg dir "$dir/log/" --arg c "$chain" --slurpfile trust "$work/trust" '
  $trust[0] as $t | inputs as $meta | (input | fromjson) | ($meta | split(" ")) as [$name, $hash, $role, $key]
  | ($name[0:10] | tonumber) as $n | ($dir + $name) as $file
  | if .seq == $n and .chain == $c and .repo == $t.repo then . + {$file, $hash, valid: any($t.signers[];
      .key == $key and .role == $role and (.chains | length == 0 or index($c)) and ((.until[$c] // $n) >= $n))}
    else {type: "passed over", $file} end' >"$work/entries"
jq -r 'select(.type == "passed over") | "\(.file) is not signed by anybody who could: passed over"' "$work/entries" >>"$work/warnings"
jq -c 'select(.type != "passed over")' "$work/entries" >"$work/log"
# A number counts from the newest checkpoint on, and below it what that one keeps. From there on every
# number has to be there, and all that an entry names before it.
jq -rs --arg last "$last" --argjson trust "$(jq .n "$work/trust")" '
  (map(select(.type == "regrow checkpoint v1" and .valid)) | max_by(.seq)) as $c
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
  ' "$work/log" | awk '!seen[$0]++' >>"$work/warnings"
warnings

# ---- which snapshot ----
# Of good and bad what a judge said last counts; else what the writer said. What was called bad by an entry
# that is not there any more, as others remember, or may have been, is not good until a judge says so.
jq -cs --arg want "$seq" '
  map(select(.valid))
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
  | .[0] // empty' "$work/log" >"$work/entry"
if [ ! -s "$work/entry" ]; then
  there=$(jq -r 'select(.type == "regrow snapshot v1") | " \(.seq)"' "$work/log" | tr -d '\n')
  [ -z "$seq" ] || die 4 "there is no such snapshot in $chain. These are there:$there"
  die 4 "there is no such snapshot: none is good. These are there, and --snapshot SEQ takes one of them:$there"
fi
jq -r '"snapshot \(.seq) of \(.chain), \(.time | todate? // .), \(.state)",
  .epoch, .objects, .git // "-", .root, .repo, .counts.unknown // 0' "$work/entry" >"$work/words"
{ read -r text; read -r epoch; read -r objects; read -r gits; read -r root; read -r id; read -r unknown; } <"$work/words"
say "$text"

# ---- what opens it ----
if grep -q '^# raw ' "$identity"; then
  cp "$identity" "$work/key"
  grep -q "^# regrow repository $id epoch $epoch\$" "$work/key" || die 5 "$identity is the text of a slot of another repository, or of another epoch than $epoch"
else
  for slot in "$repo"/keys/*; do
    [ -r "$slot" ] && age -d -i "$identity" -o "$work/key" "$slot" &&
      grep -q "^# regrow repository $id epoch $epoch\$" "$work/key" && break
    rm -f "$work/key"
  done
fi
jq -r --argjson e "$epoch" '.slots[] | select(.epoch == $e) | .file' "$work/trust" >"$work/slots"
[ -f "$work/key" ] || while read -r slot; do
  [ -e "$repo/keys/$slot" ] || die 9 "$identity opens no slot that is there, and keys/$slot is missing: put it back from another copy of the repository"
done <"$work/slots"
[ -f "$work/key" ] || die 5 "$identity opens no slot of epoch $epoch. Those that there are:$(jq -r --argjson e "$epoch" '
  [.slots[] | select(.epoch == $e) | " \(.label // "" | @json) (\(.kind), keys/\(.file))"] | join(",")' "$work/trust"). Of a passphrase: age -d keys/SLOT >FILE, and then -i FILE"
grep -q "^# trust $pin\$" "$work/key" || die 9 'the slot vouches for another repository'
raw=$(sed -n 's/^# raw //p' "$work/key")
kdf() { # KEY SALT INFO
  openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "hexkey:$1" -kdfopt "hexsalt:$2" \
    -kdfopt "info:$3" HKDF | tr -d ':\n' | tr A-F a-f
}
k=$(kdf "$raw" "$id" "regrow/1 chain $chain")

# ---- what it needs, whole, and what lies where ----
whole() { # FOLDER, names on standard input: there, and what their names say
  lost='' n=0
  while read -r name; do
    if [ ! -e "$dir/$1/$name" ]; then
      [ -n "$lost" ] || lost=$1/$name
      n=$((n + 1))
    else
      readable "$dir/$1/$name"
      printf '%s  %s\n' "$name" "$name" >&4
    fi
  done 4>"$work/sums"
  [ "$n" -le 1 ] || lost="$lost and $((n - 1)) other files"
  [ -z "$lost" ] || die 9 "$lost: missing. Put it back from another copy of the repository, or take another snapshot (--snapshot)"
  [ ! -s "$work/sums" ] || (cd "$dir/$1" && sha256sum -c "$work/sums") >"$work/checked" ||
    die 9 "$1/$(sed -n 's/: FAILED.*//p' "$work/checked" | head -n 1) is damaged. Put it back from another copy of the repository, or take another snapshot (--snapshot)"
}
line() { # INDEX: its line 1, of version 3 a frame of its own, behind which zstd skips the rest
  case $(head -c 1 "$dir/index/$1") in
  '{') head -n 1 "$dir/index/$1" ;;
  *) zstd -dcq <"$dir/index/$1" ;;
  esac
}
lines() { # INDEX: those of what it stands on, oldest first, and its own to $work/SET.lines; names to SET.index
  echo "$2" >"$work/$1.index" # not through a pipe: what is wrong there would end only that
  whole index <"$work/$1.index"
  line "$2" >"$work/last"
  { jq -r '.over[]' "$work/last"; echo "$2"; } >"$work/$1.index"
  whole index <"$work/$1.index"
  while read -r i; do line "$i"; done <"$work/$1.index" >"$work/$1.lines"
}
# The box at the end: salt, records, tag. Its name was in what is signed, so that the tag need not be
# looked at; block 0 is that of the tag.
records() { # INDEX TYPE BOX: "id kind length pack", in order
  [ "$3" -gt 32 ] || return 0 # no records
  salt=$(tail -c "$3" "$dir/index/$1" | head -c 16 | od -An -v -tx1 | tr -d ' \n')
  tail -c $(($3 - 16)) "$dir/index/$1" | head -c $(($3 - 32)) |
    openssl enc -d -chacha20 -K "$(kdf "$k" "$salt" 'regrow/1 index')" -iv 01000000000000000000000000000000 |
    case $2 in *v1) cat ;; *) zstd -dcq ;; esac |
    od -An -v -tx1 -w24 | awk '
      BEGIN { for (i = 0; i < 256; i++) h[sprintf("%02x", i)] = i }
      { id = ""; for (i = 1; i <= 16; i++) id = id $i
        print id, sprintf("%c", h[$23]), h[$17] + 256 * (h[$18] + 256 * (h[$19] + 256 * h[$20])), h[$21] + 256 * h[$22] }'
}
lines objects "$objects"
: >"$work/git.lines" >"$work/git.index"
[ "$gits" = - ] || lines git "$gits"
jq -r '.packs[].id' "$work/objects.lines" "$work/git.lines" >"$work/packs"
say "checking $(($(wc -l <"$work/packs"))) packs"
whole packs <"$work/packs"
jq -r '"\(.type) \(.box // 0)"' "$work/objects.lines" | paste -d' ' - "$work/objects.index" >"$work/boxes"
jq -rn '[inputs] | to_entries[] | "\(.key + 1) \(.value.packs[].id)"' "$work/objects.lines" >"$work/packs"
n=0
while read -r _ _ version box i; do
  n=$((n + 1))
  [ "$box" -gt 0 ] || box=$(($(wc -c <"$dir/index/$i") - $(line "$i" | wc -c)))
  records "$i" "$version" "$box" | awk -v n="$n" '
    BEGIN { last = -1; while ((getline < (ENVIRON["work"] "/packs")) > 0) if ($1 == n) name[p++] = $2 }
    $4 in name { # of a salted piece of a file what stands behind the salt
      if ($4 != last) { last = $4; offset = 0 }
      salt = $2 == "h" ? 32 : 0
      print $1, $2, name[$4], offset + salt, $3 - salt; offset += $3 }'
done <"$work/boxes" >"$work/places"
sort -s -u -k1,1 "$work/places" >"$work/map"
say 'every file it needs is there and whole'

# ---- blobs ----
# What the lines "ID TARGET" of $work/want name, to files below $work; of TARGET "-" to $work/new, each
# behind its id. One awk cuts what is a line of its pack, as lists and objects are; dd the rest.
cut_lines='
  function next_line() { at = pos; if ((getline line < file) > 0) pos = at + length(line) + 1; else at = 1e15 }
  function app(   dir) { # whose object it is; "" of what is none of an application
    if ($5 !~ /objects\// || $5 ~ /objects\/000-live\//) return ""
    dir = $5; sub("/[^/]*$", "", dir); return dir
  }
  function told(dir) {
    if (dir == "") return
    n++; if (--left[dir] == 0 && (++whole == apps || whole % step == 0)) print whole " of " apps " applications, " n " objects"
  }
  BEGIN { while ((getline < "plan") > 0) { dir = app(); if (dir != "" && !left[dir]++) apps++ }
    close("plan"); step = int(apps / 40) + 1 }
  { if ($1 != pack) { if (pack != "") close(file); pack = $1; file = "open/" pack; pos = 0; next_line() }
    if ($4 ~ /^[lor]$/) while (at < $2) next_line()
    if ($4 !~ /^[lor]$/ || at != $2 || length(line) + 1 != $3) { print > "rest"; next }
    if ($5 == "-") { print "\"" $6 "\"" > "new"; print line > "new" }
    else { print line > $5; close($5) }
    told(app()) }'
get() {
  sort "$work/want" >"$work/wanted"
  lost=$(join -v 1 "$work/wanted" "$work/map" | head -n 1)
  [ -z "$lost" ] || die 9 "blob ${lost%% *} is in no pack: this snapshot is damaged, take another one (--snapshot)"
  join -o 2.3,2.4,2.5,2.2,1.2,1.1 "$work/wanted" "$work/map" | sort -k1,1 -k2,2n -k5,5 >"$work/plan"
  cut -d' ' -f1 "$work/plan" | uniq >"$work/packs"
  while read -r pack; do
    [ ! -f "$work/open/$pack" ] || continue
    age -d -i "$work/key" -o "$work/pack" "$dir/packs/$pack" && zstd -dcq <"$work/pack" >"$work/open/$pack" ||
      die 9 "packs/$pack does not open: this snapshot is damaged, take another one (--snapshot)"
  done <"$work/packs"
  : >"$work/rest" >"$work/new"
  (cd "$work" && awk "$cut_lines" plan) >&3 || die 1 'what was read could not be written'
  open='' at=0
  while read -r pack offset length _ target blob; do
    if [ "$pack" != "$open" ] || [ "$offset" -lt "$at" ]; then
      exec 4<"$work/open/$pack"
      open=$pack at=0
    fi
    [ "$offset" = "$at" ] || dd bs=$((offset - at)) count=1 of=/dev/null <&4
    [ "$target" != - ] || { printf '"%s"\n' "$blob" >>"$work/new"; target=part; }
    dd bs="$length" count=1 of="$work/$target" <&4 || die 1 'what was read could not be written'
    [ "$target" != part ] || cat "$work/part" >>"$work/new"
    at=$((offset + length))
  done <"$work/rest"
}

# ---- lists: the root, and what is reached from it ----
not_as_it_should() {
  die 9 "a list is not as it should be ($(tail -n 1 "$work/noise")): take another snapshot (--snapshot)"
}
: >"$work/lists" >"$work/seen"
echo "$root" >"$work/next"
while [ -s "$work/next" ]; do
  sort -u "$work/seen" "$work/next" >"$work/all"
  mv "$work/all" "$work/seen"
  sed 's/$/ -/' "$work/next" >"$work/want"
  get
  cat "$work/new" >>"$work/lists"
  jq -rn 'inputs as $id | input | if $id == $root and .type != "regrow root v1" then error("what should be the root is none") else . end
    | (.type | tostring) as $type | (
      .more.blob?, .pages.blobs[]?, (if $type == "regrow applications v1" then .blobs[]? else empty end),
      (if $type == "regrow root v1" or $type == "regrow cluster v1" then .shards.blobs[]?, .secrets[]?.blob,
        (.before, .sources, .sourcesBefore, .git, .gitBefore, .clusters, .clustersBefore, .live).blob?
      else
        (if $type == "regrow sources v1" then .sources[]?.blob else empty end),
        .applications[]?.blob, .clusters[]?.blob, .repositories[]?.blob
      end)) // empty' --arg root "$root" "$work/new" >"$work/named" || not_as_it_should
  sort -u "$work/named" | comm -23 - "$work/seen" >"$work/next"
done
# Those of what could not be read stand beside them, as they were before: what is not in the first counts
# in the second (restore does the same). Lines that say what goes where, by their first word.
jq -rn --arg unknown "$unknown" --arg root "$root" '
  (reduce inputs as $id ({}; .[$id] = input)) as $l
  | def pad($n): tostring | if length < $n then "0" * ($n - length) + . else . end;
  def is_plain: . >= 48 and . <= 57 or . >= 65 and . <= 90 or . >= 97 and . <= 122 or . == 45 or . == 46 or . == 95;
  def short: (split("/") | map(select(. != "")) | last // "") | (if . == ".git" then . else rtrimstr(".git") end)
    | explode | map(if is_plain then . else 95 end) | (if .[0] == 45 or .[0] == 46 then .[0] = 95 else . end) | implode;
  def shown: tostring | explode | map(if . < 32 or . == 127 then 63 else . end) | implode;
  def warned: "W \(shown)";
  def parts: [limit(100001; recurse(.more.blob // empty | $l[.]))]
    | if length > 100000 then error("a list without end") else .[] end;
  def rows($m): parts | .[$m][]?, (.pages.blobs[]? | $l[.][$m][]?);
  def both($m; $rows): [(.[$m], .[$m + "Before"] + {old: true}) | .old as $old | .blob // empty | $l[.] | rows($rows) + {$old}];
  def first_of(f): reduce .[] as $row ({seen: {}, rows: []}; ($row | [f] | tojson) as $key
    | if .seen[$key] then . else .seen[$key] = true | .rows += [$row] end) | .rows;
  def is_old: .blob and (.stale or .old);
  def as_before($what): "\($what) could not be read when this snapshot was made: as it was before" | warned;
  def never($what): "\($what) was never read: the snapshot has nothing of it" | warned;

  # Applications of the root, or of a cluster: those there are, and what one had that could not be read.
  def named: map({key: .name, value: .}) | from_entries;
  def applications: [.shards.blobs[]? | $l[.] | rows("applications")] as $now
    | [.before.blob // empty | $l[.] | rows("blobs") | $l[.] | rows("applications") + {old: true}] as $was
    | ($now | named) as $n | ($was | named) as $w
    | $now + [$was[] | select($n[.name] | not) | select(
        [limit(256; .name | recurse($w[.].blob // empty | $l[.].parent // empty)) | $n[.] // empty][0].stale == true)];
  def numbered_objects($to): [rows("objects").blob // empty] | to_entries[] | "O \(.value) \($to)/\(.key + 1 | pad(4)).json";
  def objects($base): map(select(.blob)) | to_entries[] | $l[.value.blob] as $a
    | "\($base)/objects/\(.key + 1 | pad(3))-\($a.name | short)" as $to
    | "D \($to)", ($a | numbered_objects($to));
  def secrets($base; $n; $where): [.secrets[]? | select(.blob)]
    | (select(any(.[]; .stale)) | as_before("some of the Secrets\($where)")),
      "S \($base) \($n) \(length)",
      ([.[] | $l[.blob] | rows("blobs")] | to_entries[] | "F \(.value) s/\($n).\(.key + 1 | pad(6))");
  # A file: its number in f, the pieces, where it goes. A path that no line can hold is written otherwise.
  def file($to; $n): (.path | contains("\n") or contains("\t") or contains("\\")) as $odd | (.blobs // []) as $pieces
    | (select("/\(.path)/" | contains("/../") or contains("//") or any(explode[]; . == 0)) | "E a file whose path leads elsewhere: \(.path | shown)"),
      "f\t\($n)\t\($pieces | length)\t\(.sha256)\t\(.mode // "644")\t\($to)\t\(if $odd then "odd" else "as-is" end)\t\(if $odd then .path | @base64 else .path end)",
      ($pieces | to_entries[] | "F \(.value) f/\($n)" + (if $pieces[1] then ".\(.key + 1 | pad(6))" else "" end));

  def spoke: (.name // .server) as $called | (.blob // empty | $l[.]) as $list | {$called, $list, apps: ($list | applications)} + .;
  def spoke_out($n): .called as $called | "out/clusters/\(.dir)" as $to | (.apps | map(select(.blob and $l[.blob].elsewhere != true))) as $apps
    | (select(is_old) | as_before("cluster \($called)")),
      ($apps[] | select(is_old) | as_before("application \(.name) of cluster \($called)")),
      (.apps[] | select(.blob | not) | never("application \(.name) of cluster \($called)")),
      "D \($to)/objects", ($apps | objects($to)),
      "J \($to)/cluster.json \({server, name, kubernetes: .list.kubernetes, of: .list.of} | with_entries(select(.value)) | tojson)",
      (.list | secrets($to; $n; " of cluster \($called)"));
  def source_out($n): $l[.blob] as $list | "out/sources/\($n | pad(3))" as $to | [$list | rows("files")]
    | select(length > 0)
    | "D \($to)", "J \($to).json \($list | del(.files, .more) | tojson)",
      (to_entries[] | "\($n).\(.key + 1)" as $k | .value | file($to; $k));
  def git_out($n): .url as $url | $l[.blob]
    | if .bundle then .bundle + {path: "\($url | short)-\($n).bundle"} | file("out/git"; "b\($n)")
      else "G\t\($n)\t\($url | short)\t\(.head // "-" | shown)\t\($url | shown)", (rows("refs") | "R \($n) create \(.name | shown) \(.id | shown)") end;

  $l[$root] as $r | ($r | applications) as $apps
  | ($r | both("clusters"; "clusters") | first_of(.server, .name)) as $clusters
  | [$clusters[] | spoke] as $spokes
  | ([$spokes[].apps[] | {key: .name, value: true}] | from_entries) as $there
  | ($apps[] | select(is_old) | as_before("application \(.name)")),
    ($apps[] | select((.blob | not) and $unknown != "0" and ($there[.name] | not)) | never("application \(.name)")),
    ($apps | objects("out")),
    ($r.live | select(.blob) | "D out/objects/000-live", (select(is_old) | as_before("what no application owned")),
      ($l[.blob] | numbered_objects("out/objects/000-live"))),
    ($r | secrets("out"; 0; "")),
    ($r | both("sources"; "sources") | map(select(.blob)) | first_of(.kind, .url, .chart, .target) | to_entries[]
      | .key as $k | .value | (select(is_old) | as_before("source \([.url, .chart // empty] | join(" "))")), source_out($k + 1)),
    ($r | both("git"; "repositories") | first_of(.url) | to_entries[] | .key as $k | .value
      | if .blob then (select(is_old) | as_before("the Git repository \(.url)")), git_out($k + 1) else never("the Git repository \(.url)") end),
    (reduce $spokes[] as $s ([]; ($s.called | short) as $name
        | . + [$s + {dir: (if any(.[]; .dir == $name) then "\($name)-\(length + 1)" else $name end)}])
      | to_entries[] | .key as $k | .value | spoke_out($k + 1)),
    ($clusters[] | select(.blob | not) | never("cluster \(.name // .server)"))
' "$work/lists" >"$work/todo" || not_as_it_should

# ---- everything out ----
take() { sed -n "s/^$1[ 	]//p" "$work/todo" >"$work/$2"; } # the lines of that word
take E wrong
[ ! -s "$work/wrong" ] || die 9 "$(head -n 1 "$work/wrong")"
take W doubts
while read -r text; do say "WARNING: $text"; done <"$work/doubts"
[ -s "$work/warnings" ] || lost_none=1
cat "$work/doubts" >>"$work/warnings"
take D folders
folders() { # those of the standard input
  set --
  while read -r folder; do
    set -- "$@" "$work/$folder"
    [ $# -lt 500 ] || { mkdir -p "$@"; set --; }
  done
  [ $# = 0 ] || mkdir -p "$@"
}
printf '%s\n' out/objects out/git out/sources | cat - "$work/folders" | folders
sed -n 's/^[OF] //p' "$work/todo" >"$work/want"
get
say "$(($(grep '^D out/objects/[^/]*$' "$work/todo" | grep -vc '/000-live$'))) applications"

take J described
jq -R 'split(" ") | .[1:] | join(" ") | fromjson' "$work/described" >"$work/pretty"
cut -d' ' -f1 "$work/described" >"$work/names"
(cd "$work" && awk '{ if (name == "") getline name < "names"; print > name; if ($0 == "}") { close(name); name = "" } }' pretty)

take S pools
while read -r base n lists; do
  : >"$work/$base/secrets.json"
  for file in "$work/s/$n".*; do
    [ ! -f "$file" ] || cat "$file" >>"$work/$base/secrets.json"
  done
  # What stands in an earlier list counts.
  if [ "$lists" -gt 1 ]; then
    jq -rn 'foreach inputs as $s ({}; ([$s.from, ($s.object | (.apiVersion // "" | split("/") | .[:-1]), .kind, .metadata.namespace, .metadata.name)] | tojson) as $key
      | .new = (.seen[$key] | not) | .seen[$key] = true; .new)' "$work/$base/secrets.json" >"$work/news"
    paste -d' ' "$work/news" "$work/$base/secrets.json" | sed -n 's/^true //p' >"$work/part"
    mv "$work/part" "$work/$base/secrets.json"
  fi
  say "$(($(wc -l <"$work/$base/secrets.json"))) Secrets$([ "$base" = out ] || echo " of cluster ${base##*/}")"
done <"$work/pools"

take f files
tab=$(printf '\t')
while IFS=$tab read -r n pieces sha _; do
  case $pieces in
  0) : >"$work/f/$n" ;;
  1) ;;
  *) cat "$work/f/$n".* >"$work/f/$n" ;;
  esac
  printf '%s  %s\n' "$sha" "$n"
done <"$work/files" >"$work/sums"
[ ! -s "$work/sums" ] || (cd "$work/f" && sha256sum -c "$work/sums") >"$work/checked" || {
  n=$(sed -n 's/: FAILED.*//p' "$work/checked" | head -n 1)
  die 9 "$(awk -F "$tab" -v n="$n" '$1 == n { print $8 }' "$work/files") is not what was stored: this snapshot is damaged, take another one (--snapshot)"
}
n=0
while IFS=$tab read -r piece _ _ mode to form path; do
  [ "$form" = as-is ] || path=$(printf %s "$path" | base64 -d)
  case $path in */*) folder=$work/$to/${path%/*} ;; *) folder=$work/$to ;; esac
  [ -d "$folder" ] || mkdir -p "$folder" || die 9 "$path stands below what is a file: this snapshot is damaged, take another one (--snapshot)"
  mv "$work/f/$piece" "$work/$to/$path" || die 1 "$path could not be written"
  [ "$mode" != 755 ] || chmod u+x "$work/$to/$path"
  n=$((n + 1))
  [ $((n % 1000)) != 0 ] || say "$n files of sources"
done <"$work/files"
[ "$n" = 0 ] || say "$n files of sources"

git_packs() { # all that is in force into one store, oldest first
  git init -q --bare "$work/out/git/all.git"
  jq -rn '[inputs] | to_entries[] | .key as $k | .value.packs[] | "p\($k).\(.git) \(.id)"' "$work/git.lines" >"$work/packs"
  awk '$1 != last { print $1; last = $1 }' "$work/packs" >"$work/numbers"
  n=0 of=$(($(wc -l <"$work/numbers")))
  while read -r number; do
    n=$((n + 1))
    say "Git pack $n of $of"
    : >"$work/piece"
    awk -v n="$number" '$1 == n { print $2 }' "$work/packs" |
      while read -r pack; do
        age -d -i "$work/key" -o "$work/pack" "$dir/packs/$pack" && zstd -dcq <"$work/pack" || exit 1
      done >"$work/piece" || die 9 "a Git pack does not open: this snapshot is damaged, take another one (--snapshot)"
    git --git-dir="$work/out/git/all.git" index-pack --stdin --fix-thin <"$work/piece" >/dev/null ||
      die 9 "what should be a Git pack is none: this snapshot is damaged, take another one (--snapshot)"
  done <"$work/numbers"
  rm -f "$work/piece"
}
take G repositories
take R references
awk '{ to = ENVIRON["work"] "/refs/" $1; if (to != last) { close(last); last = to } sub("^[^ ]* ", ""); print > to }' "$work/references"
[ ! -s "$work/repositories" ] || git_packs
while IFS=$tab read -r n name head url; do
  [ ! -e "$work/out/git/$name.git" ] || name=$name-$(printf '%s\n' "$url" | sha256sum | cut -c1-8)
  to=$work/out/git/$name.git
  git init -q --bare "$to"
  printf '%s\n' ../../all.git/objects >"$to/objects/info/alternates"
  [ -e "$work/refs/$n" ] || : >"$work/refs/$n"
  git --git-dir="$to" update-ref --stdin <"$work/refs/$n" &&
    { [ "$head" = - ] || git --git-dir="$to" symbolic-ref HEAD "$head"; } &&
    git --git-dir="$to" fsck --connectivity-only >/dev/null ||
    die 9 "the history of $url is not whole: this snapshot is damaged, take another one (--snapshot)"
  git --git-dir="$to" repack -qad || die 1 "$name.git could not be written"
  rm "$to/objects/info/alternates"
  say "$name.git"
done <"$work/repositories"
rm -rf "$work/out/git/all.git"
[ ! -e "$out" ] && mv "$work/out" "$out" || die 6 "$out is there now: name one that is not, or move it away"
if [ -s "$work/doubts" ]; then
  say "what the snapshot has is in $out; its Secrets lie there in clear"
else
  say "all of it is in $out; its Secrets lie there in clear"
fi
warnings
[ -n "$lost_none" ] || say 'What is missing may have been newer. Compare with regrow snapshot list, a copy, or what was noted down.'
