# shellcheck shell=bash
# helm install, a policy, an annotation: the rollout brings pods with a sidecar.
kn helm uninstall bearerguard -n bearerguard-system --wait >/dev/null 2>&1
kn kubectl delete namespace shop --ignore-not-found --wait >/dev/null 2>&1
check "helm installs the chart" "STATUS: deployed" kn helm install bearerguard charts/bearerguard \
  --namespace bearerguard-system --create-namespace --wait --timeout 90s \
  --set image.repository=bearerguard.local/bearerguard --set image.tag=dev
check "both controllers are available" "^2$" kb get deploy bearerguard-controller -o "jsonpath={.status.availableReplicas}"

kn kubectl create namespace shop >/dev/null
until_ok 20 k get serviceaccount default
k create secret generic corp-ca --from-file=ca.crt="$(hack/e2e/idp/idp.sh dir)/ca.crt" >/dev/null
check "an app is deployed" "created" k apply -f hack/e2e/manifests/orders.yaml
check "it rolls out" "successfully rolled out" k rollout status deploy/orders --timeout=60s
url=http://$(k get svc orders -o "jsonpath={.spec.clusterIP}")
reachable "$url"
check "without a sidecar everybody gets in" "^200" ask "$url/orders"

until_ok 20 k apply --dry-run=server -f hack/e2e/manifests/policy.yaml # as above, for the webhook
check "a policy is accepted" "created" k apply -f hack/e2e/manifests/policy.yaml
check "a policy with a mistake is refused by name" "spec.rules.*(path|scopes|claim|operator|allow)" k apply -f - <<'BAD'
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: bad}
spec:
  issuers: [{name: a, issuer: "https://a.example", anyAudience: true, keys: {jwksURL: "https://a.example/jwks"}}]
  rules: [{name: r, match: [{paths: ["/a/{id}"]}], allow: {when: 'path.user == claims.sub'}}]
BAD
check "the annotation is taken" "annotated" k annotate deployment orders bearerguard.dev/inject=enabled
check "and rolls out" "successfully rolled out" k rollout status deploy/orders --timeout=90s
reachable "$url"
until_ok 30 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders -o name | wc -l)" = 2 ]'
native='{range .spec.initContainers[*]}{.name}={.restartPolicy} {end}'
check "the sidecar is a native one" "bearerguard=Always" k get pod "$(pod_of orders metadata.name)" -o "jsonpath=$native"
check "the capture has NET_ADMIN alone" '"add":\["NET_ADMIN"\],"drop":\["ALL"\]' \
  k get pod "$(pod_of orders metadata.name)" -o 'jsonpath={.spec.initContainers[?(@.name=="bearerguard-capture")].securityContext.capabilities}'
check "the pods are Ready, so the app's probe passes" "^True True $" k get pods -l app=orders -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}'
check "kubectl wait sees it Programmed" "condition met" k wait --for=condition=Programmed authpolicy/orders --timeout=30s
check "and Ready: no pod runs bare" "condition met" k wait --for=condition=Ready authpolicy/orders --timeout=30s
check "kubectl get prints it" "orders +Enforce +True +True +2/2 +0" k get bap
