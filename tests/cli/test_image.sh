#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The image of the controller (deploy/reconcile/Containerfile) has every library that the program
# is linked with.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

packages() {
  local library path
  for library in $(objdump -p "$BUILD/regrow" | awk '$1 == "NEEDED" {print $2}'); do
    path=$(ldconfig -p | awk -v l="$library" '$1 == l && !n++ {print $NF}')
    # dpkg knows it by its file's name, or by that of a link
    { dpkg -S "$path" || dpkg -S "$(realpath "$path")" || dpkg -S "*/${path##*/}"; } 2>/dev/null | cut -d: -f1
  done | sort -u
}

run_libraries() {
  grep -q bookworm /etc/os-release || { skip 'libraries' 'their packages have other names here'; return; }
  packages | grep -v '^libc6$' >"$SCRATCH/needed"
  isnt "$(wc -l <"$SCRATCH/needed")" 0 'the program needs some'
  tr -s ' \\' '\n' <"$ROOT/deploy/reconcile/Containerfile" | sort -u >"$SCRATCH/named"
  is "$(comm -23 "$SCRATCH/needed" "$SCRATCH/named")" '' 'each of their packages is installed in the image'
}

run_case libraries run_libraries
