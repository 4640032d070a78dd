# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Repositories of snapshots, quickly made. Loaded after env.sh; goes to $SCRATCH, makes age keys of
# ann and ben there (ann.id, ann.age) and sets ANN and BEN, their recipients.
#
#   snap WORDS...           regrow snapshot WORDS
#   make_repo URL NAME      a repository that ann and ben open; sets REGROW_REPO and REGROW_TRUST
#   admin WORDS...          snap WORDS, as the admin of NAME
#   shaped NAME KIND FIELDS COMMAND...   its JSON is as documented; left in out.json
#   make_chain NAME         a repository with a chain "prod" of six snapshots, the fifth suspect
#   states, live            what list says of them

SHAPE=$ROOT/tests/cli/shape
WRITE=$BUILD/tests/snapshot/tool_write
export XDG_CACHE_HOME=$SCRATCH/cache

cd "$SCRATCH"
for who in ann ben; do
  age-keygen -o "$who.id" 2>/dev/null
  age-keygen -y "$who.id" >"$who.age"
done
ANN=$(<ann.age)
BEN=$(<ben.age)

snap() { "$REGROW" snapshot "$@"; }
# A repository for ann and ben, made without a passphrase: that is quick.
make_repo() { # URL NAME; sets REGROW_REPO and REGROW_TRUST, the admin's key is NAME.admin
  export REGROW_REPO=$1
  snap init --out "$2.admin" --recipient "$ANN" --recipient "$BEN" >"$2.init"
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$2.init")
  export REGROW_TRUST
}
admin() { snap "$@" --key "$NAME.admin" -i ann.id; }
shaped() { # NAME KIND FIELDS COMMAND...
  local name=$1 kind=$2 fields=$3
  shift 3
  "$@" -o json >out.json 2>err.txt || true
  check "$name: JSON as documented" bash -c "'$SHAPE' $kind '$fields' <out.json"
}
# A chain "prod" of six snapshots, of which the fifth is suspect; keys of all roles.
make_chain() { # NAME
  local i
  NAME=$1
  make_repo "$SCRATCH/$1" "$1"
  for i in pruner judge; do admin key add --role $i --out "$1.$i" >/dev/null; done
  admin key add --role writer --chain prod --out "$1.job" --label ci >/dev/null
  for i in 1 2 3 4; do "$WRITE" "$REGROW_REPO" "$1.job" 4 5 "$i" >/dev/null; done
  "$WRITE" "$REGROW_REPO" "$1.job" 4 5 5 unknown >/dev/null
  "$WRITE" "$REGROW_REPO" "$1.job" 4 5 6 secret >/dev/null
}
states() { snap list -o json | jq -c '[.chains[0].snapshots[] | "\(.seq) \(.state)"]'; }
live() { snap list -o json | jq -c '[.chains[0].snapshots[] | select(.state != "forgotten").seq]'; }
