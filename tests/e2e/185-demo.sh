#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# make demo, as people see it: a cluster grows, is changed by hand and mended; all of it is destroyed,
# restored and compared. In a network of its own, so that stand-ins are served for upstream charts.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

command -v controlplane >/dev/null || skip_all 'no control plane: scripts/setup'
status=0
DEMO_READY=1 DEMO_REPORT=$SCRATCH/report.html "$LIB/netns" "$ROOT/scripts/demo" >"$SCRATCH/demo.txt" 2>&1 || status=$?
((status != 77)) || skip_all 'no network of its own for stand-ins of charts'
is "$status" 0 'the demo runs to its end'
((status == 0)) || tail -n 40 "$SCRATCH/demo.txt"
is "$(grep -o '(exit [0-9]*)' "$SCRATCH/demo.txt" | sort -u | tr '\n' ' ')" '(exit 20) ' 'but for the diff every command ends well'
like "$(<"$SCRATCH/demo.txt")" '[1-9][0-9]+ objects, all as they were\.' 'all is as it was'
like "$(<"$SCRATCH/demo.txt")" 'another empty cluster, restored, all healthy +[0-9]' 'and how long it took is said'
like "$(<"$SCRATCH/report.html")" '<svg.*</svg>' 'with the picture that the README shows'
