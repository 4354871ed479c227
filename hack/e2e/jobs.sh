# shellcheck shell=bash
# A Job with a sidecar ends when its own container does.
check "a Job is created" "created" k apply -f hack/e2e/manifests/job.yaml
soon "it has a sidecar" "bearerguard" k get pods -l app=report -o 'jsonpath={.items[0].spec.initContainers[*].name}'
check "it completes" "condition met" k wait --for=condition=Complete job/report --timeout=60s
check "nothing secret is in the logs of the controller" "^0$" bash -c "hack/cluster/kn kubectl -n bearerguard-system logs -l app.kubernetes.io/name=bearerguard --tail=-1 | grep -cE 'eyJ[A-Za-z0-9_-]{10}' || true"
check "nor in a sidecar's" "^0$" bash -c "hack/cluster/kn kubectl -n shop logs -l app=orders -c bearerguard --tail=-1 | grep -cE 'eyJ[A-Za-z0-9_-]{10}' || true"
