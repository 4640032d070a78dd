#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# regrow snapshot export. A fleet of real add-ons with live webhooks is grown and saved; Git and the
# cluster are deleted; what an export holds brings all of it back with nothing on the PATH but git,
# kubectl, age and what every POSIX system has: the objects are those that the bootstrap made, field
# by field, and every ref and commit is there. The same snapshot makes the same bytes; killed
# anywhere it leaves nothing; no Secret lies in it unsealed; taken into another repository it is the
# same snapshot.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared upstream
if [[ ${1:-} != inside ]]; then
  status=0
  "$LIB/netns" bash "$0" inside || status=$?
  if ((status == 77)); then skip_all 'no network of its own for webhooks on pods'; fi
  trap - EXIT
  exit "$status"
fi
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"

KILLS=${KILLS:-15}
export XDG_CACHE_HOME=$SCRATCH/cache
cd "$SCRATCH"
for who in ann ben; do age-keygen -o $who.id 2>/dev/null; done
ANN=$(age-keygen -y ann.id) BEN=$(age-keygen -y ben.id)

snap() { "$REGROW" snapshot "$@"; }
export_to() { # FILE [MORE]
  snap export latest "$@" -i ann.id --key export.admin
}

# A PATH with what a rescuer has: git, kubectl, age, and POSIX utilities.
bare_path() {
  local tool
  mkdir -p bare
  for tool in git kubectl age sh cat mkdir dirname rm mv grep sleep tail sha256sum; do
    ln -sf "$(command -v "$tool")" "bare/$tool"
  done
}
bare() { env -i PATH="$SCRATCH/bare" HOME="$SCRATCH/nobody" KUBECONFIG="$KUBECONFIG" LC_ALL=C "$@"; }

# Every object somebody tracks, without what only one cluster has and what controllers put in.
dump() { # FILE
  local kinds
  kinds=$(kubectl api-resources --verbs=list,create -o name | grep -v '^events' | paste -sd,)
  kubectl get "$kinds" -A -o json --show-managed-fields 2>/dev/null | jq -S '[.items[]
    | select(.metadata.ownerReferences == null)
    | select(.metadata.annotations["argocd.argoproj.io/tracking-id"] or .metadata.annotations["regrow.dev/application"])
    | .owned = (.metadata.managedFields // [] | map(select(.manager == "regrow" and .subresource == null)) | map(.fieldsV1))
    | del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.generation, .metadata.creationTimestamp,
          .metadata.managedFields, .metadata.annotations["deployment.kubernetes.io/revision"],
          .spec.clusterIP, .spec.clusterIPs, .spec.caBundle, .webhooks[]?.clientConfig.caBundle,
          .spec.conversion.webhook.clientConfig.caBundle, .spec.healthCheckNodePort, .spec.ports[]?.nodePort)
    | select(.kind != "Job")] | sort_by(.apiVersion, .kind, .metadata.namespace, .metadata.name)' >"$1"
}
versions() { kubectl get deploy,cm,svc,crd -A -o json | jq -r '.items[] | select(.metadata.annotations["argocd.argoproj.io/tracking-id"]) | "\(.kind) \(.metadata.name) \(.metadata.generation)"' | sort; }

make_live() { # what only the cluster has
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl create namespace only-here
  kubectl -n only-here create secret tls edge --cert tls.crt --key tls.key
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
  kubectl -n tenant-1 label secret keys regrow.dev/snapshot=true
  kubectl -n tenant-1 patch secret keys -p '{"stringData":{"key":"changed-by-hand"}}'
}

saved() {
  kubectl version >/dev/null
  fleet_make fleet "$HTTP_URL/git/fleet.git" 3 hooks
  git_publish fleet fleet >/dev/null
  echo later >fleet/README
  git_publish fleet fleet >/dev/null
  git_tag fleet v1
  git --git-dir="$GIT_ROOT/fleet.git" symbolic-ref HEAD refs/heads/main
  git --git-dir="$GIT_ROOT/fleet.git" update-ref refs/pull/7/head main~1
  spawn addons controlplane addonsim "$CLUSTER" --delay 1s
  local url="$HTTP_URL/git/fleet.git//root?ref=main"
  check 'the fleet is grown' "$REGROW" bootstrap --timeout 4m "$url"
  dump before.json
  isnt "$(jq length before.json)" 0 "it has $(jq length before.json) objects"
  make_live >/dev/null
  snap init --repo "$REGROW_REPO" --out export.admin.age --recipient "$ANN" --single >init.txt
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init.txt)
  export REGROW_TRUST
  age -d -i ann.id export.admin.age >export.admin
  chmod 600 export.admin
  snap key add --key export.admin -i ann.id --role writer --chain prod --out job.key >/dev/null
  check 'and saved' snap create --key job.key --use-cluster "$url"
}

