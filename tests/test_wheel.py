"""The wheel stands alone: it holds the bundled course and runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_an_installed_wheel_finds_its_course(tmp_path: Path) -> None:
    def run(*argv: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("labctl-*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert not os.environ.get("PYTHONPATH")
    labctl = str(home / "bin" / "labctl")
    assert "lab7" in run(labctl, "lab", "list", cwd=elsewhere)
    assert "dns." in run(labctl, "lab", "show", "lab7", cwd=elsewhere)
    playbooks = Path(run(python, "-c", FIND, cwd=elsewhere).strip())
    assert playbooks.is_relative_to(home)
    assert "nfs-common" in (playbooks / "vars" / "packages.yml").read_text()
    guest = next(home.rglob("labctl/sandbox/guest"))
    assert {path.name for path in guest.iterdir()} >= {"init", "customize.sh", "prepare.py"}
    assert "PGP PUBLIC KEY" in (guest.parent / "keys" / "ubuntu-archive-2018.asc").read_text()


FIND = "from labctl.cli.course import find_course; print(find_course().playbooks)"
