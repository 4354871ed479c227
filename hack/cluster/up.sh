#!/bin/bash
# Starts a one-node Kubernetes cluster and waits until it can run pods: etcd, a control plane, containerd, kubelet and
# kube-proxy in one set of private namespaces (net, mount, pid, uts, ipc, cgroup) whose PID 1 is node/init.sh.
# Writes nothing outside $CACHE; the node has no route out. Does nothing when the node runs already.
# CLUSTER=kind makes a kind cluster instead, for machines with Docker.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$HERE/node/pki.sh"
. "$HERE/node/conf.sh"

up_kind() {
  command -v kind >/dev/null || die "CLUSTER=kind, but there is no kind in PATH"
  mkdir -p "$RUN/conf"
  touch "$RUN/kind"
  kind get clusters 2>/dev/null | grep -qx "$NODE" || kind create cluster --name "$NODE" --wait "${TIMEOUT}s"
  kind get kubeconfig --name "$NODE" >"$RUN/conf/admin.kubeconfig"
}

check_machine() {
  local c d
  [ "$(id -u)" = 0 ] || die "the node makes namespaces and cgroups, which takes root; CLUSTER=kind does not"
  for c in $CGROUPS; do
    [ -d "/sys/fs/cgroup/$c" ] || die "no cgroup v1 hierarchy for $c on this machine (cgroup2 only?); use CLUSTER=kind"
  done
  for d in "$HERE" "$CACHE"; do
    case $d/ in /run/* | /var/lib/* | /var/log/*) die "$d is hidden inside the node; set BEARERGUARD_CACHE, or clone, elsewhere" ;; esac
  done
}

# start_init gives the node a cgroup in each v1 hierarchy, starts its PID 1 and records it.
start_init() {
  (
    for c in $CGROUPS name=systemd; do
      d=/sys/fs/cgroup/${c#name=}$(sed -n "s/^[0-9]*:$c://p" /proc/self/cgroup)
      d=${d%/}/$CGROUP
      mkdir -p "$d"
      echo "$d" >>"$RUN/cgroups"
      [ "$c" != cpuset ] || for f in cpuset.cpus cpuset.mems; do cat "${d%/*}/$f" >"$d/$f"; done
      echo $BASHPID >"$d/cgroup.procs"
    done
    exec setsid unshare --net --mount --propagation private --pid --uts --ipc --cgroup --fork --kill-child --mount-proc \
      bash "$HERE/node/init.sh" >"$RUN/log/init.log" 2>&1 </dev/null
  ) 8>&- &
  local outer=$! pid=
  for _ in $(seq 100); do # once the subshell has become unshare, its child is the node's PID 1
    [ "$(cat /proc/$outer/comm)" != unshare ] || pid=$(cat "/proc/$outer/task/$outer/children")
    [ -z "$pid" ] || break
    sleep 0.05
  done
  [ -n "$pid" ] || die "the node did not start: $(tail -3 "$RUN/log/init.log")"
  echo "${pid% }" >"$RUN/pid"
}

wait_ready() {
  local k="$HERE/kn kubectl"
  for _ in $(seq $((TIMEOUT * 5))); do
    running || { tail -5 "$RUN/log/init.log" >&2; die "the node died; see $RUN/log"; }
    if [ -e "$RUN/started" ] && $k wait --for=condition=Ready "node/$NODE" --timeout=1s >/dev/null 2>&1 &&
      $k get serviceaccount default >/dev/null 2>&1; then
      return
    fi
    sleep 0.2
  done
  die "not Ready after $TIMEOUT s; see $RUN/log"
}

up_node() {
  running && return
  check_machine
  "$HERE/deps.sh" >&2
  "$HERE/build.sh" node
  exec 8>"$CACHE/up-$NODE.lock" # of two that start it at once, the second finds it running
  flock 8
  running && return
  "$HERE/down.sh" >/dev/null # what a crashed run left
  mkdir -p "$RUN"/{pki,conf,log,var-lib,var-log,sysctl,cni}
  write_pki
  write_conf
  start_init
  wait_ready
}

start=${EPOCHREALTIME/[.,]/} # microseconds
if [ "${CLUSTER:-}" = kind ]; then up_kind; else up_node; fi
echo "cluster $NODE is up after $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
cat <<EOF
  $HERE/kn kubectl get pods -A
  $HERE/kn helm list -A
  eval "alias kubectl='$HERE/kn kubectl' helm='$HERE/kn helm'"
EOF
