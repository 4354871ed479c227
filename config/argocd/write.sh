#!/bin/bash
# Writes argocd-cm.yaml from health.lua: the same script for each kind.
set -euo pipefail
cd "$(dirname "$0")"
{
  echo "# Written by config/argocd/write.sh from health.lua; edit that. A patch of Argo CD's own ConfigMap:"
  echo "#   kubectl patch configmap argocd-cm -n argocd --patch-file argocd-cm.yaml"
  echo "apiVersion: v1"
  echo "kind: ConfigMap"
  echo "metadata:"
  echo "  name: argocd-cm"
  echo "  namespace: argocd"
  echo "data:"
  for kind in AuthPolicy TokenRevocation RevocationSource; do
    echo "  resource.customizations.health.bearerguard.dev_$kind: |"
    sed 's/^\(.\)/    \1/' health.lua
  done
} >argocd-cm.yaml
