#!/bin/bash
# Writes rbac/, webhook/ and manager/ from the chart, so that helm and kustomize install the same. Builds helm if there is none.
# With a folder as argument it writes there instead.
set -euo pipefail
cd "$(dirname "$0")"
helm=${HELM:-$(command -v helm || ../hack/cluster/build.sh helm)}
out=${1:-.}

# render FILE TEMPLATE...: what the chart makes of the templates, without what only helm needs.
render() {
  local file=$1 template
  shift
  mkdir -p "$(dirname "$out/$file")"
  {
    echo "# Written by config/render.sh from charts/bearerguard; edit it there."
    for template in "$@"; do
      "$helm" template bearerguard ../charts/bearerguard -n bearerguard-system --show-only "templates/$template" |
        sed -e '/^# Source: /d' -e '/app.kubernetes.io\/instance: /d' -e '/app.kubernetes.io\/managed-by: /d' \
          -e '/helm.sh\/resource-policy: /d'
    done
  } >"$out/$file"
}

render rbac/rbac.yaml serviceaccount.yaml rbac.yaml
render webhook/webhooks.yaml webhooks.yaml
render webhook/admissionpolicies.yaml admissionpolicies.yaml
render manager/manager.yaml services.yaml webhooks-copy.yaml deployment.yaml availability.yaml
