#!/bin/bash
# The browser that hack/interop/page looks at the playground with, Debian's chromium. Installs it where it is missing (root).
set -euo pipefail
command -v chromium >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "chromium is missing; installing it takes root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -yq --no-install-recommends chromium fonts-dejavu-core
