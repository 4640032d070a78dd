# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The real repositories of REGROW_SHARED, each as a clone of where it comes from, in $SCRATCH, ready to
# be planned. After env.sh.
#
#   clone NAME URL [none]   the work tree of repos/NAME (an empty one), which stands for its remote URL
#   make_homelab            theepicsaxguy-homelab/roots/infrastructure and applications
#   make_bridge             gitops-bridge-control-plane/root
#   make_kubefirst PLATFORM kubefirst-PLATFORM/registry/clusters/mgmt or registry/mgmt

REPOS=$REGROW_SHARED/repos

clone() { # NAME URL [TREE]: a work tree, which stands for its remote
  mkdir -p "$SCRATCH/$1/.git"
  [[ $# == 3 ]] || cp -R "$REPOS/$1/tree/." "$SCRATCH/$1/"
  printf '[remote "origin"]\n\turl = %s\n' "$2" >"$SCRATCH/$1/.git/config"
}

make_homelab() {
  local d=$SCRATCH/theepicsaxguy-homelab
  clone theepicsaxguy-homelab https://github.com/theepicsaxguy/homelab.git
  for part in infrastructure applications; do
    mkdir -p "$d/roots/$part"
    cp "$d/k8s/$part/"{project,application-set}.yaml "$d/roots/$part/"
  done
}

# What Terraform writes beside this repository: one cluster that wants every add-on; of the two ways
# to have Argo CD and Argo Workflows the one without an ingress.
make_bridge() {
  local url=https://github.com/gitops-bridge-dev/gitops-bridge-argocd-control-plane-template
  local d=$SCRATCH/gitops-bridge-control-plane
  clone gitops-bridge-control-plane "$url"
  mkdir -p "$d/root"
  cp "$d/bootstrap/control-plane/exclude/bootstrap.yaml" "$d/root/"
  {
    printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: hub\n  namespace: argocd\n  labels:\n'
    printf '    %s\n' 'argocd.argoproj.io/secret-type: cluster' 'environment: staging' \
      'akuity.io/argo-cd-cluster-name: hub' 'aws_cluster_name: hub'
    grep -rhoE 'enable_[a-z_]+' "$d/bootstrap" | sort -u | grep -v '_ingress$' | sed 's/.*/    &: "true"/'
    printf '  annotations:\n'
    printf '    %s\n' "addons_repo_url: $url" 'addons_repo_basepath: ""' \
      'addons_repo_path: bootstrap/control-plane/addons' 'addons_repo_revision: main'
    grep -rhoE 'metadata\.annotations\.[a-z_]+' "$d/bootstrap" | sed 's/.*\.//' | sort -u |
      grep -v '^addons_repo_' | sed 's/.*/    &: &/'
    printf 'stringData: {name: hub, server: https://kubernetes.default.svc}\n'
  } >"$d/root/hub.yaml"
}

# The tool this template is for replaces the words in <> and copies a folder to registry/.
make_kubefirst() { # PLATFORM
  local from=$REPOS/kubefirst-gitops-template/tree/$1 d=$SCRATCH/kubefirst-$1 mgmt clusters
  clone "kubefirst-$1" "https://git.example.com/$1.git" none
  mgmt=$from/templates/mgmt clusters=$d/registry/clusters/mgmt
  [[ -d $mgmt ]] || mgmt=$from/cluster-types/mgmt clusters=$d/registry/mgmt
  mkdir -p "${clusters%/*}"
  cp -R "$mgmt" "$clusters"
  [[ ! -d $from/registry ]] || cp -R "$from/registry/." "$d/registry/"
  find "$d/registry" -name '*.y*ml' -exec sed -i \
    -e "s|<GITOPS_REPO_URL>|https://git.example.com/$1.git|g" \
    -e 's|<CERT_MANAGER_ISSUER_ANNOTATION_1>|cert-manager.io/cluster-issuer: letsencrypt-prod|' \
    -e '/<CERT_MANAGER_ISSUER_ANNOTATION_[2-4]>/d' \
    -e 's|<DOMAIN_NAME>|example.com|g' -e 's|<CLUSTER_NAME>|mgmt|g' \
    -e 's|<\([A-Z][A-Z0-9_]*\)>|\L\1|g' {} +
  # A word in lower case with _ is no name of an object: so it is in the template's own tool.
  find "$d/registry" -name '*.y*ml' -exec sed -i -E 's/^(  name|  namespace): ([a-z]+)_/\1: \2-/' {} +
}
