#!/usr/bin/env bash
# Makes the virtual environment, or brings it up to date when pyproject.toml has changed.
# The stamp is written last: an interrupted installation is done again.
set -euo pipefail

venv=${1:-.venv}
wanted=$({ cat pyproject.toml; pwd; } | sha256sum | cut -c1-16)
stamp=$venv/installed
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "labctl needs Python 3.11 or later; $python is $("$python" -V 2>&1)" >&2
    exit 1
}
echo "installing labctl and what it needs into $venv" >&2
"$python" -c 'import ensurepip' 2>/dev/null || {
    echo "Python's venv module is not complete: sudo apt install python3-venv" >&2
    exit 1
}
[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[dev]"
echo "$wanted" > "$stamp"
