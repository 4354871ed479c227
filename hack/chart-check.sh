#!/bin/bash
# Renders the chart and checks the result against the schemas of Kubernetes (needs network for the schemas, once).
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/cluster/env.sh
helm=$(command -v helm || echo "$BIN/helm")
"$helm" lint --strict charts/bearerguard
"$helm" template bearerguard charts/bearerguard -n bearerguard-system |
  bin/kubeconform -strict -summary -skip CustomResourceDefinition "$@"
