# shellcheck shell=bash
# What the end-to-end checks share. Sourced by run.sh.
pass=0 fail=0
: "${LIMIT_MS:=1000}" # how soon a change must bite

kn() { hack/cluster/kn "$@"; }
k() { kn kubectl -n shop "$@"; }
kb() { kn kubectl -n bearerguard-system "$@"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

ok() { pass=$((pass + 1)); echo "ok   $*"; }
not_ok() { fail=$((fail + 1)); echo "FAIL $*"; }

# check WHAT REGEXP COMMAND...: the command's output has a line that fits.
check() {
  local what=$1 want=$2 out
  shift 2
  out=$("$@" 2>&1)
  if grep -qE -e "$want" <<<"$out"; then ok "$what"; else not_ok "$what: want $want, got: $(tail -n5 <<<"$out")"; fi
}

# soon WHAT REGEXP COMMAND...: the same, within LIMIT_MS from now; prints how long it took.
soon() {
  local what=$1 want=$2 start out took
  start=$(now_ms)
  shift 2
  while :; do
    out=$("$@" 2>&1)
    took=$(($(now_ms) - start))
    if grep -qE -e "$want" <<<"$out"; then
      if [ "$took" -le "$LIMIT_MS" ]; then ok "$what ($took ms)"; else not_ok "$what: took $took ms; at most $LIMIT_MS"; fi
      return
    fi
    if [ "$took" -gt $((LIMIT_MS + 20000)) ]; then not_ok "$what: not after $took ms: $(tail -n3 <<<"$out")"; return; fi
    sleep 0.02
  done
}

# until_ok SECONDS COMMAND...: waits for set-up to be done; the check that follows tells if it was not.
until_ok() {
  local end=$((SECONDS + $1))
  shift
  while [ $SECONDS -lt $end ]; do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  return 1
}

# ask URL [TOKEN [CURL OPTION...]]: prints "CODE BODY" of a request made from the node.
ask() {
  local url=$1 token=${2:-}
  shift; [ $# = 0 ] || shift
  kn curl -sS -m 10 -w ' %{http_code}' ${token:+-H "Authorization: Bearer $token"} "$@" "$url" |
    tr '\n' ' ' | sed -E 's/^(.*) ([0-9]{3})$/\2 \1/'
  echo
}

# reachable URL: waits until it answers at all; kube-proxy follows the pods' readiness, some moments behind.
reachable() { until_ok 30 kn curl -s -m 2 -o /dev/null "$1"; }

token() { hack/e2e/idp/idp.sh token "$@"; }
pod_of() { k get pods -l "app=$1" --field-selector=status.phase=Running -o "jsonpath={.items[0].$2}"; }
