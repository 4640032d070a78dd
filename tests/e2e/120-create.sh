#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# regrow snapshot create. Everything gone: a fleet of real add-ons from Git, a Helm repository, a
# registry and a live cluster is saved; then all of these are deleted, and a stranger's reader brings
# back every Git object, chart, artifact and manifest as it was. With the job's credential nothing
# can be read. Killed anywhere, two at once, with sources that cannot be read: the snapshots that
# were called good are whole, and the last good one stays.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared upstream
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/fleet.sh"
. "$LIB/s3.sh"
. "$LIB/index.sh"

SHAPE=$ROOT/tests/cli/shape
KILLS=${KILLS:-40}
SEED=${SEED:-11}
export XDG_CACHE_HOME=$SCRATCH/cache
UP=$REGROW_SHARED/upstream
cd "$SCRATCH"

snap() { "$REGROW" snapshot "$@"; }
create() { snap create --key "$JOB" "$@"; }
root_url() { echo "$HTTP_URL/git/fleet.git//root?ref=main"; }

make_repo() { # a repository that ann opens, and the credential of its job
  [[ -f ann.id ]] || age-keygen -o ann.id 2>/dev/null
  snap init --repo "$1" --out "$1.admin" --recipient "$(age-keygen -y ann.id)" --single >init.txt
  export REGROW_REPO=$SCRATCH/$1
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init.txt)
  export REGROW_TRUST
  snap key add --key "$1.admin" -i ann.id --role writer --chain prod --out "$1.key" >/dev/null
  JOB=$SCRATCH/$1.key
}
last() { snap list -o json | jq -r ".chains[0].$1"; }
verified() { snap verify -i ann.id >verify.txt 2>&1 || { cat verify.txt; return 9; }; }

chart_app() { # NAME URL CHART VERSION [MORE]
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {repoURL: "$2", chart: $3, targetRevision: "$4"}
  syncPolicy: {syncOptions: [CreateNamespace=true]}
Y
}

# The fleet, with some add-ons from a Helm repository and from a registry that wants a login, which
# only the cluster has; a base in another repository, a file by its URL, and refs of every kind.
make_fleet() {
  local version
  fleet_make "$SCRATCH/fleet" "$HTTP_URL/git/fleet.git" 6
  rm -rf fleet/root/t-sealed-secrets.yaml fleet/charts/sealed-secrets \
    fleet/root/s-metrics-server.yaml fleet/charts/metrics-server
  charts_upstream up sealed-secrets metrics-server >/dev/null
  version=$(charts_field version "$UP/sealed-secrets/helm/sealed-secrets/Chart.yaml")
  chart_app sealed-secrets "$HTTP_URL/files/charts/up" sealed-secrets "$version" >fleet/root/sealed.yaml
  oci_push "$FILES_ROOT"/charts/up/metrics-server-*.tgz
  version=$(charts_field version "$UP/metrics-server/charts/metrics-server/Chart.yaml")
  chart_app metrics-server "$OCI_URL" metrics-server "$version" >fleet/root/metrics.yaml
  mkdir -p base fleet/based
  printf 'resources: [cm.yaml]\n' >base/kustomization.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-base}\n' >base/cm.yaml
  git_publish base base >/dev/null
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-url}\n' >"$FILES_ROOT/one.yaml"
  printf 'resources: ["%s/git/base.git//.?ref=main", "%s/files/one.yaml"]\n' "$HTTP_URL" "$HTTP_URL" \
    >fleet/based/kustomization.yaml
  fleet_app based based based >fleet/root/based.yaml
  git_publish fleet fleet >/dev/null
  echo later >fleet/README
  git_publish fleet fleet >/dev/null
  git --git-dir="$GIT_ROOT/fleet.git" symbolic-ref HEAD refs/heads/main
  git_tag fleet v1
  git --git-dir="$GIT_ROOT/fleet.git" tag light main~1
  git --git-dir="$GIT_ROOT/fleet.git" update-ref refs/pull/7/head main~1
  git_quiet "$GIT_ROOT/fleet.git" notes add -m note main
}