exported() {
  check 'exported' export_to one.tar --recipient "$ANN" --recipient "$BEN"
  is "$(stat -c %a one.tar)" 600 'for its owner alone'
  refuse 'a file that is there is not written over' 6 export_to one.tar --recipient "$ANN"
  check 'but replaced when asked' export_to one.tar --recipient "$ANN" --recipient "$BEN" --replace
  refuse 'nobody named for the Secrets' 2 export_to two.tar
  refuse 'another suffix' 2 export_to two.zip --no-secrets
  refuse 'no such folder' 4 export_to nowhere/two.tar --no-secrets
  is "$(ls two* 2>/dev/null)" '' 'what is refused leaves nothing'
  export_to bare1.tar.zst --no-secrets >/dev/null
  LC_ALL=C TZ=Asia/Tokyo export_to bare2.tar.zst --no-secrets >/dev/null
  is "$(sha256sum <bare1.tar.zst)" "$(sha256sum <bare2.tar.zst)" 'the same snapshot makes the same bytes'
  export_to two.tar --recipient "$ANN" --recipient "$BEN" >/dev/null
  mkdir one two
  tar -xf one.tar -C one --strip-components 1
  tar -xf two.tar -C two --strip-components 1
  is "$(diff -rq one two | grep -v -e '/secrets' -e SHA256SUMS)" '' 'and apart from what is encrypted'
  check 'sha256sum agrees' bash -c 'cd one && sha256sum --quiet -c SHA256SUMS'
  is "$(cd one && find . -type f | sed 's|^\./||' | grep -v SHA256SUMS | sort)" \
    "$(cut -d' ' -f3- one/SHA256SUMS | sort)" 'over every file'
  check 'JSON as documented' bash -c "'$REGROW' snapshot export latest doc.tar --no-secrets -i ann.id -o json |
    '$ROOT/tests/cli/shape' snapshot-export file,counts.objects,sums"
}

