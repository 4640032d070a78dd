#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# Credentials: Argo CD's repository Secrets, from Git and from the cluster, and what goes before and
# after them; each kind against a server that wants it. Nothing of them is ever shown.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/githttp.sh"
. "$LIB/gitssh.sh"
. "$LIB/charts.sh"
. "$LIB/slowhttp.sh"

export XDG_CACHE_HOME=$SCRATCH/cache
REPO=$SCRATCH/repo
TOKEN=tok-0123456789abcdef
# What must be in no output: the password, the token, and a line of every private key.
NEVER="$HTTP_PASSWORD|correct%20|$(base64 -w0 <<<"$HTTP_PASSWORD" | head -c 16)|$TOKEN|PRIVATE KEY"

application() { # NAME SOURCE [PROJECT [NAMESPACE]]
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: ${3:-default}
  destination: {server: https://kubernetes.default.svc, namespace: ${4:-web}}
  source: {$2}
Y
}

secret() { # NAME TYPE FIELDS...
  local name=$1 type=$2 line
  shift 2
  printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: argocd\n' "$name"
  printf '  labels: {argocd.argoproj.io/secret-type: %s}\nstringData:\n' "$type"
  for line in "$@"; do
    printf '  %s\n' "$line"
  done
}

block() { printf '%s: |\n%s' "$1" "$(sed 's/^/    /' "$2")"; } # KEY FILE

repository() { # NAME
  rm -rf "$SCRATCH/one"
  mkdir -p "$SCRATCH/one"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: read-%s}\n' "$1" >"$SCRATCH/one/cm.yaml"
  git_publish "$SCRATCH/one" "$1" >/dev/null
}

begin() { rm -rf "$REPO/root" "$XDG_CACHE_HOME" && mkdir -p "$REPO/root"; }
to() { cat >"$REPO/root/$1.yaml"; }
root() { echo "$HTTP_URL/git/repo.git//root?ref=main"; }
publish() { git_publish "$REPO" repo >/dev/null; }

# reads NAME WANT [ARGS]: the ConfigMaps that are read from child repositories
reads() {
  local name=$1 want=$2 out
  shift 2
  publish
  out=$("$REGROW" render "$@" "$(root)" 2>"$SCRATCH/stderr" || true)
  is "$(grep -oE 'name: read-[a-z0-9-]+' <<<"$out" | sed 's/name: read-//' | sort -u | tr '\n' ' ')" \
    "$want" "$name"
  # Rendered Secrets are what was asked for; everything else must be silent about them.
  unlike "$("$REGROW" plan -o json "$@" "$(root)" 2>&1 || true)$(cat "$SCRATCH/stderr")" "$NEVER" \
    "$name: nothing of it is shown"
}

basic() {
  local auth=$HTTP_URL/auth/git
  repository private
  begin
  application one "repoURL: $auth/private.git, path: ." | to one
  reads 'without a credential it stays unknown' ''
  like "$("$REGROW" plan "$(root)" 2>&1 || true)" 'access denied' 'and says so'
  secret s repository "url: $auth/private" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  reads 'a repository Secret among the objects of the root' 'private '
  secret s repo-creds "url: $HTTP_URL/auth" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  secret t repo-creds "url: $HTTP_URL" 'username: wrong' 'password: wrong' | to t
  reads 'of two prefixes the longer one' 'private '
  secret t repository "url: $auth/private.git" 'type: git' | to t
  reads 'a repository without one of its own' 'private '
  application one "repoURL: http://$HTTP_USER:correct%20horse%3A1@${auth#http://}/private.git, path: ." | to one
  rm "$REPO"/root/[st].yaml
  reads 'a password in the URL' 'private '
  application one "repoURL: http://$HTTP_USER:correct%20horse%3A1@${auth#http://}/none.git, path: ." | to one
  reads 'and of a repository that is not there' ''
  application one "repoURL: $auth/private.git, path: ." | to one
  secret s repo-creds "url: ${HTTP_URL%?}" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  reads 'a prefix of a host is another host' ''
}

projects() {
  local auth=$HTTP_URL/auth/git
  begin
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd}\nspec:\n  sourceRepos: ["*"]\n  destinations: [{server: "*", namespace: "*"}]\n' | to team
  repository shared
  secret s repository "url: $auth/private" 'project: team' "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  application in "repoURL: $auth/private.git, path: ." team | to in
  application out "repoURL: $auth/private.git, path: ." default other | to out
  publish
  is "$("$REGROW" plan -o json "$(root)" | jq -r '[.applications[] | select(.state == "unknown") | .name] | join(" ")')" \
    out 'a Secret of a project is for its applications'
}

siblings() {
  local auth=$HTTP_URL/auth/git
  begin
  mkdir -p "$REPO/argo"
  secret s repo-creds "url: $HTTP_URL/auth" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" >"$REPO/argo/s.yaml"
  application argo "repoURL: $HTTP_URL/git/repo.git, path: argo" default argocd | to zz-argo
  application one "repoURL: $auth/private.git, path: ." | to one
  reads 'a Secret that a neighbour brings' 'private '
  # Whoever may not write to Argo CD's namespace hands out no credentials.
  printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd}\nspec:\n  sourceRepos: ["*"]\n  destinations: [{server: "*", namespace: team}]\n' | to team
  application argo "repoURL: $HTTP_URL/git/repo.git, path: argo" team team | to zz-argo
  reads 'but not one whose project may not' ''
  rm -rf "$REPO/argo"
}

