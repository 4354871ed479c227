# shellcheck shell=bash
# The release before and this one side by side, as docs/upgrades.md has it: its sidecars with this controller, and these sidecars with
# its controller. SKEW_FROM is the former release, as git knows it; default: the last tag before this commit. Without one there is nothing to run.
skew_from=${SKEW_FROM:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 'HEAD^' 2>/dev/null)}

# skew_made FOLDER IMAGE...: the programs of a commit, as an image.
skew_made() {
  git worktree add -q --detach "$1" "$skew_from" &&
    make -s -C "$1" build BIN="$1/bin" &&
    hack/cluster/load.sh "$2" "$1/bin/controller" "$1/bin/sidecar"
}

# skew_works WHAT: the sidecars enforce what the controller says, an edit too, and say so.
skew_works() {
  local token
  token=$(token reader orders orders.read)
  k apply -f hack/e2e/manifests/policy.yaml >/dev/null
  k rollout restart deployment orders >/dev/null
  check "skew: $1: the workload rolls out" "successfully rolled out" k rollout status deploy/orders --timeout=120s
  until_ok 60 bash -c '[ "$(hack/cluster/kn kubectl -n shop get pods -l app=orders --field-selector=status.phase=Running -o name | wc -l)" = 2 ]'
  reachable "$url"
  check "skew: $1: without a token, 401" "^401" ask "$url/orders"
  check "skew: $1: with one, 200" "^200" ask "$url/orders" "$token"
  check "skew: $1: the policy is Programmed" "condition met" k wait --for=condition=Programmed authpolicy/orders --timeout=60s
  k patch authpolicy orders --type=json -p '[{"op":"add","path":"/spec/rules/-","value":{"name":"skew","match":[{"methods":["PUT"]}],"allow":{"scopes":["orders.read"]}}}]' >/dev/null
  soon "skew: $1: an edit is enforced" "^200" ask "$url/orders/7" "$token" -X PUT
  k apply -f hack/e2e/manifests/policy.yaml >/dev/null
  soon "skew: $1: and taken back" "^403" ask "$url/orders/7" "$token" -X PUT
  check "skew: $1: every sidecar has acknowledged it" "orders +Enforce +True +True +2/2 +0" k get bap
}

skew_run() {
  local dir
  dir=$(mktemp -d)/former
  if ! skew_made "$dir" bearerguard.local/bearerguard:former >/dev/null 2>&1; then
    not_ok "skew: $skew_from does not build"
    return
  fi
  check "skew: this controller has new pods get $skew_from's sidecar" "STATUS: deployed" kn helm upgrade --install bearerguard \
    charts/bearerguard -n bearerguard-system --create-namespace --reset-values --set image.repository=bearerguard.local/bearerguard \
    --set image.tag=dev --set sidecar.image.tag=former --wait --timeout 90s
  skew_works "$skew_from's sidecars, this controller"
  check "skew: $skew_from's chart and controller, this release's sidecar and definitions" "STATUS: deployed" kn helm upgrade bearerguard \
    "$dir/charts/bearerguard" -n bearerguard-system --reset-values --set image.repository=bearerguard.local/bearerguard --set image.tag=former \
    --set sidecar.image.tag=dev --set crds.install=false --wait --timeout 90s
  skew_works "this release's sidecars, $skew_from's controller"
  check "skew: and up again" "STATUS: deployed" kn helm upgrade bearerguard charts/bearerguard -n bearerguard-system --reset-values \
    --set image.repository=bearerguard.local/bearerguard --set image.tag=dev --wait --timeout 90s
  skew_works "this release alone"
  git worktree remove --force "$dir"
}

if [ -z "$skew_from" ]; then echo "there is no release before this one: nothing runs beside it"; else skew_run; fi
