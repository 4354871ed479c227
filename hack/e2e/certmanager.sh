# shellcheck shell=bash
# Certificates by a real cert-manager: what a user is told while it is not there or not done, issuance, injection, renewal and another issuer, while
# requests run; and from the controller's own certificates to it and back.
cm() { kn kubectl -n cert-manager "$@"; }
upgrade() { kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system --reuse-values "$@" 2>&1; }
certificate() { kb get certificate bearerguard -o "jsonpath=$1"; }
issued() { kb get secret bearerguard-issued -o "jsonpath={.data.${1//./\\.}}" 2>/dev/null | base64 -d; }
# shown POD_IP PORT: the serial number of the certificate that a controller shows there.
shown() { kn bash -c "openssl s_client -connect $1:$2 -servername bearerguard-push.bearerguard-system.svc </dev/null 2>/dev/null | openssl x509 -noout -serial"; }
serial() { issued tls.crt | openssl x509 -noout -serial; }
controllers() { kb get pods -l app.kubernetes.io/component=controller --field-selector=status.phase=Running -o "jsonpath={range .items[*]}{$1} {end}"; }
# all_show: whether every controller shows on both ports what the Secret holds.
all_show() {
  local ip port want
  want=$(serial) && [ -n "$want" ] || return 1
  for ip in $(controllers .status.podIP); do
    for port in 9443 8443; do [ "$(shown "$ip" "$port")" = "$want" ] || return 1; done
  done
}
# trusted: how many webhooks trust which authorities; one line of the same for all.
trusted() {
  kn kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration bearerguard \
    -o 'jsonpath={range .items[*].webhooks[*]}{.clientConfig.caBundle}{"\n"}{end}' | sort -u
}
# injects WHAT: a pod that starts now gets a sidecar, which the controller reaches and which decides.
injects() {
  check "cert-manager: $1: new pods roll out with a sidecar" "successfully rolled out" bash -c \
    "hack/cluster/kn kubectl -n shop rollout restart deploy/orders && hack/cluster/kn kubectl -n shop rollout status deploy/orders --timeout=120s"
  check "cert-manager: $1: their sidecars reach the controller" "condition met" k wait --for=condition=Ready authpolicy/orders --timeout=150s
  check "cert-manager: $1: a good token passes" "^200" ask "$url/orders" "$good"
  check "cert-manager: $1: none does not" "^401" ask "$url/orders"
}
in_base64() { issued ca.crt | base64 -w0; }
# holds BASE64: every webhook trusts the authority that is in it. cainjector and the controller add to what was trusted before, so there may be others.
holds() {
  local body
  body=$(base64 -d <<<"$1" | grep -v -e ----- | tr -d '\n')
  [ -n "$body" ] && [ "$(trusted | wc -l)" = 1 ] && trusted | base64 -d | tr -d '\n' | grep -qF "$body" && echo yes
}
trusts_issued() { holds "$(in_base64)"; }
another() { local s; s=$(serial) && [ -n "$s" ] && [ "$s" != "$old" ]; }
by_corp() { issued tls.crt | openssl x509 -noout -issuer | grep -q 'CN *= *corp'; }
injector_waits() { waits | grep -q cainjector; }
webhook_alone() { [ "$(cm get pods -o name | wc -l)" = 1 ]; }
# during COMMAND...: runs it while requests run; ends with what came of them.
during() { { sleep 1; "$@" 2>&1; echo "exit $?"; sleep 1; } | kn "${BIN:-$PWD/bin}/e2e-app" load "$url" "$good" 2>&1; }
unharmed() { check "cert-manager: $1: not one request failed: $(tail -n1 <<<"$2")" "^[1-9][0-9]{2,} requests, 0 failed$" tail -n1 <<<"$2"; }

good=$(token writer orders orders.read)
check "cert-manager: without it, helm says what is missing" 'no matches for kind "(Certificate|Issuer)" in version "cert-manager.io/v1"' upgrade --set certManager.enabled=true
check "cert-manager: and the release is as it was" "^200" ask "$url/orders" "$good"

version=$(sed -n 's,^.*github.com/cert-manager/cert-manager \(v[0-9.]*\).*,\1,p' hack/cluster/certmanager/go.mod | head -1)
built=$(hack/cluster/build.sh cert-manager)
for c in controller cainjector webhook; do hack/cluster/load.sh "cert-manager.local/$c:$version" "$built-$c" >/dev/null; done
chart=$(GOFLAGS=-mod=readonly go list -C hack/cluster/certmanager -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)/deploy/charts/cert-manager
images() { local c; for c in "" cainjector. webhook.; do n=${c%.}; printf ' --set %simage.repository=cert-manager.local/%s --set %simage.tag=%s' "$c" "${n:-controller}" "$c" "$version"; done; }
# shellcheck disable=SC2046 # words
check "cert-manager: it is installed from its own chart" "STATUS: deployed" kn helm install cert-manager "$chart" -n cert-manager --create-namespace \
  --set crds.enabled=true --set startupapicheck.enabled=false $(images) --wait --timeout 120s

