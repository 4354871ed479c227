#!/bin/bash
# Builds what a Kubernetes API server (assets) or a whole node (node) runs, and other servers that tests run, from the Go modules
# pinned in mod/*/go.mod, certmanager/go.mod and ../interop/hydra/go.mod.
#
#   build.sh assets   etcd, kube-apiserver, kubectl; needs Go alone. Prints the folder for KUBEBUILDER_ASSETS on stdout.
#                     Prefers $KUBEBUILDER_ASSETS, then what setup-envtest has downloaded, over a build of its own.
#   build.sh helm     helm; needs Go alone. Prints its path on stdout.
#   build.sh hydra    Ory Hydra, with SQLite; needs Go and a C compiler. Prints its path on stdout.
#   build.sh cert-manager   cert-manager's controller, cainjector and webhook; needs Go alone. Prints a path on stdout, of a binary that is the one of
#                     them by whose name it is called: beside it are links, PATH-controller, PATH-cainjector and PATH-webhook.
#   build.sh built X  builds nothing: fails unless hydra, helm or cert-manager (X) is up to date; prints its path on stdout.
#   build.sh node     those three and everything else the node runs; needs the packages that deps.sh installs.
#
# A file is rebuilt only when its go.mod, go.sum, flags or the Go version change. Progress goes to stderr.
set -euo pipefail
. "$(dirname "$0")/env.sh"

KUBE_VERSION=$(sed -n 's,^.*k8s.io/kubernetes \(v[0-9.]*\).*,\1,p' "$HERE/mod/kube/go.mod" | head -1)
VERSION_PKG=k8s.io/component-base/version # unset, clients cannot parse the server's version
KUBE_LDFLAGS="-s -w -X $VERSION_PKG.gitVersion=$KUBE_VERSION -X $VERSION_PKG.gitMajor=1 -X $VERSION_PKG.gitMinor=$(cut -d. -f2 <<<"$KUBE_VERSION")"
export GOFLAGS="-buildvcs=false -trimpath -mod=readonly" CGO_ENABLED=0 GOWORK=off

# go_version reads the toolchain's VERSION file, which costs nothing; `go env` is the way round a distribution without one.
go_version() {
  local root
  root=$(dirname "$(dirname "$(readlink -f "$(command -v go)")")")
  head -1 "$root/VERSION" 2>/dev/null || go env GOVERSION
}

