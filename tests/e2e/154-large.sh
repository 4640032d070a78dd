#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# 15,000 objects are restored, each written once and none rejected, in less than 150 MB; and the plan
# of it takes no more.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"

OBJECTS=15000
MOST_KB=153600

cd "$SCRATCH"
timed() { "$BUILD/tests/bench/timed" timed.json "$REGROW" "$@"; }
peak() { jq .peak_kb timed.json; }

saved() {
  mkdir root
  python3 - "$OBJECTS" <<'P'
import sys
for part in range(15):
    with open(f"root/{part:02}.yaml", "w", encoding="utf-8") as f:
        f.write(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: part-{part}}}\n")
        for i in range(int(sys.argv[1]) // 15 - 1):
            f.write(f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-{i}\n  namespace: part-{part}\n"
                    f"  labels: {{app.kubernetes.io/name: settings, part: \"{part}\"}}\n"
                    f"data:\n  url: https://service-{i}.part-{part}.example.com/path\n  text: \"{i * 7919 % 100003}\"\n"
                    f"  settings.yaml: |\n    replicas: {i % 7}\n    level: info\n    names: [a, b, c]\n")
P
  age-keygen -o ann.id 2>/dev/null
  REGROW_TRUST=$("$REGROW" snapshot init --out repo.admin --recipient "$(age-keygen -y ann.id)" --single | sed -n 's/^ *pin //p')
  export REGROW_TRUST
  echo "$REGROW_TRUST" >pin
  "$REGROW" snapshot key add --key repo.admin -i ann.id --role writer --chain prod --out job >/dev/null
  check "$OBJECTS objects are saved" timed snapshot create --key job "$SCRATCH/root"
  is "$("$REGROW" snapshot list -o json | jq '.chains[0].snapshots[0].counts.objects')" "$OBJECTS" 'all of them'
}

restored() {
  check 'planned' timed restore -i ann.id --dry-run -o json
  at_most "$(peak)" "$MOST_KB" "the plan takes $(peak) kB"
  check 'restored' timed restore -i ann.id --yes -o json --timeout 5m
  at_most "$(peak)" "$MOST_KB" "the restore takes $(peak) kB"
  is "$(audit_rejected)" 0 'no write was rejected'
  is "$(kubectl get configmap -A -l app.kubernetes.io/name=settings -o name | wc -l)" $((OBJECTS - 15)) 'all are there'
}

export REGROW_REPO=$SCRATCH/repo REGROW_TRUST=@$SCRATCH/pin
cluster_up main
run_case saved saved
run_case restored restored
