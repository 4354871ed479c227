#!/bin/bash
# Installs Debian's protoc and the messages that it comes with, which `make generate` and `make verify` need, where they are missing (root). Its version stands in the
# generated files.
set -euo pipefail
command -v protoc >/dev/null && [ -e /usr/include/google/protobuf/struct.proto ] && exit 0
[ "$(id -u)" = 0 ] || { echo "protoc is missing; installing protobuf-compiler and libprotobuf-dev takes root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -yq --no-install-recommends protobuf-compiler libprotobuf-dev
