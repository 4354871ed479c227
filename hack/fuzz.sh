#!/bin/bash
# fuzz.sh TIME: runs every fuzz target of the module for TIME each (20s, 1m).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# fuzz PACKAGE TARGET: a run that finds nothing but is cut off at its deadline is no failure, although go test calls it one
# now and then (golang.org/issue/56238); a real finding names its input.
fuzz() {
  go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x "$1" >"$out" 2>&1 && { tail -n 1 "$out"; return; }
  if grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input written' "$out"; then
    echo "ok  	$1 $2, cut off at its deadline"
    return
  fi
  cat "$out"
  return 1
}

grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | sort | while read -r file; do
  for target in $(grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | cut -d' ' -f2); do
    echo "== $(dirname "$file") $target"
    fuzz "$(dirname "$file")" "$target"
  done
done
