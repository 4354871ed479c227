# shellcheck shell=bash disable=SC2034 # read by those who source it
# Parameters of the test cluster. Sourced by every script in this folder; changes nothing but variables.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${BEARERGUARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bearerguard} # outlives a clone: a cold build takes minutes
BIN=$CACHE/bin                                                            # what build.sh makes
IMAGES=$CACHE/images                                                      # OCI archives imported when the node starts
NODE=${CLUSTER_NODE:-node1}                                               # another name gives another cluster beside it
RUN=$CACHE/run/$NODE                                                      # all state of the running node
CGROUP=bearerguard-$NODE                                                  # made below the caller's own, in each v1 hierarchy
CGROUPS="cpu cpuacct cpuset memory devices freezer blkio pids"
TIMEOUT=${CLUSTER_TIMEOUT:-90} # seconds for the node to be Ready

# Every address below exists only inside the node's own network namespace.
NODE_IP=172.30.0.1
NODE_NET=172.30.0.0/24
POD_CIDR=10.244.0.0/24
SVC_CIDR=10.96.0.0/16
API_IP=10.96.0.1 # first of SVC_CIDR
DNS_IP=10.96.0.10

case $(uname -m) in
x86_64) ARCH=amd64 ;;
aarch64 | arm64) ARCH=arm64 ;;
*) ARCH=$(uname -m) ;;
esac

die() { echo "cluster: $*" >&2; exit 1; }

# running: whether the node's PID 1 is there (a number alone may have passed to another process).
running() { [ -s "$RUN/pid" ] && grep -qs node/init.sh "/proc/$(<"$RUN/pid")/cmdline"; }
