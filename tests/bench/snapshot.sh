# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The rows of make bench about snapshots, beside restic and borg. Loaded by scripts/bench.
#
#   live_snapshot URL     measures one that reads the cluster too, for the table of the cluster
#   snapshot_rows         measures
#   snapshot_page         the section of docs/performance.md
#
# The content is a real repository grown by tests/bench/history.py. A snapshot of ours holds what
# is rendered of it, and Git with all its history; the two others are given the same as files:
# every rendered object in one of its own (tests/bench/spread.c), and a bare clone.

SNAP=$SCRATCH/snap
SNAP_URL=https://git.example.com/homelab.git
SNAP_TREE=theepicsaxguy-homelab
SNAP_HISTORY=${BENCH_HISTORY:-500} # commits
SNAP_COMMITS=${BENCH_COMMITS:-430} # of these, the last so many have a snapshot each

export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$SNAP/restic-cache
export BORG_PASSPHRASE=bench BORG_BASE_DIR=$SNAP/borg-base

# clocked NAME COMMAND...: as timed, for many short ones, and for two at once
clocked() {
  local name=$1
  shift
  "$BIN/timed" "$SNAP/$name.json" "$@" >"$SNAP/$name.out" 2>&1 || die "$name failed: $(tail -c 500 "$SNAP/$name.out")"
  note "$name" "$(jq .ms "$SNAP/$name.json")"
  note "$name-cpu" "$(jq .cpu_ms "$SNAP/$name.json")"
}

total() { awk '{ n += $1 } END { print n }' "$SCRATCH/ms/$1"; }
secs() { awk -v a="$1" 'BEGIN { printf(a < 9950 ? "%.2f s" : "%.0f s", a / 1000) }'; }
bytes_of() { find "$@" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }
size() { awk -v a="$1" 'BEGIN { if (a < 10000) printf "%d B", a; else if (a < 9950000) printf "%.0f kB", a / 1e3; else printf "%.1f MB", a / 1e6 }'; }

# ---- ours ----

