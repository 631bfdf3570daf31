"""What is on record of a server, judged as OpenSSH's own ssh judges it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openssh import USER, Sshd, key_pair, sshd

from labctl.connect import open_connection, shown_key
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.inventory import Host

pytestmark = pytest.mark.slow


@dataclass
class Judged:
    """A server, keys that are not its own, and the files that ssh and labctl judge it by."""

    folder: Path
    server: Sshd
    others: dict[str, str]
    config: Path = Path()

    def known(self, text: str, everybodys: str = "", more: str = "") -> None:
        words = {**self.others, "port": self.server.port, "right": self.server.host_key}
        for name, said in (("known", text), ("everybodys", everybodys)):
            (self.folder / name).write_text(said.format(**words), newline="")
        # a new one each time: what ssh says of a file is kept
        self.config = self.folder / f"config{len(list(self.folder.iterdir()))}"
        self.config.write_text(
            f"UserKnownHostsFile {self.folder}/known\nGlobalKnownHostsFile {self.folder}/everybodys\n"
            f"IdentityFile {self.folder}/id\nIdentitiesOnly yes\nStrictHostKeyChecking yes\n{more}\n"
        )

    def by_ssh(self) -> str:
        command = ["ssh", "-F", self.config, "-p", str(self.server.port), "-l", USER, "127.0.0.1"]
        done = subprocess.run(
            [*command, "true"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        for words, cause in (
            ("REVOKED HOST KEY", "host-key-revoked"),
            ("is marked as revoked", "host-key-revoked"),
            ("revoked by file", "host-key-revoked"),
            ("HAS CHANGED", "host-key-changed"),
            ("No ED25519 host key is known", "host-key-unknown"),
        ):
            if words in done.stderr:
                return cause
        assert "verification failed" not in done.stderr, done.stderr
        return "taken"

    def host(self) -> Host:
        words = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.server.port,
            "ansible_user": USER,
            "ansible_ssh_common_args": f"-F {self.config}",
        }
        return Host("vm", words)

    def by_labctl(self) -> str:
        try:
            open_connection(self.host(), Deadline.after(20)).close()
        except HostError as err:
            return err.cause
        return "taken"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sshd, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"wrong": "ed25519", "worse": "ed25519", "rsa": "rsa", "ecdsa": "ecdsa"}
    others = {name: key_pair(folder / name, kind=kind) for name, kind in kinds.items()}
    with sshd(key_pair(folder / "id")) as server:
        yield folder, server, others


@pytest.fixture
def judged(running: tuple[Path, Sshd, dict[str, str]], tmp_path: Path) -> Judged:
    folder, server, others = running
    (tmp_path / "id").symlink_to(folder / "id")
    return Judged(tmp_path, server, others)


@pytest.mark.parametrize(
    ("lines", "everybodys", "expected"),
    [
        ("[127.0.0.1]:{port} {right}\n", "", "taken"),
        ("[127.0.0.1]:{port} {wrong}\n", "", "host-key-changed"),
        ("[127.0.0.1]:{port} {rsa}\n", "", "host-key-changed"),
        ("", "", "host-key-unknown"),
        # revoked, whatever else is said of it
        ("[127.0.0.1]:{port} {right}\n@revoked [127.0.0.1]:{port} {right}\n", "", "host-key-revoked"),
        ("@revoked * {right}\n[127.0.0.1]:{port} {right}\n", "", "host-key-revoked"),
        ("[127.0.0.1]:{port} {right}\n", "@revoked *  {right}\n", "host-key-revoked"),
        ("[127.0.0.1]:{port} {right}\n@revoked * {wrong}\n", "", "taken"),
        ("[127.0.0.1]:{port} {right}\n@revoked other {right}\n", "", "taken"),
        ("[127.0.0.1]:{port} {right}\n@revoked *,!\\[127.* {right}\n", "", "host-key-revoked"),
        ("@revoked [127.0.0.1]:{port} {right}\n", "", "host-key-revoked"),
        ("@cert-authority [127.0.0.1]:{port} {right}\n", "", "host-key-unknown"),
        # what ssh takes for no line of its own
        ("# said \x0b[127.0.0.1]:{port} {right}\n", "", "host-key-unknown"),
        ("other {wrong} \u2028[127.0.0.1]:{port} {right}\n", "", "host-key-unknown"),
        ("[127.0.0.1]:{port} {right}\r\n", "", "taken"),
        # one of several
        ("[127.0.0.1]:{port} {wrong}\n[127.0.0.1]:{port} {right}\n", "", "taken"),
        ("[127.0.0.1]:{port} {right}\n", "[127.0.0.1]:{port} {wrong}\n", "taken"),
        ("[127.0.0.1]:{port} {wrong}\n[127.0.0.*]:* {right}\n", "", "taken"),
        ("[127.0.0.1]:{port} {rsa}\n[127.0.0.1]:{port} {right}\n", "", "taken"),
        # patterns
        ("* {right}\n", "", "taken"),
        ("[127.0.0.?]:{port} {right}\n", "", "taken"),
        ("[127.0.0.??]:{port} {right}\n", "", "host-key-unknown"),
        ("[127.*,![127.0.0.1]:* {right}\n", "", "host-key-unknown"),
        ("[127.0.0.*]:*,other {wrong}\n", "", "host-key-changed"),
        # the machine at its usual port
        ("127.0.0.1 {right}\n", "", "taken"),
        ("127.0.0.1 {wrong}\n", "", "host-key-unknown"),
        ("127.0.0.1 {right}\n[127.0.0.1]:{port} {wrong}\n", "", "host-key-changed"),
        # blanks
        ("  [127.0.0.1]:{port}  {right}  a comment\n", "", "taken"),
        ("[127.0.0.1]:{port}\t{right}\n", "", "taken"),
    ],
)
def test_a_key_is_what_ssh_says_that_it_is(
    judged: Judged, lines: str, everybodys: str, expected: str
) -> None:
    judged.known(lines, everybodys)
    assert judged.by_ssh() == expected
    assert judged.by_labctl() == expected


def test_names_are_read_in_small_letters(judged: Judged) -> None:
    judged.known("VM,[VM]:{port} {right}\n", more="HostKeyAlias vM")
    assert (judged.by_ssh(), judged.by_labctl()) == ("taken", "taken")


@pytest.mark.parametrize("listed", ["text", "list"])
def test_revoked_keys_of_a_file_of_their_own(judged: Judged, listed: str) -> None:
    path = judged.folder / "revoked"
    path.write_text(f"# lost\n{judged.server.host_key} of the first day\n")
    if listed == "list":
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", judged.folder / "list", path], check=True)
        path = judged.folder / "list"
    judged.known("[127.0.0.1]:{port} {right}\n", more=f"RevokedHostKeys {path}")
    assert (judged.by_ssh(), judged.by_labctl()) == ("host-key-revoked", "host-key-revoked")
    (judged.folder / "others").write_text(judged.others["wrong"])
    judged.known("[127.0.0.1]:{port} {right}\n", more=f"RevokedHostKeys {judged.folder}/others")
    assert (judged.by_ssh(), judged.by_labctl()) == ("taken", "taken")
    judged.known("[127.0.0.1]:{port} {right}\n", more=f"RevokedHostKeys {judged.folder}/missing")
    with pytest.raises(HostError, match=r"cannot read the revoked host keys in .*/missing: No such file"):
        open_connection(judged.host(), Deadline.after(20))


def test_a_revoked_key_is_not_recorded(judged: Judged) -> None:
    judged.known("@revoked * {right}\n")
    with pytest.raises(HostError, match="is revoked"):
        shown_key(judged.host(), Deadline.after(20))


@pytest.mark.parametrize("name", ["none", "/dev/null"])
def test_a_key_that_cannot_be_recorded_anywhere(judged: Judged, name: str) -> None:
    judged.known("")
    judged.config.write_text(f"UserKnownHostsFile {name}\nGlobalKnownHostsFile none\n")
    with pytest.raises(HostError, match=f"cannot be recorded: UserKnownHostsFile is {name}") as caught:
        shown_key(judged.host(), Deadline.after(20))
    assert "labctl_known_hosts" in caught.value.hint


def test_a_key_at_the_usual_port_is_on_record(judged: Judged) -> None:
    judged.known("127.0.0.1 {right}\n")
    assert shown_key(judged.host(), Deadline.after(20)).state == "on-record"
    judged.known("127.0.0.1 {wrong}\n")
    assert shown_key(judged.host(), Deadline.after(20)).state == "new"
