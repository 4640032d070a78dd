# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a cluster's next owner finds and does, by its own code (tests/handover). After cluster.sh.
# What an application renders, and to which namespace, the test says: handover_place NAME prints
# NAMESPACE FOLDER.
#
#   argocd_diff NAME [OPTIONS]       what Argo CD's comparison says of its objects, counted: "4 differs 2 same";
#                                    its lines are in $SCRATCH/told
#   argocd_sync NAME [--server-side] applies it as Argo CD does (kubectl's code, its own manager), and
#                                    prunes what it tracks
#   flux_diff NAME, flux_apply NAME  the same of Flux, counted; its inventory is $SCRATCH/inventory-NAME

command -v handover >/dev/null || skip_all 'handover is not built: scripts/setup'
: >"$SCRATCH/told"

handover_counted() { sed 's/ .*//' | sort | uniq -c | xargs; }

argocd_asked() { # diff|render NAME [OPTIONS]
  local ns folder
  read -r ns folder < <(handover_place "$2")
  handover argocd "$1" --app "$2" --namespace "$ns" "${@:3}" "$folder"
}

argocd_diff() { { argocd_asked diff "$@" 2>>"$SCRATCH/told" || true; } | tee -a "$SCRATCH/told" | handover_counted; }

argocd_sync() {
  local more=() extra
  [[ ${2:-} ]] && more=(--server-side --force-conflicts)
  argocd_asked render "$1" | kubectl apply --field-manager=argocd-controller "${more[@]}" -f - >"$SCRATCH/applied"
  for extra in $({ argocd_asked diff "$1" 2>>"$SCRATCH/told" || true; } | sed -n 's/^extra //p'); do
    kubectl delete -n "${extra%%/*}" "${extra#*/}" --wait=false >>"$SCRATCH/applied"
  done
}

flux_asked() { # diff|apply NAME [OPTIONS]
  local ns folder
  read -r ns folder < <(handover_place "$2")
  handover flux "$1" --app "$2" --namespace flux-system "${@:3}" "$folder"
}
flux_diff() { { flux_asked diff "$1" 2>>"$SCRATCH/told" || true; } | tee -a "$SCRATCH/told" | handover_counted; }
flux_apply() { flux_asked apply "$1" --inventory "$SCRATCH/inventory-$1" | handover_counted; }
