#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A repository of snapshots in the hands of people: made where nothing else is, its pin told; ways to
# open it that were taken away stay away; what was lost, and what was forgotten, is told as it is.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/snapshots.sh"

PASS='correct horse battery'
both=(--recipient "$ANN" --recipient "$BEN")

made() {
  refuse "the admin's key to the output" 2 snap init --repo one --out - "${both[@]}"
  like "$OUT" 'wants a file' 'is told'
  is "$(ls -d one ./- 2>/dev/null)" '' 'and makes nothing'
  mkdir -p others/deep/er
  echo mine >others/deep/er/file
  refuse 'a folder with other files' 6 snap init --repo others --out others.admin "${both[@]}"
  like "$OUT" 'there is deep/er/file' 'of which one is named'
  is "$(find others -type f | wc -l) $(ls others.admin* 2>/dev/null)" '1 ' 'and nothing is made'
  check 'but when that is said to be fine' snap init --repo others --out others.admin "${both[@]}" --among-others
  mkdir -p disk/lost+found disk/probe
  echo x >disk/probe/0123-4
  refuse 'the pin to a full disk' 7 bash -c "'$REGROW' snapshot init --repo disk --out disk.admin ${both[*]} >/dev/full"
  like "$OUT" 'pin could not be told.*same command again' 'is told'
  unlike "$OUT" 'output could not be written whole' 'once'
  like "$(snap init --repo disk --out disk.admin "${both[@]}" | tail -1)" \
    "pin $(sha256sum <disk/trust/0001 | cut -d' ' -f1)" 'the same command again tells it'
  refuse 'and once more' 6 snap init --repo disk --out disk.admin "${both[@]}"
  like "$OUT" 'key trust' 'tells how it is seen'
  like "$(snap key trust --repo disk --key disk.admin -i ann.id)" 'is that of the key' 'and so it is'
  refuse 'S3 without keys' 5 snap list --repo s3://backup/prod
  like "$OUT" "AWS_ACCESS_KEY_ID.*AWS_WEB_IDENTITY_TOKEN_FILE.*$HOME/.aws/credentials.*--store-credentials" 'is told where they are looked for'
  AWS_ACCESS_KEY_ID=x refuse 'half of them' 5 snap list --repo s3://backup/prod
  like "$OUT" 'AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY' 'is told as that'
}

slots() { snap key list -o json | jq -c "[.slots[] | select(.epoch == $1).kind] | sort"; }

rotated() {
  export REGROW_REPO=$SCRATCH/rotated REGROW_PASSPHRASE=$PASS
  snap init --out rotated.admin --recipient "$ANN" >rotated.init
  REGROW_TRUST=$(sed -n 's/^ *pin //p' rotated.init)
  export REGROW_TRUST
  by=(--key rotated.admin)
  snap key add "${by[@]}" --recipient "$BEN" >/dev/null
  snap key rotate "${by[@]}" >/dev/null
  is "$(slots 2)" '["age","age","passphrase"]' 'all who open it open the next epoch'
  snap key remove passphrase "${by[@]}" >/dev/null
  snap key rotate "${by[@]}" --again >said
  is "$(slots 3)" '["age","age"]' 'but for a passphrase that was taken away'
  unlike "$(<said)" passphrase 'though it opens the key of the admin still'
  REGROW_NEW_PASSPHRASE='another one' snap key rotate "${by[@]}" --again >/dev/null
  is "$(slots 4)" '["age","age","passphrase"]' 'until another is given'
  like "$(snap key rotate "${by[@]}" --again)" 'not carried over, add it again: [0-9a-f]{16} passphrase' \
    'which is not carried over by who does not know it'
}

