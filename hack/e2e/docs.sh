# shellcheck shell=bash
# docs/getting-started.md, as it is printed: a newcomer on the project's own node, whose home is empty but for what Go keeps.
kn helm uninstall bearerguard -n bearerguard-system --wait >/dev/null 2>&1
kn kubectl delete namespace shop --ignore-not-found --wait >/dev/null 2>&1
walked=$(
  CACHE=$(. hack/cluster/env.sh && echo "$CACHE")
  eval "$(go env GOCACHE GOMODCACHE GOPATH | paste -sd' ' | awk '{print "export GOCACHE=" $1 " GOMODCACHE=" $2 " GOPATH=" $3}')"
  HOME=$(mktemp -d)
  export HOME BEARERGUARD_CACHE=$CACHE PATH=$HOME/.local/bin:$PATH NO_COLOR=1 LC_ALL=C.UTF-8
  go run ./hack/walk/walk -first 'shopt -s expand_aliases' docs/getting-started.md \
    "#### The project's own node" '### Install Bearerguard' '### Deploy an app and guard it' '### Ask it' '### See why' 2>&1
  rm -rf "$HOME" answer.txt token.txt
)
while IFS= read -r line; do
  case $line in
  "ok   "*) ok "${line#ok   }" ;;
  "FAIL "*) not_ok "${line#FAIL }" ;;
  *) echo "     $line" ;;
  esac
done <<<"$walked"