# key FOLDER WORD...: one hash over a folder's module files and sources and everything that shapes the build.
key() {
  local dir=$1
  shift
  { cat "$dir"/go.mod "$dir"/go.sum "$dir"/*.go "$dir"/*.c 2>/dev/null || true; echo "$GO_VERSION $ARCH $CGO_ENABLED $GOFLAGS $*"; } | sha256sum | cut -d' ' -f1
}

# step NAME FOLDER OUT COMMAND...: runs COMMAND in FOLDER unless OUT exists and was made by the same inputs.
step() {
  local name=$1 dir=$2 out=$3 key start=$SECONDS
  shift 3
  key=$(key "$dir" "${*//$HERE\//}") # the same for every clone
  [ "$(cat "$CACHE/stamp/$name" 2>/dev/null)" != "$key" ] || [ ! -e "$out" ] || return 0
  if [ -n "${CHECK_ONLY:-}" ]; then STALE=1; return 0; fi
  mkdir -p "$(dirname "$out")" "$CACHE/stamp"
  rm -f "$CACHE/stamp/$name"
  (cd "$dir" && "$@") || die "build $name"
  echo "$key" >"$CACHE/stamp/$name"
  echo "$name $((SECONDS - start)) s" >&2
}

# download tries three times: the module cache keeps each module that arrived, so a try goes on where the last one ended.
download() {
  for _ in 1 2 3; do go mod download && return; sleep 2; done
  return 1
}

compile() { download && nice -n 5 go build "$@"; }

go_tool() { # OUT FOLDER PACKAGE [FLAG...]
  local out=$1 dir=$2 pkg=$3
  shift 3
  step "${out##*/}" "$HERE/$dir" "$BIN/$out" compile "$@" -o "$BIN/$out" "$pkg"
}

build_assets() {
  go_tool etcd mod/kube go.etcd.io/etcd/server/v3 -ldflags "-s -w"
  go_tool kube-apiserver mod/kube k8s.io/kubernetes/cmd/kube-apiserver -ldflags "$KUBE_LDFLAGS"
  go_tool kubectl mod/kube k8s.io/kubernetes/cmd/kubectl -ldflags "$KUBE_LDFLAGS"
}

build_helm() { go_tool helm mod/helm helm.sh/helm/v3/cmd/helm -ldflags "-s -w"; }

build_cert-manager() {
  local c
  go_tool cert-manager certmanager . -ldflags "-s -w"
  [ -n "${CHECK_ONLY:-}" ] || for c in controller cainjector webhook; do ln -sf cert-manager "$BIN/cert-manager-$c"; done
}

build_hydra() {
  CGO_ENABLED=1 go_tool hydra ../interop/hydra github.com/ory/hydra/v2 -tags sqlite,sqlite_omit_load_extension -ldflags "-s -w"
}

build_node() {
  local c
  for c in kube-controller-manager kube-scheduler kubelet kube-proxy; do
    go_tool $c mod/kube k8s.io/kubernetes/cmd/$c -ldflags "$KUBE_LDFLAGS"
  done
  for c in containerd containerd-shim-runc-v2 ctr; do
    go_tool $c mod/node github.com/containerd/containerd/v2/cmd/$c -ldflags "-s -w"
  done
  for c in main/ptp ipam/host-local; do
    go_tool cni/${c#*/} mod/node github.com/containernetworking/plugins/plugins/$c -ldflags "-s -w"
  done
  CGO_ENABLED=1 go_tool runc mod/node github.com/opencontainers/runc -tags "seccomp netgo osusergo" -ldflags '-s -w -extldflags "-static"'
  go_tool coredns dns . -ldflags "-s -w"
  build_helm
  step pause "$HERE/node" "$BIN/pause" gcc -static -Os -s -o "$BIN/pause" pause.c
  for c in pause coredns; do
    step "$c.tar" "$HERE/$([ $c = pause ] && echo node || echo dns)" "$IMAGES/$c.tar" "$HERE/image.sh" "node.local/$c:1" "$IMAGES/$c.tar" "$BIN/$c"
  done
}

# ensure SCOPE: builds what is stale, one build at a time; two that are up to date never wait for each other.
ensure() {
  command -v go >/dev/null || die "go is not in PATH; install Go $(sed -n 's/^go //p' "$HERE/mod/node/go.mod") or newer"
  GO_VERSION=$(go_version)
  STALE=
  CHECK_ONLY=1 "build_$1"
  [ -n "$STALE" ] || return 0
  mkdir -p "$BIN"
  exec 9>"$CACHE/build-$1.lock"
  if command -v flock >/dev/null && ! flock -n 9; then
    echo "another build of $1 is running; waiting for it" >&2
    flock 9
  fi
  "build_$1"
  exec 9>&-
}

# built SCOPE: whether ensure would build nothing.
built() {
  GO_VERSION=$(go_version)
  STALE=
  CHECK_ONLY=1 "build_$1"
  [ -z "$STALE" ]
}

has_assets() { [ -x "$1/etcd" ] && [ -x "$1/kube-apiserver" ] && [ -x "$1/kubectl" ]; }

# find_assets prints a folder that somebody else filled: $KUBEBUILDER_ASSETS, or the newest of setup-envtest's.
find_assets() {
  local dir
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && has_assets "$KUBEBUILDER_ASSETS"; then
    echo "$KUBEBUILDER_ASSETS"
    return
  fi
  for dir in $(printf "%s\n" "${XDG_DATA_HOME:-$HOME/.local/share}"/kubebuilder-envtest/k8s/*-"$(uname -s | tr '[:upper:]' '[:lower:]')-$ARCH" | sort -rV); do
    if has_assets "$dir"; then
      echo "$dir"
      return
    fi
  done
  return 1
}

case ${1:-} in
assets) find_assets || { ensure assets; echo "$BIN"; } ;;
helm | hydra | cert-manager) ensure "$1"; echo "$BIN/$1" ;;
built)
  case ${2:-} in helm | hydra | cert-manager) ;; *) die "usage: build.sh built helm | hydra | cert-manager" ;; esac
  built "$2" || exit 1
  echo "$BIN/$2"
  ;;
node) "$HERE/deps.sh" --check; ensure assets; ensure node ;;
*) die "usage: build.sh assets | helm | hydra | cert-manager | node | built helm | hydra | cert-manager" ;;
esac