roles() {
  NAME=roles
  make_repo "$SCRATCH/roles" roles
  admin key add --role pruner --out pruner.key >/dev/null
  refuse 'a key that has another role' 6 admin key add --role judge --out pruner.key
  like "$OUT" 'pruner.key is there already, with a key that is pruner of all' 'is told as what it is'
  admin key add --role writer --chain prod --out job.key >/dev/null
  refuse 'a key of another chain' 6 admin key add --role writer --chain test --out job.key
  pub=$(snap key init --role judge --out judge.key -o json | jq -r .key.public)
  refuse 'a key made before, in another role' 6 snap key init --role pruner --out judge.key
  refuse 'a key to the output that tells its public half' 2 snap key init --role judge --out -
  like "$(admin key add --role judge --chain prod --public "$pub")" 'is trusted: judge of prod$' 'a judge of one chain'
  like "$(admin key add --role judge --chain test --public "$pub")" 'is trusted: judge of prod test$' 'of two'
  like "$(admin key add --role judge --chain prod --public "$pub")" 'was trusted already: judge of prod test$' 'which it was'
  like "$(admin key add --role judge --public "$pub")" 'is trusted: judge of all$' 'of all'
  admin key revoke pruner >/dev/null
  refuse 'a key that was revoked' 6 admin key add --role pruner --out pruner.key
}

lost() {
  make_chain lost
  snap judge 2 bad --key lost.judge >/dev/null
  snap judge 3 good --key lost.judge >/dev/null # at the end of a log nobody can miss anything
  snap judge 1 bad --key lost.judge >/dev/null
  rm lost/chains/prod/log/0000000007
  refuse 'a lost entry' 9 snap list
  like "$OUT" 'log entry 7 is missing.*forget --write-off' 'is told'
  snap forget --write-off 7 --key lost.pruner >said
  like "$(<said)" 'entry 7 of prod is given up.*snapshots 2, 4, 6 are suspect' 'it may have been a verdict'
  unlike "$(<said)" forgotten 'and nothing is forgotten'
  is "$(states)" '["6 suspect","5 suspect","4 suspect","3 good","2 suspect","1 bad"]' 'what nobody judged after it is not good'
  is "$(snap show latest -o json | jq .seq)" 3 'and not latest'
  like "$(snap show 4)" 'entry after it that called it bad, or may have, is not there any more' 'show says why'
  shaped 'the same again' snapshot-forget 'decisions[].why' snap forget --write-off 7 --key lost.pruner
  is "$(jq -c .writtenOff out.json)" '[]' 'gives up nothing'
  snap judge 6 good --key lost.judge >/dev/null
  is "$(snap show latest -o json | jq .seq)" 6 'until a judge has spoken'
  snap forget --keep-last 1 --keep-within 0s --min-good 1 --key lost.pruner >/dev/null
  is "$(states)" '["6 good","5 suspect","4 suspect","3 forgotten","2 suspect","1 bad"]' 'what is in doubt is not forgotten by rule'
  is "$(snap list -o json | jq -c '[.chains[0].snapshots[] | select(.inDoubt).seq]')" '[5,4,2]' 'and stays in doubt'
}

# What is void is void for ever: neither a slip of the pen nor a label that two keys have decides it.
revoked() {
  NAME=slips
  make_repo "$SCRATCH/slips" slips
  for i in prod test; do admin key add --role writer --chain $i --out slips.$i >/dev/null; done
  for i in 1 2; do "$WRITE" "$REGROW_REPO" slips.prod 2 2 $i >/dev/null; done
  "$WRITE" "$REGROW_REPO" slips.test 2 2 1 >/dev/null
  cp -r slips/trust slips.trust
  refuse 'a label that two keys have' 6 admin key revoke writer
  like "$OUT" '2 keys are called "writer".*by its id' 'says that'
  id=$(snap key list -o json | jq -r '.keys[] | select(.chains == ["prod"]).id')
  refuse 'up to an entry of a chain that is not there' 4 admin key revoke "$id" --last-trusted prdo:1
  like "$OUT" 'prdo: there is no such chain' 'says so'
  refuse 'of a chain where it signs nothing' 4 admin key revoke "$id" --last-trusted test:1
  like "$OUT" 'may sign nothing in this chain' 'says so'
  refuse 'up to an entry that is still to come' 4 admin key revoke "$id" --last-trusted prod:20
  like "$OUT" 'prod:20: the last entry there is 2' 'says so'
  check 'and nothing has changed' diff -r slips/trust slips.trust
  like "$(admin key revoke "$id" --last-trusted prod:1)" ': revoked after prod 1' 'the one that is meant'
  like "$(admin key revoke writer)" ': revoked after test 1' 'the label has one left'
}

