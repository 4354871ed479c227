# shellcheck shell=bash
# A log-out at a real provider (oidc-provider) takes the user's tokens back, on the way that docs/revocation.md describes: the chart's port for
# events with a certificate of its own, a RevocationSource, a restart of the controller, helm upgrade and uninstall.
login=$(dirname "$(hack/e2e/idp/idp.sh dir)")/login
rm -rf "$login"
mkdir -p "$login"

kb apply -f - >/dev/null <<'SERVICE'
apiVersion: v1
kind: Service
metadata: {name: bearerguard-events-public}
spec:
  selector: {app.kubernetes.io/name: bearerguard, app.kubernetes.io/component: controller}
  ports: [{name: https, port: 443, targetPort: events}]
SERVICE
events=$(kb get svc bearerguard-events-public -o "jsonpath={.spec.clusterIP}")
hack/e2e/idp/tls.sh "$login" "IP:$events"
kb create secret tls events-tls --cert="$login/tls.crt" --key="$login/tls.key" >/dev/null
check "an upgrade opens the port for events" "STATUS: deployed" kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system --reuse-values --wait --timeout 90s \
  --set revocationSources.enabled=true --set revocationSources.tls.secretName=events-tls

# The provider. What it is configured to call is the endpoint; what it trusts is the certificate's authority.
(cd hack/interop/idp && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-progress >&2; })
cat >"$login/config.json" <<CONFIG
{"resources": {"urn:orders": {"audience": "orders", "scopes": ["orders.read"]}},
 "provider": {"features": {"backchannelLogout": {"enabled": true}}, "clients": [{
   "client_id": "shop", "client_secret": "a secret of the test", "redirect_uris": ["https://shop.example.com/cb"], "scope": "openid orders.read",
   "backchannel_logout_uri": "https://$events/logout/shop/login", "backchannel_logout_session_required": true}]}}
CONFIG
mkfifo "$login/stdin"
setsid hack/cluster/kn env NODE_EXTRA_CA_CERTS="$login/ca.crt" node hack/interop/idp/provider.mjs "$login/config.json" <"$login/stdin" >"$login/issuer" 2>"$login/log" &
exec 7>"$login/stdin" # its end ends the provider
until_ok 20 test -s "$login/issuer"
issuer=$(cat "$login/issuer")

# browser USER CURL-OPTION...: a request with the cookies of a user's browser.
browser() { kn curl -sS -m 10 -b "$login/$1.jar" -c "$login/$1.jar" "${@:2}"; }

# log_in USER: goes through the code flow (OpenID Connect Core 1.0 section 3.1); an access token is printed, and the ID token kept.
log_in() {
  local verifier=0123456789012345678901234567890123456789abc challenge at
  challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d '=')
  # The last redirect leads to the client, which is nowhere.
  at=$(browser "$1" -L -o /dev/null -w '%{url_effective}' -G "$issuer/auth" -d client_id=shop -d response_type=code \
    --data-urlencode redirect_uri=https://shop.example.com/cb --data-urlencode "scope=openid orders.read" -d resource=urn:orders -d "login_hint=$1" \
    -d code_challenge_method=S256 -d "code_challenge=$challenge" 2>/dev/null)
  browser "$1" "$issuer/token" -d grant_type=authorization_code --data-urlencode "code=$(sed -E 's/.*[?&]code=([^&]*).*/\1/' <<<"$at")" \
    --data-urlencode redirect_uri=https://shop.example.com/cb -d "code_verifier=$verifier" -d client_id=shop --data-urlencode "client_secret=a secret of the test" >"$login/$1.json"
  node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).access_token' "$login/$1.json"
}

# log_out USER: ends the session at the provider (OpenID Connect RP-Initiated Logout 1.0).
log_out() {
  local hint xsrf
  hint=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).id_token' "$login/$1.json")
  xsrf=$(browser "$1" -G "$issuer/session/end" -d "id_token_hint=$hint" | sed -nE 's/.*name="xsrf" value="([^"]+)".*/\1/p')
  browser "$1" -o /dev/null -w '%{http_code}\n' "$issuer/session/end/confirm" -d "xsrf=$xsrf" -d logout=yes
}

