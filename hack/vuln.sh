#!/bin/bash
# vuln.sh GOVULNCHECK: looks for known vulnerabilities that the programs can reach. Where the database cannot be reached, it says so
# and exits 0; an exit of 3 is a finding.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$("$1" ./cmd/... 2>&1)
code=$?
echo "$out"
case $code in
0 | 3) exit $code ;;
esac
if grep -qE 'dial tcp|no such host|connection refused|Forbidden|timeout|proxyconnect' <<<"$out"; then
  echo "the database of vulnerabilities cannot be reached from here: nothing was checked"
  exit 0
fi
exit $code
