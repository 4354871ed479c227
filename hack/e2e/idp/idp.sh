#!/bin/bash
# Runs the test provider inside the cluster's node, where pods reach it under its issuer, https://172.30.0.1:8443:
#
#   idp.sh start                          installs what is missing, starts it, waits until it answers
#   idp.sh token CLIENT RESOURCE [SCOPE]  prints an access token: idp.sh token reader orders orders.read
#   idp.sh rotate [keep]                  new signing keys; with keep the old ones stay published
#   idp.sh stop                           ends it, but keeps its keys
#
# Clients and resources are in config.json. Its state, with ca.crt for whoever has to trust it, is in the folder that
# `idp.sh dir` prints; it goes when the cluster goes.
set -euo pipefail
idp=$(cd "$(dirname "$0")" && pwd)
. "$idp/../../cluster/env.sh"
kn=$HERE/kn
export IDP_DIR=$RUN/idp IDP_ADDRESS=${IDP_ADDRESS:-$NODE_IP:8443}
export IDP_ISSUER=${IDP_ISSUER:-https://$IDP_ADDRESS}
socket=$IDP_DIR/admin.sock

fetch() { "$kn" curl -sS --fail-with-body -m 10 --cacert "$IDP_DIR/ca.crt" "$@"; }
admin() { curl -sS --fail-with-body -m 10 --unix-socket "$socket" "$@"; }

start() {
  [ "$idp/node_modules/.package-lock.json" -nt "$idp/package-lock.json" ] || (cd "$idp" && npm ci --no-progress >&2)
  [ -e "$IDP_DIR/tls.crt" ] || "$idp/tls.sh" "$IDP_DIR" "IP:$NODE_IP"
  setsid "$kn" node "$idp/idp.mjs" >>"$IDP_DIR/log" 2>&1 </dev/null &
  for _ in $(seq 100); do
    fetch -o /dev/null "https://$IDP_ADDRESS/.well-known/openid-configuration" 2>/dev/null && return
    sleep 0.1
  done
  tail -5 "$IDP_DIR/log" >&2
  die "the provider does not answer on $IDP_ADDRESS"
}

token() { # CLIENT RESOURCE [SCOPE]; a secret is in config.json, for a test provider has none to keep
  local secret answer
  secret=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).clients[process.argv[2]]?.secret ?? ""' "$idp/config.json" "$1")
  [ -n "$secret" ] || die "no client $1 in $idp/config.json"
  answer=$(fetch -u "$1:$secret" -d grant_type=client_credentials -d "resource=urn:bearerguard:$2" ${3:+-d "scope=$3"} \
    "https://$IDP_ADDRESS/token") || die "$1 gets no token for $2: $answer"
  node -p 'JSON.parse(process.argv[1]).access_token' "$answer"
}

case ${1:-} in
start) admin http://idp/ >/dev/null 2>&1 || start ;;
token) token "${@:2}" ;;
rotate) admin -X POST "http://idp/rotate${2:+?keep}" ;;
stop) [ ! -S "$socket" ] || admin -X POST http://idp/stop >/dev/null || rm -f "$socket" ;;
dir) echo "$IDP_DIR" ;;
*) die "usage: idp.sh start | token CLIENT RESOURCE [SCOPE] | rotate [keep] | stop | dir" ;;
esac
