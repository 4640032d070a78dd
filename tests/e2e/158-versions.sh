#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A snapshot of one Kubernetes minor version is restored onto a newer and an older one, each a real
# one, built from its own sources: what the target does not serve is named before the first write,
# with what becomes of it; everything else comes back healthy, without a rejected write; rendered
# again, it is for the version of the target.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/fleet.sh"
. "$LIB/snapshots.sh"

TENANTS=${TENANTS:-4}
fleet_kind=hooks
OLD=1.36 NEW=1.37

root_of() { echo "$HTTP_URL/git/fleet-$1.git//root?ref=main"; }
restore() { "$REGROW" restore -i ann.id --timeout 2m --chain "$chain" "$@"; }

# Two kinds of which 1.36 is the last to serve v1beta1.
make_old_apis() {
  cat <<'Y'
apiVersion: storage.k8s.io/v1beta1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: simulated.storage.regrow.dev
parameters: {iops: "4000"}
---
apiVersion: networking.k8s.io/v1beta1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.97.0.0/24]}
Y
}

# One that 1.37 is the first to serve as v1; before, it was nobody's by default.
make_new_apis() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=roots -days 3 -keyout /dev/null -out roots.pem \
    -addext basicConstraints=critical,CA:TRUE 2>/dev/null
  printf 'apiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {name: roots}\nspec:\n  trustBundle: |\n'
  sed 's/^/    /' roots.pem
  # A field that 1.37 is the first to know, in a kind that both serve.
  cat <<'Y'
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: fresh}
spec:
  replicas: 0
  selector: {matchLabels: {a: fresh}}
  template:
    metadata: {labels: {a: fresh}}
    spec:
      volumes: [{name: v, emptyDir: {mode: 448, sizeLimit: 1Mi}}]
      containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}]
---
Y
}

# In both, as v1.
make_apis() {
  cat <<'Y'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: owner}
spec:
  reinvocationPolicy: Never
  failurePolicy: Fail
  matchConstraints:
    objectSelector: {matchLabels: {owned: "yes"}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{annotations: {"owner": "platform"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: owner}
spec: {policyName: owner}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside}
data: {of: apis}
Y
}

make_fleet() { # NAME: old or new
  local i dir=fleet-$1
  mkdir -p "$dir/root" "$dir/apis"
  fleet_url=$HTTP_URL/git/$dir.git
  for ((i = 1; i <= TENANTS; i++)); do fleet_tenant "$dir" "$i"; done
  fleet_app apis apis apis >"$dir/root/apis.yaml"
  mkdir -p "$dir/charted/templates"
  printf 'apiVersion: v2\nname: charted\nversion: 0.1.0\n' >"$dir/charted/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made-for}\ndata: {minor: "{{ .Capabilities.KubeVersion.Minor }}"}\n' \
    >"$dir/charted/templates/cm.yaml"
  fleet_app charted charted charted >"$dir/root/charted.yaml"
  { "make_$1_apis"; make_apis; } >"$dir/apis/all.yaml"
  git_publish "$dir" "$dir" >/dev/null
}

version() { kubectl version -o json | jq -r '.serverVersion | "\(.major).\(.minor)"'; }

grown() { # CHAIN VERSION: the cluster in use grows and is saved
  chain=$1
  is "$(version)" "$2" "the snapshot is of $2"
  check 'the fleet grows from Git' "$REGROW" bootstrap --timeout 2m "$(root_of "$1")"
  fleet_state >want.json
  check 'and is saved' snap create --key "$1.job" --use-cluster "$(root_of "$1")"
  is "$(snap list --chain "$1" -o json | jq -r '.chains[0].snapshots[0].state')" good 'the snapshot is good'
}

