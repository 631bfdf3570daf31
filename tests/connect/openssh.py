"""OpenSSH's own sshd and ssh-agent as processes of this test, on loopback and without privileges."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko

SSHD = shutil.which(
    "sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
)
#: sshd without privileges takes logins of its own user only. It leads on without a shell of theirs.
USER = "daemon" if os.geteuid() == 0 else getpass.getuser()
_AS_USER = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"] if os.geteuid() == 0 else []


@dataclass
class Sshd:
    """A running sshd. ``host_key`` is its public key as known_hosts has it."""

    port: int
    host_key: str
    log: Path
    process: subprocess.Popen[bytes]

    def known(self, key: str = "", name: str = "") -> str:
        """Its line for known_hosts."""
        return f"{name or f'[127.0.0.1]:{self.port}'} {key or self.host_key}\n"

    def count(self, words: str) -> int:
        """How often its log has ``words``. sshd writes when it gets to it: call it for what has happened."""
        return self.log.read_text().count(words)

    @property
    def logins(self) -> int:
        return self.count("Accepted publickey")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def key_pair(path: Path, passphrase: str = "", kind: str = "ed25519") -> str:
    """Make a key pair with ssh-keygen; returns the public key."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)], check=True
    )
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


@contextmanager
def sshd(authorized: str, *settings: str, user: str = USER) -> Iterator[Sshd]:
    """Serve on 127.0.0.1 for who has the key ``authorized``. ``settings`` are lines for sshd_config.
    ``user`` is it that logs in: the one of this test has a shell.
    """
    assert SSHD, "there is no sshd here: make machine-tests installs it"
    # Not pytest's directory: that one is closed to the user that sshd runs as.
    with tempfile.TemporaryDirectory(prefix="labctl-sshd-") as name:
        directory, port = Path(name), free_port()
        host_key = key_pair(directory / "host")
        (directory / "authorized").write_text(authorized + "\n")
        lines = [
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {directory}/host",
            f"AuthorizedKeysFile {directory}/authorized",
            *settings,
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "LogLevel VERBOSE",
        ]
        (directory / "config").write_text("\n".join(lines) + "\n")
        for path in (directory, *directory.iterdir()):
            if os.geteuid() == 0:
                shutil.chown(path, user)
        if user == "root":
            Path("/run/sshd").mkdir(exist_ok=True)
        log = directory / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*(_AS_USER if user == USER else []), SSHD, "-D", "-e", "-f", str(directory / "config")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            until = time.monotonic() + 10
            while "Server listening" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.02)
            yield Sshd(port, host_key, log, process)
        finally:
            process.terminate()
            process.wait(5)


@contextmanager
def ssh_agent(directory: Path, *keys: Path) -> Iterator[Path]:
    """Run ssh-agent with ``keys`` (without passphrase) in it; yields its socket."""
    path = directory / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        for key in keys:
            add_key(path, key)
        yield path
    finally:
        process.terminate()
        process.wait(5)


def add_key(agent: Path, key: Path, passphrase: str = "") -> None:
    """ssh-add. A passphrase reaches it by a program, as it would a person's terminal."""
    ask = key.with_name("ask")
    ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    ask.chmod(0o700)
    subprocess.run(
        ["ssh-add", "-q", str(key)],
        env={
            **os.environ,
            "SSH_AUTH_SOCK": str(agent),
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
        },
        stdin=subprocess.DEVNULL,
        check=True,
    )


def loaded(path: Path) -> paramiko.PKey:
    return paramiko.PKey.from_path(path)
