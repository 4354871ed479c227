#!/bin/bash
# Prints what somebody needs who reads a failed run: pods, policies, events and the ends of the logs.
cd "$(dirname "$0")/../.." || exit 1
kn() { hack/cluster/kn "$@" 2>&1; }
echo "--- diagnosis"
kn kubectl get pods -A -o wide
kn kubectl get authpolicies -A -o yaml | tail -n 80
kn kubectl get events -A --sort-by=.lastTimestamp | tail -n 30
kn kubectl -n bearerguard-system logs -l app.kubernetes.io/name=bearerguard --tail=60
kn kubectl -n shop logs -l app=orders -c bearerguard --tail=40
kn kubectl -n shop logs -l app=orders -c bearerguard-capture --tail=5
exit 0
