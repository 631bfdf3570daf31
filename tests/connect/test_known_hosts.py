"""Host keys on record: what is found of what OpenSSH's programs write, and of what is broken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import paramiko
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openssh import key_pair

from labctl.connect.known_hosts import Record, read
from labctl.errors import HostError

NAMES = ["vm1", "vm2", "10.0.0.1", "[10.0.0.1]:2222", "vm1.example.org"]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Public keys as known_hosts has them: two of one kind, and one of each of two others."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"one": "ed25519", "two": "ed25519", "three": "ecdsa", "four": "rsa"}
    return [key_pair(folder / name, kind=kind) for name, kind in kinds.items()]


def shown(keys: list[paramiko.PKey]) -> list[str]:
    return [f"{key.get_name()} {key.get_base64()}" for key in keys]


def test_a_server_has_the_keys_of_its_own_lines(lines: list[str]) -> None:
    record = Record(f"# the class\n\nvm1,10.0.0.1 {lines[0]} a comment\nvm2\t{lines[1]}\n  vm1 {lines[2]}\n")
    assert shown(record.keys("vm1")) == [lines[0], lines[2]]
    assert shown(record.keys("10.0.0.1")) == [lines[0]]
    assert record.keys("vm") == record.keys("#") == record.keys("vm1,10.0.0.1") == []


def test_a_name_that_is_hashed_is_found(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"vm1 {lines[0]}\n[10.0.0.1]:2222 {lines[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    # not "vm1 is nowhere": the salts and hashes are chance, and have it in one run of some hundred
    assert [line.partition("|1|")[0] for line in path.read_text().splitlines()] == ["", ""]
    assert shown(read(path).keys("vm1")) == [lines[0]]
    assert shown(read(path).keys("[10.0.0.1]:2222")) == [lines[1]]
    assert read(path).keys("vm2") == []


@pytest.mark.parametrize(
    "broken", ["vm1", "vm1 ssh-ed25519", "vm1 ssh-ed25519 !", "vm1 ssh-ed25519 AAAA", "vm1 ssh-future AAAA"]
)
def test_a_line_that_is_broken_hides_no_other(broken: str, lines: list[str]) -> None:
    record = Record(f"{broken}\nvm1 {lines[0]}\n")
    assert shown(record.keys("vm1")) == [lines[0]]


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "known_hosts"
    assert read(path).keys("vm1") == []
    for at, line in enumerate(lines):
        path.write_text(f"vm1 {line}\n")
        os.utime(path, (at, at))
        assert shown(read(path).keys("vm1")) == [line]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"cannot read the host keys in {tmp_path}: Is a directory"):
        read(tmp_path)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_it_finds_what_paramiko_finds(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(",".join)
    entries = data.draw(st.lists(st.tuples(names, st.sampled_from(lines)).map(" ".join), max_size=8))
    path = tmp_path_factory.mktemp("known") / "hosts"
    path.write_text("".join(f"{entry}\n" for entry in entries))
    theirs = paramiko.HostKeys(str(path))
    for name in NAMES:
        # of several of one kind paramiko has the first
        ours = {key.get_name(): key for key in reversed(read(path).keys(name))}
        assert ours == dict(theirs.lookup(name) or {})
