#!/bin/bash
# Installs Debian's protoc, which `make generate` and `make verify` need, where it is missing (root). Its version stands in the
# generated files.
set -euo pipefail
command -v protoc >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "protoc is missing; installing protobuf-compiler takes root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -yq --no-install-recommends protobuf-compiler
