#!/usr/bin/env bash
# Installs the real peers and the tools that the interop tests use (Debian). Does nothing where they are there.
# With "peers", and in CI: also the daemons that Warren is measured beside. On a machine of one's own Debian starts some of
# them as services (sshd), so they are not installed unless they are asked for.
set -eu
packages=(iproute2 iputils-ping iperf3 nftables procps python3 tcpdump tshark user-mode-linux kmod ethtool)
if [ "${1:-}" = peers ] || [ "${CI:-}" = true ]; then
  packages+=(openvpn tinc openssh-server openssh-client openssl charon-systemd strongswan-swanctl
    libcharon-extra-plugins libstrongswan-standard-plugins libstrongswan-extra-plugins openiked)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
# strongSwan 6, which has additional key exchanges and ML-KEM, is newer than this Debian: it comes with its own C library into
# a folder of its own, and nothing of it is installed.
later=/var/cache/warren-interop/strongswan-6
wants_later() {
  { [ "${1:-}" = peers ] || [ "${CI:-}" = true ]; } && [ "$(id -u)" -eq 0 ] && [ ! -x $later/usr/sbin/charon-systemd ]
}
get_later() {
  local work
  work=$(mktemp -d)
  mkdir -p "$work"/{lists/partial,archives/partial,root}
  : >"$work/status"
  printf 'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: forky\nComponents: main\nSigned-By: %s\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg >"$work/forky.sources"
  local options=(-q -o Acquire::Retries=3 -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status"
    -o Dir::Cache::archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Dir::Etc::sourcelist="$work/forky.sources" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" install -y --no-install-recommends --download-only \
    charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins
  for deb in "$work"/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  for folder in bin sbin lib lib64; do
    [ -e "$work/root/$folder" ] || ln -s "usr/$folder" "$work/root/$folder"
  done
  mkdir -p "$work"/root/{dev,proc,run,sys,tmp} "$(dirname $later)"
  mv "$work/root" $later
  rm -rf "$work"
}
if [ ${#missing[@]} -eq 0 ]; then
  if wants_later "$@"; then get_later; fi
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "interop: ${missing[*]} are missing and this is not root: what needs them will be skipped" >&2
  [ "${CI:-}" != true ]
  exit
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
if wants_later "$@"; then get_later; fi
