#!/bin/bash
# vm.sh DIR MEMORY [ARGUMENT...]: boots a virtual machine with Debian's kernel, whose control groups are of version 2, and runs DIR/bench-wear against
# DIR/sidecar in it: with --memory MEMORY, or as on the machine itself where MEMORY is 0. The two are all that the machine has. It is emulated, which
# takes ten times as long; ACCEL=kvm where the kernel can run others.
set -euo pipefail
dir=$(realpath "$1") memory=$2
shift 2
cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bearerguard}/kernel
die() { echo "bench-wear-vm: $*" >&2; exit 1; }
[ "$(uname -m)" = x86_64 ] || die "knows x86_64 alone"

kernel() { compgen -G "$cache/vmlinuz-*" | sort -V | tail -n1; }
missing=()
for pair in qemu-system-x86_64:qemu-system-x86 cpio:cpio; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ] || [ -z "$(kernel)" ]; then
  command -v apt-get >/dev/null || die "knows Debian's packages alone: ${missing[*]} linux-image-cloud-amd64"
  [ "$(id -u)" = 0 ] || die "installing these packages takes root: ${missing[*]} linux-image-cloud-amd64"
  apt-get update -qq
fi
if [ ${#missing[@]} -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$(kernel)" ]; then # it is unpacked and not installed
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image/ {print $2; exit}')
  chmod 755 "$work" # apt downloads as another user
  (cd "$work" && apt-get download -qq "$package" && dpkg-deb -x ./*.deb unpacked)
  mkdir -p "$cache"
  cp "$work"/unpacked/boot/vmlinuz-* "$cache/"
fi

mkdir "$work/root"
cp "$dir/bench-wear" "$work/root/init"
cp "$dir/sidecar" "$work/root/sidecar"
(cd "$work/root" && find init sidecar | cpio -o -H newc --quiet >"$work/files")

words=(--sidecar /sidecar --duration 15s --patience 20s)
[ "$memory" = 0 ] || words+=(--memory "$memory")
for word in "$@"; do words+=("\"$word\""); done
echo "$(basename "$(kernel)"), $(nproc) processors, ${ACCEL:-emulated}"
qemu-system-x86_64 -accel "${ACCEL:-tcg,thread=multi}" -cpu max -smp "$(nproc)" -m 6G -nographic -no-reboot -nodefaults -serial stdio \
  -kernel "$(kernel)" -initrd "$work/files" -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all -- ${words[*]}" </dev/null |
  sed -u 's/\r$//; s/\x1b\(c\|\[[?0-9]*[a-zA-Z]\)//g; s/^Booting from ROM\.*//; /^SeaBIOS/d; /^\[ /d; /^$/d' | tee "$work/said"
grep -q '^wear: all is well' "$work/said"
