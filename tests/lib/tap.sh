# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Counting what holds. Loaded by env.sh, which prints the last line, "# N passed, N failed", when
# the file ends, and makes it end with 1 if anything failed, if it stopped early by an error, or
# if nothing was checked at all.
#
#   ok NAME                        it holds
#   fail NAME [DETAIL]             it does not
#   is GOT WANT NAME               strings are equal
#   isnt GOT UNWANTED NAME
#   like GOT REGEX NAME            bash's extended regular expressions
#   unlike GOT REGEX NAME
#   at_most GOT LIMIT NAME         whole numbers
#   check NAME COMMAND...          it succeeds (its output is shown if not)
#   refuse NAME CODE COMMAND...    it ends with exit code CODE; OUT holds what it printed
#   skip NAME WHY                  cannot be tested here
#   skip_all WHY                   end the file; nothing of it can be tested here
#                                  TAP_LINES (40) lines of a detail are shown
#   run_case NAME FUNCTION [ARGS]  in a subshell with set -e: a command that fails ends the case,
#                                  not the file. CASE in the environment picks cases by regex.
#
# Results are kept in a file, so that they count from subshells too.

tap_file=$SCRATCH/run/tap
: >"$tap_file"
tap_case=

tap_result() { # ok|"not ok" NAME
  local n
  n=$(($(wc -l <"$tap_file") + 1))
  printf '%s\n' "$1" >>"$tap_file"
  printf '%s %d - %s%s\n' "$1" "$n" "${tap_case:+$tap_case: }" "$2"
}

tap_detail() {
  [[ -z $1 ]] || sed -n "1,${TAP_LINES:-40}s/^/#   /p" <<<"$1"
}

ok() { tap_result ok "$1"; }
fail() {
  tap_result 'not ok' "$1"
  tap_detail "${2:-}"
}
skip() { tap_result 'ok # SKIP' "$1 ($2)"; }
skip_all() {
  skip "${0##*/}" "$1"
  exit 0
}

is() {
  if [[ $1 == "$2" ]]; then ok "$3"; else fail "$3" "got:    $1"$'\n'"wanted: $2"; fi
}
isnt() {
  if [[ $1 != "$2" ]]; then ok "$3"; else fail "$3" "got:    $1"; fi
}
like() {
  if [[ $1 =~ $2 ]]; then ok "$3"; else fail "$3" "got:    $1"$'\n'"wanted: $2"; fi
}
unlike() {
  if [[ $1 =~ $2 ]]; then fail "$3" "got:      $1"$'\n'"unwanted: $2"; else ok "$3"; fi
}
at_most() {
  if (($1 <= $2)); then ok "$3"; else fail "$3" "got:     $1"$'\n'"at most: $2"; fi
}

check() {
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then ok "$name"; else fail "$name" "exit code $? of: $*"$'\n'"$out"; fi
}

refuse() {
  local name=$1 want=$2 got=0
  shift 2
  OUT=$("$@" 2>&1) || got=$?
  if [[ $got == "$want" ]]; then ok "$name"; else fail "$name" "exit code $got, wanted $want, of: $*"$'\n'"$OUT"; fi
}

# Not to be called in a condition: bash would switch set -e off inside.
run_case() {
  local name=$1 status before
  shift
  if [[ -n ${CASE:-} && ! $name =~ $CASE ]]; then
    return 0
  fi
  before=$(wc -l <"$tap_file")
  set +e
  (
    set -e
    tap_case=$name
    "$@"
  )
  status=$?
  set -e
  if ((status != 0)); then
    fail "$name: ended with $status"
  elif [[ $(wc -l <"$tap_file") == "$before" ]]; then
    fail "$name: checked nothing"
  fi
}

# tap_count reads the results before the scratch folder goes.
tap_count() {
  tap_passed=$(grep -c '^ok$' "$tap_file" || true)
  tap_failed=$(grep -c '^not ok$' "$tap_file" || true)
  tap_skipped=$(grep -c SKIP "$tap_file" || true)
}

tap_finish() { # STATUS of the file
  local also=
  if (($1 != 0)); then
    printf 'not ok - %s stopped early with %d\n' "${0##*/}" "$1"
    tap_failed=$((tap_failed + 1))
  elif ((tap_passed + tap_failed + tap_skipped == 0)); then
    printf 'not ok - %s checked nothing\n' "${0##*/}"
    tap_failed=1
  fi
  ((tap_skipped == 0)) || also=", $tap_skipped skipped"
  printf '# %d passed, %d failed%s\n' "$tap_passed" "$tap_failed" "$also"
  exit $((tap_failed > 0))
}