# What is planned, in words and for programs, writes nothing.
planned() { # VERSION SOURCE WORD APIS
  local out
  is "$(version)" "$1" "the target is $1"
  plan=$(restore --dry-run | tr -s '\n ' ' ')
  like "$plan" "Kubernetes v${1/./\\.}\\.[0-9]+, empty; source was v${2/./\\.}\\.[0-9]+ \\($3\\)" 'the plan says both versions'
  out=$(restore --dry-run -o json)
  is "$(jq -c '[.apis[] | "\(.kind) \(.version) \(.fate) \(.to // "")"] | sort' <<<"$out")" "$4" 'every API that is missing, and what becomes of it'
  is "$(audit_writes)" "$writes" 'before anything is written'
}

back() { # CODE
  local code=0
  restore --yes -o json >out.json 2>err.txt || code=$?
  is "$code" "$1" "restored, exit $1"
  ((code == $1)) || cat err.txt out.json
  is "$(jq -c '.result.applications | [.total, .healthy]' out.json)" "[$((TENANTS + 2)),$((TENANTS + 2))]" 'every application is healthy'
  is "$(audit_rejected)" 0 'no write was rejected'
  audit_rejections | sed -n 1,5p
  fleet_state >got.json
  check 'the tenants are as they were' diff want.json got.json
  is "$(kubectl get configmap -n apis beside -o jsonpath='{.data.of}')" apis 'what stands beside is there'
  kubectl -n default create configmap owned --from-literal=a=b --dry-run=client -o json |
    jq '.metadata.labels.owned = "yes"' | kubectl create -f - >/dev/null
  is "$(kubectl -n default get configmap owned -o jsonpath='{.metadata.annotations.owner}')" platform 'a policy that both serve works'
  is "$(restore --dry-run -o json | jq -c '.plan | [.create, .change, .prune]')" '[0,0,0]' 'planned again: nothing to do'
}

gold() { kubectl get volumeattributesclasses.v1.storage.k8s.io gold -o json | jq -cS '{driverName, parameters}'; }

made_for() { kubectl -n charted get configmap made-for -o jsonpath='{.data.minor}'; }

onto_newer() {
  local was
  cluster_use old
  grown old $OLD
  was=$(gold)
  writes=$(audit_writes)
  is "$(restore --dry-run -o json | jq -c '[.apis[] | "\(.kind) \(.version) \(.fate) \(.to // "")"] | sort')" \
    '["ServiceCIDR v1beta1 deprecated v1","VolumeAttributesClass v1beta1 deprecated v1"]' 'what is served there, but not for long, is named'
  like "$(restore --dry-run | tr -s '\n ' ' ')" "ServiceCIDR more: networking.k8s.io/v1beta1 is deprecated, and gone in Kubernetes ${NEW/./\\.}; v1 takes its place" 'with what it becomes'
  is "$(audit_writes)" "$writes" 'and it is no write'
  cluster_use new
  writes=$(audit_writes)
  planned $NEW $OLD older '["ServiceCIDR v1beta1 moved v1","VolumeAttributesClass v1beta1 moved v1"]'
  like "$plan" 'VolumeAttributesClass gold: storage.k8s.io/v1beta1 is not served; written as v1' 'and what moves'
  back 0
  is "$(gold)" "$was" 'what moved says the same in v1'
  check 'and the other one' kubectl get servicecidrs.v1.networking.k8s.io more
  is "$(made_for)" "${OLD#1.}" 'a chart is as it was rendered for the older one'
  check 'rendered again' eval 'restore --rerender --yes -o json >anew.json'
  is "$(jq -c '[.rerendered.changed, .rerendered.removed, .result.objects.rejected]' anew.json)" '[["ConfigMap charted/made-for"],[],0]' 'that chart alone is another'
  is "$(made_for)" "${NEW#1.}" 'for the newer one'
}

onto_older() {
  cluster_use new
  cluster_control reset
  grown new $NEW
  check 'with what only the newer one serves' kubectl get clustertrustbundle roots
  cluster_use old
  cluster_control reset
  writes=$(audit_writes)
  planned $OLD $NEW newer '["ClusterTrustBundle v1 dropped ","Deployment v1 trimmed "]'
  like "$plan" 'ClusterTrustBundle roots: certificates.k8s.io/v1 is not served, and nothing takes its place: left out' 'and what has no successor'
  like "$plan" 'Deployment apis/fresh of application apis: spec\.template\.spec\.volumes\[0\]\.emptyDir\.mode of apps/v1 is a field that this Kubernetes does not know: left out' 'and the field that it does not know'
  restore --dry-run -o json >fields.json
  check 'documented' "$ROOT/tests/cli/shape" restore 'apis[].field,apis[].application' <fields.json
  back 10
  is "$(kubectl -n apis get deploy fresh -o jsonpath='{.spec.template.spec.volumes[0].emptyDir}')" '{"sizeLimit":"1Mi"}' 'what it knows of that object is there'
}

cd "$SCRATCH"
command -v "controlplane-$OLD" >/dev/null || skip_all "no control plane of $OLD: scripts/setup"
(cluster_up new; trap - EXIT) >new.log 2>&1 &
cluster_up old --minor $OLD --runtime-config storage.k8s.io/v1beta1=true,networking.k8s.io/v1beta1=true
wait
at_exit cluster_down new
githttp_start
NAME=repo
make_repo "$SCRATCH/snapshots" repo
for chain in old new; do
  admin key add --role writer --chain "$chain" --out "$chain.job" >/dev/null
  make_fleet "$chain"
done
run_case 'onto a newer one' onto_newer
run_case 'onto an older one' onto_older
