package main

import "fmt"

// app is what the cases guard.
const app = `
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec:
  selector: {app: orders}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders, namespace: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      containers:
      - name: app
        image: bearerguard.local/e2e-app:dev
        args: [serve, ":8080"]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
`

// policy is what guards it.
func policy(keys string) string {
	return fmt.Sprintf(`
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders, namespace: shop}
spec:
  selector: {matchLabels: {app: orders}}
  issuers:
  - name: drill
    issuer: %s
    audiences: [%s]
    keys: {jwksURL: %q}
    caSecretRef: {name: corp-ca, key: ca.crt}
  rules:
  - {name: read, match: [{methods: [GET]}], allow: {scopes: [orders.read]}}
---
`, issuer, audience, keys)
}

// revocation revokes one token.
func revocation(name, jti string) string {
	return fmt.Sprintf(`
apiVersion: bearerguard.dev/v1alpha1
kind: TokenRevocation
metadata: {name: %s, namespace: shop}
spec: {issuer: %q, entries: [{jti: %q}]}
---
`, name, issuer, jti)
}
