# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Servers that are slow, silent or particular, in front of githttp.sh's. After env.sh, githttp.sh.
#
#   slow_start NAME [FLAGS]   one of slowhttp.py; sets SLOW_PORT. Without --hang it passes on to
#                             HTTP_URL. Its log is $SCRATCH/NAME.requests
#   slow_stop NAME
#   slow_count NAME REGEX     how many requests ("METHOD PATH") there were
#   slow_peak NAME REGEX      the most that were in flight at once when such a one came

slow_start() {
  local name=$1
  shift
  SLOW_PORT=$(free_port)
  : >"$SCRATCH/$name.requests"
  spawn "$name" python3 "$LIB/slowhttp.py" "$SLOW_PORT" "${HTTP_URL##*:}" "$SCRATCH/$name.requests" "$@"
  wait_for 10 "$name on port $SLOW_PORT" \
    grep -q "$(printf '%04X' "$SLOW_PORT") 00000000:0000 0A" /proc/net/tcp
}

slow_stop() { stop "$1"; }

slow_count() { awk '{print $4, $5}' "$SCRATCH/$1.requests" | grep -cE "$2" || true; }

slow_peak() {
  awk -v re="$2" '($4 " " $5) ~ re && $2 > max { max = $2 } END { print max + 0 }' \
    "$SCRATCH/$1.requests"
}
