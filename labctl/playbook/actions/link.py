"""Modules that the engine does with the connection itself: raw, fetch, wait_for_connection, reboot.

They stand alone: what waits is sent before them, and nothing travels with them.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from labctl.agent import LOGIN_USER, Agent, Op, OpResult
from labctl.connect import Connection
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded
from labctl.inventory import Host
from labctl.playbook.prepare import Prepared

#: What is kept of a raw command's output; the agent keeps as much of other commands.
_OUTPUT = 1 << 20


class Link(Protocol):
    """What these modules need of a host's session."""

    host: Host
    deadline: Deadline

    def connection(self, deadline: Deadline | None = None) -> Connection: ...

    def agent(
        self, deadline: Deadline | None = None, *, root: bool = False, first: Sequence[Op] = ()
    ) -> Agent: ...

    def asked(self) -> None: ...

    def drop(self) -> None: ...

    def wait(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class How:
    """How a task is to be done. ``user`` is whom it becomes: None is root, LOGIN_USER nobody else."""

    user: str | None
    check: bool
    deadline: Deadline


def perform(prepared: Prepared, session: Link) -> OpResult | None:
    """Do one such task, all rounds of its loop; None when every round was skipped.

    Raises HostError when the VM is lost, which for wait_for_connection and reboot is a failed task.
    """
    rounds = [item for item in prepared.items if item.value is None]
    if not rounds:
        return None
    do = _module(prepared.task.module.name)
    started = time.monotonic()
    values: list[Mapping[str, Any]] = []
    for item in rounds:
        how = How(prepared.user, prepared.check, session.deadline.sooner(prepared.seconds))
        values.append(do(item.remote_args, session, how))
    value = {"results": values} if prepared.looped else values[0]
    return OpResult(0, value, None, time.monotonic() - started)


def _module(name: str) -> Callable[[Mapping[str, Any], Link, How], Mapping[str, Any]]:
    from labctl.playbook.actions import fetch, reconnect

    return {
        "fetch": fetch.run,
        "raw": _raw,
        "reboot": reconnect.reboot,
        "wait_for_connection": reconnect.wait_for_connection,
    }[name]


def ask(session: Link, op: Op, how: How) -> Mapping[str, Any]:
    """One op's value. Raises HostError; an op that gave none has failed."""
    ops = [replace(op, user=how.user)]
    agent = session.agent(root=how.user != LOGIN_USER, first=ops)
    (result,) = list(agent.call(ops, how.deadline.sooner(op.deadline + 15.0)))
    if result.value is None:
        message = result.error.message if result.error else "no result"
        return {"failed": True, "changed": False, "msg": message, "_fault": True}
    return result.value


def _raw(args: Mapping[str, Any], session: Link, how: How) -> dict[str, Any]:
    """A command line for the login shell, or for a shell of another user: the VM needs no Python."""
    if how.check:
        return {"changed": False, "skipped": True, "msg": "not run in check mode"}
    connection = session.connection()
    stream = connection.execute(_command(args, connection, how), how.deadline)
    session.asked()
    try:
        out, timed_out = _read(stream.read, how.deadline)
        status = None if timed_out else stream.wait(how.deadline)
        err = stream.stderr_tail().decode("utf-8", "replace")
    finally:
        stream.close()
    result = {
        "changed": True,
        "rc": -1 if status is None else status,
        "stdout": out.decode("utf-8", "replace"),
        "stderr": err,
    }
    if status is None:
        return {**result, "failed": True, "msg": "still running when its time was over; the VM may go on"}
    return {**result, "failed": True, "msg": "non-zero return code"} if status else result


def _command(args: Mapping[str, Any], connection: Connection, how: How) -> str:
    text, shell = str(args["_raw_params"]), args.get("executable")
    if how.user == LOGIN_USER:
        return f"{shell} -c {shlex.quote(text)}" if shell else text
    inner = f"{shell or '/bin/sh'} -c {shlex.quote(text)}"
    if how.user is None:
        return inner if connection.is_root else f"sudo -H -n -- {inner}"
    return f"sudo -H -n -u {shlex.quote(how.user)} -- {inner}"


def _read(read: Callable[[int, Deadline], bytes], deadline: Deadline) -> tuple[bytes, bool]:
    """All that the command says, its beginning kept; and whether its time was over first."""
    kept = b""
    while True:
        try:
            data = read(1 << 16, deadline)
        except EOFError:
            return kept, False
        except DeadlineExceeded:
            return kept, True
        kept += data[: _OUTPUT - len(kept)]
