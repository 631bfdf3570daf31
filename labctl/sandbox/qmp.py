"""QEMU's control socket (QMP): JSON lines, a greeting, one reply per command, events in between."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from labctl.errors import SandboxError


def connect_unix(path: Path, timeout: float) -> socket.socket:
    """A connected stream socket. OSError if nobody listens.

    Goes through /proc/self/fd because a socket's path may have 107 bytes only, and a state directory
    deep in somebody's home, or in a test's, is longer.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(timeout)
        link.connect(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        link.close()
        raise
    finally:
        os.close(directory)
    return link


class Qmp:
    """One conversation with one QEMU. Use as a context manager; SandboxError for all that goes wrong."""

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        self._path = path
        self._timeout = timeout
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Qmp:
        try:
            self._socket = self._stack.enter_context(connect_unix(self._path, self._timeout))
            self._lines = self._stack.enter_context(self._socket.makefile("rb"))
            self._read(expect="QMP")
            self.execute("qmp_capabilities")
        except OSError as error:
            self._stack.close()
            raise SandboxError(
                f"cannot talk to QEMU through {self._path}: {error.strerror or error}",
                hint="labctl sandbox status says whether the VM runs",
            ) from error
        except SandboxError:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _read(self, expect: str = "") -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise SandboxError(f"QEMU closed {self._path}")
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or (expect and expect not in message):
            raise SandboxError(f"{self._path} does not speak QMP")
        return message

    def execute(self, command: str, **arguments: Any) -> Any:
        """One command's ``return`` value; events that come first are passed over."""
        try:
            request = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while True:
                reply = self._read()
                if "return" in reply:
                    return reply["return"]
                if "error" in reply:
                    raise SandboxError(
                        f"QEMU refused {command}: {reply['error'].get('desc', reply['error'])}"
                    )
        except TimeoutError as error:
            raise SandboxError(f"QEMU did not answer {command} within {self._timeout:.0f} s") from error
        except OSError as error:
            raise SandboxError(f"QEMU broke off at {command}: {error.strerror or error}") from error

    def monitor(self, line: str) -> str:
        """A command of the human monitor (``savevm x``); its output. An answer that says Error is one."""
        output = str(self.execute("human-monitor-command", **{"command-line": line}))
        if output.startswith("Error"):
            raise SandboxError(f"QEMU refused {line!r}: {output.strip()}")
        return output


def snapshot_names(listing: str) -> list[str]:
    """The names in the output of the monitor's ``info snapshots``.

    ::

        List of snapshots present on all disks:
        ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT
        --        base              179 MiB 2026-11-20 12:00:00 00:00:25.012
    """
    rows = listing.splitlines()
    start = next((at + 1 for at, row in enumerate(rows) if row.split()[:2] == ["ID", "TAG"]), len(rows))
    return [row.split()[1] for row in rows[start:] if len(row.split()) > 1]
