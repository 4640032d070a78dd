#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Who calls regrow: scripts/new-cluster makes a cluster, grows and saves it, and continues wherever it was
# killed; the Terraform module of deploy/terraform runs once for each revision, again after a failure,
# and leaves nothing secret in arguments, plan or state.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/githttp.sh"

cd "$SCRATCH"
SECRET=planted-hunter2-secret
HTTP_PASSWORD=$SECRET
export REGROW_GIT_USERNAME=$HTTP_USER REGROW_GIT_PASSWORD=$SECRET
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_CLI_CONFIG_FILE=$SCRATCH/terraform.rc
: >terraform.rc
REGROW_CACHE=$(dirname "$(dirname "$(command -v controlplane)")") # HOME is another one here
export REGROW_CACHE

# What runs in regrow's place: it notes its arguments and its parents', and may end as a killed run does.
wrapper() {
  cat >regrow.sh <<Y
#!/bin/bash
printf '%s\n' "\$1\${2:+ \$2}" >>'$SCRATCH/calls'
pid=\$\$
for i in 1 2 3 4; do
  tr '\0' ' ' </proc/\$pid/cmdline >>'$SCRATCH/arguments'
  echo >>'$SCRATCH/arguments'
  pid=\$(sed 's/.*) . //; s/ .*//' </proc/\$pid/stat)
  ((pid > 1)) || break
done
if [[ -f '$SCRATCH/kill-at' && \$1 == "\$(<'$SCRATCH/kill-at')" ]]; then
  rm '$SCRATCH/kill-at'
  kill -KILL "\$PPID" \$\$
fi
exec '$REGROW' "\$@"
Y
  chmod +x regrow.sh
}
calls() { grep -c "^${1:-}" calls || true; }

publish() { # VERSION
  mkdir -p platform/apps
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {version: "%s"}\n' "$1" >platform/apps/settings.yaml
  COMMIT=$(git_publish platform platform)
}
version() { kubectl get cm settings -o jsonpath='{.data.version}'; }

make_repo() {
  age-keygen -o ann.id 2>/dev/null
  "$REGROW" snapshot init --repo repo --out repo.admin --recipient "$(age-keygen -y ann.id)" --single >init.txt
  PIN=$(sed -n 's/^ *pin //p' init.txt)
  "$REGROW" snapshot key add --repo repo --trust "$PIN" --key repo.admin -i ann.id --role writer --chain prod --out job.key >/dev/null
}
snapshots() { "$REGROW" snapshot list --repo repo --trust "$PIN" -o json | jq '.chains[0].snapshots | length'; }

new() { REGROW=$SCRATCH/regrow.sh "$ROOT/scripts/new-cluster" "$@"; }
new_try() { new try "$ROOT_URL" --repo "$SCRATCH/repo" --key job.key --timeout 60s "$@"; }

# One command that makes clusters; it is not asked twice.
counting() {
  cat >create.sh <<'Y'
#!/bin/sh
echo "create $1" >>calls
if [ -f kill-create ]; then rm kill-create; kill -KILL "$PPID" $$; fi
echo 'what a provider says'
cat kubeconfig-of-try
Y
  chmod +x create.sh
}

default_create() {
  check 'by itself it takes a dev-cluster' new first "$ROOT_URL" --timeout 60s
  like "$("$ROOT/scripts/dev-cluster" list)" 'first.*running' 'which runs'
}

killed_anywhere() {
  local state=$HOME/.local/state/regrow/new-cluster/try
  counting
  : >calls
  touch kill-create
  refuse 'killed while the cluster is made' 137 new_try --create './create.sh "$1"'
  check 'nothing is known yet' test ! -e "$state/kubeconfig"
  echo bootstrap >kill-at
  refuse 'killed when the bootstrap begins' 137 new_try --create './create.sh "$1"'
  is "$(calls create)" 2 'it was asked again, since it had been killed'
  echo snapshot >kill-at
  refuse 'killed when the snapshot begins' 137 new_try --create './create.sh "$1"'
  is "$(version)" 1 'the cluster is grown'
  OUT=$(new_try --create './create.sh "$1"' 2>&1)
  like "$OUT" 'try is up.*export KUBECONFIG=' 'the same command, and it is done'
  is "$(calls create) $(calls snapshot)" '2 2' 'the cluster was made once'
  is "$(snapshots)" 1 'one snapshot is there'
  check 'again' new_try --create './create.sh "$1"'
  is "$(snapshots)" 1 'and no other one is made'
}

fails_plainly() {
  refuse 'a command that makes nothing' 3 new other "$ROOT_URL" --create 'exit 3'
  like "$OUT" 'making the cluster failed.*run the same command again' 'says so'
  refuse 'one that prints no kubeconfig' 1 new other "$ROOT_URL" --create 'echo nowhere'
  refuse 'a password in the root' 2 new other "https://me:$SECRET@git.example.com/x.git"
  githttp_stop
  refuse 'Git is gone: regrow says so, with its code' 7 new_try
  like "$OUT" 'Failed to connect.*the bootstrap failed \(exit 7\)' 'and which step it was'
  echo 00000000-0000-0000-0000-000000000000 >"$HOME/.local/state/regrow/new-cluster/try/cluster"
  refuse 'the kubeconfig leads to another cluster' 1 new_try
  check 'forgotten' new try --forget
}

