#!/bin/bash
# Ends the cluster. Killing the node's PID 1 ends every process in its pid namespace, and with them its mounts, its network
# and its packet filter rules; what is left are its cgroups and its state, which are removed here. Safe to run at any time.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ -e "$RUN/kind" ]; then
  kind delete cluster --name "$NODE"
fi

if running; then
  pid=$(<"$RUN/pid")
  kill -9 "$pid"
  for _ in $(seq 100); do
    [ -d "/proc/$pid" ] || break
    sleep 0.1
  done
fi

if [ -s "$RUN/cgroups" ]; then
  while read -r dir; do
    for _ in $(seq 50); do # the kernel lets go of them a little after the processes are gone
      [ -d "$dir" ] || break
      find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    [ ! -d "$dir" ] || echo "left: $dir" >&2
  done <"$RUN/cgroups"
fi

rm -rf --one-file-system "$RUN"
echo "cluster $NODE is down"
