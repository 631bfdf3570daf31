"""labctl for a user that is a number and no name, as in ``docker run -u 4242``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.cli import main
from labctl.connect import ssh_config
from labctl.store.holder import this_process

INVENTORY = """\
all:
  hosts:
    here: {ansible_connection: local}
    named: {ansible_user: kim, ansible_host: 192.0.2.7}
    far: {ansible_host: 192.0.2.8}
"""
#: What OpenSSH does then, whatever it is asked.
SSH = "#!/bin/sh\necho No user exists for uid 4242 >&2\nexit 255\n"


@pytest.fixture(autouse=True)
def _nameless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    (tmp_path / "i.yml").write_text(INVENTORY)
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    ssh_config._asked.cache_clear()
    ssh_config._same_for_all.cache_clear()
    yield
    ssh_config._asked.cache_clear()
    ssh_config._same_for_all.cache_clear()


def test_hosts_are_listed_where_a_name_is_not_needed_or_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hosts", "list", "here", "named", "-i", str(tmp_path / "i.yml"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["hosts"]
    assert [(row["host"], row["user"]) for row in rows] == [("here", "4242"), ("named", "kim")]


def test_a_vm_to_log_in_to_needs_ansible_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "list", "-i", str(tmp_path / "i.yml")]) == 2
    said = capsys.readouterr().err
    assert "far: who logs in there is not said, and the user 4242 here has no name" in said
    assert "ansible_user" in said


def test_a_configuration_that_ssh_would_have_to_read_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("")
    assert main(["hosts", "list", "named", "-i", str(tmp_path / "i.yml")]) == 2
    assert "ssh does not run for a user without a name to read" in capsys.readouterr().err


def test_a_lease_says_the_number() -> None:
    assert this_process()["user"] == "4242"