# A trust file that is gone: what it revoked is not trusted again, and what names it is no forgery.
trust_lost() {
  local newest words
  NAME=trusts
  make_repo "$SCRATCH/trusts" trusts
  admin key add --role writer --chain prod --label one --out one.job >/dev/null
  "$WRITE" "$REGROW_REPO" one.job 2 2 1 >/dev/null
  admin key add --role writer --chain prod --label two --out two.job >/dev/null
  admin key revoke one --last-trusted prod:1 >/dev/null
  "$WRITE" "$REGROW_REPO" two.job 2 2 2 >/dev/null
  cp -r trusts kept
  newest=$(ls trusts/trust | tail -1)
  rm "trusts/trust/$newest"
  refuse 'the newest is gone: list' 9 snap list
  like "$OUT" "Put trust/$newest back from another copy.*entry 2 is signed" 'says which'
  for words in '--role judge --out t.judge' '--role admin --out t.admin'; do
    # shellcheck disable=SC2086 # words
    refuse "nothing is changed upon it: key add $words" 9 admin key add $words
    like "$OUT" "trust/$newest is missing: entry 2 of prod names it.*Nothing was changed" 'and why'
  done
  refuse 'nor revoked' 9 admin key revoke one --last-trusted prod:1
  refuse 'nor is what it trusts thrown away' 9 snap prune --remove-untrusted 2
  is "$(ls trusts/trust trusts/chains/prod/log t.judge t.admin 2>/dev/null | grep -c .)" "$(($(ls kept/trust kept/chains/prod/log | grep -c .) - 1))" 'all else is there, and no key'
  cp "kept/trust/$newest" trusts/trust/
  check 'put back: all is well' snap verify -i ann.id
  # One in between.
  rm trusts/trust/0002
  for words in 'key list' 'list' 'verify -i ann.id' 'prune --remove-untrusted 2'; do
    # shellcheck disable=SC2086 # words
    refuse "a gap: $words" 9 snap $words
    like "$OUT" "trust/0002 is missing, and trust/$newest is there.*Put it back" 'is told'
  done
  refuse 'a gap: key add' 9 admin key add --role judge --out t.judge
  is "$(ls trusts/trust)" "$(ls kept/trust | grep -v 0002)" 'and nothing is written into it'
  cp kept/trust/0002 trusts/trust/
  local file
  for file in trust/0001 regrow.json; do
    rm "trusts/$file"
    refuse "$file is gone" 9 snap list
    like "$OUT" "$file is missing.*Put it back" 'and is named'
    cp "kept/$file" "trusts/$file"
  done
  # What is no file is damage like any other, and nobody waits for it.
  mkfifo trusts/chains/prod/log/0000000003
  refuse 'a pipe among the entries' 9 timeout 20 "$REGROW" snapshot list
  like "$OUT" 'log/0000000003 is no file' 'is told'
  rm trusts/chains/prod/log/0000000003
  mkdir trusts/chains/prod/log/0000000003
  refuse 'a folder' 9 snap list
  like "$OUT" 'log/0000000003 is no file' 'likewise'
  rmdir trusts/chains/prod/log/0000000003
  rm -r trusts/keys
  refuse 'no slot is left: verify' 9 snap verify
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'No slot is left: nobody can open this repository any more' 'says what that means'
  mkdir -p nothing
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n' >nothing/x.yaml
  refuse 'and no snapshot is called good' 9 "$REGROW" snapshot create --key two.job "$SCRATCH/nothing"
  like "$OUT" 'nobody could open what would be written.*Put keys/ back' 'as nobody could open it'
  like "$("$REGROW" doctor --key two.job "$SCRATCH/nothing" 2>&1 || true)" '✗ slots +0 of [0-9] ways? to open it are whole' 'and doctor sees it'
}

