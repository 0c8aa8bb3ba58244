#!/usr/bin/env bash
# Installs the real peers and the tools that the interop tests use (Debian). Does nothing where they are there.
# With "peers", and in CI: also the daemons that Warren is measured beside. On a machine of one's own Debian starts some of
# them as services (sshd), so they are not installed unless they are asked for.
set -eu
packages=(iproute2 iputils-ping iperf3 nftables procps python3 tcpdump tshark user-mode-linux kmod ethtool)
if [ "${1:-}" = peers ] || [ "${CI:-}" = true ]; then
  packages+=(openvpn tinc openssh-server openssh-client openssl charon-systemd strongswan-swanctl
    libcharon-extra-plugins libstrongswan-standard-plugins libstrongswan-extra-plugins)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "interop: ${missing[*]} are missing and this is not root: what needs them will be skipped" >&2
  [ "${CI:-}" != true ]
  exit
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
