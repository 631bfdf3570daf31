"""Everything labctl raises on purpose, as one tree.

::

    LabctlError                     exit status
    ├── RequestError                2   the request itself was wrong; nothing was sent
    │   ├── InventoryError
    │   ├── PlaybookError
    │   ├── CourseError             a lab, grader or course directory is wrong
    │   └── UnknownHost
    ├── HostError                   3   one VM could not be reached, set up or judged
    │   ├── Unreachable
    │   ├── HostKeyChanged
    │   ├── HostKeyRevoked
    │   ├── HostKeyUnknown
    │   ├── AuthRefused
    │   ├── SudoRefused
    │   ├── PythonMissing
    │   ├── DeadlineExceeded
    │   └── AgentFault              the agent died or talked nonsense
    └── SandboxError                3   the local VMs could not be made, started or found

What only one room raises is defined there, under one of these: store's StoreError and Held, grading's Busy,
Rebooted and Unjudged, gradescope's ReceiptError and their like.

A message says what happened and where; ``hint`` says what to do next. Neither ends in a
full stop glued to a path, and both are plain text: renderers escape them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Letters of a line that are shown. A file of a program's making may be one line.
_SHOWN = 200


class LabctlError(Exception):
    """Base of the tree. ``exit_status`` is what the command line ends with."""

    exit_status = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Place:
    """A place in a file the user wrote. ``line`` and ``column`` count from 1; ``text`` is the line itself."""

    path: Path
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else str(self.path)


def around(text: str, column: int) -> tuple[str, int]:
    """What is shown of a long line, with ``column`` in it, and which column that is there."""
    start = max(0, min(column - _SHOWN // 2, len(text) - _SHOWN))
    before, after = ("..." if start else ""), ("..." if start + _SHOWN < len(text) else "")
    return before + text[start : start + _SHOWN] + after, column - start + len(before)


class RequestError(LabctlError):
    """The user asked for something that cannot be done as written."""

    exit_status = 2

    def __init__(self, message: str, *, hint: str = "", place: Place | None = None) -> None:
        super().__init__(message, hint=hint)
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InventoryError(RequestError):
    """An inventory file cannot be read as one."""


class PlaybookError(RequestError):
    """A playbook, task file or template cannot be used as written."""


class CourseError(RequestError):
    """A course directory, lab or grader cannot be loaded."""


class UnknownHost(RequestError):
    """A VM, group or pattern named on the command line matches nothing."""


class HostError(LabctlError):
    """Something prevented the work on one VM. ``cause`` is the word reports and JSON use.

    ``tries`` are the messages of earlier tries, when it was tried again.
    """

    cause = "error"
    tries: tuple[str, ...] = ()


class Unreachable(HostError):
    """No TCP connection, or it broke before SSH was up. ``passing``: another try may get through."""

    cause = "unreachable"

    def __init__(self, message: str, *, hint: str = "", passing: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing


class HostKeyChanged(HostError):
    """The VM, or a jump host, shows another host key than the one on record. Nothing was run."""

    cause = "host-key-changed"


class HostKeyRevoked(HostError):
    """The VM, or a jump host, shows a host key that is on record as one not to be taken. Nothing was run."""

    cause = "host-key-revoked"


class HostKeyUnknown(HostError):
    """No host key is on record for this VM, or a jump host. Nothing was run."""

    cause = "host-key-unknown"


class AuthRefused(HostError):
    """The VM, or a jump host, refused our keys. Each is offered once, and only a few of them."""

    cause = "auth-refused"


class SudoRefused(HostError):
    """``sudo -n`` did not work: it wants a password, or the user may not use it."""

    cause = "sudo-refused"


class PythonMissing(HostError):
    """There is no usable python3 on the VM."""

    cause = "python-missing"


class DeadlineExceeded(HostError):
    """The VM's time was over before the work was."""

    cause = "timeout"


class AgentFault(HostError):
    """The agent on the VM ended, or answered with something that is not its protocol."""

    cause = "agent-fault"


class SandboxError(LabctlError):
    """The sandbox's VMs could not be made, started, reached or removed."""
