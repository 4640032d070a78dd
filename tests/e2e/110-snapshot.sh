#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The commands on a repository of snapshots, in a folder and in S3: made and found again, who may
# open it and sign in it, what is refused and how it is told; killed anywhere, the same command
# continues; no secret in what is printed.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/s3.sh"
. "$LIB/past.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/snapshots.sh"

PASS='correct horse battery'

files() { (cd "$1" && find . -type f | sort | xargs sha256sum); }

made() {
  export REGROW_REPO=$SCRATCH/made REGROW_PASSPHRASE=$PASS
  shaped init snapshot-init store.atomicCreate snap init --out made.admin --recipient "$ANN"
  is "$(jq -r .pin out.json)" "$(sha256sum <made/trust/0001 | cut -d' ' -f1)" 'the pin is the hash of trust/0001'
  is "$(stat -c %a made.admin)" 600 "the admin's key is for its owner alone"
  is "$(head -c 21 made.admin)" age-encryption.org/v1 'and sealed'
  refuse 'a second init there' 6 snap init --out other.admin --recipient "$ANN"
  like "$OUT" 'there is a repository in .*made already' 'is told'
  is "$(ls other.admin* 2>/dev/null)" '' 'and leaves nothing'
  like "$(snap list)" 'no snapshots yet' 'a passphrase opens it, and vouches for the pin'
  unset REGROW_PASSPHRASE
  mkdir pw
  echo "$PASS" >pw/file
  check 'a passphrase from a file' snap list --passphrase-file pw/file
  is "$(age -d -i ann.id "made/keys/$(snap key list --passphrase-file pw/file -o json | jq -r '.slots[] | select(.kind == "age").file')" |
    grep -c '^AGE-SECRET-KEY-1')" 1 'a slot is a stock age file'
  refuse 'one way to open it' 2 snap init --repo "$SCRATCH/single" --out single.admin --recipient "$ANN"
  check 'one way, said to be wanted' snap init --repo "$SCRATCH/single" --out single.admin --recipient "$ANN" --single
  like "$(snap init --repo "$SCRATCH/loud" --out loud.admin --recipient "$ANN" --recipient "$BEN" | tail -1)" \
    '^  pin [0-9a-f]{64}$' 'the pin is the last line'
}

denied() {
  make_repo "$SCRATCH/denied" denied
  local pin=$REGROW_TRUST
  unset REGROW_TRUST
  refuse 'no pin' 9 snap list
  like "$OUT" "pin is $pin" 'no pin: it is shown, not believed'
  refuse 'no pin, and an age slot that opens' 9 snap list -i ann.id
  check 'key trust shows it' snap key trust
  refuse 'a wrong pin' 9 snap list --trust "${pin//[0-7]/8}"
  refuse 'no pin at all' 2 snap list --trust 12
  refuse 'a file without a pin' 2 snap list --trust @ann.id
  export REGROW_TRUST=$pin
  check 'the pin from a file' bash -c "echo '$pin  regrow' >pin; '$REGROW' snapshot list --trust @pin"
  REGROW_PASSPHRASE=wrong refuse 'a passphrase where there is none' 5 snap key add --key denied.admin --recipient "$ANN"
  refuse 'no --repo' 2 env -u REGROW_REPO "$REGROW" snapshot list
  refuse 'nothing there' 4 snap list --repo "$SCRATCH/nowhere"
  refuse 'no such store' 2 snap list --repo ftp://x/y
  refuse "somebody else's repository" 9 bash -c "
    '$REGROW' snapshot init --repo theirs --out theirs.admin --recipient $ANN --recipient $BEN >/dev/null &&
    '$REGROW' snapshot list --repo theirs"
  refuse 'a remembered entry that is not there' 4 snap list --chain prod --expect-last "3:$pin"
  refuse 'no chain of that name' 4 snap list --chain prod
  refuse 'no command' 2 snap frobnicate
}