make_live() { # what only the cluster has
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl create namespace argocd
  kubectl create namespace web
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl -n argocd create secret generic prod --from-literal=server=https://x --from-literal=config=hunter2-of-prod
  kubectl -n argocd label secret prod argocd.argoproj.io/secret-type=cluster
  kubectl -n argocd create secret generic registry --from-literal=url="oci://$OCI_HOST" --from-literal=type=oci \
    --from-literal=username="$HTTP_USER" --from-literal=password="$HTTP_PASSWORD"
  kubectl -n argocd label secret registry argocd.argoproj.io/secret-type=repo-creds
  kubectl -n web create deployment web --image=registry.example.org/web:1.2
}

objects() { git --git-dir="$1" rev-list --all --objects | sort; }
refs() { git --git-dir="$1" for-each-ref --format='%(objectname) %(refname)'; }

# Lines in an order that does not look at what they mean, so that none is changed or left out.
bytewise() { LC_ALL=C sort; }
# What the API server alone says of an object, which no snapshot keeps.
of_the_server='del(.items[].metadata | .uid, .resourceVersion, .creationTimestamp, .managedFields)'

# What there is before everything goes. Of objects the bytes that must be stored, by another writer
# of the canonical form than ours.
remember() {
  local r
  mkdir -p truth
  for r in fleet base; do
    refs "$GIT_ROOT/$r.git" >"truth/$r.refs"
    objects "$GIT_ROOT/$r.git" >"truth/$r.objects"
  done
  sha256sum <"$FILES_ROOT"/charts/up/sealed-secrets-*.tgz >truth/helm
  sha256sum <"$FILES_ROOT"/charts/up/metrics-server-*.tgz >truth/oci
  sha256sum <"$FILES_ROOT/one.yaml" >truth/url
  "$REGROW" render --use-cluster -o json "$(root_url)" >truth/render.json 2>render.log
  "$LIB/canon.py" <truth/render.json | bytewise >truth/objects
  {
    "$LIB/canon.py" desired <truth/render.json
    kubectl get secret -A -o json --selector sealedsecrets.bitnami.com/sealed-secrets-key |
      jq "$of_the_server" | "$LIB/canon.py" live
    kubectl get secret -A -o json --selector argocd.argoproj.io/secret-type |
      jq "$of_the_server" | "$LIB/canon.py" live
  } | bytewise >truth/secrets
}

all_gone() {
  githttp_stop
  oci_stop
  cluster_down
  rm -rf "$GIT_ROOT" "$FILES_ROOT" "$SCRATCH/oci" "$SCRATCH/cache" "$SCRATCH/fleet" "$SCRATCH/base"
}

