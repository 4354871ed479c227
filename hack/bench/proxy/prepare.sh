#!/bin/bash
# prepare.sh DIR: installs what bench-proxy compares with, if root may (Debian), or names what is missing; then builds the
# load generator, the app, the Go peer and the program that runs them all into DIR.
set -euo pipefail
dir=$(realpath -m "$1")
cd "$(dirname "$0")"

# command:package
needed=(gcc:gcc haproxy:haproxy nginx:nginx h2load:nghttp2-client taskset:util-linux)
missing=()
for pair in "${needed[@]}"; do
  PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)

# install PACKAGES: without starting the services that packages bring.
install() {
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=1
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" || { [ -z $made ] || rm $policy; return 1; }
  [ -z $made ] || rm $policy
}

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "bench-proxy needs these packages: ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  install "${missing[@]}"
fi

# Only the row of nginx with Lua needs these; without them it is left out.
lua=(libnginx-mod-http-lua lua-luaossl lua-cjson)
if [ "$(dpkg-query -W -f '${db:Status-Abbrev}\n' "${lua[@]}" 2>/dev/null | grep -c '^ii')" != ${#lua[@]} ] && [ "$(id -u)" = 0 ]; then
  echo "installing ${lua[*]}" >&2
  install "${lua[@]}" || echo "the row of nginx with Lua is left out: no ${lua[*]}" >&2
fi

mkdir -p "$dir"
for program in upstream load spin; do
  gcc -O2 -Wall -Wextra -Werror -o "$dir/$program" "c/$program.c"
done
CGO_ENABLED=0 go build -trimpath -o "$dir/peer" ./peer
CGO_ENABLED=0 go build -trimpath -o "$dir/calls" ./calls
CGO_ENABLED=0 go build -trimpath -o "$dir/idle" ./idle
CGO_ENABLED=0 go build -trimpath -o "$dir/bench-proxy" .
