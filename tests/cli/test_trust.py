"""hosts trust: what is recorded, after which comparison, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paramiko
import pytest
from openssh import key_pair
from ssh_server import Seen, ssh_server

from labctl.cli import main

pytestmark = pytest.mark.slow


class Vms:
    """Two SSH servers, an inventory that names them, and a known_hosts of their own. ``usual`` is the key of
    another kind that vm1 has as well, the one that who knows none of its keys is shown."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.known = directory / "known_hosts"
        self.keys = {name: paramiko.ECDSAKey.generate() for name in ("vm1", "vm2")}
        client = paramiko.ECDSAKey.generate()
        client.write_private_key_file(str(directory / "id"))
        self.seen: dict[str, Seen] = {}
        self.ports: dict[str, int] = {}
        key_pair(directory / "usual")
        self.usual = paramiko.Ed25519Key.from_private_key_file(str(directory / "usual"))
        for name, key in self.keys.items():
            self.ports[name], self.seen[name] = stack.enter_context(ssh_server(key, client))
        self.of_two_kinds, _ = stack.enter_context(ssh_server(self.keys["vm1"], client, also=[self.usual]))
        self.inventory(self.ports)

    def inventory(self, ports: dict[str, int], **addresses: str) -> None:
        lines = [
            f"    {name}: {{ansible_host: {addresses.get(name, '127.0.0.1')}, ansible_port: {port},"
            " ansible_user: root,"
            f" ansible_ssh_private_key_file: {self.directory / 'id'}, labctl_known_hosts: {self.known}}}"
            for name, port in ports.items()
        ]
        (self.directory / "hosts.yml").write_text("\n".join(["all:", "  hosts:", *lines]) + "\n")

    def fingerprints(self, **changed: str) -> str:
        path = self.directory / "fingerprints"
        said = {**{name: key.fingerprint for name, key in self.keys.items()}, **changed}
        path.write_text("# of the consoles\n" + "".join(f"{name} {text}\n" for name, text in said.items()))
        return str(path)

    def run(self, *args: str) -> int:
        return main(["hosts", *args, "-i", str(self.directory / "hosts.yml")])


@pytest.fixture
def vms(tmp_path: Path) -> Iterator[Vms]:
    with ExitStack() as stack:
        yield Vms(tmp_path, stack)


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {row["host"]: row["state"] for row in json.loads(capsys.readouterr().out)["hosts"]}