kinds() {
  local bearer mutual url
  begin
  slow_start bearer --bearer "$TOKEN"
  bearer=$SLOW_PORT
  repository by-token
  application token "repoURL: http://127.0.0.1:$bearer/git/by-token.git, path: ." | to token
  secret token repository "url: http://127.0.0.1:$bearer/git/by-token.git" "bearerToken: $TOKEN" | to token-secret
  reads 'a bearer token' 'by-token '
  slow_stop bearer

  begin
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=client \
    -keyout "$SCRATCH/client.key" -out "$SCRATCH/client.crt" 2>/dev/null
  slow_start mutual --tls "$SCRATCH/tls/server.pem" --client-ca "$SCRATCH/client.crt"
  mutual=https://localhost:$SLOW_PORT
  repository by-cert
  application cert "repoURL: $mutual/git/by-cert.git, path: ." | to cert
  secret cert repository "url: $mutual/git/by-cert.git" "$(block tlsClientCertData "$SCRATCH/client.crt")" \
    "$(block tlsClientCertKey "$SCRATCH/client.key")" | to cert-secret
  reads 'a client certificate, of a server nobody vouches for' ''
  { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-tls-certs-cm, namespace: argocd}\ndata:\n'
    printf '  %s\n' "$(block localhost "$CA_CERT")"; } | to roots
  reads 'with argocd-tls-certs-cm' 'by-cert '
  rm "$REPO/root/roots.yaml"
  secret cert repository "url: $mutual/git/by-cert.git" 'insecure: "true"' \
    "$(block tlsClientCertData "$SCRATCH/client.crt")" "$(block tlsClientCertKey "$SCRATCH/client.key")" | to cert-secret
  reads 'or where it is declared insecure' 'by-cert '
  slow_stop mutual
}

keys() {
  begin
  gitssh_start
  repository by-key
  application key "repoURL: \"$SSH_URL/by-key.git\", path: ." | to key
  secret key repo-creds "url: \"${SSH_URL%/*}\"" "$(block sshPrivateKey "$SSH_KEY")" | to key-secret
  reads 'an ssh key, of a host nobody knows' ''
  like "$("$REGROW" plan "$(root)" 2>&1 || true)" 'host key is not known' 'and says so'
  { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-ssh-known-hosts-cm, namespace: argocd}\ndata:\n'
    printf '  %s\n' "$(block ssh_known_hosts "$SSH_KNOWN_HOSTS")"; } | to hosts
  reads 'with argocd-ssh-known-hosts-cm' 'by-key '
  reads 'a file of known hosts goes before it' '' --known-hosts "$SSH_WRONG_HOSTS"
  secret key repo-creds "url: \"${SSH_URL%/*}\"" "$(block sshPrivateKey "$SSH_STRANGER_KEY")" | to key-secret
  reads 'a key the server does not know' ''
  printf -- '- {url: "%s", sshKeyFile: %s}\n' "${SSH_URL%/*}" "$SSH_KEY" >"$SCRATCH/file"
  reads 'a file goes before Secrets' 'by-key ' --credentials "$SCRATCH/file"
  gitssh_stop
}

charts() {
  local url
  begin
  mkdir -p "$SCRATCH/web/templates"
  printf 'apiVersion: v2\nname: web\nversion: 1.2.3\n' >"$SCRATCH/web/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: read-chart}\n' >"$SCRATCH/web/templates/cm.yaml"
  charts_package "$SCRATCH/web" private >/dev/null
  charts_index private >/dev/null
  url=$HTTP_URL/auth/files/charts/private
  application helm "repoURL: $url, chart: web, targetRevision: 1.x" | to helm
  reads 'a Helm repository that wants a password' ''
  secret helm repository "url: $url" 'type: helm' "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to helm-secret
  reads 'gets it' 'chart '
  begin
  oci_start --tls --auth
  oci_push "$(charts_package "$SCRATCH/web" oci)" 2>/dev/null
  application oci "repoURL: $OCI_HOST/charts, chart: web, targetRevision: 1.2.3" | to oci
  secret oci repository "url: $OCI_HOST/charts" 'type: helm' 'enableOCI: "true"' \
    "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to oci-secret
  reads 'a registry, as Helm repository with enableOCI' 'chart ' --ca-file "$CA_CERT"
  application oci "repoURL: oci://$OCI_HOST/charts/web, path: ., targetRevision: 1.2.3" | to oci
  secret oci repo-creds "url: oci://$OCI_HOST" 'type: oci' "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to oci-secret
  reads 'a registry by oci://' 'chart ' --ca-file "$CA_CERT"
  oci_stop
}

# users: who was tried, in order
users() { awk '{print $3}' "$SCRATCH/watched.requests" | uniq | tr '\n' ' '; }

