#!/bin/bash
# Starts the one-node cluster, loads the images, and drills: see main.go. KEEP=1 leaves the cluster for a look.
# run.sh [--only REGEXP] [--quick] [--again]
set -euo pipefail
cd "$(dirname "$0")/../.."
hack/cluster/up.sh
trap '[ -n "${KEEP:-}" ] || hack/cluster/down.sh' EXIT
make -s cluster-load
CGO_ENABLED=0 go build -trimpath -o bin/drill ./hack/drill
hack/cluster/kn bin/drill "$@"