tf() { # VERB ARGUMENTS
  local verb=$1
  shift
  terraform -chdir=tf "$verb" -no-color "$@"
}
apply() { tf apply -auto-approve -input=false -var "revision=$COMMIT" "$@"; }

configuration() {
  mkdir -p tf
  cat >tf/main.tf <<Y
variable "revision" {
  type = string
}
variable "root" {
  type    = string
  default = "$ROOT_URL"
}
variable "timeout" {
  type    = string
  default = "60s"
}
module "platform" {
  source     = "$ROOT/deploy/terraform"
  root       = var.root
  revision   = var.revision
  kubeconfig = "$KUBECONFIG"
  regrow     = "$SCRATCH/regrow.sh"
  timeout    = var.timeout
  snapshots  = { repo = "$SCRATCH/repo", key_file = "$SCRATCH/job.key", trust = "$PIN" }
}
output "ready" {
  value = module.platform.ready
}
Y
}

terraforming() {
  local before count
  configuration
  # Nothing is fetched: there is nowhere to fetch from.
  check 'init, without a network' env HTTPS_PROXY=http://127.0.0.1:9 terraform -chdir=tf init -no-color
  check 'validate' tf validate
  count=$(snapshots)
  : >calls
  check 'apply' apply
  is "$(calls bootstrap) $(calls snapshot)" '1 1' 'ran both, once'
  before=$(tf output -raw ready)
  OUT=$(apply)
  like "$OUT" '0 added, 0 changed, 0 destroyed' 'apply again: nothing to do'
  is "$(calls)" 2 'and nothing ran'
  publish 2
  check 'another revision' apply
  is "$(version) $(calls bootstrap)" '2 2' 'runs it again'
  isnt "$(tf output -raw ready)" "$before" 'what depends on it knows'
  publish 3
  githttp_stop
  refuse 'Git is gone: apply fails' 1 apply
  like "$OUT" 'Failed to connect' "with regrow's own message"
  like "$OUT" 'exit status 7' 'and its exit code'
  githttp_again
  check 'the next apply goes on' apply
  is "$(version)" 3 'to the end'
  is "$(snapshots)" $((count + 3)) 'there is a snapshot of each revision'
  refuse 'a password in the root' 1 tf plan -input=false -var "revision=$COMMIT" -var root=https://me:pw@git.example.com/x.git
  like "$OUT" 'holds a password' 'is refused by name'
  refuse 'a branch for a revision' 1 tf plan -input=false -var revision=main
  refuse 'a time that is none' 1 tf plan -input=false -var "revision=$COMMIT" -var timeout=soon
  check 'a plan in a file' tf plan -input=false -out=plan.bin -var "revision=$COMMIT"
  check 'destroy' tf destroy -auto-approve -input=false -var "revision=$COMMIT"
  is "$(version)" 3 'leaves the cluster alone'
}

nothing_secret() {
  isnt "$(grep -c . arguments)" 0 'arguments were looked at'
  is "$(grep -c -F "$SECRET" arguments || true)" 0 'the password is in no argument'
  is "$(grep -rlF "$SECRET" "$HOME/.local/state/regrow/new-cluster" || true)" '' 'nor in a state'
}
nothing_secret_in_a_plan() {
  is "$(grep -rlF "$SECRET" tf || true)" '' 'nor in a state or a plan'
  # A plan is a zip file.
  python3 -c 'import sys, zipfile; z = zipfile.ZipFile("tf/plan.bin"); [sys.stdout.buffer.write(z.read(n)) for n in z.namelist()]' >plan.all
  check 'the plan was looked into' grep -qaF platform.git plan.all
  is "$(grep -caF -e "$SECRET" -e "$(jq -r .seed job.key)" plan.all || true)" 0 'nor inside the plan'
  is "$(grep -rlF "$(jq -r .seed job.key)" tf || true)" '' 'nor the key of the job'
}

githttp_start
PATH=$SCRATCH:$PATH
publish 1
ROOT_URL=$HTTP_URL/auth/git/platform.git//apps?ref=main
wrapper
make_repo
export KUBECONFIG=$HOME/.local/state/regrow/clusters/first/kubeconfig
at_exit controlplane down "${KUBECONFIG%/*}"
run_case 'new-cluster' default_create
echo "$KUBECONFIG" >kubeconfig-of-try
run_case 'new-cluster, killed' killed_anywhere
run_case 'new-cluster, failures' fails_plainly
port_open "${HTTP_URL##*:}" || githttp_again
if command -v terraform >/dev/null; then
  run_case terraform terraforming
  run_case 'nothing secret in a plan' nothing_secret_in_a_plan
else
  skip terraform 'it is not installed'
fi
run_case 'nothing secret' nothing_secret
