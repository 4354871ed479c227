#!/bin/bash
# curl as a client, for the matrix: curl.sh ADDRESS METHOD prints a line for each case. The folder it
# runs in has bodies of 0, 1K and 10M.
set -euo pipefail
address=$1 method=$2

ask() { curl -sS -m 30 --http1.1 -o body -D head -w '%{http_code}' "${@:2}" "http://$address$1"; }
field() { sed -n "s/^$1: \(.*\)\r\$/\1/Ip" head | tail -n1; }
digest() { echo "$(stat -c %s "$1") $(sha256sum "$1" | head -c 16)"; }

upload() { # NAME FILE [ARGS]
  local status path=/open/stored/curl-$1
  status=$(ask "$path" -X "$method" --data-binary "@$2" -H Content-Type: "${@:3}")
  ask "$path" >/dev/null
  echo "$1 ${status:0:1} $(digest body)"
}

echo "get $(ask /open/hello) $(cat body)"
rm -f body
echo "head $(ask /open/hello -I) $(field Content-Length) 0"
for size in 0 1K 10M; do
  upload "body-$size-length" "$size" -H Expect:
  upload "body-$size-chunked" "$size" -H Expect: -H 'Transfer-Encoding: chunked'
done
ask /open/file >/dev/null
since=$(field Last-Modified)
: >body
echo "not-modified $(ask /open/file -H "If-Modified-Since: $since") $(stat -c %s body)"
status=$(ask /open/text.txt -H 'Accept-Encoding: gzip')
gzip -dc <body >unpacked
echo "gzip $status $(field Content-Encoding) $(digest unpacked)"
echo "range $(ask /open/file -r 10-19) $(field Content-Range) $(cat body)"
upload expect 1K -H 'Expect: 100-continue'
echo "trailers $(ask /open/trailers) $(cat body) X-Sum=$(field X-Sum)"
echo "reuse $(curl -sS -m 30 --http1.1 -o body -o body -w '%{http_code} %{num_connects}\n' "http://$address/open/hello" "http://$address/open/hello" |
  tr '\n' ' ' | sed 's/^\(.*\) 1 \(.*\) 0 $/\1 \2 True/')"
[ "$method" = POST ] || exit 0
echo "events $(curl -sSN -m 30 --http1.1 "http://$address/open/events" | while IFS= read -r line; do
  [ -n "$line" ] || continue
  echo "$line"
  curl -sS -m 30 -o /dev/null "http://$address/open/next"
done | paste -sd,)"
