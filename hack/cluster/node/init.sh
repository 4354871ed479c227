#!/bin/bash
# PID 1 of the node: its private mounts, its network and all its daemons. Started by up.sh only.
set -euo pipefail
. "$(dirname "$0")/../env.sh"
export PATH=$BIN:$PATH KUBECONFIG=$RUN/conf/admin.kubeconfig KUBECACHEDIR=$RUN/kubectl-cache

# Private to this mount namespace, and gone when its last process ends.
mounts() {
  local c d
  mount --make-rshared /
  umount -R -l /sys
  mount -t sysfs sysfs /sys
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for c in $CGROUPS name=systemd; do
    d=/sys/fs/cgroup/${c#name=}
    mkdir "$d"
    [ "$c" != name=systemd ] || c=none,$c
    mount -t cgroup -o "$c" cgroup "$d"
  done
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock
  mount --bind "$RUN/var-lib" /var/lib
  mount --bind "$RUN/var-log" /var/log
}

# kubelet wants these kernel settings: it is shown files that say so, and the machine's own stay as they are.
sysctls() {
  local setting file
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$RUN/sysctl/$(echo "${setting%=*}" | tr / .)
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
  done
}

# An address for the node, and a route without which the node itself could not dial service addresses.
network() {
  hostname "$NODE"
  ip link set lo up
  ip link add node0 type bridge
  ip addr add "$NODE_IP/${NODE_NET#*/}" dev node0
  ip link set node0 up
  ip route add "$SVC_CIDR" dev node0 src "$NODE_IP"
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

run() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$RUN/log/$name.log" 2>&1 &
}

until_ok() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "never ok: $*"
  exit 1
}

start_apiserver() {
  local pki=$RUN/pki issuer=https://kubernetes.default.svc.cluster.local
  run etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  run apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address="$NODE_IP" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" --kubelet-client-key="$pki/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer="$issuer" --service-account-jwks-uri="$issuer/openid/v1/jwks" \
    --service-account-signing-key-file="$pki/sa.key" --service-account-key-file="$pki/sa.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-cluster-ip-range="$SVC_CIDR" --allow-privileged
}

start_containerd() {
  local i
  run containerd containerd --config "$RUN/conf/containerd.toml"
  until_ok ctr version
  for i in "$IMAGES"/*.tar; do ctr -n k8s.io images import "$i"; done
}

# --kube-api-qps: the controller manager makes a token per controller, which takes 5 s at its own pace.
start_controllers() {
  until_ok kubectl get --raw /readyz
  run kcm kube-controller-manager --kubeconfig="$RUN/conf/kcm.kubeconfig" --root-ca-file="$RUN/pki/ca.crt" \
    --service-account-private-key-file="$RUN/pki/sa.key" --use-service-account-credentials --leader-elect=false \
    --kube-api-qps=500 --kube-api-burst=1000 --flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins \
    --cluster-signing-cert-file="$RUN/pki/ca.crt" --cluster-signing-key-file="$RUN/pki/ca.key"
  run scheduler kube-scheduler --kubeconfig="$RUN/conf/scheduler.kubeconfig" --leader-elect=false
  run kubelet kubelet --config="$RUN/conf/kubelet.yaml" --kubeconfig="$RUN/conf/kubelet.kubeconfig" \
    --hostname-override="$NODE" --node-ip="$NODE_IP"
  run proxy kube-proxy --config="$RUN/conf/proxy.yaml"
}

mounts
sysctls
network
start_apiserver
start_containerd
start_controllers
touch "$RUN/started"
sed "s/DNS_IP/$DNS_IP/" "$HERE/node/dns.yaml" | kubectl apply -f -
while :; do # reaps orphans as well
  wait || true
  sleep 1
done
