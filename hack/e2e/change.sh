# shellcheck shell=bash
# Policies, keys and revocations change while requests run; no pod restarts.
before=$(k get pods -l app=orders -o 'jsonpath={.items[*].metadata.uid}')
check "before the edit DELETE is refused" "^403" ask "$url/orders/7" "$rs" -X DELETE
k patch authpolicy orders --type=json -p '[{"op":"add","path":"/spec/rules/-","value":{"name":"delete","match":[{"methods":["DELETE"]}],"allow":{"scopes":["orders.read"]}}}]' >/dev/null
soon "an edited policy changes answers" "^200" ask "$url/orders/7" "$rs" -X DELETE
check "the new generation is Programmed" "condition met" k wait --for=condition=Programmed authpolicy/orders --timeout=30s

refused=0 asked=0
hack/e2e/idp/idp.sh rotate keep >/dev/null
for i in $(seq 20); do
  [ "$i" = 1 ] && fresh=$(token reader orders orders.read)
  for t in "$rs" "$fresh"; do
    asked=$((asked + 1))
    grep -q '^200' <<<"$(ask "$url/orders" "$t")" || refused=$((refused + 1))
  done
done
check "a key rotation refuses no valid token" "^0 of 40$" echo "$refused of $asked"
check "the new key is in use" "^200" ask "$url/orders" "$(token elliptic orders orders.read)"
for _ in 1 2 3 4 5; do # more often than keys may be fetched at once: some of these wait for the rest of a gap
  hack/e2e/idp/idp.sh rotate >/dev/null # the old keys are gone from the provider
  fresh=$(token reader orders orders.read)
  check "a token of the next key: 200" "^200" ask "$url/orders" "$fresh"
done

jti=$(cut -d. -f2 <<<"$fresh" | tr '_-' '/+' | base64 -d 2>/dev/null | grep -o '"jti":"[^"]*"' | cut -d'"' -f4)
ips=$(k get pods -l app=orders -o 'jsonpath={.items[*].status.podIP}')
both() { for i in $ips; do ask "http://$i:8080/orders" "$fresh"; done | cut -c1-3 | sort -u | xargs; }
k apply -f - >/dev/null <<Y
apiVersion: bearerguard.dev/v1alpha1
kind: TokenRevocation
metadata: {name: stolen}
spec: {issuer: "https://172.30.0.1:8443", entries: [{jti: "$jti", reason: stolen laptop}]}
Y
soon "a revoked token is refused by every pod" "^401$" both
check "kubectl wait sees it Programmed" "condition met" k wait --for=condition=Programmed tokenrevocation/stolen --timeout=30s
check "with the reason" "Revoked" ask "$url/orders" "$fresh"
check "another token of the same client is not" "^200" ask "$url/orders" "$(token reader orders orders.read)"
check "no pod was restarted for any of this" "^$before$" k get pods -l app=orders -o 'jsonpath={.items[*].metadata.uid}'
