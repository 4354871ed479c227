# shellcheck shell=bash disable=SC2154 # env.sh sets what is read here
# Certificates and kubeconfigs of the node; sourced by up.sh.

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

cert() { # NAME SUBJECT [SAN]
  new_key "$1"
  openssl req -new -key "$1.key" -subj "$2" | openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 \
    -extfile <(echo "extendedKeyUsage=serverAuth,clientAuth"; echo "${3:+subjectAltName=$3}") -out "$1.crt" 2>/dev/null
}

kubeconfig() { # NAME
  cat >"$RUN/conf/$1.kubeconfig" <<EOF
{apiVersion: v1, kind: Config, current-context: c,
 clusters: [{name: c, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $RUN/pki/ca.crt}}],
 users: [{name: u, user: {client-certificate: $RUN/pki/$1.crt, client-key: $RUN/pki/$1.key}}],
 contexts: [{name: c, context: {cluster: c, user: u}}]}
EOF
}

write_pki() (
  api=DNS:kubernetes
  cd "$RUN/pki" || exit
  new_key ca
  openssl req -x509 -new -key ca.key -subj /CN=kube-ca -days 3650 -out ca.crt
  openssl genrsa -out sa.key 2048 2>/dev/null
  api=DNS:localhost,$api,$api.default,$api.default.svc,$api.default.svc.cluster.local,IP:127.0.0.1,IP:$NODE_IP,IP:$API_IP
  cert apiserver /CN=kube-apiserver "$api"
  cert apiserver-kubelet-client /O=system:masters/CN=apiserver-kubelet-client
  cert kubelet-serving "/CN=$NODE" "DNS:$NODE,IP:$NODE_IP"
  while read -r name subject; do
    cert "$name" "$subject"
    kubeconfig "$name"
  done <<EOF
admin /O=system:masters/CN=admin
kcm /CN=system:kube-controller-manager
scheduler /CN=system:kube-scheduler
proxy /CN=system:kube-proxy
kubelet /O=system:nodes/CN=system:node:$NODE
EOF
)
