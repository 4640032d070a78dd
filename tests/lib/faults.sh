# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A command on a repository of snapshots, of which one call of the store goes wrong: a file
# operation (faultfs.c, preloaded), or a request to a real server (faultproxy.py in front of it).
# After env.sh, githttp.sh, charts.sh, s3.sh and past.sh.
#
#   faults_begin STORE          folder, s3 or oci: servers, and a repository "base" with three
#                               snapshots of which the first waits to be deleted
#   faults_end
#   faults_of COMMAND           every call of init, create, forget, prune, verify, copy, import or
#                               key-add goes wrong in turn, in each of the ways; a TAP line for each
#                               way. FAULTS=few: at every call one way, another one at the next; of
#                               create also all the ways at one call of each kind. (Those by which a
#                               store is probed go wrong in init: every 13th.)
#   faults_kinds                each of the ways was met by some command
#
# What has to hold: the command ends with an exit code that such a fault may have, with one error when
# it ends with one; then everything that was called good is there and verifies; the same command
# without the fault completes, and leaves what it leaves where nothing goes wrong.

FAULTS=${FAULTS:-few}
WORKERS=${WORKERS:-3}
faults_http='403 404 409 412 500 503 cut lost late hang short half stale'
faults_files='EIO ENOSPC EACCES lost short stale kill killed'

# ---- stores ----

faults_url() { # NAME [PORT]
  case $store in
    folder) echo "$SCRATCH/store/$1" ;;
    s3) echo "s3://$1" ;;
    oci) echo "oci://127.0.0.1:${2:-${OCI_HOST##*:}}/snapshots/$1" ;;
  esac
}
faults_place() { # NAME: where its files lie
  case $store in
    folder) echo "$SCRATCH/store/$1" ;;
    s3) echo "$SCRATCH/s3/data/$1" ;;
    oci) echo "$SCRATCH/oci/data/docker/registry/v2/repositories/snapshots/$1" ;;
  esac
}
faults_copy() { # NAME: the repository that the commands are about
  name=$1 url=$(faults_url "$1") place=$(faults_place "$1")
}
snap() { "$REGROW" snapshot "$@" --repo "$url"; }
faults_old() { # so old that prune may delete it
  if [[ $store == oci ]]; then past snap "$@"; else snap "$@"; fi
}

faults_begin() {
  local i
  store=$1
  export XDG_CACHE_HOME=$SCRATCH/cache-$store
  case $store in
    folder)
      mkdir -p "$SCRATCH/store"
      [[ -f $SCRATCH/faultfs.so ]] || cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$SCRATCH/faultfs.so" "$LIB/faultfs.c" -ldl
      ;;
    s3)
      s3_start
      upstream=${S3_ENDPOINT##*:}
      s3_bucket base
      ;;
    oci)
      REGISTRY_STORAGE_DELETE_ENABLED=true oci_start
      upstream=${OCI_HOST##*:}
      past_start $((80 * 3600)) "$upstream" # prune waits the full grace there
      ;;
  esac
  faults_copy base
  [[ $store != oci ]] || url=$(faults_url base "$PAST_PORT")
  [[ -f $SCRATCH/impatient.so ]] || cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$SCRATCH/impatient.so" "$LIB/impatient.c" -ldl
  [[ -f ann.id ]] || age-keygen -o ann.id 2>/dev/null
  faults_old init --out "$store.admin" --recipient "$(age-keygen -y ann.id)" --single >"$store.init"
  recipient=$(age-keygen -y ann.id)
  REGROW_TRUST=$(sed -n 's/^ *pin //p' "$store.init")
  export REGROW_TRUST
  faults_old key add --key "$store.admin" -i ann.id --role writer --chain prod --out "$store.job" >/dev/null
  faults_old key add --key "$store.admin" -i ann.id --role pruner --out "$store.pruner" >/dev/null
  cp -a "$place" "$(faults_place blank)"
  faults_source
  for i in 1 2 3 4; do
    faults_root "$i"
    ((i == 4)) || faults_old create --key "$store.job" "root-$i" >/dev/null
  done
  sleep 2.2 # clocks of stores count seconds, and may tell the one before
  faults_old forget --keep-last 2 --keep-within 1ms --min-good 1 --key "$store.pruner" >/dev/null
  sleep 2.2
}
faults_end() {
  case $store in
    s3) s3_stop ;;
    oci) oci_stop ;;
  esac
}

