#!/usr/bin/env bash
# Installs the Debian packages that this machine lacks: those of the sandbox, and with `tests` also the
# servers that the tests run as processes of their own. Those are installed without being started, and
# do not start at boot: a test machine is no name server.
set -euo pipefail

packages=(qemu-system-x86 qemu-utils mmdebstrap e2fsprogs kmod openssh-client debian-archive-keyring python3-venv)
# An ordinary user builds the image in a user namespace, which takes newuidmap.
[ "$(id -u)" -eq 0 ] || packages+=(uidmap)
servers=()
[ "${1:-}" = tests ] && packages+=(tmux systemd-container chromium nftables) && servers=(haproxy bind9 openssh-server postgresql)

missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}
mapfile -t needed < <(missing "${packages[@]}")
mapfile -t idle < <(missing "${servers[@]}")
[ ${#needed[@]} -eq 0 ] && [ ${#idle[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and there is no sudo: ${needed[*]} ${idle[*]}" >&2
        echo "as root: apt-get install ${needed[*]} ${idle[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >/dev/null; }

echo "installing with apt: ${needed[*]} ${idle[*]}" >&2
apt update
[ ${#needed[@]} -eq 0 ] || apt install -y --no-install-recommends "${needed[@]}"
if [ ${#idle[@]} -gt 0 ]; then
    # Of those that are installed now: a server that this machine has already stays as it is.
    units=()
    for package in "${idle[@]}"; do
        case $package in
            haproxy) units+=(haproxy.service) ;;
            bind9) units+=(named.service) ;;
            openssh-server) units+=(ssh.service ssh.socket) ;;
            postgresql) units+=(postgresql.service) ;;
        esac
    done
    "${sudo[@]}" systemctl mask --quiet "${units[@]}"
    trap '"${sudo[@]}" systemctl unmask --quiet "${units[@]}"' EXIT
    apt install -y --no-install-recommends "${idle[@]}"
    trap - EXIT
    "${sudo[@]}" systemctl unmask --quiet "${units[@]}"
    "${sudo[@]}" systemctl disable --quiet "${units[@]}"
fi
