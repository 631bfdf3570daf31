"""What doctor says of machines that lack something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from labctl.cli.doctor import doctor
from labctl.sandbox import needs


@pytest.fixture
def whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine, run by root, that has everything."""
    monkeypatch.setattr("labctl.sandbox.needs.os.geteuid", lambda: 0)
    monkeypatch.setattr(needs, "_which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(needs, "KEYRING", home)
    monkeypatch.setattr(needs, "DISK_GB", 0.0)
    monkeypatch.setattr(needs, "MEMORY_GB", 0.0)
    return home


def test_nothing_missing(whole: Path) -> None:
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0, result.output
    assert "Nothing is missing" in result.output


def test_missing_programs_are_mended_by_one_command(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"qemu-img", "mmdebstrap", "ssh", "ssh-keygen"}
    monkeypatch.setattr(needs, "_which", lambda program: None if program in missing else program)
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 1
    command = "apt-get install -y --no-install-recommends mmdebstrap openssh-client qemu-utils"
    assert f"  {command}\n" in result.output
    document = json.loads(CliRunner().invoke(doctor, ["--json"]).stdout)
    assert document["ok"] is False
    assert document["mend"] == command
    assert {need["name"] for need in document["needs"] if not need["ok"]} == missing


def test_too_little_room(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "DISK_GB", 1e9)
    monkeypatch.setattr(needs, "MEMORY_GB", 1e9)
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 1
    assert "XDG_CACHE_HOME" in result.output
    assert "448 MB" in result.output


def test_an_ordinary_user_needs_subordinate_ids(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.sandbox.needs.os.geteuid", lambda: 65534)
    monkeypatch.setattr(needs, "SUBUID", whole / "subuid")
    monkeypatch.setattr(needs, "SUBGID", whole / "subgid")
    need = needs._subids()
    assert not need.ok
    assert need.mend == "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 nobody"
    (whole / "subuid").write_text("nobody:100000:65536\n")
    (whole / "subgid").write_text("65534:100000:65536\n")
    assert needs._subids().ok
    assert needs.mend_command([need]) == ""


def test_a_missing_package_is_installed_through_sudo(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.sandbox.needs.os.geteuid", lambda: 65534)
    monkeypatch.setattr(needs, "_which", lambda program: None if program == "newuidmap" else program)
    assert needs.mend_command([needs._subids()]).startswith("sudo apt-get install")


def test_kvm_is_information_only(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.sandbox.accel.KVM", whole / "nothing")
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0
    assert "TCG (no /dev/kvm)" in result.output