asked() {
  local pty=$LIB/ptyrun.py repo=(--repo asked)
  check 'a passphrase is asked for, twice' "$pty" "$PASS" "$PASS" -- "$REGROW" snapshot init "${repo[@]}" --out asked.admin --single
  REGROW_TRUST=$(sha256sum <asked/trust/0001 | cut -d' ' -f1)
  export REGROW_TRUST
  OUT=$("$pty" "$PASS" 'another one' 'another one' -- "$REGROW" snapshot key add "${repo[@]}" --key asked.admin)
  like "$OUT" '1 slot added.*echo on' 'once for what it opens, twice for a new one'
  unlike "$OUT" "$PASS|another one" 'and not shown'
  refuse 'a wrong one' 5 "$pty" nonsense -- "$REGROW" snapshot key add "${repo[@]}" --key asked.admin --role judge --out asked.judge
  refuse 'two that differ' 3 "$pty" one two -- "$REGROW" snapshot init --repo differ --out differ.admin --single
  refuse 'Ctrl-C' 130 "$pty" ^C -- "$REGROW" snapshot init --repo stopped --out stopped.admin --single
  like "$OUT" 'echo on' 'leaves the terminal as it was'
  is "$(ls -d differ* stopped* 2>/dev/null)" '' 'and nothing behind'
}

keys() {
  NAME=keys
  make_repo "$SCRATCH/keys" keys
  admin key add --role writer --chain prod --out job.key >said
  is "$(stat -c %a job.key)" 600 "a job's credential is for its owner alone"
  unlike "$(<said)" "$(jq -r .seed job.key)|$(jq -r .K job.key)" 'and is not printed'
  shaped 'the same again' snapshot-key-add key.id admin key add --role writer --chain prod --out job.key
  is "$(jq -r .made out.json)" false 'is none'
  refuse 'without a file' 2 admin key add --role pruner
  refuse 'a writer without a chain' 2 admin key add --role writer --out x.key
  is "$(admin key add --role pruner --out - | jq -r .kind)" pruner 'to standard output, when asked'
  signers=$(snap key list -o json | jq '.keys | length')
  refuse 'to a full disk' 7 bash -c '"$@" >/dev/full' _ "$REGROW" snapshot key add --key keys.admin -i ann.id --role pruner --out -
  like "$OUT" 'No space left on device.*The repository is as it was' 'is told'
  is "$(snap key list -o json | jq '.keys | length')" "$signers" 'and nobody is trusted whose key is lost'
  admin key add --role pruner --out sealed.key --recipient "$ANN" >/dev/null
  is "$(age -d -i ann.id sealed.key | jq -r .kind)" pruner 'sealed, when asked'
  pub=$(snap key init --role judge --out judge.key -o json | jq -r .key.public)
  shaped 'key init' snapshot-key-init key.public snap key init --role judge --out judge.key
  JOB=$(<job.key) check 'a credential from the environment' "$REGROW" snapshot key trust --key env:JOB
  chmod o+r job.key
  refuse 'one that all can read' 5 snap key trust --key job.key
  chmod 600 job.key
  check 'a public half is made trusted' admin key add --role judge --public "$pub" --label cem
  refuse 'by nobody but an admin' 5 snap key add --key job.key --role judge --public "$pub"
  REGROW_NEW_PASSPHRASE=$PASS admin key add --label night >/dev/null
  check 'a passphrase that was added opens it' env -u REGROW_TRUST REGROW_PASSPHRASE="$PASS" "$REGROW" snapshot list
  is "$(REGROW_NEW_PASSPHRASE=$PASS admin key add -o json | jq .slots)" 0 'it is not added twice'
  shaped 'key list' snapshot-key-list slots[].label,keys[].role,epochs[].recipient snap key list
  is "$(snap key list -o json | jq -c '[.keys[].role]')" '["admin","writer","pruner","pruner","judge"]' 'all are listed'
  admin key remove night >/dev/null
  admin key remove "$BEN" >/dev/null
  refuse 'the last way is not removed' 6 admin key remove "$ANN"
  refuse 'one that is not there' 4 admin key remove nobody
  "$WRITE" "$REGROW_REPO" job.key 3 3 1 >/dev/null
  shaped rotate snapshot-key-rotate epoch admin key rotate --single
  is "$(jq -c '[.epoch, .made]' out.json)" '[2,true]' 'another epoch'
  is "$(admin key rotate --single -o json | jq -c '[.epoch, .made]')" '[2,false]' 'rotated once'
  refuse 'a job of the old epoch' 5 "$WRITE" "$REGROW_REPO" job.key 3 3 2
  refuse 'the last way to an epoch that is needed' 6 admin key remove "$(snap key list -o json | jq -r '.slots[] | select(.epoch == 1).file')"
  shaped revoke snapshot-key-revoke until admin key revoke writer
  is "$(jq -c .until out.json)" '{"prod":1}' 'up to what it has written'
  is "$(snap list -o json | jq -r '.chains[0].snapshots[0].state')" good 'which stays believed'
  admin key revoke writer --last-trusted prod:0 >/dev/null
  is "$(snap list -o json | jq -r '.chains[0].snapshots[0].state')" void 'or up to what was said'
  refuse 'never further again' 6 admin key revoke writer --last-trusted prod:1
  refuse 'the last admin stays' 6 admin key revoke admin
  admin key add --role admin --out ben.admin --label ben >/dev/null
  check 'an admin makes another' snap key revoke admin --key ben.admin
  refuse 'and is none any more' 5 admin key add --role judge --public "$pub"
  unlike "$(cat ./*.init said out.json)" 'AGE-SECRET-KEY|"seed"' 'nothing secret was printed'
}