faults_root() { # NUMBER: a ROOT of one object that changes, a Secret, and some that do not
  local i
  [[ ! -d root-$1 ]] || return 0
  mkdir "root-$1"
  for i in 1 2 3; do
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%s, namespace: default}\ndata: {a: "%s"}\n' \
      "$i" "$((i == 1 ? $1 : 0))" >"root-$1/c$i.yaml"
  done
  # One that cannot be guessed: another would cost a scrypt each time it is read.
  [[ -f tls.key ]] || openssl ecparam -name prime256v1 -genkey -noout -out tls.key
  { printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\ntype: kubernetes.io/tls\nstringData:\n  tls.key: |\n'
    sed 's/^/    /' tls.key; } >"root-$1/s.yaml"
}

# What copy and import take: a repository of one snapshot in a folder, and an export of it.
faults_source() {
  if [[ -f source.tar ]]; then # made for another store
    source_pin=$(sha256sum <source/trust/0001 | cut -d' ' -f1)
    return 0
  fi
  faults_root 0
  "$REGROW" snapshot init --repo source --out source.admin --recipient "$(age-keygen -y ann.id)" --single >/dev/null
  source_pin=$(sha256sum <source/trust/0001 | cut -d' ' -f1)
  local of=(--repo source --trust "$source_pin")
  "$REGROW" snapshot key add "${of[@]}" --key source.admin -i ann.id --role writer --chain prod --out source.job >/dev/null
  "$REGROW" snapshot create "${of[@]}" --key source.job root-0 >/dev/null
  "$REGROW" snapshot export latest source.tar "${of[@]}" --key source.admin -i ann.id --recipient "$(age-keygen -y ann.id)" >/dev/null
}

# A fresh copy of the base, or of one without snapshots, and nothing remembered of the one before.
faults_renew() { # COMMAND
  rm -rf "$place" "$dir/cache" "$dir"/judge* "$dir"/admin*
  mkdir -p "$dir/cache/regrow/snapshot-index"
  # But for the versions of helm and kustomize: to ask these costs more than all the rest.
  cp "$SCRATCH/cache-$store/regrow/snapshot-index"/version-* "$dir/cache/regrow/snapshot-index"
  case $1 in
    init) [[ $store != s3 ]] || mkdir "$place" ;;
    copy | import) cp -a "$(faults_place blank)" "$place" ;;
    *) cp -a "$(faults_place base)" "$place" ;;
  esac
}

# ---- the commands ----

faults_command() { # COMMAND [MORE]
  local more=("${@:2}")
  case $1 in
    init) snap init --out "$dir/admin" --recipient "$recipient" --single "${more[@]}" ;;
    create) snap create --key "$store.job" "${more[@]}" root-4 ;;
    forget) snap forget --keep-last 1 --keep-within 1ms --min-good 1 --key "$store.pruner" "${more[@]}" ;;
    prune)
      if [[ $store == oci ]]; then more+=(--exclusive); else more+=(--grace 1ms); fi
      snap prune --key "$store.pruner" "${more[@]}"
      ;;
    verify) snap verify -i ann.id "${more[@]}" ;;
    copy) "$REGROW" snapshot copy --repo source --trust "$source_pin" -i ann.id --to "$url" --to-key "$store.job" ;;
    import) snap import source.tar --key "$store.job" -i ann.id --from-trust "$source_pin" ;;
    key-add) snap key add --key "$store.admin" -i ann.id --role judge --out "$dir/judge" ;;
  esac
}
# With a call that goes wrong: the command's own words and code.
faults_run() { # RULE COMMAND
  case $store in
    folder)
      rm -f "$dir/log"
      [[ $2 != init ]] || local -x FAULTFS_PROBES=1
      FAULTFS_UNDER=$place FAULTFS_RULE=$1 FAULTFS_LOG=$dir/log LD_PRELOAD=$SCRATCH/faultfs.so \
        faults_command "$2"
      ;;
    *)
      # Which of the racers of a probe comes first is not always the same.
      echo "$1 $([[ $2 == init ]] || echo '^(?!.*probe)')" >"$dir/rule.new"
      mv "$dir/rule.new" "$dir/rule"
      [[ $1 != *' hang' ]] || local -x LD_PRELOAD=$SCRATCH/impatient.so
      case $store in
        s3) AWS_ENDPOINT_URL_S3=http://127.0.0.1:$proxy faults_command "$2" ;;
        oci) url=oci://127.0.0.1:$proxy/snapshots/$name faults_command "$2" ;;
      esac
      ;;
  esac
}
# Sets there: what there is, all of it proven: how many snapshots; of forget which count; how many
# judges there are.
faults_look() { # COMMAND
  local -x REGROW_TRUST=$REGROW_TRUST
  [[ $1 != init ]] || REGROW_TRUST=$(REGROW_TRUST= snap key trust --key "$dir/admin" -i ann.id -o json 2>/dev/null | jq -r .pin)
  there=$(faults_command verify -o json 2>&1)
  if [[ $there == *'"whole": true'* && $there =~ '"snapshots": '([0-9]+) ]]; then
    there=${BASH_REMATCH[1]}
  elif [[ $there == *'has no snapshots"'* ]]; then
    there=0
  fi
  [[ $1 != forget ]] || there+=" of $(snap list -o json | jq -c '[.chains[0].snapshots[] | select(.state != "forgotten").seq]')"
  [[ $1 != key-add ]] || there+=" by $(snap key list -o json | jq '[.keys[] | select(.role == "judge")] | length')"
}
declare -A faults_before=([init]=none [create]=3 [forget]='3 of [3,2]' [prune]=3 [copy]=0 [import]=0 [key-add]='3 by 0')
declare -A faults_after=([init]=0 [create]=4 [forget]='3 of [3]' [prune]=2 [copy]=1 [import]=1 [key-add]='3 by 1')

