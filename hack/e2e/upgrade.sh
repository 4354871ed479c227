# shellcheck shell=bash
# The sidecars of running pods get another image while requests of all kinds run through the Service; not one may fail, and no app
# restarts. Then what cannot work: it goes back.
bg() { kn bin/bearerguard "$1" -n shop "${@:2}"; }
sidecars() { k get pods -l app=orders -o 'jsonpath={range .items[*]}{.spec.initContainers[?(@.name=="bearerguard")].image} {end}'; }
restarts() { k get pods -l app=orders -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount} {end}'; }
uids() { k get pods -l app=orders -o 'jsonpath={.items[*].metadata.uid}'; }
# upgrading ARGUMENT...: upgrade-sidecars under load; prints what both say, and "exit CODE" between them.
upgrading() {
  { sleep 1; bg upgrade-sidecars "$@" 2>&1; echo "exit $?"; } | kn "${BIN:-$PWD/bin}/e2e-app" load "$url" "$both" 2>&1
}

image=bearerguard.local/bearerguard
hack/cluster/load.sh "$image:next" "${BIN:-$PWD/bin}/controller" "${BIN:-$PWD/bin}/sidecar" >/dev/null 2>&1
both=$(token writer orders orders.read)
until_ok 60 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders --field-selector=status.phase=Running -o name | wc -l)" = 2 ]'
before=$(uids) restarted=$(restarts) generation=$(k get deploy orders -o 'jsonpath={.metadata.generation}')
check "upgrade: helm has new pods get the next image" "STATUS: deployed" kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system \
  --reuse-values --set sidecar.image.tag=next --wait --timeout 90s
# For a moment a controller of before, which is about to go, may still answer what image new pods get.
until_ok 20 bash -c 'hack/cluster/kn bin/bearerguard upgrade-sidecars --dry-run -n shop | grep -q "^0 of 2 sidecars have"'
check "upgrade: a dry run finds both pods" "^0 of 2 sidecars have $image:next" bg upgrade-sidecars --dry-run
upgraded=$(upgrading --max-unavailable 1)
sed 's/^/     /' <<<"$upgraded"
check "upgrade: it says that both have it" "^2 of 2 sidecars have $image:next" cat <<<"$upgraded"
check "upgrade: and ends well" "^exit 0$" cat <<<"$upgraded"
check "upgrade: not one request failed: $(tail -n1 <<<"$upgraded")" "^[1-9][0-9]{3,} requests, 0 failed$" tail -n1 <<<"$upgraded"
check "upgrade: the pods have the image" "^$image:next $image:next $" sidecars
check "upgrade: they are the same pods" "^$before$" uids
check "upgrade: no app restarted" "^$restarted$" restarts
check "upgrade: the workload is as it was" "^$generation$" k get deploy orders -o 'jsonpath={.metadata.generation}'
check "upgrade: once more, there is nothing to do" "^2 of 2 sidecars have" bg upgrade-sidecars
check "upgrade: no trial is left" "^0$" bash -c "hack/cluster/kn kubectl -n shop get pods -o name | grep -c bearerguard-trial || true"
check "upgrade: the policy is in force everywhere" "orders +Enforce +True +True +2/2 +0" k get bap

# cannot ARGUMENT...: an upgrade to an image that there is not, under load; WHAT is what it says.
cannot() {
  local what=$1 failed
  shift
  failed=$(upgrading --image "$image:none" "$@")
  sed 's/^/     /' <<<"$failed"
  check "upgrade: to an image that there is not: $what" "$what" cat <<<"$failed"
  check "upgrade: that is an error" "^exit 1$" cat <<<"$failed"
  check "upgrade: not one request failed meanwhile: $(tail -n1 <<<"$failed")" "^[1-9][0-9]{3,} requests, 0 failed$" tail -n1 <<<"$failed"
  check "upgrade: the pods have the image that works" "^$image:next $image:next $" sidecars
  check "upgrade: they are still the same pods" "^$before$" uids
  check "upgrade: no app restarted" "^$restarted$" restarts
}
cannot "does not work on node .*; it runs as before"
# Without a trial, it is found out when the sidecar is gone already: an app whose liveness probe bears that.
k patch deployment orders --type=json -p '[{"op":"remove","path":"/spec/template/spec/containers/0/livenessProbe"}]' >/dev/null
check "upgrade: an app without a liveness probe rolls out" "successfully rolled out" k rollout status deploy/orders --timeout=90s
until_ok 60 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders -o name | wc -l)" = 2 ]'
before=$(uids) restarted=$(restarts)
cannot "went back after" --no-trial

kn kubectl label namespace shop bearerguard.dev/enforce=true >/dev/null
# dry: whether the API server would take another image for a pod's sidecar.
dry() {
  k patch pod "$(pod_of orders metadata.name)" --dry-run=server --type=strategic \
    -p "{\"metadata\":{\"annotations\":$2},\"spec\":{\"initContainers\":[{\"name\":\"bearerguard\",\"image\":\"$1\"}]}}"
}
until_ok 20 bash -c "! $(declare -f k kn pod_of dry); dry evil.example/x:1 '{}'"
check "upgrade: where sidecars are enforced, no other image is taken" "to $image:next alone" dry evil.example/x:1 '{}'
check "upgrade: nor noted as the former one" "is not the image that" dry "$image:next" '{"bearerguard.dev/former-image":"evil.example/x:1"}'
check "upgrade: the one that new pods get is" "patched" dry "$image:next" '{}'
kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system --reuse-values --set sidecar.image.tag=dev --wait --timeout 90s >/dev/null
until_ok 20 bash -c 'hack/cluster/kn bin/bearerguard upgrade-sidecars --dry-run -n shop | grep -q "^0 of 2 sidecars have"' # as above
check "upgrade: the Role of docs/upgrades.md" "created" bash -c "awk '/^\`\`\`\$/ {on = 0} on; /^\`\`\`yaml\$/ {on = 1}' docs/upgrades.md | hack/cluster/kn kubectl apply -f -"
k create rolebinding upgrades-sidecars --role=upgrades-sidecars --user=ops >/dev/null
check "upgrade: helm's rollback, and the sidecars after it by who has that Role" "^2 of 2 sidecars have $image:dev" bg upgrade-sidecars deploy/orders --as ops
kn kubectl label namespace shop bearerguard.dev/enforce- >/dev/null

k create poddisruptionbudget all --selector=app=orders --min-available=2 >/dev/null
until_ok 20 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pdb all -o "jsonpath={.status.expectedPods}")" = 2 ]'
check "upgrade: a budget that lets no pod be away is honoured" "PodDisruptionBudget all wants 2 of 2" bg upgrade-sidecars --image "$image:next"
k delete poddisruptionbudget all >/dev/null
