# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The Application layer of the large repository, which needs no rendering. After env.sh.
#
#   layer_make DIR   all its 1,190 Applications as a ROOT: the words in <> replaced as its own tool would,
#                    and each with a name of its own, for there they belong to 17 platforms

layer_make() {
  local out=$1
  mkdir -p "$out"
  (cd "$REGROW_SHARED/repos/kubefirst-gitops-template/tree" && grep -rlE '^kind: Application$' . | sort | xargs awk -v out="$out" '
    FNR == 1 { close(f); f = sprintf("%s/%04d.yaml", out, ++n); is_named = 0 }
    /<CERT_MANAGER_ISSUER_ANNOTATION_[2-4]>/ { next }
    { gsub(/<CERT_MANAGER_ISSUER_ANNOTATION_1>/, "cert-manager.io/cluster-issuer: letsencrypt-prod")
      gsub(/<GITOPS_REPO_URL>/, "https://git.example.com/kubefirst.git") }
    { while (match($0, /<[A-Z][A-Z0-9_]*>/))
        $0 = substr($0, 1, RSTART - 1) tolower(substr($0, RSTART + 1, RLENGTH - 2)) substr($0, RSTART + RLENGTH) }
    /^  name: / && !is_named { is_named = 1; sub(/^  name: ["\x27]?/, "&a" n "-"); gsub(/_/, "-") }
    { print >f }')
}
