#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# regrow snapshot import. A repository of snapshots is lost; an export gives it back: the same
# content under the same ids, from which the next create goes on, which verifies, exports the same
# bytes again, and opens by hand. Also of a snapshot that could not read everything. A file that was
# changed, cut, signed by others, sealed to others, that expands without end or holds links is
# refused with one line, and nothing is written; killed anywhere it is run again.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"

KILLS=${KILLS:-12}
export XDG_CACHE_HOME=$SCRATCH/cache
cd "$SCRATCH"
for who in ann ben; do age-keygen -o $who.id 2>/dev/null; done
ANN=$(age-keygen -y ann.id) BEN=$(age-keygen -y ben.id)

snap() { "$REGROW" snapshot "$@"; }
pin() { sed -n 's/^ *pin //p' "$1.init"; }
make_repo() { # NAME: with NAME.admin, NAME.job of the chain prod, NAME.judge
  snap init --repo "$1" --out "$1.age" --recipient "$ANN" --single >"$1.init"
  age -d -i ann.id "$1.age" >"$1.admin"
  chmod 600 "$1.admin"
  snap key add --repo "$1" --key "$1.admin" -i ann.id --role writer --chain prod --out "$1.job" >/dev/null
  snap key add --repo "$1" --key "$1.admin" -i ann.id --role judge --out "$1.judge" >/dev/null
}
create() { snap create --repo "$1" --key "$1.job" "$HTTP_URL/git/platform.git//root?ref=main" "${@:2}"; }
export_to() { # REPO SNAPSHOT FILE [MORE]
  snap export "$2" "$3" --repo "$1" --key "$1.admin" -i ann.id --recipient "$ANN" "${@:4}"
}
import() { # REPO FILE [MORE]
  snap import "$2" --repo "$1" --key "$1.job" "${@:3}"
}
stored() { (cd "$1" && find . -type f | sort | xargs sha256sum | sha256sum); }
root_of() { head -n1 "$1/chains/prod/log/$(printf %010d "$2")" | jq -r .root; }
unpack() { # FILE FOLDER
  rm -rf "$2"
  mkdir "$2"
  if [[ $1 == *.zst ]]; then zstd -dc "$1" | tar -xf - -C "$2" --strip-components 1; else tar -xf "$1" -C "$2" --strip-components 1; fi
}
pack() { # FOLDER FILE [FORMAT]
  rm -f "$2"
  tar --format="${3:-gnu}" -cf "$2" --transform 's|^\.|prod-1|' -C "$1" .
}
again() { # FOLDER: checksums as of what is there now
  rm -f "$1/SHA256SUMS.signed"
  (cd "$1" && find . -type f | sed 's|^\./||' | grep -v '^SHA256SUMS$' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
}

make_sources() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  mkdir -p platform/root web/deploy chart/templates
  printf 'apiVersion: v2\nname: big\nversion: 1.0.0\n' >chart/Chart.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\n' >chart/templates/cm.yaml
  head -c 9000000 /dev/urandom >chart/blob # of two pieces
  charts_package chart stable >/dev/null
  charts_index stable >/dev/null
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {v: "1"}\n' >web/deploy/a.yaml
  app web "repoURL: $HTTP_URL/git/web.git, targetRevision: main, path: deploy"
  app big "repoURL: $HTTP_URL/files/charts/stable, chart: big, targetRevision: 1.x"
  kubectl create secret generic login -n default --from-literal=password=hunter2 --dry-run=client -o yaml >platform/root/login.yaml
  kubectl create secret tls edge -n default --cert tls.crt --key tls.key --dry-run=client -o yaml >platform/root/edge.yaml
  git_publish platform platform >/dev/null
  git_publish web web >/dev/null
  git_tag platform v1
  git --git-dir="$GIT_ROOT/platform.git" update-ref refs/pull/7/head main
}
app() { # NAME SOURCE
  cat >"platform/root/$1.yaml" <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: default}
  source: {$2}
Y
}

saved() {
  make_sources
  for repo in one two; do make_repo "$repo"; done
  check 'saved' create one
  check 'exported' export_to one latest x.tar.zst
  is "$(zstd -dc x.tar.zst | tar -tf - | grep -c 'import/files/')" 0 'what lies in it for people is not in it twice'
  refuse 'a pruner vouches for nothing' 5 bash -c "'$REGROW' snapshot key add --repo one --key one.admin -i ann.id --role pruner --out one.pruner >/dev/null &&
    '$REGROW' snapshot export latest p.tar --repo one --key one.pruner -i ann.id --no-secrets"
}

