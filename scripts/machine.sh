#!/usr/bin/env bash
# Installs the Debian packages that the sandbox needs and this machine lacks.
set -euo pipefail

packages=(qemu-system-x86 qemu-utils mmdebstrap e2fsprogs kmod openssh-client debian-archive-keyring python3-venv)
# An ordinary user builds the image in a user namespace, which takes newuidmap.
[ "$(id -u)" -eq 0 ] || packages+=(uidmap)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and there is no sudo: ${missing[*]}" >&2
        echo "as root: apt-get install ${missing[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
echo "installing with apt: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
