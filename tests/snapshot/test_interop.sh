#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What we seal, the age program opens, and the reverse; a slot is an identity file; signatures and
# keys of the repository come out the same with openssl, by the recipes of
# docs/repository-format.md, section 16.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

tool=$BUILD/tests/snapshot/tool_age
vectors=$ROOT/tests/snapshot/vectors
cd "$SCRATCH"

# with_tty ANSWER COMMAND...: a terminal of its own, where every question gets that answer
with_tty() {
  python3 - "$@" <<'EOF'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    if not select.select([fd], [], [], 1)[0]:
        continue
    try:
        said = os.read(fd, 1000)
    except OSError:  # the end of a terminal
        break
    if not said:
        break
    if b"passphrase" in said:
        os.write(fd, sys.argv[1].encode() + b"\n")
else:
    os.kill(pid, 9)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
EOF
}

same() { # NAME A B
  if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "$(cmp "$2" "$3" 2>&1)"; fi
}

keys() {
  for k in own other; do
    age-keygen -o $k.key 2>/dev/null
  done
  own=$(age-keygen -y own.key)
  other=$(age-keygen -y other.key)
}

to_keys() {
  local size
  for size in 0 1 65535 65536 65537; do
    head -c $size /dev/urandom >plain
    "$tool" seal "$other" "$own" <plain >sealed
    age -d -i own.key sealed >opened
    same "age opens $size bytes of ours" plain opened
    age -r "$own" -r "$other" -o sealed plain
    "$tool" open own.key <sealed >opened
    same "we open $size bytes of age's" plain opened
  done
  age -a -r "$own" -o sealed plain
  "$tool" open own.key <sealed >opened
  same "we open armor" plain opened
  age -r "$other" -o sealed plain
  refuse "another's file" 5 "$tool" open own.key <sealed
  "$tool" seal "$other" <plain >sealed
  refuse "another's file, age" 1 age -d -i own.key sealed
}

to_passphrases() {
  export REGROW_TEST_PASSPHRASE="correct horse ü"
  head -c 1000 /dev/urandom >plain
  "$tool" lock 10 <plain >sealed
  with_tty "$REGROW_TEST_PASSPHRASE" age -d -o opened sealed
  same "age opens our passphrase file" plain opened
  with_tty "$REGROW_TEST_PASSPHRASE" age -p -o sealed plain
  "$tool" unlock <sealed >opened
  same "we open age's passphrase file" plain opened
}

slots() {
  local raw repo pin
  raw=$(jq -r .raw "$vectors/keys/chain.json")
  repo=$(jq -r .repo "$vectors/keys/chain.json")
  pin=$(sha256sum <"$vectors/trust/0001" | cut -d' ' -f1)
  "$tool" slot "$raw" "$repo" "$pin" >slot.txt
  "$tool" seal "$own" <slot.txt >slot
  age -d -i own.key slot >repo.key
  same "age opens a slot" slot.txt repo.key
  is "$(age-keygen -y repo.key)" "$(jq -r .recipient "$vectors/keys/chain.json")" \
    "what is in it is the identity"
  head -c 70000 /dev/urandom >plain
  age -r "$(age-keygen -y repo.key)" -o pack plain
  age -d -i repo.key pack >opened
  same "and opens what is sealed to the repository" plain opened
  like "$(cat repo.key)" "# regrow repository $repo epoch 1"$'\n'"# trust $pin"$'\n'"# raw $raw" \
    "its comments say whose it is"
}

# SALT IKM INFO
kdf() {
  openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "hexkey:$2" -kdfopt "hexsalt:$1" \
    -kdfopt "info:$3" HKDF | tr -d ':\n' | tr A-F a-f
}

chain_keys() {
  local v=$vectors/keys/chain.json k zero=0000000000000000000000000000000000000000000000000000000000000000
  k=$(kdf "$(jq -r .repo "$v")" "$(jq -r .raw "$v")" "regrow/1 chain $(jq -r .chain "$v")")
  is "$k" "$(jq -r .K "$v")" "openssl derives K"
  is "$(kdf $zero "$k" "regrow/1 id")" "$(jq -r .id_key "$v")" "and the id key"
  is "$(kdf "$(jq -r .index_salt "$v")" "$k" "regrow/1 index")" "$(jq -r .index_key "$v")" \
    "and an index key"
}

# verify FILE LINE KEY: the signature in that line by that base64 key
verify() {
  head -n1 "$1" >body
  sed -n "$2p" "$1" | cut -d' ' -f2 | base64 -d >sig
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf %s "$3" | base64 -d; } |
    openssl pkey -pubin -inform DER -out pub.pem
  openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in body -sigfile sig
}

# The key of that line's id among the admins of a trust file.
admin_key() { # TRUST ID
  local key
  for key in $(head -n1 "$1" | jq -r '.admins.keys[].key'); do
    [[ $(base64 -d <<<"$key" | sha256sum | cut -c1-16) != "$2" ]] || printf %s "$key"
  done
}

signatures() {
  local n line id
  cd "$SCRATCH"
  for n in 0001 0002 0003; do
    for line in 2 3; do
      id=$(sed -n "${line}p" "$vectors/trust/$n" | cut -d' ' -f1)
      check "openssl verifies line $line of trust/$n" \
        verify "$vectors/trust/$n" $line "$(admin_key "$vectors/trust/$n" "$id")"
    done
  done
  sed 's/"need":2/"need":1/' "$vectors/trust/0001" >changed
  id=$(sed -n 2p changed | cut -d' ' -f1)
  refuse "and refuses a changed one" 1 verify changed 2 "$(admin_key changed "$id")"
  is "$(head -n1 "$vectors/trust/0002" | jq -r .prev)" \
    "$(sha256sum <"$vectors/trust/0001" | cut -d' ' -f1)" "prev is the hash of the file before"
}

keys
run_case keys to_keys
run_case passphrases to_passphrases
run_case slots slots
run_case derivation chain_keys
run_case signatures signatures
