#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# Real GitOps repositories, as they are, brought up on a real API server as far as they can be without a
# network: what can be read is applied, no write is rejected, what cannot come up says what it waits
# for, and no object is written twice. Of what their other applications would bring only the
# definitions are there, as their projects publish them; nobody acts on these. What comes of it is the
# table "On a cluster" of docs/compatibility.md.
#
# WRITE=1 writes the table instead of comparing it.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
need_shared repos
need_shared upstream
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/repositories.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
TABLE=$ROOT/docs/compatibility.md
ROWS=$SCRATCH/rows
: >"$ROWS"

# The definitions of some groups as the projects of the add-ons publish them.
definitions() { # GROUP...
  python3 - "$REGROW_SHARED/upstream" "$@" <<'P'
import os, re, sys
seen = set()
for at, _, files in sorted(os.walk(sys.argv[1])):
    for name in sorted(f for f in files if f.endswith(('.yaml', '.yml'))):
        with open(os.path.join(at, name), errors='replace') as f:
            for doc in re.split(r'(?m)^---.*$', f.read()):
                crd = re.search(r'(?m)^  name: "?([a-z0-9.-]+)"?$', doc)
                is_one = re.search(r'(?m)^kind: CustomResourceDefinition$', doc) and '{{' not in doc
                if is_one and crd and crd[1] not in seen and crd[1].split('.', 1)[1] in sys.argv[2:]:
                    seen.add(crd[1])
                    print('---\n' + doc.strip())
P
}

given() { # GROUP...
  definitions "$@" >"$SCRATCH/definitions.yaml"
  check "definitions of $1" kubectl apply --server-side -f "$SCRATCH/definitions.yaml"
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null
}

# Of a kind that only a controller nobody runs here would make ready: it is there when it is applied.
READY=()
ready() { # KIND.GROUP...
  local k
  for k in "$@"; do READY+=(--ready "$k=applied"); done
}

boot() { # FILE ARGS...: the answer as JSON; its exit code in $CODE
  local file=$1
  shift
  CODE=0
  "$REGROW" bootstrap --offline --timeout 15s -o json "${READY[@]}" "$@" >"$file" 2>"$file.err" || CODE=$?
}

# up REPOSITORY ROOT: a row of the table
up() {
  local title=$1 file=$SCRATCH/up.json i state before=''
  shift
  # Until nothing more is written: what is still waiting then waits for what nobody brings here.
  for ((i = 0; i < 8; i++)); do
    boot "$file" "$@"
    like "$CODE" '^(0|10)$' "$title: an end of which the code tells"
    is "$(jq -c '[.objects.rejected, .objects.lost, .applications.failed]' "$file")" '[0,0,0]' "$title: no write was rejected"
    state=$(jq -c '[.objects.written, .applications]' "$file")
    [[ $state != "[0,"* || $state != "$before" ]] || break
    before=$state
  done
  like "$state" '^\[0,' "$title: at last nothing more is written"
  like "$(jq .objects.unchanged "$file")" '^[1-9]' "$title: objects were written"
  like "$(audit_max "$AUDIT" ' regrow-system ')" '^1 ' "$title: and none of them twice"
  is "$(jq -c '[.problems[] | select(.problem == "" and .waitsFor == "")]' "$file")" '[]' \
    "$title: what is not up says what it waits for, or why it is unknown"
  jq -r --arg title "$title" '
    [$title, (.applications | .total, .unknown, .blocked), .objects.unchanged, .applications.healthy,
     ([.problems[] | .waitsFor // "" | select(endswith(" CRD")) | capture("(?<k>[A-Za-z]+) CRD$").k] | unique | join(", "))]
    | map(tostring) | "| " + join(" | ") + " |"' "$file" >>"$ROWS"
}

homelab() {
  given external-secrets.io gateway.networking.k8s.io cert-manager.io monitoring.coreos.com
  make_homelab
  ready ExternalSecret.external-secrets.io HTTPRoute.gateway.networking.k8s.io Certificate.cert-manager.io
  up 'theepicsaxguy/homelab, applications' "$SCRATCH/theepicsaxguy-homelab/roots/applications"
}

kubefirst() {
  cluster_wipe >/dev/null
  given external-secrets.io
  make_kubefirst k3d-github
  up 'kubefirst, k3d-github' "$SCRATCH/kubefirst-k3d-github/registry/mgmt"
}

table() {
  sed '/^<!-- on a cluster/q' "$TABLE"
  printf '\n| repository | applications | of these unknown | held back by these | objects written | healthy | kinds whose definition nobody brings |\n|---|---|---|---|---|---|---|\n'
  cat "$ROWS"
  echo
  sed -n '/^<!-- made/,$p' "$TABLE"
}

cluster_up main
definitions >"$SCRATCH/definitions.yaml"
run_case homelab homelab
run_case kubefirst kubefirst
is "$(audit_rejections | head -c 600)" '' 'no write was rejected'
[[ -z ${CASE:-} ]] || exit 0
table >"$SCRATCH/compatibility.md"
if [[ ${WRITE:-} == 1 ]]; then cp "$SCRATCH/compatibility.md" "$TABLE"; fi
check 'docs/compatibility.md tells it as it is' diff "$TABLE" "$SCRATCH/compatibility.md"