signed() { # by the recipe of RESTORE.md
  local key
  cd one
  key=$(head -qn1 trust/* | tail -n1 | jq -r '.admins.keys[0].key')
  head -n1 SHA256SUMS.signed >../body
  sed -n 2p SHA256SUMS.signed | cut -d' ' -f2 | base64 -d >../sig
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; echo "$key" | base64 -d; } >../key.der
  check 'openssl verifies who signed it' openssl pkeyutl -verify -pubin -keyform DER -inkey ../key.der \
    -rawin -in ../body -sigfile ../sig
  is "$(jq -r .sums ../body)" "$(sha256sum <SHA256SUMS | cut -d' ' -f1)" 'the checksums'
  is "$(sha256sum <trust/0001 | cut -d' ' -f1)" "$REGROW_TRUST" 'trust begins at the pin'
}

sealed() {
  local value
  for value in changed-by-hand "$(sed -n 3p tls.key)"; do
    is "$(grep -rlaF -e "$value" -e "$(printf %s "$value" | base64 -w0)" one | head -3)" '' 'no Secret lies in it in clear'
  done
  is "$(grep -l '^kind: Secret$' one/manifests/* | head -3)" '' 'none among the manifests'
  is "$(for f in one/secrets/*; do age -d -i ben.id "$f"; done | grep -c '^kind: Secret$')" \
    "$(snap show -i ann.id -o json | jq '.secrets | length')" 'each recipient opens all of them'
  is "$(find one bare1.tar.zst -perm /077 -name '*.tar*')" '' 'and the file is private'
  mkdir none
  zstd -dc bare1.tar.zst | tar -xf - -C none --strip-components 1
  is "$(ls none/secrets 2>/dev/null)" '' 'left out, none is in it'
}

killed() {
  local i ms
  mkdir kills
  for ((i = 0; i < KILLS; i++)); do
    ms=$((i * 60 + 20))
    (timeout -s KILL "0.$(printf %03d $((ms % 1000)))" "$REGROW" snapshot export latest kills/x.tar \
      -i ann.id --no-secrets || true) >/dev/null 2>&1
    if [[ -f kills/x.tar ]]; then
      tar -tf kills/x.tar | grep -q SHA256SUMS || fail "half a file after $ms ms"
      rm kills/x.tar
    fi
    [[ -z $(ls -A kills) ]] || fail "something is left after $ms ms" "$(ls -A kills)"
  done
  ok "killed at $KILLS moments it leaves nothing half"
}

identities() { # FILES of ours: "KIND NAMESPACE NAME" of every document
  awk 'function out() { if (kind) print kind " " ns " " name; kind = ns = name = block = "" }
    /^---$/ || FNR == 1 { out() }
    /^[a-z]/ { block = $1 }
    /^kind: / { kind = $2 }
    block == "metadata:" && /^  name: / { name = $2; gsub(/"/, "", name) }
    block == "metadata:" && /^  namespace: / { ns = $2; gsub(/"/, "", ns) }
    END { out() }' "$@"
}

# Into another repository, with what only a cluster has; there it is exported again.
imported() {
  unset REGROW_TRUST
  export REGROW_REPO=$SCRATCH/again
  local pin
  snap init --out again.age --recipient "$ANN" --single >again.txt
  age -d -i ann.id again.age >again.admin
  chmod 600 again.admin
  pin=$(sed -n 's/^ *pin //p' init.txt)
  snap key add --key again.admin -i ann.id --role writer --chain prod --out again.job >/dev/null
  check 'taken into another repository' snap import one.tar --key again.job -i ben.id --from-trust "$pin"
  check 'where every byte and reference is there' snap verify --key again.job -i ann.id
  check 'and exported again' snap export latest again.tar -i ann.id --key again.admin --recipient "$ANN"
  mkdir again.d
  tar -xf again.tar -C again.d --strip-components 1
  is "$(diff -rq one again.d | grep -v -e '/secrets' -e SHA256SUMS -e RESTORE.md -e snapshot.json -e 'import: entry' -e '/entry' -e trust)" \
    '' 'it is the same'
  is "$(for f in again.d/secrets/*; do age -d -i ann.id "$f"; done | sha256sum)" \
    "$(for f in one/secrets/*; do age -d -i ann.id "$f"; done | sha256sum)" 'Secrets too'
}

# The repository itself, without regrow, by the script for that day.
emergency() {
  local tool seq
  bare_path
  mkdir -p stock
  for tool in age zstd openssl jq git sh awk sed grep cat mkdir rm mv cp ls chmod sha256sum base64 head tail cut tr wc od dd sort join comm uniq paste id; do
    ln -sf "$(command -v $tool)" "stock/$tool"
  done
  check 'emergency.sh, with stock tools alone' env -i PATH="$SCRATCH/stock" HOME="$SCRATCH/nobody" \
    sh "$ROOT/scripts/emergency.sh" repo rescued -i ann.id --trust "$REGROW_TRUST"
  is "$(cat rescued/objects/*/*.json | jq -r '"\(.kind) \(.metadata.namespace // "") \(.metadata.name)"' | grep -v '^Application ' | sort -u)" \
    "$(identities one/manifests/*.yaml | grep -v ' only-here$' | sort -u)" 'has every object'
  seq=$(snap list -o json | jq '.chains[0].lastGood')
  "$LIB/stranger.py" repo prod "$seq" ann.id strange
  is "$(find rescued/objects -name '*.json' ! -path '*/000-live/*' -exec cat {} + | sort | sha256sum)" "$(sort strange/objects.jsonl | sha256sum)" \
    'byte by byte what another reader finds'
  is "$(sort rescued/secrets.json | sha256sum)" "$(sort strange/secrets.jsonl | sha256sum)" 'Secrets too'
  is "$(cd rescued/sources && find . -type f ! -path './*.json' -exec sha256sum {} + | cut -c1-64 | sort)" \
    "$(find strange/files -type f -exec sha256sum {} + 2>/dev/null | cut -c1-64 | sort)" 'and charts, artifacts, folders'
  is "$(git --git-dir=rescued/git/fleet.git for-each-ref)" "$(git --git-dir="$GIT_ROOT/fleet.git" for-each-ref)" 'and every ref'
  is "$(jq -r 'select(.from == "live" and .object.metadata.name == "edge").object.data["tls.crt"]' rescued/secrets.json | base64 -d)" \
    "$(<tls.crt)" 'and what only the cluster had'
}

gone() {
  cp -r "$GIT_ROOT/fleet.git" fleet.kept
  rm -rf "$GIT_ROOT/fleet.git" fleet repo
  stop addons
  cluster_wipe
  spawn addons controlplane addonsim "$CLUSTER" --delay 1s
}

git_comes_back() {
  check 'Git by git alone' bare sh one/restore.sh git back
  is "$(git --git-dir=back/fleet.git for-each-ref; git --git-dir=back/fleet.git symbolic-ref HEAD)" \
    "$(git --git-dir=fleet.kept for-each-ref; git --git-dir=fleet.kept symbolic-ref HEAD)" 'every ref'
  is "$(git --git-dir=back/fleet.git rev-list --objects --all | sort | sha256sum)" \
    "$(git --git-dir=fleet.kept rev-list --objects --all | sort | sha256sum)" 'every object'
  check 'git fsck is clean' git --git-dir=back/fleet.git fsck --full --strict
  git init -q --bare host/fleet.git
  check 'pushed to a new host' bare sh one/restore.sh git back --push "file://$SCRATCH/host"
  is "$(git --git-dir=host/fleet.git for-each-ref)" "$(git --git-dir=fleet.kept for-each-ref)" 'as it was'
  check 'git clone takes a bundle' git clone -q one/git/fleet.bundle clone
  is "$(<clone/README)" later 'with its branch checked out'
}

objects_come_back() {
  local key
  refuse 'without an identity' 1 bare sh one/restore.sh objects --yes
  refuse 'with that of a stranger' 1 bare sh one/restore.sh objects --yes -i export.admin
  check 'everything by kubectl and age alone' bare sh one/restore.sh objects --yes -i ben.id
  is "$(kubectl -n only-here get secret edge -o jsonpath='{.data.tls\.crt}' | base64 -d)" "$(<tls.crt)" 'what only the cluster had'
  is "$(kubectl -n kube-system get secret sealed-1 -o jsonpath='{.metadata.labels}')" \
    '{"sealedsecrets.bitnami.com/sealed-secrets-key":"active"}' 'with its labels'
  key=$(kubectl -n tenant-1 get secret keys -o jsonpath='{.data.key}' | base64 -d)
  is "$key" changed-by-hand 'a Secret that was kept live has what it held'
  dump after.json
  # But for the one that was changed by hand.
  jq 'map(if .metadata.namespace == "tenant-1" and .metadata.name == "keys" then del(.data, .metadata.labels) else . end)' before.json >b
  jq 'map(if .metadata.namespace == "tenant-1" and .metadata.name == "keys" then del(.data, .metadata.labels) else . end)' after.json >a
  is "$(diff <(jq 'map(del(.owned))' b) <(jq 'map(del(.owned))' a) | head -40)" '' 'the objects are those that the bootstrap made'
  is "$(diff <(jq 'map(.owned)' b) <(jq 'map(.owned)' a) | head -40)" '' 'and regrow owns the same fields'
  versions >v1
  check 'again' bare sh one/restore.sh objects --yes -i ben.id
  versions >v2
  is "$(diff v1 v2)" '' 'changes nothing'
}

damaged() {
  local f
  f=$(ls one/manifests/*.yaml | tail -n1)
  printf '# x\n' >>"$f"
  refuse 'a file that was changed' 1 bare sh one/restore.sh check
  refuse 'stops everything' 1 bare sh one/restore.sh objects --yes -i ben.id
  rm bare/sha256sum
  like "$(bare sh one/restore.sh check)" 'Not checked' 'without sha256sum it says that nothing was checked'
}

export REGROW_REPO=$SCRATCH/repo
githttp_start
cluster_up main
run_case saved saved
REGROW_TRUST=$(sed -n 's/^ *pin //p' init.txt)
export REGROW_TRUST
run_case exported exported
run_case signed signed
run_case sealed sealed
run_case killed killed
run_case imported imported
run_case emergency emergency
gone
run_case git git_comes_back
run_case objects objects_come_back
run_case damaged damaged
