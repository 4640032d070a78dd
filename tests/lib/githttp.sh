# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Git repositories, and plain files, over real HTTP and HTTPS: lighttpd with git-http-backend.
# After env.sh.
#
#   githttp_start     sets HTTP_URL and HTTPS_URL (the server), CA_CERT (who signed its
#                     certificate, for localhost and 127.0.0.1), GIT_ROOT (folder of the bare
#                     repositories), FILES_ROOT. Paths of the server:
#                       /git/NAME.git        /files/PATH        for everybody
#                       /auth/git/NAME.git   /auth/files/PATH   with HTTP_USER and HTTP_PASSWORD
#   githttp_stop, githttp_again   end it and begin again on the same ports
#   githttp_log       what was asked, a line each: METHOD PATH?QUERY PROTOCOL STATUS
#   git_publish FOLDER NAME [MESSAGE]   FOLDER as the next commit of main in NAME.git; prints its id.
#                     Author and dates depend on the number of the commit only, so the same
#                     content has the same id in every run.
#   git_tag NAME TAG [COMMIT]

HTTP_USER=deploy
HTTP_PASSWORD='correct horse:1'
GIT_ROOT=$SCRATCH/git
FILES_ROOT=$SCRATCH/files
CA_CERT=$SCRATCH/tls/ca.crt
mkdir -p "$GIT_ROOT" "$FILES_ROOT"

# tls_make [NAMES]: an authority and a certificate of its own, in $SCRATCH/tls, for localhost
# and further NAMES ("DNS:hook.default.svc,IP:10.0.0.1")
tls_make() {
  local dir=$SCRATCH/tls
  [[ ! -f $dir/server.pem ]] || return 0
  mkdir -p "$dir"
  (
    cd "$dir" || exit
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
      -subj '/CN=regrow test authority' -keyout ca.key -out ca.crt \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
      -subj '/CN=localhost' -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1%s\nextendedKeyUsage=serverAuth\n' "${1:+,$1}" \
      >server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
      -extfile server.ext -out server.crt
    cat server.key server.crt >server.pem
  ) >"$dir/log" 2>&1
}

githttp_start() {
  local dir=$SCRATCH/http port tls_port
  tls_make
  mkdir -p "$dir"
  port=$(free_port)
  tls_port=$(free_port)
  printf '%s:%s\n' "$HTTP_USER" "$HTTP_PASSWORD" >"$dir/users"
  githttp_config "$dir" "$port" "$tls_port" >"$dir/lighttpd.conf"
  HTTP_URL=http://127.0.0.1:$port
  HTTPS_URL=https://localhost:$tls_port
  githttp_again
}

githttp_again() {
  local port=${HTTP_URL##*:}
  spawn lighttpd lighttpd -D -f "$SCRATCH/http/lighttpd.conf"
  wait_for 10 "lighttpd on port $port" port_open "$port"
}

githttp_stop() { stop lighttpd; }

# The server keeps lines back until it is told to open its log anew.
githttp_log() {
  kill -HUP "$(pid_of lighttpd)" 2>/dev/null || true
  sleep 0.3
  grep -v "^PRI " "$SCRATCH/http/access.log" || true
}

githttp_config() { # DIR PORT TLS_PORT
  local backend
  backend=$(git --exec-path)/git-http-backend
  cat <<EOF
server.document-root = "$FILES_ROOT"
server.bind = "127.0.0.1"
server.port = $2
server.modules = ("mod_alias", "mod_setenv", "mod_auth", "mod_authn_file", "mod_accesslog",
  "mod_openssl", "mod_cgi")
server.errorlog = "$1/error.log"
accesslog.filename = "$1/access.log"
accesslog.format = "%r %s"
mimetype.assign = (".yaml" => "application/yaml", "" => "application/octet-stream")
server.stream-response-body = 1
server.stat-cache-engine = "disable" # else a file that was replaced is served as it was, for two seconds
\$SERVER["socket"] == "127.0.0.1:$3" {
  ssl.engine = "enable"
  ssl.pemfile = "$SCRATCH/tls/server.pem"
}
auth.backend = "plain"
auth.backend.plain.userfile = "$1/users"
\$HTTP["url"] =~ "^/auth/" {
  auth.require = ("" => ("method" => "basic", "realm" => "test", "require" => "valid-user"))
}
alias.url = ("/auth/git/" => "$backend/", "/git/" => "$backend/",
  "/auth/files/" => "$FILES_ROOT/", "/files/" => "$FILES_ROOT/")
\$HTTP["url"] =~ "^/(auth/)?git/" {
  cgi.assign = ("" => "")
  setenv.set-environment = ("GIT_PROJECT_ROOT" => "$GIT_ROOT", "GIT_HTTP_EXPORT_ALL" => "1",
    "HOME" => "$HOME", "GIT_CONFIG_NOSYSTEM" => "1")
}
EOF
}

# git_quiet REPOSITORY ARGS...: git there, as an author who never changes, at times that never change
# (from GIT_BEGAN on)
git_quiet() {
  local repo=$1 count stamp
  shift
  count=$(git --git-dir="$repo" rev-list --count --all 2>/dev/null || echo 0)
  stamp="$((${GIT_BEGAN:-1767225600} + 60 * count)) +0000"
  GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_AUTHOR_DATE=$stamp \
    GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org GIT_COMMITTER_DATE=$stamp \
    git --git-dir="$repo" -c core.autocrlf=false "$@"
}

git_publish() {
  local folder=$1 message=${3:-Change $2} repo=$GIT_ROOT/$2.git index tree parent=() commit
  if [[ ! -d $repo ]]; then
    git init -q --bare "$repo"
    git --git-dir="$repo" config uploadpack.allowFilter true
    git --git-dir="$repo" config uploadpack.allowAnySHA1InWant true
  fi
  index=$SCRATCH/run/index-$BASHPID
  rm -f "$index"
  GIT_INDEX_FILE=$index git_quiet "$repo" --work-tree="$folder" add -A -f .
  tree=$(GIT_INDEX_FILE=$index git_quiet "$repo" write-tree)
  rm -f "$index"
  if git --git-dir="$repo" rev-parse -q --verify refs/heads/main >/dev/null; then
    parent=(-p refs/heads/main)
  fi
  commit=$(git_quiet "$repo" commit-tree "$tree" "${parent[@]}" -m "$message")
  git --git-dir="$repo" update-ref refs/heads/main "$commit"
  echo "$commit"
}

git_tag() { git_quiet "$GIT_ROOT/$1.git" tag -f -a -m "$2" "$2" "${3:-main}" >/dev/null; }
