"""The keys of files and of ssh-agent, offered to OpenSSH's own sshd."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest
from openssh import USER, add_key, key_pair, ssh_agent, sshd

from labctl.connect import open_connection
from labctl.connect.keys import MOST_OFFERS
from labctl.deadline import Deadline
from labctl.errors import AuthRefused
from labctl.inventory import Host

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def asked(*_: object) -> str:
        raise AssertionError("the user was asked for something")

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setattr("getpass.getpass", asked)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


class Login:
    """Logs in to a real sshd that takes ``accepted``; says what it logged."""

    def __init__(
        self, home: Path, accepted: str, config: str = "", server_settings: str = "", **variables: object
    ) -> None:
        (home / "config").write_text(config)
        with sshd(accepted, server_settings) as server:
            (home / "known_hosts").write_text(server.known())
            self.host = Host(
                "vm",
                {
                    "ansible_host": "127.0.0.1",
                    "ansible_port": server.port,
                    "ansible_user": USER,
                    "ansible_ssh_common_args": f"-F {home / 'config'}",
                    "labctl_known_hosts": str(home / "known_hosts"),
                    **variables,
                },
            )
            self.error: AuthRefused | None = None
            try:
                open_connection(self.host, Deadline.after(20)).close()
            except AuthRefused as err:
                self.error = err
            # sshd's monitor may write a moment after its child has answered.
            said = ""
            while said != (said := server.log.read_text()):
                time.sleep(0.2)
            self.accepted, self.refused = server.logins, server.count("Failed publickey")


def certificate(home: Path, kind: str) -> None:
    """Beside the key: a right one, or one that the server does not take."""
    path = home / "key-cert.pub"
    if kind == "garbage":
        path.write_text("nonsense\n")
        return
    key_pair(home / "authority")
    who = "somebody" if kind == "foreign" else USER
    when = "20200101:20200102" if kind == "expired" else "always:forever"
    subprocess.run(
        ["ssh-keygen", "-q", "-s", "authority", "-I", "x", "-n", who, "-V", when, "key.pub"],
        cwd=home,
        check=True,
    )


@pytest.mark.parametrize("kind", ["garbage", "foreign", "expired", "right"])
def test_the_plain_key_is_offered_where_its_certificate_is_not_taken(home: Path, kind: str) -> None:
    public = key_pair(home / "key")
    certificate(home, kind)
    login = Login(home, public, ansible_ssh_private_key_file=str(home / "key"))
    assert (login.error, login.accepted) == (None, 1)


def test_a_certificate_that_the_server_takes_comes_first(home: Path) -> None:
    key_pair(home / "key")
    certificate(home, "right")
    authority = " ".join((home / "authority.pub").read_text().split()[:2])
    login = Login(home, f"cert-authority {authority}", ansible_ssh_private_key_file=str(home / "key"))
    assert (login.error, login.accepted, login.refused) == (None, 1, 0)


def test_a_certificate_elsewhere_is_named(home: Path) -> None:
    key_pair(home / "key")
    config = f"IdentityFile {home}/key\nCertificateFile {home}/key-cert.pub\n"
    refused = Login(home, key_pair(home / "other"), config)
    assert refused.error is not None
    assert "CertificateFile" not in refused.error.hint
    refused = Login(home, "x", config + f"CertificateFile {home}/elsewhere.pub\n")
    assert refused.error is not None
    assert f"does not read CertificateFile {home}/elsewhere.pub" in refused.error.hint


def test_a_key_that_only_the_agent_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = key_pair(home / "key")
    with ssh_agent(home, home / "key") as agent:
        (home / "key").unlink()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        login = Login(home, public)
    assert login.error is None
    assert (login.accepted, login.refused) == (1, 0)


def test_identity_agent_names_the_agent(home: Path) -> None:
    public = key_pair(home / "key")
    with ssh_agent(home, home / "key") as agent:
        assert Login(home, public, f"IdentityAgent {agent}").accepted == 1
        refused = Login(home, public, "IdentityAgent none")
    assert refused.error is not None
    assert "no key to offer" in refused.error.message


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_key_signs_by_the_agent(home: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    public = key_pair(home / "key", kind=kind)
    with ssh_agent(home, home / "key") as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert Login(home, public).accepted == 1


def test_many_keys_are_not_all_offered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"key{number}" for number in range(8)]
    publics = [key_pair(home / name) for name in names]
    with ssh_agent(home, *(home / name for name in names)) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        last = Login(home, publics[-1])
        assert last.error is not None
        # sshd did not get to end the connection for too many of them.
        assert last.refused == MOST_OFFERS
        assert "refused our keys: key0 (ssh-agent), key1 (ssh-agent)" in last.error.message
        assert "key5" not in last.error.message
        assert last.error.hint.startswith("3 more were not offered")
        # A file named in ssh's configuration comes first, with its private half in the agent only.
        (home / "key7").unlink()
        named = Login(home, publics[-1], f"IdentityFile {home / 'key7.pub'}")
        assert (named.accepted, named.refused) == (1, 0)
        # And is the only one when that is what the configuration asks for.
        only = Login(home, publics[0], f"IdentityFile {home / 'key7.pub'}\nIdentitiesOnly yes")
        assert only.error is not None
        assert only.refused == 1


def test_a_server_that_ends_the_connection_early(home: Path) -> None:
    for kind in ("rsa", "ecdsa", "ed25519"):
        key_pair(home / f".ssh/id_{kind}", kind=kind)
    login = Login(home, key_pair(home / "other"), server_settings="MaxAuthTries 2")
    assert login.error is not None
    assert login.error.message.endswith(f"refused our keys: {home}/.ssh/id_rsa, {home}/.ssh/id_ecdsa")
    assert login.error.hint.startswith("1 more were not offered")


def test_the_inventorys_key_is_offered_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, _ = key_pair(home / "other"), key_pair(home / "key")
    with ssh_agent(home, home / "other") as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        login = Login(home, other, ansible_ssh_private_key_file=str(home / "key"))
    assert login.error is not None
    assert login.error.message.endswith(f"refused our key: {home / 'key'}")
    assert login.refused == 1


@pytest.mark.parametrize("public_file", [True, False])
def test_a_key_with_a_passphrase_is_taken_from_the_agent(
    home: Path, monkeypatch: pytest.MonkeyPatch, public_file: bool
) -> None:
    public = key_pair(home / "key", "secret")
    if not public_file:
        (home / "key.pub").unlink()
    without = Login(home, public, ansible_ssh_private_key_file=str(home / "key"))
    assert without.error is not None
    assert "has a passphrase" in without.error.message
    assert without.error.hint.endswith(f"ssh-add {home / 'key'}")
    with ssh_agent(home) as agent:
        add_key(agent, home / "key", "secret")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert Login(home, public, ansible_ssh_private_key_file=str(home / "key")).accepted == 1


def test_a_default_key_with_a_passphrase_does_not_stop_the_others(home: Path) -> None:
    encrypted, public = key_pair(home / ".ssh/id_rsa", "secret", "rsa"), key_pair(home / ".ssh/id_ed25519")
    assert Login(home, public).accepted == 1
    refused = Login(home, encrypted)
    assert refused.error is not None
    assert refused.error.hint.endswith(f"ssh-add {home / '.ssh/id_rsa'}")


def test_an_agent_that_says_nothing_is_not_waited_for_without_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = key_pair(home / ".ssh/id_ed25519")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(home / "agent"))
        silent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
        monkeypatch.setattr("labctl.connect.keys._AGENT_SECONDS", 0.5)
        started = time.monotonic()
        assert Login(home, public).accepted == 1
        assert time.monotonic() - started < 20


def test_a_dead_agent_is_no_agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = key_pair(home / ".ssh/id_ed25519")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nothing"))
    assert Login(home, public).accepted == 1
