"""Reaching a sandbox VM with the OpenSSH client: strict host keys, the sandbox's own key, nobody's config."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox import network
from labctl.sandbox.state import Vm

KEY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"
_SSH_FAILED = 255


@dataclass(frozen=True)
class Finished:
    """A command that ran in a VM: exit status, its two outputs as text, seconds it took."""

    status: int
    stdout: str
    stderr: str
    seconds: float


def argv(directory: Path, vm: Vm, *, batch: bool = False) -> list[str]:
    """``ssh`` with everything but the command."""
    program = shutil.which("ssh")
    if program is None:
        raise SandboxError("the ssh client is missing", hint="apt-get install openssh-client")
    options = [
        f"UserKnownHostsFile={directory / KNOWN_HOSTS}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "PreferredAuthentications=publickey",
        "ConnectTimeout=20",
        "LogLevel=ERROR",
    ]
    if batch:
        options.append("BatchMode=yes")
    flags = [word for option in options for word in ("-o", option)]
    port = str(vm.ports[network.SSH])
    return [program, "-F", "none", "-i", str(directory / KEY), *flags, "-p", port, f"{vm.name}@{vm.address}"]


def run(
    directory: Path, vm: Vm, command: str | Sequence[str], *, timeout: float = 60.0, stdin: str | None = None
) -> Finished:
    """Run a shell line (or an argv, which is quoted) as the VM's user.

    A non-zero exit status is returned, not raised. SandboxError if SSH failed or took over ``timeout`` s.
    """
    line = command if isinstance(command, str) else shlex.join(command)
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*argv(directory, vm, batch=True), line],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"{vm.name}: {line!r} was not done after {timeout:.0f} s") from error
    if done.returncode == _SSH_FAILED:
        raise SandboxError(f"{vm.name}: ssh failed: {done.stderr.strip() or 'exit status 255'}")
    return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def refusal(directory: Path, vm: Vm, *, timeout: float = 2.0) -> str | None:
    """Why nobody can log in yet; None when one can.

    A port that accepts connections says nothing: QEMU itself accepts them long before the VM does, and
    sshd before the VM lets users in.
    """
    address = (vm.address, vm.ports[network.SSH])
    try:
        with socket.create_connection(address, timeout) as link:
            link.settimeout(timeout)
            if link.recv(4) != b"SSH-":
                return "something answers, and it is not an SSH server"
    except OSError as error:
        return f"{address[0]} port {address[1]}: {error}"
    try:
        done = run(directory, vm, "true", timeout=60)
    except SandboxError as error:
        return error.message
    return None if done.status == 0 else f"{vm.name} lets nobody in: {done.stderr.strip()}"
