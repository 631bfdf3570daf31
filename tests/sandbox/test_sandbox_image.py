"""The images' recipes, their cache, and where they come from. No image is built here."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_for

from labctl.errors import SandboxError
from labctl.sandbox import Sandbox, accel, image, paths, releases, sources
from labctl.sandbox.progress import Progress
from labctl.sandbox.releases import BOOKWORM, JAMMY


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


def test_each_release_has_a_recipe_of_its_own() -> None:
    digests = {image.digest(release) for release in releases.RELEASES.values()}
    assert len(digests) == len(releases.RELEASES)
    assert image.digest() == image.digest(BOOKWORM)
    before = image.digest(JAMMY)
    assert image.digest(replace(JAMMY, components=("main",))) != before
    assert image.digest(replace(JAMMY, kernel="linux-image-generic")) != before
    assert image.digest(replace(JAMMY, kernel_files=())) != before


def test_a_release_that_there_is_not_is_refused_before_anything_is_made(home: Path) -> None:
    with pytest.raises(SandboxError, match="no release 'noble'") as caught:
        Sandbox.open("none").up(1, release="noble")
    assert caught.value.hint == "there are bookworm (Debian 12) and jammy (Ubuntu 22.04)"
    assert not list(home.iterdir())


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
    assert [step.what for step in said] == ["unpacking Debian 12", "done"]
    assert not list(paths.cache_dir().glob("*.part"))


def test_a_failed_build_leaves_nothing_and_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_mmdebstrap(home, monkeypatch, 'echo half >$LABCTL_DISK; echo "E: no mirror"; exit 3')
    with pytest.raises(SandboxError, match="E: no mirror") as caught:
        image.ensure()
    assert "doctor" in caught.value.hint
    assert "of Debian 12 could not" in caught.value.message
    with pytest.raises(SandboxError, match=r"of Ubuntu 22\.04 could not") as caught:
        image.ensure(release=replace(JAMMY, archive="http://ubuntu.example/ubuntu"))
    assert "http://ubuntu.example/ubuntu and http://security.ubuntu.com/ubuntu" in caught.value.hint
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


def test_what_differs_between_releases_is_told_to_the_build(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """for last; do :; done; cp "$last" $LABCTL_DISK
echo "$LABCTL_KERNEL_PACKAGE" >$LABCTL_KERNEL; echo "$LABCTL_KERNEL_FILES$LABCTL_SOURCES" >$LABCTL_INITRD
case "$*" in *" jammy /dev/null "*) ;; *) exit 1 ;; esac"""
    _fake_mmdebstrap(home, monkeypatch, script)
    built = image.ensure(release=JAMMY)
    assert built.disk.read_text() == sources.stanzas(JAMMY)
    assert built.kernel.read_text() == "linux-image-virtual\n"
    told = built.initrd.read_text()
    assert "linux-modules ./lib/modules/*\n" in told
    assert "deb http://archive.ubuntu.com/ubuntu jammy-updates main universe\n" in told
    assert not (built.disk.parent / image.SOURCES).exists()


def test_one_releases_image_does_not_remove_anothers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_mmdebstrap(home, monkeypatch, "echo whole >$LABCTL_DISK")
    cache = paths.cache_dir()
    old = [cache / image.directory_name(release, "0" * 12) for release in (BOOKWORM, JAMMY)]
    for directory in old:
        directory.mkdir(parents=True)
    # as the directories were called before there was a choice
    assert old[0].name == "image-000000000000"
    debian = image.ensure()
    assert [directory.exists() for directory in old] == [False, True]
    ubuntu = image.ensure(release=JAMMY)
    assert [directory.exists() for directory in old] == [False, False]
    assert image.find(cache, BOOKWORM) == debian
    assert image.find(cache, JAMMY) == ubuntu
    assert debian.disk != ubuntu.disk


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
    assert sources.mirrors(BOOKWORM, tmp_path) == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-updates": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/security",
    }
    # those of Debian are not Ubuntu's
    assert sources.mirrors(JAMMY, tmp_path) == JAMMY.archives


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example/debian bookworm main\n"
        "deb [signed-by=/x] http://on.example/debian bookworm main\n"
        "deb http://on.example/ubuntu/ jammy main universe\n"
    )
    assert sources.mirrors(BOOKWORM, tmp_path)["bookworm"] == "http://on.example/debian"
    assert sources.mirrors(JAMMY, tmp_path) == {
        "jammy": "http://on.example/ubuntu",
        "jammy-updates": "http://on.example/ubuntu",
        "jammy-security": "http://security.ubuntu.com/ubuntu",
    }


def test_a_host_of_another_release_falls_back(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://on.example/debian trixie main\n")
    assert sources.mirrors(BOOKWORM, tmp_path) == BOOKWORM.archives


def test_debian_is_checked_with_the_hosts_keys_and_ubuntu_with_its_own(tmp_path: Path) -> None:
    assert sources.stanzas(BOOKWORM, tmp_path).split("\n\n")[1:] == [
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm-updates\nComponents: main",
        "Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\n"
        "Components: main\n",
    ]
    first, *others = sources.stanzas(JAMMY, tmp_path).rstrip("\n").split("\n\n")
    fields, _, key = first.partition("\nSigned-By:\n")
    assert fields.splitlines() == [
        "Types: deb",
        "URIs: http://archive.ubuntu.com/ubuntu",
        "Suites: jammy",
        "Components: main universe",
    ]
    assert all(one.endswith(key) for one in others)
    assert "trusted" not in first
    begin, blank, *armor, _checksum, end = key.splitlines()
    assert (begin, blank) == (" -----BEGIN PGP PUBLIC KEY BLOCK-----", " .")
    assert end == " -----END PGP PUBLIC KEY BLOCK-----"
    assert fingerprint(base64.b64decode("".join(armor))) == "F6ECB3762474EDA9D21B7022871920D1991BC93C"


def fingerprint(key: bytes) -> str:
    """Of an OpenPGP key, version 4: RFC 4880, 12.2."""
    tag, size = key[0], int.from_bytes(key[1:3], "big")
    assert tag == 0x99, "a public key whose length takes two bytes"
    return hashlib.sha1(key[: 3 + size]).hexdigest().upper()


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
