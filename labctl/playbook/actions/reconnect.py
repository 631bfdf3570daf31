"""wait_for_connection and reboot: the agent's connection ends, and another is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from labctl.agent import Op
from labctl.deadline import Deadline
from labctl.errors import (
    DeadlineExceeded,
    HostError,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
    PythonMissing,
)
from labctl.playbook.actions.link import How, Link, ask
from labctl.playbook.interrupt import Interrupted

#: One attempt is given at least this: it is a TCP connection, a handshake and the agent's start.
_ATTEMPT_SECONDS = 20.0
#: Between two looks at a VM that reboots.
_PAUSES = (1.0, 1.0, 2.0, 3.0)
#: What more time does not mend.
_FINAL = (HostKeyChanged, HostKeyRevoked, HostKeyUnknown, PythonMissing, Interrupted)


class _NotYet(Exception):
    """The VM answers, but is not as it is waited for."""


def wait_for_connection(args: Mapping[str, Any], session: Link, how: How) -> dict[str, Any]:
    """Until a new connection can be made and the agent answers on it."""
    if how.check:
        return {"changed": False, "skipped": True}
    started = time.monotonic()
    session.wait(float(args["delay"]))
    limit = how.deadline.sooner(float(args["timeout"]))
    problem = _until(session, limit, float(args["connect_timeout"]), lambda: None, (float(args["sleep"]),))
    told: dict[str, Any] = {"changed": False, "elapsed": int(time.monotonic() - started)}
    if problem:
        told.update(
            failed=True,
            msg=f"no connection to {session.host.name} after {time.monotonic() - started:.0f} s: {problem}",
        )
    return told


def reboot(args: Mapping[str, Any], session: Link, how: How) -> dict[str, Any]:
    """Reboot the VM and wait until it has booted anew and ``test_command`` succeeds on it."""
    told: dict[str, Any] = {"changed": False, "elapsed": 0, "rebooted": False}
    if session.host.is_local:
        msg = "the host is this machine: reboot would end labctl itself"
        return {**told, "failed": True, "msg": msg}
    if how.check:
        return {**told, "changed": True, "rebooted": True}
    try:
        before = _boot(args, session, how)
    except _NotYet as err:
        return {**told, "failed": True, "msg": str(err)}
    refused = _begin(args, session, how)
    if refused:
        return {**told, "failed": True, "msg": refused}
    started = time.monotonic()
    session.wait(max(0.0, float(args["post_reboot_delay"])))

    def booted() -> None:
        if _boot(args, session, how) in ("", before):
            raise _NotYet("it answers, and is still what it was before: it has not gone down yet")

    def tested() -> None:
        done = _shell(str(args["test_command"]), session, how)
        if done.get("failed"):
            said = str(done.get("stderr") or done.get("stdout") or done.get("msg", "")).strip()
            raise _NotYet(f"{args['test_command']!r} fails: {said[-300:]}")

    seconds = float(args["reboot_timeout"])
    connect = float(args.get("connect_timeout") or 0)
    problem = _until(session, how.deadline.sooner(seconds), connect, booted, _PAUSES)
    problem = problem or _until(session, how.deadline.sooner(seconds), connect, tested, _PAUSES, fresh=False)
    told.update(changed=True, rebooted=True, elapsed=int(time.monotonic() - started))
    if problem:
        told.update(
            failed=True,
            msg=f"{session.host.name} was rebooted and is not back after {told['elapsed']} s: {problem}. "
            "Look at the VM's console; if it only needs longer, give reboot_timeout more",
        )
    return told


def _boot(args: Mapping[str, Any], session: Link, how: How) -> str:
    """What tells one boot from another. The agent's greeting has it, unless the playbook has its own."""
    command = args.get("boot_time_command")
    if not command:
        return session.agent().hello.boot_id
    done = _shell(str(command), session, how)
    if done.get("failed"):
        raise _NotYet(f"boot_time_command fails: {done.get('stderr') or done.get('msg')}")
    return str(done.get("stdout", "")).strip()


def _begin(args: Mapping[str, Any], session: Link, how: How) -> str:
    """Give the command; returns why the VM refuses it, or nothing."""
    words = {name: args.get(name) for name in ("msg", "search_paths", "reboot_command")}
    words["minutes"] = max(0, int(args["pre_reboot_delay"])) // 60
    try:
        done = ask(session, Op("modules.reboot", words, deadline=30.0), how)
    except DeadlineExceeded:
        raise
    except HostError:
        return ""  # gone before it could say so: that is what was wanted
    return str(done.get("msg") or "the VM refused to reboot") if done.get("failed") else ""


def _shell(command: str, session: Link, how: How) -> Mapping[str, Any]:
    words = {"cmd": command, "_uses_shell": True}
    return ask(session, Op("modules.command", words, deadline=_ATTEMPT_SECONDS), how)


def _until(
    session: Link,
    limit: Deadline,
    connect: float,
    good: Callable[[], None],
    pauses: tuple[float, ...],
    *,
    fresh: bool = True,
) -> str:
    """Connect anew and look until all is ``good``; returns what is wrong when the time is over."""
    attempt = 0
    while True:
        try:
            if fresh:
                session.drop()
            session.agent(limit.sooner(max(connect, _ATTEMPT_SECONDS)))
            good()
            return ""
        except _FINAL:
            raise
        except (HostError, _NotYet) as err:
            fresh = True
            problem = str(err)
        session.wait(min(pauses[min(attempt, len(pauses) - 1)], limit.remaining()))
        if limit.expired:
            return problem
        attempt += 1
