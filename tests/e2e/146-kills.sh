#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# SIGKILL at 200 seeded moments of snapshot create: the next run is good without anybody's help, every
# snapshot that was ever called good stays whole, and nothing of the killed runs lies about. (With Git
# repositories: tests/e2e/120-create.sh. At every single call: tests/e2e/145-faults.sh.)
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

KILLS=${KILLS:-200}
SEED=${SEED:-11}
WORKERS=4
cd "$SCRATCH"
age-keygen -o ann.id 2>/dev/null

snap() { "$REGROW" snapshot "$@" --repo repo; }
change() { # NUMBER: one object is another
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {a: "%s"}\n' "$1" >root/c.yaml
}
begin() {
  mkdir root
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: default}\ndata: {a: "%s"}\n' \
    "$(head -c 60000 /dev/urandom | base64 -w0)" >root/d.yaml
  # A Secret that cannot be guessed: another would cost a scrypt each time.
  openssl ecparam -name prime256v1 -genkey -noout | sed 's/^/    /' >key
  printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\nstringData:\n  tls.key: |\n%s\n' \
    "$(<key)" >root/s.yaml
  change 0
  export XDG_CACHE_HOME=$PWD/cache
  snap init --out admin --recipient "$(age-keygen -y ../ann.id)" --single >init
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init)
  export REGROW_TRUST
  snap key add --key admin -i ../ann.id --role writer --chain prod --out job >/dev/null
  snap create --key job root >/dev/null
}
goods() { snap list -o json | jq -c '.chains[0].snapshots[] | select(.state == "good").seq'; }

# One worker's share of the kills, in a repository of its own. Prints what is wrong.
killed() { # NUMBER
  local i at took status told=1 hits=0
  mkdir "w$1"
  cd "w$1"
  begin
  change first
  took=$(snap create --key job root -o json | jq .ms)
  told=2
  RANDOM=$((SEED + $1))
  # Until so many came while it ran.
  for ((i = 0; i < 4 * KILLS / WORKERS && hits < KILLS / WORKERS; i++)); do
    change "$1-$i"
    at=$((RANDOM % (took + 5) + 1)) status=0
    {
      timeout -s KILL "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))" "$REGROW" snapshot create --repo repo \
        --key job root >out 2>&1 || status=$?
    } 2>/dev/null # the shell's word that it was killed
    echo "$status" >>ended
    hits=$((hits + (status == 137)))
    ((status != 0)) || told=$((told + 1))
    snap create --key job root >out 2>&1 || echo "kill $i after $at ms: the next run failed: $(<out)"
    told=$((told + 1))
    ((i % 20)) || snap verify -i ../ann.id >out 2>&1 || echo "kill $i after $at ms: $(<out)"
  done
  snap verify -i ../ann.id >out 2>&1 || echo "in the end: $(<out)"
  [[ $(goods | wc -l) -ge $told ]] || echo "$told were called good, and $(goods | wc -l) are there"
  snap create --key job root >/dev/null
  [[ -z $(ls cache/regrow/snapshot-work) ]] || echo "there is still: $(ls cache/regrow/snapshot-work)"
}

kills() {
  local i pids=() status=0
  for ((i = 0; i < WORKERS; i++)); do
    (set -e; killed "$i") >"wrong.$i" 2>&1 &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || status=$?; done
  is "$status" 0 'all of it ran'
  is "$(cat wrong.?)" '' "$KILLS kills (seed $SEED): the next run is good, all that was called good is whole"
  is "$(cat w?/ended | grep -c 137)" "$((KILLS / WORKERS * WORKERS))" "all of them came while it ran (of $(cat w?/ended | wc -l) tries)"
}

run_case kills kills
