#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# What is given wrongly to any command, without a cluster: one clear error each, the documented exit
# code, what to do next; as JSON the same; nothing written; and success once the mistake is put right.
# The cases are data: cases/commands.txt.
# SHOW=1 shows what each of them prints.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/snapshots.sh"

CASES=$ROOT/tests/e2e/cases/commands.txt
PASSPHRASE='never-shown-7'

make_world() {
  local key
  make_chain prod
  for key in job pruner judge admin; do cp "prod.$key" "$key.key"; done
  admin key add --role writer --chain new --out new.job >/dev/null
  snap key init --trust "$REGROW_TRUST" --role judge --out stranger.key >stranger.txt
  PUBLIC=$(sed -n 's/.*--public //p' stranger.txt)
  export PUBLIC
  mkdir -p root empty broken nobody
  printf '#!/bin/sh\necho "No user exists for uid 65531" >&2\nexit 255\n' >nobody/ssh
  chmod +x nobody/ssh
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n' >root/a.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: [\n' >broken/a.yaml
  printf 'apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: c\n' >dead.kubeconfig
  head -c 4000 /dev/urandom >rubbish
  echo taken >taken
  printf '%s\n' "$PASSPHRASE" >pass
  printf 'timeout: [\n' >broken.conf
  printf 'frobnicate: 1\n' >unknown.conf
  printf 'output: json\n' >good.conf
  printf '%s\n' "$REGROW_TRUST" >pin
  snap export 6 good.tar -i ann.id --no-secrets >/dev/null
  head -c 20000 good.tar >cut.tar
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout a.pem -out cert.pem -subj /CN=x 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out other.pem
  age-keygen -o stranger.id 2>/dev/null
  spawn taken python3 -c 'import signal, socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
signal.pause()'
  wait_for 10 'a port to be taken' test -s taken.log
  TAKEN=$(<taken.log)
}

# All files but those of the program's own cache, and their contents.
world_files() { find . -path ./cache -prune -o -path ./run -prune -o -path ./home -prune -o -type f ! -name 'out.*' -print0; }
world_now() { world_files | sort -z | xargs -0 sha256sum; }

# in_json OUTPUT CODE: its last line
in_json() {
  jq -e --argjson code "$2" '.type == "error" and .exitCode == $code and (.message | length) > 0 and (.hint | length) > 0' <<<"${1##*$'\n'}"
}

# What is typed once the mistake is put right, in a copy of the world.
mended() { # WORDS
  local there=$SCRATCH/run/world words=() got=0
  rm -rf "$there"
  mkdir "$there"
  world_files | tar -c --null -T - | tar -x -C "$there"
  mkdir -p "$there/empty"
  cd "$there"
  eval "words=($1)"
  OUT=$(REGROW_REPO=$there/prod "$REGROW" "${words[@]}" 2>&1 </dev/null) || got=$?
  cd "$SCRATCH"
  [[ -z ${SHOW:-} ]] || printf '# --- mended: %s (exit %s)\n%s\n' "$1" "$got" "$OUT"
  is "$got" 0 "$what: put right, with $1"
  [[ $got == 0 ]] || tap_detail "$OUT"
}

# One case: the variables what, env, run, exit, says, mended
one() {
  local words=() env=() got=0 err format=json
  eval "words=($run)"
  eval "env=(${env_line:-})"
  OUT=$(env "${env[@]}" "$REGROW" "${words[@]}" 2>&1 </dev/null) || got=$?
  [[ -z ${SHOW:-} ]] || printf '# --- %s (exit %s)\n%s\n' "$run" "$got" "$OUT"
  is "$got" "$exit" "$what: exit code"
  like "$(tr -s ' \n' ' ' <<<"${OUT//$'\u00a0'/ }")" "$says" "$what: says so"
  is "$(grep -cE '^✗ ' <<<"$OUT" || true)" 1 "$what: one error"
  like "$OUT" 'next: [^ ]' "$what: says what to do"
  unlike "$OUT" "$PASSPHRASE|AGE-SECRET-KEY-1[0-9A-Z]|AddressSanitizer|assert|\(null\)|/regrow-(render|tree|artifact)" "$what: nothing that is not for people"
  [[ -z $mended ]] || mended "$mended"
  # Where there is another format already, or the last word takes the next one, it was text alone.
  [[ " ${words[*]} " != *' -o '* && ${words[-1]} != --* ]] || return 0
  [[ ${words[0]} != reconcile ]] || format=ndjson # what it has
  got=0
  err=$(env "${env[@]}" "$REGROW" "${words[@]}" -o $format 2>&1 >/dev/null </dev/null) || got=$?
  is "$got" "$exit" "$what: exit code with -o $format"
  check "$what: as JSON" in_json "$err" "$exit"
}

cases() {
  local line before
  before=$(world_now)
  what='' env_line='' run='' exit='' says='' mended=''
  while IFS= read -r line || [[ -n $line ]]; do
    case $line in
      '# '*) what=${line#\# } ;;
      'env: '*) env_line=${line#env: } ;;
      'run: '*) run=${line#run: } ;;
      'exit: '*) exit=${line#exit: } ;;
      'says: '*) says=${line#says: } ;;
      'mended: '*) mended=${line#mended: } ;;
      '')
        [[ -z $run ]] || { [[ -n ${ONLY:-} && ! $run =~ $ONLY ]] || one; }
        env_line='' run='' exit='' says='' mended=''
        ;;
      *) fail "a line that is none: $line" ;;
    esac
  done < <(cat "$CASES"; echo)
  is "$(world_now)" "$before" 'nothing was written, changed or deleted'
}

export XDG_CONFIG_HOME=$SCRATCH/none REGROW_WAIT_CLUSTER=100ms
make_world
run_case commands cases
