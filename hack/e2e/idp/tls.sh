#!/bin/bash
# tls.sh DIR SAN: a test CA (ca.crt) and a certificate it signed (tls.crt, tls.key); SAN as openssl spells it: IP:172.30.0.1,DNS:idp.
set -euo pipefail
[ "$#" = 2 ] || { echo "usage: tls.sh DIR SAN" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
umask 077
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
new_key ca.key
openssl req -x509 -new -key ca.key -subj "/CN=test CA" -days 30 -out ca.crt
new_key tls.key
openssl req -new -key tls.key -subj /CN=idp |
  openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out tls.crt \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$2") 2>/dev/null
rm -f ca.srl
chmod 644 ca.crt tls.crt
