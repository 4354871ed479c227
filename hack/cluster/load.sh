#!/bin/bash
# load.sh REF BINARY...: makes an OCI image of static binaries (see image.sh) and puts it into the running cluster.
# The first part of REF needs a dot (bearerguard.local/bearerguard:dev), or it is taken for a Docker Hub name.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ "$#" -ge 2 ] || die "usage: load.sh REF BINARY..."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$HERE/image.sh" "$1" "$tmp/image.tar" "${@:2}"
if [ -e "$RUN/kind" ]; then
  kind load image-archive "$tmp/image.tar" --name "$NODE"
else
  "$HERE/kn" ctr -n k8s.io images import "$tmp/image.tar" >/dev/null
fi
echo "loaded $1"
