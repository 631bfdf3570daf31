"""Sets a VM's clock through its second serial port, where a small unit listens (guest/prepare.py)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox.qmp import connect_unix

_RETRY = 1.0


def set_clock(path: Path, *, timeout: float = 60.0) -> float:
    """Tell the VM the time until it confirms; returns how many seconds ago the time it confirmed was.

    ``path`` is the Unix socket behind the serial port. SandboxError after
    ``timeout`` seconds without an answer.
    """
    deadline = time.monotonic() + timeout
    sent: dict[bytes, float] = {}
    received = b""
    try:
        with connect_unix(path, _RETRY) as link:
            while time.monotonic() < deadline:
                now = time.time()
                line = b"set %.3f" % now
                sent[line] = now
                # the leading newline ends whatever half a line an earlier state of the VM had read
                link.sendall(b"\n" + line + b"\n")
                until = min(deadline, time.monotonic() + _RETRY)
                while time.monotonic() < until:
                    with contextlib.suppress(TimeoutError):
                        chunk = link.recv(4096)
                        if not chunk:
                            raise SandboxError(f"QEMU closed {path}")
                        received += chunk
                    for answer in received.replace(b"\r", b"").split(b"\n")[:-1]:
                        if answer in sent:
                            return time.time() - sent[answer]
    except OSError as error:
        raise SandboxError(
            f"cannot reach the VM's clock through {path}: {error.strerror or error}"
        ) from error
    raise SandboxError(
        f"the VM did not set its clock within {timeout:.0f} s", hint="its console is in console.log"
    )
