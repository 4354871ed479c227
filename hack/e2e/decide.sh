# shellcheck shell=bash
# Requests through the Service and past it.
rs=$(token reader orders orders.read) es=$(token elliptic orders orders.read) writer=$(token writer orders orders.write)
billing=$(token writer billing billing.read)
check "no token: 401" "^401" ask "$url/orders"
check "the challenge names Bearer alone" "[Ww][Ww][Ww]-[Aa]uthenticate: Bearer.?$" kn curl -sS -D- -o /dev/null "$url/orders"
check "an RS256 token: 200, and the app is told who" "^200 GET /orders x-client=reader x-roles=reader token=true" ask "$url/orders" "$rs"
check "an ES256 token: 200" "^200 GET /orders/7 x-client=elliptic" ask "$url/orders/7" "$es"
check "a token for another audience: 401" "^401.*WrongAudience" ask "$url/orders" "$billing"
check "a token with its signature changed: 401" "^401.*(BadSignature|Malformed)" ask "$url/orders" "${rs%????}AAAA"
check "a role that is missing: 403" "^403.*NoRule" ask "$url/orders" "$rs" -X POST
check "a role that is there: 200" "^200 POST /orders x-client=writer x-roles=reader,writer" ask "$url/orders" "$writer" -X POST
check "a scope that is missing: 403" "^403.*InsufficientScope" ask "$url/orders" "$(token writer orders orders.write)"
check "a public path: 200" "^200 GET /docs/a" ask "$url/docs/a"
check "an identity header of the client's own does not pass" "^200 GET /docs/a token=false" ask "$url/docs/a" "" -H "X-Client: root" -H "x_client: root"
check "a path that climbs: 401, not public" "^401" ask "$url/docs/%2e%2e/orders" "" --path-as-is
ip=$(pod_of orders status.podIP)
check "the pod IP is no way around" "^401" ask "http://$ip:8080/orders"
check "from a pod, by name: 401" "^401$" k exec client -- /e2e-app get http://orders.shop.svc.cluster.local/orders
check "from a pod, with a token: 200" "^200$" k exec client -- /e2e-app get http://orders/orders "$rs"