# rebuild URL-PATH NAME: a repository out of the packs, with the refs of one
rebuild() {
  local id name
  git init -q --bare -b main "back-$2.git"
  for pack in out/git/*.pack; do git -C "back-$2.git" index-pack --stdin <"$pack" >/dev/null; done
  while read -r id name; do
    git -C "back-$2.git" update-ref "$name" "$id"
  done < <(jq -r --arg u "$1" '.[] | select(.url == $u) | .refs[] | "\(.id) \(.name)"' out/repos.json)
}

source_file() { # KIND CHART-OR-URL: sha256 of the file kept of a source
  local i
  i=$(jq -r --arg k "$1" --arg c "$2" 'map((.chart // "") == $c or .url == $c) as $m |
    [range(length) as $i | select(.[$i].kind == $k and $m[$i]) | $i][0]' out/sources.json)
  sha256sum <"$(find "out/files/$i" -type f)"
}

comes_back() {
  local r seq
  rm -rf out
  seq=$(last lastGood)
  check 'a stranger reads it, with age and zstd' "$LIB/stranger.py" "$REGROW_REPO" prod "$seq" ann.id out
  for r in fleet base; do
    rebuild "$HTTP_URL/git/$r.git" "$r"
    check "$r: git fsck" git -C "back-$r.git" fsck --full --strict
    is "$(refs "back-$r.git")" "$(cat "truth/$r.refs")" "$r: all refs"
    is "$(objects "back-$r.git" | sha256sum)" "$(sha256sum <"truth/$r.objects")" "$r: all objects of all commits"
  done
  is "$(jq -r '.[] | select(.url | endswith("fleet.git")).head' out/repos.json)" refs/heads/main 'the branch HEAD names'
  is "$(source_file helm sealed-secrets)" "$(cat truth/helm)" 'the chart of the Helm repository'
  is "$(source_file oci metrics-server)" "$(cat truth/oci)" 'the chart of the registry'
  is "$(source_file url "$HTTP_URL/files/one.yaml")" "$(cat truth/url)" 'the file by its URL'
  # The stored bytes themselves. (What Argo CD alone would read is no manifest of this cluster.)
  grep -v '^{"apiVersion":"argoproj.io/v1alpha1","kind":"Application",' out/objects.jsonl | bytewise >out/objects
  check 'every manifest, byte for byte' diff out/objects truth/objects
  bytewise <out/secrets.jsonl >out/secrets
  check 'every Secret, rendered or of the cluster, byte for byte' diff out/secrets truth/secrets
  is "$(wc -l <out/objects) $(wc -l <out/secrets)" \
    "$(jq -r '[.items[].kind == "Secret"] | "\(map(select(not)) | length) \(map(select(.)) | length + 3)"' truth/render.json)" \
    'all of them'
  is "$(jq -r 'select(.object.metadata.name == "sealed-1").object.data["tls.key"]' out/secrets.jsonl | base64 -d | sha256sum)" \
    "$(sha256sum <tls.key)" 'the sealed-secrets key of the cluster'
  is "$(jq -r '.objects[] | "\(.namespace)/\(.name): \(.rule)"' out/live.json | sort)" \
    'argocd/prod: cluster registrations
argocd/registry: repository credentials
kube-system/sealed-1: sealed-secrets keys' 'what the cluster alone has'
}

# Not in plain, and not as a Secret or a header has it.
no_login() { # WHAT PLACES...
  local what=$1
  shift
  is "$(grep -rlaF -e "$HTTP_PASSWORD" -e "$(base64 <<<"$HTTP_PASSWORD" | head -c 16)" \
    -e "$(base64 <<<"$HTTP_USER:$HTTP_PASSWORD" | head -c 16)" "$@" | head -3)" '' \
    "the login of the registry is in no file of $what"
}

everything_gone() {
  refuse 'the registry gives nothing to who has no login' 22 curl -fsS "http://$OCI_HOST/v2/charts/metrics-server/tags/list"
  check 'the fleet is saved' create --use-cluster -o json "$(root_url)"
  is "$(last 'snapshots[0].state')" good 'and good'
  check 'verified with the key' verified
  create --use-cluster -o json "$(root_url)" >again.json
  is "$(jq -r '"\(.state) \(.bytes.added)"' again.json)" 'good 0' 'again: nothing new, nothing added'
  is "$(create --use-cluster --if-changed -o json "$(root_url)" | jq .changed)" false '--if-changed: no entry'
  like "$(create --use-cluster --metrics told.prom "$(root_url)" 2>&1)" 'is good' 'told in text'
  refuse 'without the cluster it would be smaller: refused' 6 create "$(root_url)"
  like "$OUT" 'use-cluster' 'and told'
  no_login 'repository, cache and what was said' repo cache again.json told.prom
  remember
}

# The login lies nowhere but among the Secrets, which are sealed.
login_stays() {
  check 'an export, when all is gone' snap export latest gone.tar -i ann.id --recipient "$(age-keygen -y ann.id)"
  mkdir -p gone
  tar -xf gone.tar -C gone --strip-components 1
  is "$(find gone/sources -name 'metrics-server-*.tgz' -exec cat {} + | sha256sum)" "$(cat truth/oci)" \
    'it has the chart of the registry that wanted a login'
  no_login 'repository and export' repo gone cache
  is "$(jq -r 'select(.object.metadata.name == "registry").object.data.password' out/secrets.jsonl | base64 -d)" \
    "$HTTP_PASSWORD" 'it comes back with the Secrets'
}

write_only() {
  local thief config secret
  # The object with a guess that is right, and guesses of Secrets that are.
  config=$(jq -c 'select(.kind == "ConfigMap" and .metadata.name == "settings")' out/objects.jsonl | head -1)
  secret=$(grep -F '"tenant-1"' out/secrets.jsonl | head -1)
  thief=$("$BUILD/tests/snapshot/tool_writeonly" "$REGROW_REPO" "$JOB" "o$config" "s$secret" "k$secret" "o$secret" \
    "o$(jq -c .object <<<"$secret")" "s$(jq -c .object <<<"$secret")")
  like "$thief" "tried $(find repo/chains/prod/packs -type f | wc -l) of " 'every pack was tried'
  unlike "$thief" '^opened|
opened' 'none opens with what the credential holds'
  is "$(grep '^known' <<<"$thief")" "known o$config" 'a whole object can be guessed, a Secret cannot'
  is "$(grep -rlaF -e hunter2 -e tenant-1 -e fleet.git -e "$HTTP_URL" repo | head -3)" '' \
    'no name, no URL and no value in what is stored'
  refuse 'verify with the credential proves no content' 0 snap verify --key "$JOB"
  like "$OUT" 'Not looked at: what the packs hold' 'and says what it could not check'
}

# Sources that cannot be read, one kind after another: suspect, never smaller, the last good stays.
metric() { awk -v n="regrow_snapshot_$1{" 'index($0, n) == 1 { print $2 }' told.prom; }
good_ones() { echo "$(metric last_good_seq) $(metric last_good_timestamp_seconds) $(metric last_success_timestamp_seconds)"; }
suspect() { # NAME CACHE
  local before now good
  good=$(good_ones)
  before=$(snap list -o json | jq -c '.chains[0] | [.lastGood, (.snapshots[] | select(.state == "good").counts | {apps, objects, refs, secrets, sources})] | .[0:2]')
  refuse "$1: suspect" 10 create --use-cluster --metrics told.prom --source-timeout 3s --cache-dir "$2" "$(root_url)"
  like "$OUT" 'unknown' "$1: told"
  now=$(snap list -o json | jq -c '.chains[0] | [.lastGood, (.snapshots[0].counts | {apps, objects, refs, secrets, sources})]')
  is "$now" "$before" "$1: the last good one stays, and no count is smaller"
  is "$(metric last_run_exit_code) $(metric suspect) $(good_ones)" "10 1 $good" "$1: and monitoring hears of it"
}

unreadable() {
  mv "$FILES_ROOT/charts/up" "$FILES_ROOT/charts/away"
  suspect 'a Helm repository' "$SCRATCH/cold-1"
  mv "$FILES_ROOT/charts/away" "$FILES_ROOT/charts/up"
  oci_stop
  suspect 'a registry' "$SCRATCH/cold-2"
  spawn registry docker-registry serve "$SCRATCH/oci/config.yml"
  mv "$FILES_ROOT/one.yaml" "$FILES_ROOT/two.yaml"
  suspect 'a file by its URL' "$SCRATCH/cold-3"
  mv "$FILES_ROOT/two.yaml" "$FILES_ROOT/one.yaml"
  mv "$GIT_ROOT/base.git" "$GIT_ROOT/away.git"
  suspect 'a remote base' "$SCRATCH/cold-4"
  mv "$GIT_ROOT/away.git" "$GIT_ROOT/base.git"
  mv "$GIT_ROOT/fleet.git" "$GIT_ROOT/away.git"
  git init -q --bare "$GIT_ROOT/fleet.git"
  suspect 'a repository without any ref' "$SCRATCH/cache/regrow"
  rm -rf "$GIT_ROOT/fleet.git"
  mv "$GIT_ROOT/away.git" "$GIT_ROOT/fleet.git"
  githttp_stop
  suspect 'the Git host itself' "$SCRATCH/cache/regrow"
  spawn silent python3 "$LIB/slowhttp.py" "${HTTP_URL##*:}" 1 "$SCRATCH/silent.requests" --hang
  wait_for 10 'a host that answers nothing' port_open "${HTTP_URL##*:}"
  suspect 'a Git host that answers nothing' "$SCRATCH/cache/regrow"
  stop silent
  githttp_again
  wait_for 10 'the registry again' port_open "${OCI_HOST##*:}"
  check 'all back: good' create --use-cluster --cache-dir "$SCRATCH/cold-2" "$(root_url)"
  check 'all of it verifies' verified
}

# ---- on a small folder, so that many runs are quick ----

small_root() {
  local i
  mkdir -p small/root small/apps/root
  git init -q -b main small/apps
  for i in 1 2 3; do
    fleet_url=file://$SCRATCH/small/apps fleet_kind='' fleet_tenant small/apps "$i"
  done
  mv small/apps/root/*.yaml small/root/
  rmdir small/apps/root
  change 0
}
change() { # NUMBER
  head -c 20000 /dev/urandom | base64 >"small/apps/noise-$(($1 % 3))"
  sed -i "s/tenant: .*/tenant: \"$1\"}/" small/apps/tenants/tenant-1/all.yaml
  git -C small/apps add -A
  git -C small/apps -c user.name=t -c user.email=t@example.com commit -qm "$1"
}

