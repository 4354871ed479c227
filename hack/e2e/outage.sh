# shellcheck shell=bash
# The controller is gone: sidecars go on, also across a restart of their own; and it comes back.
kb scale deploy bearerguard-controller --replicas=0 >/dev/null
until_ok 60 bash -c '[ -z "$(hack/cluster/kn kubectl -n bearerguard-system get pods -o name)" ]'
t=$(token reader orders orders.read)
check "without a controller: a token is let in" "^200" ask "$url/orders" "$t"
check "without a controller: none is not" "^401" ask "$url/orders"
restarts() { k get pods -l app=orders -o 'jsonpath={range .items[*]}{.status.initContainerStatuses[?(@.name=="bearerguard")].restartCount} {end}'; }
kn pkill -9 -f '^/sidecar run'
until_ok 60 bash -c "[[ \"\$(hack/cluster/kn kubectl -n shop get pods -l app=orders -o 'jsonpath={range .items[*]}{.status.initContainerStatuses[?(@.name==\"bearerguard\")].restartCount} {end}')\" != *0* ]]"
check "every sidecar was restarted" "^[1-9] [1-9] $" restarts
until_ok 30 k wait --for=condition=Ready pod -l app=orders --timeout=1s
reachable "$url"
check "a restarted sidecar decides from its last good copy: 200" "^200" ask "$url/orders" "$t"
check "and 401" "^401" ask "$url/orders"
check "and what was revoked stays so" "^401.*Revoked" ask "$url/orders" "$fresh"
check "a pod that did not ask starts without the webhook" "created" k run bystander --image=bearerguard.local/e2e-app:dev -- hold
check "a pod that asked does not start bare" "failed calling webhook" k run asked --image=bearerguard.local/e2e-app:dev --annotations=bearerguard.dev/inject=enabled -- hold
k delete pod bystander --now --ignore-not-found >/dev/null
kb scale deploy bearerguard-controller --replicas=2 >/dev/null
check "the controller comes back" "successfully rolled out" kb rollout status deploy/bearerguard-controller --timeout=60s
# kube-proxy follows the pods' readiness, so the webhook may be out of reach for a moment more.
until_ok 20 k patch authpolicy orders --type=json -p '[{"op":"remove","path":"/spec/rules/3"}]'
check "and sidecars follow it again" "condition met" k wait --for=condition=Programmed authpolicy/orders --timeout=60s
check "the edit is in force" "^403" ask "$url/orders/7" "$t" -X DELETE
