# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Commands that ran days ago: a registry tells no time of what it keeps, so how old that is counts by
# the word of whoever wrote it. After env.sh.
#
#   past_start SECONDS PORT   a proxy before the server at PORT, whose clock is so long ago; sets
#                             PAST_PORT
#   past COMMAND...           runs with that clock

past_start() {
  PAST_S=$1
  PAST_PORT=$(free_port)
  [[ -f $SCRATCH/past.so ]] || cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$SCRATCH/past.so" "$LIB/past.c"
  mkdir -p "$SCRATCH/past-$PAST_PORT"
  spawn "past-$PAST_PORT" env DATE_SHIFT_S="-$PAST_S" python3 "$LIB/faultproxy.py" "$PAST_PORT" "$2" "$SCRATCH/past-$PAST_PORT"
  wait_for 10 'a proxy' port_open "$PAST_PORT"
}
past() { LD_PRELOAD=$SCRATCH/past.so CLOCK_SHIFT_S=-$PAST_S "$@"; }