jwks=$(kn curl -sS -m 10 "$issuer/jwks" | tr -d '\n')
check "the policy takes the provider's tokens" "patched" k patch authpolicy orders --type=json -p \
  "[{\"op\":\"add\",\"path\":\"/spec/issuers/-\",\"value\":{\"name\":\"login\",\"issuer\":\"$issuer\",\"audiences\":[\"orders\"],\"keys\":{\"jwks\":$(node -p 'JSON.stringify(process.argv[1])' "$jwks")}}}]"
check "a RevocationSource is taken" "created" k apply -f - <<SOURCE
apiVersion: bearerguard.dev/v1alpha1
kind: RevocationSource
metadata: {name: login}
spec:
  issuer: $issuer
  audiences: [shop]
  keys: {jwks: '$jwks'}
  backChannelLogout: {by: Subject}
SOURCE
alice=$(log_in alice) bob=$(log_in bob)
soon "a user who has logged in gets in" "^200" ask "$url/orders" "$alice"
until_ok 20 bash -c "hack/cluster/kn kubectl -n shop get revocationsource login -o jsonpath={.status.endpoint} | grep -q login"
check "she logs out at the provider" "^[23]" log_out alice
soon "her token is refused" "^401" ask "$url/orders" "$alice"
check "another user's is not" "^200" ask "$url/orders" "$bob"
check "kubectl wait sees that every sidecar has it" "condition met" k wait --for=jsonpath='{.status.entries}'=1 revocationsource/login --timeout=20s
check "and that it is Programmed" "condition met" k wait --for=condition=Programmed revocationsource/login --timeout=20s
check "kubectl get prints it" "^login +$issuer +/logout/shop/login +1 +True +True +[0-9]+/[0-9]+ " k get revocationsources
k get revocationsources
sleep 1 # what was issued in the second of the log-out is taken back
again=$(log_in alice)
check "she logs in again, and gets in" "^200" ask "$url/orders" "$again"

check "the controller restarts" "successfully rolled out" bash -c "hack/cluster/kn kubectl -n bearerguard-system rollout restart deploy/bearerguard-controller >/dev/null &&
  hack/cluster/kn kubectl -n bearerguard-system rollout status deploy/bearerguard-controller --timeout=60s"
check "the token is refused still" "^401" ask "$url/orders" "$alice"
k delete pod "$(pod_of orders metadata.name)" --wait=false >/dev/null
k rollout status deploy/orders --timeout=60s >/dev/null
check "by a new pod, too" "^401 401 401 401 401 401 $" bash -c "for i in 1 2 3 4 5 6; do hack/cluster/kn curl -s -m 5 -o /dev/null -w '%{http_code} ' -H 'Authorization: Bearer $alice' $url/orders; done"
check "and the new one is not" "^200" ask "$url/orders" "$again"

check "an upgrade closes the port" "STATUS: deployed" kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system --reuse-values --wait --timeout 90s \
  --set revocationSources.enabled=false
until_ok 20 bash -c "hack/cluster/kn kubectl -n shop get revocationsource login -o yaml | grep -q ReceiverDisabled"
check "which the source says" "ReceiverDisabled" k get revocationsource login -o "jsonpath={.status.conditions[*].reason}"
check "what was taken back stays so" "^401" ask "$url/orders" "$alice"
check "helm uninstalls" "uninstalled" kn helm uninstall bearerguard -n bearerguard-system --wait
check "sources and what they know are kept" "revocationchunk.*revoked-.*revocationsource.*/login" bash -c "hack/cluster/kn kubectl -n shop get revocationchunks,revocationsources -o name | tr '\n' ' '"
check "without a controller, the token is refused" "^401" ask "$url/orders" "$alice"
exec 7>&-
kb delete svc bearerguard-events-public --ignore-not-found >/dev/null
kb delete secret events-tls --ignore-not-found >/dev/null
