#!/bin/bash
# Debian packages that building and running the node takes. Installs what is missing (root); with --check, only names it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# nftables: kube-proxy. gcc, libc6-dev, libseccomp-dev: runc and the sandbox's pause program, both static.
# curl, openssl, procps: up.sh and test.sh.
PACKAGES="nftables iproute2 util-linux procps curl openssl gcc libc6-dev libseccomp-dev"

missing() {
  local p
  # shellcheck disable=SC2086 # a list of words
  dpkg -s $PACKAGES >/dev/null 2>&1 || for p in $PACKAGES; do dpkg -s "$p" >/dev/null 2>&1 || echo "$p"; done
  [ "${1:-}" = --check ] || command -v npm >/dev/null || echo nodejs npm # for hack/e2e/idp; they may come from elsewhere
}

command -v dpkg >/dev/null || die "deps.sh knows Debian's packages only; install what corresponds to: $PACKAGES"
want=$(missing "$@" | xargs)
[ -n "$want" ] || exit 0
[ "${1:-}" != --check ] || die "missing Debian packages: $want (hack/cluster/deps.sh installs them, as root)"
[ "$(id -u)" = 0 ] || die "missing Debian packages: $want; installing them takes root"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -yq --no-install-recommends $want
