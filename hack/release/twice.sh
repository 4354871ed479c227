#!/bin/bash
# twice.sh VERSION: makes a release of the commit that is checked out in two fresh clones, the second with caches of its own if
# COLD=1, and fails unless all files are the same.
set -euo pipefail
[ $# = 1 ] || { echo "usage: twice.sh VERSION" >&2; exit 2; }
root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
for n in one two; do
  git clone -q "$root" "$work/$n/bearerguard"
  if [ $n = two ] && [ "${COLD:-}" = 1 ]; then export GOCACHE=$work/cache; fi
  go run -C "$work/$n/bearerguard/hack/release" . --version "$1" --out "$work/$n/dist"
done
cd "$work"
diff -r one/dist two/dist
echo "both have the same $(wc -l <one/dist/SHA256SUMS) files"
