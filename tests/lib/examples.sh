# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Runs the examples of --help as they are printed. After env.sh.
#
#   place WORD TEXT     from here on WORD stands for TEXT in every example. Nothing else is replaced
#   example TEXT        runs one that a help prints, in $PLACE; OUT has what it printed. In front of it:
#     at FOLDER           in that folder of $PLACE
#     ends CODE           it ends with CODE and not with 0
#     shows REGEX         and prints that
#     answers WORD        at a terminal, where WORD is typed when it asks
#     until_saw REGEX     it does not end by itself: once it has printed that (or written it to the
#                         file that it names) it is stopped as a service is, and ends with 0 or CODE
#   part FUNCTION       runs it, in this shell; CASE in the environment picks some by regex
#   examples_end        every help has an example, and every example was run

PLACE=$SCRATCH/place
EXAMPLES=$SCRATCH/examples
mkdir -p "$PLACE" "$EXAMPLES"
ln -s "$REGROW" "$EXAMPLES/regrow"
export PATH=$EXAMPLES:$PATH
place_words=() place_texts=()
: >"$EXAMPLES/run"

# Graphviz is a hundred packages. Where it is not, this takes what it would take.
if ! command -v dot >/dev/null; then
  printf '%s\n' '#!/bin/sh' 'graph=$(cat)' 'case $1,$graph in' \
    '-Tsvg,digraph*"}") echo "<svg/>" ;;' '*) echo "no graph: $graph" >&2; exit 1 ;; esac' >"$EXAMPLES/dot"
  chmod +x "$EXAMPLES/dot"
fi

# The tree of commands below COMMAND..., each with its examples, as lines COMMAND<TAB>EXAMPLE; a line
# that goes on is one, and a command without an example is a line without.
examples_of() {
  local help word
  help=$("$REGROW" "$@" --help)
  awk -v command="$*" '/^examples:$/ { on = 1; next }
    on || /^  regrow / {
      sub(/^ +/, "")
      line = line (line == "" ? "" : " ") $0
      if (sub(/ *\\$/, "", line)) next
      print command "\t" line
      line = ""; n++
    }
    END { if (!n) print command }' <<<"$help"
  for word in $(sed '/^options:/,$d' <<<"$help" | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'); do examples_of "$@" "$word"; done
}

place() {
  place_words=("$1" "${place_words[@]}")
  place_texts=("$2" "${place_texts[@]}")
}

# In two steps, so that nothing is found in what took the place of something. The newest place counts.
placed() { # TEXT
  local i text=$1
  for i in "${!place_words[@]}"; do text=${text//"${place_words[i]}"/$'\1'$i$'\2'}; done
  for i in "${!place_words[@]}"; do text=${text//$'\1'$i$'\2'/"${place_texts[i]}"}; done
  printf '%s' "$text"
}

at() { local example_at=$1; shift; "$@"; }
ends() { local example_code=$1; shift; "$@"; }
shows() { local example_shows=$1; shift; "$@"; }
answers() { local example_answer=$1; shift; "$@"; }
until_saw() { local example_until=$1; shift; "$@"; }

example() {
  local text run code=0
  if ! grep -qxF -- "$1" "$EXAMPLES/texts"; then
    fail "$1" 'no help prints this'
    return 0
  fi
  printf '%s\n' "$1" >>"$EXAMPLES/run"
  text=$(placed "$1")
  mkdir -p "$PLACE/${example_at:-.}"
  run=(bash -c "cd '$PLACE/${example_at:-.}' && $text")
  [[ -z ${example_answer:-} ]] || run=(python3 "$LIB/ptyrun.py" "$example_answer" -- "${run[@]}")
  if [[ -n ${example_until:-} ]]; then
    example_watch
  else
    OUT=$(timeout 120 "${run[@]}" 2>&1 </dev/null) || code=$?
  fi
  if [[ $code != "${example_code:-0}" ]]; then
    fail "$1" "exit code $code, wanted ${example_code:-0}, of: $text"$'\n'"$OUT"
  elif [[ -n ${example_shows:-} && ! $OUT =~ $example_shows ]]; then
    fail "$1" "it does not show $example_shows:"$'\n'"$OUT"
  else
    ok "$1"
  fi
}

# What an example that goes on has said so far, in its file or here.
example_said() { grep -qsE -- "$example_until" "$EXAMPLES/said" "$PLACE"/*.ndjson; }

example_pid=
example_reap() { [[ -z $example_pid ]] || kill -KILL "$example_pid" 2>/dev/null || true; }
at_exit example_reap

example_watch() { # sets code and OUT of example
  rm -f "$PLACE"/*.ndjson
  setsid bash -c "cd '$PLACE' && exec $text" >"$EXAMPLES/said" 2>&1 </dev/null &
  example_pid=$!
  wait_for 60 "$text to say $example_until" example_said || code=silent
  kill -TERM "$example_pid" || true
  wait "$example_pid" || [[ $code == silent ]] || code=$?
  example_pid=
  OUT=$(<"$EXAMPLES/said")
}

part() {
  if [[ -z ${CASE:-} || $1 =~ $CASE ]]; then
    tap_case=$1
    "$1"
    tap_case=
  fi
}

examples_end() {
  is "$(grep -v $'\t' "$EXAMPLES/all" || true)" '' 'every help has an example'
  is "$(grep -vxFf "$EXAMPLES/run" "$EXAMPLES/texts" || true)" '' 'every example was run'
}

examples_of >"$EXAMPLES/all"
cut -sf2 "$EXAMPLES/all" | sort -u >"$EXAMPLES/texts"
