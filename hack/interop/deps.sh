#!/bin/bash
# Programs that tests look at Bearerguard with, and skip without: Debian's chromium for the playground (hack/interop/page), prometheus with promtool
# for the chart's alerts and dashboards (charts). Installs what is missing (root), without starting a service.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v prometheus >/dev/null || missing+=(prometheus)
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || { echo "missing Debian packages: ${missing[*]}; installing them takes root" >&2; exit 1; }
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -yq --no-install-recommends "${missing[@]}"
