# shellcheck shell=bash
# The command line asks what runs: by port-forward (WebSockets, a real kubelet), logs and statuses.
bg() { kn bin/bearerguard "$1" -n shop "${@:2}"; }
# claim TOKEN NAME: a text in the token's payload.
claim() { cut -d. -f2 <<<"$1" | tr '_-' '/+' | base64 -d 2>/dev/null | sed -E "s/.*\"$2\":\"([^\"]+)\".*/\\1/"; }

tried=$(token reader orders orders.read) file=$(mktemp)
printf '%s' "$tried" >"$file"
check "explain: the sidecar lets a token in" "^ALLOWED" bg explain deploy/orders --request 'GET /orders' --token-file "$file"
check "explain: the sidecar says which rule lacks what" "claims|scopes" bg explain deploy/orders --request 'POST /orders' --token-file "$file"
ask "$url/orders" "$tried" -X POST -H 'X-Request-Id: e2e-cli-1' >/dev/null
check "explain: what became of a request, by its id" "^REFUSED  NoRule" bg explain --request-id e2e-cli-1
check "explain: an id that nobody has" "^None of [0-9]+ sidecars" bg explain --request-id e2e-cli-none
check "logs: a refusal by its reason" "NoRule.*POST /orders" bg logs deploy/orders --reason NoRule --since 10m
check "status: the policy and the workload" "deploy/orders" bg status
check "status: what was refused, and why" "deploy/orders +NoRule" bg status
check "keys: those of the issuer are current" "Current" bg keys
check "keys: each by its thumbprint" "sig +[A-Za-z0-9_-]{43}" bg keys
check "keys: when they are fetched next" "ago +in [0-9]+[ms]" bg keys
check "check-cluster: all that is there works" "nothing is wrong" bg check-cluster
check "check-cluster: the webhooks answer" "the webhook that injects answered" bg check-cluster admission
check "check-cluster: before an installation, there is one" "there is a controller already" bg check-cluster --pre
iss=$(claim "$tried" iss) jti=$(claim "$tried" jti)
check "the token is good" "^200" ask "$url/orders" "$tried"
check "revoke: it is taken back" "1 of 1 entries taken back" bg revoke --issuer "$iss" --expires 1h -- jti "$jti"
soon "revoke: it is refused" "^401.*Revoked" ask "$url/orders" "$tried"
check "revoke: it is listed" "$jti" bg revoke --list
check "revoke: it is given back" "1 of 1 entries given back" bg revoke --issuer "$iss" --undo -- jti "$jti"
soon "revoke: it is good again" "^200" ask "$url/orders" "$tried"
rm -f "$file"
