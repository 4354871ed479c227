# shellcheck shell=bash
# What the sidecar is to do, set by annotations: behind an ingress the app is told of the client's own scheme and address.
forwarded() { ask "$url/docs/a" "" -H "X-Forwarded-Proto: https" -H "X-Forwarded-For: 203.0.113.9"; }
check "nobody is believed about the scheme" "^200 GET /docs/a token=false proto=http for=[0-9.]+ *$" forwarded
check "an annotation with a mistake is refused by name" "bearerguard.dev/trust-forwarded.*is no network" \
  k annotate deployment orders bearerguard.dev/trust-forwarded=10.0.0.1
check "a namespace's default with a mistake too" "bearerguard.dev/idle-timeout.*is no duration" \
  kn kubectl annotate namespace shop bearerguard.dev/idle-timeout=soon
check "a namespace's default is taken" "annotated" kn kubectl annotate namespace shop bearerguard.dev/idle-timeout=2m
check "trust-forwarded is taken" "annotated" \
  k annotate deployment orders bearerguard.dev/trust-forwarded=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
check "and rolls out" "successfully rolled out" k rollout status deploy/orders --timeout=90s
until_ok 40 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders -o name | wc -l)" = 2 ]'
reachable "$url"
check "the sidecar has both" "--trust-forwarded.*--idle-timeout.*2m" \
  k get pod "$(pod_of orders metadata.name)" -o 'jsonpath={.spec.initContainers[?(@.name=="bearerguard")].args}'
check "the app sees the scheme that the ingress took" "^200 GET /docs/a token=false proto=https for=203.0.113.9," forwarded
