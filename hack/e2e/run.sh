#!/bin/bash
# Installs Bearerguard into a real cluster and uses it as a user would: helm, kubectl, a real identity provider, curl.
# Starts the cluster (hack/cluster) and ends it; with KEEP=1 both stay for a look. PARTS='install rollout' runs
# these alone; all need install. Prints a line per check and a count.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. hack/e2e/lib.sh

cleanup() {
  [ "$fail" = 0 ] && [ "$pass" -gt 0 ] || hack/e2e/diagnose.sh
  hack/e2e/idp/idp.sh stop >/dev/null 2>&1
  [ -n "${KEEP:-}" ] || hack/cluster/down.sh
}

prepare() {
  hack/cluster/up.sh || return 1
  trap cleanup EXIT
  make -s cluster-load || return 1
  hack/e2e/idp/idp.sh start
}

prepare || { echo "FAIL preparation"; exit 1; }
for part in ${PARTS:-docs install decide cli settings change accounts rollout upgrade outage jobs revoked skew}; do
  echo "--- $part"
  # shellcheck source=/dev/null
  . "hack/e2e/$part.sh"
done
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
