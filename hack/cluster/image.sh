#!/bin/bash
# image.sh REF OUT.tar BINARY...: an OCI archive named REF that holds static binaries at its root; the first is the entrypoint.
# Runs as 65532. No registry, no daemon; the same binaries give the same bytes.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ "$#" -ge 3 ] || die "usage: image.sh REF OUT.tar BINARY..."
ref=$1 out=$2
shift 2
media=application/vnd.oci.image

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
blobs=$tmp/oci/blobs/sha256
mkdir -p "$blobs" "$tmp/root" "$(dirname "$out")"
install -m 755 "$@" "$tmp/root/"

pack() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$2" .; }

# blob FILE: moves it in under its digest and prints its descriptor's digest and size members.
blob() {
  local sum
  sum=$(sha256sum <"$1" | cut -d' ' -f1)
  mv "$1" "$blobs/$sum"
  echo "\"digest\":\"sha256:$sum\",\"size\":$(stat -c %s "$blobs/$sum")"
}

pack "$tmp/root" "$tmp/layer"
layer=$(blob "$tmp/layer")
cat >"$tmp/config" <<EOF
{"architecture":"$ARCH","os":"linux","config":{"User":"65532:65532","Entrypoint":["/$(basename "$1")"]},
 "rootfs":{"type":"layers","diff_ids":["$(grep -o 'sha256:[0-9a-f]*' <<<"$layer")"]}}
EOF
cat >"$tmp/manifest" <<EOF
{"schemaVersion":2,"mediaType":"$media.manifest.v1+json","config":{"mediaType":"$media.config.v1+json",$(blob "$tmp/config")},
 "layers":[{"mediaType":"$media.layer.v1.tar",$layer}]}
EOF
cat >"$tmp/oci/index.json" <<EOF
{"schemaVersion":2,"manifests":[{"mediaType":"$media.manifest.v1+json",$(blob "$tmp/manifest"),
 "annotations":{"io.containerd.image.name":"$ref","org.opencontainers.image.ref.name":"${ref##*:}"}}]}
EOF
echo '{"imageLayoutVersion":"1.0.0"}' >"$tmp/oci/oci-layout"
pack "$tmp/oci" "$out"