# Sources that are there, and are not what they were: the last good one stays, and monitoring hears.
turned_bad() { # WHAT
  local good
  good=$(good_ones)
  sleep 1.1 # metrics count seconds
  refuse "$1: suspect" 10 create --metrics told.prom small/root
  is "$(metric last_run_exit_code) $(metric suspect) $(good_ones)" "10 1 $good" "$1: and monitoring hears of it"
  is "$(last lastGood)" "${good%% *}" "$1: the last good one stays"
}
commit_all() { # MESSAGE
  git -C small/apps add -A
  git -C small/apps -c user.name=t -c user.email=t@example.com commit -qm "$1"
}
turned() {
  rm -f told.prom
  mkdir -p small/apps/charted/templates
  printf 'apiVersion: v2\nname: charted\nversion: 1.0.0\n' >small/apps/charted/Chart.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: charted}\n' >small/apps/charted/templates/a.yaml
  fleet_url=file://$SCRATCH/small/apps fleet_app charted default charted >small/root/charted.yaml
  commit_all 'a chart'
  check 'a good one' create --metrics told.prom small/root
  is "$(metric suspect)" 0 'as monitoring hears'
  # The folder's own files, each known word for word: none is found.
  local file guesses=()
  for file in small/root/*; do guesses+=("f$(<"$file")" "h$(<"$file")"); done
  is "$((${#guesses[@]} > 5)) $("$BUILD/tests/snapshot/tool_writeonly" "$REGROW_REPO" "$JOB" "${guesses[@]}" | grep -c '^known')" \
    '1 0' 'with the credential of the job no file of the folder can be confirmed by a guess'
  echo '{{ fail "on purpose" }}' >small/apps/charted/templates/b.yaml
  commit_all 'a chart that fails'
  turned_bad 'a chart that stopped rendering'
  git -C small/apps rm -rqf .
  commit_all 'nothing at all'
  turned_bad 'a repository emptied by a commit'
  git -C small/apps checkout -q HEAD~2 -- .
  commit_all 'all back'
  check 'all back: good' create --metrics told.prom small/root
  rm small/root/charted.yaml
}

killed() {
  local bad=0 i at took goods=0
  create small/root >/dev/null
  took=$(create small/root -o json | jq .ms)
  RANDOM=$SEED
  for ((i = 1; i <= KILLS; i++)); do
    change "$i"
    at=$((RANDOM % (took * 3 / 2 + 30)))
    "$REGROW" snapshot create --key "$JOB" small/root >killed.txt 2>&1 &
    local pid=$!
    sleep "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    create small/root >rerun.txt 2>&1 || { bad=$((bad + 1)); echo "kill $i at $at ms: the next run failed"; cat rerun.txt; }
    verified || { bad=$((bad + 1)); echo "kill $i at $at ms: not whole"; }
  done
  goods=$(last 'snapshots | length')
  is "$bad" 0 "$KILLS kills (seed $SEED), after each the next run is good and everything verifies"
  at_most $((KILLS + 2)) "$goods" "every run that was called good is there ($goods)"
  create small/root >/dev/null
  is "$(ls cache/regrow/snapshot-work)" '' 'nothing of the killed runs lies about'
}

interrupted() {
  local pid status=0
  change 1000
  head -c 30000000 /dev/urandom >small/root/large.bin
  "$REGROW" snapshot create --key "$JOB" small/root >interrupted.txt 2>&1 &
  pid=$!
  sleep 0.3
  kill -INT "$pid"
  wait "$pid" || status=$?
  like "$status" '^(130|0)$' 'Ctrl-C ends it cleanly, unless it was done before'
  rm small/root/large.bin
  check 'and the next one is good' create small/root
}

side_by_side() {
  local i a b sa sb bad=0
  for ((i = 1; i <= 6; i++)); do
    change $((2000 + i))
    sa=0 sb=0
    "$REGROW" snapshot create --key "$JOB" small/root >a.txt 2>&1 &
    a=$!
    "$REGROW" snapshot create --key "$JOB" --cache-dir "$SCRATCH/other-cache" small/root >b.txt 2>&1 &
    b=$!
    wait "$a" || sa=$?
    wait "$b" || sb=$?
    if ((sa || sb)); then
      bad=$((bad + 1)); echo "pair $i: $sa and $sb"; cat a.txt b.txt
    fi
  done
  is "$bad" 0 'two at once, with caches shared and apart: both good'
  check 'and all verifies' verified
}

shaped() { # NAME KIND FIELDS COMMAND...
  local name=$1 kind=$2 fields=$3
  shift 3
  "$@" -o json >out.json 2>err.txt || true
  check "$name: JSON as documented" bash -c "'$SHAPE' $kind '$fields' <out.json"
}

differences() {
  local before
  change 4000
  create small/root >/dev/null
  before=$(last lastGood)
  refuse 'nothing between a snapshot and itself' 0 snap diff "$before" "$before" -i ann.id
  change 4001
  sed -i 's/key: "tenant-2"/key: "hunter3"/' small/apps/tenants/tenant-2/all.yaml
  sed -i ':a;N;$!ba;s/---\napiVersion: v1\nkind: LimitRange.*//' small/apps/tenants/tenant-3/all.yaml
  git -C small/apps -c user.name=ann -c user.email=a@example.com commit -qam 'Cut tenant 3'
  git -C small/apps tag v1
  shaped 'create' snapshot-create 'counts.refs,bytes.added,lastGoodBefore.seq,root.url' create small/root
  shaped 'diff' snapshot-diff \
    'repositories[].refs[].commits[].subject,sources[].from,applications[].objects[].fields[].path,secrets[].name' \
    snap diff "$before" latest -i ann.id
  is "$(jq -r '.repositories[].refs[] | "\(.name) \([.commits[]?.subject] | join(", "))"' out.json | sort)" \
    'refs/heads/main Cut tenant 3, 4001