def test_a_key_that_the_console_confirms_is_recorded_and_then_strict(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vms.run("ping", "all") == 3
    assert "host-key-unknown" in capsys.readouterr().out
    assert vms.run("trust", "all", "--fingerprints", vms.fingerprints(), "--json") == 0
    assert states(capsys) == {"vm1": "recorded", "vm2": "recorded"}
    assert vms.run("ping", "all") == 0
    capsys.readouterr()
    before = vms.known.read_bytes()
    assert vms.run("trust", "all", "--fingerprints", vms.fingerprints(), "--json") == 0
    assert states(capsys) == {"vm1": "on-record", "vm2": "on-record"}
    assert vms.known.read_bytes() == before


def test_fingerprints_that_notepad_saved_are_read(vms: Vms, capsys: pytest.CaptureFixture[str]) -> None:
    path = vms.directory / "notepad"
    path.write_bytes(f"\ufeffvm1 {vms.keys['vm1'].fingerprint}\r\n".encode())
    assert vms.run("trust", "vm1", "--fingerprints", str(path), "--json") == 0
    assert states(capsys) == {"vm1": "recorded"}


def test_asking_for_the_key_logs_nobody_in(vms: Vms) -> None:
    vms.run("trust", "vm1", "--fingerprints", vms.fingerprints())
    assert (vms.seen["vm1"].auth_attempts, vms.seen["vm1"].commands) == ([], [])


def test_a_key_that_the_console_does_not_confirm_is_not_recorded(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    """The friend's fingerprint is in the file, too, but not for this VM."""
    wrong = vms.fingerprints(vm1=vms.keys["vm2"].fingerprint)
    assert vms.run("trust", "vm1", "--fingerprints", wrong) == 3
    assert "its console says: SHA256:" in capsys.readouterr().out
    assert not vms.known.exists()


def test_a_changed_key_runs_nothing_and_takes_a_word_of_its_own(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    other = paramiko.ECDSAKey.generate()
    name = f"[127.0.0.1]:{vms.ports['vm1']}"
    vms.known.write_text(f"{name} {other.get_name()} {other.get_base64()}\nkept {other.get_name()} AAAA")
    assert vms.run("ping", "vm1") == 3
    assert "host-key-changed" in capsys.readouterr().out
    assert vms.seen["vm1"].auth_attempts == []
    assert vms.run("trust", "vm1", "--fingerprints", vms.fingerprints()) == 3
    assert "--replace" in capsys.readouterr().out
    assert vms.run("trust", "vm1", "--fingerprints", vms.fingerprints(), "--replace") == 0
    lines = vms.known.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["kept", name]
    assert vms.keys["vm1"].get_base64() in lines[1]
    capsys.readouterr()
    assert vms.run("ping", "vm1") == 0


@pytest.mark.parametrize("said", ["recorded", "usual"])
def test_a_key_on_record_is_asked_for_also_where_the_vm_has_one_of_another_kind(
    vms: Vms, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    """The console may tell of either; the one that is not on record yet is recorded as well."""
    vms.inventory({"vm1": vms.of_two_kinds})
    key = vms.keys["vm1"]
    vms.known.write_text(f"[127.0.0.1]:{vms.of_two_kinds} {key.get_name()} {key.get_base64()}\n")
    assert vms.run("ping", "vm1") == 0
    capsys.readouterr()
    console = vms.fingerprints(vm1=(key if said == "recorded" else vms.usual).fingerprint)
    assert vms.run("trust", "vm1", "--fingerprints", console, "--json") == 0
    assert states(capsys) == {"vm1": "on-record" if said == "recorded" else "recorded"}
    assert len(vms.known.read_text().splitlines()) == (1 if said == "recorded" else 2)
    assert vms.run("ping", "vm1") == 0


def test_a_key_of_another_kind_is_a_change_when_the_one_on_record_is_not_shown(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    vms.inventory({"vm1": vms.of_two_kinds})
    ecdsa, rsa = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
    for other, key in ((ecdsa, vms.keys["vm1"]), (ecdsa, vms.usual), (rsa, vms.usual)):
        name = f"[127.0.0.1]:{vms.of_two_kinds}"
        vms.known.write_text(f"{name} {other.get_name()} {other.get_base64()}\n")
        assert vms.run("trust", "vm1", "--fingerprints", vms.fingerprints(vm1=key.fingerprint)) == 3
        assert "another key is on record" in capsys.readouterr().out


def test_a_key_that_two_vms_share_is_found_also_where_one_has_another_on_record(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    key = vms.keys["vm1"]
    vms.inventory({"vm1": vms.of_two_kinds, "vm3": vms.of_two_kinds}, vm3="localhost")
    vms.known.write_text(f"[127.0.0.1]:{vms.of_two_kinds} {key.get_name()} {key.get_base64()}\n")
    said = vms.fingerprints(vm3=vms.usual.fingerprint)
    assert vms.run("trust", "all", "--fingerprints", said) == 3
    assert "vm3: refused: vm1 shows the same key" in capsys.readouterr().out


def test_a_name_that_known_hosts_cannot_hold_is_that_vms_own_error(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    """In wide letters: DNS takes them for localhost."""
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "localhost")
    vms.inventory(vms.ports, vm1=wide)
    assert vms.run("trust", "all", "--fingerprints", vms.fingerprints()) == 3
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"vm1: refused: cannot record the key of [{wide}]:{vms.ports['vm1']}")
    assert first.endswith("ansible_host: localhost is the same in DNS")
    assert second.startswith("vm2: recorded")


def test_a_name_that_dns_cannot_have_is_that_vms_own_error(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    vms.inventory(vms.ports, vm1=f"b\u00fccher.{'x' * 64}")
    assert vms.run("trust", "all", "--fingerprints", vms.fingerprints()) == 3
    first, second = capsys.readouterr().out.splitlines()
    assert "is no name or address of a machine" in first
    assert second.startswith("vm2: recorded")
    assert vms.run("ping", "all") == 3
    first, second = capsys.readouterr().out.splitlines()
    assert "is no name or address of a machine" in first
    assert second.startswith("vm2: ok")


def test_two_vms_with_one_key_are_flagged_and_neither_is_recorded(
    vms: Vms, capsys: pytest.CaptureFixture[str]
) -> None:
    """A student who forwards to a friend's VM shows the friend's key."""
    vms.inventory({"vm1": vms.ports["vm1"], "vm3": vms.ports["vm1"]})
    said = vms.fingerprints(vm3=vms.keys["vm1"].fingerprint)
    assert vms.run("trust", "all", "--fingerprints", said) == 3
    assert "vm1: refused: vm3 shows the same key" in capsys.readouterr().out
    assert not vms.known.exists()


def test_without_anybody_to_compare_nothing_is_recorded(vms: Vms, capsys: pytest.CaptureFixture[str]) -> None:
    assert vms.run("trust", "vm1") == 2
    assert vms.keys["vm1"].fingerprint in capsys.readouterr().err
    assert not vms.known.exists()
    (vms.directory / "bad").write_text("vm1 MD5:00\n")
    assert vms.run("trust", "vm1", "--fingerprints", str(vms.directory / "bad")) == 2
    assert "bad:1:1: a line is: VM SHA256:..." in capsys.readouterr().err


def test_a_vm_that_does_not_answer_is_told(vms: Vms, capsys: pytest.CaptureFixture[str]) -> None:
    vms.inventory({"vm1": 1})
    assert vms.run("trust", "vm1", "--fingerprints", vms.fingerprints(), "--json") == 3
    assert states(capsys) == {"vm1": "unreachable"}