forgotten() {
  make_chain old
  is "$(snap list -o json | jq '.chains[0].snapshots[0].counts.apps')" \
    "$(($(snap list | awk '$1 == 6 {print $6}') + 1))" 'the root is no application'
  snap forget --keep-last 2 --keep-within 0s --keep-suspect 0s --min-good 1 --key old.pruner >/dev/null
  is "$(live)" '[6,4]' 'no time is no time'
  like "$(snap show 3)" 'Forgotten: .*forget --undo 3 brings it back at least until 20[0-9-]+ ' 'show says that it is forgotten'
  shaped 'show' snapshot-show 'forgotten.since,forgotten.until' snap show 3 -i ann.id
  is "$(jq '(.forgotten.until | fromdate) - (.forgotten.since | fromdate)' out.json)" 259200 'and for how long it comes back'
  snap show 4 -o json | jq -e 'has("forgotten") | not' >/dev/null && ok 'of no other'
  like "$(snap export 3 old.tar -i ann.id --no-secrets)" '! Forgotten: ' 'export says it, too'
  is "$(snap export 3 old2.tar -i ann.id --no-secrets -o json | jq '.warnings | map(select(startswith("Forgotten"))) | length')" 1 'also as JSON'
  refuse 'no grace' 2 snap prune --grace 0s --key old.pruner
  like "$OUT" 'restore' 'and why'
}

quorum() {
  NAME=quorum
  make_repo "$SCRATCH/quorum" quorum
  admin key add --role admin --out ben.admin --label ben >/dev/null
  local theirs=(--key ben.admin) newest
  refuse 'two admins, said by one' 5 admin key quorum 2
  like "$OUT" '1 more admin.*--also-key' 'is told as that'
  shaped quorum snapshot-key-quorum need admin key quorum 2 --also-key ben.admin
  is "$(jq .made out.json) $(snap key list -o json | jq .need)" 'true 2' 'both are needed from now on'
  refuse 'a change by one' 5 admin key add --role judge --out no.judge
  is "$(ls no.judge 2>/dev/null)" '' 'makes no key'
  shaped 'a change that is proposed' snapshot-key-sign 'changes[],missing' admin key add --role judge --out q.judge --propose judge.change
  is "$(jq -c '[.missing, .made]' out.json) $(snap key list -o json | jq '.keys | length')" '[1,false] 2' 'is none yet'
  cp judge.change judge.was
  refuse 'another change into the same file' 6 admin key rotate --propose judge.change
  check 'leaves what waits there as it is' cmp judge.change judge.was
  like "$(snap key sign --show judge.change)" 'when 1 more admin signs.*\+ key judge .*, role judge, chains all$' 'is shown without a key'
  like "$(admin key sign judge.change)" 'signed; in force when 1 more admin signs' 'is not signed twice by one'
  refuse 'by somebody who is no admin' 5 snap key sign --key q.judge judge.change
  like "$(snap key sign "${theirs[@]}" judge.change)" 'in force as trust' 'is made when the other signs'
  is "$(snap key list -o json | jq -r '.keys[-1].role')" judge 'and counts'
  refuse 'signed once more' 6 snap key sign "${theirs[@]}" judge.change
  admin key rotate --propose rotate.change >/dev/null
  admin key add --role pruner --out q.pruner --also-key ben.admin >/dev/null
  refuse 'a change that another one has overtaken' 6 snap key sign "${theirs[@]}" rotate.change
  like "$OUT" 'proposed anew' 'says what to do'
  admin key add --role writer --chain prod --out q.job --also-key ben.admin >/dev/null
  admin key add --role judge --out late.judge --propose late.change >/dev/null
  admin key add --role judge --out q.judge2 --also-key ben.admin >/dev/null
  "$WRITE" "$REGROW_REPO" q.job 2 2 1 >/dev/null
  newest=$(ls quorum/trust | tail -1)
  mv "quorum/trust/$newest" "kept.$newest"
  refuse 'the newest trust is gone: nobody signs what stands on an older one' 9 snap key sign "${theirs[@]}" late.change
  like "$OUT" "trust/$newest is missing: entry 1 of prod names it.*Nothing was changed" 'and says why'
  is "$(ls quorum/trust | grep -c "$newest")" 0 'nor takes its place'
  mv "kept.$newest" "quorum/trust/$newest"
  refuse 'fewer admins than it takes' 6 admin key revoke ben --also-key ben.admin
  sed 's/"need":2/"need":1/' judge.change >forged.change
  refuse 'a change that somebody changed' 9 snap key sign "${theirs[@]}" forged.change
  is "$(admin key quorum 1 --also-key ben.admin -o json | jq .made)" true 'one is enough again'
  check 'and one does it' admin key revoke ben
  unlike "$(cat ./*.change)" 'AGE-SECRET-KEY|seed' 'nothing secret is in a change'
}

