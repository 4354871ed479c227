#!/bin/bash
# image-build.sh OUT.tar [VERSION]: builds the Dockerfile with buildah (root) into an OCI archive, and runs what is in it. Where the Dockerfile's
# base image cannot be had, BASE=local makes one of that name from this machine: its Go, its shell, its certificate authorities.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: image-build.sh OUT.tar [VERSION]" >&2; exit 2; }
out=$(realpath -m "$1") version=${2:-dev}
cd "$(dirname "$0")/.."
command -v buildah >/dev/null || { echo "buildah is missing; Debian's package has that name" >&2; exit 1; }
store=$(mktemp -d)
buildah() { command buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$@"; }
trap 'buildah rm --all >/dev/null 2>&1 || true; rm -rf "$store"' EXIT

# copy ROOT PROGRAM: a program and the libraries that it loads.
copy() {
  local file
  for file in "$2" $(ldd "$2" | grep -o '/[^ ]*'); do
    install -D "$(realpath "$file")" "$1$file"
  done
}

# local_base NAME: an image of that name with what the build stage needs of it.
local_base() {
  local container root
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  mkdir -p "$root"/{tmp,etc,root,go,src} "$root/usr/local"
  chmod 1777 "$root/tmp"
  cp /etc/passwd /etc/group "$root/etc/"
  install -D /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  copy "$root" /bin/sh
  cp -r "$(go env GOROOT)" "$root/usr/local/go"
  buildah config --env PATH=/usr/local/go/bin:/usr/bin:/bin --env GOPATH=/go --env HOME=/root --env GOTOOLCHAIN=local \
    --env "GOPROXY=$(go env GOPROXY)" --env "GOSUMDB=$(go env GOSUMDB)" --env "GONOSUMDB=$(go env GONOSUMDB)" --env "GOFLAGS=$(go env GOFLAGS)" "$container"
  buildah commit -q "$container" "$1" >/dev/null
  buildah rm "$container" >/dev/null
}

pull=missing
if [ "${BASE:-}" = local ]; then
  pull=never
  local_base "docker.io/library/$(sed -n 's/^FROM .* \(golang:[^ ]*\) AS build/\1/p' Dockerfile)"
fi
buildah build --pull="$pull" --isolation chroot --network host --build-arg "VERSION=$version" \
  --volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/root/.cache/go-build" -t bearerguard:"$version" .
rm -f "$out"
mkdir -p "$(dirname "$out")"
buildah push -q bearerguard:"$version" "oci-archive:$out:bearerguard:$version"

# What is in it runs.
root=$(buildah mount "$(buildah from --pull=never bearerguard:"$version")")
(cd "$root" && find . -type f | sort)
"$root/sidecar" version | grep -F "$version"
"$root/controller" --version | grep -F "$version"