refs/tags/v1 ' 'diff: refs that moved, and the commits between'
  is "$(jq -c '.applications[] | .name as $a | .objects[] | [$a, .kind, .name, .change, .fields]' out.json | sort)" \
    '["tenant-1","ConfigMap","settings","changed",[{"path":"/data/tenant","from":"4000","to":"4001"}]]
["tenant-3","LimitRange","defaults","removed",null]' 'diff: object by object, as JSON pointers'
  is "$(jq -c '.secrets' out.json)" '[{"from":"desired","namespace":"tenant-2","name":"keys","change":"changed"}]' \
    'diff: of a Secret that it changed'
  refuse 'diff in text: 20' 20 snap diff "$before" -i ann.id
  like "$OUT" '/data/tenant' 'names the field'
  unlike "$OUT$(cat out.json)" 'hunter3|aHVudGVyMw' 'and no value of a Secret'
  refuse 'the job cannot compare' 5 snap diff "$before" latest --key "$JOB"
}

# Into a repository in S3, of other keys; killed in the middle the same command goes on.
copied() {
  local pin seq i pack id name
  s3_start
  s3_bucket copies
  local to=(--repo s3://copies --s3-path-style)
  age-keygen -o ben.id 2>/dev/null
  snap init "${to[@]}" --out to.admin --recipient "$(age-keygen -y ben.id)" --single >to.txt
  pin=$(sed -n 's/^ *pin //p' to.txt)
  snap key add "${to[@]}" --trust "$pin" --key to.admin -i ben.id --role writer --chain prod --out to.key >/dev/null
  copy() { snap copy -i ann.id --to s3://copies --to-s3-path-style --to-key to.key "$@"; }
  for i in 0.2 0.5 0.9; do
    { timeout -s KILL "$i" "$REGROW" snapshot copy -i ann.id --to s3://copies --to-s3-path-style --to-key to.key || true; } >/dev/null 2>&1
  done
  shaped 'copy' snapshot-copy 'copied[].as,to.pin' copy
  shaped 'again' snapshot-copy 'alreadyThere' copy
  is "$(jq -c '[(.copied | length), (.alreadyThere | length)]' out.json)" "[0,$(last 'snapshots | map(select(.state != "void")) | length')]" \
    'copy: killed three times, every snapshot is there once'
  check 'copy: verified with the key of the other repository' snap verify "${to[@]}" --trust "$pin" -i ben.id
  seq=$(last lastGood)
  "$LIB/stranger.py" "$REGROW_REPO" prod "$seq" ann.id here
  "$LIB/stranger.py" s3/data/copies prod "$(snap list "${to[@]}" --trust "$pin" -o json | jq '.chains[0].lastGood')" ben.id there
  for i in here there; do
    git init -q --bare -b main "$i.git"
    for pack in "$i"/git/*.pack; do git -C "$i.git" index-pack --stdin <"$pack" >/dev/null; done
    while read -r id name; do
      git -C "$i.git" update-ref "$name" "$id"
    done < <(jq -r '.[].refs[] | "\(.id) \(.name)"' "$i/repos.json")
    check "copy: git fsck ($i)" git -C "$i.git" fsck --full --strict
  done
  is "$(refs there.git; objects there.git)" "$(refs here.git; objects here.git)" 'copy: the same Git objects and refs'
  for i in objects.jsonl secrets.jsonl repos.json sources.json files; do
    check "copy: the same $i" diff -r "here/$i" "there/$i"
  done
  check 'copy: the job there goes on' snap create "${to[@]}" --trust "$pin" --key to.key small/root
  refuse 'copy: not on top of that' 6 copy
  s3_stop
}

heals() {
  local index pack
  # Of the oldest batch, on which every run stands.
  index=$(head -n1 "$(find killed/chains/prod/log -type f | sort | tail -1)" | jq -r .git)
  index=$(index_lines "killed/chains/prod/index/$index" | jq -r --arg own "$index" '.over[0] // $own')
  pack=$(index_lines "killed/chains/prod/index/$index" | jq -r '.packs[0].id')
  rm "killed/chains/prod/packs/$pack"
  change 3000
  like "$(create small/root 2>&1)" 'written anew' 'a Git pack that the store lost: written anew of its own accord'
  check 'what is newest verifies' snap verify -i ann.id "$(last lastGood)"
}

# What the newest snapshot stands on has other bytes, or an entry of the log has.
rots() {
  local pack entry text
  entry=$(find killed/chains/prod/log -type f | sort | tail -1)
  pack=$(index_lines "killed/chains/prod/index/$(head -n1 "$entry" | jq -r .objects)" | jq -r '.packs[0].id')
  printf '!xyz' | dd of="killed/chains/prod/packs/$pack" bs=1 seek=300 conv=notrunc 2>/dev/null
  text=$(create --if-changed small/root 2>&1)
  like "$text" "$pack is damaged or missing: what it held is written anew" 'a pack with other bytes is told, nothing else being new'
  is "$(last 'snapshots[0].state')" good 'and the snapshot is good'
  check 'and whole' snap verify -i ann.id "$(last lastGood)"
  like "$(create --if-changed small/root)" 'nothing was written' 'and the next one is unchanged'
  snap key add --key killed.admin -i ann.id --role pruner --out killed.pruner >/dev/null
  for _ in 1 2 3; do create small/root >/dev/null; done
  entry=$(find killed/chains/prod/log -type f | sort | tail -3 | head -1)
  printf '!xyz' | dd of="$entry" bs=1 seek=100 conv=notrunc 2>/dev/null
  entry=$((10#${entry##*/}))
  check 'an entry of the log with other bytes: the next run is good' create small/root
  text=$(create small/root | tr -s ' \n' ' ')
  like "$text" "log entry $entry: .*prune --remove-untrusted $entry, then regrow snapshot forget --write-off $entry" 'and says what to do'
  refuse 'which everybody else does too' 9 snap list
  check 'the first step' snap prune --remove-untrusted "$entry"
  check 'the second step' snap forget --write-off "$entry" --key killed.pruner
  check 'then all is as before' snap list
  unlike "$(create small/root)" 'log entry' 'and there is nothing to warn of'
}

