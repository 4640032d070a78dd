# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The repositories of githttp.sh over real ssh. After env.sh and githttp.sh.
#
#   gitssh_start   sets SSH_URL (ssh://user@127.0.0.1:port/folder; append /NAME.git), SSH_KEY,
#                  SSH_KNOWN_HOSTS, SSH_WRONG_HOSTS (another key for the same host),
#                  SSH_STRANGER_KEY (a key the server does not know), and SSH_COMMAND, which
#                  makes git itself use key and hosts: GIT_SSH_COMMAND=$SSH_COMMAND git clone ...
#   gitssh_stop    end it
#
# The user is whoever runs the test; the key may run nothing but Git's own commands.

gitssh_start() {
  local dir=$SCRATCH/ssh port key user
  mkdir -p "$dir"
  port=$(free_port)
  user=$(id -un)
  for key in host other-host user stranger; do
    ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$dir/$key"
  done
  # shellcheck disable=SC2016 # sshd's shell expands it
  printf 'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" %s\n' "$(cat "$dir/user.pub")" \
    >"$dir/authorized_keys"
  cat >"$dir/sshd_config" <<EOF
ListenAddress 127.0.0.1
Port $port
HostKey $dir/host
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AuthorizedKeysFile $dir/authorized_keys
AcceptEnv GIT_PROTOCOL
EOF
  # Run as root, sshd wants the folder its system service would have made.
  [[ $(id -u) != 0 ]] || mkdir -p /run/sshd
  spawn sshd "$(command -v sshd)" -D -e -f "$dir/sshd_config"
  wait_for 10 "sshd on port $port" port_open "$port"
  SSH_KEY=$dir/user
  SSH_STRANGER_KEY=$dir/stranger
  SSH_KNOWN_HOSTS=$dir/known_hosts
  SSH_WRONG_HOSTS=$dir/wrong_hosts
  printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$dir/host.pub")" >"$SSH_KNOWN_HOSTS"
  printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$dir/other-host.pub")" >"$SSH_WRONG_HOSTS"
  SSH_URL=ssh://$user@127.0.0.1:$port$GIT_ROOT
  SSH_COMMAND="ssh -F none -i $SSH_KEY -o IdentitiesOnly=yes -o UserKnownHostsFile=$SSH_KNOWN_HOSTS"
  SSH_COMMAND+=" -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes -o BatchMode=yes"
}

gitssh_stop() { stop sshd; }
