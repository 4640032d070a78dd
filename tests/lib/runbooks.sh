# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Follows the pages of docs/runbooks as a person does: the fenced sh blocks of a page in their order,
# with the variables that the table at its top names and no others, in a folder of the page's own.
# What a block assigns the later ones have. After env.sh.
#
#   page NAME               begins docs/runbooks/NAME.md
#   block WORDS [ANSWER..]  runs its next block, which must contain WORDS. It must end as the page says
#                           (0, or N where the fence is "```sh exit=N") and print what the text block
#                           after it shows. OUT has what it printed. With ANSWERs it runs at a terminal,
#                           and they are typed there
#   page_ends               no block is left
#   pages_end               every page there is was followed to its end, and is in the index
#
# A variable of the table is taken from the test's own of that name, exported or not.

RUNBOOKS=$ROOT/docs/runbooks
declare -A page_given

page() {
  PAGE=$1
  page_dir=$SCRATCH/runbooks/$1
  page_at=0
  rm -rf "$page_dir"
  mkdir -p "$page_dir/work" "$page_dir/bin"
  ln -s "$REGROW" "$page_dir/bin/regrow"
  page_given=()
  page_blocks=$("$LIB/runbooks.py" parts "$RUNBOOKS/$1.md" "$page_dir")
  isnt "$page_blocks" 0 "$1.md has blocks"
  is "$("$LIB/runbooks.py" unnamed "$page_dir")" '' "$1.md names every variable at its top"
}

# What a block assigned and where it went is kept, also when it fails: at a prompt it would be. What the
# test has set since then comes on top.
page_script() { # BLOCK
  local v
  printf '%s\n' "cd '$page_dir/work'" "[ ! -f '$page_dir/state' ] || . '$page_dir/state'"
  while read -r v; do
    [[ -n ${!v+x} && ${page_given[$v]-} != "${!v}" ]] || continue
    printf 'export %s=%q\n' "$v" "${!v}"
  done <"$page_dir/variables"
  printf '%s\n' 'set -aeuo pipefail' \
    "trap 'status=\$?; { export -p; pwd | sed \"s/.*/cd \\x27&\\x27/\"; } >\"$page_dir/state\"; exit \$status' EXIT" ". '$1'"
}

block() {
  local words=$1 file name run v status=0 want missing
  shift
  page_at=$((page_at + 1))
  file=$page_dir/$(printf '%02d' "$page_at")
  name="$PAGE.md, block $page_at ($words)"
  if ! grep -qsF -- "$words" "$file.sh"; then
    fail "$name" "the page has there:"$'\n'"$(cat "$file.sh" 2>&1)"
    return 1
  fi
  page_script "$file.sh" >"$file.run"
  while read -r v; do page_given[$v]=${!v-}; done <"$page_dir/variables"
  run=(env -i "HOME=$HOME" "PATH=$page_dir/bin:$PATH" LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 bash "$file.run")
  (($# == 0)) || run=(python3 "$LIB/ptyrun.py" "$@" -- "${run[@]}")
  OUT=$(timeout 90 "${run[@]}" 2>&1 </dev/null) || status=$?
  want=$(<"$file.exit")
  if [[ $status != "$want" ]]; then
    fail "$name" "exit code $status, wanted $want, of:"$'\n'"$(<"$file.sh")"$'\n'"$OUT"
    return 1
  fi
  ok "$name"
  [[ -f $file.text ]] || return 0
  missing=$("$LIB/runbooks.py" shows "$file.text" <<<"$OUT")
  if [[ -z $missing ]]; then
    ok "$name: shows what the page says"
  else
    fail "$name: shows what the page says" "no such line, or not there: $missing"$'\n'"$OUT"
  fi
}

page_ends() {
  is "$page_at" "$page_blocks" "$PAGE.md: every block was run"
  touch "$page_dir/ended"
}

pages_end() {
  local file name
  for file in "$RUNBOOKS"/*.md; do
    name=$(basename "$file" .md)
    [[ $name != README ]] || continue
    check "$name.md was followed to its end" test -f "$SCRATCH/runbooks/$name/ended"
    check "$name.md is in the index" grep -qF "($name.md)" "$RUNBOOKS/README.md"
  done
}