# repo_make NAME [URL]: a repository, in a folder of that name if nowhere else; the credential of its
# job is $SNAP/NAME.key
repo_make() {
  local at=$SNAP/$1
  export REGROW_REPO=${2:-$at}
  rm -rf "$at" "$at".*
  [[ -f $SNAP/id ]] || age-keygen -o "$SNAP/id" 2>/dev/null
  "$REGROW" snapshot init --out "$at.admin" --recipient "$(age-keygen -y "$SNAP/id")" --single >"$at.init"
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$at.init")
  export REGROW_TRUST
  "$REGROW" snapshot key add --key "$at.admin" -i "$SNAP/id" --role writer --chain prod --out "$at.key" >/dev/null
}
ours_create() { # ROW MIRROR
  clocked "$1" "$REGROW" snapshot create --key "$REGROW_REPO.key" -o json --mirror "$SNAP_URL=file://$2" "$SNAP_URL//root?ref=main"
}
# Its Git packs and their index files; everything else is for the objects.
ours_git() {
  index_lines "$REGROW_REPO"/chains/prod/index/* | jq -s '[.[] | select(.set == "git").packs[]] | unique_by(.id) | map(.size) | add // 0'
}
ours_git_of() { # NAME
  REGROW_REPO=$SNAP/$1 ours_git
}
ours_git_index() {
  local f
  for f in "$REGROW_REPO"/chains/prod/index/*; do
    ! index_lines "$f" | grep -q '"set":"git"' || stat -c %s "$f"
  done | awk '{ n += $1 } END { print n + 0 }'
}

# ---- theirs ----

restic_make() { # NAME
  rm -rf "${SNAP:?}/$1" "$RESTIC_CACHE_DIR"
  restic init -q --repository-version 2 -r "$SNAP/$1" >/dev/null
}
restic_backup() { # ROW NAME FOLDER...: from inside $SNAP/in
  local row=$1 name=$2
  shift 2
  (cd "$SNAP/in" && clocked "$row" restic backup -q --compression max -r "$SNAP/$name" "$@")
}
borg_make() { # NAME
  rm -rf "${SNAP:?}/$1" "$BORG_BASE_DIR"
  borg init -e repokey-blake2 "$SNAP/$1" 2>/dev/null
}
borg_create() { # ROW NAME ARCHIVE FOLDER...
  local row=$1 name=$2 archive=$3
  shift 3
  (cd "$SNAP/in" && clocked "$row" borg create -C zstd,19 "$SNAP/$name::$archive" "$@")
}

# ---- what is saved ----

fetch_to() { # MIRROR COMMIT: main of a bare clone goes on to it
  git -C "$1" fetch -q "$SNAP/full.git" "$2:refs/heads/main"
}
objects_at() { # MIRROR: the objects as files, in $SNAP/in/objects
  "$REGROW" render -o json --mirror "$SNAP_URL=file://$1" "$SNAP_URL//root?ref=main" >"$SNAP/render.json"
  "$BIN/spread" "$SNAP/render.json" "$SNAP/in/objects" >"$SNAP/spread.json"
}

snapshot_prepare() {
  command -v restic >/dev/null && command -v borg >/dev/null ||
    die "restic and borg are wanted for these rows: apt-get install restic borgbackup"
  mkdir -p "$SNAP/in"
  export XDG_CACHE_HOME=$SNAP/cache
  git init -q --bare "$SNAP/full.git"
  tests/bench/history.py "$REGROW_SHARED/repos/$SNAP_TREE/tree" "$SNAP_URL" $SNAP_HISTORY |
    git -C "$SNAP/full.git" fast-import --quiet
  git -C "$SNAP/full.git" repack -qadf # as a server has it
  git -C "$SNAP/full.git" rev-list --reverse main >"$SNAP/commits"
  (($(wc -l <"$SNAP/commits") == SNAP_HISTORY)) || die "the history has another length"
}

# ---- a snapshot for each of the last commits ----

series() {
  local i commit mirror=$SNAP/in/series.git
  git init -q --bare "$mirror"
  fetch_to "$mirror" "$(sed -n "$((SNAP_HISTORY - SNAP_COMMITS))p" "$SNAP/commits")"
  git -C "$mirror" repack -qad
  git -C "$mirror" config fetch.unpackLimit 1 # so that what Git itself keeps of a fetch is known …
  git -C "$mirror" config gc.auto 0           # … to the end
  SERIES_GIT_BEFORE=$(bytes_of "$mirror/objects/pack" -name '*.pack')
  repo_make ours-series
  restic_make restic-series
  borg_make borg-series
  for ((i = SNAP_HISTORY - SNAP_COMMITS + 1; i <= SNAP_HISTORY; i++)); do
    commit=$(sed -n "${i}p" "$SNAP/commits")
    fetch_to "$mirror" "$commit"
    ours_create series-ours "$mirror"
    objects_at "$mirror"
    restic_backup series-restic restic-series objects &
    borg_create series-borg borg-series "c$i" objects
    wait $! || die "restic failed"
  done
  SERIES_GIT_OWN=$(($(bytes_of "$mirror/objects/pack" -name '*.pack') - SERIES_GIT_BEFORE))
  SERIES_CONTENT=$(jq .bytes "$SNAP/spread.json")
  SERIES_OURS=$(bytes_of "$REGROW_REPO")
  SERIES_GIT=$(($(ours_git) + $(ours_git_index)))
  SERIES_RESTIC=$(bytes_of "$SNAP/restic-series")
  SERIES_BORG=$(bytes_of "$SNAP/borg-series")
  for ((i = 0; i < ROUNDS; i++)); do
    clocked series-verify "$REGROW" snapshot verify -i "$SNAP/id" -o json
  done
  SERIES_VERIFY=$(jq -c . "$SNAP/series-verify.out")
}

# ---- one snapshot, of all there is ----

# all_once WHO: into a new repository: the first, the same again, verified, and out again
ours_once() {
  repo_make ours
  ours_create first-ours "$SNAP/in/repo.git"
  OURS_FIRST=$(bytes_of "$SNAP/ours")
  ours_create again-ours "$SNAP/in/repo.git"
  OURS_AGAIN=$(($(bytes_of "$SNAP/ours") - OURS_FIRST))
  clocked verify-ours "$REGROW" snapshot verify -i "$SNAP/id" -o json
  OURS_VERIFY=$(jq -c . "$SNAP/verify-ours.out")
  rm -f "$SNAP/out.tar"
  clocked extract-ours "$REGROW" snapshot export -i "$SNAP/id" --recipient "$(age-keygen -y "$SNAP/id")" latest "$SNAP/out.tar"
}
restic_once() {
  restic_make restic
  restic_backup first-restic restic objects repo.git
  RESTIC_FIRST=$(bytes_of "$SNAP/restic")
  restic_backup again-restic restic objects repo.git
  RESTIC_AGAIN=$(($(bytes_of "$SNAP/restic") - RESTIC_FIRST))
  clocked verify-restic restic check -q --read-data -r "$SNAP/restic"
  rm -rf "$SNAP/out"
  clocked extract-restic restic restore -q -r "$SNAP/restic" --target "$SNAP/out" latest
}
borg_once() {
  borg_make borg
  borg_create first-borg borg first objects repo.git
  BORG_FIRST=$(bytes_of "$SNAP/borg")
  borg_create again-borg borg again objects repo.git
  BORG_AGAIN=$(($(bytes_of "$SNAP/borg") - BORG_FIRST))
  clocked verify-borg borg check --verify-data "$SNAP/borg"
  rm -rf "$SNAP/out"
  mkdir "$SNAP/out"
  (cd "$SNAP/out" && clocked extract-borg borg extract "$SNAP/borg::first")
}

# The lists that a snapshot of ours has of its objects (where each came from, the graph), as files.
lists_out() {
  local pack chain=$SNAP/ours/chains/prod
  age -d -i "$SNAP/id" "$SNAP"/ours/keys/* >"$SNAP/repo.key"
  mkdir -p "$SNAP/in/lists"
  index_lines "$chain"/index/* | jq -r '.packs[] | select(.class == "o").id' | while read -r pack; do
    age -d -i "$SNAP/repo.key" "$chain/packs/$pack" | zstd -dcq | jq -c 'select(.type)'
  done | (cd "$SNAP/in/lists" && split -l 1 -a 4)
  LISTS=$(find "$SNAP/in/lists" -type f | wc -l)
}

# Sizes alone: of the objects, and of Git in three forms.
parts() {
  local form
  restic_make restic-part && restic_backup part restic-part objects
  RESTIC_OBJECTS=$(bytes_of "$SNAP/restic-part")
  borg_make borg-part && borg_create part borg-part a objects
  BORG_OBJECTS=$(bytes_of "$SNAP/borg-part")
  for form in repo.git loose.git tree; do
    restic_make restic-part && restic_backup part restic-part "$form"
    borg_make borg-part && borg_create part borg-part a "$form"
    printf -v "RESTIC_${form%.git}" %s "$(bytes_of "$SNAP/restic-part")"
    printf -v "BORG_${form%.git}" %s "$(bytes_of "$SNAP/borg-part")"
  done
  repo_make ours
  ours_create part "$SNAP/in/loose.git"
  OURS_LOOSE=$(($(ours_git) + $(ours_git_index)))
  repo_make ours
  ours_create part "$SNAP/in/repo.git"
  OURS_GIT=$(($(ours_git) + $(ours_git_index)))
  OURS_OBJECTS=$(($(bytes_of "$REGROW_REPO") - OURS_GIT))
  lists_out
  restic_make restic-part && restic_backup part restic-part objects lists
  RESTIC_LISTS=$(bytes_of "$SNAP/restic-part")
  borg_make borg-part && borg_create part borg-part a objects lists
  BORG_LISTS=$(bytes_of "$SNAP/borg-part")
}

single() {
  local i k
  git clone -q --bare --no-local "$SNAP/full.git" "$SNAP/in/repo.git"
  GIT_PACK=$(bytes_of "$SNAP/in/repo.git/objects/pack" -name '*.pack')
  git init -q --bare "$SNAP/in/loose.git"
  git -C "$SNAP/in/loose.git" unpack-objects -q <"$(echo "$SNAP"/in/repo.git/objects/pack/*.pack)"
  git -C "$SNAP/in/loose.git" update-ref refs/heads/main "$(tail -1 "$SNAP/commits")"
  mkdir "$SNAP/in/tree"
  git -C "$SNAP/in/repo.git" archive main | tar -x -C "$SNAP/in/tree"
  TREE_BYTES=$(bytes_of "$SNAP/in/tree")
  GIT_OBJECTS=$(git -C "$SNAP/in/repo.git" count-objects -v | sed -n 's/^in-pack: //p')
  objects_at "$SNAP/in/repo.git"
  OBJECT_FILES=$(jq .objects "$SNAP/spread.json")
  OBJECT_BYTES=$(jq .bytes "$SNAP/spread.json")
  for ((i = 0; i < ROUNDS; i++)); do
    for ((k = 0; k < 3; k++)); do
      case $(((i + k) % 3)) in
        0) ours_once ;;
        1) restic_once ;;
        2) borg_once ;;
      esac
    done
  done
  parts
}

# ---- how fast verify is ----

# Real definitions of add-ons, of which each is a long text: what is measured is reading, not looking up.
definitions() {
  local f name i
  mkdir -p "$SNAP/crds"
  grep -rlE '^kind: CustomResourceDefinition' --include='*.yaml' "$REGROW_SHARED/upstream" | xargs grep -L '{{' | sort |
    while read -r f; do
      name=$(sed -n 's/^  name: "\{0,1\}\([a-z0-9.-]*\)"\{0,1\} *$/\1/p' "$f" | head -1)
      [[ $(grep -c '^kind:' "$f") != 1 || -z $name || -e $SNAP/crds/$name.yaml ]] || cp "$f" "$SNAP/crds/$name.yaml"
    done
  (cd "$SNAP/crds" && git init -q && git remote add origin "$SNAP_URL" && git add -A &&
    git -c user.name=bench -c user.email=bench@example.com commit -qm definitions)
  CRDS_N=$(find "$SNAP/crds" -name '*.yaml' | wc -l)
  git clone -q --bare --no-local "$SNAP/crds" "$SNAP/crds.git"
  CRDS_GIT=$(git -C "$SNAP/crds.git" cat-file --batch-all-objects --batch-check='%(objectsize)' | awk '{ n += $1 } END { print n }')
  repo_make crds-ours
  clocked crds-create "$REGROW" snapshot create --key "$REGROW_REPO.key" -o json --mirror "$SNAP_URL=file://$SNAP/crds.git" \
    "$SNAP_URL//.?ref=main"
  for ((i = 0; i < ROUNDS + 2; i++)); do
    clocked crds-verify "$REGROW" snapshot verify -i "$SNAP/id" -o json
  done
  CRDS_CONTENT=$(($(jq .contentBytes "$SNAP/crds-verify.out") - $(ours_git)))
}

# ---- with a cluster ----

live_snapshot() { # URL
  local i before
  mkdir -p "$SNAP"
  repo_make live
  clocked live-first "$REGROW" snapshot create --key "$SNAP/live.key" --use-cluster -o json "$1"
  for ((i = 0; i < ROUNDS; i++)); do
    before=$(bytes_of "$SNAP/live")
    clocked live-again "$REGROW" snapshot create --key "$SNAP/live.key" --use-cluster -o json "$1"
    LIVE_AGAIN=$(($(bytes_of "$SNAP/live") - before))
  done
  unset REGROW_REPO REGROW_TRUST
}

snapshot_rows() {
  SNAP_LOAD=$(cut -d' ' -f1 /proc/loadavg)
  snapshot_prepare
  series
  single
  definitions
  unset REGROW_REPO REGROW_TRUST
}

# ---- the page ----

rate() { awk -v b="$1" -v ms="$2" 'BEGIN { printf "%.0f MB/s", b / 1e3 / ms }'; }
# The median, and in brackets that of the processor time, which other work on the machine moves less.
both() { echo "$(secs "$(median "$1")") ($(secs "$(median "$1-cpu")"))"; }

snapshot_page() {
  cat <<T
## Snapshots

$SNAP_HISTORY commits of history over a real repository (\`../shared/repos/$SNAP_TREE\`, grown by \`tests/bench/history.py\`);
load $SNAP_LOAD when these rows began, $ROUNDS rounds, medians; in brackets the processor's time. $(restic version | awk '{ print $1, $2 }') with \`--compression max\`,
$(borg --version) with \`zstd,19\`, both encrypted; ours as always: one X25519 recipient, zstd 19 up to 1 MiB a pack, 9 above.

**One snapshot of all of it**: $OBJECT_FILES objects ($(size "$OBJECT_BYTES") as canonical JSON) and Git ($GIT_OBJECTS Git objects).

| | regrow | restic | borg | regrow to restic | target |
|---|---|---|---|---|---|
| objects, stored | $(size "$OURS_OBJECTS") | $(size "$RESTIC_OBJECTS") | $(size "$BORG_OBJECTS") | $(ratio "$OURS_OBJECTS" "$RESTIC_OBJECTS") | ≤ 0.25 |
| given the same lists of them too, $LISTS files | $(size "$OURS_OBJECTS") | $(size "$RESTIC_LISTS") | $(size "$BORG_LISTS") | $(ratio "$OURS_OBJECTS" "$RESTIC_LISTS") | |
| Git, stored; given as one pack | $(size "$OURS_GIT") | $(size "$RESTIC_repo") | $(size "$BORG_repo") | $(ratio "$OURS_GIT" "$RESTIC_repo") | |
| against Git's own pack, $(size "$GIT_PACK") | $(ratio "$OURS_GIT" "$GIT_PACK") | $(ratio "$RESTIC_repo" "$GIT_PACK") | $(ratio "$BORG_repo" "$GIT_PACK") | | ≤ 1.0 |
| Git, stored; given as loose objects | $(size "$OURS_LOOSE") | $(size "$RESTIC_loose") | $(size "$BORG_loose") | $(ratio "$OURS_LOOSE" "$RESTIC_loose") | |
| against Git's own pack | $(ratio "$OURS_LOOSE" "$GIT_PACK") | $(ratio "$RESTIC_loose" "$GIT_PACK") | $(ratio "$BORG_loose" "$GIT_PACK") | | ≤ 1.0 |
| work tree of the last commit alone, $(size "$TREE_BYTES") | | $(size "$RESTIC_tree") | $(size "$BORG_tree") | | |
| both, stored | $(size "$OURS_FIRST") | $(size "$RESTIC_FIRST") | $(size "$BORG_FIRST") | $(ratio "$OURS_FIRST" "$RESTIC_FIRST") | |
| create, the first | $(both first-ours) | $(both first-restic) | $(both first-borg) | $(ratio "$(median first-ours)" "$(median first-restic)") | |
| create, nothing changed | $(both again-ours) | $(both again-restic) | $(both again-borg) | $(ratio "$(median again-ours)" "$(median again-restic)") | < 0.3 s |
| bytes that this adds | $(size "$OURS_AGAIN") | $(size "$RESTIC_AGAIN") | $(size "$BORG_AGAIN") | $(ratio "$OURS_AGAIN" "$RESTIC_AGAIN") | ≤ 2 kB |
| verify, every byte | $(both verify-ours) | $(both verify-restic) | $(both verify-borg) | $(ratio "$(median verify-ours)" "$(median verify-restic)") | |
| all of it out again | $(both extract-ours) | $(both extract-restic) | $(both extract-borg) | $(ratio "$(median extract-ours)" "$(median extract-restic)") | |

**A snapshot for each of the last $SNAP_COMMITS commits, all kept**

| | regrow | restic | borg | regrow to restic | target |
|---|---|---|---|---|---|
| objects, stored | $(size $((SERIES_OURS - SERIES_GIT))) | $(size "$SERIES_RESTIC") | $(size "$SERIES_BORG") | $(ratio $((SERIES_OURS - SERIES_GIT)) "$SERIES_RESTIC") | ≤ 0.75 |
| Git, stored: a pack at first, then what each commit brought | $(size "$SERIES_GIT") | | | | |
| against Git's own packs of these fetches, $(size $((SERIES_GIT_BEFORE + SERIES_GIT_OWN))) | $(ratio "$SERIES_GIT" $((SERIES_GIT_BEFORE + SERIES_GIT_OWN))) | | | | |
| time a snapshot | $(secs $(($(total series-ours) / SNAP_COMMITS))) | $(secs $(($(total series-restic) / SNAP_COMMITS))) | $(secs $(($(total series-borg) / SNAP_COMMITS))) | $(ratio "$(total series-ours)" "$(total series-restic)") | |
| verify, all of them | $(secs "$(median series-verify)"), of that processor $(secs "$(median series-verify-cpu)"): $(jq .packs <<<"$SERIES_VERIFY") packs, $(jq .gitObjects <<<"$SERIES_VERIFY") Git objects, $(size "$(jq .contentBytes <<<"$SERIES_VERIFY")") of content | | | | |

**Verify, a core.** $CRDS_N real definitions, $(size "$CRDS_CONTENT") of content, and Git with their $(size "$CRDS_GIT") of files:
$(secs "$(median crds-verify-cpu)") of processor time, start of the process included (0.01 s), which is $(rate $((CRDS_CONTENT + CRDS_GIT)) "$(median crds-verify-cpu)"); the target is 300 MB/s. *Content*
is what comes out: objects and lists as JSON, and of Git every object inflated, deltas put on their bases; the packs of Git as
they are stored would be $(size "$(ours_git_of crds-ours)") of it. Git's packs are gone through by a reader of our own (\`source/gitscan.c\`): every entry inflated
once, every object named by the processor's SHA-1, and what trees, commits and tags name noted on the way, so that nothing is
read a second time to follow the refs. What is damaged, missing or out of the ordinary libgit2 is asked about, as it was about all
before (half this rate: its SHA-1 looks for collisions, which it has done already when the pack was fetched).

**What each was given.** regrow: the repository's URL, mirrored by the bare clone; a snapshot of it has everything that is
rendered, the lists (where each object came from, which application has it, what waits for what), and Git with all its
history. restic and borg: files in a folder, every object in one of its own in the form regrow keeps it in, and the bare clone
as it lies there: one pack as a server sends it, or loose objects as they are written locally. *Objects, stored* counts for
regrow all files of the repository but Git packs and their index files: keys, trust, log, index and lists too, which
the others are given only in the row below. What restic and borg store is the whole folder of their repository.

**What is timed** is the whole command, for regrow with reading Git, rendering and the graph. In the table of many snapshots
regrow runs alone, the two others side by side, as each would on one core. *All of it out again* is \`snapshot export\` for
regrow (one tar file: manifests in the order they are applied in, a Git bundle, sources, checksums), \`restic restore\` and \`borg
extract\` for the others. *Verify* is \`snapshot verify\` with the key (every pack opened, every id computed, every
reference followed, every Git object named, and all that the refs lead to there), \`restic check --read-data\`, \`borg check
--verify-data\`; the others look at Git as at any file.

**A snapshot for each commit**: regrow's are a pack, an index file and an entry for the objects, and a pack and an index file
for Git. Git's packs of one commit each hold the changed trees whole, as Git's own do; at times several become one, which
deltas make smaller than they were.
T
}
