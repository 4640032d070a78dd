#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make deb: a package that is the same bytes each time, whose dependencies are what the program is
# linked with, that dpkg installs beside what this machine has, that runs from there, and that leaves
# nothing behind when it goes.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"

command -v dpkg-shlibdeps >/dev/null || skip_all 'dpkg-dev is not here: scripts/setup'
VERSION=$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")
INSTALLED=$SCRATCH/installed

# A copy of what this machine has installed, so that dependencies are really looked at.
database() {
  mkdir -p "$SCRATCH/db/info" "$SCRATCH/db/updates" "$SCRATCH/db/triggers" "$INSTALLED"
  cp /var/lib/dpkg/status "$SCRATCH/db/"
  cp /var/lib/dpkg/info/*.list "$SCRATCH/db/info/"
  printf '1\n' >"$SCRATCH/db/info/format"
}

# In a namespace where we are root, when we are not.
as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else unshare -r "$@"; fi; }
dpkg_there() { as_root dpkg --admindir="$SCRATCH/db" --instdir="$INSTALLED" --log="$SCRATCH/dpkg.log" "$@"; }
files() { find "$INSTALLED" ! -type d -printf '%P\n' | sort; }

built() {
  SOURCE_DATE_EPOCH=1767225600 "$ROOT/scripts/deb" "$REGROW" "$VERSION" "$SCRATCH/one" >path
  is "$(<path)" "$SCRATCH/one/regrow_${VERSION}_$(dpkg --print-architecture).deb" 'it says where it is'
  sleep 1.1 # so that what is taken from the clock differs
  SOURCE_DATE_EPOCH=1767225600 "$ROOT/scripts/deb" "$REGROW" "$VERSION" "$SCRATCH/two" >/dev/null
  is "$(sha256sum <"$SCRATCH"/two/*.deb)" "$(sha256sum <"$(<path)")" 'it is the same bytes each time'
  is "$(dpkg-deb -f "$(<path)" Version)" "$VERSION" 'its version is that of the Makefile'
  like "$(dpkg-deb -f "$(<path)" Depends)" 'libc6 \(>= .*libgit2-' 'it depends on what it is linked with'
  is "$(dpkg-deb -c "$(<path)" | awk '$2 != "root/root" || $1 ~ /w..w|^.{8}w|s/' | head -3)" '' 'all of it is root'"'"'s, and nothing others may write'
  is "$(dpkg-deb -I "$(<path)" | grep -cE '\*.*(preinst|postinst|prerm|postrm)' || true)" 0 'nothing of it is run at installation'
  if command -v lintian >/dev/null; then check 'lintian finds no error' lintian --fail-on error "$(<path)"; fi
}

installed() {
  local lib
  database
  check 'it is installed' dpkg_there -i "$(<path)"
  check 'every file is as it was packed' bash -c "cd '$INSTALLED' && md5sum --quiet -c '$SCRATCH/db/info/regrow.md5sums'"
  is "$("$INSTALLED/usr/bin/regrow" version)" "$("$REGROW" version)" 'it runs from there'
  like "$(MANPATH=$INSTALLED/usr/share/man man regrow-snapshot-list 2>&1)" 'regrow snapshot list' 'its manual is found'
  check 'completion is where bash looks' grep -q '_regrow' "$INSTALLED/usr/share/bash-completion/completions/regrow"
  is "$(files | grep -c 'share/man/man1/regrow-')" "$(find "$SCRATCH/made/share/man/man1" -name 'regrow-*' | wc -l)" 'every command has its page'
  for lib in zsh/vendor-completions/_regrow fish/vendor_completions.d/regrow.fish doc/regrow/README.md doc/regrow/docs/restore.md \
    doc/regrow/docs/runbooks/README.md doc/regrow/changelog.gz doc/regrow/copyright doc/regrow/apps/README.md \
    doc/regrow/deploy/terraform/README.md doc/regrow/scripts/emergency.sh; do
    check "$lib is there" test -s "$INSTALLED/usr/share/$lib"
  done
}

removed() {
  check 'once more: it is replaced by itself' dpkg_there -i "$(<path)"
  check 'it is removed' dpkg_there -r regrow
  is "$(files)" '' 'nothing of it is left'
  check 'and purged' dpkg_there -P regrow
  is "$(find "$INSTALLED" -name '*regrow*')$(grep -c '^Package: regrow$' "$SCRATCH/db/status" || true)" 0 'nobody knows of it'
}

cd "$SCRATCH"
"$ROOT/scripts/install-docs" "$REGROW" "$SCRATCH/made"
run_case built built
run_case installed installed
run_case removed removed
