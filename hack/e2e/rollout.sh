# shellcheck shell=bash
# Every pod is replaced, twice, while requests of all kinds run through the Service; not one may fail. The load ends with
# its input, which it prints, so that what the rollouts say is in front of its own sum.
roll() {
  for _ in 1 2; do
    k rollout restart deployment/orders
    k rollout status deployment/orders --timeout=90s
  done
  until_ok 40 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders -o name | wc -l)" = 2 ]'
}
before=$(k get pods -l app=orders -o 'jsonpath={.items[*].metadata.uid}')
both=$(token writer orders orders.read)
rolled=$({ sleep 1; roll 2>&1; } | kn "${BIN:-$PWD/bin}/e2e-app" load "$url" "$both" 2>&1)
sed 's/^/     /' <<<"$rolled"
check "the pods were replaced twice while requests ran" "^2$" grep -c "successfully rolled out" <<<"$rolled"
check "none of those from before is left" "^0$" bash -c "grep -cFf <(tr ' ' '\n' <<<'$before') <<<'$(k get pods -l app=orders -o 'jsonpath={.items[*].metadata.uid}')' || true"
check "not one request failed: $(tail -n1 <<<"$rolled")" "^[1-9][0-9]{3,} requests, 0 failed$" tail -n1 <<<"$rolled"
check "WebSockets were told to go by a close frame" "^WebSocket .* [1-9][0-9]* told to go, 0 failed$" cat <<<"$rolled"
