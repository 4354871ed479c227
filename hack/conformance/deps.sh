#!/bin/bash
# Clients and apps that hack/conformance also knows and a machine may lack: Debian's python3 and nginx-light. Installs what is
# missing (root), without starting a service.
set -euo pipefail
missing=()
command -v python3 >/dev/null || missing+=(python3)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx-light)
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