# ---- one case ----

faults_codes() { # FAULT: exit codes that may be (an extended regular expression)
  case $store,$1 in
    folder,EACCES | *,403) echo '0|5' ;;
    *,404 | *,stale) echo '0|4|7|9' ;; # nobody can tell: it may be gone
    folder,kill | folder,killed) echo '0|137' ;;
    folder,*) echo '0|7' ;;
    *,409 | *,412) echo '0|6' ;;
    *,half) echo '0|7|9' ;;
    *) echo 0 ;; # asked again, and looked whether it was done
  esac
}

# Which call went wrong. One that was never made cannot: not each run asks the same.
faults_hit() { # NUMBER FAULT
  hit=$(grep -m1 -- " $2\$" "$dir/log" || true)
  [[ -z $hit ]] || return 0
  hit=never
  (($(wc -l <"$dir/log") < $1)) || echo "call $1 was made, and did not go wrong"
}
faults_case() { # COMMAND NUMBER FAULT: prints what is wrong
  local code=0 out before=${faults_before[$1]:-} after=${faults_after[$1]:-} there
  faults_renew "$1"
  faults_run "$2 $3" "$1" >"$dir/out" 2>&1 || code=$?
  faults_hit "$2" "$3"
  hit+=" -> $code"
  out=$(<"$dir/out")
  [[ $code =~ ^($(faults_codes "$3"))$ ]] || echo "ended with $code: $out"
  # verify tells all that is damaged.
  [[ $code =~ ^(0|137)$ || "$1 $code" == 'verify 9' || ($out == *✗* && $out != *✗*✗*) ]] || echo "not one error: $out"
  [[ $out != *BEGIN* && $out != *AGE-SECRET* && $out != *test-secret* ]] || echo "a secret is printed: $out"
  [[ $1 != verify ]] || return 0
  faults_look "$1"
  if [[ $code == 0 ]]; then
    [[ $there == "$after" ]] || echo "said to be done, and there is $there"
    return 0
  fi
  # Of an init that was cut something may be there; by the next one it is ended, or made anew.
  [[ $1 == init || $there == "$before" || $there == "$after" ]] || echo "there is $there"
  # By the way it went before: what an init left names the place.
  faults_run '0 -' "$1" >"$dir/out" 2>&1 || echo "the next run: $(<"$dir/out")"
  faults_look "$1"
  # What was not heard of may have been done.
  [[ $there == "$after" || ($1 == create && $there == 5) ]] || echo "after the next run there is $there"
}

# ---- all of them ----

faults_worker() { # NUMBER: prepares what it has of its own
  faults_copy "copy-$1"
  dir=$SCRATCH/worker-$store-$1
  mkdir -p "$dir"
  export XDG_CACHE_HOME=$dir/cache
  [[ $store != folder && ! -f $dir/port ]] || return 0
  free_port >"$dir/port"
  spawn "proxy-$store-$1" python3 "$LIB/faultproxy.py" "$(<"$dir/port")" "$upstream" "$dir"
  wait_for 10 'a proxy' port_open "$(<"$dir/port")"
}