identities() {
  local pty=$LIB/ptyrun.py
  make_chain ids
  "$pty" "$PASS" "$PASS" -- age -p -o sealed.id ann.id >/dev/null
  "$pty" "$PASS" "$PASS" -- age -p -a -o armored.id ann.id >/dev/null
  is "$(head -c 15 sealed.id) $(head -c 10 armored.id)" 'age-encryption. -----BEGIN' 'sealed by age itself'
  opened() { "$@" -o json | jq .opened; }
  is "$(REGROW_IDENTITY_PASSPHRASE=$PASS opened snap show -i sealed.id)" true 'its passphrase from the environment'
  is "$(REGROW_IDENTITY_PASSPHRASE=$PASS REGROW_IDENTITY=armored.id opened snap show)" true 'armored, and both from there'
  echo "$PASS" >pass
  is "$(opened snap show -i sealed.id --identity-passphrase-file pass)" true 'from a file'
  is "$(REGROW_PASSPHRASE=$PASS opened snap show -i sealed.id)" true 'that of the repository is tried'
  OUT=$("$pty" "$PASS" -- "$REGROW" snapshot show -i sealed.id)
  like "$OUT" 'passphrase of sealed.id:.*git|kept|secrets .*echo on' 'asked for at a terminal'
  unlike "$OUT" "$PASS" 'and not shown'
  refuse 'a wrong one' 5 env REGROW_IDENTITY_PASSPHRASE=no "$REGROW" snapshot show -i sealed.id
  refuse 'none, and nobody to ask' 5 setsid "$REGROW" snapshot show -i sealed.id
  like "$OUT" 'sealed.id.*sealed with a passphrase.*REGROW_IDENTITY_PASSPHRASE' 'is told'
  check 'nobody is asked where nothing is opened' setsid "$REGROW" snapshot list -i sealed.id
  age -r "$BEN" -o to-ben.id ann.id
  refuse 'one that is sealed to a key' 5 snap show -i to-ben.id
  REGROW_IDENTITY_PASSPHRASE=$PASS check "it opens the admin's key" "$REGROW" snapshot key add --key ids.admin -i sealed.id --role judge --out more.judge
}

# A disk without room for another file, and one that cannot be written.
disks() {
  mkdir -p tiny ro plain
  if ! mount -t tmpfs -o nr_inodes=1 tmpfs tiny 2>/dev/null; then
    skip 'full disks' 'nothing may be mounted'
    return 0
  fi
  at_exit umount "$SCRATCH/tiny"
  mount -t tmpfs -o ro tmpfs ro
  at_exit umount "$SCRATCH/ro"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n' >plain/c.yaml
  refuse 'a store on a full disk' 7 snap init --repo tiny/repo --out t.admin "${both[@]}"
  like "$OUT" 'The repository, tiny/repo, is on a full disk: make room there' 'is told, and what to do'
  refuse 'a cache on a full disk' 7 env XDG_CACHE_HOME="$PWD/tiny" "$REGROW" plan plain
  like "$OUT" "The cache, $PWD/tiny/regrow, is on a full disk: make room there .*--cache-dir" 'is told'
  refuse 'a cache that cannot be written' 5 "$REGROW" plan --cache-dir ro/cache plain
  like "$OUT" 'The cache, ro/cache, is on a file system that cannot be written: name another' 'is told'
  make_chain disks
  refuse 'a file on a full disk' 7 snap export latest tiny/x.tar -i ann.id --no-secrets
  like "$OUT" 'It is on a full disk: make room there' 'is told'
  refuse 'an export, and no room for its work' 7 env XDG_CACHE_HOME="$PWD/tiny" "$REGROW" snapshot export latest x.tar -i ann.id --no-secrets
  like "$OUT" 'The cache, .*tiny/regrow, is on a full disk' 'is told'
  check 'no cache at all is none for who only looks' env XDG_CACHE_HOME="$PWD/tiny" "$REGROW" snapshot list
}

run_case made made
run_case disks disks
run_case quorum quorum
run_case identities identities
run_case rotated rotated
run_case roles roles
run_case lost lost
run_case revoked revoked
run_case 'trust lost' trust_lost
run_case forgotten forgotten