# Object lock: what is written stays, whoever holds the rights; and where nothing is locked that is told.
locked() {
  local to=(--repo s3://locked/prod --s3-path-style) file seq
  s3_start --versions
  s3_locked_bucket locked
  snap init "${to[@]}" --out locked.admin --recipient "$(age-keygen -y ann.id)" --single >locked.txt
  to+=(--trust "$(sed -n 's/^ *pin //p' locked.txt)")
  snap key add "${to[@]}" --key locked.admin -i ann.id --role writer --chain prod --out locked.key >/dev/null
  snap key add "${to[@]}" --key locked.admin -i ann.id --role pruner --out locked.pruner >/dev/null
  shaped 'create --retain' snapshot-create 'seq' snap create "${to[@]}" --key locked.key --retain 24h small/root
  is "$(jq -c '.warnings' out.json)" '[]' 'nothing to warn of'
  for file in $(snap show "${to[@]}" -o json | jq -r '.files[]') chains/prod/log/0000000001; do
    file=$(s3_lock "locked/prod/$file")
    at_most $(($(date +%s) + 82000)) "$(date -d "${file:-1970-01-01}" +%s)" 'a file of it is locked for a day'
  done
  is "$(s3_lock locked/prod/regrow.json || true)" '' 'others are not'
  check 'prune --retain' snap prune "${to[@]}" --key locked.pruner --retain 48h
  for file in $(snap show "${to[@]}" -o json | jq -r '.files[]') chains/prod/log/0000000001; do
    file=$(s3_lock "locked/prod/$file")
    at_most $(($(date +%s) + 164000)) "$(date -d "${file:-1970-01-01}" +%s)" 'makes it two'
  done
  snap init --repo s3://locked/copy --s3-path-style --out copy.admin --recipient "$(age-keygen -y ann.id)" --single >copy.txt
  snap key add --repo s3://locked/copy --s3-path-style --trust "$(sed -n 's/^ *pin //p' copy.txt)" --key copy.admin -i ann.id \
    --role writer --chain prod --out copy.key >/dev/null
  check 'copy --retain' snap copy "${to[@]}" -i ann.id --to s3://locked/copy --to-s3-path-style --to-key copy.key --retain 24h
  file=$(s3_lock locked/copy/chains/prod/log/0000000001)
  at_most $(($(date +%s) + 82000)) "$(date -d "${file:-1970-01-01}" +%s)" 'locks what it writes'
  s3_bucket open
  snap init --repo s3://open --s3-path-style --out open.admin --recipient "$(age-keygen -y ann.id)" --single >open.txt
  to=(--repo s3://open --s3-path-style --trust "$(sed -n 's/^ *pin //p' open.txt)")
  snap key add "${to[@]}" --key open.admin -i ann.id --role writer --chain prod --out open.key >/dev/null
  seq=0
  snap create "${to[@]}" --key open.key --retain 24h small/root >open.txt 2>&1 || seq=$?
  like "$seq $(tr -s ' \n' ' ' <open.txt)" '(made with object lock|not locked)' 'a bucket without object lock: told'
  s3_stop
}

# A ROOT in which nothing is, as the first snapshot of a chain.
empties() {
  make_repo empties
  mkdir -p hollow
  refuse 'a first snapshot of nothing is suspect' 10 create hollow
  like "$OUT" 'suspect: empty' 'and says why'
  like "$OUT" 'there is no manifest' 'as plan does'
  is "$(last lastGood)" null 'it would not be restored'
  check 'unless it is meant' create --allow-empty hollow
}

githttp_start
oci_start --auth
cluster_up main
make_repo repo
make_fleet
make_live >/dev/null
run_case 'everything gone' everything_gone
run_case unreadable unreadable
all_gone
run_case 'comes back' comes_back
run_case 'login stays' login_stays
run_case 'write-only' write_only
make_repo killed
small_root
run_case killed killed
run_case turned turned
run_case interrupted interrupted
run_case 'side by side' side_by_side
run_case differences differences
run_case copied copied
run_case heals heals
run_case rots rots
run_case empties empties
run_case locked locked
