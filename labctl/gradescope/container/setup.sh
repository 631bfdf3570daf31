#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the autograder's image.
set -euo pipefail

source=/autograder/source
home=/opt/labctl
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
apt-get install -y -qq --no-install-recommends python3 python3-venv openssh-client ca-certificates
mkdir -p "$home"
if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python3 -m venv "$home/venv"
else
    # Ubuntu 22.04 has Python 3.10; uv brings one of its own.
    python3 -m venv "$home/uv"
    "$home/uv/bin/pip" install -q uv
    UV_PYTHON_INSTALL_DIR="$home/python" "$home/uv/bin/uv" venv -q --seed --python 3.12 "$home/venv"
fi
"$home/venv/bin/pip" install -q --no-cache-dir -r "$source/requirements.txt"
