"""The image's recipe, its cache, and where Debian comes from. No image is built here."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_for

from labctl.errors import SandboxError
from labctl.sandbox import accel, image, paths, sources
from labctl.sandbox.progress import Progress


def test_the_digest_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.digest()
    assert before == image.digest()
    monkeypatch.setattr(image, "CACHED", image.CACHED + " cowsay")
    assert image.digest() != before


def test_the_digest_follows_the_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in image.PARTS:
        (tmp_path / part).write_bytes((image.GUEST / part).read_bytes())
    before = image.digest()
    monkeypatch.setattr(image, "GUEST", tmp_path)
    assert image.digest() == before
    (tmp_path / "init").write_text("#!/bin/sh\n")
    assert image.digest() != before


def test_a_finished_image_is_used_without_building(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = paths.cache_dir() / f"image-{image.digest()}"
    directory.mkdir(parents=True)
    (directory / "disk.img").touch()
    monkeypatch.setattr("labctl.sandbox.image.shutil.which", lambda _: None)
    assert image.ensure().disk == directory / "disk.img"


def _fake_mmdebstrap(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = home / "mmdebstrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(
        "labctl.sandbox.image.shutil.which", lambda name: str(program) if name == "mmdebstrap" else None
    )


def test_a_build_is_renamed_into_place_and_reports(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "echo disk >$LABCTL_DISK; echo kernel >$LABCTL_KERNEL; echo first >$LABCTL_INITRD\n"
    script += 'echo "I: extracting archives..."'
    _fake_mmdebstrap(home, monkeypatch, script)
    said: list[Progress] = []
    built = image.ensure(said.append)
    assert built.disk.read_text() == "disk\n"
    assert built.kernel.read_text() == "kernel\n"
    assert built.initrd.read_text() == "first\n"
    assert [step.what for step in said] == ["unpacking Debian", "done"]
    assert not list(paths.cache_dir().glob("*.part"))


def test_a_failed_build_leaves_nothing_and_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_mmdebstrap(home, monkeypatch, 'echo half >$LABCTL_DISK; echo "E: no mirror"; exit 3')
    with pytest.raises(SandboxError, match="E: no mirror") as caught:
        image.ensure()
    assert "doctor" in caught.value.hint
    assert not list(paths.cache_dir().glob("image-*[!k]"))


def test_an_interrupted_build_is_not_taken_for_a_finished_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = paths.cache_dir() / f"image-{image.digest()}.part"
    part.mkdir(parents=True)
    (part / "disk.img").write_text("half")
    _fake_mmdebstrap(home, monkeypatch, "echo whole >$LABCTL_DISK")
    assert image.ensure().disk.read_text() == "whole\n"
    assert not part.exists()


@pytest.mark.root
def test_a_build_that_is_killed_leaves_no_mounts_and_no_processes(home: Path) -> None:
    """mmdebstrap mounts /proc and /sys where it builds: an rm of what a killed one left would go there."""
    program = home / "mmdebstrap"
    program.write_text('#!/bin/sh\nmkdir "$TMPDIR/proc"; mount -t tmpfs none "$TMPDIR/proc"; sleep 4321; :\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{home}:{os.environ['PATH']}"}
    argv = [sys.executable, "-c", "from labctl.sandbox import image; image.ensure()"]
    build = subprocess.Popen(argv, env=environment)
    part = paths.cache_dir() / f"image-{image.digest()}.part"
    wait_for(lambda: (part / "proc").is_dir() and sleepers(), "the build sleeps")
    assert str(part) not in Path("/proc/self/mountinfo").read_text()
    build.kill()
    build.wait(10)
    wait_for(lambda: not sleepers(), "the build ends")


def sleepers() -> list[str]:
    return subprocess.run(
        ["pgrep", "-f", "^sleep 4321"], capture_output=True, text=True, check=False
    ).stdout.split()


def test_images_of_older_recipes_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = paths.cache_dir() / "image-000000000000"
    old.mkdir(parents=True)
    _fake_mmdebstrap(home, monkeypatch, "echo whole >$LABCTL_DISK")
    image.ensure()
    assert not old.exists()


def test_a_missing_mmdebstrap_names_the_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.sandbox.image.shutil.which", lambda _: None)
    with pytest.raises(SandboxError, match="mmdebstrap is missing") as caught:
        image.ensure()
    assert "apt-get install mmdebstrap" in caught.value.hint


def test_the_hosts_own_mirror_is_used(tmp_path: Path) -> None:
    extra = tmp_path / "sources.list.d"
    extra.mkdir()
    (extra / "debian.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\n"
        "Components: main contrib\n\n"
        "Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n"
    )
    (extra / "other.list").write_text("deb [arch=amd64] https://other.example/apt bookworm stable\n")
    assert sources.debian_sources("bookworm", tmp_path) == [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example/debian bookworm main\n"
        "deb [signed-by=/x] http://on.example/debian bookworm main\n"
    )
    assert sources.debian_sources("bookworm", tmp_path)[0] == "deb http://on.example/debian bookworm main"


def test_a_host_of_another_release_falls_back(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://on.example/debian trixie main\n")
    assert sources.debian_sources("bookworm", tmp_path)[0] == f"deb {sources.FALLBACK[0]} bookworm main"


def test_the_accelerator_is_remembered_until_the_host_reboots(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def boots(*_: object) -> bool:
        tried.append("kvm")
        return True

    kvm = home / "kvm"
    kvm.touch()
    monkeypatch.setattr(accel, "KVM", kvm)
    monkeypatch.setattr(accel, "boots", boots)
    cache = paths.cache_dir()
    assert accel.choose(home, home, cache) == "kvm"
    assert accel.choose(home, home, cache) == "kvm"
    assert tried == ["kvm"]
    answer = json.loads((cache / accel.FILE).read_text())
    (cache / accel.FILE).write_text(json.dumps({**answer, "boot_id": "another"}))
    assert accel.choose(home, home, cache) == "kvm"
    assert tried == ["kvm", "kvm"]


def test_without_kvm_nothing_is_tried(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "KVM", home / "nothing")
    assert accel.choose(home, home, paths.cache_dir()) == "tcg"