round_trip() {
  local before
  before=$(stored two)
  check 'tried' import two x.tar.zst -i ann.id --from-trust "$(pin one)" --dry-run
  is "$(stored two)" "$before" 'and nothing was written'
  check 'JSON as documented' bash -c "'$REGROW' snapshot import x.tar.zst --repo two --key two.job -i ann.id --from-trust $(pin one) -o json |
    '$ROOT/tests/cli/shape' snapshot-import from.file,from.signedBy.key,seq,added"
  before=$(stored two)
  like "$(import two x.tar.zst -i ann.id --from-trust "$(pin one)")" 'is there already' 'a second time'
  is "$(stored two)" "$before" 'nothing is written'
  is "$(snap list --repo two --trust "$(pin two)" -o json | jq -r '.chains[0] | "\(.lastGood) \(.snapshots[0].state)"')" '1 good' 'it is the latest good one'
  is "$(head -n1 two/chains/prod/log/0000000001 | jq -r .origin)" "$(head -n1 one/regrow.json | jq -r .repo) prod 1" 'of that origin'
  is "$(head -n1 two/chains/prod/log/0000000001 | jq -r .taken)" "$(head -n1 one/chains/prod/log/0000000001 | jq -r .time)" 'with its time'
  check 'every byte, reference and commit is there' snap verify --repo two -i ann.id --trust "$(pin two)"
  cp -r one same
  is "$(snap list --repo two --trust "$(pin two)" -o json | jq -r '.chains[0].snapshots[0] | "\(.origin | split(" ")[1]) \(.export | length)"')" \
    'prod 64' 'list says where it is from'
  like "$(snap show --repo two --trust "$(pin two)")" 'origin +imported from [0-9]+ of prod in [0-9a-f]{32}
 +export +SHA256SUMS [0-9a-f]{64}' 'and show'
  check 'beside the one it was made of' snap import x.tar.zst --repo same --key one.job -i ann.id --on-top
  is "$(root_of same 2)" "$(root_of same 1)" 'it has the same id'
  check 'and there is no difference' snap diff 1 2 --repo same -i ann.id --trust "$(pin one)"
  unpack x.tar.zst one.d
  export_to two latest y.tar >/dev/null
  unpack y.tar two.d
  is "$(diff -rq one.d two.d | grep -v -e 'secrets' -e SHA256SUMS -e 'import/entry' -e snapshot.json -e RESTORE.md -e trust)" '' 'exported again it has the same bytes'
  is "$(for f in two.d/secrets/*; do age -d -i ann.id "$f"; done)" "$(for f in one.d/secrets/*; do age -d -i ann.id "$f"; done)" 'and Secrets'
  check 'it opens by hand' sh "$ROOT/scripts/emergency.sh" two rescued -i ann.id --trust "$(pin two)"
  is "$(git --git-dir=rescued/git/platform.git for-each-ref)" "$(git --git-dir="$GIT_ROOT/platform.git" for-each-ref)" 'with every ref'
  like "$(create two --if-changed)" 'nothing was written' 'the next create finds nothing new'
}

# What could not be read is as it was before, and goes along.
stale() {
  local status=0
  git_publish web web >/dev/null
  mv "$GIT_ROOT/web.git" web.kept
  sed -i 's/v1/v1 # changed/' platform/root/web.yaml
  git_publish platform platform >/dev/null
  git --git-dir="$GIT_ROOT/platform.git" update-ref -d refs/pull/7/head
  create one >/dev/null || status=$?
  is "$status" 10 'a source is gone: the snapshot is suspect'
  mv web.kept "$GIT_ROOT/web.git"
  export_to one 2 s.tar >/dev/null
  like "$(tar -tf s.tar)" 'import/git/0001.bundle' 'what only refs of before lead to is in it'
  rm -rf three same2
  make_repo three
  status=0
  import three s.tar -i ann.id --from-trust "$(pin one)" >out || status=$?
  is "$status" 10 'and so it is when it comes back'
  like "$(<out)" 'unknown-source' 'for the reason its writer gave'
  check 'whole' snap verify --repo three -i ann.id --trust "$(pin three)"
  cp -r one same2
  snap import s.tar --repo same2 --key one.job -i ann.id --on-top >/dev/null || true
  is "$(root_of same2 3)" "$(root_of same2 2)" 'under the same id'
  check 'and the next create, which reads all, is good' create three
}

unproved() {
  local status=0
  make_repo four
  import four x.tar.zst -i ann.id >out || status=$?
  is "$status" 10 'without a pin it is suspect'
  like "$(<out)" 'nobody has named' 'and says why'
  refuse 'it is not the latest' 4 snap show latest --repo four --trust "$(pin four)" -i ann.id
  check 'a judge may say that it is good' snap judge 1 good 'pin compared' --repo four --key four.judge
  check 'then it is' snap show latest --repo four --trust "$(pin four)" -i ann.id
  check 'with the pin it is taken again' import four x.tar.zst -i ann.id --from-trust "$(pin one)"
  is "$(snap list --repo four --trust "$(pin four)" -o json | jq -r '.chains[0].lastGood')" 3 'as good'
  snap export 1 u.tar.zst --repo one --trust "$(pin one)" -i ann.id --no-secrets >/dev/null
  make_repo five
  status=0
  import five u.tar.zst --from-trust "$(pin one)" >out || status=$?
  is "$status" 10 'not signed, and without Secrets'
  like "$(<out)" 'unsigned' 'it says both'
  like "$(<out)" 'no-secrets' 'reasons'
}

