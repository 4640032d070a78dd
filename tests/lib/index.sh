# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Index files of a repository of snapshots (docs/repository-format.md section 5).
#
#   index_lines FILE...     line 1 of each: in clear, or of version 3 the one frame that zstd shows

index_lines() {
  local f
  for f in "$@"; do
    case $(head -c 1 "$f") in
      '{') head -n1 "$f" ;;
      *) zstd -dcq <"$f" ;;
    esac
  done
}
