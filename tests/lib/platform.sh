# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The platform of apps/ grown for people to see: by the demo and for the pictures. After env.sh,
# cluster.sh, githttp.sh (started) and charts.sh.
#
#   PLATFORM_URL        what apps/ calls its own repository
#   platform_publish    apps/ as that repository, over real Git HTTP
#   platform_mirrors    writes a configuration in which that URL, and where they cannot be reached
#                       the upstream charts, are served by this machine; says which
#   platform_up NAME    a cluster whose add-ons do what the real ones do, after a while

PLATFORM_URL=https://git.example.com/platform.git

platform_publish() {
  mkdir -p "$SCRATCH/platform"
  [[ -d $SCRATCH/platform/apps ]] || cp -r "$ROOT/apps" "$SCRATCH/platform/"
  git_publish "$SCRATCH/platform" platform >/dev/null
}

platform_reachable() { curl -fsS -m 5 -o /dev/null "$1" 2>/dev/null; }

platform_mirrors() {
  local to=$XDG_CONFIG_HOME/regrow/config.yaml c url
  mkdir -p "${to%/*}"
  printf 'mirror:\n- %s=%s\n' "$PLATFORM_URL" "$HTTP_URL/git/platform.git" >"$to"
  if platform_reachable https://charts.jetstack.io/index.yaml; then
    echo "The upstream charts can be reached: they are used."
    return
  fi
  echo "The upstream charts cannot be reached: small stand-ins of our own (tests/fixtures) take their place."
  for c in cert-manager external-secrets traefik; do
    charts_package "$ROOT/tests/fixtures/charts/$c" demo >/dev/null
  done
  url=$(charts_index demo)
  git_publish "$ROOT/tests/fixtures/gateway-api" gateway-api >/dev/null
  git_tag gateway-api v1.4.1
  printf -- '- %s\n' "https://charts.jetstack.io=$url" "https://charts.external-secrets.io=$url" \
    "https://traefik.github.io/charts=$url" \
    "https://github.com/kubernetes-sigs/gateway-api=$HTTP_URL/git/gateway-api.git" >>"$to"
}

platform_up() {
  cluster_up "$1" --ready-delay 1s
  spawn addons controlplane addonsim "$CLUSTER" --delay 2s
}