looked_at() {
  make_chain looked
  shaped list snapshot-list 'chains[].snapshots[].bytes.added,chains[].rpoSeconds' snap list
  is "$(states)" '["6 good","5 suspect","4 good","3 good","2 good","1 good"]' 'newest first, each with its state'
  like "$(snap list)" 'Last good: 6 \(good\). RPO now' 'the last line: what would be restored'
  like "$(snap list)" 'suspect: unknown-source' 'why it is suspect'
  local last
  last=$(snap list -o json | jq -r '.chains[0].last')
  check 'the last one is remembered' snap list --expect-last "$last"
  shaped 'show without a key' snapshot-show files snap show 5
  is "$(jq -c '[.seq, .state, .opened, .signedBy]' out.json)" '[5,"suspect",false,"ci"]' 'says what is signed'
  is "$(snap show latest -o json | jq .seq)" 6 'latest is the newest good one'
  shaped 'show' snapshot-show applications,opened snap show -i ann.id
  is "$(cd looked && jq -r '.files[]' ../out.json | xargs cat | wc -c)" \
    "$(snap list -o json | jq '.chains[0].snapshots[0].bytes.stored')" 'all it needs is as large as was said'
  refuse 'show: one that is not there' 4 snap show 77
  refuse 'show: no number' 2 snap show first
  refuse "show: a passphrase that opens nothing" 5 env REGROW_PASSPHRASE=x "$REGROW" snapshot show
  shaped verify snapshot-verify whole,unchecked,suspect snap verify
  is "$(jq -c '[.whole, .level, .snapshots, .suspect]' out.json)" '[true,"chain",6,[5]]' 'every file is what the log names'
  is "$(snap verify --key looked.job -o json | jq -r .level)" index 'a job proves its index'
  shaped 'verify with a key' snapshot-verify noted snap verify -i ben.id --key looked.judge
  is "$(jq -c '[.whole, .level, .noted, .unchecked]' out.json)" '[true,"content",6,null]' 'every byte, and it is noted'
  like "$(states)" '6 verified' 'as verified'
  refuse 'a judge is no job' 5 snap judge 5 good --key looked.job
  shaped judge snapshot-judge verdict snap judge 5 good 'looked at' --key looked.judge
  like "$(states)" '5 good' 'a person can promote one'
  snap judge 6 bad --key looked.judge >/dev/null
  is "$(snap show latest -o json | jq .seq)" 5 'or reject one'
}