# refused EXIT TEXT NAME FILE [MORE]: one line, that code, nothing written
refused() {
  local code=$1 text=$2 name=$3 file=$4 status=0 before
  before=$(stored empty)
  import empty "$file" "${@:5}" >out 2>said || status=$?
  is "$status" "$code" "$name"
  like "$(<said)" "$text" "  says so"
  is "$(grep -vc '^ *next:\|^  ' said) $(wc -c <out)" '1 0' '  in one line'
  is "$(stored empty)" "$before" '  and nothing was written'
}

refusals() {
  local p
  p=$(pin one)
  make_repo empty
  pack one.d good.tar pax
  check 'packed again by another tar it is taken' import empty good.tar -i ann.id --from-trust "$p" --dry-run
  refused 5 'sealed to another key' 'sealed to somebody else' x.tar.zst -i ben.id --from-trust "$p"
  refused 5 'nothing was given' 'no identity' x.tar.zst --from-trust "$p"
  refused 9 'another repository' 'of another pin' x.tar.zst -i ann.id --from-trust "$(pin two)"
  head -c 3000 x.tar.zst >cut.tar.zst
  refused 9 'cut off' 'a cut file' cut.tar.zst -i ann.id --from-trust "$p"
  head -c "$(($(stat -c %s good.tar) / 2))" good.tar >cut.tar
  refused 9 'cut off|missing' 'a cut tar' cut.tar -i ann.id --from-trust "$p"
  cp -r one.d bad.d
  echo >>bad.d/steps
  pack bad.d bad.tar
  refused 9 'steps is not what was written' 'a changed file' bad.tar -i ann.id --from-trust "$p"
  cp -r one.d more.d
  echo x >more.d/more
  pack more.d more.tar
  refused 9 'not in SHA256SUMS' 'a file more' more.tar -i ann.id --from-trust "$p"
  cp -r one.d foreign.d # by the key of another repository
  cp two.d/SHA256SUMS.signed foreign.d/
  pack foreign.d foreign.tar
  refused 9 'no key of the repository' 'a foreign signature' foreign.tar -i ann.id --from-trust "$p"
  cp -r one.d old.d
  rm -r old.d/import
  again old.d
  pack old.d old.tar
  refused 3 'made by a version' 'an export of a version before' old.tar -i ann.id --from-trust "$p"
  cp -r one.d link.d
  ln -s /etc/passwd link.d/steps2
  pack link.d link.tar
  refused 9 'a link' 'a link in it' link.tar -i ann.id --from-trust "$p"
  mkdir -p bomb.d
  truncate -s 3G bomb.d/zeros
  tar -cf - --transform 's|^\.|prod-1|' -C bomb.d . | zstd -q >bomb.tar.zst
  refused 9 'expands to more' 'what expands without end' bomb.tar.zst -i ann.id --from-trust "$p"
  rm -r bomb.d
  echo hello >text.tar
  refused 3 'no tar file' 'no tar' text.tar -i ann.id --from-trust "$p"
  refused 4 'nowhere.tar' 'no file' nowhere.tar -i ann.id --from-trust "$p"
  refused 2 'no pin' 'no pin' x.tar.zst -i ann.id --from-trust abc
  refuse 'on top of other snapshots' 6 import one x.tar.zst -i ann.id
}

killed() {
  local i before
  for ((i = 0; i < KILLS; i++)); do
    rm -rf kill
    cp -r empty kill
    (timeout -s KILL "0.$(printf %03d $((i * 50 + 15)))" "$REGROW" snapshot import x.tar.zst --repo kill --key empty.job \
      -i ann.id --from-trust "$(pin one)" || true) >/dev/null 2>&1
    snap import x.tar.zst --repo kill --key empty.job -i ann.id --from-trust "$(pin one)" >/dev/null ||
      fail "it does not go on after $((i * 50 + 15)) ms"
    # What a kill left half stands beside, under a name that no entry has.
    before=$(find kill/chains/prod/log -type f -name '[0-9]*' | wc -l)
    [[ $before == 1 ]] || fail "$before entries after $((i * 50 + 15)) ms"
  done
  check "killed at $KILLS moments it is run again" snap verify --repo kill -i ann.id --trust "$(pin empty)"
  is "$(ls "$XDG_CACHE_HOME/regrow/snapshot-work")" '' 'and leaves no files of it'
}

githttp_start
run_case saved saved
run_case round-trip round_trip
run_case stale stale
run_case unproved unproved
run_case refusals refusals
run_case killed killed