precedence() {
  local url
  begin
  slow_start watched
  url=http://127.0.0.1:$SLOW_PORT
  application one "repoURL: $url/auth/git/private.git, path: ." | to one
  secret s repo-creds "url: $url" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  printf -- '- {url: "%s", username: of-file, password: wrong}\n' "$url" >"$SCRATCH/file"
  reads 'a credential that is refused gives way to the next' 'private ' --credentials "$SCRATCH/file"
  : >"$SCRATCH/watched.requests"
  publish
  REGROW_GIT_USERNAME=of-env REGROW_GIT_PASSWORD=wrong "$REGROW" render --credentials "$SCRATCH/file" \
    "$url/git/repo.git//root" >/dev/null
  is "$(users)" "of-file of-env $HTTP_USER " 'file, environment, Secret' ||
    cat "$SCRATCH/watched.requests"
  # Git's own helpers come last, once for each repository, and only where they are wanted.
  rm "$REPO/root/s.yaml"
  cat >>"$HOME/.gitconfig" <<Y
[credential]
  helper = "!f() { cat >>$SCRATCH/asked; echo >>$SCRATCH/asked \$1; echo username=$HTTP_USER; echo 'password=$HTTP_PASSWORD'; }; f"
Y
  reads 'helpers are not asked unless it is said' ''
  check 'nor run' test ! -e "$SCRATCH/asked"
  reads 'with --git-credentials they are' 'private ' --git-credentials
  is "$(grep -c '^get$' "$SCRATCH/asked")" 2 'once in each run'
  like "$(cat "$SCRATCH/asked")" "protocol=http.*host=127.0.0.1:$SLOW_PORT" 'about that host'
  printf '[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n' >"$HOME/.gitconfig"
  reads 'a helper that knows nothing' '' --git-credentials
  printf 'machine 127.0.0.1 login %s password "%s"\n' "$HTTP_USER" "$HTTP_PASSWORD" >"$HOME/.netrc"
  chmod 600 "$HOME/.netrc"
  reads 'a .netrc' 'private ' --git-credentials
  rm "$HOME/.netrc"
  slow_stop watched
}

clusters_set() {
  cat <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: hubs, namespace: argocd}
spec:
  generators: [{clusters: {selector: {matchLabels: {env: prod}}}}]
  template:
    metadata: {name: 'for-{{name}}'}
    spec:
      project: default
      source: {repoURL: '{{metadata.annotations.repo}}', path: .}
      destination: {server: '{{server}}', namespace: web}
Y
}

in_cluster() {
  local token
  begin
  application one "repoURL: $HTTP_URL/auth/git/private.git, path: ." | to one
  kubectl create namespace argocd >/dev/null
  secret live repo-creds "url: $HTTP_URL/auth" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" |
    kubectl apply -f - >/dev/null
  reads 'a Secret that lives in the cluster' 'private ' --use-cluster
  reads 'is not seen without it' ''
  secret old repository "url: $HTTP_URL/auth/git/private" 'username: old' 'password: old' | kubectl apply -f - >/dev/null
  secret new repository "url: $HTTP_URL/auth/git/private" "username: $HTTP_USER" "password: \"$HTTP_PASSWORD\"" | to s
  reads 'one that was changed in Git since' 'private ' --use-cluster
  rm "$REPO"/root/*.yaml
  secret hub cluster 'name: hub' 'server: https://kubernetes.default.svc' "config: '{\"bearerToken\":\"$TOKEN\"}'" |
    sed 's/^  labels: {/&env: prod, /' | kubectl apply -f - >/dev/null
  kubectl annotate secret hub -n argocd "repo=$HTTP_URL/git/shared.git" >/dev/null
  clusters_set | to set
  reads 'a cluster that is registered there, by its labels and annotations' 'shared ' --use-cluster
  reads 'without the cluster nothing matches' ''
  secret hub cluster 'name: other' 'server: https://elsewhere:6443' | sed 's/^  labels: {/&env: prod, /' | to hub
  publish
  like "$("$REGROW" plan "$(root)")" 'for-other .*for another cluster: https://elsewhere:6443' 'one that is registered in Git'
  # Who may not read them goes on without.
  kubectl create serviceaccount poor >/dev/null
  token=$(kubectl create token poor)
  rm "$REPO"/root/*.yaml
  jq --arg token "$token" '.users[0].user = {token: $token}' "$KUBECONFIG" >"$SCRATCH/poor"
  application two "repoURL: $HTTP_URL/git/shared.git, path: ." | to two
  is "$(KUBECONFIG=$SCRATCH/poor kubectl get secrets -n argocd 2>&1 | grep -c orbidden)" 1 'somebody poor'
  KUBECONFIG=$SCRATCH/poor reads 'who may not read Secrets goes on without' 'shared ' --use-cluster
}

githttp_start
run_case basic basic
run_case projects projects
run_case siblings siblings
run_case kinds kinds
run_case keys keys
run_case charts charts
run_case precedence precedence
cluster_up main
run_case 'in the cluster' in_cluster