app() { # NAME PATH: an Application of the repository apps.git
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: %s, namespace: argocd}\nspec:\n' "$1"
  printf '  project: default\n  destination: {server: https://kubernetes.default.svc, namespace: default}\n'
  printf '  source: {repoURL: "file://%s/apps", targetRevision: main, path: %s}\n' "$SCRATCH" "$2"
}
# An application that an application brings stands below it.
tree() {
  NAME=tree
  make_repo "$SCRATCH/tree" tree
  admin key add --role writer --chain prod --out tree.job >/dev/null
  mkdir -p fleet apps/sub apps/leaf
  app parent sub >fleet/parent.yaml
  app child leaf >apps/sub/child.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n' >apps/leaf/c.yaml
  git init -q -b main apps
  git -C apps add -A
  git -C apps -c user.name=t -c user.email=t@example.com commit -qm one
  snap create --key tree.job fleet >/dev/null
  like "$(snap show -i ann.id)" $'\n  fleet .*\n  └─ parent .*\n    └─ child +1  leaf @ main' 'show: a tree, the child below its parent'
}

damaged() {
  mkdir -p "$XDG_CACHE_HOME/regrow/snapshot-index" # as after a create here: what it holds heals nothing
  make_chain damaged
  local pack index good=$REGROW_TRUST
  pack=$(snap show 4 -o json | jq -r '.files[]' | grep packs/ | tail -1)
  cp "damaged/$pack" kept
  printf '!xyz' | dd of="damaged/$pack" bs=1 seek=100 conv=notrunc 2>/dev/null
  like "$("$LIB/ptyrun.py" -- "$REGROW" snapshot verify -i ann.id || true)" 'verify   [0-9]+ files, [0-9]+ packs, [0-9.]+ [kM]?B   [0-9.]+ [kM]?B/s' \
    'progress with its throughput, at a terminal'
  refuse 'a byte of a pack changed' 9 snap verify -o json
  is "$(snap verify -o json 2>/dev/null | jq -r '.problems[0]' | grep -c "${pack##*/}")" 1 'it is named'
  refuse 'and with a key' 9 snap verify -i ann.id
  like "$OUT" 'snapshot forget' 'with what to do'
  rm "damaged/$pack"
  refuse 'a pack gone' 9 snap verify --quick
  like "$OUT" 'is missing' 'it is named'
  cp kept "damaged/$pack"
  check 'put back' snap verify -i ann.id

  # A log that somebody wrote to, one that shows less, one that lost an entry.
  local last
  last=$(snap list -o json | jq -r '.chains[0].last')
  cp -r damaged shorter
  rm shorter/chains/prod/log/0000000006
  check 'without memory a shorter log is a log' snap list --repo shorter
  refuse 'with memory it is not' 9 snap list --repo shorter --expect-last "$last"
  echo '{"type":"regrow snapshot v1","x":1}' >damaged/chains/prod/log/0000000007
  refuse 'a forged entry' 9 snap list
  refuse 'an entry that is signed stays' 4 snap prune --remove-untrusted 6
  shaped 'a forged one goes' snapshot-prune 'untrusted[]' snap prune --remove-untrusted 7
  check 'and all is as before' snap list --expect-last "$last"
  refuse 'one that is there is not written off' 6 snap forget --write-off 3 --key damaged.pruner
  cp -r damaged marked
  printf '!xyz' | dd of=marked/chains/prod/log/0000000003 bs=1 seek=200 conv=notrunc 2>/dev/null
  refuse 'an entry that is damaged' 9 snap list --repo marked
  like "$OUT" 'prune --remove-untrusted 3, then regrow snapshot forget --write-off 3' 'both steps are named'
  refuse 'nothing is forgotten then' 9 snap forget 4 --repo marked --key damaged.pruner
  like "$OUT" 'prune --remove-untrusted 3, then regrow snapshot forget --write-off 3' 'for the same reason'
  check 'the first step' snap prune --remove-untrusted 3 --repo marked
  refuse 'is not enough' 9 snap list --repo marked
  like "$OUT" 'regrow snapshot forget --write-off 3' 'the second is named'
  check 'the second step' snap forget --write-off 3 --repo marked --key damaged.pruner
  is "$(snap list --repo marked -o json | jq -c '[.chains[0].snapshots[] | select(.state != "forgotten").seq]')" '[6,5,4,2,1]' \
    'mends it: the others are there'
  check 'and whole' snap verify --repo marked -i ann.id
  rm damaged/chains/prod/log/0000000002
  refuse 'an entry that is lost' 9 snap list
  shaped 'written off' snapshot-forget 'writtenOff[]' snap forget --write-off 2 --key damaged.pruner
  is "$(live)" '[6,5,4,3,1]' 'the others are there'
  index=$(snap show 6 -o json | jq -r '.files[]' | grep index/ | while read -r f; do
    snap show 5 -o json | jq -r '.files[]' | grep -qx "$f" || echo "$f"
  done)
  rm "damaged/$index"
  refuse 'an index file that is lost' 9 snap verify
  refuse 'nothing is forgotten then' 9 snap forget 1 --key damaged.pruner
  snap forget --write-off 6 --key damaged.pruner >/dev/null
  check 'until its snapshot is written off' snap verify -i ann.id
  "$WRITE" "$REGROW_REPO" damaged.job 4 5 9 >/dev/null
  check 'the next one is whole' snap verify latest -i ann.id

  REGROW_REPO=$SCRATCH/swapped
  snap init --out swapped.admin --recipient "$ANN" --recipient "$BEN" >/dev/null
  refuse 'a repository put in its place' 9 snap show -i ann.id
  REGROW_TRUST=$good refuse 'also to who holds a key' 9 snap list --key damaged.job
}

flip() { # FILE AT: one bit of that byte
  printf "\\x$(printf %x $(($(od -An -tu1 -j "$2" -N 1 "$1") ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
# One bit of the first, the middle and the last byte of each file there is.
flipped() {
  local file size at code bad='' tried=0
  NAME=flipped
  make_repo "$SCRATCH/flipped" flipped
  admin key add --role writer --chain prod --out flipped.job >/dev/null
  for at in 1 2; do "$WRITE" "$REGROW_REPO" flipped.job 2 2 "$at" >/dev/null; done
  for file in $(find flipped -type f | sort); do
    size=$(stat -c %s "$file")
    for at in 0 $((size / 2)) $((size - 1)); do
      flip "$file" "$at"
      code=0
      snap verify -i ann.id >said 2>&1 || code=$?
      [[ $code == 9 ]] || bad+="$file, $at of $size: $code: $(<said)"$'\n'
      flip "$file" "$at"
      tried=$((tried + 1))
    done
  done
  is "$bad" '' "each of $tried changed bytes is found"
  is "$(find flipped -type f | cut -d/ -f2-4 | sed 's#/[0-9a-f]*$##' | sort -u | tr '\n' ' ')" \
    'chains/prod/index chains/prod/log chains/prod/packs keys regrow.json trust ' 'in files of all kinds'
  check 'put back, it is whole' snap verify -i ann.id
}
# Whole files, all of them signed or sealed by the right ones, in another's place.
exchanged() {
  local a b code bad='' tried=0 newest
  NAME=exchanged
  make_repo "$SCRATCH/exchanged" exchanged
  admin key add --role writer --chain prod --out exchanged.job >/dev/null
  for at in 1 2 3 4 5; do "$WRITE" "$REGROW_REPO" exchanged.job 2 2 "$at" >/dev/null; done
  cp -a exchanged good
  expect_9() { # WHAT: then all is as it was
    code=0
    snap verify -i ann.id >said 2>&1 || code=$?
    [[ $code == 9 ]] || bad+="$1: $code: $(<said)"$'\n'
    tried=$((tried + 1))
    rm -rf exchanged
    cp -a good exchanged
  }
  for kind in packs index log; do
    for a in exchanged/chains/prod/$kind/*; do
      for b in exchanged/chains/prod/$kind/*; do
        [[ $a < $b ]] || continue
        cp "$b" "${a/exchanged/good}.other"
        cp "$a" "$b"
        mv "${a/exchanged/good}.other" "$a"
        expect_9 "$a and $b"
      done
    done
  done
  is "$bad" '' "$tried pairs of files that change places"
  newest=exchanged/chains/prod/log/0000000005
  for a in 1 2 3 4 5; do # an old manifest again: behind the newest, and in its place
    cp "exchanged/chains/prod/log/000000000$a" exchanged/chains/prod/log/0000000006
    expect_9 "entry $a as the sixth"
    ((a == 5)) || cp "exchanged/chains/prod/log/000000000$a" "$newest"
    ((a == 5)) || expect_9 "entry $a as the newest"
  done
  sed -i '1s/"state":"good"/"state":"suspect"/' "$newest"
  expect_9 'a manifest that says something else'
  (
    NAME=stranger
    make_repo "$SCRATCH/stranger" stranger
    admin key add --role writer --chain prod --out stranger.job >/dev/null
    "$WRITE" "$REGROW_REPO" stranger.job 2 2 9 >/dev/null
  )
  cp stranger/chains/prod/log/0000000001 exchanged/chains/prod/log/0000000006
  expect_9 'an entry of a stranger'
  is "$bad" '' 'replayed, changed, and of a stranger'
  check 'put back, it is whole' snap verify -i ann.id
}

forgotten() {
  make_chain old
  refuse 'nothing to go by' 2 snap forget --key old.pruner
  refuse 'the newest stays' 6 snap forget 6 --key old.pruner
  local rules=(--keep-last 2 --keep-within 1ms --keep-suspect 1ms --min-good 1)
  before=$(files old)
  shaped 'a dry run' snapshot-forget 'decisions[].why,forgotten[]' snap forget "${rules[@]}" --dry-run
  is "$(jq -c .forgotten out.json)" '[1,2,3,5]' 'says what would go'
  is "$(files old)" "$before" 'and changes nothing'
  refuse 'a job does not forget' 5 snap forget "${rules[@]}" --key old.job
  shaped forget snapshot-forget waiting snap forget "${rules[@]}" --key old.pruner
  is "$(live)" '[6,4]' 'what no rule keeps is forgotten'
  shaped undo snapshot-forget 'broughtBack[]' snap forget --undo 2 --key old.pruner
  is "$(live)" '[6,4,2]' 'and brought back'
  is "$(snap prune --key old.pruner -o json | jq -c '[.deleted, .waiting]')" '[[],3]' 'within the grace nothing is deleted'
  is "$(snap prune --dry-run --grace 1ms -o json | jq -c .deleted)" '[1,3,5]' 'a dry run of prune'
  shaped prune snapshot-prune 'deleted[],files,bytes' snap prune --grace 1ms --key old.pruner
  is "$(jq -c .deleted out.json)" '[1,3,5]' 'after it they are'
  refuse 'and come back no more' 4 snap forget --undo 3 --key old.pruner
  check 'what stays is whole' snap verify -i ann.id
  is "$(snap list -o json | jq '.chains[0].snapshots | length')" 3 'and all there is'
  is "$(snap prune --grace 1ms --key old.pruner -o json | jq .files)" 0 'prune, the second time'
}

# kill_at SECONDS WORDS...: regrow snapshot WORDS, and SIGKILL after that time, if it still runs
kill_at() {
  local pid
  "$REGROW" snapshot "${@:2}" >/dev/null 2>&1 &
  pid=$!
  sleep "$1"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
took() { # COMMAND...: milliseconds
  local from
  from=$(date +%s%3N)
  "$@" >/dev/null
  echo $(($(date +%s%3N) - from))
}
RANDOM=11
moment() { printf '0.%03d' $((RANDOM % ($1 + 5))); } # up to MILLISECONDS

killed() {
  local ms i bad='' by=(--key k0.admin -i ann.id)
  export REGROW_REPO=$SCRATCH/k0
  ms=$(took snap init --out k0.admin --recipient "$ANN" --recipient "$BEN")
  for i in {1..12}; do
    export REGROW_REPO=$SCRATCH/k$i
    kill_at "$(moment "$ms")" init --out "k$i.admin" --recipient "$ANN" --recipient "$BEN"
    ! grep -rq AGE-SECRET-KEY "$REGROW_REPO" k"$i".admin* 2>/dev/null || bad+=" $i: a secret in clear"
    # Ended already, and told: then it is there.
    snap init --out "k$i.admin" --recipient "$ANN" --recipient "$BEN" >again 2>&1 ||
      { [[ ! -e k$i.admin.init ]] && grep -q 'already' again; } || bad+=" $i: $(<again)"
    REGROW_TRUST=$(sha256sum <"$REGROW_REPO/trust/0001" | cut -d' ' -f1) \
      snap key add --key "k$i.admin" -i ann.id --recipient "$ANN" >again 2>&1 || bad+=" $i: $(<again)"
  done
  is "$bad" '' 'init, killed 12 times: the same command ends it'
  export REGROW_REPO=$SCRATCH/race
  for i in 1 2 3 4; do
    snap init --out race.admin --recipient "$ANN" --recipient "$BEN" >"race.$i" 2>&1 &
  done
  wait
  is "$(grep -l '^✓' race.? | wc -l)" 1 'of four at once one makes it'
  REGROW_TRUST=$(sed -n 's/^ *pin //p' race.?) check 'and it is whole' "$REGROW" snapshot key list --key race.admin -i ann.id

  bad=''
  NAME=k0
  REGROW_REPO=$SCRATCH/k0 REGROW_TRUST=$(sha256sum <k0/trust/0001 | cut -d' ' -f1)
  export REGROW_REPO REGROW_TRUST
  ms=$(took admin key add --role writer --chain prod --out first.key)
  for i in {1..12}; do
    kill_at "$(moment "$ms")" key add "${by[@]}" --role writer --chain prod --out "w$i.key" --label "w$i"
    admin key add --role writer --chain prod --out "w$i.key" --label "w$i" >again 2>&1 || bad+=" $i: $(<again)"
    "$WRITE" "$REGROW_REPO" "w$i.key" 2 2 "$i" >again 2>&1 || bad+=" $i: $(<again)"
    kill_at "$(moment "$ms")" key revoke "${by[@]}" "w$i"
    admin key revoke "w$i" >again 2>&1 || bad+=" $i: $(<again)"
  done
  is "$bad" '' 'key add and revoke, killed 24 times: the same command ends it'
  bad=''
  for i in 2 3 4 5; do
    kill_at "$(moment "$ms")" key rotate "${by[@]}" --recipient "$ANN" --recipient "$BEN"
    is=$(admin key rotate --recipient "$ANN" --recipient "$BEN" -o json 2>&1 | jq .epoch)
    [[ $is == "$i" ]] || bad+=" epoch $is, not $i"
    admin key add --role writer --chain prod --out "e$i.key" --label "e$i" >again 2>&1 || bad+=" $i: $(<again)"
    "$WRITE" "$REGROW_REPO" "e$i.key" 2 2 "$i" >again 2>&1 || bad+=" $i: $(<again)"
  done
  is "$bad" '' 'key rotate, killed 4 times: one epoch each'
  check 'with all of them it is whole' snap verify -i ann.id
  is "$(ls ./*.new 2>/dev/null)" '' 'nothing is left behind'
  is "$(snap key list -o json | jq '[.keys[] | select(.label | startswith("w1")) | .label] | sort | unique | length')" 4 'each key once'
  is "$(snap key list -o json | jq '[.keys[].label | select(test("^w[0-9]"))] | length')" 12 'and no other'
}

s3() {
  s3_start
  s3_bucket one
  NAME=s3
  make_repo s3://one/prod s3
  is "$(snap key trust -o json | jq .checked)" true 'a repository in S3'
  admin key add --role writer --chain prod --out s3.key >/dev/null
  check 'a job writes there' "$WRITE" "$REGROW_REPO" s3.key 3 3 1
  is "$(snap list -o json | jq -r '.chains[0] | "\(.chain) \(.lastGood)"')" 'prod 1' 'it is listed'
  admin key add --role pruner --out s3.pruner >/dev/null
  for i in 2 3 4; do "$WRITE" "$REGROW_REPO" s3.key 3 3 "$i" >/dev/null; done
  sleep 2 # its clock counts seconds
  snap forget --keep-last 1 --keep-within 1ms --min-good 1 --key s3.pruner >/dev/null
  snap forget --undo 2 --key s3.pruner >/dev/null
  sleep 2
  is "$(snap prune --grace 1ms --key s3.pruner -o json | jq -c .deleted)" '[1,3]' 'forgotten, undone, pruned'
  check 'and verified' snap verify -i ann.id
  AWS_SECRET_ACCESS_KEY=wrong refuse "a wrong key of the store" 5 snap list
  s3_stop
  refuse 'a store that does not answer' 7 snap list
}

# In a registry there is no atomic create: names carry hashes, and prune wants to be alone.
oci() {
  REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
  NAME=oci
  make_repo "oci://$OCI_HOST/backup/prod" oci
  is "$(snap key trust -o json | jq .checked)" true 'a repository in a registry'
  admin key add --role writer --chain prod --out oci.key >/dev/null
  admin key add --role pruner --out oci.pruner >/dev/null
  past_start $((80 * 3600)) "${OCI_HOST##*:}"
  local here=$REGROW_REPO
  export REGROW_REPO=oci://127.0.0.1:$PAST_PORT/backup/prod
  for i in 1 2 3; do past "$WRITE" "$REGROW_REPO" oci.key 3 3 "$i" >/dev/null; done
  is "$(states)" '["3 good","2 good","1 good"]' 'snapshots in it'
  sleep 2 # what it knows of ages is the writers' word, in seconds
  past snap forget --keep-last 1 --keep-within 1ms --min-good 1 --key oci.pruner >/dev/null
  export REGROW_REPO=$here
  check 'are whole' snap verify -i ann.id
  is "$(live)" '[3]' 'are forgotten'
  refuse 'and not deleted while others may write' 2 snap prune --key oci.pruner
  refuse 'nor before the full grace' 2 snap prune --exclusive --grace 71h --key oci.pruner
  like "$OUT" 'full grace of 72 hours' 'is said'
  is "$(snap prune --exclusive --key oci.pruner -o json | jq -c .deleted)" '[1,2]' 'until that is ruled out'
  check 'what stays is whole' snap verify -i ann.id
  oci_stop
}

run_case made made
run_case denied denied
run_case asked asked
run_case keys keys
run_case looked_at looked_at
run_case tree tree
run_case damaged damaged
run_case flipped flipped
run_case exchanged exchanged
run_case forgotten forgotten
run_case killed killed
run_case s3 s3
run_case oci oci
