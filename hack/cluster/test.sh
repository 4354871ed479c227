#!/bin/bash
# Checks what the end-to-end tests count on in the running cluster; prints a line per check and a count.
set -uo pipefail
. "$(dirname "$0")/env.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; kn kubectl delete namespace cluster-test --ignore-not-found --wait=false >/dev/null' EXIT
pass=0 fail=0

kn() { "$HERE/kn" "$@"; }
k() { kn kubectl -n cluster-test "$@"; }

check() { # WHAT REGEXP COMMAND...
  local what=$1 want=$2 out
  shift 2
  out=$("$@" 2>&1)
  if grep -qE -e "$want" <<<"$out"; then
    pass=$((pass + 1))
    echo "ok   $what"
  else
    fail=$((fail + 1))
    echo "FAIL $what: $(tail -3 <<<"$out")"
  fi
}

review() { # TOKEN AUDIENCE
  printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s","audiences":["%s"]}}' "$1" "$2" |
    kn kubectl create -o json -f -
}

privileged() {
  k label namespace cluster-test pod-security.kubernetes.io/enforce=restricted >/dev/null
  k run privileged --image=test.local/app:1 --privileged
  k label namespace cluster-test pod-security.kubernetes.io/enforce- >/dev/null
}

install_chart() {
  mkdir -p "$tmp/chart/templates"
  printf 'apiVersion: v2\nname: trivial\nversion: 0.1.0\n' >"$tmp/chart/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {text: {{ .Values.text }}}\n' >"$tmp/chart/templates/cm.yaml"
  kn helm -n cluster-test install trivial "$tmp/chart" --set text=hi --wait --timeout 30s && k get configmap trivial -o 'jsonpath={.data.text}'
}

(cd "$HERE/test/app" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off go build -trimpath -ldflags "-s -w" -o "$tmp/app" .) || exit 1
"$HERE/load.sh" test.local/app:1 "$tmp/app" || exit 1
kn kubectl delete namespace cluster-test --ignore-not-found >/dev/null
kn kubectl create namespace cluster-test >/dev/null
k apply -f "$HERE/test/pods.yaml" >/dev/null

check "a deployment with init container, native sidecar and probes" "successfully rolled out" k rollout status deploy/web --timeout=60s
check "a job with a native sidecar completes" "condition met" k wait --for=condition=Complete job/once --timeout=30s
pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
inpod() { k exec "$pod" -c web -- /app "$@"; }
check "logs" "init container ran" k logs "$pod" -c first
check "node to ClusterIP, through the sidecar" 'pod=web-.* via="1.1 sidecar"' kn curl -sS -m 5 "http://$(k get svc web -o 'jsonpath={.spec.clusterIP}')/"
check "pod to a service by its short name" "pod=web-" inpod get http://web/
check "pod to a service by its long name" "pod=web-" inpod get http://web.cluster-test.svc.cluster.local/
issuer=https://kubernetes.default.svc.cluster.local
check "service account issuer discovery in a pod" "\"jwks_uri\":\"$issuer/openid/v1/jwks\"" inpod get $issuer/.well-known/openid-configuration
check "service account keys in a pod" '"keys":\[' inpod get $issuer/openid/v1/jwks
token=$(inpod cat /var/run/own/token)
check "TokenReview names the pod of a token with its own audience" "\"$pod\"" review "$token" own.local
check "TokenReview refuses it for another audience" '"authenticated": false|"error"' review "$token" other.local
check "seccomp" "^Seccomp:[[:space:]]+2" inpod cat /proc/self/status
check "no capabilities" "^CapEff:[[:space:]]+0000000000000000" inpod cat /proc/self/status
check "memory limit" "^67108864$" inpod cat /sys/fs/cgroup/memory/memory.limit_in_bytes
check "Pod Security admission" "violates PodSecurity" privileged
check "helm installs a chart" "hi$" install_chart
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
