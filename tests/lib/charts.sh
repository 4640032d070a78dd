# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Charts in Helm repositories and OCI registries. After env.sh and githttp.sh (started).
#
#   charts_package FOLDER REPO [VERSION]   the chart in FOLDER as an archive of the repository
#                      REPO; prints the archive's path. Optional sub-charts may be absent.
#   charts_index REPO  (re)writes the index; prints its URL: $HTTP_URL/files/charts/REPO, also
#                      under HTTPS_URL, and with a password under /auth/files/charts/REPO
#   charts_upstream REPO [NAME...]   packages charts of the test data by their names (default:
#                      all), and indexes them; prints the URL
#   oci_start [--tls] [--auth]   a registry; sets OCI_HOST and OCI_URL (oci://host:port/charts);
#                      with --auth HTTP_USER and HTTP_PASSWORD are wanted
#   oci_push ARCHIVE...   into OCI_URL
#   oci_stop

charts_root=$FILES_ROOT/charts

# charts_field name|version FILE
charts_field() { sed -n "/^$1:/{s/^$1: *[\"']\{0,1\}\([^ \"']*\).*/\1/p;q}" "$2"; }

# Made with tar, since "helm package" refuses charts whose optional sub-charts are not there.
charts_package() {
  local folder=${1%/} repo=$2 version=${3:-} work name stage
  work=$(mktemp -d "$SCRATCH/run/chart.XXXXXX")
  name=$(charts_field name "$folder/Chart.yaml")
  stage=$work/$name
  cp -R "$folder" "$stage"
  if [[ -n $version ]]; then
    sed -i "s/^version:.*/version: $version/" "$stage/Chart.yaml"
  fi
  version=$(charts_field version "$stage/Chart.yaml")
  mkdir -p "$charts_root/$repo"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1767225600 -C "$work" \
    -c "$name" | gzip -n >"$charts_root/$repo/$name-$version.tgz"
  rm -rf "$work"
  echo "$charts_root/$repo/$name-$version.tgz"
}

charts_index() {
  helm repo index "$charts_root/$1"
  echo "$HTTP_URL/files/charts/$1"
}

charts_upstream() {
  local repo=$1 wanted chart
  shift
  wanted=" $* "
  while read -r chart; do
    if [[ $# == 0 || $wanted == *" $(charts_field name "$chart") "* ]]; then
      charts_package "${chart%/*}" "$repo" >/dev/null
    fi
  done < <(find "$REGROW_SHARED/upstream" -name Chart.yaml -not -path '*/charts/*/charts/*' | sort)
  charts_index "$repo"
}

# oci_bcrypt PASSWORD: the only kind of password file the registry knows
oci_bcrypt() {
  # shellcheck disable=SC2016 # Perl's variables
  PASSWORD=$1 perl -e '@c = ("a".."z", 0..9); print crypt($ENV{PASSWORD}, "\$2b\$05\$" . join("", map { $c[rand 36] } 1..21) . "u")'
}

oci_start() {
  local dir=$SCRATCH/oci port tls='' auth='' hash
  port=$(free_port)
  mkdir -p "$dir/data"
  OCI_PLAIN=(--plain-http)
  OCI_HOST=127.0.0.1:$port
  while (($#)); do
    case $1 in
      --tls)
        tls_make
        tls="  tls: {certificate: $SCRATCH/tls/server.crt, key: $SCRATCH/tls/server.key}"
        OCI_PLAIN=(--ca-file "$CA_CERT")
        OCI_HOST=localhost:$port
        ;;
      --auth)
        # The registry knows bcrypt only.
        hash=$(oci_bcrypt "$HTTP_PASSWORD")
        printf '%s:%s\n' "$HTTP_USER" "$hash" >"$dir/users"
        auth="auth: {htpasswd: {realm: test, path: $dir/users}}"
        ;;
    esac
    shift
  done
  cat >"$dir/config.yml" <<EOF
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $dir/data}}
http:
  addr: 127.0.0.1:$port
$tls
$auth
EOF
  OCI_URL=oci://$OCI_HOST/charts
  spawn registry docker-registry serve "$dir/config.yml"
  wait_for 10 "the registry on port $port" port_open "$port"
  if [[ -n $auth ]]; then
    printf '%s' "$HTTP_PASSWORD" | helm registry login "${OCI_PLAIN[@]}" -u "$HTTP_USER" \
      --password-stdin "$OCI_HOST" >/dev/null 2>"$dir/login.log"
  fi
}

oci_push() {
  local archive
  for archive in "$@"; do
    helm push "${OCI_PLAIN[@]}" "$archive" "$OCI_URL" 2>>"$SCRATCH/oci/push.log"
  done
}

oci_stop() { stop registry; }
