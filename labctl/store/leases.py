"""Leases: of all who would work on a VM at the same time, one does, and the others are told who."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.engine import Connection

from labctl.errors import HostError
from labctl.store.holder import described, has_ended, this_process
from labctl.store.schema import leases


class Held(HostError):
    """Somebody else works on this VM now."""

    cause = "held"


class LeaseLost(HostError):
    """The lease ran out, and somebody else has taken it: what was seen since may be of their making."""

    cause = "lease-lost"


# Made once, as a class repeats them.
_THIS = (leases.c.lab == bindparam("of_lab"), leases.c.vm == bindparam("of_vm"))
_FIND = select(leases).where(*_THIS).with_for_update()
_REPLACE = update(leases).where(*_THIS)
_RELEASE = delete(leases).where(*_THIS, leases.c.token == bindparam("of_token"))


@dataclass(frozen=True)
class Lease:
    lab: str
    vm: str
    token: str


def take(connection: Connection, lab: str, vm: str, run: str, seconds: float) -> Lease:
    """Take the lease for ``vm`` in ``lab`` for ``seconds``, by the database's clock.

    Raises :class:`Held` when another has it. One that has run out is free, and so is one whose process has
    ended on this machine.
    """
    now = _now(connection)
    lease = Lease(lab, vm, secrets.token_hex(16))
    mine: dict[str, Any] = {
        "token": lease.token,
        "run": run,
        "holder": this_process(),
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires": now + seconds,
    }
    this = {"of_lab": lab, "of_vm": vm}
    found = None
    while found is None:
        if connection.execute(
            _insert(connection.dialect.name), {"lab": lab, "vm": vm, **mine}
        ).scalar_one_or_none():
            return lease
        # There is one; with PostgreSQL it may be given back before we look, and then it is our turn.
        found = connection.execute(_FIND, this).one_or_none()
    if found.expires < now or has_ended(found.holder):
        connection.execute(_REPLACE, {**this, **mine})
        return lease
    if found.run == run and found.holder == mine["holder"]:
        raise Held(
            f"another VM of this run has its address, {vm}, and is being graded",
            hint="labctl hosts list shows which two names one machine has",
        )
    raise Held(
        f"it is being graded since {found.since} by {described(found.holder)} (run {found.run})",
        hint=f"wait for them, then grade it again; if they were stopped, in {_wait(found, now)}",
    )


@lru_cache(maxsize=2)
def _insert(dialect: str) -> Any:
    """A lease where there is none; gives back nothing where there is one."""
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert
    return insert(leases).on_conflict_do_nothing().returning(leases.c.token)


def release(connection: Connection, lease: Lease) -> bool:
    """Give the lease back; False when it was not ours any more."""
    this = {"of_lab": lease.lab, "of_vm": lease.vm, "of_token": lease.token}
    return connection.execute(_RELEASE, this).rowcount == 1


def at_work(connection: Connection, run: str) -> dict[str, Any] | None:
    """Who, other than this process, grades a VM of this run now, as far as can be told."""
    query = select(leases).where(leases.c.run == run, leases.c.expires >= _now(connection))
    for found in connection.execute(query):
        if found.holder != this_process() and not has_ended(found.holder):
            return dict(found.holder)
    return None


def _wait(found: Any, now: float) -> str:
    return f"{max(1.0, found.expires - now):.0f} s"


def _now(connection: Connection) -> float:
    """Seconds since 1970: the server's, as the clocks of those who share it may differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(text("select extract(epoch from clock_timestamp())")).scalar_one())
    return time.time()
