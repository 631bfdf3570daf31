"""Leases: of all who would work on a VM at the same time, one does, and the others are told who."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, delete, insert, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from labctl.errors import HostError
from labctl.store.holder import described, has_ended, this_process
from labctl.store.schema import leases


class Held(HostError):
    """Somebody else works on this VM now."""

    cause = "held"


class LeaseLost(HostError):
    """The lease ran out, and somebody else has taken it: what was seen since may be of their making."""

    cause = "lease-lost"


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
    this = and_(leases.c.lab == lab, leases.c.vm == vm)
    found = None
    while found is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(leases).values(lab=lab, vm=vm, **mine))
        except IntegrityError:
            # There is one; with PostgreSQL it may be given back before we look, and then it is our turn.
            found = connection.execute(select(leases).where(this).with_for_update()).one_or_none()
        else:
            return lease
    if found.expires < now or has_ended(found.holder):
        connection.execute(update(leases).where(this).values(**mine))
        return lease
    raise Held(
        f"it is being graded since {found.since} by {described(found.holder)} (run {found.run})",
        hint=f"wait for them, then grade it again; if they were stopped, in {_wait(found, now)}",
    )


def release(connection: Connection, lease: Lease) -> bool:
    """Give the lease back; False when it was not ours any more."""
    this = and_(leases.c.lab == lease.lab, leases.c.vm == lease.vm, leases.c.token == lease.token)
    return connection.execute(delete(leases).where(this)).rowcount == 1


def _wait(found: Any, now: float) -> str:
    return f"{max(1.0, found.expires - now):.0f} s"


def _now(connection: Connection) -> float:
    """Seconds since 1970: the server's, as the clocks of those who share it may differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(text("select extract(epoch from clock_timestamp())")).scalar_one())
    return time.time()