cm scale deploy/cert-manager deploy/cert-manager-cainjector --replicas=0 >/dev/null
until_ok 60 webhook_alone
check "cert-manager: the release goes over to it" "STATUS: deployed" upgrade --set certManager.enabled=true
waits() { kb logs -l app.kubernetes.io/component=controller --tail=-1 | grep 'waiting for cert-manager'; }
until_ok 60 waits
check "cert-manager: before there is a certificate, a controller says what it waits for" "secret bearerguard-issued is not there: see kubectl -n bearerguard-system describe certificate bearerguard" waits
check "cert-manager: and the former controllers serve on" "^2$" kb get deploy bearerguard-controller -o "jsonpath={.status.availableReplicas}"
injects "while nothing is issued"
cm scale deploy/cert-manager --replicas=1 >/dev/null
check "cert-manager: it issues" "condition met" kb wait --for=condition=Ready certificate/bearerguard --timeout=120s
until_ok 60 injector_waits
check "cert-manager: without its injector, a controller says that" "do not trust the certificate yet: see whether cert-manager's cainjector runs" waits
cm scale deploy/cert-manager-cainjector --replicas=1 >/dev/null
check "cert-manager: with it, the rollout ends" "successfully rolled out" kb rollout status deploy/bearerguard-controller --timeout=180s
check "cert-manager: every webhook trusts the authority" "^yes$" trusts_issued
until_ok 30 all_show
check "cert-manager: the controllers show what was issued" "^yes$" bash -c "echo $(all_show && echo yes)"
injects "issued"

before=$(controllers .metadata.name) old=$(serial)
renew() {
  kb patch certificate bearerguard --subresource=status --type=json -p "[{\"op\":\"add\",\"path\":\"/status/conditions/-\",\"value\":{\"type\":\"Issuing\",\"status\":\"True\",
    \"reason\":\"ManuallyTriggered\",\"message\":\"renewed by hand\",\"lastTransitionTime\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}}]" # as cmctl renew does
  until_ok 60 another
  until_ok 30 all_show && echo "all show it"
}
renewed=$(during renew)
check "cert-manager: renewed: every controller shows the new one" "^all show it$" cat <<<"$renewed"
unharmed renewed "$renewed"
old=$(serial)
lose() {
  kb delete secret bearerguard-issued
  until_ok 60 another
  until_ok 30 all_show && echo "all show it"
}
lost=$(during lose)
check "cert-manager: its Secret is deleted: another is issued and shown" "^all show it$" cat <<<"$lost"
unharmed "its Secret is deleted" "$lost"
check "cert-manager: the controllers are the same" "^$before$" controllers .metadata.name
check "cert-manager: and none restarted" "^0 0 $" controllers '.status.containerStatuses[0].restartCount'
injects renewed

kb apply -f - >/dev/null <<'CORP'
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: corp-root}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: corp}
spec: {isCA: true, commonName: corp, secretName: corp, issuerRef: {name: corp-root}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: corp}
spec: {ca: {secretName: corp}}
CORP
check "cert-manager: an issuer of one's own is Ready" "condition met" kb wait --for=condition=Ready issuer/corp --timeout=60s
own() {
  upgrade --set certManager.issuerRef.name=corp --wait --timeout 120s
  until_ok 60 by_corp
  until_ok 30 all_show && echo "all show it"
}
owned=$(during own)
check "cert-manager: with an issuer of one's own, the controllers show what it issued" "^all show it$" cat <<<"$owned"
unharmed "with an issuer of one's own" "$owned"
until_ok 30 trusts_issued
check "cert-manager: and the webhooks trust it" "^yes$" trusts_issued
injects "an issuer of one's own"

back=$(during upgrade --set certManager.enabled=false --wait --timeout 120s)
check "cert-manager: back to the controller's own" "STATUS: deployed" cat <<<"$back"
unharmed back "$back"
check "cert-manager: the webhooks trust the controller's own authority again" "^yes$" holds "$(kb get secret bearerguard-certs -o 'jsonpath={.data.ca\.crt}')"
injects back
check "cert-manager: its Secrets are left, as docs/operations.md says" "deleted" kb delete secret bearerguard-issued bearerguard-ca-key
kn helm uninstall cert-manager -n cert-manager --wait >/dev/null 2>&1