# Calls of the command when nothing goes wrong, a line each: NUMBER CALL KIND-OF-FILE
faults_calls() {
  faults_renew "$1"
  faults_run '0 -' "$1" >"$dir/out" 2>&1
  cut -d' ' -f1-3 "$dir/log" | sed -E "s#[^ ]*/$name/?##; s/\?_state=.*//; s/[0-9a-f]{8}-[0-9a-f-]{27}/*/
    s/[0-9a-f]{16,}/*/g; s/([^0-9])[0-9]{4,10}\b/\1N/g; s/\.tmp-[^ ]*/tmp/; s/index/packs/"
}
# Which go wrong in which way: NUMBER FAULT KIND
faults_chosen() { # COMMAND FAULT...
  awk -v faults="${*:2}" -v few="$([[ $FAULTS == few ]] && echo "$store $1")" -v seed="${SEED:-0}" '
    few ~ /init/ && $3 ~ /probe/ && (NR + seed) % 13 { next } # racers, all alike
    { kind = $2 " " $3
      n = split(faults, f, " ")
      for (i = 1; i <= n; i++) {
        if (f[i] == "half" && $2 != "GET") continue
        if (f[i] == "stale" && $2 !~ /^(GET|HEAD|list)$/) continue
        if (f[i] == "short" && $2 ~ /^(create|open|fsync|close|rename|link|unlink|mkdir|list)$/) continue
        if (few && (NR + seed) % n + 1 != i && (few !~ /^(folder|s3) create/ || seen[kind, f[i]])) continue
        seen[kind, f[i]] = 1
        print $1, f[i], kind
      } }'
}

faults_share() { # COMMAND WORKER: its part of the cases; a line each: FAULT ok|bad WHAT
  local n fault kind wrong
  while read -r n fault kind; do
    hit=
    faults_case "$1" "$n" "$fault" >"$dir/wrong"
    wrong=$(<"$dir/wrong")
    if [[ -z $wrong ]]; then
      echo "$fault ok $hit"
    else
      echo "$fault bad $n $kind ($hit): ${wrong//$'\n'/; }"
    fi
  done <"$dir/cases"
}

faults_of() { # COMMAND
  local command=$1 i fault faults pids=() status=0 results=$SCRATCH/results-$store-$1
  read -ra faults <<<"$([[ $store == folder ]] && echo "$faults_files" || echo "$faults_http")"
  for ((i = 0; i < WORKERS; i++)); do faults_worker "$i"; done
  faults_worker 0
  proxy=$(cat "$dir/port" 2>/dev/null || true)
  faults_calls "$command" >"$SCRATCH/calls"
  faults_chosen "$command" "${faults[@]}" <"$SCRATCH/calls" >"$SCRATCH/cases"
  for ((i = 0; i < WORKERS; i++)); do
    (
      set +e
      faults_worker "$i"
      proxy=$(cat "$dir/port" 2>/dev/null)
      awk -v i="$i" -v n="$WORKERS" 'NR % n == i' "$SCRATCH/cases" >"$dir/cases"
      faults_share "$command" >"$dir/results"
    ) &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || status=$?; done
  cat "$SCRATCH/worker-$store"-*/results >"$results"
  is "$status $(wc -l <"$results")" "0 $(wc -l <"$SCRATCH/cases")" "$store, $command: all of $(wc -l <"$SCRATCH/cases") faults at $(wc -l <"$SCRATCH/calls") calls were tried"
  at_most "$(grep -c ' ok never ' "$results")" $(($(wc -l <"$results") / 10)) "$store, $command: and nearly all went wrong"
  for fault in "${faults[@]}"; do
    grep -q "^$fault " "$results" || continue # a way that none of its calls can go
    is "$(grep "^$fault bad" "$results")" '' "$store, $command: $fault at $(grep -c "^$fault " "$results") calls"
  done
}

faults_kinds() {
  local fault missed=''
  for fault in $([[ $store == folder ]] && echo "$faults_files" || echo "$faults_http"); do
    grep -q "^$fault ok [0-9]" "$SCRATCH/results-$store"-* || missed+=" $fault"
  done
  is "$missed" '' "$store: calls went wrong in each of the ways"
}
