# shellcheck shell=bash
# Services prove themselves to each other with the tokens that Kubernetes gives their pods, until the pods are gone.
issuer=$(kn kubectl get --raw /.well-known/openid-configuration | grep -o '"issuer":"[^"]*"' | cut -d'"' -f4)
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart}
---
apiVersion: v1
kind: Pod
metadata:
  name: cart
  annotations: {bearerguard.dev/inject: enabled, bearerguard.dev/token-audiences: "orders,pay"}
spec:
  serviceAccountName: cart
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: "bearerguard.local/e2e-app:dev", args: [serve, ":8080"]}
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: accounts}
spec:
  selector: {matchLabels: {app: orders}}
  issuers: [{name: cluster, issuer: "$issuer", audiences: [orders], keys: {kubernetes: {}}}]
  rules: [{name: cart, match: [{methods: [PUT]}], allow: {serviceAccounts: [shop/cart]}}]
Y
check "the policy for service accounts is Programmed" "condition met" k wait --for=condition=Programmed authpolicy/accounts --timeout=60s
check "the caller is ready" "condition met" k wait --for=condition=Ready pod/cart --timeout=90s
# The image has no shell: what the pod's token says is read where the kubelet put it.
uid=$(k get pod cart -o 'jsonpath={.metadata.uid}')
mounted=$(kn find /var/lib/kubelet/pods/"$uid"/volumes -path '*bearerguard-tokens/orders')
caller=$(kn cat "$mounted")
check "a pod's mounted token is accepted by another app" "^200" ask "$url/orders/7" "$caller" -X PUT
check "not by an audience that is another's" "^401.*WrongAudience" ask "$url/orders/7" "$(kn cat "${mounted%orders}pay")" -X PUT
check "a token that is bound to no pod is refused" "^401.*Unbound" ask "$url/orders/7" "$(k create token cart --audience orders)" -X PUT
k delete pod cart --wait=true >/dev/null
LIMIT_MS=2000 soon "the token of a deleted pod is refused" "^401.*Revoked" ask "$url/orders/7" "$caller" -X PUT
k delete authpolicy accounts >/dev/null
k delete serviceaccount cart >/dev/null
